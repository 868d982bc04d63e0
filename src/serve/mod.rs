//! The HTTP server: accepts connections, bounds what they may take, and stops without cutting a response short.
//!
//! It answers from what is there: no answer waits for Graph or renders room data.

pub mod api;
pub mod bucket;
mod connection;
pub mod guard;
pub mod intake;
mod negotiate;
pub mod page;
mod query;
pub mod routes;
mod sd;
mod tls;
mod users;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use self::connection::Watch;
use self::guard::Guard;
use self::intake::Intake;
use self::routes::Routes;

/// Pause after a failed accept: the usual reason is that all file descriptors are in use, which lasts.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Connections open at once; for one more, the one that has kept us waiting longest is closed. Far more than scrapers
    /// and people need, and half of the 1,024 file descriptors that a process usually has.
    pub connections: usize,
    /// Responses with exposition on their way at once; more get a 503. As in `node_exporter`. Each may pin the
    /// blocks of one generation.
    pub scrapes: usize,
    /// For a request head to arrive, with the handshake before it and the body where one is taken, so that a client
    /// which never ends one cannot hold a connection.
    pub head: Duration,
    /// For a connection between requests. Prometheus keeps its own for five minutes, and who waits for the other
    /// side to close first never meets a closing connection with a request.
    pub idle: Duration,
    /// For a response to be taken, also when the client stops reading. Longer than any sensible scrape timeout.
    pub response: Duration,
    /// For the next 64 KiB of a response, where every slot of `scrapes` is taken: who is slower than any scraper that
    /// comes to an end in time leaves the slot to the next one.
    pub stalled: Duration,
    /// For responses in flight when the server stops. Below the ten seconds that container runtimes grant.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 512,
            scrapes: 40,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(330),
            response: Duration::from_mins(1),
            stalled: Duration::from_secs(2),
            drain: Duration::from_secs(5),
        }
    }
}

/// The file descriptors that a process usually has, and that the numbers of connections are made for.
const USUAL_DESCRIPTORS: usize = 1024;

impl Settings {
    /// The same share of fewer file descriptors: the others are for Graph, files and the other listeners.
    #[must_use]
    pub fn within(self, descriptors: usize) -> Self {
        let share = descriptors.min(USUAL_DESCRIPTORS) * self.connections / USUAL_DESCRIPTORS;
        Self { connections: share.clamp(1, self.connections), ..self }
    }

    /// For listeners that face the internet, where a connection is held by whoever likes to. A reverse proxy keeps its own
    /// for a minute; a quarter of the file descriptors that the other listeners leave is enough for it.
    pub fn of_intake() -> Self {
        Self { connections: 128, idle: Duration::from_secs(75), ..Self::default() }
    }
}

/// Who answers on some listeners.
pub enum Service {
    Web(Box<Routes>, Arc<Guard>),
    Intake(Intake),
}

/// What all connections share.
struct Server {
    service: Service,
    slots: Arc<Semaphore>,
    open: Open,
}

/// Serves until `shutdown`, then lets responses in flight end.
pub async fn run(
    listeners: Vec<TcpListener>,
    service: Service,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(settings.scrapes));
    let server = Arc::new(Server { service, slots, open: Open::default() });
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let mut accepting = Accepting::default();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = tasks.join_next_with_id() => server.open.remove(&ended),
            accepted = accepting.next(&listeners) => {
                let accepted = accepting.judge(accepted);
                let is_full = tasks.len() >= settings.connections || matches!(accepted, Accepted::NoDescriptor);
                if is_full && server.open.make_room() {
                    if let Some(ended) = tasks.join_next_with_id().await {
                        server.open.remove(&ended);
                    }
                    accepting.resume_at_once();
                }
                let Accepted::Connection(stream) = accepted else { continue };
                let watch = Watch::new(settings);
                let work = connection::serve(stream, Arc::clone(&server), watch.clone(), graceful.watcher());
                server.open.add(tasks.spawn(work), watch);
            }
        }
    }
    drop(listeners);
    server.open.close_handshakes();
    if timeout(settings.drain, graceful.shutdown()).await.is_err() {
        tracing::info!(connections = tasks.len(), "closing connections that did not end in time");
    }
    tasks.shutdown().await;
}

/// The connections that are open, so that one can be closed for another.
#[derive(Debug, Default)]
struct Open(Mutex<HashMap<Id, (AbortHandle, Watch)>>);

impl Open {
    fn connections(&self) -> MutexGuard<'_, HashMap<Id, (AbortHandle, Watch)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, task: AbortHandle, watch: Watch) {
        self.connections().insert(task.id(), (task, watch));
    }

    fn remove(&self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.connections().remove(&id);
    }

    /// Closes the connection that has kept us waiting longest, so that whoever holds connections without using them
    /// keeps nobody out: who uses one is heard within milliseconds. False where none is open.
    fn make_room(&self) -> bool {
        let connections = self.connections();
        let longest = connections.values().min_by_key(|(_, watch)| watch.standing());
        longest.is_some_and(|(task, watch)| {
            tracing::debug!(phase = watch.phase(), "connection closed for another one");
            task.abort();
            true
        })
    }

    /// Closes the connection that has stalled longest with a response whose slot others need; false where none has.
    fn free_slot(&self) -> bool {
        let connections = self.connections();
        let stalled = connections.values().filter_map(|(task, watch)| Some((watch.stalled_since()?, task)));
        let longest = stalled.min_by_key(|(since, _)| *since);
        longest.is_some_and(|(_, task)| {
            tracing::debug!("stalled connection closed for another scrape");
            task.abort();
            true
        })
    }

    /// Nobody waits for these.
    fn close_handshakes(&self) {
        for (task, _) in self.connections().values().filter(|(_, watch)| watch.is_shaking_hands()) {
            task.abort();
        }
    }
}

/// The outcome of an accept.
enum Accepted {
    Connection(TcpStream),
    /// Every file descriptor is in use.
    NoDescriptor,
    Nothing,
}

/// The numbers of `EMFILE` and `ENFILE` on Linux.
const NO_DESCRIPTOR: [i32; 2] = [24, 23];

/// Accepts from all listeners, and calmly when that fails.
#[derive(Debug, Default)]
struct Accepting {
    resume: Option<Instant>,
}

impl Accepting {
    async fn next(&self, listeners: &[TcpListener]) -> io::Result<TcpStream> {
        if let Some(resume) = self.resume {
            sleep_until(resume).await;
        }
        poll_fn(|context| {
            let mut polls = listeners.iter().map(|listener| listener.poll_accept(context));
            match polls.find_map(|poll| if let Poll::Ready(accepted) = poll { Some(accepted) } else { None })
            {
                Some(accepted) => Poll::Ready(accepted.map(|(stream, _)| stream)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Keeps a good connection; a failure is logged once until the next good one.
    fn judge(&mut self, accepted: io::Result<TcpStream>) -> Accepted {
        match accepted {
            Ok(stream) => {
                self.resume = None;
                // Only latency is at stake.
                stream.set_nodelay(true).ok();
                Accepted::Connection(stream)
            }
            // That client left before we came; it says nothing about the next.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) =>
            {
                Accepted::Nothing
            }
            Err(error) => {
                if self.resume.is_none() {
                    tracing::warn!(%error, "cannot accept connections; retrying");
                }
                self.resume = Some(Instant::now() + ACCEPT_PAUSE);
                let is_exhausted = error.raw_os_error().is_some_and(|number| NO_DESCRIPTOR.contains(&number));
                if is_exhausted { Accepted::NoDescriptor } else { Accepted::Nothing }
            }
        }
    }

    /// There is a file descriptor again.
    fn resume_at_once(&mut self) {
        if self.resume.is_some() {
            self.resume = Some(Instant::now());
        }
    }
}
