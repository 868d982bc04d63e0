//! When each collector of a tenant runs, and what its outcome means for its status.
//!
//! The detail follows the list: it runs after each listing, good or bad, on the devices that are known. While nobody
//! reads the exporter both pause; the next read wakes them, the list first.

mod pace;
mod readers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::collectors::{self, Outcome, UnknownValue};
use crate::config::Enabled;
use crate::graph::Client;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::device::{DeviceType, Role};
use crate::model::listing::{Listing, Settled};
use crate::model::memory::{Event, Moment};
use crate::model::{State, Timestamp};
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
    /// Age of the newest change from which on the devices count as frozen.
    pub frozen_after: Duration,
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
    seen_values: Mutex<HashSet<UnknownValue>>,
}

/// Frozen is judged only on fleets of this size: in a small one a quiet day is likely.
const FROZEN_MIN_DEVICES: usize = 10;
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
        Self { tenant, client, store, settings, stats, clock, readers, seen_values: Mutex::default() }
    }

    /// Runs until it is dropped.
    pub async fn run(&self) {
        let listed = watch::Sender::new(true);
        tokio::join!(self.poll_devices(&listed), self.poll_details(listed.subscribe()));
    }

    /// `listed` tells of each listing whether it followed the last one without a pause.
    async fn poll_devices(&self, listed: &watch::Sender<bool>) {
        if self.settings.devices == Enabled::No {
            return;
        }
        let mut continuous = true;
        loop {
            let began = Instant::now();
            let state = self.list(began, continuous).await;
            listed.send_replace(continuous);
            let failures = self.status(Collector::Devices, |status| status.consecutive_failures);
            let interval = self.settings.list_pace.interval(began.elapsed());
            tokio::time::sleep_until(began + self.settings.list_pace.next(state, failures, interval)).await;
            continuous = !self.pause_while_idle().await;
        }
    }

    /// Lists all devices once.
    async fn list(&self, began: Instant, continuous: bool) -> CollectorState {
        let held = self.store.snapshot().devices.rows.len();
        let moment = || Moment { now: self.clock.now(), continuous };
        let take = |devices: &[_]| {
            self.log_events(&self.store.take_devices(devices, self.settings.trust_device_accounts, moment()));
        };
        let deadline = began + deadline(held);
        let types = &self.settings.device_types;
        let (outcome, census) = collectors::devices::collect(&self.client, types, deadline, &take).await;
        let settled = self.store.settle_devices(&census, self.clock.now());
        let listing = self.store.snapshot().devices;
        let state = match outcome.state() {
            state if !state.is_success() => state,
            _ if census.seen.is_empty() => CollectorState::Empty,
            _ if is_frozen(&listing, self.clock.now(), self.settings.frozen_after) => CollectorState::Frozen,
            state => state,
        };
        let finished = Finished { outcome, items: listing.rows.len(), settled, took: began.elapsed() };
        self.finish(Collector::Devices, state, &finished)
    }

    async fn poll_details(&self, mut listed: watch::Receiver<bool>) {
        if self.settings.device_health == Enabled::No {
            return;
        }
        while listed.changed().await.is_ok() {
            let continuous = *listed.borrow_and_update();
            let wait = self.read_details(continuous).await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Reads the details that are due; says how long to leave the source alone, whatever the list does.
    async fn read_details(&self, continuous: bool) -> Duration {
        let began = Instant::now();
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
        let interval = self.settings.list_pace.interval;
        let rotation = self.settings.detail_pace.stretch(self.settings.rotation, self.last_duration());
        let due = collectors::device_health::due(&snapshot.devices, &snapshot.details, interval, rotation);
        let take = |found| {
            let moment = Moment { now: self.clock.now(), continuous };
            self.log_events(&self.store.take_details(found, moment));
        };
        let outcome =
            collectors::device_health::collect(&self.client, &due, began + deadline(due.len()), &take).await;
        let items = self.store.snapshot().details.values().filter(|reading| reading.detail.is_some()).count();
        let finished = Finished { outcome, items, settled: Settled::default(), took: began.elapsed() };
        let state = finished.outcome.state();
        let state = self.finish(Collector::DeviceHealth, state, &finished);
        let failures = self.status(Collector::DeviceHealth, |status| status.consecutive_failures);
        if state.is_success() {
            Duration::ZERO
        } else {
            self.settings.detail_pace.next(state, failures, interval).saturating_sub(interval)
        }
    }

    fn last_duration(&self) -> Duration {
        self.status(Collector::DeviceHealth, |status| status.duration).unwrap_or_default()
    }

    /// Waits while nobody reads; true if there was such a time.
    async fn pause_while_idle(&self) -> bool {
        let Some(idle_after) = self.settings.idle_after else { return false };
        if !self.readers.idle_since(self.clock.now(), idle_after) {
            return false;
        }
        tracing::info!(
            tenant = &*self.tenant,
            ?idle_after,
            "nobody reads; collection pauses until the next scrape"
        );
        for collector in Collector::ALL {
            self.store.update_status(*collector, |status| {
                if status.state != CollectorState::Disabled {
                    status.state = CollectorState::Paused;
                }
            });
        }
        self.readers.next_read().await;
        self.store.lose_track();
        true
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
            if state == CollectorState::Forbidden && enabled == Enabled::Auto && status.last_success.is_none()
            {
                shown = CollectorState::Disabled;
            }
            self.write_status(status, collector, shown, finished, now);
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
        status.interval = pace.interval(finished.took);
        status.expiry = pace.stretch(pace.expiry, finished.took);
        status.consecutive_failures = if state.is_success() { 0 } else { status.consecutive_failures + 1 };
        status.last_success = if state.is_success() { Some(now) } else { status.last_success };
        status.items = finished.items;
        status.expected_items = finished.outcome.expected;
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
                tracing::warn!(tenant, collector = name, frozen_after = ?self.settings.frozen_after, "Graph answers, but no room device has changed for long");
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

/// Whether the core devices stand still: data that nobody writes any more still looks healthy.
fn is_frozen(listing: &Listing, now: Timestamp, frozen_after: Duration) -> bool {
    let core = || {
        listing.rows.values().map(|row| &row.device).filter(|device| device.device_type.role() == Role::Core)
    };
    core().count() >= FROZEN_MIN_DEVICES
        && core().all(|device| device.last_modified.is_some_and(|changed| now.since(changed) > frozen_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Device;
    use crate::model::listing::tests::device;

    const DAY: Duration = Duration::from_hours(24);

    #[track_caller]
    fn check_frozen(device_type: DeviceType, changes: &[Option<i64>], expected: bool) {
        let mut listing = Listing::default();
        let devices = (0..).zip(changes).map(|(n, changed)| {
            let last_modified = changed.map(Timestamp::from_seconds);
            Arc::new(Device { last_modified, ..(*device(&format!("d{n}"), device_type)).clone() })
        });
        let devices: Vec<_> = devices.collect();
        listing.take(&devices, Timestamp::from_seconds(0));
        assert_eq!(is_frozen(&listing, Timestamp::from_seconds(100_000), DAY), expected);
    }

    #[test]
    fn a_fleet_in_which_nothing_changes_for_a_day_is_frozen() {
        check_frozen(DeviceType::TeamsRoom, &[Some(100); 10], true);
        check_frozen(DeviceType::TeamsRoom, &[Some(100); 9], false);
        check_frozen(DeviceType::TeamsPanel, &[Some(100); 20], false);
        let mut one_alive = [Some(100); 10];
        one_alive[3] = Some(20_000);
        check_frozen(DeviceType::TeamsRoom, &one_alive, false);
        let mut one_without_time = [Some(100); 10];
        one_without_time[3] = None;
        check_frozen(DeviceType::TeamsRoom, &one_without_time, false);
    }
}
