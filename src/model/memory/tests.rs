//! Since-times, sticky homes and change counters, one behaviour a test.

use super::*;
use crate::model::detail::{Basis, Connection, Peripheral, Software};
use crate::model::device::{Account, DeviceType};
use crate::model::listing::tests::device;

const EXPIRY: Duration = Duration::from_mins(30);

/// A listing that follows another by a hundred seconds.
fn list(memory: &mut Memory, device: Arc<Device>, trust: Trust, seconds: i64) -> Vec<Event> {
    list_after(memory, device, trust, seconds - 100, seconds)
}

fn list_after(memory: &mut Memory, device: Arc<Device>, trust: Trust, last: i64, now: i64) -> Vec<Event> {
    let sighting = Sighting { value: device, last_read: Some(Timestamp::from_seconds(last)) };
    let readings = Readings { held: &BTreeMap::new(), expiry: EXPIRY };
    let moment = Moment { now: Timestamp::from_seconds(now), expiry: EXPIRY };
    memory.observe_devices(&[sighting], readings, trust, moment)
}

/// A reading of the detail that follows another by a hundred seconds.
fn read(memory: &mut Memory, device: &Arc<Device>, detail: Arc<Detail>, seconds: i64) -> Vec<Event> {
    let (now, last_read) = (Timestamp::from_seconds(seconds), Some(Timestamp::from_seconds(seconds - 100)));
    let basis = Basis::from(&**device);
    let reading = Reading { read_at: now, basis, detail: Some(detail), denied: false };
    let held = BTreeMap::from([(device.id.clone(), reading)]);
    let sighting = Sighting { value: device.clone(), last_read };
    memory.observe_details(&[sighting], &held, Moment { now, expiry: EXPIRY })
}

fn room_device(health: Health, account: Option<&str>) -> Arc<Device> {
    let account =
        account.map(|email| Account { id: None, name: Some("Oslo".into()), email: Some(email.into()) });
    Arc::new(Device { health, account, ..(*device("core", DeviceType::TeamsRoom)).clone() })
}

fn camera(connected: Option<bool>) -> Arc<Detail> {
    let peripheral = |slot, connected| Peripheral {
        slot,
        connection: Connection { connected, changed: None },
        optional: Some(false),
        product: None,
    };
    Arc::new(Detail {
        peripherals: [peripheral(Slot::RoomCamera, connected), peripheral(Slot::Display(2), Some(true))]
            .into(),
        ..Detail::default()
    })
}

fn client(current: &str, update_available: bool) -> Arc<Detail> {
    let software = Software {
        kind: SoftwareKind::TeamsClient,
        current: Some(current.into()),
        available: None,
        update_available: Some(update_available),
    };
    Arc::new(Detail { software: [software].into(), ..Detail::default() })
}

fn changes(memory: &Memory) -> Vec<(&'static str, u64)> {
    let device = memory.devices.get("core").expect("observed");
    device.changes().map(|(signal, count)| (signal.label(), count)).collect()
}

#[test]
fn a_change_is_an_event_and_a_first_sight_is_not() {
    let mut memory = Memory::default();
    let oslo = Some("oslo@contoso.example");
    assert_eq!(list(&mut memory, room_device(Health::Healthy, oslo), Trust::UnlessPerson, 100), []);
    let events = list(&mut memory, room_device(Health::Offline, oslo), Trust::UnlessPerson, 200);
    let event = events.first().expect("one event");
    assert_eq!((event.signal, event.from, event.to), (Signal::Health, "healthy", "offline"));
    assert_eq!(event.room.as_deref(), Some("Oslo"));
    assert_eq!(memory.devices["core"].health_since, Some(Timestamp::from_seconds(200)));
    assert_eq!(changes(&memory), [("health", 1)]);
}

#[test]
fn unknown_in_between_is_no_change() {
    let mut memory = Memory::default();
    for (health, expected) in [
        (Health::Healthy, 0),
        (Health::Unknown, 0),
        (Health::Healthy, 0),
        (Health::Unknown, 0),
        (Health::Critical, 1),
    ] {
        list(&mut memory, room_device(health, None), Trust::UnlessPerson, 100);
        assert_eq!(changes(&memory), [("health", expected)], "{health:?}");
    }
}

#[test]
fn every_link_that_the_device_has_is_counted_from_zero() {
    let mut memory = Memory::default();
    let core = room_device(Health::Healthy, None);
    read(&mut memory, &core, camera(None), 100);
    assert_eq!(changes(&memory), [("health", 0), ("display", 0)]);
    read(&mut memory, &core, camera(Some(true)), 200);
    let events = read(&mut memory, &core, camera(Some(false)), 300);
    assert_eq!(changes(&memory), [("health", 0), ("room_camera", 1), ("display", 0)]);
    let event = events.first().expect("one event");
    assert_eq!((&*event.subject, event.from, event.to), ("room_camera", "connected", "disconnected"));
}

/// A link that comes back is seen for the first time.
#[test]
fn nothing_is_kept_of_what_a_detail_no_longer_reports() {
    let mut memory = Memory::default();
    let core = room_device(Health::Healthy, None);
    let both = Detail { software: client("5.5", true).software.clone(), ..(*camera(Some(true))).clone() };
    read(&mut memory, &core, Arc::new(both), 100);
    assert_eq!(changes(&memory), [("health", 0), ("room_camera", 0), ("display", 0)]);
    read(&mut memory, &core, Arc::new(Detail::default()), 200);
    assert_eq!(changes(&memory), [("health", 0)]);
    let stored = serde_json::to_string(&memory).expect("plain data");
    assert!(
        !["camera", "display", "teams_client", "5.5"].iter().any(|kept| stored.contains(kept)),
        "{stored}"
    );
    assert_eq!(read(&mut memory, &core, camera(Some(false)), 300), [], "it is seen for the first time");
}

#[test]
fn a_link_of_which_nothing_is_known_has_no_time() {
    let mut memory = Memory::default();
    let core = room_device(Health::Healthy, None);
    let mut since = |connected, seconds| {
        read(&mut memory, &core, camera(connected), seconds);
        memory.devices["core"].link_since(Link::Peripheral(Slot::RoomCamera)).map(Timestamp::seconds)
    };
    assert_eq!(since(Some(true), 100), None);
    assert_eq!(since(Some(false), 200), Some(200));
    assert_eq!(since(None, 300), None);
    assert_eq!(since(Some(false), 400), None, "it may have come and gone");
    assert_eq!(since(Some(true), 500), Some(500));
}

#[test]
fn a_change_seen_after_a_pause_has_no_time() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, 100);
    list(&mut memory, room_device(Health::Critical, None), Trust::UnlessPerson, 200);
    let watched_from = |memory: &Memory, last: i64| {
        let moment = Moment { now: Timestamp::from_seconds(260), expiry: EXPIRY };
        memory.began(Some(Timestamp::from_seconds(last)), moment).is_some()
    };
    assert!(watched_from(&memory, 250));
    memory.lose_track(Timestamp::from_seconds(250));
    assert!(!watched_from(&memory, 250) && watched_from(&memory, 251));
    assert_eq!(memory.devices["core"].health_since, None);
    list_after(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, 200, 900);
    assert_eq!(memory.devices["core"].health_since, None);
    list_after(&mut memory, room_device(Health::Critical, None), Trust::UnlessPerson, 900, 1000);
    assert_eq!(memory.devices["core"].health_since, Some(Timestamp::from_seconds(1000)));
    assert_eq!(changes(&memory), [("health", 3)]);
}

#[test]
fn a_change_seen_after_an_outage_longer_than_the_expiry_has_no_time() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, 100);
    list_after(&mut memory, room_device(Health::Critical, None), Trust::UnlessPerson, 100, 1901);
    assert_eq!(memory.devices["core"].health_since, None);
}

#[test]
fn sign_out_keeps_the_room_and_counts_at_the_second_poll() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, Some("oslo@contoso.example")), Trust::UnlessPerson, 100);
    for (poll, signed_out) in [(1, false), (2, true), (3, true)] {
        list(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, 100 + poll);
        let core = &memory.devices["core"];
        assert_eq!((core.home.as_deref(), core.signed_out()), (Some("oslo@contoso.example"), signed_out));
    }
    assert_eq!(
        memory.devices["core"].standing.map(|s| (s.up, s.began)),
        Some((false, Some(Timestamp::from_seconds(102))))
    );
}

#[test]
fn a_device_that_never_had_an_account_is_not_signed_out() {
    let mut memory = Memory::default();
    for poll in 0..5 {
        list(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, poll);
    }
    assert!(!memory.devices["core"].signed_out());
}

#[test]
fn untrusted_accounts_found_no_rooms() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, Some("person@contoso.example")), Trust::Never, 100);
    assert_eq!(memory.devices["core"].home, None);
    assert_eq!(memory.rooms.rooms().count(), 0);
}

#[test]
fn software_is_pending_from_the_change_and_changed_when_the_version_moves() {
    let mut memory = Memory::default();
    let core = room_device(Health::Healthy, None);
    let read = |memory: &mut Memory, detail, seconds| {
        read(memory, &core, detail, seconds);
        let client = memory.devices["core"].software(SoftwareKind::TeamsClient).cloned().unwrap_or_default();
        (client.pending_since.map(Timestamp::seconds), client.changed.map(Timestamp::seconds))
    };
    assert_eq!(read(&mut memory, client("5.5", true), 100), (None, None), "its beginning was not seen");
    assert_eq!(read(&mut memory, client("5.6", false), 200), (None, Some(200)));
    assert_eq!(read(&mut memory, client("5.6", true), 300), (Some(300), Some(200)));
    assert_eq!(read(&mut memory, client("5.6", true), 400), (Some(300), Some(200)));
    assert_eq!(read(&mut memory, client("5.7", false), 500), (None, Some(500)));
    memory.lose_track(Timestamp::from_seconds(950));
    assert_eq!(read(&mut memory, client("5.8", true), 1000), (None, None), "it changed in a pause");
}

#[test]
fn a_device_that_returns_finds_its_memory_until_it_is_forgotten() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, Some("oslo@contoso.example")), Trust::UnlessPerson, 0);
    memory.part_with(&["core".into()], Timestamp::from_seconds(0));
    memory.part_with(&[], Timestamp::from_seconds(89 * 86_400));
    assert!(memory.devices.contains_key("core"));
    memory.part_with(&[], Timestamp::from_seconds(90 * 86_400));
    assert!(!memory.devices.contains_key("core"));
}

#[test]
fn counters_do_not_survive_a_restart_and_the_last_value_does() {
    let mut memory = Memory::default();
    list(&mut memory, room_device(Health::Healthy, None), Trust::UnlessPerson, 100);
    list(&mut memory, room_device(Health::Critical, None), Trust::UnlessPerson, 200);
    let counted_since = |memory: &Memory| memory.devices["core"].counted_since.map(Timestamp::seconds);
    assert_eq!(counted_since(&memory), Some(100));
    let stored = serde_json::to_string(&memory).expect("plain data");
    let mut memory: Memory = serde_json::from_str(&stored).expect("own format");
    assert_eq!(changes(&memory), [("health", 0)]);
    assert_eq!(counted_since(&memory), None);
    let events = list(&mut memory, room_device(Health::Critical, None), Trust::UnlessPerson, 300);
    assert_eq!(events, []);
    assert_eq!(memory.devices["core"].health_since, Some(Timestamp::from_seconds(200)));
    assert_eq!(counted_since(&memory), Some(300));
}

fn look(
    memory: &mut Arc<Memory>,
    state: RoomState,
    grounds: Grounds,
    watched: bool,
    seconds: i64,
) -> Option<i64> {
    let sight = Sight { state, grounds, booked: None, in_use: None, site: None };
    let sights = BTreeMap::from([("oslo".into(), sight)]);
    Memory::observe_states(memory, &sights, watched, Timestamp::from_seconds(seconds));
    memory.states["oslo"].since.map(Timestamp::seconds)
}

#[test]
fn a_state_has_a_beginning_where_it_was_seen_to_begin() {
    let mut memory = Arc::new(Memory::default());
    let grounds = Grounds::default();
    assert_eq!(look(&mut memory, RoomState::Ok, grounds, false, 0), None, "it may be older");
    let before = memory.clone();
    assert_eq!(look(&mut memory, RoomState::Ok, grounds, true, 15), None);
    assert!(Arc::ptr_eq(&before, &memory), "seeing the same copies nothing");
    assert_eq!(look(&mut memory, RoomState::Down, grounds, true, 30), Some(30));
    assert_eq!(look(&mut memory, RoomState::Down, grounds, true, 45), Some(30));
    assert_eq!(look(&mut memory, RoomState::Down, grounds, false, 9000), Some(30), "as before the restart");
    assert_eq!(look(&mut memory, RoomState::Ok, grounds, false, 9999), None, "nobody watched");
    assert_eq!(look(&mut memory, RoomState::Degraded, grounds, true, 10_014), Some(10_014));
    Arc::make_mut(&mut memory).lose_track(Timestamp::from_seconds(10_020));
    assert_eq!(look(&mut memory, RoomState::Degraded, grounds, false, 10_030), None, "after a pause");
    Memory::observe_states(&mut memory, &BTreeMap::new(), true, Timestamp::from_seconds(10_045));
    assert!(memory.states.is_empty(), "of rooms that are gone nothing stays");
}

#[test]
fn a_state_that_comes_with_another_source_began_before() {
    let mut memory = Arc::new(Memory::default());
    let (few, more) = (Grounds::default(), serde_json::from_str("3").expect("grounds"));
    look(&mut memory, RoomState::Unknown, few, false, 0);
    assert_eq!(look(&mut memory, RoomState::Down, more, true, 15), None);
    assert_eq!(look(&mut memory, RoomState::Ok, more, true, 30), Some(30));
    assert_eq!(look(&mut memory, RoomState::Ok, few, true, 45), Some(30));
    assert_eq!(look(&mut memory, RoomState::Unknown, few, true, 60), Some(60));
}

/// Its name came with the device that has moved; another device is still in it.
#[test]
fn a_room_that_a_device_left_is_named_by_those_that_stay() {
    let mut memory = Memory::default();
    let device = |id: &str, name: &str, created: i64, email: &str| {
        let account = Account { id: None, name: Some(name.into()), email: Some(email.into()) };
        let created = Some(Timestamp::from_seconds(created));
        Arc::new(Device { account: Some(account), created, ..(*device(id, DeviceType::TeamsRoom)).clone() })
    };
    let (oslo, bergen) = ("oslo@contoso.example", "bergen@contoso.example");
    let stays = device("old", "Oslo", 1, oslo);
    list(&mut memory, stays.clone(), Trust::UnlessPerson, 100);
    list(&mut memory, device("new", "Bergen", 2, oslo), Trust::UnlessPerson, 100);
    let name = |memory: &Memory| memory.rooms.room(oslo).map(|room| room.name.to_string());
    assert_eq!(name(&memory).as_deref(), Some("Bergen"));
    let moved = device("new", "Bergen", 2, bergen);
    list(&mut memory, moved.clone(), Trust::UnlessPerson, 200);
    memory.rename_left_rooms([&stays, &moved].into_iter());
    assert_eq!(name(&memory).as_deref(), Some("Oslo"));
}
