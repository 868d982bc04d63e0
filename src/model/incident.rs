//! Incidents that Microsoft's portals push: what is wrong with a room, who says so, and for how long it counts.
//!
//! A push may come twice, late, out of order or never. So an incident is known by its id, an older event never
//! overwrites a newer one, and what is not heard of any more expires.
//! <https://learn.microsoft.com/microsoftteams/rooms/pmp-incident-webhook-integration>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{State, Timestamp};

/// Everything that was told and still matters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incidents {
    /// By reporter and its id of the incident.
    held: BTreeMap<Arc<str>, Arc<Incident>>,
    last_received: BTreeMap<Reporter, Timestamp>,
}

/// One incident. Its title, its description and the people in it are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incident {
    pub signal: Signal,
    pub severity: Severity,
    progress: Progress,
    pub targets: Vec<Target>,
    /// When it began, by the event's own time where it has one, else when it was first heard of.
    pub opened: Timestamp,
    /// Of the event that counts, by the same rule.
    changed: Timestamp,
    /// When it was last heard of.
    heard: Timestamp,
    /// When it was heard that it is over.
    closed: Option<Timestamp>,
}

/// A device that an incident names, by what may lead to its room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Lower case. Whether it is Graph's id of the device is not documented.
    pub device_id: Option<Arc<str>>,
    /// Address or object id of the account on it, lower case.
    pub account: Option<Arc<str>>,
}

/// What one push says; what it leaves out stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub id: Arc<str>,
    /// `None` says nothing about whether the incident is open.
    pub progress: Option<Progress>,
    pub signal: Option<Signal>,
    pub severity: Option<Severity>,
    pub targets: Vec<Target>,
    /// The event's own time.
    pub at: Option<Timestamp>,
}

/// Who pushes; the label `intake`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reporter {
    /// The Teams Rooms Pro Management portal: incidents.
    ProManagement,
    /// The Teams admin center: a device went offline, or is back.
    AdminCenter,
}

/// How far an incident is, in the order in which it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    Watching,
    New,
    Investigating,
    Resolved,
    Closed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Important,
    Warning,
    Security,
    Recommendation,
    #[default]
    Unknown,
}

/// What the portal watches on a device. Microsoft's list grows, so the last one is for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    Offline,
    Heartbeat,
    SignIn,
    ExchangeSignIn,
    Calendar,
    Camera,
    ContentCamera,
    Microphone,
    Speaker,
    Display,
    HdmiIngest,
    Console,
    Panel,
    Network,
    Software,
    Other,
}

/// What became of a push; the label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    Accepted,
    /// It says what is known.
    Duplicate,
    /// Something newer is known.
    Outdated,
    /// Understood, but nothing to keep: another kind of event, or a state that is not documented.
    Ignored,
    Malformed,
    Oversized,
    Throttled,
    /// Wrong secret or unknown tenant.
    Unauthorized,
}

/// A tenth of the largest fleet in trouble at once, with several each; some 4 MB.
pub const MAX_INCIDENTS: usize = 10_000;
/// An open incident of which nothing is heard for so long is over, and its end was lost on the way. Faults that nobody
/// repairs within a week are told by the other sources, too.
pub const EXPIRY: Duration = Duration::from_hours(7 * 24);
/// A closed one is shown as 0 for so long, so that a scrape and an alert see it end.
pub const SHOWN_CLOSED: Duration = Duration::from_hours(1);
/// A closed one is remembered for so long, so that its belated beginning does not open it again. Senders give up
/// within a day.
const REMEMBERED: Duration = Duration::from_hours(24);
/// An event without a time that reopens an incident so soon after its end was overtaken by that end.
const OVERTAKEN: Duration = Duration::from_mins(10);

impl Incidents {
    /// Takes what a reporter says. An event without a time of its own counts as of now.
    pub fn take(&mut self, reporter: Reporter, event: Event, now: Timestamp) -> Receipt {
        self.note(reporter, now);
        self.held.retain(|_, incident| incident.is_remembered(now));
        let key: Arc<str> = format!("{}/{}", reporter.label(), event.id).into();
        // A device goes offline again and again under one id; only a portal's incident moves forward alone.
        let at = event.at.map(|at| at.min(now)).or((reporter == Reporter::AdminCenter).then_some(now));
        let event = Event { at, ..event };
        let (incident, receipt) = match (self.held.get(&key), event.progress) {
            (Some(held), _) if held.overtakes(&event, now) => return Receipt::Outdated,
            (Some(held), _) => held.after(event, now),
            (None, Some(progress)) => (Incident::first(event, progress, now), Receipt::Accepted),
            (None, None) => return Receipt::Ignored,
        };
        self.make_room_for(&key);
        self.held.insert(key, Arc::new(incident));
        receipt
    }

    /// A reporter was heard, whatever it said.
    pub fn note(&mut self, reporter: Reporter, now: Timestamp) {
        self.last_received.insert(reporter, now);
    }

    pub fn held(&self) -> impl Iterator<Item = &Incident> {
        self.held.values().map(|incident| &**incident)
    }

    pub fn last_received(&self) -> impl Iterator<Item = (Reporter, Timestamp)> {
        self.last_received.iter().map(|(reporter, at)| (*reporter, *at))
    }

    /// Brings times from the future, of a clock that was set back, to `now`.
    pub fn not_after(&mut self, now: Timestamp) {
        for at in self.last_received.values_mut() {
            *at = now.min(*at);
        }
        for incident in self.held.values_mut().filter(|incident| incident.heard > now) {
            let incident = Arc::make_mut(incident);
            incident.opened = incident.opened.min(now);
            incident.changed = incident.changed.min(now);
            incident.heard = now;
            incident.closed = incident.closed.map(|closed| closed.min(now));
        }
    }

    /// What is over goes first, then what was not heard of for the longest.
    fn make_room_for(&mut self, key: &Arc<str>) {
        if self.held.len() < MAX_INCIDENTS || self.held.contains_key(key) {
            return;
        }
        let least = self.held.iter().min_by_key(|(_, incident)| (incident.is_open(), incident.heard));
        if let Some(least) = least.map(|(least, _)| least.clone()) {
            self.held.remove(&least);
        }
    }
}

impl Incident {
    fn first(event: Event, progress: Progress, now: Timestamp) -> Self {
        let at = event.at.unwrap_or(now);
        Self {
            signal: event.signal.unwrap_or(Signal::Other),
            severity: event.severity.unwrap_or(Severity::Unknown),
            progress,
            targets: event.targets,
            opened: at,
            changed: at,
            heard: now,
            closed: progress.is_over().then_some(now),
        }
    }

    /// Whether something newer than this event is known. Where the event has no time, an incident only moves forward;
    /// but one that is investigated again well after its end was opened anew.
    fn overtakes(&self, event: &Event, now: Timestamp) -> bool {
        if let Some(at) = event.at {
            return at < self.changed;
        }
        let long_over = self.closed.is_some_and(|closed| now.since(closed) > OVERTAKEN);
        let opened_anew = long_over && event.progress == Some(Progress::Investigating);
        event.progress.is_some_and(|progress| progress < self.progress) && !opened_anew
    }

    fn after(&self, event: Event, now: Timestamp) -> (Self, Receipt) {
        let heard = Self { heard: now, ..self.clone() };
        let Some(progress) = event.progress else { return (heard, Receipt::Ignored) };
        let at = event.at.unwrap_or(now);
        let reopened = !self.is_open() && !progress.is_over();
        let next = Self {
            signal: event.signal.unwrap_or(self.signal),
            severity: event.severity.unwrap_or(self.severity),
            progress,
            targets: if event.targets.is_empty() { self.targets.clone() } else { event.targets },
            opened: if reopened { at } else { self.opened },
            changed: self.changed,
            heard: now,
            closed: progress.is_over().then(|| self.closed.unwrap_or(now)),
        };
        if next == heard {
            // It was still so at that time: whatever happened before is outdated. Without a time it may be an old push.
            let changed = self.changed.max(event.at.unwrap_or(self.changed));
            return (Self { changed, ..heard }, Receipt::Duplicate);
        }
        (Self { changed: at, ..next }, Receipt::Accepted)
    }

    pub fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// From when to how long after it is shown, open or just closed.
    pub fn shown(&self) -> (Timestamp, Duration) {
        self.closed.map_or((self.heard, EXPIRY), |closed| (closed, SHOWN_CLOSED))
    }

    /// Whether it means that the room is down.
    pub fn means_down(&self) -> bool {
        let deadly = matches!(self.signal, Signal::Offline | Signal::Heartbeat | Signal::SignIn);
        self.is_open() && self.severity == Severity::Critical && deadly
    }

    /// Whether somebody should see to the room.
    pub fn is_problem(&self) -> bool {
        self.is_open() && matches!(self.severity, Severity::Critical | Severity::Important)
    }

    fn is_remembered(&self, now: Timestamp) -> bool {
        let (from, span) = self.closed.map_or((self.heard, EXPIRY), |closed| (closed, REMEMBERED));
        now.since(from) <= span
    }
}

impl Progress {
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

impl Signal {
    /// Microsoft's names vary between its portals ("Conference microphone", "Teams sign-in"): what a name contains
    /// counts. What is part of a room comes before what takes the whole room down, so that "Camera offline" is a
    /// matter of the camera.
    #[rustfmt::skip]
    const WORDS: [(&str, Self); 23] = [
        ("contentcamera", Self::ContentCamera),
        ("camera",        Self::Camera),
        ("microphone",    Self::Microphone),
        ("speaker",       Self::Speaker),
        ("hdmi",          Self::HdmiIngest),
        ("ingest",        Self::HdmiIngest),
        ("console",       Self::Console),
        ("panel",         Self::Panel),
        ("display",       Self::Display),
        ("calendar",      Self::Calendar),
        ("exchange",      Self::ExchangeSignIn),
        ("skype",         Self::Other), // rooms live without Skype
        ("proximity",     Self::Other),
        ("peripheral",    Self::Other),
        ("network",       Self::Network),
        ("version",       Self::Software),
        ("update",        Self::Software),
        ("software",      Self::Software),
        ("signin",        Self::SignIn),
        ("signedin",      Self::SignIn),
        ("login",         Self::SignIn),
        ("heartbeat",     Self::Heartbeat),
        ("offline",       Self::Offline),
    ];

    /// The signal of this name; `None` where it is not known.
    pub fn named(name: &str) -> Option<Self> {
        let letters: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        Self::WORDS.iter().find(|(word, _)| letters.contains(word)).map(|(_, signal)| *signal)
    }
}

impl State for Reporter {
    const ALL: &'static [Self] = &[Self::ProManagement, Self::AdminCenter];

    fn label(self) -> &'static str {
        match self {
            Self::ProManagement => "pro_management",
            Self::AdminCenter => "admin_center",
        }
    }
}

impl State for Progress {
    const ALL: &'static [Self] =
        &[Self::Watching, Self::New, Self::Investigating, Self::Resolved, Self::Closed];

    fn label(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::New => "new",
            Self::Investigating => "investigating",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }
}

impl State for Severity {
    const ALL: &'static [Self] = &[
        Self::Critical,
        Self::Important,
        Self::Warning,
        Self::Security,
        Self::Recommendation,
        Self::Unknown,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Important => "important",
            Self::Warning => "warning",
            Self::Security => "security",
            Self::Recommendation => "recommendation",
            Self::Unknown => "unknown",
        }
    }
}

impl State for Signal {
    const ALL: &'static [Self] = &[
        Self::Offline,
        Self::Heartbeat,
        Self::SignIn,
        Self::ExchangeSignIn,
        Self::Calendar,
        Self::Camera,
        Self::ContentCamera,
        Self::Microphone,
        Self::Speaker,
        Self::Display,
        Self::HdmiIngest,
        Self::Console,
        Self::Panel,
        Self::Network,
        Self::Software,
        Self::Other,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Heartbeat => "heartbeat",
            Self::SignIn => "sign_in",
            Self::ExchangeSignIn => "exchange_sign_in",
            Self::Calendar => "calendar",
            Self::Camera => "camera",
            Self::ContentCamera => "content_camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::Display => "display",
            Self::HdmiIngest => "hdmi_ingest",
            Self::Console => "console",
            Self::Panel => "panel",
            Self::Network => "network",
            Self::Software => "software",
            Self::Other => "other",
        }
    }
}

impl State for Receipt {
    const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::Duplicate,
        Self::Outdated,
        Self::Ignored,
        Self::Malformed,
        Self::Oversized,
        Self::Throttled,
        Self::Unauthorized,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Outdated => "outdated",
            Self::Ignored => "ignored",
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    pub(crate) fn event(progress: Progress, signal: Signal, severity: Severity, account: &str) -> Event {
        Event {
            id: "INC-1".into(),
            progress: Some(progress),
            signal: Some(signal),
            severity: Some(severity),
            targets: vec![Target { device_id: None, account: Some(account.into()) }],
            at: None,
        }
    }

    fn camera(progress: Progress) -> Event {
        event(progress, Signal::Camera, Severity::Critical, "oslo@contoso.example")
    }

    /// Pushes of one incident: when each comes, what it says, what becomes of it, and whether the incident is open then.
    #[track_caller]
    fn check(reporter: Reporter, pushes: &[(i64, Event, Receipt, bool)]) -> Incidents {
        let mut incidents = Incidents::default();
        for (number, (now, event, receipt, open)) in pushes.iter().enumerate() {
            let found = incidents.take(reporter, event.clone(), at(*now));
            let is_open = incidents.held().any(Incident::is_open);
            assert_eq!((found, is_open), (*receipt, *open), "push {number}: {event:?}");
        }
        incidents
    }

    fn told(progress: Progress, when: i64) -> Event {
        Event { at: Some(at(when)), ..camera(progress) }
    }

    use Progress::{Closed, Investigating, New, Resolved, Watching};
    use Receipt::{Accepted, Duplicate, Ignored, Outdated};

    #[test]
    fn an_incident_goes_its_way_once() {
        let incidents = check(
            Reporter::ProManagement,
            &[
                (0, camera(Watching), Accepted, true),
                (10, camera(New), Accepted, true),
                (20, camera(New), Duplicate, true),
                (30, camera(Investigating), Accepted, true),
                (40, camera(Resolved), Accepted, false),
                (50, camera(Resolved), Duplicate, false),
                (60, camera(Closed), Accepted, false),
            ],
        );
        let incident = incidents.held().next().expect("one");
        assert_eq!(
            (incident.opened, incident.closed),
            (at(0), Some(at(40))),
            "of a second end the first counts"
        );
        assert_eq!(incident.shown(), (at(40), SHOWN_CLOSED));
    }

    #[test]
    fn a_late_push_does_not_turn_time_back() {
        check(
            Reporter::ProManagement,
            &[
                (0, camera(Resolved), Accepted, false),
                (10, camera(New), Outdated, false),
                (23 * HOUR, camera(New), Outdated, false),
                (23 * HOUR, camera(Watching), Outdated, false),
            ],
        );
        check(
            Reporter::ProManagement,
            &[
                (0, camera(New), Accepted, true),
                (5, camera(Resolved), Accepted, false),
                (5 + 10 * MINUTE, camera(Investigating), Outdated, false),
                (11 * MINUTE, camera(Investigating), Accepted, true),
                (11 * MINUTE, camera(New), Outdated, true),
            ],
        );
    }

    #[test]
    fn an_event_with_a_time_is_judged_by_it() {
        check(
            Reporter::AdminCenter,
            &[
                (100, told(New, 90), Accepted, true),
                (110, told(Resolved, 80), Outdated, true),
                (120, told(Resolved, 100), Accepted, false),
                (130, told(New, 95), Outdated, false),
                (140, told(New, 135), Accepted, true),
                (150, told(New, 135), Duplicate, true),
                // A time from the future must not keep out what follows.
                (160, told(New, 99_999_999), Duplicate, true),
                (170, told(Resolved, 165), Accepted, false),
                (180, camera(New), Accepted, true),
                (190, camera(Resolved), Accepted, false),
            ],
        );
    }

    #[test]
    fn a_push_that_says_what_is_known_outdates_what_happened_before_it() {
        check(
            Reporter::AdminCenter,
            &[
                (100, told(New, 90), Accepted, true),
                (130, told(New, 120), Duplicate, true),
                (140, told(Resolved, 110), Outdated, true),
                (150, told(New, 100), Outdated, true),
                (160, told(Resolved, 120), Accepted, false),
            ],
        );
        // Without a time it may be a push of long ago that is sent again.
        check(
            Reporter::ProManagement,
            &[
                (100, told(New, 90), Accepted, true),
                (130, camera(New), Duplicate, true),
                (140, told(Resolved, 110), Accepted, false),
            ],
        );
    }

    #[test]
    fn what_a_push_leaves_out_stays() {
        let bare = Event { signal: None, severity: None, targets: Vec::new(), ..camera(Investigating) };
        let incidents =
            check(Reporter::ProManagement, &[(0, camera(New), Accepted, true), (5, bare, Accepted, true)]);
        let incident = incidents.held().next().expect("one");
        assert_eq!((incident.signal, incident.severity), (Signal::Camera, Severity::Critical));
        assert_eq!(incident.targets, camera(New).targets);
    }

    #[test]
    fn a_state_that_is_not_documented_changes_nothing() {
        let strange = || Event { progress: None, severity: Some(Severity::Warning), ..camera(New) };
        check(Reporter::ProManagement, &[(0, strange(), Ignored, false)]);
        let incidents = check(
            Reporter::ProManagement,
            &[(0, camera(New), Accepted, true), (6 * DAY, strange(), Ignored, true)],
        );
        assert_eq!(incidents.held().next().map(|one| one.severity), Some(Severity::Critical));
        let heard_again = [
            (0, camera(New), Accepted, true),
            (6 * DAY, strange(), Ignored, true),
            (12 * DAY, camera(New), Duplicate, true),
        ];
        check(Reporter::ProManagement, &heard_again);
    }

    #[test]
    fn an_open_incident_expires_and_a_closed_one_is_forgotten() {
        let other = || Event { id: "INC-2".into(), ..camera(Closed) };
        let incidents = check(
            Reporter::ProManagement,
            &[(0, camera(New), Accepted, true), (7 * DAY, other(), Accepted, true)],
        );
        assert_eq!(incidents.held().count(), 2);
        let incidents = check(
            Reporter::ProManagement,
            &[
                (0, camera(New), Accepted, true),
                (7 * DAY + 1, other(), Accepted, false),
                (8 * DAY + 2, Event { id: "INC-3".into(), ..camera(New) }, Accepted, true),
            ],
        );
        assert_eq!(incidents.held().count(), 1);
    }

    #[test]
    fn there_are_never_too_many() {
        let mut incidents = Incidents::default();
        let numbered = |number: usize, progress| Event { id: number.to_string().into(), ..camera(progress) };
        for number in 0..MAX_INCIDENTS {
            let (seconds, progress) =
                (i64::try_from(number).expect("small"), if number == 7 { Closed } else { New });
            let first = Incident::first(numbered(number, progress), progress, at(seconds));
            incidents.held.insert(format!("pro_management/{number}").into(), Arc::new(first));
        }
        let now = at(i64::try_from(MAX_INCIDENTS).expect("small"));
        for (number, gone) in [(MAX_INCIDENTS, 7), (MAX_INCIDENTS + 1, 0), (MAX_INCIDENTS + 2, 1)] {
            assert_eq!(incidents.take(Reporter::ProManagement, numbered(number, New), now), Accepted);
            assert_eq!(incidents.held.len(), MAX_INCIDENTS);
            assert!(!incidents.held.contains_key(format!("pro_management/{gone}").as_str()), "{gone}");
        }
    }

    #[test]
    fn reporters_do_not_know_each_other() {
        let mut incidents = Incidents::default();
        incidents.take(Reporter::ProManagement, camera(New), at(0));
        incidents.take(Reporter::AdminCenter, camera(Resolved), at(5));
        assert_eq!(incidents.held().filter(|incident| incident.is_open()).count(), 1);
        let received: Vec<_> = incidents.last_received().collect();
        assert_eq!(received, [(Reporter::ProManagement, at(0)), (Reporter::AdminCenter, at(5))]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing_for_ever() {
        let mut incidents = Incidents::default();
        incidents.take(Reporter::ProManagement, camera(New), at(1000));
        incidents.not_after(at(10));
        assert_eq!(incidents.held().next().map(|one| (one.opened, one.heard)), Some((at(10), at(10))));
        assert_eq!(incidents.last_received().next(), Some((Reporter::ProManagement, at(10))));
    }

    /// An event of one incident with its own time, and how long after that it comes.
    fn timed() -> impl Strategy<Value = (Event, i64)> {
        let progress = select(Progress::ALL.to_vec());
        let severity = select(vec![Severity::Critical, Severity::Warning]);
        (progress, severity, 0..6_i64, 0..9_i64).prop_map(|(progress, severity, when, late)| {
            (event(progress, Signal::Camera, severity, "oslo@contoso.example").at(when), late)
        })
    }

    impl Event {
        fn at(self, when: i64) -> Self {
            Self { at: Some(at(when)), ..self }
        }
    }

    proptest! {
        /// In whatever order pushes come, and however often: the newest event counts, of two of one time the last to come.
        #[test]
        fn the_newest_event_counts_in_any_order(
            pushes in vec(timed(), 1..12),
            reporter in select(Reporter::ALL.to_vec()),
        ) {
            let mut pushes: Vec<(i64, Event)> = pushes
                .into_iter()
                .map(|(event, late)| (event.at.map_or(0, Timestamp::seconds) + late, event))
                .collect();
            pushes.sort_by_key(|(comes, _)| *comes);
            let (mut incidents, mut newest) = (Incidents::default(), None::<Event>);
            for (comes, event) in pushes {
                let is_newest = newest.as_ref().is_none_or(|newest| newest.at <= event.at);
                let before = incidents.held.clone();
                let receipt = incidents.take(reporter, event.clone(), at(comes));
                prop_assert_eq!(receipt == Outdated, !is_newest, "{:?} at {}", event, comes);
                let newest = newest.insert(if is_newest { event } else { newest.clone().expect("one came") });
                let held = incidents.held().next().expect("it came");
                prop_assert_eq!(Some(held.progress), newest.progress);
                prop_assert_eq!(Some(held.severity), newest.severity);
                prop_assert_eq!(Some(held.changed), newest.at);
                prop_assert_eq!(held.is_open(), !held.progress.is_over());
                prop_assert!(held.opened <= held.changed && held.changed <= held.heard);
                prop_assert!(held.closed.is_none_or(|closed| closed <= held.heard));
                prop_assert!(is_newest || incidents.held == before, "an outdated push changes nothing");
            }
        }

        /// Without times an incident only moves forward.
        #[test]
        fn without_times_an_incident_moves_forward(order in vec(select(Progress::ALL.to_vec()), 1..12)) {
            let mut incidents = Incidents::default();
            for (comes, progress) in (0..).zip(&order) {
                incidents.take(Reporter::ProManagement, camera(*progress), at(comes));
                let furthest = order.iter().take(usize::try_from(comes).expect("few") + 1).max();
                prop_assert_eq!(incidents.held().next().map(|held| &held.progress), furthest);
            }
        }
    }

    #[test]
    fn signals_are_found_in_what_they_are_called() {
        for (name, expected) in [
            ("Camera", Some(Signal::Camera)),
            ("Content Camera", Some(Signal::ContentCamera)),
            ("Camera offline", Some(Signal::Camera)),
            ("Conference microphone", Some(Signal::Microphone)),
            ("defaultSpeaker", Some(Signal::Speaker)),
            ("Front of Room Display", Some(Signal::Display)),
            ("HDMI Ingest", Some(Signal::HdmiIngest)),
            ("Calendar sync", Some(Signal::Calendar)),
            ("Sign-in (Exchange)", Some(Signal::ExchangeSignIn)),
            ("Sign in (Teams)", Some(Signal::SignIn)),
            ("HEARTBEAT", Some(Signal::Heartbeat)),
            ("Device offline", Some(Signal::Offline)),
            ("Touch console offline", Some(Signal::Console)),
            ("Coffee machine", None),
            ("", None),
        ] {
            assert_eq!(Signal::named(name), expected, "{name}");
        }
    }
}
