//! Rooms that only their display name joins: device rows of real tenants carry no mail address, and places no object id.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::model::Snapshot;
use crate::model::device::Role;

/// Something by its display name; `None` if several have that name.
struct ByName<'a>(HashMap<String, Option<&'a Arc<str>>>);

/// The rooms that are one by their names: that of an account which only devices know, and that of a place whose account is
/// not known. Their display names are equal and unique on both sides.
pub fn pairs(snapshot: &Snapshot) -> Vec<(Arc<str>, Arc<str>)> {
    let registry = &snapshot.memory.rooms;
    if !registry.has_open_account() || snapshot.places.is_empty() {
        return Vec::new();
    }
    let accounts = accounts(snapshot);
    let places = places(snapshot);
    let pair = |(name, account): (&str, &Arc<str>)| {
        let account = registry.known(account)?;
        let place = registry.known(places.find(name)?)?;
        let is_open = account.is_open_account() && place.is_open_mailbox() && account.id != place.id;
        is_open.then(|| (account.id.clone(), place.id.clone()))
    };
    accounts.unique().filter_map(pair).collect()
}

/// The accounts signed in on the devices of rooms.
fn accounts(snapshot: &Snapshot) -> ByName<'_> {
    let mut accounts = ByName(HashMap::new());
    for device in snapshot.devices.rows.values().map(|row| &row.device) {
        if let Some(account) = device.account.as_ref().filter(|_| device.device_type.role() != Role::Other) {
            accounts.note(account.name.as_deref(), account.id.as_ref().or(account.email.as_ref()));
        }
    }
    accounts
}

/// The places, by mail address.
fn places(snapshot: &Snapshot) -> ByName<'_> {
    let mut places = ByName(HashMap::new());
    for place in snapshot.places.values().map(|record| &record.value) {
        places.note(place.name.as_deref(), Some(&place.email));
    }
    places
}

impl<'a> ByName<'a> {
    fn unique(&self) -> impl Iterator<Item = (&str, &'a Arc<str>)> {
        self.0.iter().filter_map(|(name, id)| Some((name.as_str(), (*id)?)))
    }

    fn find(&self, name: &str) -> Option<&'a Arc<str>> {
        *self.0.get(name)?
    }

    fn note(&mut self, name: Option<&str>, id: Option<&'a Arc<str>>) {
        let (Some(name), Some(id)) = (name, id) else { return };
        match self.0.entry(name.trim().to_lowercase()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Some(id));
            }
            Entry::Occupied(mut known) => {
                let is_same = known.get().is_some_and(|known| known.eq_ignore_ascii_case(id));
                if !is_same {
                    known.insert(None);
                }
            }
        }
    }
}
