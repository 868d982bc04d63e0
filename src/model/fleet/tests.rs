//! Tests of the joined picture of a tenant.

use std::slice::from_ref;

use super::*;
use crate::model::detail::Basis;
use crate::model::device::{Account, Health};
use crate::model::identity::Trust;
use crate::model::listing::tests::device;
use crate::model::memory::{Moment, Readings, Sighting};
use crate::model::presence::Availability;
use crate::model::record::Record;
use crate::model::room::RoomState;
use crate::model::sight::Sight;

const DAY: i64 = 86_400;

fn core(id: &str, health: Health) -> Arc<Device> {
    let account = Account { id: None, name: None, email: Some("oslo@contoso.example".into()) };
    Arc::new(Device { health, account: Some(account), ..(*device(id, DeviceType::TeamsRoom)).clone() })
}

fn observe(snapshot: &mut Snapshot, devices: &[Arc<Device>], seconds: i64) {
    let now = Timestamp::from_seconds(seconds);
    Arc::make_mut(&mut snapshot.devices).take(devices, now);
    let sighting = |device: &Arc<Device>| Sighting { value: device.clone(), last_read: Some(now) };
    let sightings: Vec<_> = devices.iter().map(sighting).collect();
    Arc::make_mut(&mut snapshot.memory).observe_devices(
        &sightings,
        Readings { held: &BTreeMap::new(), expiry: Duration::from_mins(90) },
        Trust::UnlessPerson,
        Moment { now, expiry: Duration::from_mins(30) },
    );
}

#[track_caller]
fn check_superseded(snapshot: &Snapshot, seconds: i64, expected: &[&str]) {
    let fleet = Fleet::at(snapshot, Timestamp::from_seconds(seconds));
    let superseded: Vec<&str> =
        fleet.devices.iter().filter(|d| d.superseded).map(|d| &*d.device.id).collect();
    assert_eq!(superseded, expected);
}

#[test]
fn a_core_device_down_for_a_week_beside_a_living_one_is_superseded() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("old", Health::Offline), core("new", Health::Healthy)], 0);
    check_superseded(&snapshot, 7 * DAY, &[]);
    check_superseded(&snapshot, 7 * DAY + 1, &["old"]);
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(DAY));
    assert_eq!(fleet.until, Some(Timestamp::from_seconds(7 * DAY + 1)), "the picture changes by itself");
    observe(&mut snapshot, &[core("new", Health::Offline)], 8 * DAY);
    check_superseded(&snapshot, 8 * DAY, &[]);
}

#[test]
fn both_devices_make_one_room() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("old", Health::Offline), core("new", Health::Healthy)], 0);
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    let [room] = &fleet.rooms[..] else { panic!("one room, not {}", fleet.rooms.len()) };
    assert_eq!((&*room.room.id, fleet.members(room).count()), ("oslo@contoso.example", 2));
}

/// Enrolments as Intune's id, serial number, room and last sync; says which is joined to the device `core` with serial
/// number `HA1` and which to its room, by their systems' versions: the same as the ids.
#[track_caller]
fn check_managed(enrolments: &[(&str, &str, &str, i64)], expected: [Option<&str>; 2]) {
    let mut snapshot = Snapshot::default();
    let device = Device { serial_number: Some("HA1".into()), ..(*core("core", Health::Healthy)).clone() };
    observe(&mut snapshot, &[Arc::new(device)], 0);
    let record = |(id, serial, room, sync): &(&str, &str, &str, i64)| {
        let managed = ManagedDevice {
            serial_number: Some((*serial).into()),
            room_id: Some((*room).into()),
            last_sync: (*sync > 0).then(|| Timestamp::from_seconds(*sync)),
            os_version: Some((*id).into()),
            ..ManagedDevice::default()
        };
        ((*id).into(), Record::new(managed, Timestamp::from_seconds(0)))
    };
    snapshot.intune = Arc::new(enrolments.iter().map(record).collect());
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    let version = |managed: Option<&ManagedDevice>| managed.and_then(|managed| managed.os_version.clone());
    let [device, room] = [version(fleet.devices[0].managed), version(fleet.rooms[0].managed)];
    assert_eq!([device.as_deref(), room.as_deref()], expected, "{enrolments:?}");
}

#[test]
fn of_several_enrolments_the_one_that_synced_last_is_joined() {
    let oslo = "oslo@contoso.example";
    check_managed(&[("a", "HA1", "", 7), ("b", "ha1", "", 9), ("c", "HA1", "", 8)], [Some("b"), None]);
    check_managed(&[("b", "HA1", "", 7), ("a", "HA1", "", 7)], [Some("b"), None]);
    check_managed(&[("a", "HA1", "", 1), ("b", "HA1", "", 0)], [Some("a"), None]);
    check_managed(&[("a", "OLD", oslo, 9)], [None, Some("a")]);
    check_managed(&[("a", "OLD", oslo, 9), ("b", "0", oslo, 3)], [None, Some("a")]);
    check_managed(&[("a", "OLD", oslo, 9), ("b", "HA1", oslo, 3)], [Some("b"), None]);
    check_managed(&[("a", "OLD", "bergen@contoso.example", 9)], [None, None]);
}

/// Every fact that is different makes another print.
#[track_caller]
fn check_prints<T: std::hash::Hash>(things: &[T]) {
    let prints: std::collections::HashSet<u64> = things.iter().map(print).collect();
    assert_eq!(prints.len(), things.len());
}

/// A device without an Intune record is spelled like the others, and its versions are compared as before.
#[test]
fn a_spelling_that_is_learned_serves_every_device_and_changes_its_print() {
    let named = |id: &str, model: &str| {
        let (manufacturer, model) = (Some("yealink".into()), Some(model.into()));
        Arc::new(Device { manufacturer, model, ..(*core(id, Health::Healthy)).clone() })
    };
    let mut snapshot = Snapshot::default();
    observe(
        &mut snapshot,
        &[named("a", "meetingbara30"), named("b", "MEETINGBARA30"), named("c", "core2kit")],
        0,
    );
    let before = snapshot.clone();
    Arc::make_mut(&mut snapshot.memory).product_names.learn(&"MeetingBar A30".into());
    let look = |snapshot: &Snapshot| {
        let fleet = Fleet::at(snapshot, Timestamp::from_seconds(0));
        let models = fleet.devices.iter().map(|device| (fleet.manufacturer(device), fleet.model(device)));
        let models: Vec<String> = models.map(|(by, model)| format!("{by} {model}")).collect();
        let cohort = fleet.devices[0]
            .cohort(SoftwareKind::Firmware)
            .product
            .map(|(by, model)| format!("{by} {model}"));
        (models, Prints::of(&fleet, &fleet.judgements()).devices, cohort)
    };
    let (models, prints, cohort) = look(&snapshot);
    assert_eq!(models, ["yealink MeetingBar A30", "yealink MeetingBar A30", "yealink core2kit"]);
    let (unlearned, others, same_cohort) = look(&before);
    assert_eq!(unlearned, ["yealink meetingbara30", "yealink MEETINGBARA30", "yealink core2kit"]);
    assert!(prints.iter().zip(&others).all(|(print, other)| print != other));
    assert_eq!((cohort.as_deref(), &cohort), (Some("yealink meetingbara30"), &same_cohort));
}

#[test]
fn every_fact_of_a_device_is_in_its_print() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("a", Health::Healthy)], 0);
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    let base = || Fleet::at(&snapshot, Timestamp::from_seconds(0)).devices.remove(0);
    let (other, forgotten) = (core("a", Health::Offline), DeviceMemory::default());
    let basis = Basis::from(&*other);
    let reading = Reading { read_at: fleet.now, basis, detail: None, denied: false };
    let managed = ManagedDevice::default();
    check_prints(&[
        base(),
        FleetDevice { device: &other, ..base() },
        FleetDevice { memory: Some(&forgotten), ..base() },
        FleetDevice { reading: Some(&reading), ..base() },
        FleetDevice { superseded: true, ..base() },
        FleetDevice { managed: Some(&managed), ..base() },
    ]);
}

#[test]
fn every_fact_of_a_room_is_in_its_print() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("a", Health::Healthy)], 0);
    let base = || Fleet::at(&snapshot, Timestamp::from_seconds(0)).rooms.remove(0);
    let mut other = base().room.clone();
    other.name = "Bergen".into();
    let (place, file, managed) = (Place::default(), RoomFacts::default(), ManagedDevice::default());
    let presence = Presence { availability: Availability::Busy, in_call: None };
    let occupancy = Calendar::Readable(Vec::new()).at(Timestamp::from_seconds(0));
    let account = RoomAccount::default();
    check_prints(&[
        base(),
        FleetRoom { room: &other, ..base() },
        FleetRoom { place: Some(&place), ..base() },
        FleetRoom { file: Some(&file), ..base() },
        FleetRoom { in_service: false, ..base() },
        FleetRoom { may_observe: false, ..base() },
        FleetRoom { presence: Some((presence, PresenceMemory::default())), ..base() },
        FleetRoom { managed: Some(&managed), ..base() },
        FleetRoom { calendar: Some(&Calendar::Refused), ..base() },
        FleetRoom { occupancy, ..base() },
        FleetRoom { account: Some(&account), ..base() },
    ]);
}

/// Time alone changes a verdict, while every fact stays what it is.
#[test]
fn a_room_and_its_devices_have_another_print_with_another_verdict() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("a", Health::Healthy)], 0);
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    let [Some(judgement)] = &fleet.judgements()[..] else { panic!("one verdict") };
    let prints = |judgement: Judgement| {
        let Prints { devices, rooms, times } = Prints::of(&fleet, &[Some(judgement)]);
        [devices, rooms, times].concat()
    };
    let (same, other) = (judgement.clone(), Judgement { state: RoomState::Down, ..judgement.clone() });
    assert_eq!(prints(judgement.clone()), prints(same));
    let differ = prints(judgement.clone()).into_iter().zip(prints(other)).map(|(one, other)| one != other);
    assert_eq!(differ.collect::<Vec<_>>(), [true; 3]);
}

/// Until it comes it is shown as now, which is another moment at each look.
#[test]
fn a_device_whose_time_is_in_the_future_has_another_print_until_it_comes() {
    let mut snapshot = Snapshot::default();
    let device = core("a", Health::Healthy);
    observe(&mut snapshot, from_ref(&device), 0);
    let changed = Some(Timestamp::from_seconds(60));
    let detail = Detail { connection: Connection { connected: Some(true), changed }, ..Detail::default() };
    let (basis, read_at) = (Basis::from(&*device), Timestamp::from_seconds(0));
    let reading = Reading { read_at, basis, detail: Some(Arc::new(detail)), denied: false };
    Arc::make_mut(&mut snapshot.details).insert("a".into(), reading);
    let print = |seconds| print(Fleet::at(&snapshot, Timestamp::from_seconds(seconds)).devices.remove(0));
    assert!(print(30) != print(31) && print(31) != print(60));
    assert_eq!(print(60), print(99));
}

#[test]
fn a_room_has_another_print_with_its_devices_and_they_with_it() {
    let at = |health, totals: bool| {
        let mut snapshot = Snapshot::default();
        observe(&mut snapshot, &[core("a", health), core("b", Health::Healthy)], 0);
        if totals {
            let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
            let sights =
                fleet.rooms.iter().map(|room| (room.room.id.clone(), Sight::of(&fleet, room))).collect();
            Arc::make_mut(&mut snapshot.usage).observe(&sights, &[], Timestamp::from_seconds(0));
        }
        let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
        let Prints { devices, rooms, times } = Prints::of(&fleet, &fleet.judgements());
        (devices, rooms[0], times[0])
    };
    let (before, after, counted) =
        (at(Health::Healthy, false), at(Health::Critical, false), at(Health::Healthy, true));
    assert_eq!(before, at(Health::Healthy, false));
    assert!(before.0[0] != after.0[0] && before.1 != after.1 && before.2 != after.2);
    assert_ne!(before.0[1], after.0[1], "what a device says of its room may be another");
    assert_eq!((&before.0, before.1), (&counted.0, counted.1), "time passes without a change of the room");
    assert_ne!(before.2, counted.2);
}
