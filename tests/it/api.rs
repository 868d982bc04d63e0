//! `/api/v1/rooms`: says what the metrics say, for whoever has no PromQL.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::{Exporter, Scenario, Scrape, label};
use crate::sources::{ALL, ROOM_INFO, configured, pass};

async fn json(exporter: &Exporter, path: &str) -> Value {
    let (status, body) = exporter.get(path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rooms_are_those_of_the_metrics() {
    let exporter = Exporter::start(Scenario { rooms: 40, ..Scenario::every_source() }).await;
    exporter.wait_for_every_source().await;
    // A vote can take two polls; from then on nothing changes.
    let scrape = pass(&exporter, Duration::from_secs(1), ALL).await;
    let rooms = json(&exporter, "/api/v1/rooms?tenant=contoso").await;
    let rooms = rooms["rooms"].as_array().expect("a list");
    assert_eq!(rooms.len(), scrape.count("teams_rooms_room_info"));

    let text = |room: &Value, key: &str| room[key].as_str().unwrap_or_default().to_owned();
    for room in rooms {
        let (id, state) = (text(room, "room_id"), text(room, "state"));
        let (id_label, state_label) = (format!("room_id=\"{id}\""), format!("state=\"{state}\""));
        assert_eq!(scrape.total("teams_rooms_room_state", &[&id_label, &state_label]), 1, "{room}");
        let problems = room["problems"].as_array().expect("a list").len();
        let counted = scrape.total("teams_rooms_room_problem", &[&id_label]);
        assert_eq!(usize::try_from(counted), Ok(problems), "{room}");
        let booked = scrape.total("teams_rooms_room_booked", &[&id_label]);
        assert_eq!(room["booked"].as_bool().map_or(0, i64::from), booked, "{room}");
        let devices = room["devices"].as_array().expect("a list").len();
        let listed = scrape.keys("teams_rooms_device_info");
        let of_room = listed.iter().filter(|key| label(key, "room_id") == id).count();
        assert_eq!(of_room, devices, "{room}");
    }
    let ranks = rooms.iter().map(|room| match text(room, "state").as_str() {
        "down" => 0,
        "degraded" => 1,
        "unknown" => 2,
        _ => 3,
    });
    assert!(ranks.is_sorted(), "the worst come first");

    let first = &rooms[0];
    let id = text(first, "room_id").to_uppercase().replace('@', "%40");
    assert_eq!(json(&exporter, &format!("/api/v1/rooms/{id}")).await["room"], first["room"]);
    assert_eq!(exporter.get("/api/v1/rooms/nobody@contoso.example").await.0, 404);
    assert_eq!(exporter.get("/api/v1/rooms?tenant=fabrikam").await.0, 404);
    exporter.stop().await;
}

/// Exchange allows addresses of some 250 characters; the longest label of a name has 128.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_with_long_addresses_stay_apart_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rooms.csv");
    let address = |room: u32| format!("{}{room}@contoso.example", "x".repeat(237));
    let text = format!("email\n{}\n{}\n", address(1), address(2));
    std::fs::write(&file, text).expect("written");
    let configure = configured(move |config| config.tenants[0].rooms_file = Some(file));
    let exporter = Exporter::start(Scenario { configure, ..Scenario::default() }).await;
    let has = |family: &'static str, key: &'static str, room| {
        let address = address(room);
        move |scrape: &Scrape| scrape.family(family).any(|(series, _)| label(series, key) == address)
    };
    for room in [1, 2] {
        for (family, key) in
            [(ROOM_INFO, "room_id"), (ROOM_INFO, "email"), ("teams_rooms_room_state", "room_id")]
        {
            exporter.wait_until(format!("{key} of {family}"), has(family, key, room)).await;
        }
        let found = json(&exporter, &format!("/api/v1/rooms/{}", address(room))).await;
        assert_eq!(found["room_id"].as_str(), Some(&*address(room)));
    }
    let scrape = exporter.scrape().await;
    let series: Vec<&str> = scrape.text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let samples = || series.iter().filter(|series| !series.starts_with('#'));
    assert_eq!(samples().collect::<BTreeSet<_>>().len(), samples().count(), "no series twice");
    exporter.stop().await;
}
