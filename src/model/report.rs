//! A room in words and times, for people and scripts: `/api/v1/rooms` and the `rooms` command.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::model::calendar::Booked;
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::identity::Tie;
use crate::model::room::{Judgement, Problem, Vote};
use crate::model::{Snapshot, State, Timestamp};

/// Everything about one room; what is not known is null. Times are RFC 3339.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoomReport {
    pub tenant: Arc<str>,
    pub room: Arc<str>,
    pub room_id: Arc<str>,
    pub state: &'static str,
    pub in_service: bool,
    /// When the present state was seen to begin.
    #[serde(serialize_with = "rfc3339")]
    pub state_since: Option<Timestamp>,
    pub in_use: Option<bool>,
    pub booked: Option<bool>,
    #[serde(serialize_with = "rfc3339")]
    pub booking_end: Option<Timestamp>,
    #[serde(serialize_with = "rfc3339")]
    pub next_booking: Option<Timestamp>,
    pub building: Option<Arc<str>>,
    pub floor: Option<Arc<str>>,
    pub site: Option<Arc<str>>,
    pub owner: Option<Arc<str>>,
    pub tier: Option<Arc<str>>,
    /// The evidence that the mailbox of the room and the account of its devices are one; null while only one is known.
    pub joined_by: Option<&'static str>,
    /// Seats.
    pub capacity: Option<u32>,
    pub problems: Vec<ProblemReport>,
    pub votes: Vec<VoteReport>,
    pub devices: Vec<DeviceReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProblemReport {
    pub problem: String,
    pub area: &'static str,
    #[serde(serialize_with = "rfc3339")]
    pub since: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VoteReport {
    pub source: &'static str,
    pub up: bool,
    #[serde(serialize_with = "rfc3339")]
    pub since: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub struct DeviceReport {
    pub device_id: Arc<str>,
    pub device_type: &'static str,
    pub role: &'static str,
    pub health: &'static str,
    pub up: Option<bool>,
    #[serde(serialize_with = "rfc3339")]
    pub since: Option<Timestamp>,
    pub superseded: bool,
}

/// The rooms of a tenant at `now`, the worst first, then by name.
pub fn rooms(tenant: &str, snapshot: &Snapshot, now: Timestamp) -> Vec<RoomReport> {
    let tenant: Arc<str> = tenant.into();
    let fleet = Fleet::at(snapshot, now);
    judged(&fleet).iter().map(|(room, judgement)| report(&tenant, &fleet, room, judgement)).collect()
}

/// Each room and the verdict on it, the worst first, then by name.
pub fn judged<'f, 'a>(fleet: &'f Fleet<'a>) -> Vec<(&'f FleetRoom<'a>, Judgement)> {
    let mut judged: Vec<_> = fleet.own_rooms().map(|room| (room, Judgement::of(fleet, room))).collect();
    judged.sort_by(|(room, judgement), (other, others)| {
        (judgement.state.rank(), &room.room.name).cmp(&(others.state.rank(), &other.room.name))
    });
    judged
}

fn report(tenant: &Arc<str>, fleet: &Fleet<'_>, room: &FleetRoom<'_>, judgement: &Judgement) -> RoomReport {
    let owned = |text: Option<&str>| text.map(Arc::from);
    RoomReport {
        tenant: tenant.clone(),
        room: room.room.name.clone(),
        room_id: room.room.id.clone(),
        state: judgement.state.label(),
        in_service: room.in_service,
        state_since: room
            .memory
            .filter(|memory| memory.state == judgement.state)
            .and_then(|memory| memory.since),
        in_use: fleet.in_use(room),
        booked: room.occupancy.map(|occupancy| occupancy.booked != Booked::Free),
        booking_end: room.occupancy.and_then(|occupancy| occupancy.until),
        next_booking: room.occupancy.and_then(|occupancy| occupancy.next),
        building: owned(room.building()),
        floor: owned(room.floor()),
        site: room.site.map(|site| site.name.clone()),
        owner: owned(room.owner()),
        tier: owned(room.tier()),
        joined_by: room.room.tie.map(Tie::label),
        capacity: room.place.and_then(|place| place.capacity),
        problems: judgement.problems.iter().map(ProblemReport::from).collect(),
        votes: judgement.votes.iter().map(VoteReport::from).collect(),
        devices: fleet.members(room).map(DeviceReport::from).collect(),
    }
}

impl From<&Problem> for ProblemReport {
    fn from(problem: &Problem) -> Self {
        Self { problem: problem.name.clone(), area: problem.area.label(), since: problem.since }
    }
}

impl From<&Vote> for VoteReport {
    fn from(vote: &Vote) -> Self {
        Self { source: vote.source.label(), up: vote.up, since: vote.since }
    }
}

impl From<&FleetDevice<'_>> for DeviceReport {
    fn from(device: &FleetDevice<'_>) -> Self {
        Self {
            device_id: device.device.id.clone(),
            device_type: device.device.device_type.label(),
            role: device.role().label(),
            health: device.device.health.label(),
            up: device.is_up(),
            since: device.standing_since(),
            superseded: device.superseded,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn rfc3339<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    moment.map(|moment| moment.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::calendar::{Booking, Calendar};
    use crate::model::device::{Device, Health};
    use crate::model::identity::Trust;
    use crate::model::listing::tests::room_device;
    use crate::model::record::Record;
    use crate::model::room::RoomState;
    use crate::store::Store;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Rooms of these names, each with a device.
    fn store(rooms: &[(&str, Health)]) -> Store {
        let store = Store::new(Snapshot::default());
        let device = |(id, health): &(&str, Health)| {
            Arc::new(Device { health: *health, ..(*room_device(id)).clone() })
        };
        store.take_devices(&rooms.iter().map(device).collect::<Vec<_>>(), Trust::UnlessPerson, at(0));
        store
    }

    #[test]
    fn the_worst_rooms_come_first_and_then_by_name() {
        use Health::{Critical, Healthy, Offline, Unknown};
        let store = store(&[("a", Healthy), ("b", Unknown), ("c", Critical), ("d", Offline), ("e", Offline)]);
        let told = rooms("tenant", &store.snapshot(), at(0));
        let told: Vec<String> =
            told.iter().map(|room| format!("{} {}", room.devices[0].device_id, room.state)).collect();
        assert_eq!(told, ["d down", "e down", "c degraded", "b unknown", "a ok"]);
    }

    #[test]
    fn a_state_has_its_beginning_while_it_is_that_state() {
        let store = store(&[("a", Health::Healthy)]);
        let look = |seconds| {
            let snapshot = store.snapshot();
            let fleet = Fleet::at(&snapshot, at(seconds));
            let sight = crate::model::sight::Sight::of(&fleet, &fleet.rooms[0]);
            store.observe_rooms(&[("a@contoso.example".into(), sight)].into(), at(seconds));
        };
        let since = || rooms("tenant", &store.snapshot(), at(60))[0].state_since.map(Timestamp::seconds);
        look(0);
        let down = Device { health: Health::Offline, ..(*room_device("a")).clone() };
        store.take_devices(&[Arc::new(down)], Trust::UnlessPerson, at(30));
        assert_eq!(since(), None, "it has not been looked at");
        look(30);
        assert_eq!(since(), Some(30));
    }

    #[test]
    fn a_booking_is_told_with_its_times_and_no_booking_is_none() {
        let mut snapshot = store(&[("a", Health::Healthy)]).snapshot();
        let booked = |now: i64, snapshot: &Snapshot| {
            let room = rooms("tenant", snapshot, at(now)).remove(0);
            (room.booked, room.booking_end.map(Timestamp::seconds), room.next_booking.map(Timestamp::seconds))
        };
        assert_eq!(booked(0, &snapshot), (None, None, None));
        let meeting = Booking::new(at(60), at(120), true).expect("a minute");
        let calendar = Record::new(Calendar::Readable(vec![meeting]), at(0));
        snapshot.calendar = Arc::new([("a@contoso.example".into(), calendar)].into());
        assert_eq!(booked(0, &snapshot), (Some(false), None, Some(60)));
        assert_eq!(booked(60, &snapshot), (Some(true), Some(120), None));
    }

    #[test]
    fn times_are_text_and_what_is_not_known_is_null() {
        let problem =
            |since| ProblemReport { problem: "camera".to_owned(), area: RoomState::Ok.label(), since };
        let json = |since| serde_json::to_value(problem(since)).expect("plain data")["since"].clone();
        assert_eq!(json(Some(at(0))), "1970-01-01T00:00:00Z");
        assert!(json(None).is_null());
    }
}
