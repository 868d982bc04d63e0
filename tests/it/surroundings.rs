//! The machine and the network around the exporter fail: disk, clock, names, TLS. Each fault is told with what helps, costs
//! nothing that was known, and its end is found without help.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use teams_rooms_exporter::config::Config;
use teams_rooms_exporter::sim::Sim;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::exporter::{COLLECTORS, Exporter, Scenario, Scrape, seconds, spawn, start_tenant};
use crate::pki::Authority;

const FAILURES: &str = "teams_rooms_storage_write_failures_total";
const WRITTEN: &str = "teams_rooms_storage_last_write_timestamp_seconds";

/// The state is written again, now.
async fn wait_until_written(exporter: &Exporter) {
    exporter.sim.advance(Duration::from_secs(1));
    let now = exporter.sim.now().as_second();
    exporter.wait_until("written", |scrape| scrape.total(WRITTEN, &[]) >= now).await;
}

fn rooms_kept(file: &Path) -> usize {
    let kept = fs::read_to_string(file).expect("kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("whole");
    kept.pointer("/devices/rows").and_then(serde_json::Value::as_object).map_or(0, serde_json::Map::len)
}

/// A directory stands where the new file is to be written, and the exporter removes none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_is_told_and_what_was_kept_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage_path = Some(directory.path().to_owned());
    let exporter =
        Exporter::start(Scenario { tenant: "obstacle", storage_path, ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    wait_until_written(&exporter).await;
    let file = directory.path().join("obstacle.json");
    let obstacle = directory.path().join("obstacle.json.new");
    let kept = rooms_kept(&file);
    assert!(kept > 0);
    // A write may be under way, whose file has the name until it ends.
    let stands = |_: &Scrape| obstacle.is_dir() || fs::create_dir(&obstacle).is_ok();
    exporter.wait_until("the obstacle", stands).await;
    exporter.sim.advance(Duration::from_secs(1)); // or nothing new would be written
    exporter.wait_until("a failed write", |scrape| scrape.total(FAILURES, &[]) > 0).await;
    exporter
        .wait_for_line(&["level=error", "the state is not kept", "obstacle.json", "Is a directory"])
        .await;
    assert_eq!(rooms_kept(&file), kept, "the last whole file stays");
    fs::remove_dir(&obstacle).expect("removed");
    wait_until_written(&exporter).await;
    exporter.wait_for_line(&["level=info", "the state is kept again"]).await;
    assert_eq!(exporter.scrape().await.keys("teams_rooms_room_info"), before.keys("teams_rooms_room_info"));
    assert_eq!(rooms_kept(&file), kept);
    exporter.stop().await;
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "nothing half written stays");
}

/// Nobody makes a file in `/sys`, not even root.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_directory_is_told_and_found_writable_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, good) = (folder.path().join("state"), folder.path().join("good"));
    fs::create_dir(&good).expect("made");
    symlink("/sys/kernel", &state).expect("linked");
    let storage_path = Some(state.clone());
    let exporter =
        Exporter::start(Scenario { tenant: "read-only", storage_path, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter.wait_until("failed writes", |scrape| scrape.total(FAILURES, &[]) > 1).await;
    let words = ["level=error", "the state is not kept", "read-only.json", "make the directory writable"];
    exporter.wait_for_line(&words).await;
    symlink(&good, folder.path().join("new")).expect("linked");
    fs::rename(folder.path().join("new"), &state).expect("replaced");
    exporter.wait_for_line(&["level=info", "the state is kept again"]).await;
    assert!(rooms_kept(&good.join("read-only.json")) > 0);
    exporter.stop().await;
}

/// What stands before Graph and sign-in.
#[derive(Clone)]
enum Front {
    Tls(Arc<ServerConfig>),
    /// HTTP on the port where TLS is expected.
    Plain,
}

impl Front {
    fn of((certificate, key): (String, String)) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        Self::Tls(Arc::new(server.expect("a key and its certificate")))
    }
}

/// Leads to the tenant; when the front changes, no connection outlives it.
async fn start_front(sim: &Sim, front: watch::Receiver<Front>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (address, inner) = (listener.local_addr().expect("bound"), sim.url().replace("http://", ""));
    drop(spawn(async move {
        while let Ok((outside, _)) = listener.accept().await {
            let (mut front, inner) = (front.clone(), inner.clone());
            drop(spawn(async move {
                let now = front.borrow_and_update().clone();
                let inside = TcpStream::connect(inner).await.expect("the tenant listens");
                tokio::select! {
                    () = pass(now, outside, inside) => {}
                    _ = front.changed() => {}
                }
            }));
        }
    }));
    address
}

async fn pass(front: Front, mut outside: TcpStream, mut inside: TcpStream) {
    match front {
        Front::Plain => drop(copy_bidirectional(&mut outside, &mut inside).await),
        Front::Tls(server) => {
            if let Ok(mut outside) = TlsAcceptor::from(server).accept(outside).await {
                drop(copy_bidirectional(&mut outside, &mut inside).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_of_tls_is_told_apart_and_its_end_is_found() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, &authority.pem).expect("written");
    let names = ["127.0.0.1"];
    let good = || Front::of(authority.sign(&names));
    let (change, front) = watch::channel(good());
    let sim = start_tenant(12, &[]).await;
    let root: url::Url = format!("https://{}", start_front(&sim, front).await).parse().expect("a URL");
    let configure = Box::new(move |config: &mut Config| {
        let tenant = &mut config.tenants[0];
        (tenant.authority, tenant.graph, tenant.ca_file) = (root.clone(), root, Some(ca_file));
    });
    let exporter =
        Exporter::start(Scenario { tenant: "tls", sim: Some(sim), configure, ..Scenario::default() }).await;
    let before = exporter.wait_for_everything().await;
    for (front, words) in [
        (Front::of(authority.sign(&["elsewhere.example"])), "of another name; a proxy may be in between"),
        (Front::of(authority.sign_expired(&names)), "out of date; is the clock of this machine right?"),
        (Front::of(Authority::new().sign(&names)), "ca_file takes the authority"),
        (Front::Plain, "does not speak it; is it the right port"),
    ] {
        change.send_replace(front);
        for collector in COLLECTORS {
            exporter.wait_for_state(collector, "unreachable").await;
        }
        exporter.wait_for_line(&["level=warn", "TLS fails", words]).await;
        let during = exporter.wait_for_attempts().await;
        assert_eq!(during.keys("teams_rooms_room_info"), before.keys("teams_rooms_room_info"), "{words}");
        change.send_replace(good());
        for collector in COLLECTORS {
            exporter.wait_for_state(collector, "ok").await;
        }
    }
    exporter.stop().await;
}

/// `.invalid` is no name anywhere (RFC 6761).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_resolve_is_told() {
    let configure = Box::new(|config: &mut Config| {
        config.tenants[0].authority = "https://login.invalid".parse().expect("a URL");
    });
    let exporter = Exporter::start(Scenario { tenant: "dns", configure, ..Scenario::default() }).await;
    exporter.wait_for_state("devices", "unreachable").await;
    exporter.wait_for_line(&["level=warn", "its name does not resolve", "HTTPS_PROXY"]).await;
    let failures = exporter.scrape().await;
    assert!(failures.sum("teams_rooms_graph_requests_total", &["code=\"dns\""]) > 0.0);
    exporter.stop().await;
}

/// The clock of the machine is set, and set right again; rooms and devices stay, and no counter takes the leap for time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_is_followed() {
    for (tenant, jump) in [("clock-forward", DAY), ("clock-back", -DAY)] {
        let exporter = Exporter::start(Scenario { tenant, ..Scenario::default() }).await;
        let before = exporter.wait_for_everything().await;
        exporter.set_clock(jump);
        let during = wait_for_clock(&exporter).await;
        // What Graph changed last seems a day old, if the leap is forward.
        let devices = if jump > 0 { "frozen" } else { "ok" };
        assert_eq!(COLLECTORS.map(|collector| during.state(tenant, collector)), [devices, "ok"]);
        check_leap(&before, &during);
        exporter.set_clock(0);
        let after = wait_for_clock(&exporter).await;
        check_leap(&before, &after);
        let states = COLLECTORS.map(|collector| after.state(tenant, collector).to_owned());
        assert_eq!(states, ["ok", "ok"]);
        exporter.stop().await;
    }
}

const DAY: i64 = 24 * 3600;

/// Attempts that began by the clock as it is now.
async fn wait_for_clock(exporter: &Exporter) -> Scrape {
    exporter.sim.advance(Duration::from_secs(1));
    let now = exporter.now();
    exporter
        .wait_until("attempts by the new clock", |scrape| {
            COLLECTORS.iter().all(|collector| {
                let at = scrape.collector("last_attempt_timestamp_seconds", exporter.tenant, collector);
                at.is_some_and(|at| (now..now + 3600).contains(&seconds(at)))
            })
        })
        .await;
    exporter.wait_for_attempts().await
}

fn check_leap(before: &Scrape, after: &Scrape) {
    for family in ["teams_rooms_room_info", "teams_rooms_device_info"] {
        assert_eq!(before.keys(family), after.keys(family));
    }
    let counters = after.series.iter().filter(|(series, _)| series.contains("_seconds_total{"));
    for (series, value) in counters {
        let (then, now) = (before.value(series).unwrap_or("0"), value);
        let grown = now.parse::<f64>().expect("a number") - then.parse::<f64>().expect("a number");
        assert!((0.0..3600.0).contains(&grown), "{series} from {then} to {now}");
    }
}
