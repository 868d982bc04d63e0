//! What users may name: catalogue, live scrape, README and the example metrics agree.
//!
//! `UPDATE_GOLDEN=1` writes README's tables and `docs/example-metrics.txt` anew.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use teams_rooms_exporter::metrics::catalogue::{FAMILIES, Family, Kind};
use teams_rooms_exporter::model::collector::Collector;
use teams_rooms_exporter::model::{Span, State};
use teams_rooms_exporter::sim::Webhook;
use teams_rooms_exporter::{cli, commands, config};

use crate::exporter::{Exporter, INTAKE_SECRET, Scenario, Scrape, parse};
use crate::golden;
use crate::otlp::{Receiver, to};

/// Families that a healthy tenant does not show, and why.
const NOT_IN_HEALTHY: [(&str, &str); 17] = [
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
    ("teams_rooms_storage_last_write_timestamp_seconds", "absent without --storage.path"),
    ("teams_rooms_storage_write_failures_total", "absent without --storage.path"),
    ("teams_rooms_otlp_sent_total", "absent without --otlp.endpoint"),
    ("teams_rooms_otlp_dropped_total", "absent without --otlp.endpoint"),
    ("teams_rooms_otlp_last_success_timestamp_seconds", "absent until an OTLP receiver takes a push"),
];

/// Flags in README that are those of other programs.
const FOREIGN_FLAGS: [&str; 1] = ["--release"];

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
    let exporter = Exporter::start(Scenario { storage_path, otlp, ..Scenario::with_intake() }).await;
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

/// What one scrape of a small tenant looks like, for those who read before they run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_metrics_are_those_of_a_small_tenant() {
    let exporter = Exporter::start(Scenario { rooms: 3, ..Scenario::default() }).await;
    golden::lose_a_camera(&exporter).await;
    golden::compare("docs/example-metrics.txt", &exporter.scrape().await.text);
}

#[test]
fn the_tables_in_readme_are_those_of_the_code() {
    let readme = with_table(&readme(), "metrics", &commands::metrics::markdown());
    golden::compare_text("README.md", &with_table(&readme, "sources", &sources()));
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

#[test]
fn readme_names_no_metric_and_no_flag_that_is_not_there() {
    let readme = readme();
    for name in words(&readme, "teams_rooms_", |c| c.is_ascii_lowercase() || c == '_') {
        // `teams_rooms_collector_*` and the like name a group.
        let known =
            |family: &&Family| family.name == name || (name.ends_with('_') && family.name.starts_with(name));
        assert!(FAMILIES.iter().any(|family| known(&family)), "README names {name}, the catalogue does not");
    }
    let known = flags();
    for flag in words(&readme, "--", |c| c.is_ascii_lowercase() || c == '-' || c == '.') {
        let flag = flag.trim_end_matches(['.', '-']);
        assert!(
            flag.is_empty() || known.contains(flag) || FOREIGN_FLAGS.contains(&flag),
            "README names {flag}, no command has it"
        );
    }
    for flag in known.iter().filter(|flag| !["--help", "--version"].contains(&flag.as_str())) {
        assert!(readme.contains(flag.as_str()), "README does not tell of {flag}");
    }
}

/// Every configuration in README is accepted, and together they show every key that there is.
#[test]
fn the_settings_in_readme_are_those_that_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a-secret").expect("written");
    let intake_secret = folder.path().join("intake");
    std::fs::write(&intake_secret, INTAKE_SECRET).expect("written");
    let here = |name: &str| folder.path().join(name).display().to_string();
    let fixture = |name: &str| format!("{}/tests/config/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = [
        ("/run/secrets/graph", here("secret")),
        ("/run/secrets/intake", here("intake")),
        ("/etc/exporter/cert.pem", fixture("certificate.pem")),
        ("/etc/exporter/key.pem", fixture("certificate.key")),
        ("/etc/exporter/proxy-ca.pem", fixture("certificate.pem")),
        ("/var/run/secrets/azure/tokens/azure-identity-token", here("secret")),
        ("/var/lib/exporter/refresh_token", here("refresh_token")),
    ];
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    let readme = readme();
    let rooms = blocks(&readme, "csv").next().expect("README shows a rooms file");
    std::fs::write(folder.path().join("rooms.csv"), rooms).expect("written");
    let examples: Vec<&str> = blocks(&readme, "yaml").filter(|text| text.contains("tenants:")).collect();
    assert!(!examples.is_empty(), "README shows no configuration");
    for example in &examples {
        let path = folder.path().join("exporter.yaml");
        let example = files.iter().fold((*example).to_owned(), |text, (path, ours)| text.replace(path, ours));
        std::fs::write(&path, example).expect("written");
        let args =
            cli::ServeArgs { config: cli::ConfigArgs { file: Some(path) }, ..cli::ServeArgs::default() };
        if let Err(error) = config::load(&args, &|_| None, &names) {
            panic!("README shows a configuration that is refused: {error}");
        }
    }
    let shown: BTreeSet<&str> = examples.iter().flat_map(|example| keys(example)).collect();
    let good = read("tests/config/good.yaml");
    for key in keys(&good) {
        assert!(shown.contains(key), "README shows no use of the setting `{key}`");
    }
}

/// The keys of a YAML text, those in braces too.
fn keys(yaml: &str) -> impl Iterator<Item = &str> {
    let lines = yaml.lines().map(|line| line.split_once('#').map_or(line, |(yaml, _)| yaml));
    lines.flat_map(|line| line.split(['{', ',', ' '])).filter_map(|word| {
        let key = word.strip_suffix(':')?;
        key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(key)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_in_readme_answers() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    let readme = readme();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `/")?.split_once('`'));
    let paths: Vec<String> = rows.map(|(path, _)| format!("/{path}")).collect();
    assert!(paths.len() >= 4, "README has no table of paths");
    for path in paths {
        assert_eq!(exporter.get(&path).await.0, 200, "{path}");
    }
}

/// The code blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> impl Iterator<Item = &'t str> {
    let opening = format!("```{language}\n");
    let starts: Vec<usize> = text.match_indices(&opening).map(|(at, opening)| at + opening.len()).collect();
    starts.into_iter().filter_map(|at| text.get(at..)?.split("```").next())
}

/// Each run of allowed characters that begins with `prefix`.
fn words<'t>(text: &'t str, prefix: &str, allowed: fn(char) -> bool) -> Vec<&'t str> {
    let word = |(at, _)| {
        let tail = text.get(at..)?;
        tail.get(..tail.find(|c| !allowed(c)).unwrap_or(tail.len()))
    };
    text.match_indices(prefix).filter_map(word).collect()
}

/// The flags of all commands, as their help tells them.
fn flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for command in ["serve", "demo", "simulate", "check", "login", "rooms", "metrics", "healthcheck"] {
        let help =
            cli::parse(["teams-rooms-exporter", command, "--help"]).expect_err("help ends here").to_string();
        let is_flag = |c: char| c.is_ascii_lowercase() || c == '-' || c == '.';
        flags.extend(
            words(&help, "--", is_flag).into_iter().map(|flag| flag.trim_end_matches('.').to_owned()),
        );
    }
    flags.insert("--version".to_owned());
    flags
}

fn readme() -> String {
    read("README.md")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a readable file")
}
