//! OTLP: what a receiver gets, and what a dead one costs.
//!
//! The receiver here is a stub that keeps what is sent; `tests/proof/otlp` compares with real ones.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message as _;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::json;
use teams_rooms_exporter::config::Secret;
use teams_rooms_exporter::config::otlp::{Endpoint, Identity, Metrics, Otlp, Protocol, Temporality};
use teams_rooms_exporter::proxy::Proxies;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::exporter::{Exporter, Scenario, Scrape, parse, seconds, spawn};
use crate::pki::Authority;

const SENT: &str = "teams_rooms_otlp_sent_total{signal=\"metrics\"}";
const DROPPED: &str = "teams_rooms_otlp_dropped_total{signal=\"metrics\"}";

/// Keeps the bodies that are posted to it, and answers with a status.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    status: Arc<AtomicU16>,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Receiver {
    pub(crate) async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let receiver = Self {
            url: format!("http://{}/v1/metrics", listener.local_addr().expect("bound")),
            status: Arc::new(AtomicU16::new(status)),
            bodies: Arc::default(),
        };
        let own = receiver.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let own = own.clone();
                    async move {
                        assert_eq!(request.headers()["authorization"], "Bearer hunter2");
                        let body = request.into_body().collect().await.expect("a body").to_bytes();
                        let status =
                            StatusCode::from_u16(own.status.load(Ordering::SeqCst)).expect("a status");
                        if status.is_success() {
                            own.bodies.lock().unwrap_or_else(PoisonError::into_inner).push(body);
                        }
                        let mut response = Response::new(Full::<Bytes>::default());
                        *response.status_mut() = status;
                        Ok::<_, Infallible>(response)
                    }
                });
                spawn(async move {
                    let served = hyper::server::conn::http1::Builder::new();
                    drop(served.serve_connection(TokioIo::new(stream), answer).await);
                });
            }
        });
        receiver
    }

    /// The latest value of each series that was sent, as a scrape would have it.
    fn series(&self) -> BTreeMap<String, f64> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = bodies.iter().map(|body| ExportMetricsServiceRequest::decode(&**body).expect("OTLP"));
        let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|one| one.scope_metrics);
        let mut series = BTreeMap::new();
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let points = match metric.data.expect("data") {
                metric::Data::Gauge(gauge) => gauge.data_points,
                metric::Data::Sum(sum) => sum.data_points,
                _ => continue,
            };
            for point in points {
                let value = match point.value {
                    Some(number_data_point::Value::AsDouble(value)) => value,
                    _ => f64::NAN, // which is equal to nothing that a scrape shows
                };
                series.insert(identity(&metric.name, &point.attributes), value);
            }
        }
        series
    }

    /// The sum of all that was sent of the counters of a name with these labels.
    fn added(&self, name: &str, labels: &[&str]) -> f64 {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = bodies.iter().map(|body| ExportMetricsServiceRequest::decode(&**body).expect("OTLP"));
        let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|one| one.scope_metrics);
        let metrics = scopes.flat_map(|scope| scope.metrics).filter(|metric| metric.name == name);
        let points = metrics.flat_map(|metric| match metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points,
            _ => Vec::new(),
        });
        let wanted = points.filter(|point| {
            let series = identity(name, &point.attributes);
            labels.iter().all(|label| series.contains(label))
        });
        let value = |value| match value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            _ => f64::NAN, // which is no sum of anything
        };
        wanted.map(|point| value(point.value)).sum()
    }

    fn pushes(&self) -> usize {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn identity(name: &str, attributes: &[KeyValue]) -> String {
    let pair = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => format!("{}=\"{text}\"", pair.key),
        other => format!("{}={other:?}", pair.key), // no label of a scrape is like this
    };
    match attributes {
        [] => name.to_owned(),
        some => format!("{name}{{{}}}", some.iter().map(pair).collect::<Vec<_>>().join(",")),
    }
}

/// Metrics to this receiver, often.
pub(crate) fn to(url: &str, timeout: Duration) -> Otlp {
    let endpoint = Endpoint {
        url: url.parse().expect("a URL"),
        protocol: Protocol::Http,
        headers: vec![("authorization".to_owned(), Secret::new("Bearer hunter2"))],
        gzip: false,
        timeout,
        authorities: None,
        identity: None,
        proxies: Proxies::default(),
    };
    let interval = Duration::from_millis(200);
    let metrics = Metrics { endpoint, interval, temporality: Temporality::Cumulative };
    Otlp { metrics: Some(metrics), ..Otlp::default() }
}

fn count(scrape: &Scrape, series: &str) -> f64 {
    scrape.series.get(series).map_or(0.0, |value| value.parse().expect("a number"))
}

/// Series by series and value by value; the exporter's own work goes on between push and scrape.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_has_the_series_and_values_of_a_scrape() {
    let receiver = Receiver::start(200).await;
    let otlp = to(&receiver.url, Duration::from_secs(10));
    let exporter = Exporter::start(Scenario { otlp, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    let sent = count(&exporter.scrape().await, SENT);
    let pushed_twice = |scrape: &Scrape| count(scrape, SENT) > 2.5 * sent.max(1000.0);
    let scrape = exporter.wait_until("two more pushes", pushed_twice).await;
    let own = [
        "process_",
        "teams_rooms_graph_",
        "teams_rooms_exporter_",
        "teams_rooms_otlp_",
        "teams_rooms_collector_",
    ];
    let rests = |series: &str| !own.iter().any(|own| series.starts_with(own));
    let pushed = receiver.series();
    let mut compared = 0;
    for (series, value) in scrape.series.iter().filter(|(series, _)| rests(series)) {
        let value: f64 = value.parse().expect("a number");
        assert_eq!(pushed.get(series).map(|pushed| pushed.to_bits()), Some(value.to_bits()), "{series}");
        compared += 1;
    }
    assert!(compared > 500, "{compared}");
    for series in pushed.keys().filter(|series| rests(series)) {
        assert!(scrape.series.contains_key(series), "{series} is pushed and not served");
    }
    assert!(count(&scrape, DROPPED) < 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_costs_its_points_alone_and_is_found_again() {
    let receiver = Receiver::start(503).await;
    let otlp = to(&receiver.url, Duration::from_secs(10));
    let exporter = Exporter::start(Scenario { otlp, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    let scrape = exporter.wait_until("points dropped", |scrape| count(scrape, DROPPED) > 0.0).await;
    assert!(count(&scrape, SENT) < 1.0);
    receiver.status.store(200, Ordering::SeqCst);
    let scrape = exporter.wait_until("points sent", |scrape| count(scrape, SENT) > 0.0).await;
    assert!(
        scrape.series.contains_key("teams_rooms_otlp_last_success_timestamp_seconds{signal=\"metrics\"}")
    );
}

/// A device is away for so long that its series are gone, and comes back in a room with another name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_add_up_over_an_absence_and_a_new_name() {
    const CHANGES: &str = "teams_rooms_state_changes_total";
    let receiver = Receiver::start(200).await;
    let mut otlp = to(&receiver.url, Duration::from_secs(10));
    if let Some(metrics) = &mut otlp.metrics {
        metrics.temporality = Temporality::Delta;
    }
    let exporter = Exporter::start(Scenario { otlp, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    let device = exporter.sim.rooms().remove(0).device_ids.remove(0);
    let of_device = format!("device_id=\"{device}\"");
    let labels = [of_device.as_str(), "signal=\"health\""];
    let edit = |health: &str| exporter.sim.edit(&device, json!({"device": {"healthStatus": health}}));
    let told = |changes: i64| {
        let (labels, receiver) = (labels, &receiver);
        move |scrape: &Scrape| {
            scrape.total(CHANGES, &labels) == changes && seconds(receiver.added(CHANGES, &labels)) == changes
        }
    };
    edit("healthy");
    exporter.wait_for_attempts().await;
    let before = exporter.scrape().await.total(CHANGES, &labels);
    for (step, health) in [(1, "critical"), (2, "offline")] {
        edit(health);
        exporter.wait_until(health, told(before + step)).await;
    }

    exporter.sim.set_faults(parse(&["error503"]));
    exporter.wait_for_state("devices", "unreachable").await;
    exporter.sim.advance(Duration::from_mins(31));
    exporter.wait_until("no device", |scrape| scrape.count(CHANGES) == 0).await;
    let pushes = receiver.pushes();
    exporter.wait_until("pushes without it", |_| receiver.pushes() > pushes + 2).await;

    let renamed = json!({"healthStatus": "critical", "currentUser": {"displayName": "Bergen 1"}});
    exporter.sim.edit(&device, json!({ "device": renamed }));
    exporter.sim.set_faults(Vec::new());
    exporter.wait_until("another change", told(before + 3)).await;
    exporter.stop().await;
}

/// Stands before a receiver and lets in who shows a certificate of this authority.
async fn guarded(authority: &Authority, receiver: &Receiver) -> String {
    let (certificate, key) = authority.sign(&["127.0.0.1"]);
    let certificates = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(|one| one.expect("PEM"));
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let mut trusted = RootCertStore::empty();
    trusted
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM"))
        .expect("an authority");
    let clients = WebPkiClientVerifier::builder(Arc::new(trusted)).build().expect("a verifier");
    let server = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
    let server = server.with_single_cert(certificates.collect(), key).expect("a key and its certificate");
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let inner = receiver.url.trim_start_matches("http://").trim_end_matches("/v1/metrics").to_owned();
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.clone());
            drop(spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(inner).await.expect("the receiver listens");
                drop(copy_bidirectional(&mut outside, &mut inside).await);
            }));
        }
    }));
    format!("https://{address}/v1/metrics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_may_have_an_authority_of_its_own_and_ask_who_we_are() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (authority, receiver) = (Authority::new(), Receiver::start(200).await);
    let url = guarded(&authority, &receiver).await;
    let (certificates, key) = authority.sign(&["exporter"]);
    let identity = Identity { certificates, key: Secret::new(key) };
    for identity in [Some(identity), None] {
        let mut otlp = to(&url, Duration::from_secs(10));
        if let Some(metrics) = &mut otlp.metrics {
            metrics.endpoint.authorities = Some(authority.pem.clone());
            metrics.endpoint.identity.clone_from(&identity);
        }
        let exporter = Exporter::start(Scenario { otlp, ..Scenario::default() }).await;
        let (wanted, other) = if identity.is_some() { (SENT, DROPPED) } else { (DROPPED, SENT) };
        let scrape = exporter.wait_until(wanted, |scrape| count(scrape, wanted) > 0.0).await;
        assert!(count(&scrape, other) < 1.0, "{other}");
        exporter.stop().await;
    }
}

/// Accepts connections and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_slows_neither_scrape_nor_collection_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/v1/metrics", silent.local_addr().expect("bound"));
    let otlp = to(&url, Duration::from_mins(5));
    let exporter = Exporter::start(Scenario { otlp, ..Scenario::default() }).await;
    exporter.wait_for_everything().await;
    exporter.wait_for_attempts().await;
    let began = Instant::now();
    exporter.stop().await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
