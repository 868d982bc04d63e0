//! OpenTelemetry: what the exporter knows and does, told to receivers of OTLP. Off unless an endpoint is given.
//!
//! [`metrics`] is a second way out for what `/metrics` serves. [`Telemetry`] is made before all else, because what is
//! logged from then on is sent, too.

mod delta;
mod events;
pub mod metrics;
mod queue;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::clock::Clock;
use crate::config::otlp::{Endpoint, Otlp};
use crate::logging::BoxedLayer;
use crate::stats::OtlpStats;
use metrics::{Exposed, Pusher};
use queue::Queue;
use transport::Transport;

/// How long a shutdown waits for receivers. Orchestrators kill after 10 s (Docker) or 30 s (Kubernetes).
pub const FLUSH: Duration = Duration::from_secs(4);

/// All that is sent. `Default` is nothing.
#[derive(Default)]
pub struct Telemetry {
    pub metrics: Option<Arc<Pusher>>,
    logs: Option<SdkLoggerProvider>,
    traces: Option<SdkTracerProvider>,
    /// To be shown on `/metrics`, where anything is sent.
    pub stats: Option<OtlpStats>,
}

/// A receiver that cannot be used, although its settings are sound.
#[derive(Debug, thiserror::Error)]
#[error("the OTLP receiver {endpoint}: {reason}")]
pub struct Error {
    endpoint: String,
    reason: String,
}

impl Telemetry {
    /// Opens the ways to all receivers; to be called on a runtime. `clock` is the machine's own.
    pub fn start(settings: Otlp, clock: &Clock) -> Result<Self, Error> {
        let stats = OtlpStats::default();
        let mut telemetry = Self::default();
        if let Some(metrics) = settings.metrics {
            let transport = open(&metrics.endpoint)?;
            let stats = stats.signal("metrics");
            let pusher = Pusher::new(transport, metrics, &settings.resource, stats, clock.clone());
            telemetry.metrics = Some(Arc::new(pusher));
        }
        let attributes = settings.resource.into_iter().map(|(name, value)| KeyValue::new(name, value));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        if let Some(endpoint) = settings.logs {
            let queue = Queue::new(stats.signal("logs"), clock.clone());
            let logger = events::logger(&open(&endpoint)?, &endpoint, resource.clone(), queue);
            telemetry.logs = Some(logger.map_err(|error| failed(&endpoint, error.to_string()))?);
        }
        if let Some(traces) = settings.traces {
            let queue = Queue::new(stats.signal("traces"), clock.clone());
            let tracer = events::tracer(&open(&traces.endpoint)?, &traces, resource, queue);
            telemetry.traces = Some(tracer.map_err(|error| failed(&traces.endpoint, error.to_string()))?);
        }
        let is_on = telemetry.metrics.is_some() || telemetry.logs.is_some() || telemetry.traces.is_some();
        telemetry.stats = is_on.then_some(stats);
        Ok(telemetry)
    }

    /// What listens to events and spans.
    pub fn layers(&self) -> Vec<BoxedLayer> {
        let (logs, traces) = (self.logs.as_ref(), self.traces.as_ref());
        logs.map(events::of_logs).into_iter().chain(traces.map(events::of_traces)).collect()
    }

    /// Sends what is left; the last push tells how things stood at the end.
    pub async fn flush(&self, exposed: &Arc<Exposed>) {
        let (logs, traces) = (self.logs.clone(), self.traces.clone());
        // What fails is counted, and nobody is left to read the count.
        let events = tokio::task::spawn_blocking(move || {
            drop(traces.map(|traces| traces.shutdown_with_timeout(FLUSH / 2)));
            drop(logs.map(|logs| logs.shutdown_with_timeout(FLUSH / 2)));
        });
        if let Some(pusher) = &self.metrics {
            pusher.push(exposed).await;
        }
        drop(events.await);
    }
}

fn open(endpoint: &Endpoint) -> Result<Transport, Error> {
    Transport::open(endpoint).map_err(|reason| failed(endpoint, reason))
}

/// Without its path and query, which may hold a key.
fn failed(endpoint: &Endpoint, reason: String) -> Error {
    Error { endpoint: endpoint.url.origin().ascii_serialization(), reason }
}
