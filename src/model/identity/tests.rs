//! Claims, the rooms that they lead to in any order, and what a later one changes.

use std::sync::Arc;

use super::*;
use crate::model::account::User;
use crate::model::account::{RoomAccount, Tier};
use crate::model::device::Device;
use crate::model::device::{Account, DeviceType};
use crate::model::listing::tests::device;
use crate::model::place::Place;
use crate::model::record::Record;
use crate::model::{Snapshot, Timestamp};
use crate::store::Store;

fn claim<'a>(id: Option<&'a str>, email: Option<&'a str>, name: Option<&'a str>) -> Claim<'a> {
    let tie = Some(Tie::Mail);
    Claim { object_id: id, email, name, confirmed: false, tie, ..Claim::nothing(Authority::Device) }
}

#[track_caller]
fn check(registry: &mut Arc<Registry>, claim: &Claim<'_>, id: &str, name: &str) {
    let assigned = Registry::assign(registry, claim).expect("an account with an alias is a room");
    assert_eq!(&*assigned, id);
    assert_eq!(&*registry.room(&assigned).expect("assigned").name, name);
}

#[test]
fn a_room_keeps_its_id_whatever_is_learnt_later() {
    let mut registry = Arc::new(Registry::default());
    check(&mut registry, &claim(Some("ID-1"), None, Some("Oslo")), "id-1", "Oslo");
    Registry::settle(&mut registry);
    check(&mut registry, &claim(Some("id-1"), Some("oslo@contoso.example"), None), "id-1", "Oslo");
    check(&mut registry, &claim(None, Some("oslo@contoso.example"), Some("Oslo 3")), "id-1", "Oslo 3");
    assert_eq!(registry.room("id-1").and_then(|room| room.email.as_deref()), Some("oslo@contoso.example"));
    assert_eq!(registry.rooms().count(), 1);
}

#[test]
fn the_mail_address_is_the_identity_where_it_is_known_first() {
    let mut registry = Arc::new(Registry::default());
    let bergen = "bergen@contoso.example";
    check(&mut registry, &claim(Some("id-2"), Some("Bergen@contoso.example"), None), bergen, bergen);
    check(&mut registry, &claim(Some("id-2"), None, Some("Bergen")), bergen, "Bergen");
}

#[test]
fn an_account_without_any_alias_is_no_room() {
    let mut registry = Arc::new(Registry::default());
    assert_eq!(Registry::assign(&mut registry, &claim(None, None, Some("Oslo"))), None);
}

#[test]
fn learning_nothing_copies_nothing() {
    let mut registry = Arc::new(Registry::default());
    let oslo = claim(Some("id-1"), None, Some("Oslo"));
    Registry::assign(&mut registry, &oslo);
    let before = registry.clone();
    Registry::assign(&mut registry, &oslo);
    assert!(Arc::ptr_eq(&before, &registry));
}

#[test]
fn a_place_names_a_room_better_than_a_device() {
    let mut registry = Arc::new(Registry::default());
    let oslo = "oslo@contoso.example";
    let place = Place { email: oslo.into(), name: Some("Oslo 3.14".into()), ..Place::default() };
    check(&mut registry, &claim(None, Some(oslo), Some("MTR Oslo")), oslo, "MTR Oslo");
    check(&mut registry, &Claim::from(&place), oslo, "Oslo 3.14");
    check(&mut registry, &claim(None, Some(oslo), Some("MTR Oslo")), oslo, "Oslo 3.14");
}

#[test]
fn two_rooms_that_prove_to_be_one_account_become_one() {
    let mut registry = Arc::new(Registry::default());
    let oslo = "oslo@contoso.example";
    check(&mut registry, &claim(Some("id-1"), None, Some("Oslo")), "id-1", "Oslo");
    check(&mut registry, &claim(None, Some(oslo), None), oslo, oslo);
    check(&mut registry, &claim(Some("id-1"), Some(oslo), None), oslo, "Oslo");
    assert_eq!(registry.room("id-1").map(|room| &*room.id), Some(oslo), "the old id still finds it");
    assert_eq!(registry.rooms().count(), 1);
}

#[test]
fn an_id_is_the_mail_address_in_whatever_order_the_first_readings_end() {
    let (mail, id) = ("oslo@contoso.example", "id-1");
    let place = Place { email: mail.into(), ..Place::default() };
    let user = user(id, Some(mail), &[]);
    let device = claim(Some(id), None, Some("Oslo"));
    let claims = [Claim::from(&place), Claim::of_user(&user, true), device];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut registry = Arc::new(Registry::default());
        for at in order {
            Registry::assign(&mut registry, &claims[at]);
        }
        let ids: Vec<&str> = registry.rooms().map(|room| &*room.id).collect();
        assert_eq!(ids, [mail], "{order:?}");
        assert_eq!(registry.known(id).and_then(|room| room.tie), Some(Tie::ObjectId), "{order:?}");
    }
}

#[test]
fn people_are_forgotten_once_the_directory_names_them() {
    let mut registry = Arc::new(Registry::default());
    let room = Claim { confirmed: true, ..claim(None, Some("oslo@contoso.example"), Some("Oslo")) };
    let person = claim(Some("id-9"), Some("person@contoso.example"), Some("A Person"));
    Registry::assign(&mut registry, &room);
    Registry::assign(&mut registry, &person);
    Registry::forget_people(&mut registry);
    assert_eq!(registry.rooms().count(), 2, "any account can be a room until the directory refutes it");
    Registry::note_person(&mut registry, &user("id-9", Some("person@contoso.example"), &[]));
    Registry::forget_people(&mut registry);
    let kept = format!("{registry:?}");
    assert!(kept.contains("Oslo") && !kept.to_lowercase().contains("person@"), "{kept}");
    assert!(registry.is_person([&"person@contoso.example".into(), &"id-9".into()]));
    assert!(!registry.is_person([&"Oslo@contoso.example".into()]));
    Registry::note_room(&mut registry, &user("id-9", None, &[]));
    assert!(!registry.is_person([&"id-9".into()]), "the directory may change its mind");
}

/// A device may name an account by its mail address alone.
#[test]
fn a_person_without_an_object_id_stays_forgotten() {
    let mut registry = Arc::new(Registry::default());
    let person = claim(None, Some("person@contoso.example"), Some("A Person"));
    Registry::assign(&mut registry, &person);
    Registry::note_person(&mut registry, &user("id-9", Some("person@contoso.example"), &[]));
    Registry::forget_people(&mut registry);
    assert!(registry.is_person([&"Person@contoso.example".into()]));
    assert_eq!(registry.rooms().count(), 0);
}

#[test]
fn a_person_whom_a_list_calls_a_room_is_one() {
    let mut registry = Arc::new(Registry::default());
    let oslo = "oslo@contoso.example";
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(oslo), Some("Oslo")));
    Registry::note_person(&mut registry, &user("id-1", Some(oslo), &[]));
    assert!(registry.room("id-1").is_none());
    let place = Place { email: oslo.into(), ..Place::default() };
    check(&mut registry, &Claim::from(&place), oslo, "Oslo");
    Registry::forget_people(&mut registry);
    assert!(registry.room("id-1").is_some() && !registry.is_person([&"id-1".into()]));
}

#[test]
fn lists_that_the_operator_names_leave_out_every_other_account() {
    let mut registry = Arc::new(Registry::default());
    let other = claim(None, Some("other@contoso.example"), Some("Other"));
    check(&mut registry, &other, "other@contoso.example", "Other");
    Registry::narrow(&mut registry, true);
    assert!(registry.room("other@contoso.example").is_none());
    assert_eq!(registry.rooms().count(), 0);
    check(&mut registry, &Claim { confirmed: true, ..other.clone() }, "other@contoso.example", "Other");
    Registry::narrow(&mut registry, false);
    assert_eq!(registry.rooms().count(), 1);
}

/// A place and the account of a device, known by an object id and a name alone.
fn place_and_device() -> Arc<Registry> {
    let mut registry = Arc::new(Registry::default());
    let place = Place { email: OSLO.into(), name: Some("Oslo".into()), ..Place::default() };
    check(&mut registry, &Claim::from(&place), OSLO, "Oslo");
    check(&mut registry, &claim(Some("id-1"), None, Some("Oslo")), "id-1", "Oslo");
    Registry::join_by_name(&mut registry, "id-1", OSLO);
    registry
}

const OSLO: &str = "oslo@contoso.example";

/// Id, mail address, object id, and the evidence that they are one.
type Shown<'a> = (&'a str, Option<&'a str>, Option<&'a str>, Option<Tie>);

#[track_caller]
fn check_rooms(registry: &Registry, expected: &[Shown<'_>]) {
    let rooms: Vec<_> = registry
        .rooms()
        .map(|room| (&*room.id, room.email.as_deref(), room.object_id.as_deref(), room.tie))
        .collect();
    assert_eq!(rooms, expected);
}

#[test]
fn equal_names_join_until_the_directory_knows_better() {
    let mut registry = place_and_device();
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-1"), Some(Tie::Name))]);
    let joined = registry.clone();
    Registry::join_by_name(&mut registry, "id-1", OSLO);
    assert!(Arc::ptr_eq(&joined, &registry), "once");

    let mut confirmed = joined.clone();
    Registry::assign(&mut confirmed, &Claim::of_user(&user("id-1", Some(OSLO), &[]), true));
    check_rooms(&confirmed, &[(OSLO, Some(OSLO), Some("id-1"), Some(Tie::ObjectId))]);

    // The account has another mailbox, which is a room, too.
    let bergen = "bergen@contoso.example";
    let mut elsewhere = joined.clone();
    let place = Place { email: bergen.into(), name: Some("Bergen".into()), ..Place::default() };
    Registry::assign(&mut elsewhere, &Claim::from(&place));
    Registry::assign(&mut elsewhere, &Claim::of_user(&user("id-1", Some(bergen), &[]), true));
    let expected =
        [(bergen, Some(bergen), Some("id-1"), Some(Tie::ObjectId)), (OSLO, Some(OSLO), None, None)];
    check_rooms(&elsewhere, &expected);

    // The mailbox has another account.
    let mut other = joined.clone();
    Registry::assign(&mut other, &Claim::of_user(&user("id-2", Some(OSLO), &[]), true));
    let expected =
        [("id-1", None, Some("id-1"), None), (OSLO, Some(OSLO), Some("id-2"), Some(Tie::ObjectId))];
    check_rooms(&other, &expected);
    assert!(other.has_changes());
}

/// The address that a device signs in with need not be the mailbox; the directory may not show every address.
#[test]
fn names_that_do_not_tell_against_it_leave_a_join_alone() {
    let mut registry = place_and_device();
    let sign_in = "mtr-oslo@contoso.example";
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("Oslo")));
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-1"), Some(Tie::Name))]);
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(sign_in), &[]), true));
    assert_eq!(registry.rooms().count(), 1);
}

/// The id of a room that was served before the place was known is kept; parted, each half keeps its own name.
#[test]
fn a_join_and_its_end_keep_the_older_id() {
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), None, Some("Oslo")));
    Registry::settle(&mut registry);
    let place = Place { email: OSLO.into(), name: Some("Oslo".into()), ..Place::default() };
    Registry::assign(&mut registry, &Claim::from(&place));
    Registry::join_by_name(&mut registry, "id-1", OSLO);
    check_rooms(&registry, &[("id-1", Some(OSLO), Some("id-1"), Some(Tie::Name))]);
    Registry::take_changes(&mut registry);
    Registry::assign(&mut registry, &Claim::of_user(&user("id-2", Some(OSLO), &[]), true));
    let (united, parted) = Registry::take_changes(&mut registry);
    assert_eq!((united, parted.len()), (Vec::new(), 1));
    let expected =
        [("id-1", None, Some("id-1"), None), (OSLO, Some(OSLO), Some("id-2"), Some(Tie::ObjectId))];
    check_rooms(&registry, &expected);
}

/// An account that devices know by two names takes both along.
#[test]
fn a_parted_account_keeps_every_name() {
    let mut registry = Arc::new(Registry::default());
    let sign_in = "mtr-oslo@contoso.example";
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("Oslo")));
    let place = Place { email: OSLO.into(), name: Some("Oslo".into()), ..Place::default() };
    Registry::assign(&mut registry, &Claim::from(&place));
    Registry::join_by_name(&mut registry, "id-1", OSLO);
    assert_eq!(registry.rooms().count(), 1);
    Registry::assign(&mut registry, &Claim::of_user(&user("id-2", Some(OSLO), &[]), true));
    for name in ["id-1", sign_in] {
        assert_eq!(registry.room(name).map(|room| &*room.id), Some(sign_in), "{name}");
    }
}

#[test]
fn the_rooms_file_joins_by_object_id() {
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), None, Some("Oslo")));
    Registry::assign(&mut registry, &Claim::of_file(OSLO, Some("ID-1")));
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-1"), Some(Tie::File))]);
}

fn user(id: &str, email: Option<&str>, other_names: &[&str]) -> User {
    User {
        object_id: id.into(),
        email: email.map(Into::into),
        other_names: other_names.iter().map(|name| Arc::from(*name)).collect(),
        name: Some("Room Oslo".into()),
        has_personal_name: false,
        account: RoomAccount { license: Some(Tier::Pro), ..RoomAccount::default() },
    }
}

#[test]
fn every_name_of_an_account_leads_to_its_room() {
    let mut registry = Arc::new(Registry::default());
    let oslo = user("id-1", Some("oslo@meet.example"), &["mtr-oslo@contoso.example", "old@contoso.example"]);
    check(&mut registry, &Claim::of_user(&oslo, true), "oslo@meet.example", "Room Oslo");
    for device in ["MTR-Oslo@contoso.example", "old@contoso.example", "oslo@meet.example"] {
        let device = claim(None, Some(device), Some("MTR"));
        check(&mut registry, &device, "oslo@meet.example", "Room Oslo");
    }
    let room = registry.room("ID-1".to_lowercase().as_str()).expect("found by its object id");
    assert_eq!(room.email.as_deref(), Some("oslo@meet.example"), "a device does not know the address better");
    assert_eq!(registry.rooms().count(), 1);
}

#[test]
fn an_account_unites_what_its_names_had_kept_apart() {
    let mut registry = Arc::new(Registry::default());
    let (sign_in, mail) = ("mtr-oslo@contoso.example", "oslo@meet.example");
    let place = Place { email: mail.into(), name: Some("Oslo 3.14".into()), ..Place::default() };
    check(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("MTR")), sign_in, "MTR");
    check(&mut registry, &Claim::from(&place), mail, "Oslo 3.14");
    assert_eq!(registry.rooms().count(), 2, "places do not know the name it signs in with");
    // Without a licence for rooms the account says only who it is.
    check(&mut registry, &Claim::of_user(&user("id-1", Some(mail), &[sign_in]), false), mail, "Room Oslo");
    assert_eq!(registry.room(sign_in).map(|room| &*room.id), Some(mail));
    let united = United { gone: sign_in.into(), id: mail.into() };
    assert_eq!(Registry::take_changes(&mut registry), (vec![united], Vec::new()));
    assert!(!registry.has_changes());
    check(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("MTR")), mail, "Room Oslo");
    assert!(!registry.has_changes(), "once");
}

#[track_caller]
fn check_name(devices: &[(DeviceType, Option<i64>, &str)], expected: &str) {
    let mut registry = Arc::new(Registry::default());
    for _ in 0..2 {
        for (device_type, created, name) in devices {
            let account = Account { id: Some("id-1".into()), name: Some((*name).into()), email: None };
            let created = created.map(Timestamp::from_seconds);
            let device = Device { account: Some(account), created, ..(*device("d", *device_type)).clone() };
            let claim = Claim::of_device(&device, Trust::UnlessPerson).expect("an account");
            Registry::assign(&mut registry, &claim);
        }
    }
    assert_eq!(registry.room("id-1").map(|room| &*room.name), Some(expected), "{devices:?}");
}

#[test]
fn of_several_devices_the_youngest_that_runs_meetings_names_the_room() {
    use DeviceType::{TeamsPanel, TeamsRoom};
    check_name(&[(TeamsRoom, Some(1), "core"), (TeamsPanel, Some(2), "panel")], "core");
    check_name(&[(TeamsPanel, Some(2), "panel"), (TeamsRoom, None, "core")], "core");
    check_name(&[(TeamsRoom, Some(2), "new"), (TeamsRoom, Some(1), "old")], "new");
    check_name(&[(TeamsRoom, Some(1), "old"), (TeamsRoom, Some(2), "new")], "new");
}

#[test]
fn the_device_that_named_a_room_may_rename_it() {
    check_name(
        &[(DeviceType::TeamsRoom, Some(1), "old"), (DeviceType::TeamsRoom, Some(1), "renamed")],
        "renamed",
    );
}

#[test]
fn only_a_source_that_lists_rooms_confirms_one() {
    let mut registry = Arc::new(Registry::default());
    let is_confirmed = |registry: &Registry| registry.known("id-1").map(|room| room.is_confirmed());
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &[]), false));
    assert_eq!(is_confirmed(&registry), Some(false));
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &[]), true));
    assert_eq!(is_confirmed(&registry), Some(true));
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &[]), false));
    assert_eq!(is_confirmed(&registry), Some(true), "a license that ended makes it no person");
}

#[test]
fn an_address_and_an_object_id_are_tied_by_who_names_both() {
    let account = |id: Option<&str>, email: Option<&str>| Account {
        id: id.map(Into::into),
        name: None,
        email: email.map(Into::into),
    };
    let tie = |account| {
        let device = Device { account: Some(account), ..(*device("d", DeviceType::TeamsRoom)).clone() };
        Claim::of_device(&device, Trust::UnlessPerson).and_then(|claim| claim.tie())
    };
    assert_eq!(tie(account(Some("id-1"), Some(OSLO))), Some(Tie::Mail));
    assert_eq!(tie(account(Some("id-1"), None)), None);
    assert_eq!(tie(account(None, Some(OSLO))), None);
}

/// A device may show the account of a person again, by a name that was not known before.
#[test]
fn a_person_is_noted_under_each_name_by_which_a_device_knows_it() {
    let mut registry = Arc::new(Registry::default());
    let address = "person@contoso.example";
    let person = user("id-9", Some(address), &[]);
    Registry::note_person(&mut registry, &person);
    assert!(!registry.is_person([&address.into()]), "no device shows it");
    Registry::assign(&mut registry, &claim(None, Some(address), Some("A Person")));
    Registry::note_person(&mut registry, &person);
    assert!(registry.is_person([&address.into()]));
    assert_eq!(registry.people().map(|name| &**name).collect::<Vec<_>>(), ["id-9", address]);
    Registry::forget_people(&mut registry);
    let noted = registry.clone();
    Registry::note_person(&mut registry, &person);
    assert!(Arc::ptr_eq(&noted, &registry), "once");
}

/// The room of an account, after a device with another account has claimed this address for it.
#[track_caller]
fn check_claimed(registry: &Arc<Registry>, address: &str, is_kept: bool) {
    let mut registry = registry.clone();
    Registry::assign(&mut registry, &claim(Some("id-2"), Some(address), Some("Bergen")));
    let owner = if is_kept { "id-1" } else { "id-2" };
    let object_id = |name: &str| registry.known(name).and_then(|room| room.object_id.clone());
    assert_eq!(object_id(address).as_deref(), Some(owner), "{address}");
    assert_eq!(object_id("id-1").as_deref(), Some("id-1"));
    let other = registry.known("id-2").expect("claimed");
    assert_eq!(other.email.as_deref(), (!is_kept).then_some(address));
}

#[test]
fn a_device_takes_no_address_from_the_room_of_another_account() {
    let (old, sign_in) = ("old@contoso.example", "mtr-oslo@contoso.example");
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(old), Some("Oslo")));
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(OSLO), Some("Oslo")));
    check_claimed(&registry, OSLO, true);
    check_claimed(&registry, old, false); // it has another one now
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &[sign_in]), true));
    check_claimed(&registry, sign_in, true); // the directory knows better
}

/// The directory has given the address of an account to another account.
#[test]
fn an_account_gives_its_address_up_where_the_directory_shows_it_elsewhere() {
    let (mail, new) = ("oslo-2@contoso.example", "bergen@contoso.example");
    let mut registry = Arc::new(Registry::default());
    let before = user("id-1", Some(OSLO), &[]);
    Registry::assign(&mut registry, &Claim::of_user(&before, true));
    let email = |registry: &Registry, id: &str| registry.known(id).and_then(|room| room.email.clone());

    let known = registry.clone();
    Registry::follow_addresses(&mut registry, &[before, user("id-2", Some(new), &[])]);
    Registry::follow_addresses(&mut registry, &[user("id-1", Some(mail), &[])]);
    assert!(Arc::ptr_eq(&known, &registry), "no other account has it");

    let users = [user("id-1", Some(mail), &[]), user("id-2", Some(OSLO), &[])];
    Registry::follow_addresses(&mut registry, &users);
    assert_eq!(email(&registry, "id-1").as_deref(), Some(mail));
    for user in &users {
        Registry::assign(&mut registry, &Claim::of_user(user, true));
    }
    assert_eq!(email(&registry, "id-2").as_deref(), Some(OSLO));
    assert_eq!(registry.rooms().count(), 2);
}

#[test]
fn the_address_of_another_room_stays_where_it_is() {
    let elsewhere = "elsewhere@contoso.example";
    // Equal names alone have joined it: it is the mailbox that has the address.
    let mut registry = place_and_device();
    let users = [user("id-1", Some(elsewhere), &[]), user("id-2", Some(OSLO), &[])];
    Registry::follow_addresses(&mut registry, &users);
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-1"), Some(Tie::Name))]);
    // An address that a place has given leaves for good: a place that still has it does not restore it.
    let mut registry = Arc::new(Registry::default());
    let place = Place { email: OSLO.into(), ..Place::default() };
    Registry::assign(&mut registry, &Claim::from(&place));
    Registry::assign(&mut registry, &claim(Some("id-1"), Some(OSLO), None));
    Registry::follow_addresses(&mut registry, &users);
    Registry::assign(&mut registry, &Claim::from(&place));
    assert_eq!(registry.known("id-1").and_then(|room| room.email.as_deref()), Some(elsewhere));
    // The account was made again, and both are in the directory: the room is that of the new one.
    let mut registry = Arc::new(Registry::default());
    for id in ["id-1", "id-2"] {
        Registry::assign(&mut registry, &Claim::of_user(&user(id, Some(OSLO), &[]), true));
    }
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-2"), Some(Tie::ObjectId))]);
    let [old, new] = users;
    Registry::follow_addresses(&mut registry, &[new, old]);
    check_rooms(&registry, &[(OSLO, Some(OSLO), Some("id-2"), Some(Tie::ObjectId))]);
}

#[test]
fn an_account_is_not_the_room_of_another_that_had_its_name() {
    let mut registry = Arc::new(Registry::default());
    let shared = "mtr@contoso.example";
    let first = user("id-1", Some(OSLO), &[shared]);
    Registry::assign(&mut registry, &Claim::of_user(&first, false));
    let is_room = |registry: &Registry, user: &User| registry.of_user(user).is_some();
    let second = user("id-2", Some("bergen@contoso.example"), &[shared]);
    assert_eq!([is_room(&registry, &first), is_room(&registry, &second)], [true, false]);
    Registry::narrow(&mut registry, true);
    assert!(!is_room(&registry, &first), "it is in none of the lists that the operator names");
}

#[test]
fn rooms_people_and_names_have_bounds() {
    let mut registry = Arc::new(Registry::default());
    Registry::bound(&mut registry, 1);
    let names: Vec<String> = (0..128).map(|n| format!("oslo-{n}@contoso.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &names), true));
    assert!(!registry.has_left_out());
    // No further name is kept, but one that is held can lead elsewhere.
    let renamed = user("id-1", Some(OSLO), &["another@contoso.example"]);
    Registry::assign(&mut registry, &Claim::of_user(&renamed, true));
    assert!(registry.known("another@contoso.example").is_none());
    assert_eq!(Registry::assign(&mut registry, &claim(Some("id-2"), None, None)), None);
    assert!(registry.has_left_out());
    Registry::bound(&mut registry, 2);
    assert!(!registry.has_left_out());
    Registry::assign(&mut registry, &Claim::of_user(&user("id-2", None, &names), true));
    assert_eq!(registry.known(names[0]).and_then(|room| room.object_id.as_deref()), Some("id-2"));

    let mut registry = Arc::new(Registry::default());
    Registry::bound(&mut registry, 1);
    assert!(Registry::assign(&mut registry, &claim(Some("id-1"), None, None)).is_some(), "there is room");
    let mut registry = Arc::new(Registry::default());
    Registry::bound(&mut registry, 1);
    Registry::note_person(&mut registry, &user("id-9", None, &[]));
    assert_eq!(Registry::assign(&mut registry, &claim(Some("id-1"), None, None)), None);
}

/// A place and an account of a device that equal names would join.
#[track_caller]
fn check_not_joined(claims: &[Claim<'_>], account: &str, place: &str) {
    let mut registry = Arc::new(Registry::default());
    for claim in claims {
        Registry::assign(&mut registry, claim);
    }
    let before = registry.clone();
    Registry::join_by_name(&mut registry, account, place);
    assert!(Arc::ptr_eq(&before, &registry), "{claims:?}");
}

#[test]
fn equal_names_join_only_an_account_and_a_mailbox_that_lack_each_other() {
    let bergen = Place { email: "bergen@contoso.example".into(), ..Place::default() };
    let (mailbox, account) = (Claim::from(&bergen), claim(Some("id-1"), None, None));
    let oslo = Place { email: OSLO.into(), ..Place::default() };
    let of_file = Claim::of_file(OSLO, Some("id-1"));
    check_not_joined(&[mailbox.clone(), of_file], "id-1", &bergen.email);
    let of_place = claim(Some("id-1"), Some(OSLO), None);
    check_not_joined(&[mailbox.clone(), Claim::from(&oslo), of_place], "id-1", &bergen.email);
    let of_user = user("id-1", Some(OSLO), &[]);
    check_not_joined(&[mailbox.clone(), Claim::of_user(&of_user, true)], "id-1", &bergen.email);
    // The mailbox has an account, or is none.
    let of_bergen = claim(Some("id-2"), Some(&bergen.email), None);
    check_not_joined(&[mailbox, of_bergen, account.clone()], "id-1", &bergen.email);
    check_not_joined(&[claim(Some("id-2"), None, None), account], "id-1", "id-2");
}

#[test]
fn a_join_that_the_directory_confirms_rests_on_names_no_more() {
    let mut registry = place_and_device();
    assert!(registry.known("id-1").is_some_and(|room| room.by_name.is_some()));
    Registry::assign(&mut registry, &Claim::of_user(&user("id-1", Some(OSLO), &[]), true));
    assert!(registry.known("id-1").is_some_and(|room| room.by_name.is_none()));
}

#[test]
fn rooms_that_part_keep_what_is_theirs() {
    let mut registry = place_and_device();
    Registry::take_changes(&mut registry);
    Registry::assign(&mut registry, &Claim::of_user(&user("id-2", Some(OSLO), &[]), true));
    let parted = Parted { shared: OSLO.into(), mailbox: OSLO.into(), account: "id-1".into() };
    assert_eq!(Registry::take_changes(&mut registry).1, [parted]);
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), None, Some("Oslo")));
    Registry::settle(&mut registry);
    let place = Place { email: OSLO.into(), name: Some("Room Oslo".into()), ..Place::default() };
    Registry::assign(&mut registry, &Claim::from(&place));
    Registry::join_by_name(&mut registry, "id-1", OSLO);
    Registry::take_changes(&mut registry);
    Registry::assign(&mut registry, &claim(Some("id-2"), Some(OSLO), None));
    let parted = Parted { shared: "id-1".into(), mailbox: OSLO.into(), account: "id-1".into() };
    assert_eq!(Registry::take_changes(&mut registry).1, [parted]);
    let name = |id: &str| registry.room(id).map(|room| room.name.to_string());
    assert_eq!([name(OSLO), name("id-1")].map(Option::unwrap_or_default), ["Room Oslo", "Oslo"]);
}

/// A room that takes another one in.
#[track_caller]
fn check_absorbed(room: &Room, other: &Room, expected: [&str; 3], is_confirmed: bool) {
    let kept_apart = room.by_name.is_some() || other.by_name.is_some();
    let mut room = room.clone();
    room.absorb(other);
    let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
    assert_eq!([room.name.to_string(), text(&room.email), text(&room.object_id)], expected);
    assert_eq!(room.is_confirmed(), is_confirmed);
    assert_eq!(room.mailed_by, if room.email == other.email { other.mailed_by } else { room.mailed_by });
    assert_eq!(room.tie, room.tie.max(other.tie));
    assert_eq!(room.by_name.is_some(), kept_apart);
}

#[test]
fn of_two_rooms_that_are_one_the_better_sources_count() {
    let room = |claim: &Claim<'_>| {
        let mut room = Room::founded("room".into());
        room.learn(claim);
        room
    };
    let bergen = "bergen@contoso.example";
    let place = Place { email: OSLO.into(), name: Some("Oslo".into()), ..Place::default() };
    let place = room(&Claim::from(&place));
    let device = room(&claim(Some("id-1"), Some(bergen), Some("MTR")));
    let other = room(&claim(Some("id-2"), Some("other@contoso.example"), Some("MTR 2")));
    check_absorbed(&place, &device, ["Oslo", OSLO, "id-1"], true);
    check_absorbed(&device, &place, ["Oslo", OSLO, "id-1"], true);
    check_absorbed(&device, &other, ["MTR", bergen, "id-1"], false);
    // One address that no source has named, and one that a device has.
    let nameless = Room { email: None, mailed_by: Authority::Account, ..place };
    check_absorbed(&nameless, &device, ["Oslo", bergen, "id-1"], true);
    let joined = place_and_device();
    let joined = joined.known(OSLO).expect("both");
    check_absorbed(joined, &device, ["Oslo", OSLO, "id-1"], true);
    check_absorbed(&device, joined, ["Oslo", OSLO, "id-1"], true);
}

/// The id follows the first readings until every source has had its say.
#[test]
fn ids_are_fixed_once_the_sources_have_settled() {
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), None, Some("Oslo")));
    Registry::fix_ids(&mut registry);
    check(&mut registry, &claim(Some("id-1"), Some(OSLO), None), OSLO, "Oslo");
    Registry::settle(&mut registry);
    let settled = registry.clone();
    Registry::settle(&mut registry);
    Registry::fix_ids(&mut registry);
    assert!(Arc::ptr_eq(&settled, &registry), "once");
    Registry::assign(&mut registry, &claim(Some("id-2"), None, Some("Bergen")));
    Registry::fix_ids(&mut registry);
    let bergen = claim(Some("id-2"), Some("bergen@contoso.example"), None);
    check(&mut registry, &bergen, "id-2", "Bergen");
    let [before, after] = [&settled, &registry].map(|registry| registry.known(OSLO).expect("settled"));
    assert!(Arc::ptr_eq(before, after), "one that is fixed is not copied");
}

/// A file of an older version does not say whether the id is fixed: it was served.
#[test]
fn an_id_of_an_older_file_stays() {
    let mut registry = Arc::new(Registry::default());
    Registry::assign(&mut registry, &claim(Some("id-1"), None, Some("Oslo")));
    let mut file = serde_json::to_value(&*registry).expect("plain data");
    let room = file["rooms"]["id-1"].as_object_mut().expect("a room");
    assert!(room.remove("fixed").is_some());
    let mut registry = Arc::new(serde_json::from_value(file).expect("own format"));
    check(&mut registry, &claim(Some("id-1"), Some(OSLO), None), "id-1", "Oslo");
}

/// The account of a device and the place that are one by their names, after these claims.
#[track_caller]
fn check_pairs(
    devices: &[(&str, DeviceType, &str)],
    places: &[(&str, &str)],
    claims: &[Claim<'_>],
    expected: &[(&str, &str)],
) {
    let store = Store::new(Snapshot::default());
    let now = Timestamp::from_seconds(0);
    let listed = |(id, device_type, name): &(&str, DeviceType, &str)| {
        let account = Account { id: Some((*id).into()), name: Some((*name).into()), email: None };
        Arc::new(Device { account: Some(account), ..(*device(id, *device_type)).clone() })
    };
    store.take_devices(&devices.iter().map(listed).collect::<Vec<_>>(), Trust::UnlessPerson, now);
    let mut snapshot = store.snapshot();
    let memory = Arc::make_mut(&mut snapshot.memory);
    for (email, name) in places {
        let place = Place { email: (*email).into(), name: Some((*name).into()), ..Place::default() };
        let id = Registry::assign(&mut memory.rooms, &Claim::from(&place)).expect("an address");
        Arc::make_mut(&mut snapshot.places).insert(id, Record::new(place, now));
    }
    for claim in claims {
        Registry::assign(&mut memory.rooms, claim);
    }
    let pairs = pairs(&snapshot);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(account, place)| (&**account, &**place)).collect();
    assert_eq!(pairs, expected);
}

#[test]
fn names_are_compared_where_they_are_unique_on_both_sides() {
    use DeviceType::{IpPhone, TeamsPanel, TeamsRoom};
    let (core, oslo, pair) = (("id-1", TeamsRoom, "Oslo"), (OSLO, "Oslo"), ("id-1", OSLO));
    let spelled = ("id-1", TeamsRoom, "Oslo ");
    check_pairs(&[spelled], &[(OSLO, " oslo"), ("bergen@contoso.example", "Bergen")], &[], &[pair]);
    check_pairs(&[core], &[oslo, ("other@contoso.example", "Oslo")], &[], &[]);
    check_pairs(&[core, ("id-2", TeamsPanel, "Oslo")], &[oslo], &[], &[]);
    check_pairs(&[core, ("id-2", IpPhone, "Oslo")], &[oslo], &[], &[pair]);
    check_pairs(&[("id-1", TeamsRoom, "Bergen")], &[oslo], &[], &[]);
    // The other half of one of them is known, while that of another account is not.
    let (open, elsewhere) = (("id-3", TeamsRoom, "Lima"), "elsewhere@contoso.example");
    let account = user("id-1", Some(elsewhere), &[]);
    check_pairs(&[core, open], &[oslo], &[Claim::of_user(&account, true)], &[]);
    let mailbox = user("id-4", Some(OSLO), &[]);
    check_pairs(&[core, open], &[oslo], &[Claim::of_user(&mailbox, true)], &[]);
}
