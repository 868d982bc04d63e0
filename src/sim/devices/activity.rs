//! `teamworkDeviceActivity`: the peripherals in use. Empty for Teams Rooms more often than not.

use serde_json::{Value, json};

use super::{health, time};
use crate::sim::world::{Condition, Device, LinkStatus, Place};

pub(super) const PROPERTIES: &[&str] =
    &["id", "activePeripherals", "createdBy", "createdDateTime", "lastModifiedBy", "lastModifiedDateTime"];

pub(super) fn write(device: &Device, condition: &Condition) -> Value {
    json!({
        "id": device.id.to_string(),
        "activePeripherals": active(condition),
        "createdDateTime": time(device.enrolled),
        "createdBy": null,
        "lastModifiedDateTime": time(condition.changed),
        "lastModifiedBy": null,
    })
}

fn active(condition: &Condition) -> Value {
    let at = |place| {
        let found = condition.at(place).filter(|found| found.link.status == LinkStatus::Connected);
        found.and_then(|found| found.product).map(health::product)
    };
    json!({
        "roomCamera": at(Place::RoomCamera),
        "contentCamera": at(Place::ContentCamera),
        "speaker": at(Place::Speaker),
        "communicationSpeaker": at(Place::CommunicationSpeaker),
        "microphone": at(Place::Microphone),
    })
}
