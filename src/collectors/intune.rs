//! The devices that Intune manages: `GET /v1.0/deviceManagement/managedDevices`.
//!
//! Permission `DeviceManagementManagedDevices.Read.All`; the tenant needs an Intune licence. Most of what comes are the
//! laptops of people: `take` gets page by page, and keeps only what belongs to rooms. Names of devices and people are not
//! asked for. <https://learn.microsoft.com/graph/api/intune-devices-manageddevice-list>

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{self, Node, UnknownValue};
use crate::graph::page::Tally;
use crate::graph::{Client, Error, Operation, Workload};
use crate::model::State;
use crate::model::device::Account;
use crate::model::managed_device::{ManagedDevice, Os};

/// An enrolment, by Intune's id of it, with its primary user.
pub type Enrolled = (Arc<str>, Option<Account>, ManagedDevice);

const OPERATION: Operation = Operation { name: "intune", workload: Workload::Intune };

const FIELDS: &str = "id,serialNumber,userId,userPrincipalName,operatingSystem,osVersion,complianceState,\
                      lastSyncDateTime,freeStorageSpaceInBytes,totalStorageSpaceInBytes";

/// Reads all that runs what rooms run, each system by itself: a list without a filter may be incomplete
/// (microsoft-graph-docs#21659), and `eq` on one system is the only filter that works.
pub async fn collect(
    client: &Client,
    deadline: Instant,
    take: &(dyn Fn(Vec<Enrolled>) + Send + Sync),
) -> Outcome {
    let (mut outcome, mut tallies) = (Outcome::default(), Vec::new());
    for os in Os::ALL {
        let name = graph_name(*os);
        let read = read_all(client, *os, deadline, take, &mut outcome).await;
        tallies.push(read.as_ref().ok().copied());
        match read {
            Ok(_) => {}
            // What Intune answers for a tenant without a licence for it: "Request not applicable to target tenant."
            Err(Error::Rejected { status: 400, .. }) => {
                outcome.failures.push((name.to_owned(), Error::Absent { status: 400 }));
            }
            Err(error) => outcome.failures.push((name.to_owned(), error)),
        }
    }
    outcome.count(&tallies);
    outcome
}

async fn read_all(
    client: &Client,
    os: Os,
    deadline: Instant,
    take: &(dyn Fn(Vec<Enrolled>) + Send + Sync),
    outcome: &mut Outcome,
) -> Result<Tally, Error> {
    let filter = format!("$filter=operatingSystem%20eq%20'{}'", graph_name(os));
    let path = format!("/v1.0/deviceManagement/managedDevices?{filter}&$select={FIELDS}");
    let mut pages = client.pages(OPERATION, &path, deadline)?;
    while let Some(page) = pages.next().await {
        let page = page?;
        outcome.parts_read += 1;
        take(page.items.iter().filter_map(|item| read(item, os, outcome)).collect());
    }
    Ok(pages.tally())
}

/// An item, unless it cannot be used or runs another system: Graph ignores filters without a word.
fn read(item: &RawValue, os: Os, outcome: &mut Outcome) -> Option<Enrolled> {
    let value = serde_json::from_str(item.get()).ok();
    let node = value.as_ref().and_then(Node::new);
    if node
        .and_then(|node| node.text("operatingSystem"))
        .is_some_and(|name| !wire::same_name(os.label(), &name))
    {
        return None;
    }
    let enrolled = node.and_then(|node| enrolled(node, os, &mut outcome.unknown_values));
    if enrolled.is_none() {
        outcome.skipped.push("a managed device without an id".to_owned());
    }
    enrolled
}

/// `managedDevice`
fn enrolled(node: Node<'_>, os: Os, unknown: &mut Vec<UnknownValue>) -> Option<Enrolled> {
    let lower = |text: Arc<str>| Arc::from(text.to_lowercase());
    let user = Account {
        id: node.id("userId").map(lower),
        name: None,
        email: node.id("userPrincipalName").map(lower),
    };
    let device = ManagedDevice {
        serial_number: node.text("serialNumber"),
        room_id: None,
        compliant: compliance(node, unknown),
        last_sync: node.time("lastSyncDateTime"),
        // Intune writes 0 where a device has not told.
        storage_free: node.size("freeStorageSpaceInBytes").filter(|_| has_storage(node)),
        storage: node.size("totalStorageSpaceInBytes").filter(|_| has_storage(node)),
        os: node.has("operatingSystem").then_some(os),
        os_version: node.word("osVersion"),
    };
    let has_user = user.id.is_some() || user.email.is_some();
    Some((node.id("id")?, has_user.then_some(user), device))
}

fn has_storage(node: Node<'_>) -> bool {
    node.size("totalStorageSpaceInBytes").is_some_and(|total| total > 0)
}

/// `complianceState`; `None` where nobody knows, or another system manages the device.
fn compliance(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<bool> {
    let text = node.text("complianceState")?;
    let found = COMPLIANCE.iter().find(|(word, _)| wire::same_name(word, &text));
    if found.is_none() {
        unknown.push(UnknownValue { field: "managedDevice.complianceState", value: text.to_string() });
    }
    found.and_then(|(_, compliant)| *compliant)
}

/// Every documented value. In its grace period a device fails the policy already; what follows is only put off.
#[rustfmt::skip]
const COMPLIANCE: [(&str, Option<bool>); 7] = [
    ("compliant",       Some(true)),
    ("noncompliant",    Some(false)),
    ("conflict",        Some(false)),
    ("error",           Some(false)),
    ("in_grace_period", Some(false)),
    ("config_manager",  None),
    ("unknown",         None),
];

fn graph_name(os: Os) -> &'static str {
    match os {
        Os::Windows => "Windows",
        Os::Android => "Android",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use serde_json::{Value, json};

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).expect("JSON")
    }

    #[track_caller]
    fn check_compliance(state: &Value, expected: Option<bool>, noted: usize) {
        let mut outcome = Outcome::default();
        let item = raw(&json!({ "id": "1", "complianceState": state }));
        let (_, _, device) = read(&item, Os::Windows, &mut outcome).expect("an enrolment");
        assert_eq!((device.compliant, outcome.unknown_values.len()), (expected, noted), "{state}");
    }

    #[test]
    fn only_what_is_known_is_compliant_or_not() {
        check_compliance(&json!("compliant"), Some(true), 0);
        check_compliance(&json!("Compliant"), Some(true), 0);
        for state in ["noncompliant", "NONCOMPLIANT", "conflict", "error", "inGracePeriod"] {
            check_compliance(&json!(state), Some(false), 0);
        }
        for state in [json!("unknown"), json!("configManager"), json!(null), json!(254)] {
            check_compliance(&state, None, 0);
        }
        check_compliance(&json!("underReview"), None, 1);
    }

    #[track_caller]
    fn check_os(system: &Value, asked: Os, kept: bool) {
        let item = raw(&json!({ "id": "1", "operatingSystem": system }));
        let mut outcome = Outcome::default();
        assert_eq!(read(&item, asked, &mut outcome).is_some(), kept, "{system}");
        assert!(outcome.skipped.is_empty(), "another system is nothing broken");
    }

    #[test]
    fn filters_are_checked_again() {
        check_os(&json!("Windows"), Os::Windows, true);
        check_os(&json!("WINDOWS"), Os::Windows, true);
        check_os(&json!("Windows"), Os::Android, false);
        check_os(&json!("iOS"), Os::Android, false);
        check_os(&json!(null), Os::Windows, true);
        check_os(&json!(""), Os::Android, true);
    }

    #[track_caller]
    fn check_storage(free: &Value, total: &Value, expected: (Option<u64>, Option<u64>)) {
        let item =
            raw(&json!({ "id": "1", "freeStorageSpaceInBytes": free, "totalStorageSpaceInBytes": total }));
        let (_, _, device) = read(&item, Os::Android, &mut Outcome::default()).expect("an enrolment");
        assert_eq!((device.storage_free, device.storage), expected, "{free} of {total}");
    }

    #[test]
    fn storage_that_was_not_told_is_absent() {
        check_storage(&json!(5), &json!(9), (Some(5), Some(9)));
        check_storage(&json!(0), &json!(9), (Some(0), Some(9)));
        check_storage(&json!(0), &json!(0), (None, None));
        check_storage(&json!(5), &json!(null), (None, None));
        check_storage(&json!(-5), &json!(9), (None, Some(9)));
        check_storage(&json!("5"), &json!(9), (None, Some(9)));
    }

    #[test]
    fn users_are_found_whatever_is_missing() {
        let user = |item: &Value| {
            read(&raw(item), Os::Windows, &mut Outcome::default()).and_then(|(_, user, _)| user)
        };
        let both = user(&json!({ "id": "1", "userId": "A1", "userPrincipalName": "Oslo@contoso.example" }));
        let both = both.expect("a user");
        assert_eq!((both.id.as_deref(), both.email.as_deref()), (Some("a1"), Some("oslo@contoso.example")));
        assert_eq!(user(&json!({ "id": "1", "userId": "", "userPrincipalName": null })), None);
        let mut outcome = Outcome::default();
        for broken in [json!({ "serialNumber": "x" }), json!("not an object"), json!({ "id": 7 })] {
            assert!(read(&raw(&broken), Os::Windows, &mut outcome).is_none(), "{broken}");
        }
        assert_eq!(outcome.skipped.len(), 3);
        let item = raw(&json!({ "id": "1", "lastSyncDateTime": "2026-11-20T07:00:00Z" }));
        let (_, _, device) = read(&item, Os::Windows, &mut outcome).expect("an enrolment");
        assert_eq!(device.last_sync, Some(Timestamp::from_seconds(1_795_158_000)));
        let never = raw(&json!({ "id": "1", "lastSyncDateTime": "0001-01-01T00:00:00Z" }));
        assert_eq!(read(&never, Os::Windows, &mut outcome).expect("an enrolment").2.last_sync, None);
    }
}
