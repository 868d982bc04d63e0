//! The subcommands that print something and end.

pub mod capture;
pub mod check;
pub mod demo;
pub mod healthcheck;
pub mod login;
mod loopback;
pub mod manual;
pub mod metrics;
pub mod rooms;

use std::sync::Arc;
use std::time::Duration;

use crate::app::{self, Tuning};
use crate::clock::Clock;
use crate::config::Tenant;
use crate::graph::Limits;
use crate::poll::Poller;
use crate::store::Store;

/// What reads a tenant once, and where it puts what it found.
struct Reader {
    poller: Poller,
    store: Arc<Store>,
}

/// Builds the parts of a tenant for one run, outside the exporter.
fn reader(tenant: &Tenant, clock: &Clock) -> anyhow::Result<Reader> {
    // A person waits for the answer, and each source that fails is tried five times.
    let graph = Limits { first_pause: Duration::from_millis(100), ..Limits::default() };
    let (poller, store) = app::reader(tenant, clock, &Tuning { graph, ..Tuning::default() })?;
    Ok(Reader { poller, store })
}
