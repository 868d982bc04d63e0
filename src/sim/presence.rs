//! `presence`: what Teams shows of an account, within a moment of the truth. An account without a licence has
//! none.

use serde_json::{Value, json};
use uuid::Uuid;

use super::devices;
use super::faults::Kind;
use super::pages;
use super::reply::{Reply, graph_time};
use super::routes::{Call, Route};
use super::spoil;
use super::world::{
    Activity, BookingStatus, Condition, Device, Episode, Mailbox, Part, User, UserEntry, UserKind, somebody,
    timestamp,
};

pub(super) const NOUN: &str = "presence";

pub(super) const ROUTES: &[Route] = &[Route {
    method: "POST",
    template: "/v1.0/communications/getPresencesByUserId",
    options: &[],
    permissions: &["Presence.Read.All", "Presence.ReadWrite.All"],
    noun: NOUN,
    answer,
}];

/// Microsoft's limit.
const MOST_IDS: usize = 650;

/// `availability` and `activity`.
type Shown = (&'static str, &'static str);

const OFFLINE: Shown = ("Offline", "Offline");
const FREE: Shown = ("Available", "Available");
const BOOKED: Shown = ("Busy", "InAMeeting");

fn answer(call: &Call<'_>) -> Result<Reply, Reply> {
    let ids = ids(call.request.body)?;
    let mut users: Vec<UserEntry> =
        ids.iter().filter_map(|id| call.tenant.world.user_with_id(Uuid::try_parse(id).ok()?)).collect();
    users.sort_unstable_by_key(|entry| entry.id);
    users.dedup();
    users.retain(|entry| !is_missing(call, entry.id) && !call.tenant.edits.is_removed(entry.id));
    if call.faults.strikes(Kind::Empty).is_some() {
        users.clear();
    }
    users.truncate(users.len() - pages::lost_rows(call, users.len()).unwrap_or_default());
    let rows = users.iter().filter_map(|entry| Some(spoil::row(call, entry.id, presence(call, entry)?)));
    let mut rows: Vec<Value> = rows.collect();
    spoil::rows(call, &mut rows);
    let context = format!("{}/v1.0/$metadata#Collection(microsoft.graph.presence)", call.tenant.url);
    Ok(Reply::json(json!({"@odata.context": context, "value": rows})))
}

fn ids(body: &[u8]) -> Result<Vec<String>, Reply> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| Reply::bad_request("Unable to read JSON request payload."))?;
    let ids = body.get("ids").and_then(Value::as_array);
    let ids = ids.ok_or_else(|| Reply::bad_request("The 'ids' parameter is missing or no collection."))?;
    if ids.is_empty() || ids.len() > MOST_IDS {
        let message = format!("The number of ids must be between 1 and {MOST_IDS}.");
        return Err(Reply::error(400, "BadRequest", message));
    }
    Ok(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The same accounts every time: the rate of the fault is a share of accounts.
fn is_missing(call: &Call<'_>, id: Uuid) -> bool {
    let draw = call.tenant.world.seed().named("presence missing").named(&id.to_string());
    call.faults.is_on(Kind::PresenceMissing).is_some_and(|fault| draw.happens(fault.rate()))
}

fn presence(call: &Call<'_>, entry: &UserEntry) -> Option<Value> {
    let user = call.tenant.world.user(entry);
    if user.products.is_empty() {
        return None;
    }
    let (availability, activity) = shown(call, entry, &user);
    let mut presence = json!({
        "id": entry.id.to_string(),
        "availability": availability,
        "activity": activity,
        "sequenceNumber": call.moment.to_string(),
        "workLocation": null,
    });
    if let (Some(members), Value::Object(texts)) = (presence.as_object_mut(), texts(call, entry.id)) {
        members.extend(texts);
    }
    if let Some(patch) = call.tenant.edits_of(entry.id) {
        patch.apply("presence", &mut presence);
    }
    if call.faults.strikes(Kind::PresenceCamel).is_some() {
        camel_case(&mut presence);
    }
    Some(presence)
}

/// What people write, which is nobody's business.
fn texts(call: &Call<'_>, id: Uuid) -> Value {
    let draw = call.tenant.world.seed().named("status message").named(&id.to_string());
    let name = somebody(draw);
    let day = timestamp(call.tenant.world.started());
    json!({
        "statusMessage": {
            "message": {"content": format!("Ask {name}, +49 30 5550123"), "contentType": "text"},
            "publishedDateTime": graph_time(day),
            "expiryDateTime": null,
        },
        "outOfOfficeSettings": {
            "isOutOfOffice": draw.named("out").happens(0.05),
            "message": format!("In urgent cases call {name} at home"),
        },
    })
}

fn camel_case(presence: &mut Value) {
    for name in ["availability", "activity"] {
        if let Some(Value::String(text)) = presence.get_mut(name) {
            text.get_mut(..1).into_iter().for_each(str::make_ascii_lowercase);
        }
    }
}

fn shown(call: &Call<'_>, entry: &UserEntry, user: &User) -> Shown {
    match (call.tenant.world.mailbox_of(entry), user.kind) {
        (Some(mailbox), _) => of_room(call, &mailbox),
        (None, UserKind::Person) => of_person(call, entry.id),
        (None, _) => FREE,
    }
}

/// A person changes every hour.
fn of_person(call: &Call<'_>, id: Uuid) -> Shown {
    let hour = call.moment.div_euclid(3_600_000);
    let draw = call.tenant.world.seed().named("person's presence").named(&id.to_string()).number(hour);
    *draw.pick(&[
        FREE,
        BOOKED,
        OFFLINE,
        ("Away", "Away"),
        ("Busy", "InACall"),
        ("BeRightBack", "BeRightBack"),
    ])
}

fn of_room(call: &Call<'_>, mailbox: &Mailbox) -> Shown {
    let endpoints = endpoints(call, mailbox);
    let cores = || endpoints.iter().filter(|endpoint| endpoint.is_core);
    let masked = call.faults.is_on(Kind::PresenceMasked).is_some();
    let online = |endpoint: &Endpoint| endpoint.is_online && (endpoint.is_core || masked);
    if !endpoints.iter().any(online) {
        return OFFLINE;
    }
    if let Some(since) = cores().filter(|core| core.is_online).find_map(|core| core.busy_since) {
        return in_meeting(mailbox, since);
    }
    let now = Episode { from: call.moment, until: call.moment + 1 };
    let bookings = call.tenant.world.bookings(mailbox, now);
    if bookings.iter().any(|booking| booking.status != BookingStatus::Tentative) {
        return BOOKED;
    }
    idle(mailbox)
}

/// A meeting people came to is a call most of the time.
fn in_meeting(mailbox: &Mailbox, since: i64) -> Shown {
    let draw = mailbox.room.chance.named("kind of meeting").number(since);
    *draw.pick(&[
        ("Busy", "InAConferenceCall"),
        ("Busy", "InAConferenceCall"),
        ("Busy", "InAConferenceCall"),
        ("Busy", "InACall"),
        ("DoNotDisturb", "Presenting"),
    ])
}

fn idle(mailbox: &Mailbox) -> Shown {
    let draw = mailbox.room.chance.named("idle");
    *draw.pick(&[FREE, FREE, FREE, FREE, FREE, FREE, ("AvailableIdle", "Available"), ("Away", "Away")])
}

/// One device as Teams sees it.
struct Endpoint {
    is_core: bool,
    /// Connected, and the account is signed in on it.
    is_online: bool,
    busy_since: Option<i64>,
}

/// What is true now, edits included, whatever the devices have reported by now.
fn endpoints(call: &Call<'_>, mailbox: &Mailbox) -> Vec<Endpoint> {
    let entries = call.tenant.world.devices_of(mailbox).into_iter();
    let present = entries.filter(|entry| call.tenant.is_present(entry.id));
    let devices = present.filter(|entry| !devices::is_taken_over(call, entry));
    let devices = devices.map(|entry| call.tenant.world.device(&entry));
    devices
        .filter(|device| !matches!(device.part, Part::Replaced(_)))
        .map(|device| endpoint(call, &device))
        .collect()
}

fn endpoint(call: &Call<'_>, device: &Device) -> Endpoint {
    let condition = Condition::of(device, call.moment);
    let truth = Truth::of(call, device, &condition);
    let is_busy = truth.is_busy.unwrap_or(condition.activity == Activity::Busy);
    Endpoint {
        is_core: device.meets(),
        is_online: truth.is_online,
        busy_since: (device.meets() && is_busy).then_some(condition.changed),
    }
}

/// What edits leave of a condition.
struct Truth {
    is_online: bool,
    is_busy: Option<bool>,
}

impl Truth {
    fn of(call: &Call<'_>, device: &Device, condition: &Condition) -> Self {
        let patch = call.tenant.edits_of(device.id).unwrap_or_default();
        let mut record = json!({"currentUser": condition.user.as_ref().map(|user| user.id.to_string())});
        patch.apply("device", &mut record);
        let is_signed_in = record.get("currentUser").is_some_and(|user| !user.is_null());
        let activity = record.get("activityState").and_then(Value::as_str);
        Self {
            is_online: devices::is_connected(condition.connection.status, &patch) && is_signed_in,
            is_busy: activity.map(|state| state.eq_ignore_ascii_case("busy")),
        }
    }
}
