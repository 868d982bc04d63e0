//! The HTTP side: connections, one request from bytes to bytes, and the faults of transport.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::batch;
use super::controls;
use super::faults::{Active, Fault, Kind};
use super::reply::{Reply, Stamp, http_date};
use super::requests::RecordedRequest;
use super::routes::{self, GraphRequest};
use super::tenant::Tenant;
use super::token::{self, TokenRequest};

/// Connections at a time; an exporter needs a handful, a load test some dozens.
const MOST_CONNECTIONS: usize = 512;

/// Twenty items of a batch are some kilobytes.
const LARGEST_BODY: usize = 1024 * 1024;

/// A client on the same computer sends its headers at once.
const HEADER_TIME: Duration = Duration::from_secs(30);

/// After a failed accept: the cause, mostly too many open files, does not go away at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What `slow` and `token_slow` wait without a value.
const SLOW_MILLISECONDS: u64 = 2_000;

/// The time between two bytes that `drip` waits without a value.
const DRIP_MILLISECONDS: u64 = 100;

/// What the longest `slow` waits: longer than any client's patience.
const SLOWEST: Duration = Duration::from_hours(1);

const HTML: &str = "<!DOCTYPE html><html><body><h1>The service is being maintained</h1></body></html>";

/// Accepts connections until the tenant is stopped. Whatever is still open then is dropped.
pub(super) async fn serve(listener: TcpListener, tenant: Arc<Tenant>) {
    let mut stopped = tenant.stopped.subscribe();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = end(&mut stopped) => return,
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, Arc::clone(&tenant)))),
                Err(error) => {
                    tracing::debug!(%error, "simulated tenant could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn end(stopped: &mut watch::Receiver<bool>) {
    // The sender is part of the tenant, which the server holds: waiting cannot fail.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve_connection(stream: TcpStream, tenant: Arc<Tenant>) {
    let service = service_fn(|request| answer(request, Arc::clone(&tenant)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "simulated tenant closed a connection");
    }
}

/// A request as all of the simulation sees it.
struct Received {
    method: String,
    path: String,
    query: String,
    host: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What becomes of a request.
enum Outcome {
    Answer(Reply),
    HangUp,
    Stall,
}

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the fault 'reset' closed the connection")
    }
}

impl std::error::Error for HungUp {}

async fn answer(request: Request<Incoming>, tenant: Arc<Tenant>) -> Result<Response<Sent>, HungUp> {
    let received = receive(request, &tenant).await?;
    let stamp = tenant.stamp(received.header("client-request-id"));
    if received.path == "/_sim" || received.path.starts_with("/_sim/") {
        let reply =
            controls::answer(&received.method, &received.path, &received.query, &received.body, &tenant);
        return Ok(received.response(&reply, &stamp, None));
    }
    if [token::METADATA_PATH, token::APP_SERVICE_PATH].contains(&&*received.path) {
        let header = |name: &str| received.header(name).map(str::to_owned);
        let reply = token::of_managed_identity(&received.path, &received.query, header, &tenant, &stamp);
        return Ok(received.response(&reply, &stamp, None));
    }
    let all = tenant.faults();
    let faults = all.of(routes::noun(&received.path));
    let outcome = received.outcome(&tenant, [&all, &faults], &stamp).await;
    tenant.requests.record([received.record(&outcome)]);
    match outcome {
        Outcome::Answer(reply) => {
            // The token endpoint has faults of its own.
            let is_graph = received.token_tenant().is_none();
            let truncated = is_graph.then(|| faults.strikes(Kind::Truncated)).flatten();
            let response = received.response(&reply, &stamp, truncated);
            Ok(response.map(|body| body.dripping(received.drip(&all))))
        }
        Outcome::HangUp => Err(HungUp),
        Outcome::Stall => std::future::pending().await,
    }
}

async fn receive(request: Request<Incoming>, tenant: &Tenant) -> Result<Received, HungUp> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|_| HungUp)?;
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or(tenant.url.trim_start_matches("http://")).to_owned();
    Ok(Received {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        host,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn root(&self) -> String {
        format!("http://{}", self.host)
    }

    /// The tenant in the path of a token request.
    fn token_tenant(&self) -> Option<&str> {
        self.path.strip_prefix('/')?.strip_suffix("/oauth2/v2.0/token").filter(|tenant| !tenant.contains('/'))
    }

    fn operation(&self) -> &'static str {
        if self.token_tenant().is_some() { TOKEN_TEMPLATE } else { routes::operation(&self.path) }
    }

    /// `faults` are all that are on, and those that concern this request.
    async fn outcome(&self, tenant: &Tenant, faults: [&Active; 2], stamp: &Stamp) -> Outcome {
        match self.token_tenant() {
            Some(tenant_id) => self.token_outcome(tenant_id, tenant, faults[1], stamp).await,
            None => self.graph_outcome(tenant, faults, stamp).await,
        }
    }

    async fn token_outcome(
        &self,
        tenant_id: &str,
        tenant: &Tenant,
        faults: &Active,
        stamp: &Stamp,
    ) -> Outcome {
        wait(faults.strikes(Kind::TokenSlow)).await;
        if self.method != "POST" {
            return Outcome::Answer(Reply::error(
                405,
                "Request_MethodNotAllowed",
                "Tokens are got with POST.",
            ));
        }
        // Anything but a form is a body without the required parameters.
        let form = if self.is_form() { &*self.body } else { &[] };
        let request = TokenRequest { tenant_id, form, root: &self.root() };
        Outcome::Answer(token::answer(&request, tenant, faults, stamp))
    }

    fn is_form(&self) -> bool {
        let content_type = self.header("content-type").unwrap_or_default();
        content_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
    }

    async fn graph_outcome(&self, tenant: &Tenant, [all, faults]: [&Active; 2], stamp: &Stamp) -> Outcome {
        wait(faults.strikes(Kind::Slow)).await;
        if all.is_on(Kind::SlowSource).is_some() {
            tokio::time::sleep(self.delay_of_sources(all)).await;
        }
        if let Some(outcome) = self.interference(faults, stamp) {
            return outcome;
        }
        let request = GraphRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            root: &self.root(),
            authorization: self.header("authorization"),
            body: &self.body,
            in_batch: false,
            stamp,
            faults: all,
        };
        let reply = routes::answer(&request, tenant);
        Outcome::Answer(deprecate(reply, faults))
    }

    /// The sources that the request, or an item of it, reads from.
    fn nouns(&self) -> Vec<&'static str> {
        let mut nouns = batch::nouns(&self.path, &self.body);
        nouns.push(routes::noun(&self.path));
        nouns.retain(|noun| !noun.is_empty());
        nouns
    }

    /// The time between two bytes of the answer, where one of its sources drips.
    fn drip(&self, faults: &Active) -> Option<Duration> {
        faults.is_on(Kind::Drip)?;
        self.nouns().into_iter().find_map(|noun| {
            let faults = faults.of(noun);
            faults.strikes(Kind::Drip).map(|fault| Duration::from_millis(fault.number_or(DRIP_MILLISECONDS)))
        })
    }

    /// How long the slowest source takes that the request, or an item of it, reads from.
    fn delay_of_sources(&self, faults: &Active) -> Duration {
        let struck = self.nouns().into_iter().filter_map(|noun| {
            let faults = faults.of(noun);
            faults.strikes(Kind::SlowSource).map(|fault| fault.number_of_source_or(SLOW_MILLISECONDS))
        });
        Duration::from_millis(struck.max().unwrap_or(0)).min(SLOWEST)
    }

    /// What happens instead of an answer, in the order in which a request meets it on its way.
    fn interference(&self, faults: &Active, stamp: &Stamp) -> Option<Outcome> {
        if faults.strikes(Kind::Reset).is_some() {
            return Some(Outcome::HangUp);
        }
        if faults.strikes(Kind::Stall).is_some() {
            return Some(Outcome::Stall);
        }
        if let Some(fault) = faults.strikes(Kind::Redirect) {
            return Some(Outcome::Answer(self.redirect(fault.value_or("elsewhere.example"))));
        }
        instead(faults, stamp).map(Outcome::Answer)
    }

    fn redirect(&self, host: &str) -> Reply {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let location = format!("http://{host}{}{query}", self.path);
        Reply::text("text/plain", "").with_status(302).with_header("Location", location)
    }

    fn record(&self, outcome: &Outcome) -> RecordedRequest {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        RecordedRequest {
            method: self.method.clone(),
            path: format!("{}{query}", self.path),
            host: self.host.clone(),
            operation: self.operation().to_owned(),
            status: if let Outcome::Answer(reply) = outcome { reply.status } else { 0 },
            authorization: self.headers.contains_key(header::AUTHORIZATION),
            in_batch: false,
        }
    }

    fn response(&self, reply: &Reply, stamp: &Stamp, truncated: Option<&Fault>) -> Response<Sent> {
        let plain = reply.bytes(stamp);
        let packed = self.accepts_gzip().then(|| gzip(&plain)).flatten();
        let encoding = packed.is_some().then_some(("Content-Encoding", "gzip"));
        let fixed = [
            ("Content-Type", reply.content_type()),
            ("request-id", &stamp.request_id),
            ("client-request-id", &stamp.client_request_id),
        ];
        let own = reply.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = fixed.into_iter().chain(encoding).chain(own);
        let response = headers.fold(Response::builder().status(reply.status), |response, (name, value)| {
            response.header(name, value)
        });
        let sent = Sent::new(packed.unwrap_or(plain).into(), truncated);
        response.body(sent).unwrap_or_else(|_| unwritable())
    }

    fn accepts_gzip(&self) -> bool {
        let accepted = self.header("accept-encoding").unwrap_or_default();
        accepted.split(',').map(str::trim).any(|coding| coding == "gzip" || coding.starts_with("gzip;q=1"))
    }
}

/// A fault was given a value that no header can hold.
fn unwritable() -> Response<Sent> {
    let mut response = Response::new(Sent::new(Bytes::new(), None));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The template of the token endpoint, for records of requests.
const TOKEN_TEMPLATE: &str = "/{tenant}/oauth2/v2.0/token";

async fn wait(slow: Option<&Fault>) {
    if let Some(fault) = slow {
        let delay = Duration::from_millis(fault.number_or(SLOW_MILLISECONDS));
        tokio::time::sleep(delay.min(SLOWEST)).await;
    }
}

/// The answer that comes instead of the one that was asked for.
pub(super) fn instead(faults: &Active, stamp: &Stamp) -> Option<Reply> {
    if faults.strikes(Kind::Html).is_some() {
        return Some(Reply::text("text/html; charset=utf-8", HTML));
    }
    unavailable(faults).or_else(|| throttle(faults, stamp))
}

fn unavailable(faults: &Active) -> Option<Reply> {
    if faults.strikes(Kind::Error503).is_some() {
        return Some(Reply::error(503, "serviceNotAvailable", "The service is temporarily unavailable."));
    }
    faults.strikes(Kind::Error500)?;
    Some(Reply::error(500, "InternalServerError", "Failed to execute backend request."))
}

fn throttle(faults: &Active, stamp: &Stamp) -> Option<Reply> {
    let after = |seconds: &str| Reply::throttled().with_header("Retry-After", seconds);
    if let Some(fault) = faults.strikes(Kind::Throttle) {
        return Some(after(fault.value_or("1")));
    }
    if let Some(fault) = faults.strikes(Kind::ThrottleFraction) {
        return Some(after(fault.value_or("0.3")));
    }
    if let Some(fault) = faults.strikes(Kind::ThrottleDate) {
        let seconds = Duration::from_secs(fault.number_or(2));
        return Some(after(&http_date(stamp.wall.checked_add(seconds).unwrap_or(stamp.wall))));
    }
    faults.strikes(Kind::ThrottleBare).map(|_| Reply::throttled())
}

/// The headers Graph says it sends for what is deprecated.
fn deprecate(reply: Reply, faults: &Active) -> Reply {
    let Some(fault) = faults.strikes(Kind::Deprecation) else { return reply };
    let date: jiff::civil::Date = fault.number_or(jiff::civil::date(2025, 12, 8));
    let Ok(sunset) = date.to_zoned(jiff::tz::TimeZone::UTC) else { return reply };
    reply
        .with_header("Deprecation", "Sat, 08 Nov 2025 00:00:00 GMT")
        .with_header("Sunset", http_date(sunset.timestamp()))
        .with_header(
            "Link",
            "<https://developer.microsoft.com/graph/changes>; rel=\"deprecation\"; type=\"text/html\"",
        )
}

/// Nothing can fail when writing to memory; without a result the plain bytes are sent.
fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

/// A response body that can break off half way, or come byte by byte.
struct Sent {
    rest: Option<Bytes>,
    announced: Option<u64>,
    /// How often the body has still to be asked before it breaks off; none if it does not.
    breaks_in: Option<u8>,
    drip: Option<Drip>,
}

struct Drip {
    every: Duration,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Sent {
    fn dripping(self, every: Option<Duration>) -> Self {
        let drip = every.map(|every| Drip { every, next: Box::pin(tokio::time::sleep(every)) });
        Self { drip, ..self }
    }

    fn new(bytes: Bytes, truncated: Option<&Fault>) -> Self {
        let length = bytes.len() as u64;
        match truncated {
            None => Self { rest: Some(bytes), announced: Some(length), breaks_in: None, drip: None },
            Some(fault) => {
                let announced = (fault.value_or("length") != "chunked").then_some(length);
                let rest = Some(bytes.slice(..bytes.len() / 2));
                Self { rest, announced, breaks_in: Some(2), drip: None }
            }
        }
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = HungUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HungUp>>> {
        let sent = &mut *self;
        if let (Some(drip), Some(rest)) = (&mut sent.drip, sent.rest.as_mut().filter(|rest| rest.len() > 1)) {
            std::task::ready!(drip.next.as_mut().poll(context));
            drip.next.set(tokio::time::sleep(drip.every));
            return Poll::Ready(Some(Ok(Frame::data(rest.split_to(1)))));
        }
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.breaks_in {
            None => Poll::Ready(None),
            Some(0) => Poll::Ready(Some(Err(HungUp))),
            // Being asked once more gives hyper time to send what it has.
            Some(more) => {
                self.breaks_in = Some(more - 1);
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.breaks_in.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
