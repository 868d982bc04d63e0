//! The sources: what each needs, how often it is read, and how it is doing.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{State, Timestamp};

/// One source of facts. Each is optional and fails alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collector {
    Devices,
    DeviceHealth,
    Presence,
    Places,
    Calendar,
    Accounts,
    Intune,
    ServiceHealth,
    Credentials,
}

/// What an operator and a rule author must know of a collector.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The application permissions of Microsoft Graph that it needs, the least there are.
    pub permissions: &'static [&'static str],
    /// Wider ones that serve as well.
    pub or: &'static [&'static str],
    /// What it can do without, and tells more with.
    pub optional: &'static [&'static str],
    pub interval: Duration,
    /// After this long without a reading, a record is no longer served.
    pub expiry: Duration,
    /// How far Graph itself is behind the room.
    pub lag: &'static str,
    /// The Graph resource that is read.
    pub resource: &'static str,
    /// What is not known without it.
    pub brings: &'static str,
}

/// A source that has ever answered is retired once Graph has denied it for this time: longer than a bad deployment is
/// served before it is taken back.
pub const RETIRED_AFTER: Duration = Duration::from_secs(15 * MINUTE);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Collector {
    pub const fn facts(self) -> Facts {
        match self {
            Self::Devices => Facts {
                permissions: &["TeamworkDevice.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(2 * MINUTE),
                expiry: Duration::from_secs(30 * MINUTE),
                lag: "10 to 30 min",
                resource: "/beta/teamwork/devices",
                brings: "devices, their health, activity and account",
            },
            Self::DeviceHealth => Facts {
                permissions: &["TeamworkDevice.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(2 * MINUTE),
                expiry: Duration::from_secs(90 * MINUTE),
                lag: "10 to 30 min",
                resource: "/beta/teamwork/devices/{id}/health",
                brings: "connection, logins, peripherals, software",
            },
            Self::Presence => Facts {
                permissions: &["Presence.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(MINUTE),
                expiry: Duration::from_secs(15 * MINUTE),
                lag: "1 min",
                resource: "/v1.0/communications/getPresencesByUserId",
                brings: "the fastest sign that a room is off, and whether it is in a call",
            },
            Self::Places => Facts {
                permissions: &["Place.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(6 * HOUR),
                expiry: Duration::from_secs(7 * 24 * HOUR),
                lag: "hours",
                resource: "/v1.0/places/microsoft.graph.room",
                brings: "building, floor, city, seats, coordinates, and rooms without a device",
            },
            Self::Calendar => Facts {
                permissions: &["Calendars.ReadBasic.All"],
                or: &["Calendars.Read"],
                optional: &[],
                interval: Duration::from_secs(5 * MINUTE),
                expiry: Duration::from_secs(30 * MINUTE),
                lag: "1 min",
                resource: "/v1.0/users/{id}/calendar/getSchedule",
                brings: "whether and until when a room is booked, its next booking, and bookings nobody came to",
            },
            Self::Accounts => Facts {
                permissions: &["User.Read.All", "LicenseAssignment.Read.All"],
                or: &["Directory.Read.All"],
                optional: &["Organization.Read.All"], // until when licences run
                interval: Duration::from_secs(HOUR),
                expiry: Duration::from_secs(24 * HOUR),
                lag: "minutes",
                resource: "/v1.0/users",
                brings: "whether a room's account is enabled and licensed, and licences bought and used",
            },
            Self::Intune => Facts {
                permissions: &["DeviceManagementManagedDevices.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(30 * MINUTE),
                expiry: Duration::from_secs(6 * HOUR),
                lag: "up to 8 h",
                resource: "/v1.0/deviceManagement/managedDevices",
                brings: "compliance, last contact, certificate, security patches, storage and operating system of room devices",
            },
            Self::ServiceHealth => Facts {
                permissions: &["ServiceHealth.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(5 * MINUTE),
                expiry: Duration::from_secs(30 * MINUTE),
                lag: "minutes",
                resource: "/v1.0/admin/serviceAnnouncement",
                brings: "whether Teams or Exchange itself has an outage",
            },
            Self::Credentials => Facts {
                permissions: &["Application.Read.All"],
                or: &[],
                optional: &[],
                interval: Duration::from_secs(24 * HOUR),
                expiry: Duration::from_secs(7 * 24 * HOUR),
                lag: "minutes",
                resource: "/v1.0/applications",
                brings: "when the exporter's own credential expires",
            },
        }
    }
}

impl Facts {
    /// The permissions as one text.
    pub fn permission(&self) -> String {
        self.permissions.join(", ")
    }
}

impl Collector {
    /// Whether it tells if rooms are up.
    pub const fn tells_room_state(self) -> bool {
        matches!(self, Self::Devices | Self::Presence)
    }

    /// Whether a good answer with nothing in it is one to doubt: every tenant with rooms has these, and a secret to read
    /// them with. A presence or a calendar that was asked for nobody must not pass for a source that works.
    pub const fn must_have_items(self) -> bool {
        !matches!(self, Self::DeviceHealth | Self::Intune)
    }

    /// Whether it tells of the tenant as a whole, and of no room.
    pub const fn is_of_tenant(self) -> bool {
        matches!(self, Self::ServiceHealth | Self::Credentials)
    }

    /// Whether many tenants are in order without it: they have no Intune, or the application is registered elsewhere.
    pub const fn is_often_absent(self) -> bool {
        matches!(self, Self::Intune | Self::Credentials)
    }
}

/// How a collector's last attempt went, or why there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorState {
    Ok,
    /// No attempt has ended yet.
    Starting,
    /// Part of the answer is missing; the rest is used.
    Partial,
    /// Nobody reads the exporter; the tenant's quota is spared.
    Paused,
    /// Switched off, or `auto` without the permission.
    Disabled,
    Unauthorized,
    Forbidden,
    /// Graph no longer has this resource.
    Retired,
    Throttled,
    Unreachable,
    Malformed,
    /// A good answer with nothing in it.
    Empty,
    /// Good answers in which nothing changes any more.
    Frozen,
}

/// How a collector is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub state: CollectorState,
    pub last_success: Option<Timestamp>,
    pub last_attempt: Option<Timestamp>,
    /// The last attempt, or a part of it, was refused for want of a permission.
    pub refused: bool,
    /// Why the last attempt was no full success, in words for an operator.
    pub reason: Option<Arc<str>>,
    /// Effective, that is: stretched where the fleet is larger than the rate allows.
    pub interval: Duration,
    /// Effective, like the interval.
    pub expiry: Duration,
    pub duration: Option<Duration>,
    pub consecutive_failures: u64,
    /// When Graph first said, in an unbroken row of attempts, that it no longer has this resource.
    pub gone_since: Option<Timestamp>,
    pub items: usize,
    /// What Graph said it has.
    pub expected_items: Option<usize>,
    /// Records that Graph said it has and did not give, at the last attempt with usable data.
    pub missing_items: usize,
    /// Missing from the last listing but kept until the fall is confirmed.
    pub held_items: usize,
    /// Records of the last attempt that could not be used.
    pub skipped_items: usize,
}

impl Status {
    pub fn starting(interval: Duration, expiry: Duration) -> Self {
        Self {
            state: CollectorState::Starting,
            last_success: None,
            last_attempt: None,
            refused: false,
            reason: None,
            interval,
            expiry,
            duration: None,
            consecutive_failures: 0,
            gone_since: None,
            items: 0,
            expected_items: None,
            missing_items: 0,
            held_items: 0,
            skipped_items: 0,
        }
    }

    /// Takes note of how an attempt ended at `now`; gives the state that this means. A source that has ever answered does
    /// not retire at the first 404. That may be a bad minute of Graph, and a retired source is left alone for an hour.
    pub fn settle_state(&mut self, state: CollectorState, now: Timestamp) -> CollectorState {
        if state != CollectorState::Retired {
            self.gone_since = None;
            return state;
        }
        let since = *self.gone_since.get_or_insert(now);
        let is_gone = self.last_success.is_none() || now.since(since) >= RETIRED_AFTER;
        if is_gone { state } else { CollectorState::Unreachable }
    }

    /// Whether a success is recent enough for its data to be served.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.last_success.is_some_and(|success| now.since(success) <= self.expiry)
    }
}

impl CollectorState {
    /// Whether the last attempt brought usable data.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Partial)
    }
}

impl State for Collector {
    const ALL: &'static [Self] = &[
        Self::Devices,
        Self::DeviceHealth,
        Self::Presence,
        Self::Places,
        Self::Calendar,
        Self::Accounts,
        Self::Intune,
        Self::ServiceHealth,
        Self::Credentials,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::DeviceHealth => "device_health",
            Self::Presence => "presence",
            Self::Places => "places",
            Self::Calendar => "calendar",
            Self::Accounts => "accounts",
            Self::Intune => "intune",
            Self::ServiceHealth => "service_health",
            Self::Credentials => "credentials",
        }
    }
}

impl State for CollectorState {
    const ALL: &'static [Self] = &[
        Self::Ok,
        Self::Starting,
        Self::Partial,
        Self::Paused,
        Self::Disabled,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Retired,
        Self::Throttled,
        Self::Unreachable,
        Self::Malformed,
        Self::Empty,
        Self::Frozen,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Starting => "starting",
            Self::Partial => "partial",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Retired => "retired",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::Frozen => "frozen",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(minutes * 60)
    }

    fn status(last_success: Option<Timestamp>) -> Status {
        Status { last_success, ..Status::starting(Duration::from_mins(2), Duration::from_mins(30)) }
    }

    /// One 404 may be a bad minute of Graph.
    #[test]
    fn a_source_that_ever_answered_retires_when_it_has_been_gone_for_a_while() {
        use CollectorState::{Forbidden, Ok, Retired, Unreachable};
        let mut status = status(Some(at(0)));
        for (now, state, shown, gone_since) in [
            (10, Retired, Unreachable, Some(10)),
            (24, Retired, Unreachable, Some(10)),
            (25, Retired, Retired, Some(10)),
            (26, Ok, Ok, None),
            (27, Retired, Unreachable, Some(27)),
            (28, Forbidden, Forbidden, None),
            (60, Retired, Unreachable, Some(60)),
        ] {
            assert_eq!(status.settle_state(state, at(now)), shown, "at {now}");
            assert_eq!(status.gone_since, gone_since.map(at), "at {now}");
        }
    }

    #[test]
    fn a_source_that_never_answered_retires_at_once() {
        assert_eq!(status(None).settle_state(CollectorState::Retired, at(1)), CollectorState::Retired);
    }

    #[test]
    fn a_source_is_fresh_until_what_it_said_expires() {
        let fresh = |minutes| status(Some(at(0))).is_fresh(at(minutes));
        assert!(fresh(0) && fresh(30) && !fresh(31));
        assert!(!status(None).is_fresh(at(0)), "it has said nothing");
    }

    #[test]
    fn a_success_brings_data_that_can_be_used() {
        let successes = CollectorState::ALL.iter().filter(|state| state.is_success());
        assert_eq!(successes.collect::<Vec<_>>(), [&CollectorState::Ok, &CollectorState::Partial]);
    }

    #[track_caller]
    fn check_kind(is_so: impl Fn(Collector) -> bool, expected: &[Collector]) {
        let so: Vec<Collector> = Collector::ALL.iter().copied().filter(|one| is_so(*one)).collect();
        assert_eq!(so, expected);
    }

    #[test]
    fn sources_differ_in_what_their_silence_means() {
        use Collector::{Credentials, DeviceHealth, Devices, Intune, Presence, ServiceHealth};
        check_kind(Collector::tells_room_state, &[Devices, Presence]);
        check_kind(|one| !one.must_have_items(), &[DeviceHealth, Intune]);
        check_kind(Collector::is_of_tenant, &[ServiceHealth, Credentials]);
        check_kind(Collector::is_often_absent, &[Intune, Credentials]);
    }

    /// The least that each needs, as consent is asked for.
    #[test]
    fn permissions_are_told_as_one_text() {
        let permission = |one: Collector| one.facts().permission();
        assert_eq!(permission(Collector::Devices), "TeamworkDevice.Read.All");
        assert_eq!(permission(Collector::Accounts), "User.Read.All, LicenseAssignment.Read.All");
    }
}
