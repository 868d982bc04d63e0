//! What stands in the calendars of rooms: most meetings were booked, some bookings nobody comes to, and some
//! entries that are no meetings.

use jiff::civil::Date;

use super::account::Mailbox;
use super::building;
use super::timeline::{self, Episode, HOUR, MINUTE};
use crate::sim::chance::Chance;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Booking {
    pub(in crate::sim) from: i64,
    pub(in crate::sim) until: i64,
    pub(in crate::sim) status: BookingStatus,
    /// Who booked; Exchange makes it the subject of the room's entry.
    pub(in crate::sim) organizer: &'static str,
    pub(in crate::sim) is_private: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum BookingStatus {
    Tentative,
    Busy,
    OutOfOffice,
    /// The room is free all the same.
    WorkingElsewhere,
}

/// The share of meetings that were booked; people walk into the others.
const BOOKED: f64 = 0.8;
/// The share of bookings nobody comes to.
const GHOSTS: f64 = 0.2;
/// Hours of a day in which meetings can begin.
const MEETING_HOURS: i64 = 10;

impl Mailbox {
    /// Every entry that touches the window, by its beginning.
    pub(super) fn bookings(&self, seed: Chance, window: Episode) -> Vec<Booking> {
        self.entries(window, |date| self.bookings_on(seed, date))
    }

    /// Entries in the calendar of a room that leave it free; one room in a block has them.
    pub(in crate::sim) fn elsewhere(&self, window: Episode) -> Vec<Booking> {
        if self.rank != 47 {
            return Vec::new();
        }
        self.entries(window, |date| self.elsewhere_on(date))
    }

    fn elsewhere_on(&self, date: Date) -> Vec<Booking> {
        if !timeline::is_business_day(date) {
            return Vec::new();
        }
        let at = |hour| timeline::local(&self.room.building.zone, date, hour);
        let draw = self.room.chance.named("elsewhere").number(timeline::day_number(date));
        vec![booking(Episode { from: at(8), until: at(18) }, BookingStatus::WorkingElsewhere, draw)]
    }

    fn entries(&self, window: Episode, on: impl Fn(Date) -> Vec<Booking>) -> Vec<Booking> {
        let zone = &self.room.building.zone;
        let first = timeline::local_date(zone, window.from);
        let first = first.yesterday().unwrap_or(first);
        let last = timeline::local_date(zone, window.until);
        let days = std::iter::successors(Some(first), |date| date.tomorrow().ok());
        let days = days.take_while(|date| *date <= last);
        let all = days.flat_map(on);
        let mut found: Vec<Booking> =
            all.filter(|booking| booking.from < window.until && booking.until > window.from).collect();
        found.sort_by_key(|booking| (booking.from, booking.until));
        found
    }

    fn bookings_on(&self, seed: Chance, date: Date) -> Vec<Booking> {
        if !timeline::is_business_day(date) {
            return Vec::new();
        }
        let draw = self.room.chance.named("bookings").number(timeline::day_number(date));
        let meetings = self.meetings(seed);
        let opening = timeline::local(&meetings.zone, date, 8);
        let hours = (0..MEETING_HOURS).filter_map(|hour| {
            let (draw, begins) = (draw.number(hour), opening + hour * HOUR);
            let slot = match meetings.on(date, hour) {
                Some(used) => draw.named("booked").happens(BOOKED).then(|| slot_of(used, begins)),
                None => draw.named("ghost").happens(ghosts(meetings.per_hour)).then(|| slot(begins, draw)),
            };
            slot.map(|slot| booking(slot, BookingStatus::Busy, draw))
        });
        hours.chain(self.blocks(date, draw)).collect()
    }

    /// What is no meeting: a few rooms have an entry of their own every business day.
    fn blocks(&self, date: Date, draw: Chance) -> Option<Booking> {
        let zone = &self.room.building.zone;
        let at = |hour| timeline::local(zone, date, hour);
        let midnight = date.tomorrow().map_or(i64::MAX, |next| timeline::local(zone, next, 0));
        let (slot, status) = match self.rank {
            42 => (Episode { from: at(7), until: at(19) }, BookingStatus::OutOfOffice),
            43 => (Episode { from: at(9), until: at(10) }, BookingStatus::Tentative),
            44 | 45 => (Episode { from: at(0), until: midnight }, BookingStatus::Busy),
            _ => return None,
        };
        Some(booking(slot, status, draw.named("block")))
    }
}

/// How likely an hour without a meeting is booked, so that the share of ghosts comes out.
fn ghosts(per_hour: f64) -> f64 {
    per_hour * BOOKED * GHOSTS / (1.0 - GHOSTS) / (1.0 - per_hour)
}

/// What was booked for a meeting that was held: whole or half hours, though people come late and leave early.
fn slot_of(used: Episode, hour: i64) -> Episode {
    let from = if used.from >= hour + 30 * MINUTE { hour + 30 * MINUTE } else { hour };
    let until = if used.until <= hour + 32 * MINUTE { hour + 30 * MINUTE } else { hour + HOUR };
    Episode { from, until }
}

fn slot(hour: i64, draw: Chance) -> Episode {
    let (begins, lasts) = *draw.named("slot").pick(&[(0, 60), (0, 60), (0, 30), (30, 30)]);
    Episode { from: hour + begins * MINUTE, until: hour + (begins + lasts) * MINUTE }
}

fn booking(slot: Episode, status: BookingStatus, draw: Chance) -> Booking {
    Booking {
        from: slot.from,
        until: slot.until,
        status,
        organizer: building::somebody(draw.named("organizer")),
        is_private: draw.named("private").happens(0.08),
    }
}
