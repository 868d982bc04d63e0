//! The subcommands that print something and end.

pub mod check;
pub mod metrics;
pub mod rooms;

use std::time::Duration;

use crate::clock::Clock;
use crate::graph::Limits;
use crate::model::collector::{Collector, Status};
use crate::stats::Stats;

/// A client for one run, outside the exporter.
fn client(tenant: &crate::config::Tenant, clock: &Clock) -> anyhow::Result<crate::graph::Client> {
    let stats = Stats::new().tenant(&tenant.name.as_str().into());
    // A person waits for the answer, and each source that fails is tried five times.
    let limits = Limits { first_pause: Duration::from_millis(100), ..Limits::default() };
    crate::app::client(tenant, limits, stats, clock)
}

/// The times of a source that is read once and then forgotten.
fn once(collector: Collector) -> (Collector, Status) {
    let facts = collector.facts();
    (collector, Status::starting(facts.interval, facts.expiry))
}
