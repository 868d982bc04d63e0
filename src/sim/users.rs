//! `users`: the accounts of rooms, shared devices and people, with their licences.

use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::Kind;
use super::odata::{self, Filter};
use super::pages::{self, List, MostTop};
use super::reply::Reply;
use super::routes::{Call, Route};
use super::spoil;
use super::world::{SKUS, Sku, User, UserEntry, UserKind};

const NOUN: &str = "users";
const PERMISSIONS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        template: "/v1.0/users",
        options: &["$filter", "$select", "$top", "$count", "$skiptoken"],
        permissions: PERMISSIONS,
        noun: NOUN,
        answer: list,
    },
    Route {
        method: "GET",
        template: "/v1.0/users/{id}",
        options: &["$select"],
        permissions: PERMISSIONS,
        noun: NOUN,
        answer: get,
    },
];

const DEFAULT_TOP: usize = 100;
const MOST_TOP: usize = 999;

/// What comes without `$select`, and nothing more.
const BASIC: &str = "businessPhones,displayName,givenName,jobTitle,mail,mobilePhone,officeLocation,\
                     preferredLanguage,surname,userPrincipalName,id";

const PROPERTIES: &[&str] = &[
    "id",
    "accountEnabled",
    "assignedLicenses",
    "assignedPlans",
    "businessPhones",
    "createdDateTime",
    "department",
    "displayName",
    "givenName",
    "jobTitle",
    "lastPasswordChangeDateTime",
    "licenseAssignmentStates",
    "mail",
    "mailNickname",
    "mobilePhone",
    "officeLocation",
    "passwordPolicies",
    "preferredLanguage",
    "proxyAddresses",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];

/// The most alternatives a filter may have.
const MOST_ALTERNATIVES: usize = 15;

/// What `$filter` may ask.
enum Wanted {
    /// Any of these products.
    Products(Vec<String>),
    Properties(Filter),
}

fn list(call: &Call<'_>) -> Result<Reply, Reply> {
    let wanted = wanted(call)?;
    let users = call.tenant.world.users().iter();
    let found: Vec<UserEntry> = users
        .filter(|entry| is_there(call, entry) && is_wanted(call, wanted.as_ref(), entry))
        .copied()
        .collect();
    let list = List {
        context: "users",
        properties: PROPERTIES,
        default_top: DEFAULT_TOP,
        most_top: MostTop::Refused(MOST_TOP),
        is_linked: true,
        // Counting users is an advanced query and needs a header the simulation does not read.
        count: None,
    };
    pages::answer(call, &list, found, |entry| entry.id, |entry| basic_or_all(call, entry))
}

/// By id or by user principal name, never by another address.
fn get(call: &Call<'_>) -> Result<Reply, Reply> {
    let key = call.decoded(0);
    let entry = find(call, &key).filter(|entry| is_there(call, entry)).ok_or_else(|| {
        let message = format!(
            "Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        );
        Reply::error(404, "Request_ResourceNotFound", message)
    })?;
    let mut user = basic_or_all(call, &entry);
    odata::select(&mut user, call.query.get("$select"), PROPERTIES)?;
    if let Some(members) = user.as_object_mut() {
        let context = format!("{}/v1.0/$metadata#users/$entity", call.tenant.url);
        members.insert("@odata.context".to_owned(), context.into());
    }
    Ok(Reply::json(spoil::entity(call, entry.id, user)))
}

fn is_there(call: &Call<'_>, entry: &UserEntry) -> bool {
    !call.tenant.edits.is_removed(entry.id)
}

fn find(call: &Call<'_>, key: &str) -> Option<UserEntry> {
    if let Ok(id) = Uuid::try_parse(key) {
        return call.tenant.world.user_with_id(id);
    }
    let is_named = |entry: &&UserEntry| {
        let name = call.tenant.world.user(entry).account.user_principal_name;
        name.eq_ignore_ascii_case(key)
    };
    if let Some(mailbox) = call.tenant.world.mailbox_at(key) {
        let entry = call.tenant.world.user_with_id(mailbox.room.account.id);
        return entry.filter(|entry| is_named(&entry));
    }
    call.tenant.world.users().iter().find(is_named).copied()
}

fn wanted(call: &Call<'_>) -> Result<Option<Wanted>, Reply> {
    let ignored = call.faults.strikes(Kind::IgnoreFilter).is_some();
    let Some(text) = call.query.get("$filter").filter(|_| !ignored) else { return Ok(None) };
    let unsupported = || {
        let message = format!("Unsupported or invalid query filter clause specified: '{text}'.");
        Reply::error(400, "Request_UnsupportedQuery", message)
    };
    if text.contains("assignedLicenses/any(") {
        let products: Option<Vec<String>> = text.split(" or ").map(product).collect();
        let products = products.ok_or_else(unsupported)?;
        if products.len() > MOST_ALTERNATIVES {
            return Err(Reply::error(
                400,
                "Request_UnsupportedQuery",
                format!(
                    "Too many child clauses specified in search filter expression containing 'OR' operators: {}. Max allowed: {MOST_ALTERNATIVES}.",
                    products.len()
                ),
            ));
        }
        return Ok(Some(Wanted::Products(products)));
    }
    let filter = Filter::parse(text).map_err(|_| unsupported())?;
    let filterable = ["id", "userPrincipalName", "mail", "displayName"];
    let known = filter.comparisons().iter().all(|(property, _)| filterable.contains(property));
    if known { Ok(Some(Wanted::Properties(filter))) } else { Err(unsupported()) }
}

/// The product in `assignedLicenses/any(x:x/skuId eq GUID)`, brackets around it allowed.
fn product(clause: &str) -> Option<String> {
    let clause = clause.trim().trim_start_matches('(').trim_end_matches(')');
    let (variable, condition) = clause.strip_prefix("assignedLicenses/any(")?.split_once(':')?;
    let id = condition.trim().strip_prefix(variable.trim())?.strip_prefix("/skuId eq ")?;
    Uuid::try_parse(id.trim()).ok().map(|id| id.to_string())
}

fn is_wanted(call: &Call<'_>, wanted: Option<&Wanted>, entry: &UserEntry) -> bool {
    match wanted {
        None => true,
        Some(Wanted::Products(products)) => {
            let user = whole(call, entry);
            let has = |id: &str| products.iter().any(|wanted| wanted.eq_ignore_ascii_case(id));
            let assigned = user.get("assignedLicenses").and_then(Value::as_array).into_iter().flatten();
            assigned.filter_map(|license| license.get("skuId")?.as_str()).any(has)
        }
        Some(Wanted::Properties(filter)) => {
            let user = whole(call, entry);
            filter.matches(&|property: &str| user.get(property).and_then(Value::as_str).map(str::to_owned))
        }
    }
}

fn basic_or_all(call: &Call<'_>, entry: &UserEntry) -> Value {
    let mut user = whole(call, entry);
    if let (None, Some(members)) = (call.query.get("$select"), user.as_object_mut()) {
        members.retain(|name, _| BASIC.split(',').any(|basic| basic == name));
    }
    user
}

fn whole(call: &Call<'_>, entry: &UserEntry) -> Value {
    let mut user = write(call, &call.tenant.world.user(entry));
    if let Some(patch) = call.tenant.edits_of(entry.id) {
        patch.apply("user", &mut user);
    }
    user
}

fn write(call: &Call<'_>, user: &User) -> Value {
    let upn = &user.account.user_principal_name;
    let is_person = user.kind == UserKind::Person;
    let (given, sur) = user.account.display_name.split_once(' ').unwrap_or_default();
    let changed = super::world::timestamp(call.tenant.world.started() - 90 * 24 * 3_600_000).to_string();
    json!({
        "id": user.account.id.to_string(),
        "displayName": user.account.display_name,
        "givenName": is_person.then_some(given),
        "surname": is_person.then_some(sur),
        "jobTitle": is_person.then_some("Invented Person"),
        "mobilePhone": is_person.then_some("+49 30 5550100"),
        "officeLocation": null,
        "preferredLanguage": null,
        "businessPhones": [],
        "userPrincipalName": upn,
        "mail": user.mail,
        "mailNickname": upn.split('@').next(),
        "proxyAddresses": proxy_addresses(user),
        "userType": "Member",
        "department": is_person.then_some("Fiction"),
        "accountEnabled": user.is_enabled,
        "usageLocation": "DE",
        "passwordPolicies": (!is_person).then_some("DisablePasswordExpiration"),
        "createdDateTime": changed,
        "lastPasswordChangeDateTime": changed,
        "assignedLicenses": user.products.iter().map(|sku| license(sku)).collect::<Vec<_>>(),
        "assignedPlans": plans(user, &changed),
        "licenseAssignmentStates": user.products.iter().map(|sku| state(sku, &changed)).collect::<Vec<_>>(),
    })
}

/// The primary address has its prefix in capitals.
fn proxy_addresses(user: &User) -> Vec<String> {
    let upn = &user.account.user_principal_name;
    let other = Some(format!("smtp:{upn}")).filter(|_| *upn != user.mail);
    let sip = (!user.products.is_empty()).then(|| format!("sip:{upn}"));
    [format!("SMTP:{}", user.mail)].into_iter().chain(other).chain(sip).collect()
}

fn license(sku: &Sku) -> Value {
    json!({"disabledPlans": [], "skuId": sku.id})
}

fn plans(user: &User, since: &str) -> Vec<Value> {
    let plans = user.products.iter().flat_map(|sku| sku.plans);
    let plan = |(name, id): &(&str, &str)| {
        let service = if name.starts_with("INTUNE") { "SCO" } else { "TeamspaceAPI" };
        json!({
            "assignedDateTime": since,
            "capabilityStatus": "Enabled",
            "service": service,
            "servicePlanId": id,
        })
    };
    plans.map(plan).collect()
}

fn state(sku: &Sku, since: &str) -> Value {
    json!({
        "skuId": sku.id,
        "assignedByGroup": null,
        "disabledPlans": [],
        "state": "Active",
        "error": "None",
        "lastUpdatedDateTime": since,
    })
}

/// How many users have each product of the tenant, in the order of [`SKUS`].
pub(super) fn consumed(call: &Call<'_>) -> [usize; SKUS.len()] {
    let mut consumed = [0; SKUS.len()];
    for entry in call.tenant.world.users() {
        let user = call.tenant.world.user(entry);
        for (count, sku) in consumed.iter_mut().zip(&SKUS) {
            *count += usize::from(user.products.contains(&sku));
        }
    }
    consumed
}
