//! `deviceManagement/managedDevices`: what Intune manages, devices of rooms among the laptops of people.

use serde_json::{Value, json};

use super::faults::Kind;
use super::odata::Filter;
use super::pages::{self, List, MostTop};
use super::profile::{Profile, whole_seconds};
use super::reply::Reply;
use super::routes::{Call, Route};
use super::world::{
    Condition, Device, LinkStatus, Mailbox, Part, Software, User, UserEntry, UserKind, timestamp,
};

const NOUN: &str = "intune";

pub(super) const ROUTES: &[Route] = &[Route {
    method: "GET",
    template: "/v1.0/deviceManagement/managedDevices",
    options: &["$filter", "$select", "$top", "$skip", "$count", "$skiptoken"],
    permissions: &["DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All"],
    noun: NOUN,
    answer,
}];

/// How many come in a page is not documented; this many were seen.
const PAGE: usize = 1_000;

const PROPERTIES: &[&str] = &[
    "id",
    "androidSecurityPatchLevel",
    "azureADDeviceId",
    "complianceGracePeriodExpirationDateTime",
    "complianceState",
    "deviceEnrollmentType",
    "deviceName",
    "easActivationDateTime",
    "emailAddress",
    "enrolledDateTime",
    "ethernetMacAddress",
    "freeStorageSpaceInBytes",
    "isEncrypted",
    "jailBroken",
    "lastSyncDateTime",
    "managedDeviceOwnerType",
    "managementAgent",
    "managementCertificateExpirationDate",
    "managementState",
    "manufacturer",
    "model",
    "operatingSystem",
    "osVersion",
    "physicalMemoryInBytes",
    "serialNumber",
    "totalStorageSpaceInBytes",
    "userDisplayName",
    "userId",
    "userPrincipalName",
    "wiFiMacAddress",
];

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// A managed device reports about every eight hours.
const SYNC: i64 = 8 * HOUR;

/// One enrolment: the device of a room, what is left of its earlier enrolment, or a laptop.
enum Enrolment {
    Room { device: Box<Device>, mailbox: Box<Mailbox>, is_former: bool },
    Laptop(Box<User>),
}

fn answer(call: &Call<'_>) -> Result<Reply, Reply> {
    if let Some(fault) = call.faults.strikes(Kind::NoIntune) {
        return Err(unlicensed(fault.number_or(400)));
    }
    let wanted = operating_system(call);
    let mut enrolments = enrolments(call);
    enrolments.retain(|enrolment| {
        wanted.as_ref().is_none_or(|wanted| enrolment.operating_system(call).eq_ignore_ascii_case(wanted))
    });
    let list = List {
        context: "deviceManagement/managedDevices",
        properties: PROPERTIES,
        default_top: PAGE,
        most_top: MostTop::Cut(PAGE),
        is_linked: true,
        count: Some(enrolments.len()),
    };
    pages::answer(call, &list, enrolments, |enrolment| enrolment.id(call), |enrolment| enrolment.write(call))
}

/// Both are reported: Graph's own words, and those of the service behind it in an envelope.
fn unlicensed(status: u16) -> Reply {
    if status == 401 {
        let inner = json!({"ErrorCode": "Forbidden", "Message": "An error has occurred", "Target": null});
        return Reply::error(401, "UnknownError", inner.to_string());
    }
    Reply::error(status, "BadRequest", "Request not applicable to target tenant.")
}

/// The one filter that works; every other is ignored without a word.
fn operating_system(call: &Call<'_>) -> Option<String> {
    if call.faults.strikes(Kind::IgnoreFilter).is_some() {
        return None;
    }
    match Filter::parse(call.query.get("$filter")?).ok()? {
        Filter::Equal { property, value } if property == "operatingSystem" => Some(value),
        _ => None,
    }
}

fn enrolments(call: &Call<'_>) -> Vec<Enrolment> {
    let world = &call.tenant.world;
    let rooms = world.mailboxes().flat_map(|mailbox| {
        let devices: Vec<Device> =
            world.devices_of(&mailbox).iter().map(|entry| world.device(entry)).collect();
        devices.into_iter().flat_map(move |device| of_device(&device, &mailbox)).collect::<Vec<_>>()
    });
    let people = world.users().iter().map(|entry: &UserEntry| world.user(entry));
    let laptops = people.filter(|user| user.kind == UserKind::Person);
    rooms.chain(laptops.map(|user| Enrolment::Laptop(Box::new(user)))).collect()
}

/// A few rooms were set up anew, and nobody tidied up.
fn of_device(device: &Device, mailbox: &Mailbox) -> Vec<Enrolment> {
    let is_twice = mailbox.was_enrolled_twice() && device.part == Part::Core;
    let of = |is_former| Enrolment::Room {
        device: Box::new(device.clone()),
        mailbox: Box::new(mailbox.clone()),
        is_former,
    };
    if is_twice { vec![of(true), of(false)] } else { vec![of(false)] }
}

impl Enrolment {
    fn operating_system(&self, call: &Call<'_>) -> String {
        let system = match self {
            Self::Room { device, .. } if !device.kind.is_windows() => "Android",
            _ => "Windows",
        };
        let mut row = json!({"operatingSystem": system});
        self.edit(call, &mut row);
        row.get("operatingSystem").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Lays over it what was edited on the device, or on the owner of the laptop.
    fn edit(&self, call: &Call<'_>, row: &mut Value) {
        let id = match self {
            Self::Room { is_former: true, .. } => return,
            Self::Room { device, .. } => device.id,
            Self::Laptop(user) => user.account.id,
        };
        if let Some(patch) = call.tenant.edits_of(id) {
            patch.apply("managedDevice", row);
        }
    }

    fn id(&self, call: &Call<'_>) -> String {
        let draw = call.tenant.world.seed().named("enrolment");
        match self {
            Self::Room { device, is_former, .. } => {
                draw.named(&format!("{} {is_former}", device.id)).guid().to_string()
            }
            Self::Laptop(user) => draw.named(&user.account.id.to_string()).guid().to_string(),
        }
    }

    fn write(&self, call: &Call<'_>) -> Value {
        let mut row = match self {
            Self::Room { device, mailbox, is_former } => of_room(call, device, mailbox, *is_former),
            Self::Laptop(user) => of_person(call, user),
        };
        if let (Profile::Real, Self::Room { device, mailbox, .. }) = (call.tenant.profile, self) {
            reshape(device, mailbox, &mut row);
        }
        if let Some(members) = row.as_object_mut() {
            members.insert("id".to_owned(), self.id(call).into());
            members.insert("operatingSystem".to_owned(), self.operating_system(call).into());
        }
        self.edit(call, &mut row);
        row
    }
}

fn of_room(call: &Call<'_>, device: &Device, mailbox: &Mailbox, is_former: bool) -> Value {
    let condition = Condition::of(device, call.moment);
    let account = Some(&mailbox.room.account).filter(|_| mailbox.has_primary_user());
    let upn = account.map_or("", |account| &account.user_principal_name);
    let total = if device.kind.is_windows() { 255_550_554_112_i64 } else { 32_000_000_000 };
    let free = device.chance.named("free storage").between(total / 10, total / 2);
    let name = mailbox.room.account.user_principal_name.split('@').next().unwrap_or_default();
    let last_sync =
        if is_former { call.tenant.world.started() - 60 * DAY } else { last_sync(call, device, &condition) };
    let version = condition.software.iter().find(|status| status.software == Software::OperatingSystem);
    let state = if is_former { "noncompliant" } else { mailbox.compliance() };
    let mac = device.mac_address(0).replace('-', "");
    json!({
        "deviceName": format!("MTR-{}", name.trim_start_matches("room-").to_uppercase()),
        "serialNumber": device.serial_number(),
        "manufacturer": device.model.manufacturer,
        "model": device.model.name,
        "osVersion": version.map_or("12", |status| status.current.as_str()),
        "androidSecurityPatchLevel": (!device.kind.is_windows()).then_some("2026-08-05"),
        "complianceState": state,
        "lastSyncDateTime": timestamp(last_sync).to_string(),
        "enrolledDateTime": timestamp(device.enrolled).to_string(),
        "managementAgent": "mdm",
        "managementState": "managed",
        "managementCertificateExpirationDate": timestamp(call.tenant.world.started() + 200 * DAY).to_string(),
        "managedDeviceOwnerType": "company",
        "deviceEnrollmentType": if device.kind.is_windows() { "windowsAzureADJoin" } else { "userEnrollment" },
        "userPrincipalName": upn,
        "emailAddress": upn,
        "userDisplayName": account.map_or("", |account| &account.display_name),
        "userId": account.map_or_else(String::new, |account| account.id.to_string()),
        "azureADDeviceId": device.chance.named("directory device").guid().to_string(),
        "isEncrypted": device.kind.is_windows(),
        "totalStorageSpaceInBytes": total,
        "freeStorageSpaceInBytes": free,
        "ethernetMacAddress": mac,
        "wiFiMacAddress": null,
    })
}

/// Turns the record of an Android device of a room into that of real tenants. No capture shows a Windows room.
fn reshape(device: &Device, mailbox: &Mailbox, row: &mut Value) {
    let Some(members) = row.as_object_mut().filter(|_| !device.kind.is_windows()) else { return };
    // Named by the user and the time of the enrolment, in the manner of the United States.
    let enrolled = timestamp(device.enrolled).strftime("%-m/%-d/%Y_%-I:%M %p");
    let real = json!({
        "deviceName": format!("{}_AndroidAOSP_{enrolled}", mailbox.room.account.display_name),
        "managementAgent": "intuneAosp",
        "deviceEnrollmentType": "androidAOSPUserOwnedDeviceEnrollment",
        "jailBroken": "Unknown",
        // Not reported, though the numbers look like it.
        "freeStorageSpaceInBytes": 0,
        "physicalMemoryInBytes": 0,
        "wiFiMacAddress": "",
        "ethernetMacAddress": null,
        "easActivationDateTime": "0001-01-01T00:00:00Z",
        "complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z",
    });
    if let Value::Object(real) = real {
        members.extend(real);
    }
    whole_seconds(row);
}

/// Regular, but a device that is gone has not reported since.
fn last_sync(call: &Call<'_>, device: &Device, condition: &Condition) -> i64 {
    let is_gone = condition.connection.status == LinkStatus::Disconnected;
    let by = if is_gone { condition.connection.since } else { call.moment };
    let phase = device.chance.named("sync").between(0, SYNC - 1);
    (by - (by - phase).rem_euclid(SYNC)).div_euclid(1_000) * 1_000
}

fn of_person(call: &Call<'_>, user: &User) -> Value {
    let draw = call.tenant.world.seed().named("laptop").named(&user.account.id.to_string());
    let start = call.tenant.world.started();
    json!({
        "deviceName": format!("LAPTOP-{}", draw.named("name").serial(7)),
        "serialNumber": draw.named("serial number").serial(8),
        "manufacturer": "LENOVO",
        "model": "ThinkPad T14",
        "osVersion": "10.0.26100.2033",
        "androidSecurityPatchLevel": null,
        "complianceState": "compliant",
        "lastSyncDateTime": timestamp(start - draw.named("sync").between(0, 72) * HOUR).to_string(),
        "enrolledDateTime": timestamp(start - 500 * DAY).to_string(),
        "managementAgent": "mdm",
        "managementState": "managed",
        "managementCertificateExpirationDate": timestamp(start + 100 * DAY).to_string(),
        "managedDeviceOwnerType": "company",
        "deviceEnrollmentType": "windowsAzureADJoin",
        "userPrincipalName": user.account.user_principal_name,
        "emailAddress": user.mail,
        "userDisplayName": user.account.display_name,
        "userId": user.account.id.to_string(),
        "azureADDeviceId": draw.named("directory device").guid().to_string(),
        "isEncrypted": true,
        "totalStorageSpaceInBytes": 512_000_000_000_i64,
        "freeStorageSpaceInBytes": 301_000_000_000_i64,
        "ethernetMacAddress": null,
        "wiFiMacAddress": null,
    })
}
