//! Everything that is held of one tenant: parts that are replaced whole, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::account::RoomAccount;
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::credential::Credential;
use crate::model::detail::Reading;
use crate::model::identity::{Registry, Room, United};
use crate::model::incident::Incidents;
use crate::model::license::License;
use crate::model::listing::{Falls, Listing};
use crate::model::managed_device::ManagedDevice;
use crate::model::memory::Memory;
use crate::model::place::Place;
use crate::model::presence::Presence;
use crate::model::privacy::Privacy;
use crate::model::record::{self, Records};
use crate::model::rooms_file::Rooms;
use crate::model::service_health::ServiceHealth;
use crate::model::shard::Shard;
use crate::model::site::Site;
use crate::model::usage::Usage;
use crate::model::{State, Timestamp};

/// Cheap to clone; a part that was not replaced is shared with the snapshot before.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub devices: Arc<Listing>,
    /// By device id.
    pub details: Arc<BTreeMap<Arc<str>, Reading>>,
    /// By room id.
    pub presence: Arc<Records<Presence>>,
    /// By room id.
    pub places: Arc<Records<Place>>,
    /// By room id.
    pub calendar: Arc<Records<Calendar>>,
    /// By room id.
    pub accounts: Arc<Records<RoomAccount>>,
    /// By part number of the product.
    pub licenses: Arc<Records<License>>,
    /// By Intune's id of the device.
    pub intune: Arc<Records<ManagedDevice>>,
    /// By name: the label `credential`.
    pub credentials: Arc<Records<Credential>>,
    /// When the secret expires, as configured.
    pub secret_expires: Option<Timestamp>,
    /// By product.
    pub service_health: Arc<Records<ServiceHealth>>,
    /// Pushed, not read.
    pub incidents: Arc<Incidents>,
    /// By e-mail, from the rooms file.
    pub rooms_file: Arc<Rooms>,
    /// Mail addresses and object ids that it excludes.
    pub excluded_names: Arc<[Arc<str>]>,
    /// The rooms that these are, by room id.
    pub excluded: Arc<BTreeSet<Arc<str>>>,
    /// As configured; the first that matches a room is its site.
    pub sites: Arc<[Site]>,
    /// As configured.
    pub privacy: Privacy,
    /// Which of its rooms are this process's business, as configured.
    pub shard: Shard,
    pub memory: Arc<Memory>,
    /// Counted since the start.
    pub usage: Arc<Usage>,
    pub place_falls: Falls,
    pub account_falls: Falls,
    /// Rooms whose account the last complete reading lacked.
    pub missed_accounts: Arc<BTreeSet<Arc<str>>>,
    pub status: Arc<BTreeMap<Collector, Status>>,
    /// Age of the newest change from which on the devices count as frozen; `None` is never.
    pub frozen_after: Option<Duration>,
}

impl Snapshot {
    pub fn status(&self, collector: Collector) -> Option<&Status> {
        self.status.get(&collector)
    }

    /// Whether a device is this process's business.
    pub fn owns_device(&self, id: &str) -> bool {
        if self.shard == Shard::default() {
            return true;
        }
        let home = self.memory.devices.get(id).and_then(|memory| memory.home.as_deref());
        let room = home.and_then(|home| self.memory.rooms.room(home)).filter(|room| !self.is_excluded(room));
        self.shard.owns_device(id, room.map(|room| &**room))
    }

    /// How many records of this collector are held, old ones too.
    pub fn held(&self, collector: Collector) -> usize {
        match collector {
            Collector::Devices => self.devices.rows.len(),
            Collector::DeviceHealth => {
                self.details.values().filter(|reading| reading.detail.is_some()).count()
            }
            Collector::Presence => self.presence.len(),
            Collector::Places => self.places.len(),
            Collector::Calendar => self.calendar.len(),
            Collector::Accounts => self.accounts.len(),
            Collector::Intune => self.intune.len(),
            Collector::ServiceHealth => self.service_health.len(),
            Collector::Credentials => self.credentials.len().max(usize::from(self.secret_expires.is_some())),
        }
    }

    /// Returns true if the rooms file says that this is not a room, by any of its names.
    pub fn is_excluded(&self, room: &Room) -> bool {
        self.excluded.contains(&room.id)
    }

    /// Replaces what the rooms file says.
    pub fn set_rooms_file(&mut self, rooms: Rooms) {
        let excluded = rooms.iter().filter(|(_, facts)| facts.exclude);
        let names = excluded.flat_map(|(email, facts)| [Some(email), facts.object_id.as_ref()]);
        self.excluded_names = names.flatten().cloned().collect();
        self.rooms_file = Arc::new(rooms);
        self.find_excluded();
    }

    /// Finds the rooms that the rooms file excludes: any source may have brought another name of one.
    pub fn find_excluded(&mut self) {
        let rooms = self.excluded_names.iter().filter_map(|name| self.memory.rooms.known(name));
        let rooms: BTreeSet<Arc<str>> = rooms.map(|room| room.id.clone()).collect();
        if rooms != *self.excluded {
            self.excluded = Arc::new(rooms);
        }
    }

    /// Moves each place to the room that has its address now.
    pub fn follow_addresses(&mut self) {
        let rooms = &self.memory.rooms;
        let moved = self.places.iter().filter_map(|(id, record)| {
            let room = rooms.known(&record.value.email).filter(|room| room.id != *id)?;
            Some((id.clone(), room.id.clone()))
        });
        let moved: BTreeMap<Arc<str>, Arc<str>> = moved.collect();
        if !moved.is_empty() {
            let places = std::mem::take(&mut self.places);
            let key = |id: &Arc<str>| moved.get(id).unwrap_or(id).clone();
            self.places = Arc::new(places.iter().map(|(id, record)| (key(id), record.clone())).collect());
        }
    }

    /// Moves what is held under the id of a room that was united with another, or parted from it.
    pub fn follow_rooms(&mut self) {
        if !self.memory.rooms.has_changes() {
            return;
        }
        let memory = Arc::make_mut(&mut self.memory);
        let (united, parted) = Registry::take_changes(&mut memory.rooms);
        for United { gone, id } in &united {
            record::rename(&mut self.presence, gone, id);
            record::rename(&mut self.places, gone, id);
            record::rename(&mut self.calendar, gone, id);
            record::rename(&mut self.accounts, gone, id);
            memory.follow_united_room(gone, id);
            Usage::follow_united_room(&mut self.usage, gone, id);
        }
        memory.follow_homes(&united);
        for parted in parted {
            record::rename(&mut self.presence, &parted.shared, &parted.account);
            record::rename(&mut self.places, &parted.shared, &parted.mailbox);
            record::rename(&mut self.calendar, &parted.shared, &parted.mailbox);
            record::rename(&mut self.accounts, &parted.shared, &parted.mailbox);
            memory.follow_parted_room(&parted);
        }
    }

    /// Drops every since-time that the exporter saw, and the look that counters continue from. A pause hides changes.
    pub fn lose_track(&mut self, now: Timestamp) {
        Arc::make_mut(&mut self.memory).lose_track(now);
        Arc::make_mut(&mut self.usage).lose_track();
        let is_timed = |account: &RoomAccount| *account != account.without_times();
        if self.accounts.values().any(|record| is_timed(&record.value)) {
            for record in Arc::make_mut(&mut self.accounts).values_mut() {
                record.value = Arc::new(record.value.without_times());
            }
        }
    }

    /// Whether it may be known when this room is used and booked. Its seats count as they were last told.
    pub fn may_observe(&self, room: &Room) -> bool {
        let place = self.places.get(&room.id);
        !self.is_excluded(room) && self.privacy.allows(place.and_then(|place| place.value.capacity))
    }

    /// How long a record of this collector is served, as in force.
    pub fn expiry(&self, collector: Collector) -> Duration {
        self.status(collector).map_or(Duration::MAX, |status| status.expiry)
    }

    /// Whether the collectors pause because nobody reads.
    pub fn is_paused(&self) -> bool {
        self.status.values().any(|status| status.state == CollectorState::Paused)
    }

    /// The collector whose first attempt, good or bad, is still awaited; the details take long and are not.
    pub fn awaited(&self) -> Option<&'static str> {
        let starting = |(collector, status): &(&Collector, &Status)| {
            **collector != Collector::DeviceHealth && status.state == CollectorState::Starting
        };
        self.status.iter().find(starting).map(|(collector, _)| collector.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::DeviceType;
    use crate::model::identity::{Claim, Trust};
    use crate::model::listing::tests::{device, room_device};
    use crate::model::presence::Availability;
    use crate::model::record::Record;
    use crate::model::rooms_file::RoomFacts;
    use crate::store::Store;

    const NOW: Timestamp = Timestamp::from_seconds(0);

    fn store(states: &[(Collector, CollectorState)]) -> Store {
        let of = |(one, state): &(Collector, CollectorState)| {
            let facts = one.facts();
            (*one, Status { state: *state, ..Status::starting(facts.interval, facts.expiry) })
        };
        let by_collector = states.iter().map(of).collect();
        Store::new(Snapshot { status: Arc::new(by_collector), ..Snapshot::default() })
    }

    #[test]
    fn what_is_held_of_each_source_is_counted() {
        let store = store(&[]);
        store.take_devices(&[room_device("a"), room_device("b")], Trust::UnlessPerson, NOW);
        let device = room_device("a");
        store.take_details(vec![(device, Some(Arc::default())), (room_device("b"), None)], NOW);
        let presence = Presence { availability: Availability::Busy, in_call: None };
        let calendar = || Calendar::Readable(Vec::new());
        let (a, b, c) = ("a@contoso.example", "b@contoso.example", "c@contoso.example");
        store.take_presences(vec![(a.into(), presence)], NOW);
        store.take_calendars([a, b, c].map(|room| (room.into(), calendar())).into(), NOW);
        let mut snapshot = store.snapshot();
        let records = |count: usize| (0..count).map(|n| Arc::from(n.to_string()));
        let of = |count| records(count).map(|id| (id, Record::new(Place::default(), NOW))).collect();
        snapshot.places = Arc::new(of(4));
        let accounts = records(5).map(|id| (id, Record::new(RoomAccount::default(), NOW)));
        snapshot.accounts = Arc::new(accounts.collect());
        let managed = records(6).map(|id| (id, Record::new(ManagedDevice::default(), NOW)));
        snapshot.intune = Arc::new(managed.collect());
        let held =
            |snapshot: &Snapshot| Collector::ALL.iter().map(|one| snapshot.held(*one)).collect::<Vec<_>>();
        assert_eq!(held(&snapshot), [2, 1, 1, 4, 3, 5, 6, 0, 0]);
        snapshot.secret_expires = Some(NOW);
        assert_eq!(snapshot.held(Collector::Credentials), 1, "the one that is configured");
    }

    #[test]
    fn a_start_awaits_every_source_but_the_details() {
        use CollectorState::{Ok, Paused, Starting};
        let awaited = |states: &[(Collector, CollectorState)]| store(states).snapshot().awaited();
        assert_eq!(awaited(&[(Collector::Devices, Ok), (Collector::Presence, Starting)]), Some("presence"));
        assert_eq!(awaited(&[(Collector::Devices, Ok), (Collector::DeviceHealth, Starting)]), None);
        assert_eq!(awaited(&[]), None);
        let is_paused = |states: &[(Collector, CollectorState)]| store(states).snapshot().is_paused();
        assert!(is_paused(&[(Collector::Devices, Ok), (Collector::Presence, Paused)]));
        assert!(!is_paused(&[(Collector::Devices, Ok), (Collector::Presence, Starting)]));
    }

    #[test]
    fn records_of_a_source_expire_as_its_status_says() {
        let snapshot = store(&[(Collector::Presence, CollectorState::Ok)]).snapshot();
        assert_eq!(snapshot.expiry(Collector::Presence), Duration::from_mins(15));
        assert_eq!(snapshot.expiry(Collector::Devices), Duration::MAX);
    }

    /// A device belongs to the shard that has this name, in each of two shards.
    #[track_caller]
    fn check_owner(snapshot: &Snapshot, id: &str, as_one_called: &str) {
        for index in 0..2 {
            let shard = Shard::new(index, 2).expect("one of two");
            let snapshot = Snapshot { shard, ..snapshot.clone() };
            assert_eq!(snapshot.owns_device(id), shard.owns_device(as_one_called, None), "{id} in {index}");
        }
        assert!(snapshot.owns_device(id), "the only process has them all");
    }

    #[test]
    fn a_device_goes_with_its_room_unless_that_is_excluded() {
        let store = store(&[]);
        let ids: Vec<String> = (0..8).map(|n| format!("core-{n}")).collect();
        let devices: Vec<_> = ids.iter().map(|id| room_device(id)).collect();
        store.take_devices(&devices, Trust::UnlessPerson, NOW);
        store.take_devices(&[device("homeless", DeviceType::TeamsRoom)], Trust::UnlessPerson, NOW);
        let room = |id: &String| format!("{id}@contoso.example");
        for id in &ids {
            check_owner(&store.snapshot(), id, &room(id));
        }
        check_owner(&store.snapshot(), "homeless", "homeless");
        let excluded = ids.iter().map(|id| {
            let facts = RoomFacts { exclude: true, ..RoomFacts::default() };
            (Arc::from(room(id)), facts)
        });
        store.take_rooms_file(excluded.collect());
        for id in &ids {
            check_owner(&store.snapshot(), id, id);
        }
    }

    #[test]
    fn a_place_follows_its_address_to_another_room() {
        let mut snapshot = Snapshot::default();
        let (oslo, bergen) = ("oslo@contoso.example", "bergen@contoso.example");
        let memory = Arc::make_mut(&mut snapshot.memory);
        let place = |email: &str| Place { email: email.into(), ..Place::default() };
        for email in [oslo, bergen] {
            Registry::assign(&mut memory.rooms, &Claim::from(&place(email)));
        }
        let record = |email: &str| Record::new(place(email), NOW);
        snapshot.places = Arc::new([("id-1".into(), record(oslo)), (bergen.into(), record(bergen))].into());
        snapshot.follow_addresses();
        assert_eq!(snapshot.places.keys().map(|id| &**id).collect::<Vec<_>>(), [bergen, oslo]);
        let before = snapshot.places.clone();
        snapshot.follow_addresses();
        assert!(Arc::ptr_eq(&before, &snapshot.places), "once");
    }
}
