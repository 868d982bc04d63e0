//! When rooms are booked and how long they are used, which mailboxes are asked through, and what may not be known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::model::privacy::Privacy;
use teams_rooms_exporter::sim::{self, RoomFacts};

use crate::exporter::{Exporter, Scenario, Scrape, every_source, label, parse, seconds, start_world};
use crate::sources::{ALL, pass};

const READABLE: &str = "teams_rooms_room_calendar_readable";
const BOOKED: &str = "teams_rooms_room_booked";
const END: &str = "teams_rooms_room_booking_end_timestamp_seconds";
const NEXT: &str = "teams_rooms_room_next_booking_timestamp_seconds";
const SINCE: &str = "teams_rooms_room_state_since_timestamp_seconds";
const PROBLEM: &str = "problem=\"calendar_unreadable\"";
const SCHEDULE: &str = "/v1.0/users/{mailbox}/calendar/getSchedule";

/// Every source, and something more.
fn configured(more: impl FnOnce(&mut Config) + Send + 'static) -> Scenario {
    let configure = Box::new(|config: &mut Config| {
        every_source(config);
        more(config);
    });
    Scenario { configure, ..Scenario::default() }
}

/// The value of a room in a family, where there is one.
fn value(scrape: &Scrape, family: &str, room: &RoomFacts) -> Option<i64> {
    let of_room = format!("room_id=\"{}\"", room.upn);
    let found = scrape.family(family).find(|(key, _)| key.contains(&of_room));
    found.and_then(|(_, value)| value.parse().ok()).map(seconds)
}

/// A counter of a room in service hours.
fn counted(scrape: &Scrape, what: &str, room: &RoomFacts) -> i64 {
    let of_room = format!("room_id=\"{}\"", room.upn);
    scrape.total(&format!("teams_rooms_room_{what}_seconds_total"), &[&of_room, "hours=\"service\""])
}

/// Start and end in minutes from now, and status.
type Entry = (i64, i64, &'static str);

/// Puts these entries into the calendar of a room.
fn book(exporter: &Exporter, room: &RoomFacts, entries: &[Entry]) {
    let at = |minutes: i64| {
        let time = exporter.sim.now().checked_add(jiff::Span::new().minutes(minutes)).expect("a time");
        json!({ "dateTime": time.strftime("%Y-%m-%dT%H:%M:%S.0000000").to_string(), "timeZone": "UTC" })
    };
    let item = |(start, end, status): &Entry| json!({ "status": status, "subject": "Zaphod", "start": at(*start), "end": at(*end) });
    let items: Vec<Value> = entries.iter().map(item).collect();
    exporter.sim.edit_room(&room.upn, json!({ "schedule": { "scheduleItems": items } }));
}

/// Whether a room is booked, and in how many minutes that ends and the next begins.
type Shown = (Option<i64>, Option<i64>, Option<i64>);

/// What the series say of a room now.
#[track_caller]
fn booking(exporter: &Exporter, scrape: &Scrape, room: &RoomFacts) -> Shown {
    let now = exporter.sim.now().as_second();
    let minutes = |family| value(scrape, family, room).map(|at| (at - now) / 60);
    (value(scrape, BOOKED, room), minutes(END), minutes(NEXT))
}

fn room(exporter: &Exporter) -> RoomFacts {
    exporter.sim.rooms().swap_remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_entry_books_or_does_not() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let room = room(&exporter);
    let cases: [(&[Entry], Shown); 8] = [
        (&[(-10, 20, "busy")], (Some(1), Some(20), None)),
        (&[(10, 20, "busy")], (Some(0), None, Some(10))),
        (&[(-10, 20, "busy"), (20, 50, "busy")], (Some(1), Some(20), Some(20))),
        (&[(-10, 20, "busy"), (-5, 40, "busy")], (Some(1), Some(40), None)),
        (&[(-480, 960, "busy")], (Some(1), Some(960), None)),
        (&[(-10, 20, "oof")], (Some(1), Some(20), None)),
        (&[(-10, 20, "tentative")], (Some(1), Some(20), None)),
        (&[(-10, 20, "free"), (-10, 20, "workingElsewhere")], (Some(0), None, None)),
    ];
    for (entries, expected) in cases {
        book(&exporter, &room, entries);
        exporter
            .wait_until(format!("{entries:?} read"), |scrape| booking(&exporter, scrape, &room) == expected)
            .await;
    }
    exporter.stop().await;
}

/// The calendar is read once; what was read then turns over by the clock alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bookings_turn_over_on_time_without_being_read_again() {
    let scenario = configured(|config| {
        config.tenants[0].collectors.calendar.source.interval = Duration::from_hours(1);
    });
    // The bookings stand in the calendar before the exporter starts.
    let sim = start_world(sim::Settings { rooms: 12, speed: 0.0, ..sim::Settings::default() }).await;
    let room = sim.rooms().swap_remove(0);
    let time = |time: &str| json!({ "dateTime": format!("2026-11-20T{time}:00"), "timeZone": "UTC" });
    let item = |start, end| json!({ "status": "busy", "start": time(start), "end": time(end) });
    let items = [item("08:05", "08:10"), item("08:10", "08:20")];
    sim.edit_room(&room.upn, json!({ "schedule": { "scheduleItems": items } }));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario }).await;
    exporter.wait_for_every_source().await;
    for (advance, expected) in [
        (0, (Some(0), None, Some(5))),
        (4, (Some(0), None, Some(1))),
        (1, (Some(1), Some(5), Some(5))),
        (5, (Some(1), Some(10), None)),
        (9, (Some(1), Some(1), None)),
        (1, (Some(0), None, None)),
    ] {
        exporter.sim.advance(Duration::from_mins(advance));
        exporter
            .wait_until(format!("{expected:?}"), |scrape| booking(&exporter, scrape, &room) == expected)
            .await;
    }
    let asked = exporter.sim.requests().iter().filter(|request| request.operation == SCHEDULE).count();
    assert_eq!(asked, 1);
    // What is not read again is not believed for ever.
    exporter.sim.advance(Duration::from_mins(11));
    exporter.wait_until("expired", |scrape| scrape.count(BOOKED) == 0 && scrape.count(READABLE) == 0).await;
    exporter.stop().await;
}

/// Twenty mailboxes to a request, each request charged to another mailbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_spread_over_the_mailboxes() {
    let scenario = configured(|config| {
        config.tenants[0].collectors.calendar.source.interval = Duration::from_hours(1);
    });
    let exporter = Exporter::start(Scenario { rooms: 90, ..scenario }).await;
    let scrape = exporter.wait_for_every_source().await;
    let rooms = scrape.collector("expected_items", "contoso", "calendar").map_or(0, seconds);
    assert_eq!(scrape.collector("items", "contoso", "calendar").map(seconds), Some(rooms));
    let requests = exporter.sim.requests();
    let through: Vec<&str> = requests
        .iter()
        .filter(|request| request.operation == SCHEDULE)
        .filter_map(|request| request.path.split('/').nth(3))
        .collect();
    assert_eq!(i64::try_from(through.len()), Ok((rooms + 19) / 20));
    assert_eq!(through.iter().collect::<BTreeSet<_>>().len(), through.len(), "{through:?}");
    exporter.stop().await;
}

/// A mailbox that may not be read says so, and costs no other: neither beside it nor asked through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_mailboxes_stand_alone() {
    let faults = &["restricted_mailbox=40"];
    let exporter = Exporter::start(Scenario { rooms: 60, faults, ..Scenario::every_source() }).await;
    let scrape = exporter.wait_for_every_source().await;
    assert_eq!(scrape.state("contoso", "calendar"), "ok");
    let known = scrape.count(READABLE);
    let readable = usize::try_from(scrape.total(READABLE, &[])).expect("a count");
    assert!(known >= 58 && readable < known && readable > known / 3, "{readable} of {known}");
    assert_eq!(scrape.count(BOOKED), readable);
    let problems = scrape.family("teams_rooms_room_problem").filter(|(key, _)| key.contains(PROBLEM));
    let problems: BTreeSet<&str> = problems
        .inspect(|(key, _)| assert_eq!(label(key, "area"), "account"))
        .map(|(key, _)| label(key, "room_id"))
        .collect();
    let refused = scrape.family(READABLE).filter(|(_, value)| *value == "0");
    assert_eq!(problems, refused.map(|(key, _)| label(key, "room_id")).collect());
    exporter.stop().await;
}

/// The server of one mailbox fails. Its requests go through another mailbox, and the round goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_whose_server_fails_ends_no_round() {
    let exporter = Exporter::start(Scenario { rooms: 60, ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    exporter.sim.set_faults(parse(&["dead_mailbox=40"]));
    exporter.sim.clear_requests();
    let failed =
        |scrape: &Scrape| scrape.total("teams_rooms_graph_requests_total", &["calendar", "503"]) >= 5;
    exporter.wait_until("several servers that fail", failed).await;
    let rooms = before.collector("expected_items", "contoso", "calendar");
    for _ in 0..5 {
        let during = pass(&exporter, Duration::from_secs(1), ALL).await;
        assert_eq!(during.state("contoso", "calendar"), "ok");
        assert_eq!(during.collector("items", "contoso", "calendar"), rooms);
    }
    exporter.stop().await;
}

/// When the right is given, the room is read; when it is taken, what was known goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_is_restricted_and_released() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let room = room(&exporter);
    let readable = |expected| {
        let room = room.clone();
        move |scrape: &Scrape| {
            value(scrape, READABLE, &room) == Some(expected)
                && value(scrape, BOOKED, &room).is_some() == (expected == 1)
        }
    };
    exporter.wait_until("readable", readable(1)).await;
    exporter.sim.set_faults(parse(&[&format!("restricted_mailbox={}", room.upn)]));
    exporter.wait_until("refused", readable(0)).await;
    exporter.sim.set_faults(Vec::new());
    exporter.wait_until("readable again", readable(1)).await;
    exporter.stop().await;
}

/// A right given in Exchange for some mailboxes is found, though the token tells nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_given_in_exchange_is_enough() {
    let roles = ["TeamworkDevice.Read.All", "Presence.Read.All", "Place.Read.All", "ServiceHealth.Read.All"];
    let settings = sim::Settings {
        rooms: 12,
        speed: 0.0,
        roles: Some(roles.map(str::to_owned).to_vec()),
        faults: parse(&["exchange_rbac"]),
        ..sim::Settings::default()
    };
    let sim = Some(start_world(settings).await);
    let exporter = Exporter::start(Scenario { sim, ..Scenario::every_source() }).await;
    let before = exporter.wait_until("calendars", |scrape| scrape.total(READABLE, &[]) >= 12).await;
    exporter.sim.set_faults(Vec::new());
    let scrape = exporter.wait_for_state("calendar", "forbidden").await;
    assert_eq!(scrape.keys(READABLE), before.keys(READABLE), "what was read is kept");
    exporter.stop().await;
}

/// One mailbox may be asked through for all; if that is refused, so is the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_mailbox_is_asked_through() {
    let sim = start_world(sim::Settings { rooms: 12, speed: 0.0, ..sim::Settings::default() }).await;
    let reader = sim.rooms()[3].upn.clone();
    let mailbox = Some(reader.clone());
    let scenario = configured(|config| config.tenants[0].collectors.calendar.mailbox = mailbox);
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario }).await;
    exporter.wait_for_every_source().await;
    let requests = exporter.sim.requests();
    let mut asked = requests.iter().filter(|request| request.operation == SCHEDULE);
    assert!(asked.all(|request| request.path.contains(&reader)), "{requests:?}");
    exporter.sim.set_faults(parse(&[&format!("restricted_mailbox={reader}")]));
    exporter.wait_for_state("calendar", "forbidden").await;
    exporter.stop().await;
}

/// Of a mailbox that Exchange does not know nothing is claimed, and it is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_fails_is_counted_and_nothing_is_claimed() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    let others = before.count(READABLE) - 1;
    let unknown = room(&exporter);
    for code in ["ErrorMailRecipientNotFound", "ErrorInternalServerError"] {
        exporter.sim.edit_room(&unknown.upn, json!({ "schedule": { "error": { "responseCode": code } } }));
        exporter
            .wait_until(code, |scrape| {
                scrape.collector("skipped_items", "contoso", "calendar").map(seconds) == Some(1)
                    && scrape.state("contoso", "calendar") == "ok"
            })
            .await;
    }
    exporter.sim.advance(Duration::from_mins(31));
    exporter.wait_until("no claim", |scrape| value(scrape, READABLE, &unknown).is_none()).await;
    let scrape = exporter.wait_until("others", |scrape| scrape.count(READABLE) == others).await;
    assert_eq!(value(&scrape, BOOKED, &unknown), None);
    assert!(!scrape.text.contains(PROBLEM));
    exporter.stop().await;
}

/// Exchange answers, but of no mailbox anything that can be read: the state shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calendars_that_all_fail_are_no_success() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    exporter.sim.set_faults(parse(&["missing_members@calendar=100"]));
    let during = exporter.wait_for_state("calendar", "empty").await;
    let gauge = |scrape: &Scrape, name| scrape.collector(name, "contoso", "calendar").map(seconds);
    assert_eq!(gauge(&during, "skipped_items"), gauge(&before, "expected_items"));
    assert_eq!((gauge(&during, "success"), during.keys(READABLE)), (Some(0), before.keys(READABLE)));
    exporter.stop().await;
}

/// Whatever the schedules look like, rooms keep what is known of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_schedules_cost_no_room() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    for fault in
        ["pascal_case", "new_enum", "nulls", "missing_members", "bad_time", "bad_record", "empty", "wrapped"]
    {
        exporter.sim.set_faults(parse(&[&format!("{fault}@calendar")]));
        for _ in 0..2 {
            exporter.sim.advance(Duration::from_secs(1));
            let now = exporter.sim.now().as_second();
            exporter
                .wait_until(format!("an attempt with {fault}"), |scrape| {
                    let at = scrape.collector("last_attempt_timestamp_seconds", "contoso", "calendar");
                    at.is_some_and(|at| seconds(at) >= now)
                })
                .await;
        }
        let scrape = exporter.scrape().await;
        assert_eq!(scrape.keys(READABLE), before.keys(READABLE), "{fault}");
    }
    exporter.sim.set_faults(Vec::new());
    exporter.wait_for_state("calendar", "ok").await;
    exporter.stop().await;
}

/// Time is counted while it passes before somebody's eyes, by what each room is at the moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_counted_as_it_passes() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let room = exporter.sim.rooms().swap_remove(4);
    for device in &room.device_ids {
        exporter
            .sim
            .edit(device, json!({ "device": { "healthStatus": "healthy", "activityState": "idle" } }));
    }
    let show = |activity: &str| {
        let presence = json!({ "availability": "Busy", "activity": activity });
        exporter.sim.edit_room(&room.upn, json!({ "presence": presence }));
    };
    // What is booked, the activity, and the counter that rises beside those of what is booked and used.
    let steps: [(&str, &str, &[&str]); 4] = [
        ("busy", "InACall", &["observed", "booked", "in_use"]),
        ("busy", "InAMeeting", &["observed", "booked", "booked_unused"]),
        ("free", "InACall", &["observed", "in_use", "unbooked_use"]),
        ("oof", "InAMeeting", &["observed"]),
    ];
    let all = ["observed", "booked", "in_use", "booked_unused", "unbooked_use"];
    let counters = |scrape: &Scrape| all.map(|what| counted(scrape, what, &room));
    for (status, activity, rising) in steps {
        book(&exporter, &room, &[(-10, 300, status)]);
        show(activity);
        let used = i64::from(activity == "InACall");
        let booked = i64::from(status != "free");
        exporter
            .wait_until(format!("{status} {activity}"), |scrape| {
                value(scrape, BOOKED, &room) == Some(booked)
                    && value(scrape, "teams_rooms_room_in_use", &room) == Some(used)
            })
            .await;
        let as_expected = |before: [i64; 5], by: i64| -> Vec<i64> {
            all.iter().zip(before).map(|(what, n)| n + if rising.contains(what) { by } else { 0 }).collect()
        };
        // What the scrape shows the next look sees, too.
        loop {
            let before = counters(&exporter.scrape().await);
            exporter.sim.advance(Duration::from_secs(1));
            let after = exporter.wait_until("a second", |scrape| counters(scrape)[0] > before[0]).await;
            if counters(&after)[..] == as_expected(before, 1)[..] {
                break;
            }
        }
        let before = counters(&exporter.scrape().await);
        exporter.sim.advance(Duration::from_secs(100));
        let expected = as_expected(before, 100);
        exporter
            .wait_until(format!("{expected:?} counted"), |scrape| counters(scrape)[..] == expected[..])
            .await;
    }
    // A leap is not counted: the machine slept.
    let before = counters(&exporter.scrape().await);
    exporter.sim.advance(Duration::from_hours(3));
    exporter
        .wait_until("presence read", |scrape| {
            let at = scrape.collector("last_attempt_timestamp_seconds", "contoso", "presence");
            at.is_some_and(|at| seconds(at) >= exporter.sim.now().as_second())
        })
        .await;
    assert_eq!(counters(&exporter.scrape().await), before);
    let sim = exporter.stop().await;
    // Counters begin anew with the process.
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..Scenario::every_source() }).await;
    let scrape = exporter.wait_for_every_source().await;
    assert_eq!(counters(&scrape), [0; 5]);
    exporter.stop().await;
}

/// While nobody reads, nothing is asked, and nothing is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_not_counted() {
    let scenario = configured(|config| config.idle_after = Some(Duration::from_mins(1)));
    let exporter = Exporter::start(scenario).await;
    let before = exporter.wait_for_every_source().await;
    let total = |scrape: &Scrape| scrape.total("teams_rooms_room_state_seconds_total", &[]);
    assert_eq!(total(&before), 0);
    exporter.sim.advance(Duration::from_secs(90)); // short enough to be counted, were it not for the pause
    let (tenant, sim) = (exporter.tenant, exporter.sim.clone());
    let asked = || sim.requests().len();
    let mut last = asked();
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        if asked() == last {
            break; // they pause
        }
        last = asked();
    }
    let awake = exporter.wait_until("awake", |scrape| scrape.state(tenant, "presence") == "ok").await;
    let rooms = i64::try_from(awake.count("teams_rooms_room_info")).expect("a count");
    assert!(
        total(&awake) == 0 || total(&awake) == 90 * rooms,
        "counted as a whole before the pause, or not at all"
    );
    exporter.stop().await;
}

/// When a change of state was seen, its time shows, and outlives a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_state_that_was_seen_has_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = || Scenario { storage_path: Some(folder.path().to_owned()), ..Scenario::every_source() };
    let exporter = Exporter::start(scenario()).await;
    exporter.wait_for_every_source().await;
    // A second later all has been looked at.
    exporter.sim.advance(Duration::from_secs(1));
    let looked = |scrape: &Scrape| scrape.total("teams_rooms_room_state_seconds_total", &[]) >= 12;
    let scrape = exporter.wait_until("looked at", looked).await;
    let state = |scrape: &Scrape, room: &RoomFacts, state: &str| {
        let (of_room, state) = (format!("room_id=\"{}\"", room.upn), format!("state=\"{state}\""));
        scrape.total("teams_rooms_room_state", &[&of_room, &state]) == 1
    };
    let room =
        exporter.sim.rooms().into_iter().find(|room| state(&scrape, room, "ok")).expect("a sound room");
    exporter.sim.advance(Duration::from_mins(1));
    let then = exporter.sim.now().as_second();
    exporter
        .sim
        .edit_room(&room.upn, json!({ "presence": { "availability": "Offline", "activity": "Offline" } }));
    for device in &room.device_ids {
        let lost = json!({ "connection": { "connectionStatus": "disconnected" } });
        exporter.sim.edit(device, json!({ "device": { "healthStatus": "offline" }, "health": lost }));
    }
    let down = |scrape: &Scrape| state(scrape, &room, "down") && value(scrape, SINCE, &room) == Some(then);
    exporter.wait_until("down since then", down).await;
    let sim = exporter.stop().await;
    sim.advance(Duration::from_mins(2));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    exporter.wait_for_every_source().await;
    exporter.wait_until("still down since then", down).await;
    exporter.stop().await;
}

/// Series that tell when a room is used.
const TELLTALE: [&str; 11] = [
    "teams_rooms_room_in_use",
    "teams_rooms_room_presence_state",
    "teams_rooms_device_activity_state",
    READABLE,
    BOOKED,
    END,
    NEXT,
    "teams_rooms_room_observed_seconds_total",
    "teams_rooms_room_booked_seconds_total",
    "teams_rooms_room_in_use_seconds_total",
    "teams_rooms_room_booked_unused_seconds_total",
];

/// With the use of rooms switched off nothing tells of it, nothing asks for it, and rooms are still judged. What was kept
/// before is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_can_be_kept_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage_path = || Some(folder.path().to_owned());
    let exporter =
        Exporter::start(Scenario { storage_path: storage_path(), ..Scenario::every_source() }).await;
    let open = exporter.wait_for_every_source().await;
    assert!(TELLTALE.iter().all(|family| open.count(family) > 0 || *family == END));
    let sim = exporter.stop().await;
    sim.clear_requests();

    let scenario = configured(|config| config.tenants[0].privacy = Privacy { usage: false, min_capacity: 0 });
    let exporter =
        Exporter::start(Scenario { sim: Some(sim), storage_path: storage_path(), ..scenario }).await;
    let private = exporter.wait_for_everything().await;
    for family in TELLTALE {
        assert_eq!(private.count(family), 0, "{family}");
    }
    for source in ["presence", "calendar"] {
        assert_eq!(private.state("contoso", source), "disabled");
    }
    assert_eq!(private.keys("teams_rooms_room_info"), open.keys("teams_rooms_room_info"));
    assert!(private.total("teams_rooms_room_up", &[]) > 6, "the devices still vote");
    let sim = exporter.stop().await;
    let told = |operation: &str| operation == SCHEDULE || operation.contains("getPresencesByUserId");
    assert!(!sim.requests().iter().any(|request| told(&request.operation)));
    let kept = std::fs::read_to_string(folder.path().join("contoso.json")).expect("kept");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!((&kept["presence"], &kept["memory"]["presence"]), (&json!({}), &json!({})));
}

/// Rooms below a size are not asked for, and nothing tells of their use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_rooms_can_be_kept_private() {
    let seats = 8;
    let scenario = configured(move |config| {
        config.tenants[0].privacy = Privacy { usage: true, min_capacity: seats };
    });
    let exporter = Exporter::start(Scenario { rooms: 30, ..scenario }).await;
    let scrape = exporter.wait_for_every_source().await;
    let known = scrape.family("teams_rooms_room_capacity");
    let sizes: BTreeMap<&str, u32> =
        known.map(|(key, value)| (label(key, "room_id"), value.parse().expect("seats"))).collect();
    let small: BTreeSet<&str> = sizes.iter().filter(|(_, size)| **size < seats).map(|(id, _)| *id).collect();
    assert!(small.len() > 3 && sizes.len() > small.len() + 3, "{sizes:?}");
    let devices: BTreeMap<&str, &str> = scrape
        .keys("teams_rooms_device_info")
        .into_iter()
        .map(|key| (label(key, "device_id"), label(key, "room_id")))
        .collect();
    for family in TELLTALE {
        for key in scrape.keys(family) {
            let room = match label(key, "room_id") {
                "" => devices[label(key, "device_id")],
                room => room,
            };
            assert!(!small.contains(room), "{key}");
        }
    }
    assert!(scrape.count(BOOKED) > 3 && scrape.count("teams_rooms_device_activity_state") > 3);
    let asked = scrape.collector("expected_items", "contoso", "calendar").map_or(0, seconds);
    assert_eq!(usize::try_from(asked), Ok(sizes.len() - small.len()), "of unknown size is small");
    exporter.stop().await;
}
