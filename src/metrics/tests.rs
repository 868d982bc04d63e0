//! The end of a view: when something in it changes although no source brings anything; and where counters start.

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

/// The ends of records and the starts of counters, in hours.
mod records {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use opentelemetry_proto::tonic::metrics::v1::metric;

    use super::super::*;
    use crate::model::collector::{CollectorState, Status};
    use crate::model::credential::Credential;
    use crate::model::device::{Account, Device, DeviceType};
    use crate::model::identity::Trust;
    use crate::model::license::{License, Renewal};
    use crate::model::listing::tests::device;
    use crate::model::memory::{Moment, Readings, Sighting};
    use crate::model::record::Record;
    use crate::model::service_health::{ServiceHealth, ServiceState};
    use crate::model::sight::Sight;

    const HOUR: i64 = 3600;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_seconds(hours * HOUR)
    }

    /// Sources with their last success at 20 hours, each record older than that.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        for collector in [Collector::Accounts, Collector::ServiceHealth, Collector::Credentials] {
            let expiry = Duration::from_hours(24);
            let mut status = Status::starting(Duration::from_hours(1), expiry);
            (status.state, status.last_success) = (CollectorState::Paused, Some(at(20)));
            Arc::make_mut(&mut snapshot.status).insert(collector, status);
        }
        snapshot
    }

    #[track_caller]
    fn check(snapshot: &Snapshot, now: i64, expected: Option<i64>) {
        let until = View::<Labels>::new("contoso", snapshot, at(now)).until();
        assert_eq!(until, expected.map(|hours| Timestamp::from_seconds(hours * HOUR + 1)), "at {now} h");
    }

    /// The start of each data point of a family at 22 hours, of a process that began at 20 hours.
    fn starts(snapshot: &Snapshot, family: &str) -> Vec<u64> {
        let times = points::Times { start: points::nanoseconds(at(20)), now: points::nanoseconds(at(22)) };
        let (sender, batches) = std::sync::mpsc::channel();
        let mut points = Points::new(times, move |batch| sender.send(batch).expect("the receiver is there"));
        let family = Family::find(family).expect("in the catalogue");
        View::<Attributes>::new("contoso", snapshot, at(22)).observe(family, &mut points);
        points.finish();
        let data = batches.iter().flat_map(|batch| batch.metrics).filter_map(|metric| metric.data);
        let points = data.flat_map(|data| match data {
            metric::Data::Sum(sum) => sum.data_points,
            _ => Vec::new(),
        });
        points.map(|point| point.start_time_unix_nano / 1_000_000_000 / 3600).collect()
    }

    #[test]
    fn counters_of_rooms_and_devices_start_when_they_were_0() {
        let account = Account { id: None, name: None, email: Some("oslo@contoso.example".into()) };
        let device = device("core", DeviceType::TeamsRoom);
        let device = Arc::new(Device { account: Some(account), ..(*device).clone() });
        let mut snapshot = snapshot();
        let moment = Moment { now: at(21), expiry: Duration::from_hours(9) };
        let sighting = Sighting { value: device.clone(), last_read: None };
        let readings = Readings { held: &BTreeMap::new(), expiry: moment.expiry };
        Arc::make_mut(&mut snapshot.memory).observe_devices(&[sighting], readings, Trust::Always, moment);
        Arc::make_mut(&mut snapshot.devices).take(&[device], at(22));
        let fleet = Fleet::at(&snapshot, at(22));
        let sights = fleet.own_rooms().map(|room| (room.room.id.clone(), Sight::of(&fleet, room))).collect();
        Arc::make_mut(&mut snapshot.usage).observe(&sights, &[], at(21));
        assert_eq!(starts(&snapshot, "teams_rooms_state_changes_total"), [21]);
        assert_eq!(starts(&snapshot, "teams_rooms_room_state_seconds_total"), [21; 8]);
        assert_eq!(starts(&snapshot, "teams_rooms_room_in_use_seconds_total"), [21; 2]);
    }

    /// Nothing comes in a pause: a view that did not name the end of a record would be served beyond it.
    #[test]
    fn a_view_ends_with_each_record_of_the_tenant() {
        check(&snapshot(), 21, Some(44));
        let mut licensed = snapshot();
        let renewal = Some(Renewal { at: at(999), read_at: at(3) });
        let license = Record::new(License { renewal, ..License::default() }, at(5));
        licensed.licenses = Arc::new([("pro".into(), license)].into());
        check(&licensed, 21, Some(27));
        check(&licensed, 27, Some(27));
        check(&licensed, 28, Some(29));
        check(&licensed, 30, Some(44));
        let mut healthy = snapshot();
        let health = ServiceHealth { state: ServiceState::Operational, incidents: 0, advisories: 0 };
        healthy.service_health = Arc::new([("teams".into(), Record::new(health, at(7)))].into());
        check(&healthy, 21, Some(31));
        let mut signed_in = snapshot();
        let credential = Record::new(Credential { expires: at(999) }, at(9));
        signed_in.credentials = Arc::new([("client_secret".into(), credential)].into());
        check(&signed_in, 21, Some(33));
    }
}
