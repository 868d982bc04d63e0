//! A new configuration while the exporter runs: all of it or nothing, and nobody who did not change notices.

use std::fs;

use teams_rooms_exporter::model::privacy::Privacy;
use teams_rooms_exporter::model::site::{Glob, Hours, Match, Site};

use crate::exporter::{Exporter, Scenario, Scrape, start_tenant, tenant};

/// A second tenant.
const OTHER: &str = "fabrikam";

fn of_other(scrape: &Scrape) -> Vec<&str> {
    let of_tenant = |key: &&str| key.contains("tenant=\"fabrikam\"");
    scrape.series.keys().map(String::as_str).filter(of_tenant).collect()
}

fn requests(scrape: &Scrape) -> i64 {
    scrape.total("teams_rooms_graph_requests_total", &["tenant=\"contoso\"", "operation=\"token\""])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_come_and_go_while_the_others_run_on() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    let sim = start_tenant(3, &[]).await;

    let (status, body) = exporter.reload(|config| config.tenants.push(tenant(OTHER, &sim))).await;
    assert_eq!((status, body.as_str()), (200, "The configuration was reloaded.\n"));
    let of_new =
        |scrape: &Scrape| of_other(scrape).iter().any(|key| key.starts_with("teams_rooms_device_info"));
    let scrape = exporter.wait_until("devices of the new tenant", of_new).await;
    assert_eq!(requests(&scrape), 1, "the old one did not begin anew");
    let (_, targets) = exporter.get("/sd").await;
    assert!(targets.contains("/contoso\"") && targets.contains("/fabrikam\""), "{targets}");

    let (status, _) = exporter.reload(|config| config.tenants.retain(|tenant| tenant.name != OTHER)).await;
    assert_eq!(status, 200);
    let scrape = exporter.scrape().await;
    assert_eq!(of_other(&scrape), [] as [&str; 0], "nothing of it is left");
    assert_eq!(requests(&scrape), 1);
    assert_eq!(exporter.get("/metrics?tenant=fabrikam").await.0, 404);
    assert!(!exporter.get("/sd").await.1.contains(OTHER));
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_tenant_goes_on_with_what_is_known_of_it() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    let rooms = before.count("teams_rooms_room_info");

    let utc = teams_rooms_exporter::model::site::zone("UTC").expect("a zone");
    let all = Match { email: vec![Glob::parse("*").expect("sound")], ..Match::default() };
    let site = Site::new("everywhere", Some("av-team".into()), all, utc, Hours::always(), &Hours::default());
    exporter.reload(|config| config.tenants[0].sites = vec![site]).await;
    let owned = |scrape: &Scrape| {
        // Not for a moment is there less than there was.
        assert_eq!(scrape.count("teams_rooms_room_info"), rooms);
        assert!(scrape.count("teams_rooms_device_info") >= before.count("teams_rooms_device_info"));
        let up = scrape.value("teams_rooms_up{tenant=\"contoso\"}");
        assert_eq!(up, Some("1"));
        scrape.keys("teams_rooms_room_info").iter().all(|key| key.contains("owner=\"av-team\""))
    };
    exporter.wait_until("the owner", owned).await;

    let use_of_rooms = |scrape: &Scrape| {
        let kinds = ["observed", "booked", "in_use", "booked_unused", "unbooked_use"];
        kinds.map(|kind| scrape.count(&format!("teams_rooms_room_{kind}_seconds_total")))
    };
    exporter.wait_until("every counter of use", |scrape| !use_of_rooms(scrape).contains(&0)).await;

    // What may not be known any more is gone with the answer, or right after.
    let off = Privacy { usage: false, ..Privacy::default() };
    exporter.reload(|config| config.tenants[0].privacy = off).await;
    let hidden = |scrape: &Scrape| {
        let states = ["teams_rooms_room_presence_state", "teams_rooms_room_booked"];
        use_of_rooms(scrape) == [0; 5] && states.iter().all(|family| scrape.count(family) == 0)
    };
    exporter.wait_until("nothing of use", hidden).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_are_allowed_and_denied_anew() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    let (denied, own) = ("teams_rooms_device_connected", "teams_rooms_exporter_build_info");

    let deny = vec![denied.to_owned(), own.to_owned()];
    exporter.reload(|config| config.metrics.deny = deny).await;
    let scrape = exporter.scrape().await;
    assert_eq!([denied, own].map(|name| scrape.count(name)), [0, 0]);
    assert!(scrape.count("teams_rooms_device_info") > 0, "the others stay");

    exporter.reload(|config| config.metrics.deny.clear()).await;
    let back = |scrape: &Scrape| scrape.count(denied) > 0 && scrape.count(own) == 1;
    exporter.wait_until("both are back", back).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_fails_in_part_changes_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let storage = folder.path().join("state");
    let scenario = Scenario { storage_path: Some(storage.clone()), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_everything().await;
    let sim = start_tenant(3, &[]).await;

    // Another tenant finds no room for its state: somebody put a file there.
    fs::remove_dir_all(&storage).expect("removed");
    fs::write(&storage, "").expect("written");
    let (status, reason) = exporter
        .reload(|config| {
            config.tenants.push(tenant(OTHER, &sim));
        })
        .await;
    assert_eq!(status, 500);
    assert!(reason.contains("tenant fabrikam") && reason.contains("storage directory"), "{reason}");
    let scrape = exporter.scrape().await;
    assert_eq!(of_other(&scrape), [] as [&str; 0]);
    assert!(scrape.count("teams_rooms_device_info") > 0, "no part of it is in force");
    assert_eq!(scrape.value("teams_rooms_config_last_reload_successful"), Some("0"));

    fs::remove_file(&storage).expect("removed");
    assert_eq!(exporter.reload(|_| ()).await.0, 200);
    let both = |scrape: &Scrape| {
        scrape.value("teams_rooms_config_last_reload_successful") == Some("1")
            && scrape.value("teams_rooms_up{tenant=\"fabrikam\"}") == Some("1")
    };
    exporter.wait_until("the rest of it", both).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_intake_takes_pushes_for_the_tenants_in_force() {
    let exporter = Exporter::start(Scenario::with_intake()).await;
    exporter.wait_for_everything().await;
    let push = serde_json::json!({"not": "an incident"});
    assert_eq!(exporter.push("pro-management", &push).await, 400, "the secret was right");
    exporter.reload(|config| config.tenants[0].intake = None).await;
    assert_eq!(exporter.push("pro-management", &push).await, 401, "there is no gate any more");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_over_http_must_be_enabled() {
    let configure = |config: &mut teams_rooms_exporter::config::Config| config.web.lifecycle = false;
    let exporter = Exporter::start(Scenario { configure: Box::new(configure), ..Scenario::default() }).await;
    let (status, reason) = exporter.reload(|_| ()).await;
    assert_eq!(status, 403);
    assert!(reason.contains("--web.enable-lifecycle"), "{reason}");
    exporter.stop().await;

    let exporter = Exporter::start(Scenario::default()).await;
    assert_eq!(exporter.get("/-/reload").await.0, 405);
    exporter.stop().await;
}
