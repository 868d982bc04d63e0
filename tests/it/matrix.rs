//! Every source against every fault of Graph: the source that is struck says what is wrong, and no other loses anything.
//!
//! Each row is a source, each column a fault; `tests/golden/matrix.txt` has the states. All rows run side by side, each
//! with a tenant of its own in which time stands still, so that whatever differs is the work of the fault.

use std::collections::BTreeMap;
use std::time::Duration;

use teams_rooms_exporter::app::Tuning;
use teams_rooms_exporter::config::{Config, Enabled};

use crate::exporter::{Exporter, Scenario, Scrape, parse, spawn, standing};
use crate::golden::compare_text;
use crate::sources::{ALL, pass};

/// A source, and how it is struck.
struct Row {
    collector: &'static str,
    /// A request of each of its cycles.
    asks: &'static str,
    /// The parts of the simulated tenant that it reads.
    reads: &'static [&'static str],
    /// Another source whose requests Microsoft throttles together with these.
    shares_limit_with: Option<&'static str>,
    /// What is other than usual: a fault, and the state that it means here.
    but: &'static [(&'static str, &'static str)],
}

/// A fault of one part of the tenant, as the simulation spells it, and the state that it usually means.
struct Fault {
    name: &'static str,
    spelled: &'static str,
    state: &'static str,
}

const ROWS: [Row; 9] = [
    Row {
        collector: "devices",
        asks: "/beta/teamwork/devices",
        reads: &["device_list"],
        shares_limit_with: Some("device_health"),
        but: &[],
    },
    Row {
        collector: "device_health",
        asks: "/beta/$batch",
        reads: &["device_health"],
        shares_limit_with: Some("devices"),
        // 404 says that a device reports nothing, which of all devices at once is not believed.
        but: &[("404", "empty"), ("foreign link", "ok"), ("empty", "empty")],
    },
    Row {
        collector: "presence",
        asks: "/v1.0/communications/getPresencesByUserId",
        reads: &["presence"],
        shares_limit_with: None,
        // Graph leaves out accounts without a licence, and it has no pages.
        but: &[("short list", "ok"), ("foreign link", "ok")],
    },
    Row {
        collector: "places",
        asks: "/v1.0/places/microsoft.graph.room",
        reads: &["places"],
        shares_limit_with: Some("calendar"),
        but: &[],
    },
    Row {
        collector: "calendar",
        asks: "/v1.0/users/{mailbox}/calendar/getSchedule",
        reads: &["calendar"],
        shares_limit_with: Some("places"),
        but: &[("foreign link", "ok")],
    },
    Row {
        collector: "accounts",
        asks: "/v1.0/subscribedSkus",
        reads: &["users", "licenses"],
        shares_limit_with: Some("credentials"),
        // Where the lists are empty, the accounts of rooms are asked for one by one.
        but: &[("empty", "partial")],
    },
    Row {
        collector: "intune",
        asks: "/v1.0/deviceManagement/managedDevices",
        reads: &["intune"],
        shares_limit_with: None,
        but: &[],
    },
    Row {
        collector: "service_health",
        asks: "/v1.0/admin/serviceAnnouncement/healthOverviews",
        reads: &["service_health"],
        shares_limit_with: None,
        // Half of the issues might be the half without the incident.
        but: &[("foreign link", "malformed")],
    },
    Row {
        collector: "credentials",
        asks: "/v1.0/applications(appId='{id}')",
        reads: &["applications"],
        shares_limit_with: Some("accounts"),
        // One application is no list.
        but: &[("short list", "ok"), ("foreign link", "ok")],
    },
];

const fn fault(name: &'static str, spelled: &'static str, state: &'static str) -> Fault {
    Fault { name, spelled, state }
}

/// The last one lasts for an hour, whatever becomes of the tenant.
const FAULTS: [Fault; 12] = [
    fault("429 bare", "throttle_bare@{}", "throttled"),
    fault("403", "forbidden_source={}", "forbidden"),
    fault("404", "no_source={}", "unreachable"),
    fault("410", "gone@{}", "unreachable"),
    fault("500", "error500@{}", "unreachable"),
    fault("timeout", "slow_source={}=3600000", "unreachable"),
    fault("slow drip", "drip@{}=60000", "unreachable"),
    fault("malformed", "html@{}", "malformed"),
    fault("empty", "empty@{}", "empty"),
    fault("short list", "short@{}", "partial"),
    fault("foreign link", "foreign_link@{}=127.0.0.1:9", "partial"),
    fault("429 for 1 h", "throttle@{}=3600", "throttled"),
];

const HOURLONG: &str = "429 for 1 h";

/// Cycles of every other source that a fault must let pass.
const CYCLES: usize = 3;

impl Row {
    fn faults(&self, fault: &Fault) -> Vec<String> {
        // Of the details nothing is a list; empty is what says that no device has any.
        let spelled = match (self.collector, fault.name) {
            ("device_health", "empty") => "no_health@{}",
            _ => fault.spelled,
        };
        self.reads.iter().map(|part| spelled.replace("{}", part)).collect()
    }

    /// The state of a collector while the fault lasts: that of this row, or of another one.
    fn state(&self, fault: &Fault, collector: &str) -> &'static str {
        let own =
            self.but.iter().find(|(name, _)| *name == fault.name).map_or(fault.state, |(_, state)| *state);
        // Where the list is gone, a 404 of a detail says nothing any more.
        let follows = self.collector == "devices" && ["404", "410"].contains(&fault.name);
        let waits = fault.name == HOURLONG && self.shares_limit_with == Some(collector);
        let shares = waits || (follows && collector == "device_health");
        if collector == self.collector || shares { own } else { "ok" }
    }

    /// Whether every collector shows what it should.
    fn is_shown(&self, fault: &Fault, scrape: &Scrape) -> bool {
        ALL.iter().all(|collector| scrape.state("contoso", collector) == self.state(fault, collector))
    }

    /// What the table says: the state, and which others show it, too.
    fn cell(&self, fault: &Fault, scrape: &Scrape) -> String {
        let own = scrape.state("contoso", self.collector);
        let others = ALL.iter().filter(|other| **other != self.collector);
        let others = others.filter(|other| scrape.state("contoso", other) != "ok").copied();
        let others: Vec<&str> = others.collect();
        let changes_nothing = self.but.contains(&(fault.name, "ok"));
        match (changes_nothing, others.is_empty()) {
            (true, _) => "-".to_owned(),
            (false, true) => own.to_owned(),
            (false, false) => format!("{own} (and {})", others.join(", ")),
        }
    }
}

/// All that is shown but the exporter itself and how its sources are doing: nothing of it may change.
fn shown(scrape: &Scrape) -> BTreeMap<&str, &str> {
    let of_exporter = ["process_", "teams_rooms_collector_", "teams_rooms_graph_", "teams_rooms_exporter_"];
    let of_exporter = |series: &str| of_exporter.iter().any(|prefix| series.starts_with(prefix));
    let of_token = |series: &str| series.starts_with("teams_rooms_token_");
    let all = scrape.series.iter().filter(|(series, _)| !of_exporter(series) && !of_token(series));
    all.map(|(series, value)| (series.as_str(), value.as_str())).collect()
}

/// How many cycles a source has made since the record of requests was cleared.
fn cycles(exporter: &Exporter, row: &Row) -> usize {
    exporter.sim.requests().iter().filter(|request| request.operation == row.asks).count()
}

/// Waits until each of these sources has gone its way several times.
async fn let_pass(exporter: &Exporter, rows: impl Fn(&Row) -> bool, when: &str) -> Scrape {
    let others: Vec<&Row> = ROWS.iter().filter(|row| rows(row)).collect();
    let names: Vec<&str> = others.iter().map(|row| row.collector).collect();
    let passed = |_: &Scrape| others.iter().all(|other| cycles(exporter, other) >= CYCLES);
    exporter.wait_until(format!("{CYCLES} cycles of {names:?} {when}"), passed).await
}

async fn strike(exporter: &Exporter, before: &Scrape, row: &Row, fault: &Fault) -> String {
    let faults = row.faults(fault);
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    exporter.sim.set_faults(parse(&faults));
    exporter.sim.clear_requests();
    let what = format!("the states under {faults:?}");
    exporter.wait_until(what, |scrape| row.is_shown(fault, scrape)).await;
    let goes_on = |other: &Row| row.state(fault, other.collector) == "ok";
    let_pass(exporter, goes_on, fault.name).await;
    if fault.name == HOURLONG {
        exporter.sim.clear_requests();
        let_pass(exporter, goes_on, fault.name).await;
        for waiting in ROWS.iter().filter(|other| !goes_on(other)) {
            assert_eq!(cycles(exporter, waiting), 0, "{} waits", waiting.collector);
        }
    }
    let during = exporter.wait_until("states that last", |scrape| row.is_shown(fault, scrape)).await;
    let (then, now) = (shown(before), shown(&during));
    let lost: Vec<_> = then.iter().filter(|(series, value)| now.get(*series) != Some(value)).collect();
    assert!(lost.is_empty() && now.len() == then.len(), "{faults:?}: {lost:?}");
    assert_eq!(during.value("teams_rooms_up{tenant=\"contoso\"}"), Some("1"), "{faults:?}");
    row.cell(fault, &during)
}

async fn recover(exporter: &Exporter) {
    exporter.sim.set_faults(Vec::new());
    let is_well = |scrape: &Scrape| ALL.iter().all(|collector| scrape.state("contoso", collector) == "ok");
    exporter.wait_until("all well again", is_well).await;
}

/// Every source is read a few times a second, and every detail in each cycle.
fn often(config: &mut Config) {
    let interval = Duration::from_millis(250);
    for tenant in &mut config.tenants {
        tenant.collectors.devices.interval = interval;
        tenant.collectors.device_health.rotation = interval;
        for source in standing(&mut tenant.collectors) {
            (source.enabled, source.interval) = (Enabled::Yes, interval);
        }
    }
}

/// What hangs is given up soon, and not so soon that a busy machine looks like it.
fn tune(tuning: &mut Tuning) {
    tuning.graph.request_timeout = Duration::from_secs(1);
    tuning.graph.attempts = 2;
}

async fn run(row: &Row) -> Vec<String> {
    let scenario = Scenario { rooms: 8, configure: Box::new(often), tune, ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_every_source().await;
    recover(&exporter).await;
    // A vote can take two polls. Time does not pass, so what is shown after them stays.
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    let mut cells = Vec::new();
    for fault in &FAULTS {
        cells.push(strike(&exporter, &before, row, fault).await);
        if fault.name != HOURLONG {
            recover(&exporter).await;
        }
    }
    exporter.stop().await;
    cells
}

/// The table in words: a line for each fault, a column for each source.
fn table(cells: &[Vec<String>]) -> String {
    let mut lines = Vec::new();
    for (row, cells) in ROWS.iter().zip(cells) {
        for (fault, cell) in FAULTS.iter().zip(cells) {
            lines.push(format!("{:<15} {:<13} {cell}\n", row.collector, fault.name));
        }
        lines.push("\n".to_owned());
    }
    let head = "# Each source under each fault of Graph: its state, and which others show the same; all the rest is ok, goes on\n\
                # at its pace and loses nothing. A dash: the fault means nothing to this source.\n\n";
    head.to_owned() + lines.concat().trim_end() + "\n"
}

/// One source after another hangs for good, until the last one is alone; it still goes its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_that_hang_hold_up_no_other() {
    let tune = |tuning: &mut Tuning| tuning.graph.request_timeout = Duration::from_hours(1);
    let scenario = Scenario { rooms: 8, configure: Box::new(often), tune, ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_every_source().await;
    let (mut faults, mut hanging) = (Vec::new(), Vec::new());
    for row in &ROWS {
        faults.extend(row.reads.iter().map(|part| format!("slow_source={part}=3600000")));
        hanging.push(row.collector);
        exporter.sim.set_faults(parse(&faults.iter().map(String::as_str).collect::<Vec<_>>()));
        exporter.sim.clear_requests();
        let goes_on = |other: &Row| !hanging.contains(&other.collector);
        let_pass(&exporter, goes_on, "while the others hang").await;
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_costs_no_other_anything() {
    let rows: Vec<_> = ROWS.iter().map(|row| spawn(run(row))).collect();
    let mut cells = Vec::new();
    for row in rows {
        cells.push(row.await.expect("the row passes"));
    }
    let table = table(&cells);
    println!("{table}");
    compare_text("tests/golden/matrix.txt", &table);
}
