//! Rooms and records over time, with the answers of sources in any order.

use std::slice::from_ref;

use super::*;
use crate::model::account::{RoomAccount, Tier};
use crate::model::detail::Connection;
use crate::model::device::{DeviceType, Health};
use crate::model::fleet::Fleet;
use crate::model::incident::tests::event as incident;
use crate::model::incident::{Progress, Severity, Signal};
use crate::model::listing::tests::device;
use crate::model::presence::Availability;
use crate::model::room::{Judgement, RoomState};
use crate::model::service_health::ServiceState;

const SIGN_IN: &str = "mtr-oslo@contoso.example";
const MAIL: &str = "oslo@meet.example";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn place(email: &str) -> Place {
    Place { email: email.into(), ..Place::default() }
}

fn user(id: &str, email: &str, license: Tier) -> User {
    User {
        object_id: id.into(),
        email: Some(email.into()),
        other_names: Vec::new(),
        name: None,
        has_personal_name: false,
        account: RoomAccount { enabled: Some(true), license: Some(license), ..RoomAccount::default() },
    }
}

/// Each listing has other devices, each with another account.
#[test]
fn a_list_that_is_never_the_same_fills_no_memory() {
    const MOST: usize = 20;
    let store = Store::new(Snapshot::default()).bounded(MOST);
    for round in 0..12 {
        let devices = (0..MOST + 5).map(|number| {
            let id: Arc<str> = format!("{round}-{number}").into();
            let account = Account { id: Some(id.clone()), name: None, email: None };
            Arc::new(Device { account: Some(account), ..(*device(&id, DeviceType::TeamsRoom)).clone() })
        });
        let devices: Vec<_> = devices.collect();
        store.take_devices(&devices, Trust::UnlessPerson, at(round));
        let seen = devices.iter().map(|device| device.id.clone()).collect();
        let asked = vec![DeviceType::TeamsRoom];
        store.settle_devices(&Census { seen, complete: asked.clone(), asked }, at(round));
        let snapshot = store.snapshot();
        assert!(snapshot.devices.rows.len() <= MOST, "{round}");
        assert!(snapshot.memory.devices.len() <= 2 * MOST, "{round}: {}", snapshot.memory.devices.len());
        assert!(snapshot.memory.rooms.rooms().count() <= MOST, "{round}");
        // The fall is confirmed by the third list, and then there is room again.
        let is_new = snapshot.devices.rows.keys().all(|id| id.starts_with(&format!("{round}-")));
        assert!(is_new || round % 4 != 0, "{round}");
    }
    assert!(store.snapshot().memory.rooms.has_left_out());
}

fn show(store: &Store, room: &str, availability: Availability, seconds: i64) {
    let presence = Presence { availability, in_call: None };
    store.take_presences(vec![(room.into(), presence)], at(seconds));
}

fn keys<T>(records: &Records<T>) -> Vec<&str> {
    records.keys().map(|id| &**id).collect()
}

/// One room is left in any order of the sources, with everything that was known of both.
#[test]
fn what_is_known_of_two_rooms_that_prove_to_be_one_is_kept() {
    let store = Store::new(Snapshot::default());
    let account = Account { id: Some("id-1".into()), email: Some(SIGN_IN.into()), name: None };
    let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
    store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
    show(&store, SIGN_IN, Availability::Available, 0);
    show(&store, SIGN_IN, Availability::Offline, 60);
    store.take_places(vec![place(MAIL)], false, false, at(60));
    let memory = store.snapshot().memory.presence[SIGN_IN];
    let other_names = vec![SIGN_IN.into()];
    store.take_accounts(&[User { other_names, ..user("id-1", MAIL, Tier::Pro) }], true, at(60));
    let snapshot = store.snapshot();
    assert_eq!(snapshot.memory.presence.get(MAIL), Some(&memory), "since when it is offline");
    assert_eq!(snapshot.memory.presence.len(), 1);
    assert_eq!(keys(&snapshot.presence), [MAIL]);
    assert_eq!((keys(&snapshot.places), keys(&snapshot.accounts)), (vec![MAIL], vec![MAIL]));
    let fleet = Fleet::at(&snapshot, at(60));
    let [room] = &fleet.rooms[..] else { panic!("one room, not {}", fleet.rooms.len()) };
    assert_eq!(fleet.members(room).count(), 1, "its device comes along");
    assert!(room.place.is_some() && room.account.is_some() && room.presence.is_some());
}

/// Devices by account and name, places by address and name.
#[track_caller]
fn check_joins(devices: &[(&str, &str)], places: &[(&str, &str)], expected: usize) {
    let store = Store::new(Snapshot::default());
    let named = |(n, (id, name)): (usize, &(&str, &str))| {
        let account = Account { id: Some((*id).into()), name: Some((*name).into()), email: None };
        let device = device(&format!("d{n}"), DeviceType::TeamsRoom);
        Arc::new(Device { account: Some(account), ..(*device).clone() })
    };
    let devices: Vec<_> = devices.iter().enumerate().map(named).collect();
    store.take_devices(&devices, Trust::UnlessPerson, at(0));
    let named = |(email, name): &(&str, &str)| Place { name: Some((*name).into()), ..place(email) };
    store.take_places(places.iter().map(named).collect(), false, true, at(0));
    assert_eq!(store.snapshot().memory.rooms.rooms().count(), expected, "{devices:?} {places:?}");
}

#[test]
fn names_join_where_they_are_unique_on_both_sides() {
    check_joins(&[("id-1", " Oslo ")], &[(MAIL, "OSLO")], 1);
    check_joins(&[("id-1", "Oslo"), ("ID-1", "Oslo")], &[(MAIL, "Oslo")], 1);
    check_joins(&[("id-1", "Oslo"), ("id-2", "Oslo")], &[(MAIL, "Oslo")], 3);
    check_joins(&[("id-1", "Oslo")], &[(MAIL, "Oslo"), (SIGN_IN, "oslo")], 3);
    check_joins(&[("id-1", "Oslo")], &[(MAIL, "Bergen")], 2);
}

/// The room of the device was there first, so that it kept its id when a place of the same name came.
#[test]
fn a_place_leaves_an_account_that_its_name_alone_had_joined() {
    let store = Store::new(Snapshot::default());
    let account = Account { id: Some("id-1".into()), name: Some("Oslo".into()), email: None };
    let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
    store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
    store.settle_rooms();
    store.take_places(vec![Place { name: Some("Oslo".into()), ..place(MAIL) }], false, true, at(0));
    assert_eq!(keys(&store.snapshot().places), ["id-1"]);
    store.take_accounts(&[user("id-2", MAIL, Tier::Pro)], true, at(0));
    let snapshot = store.snapshot();
    assert_eq!((keys(&snapshot.places), keys(&snapshot.accounts)), (vec![MAIL], vec![MAIL]));
    assert_eq!(snapshot.memory.devices["d"].home.as_deref(), Some("id-1"));
    let fleet = Fleet::at(&snapshot, at(0));
    let placed: Vec<_> = fleet.rooms.iter().map(|room| (&*room.room.id, room.place.is_some())).collect();
    assert_eq!(placed, [("id-1", false), (MAIL, true)]);
}

/// Devices do not wait for the next listing in a room that proved to be another's.
#[test]
fn devices_leave_a_place_that_their_name_alone_had_joined() {
    let store = Store::new(Snapshot::default());
    let account = Account { id: Some("id-1".into()), name: Some("Oslo".into()), email: None };
    let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
    store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
    store.take_places(vec![Place { name: Some("Oslo".into()), ..place(MAIL) }], false, true, at(0));
    store.settle_devices(&Census::default(), at(0));
    let home = || store.snapshot().memory.devices["d"].home.clone();
    let room = || store.snapshot().memory.rooms.room(&home().expect("a home")).map(|room| room.id.clone());
    assert_eq!(room().as_deref(), Some(MAIL));
    store.take_devices(&[store.snapshot().devices.rows["d"].device.clone()], Trust::UnlessPerson, at(0));
    assert_eq!(home().as_deref(), Some(MAIL));
    store.take_accounts(&[user("id-2", MAIL, Tier::Pro)], true, at(0));
    assert_eq!(home().as_deref(), Some("id-1"));
}

fn signed_in(id: &str, account: Option<&str>, email: Option<&str>, health: Health) -> Arc<Device> {
    let (name, account_id) = (Some("Oslo".into()), account.map(Into::into));
    let account = Some(Account { id: account_id, name, email: email.map(Into::into) });
    Arc::new(Device { health, account, ..(*device(id, DeviceType::TeamsRoom)).clone() })
}

fn list(store: &Store, devices: &[Arc<Device>], seconds: i64) {
    store.take_devices(devices, Trust::UnlessPerson, at(seconds));
    let seen = devices.iter().map(|device| device.id.clone()).collect();
    let asked = vec![DeviceType::TeamsRoom];
    store.settle_devices(&Census { seen, complete: asked.clone(), asked }, at(seconds));
}

fn home(store: &Store, device: &str) -> Option<Arc<str>> {
    let snapshot = store.snapshot();
    let home = snapshot.memory.devices[device].home.clone()?;
    snapshot.memory.rooms.room(&home).map(|room| room.id.clone())
}

/// A look at all rooms, and since when the only one is what it is.
fn look(store: &Store, seconds: i64) -> (RoomState, Option<i64>) {
    let snapshot = store.snapshot();
    let fleet = Fleet::at(&snapshot, at(seconds));
    let sights = fleet.rooms.iter().map(|room| (room.room.id.clone(), Sight::of(&fleet, room)));
    store.observe_rooms(&sights.collect(), at(seconds));
    let states = store.snapshot().memory.states.clone();
    let [state] = states.values().collect::<Vec<_>>()[..] else { panic!("one room: {states:?}") };
    (state.state, state.since.map(Timestamp::seconds))
}

/// Account A is renamed, and account B takes the address that A had.
#[track_caller]
fn check_two_rooms(store: &Store) {
    let snapshot = store.snapshot();
    let rooms = snapshot.memory.rooms.rooms();
    let rooms: Vec<_> =
        rooms.map(|room| (&*room.id, room.object_id.as_deref(), room.email.as_deref())).collect();
    let expected = [("id-b", Some("id-b"), Some(MAIL)), (MAIL, Some("id-a"), Some("new@meet.example"))];
    assert_eq!(rooms, expected);
    assert_eq!(snapshot.memory.rooms.find([&MAIL.into()]).map(|room| &*room.id), Some("id-b"));
    store.take_places(vec![place(MAIL), place("new@meet.example")], false, true, at(0));
    let placed = keys(&store.snapshot().places).join(" ");
    assert_eq!(placed, format!("id-b {MAIL}"), "each place has the room whose address it has");
    let emails: Vec<_> = store.snapshot().places.values().map(|record| record.value.email.clone()).collect();
    assert_eq!(emails, [MAIL, "new@meet.example"].map(Arc::from));
}

#[test]
fn an_address_that_another_account_takes_makes_two_rooms() {
    for swapped in [false, true] {
        let store = Store::new(Snapshot::default());
        store.take_accounts(&[user("id-a", MAIL, Tier::Pro)], true, at(0));
        store.settle_rooms();
        let (a, b) = (user("id-a", "new@meet.example", Tier::Pro), user("id-b", MAIL, Tier::Pro));
        let users = if swapped { [b, a] } else { [a, b] };
        store.take_accounts(&users, true, at(3600));
        check_two_rooms(&store);
        assert_eq!(keys(&store.snapshot().accounts), ["id-b", MAIL]);
        let before = store.snapshot().memory.rooms.clone();
        store.take_accounts(&users, true, at(7200));
        store.settle_accounts(&users);
        assert!(Arc::ptr_eq(&before, &store.snapshot().memory.rooms), "nothing goes back and forth");
        list(&store, &[signed_in("d", Some("id-a"), Some(MAIL), Health::Healthy)], 7200);
        assert_eq!(home(&store, "d").as_deref(), Some(MAIL), "an object id is better than an address");
    }
}

#[test]
fn devices_tell_two_accounts_by_their_object_ids() {
    let store = Store::new(Snapshot::default());
    let (old, new) = (Some(MAIL), Some("new@meet.example"));
    let a = |email| signed_in("a", Some("id-a"), email, Health::Healthy);
    let b = || signed_in("b", Some("id-b"), Some(MAIL), Health::Healthy);
    list(&store, &[a(old)], 0);
    store.settle_rooms();
    list(&store, &[b(), a(old)], 60);
    assert_eq!([home(&store, "a").as_deref(), home(&store, "b").as_deref()], [old, Some("id-b")]);
    for seconds in [120, 180] {
        list(&store, &[b(), a(new)], seconds);
    }
    check_two_rooms(&store);
}

/// Each has the other's address from one reading to the next.
#[test]
fn accounts_that_exchange_addresses_keep_their_rooms() {
    let store = Store::new(Snapshot::default());
    let other = "bergen@meet.example";
    let users = |a, b| [user("id-a", a, Tier::Pro), user("id-b", b, Tier::Pro)];
    store.take_accounts(&users(MAIL, other), true, at(0));
    store.settle_rooms();
    store.take_accounts(&users(other, MAIL), true, at(3600));
    let snapshot = store.snapshot();
    let rooms = snapshot.memory.rooms.rooms();
    let rooms: Vec<_> = rooms.map(|room| (&*room.id, room.object_id.as_deref())).collect();
    assert_eq!(rooms, [(other, Some("id-b")), (MAIL, Some("id-a"))]);
    let id = |name: &str| snapshot.memory.rooms.find([&name.into()]).map(|room| room.id.clone());
    assert_eq!([id(MAIL).as_deref(), id(other).as_deref()], [Some(other), Some(MAIL)]);
}

/// An account that was made again under its old address is the same room.
#[test]
fn an_address_whose_account_is_gone_keeps_its_room() {
    let store = Store::new(Snapshot::default());
    store.take_accounts(&[user("id-a", MAIL, Tier::Pro)], true, at(0));
    store.settle_rooms();
    store.take_accounts(&[user("id-b", MAIL, Tier::Pro)], true, at(3600));
    let snapshot = store.snapshot();
    let rooms: Vec<_> =
        snapshot.memory.rooms.rooms().map(|room| (&*room.id, room.object_id.as_deref())).collect();
    assert_eq!(rooms, [(MAIL, Some("id-b"))]);
}

#[test]
fn a_device_does_not_replace_the_object_id_that_the_directory_gave() {
    let store = Store::new(Snapshot::default());
    store.take_accounts(&[user("id-a", MAIL, Tier::Pro)], true, at(0));
    list(&store, &[signed_in("d", Some("id-x"), Some(MAIL), Health::Healthy)], 60);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.memory.rooms.room(MAIL).and_then(|room| room.object_id.as_deref()), Some("id-a"));
    assert_eq!(home(&store, "d").as_deref(), Some("id-x"));
}

/// The old name of a room goes to another account while the device of the room is signed out.
#[test]
fn a_signed_out_device_does_not_follow_the_old_name_of_its_room() {
    let store = Store::new(Snapshot::default());
    let panel = signed_in("d", None, Some(SIGN_IN), Health::Healthy);
    list(&store, &[Arc::new(Device { device_type: DeviceType::TeamsPanel, ..(*panel).clone() })], 0);
    let account = |other_names| User { other_names, ..user("id-1", MAIL, Tier::Pro) };
    store.take_accounts(&[account(vec![SIGN_IN.into()])], true, at(60));
    list(&store, &[device("d", DeviceType::TeamsPanel)], 120);
    assert_eq!(home(&store, "d").as_deref(), Some(MAIL));
    store.take_accounts(&[account(Vec::new()), user("id-2", SIGN_IN, Tier::Pro)], true, at(180));
    assert_eq!(store.snapshot().memory.rooms.rooms().count(), 2);
    assert_eq!(home(&store, "d").as_deref(), Some(MAIL));
}

/// Graph denies the detail twice. The lost connection in the last one no longer counts.
#[test]
fn a_device_without_a_detail_is_as_the_list_says() {
    let store = Store::new(Snapshot::default());
    let device = signed_in("d", Some("id-1"), None, Health::Healthy);
    list(&store, from_ref(&device), 0);
    let lost = Connection { connected: Some(false), changed: None };
    let read = |detail, seconds| {
        store.take_details(vec![(device.clone(), detail)], at(seconds));
        let standing = store.snapshot().memory.devices["d"].standing.expect("something is known");
        (standing.up, standing.began.map(Timestamp::seconds))
    };
    assert_eq!(read(Some(Arc::new(Detail { connection: lost, ..Detail::default() })), 10), (false, None));
    assert_eq!(read(None, 20), (false, None), "once may be a mistake");
    assert_eq!(read(None, 30), (true, Some(30)));
    assert!(!serde_json::to_string(&*store.snapshot().memory).expect("plain data").contains("connection"));
}

/// A device votes only on the room of the account that is signed in.
#[test]
fn a_device_that_moves_to_another_account_leaves_its_room_at_once() {
    for (trust, account, expected) in [
        (Trust::UnlessPerson, "id-2", Some("id-2")),
        (Trust::UnlessPerson, "id-9", None),
        (Trust::Never, "id-2", None),
    ] {
        let store = Store::new(Snapshot::default());
        store.take_accounts(&[user("id-1", MAIL, Tier::Pro)], true, at(0));
        let person = User { has_personal_name: true, ..user("id-9", "person@contoso.example", Tier::Other) };
        store.take_accounts(&[person], true, at(0));
        let take = |account: Option<&str>, seconds| {
            let device = signed_in("d", account, None, Health::Offline);
            store.take_devices(&[device], trust, at(seconds));
        };
        take(Some("id-1"), 0);
        assert_eq!(home(&store, "d").as_deref(), Some(MAIL));
        take(None, 60);
        assert_eq!(home(&store, "d").as_deref(), Some(MAIL), "an account without a name is no other");
        take(Some(account), 120);
        assert_eq!(home(&store, "d").as_deref(), expected, "{trust:?} {account}");
        let snapshot = store.snapshot();
        let fleet = Fleet::at(&snapshot, at(120));
        let old = fleet.rooms.iter().find(|room| &*room.room.id == MAIL).expect("the room stays");
        assert_eq!(Judgement::of(&fleet, old).votes, []);
    }
}

/// The younger of two devices names the room. Once it is gone, the other one does.
#[test]
fn a_room_gets_another_name_when_the_device_that_named_it_is_gone() {
    let named = |id: &str, account: &str, created: i64, name: &str| {
        let account = Account { id: Some(account.into()), name: Some(name.into()), email: None };
        let created = Some(at(created));
        Arc::new(Device { account: Some(account), created, ..(*device(id, DeviceType::TeamsRoom)).clone() })
    };
    let (old, young) = (named("old", "id-1", 1, "Oslo"), named("young", "id-1", 2, "Oslo (new)"));
    let name = |store: &Store| store.snapshot().memory.rooms.room("id-1").map(|room| room.name.to_string());
    let start = || {
        let store = Store::new(Snapshot::default());
        list(&store, &[young.clone(), old.clone()], 0);
        assert_eq!(name(&store).as_deref(), Some("Oslo (new)"));
        store
    };
    let store = start();
    list(&store, from_ref(&old), 60);
    assert_eq!(name(&store).as_deref(), Some("Oslo"));
    let store = start();
    list(&store, &[named("young", "id-2", 2, "Bergen"), old.clone()], 60);
    assert_eq!(name(&store).as_deref(), Some("Oslo"), "it has moved");
    // Without any device the last good name stays, until another comes.
    let store = start();
    list(&store, &[named("other", "id-3", 3, "Bergen")], 60);
    assert_eq!(name(&store).as_deref(), Some("Oslo (new)"));
    list(&store, &[named("other", "id-3", 3, "Bergen"), old.clone()], 120);
    assert_eq!(name(&store).as_deref(), Some("Oslo"));
    // A name that the directory gave is not touched.
    let store = start();
    store.take_accounts(&[User { name: Some("Fjord".into()), ..user("id-1", MAIL, Tier::Pro) }], true, at(0));
    list(&store, from_ref(&old), 60);
    assert_eq!(name(&store).as_deref(), Some("Fjord"));
}

/// The exporter observes both before the directory shows that they are one.
#[test]
fn rooms_that_prove_to_be_one_keep_their_times_and_counters() {
    let observe = |store: &Store, seconds| {
        let snapshot = store.snapshot();
        let fleet = Fleet::at(&snapshot, at(seconds));
        let sights = fleet.rooms.iter().map(|room| (room.room.id.clone(), Sight::of(&fleet, room)));
        store.observe_rooms(&sights.collect(), at(seconds));
    };
    let store = Store::new(Snapshot::default());
    let named = |health| signed_in("d", Some("id-1"), None, health);
    store.take_devices(&[named(Health::Healthy)], Trust::UnlessPerson, at(0));
    let oslo = Place { name: Some("Oslo room".into()), ..place(MAIL) };
    store.take_places(vec![oslo.clone()], false, true, at(0));
    store.settle_rooms();
    observe(&store, 0);
    store.take_devices(&[named(Health::Offline)], Trust::UnlessPerson, at(60));
    observe(&store, 60);
    observe(&store, 90);
    store.take_accounts(&[user("id-1", MAIL, Tier::Pro)], true, at(100));
    let snapshot = store.snapshot();
    let [room] = snapshot.memory.rooms.rooms().collect::<Vec<_>>()[..] else { panic!("one room") };
    let seconds = |state: RoomState| {
        let totals = store.snapshot().usage.of(&room.id).cloned().expect("counted");
        totals.states().find(|(one, _)| *one == state).map(|(_, seconds)| seconds.service)
    };
    let since = || store.snapshot().memory.states[&room.id].since;
    assert_eq!((seconds(RoomState::Ok), seconds(RoomState::Down)), (Some(60), Some(30)));
    assert_eq!(since(), Some(at(60)));
    observe(&store, 105);
    assert_eq!(since(), Some(at(60)));
    assert_eq!(seconds(RoomState::Down), Some(45), "and it counts on");
}

#[test]
fn a_state_that_accounts_bring_along_began_before() {
    let store = Store::new(Snapshot::default());
    let device = signed_in("d", Some("id-1"), Some(MAIL), Health::Healthy);
    store.take_devices(&[device], Trust::UnlessPerson, at(0));
    assert_eq!(look(&store, 0), (RoomState::Ok, None));
    assert_eq!(look(&store, 15), (RoomState::Ok, None));
    let account = |enabled, license, seconds| {
        let account = RoomAccount { enabled, license, ..RoomAccount::default() };
        store.take_accounts(&[User { account, ..user("id-1", MAIL, Tier::Pro) }], true, at(seconds));
    };
    account(Some(false), None, 20);
    assert_eq!(look(&store, 30), (RoomState::Degraded, None), "it was disabled before");
    account(Some(true), None, 40);
    assert_eq!(look(&store, 45), (RoomState::Ok, Some(45)));
    account(Some(true), Some(Tier::None), 50);
    assert_eq!(look(&store, 60), (RoomState::Degraded, None), "its licenses were not known before");
}

/// The list of devices says nothing of the room; the presence is the first to know.
#[test]
fn a_state_that_a_presence_brings_along_began_before() {
    let store = Store::new(Snapshot::default());
    list(&store, &[signed_in("d", Some("id-1"), Some(MAIL), Health::Unknown)], 0);
    assert_eq!(look(&store, 0), (RoomState::Unknown, None));
    assert_eq!(look(&store, 15), (RoomState::Unknown, None));
    show(&store, MAIL, Availability::Available, 20);
    assert_eq!(look(&store, 30), (RoomState::Ok, None));
    show(&store, MAIL, Availability::Unknown, 40);
    assert_eq!(look(&store, 45), (RoomState::Unknown, Some(45)));
}

#[test]
fn a_state_that_places_bring_along_began_before() {
    let store = Store::new(Snapshot::default());
    let device = signed_in("d", Some("id-1"), None, Health::Healthy);
    list(&store, &[device], 0);
    assert_eq!(look(&store, 0), (RoomState::Ok, None));
    let event = incident(Progress::New, Signal::Offline, Severity::Critical, MAIL);
    store.take_incident(Reporter::ProManagement, Some(event), at(10));
    assert_eq!(look(&store, 15), (RoomState::Ok, None), "no room has this address");
    store.take_places(vec![Place { name: Some("Oslo".into()), ..place(MAIL) }], false, true, at(20));
    assert_eq!(look(&store, 30), (RoomState::Down, None));
}

/// Nothing that began before a pause is known to have lasted through it.
#[test]
fn a_pause_ends_every_time_that_the_exporter_saw() {
    let store = Store::new(Snapshot::default());
    let device = |health| [signed_in("d", Some("id-1"), Some(MAIL), health)];
    let account = |enabled, tier| {
        let mut user = user("id-1", MAIL, tier);
        user.account.enabled = Some(enabled);
        [user]
    };
    store.take_devices(&device(Health::Healthy), Trust::UnlessPerson, at(0));
    store.take_accounts(&account(true, Tier::Pro), true, at(0));
    show(&store, MAIL, Availability::Available, 0);
    look(&store, 0);
    store.take_devices(&device(Health::Offline), Trust::UnlessPerson, at(10));
    store.take_accounts(&account(false, Tier::Other), true, at(10));
    show(&store, MAIL, Availability::Offline, 10);
    look(&store, 10);
    let times = || {
        let snapshot = store.snapshot();
        let (device, account) = (&snapshot.memory.devices["d"], &snapshot.accounts[MAIL].value);
        let (presence, state) = (&snapshot.memory.presence[MAIL], &snapshot.memory.states[MAIL]);
        [
            device.health_since,
            device.standing.and_then(|standing| standing.began),
            account.disabled_since,
            account.unlicensed_since,
            presence.online_since,
            state.since,
        ]
    };
    assert_eq!(times(), [Some(at(10)); 6]);
    store.lose_track(at(20));
    assert_eq!(times(), [None; 6]);
    store.take_accounts(&account(false, Tier::Other), true, at(30));
    assert_eq!(times(), [None; 6], "nor does the next reading bring one back");
}

#[test]
fn rooms_that_nobody_asks_for_are_forgotten() {
    let store = Store::new(Snapshot::default());
    show(&store, "gone", Availability::Available, 0);
    let forget = i64::try_from(FORGET_AFTER.as_secs()).expect("some months");
    show(&store, "oslo", Availability::Available, forget - 1);
    assert_eq!(keys(&store.snapshot().presence), ["gone", "oslo"]);
    show(&store, "oslo", Availability::Available, forget);
    let snapshot = store.snapshot();
    assert_eq!((keys(&snapshot.presence), snapshot.memory.presence.len()), (vec!["oslo"], 1));
}

/// The list of licensed users came, then the directory went away: each room that is asked for by name is one it does not know.
#[test]
fn an_account_leaves_once_two_readings_in_a_row_lack_it() {
    let store = Store::new(Snapshot::default());
    let user = |name: &str| user(&format!("id-{name}"), &format!("{name}@contoso.example"), Tier::Pro);
    let read = |names: &[&str]| {
        let users: Vec<User> = names.iter().map(|name| user(name)).collect();
        store.take_accounts(&users, true, at(0));
        let settled = store.settle_accounts(&users);
        (settled.removed.len(), settled.held, store.snapshot().accounts.len())
    };
    assert_eq!(read(&["oslo", "rome", "bonn"]), (0, 0, 3));
    assert_eq!(read(&["oslo", "rome"]), (0, 1, 3), "bonn is missed");
    assert_eq!(read(&["oslo", "bonn"]), (0, 1, 3), "rome is missed, bonn is back");
    assert_eq!(read(&["oslo", "rome"]), (0, 1, 3), "bonn anew");
    assert_eq!(read(&[]), (0, 0, 3), "nothing at all says nothing");
    assert_eq!(read(&["oslo", "rome"]), (1, 0, 2), "bonn twice");
}

#[test]
fn places_and_accounts_leave_after_three_listings_where_many_are_missing() {
    let store = Store::new(Snapshot::default());
    let email = |n: usize| format!("room-{n}@contoso.example");
    let places = |count| (0..count).map(|n| place(&email(n))).collect::<Vec<_>>();
    let users = |count| (0..count).map(|n| user(&n.to_string(), &email(n), Tier::Pro)).collect::<Vec<_>>();
    let list = |count| {
        let of_places = store.take_places(places(count), true, true, at(0));
        store.take_accounts(&users(count), true, at(0));
        let of_accounts = store.settle_accounts(&users(count));
        let snapshot = store.snapshot();
        [(of_places.held, snapshot.places.len()), (of_accounts.held, snapshot.accounts.len())]
    };
    assert_eq!(list(100), [(0, 100); 2]);
    assert_eq!(list(95), [(0, 95), (5, 100)]);
    assert_eq!(list(95), [(0, 95); 2]);
    assert_eq!(list(60), [(35, 95); 2]);
    assert_eq!(list(0), [(0, 95); 2]);
    assert_eq!(list(60), [(35, 95); 2]);
    assert_eq!(list(60), [(0, 60); 2]);
    assert_eq!(store.take_places(places(1), true, false, at(0)), Settled::default(), "not read to the end");
    assert_eq!(store.snapshot().places.len(), 60);
}

#[test]
fn nothing_is_kept_of_a_user_who_is_no_room() {
    let store = Store::new(Snapshot::default());
    let person = User { has_personal_name: true, ..user("id-9", "person@contoso.example", Tier::Other) };
    let account = Account { id: Some("id-9".into()), email: person.email.clone(), name: None };
    let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
    store.take_devices(&[Arc::new(device)], Trust::UnlessPerson, at(0));
    let (room, known) = (user("id-1", MAIL, Tier::Pro), user("id-2", SIGN_IN, Tier::None));
    store.take_places(vec![place(SIGN_IN)], false, true, at(0));
    store.take_accounts(&[person, room, known], true, at(0));
    assert_eq!(keys(&store.snapshot().accounts), [SIGN_IN, MAIL]);
    let listed = Store::new(Snapshot::default());
    listed.take_accounts(&[user("id-1", MAIL, Tier::Pro)], false, at(0));
    assert!(listed.snapshot().accounts.is_empty(), "where lists define the rooms, a license does not");
}

/// The list of devices shows the account of a person before the directory answers.
#[test]
fn nothing_stays_of_a_person_whom_the_directory_names() {
    let store = Store::new(Snapshot::default());
    let (id, email) = ("id-9", "jane.doe@contoso.example");
    let account = Account { id: Some(id.into()), name: Some("Jane Doe".into()), email: Some(email.into()) };
    let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
    list(&store, &[Arc::new(device)], 0);
    show(&store, email, Availability::Busy, 0);
    assert_eq!(home(&store, "d").as_deref(), Some(email), "until the directory answers");
    let person = User { has_personal_name: true, ..user(id, email, Tier::Other) };
    store.take_accounts(&[person], true, at(60));
    let snapshot = store.snapshot();
    let kept = format!("{snapshot:?}").to_lowercase();
    assert!(!kept.contains("jane"), "{kept}");
    assert_eq!(snapshot.memory.devices["d"].home, None);
    assert!(snapshot.presence.is_empty() && snapshot.memory.presence.is_empty());
    let stored = serde_json::to_string(&*snapshot.memory).expect("plain data").to_lowercase();
    assert!(stored.contains(id) && !stored.contains("jane"), "{stored}");
}

#[test]
fn a_list_that_is_not_complete_ends_nothing() {
    let store = Store::new(Snapshot::default());
    let licenses = |names: &[&str]| names.iter().map(|name| ((*name).into(), License::default())).collect();
    let skus = || keys(&store.snapshot().licenses).into_iter().map(str::to_owned).collect::<Vec<_>>();
    store.take_licenses(licenses(&["basic", "pro"]), true, at(0));
    store.take_licenses(licenses(&["pro"]), false, at(1));
    assert_eq!(skus(), ["basic", "pro"]);
    store.take_licenses(licenses(&["pro"]), true, at(2));
    assert_eq!(skus(), ["pro"]);

    let issues = |incidents, advisories, whole| {
        let health = ServiceHealth { state: ServiceState::Degraded, incidents, advisories };
        store.take_service_health(vec![("teams".into(), health)], whole, at(0));
        let held = store.snapshot().service_health["teams"].value.clone();
        (held.incidents, held.advisories)
    };
    assert_eq!(issues(2, 1, true), (2, 1));
    assert_eq!(issues(0, 3, false), (2, 3));
    assert_eq!(issues(0, 3, true), (0, 3));
}

#[test]
fn the_first_spelling_of_a_product_is_kept() {
    let store = Store::new(Snapshot::default());
    let take = |spelling: &str| {
        let device = ("1".into(), ManagedDevice::default());
        store.take_managed_devices(vec![device], &[spelling.into()], at(0));
        store.snapshot().memory
    };
    let first = take("MeetingBar A30");
    assert_eq!(first.product_names.spelling("meetingbara30"), "MeetingBar A30");
    let second = take("Meetingbar A30");
    assert!(Arc::ptr_eq(&first, &second), "nothing was learned, nothing is copied");
}

#[test]
fn a_renewal_that_was_not_read_is_the_one_held() {
    let store = Store::new(Snapshot::default());
    let renewal = Some(crate::model::license::Renewal { at: at(99), read_at: at(0) });
    let take = |license: License| store.take_licenses(vec![("pro".into(), license)], true, at(1));
    take(License { renewal, ..License::default() });
    take(License { enabled: Some(3), ..License::default() });
    let license = store.snapshot().licenses["pro"].clone();
    assert_eq!(*license.value, License { enabled: Some(3), renewal, ..License::default() });
}

#[test]
fn a_pause_ends_the_since_times_of_an_account_at_once() {
    let store = Store::new(Snapshot::default());
    let moment = |seconds, tier| store.take_accounts(&[user("id-1", MAIL, tier)], true, at(seconds));
    moment(0, Tier::Pro);
    moment(60, Tier::None);
    let since = || store.snapshot().accounts[MAIL].value.unlicensed_since;
    assert_eq!(since(), Some(at(60)));
    store.lose_track(at(120));
    assert_eq!(since(), None, "the scrape that wakes shows no time");
    moment(130, Tier::None);
    assert_eq!(since(), None, "and neither does what is read then");
}

#[test]
fn a_detail_leaves_with_its_device_and_when_it_was_denied_twice() {
    let store = Store::new(Snapshot::default());
    let devices = ["a", "b"].map(|id| device(id, DeviceType::TeamsRoom));
    store.take_devices(&devices, Trust::UnlessPerson, at(0));
    let read = |index: usize, detail: Option<Detail>| {
        store.take_details(vec![(devices[index].clone(), detail.map(Arc::new))], at(1));
        store.snapshot().details.get(&devices[index].id).map(|reading| reading.detail.is_some())
    };
    assert_eq!(read(1, None), Some(false), "it never had one");
    assert_eq!(read(1, Some(Detail::default())), Some(true));
    assert_eq!(read(0, Some(Detail::default())), Some(true));
    assert_eq!([read(0, None), read(0, None)], [Some(true), Some(false)]);
    let asked = vec![DeviceType::TeamsRoom];
    let census = Census { seen: ["b".into()].into(), complete: asked.clone(), asked };
    store.settle_devices(&census, at(2));
    assert_eq!(store.snapshot().details.keys().map(|id| &**id).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn lists_of_rooms_that_are_empty_leave_no_room_out() {
    let store = Store::new(Snapshot::default());
    let oslo = signed_in("a", Some("id-1"), Some(MAIL), Health::Healthy);
    store.take_devices(&[oslo], Trust::UnlessPerson, at(0));
    let is_room = || store.snapshot().memory.rooms.room(MAIL).is_some();
    store.take_places(Vec::new(), true, true, at(1));
    assert!(is_room(), "an empty list says nothing of others");
    store.take_places(vec![place("bergen@meet.example")], false, true, at(1));
    assert!(is_room(), "these are not all that the operator named");
    store.take_places(vec![place("bergen@meet.example")], true, true, at(2));
    assert!(!is_room());
}

/// The sources have settled; a room that comes later gets its id from the list that names it.
#[test]
fn a_list_fixes_the_ids_of_the_rooms_that_it_brings() {
    let store = Store::new(Snapshot::default());
    store.settle_rooms();
    let bare = signed_in("a", Some("id-1"), None, Health::Healthy);
    list(&store, from_ref(&bare), 0);
    list(&store, &[signed_in("a", Some("id-1"), Some(MAIL), Health::Healthy)], 60);
    assert_eq!(home(&store, "a").as_deref(), Some("id-1"));
}

#[test]
fn whoever_stands_in_the_rooms_file_is_a_room_unless_it_is_excluded() {
    let store = Store::new(Snapshot::default());
    let rooms = [(MAIL, false), (SIGN_IN, true)].map(|(email, exclude)| {
        let facts = crate::model::rooms_file::RoomFacts { exclude, ..Default::default() };
        (Arc::from(email), facts)
    });
    store.take_rooms_file(rooms.into());
    let snapshot = store.snapshot();
    let rooms: Vec<&str> = snapshot.memory.rooms.rooms().map(|room| &*room.id).collect();
    assert_eq!((rooms, snapshot.rooms_file.len()), (vec![MAIL], 2));
}

/// The managed devices that are held, after these came at the start and a complete list has had those at `now`.
#[track_caller]
fn check_managed(held: usize, seen: usize, now: i64, expected: usize) {
    let status = Status::starting(at(60).since(at(0)), at(100).since(at(0)));
    let status = Arc::new([(Collector::Intune, status)].into());
    let store = Store::new(Snapshot { status, ..Snapshot::default() });
    let ids = |count: usize| (0..count).map(|n| Arc::from(format!("{n:03}")));
    store.take_managed_devices(ids(held).map(|id| (id, ManagedDevice::default())).collect(), &[], at(0));
    store.settle_managed_devices(&ids(seen).collect(), at(now));
    assert_eq!(store.snapshot().intune.len(), expected, "{seen} of {held} at {now}");
}

#[test]
fn managed_devices_leave_with_a_list_or_where_many_are_missing_when_they_expire() {
    check_managed(100, 100, 0, 100);
    check_managed(100, 99, 0, 99);
    check_managed(100, 80, 0, 80);
    check_managed(100, 79, 0, 100);
    check_managed(100, 79, 100, 100);
    check_managed(100, 79, 101, 79);
    check_managed(100, 0, 0, 100);
    check_managed(1, 1, 101, 1);
}

#[test]
fn managed_devices_have_a_bound_and_those_that_are_held_are_read_again() {
    let store = Store::new(Snapshot::default()).bounded(2);
    let take = |ids: &[&str], seconds| {
        let devices = ids.iter().map(|id| ((*id).into(), ManagedDevice::default())).collect();
        store.take_managed_devices(devices, &[], at(seconds));
        let snapshot = store.snapshot();
        let held = snapshot.intune.iter().map(|(id, record)| format!("{id} {}", record.read_at.seconds()));
        held.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(take(&["a", "b", "c"], 0), "a 0, b 0");
    assert_eq!(take(&["c", "b"], 9), "a 0, b 9");
}

#[test]
fn a_credential_has_one_expiry_and_a_collector_one_status() {
    let status = Status::starting(at(60).since(at(0)), at(100).since(at(0)));
    let status = Arc::new([(Collector::Devices, status)].into());
    let store = Store::new(Snapshot { status, ..Snapshot::default() });
    store.take_credential_expiry("client_secret", at(1), at(0));
    store.take_credential_expiry("certificate", at(2), at(0));
    let held = store.snapshot().credentials;
    assert_eq!((keys(&held), held["certificate"].value.expires), (vec!["certificate"], at(2)));
    for collector in [Collector::Devices, Collector::Places] {
        store.update_status(collector, |status| status.items = 7);
    }
    let items = |one| store.snapshot().status(one).map(|status| status.items);
    assert_eq!((items(Collector::Devices), items(Collector::Places)), (Some(7), None), "there is none");
}

/// Traces show which cycle made the snapshot that a scrape shows.
#[test]
fn a_change_is_told_once_with_the_span_that_made_it() {
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let store = Store::new(Snapshot::default());
        let span = tracing::info_span!("cycle");
        span.in_scope(|| store.lose_track(at(0)));
        store.lose_track(at(1)); // outside of any
        assert_eq!(store.take_changed_by().id(), span.id());
        assert!(store.take_changed_by().is_none());
    });
}
