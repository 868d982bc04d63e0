//! The health detail of each device: `GET /beta/teamwork/devices/{id}/health`, twenty in one `$batch`.
//!
//! Permission `TeamworkDevice.Read.All`. The list says which details may have changed; the others are read again in
//! turn, so that each is read at least once in a rotation.
//! <https://learn.microsoft.com/graph/api/teamworkdevicehealth-get?view=graph-rest-beta>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{Node, UnknownValue, escape};
use crate::graph::{CONCURRENCY, Client, Error, Operation, Workload, batch};
use crate::input::json;
use crate::model::collector::Collector;
use crate::model::detail::{Connection, Detail, Login, Peripheral, Product, Slot, Software, SoftwareKind};
use crate::model::device::{Device, DeviceType, Health};
use crate::model::stamp::{Meaning, Stamps};
use crate::model::{Snapshot, State, Timestamp};

const OPERATION: Operation = Operation { name: "device_health", workload: Workload::Teamwork };

/// A device and its detail; `None` where Graph reports none.
pub type Found = (Arc<Device>, Option<Arc<Detail>>);

/// Details of one device type that are read for their stamp alone, while it is open what that means: twice the samples
/// that are enough to know.
const MAX_PROBES: usize = 40;

/// The devices of this process whose detail must be read now: never read, changed, denied once, not healthy, and the
/// oldest in their turn. A heartbeat is not a change.
pub fn due(snapshot: &Snapshot, now: Timestamp, interval: Duration, rotation: Duration) -> Vec<Arc<Device>> {
    let mut due = Vec::new();
    let mut rest: Vec<(Timestamp, &Arc<Device>)> = Vec::new();
    let mut probes = Probes { stamps: &snapshot.memory.stamps, taken: BTreeMap::new() };
    let expiry = snapshot.expiry(Collector::Devices);
    let rows = snapshot.devices.rows.values().filter(|row| now.since(row.seen_at) <= expiry);
    for row in rows.filter(|row| snapshot.owns_device(&row.device.id)) {
        match snapshot.details.get(&row.device.id) {
            Some(reading)
                if reading.basis.is_state_of(&row.device)
                    && row.device.health == Health::Healthy
                    && !reading.denied
                    && (reading.basis.is_stamp_of(&row.device) || !probes.takes(&row.device)) =>
            {
                rest.push((reading.read_at, &row.device));
            }
            _ => due.push(row.device.clone()),
        }
    }
    rest.sort_by_key(|(read_at, device)| (*read_at, device.id.clone()));
    let share = interval.as_secs_f64() / rotation.as_secs_f64().max(1e-3);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a fleet"
    )]
    let turn = ((due.len() + rest.len()) as f64 * share).ceil() as usize;
    due.extend(rest.into_iter().take(turn).map(|(_, device)| device.clone()));
    due
}

/// Decides if a stamp that moved is a reason to read a detail.
struct Probes<'s> {
    stamps: &'s Stamps,
    taken: BTreeMap<DeviceType, usize>,
}

impl Probes<'_> {
    fn takes(&mut self, device: &Device) -> bool {
        match self.stamps.of_device(device.device_type) {
            Meaning::Change => true,
            Meaning::Heartbeat => false,
            Meaning::Open => {
                let taken = self.taken.entry(device.device_type).or_default();
                *taken += 1;
                *taken <= MAX_PROBES
            }
        }
    }
}

/// Reads the detail of `devices`; `take` gets each batch as it comes.
pub async fn collect(
    client: &Client,
    devices: &[Arc<Device>],
    deadline: Instant,
    take: &(dyn Fn(Vec<Found>) + Send + Sync),
) -> Outcome {
    let mut batches = Vec::with_capacity(devices.len() / batch::MAX_ITEMS + 1);
    for devices in devices.chunks(batch::MAX_ITEMS) {
        batches.push(read_batch(client, devices, deadline));
    }
    let mut batches = stream::iter(batches).buffer_unordered(CONCURRENCY);
    let mut outcome = Outcome::default();
    while let Some((devices, answers)) = batches.next().await {
        let hopeless = hopeless(&answers);
        let answers = devices.iter().zip(answers);
        take(answers.filter_map(|(device, answer)| sort_out(device, answer, &mut outcome)).collect());
        if let Some(error) = hopeless {
            // The other batches would end the same way, one after another.
            outcome.failures.push(("the other devices".to_owned(), error));
            break;
        }
    }
    outcome
}

/// The error of a whole batch, if it is that of all devices: the tenant refuses, is busy or not there.
fn hopeless(answers: &[Result<Box<RawValue>, Error>]) -> Option<Error> {
    let all = |error: &Error| answers.iter().all(|answer| answer.as_ref().err() == Some(error));
    let first = answers.first()?.as_ref().err()?;
    let general = matches!(
        first,
        Error::Throttled | Error::Unauthorized { .. } | Error::Forbidden { .. } | Error::Unreachable { .. }
    );
    (general && all(first)).then(|| first.clone())
}

async fn read_batch<'d>(
    client: &Client,
    devices: &'d [Arc<Device>],
    deadline: Instant,
) -> (&'d [Arc<Device>], Vec<Result<Box<RawValue>, Error>>) {
    let urls: Vec<String> =
        devices.iter().map(|device| format!("/teamwork/devices/{}/health", escape(&device.id))).collect();
    (devices, client.batch(OPERATION, "beta", &urls, deadline).await)
}

/// What an answer brings; 404 means that Graph reports no health for this device.
fn sort_out(
    device: &Arc<Device>,
    answer: Result<Box<RawValue>, Error>,
    outcome: &mut Outcome,
) -> Option<Found> {
    let detail = match answer {
        Ok(body) => {
            if let Some(detail) = read(&body, &mut outcome.unknown_values) {
                Some(Arc::new(detail))
            } else {
                outcome.skipped.push(format!("the health of device {} has no known member", device.id));
                return None;
            }
        }
        Err(Error::Absent { status: 404 }) => None,
        Err(error) => {
            outcome.failures.push((device.id.to_string(), error));
            return None;
        }
    };
    outcome.parts_read += 1;
    Some((device.clone(), detail))
}

fn read(body: &RawValue, unknown: &mut Vec<UnknownValue>) -> Option<Detail> {
    let value: Value = json::record(body.get()).ok()?;
    detail(Node::entity(&value)?, unknown)
}

const LOGINS: [(&str, Login); 3] = [
    ("exchangeConnection", Login::Exchange),
    ("teamsConnection", Login::Teams),
    ("skypeConnection", Login::Skype),
];

const PERIPHERALS: [(&str, Slot); 5] = [
    ("roomCameraHealth", Slot::RoomCamera),
    ("contentCameraHealth", Slot::ContentCamera),
    ("microphoneHealth", Slot::Microphone),
    ("speakerHealth", Slot::Speaker),
    ("communicationSpeakerHealth", Slot::CommunicationSpeaker),
];

const HARDWARE: [(&str, Slot); 2] =
    [("hdmiIngestHealth", Slot::HdmiIngest), ("computeHealth", Slot::Compute)];

const SOFTWARE: [(&str, SoftwareKind); 6] = [
    ("adminAgentSoftwareUpdateStatus", SoftwareKind::AdminAgent),
    ("companyPortalSoftwareUpdateStatus", SoftwareKind::CompanyPortal),
    ("firmwareSoftwareUpdateStatus", SoftwareKind::Firmware),
    ("operatingSystemSoftwareUpdateStatus", SoftwareKind::OperatingSystem),
    ("partnerAgentSoftwareUpdateStatus", SoftwareKind::PartnerAgent),
    ("teamsClientSoftwareUpdateStatus", SoftwareKind::TeamsClient),
];

/// Displays of one device; the largest rooms have four.
const MAX_DISPLAYS: u8 = 32;

/// `teamworkDeviceHealth`; `None` if it has none of the documented members.
fn detail(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<Detail> {
    const MEMBERS: [&str; 5] =
        ["connection", "loginStatus", "peripheralsHealth", "softwareUpdateHealth", "hardwareHealth"];
    if !MEMBERS.iter().any(|member| node.has(member)) {
        return None;
    }
    Some(Detail {
        connection: node.node("connection").map(|c| connection(c, unknown)).unwrap_or_default(),
        logins: logins(node, unknown),
        peripherals: peripherals(node, unknown),
        software: software(node, unknown),
    })
}

fn logins(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Box<[(Login, Connection)]> {
    let Some(status) = node.node("loginStatus") else { return Box::default() };
    let login = |(name, login): (&str, Login)| Some((login, connection(status.node(name)?, unknown)));
    LOGINS.into_iter().filter_map(login).collect()
}

fn peripherals(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Box<[Peripheral]> {
    let mut found = Vec::new();
    let mut take =
        |node: Option<Node<'_>>, slot| found.extend(node.map(|node| peripheral(node, slot, unknown)));
    if let Some(health) = node.node("peripheralsHealth") {
        for (name, slot) in PERIPHERALS {
            take(health.node(name), slot);
        }
        for (display, number) in health.nodes("displayHealthCollection").zip(1..=MAX_DISPLAYS) {
            take(display, Slot::Display(number));
        }
    }
    if let Some(health) = node.node("hardwareHealth") {
        for (name, slot) in HARDWARE {
            take(health.node(name), slot);
        }
    }
    found.into()
}

/// `teamworkPeripheralHealth`
fn peripheral(node: Node<'_>, slot: Slot, unknown: &mut Vec<UnknownValue>) -> Peripheral {
    Peripheral {
        slot,
        connection: node.node("connection").map(|c| connection(c, unknown)).unwrap_or_default(),
        optional: node.flag("isOptional"),
        product: node.node("peripheral").and_then(product),
    }
}

/// `teamworkPeripheral`
fn product(node: Node<'_>) -> Option<Product> {
    let name = node.word("displayName")?;
    Some(Product { name, vendor_id: node.word("vendorId"), product_id: node.word("productId") })
}

fn software(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Box<[Software]> {
    let Some(health) = node.node("softwareUpdateHealth") else { return Box::default() };
    let status = |(name, kind): (&str, SoftwareKind)| {
        let status = health.node(name)?;
        let freshness: Option<Freshness> =
            status.state("softwareFreshness", "softwareUpdateStatus.softwareFreshness", unknown);
        Some(Software {
            kind,
            current: status.word("currentVersion"),
            available: status.word("availableVersion"),
            update_available: freshness.map(|freshness| freshness == Freshness::UpdateAvailable),
        })
    };
    SOFTWARE.into_iter().filter_map(status).collect()
}

/// `teamworkConnection`
fn connection(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Connection {
    let status: Option<ConnectionStatus> =
        node.state("connectionStatus", "connection.connectionStatus", unknown);
    Connection {
        connected: status.map(|status| status == ConnectionStatus::Connected),
        changed: node.time("lastModifiedDateTime"),
    }
}

/// `teamworkConnectionStatus` without `unknown`.
#[derive(Clone, Copy, PartialEq)]
enum ConnectionStatus {
    Connected,
    Disconnected,
}

/// `teamworkSoftwareFreshness` without `unknown`.
#[derive(Clone, Copy, PartialEq)]
enum Freshness {
    Latest,
    UpdateAvailable,
}

impl State for ConnectionStatus {
    const ALL: &'static [Self] = &[Self::Connected, Self::Disconnected];

    fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

impl State for Freshness {
    const ALL: &'static [Self] = &[Self::Latest, Self::UpdateAvailable];

    fn label(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::UpdateAvailable => "update_available",
        }
    }
}

#[cfg(test)]
mod tests;
