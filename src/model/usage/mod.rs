//! How long rooms were booked, used and usable, in seconds since the exporter started.
//!
//! The fleet is looked at again and again; what one look shows is taken to hold until the next. Nothing is counted where
//! looks are far apart, and nothing of this is kept over a restart: a restored counter that lost its last minutes would
//! read as a giant increase.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::calendar::Booked;
use crate::model::room::RoomState;
use crate::model::sight::Sight;
use crate::model::site::Site;
use crate::model::{State, Timestamp};

/// The counters of a tenant's rooms.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// By room id.
    rooms: BTreeMap<Arc<str>, RoomUsage>,
    looked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct RoomUsage {
    totals: Totals,
    /// What the last look showed, unless the room was not there.
    last: Option<Sight>,
    seen_at: Timestamp,
}

/// The counters of a room; those that were never known to count anything are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// The time at which they were all 0.
    pub began: Option<Timestamp>,
    states: [Seconds; RoomState::ALL.len()],
    /// Calendar or use was known.
    pub observed: Option<Seconds>,
    /// A meeting was booked.
    pub booked: Option<Seconds>,
    pub in_use: Option<Seconds>,
    /// A meeting was booked and the room not used, while both were known.
    pub booked_unused: Option<Seconds>,
    /// The room was used and nothing booked, while both were known.
    pub unbooked_use: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seconds {
    /// In the service hours of the room's site, or anywhen where it has none.
    pub service: u64,
    pub other: u64,
}

/// Looks are seconds apart. Where more time lies between two, the machine slept or its clock was set.
const LONGEST_SPAN: Duration = Duration::from_mins(2);
/// A room that is away for so long is forgotten; until then a return finds its counters again.
const FORGET_AFTER: Duration = Duration::from_hours(24);

impl Usage {
    /// Takes a look at the whole fleet. True if it follows close on another, so that what changed between them was seen to
    /// change.
    pub fn observe(&mut self, sights: &BTreeMap<Arc<str>, Sight>, sites: &[Site], now: Timestamp) -> bool {
        let last = self.looked_at.replace(now);
        let last = last.filter(|last| *last <= now && now.since(*last) <= LONGEST_SPAN);
        if let Some(last) = last {
            self.count(sites, last, now);
        }
        for (id, room) in &mut self.rooms {
            room.last = sights.get(id).copied();
        }
        for (id, sight) in sights {
            let room = self.rooms.entry(id.clone()).or_insert_with(|| RoomUsage::new(*sight, now));
            room.seen_at = now;
            room.totals.count(sight, Seconds::default()); // what is known from now on counts from 0
        }
        self.rooms.retain(|_, room| now.since(room.seen_at) < FORGET_AFTER);
        last.is_some()
    }

    /// Whether a look would change nothing: it shows the same in the same second.
    pub fn has_seen(&self, sights: &BTreeMap<Arc<str>, Sight>, now: Timestamp) -> bool {
        let known = |(id, sight): (&Arc<str>, &Sight)| {
            self.rooms.get(id).is_some_and(|room| room.last == Some(*sight))
        };
        let present = self.rooms.values().filter(|room| room.last.is_some()).count();
        self.looked_at == Some(now) && present == sights.len() && sights.iter().all(known)
    }

    /// A room proved to be another: its counters follow. Where both have counted, neither falls.
    pub fn follow_united_room(usage: &mut Arc<Self>, gone: &str, id: &Arc<str>) {
        if usage.rooms.contains_key(gone) {
            let rooms = &mut Arc::make_mut(usage).rooms;
            if let Some(room) = rooms.remove(gone) {
                rooms.entry(id.clone()).and_modify(|known| known.absorb(&room)).or_insert(room);
            }
        }
    }

    /// What happens until the next look is not counted.
    pub fn lose_track(&mut self) {
        self.looked_at = None;
    }

    /// The counters of a room.
    pub fn of(&self, room_id: &str) -> Option<&Totals> {
        self.rooms.get(room_id).map(|room| &room.totals)
    }

    fn count(&mut self, sites: &[Site], from: Timestamp, to: Timestamp) {
        let spans: Vec<Seconds> = sites.iter().map(|site| site.service_seconds(from, to).into()).collect();
        let whole = Seconds { service: to.since(from).as_secs(), other: 0 };
        for room in self.rooms.values_mut() {
            let Some(sight) = &room.last else { continue };
            let span = sight.site.and_then(|site| spans.get(site)).copied().unwrap_or(whole);
            room.totals.count(sight, span);
        }
    }
}

impl RoomUsage {
    fn new(sight: Sight, now: Timestamp) -> Self {
        let totals = Totals { began: Some(now), ..Totals::default() };
        Self { totals, last: Some(sight), seen_at: now }
    }

    /// Adds what was counted of the same room under another id. The look at the half of which a source spoke goes on.
    fn absorb(&mut self, other: &Self) {
        self.totals.absorb(&other.totals);
        if self.last.is_none_or(|last| last.state == RoomState::Unknown) {
            self.last = other.last.or(self.last);
        }
        self.seen_at = self.seen_at.max(other.seen_at);
    }
}

impl Totals {
    /// How long the room was in each state.
    pub fn states(&self) -> impl Iterator<Item = (RoomState, Seconds)> + '_ {
        RoomState::ALL.iter().copied().zip(self.states)
    }

    /// Takes the larger of each counter: the two counted the same time, so that a sum would count it twice.
    fn absorb(&mut self, other: &Self) {
        for (own, other) in self.states.iter_mut().zip(&other.states) {
            *own = own.max(*other);
        }
        let larger = |own: &mut Option<Seconds>, other: Option<Seconds>| {
            *own = own.zip(other).map(|(own, other)| own.max(other)).or(*own).or(other);
        };
        larger(&mut self.observed, other.observed);
        larger(&mut self.booked, other.booked);
        larger(&mut self.in_use, other.in_use);
        larger(&mut self.booked_unused, other.booked_unused);
        larger(&mut self.unbooked_use, other.unbooked_use);
    }

    /// Counts a span of time in which a room was as `sight` shows it.
    fn count(&mut self, sight: &Sight, span: Seconds) {
        for (state, seconds) in RoomState::ALL.iter().zip(&mut self.states) {
            seconds.add_if(*state == sight.state, span);
        }
        let both = sight.booked.zip(sight.in_use);
        for (total, counts) in [
            (&mut self.observed, (sight.booked.is_some() || sight.in_use.is_some()).then_some(true)),
            (&mut self.booked, sight.booked.map(|booked| booked == Booked::Meeting)),
            (&mut self.in_use, sight.in_use),
            (&mut self.booked_unused, both.map(|(booked, used)| booked == Booked::Meeting && !used)),
            (&mut self.unbooked_use, both.map(|(booked, used)| booked == Booked::Free && used)),
        ] {
            if let Some(counts) = counts {
                total.get_or_insert_default().add_if(counts, span);
            }
        }
    }
}

impl Seconds {
    fn max(self, other: Self) -> Self {
        Self { service: self.service.max(other.service), other: self.other.max(other.other) }
    }

    fn add_if(&mut self, counts: bool, span: Self) {
        if counts {
            self.service += span.service;
            self.other += span.other;
        }
    }
}

impl From<(u64, u64)> for Seconds {
    fn from((service, other): (u64, u64)) -> Self {
        Self { service, other }
    }
}

#[cfg(test)]
mod tests;
