//! `/_sim/break/` and `/_sim/repair`: each breaks something that people know, by one word, and reports it in plain text.

use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::faults::Fault;
use super::reply::Reply;
use super::tenant::Tenant;
use super::webhooks::{self, Webhook};
use super::world::{Condition, DeviceType, Entry, Health, LinkStatus, Place, Room, timestamp};

/// The words after `/_sim/break/`.
pub(super) const WORDS: &str = "camera, building, permission, incident, everything";

/// Webhook requests that wait for the exporter; a person sends one at a time.
const WAITING: usize = 64;

/// The presence of the room account is the source that loses its permission: rooms keep their devices.
const PERMISSION: &str = "forbidden@presence";

/// The open incidents, and the exporter that receives them.
#[derive(Default)]
pub(super) struct Breakage {
    exporter: OnceLock<Attached>,
    open: Mutex<Opened>,
}

struct Attached {
    url: String,
    portal: mpsc::Sender<Value>,
}

/// The incidents that the portal has reported and not resolved, each with the account of its room.
#[derive(Default)]
struct Opened {
    incidents: Vec<(String, String)>,
    count: u32,
}

impl Breakage {
    /// Names the status page of the exporter, and returns what the portal sends to it.
    pub(super) fn attach(&self, url: String) -> mpsc::Receiver<Value> {
        let (portal, sent) = mpsc::channel(WAITING);
        drop(self.exporter.set(Attached { url, portal })); // attached once, by `demo`
        sent
    }

    fn send(&self, tenant: &Tenant, room: &str, id: &str, state: &str) -> Result<(), Reply> {
        let unattached = || conflict("No exporter receives incidents from this tenant; run demo.");
        let portal = &self.exporter.get().ok_or_else(unattached)?.portal;
        let webhook = Webhook { room, id, signal: "Heartbeat", severity: "Critical", state };
        let body = webhooks::incident(&webhook, tenant).ok_or_else(no_room)?;
        portal.try_send(body).map_err(|_| conflict("The exporter does not receive incidents."))
    }

    /// The last line of each answer.
    fn watch(&self) -> String {
        self.exporter.get().map_or_else(String::new, |exporter| format!("Watch it on {}\n", exporter.url))
    }
}

/// The answer of `POST /_sim/break/{what}`.
pub(super) fn break_one(what: &str, tenant: &Tenant) -> Reply {
    let broken = match what {
        "camera" => camera(tenant),
        "building" => building(tenant),
        "permission" => permission(tenant),
        "incident" => incident(tenant),
        "everything" => everything(tenant),
        _ => return Reply::bad_request(format!("Write one of: {WORDS}.")),
    };
    broken.map_or_else(|refusal| refusal, |text| report(format!("{text}{}", tenant.breakage.watch())))
}

/// The answer of `POST /_sim/repair`: takes back each edit, removal and fault, and resolves the incidents.
pub(super) fn repair(tenant: &Tenant) -> Reply {
    tenant.edits.clear();
    tenant.set_faults(Vec::new());
    let opened = std::mem::take(&mut tenant.breakage.opened().incidents);
    for (id, room) in &opened {
        if let Err(refusal) = tenant.breakage.send(tenant, room, id, "Resolved") {
            return refusal;
        }
    }
    report(format!(
        "Everything is repaired; the exporter shows it within a minute.\n{}",
        tenant.breakage.watch()
    ))
}

impl Breakage {
    fn opened(&self) -> std::sync::MutexGuard<'_, Opened> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn everything(tenant: &Tenant) -> Result<String, Reply> {
    Ok([camera(tenant)?, building(tenant)?, incident(tenant)?, permission(tenant)?].concat())
}

fn camera(tenant: &Tenant) -> Result<String, Reply> {
    let (room, device) = healthy_room(tenant, 0).ok_or_else(no_room)?;
    let camera = json!({"isOptional": false, "connection": disconnected(tenant)});
    let health = json!({"peripheralsHealth": {"roomCameraHealth": camera}});
    tenant.edit(device.id, json!({"device": {"healthStatus": "critical"}, "health": health}));
    Ok(format!("The camera of {} is unplugged; the room is degraded in about ten seconds.\n", room.name))
}

/// All rooms of the building of the last room lose their power.
fn building(tenant: &Tenant) -> Result<String, Reply> {
    let code = tenant.world.rooms().last().ok_or_else(no_room)?.0.building.code;
    let mut rooms = 0;
    for (room, entries) in tenant.world.rooms().filter(|(room, _)| room.building.code == code) {
        for entry in &entries {
            let device = json!({"healthStatus": "offline", "activityState": "unavailable"});
            let health = json!({"connection": disconnected(tenant)});
            tenant.edit(entry.id, json!({"device": device, "health": health}));
        }
        let presence = json!({"availability": "Offline", "activity": "Offline"});
        tenant.edit(room.account.id, json!({"presence": presence}));
        rooms += 1;
    }
    Ok(format!("The building {code} has no power; its {rooms} rooms are down in about ten seconds.\n"))
}

fn permission(tenant: &Tenant) -> Result<String, Reply> {
    let mut names = tenant.faults().names();
    if !names.iter().any(|name| name == PERMISSION) {
        names.push(PERMISSION.to_owned());
    }
    let faults = names.iter().map(|name| name.parse()).collect::<Result<Vec<Fault>, _>>();
    tenant.set_faults(faults.map_err(|error| Reply::bad_request(error.to_string()))?);
    Ok("Presence.Read.All is revoked; the collector presence is forbidden in about ten seconds, and rooms stay.\n"
        .to_owned())
}

fn incident(tenant: &Tenant) -> Result<String, Reply> {
    let (room, _) = healthy_room(tenant, 1).ok_or_else(no_room)?;
    let account = room.account.user_principal_name;
    let mut opened = tenant.breakage.opened();
    opened.count += 1;
    // The time keeps the ids of two runs of demo apart.
    let id = format!("INC-{}-{}", tenant.now(), opened.count);
    tenant.breakage.send(tenant, &account, &id, "New")?;
    opened.incidents.push((id, account));
    Ok(format!("The Pro Management portal has sent a critical incident of {}.\n", room.name))
}

/// The nth room whose core device works and has a camera, with that device; of few rooms the last.
fn healthy_room(tenant: &Tenant, nth: usize) -> Option<(Room, Entry)> {
    let rooms = tenant.world.rooms().filter_map(|(room, entries)| {
        // The first device is the core device that is in use; a predecessor may follow.
        entries.first().filter(|entry| has_working_camera(tenant, entry)).copied().map(|entry| (room, entry))
    });
    let mut first: Vec<(Room, Entry)> = rooms.take(nth + 1).collect();
    first.pop()
}

fn has_working_camera(tenant: &Tenant, entry: &Entry) -> bool {
    let is_edited = tenant.edits_of(entry.id).is_some();
    if entry.kind != DeviceType::TeamsRoom || !tenant.is_present(entry.id) || is_edited {
        return false;
    }
    let condition = Condition::of(&tenant.world.device(entry), tenant.now());
    let camera = condition.at(Place::RoomCamera);
    let is_connected = camera.is_some_and(|camera| camera.link.status == LinkStatus::Connected);
    is_connected && matches!(condition.health(), Health::Healthy | Health::NonUrgent)
}

fn disconnected(tenant: &Tenant) -> Value {
    json!({"connectionStatus": "disconnected", "lastModifiedDateTime": timestamp(tenant.now()).to_string()})
}

fn report(text: String) -> Reply {
    Reply::text("text/plain; charset=utf-8", text)
}

fn no_room() -> Reply {
    conflict("The tenant has no room that works.")
}

fn conflict(message: &str) -> Reply {
    Reply::error(409, "Conflict", message)
}
