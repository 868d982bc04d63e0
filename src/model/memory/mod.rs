//! What outlives a reading: the home of a device, since-times, and the events that monitoring waits for.
//!
//! Kept across restarts, except the counters: a restored counter that lost its last minutes would read as a
//! giant increase.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::detail::{Detail, Link, Login, Reading, Slot, SoftwareKind};
use crate::model::device::{Device, Health, Role};
use crate::model::identity::{Claim, Parted, Registry, Trust, United};
use crate::model::presence::{Availability, Presence};
use crate::model::product_names::ProductNames;
use crate::model::room::RoomState;
use crate::model::sight::{Grounds, Sight};
use crate::model::stamp::Stamps;
use crate::model::standing::{Evidence, Standing};
use crate::model::{State, Timestamp, shared};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub devices: BTreeMap<Arc<str>, Arc<DeviceMemory>>,
    pub rooms: Arc<Registry>,
    /// By room id.
    #[serde(default)]
    pub presence: BTreeMap<Arc<str>, PresenceMemory>,
    /// Of the rooms that are there, by room id.
    #[serde(default)]
    pub states: BTreeMap<Arc<str>, StateMemory>,
    /// The meaning of Graph's time stamps, as learned.
    #[serde(default)]
    pub stamps: Arc<Stamps>,
    /// Learned from Intune.
    #[serde(default)]
    pub product_names: ProductNames,
    /// The last pause; what was read before it tells nothing about when something changed.
    #[serde(skip)]
    paused_at: Option<Timestamp>,
    /// The rooms that a device left since the last listing ended: it may have named them.
    #[serde(skip)]
    left: BTreeSet<Arc<str>>,
}

/// How the state of a room came to be what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateMemory {
    pub state: RoomState,
    grounds: Grounds,
    /// When it began, if the exporter saw it begin.
    pub since: Option<Timestamp>,
}

/// How the presence of a room account came to be what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PresenceMemory {
    /// Anything but offline; `None` until one was known.
    online: Option<bool>,
    /// When it went on- or offline, if the exporter saw it.
    pub online_since: Option<Timestamp>,
    /// Polls in a row that said offline, counted to [`OFFLINE_POLLS`].
    pub offline_polls: u8,
    /// When it was last seen otherwise than offline: some accounts never show a presence.
    pub seen_online: Option<Timestamp>,
    in_call: bool,
    /// When the present call began, if the exporter saw it begin.
    pub call_since: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceMemory {
    /// The room of the account signed in, after sign-out of the last one seen.
    #[serde(default, deserialize_with = "shared::optional")]
    pub home: Option<Arc<str>>,
    pub health: Option<Health>,
    /// When the present health began, if the exporter saw it begin.
    pub health_since: Option<Timestamp>,
    /// Up or down, as of the votes on the room.
    pub standing: Option<Standing>,
    /// Polls in a row without an account, counted to [`SIGNED_OUT_POLLS`], after one had been signed in.
    pub signed_out_polls: u8,
    /// The last known value of each link that the detail reports.
    links: Vec<(Link, bool)>,
    /// The time at which the exporter saw a link change to its present value.
    #[serde(default)]
    link_since: Vec<(Link, Timestamp)>,
    pub software: Vec<(SoftwareKind, SoftwareMemory)>,
    /// Since when the device is no longer listed.
    gone_since: Option<Timestamp>,
    #[serde(skip)]
    changes: [u64; Signal::ALL.len()],
    /// The time at which the counters were all 0.
    #[serde(skip)]
    pub counted_since: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SoftwareMemory {
    #[serde(default, deserialize_with = "shared::optional")]
    current: Option<Arc<str>>,
    update_available: Option<bool>,
    /// When the exporter saw the installed version change.
    pub changed: Option<Timestamp>,
    /// When the exporter saw an update become available.
    pub pending_since: Option<Timestamp>,
}

/// A monitored event: the label `signal` of `teams_rooms_state_changes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Health,
    Connection,
    Teams,
    Exchange,
    Skype,
    RoomCamera,
    ContentCamera,
    Microphone,
    Speaker,
    CommunicationSpeaker,
    Display,
}

/// One change of one signal, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub device_id: Arc<str>,
    pub room: Option<Arc<str>>,
    pub signal: Signal,
    /// Which of several: `display_2`; else the signal's own name.
    pub subject: String,
    pub from: &'static str,
    pub to: &'static str,
}

/// Something that was read now, and the reading before.
#[derive(Clone, Debug)]
pub struct Sighting<T> {
    pub value: T,
    pub last_read: Option<Timestamp>,
}

/// When a source was read.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub now: Timestamp,
    /// A reading that is older than this says nothing about when something changed since.
    pub expiry: Duration,
}

/// The details that are held, by device id, and how long each of them counts.
#[derive(Clone, Copy, Debug)]
pub struct Readings<'a> {
    pub held: &'a BTreeMap<Arc<str>, Reading>,
    pub expiry: Duration,
}

/// When a change was seen, and when it happened if that is the same.
#[derive(Clone, Copy, Debug)]
struct Change {
    now: Timestamp,
    began: Option<Timestamp>,
}

/// A signed-out device counts as such at the second poll; a restart signs it out for a moment.
pub const SIGNED_OUT_POLLS: u8 = 2;

/// A room account that is offline counts as such at the second poll.
pub const OFFLINE_POLLS: u8 = 2;

/// A device or presence that is not read for so long is forgotten; until then a return finds its room and counters again.
pub const FORGET_AFTER: Duration = Duration::from_hours(2160);

impl Memory {
    /// Takes devices of the list. `trust` is in the accounts on core, console and panel devices.
    pub fn observe_devices(
        &mut self,
        devices: &[Sighting<Arc<Device>>],
        readings: Readings<'_>,
        trust: Trust,
        moment: Moment,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for Sighting { value: device, last_read } in devices {
            let change = self.change(*last_read, moment);
            let mut memory = self.devices.get(&device.id).map(|known| (**known).clone()).unwrap_or_default();
            let left = memory.settle_home(device, trust, &mut self.rooms);
            self.left.extend(left);
            memory.observe_health(device, change, &mut events);
            memory.observe_standing(device, readings, &self.stamps, change);
            self.keep(&device.id, memory, moment.now, &mut events);
        }
        events
    }

    /// Takes the details of these listed devices as they were just read. The expiry of details is that of the moment.
    pub fn observe_details(
        &mut self,
        devices: &[Sighting<Arc<Device>>],
        held: &BTreeMap<Arc<str>, Reading>,
        moment: Moment,
    ) -> Vec<Event> {
        let (mut events, nothing) = (Vec::new(), Detail::default());
        let readings = Readings { held, expiry: moment.expiry };
        for Sighting { value: device, last_read } in devices {
            let change = self.change(*last_read, moment);
            let mut memory = self.devices.get(&device.id).map(|known| (**known).clone()).unwrap_or_default();
            let detail = held.get(&device.id).and_then(|reading| reading.detail.as_deref());
            let detail = detail.unwrap_or(&nothing);
            memory.observe_links(&device.id, detail, change, &mut events);
            memory.observe_software(detail, change);
            memory.observe_standing(device, readings, &self.stamps, change);
            self.keep(&device.id, memory, moment.now, &mut events);
        }
        events
    }

    /// Takes presences, by room id.
    pub fn observe_presences(&mut self, presences: &[Sighting<(Arc<str>, Presence)>], moment: Moment) {
        for Sighting { value: (room_id, presence), last_read } in presences {
            let change = self.change(*last_read, moment);
            self.presence.entry(room_id.clone()).or_default().observe(*presence, change);
        }
    }

    /// Takes a look at all rooms; `watched` if it follows close on another.
    pub fn observe_states(
        memory: &mut Arc<Self>,
        sights: &BTreeMap<Arc<str>, Sight>,
        watched: bool,
        now: Timestamp,
    ) {
        let began = watched.then_some(now);
        let state = |(id, sight): (&Arc<str>, &Sight)| {
            (id.clone(), StateMemory::after(memory.states.get(id).copied(), *sight, began))
        };
        let states: BTreeMap<_, _> = sights.iter().map(state).collect();
        if states != memory.states {
            Arc::make_mut(memory).states = states;
        }
    }

    /// Drops what is kept of people who are or were signed in on a device.
    pub fn forget_people(&mut self) {
        Registry::forget_people(&mut self.rooms);
        let rooms = &self.rooms;
        let is_lost =
            |memory: &DeviceMemory| memory.home.as_deref().is_some_and(|home| rooms.by_id(home).is_none());
        for memory in self.devices.values_mut().filter(|memory| is_lost(memory)) {
            Arc::make_mut(memory).home = None;
        }
    }

    /// A room proved to be another: what is remembered of it follows.
    pub fn follow_united_room(&mut self, old: &str, id: &Arc<str>) {
        if let Some(memory) = self.presence.remove(old) {
            self.presence.entry(id.clone()).or_insert(memory);
        }
        if let Some(memory) = self.states.remove(old) {
            let kept = self.states.entry(id.clone()).or_insert(memory);
            if kept.state == RoomState::Unknown {
                *kept = memory; // no source has spoken of that half
            }
        }
    }

    /// The devices of rooms that proved to be others.
    pub fn follow_homes(&mut self, united: &[United]) {
        let ids: BTreeMap<&str, &Arc<str>> = united.iter().map(|one| (&*one.gone, &one.id)).collect();
        for memory in self.devices.values_mut() {
            if let Some(id) = memory.home.as_deref().and_then(|home| ids.get(home)) {
                Arc::make_mut(memory).home = Some((*id).clone());
            }
        }
    }

    /// Two rooms had been treated as one: what is remembered of the account, and its devices, leave the shared id.
    pub fn follow_parted_room(&mut self, parted: &Parted) {
        if let Some(memory) = self.presence.remove(&parted.shared) {
            self.presence.insert(parted.account.clone(), memory);
        }
        let is_home = |memory: &DeviceMemory| memory.home.as_ref() == Some(&parted.shared);
        for memory in self.devices.values_mut().filter(|memory| is_home(memory)) {
            Arc::make_mut(memory).home = Some(parted.account.clone());
        }
    }

    /// Notes devices that are no longer listed, and forgets those gone for long.
    pub fn part_with(&mut self, gone: &[Arc<str>], now: Timestamp) {
        for id in gone {
            if let Some(memory) = self.devices.get_mut(id) {
                self.left.extend(memory.home.clone());
                Arc::make_mut(memory).gone_since = Some(now);
            }
        }
        self.devices.retain(|_, memory| memory.gone_since.is_none_or(|gone| now.since(gone) < FORGET_AFTER));
    }

    /// Remembers no more than so many devices; those that are gone for longest are forgotten first.
    pub fn forget_beyond(&mut self, most: usize) {
        let beyond = self.devices.len().saturating_sub(most);
        if beyond == 0 {
            return;
        }
        let gone = self.devices.iter().filter_map(|(id, memory)| Some((memory.gone_since?, id.clone())));
        let mut gone: Vec<_> = gone.collect();
        gone.sort_unstable();
        for (_, id) in gone.iter().take(beyond) {
            self.devices.remove(id);
        }
    }

    /// Names the rooms that devices have left by those that are still in them; a listing has ended with these devices.
    pub fn rename_left_rooms<'d>(&mut self, listed: impl Iterator<Item = &'d Arc<Device>>) {
        if self.left.is_empty() {
            return;
        }
        let left = std::mem::take(&mut self.left);
        let left: BTreeSet<Arc<str>> =
            left.iter().filter_map(|id| Some(self.rooms.by_id(id)?.id.clone())).collect();
        let mut staying: BTreeMap<&Arc<str>, Vec<Claim<'_>>> =
            left.iter().map(|id| (id, Vec::new())).collect();
        for device in listed {
            let home = self.devices.get(&device.id).and_then(|memory| memory.home.as_deref());
            let room = home.and_then(|home| self.rooms.by_id(home));
            let claims = room.and_then(|room| staying.get_mut(&room.id));
            if let Some((claims, claim)) = claims.zip(Claim::of_device(device, Trust::UnlessPerson)) {
                claims.push(claim);
            }
        }
        for (id, claims) in staying {
            Registry::name_by(&mut self.rooms, id, &claims);
        }
    }

    /// Since-times are unknown after a pause until the next change.
    pub fn lose_track(&mut self, now: Timestamp) {
        self.paused_at = Some(now);
        for memory in self.devices.values_mut() {
            let memory = Arc::make_mut(memory);
            memory.health_since = None;
            if let Some(standing) = &mut memory.standing {
                standing.began = None;
            }
            // Details are read in turn: what changed in the pause may be seen long after it.
            memory.software.clear();
            memory.link_since.clear();
        }
        for presence in self.presence.values_mut() {
            (presence.online_since, presence.call_since) = (None, None);
        }
        for state in self.states.values_mut() {
            state.since = None;
        }
    }

    fn change(&self, last_read: Option<Timestamp>, moment: Moment) -> Change {
        Change { now: moment.now, began: self.began(last_read, moment) }
    }

    /// When a change that is seen now happened, if it was watched for since the last reading.
    pub fn began(&self, last_read: Option<Timestamp>, moment: Moment) -> Option<Timestamp> {
        let watched = last_read.is_some_and(|last| {
            moment.now.since(last) <= moment.expiry && self.paused_at.is_none_or(|paused| last > paused)
        });
        watched.then_some(moment.now)
    }

    /// Stores a device's memory, and names the room in its events; an unchanged one keeps its place in memory.
    fn keep(&mut self, id: &Arc<str>, mut memory: DeviceMemory, now: Timestamp, events: &mut [Event]) {
        memory.gone_since = None;
        memory.counted_since.get_or_insert(now);
        let room =
            memory.home.as_deref().and_then(|home| self.rooms.room(home)).map(|room| room.name.clone());
        for event in events.iter_mut().filter(|event| event.device_id == *id) {
            event.room.clone_from(&room);
        }
        if self.devices.get(id).is_none_or(|known| **known != memory) {
            memory.links.shrink_to_fit();
            memory.link_since.shrink_to_fit();
            memory.software.shrink_to_fit();
            self.devices.insert(id.clone(), Arc::new(memory));
        }
    }
}

impl StateMemory {
    /// What a look leaves; a change since the last began at `began`, unless it came with another source.
    fn after(last: Option<Self>, sight: Sight, began: Option<Timestamp>) -> Self {
        let Sight { state, grounds, .. } = sight;
        let since = match last {
            Some(last) if last.state == state => last.since,
            Some(last) if last.grounds == grounds => began,
            _ => None,
        };
        Self { state, grounds, since }
    }
}

impl PresenceMemory {
    fn observe(&mut self, presence: Presence, change: Change) {
        let online = match presence.availability {
            Availability::Unknown => return,
            availability => availability != Availability::Offline,
        };
        // Nobody knows for how long the first presence has been what it is.
        let began = self.online.and(change.began);
        if self.online != Some(online) {
            (self.online, self.online_since) = (Some(online), began);
        }
        self.offline_polls = if online { 0 } else { (self.offline_polls + 1).min(OFFLINE_POLLS) };
        self.seen_online = if online { Some(change.now) } else { self.seen_online };
        let in_call = presence.in_call == Some(true);
        if self.in_call != in_call {
            self.in_call = in_call;
            self.call_since = began.filter(|_| in_call);
        }
    }
}

impl DeviceMemory {
    /// The change counter of each signal that the device has.
    pub fn changes(&self) -> impl Iterator<Item = (Signal, u64)> + '_ {
        let has = |signal: Signal| {
            signal == Signal::Health || self.links.iter().any(|(link, _)| link.signal() == Some(signal))
        };
        Signal::ALL.iter().zip(self.changes).filter(move |(signal, _)| has(**signal)).map(|(s, n)| (*s, n))
    }

    pub fn software(&self, kind: SoftwareKind) -> Option<&SoftwareMemory> {
        self.software.iter().find(|(known, _)| *known == kind).map(|(_, memory)| memory)
    }

    /// The time at which the exporter saw a link change to its present value.
    pub fn link_since(&self, link: Link) -> Option<Timestamp> {
        self.link_since.iter().find(|(known, _)| *known == link).map(|(_, since)| *since)
    }

    pub fn signed_out(&self) -> bool {
        self.signed_out_polls >= SIGNED_OUT_POLLS
    }

    /// Finds the room of the account that is signed in; returns the room that the device left for it.
    fn settle_home(&mut self, device: &Device, trust: Trust, rooms: &mut Arc<Registry>) -> Option<Arc<str>> {
        let Some(account) = &device.account else {
            if self.home.is_some() {
                self.signed_out_polls = (self.signed_out_polls + 1).min(SIGNED_OUT_POLLS);
            }
            return None;
        };
        self.signed_out_polls = 0;
        let names = || account.id.iter().chain(&account.email);
        let is_trusted =
            trust == Trust::Always || (trust == Trust::UnlessPerson && !rooms.is_person(names()));
        let home = if is_trusted && device.device_type.role() != Role::Other {
            Claim::of_device(device, trust).and_then(|claim| Registry::assign(rooms, &claim))
        } else {
            rooms.known_as(names()).map(|room| room.id.clone())
        };
        if home.is_none() && names().next().is_none() {
            return None; // nobody knows whose account it is
        }
        let left = std::mem::replace(&mut self.home, home);
        left.filter(|left| self.home.as_ref() != Some(left))
    }

    fn observe_health(&mut self, device: &Device, change: Change, events: &mut Vec<Event>) {
        if device.health != Health::Unknown {
            if let Some(before) = self.health.filter(|before| *before != device.health) {
                self.health_since = change.began;
                let subject = Signal::Health.label().to_owned();
                self.count(
                    &device.id,
                    Signal::Health,
                    subject,
                    before.label(),
                    device.health.label(),
                    events,
                );
            }
            self.health = Some(device.health);
        }
    }

    fn observe_links(&mut self, id: &Arc<str>, detail: &Detail, change: Change, events: &mut Vec<Event>) {
        let is_reported = |link: Link| detail.links().any(|(known, _)| known == link);
        self.links.retain(|(link, _)| is_reported(*link));
        self.link_since.retain(|(link, _)| is_reported(*link));
        for (link, connected) in detail.links().filter_map(|(link, now)| Some((link, now.connected?))) {
            match self.links.iter_mut().find(|(known, _)| *known == link) {
                None => self.links.push((link, connected)),
                Some((_, before)) if *before != connected => {
                    *before = connected;
                    self.link_since.retain(|(known, _)| *known != link);
                    self.link_since.extend(change.began.map(|began| (link, began)));
                    if let Some(signal) = link.signal() {
                        self.count(id, signal, link.subject(), word(!connected), word(connected), events);
                    }
                }
                Some(_) => {}
            }
        }
        self.links.sort_unstable_by_key(|(link, _)| *link);
    }

    fn observe_software(&mut self, detail: &Detail, change: Change) {
        self.software.retain(|(kind, _)| detail.software.iter().any(|software| software.kind == *kind));
        for software in &detail.software {
            let known = self.software.iter().position(|(kind, _)| *kind == software.kind);
            let mut memory = known.map(|at| self.software.swap_remove(at).1).unwrap_or_default();
            if memory.current.is_some() && software.current.is_some() && memory.current != software.current {
                memory.changed = change.began;
            }
            match (memory.update_available, software.update_available) {
                (Some(false), Some(true)) => memory.pending_since = change.began,
                (_, Some(false)) => memory.pending_since = None,
                _ => {}
            }
            memory.current = software.current.clone().or(memory.current);
            memory.update_available = software.update_available.or(memory.update_available);
            self.software.push((software.kind, memory));
        }
        self.software.sort_unstable_by_key(|(kind, _)| *kind);
    }

    fn observe_standing(&mut self, device: &Device, readings: Readings<'_>, stamps: &Stamps, change: Change) {
        let reading = readings.held.get(&device.id);
        let current = reading.filter(|reading| change.now.since(reading.read_at) <= readings.expiry);
        let evidence = Evidence { device, reading: current, signed_out: self.signed_out(), stamps };
        let Some(up) = evidence.is_up() else { return };
        if self.standing.is_none_or(|standing| standing.up != up) {
            // A detail that expired is no event: nobody knows when the device ceased to be what it said.
            let is_seen = current.is_some() || Evidence { reading, ..evidence }.is_up() == Some(up);
            let began = self.standing.and(change.began).filter(|_| is_seen);
            self.standing = Some(Standing { up, first_seen: change.now, began });
        }
    }

    fn count(
        &mut self,
        id: &Arc<str>,
        signal: Signal,
        subject: String,
        from: &'static str,
        to: &'static str,
        events: &mut Vec<Event>,
    ) {
        for (counted, changes) in Signal::ALL.iter().zip(&mut self.changes) {
            *changes += u64::from(*counted == signal);
        }
        events.push(Event { device_id: id.clone(), room: None, signal, subject, from, to });
    }
}

fn word(connected: bool) -> &'static str {
    if connected { "connected" } else { "disconnected" }
}

impl Link {
    fn signal(self) -> Option<Signal> {
        Some(match self {
            Self::Connection => Signal::Connection,
            Self::Login(Login::Exchange) => Signal::Exchange,
            Self::Login(Login::Teams) => Signal::Teams,
            Self::Login(Login::Skype) => Signal::Skype,
            Self::Peripheral(Slot::RoomCamera) => Signal::RoomCamera,
            Self::Peripheral(Slot::ContentCamera) => Signal::ContentCamera,
            Self::Peripheral(Slot::Microphone) => Signal::Microphone,
            Self::Peripheral(Slot::Speaker) => Signal::Speaker,
            Self::Peripheral(Slot::CommunicationSpeaker) => Signal::CommunicationSpeaker,
            Self::Peripheral(Slot::Display(_)) => Signal::Display,
            Self::Peripheral(Slot::HdmiIngest | Slot::Compute) => return None,
        })
    }

    fn subject(self) -> String {
        match self {
            Self::Connection => Signal::Connection.label().to_owned(),
            Self::Login(login) => login.label().to_owned(),
            Self::Peripheral(slot) => slot.label().into_owned(),
        }
    }
}

impl State for Signal {
    const ALL: &'static [Self] = &[
        Self::Health,
        Self::Connection,
        Self::Teams,
        Self::Exchange,
        Self::Skype,
        Self::RoomCamera,
        Self::ContentCamera,
        Self::Microphone,
        Self::Speaker,
        Self::CommunicationSpeaker,
        Self::Display,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Connection => "connection",
            Self::Teams => "teams",
            Self::Exchange => "exchange",
            Self::Skype => "skype",
            Self::RoomCamera => "room_camera",
            Self::ContentCamera => "content_camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::CommunicationSpeaker => "communication_speaker",
            Self::Display => "display",
        }
    }
}

#[cfg(test)]
mod tests;
