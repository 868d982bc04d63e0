//! The picture of a tenant at one moment: listed devices joined with their detail, memory and room, after expiry.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::model::account::RoomAccount;
use crate::model::collector::Collector;
use crate::model::detail::{Basis, Detail, Reading, Software, SoftwareKind};
use crate::model::device::{Activity, Device, DeviceType, Role};
use crate::model::identity::Room;
use crate::model::memory::{self, DeviceMemory, PresenceMemory};
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::rooms_file::RoomFacts;
use crate::model::site::{self, InService, Site};
use crate::model::version::{Cohorts, Installed};
use crate::model::{Snapshot, Timestamp};

#[derive(Debug)]
pub struct Fleet<'a> {
    pub now: Timestamp,
    /// By id.
    pub devices: Vec<FleetDevice<'a>>,
    /// By room id.
    pub rooms: Vec<FleetRoom<'a>>,
    /// Graph answers, but nothing in it changes any more.
    pub frozen: bool,
    /// When this picture ends by itself, because a record expires.
    pub until: Option<Timestamp>,
    cohorts: OnceLock<Cohorts<Cohort<'a>>>,
}

#[derive(Debug)]
pub struct FleetDevice<'a> {
    pub device: &'a Device,
    pub memory: Option<&'a DeviceMemory>,
    pub room: Option<&'a Room>,
    /// The place of that room among the fleet's.
    room_index: Option<usize>,
    /// The last reading of the detail, while it has not expired.
    pub reading: Option<&'a Reading>,
    /// Replaced by another core device of its room; counts no more.
    pub superseded: bool,
}

#[derive(Debug)]
pub struct FleetRoom<'a> {
    pub room: &'a Room,
    pub place: Option<&'a Place>,
    /// What the rooms file says; it wins over the place.
    pub file: Option<&'a RoomFacts>,
    pub site: Option<&'a Site>,
    /// In service hours and outside maintenance of its site; always where it has none.
    pub in_service: bool,
    /// The last answer, while it has not expired, and how it came to be.
    pub presence: Option<(Presence, PresenceMemory)>,
    /// What the directory says, while it has not expired.
    pub account: Option<&'a RoomAccount>,
    /// Indices into the fleet's devices.
    members: Vec<usize>,
}

/// Devices whose software versions are compared with each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cohort<'a> {
    software: SoftwareKind,
    device_type: DeviceType,
    /// Manufacturer and model, for software that is made for them.
    product: Option<(&'a str, &'a str)>,
}

/// A core device is superseded when it is down for so long while another core device of its room is up.
const SUPERSEDED_AFTER: Duration = Duration::from_hours(168);

impl<'a> Fleet<'a> {
    pub fn at(snapshot: &'a Snapshot, now: Timestamp) -> Self {
        let mut until = Horizon { now, next: None };
        let (list_expiry, detail_expiry) =
            (snapshot.expiry(Collector::Devices), snapshot.expiry(Collector::DeviceHealth));
        let rows = snapshot.devices.rows.values().filter(|row| until.holds(row.seen_at, list_expiry));
        let rows: Vec<_> = rows.collect();
        let mut devices = Vec::with_capacity(rows.len());
        for row in rows {
            let memory = snapshot.memory.devices.get(&row.device.id).map(|memory| &**memory);
            let home = memory.and_then(|memory| memory.home.as_deref());
            let reading = snapshot.details.get(&row.device.id);
            devices.push(FleetDevice {
                device: &row.device,
                memory,
                room: home.and_then(|home| room_of(snapshot, home)),
                room_index: None,
                reading: reading.filter(|reading| until.holds(reading.read_at, detail_expiry)),
                superseded: false,
            });
        }
        let rooms = rooms_of(snapshot, &devices, &mut until);
        for (room_index, room) in rooms.iter().enumerate() {
            for index in &room.members {
                if let Some(device) = devices.get_mut(*index) {
                    device.room_index = Some(room_index);
                }
            }
        }
        let superseded = superseded(&devices, &rooms, &mut until);
        for index in superseded {
            if let Some(device) = devices.get_mut(index) {
                device.superseded = true;
            }
        }
        let frozen = is_frozen(snapshot, now, &mut until);
        Self { now, devices, rooms, frozen, until: until.next, cohorts: OnceLock::new() }
    }

    pub fn members<'f>(&'f self, room: &'f FleetRoom<'_>) -> impl Iterator<Item = &'f FleetDevice<'a>> {
        room.members.iter().filter_map(|index| self.devices.get(*index))
    }

    /// The room that a device belongs to, with all that is known of it.
    pub fn room_of(&self, device: &FleetDevice<'_>) -> Option<&FleetRoom<'a>> {
        self.rooms.get(device.room_index?)
    }

    /// Whether somebody meets in the room, as a core device or a call of its account tells; `None` where none does.
    pub fn in_use(&self, room: &FleetRoom<'_>) -> Option<bool> {
        let core = self.members(room).filter(|device| device.role() == Role::Core && !device.superseded);
        let core = core.filter(|_| !self.frozen);
        let activity =
            core.map(|device| device.device.activity).filter(|activity| *activity != Activity::Unknown);
        let in_call = room.presence.and_then(|(presence, _)| presence.in_call);
        activity.map(|activity| activity == Activity::Busy).chain(in_call).max()
    }

    /// How many newer versions the device's cohort has; `None` where its version is not known.
    pub fn version_gap(&self, device: &FleetDevice<'a>, software: &Software) -> Option<usize> {
        let cohorts = self.cohorts.get_or_init(|| {
            Cohorts::new(self.devices.iter().flat_map(|device| {
                let software = device.detail().map_or(&[][..], |detail| &detail.software);
                software.iter().map(|software| (device.cohort(software.kind), Installed::from(software)))
            }))
        });
        Some(cohorts.gap(&device.cohort(software.kind), software.current.as_deref()?))
    }
}

impl<'a> FleetRoom<'a> {
    pub fn building(&self) -> Option<&'a str> {
        self.fact(|file| &file.building, |place| &place.building)
    }

    pub fn floor(&self) -> Option<&'a str> {
        self.fact(|file| &file.floor, |place| &place.floor)
    }

    pub fn city(&self) -> Option<&'a str> {
        self.fact(|file| &file.city, |place| &place.city)
    }

    pub fn country(&self) -> Option<&'a str> {
        self.fact(|file| &file.country, |place| &place.country)
    }

    /// Whose job its faults are.
    pub fn owner(&self) -> Option<&'a str> {
        let of_file = self.file.and_then(|file| file.owner.as_deref());
        of_file.or_else(|| self.site.and_then(|site| site.owner.as_deref()))
    }

    pub fn tier(&self) -> Option<&'a str> {
        self.file.and_then(|file| file.tier.as_deref())
    }

    fn fact(
        &self,
        of_file: fn(&RoomFacts) -> &Option<Arc<str>>,
        of_place: fn(&Place) -> &Option<Arc<str>>,
    ) -> Option<&'a str> {
        let told = self.file.and_then(|file| of_file(file).as_deref());
        told.or_else(|| self.place.and_then(|place| of_place(place).as_deref()))
    }
}

impl<'a> FleetDevice<'a> {
    pub fn detail(&self) -> Option<&'a Detail> {
        self.reading?.detail.as_deref()
    }

    /// Whether the device can be used; `None` where nothing tells.
    pub fn is_up(&self) -> Option<bool> {
        // A detail from before the list changed may contradict it; a new one follows.
        let current = self.reading.filter(|reading| reading.basis == Basis::from(self.device));
        let connected = current.and_then(|reading| reading.detail.as_ref()?.connection.connected);
        let signed_out = self.memory.is_some_and(DeviceMemory::signed_out);
        memory::is_up(self.device.health, connected, signed_out)
    }

    /// When it came up or went down, if that was seen or told.
    pub fn standing_since(&self) -> Option<Timestamp> {
        let up = self.is_up()?;
        let told = self.detail().filter(|detail| detail.connection.connected == Some(up));
        let told = told.and_then(|detail| detail.connection.changed);
        let standing = self.memory?.standing.filter(|standing| standing.up == up);
        let seen = standing.and_then(|standing| standing.began);
        if up { told.max(seen) } else { told.or(seen) }
    }

    pub fn role(&self) -> Role {
        self.device.device_type.role()
    }

    /// The earliest moment at which the device is known to have been down already.
    fn down_from(&self) -> Option<Timestamp> {
        if self.is_up() != Some(false) {
            return None;
        }
        let standing = self.memory.and_then(|memory| memory.standing).filter(|standing| !standing.up);
        let first_seen = standing.map(|standing| standing.first_seen);
        [self.standing_since(), first_seen].into_iter().flatten().min()
    }

    fn cohort(&self, software: SoftwareKind) -> Cohort<'a> {
        let made_for_model = matches!(software, SoftwareKind::Firmware | SoftwareKind::OperatingSystem);
        let product = (
            self.device.manufacturer.as_deref().unwrap_or_default(),
            self.device.model.as_deref().unwrap_or_default(),
        );
        Cohort { software, device_type: self.device.device_type, product: made_for_model.then_some(product) }
    }
}

impl<'a> From<&'a Software> for Installed<'a> {
    fn from(software: &'a Software) -> Self {
        Self { current: software.current.as_deref(), available: software.available.as_deref() }
    }
}

/// Whether nothing has changed for so long that the devices are not believed any more.
fn is_frozen(snapshot: &Snapshot, now: Timestamp, until: &mut Horizon) -> bool {
    let last_change = snapshot.devices.last_change(now);
    last_change.zip(snapshot.frozen_after).is_some_and(|(change, span)| !until.holds(change, span))
}

/// The room behind an alias, unless the rooms file excludes it.
fn room_of<'a>(snapshot: &'a Snapshot, alias: &str) -> Option<&'a Room> {
    let room = snapshot.memory.rooms.room(alias)?;
    (!snapshot.is_excluded(room)).then_some(room)
}

/// Every room that a device, a place, an account or the rooms file tells of.
fn rooms_of<'a>(
    snapshot: &'a Snapshot,
    devices: &[FleetDevice<'a>],
    until: &mut Horizon,
) -> Vec<FleetRoom<'a>> {
    let mut rooms: BTreeMap<&str, FleetRoom<'a>> = BTreeMap::new();
    let empty = |room| FleetRoom {
        room,
        place: None,
        file: None,
        site: None,
        in_service: true,
        presence: None,
        account: None,
        members: Vec::new(),
    };
    for (index, device) in devices.iter().enumerate() {
        if let Some(room) = device.room {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).members.push(index);
        }
    }
    let (place_expiry, account_expiry) =
        (snapshot.expiry(Collector::Places), snapshot.expiry(Collector::Accounts));
    let presence_expiry = snapshot.expiry(Collector::Presence);
    for (id, record) in snapshot.places.iter().filter(|(_, record)| until.holds(record.read_at, place_expiry))
    {
        if let Some(room) = room_of(snapshot, id) {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).place = Some(&record.value);
        }
    }
    for (id, record) in snapshot.accounts.iter() {
        if !until.holds(record.read_at, account_expiry) {
            continue;
        }
        if let Some(room) = room_of(snapshot, id) {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).account = Some(&record.value);
        }
    }
    for (id, record) in snapshot.presence.iter() {
        let Some(room) = rooms.get_mut(&**id) else { continue };
        if until.holds(record.read_at, presence_expiry) {
            room.presence = snapshot.memory.presence.get(id).map(|memory| (*record.value, *memory));
        }
    }
    for (email, facts) in snapshot.rooms_file.iter() {
        let Some(room) = room_of(snapshot, email) else { continue };
        if !facts.exclude {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).file = Some(facts);
        }
    }
    let hours = InService::at(&snapshot.sites, until.now);
    for room in rooms.values_mut() {
        let named = room.file.and_then(|file| file.site.as_deref());
        room.site = site::of_room(&snapshot.sites, named, room.building(), room.room.email.as_deref());
        room.in_service = hours.of(room.site);
    }
    until.note(hours.next_change());
    rooms.into_values().collect()
}

/// The indices of the core devices that were replaced by another of their room.
fn superseded(devices: &[FleetDevice<'_>], rooms: &[FleetRoom<'_>], until: &mut Horizon) -> Vec<usize> {
    let mut superseded = Vec::new();
    for room in rooms {
        let core = |index: &&usize| devices.get(**index).is_some_and(|device| device.role() == Role::Core);
        let cores: Vec<usize> = room.members.iter().filter(core).copied().collect();
        let up = |index: &usize| devices.get(*index).and_then(FleetDevice::is_up) == Some(true);
        if cores.len() < 2 || !cores.iter().any(up) {
            continue;
        }
        let down_from = |index: &usize| devices.get(*index).and_then(FleetDevice::down_from);
        superseded.extend(
            cores
                .into_iter()
                .filter(|index| down_from(index).is_some_and(|from| !until.holds(from, SUPERSEDED_AFTER))),
        );
    }
    superseded
}

/// Collects the next moment at which something expires.
struct Horizon {
    now: Timestamp,
    next: Option<Timestamp>,
}

impl Horizon {
    /// Whether something from `start` still holds at `now` when it lasts for `span`; notes when it ends.
    fn holds(&mut self, start: Timestamp, span: Duration) -> bool {
        let holds = self.now.since(start) <= span;
        if holds {
            self.note(Some(start.plus(span).plus(Duration::from_secs(1))));
        }
        holds
    }

    /// Notes when something changes by itself.
    fn note(&mut self, end: Option<Timestamp>) {
        self.next = self.next.into_iter().chain(end).min();
    }
}

/// The room's name, for a label that is empty where the device belongs to none.
pub fn room_name(room: Option<&Room>) -> Arc<str> {
    room.map_or_else(|| "".into(), |room| room.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{Account, Health};
    use crate::model::identity::Trust;
    use crate::model::listing::tests::device;
    use crate::model::memory::{Moment, Sighting};

    const DAY: i64 = 86_400;

    fn core(id: &str, health: Health) -> Arc<Device> {
        let account = Account { id: None, name: None, email: Some("oslo@contoso.example".into()) };
        Arc::new(Device { health, account: Some(account), ..(*device(id, DeviceType::TeamsRoom)).clone() })
    }

    fn observe(snapshot: &mut Snapshot, devices: &[Arc<Device>], seconds: i64) {
        let now = Timestamp::from_seconds(seconds);
        Arc::make_mut(&mut snapshot.devices).take(devices, now);
        let sighting = |device: &Arc<Device>| Sighting { value: device.clone(), last_read: Some(now) };
        let sightings: Vec<_> = devices.iter().map(sighting).collect();
        Arc::make_mut(&mut snapshot.memory).observe_devices(
            &sightings,
            Trust::UntilListed,
            Moment { now, expiry: Duration::from_mins(30) },
        );
    }

    #[track_caller]
    fn check_superseded(snapshot: &Snapshot, seconds: i64, expected: &[&str]) {
        let fleet = Fleet::at(snapshot, Timestamp::from_seconds(seconds));
        let superseded: Vec<&str> =
            fleet.devices.iter().filter(|d| d.superseded).map(|d| &*d.device.id).collect();
        assert_eq!(superseded, expected);
    }

    #[test]
    fn a_core_device_down_for_a_week_beside_a_living_one_is_superseded() {
        let mut snapshot = Snapshot::default();
        observe(&mut snapshot, &[core("old", Health::Offline), core("new", Health::Healthy)], 0);
        check_superseded(&snapshot, 7 * DAY, &[]);
        check_superseded(&snapshot, 7 * DAY + 1, &["old"]);
        let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(DAY));
        assert_eq!(fleet.until, Some(Timestamp::from_seconds(7 * DAY + 1)), "the picture changes by itself");
        observe(&mut snapshot, &[core("new", Health::Offline)], 8 * DAY);
        check_superseded(&snapshot, 8 * DAY, &[]);
    }

    #[test]
    fn both_devices_make_one_room() {
        let mut snapshot = Snapshot::default();
        observe(&mut snapshot, &[core("old", Health::Offline), core("new", Health::Healthy)], 0);
        let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
        let [room] = &fleet.rooms[..] else { panic!("one room, not {}", fleet.rooms.len()) };
        assert_eq!((&*room.room.id, fleet.members(room).count()), ("oslo@contoso.example", 2));
    }
}
