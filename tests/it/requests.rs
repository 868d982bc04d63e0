//! What is asked of Graph, how often and with which headers, and what a scrape costs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::time::Duration;

use serde_json::json;
use teams_rooms_exporter::app::Tuning;
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::sim::{self, RecordedRequest, Sim};

use crate::exporter::{
    COLLECTORS, Exporter, SOURCES, Scenario, Scrape, every_source, label, parse, start_world,
};

const TOKEN: (&str, &str, bool) = ("POST", "/{tenant}/oauth2/v2.0/token", false);

/// Everything that is ever sent: method, template, and whether inside a batch.
const ALLOWED: [(&str, &str, bool); 4] = [
    TOKEN,
    ("GET", "/beta/teamwork/devices", false),
    ("POST", "/beta/$batch", false),
    ("GET", "/beta/teamwork/devices/{id}/health", true),
];

/// What is sent besides with every other source on, and room lists.
const ALLOWED_WITH_SOURCES: [(&str, &str, bool); 13] = [
    ("POST", "/v1.0/communications/getPresencesByUserId", false),
    ("POST", "/v1.0/users/{mailbox}/calendar/getSchedule", false),
    ("GET", "/v1.0/places/microsoft.graph.room", false),
    ("GET", "/v1.0/places/{address}/microsoft.graph.roomlist/rooms", false),
    ("GET", "/v1.0/deviceManagement/managedDevices", false),
    ("GET", "/v1.0/applications(appId='{id}')", false),
    ("GET", "/v1.0/users", false),
    ("POST", "/v1.0/$batch", false),
    ("GET", "/v1.0/users/{id}", true),
    ("GET", "/v1.0/subscribedSkus", false),
    ("GET", "/v1.0/directory/subscriptions", false),
    ("GET", "/v1.0/admin/serviceAnnouncement/healthOverviews", false),
    ("GET", "/v1.0/admin/serviceAnnouncement/issues", false),
];

/// Whatever Graph does, nothing else is sent, nowhere else, and a token only to Graph.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_requests_is_closed() {
    let sent = sent_by(Scenario::default(), &[]).await;
    assert_eq!(sent, closed_list(&ALLOWED));
}

/// The same with every source, and for rooms that lists tell of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_requests_is_closed_with_every_source() {
    let mut sent = sent_by(Scenario::every_source(), &SOURCES).await;
    let configure = |config: &mut Config| {
        every_source(config);
        config.tenants[0].room_lists = vec!["rooms-berlin@contoso.example".to_owned()];
    };
    sent.extend(sent_by(Scenario { configure: Box::new(configure), ..Scenario::default() }, &SOURCES).await);
    assert_eq!(sent, closed_list(&[&ALLOWED[..], &ALLOWED_WITH_SOURCES].concat()));
}

/// The page for whoever writes a firewall rule has the same list.
#[test]
fn the_page_of_requests_has_the_same_list() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/requests.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let method = cells.next().filter(|method| ["GET", "POST"].contains(method))?;
        Some((method.to_owned(), cells.next()?.trim_matches('`').to_owned()))
    };
    let told: BTreeSet<_> = page.lines().filter_map(row).collect();
    let allowed = ALLOWED.iter().chain(&ALLOWED_WITH_SOURCES);
    let allowed = allowed.map(|(method, template, _)| ((*method).to_owned(), (*template).to_owned()));
    assert_eq!(told, allowed.collect());
}

/// Method, template, and whether inside a batch.
type Sent = BTreeSet<(String, String, bool)>;

fn closed_list(allowed: &[(&str, &str, bool)]) -> Sent {
    let owned = |(method, operation, in_batch): &(&str, &str, bool)| {
        ((*method).to_owned(), (*operation).to_owned(), *in_batch)
    };
    allowed.iter().map(owned).collect()
}

/// Everything that is sent while Graph does what it can.
async fn sent_by(scenario: Scenario, sources: &[&'static str]) -> Sent {
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_everything().await;
    for source in sources {
        exporter.wait_for_state(source, "ok").await;
    }
    for fault in [
        "relative_link",
        "relative_link=rooted",
        "loop_link",
        "foreign_link",
        "redirect",
        "broken_page",
        "batch_missing_item",
        "throttle_items=0:0.3",
        "throttle_bare:0.3",
        "ignore_filter",
        "no_health",
        "expired_token",
        "forbidden",
    ] {
        exporter.sim.set_faults(parse(&[fault]));
        exporter.wait_for_attempts().await;
    }
    let host = exporter.sim.url().trim_start_matches("http://").to_owned();
    let requests = exporter.sim.requests();
    let mut sent: BTreeMap<(&str, &str, bool), usize> = BTreeMap::new();
    for request in &requests {
        let what = (request.method.as_str(), request.operation.as_str(), request.in_batch);
        *sent.entry(what).or_default() += 1;
        assert_eq!(request.host, host);
        assert_eq!(request.authorization, what != TOKEN, "{request:?}");
    }
    let sent = sent
        .into_keys()
        .map(|(method, operation, in_batch)| (method.to_owned(), operation.to_owned(), in_batch));
    let sent = sent.collect();
    exporter.stop().await;
    sent
}

/// The devices asked for in each `$batch`.
fn batches(sim: &Sim) -> Vec<Vec<String>> {
    let mut batches = vec![Vec::new()];
    for request in sim.requests() {
        match (request.in_batch, request.operation.as_str()) {
            (true, _) => batches.last_mut().expect("never empty").push(id(&request)),
            (false, "/beta/$batch") => batches.push(Vec::new()),
            _ => {}
        }
    }
    batches.pop();
    batches
}

fn id(request: &RecordedRequest) -> String {
    request.path.split('/').nth(4).expect("/beta/teamwork/devices/{id}/health").to_owned()
}

/// Waits until so many batches were asked since the record was cleared.
async fn next_batches(exporter: &Exporter, count: usize) -> Vec<Vec<String>> {
    exporter.wait_until(format!("{count} batches"), |_| batches(&exporter.sim).len() >= count).await;
    let mut batches = batches(&exporter.sim);
    batches.truncate(count);
    batches
}

/// Details are read when the list shows a reason, and in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_are_asked_for_when_they_are_due() {
    let configure = |config: &mut Config| {
        let collectors = &mut config.tenants[0].collectors;
        collectors.devices.interval = Duration::from_secs(1);
        collectors.device_health.rotation = Duration::from_secs(6);
    };
    // Turns are told by the time of reading, so it runs; on a Saturday nothing happens.
    let start = "2026-11-21T12:00:00Z".parse().expect("a time");
    let sim = start_world(sim::Settings { rooms: 9, speed: 1.0, start, ..sim::Settings::default() }).await;
    let scenario = Scenario { sim: Some(sim), configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    for device in exporter.sim.devices() {
        exporter.sim.edit(&device, json!({"device": {"healthStatus": "healthy"}}));
    }
    exporter.sim.advance(Duration::from_secs(1)); // later edits have another time
    let known = exporter.wait_for_everything().await;
    let healthy = |scrape: &Scrape| {
        let healthy = scrape.total("teams_rooms_device_health_state", &["state=\"healthy\""]);
        usize::try_from(healthy) == Ok(scrape.count("teams_rooms_device_info"))
    };
    exporter.wait_until("a healthy fleet", healthy).await;
    let fleet = known.count("teams_rooms_device_info");
    assert!((7..=20).contains(&fleet), "{fleet} devices fit one batch");
    let turn = fleet.div_ceil(6);

    // Nothing changes: each batch is a share of the rotation, and none comes twice before all have come. The first
    // batches may still be about the edits.
    exporter.sim.clear_requests();
    let quiet = next_batches(&exporter, 5).await;
    let (_, steady) = quiet.split_at(2);
    assert!(steady.iter().all(|batch| batch.len() == turn), "{quiet:?}");
    let distinct: BTreeSet<&String> = steady.iter().flatten().collect();
    assert_eq!(distinct.len(), turn * steady.len(), "{steady:?}");

    // One changes: it is asked for once more than its turn comes.
    let changed = &steady[2][0]; // whose turn is over
    exporter.sim.clear_requests();
    exporter.sim.edit(changed, json!({"device": {"companyAssetTag": "moved"}}));
    let after = next_batches(&exporter, 3).await;
    let asked: Vec<usize> =
        after.iter().map(|batch| batch.iter().filter(|device| *device == changed).count()).collect();
    let sizes: Vec<usize> = after.iter().map(Vec::len).collect();
    assert_eq!(asked.iter().sum::<usize>(), 1, "{after:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 3 * turn + 1, "{after:?}");

    // One is not well: it is asked for in each cycle.
    exporter.sim.edit(changed, json!({"device": {"healthStatus": "critical"}}));
    let sick = |scrape: &Scrape| scrape.sum("teams_rooms_device_health_state", &["state=\"critical\""]) > 0.0;
    exporter.wait_until("a sick device", sick).await;
    exporter.sim.clear_requests();
    let after = next_batches(&exporter, 3).await;
    assert!(after.iter().all(|batch| batch.contains(changed) && batch.len() == turn + 1), "{after:?}");
    exporter.stop().await;
}

/// A scrape walks over what is there: it renders no block, and asks Graph nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_renders_nothing_and_asks_nothing() {
    let configure =
        |config: &mut Config| config.tenants[0].collectors.devices.interval = Duration::from_hours(1);
    let exporter = Exporter::start(Scenario { configure: Box::new(configure), ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    let rendered = |scrape: &Scrape| scrape.total("teams_rooms_exporter_blocks_rendered_total", &[]);
    let (mut last, mut same) = (0, 0);
    let quiet = loop {
        let scrape = exporter.scrape().await;
        same = if rendered(&scrape) == last { same + 1 } else { 0 };
        last = rendered(&scrape);
        if same > 20 {
            break scrape;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    assert!(last > 0);
    exporter.sim.clear_requests();
    for _ in 0..25 {
        exporter.scrape().await;
        exporter.get_as("/metrics", "application/openmetrics-text;version=1.0.0").await;
        exporter.get("/metrics?tenant=contoso&name[]=teams_rooms_up").await;
        exporter.get_gzip("/metrics").await;
    }
    let after = exporter.scrape().await;
    assert_eq!(rendered(&after), last);
    assert_eq!(exporter.sim.requests(), []);
    assert_eq!(quiet.keys("teams_rooms_device_info"), after.keys("teams_rooms_device_info"));
    exporter.stop().await;
}

/// The stitched gzip is one member that holds what the plain text holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gzip_holds_the_same_series() {
    let exporter = Exporter::start(Scenario::default()).await;
    let plain = exporter.wait_for_everything().await;
    let packed = exporter.get_gzip("/metrics").await;
    let mut text = String::new();
    let mut member = flate2::bufread::GzDecoder::new(packed.as_slice());
    member.read_to_string(&mut text).expect("one whole member");
    assert!(member.into_inner().is_empty(), "nothing behind it");
    let unpacked = Scrape::parse(text);
    assert!(plain.series.len() > 1000);
    let own = |series: &&String| !series.contains("handler=");
    let series = |scrape: &Scrape| scrape.series.keys().filter(own).cloned().collect::<BTreeSet<_>>();
    assert_eq!(series(&plain), series(&unpacked));
    exporter.stop().await;
}

fn slow_probe(tuning: &mut Tuning) {
    tuning.probe = Duration::from_hours(1);
}

/// While nobody reads, nothing is asked; the scrape that wakes the collectors says that they slept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collection_pauses_while_nobody_reads() {
    let configure = |config: &mut Config| config.idle_after = Some(Duration::from_mins(10));
    let scenario =
        Scenario { tenant: "idle", configure: Box::new(configure), tune: slow_probe, ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    let before = exporter.wait_for_everything().await;
    let mut cores = before
        .family("teams_rooms_device_info")
        .filter(|(series, _)| label(series, "role") == "core" && !label(series, "room").is_empty());
    let device = label(cores.next().expect("a core device").0, "device_id").to_owned();
    let of_device = format!("device_id=\"{device}\"");
    let version = |version: &str| {
        json!({"device": {"healthStatus": "critical"}, "health": {"softwareUpdateHealth": {
            "teamsClientSoftwareUpdateStatus": {"currentVersion": version, "softwareFreshness": "latest"}}}})
    };
    let series = |scrape: &Scrape, name: &str, part: &str| {
        let of_part = |(series, _): &(&str, &str)| series.contains(&of_device) && series.contains(part);
        scrape.family(name).filter(of_part).count()
    };
    let since = "teams_rooms_device_health_since_timestamp_seconds";
    let changed = "teams_rooms_software_changed_timestamp_seconds";
    exporter.sim.edit(&device, version("1.0.0"));
    exporter
        .wait_until("times of what was seen to begin", |scrape| {
            series(scrape, since, "") == 1 && series(scrape, changed, "teams_client") == 1
        })
        .await;

    exporter.sim.advance(Duration::from_secs(601));
    wait(|| exporter.log().iter().any(|line| line.contains("nobody reads"))).await;
    exporter.sim.clear_requests();
    let change = json!({"device": {"healthStatus": "nonUrgent"}, "health": version("2.0.0")["health"]});
    exporter.sim.edit(&device, change);
    tokio::time::sleep(Duration::from_secs(1)).await; // ten intervals
    assert_eq!(exporter.sim.requests(), []);

    let waking = exporter.scrape().await;
    assert_eq!(COLLECTORS.map(|collector| waking.state("idle", collector)), ["paused", "paused"]);
    assert_eq!(before.count("teams_rooms_room_info"), waking.count("teams_rooms_room_info"));
    assert_eq!(series(&waking, since, ""), 0, "a time from before the pause");
    assert_eq!(series(&waking, changed, "teams_client"), 0, "a time from before the pause");
    let awake = exporter
        .wait_until("the change that fell into the pause", |scrape| {
            scrape.sum("teams_rooms_device_health_state", &[&of_device, "state=\"non_urgent\""]) > 0.0
                && series(scrape, "teams_rooms_software_info", "current_version=\"2.0.0\"") == 1
                && COLLECTORS.iter().all(|collector| scrape.state("idle", collector) == "ok")
        })
        .await;
    assert!(!exporter.sim.requests().is_empty());
    assert_eq!(series(&awake, since, ""), 0, "nobody saw when");
    assert_eq!(series(&awake, changed, "teams_client"), 0, "nobody saw when");
    exporter.stop().await;
}

/// An attempt that the pause overtakes does not end it: the scrape that wakes the collectors says that they slept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_ends_in_the_pause_stays_paused() {
    let configure = |config: &mut Config| config.idle_after = Some(Duration::from_mins(10));
    let scenario = Scenario { tenant: "overtaken", configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_everything().await;
    // The attempts under way end in the pause, and none begins after them.
    exporter.sim.set_faults(parse(&["slow_source=devices=2500"]));
    exporter.sim.clear_requests();
    exporter.sim.advance(Duration::from_secs(601));
    wait(|| exporter.log().iter().any(|line| line.contains("nobody reads"))).await;
    let ended = |collector: &str| {
        let of_collector = format!("collector={collector}");
        let log = exporter.log();
        let paused = log.iter().position(|line| line.contains("nobody reads")).unwrap_or(log.len());
        log.iter().skip(paused).any(|line| line.contains("collected") && line.contains(&of_collector))
    };
    wait(|| ended("devices")).await;
    let waking = exporter.scrape().await;
    assert_eq!(COLLECTORS.map(|collector| waking.state("overtaken", collector)), ["paused", "paused"]);
    exporter.stop().await;
}

/// Waits without reading the exporter.
async fn wait(expected: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !expected() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it comes");
}
