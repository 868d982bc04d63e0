//! The devices that Intune manages: `GET /v1.0/deviceManagement/managedDevices`.
//!
//! Permission `DeviceManagementManagedDevices.Read.All`; the tenant needs an Intune licence. Most of what comes are the
//! laptops and phones of people: `take` gets page by page, and keeps only what belongs to rooms. Names of devices and people
//! are not asked for. <https://learn.microsoft.com/graph/api/intune-devices-manageddevice-list>

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{self, Node, UnknownValue};
use crate::graph::page::Tally;
use crate::graph::{Client, Error, Operation, Workload};
use crate::input::json;
use crate::model::State;
use crate::model::device::Account;
use crate::model::managed_device::{ManagedDevice, Os};
use crate::model::product_names::{Product, squeezed};

/// An enrolment. It comes in one list or in several, and most are of no room.
#[derive(Debug)]
pub struct Enrolled {
    /// Intune's.
    pub id: Arc<str>,
    /// The primary user.
    pub user: Option<Account>,
    pub device: ManagedDevice,
    pub product: Product,
    /// They count if the device is a room's.
    pub unknown_values: Vec<UnknownValue>,
}

const OPERATION: Operation = Operation { name: "intune", workload: Workload::Intune };

const FIELDS: &str = "id,serialNumber,userId,userPrincipalName,manufacturer,model,operatingSystem,osVersion,\
                      complianceState,lastSyncDateTime,androidSecurityPatchLevel,managementCertificateExpirationDate,\
                      freeStorageSpaceInBytes,totalStorageSpaceInBytes";

/// A list, by the name that Intune has for its system, or for a log line.
type List = (&'static str, Option<Os>);

/// One reading takes these lists: the systems that rooms are known to run, then every system.
///
/// A list without a filter may be incomplete (microsoft-graph-docs#21659), so it cannot replace the others. Only it finds
/// the other spellings of Android and the systems that are not known yet: `eq` is the only filter that works.
const LISTS: [List; 3] =
    [("Windows", Some(Os::Windows)), ("Android", Some(Os::Android)), ("every system", None)];

/// Systems, squeezed, that no device of a room runs. A name may go on: `iOS/iPadOS`.
const FOREIGN: [&str; 7] = ["chromeos", "ios", "ipados", "linux", "macos", "tvos", "visionos"];

/// Reads every list, each within this time.
pub async fn collect(
    client: &Client,
    patience: Duration,
    take: &(dyn Fn(Vec<Enrolled>) + Send + Sync),
) -> Outcome {
    let (mut outcome, mut tallies) = (Outcome::default(), Vec::new());
    for list in LISTS {
        let mut read = Outcome::default();
        let answer = read_all(client, list, Instant::now() + patience, take, &mut read).await;
        // The list of every system has the others in it, and may be incomplete.
        if list.1.is_some() {
            tallies.push(answer.as_ref().ok().copied());
        }
        let failure = match answer {
            Ok(_) => None,
            // What Intune answers for a tenant without a licence for it: "Request not applicable to target tenant."
            Err(Error::Rejected { status: 400, .. }) => Some(Error::Absent { status: 400 }),
            Err(error) => Some(error),
        };
        outcome.parts_read += read.parts_read;
        outcome.failures.extend(failure.map(|error| (list.0.to_owned(), error)));
        // A record without an id is in two lists as well, and cannot be recognized.
        if read.skipped.len() > outcome.skipped.len() {
            outcome.skipped = read.skipped;
        }
    }
    outcome.count(&tallies);
    outcome
}

async fn read_all(
    client: &Client,
    (name, os): List,
    deadline: Instant,
    take: &(dyn Fn(Vec<Enrolled>) + Send + Sync),
    outcome: &mut Outcome,
) -> Result<Tally, Error> {
    let filter = os.map_or_else(String::new, |_| format!("$filter=operatingSystem%20eq%20'{name}'&"));
    let path = format!("/v1.0/deviceManagement/managedDevices?{filter}$select={FIELDS}");
    let mut pages = client.pages(OPERATION, &path, deadline)?;
    while let Some(page) = pages.next().await {
        let page = page?;
        outcome.parts_read += 1;
        take(page.read(|item| read(item, os, outcome)).into_iter().flatten().collect());
    }
    Ok(pages.tally())
}

/// Reads an item, unless it cannot be used or does not belong in a list of this system, or of every system.
fn read(item: &RawValue, listed: Option<Os>, outcome: &mut Outcome) -> Option<Enrolled> {
    let value = json::record(item.get()).ok();
    let node = value.as_ref().and_then(Node::new);
    if node.is_some_and(|node| !belongs(node, listed)) {
        return None;
    }
    let enrolled = node.and_then(enrolled);
    if enrolled.is_none() {
        outcome.skipped.push("a managed device without an id".to_owned());
    }
    enrolled
}

/// Returns false for another system than the listed one: Graph ignores filters without a word.
fn belongs(node: Node<'_>, listed: Option<Os>) -> bool {
    let Some(system) = node.text("operatingSystem").map(|name| squeezed(&name)) else { return true };
    match listed {
        Some(os) => named(&system) == Some(os),
        None => !FOREIGN.iter().any(|foreign| system.starts_with(foreign)),
    }
}

/// `managedDevice`
fn enrolled(node: Node<'_>) -> Option<Enrolled> {
    let lower = |text: Arc<str>| Arc::from(text.to_lowercase());
    let user = Account {
        id: node.id("userId").map(lower),
        name: None,
        email: node.id("userPrincipalName").map(lower),
    };
    let mut unknown_values = Vec::new();
    let device = ManagedDevice {
        serial_number: node.text("serialNumber"),
        room_id: None,
        compliant: compliance(node, &mut unknown_values),
        last_sync: node.time("lastSyncDateTime"),
        security_patch: node.date("androidSecurityPatchLevel"),
        certificate_expiry: node.time("managementCertificateExpirationDate"),
        storage_free: size(node, "freeStorageSpaceInBytes").filter(|_| has_storage(node)),
        storage: size(node, "totalStorageSpaceInBytes"),
        os: os(node, &mut unknown_values),
        os_version: node.word("osVersion"),
    };
    let has_user = user.id.is_some() || user.email.is_some();
    Some(Enrolled {
        id: node.id("id")?,
        user: has_user.then_some(user),
        device,
        product: Product { manufacturer: node.word("manufacturer"), model: node.word("model") },
        unknown_values,
    })
}

/// A number of bytes. Intune writes 0 where a device has not reported one, and Android rooms report no free storage. A
/// storage that is really full reads the same.
fn size(node: Node<'_>, name: &str) -> Option<u64> {
    node.size(name).filter(|bytes| *bytes > 0)
}

fn has_storage(node: Node<'_>) -> bool {
    size(node, "totalStorageSpaceInBytes").is_some()
}

/// `operatingSystem`; `None` if Intune names none.
fn os(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<Os> {
    let text = node.text("operatingSystem")?;
    let known = named(&squeezed(&text));
    if known.is_none() && !wire::same_name("unknown", &text) {
        unknown.push(UnknownValue { field: "managedDevice.operatingSystem", value: text.to_string() });
    }
    Some(known.unwrap_or(Os::Unknown))
}

/// The system with this squeezed name. A name may go on: Intune writes `Android`, `AndroidEnterprise`, `AndroidForWork`,
/// `AndroidAOSP` and `Android (AOSP)`.
fn named(system: &str) -> Option<Os> {
    [Os::Windows, Os::Android].into_iter().find(|os| system.starts_with(os.label()))
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
        let item = raw(&json!({ "id": "1", "complianceState": state }));
        let enrolled = read(&item, Some(Os::Windows), &mut Outcome::default()).expect("an enrolment");
        assert_eq!((enrolled.device.compliant, enrolled.unknown_values.len()), (expected, noted), "{state}");
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

    /// Reads a record with this system; the result is the system kept, with the number of unknown values.
    #[track_caller]
    fn check_os(system: &Value, listed: Option<Os>, expected: Option<(Option<Os>, usize)>) {
        let item = raw(&json!({ "id": "1", "operatingSystem": system }));
        let mut outcome = Outcome::default();
        let enrolled = read(&item, listed, &mut outcome);
        let found = enrolled.map(|enrolled| (enrolled.device.os, enrolled.unknown_values.len()));
        assert_eq!(found, expected, "{system} in the list of {listed:?}");
        assert!(outcome.skipped.is_empty(), "another system is nothing broken");
    }

    #[test]
    fn filters_are_checked_again() {
        let (windows, android) = (Some(Os::Windows), Some(Os::Android));
        check_os(&json!("Windows"), windows, Some((windows, 0)));
        check_os(&json!("WINDOWS"), windows, Some((windows, 0)));
        check_os(&json!("AndroidEnterprise"), android, Some((android, 0)));
        check_os(&json!("Windows"), android, None);
        check_os(&json!("Zephyr"), android, None);
        check_os(&json!("Unknown"), windows, None);
        check_os(&json!(null), windows, Some((None, 0)));
        check_os(&json!(""), android, Some((None, 0)));
    }

    #[test]
    fn android_is_found_in_every_spelling() {
        for name in [
            "Android",
            "ANDROID",
            "AndroidEnterprise",
            "AndroidForWork",
            "AndroidAOSP",
            "Android (AOSP)",
            "android_aosp",
            "Android Enterprise",
            " android-for-work ",
        ] {
            check_os(&json!(name), None, Some((Some(Os::Android), 0)));
        }
    }

    #[test]
    fn the_list_of_every_system_has_no_phones_and_macs_but_what_is_not_known() {
        check_os(&json!("Windows"), None, Some((Some(Os::Windows), 0)));
        for name in ["iOS", "IOS", "iPadOS", "iOS/iPadOS", "macOS", "Linux (Ubuntu)", "Chrome OS", "visionOS"]
        {
            check_os(&json!(name), None, None);
        }
        check_os(&json!("Zephyr"), None, Some((Some(Os::Unknown), 1)));
        check_os(&json!("Unknown"), None, Some((Some(Os::Unknown), 0)));
        check_os(&json!(null), None, Some((None, 0)));
    }

    #[track_caller]
    fn check_storage(free: &Value, total: &Value, expected: (Option<u64>, Option<u64>)) {
        let item =
            raw(&json!({ "id": "1", "freeStorageSpaceInBytes": free, "totalStorageSpaceInBytes": total }));
        let device = read(&item, Some(Os::Android), &mut Outcome::default()).expect("an enrolment").device;
        assert_eq!((device.storage_free, device.storage), expected, "{free} of {total}");
    }

    #[test]
    fn storage_that_was_not_reported_is_absent() {
        check_storage(&json!(5), &json!(9), (Some(5), Some(9)));
        check_storage(&json!(0), &json!(9), (None, Some(9)));
        check_storage(&json!(0), &json!(0), (None, None));
        check_storage(&json!(5), &json!(0), (None, None));
        check_storage(&json!(5), &json!(null), (None, None));
        check_storage(&json!(-5), &json!(9), (None, Some(9)));
        check_storage(&json!("5"), &json!(9), (None, Some(9)));
    }

    #[track_caller]
    fn check_dates(patch: &str, expiry: &str, expected: [Option<i64>; 2]) {
        let item = json!({ "id": "1", "androidSecurityPatchLevel": patch, "managementCertificateExpirationDate": expiry });
        let device = read(&raw(&item), None, &mut Outcome::default()).expect("an enrolment").device;
        let found = [device.security_patch, device.certificate_expiry];
        assert_eq!(found.map(|date| date.map(Timestamp::seconds)), expected, "{patch}, {expiry}");
    }

    #[test]
    fn dates_that_mean_never_are_absent() {
        check_dates("2025-05-05", "2026-11-20T07:00:00Z", [Some(1_746_403_200), Some(1_795_158_000)]);
        check_dates("0001-01-01", "0001-01-01T00:00:00Z", [None; 2]);
        check_dates("9999-12-31", "9999-12-31T23:59:59Z", [None; 2]);
        check_dates("9999-01-01", "9999-01-01T00:00:00Z", [None; 2]);
        check_dates("", "", [None; 2]);
        check_dates("May 2025", "2026-11-20", [None; 2]);
    }

    #[test]
    fn users_are_found_whatever_is_missing() {
        let user = |item: &Value| read(&raw(item), None, &mut Outcome::default()).and_then(|it| it.user);
        let both = user(&json!({ "id": "1", "userId": "A1", "userPrincipalName": "Oslo@contoso.example" }));
        let both = both.expect("a user");
        assert_eq!((both.id.as_deref(), both.email.as_deref()), (Some("a1"), Some("oslo@contoso.example")));
        assert_eq!(user(&json!({ "id": "1", "userId": "", "userPrincipalName": null })), None);
        let mut outcome = Outcome::default();
        for broken in [json!({ "serialNumber": "x" }), json!("not an object"), json!({ "id": 7 })] {
            assert!(read(&raw(&broken), None, &mut outcome).is_none(), "{broken}");
        }
        assert_eq!(outcome.skipped.len(), 3);
        let item = raw(&json!({ "id": "1", "lastSyncDateTime": "2026-11-20T07:00:00Z" }));
        let synced = read(&item, None, &mut outcome).expect("an enrolment").device.last_sync;
        assert_eq!(synced, Some(Timestamp::from_seconds(1_795_158_000)));
        let never = raw(&json!({ "id": "1", "lastSyncDateTime": "0001-01-01T00:00:00Z" }));
        assert_eq!(read(&never, None, &mut outcome).expect("an enrolment").device.last_sync, None);
    }
}
