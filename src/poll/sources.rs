//! The sources that stand by themselves, and the rooms file.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::collectors::intune::Enrolled;
use crate::collectors::{self, Outcome};
use crate::config::Enabled;
use crate::model::Snapshot;
use crate::model::calendar::Calendar;
use crate::model::collector::{Collector, CollectorState};
use crate::model::identity::Room;
use crate::model::listing::Settled;
use crate::model::managed_device::Sieve;
use crate::model::presence::Presence;
use crate::poll::outcome::Finished;
use crate::poll::{PATIENCE, Poller, UNREAD, deadline};
use crate::rooms_file::RoomsFile;

impl Poller {
    /// Polls a source that stands by itself.
    pub(super) async fn poll_source(&self, collector: Collector) {
        if self.settings.sources.of(collector).enabled == Enabled::No || UNREAD.contains(&collector) {
            return;
        }
        if matches!(collector, Collector::Presence | Collector::Calendar | Collector::Intune) {
            self.rooms_were_looked_for().await;
        }
        loop {
            let began = Instant::now();
            let state = self.read_source(collector, began).await;
            self.rest(collector, state, began).await;
            self.while_paused().await;
        }
    }

    /// Reads the rooms file when it changes; a bad one leaves what was read before.
    pub(super) async fn follow_rooms_file(&self) {
        let Some(path) = self.settings.rooms_file.clone() else { return };
        let mut file = RoomsFile::new(path);
        let mut told = None;
        loop {
            let reading = tokio::task::spawn_blocking(move || {
                let rooms = file.read_if_changed();
                (file, rooms)
            });
            let Ok((back, rooms)) = reading.await else { return }; // the runtime ends
            file = back;
            match rooms {
                Ok(Some(rooms)) => {
                    tracing::info!(tenant = &*self.tenant, rooms = rooms.len(), "rooms file read");
                    self.store.take_rooms_file(rooms);
                    told = None;
                }
                Ok(None) => told = None,
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        tracing::error!(
                            tenant = &*self.tenant,
                            error,
                            "the rooms file is not read; the last good one stays in force"
                        );
                    }
                    told = Some(error);
                }
            }
            tokio::time::sleep(self.settings.rooms_file_every).await;
        }
    }

    /// Waits until the sources that know of rooms have ended their first attempt, good or bad.
    async fn rooms_were_looked_for(&self) {
        let starting = |snapshot: &Snapshot, one| {
            snapshot.status(one).is_some_and(|status| status.state == CollectorState::Starting)
        };
        let mut snapshots = self.store.subscribe();
        let looked = |snapshot: &Snapshot| {
            ![Collector::Devices, Collector::Places].into_iter().any(|one| starting(snapshot, one))
        };
        drop(snapshots.wait_for(looked).await); // the sender lives in the store
    }

    pub(super) async fn read_source(&self, collector: Collector, began: Instant) -> CollectorState {
        let deadline = began + PATIENCE;
        let (outcome, found) = match collector {
            Collector::Presence => self.read_presence(deadline).await,
            Collector::Places => self.read_places(deadline).await,
            Collector::Intune => self.read_intune(deadline).await,
            Collector::Calendar => self.read_calendars(began).await,
            Collector::ServiceHealth => self.read_service_health(deadline).await,
            Collector::Credentials => self.read_credentials(deadline).await,
            _ => return CollectorState::Starting, // devices and their details have their own loops
        };
        // "Nothing" after something was known is doubted, whatever the source.
        let is_doubted = collector.must_have_items() || self.store.snapshot().held(collector) > 0;
        let state = match outcome.state() {
            state if state.is_success() && found == 0 && is_doubted => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().held(collector);
        let finished = Finished { outcome, items, settled: Settled::default(), took: began.elapsed() };
        self.finish(collector, state, &finished)
    }

    /// Asks only for the accounts of rooms whose use may be known.
    async fn read_presence(&self, deadline: Instant) -> (Outcome, usize) {
        let snapshot = self.store.snapshot();
        let account = |room: &Arc<Room>| Some((room.object_id.clone()?, room.id.clone()));
        let rooms = snapshot.memory.rooms.rooms().filter(|room| snapshot.may_observe(room));
        let rooms: BTreeMap<Arc<str>, Arc<str>> = rooms.filter_map(account).collect();
        let ids: Vec<Arc<str>> = rooms.keys().cloned().collect();
        let take = |presences: Vec<(Arc<str>, Presence)>| {
            let of_room = |(id, presence)| Some((rooms.get(&id)?.clone(), presence));
            self.store.take_presences(presences.into_iter().filter_map(of_room).collect(), self.clock.now());
        };
        let outcome = collectors::presence::collect(&self.client, &ids, deadline, &take).await;
        let found = outcome.parts_read;
        (outcome, found)
    }

    /// Asks only for the mailboxes of rooms whose use may be known.
    async fn read_calendars(&self, began: Instant) -> (Outcome, usize) {
        let snapshot = self.store.snapshot();
        let mailbox = |room: &Arc<Room>| Some((room.email.clone()?, room.id.clone()));
        let rooms = snapshot.memory.rooms.rooms().filter(|room| snapshot.may_observe(room));
        let rooms: BTreeMap<Arc<str>, Arc<str>> = rooms.filter_map(mailbox).collect();
        let mailboxes: Vec<Arc<str>> = rooms.keys().cloned().collect();
        let known = |mailbox: &str| Some(&*snapshot.calendar.get(rooms.get(mailbox)?)?.value);
        let billed = match &self.settings.calendar_mailbox {
            Some(mailbox) => vec![mailbox.clone()],
            None => collectors::calendar::rotated(&mailboxes, |one| known(one) == Some(&Calendar::Refused)),
        };
        let found = AtomicUsize::new(0);
        let take = |calendars: Vec<(Arc<str>, Calendar)>| {
            let of_room = |(mailbox, calendar)| Some((rooms.get(&mailbox)?.clone(), calendar));
            found.fetch_add(calendars.len(), Ordering::Relaxed);
            self.store.take_calendars(calendars.into_iter().filter_map(of_room).collect(), self.clock.now());
        };
        let (now, deadline) = (self.clock.now(), began + deadline(mailboxes.len()));
        let outcome =
            collectors::calendar::collect(&self.client, &mailboxes, &billed, now, deadline, &take).await;
        let found = found.into_inner() + outcome.skipped.len();
        (outcome, found)
    }

    async fn read_places(&self, deadline: Instant) -> (Outcome, usize) {
        let lists = &self.settings.room_lists;
        let (outcome, places) = collectors::places::collect(&self.client, lists, deadline).await;
        let whole = outcome.failures.is_empty();
        let complete = whole && outcome.skipped.is_empty();
        let found = places.len();
        self.store.take_places(places, whole, complete, self.clock.now());
        (outcome, found)
    }

    /// Keeps only what belongs to rooms, as they are known now; others come with the next reading.
    async fn read_intune(&self, deadline: Instant) -> (Outcome, usize) {
        let snapshot = self.store.snapshot();
        let sieve = Sieve::new(&snapshot);
        let kept = Mutex::new(HashSet::new());
        let take = |enrolled: Vec<Enrolled>| {
            let of_room = |(id, user, device): Enrolled| Some((id, sieve.keep(user.as_ref(), device)?));
            let devices: Vec<_> = enrolled.into_iter().filter_map(of_room).collect();
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(devices.iter().map(|(id, _)| id.clone()));
            self.store.take_managed_devices(devices, self.clock.now());
        };
        let outcome = collectors::intune::collect(&self.client, deadline, &take).await;
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if outcome.failures.is_empty() && outcome.skipped.is_empty() {
            self.store.settle_managed_devices(&kept, self.clock.now());
        }
        (outcome, kept.len())
    }

    async fn read_service_health(&self, deadline: Instant) -> (Outcome, usize) {
        let (outcome, products) = collectors::service_health::collect(&self.client, deadline).await;
        let found = products.len();
        let products = products.into_iter().map(|(product, health)| (product.into(), health)).collect();
        self.store.take_service_health(products, self.clock.now());
        (outcome, found)
    }

    async fn read_credentials(&self, deadline: Instant) -> (Outcome, usize) {
        let (now, is_configured) = (self.clock.now(), self.store.snapshot().secret_expires.is_some());
        let (outcome, expires) =
            collectors::credentials::collect(&self.client, is_configured, now, deadline).await;
        if let Some(expires) = expires {
            self.store.take_secret_expiry(expires, now);
        }
        (outcome, usize::from(expires.is_some() || is_configured))
    }
}
