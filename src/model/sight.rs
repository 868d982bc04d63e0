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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::account::{RoomAccount, Tier};
    use crate::model::calendar::{Booking, Calendar};
    use crate::model::detail::{Basis, Detail, Reading};
    use crate::model::device::{Activity, Device, Health};
    use crate::model::identity::Trust;
    use crate::model::listing::tests::room_device;
    use crate::model::memory::PresenceMemory;
    use crate::model::place::Place;
    use crate::model::presence::{Availability, Presence};
    use crate::model::record::Record;
    use crate::model::{Snapshot, Timestamp};
    use crate::store::Store;

    const NOW: Timestamp = Timestamp::from_seconds(0);
    const ROOM: &str = "core@contoso.example";

    fn snapshot(device: Device) -> Snapshot {
        let store = Store::new(Snapshot::default());
        store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, NOW);
        store.snapshot()
    }

    fn sight(snapshot: &Snapshot) -> Sight {
        let fleet = Fleet::at(snapshot, NOW);
        Sight::of(&fleet, &fleet.rooms[0])
    }

    /// A state that comes with one of them began before.
    #[test]
    fn each_source_that_speaks_of_a_room_is_another_ground() {
        let device = (*room_device("core")).clone();
        let base = snapshot(device.clone());
        let detailed = |mut snapshot: Snapshot| {
            let detail = Some(Arc::new(Detail::default()));
            let reading = Reading { read_at: NOW, basis: Basis::from(&device), detail, denied: false };
            Arc::make_mut(&mut snapshot.details).insert("core".into(), reading);
            snapshot
        };
        let present = |mut snapshot: Snapshot| {
            let presence = Presence { availability: Availability::Unknown, in_call: None };
            snapshot.presence = Arc::new([(ROOM.into(), Record::new(presence, NOW))].into());
            let memory = PresenceMemory::default();
            Arc::make_mut(&mut snapshot.memory).presence.insert(ROOM.into(), memory);
            snapshot
        };
        let booked = |mut snapshot: Snapshot| {
            let calendar = Record::new(Calendar::Readable(Vec::new()), NOW);
            snapshot.calendar = Arc::new([(ROOM.into(), calendar)].into());
            snapshot
        };
        let placed = |mut snapshot: Snapshot| {
            snapshot.places = Arc::new([(ROOM.into(), Record::new(Place::default(), NOW))].into());
            snapshot
        };
        let known = |enabled, license| {
            let account = RoomAccount { enabled, license, ..RoomAccount::default() };
            let accounts = Arc::new([(ROOM.into(), Record::new(account, NOW))].into());
            Snapshot { accounts, ..base.clone() }
        };
        let signed_in = known(Some(true), None);
        let licensed = known(None, Some(Tier::Pro));
        let worlds = [
            detailed(base.clone()),
            present(base.clone()),
            booked(base.clone()),
            placed(base.clone()),
            signed_in,
            licensed,
            base.clone(),
        ];
        let mut grounds: Vec<u8> = worlds.iter().map(|world| sight(world).grounds.0).collect();
        grounds.sort_unstable();
        grounds.dedup();
        assert_eq!(grounds.len(), worlds.len());
        assert_eq!(sight(&known(None, None)).grounds, sight(&base).grounds, "it says nothing");
        let all = placed(booked(present(detailed(known(Some(true), Some(Tier::Pro))))));
        assert_eq!(sight(&all).grounds.0, 0b111_1111);
    }

    #[test]
    fn nobody_can_be_seen_to_miss_a_room_that_is_down() {
        let look = |health, activity| {
            sight(&snapshot(Device { health, activity, ..(*room_device("core")).clone() }))
        };
        let up = look(Health::Healthy, Activity::Idle);
        assert_eq!((up.state, up.in_use, up.booked), (RoomState::Ok, Some(false), None));
        assert_eq!(look(Health::Healthy, Activity::Busy).in_use, Some(true));
        let down = look(Health::Offline, Activity::Idle);
        assert_eq!((down.state, down.in_use), (RoomState::Down, None));
        assert_eq!(
            look(Health::Offline, Activity::Busy).in_use,
            Some(true),
            "the room is in use all the same"
        );
    }

    #[test]
    fn a_look_shows_what_is_booked() {
        let mut snapshot = snapshot((*room_device("core")).clone());
        let meeting = Booking::new(NOW, Timestamp::from_seconds(60), true).expect("a minute");
        let calendar = Record::new(Calendar::Readable(vec![meeting]), NOW);
        snapshot.calendar = Arc::new([(ROOM.into(), calendar)].into());
        assert_eq!(sight(&snapshot).booked, Some(Booked::Meeting));
    }
}
