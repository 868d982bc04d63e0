//! Simulated hours of one room, look by look.

use super::*;
use crate::model::sight::Grounds;
use crate::model::site::{self, Hours, Match};

const ROOM: &str = "oslo@contoso.example";
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

const FREE: Option<Booked> = Some(Booked::Free);
const MEETING: Option<Booked> = Some(Booked::Meeting);
const BLOCK: Option<Booked> = Some(Booked::Block);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn sight(booked: Option<Booked>, in_use: Option<bool>) -> Sight {
    Sight { state: RoomState::Ok, grounds: Grounds::default(), booked, in_use, site: None }
}

/// A room that is looked at.
struct World {
    usage: Usage,
    sites: Vec<Site>,
    now: Timestamp,
}

impl World {
    fn new(start: &str) -> Self {
        Self { usage: Usage::default(), sites: Vec::new(), now: at(start) }
    }

    /// In service from seven to eight in Berlin, every day.
    fn in_berlin(start: &str) -> Self {
        let hours = Hours::parse("07:00-20:00").expect("hours");
        let zone = site::zone("Europe/Berlin").expect("a zone");
        let berlin = Site::new("berlin", None, Match::default(), zone, hours, &Hours::default());
        Self { sites: vec![berlin], ..Self::new(start) }
    }

    /// A look at what is there, now.
    fn look(&mut self, sight: Option<Sight>) -> bool {
        let site = self.sites.first().map(|_| 0);
        let sights = sight.map(|sight| (ROOM.into(), Sight { site, ..sight })).into_iter().collect();
        self.usage.observe(&sights, &self.sites, self.now)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// So much time, seen again and again as the same.
    fn watch(&mut self, seconds: u64, sight: Sight) {
        let mut rest = seconds;
        self.look(Some(sight));
        while rest > 0 {
            let step = rest.min(17); // whatever the pace, nothing is lost
            self.pass(step);
            self.look(Some(sight));
            rest -= step;
        }
    }

    fn totals(&self) -> Totals {
        self.usage.of(ROOM).cloned().unwrap_or_default()
    }

    /// Seconds in service: observed, booked, in use, booked unused, unbooked use.
    #[track_caller]
    fn check(&self, expected: [Option<u64>; 5]) {
        let Totals { observed, booked, in_use, booked_unused, unbooked_use, .. } = self.totals();
        let found = [observed, booked, in_use, booked_unused, unbooked_use];
        assert!(found.iter().flatten().all(|seconds| seconds.other == 0), "{found:?}");
        assert_eq!(found.map(|total| total.map(|seconds| seconds.service)), expected);
    }
}

#[test]
fn each_span_is_what_it_was_seen_as_at_its_beginning() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    world.look(Some(sight(FREE, Some(false))));
    world.check([Some(0); 5]);
    world.watch(HOUR, sight(FREE, Some(false)));
    world.watch(HOUR, sight(MEETING, Some(true)));
    world.watch(HOUR / 2, sight(MEETING, Some(false)));
    world.watch(HOUR / 4, sight(FREE, Some(true)));
    world.watch(HOUR, sight(BLOCK, Some(true)));
    world.watch(HOUR, sight(BLOCK, Some(false)));
    let (used, booked) = (HOUR + HOUR / 4 + HOUR, HOUR + HOUR / 2);
    let observed = HOUR * 4 + HOUR * 3 / 4;
    world.check([Some(observed), Some(booked), Some(used), Some(HOUR / 2), Some(HOUR / 4)]);
}

#[test]
fn what_is_not_known_is_absent_and_not_zero() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    world.watch(HOUR, sight(None, None));
    world.check([None; 5]);
    world.watch(HOUR, sight(MEETING, None));
    world.check([Some(HOUR), Some(HOUR), None, None, None]);
    world.watch(HOUR, sight(None, Some(true)));
    world.check([Some(2 * HOUR), Some(HOUR), Some(HOUR), None, None]);
    world.watch(HOUR, sight(MEETING, Some(false)));
    world.check([Some(3 * HOUR), Some(2 * HOUR), Some(HOUR), Some(HOUR), Some(0)]);
    world.watch(HOUR, sight(None, None));
    world.check([Some(3 * HOUR), Some(2 * HOUR), Some(HOUR), Some(HOUR), Some(0)]);
}

#[test]
fn service_hours_split_the_time_across_daylight_saving() {
    // On 2026-10-25 the clocks of Berlin go back an hour: the day has 25.
    let mut world = World::in_berlin("2026-10-25T00:00:00+02:00");
    world.watch(25 * HOUR, sight(MEETING, Some(false)));
    let unused = world.totals().booked_unused.expect("known");
    assert_eq!(unused, Seconds { service: 13 * HOUR, other: 12 * HOUR });
    let in_service = world.totals().states().find(|(state, _)| *state == RoomState::Ok);
    assert_eq!(in_service, Some((RoomState::Ok, unused)));
    // On 2026-03-29 they go forward: the day has 23.
    let mut world = World::in_berlin("2026-03-29T00:00:00+01:00");
    world.watch(23 * HOUR, sight(FREE, Some(true)));
    assert_eq!(world.totals().unbooked_use, Some(Seconds { service: 13 * HOUR, other: 10 * HOUR }));
}

#[test]
fn one_look_counts_on_both_sides_of_an_hour() {
    let mut world = World::in_berlin("2026-11-20T06:59:30+01:00");
    world.look(Some(sight(FREE, Some(true))));
    world.pass(50);
    world.look(Some(sight(FREE, Some(true))));
    assert_eq!(world.totals().in_use, Some(Seconds { service: 20, other: 30 }));
}

#[test]
fn nothing_is_counted_between_looks_that_are_far_apart() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    let used = sight(FREE, Some(true));
    assert!(!world.look(Some(used)), "the first look follows none");
    world.pass(LONGEST_SPAN.as_secs());
    assert!(world.look(Some(used)));
    world.pass(LONGEST_SPAN.as_secs() + 1);
    assert!(!world.look(Some(used)), "the machine slept");
    assert_eq!(world.totals().in_use, Some(Seconds { service: 120, other: 0 }));
    world.now = Timestamp::from_seconds(world.now.seconds() - 3600);
    assert!(!world.look(Some(used)), "the clock was set back");
    world.pass(10);
    assert!(world.look(Some(used)));
    assert_eq!(world.totals().in_use, Some(Seconds { service: 130, other: 0 }));
}

#[test]
fn a_pause_is_not_counted_however_short() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    world.watch(MINUTE, sight(MEETING, Some(true)));
    world.pass(30);
    world.usage.lose_track();
    assert!(!world.look(Some(sight(MEETING, Some(true)))));
    world.watch(MINUTE, sight(MEETING, Some(true)));
    world.check([Some(2 * MINUTE), Some(2 * MINUTE), Some(2 * MINUTE), Some(0), Some(0)]);
}

#[test]
fn a_room_that_is_away_keeps_its_counters_for_a_day() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    let used = sight(FREE, Some(true));
    world.watch(MINUTE, used);
    for _ in 0..23 * 60 {
        world.look(None);
        world.pass(60);
    }
    assert_eq!(world.totals().in_use, Some(Seconds { service: MINUTE, other: 0 }), "away is no use");
    world.watch(MINUTE, used);
    assert_eq!(world.totals().in_use, Some(Seconds { service: 2 * MINUTE, other: 0 }));
    assert_eq!(world.totals().began, Some(at("2026-11-20T08:00:00Z")));
    for _ in 0..=24 * 60 {
        world.look(None);
        world.pass(60);
    }
    world.look(None);
    assert!(world.usage.rooms.is_empty());
    let back = world.now;
    world.watch(MINUTE, used);
    assert_eq!(world.totals().in_use, Some(Seconds { service: MINUTE, other: 0 }), "it counts from 0 again");
    assert_eq!(world.totals().began, Some(back), "and says so");
}

#[test]
fn states_add_up_to_the_time_that_was_watched() {
    let mut world = World::new("2026-11-20T08:00:00Z");
    for (state, seconds) in RoomState::ALL.iter().zip([100, 200, 300, 400]) {
        world.watch(seconds, Sight { state: *state, ..sight(None, None) });
    }
    let found: Vec<u64> = world.totals().states().map(|(_, seconds)| seconds.service).collect();
    assert_eq!(found, [100, 200, 300, 400]);
}

/// A look that shows the same in the same second need not be taken.
#[test]
fn a_look_brings_something_new_with_time_or_another_sight() {
    let mut world = World::new("2026-03-02T12:00:00Z");
    let (seen, other) = (sight(MEETING, Some(true)), sight(FREE, Some(true)));
    let sights = |rooms: &[(&str, Sight)]| rooms.iter().map(|(id, sight)| ((*id).into(), *sight)).collect();
    let (one, none): (BTreeMap<_, _>, BTreeMap<_, _>) = (sights(&[(ROOM, seen)]), BTreeMap::new());
    assert!(!world.usage.has_seen(&none, world.now), "it has seen nothing");
    world.look(Some(seen));
    assert!(world.usage.has_seen(&one, world.now));
    assert!(!world.usage.has_seen(&none, world.now), "a room is gone");
    assert!(!world.usage.has_seen(&sights(&[(ROOM, other)]), world.now));
    assert!(!world.usage.has_seen(&sights(&[("bergen", seen)]), world.now));
    assert!(!world.usage.has_seen(&sights(&[(ROOM, seen), ("bergen", seen)]), world.now));
    world.pass(1);
    assert!(!world.usage.has_seen(&one, world.now), "time has passed");
    world.look(None);
    assert!(world.usage.has_seen(&none, world.now));
}

#[test]
fn a_room_that_is_away_for_a_day_is_forgotten() {
    let mut world = World::new("2026-03-02T12:00:00Z");
    world.look(Some(sight(FREE, Some(false))));
    for (seconds, is_known) in [(24 * HOUR - 1, true), (1, false)] {
        world.pass(seconds);
        world.look(None);
        assert_eq!(world.usage.of(ROOM).is_some(), is_known);
    }
}
