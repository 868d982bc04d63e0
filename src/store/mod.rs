//! The last good picture of each tenant. Readers get a cheap copy; parts are replaced whole, through named methods only.
//!
//! A failed poll never removes data, it only lets it age.

pub mod storage;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, Status};
use crate::model::credential::{CLIENT_SECRET, Credential};
use crate::model::detail::{Basis, Detail, Reading};
use crate::model::device::Device;
use crate::model::identity::{Claim, Registry, Trust};
use crate::model::incident::{Event as IncidentEvent, Receipt, Reporter};
use crate::model::listing::{Census, Settled};
use crate::model::managed_device::ManagedDevice;
use crate::model::memory::{Event, Memory, Moment, Sighting};
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::record::{Record, Records};
use crate::model::rooms_file::Rooms;
use crate::model::service_health::ServiceHealth;
use crate::model::sight::Sight;
use crate::model::{Snapshot, Timestamp};

/// A listing with a smaller share of the records held than this takes none away; they age.
const BELIEVED_PERCENT: usize = 80;

/// What is held of one tenant.
pub struct Store {
    cell: watch::Sender<Snapshot>,
}

impl Store {
    pub fn new(mut snapshot: Snapshot) -> Self {
        forget_unobservable(&mut snapshot);
        Self { cell: watch::Sender::new(snapshot) }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.cell.borrow().clone()
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.cell.subscribe()
    }

    /// Takes a page of listed devices. `trust` is in the accounts signed in on room devices.
    pub fn take_devices(&self, devices: &[Arc<Device>], trust: Trust, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let rows = &snapshot.devices.rows;
            let sighting = |device: &Arc<Device>| Sighting {
                value: device.clone(),
                last_read: rows.get(&device.id).map(|row| row.seen_at),
            };
            let sightings: Vec<_> = devices.iter().map(sighting).collect();
            let moment = Moment { now, expiry: snapshot.expiry(Collector::Devices) };
            Arc::make_mut(&mut snapshot.devices).take(devices, now);
            Arc::make_mut(&mut snapshot.memory).observe_devices(&sightings, trust, moment)
        })
    }

    /// Ends a listing: devices that a complete listing no longer has leave, or are held.
    pub fn settle_devices(&self, census: &Census, now: Timestamp) -> Settled {
        self.change(|snapshot| {
            let settled = Arc::make_mut(&mut snapshot.devices).settle(census);
            if !settled.removed.is_empty() {
                let details = Arc::make_mut(&mut snapshot.details);
                details.retain(|id, _| snapshot.devices.rows.contains_key(id));
            }
            Arc::make_mut(&mut snapshot.memory).part_with(&settled.removed, now);
            settled
        })
    }

    /// Takes details that were read; `None` is a device of which Graph reports none.
    pub fn take_details(&self, found: Vec<(Arc<Device>, Option<Arc<Detail>>)>, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let moment = Moment { now, expiry: snapshot.expiry(Collector::DeviceHealth) };
            let details = Arc::make_mut(&mut snapshot.details);
            let mut read = Vec::with_capacity(found.len());
            for (asked, detail) in found {
                // The list may have moved on while the detail was read.
                let Some(row) = snapshot.devices.rows.get(&asked.id) else { continue };
                let device = row.device.clone();
                let held = details.get_mut(&device.id).filter(|held| held.detail.is_some() && !held.denied);
                if let (None, Some(held)) = (&detail, held) {
                    held.denied = true;
                    continue;
                }
                let basis = Basis::from(&*asked);
                let reading = Reading { read_at: now, basis, detail: detail.clone(), denied: false };
                let last_read = details.insert(device.id.clone(), reading).map(|last| last.read_at);
                read.extend(detail.map(|detail| Sighting { value: (device, detail), last_read }));
            }
            Arc::make_mut(&mut snapshot.memory).observe_details(&read, moment)
        })
    }

    /// Takes the presences of rooms, by room id.
    pub fn take_presences(&self, presences: Vec<(Arc<str>, Presence)>, now: Timestamp) {
        self.change(|snapshot| {
            let moment = Moment { now, expiry: snapshot.expiry(Collector::Presence) };
            let records = Arc::make_mut(&mut snapshot.presence);
            let mut sightings = Vec::with_capacity(presences.len());
            for (room_id, presence) in presences {
                let last = records.insert(room_id.clone(), Record::new(presence, now));
                let last_read = last.map(|last| last.read_at);
                sightings.push(Sighting { value: (room_id, presence), last_read });
            }
            Arc::make_mut(&mut snapshot.memory).observe_presences(&sightings, moment);
        });
    }

    /// Takes the calendars of rooms, by room id.
    pub fn take_calendars(&self, calendars: Vec<(Arc<str>, Calendar)>, now: Timestamp) {
        self.change(|snapshot| {
            let records = Arc::make_mut(&mut snapshot.calendar);
            records.extend(
                calendars.into_iter().map(|(room_id, calendar)| (room_id, Record::new(calendar, now))),
            );
        });
    }

    /// Takes a listing of places. A `complete` one that has most of the rooms held is believed about those it lacks;
    /// `whole`, which may have unreadable rooms in it, about who is no room at all.
    pub fn take_places(&self, places: Vec<Place>, whole: bool, complete: bool, now: Timestamp) {
        self.change(|snapshot| {
            let memory = Arc::make_mut(&mut snapshot.memory);
            let mut records = Records::new();
            for place in places {
                if let Some(room_id) = Registry::assign(&mut memory.rooms, &Claim::from(&place)) {
                    records.insert(room_id, Record::new(place, now));
                }
            }
            if whole && !records.is_empty() {
                Registry::note_listing(&mut memory.rooms);
            }
            let fell = records.len() * 100 < snapshot.places.len() * BELIEVED_PERCENT;
            if !complete || fell {
                for (room_id, held) in snapshot.places.iter() {
                    records.entry(room_id.clone()).or_insert_with(|| held.clone());
                }
            }
            snapshot.places = Arc::new(records);
            forget_unobservable(snapshot);
        });
    }

    /// Takes the rooms file: whoever stands in it is a room, unless it is excluded.
    pub fn take_rooms_file(&self, rooms: Rooms) {
        self.change(|snapshot| {
            let memory = Arc::make_mut(&mut snapshot.memory);
            for email in rooms.iter().filter(|(_, facts)| !facts.exclude).map(|(email, _)| email) {
                Registry::assign(&mut memory.rooms, &Claim::of_file(email));
            }
            snapshot.rooms_file = Arc::new(rooms);
            forget_unobservable(snapshot);
        });
    }

    /// Takes devices of rooms that Intune manages, by its id of each.
    pub fn take_managed_devices(&self, devices: Vec<(Arc<str>, ManagedDevice)>, now: Timestamp) {
        if devices.is_empty() {
            return; // pages and pages of laptops
        }
        self.change(|snapshot| {
            let records = devices.into_iter().map(|(id, device)| (id, Record::new(device, now)));
            Arc::make_mut(&mut snapshot.intune).extend(records);
        });
    }

    /// Ends a complete listing of managed devices: those that it lacks leave; where it lacks many, once they have expired.
    pub fn settle_managed_devices(&self, seen: &HashSet<Arc<str>>, now: Timestamp) {
        self.change(|snapshot| {
            let expiry = snapshot.expiry(Collector::Intune);
            let fell = seen.len() * 100 < snapshot.intune.len() * BELIEVED_PERCENT;
            let is_gone = |id: &Arc<str>, record: &Record<ManagedDevice>| {
                !seen.contains(id) && (!fell || now.since(record.read_at) > expiry)
            };
            if snapshot.intune.iter().any(|(id, record)| is_gone(id, record)) {
                Arc::make_mut(&mut snapshot.intune).retain(|id, record| !is_gone(id, record));
            }
        });
    }

    pub fn take_service_health(&self, products: Vec<(Arc<str>, ServiceHealth)>, now: Timestamp) {
        self.change(|snapshot| {
            let records = Arc::make_mut(&mut snapshot.service_health);
            for (product, health) in products {
                records.insert(product, Record::new(health, now));
            }
        });
    }

    pub fn take_secret_expiry(&self, expires: Timestamp, now: Timestamp) {
        self.change(|snapshot| {
            let secret = Record::new(Credential { expires }, now);
            Arc::make_mut(&mut snapshot.credentials).insert(CLIENT_SECRET.into(), secret);
        });
    }

    /// Takes what a portal pushed; without an event it was heard and had nothing to say.
    pub fn take_incident(&self, reporter: Reporter, event: Option<IncidentEvent>, now: Timestamp) -> Receipt {
        self.change(|snapshot| {
            let incidents = Arc::make_mut(&mut snapshot.incidents);
            let Some(event) = event else {
                incidents.note(reporter, now);
                return Receipt::Ignored;
            };
            incidents.take(reporter, event, now)
        })
    }

    pub fn update_status(&self, collector: Collector, update: impl FnOnce(&mut Status)) {
        self.change(|snapshot| {
            if let Some(status) = Arc::make_mut(&mut snapshot.status).get_mut(&collector) {
                update(status);
            }
        });
    }

    /// Takes a look at all rooms: counts the time since the one before, and notes what began.
    pub fn observe_rooms(&self, sights: &BTreeMap<Arc<str>, Sight>, now: Timestamp) {
        self.change(|snapshot| {
            let watched = Arc::make_mut(&mut snapshot.usage).observe(sights, &snapshot.sites, now);
            Memory::observe_states(&mut snapshot.memory, sights, watched, now);
        });
    }

    /// After a pause nobody knows when things changed, and how long they were what they are.
    pub fn lose_track(&self, now: Timestamp) {
        self.change(|snapshot| {
            Arc::make_mut(&mut snapshot.memory).lose_track(now);
            Arc::make_mut(&mut snapshot.usage).lose_track();
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let mut change = Some(change);
        let mut result = None;
        self.cell.send_modify(|snapshot| result = change.take().map(|change| change(snapshot)));
        result.expect("send_modify runs the closure once")
    }
}

/// Drops what tells of the use of rooms of which it may not be known, and of accounts that have proved to be none.
fn forget_unobservable(snapshot: &mut Snapshot) {
    let rooms = snapshot.memory.rooms.clone();
    let may_observe = |id: &str| rooms.room(id).is_some_and(|room| snapshot.may_observe(room));
    let held =
        snapshot.presence.keys().chain(snapshot.calendar.keys()).chain(snapshot.memory.presence.keys());
    let unobservable: HashSet<Arc<str>> = held.filter(|id| !may_observe(id)).cloned().collect();
    if unobservable.is_empty() {
        return;
    }
    let stays = |id: &Arc<str>| !unobservable.contains(id);
    Arc::make_mut(&mut snapshot.presence).retain(|id, _| stays(id));
    Arc::make_mut(&mut snapshot.calendar).retain(|id, _| stays(id));
    Arc::make_mut(&mut snapshot.memory).presence.retain(|id, _| stays(id));
}
