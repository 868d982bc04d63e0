//! The end of a view: when something in it changes although no source brings anything.

use std::sync::Arc;

use super::*;
use crate::model::collector::{Collector, Status};
use crate::model::identity::Trust;
use crate::model::listing::tests::room_device;
use crate::model::presence::{Availability, Presence};
use crate::store::Store;

const ROOM: &str = "oslo@contoso.example";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A room whose device is up and whose presence went offline a minute after the start. Records never expire.
fn snapshot() -> Snapshot {
    let store = Store::new(Snapshot::default());
    store.take_devices(&[room_device("oslo")], Trust::UnlessPerson, at(0));
    let show = |availability, seconds| {
        let presence = Presence { availability, in_call: None };
        store.take_presences(vec![(ROOM.into(), presence)], at(seconds));
    };
    show(Availability::Available, 0);
    show(Availability::Offline, 60);
    show(Availability::Offline, 120);
    store.snapshot()
}

fn until(snapshot: &Snapshot, now: i64) -> Option<i64> {
    View::<Labels>::new("contoso", snapshot, at(now)).until().map(Timestamp::seconds)
}

#[test]
fn a_view_ends_with_a_verdict() {
    let lag_ends = 60 + 30 * 60 + 1;
    assert_eq!(until(&snapshot(), 120), Some(lag_ends));
    assert!(until(&snapshot(), lag_ends) > Some(lag_ends), "once");
}

#[test]
fn a_view_ends_with_the_last_success_of_a_source() {
    let mut snapshot = snapshot();
    let status = |last_success| Status {
        last_success: Some(at(last_success)),
        ..Status::starting(Duration::from_mins(1), Duration::from_mins(10))
    };
    let of_sources = [(Collector::Places, status(70)), (Collector::Accounts, status(0))];
    snapshot.status = Arc::new(of_sources.into());
    assert_eq!(until(&snapshot, 120), Some(601), "the first of them");
    assert_eq!(until(&snapshot, 601), Some(671));
}
