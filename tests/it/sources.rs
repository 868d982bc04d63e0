//! Presence, places, service health, and what an operator says of rooms: each alone, and all in one verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::model::State;
use teams_rooms_exporter::model::collector::Collector;
use teams_rooms_exporter::model::site::{self, Glob, Hours, Match, Site};
use teams_rooms_exporter::sim::{self, RoomFacts, Sim};

use crate::exporter::{
    Exporter, SOURCES, Scenario, Scrape, every_source, label, log, parse, seconds, spawn, standing,
    start_tenant, start_world,
};

pub(crate) const ROOM_INFO: &str = "teams_rooms_room_info";
pub(crate) const STATE: &str = "teams_rooms_room_state";
const VOTE: &str = "teams_rooms_room_source_up";
const PROBLEM: &str = "teams_rooms_room_problem";
const IN_USE: &str = "teams_rooms_room_in_use";
const UP: &str = "teams_rooms_up{tenant=\"contoso\"}";

/// All sources, and something more.
pub(crate) fn configured(
    more: impl FnOnce(&mut Config) + Send + 'static,
) -> Box<dyn FnOnce(&mut Config) + Send> {
    Box::new(|config| {
        every_source(config);
        more(config);
    })
}

/// Time passes, and every source is asked again; what was under way is over.
pub(crate) async fn pass(exporter: &Exporter, by: Duration, sources: &[&str]) -> Scrape {
    let mut last = Scrape::default();
    for by in [by, Duration::from_secs(1), Duration::from_secs(1)] {
        exporter.sim.advance(by);
        let now = exporter.sim.now().as_second();
        last = exporter
            .wait_until(format!("an attempt of {sources:?}"), |scrape| {
                sources.iter().all(|source| {
                    let at = scrape.collector("last_attempt_timestamp_seconds", exporter.tenant, source);
                    at.is_some_and(|at| seconds(at) >= now)
                })
            })
            .await;
    }
    last
}

pub(crate) const ALL: &[&str] = &[
    "devices",
    "device_health",
    "presence",
    "places",
    "calendar",
    "accounts",
    "intune",
    "service_health",
    "credentials",
];

pub(crate) fn of_room(room: &RoomFacts) -> String {
    format!("room_id=\"{}\"", room.upn)
}

/// The one series of a room in a family, with this in its labels.
pub(crate) fn value<'s>(
    scrape: &'s Scrape,
    family: &'s str,
    room: &RoomFacts,
    part: &str,
) -> Option<&'s str> {
    let mut found =
        scrape.family(family).filter(|(key, _)| key.contains(&of_room(room)) && key.contains(part));
    let value = found.next().map(|(_, value)| value);
    assert!(found.next().is_none(), "one series of {family} with {part}");
    value
}

pub(crate) fn vote<'s>(scrape: &'s Scrape, room: &RoomFacts, source: &str) -> Option<&'s str> {
    value(scrape, VOTE, room, &format!("source=\"{source}\""))
}

pub(crate) fn state<'s>(scrape: &'s Scrape, room: &RoomFacts) -> &'s str {
    let of_room = of_room(room);
    let mut states = scrape.family(STATE).filter(|(key, value)| key.contains(&of_room) && *value == "1");
    states.next().map_or("", |(key, _)| label(key, "state"))
}

pub(crate) fn has_problem(scrape: &Scrape, room: &RoomFacts, problem: &str) -> bool {
    value(scrape, PROBLEM, room, &format!("problem=\"{problem}\"")).is_some()
}

/// The info series of a room.
pub(crate) fn info<'s>(scrape: &'s Scrape, room_id: &str) -> &'s str {
    let wanted = format!("room_id=\"{room_id}\"");
    scrape.family(ROOM_INFO).map(|(key, _)| key).find(|key| key.contains(&wanted)).unwrap_or_default()
}

/// A room that is well, and of which both device and presence say so.
fn sound_room(exporter: &Exporter, scrape: &Scrape) -> RoomFacts {
    let is_sound = |room: &RoomFacts| {
        state(scrape, room) == "ok"
            && ["device", "presence"].iter().all(|source| vote(scrape, room, source) == Some("1"))
    };
    exporter.sim.rooms().into_iter().find(is_sound).expect("a sound room")
}

fn show(sim: &Sim, room: &RoomFacts, availability: &str, activity: &str) {
    sim.edit_room(&room.upn, json!({"presence": {"availability": availability, "activity": activity}}));
}

pub(crate) fn core_devices<'s>(scrape: &'s Scrape, room: &RoomFacts) -> Vec<&'s str> {
    let of_room = of_room(room);
    let info = scrape.family("teams_rooms_device_info").map(|(key, _)| key);
    let core = info.filter(|key| key.contains(&of_room) && key.contains("role=\"core\""));
    core.map(|key| label(key, "device_id")).collect()
}

/// The device is dead, whatever it has reported by now.
fn kill(sim: &Sim, device: &str) {
    let lost = json!({"device": {"healthStatus": "offline", "activityState": "unavailable"}, "health": {"connection": {"connectionStatus": "disconnected"}}});
    sim.edit(device, lost);
}

/// Long before the device reports it, the room is seen down; in the end both say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_is_ahead_of_a_lagging_device() {
    let settings = sim::Settings {
        rooms: 12,
        speed: 0.0,
        device_lag: Duration::from_mins(15),
        ..sim::Settings::default()
    };
    let sim = start_world(settings).await;
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    let room = sound_room(&exporter, &before);
    for device in core_devices(&before, &room) {
        kill(&exporter.sim, device);
    }
    let down = exporter.wait_until("down", |scrape| state(scrape, &room) == "down").await;
    assert_eq!((vote(&down, &room, "presence"), vote(&down, &room, "device")), (Some("0"), Some("1")));
    assert!(has_problem(&down, &room, "presence_offline"));
    pass(&exporter, Duration::from_mins(8), ALL).await;
    pass(&exporter, Duration::from_mins(8), ALL).await;
    let both = exporter.wait_until("both down", |scrape| vote(scrape, &room, "device") == Some("0")).await;
    assert_eq!((state(&both, &room), vote(&both, &room, "presence")), ("down", Some("0")));
    exporter.stop().await;
}

/// A device that still reports after half an hour is alive: the presence is wrong, and that is a problem of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_disagree_for_long() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    let room = sound_room(&exporter, &before);
    show(&exporter.sim, &room, "Offline", "Offline");
    let down = exporter.wait_until("down", |scrape| state(scrape, &room) == "down").await;
    assert_eq!((vote(&down, &room, "presence"), vote(&down, &room, "device")), (Some("0"), Some("1")));
    assert!(has_problem(&down, &room, "presence_offline"));
    for _ in 0..3 {
        let during = pass(&exporter, Duration::from_mins(9), ALL).await;
        assert_eq!(state(&during, &room), "down");
    }
    pass(&exporter, Duration::from_mins(4), ALL).await;
    let after = exporter.wait_until("believed", |scrape| state(scrape, &room) == "ok").await;
    assert!(
        has_problem(&after, &room, "sources_disagree") && !has_problem(&after, &room, "presence_offline")
    );
    assert_eq!(vote(&after, &room, "presence"), Some("0"), "the vote shows as it is");
    exporter.stop().await;
}

/// A call is use; a meeting in the calendar is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_is_a_call() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    let room = sound_room(&exporter, &before);
    for device in core_devices(&before, &room) {
        exporter.sim.edit(device, json!({"device": {"activityState": "idle"}}));
    }
    for (availability, activity, used) in [
        ("Busy", "InACall", "1"),
        ("Busy", "InAMeeting", "0"),
        ("Busy", "InAConferenceCall", "1"),
        ("Busy", "Busy", "0"),
        ("DoNotDisturb", "Presenting", "1"),
        ("Available", "Available", "0"),
    ] {
        show(&exporter.sim, &room, availability, activity);
        exporter
            .wait_until(format!("{activity} read as {used}"), |scrape| {
                value(scrape, IN_USE, &room, "") == Some(used)
            })
            .await;
        let steady = pass(&exporter, Duration::from_secs(1), ALL).await;
        assert_eq!(value(&steady, IN_USE, &room, ""), Some(used), "{activity}");
        assert_eq!(vote(&steady, &room, "presence"), Some("1"), "{activity}");
    }
    exporter.stop().await;
}

/// What an answer leaves out is absent, not offline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_that_is_missing_is_no_vote() {
    let exporter =
        Exporter::start(Scenario { faults: &["presence_missing:0.5"], ..Scenario::every_source() }).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(scrape.state("contoso", "presence"), "ok");
    let shown = scrape.total("teams_rooms_room_presence_state", &[]);
    let rooms = scrape.total(ROOM_INFO, &[]);
    assert!((1..rooms).contains(&shown), "{shown} of {rooms}");
    let votes = scrape.family(VOTE).filter(|(key, _)| key.contains("source=\"presence\"")).count();
    assert!(i64::try_from(votes).is_ok_and(|votes| (1..=shown).contains(&votes)), "{votes} votes");
    assert!(!scrape.text.contains("presence_offline"));
    assert_eq!(scrape.collector("items", "contoso", "presence").map(seconds), Some(shown));
    assert_eq!(scrape.collector("expected_items", "contoso", "presence").map(seconds), Some(rooms));
    exporter.stop().await;
}

/// A presence that answers for no account is a failure, and no room state depends on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presence_that_answers_for_nobody_is_empty() {
    let faults = &["presence_missing", "forbidden@device_list"];
    let exporter = Exporter::start(Scenario { faults, ..Scenario::every_source() }).await;
    for source in SOURCES.iter().filter(|source| **source != "presence") {
        exporter.wait_for_state(source, "ok").await;
    }
    let scrape = exporter.wait_for_state("presence", "empty").await;
    assert_eq!(scrape.value(UP), Some("0"));
    let gauge = |scrape: &Scrape, name| scrape.collector(name, "contoso", "presence");
    assert_eq!(gauge(&scrape, "success"), Some(0.0));
    assert_eq!(gauge(&scrape, "last_success_timestamp_seconds"), None);

    exporter.sim.set_faults(parse(&["forbidden@device_list"]));
    exporter.wait_until("a presence", |scrape| scrape.value(UP) == Some("1")).await;
    exporter.sim.set_faults(parse(&["empty@presence", "forbidden@device_list"]));
    let empty = exporter.wait_for_state("presence", "empty").await;
    assert!(gauge(&empty, "items") > Some(0.0) && empty.value(UP) == Some("1"), "what was read is served");
    exporter.sim.advance(Duration::from_mins(16));
    exporter.wait_until("it has expired", |scrape| scrape.value(UP) == Some("0")).await;
    exporter.stop().await;
}

/// A console or panel that lives beside a dead room device keeps the account online, and hides nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_panel_hides_no_dead_room() {
    let exporter =
        Exporter::start(Scenario { faults: &["presence_masked"], ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    let has_companion = |room: &RoomFacts| {
        let companions = before.family("teams_rooms_device_info").filter(|(key, _)| {
            key.contains(&of_room(room))
                && (key.contains("role=\"panel\"") || key.contains("role=\"console\""))
        });
        companions.count() > 0 && vote(&before, room, "device") == Some("1")
    };
    let room = exporter.sim.rooms().into_iter().find(has_companion).expect("a room with a companion");
    for device in core_devices(&before, &room) {
        kill(&exporter.sim, device);
    }
    exporter.wait_until("down", |scrape| state(scrape, &room) == "down").await;
    let down = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!((state(&down, &room), vote(&down, &room, "device")), ("down", Some("0")));
    let offline = value(&down, "teams_rooms_room_presence_state", &room, "state=\"offline\"");
    assert_eq!((offline, vote(&down, &room, "presence")), (Some("0"), None), "online by its companion");
    exporter.stop().await;
}

/// Where a room is stands on the room and on each of its devices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_say_where_rooms_and_devices_are() {
    let exporter = Exporter::start(Scenario { rooms: 20, ..Scenario::every_source() }).await;
    let scrape = exporter.wait_for_every_source().await;
    let mut placed = 0;
    for room in exporter.sim.rooms() {
        let info = info(&scrape, &room.upn);
        if label(info, "building").is_empty() {
            continue; // hidden, or somebody forgot
        }
        placed += 1;
        assert_eq!(
            (label(info, "building"), label(info, "room")),
            (room.building.as_str(), room.name.as_str())
        );
        assert!(
            ["floor", "city", "country", "place_id"].iter().all(|name| !label(info, name).is_empty()),
            "{info}"
        );
        let latitude = value(&scrape, "teams_rooms_room_latitude_degrees", &room, "");
        let longitude = value(&scrape, "teams_rooms_room_longitude_degrees", &room, "");
        assert_eq!(latitude.is_some(), longitude.is_some());
        for device in &room.device_ids {
            let device = format!("device_id=\"{device}\"");
            let mut infos = scrape.family("teams_rooms_device_info").filter(|(key, _)| key.contains(&device));
            let (key, _) = infos.next().expect("listed");
            if label(key, "room_id") == room.upn {
                assert_eq!(label(key, "building"), room.building);
                assert_eq!(label(key, "floor"), label(info, "floor"));
            }
        }
    }
    assert!(placed > 12, "{placed}");
    for family in ["teams_rooms_room_capacity", "teams_rooms_room_latitude_degrees"] {
        assert!(scrape.count(family) > 12, "{family}");
    }
    // One mailbox has no device.
    let unknown =
        scrape.family(STATE).filter(|(key, value)| *value == "1" && label(key, "state") == "unknown");
    assert!(
        unknown.map(|(key, _)| label(key, "room_id")).any(|id| exporter
            .sim
            .rooms()
            .iter()
            .all(|room| room.upn != id))
    );
    exporter.stop().await;
}

/// Nothing but places, of a tenant with more rooms than a page has.
async fn places_alone(faults: &'static [&'static str]) -> (BTreeSet<String>, [Option<f64>; 2]) {
    let configure = configured(|config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.collectors.devices.enabled = Enabled::No;
            tenant.collectors.accounts.enabled = Enabled::No;
        }
    });
    let exporter = Exporter::start(Scenario { rooms: 130, faults, configure, ..Scenario::default() }).await;
    exporter.wait_for_state("places", "ok").await;
    let scrape = pass(&exporter, Duration::from_secs(1), &["presence", "places"]).await;
    assert_eq!(scrape.state("contoso", "devices"), "disabled");
    assert_eq!(scrape.total(STATE, &["state=\"unknown\""]), scrape.total(ROOM_INFO, &[]));
    let rooms = scrape.keys(ROOM_INFO).into_iter().map(str::to_owned).collect();
    let numbers = ["items", "expected_items"].map(|gauge| scrape.collector(gauge, "contoso", "places"));
    exporter.stop().await;
    (rooms, numbers)
}

/// However Graph breaks the list into pages, every room comes, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_places() {
    let faults: [&'static [&'static str]; 6] = [
        &[],
        &["places_nextlink"],
        &["duplicate_places"],
        &["places_nextlink", "duplicate_places"],
        &["page_count"],
        &["page_count", "places_nextlink"],
    ];
    let runs: Vec<_> = faults.map(|faults| spawn(places_alone(faults))).into();
    let mut found = Vec::new();
    for run in runs {
        found.push(run.await.expect("read"));
    }
    let (rooms, [items, expected]) = &found[0];
    assert!((128..=136).contains(&rooms.len()), "{}", rooms.len());
    assert_eq!(items.map(seconds), i64::try_from(rooms.len()).ok());
    assert_eq!(items, expected);
    for (faults, (others, [held, counted])) in faults.iter().zip(&found) {
        assert_eq!((others, held), (rooms, items), "{faults:?}: {} rooms", others.len());
        // The count of a page is no number of rooms.
        let is_total = !faults.contains(&"page_count");
        assert_eq!(*counted, expected.filter(|_| is_total), "{faults:?}");
    }
}

/// Rooms by the city that places says of them.
fn rooms_by_city(scrape: &Scrape) -> BTreeMap<String, BTreeSet<String>> {
    let mut cities: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, _) in scrape.family(ROOM_INFO) {
        cities.entry(label(key, "city").to_owned()).or_default().insert(label(key, "room_id").to_owned());
    }
    cities
}

/// With room lists only their rooms are rooms; lists overlap, and none is read short for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_lists_tell_what_a_room_is() {
    let lists =
        ["rooms-berlin@contoso.example", "rooms-board@contoso.example", "rooms-berlin@contoso.example"];
    let configure = configured(move |config| config.tenants[0].room_lists = lists.map(str::to_owned).into());
    let exporter = Exporter::start(Scenario { rooms: 40, configure, ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let cities = rooms_by_city(&scrape);
    assert!(cities["Berlin"].len() > 3, "{cities:?}");
    let items = scrape.collector("items", "contoso", "places");
    assert_eq!(items, scrape.collector("expected_items", "contoso", "places"));
    assert_eq!(items.map(seconds), i64::try_from(scrape.count(ROOM_INFO)).ok());
    let large = |key: &&str| {
        scrape.family("teams_rooms_room_capacity").any(|(other, value)| {
            label(other, "room_id") == label(key, "room_id")
                && value.parse().is_ok_and(|seats: f64| seats >= 16.0)
        })
    };
    let elsewhere = scrape.keys(ROOM_INFO).into_iter().filter(|key| label(key, "city") != "Berlin");
    assert!(elsewhere.into_iter().all(|key| large(&key)), "{cities:?}");
    assert!(scrape.sum("teams_rooms_device_info", &["room=\"\"", "role=\"core\""]) > 0.0);
    exporter.stop().await;
}

/// A distribution list among the room lists is explained, and no room is lost for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distribution_list_is_no_room_list() {
    for (tenant, lists, state) in [
        ("one-list", &["everyone@contoso.example"][..], "malformed"),
        ("two-lists", &["rooms-berlin@contoso.example", "everyone@contoso.example"][..], "partial"),
    ] {
        let configure = configured(move |config| {
            config.tenants[0].room_lists = lists.iter().map(|list| (*list).to_owned()).collect();
        });
        let exporter = Exporter::start(Scenario { tenant, configure, ..Scenario::default() }).await;
        exporter.wait_for_everything().await;
        exporter.wait_for_state("places", state).await;
        let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
        for room in exporter.sim.rooms() {
            assert_eq!(label(info(&scrape, &room.upn), "room"), room.name);
        }
        let log = exporter.log();
        let explained = |line: &&String| {
            line.contains("Set-DistributionGroup") && line.contains("everyone@contoso.example")
        };
        assert!(log.iter().any(|line| explained(&line)), "{log:#?}");
        exporter.stop().await;
    }
}

/// The rooms file wins over places, and is read again when it changes; a bad one changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rooms_file_knows_better() {
    let sim = start_tenant(12, &[]).await;
    let rooms = sim.rooms();
    let (named, hidden) = (&rooms[0], &rooms[1]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rooms.csv");
    // At once, as an editor saves: the exporter must not find half a file.
    let write = |text: String| {
        let new = path.with_extension("new");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, &path).expect("renamed");
    };
    let table = |building: &str, exclude: &str| {
        format!(
            "email,building,owner,tier,exclude\n{},{building},facilities,gold,\n{},,,,{exclude}\nnew@contoso.example,{building},,,\n",
            named.upn, hidden.upn
        )
    };
    write(table("HQ", "true"));
    let file = path.clone();
    let configure = configured(move |config| config.tenants[0].rooms_file = Some(file));
    let exporter =
        Exporter::start(Scenario { tenant: "filed", sim: Some(sim), configure, ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let found = info(&scrape, &named.upn);
    assert_eq!(
        ["building", "owner", "tier", "room"].map(|name| label(found, name)),
        ["HQ", "facilities", "gold", &named.name]
    );
    assert!(!label(found, "floor").is_empty(), "what the file leaves empty places tell: {found}");
    assert_eq!(label(info(&scrape, "new@contoso.example"), "building"), "HQ");
    for text in [&scrape.text, &exporter.get("/").await.1] {
        assert!(!text.contains(&hidden.upn) && !text.contains(&format!("\"{}\"", hidden.name)));
    }
    let asked = scrape.collector("expected_items", "filed", "presence").map(seconds);
    let rooms = i64::try_from(scrape.count(ROOM_INFO)).ok();
    assert_eq!(asked.map(|asked| asked + 1), rooms, "of a new room no account is known");

    write(table("HQ 2", ""));
    let changed = exporter
        .wait_until("the new file", |scrape| label(info(scrape, &named.upn), "building") == "HQ 2")
        .await;
    assert!(!info(&changed, &hidden.upn).is_empty(), "excluded no more");

    write("email,bulding\nx@y.example,1\n".to_owned());
    let told = |line: &String| line.contains("the rooms file is not read");
    exporter.wait_until("a complaint", |_| exporter.log().iter().any(told)).await;
    let kept = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(label(info(&kept, &named.upn), "building"), "HQ 2");
    exporter.wait_for_line(&["the rooms file is not read", "bulding"]).await;

    write(table("HQ 3", ""));
    exporter
        .wait_until("the mended file", |scrape| label(info(scrape, &named.upn), "building") == "HQ 3")
        .await;
    assert_eq!(exporter.log().iter().filter(|line| told(line)).count(), 1, "told once, not at each look");
    exporter.stop().await;
}

fn site(name: &str, building: &str, zone: &str) -> Site {
    let building = vec![Glob::parse(building).expect("a pattern")];
    let zone = site::zone(zone).expect("a time zone");
    let hours = Hours::parse("Mon-Fri 07:00-20:00").expect("hours");
    let owner = Some(format!("{name} desk").as_str().into());
    Site::new(name, owner, Match { building, email: Vec::new() }, zone, hours, &Hours::default())
}

/// Sites say who cares for a room and when; each in its own time zone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_have_owners_and_hours() {
    let configure = configured(|config| {
        config.tenants[0].sites =
            vec![site("berlin", "BER*", "Europe/Berlin"), site("anchorage", "OSL*", "America/Anchorage")];
    });
    let exporter = Exporter::start(Scenario { rooms: 20, configure, ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    // Friday 08:00 UTC, then twelve hours later: 09:00 and 21:00 in Berlin, 23:00 and 11:00 in Anchorage.
    for (open, wait) in [("berlin", 0), ("anchorage", 12)] {
        let scrape = pass(&exporter, Duration::from_hours(wait), ALL).await;
        let mut sites: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, _) in scrape.family(ROOM_INFO) {
            let name = label(key, "site");
            *sites.entry(name).or_default() += 1;
            let owner = if name.is_empty() { String::new() } else { format!("{name} desk") };
            assert_eq!(label(key, "owner"), owner);
            let room_id = format!("room_id=\"{}\"", label(key, "room_id"));
            let in_service = scrape.total("teams_rooms_room_in_service", &[&room_id]);
            assert_eq!(in_service, i64::from(name.is_empty() || name == open), "{key}");
        }
        assert!(["berlin", "anchorage", ""].iter().all(|name| sites.contains_key(name)), "{sites:?}");
        let devices = scrape.keys("teams_rooms_device_info");
        assert!(
            devices.iter().any(|key| label(key, "site") == "berlin" && label(key, "owner") == "berlin desk")
        );
    }
    exporter.stop().await;
}

async fn check_without_devices(faults: &'static [&'static str], expected: &'static str) {
    let exporter = Exporter::start(Scenario { rooms: 20, ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    exporter.sim.set_faults(parse(faults));
    exporter.wait_for_state("devices", expected).await;
    for _ in 0..4 {
        pass(&exporter, Duration::from_mins(10), &SOURCES).await;
    }
    let after = exporter.wait_until("no device", |scrape| scrape.count("teams_rooms_device_info") == 0).await;
    let names = |scrape: &Scrape| -> BTreeSet<(String, String, String)> {
        let of = |key: &str, name| label(key, name).to_owned();
        scrape
            .keys(ROOM_INFO)
            .into_iter()
            .map(|key| (of(key, "room_id"), of(key, "room"), of(key, "building")))
            .collect()
    };
    let (known, left) = (names(&before), names(&after));
    assert!(left.is_subset(&known), "{faults:?}");
    let placed = known.iter().filter(|(_, _, building)| !building.is_empty());
    assert!(placed.clone().all(|room| left.contains(room)), "{faults:?}");
    assert!(left.len() > 15, "{faults:?}: {}", left.len());
    let (mut judged, presence) = (0, after.keys("teams_rooms_room_presence_state"));
    for room in exporter.sim.rooms() {
        let has_presence = presence.iter().any(|key| key.contains(&of_room(&room)));
        let is_known = left.iter().any(|(id, ..)| *id == room.upn);
        if is_known
            && has_presence
            && value(&after, "teams_rooms_room_presence_state", &room, "state=\"offline\"") == Some("0")
        {
            let ailing = after.total(PROBLEM, &[&of_room(&room), "area=\"account\""]) > 0;
            assert_eq!(
                (state(&after, &room), vote(&after, &room, "presence")),
                (if ailing { "degraded" } else { "ok" }, Some("1")),
                "{faults:?}"
            );
            judged += 1;
        }
    }
    assert!(judged > 10, "{faults:?}: {judged}");
    assert_eq!(after.total("teams_rooms_up", &["tenant=\"contoso\""]), 1, "{faults:?}");
    exporter.stop().await;
}

/// When the device API is gone, rooms keep their names, their places and a state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_without_the_device_api() {
    // The state at first, and that of a source that has never answered.
    let cases: [(&'static [&'static str], [&'static str; 2]); 4] = [
        (&["retired=404"], ["unreachable", "retired"]),
        (&["retired=410"], ["unreachable", "retired"]),
        (&["forbidden@devices"], ["forbidden"; 2]),
        (&["empty@devices"], ["empty"; 2]),
    ];
    for case in cases.map(|(faults, [state, _])| spawn(check_without_devices(faults, state))) {
        case.await.expect("the case passes");
    }
    for case in cases.map(|(faults, [_, state])| spawn(check_never_any_device(faults, state))) {
        case.await.expect("the case passes");
    }
}

/// From the first start on there is no device: accounts and places find the rooms, and the presence judges them.
async fn check_never_any_device(faults: &'static [&'static str], expected: &'static str) {
    let exporter = Exporter::start(Scenario { rooms: 60, faults, ..Scenario::every_source() }).await;
    exporter.wait_for_state("devices", expected).await;
    for source in SOURCES {
        exporter.wait_for_state(source, "ok").await;
    }
    let scrape = pass(&exporter, Duration::from_secs(1), &SOURCES).await;
    assert_eq!(scrape.count("teams_rooms_device_info"), 0);
    let (mut placed, mut judged) = (0, 0);
    for room in exporter.sim.rooms() {
        let mut of_name = scrape.family(ROOM_INFO).filter(|(key, _)| label(key, "room") == room.name);
        let (info, _) = of_name.next().unwrap_or_default();
        assert!(!info.is_empty() && of_name.next().is_none(), "{faults:?}: {} is there once", room.name);
        placed += usize::from(label(info, "building") == room.building);
        let id = format!("room_id=\"{}\"", label(info, "room_id"));
        let online = scrape.total("teams_rooms_room_presence_state", &[&id])
            - scrape.total("teams_rooms_room_presence_state", &[&id, "state=\"offline\""]);
        if online == 1 {
            assert_eq!(scrape.total(VOTE, &[&id, "source=\"presence\""]), 1, "{faults:?}: {id}");
            assert_eq!(scrape.total("teams_rooms_room_up", &[&id]), 1, "{faults:?}: {id}");
            judged += 1;
        }
    }
    assert!(placed >= 55 && judged >= 50, "{faults:?}: {placed} placed, {judged} judged");
    let booked = scrape.count("teams_rooms_room_booked");
    assert!(booked >= 55, "{faults:?}: of {booked} rooms it is known whether they are booked");
    assert_eq!(scrape.total("teams_rooms_up", &["tenant=\"contoso\""]), 1, "{faults:?}");
    exporter.stop().await;
}

/// What has nothing in it where something was is doubted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_places_take_no_room_away() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    exporter.sim.set_faults(parse(&["empty@places"]));
    let during = exporter.wait_for_state("places", "empty").await;
    assert_eq!(before.keys(ROOM_INFO), during.keys(ROOM_INFO));
    assert_eq!(
        during.collector("items", "contoso", "places"),
        before.collector("items", "contoso", "places")
    );
    exporter.stop().await;
}

/// In the Chinese cloud there is no presence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_without_presence() {
    let exporter = Exporter::start(Scenario { faults: &["china"], ..Scenario::every_source() }).await;
    exporter.wait_for_everything().await;
    let scrape = exporter.wait_for_state("presence", "retired").await;
    assert_eq!(scrape.count("teams_rooms_room_presence_state"), 0);
    exporter.wait_for_state("places", "ok").await;
    exporter.wait_for_state("service_health", "ok").await;
    exporter.stop().await;
}

/// Microsoft's own trouble shows, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_at_microsoft() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let states = |scrape: &Scrape, state: &str| {
        let state = format!("state=\"{state}\"");
        ["teams", "exchange"].map(|product| {
            scrape.total("teams_rooms_service_health_state", &[&format!("product=\"{product}\""), &state])
        })
    };
    let issues = |scrape: &Scrape, classification: &str| {
        scrape.total(
            "teams_rooms_service_issues",
            &["product=\"teams\"", &format!("classification=\"{classification}\"")],
        )
    };
    let calm = |scrape: &Scrape| {
        states(scrape, "operational") == [1, 1]
            && issues(scrape, "incident") + issues(scrape, "advisory") == 0
    };
    exporter.wait_until("calm", calm).await;
    for (fault, classification) in [("teams_incident", "incident"), ("teams_advisory", "advisory")] {
        exporter.sim.set_faults(parse(&[fault]));
        let is_trouble = |scrape: &Scrape| {
            (states(scrape, "operational"), states(scrape, "degraded")) == ([0, 1], [1, 0])
                && issues(scrape, classification) == 1
        };
        let trouble = exporter.wait_until(fault, is_trouble).await;
        assert_eq!(trouble.count("teams_rooms_service_issues"), 4);
        exporter.sim.set_faults(Vec::new());
        exporter.wait_until("calm again", calm).await;
    }
    exporter.stop().await;
}

/// What may be left out and is not permitted is off, until it is permitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_permitted_is_off() {
    let devices = "TeamworkDevice.Read.All";
    let settings = sim::Settings {
        rooms: 12,
        speed: 0.0,
        roles: Some(vec![devices.to_owned()]),
        ..sim::Settings::default()
    };
    let sim = start_world(settings).await;
    let configure = configured(|config| {
        for source in standing(&mut config.tenants[0].collectors) {
            source.enabled = Enabled::Auto;
        }
    });
    let exporter = Exporter::start(Scenario { sim: Some(sim), configure, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    for source in SOURCES {
        let scrape = exporter.wait_for_state(source, "disabled").await;
        assert_eq!(scrape.count(ROOM_INFO), 12);
    }
    let needed = Collector::ALL.iter().flat_map(|collector| collector.facts().permissions);
    exporter.sim.set_roles(&needed.copied().collect::<Vec<_>>());
    for source in SOURCES {
        exporter.wait_for_state(source, "ok").await;
    }
    exporter.stop().await;
}

/// Nothing that people write of themselves or into calendars, nor who they are, leaves the parser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_s_words_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage_path = Some(folder.path().to_owned());
    let exporter =
        Exporter::start(Scenario { tenant: "private", storage_path, ..Scenario::every_source() }).await;
    let room = exporter.sim.rooms().swap_remove(0);
    let secret = "Zaphod Beeblebrox left early";
    let texts: Value = json!({
        "statusMessage": {"message": {"content": secret}}, "outOfOfficeSettings": {"message": secret},
        "workLocation": secret,
    });
    let at = |time: &str| json!({"dateTime": format!("2026-11-20T{time}"), "timeZone": "UTC"});
    let entry = json!({"status": "busy", "subject": secret, "location": secret, "isPrivate": true, "start": at("07:00:00"), "end": at("09:00:00")});
    let unreadable = json!({"status": "busy", "subject": secret, "start": at(secret), "end": {"dateTime": secret, "timeZone": secret}});
    exporter.sim.edit_room(
        &room.upn,
        json!({
            "presence": texts,
            "place": {"audioDeviceName": secret, "phone": secret},
            "schedule": {"scheduleItems": [entry, unreadable]},
        }),
    );
    exporter.wait_for_every_source().await;
    pass(&exporter, Duration::from_secs(1), ALL).await;
    let page = exporter.get("/").await.1;
    let metrics = exporter.get("/metrics").await.1;
    let rooms = exporter.get("/api/v1/rooms").await.1;
    let sim = exporter.stop().await;
    let kept = std::fs::read_to_string(folder.path().join("private.json")).expect("kept");
    let texts = [("page", page), ("metrics", metrics), ("rooms", rooms), ("storage", kept), ("log", log())];
    for (what, text) in texts {
        for word in [
            sim.admin(), // in `lastModifiedBy` of devices
            "Zaphod",
            "5550123",
            "In urgent cases",
            "Ask ",
            "Mustermann",
            "Nordmann",
            "Platzhalter",
            "LAPTOP-",
            "MTR-",
        ] {
            assert!(!text.contains(word), "{word:?} in the {what}");
        }
    }
}

/// A room that only places know survives a restart with its name, though places fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_remembers_places_and_presence() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario =
        || Scenario { rooms: 20, storage_path: Some(folder.path().to_owned()), ..Scenario::every_source() };
    let exporter = Exporter::start(scenario()).await;
    exporter.wait_for_every_source().await;
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    let devices = before.keys("teams_rooms_device_info");
    let bare = before
        .keys(ROOM_INFO)
        .into_iter()
        .filter(|key| devices.iter().all(|device| label(device, "room_id") != label(key, "room_id")));
    assert!(bare.count() > 0, "a room without devices");
    let sim = exporter.stop().await;
    sim.set_faults(parse(&["error503"]));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    let after = exporter.wait_for_state("places", "unreachable").await;
    assert_eq!(before.keys(ROOM_INFO), after.keys(ROOM_INFO));
    for family in [STATE, VOTE, "teams_rooms_room_presence_state"] {
        assert_eq!(before.family(family).collect::<Vec<_>>(), after.family(family).collect::<Vec<_>>());
    }
    exporter.stop().await;
}

/// A first listing of places that breaks off says of no room that it is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_listing_of_places_disowns_no_room() {
    let faults = &["broken_page@places"];
    let exporter = Exporter::start(Scenario { rooms: 130, faults, ..Scenario::every_source() }).await;
    exporter.wait_for_everything().await;
    exporter.wait_for_state("places", "partial").await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let items = scrape.collector("items", "contoso", "places").map_or(0, seconds);
    assert!((50..100).contains(&items), "the page that came is used: {items}");
    let mut placed = 0;
    for room in exporter.sim.rooms() {
        let core = core_devices(&scrape, &room);
        placed += usize::from(!label(info(&scrape, &room.upn), "building").is_empty());
        assert!(!info(&scrape, &room.upn).is_empty() || core.is_empty(), "{}", room.upn);
    }
    assert!((50..100).contains(&placed), "{placed}");
    assert!(scrape.count(ROOM_INFO) >= 125, "{}", scrape.count(ROOM_INFO));
    exporter.stop().await;
}

/// A list that brings fewer records than Graph counts is used, and takes nothing away.
async fn check_short(source: &'static str, faults: &'static [&'static str], rooms: usize) {
    let exporter = Exporter::start(Scenario { rooms, ..Scenario::every_source() }).await;
    exporter.wait_for_every_source().await;
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    let gauge = |scrape: &Scrape, name| scrape.collector(name, "contoso", source).map_or(0, seconds);
    assert_eq!((before.state("contoso", source), gauge(&before, "missing_items")), ("ok", 0), "{source}");
    exporter.sim.set_faults(parse(faults));
    exporter.wait_for_state(source, "partial").await;
    let mut during = Scrape::default();
    for _ in 0..4 {
        during = pass(&exporter, Duration::from_secs(1), ALL).await;
    }
    assert_eq!(during.state("contoso", source), "partial", "{faults:?}");
    assert_eq!(during.collector("success", "contoso", source), Some(1.0));
    assert!(gauge(&during, "missing_items") > 0, "{faults:?}");
    for name in ["items", "held_items"] {
        assert_eq!(gauge(&during, name), gauge(&before, name), "{faults:?}: {name}");
    }
    let expected = |scrape: &Scrape| scrape.collector("expected_items", "contoso", source).map(seconds);
    match (expected(&before), expected(&during)) {
        (None, None) => assert_eq!(faults, ["short@licenses=99"], "users are not counted"),
        (None, now) => assert!(now > Some(gauge(&during, "missing_items")), "{faults:?}"),
        (then, now) => assert_eq!(now, then, "{faults:?}: what Graph counts has not changed"),
    }
    for family in [
        ROOM_INFO,
        "teams_rooms_device_info",
        "teams_rooms_intune_info",
        "teams_rooms_account_enabled",
        "teams_rooms_license_units",
    ] {
        assert!(before.count(family) > 0);
        assert_eq!(during.keys(family), before.keys(family), "{faults:?}");
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_lists_take_nothing_away() {
    let cases: [(&str, &'static [&'static str], usize); 7] = [
        ("places", &["short@places"], 130),
        ("places", &["ignore_skip@places"], 130),
        ("places", &["short@places=60", "places_nextlink"], 130),
        ("devices", &["short@device_list"], 12),
        ("accounts", &["short@users"], 12),
        ("accounts", &["short@licenses=99"], 12),
        ("intune", &["short@intune=1"], 12),
    ];
    for case in cases.map(|(source, faults, rooms)| spawn(check_short(source, faults, rooms))) {
        case.await.expect("the case passes");
    }
}

/// From the first start on a list of places is short: no room is disowned for it, and the number of Graph shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_listing_of_places_disowns_no_room() {
    let faults = &["ignore_skip@places"];
    let exporter = Exporter::start(Scenario { rooms: 180, faults, ..Scenario::every_source() }).await;
    exporter.wait_for_everything().await;
    exporter.wait_for_state("places", "partial").await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let numbers = ["items", "missing_items", "expected_items"]
        .map(|gauge| scrape.collector(gauge, "contoso", "places").map_or(0, seconds));
    assert_eq!((numbers[0], numbers[0] + numbers[1]), (100, numbers[2]));
    assert!((175..190).contains(&numbers[2]), "{numbers:?}");
    for room in exporter.sim.rooms() {
        let core = core_devices(&scrape, &room);
        assert!(!info(&scrape, &room.upn).is_empty() || core.is_empty(), "{}", room.upn);
    }
    exporter.stop().await;
}
