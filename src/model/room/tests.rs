//! The truth table of the verdict: a row for each sentence of the design, on records as the store takes them.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::Arc;

use super::*;
use crate::model::Snapshot;
use crate::model::account::{Tier, User};
use crate::model::collector::{Collector, Status};
use crate::model::detail::{Connection, Peripheral};
use crate::model::device::{Account, Activity, Device, DeviceType};
use crate::model::identity::Trust;
use crate::model::incident::tests::event;
use crate::model::incident::{Event, Progress, Reporter, Severity, Signal, Target};
use crate::model::listing::tests::device;
use crate::store::Store;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
const ROOM: &str = "oslo@contoso.example";

/// What a source is told, one after the other.
struct World {
    store: Store,
    now: i64,
}

impl World {
    /// A world in which records expire as they do by default.
    fn new() -> Self {
        let status = |one: &Collector| (*one, Status::starting(one.facts().interval, one.facts().expiry));
        let status: BTreeMap<_, _> = Collector::ALL.iter().map(status).collect();
        Self { store: Store::new(Snapshot { status: Arc::new(status), ..Snapshot::default() }), now: 0 }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.now)
    }

    fn at(mut self, now: i64) -> Self {
        self.now = now;
        self
    }

    /// The list shows these devices.
    fn list(self, devices: &[Arc<Device>]) -> Self {
        self.store.take_devices(devices, Trust::UnlessPerson, self.now());
        self
    }

    /// The detail of a listed device says this.
    fn detail(self, device: &Arc<Device>, detail: Detail) -> Self {
        self.store.take_details(vec![(device.clone(), Some(Arc::new(detail)))], self.now());
        self
    }

    fn presence(self, availability: Availability, in_call: bool) -> Self {
        let presence = Presence { availability, in_call: Some(in_call) };
        self.store.take_presences(vec![(ROOM.into(), presence)], self.now());
        self
    }

    /// The detail of a device says nothing of its connection.
    fn without_connection(self, device: &Arc<Device>) -> Self {
        self.detail(device, Detail::default())
    }

    fn calendar(self, calendar: Calendar) -> Self {
        self.store.take_calendars(vec![(ROOM.into(), calendar)], self.now());
        self
    }

    /// The directory says this of the room's account.
    fn account(self, enabled: bool, license: Tier) -> Self {
        let account =
            RoomAccount { enabled: Some(enabled), license: Some(license), ..RoomAccount::default() };
        let user = User {
            object_id: "id-1".into(),
            email: Some(ROOM.into()),
            other_names: Vec::new(),
            name: None,
            has_personal_name: false,
            account,
        };
        self.store.take_accounts(&[user], true, self.now());
        self
    }

    fn online(self) -> Self {
        self.presence(Availability::Available, false)
    }

    fn offline(self) -> Self {
        self.presence(Availability::Offline, false)
    }

    /// The portal pushes this.
    fn push(self, event: Event) -> Self {
        self.store.take_incident(Reporter::ProManagement, Some(event), self.now());
        self
    }

    /// The portal opens a critical incident of the room's account.
    fn opens(self, signal: Signal) -> Self {
        self.push(event(Progress::New, signal, Severity::Critical, ROOM))
    }

    /// ... and closes it.
    fn closes(self, signal: Signal) -> Self {
        self.push(event(Progress::Closed, signal, Severity::Critical, ROOM))
    }

    /// The verdict on the one room of this world.
    fn judge(&self) -> Judgement {
        self.judge_if(None)
    }

    fn judge_if(&self, frozen_after: Option<Duration>) -> Judgement {
        let snapshot = Snapshot { frozen_after, ..self.store.snapshot() };
        let fleet = Fleet::at(&snapshot, self.now());
        let [room] = &fleet.rooms[..] else { panic!("one room, not {}", fleet.rooms.len()) };
        Judgement::of(&fleet, room)
    }

    /// State, votes as `device up`, and the names of problems.
    #[track_caller]
    fn check(&self, state: RoomState, votes: &[&str], problems: &[&str]) {
        check(&self.judge(), state, votes, problems);
    }
}

#[track_caller]
fn check(judgement: &Judgement, state: RoomState, votes: &[&str], problems: &[&str]) {
    let word = |vote: &Vote| format!("{} {}", vote.source.label(), if vote.up { "up" } else { "down" });
    let found: Vec<String> = judgement.votes.iter().map(word).collect();
    let named: Vec<&str> = judgement.problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(
        (judgement.state, found, named),
        (state, votes.iter().map(ToString::to_string).collect(), problems.to_vec())
    );
}

fn account() -> Account {
    Account { id: Some("id-1".into()), name: Some("Oslo".into()), email: Some(ROOM.into()) }
}

fn of_type(id: &str, device_type: DeviceType, health: Health) -> Arc<Device> {
    Arc::new(Device { health, account: Some(account()), ..(*device(id, device_type)).clone() })
}

fn core(id: &str, health: Health) -> Arc<Device> {
    of_type(id, DeviceType::TeamsRoom, health)
}

fn panel(health: Health) -> Arc<Device> {
    of_type("panel", DeviceType::TeamsPanel, health)
}

fn console(health: Health) -> Arc<Device> {
    of_type("console", DeviceType::TouchConsole, health)
}

fn signed_out(device: &Arc<Device>) -> Arc<Device> {
    Arc::new(Device { account: None, ..(**device).clone() })
}

fn lost(since: i64) -> Connection {
    Connection { connected: Some(false), changed: Some(Timestamp::from_seconds(since)) }
}

fn detail() -> Detail {
    let connection = Connection { connected: Some(true), changed: None };
    Detail { connection, ..Detail::default() }
}

use Health::{Critical, Healthy, Offline};
use RoomState::{Degraded, Down, Ok as Fine, Unknown};

#[test]
fn a_room_is_down_when_every_core_device_is() {
    World::new().list(&[core("a", Healthy)]).check(Fine, &["device up"], &[]);
    World::new().list(&[core("a", Offline)]).check(Down, &["device down"], &["device_offline"]);
    World::new().list(&[core("a", Offline), core("b", Offline)]).check(
        Down,
        &["device down"],
        &["device_offline"],
    );
    World::new().list(&[core("a", Offline), core("b", Healthy)]).check(
        Degraded,
        &["device up"],
        &["device_offline"],
    );
    for device_type in [DeviceType::CollaborationBar, DeviceType::SurfaceHub] {
        World::new().list(&[of_type("a", device_type, Offline)]).check(
            Down,
            &["device down"],
            &["device_offline"],
        );
    }
}

#[test]
fn a_device_that_lost_its_connection_is_down() {
    let a = core("a", Healthy);
    let world = World::new().list(from_ref(&a)).detail(&a, Detail { connection: lost(-90), ..detail() });
    world.check(Down, &["device down"], &["device_offline"]);
    assert_eq!(world.judge().votes[0].since, Some(Timestamp::from_seconds(-90)), "Graph's own time");
    // The list has moved on since the detail was read: a restart in the night is over when the list says so.
    let back = Arc::new(Device { last_modified: Some(Timestamp::from_seconds(60)), ..(*a).clone() });
    world.at(MINUTE).list(&[back]).check(Fine, &["device up"], &[]);
}

/// The list says something else of a device than it did when its detail was read, at whatever time it changed.
#[test]
fn a_detail_counts_while_the_list_says_what_it_said() {
    let a = core("a", Healthy);
    let read = || {
        let world = World::new().list(from_ref(&a));
        world.detail(&a, Detail { connection: lost(-90), ..detail() }).at(60)
    };
    read().list(from_ref(&a)).check(Down, &["device down"], &["device_offline"]);
    read().list(&[core("a", Health::NonUrgent)]).check(Fine, &["device up"], &[]);
    let busy = Device { activity: Activity::Busy, ..(*a).clone() };
    read().list(&[Arc::new(busy)]).check(Fine, &["device up"], &[]);
    let unknown = core("a", Health::Unknown);
    let world = World::new().list(from_ref(&unknown)).detail(&unknown, detail());
    world.check(Fine, &["device up"], &[]);
    let busy = Device { activity: Activity::Busy, ..(*unknown).clone() };
    world.at(60).list(&[Arc::new(busy)]).check(Unknown, &[], &[]);
}

/// Lost, healthy with an unknown connection, then offline: two outages, and the second one counts from its own beginning.
#[test]
fn a_second_outage_does_not_begin_with_the_first() {
    let (up, down) = (core("a", Healthy), core("a", Offline));
    let world = World::new().list(from_ref(&up)).detail(&up, detail());
    let world = world.at(60).list(from_ref(&up)).detail(&up, Detail { connection: lost(55), ..detail() });
    world.check(Down, &["device down"], &["device_offline"]);
    let world = world.at(90).online().at(120).list(from_ref(&up)).without_connection(&up);
    world.check(Fine, &["device up", "presence up"], &[]);
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(120)));
    let world = world.at(180).list(&[down]);
    world.check(Down, &["device down", "presence up"], &["device_offline"]);
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(180)));
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(180)));
}

/// The detail is that of the first outage: the list has said since that the device was back.
#[test]
fn a_detail_from_before_an_outage_does_not_tell_its_beginning() {
    let at = |health, at| {
        let last_modified = Some(Timestamp::from_seconds(at));
        Arc::new(Device { last_modified, ..(*core("a", health)).clone() })
    };
    let first = at(Offline, 60);
    let world = World::new().list(&[at(Healthy, 0)]).at(60).list(from_ref(&first));
    let world = world.at(70).detail(&first, Detail { connection: lost(55), ..detail() });
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(55)));
    let world = world.at(120).list(&[at(Healthy, 120)]).at(180).list(&[at(Offline, 180)]);
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(180)));
}

/// A device that came back in between has not been down for a week.
#[test]
fn a_week_down_counts_from_the_present_outage() {
    let (new, old, gone) = (core("new", Healthy), core("old", Healthy), core("old", Offline));
    let world = World::new().list(&[new.clone(), old.clone()]);
    let world = world.detail(&old, Detail { connection: lost(0), ..detail() });
    let world = world.at(DAY).list(&[new.clone(), old.clone()]).without_connection(&old);
    let both = [new, gone];
    let world = world.at(8 * DAY).list(&both);
    world.check(Degraded, &["device up"], &["device_offline"]);
    let world = world.at(15 * DAY).list(&both);
    world.check(Degraded, &["device up"], &["device_offline"]);
    world.at(15 * DAY + 1).list(&both).check(Fine, &["device up"], &[]);
}

/// The exporter did not see the connection come back: the detail expired.
#[test]
fn a_device_that_is_up_for_want_of_a_detail_has_no_beginning() {
    let a = core("a", Healthy);
    let world = World::new().list(from_ref(&a)).detail(&a, detail());
    let world = world.at(60).list(from_ref(&a)).detail(&a, Detail { connection: lost(55), ..detail() });
    let world = (1..=30).fold(world, |world, minutes| world.at(180 * minutes + 60).list(from_ref(&a)));
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(55)), "to its expiry");
    let world = world.at(91 * MINUTE + 1).list(from_ref(&a));
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, None));
    let world = world.at(93 * MINUTE).list(&[core("a", Offline)]);
    world.check(Down, &["device down"], &["device_offline"]);
    let since = Some(93 * MINUTE);
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, since), "not since the outage before");
}

/// Another machine's clock: what has not come yet began now at the latest, and is not the youngest for ever.
#[test]
fn a_time_in_the_future_is_now() {
    let a = core("a", Healthy);
    let lost_later = Connection { connected: Some(false), changed: Some(Timestamp::from_seconds(3600)) };
    let world = World::new().list(from_ref(&a)).online().at(60).list(from_ref(&a));
    let world = world.detail(&a, Detail { connection: lost_later, ..detail() });
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(60)));
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(60)));
    let logins = [(Login::Exchange, lost_later)].into();
    let world = world.at(120).list(from_ref(&a)).detail(&a, Detail { logins, ..detail() });
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(120)));
    let later = Connection { connected: Some(true), changed: Some(Timestamp::from_seconds(3600)) };
    let world = world.detail(&a, Detail { connection: later, ..detail() });
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(120)));
    let world = world.at(3700).list(from_ref(&a));
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(3600)), "it has come");
}

/// The stamps of the list and of connections move by themselves.
#[test]
fn a_heartbeat_is_no_beginning_and_no_reason_for_doubt() {
    let device = |at| {
        let last_modified = Some(Timestamp::from_seconds(at));
        Arc::new(Device { last_modified, ..(*core("a", Healthy)).clone() })
    };
    let detail = |signed_in, at| {
        let link =
            |connected| Connection { connected: Some(connected), changed: Some(Timestamp::from_seconds(at)) };
        Detail {
            connection: link(true),
            logins: [(Login::Exchange, link(signed_in))].into(),
            ..Detail::default()
        }
    };
    let read = |world: World, signed_in, minute| {
        let (at, device) = (minute * MINUTE, device(minute * MINUTE));
        world.at(at).list(from_ref(&device)).detail(&device, detail(signed_in, at))
    };
    let since = |world: &World| world.judge().problems[0].since.map(Timestamp::seconds);
    let mut world = read(World::new(), false, 0);
    assert_eq!(since(&world), Some(0), "until it is known what the stamp means");
    for minute in 1..40 {
        world = read(world, false, minute);
    }
    assert_eq!(since(&world), None, "the exporter did not see it begin");
    world = read(read(world, true, 40), false, 41);
    assert_eq!(since(&world), Some(41 * MINUTE), "when the exporter saw it");
    world = read(world, false, 42);
    assert_eq!(since(&world), Some(41 * MINUTE));
}

/// A device that beats is heard from: what its detail said holds, unless it said that the connection is lost.
#[test]
fn a_stamp_that_beats_outdates_only_a_lost_connection() {
    let device = |at| {
        let last_modified = Some(Timestamp::from_seconds(at));
        Arc::new(Device { last_modified, ..(*core("a", Health::Unknown)).clone() })
    };
    let connected = |connected| {
        let connection = Connection { connected: Some(connected), changed: None };
        Detail { connection, ..Detail::default() }
    };
    let check = |minutes: i64, last: bool, expected| {
        let world = (0..minutes).fold(World::new(), |world, minute| {
            let at = minute * MINUTE;
            world.at(at).list(&[device(at)]).detail(&device(at), connected(last || minute + 1 < minutes))
        });
        let at = minutes * MINUTE;
        assert_eq!(world.at(at).list(&[device(at)]).judge().up(), expected, "{minutes} {last}");
    };
    check(2, true, None); // it is open what the stamp means
    check(30, true, Some(true));
    check(30, false, None);
}

#[test]
fn consoles_and_panels_never_vote() {
    World::new().list(&[core("a", Offline), console(Healthy), panel(Healthy)]).check(
        Down,
        &["device down"],
        &["device_offline"],
    );
    World::new().list(&[core("a", Healthy), console(Offline), panel(Offline)]).check(
        Degraded,
        &["device up"],
        &["console", "panel"],
    );
    World::new().list(&[console(Healthy)]).check(Unknown, &[], &[]);
    World::new().list(&[panel(Offline)]).check(Unknown, &[], &["panel"]);
}

#[test]
fn a_sign_out_counts_at_the_second_poll() {
    let a = core("a", Healthy);
    let world = World::new().list(from_ref(&a)).at(2 * MINUTE).list(&[signed_out(&a)]);
    world.check(Fine, &["device up"], &[]);
    let world = world.at(4 * MINUTE).list(&[signed_out(&a)]);
    world.check(Down, &["device down"], &["signed_out"]);
    assert_eq!(world.judge().problems[0].area, Area::Account);
    world.at(6 * MINUTE).list(&[a]).check(Fine, &["device up"], &[]);
}

#[test]
fn a_replaced_device_counts_no_more_after_a_week() {
    let both = [core("old", Offline), core("new", Healthy)];
    let world = World::new().list(&both).at(7 * DAY).list(&both);
    world.check(Degraded, &["device up"], &["device_offline"]);
    let world = world.at(7 * DAY + 1).list(&both);
    world.check(Fine, &["device up"], &[]);
    // Nor does it keep the room up, or down, once the new one fails.
    let both = [core("old", Offline), core("new", Offline)];
    world.at(7 * DAY + 60).list(&both).check(Down, &["device down"], &["device_offline"]);
}

#[test]
fn presence_counts_as_offline_at_the_second_poll() {
    let up = [core("a", Healthy)];
    let world = World::new().list(&up).online().at(60).list(&up).offline();
    world.check(Fine, &["device up"], &[]);
    let world = world.at(120).offline();
    world.check(Down, &["device up", "presence down"], &["presence_offline"]);
    assert_eq!(
        world.judge().votes[1].since,
        Some(Timestamp::from_seconds(60)),
        "the first poll that said so"
    );
    world.at(180).online().check(Fine, &["device up", "presence up"], &[]);
}

/// The first known presence may have begun long before the exporter started.
#[test]
fn the_first_presence_ever_seen_has_no_beginning() {
    let up = [core("a", Healthy)];
    let world = World::new().list(&up).presence(Availability::Unknown, false).at(60).online();
    assert_eq!(world.judge().votes[1], vote(Source::Presence, true, None));
    let world = World::new().list(&up).presence(Availability::Unknown, false);
    let world = world.at(60).presence(Availability::Busy, true);
    assert_eq!(world.judge().votes[1], vote(Source::Presence, true, None), "a call may be older, too");
    let world = world.at(120).online().at(180).presence(Availability::Busy, true);
    assert_eq!(world.judge().votes[1], vote(Source::Presence, true, Some(180)));
}

#[test]
fn an_account_that_never_shows_a_presence_is_not_down() {
    let world = World::new().list(&[core("a", Healthy)]).offline().at(60).offline().at(120).offline();
    world.check(Fine, &["device up"], &[]);
    // One that was seen online more than seven days ago has ceased to show one.
    let up = [core("a", Healthy)];
    let world = World::new().list(&up).online().at(60).offline().at(7 * DAY).list(&up).offline();
    assert_eq!(world.judge().votes.len(), 2);
    let world = world.at(7 * DAY + 1).list(&up).offline();
    world.check(Fine, &["device up"], &[]);
}

#[test]
fn any_known_presence_but_offline_is_up() {
    for availability in
        [Availability::Available, Availability::Busy, Availability::DoNotDisturb, Availability::Away]
    {
        let world = World::new().list(&[core("a", Health::Unknown)]).presence(availability, false);
        world.check(Fine, &["presence up"], &[]);
    }
    World::new().list(&[core("a", Health::Unknown)]).presence(Availability::Unknown, false).check(
        Unknown,
        &[],
        &[],
    );
}

#[test]
fn beside_a_companion_only_a_call_is_up() {
    let dead = core("a", Offline);
    for companion in [console(Healthy), panel(Healthy)] {
        let devices = [dead.clone(), companion.clone()];
        World::new().list(&devices).at(60).online().check(Down, &["device down"], &["device_offline"]);
        let call = World::new().list(&devices).online().at(60).presence(Availability::Busy, true);
        call.check(Degraded, &["device down", "presence up"], &["device_offline"]);
        // It can still be down by presence: then nothing keeps the account online.
        let gone = World::new().list(&devices).online().at(60).offline().at(120).offline();
        gone.check(Down, &["device down", "presence down"], &["device_offline", "presence_offline"]);
        // Where the companion has an account no more, it keeps nobody's online.
        let devices = [dead.clone(), signed_out(&companion)];
        let alone = World::new().list(&[dead.clone(), companion]).at(60).list(&devices).offline();
        alone.at(120).online().check(Degraded, &["device down", "presence up"], &["device_offline"]);
    }
}

#[test]
fn the_youngest_value_wins_in_both_orders() {
    // The device fails first, and the presence comes back later.
    let world =
        World::new().list(&[core("a", Healthy)]).online().at(60).list(&[core("a", Offline)]).offline();
    let world = world.at(120).offline().at(180).online();
    world.check(Degraded, &["device down", "presence up"], &["device_offline"]);
    // The presence comes back first, and the device fails later.
    let world = world.at(240).list(&[core("a", Healthy)]).at(300).list(&[core("a", Offline)]);
    world.check(Down, &["device down", "presence up"], &["device_offline"]);
    // The presence fails, and the device comes up later.
    let world = World::new().list(&[core("a", Offline)]).online().at(60).offline().at(120).offline();
    let world = world.at(180).list(&[core("a", Healthy)]);
    world.check(Degraded, &["device up", "presence down"], &["presence_offline"]);
    // The device is up, and the presence fails later.
    let world =
        World::new().list(&[core("a", Offline)]).online().at(60).list(&[core("a", Healthy)]).offline();
    world.at(120).offline().check(Down, &["device up", "presence down"], &["presence_offline"]);
}

fn vote(source: Source, up: bool, since: Option<i64>) -> Vote {
    Vote { source, up, since: since.map(Timestamp::from_seconds) }
}

#[track_caller]
fn check_decision(
    device: (bool, Option<i64>),
    presence: (bool, Option<i64>),
    now: i64,
    up: bool,
    disagreement: bool,
) {
    let votes = [vote(Source::Device, device.0, device.1), vote(Source::Presence, presence.0, presence.1)];
    let decision = decide(&votes, Timestamp::from_seconds(now));
    assert_eq!((decision.up, decision.disagreement), (Some(up), disagreement), "{votes:?} at {now}");
    let reversed = decide(&[votes[1], votes[0]], Timestamp::from_seconds(now));
    assert_eq!(reversed, decision, "the order of votes means nothing");
}

#[test]
fn a_tie_is_down_and_a_beginning_not_seen_is_oldest() {
    check_decision((false, Some(60)), (true, Some(60)), 100, false, false);
    check_decision((true, Some(60)), (false, Some(60)), 100, false, false);
    check_decision((false, None), (true, None), 100, false, false);
    check_decision((true, None), (true, None), 100, true, false);
    check_decision((false, None), (true, Some(60)), 100, true, false);
    check_decision((false, Some(60)), (true, None), 100, false, false);
    check_decision((true, None), (false, Some(60)), 100, false, false);
    assert_eq!(
        decide(&[], Timestamp::from_seconds(0)),
        Decision { up: None, disagreement: false, until: None }
    );
}

#[test]
fn a_device_that_still_reports_up_half_an_hour_later_is_believed() {
    let lag = 30 * MINUTE;
    check_decision((true, None), (false, Some(0)), lag, false, false);
    check_decision((true, None), (false, Some(0)), lag + 1, true, true);
    // Of a presence whose end was not seen nothing says that the device has not had its time.
    check_decision((true, None), (false, None), 100, true, true);
    // The exception is for a device that is up.
    check_decision((false, None), (false, Some(0)), lag + 1, false, false);

    let up = [core("a", Healthy)];
    let mut world = World::new().list(&up).online().at(60).offline().at(120).offline();
    assert_eq!(
        world.judge().until,
        Some(Timestamp::from_seconds(60 + lag + 1)),
        "the verdict ends by itself"
    );
    for now in [10 * MINUTE, 20 * MINUTE, 30 * MINUTE] {
        world = world.at(now).list(&up).offline();
        world.check(Down, &["device up", "presence down"], &["presence_offline"]);
    }
    let world = world.at(60 + lag + 1).list(&up).offline();
    world.check(Fine, &["device up", "presence down"], &["sources_disagree"]);
    assert_eq!(world.judge().problems[0].area, Area::Monitoring);
    assert_eq!(world.judge().until, None);
}

#[test]
fn expired_and_frozen_sources_do_not_vote() {
    let expired = World::new().list(&[core("a", Healthy)]).online().at(60).offline().at(120).offline();
    expired.at(17 * MINUTE + 1).check(Fine, &["device up"], &[]);
    let expired = World::new().list(&[core("a", Offline), core("b", Offline)]);
    let snapshot = expired.store.snapshot();
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(31 * MINUTE));
    assert!(fleet.rooms.is_empty(), "nothing tells of the room any more");

    let aged = |number: i64| {
        let id = format!("core-{number}");
        Arc::new(Device { last_modified: Some(Timestamp::from_seconds(0)), ..(*core(&id, Healthy)).clone() })
    };
    let fleet: Vec<_> = (0..10).map(aged).collect();
    let world = World::new().at(25 * 3600).list(&fleet);
    let frozen_after = Some(Duration::from_hours(24));
    check(&world.judge_if(None), Fine, &["device up"], &[]);
    check(&world.judge_if(frozen_after), Unknown, &[], &[]);
    let world = world.online();
    check(&world.judge_if(frozen_after), Fine, &["presence up"], &[]);
    check(&world.at(24 * 3600).list(&fleet).judge_if(frozen_after), Fine, &["device up", "presence up"], &[]);
}

/// Stale records of devices are ignored, and so are the problems in them.
#[test]
fn frozen_devices_are_no_problem() {
    let aged = |health| {
        let last_modified = Some(Timestamp::from_seconds(0));
        move |device: Arc<Device>| Arc::new(Device { health, last_modified, ..(*device).clone() })
    };
    let cores = (0..10).map(|number| aged(Critical)(core(&format!("core-{number}"), Critical)));
    let others = [console(Offline), panel(Offline)].map(aged(Offline));
    let fleet: Vec<_> = cores.chain(others).collect();
    let world = World::new().at(25 * 3600).list(&fleet).online();
    let frozen_after = Some(Duration::from_hours(24));
    let problems = ["console", "device_critical", "panel"];
    check(&world.judge_if(None), Degraded, &["device up"], &problems);
    let world = world.presence(Availability::Busy, true);
    check(&world.judge_if(frozen_after), Fine, &["presence up"], &[]);
}

/// The last device that went is the one that took the room down.
#[test]
fn a_room_is_down_since_its_last_device_went() {
    let (a, b) = (core("a", Healthy), core("b", Healthy));
    let world = World::new().list(&[a, b.clone()]);
    let world = world.at(60).list(&[core("a", Offline), b]);
    let world = world.at(120).list(&[core("a", Offline), core("b", Offline)]);
    assert_eq!(world.judge().votes[0], vote(Source::Device, false, Some(120)));
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(60)), "the first of them");
    let world = world.at(180).list(&[core("a", Healthy), core("b", Offline)]);
    let world = world.at(240).list(&[core("a", Healthy), core("b", Healthy)]);
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(180)), "the first that came");
}

/// A connection that Graph says is long there does not make a device older that the exporter saw come back.
#[test]
fn a_device_is_up_since_the_later_of_what_was_told_and_seen() {
    let (up, down) = (core("a", Healthy), core("a", Offline));
    let connected = |at| Connection { connected: Some(true), changed: Some(Timestamp::from_seconds(at)) };
    let world = World::new().list(&[down]).at(60).list(from_ref(&up));
    let world = world.at(70).detail(&up, Detail { connection: connected(-90), ..detail() });
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(60)));
    let world = world.at(130).detail(&up, Detail { connection: connected(100), ..detail() });
    assert_eq!(world.judge().votes[0], vote(Source::Device, true, Some(100)), "it was lost for a moment");
}

#[test]
fn nothing_votes() {
    let world = World::new().list(&[core("a", Health::Unknown)]);
    world.check(Unknown, &[], &[]);
    assert_eq!(world.judge().up(), None);
}

#[test]
fn problems_of_the_room_or_its_account_degrade_it() {
    let a = core("a", Critical);
    World::new().list(from_ref(&a)).check(Degraded, &["device up"], &["device_critical"]);
    let login = Detail { logins: [(Login::Exchange, lost(-5))].into(), ..detail() };
    let world = World::new().list(from_ref(&a)).detail(&a, login);
    world.check(Degraded, &["device up"], &["exchange_login"]);
    assert_eq!(world.judge().problems[0].area, Area::Account);
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(-5)));
    let skype = Detail { logins: [(Login::Skype, lost(-5))].into(), ..detail() };
    let healthy = core("a", Healthy);
    World::new().list(from_ref(&healthy)).detail(&healthy, skype).check(Fine, &["device up"], &[]);
    for (optional, state, problems) in
        [(Some(false), Degraded, &["microphone"][..]), (Some(true), Fine, &[]), (None, Fine, &[])]
    {
        let peripheral = Peripheral { slot: Slot::Microphone, optional, connection: lost(-5), product: None };
        let world = World::new()
            .list(from_ref(&healthy))
            .detail(&healthy, Detail { peripherals: [peripheral].into(), ..detail() });
        world.check(state, &["device up"], problems);
    }
}

/// A critical incident about one device.
fn about(device_id: &str, signal: Signal) -> Event {
    let target = Target { device_id: Some(device_id.into()), account: Some(ROOM.into()) };
    Event { targets: vec![target], ..event(Progress::New, signal, Severity::Critical, ROOM) }
}

#[test]
fn a_critical_incident_of_a_dead_device_is_down() {
    let up = [core("a", Healthy)];
    for signal in [Signal::Offline, Signal::Heartbeat, Signal::SignIn] {
        let world = World::new().list(&up).at(60).list(&up).opens(signal);
        world.check(Down, &["device up", "incident down"], &["incident"]);
        assert_eq!(world.judge().votes[1].since, Some(Timestamp::from_seconds(60)));
        assert_eq!(world.judge().problems[0].area, Area::Room);
        world.at(120).closes(signal).check(Fine, &["device up"], &[]);
    }
    for signal in [Signal::Camera, Signal::Calendar, Signal::ExchangeSignIn, Signal::Network, Signal::Other] {
        World::new().list(&up).opens(signal).check(Degraded, &["device up"], &["incident"]);
    }
}

#[test]
fn of_lesser_incidents_only_the_important_are_a_problem() {
    let up = [core("a", Healthy)];
    let pushed = |progress, severity| {
        World::new().list(&up).at(60).push(event(progress, Signal::Offline, severity, ROOM))
    };
    pushed(Progress::New, Severity::Important).check(Degraded, &["device up"], &["incident"]);
    for severity in [Severity::Warning, Severity::Security, Severity::Recommendation, Severity::Unknown] {
        pushed(Progress::New, severity).check(Fine, &["device up"], &[]);
    }
    for progress in [Progress::Watching, Progress::New, Progress::Investigating] {
        pushed(progress, Severity::Critical).check(Down, &["device up", "incident down"], &["incident"]);
    }
    for progress in [Progress::Resolved, Progress::Closed] {
        pushed(progress, Severity::Critical).check(Fine, &["device up"], &[]);
    }
}

#[test]
fn an_incident_and_another_source_the_younger_wins() {
    // The device comes up after the incident began.
    let world = World::new().list(&[core("a", Offline)]).at(60).opens(Signal::Heartbeat);
    world.check(Down, &["device down", "incident down"], &["device_offline", "incident"]);
    let world = world.at(120).list(&[core("a", Healthy)]);
    world.check(Degraded, &["device up", "incident down"], &["incident"]);
    // A second one begins after that; of two the younger one says since when.
    let second =
        Event { id: "INC-2".into(), ..event(Progress::New, Signal::Offline, Severity::Critical, ROOM) };
    let world = world.at(180).push(second);
    world.check(Down, &["device up", "incident down"], &["incident"]);
    assert_eq!(world.judge().votes[1].since, Some(Timestamp::from_seconds(180)));
    assert_eq!(world.judge().problems[0].since, Some(Timestamp::from_seconds(60)), "the first of them");
    // A tie is down, and so is an incident beside a device whose beginning was not seen.
    let tie =
        World::new().list(&[core("a", Offline)]).at(60).list(&[core("a", Healthy)]).opens(Signal::Offline);
    tie.check(Down, &["device up", "incident down"], &["incident"]);
    // The presence comes back after the incident began, or before.
    let unknown = [core("a", Health::Unknown)];
    let world =
        World::new().list(&unknown).online().at(60).offline().opens(Signal::Offline).at(120).offline();
    world.check(Down, &["presence down", "incident down"], &["incident", "presence_offline"]);
    let world = world.at(180).online();
    world.check(Degraded, &["presence up", "incident down"], &["incident"]);
}

#[test]
fn an_incident_never_votes_up() {
    let down = [core("a", Offline)];
    let world = World::new().list(&down).at(60).opens(Signal::Offline).at(120).closes(Signal::Offline);
    world.check(Down, &["device down"], &["device_offline"]);
    let world = World::new().list(&[core("a", Health::Unknown)]).opens(Signal::Offline);
    world.check(Down, &["incident down"], &["incident"]);
    world.at(60).closes(Signal::Offline).check(Unknown, &[], &[]);
}

#[test]
fn an_incident_of_a_console_or_panel_is_no_vote() {
    let devices = [core("a", Healthy), console(Offline), panel(Healthy)];
    for id in ["console", "panel"] {
        let world = World::new().list(&devices).at(60).push(about(id, Signal::Offline));
        world.check(Degraded, &["device up"], &["console", "incident"]);
    }
    // Neither is one of a device that was replaced; one of a device that is not known is a vote.
    let both = [core("old", Offline), core("new", Healthy)];
    let world = World::new().list(&both).at(7 * DAY + 1).list(&both).push(about("old", Signal::Offline));
    world.check(Degraded, &["device up"], &["incident"]);
    let world = World::new().list(&devices).at(60).push(about("another-id", Signal::Offline));
    world.check(Down, &["device up", "incident down"], &["console", "incident"]);
}

#[test]
fn an_incident_finds_its_device_however_graph_spells_the_id() {
    let panel = Arc::new(Device { id: "Panel-A".into(), ..(*panel(Healthy)).clone() });
    let devices = [core("Core-A", Healthy), panel];
    let named = |id: &str| {
        let target = Target { device_id: Some(id.into()), account: None };
        Event { targets: vec![target], ..event(Progress::New, Signal::Offline, Severity::Critical, ROOM) }
    };
    let world = |id| World::new().list(&devices).at(60).push(named(id));
    world("core-a").check(Down, &["device up", "incident down"], &["incident"]);
    world("panel-a").check(Degraded, &["device up"], &["incident"]);
    world("core-b").check(Fine, &["device up"], &[]);
}

#[test]
fn an_incident_backs_a_presence_that_the_device_contradicts() {
    let lag = 30 * MINUTE;
    let up = [core("a", Healthy)];
    let mut world = World::new().list(&up).online().at(60).offline().at(120).offline();
    for now in [10 * MINUTE, 20 * MINUTE, 30 * MINUTE, 61 + lag] {
        world = world.at(now).list(&up).offline();
    }
    world.check(Fine, &["device up", "presence down"], &["sources_disagree"]);
    let world = world.opens(Signal::Heartbeat);
    world.check(Down, &["device up", "presence down", "incident down"], &["incident", "presence_offline"]);
}

#[test]
fn an_incident_expires_by_itself() {
    let world = World::new().list(&[core("a", Healthy)]).opens(Signal::Offline);
    let week = 7 * DAY;
    let world = world.at(week).list(&[core("a", Healthy)]);
    world.check(Down, &["device up", "incident down"], &["incident"]);
    world.at(week + 1).list(&[core("a", Healthy)]).check(Fine, &["device up"], &[]);
}

#[test]
fn an_incident_counts_while_the_devices_are_frozen() {
    let aged = |number: i64| {
        let id = format!("core-{number}");
        Arc::new(Device { last_modified: Some(Timestamp::from_seconds(0)), ..(*core(&id, Healthy)).clone() })
    };
    let fleet: Vec<_> = (0..10).map(aged).collect();
    let frozen_after = Some(Duration::from_hours(24));
    let world = World::new().at(25 * 3600).list(&fleet);
    check(&world.judge_if(frozen_after), Unknown, &[], &[]);
    let world = world.opens(Signal::Heartbeat);
    check(&world.judge_if(frozen_after), Down, &["incident down"], &["incident"]);
    let world = world.at(25 * 3600 + 60).closes(Signal::Heartbeat);
    check(&world.judge_if(frozen_after), Unknown, &[], &[]);
}

#[test]
fn an_incident_waits_for_its_room_and_never_makes_one() {
    let world = World::new().opens(Signal::Offline);
    let snapshot = world.store.snapshot();
    let fleet = Fleet::at(&snapshot, world.now());
    assert_eq!((fleet.rooms.len(), fleet.incidents_without_room), (0, 1));
    let world = world.at(60).list(&[core("a", Healthy)]);
    world.check(Down, &["device up", "incident down"], &["incident"]);
    let snapshot = world.store.snapshot();
    assert_eq!(Fleet::at(&snapshot, world.now()).incidents_without_room, 0);
}

#[test]
fn a_calendar_that_is_refused_is_a_problem_of_the_account() {
    let world = World::new().list(&[core("a", Healthy)]);
    let world = world.calendar(Calendar::Readable(Vec::new()));
    world.check(Fine, &["device up"], &[]);
    let world = world.calendar(Calendar::Refused);
    world.check(Degraded, &["device up"], &["calendar_unreadable"]);
    assert_eq!(world.judge().problems[0].area, Area::Account);
    let world = world.at(20 * MINUTE).list(&[core("a", Healthy)]);
    let world = world.at(31 * MINUTE);
    world.check(Fine, &["device up"], &[]);
}

#[test]
fn an_account_that_is_not_in_order_degrades_a_room_that_is_up() {
    let up = || World::new().list(&[core("a", Healthy)]);
    for license in [Tier::Pro, Tier::Premium, Tier::Standard, Tier::Basic, Tier::SharedDevice] {
        up().account(true, license).check(Fine, &["device up"], &[]);
    }
    let licensed = || up().account(true, Tier::Pro).at(MINUTE);
    let disabled = licensed().account(false, Tier::Pro);
    disabled.check(Degraded, &["device up"], &["account_disabled"]);
    let problem = Problem {
        name: "account_disabled".to_owned(),
        area: Area::Account,
        since: Some(Timestamp::from_seconds(MINUTE)),
    };
    assert_eq!(disabled.judge().problems, [problem]);
    for license in [Tier::Other, Tier::None] {
        licensed().account(true, license).check(Degraded, &["device up"], &["license_missing"]);
    }
    let both = licensed().account(false, Tier::None);
    both.check(Degraded, &["device up"], &["account_disabled", "license_missing"]);
    let down =
        World::new().list(&[core("a", Offline)]).account(true, Tier::Pro).at(1).account(false, Tier::Pro);
    down.check(Down, &["device down"], &["account_disabled", "device_offline"]);
}

#[test]
fn what_was_read_of_an_account_expires() {
    let world = World::new().account(true, Tier::Pro).at(1).account(false, Tier::Pro).online();
    world.check(Degraded, &["presence up"], &["account_disabled"]);
    world.at(DAY).online().list(&[core("a", Healthy)]).at(DAY + 2).check(
        Fine,
        &["device up", "presence up"],
        &[],
    );
}
