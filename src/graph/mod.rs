//! Microsoft Graph as a transport: sign-in, pages, `$batch`, pace and retries. It knows no resource.
//!
//! [`Client`] is the one owner of retries and of the pace of a tenant. A wait that Graph asks for holds up one
//! [`Workload`], a request that hangs one [`Operation`]. A token goes to the Graph root only: redirects are not followed and
//! links to other hosts are refused.

mod aadsts;
pub mod auth;
pub mod batch;
mod body;
mod challenge;
mod error;
pub mod http;
mod operation;
pub mod page;
mod rate;
pub mod record;
mod responses;
mod retry;
mod send;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{MutexGuard, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::clock::Clock;
use crate::input::json;
use crate::proxy::Proxies;
use crate::stats::TenantStats;
use auth::claims::Claims;
use auth::{Auth, Expiry, Token};
use body::LargeBodies;
pub use error::{Cause, Error, Proxy, Whom};
pub use operation::{Operation, Workload};
use page::{Page, Pages};
use rate::Rate;
use record::Recorder;
use retry::{Decision, Failure};
use send::Outgoing;

/// How patient and how fast a client is.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect_timeout: Duration,
    /// Of a whole request; Graph's own gateway gives up after 100 s, and its usual answer takes under one.
    pub request_timeout: Duration,
    /// Attempts at one request. Graph's bad minutes are longer than any patience; the next cycle tries again.
    pub attempts: u32,
    /// Before the second attempt, where Graph does not say when to come back.
    pub first_pause: Duration,
    /// Items per second at most. Graph allows an application 30 other Teams requests a second in a tenant; five are
    /// left to other programs with the same registration.
    pub top_rate: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            attempts: 5,
            first_pause: Duration::from_millis(500),
            top_rate: 25.0,
        }
    }
}

impl Limits {
    /// How to reach Graph and sign-in; `authorities`, in DER, are trusted beside the system's own.
    pub fn http(&self, authorities: Vec<Vec<u8>>, proxies: Proxies) -> http::Settings {
        let Self { connect_timeout, request_timeout, .. } = *self;
        http::Settings { connect_timeout, request_timeout, authorities, proxies }
    }
}

/// The connection to one tenant.
pub struct Client {
    http: reqwest::Client,
    root: Url,
    auth: Auth,
    rate: Mutex<Rate>,
    slots: Mutex<BTreeMap<Operation, Arc<Semaphore>>>,
    large_bodies: LargeBodies,
    /// Held by the batch that is next to go.
    batches: tokio::sync::Mutex<()>,
    /// When the last page of a list that is being read came.
    last_page: Mutex<Option<Instant>>,
    limits: Limits,
    stats: TenantStats,
    clock: Clock,
    recorder: Option<Arc<Recorder>>,
}

/// Requests of one operation in flight per tenant; more gains nothing at 25 items a second, and Outlook allows four. Each
/// operation has its own, so that one whose requests hang takes none from another.
pub const CONCURRENCY: usize = 4;

/// Pages follow each other faster than this unless Graph is in trouble.
const LIST_PROGRESS: Duration = Duration::from_millis(500);

impl Client {
    /// `http` is made by [`Limits::http`].
    pub fn new(
        identity: auth::Identity,
        root: Url,
        http: &http::Settings,
        limits: Limits,
        stats: TenantStats,
        clock: Clock,
    ) -> Result<Self, Error> {
        let direct = http::client(&http::Settings { proxies: Proxies::default(), ..http.clone() })?;
        let http = http::client(http)?;
        let of_auth = auth::Http { client: http.clone(), direct, first_pause: limits.first_pause };
        let auth = Auth::new(identity, &root, of_auth, stats.clone(), clock.clone())?;
        let rate = Mutex::new(Rate::new(limits.top_rate, Instant::now()));
        Ok(Self {
            http,
            root,
            auth,
            rate,
            slots: Mutex::default(),
            large_bodies: LargeBodies::default(),
            batches: tokio::sync::Mutex::default(),
            last_page: Mutex::new(None),
            limits,
            stats,
            clock,
            recorder: None,
        })
    }

    /// Records every answer from now on.
    pub fn record(&mut self, recorder: Arc<Recorder>) {
        self.recorder = Some(recorder);
    }

    /// Signs in now, if that has not been done, and gives the token's lifetime and what it says.
    pub async fn sign_in(&self) -> Result<(Duration, Option<Claims>), Error> {
        let token = self.token().await?;
        Ok((token.lifetime, token.claims()))
    }

    /// The pages of the collection at `path`, which starts with `/` and may have a query.
    pub fn pages(&self, operation: Operation, path: &str, deadline: Instant) -> Result<Pages<'_>, Error> {
        let first = self.url(path)?;
        Ok(Pages::new(self, operation, first, deadline))
    }

    /// The items of an action that reads: a POST whose answer is a collection in one page.
    pub async fn ask(
        &self,
        operation: Operation,
        path: &str,
        body: &serde_json::Value,
        deadline: Instant,
    ) -> Result<Vec<Box<RawValue>>, Error> {
        let body = serde_json::to_vec(body).expect("a JSON value always serialises");
        let outgoing = Outgoing {
            operation,
            url: self.url(path)?,
            body: Some(&body),
            items: 1,
            most: body::MAX_PAGE_BYTES,
        };
        let items =
            self.exchange(&outgoing, deadline, |reply| Ok(page::decode(&reply.body.bytes)?.items)).await?;
        self.accepted(operation).await;
        Ok(items)
    }

    /// One entity, as JSON.
    pub async fn entity(
        &self,
        operation: Operation,
        path: &str,
        deadline: Instant,
    ) -> Result<serde_json::Value, Error> {
        let most = body::MAX_RECORD_BYTES;
        let outgoing = Outgoing { operation, url: self.url(path)?, body: None, items: 1, most };
        let read = |body: &[u8]| {
            let text = std::str::from_utf8(body).map_err(|_| Error::malformed("a body that is not text"))?;
            json::record(text).map_err(|error| Error::malformed(page::shape(body, &error)))
        };
        let value = self.exchange(&outgoing, deadline, |reply| read(&reply.body.bytes)).await?;
        self.accepted(operation).await;
        Ok(value)
    }

    /// Whom this signs in as.
    pub fn client_id(&self) -> &str {
        self.auth.client_id()
    }

    /// Whether the secret that this signs in with begins so: Graph shows no more of secrets than their start.
    pub fn secret_begins_with(&self, start: &str) -> bool {
        self.auth.secret_begins_with(start)
    }

    /// When what this signs in with expires.
    pub fn credential_expiry(&self) -> Expiry {
        self.auth.expiry()
    }

    /// `path` starts with `/` and the API version.
    fn url(&self, path: &str) -> Result<Url, Error> {
        self.root.join(path.trim_start_matches('/')).map_err(|_| Error::malformed("the path is not a URL"))
    }

    pub(crate) async fn get(&self, operation: Operation, url: Url, deadline: Instant) -> Result<Page, Error> {
        let outgoing = Outgoing { operation, url, body: None, items: 1, most: body::MAX_PAGE_BYTES };
        // An answer that came whole is not asked for again, whatever it is.
        let page = self.exchange(&outgoing, deadline, |reply| Ok(page::decode(&reply.body.bytes))).await?;
        self.accepted(operation).await;
        self.note_page(Some(Instant::now()));
        page
    }

    fn note_page(&self, came: Option<Instant>) {
        *self.last_page.lock().unwrap_or_else(PoisonError::into_inner) = came;
    }

    /// Waits until this batch is the only one in the queue of the pace: a single request, which is some other source's,
    /// then waits for twenty items at most, and not for those of all batches that are under way.
    async fn batch_turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.batches.lock().await;
        self.let_lists_go_first().await;
        turn
    }

    /// Waits while a list makes progress: it is short and carries the health of every room, and a queue of batches
    /// must not stand before each of its pages. A list that is stuck holds nobody up.
    async fn let_lists_go_first(&self) {
        loop {
            let last = *self.last_page.lock().unwrap_or_else(PoisonError::into_inner);
            match last.map(|came| came + LIST_PROGRESS).filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    async fn token(&self) -> Result<Token, Error> {
        let token = self.auth.token().await?;
        if token.fresh {
            self.stats.token_expiry(self.clock.now().plus(token.lifetime));
        }
        Ok(token)
    }

    /// Graph answered what was asked.
    async fn accepted(&self, operation: Operation) {
        self.auth.accepted().await;
        self.with_rate(|rate, now| rate.accepted(operation.workload, now));
    }

    /// Takes note of a failed attempt: where Graph throttles, the whole workload waits, as long as Graph says or else as
    /// long as this request would.
    fn note(&self, failure: &mut Failure, workload: Workload, attempt: u32) {
        if failure.error != Error::Throttled {
            return;
        }
        let backoff = || retry::backoff(attempt, self.limits.first_pause, fastrand::f64());
        let wait = *failure.retry_after.get_or_insert_with(backoff);
        tracing::debug!(?workload, ?wait, "Graph throttles");
        self.stats.throttled.inc();
        self.with_rate(|rate, now| rate.throttled(workload, wait, now));
    }

    fn decide(&self, failure: &Failure, attempt: u32) -> Decision {
        retry::decide(failure, attempt, self.limits.attempts, self.limits.first_pause, fastrand::f64())
    }

    fn slots(&self, operation: Operation) -> Arc<Semaphore> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(operation).or_insert_with(|| Arc::new(Semaphore::new(CONCURRENCY))).clone()
    }

    fn with_rate<T>(&self, act: impl FnOnce(&mut Rate, Instant) -> T) -> T {
        let now = Instant::now();
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut rate, now);
        self.stats.rate_limit.set(rate.current(now));
        result
    }
}
