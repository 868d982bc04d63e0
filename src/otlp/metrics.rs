//! Pushes what `/metrics` serves, from the same snapshot and by the same functions, to a receiver of OTLP.
//!
//! A push is rendered on a blocking thread, batch by batch, each sent before the next but one is made: whatever the
//! size of the fleet, three batches are held. Nobody waits for it: a receiver that is slow or away costs the points
//! of that push, and the next one tells everything anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::delta::Deltas;
use super::transport::{Failure, Rejected, Transport};
use crate::clock::Clock;
use crate::config::otlp::{Metrics, Temporality};
use crate::metrics::points::{Batch, Points, Times, nanoseconds};
use crate::model::Timestamp;
use crate::stats::SignalStats;

/// What is pushed, and who is told that somebody reads it.
pub struct Exposed {
    /// Writes every series; takes its time, so that it runs on a blocking thread.
    pub observe: Box<dyn Fn(&mut Points) + Send + Sync>,
    pub on_read: Box<dyn Fn() + Send + Sync>,
}

/// Pushes metrics now and then.
pub struct Pusher {
    transport: Transport,
    settings: Metrics,
    resource: Resource,
    stats: SignalStats,
    /// The machine's own: receivers refuse points of another time.
    clock: Clock,
    start: Timestamp,
    deltas: Mutex<Deltas>,
    failing: AtomicBool,
}

/// What became of a push.
#[derive(Debug, Default)]
struct Outcome {
    sent: u64,
    dropped: u64,
    failure: Option<Failure>,
    rejected: Option<String>,
}

impl Pusher {
    pub(super) fn new(
        transport: Transport,
        settings: Metrics,
        resource: &[(String, String)],
        stats: SignalStats,
        clock: Clock,
    ) -> Self {
        let attribute = |(name, value): &(String, String)| {
            let value = Some(any_value::Value::StringValue(value.clone()));
            KeyValue { key: name.clone(), value: Some(AnyValue { value }), ..KeyValue::default() }
        };
        Self {
            transport,
            settings,
            resource: Resource {
                attributes: resource.iter().map(attribute).collect(),
                ..Resource::default()
            },
            stats,
            start: clock.now(),
            clock,
            deltas: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Pushes at each interval, until it is dropped.
    pub async fn run(self: Arc<Self>, exposed: Arc<Exposed>) {
        let interval = self.settings.interval;
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.push(&exposed).await;
        }
    }

    /// Pushes everything once.
    pub async fn push(&self, exposed: &Arc<Exposed>) {
        let mut deltas = self.deltas.lock().await;
        let (now, exposed_there) = (self.clock.now(), exposed.clone());
        deltas.begin(nanoseconds(now));
        let times = Times { start: nanoseconds(self.start), now: nanoseconds(now) };
        let (sender, mut batches) = mpsc::channel(1);
        let rendering = tokio::task::spawn_blocking(move || {
            // Where nobody takes them any more, this process ends.
            let mut points = Points::new(times, move |batch| drop(sender.blocking_send(batch)));
            (exposed_there.observe)(&mut points);
            points.finish();
        });
        let deadline = Instant::now() + self.settings.interval.max(self.settings.endpoint.timeout);
        let mut outcome = Outcome::default();
        while let Some(batch) = batches.recv().await {
            if matches!(outcome.failure, Some(Failure::Away(_))) {
                outcome.dropped += batch.points; // rendered on, for the count
            } else if Instant::now() > deadline {
                outcome.dropped += batch.points;
                outcome.failure = Some(Failure::Away("it takes longer than until the next push".to_owned()));
            } else {
                let is_first = outcome.sent == 0;
                self.send(batch, &mut deltas, &mut outcome).await;
                if is_first && outcome.sent > 0 {
                    (exposed.on_read)();
                }
            }
        }
        drop(rendering.await); // it ended with its last batch
        if outcome.failure.is_none() {
            deltas.forget_absent();
            self.stats.succeeded(now);
        }
        self.stats.sent.inc_by(outcome.sent);
        self.stats.dropped.inc_by(outcome.dropped);
        self.report(&outcome);
    }

    async fn send(&self, batch: Batch, deltas: &mut Deltas, outcome: &mut Outcome) {
        let Batch { mut metrics, points } = batch;
        let pending = match self.settings.temporality {
            Temporality::Cumulative => None,
            other => Some(deltas.turn(&mut metrics, other)),
        };
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics =
            vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        let request = ExportMetricsServiceRequest { resource_metrics };
        match self.transport.send(&self.settings.endpoint, request).await {
            Ok(Rejected { points: rejected, reason }) => {
                let rejected = rejected.min(points);
                outcome.sent += points - rejected;
                outcome.dropped += rejected;
                if rejected > 0 {
                    outcome.rejected = Some(reason);
                }
                if let Some(pending) = pending {
                    deltas.told(pending);
                }
            }
            Err(failure) => {
                outcome.dropped += points;
                outcome.failure = Some(failure);
            }
        }
    }

    /// One line when it begins to fail and one when that is over; the counters tell the rest.
    fn report(&self, outcome: &Outcome) {
        let (sent, dropped) = (outcome.sent, outcome.dropped);
        let is_failing = outcome.failure.is_some() || outcome.rejected.is_some();
        let was_failing = self.failing.swap(is_failing, Ordering::Relaxed);
        match (&outcome.failure, &outcome.rejected) {
            (Some(error), _) if !was_failing => {
                tracing::warn!(signal = "metrics", sent, dropped, %error, "not pushed; it is tried again at each interval");
            }
            (None, Some(reason)) if !was_failing => {
                tracing::warn!(signal = "metrics", sent, dropped, reason, "the receiver took only a part");
            }
            (None, None) if was_failing => tracing::info!(signal = "metrics", sent, "pushed again"),
            _ => tracing::debug!(signal = "metrics", sent, dropped, "pushed"),
        }
    }
}
