//! `/_sim/`: the controls of the simulation over HTTP, for people and for tests that run the binary.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::breakage;
use super::faults::{Fault, fault_table};
use super::reply::Reply;
use super::tenant::Tenant;
use super::webhooks::{self, Webhook};
use super::world::{Episode, timestamp};
use super::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

/// Method, path and meaning of every control; shown by `GET /_sim/`.
const CONTROLS: [(&str, &str, &str); 14] = [
    ("GET", "/_sim/", "this page"),
    ("POST", "/_sim/break/WHAT", "breaks one of: camera, building, permission, incident, everything"),
    ("POST", "/_sim/repair", "takes back every edit and fault, and resolves the incidents"),
    ("GET", "/_sim/faults", "the active faults as a JSON list"),
    (
        "PUT",
        "/_sim/faults",
        "replaces the active faults, body: a JSON list such as [\"throttle:0.2\", \"slow=500\"]",
    ),
    ("POST", "/_sim/advance?seconds=N", "moves simulated time forward"),
    ("PUT", "/_sim/speed?value=N", "simulated seconds per real second, 0 stands still"),
    ("GET", "/_sim/rooms", "rooms with their accounts, licences, bookings and devices"),
    (
        "PATCH",
        "/_sim/rooms/{upn}",
        "merge patch over a room, body: {\"place\": {...}, \"user\": ..., \"presence\": ..., \"schedule\": ...}; null takes it back",
    ),
    ("GET", "/_sim/requests", "how many requests by operation and status"),
    (
        "PATCH",
        "/_sim/devices/{id}",
        "merge patch over a device, body: {\"device\": {...}, \"health\": {...}}; null takes it back",
    ),
    ("DELETE", "/_sim/devices/{id}", "deletes a device from the tenant"),
    (
        "GET",
        "/_sim/incident?room=UPN",
        "what the Pro Management portal pushes, to be posted on; also &id= &signal=Heartbeat &severity=Critical &state=New",
    ),
    (
        "GET",
        "/_sim/alert?room=UPN",
        "what the Teams admin center pushes of a device, to be posted on; also &state=online",
    ),
];

pub(super) fn answer(method: &str, path: &str, query: &str, body: &[u8], tenant: &Tenant) -> Reply {
    let below = path.trim_start_matches("/_sim").trim_start_matches('/');
    match (method, below) {
        ("GET", "") => Reply::text("text/plain; charset=utf-8", manual(tenant)),
        ("GET", "faults") => Reply::json(tenant.faults().names().into()),
        ("PUT", "faults") => set_faults(body, tenant),
        ("POST", "repair") => breakage::repair(tenant),
        ("POST", "advance") => advance(query, tenant),
        ("PUT", "speed") => set_speed(query, tenant),
        ("GET", "rooms") => Reply::json(rooms(tenant)),
        ("GET", "requests") => Reply::json(requests(tenant)),
        ("GET", "incident") => pushed(query, "New", tenant, webhooks::incident),
        ("GET", "alert") => pushed(query, "offline", tenant, webhooks::alert),
        ("POST", what) if what.starts_with("break/") => {
            breakage::break_one(what.trim_start_matches("break/"), tenant)
        }
        ("PATCH", room) if room.starts_with("rooms/") => change_room(room, body, tenant),
        ("PATCH" | "DELETE", _) => change_device(method, below, body, tenant),
        _ => Reply::error(404, "NotFound", "No such control; GET /_sim/ lists them."),
    }
}

fn manual(tenant: &Tenant) -> String {
    let mut text = format!(
        "Simulated Microsoft 365 tenant\n\nauthority and Graph  {}\ntenant id            {TENANT_ID}\nclient id            {CLIENT_ID}\nclient secret        {CLIENT_SECRET}\nprofile              {}\nsimulated time       {}\nspeed                {}\nactive faults        {}\n\nControls\n",
        tenant.url,
        tenant.profile,
        tenant.clock.now(),
        tenant.clock.speed(),
        tenant.faults().names().join(" "),
    );
    for (method, path, meaning) in CONTROLS {
        let _ = writeln!(text, "  {method:<6} {path:<24} {meaning}");
    }
    text.push_str("\nFaults: name, name:rate, name=value or name=value:rate; name@source keeps it to one\n");
    for (name, meaning) in fault_table() {
        let _ = writeln!(text, "  {name:<20} {meaning}");
    }
    text
}

fn set_faults(body: &[u8], tenant: &Tenant) -> Reply {
    let Ok(texts) = serde_json::from_slice::<Vec<String>>(body) else {
        return Reply::bad_request("The body must be a JSON list of texts.");
    };
    match texts.iter().map(|text| text.parse()).collect::<Result<Vec<Fault>, _>>() {
        Err(error) => Reply::bad_request(error.to_string()),
        Ok(faults) => {
            tenant.set_faults(faults);
            Reply::json(tenant.faults().names().into())
        }
    }
}

fn advance(query: &str, tenant: &Tenant) -> Reply {
    let seconds = number(query, "seconds").and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(by) = seconds else {
        return Reply::bad_request("Give ?seconds= as a number that is not negative.");
    };
    tenant.clock.advance(by);
    Reply::json(json!({"now": tenant.clock.now().to_string()}))
}

fn set_speed(query: &str, tenant: &Tenant) -> Reply {
    let Some(speed) = number(query, "value").filter(|speed| *speed >= 0.0) else {
        return Reply::bad_request("Give ?value= as a number that is not negative.");
    };
    tenant.clock.set_speed(speed);
    Reply::json(json!({"speed": tenant.clock.speed()}))
}

fn number(query: &str, name: &str) -> Option<f64> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).and_then(|(_, value)| value.parse().ok())
}

fn rooms(tenant: &Tenant) -> Value {
    let rooms = tenant.world.rooms().map(|(room, entries)| {
        let present = entries.iter().filter(|entry| tenant.is_present(entry.id));
        let devices =
            present.map(|entry| json!({"id": entry.id.to_string(), "type": entry.kind.graph_name()}));
        json!({
            "room": room.name,
            "account": room.account.user_principal_name,
            "building": room.building.code,
            "city": room.building.city,
            "devices": devices.collect::<Vec<_>>(),
        })
    });
    rooms.map(|room| with_facts(room, tenant)).collect()
}

/// Adds what the other sources know of the room.
fn with_facts(mut room: Value, tenant: &Tenant) -> Value {
    let address = room.get("account").and_then(Value::as_str).unwrap_or_default();
    let Some(mailbox) = tenant.world.mailbox_at(address) else { return room };
    let (user, now) = (mailbox.user(), tenant.now());
    let bookings = tenant.world.bookings(&mailbox, Episode { from: now, until: now + 1 });
    let facts = json!({
        "user_id": user.account.id.to_string(),
        "mail": user.mail,
        "enabled": user.is_enabled,
        "licenses": user.products.iter().map(|sku| sku.part_number).collect::<Vec<_>>(),
        "listed": !mailbox.is_hidden(),
        "capacity": mailbox.capacity(),
        "booked_until": bookings.iter().map(|booking| booking.until).max().map(|at| timestamp(at).to_string()),
    });
    if let (Some(members), Value::Object(facts)) = (room.as_object_mut(), facts) {
        members.extend(facts);
    }
    room
}

fn change_room(below: &str, body: &[u8], tenant: &Tenant) -> Reply {
    let upn = below.trim_start_matches("rooms/").replace("%40", "@");
    let Some(mailbox) = tenant.world.mailbox_at(&upn) else {
        return Reply::error(404, "NotFound", "Room not found.");
    };
    match serde_json::from_slice(body) {
        Err(_) => Reply::bad_request("The body must be JSON."),
        Ok(patch) => {
            tenant.edit(mailbox.room.account.id, patch);
            Reply::json(json!({"edited": mailbox.room.account.user_principal_name}))
        }
    }
}

/// The body of a push; without a room that of the first one.
fn pushed(
    query: &str,
    state: &str,
    tenant: &Tenant,
    body: fn(&Webhook<'_>, &Tenant) -> Option<Value>,
) -> Reply {
    let value = |name: &str, default: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map_or_else(|| default.to_owned(), |(_, value)| value.into_owned())
    };
    let first = tenant.world.rooms().next().map(|(room, _)| room.account.user_principal_name);
    let room = value("room", &first.unwrap_or_default());
    let (id, signal) = (value("id", "INC-2026-004211"), value("signal", "Heartbeat"));
    let (severity, state) = (value("severity", "Critical"), value("state", state));
    let webhook = Webhook { room: &room, id: &id, signal: &signal, severity: &severity, state: &state };
    body(&webhook, tenant).map_or_else(|| Reply::error(404, "NotFound", "Room not found."), Reply::json)
}

fn requests(tenant: &Tenant) -> Value {
    let counts = tenant.requests.counts().into_iter();
    counts
        .map(|((method, operation, status), count)| {
            json!({"method": method, "operation": operation, "status": status, "count": count})
        })
        .collect()
}

fn change_device(method: &str, below: &str, body: &[u8], tenant: &Tenant) -> Reply {
    let id = below.strip_prefix("devices/").and_then(|id| Uuid::try_parse(id).ok());
    let Some(id) = id.filter(|id| tenant.is_present(*id)) else {
        return Reply::error(404, "NotFound", "Device not found.");
    };
    if method == "DELETE" {
        tenant.edits.remove(id);
        return Reply::json(json!({"removed": id.to_string()}));
    }
    match serde_json::from_slice(body) {
        Err(_) => Reply::bad_request("The body must be JSON."),
        Ok(patch) => {
            tenant.edit(id, patch);
            Reply::json(json!({"edited": id.to_string()}))
        }
    }
}
