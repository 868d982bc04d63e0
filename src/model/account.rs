//! The account of a room: may it sign in, and what is it licensed for.
//!
//! <https://learn.microsoft.com/graph/api/resources/user>

use serde::{Deserialize, Serialize};

use crate::model::State;

/// Whether a room's account is in order. Who is signed in on a device is [`crate::model::device::Account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomAccount {
    pub enabled: Option<bool>,
    /// The best of its licences; `None` where they are not told.
    pub license: Option<Tier>,
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
