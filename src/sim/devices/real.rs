//! Differences between the documents in Learn and those of real tenants, as public captures show them.
//!
//! The captures are of rows of devices. In the other documents only times and authors change, as in the rows.

use serde_json::{Map, Value, json};

use super::Document;
use super::heartbeat::Heartbeat;
use crate::sim::profile::whole_seconds;
use crate::sim::world::{Device, Part};

/// The name of the administrator who last changed some devices.
pub(in crate::sim) const ADMIN: &str = "Dana Beispielsen";

/// The share of documents that an administrator changed last. All others have no author.
const CHANGED_BY_ADMIN: f64 = 0.25;

/// Turns a document from the shape of Learn into that of real tenants.
pub(super) fn reshape(device: &Device, document: Document, heartbeat: Heartbeat, value: &mut Value) {
    if let Some(members) = value.as_object_mut().filter(|_| device.part != Part::Bare) {
        if matches!(document, Document::Device | Document::Health) {
            heartbeat.stamp(members);
        }
        if device.chance.named("changed by").named(document.name()).happens(CHANGED_BY_ADMIN) {
            members.insert("lastModifiedBy".to_owned(), admin());
        }
        if document == Document::Device {
            row(device, members);
        }
    }
    whole_seconds(value);
}

/// The `identitySet` of the administrator.
pub(super) fn admin() -> Value {
    json!({
        "application": null,
        "device": null,
        "user": {
            "@odata.type": "#microsoft.graph.teamworkUserIdentity",
            "id": "5b1f0d3c-8a27-4e69-9d40-7c3e2f1a6b85",
            "displayName": ADMIN,
            "userIdentityType": "aadUser",
        },
    })
}

fn row(device: &Device, members: &mut Map<String, Value>) {
    for unset in ["notes", "companyAssetTag"] {
        members.insert(unset.to_owned(), Value::Null);
    }
    if !device.kind.is_windows() {
        members.insert("activityState".to_owned(), "unknown".into());
    }
    if let Some(user) = members.get_mut("currentUser").and_then(Value::as_object_mut) {
        user.remove("userPrincipalName");
    }
    members.insert("hardwareDetail".to_owned(), hardware(device));
}

fn hardware(device: &Device) -> Value {
    let serial = device.serial_number().to_lowercase();
    let unique = if device.kind.is_windows() { digest(device) } else { serial.clone() };
    json!({
        "serialNumber": serial,
        "uniqueId": unique,
        "macAddresses": mac_addresses(device),
        "manufacturer": squeezed(device.model.manufacturer),
        "model": squeezed(device.model.name),
    })
}

/// 64 hexadecimal digits, as of a SHA-256.
fn digest(device: &Device) -> String {
    let draw = device.chance.named("digest");
    let half = |name: &str| u128::from_be_bytes(draw.named(name).bytes());
    format!("{:032x}{:032x}", half("first"), half("second"))
}

/// A PC has one adapter or two; their kind is unknown.
fn mac_addresses(device: &Device) -> Vec<String> {
    if !device.kind.is_windows() {
        return vec![format!("ETHERNET:{}", device.mac_address(0).replace('-', ""))];
    }
    let adapters = if device.chance.named("second adapter").happens(0.5) { 2 } else { 1 };
    (0..adapters).map(|at| format!("UNKNOWN:{}", device.mac_address(at).replace('-', ":"))).collect()
}

/// Letters and digits in lower case, nothing between them.
fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
}
