//! Is a room usable: a pure function of what its sources say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::account::RoomAccount;
use crate::model::calendar::Calendar;
use crate::model::detail::{Detail, Link, Login, Slot};
use crate::model::device::{Health, Role};
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::memory::{OFFLINE_POLLS, PresenceMemory};
use crate::model::presence::{Availability, Presence};
use crate::model::{State, Timestamp};

/// The verdict on a room, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judgement {
    pub state: RoomState,
    pub votes: Vec<Vote>,
    /// By name, each at most once.
    pub problems: Vec<Problem>,
    /// When time alone may change the verdict.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomState {
    Ok,
    /// Up, with something wrong in the room or its account.
    Degraded,
    Down,
    /// Nothing tells.
    Unknown,
}

/// What one source says; a source that does not know has no vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    pub source: Source,
    pub up: bool,
    /// When its present value began; a beginning that was not seen ranks oldest.
    pub since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Device,
    Presence,
    Incident,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    pub name: String,
    pub area: Area,
    pub since: Option<Timestamp>,
}

/// Whose job a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    Room,
    Account,
    /// The exporter's own view is at odds.
    Monitoring,
}

/// How long the device may still report up after the presence went down, before the presence is not believed.
pub const DEVICE_LAG: Duration = Duration::from_mins(30);
/// An account that was not seen online for so long may be one that never shows a presence.
const PRESENCE_SHOWS: Duration = Duration::from_hours(7 * 24);

impl Judgement {
    pub fn of(fleet: &Fleet<'_>, room: &FleetRoom<'_>) -> Self {
        let devices: Vec<&FleetDevice<'_>> =
            fleet.members(room).filter(|device| !device.superseded).collect();
        let device = if fleet.frozen { None } else { device_vote(&devices) };
        let presence = room.presence.and_then(|(presence, memory)| {
            presence_vote(presence, memory, has_companion(&devices), fleet.now)
        });
        let votes: Vec<Vote> = device.into_iter().chain(presence).chain(incident_vote(room)).collect();
        let decision = decide(&votes, fleet.now);
        let mut problems = if fleet.frozen { Vec::new() } else { problems(&devices) };
        problems.extend(incident_problem(room));
        problems.extend(room.account.into_iter().flat_map(account_problems));
        problems.extend(presence.filter(|vote| !vote.up).map(|vote| {
            let (name, area) = if decision.disagreement {
                ("sources_disagree", Area::Monitoring)
            } else {
                ("presence_offline", Area::Room)
            };
            Problem { name: name.to_owned(), area, since: vote.since }
        }));
        if room.calendar == Some(&Calendar::Refused) {
            problems.push(Problem {
                name: "calendar_unreadable".to_owned(),
                area: Area::Account,
                since: None,
            });
        }
        problems.sort();
        let ailing = problems.iter().any(|problem| problem.area != Area::Monitoring);
        let state = match decision.up {
            None => RoomState::Unknown,
            Some(false) => RoomState::Down,
            Some(true) if ailing => RoomState::Degraded,
            Some(true) => RoomState::Ok,
        };
        Self { state, votes, problems, until: decision.until }
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

/// What the votes come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    up: Option<bool>,
    /// The presence says down, and the room is up because it is not believed.
    disagreement: bool,
    until: Option<Timestamp>,
}

/// The vote whose value is youngest wins, a tie is down. But a device that still reports up long after the presence went
/// down has had its time to notice: then the presence is wrong.
fn decide(votes: &[Vote], now: Timestamp) -> Decision {
    let of = |source| votes.iter().find(|vote| vote.source == source);
    let device_up = of(Source::Device).is_some_and(|vote| vote.up);
    let presence_down = of(Source::Presence).filter(|vote| !vote.up && device_up);
    let lag_ends = presence_down.map(|vote| vote.since.map(|since| since.plus(DEVICE_LAG)));
    // A beginning that was not seen is older than the exporter's memory, and so than the lag.
    let lag_over = lag_ends.is_some_and(|end| end.is_none_or(|end| now > end));
    let believed = votes.iter().filter(|vote| !(lag_over && vote.source == Source::Presence));
    let up = believed.max_by_key(|vote| (vote.since, !vote.up)).map(|vote| vote.up);
    let until = lag_ends.flatten().filter(|_| !lag_over).map(|end| end.plus(Duration::from_secs(1)));
    Decision { up, disagreement: lag_over && up == Some(true), until }
}

/// Down after two polls offline, if the account shows a presence at all; up at any other known value, but beside a
/// signed-in console or panel, which keep the account online, only by a call.
fn presence_vote(
    presence: Presence,
    memory: PresenceMemory,
    companion: bool,
    now: Timestamp,
) -> Option<Vote> {
    let vote = |up, since| Some(Vote { source: Source::Presence, up, since });
    match presence.availability {
        Availability::Unknown => None,
        Availability::Offline => {
            let shows = memory.seen_online.is_some_and(|seen| now.since(seen) <= PRESENCE_SHOWS);
            if shows && memory.offline_polls >= OFFLINE_POLLS {
                vote(false, memory.online_since)
            } else {
                None
            }
        }
        _ if presence.in_call == Some(true) => vote(true, memory.call_since.or(memory.online_since)),
        _ if companion => None,
        _ => vote(true, memory.online_since),
    }
}

/// Down while an incident says that the room device is off, silent or signed out, since the last of them began. The end
/// of an incident says nothing: others may hold the room down.
fn incident_vote(room: &FleetRoom<'_>) -> Option<Vote> {
    let deadly = room.incidents.iter().filter(|one| one.concerns_core && one.incident.means_down());
    let since = deadly.map(|one| one.incident.opened).max()?;
    Some(Vote { source: Source::Incident, up: false, since: Some(since) })
}

/// What Microsoft's portals want somebody to see to, since the first of it began.
fn incident_problem(room: &FleetRoom<'_>) -> Option<Problem> {
    let grave = room.incidents.iter().filter(|one| one.incident.is_problem());
    let since = grave.map(|one| one.incident.opened).min()?;
    Some(Problem { name: "incident".to_owned(), area: Area::Room, since: Some(since) })
}

/// Whether a console or panel is signed in on the room's account.
fn has_companion(devices: &[&FleetDevice<'_>]) -> bool {
    devices
        .iter()
        .any(|device| matches!(device.role(), Role::Console | Role::Panel) && device.device.account.is_some())
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
            let inside = device.detail().map(|detail| problems_inside(device, detail)).unwrap_or_default();
            // Graph may know of something that its detail does not name, or the detail may be missing.
            let unnamed = inside.is_empty() && device.device.health == Health::Critical;
            if unnamed { vec![problem_since_health(device)] } else { inside }
        }
        Role::Console if down => vec![problem("console", Area::Room)],
        Role::Panel if down => vec![problem("panel", Area::Room)],
        _ => Vec::new(),
    }
}

/// What is wrong with the account of a room.
fn account_problems(account: &RoomAccount) -> impl Iterator<Item = Problem> {
    let disabled = account.is_disabled().then_some(("account_disabled", account.disabled_since));
    let unlicensed = account.is_unlicensed().then_some(("license_missing", account.unlicensed_since));
    let problem = |(name, since): (&str, _)| Problem { name: name.to_owned(), area: Area::Account, since };
    disabled.into_iter().chain(unlicensed).map(problem)
}

fn problem_since_health(device: &FleetDevice<'_>) -> Problem {
    let since = device.memory.and_then(|memory| memory.health_since);
    Problem { name: "device_critical".to_owned(), area: Area::Room, since }
}

/// What is wrong inside a device that is up: lost logins and lost required peripherals.
fn problems_inside(device: &FleetDevice<'_>, detail: &Detail) -> Vec<Problem> {
    let logins = detail.logins.iter().filter_map(|(login, connection)| {
        let name = match login {
            Login::Exchange => "exchange_login",
            Login::Teams => "teams_login",
            Login::Skype => return None, // rooms live without Skype
        };
        Some((name.to_owned(), Area::Account, Link::Login(*login), *connection))
    });
    let peripherals = detail.peripherals.iter().filter_map(|peripheral| {
        let required = peripheral.optional == Some(false) && peripheral.slot != Slot::Compute;
        let link = Link::Peripheral(peripheral.slot);
        required.then(|| (peripheral.slot.label().into_owned(), Area::Room, link, peripheral.connection))
    });
    let lost = logins.chain(peripherals).filter(|(.., connection)| connection.connected == Some(false));
    let since = |link, connection| device.since(link, connection);
    lost.map(|(name, area, link, connection)| Problem { name, area, since: since(link, connection) })
        .collect()
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
    const ALL: &'static [Self] = &[Self::Device, Self::Presence, Self::Incident];

    fn label(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Presence => "presence",
            Self::Incident => "incident",
        }
    }
}

impl State for Area {
    const ALL: &'static [Self] = &[Self::Room, Self::Account, Self::Monitoring];

    fn label(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Account => "account",
            Self::Monitoring => "monitoring",
        }
    }
}

#[cfg(test)]
mod tests;
