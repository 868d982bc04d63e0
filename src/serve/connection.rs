//! One connection: HTTP/1.1 in the clear or over TLS, and the deadlines that keep a silent client from staying.
//!
//! hyper takes a body whether or not the client reads, and its own timer knows neither idle connections nor
//! responses. So the stream and the body tell a [`Watch`] what goes on, and the connection's task, which drives
//! both, looks at its deadline whenever it has nothing else to do.

use std::convert::Infallible;
use std::future;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::vec;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::routes::{Answer, text};
use super::{Server, Service, Settings, tls};
use crate::metrics::exposition;

/// Longest request head. Cookies of a login proxy are the largest thing to expect, and those stay below 8 KiB.
/// hyper allows 100 headers in it.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// What closing another connection may take; a millisecond, unless the machine is busy.
const SLOT_PATIENCE: Duration = Duration::from_millis(500);

/// A response gets on when the client has taken so much more of it: two blocks of the exposition.
const PROGRESS_BYTES: usize = 64 * 1024;

/// Serves requests until either side is done or a deadline passes.
pub(super) async fn serve(stream: TcpStream, server: Arc<Server>, watch: Watch, graceful: Watcher) {
    // A connection that has broken off already has none.
    let Ok(address) = stream.peer_addr().map(|address| address.ip()) else { return };
    let tls = match &server.service {
        Service::Web(_, guard) => guard.tls(),
        Service::Intake(_) => None,
    };
    let Some(config) = tls else {
        return serve_http(stream, address, server, watch, graceful).await;
    };
    watch.shakes_hands();
    match watch.bound(tls::accept(stream, config)).await {
        Some(Ok(stream)) => {
            watch.shook_hands();
            serve_http(stream, address, server, watch, graceful).await;
        }
        Some(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        None => {}
    }
}

async fn serve_http<S>(stream: S, address: IpAddr, server: Arc<Server>, watch: Watch, graceful: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Watched { stream, watch: watch.clone() });
    let service = {
        let watch = watch.clone();
        service_fn(move |request| {
            let (server, watch) = (Arc::clone(&server), watch.clone());
            async move { Ok::<_, Infallible>(respond(&server, request, address, &watch).await) }
        })
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    if let Some(Err(error)) = watch.bound(graceful.watch(connection)).await {
        tracing::debug!(%error, "connection ended early");
    }
}

async fn respond(
    server: &Server,
    request: Request<Incoming>,
    address: IpAddr,
    watch: &Watch,
) -> Response<Sending> {
    let Answer { response, slot } = match &server.service {
        _ if !has_one_host(&request) => without_host(server),
        Service::Web(routes, guard) => {
            let mut answer = if let Some(refusal) = guard.refuse(&request, address).await {
                routes.refused(refusal)
            } else if let Some(answer) = routes.reload(&request).await {
                answer
            } else {
                free_slot(server).await;
                routes.answer(&request, &server.slots)
            };
            guard.dress(&mut answer.response);
            without_body(&request, answer)
        }
        Service::Intake(intake) => intake.answer(request).await,
    };
    watch.responding(slot);
    response.map(|body| Sending::new(body, watch.clone()))
}

/// HTTP/1.1 asks for exactly one `Host` (RFC 9112, 3.2): of two, a proxy before us may have read the other.
fn has_one_host<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11)
}

fn without_host(server: &Server) -> Answer {
    let mut answer = text(StatusCode::BAD_REQUEST, "The request needs exactly one Host header.");
    answer.response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    match &server.service {
        Service::Web(routes, guard) => {
            guard.dress(&mut answer.response);
            routes.refused(answer)
        }
        Service::Intake(intake) => intake.refused(answer),
    }
}

/// Where all slots are taken and one of them for nothing, waits until it is free.
async fn free_slot(server: &Server) {
    if server.slots.available_permits() == 0 && server.open.free_slot() {
        // The connection is gone as soon as its task is looked at.
        drop(timeout(SLOT_PATIENCE, server.slots.acquire()).await);
    }
}

/// Where no body is taken, one is not read; without the rest of the connection nobody needs to.
fn without_body(request: &Request<Incoming>, mut answer: Answer) -> Answer {
    if !request.body().is_end_stream() {
        answer.response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// What a connection is doing and how long it may.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    settings: Settings,
    phase: Phase,
    /// When this phase began, or the response last got on.
    since: Instant,
    /// Of the response, since then.
    sent: usize,
    deadline: Instant,
}

#[derive(Debug)]
enum Phase {
    /// TLS is being agreed on.
    Handshake,
    /// Between two requests.
    Idle,
    /// A request head is being read, or awaited on a new connection.
    Head,
    /// A response is on its way. `taken` says that hyper has all of it; the slot is held until the socket has.
    Response { taken: bool, slot: Option<OwnedSemaphorePermit> },
}

impl Watch {
    pub(super) fn new(settings: Settings) -> Self {
        let since = Instant::now();
        let deadline = since + settings.head;
        Self(Arc::new(Mutex::new(State { settings, phase: Phase::Head, since, sent: 0, deadline })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Drives what the connection does; none once its deadline has passed, which may move in the meantime.
    async fn bound<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut alarm = pin!(sleep_until(self.deadline()));
        future::poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let deadline = self.deadline();
            if alarm.deadline() != deadline {
                alarm.as_mut().reset(deadline);
            }
            ready!(alarm.as_mut().poll(context));
            tracing::debug!(phase = self.phase(), "connection closed at its deadline");
            Poll::Ready(None)
        })
        .await
    }

    fn deadline(&self) -> Instant {
        self.with(|state| state.deadline)
    }

    /// Who is first to be closed: first of all those who get no response, and of these who keeps us waiting longest.
    pub(super) fn standing(&self) -> (bool, Instant) {
        self.with(|state| (matches!(state.phase, Phase::Response { .. }), state.since))
    }

    /// Since when a response with a slot has not got on, if that is too long.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.with(|state| {
            let stalls = matches!(state.phase, Phase::Response { slot: Some(_), .. })
                && state.since.elapsed() > state.settings.stalled;
            stalls.then_some(state.since)
        })
    }

    pub(super) fn phase(&self) -> &'static str {
        self.with(|state| match state.phase {
            Phase::Handshake => "handshake",
            Phase::Idle => "idle",
            Phase::Head => "head",
            Phase::Response { .. } => "response",
        })
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        self.with(|state| matches!(state.phase, Phase::Handshake))
    }

    /// The time for it is that of the head, which goes on.
    fn shakes_hands(&self) {
        self.with(|state| state.phase = Phase::Handshake);
    }

    fn shook_hands(&self) {
        self.with(|state| state.phase = Phase::Head);
    }

    /// Bytes came in.
    fn received(&self) {
        self.with(|state| {
            if matches!(state.phase, Phase::Idle) {
                state.begin(Phase::Head, state.settings.head);
            }
        });
    }

    fn responding(&self, slot: Option<OwnedSemaphorePermit>) {
        self.with(|state| {
            state.begin(Phase::Response { taken: false, slot }, state.settings.response);
        });
    }

    /// The socket took bytes.
    fn sent(&self, bytes: usize) {
        self.with(|state| {
            state.sent += bytes;
            if matches!(state.phase, Phase::Response { .. }) && state.sent >= PROGRESS_BYTES {
                state.since = Instant::now();
                state.sent = 0;
            }
        });
    }

    /// hyper has the whole body, or gave up on it.
    fn taken(&self) {
        self.with(|state| {
            if let Phase::Response { taken, .. } = &mut state.phase {
                *taken = true;
            }
        });
    }

    /// The socket has everything that hyper has.
    fn flushed(&self) {
        self.with(|state| {
            if matches!(state.phase, Phase::Response { taken: true, .. }) {
                state.begin(Phase::Idle, state.settings.idle);
            }
        });
    }
}

impl State {
    fn begin(&mut self, phase: Phase, time: Duration) {
        self.phase = phase;
        self.since = Instant::now();
        self.sent = 0;
        self.deadline = self.since + time;
    }
}

/// A body that tells the watch when hyper has taken it, all at once.
#[derive(Debug)]
struct Sending {
    chunks: Option<Chunks>,
    watch: Watch,
}

impl Sending {
    fn new(body: exposition::Body, watch: Watch) -> Self {
        let chunks = Chunks { left: body.length, chunks: body.chunks.into_iter() };
        Self { chunks: Some(chunks).filter(Chunks::has_remaining), watch }
    }
}

impl Body for Sending {
    type Data = Chunks;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunks>, Infallible>>> {
        Poll::Ready(self.chunks.take().map(|chunks| Ok(Frame::data(chunks))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunks.as_ref().map_or(0, |chunks| chunks.left))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.watch.taken();
    }
}

/// The blocks of a body as one buffer. hyper hands sixteen buffers at most to the socket at once, and this one counts as
/// one of them, however many blocks it lends.
#[derive(Debug)]
struct Chunks {
    left: u64,
    chunks: vec::IntoIter<Bytes>,
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        usize::try_from(self.left).expect("what is held in memory can be counted")
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.as_slice().iter().find(|chunk| !chunk.is_empty()).map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let lent = slices.iter_mut().zip(self.chunks.as_slice());
        lent.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut taken: usize) {
        self.left -= taken as u64;
        while let Some(first) = self.chunks.as_mut_slice().first_mut() {
            if taken < first.len() {
                return first.advance(taken);
            }
            taken -= first.len();
            drop(self.chunks.next()); // a block of an old generation is freed as soon as it is sent
        }
    }
}

/// A stream that tells the watch what passes.
#[derive(Debug)]
struct Watched<S> {
    stream: S,
    watch: Watch,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.watch.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.watch.sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.watch.sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes the stream only once its own buffers are empty.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.watch.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
