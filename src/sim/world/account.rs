//! What the directory and the address book know of rooms and people: licences, addresses, places. All names
//! are invented.

use uuid::Uuid;

use super::building::{Account, Room};
use super::timeline::Meetings;
use crate::sim::chance::Chance;

/// A room with a mailbox, with or without devices.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Mailbox {
    pub(in crate::sim) room: Room,
    /// Its place in its block, which decides its peculiarity.
    pub(super) rank: usize,
    /// Rooms without are booked like any other, but nothing of Teams is in them.
    pub(in crate::sim) has_devices: bool,
}

/// An entry of the directory.
#[derive(Clone, Debug)]
pub(in crate::sim) struct User {
    pub(in crate::sim) account: Account,
    pub(in crate::sim) mail: String,
    pub(in crate::sim) is_enabled: bool,
    pub(in crate::sim) products: Vec<&'static Sku>,
    pub(in crate::sim) kind: UserKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum UserKind {
    Room,
    /// A shared device, such as a panel at the door with an account of its own.
    Shared,
    Person,
}

/// A product as Microsoft's licensing reference lists it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sim) struct Sku {
    pub(in crate::sim) id: &'static str,
    pub(in crate::sim) part_number: &'static str,
    /// Name and id of its service plans, those the reference names for rooms.
    pub(in crate::sim) plans: &'static [(&'static str, &'static str)],
}

const INTUNE: (&str, &str) = ("INTUNE_A", "c1ec4a95-1f05-45b3-a911-aa3fa01094f5");
const MANAGEMENT: (&str, &str) = ("MTRProManagement", "ecc74eae-eeb7-4ad5-9c88-e8b2bfca75b8");
const PRO_PLAN: (&str, &str) = ("Teams_Rooms_Pro", "0374d34c-6be4-4dbb-b3f0-26105db0b28a");
const BASIC_PLAN: (&str, &str) = ("Teams_Rooms_Basic", "c8529366-cffd-4415-ab8f-be0144a33ab1");
const STANDARD_PLAN: (&str, &str) = ("Teams_Room_Standard", "92c6b761-01de-457a-9dd9-793a975238f7");
const PREMIUM_PLAN: (&str, &str) = ("Teams_Room_Premium", "79d69417-9e27-4a13-b7a5-80c513145533");

/// What the tenant has bought, in this order.
pub(in crate::sim) static SKUS: [Sku; 8] = [
    sku("4cde982a-ede4-4409-9ae6-b003453c8ea6", "Microsoft_Teams_Rooms_Pro", &[PRO_PLAN, MANAGEMENT, INTUNE]),
    sku(
        "21943e3a-2429-4f83-84c1-02735cd49e78",
        "Microsoft_Teams_Rooms_Pro_without_Audio_Conferencing",
        &[PRO_PLAN, MANAGEMENT, INTUNE],
    ),
    sku("6af4b3d6-14bb-4a2a-960c-6c902aad34f3", "Microsoft_Teams_Rooms_Basic", &[BASIC_PLAN, INTUNE]),
    sku("4fb214cb-a430-4a91-9c91-4976763aa78f", "MTR_PREM", &[PREMIUM_PLAN, INTUNE]),
    sku("6070a4c8-34c6-4937-8dfb-39bbc6397a60", "MEETING_ROOM", &[STANDARD_PLAN, INTUNE]),
    sku("295a8eb0-f78d-45c7-8b5b-1eed5ed02dff", "MCOCAP", &[INTUNE]),
    sku("05e9a617-0261-4cee-bb44-138d3ef5d965", "SPE_E3", &[INTUNE]),
    sku("06ebc4ee-1bb5-47dd-8120-11324bc54e06", "SPE_E5", &[INTUNE]),
];

static PRO: &Sku = &SKUS[0];
static PRO_NO_AUDIO: &Sku = &SKUS[1];
static BASIC: &Sku = &SKUS[2];
static PREMIUM: &Sku = &SKUS[3];
static STANDARD: &Sku = &SKUS[4];
static SHARED: &Sku = &SKUS[5];
static OFFICE: &Sku = &SKUS[6];
static PERSONAL: &Sku = &SKUS[7];

const fn sku(
    id: &'static str,
    part_number: &'static str,
    plans: &'static [(&'static str, &'static str)],
) -> Sku {
    Sku { id, part_number, plans }
}

impl Mailbox {
    pub(in crate::sim) fn user(&self) -> User {
        let account = self.room.account.clone();
        let is_enabled = self.has_devices && self.rank != 20;
        User { account, mail: self.address(), is_enabled, products: self.products(), kind: UserKind::Room }
    }

    /// Each block has one room or two of every kind that is not as it should be; the rest is Pro.
    fn products(&self) -> Vec<&'static Sku> {
        match self.rank {
            _ if !self.has_devices => Vec::new(),
            21 | 22 => vec![BASIC],
            23 => Vec::new(),
            24 => vec![OFFICE],
            25 => vec![STANDARD],
            26 => vec![PREMIUM],
            27 => vec![PRO_NO_AUDIO],
            28 => vec![SHARED],
            29 => vec![SHARED, PRO],
            _ => vec![PRO],
        }
    }

    /// The primary address; a few accounts sign in with another name.
    pub(in crate::sim) fn address(&self) -> String {
        let upn = &self.room.account.user_principal_name;
        if matches!(self.rank, 30..=32) { upn.replace('@', "@meet.") } else { upn.clone() }
    }

    /// The address as somebody typed it into the address book.
    pub(in crate::sim) fn listed_address(&self) -> String {
        let address = self.address();
        if !matches!(self.rank, 31 | 36..=41) {
            return address;
        }
        let upper = address.get(..8).unwrap_or_default().to_uppercase();
        address.get(8..).map_or(address.clone(), |rest| upper + rest)
    }

    /// A room hidden from the address book is no place for Graph.
    pub(in crate::sim) fn is_hidden(&self) -> bool {
        self.rank == 33
    }

    /// Somebody forgot to say where a few rooms are.
    pub(in crate::sim) fn building(&self) -> Option<&str> {
        Some(self.room.building.code.as_str()).filter(|_| !matches!(self.rank, 34 | 35))
    }

    pub(in crate::sim) fn capacity(&self) -> i64 {
        *self.room.chance.named("capacity").pick(&[2, 4, 4, 6, 6, 8, 8, 8, 10, 12, 12, 16, 20, 24])
    }

    /// As Intune judges the devices of the room; every value occurs in a block.
    pub(in crate::sim) fn compliance(&self) -> &'static str {
        match self.rank {
            50 => "unknown",
            4 | 51 => "noncompliant",
            52 => "conflict",
            53 => "error",
            6 | 54 => "inGracePeriod",
            55 => "configManager",
            _ => "compliant",
        }
    }

    pub(in crate::sim) fn was_enrolled_twice(&self) -> bool {
        matches!(self.rank, 7 | 46)
    }

    /// Some devices were enrolled without a user.
    pub(in crate::sim) fn has_primary_user(&self) -> bool {
        !matches!(self.rank, 8 | 48)
    }

    /// The meetings people really come to, as its devices see them.
    pub(super) fn meetings(&self, seed: Chance) -> Meetings {
        Meetings::of(self.room.building.zone.clone(), seed.named(&self.room.account.id.to_string()))
    }
}

/// Panels with an account of their own, one at the door of every building.
pub(super) fn panel(seed: Chance, code: &str) -> User {
    let account = Account {
        id: seed.named("panel account").named(code).guid(),
        display_name: format!("{code} Entrance Panel"),
        user_principal_name: format!("panel-{}@contoso.example", code.to_lowercase()),
    };
    let mail = account.user_principal_name.clone();
    User { account, mail, is_enabled: true, products: vec![SHARED], kind: UserKind::Shared }
}

pub(super) fn person(account: Account) -> User {
    let mail = account.user_principal_name.clone();
    User { account, mail, is_enabled: true, products: vec![PERSONAL], kind: UserKind::Person }
}

/// Who is who in the directory, by the number they are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Mailbox(usize),
    Panel(usize),
    Person(usize),
}

/// The id of a user and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct UserEntry {
    pub(in crate::sim) id: Uuid,
    pub(super) owner: Owner,
}
