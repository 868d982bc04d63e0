//! Prints: numbers by which two pictures of a fleet are compared entity by entity, without keeping the older one.
//!
//! Two that are alike have the same print. Two that differ have different ones, but for a chance of one in 2^64. What a
//! series is made of is in the print of its entity: every field is named here, so that a new one must be thought of.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;

use super::{Fleet, FleetDevice, FleetRoom, RoomIncident};
use crate::model::room::Judgement;

/// Of every device and room of a fleet, in its order; those that are another process's business are not told apart.
#[derive(Debug)]
pub struct Prints {
    /// With all that is known of its room.
    pub devices: Vec<u64>,
    /// With its devices, without the time counted.
    pub rooms: Vec<u64>,
    /// With the time counted.
    pub times: Vec<u64>,
}

/// The print of anything.
pub fn print(of: impl Hash) -> u64 {
    FixedState::default().hash_one(of)
}

impl Prints {
    /// `judgements` are those of the fleet's rooms.
    pub fn of(fleet: &Fleet<'_>, judgements: &[Option<Judgement>]) -> Self {
        let alone: Vec<u64> = fleet.devices.iter().map(print_if_own).collect();
        let stamps = fleet.devices.first().map(|device| device.stamps);
        let whole = print((fleet.frozen, fleet.use_is_known, fleet.product_names, fleet.cohorts(), stamps));
        let room = |(room, judgement): (&FleetRoom<'_>, &Option<Judgement>)| {
            let members = room.members.iter().filter_map(|index| alone.get(*index));
            judgement
                .as_ref()
                .map_or(0, |judgement| print((whole, room, judgement, members.collect::<Vec<_>>())))
        };
        let rooms: Vec<u64> = fleet.rooms.iter().zip(judgements).map(room).collect();
        let of_room = |device: &FleetDevice<'_>| rooms.get(device.room_index?);
        let device = |(device, alone): (&FleetDevice<'_>, &u64)| print((whole, alone, of_room(device)));
        let devices = fleet.devices.iter().zip(&alone).map(device).collect();
        let time = |(room, print_of_room): (&FleetRoom<'_>, &u64)| print((print_of_room, room.totals));
        let times = fleet.rooms.iter().zip(&rooms).map(time).collect();
        Self { devices, rooms, times }
    }
}

fn print_if_own(device: &FleetDevice<'_>) -> u64 {
    if device.own { print(device) } else { 0 }
}

/// Hashes the device alone: its room has its own print, and the meaning of stamps is part of that of the whole.
impl Hash for FleetDevice<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { device, memory, reading, superseded, managed, now, .. } = self;
        let Self { room: _, own: _, room_index: _, stamps: _, .. } = self;
        (device, memory, reading, superseded, managed, self.is_ahead().then_some(now)).hash(state);
    }
}

/// Without its devices and the time counted.
impl Hash for FleetRoom<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            room,
            place,
            file,
            site,
            in_service,
            may_observe,
            presence,
            managed,
            incidents,
            calendar,
            occupancy,
            memory,
            totals: _,
            account,
            own: _,
            members: _,
        } = self;
        (room, place, file, site.map(|site| (&site.name, &site.owner)), in_service, may_observe).hash(state);
        (presence, managed, incidents, calendar, occupancy, memory, account).hash(state);
    }
}

impl Hash for RoomIncident<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { incident, concerns_core } = self;
        (incident, concerns_core).hash(state);
    }
}
