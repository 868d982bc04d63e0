//! `subscribedSkus` and `directory/subscriptions`: what was bought, how much of it is used, and until when.

use serde_json::{Value, json};

use super::TENANT_ID;
use super::pages::{self, List, MostTop};
use super::reply::Reply;
use super::routes::{Call, Route};
use super::users;
use super::world::{SKUS, Sku, timestamp};

const NOUN: &str = "licenses";
const PERMISSIONS: &[&str] = &[
    "LicenseAssignment.Read.All",
    "Organization.Read.All",
    "Directory.Read.All",
    "Organization.ReadWrite.All",
];
/// Commercial subscriptions need more than the licences do.
const SUBSCRIPTION_PERMISSIONS: &[&str] =
    &["Organization.Read.All", "Directory.Read.All", "Organization.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    route("/v1.0/subscribedSkus", &["$select"], PERMISSIONS, subscribed),
    route("/v1.0/directory/subscriptions", &["$select", "$filter"], SUBSCRIPTION_PERMISSIONS, subscriptions),
];

const fn route(
    template: &'static str,
    options: &'static [&'static str],
    permissions: &'static [&'static str],
    answer: fn(&Call<'_>) -> Result<Reply, Reply>,
) -> Route {
    Route { method: "GET", template, options, permissions, noun: NOUN, answer }
}

const SUBSCRIBED: &[&str] = &[
    "id",
    "accountId",
    "accountName",
    "appliesTo",
    "capabilityStatus",
    "consumedUnits",
    "prepaidUnits",
    "servicePlans",
    "skuId",
    "skuPartNumber",
    "subscriptionIds",
];

const SUBSCRIPTION: &[&str] = &[
    "id",
    "commerceSubscriptionId",
    "createdDateTime",
    "isTrial",
    "nextLifecycleDateTime",
    "ownerId",
    "ownerTenantId",
    "ownerType",
    "serviceStatus",
    "skuId",
    "skuPartNumber",
    "status",
    "totalLicenses",
];

const DAY: i64 = 24 * 3_600_000;

/// How many units of a product are in each state.
struct Units {
    enabled: usize,
    warning: usize,
    suspended: usize,
}

fn subscribed(call: &Call<'_>) -> Result<Reply, Reply> {
    answer(call, "subscribedSkus", SUBSCRIBED, |(sku, consumed)| {
        let units = units(sku, *consumed);
        json!({
            "accountId": TENANT_ID,
            "accountName": "contoso",
            "appliesTo": "User",
            "capabilityStatus": capability(&units),
            "consumedUnits": consumed,
            "id": format!("{TENANT_ID}_{}", sku.id),
            "prepaidUnits": {
                "enabled": units.enabled,
                "lockedOut": 0,
                "suspended": units.suspended,
                "warning": units.warning,
            },
            "servicePlans": plans(sku),
            "skuId": sku.id,
            "skuPartNumber": sku.part_number,
            "subscriptionIds": [subscription_id(call, sku)],
        })
    })
}

fn subscriptions(call: &Call<'_>) -> Result<Reply, Reply> {
    let start = call.tenant.world.started();
    answer(call, "directory/subscriptions", SUBSCRIPTION, |(sku, consumed)| {
        let units = units(sku, *consumed);
        let renewal = start + call.tenant.world.seed().named("renewal").named(sku.id).between(20, 340) * DAY;
        json!({
            "id": subscription_id(call, sku),
            "commerceSubscriptionId": call.tenant.world.seed().named("commerce").named(sku.id).guid().to_string(),
            "createdDateTime": timestamp(start - 400 * DAY).to_string(),
            "isTrial": false,
            // Without an end there is no next date.
            "nextLifecycleDateTime": (sku.part_number != "MCOCAP").then(|| timestamp(renewal).to_string()),
            "ownerId": null,
            "ownerTenantId": null,
            "ownerType": null,
            "serviceStatus": plans(sku),
            "skuId": sku.id,
            "skuPartNumber": sku.part_number,
            "status": capability(&units),
            "totalLicenses": units.enabled + units.warning + units.suspended,
        })
    })
}

fn answer(
    call: &Call<'_>,
    context: &str,
    properties: &'static [&'static str],
    write: impl Fn(&(&'static Sku, usize)) -> Value,
) -> Result<Reply, Reply> {
    let skus: Vec<(&'static Sku, usize)> = SKUS.iter().zip(users::consumed(call)).collect();
    let list = List {
        context,
        properties,
        default_top: SKUS.len(),
        most_top: MostTop::Cut(SKUS.len()),
        is_linked: true,
        count: None,
    };
    pages::answer(call, &list, skus, |(sku, _)| sku.id, write)
}

/// A few more than used of most; the old standard product has run out, the premium one long ago.
fn units(sku: &Sku, consumed: usize) -> Units {
    match sku.part_number {
        "MEETING_ROOM" => Units { enabled: 0, warning: consumed.max(1), suspended: 0 },
        "MTR_PREM" => Units { enabled: 0, warning: 0, suspended: consumed.max(1) },
        // The most a tenant may have.
        "Microsoft_Teams_Rooms_Basic" => Units { enabled: 25, warning: 0, suspended: 0 },
        _ => Units { enabled: consumed + 5, warning: 0, suspended: 0 },
    }
}

fn capability(units: &Units) -> &'static str {
    match units {
        Units { enabled: 1.., .. } => "Enabled",
        Units { warning: 1.., .. } => "Warning",
        _ => "Suspended",
    }
}

fn plans(sku: &Sku) -> Vec<Value> {
    let plan = |(name, id): &(&str, &str)| {
        json!({
            "appliesTo": "User",
            "provisioningStatus": "Success",
            "servicePlanId": id,
            "servicePlanName": name,
        })
    };
    sku.plans.iter().map(plan).collect()
}

fn subscription_id(call: &Call<'_>, sku: &Sku) -> String {
    call.tenant.world.seed().named("subscription").named(sku.id).guid().to_string()
}
