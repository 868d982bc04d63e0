//! Heartbeats: the times of a document that move while a device is connected, though its values stay.

use serde_json::{Map, Value, json};

use super::{Document, latest_edit, time};
use crate::sim::edits::Patch;
use crate::sim::world::{Condition, Device, Link, LinkStatus};

const MODIFIED: &str = "lastModifiedDateTime";

/// The signs of life of one device, in simulated milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    /// The newest moment at which the tenant knew anything of the device.
    heard: i64,
    /// The newest heartbeat by then.
    beat: i64,
}

impl Heartbeat {
    pub(super) fn of(device: &Device, condition: &Condition, patch: &Patch, moment: i64) -> Self {
        let Link { status, since } = condition.connection;
        let natural = if is_connected(status, patch) { moment } else { since };
        let heard = match latest_edit(patch, Document::Device) {
            // The edit cut the connection, so that nothing was heard since.
            Some(edited) if !is_connected(LinkStatus::Connected, patch) => edited,
            edited => edited.map_or(natural, |edited| edited.max(natural)),
        };
        Self { heard, beat: device.last_beat(heard) }
    }

    /// Moves the time of the document itself. It stops with the device: changes that a silent device cannot
    /// report do not show.
    pub(super) fn stamp(self, members: &mut Map<String, Value>) {
        if let Some(Value::String(written)) = members.get_mut(MODIFIED) {
            // All times are written alike, so the order of the texts is the order of the times.
            *written = std::mem::take(written).min(time(self.heard)).max(time(self.beat));
        }
    }

    /// Moves the time of the document and of every connection in it.
    pub(super) fn stamp_all(self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.stamp_all(item)),
            Value::Object(members) => {
                self.stamp(members);
                members.values_mut().for_each(|member| self.stamp_all(member));
            }
            _ => {}
        }
    }
}

/// Returns true if a device with this connection is connected after its edits.
pub(in crate::sim) fn is_connected(status: LinkStatus, patch: &Patch) -> bool {
    let status = if status == LinkStatus::Connected { "connected" } else { "disconnected" };
    let mut record = json!({});
    let mut health = json!({"connection": {"connectionStatus": status}});
    patch.apply(Document::Device.name(), &mut record);
    patch.apply(Document::Health.name(), &mut health);
    let is = |document: &Value, pointer: &str, status: &str| {
        let text = document.pointer(pointer).and_then(Value::as_str);
        text.is_some_and(|text| text.eq_ignore_ascii_case(status))
    };
    is(&health, "/connection/connectionStatus", "connected") && !is(&record, "/healthStatus", "offline")
}
