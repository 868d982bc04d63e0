//! Everything that is held of one tenant: parts that are replaced whole, one at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::State;
use crate::model::collector::{Collector, Status};
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
}

/// A part of a [`Snapshot`]: what a metric family is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Devices,
    Details,
    Memory,
    Status,
}

impl Part {
    pub const ALL: &'static [Self] = &[Self::Devices, Self::Details, Self::Memory, Self::Status];
}

impl Snapshot {
    pub fn status(&self, collector: Collector) -> Option<&Status> {
        self.status.get(&collector)
    }

    /// Whether a part was replaced since `before`.
    pub fn changed(&self, part: Part, before: &Self) -> bool {
        match part {
            Part::Devices => !Arc::ptr_eq(&self.devices, &before.devices),
            Part::Details => !Arc::ptr_eq(&self.details, &before.details),
            Part::Memory => !Arc::ptr_eq(&self.memory, &before.memory),
            Part::Status => !Arc::ptr_eq(&self.status, &before.status),
        }
    }

    /// Whether every collector has ended its first attempt, good or bad, or is not to make one.
    pub fn awaited(&self) -> Option<&'static str> {
        use crate::model::collector::CollectorState::Starting;
        let waiting = self.status.iter().find(|(_, status)| status.state == Starting)?;
        Some(waiting.0.label())
    }
}
