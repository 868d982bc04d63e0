//! What clients do to keep others from scraping: each holds what it can while somebody scrapes, and is gone in the end.
//!
//! The limits are smaller than the product's, and so are the crowds; `tests/proof/web` has a thousand of them. Deadlines
//! are longer than any test waits: what helps is not that time passes. That it passes is the last test.

#![expect(clippy::panic, reason = "the attack that worked is named")]

use std::time::{Duration, Instant};

use base64::Engine as _;
use teams_rooms_exporter::app::Tuning;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::exporter::{Exporter, Scenario, client, spawn};
use crate::pki::{TLS, WebFolder};

/// For what should happen soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than the connections that may be open.
const CROWD: usize = 100;
const CONNECTIONS: usize = 32;
const SLOTS: usize = 4;

/// A record that says that 512 bytes of a `ClientHello` follow.
const HALF_A_HELLO: [u8; 7] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];

/// Scrapes under each attack.
const SCRAPES: usize = 20;

/// An exporter in the clear, or with TLS where there is a folder for it.
async fn start(folder: Option<&WebFolder>) -> Exporter {
    start_tuned(folder, |tuning| {
        tuning.serve.connections = CONNECTIONS;
        tuning.serve.scrapes = SLOTS;
        tuning.serve.head = 2 * PATIENCE;
        tuning.serve.idle = 2 * PATIENCE;
        tuning.serve.response = 2 * PATIENCE;
        tuning.serve.stalled = Duration::from_millis(50);
    })
    .await
}

async fn start_tuned(folder: Option<&WebFolder>, tune: fn(&mut Tuning)) -> Exporter {
    let web = folder.map(|folder| {
        let trusting = folder.authority.trusted_by(client()).pool_max_idle_per_host(0);
        (folder.web(), trusting.build().expect("a client"))
    });
    let exporter = Exporter::start(Scenario { tune, web, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter
}

/// Scrapes again and again, each time on a new connection.
async fn scrapes(exporter: &Exporter, folder: Option<&WebFolder>, attack: &str) {
    let builder = client().pool_max_idle_per_host(0).timeout(PATIENCE);
    let builder = match folder {
        Some(folder) => folder.authority.trusted_by(builder),
        None => builder,
    };
    let client = builder.build().expect("a client");
    let mut times = Vec::new();
    for number in 0..SCRAPES {
        let began = Instant::now();
        let answer = client.get(format!("{}/metrics", exporter.url)).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{attack}: scrape {number} fails: {error:?}"));
        assert_eq!(answer.status(), 200, "{attack}: scrape {number}");
        assert!(answer.text().await.expect("the whole body").contains("teams_rooms_up"), "{attack}");
        times.push(began.elapsed());
    }
    times.sort();
    let (usual, longest) = (times.get(SCRAPES / 2), times.last());
    tracing::info!(attack, ?usual, ?longest, "scraped");
}

async fn connect(exporter: &Exporter) -> TcpStream {
    let address = exporter.url.rsplit('/').next().expect("an address").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a buffer");
    socket.connect(address).await.expect("somebody listens")
}

/// A crowd that sends `bytes` and then nothing.
async fn crowd(exporter: &Exporter, bytes: &[u8]) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..CROWD {
        let mut stream = connect(exporter).await;
        // Fails where the connection had to make room already.
        stream.write_all(bytes).await.ok();
        all.push(stream);
    }
    all
}

/// Waits until the other side has closed all of them; gives what the last one was told.
async fn all_closed(attack: &str, streams: Vec<TcpStream>) -> String {
    let mut told = Vec::new();
    for mut stream in streams {
        told.clear();
        // A reset is an end, too.
        timeout(PATIENCE, stream.read_to_end(&mut told))
            .await
            .unwrap_or_else(|_| panic!("{attack} stays"))
            .ok();
    }
    String::from_utf8_lossy(&told).into_owned()
}

#[tokio::test]
async fn connections_that_are_not_used() {
    let exporter = start(None).await;
    for (attack, bytes) in [
        ("silent connections", ""),
        ("idle connections", "GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("heads that never end", "GET /metrics HTTP/1.1\r\nx: "),
        ("bodies that never come", "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"),
    ] {
        let streams = crowd(&exporter, bytes.as_bytes()).await;
        scrapes(&exporter, None, attack).await;
        drop(streams);
    }
    exporter.stop().await;
}

#[tokio::test]
async fn heads_that_come_byte_by_byte() {
    let exporter = start(None).await;
    let mut streams = crowd(&exporter, b"GET /metrics HTTP/1.1\r\nx: ").await;
    let dripping = async {
        loop {
            for stream in &mut streams {
                stream.write_all(b"y").await.ok();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = scrapes(&exporter, None, "slow loris") => {}
        () = dripping => {}
    }
    exporter.stop().await;
}

#[tokio::test]
async fn floods_of_headers_and_bodies() {
    let exporter = start(None).await;
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101));
    let large = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
    for (attack, bytes) in [("many headers", many), ("large headers", large)] {
        let mut stream = connect(&exporter).await;
        stream.write_all(bytes.as_bytes()).await.ok();
        let told = all_closed(attack, vec![stream]).await;
        assert!(told.starts_with("HTTP/1.1 431"), "{attack}: {told}");
        let streams = crowd(&exporter, bytes.as_bytes()).await;
        scrapes(&exporter, None, attack).await;
        all_closed(attack, streams).await;
    }
    for (attack, head) in [
        ("a large body", "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n"),
        (
            "an endless body",
            "GET /metrics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n",
        ),
        ("an endless header", "GET /metrics HTTP/1.1\r\nx: "),
    ] {
        let mut stream = connect(&exporter).await;
        stream.write_all(head.as_bytes()).await.ok();
        let (mut taken, flood) = (0, vec![b'z'; 64 << 10]);
        let (mut read, mut write) = stream.split();
        let pouring = async {
            while write.write_all(&flood).await.is_ok() {
                taken += flood.len();
            }
        };
        let mut told = Vec::new();
        let reading = async { read.read_to_end(&mut told).await.map_or((), |_| ()) };
        timeout(PATIENCE, async { tokio::join!(pouring, reading) }).await.expect("the connection ends");
        assert!(taken < 32 << 20, "{attack}: {taken} bytes were taken");
        scrapes(&exporter, None, attack).await;
    }
    exporter.stop().await;
}

#[tokio::test]
async fn readers_that_stall() {
    let exporter = start(None).await;
    // Together more than the sockets hold, so that each keeps a slot until it is taken away.
    let requests = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(400);
    let mut streams = Vec::new();
    for _ in 0..3 * SLOTS {
        let mut stream = connect(&exporter).await;
        stream.write_all(requests.as_bytes()).await.ok();
        streams.push(stream);
    }
    // One that only begins to stall still has its slot; the next try finds it freed.
    for _ in 0..SCRAPES {
        exporter.wait_until_scraped().await;
    }
    drop(streams);
    exporter.stop().await;
}

#[tokio::test]
async fn connections_that_break_off() {
    let exporter = start(None).await;
    for _ in 0..CROWD {
        let mut stream = connect(&exporter).await;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
        stream.set_zero_linger().expect("a reset instead of an end");
    }
    exporter.wait_until_scraped().await;
    scrapes(&exporter, None, "resets").await;
    exporter.stop().await;
}

#[tokio::test]
async fn handshakes_that_never_end_and_what_is_none() {
    let folder = WebFolder::new(TLS);
    let exporter = start(Some(&folder)).await;
    for (attack, bytes) in [
        ("silent handshakes", &b""[..]),
        ("half a handshake", &HALF_A_HELLO),
        ("no handshake at all", &[0xff; 300]),
        ("HTTP without TLS", b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"),
    ] {
        let streams = crowd(&exporter, bytes).await;
        scrapes(&exporter, Some(&folder), attack).await;
        drop(streams);
    }
    let mut plain = connect(&exporter).await;
    plain.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let told = all_closed("HTTP without TLS", vec![plain]).await;
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("HTTP request to an HTTPS server"), "{told}");
    exporter.stop().await;
}

#[tokio::test]
async fn passwords_that_are_guessed() {
    let hash = bcrypt::hash("right", 4).expect("a hash");
    let folder = WebFolder::new(&format!("basic_auth_users:\n  ann: {hash}\n"));
    let basic = reqwest::header::HeaderValue::from_static("Basic YW5uOnJpZ2h0");
    let headers: reqwest::header::HeaderMap = [(reqwest::header::AUTHORIZATION, basic)].into_iter().collect();
    let good = client().default_headers(headers).build().expect("a client");
    let scenario = Scenario { web: Some((folder.web(), good)), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    exporter.wait_for_everything().await;
    let guess = "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Basic YW5uOndyb25n\r\n\r\n".repeat(20);
    let streams = crowd(&exporter, guess.as_bytes()).await;
    for _ in 0..SCRAPES {
        assert_eq!(exporter.get("/metrics").await.0, 200, "who was right once does not wait for guesses");
    }
    drop(streams);
    exporter.stop().await;
}

/// Each has its own address and asks again as soon as it is refused. The client asks for the first time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessers_lock_no_new_client_out() {
    // Some 30 ms in a test: a hundred of them take longer than the client has patience.
    let hash = bcrypt::hash("right", 8).expect("a hash");
    let folder = WebFolder::new(&format!("basic_auth_users:\n  ann: {hash}\n"));
    let scenario =
        Scenario { web: Some((folder.web(), client().build().expect("a client"))), ..Scenario::default() };
    let exporter = Exporter::start(scenario).await;
    let guessers: Vec<_> = (1..=100).map(|number| spawn(guess(exporter.url.clone(), number))).collect();
    let refused = || async { exporter.get("/metrics").await.0 == 401 };
    while !refused().await {}
    let url = format!("{}/metrics", exporter.url);
    let fresh = client().timeout(Duration::from_secs(2)).build().expect("a client");
    let mut let_in = false;
    for _ in 0..2 {
        let answer = fresh.get(&url).basic_auth("ann", Some("right")).send().await;
        let_in |= answer.is_ok_and(|answer| answer.status() == 200);
    }
    assert!(let_in, "two tries are enough");
    for guesser in guessers {
        guesser.abort();
    }
    exporter.stop().await;
}

/// Guesses for ever, each time another password, on one connection after another.
async fn guess(url: String, number: u8) {
    let address: std::net::SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    for attempt in 0_u64.. {
        let socket = TcpSocket::new_v4().expect("a socket");
        let own = std::net::SocketAddr::from(([127, 0, 1, number], 0));
        socket.bind(own).expect("an address of this machine");
        let Ok(mut stream) = socket.connect(address).await else { continue };
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("ann:{number}-{attempt}"));
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Basic {credentials}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
    }
}

/// The page and the list of rooms are long where a tenant is large: a client that does not read them takes a slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_other_paths_that_stall() {
    let exporter = Exporter::start(Scenario {
        rooms: 400,
        tune: |tuning| {
            tuning.serve.scrapes = SLOTS;
            tuning.serve.response = 2 * PATIENCE;
            tuning.serve.stalled = Duration::from_millis(50);
        },
        ..Scenario::default()
    })
    .await;
    exporter.wait_for_everything().await;
    let long = exporter.get("/api/v1/rooms").await.1;
    assert!(long.len() > 256 << 10, "{} bytes need no slot", long.len());
    serde_json::from_str::<serde_json::Value>(&long).expect("JSON out of blocks");
    let requests = "GET /api/v1/rooms HTTP/1.1\r\nhost: x\r\n\r\n".repeat(40);
    let mut streams = Vec::new();
    for _ in 0..3 * SLOTS {
        let mut stream = connect(&exporter).await;
        stream.write_all(requests.as_bytes()).await.ok();
        streams.push(stream);
    }
    // They hold every slot at some time, and each is taken away from them.
    let refused = || async { exporter.scrape().await.text.contains("code=\"503\",handler=\"api\"") };
    let began = Instant::now();
    while !refused().await {
        assert!(began.elapsed() < PATIENCE, "no client was refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..SCRAPES {
        exporter.wait_until_scraped().await;
    }
    drop(streams);
    exporter.stop().await;
}

#[tokio::test]
async fn requests_have_exactly_one_host() {
    let exporter = start(None).await;
    for (head, status) in [
        ("GET /-/healthy HTTP/1.1\r\n", "HTTP/1.1 400"),
        ("GET /-/healthy HTTP/1.1\r\nhost: x\r\nhost: x\r\n", "HTTP/1.1 400"),
        ("GET /-/healthy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", "HTTP/1.1 200"),
        ("GET /-/healthy HTTP/1.0\r\n", "HTTP/1.0 200"),
        ("GET /-/healthy HTTP/1.0\r\nhost: x\r\nhost: y\r\n", "HTTP/1.0 400"),
    ] {
        let mut stream = connect(&exporter).await;
        stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("sent");
        let told = all_closed(head, vec![stream]).await;
        assert!(told.starts_with(status), "{head}: {told}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn who_does_not_come_to_an_end_is_cut_off() {
    let in_no_time: fn(&mut Tuning) = |tuning| tuning.serve.head = Duration::from_millis(300);
    let folder = WebFolder::new(TLS);
    let exporter = start_tuned(Some(&folder), in_no_time).await;
    for (what, bytes) in [("a silent handshake", &b""[..]), ("half a handshake", &HALF_A_HELLO)] {
        let mut stream = connect(&exporter).await;
        stream.write_all(bytes).await.expect("sent");
        all_closed(what, vec![stream]).await;
    }
    exporter.stop().await;

    let exporter = start_tuned(None, in_no_time).await;
    let (mut read, mut write) = connect(&exporter).await.into_split();
    let dripping = async {
        while write.write_all(b"y").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let closed = async {
        timeout(PATIENCE, read.read_to_end(&mut Vec::new())).await.expect("an end").map_or(0, |n| n)
    };
    assert_eq!(tokio::join!(dripping, closed).1, 0);
    exporter.stop().await;
}

/// Nobody waits for a client that does not shake hands.
#[tokio::test]
async fn a_silent_handshake_does_not_keep_the_exporter_from_stopping() {
    let folder = WebFolder::new(TLS);
    let exporter = start_tuned(Some(&folder), |tuning| {
        tuning.serve.head = 2 * PATIENCE;
        tuning.serve.drain = 2 * PATIENCE;
    })
    .await;
    let silent = connect(&exporter).await;
    exporter.scrape().await;
    timeout(PATIENCE, exporter.stop()).await.expect("it stops");
    drop(silent);
}
