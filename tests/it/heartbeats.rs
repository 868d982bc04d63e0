//! Time stamps that are heartbeats: their cost, and the times that are shown in their place.

use std::time::Duration;

use serde_json::json;
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::sim::{self, Profile};

use crate::exporter::{Exporter, Scenario, Scrape, label, parse, seconds, start_world};

/// Longer than from one heartbeat to the next.
const BEAT: Duration = Duration::from_mins(10);

/// Has every detail read once in this time.
fn rotation(span: Duration) -> Box<dyn FnOnce(&mut Config) + Send> {
    Box::new(move |config| {
        for tenant in &mut config.tenants {
            tenant.collectors.device_health.rotation = span;
        }
    })
}

/// A tenant on a Saturday, when nothing happens but what the test does.
async fn start(profile: Profile, rooms: usize) -> Exporter {
    let start = "2026-11-21T12:00:00Z".parse().expect("a time");
    let sim =
        start_world(sim::Settings { rooms, speed: 0.0, start, profile, ..sim::Settings::default() }).await;
    for device in sim.devices() {
        sim.edit(&device, json!({"device": {"healthStatus": "healthy"}}));
    }
    // No detail is read for its age.
    let configure = rotation(Duration::from_hours(1000));
    let exporter = Exporter::start(Scenario { sim: Some(sim), configure, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter
}

/// The details that are read because every stamp has moved. Each cycle reads one more for its age, and has a batch.
async fn details_after_a_beat(exporter: &Exporter) -> usize {
    exporter.wait_for_attempts().await;
    exporter.sim.clear_requests();
    exporter.sim.advance(BEAT);
    exporter.wait_for_attempts().await;
    let requests = exporter.sim.requests();
    let details = requests.iter().filter(|request| request.operation.ends_with("/health")).count();
    let batches = requests.iter().filter(|request| request.operation == "/beta/$batch").count();
    details - batches
}

/// Every stamp moves, and no detail is read for that, once it is known. A change is seen at once all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beating_stamp_costs_nothing_once_it_is_known() {
    let exporter = start(Profile::Real, 60).await;
    let first = details_after_a_beat(&exporter).await;
    assert!(first > 20, "{first}: what the stamps mean is found out");
    // Of some types there are two or three devices only.
    for _ in 0..10 {
        details_after_a_beat(&exporter).await;
    }
    let devices = exporter.sim.devices().len();
    let last = details_after_a_beat(&exporter).await;
    assert!(last * 8 < devices, "{last} of {devices}");

    let scrape = exporter.scrape().await;
    let core = scrape.keys("teams_rooms_device_info").into_iter().find(|key| key.contains("role=\"core\""));
    let core = label(core.expect("a core device"), "device_id").to_owned();
    exporter.sim.edit(
        &core,
        json!({"device": {"healthStatus": "critical"}, "health": {"peripheralsHealth": {"roomCameraHealth": {
            "isOptional": false, "connection": {"connectionStatus": "disconnected"}}}}}),
    );
    let of_device = format!("device_id=\"{core}\"");
    exporter
        .wait_until("the camera lost", |scrape| {
            let mut cameras = scrape.family("teams_rooms_peripheral_connected");
            cameras
                .any(|(key, value)| key.contains(&of_device) && key.contains("room_camera") && value == "0")
        })
        .await;
    exporter.stop().await;
}

/// As documented the stamp moves with a change: then the detail is read in the next cycle, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_means_a_change_is_followed() {
    let exporter = start(Profile::Documented, 60).await;
    let quiet = details_after_a_beat(&exporter).await;
    assert!(quiet <= 10, "{quiet}");
    let scrape = exporter.scrape().await;
    let connected = scrape.family("teams_rooms_device_connected").find(|(_, value)| *value == "1");
    let device = label(connected.expect("a connected device").0, "device_id").to_owned();
    exporter.sim.edit(&device, json!({"health": {"connection": {"connectionStatus": "disconnected"}}}));
    let lost = format!("device_id=\"{device}\"");
    exporter
        .wait_until("disconnected", |scrape| {
            let mut connected = scrape.family("teams_rooms_device_connected");
            connected.any(|(key, value)| key.contains(&lost) && value == "0")
        })
        .await;
    exporter.stop().await;
}

/// The times of connections move while they keep their value: the exporter shows its own, once it has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_moves_while_its_value_stays_is_not_shown() {
    const LOGIN: &str = "teams_rooms_login_last_change_timestamp_seconds";
    let settings = sim::Settings {
        rooms: 30,
        speed: 0.0,
        start: "2026-11-21T12:00:00Z".parse().expect("a time"),
        faults: parse(&["beating_connections"]),
        ..sim::Settings::default()
    };
    // Every detail is read in every cycle.
    let configure = rotation(Duration::from_millis(100));
    let sim = Some(start_world(settings).await);
    let exporter = Exporter::start(Scenario { configure, sim, ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    assert!(before.count(LOGIN) > 30, "until it is known what the times mean");
    // Of the type that has most devices.
    let rooms: Vec<String> = before
        .keys("teams_rooms_device_info")
        .into_iter()
        .filter(|key| label(key, "device_type") == "teams_room")
        .map(|key| label(key, "device_id").to_owned())
        .collect();
    let connected = |scrape: &Scrape| -> Vec<String> {
        let logins = scrape.family("teams_rooms_login_connected").filter(|(_, value)| *value == "1");
        let logins = logins.filter(|(key, _)| rooms.iter().any(|id| label(key, "device_id") == id));
        logins.map(|(key, _)| key.replace("teams_rooms_login_connected", LOGIN)).collect()
    };
    let is_hidden = |scrape: &Scrape| {
        let connected = connected(scrape);
        !connected.is_empty() && connected.iter().all(|key| scrape.value(key).is_none())
    };
    // Hardly a reading sees the times where the last one saw them.
    for _ in 0..20 {
        exporter.sim.advance(BEAT);
        let now = exporter.now();
        let read = |scrape: &Scrape| {
            let at = scrape.collector("last_attempt_timestamp_seconds", exporter.tenant, "device_health");
            at.is_some_and(|at| seconds(at) >= now)
        };
        exporter.wait_until("the next reading", read).await;
    }
    let after = exporter.wait_until("no heartbeat shown", is_hidden).await;
    let series = connected(&after).into_iter().find(|key| label(key, "login") == "exchange");
    let device = label(&series.expect("a login"), "device_id").to_owned();
    let login = |status: &str| {
        let link = json!({"connectionStatus": status});
        exporter.sim.edit(&device, json!({"health": {"loginStatus": {"exchangeConnection": link}}}));
    };
    login("disconnected");
    let key = |scrape: &Scrape, family: &str| {
        let mut of_family = scrape.family(family);
        let found = of_family.find(|(key, _)| key.contains(&device) && key.contains("login=\"exchange\""));
        found.map(|(_, value)| value.to_owned())
    };
    exporter
        .wait_until("lost", |scrape| key(scrape, "teams_rooms_login_connected").as_deref() == Some("0"))
        .await;
    exporter.sim.advance(BEAT);
    login("connected");
    let back = exporter.now();
    let shown = |scrape: &Scrape| key(scrape, LOGIN).and_then(|at| at.parse::<i64>().ok());
    let scrape = exporter.wait_until("the exporter's own time", |scrape| shown(scrape) >= Some(back)).await;
    let first = shown(&scrape);
    exporter.sim.advance(BEAT);
    let later = exporter.wait_for_attempts().await;
    assert_eq!(shown(&later), first, "it stays");
    exporter.stop().await;
}
