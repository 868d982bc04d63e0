//! The list of devices: `GET /beta/teamwork/devices`, one listing per device type.
//!
//! Permission `TeamworkDevice.Read.All`. Each type is listed by itself, because one device that Graph cannot render
//! fails the whole list it is in (microsoft-graph-docs#19029, msgraph-sdk-powershell#1688).
//! <https://learn.microsoft.com/graph/api/teamworkdevice-list?view=graph-rest-beta>

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{Node, UnknownValue};
use crate::graph::page::Tally;
use crate::graph::{Client, Error, Operation, Workload};
use crate::input::json;
use crate::model::State;
use crate::model::device::{Account, Activity, Device, DeviceType, Health, Role};
use crate::model::listing::Census;

const OPERATION: Operation = Operation { name: "devices", workload: Workload::Teamwork };

/// The largest page that Graph allows; above it answers 400.
const PAGE_SIZE: usize = 50;

/// Lists all devices of `types`, at most so many; `take` gets each page as it comes, no device twice.
pub async fn collect(
    client: &Client,
    types: &[DeviceType],
    most: usize,
    deadline: Instant,
    take: &(dyn Fn(&[Arc<Device>]) + Send + Sync),
) -> (Outcome, Census) {
    let listing = Mutex::new((Outcome::default(), Census::default()));
    let mut lists = Vec::with_capacity(types.len());
    for device_type in types {
        lists.push(list_type(client, *device_type, types, most, deadline, take, &listing));
    }
    let results = join_all(lists).await;
    let (mut outcome, mut census) = listing.into_inner().unwrap_or_else(PoisonError::into_inner);
    census.asked = types.to_vec();
    let mut tallies = Vec::with_capacity(types.len());
    for (device_type, result) in types.iter().zip(results) {
        match result {
            Ok(List { tally, whole }) => {
                tallies.push(Some(tally));
                outcome.parts_read += 1;
                census.complete.extend(whole.then_some(*device_type));
            }
            Err(error) => {
                tallies.push(None);
                outcome.failures.push((graph_name(*device_type).to_owned(), error));
            }
        }
    }
    outcome.count(&tallies);
    // A type that broke off after its first pages still brought something.
    outcome.parts_read += usize::from(!census.seen.is_empty() && outcome.parts_read == 0);
    (outcome, census)
}

/// How the listing of a type ended.
struct List {
    tally: Tally,
    /// All that Graph counts came, and every record could be read; one that could not may be any device that seems to be
    /// missing.
    whole: bool,
}

/// Lists one type.
async fn list_type(
    client: &Client,
    device_type: DeviceType,
    types: &[DeviceType],
    most: usize,
    deadline: Instant,
    take: &(dyn Fn(&[Arc<Device>]) + Send + Sync),
    listing: &Mutex<(Outcome, Census)>,
) -> Result<List, Error> {
    let filter = format!("deviceType%20eq%20'{}'", graph_name(device_type));
    let path = format!("/beta/teamwork/devices?$filter={filter}&$top={PAGE_SIZE}");
    let mut pages = client.pages(OPERATION, &path, deadline)?;
    let mut whole = true;
    while let Some(page) = pages.next().await {
        let page = page?;
        let (outcome, census) = &mut *listing.lock().unwrap_or_else(PoisonError::into_inner);
        let read: Vec<Option<Device>> = page.read(|item| read(item, device_type, outcome));
        whole &= read.iter().all(Option::is_some);
        // A filter that Graph ignores brings every device with each type.
        let wanted = read.into_iter().flatten().filter(|device| {
            device.device_type == DeviceType::Unknown || types.contains(&device.device_type)
        });
        let mut devices: Vec<Arc<Device>> =
            wanted.filter(|device| census.seen.insert(device.id.clone())).map(Arc::new).collect();
        let beyond = census.seen.len().saturating_sub(most);
        for device in devices.drain(devices.len().saturating_sub(beyond)..) {
            census.seen.remove(&device.id);
        }
        take(&devices);
        if beyond > 0 {
            return Err(Error::TooMany { most });
        }
    }
    let tally = pages.tally();
    Ok(List { tally, whole: whole && tally.missing() == 0 })
}

/// One record; a bad one is skipped and noted.
fn read(item: &RawValue, asked: DeviceType, outcome: &mut Outcome) -> Option<Device> {
    let value: Option<Value> = json::record(item.get()).ok();
    let node = value.as_ref().and_then(Node::new);
    let device = node.and_then(|node| device(node, asked, &mut outcome.unknown_values));
    if device.is_none() {
        outcome.skipped.push(format!(
            "a {} without an id, or with a `currentUser` that is no account",
            graph_name(asked)
        ));
    }
    device
}

/// `teamworkDevice` <https://learn.microsoft.com/graph/api/resources/teamworkdevice?view=graph-rest-beta>
fn device(node: Node<'_>, asked: DeviceType, unknown: &mut Vec<UnknownValue>) -> Option<Device> {
    let hardware = node.node("hardwareDetail");
    if node.has("currentUser") && node.node("currentUser").is_none() {
        return None; // nobody can tell whether it is signed in, and signed out would read as down
    }
    let device_type = if node.text("deviceType").is_some() {
        node.state("deviceType", "device.deviceType", unknown).unwrap_or(DeviceType::Unknown)
    } else {
        asked
    };
    Some(Device {
        id: node.id("id")?,
        device_type,
        manufacturer: hardware.and_then(|hardware| hardware.word("manufacturer")),
        model: hardware.and_then(|hardware| hardware.word("model")),
        serial_number: hardware.and_then(|hardware| hardware.text("serialNumber")),
        asset_tag: node.text("companyAssetTag"),
        health: node.state("healthStatus", "device.healthStatus", unknown).unwrap_or(Health::Unknown),
        activity: node.state("activityState", "device.activityState", unknown).unwrap_or(Activity::Unknown),
        created: node.time("createdDateTime"),
        last_modified: node.time("lastModifiedDateTime"),
        account: node.node("currentUser").and_then(|user| account(user, device_type.role())),
    })
}

/// `teamworkUserIdentity`; only the public cloud names the account (`userPrincipalName`). On a phone or a personal
/// display it is a person's: of that only the id is kept.
fn account(user: Node<'_>, role: Role) -> Option<Account> {
    let id = user.id("id");
    if role == Role::Other {
        return id.map(|id| Account { id: Some(id), name: None, email: None });
    }
    let email = user.id("userPrincipalName").map(|name| name.to_lowercase().into());
    (id.is_some() || email.is_some()).then(|| Account { id, name: user.text("displayName"), email })
}

/// Graph's own spelling of a device type, for filters and messages.
pub fn graph_name(device_type: DeviceType) -> &'static str {
    match device_type {
        DeviceType::TeamsRoom => "teamsRoom",
        DeviceType::CollaborationBar => "collaborationBar",
        DeviceType::SurfaceHub => "surfaceHub",
        DeviceType::TeamsPanel => "teamsPanel",
        DeviceType::TouchConsole => "touchConsole",
        DeviceType::TeamsDisplay => "teamsDisplay",
        DeviceType::IpPhone => "ipPhone",
        DeviceType::LowCostPhone => "lowCostPhone",
        DeviceType::Sip => "sip",
        DeviceType::SipAnalog => "sipAnalog",
        DeviceType::Unknown => "unknown",
    }
}

/// The device type of a name in Graph's own spelling.
pub fn by_graph_name(name: &str) -> Option<DeviceType> {
    DeviceType::ALL.iter().copied().find(|device_type| graph_name(*device_type) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Option<Device> {
        device(Node::new(value)?, DeviceType::TeamsPanel, &mut Vec::new())
    }

    #[test]
    fn a_device_is_read_from_the_documented_example() {
        let device = parse(&json!({
            "id": "4c1d7b0a", "deviceType": "CollaborationBar", "companyAssetTag": "AV-000314",
            "healthStatus": "NonUrgent", "activityState": "idle", "lastModifiedDateTime": "2026-11-21T07:03:11.420Z",
            "hardwareDetail": { "serialNumber": "PF4XYZ01", "manufacturer": "Poly", "model": "Studio X52" },
            "currentUser": { "id": "1f0e", "displayName": "Room Oslo", "userPrincipalName": "Room-Oslo@contoso.example" }
        }))
        .expect("a device");
        assert_eq!(device.device_type, DeviceType::CollaborationBar);
        assert_eq!((device.health, device.activity), (Health::NonUrgent, Activity::Idle));
        assert_eq!(device.serial_number.as_deref(), Some("PF4XYZ01"));
        let account = device.account.expect("signed in");
        assert_eq!(account.email.as_deref(), Some("room-oslo@contoso.example"));
    }

    #[test]
    fn of_a_person_only_the_id_is_kept() {
        let user =
            json!({ "id": "1f0e", "displayName": "A Person", "userPrincipalName": "person@contoso.example" });
        let phone =
            parse(&json!({ "id": "x", "deviceType": "ipPhone", "currentUser": user })).expect("a device");
        assert_eq!(phone.account, Some(Account { id: Some("1f0e".into()), name: None, email: None }));
    }

    #[test]
    fn an_id_is_all_that_a_device_needs() {
        let device =
            parse(&json!({ "id": "x", "currentUser": {}, "hardwareDetail": null })).expect("a device");
        assert_eq!((device.health, device.account), (Health::Unknown, None));
        assert_eq!(device.device_type, DeviceType::TeamsPanel, "the type that was asked for");
        assert_eq!(parse(&json!({ "deviceType": "teamsPanel" })), None);
        assert_eq!(parse(&json!({ "id": 7 })), None);
        assert_eq!(parse(&json!({ "id": "x", "currentUser": "somebody" })), None);
        let odd = parse(&json!({ "id": "x", "deviceType": 4 })).expect("a device");
        assert_eq!(odd.device_type, DeviceType::TeamsPanel);
        assert_eq!(parse(&json!({ "id": "x".repeat(255) })), None, "as a label it would be cut");
        assert_eq!(parse(&json!({ "id": "a\0b" })), None, "as a label it would be another");
    }
}
