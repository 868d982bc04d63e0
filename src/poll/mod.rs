//! When each collector of a tenant runs, and what its outcome means for its status.
//!
//! The detail follows the list: it runs after each listing, good or bad, on the devices that are known. While nobody
//! reads the exporter both pause; the next read wakes them, the list first.

mod pace;
mod readers;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
use crate::model::listing::Settled;
use crate::model::memory::Event;
use crate::model::{Snapshot, State, Timestamp};
use crate::stats::TenantStats;
use crate::store::Store;
pub use pace::{PROBE, Pace};
pub use readers::Readers;

/// What one tenant's collectors are to do.
#[derive(Clone, Debug)]
pub struct Settings {
    pub devices: Enabled,
    pub device_health: Enabled,
    pub device_types: Vec<DeviceType>,
    pub list_pace: Pace,
    pub detail_pace: Pace,
    /// Within this time each detail is read once, changed or not.
    pub rotation: Duration,
    /// Accounts on core, console and panel devices are rooms.
    pub trust_device_accounts: bool,
    /// Without a reader for so long the collectors pause; `None` is never.
    pub idle_after: Option<Duration>,
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
    paused: AtomicBool,
    seen_values: Mutex<HashSet<UnknownValue>>,
}

/// The time a cycle may take beyond its planned requests: five timeouts of a request in a row, doubled.
const PATIENCE: Duration = Duration::from_mins(5);
/// Items a second that a cycle must manage even when throttled for long; it breaks off below.
const SLOWEST_RATE: u32 = 5;
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
            paused: AtomicBool::new(false),
            seen_values: Mutex::default(),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(&self) {
        let listed = watch::Sender::new(());
        tokio::join!(self.poll_devices(&listed), self.poll_details(listed.subscribe()));
    }

    async fn poll_devices(&self, listed: &watch::Sender<()>) {
        if self.settings.devices == Enabled::No {
            return;
        }
        loop {
            let began = Instant::now();
            let state = self.list(began).await;
            listed.send_replace(());
            let failures = self.status(Collector::Devices, |status| status.consecutive_failures);
            let interval = self.settings.list_pace.interval(began.elapsed());
            tokio::time::sleep_until(began + self.settings.list_pace.next(state, failures, interval)).await;
            self.pause_while_idle().await;
        }
    }

    /// Lists all devices once.
    async fn list(&self, began: Instant) -> CollectorState {
        let held = self.store.snapshot().devices.rows.len();
        let trusted = self.settings.trust_device_accounts;
        let take =
            |devices: &[_]| self.log_events(&self.store.take_devices(devices, trusted, self.clock.now()));
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
        let finished =
            Finished { outcome, items: snapshot.devices.rows.len(), settled, took: began.elapsed() };
        self.finish(Collector::Devices, state, &finished)
    }

    async fn poll_details(&self, mut listed: watch::Receiver<()>) {
        if self.settings.device_health == Enabled::No {
            return;
        }
        let mut since_last = self.settings.list_pace.interval;
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
        let pace = &self.settings.detail_pace;
        let cycle = self.status(Collector::DeviceHealth, |status| status.interval);
        let rotation = pace.stretch(self.settings.rotation, cycle);
        let interval = since_last.max(pace.interval);
        let due = collectors::device_health::due(&snapshot, self.clock.now(), interval, rotation);
        let (outcome, nothing_left) = self.read_due(&snapshot, &due, began).await;
        let state = match outcome.state() {
            CollectorState::Ok if nothing_left => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().details.values().filter(|reading| reading.detail.is_some()).count();
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
        self.paused.store(true, Ordering::Relaxed);
        let states = self.show_paused();
        drop(reads.changed().await); // the sender lives in self
        self.paused.store(false, Ordering::Relaxed);
        for (collector, state) in states {
            self.store.update_status(collector, |status| status.state = state);
        }
        self.store.lose_track(self.clock.now());
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
        let enabled = match collector {
            Collector::Devices => self.settings.devices,
            Collector::DeviceHealth => self.settings.device_health,
        };
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
            if self.paused.load(Ordering::Relaxed) {
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
        let pace = match collector {
            Collector::Devices => &self.settings.list_pace,
            Collector::DeviceHealth => &self.settings.detail_pace,
        };
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
                "Graph answers without any device; the last good picture is kept until it expires"
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
