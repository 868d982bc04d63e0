//! The condition of a device at one moment: connection, sign-ins, peripherals, software, use, and what health
//! follows from them.

use super::building::Account;
use super::device::{Device, Part, Story};
use super::hardware::{self, DeviceType, Product};
use super::software::{self, Updates};
use super::timeline::{Episode, HOUR, Habit, Held, MINUTE, Meetings, Nightly, Signal, Source};

#[derive(Clone, Debug)]
pub(in crate::sim) struct Condition {
    pub(in crate::sim) connection: Link,
    pub(in crate::sim) logins: Logins,
    pub(in crate::sim) user: Option<Account>,
    pub(in crate::sim) peripherals: Vec<Peripheral>,
    pub(in crate::sim) software: Vec<software::Status>,
    pub(in crate::sim) activity: Activity,
    /// When anything the device reports last changed, its use included.
    pub(in crate::sim) changed: i64,
    /// When anything in its health document last changed.
    pub(in crate::sim) health_changed: i64,
}

/// A `teamworkConnection`: a state and the moment it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Link {
    pub(in crate::sim) status: LinkStatus,
    pub(in crate::sim) since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum LinkStatus {
    Connected,
    Disconnected,
    Unknown,
}

/// The members of `teamworkLoginStatus`; devices without Exchange report null there.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Logins {
    pub(in crate::sim) exchange: Option<Link>,
    pub(in crate::sim) teams: Option<Link>,
    pub(in crate::sim) skype: Option<Link>,
}

#[derive(Clone, Debug)]
pub(in crate::sim) struct Peripheral {
    pub(in crate::sim) place: Place,
    pub(in crate::sim) optional: Option<bool>,
    pub(in crate::sim) link: Link,
    pub(in crate::sim) product: Option<Product>,
}

/// Where a peripheral belongs in `teamworkPeripheralsHealth` and `teamworkHardwareHealth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Place {
    RoomCamera,
    ContentCamera,
    Microphone,
    Speaker,
    CommunicationSpeaker,
    Display(i64),
    Compute,
    HdmiIngest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Activity {
    Busy,
    Idle,
    Unavailable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Health {
    Offline,
    Critical,
    NonUrgent,
    Healthy,
}

/// A device drops off the network about once in two months.
const OFFLINE: Habit = Habit { slot_days: 14, per_slot: 0.22, shortest: 10 * MINUTE, longest: 10 * HOUR };
const LOGIN_LOST: Habit = Habit { slot_days: 14, per_slot: 0.2, shortest: 10 * MINUTE, longest: 8 * HOUR };
const SIGNED_OUT: Habit = Habit { slot_days: 60, per_slot: 0.25, shortest: 30 * MINUTE, longest: 2 * HOUR };
/// A cable is pulled by a guest and put back by somebody else.
const UNPLUGGED: Habit = Habit { slot_days: 14, per_slot: 0.3, shortest: 5 * MINUTE, longest: 8 * HOUR };

impl Condition {
    pub(in crate::sim) fn of(device: &Device, now: i64) -> Self {
        let connection = Link::from_trouble(device.connection().at(now));
        // A device that is gone cannot report: everything else stays as it was when the connection was lost.
        let reported = if connection.is(LinkStatus::Connected) { now } else { connection.since };
        let (activity, activity_since) = device.activity(connection, reported);
        let (user, user_since) = device.user(reported);
        let logins = device.logins(reported);
        let peripherals = device.peripherals(reported);
        let software = device.software(reported);
        let health_changed = last_change(connection, logins, &peripherals, &software);
        let changed = health_changed.max(activity_since).max(user_since);
        Self { connection, logins, user, peripherals, software, activity, changed, health_changed }
    }

    pub(in crate::sim) fn health(&self) -> Health {
        if self.connection.is(LinkStatus::Disconnected) {
            return Health::Offline;
        }
        if self.peripherals.iter().any(Peripheral::is_missed) {
            return Health::Critical;
        }
        let pending = self.software.iter().any(|status| status.available.is_some());
        if pending { Health::NonUrgent } else { Health::Healthy }
    }

    pub(in crate::sim) fn at(&self, place: Place) -> Option<&Peripheral> {
        self.peripherals.iter().find(|peripheral| peripheral.place == place)
    }

    pub(in crate::sim) fn displays(&self) -> impl Iterator<Item = &Peripheral> {
        self.peripherals.iter().filter(|peripheral| matches!(peripheral.place, Place::Display(_)))
    }
}

impl Link {
    fn from_trouble(trouble: Held) -> Self {
        let status = if trouble.active { LinkStatus::Disconnected } else { LinkStatus::Connected };
        Self { status, since: trouble.since }
    }

    fn is(self, status: LinkStatus) -> bool {
        self.status == status
    }
}

impl Peripheral {
    /// Only a required peripheral counts; one that does not say is not taken for required.
    fn is_missed(&self) -> bool {
        self.optional == Some(false) && self.link.is(LinkStatus::Disconnected)
    }
}

fn last_change(
    connection: Link,
    logins: Logins,
    peripherals: &[Peripheral],
    software: &[software::Status],
) -> i64 {
    let logins = [logins.exchange, logins.teams, logins.skype].into_iter().flatten();
    let links = logins.chain(peripherals.iter().map(|peripheral| peripheral.link)).map(|link| link.since);
    links.chain(software.iter().map(|status| status.since)).fold(connection.since, i64::max)
}

impl Device {
    pub(in crate::sim) fn nightly(&self) -> Nightly {
        Nightly { zone: self.zone.clone(), chance: self.chance.named("restart") }
    }

    fn connection(&self) -> Signal {
        let planned = self.trouble(Story::Offline).into_iter().chain(self.unplugged()).map(Source::Planned);
        let offline = Source::Habit(OFFLINE, self.chance.named("offline"));
        self.signal([Source::Nightly(self.nightly()), offline].into_iter().chain(planned))
    }

    fn signal(&self, sources: impl IntoIterator<Item = Source>) -> Signal {
        Signal { born: self.enrolled, sources: sources.into_iter().collect() }
    }

    fn activity(&self, connection: Link, reported: i64) -> (Activity, i64) {
        if connection.is(LinkStatus::Disconnected) {
            return (Activity::Unavailable, connection.since);
        }
        if !self.meets() {
            return (Activity::Idle, self.enrolled);
        }
        let meeting = self.signal([Source::Meetings(self.meetings())]).at(reported);
        let activity = if meeting.active { Activity::Busy } else { Activity::Idle };
        (activity, meeting.since)
    }

    fn meetings(&self) -> Meetings {
        Meetings::of(self.zone.clone(), self.room_chance)
    }

    fn signed_out(&self) -> Signal {
        let habit = Source::Habit(SIGNED_OUT, self.chance.named("signed out"));
        let for_good = match self.part {
            Part::NeverSignedIn | Part::Bare => Some(Episode::from(self.enrolled)),
            Part::Replaced(true) => self.unplugged(),
            _ => None,
        };
        self.signal([habit].into_iter().chain(for_good.map(Source::Planned)))
    }

    fn user(&self, reported: i64) -> (Option<Account>, i64) {
        let signed_out = self.signed_out().at(reported);
        (self.account.clone().filter(|_| !signed_out.active), signed_out.since)
    }

    fn logins(&self, reported: i64) -> Logins {
        let exchange = self.login("exchange", self.trouble(Story::ExchangeLost));
        let teams = self.login("teams", None);
        let skype = Link { status: LinkStatus::Unknown, since: self.enrolled };
        let reports = self.kind.is_windows();
        Logins {
            exchange: reports.then(|| Link::from_trouble(exchange.at(reported))),
            teams: (self.kind != DeviceType::Sip).then(|| Link::from_trouble(teams.at(reported))),
            skype: reports.then_some(skype),
        }
    }

    /// Nobody is signed in anywhere while nobody is signed in.
    fn login(&self, name: &str, planned: Option<Episode>) -> Signal {
        let mut signal = self.signed_out();
        signal.sources.push(Source::Habit(LOGIN_LOST, self.chance.named(name)));
        signal.sources.extend(planned.map(Source::Planned));
        signal
    }

    fn software(&self, reported: i64) -> Vec<software::Status> {
        if self.kind == DeviceType::Sip {
            return Vec::new();
        }
        let nightly = self.nightly();
        let updates = Updates {
            model: self.model,
            is_windows: self.kind.is_windows(),
            chance: self.chance.named("software"),
            nightly: &nightly,
            held: self.story == Story::UpdatesHeld,
            enrolled: self.enrolled,
        };
        updates.at(reported)
    }

    /// Rooms on Windows and hubs report peripherals; Android devices do not.
    fn peripherals(&self, reported: i64) -> Vec<Peripheral> {
        let places: Vec<Place> = match self.kind {
            DeviceType::TeamsRoom => {
                WINDOWS_PLACES.into_iter().chain((1..=self.screens()).map(Place::Display)).collect()
            }
            DeviceType::SurfaceHub => vec![Place::RoomCamera, Place::Microphone, Place::Speaker],
            _ => Vec::new(),
        };
        places.into_iter().map(|place| self.peripheral(place, reported)).collect()
    }

    fn peripheral(&self, place: Place, reported: i64) -> Peripheral {
        let link = match place {
            Place::ContentCamera if !self.has_content_camera() => {
                Link { status: LinkStatus::Unknown, since: self.enrolled }
            }
            _ => Link::from_trouble(self.unplugged_peripheral(place).at(reported)),
        };
        Peripheral { place, optional: self.is_optional(place), link, product: self.product(place) }
    }

    fn unplugged_peripheral(&self, place: Place) -> Signal {
        let chance = self.chance.named(place.name()).number(place.number());
        let planned = match place {
            Place::RoomCamera => self.trouble(Story::CameraLost),
            Place::Display(2..) if self.was_never_installed(place) => Some(Episode::from(self.enrolled)),
            _ => None,
        };
        let habit = (place != Place::Compute).then_some(Source::Habit(UNPLUGGED, chance));
        self.signal(habit.into_iter().chain(planned.map(Source::Planned)))
    }

    /// One to four displays, most rooms have one or two.
    fn screens(&self) -> i64 {
        *self.chance.named("screens").pick(&[1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4])
    }

    fn has_content_camera(&self) -> bool {
        self.chance.named("content camera").happens(0.25)
    }

    /// A second display that was planned, configured as optional and never bought.
    fn was_never_installed(&self, place: Place) -> bool {
        self.is_optional(place) == Some(true) && self.chance.named("never installed").happens(0.5)
    }

    /// In one room in eight nobody ever decided about the HDMI ingest, so it is null.
    fn is_optional(&self, place: Place) -> Option<bool> {
        let draw = self.chance.named("optional");
        match place {
            Place::ContentCamera => Some(true),
            Place::Display(2..) => Some(draw.named("display").happens(0.3)),
            Place::HdmiIngest => {
                draw.named("hdmi ingest").happens(0.875).then(|| draw.named("hdmi").happens(0.5))
            }
            _ => Some(false),
        }
    }

    pub(in crate::sim) fn product(&self, place: Place) -> Option<Product> {
        match place {
            Place::RoomCamera => Some(*self.chance.named("camera model").pick(&hardware::ROOM_CAMERAS)),
            Place::ContentCamera => self.has_content_camera().then_some(hardware::CONTENT_CAMERA),
            Place::Microphone | Place::Speaker | Place::CommunicationSpeaker => {
                Some(*self.chance.named("audio model").pick(&hardware::AUDIO))
            }
            Place::Display(_) => Some(*self.chance.named("screen model").pick(&hardware::SCREENS)),
            Place::HdmiIngest => Some(hardware::HDMI_INGEST),
            Place::Compute => None,
        }
    }
}

const WINDOWS_PLACES: [Place; 7] = [
    Place::RoomCamera,
    Place::ContentCamera,
    Place::Microphone,
    Place::Speaker,
    Place::CommunicationSpeaker,
    Place::Compute,
    Place::HdmiIngest,
];

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::RoomCamera => "room camera",
            Self::ContentCamera => "content camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::CommunicationSpeaker => "communication speaker",
            Self::Display(_) => "display",
            Self::Compute => "compute",
            Self::HdmiIngest => "hdmi ingest",
        }
    }

    fn number(self) -> i64 {
        if let Self::Display(number) = self { number } else { 0 }
    }
}
