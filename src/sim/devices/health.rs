//! `teamworkDeviceHealth`: connection, sign-ins, peripherals, software updates.

use serde_json::{Value, json};

use super::time;
use crate::sim::world::{
    Condition, Device, DeviceType, Link, LinkStatus, Peripheral, Place, Product, Software, SoftwareStatus,
};

pub(super) const PROPERTIES: &[&str] = &[
    "id",
    "connection",
    "createdBy",
    "createdDateTime",
    "hardwareHealth",
    "lastModifiedBy",
    "lastModifiedDateTime",
    "loginStatus",
    "peripheralsHealth",
    "softwareUpdateHealth",
];

/// The product of a peripheral is a navigation property: `expanded` asks for it, some devices give it
/// unasked.
pub(super) fn write(device: &Device, condition: &Condition, expanded: bool) -> Value {
    let named = expanded || device.chance.named("names peripherals").happens(0.3);
    json!({
        "id": device.id.to_string(),
        "connection": link(condition.connection),
        "loginStatus": {
            "exchangeConnection": condition.logins.exchange.map(link),
            "teamsConnection": condition.logins.teams.map(link),
            "skypeConnection": condition.logins.skype.map(link),
        },
        "peripheralsHealth": peripherals(condition, named),
        "softwareUpdateHealth": updates(condition),
        "hardwareHealth": hardware(device, condition, named),
        "createdDateTime": time(device.enrolled),
        "createdBy": null,
        "lastModifiedDateTime": time(condition.health_changed),
        "lastModifiedBy": null,
    })
}

fn link(link: Link) -> Value {
    let status = match link.status {
        LinkStatus::Connected => "connected",
        LinkStatus::Disconnected => "disconnected",
        LinkStatus::Unknown => "unknown",
    };
    json!({"connectionStatus": status, "lastModifiedDateTime": time(link.since)})
}

fn peripherals(condition: &Condition, named: bool) -> Option<Value> {
    if condition.peripherals.is_empty() {
        return None;
    }
    let at = |place| condition.at(place).map(|found| peripheral(found, named));
    let displays: Vec<Value> = condition.displays().map(|display| peripheral(display, named)).collect();
    Some(json!({
        "roomCameraHealth": at(Place::RoomCamera),
        "contentCameraHealth": at(Place::ContentCamera),
        "speakerHealth": at(Place::Speaker),
        "communicationSpeakerHealth": at(Place::CommunicationSpeaker),
        "microphoneHealth": at(Place::Microphone),
        "displayHealthCollection": displays,
    }))
}

fn hardware(device: &Device, condition: &Condition, named: bool) -> Option<Value> {
    let at = |place| condition.at(place).map(|found| peripheral(found, named));
    (device.kind == DeviceType::TeamsRoom).then(|| {
        json!({
            "computeHealth": at(Place::Compute),
            "hdmiIngestHealth": at(Place::HdmiIngest),
        })
    })
}

fn peripheral(peripheral: &Peripheral, named: bool) -> Value {
    let mut health = json!({"isOptional": peripheral.optional, "connection": link(peripheral.link)});
    if let (true, Some(found), Some(members)) = (named, peripheral.product, health.as_object_mut()) {
        members.insert("peripheral".to_owned(), product(found));
    }
    health
}

pub(super) fn product(product: Product) -> Value {
    json!({
        "id": product.id,
        "displayName": product.name,
        "vendorId": product.vendor,
        "productId": product.code,
    })
}

fn updates(condition: &Condition) -> Option<Value> {
    if condition.software.is_empty() {
        return None;
    }
    let of = |software| condition.software.iter().find(|status| status.software == software).map(update);
    Some(json!({
        "companyPortalSoftwareUpdateStatus": of(Software::CompanyPortal),
        "firmwareSoftwareUpdateStatus": of(Software::Firmware),
        "partnerAgentSoftwareUpdateStatus": of(Software::PartnerAgent),
        "adminAgentSoftwareUpdateStatus": of(Software::AdminAgent),
        "teamsClientSoftwareUpdateStatus": of(Software::TeamsClient),
        "operatingSystemSoftwareUpdateStatus": of(Software::OperatingSystem),
    }))
}

fn update(status: &SoftwareStatus) -> Value {
    json!({
        "softwareFreshness": if status.available.is_some() { "updateAvailable" } else { "latest" },
        "currentVersion": status.current,
        "availableVersion": status.available,
    })
}
