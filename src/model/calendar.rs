//! When a room is booked; of a meeting nothing but its time.
//!
//! <https://learn.microsoft.com/graph/api/resources/scheduleinformation>

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What Graph says of one room's calendar.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Calendar {
    /// By start; they may overlap.
    Readable(Vec<Booking>),
    /// Graph refuses this mailbox.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Booking {
    pub start: Timestamp,
    /// Later than the start; no longer part of the booking.
    pub end: Timestamp,
    /// A meeting that was accepted, not an all-day entry, a block of more than ten hours, an absence, or a request that
    /// waits for approval.
    pub is_meeting: bool,
}

/// A calendar at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Occupancy {
    pub booked: Booked,
    /// When the booking ends that runs now; of several the last to end. One that follows it is another.
    pub until: Option<Timestamp>,
    /// When the first begins of those that are yet to come.
    pub next: Option<Timestamp>,
    /// When any of them begins or ends next.
    pub change: Option<Timestamp>,
}

/// What a room is taken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Booked {
    Free,
    Meeting,
    /// Something that is no meeting, and no meeting beside it.
    Block,
}

/// No meeting is longer; what is, keeps the room for something else.
const LONGEST_MEETING: Duration = Duration::from_hours(10);

impl Calendar {
    /// What is known of a moment; `None` where the calendar cannot be read.
    pub fn at(&self, now: Timestamp) -> Option<Occupancy> {
        let Self::Readable(bookings) = self else { return None };
        let running = || bookings.iter().filter(|booking| booking.start <= now && now < booking.end);
        let booked = match running().map(|booking| booking.is_meeting).max() {
            None => Booked::Free,
            Some(true) => Booked::Meeting,
            Some(false) => Booked::Block,
        };
        let next = bookings.iter().map(|booking| booking.start).find(|start| *start > now);
        let change = running().map(|booking| booking.end).chain(next).min();
        Some(Occupancy { booked, until: running().map(|booking| booking.end).max(), next, change })
    }
}

impl Booking {
    /// `accepted`: the room takes part, and is not merely held or away. `None` if it does not end after its start.
    pub fn new(start: Timestamp, end: Timestamp, accepted: bool) -> Option<Self> {
        let is_meeting = accepted && end.since(start) <= LONGEST_MEETING;
        (start < end).then_some(Self { start, end, is_meeting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_seconds(hour * HOUR)
    }

    fn meeting(start: i64, end: i64) -> Booking {
        Booking::new(at(start), at(end), true).expect("a booking")
    }

    fn block(start: i64, end: i64) -> Booking {
        Booking { is_meeting: false, ..meeting(start, end) }
    }

    /// `until`, `next` and `change` in hours.
    #[track_caller]
    fn check(bookings: &[Booking], now: i64, booked: Booked, [until, next, change]: [Option<i64>; 3]) {
        let found = Calendar::Readable(bookings.to_vec()).at(at(now));
        let expected = Occupancy { booked, until: until.map(at), next: next.map(at), change: change.map(at) };
        assert_eq!(found, Some(expected), "at {now}");
    }

    #[test]
    fn a_booking_holds_from_its_start_to_before_its_end() {
        let one = [meeting(9, 10)];
        check(&one, 8, Booked::Free, [None, Some(9), Some(9)]);
        check(&one, 9, Booked::Meeting, [Some(10), None, Some(10)]);
        check(&one, 10, Booked::Free, [None, None, None]);
        check(&[], 10, Booked::Free, [None, None, None]);
    }

    #[test]
    fn one_that_follows_is_another_booking() {
        let two = [meeting(9, 10), meeting(10, 12)];
        check(&two, 9, Booked::Meeting, [Some(10), Some(10), Some(10)]);
        check(&two, 10, Booked::Meeting, [Some(12), None, Some(12)]);
    }

    #[test]
    fn of_those_that_overlap_the_last_to_end_counts() {
        let nested = [meeting(8, 14), meeting(9, 10), meeting(13, 15)];
        check(&nested, 9, Booked::Meeting, [Some(14), Some(13), Some(10)]);
        check(&nested, 13, Booked::Meeting, [Some(15), None, Some(14)]);
    }

    #[test]
    fn a_block_books_the_room_and_is_no_meeting() {
        let day = [block(0, 24), meeting(9, 10)];
        check(&day, 8, Booked::Block, [Some(24), Some(9), Some(9)]);
        check(&day, 9, Booked::Meeting, [Some(24), None, Some(10)]);
        assert!(meeting(8, 18).is_meeting);
        assert!(!meeting(8, 19).is_meeting && !meeting(0, 23).is_meeting && !meeting(0, 25).is_meeting);
        assert_eq!(Booking::new(at(9), at(9), true), None);
        assert_eq!(Booking::new(at(9), at(8), true), None);
    }

    #[test]
    fn nothing_is_known_of_a_calendar_that_is_refused() {
        assert_eq!(Calendar::Refused.at(at(9)), None);
    }
}
