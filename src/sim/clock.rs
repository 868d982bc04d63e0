//! The two clocks of the simulation: simulated time, which moves the world and can be sped up, stopped and
//! pushed forward, and real time, which ages tokens and stamps HTTP headers.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

/// Simulated seconds per real second that `speed` is cut to: a day per second, fast enough for any
/// demonstration.
const FASTEST: f64 = 86_400.0;

#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    started_wall: SystemTime,
    pace: Mutex<Pace>,
}

/// Simulated time as a straight line: where it was at `anchor`, and how fast it has run since.
#[derive(Clone, Copy, Debug)]
struct Pace {
    anchor: Instant,
    at_anchor: Timestamp,
    speed: f64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "HTTP dates must agree with the clock of the client; the world never reads this one"
    )]
    pub(super) fn new(start: Timestamp, speed: f64) -> Self {
        let started = Instant::now();
        let pace = Pace { anchor: started, at_anchor: start, speed: bounded(speed) };
        Self { started, started_wall: SystemTime::now(), pace: Mutex::new(pace) }
    }

    /// Simulated now.
    pub(super) fn now(&self) -> Timestamp {
        self.pace().at(Instant::now())
    }

    pub(super) fn advance(&self, by: Duration) {
        self.change(|pace| pace.at_anchor = later(pace.at_anchor, by));
    }

    pub(super) fn set_speed(&self, speed: f64) {
        self.change(|pace| pace.speed = bounded(speed));
    }

    pub(super) fn speed(&self) -> f64 {
        self.pace().speed
    }

    /// Real time since start-up.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The real date, by the clock of this computer.
    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::try_from(self.started_wall + self.elapsed()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a new line at the present point, so that a change never makes simulated time jump back.
    fn change(&self, how: impl FnOnce(&mut Pace)) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = Instant::now();
        pace.at_anchor = pace.at(anchor);
        pace.anchor = anchor;
        how(&mut pace);
    }
}

impl Pace {
    fn at(&self, instant: Instant) -> Timestamp {
        let real = instant.saturating_duration_since(self.anchor);
        let simulated =
            Duration::try_from_secs_f64(real.as_secs_f64() * self.speed).unwrap_or(Duration::ZERO);
        later(self.at_anchor, simulated)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Anything that is not a usable speed stands still.
fn bounded(speed: f64) -> f64 {
    if speed.is_finite() { speed.clamp(0.0, FASTEST) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_still_clock_moves_only_when_pushed() {
        let start = Timestamp::from_second(1_000).unwrap();
        let clock = Clock::new(start, 0.0);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now(), Timestamp::from_second(1_090).unwrap());
    }

    #[test]
    fn a_change_of_speed_never_turns_time_back() {
        let clock = Clock::new(Timestamp::from_second(1_000).unwrap(), 86_400.0);
        std::thread::sleep(Duration::from_millis(5));
        let before = clock.now();
        clock.set_speed(0.0);
        assert!(clock.now() >= before);
        assert!(before > Timestamp::from_second(1_000).unwrap());
    }
}
