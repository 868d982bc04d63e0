//! The evidence for each member of Graph that the exporter reads: seen live, in a public capture, or documented only.
//!
//! `tests/it/evidence.rs` compares these rows with the names in the files next to this one, and writes
//! `docs/evidence.md`. `check --capture` reports which members it is the first to see.

/// The best evidence of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// In a capture of a tenant that this exporter reads; the text names it.
    SeenLive(&'static str),
    /// In rows that others published; the text is where.
    PublicCapture(&'static str),
    /// On Microsoft's pages alone.
    Documentation,
}

use Evidence::{Documentation, PublicCapture};

/// The members of one kind of answer that the exporter reads.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Microsoft's name of it.
    pub name: &'static str,
    /// The file next to this one that reads it.
    pub file: &'static str,
    /// The paths that answer with it, `{id}` for each id; none if it is pushed.
    pub paths: &'static [&'static str],
    /// Members with dots from the item down.
    pub members: &'static [(&'static str, Evidence)],
}

/// Device and Intune rows of one tenant, November 2025 to January 2026.
const ASSET_GUARD: Evidence = PublicCapture("https://github.com/mura0717/AssetGuard");
/// A whole answer with entries of each status, March 2024.
const METADATA_598: Evidence = PublicCapture("https://github.com/microsoftgraph/msgraph-metadata/issues/598");

#[rustfmt::skip]
pub const RESOURCES: &[Resource] = &[
    Resource {
        name: "teamworkDevice", file: "devices.rs", paths: &["/beta/teamwork/devices"],
        members: &[
            ("id",                            ASSET_GUARD),
            ("deviceType",                    ASSET_GUARD),
            ("healthStatus",                  ASSET_GUARD),
            ("activityState",                 ASSET_GUARD),
            ("createdDateTime",               ASSET_GUARD),
            ("lastModifiedDateTime",          ASSET_GUARD),
            ("companyAssetTag",               Documentation), // null in the public rows
            ("hardwareDetail",                ASSET_GUARD),
            ("hardwareDetail.manufacturer",   ASSET_GUARD),
            ("hardwareDetail.model",          ASSET_GUARD),
            ("hardwareDetail.serialNumber",   ASSET_GUARD),
            ("currentUser",                   ASSET_GUARD),
            ("currentUser.id",                ASSET_GUARD),
            ("currentUser.displayName",       ASSET_GUARD),
            ("currentUser.userPrincipalName", Documentation), // absent in the public rows
        ],
    },
    Resource {
        name: "teamworkDeviceHealth", file: "device_health/mod.rs", paths: &["/beta/teamwork/devices/{id}/health"],
        members: &[
            ("connection",                                                                 Documentation),
            ("connection.connectionStatus",                                                Documentation),
            ("connection.lastModifiedDateTime",                                            Documentation),
            ("loginStatus",                                                                Documentation),
            ("loginStatus.exchangeConnection",                                             Documentation),
            ("loginStatus.teamsConnection",                                                Documentation),
            ("loginStatus.skypeConnection",                                                Documentation),
            ("peripheralsHealth",                                                          Documentation),
            ("peripheralsHealth.roomCameraHealth",                                         Documentation),
            ("peripheralsHealth.contentCameraHealth",                                      Documentation),
            ("peripheralsHealth.microphoneHealth",                                         Documentation),
            ("peripheralsHealth.speakerHealth",                                            Documentation),
            ("peripheralsHealth.communicationSpeakerHealth",                               Documentation),
            ("peripheralsHealth.displayHealthCollection",                                  Documentation),
            ("peripheralsHealth.roomCameraHealth.isOptional",                              Documentation),
            ("peripheralsHealth.roomCameraHealth.peripheral",                              Documentation),
            ("peripheralsHealth.roomCameraHealth.peripheral.displayName",                  Documentation),
            ("peripheralsHealth.roomCameraHealth.peripheral.vendorId",                     Documentation),
            ("peripheralsHealth.roomCameraHealth.peripheral.productId",                    Documentation),
            ("hardwareHealth",                                                             Documentation),
            ("hardwareHealth.hdmiIngestHealth",                                            Documentation),
            ("hardwareHealth.computeHealth",                                               Documentation),
            ("softwareUpdateHealth",                                                       Documentation),
            ("softwareUpdateHealth.adminAgentSoftwareUpdateStatus",                        Documentation),
            ("softwareUpdateHealth.companyPortalSoftwareUpdateStatus",                     Documentation),
            ("softwareUpdateHealth.firmwareSoftwareUpdateStatus",                          Documentation),
            ("softwareUpdateHealth.operatingSystemSoftwareUpdateStatus",                   Documentation),
            ("softwareUpdateHealth.partnerAgentSoftwareUpdateStatus",                      Documentation),
            ("softwareUpdateHealth.teamsClientSoftwareUpdateStatus",                       Documentation),
            ("softwareUpdateHealth.teamsClientSoftwareUpdateStatus.softwareFreshness",     Documentation),
            ("softwareUpdateHealth.teamsClientSoftwareUpdateStatus.currentVersion",        Documentation),
            ("softwareUpdateHealth.teamsClientSoftwareUpdateStatus.availableVersion",      Documentation),
        ],
    },
    Resource {
        name: "presence", file: "presence.rs", paths: &["/v1.0/communications/getPresencesByUserId"],
        members: &[
            ("id",           Documentation),
            ("availability", Documentation),
            ("activity",     Documentation),
        ],
    },
    Resource {
        name: "room", file: "places.rs",
        paths: &["/v1.0/places/microsoft.graph.room", "/v1.0/places/{id}/microsoft.graph.roomlist/rooms"],
        members: &[
            ("placeId",                  Documentation),
            ("emailAddress",             Documentation),
            ("displayName",              Documentation),
            ("nickname",                 Documentation),
            ("building",                 Documentation),
            ("floorLabel",               Documentation),
            ("floorNumber",              Documentation),
            ("capacity",                 Documentation),
            ("address",                  Documentation),
            ("address.city",             Documentation),
            ("address.countryOrRegion",  Documentation),
            ("geoCoordinates",           Documentation),
            ("geoCoordinates.latitude",  Documentation),
            ("geoCoordinates.longitude", Documentation),
        ],
    },
    Resource {
        name: "scheduleInformation", file: "calendar/mod.rs", paths: &["/v1.0/users/{id}/calendar/getSchedule"],
        members: &[
            ("scheduleId",                   METADATA_598),
            ("availabilityView",             METADATA_598),
            ("scheduleItems",                METADATA_598),
            ("scheduleItems.status",         METADATA_598),
            ("scheduleItems.start",          METADATA_598),
            ("scheduleItems.start.dateTime", METADATA_598),
            ("scheduleItems.start.timeZone", METADATA_598),
            ("scheduleItems.end",            METADATA_598),
            ("scheduleItems.end.dateTime",   METADATA_598),
            ("scheduleItems.end.timeZone",   METADATA_598),
            ("error",                        Documentation),
            ("error.responseCode",           Documentation),
        ],
    },
    Resource {
        name: "user", file: "accounts.rs", paths: &["/v1.0/users", "/v1.0/users/{id}"],
        members: &[
            ("id",                     Documentation),
            ("displayName",            Documentation),
            ("givenName",              Documentation), // only whether there is one
            ("surname",                Documentation), // only whether there is one
            ("userPrincipalName",      Documentation),
            ("mail",                   Documentation),
            ("proxyAddresses",         Documentation),
            ("accountEnabled",         Documentation),
            ("assignedLicenses",       Documentation),
            ("assignedLicenses.skuId", Documentation),
        ],
    },
    Resource {
        name: "subscribedSku", file: "licenses.rs", paths: &["/v1.0/subscribedSkus"],
        members: &[
            ("skuId",                   Documentation),
            ("skuPartNumber",           Documentation),
            ("consumedUnits",           Documentation),
            ("prepaidUnits",            Documentation),
            ("prepaidUnits.enabled",    Documentation),
            ("prepaidUnits.warning",    Documentation),
            ("prepaidUnits.suspended",  Documentation),
            ("prepaidUnits.lockedOut",  Documentation),
        ],
    },
    Resource {
        name: "companySubscription", file: "licenses.rs", paths: &["/v1.0/directory/subscriptions"],
        members: &[
            ("skuId",                 Documentation),
            ("status",                Documentation),
            ("nextLifecycleDateTime", Documentation),
        ],
    },
    Resource {
        name: "managedDevice", file: "intune.rs", paths: &["/v1.0/deviceManagement/managedDevices"],
        members: &[
            ("id",                                  Documentation),
            ("serialNumber",                        ASSET_GUARD),
            ("userId",                              Documentation),
            ("userPrincipalName",                   Documentation),
            ("manufacturer",                        ASSET_GUARD),
            ("model",                               ASSET_GUARD),
            ("operatingSystem",                     ASSET_GUARD),
            ("osVersion",                           ASSET_GUARD),
            ("complianceState",                     ASSET_GUARD),
            ("lastSyncDateTime",                    ASSET_GUARD),
            ("androidSecurityPatchLevel",           ASSET_GUARD),
            ("managementCertificateExpirationDate", ASSET_GUARD),
            ("freeStorageSpaceInBytes",             ASSET_GUARD),
            ("totalStorageSpaceInBytes",            ASSET_GUARD),
        ],
    },
    Resource {
        name: "serviceHealth", file: "service_health.rs", paths: &["/v1.0/admin/serviceAnnouncement/healthOverviews"],
        members: &[
            ("service", Documentation),
            ("status",  Documentation),
        ],
    },
    Resource {
        name: "serviceHealthIssue", file: "service_health.rs", paths: &["/v1.0/admin/serviceAnnouncement/issues"],
        members: &[
            ("service",        Documentation),
            ("classification", Documentation),
            ("isResolved",     Documentation),
        ],
    },
    Resource {
        name: "application", file: "credentials.rs", paths: &["/v1.0/applications(appId='{id}')"],
        members: &[
            ("appId",                           Documentation),
            ("passwordCredentials",             Documentation),
            ("passwordCredentials.endDateTime", Documentation),
            ("passwordCredentials.hint",        Documentation),
        ],
    },
    Resource {
        name: "webhook of Teams Rooms Pro Management", file: "incidents.rs", paths: &[],
        members: &[
            ("eventType",                Documentation),
            ("data",                     Documentation),
            ("data.ID",                  Documentation),
            ("data.state",               Documentation),
            ("data.signal",              Documentation),
            ("data.severity",            Documentation),
            ("data.devices",             Documentation),
            ("data.devices.ID",          Documentation),
            ("data.devices.roomAccount", Documentation),
        ],
    },
    Resource {
        name: "webhook of the Teams admin center", file: "incidents.rs", paths: &[],
        members: &[
            ("DeviceId",                        Documentation),
            ("DeviceLoggedInUserId",            Documentation),
            ("MetricValues",                    Documentation),
            ("MetricValues.DeviceHealthStatus", Documentation),
            ("AlertRaisedAt",                   Documentation),
        ],
    },
];

/// The members that were seen at a path, and of which there is no evidence but documentation.
pub fn first_seen<'s>(seen: impl Iterator<Item = (&'s str, &'s str)>) -> Vec<(&'static str, &'static str)> {
    let mut first: Vec<(&str, &str)> =
        seen.filter_map(|(path, member)| documented_only(path, member)).collect();
    first.sort_unstable();
    first.dedup();
    first
}

/// The resource and the member as the table has them.
fn documented_only(path: &str, member: &str) -> Option<(&'static str, &'static str)> {
    let resource = RESOURCES.iter().find(|resource| resource.paths.contains(&path))?;
    let (name, _) = resource
        .members
        .iter()
        .find(|(name, evidence)| *evidence == Documentation && name.eq_ignore_ascii_case(member))?;
    Some((resource.name, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_and_was_never_seen_is_seen_for_the_first_time() {
        let devices = "/beta/teamwork/devices";
        let seen = [
            (devices, "id"),
            (devices, "companyassettag"),
            (devices, "companyAssetTag"),
            (devices, "notes"),
            ("/v1.0/users/{id}", "mail"),
            ("/v1.0/elsewhere", "mail"),
        ];
        assert_eq!(first_seen(seen.into_iter()), [("teamworkDevice", "companyAssetTag"), ("user", "mail")]);
    }
}
