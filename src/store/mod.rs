//! The last good picture of each tenant. Readers get a cheap copy; parts are replaced whole, through named methods only.
//!
//! A failed poll never removes data, it only lets it age.

pub mod storage;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::Span;

use crate::model::account::User;
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, Status};
use crate::model::credential::Credential;
use crate::model::detail::{Basis, Detail, Reading};
use crate::model::device::{Account, Device};
use crate::model::identity::{self, Claim, Registry, Trust};
use crate::model::incident::{Event as IncidentEvent, Receipt, Reporter};
use crate::model::license::License;
use crate::model::listing::{Census, Settled};
use crate::model::managed_device::ManagedDevice;
use crate::model::memory::{Event, FORGET_AFTER, Memory, Moment, Readings, Sighting};
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::record::{self, Record, Records};
use crate::model::rooms_file::Rooms;
use crate::model::service_health::ServiceHealth;
use crate::model::sight::Sight;
use crate::model::{Snapshot, Timestamp};

/// A listing with a smaller share of the records held than this takes none away; they age.
const BELIEVED_PERCENT: usize = 80;

/// What is held of one tenant.
pub struct Store {
    cell: watch::Sender<Snapshot>,
    /// The cycle that changed it last, until somebody asks; only for traces.
    changed_by: Mutex<Span>,
    /// Devices, managed devices and rooms that are held at most, each.
    most: usize,
}

impl Store {
    pub fn new(mut snapshot: Snapshot) -> Self {
        forget_unobservable(&mut snapshot);
        Self { cell: watch::Sender::new(snapshot), changed_by: Mutex::new(Span::none()), most: usize::MAX }
    }

    /// Holds no more than so many devices, managed devices and rooms from now on: others are left out.
    #[must_use]
    pub fn bounded(self, most: usize) -> Self {
        self.change(|snapshot| Registry::bound(&mut Arc::make_mut(&mut snapshot.memory).rooms, most));
        Self { most, ..self }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.cell.borrow().clone()
    }

    /// The span in which it was changed last, once.
    pub fn take_changed_by(&self) -> Span {
        std::mem::replace(&mut *self.changed_by.lock().unwrap_or_else(PoisonError::into_inner), Span::none())
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.cell.subscribe()
    }

    /// Takes a page of listed devices. `trust` is in the accounts signed in on room devices.
    pub fn take_devices(&self, devices: &[Arc<Device>], trust: Trust, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let rows = &snapshot.devices.rows;
            let devices = &snapshot.devices.within(devices, self.most);
            let sighting = |device: &Arc<Device>| Sighting {
                value: device.clone(),
                last_read: rows.get(&device.id).map(|row| row.seen_at),
            };
            let sightings: Vec<_> = devices.iter().map(sighting).collect();
            let moment = Moment { now, expiry: snapshot.expiry(Collector::Devices) };
            let readings =
                Readings { held: &snapshot.details, expiry: snapshot.expiry(Collector::DeviceHealth) };
            let memory = Arc::make_mut(&mut snapshot.memory);
            let events = memory.observe_devices(&sightings, readings, trust, moment);
            let rooms = &snapshot.memory.rooms;
            let kept: Vec<_> = devices.iter().map(|device| without_person(device, rooms)).collect();
            Arc::make_mut(&mut snapshot.devices).take(&kept, now);
            events
        })
    }

    /// Ends a listing: devices that a complete listing no longer has leave, or are held.
    pub fn settle_devices(&self, census: &Census, now: Timestamp) -> Settled {
        let settled = self.change(|snapshot| {
            let settled = Arc::make_mut(&mut snapshot.devices).settle(census);
            if !settled.removed.is_empty() {
                let details = Arc::make_mut(&mut snapshot.details);
                details.retain(|id, _| snapshot.devices.rows.contains_key(id));
            }
            let memory = Arc::make_mut(&mut snapshot.memory);
            memory.part_with(&settled.removed, now);
            // As many as are listed may have left before.
            memory.forget_beyond(self.most.saturating_mul(2));
            memory.rename_left_rooms(snapshot.devices.rows.values().map(|row| &row.device));
            settled
        });
        self.join_by_name();
        settled
    }

    /// Takes details that were read; `None` is a device of which Graph reports none.
    pub fn take_details(&self, found: Vec<(Arc<Device>, Option<Arc<Detail>>)>, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let moment = Moment { now, expiry: snapshot.expiry(Collector::DeviceHealth) };
            let details = Arc::make_mut(&mut snapshot.details);
            let mut read = Vec::with_capacity(found.len());
            let memory = Arc::make_mut(&mut snapshot.memory);
            let stamps = Arc::make_mut(&mut memory.stamps);
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
                let last = details.insert(device.id.clone(), reading);
                if let (Some(last), Some(detail)) = (&last, &detail)
                    && let Some(before) = &last.detail
                {
                    let moved = last.basis.is_state_of(&asked) && !last.basis.is_stamp_of(&asked);
                    stamps.learn(device.device_type, [before, detail], moved, now.since(last.read_at));
                }
                read.push(Sighting { value: device, last_read: last.map(|last| last.read_at) });
            }
            memory.observe_details(&read, details, moment)
        })
    }

    /// Takes the presences of rooms, by room id; forgets those of rooms that were not asked for for long.
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
            records.retain(|_, record| now.since(record.read_at) < FORGET_AFTER);
            let memory = Arc::make_mut(&mut snapshot.memory);
            memory.observe_presences(&sightings, moment);
            memory.presence.retain(|room_id, _| records.contains_key(room_id));
        });
    }

    /// Takes the calendars of rooms, by room id.
    pub fn take_calendars(&self, calendars: Vec<(Arc<str>, Calendar)>, now: Timestamp) {
        self.change(|snapshot| {
            let expiry = snapshot.expiry(Collector::Calendar);
            let records = Arc::make_mut(&mut snapshot.calendar);
            records.extend(
                calendars.into_iter().map(|(room_id, calendar)| (room_id, Record::new(calendar, now))),
            );
            records.retain(|_, record| now.since(record.read_at) <= expiry);
        });
    }

    /// Takes a listing of places. A `complete` one removes the rooms it lacks. One that `narrows` has all lists of
    /// rooms that the operator named: no other account is a room.
    pub fn take_places(&self, places: Vec<Place>, narrows: bool, complete: bool, now: Timestamp) -> Settled {
        let settled = self.change(|snapshot| {
            let memory = Arc::make_mut(&mut snapshot.memory);
            let records = Arc::make_mut(&mut snapshot.places);
            let mut seen = BTreeSet::new();
            for place in places {
                if let Some(room_id) = Registry::assign(&mut memory.rooms, &Claim::from(&place)) {
                    seen.insert(room_id.clone());
                    records.insert(room_id, Record::new(place, now));
                }
            }
            if narrows && !seen.is_empty() {
                Registry::narrow(&mut memory.rooms, true);
            }
            snapshot.follow_rooms();
            let settled = if complete {
                record::settle(&mut snapshot.places, &seen, &mut snapshot.place_falls)
            } else {
                Settled::default()
            };
            forget_unobservable(snapshot);
            settled
        });
        self.join_by_name();
        settled
    }

    /// Takes users of the directory that are rooms: by their license, if `licensed` is true, or because another source knows
    /// them as a room. The object id is all that is kept of a person.
    pub fn take_accounts(&self, users: &[User], licensed: bool, now: Timestamp) {
        self.change(|snapshot| {
            let moment = Moment { now, expiry: snapshot.expiry(Collector::Accounts) };
            let memory = Arc::make_mut(&mut snapshot.memory);
            let records = Arc::make_mut(&mut snapshot.accounts);
            Registry::follow_addresses(&mut memory.rooms, users);
            for user in users {
                let by_license = licensed && user.is_licensed_room();
                let known = memory.rooms.of_user(user);
                let is_confirmed = by_license || known.is_some_and(|room| room.is_confirmed());
                if user.is_person() && !is_confirmed {
                    Registry::note_person(&mut memory.rooms, user);
                    continue;
                }
                let is_room = is_confirmed || known.is_some();
                Registry::note_room(&mut memory.rooms, user);
                if !is_room {
                    continue;
                }
                if let Some(room_id) = Registry::assign(&mut memory.rooms, &Claim::of_user(user, by_license))
                {
                    let account = records.get(&room_id).map_or(user.account, |before| {
                        user.account.following(&before.value, memory.began(Some(before.read_at), moment))
                    });
                    records.insert(room_id, Record::new(account, now));
                }
            }
            snapshot.follow_addresses();
            forget_people(snapshot);
        });
    }

    /// Ends a complete reading of the accounts, which had these: a room keeps no account that two readings in a row lacked.
    /// One alone can be that of a directory which went away between its list and what was asked for by name.
    pub fn settle_accounts(&self, users: &[User]) -> Settled {
        self.change(|snapshot| {
            let rooms = users.iter().filter_map(|user| snapshot.memory.rooms.of_user(user));
            let seen = rooms.map(|room| room.id.clone()).collect();
            let missed = Arc::make_mut(&mut snapshot.missed_accounts);
            record::settle_confirmed(&mut snapshot.accounts, &seen, missed, &mut snapshot.account_falls)
        })
    }

    /// Every source of identity has ended its first attempt: from now on the ids of rooms stay.
    pub fn settle_rooms(&self) {
        self.change(|snapshot| Registry::settle(&mut Arc::make_mut(&mut snapshot.memory).rooms));
    }

    /// Joins the accounts of devices with places that have the same name.
    fn join_by_name(&self) {
        // Comparing all names takes too long to keep readers waiting for.
        let snapshot = self.snapshot();
        let pairs = identity::pairs(&snapshot);
        if pairs.is_empty() && !snapshot.memory.rooms.has_open_ids() {
            return;
        }
        self.change(|snapshot| {
            let memory = Arc::make_mut(&mut snapshot.memory);
            for (account, place) in &pairs {
                Registry::join_by_name(&mut memory.rooms, account, place);
            }
            Registry::fix_ids(&mut memory.rooms);
        });
    }

    /// Takes the licences for rooms that the tenant has, by product; a renewal that was not read is the one held. Only a
    /// `complete` list takes away what it lacks.
    pub fn take_licenses(&self, licenses: Vec<(Arc<str>, License)>, complete: bool, now: Timestamp) {
        self.change(|snapshot| {
            let record = |(sku, license): (Arc<str>, License)| {
                let held = snapshot.licenses.get(&sku).and_then(|held| held.value.renewal);
                let renewal = license.renewal.or(held);
                (sku, Record::new(License { renewal, ..license }, now))
            };
            let taken: Records<License> = licenses.into_iter().map(record).collect();
            if complete {
                snapshot.licenses = Arc::new(taken);
            } else {
                Arc::make_mut(&mut snapshot.licenses).extend(taken);
            }
        });
    }

    /// Takes the rooms file: whoever stands in it is a room, unless it is excluded.
    pub fn take_rooms_file(&self, rooms: Rooms) {
        self.change(|snapshot| {
            let memory = Arc::make_mut(&mut snapshot.memory);
            for (email, facts) in rooms.iter().filter(|(_, facts)| !facts.exclude) {
                let claim = Claim::of_file(email, facts.object_id.as_deref());
                Registry::assign(&mut memory.rooms, &claim);
            }
            snapshot.set_rooms_file(rooms);
            forget_unobservable(snapshot);
        });
    }

    /// Takes devices of rooms that Intune manages, by its id of each, and the names that it spells for people.
    pub fn take_managed_devices(
        &self,
        devices: Vec<(Arc<str>, ManagedDevice)>,
        spellings: &[Arc<str>],
        now: Timestamp,
    ) {
        if devices.is_empty() {
            return; // pages and pages of laptops
        }
        self.change(|snapshot| {
            if spellings.iter().any(|spelling| snapshot.memory.product_names.lacks(spelling)) {
                let names = &mut Arc::make_mut(&mut snapshot.memory).product_names;
                for spelling in spellings {
                    names.learn(spelling);
                }
            }
            let intune = Arc::make_mut(&mut snapshot.intune);
            for (id, device) in devices {
                if intune.len() < self.most || intune.contains_key(&id) {
                    intune.insert(id, Record::new(device, now));
                }
            }
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

    /// Takes the health of Microsoft's services; no issue ends on the word of a list that is not `whole`.
    pub fn take_service_health(&self, products: Vec<(Arc<str>, ServiceHealth)>, whole: bool, now: Timestamp) {
        self.change(|snapshot| {
            let records = Arc::make_mut(&mut snapshot.service_health);
            for (product, mut health) in products {
                if let Some(held) = records.get(&product).filter(|_| !whole) {
                    health.incidents = health.incidents.max(held.value.incidents);
                    health.advisories = health.advisories.max(held.value.advisories);
                }
                records.insert(product, Record::new(health, now));
            }
        });
    }

    /// Takes when the credential of this name expires; there is one at a time.
    pub fn take_credential_expiry(&self, name: &str, expires: Timestamp, now: Timestamp) {
        self.change(|snapshot| {
            let record = Record::new(Credential { expires }, now);
            snapshot.credentials = Arc::new([(name.into(), record)].into());
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
        if self.cell.borrow().usage.has_seen(sights, now) {
            return;
        }
        self.change(|snapshot| {
            let watched = Arc::make_mut(&mut snapshot.usage).observe(sights, &snapshot.sites, now);
            Memory::observe_states(&mut snapshot.memory, sights, watched, now);
        });
    }

    /// After a pause nobody knows when things changed, and how long they were what they are.
    pub fn lose_track(&self, now: Timestamp) {
        self.change(|snapshot| snapshot.lose_track(now));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let mut change = Some(change);
        let mut result = None;
        self.cell.send_modify(|snapshot| {
            result = change.take().map(|change| change(snapshot));
            snapshot.follow_rooms();
            snapshot.find_excluded();
        });
        let span = Span::current();
        if !span.is_none() {
            *self.changed_by.lock().unwrap_or_else(PoisonError::into_inner) = span;
        }
        result.expect("send_modify runs the closure once")
    }
}

/// Drops the person who is signed in; only the fact that someone is stays.
fn without_person(device: &Arc<Device>, rooms: &Registry) -> Arc<Device> {
    let is_person = |account: &Account| rooms.is_person(account.email.iter().chain(&account.id));
    if device.account.as_ref().is_some_and(is_person) {
        let account = Some(Account { id: None, name: None, email: None });
        Arc::new(Device { account, ..(**device).clone() })
    } else {
        device.clone()
    }
}

/// Drops what is held of people that the directory has just named.
fn forget_people(snapshot: &mut Snapshot) {
    let rooms = &snapshot.memory.rooms;
    let changed = snapshot.devices.rows.values().map(|row| &row.device);
    let changed: Vec<Arc<Device>> = changed
        .filter_map(|device| Some(without_person(device, rooms)).filter(|kept| !Arc::ptr_eq(kept, device)))
        .collect();
    if !changed.is_empty() {
        Arc::make_mut(&mut snapshot.devices).replace(&changed);
    }
    Arc::make_mut(&mut snapshot.memory).forget_people();
    forget_unobservable(snapshot);
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

#[cfg(test)]
mod tests;
