//! Names that users rely on: catalogue, live scrape, the tables of the book and the example metrics agree.
//!
//! `UPDATE_GOLDEN=1` rewrites these tables and `docs/example-metrics.txt`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::commands;
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::metrics::catalogue::{FAMILIES, Family, Kind};
use teams_rooms_exporter::model::collector::Collector;
use teams_rooms_exporter::model::{Span, State};
use teams_rooms_exporter::sim::Webhook;

use crate::exporter::{Exporter, Scenario, Scrape, client, every_source, parse, with_intake};
use crate::golden;
use crate::otlp::{Receiver, to};
use crate::pki::WebFolder;

/// Families that a healthy tenant does not show, and why.
const NOT_IN_HEALTHY: [(&str, &str); 18] = [
    ("teams_rooms_device_health_since_timestamp_seconds", "absent until a change of health is seen"),
    (
        "teams_rooms_software_update_pending_since_timestamp_seconds",
        "absent until an update is seen to become available",
    ),
    ("teams_rooms_software_changed_timestamp_seconds", "absent until a version is seen to change"),
    ("teams_rooms_room_state_since_timestamp_seconds", "absent until a change of state is seen"),
    ("teams_rooms_api_sunset_timestamp_seconds", "absent while Graph sends no Sunset header"),
    ("teams_rooms_api_deprecation_timestamp_seconds", "absent while Graph sends no Deprecation header"),
    ("teams_rooms_unknown_values_total", "one series per field that had an unknown value"),
    ("teams_rooms_incidents_open", "absent until an incident is pushed"),
    ("teams_rooms_incident_opened_timestamp_seconds", "absent until an incident is pushed"),
    ("teams_rooms_incidents_without_room", "absent until anything is pushed"),
    ("teams_rooms_intake_last_received_timestamp_seconds", "absent until anything is pushed"),
    ("teams_rooms_intake_requests_total", "absent where no tenant has an intake"),
    ("teams_rooms_web_config_last_reload_successful", "absent without --web.config.file"),
    ("teams_rooms_storage_last_write_timestamp_seconds", "absent without --storage.path"),
    ("teams_rooms_storage_write_failures_total", "absent without --storage.path"),
    ("teams_rooms_otlp_sent_total", "absent without --otlp.endpoint"),
    ("teams_rooms_otlp_dropped_total", "absent without --otlp.endpoint"),
    ("teams_rooms_otlp_last_success_timestamp_seconds", "absent until an OTLP receiver takes a push"),
];

/// The page of all commands and flags.
const COMMAND_LINE: &str = "docs/command-line.md";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_scrape_has_every_family_and_no_other() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let scrape = exporter.scrape().await;
    samples_are_as_the_catalogue_says(&scrape);
    for family in FAMILIES {
        let reason = NOT_IN_HEALTHY.iter().find(|(name, _)| *name == family.name);
        match (is_in(&scrape, family), reason) {
            (true, Some((name, reason))) => panic!("{name} is there, though it should be {reason}"),
            (false, None) => panic!("{} is not in a healthy scrape; say why in NOT_IN_HEALTHY", family.name),
            _ => {}
        }
    }
}

/// The families that a healthy tenant does not show are there when their time has come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_family_appears_when_something_happens() {
    let storage = tempfile::tempdir().expect("a folder");
    let storage_path = Some(storage.path().to_owned());
    let receiver = Receiver::start(200).await;
    let otlp = to(&receiver.url, Duration::from_secs(10));
    let folder = WebFolder::new("");
    let web = Some((folder.web(), client().build().expect("a client")));
    let exporter = Exporter::start(Scenario { storage_path, web, otlp, ..Scenario::with_intake() }).await;
    let before = exporter.wait_for_everything().await;
    let room = exporter.sim.rooms().remove(0).upn;
    let camera = Webhook { room: &room, id: "INC-1", signal: "Camera", severity: "Important", state: "New" };
    assert_eq!(exporter.push("pro-management", &exporter.sim.incident(camera).expect("a room")).await, 204);
    let current = "software=\"teams_client\"";
    let (series, _) = before
        .family("teams_rooms_software_update_available")
        .find(|(series, value)| series.contains(current) && *value == "0")
        .expect("a device that runs the latest client");
    let device = series.split('"').nth(3).expect("the second label is the device");
    let update = json!({"softwareFreshness": "updateAvailable", "currentVersion": "1.0.1", "availableVersion": "99.0.0"});
    exporter.sim.edit(
        device,
        json!({
            "device": {"healthStatus": "nonUrgent"},
            "health": {"softwareUpdateHealth": {"teamsClientSoftwareUpdateStatus": update}}
        }),
    );
    exporter.sim.set_faults(parse(&["deprecation"]));
    let times = "teams_rooms_software_changed_timestamp_seconds";
    exporter.wait_until("a changed version", |scrape| scrape.count(times) > 0).await;
    exporter.sim.set_faults(parse(&["deprecation", "new_enum"]));
    for (name, _) in NOT_IN_HEALTHY {
        let family = Family::find(name).expect("the list names families");
        exporter.wait_until(name, |scrape| is_in(scrape, family)).await;
    }
    let scrape = exporter.scrape().await;
    samples_are_as_the_catalogue_says(&scrape);
}

fn is_in(scrape: &Scrape, family: &Family) -> bool {
    let name = match family.kind {
        Kind::Histogram => &format!("{}_count", family.name),
        Kind::Gauge | Kind::Counter => family.name,
    };
    scrape.count(name) > 0
}

/// Each sample belongs to a family of the catalogue and has exactly its labels.
fn samples_are_as_the_catalogue_says(scrape: &Scrape) {
    for series in scrape.series.keys() {
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut found = label_names(labels);
        let family = Family::find(name).or_else(|| {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
            let histogram = Family::find(base).filter(|family| family.kind == Kind::Histogram)?;
            assert_eq!(found.remove("le"), name.ends_with("_bucket"), "{series}");
            Some(histogram)
        });
        let row = family.map(|family| family.labels.iter().map(|&label| label.to_owned()).collect());
        assert_eq!(Some(found), row, "{series}: the catalogue has no such row, or one with other labels");
    }
}

/// The names in `a="1",b="2"}`; values may hold anything, quotes and braces too.
fn label_names(labels: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = labels;
    while let Some((name, value)) = rest.split_once("=\"") {
        assert!(names.insert(name.to_owned()), "{labels}: {name} is there twice");
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let after = value.get(end.expect("a closing quote") + 1..).unwrap_or_default();
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    assert!(rest.is_empty() || rest == "}", "{labels}: cannot be read at {rest:?}");
    names
}

#[test]
fn label_names_are_found_between_all_values() {
    let names = label_names(r#"a="1",b="x\"},c=\\",d_e="{}"}"#);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b", "d_e"]);
}

/// A scrape of a small tenant with every source, for those who read before they run. A room has lost its camera, and a
/// portal has reported it. Families that need another event follow with the reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_metrics_show_every_family() {
    let configure = |config: &mut Config| {
        every_source(config);
        with_intake(config);
    };
    let exporter =
        Exporter::start(Scenario { rooms: 3, configure: Box::new(configure), ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    golden::lose_a_camera(&exporter).await;
    let room = exporter.sim.rooms().remove(0).upn;
    let camera = Webhook { room: &room, id: "INC-1", signal: "Camera", severity: "Important", state: "New" };
    assert_eq!(exporter.push("pro-management", &exporter.sim.incident(camera).expect("a room")).await, 204);
    let shown =
        exporter.wait_until("the incident", |scrape| scrape.count("teams_rooms_incidents_open") > 0).await;
    let with_building = |(series, _): &(&str, &str)| !series.contains("building=\"\"");
    assert!(shown.family("teams_rooms_room_info").filter(with_building).count() > 1, "{}", shown.text);
    let mut text = shown.text.replace("# EOF\n", "");
    for (name, reason) in NOT_IN_HEALTHY {
        let family = Family::find(name).expect("the list names families");
        if !is_in(&shown, family) {
            let kind = format!("{:?}", family.kind).to_lowercase();
            writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n# {reason}", family.help)
                .expect("memory");
        }
    }
    golden::compare("docs/example-metrics.txt", &text);
}

/// The counts that the book gives for a room, a device and the process, within a tenth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_book_counts_the_series_of_a_room_and_a_device() {
    let exporter = Exporter::start(Scenario { rooms: 120, ..Scenario::every_source() }).await;
    exporter.wait_for_every_source().await;
    let scrape = exporter.scrape().await;
    let of = |label: &str| scrape.series.keys().filter(|series| series.contains(label)).count();
    let (devices, rooms) = (
        of("device_id=\""),
        scrape
            .series
            .keys()
            .filter(|series| series.contains("room_id=\"") && !series.contains("device_id=\""))
            .count(),
    );
    let page = read("docs/metrics.md");
    let stated = |name: &str| -> usize {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))).expect("the row");
        row.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
    };
    for (name, series, count) in [
        ("room", rooms, scrape.count("teams_rooms_room_info")),
        ("device", devices, scrape.count("teams_rooms_device_info")),
        ("process", scrape.series.len() - rooms - devices, 1),
    ] {
        let (each, stated) = (series / count, stated(name));
        let near = stated * 9 / 10..=stated * 11 / 10;
        assert!(near.contains(&each), "a {name} has {each} series, docs/metrics.md says {stated}");
    }
}

#[test]
fn the_tables_in_the_book_are_those_of_the_code() {
    for (page, name, table) in [
        ("docs/metrics.md", "metrics", commands::metrics::markdown()),
        ("docs/sources.md", "sources", sources()),
    ] {
        golden::compare_text(page, &with_table(&read(page), name, &table));
    }
}

/// What OpenTelemetry's `weaver` reads: every label that a metric names is defined, once, and nothing else is.
#[test]
fn the_registry_of_telemetry_is_that_of_the_code() {
    let text = commands::metrics::weaver();
    golden::compare_text("docs/telemetry/metrics.yaml", &text);
    let registry: Value = serde_saphyr::from_str(&text).expect("JSON is YAML");
    let groups = registry.get("groups").and_then(Value::as_array).expect("groups");
    let texts = |group: &Value, key: &str| -> Vec<String> {
        let attributes = group.get("attributes").and_then(Value::as_array).expect("a list of attributes");
        attributes.iter().filter_map(|one| Some(one.get(key)?.as_str()?.to_owned())).collect()
    };
    let (defined, metrics) = groups.split_first().expect("a group of attributes comes first");
    let defined = texts(defined, "id");
    let used: BTreeSet<String> = metrics.iter().flat_map(|metric| texts(metric, "ref")).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), defined);
    assert_eq!(metrics.len(), FAMILIES.len());
    let levels: BTreeSet<_> = metrics.iter().filter_map(|metric| metric.get("stability")?.as_str()).collect();
    assert_eq!(levels, BTreeSet::from(["beta", "development", "stable"]));
}

/// The text with the table of this name replaced.
fn with_table(text: &str, name: &str, table: &str) -> String {
    let (begins, ends) = (
        format!("<!-- {name}: written by UPDATE_GOLDEN=1 cargo test -->\n"),
        format!("<!-- end of {name} -->\n"),
    );
    let (before, rest) = text.split_once(&begins).expect("the text has the marker");
    let (_, after) = rest.split_once(&ends).expect("the text has the end marker");
    format!("{before}{begins}\n{table}\n{ends}{after}")
}

/// What each collector needs and brings, as a table.
fn sources() -> String {
    let head = "| collector | permission (application) | what it brings | read every | kept for | Graph is behind by |\n\
                |---|---|---|---|---|---|\n";
    let row = |collector: &Collector| {
        let facts = collector.facts();
        let permissions: Vec<String> = facts.permissions.iter().map(|name| format!("`{name}`")).collect();
        let (interval, expiry) = (Span(facts.interval), Span(facts.expiry));
        let (name, permissions) = (collector.label(), permissions.join(", "));
        format!("| `{name}` | {permissions} | {} | {interval} | {expiry} | {} |\n", facts.brings, facts.lag)
    };
    Collector::ALL.iter().fold(head.to_owned(), |table, collector| table + &row(collector))
}

/// All commands and flags, as their help has them.
#[test]
fn the_page_of_the_command_line_is_that_of_the_code() {
    let text = "# Command line\n\nEach command and flag, as `teams-rooms-exporter COMMAND --help` prints it. A test writes this page \
                (`UPDATE_GOLDEN=1 cargo test`).\n\n";
    golden::compare_text(COMMAND_LINE, &format!("{text}{}", commands::manual::markdown()));
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a readable file")
}
