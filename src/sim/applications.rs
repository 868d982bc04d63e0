//! `applications`: the registration of the client itself, with the dates its credentials end.

use serde_json::{Value, json};
use uuid::Uuid;

use super::CLIENT_ID;
use super::faults::Kind;
use super::odata::{self, Filter};
use super::pages::{self, List, MostTop};
use super::reply::Reply;
use super::routes::{Call, Route};
use super::spoil;
use super::world::timestamp;

const NOUN: &str = "applications";
const PERMISSIONS: &[&str] =
    &["Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        template: "/v1.0/applications",
        options: &["$filter", "$select", "$top", "$count", "$skiptoken"],
        permissions: PERMISSIONS,
        noun: NOUN,
        answer: list,
    },
    Route {
        method: "GET",
        template: "/v1.0/applications(appId='{id}')",
        options: &["$select"],
        permissions: PERMISSIONS,
        noun: NOUN,
        answer: get,
    },
];

const DEFAULT_TOP: usize = 100;
const MOST_TOP: usize = 999;
const DAY: i64 = 24 * 3_600_000;

const PROPERTIES: &[&str] = &[
    "id",
    "appId",
    "createdDateTime",
    "displayName",
    "keyCredentials",
    "passwordCredentials",
    "publisherDomain",
    "signInAudience",
];

/// Another application of the tenant, whose credentials are not ours.
const OTHER_ID: &str = "33333333-4444-4555-8666-777777777777";

fn list(call: &Call<'_>) -> Result<Reply, Reply> {
    let ignored = call.faults.strikes(Kind::IgnoreFilter).is_some();
    let filter = call.query.get("$filter").filter(|_| !ignored).map(Filter::parse).transpose()?;
    let mut ids = vec![OTHER_ID, CLIENT_ID];
    ids.retain(|id| {
        let value_of = |property: &str| (property == "appId").then(|| (*id).to_owned());
        filter.as_ref().is_none_or(|filter| filter.matches(&value_of))
    });
    let list = List {
        context: "applications",
        properties: PROPERTIES,
        default_top: DEFAULT_TOP,
        most_top: MostTop::Refused(MOST_TOP),
        is_linked: true,
        count: None,
    };
    pages::answer(call, &list, ids, |id| *id, |id| write(call, id))
}

fn get(call: &Call<'_>) -> Result<Reply, Reply> {
    let id = call.decoded(0).to_lowercase();
    if ![OTHER_ID, CLIENT_ID].contains(&id.as_str()) {
        let message = format!(
            "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
        );
        return Err(Reply::error(404, "Request_ResourceNotFound", message));
    }
    let mut application = write(call, &id);
    if let (true, Some(secrets)) =
        (call.faults.strikes(Kind::Empty).is_some(), application.get_mut("passwordCredentials"))
    {
        *secrets = json!([]);
    }
    odata::select(&mut application, call.query.get("$select"), PROPERTIES)?;
    if let Some(members) = application.as_object_mut() {
        let context = format!("{}/v1.0/$metadata#applications/$entity", call.tenant.url);
        members.insert("@odata.context".to_owned(), context.into());
    }
    Ok(Reply::json(spoil::entity(call, &id, application)))
}

fn write(call: &Call<'_>, id: &str) -> Value {
    let draw = call.tenant.world.seed().named("application").named(id);
    let in_days = |days: i64| timestamp(call.tenant.world.started() + days * DAY).to_string();
    let password = |name: &str, days: i64| {
        json!({
            "customKeyIdentifier": null,
            "displayName": name,
            "endDateTime": in_days(days),
            "hint": "sim",
            "keyId": draw.named(name).guid().to_string(),
            "secretText": null,
            "startDateTime": in_days(days - 365),
        })
    };
    let key = json!({
        "customKeyIdentifier": "c2ltdWxhdGVk",
        "displayName": "CN=teams-rooms-exporter",
        "endDateTime": in_days(200),
        "key": null,
        "keyId": draw.named("key").guid().to_string(),
        "startDateTime": in_days(-165),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    });
    let is_ours = id == CLIENT_ID;
    let mut application = json!({
        "id": draw.named("object").guid().to_string(),
        "appId": id,
        "displayName": if is_ours { "teams-rooms-exporter" } else { "Invented Application" },
        "createdDateTime": in_days(-400),
        "publisherDomain": "contoso.example",
        "signInAudience": "AzureADMyOrg",
        // The old secret is still listed, as it always is.
        "passwordCredentials": [password("last year", -10), password("this year", 45)],
        "keyCredentials": if is_ours { vec![key] } else { Vec::new() },
    });
    let edits = Uuid::try_parse(id).ok().and_then(|id| call.tenant.edits_of(id));
    if let Some(patch) = edits {
        patch.apply("application", &mut application);
    }
    application
}
