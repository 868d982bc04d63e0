//! The waits of the client when Graph throttles: a workload alone, a batch as long as its longest item, and none for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::collectors::{calendar, device_health, presence};
use teams_rooms_exporter::graph::{Cause, Client, Error, Limits, Operation, Workload, auth};
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::model::collector::CollectorState;
use teams_rooms_exporter::model::device::{Activity, Device, DeviceType, Health};
use teams_rooms_exporter::proxy::Proxies;
use teams_rooms_exporter::stats::{Stats, TenantStats};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::exporter::spawn;

const PLACES: Operation = Operation { name: "places", workload: Workload::Outlook };
const CALENDAR: Operation = Operation { name: "calendar", workload: Workload::Outlook };
const PRESENCE: Operation = Operation { name: "presence", workload: Workload::Presence };

/// The answer of Graph to a path and a body, by the number of earlier requests: status, `Retry-After`, body.
type Script = fn(&str, &Value, usize) -> (u16, Option<&'static str>, Value);

/// A Graph that follows a script, and remembers when it was asked for what.
#[derive(Clone)]
struct Graph {
    script: Script,
    asked: Arc<Mutex<Vec<(Instant, String, Value)>>>,
}

impl Graph {
    async fn start(script: Script) -> (Self, Client) {
        let (graph, client, _) = Self::start_counted(script).await;
        (graph, client)
    }

    /// With the counters of what the client has seen.
    async fn start_counted(script: Script) -> (Self, Client, TenantStats) {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root: url::Url =
            format!("http://{}", listener.local_addr().expect("bound")).parse().expect("a URL");
        let graph = Self { script, asked: Arc::default() };
        let serving = graph.clone();
        drop(spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let graph = serving.clone();
                let service = service_fn(move |request| graph.clone().answer(request));
                let connection = hyper::server::conn::http1::Builder::new();
                drop(spawn(
                    async move { drop(connection.serve_connection(TokioIo::new(stream), service).await) },
                ));
            }
        }));
        let identity = auth::Identity {
            authority: root.clone(),
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
            proof: auth::Proof::Secret(Arc::new(|| Ok("s".to_owned()))),
        };
        let limits = Limits { first_pause: Duration::from_millis(5), top_rate: 2500.0, ..Limits::default() };
        let (stats, clock) =
            (Stats::new().tenant(&"contoso".into()), Clock::new(|| Timestamp::from_seconds(0)));
        let client = Client::new(
            identity,
            root,
            &limits.http(Vec::new(), Proxies::default()),
            limits,
            stats.clone(),
            clock,
        );
        (graph, client.expect("a client"), stats)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path().to_owned();
        if path.contains("/oauth2/") {
            let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "x"});
            return Ok(Response::new(token.to_string().into()));
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let before = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let before = asked.iter().filter(|(_, other, _)| *other == path).count();
            asked.push((Instant::now(), path.clone(), body));
            before
        };
        let body = self.asked().last().expect("just now").2.clone();
        let (status, retry_after, answer) = (self.script)(&path, &body, before);
        let response = Response::builder().status(status);
        let response = match retry_after {
            Some(wait) => response.header("Retry-After", wait),
            None => response,
        };
        Ok(response.body(answer.to_string().into()).expect("a response"))
    }

    fn asked(&self) -> Vec<(Instant, String, Value)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The times at which it was asked for a path.
    fn times(&self, path: &str) -> Vec<Instant> {
        self.asked().into_iter().filter(|(_, asked, _)| asked == path).map(|(at, ..)| at).collect()
    }
}

fn throttled(wait: &'static str) -> (u16, Option<&'static str>, Value) {
    (429, Some(wait), json!({"error": {"code": "TooManyRequests"}}))
}

fn empty_list() -> (u16, Option<&'static str>, Value) {
    (200, None, json!({"value": []}))
}

/// Reads a list to its end.
async fn list(client: &Client, operation: Operation, path: &str, deadline: Instant) -> Result<(), Error> {
    let mut pages = client.pages(operation, path, deadline)?;
    while let Some(page) = pages.next().await {
        page?;
    }
    Ok(())
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Graph wants an hour of rest from places: calendars, which are of the same service, wait as well, and nothing else does.
#[tokio::test]
async fn a_wait_holds_up_the_workload_that_asked_for_it() {
    let (graph, client) = Graph::start(|path, _, _| match path {
        "/places" => throttled("3600"),
        _ => empty_list(),
    })
    .await;
    assert_eq!(list(&client, PLACES, "/places", in_a_minute()).await, Err(Error::Throttled));
    assert_eq!(list(&client, CALENDAR, "/calendar", in_a_minute()).await, Err(Error::Throttled));
    assert_eq!(list(&client, PLACES, "/places", in_a_minute()).await, Err(Error::Throttled));
    assert_eq!(list(&client, PRESENCE, "/presence", in_a_minute()).await, Ok(()));
    let asked: Vec<String> = graph.asked().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(asked, ["/places", "/presence"], "who waits asks nothing");
}

/// One item of a batch that is refused for an hour holds up the workload; the answers to the others are used.
#[tokio::test]
async fn an_item_of_a_batch_holds_up_its_workload() {
    let (graph, client) = Graph::start(|path, _, _| match path {
        "/beta/$batch" => (200, None, answers(&[(200, ""), (429, "3600")])),
        _ => empty_list(),
    })
    .await;
    let urls = ["/a".to_owned(), "/b".to_owned()];
    let answers = client.batch(PLACES, "beta", &urls, in_a_minute()).await;
    assert!(answers[0].is_ok() && answers[1].as_ref().err() == Some(&Error::Throttled));
    assert_eq!(list(&client, CALENDAR, "/calendar", in_a_minute()).await, Err(Error::Throttled));
    assert_eq!(list(&client, PRESENCE, "/presence", in_a_minute()).await, Ok(()));
    assert_eq!(graph.asked().len(), 2);
}

/// A short wait is waited for, by every request of the workload.
#[tokio::test]
async fn a_short_wait_is_kept_by_the_whole_workload() {
    let (graph, client, stats) = Graph::start_counted(|path, _, before| match (path, before) {
        ("/places", 0) => throttled("1"),
        _ => empty_list(),
    })
    .await;
    let calendar = async {
        while stats.throttled.get() == 0 {
            tokio::task::yield_now().await;
        }
        list(&client, CALENDAR, "/calendar", in_a_minute()).await
    };
    let places = list(&client, PLACES, "/places", in_a_minute());
    assert_eq!(tokio::join!(places, calendar), (Ok(()), Ok(())));
    let (places, calendar) = (graph.times("/places"), graph.times("/calendar")[0]);
    assert!(places[1] - places[0] >= Duration::from_secs(1));
    assert!(calendar - places[0] >= Duration::from_secs(1));
}

/// More patience than an attempt has is not waited for: the attempt ends at once, and says why.
#[tokio::test]
async fn a_long_wait_ends_the_attempt() {
    let script: Script = |path, _, _| match path {
        "/throttled/20" => throttled("20"),
        "/throttled/40" => throttled("40"),
        _ => (503, Some("40"), Value::Null),
    };
    let unreachable = Error::unreachable(Cause::Status(503));
    for (path, within, error) in [
        ("/throttled/20", 10, Error::Throttled),
        ("/throttled/40", 300, Error::Throttled),
        ("/unavailable/40", 300, unreachable),
    ] {
        let (graph, client) = Graph::start(script).await;
        let began = Instant::now();
        let deadline = began + Duration::from_secs(within);
        assert_eq!(list(&client, PLACES, path, deadline).await, Err(error.clone()));
        if error == Error::Throttled {
            assert_eq!(list(&client, CALENDAR, "/calendar", deadline).await, Err(error));
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{path}: {:?}", began.elapsed());
        assert_eq!(graph.asked().len(), 1, "{path}");
    }
}

/// Items of a batch that are refused are asked for again when the last of them may be.
async fn check_batch(script: Script, again: usize) {
    let (graph, client) = Graph::start(script).await;
    let urls: Vec<String> = (0..4).map(|number| format!("/{number}")).collect();
    let answers = client.batch(PLACES, "beta", &urls, in_a_minute()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let sent = |body: &Value| body["requests"].as_array().map_or(0, Vec::len);
    let sizes: Vec<usize> = graph.asked().iter().map(|(_, _, body)| sent(body)).collect();
    assert_eq!(sizes, [4, again]);
    let times = graph.times("/beta/$batch");
    let waited = times.last().zip(times.first()).map(|(last, first)| *last - *first);
    assert!(waited >= Some(Duration::from_secs(1)), "{waited:?}");
}

fn answers(items: &[(u16, &str)]) -> Value {
    let items = items.iter().enumerate().map(|(id, (status, wait))| {
        json!({"id": id.to_string(), "status": status, "headers": {"Retry-After": wait}, "body": {"id": id}})
    });
    json!({ "responses": items.collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_batch_waits_for_the_longest_of_its_items() {
    const WELL: [(u16, &str); 4] = [(200, ""); 4];
    check_batch(
        |_, _, before| match before {
            0 => (200, None, answers(&[(503, "0.1"), (200, ""), (503, "1"), (503, "0.2")])),
            _ => (200, None, answers(&WELL[..3])),
        },
        3,
    )
    .await;
    check_batch(
        |_, _, before| match before {
            0 => (200, None, answers(&[(429, "0.1"), (200, ""), (429, "1"), (200, "")])),
            _ => (200, None, answers(&WELL[..2])),
        },
        2,
    )
    .await;
    check_batch(
        |_, _, before| match before {
            0 => throttled("1"),
            _ => (200, None, answers(&WELL)),
        },
        4,
    )
    .await;
}

/// A batch that waits for its workload holds up no other batch.
#[tokio::test]
async fn a_batch_that_waits_lets_others_pass() {
    let (_, client, stats) = Graph::start_counted(|path, _, _| match path {
        "/beta/$batch" => throttled("29"),
        _ => (200, None, answers(&[(200, ""), (200, "")])),
    })
    .await;
    let urls = ["/a".to_owned(), "/b".to_owned()];
    let began = Instant::now();
    let throttled = async || {
        while stats.throttled.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    let refused = client.batch(PLACES, "beta", &urls, in_a_minute());
    let behind = async {
        throttled().await;
        client.batch(CALENDAR, "beta", &urls, in_a_minute()).await
    };
    let passing = async {
        throttled().await;
        tokio::task::yield_now().await; // after the one that waits behind
        client.batch(PRESENCE, "v1.0", &urls, in_a_minute()).await
    };
    tokio::select! {
        biased;
        _ = refused => panic!("it waits for half a minute"),
        _ = behind => panic!("it waits as long"),
        passed = passing => assert!(passed.iter().all(Result::is_ok), "{passed:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

/// A 404 of a later page, or of the envelope of a batch, is no word on the resource.
#[tokio::test]
async fn a_part_that_is_not_there_is_a_failed_part() {
    let (_, client) = Graph::start(|path, _, _| match path {
        "/list" => (200, None, json!({"value": [1], "@odata.nextLink": "/list/next"})),
        _ => (404, None, Value::Null),
    })
    .await;
    let failed = Error::unreachable(Cause::Status(404));
    assert_eq!(list(&client, PLACES, "/list", in_a_minute()).await, Err(failed.clone()));
    assert_eq!(list(&client, PLACES, "/gone", in_a_minute()).await, Err(Error::Absent { status: 404 }));
    let answers = client.batch(PLACES, "beta", &["/a".to_owned()], in_a_minute()).await;
    assert_eq!(answers.into_iter().map(|answer| answer.map(|_| ())).collect::<Vec<_>>(), [Err(failed)]);
}

/// A link to another host costs what is behind it, and not the page it came with.
#[tokio::test]
async fn the_page_before_a_refused_link_is_used() {
    let (_, client) = Graph::start(|_, _, _| {
        (
            200,
            None,
            json!({"value": [1, 2], "@odata.count": 9, "@odata.nextLink": "http://elsewhere.example/"}),
        )
    })
    .await;
    let mut pages = client.pages(PLACES, "/list", in_a_minute()).expect("a path");
    let page = pages.next().await.expect("a page").expect("a good one");
    assert_eq!((page.items.len(), pages.tally().missing()), (2, 7));
    assert!(matches!(pages.next().await, Some(Err(Error::Malformed { .. }))));
    assert!(pages.next().await.is_none());
}

/// The pace is halved by a refusal, and again by the next one after an answer.
#[tokio::test]
async fn the_pace_halves_with_each_refusal_after_an_answer() {
    let (_, client, stats) = Graph::start_counted(|_, _, before| match before {
        0 | 2 => throttled("1"),
        _ => empty_list(),
    })
    .await;
    assert_eq!(list(&client, PLACES, "/places", in_a_minute()).await, Ok(()));
    let once = stats.rate_limit.get();
    assert!(once > 500.0, "{once}: half of a thousand, and a second later");
    assert_eq!(list(&client, PLACES, "/places", in_a_minute()).await, Ok(()));
    let twice = stats.rate_limit.get();
    assert!(twice < once * 0.8, "{once}, then {twice}");
}

/// Where Graph goes on refusing, a source does not ask for everything it has to ask for, one after another.
#[tokio::test]
async fn a_source_that_is_refused_gives_up() {
    let script: Script = |path, body, _| {
        let items = body["requests"].as_array().map_or(0, Vec::len);
        let refused = (0..items).map(|id| json!({"id": id.to_string(), "status": 429}));
        match path {
            "/beta/$batch" => (200, None, json!({"responses": refused.collect::<Vec<_>>()})),
            _ => (429, None, Value::Null),
        }
    };
    let names =
        |count: usize| (0..count).map(|number| Arc::from(number.to_string())).collect::<Vec<Arc<str>>>();
    let attempts = |requests: usize| requests * usize::try_from(Limits::default().attempts).expect("few");

    let (graph, client) = Graph::start(script).await;
    let outcome = presence::collect(&client, &names(2000), in_a_minute(), &|_| {}).await;
    assert_eq!((outcome.state(), graph.asked().len()), (CollectorState::Throttled, attempts(1)));

    let (graph, client) = Graph::start(script).await;
    let devices: Vec<Arc<Device>> = names(200).into_iter().map(device).collect();
    let outcome = device_health::collect(&client, &devices, in_a_minute(), &|_| {}).await;
    assert_eq!(outcome.state(), CollectorState::Throttled);
    assert!(graph.asked().len() <= attempts(8), "of ten batches: {}", graph.asked().len());

    let (graph, client) = Graph::start(script).await;
    let (rooms, now) = (names(600), Timestamp::from_seconds(0));
    let outcome = calendar::collect(&client, &rooms, &rooms, now, in_a_minute(), &|_| {}).await;
    assert_eq!(outcome.state(), CollectorState::Throttled);
    assert!(graph.asked().len() <= attempts(10), "of thirty requests: {}", graph.asked().len());
}

fn device(id: Arc<str>) -> Arc<Device> {
    Arc::new(Device {
        id,
        device_type: DeviceType::TeamsRoom,
        manufacturer: None,
        model: None,
        serial_number: None,
        asset_tag: None,
        health: Health::Healthy,
        activity: Activity::Idle,
        created: None,
        last_modified: None,
        account: None,
    })
}
