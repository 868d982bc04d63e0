//! When each collector of a tenant runs, and what its outcome means for its status.
//!
//! The detail follows the list: it runs after each listing, good or bad, on the devices that are known. While nobody
//! reads the exporter both pause; the next read wakes them, the list first.

mod pace;
mod readers;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::collectors::device_health::Found;
use crate::collectors::{self, Outcome, UnknownValue};
use crate::config::Enabled;
use crate::graph::Client;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::device::{Device, DeviceType};
use crate::model::fleet::Fleet;
use crate::model::identity::{Room, Trust};
use crate::model::listing::Settled;
use crate::model::memory::Event;
use crate::model::presence::Presence;
use crate::model::{Snapshot, State, Timestamp};
use crate::rooms_file::RoomsFile;
use crate::stats::TenantStats;
use crate::store::Store;
pub use pace::{PROBE, Pace};
pub use readers::Readers;

/// What one tenant's collectors are to do.
#[derive(Clone, Debug)]
pub struct Settings {
    pub sources: Sources,
    pub device_types: Vec<DeviceType>,
    /// Only the rooms of these lists, where there are any.
    pub room_lists: Vec<String>,
    /// A table of rooms that wins over places.
    pub rooms_file: Option<PathBuf>,
    /// How often it is looked at for a change.
    pub rooms_file_every: Duration,
    /// Within this time each detail is read once, changed or not.
    pub rotation: Duration,
    /// In the accounts on core, console and panel devices.
    pub trust_device_accounts: Trust,
    /// Without a reader for so long the collectors pause; `None` is never.
    pub idle_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub struct Sources {
    pub devices: Source,
    /// Its interval is that of the list, which it follows.
    pub device_health: Source,
    pub presence: Source,
    pub places: Source,
    pub service_health: Source,
}

/// Whether and how often one source is read.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub enabled: Enabled,
    pub pace: Pace,
}

impl Sources {
    pub fn of(&self, collector: Collector) -> &Source {
        match collector {
            Collector::Devices => &self.devices,
            Collector::DeviceHealth => &self.device_health,
            Collector::Presence => &self.presence,
            Collector::Places => &self.places,
            Collector::ServiceHealth => &self.service_health,
        }
    }
}

/// Polls one tenant.
pub struct Poller {
    pub tenant: Arc<str>,
    pub client: Client,
    pub store: Arc<Store>,
    pub settings: Settings,
    pub stats: TenantStats,
    pub clock: Clock,
    pub readers: Arc<Readers>,
    paused: watch::Sender<bool>,
    seen_values: Mutex<HashSet<UnknownValue>>,
}

/// The time a cycle may take beyond its planned requests: five timeouts of a request in a row, doubled.
const PATIENCE: Duration = Duration::from_mins(5);
/// Items a second that a cycle must manage even when throttled for long; it breaks off below.
const SLOWEST_RATE: u32 = 5;
/// One look at a directory entry, and soon enough for whoever has just saved the file.
pub const ROOMS_FILE_EVERY: Duration = Duration::from_mins(1);
/// Unknown values are logged once each, and strangers may send as many as they like.
const MAX_SEEN_VALUES: usize = 1000;

impl Poller {
    pub fn new(
        tenant: Arc<str>,
        client: Client,
        store: Arc<Store>,
        settings: Settings,
        stats: TenantStats,
        clock: Clock,
        readers: Arc<Readers>,
    ) -> Self {
        Self {
            tenant,
            client,
            store,
            settings,
            stats,
            clock,
            readers,
            paused: watch::Sender::new(false),
            seen_values: Mutex::default(),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(&self) {
        let listed = watch::Sender::new(());
        let sources = [Collector::Presence, Collector::Places, Collector::ServiceHealth];
        tokio::join!(
            self.poll_devices(&listed),
            self.poll_details(listed.subscribe()),
            join_all(sources.map(|source| self.poll_source(source))),
            self.follow_rooms_file(),
        );
    }

    async fn poll_devices(&self, listed: &watch::Sender<()>) {
        if self.settings.sources.devices.enabled == Enabled::No {
            return;
        }
        loop {
            let began = Instant::now();
            let state = self.list(began).await;
            listed.send_replace(());
            self.rest(Collector::Devices, state, began).await;
            self.pause_while_idle().await;
        }
    }

    /// Polls a source that stands by itself.
    async fn poll_source(&self, collector: Collector) {
        if self.settings.sources.of(collector).enabled == Enabled::No {
            return;
        }
        if collector == Collector::Presence {
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
    async fn follow_rooms_file(&self) {
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

    /// Waits until a source is to be asked again, counted from the start of the last attempt.
    async fn rest(&self, collector: Collector, state: CollectorState, began: Instant) {
        let pace = &self.settings.sources.of(collector).pace;
        let failures = self.status(collector, |status| status.consecutive_failures);
        let interval = pace.interval(began.elapsed());
        tokio::time::sleep_until(began + pace.next(state, failures, interval)).await;
    }

    async fn read_source(&self, collector: Collector, began: Instant) -> CollectorState {
        let deadline = began + PATIENCE;
        let (outcome, found) = match collector {
            Collector::Presence => self.read_presence(deadline).await,
            Collector::Places => self.read_places(deadline).await,
            Collector::ServiceHealth => self.read_service_health(deadline).await,
            Collector::Devices | Collector::DeviceHealth => return CollectorState::Starting, // have their own loops
        };
        let state = match outcome.state() {
            state if state.is_success() && found == 0 && collector.must_have_items() => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().held(collector);
        let finished = Finished { outcome, items, settled: Settled::default(), took: began.elapsed() };
        self.finish(collector, state, &finished)
    }

    /// Asks only for the accounts of rooms.
    async fn read_presence(&self, deadline: Instant) -> (Outcome, usize) {
        let snapshot = self.store.snapshot();
        let account = |room: &Arc<Room>| Some((room.object_id.clone()?, room.id.clone()));
        let rooms = snapshot.memory.rooms.rooms().filter(|room| !snapshot.is_excluded(room));
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

    async fn read_places(&self, deadline: Instant) -> (Outcome, usize) {
        let lists = &self.settings.room_lists;
        let (outcome, places) = collectors::places::collect(&self.client, lists, deadline).await;
        let whole = outcome.failures.is_empty();
        let complete = whole && outcome.skipped.is_empty();
        let found = places.len();
        self.store.take_places(places, whole, complete, self.clock.now());
        (outcome, found)
    }

    async fn read_service_health(&self, deadline: Instant) -> (Outcome, usize) {
        let (outcome, products) = collectors::service_health::collect(&self.client, deadline).await;
        let found = products.len();
        let products = products.into_iter().map(|(product, health)| (product.into(), health)).collect();
        self.store.take_service_health(products, self.clock.now());
        (outcome, found)
    }

    /// Lists all devices once.
    async fn list(&self, began: Instant) -> CollectorState {
        let held = self.store.snapshot().devices.rows.len();
        let trust = self.settings.trust_device_accounts;
        let take =
            |devices: &[_]| self.log_events(&self.store.take_devices(devices, trust, self.clock.now()));
        let deadline = began + deadline(held);
        let types = &self.settings.device_types;
        let (outcome, census) = collectors::devices::collect(&self.client, types, deadline, &take).await;
        let settled = self.store.settle_devices(&census, self.clock.now());
        let snapshot = self.store.snapshot();
        let state = match outcome.state() {
            state if !state.is_success() => state,
            _ if census.seen.is_empty() => CollectorState::Empty,
            _ if Fleet::at(&snapshot, self.clock.now()).frozen => CollectorState::Frozen,
            state => state,
        };
        let items = snapshot.held(Collector::Devices);
        let finished = Finished { outcome, items, settled, took: began.elapsed() };
        self.finish(Collector::Devices, state, &finished)
    }

    async fn poll_details(&self, mut listed: watch::Receiver<()>) {
        if self.settings.sources.device_health.enabled == Enabled::No {
            return;
        }
        let mut since_last = self.settings.sources.devices.pace.interval;
        loop {
            let waiting = Instant::now();
            if listed.changed().await.is_err() {
                return;
            }
            let began = Instant::now();
            let wait = self.read_details(began, since_last).await;
            tokio::time::sleep(wait).await;
            since_last = waiting.elapsed();
        }
    }

    /// Reads the details that are due; says how long to leave the source alone, whatever the list does. `since_last` is
    /// the time from the run before to this one.
    async fn read_details(&self, began: Instant, since_last: Duration) -> Duration {
        let snapshot = self.store.snapshot();
        let list = snapshot.status(Collector::Devices).map(|status| status.state);
        let gone = |list: &CollectorState| *list == CollectorState::Retired;
        let without = |list: &CollectorState| snapshot.devices.rows.is_empty() && !list.is_success();
        if let Some(list) = list.filter(|list| gone(list) || without(list)) {
            // Without a list there is nothing to ask for, and where the list is gone a 404 no longer says that one
            // device reports nothing: the detail shares the fate of the list.
            self.finish(Collector::DeviceHealth, list, &Finished::default());
            return Duration::ZERO;
        }
        let pace = &self.settings.sources.device_health.pace;
        let cycle = self.status(Collector::DeviceHealth, |status| status.interval);
        let rotation = pace.stretch(self.settings.rotation, cycle);
        let interval = since_last.max(pace.interval);
        let due = collectors::device_health::due(&snapshot, self.clock.now(), interval, rotation);
        let (outcome, nothing_left) = self.read_due(&snapshot, &due, began).await;
        let state = match outcome.state() {
            CollectorState::Ok if nothing_left => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().held(Collector::DeviceHealth);
        let finished = Finished { outcome, items, settled: Settled::default(), took: began.elapsed() };
        let state = self.finish(Collector::DeviceHealth, state, &finished);
        let failures = self.status(Collector::DeviceHealth, |status| status.consecutive_failures);
        if state.is_success() {
            return Duration::ZERO;
        }
        pace.next(state, failures, pace.interval).saturating_sub(pace.interval)
    }

    /// Reads these details. The second part of the answer is true if Graph reports none at all any more, which is not
    /// believed: what is held ages.
    async fn read_due(&self, before: &Snapshot, due: &[Arc<Device>], began: Instant) -> (Outcome, bool) {
        let denied = Mutex::new(Vec::new());
        let take = |found: Vec<Found>| {
            let (reported, not): (Vec<Found>, _) =
                found.into_iter().partition(|(_, detail)| detail.is_some());
            denied.lock().unwrap_or_else(PoisonError::into_inner).extend(not);
            self.log_events(&self.store.take_details(reported, self.clock.now()));
        };
        let deadline = began + deadline(due.len());
        let outcome = collectors::device_health::collect(&self.client, due, deadline, &take).await;
        let denied = denied.into_inner().unwrap_or_else(PoisonError::into_inner);
        let held =
            |(device, _): &Found| before.details.get(&device.id).is_some_and(|held| held.detail.is_some());
        let nothing_left = denied.len() == outcome.parts_read && denied.iter().any(held);
        if !nothing_left {
            self.store.take_details(denied, self.clock.now());
        }
        (outcome, nothing_left)
    }

    /// Waits while nobody reads.
    async fn pause_while_idle(&self) {
        let Some(idle_after) = self.settings.idle_after else { return };
        let mut reads = self.readers.subscribe();
        if !self.readers.idle_since(self.clock.now(), idle_after) {
            return;
        }
        tracing::info!(
            tenant = &*self.tenant,
            ?idle_after,
            "nobody reads; collection pauses until the next scrape"
        );
        self.paused.send_replace(true);
        let states = self.show_paused();
        drop(reads.changed().await); // the sender lives in self
        self.paused.send_replace(false);
        for (collector, state) in states {
            self.store.update_status(collector, |status| status.state = state);
        }
        self.store.lose_track(self.clock.now());
    }

    /// Waits while the list of devices has the tenant paused.
    async fn while_paused(&self) {
        drop(self.paused.subscribe().wait_for(|paused| !paused).await); // the sender lives in self
    }

    /// Shows every collector that runs as paused; gives the states they had.
    fn show_paused(&self) -> Vec<(Collector, CollectorState)> {
        let mut states = Vec::new();
        for collector in Collector::ALL {
            self.store.update_status(*collector, |status| {
                if status.state != CollectorState::Disabled {
                    states.push((*collector, status.state));
                    status.state = CollectorState::Paused;
                }
            });
        }
        states
    }

    /// Notes how an attempt ended; gives the state that is shown for it.
    fn finish(&self, collector: Collector, state: CollectorState, finished: &Finished) -> CollectorState {
        let now = self.clock.now();
        let enabled = self.settings.sources.of(collector).enabled;
        let mut before = state;
        let mut shown = state;
        self.store.update_status(collector, |status| {
            before = status.state;
            // A source that never worked and may be left out is off, not broken.
            let never = status.last_success.is_none() && finished.items == 0;
            if state == CollectorState::Forbidden && enabled == Enabled::Auto && never {
                shown = CollectorState::Disabled;
            }
            self.write_status(status, collector, shown, finished, now);
            if *self.paused.borrow() {
                status.state = CollectorState::Paused; // an attempt that the pause overtook
            }
        });
        self.report(collector, before, shown, finished);
        shown
    }

    fn write_status(
        &self,
        status: &mut Status,
        collector: Collector,
        state: CollectorState,
        finished: &Finished,
        now: Timestamp,
    ) {
        let pace = &self.settings.sources.of(collector).pace;
        status.state = state;
        status.last_attempt = Some(now);
        status.duration = Some(finished.took);
        if state.is_success() {
            // A cycle that failed says nothing about how long one takes.
            status.interval = pace.interval(finished.took);
            status.expiry = pace.stretch(pace.expiry, finished.took);
        }
        status.consecutive_failures = if state.is_success() { 0 } else { status.consecutive_failures + 1 };
        status.last_success = if state.is_success() { Some(now) } else { status.last_success };
        status.items = finished.items;
        if state.is_success() {
            status.expected_items = finished.outcome.expected;
        }
        status.held_items = finished.settled.held;
        status.skipped_items = finished.outcome.skipped.len();
    }

    /// One line for each change of state, not for each attempt; the metrics tell the rest.
    fn report(
        &self,
        collector: Collector,
        before: CollectorState,
        state: CollectorState,
        finished: &Finished,
    ) {
        let (tenant, name) = (&*self.tenant, collector.label());
        self.report_unknown(&finished.outcome.unknown_values);
        for reason in &finished.outcome.skipped {
            tracing::debug!(tenant, collector = name, reason, "record skipped");
        }
        let failure = finished.outcome.failures.first();
        let (part, error) =
            failure.map_or((None, None), |(part, error)| (Some(part), Some(error.to_string())));
        if before == state {
            tracing::debug!(tenant, collector = name, state = state.label(), took = ?finished.took, items = finished.items, error, "collected");
            return;
        }
        let permission = collector.facts().permission;
        match state {
            CollectorState::Ok => {
                tracing::info!(tenant, collector = name, items = finished.items, took = ?finished.took, "collected");
            }
            CollectorState::Disabled => tracing::info!(
                tenant,
                collector = name,
                permission,
                error,
                "off: the permission is missing; consent may take two hours to arrive, after that it is looked for each hour"
            ),
            CollectorState::Forbidden => tracing::warn!(
                tenant,
                collector = name,
                permission,
                error,
                "refused; after consent this is normal for up to two hours"
            ),
            CollectorState::Empty => tracing::warn!(
                tenant,
                collector = name,
                "Graph answers with nothing in it; the last good picture is kept until it expires"
            ),
            CollectorState::Frozen => {
                tracing::warn!(
                    tenant,
                    collector = name,
                    "Graph answers, but no room device has changed for long"
                );
            }
            CollectorState::Retired => tracing::warn!(
                tenant,
                collector = name,
                error,
                "Graph no longer offers this source; it is looked for again each hour"
            ),
            _ => {
                tracing::warn!(tenant, collector = name, state = state.label(), part, error, "not collected");
            }
        }
    }

    fn report_unknown(&self, values: &[UnknownValue]) {
        let mut seen = self.seen_values.lock().unwrap_or_else(PoisonError::into_inner);
        for value in values {
            self.stats.unknown_value(value.field);
            if seen.len() < MAX_SEEN_VALUES && seen.insert(value.clone()) {
                tracing::warn!(
                    tenant = &*self.tenant,
                    field = value.field,
                    value = value.value,
                    "Graph sends a value that it does not document; it reads as unknown"
                );
            }
        }
    }

    fn log_events(&self, events: &[Event]) {
        for event in events {
            let (tenant, room) = (&*self.tenant, event.room.as_deref().unwrap_or_default());
            let (device, signal, subject) = (&*event.device_id, event.signal.label(), &*event.subject);
            tracing::info!(
                tenant,
                room,
                device,
                signal,
                subject,
                from = event.from,
                to = event.to,
                "state changed"
            );
        }
    }

    fn status<T: Default>(&self, collector: Collector, read: impl FnOnce(&Status) -> T) -> T {
        self.store.snapshot().status(collector).map(read).unwrap_or_default()
    }
}

/// What an attempt brought.
#[derive(Default)]
struct Finished {
    outcome: Outcome,
    items: usize,
    settled: Settled,
    took: Duration,
}

/// How long a cycle of so many items may take.
fn deadline(items: usize) -> Duration {
    PATIENCE + Duration::from_secs(u64::try_from(items).unwrap_or(u64::MAX) / u64::from(SLOWEST_RATE))
}
