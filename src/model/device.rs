//! A device as the list of devices shows it.
//!
//! <https://learn.microsoft.com/graph/api/resources/teamworkdevice?view=graph-rest-beta>

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::product_names::Product;
use crate::model::{State, Timestamp, shared};

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Device {
    pub id: Arc<str>,
    pub device_type: DeviceType,
    #[serde(default, deserialize_with = "shared::optional")]
    pub manufacturer: Option<Arc<str>>,
    #[serde(default, deserialize_with = "shared::optional")]
    pub model: Option<Arc<str>>,
    pub serial_number: Option<Arc<str>>,
    pub asset_tag: Option<Arc<str>>,
    pub health: Health,
    pub activity: Activity,
    pub created: Option<Timestamp>,
    /// When Graph last changed its document of the device.
    pub last_modified: Option<Timestamp>,
    /// The account signed in on the device; `None` is signed out.
    pub account: Option<Account>,
}

/// `currentUser`: of a room device the room account, of a personal device a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Entra object id.
    pub id: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    /// User principal name, lower case.
    pub email: Option<Arc<str>>,
}

/// `teamworkDeviceType`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// Teams Rooms on Windows.
    TeamsRoom,
    /// Teams Rooms on Android.
    CollaborationBar,
    SurfaceHub,
    TeamsPanel,
    TouchConsole,
    TeamsDisplay,
    IpPhone,
    LowCostPhone,
    Sip,
    SipAnalog,
    Unknown,
}

/// What a device is to its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the meeting; only core devices tell whether the room is up.
    Core,
    Console,
    Panel,
    Other,
}

/// `teamworkDeviceHealthStatus`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Healthy,
    NonUrgent,
    Critical,
    Offline,
    Unknown,
}

/// `teamworkDeviceActivityState`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    Idle,
    Busy,
    Unavailable,
    Unknown,
}

impl Device {
    pub fn product(&self) -> Product {
        Product { manufacturer: self.manufacturer.clone(), model: self.model.clone() }
    }
}

impl DeviceType {
    pub const fn role(self) -> Role {
        match self {
            Self::TeamsRoom | Self::CollaborationBar | Self::SurfaceHub => Role::Core,
            Self::TouchConsole => Role::Console,
            Self::TeamsPanel => Role::Panel,
            _ => Role::Other,
        }
    }
}

impl State for DeviceType {
    const ALL: &'static [Self] = &[
        Self::TeamsRoom,
        Self::CollaborationBar,
        Self::SurfaceHub,
        Self::TeamsPanel,
        Self::TouchConsole,
        Self::TeamsDisplay,
        Self::IpPhone,
        Self::LowCostPhone,
        Self::Sip,
        Self::SipAnalog,
        Self::Unknown,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::TeamsRoom => "teams_room",
            Self::CollaborationBar => "collaboration_bar",
            Self::SurfaceHub => "surface_hub",
            Self::TeamsPanel => "teams_panel",
            Self::TouchConsole => "touch_console",
            Self::TeamsDisplay => "teams_display",
            Self::IpPhone => "ip_phone",
            Self::LowCostPhone => "low_cost_phone",
            Self::Sip => "sip",
            Self::SipAnalog => "sip_analog",
            Self::Unknown => "unknown",
        }
    }
}

impl State for Role {
    const ALL: &'static [Self] = &[Self::Core, Self::Console, Self::Panel, Self::Other];

    fn label(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Console => "console",
            Self::Panel => "panel",
            Self::Other => "other",
        }
    }
}

impl State for Health {
    const ALL: &'static [Self] =
        &[Self::Healthy, Self::NonUrgent, Self::Critical, Self::Offline, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NonUrgent => "non_urgent",
            Self::Critical => "critical",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl State for Activity {
    const ALL: &'static [Self] = &[Self::Idle, Self::Busy, Self::Unavailable, Self::Unknown];

    fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listing::tests::device;

    #[test]
    fn a_device_has_the_role_of_its_type() {
        let of_role = |role: Role| {
            let types = DeviceType::ALL.iter().filter(|device_type| device_type.role() == role);
            types.map(|device_type| device_type.label()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of_role(Role::Core), "teams_room collaboration_bar surface_hub");
        assert_eq!(of_role(Role::Console), "touch_console");
        assert_eq!(of_role(Role::Panel), "teams_panel");
        assert_eq!(of_role(Role::Other), "teams_display ip_phone low_cost_phone sip sip_analog unknown");
    }

    #[test]
    fn a_product_is_who_made_it_and_what_it_is() {
        let (manufacturer, model) = (Some(Arc::from("yealink")), Some(Arc::from("a30")));
        let base = device("d", DeviceType::TeamsRoom);
        let device = Device { manufacturer: manufacturer.clone(), model: model.clone(), ..(*base).clone() };
        assert_eq!(device.product(), Product { manufacturer, model });
    }
}
