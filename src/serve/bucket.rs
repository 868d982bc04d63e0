//! How many may come: a burst at once, then so many a second. Who comes too early is turned away, not made to wait.

use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    limit: Limit,
    left: f64,
    filled: Instant,
}

impl Bucket {
    pub fn full(limit: Limit, now: Instant) -> Self {
        Self { limit, left: limit.burst, filled: now }
    }

    /// Whether one more may come now.
    pub fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + since * self.limit.per_second).min(self.limit.burst);
        self.filled = self.filled.max(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn after_the_burst_so_many_a_second() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut bucket = Bucket::full(Limit { burst: 3.0, per_second: 2.0 }, start);
        let taken = |bucket: &mut Bucket, now| (0..10).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, at(0)), 3);
        assert_eq!(taken(&mut bucket, at(499)), 0);
        assert_eq!(taken(&mut bucket, at(500)), 1);
        assert_eq!(taken(&mut bucket, at(3_600_000)), 3, "an idle hour saves up no more than a burst");
        assert_eq!(taken(&mut bucket, at(0)), 0, "time never runs backwards");
    }
}
