//! The list of devices, and the details that follow it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::collectors::device_health::Found;
use crate::collectors::{self, Outcome};
use crate::config::Enabled;
use crate::graph::Error;
use crate::model::Snapshot;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::device::Device;
use crate::model::fleet::Fleet;
use crate::model::listing::Settled;
use crate::poll::outcome::Finished;
use crate::poll::{Poller, deadline};

impl Poller {
    pub(super) async fn poll_devices(&self, listed: &watch::Sender<()>) {
        if self.settings.sources.of(Collector::Devices).enabled == Enabled::No {
            return;
        }
        loop {
            let began = Instant::now();
            let state = self.list(began).instrument(self.span(Collector::Devices)).await;
            listed.send_replace(());
            self.rest(Collector::Devices, state, began).await;
            self.while_paused().await;
        }
    }

    /// Lists all devices once.
    pub(super) async fn list(&self, began: Instant) -> CollectorState {
        let held = self.store.snapshot().devices.rows.len();
        let trust = self.settings.trust_device_accounts;
        let take =
            |devices: &[_]| self.log_events(&self.store.take_devices(devices, trust, self.clock.now()));
        let deadline = began + deadline(held);
        let types = &self.settings.device_types;
        let most = self.settings.max_items;
        let (mut outcome, census) =
            collectors::devices::collect(&self.client, types, most, deadline, &take).await;
        let settled = self.store.settle_devices(&census, self.clock.now());
        let snapshot = self.store.snapshot();
        // Those that the last listings had are held, and leave no room for these.
        if census.seen.iter().any(|id| !snapshot.devices.rows.contains_key(id)) {
            outcome.failures.push(("devices".to_owned(), Error::TooMany { most }));
        }
        self.note_rooms_left_out(&mut outcome);
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

    pub(super) async fn poll_details(&self, mut listed: watch::Receiver<()>) {
        let is_off = |one| self.settings.sources.of(one).enabled == Enabled::No;
        if is_off(Collector::DeviceHealth) || is_off(Collector::Devices) {
            return;
        }
        let mut since_last = self.settings.sources.of(Collector::Devices).pace.interval;
        loop {
            let waiting = Instant::now();
            if !self.wait_for_list(&mut listed).await {
                return;
            }
            let began = Instant::now();
            let wait = self.read_details(began, since_last).await;
            tokio::time::sleep(wait).await;
            since_last = waiting.elapsed();
        }
    }

    /// Waits for the next list, but not for one that hangs: the details of the devices that are known go on. False at the
    /// end.
    async fn wait_for_list(&self, listed: &mut watch::Receiver<()>) -> bool {
        loop {
            let patience = 2 * self.status(Collector::Devices, |status| status.interval);
            match tokio::time::timeout(patience, listed.changed()).await {
                Ok(changed) => return changed.is_ok(),
                Err(_) if self.status(Collector::Devices, comes_first) => {}
                Err(_) => return true,
            }
        }
    }

    /// Reads the details that are due; says how long to leave the source alone, whatever the list does. `since_last` is
    /// the time from the run before to this one.
    async fn read_details(&self, began: Instant, since_last: Duration) -> Duration {
        let snapshot = self.store.snapshot();
        let list = snapshot.status(Collector::Devices);
        let without = |list: &Status| snapshot.devices.rows.is_empty() && !list.state.is_success();
        if let Some(list) = list.filter(|list| list.gone_since.is_some() || without(list)) {
            // Without a list there is nothing to ask for, and where the list is gone a 404 no longer says that one
            // device reports nothing: the detail shares the fate of the list.
            let gone_since = list.gone_since;
            let state = if gone_since.is_some() { CollectorState::Retired } else { list.state };
            self.store.update_status(Collector::DeviceHealth, |status| status.gone_since = gone_since);
            self.finish(Collector::DeviceHealth, state, &Finished::default());
            return Duration::ZERO;
        }
        let pace = &self.settings.sources.of(Collector::DeviceHealth).pace;
        let cycle = self.status(Collector::DeviceHealth, |status| status.interval);
        let rotation = pace.stretch(self.settings.rotation, cycle);
        let interval = since_last.max(pace.interval);
        let due = collectors::device_health::due(&snapshot, self.clock.now(), interval, rotation);
        let span = self.span(Collector::DeviceHealth);
        let state = self.read_details_of(&snapshot, &due, began).instrument(span).await;
        let failures = self.status(Collector::DeviceHealth, |status| status.consecutive_failures);
        if state.is_success() {
            return Duration::ZERO;
        }
        pace.next(state, failures, pace.interval).saturating_sub(pace.interval)
    }

    /// Reads the details of these devices.
    pub(super) async fn read_details_of(
        &self,
        before: &Snapshot,
        due: &[Arc<Device>],
        began: Instant,
    ) -> CollectorState {
        let (outcome, nothing_left) = self.read_due(before, due, began).await;
        let state = match outcome.state() {
            CollectorState::Ok if nothing_left => CollectorState::Empty,
            state => state,
        };
        let items = self.store.snapshot().held(Collector::DeviceHealth);
        let finished = Finished { outcome, items, settled: Settled::default(), took: began.elapsed() };
        self.finish(Collector::DeviceHealth, state, &finished)
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
}

/// Returns true if nothing is to be read before the list: it has never ended, or its tenant sleeps.
fn comes_first(list: &Status) -> bool {
    matches!(list.state, CollectorState::Starting | CollectorState::Paused)
}
