//! Claims, the rooms that they lead to in any order, and what a later one changes.

use std::sync::Arc;

use super::*;
use crate::model::Timestamp;
use crate::model::account::User;
use crate::model::account::{RoomAccount, Tier};
use crate::model::device::Device;
use crate::model::device::{Account, DeviceType};
use crate::model::listing::tests::device;
use crate::model::place::Place;

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
