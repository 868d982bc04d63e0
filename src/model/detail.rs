//! The health detail of a device: its connection, logins, peripherals and software.
//!
//! <https://learn.microsoft.com/graph/api/resources/teamworkdevicehealth?view=graph-rest-beta>

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::FixedState;
use serde::{Deserialize, Serialize};

use crate::model::device::{Activity, Device, Health};
use crate::model::{State, Timestamp, shared};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detail {
    pub connection: Connection,
    /// Only what Graph reported; not every device type reports every point.
    pub logins: Box<[(Login, Connection)]>,
    pub peripherals: Box<[Peripheral]>,
    pub software: Box<[Software]>,
}

/// `teamworkConnection`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Connection {
    /// `None` where Graph does not know.
    pub connected: Option<bool>,
    /// The stamp that Graph gives: when it last *changed*, or a heartbeat ([`crate::model::stamp`]); never a sign of
    /// freshness.
    pub changed: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    Exchange,
    Teams,
    Skype,
}

/// `teamworkPeripheralHealth`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peripheral {
    pub slot: Slot,
    pub connection: Connection,
    /// Optional peripherals do not make a device unhealthy.
    pub optional: Option<bool>,
    pub product: Option<Product>,
}

/// Where a peripheral belongs on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    RoomCamera,
    ContentCamera,
    Microphone,
    Speaker,
    CommunicationSpeaker,
    /// Counted from 1, in Graph's order.
    Display(u8),
    HdmiIngest,
    Compute,
}

/// `teamworkPeripheral`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Product {
    #[serde(deserialize_with = "shared::name")]
    pub name: Arc<str>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub vendor_id: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub product_id: Option<Arc<str>>,
}

/// `teamworkSoftwareUpdateStatus`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Software {
    pub kind: SoftwareKind,
    #[serde(default, deserialize_with = "shared::optional")]
    pub current: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub available: Option<Arc<str>>,
    /// `softwareFreshness`: `Some(false)` is latest, `None` unknown.
    pub update_available: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftwareKind {
    AdminAgent,
    CompanyPortal,
    Firmware,
    OperatingSystem,
    PartnerAgent,
    TeamsClient,
}

/// One reading of a device's detail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reading {
    pub read_at: Timestamp,
    /// What the list said of the device when the detail was read; a difference makes it due again.
    pub basis: Basis,
    /// `None` where Graph reports no health for this device (404).
    pub detail: Option<Arc<Detail>>,
    /// Graph denied the detail (404) after it had reported one; a second time in a row is believed.
    #[serde(default)]
    pub denied: bool,
}

/// The listed facts that tell whether a device's detail may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Basis {
    pub last_modified: Option<Timestamp>,
    pub health: Health,
    pub activity: Activity,
    /// A number for the account that is signed in; `None` in older files.
    #[serde(default)]
    pub account: Option<u64>,
}

/// Something of a device that is connected or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    Connection,
    Login(Login),
    Peripheral(Slot),
}

impl Detail {
    /// Every link that was reported.
    pub fn links(&self) -> impl Iterator<Item = (Link, Connection)> + '_ {
        let logins = self.logins.iter().map(|(login, connection)| (Link::Login(*login), *connection));
        let peripherals = self.peripherals.iter().map(|one| (Link::Peripheral(one.slot), one.connection));
        [(Link::Connection, self.connection)].into_iter().chain(logins).chain(peripherals)
    }

    /// Returns true if the other detail differs in nothing but times.
    pub fn has_values_of(&self, other: &Self) -> bool {
        let values = |detail: &Self| {
            let timeless = |connection: &mut Connection| connection.changed = None;
            let mut detail = detail.clone();
            timeless(&mut detail.connection);
            detail.logins.iter_mut().for_each(|(_, connection)| timeless(connection));
            detail.peripherals.iter_mut().for_each(|one| timeless(&mut one.connection));
            detail
        };
        self == other || values(self) == values(other)
    }
}

impl Basis {
    /// Returns true if the list says the same of the device, but for its stamp.
    pub fn is_state_of(&self, device: &Device) -> bool {
        let now = Self::from(device);
        let account = self.account.or(now.account);
        Self { last_modified: now.last_modified, account, ..*self } == now
    }

    /// Returns true if the stamp of the device in the list is still the same.
    pub fn is_stamp_of(&self, device: &Device) -> bool {
        self.last_modified == device.last_modified
    }
}

impl Slot {
    pub fn label(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::RoomCamera => "room_camera",
            Self::ContentCamera => "content_camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::CommunicationSpeaker => "communication_speaker",
            Self::HdmiIngest => "hdmi_ingest",
            Self::Compute => "compute",
            Self::Display(number) => return Cow::Owned(format!("display_{number}")),
        })
    }
}

impl State for Login {
    const ALL: &'static [Self] = &[Self::Exchange, Self::Teams, Self::Skype];

    fn label(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Teams => "teams",
            Self::Skype => "skype",
        }
    }
}

impl State for SoftwareKind {
    const ALL: &'static [Self] = &[
        Self::AdminAgent,
        Self::CompanyPortal,
        Self::Firmware,
        Self::OperatingSystem,
        Self::PartnerAgent,
        Self::TeamsClient,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::AdminAgent => "admin_agent",
            Self::CompanyPortal => "company_portal",
            Self::Firmware => "firmware",
            Self::OperatingSystem => "operating_system",
            Self::PartnerAgent => "partner_agent",
            Self::TeamsClient => "teams_client",
        }
    }
}

impl From<&Device> for Basis {
    fn from(device: &Device) -> Self {
        let account = device.account.as_ref().map(|account| (&account.id, &account.email));
        Self {
            last_modified: device.last_modified,
            health: device.health,
            activity: device.activity,
            account: Some(FixedState::default().hash_one(account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::{Account, DeviceType};
    use crate::model::listing::tests::device;

    fn link(connected: bool, changed: i64) -> Connection {
        Connection { connected: Some(connected), changed: Some(Timestamp::from_seconds(changed)) }
    }

    fn detail(connected: bool, changed: i64) -> Detail {
        let slot = Slot::Microphone;
        let microphone =
            Peripheral { slot, connection: link(connected, changed), optional: None, product: None };
        Detail {
            connection: link(connected, changed),
            logins: [(Login::Teams, link(connected, changed))].into(),
            peripherals: [microphone].into(),
            software: Box::default(),
        }
    }

    #[test]
    fn values_are_the_same_whenever_they_changed() {
        let base = detail(true, 1);
        assert!(base.has_values_of(&base) && base.has_values_of(&detail(true, 2)));
        let other = detail(false, 1);
        for differs in [
            Detail { connection: other.connection, ..base.clone() },
            Detail { logins: other.logins.clone(), ..base.clone() },
            Detail { peripherals: other.peripherals.clone(), ..base.clone() },
        ] {
            assert!(!base.has_values_of(&differs), "{differs:?}");
        }
    }

    #[test]
    fn a_detail_rests_on_what_the_list_said_of_the_device() {
        let listed = device("d", DeviceType::TeamsRoom);
        let basis = Basis::from(&*listed);
        let account = Account { id: Some("id-1".into()), name: None, email: None };
        let moved = Device { last_modified: Some(Timestamp::from_seconds(1)), ..(*listed).clone() };
        assert!(basis.is_state_of(&listed) && basis.is_stamp_of(&listed));
        assert!(basis.is_state_of(&moved) && !basis.is_stamp_of(&moved));
        for differs in [
            Device { health: Health::Critical, ..(*listed).clone() },
            Device { activity: Activity::Busy, ..(*listed).clone() },
            Device { account: Some(account.clone()), ..(*listed).clone() },
        ] {
            assert!(!basis.is_state_of(&differs) && basis.is_stamp_of(&differs), "{differs:?}");
        }
        let older = Basis { account: None, ..basis };
        assert!(
            older.is_state_of(&Device { account: Some(account), ..(*listed).clone() }),
            "it is not known"
        );
    }

    #[test]
    fn every_link_of_a_detail_is_told_with_its_name() {
        let links: Vec<Link> = detail(true, 1).links().map(|(link, _)| link).collect();
        assert_eq!(links, [Link::Connection, Link::Login(Login::Teams), Link::Peripheral(Slot::Microphone)]);
        let slots = [
            Slot::RoomCamera,
            Slot::ContentCamera,
            Slot::Microphone,
            Slot::Speaker,
            Slot::CommunicationSpeaker,
            Slot::HdmiIngest,
            Slot::Compute,
            Slot::Display(2),
        ];
        assert_eq!(
            slots.map(|slot| slot.label().into_owned()).join(" "),
            "room_camera content_camera microphone speaker communication_speaker hdmi_ingest compute display_2"
        );
    }
}
