//! The picture of a tenant at one moment: listed devices joined with their detail, memory and room, after expiry.

mod print;

use std::collections::{BTreeMap, HashMap, btree_map};
use std::iter::Peekable;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::model::account::RoomAccount;
use crate::model::calendar::{Calendar, Occupancy};
use crate::model::collector::Collector;
use crate::model::detail::{Connection, Detail, Link, Reading, Software, SoftwareKind};
use crate::model::device::{Activity, Device, DeviceType, Role};
use crate::model::identity::Room;
use crate::model::incident::{Incident, Target};
use crate::model::managed_device::{ManagedDevice, Serials};
use crate::model::memory::{DeviceMemory, PresenceMemory, StateMemory};
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::product_names::ProductNames;
use crate::model::room::Judgement;
use crate::model::rooms_file::RoomFacts;
use crate::model::site::{self, InService, Site};
use crate::model::stamp::Stamps;
use crate::model::standing::Evidence;
use crate::model::usage::Totals;
use crate::model::version::{Cohorts, Installed};
use crate::model::{Snapshot, Timestamp, shard};
pub use print::{Prints, print};

#[derive(Debug)]
pub struct Fleet<'a> {
    pub now: Timestamp,
    /// All of the tenant, by id.
    pub devices: Vec<FleetDevice<'a>>,
    /// All of the tenant, by room id.
    pub rooms: Vec<FleetRoom<'a>>,
    /// Graph answers, but nothing in it changes any more.
    pub frozen: bool,
    /// When this picture ends by itself, because a record expires or a booking begins or ends.
    pub until: Option<Timestamp>,
    /// Open incidents that lead to no known room.
    pub incidents_without_room: usize,
    /// As configured.
    pub sites: &'a [Site],
    product_names: &'a ProductNames,
    /// Whether anything may be known of the use of a room that is not known.
    use_is_known: bool,
    cohorts: OnceLock<Cohorts<Cohort<'a>>>,
}

#[derive(Debug)]
pub struct FleetDevice<'a> {
    pub device: &'a Device,
    pub memory: Option<&'a DeviceMemory>,
    pub room: Option<&'a Room>,
    /// It is this process's business.
    own: bool,
    /// The place of that room among the fleet's.
    room_index: Option<usize>,
    /// The last reading of the detail, while it has not expired.
    pub reading: Option<&'a Reading>,
    /// Replaced by another core device of its room; counts no more.
    pub superseded: bool,
    /// What Intune last said of it, while that has not expired.
    pub managed: Option<&'a ManagedDevice>,
    /// The meaning of its time stamps.
    stamps: &'a Stamps,
    now: Timestamp,
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
    /// Whether it may be known when it is used and booked.
    pub may_observe: bool,
    /// The last answer, while it has not expired, and how it came to be.
    pub presence: Option<(Presence, PresenceMemory)>,
    /// What Intune says of a device that only the account of the room tells to be its own.
    pub managed: Option<&'a ManagedDevice>,
    /// Open, or closed a short while ago.
    pub incidents: Vec<RoomIncident<'a>>,
    /// The last answer, while it has not expired.
    pub calendar: Option<&'a Calendar>,
    /// What it says of now.
    pub occupancy: Option<Occupancy>,
    /// Its state as last looked at.
    pub memory: Option<&'a StateMemory>,
    /// The time counted since the start.
    pub totals: Option<&'a Totals>,
    /// What the directory says, while it has not expired.
    pub account: Option<&'a RoomAccount>,
    /// It is this process's business.
    own: bool,
    /// Indices into the fleet's devices.
    members: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
pub struct RoomIncident<'a> {
    pub incident: &'a Incident,
    /// It is about more than a console, a panel or a device that was replaced.
    pub concerns_core: bool,
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
        let mut memories = Beside::new(&snapshot.memory.devices);
        let mut readings = Beside::new(&snapshot.details);
        for row in rows {
            let memory = memories.get(&row.device.id).map(|memory| &**memory);
            let home = memory.and_then(|memory| memory.home.as_deref());
            let reading = readings.get(&row.device.id);
            let room = home.and_then(|home| room_of(snapshot, home));
            devices.push(FleetDevice {
                device: &row.device,
                memory,
                room,
                own: snapshot.shard.owns_device(&row.device.id, room),
                room_index: None,
                reading: reading.filter(|reading| until.holds(reading.read_at, detail_expiry)),
                superseded: false,
                managed: None,
                stamps: &snapshot.memory.stamps,
                now,
            });
        }
        let mut rooms = rooms_of(snapshot, &devices, &mut until);
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
        join_managed(snapshot, &mut devices, &mut rooms, &mut until);
        let incidents_without_room = join_incidents(snapshot, &devices, &mut rooms, &mut until);
        let frozen = is_frozen(snapshot, now, &mut until);
        let use_is_known = snapshot.privacy.allows(None);
        Self {
            now,
            devices,
            rooms,
            frozen,
            until: until.next,
            incidents_without_room,
            sites: &snapshot.sites,
            product_names: &snapshot.memory.product_names,
            use_is_known,
            cohorts: OnceLock::new(),
        }
    }

    /// The judgement on each of its rooms, in their order; none on those that are another process's business.
    pub fn judgements(&self) -> Vec<Option<Judgement>> {
        self.rooms.iter().map(|room| room.own.then(|| Judgement::of(self, room))).collect()
    }

    /// The devices that are this process's business, by id.
    pub fn own_devices(&self) -> impl Iterator<Item = &FleetDevice<'a>> {
        self.devices.iter().filter(|device| device.own)
    }

    /// The rooms that are this process's business, by id.
    pub fn own_rooms(&self) -> impl Iterator<Item = &FleetRoom<'a>> {
        self.rooms.iter().filter(|room| room.own)
    }

    pub fn members<'f>(&'f self, room: &'f FleetRoom<'_>) -> impl Iterator<Item = &'f FleetDevice<'a>> {
        room.members.iter().filter_map(|index| self.devices.get(*index))
    }

    /// The room that a device belongs to, with all that is known of it.
    pub fn room_of(&self, device: &FleetDevice<'_>) -> Option<&FleetRoom<'a>> {
        self.rooms.get(device.room_index?)
    }

    /// Whether somebody meets in the room, as a core device or a call of its account tells; `None` where none does, or it
    /// may not be known.
    pub fn in_use(&self, room: &FleetRoom<'_>) -> Option<bool> {
        if !room.may_observe {
            return None;
        }
        let core = self.members(room).filter(|device| device.role() == Role::Core && !device.superseded);
        let core = core.filter(|_| !self.frozen);
        let activity =
            core.map(|device| device.device.activity).filter(|activity| *activity != Activity::Unknown);
        let in_call = room.presence.and_then(|(presence, _)| presence.in_call);
        activity.map(|activity| activity == Activity::Busy).chain(in_call).max()
    }

    /// What the device does, where that may be known: it tells when its room is used.
    pub fn activity(&self, device: &FleetDevice<'_>) -> Option<Activity> {
        let may_observe = self.room_of(device).map_or(self.use_is_known, |room| room.may_observe);
        may_observe.then_some(device.device.activity)
    }

    /// The manufacturer as people spell it, if that was learned; empty if unknown.
    pub fn manufacturer(&self, device: &FleetDevice<'a>) -> &'a str {
        self.product_names.spelling(device.device.manufacturer.as_deref().unwrap_or_default())
    }

    /// The model as people spell it, if that was learned; empty if unknown.
    pub fn model(&self, device: &FleetDevice<'a>) -> &'a str {
        self.product_names.spelling(device.device.model.as_deref().unwrap_or_default())
    }

    /// How many newer versions the device's cohort has; `None` where its version is not known.
    pub fn version_gap(&self, device: &FleetDevice<'a>, software: &Software) -> Option<usize> {
        Some(self.cohorts().gap(&device.cohort(software.kind), software.current.as_deref()?))
    }

    fn cohorts(&self) -> &Cohorts<Cohort<'a>> {
        self.cohorts.get_or_init(|| {
            Cohorts::new(self.devices.iter().flat_map(|device| {
                let software = device.detail().map_or(&[][..], |detail| &detail.software);
                software.iter().map(|software| (device.cohort(software.kind), Installed::from(software)))
            }))
        })
    }
}

impl<'a> FleetRoom<'a> {
    /// Whether it is this process's business.
    pub fn is_own(&self) -> bool {
        self.own
    }

    pub fn place_among_all(&self) -> u32 {
        shard::place_of_room(self.room)
    }

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
    /// Whether it is this process's business.
    pub fn is_own(&self) -> bool {
        self.own
    }

    pub fn place_among_all(&self) -> u32 {
        shard::place_of_device(&self.device.id, self.room)
    }

    pub fn detail(&self) -> Option<&'a Detail> {
        self.reading?.detail.as_deref()
    }

    /// Returns true if a time in the detail has not come yet. Until it comes it is shown as now.
    fn is_ahead(&self) -> bool {
        self.detail().is_some_and(|detail| detail.links().any(|(_, link)| link.changed > Some(self.now)))
    }

    /// Whether the device can be used; `None` where nothing tells.
    pub fn is_up(&self) -> Option<bool> {
        let signed_out = self.memory.is_some_and(DeviceMemory::signed_out);
        let Self { device, reading, stamps, .. } = *self;
        Evidence { device, reading, signed_out, stamps }.is_up()
    }

    /// When it came up or went down, if that was seen or told.
    pub fn standing_since(&self) -> Option<Timestamp> {
        let up = self.is_up()?;
        let standing = self.memory?.standing.filter(|standing| standing.up == up);
        let is_current = |reading: &&Reading| standing.is_none_or(|standing| standing.covers(reading));
        let detail = self.reading.filter(is_current).and_then(|reading| reading.detail.as_ref());
        let told = detail.filter(|detail| detail.connection.connected == Some(up));
        let told = told.and_then(|detail| self.since(Link::Connection, detail.connection));
        let seen = standing.and_then(|standing| standing.began);
        if up { told.max(seen) } else { told.or(seen) }
    }

    /// When a connection took its present value: Graph's own time, unless that is a heartbeat; then the moment at which the
    /// exporter saw the change. A time that has not come yet is now.
    pub fn since(&self, link: Link, connection: Connection) -> Option<Timestamp> {
        let connected = connection.connected?;
        if self.stamps.is_beginning(self.device.device_type, link, connected) {
            connection.changed.map(|changed| changed.min(self.now))
        } else {
            self.memory?.link_since(link)
        }
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

/// The room with this id, unless the rooms file excludes it.
fn room_of<'a>(snapshot: &'a Snapshot, id: &str) -> Option<&'a Room> {
    let room = snapshot.memory.rooms.room(id)?;
    (!snapshot.is_excluded(room)).then_some(room)
}

/// The room with this address or object id, unless the rooms file excludes it.
fn room_named<'a>(snapshot: &'a Snapshot, name: &Arc<str>) -> Option<&'a Room> {
    let room = snapshot.memory.rooms.find([name])?;
    (!snapshot.is_excluded(room)).then_some(room)
}

/// Every room that a device, a place, an account or the rooms file tells of.
fn rooms_of<'a>(
    snapshot: &'a Snapshot,
    devices: &[FleetDevice<'a>],
    until: &mut Horizon,
) -> Vec<FleetRoom<'a>> {
    let mut rooms: BTreeMap<&str, FleetRoom<'a>> = BTreeMap::new();
    let empty = |room: &'a Room| FleetRoom {
        room,
        place: None,
        file: None,
        site: None,
        in_service: true,
        may_observe: snapshot.may_observe(room),
        presence: None,
        managed: None,
        incidents: Vec::new(),
        calendar: None,
        occupancy: None,
        memory: snapshot.memory.states.get(&room.id),
        totals: snapshot.usage.of(&room.id),
        account: None,
        own: snapshot.shard.owns_room(room),
        members: Vec::new(),
    };
    for (index, device) in devices.iter().enumerate() {
        if let Some(room) = device.room {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).members.push(index);
        }
    }
    let (place_expiry, account_expiry) =
        (snapshot.expiry(Collector::Places), snapshot.expiry(Collector::Accounts));
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
    for (email, facts) in snapshot.rooms_file.iter() {
        let Some(room) = room_named(snapshot, email) else { continue };
        if !facts.exclude {
            rooms.entry(&room.id).or_insert_with(|| empty(room)).file = Some(facts);
        }
    }
    join_use(snapshot, &mut rooms, until);
    let hours = InService::at(&snapshot.sites, until.now);
    for room in rooms.values_mut() {
        let named = room.file.and_then(|file| file.site.as_deref());
        room.site = site::of_room(&snapshot.sites, named, room.building(), room.room.email.as_deref());
        room.in_service = hours.of(room.site);
    }
    until.note(hours.next_change());
    rooms.into_values().collect()
}

/// Joins what tells of the use of rooms, where it may be known.
fn join_use<'a>(snapshot: &'a Snapshot, rooms: &mut BTreeMap<&str, FleetRoom<'a>>, until: &mut Horizon) {
    let [presence_expiry, calendar_expiry] =
        [Collector::Presence, Collector::Calendar].map(|one| snapshot.expiry(one));
    let (mut presences, mut calendars) = (Beside::new(&snapshot.presence), Beside::new(&snapshot.calendar));
    let mut memories = Beside::new(&snapshot.memory.presence);
    for room in rooms.values_mut().filter(|room| room.may_observe) {
        let id = &room.room.id;
        let presence = presences.get(id).filter(|record| until.holds(record.read_at, presence_expiry));
        room.presence = presence.and_then(|record| memories.get(id).map(|memory| (*record.value, *memory)));
        let calendar = calendars.get(id).filter(|record| until.holds(record.read_at, calendar_expiry));
        room.calendar = calendar.map(|record| &*record.value);
        room.occupancy = room.calendar.and_then(|calendar| calendar.at(until.now));
        until.note(room.occupancy.and_then(|occupancy| occupancy.change));
    }
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

/// Joins what Intune manages: by serial number, else by account. Of several enrolments of a device the one that synced
/// last counts; those of replaced hardware stay in Intune for long, so the account only speaks for a room of which no
/// core device is found by its serial number.
fn join_managed<'a>(
    snapshot: &'a Snapshot,
    devices: &mut [FleetDevice<'a>],
    rooms: &mut [FleetRoom<'a>],
    until: &mut Horizon,
) {
    let expiry = snapshot.expiry(Collector::Intune);
    let numbered = devices.iter().enumerate();
    let serials =
        Serials::new(numbered.map(|(index, device)| (device.device.serial_number.as_deref(), index)));
    for record in snapshot.intune.values().filter(|record| until.holds(record.read_at, expiry)) {
        let managed = &*record.value;
        let index = managed.serial_number.as_deref().and_then(|serial| serials.find(serial));
        let joined = match index.and_then(|index| devices.get_mut(index)) {
            Some(device) => &mut device.managed,
            None => match account_of(snapshot, rooms, managed) {
                Some(room) => &mut room.managed,
                None => continue,
            },
        };
        if joined.is_none_or(|other| other.last_sync <= managed.last_sync) {
            *joined = Some(managed);
        }
    }
    for room in rooms {
        let mut members = room.members.iter().filter_map(|index| devices.get(*index));
        if members.any(|device| device.managed.is_some() && device.role() == Role::Core && !device.superseded)
        {
            room.managed = None;
        }
    }
}

/// The room whose account is the primary user of a managed device.
fn account_of<'r, 'a>(
    snapshot: &Snapshot,
    rooms: &'r mut [FleetRoom<'a>],
    managed: &ManagedDevice,
) -> Option<&'r mut FleetRoom<'a>> {
    let room = room_of(snapshot, managed.room_id.as_deref()?)?;
    let index = rooms.binary_search_by(|other| other.room.id.cmp(&room.id)).ok()?;
    rooms.get_mut(index)
}

/// Gives each room its incidents; counts the open ones that lead to none. They never make a room.
fn join_incidents<'a>(
    snapshot: &'a Snapshot,
    devices: &[FleetDevice<'a>],
    rooms: &mut [FleetRoom<'a>],
    until: &mut Horizon,
) -> usize {
    let mut without_room = 0;
    let spelled =
        if snapshot.incidents.held().next().is_some() { spellings(snapshot) } else { HashMap::new() };
    for incident in snapshot.incidents.held() {
        let (from, span) = incident.shown();
        if !until.holds(from, span) {
            continue;
        }
        let mut found = BTreeMap::new();
        for target in &incident.targets {
            let id = target.device_id.as_deref().map(|id| spelled.get(id).copied().unwrap_or(id));
            if let Some((room, is_core)) = room_of_target(snapshot, devices, target, id) {
                *found.entry(&*room.id).or_insert(false) |= is_core;
            }
        }
        let mut known = false;
        for (room_id, concerns_core) in found {
            let index = rooms.binary_search_by(|room| (*room.room.id).cmp(room_id));
            if let Some(room) = index.ok().and_then(|index| rooms.get_mut(index)) {
                known = true;
                room.incidents.push(RoomIncident { incident, concerns_core });
            }
        }
        without_room += usize::from(!known && incident.is_open());
    }
    without_room
}

/// The ids of devices that Graph spells in upper case, by the lower case in which incidents name them.
fn spellings(snapshot: &Snapshot) -> HashMap<String, &str> {
    let ids = snapshot.memory.devices.keys().map(|id| &**id);
    let differing = ids.filter(|id| id.chars().any(char::is_uppercase));
    differing.map(|id| (id.to_lowercase(), id)).collect()
}

/// The room of a device that an incident names, and whether it may be the device that runs the meeting; `id` is that of the
/// device as Graph spells it.
fn room_of_target<'a>(
    snapshot: &'a Snapshot,
    devices: &[FleetDevice<'a>],
    target: &Target,
    id: Option<&str>,
) -> Option<(&'a Room, bool)> {
    let listed = id.and_then(|id| devices.binary_search_by(|device| (*device.device.id).cmp(id)).ok());
    let listed = listed.and_then(|index| devices.get(index));
    let is_core = listed.is_none_or(|device| device.role() == Role::Core && !device.superseded);
    let home = id.and_then(|id| snapshot.memory.devices.get(id)?.home.as_deref());
    let by_device = home.and_then(|home| room_of(snapshot, home));
    let room = by_device.or_else(|| room_named(snapshot, target.account.as_ref()?))?;
    Some((room, is_core))
}

/// Finds keys that come in ascending order in a map, by walking beside them.
struct Beside<'a, V>(Peekable<btree_map::Iter<'a, Arc<str>, V>>);

impl<'a, V> Beside<'a, V> {
    fn new(map: &'a BTreeMap<Arc<str>, V>) -> Self {
        Self(map.iter().peekable())
    }

    fn get(&mut self, key: &str) -> Option<&'a V> {
        while self.0.next_if(|(other, _)| ***other < *key).is_some() {}
        self.0.peek().filter(|(other, _)| ***other == *key).map(|(_, value)| *value)
    }
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

#[cfg(test)]
mod tests;
