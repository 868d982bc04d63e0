//! The metric catalogue: the only source of a metric's name, help, unit, kind, labels, collector and stability.
//!
//! `/metrics` has its families in this order; `docs/metrics.md` and `teams-rooms-exporter metrics` are made of it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::metrics::{
    Out, accounts, calendar, collectors, credentials, devices, exporter, incidents, intune, rooms,
    service_health, usage,
};
use crate::model::collector::{Collector, Status};
use crate::model::fleet::{Fleet, FleetDevice, FleetRoom};
use crate::model::managed_device::ManagedDevice;
use crate::model::room::Judgement;
use crate::model::{Snapshot, State, Timestamp};

/// What a family's samples are, as Prometheus types them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// The name ends in `_total`; OpenMetrics leaves that suffix out of the header.
    Counter,
    Histogram,
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// The full sample name, with `_total` for counters; of a histogram without `_bucket`.
    pub name: &'static str,
    pub kind: Kind,
    /// The unit that ends the name, without `_total`: `seconds`, `bytes`, ...
    pub unit: Option<&'static str>,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    pub stability: Stability,
    /// Kept by the preset `lean` although it has series for each room or device: an alert or the Fleet dashboard reads it.
    pub lean: bool,
    pub source: Source,
}

/// What users may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Name, labels and unit stay for a major version.
    Stable,
    /// The same, but the values are those of an API that Microsoft calls beta: they change or end when it does.
    FollowsMicrosoft,
    /// May change with a minor version, with a note in the changelog.
    Experimental,
}

impl Stability {
    /// In the words of the tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::FollowsMicrosoft => "follows Microsoft",
            Self::Experimental => "experimental",
        }
    }
}

/// Where the samples come from: a function that writes those of one entity, or the exporter's own counters.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    Device(Collector, for<'f> fn(&mut Out<'_>, &Fleet<'f>, &FleetDevice<'f>)),
    Room(Collector, fn(&mut Out<'_>, &Fleet<'_>, &FleetRoom<'_>, &Judgement)),
    /// Of Intune.
    Managed(fn(&mut Out<'_>, &ManagedDevice)),
    /// Of a room, too, but pushed: no collector reads it.
    Pushed(fn(&mut Out<'_>, &Fleet<'_>, &FleetRoom<'_>, &Judgement)),
    /// Time counted of a room, which changes by itself.
    RoomTime(Collector, fn(&mut Out<'_>, &Fleet<'_>, &FleetRoom<'_>, &Judgement)),
    Tenant(Option<Collector>, fn(&mut Out<'_>, &Fleet<'_>, &Snapshot, Timestamp)),
    Collector(fn(&mut Out<'_>, &Status)),
    /// A counter of the exporter: read for each scrape, and kept apart by tenant where it has that label.
    Exporter,
    /// Of the process and what it exposes, written for each scrape.
    About(fn(&mut Out<'_>, &exporter::About)),
}

impl Family {
    /// The collector that must run for the family to have samples.
    pub fn collector(&self) -> &'static str {
        match self.source {
            Source::Device(collector, _)
            | Source::Room(collector, _)
            | Source::RoomTime(collector, _)
            | Source::Tenant(Some(collector), _) => collector.label(),
            Source::Managed(_) => Collector::Intune.label(),
            Source::Pushed(_)
            | Source::Tenant(None, _)
            | Source::Collector(_)
            | Source::Exporter
            | Source::About(_) => "",
        }
    }

    /// Scrapes find those of the exporter itself by name.
    pub fn find(name: &str) -> Option<&'static Self> {
        static BY_NAME: LazyLock<HashMap<&str, &Family>> =
            LazyLock::new(|| FAMILIES.iter().map(|family| (family.name, family)).collect());
        BY_NAME.get(name).copied()
    }

    /// A family that no catalogue has, for tests of what does not depend on the table.
    #[cfg(test)]
    pub(crate) const fn example(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { kind, ..gauge(name, labels, Source::Exporter, help) }
    }

    /// Families of a tenant or of the process are few series, whatever the size of the fleet.
    pub fn is_lean(&self) -> bool {
        let is_of_fleet = matches!(
            self.source,
            Source::Device(..)
                | Source::Room(..)
                | Source::RoomTime(..)
                | Source::Managed(_)
                | Source::Pushed(_)
        );
        self.lean || !is_of_fleet
    }

    const fn experimental(mut self) -> Self {
        self.stability = Stability::Experimental;
        self
    }

    const fn follows_microsoft(mut self) -> Self {
        self.stability = Stability::FollowsMicrosoft;
        self
    }

    const fn lean(mut self) -> Self {
        self.lean = true;
        self
    }
}

const LIST: Collector = Collector::Devices;
const ACCOUNTS: Collector = Collector::Accounts;
const PLACES: Collector = Collector::Places;
const PRESENCE: Collector = Collector::Presence;
const CALENDAR: Collector = Collector::Calendar;
const SERVICES: Collector = Collector::ServiceHealth;
const DETAIL: Collector = Collector::DeviceHealth;

const D: &[&str] = &["tenant", "device_id", "room"];
const D_STATE: &[&str] = &["tenant", "device_id", "room", "state"];
const D_LOGIN: &[&str] = &["tenant", "device_id", "room", "login"];
const D_PERIPHERAL: &[&str] = &["tenant", "device_id", "room", "peripheral"];
const D_SOFTWARE: &[&str] = &["tenant", "device_id", "room", "software"];
const D_MANAGED: &[&str] = &["tenant", "device_id", "room", "room_id"];
const R: &[&str] = &["tenant", "room", "room_id"];
const R_STATE: &[&str] = &["tenant", "room", "room_id", "state"];
const R_HOURS: &[&str] = &["tenant", "room", "room_id", "hours"];
const R_PROBLEM: &[&str] = &["tenant", "room", "room_id", "problem", "area"];
const R_INCIDENT: &[&str] = &["tenant", "room", "room_id", "incident_signal", "incident_severity"];
const TENANT: &[&str] = &["tenant"];
const COLLECTOR: &[&str] = &["tenant", "collector"];

#[rustfmt::skip] // a table is read by its columns
pub static FAMILIES: &[Family] = &[
    // Rooms
    gauge("teams_rooms_room_info", &["tenant", "room", "room_id", "email", "place_id", "building", "floor", "city", "country", "site", "owner", "tier"], Source::Room(LIST, rooms::info),
        "Always 1; one series per known room. Join on (job, instance, tenant, room_id) for its facts, which are empty where no source knows them.").lean(),
    gauge("teams_rooms_room_state", R_STATE, Source::Room(LIST, rooms::state),
        "1 for the state of the room: ok, degraded (usable, with a problem in the room or its account), down, or unknown where no source tells. From the votes of its sources.").lean(),
    gauge("teams_rooms_room_state_since_timestamp_seconds", R, Source::Room(LIST, rooms::state_since),
        "When the exporter saw the present state of the room begin, Unix time; absent where it did not see it: at the start, after a pause, and where a state came with a source that had been silent.").lean(),
    counter("teams_rooms_room_state_seconds_total", &["tenant", "room", "room_id", "state", "hours"], Source::RoomTime(LIST, usage::states),
        "How long the room was in each state since the exporter started, by hours: service in the service hours of its site (always without one), other outside them. Pauses count nowhere.").lean(),
    gauge("teams_rooms_room_up", R, Source::Room(LIST, rooms::up),
        "1 if the room is usable (ok or degraded), 0 if it is down, absent where no source tells.").lean(),
    gauge("teams_rooms_room_source_up", &["tenant", "room", "room_id", "source"], Source::Room(LIST, rooms::source_up),
        "How each source votes on the room: 1 up, 0 down, absent where it does not know. device says down if every core device is offline, disconnected or signed out; presence if the room account is offline for two polls; incident, which never says up, while a critical incident is open that means offline, heartbeat or sign-in."),
    gauge("teams_rooms_room_problem", R_PROBLEM, Source::Room(LIST, rooms::problem),
        "1 while the room has this problem, absent otherwise; area says whose job it is (room, account, monitoring).").lean(),
    gauge("teams_rooms_room_problem_since_timestamp_seconds", R_PROBLEM, Source::Room(LIST, rooms::problem_since),
        "When the problem began, Unix time; absent where its beginning was not seen.").lean(),
    gauge("teams_rooms_room_in_use", R, Source::Room(LIST, rooms::in_use),
        "1 while a core device of the room is busy (teamworkDevice.activityState) or its account is in a call (presence.activity), 0 while it is not, absent where nothing tells. A booking alone is no use.").lean(),
    gauge("teams_rooms_room_presence_state", R_STATE, Source::Room(PRESENCE, rooms::presence),
        "1 for the presence of the room account (presence.availability): available, busy, do_not_disturb, away, offline, unknown. The fastest sign that a room is off; absent where Graph leaves the account out."),
    gauge("teams_rooms_room_calendar_readable", R, Source::Room(CALENDAR, calendar::readable),
        "1 if Graph shows when the room is booked, 0 if it refuses this mailbox (scheduleInformation.error); absent where it was not asked or does not know it."),
    gauge("teams_rooms_room_booked", R, Source::Room(CALENDAR, calendar::booked),
        "1 while the room is booked (scheduleItem.status busy, oof, or tentative, which waits for approval), 0 while it is free; absent where the calendar is not known. Turns over at the booked minute.").lean(),
    gauge("teams_rooms_room_booking_end_timestamp_seconds", R, Source::Room(CALENDAR, calendar::booking_end),
        "When the booking ends that runs now (scheduleItem.end), Unix time; of several the last to end, while one that only follows is the next booking. Absent while the room is free.").lean(),
    gauge("teams_rooms_room_next_booking_timestamp_seconds", R, Source::Room(CALENDAR, calendar::next_booking),
        "When the next booking begins (scheduleItem.start), Unix time; absent where there is none within 24 hours.").lean(),
    counter("teams_rooms_room_observed_seconds_total", R_HOURS, Source::RoomTime(LIST, usage::observed),
        "How long the calendar or the use of the room was known since the exporter started, by hours (service, other); what the other times are to be divided by."),
    counter("teams_rooms_room_booked_seconds_total", R_HOURS, Source::RoomTime(CALENDAR, usage::booked),
        "How long a meeting was booked since the exporter started, by hours. All-day entries, blocks of more than 10 hours, out-of-office and tentative entries are no meetings."),
    counter("teams_rooms_room_in_use_seconds_total", R_HOURS, Source::RoomTime(LIST, usage::in_use),
        "How long the room was in use since the exporter started, by hours, as teams_rooms_room_in_use says."),
    counter("teams_rooms_room_booked_unused_seconds_total", R_HOURS, Source::RoomTime(CALENDAR, usage::booked_unused),
        "How long a meeting was booked and the room not in use since the exporter started, by hours; only while both were known and the room was not down."),
    counter("teams_rooms_room_unbooked_use_seconds_total", R_HOURS, Source::RoomTime(CALENDAR, usage::unbooked_use),
        "How long the room was in use with nothing in its calendar since the exporter started, by hours; only while both were known."),
    gauge("teams_rooms_room_in_service", R, Source::Room(LIST, rooms::in_service),
        "1 in the service hours and outside the maintenance of the room's site, 0 otherwise; always 1 where the room has no site. For alerts that should not wake anybody.").lean(),
    gauge("teams_rooms_room_capacity", R, Source::Room(PLACES, rooms::capacity),
        "Seats of the room (room.capacity)."),
    gauge("teams_rooms_room_latitude_degrees", R, Source::Room(PLACES, rooms::latitude),
        "Where the room is, for maps (room.geoCoordinates.latitude).").lean(),
    gauge("teams_rooms_room_longitude_degrees", R, Source::Room(PLACES, rooms::longitude),
        "Where the room is, for maps (room.geoCoordinates.longitude).").lean(),
    gauge("teams_rooms_account_enabled", R, Source::Room(ACCOUNTS, accounts::enabled),
        "1 if the room account may sign in, 0 if it is disabled (user.accountEnabled)."),
    gauge("teams_rooms_account_license_state", R_STATE, Source::Room(ACCOUNTS, accounts::license),
        "1 for the best licence of the room account (user.assignedLicenses): pro, premium, standard, basic, shared_device, other (none that is for rooms) or none."),
    gauge("teams_rooms_room_devices", &["tenant", "room", "room_id", "role"], Source::Room(LIST, rooms::devices),
        "Devices of the room by role: core runs the meeting, console and panel belong to it, other is the rest. Superseded devices do not count."),
    gauge("teams_rooms_incidents_open", R_INCIDENT, Source::Pushed(incidents::open),
        "Open incidents that Microsoft's portals pushed, by what they are about and how grave they are; 0 for an hour after the last was closed. An open one that is not heard of for 7 days is taken for closed."),
    gauge("teams_rooms_incident_opened_timestamp_seconds", R_INCIDENT, Source::Pushed(incidents::opened),
        "When the oldest of these incidents began, Unix time: by its own word, else when it was first heard of. Absent where none is open."),
    // Devices, from the list
    gauge("teams_rooms_device_info", &["tenant", "device_id", "room", "room_id", "device_type", "role", "manufacturer", "model", "serial_number", "asset_tag", "building", "floor", "site", "owner"], Source::Device(LIST, devices::info),
        "Always 1; one series per device (teamworkDevice.hardwareDetail, .deviceType, .companyAssetTag). Join on (job, instance, tenant, device_id). room is that of the account signed in last. manufacturer and model are spelled as Intune spells them (managedDevice.manufacturer, .model), if it lists one such device.").lean(),
    gauge("teams_rooms_device_health_state", D_STATE, Source::Device(LIST, devices::health),
        "1 for the health that Graph gives the device (teamworkDevice.healthStatus): healthy, non_urgent, critical, offline, unknown. Graph is 10 to 30 minutes behind the room.").follows_microsoft().lean(),
    gauge("teams_rooms_device_health_since_timestamp_seconds", D, Source::Device(LIST, devices::health_since),
        "When the exporter saw the present health begin, Unix time; absent where it did not see it, and after a pause."),
    gauge("teams_rooms_device_activity_state", D_STATE, Source::Device(LIST, devices::activity),
        "1 for what the device does (teamworkDevice.activityState): idle, busy, unavailable, unknown.").follows_microsoft(),
    gauge("teams_rooms_device_signed_in", D, Source::Device(LIST, devices::signed_in),
        "1 if an account is signed in on the device (teamworkDevice.currentUser), 0 if none is."),
    gauge("teams_rooms_device_superseded", D, Source::Device(LIST, devices::superseded),
        "1 if this core device has been down for 7 days while another core device of its room is up: a row that a replacement left behind. It does not count for the room.").lean(),
    gauge("teams_rooms_device_created_timestamp_seconds", D, Source::Device(LIST, devices::created),
        "When the device was enrolled (teamworkDevice.createdDateTime), Unix time.").follows_microsoft(),
    gauge("teams_rooms_device_last_modified_timestamp_seconds", D, Source::Device(LIST, devices::last_modified),
        "Last change of the device's record, or last sign of life on tenants where Graph moves it every few minutes (teamworkDevice.lastModifiedDateTime), Unix time.").follows_microsoft(),
    counter("teams_rooms_state_changes_total", &["tenant", "device_id", "room", "signal"], Source::Device(LIST, devices::changes),
        "Changes between two known values of a signal since the exporter started: health, connection, logins, cameras, microphone, speakers, displays."),
    // Devices, from the health detail
    gauge("teams_rooms_device_connected", D, Source::Device(DETAIL, devices::connected),
        "1 if the device is connected, 0 if not (teamworkDeviceHealth.connection.connectionStatus); absent where Graph does not know.").follows_microsoft(),
    gauge("teams_rooms_device_connection_last_change_timestamp_seconds", D, Source::Device(DETAIL, devices::connection_changed),
        "Time of the last change of the connection (teamworkDeviceHealth.connection.lastModifiedDateTime), in Unix seconds. If Graph's time is a heartbeat, the time at which the exporter saw the change; absent until it does.").follows_microsoft(),
    gauge("teams_rooms_device_detail_timestamp_seconds", D, Source::Device(DETAIL, devices::detail_read),
        "When the exporter last read the health detail of the device, Unix time. Details are read when the list shows a change, and in turn."),
    gauge("teams_rooms_login_connected", D_LOGIN, Source::Device(DETAIL, devices::login),
        "1 if the device is signed in to exchange, teams or skype, 0 if not (teamworkDeviceHealth.loginStatus); absent where Graph does not know.").follows_microsoft(),
    gauge("teams_rooms_login_last_change_timestamp_seconds", D_LOGIN, Source::Device(DETAIL, devices::login_changed),
        "Time of the last change of the login (teamworkDeviceHealth.loginStatus.*.lastModifiedDateTime), in Unix seconds. If Graph's time is a heartbeat, the time at which the exporter saw the change; absent until it does.").follows_microsoft(),
    gauge("teams_rooms_peripheral_connected", D_PERIPHERAL, Source::Device(DETAIL, devices::peripheral),
        "1 if the peripheral is connected, 0 if not (teamworkDeviceHealth.peripheralsHealth, .hardwareHealth); absent where Graph does not know. Optional ones may be missing by design.").follows_microsoft().lean(),
    gauge("teams_rooms_peripheral_optional", D_PERIPHERAL, Source::Device(DETAIL, devices::peripheral_optional),
        "1 if the device is healthy without this peripheral, 0 if it is required (teamworkPeripheralHealth.isOptional); absent where Graph does not say.").follows_microsoft(),
    gauge("teams_rooms_peripheral_last_change_timestamp_seconds", D_PERIPHERAL, Source::Device(DETAIL, devices::peripheral_changed),
        "Time of the last change of the peripheral's connection (teamworkPeripheralHealth.connection.lastModifiedDateTime), in Unix seconds. If Graph's time is a heartbeat, the time at which the exporter saw the change; absent until it does.").follows_microsoft(),
    gauge("teams_rooms_peripheral_info", &["tenant", "device_id", "room", "peripheral", "product", "vendor_id", "product_id"], Source::Device(DETAIL, devices::peripheral_info),
        "Always 1; the product behind a peripheral (teamworkPeripheralHealth.peripheral), only where Graph names it.").follows_microsoft(),
    gauge("teams_rooms_software_info", &["tenant", "device_id", "room", "software", "current_version", "available_version"], Source::Device(DETAIL, devices::software_info),
        "Always 1; installed and available version of admin_agent, company_portal, firmware, operating_system, partner_agent and teams_client (teamworkDeviceHealth.softwareUpdateHealth).").follows_microsoft(),
    gauge("teams_rooms_software_update_available", D_SOFTWARE, Source::Device(DETAIL, devices::update_available),
        "1 if Graph has an update for the device, 0 if it runs the latest (softwareUpdateHealth.*.softwareFreshness); absent where unknown.").follows_microsoft().lean(),
    gauge("teams_rooms_software_version_gap", D_SOFTWARE, Source::Device(DETAIL, devices::version_gap),
        "How many newer versions the device's cohort has, 0 is newest. Cohort: same tenant, software and device type; firmware and operating system also same manufacturer and model. A version counts when Graph offers it or at least max(3, 2 %) of the cohort run it.").follows_microsoft(),
    gauge("teams_rooms_software_update_pending_since_timestamp_seconds", D_SOFTWARE, Source::Device(DETAIL, devices::pending_since),
        "When the exporter saw the pending update become available, Unix time; absent where it did not see it, and where none is pending.").lean(),
    gauge("teams_rooms_software_changed_timestamp_seconds", D_SOFTWARE, Source::Device(DETAIL, devices::software_changed),
        "When the exporter last saw the installed version change, Unix time; absent until it does.").lean(),
    // Devices, as Intune manages them
    gauge("teams_rooms_intune_compliant", D_MANAGED, Source::Managed(intune::compliant),
        "1 if Intune finds the device compliant (managedDevice.complianceState), 0 if it is noncompliant, in conflict or error, or in its grace period, in which it fails the policy already. Absent where Intune does not know. device_id is empty where only the account tells that the device is the room's."),
    gauge("teams_rooms_intune_last_sync_timestamp_seconds", D_MANAGED, Source::Managed(intune::last_sync),
        "When the device last talked to Intune (managedDevice.lastSyncDateTime), Unix time; it should every 8 hours. Of several enrolments of a device the one that did so last is shown.").lean(),
    gauge("teams_rooms_intune_security_patch_timestamp_seconds", D_MANAGED, Source::Managed(intune::security_patch),
        "Date of the installed Android security patches, in Unix seconds at midnight UTC (managedDevice.androidSecurityPatchLevel); absent if Intune has none, as on Windows.").lean(),
    gauge("teams_rooms_intune_management_certificate_expiry_timestamp_seconds", D_MANAGED, Source::Managed(intune::certificate_expiry),
        "End of the certificate that the device signs in to Intune with, in Unix seconds (managedDevice.managementCertificateExpirationDate); absent if Intune has none. A device that lets it expire is no longer managed.").lean(),
    gauge("teams_rooms_intune_storage_free_bytes", D_MANAGED, Source::Managed(intune::storage_free),
        "Free storage of the device (managedDevice.freeStorageSpaceInBytes); absent if it is 0, which Android rooms send for not reported."),
    gauge("teams_rooms_intune_storage_bytes", D_MANAGED, Source::Managed(intune::storage),
        "Storage of the device (managedDevice.totalStorageSpaceInBytes); absent where it has not told."),
    gauge("teams_rooms_intune_info", &["tenant", "device_id", "room", "room_id", "os", "os_version"], Source::Managed(intune::info),
        "Always 1; one series per device of a room that Intune manages (managedDevice.operatingSystem, .osVersion). os is windows or android, unknown for another system, and empty if Intune names none."),
    // Tenants and collectors
    gauge("teams_rooms_devices_without_room", &["tenant", "reason"], Source::Tenant(Some(LIST), rooms::devices_without_room),
        "Devices that belong to no known room: signed_out never had an account, personal_account has one that is no room."),
    gauge("teams_rooms_license_units", &["tenant", "sku", "state"], Source::Tenant(Some(ACCOUNTS), accounts::units),
        "Licences for rooms and shared devices that the tenant has, by product (subscribedSku.skuPartNumber) and state: enabled, warning, suspended, locked_out (subscribedSku.prepaidUnits)."),
    gauge("teams_rooms_license_consumed_units", &["tenant", "sku"], Source::Tenant(Some(ACCOUNTS), accounts::consumed),
        "Licences for rooms and shared devices that are assigned, by product (subscribedSku.consumedUnits)."),
    gauge("teams_rooms_license_renewal_timestamp_seconds", &["tenant", "sku"], Source::Tenant(Some(ACCOUNTS), accounts::renewal),
        "When the first subscription of the product that is in force renews or ends (companySubscription.nextLifecycleDateTime), Unix time; absent where Graph does not tell."),
    gauge("teams_rooms_service_health_state", &["tenant", "product", "state"], Source::Tenant(Some(SERVICES), service_health::state),
        "1 for the state of Microsoft's own service (serviceHealth.status), of products teams and exchange: operational, degraded, interrupted, recovering, unknown."),
    gauge("teams_rooms_service_issues", &["tenant", "product", "classification"], Source::Tenant(Some(SERVICES), service_health::issues),
        "Open issues of Microsoft's own service (serviceHealthIssue), by classification: incident or advisory."),
    gauge("teams_rooms_credential_expiry_timestamp_seconds", &["tenant", "credential"], Source::Tenant(Some(Collector::Credentials), credentials::expiry),
        "When what the exporter signs in with expires, Unix time; credential is client_secret, from Graph (passwordCredential.endDateTime), else the configured date; or certificate, from its file. Past it nothing is read any more: alert weeks before."),
    gauge("teams_rooms_incidents_without_room", TENANT, Source::Tenant(None, incidents::without_room),
        "Open incidents whose devices and accounts lead to no known room; they count for a room as soon as one is known. Absent until anything was pushed."),
    gauge("teams_rooms_intake_last_received_timestamp_seconds", &["tenant", "intake"], Source::Tenant(None, incidents::last_received),
        "When a portal last pushed something that could be read, Unix time; absent until one has. Silence may mean that nothing happens, or that the webhook is gone."),
    gauge("teams_rooms_up", TENANT, Source::Tenant(None, collectors::up),
        "1 if at least one source that tells whether rooms are up is fresh, 0 if none is."),
    gauge("teams_rooms_collector_state", &["tenant", "collector", "state"], Source::Collector(collectors::state),
        "1 for the state of the collector: ok, starting, partial, paused, disabled, unauthorized, forbidden, retired, throttled, unreachable, malformed, empty, frozen."),
    gauge("teams_rooms_collector_success", COLLECTOR, Source::Collector(collectors::success),
        "1 if the last attempt brought usable data (ok or partial), 0 if not or if none has ended."),
    gauge("teams_rooms_collector_last_success_timestamp_seconds", COLLECTOR, Source::Collector(collectors::last_success),
        "When the collector last brought usable data, Unix time; absent until it has."),
    gauge("teams_rooms_collector_last_attempt_timestamp_seconds", COLLECTOR, Source::Collector(collectors::last_attempt),
        "When the last attempt ended, Unix time; absent until one has."),
    gauge("teams_rooms_collector_interval_seconds", COLLECTOR, Source::Collector(collectors::interval),
        "The time between attempts in force: as configured, or longer where the fleet is larger than the rate allows."),
    gauge("teams_rooms_collector_expiry_seconds", COLLECTOR, Source::Collector(collectors::expiry),
        "How long a record is served without being read again, as in force. After that its series are gone."),
    gauge("teams_rooms_collector_duration_seconds", COLLECTOR, Source::Collector(collectors::duration),
        "How long the last attempt took; absent until one has ended."),
    gauge("teams_rooms_collector_consecutive_failures", COLLECTOR, Source::Collector(collectors::failures),
        "Attempts in a row that brought nothing usable."),
    gauge("teams_rooms_collector_items", COLLECTOR, Source::Collector(collectors::items),
        "Records held after the last attempt."),
    gauge("teams_rooms_collector_expected_items", COLLECTOR, Source::Collector(collectors::expected),
        "Records that Graph counts (@odata.count), for presence and calendar the accounts asked for; absent if Graph gives no total. For intune all devices, of rooms or not."),
    gauge("teams_rooms_collector_missing_items", COLLECTOR, Source::Collector(collectors::missing),
        "Records that Graph counted but did not return in the last attempt with usable data (@odata.count above the rows), for calendar accounts without an answer. The exporter keeps earlier data about them until it expires."),
    gauge("teams_rooms_collector_held_items", COLLECTOR, Source::Collector(collectors::held),
        "Records missing from the last listing that are kept until later listings confirm that they are gone."),
    gauge("teams_rooms_collector_skipped_items", COLLECTOR, Source::Collector(collectors::skipped),
        "Records of the last attempt that could not be read."),
    // The exporter's work
    counter("teams_rooms_graph_requests_total", &["tenant", "operation", "code"], Source::Exporter,
        "Requests to Graph by HTTP status, or timeout, reset, dns, tls, proxy, broken. Items of a $batch count one by one under their operation, the envelope under batch."),
    histogram("teams_rooms_graph_request_duration_seconds", &["operation"], Source::Exporter,
        "How long HTTP requests to Graph took."),
    counter("teams_rooms_graph_retries_total", TENANT, Source::Exporter,
        "Requests to Graph that were sent again."),
    counter("teams_rooms_graph_throttled_total", TENANT, Source::Exporter,
        "Answers 429 of Graph, items of a $batch one by one."),
    gauge("teams_rooms_graph_rate_limit_requests_per_second", TENANT, Source::Exporter,
        "The pace that the exporter allows itself towards Graph: it climbs to 25 and halves when Graph throttles."),
    gauge("teams_rooms_token_expiry_timestamp_seconds", TENANT, Source::Exporter,
        "When the access token in use expires, Unix time; it is renewed before."),
    gauge("teams_rooms_api_sunset_timestamp_seconds", TENANT, Source::Exporter,
        "When Graph last said it withdraws an API that is read here (header Sunset), Unix time; absent until it does."),
    gauge("teams_rooms_api_deprecation_timestamp_seconds", TENANT, Source::Exporter,
        "Since when Graph last said that an API that is read here is deprecated (header Deprecation), Unix time; absent until it does."),
    counter("teams_rooms_unknown_values_total", &["tenant", "field"], Source::Exporter,
        "Enum values from Graph or a webhook that are not documented; they read as unknown and are logged once each."),
    counter("teams_rooms_intake_requests_total", &["tenant", "intake", "result"], Source::Exporter,
        "Pushes from Microsoft's portals by what became of them: accepted, duplicate, outdated, ignored (nothing to keep), malformed, oversized, throttled, unauthorized. tenant is empty where the path names none with an intake."),
    gauge("teams_rooms_config_last_reload_successful", &[], Source::Exporter,
        "1 if the configuration in force is the newest one that was tried, 0 if a reload was refused."),
    gauge("teams_rooms_config_last_reload_success_timestamp_seconds", &[], Source::Exporter,
        "When the configuration in force was read, Unix time."),
    gauge("teams_rooms_web_config_last_reload_successful", &[], Source::Exporter,
        "1 if the newest file of --web.config.file is active, 0 if it was refused; absent without a file. A file that would remove TLS, client certificates or the last user is refused until a restart."),
    gauge("teams_rooms_storage_last_write_timestamp_seconds", &[], Source::Exporter,
        "When the state was last written to --storage.path, Unix time; absent without storage."),
    counter("teams_rooms_storage_write_failures_total", &[], Source::Exporter,
        "Failed writes to --storage.path."),
    gauge("teams_rooms_exporter_build_info", &["version", "revision", "rustversion", "target"], Source::About(exporter::build_info),
        "Always 1; what this exporter was built from."),
    counter("teams_rooms_exporter_http_requests_total", &["handler", "code"], Source::Exporter,
        "Requests that the exporter answered."),
    gauge("teams_rooms_exporter_shard_info", &["shard", "shards"], Source::About(exporter::shard_info),
        "Always 1; which shard this process is, from 0, and of how many (--shard.index, --shard.count)."),
    gauge("teams_rooms_exporter_shards", &[], Source::About(exporter::shards),
        "How many processes share the rooms, as this one was told (--shard.count); 1 where it is alone."),
    gauge("teams_rooms_exporter_series", &[], Source::About(exporter::series),
        "Series of rooms, devices and collectors that are exposed."),
    gauge("teams_rooms_exporter_exposition_bytes", &["encoding"], Source::About(exporter::exposition_bytes),
        "Size of the exposition of rooms, devices and collectors: identity or gzip."),
    counter("teams_rooms_exporter_blocks_rendered_total", &[], Source::About(exporter::blocks_rendered),
        "Blocks of the exposition, some 32 KiB each, that were written and compressed because their text was new. Scrapes write none.").experimental(),
    counter("teams_rooms_otlp_sent_total", &["signal"], Source::Exporter,
        "What an OTLP receiver took, by signal: data points (metrics), records (logs), spans (traces). Absent for a signal that is not sent."),
    counter("teams_rooms_otlp_dropped_total", &["signal"], Source::Exporter,
        "What no OTLP receiver took and is not sent again, by signal: it was away, refused it, or was too slow. Later pushes hold the metrics of their own time; logs and spans are lost."),
    gauge("teams_rooms_otlp_last_success_timestamp_seconds", &["signal"], Source::Exporter,
        "When an OTLP receiver last took a whole push, Unix time, by signal; absent until one has."),
    counter("process_cpu_seconds_total", &[], Source::Exporter, "User and system CPU time spent."),
    gauge("process_open_fds", &[], Source::Exporter, "Open file descriptors."),
    gauge("process_max_fds", &[], Source::Exporter, "File descriptors that the process may open."),
    gauge("process_virtual_memory_bytes", &[], Source::Exporter, "Virtual memory."),
    gauge("process_resident_memory_bytes", &[], Source::Exporter, "Resident memory."),
    gauge("process_start_time_seconds", &[], Source::Exporter, "When the process started, Unix time."),
    gauge("process_threads", &[], Source::Exporter, "Threads of the process."),
];

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    source: Source,
    help: &'static str,
) -> Family {
    Family {
        name,
        kind: Kind::Gauge,
        unit: unit_of(name),
        labels,
        help,
        stability: Stability::Stable,
        lean: false,
        source,
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    source: Source,
    help: &'static str,
) -> Family {
    Family { kind: Kind::Counter, ..gauge(name, labels, source, help) }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    source: Source,
    help: &'static str,
) -> Family {
    Family { kind: Kind::Histogram, ..gauge(name, labels, source, help) }
}

/// The unit that a name ends in.
const fn unit_of(name: &str) -> Option<&'static str> {
    if ends_with(name, "_seconds") || ends_with(name, "_seconds_total") {
        Some("seconds")
    } else if ends_with(name, "_bytes") {
        Some("bytes")
    } else if ends_with(name, "_degrees") {
        Some("degrees")
    } else {
        None
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a slip is a compile error")]
const fn ends_with(name: &str, suffix: &str) -> bool {
    let (name, suffix) = (name.as_bytes(), suffix.as_bytes());
    let mut at = 0;
    while at < suffix.len() {
        if name.len() < suffix.len() || name[name.len() - suffix.len() + at] != suffix[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_well_formed() {
        let mut names = HashSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(names.insert(name), "{name} stands twice");
            assert!(name.starts_with("teams_rooms_") || name.starts_with("process_"), "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()),
                "{name}"
            );
            assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(
                !name.ends_with("_count") && !name.ends_with("_sum") && !name.ends_with("_bucket"),
                "{name}"
            );
            assert!(family.help.len() > 10 && family.help.ends_with('.'), "{name}: {}", family.help);
            assert_eq!(name.ends_with("_info"), family.help.starts_with("Always 1;"), "{name}");
            let by_state = ["_state", "_state_seconds_total", "_license_units"]; // units are counted by state
            let of_states = by_state.iter().any(|end| name.ends_with(end));
            assert_eq!(of_states, family.labels.contains(&"state"), "{name}");
        }
    }

    /// Prometheus and Kubernetes attach these to every series; a metric's own would be renamed `exported_...`.
    const FORBIDDEN: [&str; 11] = [
        "job",
        "instance",
        "service",
        "endpoint",
        "namespace",
        "pod",
        "container",
        "node",
        "cluster",
        "region",
        "env",
    ];

    #[test]
    fn no_label_is_one_that_the_scraper_sets() {
        for family in FAMILIES {
            for label in family.labels {
                assert!(
                    !FORBIDDEN.contains(label) && *label != "zone" && *label != "le",
                    "{}: {label}",
                    family.name
                );
            }
        }
    }

    #[test]
    fn units_follow_from_names() {
        assert_eq!(unit_of("process_cpu_seconds_total"), Some("seconds"));
        assert_eq!(unit_of("teams_rooms_exporter_exposition_bytes"), Some("bytes"));
        assert_eq!(unit_of("teams_rooms_up"), None);
        assert_eq!(unit_of("s"), None);
    }
}
