//! How often a source is asked: pure functions of how the last attempt went.

use std::time::Duration;

use crate::model::collector::CollectorState;

/// The times of one collector, as configured.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub interval: Duration,
    pub expiry: Duration,
    /// How often a source is looked for that is off or gone.
    pub probe: Duration,
}

/// Looking once an hour for what was withdrawn or never granted costs nothing and needs no restart.
pub const PROBE: Duration = Duration::from_hours(1);
/// After a failure a source is not left alone for its whole interval, which may be hours; the first wait is at most ...
const FIRST_RETRY: Duration = Duration::from_mins(5);
/// A refused sign-in is not tried more seldom than this: consent takes minutes to two hours to spread.
const LONGEST_REFUSED: Duration = Duration::from_mins(10);
/// Refusals, ten minutes apart, until the two hours have passed that consent may take; then it is not on its way.
const REFUSALS_AFTER_CONSENT: u64 = 15;

impl Pace {
    /// The interval, stretched to the cycle where a fleet is larger than the rate allows.
    pub fn interval(&self, cycle: Duration) -> Duration {
        self.interval.max(cycle)
    }

    /// A rotation or expiry, stretched to three cycles: one may fail, and one is under way.
    pub fn stretch(&self, span: Duration, cycle: Duration) -> Duration {
        if cycle > self.interval { span.max(cycle.saturating_mul(3)) } else { span }
    }

    /// From the start of the last attempt to the next.
    pub fn next(&self, state: CollectorState, consecutive_failures: u64, interval: Duration) -> Duration {
        match state {
            CollectorState::Retired => self.probe,
            CollectorState::Disabled if consecutive_failures > REFUSALS_AFTER_CONSENT => self.probe,
            CollectorState::Unauthorized | CollectorState::Forbidden | CollectorState::Disabled => {
                doubled(interval.min(FIRST_RETRY), consecutive_failures).min(LONGEST_REFUSED)
            }
            CollectorState::Ok | CollectorState::Partial => interval,
            _ => doubled(interval.min(FIRST_RETRY), consecutive_failures).min(interval),
        }
    }
}

/// The wait before a retry, twice as long after each failure.
fn doubled(first: Duration, failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    first.saturating_mul(1 << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { interval: Duration::from_mins(2), expiry: Duration::from_mins(30), probe: PROBE };

    #[track_caller]
    fn check_next(state: CollectorState, failures: u64, seconds: u64) {
        assert_eq!(
            PACE.next(state, failures, PACE.interval).as_secs(),
            seconds,
            "{state:?} after {failures}"
        );
    }

    #[test]
    fn refusals_slow_down_and_what_is_gone_is_looked_for_each_hour() {
        check_next(CollectorState::Ok, 0, 120);
        check_next(CollectorState::Partial, 0, 120);
        check_next(CollectorState::Throttled, 9, 120);
        check_next(CollectorState::Unreachable, 9, 120);
        check_next(CollectorState::Forbidden, 1, 120);
        check_next(CollectorState::Forbidden, 2, 240);
        check_next(CollectorState::Unauthorized, 99, 600);
        check_next(CollectorState::Retired, 1, 3600);
        check_next(CollectorState::Disabled, 1, 120);
        check_next(CollectorState::Disabled, 15, 600);
        check_next(CollectorState::Disabled, 16, 3600);
    }

    #[test]
    fn a_source_that_is_read_each_few_hours_is_not_left_alone_after_a_failure() {
        let places = Pace { interval: Duration::from_hours(6), ..PACE };
        let next = |state, failures| places.next(state, failures, places.interval).as_secs();
        assert_eq!(next(CollectorState::Ok, 0), 21_600);
        assert_eq!(next(CollectorState::Unreachable, 1), 300);
        assert_eq!(next(CollectorState::Unreachable, 3), 1200);
        assert_eq!(next(CollectorState::Unreachable, 99), 21_600);
        assert_eq!(next(CollectorState::Forbidden, 1), 300);
        assert_eq!(next(CollectorState::Disabled, 15), 600);
        assert_eq!(next(CollectorState::Disabled, 16), 3600);
        assert_eq!(next(CollectorState::Retired, 9), 3600);
    }

    #[test]
    fn a_cycle_longer_than_the_interval_stretches_everything() {
        let (short, long) = (Duration::from_secs(50), Duration::from_secs(700));
        assert_eq!(PACE.interval(short).as_secs(), 120);
        assert_eq!(PACE.interval(long).as_secs(), 700);
        assert_eq!(PACE.stretch(PACE.expiry, short).as_secs(), 1800);
        assert_eq!(PACE.stretch(PACE.expiry, long).as_secs(), 2100);
        assert_eq!(PACE.stretch(Duration::from_mins(150), long).as_secs(), 9000);
        assert_eq!(PACE.stretch(short, PACE.interval), short, "a cycle as long as the interval is on time");
    }
}
