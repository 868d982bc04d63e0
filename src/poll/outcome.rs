//! What an attempt means for the status of its collector, and what is said of it.

use std::time::Duration;

use tracing::Span;

use crate::collectors::Outcome;
use crate::config::Enabled;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::listing::Settled;
use crate::model::memory::Event;
use crate::model::{State, Timestamp};
use crate::poll::{Pace, Poller, Source, cycle};

/// What an attempt brought.
#[derive(Default)]
pub(super) struct Finished {
    pub(super) outcome: Outcome,
    pub(super) items: usize,
    pub(super) settled: Settled,
    pub(super) took: Duration,
}

impl Finished {
    /// Notes in the status of a collector how an attempt ended at `now`; gives the state that is shown for it.
    fn note(
        &self,
        status: &mut Status,
        collector: Collector,
        source: &Source,
        state: CollectorState,
        now: Timestamp,
    ) -> CollectorState {
        let mut shown = status.settle_state(state, now);
        // A source that never worked and may be left out is off, not broken.
        let never = status.last_success.is_none() && self.items == 0;
        let is_normal = shown == CollectorState::Forbidden
            || self.outcome.idle.is_some()
            || (shown == CollectorState::Retired && collector.is_often_absent());
        if is_normal && source.enabled == Enabled::Auto && never {
            shown = CollectorState::Disabled;
        }
        status.state = shown;
        status.last_attempt = Some(now);
        status.duration = Some(self.took);
        status.refused = self.outcome.is_refused();
        status.reason = self.outcome.reason().map(Into::into);
        status.items = self.items;
        status.held_items = self.settled.held;
        status.skipped_items = self.outcome.skipped.len();
        if shown.is_success() {
            self.note_success(status, collector, &source.pace, now);
        } else {
            status.consecutive_failures += 1;
        }
        shown
    }

    /// A cycle that failed says nothing about how long one takes, or how much there is.
    fn note_success(&self, status: &mut Status, collector: Collector, pace: &Pace, now: Timestamp) {
        let cycle = cycle(collector, self.took);
        status.interval = pace.interval(cycle);
        status.expiry = pace.stretch(pace.expiry, cycle);
        status.consecutive_failures = 0;
        status.last_success = Some(now);
        status.expected_items = self.outcome.expected;
        status.missing_items = self.outcome.missing;
    }
}

impl Poller {
    /// Notes how an attempt ended; gives the state that is shown for it.
    pub(super) fn finish(
        &self,
        collector: Collector,
        state: CollectorState,
        finished: &Finished,
    ) -> CollectorState {
        let (now, source) = (self.clock.now(), self.settings.sources.of(collector));
        let mut before = state;
        let mut shown = state;
        self.store.update_status(collector, |status| {
            before = status.state;
            shown = finished.note(status, collector, source, state, now);
            if *self.paused.borrow() && shown != CollectorState::Disabled {
                status.state = CollectorState::Paused; // an attempt that the pause overtook
            }
        });
        Span::current().record("state", shown.label()).record("items", finished.items);
        self.report(collector, before, shown, finished);
        shown
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Error;
    use crate::poll::PROBE;

    const MINUTE: u64 = 60;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(minutes * 60)
    }

    fn source(enabled: Enabled) -> Source {
        let pace = Pace { interval: Duration::from_mins(2), expiry: Duration::from_mins(30), probe: PROBE };
        Source { enabled, pace }
    }

    fn status() -> Status {
        Status::starting(Duration::from_mins(2), Duration::from_mins(30))
    }

    fn refused() -> Outcome {
        let error = Error::Forbidden { code: None };
        Outcome { failures: vec![("list".to_owned(), error)], ..Outcome::default() }
    }

    /// The state that an attempt shows if it ends in this one.
    #[track_caller]
    fn check_shown(
        (collector, enabled, outcome): (Collector, Enabled, Outcome),
        (state, items, has_worked): (CollectorState, usize, bool),
        expected: CollectorState,
    ) {
        let mut status = Status { last_success: has_worked.then(|| at(0)), ..status() };
        let finished = Finished { outcome, items, ..Finished::default() };
        let shown = finished.note(&mut status, collector, &source(enabled), state, at(60));
        assert_eq!((shown, status.state), (expected, expected), "{collector:?} {enabled:?} {state:?}");
    }

    use Collector::{Devices, Intune};
    use CollectorState::{Disabled, Forbidden, Retired, Unreachable};
    use Enabled::{Auto, Yes};

    #[test]
    fn a_source_that_may_be_left_out_and_never_worked_is_off_and_not_broken() {
        check_shown((Devices, Auto, refused()), (Forbidden, 0, false), Disabled);
        check_shown((Devices, Yes, refused()), (Forbidden, 0, false), Forbidden);
        check_shown((Devices, Auto, refused()), (Forbidden, 0, true), Forbidden);
        check_shown((Devices, Auto, refused()), (Forbidden, 9, false), Forbidden);
        check_shown((Devices, Auto, Outcome::default()), (Unreachable, 0, false), Unreachable);
        check_shown((Devices, Auto, Outcome::default()), (Retired, 0, false), Retired);
        check_shown((Intune, Auto, Outcome::default()), (Retired, 0, false), Disabled);
        check_shown((Intune, Auto, Outcome::default()), (Unreachable, 0, false), Unreachable);
        let idle = || Outcome { idle: Some("no room has an object id"), ..Outcome::default() };
        check_shown((Devices, Auto, idle()), (CollectorState::Ok, 0, false), Disabled);
        check_shown((Devices, Yes, idle()), (CollectorState::Ok, 0, false), CollectorState::Ok);
    }

    #[test]
    fn an_attempt_is_in_the_status_and_a_failure_leaves_what_the_last_success_said() {
        let mut status = status();
        let mut skipped = Outcome { parts_read: 3, expected: Some(8), missing: 2, ..Outcome::default() };
        skipped.skipped.push("no id".to_owned());
        let settled = Settled { removed: Vec::new(), held: 4 };
        let good = Finished { outcome: skipped, items: 5, settled, took: Duration::from_secs(3 * MINUTE) };
        let shown = good.note(&mut status, Devices, &source(Yes), CollectorState::Partial, at(1));
        assert_eq!(shown, CollectorState::Partial);
        let after_success = Status {
            state: CollectorState::Partial,
            last_success: Some(at(1)),
            last_attempt: Some(at(1)),
            reason: Some("2 records are missing".into()),
            interval: Duration::from_mins(6), // twice as long as the list takes
            expiry: Duration::from_mins(30),
            duration: Some(Duration::from_mins(3)),
            items: 5,
            expected_items: Some(8),
            missing_items: 2,
            held_items: 4,
            skipped_items: 1,
            ..self::status()
        };
        assert_eq!(status, after_success);

        let bad =
            Finished { outcome: refused(), items: 5, took: Duration::from_hours(1), ..Finished::default() };
        for failures in 1..=2 {
            bad.note(&mut status, Devices, &source(Yes), Forbidden, at(9));
            let expected = Status {
                state: Forbidden,
                last_attempt: Some(at(9)),
                refused: true,
                reason: refused().reason().map(Into::into),
                duration: Some(Duration::from_hours(1)),
                consecutive_failures: failures,
                held_items: 0,
                skipped_items: 0,
                ..after_success.clone()
            };
            assert_eq!(status, expected);
        }
        good.note(&mut status, Devices, &source(Yes), CollectorState::Ok, at(1));
        assert_eq!(status, Status { state: CollectorState::Ok, ..after_success });
    }

    #[test]
    fn the_expiry_follows_a_cycle_that_is_longer_than_the_interval() {
        let mut status = status();
        let long = Finished { took: Duration::from_mins(20), items: 1, ..Finished::default() };
        long.note(&mut status, Intune, &source(Yes), CollectorState::Ok, at(1));
        assert_eq!((status.interval, status.expiry), (Duration::from_mins(20), Duration::from_hours(1)));
    }
}
