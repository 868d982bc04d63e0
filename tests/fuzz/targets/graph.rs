//! Every collector against a Graph whose answers are those of the simulated tenant, but one of them is the input.
//!
//! The collectors ask through the product's own client over HTTP, so that envelopes, pages, `$batch`, retries and sign-in
//! are reached, too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::collectors::licenses::Skus;
use teams_rooms_exporter::collectors::{
    Outcome, accounts, calendar, credentials, device_health, devices, intune, licenses, places, presence,
    service_health,
};
use teams_rooms_exporter::graph::{Client, Error, Limits, auth};
use teams_rooms_exporter::model::device::{Device, DeviceType};
use teams_rooms_exporter::model::{State as _, Timestamp};
use teams_rooms_exporter::proxy::Proxies;
use teams_rooms_exporter::sim::{self, Sim};
use teams_rooms_exporter::stats::Stats;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// Of the simulated tenant, whose time stands still.
const NOW: Timestamp = Timestamp::from_seconds(1_795_161_600);

/// For all that one source asks; answers that ask for patience get no more.
const DEADLINE: Duration = Duration::from_millis(250);
/// More than any input has.
const MAX_ITEMS: usize = 1000;

/// What is read; the first byte of an input is the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    SignIn,
    Devices,
    DeviceHealth,
    Presence,
    Places,
    Calendar,
    Licenses,
    Licensed,
    Named,
    Intune,
    ServiceHealth,
    Credentials,
}

const SOURCES: [Source; 12] = [
    Source::SignIn,
    Source::Devices,
    Source::DeviceHealth,
    Source::Presence,
    Source::Places,
    Source::Calendar,
    Source::Licenses,
    Source::Licensed,
    Source::Named,
    Source::Intune,
    Source::ServiceHealth,
    Source::Credentials,
];

/// Everything that was answered, with the source and the number of the answer in front.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let world = world();
    let numbered = |(source, answers): (&Source, &Vec<Answer>)| {
        let first = SOURCES.iter().position(|one| one == source).expect("a known source");
        let input = |(number, answer): (usize, &Answer)| {
            let prefix = [b'a' + as_byte(first), b'a' + as_byte(number % 26)];
            [&prefix[..], &answer.body].concat()
        };
        answers.iter().enumerate().map(input).collect::<Vec<_>>()
    };
    world.recorded.iter().flat_map(numbered).collect()
}

fn as_byte(number: usize) -> u8 {
    u8::try_from(number).expect("few")
}

pub(crate) fn run(input: &[u8]) {
    let [first, second, body @ ..] = input else { return };
    let world = world();
    let source = SOURCES[usize::from(first.wrapping_sub(b'a')) % SOURCES.len()];
    let answers = &world.recorded[&source];
    let planted = usize::from(second.wrapping_sub(b'a')) % answers.len();
    *lock(&world.graph.stage) = Stage::play(answers, planted, body);
    world.runtime.block_on(async {
        let deadline = Instant::now() + DEADLINE;
        let client =
            if source == Source::SignIn { Arc::new(client(world.graph.address)) } else { world.client() };
        let outcome = collect(source, &client, &world.known, deadline).await;
        assert!(Instant::now() < deadline + Duration::from_secs(10), "{source:?} does not end");
        check(&outcome);
        let waits = |error: &Error| !matches!(error, Error::Malformed { .. } | Error::Absent { .. });
        if outcome.failures.iter().any(|(_, error)| waits(error)) {
            *lock(&world.signed_in) = None; // it was told to wait, or to sign in again
        }
    });
}

/// What an operator reads of it is bounded, and so is what becomes a label.
fn check(outcome: &Outcome) {
    let reason = outcome.reason().unwrap_or_default();
    assert!(reason.len() < 8 * 1024, "{} bytes of reason", reason.len());
    assert!(outcome.unknown_values.iter().all(|unknown| unknown.value.chars().count() <= 256));
}

async fn collect(source: Source, client: &Client, known: &Known, deadline: Instant) -> Outcome {
    let skus = Skus::new(&BTreeMap::new());
    match source {
        Source::SignIn => {
            let signed_in = client.sign_in().await;
            let failures = signed_in.err().map(|error| ("sign-in".to_owned(), error)).into_iter().collect();
            Outcome { failures, ..Outcome::default() }
        }
        Source::Devices => {
            let take = |devices: &[Arc<Device>]| {
                let is_id = |device: &Arc<Device>| (1..=120).contains(&device.id.chars().count());
                assert!(devices.iter().all(is_id), "an id that would be cut as a label");
            };
            devices::collect(client, DeviceType::ALL, MAX_ITEMS, deadline, &take).await.0
        }
        Source::DeviceHealth => device_health::collect(client, &known.devices, deadline, &|_| {}).await,
        Source::Presence => presence::collect(client, &known.accounts, deadline, &|_| {}).await,
        Source::Places => places::collect(client, &[], MAX_ITEMS, deadline).await.0,
        Source::Calendar => {
            calendar::collect(client, &known.names, &known.names, NOW, deadline, &|_| {}).await
        }
        Source::Licenses => licenses::collect(client, &skus, NOW, deadline).await.0,
        Source::Licensed => accounts::licensed(client, &known.products, &skus, MAX_ITEMS, deadline).await.0,
        Source::Named => accounts::named(client, &known.names, &skus, deadline).await.0,
        Source::Intune => {
            let each_of_its_lists = deadline.saturating_duration_since(Instant::now()) / 3;
            intune::collect(client, each_of_its_lists, &|_| {}).await
        }
        Source::ServiceHealth => service_health::collect(client, deadline).await.0,
        Source::Credentials => credentials::collect(client, false, NOW, deadline).await.0,
    }
}

// The world: a simulated tenant, what it answered, and a Graph that repeats it.

struct World {
    runtime: Runtime,
    graph: Arc<Graph>,
    known: Known,
    recorded: BTreeMap<Source, Vec<Answer>>,
    signed_in: Mutex<Option<Arc<Client>>>,
}

/// What other sources have to be asked for.
#[derive(Default)]
struct Known {
    devices: Vec<Arc<Device>>,
    /// Object ids of rooms.
    accounts: Vec<Arc<str>>,
    /// Their addresses.
    names: Vec<Arc<str>>,
    products: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Answer {
    /// Method, path and what was sent.
    question: String,
    body: Bytes,
}

/// Answers from the stage, or from the simulated tenant.
struct Graph {
    address: SocketAddr,
    stage: Mutex<Stage>,
    sim: Sim,
    http: reqwest::Client,
}

enum Stage {
    /// Asks the tenant, and keeps what it says.
    Record(Vec<Answer>),
    /// What was recorded, but for the planted answer; that one also answers what was never asked before.
    Play { answers: BTreeMap<String, Bytes>, planted: Bytes },
}

impl Stage {
    fn play(answers: &[Answer], place: usize, body: &[u8]) -> Self {
        let planted = Bytes::copy_from_slice(body);
        let mut book: BTreeMap<_, _> =
            answers.iter().map(|answer| (answer.question.clone(), answer.body.clone())).collect();
        book.insert(answers[place].question.clone(), planted.clone());
        Self::Play { answers: book, planted }
    }
}

impl World {
    /// Signed in already, by an answer that nobody changed.
    fn client(&self) -> Arc<Client> {
        lock(&self.signed_in).get_or_insert_with(|| Arc::new(client(self.graph.address))).clone()
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (graph, known, recorded) = runtime.block_on(record());
        World { runtime, graph, known, recorded, signed_in: Mutex::new(None) }
    })
}

/// Asks a tenant with every source.
async fn record() -> (Arc<Graph>, Known, BTreeMap<Source, Vec<Answer>>) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let settings = sim::Settings { rooms: 6, speed: 0.0, ..sim::Settings::default() };
    let (sim, serving) = sim::start(listener, settings).expect("started");
    spawn(serving);
    let graph = Graph::start(&sim).await;
    let known = known(&sim, &graph).await;
    let mut recorded = BTreeMap::new();
    for source in SOURCES {
        let client = client(graph.address);
        if source != Source::SignIn {
            client.sign_in().await.expect("signed in");
        }
        *lock(&graph.stage) = Stage::Record(Vec::new());
        let outcome = collect(source, &client, &known, Instant::now() + Duration::from_secs(30)).await;
        assert!(outcome.failures.is_empty(), "{source:?}: {:?}", outcome.failures);
        let Stage::Record(answers) = &*lock(&graph.stage) else { panic!("still recording") };
        assert!(!answers.is_empty(), "{source:?} asks something");
        recorded.insert(source, answers.clone());
    }
    (graph, known, recorded)
}

async fn known(sim: &Sim, graph: &Graph) -> Known {
    let (client, deadline) = (client(graph.address), Instant::now() + Duration::from_secs(30));
    let devices = Mutex::new(Vec::new());
    let take = |page: &[Arc<Device>]| lock(&devices).extend_from_slice(page);
    devices::collect(&client, DeviceType::ALL, MAX_ITEMS, deadline, &take).await;
    let (_, products) = licenses::collect(&client, &Skus::new(&BTreeMap::new()), NOW, deadline).await;
    let rooms = sim.rooms();
    Known {
        devices: devices.into_inner().unwrap_or_else(PoisonError::into_inner),
        accounts: rooms.iter().map(|room| room.user_id.as_str().into()).collect(),
        names: rooms.iter().map(|room| room.upn.as_str().into()).collect(),
        products: products.into_iter().flatten().map(|product| product.id).collect(),
    }
}

fn client(graph: SocketAddr) -> Client {
    let root: url::Url = format!("http://{graph}").parse().expect("a URL");
    let identity = auth::Identity {
        authority: root.clone(),
        tenant_id: sim::TENANT_ID.to_owned(),
        client_id: sim::CLIENT_ID.to_owned(),
        proof: auth::Proof::Secret(Arc::new(|| Ok(sim::CLIENT_SECRET.to_owned()))),
    };
    let limits = Limits { first_pause: Duration::ZERO, top_rate: 1e6, ..Limits::default() };
    let stats = Stats::new().tenant(&"contoso".into());
    Client::new(
        identity,
        root,
        &limits.http(Vec::new(), Proxies::default()),
        limits,
        stats,
        Clock::new(|| NOW),
    )
    .expect("a client")
}

impl Graph {
    async fn start(sim: &Sim) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let graph = Arc::new(Self {
            address: listener.local_addr().expect("bound"),
            stage: Mutex::new(Stage::Record(Vec::new())),
            sim: sim.clone(),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
        });
        let serving = graph.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                let graph = serving.clone();
                let service = service_fn(move |request| graph.clone().answer(request));
                spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    drop(connection.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        graph
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let sent = body.collect().await?.to_bytes();
        let is_token = head.uri.path().contains("/oauth2/");
        let said = if is_token { String::new() } else { String::from_utf8_lossy(&sent).into_owned() };
        let question = format!("{} {} {said}", head.method, head.uri);
        if let Stage::Play { answers, planted } = &*lock(&self.stage) {
            // A client that signs in again meanwhile gets in.
            let usual = if is_token { Bytes::from_static(TOKEN) } else { planted.clone() };
            return Ok(json(answers.get(&question).cloned().unwrap_or(usual)));
        }
        let body = self.forward(head, sent).await;
        if let Stage::Record(answers) = &mut *lock(&self.stage) {
            answers.push(Answer { question, body: body.clone() });
        }
        Ok(json(body))
    }

    /// What the tenant answers; where it names itself, and where it is named, stands this Graph.
    async fn forward(&self, head: hyper::http::request::Parts, sent: Bytes) -> Bytes {
        let (own, theirs) = (format!("http://{}", self.address), self.sim.url());
        let encoded = |root: &str| root.replace(':', "%3A").replace('/', "%2F");
        let sent = String::from_utf8(sent.to_vec()).expect("forms and JSON");
        let sent = sent.replace(&encoded(&own), &encoded(&theirs));
        let mut request = self.http.request(head.method, format!("{theirs}{}", head.uri)).body(sent);
        for name in [hyper::header::AUTHORIZATION, hyper::header::CONTENT_TYPE] {
            if let Some(value) = head.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.expect("an answer").text().await.expect("text");
        answer.replace(&theirs, &own).into()
    }
}

const TOKEN: &[u8] = br#"{"token_type":"Bearer","expires_in":3599,"access_token":"fuzz"}"#;

fn json(body: Bytes) -> Response<Full<Bytes>> {
    let response = Response::builder().header("content-type", "application/json");
    response.body(Full::new(body)).expect("a response")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "the runtime of the target is its task set")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(future));
}
