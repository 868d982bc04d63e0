//! Sites: which rooms belong to one, who owns it, and whether it is in service at a moment.
//!
//! Service hours and maintenance follow the clock on the wall: an hour that daylight saving skips does not come,
//! one that it repeats comes twice.

mod glob;
mod hours;

use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub use self::glob::Glob;
pub use self::hours::Hours;
use self::hours::WEEK;
use crate::model::Timestamp;

/// A group of rooms with the same owner and hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub name: Arc<str>,
    pub owner: Option<Arc<str>>,
    pub matches: Match,
    zone: TimeZone,
    /// The service hours without maintenance.
    open: Hours,
}

/// Which rooms belong to a site: those that every given list matches; none where none is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    pub building: Vec<Glob>,
    pub email: Vec<Glob>,
}

/// The site of a room: the one that the rooms file names for it, else the first that matches.
///
/// Where the file names a site that is not configured, the room belongs to none: the file knows better.
pub fn of_room<'a>(
    sites: &'a [Site],
    named: Option<&str>,
    building: Option<&str>,
    email: Option<&str>,
) -> Option<&'a Site> {
    match named {
        Some(name) => sites.iter().find(|site| *site.name == *name),
        None => first_match(sites, building, email),
    }
}

/// The first site whose patterns match; what is not known of a room matches no pattern.
pub fn first_match<'a>(sites: &'a [Site], building: Option<&str>, email: Option<&str>) -> Option<&'a Site> {
    let (building, email) = (building.map(glob::folded), email.map(glob::folded));
    sites.iter().find(|site| site.matches.covers(building.as_deref(), email.as_deref()))
}

impl Match {
    fn covers(&self, building: Option<&[char]>, email: Option<&[char]>) -> bool {
        let any = |globs: &[Glob], text: Option<&[char]>| {
            globs.is_empty() || text.is_some_and(|text| globs.iter().any(|glob| glob.matches_folded(text)))
        };
        !self.is_empty() && any(&self.building, building) && any(&self.email, email)
    }

    /// Whether only the rooms file can put a room here.
    pub fn is_empty(&self) -> bool {
        self.building.is_empty() && self.email.is_empty()
    }
}

/// No hours last longer without a change, unless they never change: each comes every week, and daylight saving
/// skips a short one at most once in a row.
const HORIZON: i64 = 4 * WEEK as i64;

/// Nothing is observed for longer without a break; a damaged time in a file shall not be counted week by week.
const MAX_SPAN: i64 = 366 * 86_400;

/// Monday 1970-01-05 00:00, in seconds on the clock of any zone: a week's first second.
const FIRST_MONDAY: i64 = 4 * 86_400;

impl Site {
    pub fn new(
        name: impl Into<Arc<str>>,
        owner: Option<Arc<str>>,
        matches: Match,
        zone: TimeZone,
        service: Hours,
        maintenance: &Hours,
    ) -> Self {
        Self { name: name.into(), owner, matches, zone, open: service.without(maintenance) }
    }

    /// Whether it is in service hours and outside maintenance.
    pub fn in_service(&self, now: Timestamp) -> bool {
        self.open.at(self.second_of_week(now.seconds())).0
    }

    /// As the time zone database has it.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// Service hours without maintenance.
    pub fn open_hours(&self) -> &Hours {
        &self.open
    }

    /// When [`Self::in_service`] next changes; `None` if it never does.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if self.open.is_constant() {
            return None;
        }
        let before = self.in_service(now);
        let horizon = now.seconds().saturating_add(HORIZON);
        let mut at = now.seconds();
        while at < horizon {
            (_, at) = self.stretch(at);
            let then = Timestamp::from_seconds(at);
            if self.in_service(then) != before {
                return Some(then);
            }
        }
        None
    }

    /// How many seconds of a span of time were in service, and how many were not; none if it runs backwards.
    pub fn service_seconds(&self, from: Timestamp, to: Timestamp) -> (u64, u64) {
        let (mut service, mut other) = (0, 0);
        let to = to.seconds();
        let mut at = from.seconds().max(to.saturating_sub(MAX_SPAN));
        while at < to {
            let (open, until) = self.stretch(at);
            let until = until.min(to);
            *(if open { &mut service } else { &mut other }) += until.abs_diff(at);
            at = until;
        }
        (service, other)
    }

    /// Whether it is in service, and a later second up to which that surely holds.
    fn stretch(&self, now: i64) -> (bool, i64) {
        let second = self.second_of_week(now);
        let (open, end) = self.open.at(second);
        let end = now.saturating_add(i64::from(end - second));
        let transition = self.zone.following(instant(now)).next().map(|next| next.timestamp().as_second());
        (open, transition.filter(|at| *at > now).map_or(end, |at| at.min(end)))
    }

    /// What the clock on the wall shows, in seconds since Monday 00:00.
    fn second_of_week(&self, now: i64) -> u32 {
        let offset = i64::from(self.zone.to_offset(instant(now)).seconds());
        let second = now.saturating_add(offset - FIRST_MONDAY).rem_euclid(i64::from(WEEK));
        u32::try_from(second).unwrap_or_default()
    }
}

/// Beyond the years that have a calendar a moment stands at their end.
fn instant(seconds: i64) -> jiff::Timestamp {
    let end = if seconds < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_second(seconds).unwrap_or(end)
}

/// Which sites are in service at one moment, worked out once however many rooms ask.
#[derive(Clone, Debug)]
pub struct InService<'a> {
    sites: &'a [Site],
    open: Vec<bool>,
    next_change: Option<Timestamp>,
}

impl<'a> InService<'a> {
    pub fn at(sites: &'a [Site], now: Timestamp) -> Self {
        let open = sites.iter().map(|site| site.in_service(now)).collect();
        let next_change = sites.iter().filter_map(|site| site.next_change(now)).min();
        Self { sites, open, next_change }
    }

    /// Whether a room of this site is in service; without a site it always is.
    pub fn of(&self, site: Option<&Site>) -> bool {
        let Some(site) = site else { return true };
        let known = self.sites.iter().position(|one| one.name == site.name);
        known.and_then(|at| self.open.get(at)).copied().unwrap_or(true)
    }

    /// When the first of the sites changes; `None` if none ever does.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }
}

/// The time zone of an IANA name, out of the data in the program: an image without files has it too.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The names that [`zone`] knows.
pub fn zone_names() -> Vec<String> {
    TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

#[cfg(test)]
mod tests;
