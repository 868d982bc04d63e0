//! `teamworkDeviceConfiguration`: what a device is set to. Rooms and other devices fill different halves of
//! it.

use serde_json::{Value, json};

use super::{health, time};
use crate::sim::world::{Condition, Device, Place, Software};

pub(super) const PROPERTIES: &[&str] = &[
    "id",
    "cameraConfiguration",
    "createdBy",
    "createdDateTime",
    "displayConfiguration",
    "hardwareConfiguration",
    "lastModifiedBy",
    "lastModifiedDateTime",
    "microphoneConfiguration",
    "softwareVersions",
    "speakerConfiguration",
    "systemConfiguration",
    "teamsClientConfiguration",
];

pub(super) fn write(device: &Device, condition: &Condition, expanded: bool) -> Value {
    let mut document = if device.kind.is_windows() {
        windows(device, condition, expanded)
    } else {
        json!({"displayConfiguration": in_built_display(), "systemConfiguration": system(device)})
    };
    let shared = json!({
        "id": device.id.to_string(),
        "softwareVersions": versions(condition),
        "createdDateTime": time(device.enrolled),
        "createdBy": null,
        "lastModifiedDateTime": time(condition.health_changed),
        "lastModifiedBy": null,
    });
    if let (Some(members), Value::Object(shared)) = (document.as_object_mut(), shared) {
        members.extend(shared);
        for property in PROPERTIES {
            members.entry(*property).or_insert(Value::Null);
        }
    }
    document
}

fn versions(condition: &Condition) -> Value {
    let of = |software| {
        let status = condition.software.iter().find(|status| status.software == software);
        status.map(|status| status.current.as_str())
    };
    json!({
        "adminAgentSoftwareVersion": of(Software::AdminAgent),
        "operatingSystemSoftwareVersion": of(Software::OperatingSystem),
        "teamsClientSoftwareVersion": of(Software::TeamsClient),
        "firmwareSoftwareVersion": of(Software::Firmware),
        "partnerAgentSoftwareVersion": of(Software::PartnerAgent),
    })
}

fn windows(device: &Device, condition: &Condition, expanded: bool) -> Value {
    let optional = |place| condition.at(place).and_then(|found| found.optional);
    let mut document = json!({
        "displayConfiguration": displays(condition),
        "cameraConfiguration": {"contentCameraConfiguration": {
            "isContentCameraOptional": optional(Place::ContentCamera),
            "isContentEnhancementEnabled": false,
            "isContentCameraInverted": false,
        }},
        "speakerConfiguration": {
            "isSpeakerOptional": optional(Place::Speaker),
            "isCommunicationSpeakerOptional": optional(Place::CommunicationSpeaker),
        },
        "microphoneConfiguration": {"isMicrophoneOptional": optional(Place::Microphone)},
        "teamsClientConfiguration": teams_client(device),
        "hardwareConfiguration": {"processorModel": device.model.inside},
    });
    if expanded {
        expand(device, &mut document);
    }
    document
}

/// The navigation properties, which only come when asked for.
fn expand(device: &Device, document: &mut Value) {
    for (pointer, name, place) in [
        ("/cameraConfiguration", "defaultContentCamera", Place::ContentCamera),
        ("/speakerConfiguration", "defaultSpeaker", Place::Speaker),
        ("/speakerConfiguration", "defaultCommunicationSpeaker", Place::CommunicationSpeaker),
        ("/microphoneConfiguration", "defaultMicrophone", Place::Microphone),
        ("/hardwareConfiguration", "hdmiIngest", Place::HdmiIngest),
    ] {
        let members = document.pointer_mut(pointer).and_then(Value::as_object_mut);
        if let (Some(members), Some(product)) = (members, device.product(place)) {
            members.insert(name.to_owned(), health::product(product));
        }
    }
}

fn displays(condition: &Condition) -> Value {
    let configured: Vec<Value> =
        condition.displays().map(|display| json!({"isOptional": display.optional})).collect();
    json!({
        "displayCount": configured.len(),
        "isDualDisplayModeEnabled": configured.len() > 1,
        "isContentDuplicationAllowed": false,
        "configuredDisplays": configured,
        "inBuiltDisplayScreenConfiguration": null,
    })
}

fn teams_client(device: &Device) -> Value {
    let address = device.account.as_ref().map(|account| &account.user_principal_name);
    json!({
        "accountConfiguration": {
            "supportedClient": "teamsOnly",
            "onPremisesCalendarSyncConfiguration": {
                "smtpAddress": address,
                "domain": "contoso.example",
                "domainUserName": null,
            },
        },
        "featuresConfiguration": {
            "isAutoScreenShareEnabled": false,
            "isHideMeetingNamesEnabled": true,
            "isBluetoothBeaconingEnabled": true,
            "isSendLogsAndFeedbackEnabled": false,
            "emailToSendLogsAndFeedback": null,
        },
    })
}

fn in_built_display() -> Value {
    json!({
        "displayCount": null,
        "isDualDisplayModeEnabled": null,
        "isContentDuplicationAllowed": null,
        "configuredDisplays": [],
        "inBuiltDisplayScreenConfiguration": {
            "backlightBrightness": 60,
            "backlightTimeout": "PT30M",
            "isHighContrastEnabled": false,
            "isScreensaverEnabled": true,
            "screensaverTimeout": "PT10M",
        },
    })
}

fn system(device: &Device) -> Value {
    json!({
        "dateTimeConfiguration": {
            "timeZone": device.zone_name,
            "dateFormat": "dd/MM/yyyy",
            "timeFormat": "24 hours",
            "officeHoursStartTime": "08:00:00.0000000",
            "officeHoursEndTime": "18:00:00.0000000",
        },
        "defaultPassword": null,
        "deviceLockTimeout": "PT15M",
        "isDeviceLockEnabled": false,
        "isLoggingEnabled": true,
        "isPowerSavingEnabled": true,
        "isScreenCaptureEnabled": false,
        "isSilentModeEnabled": false,
        "language": "English (United States)",
        "lockPin": null,
        "loggingLevel": "Verbose",
        "networkConfiguration": network(device),
    })
}

fn network(device: &Device) -> Value {
    let host = device.chance.named("address").between(10, 250);
    json!({
        "isDhcpEnabled": true,
        "isPCPortEnabled": false,
        "hostName": format!("{}-{}", device.model.manufacturer, device.unique_id()).to_lowercase(),
        "domainName": "corp.contoso.example",
        "ipAddress": format!("10.20.30.{host}"),
        "subnetMask": "255.255.255.0",
        "defaultGateway": "10.20.30.1",
        "primaryDns": "10.20.0.53",
        "secondaryDns": "10.21.0.53",
    })
}
