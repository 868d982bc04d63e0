//! Reading the detail, and which details are due.

use super::*;
use crate::model::detail::{Basis, Reading};
use crate::model::device::Account;
use crate::model::listing::Listing;
use crate::model::listing::tests::device;
use crate::model::memory::Memory;
use serde_json::json;

fn parse(value: &Value) -> Option<Detail> {
    detail(Node::entity(value)?, &mut Vec::new())
}

fn link(status: &str) -> Value {
    json!({ "connectionStatus": status, "lastModifiedDateTime": "2026-11-21T06:41:09.077Z" })
}

#[test]
fn every_documented_point_is_read() {
    let peripheral = |status| json!({ "isOptional": false, "connection": link(status) });
    let update =
        json!({ "softwareFreshness": "updateAvailable", "currentVersion": "1.0", "availableVersion": "1.1" });
    let mut value = json!({
        "connection": link("connected"),
        "loginStatus": { "exchangeConnection": link("disconnected"), "teamsConnection": link("Connected"), "skypeConnection": link("unknown") },
        "peripheralsHealth": { "displayHealthCollection": (0..4).map(|_| peripheral("connected")).collect::<Vec<_>>() },
        "hardwareHealth": {},
        "softwareUpdateHealth": {}
    });
    for (name, _) in PERIPHERALS {
        value["peripheralsHealth"][name] = peripheral("connected");
    }
    for (name, _) in HARDWARE {
        value["hardwareHealth"][name] = peripheral("disconnected");
    }
    for (name, _) in SOFTWARE {
        value["softwareUpdateHealth"][name] = update.clone();
    }
    let detail = parse(&value).expect("a detail");
    assert_eq!(detail.connection.connected, Some(true));
    let logins: Vec<_> = detail.logins.iter().map(|(login, c)| (*login, c.connected)).collect();
    assert_eq!(logins, [(Login::Exchange, Some(false)), (Login::Teams, Some(true)), (Login::Skype, None)]);
    let slots: Vec<_> = detail.peripherals.iter().map(|p| p.slot.label().into_owned()).collect();
    assert_eq!(
        slots.join(" "),
        "room_camera content_camera microphone speaker communication_speaker display_1 display_2 display_3 display_4 hdmi_ingest compute"
    );
    assert_eq!(detail.software.len(), 6);
    assert!(detail.software.iter().all(|software| software.update_available == Some(true)));
    assert_eq!(parse(&json!({ "value": value })), Some(detail), "wrapped as in the documentation");
}

#[test]
fn what_is_missing_stays_unknown() {
    assert_eq!(parse(&json!({ "connection": {} })), Some(Detail::default()));
    assert_eq!(
        parse(&json!({ "peripheralsHealth": { "roomCameraHealth": null }, "connection": null })),
        Some(Detail::default())
    );
    assert_eq!(parse(&json!({ "id": "x" })), None);
    assert_eq!(parse(&json!({ "connection": null })), None);
}

fn reading(device: &Device, read_at: i64) -> Reading {
    Reading {
        read_at: Timestamp::from_seconds(read_at),
        basis: Basis::from(device),
        detail: None,
        denied: false,
    }
}

fn fleet(count: usize) -> (Listing, Details) {
    let devices: Vec<_> = (0..count).map(|n| device(&format!("d{n:03}"), DeviceType::TeamsRoom)).collect();
    let mut listing = Listing::default();
    listing.take(&devices, Timestamp::from_seconds(0));
    let details =
        devices.iter().zip(0..).map(|(device, n)| (device.id.clone(), reading(device, n))).collect();
    (listing, details)
}

type Details = BTreeMap<Arc<str>, Reading>;

fn due_ids(listing: &Listing, details: &Details) -> Vec<String> {
    let (interval, rotation) = (Duration::from_mins(2), Duration::from_mins(30));
    let (devices, details) = (Arc::new(listing.clone()), Arc::new(details.clone()));
    let snapshot = Snapshot { devices, details, ..Snapshot::default() };
    due(&snapshot, Timestamp::from_seconds(10_000), interval, rotation)
        .iter()
        .map(|device| device.id.to_string())
        .collect()
}

#[test]
fn a_share_of_a_quiet_fleet_is_due_oldest_first() {
    let (listing, details) = fleet(30);
    assert_eq!(due_ids(&listing, &details), ["d000", "d001"]);
}

#[test]
fn a_rotation_reads_every_detail_once() {
    let (listing, mut details) = fleet(30);
    for cycle in 0..15 {
        for id in due_ids(&listing, &details) {
            details.insert(id.as_str().into(), reading(&listing.rows[&*id].device, 1000 + cycle));
        }
    }
    assert!(details.values().all(|reading| reading.read_at.seconds() >= 1000));
}

#[test]
fn new_changed_and_unhealthy_devices_are_due_at_once() {
    let (mut listing, mut details) = fleet(30);
    details.remove("d010");
    let changed =
        Device { last_modified: Some(Timestamp::from_seconds(9)), ..(*listing.rows["d011"].device).clone() };
    let sick = Device { health: Health::Critical, ..(*listing.rows["d012"].device).clone() };
    details.insert(sick.id.clone(), reading(&sick, 5000));
    listing.take(&[Arc::new(changed), Arc::new(sick)], Timestamp::from_seconds(1));
    assert_eq!(due_ids(&listing, &details), ["d010", "d011", "d012", "d000", "d001"]);
}

/// A 404 after a good answer is doubted once: the next cycle asks again.
#[test]
fn a_detail_that_was_denied_once_is_due_at_once() {
    let (listing, mut details) = fleet(30);
    let denied = Reading { denied: true, ..details["d012"].clone() };
    details.insert("d012".into(), denied);
    assert_eq!(due_ids(&listing, &details), ["d012", "d000", "d001"]);
}

#[test]
fn another_account_makes_a_detail_due() {
    let (mut listing, details) = fleet(30);
    let account = Account { id: Some("id-2".into()), name: None, email: None };
    let moved = Device { account: Some(account), ..(*listing.rows["d012"].device).clone() };
    listing.take(&[Arc::new(moved)], Timestamp::from_seconds(1));
    assert_eq!(due_ids(&listing, &details), ["d012", "d000", "d001"]);
}

/// Every stamp has moved; `idle` says what the details that were read because of that have shown so far.
#[track_caller]
fn check_moved_stamps(idle: Option<bool>, expected: usize) {
    let (mut listing, details) = fleet(100);
    let mut memory = Memory::default();
    let changed =
        Detail { connection: Connection { connected: Some(true), changed: None }, ..Detail::default() };
    for idle in idle.into_iter().cycle().take(100) {
        let after = if idle { Detail::default() } else { changed.clone() };
        Arc::make_mut(&mut memory.stamps).learn(
            DeviceType::TeamsRoom,
            [&Detail::default(), &after],
            true,
            Duration::ZERO,
        );
    }
    let moved = listing.rows.values().map(|row| {
        Arc::new(Device { last_modified: Some(Timestamp::from_seconds(9)), ..(*row.device).clone() })
    });
    let moved: Vec<_> = moved.collect();
    listing.take(&moved, Timestamp::from_seconds(1));
    let (devices, details, memory) = (Arc::new(listing), Arc::new(details), Arc::new(memory));
    let snapshot = Snapshot { devices, details, memory, ..Snapshot::default() };
    let (interval, rotation) = (Duration::from_mins(2), Duration::from_mins(30));
    let due = due(&snapshot, Timestamp::from_seconds(10_000), interval, rotation);
    assert_eq!(due.len(), expected, "{idle:?}");
}

#[test]
fn a_stamp_that_moves_is_a_reason_while_it_means_a_change() {
    check_moved_stamps(Some(false), 100);
    check_moved_stamps(Some(true), 7); // the share of the rotation
    check_moved_stamps(None, MAX_PROBES + 7);
}
