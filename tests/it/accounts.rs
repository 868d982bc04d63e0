//! The accounts of rooms: who is a room, under which names, and with which licence.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::model::account::Tier;
use teams_rooms_exporter::sim::RoomFacts;

use crate::exporter::{Exporter, Scenario, Scrape, label, parse, spawn, start_tenant};
use crate::sources::{ALL, ROOM_INFO, STATE, configured, has_problem, pass, state, value};

const ENABLED: &str = "teams_rooms_account_enabled";
const LICENSE: &str = "teams_rooms_account_license_state";
const UNITS: &str = "teams_rooms_license_units";
const OFFICE: &str = "05E9A617-0261-4CEE-BB44-138D3EF5D965";

/// The licence of a room; empty where it is not told.
fn license<'s>(scrape: &'s Scrape, room: &RoomFacts) -> &'s str {
    let id = format!("room_id=\"{}\"", room.upn);
    let mut states = scrape.family(LICENSE).filter(|(key, value)| key.contains(&id) && *value == "1");
    let found = states.next().map_or("", |(key, _)| label(key, "state"));
    assert!(states.next().is_none(), "one licence is the best");
    found
}

/// A room without fault, whose licence is of the best.
fn sound_room(exporter: &Exporter, scrape: &Scrape) -> RoomFacts {
    let is_sound = |room: &RoomFacts| state(scrape, room) == "ok" && license(scrape, room) == "pro";
    exporter.sim.rooms().into_iter().find(is_sound).expect("a sound room")
}

async fn start(rooms: usize, faults: &'static [&'static str]) -> Exporter {
    Exporter::start(Scenario { rooms, faults, ..Scenario::every_source() }).await
}

/// Nothing but the accounts, and places where they are wanted.
fn alone(places: Enabled) -> Box<dyn FnOnce(&mut Config) + Send> {
    configured(move |config| {
        for tenant in &mut config.tenants {
            tenant.collectors.devices.enabled = Enabled::No;
            tenant.collectors.places.enabled = places;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_room_shows_its_account_and_best_licence() {
    let exporter = start(60, &[]).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    for tier in ["pro", "premium", "standard", "basic", "shared_device", "other", "none"] {
        assert!(scrape.total(LICENSE, &[&format!("state=\"{tier}\"")]) > 0, "{tier}");
    }
    assert_eq!(scrape.total(LICENSE, &[]), i64::try_from(scrape.count(ENABLED)).expect("few"));
    assert_eq!(scrape.count(ENABLED), scrape.count(ROOM_INFO), "every room has an account");
    let disabled = i64::try_from(scrape.count(ENABLED)).expect("few") - scrape.total(ENABLED, &[]);
    assert_eq!(disabled, scrape.total("teams_rooms_room_problem", &["account_disabled", "area=\"account\""]));
    let unlicensed = scrape.total(LICENSE, &["state=\"none\""]) + scrape.total(LICENSE, &["state=\"other\""]);
    assert_eq!(
        unlicensed,
        scrape.total("teams_rooms_room_problem", &["license_missing", "area=\"account\""])
    );
    assert!(disabled > 0 && unlicensed > 1, "{disabled} {unlicensed}");
    assert_eq!(scrape.count(UNITS), 6 * 4, "what is not for rooms is not counted");
    assert_eq!(
        scrape.value(&format!(
            "{UNITS}{{tenant=\"contoso\",sku=\"Microsoft_Teams_Rooms_Basic\",state=\"enabled\"}}"
        )),
        Some("25")
    );
    assert!(scrape.total(UNITS, &["MTR_PREM", "state=\"suspended\""]) > 0);
    assert_eq!(scrape.count("teams_rooms_license_consumed_units"), 6);
    assert_eq!(
        scrape.count("teams_rooms_license_renewal_timestamp_seconds"),
        4,
        "one never ends, one is over"
    );
    exporter.stop().await;
}

/// What changes in the directory shows, and degrades a room that is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_disabled_and_loses_its_licence() {
    let exporter = start(12, &[]).await;
    let before = exporter.wait_for_every_source().await;
    let before =
        exporter.wait_until("accounts", |scrape| scrape.count(LICENSE) >= before.count(LICENSE)).await;
    let room = sound_room(&exporter, &before);
    let user = |patch| exporter.sim.edit_room(&room.upn, json!({ "user": patch }));
    let (disabled, unlicensed) = ("account_disabled", "license_missing");
    let is_degraded = |scrape: &Scrape, problem: &str| {
        has_problem(scrape, &room, problem) && state(scrape, &room) == "degraded"
    };
    user(json!({"accountEnabled": false}));
    exporter.wait_until(disabled, |scrape| is_degraded(scrape, disabled)).await;
    user(json!({"accountEnabled": true, "assignedLicenses": []}));
    let is_bare = |scrape: &Scrape| license(scrape, &room) == "none" && is_degraded(scrape, unlicensed);
    exporter.wait_until(unlicensed, is_bare).await;
    user(json!({"assignedLicenses": [{"skuId": OFFICE}]}));
    let has_other = |scrape: &Scrape| license(scrape, &room) == "other" && is_degraded(scrape, unlicensed);
    exporter.wait_until("another", has_other).await;
    let pro = "4CDE982A-EDE4-4409-9AE6-B003453C8EA6";
    user(json!({"assignedLicenses": [{"skuId": OFFICE}, {"skuId": pro}]}));
    let is_well = |scrape: &Scrape| license(scrape, &room) == "pro" && state(scrape, &room) == "ok";
    exporter.wait_until("the best", is_well).await;
    exporter.stop().await;
}

/// Rooms that sign in with another name than their mail address, or are hidden from the address list, are rooms: once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_ties_every_name_to_its_room() {
    let exporter = start(60, &[]).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    for room in exporter.sim.rooms() {
        let infos: Vec<_> =
            scrape.family(ROOM_INFO).filter(|(key, _)| label(key, "room") == room.name).collect();
        assert_eq!(infos.len(), 1, "{}: {infos:?}", room.name);
    }
    assert_eq!(scrape.total("teams_rooms_devices_without_room", &["personal_account"]), 0);
    let other = scrape.family(ROOM_INFO).filter(|(key, _)| label(key, "email").contains("@meet."));
    let other: BTreeSet<&str> = other.map(|(key, _)| label(key, "room_id")).collect();
    assert!(other.len() >= 2, "{other:?}");
    let has =
        |family: &'static str, id: &str| scrape.family(family).any(|(key, _)| label(key, "room_id") == id);
    for id in other {
        for family in [
            "teams_rooms_device_info",
            "teams_rooms_room_capacity",
            "teams_rooms_room_presence_state",
            ENABLED,
        ] {
            assert!(has(family, id), "{id} has no {family}");
        }
    }
    exporter.stop().await;
}

/// The device knows the room by one of its other addresses only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_address_finds_the_room() {
    let exporter = start(12, &[]).await;
    let scrape = exporter.wait_for_every_source().await;
    let room = sound_room(&exporter, &scrape);
    let alias = "Old-Name@contoso.example";
    exporter.sim.edit_room(
        &room.upn,
        json!({"user": {"proxyAddresses": [format!("SMTP:{}", room.upn), format!("smtp:{alias}")]}}),
    );
    pass(&exporter, Duration::from_secs(1), ALL).await;
    let device = &room.device_ids[0];
    exporter.sim.edit(device, json!({"device": {"currentUser": {"id": null, "userPrincipalName": alias, "displayName": "Old Name"}}}));
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let series =
        scrape.keys("teams_rooms_device_info").into_iter().find(|key| label(key, "device_id") == device);
    assert_eq!(
        series.map(|key| (label(key, "room"), label(key, "room_id"))),
        Some((&*room.name, &*room.upn))
    );
    assert!(!scrape.text.contains("Old Name"));
    exporter.stop().await;
}

/// Only places know a room without a device and without a license. They fail at first; when they come, its account is read
/// at once and not an hour later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_of_a_room_that_is_known_late_is_read_at_once() {
    let sim = start_tenant(12, &["error500@places"]).await;
    let room = sim.rooms().remove(0);
    sim.edit_room(&room.upn, json!({"user": {"assignedLicenses": []}}));
    let configure = configured(|config| {
        let collectors = &mut config.tenants[0].collectors;
        collectors.devices.enabled = Enabled::No;
        collectors.accounts.interval = Duration::from_hours(1);
    });
    let exporter = Exporter::start(Scenario { sim: Some(sim), configure, ..Scenario::default() }).await;
    exporter.wait_for_state("places", "unreachable").await;
    let without = exporter.wait_for_state("accounts", "ok").await;
    assert_eq!(license(&without, &room), "");
    exporter.sim.set_faults(Vec::new());
    exporter.wait_until("its license", |scrape| license(scrape, &room) == "none").await;
    exporter.stop().await;
}

/// A person who signs in on a room device is named nowhere, though the filter be ignored and everybody come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_never_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage_path = Some(folder.path().to_owned());
    let faults = &["person_in_room", "ignore_filter@users"];
    let exporter =
        Exporter::start(Scenario { rooms: 60, faults, storage_path, ..Scenario::every_source() }).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert!(scrape.total("teams_rooms_devices_without_room", &["personal_account"]) > 0);
    let page = exporter.get("/").await.1;
    for name in ["Mustermann", "Nordmann", "Platzhalter"] {
        assert!(!scrape.text.contains(name) && !page.contains(name), "{name}");
    }
    assert_eq!(scrape.count(ENABLED), scrape.count(ROOM_INFO));
    exporter.stop().await;
    let kept = std::fs::read_to_string(folder.path().join("contoso.json")).expect("kept");
    for name in ["Mustermann", "Nordmann", "Platzhalter"] {
        assert!(!kept.contains(name), "{name} is kept");
    }
}

/// An account that is gone says nothing more; the room is one still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_vanished_claims_nothing() {
    let exporter = start(12, &[]).await;
    let scrape = exporter.wait_for_every_source().await;
    let room = sound_room(&exporter, &scrape);
    exporter.sim.remove(&room.user_id);
    let gone = exporter.wait_until("gone", |scrape| value(scrape, ENABLED, &room, "").is_none()).await;
    assert_eq!(license(&gone, &room), "");
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(after.state("contoso", "accounts"), "ok", "a missing user is no failure");
    assert_eq!(state(&after, &room), "ok");
    exporter.stop().await;
}

/// Users and licences fail apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_of_it_may_be_refused() {
    let without_licenses = spawn(async {
        let exporter = start(12, &["forbidden_source=licenses"]).await;
        exporter.wait_for_everything().await;
        let scrape = exporter.wait_for_state("accounts", "partial").await;
        assert_eq!(scrape.count(UNITS), 0);
        exporter.wait_until("accounts", |scrape| scrape.count(ENABLED) >= 12).await;
        exporter.stop().await;
    });
    let without_users = spawn(async {
        let exporter = start(12, &["forbidden_source=users"]).await;
        exporter.wait_for_everything().await;
        exporter.wait_for_state("accounts", "partial").await;
        let scrape = exporter.wait_until("licences", |scrape| scrape.count(UNITS) > 0).await;
        assert_eq!((scrape.count(ENABLED), scrape.count(LICENSE)), (0, 0));
        assert!(scrape.count(STATE) >= 12 * 4, "who is no room is not known yet");
        exporter.stop().await;
    });
    for half in [without_licenses, without_users] {
        half.await.expect("the other half is there");
    }
}

/// Renewals need a permission of their own, and nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_may_be_unreadable() {
    let exporter = start(12, &[]).await;
    exporter.wait_for_every_source().await;
    exporter.sim.set_roles(&["TeamworkDevice.Read.All", "User.Read.All", "LicenseAssignment.Read.All"]);
    let renewals = "teams_rooms_license_renewal_timestamp_seconds";
    let before = exporter.wait_until("renewals", |scrape| scrape.count(renewals) > 0).await;
    exporter.sim.set_faults(parse(&["expired_token"])); // a new one has the new roles
    exporter.wait_for_state("places", "forbidden").await;
    let after = pass(&exporter, Duration::from_secs(1), &["devices", "accounts"]).await;
    assert_eq!(after.state("contoso", "accounts"), "ok");
    assert_eq!(after.count(renewals), before.count(renewals), "what was read holds until it expires");
    for _ in 0..3 {
        pass(&exporter, Duration::from_hours(9), &["accounts"]).await;
    }
    let expired = exporter.wait_until("expired", |scrape| scrape.count(renewals) == 0).await;
    assert!(expired.count(UNITS) > 0);
    exporter.stop().await;
}

/// However Graph breaks the list into pages and throttles the batch, every account comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_account_comes() {
    async fn read(rooms: usize, faults: &'static [&'static str]) -> usize {
        let configure = alone(Enabled::Yes);
        let exporter = Exporter::start(Scenario { rooms, faults, configure, ..Scenario::default() }).await;
        exporter.wait_for_state("accounts", "ok").await;
        let scrape = pass(&exporter, Duration::from_secs(1), &["places", "accounts"]).await;
        // A place whose account signs in with another name, and has no licence, cannot be found by its address.
        let unfound = scrape.count(ROOM_INFO) - scrape.count(ENABLED);
        assert!(unfound * 200 < rooms, "{unfound} of {rooms}");
        exporter.stop().await;
        scrape.count(ENABLED)
    }
    let whole = read(60, &[]).await;
    assert!(whole > 60, "{whole}");
    let runs = [
        spawn(read(60, &["empty_page@users"])),
        spawn(read(60, &["relative_link@users", "empty_page@users"])),
        spawn(read(60, &["throttle_items@users=0:0.5"])),
        spawn(read(60, &["ignore_filter@users"])),
    ];
    for run in runs {
        assert_eq!(run.await.expect("read"), whole);
    }
    assert!(read(1200, &[]).await > 1200, "more than a page has");
}

/// Of clouds whose products nobody lists the operator can tell the ids; what is no room can be taken out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_knows_more_products() {
    let shared = "295a8eb0-f78d-45c7-8b5b-1eed5ed02dff";
    let configure = configured(move |config| {
        let skus = &mut config.tenants[0].collectors.skus;
        skus.insert(OFFICE.to_lowercase(), Tier::Standard);
        skus.insert(shared.to_owned(), Tier::Other);
    });
    let exporter = Exporter::start(Scenario { rooms: 60, configure, ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(scrape.total(LICENSE, &["state=\"shared_device\""]), 0);
    assert!(!scrape.text.contains("Entrance Panel") && !scrape.text.contains("MCOCAP"));
    assert_eq!(scrape.total(UNITS, &["SPE_E3", "state=\"enabled\""]), 6);
    assert!(scrape.total(LICENSE, &["state=\"other\""]) > 0, "a shared device that is a room by its place");
    exporter.stop().await;
}

/// An answer that says nothing of anybody is not believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_and_odd_answers_take_nothing_away() {
    let exporter = start(12, &[]).await;
    exporter.wait_for_every_source().await;
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    for (faults, expected) in [
        (&["empty@users"][..], "ok"),
        (&["empty@licenses"][..], "partial"),
        (&["nulls@users=100"][..], "ok"),
        (&["missing_members@users=100", "missing_members@licenses=100"][..], "ok"),
        (&["bad_record@users"][..], "ok"),
        (&["truncated@users"][..], "partial"),
    ] {
        exporter.sim.set_faults(parse(faults));
        let during = pass(&exporter, Duration::from_secs(1), ALL).await;
        assert_eq!(during.state("contoso", "accounts"), expected, "{faults:?}");
        assert_eq!(during.keys(ROOM_INFO), before.keys(ROOM_INFO), "{faults:?}");
        exporter.sim.set_faults(Vec::new());
        pass(&exporter, Duration::from_secs(1), ALL).await;
    }
    exporter.stop().await;
}

/// What is known of accounts and licences survives a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_remembers_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario =
        || Scenario { rooms: 60, storage_path: Some(folder.path().to_owned()), ..Scenario::every_source() };
    let exporter = Exporter::start(scenario()).await;
    exporter.wait_for_every_source().await;
    let before = pass(&exporter, Duration::from_secs(1), ALL).await;
    let sim = exporter.stop().await;
    sim.set_faults(parse(&["error503"]));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    let after = exporter.wait_for_state("accounts", "unreachable").await;
    for family in [ROOM_INFO, ENABLED, LICENSE, UNITS, "teams_rooms_license_renewal_timestamp_seconds"] {
        assert_eq!(before.family(family).collect::<Vec<_>>(), after.family(family).collect::<Vec<_>>());
    }
    exporter.stop().await;
}
