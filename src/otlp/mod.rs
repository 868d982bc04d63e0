//! OpenTelemetry: what the exporter knows and does, told to receivers of OTLP. Off unless an endpoint is given.
//!
//! [`metrics`] is a second way out for what `/metrics` serves. [`Telemetry`] is made before all else, because what is
//! logged from then on is sent, too.

mod delta;
pub mod metrics;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::otlp::{Endpoint, Otlp};
use crate::stats::OtlpStats;
use metrics::{Exposed, Pusher};
use transport::Transport;

/// How long a shutdown waits for receivers. Orchestrators kill after 10 s (Docker) or 30 s (Kubernetes).
pub const FLUSH: Duration = Duration::from_secs(4);

/// All that is sent. `Default` is nothing.
#[derive(Default)]
pub struct Telemetry {
    pub metrics: Option<Arc<Pusher>>,
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
        if telemetry.metrics.is_some() {
            telemetry.stats = Some(stats);
        }
        Ok(telemetry)
    }

    /// Sends what is left; the last push tells how things stood at the end.
    pub async fn flush(&self, exposed: &Arc<Exposed>) {
        if let Some(pusher) = &self.metrics {
            pusher.push(exposed).await;
        }
    }
}

fn open(endpoint: &Endpoint) -> Result<Transport, Error> {
    let named = |reason| Error { endpoint: endpoint.url.origin().ascii_serialization(), reason };
    Transport::open(endpoint).map_err(named)
}
