//! When things happen: episodes that can be computed for any moment without history.
//! Time is cut into slots; a draw decides whether a slot holds an episode, when it begins and how long it
//! lasts.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::sim::chance::Chance;

pub(in crate::sim) const MINUTE: i64 = 60_000;
pub(in crate::sim) const HOUR: i64 = 60 * MINUTE;
pub(in crate::sim) const DAY: i64 = 24 * HOUR;

/// A stretch of time, in milliseconds since 1970; `until` is no longer part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Episode {
    pub(in crate::sim) from: i64,
    pub(in crate::sim) until: i64,
}

/// Whether a signal is in an episode, and the moment this began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Held {
    pub(in crate::sim) active: bool,
    pub(in crate::sim) since: i64,
}

/// Everything that can put one signal into an episode.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Signal {
    pub(in crate::sim) born: i64,
    pub(in crate::sim) sources: Vec<Source>,
}

/// One cause of episodes. Episodes of one source never overlap.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Source {
    Planned(Episode),
    Habit(Habit, Chance),
    Nightly(Nightly),
    Meetings(Meetings),
}

/// How often something fails and for how long.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct Habit {
    pub(in crate::sim) slot_days: i64,
    pub(in crate::sim) per_slot: f64,
    pub(in crate::sim) shortest: i64,
    pub(in crate::sim) longest: i64,
}

/// The restart every device does between two and four at night, local time.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Nightly {
    pub(in crate::sim) zone: TimeZone,
    pub(in crate::sim) chance: Chance,
}

/// Meetings between eight and eighteen on business days, local time, at most one in each hour.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Meetings {
    pub(in crate::sim) zone: TimeZone,
    pub(in crate::sim) chance: Chance,
    pub(in crate::sim) per_hour: f64,
}

impl Episode {
    pub(in crate::sim) fn from(from: i64) -> Self {
        Self { from, until: i64::MAX }
    }

    pub(in crate::sim) fn contains(&self, at: i64) -> bool {
        self.from <= at && at < self.until
    }
}

impl Signal {
    pub(in crate::sim) fn at(&self, at: i64) -> Held {
        let latest = self.latest(at);
        match latest.iter().filter(|episode| episode.contains(at)).map(|episode| episode.from).min() {
            Some(from) => Held { active: true, since: self.extended_back(from) },
            None => Held { active: false, since: latest.iter().map(|e| e.until).max().unwrap_or(self.born) },
        }
    }

    /// The newest episode of each source that began by `at`, as far as the signal existed then.
    fn latest(&self, at: i64) -> Vec<Episode> {
        self.sources.iter().filter_map(|source| source.latest(at, self.born)).collect()
    }

    /// Where an unbroken run of overlapping episodes began: one source may take over from another.
    fn extended_back(&self, from: i64) -> i64 {
        let before = self.latest(from - 1).into_iter().filter(|e| e.until >= from).map(|e| e.from).min();
        before.map_or(from, |earlier| self.extended_back(earlier))
    }
}

impl Source {
    fn latest(&self, at: i64, born: i64) -> Option<Episode> {
        let found = match self {
            Self::Planned(episode) => Some(*episode).filter(|episode| episode.from <= at),
            Self::Habit(habit, chance) => habit.latest(*chance, at, born),
            Self::Nightly(nightly) => nightly.latest(at),
            Self::Meetings(meetings) => meetings.latest(at),
        };
        found.filter(|episode| episode.from >= born)
    }
}

impl Habit {
    fn latest(&self, chance: Chance, at: i64, born: i64) -> Option<Episode> {
        let last = self.slot(chance, at);
        let first = self.slot(chance, born);
        (first..=last).rev().find_map(|slot| self.episode(chance, slot).filter(|episode| episode.from <= at))
    }

    /// Each device has its slots shifted, or the whole fleet would fail on the same days.
    fn slot(&self, chance: Chance, at: i64) -> i64 {
        (at - self.shift(chance)).div_euclid(self.slot_days * DAY)
    }

    fn shift(&self, chance: Chance) -> i64 {
        chance.named("shift").between(0, self.slot_days * DAY - 1)
    }

    fn episode(&self, chance: Chance, slot: i64) -> Option<Episode> {
        let draw = chance.number(slot);
        if !draw.happens(self.per_slot) {
            return None;
        }
        let length = self.length(draw.named("length"));
        let offset = draw.named("offset").between(0, self.slot_days * DAY - length - 1);
        let from = slot * self.slot_days * DAY + self.shift(chance) + offset;
        Some(Episode { from, until: from + length })
    }

    /// Most episodes are short: the cube of an even draw leaves an eighth of them in the upper half.
    fn length(&self, draw: Chance) -> i64 {
        let share = draw.unit().powi(3);
        let spread = std::time::Duration::from_millis((self.longest - self.shortest).unsigned_abs());
        self.shortest + i64::try_from(spread.mul_f64(share).as_millis()).unwrap_or(0)
    }
}

impl Nightly {
    fn latest(&self, at: i64) -> Option<Episode> {
        let nights = days_back(&self.zone, at).take(2).map(|date| self.on(date));
        nights.into_iter().find(|episode| episode.from <= at)
    }

    /// The restarts that were over by `at`, the newest first.
    pub(in crate::sim) fn before(&self, at: i64) -> impl Iterator<Item = Episode> {
        days_back(&self.zone, at).map(|date| self.on(date)).filter(move |restart| restart.until <= at)
    }

    /// The restart in the night that ends on `date`.
    pub(in crate::sim) fn on(&self, date: Date) -> Episode {
        let draw = self.chance.number(day_number(date));
        let from = local(&self.zone, date, 2) + draw.between(0, 110 * MINUTE);
        Episode { from, until: from + draw.named("length").between(3 * MINUTE, 9 * MINUTE) }
    }
}

impl Meetings {
    /// Some rooms are loved more than others; together they are busy about a third of office hours.
    pub(in crate::sim) fn of(zone: TimeZone, room_chance: Chance) -> Self {
        let chance = room_chance.named("meetings");
        Self { zone, chance, per_hour: 0.25 + chance.named("popularity").unit() * 0.5 }
    }

    /// Even the quietest room has had a meeting within so many days, by any odds.
    const LOOK_BACK_DAYS: usize = 28;

    fn latest(&self, at: i64) -> Option<Episode> {
        let days = days_back(&self.zone, at).take(Self::LOOK_BACK_DAYS);
        days.filter(|date| is_business_day(*date)).find_map(|date| self.latest_on(date, at))
    }

    /// The meeting that begins in an hour of a business day, counted from the opening.
    pub(in crate::sim) fn on(&self, date: Date, hour: i64) -> Option<Episode> {
        let opening = local(&self.zone, date, 8);
        self.meeting(opening + hour * HOUR, self.chance.number(day_number(date)).number(hour))
    }

    fn latest_on(&self, date: Date, at: i64) -> Option<Episode> {
        let opening = local(&self.zone, date, 8);
        let draw = self.chance.number(day_number(date));
        (0..10).rev().find_map(|hour| {
            let meeting = self.meeting(opening + hour * HOUR, draw.number(hour))?;
            Some(meeting).filter(|episode| episode.from <= at)
        })
    }

    fn meeting(&self, hour: i64, draw: Chance) -> Option<Episode> {
        if !draw.happens(self.per_hour) {
            return None;
        }
        let (begins, lasts) =
            *draw.named("length").pick(&[(0, 55), (0, 50), (0, 30), (1, 44), (2, 57), (30, 28), (5, 50)]);
        let from = hour + begins * MINUTE + draw.named("late").between(0, MINUTE);
        Some(Episode { from, until: from + lasts * MINUTE })
    }
}

/// The local date and all before it.
fn days_back(zone: &TimeZone, at: i64) -> impl Iterator<Item = Date> + use<> {
    std::iter::successors(Some(local_date(zone, at)), |date| date.yesterday().ok())
}

pub(in crate::sim) fn local_date(zone: &TimeZone, at: i64) -> Date {
    zone.to_datetime(timestamp(at)).date()
}

/// Milliseconds back to jiff; the range of its years is far wider than any simulation.
pub(in crate::sim) fn timestamp(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}

pub(in crate::sim) fn local(zone: &TimeZone, date: Date, hour: i8) -> i64 {
    let zoned = zone.to_ambiguous_timestamp(date.at(hour, 0, 0, 0)).compatible();
    zoned.map_or(i64::MAX, Timestamp::as_millisecond)
}

pub(in crate::sim) fn day_number(date: Date) -> i64 {
    i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day())
}

pub(in crate::sim) fn is_business_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORN: i64 = 1_700_000_000_000;

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn signals() -> Vec<Signal> {
        let chance = Chance::seeded(5);
        let often = Habit { slot_days: 1, per_slot: 0.7, shortest: 5 * MINUTE, longest: 6 * HOUR };
        let nightly = Source::Nightly(Nightly { zone: berlin(), chance });
        let meetings = Source::Meetings(Meetings { zone: berlin(), chance, per_hour: 0.5 });
        let planned = Source::Planned(Episode { from: BORN + 40 * DAY, until: BORN + 41 * DAY });
        let mixed = vec![nightly.clone(), Source::Habit(often, chance), planned];
        [vec![nightly], vec![meetings], vec![Source::Habit(often, chance)], mixed, vec![]]
            .map(|sources| Signal { born: BORN, sources })
            .into()
    }

    #[test]
    fn a_state_keeps_its_beginning_while_it_holds() {
        for signal in signals() {
            let mut last = signal.at(BORN);
            for step in 1..20_000 {
                let now = BORN + step * 5 * MINUTE;
                let held = signal.at(now);
                assert!(held.since <= now && held.since >= BORN);
                let same = held.since == last.since && held.active == last.active;
                assert!(same || held.since > last.since, "{last:?} became {held:?} at {now}");
                assert_eq!(signal.at(held.since).active, held.active, "the beginning is part of the state");
                last = held;
            }
        }
    }

    #[test]
    fn restarts_happen_at_night_and_meetings_by_day() {
        let all = signals();
        let (restart, meeting) = (&all[0], &all[1]);
        for step in 0..20_000 {
            let now = BORN + DAY + step * 3 * MINUTE;
            let hour = berlin().to_datetime(timestamp(now)).hour();
            assert!(!restart.at(now).active || (2..4).contains(&hour));
            assert!(!meeting.at(now).active || (8..18).contains(&hour));
        }
    }
}
