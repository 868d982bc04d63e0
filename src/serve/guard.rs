//! What stands before the routes: TLS, a limit, users, headers. It is replaced as a whole when the web configuration
//! file, or one that it names, has changed; connections stay, and hear the new users and headers at their next request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::bucket::{Bucket, Limit};
use super::routes::{Answer, text};
use super::tls;
use super::users::{Passwords, Verdict};
use crate::config::Secret;
use crate::config::web_config::{Fingerprint, RateLimit, WebConfig};

/// How often the files are read: a certificate is replaced days before it expires, a user is gone within seconds.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(5);

/// A queue of passwords is gone, and the bucket of the limit has something again, after this.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a web configuration file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] crate::config::Error),
    #[error("{}: tls_server_config: {error}", path.display())]
    Tls { path: PathBuf, error: rustls::Error },
}

/// The guard that stands there now.
pub struct Guard {
    posted: RwLock<Arc<Orders>>,
    passwords: Passwords,
}

/// What one file says.
struct Orders {
    tls: Option<Arc<ServerConfig>>,
    limit: Option<(RateLimit, Mutex<Bucket>)>,
    users: BTreeMap<String, Secret>,
    headers: HeaderMap,
    fingerprint: Option<Fingerprint>,
}

impl Guard {
    /// Lets everybody through.
    pub fn absent() -> Self {
        Self::with(Orders {
            tls: None,
            limit: None,
            users: BTreeMap::new(),
            headers: HeaderMap::new(),
            fingerprint: None,
        })
    }

    /// As the file says. Blocks on the disk.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Orders::load(path).map(Self::with)
    }

    fn with(orders: Orders) -> Self {
        Self { posted: RwLock::new(Arc::new(orders)), passwords: Passwords::new() }
    }

    /// Follows the file for ever. A bad one is told once, and the one before it stays.
    pub async fn follow(self: Arc<Self>, path: PathBuf, every: Duration) {
        let mut complaint = None;
        loop {
            sleep(every).await;
            let file = path.clone();
            let Ok(loaded) = spawn_blocking(move || Orders::load(&file)).await else { continue };
            match loaded {
                Ok(orders) if orders.fingerprint == self.orders().fingerprint => complaint = None,
                Ok(orders) => {
                    complaint = None;
                    self.post(orders);
                    tracing::info!(path = %path.display(), "the web configuration is new");
                }
                Err(error) => {
                    let reason = error.to_string();
                    if complaint.as_ref() != Some(&reason) {
                        tracing::warn!(error = reason, "the web configuration stays as it was");
                    }
                    complaint = Some(reason);
                }
            }
        }
    }

    /// A limit that stays the same goes on where it was.
    fn post(&self, mut orders: Orders) {
        let mut posted = self.posted.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some((new, bucket)), Some((old, before))) = (&mut orders.limit, &posted.limit)
            && new == old
        {
            let level = *before.lock().unwrap_or_else(PoisonError::into_inner);
            *bucket.get_mut().unwrap_or_else(PoisonError::into_inner) = level;
        }
        *posted = Arc::new(orders);
    }

    fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.posted.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What new connections shake hands with; none where HTTP is spoken in the clear.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.orders().tls.clone()
    }

    /// Why a request is not let through.
    pub(super) async fn refuse<B>(&self, request: &Request<B>) -> Option<Answer> {
        let orders = self.orders();
        if let Some((_, bucket)) = &orders.limit
            && !bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
        {
            return Some(later(StatusCode::TOO_MANY_REQUESTS, "Too many requests; try again."));
        }
        if orders.users.is_empty() {
            return None;
        }
        match self.passwords.judge(&orders.users, request.headers().get(AUTHORIZATION)).await {
            Verdict::Good => None,
            Verdict::Bad => Some(unauthorized()),
            Verdict::Busy => {
                Some(later(StatusCode::SERVICE_UNAVAILABLE, "Too many passwords at once; try again."))
            }
        }
    }

    /// Sets the headers that every answer has.
    pub(super) fn dress<B>(&self, response: &mut Response<B>) {
        for (name, value) in &self.orders().headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

impl Orders {
    fn load(path: &Path) -> Result<Self, Error> {
        let config = WebConfig::load(path)?;
        let of_file = |error| Error::Tls { path: path.to_owned(), error };
        Ok(Self {
            tls: config.tls.as_ref().map(tls::server_config).transpose().map_err(of_file)?,
            limit: config.rate_limit.map(|limit| (limit, Mutex::new(bucket(limit)))),
            users: config.users,
            headers: config.headers,
            fingerprint: Some(config.fingerprint),
        })
    }
}

fn bucket(limit: RateLimit) -> Bucket {
    let limit = Limit { burst: f64::from(limit.burst), per_second: limit.interval.as_secs_f64().recip() };
    Bucket::full(limit, Instant::now())
}

fn unauthorized() -> Answer {
    let mut answer = text(StatusCode::UNAUTHORIZED, "Unauthorized");
    answer.response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    answer
}

fn later(status: StatusCode, message: &str) -> Answer {
    let mut answer = text(status, message);
    answer.response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    answer
}
