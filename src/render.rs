//! Keeps the exposition up to date: renders a tenant's families when its snapshot changes or a record expires.
//!
//! Rendering runs on a blocking thread, so that no scrape waits behind it on a runtime worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

use crate::clock::Clock;
use crate::metrics::View;
use crate::metrics::catalogue::{FAMILIES, Family};
use crate::metrics::draw::Drawing;
use crate::metrics::exposition::Exposition;
use crate::model::{Snapshot, Timestamp};
use crate::store::Store;

/// Renders one tenant.
pub struct Renderer {
    pub tenant: Arc<str>,
    pub store: Arc<Store>,
    pub exposition: Arc<Exposition>,
    pub clock: Clock,
    /// Which families are exposed at all.
    pub exposed: Arc<dyn Fn(&Family) -> bool + Send + Sync>,
    /// Held while something is drawn; true where nothing may be any more.
    pub stopped: Mutex<bool>,
}

/// Pages and batches arrive many times a second; the picture is drawn anew at most this often ...
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// ... and drawing takes at most one part of the time in so many.
const PAUSE_PER_RENDER: u32 = 10;
/// Expiry is told by the clock, which may be set; it is asked again this often.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl Renderer {
    /// Renders at once and then whenever there is a reason, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut snapshots = self.store.subscribe();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            let (began, now) = (Instant::now(), self.clock.now());
            let (this, span) = (self.clone(), self.span());
            let drawing = tokio::task::spawn_blocking(move || span.in_scope(|| this.render(&snapshot, now)));
            let Ok(until) = drawing.await else { return }; // the runtime ends
            tokio::time::sleep((began.elapsed() * PAUSE_PER_RENDER).max(SHORTEST_PAUSE)).await;
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { return },
                () = self.expired(until) => {}
            }
        }
    }

    /// A part of the cycle that made it necessary, which ends with it.
    fn span(&self) -> Span {
        let (cycle, tenant) = (self.store.take_changed_by(), &*self.tenant);
        tracing::info_span!(target: "collection", parent: &cycle, "render", tenant)
    }

    /// Waits for what is being drawn, and lets nothing be drawn after it: a thread that draws goes on when [`Self::run`] is
    /// dropped, and would write old settings over those of its successor.
    pub async fn stop(self: Arc<Self>) {
        let stopping = tokio::task::spawn_blocking(move || *self.stopped() = true);
        drop(stopping.await); // it fails only where the runtime ends
    }

    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when `until` has come, by the exporter's own clock.
    async fn expired(&self, until: Option<Timestamp>) {
        loop {
            let now = self.clock.now();
            match until {
                Some(until) if now >= until => return,
                Some(until) => tokio::time::sleep(until.since(now).min(LONGEST_PAUSE)).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Renders what a snapshot shows otherwise than what was rendered last; says when to look again.
    fn render(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Timestamp> {
        let stopped = self.stopped();
        if *stopped {
            return None;
        }
        let view = View::new(&self.tenant, snapshot, now);
        let mut drawing = Drawing::new(&view);
        for (index, family) in FAMILIES.iter().enumerate().filter(|(_, family)| (self.exposed)(family)) {
            let previous = self.exposition.segment(index, &self.tenant).unwrap_or_default();
            if let Some(segment) = drawing.draw(family, &previous) {
                self.exposition.replace(index, &self.tenant, segment);
            }
        }
        view.until()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_was_stopped_draws_no_more() {
        let exposition = Arc::new(Exposition::new(FAMILIES, vec!["contoso".to_owned()]));
        let renderer = Arc::new(Renderer {
            tenant: "contoso".into(),
            store: Arc::new(Store::new(Snapshot::default())),
            exposition: exposition.clone(),
            clock: Clock::new(|| Timestamp::from_seconds(0)),
            exposed: Arc::new(|_| true),
            stopped: Mutex::default(),
        });
        let draw = || renderer.render(&renderer.store.snapshot(), Timestamp::from_seconds(0));
        draw();
        let drawn = exposition.stats();
        assert!(drawn.series > 0);
        renderer.clone().stop().await;
        exposition.set_tenants(vec![]);
        exposition.set_tenants(vec!["contoso".to_owned()]);
        draw();
        assert_eq!(exposition.stats().series, 0);
    }
}
