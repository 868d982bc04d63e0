//! Microsoft Graph as a transport: sign-in, pages, `$batch`, pace and retries. It knows no resource.
//!
//! [`Client`] is the one owner of retries and of the pace of a tenant. A token goes to the Graph root only:
//! redirects are not followed and links to other hosts are refused.

mod aadsts;
pub mod auth;
pub mod batch;
mod body;
mod error;
pub mod page;
mod rate;
mod retry;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use crate::clock::Clock;
use crate::stats::TenantStats;
use auth::{Auth, Token};
pub use error::{Cause, Error};
use page::Pages;
use rate::Rate;
use retry::{Decision, Failure};

/// How patient and how fast a client is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect_timeout: Duration,
    /// Of a whole request; Graph's own gateway gives up after 100 s, and its usual answer takes under one.
    pub request_timeout: Duration,
    /// Before the second attempt, where Graph does not say when to come back.
    pub first_pause: Duration,
    /// Items per second at the start.
    pub first_rate: f64,
    /// Items per second at most. Graph allows an application 30 other Teams requests a second in a tenant; five are
    /// left to other programs with the same registration.
    pub top_rate: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            first_pause: Duration::from_millis(500),
            first_rate: 10.0,
            top_rate: 25.0,
        }
    }
}

/// The connection to one tenant.
pub struct Client {
    http: reqwest::Client,
    root: Url,
    auth: Auth,
    rate: Mutex<Rate>,
    slots: Semaphore,
    first_pause: Duration,
    stats: TenantStats,
    clock: Clock,
}

/// Requests in flight per tenant; more gains nothing at 25 items a second, and Outlook allows four.
pub const CONCURRENCY: usize = 4;

/// A request before it is sent.
struct Outgoing<'a> {
    operation: &'static str,
    url: Url,
    /// A JSON body makes it a POST.
    body: Option<&'a [u8]>,
    /// What it counts for Graph: a batch as many as it holds.
    items: usize,
}

/// A good answer, and the token that brought it.
struct Reply {
    body: Vec<u8>,
    token: Token,
}

impl Client {
    pub fn new(
        identity: auth::Identity,
        root: Url,
        limits: Limits,
        stats: TenantStats,
        clock: Clock,
    ) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("teams-rooms-exporter/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(limits.connect_timeout)
            .timeout(limits.request_timeout)
            .build()
            .map_err(|_| {
                Error::malformed("the HTTP client does not start; is there a CA bundle (ca-certificates)?")
            })?;
        let auth = Auth::new(identity, &root, http.clone())?;
        let rate = Mutex::new(Rate::new(limits.first_rate, limits.top_rate, Instant::now()));
        Ok(Self {
            http,
            root,
            auth,
            rate,
            slots: Semaphore::new(CONCURRENCY),
            first_pause: limits.first_pause,
            stats,
            clock,
        })
    }

    /// Signs in now, if that has not been done, and says until when the token is good.
    pub async fn sign_in(&self) -> Result<Duration, Error> {
        Ok(self.token().await?.lifetime)
    }

    /// The pages of the collection at `path`, which starts with `/` and may have a query.
    pub fn pages(&self, operation: &'static str, path: &str, deadline: Instant) -> Result<Pages<'_>, Error> {
        let first = self.root.join(path).map_err(|_| Error::malformed("the path is not a URL"))?;
        Ok(Pages::new(self, operation, first, deadline))
    }

    /// Reads up to [`batch::MAX_ITEMS`] urls (relative to the version root) in one request, in their order.
    /// Items that are throttled or fail for a moment are asked again.
    pub async fn batch(
        &self,
        operation: &'static str,
        urls: &[String],
        deadline: Instant,
    ) -> Vec<Result<Box<RawValue>, Error>> {
        let mut results: Vec<Option<Result<Box<RawValue>, Error>>> = urls.iter().map(|_| None).collect();
        for attempt in 1.. {
            let open: Vec<(usize, &str)> = urls
                .iter()
                .enumerate()
                .filter(|(place, _)| results.get(*place).is_some_and(Option::is_none))
                .map(|(place, url)| (place, url.as_str()))
                .collect();
            if open.is_empty() {
                break;
            }
            let wait = self.batch_once(operation, &open, attempt, &mut results, deadline).await;
            if let Some(wait) = wait {
                self.stats.retries.inc();
                tokio::time::sleep_until((Instant::now() + wait).min(deadline)).await;
            }
        }
        let unanswered = || Err(Error::malformed("$batch left out an answer"));
        results.into_iter().map(|result| result.unwrap_or_else(unanswered)).collect()
    }

    /// Asks the open items once; fills in what is final and says how long to wait before the others.
    async fn batch_once(
        &self,
        operation: &'static str,
        open: &[(usize, &str)],
        attempt: u32,
        results: &mut [Option<Result<Box<RawValue>, Error>>],
        deadline: Instant,
    ) -> Option<Duration> {
        let urls: Vec<&str> = open.iter().map(|(_, url)| *url).collect();
        let (outcomes, token) = match self.exchange_batch(&urls, deadline).await {
            Ok(exchanged) => exchanged,
            Err(error) => {
                for (place, _) in open {
                    settle(results, *place, Err(error.clone()));
                }
                return None;
            }
        };
        if outcomes.iter().any(|(_, outcome)| outcome.is_ok()) {
            self.auth.accepted().await;
        }
        let mut wait: Option<Duration> = None;
        let mut renewed = None;
        for ((place, _), (status, outcome)) in open.iter().zip(outcomes) {
            self.stats.request(operation, status.map_or("missing".to_owned(), |s| s.to_string()).as_str());
            let failure = match outcome {
                Ok(body) => {
                    settle(results, *place, Ok(body));
                    continue;
                }
                Err(failure) => failure,
            };
            if failure.error == Error::Throttled {
                self.throttled(failure.retry_after);
            }
            if is_refusal(&failure.error) && attempt == 1 {
                if renewed.is_none() {
                    renewed = Some(self.auth.refused(&token).await);
                }
                if renewed == Some(true) {
                    wait = Some(wait.unwrap_or_default());
                    continue; // asked again with a new token
                }
            }
            match retry::decide(&failure, attempt, self.first_pause, fastrand::f64()) {
                Decision::After(pause) if Instant::now() + pause < deadline => {
                    wait = Some(wait.unwrap_or_default().max(pause));
                }
                _ => settle(results, *place, Err(failure.error)),
            }
        }
        wait
    }

    async fn exchange_batch(
        &self,
        urls: &[&str],
        deadline: Instant,
    ) -> Result<(Vec<batch::Outcome>, Token), Error> {
        let body = batch::encode(urls);
        let url = self.root.join("/beta/$batch").map_err(|_| Error::malformed("the root is not a URL"))?;
        let outgoing = Outgoing { operation: "batch", url, body: Some(&body), items: urls.len() };
        let now = self.clock.now().seconds();
        self.exchange(&outgoing, deadline, |reply| {
            Ok((batch::decode(&reply.body, urls.len(), now)?, reply.token))
        })
        .await
    }

    pub(crate) async fn get(
        &self,
        operation: &'static str,
        url: Url,
        deadline: Instant,
    ) -> Result<Vec<u8>, Error> {
        let outgoing = Outgoing { operation, url, body: None, items: 1 };
        self.exchange(&outgoing, deadline, |reply| Ok(reply.body)).await
    }

    /// Sends until there is an answer that `read` accepts, patience ends or the deadline comes.
    async fn exchange<T>(
        &self,
        outgoing: &Outgoing<'_>,
        deadline: Instant,
        read: impl Fn(Reply) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let outcome =
                tokio::time::timeout_at(deadline, self.attempt(outgoing, deadline, &mut renewed)).await;
            let failure = match outcome {
                Ok(Ok(Some(reply))) => match read(reply) {
                    Ok(value) => return Ok(value),
                    Err(error) => error.into(),
                },
                Ok(Ok(None)) => continue, // with a new token
                Ok(Err(failure)) => failure,
                Err(_) => return Err(Error::Unreachable { cause: Cause::Timeout }),
            };
            match retry::decide(&failure, attempt, self.first_pause, fastrand::f64()) {
                Decision::After(pause) if Instant::now() + pause < deadline => {
                    tracing::debug!(operation = outgoing.operation, attempt, ?pause, error = %failure.error, "trying again");
                    self.stats.retries.inc();
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(failure.error),
            }
            attempt += 1;
        }
    }

    /// One request; `None` asks to send it again at once, with a new token.
    async fn attempt(
        &self,
        outgoing: &Outgoing<'_>,
        deadline: Instant,
        renewed: &mut bool,
    ) -> Result<Option<Reply>, Failure> {
        let token = self.token().await?;
        let (now, earliest) = self.with_rate(|rate, now| (now, rate.earliest(now)));
        if earliest > now && earliest >= deadline {
            // Graph has asked for more patience than this cycle has.
            return Err(Failure { error: Error::Throttled, retry_after: Some(earliest - now) });
        }
        let start = self.with_rate(|rate, now| rate.reserve(outgoing.items, now));
        tokio::time::sleep_until(start).await;
        let slot = self.slots.acquire().await;
        let outcome = self.send(outgoing, &token).await;
        drop(slot);
        let refused = outcome.as_ref().is_err_and(|failure| is_refusal(&failure.error));
        if refused && !*renewed && self.auth.refused(&token).await {
            *renewed = true;
            return Ok(None);
        }
        // The envelope of a batch is accepted even where each item in it is refused.
        if outcome.is_ok() && outgoing.body.is_none() {
            self.auth.accepted().await;
        }
        outcome.map(|body| Some(Reply { body, token }))
    }

    async fn send(&self, outgoing: &Outgoing<'_>, token: &Token) -> Result<Vec<u8>, Failure> {
        let began = Instant::now();
        let request = self.request(outgoing, token);
        let outcome = match request.send().await {
            Err(error) => Err((None, Error::from_transport(&error).into())),
            Ok(mut response) => {
                let status = response.status().as_u16();
                self.note_headers(response.headers());
                let retry_after = header(response.headers(), "retry-after")
                    .and_then(|value| retry::retry_after(value, self.clock.now().seconds()));
                match body::read(&mut response).await {
                    Ok(body) if (200..300).contains(&status) => Ok((status, body)),
                    Ok(body) => {
                        let error = Error::from_status(status, &body);
                        Err((Some(status), Failure { error, retry_after }))
                    }
                    Err(error) => Err((Some(status), error.into())),
                }
            }
        };
        self.stats.observe(outgoing.operation, began.elapsed());
        match outcome {
            Ok((status, body)) => {
                self.stats.request(outgoing.operation, &status.to_string());
                Ok(body)
            }
            Err((status, failure)) => {
                let code = status.map_or_else(|| failure.error.code(), |status| status.to_string());
                self.stats.request(outgoing.operation, &code);
                if failure.error == Error::Throttled {
                    self.throttled(failure.retry_after);
                }
                Err(failure)
            }
        }
    }

    fn request(&self, outgoing: &Outgoing<'_>, token: &Token) -> reqwest::RequestBuilder {
        let url = outgoing.url.clone();
        let request = match outgoing.body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec()),
        };
        request
            .header(AUTHORIZATION, token.header.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header("client-request-id", uuid::Uuid::new_v4().to_string())
    }

    async fn token(&self) -> Result<Token, Error> {
        let token = self.auth.token().await?;
        if token.fresh {
            self.stats.token_expiry(self.clock.now().plus(token.lifetime));
        }
        Ok(token)
    }

    fn throttled(&self, retry_after: Option<Duration>) {
        self.stats.throttled.inc();
        self.with_rate(|rate, now| rate.throttled(retry_after.unwrap_or_default(), now));
    }

    fn with_rate<T>(&self, act: impl FnOnce(&mut Rate, Instant) -> T) -> T {
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut rate, now);
        self.stats.rate_limit.set(rate.current(now));
        result
    }

    /// `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) say when Graph withdraws what was read.
    fn note_headers(&self, headers: &HeaderMap) {
        if let Some(date) = header(headers, "sunset").and_then(http_date) {
            self.stats.sunset(date);
        }
        if let Some(date) = header(headers, "deprecation").and_then(http_date) {
            self.stats.deprecation(date);
        }
    }
}

impl Error {
    /// The case of an answer that is not 2xx.
    fn from_status(status: u16, body: &[u8]) -> Self {
        match status {
            401 => Self::Unauthorized { advice: "Graph does not accept the token (401)".to_owned() },
            403 => Self::Forbidden { code: code_of(body) },
            404 | 410 | 501 => Self::Absent { status },
            429 => Self::Throttled,
            500..=599 => Self::Unreachable { cause: Cause::Status(status) },
            _ => Self::Rejected { status, code: code_of(body) },
        }
    }

    /// The label `code` of a request that brought no status.
    fn code(&self) -> String {
        match self {
            Self::Unreachable { cause } => cause.label().to_owned(),
            _ => "broken".to_owned(),
        }
    }
}

/// Graph's own error code, where it is a plain word; messages may hold names and are not repeated.
fn code_of(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = body.get("error")?.get("code")?.as_str()?;
    let plain = !code.is_empty() && code.len() <= 64;
    let plain = plain && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    plain.then(|| code.to_owned())
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Unauthorized { .. } | Error::Forbidden { .. })
}

fn settle(
    results: &mut [Option<Result<Box<RawValue>, Error>>],
    place: usize,
    result: Result<Box<RawValue>, Error>,
) {
    if let Some(slot) = results.get_mut(place) {
        *slot = Some(result);
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// An HTTP date, or `@` and Unix seconds.
fn http_date(value: &str) -> Option<crate::model::Timestamp> {
    let value = value.trim();
    let seconds = match value.strip_prefix('@') {
        Some(seconds) => seconds.parse().ok()?,
        None => jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second(),
    };
    Some(crate::model::Timestamp::from_seconds(seconds))
}
