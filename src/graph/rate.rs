//! The pace of all requests to one tenant: it climbs while Graph is content and halves when Graph throttles.

use std::time::Duration;

use tokio::time::Instant;

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
    refused: Option<Instant>,
}

impl Rate {
    /// Climbs to `top` items a second.
    pub(super) fn new(top: f64, now: Instant) -> Self {
        Self { top, base: top * FIRST, since: now, next: now, refused: None }
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

    /// Graph refused for `wait`: nothing goes before, and then at half the pace.
    pub(super) fn throttled(&mut self, wait: Duration, now: Instant) {
        self.next = self.next.max(now + wait);
        if self.refused.is_none_or(|at| now.saturating_duration_since(at) >= ONE_REFUSAL) {
            self.base = (self.current(now) / 2.0).max(MIN);
            self.refused = Some(now);
        }
        self.since = self.since.max(now + wait); // the climb starts when the wait is over
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
    fn a_refusal_halves_the_rate_once_and_waits() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        let now = start + Duration::from_mins(1);
        rate.throttled(Duration::from_secs(5), now);
        rate.throttled(Duration::from_secs(2), now + Duration::from_millis(10));
        assert!((12.0..13.0).contains(&rate.current(now)), "{}", rate.current(now));
        assert!(seconds(now, go(&mut rate, 1, now)) >= 5.0);
        rate.throttled(Duration::from_secs(1), now + Duration::from_secs(7));
        assert!(rate.current(now + Duration::from_secs(7)) < 10.0);
    }

    #[test]
    fn a_wait_beyond_the_deadline_takes_no_place() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        rate.throttled(Duration::from_mins(30), start);
        assert_eq!(rate.reserve(1, start, start + Duration::from_mins(5)), None);
        assert_eq!(
            rate.reserve(1, start, start + Duration::from_mins(31)),
            Some(start + Duration::from_mins(30))
        );
    }

    #[test]
    fn a_second_refusal_does_not_shorten_the_wait() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        rate.throttled(Duration::from_mins(1), start);
        rate.throttled(Duration::ZERO, start + Duration::from_millis(10));
        assert!((rate.current(start + Duration::from_mins(1)) - 5.0).abs() < 0.1);
    }

    #[test]
    fn the_rate_has_a_floor_and_a_ceiling() {
        let start = Instant::now();
        let mut rate = Rate::new(25.0, start);
        for second in 0..100 {
            rate.throttled(Duration::ZERO, start + Duration::from_secs(second * 2));
        }
        assert!(rate.current(start + Duration::from_secs(198)) >= MIN);
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
