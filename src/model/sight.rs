//! One look at a room: what its counters and the time of its state are made of.

use serde::{Deserialize, Serialize};

use crate::model::calendar::Booked;
use crate::model::device::Role;
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::room::{Judgement, RoomState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    pub state: RoomState,
    pub grounds: Grounds,
    /// `None` where the calendar is not known.
    pub booked: Option<Booked>,
    /// `None` where nothing tells. While a room is down nobody can use it, which does not mean that nobody came.
    pub in_use: Option<bool>,
    /// Which of the configured sites is the room's.
    pub site: Option<usize>,
}

/// Which sources speak of a room. A state that came with a source that had been silent began earlier than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grounds(u8);

impl Sight {
    pub fn of(fleet: &Fleet<'_>, room: &FleetRoom<'_>) -> Self {
        let state = Judgement::of(fleet, room).state;
        Self {
            state,
            grounds: Grounds::of(fleet, room),
            booked: room.occupancy.map(|occupancy| occupancy.booked),
            in_use: fleet.in_use(room).filter(|used| *used || state != RoomState::Down),
            site: room.site.and_then(|site| fleet.sites.iter().position(|one| std::ptr::eq(one, site))),
        }
    }
}

impl Grounds {
    fn of(fleet: &Fleet<'_>, room: &FleetRoom<'_>) -> Self {
        let core = || fleet.members(room).filter(|device| device.role() == Role::Core && !fleet.frozen);
        let sources = [
            core().next().is_some(),
            core().all(|device: &FleetDevice<'_>| device.reading.is_some()),
            room.presence.is_some(),
            room.calendar.is_some(),
            room.place.is_some(),
            room.account.is_some_and(|account| account.enabled.is_some()),
            room.account.is_some_and(|account| account.license.is_some()),
        ];
        Self(sources.into_iter().fold(0, |bits, speaks| bits << 1 | u8::from(speaks)))
    }
}
