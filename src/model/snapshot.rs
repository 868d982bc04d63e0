//! Everything that is held of one tenant: parts that are replaced whole, one at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::State;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::detail::Reading;
use crate::model::listing::Listing;
use crate::model::memory::Memory;

/// Cheap to clone; a part that was not replaced is shared with the snapshot before.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub devices: Arc<Listing>,
    /// By device id.
    pub details: Arc<BTreeMap<Arc<str>, Reading>>,
    pub memory: Arc<Memory>,
    pub status: Arc<BTreeMap<Collector, Status>>,
    /// Age of the newest change from which on the devices count as frozen; `None` is never.
    pub frozen_after: Option<Duration>,
}

impl Snapshot {
    pub fn status(&self, collector: Collector) -> Option<&Status> {
        self.status.get(&collector)
    }

    /// How long a record of this collector is served, as in force.
    pub fn expiry(&self, collector: Collector) -> Duration {
        self.status(collector).map_or(Duration::MAX, |status| status.expiry)
    }

    /// Whether anything but the statuses was replaced since `before`.
    pub fn is_changed_since(&self, before: &Self) -> bool {
        !(Arc::ptr_eq(&self.devices, &before.devices)
            && Arc::ptr_eq(&self.details, &before.details)
            && Arc::ptr_eq(&self.memory, &before.memory))
    }

    /// The collector whose first attempt, good or bad, is still awaited; the details take long and are not.
    pub fn awaited(&self) -> Option<&'static str> {
        let starting = |(collector, status): &(&Collector, &Status)| {
            **collector != Collector::DeviceHealth && status.state == CollectorState::Starting
        };
        self.status.iter().find(starting).map(|(collector, _)| collector.label())
    }
}
