//! Whole scrapes of named situations, in `tests/golden/`. `UPDATE_GOLDEN=1` writes them anew; the diff is for review.
//!
//! Values that no test can hold still (durations, process figures) are replaced by 0, those of the build by `~`.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::sim::{self, Profile, Webhook};

use crate::exporter::{Exporter, Scenario, Scrape, standing, start_world};

/// Families whose values depend on the machine or the moment.
pub(crate) const UNSTEADY: [&str; 13] = [
    "process_",
    "teams_rooms_collector_duration_seconds",
    "teams_rooms_collector_interval_seconds",
    "teams_rooms_collector_consecutive_failures",
    "teams_rooms_graph_",
    "teams_rooms_token_expiry_timestamp_seconds",
    "teams_rooms_unknown_values_total",
    "teams_rooms_exporter_http_requests_total",
    "teams_rooms_exporter_exposition_bytes",
    "teams_rooms_exporter_blocks_rendered_total",
    "teams_rooms_exporter_build_info",
    "teams_rooms_exporter_series",
    "teams_rooms_collector_skipped_items",
];

/// Left out: whether a change of state was seen depends on the moment at which the rooms were looked at before.
pub(crate) const LEFT_OUT: &str = "teams_rooms_room_state_since_timestamp_seconds";

/// Compares a scrape with the file at `path`, which begins at the root of the repository, or writes it.
#[track_caller]
pub(crate) fn compare(path: &str, text: &str) {
    assert!(
        text.lines().filter(|line| !line.starts_with('#')).count() < 2000,
        "promtool takes minutes on large files"
    );
    compare_text(path, &mask(text));
}

/// Compares a text with the file at `path`, or writes it.
#[track_caller]
pub(crate) fn compare_text(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, text).expect("written");
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    let differing = expected.lines().zip(text.lines()).find(|(expected, found)| expected != found);
    assert!(expected == text, "{path} differs, first at {differing:#?}; UPDATE_GOLDEN=1 writes it anew");
}

/// Replaces unsteady values by 0, so that the file still parses; labels stay.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines().filter(|line| !line.contains(LEFT_OUT)) {
        let unsteady = !line.starts_with('#') && UNSTEADY.iter().any(|prefix| line.starts_with(prefix));
        let build_info = line.starts_with("teams_rooms_exporter_build_info{");
        match line.rsplit_once(' ') {
            _ if build_info => masked.push_str("teams_rooms_exporter_build_info{version=\"~\",revision=\"~\",rustversion=\"~\",target=\"~\"} 1\n"),
            Some((series, _)) if unsteady => writeln!(masked, "{series} 0").expect("memory"),
            _ => writeln!(masked, "{line}").expect("memory"),
        }
    }
    masked
}

/// Both formats of what is exposed now.
async fn compare_both(name: &str, exporter: &Exporter) {
    let text = exporter.get("/metrics").await.1;
    let open_metrics = exporter.get_as("/metrics", "application/openmetrics-text;version=1.0.0").await;
    compare(&format!("tests/golden/{name}.prom"), &text);
    compare(&format!("tests/golden/{name}.om"), &open_metrics);
}

/// The first device of the tenant whose id follows the given one in the scrape's room order.
fn core_device(scrape: &Scrape, nth: usize) -> String {
    let core: Vec<_> = scrape
        .family("teams_rooms_device_info")
        .filter(|(series, _)| {
            series.contains("device_type=\"teams_room\"")
                && series.contains("room=\"")
                && !series.contains("room=\"\"")
        })
        .map(|(series, _)| label(series, "device_id"))
        .collect();
    core.get(nth).expect("enough rooms").clone()
}

fn label(series: &str, name: &str) -> String {
    let (_, rest) = series.split_once(&format!("{name}=\"")).expect("the label");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healthy() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    compare_both("healthy", &exporter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn degraded() {
    let exporter = Exporter::start(Scenario::default()).await;
    lose_a_camera(&exporter).await;
    compare_both("degraded", &exporter).await;
}

/// The first room loses its camera and its mailbox a minute ago.
pub(crate) async fn lose_a_camera(exporter: &Exporter) {
    let before = exporter.wait_for_everything().await;
    let device = core_device(&before, 0);
    let lost = json!({"connectionStatus": "disconnected", "lastModifiedDateTime": "2026-11-20T07:59:00Z"});
    exporter.sim.edit(
        &device,
        json!({
            "device": {"healthStatus": "critical"},
            "health": {
                "peripheralsHealth": {"roomCameraHealth": {"isOptional": false, "connection": lost}},
                "loginStatus": {"exchangeConnection": lost}
            }
        }),
    );
    let problem = "problem=\"room_camera\"";
    exporter
        .wait_until("a lost camera", |scrape| {
            scrape.sum("teams_rooms_room_problem", &[problem])
                > before.sum("teams_rooms_room_problem", &[problem])
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offline() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    let device = core_device(&before, 0);
    exporter.sim.edit(
        &device,
        json!({
            "device": {"healthStatus": "offline", "activityState": "unavailable"},
            "health": {"connection": {"connectionStatus": "disconnected", "lastModifiedDateTime": "2026-11-20T07:58:00Z"}}
        }),
    );
    let connected = format!("device_id=\"{device}\"");
    exporter
        .wait_until("an offline device", |scrape| {
            scrape.count("teams_rooms_device_connected") > 0
                && scrape.sum("teams_rooms_device_connected", &[&connected]) < 0.5
        })
        .await;
    compare_both("offline", &exporter).await;
}

/// Graph fails from the first request on: nothing is known, and every scrape says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_from_the_start() {
    for (fault, state) in [
        ("throttle_bare", "throttled"),
        ("retired", "retired"),
        ("forbidden", "forbidden"),
        ("empty", "empty"),
    ] {
        let faults: &'static [&'static str] = Box::leak(Box::new([fault]));
        let exporter = Exporter::start(Scenario { faults, ..Scenario::default() }).await;
        exporter.wait_for_state("devices", state).await;
        exporter.wait_for_state("device_health", state).await;
        compare_both(state, &exporter).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partial() {
    let exporter =
        Exporter::start(Scenario { faults: &["broken_type=teamsPanel"], ..Scenario::default() }).await;
    exporter.wait_for_state("devices", "partial").await;
    exporter.wait_for_everything().await;
    compare_both("partial", &exporter).await;
}

/// Every source, each read once: their default intervals are longer than any test.
async fn check_every_source(profile: Profile, name: &str) {
    let configure = |config: &mut Config| {
        for source in config.tenants.iter_mut().flat_map(|tenant| standing(&mut tenant.collectors)) {
            source.enabled = Enabled::Yes;
        }
    };
    // Fewer rooms, as each has more series.
    let settings = sim::Settings { rooms: 9, speed: 0.0, profile, ..sim::Settings::default() };
    let sim = Some(start_world(settings).await);
    let scenario = Scenario { sim, configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_every_source().await;
    compare_both(name, &exporter).await;
    exporter.stop().await;
}

/// As real tenants answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source() {
    check_every_source(Profile::Real, "every_source").await;
}

/// As Microsoft documents the answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_as_documented() {
    check_every_source(Profile::Documented, "documented").await;
}

/// A room whose device is dead, one with a lesser fault, one that is well again, and an incident of nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents() {
    let exporter = Exporter::start(Scenario { rooms: 4, ..Scenario::with_intake() }).await;
    exporter.wait_for_everything().await;
    let rooms = exporter.sim.rooms();
    let pushes = [
        ("INC-1", 0, "Heartbeat", "Critical", "New"),
        ("INC-2", 1, "Conference microphone", "Important", "Investigating"),
        ("INC-3", 1, "App version", "Recommendation", "New"),
        ("INC-4", 2, "Camera", "Critical", "New"),
        ("INC-4", 2, "Camera", "Critical", "Resolved"),
    ];
    for (id, room, signal, severity, state) in pushes {
        let webhook = Webhook { room: &rooms[room].upn, id, signal, severity, state };
        let push = exporter.sim.incident(webhook).expect("a room");
        assert_eq!(exporter.push("pro-management", &push).await, 204);
    }
    let offline = Webhook { room: &rooms[3].upn, id: "", signal: "", severity: "", state: "offline" };
    let mut offline = exporter.sim.alert(offline).expect("a room");
    offline["DeviceId"] = json!("no-device-of-ours");
    offline["DeviceLoggedInUserId"] = json!(null);
    assert_eq!(exporter.push("admin-center", &offline).await, 204);
    assert_eq!(exporter.push("admin-center", &json!({})).await, 400);
    exporter
        .wait_until("every incident", |scrape| {
            scrape.sum("teams_rooms_incidents_without_room", &[]) > 0.5
                && scrape.count("teams_rooms_incidents_open") == 4
                && scrape.count("teams_rooms_intake_last_received_timestamp_seconds") == 2
        })
        .await;
    compare_both("incidents", &exporter).await;
    exporter.stop().await;
}
