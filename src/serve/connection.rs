//! One connection: HTTP/1.1 over any stream, and the deadlines that keep a silent client from staying.
//!
//! hyper asks a body for more only while the client reads, and its own timer knows neither idle connections nor
//! responses. So the stream and the body tell a [`Watch`] what goes on, and the connection's task, which drives
//! both, looks at its deadline whenever it has nothing else to do.

use std::convert::Infallible;
use std::future::{self, Future as _};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::vec;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::routes::Answer;
use super::{Server, Service, Settings};
use crate::metrics::exposition;

/// Longest request head. Cookies of a login proxy are the largest thing to expect, and those stay below 8 KiB.
/// hyper allows 100 headers in it.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves requests until either side is done or a deadline passes.
pub(super) async fn serve<S>(stream: S, server: Arc<Server>, graceful: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new(server.settings);
    let io = TokioIo::new(Watched { stream, watch: watch.clone() });
    let service = {
        let watch = watch.clone();
        service_fn(move |request| {
            let (server, watch) = (Arc::clone(&server), watch.clone());
            async move { Ok::<_, Infallible>(respond(&server, request, &watch).await) }
        })
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    let mut connection = pin!(graceful.watch(connection));
    let mut alarm = pin!(sleep_until(watch.deadline()));
    future::poll_fn(|context| {
        if let Poll::Ready(result) = connection.as_mut().poll(context) {
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended early");
            }
            return Poll::Ready(());
        }
        let deadline = watch.deadline();
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(context));
        tracing::debug!(phase = watch.phase(), "connection closed at its deadline");
        Poll::Ready(())
    })
    .await;
}

async fn respond(server: &Server, request: Request<Incoming>, watch: &Watch) -> Response<Sending> {
    let Answer { response, slot } = match &server.service {
        Service::Web(routes) => without_body(&request, routes.answer(&request, &server.slots)),
        Service::Intake(intake) => intake.answer(request).await,
    };
    watch.responding(slot);
    response.map(|body| Sending::new(body, watch.clone()))
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
struct Watch(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    settings: Settings,
    phase: Phase,
    deadline: Instant,
}

#[derive(Debug)]
enum Phase {
    /// Between two requests.
    Idle,
    /// A request head is being read, or awaited on a new connection.
    Head,
    /// A response is on its way. `taken` says that hyper has all of it; the slot is held until the socket has.
    Response { taken: bool, _slot: Option<OwnedSemaphorePermit> },
}

impl Watch {
    fn new(settings: Settings) -> Self {
        let deadline = Instant::now() + settings.head;
        Self(Arc::new(Mutex::new(State { settings, phase: Phase::Head, deadline })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn deadline(&self) -> Instant {
        self.with(|state| state.deadline)
    }

    fn phase(&self) -> &'static str {
        self.with(|state| match state.phase {
            Phase::Idle => "idle",
            Phase::Head => "head",
            Phase::Response { .. } => "response",
        })
    }

    /// Bytes came in.
    fn received(&self) {
        self.with(|state| {
            if matches!(state.phase, Phase::Idle) {
                state.phase = Phase::Head;
                state.deadline = Instant::now() + state.settings.head;
            }
        });
    }

    fn responding(&self, slot: Option<OwnedSemaphorePermit>) {
        self.with(|state| {
            state.phase = Phase::Response { taken: false, _slot: slot };
            state.deadline = Instant::now() + state.settings.response;
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
                state.phase = Phase::Idle;
                state.deadline = Instant::now() + state.settings.idle;
            }
        });
    }
}

/// A body that tells the watch when hyper has taken it.
#[derive(Debug)]
struct Sending {
    chunks: vec::IntoIter<Bytes>,
    left: u64,
    watch: Watch,
}

impl Sending {
    fn new(body: exposition::Body, watch: Watch) -> Self {
        Self { left: body.length, chunks: body.chunks.into_iter(), watch }
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = self.chunks.next();
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.watch.taken();
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
