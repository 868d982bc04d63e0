//! What the world is like: repeatable, moving, in documented values, and with something wrong in it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{DEVICES, Tenant, documented};
use crate::sim::world::{
    Activity, Condition, DEVICE_TYPES, Device, DeviceType, Health, Link, LinkStatus, Part, World,
};
use crate::sim::{Profile, Settings};

const HOUR: i64 = 3_600_000;

fn world(rooms: usize) -> World {
    World::new(1, rooms, Settings::default().start)
}

fn devices(world: &World) -> Vec<Device> {
    world.entries().iter().map(|entry| world.device(entry)).collect()
}

fn start() -> i64 {
    Settings::default().start.as_millisecond()
}

#[tokio::test]
async fn the_same_seed_and_time_give_the_same_json_and_time_moves_it() {
    let (one, two) = (Tenant::new().await, Tenant::new().await);
    let other = Tenant::with(Settings { seed: 2, ..documented() }).await;
    let text = |rows: &[Value]| json!(rows).to_string();
    let before = one.list("?$top=50").await;
    assert_eq!(text(&before), text(&two.list("?$top=50").await));
    assert_ne!(text(&before), text(&other.list("?$top=50").await));
    one.sim.advance(Duration::from_hours(2));
    let after = one.list("?$top=50").await;
    assert_ne!(text(&before), text(&after));
    assert_eq!(text(&after), text(&one.list("?$top=50").await));
    two.sim.advance(Duration::from_hours(2));
    assert_eq!(text(&after), text(&two.list("?$top=50").await));
}

#[tokio::test]
async fn every_enum_value_is_documented() {
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    for turn in 0..6 {
        let profile = if turn % 2 == 0 { Profile::Documented } else { Profile::Real };
        let tenant = Tenant::with(Settings { profile, ..documented() }).await;
        tenant.sim.advance(turn * Duration::from_mins(5 * 60 + 17));
        for id in tenant.sim.devices() {
            for document in ["", "/health", "/activity", "/configuration", "/operations"] {
                collect(&tenant.get(&format!("{DEVICES}/{id}{document}")).await.json(), &mut seen);
            }
        }
    }
    let documented: [(&str, &[&str]); 8] = [
        ("deviceType", &DEVICE_TYPES),
        ("healthStatus", &["unknown", "offline", "critical", "nonUrgent", "healthy"]),
        ("activityState", &["unknown", "busy", "idle", "unavailable"]),
        ("connectionStatus", &["unknown", "connected", "disconnected"]),
        ("softwareFreshness", &["unknown", "latest", "updateAvailable"]),
        ("userIdentityType", &["aadUser"]),
        ("operationType", &["deviceRestart"]),
        ("supportedClient", &["teamsOnly"]),
    ];
    for (member, values) in documented {
        let seen = seen.get(member).unwrap_or_else(|| panic!("{member} is never given"));
        assert!(seen.iter().all(|value| values.contains(&value.as_str())), "{member}: {seen:?}");
    }
}

/// All texts by the name of their member.
fn collect(value: &Value, seen: &mut HashMap<String, Vec<String>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, seen)),
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(text) = member.as_str() {
                    seen.entry(name.clone()).or_default().push(text.to_owned());
                }
                collect(member, seen);
            }
        }
        _ => {}
    }
}

/// Every connection of a device by a name.
fn links(condition: &Condition) -> Vec<(String, Link)> {
    let logins = [
        ("exchange", condition.logins.exchange),
        ("teams", condition.logins.teams),
        ("skype", condition.logins.skype),
    ];
    let logins = logins.into_iter().filter_map(|(name, link)| Some((name.to_owned(), link?)));
    let peripherals = condition.peripherals.iter().map(|found| (format!("{:?}", found.place), found.link));
    logins.chain(peripherals).chain([("connection".to_owned(), condition.connection)]).collect()
}

#[test]
fn beginnings_never_lie_ahead_and_hold_as_long_as_their_state() {
    let seeds = 1..4;
    let worlds = seeds.map(|seed| World::new(seed, 60, Settings::default().start));
    for device in worlds.flat_map(|world| devices(&world)) {
        let mut last: HashMap<String, Link> = HashMap::new();
        let mut changed = 0;
        for step in 0..400 {
            let now = start() + step * 37 * 60_000;
            let condition = Condition::of(&device, now);
            assert!(condition.changed <= now && condition.health_changed <= condition.changed);
            assert!(condition.changed >= changed, "the last change never goes back");
            changed = condition.changed;
            for (name, link) in links(&condition) {
                assert!(link.since <= condition.health_changed && link.since >= device.enrolled);
                if let Some(before) = last.insert(name.clone(), link) {
                    let same = before.status == link.status && before.since == link.since;
                    assert!(same || link.since > before.since, "{name}: {before:?} became {link:?}");
                }
            }
        }
    }
}

#[test]
fn health_follows_from_the_parts() {
    let mut seen = HashMap::new();
    for device in devices(&world(60)) {
        for step in 0..100 {
            let condition = Condition::of(&device, start() + step * 3 * HOUR);
            let gone = condition.connection.status == LinkStatus::Disconnected;
            let missed = condition
                .peripherals
                .iter()
                .any(|found| found.optional == Some(false) && found.link.status == LinkStatus::Disconnected);
            let pending = condition.software.iter().any(|status| status.available.is_some());
            let expected = match (gone, missed, pending) {
                (true, ..) => Health::Offline,
                (_, true, _) => Health::Critical,
                (.., true) => Health::NonUrgent,
                _ => Health::Healthy,
            };
            assert_eq!(condition.health(), expected);
            assert_eq!(condition.activity == Activity::Unavailable, gone);
            *seen.entry(format!("{expected:?}")).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// The core devices that have something wrong, with what it is.
fn troubled(world: &World, at: i64) -> Vec<(Health, bool)> {
    let cores = devices(world).into_iter().filter(|device| device.part == Part::Core);
    let conditions = cores.map(|device| Condition::of(&device, at));
    let lost = |condition: &Condition| {
        condition.logins.exchange.is_some_and(|link| link.status == LinkStatus::Disconnected)
    };
    let all = conditions.map(|condition| (condition.health(), lost(&condition)));
    all.filter(|(health, lost)| *health != Health::Healthy || *lost).collect()
}

#[test]
fn at_the_start_a_few_rooms_have_something_wrong() {
    let found = troubled(&world(60), start());
    let count = |health: Health| found.iter().filter(|(known, _)| *known == health).count();
    assert!((3..=9).contains(&found.len()), "{found:?}");
    assert!(count(Health::Offline) >= 1 && count(Health::Critical) >= 1 && count(Health::NonUrgent) >= 1);
    assert!(found.iter().any(|(_, exchange_lost)| *exchange_lost));
}

#[test]
fn most_rooms_are_fine_most_of_the_time() {
    let world = world(60);
    let samples = (1..60).map(|step| troubled(&world, start() + step * 11 * HOUR).len());
    let worst = samples.max().unwrap();
    assert!(worst < 40, "{worst} rooms of 60 were in trouble at once");
}

#[test]
fn a_third_of_office_hours_is_in_meetings_and_nothing_else_is() {
    let world = world(240);
    let cores: Vec<Device> = devices(&world).into_iter().filter(Device::meets).collect();
    let busy = |at: i64| {
        let busy = cores.iter().filter(|device| Condition::of(device, at).activity == Activity::Busy);
        f64::from(u32::try_from(busy.count()).unwrap()) / f64::from(u32::try_from(cores.len()).unwrap())
    };
    let day: f64 = (0..30).map(|step| busy(start() + 5 * HOUR + step * 5 * 60_000)).sum::<f64>() / 30.0;
    assert!((0.25..0.45).contains(&day), "{day}");
    let saturday = start() + 24 * HOUR;
    assert!(busy(saturday) < f64::EPSILON);
}

#[test]
fn the_fleet_is_mixed_as_fleets_are() {
    let world = world(600);
    let cores = |kind: DeviceType| {
        devices(&world).iter().filter(|device| device.part == Part::Core && device.kind == kind).count()
    };
    assert_eq!(
        [DeviceType::TeamsRoom, DeviceType::CollaborationBar, DeviceType::SurfaceHub].map(cores),
        [360, 210, 30]
    );
    let of = |kind: DeviceType| devices(&world).iter().filter(|device| device.kind == kind).count();
    assert!((200..280).contains(&of(DeviceType::TeamsPanel)));
    assert!((160..200).contains(&of(DeviceType::TouchConsole)));
    for kind in [DeviceType::IpPhone, DeviceType::TeamsDisplay, DeviceType::Sip] {
        assert!(of(kind) > 0);
    }
    for part in [Part::Second, Part::Replaced(true), Part::Replaced(false), Part::NeverSignedIn, Part::Bare] {
        assert!(devices(&world).iter().any(|device| device.part == part), "{part:?}");
    }
}

#[test]
fn a_replaced_device_is_long_gone() {
    for device in devices(&world(60)).iter().filter(|device| matches!(device.part, Part::Replaced(_))) {
        let condition = Condition::of(device, start());
        assert_eq!(condition.health(), Health::Offline);
        assert_eq!(condition.user.is_none(), device.part == Part::Replaced(true));
        assert!(start() - condition.changed > 14 * 24 * HOUR);
    }
}

#[test]
fn every_device_restarts_at_night_and_software_rolls_out() {
    let world = world(60);
    let restless = devices(&world).into_iter().filter(|device| !matches!(device.part, Part::Replaced(_)));
    for device in restless {
        let since = |day: i64| Condition::of(&device, start() + day * 24 * HOUR + 4 * HOUR).connection.since;
        assert!(since(1) > since(0), "{:?}", device.part);
    }
    let versions = |at: i64| {
        let clients = devices(&world).into_iter().filter(|device| device.kind == DeviceType::TeamsRoom);
        let mut found: Vec<String> = clients
            .map(|device| Condition::of(&device, at).software.last().unwrap().current.clone())
            .collect();
        found.sort();
        found.dedup();
        found
    };
    assert!(versions(start() + 4 * 24 * HOUR).len() >= 2, "a wave is under way");
    assert!(versions(start() + 40 * 24 * HOUR) != versions(start()));
}

#[tokio::test]
async fn ten_thousand_rooms_are_listed_quickly() {
    let tenant = Tenant::with(Settings { rooms: 10_000, ..documented() }).await;
    let started = std::time::Instant::now();
    let rows = tenant.list("?$top=50&$filter=deviceType%20eq%20'collaborationBar'").await;
    assert!(rows.len() > 3_400);
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 3 });
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}
