//! The pace of all requests to one tenant, and which workloads wait.
//!
//! The pace climbs while Graph is content and halves when Graph throttles; it never stops. A wait that Graph asks for
//! holds up the one workload that asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::graph::operation::Workload;

/// Share of the top that a new connection begins with: nobody knows who else uses the quota.
const FIRST: f64 = 0.4;
/// Share of the top gained for each second without a 429: 1 a second on the way to 25.
const CLIMB: f64 = 0.04;
/// Never slower than this, or a throttled fleet would take hours to list.
const MIN: f64 = 0.5;
/// Several requests in flight are refused together; they count as one refusal.
const ONE_REFUSAL: Duration = Duration::from_secs(1);

/// Decides when the next items may be sent. Items inside a batch count one by one.
#[derive(Debug)]
pub(super) struct Rate {
    top: f64,
    /// The rate at `since`.
    base: f64,
    since: Instant,
    /// When the next item may go.
    next: Instant,
    /// Time at which the rate was halved last.
    halved: Option<Instant>,
    /// The workloads that were refused and have answered nothing since, with the end of their wait.
    refused: BTreeMap<Workload, Instant>,
}

impl Rate {
    /// Climbs to `top` items a second.
    pub(super) fn new(top: f64, now: Instant) -> Self {
        Self { top, base: top * FIRST, since: now, next: now, halved: None, refused: BTreeMap::new() }
    }

    /// Items per second allowed at `now`.
    pub(super) fn current(&self, now: Instant) -> f64 {
        let climbed = self.top * CLIMB * now.saturating_duration_since(self.since).as_secs_f64();
        (self.base + climbed).min(self.top)
    }

    /// Takes the place of `items` in the queue and says when they may go; `None`, and no place, if that is not before
    /// the deadline.
    pub(super) fn reserve(&mut self, items: usize, now: Instant, deadline: Instant) -> Option<Instant> {
        let start = self.next.max(now);
        if start > now && start >= deadline {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 20 items")]
        let span = Duration::from_secs_f64(items as f64 / self.current(start));
        self.next = start + span;
        Some(start)
    }

    /// The end of the wait of a workload; `None` if it does not wait.
    pub(super) fn waits_until(&self, workload: Workload, now: Instant) -> Option<Instant> {
        self.refused.get(&workload).copied().filter(|until| *until > now)
    }

    /// Graph refused a request of this workload, which waits; the pace of all is halved. A workload that is refused
    /// again and again halves it once: the others have given way already.
    pub(super) fn throttled(&mut self, workload: Workload, wait: Duration, now: Instant) {
        let known = self.refused.get(&workload).copied();
        self.refused.insert(workload, (now + wait).max(known.unwrap_or(now)));
        let together = self.halved.is_some_and(|at| now.saturating_duration_since(at) < ONE_REFUSAL);
        if known.is_none() && !together {
            self.base = (self.current(now) / 2.0).max(MIN);
            self.since = now;
            self.halved = Some(now);
        }
    }

    /// Graph answered a request of this workload. One that was sent before a refusal does not end its wait.
    pub(super) fn accepted(&mut self, workload: Workload, now: Instant) {
        if self.refused.get(&workload).is_some_and(|until| *until <= now) {
            self.refused.remove(&workload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(rate: &mut Rate, items: usize, now: Instant) -> Instant {
        rate.reserve(items, now, now + Duration::from_hours(1)).expect("long before the deadline")
    }

    fn seconds(from: Instant, to: Instant) -> f64 {
        to.duration_since(from).as_secs_f64()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thousand_items_take_the_ramp_and_then_the_full_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        let mut now = start;
        for _ in 0..1025 {
            now = go(&mut rate, 1, now);
        }
        let took = seconds(start, now);
        assert!((44.0..47.0).contains(&took), "{took}");
    }

    #[test]
    fn a_refusal_halves_the_pace_and_stops_nobody_else() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        let now = start + 60 * SECOND;
        rate.throttled(Workload::Presence, 3600 * SECOND, now);
        assert!((12.0..13.0).contains(&rate.current(now)), "{}", rate.current(now));
        assert!((rate.current(now + 13 * SECOND) - 25.0).abs() < f64::EPSILON, "it climbs at once");
        assert_eq!(go(&mut rate, 1, now), now, "the pace has no gap");
        assert_eq!(rate.waits_until(Workload::Presence, now), Some(now + 3600 * SECOND));
        assert_eq!(rate.waits_until(Workload::Outlook, now), None);
        assert_eq!(rate.waits_until(Workload::Presence, now + 3600 * SECOND), None);
    }

    #[test]
    fn the_longest_wait_of_a_workload_counts() {
        let now = Instant::now();
        let mut rate = Rate::new(25.0, now);
        for wait in [5, 60, 0, 2] {
            rate.throttled(Workload::Outlook, wait * SECOND, now);
        }
        rate.accepted(Workload::Outlook, now + SECOND); // sent before the refusal
        assert_eq!(rate.waits_until(Workload::Outlook, now + SECOND), Some(now + 60 * SECOND));
    }

    #[test]
    fn refusals_at_one_time_count_once_and_so_do_those_of_one_workload_in_a_row() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        let now = start + 60 * SECOND;
        let halves = |rate: &Rate, at: Instant| 25.0 / rate.current(at);
        rate.throttled(Workload::Presence, SECOND, now);
        rate.throttled(Workload::Teamwork, SECOND, now + SECOND / 2);
        assert!((1.9..2.1).contains(&halves(&rate, now + SECOND / 2)), "together");
        rate.throttled(Workload::Presence, SECOND, now + SECOND);
        assert!((1.8..2.1).contains(&halves(&rate, now + SECOND)), "the same workload again");
        rate.throttled(Workload::Outlook, SECOND, now + SECOND);
        assert!((3.5..4.1).contains(&halves(&rate, now + SECOND)), "another workload");
        rate.accepted(Workload::Presence, now + 3 * SECOND);
        let before = rate.current(now + 3 * SECOND);
        rate.throttled(Workload::Presence, SECOND, now + 3 * SECOND);
        assert!(rate.current(now + 3 * SECOND) < before * 0.6, "it had answered meanwhile");
    }

    #[test]
    fn what_would_go_after_the_deadline_takes_no_place() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        go(&mut rate, 20, start);
        let free = go(&mut rate, 20, start) + 2 * SECOND;
        assert_eq!(rate.reserve(1, start, start + SECOND), None);
        assert!(go(&mut rate, 1, start) <= free);
    }

    #[test]
    fn what_can_go_at_once_goes_though_the_deadline_is_now() {
        let now = Instant::now();
        assert_eq!(Rate::new(25.0, now).reserve(1, now, now), Some(now));
    }

    #[test]
    fn an_answer_at_the_end_of_a_wait_ends_the_refusal() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        rate.throttled(Workload::Presence, 2 * SECOND, start);
        rate.accepted(Workload::Presence, start + 2 * SECOND);
        let before = rate.current(start + 2 * SECOND);
        rate.throttled(Workload::Presence, SECOND, start + 2 * SECOND);
        assert!(rate.current(start + 2 * SECOND) < before * 0.6, "a refusal after an answer is a new one");
    }

    #[test]
    fn the_rate_has_a_floor_and_a_ceiling() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        for second in 0..100 {
            let now = start + Duration::from_secs(second * 2);
            rate.throttled(Workload::Presence, Duration::ZERO, now);
            rate.accepted(Workload::Presence, now);
        }
        let end = start + Duration::from_secs(198);
        assert!(rate.current(end) >= MIN && rate.current(end) < 3.0, "{}", rate.current(end));
        assert!((rate.current(start + Duration::from_secs(10_000)) - 25.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_batch_takes_as_long_as_its_items() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        assert_eq!(go(&mut rate, 20, start), start);
        assert!((seconds(start, go(&mut rate, 1, start)) - 2.0).abs() < 0.01);
    }
}
