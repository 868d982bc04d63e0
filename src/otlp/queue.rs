//! A bounded queue before an exporter of the SDK, so that what is lost is counted.
//!
//! The SDK's own queue drops in silence; here nothing enters that would not fit.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::clock::Clock;
use crate::stats::SignalStats;

/// Items that wait at most, some 1 KB each. A receiver that is away for longer than these last has lost them.
pub(super) const LENGTH: usize = 4096;

/// Who is in the queue, and what became of those who left it.
#[derive(Clone)]
pub(super) struct Queue(Arc<Inner>);

struct Inner {
    waiting: AtomicUsize,
    stats: SignalStats,
    clock: Clock,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.0.waiting).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(stats: SignalStats, clock: Clock) -> Self {
        Self(Arc::new(Inner { waiting: AtomicUsize::new(0), stats, clock }))
    }

    /// Whether there is room for one more, which is counted otherwise.
    fn enter(&self) -> bool {
        let waiting = &self.0.waiting;
        let entered = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < LENGTH).then_some(count + 1)
        });
        if entered.is_err() {
            self.0.stats.dropped.inc();
        }
        entered.is_ok()
    }

    fn leave(&self, count: usize, taken: bool) {
        self.0.waiting.fetch_sub(count, Ordering::Relaxed);
        if taken {
            self.0.stats.sent.inc_by(count as u64);
            self.0.stats.succeeded(self.0.clock.now());
        } else {
            self.0.stats.dropped.inc_by(count as u64);
        }
    }
}

/// Counts what an exporter takes, or a processor lets in.
#[derive(Debug)]
pub(super) struct Counted<T> {
    pub(super) inner: T,
    pub(super) queue: Queue,
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let outcome = self.inner.export(batch).await;
        self.queue.leave(count, outcome.is_ok());
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Counted<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.queue.enter() {
            self.inner.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let outcome = self.inner.export(batch).await;
        self.queue.leave(count, outcome.is_ok());
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<P: SpanProcessor> SpanProcessor for Counted<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // What is not sampled is nobody's loss; the processor leaves it out.
        if !span.span_context.is_sampled() || self.queue.enter() {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
