//! The availability of a device. The vote on its room and the memory of its beginning share this one definition.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::detail::{Connection, Reading};
use crate::model::device::{Device, Health};
use crate::model::stamp::{Meaning, Stamps};

/// Everything that shows if a device is up.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    pub device: &'a Device,
    /// The last reading of the detail, until it expires.
    pub reading: Option<&'a Reading>,
    pub signed_out: bool,
    pub stamps: &'a Stamps,
}

/// A period in which a device is up, or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    pub up: bool,
    /// When the exporter first saw it so; the state may be older.
    pub first_seen: Timestamp,
    /// When it began, if the exporter saw it begin.
    pub began: Option<Timestamp>,
}

impl Evidence<'_> {
    /// Returns true if the device can be used; `None` if nothing shows it.
    pub fn is_up(&self) -> Option<bool> {
        let connected = self.connection().and_then(|connection| connection.connected);
        if self.device.health == Health::Offline || connected == Some(false) || self.signed_out {
            return Some(false);
        }
        (self.device.health != Health::Unknown || connected.is_some()).then_some(true)
    }

    /// The connection that the detail reports, while the list does not contradict it.
    fn connection(&self) -> Option<Connection> {
        let reading = self.reading.filter(|reading| reading.basis.is_state_of(self.device))?;
        let connection = reading.detail.as_ref()?.connection;
        // A stamp that moved since the detail was read: the list may know better, or at least the device was heard from.
        let beats = self.stamps.of_device(self.device.device_type) == Meaning::Heartbeat;
        let is_heard = connection.connected == Some(true) && beats;
        (reading.basis.is_stamp_of(self.device) || is_heard).then_some(connection)
    }
}

impl Standing {
    /// Returns true if a reading belongs to this period. An older one can report the outage before.
    pub fn covers(&self, reading: &Reading) -> bool {
        self.first_seen <= reading.read_at
    }
}
