//! A room's device as Intune manages it.
//!
//! <https://learn.microsoft.com/graph/api/resources/intune-devices-manageddevice>

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedDevice {
    pub serial_number: Option<Arc<str>>,
    /// Entra object id of the primary user, lower case.
    pub user_id: Option<Arc<str>>,
    /// User principal name of the primary user, lower case.
    pub user_principal_name: Option<Arc<str>>,
    /// `None` where Intune does not know, or another system manages the device.
    pub compliant: Option<bool>,
    pub last_sync: Option<Timestamp>,
    /// Bytes.
    pub storage_free: Option<u64>,
    /// Bytes.
    pub storage: Option<u64>,
    pub os: Option<Arc<str>>,
    pub os_version: Option<Arc<str>>,
}
