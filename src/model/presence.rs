//! The presence of a room account: the fastest sign that a room is down or in use.
//!
//! <https://learn.microsoft.com/graph/api/resources/presence>

use serde::{Deserialize, Serialize};

use crate::model::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Presence {
    pub availability: Availability,
    /// Whether the account takes part in a call; never "in a meeting", which the calendar sets with nobody there.
    /// `None` where the activity is not known.
    pub in_call: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    Available,
    Busy,
    DoNotDisturb,
    Away,
    Offline,
    Unknown,
}

impl State for Availability {
    const ALL: &'static [Self] =
        &[Self::Available, Self::Busy, Self::DoNotDisturb, Self::Away, Self::Offline, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::DoNotDisturb => "do_not_disturb",
            Self::Away => "away",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}
