//! Devices find their rooms although rows carry an object id and a display name only; the directory corrects a wrong guess.

use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::sim::{RoomFacts, Sim};

use crate::exporter::{Exporter, Scenario, Scrape, every_source, label, spawn, start_tenant};
use crate::sources::{ROOM_INFO, configured, pass};

const DEVICES: &str = "TeamworkDevice.Read.All";
const PLACES: &str = "Place.Read.All";
const USERS: &str = "User.Read.All";

/// Only what the permissions bring.
const SOURCES: &[&str] = &["devices", "places"];

async fn start(sim: Sim, more: impl FnOnce(&mut Config) + Send + 'static) -> Exporter {
    let configure = configured(more);
    Exporter::start(Scenario { sim: Some(sim), configure, ..Scenario::default() }).await
}

/// The room ids of the devices of a room.
fn homes<'s>(scrape: &'s Scrape, room: &RoomFacts) -> Vec<&'s str> {
    let of_room = |key: &&str| room.device_ids.iter().any(|id| label(key, "device_id") == id);
    let infos = scrape.family("teams_rooms_device_info").map(|(key, _)| key);
    let mut homes: Vec<&str> = infos.filter(of_room).map(|key| label(key, "room_id")).collect();
    homes.dedup();
    homes
}

/// `joined_by` of each room, by its id.
async fn joined_by(exporter: &Exporter, room_id: &str) -> Value {
    let (status, body) = exporter.get(&format!("/api/v1/rooms/{room_id}")).await;
    assert_eq!(status, 200, "{body}");
    let room: Value = serde_json::from_str(&body).expect("JSON");
    room.get("joined_by").expect("always there").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_shows_how_devices_and_mailboxes_were_joined() {
    let by_name = spawn(async {
        let sim = start_tenant(12, &[]).await;
        sim.set_roles(&[DEVICES, PLACES]);
        let exporter = start(sim, |_| {}).await;
        let scrape = pass(&exporter, Duration::from_secs(1), SOURCES).await;
        let room = exporter.sim.rooms().remove(0);
        assert_eq!(homes(&scrape, &room), [room.upn.as_str()]);
        assert_eq!(joined_by(&exporter, &room.upn).await, json!("name"));
        exporter.stop().await;
    });
    let by_directory = spawn(async {
        let exporter = start(start_tenant(12, &[]).await, |_| {}).await;
        exporter.wait_for_every_source().await;
        let room = exporter.sim.rooms().remove(0);
        assert_eq!(joined_by(&exporter, &room.upn).await, json!("object_id"));
        exporter.stop().await;
    });
    for test in [by_name, by_directory] {
        test.await.expect("as it should be");
    }
}

/// Two places exchange their names, so that each device finds the other's room. The directory knows better, and every
/// device goes home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_corrects_names_that_lead_astray() {
    let sim = start_tenant(12, &[]).await;
    sim.set_roles(&[DEVICES, PLACES]);
    let [a, b, ..] = &sim.rooms()[..] else { panic!("too few rooms") };
    sim.edit_room(&a.upn, json!({"place": {"displayName": b.name}}));
    sim.edit_room(&b.upn, json!({"place": {"displayName": a.name}}));
    let exporter = start(sim.clone(), |_| {}).await;
    let before = pass(&exporter, Duration::from_secs(1), SOURCES).await;
    assert_eq!([homes(&before, a), homes(&before, b)], [[b.upn.as_str()], [a.upn.as_str()]]);
    sim.set_roles(&[DEVICES, PLACES, USERS]);
    sim.set_faults(vec!["expired_token".parse().expect("a fault")]); // a new one has the new roles
    let corrected =
        |scrape: &Scrape| homes(scrape, a) == [a.upn.as_str()] && homes(scrape, b) == [b.upn.as_str()];
    let after = exporter.wait_until("every device at home", corrected).await;
    assert!(after.count(ROOM_INFO) >= before.count(ROOM_INFO));
    assert_eq!(joined_by(&exporter, &a.upn).await, json!("object_id"));
    exporter.stop().await;
}

/// Names that are not unique join nothing; an object id in the rooms file does. It excludes a room by every name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rooms_file_joins_and_excludes_by_object_id() {
    let sim = start_tenant(12, &[]).await;
    sim.set_roles(&[DEVICES, PLACES]);
    let [a, b, c, ..] = &sim.rooms()[..] else { panic!("too few rooms") };
    for room in [a, b] {
        sim.edit_room(&room.upn, json!({"place": {"displayName": "Focus"}}));
        for device in &room.device_ids {
            sim.edit(device, json!({"device": {"currentUser": {"displayName": "Focus"}}}));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rooms.csv");
    std::fs::write(&file, "email,object_id,exclude\n").expect("written");
    let path = file.clone();
    let exporter = start(sim.clone(), move |config| config.tenants[0].rooms_file = Some(path)).await;
    let apart = pass(&exporter, Duration::from_secs(1), SOURCES).await;
    assert_eq!([homes(&apart, a), homes(&apart, b)], [[a.user_id.as_str()], [b.user_id.as_str()]]);

    let text = format!(
        "email,object_id,exclude\n{},{},\nother@contoso.example,{},true\n",
        a.upn, a.user_id, c.user_id
    );
    std::fs::write(&file, text).expect("written");
    let joined = |scrape: &Scrape| homes(scrape, a) == [a.upn.as_str()];
    exporter.wait_until("joined by the file", joined).await;
    assert_eq!(joined_by(&exporter, &a.upn).await, json!("file"));
    let excluded = |scrape: &Scrape| {
        let is_named = scrape.family(ROOM_INFO).any(|(key, _)| label(key, "room") == c.name);
        !is_named && homes(scrape, c) == [""]
    };
    exporter.wait_until("excluded", excluded).await;
    exporter.stop().await;
}

/// A place that is granted later joins devices that were served before under the id they have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_comes_later_changes_no_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = |sim: Sim| Scenario {
        sim: Some(sim),
        storage_path: Some(folder.path().to_owned()),
        configure: Box::new(every_source),
        ..Scenario::default()
    };
    let sim = start_tenant(12, &[]).await;
    sim.set_roles(&[DEVICES]);
    let exporter = Exporter::start(scenario(sim)).await;
    let before = pass(&exporter, Duration::from_secs(1), &["devices"]).await;
    let ids = |scrape: &Scrape| -> Vec<String> {
        scrape.family(ROOM_INFO).map(|(key, _)| label(key, "room_id").to_owned()).collect()
    };
    let (ids_before, sim) = (ids(&before), exporter.stop().await);
    assert_eq!(ids_before.len(), 12);
    sim.set_roles(&[DEVICES, PLACES, USERS]);
    let exporter = Exporter::start(scenario(sim)).await;
    let after = pass(&exporter, Duration::from_secs(1), &["devices", "places", "accounts"]).await;
    let ids_after = ids(&after);
    assert!(ids_before.iter().all(|id| ids_after.contains(id)), "{ids_before:?} {ids_after:?}");
    let placed = after.family(ROOM_INFO).filter(|(key, _)| !label(key, "building").is_empty()).count();
    assert_eq!(placed, 12);
    exporter.stop().await;
}
