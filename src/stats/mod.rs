//! The exporter's own counters, kept in the crate `prometheus`; what they mean stands in the metric catalogue.

mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::{Collector as Registrable, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::model::Timestamp;
use process::Process;
pub use process::max_descriptors;

/// Seconds; Graph answers in 0.1 to 1 s and its gateway gives up after 100 s.
const DURATION_BUCKETS: [f64; 8] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Counters of the whole process.
pub struct Stats {
    registry: Registry,
    graph_requests: IntCounterVec,
    graph_duration: HistogramVec,
    graph_retries: IntCounterVec,
    graph_throttled: IntCounterVec,
    graph_rate: GaugeVec,
    token_expiry: GaugeVec,
    sunset: GaugeVec,
    deprecation: GaugeVec,
    unknown_values: IntCounterVec,
    intake_requests: IntCounterVec,
    config_loaded: IntGauge,
    config_loaded_at: IntGauge,
    web_config_active: IntGauge,
    storage_last_write: IntGauge,
    pub storage_failures: IntCounter,
    http_requests: IntCounterVec,
    /// The times at which the series of tenants were removed. The configuration names few tenants, ever.
    forgotten: Mutex<BTreeMap<String, Timestamp>>,
}

/// What became of what was sent by OTLP. Made before everything else: what is logged is sent, too.
#[derive(Clone)]
pub struct OtlpStats {
    sent: IntCounterVec,
    dropped: IntCounterVec,
    last_success: GaugeVec,
}

/// The part of one signal.
#[derive(Clone, Debug)]
pub struct SignalStats {
    signal: &'static str,
    pub sent: IntCounter,
    pub dropped: IntCounter,
    last_success: GaugeVec,
}

impl Default for OtlpStats {
    fn default() -> Self {
        let counters = |name| IntCounterVec::new(opts(name), &["signal"]).expect("a constant name");
        Self {
            sent: counters("teams_rooms_otlp_sent_total"),
            dropped: counters("teams_rooms_otlp_dropped_total"),
            last_success: GaugeVec::new(opts("teams_rooms_otlp_last_success_timestamp_seconds"), &["signal"])
                .expect("a constant name"),
        }
    }
}

impl OtlpStats {
    /// From now on the counters of this signal are shown.
    pub fn signal(&self, signal: &'static str) -> SignalStats {
        SignalStats {
            signal,
            sent: self.sent.with_label_values(&[signal]),
            dropped: self.dropped.with_label_values(&[signal]),
            last_success: self.last_success.clone(),
        }
    }
}

impl SignalStats {
    /// A receiver took all that there was.
    pub fn succeeded(&self, now: Timestamp) {
        set(&self.last_success, self.signal, now);
    }
}

/// The counters of one tenant.
#[derive(Clone)]
pub struct TenantStats {
    stats: Arc<Stats>,
    tenant: Arc<str>,
    pub retries: IntCounter,
    pub throttled: IntCounter,
    pub rate_limit: Gauge,
}

impl Stats {
    pub fn new() -> Arc<Self> {
        let registry = Registry::new();
        let stats = Self {
            graph_requests: counters(
                &registry,
                "teams_rooms_graph_requests_total",
                &["tenant", "operation", "code"],
            ),
            graph_duration: histograms(
                &registry,
                "teams_rooms_graph_request_duration_seconds",
                &["operation"],
            ),
            graph_retries: counters(&registry, "teams_rooms_graph_retries_total", &["tenant"]),
            graph_throttled: counters(&registry, "teams_rooms_graph_throttled_total", &["tenant"]),
            graph_rate: gauges(&registry, "teams_rooms_graph_rate_limit_requests_per_second", &["tenant"]),
            token_expiry: gauges(&registry, "teams_rooms_token_expiry_timestamp_seconds", &["tenant"]),
            sunset: gauges(&registry, "teams_rooms_api_sunset_timestamp_seconds", &["tenant"]),
            deprecation: gauges(&registry, "teams_rooms_api_deprecation_timestamp_seconds", &["tenant"]),
            unknown_values: counters(&registry, "teams_rooms_unknown_values_total", &["tenant", "field"]),
            intake_requests: counters(
                &registry,
                "teams_rooms_intake_requests_total",
                &["tenant", "intake", "result"],
            ),
            config_loaded: gauge(&registry, "teams_rooms_config_last_reload_successful"),
            config_loaded_at: gauge(&registry, "teams_rooms_config_last_reload_success_timestamp_seconds"),
            web_config_active: IntGauge::with_opts(opts("teams_rooms_web_config_last_reload_successful"))
                .expect("a constant name"),
            storage_last_write: IntGauge::with_opts(opts("teams_rooms_storage_last_write_timestamp_seconds"))
                .expect("a constant name"),
            storage_failures: IntCounter::with_opts(opts("teams_rooms_storage_write_failures_total"))
                .expect("a constant name"),
            http_requests: counters(
                &registry,
                "teams_rooms_exporter_http_requests_total",
                &["handler", "code"],
            ),
            registry,
            forgotten: Mutex::default(),
        };
        stats.register(Process::new());
        Arc::new(stats)
    }

    /// A configuration is in force, the first one or a new one.
    pub fn config_loaded(&self, now: Timestamp) {
        self.config_loaded.set(1);
        self.config_loaded_at.set(now.seconds());
    }

    /// A new configuration was refused; the old one stays in force.
    pub fn config_refused(&self) {
        self.config_loaded.set(0);
    }

    /// The metric of the web configuration exists only where there is a file, which is active at the start.
    pub fn with_web_config(&self) {
        self.web_config_active.set(1);
        self.register(self.web_config_active.clone());
    }

    /// The newest web configuration file is active, or was refused.
    pub fn web_config_read(&self, is_active: bool) {
        self.web_config_active.set(i64::from(is_active));
    }

    /// The storage metrics exist only where there is a storage.
    pub fn with_storage(&self) {
        self.register(self.storage_last_write.clone());
        self.register(self.storage_failures.clone());
    }

    /// Shows what became of what was sent by OTLP.
    pub fn with_otlp(&self, otlp: &OtlpStats) {
        self.register(otlp.sent.clone());
        self.register(otlp.dropped.clone());
        self.register(otlp.last_success.clone());
    }

    pub fn storage_written(&self, now: Timestamp) {
        self.storage_last_write.set(now.seconds());
    }

    pub fn tenant(self: &Arc<Self>, tenant: &Arc<str>) -> TenantStats {
        TenantStats {
            retries: self.graph_retries.with_label_values(&[tenant]),
            throttled: self.graph_throttled.with_label_values(&[tenant]),
            rate_limit: self.graph_rate.with_label_values(&[tenant]),
            stats: self.clone(),
            tenant: tenant.clone(),
        }
    }

    /// Removes the series of a tenant that is gone.
    pub fn forget(&self, tenant: &str, now: Timestamp) {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), now);
        for counters in [
            &self.graph_requests,
            &self.graph_retries,
            &self.graph_throttled,
            &self.unknown_values,
            &self.intake_requests,
        ] {
            forget(counters, tenant);
        }
        for gauges in [&self.graph_rate, &self.token_expiry, &self.sunset, &self.deprecation] {
            forget(gauges, tenant);
        }
    }

    /// The time at which the counters of a tenant were 0, if that was after the start.
    pub fn began(&self, tenant: &str) -> Option<Timestamp> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied()
    }

    pub fn http_request(&self, handler: &str, code: u16) {
        self.http_requests.with_label_values(&[handler, &code.to_string()]).inc();
    }

    /// What becomes of the pushes of one reporter for one tenant.
    pub fn intake_request(&self, tenant: &str, intake: &str, result: &str) -> IntCounter {
        self.intake_requests.with_label_values(&[tenant, intake, result])
    }

    /// Every family that has a series.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    fn register(&self, collector: impl Registrable + 'static) {
        self.registry.register(Box::new(collector)).expect("each name is registered once");
    }
}

impl TenantStats {
    /// Counts one request, or one item of a batch. `code` is a status, or why there is none.
    pub fn request(&self, operation: &str, code: &str) {
        self.stats.graph_requests.with_label_values(&[&*self.tenant, operation, code]).inc();
    }

    pub fn observe(&self, operation: &str, took: Duration) {
        self.stats.graph_duration.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// Counts a value that Graph does not document.
    pub fn unknown_value(&self, field: &str) {
        self.stats.unknown_values.with_label_values(&[&*self.tenant, field]).inc();
    }

    pub fn token_expiry(&self, at: Timestamp) {
        set(&self.stats.token_expiry, &self.tenant, at);
    }

    pub fn sunset(&self, at: Timestamp) {
        set(&self.stats.sunset, &self.tenant, at);
    }

    pub fn deprecation(&self, at: Timestamp) {
        set(&self.stats.deprecation, &self.tenant, at);
    }
}

fn forget<B: MetricVecBuilder>(family: &MetricVec<B>, tenant: &str) {
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
            if labels.get("tenant") == Some(&tenant) {
                drop(family.remove(&labels)); // gone already
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since the epoch fit an f64 for 285 million years")]
fn set(gauge: &GaugeVec, label: &str, at: Timestamp) {
    gauge.with_label_values(&[label]).set(at.seconds() as f64);
}

/// The help text is the catalogue's; the crate refuses an empty one.
fn opts(name: &str) -> Opts {
    Opts::new(name, name)
}

fn counters(registry: &Registry, name: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, IntCounterVec::new(opts(name), labels))
}

fn gauge(registry: &Registry, name: &str) -> IntGauge {
    registered(registry, IntGauge::with_opts(opts(name)))
}

fn gauges(registry: &Registry, name: &str, labels: &[&str]) -> GaugeVec {
    registered(registry, GaugeVec::new(opts(name), labels))
}

fn histograms(registry: &Registry, name: &str, labels: &[&str]) -> HistogramVec {
    let opts = HistogramOpts::from(opts(name)).buckets(DURATION_BUCKETS.to_vec());
    registered(registry, HistogramVec::new(opts, labels))
}

fn registered<C: Registrable + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let collector = made.expect("constant names and labels are well-formed");
    registry.register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_a_tenant_that_was_removed_begin_again() {
        let (stats, tenant) = (Stats::new(), Arc::from("contoso"));
        stats.tenant(&tenant).retries.inc();
        assert_eq!(stats.began("contoso"), None);
        stats.forget("contoso", Timestamp::from_seconds(9));
        assert_eq!(stats.tenant(&tenant).retries.get(), 0);
        assert_eq!(stats.began("contoso"), Some(Timestamp::from_seconds(9)));
        assert_eq!(stats.began("fabrikam"), None);
    }
}
