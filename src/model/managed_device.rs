//! A room's device as Intune manages it, and which device of the fleet that is.
//!
//! <https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice>

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::device::{Account, Device};
use crate::model::product_names::Product;
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
    /// The level of Android's security patches, which is a date.
    #[serde(default)]
    pub security_patch: Option<Timestamp>,
    /// The end of the certificate by which Intune knows the device.
    #[serde(default)]
    pub certificate_expiry: Option<Timestamp>,
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
    /// A system that is not known yet.
    Unknown,
}

impl State for Os {
    const ALL: &'static [Self] = &[Self::Windows, Self::Android, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Android => "android",
            Self::Unknown => "unknown",
        }
    }
}

/// Tells the devices of rooms from those of people.
pub struct Sieve<'a> {
    snapshot: &'a Snapshot,
    serials: Serials<&'a Device>,
}

impl<'a> Sieve<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let fleet = snapshot.devices.rows.values().map(|row| &*row.device);
        let numbered = fleet.map(|device| (device.serial_number.as_deref(), device));
        Self { snapshot, serials: Serials::new(numbered) }
    }

    /// The device with its room, if it is one of the fleet or its primary user is a room.
    pub fn keep(&self, user: Option<&Account>, device: ManagedDevice) -> Option<ManagedDevice> {
        let room = user.and_then(|user| self.snapshot.memory.rooms.find(user.id.iter().chain(&user.email)));
        let room_id = room.filter(|room| !self.snapshot.is_excluded(room)).map(|room| room.id.clone());
        (room_id.is_some() || self.listed(&device).is_some()).then_some(ManagedDevice { room_id, ..device })
    }

    /// The names that Intune spells for people and the row of the same serial number does not.
    pub fn spellings(&self, device: &ManagedDevice, product: &Product) -> Vec<Arc<str>> {
        let listed = self.listed(device).map(Device::product);
        listed.map_or_else(Vec::new, |listed| listed.spelled_by(product))
    }

    fn listed(&self, device: &ManagedDevice) -> Option<&'a Device> {
        self.serials.find(device.serial_number.as_deref()?)
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
    use crate::model::device::DeviceType;
    use crate::model::listing::tests::device;

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
    fn names_are_learned_by_serial_number_alone() {
        let mut snapshot = Snapshot::default();
        let listed = Device {
            serial_number: Some("ha1".into()),
            manufacturer: Some("yealink".into()),
            model: Some("meetingbara30".into()),
            ..(*device("a", DeviceType::CollaborationBar)).clone()
        };
        Arc::make_mut(&mut snapshot.devices).take(&[Arc::new(listed)], Timestamp::from_seconds(0));
        let sieve = Sieve::new(&snapshot);
        let product = Product { manufacturer: Some("Yealink".into()), model: Some("MeetingBar A30".into()) };
        let spellings = |serial: Option<&str>| {
            let managed = ManagedDevice { serial_number: serial.map(Into::into), ..ManagedDevice::default() };
            sieve.spellings(&managed, &product)
        };
        assert_eq!(spellings(Some("HA1")), ["Yealink".into(), "MeetingBar A30".into()]);
        assert!(spellings(Some("HA2")).is_empty() && spellings(None).is_empty());
    }

    /// Records of an older version have neither date.
    #[test]
    fn an_old_record_can_be_read() {
        let old = r#"{"serial_number":"HA1","room_id":null,"compliant":true,"last_sync":7,"storage_free":5,"storage":9,"os":"android","os_version":"12"}"#;
        let read: ManagedDevice = serde_json::from_str(old).expect("a record");
        assert_eq!((read.os, read.last_sync), (Some(Os::Android), Some(Timestamp::from_seconds(7))));
        assert_eq!((read.security_patch, read.certificate_expiry), (None, None));
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
