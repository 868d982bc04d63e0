//! The world of the tenant: buildings, rooms and devices, a pure function of seed, size, start and moment.
//! It knows nothing of HTTP or JSON; only ids are held, everything else is computed when asked for.

mod account;
mod booking;
mod building;
mod condition;
mod device;
mod hardware;
mod software;
mod timeline;

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::chance::Chance;
use account::Owner;
pub(super) use account::{Mailbox, SKUS, Sku, User, UserEntry, UserKind};
pub(super) use booking::{Booking, BookingStatus};
pub(super) use building::{Account, Room, somebody};
pub(super) use condition::{Activity, Condition, Health, Link, LinkStatus, Peripheral, Place};
pub(super) use device::{Device, Part, Story};
pub(super) use hardware::{DEVICE_TYPES, DeviceType, Product};
pub(super) use software::{Software, Status as SoftwareStatus};
pub(super) use timeline::{Episode, timestamp};

/// More rooms than any tenant we know of; more would only fill memory with ids.
pub(super) const MOST_ROOMS: usize = 50_000;

/// Rooms come in blocks of so many, each with the same mix of platforms and the same stories.
const BLOCK: usize = 60;

/// One device without a room for so many rooms.
const ROOMS_PER_EXTRA: usize = 10;

/// One room that has a mailbox and no device for so many that have.
const ROOMS_PER_BARE_ROOM: usize = 20;

/// People there are even in the smallest tenant.
const FEWEST_PEOPLE: usize = 12;

pub(super) struct World {
    seed: Chance,
    start: i64,
    rooms: usize,
    buildings: Vec<building::Building>,
    /// Ordered by id, as if at random, so that the devices of a room are pages apart.
    index: Vec<Entry>,
    by_id: HashMap<Uuid, usize>,
    /// Ordered by id, as the directory is.
    users: Vec<UserEntry>,
    /// Rooms by the user principal name and the address of their mailbox, in lower case.
    by_address: HashMap<String, usize>,
}

/// What must be known of a device to find and filter it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) kind: DeviceType,
    part: Part,
    home: Home,
}

/// A room by its number, or the number of a device that belongs to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Room(usize),
    Nowhere(usize),
}

impl World {
    pub(super) fn new(seed: u64, rooms: usize, start: Timestamp) -> Self {
        let seed = Chance::seeded(seed);
        let rooms = rooms.min(MOST_ROOMS);
        let in_rooms = (0..rooms).flat_map(|room| room_entries(seed, room));
        let mut index: Vec<Entry> =
            in_rooms.chain((0..rooms / ROOMS_PER_EXTRA).map(|at| extra(seed, at))).collect();
        index.sort_unstable_by_key(|entry| entry.id);
        let by_id = index.iter().enumerate().map(|(at, entry)| (entry.id, at)).collect();
        let start = start.as_millisecond();
        let buildings = building::buildings(rooms);
        let (users, by_address) = (Vec::new(), HashMap::new());
        let mut world = Self { seed, start, rooms, buildings, index, by_id, users, by_address };
        world.register();
        world
    }

    /// Writes everybody into the directory.
    fn register(&mut self) {
        let mut users = Vec::new();
        let mut by_address = HashMap::new();
        for number in 0..self.rooms + self.rooms / ROOMS_PER_BARE_ROOM {
            let mailbox = self.mailbox(number);
            by_address.insert(mailbox.address().to_lowercase(), number);
            by_address.insert(mailbox.room.account.user_principal_name.to_lowercase(), number);
            users.push(UserEntry { id: mailbox.room.account.id, owner: Owner::Mailbox(number) });
        }
        let people = (0..self.rooms / ROOMS_PER_EXTRA + FEWEST_PEOPLE).map(Owner::Person);
        let panels = (0..self.buildings.len()).map(Owner::Panel);
        users.extend(people.chain(panels).map(|owner| UserEntry { id: self.owner(owner).account.id, owner }));
        users.sort_unstable_by_key(|entry| entry.id);
        self.users = users;
        self.by_address = by_address;
    }

    fn owner(&self, owner: Owner) -> User {
        match owner {
            Owner::Mailbox(number) => self.mailbox(number).user(),
            Owner::Person(number) => account::person(building::person(self.seed, number)),
            Owner::Panel(number) => {
                let code = self.buildings.get(number).map_or("", |building| &building.code);
                account::panel(self.seed, code)
            }
        }
    }

    pub(super) fn users(&self) -> &[UserEntry] {
        &self.users
    }

    /// The number of accounts that are rooms for the directory: with devices, without, and those of panels.
    pub(super) fn room_accounts(&self) -> usize {
        self.users.iter().filter(|user| !matches!(user.owner, Owner::Person(_))).count()
    }

    pub(super) fn user(&self, entry: &UserEntry) -> User {
        self.owner(entry.owner)
    }

    pub(super) fn user_with_id(&self, id: Uuid) -> Option<UserEntry> {
        let at = self.users.binary_search_by_key(&id, |entry| entry.id).ok()?;
        self.users.get(at).copied()
    }

    /// The mailbox of a user, if the user is a room.
    pub(super) fn mailbox_of(&self, entry: &UserEntry) -> Option<Mailbox> {
        if let Owner::Mailbox(number) = entry.owner { Some(self.mailbox(number)) } else { None }
    }

    /// Every room with a mailbox; those without devices come last.
    pub(super) fn mailboxes(&self) -> impl Iterator<Item = Mailbox> {
        (0..self.rooms + self.rooms / ROOMS_PER_BARE_ROOM).map(|number| self.mailbox(number))
    }

    /// The mailbox with a user principal name or address.
    pub(super) fn mailbox_at(&self, address: &str) -> Option<Mailbox> {
        self.by_address.get(&address.to_lowercase()).map(|number| self.mailbox(*number))
    }

    fn mailbox(&self, number: usize) -> Mailbox {
        Mailbox { room: self.room(number), rank: rank(self.seed, number), has_devices: number < self.rooms }
    }

    /// What stands in the calendar of a mailbox and touches the window.
    pub(super) fn bookings(&self, mailbox: &Mailbox, window: Episode) -> Vec<Booking> {
        mailbox.bookings(self.seed, window)
    }

    /// The devices of the room of a mailbox.
    pub(super) fn devices_of(&self, mailbox: &Mailbox) -> Vec<Entry> {
        let number = self.by_address.get(&mailbox.room.account.user_principal_name);
        number
            .filter(|_| mailbox.has_devices)
            .map_or_else(Vec::new, |number| room_entries(self.seed, *number))
    }

    /// Simulated milliseconds at the start.
    pub(super) fn started(&self) -> i64 {
        self.start
    }

    pub(super) fn seed(&self) -> Chance {
        self.seed
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.index
    }

    pub(super) fn find(&self, id: Uuid) -> Option<&Entry> {
        self.by_id.get(&id).and_then(|at| self.index.get(*at))
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = (Room, Vec<Entry>)> {
        (0..self.rooms).map(|at| (self.room(at), room_entries(self.seed, at)))
    }

    fn room(&self, number: usize) -> Room {
        building::room(&self.buildings, self.seed, number)
    }

    pub(super) fn device(&self, entry: &Entry) -> Device {
        let chance = self.seed.named("device").named(&entry.id.to_string());
        let predecessor = matches!(entry.home, Home::Room(room) if has_predecessor(self.seed, room));
        let (account, building) = self.home(entry);
        let room_chance = account.as_ref().map_or(chance, |account| self.seed.named(&account.id.to_string()));
        Device {
            id: entry.id,
            kind: entry.kind,
            part: entry.part,
            story: self.story(entry),
            chance,
            room_chance,
            model: device::model(entry.kind, chance.named("model")),
            account,
            zone: building.zone,
            zone_name: building.zone_name,
            enrolled: device::enrolled(entry.part, predecessor, self.start, chance.named("enrolled")),
            start: self.start,
        }
    }

    /// Whose device it is and where it stands.
    fn home(&self, entry: &Entry) -> (Option<Account>, building::Building) {
        match entry.home {
            Home::Room(number) => {
                let room = self.room(number);
                (Some(room.account), room.building)
            }
            Home::Nowhere(number) => {
                let account = (entry.part == Part::Personal).then(|| building::person(self.seed, number));
                (account, self.room(number).building)
            }
        }
    }

    /// Whether the fault of a person in the room of an account is about the device.
    pub(super) fn invites_people(&self, entry: &Entry) -> bool {
        let Home::Room(room) = entry.home else { return false };
        entry.part == Part::Core && rank(self.seed, room) == 5
    }

    /// A person who is in the directory.
    pub(super) fn somebody_with_account(&self) -> Account {
        building::person(self.seed, 0)
    }

    /// The first Windows rooms of every block each have their trouble.
    fn story(&self, entry: &Entry) -> Story {
        let Home::Room(room) = entry.home else { return Story::Uneventful };
        match (entry.part, rank(self.seed, room)) {
            (Part::Core, 0) => Story::CameraLost,
            (Part::Core, 1) => Story::Offline,
            (Part::Core, 2) => Story::ExchangeLost,
            (Part::Core, 3) => Story::UpdatesHeld,
            _ => Story::Uneventful,
        }
    }
}

/// The place of a room in its block, from 0 to 59: decides what stands in it, so that the mix is exact in any
/// tenant.
fn rank(seed: Chance, room: usize) -> usize {
    let turn = usize::try_from(seed.named("rank").between(0, 59)).unwrap_or(0);
    // 37 has no factor in common with 60, so the ranks of a block are a permutation.
    (room % BLOCK * 37 + turn) % BLOCK
}

/// Two rooms in a block still have the device that stood there before.
fn has_predecessor(seed: Chance, room: usize) -> bool {
    matches!(rank(seed, room), 11 | 12)
}

fn core_type(rank: usize) -> DeviceType {
    match rank {
        0..36 => DeviceType::TeamsRoom,
        36..57 => DeviceType::CollaborationBar,
        _ => DeviceType::SurfaceHub,
    }
}

fn room_entries(seed: Chance, room: usize) -> Vec<Entry> {
    let rank = rank(seed, room);
    let kind = core_type(rank);
    let draw = seed.named("furniture").number(i64::try_from(room).unwrap_or(i64::MAX));
    let others = [
        (rank == 10).then_some((Part::Second, kind)),
        has_predecessor(seed, room).then_some((Part::Replaced(rank == 11), kind)),
        (kind == DeviceType::CollaborationBar && draw.named("console").happens(0.85))
            .then_some((Part::Console, DeviceType::TouchConsole)),
        draw.named("panel").happens(0.4).then_some((Part::Panel, DeviceType::TeamsPanel)),
    ];
    let parts = [Some((Part::Core, kind))].into_iter().chain(others).flatten();
    parts.map(|(part, kind)| Entry { id: id(draw, part), kind, part, home: Home::Room(room) }).collect()
}

/// A device that belongs to no room: phones and displays of people, stock, and one hollow record.
fn extra(seed: Chance, number: usize) -> Entry {
    let (part, kind) = match number % 6 {
        0 | 4 => (Part::Personal, DeviceType::IpPhone),
        1 => (Part::NeverSignedIn, DeviceType::CollaborationBar),
        2 => (Part::Bare, DeviceType::TeamsRoom),
        3 => (Part::Personal, DeviceType::TeamsDisplay),
        _ => (Part::Personal, DeviceType::Sip),
    };
    let draw = seed.named("extra").number(i64::try_from(number).unwrap_or(i64::MAX));
    Entry { id: id(draw, part), kind, part, home: Home::Nowhere(number) }
}

fn id(draw: Chance, part: Part) -> Uuid {
    draw.named(&format!("{part:?}")).guid()
}
