//! One test for each way in which Graph misbehaves: nothing disappears, the state says what is wrong, and the end
//! of the fault is found without help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use teams_rooms_exporter::app::Tuning;
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::sim;
use tokio::net::TcpListener;

use crate::exporter::{COLLECTORS, Exporter, Scenario, Scrape, label, parse, seconds, spawn, start_world};

/// A fault, and the states of both collectors while it lasts.
struct Case {
    faults: &'static [&'static str],
    devices: &'static str,
    device_health: &'static str,
    tune: fn(&mut Tuning),
}

const fn case(faults: &'static [&'static str], devices: &'static str, device_health: &'static str) -> Case {
    Case { faults, devices, device_health, tune: |_| {} }
}

impl Case {
    fn states(&self) -> [(&'static str, &'static str); 2] {
        [("devices", self.devices), ("device_health", self.device_health)]
    }

    /// Sets the faults on an exporter that has read everything; gives the scrapes before and during them.
    async fn strike(&self) -> (Exporter, Scrape, Scrape) {
        let exporter = Exporter::start(Scenario { tune: self.tune, ..Scenario::default() }).await;
        let before = exporter.wait_for_everything().await;
        exporter.sim.set_faults(parse(self.faults));
        let what = format!("{:?} from {:?}", self.states(), self.faults);
        exporter.wait_until(what, |scrape| self.is_shown(scrape)).await;
        let during = exporter.wait_for_attempts().await;
        assert!(self.is_shown(&during), "{:?}: the state is not steady", self.faults);
        (exporter, before, during)
    }

    fn is_shown(&self, scrape: &Scrape) -> bool {
        self.states().iter().all(|(collector, state)| scrape.state("contoso", collector) == *state)
    }

    /// While it lasts, the numbers of the collectors tell of it.
    fn check_numbers(&self, before: &Scrape, during: &Scrape) {
        for (collector, state) in self.states() {
            let number = |scrape: &Scrape, gauge| scrape.collector(gauge, "contoso", collector);
            let good = matches!(state, "ok" | "partial");
            let context = format!("{:?}: {collector}", self.faults);
            assert_eq!(number(during, "success"), Some(f64::from(u8::from(good))), "{context}");
            let failures = number(during, "consecutive_failures").expect("always there");
            assert_eq!(failures > 0.0, !good, "{context}: {failures} failures");
            let (then, now) = (
                number(before, "last_success_timestamp_seconds"),
                number(during, "last_success_timestamp_seconds"),
            );
            assert_eq!(now > then, good, "{context}: last success {then:?}, then {now:?}");
        }
    }

    /// The fault ends, and everything is well by itself.
    async fn recover(&self, exporter: &Exporter) -> Scrape {
        exporter.sim.set_faults(Vec::new());
        let now = exporter.sim.now().as_second();
        exporter
            .wait_until(format!("recovered from {:?}", self.faults), |scrape| {
                COLLECTORS.iter().all(|collector| {
                    let success = scrape.collector("last_success_timestamp_seconds", "contoso", collector);
                    scrape.state("contoso", collector) == "ok"
                        && success.map(seconds) == Some(now)
                        && scrape.collector("consecutive_failures", "contoso", collector) == Some(0.0)
                })
            })
            .await
    }
}

/// Every room and device is there, under the labels it had.
#[track_caller]
fn check_nothing_lost(faults: &[&str], before: &Scrape, after: &Scrape) {
    for family in ["teams_rooms_room_info", "teams_rooms_device_info"] {
        assert!(before.count(family) > 0);
        assert_eq!(before.keys(family), after.keys(family), "{faults:?}");
    }
}

/// Of each state set exactly one series is 1.
#[track_caller]
fn check_state_sets(scrape: &Scrape) {
    let mut sets: BTreeMap<&str, f64> = BTreeMap::new();
    let gauges = scrape.series.iter().filter(|(series, _)| !series.contains("_total{"));
    for (series, value) in gauges {
        if let Some((entity, _)) = series.split_once(",state=\"") {
            *sets.entry(entity).or_default() += value.parse::<f64>().expect("a number");
        }
    }
    assert!(sets.len() > 10);
    let wrong: Vec<_> = sets.iter().filter(|(_, sum)| (**sum - 1.0).abs() > 0.1).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn check(case: Case) {
    let (exporter, before, during) = case.strike().await;
    check_nothing_lost(case.faults, &before, &during);
    case.check_numbers(&before, &during);
    for detail in ["teams_rooms_device_connected", "teams_rooms_peripheral_connected"] {
        assert_eq!(before.keys(detail), during.keys(detail), "{:?}", case.faults);
    }
    check_state_sets(&during);
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    let after = case.recover(&exporter).await;
    check_nothing_lost(case.faults, &before, &after);
    exporter.stop().await;
}

/// Runs cases side by side: most of a case is waiting.
async fn check_all(cases: Vec<Case>) {
    let running: Vec<_> = cases.into_iter().map(|case| spawn(check(case))).collect();
    for case in running {
        case.await.expect("the case passes");
    }
}

fn impatient(tuning: &mut Tuning) {
    tuning.graph.request_timeout = Duration::from_millis(150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling() {
    check_all(vec![
        case(&["throttle=0"], "throttled", "throttled"),
        case(&["throttle_fraction=0.1"], "throttled", "throttled"),
        case(&["throttle_bare"], "throttled", "throttled"),
        case(&["throttle_items=0"], "ok", "throttled"),
    ])
    .await;
}

/// Graph refuses each fifth request: the attempt waits as long as it is told, and brings everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_kept() {
    let waits = [("throttle=1:0.2", 1.0), ("throttle_fraction=0.3:0.2", 0.3), ("throttle_date=2:0.2", 0.9)];
    for running in waits.map(|(fault, wait)| spawn(check_wait(fault, wait))) {
        running.await.expect("the wait is kept");
    }
}

#[expect(clippy::disallowed_methods, reason = "a date in Retry-After is one of this machine's clock")]
async fn check_wait(fault: &'static str, wait: f64) {
    let settings =
        sim::Settings { rooms: 12, speed: 1.0, start: jiff::Timestamp::now(), ..sim::Settings::default() };
    let sim = start_world(settings).await;
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&[fault]));
    let waited = exporter
        .wait_until(format!("{fault} waited for"), |scrape| {
            let took = scrape.collector("duration_seconds", "contoso", "devices");
            took.is_some_and(|took| took >= wait)
        })
        .await;
    assert_eq!(waited.state("contoso", "devices"), "ok", "{fault}");
    assert!(waited.sum("teams_rooms_graph_throttled_total", &[]) > 0.0);
    assert!(waited.sum("teams_rooms_graph_retries_total", &[]) > 0.0);
    exporter.stop().await;
}

/// Graph asks for more patience than a cycle has: it is left alone, and the state still says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_retry_after_is_kept_too() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&["throttle=3000"]));
    for collector in COLLECTORS {
        exporter.wait_for_state(collector, "throttled").await;
    }
    exporter.sim.clear_requests();
    for _ in 0..3 {
        let during = exporter.wait_for_attempts().await;
        check_nothing_lost(&["throttle"], &before, &during);
        assert_eq!(
            COLLECTORS.map(|collector| during.state("contoso", collector)),
            ["throttled", "throttled"]
        );
    }
    assert_eq!(exporter.sim.requests(), []);
    exporter.stop().await;
}

/// Late is not never.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_answers_are_waited_for() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&["slow=300"]));
    let slow = exporter
        .wait_until("a slow attempt", |scrape| {
            scrape.collector("duration_seconds", "contoso", "devices").is_some_and(|took| took >= 0.3)
        })
        .await;
    assert_eq!(slow.state("contoso", "devices"), "ok");
    check_nothing_lost(&["slow"], &before, &slow);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_usable_answer() {
    check_all(vec![
        case(&["error500"], "unreachable", "unreachable"),
        case(&["error503"], "unreachable", "unreachable"),
        case(&["reset"], "unreachable", "unreachable"),
        Case { tune: impatient, ..case(&["stall"], "unreachable", "unreachable") },
        Case { tune: impatient, ..case(&["slow=5000"], "unreachable", "unreachable") },
        case(&["truncated"], "malformed", "malformed"),
        case(&["truncated=chunked"], "malformed", "malformed"),
        case(&["html"], "malformed", "malformed"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals() {
    check_all(vec![
        case(&["unauthorized"], "unauthorized", "unauthorized"),
        case(&["forbidden"], "forbidden", "forbidden"),
        case(&["expired_token", "token_html"], "malformed", "malformed"),
    ])
    .await;
}

const MINUTE: Duration = Duration::from_mins(1);

/// One bad quarter of an hour silences nothing, and its end is found at once; a longer one means that the API is gone.
async fn check_withdrawn(fault: &'static [&'static str]) {
    let passing = case(fault, "unreachable", "unreachable");
    let (exporter, before, during) = passing.strike().await;
    passing.check_numbers(&before, &during);
    exporter.sim.advance(14 * MINUTE);
    let late = exporter.wait_for_attempts().await;
    assert!(passing.is_shown(&late), "{fault:?}");
    check_nothing_lost(fault, &before, &late);
    passing.recover(&exporter).await;

    exporter.sim.set_faults(parse(fault));
    exporter.wait_until("unreachable again", |scrape| passing.is_shown(scrape)).await;
    exporter.sim.advance(14 * MINUTE);
    let late = exporter.wait_for_attempts().await;
    assert!(passing.is_shown(&late), "{fault:?}: the time counts from the last success");
    exporter.sim.advance(2 * MINUTE);
    let gone = case(fault, "retired", "retired");
    let retired = exporter.wait_until("retired", |scrape| gone.is_shown(scrape)).await;
    check_nothing_lost(fault, &before, &retired);
    gone.recover(&exporter).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawn() {
    for case in
        [&["retired=404"], &["retired=410"], &["retired=501"]].map(|fault| spawn(check_withdrawn(fault)))
    {
        case.await.expect("the case passes");
    }
}

/// Graph denies some requests of the list: a part of it has failed, and the details go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_gone_in_part() {
    let (exporter, before, _) = case(&["gone@device_list:0.3"], "partial", "ok").strike().await;
    exporter.sim.advance(20 * MINUTE);
    let during = exporter.wait_for_attempts().await;
    assert_ne!(during.state("contoso", "devices"), "retired");
    assert_eq!(during.state("contoso", "device_health"), "ok");
    check_nothing_lost(&["gone"], &before, &during);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_lists() {
    check_all(vec![
        case(&["broken_type=teamsPanel"], "partial", "ok"),
        case(&["broken_page"], "partial", "ok"),
        case(&["loop_link"], "partial", "ok"),
        case(&["empty"], "empty", "ok"),
        case(&["bad_record=string"], "ok", "ok"),
        case(&["bad_record=no_id"], "ok", "ok"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_counted() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    for fault in ["bad_record=string", "bad_record=no_id", "bad_record=types"] {
        exporter.sim.set_faults(parse(&[fault]));
        let during = exporter.wait_for_attempts().await;
        let types = before.family("teams_rooms_device_info").map(|(series, _)| label(series, "device_type"));
        let lists = types.collect::<BTreeSet<_>>().len();
        assert_eq!(lists, 5, "each list has a first row");
        assert_eq!(during.collector("skipped_items", "contoso", "devices"), Some(5.0), "{fault}");
        check_ids(&before, &during);
    }
    exporter.stop().await;
}

/// Every room and device is there; what is known of it may have changed.
#[track_caller]
fn check_ids(before: &Scrape, after: &Scrape) {
    for (family, name) in [("teams_rooms_room_info", "room_id"), ("teams_rooms_device_info", "device_id")] {
        let ids = |scrape: &Scrape| {
            let series = scrape.family(family).map(|(series, _)| series.to_owned());
            let id = |series: String| (label(&series, name).to_owned(), label(&series, "room").to_owned());
            series.map(id).collect::<BTreeSet<_>>()
        };
        assert_eq!(ids(before), ids(after));
    }
}

/// Reads every detail in each cycle.
fn eager(config: &mut Config) {
    for tenant in &mut config.tenants {
        tenant.collectors.device_health.rotation = tenant.collectors.devices.interval;
    }
}

/// Starts, reads everything, sets a fault of the data and waits until everything was read under it.
async fn under(fault: &'static str) -> (Exporter, Scrape, Scrape) {
    let exporter = Exporter::start(Scenario { configure: Box::new(eager), ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&[fault]));
    let after = exporter.wait_for_attempts().await; // ended after the fault, perhaps begun before
    let now = exporter.sim.now().as_second();
    assert_eq!(after.state("contoso", "devices"), "ok", "{fault}");
    let after = exporter
        .wait_until(format!("everything read under {fault}"), |scrape| {
            let read = scrape.family("teams_rooms_device_detail_timestamp_seconds");
            let mut read = read.filter_map(|(_, at)| at.parse::<i64>().ok());
            scrape.count("teams_rooms_device_info") == before.count("teams_rooms_device_info")
                && read.all(|at| at >= now)
        })
        .await;
    assert_eq!(after.state("contoso", "device_health"), "ok", "{fault}");
    check_ids(&before, &after);
    check_state_sets(&after);
    (exporter, before, after)
}

/// Everything but the times of reading.
fn facts(scrape: &Scrape) -> BTreeMap<&str, &str> {
    let of_fleet = |series: &str| {
        ![
            "process_",
            "teams_rooms_collector",
            "teams_rooms_graph",
            "teams_rooms_exporter",
            "teams_rooms_token",
        ]
        .iter()
        .any(|other| series.starts_with(other))
            && !series.starts_with("teams_rooms_device_detail_timestamp_seconds")
            && !series.contains("_seconds_total{")
    };
    let all = scrape.series.iter().map(|(series, value)| (series.as_str(), value.as_str()));
    all.filter(|(series, _)| of_fleet(series)).collect()
}

/// Other shapes of the same facts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_that_change_nothing() {
    let faults = ["wrapped", "pascal_case", "relative_link", "relative_link=rooted", "empty_page", "slow=1"];
    for running in faults.map(|fault| spawn(under(fault))) {
        let (exporter, before, after) = running.await.expect("the fault is borne");
        assert!(facts(&before).len() > 500);
        let changed = |(series, value): &(&str, &str)| before.value(series) != Some(value);
        let changed: Vec<_> = facts(&after).into_iter().filter(changed).collect();
        assert_eq!((facts(&before).len(), changed), (facts(&after).len(), Vec::new()));
        exporter.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_nobody_has_heard_of() {
    let (exporter, _, after) = under("new_enum=100").await;
    for family in ["teams_rooms_device_health_state", "teams_rooms_device_activity_state"] {
        let known = |series: &str| !series.contains("state=\"unknown\"");
        assert!(after.family(family).all(|(series, value)| (value == "1") != known(series)), "{family}");
    }
    for absent in ["teams_rooms_device_connected", "teams_rooms_login_connected", "teams_rooms_room_up"] {
        assert_eq!(after.count(absent), 0, "{absent}");
    }
    for field in
        ["device.healthStatus", "connection.connectionStatus", "softwareUpdateStatus.softwareFreshness"]
    {
        let field = format!("field=\"{field}\"");
        assert!(after.sum("teams_rooms_unknown_values_total", &[&field]) > 0.0, "{field}");
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_are_not_there() {
    for running in ["nulls=100", "missing_members=100"].map(|fault| spawn(under(fault))) {
        let (exporter, before, after) = running.await.expect("the fault is borne");
        assert!(before.sum("teams_rooms_device_signed_in", &[]) > 0.0);
        assert_eq!(after.total("teams_rooms_device_signed_in", &[]), 0);
        assert_eq!(after.count("teams_rooms_device_connected"), 0);
        exporter.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_are_none() {
    let (exporter, before, after) = under("bad_time=100").await;
    for family in [
        "teams_rooms_device_last_modified_timestamp_seconds",
        "teams_rooms_device_connection_last_change_timestamp_seconds",
        "teams_rooms_peripheral_last_change_timestamp_seconds",
    ] {
        assert!(before.count(family) > 0);
        assert_eq!(after.count(family), 0, "{family}");
    }
    assert_eq!(before.keys("teams_rooms_device_connected"), after.keys("teams_rooms_device_connected"));
    exporter.stop().await;
}

/// A device of which Graph reports no health keeps its place in the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_health_for_a_device() {
    let exporter = Exporter::start(Scenario { configure: Box::new(eager), ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    assert!(before.count("teams_rooms_device_connected") > 0);
    exporter.sim.set_faults(parse(&["no_health:0.5"]));
    let details = |scrape: &Scrape| scrape.count("teams_rooms_device_connected");
    let after = exporter.wait_until("fewer details", |scrape| details(scrape) < details(&before)).await;
    check_nothing_lost(&["no_health"], &before, &after);
    assert_eq!(after.state("contoso", "device_health"), "ok");
    exporter.stop().await;
}

/// That no device reports its health any more is Graph's failure, not the devices'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_health_for_any_device() {
    let exporter = Exporter::start(Scenario { configure: Box::new(eager), ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&["no_health"]));
    exporter.wait_for_state("device_health", "empty").await;
    let during = exporter.wait_for_attempts().await;
    check_nothing_lost(&["no_health"], &before, &during);
    assert_eq!(before.keys("teams_rooms_device_connected"), during.keys("teams_rooms_device_connected"));
    exporter.sim.set_faults(Vec::new());
    exporter.wait_for_state("device_health", "ok").await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_left_out_of_a_batch() {
    let exporter = Exporter::start(Scenario { configure: Box::new(eager), ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&["batch_missing_item"]));
    exporter.wait_for_state("device_health", "partial").await;
    let during = exporter.wait_for_attempts().await;
    assert_eq!(during.state("contoso", "devices"), "ok");
    assert_eq!(before.keys("teams_rooms_device_connected"), during.keys("teams_rooms_device_connected"));
    assert!(during.sum("teams_rooms_graph_requests_total", &["code=\"missing\""]) > 0.0);
    exporter.stop().await;
}

/// A refused token is renewed once, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_no_longer_do() {
    for running in
        [("expired_token", "expired"), ("forbidden_once_token", "consented")].map(|(fault, tenant)| {
            spawn(async move {
                let exporter = Exporter::start(Scenario { tenant, ..Scenario::default() }).await;
                exporter.wait_for_everything().await;
                let before = exporter.sim.tokens().len();
                exporter.sim.set_faults(parse(&[fault]));
                for _ in 0..3 {
                    let during = exporter.wait_for_attempts().await;
                    for collector in COLLECTORS {
                        assert_eq!(during.state(tenant, collector), "ok", "{fault}");
                    }
                }
                let refused = |request: &sim::RecordedRequest| matches!(request.status, 401 | 403);
                assert!(exporter.sim.requests().iter().any(refused), "{fault} never struck");
                assert_eq!(exporter.sim.tokens().len(), before + 1, "{fault}");
                let complaints: Vec<_> =
                    exporter.log().into_iter().filter(|line| line.contains("level=warn")).collect();
                assert_eq!(complaints, Vec::<String>::new(), "{fault}");
                exporter.stop().await;
            })
        })
    {
        running.await.expect("the token is renewed");
    }
}

/// A permission that is missing for good does not become a loop of sign-ins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_costs_one_sign_in() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    let before = exporter.sim.tokens().len();
    exporter.sim.set_faults(parse(&["forbidden"]));
    exporter
        .wait_until("several refusals", |scrape| {
            COLLECTORS.iter().all(|collector| {
                scrape.collector("consecutive_failures", "contoso", collector).is_some_and(|n| n >= 4.0)
            })
        })
        .await;
    assert_eq!(exporter.sim.tokens().len(), before + 1);
    exporter.stop().await;
}

/// Entra's refusal is explained, and data are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_fails() {
    for running in [
        ("expired-secret", ["expired_token", "token_error=7000222"], "the client secret has expired"),
        ("no-tenant", ["expired_token", "token_error=90002"], "the tenant does not exist"),
    ]
    .map(|(tenant, faults, words)| {
        spawn(async move {
            let exporter = Exporter::start(Scenario { tenant, ..Scenario::default() }).await;
            let before = exporter.wait_for_everything().await;
            exporter.sim.set_faults(parse(&faults));
            exporter.wait_for_state("devices", "unauthorized").await;
            let during = exporter.wait_for_state("device_health", "unauthorized").await;
            check_nothing_lost(&faults, &before, &during);
            exporter.wait_for_line(&[words]).await;
            exporter.sim.set_faults(Vec::new());
            exporter.wait_for_state("devices", "ok").await;
            exporter.wait_for_state("device_health", "ok").await;
            exporter.stop().await;
        })
    }) {
        running.await.expect("the refusal is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_sign_in_is_waited_for() {
    let exporter = Exporter::start(Scenario { tenant: "slow-sign-in", ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    let tokens = exporter.sim.tokens().len();
    exporter.sim.set_faults(parse(&["expired_token", "token_slow=400"]));
    let began = Instant::now();
    let signed_in = |_: &Scrape| exporter.sim.tokens().len() > tokens;
    exporter.wait_until("a new token", signed_in).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    let after = exporter.wait_for_attempts().await;
    assert_eq!(COLLECTORS.map(|collector| after.state(exporter.tenant, collector)), ["ok", "ok"]);
    assert!(!exporter.log().iter().any(|line| line.contains("level=warn")));
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_data_do_not_vote() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    assert!(before.count("teams_rooms_room_source_up") > 0);
    exporter.sim.set_faults(parse(&["frozen"]));
    exporter.sim.advance(Duration::from_hours(25));
    exporter.wait_for_state("devices", "frozen").await;
    let frozen = exporter.wait_for_attempts().await;
    check_nothing_lost(&["frozen"], &before, &frozen);
    for family in ["teams_rooms_room_source_up", "teams_rooms_room_up"] {
        assert_eq!(frozen.count(family), 0, "{family}");
    }
    let rooms = frozen.count("teams_rooms_room_info");
    let unknown = frozen.family("teams_rooms_room_state").filter(|(_, value)| *value == "1");
    let unknown = unknown.filter(|(series, _)| label(series, "state") == "unknown");
    assert_eq!(unknown.count(), rooms);
    assert_eq!(frozen.value("teams_rooms_up{tenant=\"contoso\"}"), Some("0"));
    exporter.sim.set_faults(Vec::new());
    let after = exporter.wait_for_state("devices", "ok").await;
    assert!(after.count("teams_rooms_room_source_up") > 0);
    exporter.stop().await;
}

/// A listener that counts who comes.
async fn stranger() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    }));
    (address, visits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_and_redirects_to_strangers_are_not_followed() {
    for (fault, states) in [("foreign_link", ["partial", "ok"]), ("redirect", ["malformed", "malformed"])] {
        let (address, visits) = stranger().await;
        let exporter = Exporter::start(Scenario::default()).await;
        let before = exporter.wait_for_everything().await;
        exporter.sim.set_faults(parse(&[&format!("{fault}={address}")]));
        for (collector, state) in COLLECTORS.into_iter().zip(states) {
            exporter.wait_for_state(collector, state).await;
        }
        let during = exporter.wait_for_attempts().await;
        check_nothing_lost(&[fault], &before, &during);
        assert_eq!(visits.load(Ordering::SeqCst), 0, "{fault}");
        exporter.sim.set_faults(Vec::new());
        exporter.wait_for_state("devices", "ok").await;
        exporter.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deprecation_is_shown() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    let (sunset, deprecation) =
        ("teams_rooms_api_sunset_timestamp_seconds", "teams_rooms_api_deprecation_timestamp_seconds");
    assert_eq!((before.count(sunset), before.count(deprecation)), (0, 0));
    exporter.sim.set_faults(parse(&["deprecation=2027-03-01"]));
    let of_tenant = |name| format!("{name}{{tenant=\"contoso\"}}");
    let (sunset, deprecation) = (of_tenant(sunset), of_tenant(deprecation));
    exporter
        .wait_until("both times", |scrape| {
            scrape.value(&sunset) == Some("1803859200") && scrape.value(&deprecation) == Some("1762560000")
        })
        .await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ignored_filter_brings_nothing_unwanted() {
    let (exporter, before, after) = under("ignore_filter").await;
    check_nothing_lost(&["ignore_filter"], &before, &after);
    let phone = |(series, _): (&str, &str)| label(series, "device_type").contains("phone");
    assert!(!after.family("teams_rooms_device_info").any(phone));
    assert!(after.count("teams_rooms_device_info") < exporter.sim.devices().len(), "the tenant has a phone");
    exporter.stop().await;
}

/// Half of the fleet is missing: not believed before the third time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sudden_fall_is_held() {
    let configure =
        |config: &mut Config| config.tenants[0].collectors.devices.interval = Duration::from_secs(1);
    let scenario = Scenario { rooms: 40, configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    let before = exporter.wait_for_everything().await;
    exporter.sim.set_faults(parse(&["shrink=50"]));
    let number = |scrape: &Scrape, gauge| scrape.collector(gauge, "contoso", "devices").map_or(0, seconds);
    let held = exporter.wait_until("held items", |scrape| number(scrape, "held_items") > 10).await;
    check_nothing_lost(&["shrink"], &before, &held);
    let devices = before.count("teams_rooms_device_info");
    let fallen =
        exporter.wait_until("a fall", |scrape| scrape.count("teams_rooms_device_info") < devices - 10).await;
    assert!(fallen.count("teams_rooms_room_info") < before.count("teams_rooms_room_info"));
    let believed = exporter.wait_until("nothing held", |scrape| number(scrape, "held_items") == 0).await;
    let left = believed.count("teams_rooms_device_info");
    assert_eq!(usize::try_from(number(&believed, "items")), Ok(left));
    exporter.sim.set_faults(Vec::new());
    let again =
        exporter.wait_until("all again", |scrape| scrape.count("teams_rooms_device_info") == devices).await;
    check_nothing_lost(&["shrink"], &before, &again);
    exporter.stop().await;
}

/// Without the permission a source that may be left out is off, and is found when the permission comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_optional_source_waits_for_its_permission() {
    let configure = |config: &mut Config| {
        let collectors = &mut config.tenants[0].collectors;
        collectors.devices.enabled = Enabled::Auto;
        collectors.device_health.enabled = Enabled::Auto;
    };
    let scenario = Scenario { faults: &["forbidden"], configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    for collector in COLLECTORS {
        exporter.wait_for_state(collector, "disabled").await;
    }
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    let asked = exporter.sim.requests().len();
    exporter.wait_for_attempts().await;
    assert!(exporter.sim.requests().len() > asked, "it is looked for again");
    exporter.sim.set_faults(Vec::new());
    let well = exporter.wait_for_everything().await;
    assert_eq!(COLLECTORS.map(|collector| well.state("contoso", collector).to_owned()), ["ok", "ok"]);
    exporter.stop().await;
}

/// The series of a device and its room, without the values.
fn series_of(scrape: &Scrape, device: &str, room: &str) -> BTreeSet<String> {
    let ours = |key: &&String| label(key, "device_id") == device || label(key, "room_id") == room;
    let passing = |key: &&String| key.starts_with("teams_rooms_room_problem");
    scrape.series.keys().filter(ours).filter(|key| !passing(key)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_out_changes_no_label() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    let (device, room) = core_of(&before);
    exporter.sim.edit(&device, json!({"device": {"currentUser": null}}));
    let problem = format!("room_id=\"{room}\",problem=\"signed_out\"");
    let signed_in = format!("device_id=\"{device}\"");
    let after = exporter
        .wait_until("a room that is signed out", |scrape| {
            scrape.total("teams_rooms_room_problem", &[&problem]) == 1
                && scrape.total("teams_rooms_device_signed_in", &[&signed_in]) == 0
        })
        .await;
    assert!(series_of(&before, &device, &room).len() > 20);
    let lost: Vec<_> =
        series_of(&before, &device, &room).difference(&series_of(&after, &device, &room)).cloned().collect();
    assert_eq!(lost, Vec::<String>::new());
    exporter.stop().await;
}

/// The core device of a room without trouble, and the id of the room.
fn core_of(scrape: &Scrape) -> (String, String) {
    let well = |room: &str| {
        let ok = format!("room_id=\"{room}\",state=\"ok\"");
        scrape.sum("teams_rooms_room_state", &[&ok]) > 0.0
    };
    let mut cores = scrape
        .family("teams_rooms_device_info")
        .filter(|(series, _)| label(series, "device_type") == "teams_room" && well(label(series, "room_id")));
    let (series, _) = cores.next().expect("a room without trouble");
    (label(series, "device_id").to_owned(), label(series, "room_id").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_counted_and_logged() {
    let exporter = Exporter::start(Scenario { tenant: "events", ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    let (device, room) = core_of(&before);
    let name = before
        .family("teams_rooms_room_info")
        .find(|(series, _)| label(series, "room_id") == room)
        .map(|(series, _)| label(series, "room").to_owned())
        .expect("the room of the device");
    let of_device = format!("device_id=\"{device}\"");
    let changes = |scrape: &Scrape, signal: &str| {
        let signal = format!("signal=\"{signal}\"");
        scrape.total("teams_rooms_state_changes_total", &[&of_device, &signal])
    };
    assert_eq!(changes(&before, "health"), 0);
    let lost = json!({"connectionStatus": "disconnected"});
    exporter.sim.edit(
        &device,
        json!({"device": {"healthStatus": "critical"}, "health": {"loginStatus": {"exchangeConnection": lost}}}),
    );
    let after = exporter
        .wait_until("both changes", |scrape| changes(scrape, "health") > 0 && changes(scrape, "exchange") > 0)
        .await;
    assert_eq!((changes(&after, "health"), changes(&after, "exchange")), (1, 1));
    assert_eq!(after.total("teams_rooms_state_changes_total", &[]), 2);
    for (signal, from, to) in [("health", "healthy", "critical"), ("exchange", "connected", "disconnected")] {
        let words = [
            "msg=\"state changed\"".to_owned(),
            format!("room=\"{name}\""),
            format!("device={device}"),
            format!("signal={signal}"),
            format!("from={from}"),
            format!("to={to}"),
        ];
        exporter.wait_for_line(&words.each_ref().map(String::as_str)).await;
        let told = exporter.log().iter().filter(|line| words.iter().all(|word| line.contains(word))).count();
        assert_eq!(told, 1, "{signal}");
    }
    exporter.stop().await;
}
