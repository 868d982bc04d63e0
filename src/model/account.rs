//! The account of a room: may it sign in, what is it licensed for, and what else is it called.
//!
//! <https://learn.microsoft.com/graph/api/resources/user>

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::State;

/// Whether a room's account is in order. Who is signed in on a device is [`crate::model::device::Account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomAccount {
    pub enabled: Option<bool>,
    /// The best of its licences; `None` where they are not told.
    pub license: Option<Tier>,
}

/// A user of the directory that may be a room, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Entra object id, lower case.
    pub object_id: Arc<str>,
    /// Primary address, else the name it signs in with; lower case.
    pub email: Option<Arc<str>>,
    /// The name it signs in with and its other addresses, lower case.
    pub other_names: Vec<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub account: RoomAccount,
}

/// What a licence is for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Pro,
    Premium,
    Standard,
    Basic,
    SharedDevice,
    /// Some licence, but none for rooms.
    Other,
    None,
}

impl User {
    /// Whether a licence says that this is a room.
    pub fn is_licensed_room(&self) -> bool {
        self.account.license.is_some_and(Tier::is_for_rooms)
    }

    /// Everything that it is found by, the best first.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.email.iter().chain([&self.object_id]).chain(&self.other_names)
    }
}

impl Tier {
    /// A Teams Rooms or shared-device licence.
    pub const fn is_for_rooms(self) -> bool {
        !matches!(self, Self::Other | Self::None)
    }
}

impl State for Tier {
    const ALL: &'static [Self] =
        &[Self::Pro, Self::Premium, Self::Standard, Self::Basic, Self::SharedDevice, Self::Other, Self::None];

    fn label(self) -> &'static str {
        match self {
            Self::Pro => "pro",
            Self::Premium => "premium",
            Self::Standard => "standard",
            Self::Basic => "basic",
            Self::SharedDevice => "shared_device",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}
