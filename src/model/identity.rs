//! Which account is which room. An identity is chosen once and never changes because something failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;
use crate::model::account::User;
use crate::model::device::{Device, Role};
use crate::model::place::Place;

/// A room: one room account (resource mailbox).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Room {
    /// The account's e-mail in lower case where it was known when the room was first seen, else its Entra object id.
    pub id: Arc<str>,
    /// The last good name of the best source that has one.
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
    /// Entra object id, lower case.
    pub object_id: Option<Arc<str>>,
    named_by: Authority,
    /// Since when the device that named it is there.
    #[serde(default)]
    named_since: Option<Timestamp>,
    /// Who told the e-mail address.
    #[serde(default)]
    mailed_by: Authority,
    /// A source that lists rooms says that this is one.
    confirmed: bool,
}

/// Who speaks of an account, by how well it knows its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Nobody has named it; the id stands for the name.
    #[default]
    Nobody,
    /// A console, a panel, or another device that the account is signed in on.
    Device,
    /// A device that runs the meetings.
    CoreDevice,
    Place,
    Account,
}

/// Whether accounts that are signed in on room devices are rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Always,
    /// Until a source that lists rooms has answered.
    UntilListed,
    Never,
}

/// What a source says of a room account.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub object_id: Option<&'a str>,
    pub email: Option<&'a str>,
    /// What else it is called: the name it signs in with, other addresses.
    pub other_names: &'a [Arc<str>],
    pub name: Option<&'a str>,
    pub authority: Authority,
    /// Since when the device that speaks is there. Of two alike that differ, the younger one is believed, whose account
    /// signed in later: the name must not alternate.
    pub since: Option<Timestamp>,
    /// The source lists rooms, and so knows that this is one.
    pub confirmed: bool,
}

/// Every room ever named, and the one resolver from object id, user principal name and mail to room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    rooms: BTreeMap<Arc<str>, Arc<Room>>,
    /// Lower-case alias to room id.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
    /// A source that lists rooms has answered: from then on only what such a source confirms is a room.
    #[serde(default)]
    listed: bool,
    /// Rooms that proved to be another: the id that went, and the one that stayed; until it is asked for.
    #[serde(skip)]
    united: Vec<(Arc<str>, Arc<str>)>,
}

impl Registry {
    /// The room behind an id or any other alias, while it counts as one.
    pub fn room(&self, alias: &str) -> Option<&Arc<Room>> {
        let room = self.rooms.get(alias).or_else(|| self.rooms.get(self.aliases.get(alias)?))?;
        (room.confirmed || !self.listed).then_some(room)
    }

    /// The room that goes by one of these names, where it is known to be one.
    pub fn find<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) -> Option<&Arc<Room>> {
        names.into_iter().find_map(|name| self.room(&name.to_lowercase()))
    }

    pub fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.rooms.values().filter(|room| room.confirmed || !self.listed)
    }

    /// A source that lists rooms has answered.
    pub fn note_listing(registry: &mut Arc<Self>) {
        if !registry.listed {
            Arc::make_mut(registry).listed = true;
        }
    }

    /// All that tell of rooms have answered, and these are none: people, of whom nothing is kept.
    pub fn forget_strangers(registry: &mut Arc<Self>) {
        if registry.listed && registry.rooms.values().any(|room| !room.confirmed) {
            let registry = Arc::make_mut(registry);
            registry.rooms.retain(|_, room| room.confirmed);
            registry.aliases.retain(|_, id| registry.rooms.contains_key(id));
        }
    }

    /// Whether an account by one of these names may be a room: it is known, or rooms have not been listed yet.
    pub fn may_be_room<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) -> bool {
        !self.listed || names.into_iter().any(|name| self.aliases.contains_key(&*name.to_lowercase()))
    }

    pub fn has_united(&self) -> bool {
        !self.united.is_empty()
    }

    /// The rooms that proved to be another since this was last asked: the id that went, and the one that stayed.
    pub fn take_united(registry: &mut Arc<Self>) -> Vec<(Arc<str>, Arc<str>)> {
        std::mem::take(&mut Arc::make_mut(registry).united)
    }

    /// The room of an account that is said to be a room: found, or founded here; learns its name and aliases.
    pub fn assign(registry: &mut Arc<Self>, claim: &Claim<'_>) -> Option<Arc<str>> {
        let aliases: Vec<Arc<str>> = claim.aliases().collect();
        let mut known: Vec<Arc<str>> =
            aliases.iter().filter_map(|alias| registry.aliases.get(alias).cloned()).collect();
        let id = known.first().or(aliases.first())?.clone();
        known.retain(|other| *other != id);
        for other in known {
            Arc::make_mut(registry).unite(&other, &id);
        }
        let found = registry.rooms.get(&id);
        let room = learn(id.clone(), found.map(|room| &**room), claim);
        let complete = aliases.iter().all(|alias| registry.aliases.get(alias) == Some(&id));
        if found.is_none_or(|found| **found != room) || !complete {
            let registry = Arc::make_mut(registry);
            for alias in aliases {
                registry.aliases.insert(alias, id.clone());
            }
            registry.rooms.insert(id.clone(), Arc::new(room));
        }
        Some(id)
    }

    /// Two rooms turn out to be one account: what pointed to the other points to this one, which learns what was known of
    /// the other.
    fn unite(&mut self, other: &str, id: &Arc<str>) {
        if let (Some(gone), Some(room)) = (self.rooms.remove(other), self.rooms.get_mut(id)) {
            Arc::make_mut(room).absorb(&gone);
            self.united.push((gone.id.clone(), id.clone()));
        }
        for target in self.aliases.values_mut().filter(|target| &***target == other) {
            *target = id.clone();
        }
    }
}

/// A room with what a claim adds to it; a lesser authority does not rename it.
fn learn(id: Arc<str>, found: Option<&Room>, claim: &Claim<'_>) -> Room {
    let lower = |text: Option<&str>| text.map(|text| Arc::from(text.to_lowercase()));
    let mut room = found.cloned().unwrap_or_else(|| Room {
        name: id.clone(),
        email: None,
        object_id: None,
        named_by: Authority::Nobody,
        named_since: None,
        mailed_by: Authority::Nobody,
        confirmed: false,
        id,
    });
    if let Some(name) = claim.name.filter(|_| (claim.authority, claim.since) >= room.named()) {
        room.name = name.into();
        (room.named_by, room.named_since) = (claim.authority, claim.since);
    }
    if let Some(email) = lower(claim.email).filter(|_| claim.authority >= room.mailed_by) {
        (room.email, room.mailed_by) = (Some(email), claim.authority);
    }
    room.object_id = lower(claim.object_id).or(room.object_id);
    room.confirmed |= claim.confirmed;
    room
}

impl Room {
    /// Whether a source that lists rooms says that this is one.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    #[cfg(test)]
    pub(crate) fn example(id: &str, email: Option<&str>) -> Self {
        Self {
            id: id.into(),
            name: id.into(),
            email: email.map(Into::into),
            object_id: None,
            named_by: Authority::Nobody,
            named_since: None,
            mailed_by: Authority::Nobody,
            confirmed: true,
        }
    }

    /// Who named it, in the order of belief.
    fn named(&self) -> (Authority, Option<Timestamp>) {
        (self.named_by, self.named_since)
    }

    /// Learns what was known of the same account under another id.
    fn absorb(&mut self, other: &Self) {
        if other.named() > self.named() {
            self.name.clone_from(&other.name);
            (self.named_by, self.named_since) = other.named();
        }
        if other.mailed_by > self.mailed_by {
            self.email.clone_from(&other.email);
            self.mailed_by = other.mailed_by;
        }
        self.object_id = self.object_id.take().or_else(|| other.object_id.clone());
        self.confirmed |= other.confirmed;
    }
}

impl<'a> Claim<'a> {
    /// What a device says of the account signed in on it; `None` where none is.
    pub fn of_device(device: &'a Device, trust: Trust) -> Option<Self> {
        let account = device.account.as_ref()?;
        let is_core = device.device_type.role() == Role::Core;
        Some(Self {
            object_id: account.id.as_deref(),
            email: account.email.as_deref(),
            name: account.name.as_deref(),
            authority: if is_core { Authority::CoreDevice } else { Authority::Device },
            since: device.created,
            confirmed: trust == Trust::Always,
            other_names: &[],
        })
    }

    /// What the rooms file says: that there is such a room.
    pub fn of_file(email: &'a str) -> Self {
        Self { email: Some(email), ..Self::nothing(Authority::Nobody) }
    }

    /// What the directory says of an account; `confirmed` if its licence makes it a room.
    pub fn of_user(user: &'a User, confirmed: bool) -> Self {
        Self {
            object_id: Some(&user.object_id),
            email: user.email.as_deref(),
            other_names: &user.other_names,
            name: user.name.as_deref(),
            confirmed,
            ..Self::nothing(Authority::Account)
        }
    }

    /// That there is a room, of a source that lists rooms.
    fn nothing(authority: Authority) -> Self {
        Self {
            object_id: None,
            email: None,
            other_names: &[],
            name: None,
            authority,
            since: None,
            confirmed: true,
        }
    }

    /// In order of preference for an identity.
    fn aliases(&self) -> impl Iterator<Item = Arc<str>> {
        let others = self.other_names.iter().map(|name| Some(&**name));
        [self.email, self.object_id]
            .into_iter()
            .chain(others)
            .flatten()
            .map(|name| name.to_lowercase().into())
    }
}

impl<'a> From<&'a Place> for Claim<'a> {
    fn from(place: &'a Place) -> Self {
        Self { email: Some(&place.email), name: place.name.as_deref(), ..Self::nothing(Authority::Place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::{RoomAccount, Tier};
    use crate::model::device::{Account, DeviceType};
    use crate::model::listing::tests::device;

    fn claim<'a>(id: Option<&'a str>, email: Option<&'a str>, name: Option<&'a str>) -> Claim<'a> {
        Claim { object_id: id, email, name, confirmed: false, ..Claim::nothing(Authority::Device) }
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
        check(&mut registry, &claim(Some("id-1"), Some("oslo@contoso.example"), None), "id-1", "Oslo");
        check(&mut registry, &claim(None, Some("oslo@contoso.example"), Some("Oslo 3")), "id-1", "Oslo 3");
        assert_eq!(
            registry.room("id-1").and_then(|room| room.email.as_deref()),
            Some("oslo@contoso.example")
        );
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
    fn people_are_forgotten_when_all_rooms_are_known() {
        let mut registry = Arc::new(Registry::default());
        let room = Claim { confirmed: true, ..claim(None, Some("oslo@contoso.example"), Some("Oslo")) };
        let person = claim(Some("id-9"), Some("person@contoso.example"), Some("A Person"));
        Registry::assign(&mut registry, &room);
        Registry::assign(&mut registry, &person);
        Registry::forget_strangers(&mut registry);
        assert_eq!(registry.rooms().count(), 2, "anybody may be a room until rooms are listed");
        Registry::note_listing(&mut registry);
        Registry::forget_strangers(&mut registry);
        let kept = format!("{registry:?}");
        assert!(kept.contains("Oslo") && !kept.to_lowercase().contains("person"), "{kept}");
        assert!(!registry.may_be_room([&"person@contoso.example".into(), &"id-9".into()]));
        assert!(registry.may_be_room([&"Oslo@contoso.example".into()]));
    }

    #[test]
    fn once_rooms_are_listed_only_listed_ones_are_rooms() {
        let mut registry = Arc::new(Registry::default());
        let person = claim(None, Some("person@contoso.example"), Some("A Person"));
        check(&mut registry, &person, "person@contoso.example", "A Person");
        Registry::note_listing(&mut registry);
        assert!(registry.room("person@contoso.example").is_none());
        assert_eq!(registry.rooms().count(), 0);
        check(&mut registry, &Claim { confirmed: true, ..person }, "person@contoso.example", "A Person");
    }

    fn user(id: &str, email: Option<&str>, other_names: &[&str]) -> User {
        User {
            object_id: id.into(),
            email: email.map(Into::into),
            other_names: other_names.iter().map(|name| Arc::from(*name)).collect(),
            name: Some("Room Oslo".into()),
            account: RoomAccount { license: Some(Tier::Pro), ..RoomAccount::default() },
        }
    }

    #[test]
    fn every_name_of_an_account_leads_to_its_room() {
        let mut registry = Arc::new(Registry::default());
        let oslo =
            user("id-1", Some("oslo@meet.example"), &["mtr-oslo@contoso.example", "old@contoso.example"]);
        check(&mut registry, &Claim::of_user(&oslo, true), "oslo@meet.example", "Room Oslo");
        for device in ["MTR-Oslo@contoso.example", "old@contoso.example", "oslo@meet.example"] {
            let device = claim(None, Some(device), Some("MTR"));
            check(&mut registry, &device, "oslo@meet.example", "Room Oslo");
        }
        let room = registry.room("ID-1".to_lowercase().as_str()).expect("found by its object id");
        assert_eq!(
            room.email.as_deref(),
            Some("oslo@meet.example"),
            "a device does not know the address better"
        );
        assert_eq!(registry.rooms().count(), 1);
    }

    #[test]
    fn an_account_unites_what_its_names_had_kept_apart() {
        let mut registry = Arc::new(Registry::default());
        let (sign_in, mail) = ("mtr-oslo@contoso.example", "oslo@meet.example");
        let place = Place { email: mail.into(), name: Some("Oslo 3.14".into()), ..Place::default() };
        check(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("MTR")), sign_in, "MTR");
        check(&mut registry, &Claim::from(&place), mail, "Oslo 3.14");
        Registry::note_listing(&mut registry);
        assert!(registry.room(sign_in).is_none(), "places do not know the name it signs in with");
        // Without a licence for rooms the account says only who it is.
        check(
            &mut registry,
            &Claim::of_user(&user("id-1", Some(mail), &[sign_in]), false),
            mail,
            "Room Oslo",
        );
        assert_eq!(registry.room(sign_in).map(|room| &*room.id), Some(mail));
        assert_eq!(Registry::take_united(&mut registry), [(sign_in.into(), mail.into())]);
        assert!(!registry.has_united());
        check(&mut registry, &claim(Some("id-1"), Some(sign_in), Some("MTR")), mail, "Room Oslo");
        assert!(!registry.has_united(), "once");
    }

    #[test]
    fn an_account_without_a_licence_for_rooms_does_not_confirm_itself() {
        let mut registry = Arc::new(Registry::default());
        let person = user("id-9", Some("person@contoso.example"), &[]);
        Registry::assign(&mut registry, &Claim::of_user(&person, false));
        Registry::note_listing(&mut registry);
        assert!(registry.room("id-9").is_none());
    }

    #[track_caller]
    fn check_name(devices: &[(DeviceType, Option<i64>, &str)], expected: &str) {
        let mut registry = Arc::new(Registry::default());
        for _ in 0..2 {
            for (device_type, created, name) in devices {
                let account = Account { id: Some("id-1".into()), name: Some((*name).into()), email: None };
                let created = created.map(Timestamp::from_seconds);
                let device =
                    Device { account: Some(account), created, ..(*device("d", *device_type)).clone() };
                let claim = Claim::of_device(&device, Trust::UntilListed).expect("an account");
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
}
