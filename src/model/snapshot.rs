//! Everything that is held of one tenant: parts that are replaced whole, one at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::account::RoomAccount;
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::credential::Credential;
use crate::model::detail::Reading;
use crate::model::identity::{Registry, Room};
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

    /// Whether the rooms file says that this is none, by its address or the name it was first known by.
    pub fn is_excluded(&self, room: &Room) -> bool {
        let mut names = room.email.iter().chain([&room.id]);
        names.any(|name| self.rooms_file.get(name).is_some_and(|facts| facts.exclude))
    }

    /// Where two rooms proved to be one, what is held under the id that went follows to the one that stayed. The homes of
    /// devices need not: the registry finds a room by its old id, too.
    pub fn follow_united_rooms(&mut self) {
        if !self.memory.rooms.has_united() {
            return;
        }
        let memory = Arc::make_mut(&mut self.memory);
        for (old, id) in Registry::take_united(&mut memory.rooms) {
            record::rename(&mut self.presence, &old, &id);
            record::rename(&mut self.places, &old, &id);
            record::rename(&mut self.calendar, &old, &id);
            record::rename(&mut self.accounts, &old, &id);
            memory.follow_united_room(&old, &id);
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
