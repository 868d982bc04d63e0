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

    /// Tells of every read from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Timestamp> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_the_idle_time_and_wakes() {
        let at = Timestamp::from_seconds;
        let (readers, hour) = (Readers::new(at(0)), Duration::from_hours(1));
        assert!(!readers.idle_since(at(3599), hour));
        assert!(readers.idle_since(at(3600), hour));
        let reads = readers.subscribe();
        readers.read(at(3601));
        assert!(reads.has_changed().expect("the sender is there"));
        assert!(!readers.idle_since(at(3602), hour));
    }
}
