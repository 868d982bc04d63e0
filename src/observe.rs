//! Looks at the rooms again and again: how long each is booked, used and usable, and since when it is what it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::model::Timestamp;
use crate::model::fleet::Fleet;
use crate::model::sight::Sight;
use crate::store::Store;

/// Observes the rooms of one tenant.
pub struct Observer {
    pub store: Arc<Store>,
    pub clock: Clock,
}

/// Sources are read once a minute at most; what they bring is seen so much later at most, when it begins and when it ends.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// Bookings begin and end at whole minutes, but records may expire one after another.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Looking takes at most one part of the time in so many.
const PAUSE_PER_LOOK: u32 = 20;

impl Observer {
    /// Looks at each interval and whenever a booking begins or ends, until it is dropped.
    pub async fn run(self: Arc<Self>, interval: Duration) {
        loop {
            let (this, began) = (self.clone(), Instant::now());
            let looking = tokio::task::spawn_blocking(move || this.look());
            let Ok(until) = looking.await else { return }; // the runtime ends
            let rest = began.elapsed() * PAUSE_PER_LOOK;
            let change = until.map(|until| until.since(self.clock.now()).max(SHORTEST_PAUSE));
            tokio::time::sleep(change.unwrap_or(interval).min(interval).max(rest)).await;
        }
    }

    /// Looks once; says when the picture changes by itself. While nobody reads the exporter, nothing is observed.
    fn look(&self) -> Option<Timestamp> {
        let (snapshot, now) = (self.store.snapshot(), self.clock.now());
        if snapshot.is_paused() {
            return None;
        }
        let fleet = Fleet::at(&snapshot, now);
        let sights = fleet.own_rooms().map(|room| (room.room.id.clone(), Sight::of(&fleet, room)));
        self.store.observe_rooms(&sights.collect(), now);
        fleet.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Snapshot;
    use crate::model::collector::{Collector, CollectorState, Status};
    use crate::model::identity::Trust;
    use crate::model::listing::tests::room_device;

    #[test]
    fn nothing_is_observed_while_nobody_reads() {
        let at = Timestamp::from_seconds;
        let status = Status::starting(Duration::from_mins(1), Duration::from_hours(1));
        let status = Arc::new([(Collector::Devices, status)].into());
        let store = Arc::new(Store::new(Snapshot { status, ..Snapshot::default() }));
        store.take_devices(&[room_device("core")], Trust::UnlessPerson, at(0));
        let look = |seconds| Observer { store: store.clone(), clock: Clock::new(move || at(seconds)) }.look();
        let observed = || {
            let snapshot = store.snapshot();
            let totals = snapshot.usage.of("core@contoso.example");
            totals.map(|totals| totals.states().map(|(_, seconds)| seconds.service).sum::<u64>())
        };
        let show = |state| store.update_status(Collector::Devices, |status| status.state = state);
        show(CollectorState::Paused);
        assert_eq!((look(0), observed()), (None, None));
        show(CollectorState::Ok);
        assert!(look(10).is_some() && look(25).is_some());
        assert_eq!(observed(), Some(15));
        show(CollectorState::Paused);
        assert_eq!(look(40), None);
        assert_eq!(observed(), Some(15));
    }
}
