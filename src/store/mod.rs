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
use crate::model::memory::{Event, FORGET_AFTER, Memory, Moment, Sighting};
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
            let events = Arc::make_mut(&mut snapshot.memory).observe_devices(&sightings, trust, moment);
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
                let last_read = last.map(|last| last.read_at);
                read.extend(detail.map(|detail| Sighting { value: (device, detail), last_read }));
            }
            memory.observe_details(&read, moment)
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
            for user in users {
                let by_license = licensed && user.is_licensed_room();
                let known = memory.rooms.find(user.names());
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
            forget_people(snapshot);
        });
    }

    /// Ends a complete reading of the accounts, which had these: a room without an account any more keeps none.
    pub fn settle_accounts(&self, users: &[User]) -> Settled {
        self.change(|snapshot| {
            let rooms = users.iter().filter_map(|user| snapshot.memory.rooms.find(user.names()));
            let seen = rooms.map(|room| room.id.clone()).collect();
            record::settle(&mut snapshot.accounts, &seen, &mut snapshot.account_falls)
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
        self.change(|snapshot| {
            Arc::make_mut(&mut snapshot.memory).lose_track(now);
            Arc::make_mut(&mut snapshot.usage).lose_track();
        });
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
mod tests {
    use super::*;
    use crate::model::account::{RoomAccount, Tier};
    use crate::model::device::DeviceType;
    use crate::model::listing::tests::device;
    use crate::model::presence::Availability;
    use crate::model::service_health::ServiceState;

    const SIGN_IN: &str = "mtr-oslo@contoso.example";
    const MAIL: &str = "oslo@meet.example";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn place(email: &str) -> Place {
        Place { email: email.into(), ..Place::default() }
    }

    fn user(id: &str, email: &str, license: Tier) -> User {
        User {
            object_id: id.into(),
            email: Some(email.into()),
            other_names: Vec::new(),
            name: None,
            has_personal_name: false,
            account: RoomAccount { enabled: Some(true), license: Some(license), ..RoomAccount::default() },
        }
    }

    /// Each listing has other devices, each with another account.
    #[test]
    fn a_list_that_is_never_the_same_fills_no_memory() {
        const MOST: usize = 20;
        let store = Store::new(Snapshot::default()).bounded(MOST);
        for round in 0..12 {
            let devices = (0..MOST + 5).map(|number| {
                let id: Arc<str> = format!("{round}-{number}").into();
                let account = Account { id: Some(id.clone()), name: None, email: None };
                Arc::new(Device { account: Some(account), ..(*device(&id, DeviceType::TeamsRoom)).clone() })
            });
            let devices: Vec<_> = devices.collect();
            store.take_devices(&devices, Trust::UnlessPerson, at(round));
            let seen = devices.iter().map(|device| device.id.clone()).collect();
            let asked = vec![DeviceType::TeamsRoom];
            store.settle_devices(&Census { seen, complete: asked.clone(), asked }, at(round));
            let snapshot = store.snapshot();
            assert!(snapshot.devices.rows.len() <= MOST, "{round}");
            assert!(snapshot.memory.devices.len() <= 2 * MOST, "{round}: {}", snapshot.memory.devices.len());
            assert!(snapshot.memory.rooms.rooms().count() <= MOST, "{round}");
            // The fall is confirmed by the third list, and then there is room again.
            let is_new = snapshot.devices.rows.keys().all(|id| id.starts_with(&format!("{round}-")));
            assert!(is_new || round % 4 != 0, "{round}");
        }
        assert!(store.snapshot().memory.rooms.has_left_out());
    }

    fn show(store: &Store, room: &str, availability: Availability, seconds: i64) {
        let presence = Presence { availability, in_call: None };
        store.take_presences(vec![(room.into(), presence)], at(seconds));
    }

    fn keys<T>(records: &Records<T>) -> Vec<&str> {
        records.keys().map(|id| &**id).collect()
    }

    /// Whatever order the sources came in, one room is left, with all that was known of both.
    #[test]
    fn what_is_known_of_two_rooms_that_prove_to_be_one_is_kept() {
        let store = Store::new(Snapshot::default());
        let account = Account { id: Some("id-1".into()), email: Some(SIGN_IN.into()), name: None };
        let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
        store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
        show(&store, SIGN_IN, Availability::Available, 0);
        show(&store, SIGN_IN, Availability::Offline, 60);
        store.take_places(vec![place(MAIL)], false, false, at(60));
        let memory = store.snapshot().memory.presence[SIGN_IN];
        let other_names = vec![SIGN_IN.into()];
        store.take_accounts(&[User { other_names, ..user("id-1", MAIL, Tier::Pro) }], true, at(60));
        let snapshot = store.snapshot();
        assert_eq!(snapshot.memory.presence.get(MAIL), Some(&memory), "since when it is offline");
        assert_eq!(snapshot.memory.presence.len(), 1);
        assert_eq!(keys(&snapshot.presence), [MAIL]);
        assert_eq!((keys(&snapshot.places), keys(&snapshot.accounts)), (vec![MAIL], vec![MAIL]));
        let fleet = crate::model::fleet::Fleet::at(&snapshot, at(60));
        let [room] = &fleet.rooms[..] else { panic!("one room, not {}", fleet.rooms.len()) };
        assert_eq!(fleet.members(room).count(), 1, "its device comes along");
        assert!(room.place.is_some() && room.account.is_some() && room.presence.is_some());
    }

    /// Devices by account and name, places by address and name.
    #[track_caller]
    fn check_joins(devices: &[(&str, &str)], places: &[(&str, &str)], expected: usize) {
        let store = Store::new(Snapshot::default());
        let named = |(n, (id, name)): (usize, &(&str, &str))| {
            let account = Account { id: Some((*id).into()), name: Some((*name).into()), email: None };
            let device = device(&format!("d{n}"), DeviceType::TeamsRoom);
            Arc::new(Device { account: Some(account), ..(*device).clone() })
        };
        let devices: Vec<_> = devices.iter().enumerate().map(named).collect();
        store.take_devices(&devices, Trust::UnlessPerson, at(0));
        let named = |(email, name): &(&str, &str)| Place { name: Some((*name).into()), ..place(email) };
        store.take_places(places.iter().map(named).collect(), false, true, at(0));
        assert_eq!(store.snapshot().memory.rooms.rooms().count(), expected, "{devices:?} {places:?}");
    }

    #[test]
    fn names_join_where_they_are_unique_on_both_sides() {
        check_joins(&[("id-1", " Oslo ")], &[(MAIL, "OSLO")], 1);
        check_joins(&[("id-1", "Oslo"), ("ID-1", "Oslo")], &[(MAIL, "Oslo")], 1);
        check_joins(&[("id-1", "Oslo"), ("id-2", "Oslo")], &[(MAIL, "Oslo")], 3);
        check_joins(&[("id-1", "Oslo")], &[(MAIL, "Oslo"), (SIGN_IN, "oslo")], 3);
        check_joins(&[("id-1", "Oslo")], &[(MAIL, "Bergen")], 2);
    }

    /// The room of the device was there first, so that it kept its id when a place of the same name came.
    #[test]
    fn a_place_leaves_an_account_that_its_name_alone_had_joined() {
        let store = Store::new(Snapshot::default());
        let account = Account { id: Some("id-1".into()), name: Some("Oslo".into()), email: None };
        let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
        store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
        store.settle_rooms();
        store.take_places(vec![Place { name: Some("Oslo".into()), ..place(MAIL) }], false, true, at(0));
        assert_eq!(keys(&store.snapshot().places), ["id-1"]);
        store.take_accounts(&[user("id-2", MAIL, Tier::Pro)], true, at(0));
        let snapshot = store.snapshot();
        assert_eq!((keys(&snapshot.places), keys(&snapshot.accounts)), (vec![MAIL], vec![MAIL]));
        assert_eq!(snapshot.memory.devices["d"].home.as_deref(), Some("id-1"));
        let fleet = crate::model::fleet::Fleet::at(&snapshot, at(0));
        let placed: Vec<_> = fleet.rooms.iter().map(|room| (&*room.room.id, room.place.is_some())).collect();
        assert_eq!(placed, [("id-1", false), (MAIL, true)]);
    }

    /// Devices do not wait for the next listing in a room that proved to be another's.
    #[test]
    fn devices_leave_a_place_that_their_name_alone_had_joined() {
        let store = Store::new(Snapshot::default());
        let account = Account { id: Some("id-1".into()), name: Some("Oslo".into()), email: None };
        let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
        store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
        store.take_places(vec![Place { name: Some("Oslo".into()), ..place(MAIL) }], false, true, at(0));
        store.settle_devices(&Census::default(), at(0));
        let home = || store.snapshot().memory.devices["d"].home.clone();
        let room =
            || store.snapshot().memory.rooms.room(&home().expect("a home")).map(|room| room.id.clone());
        assert_eq!(room().as_deref(), Some(MAIL));
        store.take_devices(&[store.snapshot().devices.rows["d"].device.clone()], Trust::UnlessPerson, at(0));
        assert_eq!(home().as_deref(), Some(MAIL));
        store.take_accounts(&[user("id-2", MAIL, Tier::Pro)], true, at(0));
        assert_eq!(home().as_deref(), Some("id-1"));
    }

    #[test]
    fn rooms_that_nobody_asks_for_are_forgotten() {
        let store = Store::new(Snapshot::default());
        show(&store, "gone", Availability::Available, 0);
        let forget = i64::try_from(FORGET_AFTER.as_secs()).expect("some months");
        show(&store, "oslo", Availability::Available, forget - 1);
        assert_eq!(keys(&store.snapshot().presence), ["gone", "oslo"]);
        show(&store, "oslo", Availability::Available, forget);
        let snapshot = store.snapshot();
        assert_eq!((keys(&snapshot.presence), snapshot.memory.presence.len()), (vec!["oslo"], 1));
    }

    #[test]
    fn places_and_accounts_leave_after_three_listings_where_many_are_missing() {
        let store = Store::new(Snapshot::default());
        let email = |n: usize| format!("room-{n}@contoso.example");
        let places = |count| (0..count).map(|n| place(&email(n))).collect::<Vec<_>>();
        let users =
            |count| (0..count).map(|n| user(&n.to_string(), &email(n), Tier::Pro)).collect::<Vec<_>>();
        let list = |count| {
            let of_places = store.take_places(places(count), true, true, at(0));
            store.take_accounts(&users(count), true, at(0));
            let of_accounts = store.settle_accounts(&users(count));
            let snapshot = store.snapshot();
            [(of_places.held, snapshot.places.len()), (of_accounts.held, snapshot.accounts.len())]
        };
        assert_eq!(list(100), [(0, 100); 2]);
        assert_eq!(list(95), [(0, 95); 2]);
        assert_eq!(list(60), [(35, 95); 2]);
        assert_eq!(list(0), [(0, 95); 2]);
        assert_eq!(list(60), [(35, 95); 2]);
        assert_eq!(list(60), [(0, 60); 2]);
        assert_eq!(
            store.take_places(places(1), true, false, at(0)),
            Settled::default(),
            "not read to the end"
        );
        assert_eq!(store.snapshot().places.len(), 60);
    }

    #[test]
    fn nothing_is_kept_of_a_user_who_is_no_room() {
        let store = Store::new(Snapshot::default());
        let person = User { has_personal_name: true, ..user("id-9", "person@contoso.example", Tier::Other) };
        let account = Account { id: Some("id-9".into()), email: person.email.clone(), name: None };
        let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
        store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
        let (room, known) = (user("id-1", MAIL, Tier::Pro), user("id-2", SIGN_IN, Tier::None));
        store.take_places(vec![place(SIGN_IN)], false, true, at(0));
        store.take_accounts(&[person, room, known], true, at(0));
        assert_eq!(keys(&store.snapshot().accounts), [SIGN_IN, MAIL]);
        let listed = Store::new(Snapshot::default());
        listed.take_accounts(&[user("id-1", MAIL, Tier::Pro)], false, at(0));
        assert!(listed.snapshot().accounts.is_empty(), "where lists tell what a room is, a licence does not");
    }

    #[test]
    fn a_list_that_is_not_complete_ends_nothing() {
        let store = Store::new(Snapshot::default());
        let licenses =
            |names: &[&str]| names.iter().map(|name| ((*name).into(), License::default())).collect();
        let skus = || keys(&store.snapshot().licenses).into_iter().map(str::to_owned).collect::<Vec<_>>();
        store.take_licenses(licenses(&["basic", "pro"]), true, at(0));
        store.take_licenses(licenses(&["pro"]), false, at(1));
        assert_eq!(skus(), ["basic", "pro"]);
        store.take_licenses(licenses(&["pro"]), true, at(2));
        assert_eq!(skus(), ["pro"]);

        let issues = |incidents, advisories, whole| {
            let health = ServiceHealth { state: ServiceState::Degraded, incidents, advisories };
            store.take_service_health(vec![("teams".into(), health)], whole, at(0));
            let held = store.snapshot().service_health["teams"].value.clone();
            (held.incidents, held.advisories)
        };
        assert_eq!(issues(2, 1, true), (2, 1));
        assert_eq!(issues(0, 3, false), (2, 3));
        assert_eq!(issues(0, 3, true), (0, 3));
    }

    #[test]
    fn the_first_spelling_of_a_product_is_kept() {
        let store = Store::new(Snapshot::default());
        let take = |spelling: &str| {
            let device = ("1".into(), ManagedDevice::default());
            store.take_managed_devices(vec![device], &[spelling.into()], at(0));
            store.snapshot().memory
        };
        let first = take("MeetingBar A30");
        assert_eq!(first.product_names.spelling("meetingbara30"), "MeetingBar A30");
        let second = take("Meetingbar A30");
        assert!(Arc::ptr_eq(&first, &second), "nothing was learned, nothing is copied");
    }

    #[test]
    fn a_renewal_that_was_not_read_is_the_one_held() {
        let store = Store::new(Snapshot::default());
        let renewal = Some(crate::model::license::Renewal { at: at(99), read_at: at(0) });
        let take = |license: License| store.take_licenses(vec![("pro".into(), license)], true, at(1));
        take(License { renewal, ..License::default() });
        take(License { enabled: Some(3), ..License::default() });
        let license = store.snapshot().licenses["pro"].clone();
        assert_eq!(*license.value, License { enabled: Some(3), renewal, ..License::default() });
    }
}
