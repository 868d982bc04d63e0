//! Which account is which room. An identity is chosen once and never changes because something failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::device::Account;

/// A room: one room account (resource mailbox).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The account's e-mail in lower case where it was known when the room was first seen, else its Entra object id.
    pub id: Arc<str>,
    /// The last good display name.
    pub name: Arc<str>,
    pub email: Option<Arc<str>>,
}

/// Every room ever named, and the one resolver from object id, user principal name and mail to room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    rooms: BTreeMap<Arc<str>, Arc<Room>>,
    /// Lower-case alias to room id.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
}

impl Registry {
    pub fn room(&self, id: &str) -> Option<&Arc<Room>> {
        self.rooms.get(id)
    }

    /// The room of an account, where it is known to be one.
    pub fn find(&self, account: &Account) -> Option<&Arc<Room>> {
        aliases_of(account).find_map(|alias| self.rooms.get(self.aliases.get(&alias)?))
    }

    /// The room of an account that is a room: found, or founded here; learns its name and aliases.
    pub fn assign(registry: &mut Arc<Self>, account: &Account) -> Option<Arc<str>> {
        let found = registry.find(account).cloned();
        let id = found.as_ref().map(|room| room.id.clone()).or_else(|| aliases_of(account).next())?;
        let room = Room {
            id: id.clone(),
            name: account
                .name
                .clone()
                .or_else(|| found.as_ref().map(|room| room.name.clone()))
                .unwrap_or_else(|| id.clone()),
            email: account.email.clone().or_else(|| found.as_ref()?.email.clone()),
        };
        let known = found.is_some_and(|found| *found == room)
            && aliases_of(account).all(|alias| registry.aliases.contains_key(&alias));
        if !known {
            let registry = Arc::make_mut(registry);
            for alias in aliases_of(account) {
                registry.aliases.entry(alias).or_insert_with(|| id.clone());
            }
            registry.rooms.insert(id.clone(), Arc::new(room));
        }
        Some(id)
    }

    pub fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.rooms.values()
    }
}

/// The names of an account in order of preference for an identity: e-mail, then object id.
fn aliases_of(account: &Account) -> impl Iterator<Item = Arc<str>> {
    [&account.email, &account.id].into_iter().flatten().map(|alias| alias.to_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: Option<&str>, email: Option<&str>, name: Option<&str>) -> Account {
        Account { id: id.map(Into::into), email: email.map(Into::into), name: name.map(Into::into) }
    }

    #[track_caller]
    fn check(registry: &mut Arc<Registry>, account: &Account, id: &str, name: &str) {
        let assigned = Registry::assign(registry, account).expect("an account with an alias is a room");
        assert_eq!(&*assigned, id);
        assert_eq!(&*registry.room(&assigned).expect("assigned").name, name);
    }

    #[test]
    fn a_room_keeps_its_id_whatever_is_learnt_later() {
        let mut registry = Arc::new(Registry::default());
        check(&mut registry, &account(Some("ID-1"), None, Some("Oslo")), "id-1", "Oslo");
        check(&mut registry, &account(Some("id-1"), Some("oslo@contoso.example"), None), "id-1", "Oslo");
        check(&mut registry, &account(None, Some("oslo@contoso.example"), Some("Oslo 3")), "id-1", "Oslo 3");
        assert_eq!(
            registry.room("id-1").and_then(|room| room.email.as_deref()),
            Some("oslo@contoso.example")
        );
        assert_eq!(registry.rooms().count(), 1);
    }

    #[test]
    fn the_mail_address_is_the_identity_where_it_is_known_first() {
        let mut registry = Arc::new(Registry::default());
        check(
            &mut registry,
            &account(Some("id-2"), Some("Bergen@contoso.example"), None),
            "bergen@contoso.example",
            "bergen@contoso.example",
        );
        check(
            &mut registry,
            &account(Some("id-2"), None, Some("Bergen")),
            "bergen@contoso.example",
            "Bergen",
        );
    }

    #[test]
    fn an_account_without_any_alias_is_no_room() {
        let mut registry = Arc::new(Registry::default());
        assert_eq!(Registry::assign(&mut registry, &account(None, None, Some("Oslo"))), None);
    }

    #[test]
    fn learning_nothing_copies_nothing() {
        let mut registry = Arc::new(Registry::default());
        let oslo = account(Some("id-1"), None, Some("Oslo"));
        Registry::assign(&mut registry, &oslo);
        let before = registry.clone();
        Registry::assign(&mut registry, &oslo);
        assert!(Arc::ptr_eq(&before, &registry));
    }
}
