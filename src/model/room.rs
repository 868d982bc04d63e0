//! Is a room usable: a pure function of what its sources say.

use crate::model::detail::{Detail, Login, Slot};
use crate::model::device::{Health, Role};
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::{State, Timestamp};

/// The verdict on a room, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub state: RoomState,
    pub votes: Vec<Vote>,
    /// By name, each at most once.
    pub problems: Vec<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    Ok,
    /// Up, with something wrong in the room or its account.
    Degraded,
    Down,
    /// Nothing tells.
    Unknown,
}

/// What one source says; a source that does not know has no vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    pub source: Source,
    pub up: bool,
    /// When its present value began; a beginning that was not seen ranks oldest.
    pub since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Device,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub name: String,
    pub area: Area,
    pub since: Option<Timestamp>,
}

/// Whose job a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Room,
    Account,
}

impl Judgement {
    pub fn of(fleet: &Fleet<'_>, room: &FleetRoom<'_>) -> Self {
        let devices: Vec<&FleetDevice<'_>> =
            fleet.members(room).filter(|device| !device.superseded).collect();
        let votes: Vec<Vote> =
            if fleet.frozen { Vec::new() } else { device_vote(&devices).into_iter().collect() };
        let problems = problems(&devices);
        let state = match votes.iter().max_by_key(|vote| (vote.since, !vote.up)) {
            None => RoomState::Unknown,
            Some(vote) if !vote.up => RoomState::Down,
            Some(_) if problems.is_empty() => RoomState::Ok,
            Some(_) => RoomState::Degraded,
        };
        Self { state, votes, problems }
    }

    /// 1 usable, 0 down, absent where nothing tells.
    pub fn up(&self) -> Option<bool> {
        match self.state {
            RoomState::Ok | RoomState::Degraded => Some(true),
            RoomState::Down => Some(false),
            RoomState::Unknown => None,
        }
    }
}

/// Down if every core device that tells is down, since the last of them went; up since the first came up.
fn device_vote(devices: &[&FleetDevice<'_>]) -> Option<Vote> {
    let voters = || devices.iter().filter(|device| device.role() == Role::Core && device.is_up().is_some());
    let up_since =
        voters().filter(|device| device.is_up() == Some(true)).map(|device| device.standing_since());
    if let Some(since) = up_since.min() {
        return Some(Vote { source: Source::Device, up: true, since });
    }
    let since = voters().map(|device| device.standing_since()).max()?;
    Some(Vote { source: Source::Device, up: false, since })
}

fn problems(devices: &[&FleetDevice<'_>]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = devices.iter().flat_map(|device| problems_of(device)).collect();
    problems.sort(); // of two devices with the same problem the older one tells since when
    problems.dedup_by(|later, first| later.name == first.name);
    problems
}

fn problems_of(device: &FleetDevice<'_>) -> Vec<Problem> {
    let down = device.is_up() == Some(false);
    let problem = |name: &str, area| Problem { name: name.to_owned(), area, since: device.standing_since() };
    match device.role() {
        Role::Core if device.memory.is_some_and(super::memory::DeviceMemory::signed_out) => {
            vec![problem("signed_out", Area::Account)]
        }
        Role::Core if down => vec![problem("device_offline", Area::Room)],
        Role::Core => {
            let inside = device.detail().map(problems_inside).unwrap_or_default();
            // Graph may know of something that its detail does not name, or the detail may be missing.
            let unnamed = inside.is_empty() && device.device.health == Health::Critical;
            if unnamed { vec![problem_since_health(device)] } else { inside }
        }
        Role::Console if down => vec![problem("console", Area::Room)],
        Role::Panel if down => vec![problem("panel", Area::Room)],
        _ => Vec::new(),
    }
}

fn problem_since_health(device: &FleetDevice<'_>) -> Problem {
    let since = device.memory.and_then(|memory| memory.health_since);
    Problem { name: "device_critical".to_owned(), area: Area::Room, since }
}

/// What is wrong inside a device that is up: lost logins and lost required peripherals.
fn problems_inside(detail: &Detail) -> Vec<Problem> {
    let logins = detail.logins.iter().filter_map(|(login, connection)| {
        let name = match login {
            Login::Exchange => "exchange_login",
            Login::Teams => "teams_login",
            Login::Skype => return None, // rooms live without Skype
        };
        Some((name.to_owned(), Area::Account, connection))
    });
    let peripherals = detail.peripherals.iter().filter_map(|peripheral| {
        let required = peripheral.optional == Some(false) && peripheral.slot != Slot::Compute;
        required.then(|| (peripheral.slot.label().into_owned(), Area::Room, &peripheral.connection))
    });
    let lost = logins.chain(peripherals).filter(|(_, _, connection)| connection.connected == Some(false));
    lost.map(|(name, area, connection)| Problem { name, area, since: connection.changed }).collect()
}

impl RoomState {
    /// For sorting, worst first.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Degraded => 1,
            Self::Unknown => 2,
            Self::Ok => 3,
        }
    }
}

impl State for RoomState {
    const ALL: &'static [Self] = &[Self::Ok, Self::Degraded, Self::Down, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

impl State for Source {
    const ALL: &'static [Self] = &[Self::Device];

    fn label(self) -> &'static str {
        match self {
            Self::Device => "device",
        }
    }
}

impl State for Area {
    const ALL: &'static [Self] = &[Self::Room, Self::Account];

    fn label(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Account => "account",
        }
    }
}
