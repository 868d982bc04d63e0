//! Every room ever named, and the one resolver from object id, user principal name and mail to room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::account::User;
use crate::model::identity::claim::Claim;
use crate::model::identity::room::{Authority, Room, Tie};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    rooms: BTreeMap<Arc<str>, Arc<Room>>,
    /// Lower-case alias to room id, or to the id of a room that was united with another since.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
    /// The operator names the lists of rooms, and they have answered: only rooms that a source confirms count.
    #[serde(default)]
    narrowed: bool,
    /// Accounts that the directory says belong to people: object ids, and mail addresses where a device has no object id.
    /// No other fact about them is kept.
    #[serde(default)]
    people: BTreeSet<Arc<str>>,
    /// The sources of identity have ended their first attempt.
    #[serde(skip)]
    settled: bool,
    #[serde(skip)]
    changes: Changes,
    /// Rooms that are held at most; `None` is any number.
    #[serde(skip)]
    most: Option<usize>,
    /// A source named a room beyond that number.
    #[serde(skip)]
    left_out: bool,
}

/// Changes of ids that other parts of the snapshot have yet to follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    united: Vec<United>,
    parted: Vec<Parted>,
}

/// A room that proved to be another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct United {
    pub gone: Arc<str>,
    pub id: Arc<str>,
}

/// Two rooms that equal names had joined by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// The id they shared.
    pub shared: Arc<str>,
    /// The room of the mailbox.
    pub mailbox: Arc<str>,
    /// The room of the account.
    pub account: Arc<str>,
}

/// Names of one room on average; one has two to five.
const MAX_ALIASES: usize = 64;

/// Rooms are united at most so often in a row; a longer chain of ids is a circle.
const MAX_UNIONS: usize = 32;

impl Registry {
    /// The room with this id, or the one that a room with this id proved to be, while it counts as a room.
    pub fn room(&self, id: &str) -> Option<&Arc<Room>> {
        self.by_id(id).filter(|room| self.counts(room))
    }

    /// The same, even if it does not count as a room.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Room>> {
        let mut id = id;
        for _ in 0..MAX_UNIONS {
            if let Some(room) = self.rooms.get(id) {
                return Some(room);
            }
            id = self.aliases.get(id)?;
        }
        None
    }

    /// The room that has this name, even if it does not count as one. The id of a room stays when its account is renamed,
    /// and another account can take the name.
    pub fn known(&self, name: &str) -> Option<&Arc<Room>> {
        self.by_id(self.aliases.get(name).map_or(name, |id| id))
    }

    /// The room that has one of these names, even if it does not count as one.
    pub fn known_as<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) -> Option<&Arc<Room>> {
        names.into_iter().find_map(|name| self.known(&name.to_lowercase()))
    }

    /// The room that has one of these names and counts as a room.
    pub fn find<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) -> Option<&Arc<Room>> {
        let rooms = names.into_iter().filter_map(|name| self.known(&name.to_lowercase()));
        rooms.into_iter().find(|room| self.counts(room))
    }

    /// The room of an account of the directory, if it counts as a room. Another account can have had its names before.
    pub fn of_user(&self, user: &User) -> Option<&Arc<Room>> {
        let claim = Claim::of_user(user, false);
        let rooms = user.names().filter_map(|name| self.known(name));
        rooms.into_iter().find(|room| self.counts(room) && !room.is_of_another(&claim))
    }

    pub fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.rooms.values().filter(|room| self.counts(room))
    }

    /// Returns true for a room that a source confirms. Any other account counts, too, unless it belongs to a person or the
    /// operator wants the rooms of lists only.
    fn counts(&self, room: &Room) -> bool {
        room.confirmed || !(self.narrowed || self.is_of_person(room))
    }

    fn is_of_person(&self, room: &Room) -> bool {
        let mut names = room.object_id.iter().chain(&room.email).chain([&room.id]);
        !room.confirmed && names.any(|name| self.people.contains(name))
    }

    /// Sets whether only rooms that a source confirms count.
    pub fn narrow(registry: &mut Arc<Self>, narrowed: bool) {
        if registry.narrowed != narrowed {
            Arc::make_mut(registry).narrowed = narrowed;
        }
    }

    /// Holds no more than so many rooms from now on.
    pub fn bound(registry: &mut Arc<Self>, most: usize) {
        let registry = Arc::make_mut(registry);
        (registry.most, registry.left_out) = (Some(most), false);
    }

    /// Returns true if a source named a room beyond the bound.
    pub fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// Returns true if no further room is founded. People count as well: each was an account that looked like a room.
    fn is_full(&self) -> bool {
        self.most.is_some_and(|most| self.rooms.len() >= most || self.people.len() >= most)
    }

    /// Returns true if a room may have no further name.
    fn is_full_of_names(&self) -> bool {
        self.most.is_some_and(|most| self.aliases.len() >= most.saturating_mul(MAX_ALIASES))
    }

    /// Records that the directory says that this account belongs to a person: under its object id, and under any other name
    /// by which alone a device knows it.
    pub fn note_person(registry: &mut Arc<Self>, user: &User) {
        let is_bare = |name: &&Arc<str>| registry.known(name).is_some_and(|room| room.object_id.is_none());
        let bare: Vec<Arc<str>> = user.names().filter(is_bare).cloned().collect();
        if !bare.is_empty() || !registry.people.contains(&user.object_id) {
            Arc::make_mut(registry).people.extend(bare.into_iter().chain([user.object_id.clone()]));
        }
    }

    /// Takes back that the account belongs to a person.
    pub fn note_room(registry: &mut Arc<Self>, user: &User) {
        if user.names().any(|name| registry.people.contains(name)) {
            Arc::make_mut(registry).people.retain(|name| !user.names().any(|other| other == name));
        }
    }

    /// The people who signed in on devices of rooms, by object id or another name.
    pub fn people(&self) -> impl Iterator<Item = &Arc<str>> {
        self.people.iter()
    }

    /// From now on the id of a room stays once the sources that could name it have had their say.
    pub fn settle(registry: &mut Arc<Self>) {
        if !registry.settled {
            Arc::make_mut(registry).settled = true;
        }
        Self::fix_ids(registry);
    }

    /// Fixes the ids of the rooms that were founded since the last time.
    pub fn fix_ids(registry: &mut Arc<Self>) {
        if registry.has_open_ids() {
            for room in Arc::make_mut(registry).rooms.values_mut().filter(|room| !room.fixed) {
                Arc::make_mut(room).fixed = true;
            }
        }
    }

    /// Returns true if the id of a room is to be fixed.
    pub fn has_open_ids(&self) -> bool {
        self.settled && self.rooms.values().any(|room| !room.fixed)
    }

    /// Drops the accounts of people, with their names.
    pub fn forget_people(registry: &mut Arc<Self>) {
        let people = registry.rooms.values().filter(|room| registry.is_of_person(room));
        let people: BTreeSet<Arc<str>> = people.map(|room| room.id.clone()).collect();
        if people.is_empty() {
            return;
        }
        let registry = Arc::make_mut(registry);
        registry.rooms.retain(|id, _| !people.contains(id));
        let lost = registry.aliases.keys().filter(|alias| registry.known(alias).is_none());
        let lost: BTreeSet<Arc<str>> = lost.cloned().collect();
        registry.aliases.retain(|alias, _| !lost.contains(alias));
    }

    /// Returns true if the directory says that the account belongs to a person, and no source lists it as a room.
    pub fn is_person<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>> + Clone) -> bool {
        let has = |name: &Arc<str>| self.people.contains(&*name.to_lowercase());
        !self.people.is_empty() && names.clone().into_iter().any(has) && self.find(names).is_none()
    }

    /// Returns true if only a device knows of some account.
    pub(super) fn has_open_account(&self) -> bool {
        self.rooms.values().any(|room| room.is_open_account())
    }

    pub fn has_changes(&self) -> bool {
        self.changes != Changes::default()
    }

    /// The rooms that were united or parted since this was last called.
    pub fn take_changes(registry: &mut Arc<Self>) -> (Vec<United>, Vec<Parted>) {
        let Changes { united, parted } = std::mem::take(&mut Arc::make_mut(registry).changes);
        (united, parted)
    }

    /// The room of an account that is claimed to be a room, found or founded here. It learns its name and aliases.
    pub fn assign(registry: &mut Arc<Self>, claim: &Claim<'_>) -> Option<Arc<str>> {
        let claim = &registry.without_names_of_others(claim);
        let aliases: Vec<Arc<str>> = claim.aliases().collect();
        let mut known = registry.known_by(claim, &aliases);
        for wrong in registry.refuted(claim, &aliases, &known) {
            Arc::make_mut(registry).part(&wrong);
            known = registry.known_by(claim, &aliases);
        }
        if known.is_empty() && !aliases.is_empty() && registry.is_full() {
            if !registry.left_out {
                Arc::make_mut(registry).left_out = true;
            }
            return None;
        }
        let id = registry.choose(&known, registry.preferred(&known, &aliases)?);
        let found = registry.rooms.get(&id);
        let mut room = found.map_or_else(|| Room::founded(id.clone()), |room| Room::clone(room));
        room.learn(claim);
        let is_complete = aliases.iter().all(|alias| registry.known(alias).is_some_and(|room| room.id == id));
        if found.is_none_or(|found| **found != room) || !is_complete {
            let registry = Arc::make_mut(registry);
            registry.rooms.insert(id.clone(), Arc::new(room));
            for other in known.iter().filter(|other| **other != id) {
                registry.unite(other, &id);
            }
            let is_full = registry.is_full_of_names();
            for alias in aliases {
                if !is_full || registry.aliases.contains_key(&alias) {
                    registry.aliases.insert(alias, id.clone());
                }
            }
        }
        Some(id)
    }

    /// Joins the room of an account and the room of a place that have the same name.
    pub fn join_by_name(registry: &mut Arc<Self>, account: &str, place: &str) {
        let (Some(account), Some(place)) = (registry.known(account), registry.known(place)) else { return };
        if account.id == place.id || !account.is_open_account() || !place.is_open_mailbox() {
            return;
        }
        let half = account.clone();
        let rooms = [place.id.clone(), account.id.clone()];
        let id = registry.choose(&rooms, &place.id);
        let registry = Arc::make_mut(registry);
        for other in rooms.iter().filter(|other| **other != id) {
            registry.unite(other, &id);
        }
        if let Some(room) = registry.rooms.get_mut(&id).map(Arc::make_mut) {
            (room.tie, room.by_name) = (Some(Tie::Name), Some(half));
        }
    }

    /// Takes the address of a room from its account where the directory shows it at another account, before any claim of
    /// these users.
    pub fn follow_addresses(registry: &mut Arc<Self>, users: &[User]) {
        let held = users.iter().flat_map(|user| user.names().map(move |name| (name, &user.object_id)));
        let holders: HashMap<&Arc<str>, &Arc<str>> = held.collect();
        for user in users {
            let is_taken = |room: &&Arc<Room>| {
                let holder = room.email.as_ref().and_then(|email| holders.get(email));
                let is_same = room.object_id.as_ref() == Some(&user.object_id) && room.by_name.is_none();
                is_same && holder.is_some_and(|holder| **holder != user.object_id)
            };
            let taken = registry.known(&user.object_id).filter(is_taken).map(|room| room.id.clone());
            if let Some(room) = taken.and_then(|id| Arc::make_mut(registry).rooms.get_mut(&id)) {
                let room = Arc::make_mut(room);
                (room.email, room.mailed_by) = (user.email.clone(), Authority::Account);
            }
        }
    }

    /// Gives a room another name if the device that named it is not among those in it, which claim this. Without another
    /// name the last one stays.
    pub fn name_by(registry: &mut Arc<Self>, id: &Arc<str>, claims: &[Claim<'_>]) {
        let Some(room) = registry.rooms.get(id).filter(|room| room.lost_its_name_giver(claims)) else {
            return;
        };
        let mut room = Room::clone(room);
        room.rename(claims);
        Arc::make_mut(registry).rooms.insert(id.clone(), Arc::new(room));
    }

    /// The claim of a device without the address that the room of another account has. An object id is better.
    fn without_names_of_others<'c>(&self, claim: &Claim<'c>) -> Claim<'c> {
        let keeps = |email: &&str| {
            let email = email.to_lowercase();
            self.known(&email).is_none_or(|room| !room.keeps_from(claim, &email))
        };
        Claim { email: claim.email.filter(keeps), ..claim.clone() }
    }

    /// The ids of the rooms that have these names, each once, but for those of other accounts.
    fn known_by(&self, claim: &Claim<'_>, aliases: &[Arc<str>]) -> Vec<Arc<str>> {
        let mut known: Vec<Arc<str>> = Vec::new();
        let rooms = aliases.iter().filter_map(|alias| self.known(alias));
        for room in rooms.filter(|room| !room.is_of_another(claim)) {
            if !known.contains(&room.id) {
                known.push(room.id.clone());
            }
        }
        known
    }

    /// The best of its names as an id. One that is the id of another room can be none.
    fn preferred<'a>(&self, known: &[Arc<str>], aliases: &'a [Arc<str>]) -> Option<&'a Arc<str>> {
        let is_free = |alias: &&Arc<str>| !self.rooms.contains_key(*alias) || known.contains(alias);
        aliases.iter().find(is_free).or(aliases.first())
    }

    /// The id of names that prove to be one room. An id that is fixed stays. Until then a mail address is better than an object
    /// id, in whatever order the sources answer.
    fn choose(&self, known: &[Arc<str>], preferred: &Arc<str>) -> Arc<str> {
        let rooms = || known.iter().filter_map(|id| self.rooms.get(id));
        if let Some(room) = rooms().find(|room| room.fixed) {
            return room.id.clone();
        }
        let best = rooms().filter(|room| room.email.is_some()).max_by_key(|room| room.mailed_by);
        match best {
            Some(room) if !preferred.contains('@') => room.id.clone(),
            Some(room) if room.mailed_by > Authority::Device => room.id.clone(),
            _ => preferred.clone(),
        }
    }

    /// Two rooms turn out to be one account. The one that stays learns what was known of the other.
    fn unite(&mut self, other: &Arc<str>, id: &Arc<str>) {
        if let (Some(gone), Some(room)) = (self.rooms.remove(other), self.rooms.get_mut(id)) {
            Arc::make_mut(room).absorb(&gone);
            self.aliases.insert(other.clone(), id.clone());
            self.changes.united.push(United { gone: other.clone(), id: id.clone() });
        }
    }

    /// The rooms that equal names had joined, and that this claim shows to be two: its account belongs to another room, or
    /// its mailbox to another account.
    fn refuted(&self, claim: &Claim<'_>, aliases: &[Arc<str>], known: &[Arc<str>]) -> Vec<Arc<str>> {
        let Some(object_id) = claim.object_id.filter(|_| claim.tie().is_some()) else { return Vec::new() };
        let is_wrong = |room: &Arc<Room>| {
            let is_account = room.object_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(object_id));
            let is_mailbox = room.email.as_ref().is_some_and(|email| aliases.contains(email));
            let is_elsewhere = known.iter().any(|other| *other != room.id);
            room.by_name.is_some() && if is_account { !is_mailbox && is_elsewhere } else { is_mailbox }
        };
        let rooms = known.iter().filter_map(|id| self.rooms.get(id));
        rooms.filter(|room| is_wrong(room)).map(|room| room.id.clone()).collect()
    }

    /// Makes two rooms of one again: that of the mailbox and that of the account.
    fn part(&mut self, shared: &Arc<str>) {
        let Some(mut mailbox) = self.rooms.get(shared).map(|room| Room::clone(room)) else { return };
        let (Some(email), Some(account)) = (mailbox.email.clone(), mailbox.part()) else { return };
        mailbox.id = if account.id == *shared { email.clone() } else { shared.clone() };
        self.aliases.insert(email, mailbox.id.clone());
        for alias in [&account.email, &account.object_id].into_iter().flatten().chain([&account.id]) {
            self.aliases.insert(alias.clone(), account.id.clone());
        }
        let (mailbox_id, account_id) = (mailbox.id.clone(), account.id.clone());
        self.changes.parted.push(Parted { shared: shared.clone(), mailbox: mailbox_id, account: account_id });
        for room in [Arc::new(mailbox), account] {
            self.rooms.insert(room.id.clone(), room);
        }
    }
}
