//! What the sources together do not know: the gaps that an operator can close.

use std::collections::BTreeMap;

use crate::model::Snapshot;
use crate::model::account::Tier;
use crate::model::fleet::{Fleet, FleetRoom};

/// Something that is missing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub what: &'static str,
    /// Rooms by name, devices by id.
    pub of: Vec<String>,
}

/// Every gap there is; what no source was asked for is none.
pub fn gaps(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Gap> {
    let rooms = |lacks: &dyn Fn(&FleetRoom<'_>) -> bool| {
        let lacking = fleet.own_rooms().filter(|room| lacks(room));
        lacking.map(|room| room.room.name.to_string()).collect()
    };
    let mut gaps = Vec::new();
    let mut note = |what, of: Vec<String>| {
        if !of.is_empty() {
            gaps.push(Gap { what, of });
        }
    };
    if !fleet.devices.is_empty() {
        note("rooms without a device", rooms(&|room| fleet.members(room).next().is_none()));
        let homeless = fleet.own_devices().filter(|device| device.room.is_none());
        note("devices without a room", homeless.map(|device| device.device.id.to_string()).collect());
    }
    if !snapshot.places.is_empty() || !snapshot.rooms_file.is_empty() {
        note("rooms without a building", rooms(&|room| room.building().is_none()));
    }
    note("serial numbers on several devices", duplicate_serials(fleet));
    let unlicensed = |tier| matches!(tier, Some(Tier::Other | Tier::None));
    note(
        "rooms without a licence for rooms",
        rooms(&|room| room.account.is_some_and(|account| unlicensed(account.license))),
    );
    note(
        "rooms whose account is disabled",
        rooms(&|room| room.account.is_some_and(|account| account.enabled == Some(false))),
    );
    gaps
}

fn duplicate_serials(fleet: &Fleet<'_>) -> Vec<String> {
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    for serial in fleet.devices.iter().filter_map(|device| device.device.serial_number.as_deref()) {
        *devices.entry(serial).or_default() += 1;
    }
    devices.into_iter().filter(|(_, count)| *count > 1).map(|(serial, _)| serial.to_owned()).collect()
}
