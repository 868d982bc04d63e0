//! Tests of the joined picture of a tenant.

use std::slice::from_ref;

use super::*;
use crate::model::collector::Status;
use crate::model::detail::Basis;
use crate::model::device::{Account, Health};
use crate::model::identity::Trust;
use crate::model::incident::tests::event;
use crate::model::incident::{Incidents, Progress, Reporter, Severity, Signal};
use crate::model::listing::tests::device;
use crate::model::memory::{Moment, Readings, Sighting};
use crate::model::presence::Availability;
use crate::model::privacy::Privacy;
use crate::model::record::Record;
use crate::model::room::RoomState;
use crate::model::shard::Shard;
use crate::model::sight::Sight;
use crate::model::site::{Glob, Hours, Match};

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
    let incident = |signal| {
        let mut incidents = Incidents::default();
        let event = event(Progress::New, signal, Severity::Critical, "oslo@contoso.example");
        incidents.take(Reporter::ProManagement, event, Timestamp::from_seconds(0));
        incidents.held().next().cloned().expect("one")
    };
    let (first, second) = (incident(Signal::Offline), incident(Signal::Camera));
    let about = |incident| vec![RoomIncident { incident, concerns_core: true }];
    check_prints(&[
        base(),
        FleetRoom { room: &other, ..base() },
        FleetRoom { place: Some(&place), ..base() },
        FleetRoom { file: Some(&file), ..base() },
        FleetRoom { in_service: false, ..base() },
        FleetRoom { may_observe: false, ..base() },
        FleetRoom { presence: Some((presence, PresenceMemory::default())), ..base() },
        FleetRoom { managed: Some(&managed), ..base() },
        FleetRoom { incidents: about(&first), ..base() },
        FleetRoom { incidents: about(&second), ..base() },
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

/// The activity of a device changes no verdict, and is in its print and in that of its room all the same.
#[test]
fn a_fact_that_is_not_judged_changes_the_print_of_a_device_and_of_its_room() {
    let at = |activity| {
        let mut snapshot = Snapshot::default();
        let device = Device { activity, ..(*core("a", Health::Healthy)).clone() };
        observe(&mut snapshot, &[Arc::new(device)], 0);
        let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
        let Prints { devices, rooms, .. } = Prints::of(&fleet, &fleet.judgements());
        [devices[0], rooms[0]]
    };
    let (idle, busy) = (at(Activity::Idle), at(Activity::Busy));
    assert!(idle[0] != busy[0] && idle[1] != busy[1]);
}

/// Two rooms with a device each, of which one shard of two has one.
#[test]
fn what_is_another_process_s_business_is_known_and_not_its_own() {
    let rooms: Vec<String> = (0..20).map(|n| format!("room-{n}@contoso.example")).collect();
    let shards = [0, 1].map(|index| Shard::new(index, 2).expect("one of two"));
    let of_shard =
        |shard: Shard| rooms.iter().find(|room| shard.owns_device(room, None)).expect("half of them");
    let homes = shards.map(of_shard);
    let device = |room: &String, health| {
        let account = Account { id: None, name: None, email: Some((**room).into()) };
        Arc::new(Device { account: Some(account), ..(*core(&format!("core-{room}"), health)).clone() })
    };
    let look = |health| {
        let mut snapshot = Snapshot { shard: shards[0], ..Snapshot::default() };
        observe(&mut snapshot, &[device(homes[0], Health::Healthy), device(homes[1], health)], 0);
        snapshot
    };
    let snapshot = look(Health::Healthy);
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    assert_eq!((fleet.devices.len(), fleet.rooms.len()), (2, 2));
    let own_rooms: Vec<&str> = fleet.own_rooms().map(|room| &*room.room.id).collect();
    let own_devices: Vec<String> = fleet.own_devices().map(|device| device.device.id.to_string()).collect();
    assert_eq!((own_rooms, own_devices), (vec![&**homes[0]], vec![format!("core-{}", homes[0])]));
    for (room, home) in fleet.rooms.iter().map(|room| (room, &*room.room.id)) {
        let device = fleet.members(room).next().expect("its device");
        let is_own = home == &**homes[0];
        assert_eq!([room.is_own(), device.is_own()], [is_own, is_own], "{home}");
        assert_eq!(fleet.room_of(device).map(|room| &*room.room.id), Some(home));
        assert_eq!(room.place_among_all(), shard::place_of_room(room.room));
        assert_eq!(device.place_among_all(), room.place_among_all());
    }
    // Devices of another process count as one.
    let prints = |snapshot: &Snapshot| {
        let fleet = Fleet::at(snapshot, Timestamp::from_seconds(0));
        let Prints { devices, rooms, .. } = Prints::of(&fleet, &fleet.judgements());
        (devices, rooms)
    };
    assert_eq!(prints(&snapshot), prints(&look(Health::Offline)));
}

#[test]
fn what_the_rooms_file_says_of_a_room_wins_over_its_place_and_site() {
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &[core("a", Health::Healthy)], 0);
    let email: Arc<str> = "oslo@contoso.example".into();
    let text = |text: &str| Some(Arc::from(text));
    let place = Place {
        email: email.clone(),
        building: text("B1"),
        floor: text("1"),
        city: text("Oslo"),
        country: text("NO"),
        ..Place::default()
    };
    snapshot.places = Arc::new([(email.clone(), Record::new(place, Timestamp::from_seconds(0)))].into());
    let site = Site::new(
        "north",
        text("north-team"),
        Match { building: vec![Glob::parse("B*").expect("sound")], email: Vec::new() },
        jiff::tz::TimeZone::UTC,
        Hours::always(),
        &Hours::default(),
    );
    snapshot.sites = [site].into();
    let facts = |snapshot: &Snapshot| {
        let fleet = Fleet::at(snapshot, Timestamp::from_seconds(0));
        let room = &fleet.rooms[0];
        let facts = [room.building(), room.floor(), room.city(), room.country(), room.owner(), room.tier()];
        facts.map(|fact| fact.unwrap_or("-").to_owned())
    };
    assert_eq!(facts(&snapshot), ["B1", "1", "Oslo", "NO", "north-team", "-"]);
    let file = RoomFacts { floor: text("2"), owner: text("me"), tier: text("gold"), ..RoomFacts::default() };
    snapshot.set_rooms_file([(email.clone(), file.clone())].into());
    assert_eq!(facts(&snapshot), ["B1", "2", "Oslo", "NO", "me", "gold"]);
    let file =
        RoomFacts { building: text("A"), city: text("Bergen"), country: text("SE"), ..RoomFacts::default() };
    snapshot.set_rooms_file([(email, file)].into());
    assert_eq!(facts(&snapshot), ["A", "1", "Bergen", "SE", "-", "-"], "it has no site any more");
}

/// Health, activity and type of the devices of a room; whether it is used.
#[track_caller]
fn check_in_use(devices: &[(Health, Activity, DeviceType)], in_call: Option<bool>, expected: Option<bool>) {
    let now = Timestamp::from_seconds(7 * DAY + 1);
    let devices = devices.iter().enumerate().map(|(n, (health, activity, device_type))| {
        let base = core(&format!("device-{n}"), *health);
        Arc::new(Device { activity: *activity, device_type: *device_type, ..(*base).clone() })
    });
    let devices: Vec<_> = devices.collect();
    let mut snapshot = Snapshot::default();
    observe(&mut snapshot, &devices, 0);
    observe(&mut snapshot, &devices, now.seconds());
    let email: Arc<str> = "oslo@contoso.example".into();
    let presence = Presence { availability: Availability::Busy, in_call };
    snapshot.presence = Arc::new([(email.clone(), Record::new(presence, now))].into());
    Arc::make_mut(&mut snapshot.memory).presence.insert(email, PresenceMemory::default());
    let used = |snapshot: &Snapshot| {
        let fleet = Fleet::at(snapshot, now);
        let activity = fleet.activity(&fleet.devices[0]);
        (fleet.in_use(&fleet.rooms[0]), activity)
    };
    assert_eq!(used(&snapshot), (expected, Some(devices[0].activity)), "{devices:?}");
    snapshot.privacy = Privacy { usage: false, ..Privacy::default() };
    assert_eq!(used(&snapshot), (None, None), "it may not be known");
}

#[test]
fn a_room_is_used_when_a_core_device_that_counts_or_a_call_says_so() {
    use Activity::{Busy, Idle, Unknown};
    use DeviceType::{TeamsPanel, TeamsRoom};
    use Health::{Healthy, Offline};
    let core = |activity| (Healthy, activity, TeamsRoom);
    let panel = (Healthy, Busy, TeamsPanel);
    check_in_use(&[core(Busy)], None, Some(true));
    check_in_use(&[core(Idle)], None, Some(false));
    check_in_use(&[core(Unknown)], None, None);
    check_in_use(&[core(Idle)], Some(true), Some(true));
    check_in_use(&[core(Busy)], Some(false), Some(true));
    check_in_use(&[core(Unknown)], Some(false), Some(false));
    check_in_use(&[core(Idle), panel], None, Some(false));
    check_in_use(&[core(Unknown), panel], None, None);
    check_in_use(&[core(Idle), (Offline, Busy, TeamsRoom)], None, Some(false)); // replaced a week ago
}

#[test]
fn of_three_core_devices_two_that_are_gone_for_a_week_are_superseded() {
    let mut snapshot = Snapshot::default();
    let gone = ["old", "older"].map(|id| core(id, Health::Offline));
    observe(&mut snapshot, &[&gone[..], &[core("new", Health::Healthy)]].concat(), 0);
    check_superseded(&snapshot, 7 * DAY + 1, &["old", "older"]);
}

/// Versions are compared among devices that could run the same.
#[test]
fn a_device_is_behind_the_versions_of_its_own_kind() {
    let software = |kind, current: &str| Software {
        kind,
        current: Some(current.into()),
        available: None,
        update_available: None,
    };
    let mut snapshot = Snapshot::default();
    let models = ["a30", "a30", "a30", "a30", "a50"];
    let devices = models.iter().enumerate().map(|(n, model)| {
        let base = core(&format!("core-{n}"), Health::Healthy);
        Arc::new(Device { model: Some((*model).into()), ..(*base).clone() })
    });
    let devices: Vec<Arc<Device>> = devices.collect();
    observe(&mut snapshot, &devices, 0);
    for (n, device) in devices.iter().enumerate() {
        let version = if n == 0 || n == 4 { "1.0" } else { "1.1" };
        let kinds = [SoftwareKind::Firmware, SoftwareKind::TeamsClient];
        let detail =
            Detail { software: kinds.map(|kind| software(kind, version)).into(), ..Detail::default() };
        let read_at = Timestamp::from_seconds(0);
        let basis = Basis::from(&**device);
        let reading = Reading { read_at, basis, detail: Some(Arc::new(detail)), denied: false };
        Arc::make_mut(&mut snapshot.details).insert(device.id.clone(), reading);
    }
    let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(0));
    let gaps = |index: usize| {
        let device: &FleetDevice<'_> = &fleet.devices[index];
        let software = &device.detail().expect("read").software;
        software.iter().map(|software| fleet.version_gap(device, software)).collect::<Vec<_>>()
    };
    assert_eq!(gaps(0), [Some(1), Some(1)]);
    assert_eq!(gaps(1), [Some(0), Some(0)]);
    assert_eq!(gaps(4), [Some(0), Some(1)], "firmware is made for a model");
}

/// Facts of places, accounts and Intune count as long as they are served.
#[test]
fn records_that_have_expired_tell_nothing() {
    let collectors = [Collector::Places, Collector::Accounts, Collector::Intune, Collector::Presence];
    let status = |(minutes, one): (u64, &Collector)| {
        (*one, Status::starting(Duration::from_mins(1), Duration::from_mins(minutes)))
    };
    let status = Arc::new((1..).zip(&collectors).map(status).collect());
    let mut snapshot = Snapshot { status, ..Snapshot::default() };
    observe(&mut snapshot, &[core("core", Health::Healthy)], 0);
    let id: Arc<str> = "oslo@contoso.example".into();
    let now = Timestamp::from_seconds(0);
    snapshot.places = Arc::new([(id.clone(), Record::new(Place::default(), now))].into());
    snapshot.accounts = Arc::new([(id.clone(), Record::new(RoomAccount::default(), now))].into());
    let managed = ManagedDevice { room_id: Some(id.clone()), ..ManagedDevice::default() };
    snapshot.intune = Arc::new([("a".into(), Record::new(managed, now))].into());
    let presence = Presence { availability: Availability::Busy, in_call: None };
    snapshot.presence = Arc::new([(id.clone(), Record::new(presence, now))].into());
    Arc::make_mut(&mut snapshot.memory).presence.insert(id, PresenceMemory::default());
    let known = |seconds| {
        let fleet = Fleet::at(&snapshot, Timestamp::from_seconds(seconds));
        let room = &fleet.rooms[0];
        [room.place.is_some(), room.account.is_some(), room.managed.is_some(), room.presence.is_some()]
    };
    assert_eq!(known(60), [true, true, true, true]);
    assert_eq!(known(61), [false, true, true, true]);
    assert_eq!(known(120), [false, true, true, true]);
    assert_eq!(known(121), [false, false, true, true]);
    assert_eq!(known(181), [false, false, false, true]);
    assert_eq!(known(241), [false; 4]);
}
