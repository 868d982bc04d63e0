//! When each collector of a tenant runs, and what its outcome means for its status.
//!
//! The detail follows the list: it runs after each listing, good or bad, on the devices that are known. The other sources
//! stand by themselves. While nobody reads the exporter all pause; the next read wakes them.

mod devices;
mod once;
mod outcome;
mod pace;
mod readers;
mod sources;
mod unknown;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use crate::clock::Clock;
use crate::collectors::licenses::Skus;
use crate::config::Enabled;
use crate::graph::Client;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::device::DeviceType;
use crate::model::identity::Trust;
use crate::model::{Snapshot, State};
use crate::stats::TenantStats;
use crate::store::Store;
pub use pace::{PROBE, Pace};
pub use readers::Readers;
pub use unknown::UnknownValues;

/// What one tenant's collectors are to do.
#[derive(Clone, Debug)]
pub struct Settings {
    pub sources: Sources,
    pub device_types: Vec<DeviceType>,
    /// Devices, rooms and accounts that are held at most, each.
    pub max_items: usize,
    /// Whose licence makes a room.
    pub skus: Skus,
    /// Only the rooms of these lists, where there are any.
    pub room_lists: Vec<String>,
    /// The mailbox through which calendars are asked for; `None` is those of the rooms, in turn.
    pub calendar_mailbox: Option<Arc<str>>,
    /// A table of rooms that wins over places.
    pub rooms_file: Option<PathBuf>,
    /// How often it is looked at for a change.
    pub rooms_file_every: Duration,
    /// Within this time each detail is read once, changed or not.
    pub rotation: Duration,
    /// In the accounts on core, console and panel devices.
    pub trust_device_accounts: Trust,
    /// The time that sources of single rooms wait for sources that may name more rooms.
    pub first_wait: Duration,
    /// Without a reader for so long the collectors pause; `None` is never.
    pub idle_after: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Sources(BTreeMap<Collector, Source>);

/// Whether and how often one source is read.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub enabled: Enabled,
    pub pace: Pace,
}

impl Sources {
    pub fn new(source: impl Fn(Collector) -> Source) -> Self {
        Self(Collector::ALL.iter().map(|collector| (*collector, source(*collector))).collect())
    }

    pub fn of(&self, collector: Collector) -> &Source {
        self.0.get(&collector).expect("made for every collector")
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
    unknown_values: UnknownValues,
}

/// The time a cycle may take beyond its planned requests: five timeouts of a request in a row, doubled.
const PATIENCE: Duration = Duration::from_mins(5);
/// Items a second that a cycle must manage even when throttled for long; it breaks off below.
const SLOWEST_RATE: u32 = 5;
/// One look at a directory entry, and soon enough for whoever has just saved the file.
pub const ROOMS_FILE_EVERY: Duration = Duration::from_mins(1);
/// Ten thousand devices are listed within it.
pub const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The sources that know rooms by themselves. The accounts of rooms without a license are asked for one by one. If such a source
/// fails at first, these rooms are unknown, and the next reading of the accounts is an hour away.
const ROOMS: [Collector; 2] = [Collector::Devices, Collector::Places];
/// Whether anybody reads is one look at a clock.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(1);

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
            unknown_values: UnknownValues::new(tenant.clone(), stats.clone()),
            tenant,
            client,
            store,
            settings,
            stats,
            clock,
            readers,
            paused: watch::Sender::new(false),
        }
    }

    /// Runs until it is dropped.
    pub async fn run(&self) {
        let listed = watch::Sender::new(());
        let standing = |one: &Collector| !matches!(one, Collector::Devices | Collector::DeviceHealth);
        let sources = Collector::ALL.iter().copied().filter(standing);
        tokio::join!(
            self.poll_devices(&listed),
            self.poll_details(listed.subscribe()),
            join_all(sources.map(|source| self.poll_source(source))),
            self.settle_rooms(),
            self.follow_rooms_file(),
            self.watch_readers(),
        );
    }

    /// Waits until a source is to be asked again, counted from the start of the last attempt.
    async fn rest(&self, collector: Collector, state: CollectorState, began: Instant) {
        let pace = &self.settings.sources.of(collector).pace;
        let failures = self.status(collector, |status| status.consecutive_failures);
        let interval = pace.interval(cycle(collector, began.elapsed()));
        let next = tokio::time::sleep_until(began + pace.next(state, failures, interval));
        if collector == Collector::Accounts && state.is_success() {
            tokio::select! {
                () = next => {}
                () = self.first_success(&ROOMS) => {}
            }
        } else {
            next.await;
        }
    }

    /// Waits until one of these sources has its first success; for ever where each has had it.
    async fn first_success(&self, sources: &[Collector]) {
        let succeeded = |snapshot: &Snapshot, source: &&Collector| {
            snapshot.status(**source).is_some_and(|status| status.last_success.is_some())
        };
        let mut snapshots = self.store.subscribe();
        let without: Vec<&Collector> = {
            let snapshot = snapshots.borrow();
            sources.iter().filter(|source| !succeeded(&snapshot, source)).collect()
        };
        if without.is_empty() {
            return std::future::pending().await;
        }
        let came = |snapshot: &Snapshot| without.iter().any(|source| succeeded(snapshot, source));
        drop(snapshots.wait_for(came).await); // the sender lives in the store
    }

    /// Pauses the collectors while nobody reads.
    async fn watch_readers(&self) {
        let Some(idle_after) = self.settings.idle_after else { return };
        loop {
            let mut reads = self.readers.subscribe();
            if !self.readers.idle_since(self.clock.now(), idle_after) {
                tokio::time::sleep(idle_after.min(IDLE_CHECK_EVERY)).await;
                continue;
            }
            tracing::info!(
                tenant = &*self.tenant,
                ?idle_after,
                "nobody reads; collection pauses until the next scrape"
            );
            self.paused.send_replace(true);
            let states = self.show_paused();
            // The scrape that ends the pause already shows no time from before it.
            self.store.lose_track(self.clock.now());
            drop(reads.changed().await); // the sender lives in self
            // An attempt that the pause overtook may have ended in it.
            self.store.lose_track(self.clock.now());
            for (collector, state) in states {
                self.store.update_status(collector, |status| status.state = state);
            }
            self.paused.send_replace(false);
        }
    }

    /// Waits while the tenant is paused.
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

    /// A cycle, as it is traced. Spans of the collection have a target of their own, which no log line shows.
    fn span(&self, collector: Collector) -> Span {
        let (tenant, collector) = (&*self.tenant, collector.label());
        tracing::info_span!(target: "collection", parent: None, "cycle", tenant, collector, state = Empty, items = Empty)
    }

    fn status<T: Default>(&self, collector: Collector, read: impl FnOnce(&Status) -> T) -> T {
        self.store.snapshot().status(collector).map(read).unwrap_or_default()
    }
}

/// From the start of an attempt that took so long until it may be made again. A list is read half of the time at most:
/// details let it go first, and under a list without end they would never be read.
fn cycle(collector: Collector, took: Duration) -> Duration {
    if collector == Collector::Devices { took.saturating_mul(2) } else { took }
}

/// How long a cycle of so many items may take.
fn deadline(items: usize) -> Duration {
    PATIENCE + Duration::from_secs(u64::try_from(items).unwrap_or(u64::MAX) / u64::from(SLOWEST_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_leaves_as_much_time_to_the_details_as_it_takes() {
        let (pace, took) = (Pace { interval: 2 * MINUTE, expiry: 30 * MINUTE, probe: PROBE }, 3 * MINUTE);
        let interval = |collector| pace.interval(cycle(collector, took));
        assert_eq!((interval(Collector::Devices), interval(Collector::Intune)), (6 * MINUTE, took));
    }

    const MINUTE: Duration = Duration::from_mins(1);
}
