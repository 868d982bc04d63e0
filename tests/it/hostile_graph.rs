//! A Graph that means harm: bodies that grow when they are read, lists without an end. Each costs its own sources and nothing
//! else; `tests/proof/hostile` measures the memory of the binary under the same bodies.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use teams_rooms_exporter::config::{Config, Enabled};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::exporter::{Exporter, Scenario, Scrape, every_source, parse, spawn};

const MIB: usize = 1024 * 1024;

/// What the enemy answers to every request but that for a token.
#[derive(Clone)]
struct Answer {
    status: u16,
    body: Arc<[u8]>,
}

impl Answer {
    fn new(status: u16, body: &str) -> Self {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(body.as_bytes()).expect("packed");
        Self { status, body: packed.finish().expect("packed").into() }
    }
}

/// An HTTP server of one answer.
struct Enemy {
    root: url::Url,
    answer: Arc<Mutex<Answer>>,
}

impl Enemy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}", listener.local_addr().expect("bound"));
        let answer = Arc::new(Mutex::new(Answer::new(200, r#"{"value":[]}"#)));
        let shared = answer.clone();
        drop(spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = shared.lock().expect("nobody panicked").clone();
                drop(spawn(serve(stream, answer)));
            }
        }));
        Self { root: root.parse().expect("a URL"), answer }
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().expect("nobody panicked") = Answer::new(status, body);
    }
}

/// One request, one answer, and the end of the connection.
async fn serve(mut stream: TcpStream, answer: Answer) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => request.extend(buffer.iter().take(read)),
            _ => return,
        }
    }
    let token = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"enemy"}"#;
    let (status, encoding, body) = if request.windows(6).any(|part| part == b"/token") {
        (200, "identity", token.as_bytes())
    } else {
        (answer.status, "gzip", &*answer.body)
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-encoding: {encoding}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // The exporter may have read enough.
    stream.write_all(head.as_bytes()).await.ok();
    stream.write_all(body).await.ok();
}

/// The head and, if there is one, the body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

/// A tenant of the simulation, and one whose Graph is the enemy's.
async fn start(enemy: &Enemy) -> Exporter {
    let root = enemy.root.clone();
    let configure = Box::new(move |config: &mut Config| {
        every_source(config);
        let mut other = config.tenants.first().expect("one").clone();
        "enemy".clone_into(&mut other.name);
        (other.authority, other.graph) = (root.clone(), root);
        config.tenants.push(other);
    });
    let tune = |tuning: &mut teams_rooms_exporter::app::Tuning| tuning.graph.attempts = 1;
    let exporter = Exporter::start(Scenario { configure, tune, ..Scenario::default() }).await;
    exporter.wait_for_every_source().await;
    exporter
}

fn list(item: &str, bytes: usize) -> String {
    format!("[{}{item}]", format!("{item},").repeat(bytes / (item.len() + 1)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_grow_cost_their_source_alone() {
    let enemy = Enemy::start().await;
    let exporter = start(&enemy).await;
    let objects = list(r#"{"a":{}}"#, 8 * MIB - 4096);
    let device = r#"{"id":"d1","deviceType":"teamsRoom","healthStatus":"healthy"}"#;
    for (attack, status, body, state, devices) in [
        (
            "an error of objects",
            400,
            format!(r#"{{"error":{{"code":"x","inner":{objects}}}}}"#),
            "malformed",
            0.0,
        ),
        ("a body above the bound", 200, format!(r#"{{"value":[{objects}]}}"#).repeat(2), "malformed", 0.0),
        ("a list without an end", 200, format!(r#"{{"value":{}}}"#, list("0", 4 * MIB)), "malformed", 0.0),
        ("lists in lists", 200, format!(r#"{{"value":[{}"#, "[".repeat(6 * MIB)), "malformed", 0.0),
        (
            "a link of objects",
            200,
            format!(r#"{{"value":[{device}],"@odata.nextLink":{objects}}}"#),
            "ok",
            1.0,
        ),
        (
            "one record of objects",
            200,
            format!(r#"{{"value":[{{"id":"x","y":{objects}}},{device}]}}"#),
            "ok",
            1.0,
        ),
        (
            "many records of objects",
            200,
            format!(r#"{{"value":[{device},{}"#, {
                let record = format!(r#"{{"y":{}}}"#, list(r#"{"a":{}}"#, 100_000));
                list(&record, 6 * MIB).replacen('[', "", 1) + "}"
            }),
            "ok",
            1.0,
        ),
        // Last: it is asked for again less often.
        (
            "a refusal of objects",
            403,
            format!(r#"{{"error":{{"inner":{objects},"code":"x"}}}}"#),
            "forbidden",
            0.0,
        ),
    ] {
        enemy.answers(status, &body);
        let shown = |scrape: &Scrape| {
            let held = scrape.collector("items", "enemy", "devices");
            scrape.state("enemy", "devices") == state && held.is_some_and(|held| held >= devices)
        };
        exporter.wait_until(format!("{state} under {attack}"), shown).await;
        // The other tenant goes on.
        exporter.sim.clear_requests();
        let goes_on = |scrape: &Scrape| {
            let asked = exporter.sim.requests().len() > 20;
            asked && scrape.collector("success", "contoso", "devices") == Some(1.0)
        };
        exporter.wait_until(format!("the other tenant under {attack}"), goes_on).await;
    }
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_rooms_and_accounts_are_held_up_to_a_number() {
    const MOST: usize = 5;
    let configure = Box::new(|config: &mut Config| {
        every_source(config);
        config.tenants.iter_mut().for_each(|tenant| tenant.max_items = MOST);
    });
    let exporter = Exporter::start(Scenario { tenant: "bounded", configure, ..Scenario::default() }).await;
    for source in ["devices", "places", "accounts"] {
        let scrape = exporter.wait_for_state(source, "partial").await;
        let items = scrape.collector("items", exporter.tenant, source);
        assert!(items.is_some_and(|items| items <= 5.0), "{source}: {items:?}");
    }
    let log = exporter.log().join("\n");
    assert!(
        log.contains("level=warn") && log.contains("there are more than 5; max_items of the tenant"),
        "{log}"
    );
    let scrape = exporter.scrape().await;
    assert!(scrape.count("teams_rooms_room_info") <= MOST && scrape.count("teams_rooms_device_info") <= MOST);

    let (status, answer) =
        exporter.reload(|config| config.tenants.iter_mut().for_each(|tenant| tenant.max_items = 1000)).await;
    assert_eq!(status, 200, "{answer}");
    for source in ["devices", "places", "accounts"] {
        exporter.wait_for_state(source, "ok").await;
    }
    exporter.stop().await;
}

/// From the start on: presence asks for the rooms that other sources know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_drips_does_not_hold_up_presence() {
    let configure = Box::new(|config: &mut Config| {
        every_source(config);
        config.tenants.iter_mut().for_each(|tenant| tenant.collectors.intune.enabled = Enabled::No);
    });
    let tune = |tuning: &mut teams_rooms_exporter::app::Tuning| {
        tuning.first_wait = Duration::from_millis(50);
        tuning.graph.request_timeout = Duration::from_mins(10);
    };
    let faults = &["drip@device_list=60000"];
    let exporter = Exporter::start(Scenario { faults, configure, tune, ..Scenario::default() }).await;
    exporter.wait_for_state("presence", "ok").await;
    let scrape = exporter.wait_for_state("calendar", "ok").await;
    assert_eq!(scrape.state("contoso", "devices"), "starting");
    let asks = "/v1.0/communications/getPresencesByUserId";
    exporter.sim.clear_requests();
    let again =
        |_: &Scrape| exporter.sim.requests().iter().filter(|request| request.operation == asks).count() > 3;
    exporter.wait_until("presence goes on", again).await;
    exporter.sim.set_faults(parse(&[]));
    exporter.stop().await;
}
