//! `teamwork/devices`: the operations Microsoft documents for `teamworkDevice`, beta only.
//! Each document of a device is built in its own file from the condition of the device.

mod activity;
mod configuration;
mod health;
mod heartbeat;
mod list;
mod operations;
mod real;
mod record;

use serde_json::{Value, json};
use uuid::Uuid;

use super::edits::Patch;
use super::faults::Kind;
use super::odata;
use super::profile::Profile;
use super::reply::{Reply, graph_time};
use super::routes::{Call, Route};
use super::spoil;
use super::world::{Condition, Device, Entry, Part, timestamp};
use heartbeat::Heartbeat;
pub(super) use heartbeat::is_connected;
pub(super) use real::ADMIN;

const PERMISSIONS: &[&str] = &["TeamworkDevice.Read.All"];
const NOUN: &str = "devices";
const LIST: &str = "device_list";
const HEALTH: &str = "device_health";

/// Returns true if an operation reads devices, or a part of them.
pub(super) fn is_noun(noun: &str) -> bool {
    [NOUN, LIST, HEALTH].contains(&noun)
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        template: "/beta/teamwork/devices",
        options: &["$filter", "$top", "$select", "$skiptoken", "$count"],
        permissions: PERMISSIONS,
        noun: LIST,
        answer: list::answer,
    },
    route("/beta/teamwork/devices/{id}", &["$select"], |call| entity(call, Document::Device)),
    Route {
        noun: HEALTH,
        ..route("/beta/teamwork/devices/{id}/health", EXPANDABLE, |call| entity(call, Document::Health))
    },
    route("/beta/teamwork/devices/{id}/activity", EXPANDABLE, |call| entity(call, Document::Activity)),
    route("/beta/teamwork/devices/{id}/configuration", EXPANDABLE, |call| {
        entity(call, Document::Configuration)
    }),
    route("/beta/teamwork/devices/{id}/operations", &["$select"], operations::list),
    route("/beta/teamwork/devices/{id}/operations/{operation}", &["$select"], operations::get),
];

const EXPANDABLE: &[&str] = &["$select", "$expand"];

const fn route(
    template: &'static str,
    options: &'static [&'static str],
    answer: fn(&Call<'_>) -> Result<Reply, Reply>,
) -> Route {
    Route { method: "GET", template, options, permissions: PERMISSIONS, noun: NOUN, answer }
}

/// The documents of a device, by the names that edits use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    Device,
    Health,
    Activity,
    Configuration,
}

const ALL: [Document; 4] = [Document::Device, Document::Health, Document::Activity, Document::Configuration];

impl Document {
    fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Health => "health",
            Self::Activity => "activity",
            Self::Configuration => "configuration",
        }
    }

    /// The properties the schema gives it, for `$select`.
    fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Device => record::PROPERTIES,
            Self::Health => health::PROPERTIES,
            Self::Activity => activity::PROPERTIES,
            Self::Configuration => configuration::PROPERTIES,
        }
    }

    fn context(self, call: &Call<'_>, id: Uuid) -> String {
        let root = &call.tenant.url;
        match self {
            Self::Device => format!("{root}/beta/$metadata#teamwork/devices/$entity"),
            _ => format!("{root}/beta/$metadata#teamwork/devices(%27{id}%27)/{}/$entity", self.name()),
        }
    }
}

/// Answers one document of the device in the path.
fn entity(call: &Call<'_>, document: Document) -> Result<Reply, Reply> {
    let entry = find(call)?;
    if document == Document::Health && lacks_health(call, entry.id) {
        return Err(Reply::error(404, "NotFound", "Health of the device not found."));
    }
    let mut value = write(call, &entry, document);
    odata::select(&mut value, call.query.get("$select"), document.properties())?;
    if let Some(members) = value.as_object_mut() {
        members.insert("@odata.context".to_owned(), document.context(call, entry.id).into());
    }
    Ok(Reply::json(spoil::entity(call, entry.id, value)))
}

/// The device in the path; an id that is no GUID is merely unknown.
fn find(call: &Call<'_>) -> Result<Entry, Reply> {
    let id = Uuid::try_parse(call.parameter(0)).ok();
    let entry = id.and_then(|id| call.tenant.world.find(id)).filter(|entry| call.tenant.is_present(entry.id));
    entry.copied().ok_or_else(|| Reply::error(404, "NotFound", "Device not found."))
}

/// The same devices every time: the rate of the fault is a share of devices.
fn lacks_health(call: &Call<'_>, id: Uuid) -> bool {
    let draw = call.tenant.world.seed().named("no health").named(&id.to_string());
    call.faults.is_on(Kind::NoHealth).is_some_and(|fault| draw.happens(fault.rate()))
}

/// One document as it stands, with what was edited laid over it.
fn write(call: &Call<'_>, entry: &Entry, document: Document) -> Value {
    let device = call.tenant.world.device(entry);
    let condition = Condition::of(&device, call.moment);
    let mut value = natural(call, &device, &condition, document);
    if document == Document::Device && is_taken_over(call, entry) {
        take_over(call, &mut value);
    }
    let patch = call.tenant.reported_edits(entry.id).unwrap_or_default();
    touch(&mut value, latest_edit(&patch, document));
    let heartbeat = Heartbeat::of(&device, &condition, &patch, call.moment);
    if document == Document::Health && has_beating_connections(call, entry.id) {
        heartbeat.stamp_all(&mut value);
    }
    if call.tenant.profile == Profile::Real {
        real::reshape(&device, document, heartbeat, &mut value);
    }
    patch.apply(document.name(), &mut value);
    value
}

/// As with missing health, the rate of the fault is a share of devices.
fn has_beating_connections(call: &Call<'_>, id: Uuid) -> bool {
    let draw = call.tenant.world.seed().named("beating connections").named(&id.to_string());
    call.faults.is_on(Kind::BeatingConnections).is_some_and(|fault| draw.happens(fault.rate()))
}

/// Whether somebody is signed in with an account of their own where the account of the room belongs.
pub(super) fn is_taken_over(call: &Call<'_>, entry: &Entry) -> bool {
    call.faults.is_on(Kind::PersonInRoom).is_some() && call.tenant.world.invites_people(entry)
}

fn take_over(call: &Call<'_>, value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.insert("currentUser".to_owned(), record::user(&call.tenant.world.somebody_with_account()));
    }
}

fn natural(call: &Call<'_>, device: &Device, condition: &Condition, document: Document) -> Value {
    let expanded = call.query.get("$expand").is_some();
    match document {
        _ if device.part == Part::Bare => bare(device, document),
        Document::Device => record::write(device, condition),
        Document::Health => health::write(device, condition, expanded),
        Document::Activity => activity::write(device, condition),
        Document::Configuration => configuration::write(device, condition, expanded),
    }
}

/// An edit is a change of the document, and of the device it belongs to.
fn latest_edit(patch: &Patch, document: Document) -> Option<i64> {
    let documents: &[Document] = if document == Document::Device { &ALL } else { &[document] };
    documents.iter().filter_map(|document| patch.edited(document.name())).max()
}

fn touch(value: &mut Value, latest: Option<i64>) {
    if let (Some(latest), Some(modified)) = (latest, value.get_mut("lastModifiedDateTime")) {
        let latest = time(latest);
        // Both are written alike, so the order of the texts is the order of the times.
        if modified.as_str().is_none_or(|modified| modified < latest.as_str()) {
            *modified = latest.into();
        }
    }
}

/// A record with only what the schema does not allow to be null, and some members missing altogether.
fn bare(device: &Device, document: Document) -> Value {
    match document {
        Document::Device => json!({
            "id": device.id.to_string(),
            "deviceType": device.kind.graph_name(),
            "healthStatus": null,
            "lastModifiedDateTime": null,
            "currentUser": null,
            "hardwareDetail": {"serialNumber": null, "macAddresses": null, "manufacturer": null},
        }),
        Document::Health => json!({
            "id": device.id.to_string(),
            "connection": {"connectionStatus": "unknown", "lastModifiedDateTime": null},
            "loginStatus": null,
        }),
        Document::Activity => json!({"id": device.id.to_string(), "activePeripherals": null}),
        Document::Configuration => json!({"id": device.id.to_string()}),
    }
}

fn time(at: i64) -> String {
    graph_time(timestamp(at))
}
