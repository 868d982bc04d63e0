//! `check --capture` and `simulate --replay`: what a capture holds, and that a replay of it is the tenant without its data.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::capture::{Capture, Key};
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::collectors::evidence;
use teams_rooms_exporter::commands::capture::{self, Order};
use teams_rooms_exporter::config::{Config, Enabled, Tenant};
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::sim::{self, Sim};

use crate::exporter::{
    Exporter, Scenario, Scrape, client, config, label, parse, seconds, standing, start_tenant, start_world,
    tenant,
};
use crate::golden::{LEFT_OUT, UNSTEADY};

const KEY: Key = [42; 32];

/// Switches every source on, each at its own pace: it is read once in a test.
pub(crate) fn with_every_source(tenant: &mut Tenant) {
    for source in standing(&mut tenant.collectors) {
        source.enabled = Enabled::Yes;
    }
}

/// Captures what a tenant answers; the capture, and what was printed.
pub(crate) async fn captured(
    tenant: Tenant,
    sim: &Sim,
    directory: &Path,
    key: Key,
) -> (Option<Capture>, String) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let world = sim.clone();
    let clock = Clock::new(move || Timestamp::from_seconds(world.now().as_second()));
    let order = Order {
        directory,
        tenant: None,
        key,
        tenant_id: sim::TENANT_ID,
        client_id: sim::CLIENT_ID,
        secret: sim::CLIENT_SECRET,
    };
    let mut out = Vec::new();
    let capture = capture::run(&config(tenant), &clock, order, &mut out).await.expect("it can write");
    (capture, String::from_utf8(out).expect("text"))
}

/// A capture of every source of a simulated tenant.
async fn capture_of(sim: &Sim, directory: &Path) -> (Capture, String) {
    let mut tenant = tenant("contoso", sim);
    with_every_source(&mut tenant);
    let (capture, told) = captured(tenant, sim, directory, KEY).await;
    (capture.expect("answers"), told)
}

/// Serves a capture as if it had been made at `start`.
async fn replay(directory: &Path, start: jiff::Timestamp) -> Sim {
    let replay = sim::Replay::load(directory).expect("a capture");
    start_world(sim::Settings {
        replay: Some(Arc::new(replay)),
        start,
        speed: 0.0,
        ..sim::Settings::default()
    })
    .await
}

async fn scrape(sim: Sim) -> Scrape {
    let configure = |config: &mut Config| config.tenants.iter_mut().for_each(with_every_source);
    let scenario = Scenario { sim: Some(sim), configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_every_source().await;
    let scrape = exporter.scrape().await;
    exporter.stop().await;
    scrape
}

/// The series of a scrape, with times as their distance to `now`. Values of coordinates are pseudonyms, and left out.
fn comparable(
    scrape: &Scrape,
    now: jiff::Timestamp,
    mut rename: impl FnMut(&str, &str) -> String,
) -> BTreeMap<String, String> {
    let is_left_out = |series: &str| {
        series.starts_with(LEFT_OUT) || UNSTEADY.iter().any(|family| series.starts_with(family))
    };
    let emails = emails(scrape);
    let series = scrape.series.iter().filter(|(series, _)| !is_left_out(series));
    let series = series.map(|(series, value)| {
        let (family, labels) = series.split_once('{').unwrap_or((series, ""));
        let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
        let renamed = pairs.map(|(name, value)| {
            let value = value.trim_end_matches('"');
            let value = emails.get(value).filter(|_| name == "room_id").map_or(value, String::as_str);
            format!("{name}={:?}", rename(name, value))
        });
        let value = match value.parse::<f64>() {
            Ok(time) if family.ends_with("_timestamp_seconds") => {
                (seconds(time) - now.as_second()).to_string()
            }
            Ok(_) if family.ends_with("_degrees") => String::new(),
            _ => value.clone(),
        };
        (format!("{family}{{{}}}", renamed.collect::<Vec<_>>().join(",")), value)
    });
    series.collect()
}

/// The address of each room, by its id: the id depends on the source that answered first.
fn emails(scrape: &Scrape) -> BTreeMap<String, String> {
    let rooms = scrape.keys("teams_rooms_room_info").into_iter();
    let emails = rooms.map(|room| (label(room, "room_id").to_owned(), label(room, "email").to_owned()));
    emails.filter(|(_, email)| !email.is_empty()).collect()
}

/// Every label value of a scrape, by label.
fn label_values(scrape: &Scrape) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    comparable(scrape, jiff::Timestamp::UNIX_EPOCH, |name, value| {
        found.insert((name.to_owned(), value.to_owned()));
        value.to_owned()
    });
    found
}

/// A tenant like those in public captures: no account has a name, and hardware is written as it is there.
fn make_real(sim: &Sim) {
    for (place, id) in sim.devices().iter().enumerate() {
        sim.edit(id, json!({ "device": { "currentUser": { "userPrincipalName": null } } }));
        let hardware = json!({
            "manufacturer": "yealink",
            "model": "meetingbara30",
            "macAddresses": ["ETHERNET:249AD8001122", "UNKNOWN:24:9A:D8:00:11:23"],
        });
        if place % 3 == 0 {
            sim.edit(
                id,
                json!({ "device": { "hardwareDetail": hardware, "companyAssetTag": "Ärger 4711 Straße" } }),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_gives_the_metrics_of_the_tenant() {
    compare_with_replay(&start_tenant(12, &["restricted_mailbox=20"]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_gives_the_metrics_of_a_tenant_that_names_no_account() {
    let sim = start_tenant(12, &["restricted_mailbox=20"]).await;
    make_real(&sim);
    compare_with_replay(&sim).await;
}

/// Series, labels and values of a tenant and of a replay of its capture are the same, but for the pseudonyms.
async fn compare_with_replay(sim: &Sim) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut capture, _) = capture_of(sim, &folder.path().join("capture")).await;
    let before = scrape(sim.clone()).await;
    // Later, at the same quarter of an hour: views of busy time have steps of that length.
    let later = sim.now() + Duration::from_mins(4455);
    let replay = replay(&folder.path().join("capture"), later).await;
    let after = scrape(replay.clone()).await;

    let shown = label_values(&after);
    let expected = comparable(&before, sim.now(), |label, value| {
        let pseudonym = capture.names.text(value);
        let is_shown = |value: &str| shown.contains(&(label.to_owned(), value.to_owned()));
        if is_shown(&pseudonym) { pseudonym } else { value.to_owned() }
    });
    let found = comparable(&after, later, |_, value| value.to_owned());
    let missing: Vec<_> =
        expected.iter().filter(|(series, value)| found.get(*series) != Some(value)).collect();
    let surplus: Vec<_> =
        found.iter().filter(|(series, value)| expected.get(*series) != Some(value)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "only before:\n{missing:#?}\nonly after:\n{surplus:#?}"
    );
    assert!(expected.len() > 2000, "{} series were compared", expected.len());
    let renamed = label_values(&before).difference(&shown).count();
    assert!(renamed > 100, "{renamed} label values are pseudonyms");
    let refused = replay.requests().into_iter().filter(|request| request.status == 403).count();
    assert!(refused > 0 || before.sum("teams_rooms_room_calendar_readable", &[]) > 0.5, "mailboxes refuse");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_user_may_read_a_capture_and_an_old_one_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("capture");
    let sim = start_tenant(3, &[]).await;
    let (capture, told) = captured(tenant("contoso", &sim), &sim, &directory, KEY).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory)
        .expect("a directory")
        .map(|entry| entry.expect("readable").path())
        .collect();
    assert_eq!(files.len(), capture.expect("answers").files.len() + 1);
    assert!(files.iter().all(|file| mode(file) == 0o600));
    // The summary comes first; what is seen for the first time, and where to share it, last.
    let place = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part:?} is not in:\n{told}"));
    let parts = [
        "devices         ok",
        "this is kept",
        "devices: 5 requests, 0 refused",
        "written: ",
        "seen for the first time",
        "please share the capture: https://",
    ];
    assert!(parts.map(place).is_sorted(), "{told}");
    assert!(
        told.contains("\n  verbatim    healthStatus: healthy ")
            && told.contains("teamworkDeviceHealth.connection\n"),
        "{told}"
    );

    let before = sim.requests().len();
    let clock = Clock::new(|| Timestamp::from_seconds(0));
    let order =
        Order { directory: &directory, tenant: None, key: KEY, tenant_id: "", client_id: "", secret: "" };
    let refused = capture::run(&config(tenant("contoso", &sim)), &clock, order, &mut Vec::new()).await;
    let refused = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(refused.contains("it is not empty; name a new directory"), "{refused}");
    assert_eq!(sim.requests().len(), before, "Graph is not queried for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_tenant_is_captured_is_said() {
    let sim = start_tenant(2, &[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(tenant("contoso", &sim));
    config.tenants.push(tenant("fabrikam", &sim));
    let clock = Clock::new(|| Timestamp::from_seconds(0));
    for (name, expected) in
        [(None, "--tenant NAME"), (Some("northwind"), "`northwind` is not a configured tenant")]
    {
        let directory = folder.path().join("capture");
        let order =
            Order { directory: &directory, tenant: name, key: KEY, tenant_id: "", client_id: "", secret: "" };
        let refused =
            capture::run(&config, &clock, order, &mut Vec::new()).await.err().expect(expected).to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

/// Without an answer of Graph there is nothing to write; sign-in is not recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_sign_in_there_is_no_capture() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("capture");
    let sim = start_tenant(2, &["token_error=7000215"]).await;
    let (capture, told) = captured(tenant("contoso", &sim), &sim, &directory, KEY).await;
    assert!(capture.is_none() && told.contains("sign-in FAILED: ") && !directory.exists(), "{told}");
}

/// Asks a replay as the exporter does; the status and the body.
async fn ask(replay: &Sim, method: &str, path: &str, body: &str) -> (u16, Value) {
    let http = client().build().expect("a client");
    let token = replay.tokens().pop().expect("the exporter has signed in");
    let method = method.parse().expect("a method");
    let request =
        http.request(method, format!("{}{path}", replay.url())).bearer_auth(token).body(body.to_owned());
    let response = request.send().await.expect("an answer");
    (
        response.status().as_u16(),
        serde_json::from_str(&response.text().await.expect("text")).unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_captured_is_refused_or_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = start_tenant(3, &["forbidden_source=places"]).await;
    let mut of_some = tenant("contoso", &sim);
    with_every_source(&mut of_some);
    of_some.collectors.presence.enabled = Enabled::No;
    let directory = folder.path().join("capture");
    captured(of_some, &sim, &directory, KEY).await;
    let replay = replay(&directory, sim.now()).await;
    let exporter = Exporter::start(Scenario { sim: Some(replay.clone()), ..Scenario::default() }).await;
    exporter.wait_for_everything().await;

    let (status, body) =
        ask(&replay, "GET", "/v1.0/places/microsoft.graph.room?$top=100&$count=true&$skip=0", "").await;
    assert_eq!((status, &body["error"]["code"]), (403, &json!("ErrorAccessDenied")), "as it was captured");
    let (status, body) =
        ask(&replay, "POST", "/v1.0/communications/getPresencesByUserId", r#"{"ids":["a"]}"#).await;
    assert_eq!(status, 403);
    assert!(
        body["error"]["message"]
            .to_string()
            .contains("no answer to POST /v1.0/communications/getPresencesByUserId"),
        "{body}"
    );
    for path in ["/beta/teamwork/devices/unknown/health", "/v1.0/users/unknown"] {
        assert_eq!(ask(&replay, "GET", path, "").await.0, 404, "{path}");
    }
    assert_eq!(
        ask(
            &replay,
            "POST",
            "/v1.0/users/anyone@contoso.example/calendar/getSchedule",
            r#"{"schedules":["nobody@contoso.example"]}"#
        )
        .await,
        (200, json!({ "value": [] }))
    );
    let items = r#"{"requests":[{"id":"1","method":"GET","url":"/teamwork/devices/unknown/health"}]}"#;
    let (status, body) = ask(&replay, "POST", "/beta/$batch", items).await;
    assert_eq!((status, &body["responses"][0]["status"]), (200, &json!(404)));
    assert!(crate::exporter::log().contains("msg=\"not in the capture\""), "the log says what was asked");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_names_the_room_lists_that_were_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("capture");
    let sim = start_tenant(12, &[]).await;
    let mut of_list = tenant("contoso", &sim);
    of_list.collectors.places.enabled = Enabled::Yes;
    of_list.room_lists = vec!["rooms-berlin@contoso.example".to_owned()];
    captured(of_list, &sim, &directory, KEY).await;
    let capture = sim::Replay::load(&directory).expect("a capture");
    let [list] = capture.room_lists() else { panic!("one list: {:?}", capture.room_lists()) };
    assert!(list.ends_with(".example") && !list.contains("berlin"), "{list}");
    let room_lists = vec![list.clone()];
    let configure = move |config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.collectors.places.enabled = Enabled::Yes;
            tenant.room_lists.clone_from(&room_lists);
        }
    };
    let replay = replay(&directory, sim.now()).await;
    let scenario = Scenario { sim: Some(replay), configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_state("places", "ok").await;
    exporter.stop().await;
}

/// Answers that are not JSON have the same form in the replay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_answers_are_replayed_in_their_form() {
    for (fault, state) in
        [("html", "malformed"), ("empty", "empty"), ("retired", "retired"), ("throttle_bare", "throttled")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("capture");
        let sim = start_tenant(2, &[]).await;
        sim.set_faults(parse(&[fault]));
        captured(tenant("contoso", &sim), &sim, &directory, KEY).await;
        let replay = replay(&directory, sim.now()).await;
        let exporter = Exporter::start(Scenario { sim: Some(replay), ..Scenario::default() }).await;
        exporter.wait_for_state("devices", state).await;
        exporter.stop().await;
    }
}

#[test]
fn what_is_no_capture_is_not_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = |index: &str| {
        std::fs::write(folder.path().join("capture.json"), index).expect("written");
        sim::Replay::load(folder.path()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(sim::Replay::load(folder.path()).is_err(), "there is no index");
    let request = r#"{"method":"GET","path":"/v1.0/users","status":200,"body":"json","file":"FILE"}"#;
    let index = |format: u32, file: &str| {
        let request = request.replace("FILE", file);
        format!(r#"{{"format":{format},"moment":"2025-01-01T00:00:00Z","requests":[{request}]}}"#)
    };
    for (index, expected) in [
        ("{".to_owned(), "capture.json: "),
        (index(2, "a.json"), "its format is 2"),
        (index(1, "../a.json"), "`../a.json` is no file name"),
        (index(1, "a.json"), "No such file"),
    ] {
        let refused = load(&index);
        assert!(refused.contains(expected), "{refused}");
    }
}

/// Members that a healthy simulated tenant does not show, and those that real devices were seen without.
const NOT_SIMULATED: [(&str, &str); 5] = [
    ("teamworkDevice", "companyAssetTag"),
    ("teamworkDevice", "currentUser.userPrincipalName"),
    ("scheduleInformation", "error"),
    ("scheduleInformation", "error.responseCode"),
    ("teamworkDeviceHealth", "softwareUpdateHealth.teamsClientSoftwareUpdateStatus.availableVersion"),
];

/// The paths of the table of evidence are those that answers have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_of_the_table_is_found_in_a_capture() {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = start_tenant(12, &[]).await;
    let (capture, _) = capture_of(&sim, &folder.path().join("capture")).await;
    let seen: BTreeSet<(String, String)> = capture
        .summary
        .sources
        .values()
        .flat_map(|source| &source.members)
        .map(|(path, member)| (path.clone(), member.to_lowercase()))
        .collect();
    for resource in evidence::RESOURCES.iter().filter(|resource| !resource.paths.is_empty()) {
        for (member, _) in resource.members {
            let is_seen =
                resource.paths.iter().any(|path| seen.contains(&((*path).to_owned(), member.to_lowercase())));
            let is_listed = NOT_SIMULATED.contains(&(resource.name, member));
            assert!(
                is_seen || is_listed,
                "{}.{member} is in no answer at {:?}",
                resource.name,
                resource.paths
            );
        }
    }
}
