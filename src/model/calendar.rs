//! When a room is booked; of a meeting nothing but its time.
//!
//! <https://learn.microsoft.com/graph/api/resources/scheduleinformation>

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What Graph says of one room's calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calendar {
    /// By start; they may overlap.
    Readable(Vec<Booking>),
    /// Graph refuses this mailbox.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    pub start: Timestamp,
    /// Later than the start.
    pub end: Timestamp,
    /// A meeting, not an all-day entry, a block of more than ten hours or an absence.
    pub is_meeting: bool,
}
