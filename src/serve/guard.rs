//! What stands before the routes: TLS, a limit, users, headers. It is replaced as a whole when the web configuration
//! file, or one that it names, has changed; connections stay, and hear the new users and headers at their next request.

use std::collections::BTreeMap;
use std::net::IpAddr;
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
use crate::config::web_config::{Fingerprint, Locks, RateLimit, WebConfig};

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
    locks: Locks,
    fingerprint: Option<Fingerprint>,
}

/// The content of the file at one read, or the reason why it cannot be used.
type Seen = Result<Fingerprint, String>;

/// The last read of a file, whose writer may not have finished.
#[derive(Default)]
struct Steady(Option<Seen>);

impl Steady {
    /// Returns true if the read before found the same.
    fn holds(&mut self, seen: Seen) -> bool {
        self.0.replace(seen.clone()) == Some(seen)
    }
}

impl Guard {
    /// Lets everybody through.
    pub fn absent() -> Self {
        Self::with(Orders {
            tls: None,
            limit: None,
            users: BTreeMap::new(),
            headers: HeaderMap::new(),
            locks: Locks::default(),
            fingerprint: None,
        })
    }

    /// As the file says. Blocks on the disk.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Orders::load(path).map(|(orders, _)| Self::with(orders))
    }

    fn with(orders: Orders) -> Self {
        Self { posted: RwLock::new(Arc::new(orders)), passwords: Passwords::new() }
    }

    /// Follows the file for ever, and reports to `on_read` whether the newest file is active. Two reads in a row must agree:
    /// a file that is being written is neither applied nor complained about.
    pub async fn follow(self: Arc<Self>, path: PathBuf, every: Duration, on_read: impl Fn(bool)) {
        let (mut steady, mut complaint) = (Steady::default(), None::<String>);
        loop {
            sleep(every).await;
            let file = path.clone();
            let Ok(loaded) = spawn_blocking(move || Orders::load(&file)).await else { continue };
            let loaded = loaded.map_err(|error| error.to_string());
            let seen = match &loaded {
                Ok((_, fingerprint)) => Ok(*fingerprint),
                Err(reason) => Err(reason.clone()),
            };
            if !steady.holds(seen) {
                continue;
            }
            let refused = loaded.and_then(|(orders, _)| self.replace(&path, orders)).err();
            on_read(refused.is_none());
            if let Some(reason) = refused.as_ref().filter(|reason| complaint.as_ref() != Some(reason)) {
                tracing::warn!(error = reason, "the web configuration stays as it was");
            }
            complaint = refused;
        }
    }

    /// Activates a file if it is new. One that removes a check is refused: a restart applies it.
    fn replace(&self, path: &Path, orders: Orders) -> Result<(), String> {
        let active = self.orders();
        if orders.fingerprint == active.fingerprint {
            return Ok(());
        }
        let lost = active.locks.lost_in(orders.locks);
        if !lost.is_empty() {
            return Err(format!(
                "{} removes {}; only a restart does that, a reload never opens what is closed",
                path.display(),
                lost.join(", ")
            ));
        }
        self.post(orders);
        tracing::info!(path = %path.display(), "the web configuration is new");
        Ok(())
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
    pub(super) async fn refuse<B>(&self, request: &Request<B>, address: IpAddr) -> Option<Answer> {
        let orders = self.orders();
        if let Some((_, bucket)) = &orders.limit
            && !bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
        {
            return Some(later(StatusCode::TOO_MANY_REQUESTS, "Too many requests; try again."));
        }
        if orders.users.is_empty() {
            return None;
        }
        match self.passwords.judge(&orders.users, request.headers().get(AUTHORIZATION), address).await {
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
    fn load(path: &Path) -> Result<(Self, Fingerprint), Error> {
        let config = WebConfig::load(path)?;
        let of_file = |error| Error::Tls { path: path.to_owned(), error };
        let fingerprint = config.fingerprint;
        let orders = Self {
            locks: config.locks(),
            tls: config.tls.as_ref().map(tls::server_config).transpose().map_err(of_file)?,
            limit: config.rate_limit.map(|limit| (limit, Mutex::new(bucket(limit)))),
            users: config.users,
            headers: config.headers,
            fingerprint: Some(fingerprint),
        };
        Ok((orders, fingerprint))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_two_reads_in_a_row_agree() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("web.yml");
        let read = |content: &str| -> Seen {
            std::fs::write(&path, content).expect("written");
            Orders::load(&path).map(|(_, fingerprint)| fingerprint).map_err(|error| error.to_string())
        };
        let (one, other, broken) = ("", "http_server_config: { http2: false }\n", "basic_auth_users: [\n");
        let mut steady = Steady::default();
        for (content, expected) in [
            (one, false),
            (one, true),
            (other, false),
            (one, false),
            (broken, false),
            (other, false),
            (broken, false),
            (broken, true),
            (other, false),
            (other, true),
        ] {
            assert_eq!(steady.holds(read(content)), expected, "{content:?}");
        }
    }
}
