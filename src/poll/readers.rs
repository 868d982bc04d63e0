//! Who reads the exporter: a scrape or a page keeps its tenants' collectors running.

use std::time::Duration;

use tokio::sync::watch;

use crate::model::Timestamp;

/// When the exporter was last read. Starting counts as a read.
pub struct Readers {
    last: watch::Sender<Timestamp>,
}

impl Readers {
    pub fn new(now: Timestamp) -> Self {
        Self { last: watch::Sender::new(now) }
    }

    pub fn read(&self, now: Timestamp) {
        self.last.send_replace(now);
    }

    pub(super) fn idle_since(&self, now: Timestamp, idle_after: Duration) -> bool {
        now.since(*self.last.borrow()) >= idle_after
    }

    pub(super) async fn next_read(&self) {
        let mut last = self.last.subscribe();
        drop(last.changed().await); // the sender lives in self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_ends_the_idle_time_and_wakes() {
        let at = Timestamp::from_seconds;
        let (readers, hour) = (Readers::new(at(0)), Duration::from_hours(1));
        assert!(!readers.idle_since(at(3599), hour));
        assert!(readers.idle_since(at(3600), hour));
        tokio::join!(readers.next_read(), async { readers.read(at(3601)) });
        assert!(!readers.idle_since(at(3602), hour));
    }
}
