//! What Microsoft's portals push, through the door that faces the internet: what is taken, and what is not.

use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::{Config, Credential, Secret};
use teams_rooms_exporter::sim::{RoomFacts, Webhook};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::exporter::{Exporter, INTAKE_SECRET, OTHER_SECRET, Scenario, Scrape, with_intake};

const PORTAL: &str = "pro-management";
const ADMIN: &str = "admin-center";
const DAY: Duration = Duration::from_hours(24);

/// An exporter that has read its rooms, and the first of them.
async fn start(scenario: Scenario) -> (Exporter, RoomFacts) {
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_everything().await;
    let room = exporter.sim.rooms().remove(0);
    (exporter, room)
}

/// What the portal pushes of a room.
fn incident(exporter: &Exporter, room: &RoomFacts, signal: &str, state: &str) -> Value {
    let webhook = Webhook { room: &room.upn, id: "INC-1", signal, severity: "Critical", state };
    exporter.sim.incident(webhook).expect("a room")
}

/// What the admin center pushes of the room's first device.
fn alert(exporter: &Exporter, room: &RoomFacts, state: &str) -> Value {
    let webhook = Webhook { room: &room.upn, id: "", signal: "", severity: "", state };
    exporter.sim.alert(webhook).expect("a room")
}

/// The same with its incident as an object, after a change.
fn with(push: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let text = push.get("data").and_then(Value::as_str).expect("a text");
    let mut data = serde_json::from_str(text).expect("JSON");
    change(&mut data);
    json!({"eventType": "incident", "data": data})
}

/// By its name: devices alone do not know the mail address.
fn of_room(room: &RoomFacts) -> String {
    format!("room=\"{}\"", room.name)
}

fn open(scrape: &Scrape, room: &RoomFacts, signal: &str) -> Option<i64> {
    let labels = [of_room(room), format!("incident_signal=\"{signal}\"")];
    let mut open = scrape.family("teams_rooms_incidents_open");
    open.find(|(key, _)| labels.iter().all(|label| key.contains(label)))?.1.parse().ok()
}

fn state(scrape: &Scrape, room: &RoomFacts) -> String {
    let states = scrape.family("teams_rooms_room_state");
    let of_room = of_room(room);
    let mut current = states.filter(|(key, value)| key.contains(&of_room) && *value == "1");
    crate::exporter::label(current.next().map_or("", |(key, _)| key), "state").to_owned()
}

/// Whether a picture is there that was drawn after the first push. A scrape may mix the families of two neighbouring
/// pictures, and this one is drawn behind those of the rooms.
fn is_drawn(scrape: &Scrape) -> bool {
    scrape.count("teams_rooms_intake_last_received_timestamp_seconds") > 0
}

fn counted(scrape: &Scrape, tenant: &str, result: &str) -> i64 {
    let labels = [format!("tenant=\"{tenant}\""), format!("result=\"{result}\"")];
    scrape.total("teams_rooms_intake_requests_total", &[&labels[0], &labels[1]])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_comes_and_goes() {
    let (exporter, room) = start(Scenario { tenant: "intake-comes", ..Scenario::with_intake() }).await;
    let before = exporter.scrape().await;
    assert_eq!((state(&before, &room).as_str(), open(&before, &room, "heartbeat")), ("ok", None));
    assert_eq!(before.count("teams_rooms_intake_requests_total"), 2 * 8 + 2 * 2, "all at 0 from the start");
    assert_eq!(before.count("teams_rooms_intake_last_received_timestamp_seconds"), 0);

    // As a text, with the secret in the path.
    assert_eq!(exporter.push(PORTAL, &incident(&exporter, &room, "Heartbeat", "New")).await, 204);
    let down =
        exporter.wait_until("a room down", |scrape| state(scrape, &room) == "down" && is_drawn(scrape)).await;
    assert_eq!(open(&down, &room, "heartbeat"), Some(1));
    let (now, of_room) = (exporter.sim.now().as_second(), of_room(&room));
    assert_eq!(down.total("teams_rooms_incident_opened_timestamp_seconds", &[&of_room]), now);
    assert_eq!(down.total("teams_rooms_room_source_up", &[&of_room, "source=\"incident\""]), 0);
    assert_eq!(down.total("teams_rooms_room_problem", &[&of_room, "problem=\"incident\""]), 1);
    let received = down.family("teams_rooms_intake_last_received_timestamp_seconds").collect::<Vec<_>>();
    assert_eq!(received.len(), 1, "{received:?}");

    // As an object, with the secret in a header.
    let url = format!("{}/{PORTAL}/{}", exporter.intake_url, exporter.tenant);
    let closed = with(&incident(&exporter, &room, "Heartbeat", "closed"), |_| {}).to_string();
    let bearer = format!("Bearer {INTAKE_SECRET}");
    assert_eq!(exporter.post(&url, &[("authorization", &bearer)], closed.clone()).await.0, 204);
    let opened = "teams_rooms_incident_opened_timestamp_seconds";
    exporter
        .wait_until("a room up again, and its end shown", |scrape| {
            let end = open(scrape, &room, "heartbeat") == Some(0) && scrape.count(opened) == 0;
            state(scrape, &room) == "ok" && end
        })
        .await;
    assert_eq!(exporter.post(&url, &[("x-intake-secret", INTAKE_SECRET)], closed).await.0, 204);
    let scrape = exporter.scrape().await;
    let results = ["accepted", "duplicate"].map(|result| counted(&scrape, exporter.tenant, result));
    assert_eq!(results, [2, 1]);

    exporter.sim.advance(Duration::from_secs(3601));
    exporter.wait_until("the end forgotten", |scrape| open(scrape, &room, "heartbeat").is_none()).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_state_comes_and_goes() {
    let (exporter, room) = start(Scenario { tenant: "intake-alert", ..Scenario::with_intake() }).await;
    let (offline, online) = (alert(&exporter, &room, "offline"), alert(&exporter, &room, "online"));
    assert_eq!(exporter.push(ADMIN, &offline).await, 204);
    exporter.wait_until("a room down", |scrape| state(scrape, &room) == "down").await;
    exporter.sim.advance(Duration::from_mins(1));
    let back = alert(&exporter, &room, "online");
    assert_eq!(exporter.push(ADMIN, &back).await, 204);
    exporter.wait_until("a room up again", |scrape| state(scrape, &room) == "ok").await;
    // What was said a minute ago comes late.
    for late in [offline, online] {
        assert_eq!(exporter.push(ADMIN, &late).await, 204);
    }
    exporter
        .wait_until("two late, and nothing changed", |scrape| {
            let end = state(scrape, &room) == "ok" && open(scrape, &room, "offline") == Some(0);
            end && counted(scrape, exporter.tenant, "outdated") == 2
        })
        .await;
    exporter.stop().await;
}

/// A raw answer to a raw request, up to the end of the connection.
async fn ask(exporter: &Exporter, request: &str) -> String {
    let address = exporter.intake_url.trim_start_matches("http://").trim_end_matches("/intake");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A reset after the answer is an end, too.
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_learns_nothing_and_changes_nothing() {
    let (exporter, room) = start(Scenario { tenant: "intake-stranger", ..Scenario::with_intake() }).await;
    let body = incident(&exporter, &room, "Heartbeat", "New").to_string();
    let post = |path: &str, header: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\n{header}content-length: {}\r\n\r\n{body}", body.len())
    };
    let prefix = format!("/intake/{PORTAL}/{}", exporter.tenant);
    let refused = ask(&exporter, &post(&format!("{prefix}/{OTHER_SECRET}"), "")).await;
    assert!(refused.starts_with("HTTP/1.1 401 ") && refused.contains("connection: close"), "{refused}");
    for (path, header) in [
        (prefix.clone(), String::new()),
        (format!("{prefix}/"), String::new()),
        (format!("{prefix}/{}", &INTAKE_SECRET[1..]), String::new()),
        (format!("{prefix}/{INTAKE_SECRET}x"), String::new()),
        (prefix.clone(), format!("authorization: Bearer {OTHER_SECRET}\r\n")),
        (prefix.clone(), format!("authorization: Basic {INTAKE_SECRET}\r\n")),
        (prefix.clone(), "x-intake-secret: \r\n".to_owned()),
        // A tenant that nobody knows, with a secret that another one has.
        (format!("/intake/{PORTAL}/fabrikam/{INTAKE_SECRET}"), String::new()),
        (format!("/intake/{ADMIN}/%00{{}}\"/{INTAKE_SECRET}"), String::new()),
        (format!("/intake/{ADMIN}/fabrikam"), String::new()),
    ] {
        assert_eq!(ask(&exporter, &post(&path, &header)).await, refused, "{path} {header}");
    }
    let scrape = exporter.scrape().await;
    assert_eq!(counted(&scrape, exporter.tenant, "unauthorized"), 8);
    assert_eq!(counted(&scrape, "", "unauthorized"), 3, "what a path names is no label");
    assert_eq!(scrape.count("teams_rooms_incidents_open"), 0);
    assert!(!scrape.text.contains("fabrikam") && !exporter.get("/").await.1.contains("fabrikam"));
    let handlers = scrape.keys("teams_rooms_exporter_http_requests_total");
    assert!(handlers.iter().all(|key| !key.contains('/')), "{handlers:?}");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_has_its_own_paths() {
    let (exporter, room) = start(Scenario { tenant: "intake-doors", ..Scenario::with_intake() }).await;
    let place = format!("{PORTAL}/{}/{INTAKE_SECRET}", exporter.tenant);
    for path in
        ["/metrics", "/", "/-/healthy", "/-/ready", "/api/v1/rooms", "/intake", "/intake/", "/intake/x/y/z"]
    {
        let answer =
            ask(&exporter, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /intake/{place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = ask(&exporter, &request).await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: POST"), "{method}: {answer}");
    }
    let body = incident(&exporter, &room, "Camera", "New").to_string();
    let on_web = exporter.post(&format!("{}/intake/{place}", exporter.url), &[], body).await;
    assert_eq!(on_web.0, 404);
    let scrape = exporter.scrape().await;
    assert_eq!(
        scrape.total("teams_rooms_exporter_http_requests_total", &["handler=\"intake\"", "code=\"405\""]),
        5
    );
    assert_eq!(counted(&scrape, exporter.tenant, ""), 0);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_secret_nothing_is_taken() {
    let configure = |config: &mut Config| {
        let other = config.tenants[0].clone();
        with_intake(config);
        config
            .tenants
            .push(teams_rooms_exporter::config::Tenant { name: "intake-without".to_owned(), ..other });
    };
    let scenario = Scenario { tenant: "intake-has", configure: Box::new(configure), ..Scenario::default() };
    let (exporter, room) = start(scenario).await;
    let body = incident(&exporter, &room, "Camera", "New").to_string();
    for secret in ["", "/", INTAKE_SECRET] {
        let url = format!("{}/{PORTAL}/intake-without{secret}", exporter.intake_url);
        let (status, _) = exporter.post(&url, &[], body.clone()).await;
        assert_eq!(status, 401, "{secret:?}");
    }
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.total("teams_rooms_intake_requests_total", &["tenant=\"intake-without\""]), 0);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_webhooks_send_is_read() {
    let (exporter, room) = start(Scenario { tenant: "intake-body", ..Scenario::with_intake() }).await;
    let good = incident(&exporter, &room, "Camera", "New").to_string();
    let url =
        |reporter: &str| format!("{}/{reporter}/{}/{INTAKE_SECRET}", exporter.intake_url, exporter.tenant);
    for (headers, body, status) in [
        (&[("content-type", "text/html")][..], "<html><body>Ada Lovelace</body></html>", 400),
        (&[("content-type", "application/x-www-form-urlencoded")], "data=1", 400),
        (&[("content-type", "application/json")], "", 400),
        (&[("content-type", "application/json")], &good[..100], 400),
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], "\u{1f}", 400),
        // What a body calls itself says nothing.
        (&[("content-type", "text/plain")], &good, 204),
        (&[], &good, 204),
    ] {
        let answer = exporter.post(&url(PORTAL), headers, body.to_owned()).await;
        assert_eq!(answer.0, status, "{headers:?} {body}: {}", answer.1);
        assert!(!answer.1.contains("Ada"), "an answer repeats nothing");
    }
    // One webhook's body at the other's door.
    assert_eq!(exporter.post(&url(ADMIN), &[], good).await.0, 400);
    let other = json!({"ID": "x", "eventType": "Test", "data": "hello"});
    assert_eq!(exporter.push(PORTAL, &other).await, 204);
    let scrape = exporter.scrape().await;
    let results = ["malformed", "accepted", "duplicate", "ignored"];
    assert_eq!(results.map(|result| counted(&scrape, exporter.tenant, result)), [6, 1, 1, 1]);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_is_not_read() {
    let (exporter, room) = start(Scenario { tenant: "intake-large", ..Scenario::with_intake() }).await;
    let path = format!("/intake/{PORTAL}/{}/{INTAKE_SECRET}", exporter.tenant);
    let announced = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n");
    let answer = ask(&exporter, &announced).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "x".repeat(8192)).repeat(8);
    let chunked =
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n");
    let answer = ask(&exporter, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let stranger = announced.replace(INTAKE_SECRET, OTHER_SECRET);
    assert!(ask(&exporter, &stranger).await.starts_with("HTTP/1.1 401 "));
    let large = with(&incident(&exporter, &room, "Camera", "New"), |data| {
        data["description"] = "x".repeat(60_000).into();
    });
    assert_eq!(exporter.push(PORTAL, &large).await, 204);
    assert_eq!(counted(&exporter.scrape().await, exporter.tenant, "oversized"), 2);
    exporter.stop().await;
}

/// The body is never sent, so an answer needs none of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_is_asked_for_before_the_body_is_read() {
    let (exporter, _) = start(Scenario { tenant: "intake-first", ..Scenario::with_intake() }).await;
    for path in [
        format!("/intake/{PORTAL}/{}/{OTHER_SECRET}", exporter.tenant),
        format!("/intake/{PORTAL}/{}", exporter.tenant),
        format!("/intake/{PORTAL}/fabrikam/{INTAKE_SECRET}"),
    ] {
        for length in ["content-length: 60000", "transfer-encoding: chunked"] {
            let announced = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n");
            let answer = tokio::time::timeout(Duration::from_secs(5), ask(&exporter, &announced)).await;
            assert!(answer.expect("at once").starts_with("HTTP/1.1 401 "), "{path} {length}");
        }
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_slowly_is_cut_off() {
    let tune =
        |tuning: &mut teams_rooms_exporter::app::Tuning| tuning.intake.head = Duration::from_millis(200);
    let (exporter, _) = start(Scenario { tenant: "intake-slow", tune, ..Scenario::with_intake() }).await;
    let path = format!("/intake/{PORTAL}/{}/{INTAKE_SECRET}", exporter.tenant);
    assert_eq!(ask(&exporter, &format!("POST {path} HTTP/1.1\r\nhost:")).await, "", "a head that never ends");
    let begun = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{\"data\":");
    assert_eq!(ask(&exporter, &begun).await, "", "a body that never ends");
    assert_eq!(counted(&exporter.scrape().await, exporter.tenant, ""), 0);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_turned_away_and_drowns_nobody_else() {
    let configure = |config: &mut Config| {
        let other = config.tenants[0].clone();
        config
            .tenants
            .push(teams_rooms_exporter::config::Tenant { name: "intake-quiet".to_owned(), ..other });
        with_intake(config);
    };
    let scenario = Scenario { tenant: "intake-flood", configure: Box::new(configure), ..Scenario::default() };
    let (exporter, room) = start(scenario).await;
    let body = incident(&exporter, &room, "Camera", "New").to_string();
    let url = |tenant: &str, secret: &str| format!("{}/{PORTAL}/{tenant}/{secret}", exporter.intake_url);
    let flood = async |tenant: &str, secret: &str| {
        let mut status = 0;
        for _ in 0..2000 {
            status = exporter.post(&url(tenant, secret), &[], body.clone()).await.0;
            if status == 429 {
                break;
            }
        }
        status
    };
    // Strangers take nothing from those who have the secret.
    assert_eq!(flood("intake-flood", OTHER_SECRET).await, 429);
    assert_eq!(flood("nobody", OTHER_SECRET).await, 429);
    assert_eq!(exporter.post(&url("intake-flood", INTAKE_SECRET), &[], body.clone()).await.0, 204);
    // Nor does one tenant from another.
    assert_eq!(flood("intake-flood", INTAKE_SECRET).await, 429);
    assert_eq!(exporter.post(&url("intake-quiet", INTAKE_SECRET), &[], body.clone()).await.0, 204);
    let scrape = exporter.scrape().await;
    assert!(counted(&scrape, "intake-flood", "duplicate") >= 200);
    assert!(counted(&scrape, "intake-flood", "throttled") >= 1);
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_and_repeated_pushes_change_nothing() {
    let (exporter, room) = start(Scenario { tenant: "intake-late", ..Scenario::with_intake() }).await;
    let states = [
        ("Watching", "accepted"),
        ("New", "accepted"),
        ("NEW", "duplicate"),
        ("Resolved", "accepted"),
        ("New", "outdated"),
        ("Investigating", "outdated"),
        ("Resolved", "duplicate"),
        ("Closed", "accepted"),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (state, result) in states {
        assert_eq!(exporter.push(PORTAL, &incident(&exporter, &room, "Camera", state)).await, 204);
        *expected.entry(result).or_insert(0) += 1;
        let scrape = exporter.scrape().await;
        for (result, count) in &expected {
            assert_eq!(counted(&scrape, exporter.tenant, result), *count, "{state}: {result}");
        }
    }
    let scrape = exporter.wait_until("it closed", |scrape| open(scrape, &room, "camera") == Some(0)).await;
    assert_eq!(state(&scrape, &room), "ok");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_survive_a_restart() {
    let storage = tempfile::tempdir().expect("a folder");
    let scenario = || Scenario {
        tenant: "intake-restart",
        storage_path: Some(storage.path().to_owned()),
        ..Scenario::with_intake()
    };
    let (exporter, room) = start(scenario()).await;
    let other = exporter.sim.rooms().remove(1);
    exporter.push(PORTAL, &incident(&exporter, &room, "Heartbeat", "New")).await;
    for state in ["New", "Resolved"] {
        let push = with(&incident(&exporter, &other, "Camera", state), |data| data["ID"] = "INC-2".into());
        exporter.push(PORTAL, &push).await;
    }
    let opened = "teams_rooms_incident_opened_timestamp_seconds";
    let received = "teams_rooms_intake_last_received_timestamp_seconds";
    let before = exporter
        .wait_until("a room down", |scrape| {
            let ended = open(scrape, &other, "camera") == Some(0) && scrape.count(opened) == 1;
            state(scrape, &room) == "down" && ended && is_drawn(scrape)
        })
        .await;
    let late = with(&incident(&exporter, &other, "Camera", "New"), |data| data["ID"] = "INC-2".into());
    let sim = exporter.stop().await;
    let kept = std::fs::read_to_string(storage.path().join("intake-restart.json")).expect("kept");
    assert!(kept.contains("INC-1") && !kept.contains(sim.person()) && !kept.contains(INTAKE_SECRET));

    sim.advance(Duration::from_mins(10));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    exporter
        .wait_until("the room still down", |scrape| {
            let same = |family| scrape.family(family).eq(before.family(family));
            state(scrape, &room) == "down" && same(opened) && same(received)
        })
        .await;
    assert_eq!(exporter.push(PORTAL, &late).await, 204);
    let scrape =
        exporter.wait_until("late", |scrape| counted(scrape, exporter.tenant, "outdated") == 1).await;
    assert_eq!(open(&scrape, &other, "camera"), Some(0), "its end is remembered");
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_whose_end_was_lost_expires() {
    let (exporter, room) = start(Scenario { tenant: "intake-expiry", ..Scenario::with_intake() }).await;
    exporter.push(PORTAL, &incident(&exporter, &room, "Offline", "Investigating")).await;
    exporter.wait_until("a room down", |scrape| state(scrape, &room) == "down").await;
    exporter.sim.advance(6 * DAY);
    exporter.wait_until("still down", |scrape| state(scrape, &room) == "down").await;
    exporter.sim.advance(DAY + Duration::from_secs(1));
    exporter
        .wait_until("a room up", |scrape| {
            state(scrape, &room) == "ok" && open(scrape, &room, "offline").is_none()
        })
        .await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_not_documented_are_counted_and_never_refused() {
    let (exporter, room) = start(Scenario { tenant: "intake-unknown", ..Scenario::with_intake() }).await;
    let sentence = format!("Ask {}, she was there", exporter.sim.person());
    let push = with(&incident(&exporter, &room, "x", "New"), |data| {
        data["signal"] = sentence.into();
        data["severity"] = "Apocalyptic".into();
    });
    assert_eq!(exporter.push(PORTAL, &push).await, 204);
    let scrape = exporter.wait_until("an incident", |scrape| open(scrape, &room, "other") == Some(1)).await;
    assert_eq!(scrape.total("teams_rooms_incidents_open", &["incident_severity=\"unknown\""]), 1);
    assert_eq!(state(&scrape, &room), "ok");
    assert_eq!(exporter.push(PORTAL, &incident(&exporter, &room, "Camera", "Snoozed")).await, 204);
    let scrape = exporter.scrape().await;
    for field in ["incident.signal", "incident.severity", "incident.state"] {
        let counted = scrape.total("teams_rooms_unknown_values_total", &[&format!("field=\"{field}\"")]);
        assert_eq!(counted, 1, "{field}");
    }
    assert_eq!(counted(&scrape, exporter.tenant, "ignored"), 1);
    exporter.wait_for_line(&["value=Apocalyptic"]).await;
    exporter.stop().await;
}

/// An account that is no room does not become one because a push names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_never_makes_a_room() {
    let (exporter, room) = start(Scenario { tenant: "intake-roomless", ..Scenario::with_intake() }).await;
    let before = exporter.scrape().await;
    let push = with(&incident(&exporter, &room, "Camera", "New"), |data| {
        data["devices"] =
            json!([{"ID": "nothing", "displayName": "Ada Lovelace", "roomAccount": "ada@contoso.example"}]);
    });
    assert_eq!(exporter.push(PORTAL, &push).await, 204);
    let without = "teams_rooms_incidents_without_room";
    let after = exporter.wait_until("it held", |scrape| scrape.total(without, &[]) == 1).await;
    assert_eq!(after.keys("teams_rooms_room_info"), before.keys("teams_rooms_room_info"));
    assert!(!after.text.contains("ada@") && !exporter.get("/").await.1.contains("ada@"));
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_a_file_can_be_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{INTAKE_SECRET}\n")).expect("written");
    let file = path.clone();
    let configure = move |config: &mut Config| config.tenants[0].intake = Some(Credential::SecretFile(file));
    let scenario = Scenario { tenant: "intake-file", configure: Box::new(configure), ..Scenario::default() };
    let (exporter, room) = start(scenario).await;
    let url = format!("{}/{PORTAL}/{}", exporter.intake_url, exporter.tenant);
    let body = incident(&exporter, &room, "Camera", "New").to_string();
    let status = async |secret: &str| exporter.post(&format!("{url}/{secret}"), &[], body.clone()).await.0;
    assert_eq!((status(INTAKE_SECRET).await, status(OTHER_SECRET).await), (204, 401));

    // One that is no good leaves the one before.
    std::fs::write(&path, "short").expect("written");
    let kept = || exporter.log().iter().any(|line| line.contains("keeps the secret that it had"));
    exporter.wait_until("a bad secret refused", |_| kept()).await;
    assert_eq!(status(INTAKE_SECRET).await, 204);
    std::fs::write(&path, OTHER_SECRET).expect("written");
    let replaced = || exporter.log().iter().any(|line| line.contains("the intake has a new secret"));
    exporter.wait_until("a new secret", |_| replaced()).await;
    assert_eq!(status(OTHER_SECRET).await, 204);
    assert_eq!(status(INTAKE_SECRET).await, 401);
    exporter.stop().await;
}

/// Two tenants with a secret each: neither opens the other's door.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_for_one_tenant() {
    let configure = |config: &mut Config| {
        with_intake(config);
        let mut other = config.tenants[0].clone();
        other.name = "intake-two".to_owned();
        other.intake = Some(Credential::Secret(Secret::new(OTHER_SECRET)));
        config.tenants.push(other);
    };
    let scenario = Scenario { tenant: "intake-one", configure: Box::new(configure), ..Scenario::default() };
    let (exporter, room) = start(scenario).await;
    let body = incident(&exporter, &room, "Camera", "New").to_string();
    for (tenant, secret, status) in [
        ("intake-one", INTAKE_SECRET, 204),
        ("intake-two", OTHER_SECRET, 204),
        ("intake-one", OTHER_SECRET, 401),
        ("intake-two", INTAKE_SECRET, 401),
    ] {
        let url = format!("{}/{PORTAL}/{tenant}/{secret}", exporter.intake_url);
        assert_eq!(exporter.post(&url, &[], body.clone()).await.0, status, "{tenant}");
    }
    exporter.stop().await;
}
