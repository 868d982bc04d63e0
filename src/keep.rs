//! Keeps a tenant's snapshot on disk, so that a restart begins where the last run ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::model::Snapshot;
use crate::stats::Stats;
use crate::store::Store;
use crate::store::storage::Storage;

/// Keeps one tenant.
pub struct Keeper {
    pub tenant: Arc<str>,
    pub store: Arc<Store>,
    pub storage: Storage,
    pub stats: Arc<Stats>,
    pub clock: Clock,
}

/// At most this much is lost when the process is killed; a fleet of 10,000 devices is some 30 MB.
pub const INTERVAL: Duration = Duration::from_mins(1);
/// Writing takes at most one part of the time in so many.
const PAUSE_PER_SAVE: u32 = 20;

impl Keeper {
    /// Saves at each interval in which something changed, until it is dropped.
    pub async fn run(&self, interval: Duration) {
        let mut changes = self.store.subscribe();
        let (mut took, mut kept) = (Duration::ZERO, true);
        loop {
            tokio::time::sleep(interval.max(took * PAUSE_PER_SAVE)).await;
            if changes.has_changed().unwrap_or(false) || !kept {
                let (snapshot, began) = (changes.borrow_and_update().clone(), Instant::now());
                let saved = self.save(snapshot).await;
                if saved && !kept {
                    tracing::info!(tenant = &*self.tenant, "the state is kept again");
                }
                (took, kept) = (began.elapsed(), saved);
            }
        }
    }

    /// Saves what is held now.
    pub async fn save_now(&self) {
        self.save(self.store.snapshot()).await;
    }

    /// Whether it is on the disk.
    async fn save(&self, snapshot: Snapshot) -> bool {
        let (storage, now) = (self.storage.clone(), self.clock.now());
        let saved = tokio::task::spawn_blocking(move || storage.save(&snapshot, now)).await;
        match saved {
            Err(_) => true, // the runtime ends, and nobody waits for it
            Ok(Ok(())) => {
                self.stats.storage_written(now);
                true
            }
            Ok(Err(error)) => {
                self.stats.storage_failures.inc();
                tracing::error!(tenant = &*self.tenant, %error, "the state is not kept; a restart would begin with an older one");
                false
            }
        }
    }
}
