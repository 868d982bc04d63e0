//! Which account is which room. An identity is chosen once and never changes because something failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::device::Account;
use crate::model::place::Place;

/// A room: one room account (resource mailbox).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The account's e-mail in lower case where it was known when the room was first seen, else its Entra object id.
    pub id: Arc<str>,
    /// The last good name of the best source that has one.
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
    /// Entra object id, lower case.
    pub object_id: Option<Arc<str>>,
    named_by: Authority,
    /// A source that lists rooms says that this is one.
    confirmed: bool,
}

/// Who speaks of an account, by how well it knows its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Nobody has named it; the id stands for the name.
    Nobody,
    Device,
    Place,
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
    pub name: Option<&'a str>,
    pub authority: Authority,
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
}

impl Registry {
    /// The room behind an id or any other alias, while it counts as one.
    pub fn room(&self, alias: &str) -> Option<&Arc<Room>> {
        let room = self.rooms.get(alias).or_else(|| self.rooms.get(self.aliases.get(alias)?))?;
        (room.confirmed || !self.listed).then_some(room)
    }

    /// The room of an account, where it is known to be one.
    pub fn find(&self, account: &Account) -> Option<&Arc<Room>> {
        aliases([account.email.as_deref(), account.id.as_deref()]).find_map(|alias| self.room(&alias))
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

    /// The room of an account that is said to be a room: found, or founded here; learns its name and aliases.
    pub fn assign(registry: &mut Arc<Self>, claim: &Claim<'_>) -> Option<Arc<str>> {
        let aliases: Vec<Arc<str>> = aliases([claim.email, claim.object_id]).collect();
        let known: Vec<Arc<str>> =
            aliases.iter().filter_map(|alias| registry.aliases.get(alias).cloned()).collect();
        let id = known.first().or(aliases.first())?.clone();
        let found = registry.rooms.get(&id);
        let room = learn(id.clone(), found.map(|room| &**room), claim);
        let complete = aliases.iter().all(|alias| registry.aliases.get(alias) == Some(&id));
        if found.is_none_or(|found| **found != room) || !complete {
            let registry = Arc::make_mut(registry);
            for other in known.iter().filter(|other| **other != id) {
                registry.unite(other, &id);
            }
            for alias in aliases {
                registry.aliases.insert(alias, id.clone());
            }
            registry.rooms.insert(id.clone(), Arc::new(room));
        }
        Some(id)
    }

    /// Two rooms turn out to be one account: what pointed to the other points to this one.
    fn unite(&mut self, other: &str, id: &Arc<str>) {
        self.rooms.remove(other);
        for target in self.aliases.values_mut().filter(|target| &***target == other) {
            *target = id.clone();
        }
    }
}

/// A room with what a claim adds to it; a lesser authority does not rename it.
fn learn(id: Arc<str>, found: Option<&Room>, claim: &Claim<'_>) -> Room {
    let lower = |text: Option<&str>| text.map(|text| Arc::from(text.to_lowercase()));
    let named_by = found.map_or(Authority::Nobody, |room| room.named_by);
    let name = claim.name.filter(|_| claim.authority >= named_by);
    Room {
        name: name
            .map(Into::into)
            .or_else(|| found.map(|room| room.name.clone()))
            .unwrap_or_else(|| id.clone()),
        named_by: if name.is_some() { claim.authority } else { named_by },
        email: lower(claim.email).or_else(|| found?.email.clone()),
        object_id: lower(claim.object_id).or_else(|| found?.object_id.clone()),
        confirmed: claim.confirmed || found.is_some_and(|room| room.confirmed),
        id,
    }
}

/// Aliases in order of preference for an identity.
fn aliases<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> impl Iterator<Item = Arc<str>> {
    texts.into_iter().flatten().map(|alias| alias.to_lowercase().into())
}

impl<'a> Claim<'a> {
    /// What a device says of the account signed in on it.
    pub fn of_device(account: &'a Account, trust: Trust) -> Self {
        Self {
            object_id: account.id.as_deref(),
            email: account.email.as_deref(),
            name: account.name.as_deref(),
            authority: Authority::Device,
            confirmed: trust == Trust::Always,
        }
    }
}

impl<'a> Claim<'a> {
    /// What the rooms file says: that there is such a room.
    pub fn of_file(email: &'a str) -> Self {
        Self {
            object_id: None,
            email: Some(email),
            name: None,
            authority: Authority::Nobody,
            confirmed: true,
        }
    }
}

impl<'a> From<&'a Place> for Claim<'a> {
    fn from(place: &'a Place) -> Self {
        Self {
            object_id: None,
            email: Some(&place.email),
            name: place.name.as_deref(),
            authority: Authority::Place,
            confirmed: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim<'a>(id: Option<&'a str>, email: Option<&'a str>, name: Option<&'a str>) -> Claim<'a> {
        Claim { object_id: id, email, name, authority: Authority::Device, confirmed: false }
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
        check(&mut registry, &claim(Some("id-1"), Some(oslo), None), oslo, oslo);
        assert_eq!(registry.room("id-1").map(|room| &*room.id), Some(oslo), "the old id still finds it");
        assert_eq!(registry.rooms().count(), 1);
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
}
