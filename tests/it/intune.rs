//! What Intune manages: the devices of rooms, found by serial number or account, and nothing of anybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::sim::{self, Profile, RoomFacts};

use crate::exporter::{Exporter, Scenario, Scrape, label, parse, seconds, start_world};
use crate::sources::{configured, pass};

const COMPLIANT: &str = "teams_rooms_intune_compliant";
const LAST_SYNC: &str = "teams_rooms_intune_last_sync_timestamp_seconds";
const INFO: &str = "teams_rooms_intune_info";
const STORAGE: &str = "teams_rooms_intune_storage_bytes";
const FREE: &str = "teams_rooms_intune_storage_free_bytes";
const PATCH: &str = "teams_rooms_intune_security_patch_timestamp_seconds";
const EXPIRY: &str = "teams_rooms_intune_management_certificate_expiry_timestamp_seconds";
const DEVICE: &str = "teams_rooms_device_info";
const UNKNOWN: &str = "teams_rooms_unknown_values_total";
/// In [`UNKNOWN`].
const SYSTEM: &str = "field=\"managedDevice.operatingSystem\"";
const ALL: &[&str] = &["devices", "places", "intune"];

/// What the simulated Graph lists, as anybody with the permission gets it.
async fn enrolments(exporter: &Exporter) -> Vec<Value> {
    let token = exporter.sim.tokens().pop().expect("somebody signed in");
    let url = format!("{}/v1.0/deviceManagement/managedDevices", exporter.sim.url());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.get(url).bearer_auth(token).send().await.expect("an answer");
    let body: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    body.get("value").and_then(Value::as_array).expect("a list").clone()
}

fn text<'v>(row: &'v Value, member: &str) -> &'v str {
    row[member].as_str().unwrap_or_default()
}

fn is_laptop(row: &Value) -> bool {
    text(row, "deviceName").starts_with("LAPTOP-")
}

/// The value of the one series of a family with this in its labels.
fn value<'s>(scrape: &'s Scrape, family: &'s str, part: &str) -> Option<&'s str> {
    let lines = scrape.text.lines().filter(|line| line.starts_with(family) && line.contains(part));
    assert!(lines.count() <= 1, "one series of {family} with {part}");
    scrape.family(family).find(|(key, _)| key.contains(part)).map(|(_, value)| value)
}

fn of_device(id: &str) -> String {
    format!("device_id=\"{id}\"")
}

/// The series that only the account of the room tells.
fn of_account(room: &RoomFacts) -> String {
    format!("device_id=\"\",room=\"{}\",room_id=\"{}\"", room.name, room.upn)
}

/// Rooms with one core device whose primary user they are, each with that device.
fn rooms_with_core(exporter: &Exporter, scrape: &Scrape, rows: &[Value]) -> Vec<(RoomFacts, String)> {
    let users: BTreeSet<&str> = rows.iter().map(|row| text(row, "userPrincipalName")).collect();
    let infos: Vec<&str> = scrape.family("teams_rooms_device_info").map(|(key, _)| key).collect();
    let core_of = |room: &RoomFacts| {
        let is_core = |key: &&&str| label(key, "room_id") == room.upn && label(key, "role") == "core";
        let mut cores = infos.iter().filter(is_core).map(|key| label(key, "device_id").to_owned());
        cores.next().filter(|_| cores.next().is_none())
    };
    let rooms = exporter.sim.rooms().into_iter().filter(|room| users.contains(room.upn.as_str()));
    rooms.filter_map(|room| core_of(&room).map(|core| (room, core))).collect()
}

/// Every device of a room shows what its newest enrolment says; of people's laptops nothing is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_devices_of_rooms_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage_path = Some(folder.path().to_owned());
    let exporter =
        Exporter::start(Scenario { tenant: "managed", rooms: 60, storage_path, ..Scenario::every_source() })
            .await;
    let scrape = exporter.wait_for_every_source().await;
    let rows = enrolments(&exporter).await;
    // Intune writes serial numbers in capitals, the list of devices does not.
    let serial = |number: &str| number.to_lowercase();
    let mut newest: BTreeMap<String, &Value> = BTreeMap::new();
    for row in rows.iter().filter(|row| !is_laptop(row)) {
        let known = newest.entry(serial(text(row, "serialNumber"))).or_insert(row);
        if text(row, "lastSyncDateTime") > text(known, "lastSyncDateTime") {
            *known = row;
        }
    }
    let (mut managed, mut states) = (0, BTreeSet::new());
    for (key, _) in scrape.family("teams_rooms_device_info") {
        let device = of_device(label(key, "device_id"));
        let Some(row) = newest.get(&serial(label(key, "serial_number"))) else {
            assert_eq!(value(&scrape, INFO, &device), None, "{key} is not managed");
            continue;
        };
        managed += 1;
        states.insert(text(row, "complianceState"));
        let compliant = match text(row, "complianceState") {
            "compliant" => Some("1"),
            "unknown" | "configManager" => None,
            _ => Some("0"),
        };
        assert_eq!(value(&scrape, COMPLIANT, &device), compliant, "{row}");
        let last_sync: jiff::Timestamp = text(row, "lastSyncDateTime").parse().expect("a time");
        assert_eq!(value(&scrape, LAST_SYNC, &device), Some(last_sync.as_second().to_string().as_str()));
        for (family, member) in [(STORAGE, "totalStorageSpaceInBytes"), (FREE, "freeStorageSpaceInBytes")] {
            // Android rooms do not report what is free.
            let told = row[member].as_i64().filter(|bytes| *bytes > 0).map(|bytes| bytes.to_string());
            assert_eq!(value(&scrape, family, &device), told.as_deref());
        }
        let expiry: jiff::Timestamp =
            text(row, "managementCertificateExpirationDate").parse().expect("a time");
        assert_eq!(value(&scrape, EXPIRY, &device), Some(expiry.as_second().to_string().as_str()));
        let patch = row["androidSecurityPatchLevel"].as_str().map(|_| "1785888000"); // 2026-08-05
        assert_eq!(value(&scrape, PATCH, &device), patch, "{row}");
        let info = scrape.family(INFO).find(|(key, _)| key.contains(&device)).expect("managed").0;
        assert_eq!(label(info, "os"), text(row, "operatingSystem").to_lowercase());
        assert_eq!(label(info, "os_version"), text(row, "osVersion"));
        assert_eq!(
            (label(info, "room"), label(info, "room_id")),
            (label(key, "room"), label(key, "room_id"))
        );
    }
    assert_eq!(states.len(), 7, "{states:?}");
    assert_eq!(scrape.count(INFO), managed);
    let of_rooms = rows.iter().filter(|row| !is_laptop(row)).count();
    assert!(of_rooms > newest.len(), "some were enrolled twice");
    let items = scrape.collector("items", "managed", "intune").map(seconds);
    assert_eq!(items, i64::try_from(of_rooms).ok());

    let shown = [exporter.get("/metrics").await.1, exporter.get("/").await.1, exporter.log().join("\n")];
    exporter.stop().await;
    let kept = std::fs::read_to_string(folder.path().join("managed.json")).expect("kept");
    let personal = ["id", "deviceName", "serialNumber", "userPrincipalName", "userDisplayName", "userId"];
    let laptops: Vec<&Value> = rows.iter().filter(|row| is_laptop(row)).collect();
    assert!(laptops.len() > 1);
    let words = laptops.iter().flat_map(|row| personal.map(|member| text(row, member)));
    let names = rows.iter().map(|row| text(row, "deviceName"));
    for word in words.chain(names) {
        assert!(!word.is_empty() && !kept.contains(word), "{word} is kept");
        assert!(shown.iter().all(|text| !text.contains(word)), "{word} is shown");
    }
}

/// Rooms on Android report no free storage, and their system in several spellings. Only the list of every system has most of
/// these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_on_android_as_real_tenants_send_them() {
    let exporter = Exporter::start(Scenario { rooms: 24, ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    let rooms = rooms_with_core(&exporter, &before, &enrolments(&exporter).await);
    let systems = ["AndroidEnterprise", "AndroidForWork", "AndroidAOSP", "Android (AOSP)", "android aosp"];
    assert!(rooms.len() > systems.len(), "{} rooms", rooms.len());
    for ((_, core), system) in rooms.iter().zip(systems) {
        let real = json!({
            "operatingSystem": system, "managementAgent": "intuneAosp", "freeStorageSpaceInBytes": 0,
            "androidSecurityPatchLevel": "2025-05-05", "managementCertificateExpirationDate": "2027-02-03T04:05:06Z",
        });
        exporter.sim.edit(core, json!({"managedDevice": real}));
    }
    let never = json!({
        "operatingSystem": "Android", "androidSecurityPatchLevel": "0001-01-01",
        "managementCertificateExpirationDate": "9999-12-31T23:59:59.9999999Z",
    });
    let (_, undated) = &rooms[systems.len()];
    exporter.sim.edit(undated, json!({"managedDevice": never}));
    exporter.wait_until("the edit", |scrape| value(scrape, EXPIRY, &of_device(undated)).is_none()).await;
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    for ((_, core), system) in rooms.iter().zip(systems) {
        let device = of_device(core);
        let info = after.family(INFO).find(|(key, _)| key.contains(&device)).unwrap_or_default().0;
        assert_eq!(label(info, "os"), "android", "{system}");
        let free = value(&after, FREE, &device);
        assert!(free.is_none() && value(&after, STORAGE, &device).is_some(), "{free:?} is free");
        assert_eq!(value(&after, PATCH, &device), Some("1746403200"));
        assert_eq!(value(&after, EXPIRY, &device), Some("1801627506"));
    }
    assert_eq!(value(&after, PATCH, &of_device(undated)), None);
    assert!(value(&after, INFO, &of_device(undated)).is_some());
    assert_eq!(after.total(UNKNOWN, &[SYSTEM]), 0, "each is known");
    let items = |scrape: &Scrape| scrape.collector("items", "contoso", "intune");
    assert_eq!(items(&after), items(&before), "one that comes in two lists is one");
    exporter.stop().await;
}

/// A new system on a room's device is kept and counted, once in each reading; nothing is counted of people's devices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systems_that_are_not_known_count_for_rooms_alone() {
    let exporter = Exporter::start(Scenario { rooms: 24, ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    let rows = enrolments(&exporter).await;
    let rooms = rooms_with_core(&exporter, &before, &rows);
    let [(_, by_serial), (of_user, by_account), (_, usual), ..] = &rooms[..] else { panic!("few rooms") };
    let zephyr = json!({"managedDevice": {"operatingSystem": "Zephyr", "complianceState": "new"}});
    let laptop = rows.iter().find(|row| is_laptop(row)).expect("a laptop");
    exporter.sim.edit(text(laptop, "userId"), zephyr.clone());
    let with_laptop = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(with_laptop.total(UNKNOWN, &["field=\"managedDevice."]), 0);
    assert_eq!(with_laptop.keys(INFO), before.keys(INFO));

    exporter.sim.edit(by_serial, zephyr.clone());
    exporter.sim.edit(by_account, zephyr);
    exporter.sim.edit(by_account, json!({"managedDevice": {"serialNumber": "OTHER1"}}));
    exporter.sim.edit(usual, json!({"managedDevice": {"complianceState": "new"}}));
    let is_kept = |scrape: &Scrape| {
        let of = |part: &str| {
            scrape.family(INFO).find(|(key, _)| key.contains(part)).map(|(key, _)| label(key, "os"))
        };
        of(&of_device(by_serial)) == Some("unknown") && of(&of_account(of_user)) == Some("unknown")
    };
    exporter.wait_until("both with an unknown system", is_kept).await;

    // A filter that is ignored brings each of them three times.
    exporter.sim.set_faults(parse(&["ignore_filter@intune"]));
    let first = pass(&exporter, Duration::from_secs(1), ALL).await;
    exporter.sim.clear_requests();
    let lists =
        || exporter.sim.requests().iter().filter(|it| it.operation.ends_with("/managedDevices")).count();
    let last = exporter.wait_until("some readings", |_| lists() >= 30).await;
    let counted = |field: &str| last.total(UNKNOWN, &[field]) - first.total(UNKNOWN, &[field]);
    let readings = i64::try_from(lists() / 3 + 1).expect("a few");
    for (field, devices) in [(SYSTEM, 2), ("field=\"managedDevice.complianceState\"", 3)] {
        let counted = counted(field);
        assert!((1..=devices * readings).contains(&counted), "{counted} of {field} in {readings} readings");
    }
    assert!(is_kept(&last));
    exporter.stop().await;
}

/// Names that the list of devices squeezes are spelled as Intune spells one of them, also on devices that Intune does not
/// manage, and still after a restart without Intune.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn products_are_spelled_for_people() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = || Scenario { storage_path: Some(folder.path().to_owned()), ..Scenario::every_source() };
    // Its names are as in a shop; here they are what the test says.
    let settings =
        sim::Settings { rooms: 12, speed: 0.0, profile: Profile::Documented, ..sim::Settings::default() };
    let sim = Some(start_world(settings).await);
    let exporter = Exporter::start(Scenario { sim, ..scenario() }).await;
    let before = exporter.wait_for_every_source().await;
    let rooms = rooms_with_core(&exporter, &before, &enrolments(&exporter).await);
    let [managed, other, unmanaged, by_account, ..] =
        rooms[..].first_chunk::<4>().expect("rooms").each_ref().map(|it| &it.1);
    let listed = |core: &str, model: &str| {
        let hardware = json!({"hardwareDetail": {"manufacturer": "yealink", "model": model}});
        exporter.sim.edit(core, json!({"device": hardware}));
    };
    let spelled = |core: &str, more: Value| {
        exporter
            .sim
            .edit(core, json!({"managedDevice": {"manufacturer": "Yealink", "model": "MeetingBar A30"}}));
        exporter.sim.edit(core, json!({"managedDevice": more}));
    };
    let product = |scrape: &Scrape, core: &str| {
        let info = scrape.family(DEVICE).find(|(key, _)| key.contains(&of_device(core))).expect("a device").0;
        format!("{} {}", label(info, "manufacturer"), label(info, "model"))
    };
    // A record of the room's account may be of another device.
    listed(by_account, "meetingbara30");
    listed(unmanaged, "meetingbara30");
    spelled(by_account, json!({"serialNumber": "OTHER1"}));
    exporter.sim.edit(unmanaged, json!({"managedDevice": {"operatingSystem": "iOS"}}));
    exporter.wait_until("squeezed", |scrape| product(scrape, unmanaged) == "yealink meetingbara30").await;
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(product(&after, by_account), "yealink meetingbara30");

    spelled(managed, json!({}));
    listed(managed, "meetingbara30");
    let learned = |scrape: &Scrape| product(scrape, managed) == "Yealink MeetingBar A30";
    let after = exporter.wait_until("the spelling of Intune", learned).await;
    assert_eq!(product(&after, unmanaged), "Yealink MeetingBar A30");
    // Another spelling of the same, and a name that Intune does not have.
    listed(other, "meetingbara30");
    spelled(other, json!({"model": "Meetingbar-A30"}));
    listed(by_account, "core2kit");
    exporter.wait_until("another model", |scrape| product(scrape, by_account) == "Yealink core2kit").await;
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!([managed, other, unmanaged].map(|core| product(&after, core)), ["Yealink MeetingBar A30"; 3]);

    let sim = exporter.stop().await;
    sim.set_faults(parse(&["error503@intune"]));
    let exporter = Exporter::start(Scenario { sim: Some(sim), ..scenario() }).await;
    let restarted = exporter.wait_for_everything().await;
    assert_eq!([managed, unmanaged].map(|core| product(&restarted, core)), ["Yealink MeetingBar A30"; 2]);
    exporter.stop().await;
}

/// One reading takes a list of each system of rooms and one of every system, and asks for no name of a device or person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reading_takes_three_lists() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    exporter.wait_for_every_source().await;
    let requests = exporter.sim.requests();
    let lists = requests.iter().filter(|request| request.operation.ends_with("/managedDevices"));
    let lists: BTreeSet<&str> =
        lists.filter_map(|request| request.path.split_once('?')).map(|it| it.1).collect();
    let select = "$select=id,serialNumber,userId,userPrincipalName,manufacturer,model,operatingSystem,osVersion,complianceState,\
                  lastSyncDateTime,androidSecurityPatchLevel,managementCertificateExpirationDate,freeStorageSpaceInBytes,\
                  totalStorageSpaceInBytes";
    let of = |system: &str| format!("$filter=operatingSystem%20eq%20%27{system}%27&{select}");
    let expected = BTreeSet::from([of("Windows"), of("Android"), select.to_owned()]);
    assert_eq!(lists, expected.iter().map(String::as_str).collect());
    exporter.stop().await;
}

/// A serial number that is none, or that of several devices, joins nothing; the account does where it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serial_numbers_that_tell_nothing() {
    let exporter = Exporter::start(Scenario { rooms: 24, ..Scenario::every_source() }).await;
    let before = exporter.wait_for_every_source().await;
    let rows = enrolments(&exporter).await;
    let rooms = rooms_with_core(&exporter, &before, &rows);
    let edit = |core: &str, listed: Value, enrolled: Value| {
        exporter.sim.edit(core, json!({"device": {"hardwareDetail": {"serialNumber": listed}}}));
        exporter.sim.edit(core, json!({"managedDevice": {"serialNumber": enrolled}}));
    };
    let [none, spelled, filled, default, one, other, lost, ..] = &rooms[..] else { panic!("few rooms") };
    edit(&none.1, json!(null), json!("HA777X"));
    edit(&spelled.1, json!(" ha778x "), json!("HA778X"));
    edit(&filled.1, json!("To be filled by O.E.M."), json!("To Be Filled By O.E.M."));
    edit(&default.1, json!("0"), json!("0"));
    edit(&one.1, json!("TWICE1"), json!("TWICE1"));
    edit(&other.1, json!("TWICE1"), json!("TWICE1"));
    edit(&lost.1, json!("HA779X"), json!("somewhere else"));
    exporter.sim.edit(&lost.1, json!({"managedDevice": {"userId": "", "userPrincipalName": null}}));
    let person = rows.iter().find(|row| is_laptop(row)).expect("a laptop");
    exporter.sim.edit(text(person, "userId"), json!({"managedDevice": {"serialNumber": "0"}}));
    // Two rooms of one name are two series.
    for (room, _) in [none, default] {
        exporter.sim.edit_room(&room.upn, json!({"user": {"displayName": "Twin"}}));
    }
    let joined = |scrape: &Scrape| {
        let by_account = |room: &RoomFacts| {
            let part = format!("device_id=\"\",room=\"Twin\",room_id=\"{}\"", room.upn);
            value(scrape, INFO, &of_account(room)).or(value(scrape, INFO, &part)).is_some()
        };
        [none, filled, default, one, other]
            .into_iter()
            .all(|(room, core)| by_account(room) && value(scrape, INFO, &of_device(core)).is_none())
            && value(scrape, INFO, &of_device(&spelled.1)).is_some()
            && !by_account(&spelled.0)
            && value(scrape, INFO, &of_device(&lost.1)).is_none()
            && !by_account(&lost.0)
            && scrape.family(INFO).filter(|(key, _)| label(key, "room") == "Twin").count() >= 2
    };
    exporter.wait_until("joined by account", joined).await;
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert!(joined(&after));
    let (items, shown) = (after.collector("items", "contoso", "intune"), after.keys(INFO));
    let lines = after.text.lines().filter(|line| line.starts_with(INFO)).count();
    assert_eq!(lines, shown.len(), "no series comes twice");

    // A filter that is ignored brings everything twice, and a telephone besides.
    let telephone = json!({"operatingSystem": "iOS", "userId": none.0.user_id, "lastSyncDateTime": "2026-11-20T07:59:59Z"});
    exporter.sim.edit(text(person, "userId"), json!({"managedDevice": telephone}));
    exporter.sim.set_faults(parse(&["ignore_filter@intune"]));
    let ignored = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!((ignored.collector("items", "contoso", "intune"), ignored.keys(INFO)), (items, shown));
    exporter.stop().await;
}

/// What is left of replaced hardware does not stand beside the device that is there; what is managed no more leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leftovers_and_what_has_left() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    let rows = enrolments(&exporter).await;
    let rooms = rooms_with_core(&exporter, &before, &rows);
    let [(room, core), (_, leaving), ..] = &rooms[..] else { panic!("few rooms") };
    let laptop = rows.iter().find(|row| is_laptop(row)).expect("a laptop");
    let leftover = json!({"userId": room.user_id, "userPrincipalName": room.upn, "serialNumber": "OLD1"});
    exporter.sim.edit(text(laptop, "userId"), json!({"managedDevice": leftover}));
    exporter.sim.edit(leaving, json!({"managedDevice": {"operatingSystem": "iOS"}}));
    exporter.wait_until("one less", |scrape| value(scrape, INFO, &of_device(leaving)).is_none()).await;
    let after = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert!(
        value(&after, INFO, &of_device(core)).is_some() && value(&after, INFO, &of_account(room)).is_none()
    );
    // Where the device itself is not managed, the account speaks.
    exporter.sim.edit(core, json!({"managedDevice": {"operatingSystem": "iOS"}}));
    exporter.wait_until("the account's", |scrape| value(scrape, INFO, &of_account(room)).is_some()).await;
    exporter.stop().await;
}

async fn check_without_licence(fault: &'static str, enabled: Enabled, expected: &'static str) {
    let tenant = Box::leak(format!("unlicensed-{}-{expected}", fault.len()).into_boxed_str());
    let faults: &'static [&'static str] = Box::leak(Box::new([fault]));
    let configure = configured(move |config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.collectors.intune.enabled = enabled;
        }
    });
    let exporter = Exporter::start(Scenario { tenant, faults, configure, ..Scenario::default() }).await;
    exporter.wait_for_state("intune", expected).await;
    exporter.wait_for_everything().await;
    let during = exporter.wait_for_state("service_health", "ok").await;
    assert_eq!((during.state(tenant, "intune"), during.count(INFO)), (expected, 0));
    let is_loud =
        |line: &String| line.contains("collector=intune") && line.to_lowercase().contains("level=warn");
    if expected == "disabled" {
        assert!(!exporter.log().iter().any(is_loud), "{fault}");
    } else {
        exporter.wait_until("a warning", |_| exporter.log().iter().any(is_loud)).await;
    }
    exporter.sim.set_faults(Vec::new());
    exporter.wait_for_state("intune", "ok").await;
    exporter.stop().await;
}

/// A tenant that never had Intune is in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_licence_it_is_off_and_quiet() {
    for (fault, enabled, expected) in [
        ("no_intune", Enabled::Auto, "disabled"),
        ("no_intune=401", Enabled::Auto, "disabled"),
        ("no_source=intune", Enabled::Auto, "disabled"),
        ("no_intune", Enabled::Yes, "retired"),
        ("no_intune=401", Enabled::Yes, "forbidden"),
    ] {
        check_without_licence(fault, enabled, expected).await;
    }
}

/// What cannot be told from people's devices yet is dropped, and read again when the rooms are known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_are_found_later() {
    let faults = &["error503@devices", "error503@places", "error503@users"];
    let exporter = Exporter::start(Scenario { faults, ..Scenario::every_source() }).await;
    let early = exporter.wait_for_state("intune", "ok").await;
    assert_eq!((early.collector("items", "contoso", "intune"), early.count(INFO)), (Some(0.0), 0));
    exporter.sim.set_faults(Vec::new());
    exporter.wait_until("the devices of rooms", |scrape| scrape.count(INFO) > 10).await;
    exporter.stop().await;
}

/// Broken pages and records, new values and long silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_intune_gets_wrong() {
    let exporter = Exporter::start(Scenario::every_source()).await;
    let before = exporter.wait_for_every_source().await;
    exporter.sim.set_faults(parse(&["bad_record@intune"]));
    let skipped = |scrape: &Scrape| scrape.collector("skipped_items", "contoso", "intune");
    exporter.wait_until("a record skipped", |scrape| skipped(scrape).is_some_and(|count| count > 0.0)).await;
    exporter.sim.set_faults(parse(&["bad_record@intune=no_id"]));
    exporter.wait_until("a record without an id", |scrape| skipped(scrape) == Some(1.0)).await;
    let still = pass(&exporter, Duration::from_secs(1), ALL).await;
    assert_eq!(skipped(&still), Some(1.0), "one that comes in two lists is one");
    exporter.sim.set_faults(parse(&["broken_page@intune"]));
    let partial = exporter.wait_for_state("intune", "partial").await;
    assert_eq!(before.keys(INFO), partial.keys(INFO), "what is missing is kept");
    exporter.sim.set_faults(parse(&["new_enum@intune=100"]));
    let field = "field=\"managedDevice.complianceState\"";
    let unknown =
        exporter.wait_until("absent", |scrape| scrape.count(COMPLIANT) == 0 && scrape.count(INFO) > 0).await;
    assert!(unknown.total("teams_rooms_unknown_values_total", &[field]) > 0);
    exporter.sim.set_faults(parse(&["empty@intune"]));
    let empty = exporter.wait_for_state("intune", "empty").await;
    assert_eq!(before.keys(INFO), empty.keys(INFO), "nothing, after something was known, is doubted");
    exporter.sim.set_faults(parse(&["error503@intune"]));
    exporter.wait_for_state("intune", "unreachable").await;
    exporter.sim.advance(Duration::from_hours(7));
    let expired = exporter.wait_until("expired", |scrape| scrape.count(INFO) == 0).await;
    assert_eq!(expired.state("contoso", "intune"), "unreachable");
    exporter.sim.set_faults(parse(&["empty@intune"]));
    exporter.wait_until("believed", |scrape| scrape.state("contoso", "intune") == "ok").await;
    exporter.stop().await;
}
