//! Software that rolls out in waves: releases by calendar, offered to devices wave by wave and installed by
//! the nightly restart one to three nights later.

use jiff::civil::Date;

use super::hardware::Model;
use super::timeline::{DAY, HOUR, Nightly, local_date};
use crate::sim::chance::Chance;

/// The six parts of `teamworkSoftwareUpdateHealth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Software {
    AdminAgent,
    CompanyPortal,
    Firmware,
    OperatingSystem,
    PartnerAgent,
    TeamsClient,
}

/// Where one device stands with one software.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Status {
    pub(in crate::sim) software: Software,
    pub(in crate::sim) current: String,
    /// The newer version on offer, if there is one.
    pub(in crate::sim) available: Option<String>,
    pub(in crate::sim) since: i64,
}

/// A software of one platform: how often it is released and how its versions are written.
struct Line {
    software: Software,
    cadence_days: i64,
    /// How long before [`REFERENCE`] release number [`REFERENCE_NUMBER`] came out.
    age_hours: i64,
    version: fn(&Release, &Model) -> String,
}

struct Release {
    number: i64,
    date: Date,
}

/// 2026-11-20T00:00:00Z, the day the simulation starts on by default.
const REFERENCE: i64 = 1_795_132_800_000;

/// High enough that no simulation asks for a release before number 0.
const REFERENCE_NUMBER: i64 = 40;

/// Which share of the fleet is offered a release how many days after it came out.
const WAVES: [(f64, i64); 4] = [(0.05, 0), (0.25, 3), (0.6, 6), (1.0, 9)];

/// How many nights a device that keeps missing its updates is behind.
const HELD_NIGHTS: i64 = 60;

const WINDOWS: &[Line] = &[
    Line { software: Software::AdminAgent, cadence_days: 60, age_hours: 31 * 24 + 9, version: windows_agent },
    Line { software: Software::OperatingSystem, cadence_days: 35, age_hours: 17 * 24 + 6, version: windows },
    Line {
        software: Software::TeamsClient,
        cadence_days: 42,
        age_hours: 2 * 24 + 14,
        version: windows_client,
    },
];

const ANDROID: &[Line] = &[
    Line { software: Software::AdminAgent, cadence_days: 70, age_hours: 41 * 24 + 3, version: android_agent },
    Line {
        software: Software::CompanyPortal,
        cadence_days: 75,
        age_hours: 26 * 24 + 5,
        version: company_portal,
    },
    Line { software: Software::Firmware, cadence_days: 90, age_hours: 19 * 24 + 7, version: firmware },
    Line {
        software: Software::PartnerAgent,
        cadence_days: 120,
        age_hours: 60 * 24 + 11,
        version: partner_agent,
    },
    Line {
        software: Software::TeamsClient,
        cadence_days: 56,
        age_hours: 33 * 24 + 17,
        version: android_client,
    },
];

/// A device as its updates see it.
pub(in crate::sim) struct Updates<'a> {
    pub(in crate::sim) model: &'a Model,
    pub(in crate::sim) is_windows: bool,
    pub(in crate::sim) chance: Chance,
    pub(in crate::sim) nightly: &'a Nightly,
    /// The device keeps missing its updates.
    pub(in crate::sim) held: bool,
    pub(in crate::sim) enrolled: i64,
}

impl Updates<'_> {
    pub(in crate::sim) fn at(&self, at: i64) -> Vec<Status> {
        let lines = if self.is_windows { WINDOWS } else { ANDROID };
        lines.iter().map(|line| self.status(line, at)).collect()
    }

    fn status(&self, line: &Line, at: i64) -> Status {
        let offered = self.newest(line, at, Self::offered);
        let installed = self.newest(line, at, Self::installed);
        let changed = self.offered(line, offered).max(self.installed(line, installed));
        let version = |number| (line.version)(&line.release(number), self.model);
        Status {
            software: line.software,
            current: version(installed),
            available: Some(offered).filter(|offered| *offered > installed).map(version),
            since: changed.max(self.enrolled),
        }
    }

    /// The newest release that had got so far by `at`. Releases get there in order, so looking back ends.
    fn newest(&self, line: &Line, at: i64, reached: fn(&Self, &Line, i64) -> i64) -> i64 {
        (1..=line.newest(at)).rev().find(|number| reached(self, line, *number) <= at).unwrap_or(0)
    }

    fn offered(&self, line: &Line, number: i64) -> i64 {
        let place = self.chance.named("wave").unit();
        let days = WAVES.iter().find(|(share, _)| place < *share).map_or(0, |(_, days)| *days);
        line.released(number) + days * DAY + self.chance.named("hour of offer").between(0, 6 * HOUR)
    }

    /// The end of the restart in which the device installs the release.
    fn installed(&self, line: &Line, number: i64) -> i64 {
        let nights = self.chance.named("nights").number(number).between(1, 3);
        let nights = if self.held { HELD_NIGHTS } else { nights };
        let offered = local_date(&self.nightly.zone, self.offered(line, number));
        let night = offered.saturating_add(jiff::Span::new().days(nights));
        self.nightly.on(night).until
    }
}

impl Line {
    fn released(&self, number: i64) -> i64 {
        REFERENCE - self.age_hours * HOUR + (number - REFERENCE_NUMBER) * self.cadence_days * DAY
    }

    fn newest(&self, at: i64) -> i64 {
        let since_reference = (at - self.released(REFERENCE_NUMBER)).div_euclid(self.cadence_days * DAY);
        (REFERENCE_NUMBER + since_reference).max(0)
    }

    fn release(&self, number: i64) -> Release {
        let date = local_date(&jiff::tz::TimeZone::UTC, self.released(number));
        Release { number, date }
    }
}

fn windows_agent(release: &Release, _: &Model) -> String {
    format!("{}.{}.{}.1", release.date.year(), release.date.month(), release.date.day())
}

fn windows(release: &Release, _: &Model) -> String {
    format!("10.0.22631.{}", 4_317 + (release.number - REFERENCE_NUMBER) * 113)
}

fn windows_client(release: &Release, _: &Model) -> String {
    format!("5.{}.{}.0", release.number - REFERENCE_NUMBER + 6, 100 + release.number * 37 % 150)
}

fn android_agent(release: &Release, _: &Model) -> String {
    format!("1.0.0.{}0640.product", compact(release.date))
}

fn company_portal(release: &Release, _: &Model) -> String {
    format!("5.0.{}.0", 6_568 + (release.number - REFERENCE_NUMBER) * 17)
}

fn partner_agent(release: &Release, _: &Model) -> String {
    format!("1.0.0.{}", release.number - 28)
}

fn android_client(release: &Release, _: &Model) -> String {
    format!("1449/1.0.96.{}02", compact(release.date))
}

/// Every maker counts differently.
fn firmware(release: &Release, model: &Model) -> String {
    let (major, number) = (model.inside, release.number);
    match model.manufacturer {
        "Poly" => format!("{major}.{}.{}-{}", number / 8, number % 8, 447_000 + number * 3_123 % 50_000),
        "Yealink" => format!("{major}.{}.0.{}", 15 + number / 10, number % 10 * 11 + 10),
        "Logitech" => format!("{major}.{}.{}", number / 3, 100 + number * 7),
        _ => format!("{major}.{}.{}", number / 2, number % 2),
    }
}

fn compact(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}
