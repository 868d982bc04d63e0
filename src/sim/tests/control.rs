//! The controls, in process and over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEVICES, Tenant};
use crate::sim::fault_table;

#[tokio::test]
async fn an_edit_shows_until_it_is_taken_back() {
    let tenant = Tenant::new().await;
    let id = tenant.sim.devices().remove(0);
    let (device, health) = (format!("{DEVICES}/{id}"), format!("{DEVICES}/{id}/health"));
    let before = (tenant.get(&device).await.json(), tenant.get(&health).await.json());
    tenant.sim.edit(&id, json!({"health": {"connection": {"connectionStatus": "disconnected"}}}));
    let edited = (tenant.get(&device).await.json(), tenant.get(&health).await.json());
    assert_eq!(edited.1["connection"]["connectionStatus"], json!("disconnected"));
    assert_eq!(
        edited.1["connection"]["lastModifiedDateTime"],
        before.1["connection"]["lastModifiedDateTime"]
    );
    assert_eq!(edited.0["lastModifiedDateTime"], json!("2026-11-20T08:00:00.000Z"), "the device has changed");
    tenant.sim.edit(&id, json!({"device": {"deviceType": "sipAnalog"}}));
    let found = tenant.list("?$filter=deviceType%20eq%20'sipAnalog'").await;
    assert_eq!(found.len(), 1);
    tenant.sim.edit(&id, json!(null));
    assert_eq!(before, (tenant.get(&device).await.json(), tenant.get(&health).await.json()));
}

#[tokio::test]
async fn a_removed_device_is_gone_everywhere() {
    let tenant = Tenant::new().await;
    let id = tenant.sim.devices().remove(3);
    tenant.sim.remove(&id);
    assert!(!tenant.sim.devices().contains(&id));
    assert!(tenant.list("").await.iter().all(|row| row["id"] != json!(id)));
    assert_eq!(tenant.get(&format!("{DEVICES}/{id}/health")).await.status, 404);
}

#[tokio::test]
async fn the_manual_names_every_fault() {
    let tenant = Tenant::new().await;
    for path in ["/_sim/", "/_sim"] {
        let text = tenant.get(path).await.text();
        assert!(fault_table().iter().all(|(name, _)| text.contains(name)));
        assert!(text.contains(tenant.sim.secret()) && text.contains("/_sim/advance"));
    }
}

#[tokio::test]
async fn faults_speed_and_time_can_be_set_over_http() {
    let tenant = Tenant::new().await;
    let set = tenant.request("PUT", "/_sim/faults", r#"["forbidden", "slow=5:0.5"]"#).await;
    assert_eq!((set.status, set.json()), (200, json!(["forbidden", "slow=5:0.5"])));
    assert_eq!(tenant.get("/_sim/faults").await.json(), json!(["forbidden", "slow=5:0.5"]));
    assert_eq!(tenant.get(DEVICES).await.status, 403);
    for wrong in ["", "{}", r#"["nonsense"]"#] {
        assert_eq!(tenant.request("PUT", "/_sim/faults", wrong).await.status, 400);
    }
    let before = tenant.sim.now();
    assert_eq!(tenant.request("POST", "/_sim/advance?seconds=90", "").await.status, 200);
    assert_eq!(tenant.sim.now().duration_since(before), jiff::SignedDuration::from_secs(90));
    assert_eq!(tenant.request("POST", "/_sim/advance?seconds=-1", "").await.status, 400);
    assert_eq!(tenant.request("PUT", "/_sim/speed?value=60", "").await.json(), json!({"speed": 60.0}));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(tenant.sim.now().duration_since(before) > jiff::SignedDuration::from_secs(91));
    assert_eq!(tenant.get("/_sim/nonsense").await.status, 404);
}

#[tokio::test]
async fn devices_can_be_found_changed_and_deleted_over_http() {
    let tenant = Tenant::new().await;
    let rooms = tenant.get("/_sim/rooms").await.json();
    let rooms = rooms.as_array().unwrap();
    assert_eq!(rooms.len(), 60);
    let room = &rooms[0];
    assert!(room["account"].as_str().unwrap().ends_with("@contoso.example"));
    let id = room["devices"][0]["id"].as_str().unwrap();
    let control = format!("/_sim/devices/{id}");
    assert_eq!(
        tenant.request("PATCH", &control, r#"{"device": {"healthStatus": "critical"}}"#).await.status,
        200
    );
    assert_eq!(tenant.get(&format!("{DEVICES}/{id}")).await.json()["healthStatus"], json!("critical"));
    assert_eq!(tenant.request("DELETE", &control, "").await.status, 200);
    assert_eq!(tenant.get(&format!("{DEVICES}/{id}")).await.status, 404);
    assert_eq!(tenant.request("DELETE", &control, "").await.status, 404);
}

#[tokio::test]
async fn requests_are_counted_without_the_controls() {
    let tenant = Tenant::new().await;
    tenant.sim.clear_requests();
    tenant.get(DEVICES).await;
    tenant.get(DEVICES).await;
    let counts = tenant.get("/_sim/requests").await.json();
    assert_eq!(counts, json!([{"method": "GET", "operation": DEVICES, "status": 200, "count": 2}]));
}

/// `everything` shows at once: a building is offline, a camera gone, an incident sent, the presence forbidden.
#[tokio::test]
async fn everything_breaks_by_one_word_and_is_repaired_by_another() {
    let tenant = Tenant::new().await;
    let mut portal = tenant.sim.attach("http://localhost:1/".to_owned());
    let before = tenant.list("").await;
    let broken = tenant.request("POST", "/_sim/break/everything", "").await;
    let text = broken.text();
    assert_eq!(broken.status, 200, "{text}");
    for part in ["is unplugged", "has no power", "critical incident", "is revoked", "http://localhost:1/"] {
        assert!(text.contains(part), "{text}");
    }
    let is =
        |rows: &[Value], health: &str| rows.iter().filter(|row| row["healthStatus"] == json!(health)).count();
    let after = tenant.list("").await;
    assert!(is(&after, "offline") > is(&before, "offline"));
    assert!(is(&after, "critical") > 0);
    assert_eq!(tenant.get("/_sim/faults").await.json(), json!(["forbidden@presence"]));
    let opened = portal.try_recv().expect("an incident")["data"].to_string();
    assert!(opened.contains("New") && opened.contains("Heartbeat"), "{opened}");
    assert_eq!(tenant.request("POST", "/_sim/repair", "").await.status, 200);
    assert_eq!(tenant.list("").await, before);
    assert_eq!(tenant.get("/_sim/faults").await.json(), json!([]));
    let closed = portal.try_recv().expect("the same incident")["data"].to_string();
    assert_eq!(closed, opened.replace("New", "Resolved"));
    assert!(portal.try_recv().is_err(), "it is resolved once");
}

#[tokio::test]
async fn each_breakage_is_another_one_and_keeps_earlier_faults() {
    let tenant = Tenant::new().await;
    let mut portal = tenant.sim.attach(String::new());
    tenant.request("PUT", "/_sim/faults", r#"["slow=1"]"#).await;
    for _ in 0..2 {
        tenant.request("POST", "/_sim/break/permission", "").await;
        tenant.request("POST", "/_sim/break/incident", "").await;
    }
    assert_eq!(tenant.get("/_sim/faults").await.json(), json!(["slow=1", "forbidden@presence"]));
    assert_ne!(portal.try_recv().expect("the first"), portal.try_recv().expect("the second"));
    let camera = || tenant.request("POST", "/_sim/break/camera", "");
    assert_ne!(camera().await.text(), camera().await.text(), "each camera is in another room");
    assert_eq!(tenant.request("POST", "/_sim/break/cable", "").await.status, 400);
}

#[tokio::test]
async fn an_incident_needs_an_exporter_that_receives_it() {
    let tenant = Tenant::new().await;
    let refused = tenant.request("POST", "/_sim/break/incident", "").await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("run demo"), "{}", refused.text());
}

#[tokio::test]
async fn pushes_can_be_asked_for() {
    let tenant = Tenant::new().await;
    let room = tenant.sim.rooms().remove(3);
    let path =
        format!("/_sim/incident?room={}&id=INC-7&signal=Camera&severity=Warning&state=Closed", room.upn);
    let incident = tenant.get(&path).await.json();
    assert_eq!(incident["eventType"], json!("Incident"));
    let data: Value = serde_json::from_str(incident["data"].as_str().expect("a text")).expect("JSON");
    for (name, value) in [("ID", "INC-7"), ("signal", "Camera"), ("severity", "Warning"), ("state", "Closed")]
    {
        assert_eq!(data[name], json!(value));
    }
    assert_eq!(data["devices"][0]["ID"], json!(room.device_ids[0]));
    assert_eq!(data["devices"][0]["roomAccount"], json!(room.upn));

    let alert = tenant.get("/_sim/alert?state=online").await.json();
    let first = tenant.sim.rooms().remove(0);
    assert_eq!(alert["DeviceId"], json!(first.device_ids[0]));
    assert_eq!(alert["DeviceLoggedInUserId"], json!(first.user_id));
    assert_eq!(alert["MetricValues"]["DeviceHealthStatus"], json!("online"));
    assert_eq!(alert["AlertRaisedAt"], json!("2026-11-20T08:00:00Z"));
    assert_eq!(tenant.get("/_sim/incident?room=nobody").await.status, 404);
}
