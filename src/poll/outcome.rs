//! What an attempt means for the status of its collector, and what is said of it.

use std::time::Duration;

use tracing::Span;

use crate::collectors::Outcome;
use crate::config::Enabled;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::listing::Settled;
use crate::model::memory::Event;
use crate::model::{State, Timestamp};
use crate::poll::{Poller, cycle};

/// What an attempt brought.
#[derive(Default)]
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    pub(super) items: usize,
    pub(super) settled: Settled,
    pub(super) took: Duration,
}

impl Poller {
    /// Notes how an attempt ended; gives the state that is shown for it.
    pub(super) fn finish(
        &self,
        collector: Collector,
        state: CollectorState,
        finished: &Finished,
    ) -> CollectorState {
        let now = self.clock.now();
        let enabled = self.settings.sources.of(collector).enabled;
        let mut before = state;
        let mut shown = state;
        self.store.update_status(collector, |status| {
            before = status.state;
            shown = status.settle_state(state, now);
            // A source that never worked and may be left out is off, not broken.
            let never = status.last_success.is_none() && finished.items == 0;
            let is_normal = shown == CollectorState::Forbidden
                || finished.outcome.idle.is_some()
                || (shown == CollectorState::Retired && collector.is_often_absent());
            if is_normal && enabled == Enabled::Auto && never {
                shown = CollectorState::Disabled;
            }
            self.write_status(status, collector, shown, finished, now);
            if *self.paused.borrow() && shown != CollectorState::Disabled {
                status.state = CollectorState::Paused; // an attempt that the pause overtook
            }
        });
        Span::current().record("state", shown.label()).record("items", finished.items);
        self.report(collector, before, shown, finished);
        shown
    }

    fn write_status(
        &self,
        status: &mut Status,
        collector: Collector,
        state: CollectorState,
        finished: &Finished,
        now: Timestamp,
    ) {
        let pace = &self.settings.sources.of(collector).pace;
        status.state = state;
        status.last_attempt = Some(now);
        status.duration = Some(finished.took);
        status.refused = finished.outcome.is_refused();
        status.reason = finished.outcome.reason().map(Into::into);
        if state.is_success() {
            // A cycle that failed says nothing about how long one takes.
            let cycle = cycle(collector, finished.took);
            status.interval = pace.interval(cycle);
            status.expiry = pace.stretch(pace.expiry, cycle);
        }
        status.consecutive_failures = if state.is_success() { 0 } else { status.consecutive_failures + 1 };
        status.last_success = if state.is_success() { Some(now) } else { status.last_success };
        status.items = finished.items;
        if state.is_success() {
            status.expected_items = finished.outcome.expected;
            status.missing_items = finished.outcome.missing;
        }
        status.held_items = finished.settled.held;
        status.skipped_items = finished.outcome.skipped.len();
    }

    /// One line for each change of state, not for each attempt; the metrics tell the rest.
    fn report(
        &self,
        collector: Collector,
        before: CollectorState,
        state: CollectorState,
        finished: &Finished,
    ) {
        let (tenant, name) = (&*self.tenant, collector.label());
        self.unknown_values.report(&finished.outcome.unknown_values);
        for reason in finished.outcome.skipped.reasons() {
            tracing::debug!(tenant, collector = name, reason, "record skipped");
        }
        let (part, error) = match finished.outcome.failures.first() {
            Some((part, error)) => (Some(part), Some(error.to_string())),
            None => (None, finished.outcome.reason()),
        };
        if before == state {
            tracing::debug!(tenant, collector = name, state = state.label(), took = ?finished.took, items = finished.items, error, "collected");
            return;
        }
        let permission = collector.facts().permission();
        match state {
            CollectorState::Ok => {
                tracing::info!(tenant, collector = name, items = finished.items, took = ?finished.took, "collected");
            }
            CollectorState::Disabled if finished.outcome.state() == CollectorState::Retired => {
                tracing::info!(
                    tenant,
                    collector = name,
                    error,
                    "off: this tenant does not have it; it is looked for again"
                );
            }
            CollectorState::Disabled if finished.outcome.idle.is_some() => {
                tracing::info!(
                    tenant,
                    collector = name,
                    reason = finished.outcome.idle,
                    "off: nothing to ask for"
                );
            }
            CollectorState::Disabled => tracing::info!(
                tenant,
                collector = name,
                permission,
                error,
                "off: the permission is missing; consent may take two hours to arrive, after that it is looked for each hour"
            ),
            CollectorState::Forbidden => tracing::warn!(
                tenant,
                collector = name,
                permission,
                error,
                "refused; after consent this is normal for up to two hours"
            ),
            CollectorState::Empty => tracing::warn!(
                tenant,
                collector = name,
                "nothing came back; the last good picture is kept until it expires"
            ),
            CollectorState::Frozen => {
                tracing::warn!(
                    tenant,
                    collector = name,
                    "Graph answers, but no room device has changed for long"
                );
            }
            CollectorState::Retired => tracing::warn!(
                tenant,
                collector = name,
                error,
                "Graph no longer offers this source; it is looked for again each hour"
            ),
            _ => {
                tracing::warn!(tenant, collector = name, state = state.label(), part, error, "not collected");
            }
        }
    }

    pub(super) fn log_events(&self, events: &[Event]) {
        for event in events {
            let (tenant, room) = (&*self.tenant, event.room.as_deref().unwrap_or_default());
            let (device, signal, subject) = (&*event.device_id, event.signal.label(), &*event.subject);
            tracing::info!(
                name: "teams_rooms.state_changed",
                tenant,
                room,
                device,
                signal,
                subject,
                from = event.from,
                to = event.to,
                "state changed"
            );
        }
    }
}
