//! What ages, what survives a restart, when the exporter is ready, and what one tenant is to another.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use teams_rooms_exporter::config::{Config, MetricsFilter, Preset};

use crate::exporter::{
    COLLECTORS, Exporter, Scenario, Scrape, every_source, label, parse, start_tenant, tenant,
};

const MINUTE: Duration = Duration::from_mins(1);

const TENANT_UP: &str = "teams_rooms_up{tenant=\"contoso\"}";

/// The families of the collectors, which never age.
fn about_collectors(scrape: &Scrape) -> BTreeSet<String> {
    scrape.series.keys().filter(|key| key.starts_with("teams_rooms_collector")).cloned().collect()
}

/// The families of rooms and devices, but what is there only once the rooms have been looked at.
fn about_fleet(scrape: &Scrape) -> BTreeSet<String> {
    let of_fleet = |key: &&String| !label(key, "room").is_empty() || !label(key, "device_id").is_empty();
    let looked_at = |key: &&String| key.contains("_seconds_total{") || key.contains("room_state_since");
    scrape.series.keys().filter(of_fleet).filter(|key| !looked_at(key)).cloned().collect()
}

/// Nothing more and nothing less; says only what differs.
#[track_caller]
fn check_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    assert!(!before.is_empty());
    let differing: Vec<_> = before.symmetric_difference(after).collect();
    assert_eq!(differing, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_expire_and_collectors_stay() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    assert_eq!(before.value(TENANT_UP), Some("1"));
    exporter.sim.set_faults(parse(&["error503"]));
    exporter.wait_for_state("devices", "unreachable").await;

    exporter.sim.advance(29 * MINUTE);
    let aged = exporter.wait_for_attempts().await;
    check_same(&about_fleet(&before), &about_fleet(&aged));
    assert_eq!(aged.value(TENANT_UP), Some("1"));

    exporter.sim.advance(2 * MINUTE);
    let expired = exporter
        .wait_until("no room and no fresh source", |scrape| {
            about_fleet(scrape).is_empty() && scrape.value(TENANT_UP) == Some("0")
        })
        .await;
    let stay: BTreeSet<String> = about_collectors(&before);
    assert!(stay.len() > 30);
    let about = about_collectors(&expired);
    let gone: Vec<_> = stay.difference(&about).collect();
    assert_eq!(gone, Vec::<&String>::new());

    exporter.sim.set_faults(Vec::new());
    let again = exporter.wait_for_everything().await;
    assert_eq!(again.keys("teams_rooms_room_info"), before.keys("teams_rooms_room_info"));
    exporter.stop().await;
}

/// Only the detail fails: it vanishes at its own time, and the list stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_expire_by_themselves() {
    let exporter = Exporter::start(Scenario::default()).await;
    let before = exporter.wait_for_everything().await;
    let details = [
        "teams_rooms_device_connected",
        "teams_rooms_login_connected",
        "teams_rooms_peripheral_connected",
        "teams_rooms_software_info",
        "teams_rooms_device_detail_timestamp_seconds",
    ];
    exporter.sim.set_faults(parse(&["throttle_items=0"]));
    exporter.wait_for_state("device_health", "throttled").await;
    exporter.sim.advance(60 * MINUTE);
    let aged = exporter.wait_for_attempts().await;
    for family in details.into_iter().chain(["teams_rooms_device_info"]) {
        assert!(before.count(family) > 0);
        assert_eq!(aged.keys(family), before.keys(family), "{family}");
    }
    exporter.sim.advance(31 * MINUTE);
    exporter.wait_until("no detail", |scrape| details.iter().all(|family| scrape.count(family) == 0)).await;
    let expired = exporter.wait_for_attempts().await;
    assert!(details.iter().all(|family| expired.count(family) == 0));
    for family in ["teams_rooms_device_info", "teams_rooms_device_health_state", "teams_rooms_room_info"] {
        assert_eq!(expired.keys(family), before.keys(family), "{family}");
    }
    assert_eq!(expired.value(TENANT_UP), Some("1"));
    exporter.stop().await;
}

/// A cycle that takes longer than the interval stretches both, and what is shown is what is in force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_cycle_stretches_interval_and_expiry() {
    let configure = |config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.collectors.devices.expiry = Duration::from_secs(1);
            tenant.collectors.device_health.expiry = Duration::from_secs(1);
        }
    };
    let scenario = Scenario { faults: &["slow=500"], configure: Box::new(configure), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    for (collector, cycles) in [("devices", 2.0), ("device_health", 1.0)] {
        exporter
            .wait_until(format!("stretched times of {collector}"), |scrape| {
                let gauge = |name| scrape.collector(name, exporter.tenant, collector);
                let cycle = gauge("duration_seconds").map(|took| took * cycles);
                let near = |gauge: Option<f64>, cycles: f64| {
                    gauge.zip(cycle).is_some_and(|(gauge, cycle)| (gauge - cycles * cycle).abs() < 0.001)
                };
                cycle >= Some(0.5)
                    && near(gauge("interval_seconds"), 1.0)
                    && near(gauge("expiry_seconds"), 3.0)
            })
            .await;
    }
    exporter.stop().await;
}

fn stored(directory: &Path) -> PathBuf {
    directory.join("contoso.json")
}

/// The next run begins where the last one ended, whatever Graph says meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = || Scenario { storage_path: Some(directory.path().to_owned()), ..Scenario::default() };
    let exporter = Exporter::start(scenario()).await;
    let first = exporter.wait_for_everything().await;
    let devices: Vec<String> = first
        .family("teams_rooms_device_info")
        .filter(|(series, _)| label(series, "role") == "core" && !label(series, "room").is_empty())
        .map(|(series, _)| label(series, "device_id").to_owned())
        .collect();
    let [signed_out, critical, leaving, ..] = &devices[..] else { panic!("three core devices") };
    exporter.sim.edit(signed_out, json!({"device": {"currentUser": null}}));
    exporter.sim.edit(critical, json!({"device": {"healthStatus": "critical"}}));
    let since = "teams_rooms_device_health_since_timestamp_seconds";
    let counted = "teams_rooms_state_changes_total";
    let before = exporter
        .wait_until("both changes", |scrape| {
            scrape.sum("teams_rooms_room_problem", &["problem=\"signed_out\""])
                > first.sum("teams_rooms_room_problem", &["problem=\"signed_out\""])
                && scrape.sum(counted, &[critical]) > 0.0
                && scrape.sum(since, &[critical]) > 0.0
        })
        .await;
    let sim = exporter.stop().await;
    let kept = std::fs::read_to_string(stored(directory.path())).expect("kept");
    assert!(kept.contains(critical) && !kept.contains("changes"), "counters are never kept");
    assert!(!kept.contains(sim.secret()) && !sim.tokens().iter().any(|token| kept.contains(token)));

    // Graph is out of reach: everything is served at once.
    sim.set_faults(parse(&["error503"]));
    sim.clear_requests();
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    let success = "teams_rooms_collector_last_success_timestamp_seconds";
    let restored = exporter
        .wait_until("what was kept", |scrape| {
            scrape.count("teams_rooms_devices_without_room") > 0 && scrape.count(success) > 1
        })
        .await;
    check_same(&about_fleet(&before), &about_fleet(&restored));
    assert_eq!(restored.total(since, &[critical]), before.total(since, &[critical]));
    assert_eq!(restored.total(counted, &[]), 0);
    for collector in COLLECTORS {
        exporter.wait_for_state(collector, "unreachable").await;
        let success = restored.collector("last_success_timestamp_seconds", "contoso", collector);
        let kept = before.collector("last_success_timestamp_seconds", "contoso", collector);
        assert_eq!(success, kept, "when what is shown was read");
    }

    // Graph is back, without one device.
    exporter.sim.remove(leaving);
    exporter.sim.set_faults(Vec::new());
    let gone = |scrape: &Scrape| scrape.sum("teams_rooms_device_info", &[leaving]) < 0.5;
    let after = exporter.wait_until("one device less", gone).await;
    assert_eq!(
        after.count("teams_rooms_device_info") + 1,
        before.count("teams_rooms_device_info"),
        "and no other"
    );
    assert_eq!(after.total(counted, &[]), 0, "what a restart finds as it left it has not changed");
    exporter.stop().await;
}

/// The exporter was away for longer than what it had read holds: nobody knows what happened meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_after_a_long_stop_keeps_no_time_that_the_exporter_saw() {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = || Scenario { storage_path: Some(directory.path().to_owned()), ..Scenario::default() };
    let since = "teams_rooms_device_health_since_timestamp_seconds";
    let mut exporter = Exporter::start(scenario()).await;
    let first = exporter.wait_for_everything().await;
    let device = first.family("teams_rooms_device_info").find(|(key, _)| label(key, "role") == "core");
    let device = label(device.expect("a core device").0, "device_id").to_owned();
    exporter.sim.edit(&device, json!({"device": {"healthStatus": "critical"}}));
    exporter.wait_until("its beginning", |scrape| scrape.sum(since, &[&device]) > 0.0).await;
    for (away, kept) in [(29 * MINUTE, true), (31 * MINUTE, false)] {
        let sim = exporter.stop().await;
        sim.advance(away);
        exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
        let after = exporter.wait_for_everything().await;
        assert_eq!(after.sum(since, &[&device]) > 0.0, kept, "{away:?}");
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_a_warning_and_a_clean_start() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("damaged.json"), "{\"format\":1,\"tenant_id\":").expect("written");
    let storage_path = Some(directory.path().to_owned());
    let exporter = Exporter::start(Scenario { tenant: "damaged", storage_path, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter.wait_for_line(&["level=warn", "nothing restored", "damaged.json"]).await;
    exporter.stop().await;
    let kept = std::fs::read_to_string(directory.path().join("damaged.json")).expect("written anew");
    serde_json::from_str::<serde_json::Value>(&kept).expect("whole");
}

/// Ready is when the first attempt has ended, however it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_waits_for_the_first_attempt() {
    let scenario = Scenario {
        faults: &["stall"],
        tune: |tuning| tuning.graph.request_timeout = Duration::from_millis(600),
        ..Scenario::default()
    };
    let exporter = Exporter::start(scenario).await;
    let (status, awaited) = exporter.get("/-/ready").await;
    assert_eq!(
        (status, awaited.trim()),
        (503, "waiting for the first attempt of collector devices of tenant contoso")
    );
    assert_eq!(exporter.get("/-/healthy").await.0, 200);
    let starting = exporter
        .wait_until("what is known at the start", |scrape| {
            scrape.state("contoso", "devices") == "starting"
                && scrape.collector("success", "contoso", "devices") == Some(0.0)
        })
        .await;
    assert_eq!(starting.count("teams_rooms_collector_last_attempt_timestamp_seconds"), 0);
    exporter.wait_for_state("devices", "unreachable").await;
    exporter.wait_for_state("device_health", "unreachable").await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    exporter.stop().await;
}

/// Two tenants, of which the second cannot be read.
async fn two_tenants() -> Exporter {
    let broken = start_tenant(12, &["error503"]).await;
    let configure = move |config: &mut Config| config.tenants.push(tenant("fabrikam", &broken));
    let exporter = Exporter::start(Scenario { configure: Box::new(configure), ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter
        .wait_until("one read and one not", |scrape| {
            COLLECTORS.iter().all(|collector| {
                scrape.state("contoso", collector) == "ok"
                    && scrape.state("fabrikam", collector) == "unreachable"
                    && scrape.collector("duration_seconds", "contoso", collector).is_some()
                    && scrape.collector("duration_seconds", "fabrikam", collector).is_some()
            })
        })
        .await;
    exporter
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_strangers_to_each_other() {
    let exporter = two_tenants().await;
    let all = exporter
        .wait_until("all rooms of the good one", |scrape| scrape.count("teams_rooms_room_info") == 12)
        .await;
    assert_eq!(all.value(TENANT_UP), Some("1"));
    assert_eq!(all.value("teams_rooms_up{tenant=\"fabrikam\"}"), Some("0"));
    assert!(about_fleet(&all).iter().all(|series| label(series, "tenant") == "contoso"));

    for name in ["contoso", "fabrikam"] {
        let one = Scrape::parse(exporter.get(&format!("/metrics?tenant={name}")).await.1);
        assert!(one.series.len() > 30);
        let strangers: Vec<_> = one.series.keys().filter(|series| label(series, "tenant") != name).collect();
        assert_eq!(strangers, Vec::<&String>::new());
        let of_tenant = |series: &&String| label(series, "tenant") == name;
        let expected: BTreeSet<_> = all.series.keys().filter(of_tenant).collect();
        assert_eq!(one.series.keys().collect::<BTreeSet<_>>(), expected);
    }
    assert_eq!(exporter.get("/metrics?tenant=nobody").await.0, 404);
    // What belongs to none, and only that: the second job of alerts/prometheus.yml.
    let process = Scrape::parse(exporter.get("/metrics?tenant=").await.1);
    let expected = all.series.keys().filter(|series| label(series, "tenant").is_empty());
    assert_eq!(process.series.keys().collect::<BTreeSet<_>>(), expected.collect());
    assert_eq!(process.value("teams_rooms_config_last_reload_successful"), Some("1"));
    assert_eq!(exporter.get("/metrics?tenant=contoso&tenant=fabrikam").await.0, 400);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_can_be_asked_for_by_name() {
    let exporter = two_tenants().await;
    let families = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.series.keys().map(|key| key.split('{').next().unwrap_or_default().to_owned()).collect()
    };
    let asked = "name[]=teams_rooms_up&name[]=teams_rooms_graph_requests_total";
    let two = Scrape::parse(exporter.get(&format!("/metrics?{asked}")).await.1);
    let expected = ["teams_rooms_up", "teams_rooms_graph_requests_total"].map(str::to_owned);
    assert_eq!(families(&two), BTreeSet::from(expected.clone()));
    assert_eq!(two.count("teams_rooms_up"), 2);
    assert!(!two.text.contains("# TYPE process_"), "no header without its family");
    let one = Scrape::parse(exporter.get(&format!("/metrics?{asked}&tenant=fabrikam")).await.1);
    assert_eq!(families(&one), BTreeSet::from(expected));
    assert!(one.series.keys().all(|key| label(key, "tenant") == "fabrikam"));
    let (status, words) = exporter.get("/metrics?name[]=teams_rooms_upp").await;
    assert_eq!((status, words.contains("teams_rooms_upp")), (400, true));
    exporter.stop().await;
}

/// What docs/sizing.md promises: all sources are read, and each room has its usual devices.
const LEAN_SERIES_PER_ROOM: usize = 70;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lean_preset_costs_at_most_seventy_series_a_room() {
    // Added to the preset, and what shows that everything was read.
    let added = [
        "teams_rooms_device_detail_timestamp_seconds",
        "teams_rooms_room_presence_state",
        "teams_rooms_room_booked_seconds_total",
    ];
    let allow = added.map(str::to_owned).to_vec();
    let lean = move |config: &mut Config| {
        every_source(config);
        config.metrics = MetricsFilter { preset: Preset::Lean, allow, deny: Vec::new() };
    };
    let scenario = Scenario { rooms: 60, configure: Box::new(lean), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    let scrape = exporter.wait_for_every_source().await;
    let rooms = scrape.count("teams_rooms_room_info");
    let is_lean = |key: &&String| key.contains("room=\"") && !added.iter().any(|name| key.starts_with(name));
    let of_rooms = scrape.series.keys().filter(is_lean).count();
    assert!(of_rooms <= LEAN_SERIES_PER_ROOM * rooms, "{of_rooms} series of {rooms} rooms");
    assert!(
        of_rooms >= LEAN_SERIES_PER_ROOM / 2 * rooms,
        "{of_rooms} series of {rooms} rooms: not all was read"
    );
    assert_eq!(scrape.count("teams_rooms_peripheral_info"), 0);
    assert!(scrape.count("teams_rooms_collector_success") > 0 && scrape.count("process_open_fds") == 1);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allow_and_deny_trim_families() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let kept = [
        "teams_rooms_device_info",
        "teams_rooms_device_detail_timestamp_seconds",
        "teams_rooms_collector_success",
        "teams_rooms_collector_last_success_timestamp_seconds",
        "teams_rooms_collector_duration_seconds",
        "teams_rooms_graph_requests_total",
    ];
    let (allow, deny) = (names(&kept), names(&["teams_rooms_graph_requests_total", "process_open_fds"]));
    let allowed = move |config: &mut Config| config.metrics.allow = allow;
    let denied = move |config: &mut Config| config.metrics.deny = deny;
    let exporter = Exporter::start(Scenario { configure: Box::new(allowed), ..Scenario::default() }).await;
    let few = exporter.wait_for_everything().await;
    let other = |key: &&String| !kept.iter().any(|name| key.split('{').next() == Some(name));
    assert_eq!(few.series.keys().find(other), None);
    assert!(kept.iter().all(|name| few.count(name) > 0));
    let headers: BTreeSet<_> = few.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(headers.len(), kept.len(), "{headers:?}");
    exporter.stop().await;

    let exporter = Exporter::start(Scenario { configure: Box::new(denied), ..Scenario::default() }).await;
    let most = exporter.wait_for_everything().await;
    assert!(!most.text.contains("teams_rooms_graph_requests_total"));
    assert!(!most.text.contains("process_open_fds"));
    assert!(most.count("process_max_fds") == 1 && most.count("teams_rooms_room_info") == 12);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tenant_has_its_own_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage_path = Some(directory.path().to_owned());
    let fabrikam = start_tenant(3, &[]).await;
    let configure = Box::new(move |config: &mut Config| config.tenants.push(tenant("fabrikam", &fabrikam)));
    let exporter = Exporter::start(Scenario { storage_path, configure, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter.stop().await;
    for name in ["contoso", "fabrikam"] {
        assert!(directory.path().join(format!("{name}.json")).exists(), "{name}");
    }
}
