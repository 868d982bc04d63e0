//! One test for each way in which Graph misbehaves: nothing disappears, the state says what is wrong, and the end
//! of the fault is found without help.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
        let well = exporter
            .wait_until(format!("recovered from {:?}", self.faults), |scrape| {
                COLLECTORS.iter().all(|collector| scrape.state("contoso", collector) == "ok")
            })
            .await;
        for collector in COLLECTORS {
            assert_eq!(well.collector("consecutive_failures", "contoso", collector), Some(0.0));
            let success = well.collector("last_success_timestamp_seconds", "contoso", collector);
            assert_eq!(success.map(seconds), Some(exporter.sim.now().as_second()));
        }
        well
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
    for (series, value) in &scrape.series {
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
        case(&["throttle"], "throttled", "throttled"),
        case(&["throttle_fraction=0.1"], "throttled", "throttled"),
        case(&["throttle_bare"], "throttled", "throttled"),
        case(&["throttle_items=0"], "ok", "throttled"),
    ])
    .await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawn() {
    check_all(vec![
        case(&["retired=404"], "retired", "retired"),
        case(&["retired=410"], "retired", "retired"),
        case(&["retired=501"], "retired", "retired"),
    ])
    .await;
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
