//! The last good picture of each tenant. Readers get a cheap copy; parts are replaced whole, through named methods only.
//!
//! A failed poll never removes data, it only lets it age.

pub mod storage;

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::collector::{Collector, Status};
use crate::model::detail::{Basis, Detail, Reading};
use crate::model::device::Device;
use crate::model::listing::{Census, Settled};
use crate::model::memory::{Event, Moment, Sighting};
use crate::model::{Snapshot, Timestamp};

/// What is held of one tenant.
pub struct Store {
    cell: watch::Sender<Snapshot>,
}

impl Store {
    pub fn new(snapshot: Snapshot) -> Self {
        Self { cell: watch::Sender::new(snapshot) }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.cell.borrow().clone()
    }

    /// Tells of every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.cell.subscribe()
    }

    /// Takes a page of listed devices. `trusted`: accounts on room devices are rooms.
    pub fn take_devices(&self, devices: &[Arc<Device>], trusted: bool, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let rows = &snapshot.devices.rows;
            let sighting = |device: &Arc<Device>| Sighting {
                value: device.clone(),
                last_read: rows.get(&device.id).map(|row| row.seen_at),
            };
            let sightings: Vec<_> = devices.iter().map(sighting).collect();
            let moment = Moment { now, expiry: snapshot.expiry(Collector::Devices) };
            Arc::make_mut(&mut snapshot.devices).take(devices, now);
            Arc::make_mut(&mut snapshot.memory).observe_devices(&sightings, trusted, moment)
        })
    }

    /// Ends a listing: devices that a complete listing no longer has leave, or are held.
    pub fn settle_devices(&self, census: &Census, now: Timestamp) -> Settled {
        self.change(|snapshot| {
            let settled = Arc::make_mut(&mut snapshot.devices).settle(census);
            if !settled.removed.is_empty() {
                let details = Arc::make_mut(&mut snapshot.details);
                details.retain(|id, _| snapshot.devices.rows.contains_key(id));
            }
            Arc::make_mut(&mut snapshot.memory).part_with(&settled.removed, now);
            settled
        })
    }

    /// Takes details that were read; `None` is a device of which Graph reports none.
    pub fn take_details(&self, found: Vec<(Arc<Device>, Option<Arc<Detail>>)>, now: Timestamp) -> Vec<Event> {
        self.change(|snapshot| {
            let moment = Moment { now, expiry: snapshot.expiry(Collector::DeviceHealth) };
            let details = Arc::make_mut(&mut snapshot.details);
            let mut read = Vec::with_capacity(found.len());
            for (asked, detail) in found {
                // The list may have moved on while the detail was read.
                let Some(row) = snapshot.devices.rows.get(&asked.id) else { continue };
                let device = row.device.clone();
                let held = details.get_mut(&device.id).filter(|held| held.detail.is_some() && !held.denied);
                if let (None, Some(held)) = (&detail, held) {
                    held.denied = true;
                    continue;
                }
                let basis = Basis::from(&*asked);
                let reading = Reading { read_at: now, basis, detail: detail.clone(), denied: false };
                let last_read = details.insert(device.id.clone(), reading).map(|last| last.read_at);
                read.extend(detail.map(|detail| Sighting { value: (device, detail), last_read }));
            }
            Arc::make_mut(&mut snapshot.memory).observe_details(&read, moment)
        })
    }

    pub fn update_status(&self, collector: Collector, update: impl FnOnce(&mut Status)) {
        self.change(|snapshot| {
            if let Some(status) = Arc::make_mut(&mut snapshot.status).get_mut(&collector) {
                update(status);
            }
        });
    }

    /// After a pause nobody knows when things changed.
    pub fn lose_track(&self, now: Timestamp) {
        self.change(|snapshot| Arc::make_mut(&mut snapshot.memory).lose_track(now));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        let mut change = Some(change);
        let mut result = None;
        self.cell.send_modify(|snapshot| result = change.take().map(|change| change(snapshot)));
        result.expect("send_modify runs the closure once")
    }
}
