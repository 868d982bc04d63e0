//! Time stamps of Graph that are heartbeats.
//!
//! Graph documents `lastModifiedDateTime` as the time of the last change. Public captures of real tenants show that it moves
//! every few minutes on healthy devices. The exporter learns for each device type what a stamp means, by what comes with it.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::detail::{Detail, Link};
use crate::model::device::DeviceType;

/// The meaning of each kind of stamp in one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps(Vec<(Kind, Evidence)>);

/// A kind of stamp: at most 11 device types times 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// That of the device in the list.
    Device(DeviceType),
    /// That of a connection while it has this value. A heartbeat ends with the connection, and then says when that was.
    Link(DeviceType, LinkKind, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkKind {
    Connection,
    Login,
    Peripheral,
}

/// The samples of a stamp, and those in which it moved for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Evidence {
    samples: u16,
    idle: u16,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Too little was seen to tell.
    #[default]
    Open,
    /// It moves when something changes.
    Change,
    /// It moves by itself.
    Heartbeat,
}

/// From so many samples on a stamp has a meaning: a wrong one costs requests or a time, until it is unlearned.
const ENOUGH: u16 = 20;
/// Samples are halved at this number, so that what Microsoft changes is noticed within some dozens.
const MOST: u16 = 64;
/// More than so many per cent of idle moves make a heartbeat, fewer than the second number a change. Between the two the
/// meaning stays. Every stamp of a device in the list that moves is a sample, so that a heartbeat is idle nearly always.
const IDLE_DEVICE: [u16; 2] = [75, 50];
/// Every connection that keeps its value is a sample, moved or not. Two readings can fall between two beats, and a connection
/// can fail and recover between two readings.
const IDLE_LINK: [u16; 2] = [25, 10];

/// Readings that are closer prove nothing: the stamps of real tenants beat every few minutes.
const A_BEAT: Duration = Duration::from_mins(1);

impl Stamps {
    /// The meaning of the stamp that devices of this type have in the list.
    pub fn of_device(&self, device_type: DeviceType) -> Meaning {
        self.meaning(Kind::Device(device_type))
    }

    /// Returns true if the stamp of a connection with this value is the time at which it began.
    pub fn is_beginning(&self, device_type: DeviceType, link: Link, connected: bool) -> bool {
        self.meaning(Kind::Link(device_type, LinkKind::from(link), connected)) != Meaning::Heartbeat
    }

    /// Learns from two readings of a device in a row, so far `apart`. `moved` if its stamp in the list is another.
    pub fn learn(
        &mut self,
        device_type: DeviceType,
        [before, after]: [&Detail; 2],
        moved: bool,
        apart: Duration,
    ) {
        if moved {
            let idle = before.has_values_of(after);
            self.note(Kind::Device(device_type), idle, IDLE_DEVICE);
        }
        if apart < A_BEAT {
            return;
        }
        for (link, now) in after.links() {
            let then = before.links().find(|(known, _)| *known == link).map(|(_, connection)| connection);
            let Some((then, connected)) = then.zip(now.connected) else { continue };
            if let (true, Some(stamp)) = (then.connected == Some(connected), then.changed.zip(now.changed)) {
                let kind = Kind::Link(device_type, LinkKind::from(link), connected);
                self.note(kind, stamp.0 != stamp.1, IDLE_LINK);
            }
        }
    }

    fn meaning(&self, kind: Kind) -> Meaning {
        let found = self.0.binary_search_by_key(&kind, |(kind, _)| *kind).ok();
        found.and_then(|at| self.0.get(at)).map(|(_, evidence)| evidence.meaning).unwrap_or_default()
    }

    fn note(&mut self, kind: Kind, idle: bool, bounds: [u16; 2]) {
        let at = self.0.binary_search_by_key(&kind, |(kind, _)| *kind);
        let at = at.unwrap_or_else(|at| {
            self.0.insert(at, (kind, Evidence::default()));
            at
        });
        if let Some((_, evidence)) = self.0.get_mut(at) {
            evidence.note(idle, bounds);
        }
    }
}

/// Only the heartbeats: every reading adds evidence, and what is shown depends on its meaning alone.
impl Hash for Stamps {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let beats = self.0.iter().filter(|(_, evidence)| evidence.meaning == Meaning::Heartbeat);
        beats.for_each(|(kind, _)| kind.hash(state));
    }
}

impl Evidence {
    fn note(&mut self, idle: bool, [most, least]: [u16; 2]) {
        if self.samples == MOST {
            (self.samples, self.idle) = (self.samples / 2, self.idle / 2);
        }
        self.samples += 1;
        self.idle += u16::from(idle);
        let is_above = |percent: u16| self.idle * 100 > self.samples * percent;
        self.meaning = match self.meaning {
            meaning if self.samples < ENOUGH => meaning,
            _ if is_above(most) => Meaning::Heartbeat,
            Meaning::Heartbeat if is_above(least) => Meaning::Heartbeat,
            _ => Meaning::Change,
        };
    }
}

impl From<Link> for LinkKind {
    fn from(link: Link) -> Self {
        match link {
            Link::Connection => Self::Connection,
            Link::Login(_) => Self::Login,
            Link::Peripheral(_) => Self::Peripheral,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use foldhash::quality::FixedState;

    use super::*;
    use crate::model::Timestamp;
    use crate::model::detail::{Connection, Login, Software, SoftwareKind};

    const BAR: DeviceType = DeviceType::CollaborationBar;

    fn detail(connected: bool, changed: i64, version: &str) -> Detail {
        let link = |at| Connection { connected: Some(at), changed: Some(Timestamp::from_seconds(changed)) };
        let software = Software {
            kind: SoftwareKind::Firmware,
            current: Some(version.into()),
            available: None,
            update_available: None,
        };
        Detail {
            connection: link(connected),
            logins: [(Login::Teams, link(true))].into(),
            software: [software].into(),
            ..Detail::default()
        }
    }

    /// Learns from pairs of readings.
    fn learn(stamps: &mut Stamps, times: u16, before: &Detail, after: &Detail, moved: bool) {
        for _ in 0..times {
            stamps.learn(BAR, [before, after], moved, A_BEAT);
        }
    }

    #[test]
    fn readings_that_are_closer_than_a_beat_prove_nothing_of_connections() {
        let mut stamps = Stamps::default();
        for _ in 0..100 {
            stamps.learn(BAR, [&detail(true, 1, ""), &detail(true, 2, "")], false, A_BEAT / 2);
        }
        assert!(stamps.is_beginning(BAR, Link::Connection, true));
    }

    #[test]
    fn a_stamp_that_moves_alone_is_a_heartbeat_until_it_comes_with_changes() {
        let (old, new) = (detail(true, 1, "1.0"), detail(true, 1, "1.1"));
        let mut stamps = Stamps::default();
        learn(&mut stamps, ENOUGH - 1, &old, &old, true);
        assert_eq!(stamps.of_device(BAR), Meaning::Open);
        learn(&mut stamps, 100, &old, &old, false);
        assert_eq!(stamps.of_device(BAR), Meaning::Open, "a stamp that stands proves nothing");
        learn(&mut stamps, 1, &old, &old, true);
        assert_eq!(stamps.of_device(BAR), Meaning::Heartbeat);
        assert_eq!(stamps.of_device(DeviceType::TeamsRoom), Meaning::Open, "each type has its own");
        learn(&mut stamps, 1000, &old, &old, true);
        learn(&mut stamps, MOST / 4, &old, &new, true);
        assert_eq!(stamps.of_device(BAR), Meaning::Heartbeat, "a fleet that is updated still beats");
        learn(&mut stamps, MOST, &old, &new, true);
        assert_eq!(stamps.of_device(BAR), Meaning::Change);
    }

    #[test]
    fn a_stamp_that_comes_with_changes_means_a_change() {
        let (old, new) = (detail(true, 1, "1.0"), detail(true, 1, "1.1"));
        let mut stamps = Stamps::default();
        for _ in 0..100 {
            learn(&mut stamps, 1, &old, &new, true);
            learn(&mut stamps, 1, &old, &old, true);
        }
        assert_eq!(stamps.of_device(BAR), Meaning::Change, "something else of the device changes, too");
    }

    /// Between the bounds the meaning stays what it is.
    #[test]
    fn a_stamp_that_is_idle_more_often_than_not_is_followed_until_it_is_idle_nearly_always() {
        let (old, new) = (detail(true, 1, "1.0"), detail(true, 1, "1.1"));
        let mixed = |stamps: &mut Stamps| {
            for _ in 0..40 {
                learn(stamps, 3, &old, &old, true);
                learn(stamps, 2, &old, &new, true);
            }
        };
        let mut stamps = Stamps::default();
        mixed(&mut stamps);
        assert_eq!(stamps.of_device(BAR), Meaning::Change);
        learn(&mut stamps, MOST, &old, &old, true);
        mixed(&mut stamps);
        assert_eq!(stamps.of_device(BAR), Meaning::Heartbeat);
    }

    /// A new time alone changes nothing: else two heartbeats would prove each other.
    #[test]
    fn times_are_no_values() {
        let mut stamps = Stamps::default();
        learn(&mut stamps, ENOUGH, &detail(true, 1, "1.0"), &detail(true, 2, "1.0"), true);
        assert_eq!(stamps.of_device(BAR), Meaning::Heartbeat);
    }

    #[test]
    fn the_time_of_a_connection_that_keeps_its_value_and_moves_tells_nothing() {
        let mut stamps = Stamps::default();
        let tells = |stamps: &Stamps| {
            [Link::Connection, Link::Login(Login::Teams)].map(|link| stamps.is_beginning(BAR, link, true))
        };
        assert_eq!(tells(&stamps), [true; 2]);
        let moved = Detail { connection: detail(true, 2, "").connection, ..detail(true, 1, "1.0") };
        learn(&mut stamps, ENOUGH, &detail(true, 1, "1.0"), &moved, false);
        assert_eq!(tells(&stamps), [false, true], "each kind has its own");
        assert!(stamps.is_beginning(BAR, Link::Connection, false), "a heartbeat that ended says when");
        learn(&mut stamps, 2 * MOST, &detail(true, 1, "1.0"), &detail(true, 1, "1.0"), false);
        assert_eq!(tells(&stamps), [true; 2]);
    }

    #[test]
    fn a_connection_that_failed_between_two_readings_is_no_heartbeat() {
        let mut stamps = Stamps::default();
        for _ in 0..20 {
            learn(&mut stamps, 9, &detail(true, 1, "1.0"), &detail(true, 1, "1.0"), false);
            learn(&mut stamps, 1, &detail(true, 1, "1.0"), &detail(true, 9, "1.0"), false);
        }
        assert!(stamps.is_beginning(BAR, Link::Connection, true));
        learn(&mut stamps, 100, &detail(true, 1, "1.0"), &detail(false, 2, "1.0"), false);
        assert!(
            stamps.is_beginning(BAR, Link::Connection, false),
            "a new value with a new time is as it should be"
        );
    }

    /// Else every reading would have every series written again.
    #[test]
    fn evidence_alone_changes_no_print() {
        let print = |stamps: &Stamps| FixedState::default().hash_one(stamps);
        let mut stamps = Stamps::default();
        let before = print(&stamps);
        learn(&mut stamps, ENOUGH - 1, &detail(true, 1, "1.0"), &detail(true, 1, "1.0"), true);
        assert_eq!(print(&stamps), before);
        learn(&mut stamps, 1, &detail(true, 1, "1.0"), &detail(true, 1, "1.0"), true);
        assert_ne!(print(&stamps), before, "a heartbeat is known");
    }

    #[test]
    fn what_was_learned_is_kept() {
        let mut stamps = Stamps::default();
        learn(&mut stamps, ENOUGH, &detail(true, 1, "1.0"), &detail(true, 2, "1.0"), true);
        let text = serde_json::to_string(&stamps).expect("JSON");
        assert_eq!(serde_json::from_str::<Stamps>(&text).expect("read back"), stamps);
    }
}
