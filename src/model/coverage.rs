//! Knowledge of all sources together, the gaps that an operator can close, and how.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Snapshot;
use crate::model::account::Tier;
use crate::model::collector::{Collector, CollectorState};
use crate::model::fleet::{Fleet, FleetRoom};

/// Something that is missing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub what: &'static str,
    /// Rooms by name, devices by id.
    pub of: Vec<String>,
    /// Something is wrong in the tenant, not only unknown here.
    pub is_finding: bool,
}

/// The size of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub rooms: usize,
    pub buildings: usize,
    pub devices: usize,
    /// Rooms that are said to be up or down.
    pub with_verdict: usize,
}

impl Coverage {
    pub fn of(fleet: &Fleet<'_>) -> Self {
        let buildings: BTreeSet<&str> = fleet.own_rooms().filter_map(FleetRoom::building).collect();
        let judgements = fleet.judgements();
        Self {
            rooms: fleet.own_rooms().count(),
            buildings: buildings.len(),
            devices: fleet.own_devices().count(),
            with_verdict: judgements.iter().flatten().filter(|judgement| judgement.up().is_some()).count(),
        }
    }
}

/// Sentences about what is missing for the rest, and the permission or setting that adds it.
pub fn advice(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<String> {
    [
        without_verdict(snapshot, fleet),
        without_building(snapshot, fleet),
        without_partner(snapshot, fleet),
        people(snapshot),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn without_verdict(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let Coverage { rooms, with_verdict, .. } = Coverage::of(fleet);
    let count = counted(rooms - with_verdict, "room")?;
    let has_ids = fleet.own_rooms().any(|room| room.room.object_id.is_some());
    // Presence is asked for by object id, which devices and accounts have.
    let other = if has_ids { Collector::Presence } else { Collector::Accounts };
    let missing: Vec<String> =
        [Collector::Devices, other].into_iter().filter_map(|one| missing(snapshot, one)).collect();
    Some(match missing.as_slice() {
        [] => format!("{count} without a verdict: no source reports on them."),
        missing => format!("{count} without a verdict: {} adds more.", missing.join(" or ")),
    })
}

fn without_building(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let count = counted(fleet.own_rooms().filter(|room| room.building().is_none()).count(), "room")?;
    Some(match missing(snapshot, Collector::Places) {
        Some(permission) => format!("{count} without a building: {permission} or `rooms_file` adds it."),
        None => format!("{count} without a building: set it in Exchange (Set-Place) or in `rooms_file`."),
    })
}

/// Device rows carry no mail address and places no object id: without the directory, equal names alone join them.
fn without_partner(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let is_account =
        |room: &&FleetRoom<'_>| room.room.email.is_none() && fleet.members(room).next().is_some();
    let is_place = |room: &&FleetRoom<'_>| room.room.object_id.is_none() && room.place.is_some();
    let accounts = counted(fleet.own_rooms().filter(is_account).count(), "account")?;
    let places = counted(fleet.own_rooms().filter(is_place).count(), "place")?;
    let adds = missing(snapshot, Collector::Accounts).map(|permission| format!("{permission} or "));
    Some(format!(
        "{accounts} of devices and {places} may be the same rooms, but their names differ or are not unique: \
         {}the column `object_id` of `rooms_file` joins them.",
        adds.unwrap_or_default()
    ))
}

/// The one thing that a permission can still cost: the directory shows that an account belongs to a person.
fn people(snapshot: &Snapshot) -> Option<String> {
    let count = counted(snapshot.memory.rooms.people().count(), "account")?;
    Some(format!(
        "{count} on room devices with the name and the license of a person: not a room; a Teams Rooms license, \
         a place or `rooms_file` makes it one."
    ))
}

/// `1 room`, `2 rooms`; `None` for none.
fn counted(count: usize, what: &str) -> Option<String> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {what}{plural}"))
}

/// The permission of a source that is off or refused without it.
fn missing(snapshot: &Snapshot, collector: Collector) -> Option<String> {
    let status = snapshot.status(collector)?;
    let is_off = matches!(status.state, CollectorState::Disabled | CollectorState::Forbidden);
    (is_off || status.refused).then(|| collector.facts().permission())
}

/// Every gap there is; what no source was asked for is none.
pub fn gaps(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Gap> {
    let rooms = |lacks: &dyn Fn(&FleetRoom<'_>) -> bool| {
        let lacking = fleet.own_rooms().filter(|room| lacks(room));
        lacking.map(|room| room.room.name.to_string()).collect()
    };
    let mut gaps = Vec::new();
    let mut note = |what, is_finding, of: Vec<String>| {
        if !of.is_empty() {
            gaps.push(Gap { what, of, is_finding });
        }
    };
    if !fleet.devices.is_empty() {
        note("rooms without a device", false, rooms(&|room| fleet.members(room).next().is_none()));
        let homeless = fleet.own_devices().filter(|device| device.room.is_none());
        note("devices without a room", false, homeless.map(|device| device.device.id.to_string()).collect());
    }
    if !snapshot.places.is_empty() || !snapshot.rooms_file.is_empty() {
        note("rooms without a building", false, rooms(&|room| room.building().is_none()));
    }
    note("serial numbers on several devices", true, duplicate_serials(fleet));
    let unlicensed = |tier| matches!(tier, Some(Tier::Other | Tier::None));
    note(
        "rooms without a license for rooms",
        true,
        rooms(&|room| room.account.is_some_and(|account| unlicensed(account.license))),
    );
    note(
        "rooms whose account is disabled",
        true,
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
