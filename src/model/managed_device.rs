//! A room's device as Intune manages it, and which device of the fleet that is.
//!
//! <https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice>

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::device::Account;
use crate::model::{Snapshot, State, Timestamp, shared};

/// Who is its primary user is not kept: that may be a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ManagedDevice {
    pub serial_number: Option<Arc<str>>,
    /// The room whose account is its primary user; `None` where that is nobody, or no room.
    pub room_id: Option<Arc<str>>,
    /// `None` where Intune does not know, or another system manages the device.
    pub compliant: Option<bool>,
    pub last_sync: Option<Timestamp>,
    /// Bytes.
    pub storage_free: Option<u64>,
    /// Bytes.
    pub storage: Option<u64>,
    pub os: Option<Os>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub os_version: Option<Arc<str>>,
}

/// What the devices of rooms run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Os {
    Windows,
    Android,
}

impl State for Os {
    const ALL: &'static [Self] = &[Self::Windows, Self::Android];

    fn label(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Android => "android",
        }
    }
}

/// Tells the devices of rooms from those of people.
pub struct Sieve<'a> {
    snapshot: &'a Snapshot,
    serials: Serials<()>,
}

impl<'a> Sieve<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let fleet = snapshot.devices.rows.values().map(|row| (row.device.serial_number.as_deref(), ()));
        Self { snapshot, serials: Serials::new(fleet) }
    }

    /// The device with its room, if it is one of the fleet or its primary user is a room.
    pub fn keep(&self, user: Option<&Account>, device: ManagedDevice) -> Option<ManagedDevice> {
        let room = user.and_then(|user| self.snapshot.memory.rooms.find(user.email.iter().chain(&user.id)));
        let room_id = room.filter(|room| !self.snapshot.is_excluded(room)).map(|room| room.id.clone());
        let is_of_fleet = || self.serials.find(device.serial_number.as_deref()?);
        (room_id.is_some() || is_of_fleet().is_some()).then_some(ManagedDevice { room_id, ..device })
    }
}

/// What stands for a serial number where a maker left none.
const PLACEHOLDERS: [&str; 14] = [
    "chassis serial number",
    "default",
    "default string",
    "empty",
    "invalid",
    "n/a",
    "na",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
    "unknown",
];

/// Devices by serial number. A number that stands on several of them, or is none, joins nothing.
#[derive(Debug)]
pub struct Serials<T>(HashMap<String, Option<T>>);

impl<T: Copy> Serials<T> {
    pub fn new<'a>(devices: impl IntoIterator<Item = (Option<&'a str>, T)>) -> Self {
        let mut found = HashMap::new();
        for (serial, device) in devices {
            if let Some(serial) = serial.and_then(normal) {
                found.entry(serial).and_modify(|several| *several = None).or_insert(Some(device));
            }
        }
        Self(found)
    }

    pub fn find(&self, serial: &str) -> Option<T> {
        *self.0.get(&normal(serial)?)?
    }
}

/// The number in one spelling; `None` for a placeholder: a word of [`PLACEHOLDERS`], or one character again and again.
fn normal(serial: &str) -> Option<String> {
    let serial = serial.trim().to_lowercase();
    let first = serial.chars().next()?;
    let is_filler = serial.chars().all(|c| c == first || !c.is_alphanumeric());
    (!is_filler && !PLACEHOLDERS.contains(&serial.as_str())).then_some(serial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_join_in_any_spelling() {
        let serials = Serials::new([(Some("HA1234"), 1), (Some(" 5cg0001x "), 2), (None, 3)]);
        for (serial, expected) in [
            ("HA1234", Some(1)),
            (" ha1234\t", Some(1)),
            ("5CG0001X", Some(2)),
            ("HA12345", None),
            ("", None),
            ("  ", None),
        ] {
            assert_eq!(serials.find(serial), expected, "{serial:?}");
        }
    }

    #[test]
    fn what_is_no_serial_number_or_that_of_several_joins_nothing() {
        for serial in [
            "To be filled by O.E.M.",
            "TO BE FILLED BY O.E.M.",
            "Default string",
            "System Serial Number",
            "0",
            "00000000",
            "0000-0000",
            "xxxxxxx",
            "............",
            "None",
            "Unknown ",
        ] {
            assert_eq!(Serials::new([(Some(serial), 1)]).find(serial), None, "{serial:?}");
        }
        let twice =
            Serials::new([(Some("HA1234"), 1), (Some("ha1234"), 2), (Some("HA1234"), 3), (Some("b7"), 4)]);
        assert_eq!((twice.find("HA1234"), twice.find("B7")), (None, Some(4)));
    }
}
