//! The `teamworkDevice` itself, as it stands in the list and alone.

use serde_json::{Value, json};

use super::time;
use crate::sim::world::{Account, Activity, Condition, Device, Health};

pub(super) const PROPERTIES: &[&str] = &[
    "id",
    "activityState",
    "companyAssetTag",
    "createdBy",
    "createdDateTime",
    "currentUser",
    "deviceType",
    "hardwareDetail",
    "healthStatus",
    "lastModifiedBy",
    "lastModifiedDateTime",
    "notes",
];

pub(super) fn write(device: &Device, condition: &Condition) -> Value {
    json!({
        "id": device.id.to_string(),
        "deviceType": device.kind.graph_name(),
        "notes": device.notes(),
        "companyAssetTag": device.asset_tag(),
        "healthStatus": health(condition.health()),
        "activityState": activity(condition.activity),
        "createdDateTime": time(device.enrolled),
        "createdBy": null,
        "lastModifiedDateTime": time(condition.changed),
        "lastModifiedBy": null,
        "hardwareDetail": {
            "serialNumber": device.serial_number(),
            "uniqueId": device.unique_id(),
            "macAddresses": [device.mac_address(0)],
            "manufacturer": device.model.manufacturer,
            "model": device.model.name,
        },
        "currentUser": condition.user.as_ref().map(user),
    })
}

pub(super) fn user(account: &Account) -> Value {
    json!({
        "id": account.id.to_string(),
        "displayName": account.display_name,
        "userIdentityType": "aadUser",
        "userPrincipalName": account.user_principal_name,
    })
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Offline => "offline",
        Health::Critical => "critical",
        Health::NonUrgent => "nonUrgent",
        Health::Healthy => "healthy",
    }
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Busy => "busy",
        Activity::Idle => "idle",
        Activity::Unavailable => "unavailable",
    }
}
