//! One round over all sources, for a command that prints and ends.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::config::Enabled;
use crate::model::State;
use crate::model::collector::Collector;
use crate::model::device::Device;
use crate::poll::Poller;

/// They tell which accounts are rooms; the others ask for those.
const FIRST: [Collector; 3] = [Collector::Devices, Collector::Places, Collector::Accounts];

impl Poller {
    /// Asks every source once, good or bad; `chosen` says which devices to ask for their detail.
    pub async fn once(&self, chosen: impl Fn(Vec<Arc<Device>>) -> Vec<Arc<Device>>) {
        join_all(FIRST.map(|collector| self.ask_once(collector))).await;
        let others = Collector::ALL.iter().copied().filter(|one| !FIRST.contains(one));
        let others = others.filter(|one| *one != Collector::DeviceHealth);
        tokio::join!(self.detail_once(chosen), join_all(others.map(|collector| self.ask_once(collector))));
    }

    async fn ask_once(&self, collector: Collector) {
        if self.settings.sources.of(collector).enabled == Enabled::No {
            return;
        }
        match collector {
            Collector::Devices => self.list(Instant::now()).await,
            _ => self.read_source(collector, Instant::now()).await,
        };
    }

    async fn detail_once(&self, chosen: impl Fn(Vec<Arc<Device>>) -> Vec<Arc<Device>>) {
        let snapshot = self.store.snapshot();
        let devices: Vec<_> = snapshot.devices.rows.values().map(|row| row.device.clone()).collect();
        let off = self.settings.sources.of(Collector::DeviceHealth).enabled == Enabled::No;
        if !off && !devices.is_empty() {
            self.read_details_of(&snapshot, &chosen(devices), Instant::now()).await;
        }
    }
}
