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
