//! Devices as real tenants send them: the shape of every row, heartbeats, and the administrator.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::directory::text;
use super::{DEVICES, Tenant, documented, real};
use crate::sim::Settings;
use crate::sim::profile::whole_seconds;

const MODIFIED: &str = "lastModifiedDateTime";
const DOCUMENTS: [&str; 3] = ["health", "activity", "configuration"];

impl Tenant {
    async fn real() -> Self {
        Self::with(real()).await
    }

    /// All rows but the bare ones, which have hardly a member in either profile.
    async fn full_rows(&self) -> Vec<Value> {
        let mut rows = self.list("?$top=50").await;
        rows.retain(|row| row.get("notes").is_some());
        rows
    }

    async fn document(&self, id: &str, name: &str) -> Value {
        self.get(&format!("{DEVICES}/{id}/{name}")).await.json()
    }

    async fn is_connected(&self, id: &str) -> bool {
        self.document(id, "health").await["connection"]["connectionStatus"] == json!("connected")
    }

    /// When each device was last modified, by its id.
    async fn modified(&self) -> BTreeMap<String, String> {
        let rows = self.full_rows().await;
        rows.iter().map(|row| (text(row, "id").to_owned(), text(row, MODIFIED).to_owned())).collect()
    }

    fn now_text(&self) -> String {
        self.sim.now().to_string()
    }
}

fn is_android(row: &Value) -> bool {
    !["teamsRoom", "surfaceHub"].contains(&text(row, "deviceType"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// All members whose name ends so, at any depth, with their path.
fn members<'a>(value: &'a Value, ending: &str, path: &str, found: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                members(item, ending, &format!("{path}/{at}"), found);
            }
        }
        Value::Object(object) => {
            for (name, member) in object {
                let path = format!("{path}/{name}");
                members(member, ending, &path, found);
                if name.ends_with(ending) {
                    found.push((path, member));
                }
            }
        }
        _ => {}
    }
}

fn times(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    members(value, "DateTime", "", &mut found);
    found
}

fn is_lower(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn every_row_has_the_members_of_real_rows() {
    let tenant = Tenant::real().await;
    tenant.sim.advance(Duration::from_mins(20));
    let rows = tenant.full_rows().await;
    let mut states: HashMap<bool, HashSet<&str>> = HashMap::new();
    for row in &rows {
        assert_eq!(keys(row).len(), 12, "{row}");
        for unset in ["notes", "companyAssetTag", "createdBy"] {
            assert_eq!(row[unset], Value::Null, "{row}");
        }
        if !row["currentUser"].is_null() {
            assert_eq!(keys(&row["currentUser"]), ["displayName", "id", "userIdentityType"]);
        }
        states.entry(is_android(row)).or_default().insert(text(row, "activityState"));
    }
    assert_eq!(states[&true], HashSet::from(["unknown"]));
    assert_eq!(states[&false], HashSet::from(["idle", "busy", "unavailable"]));
    assert!(rows.iter().any(|row| row["currentUser"].is_object()));
}

#[tokio::test]
async fn hardware_is_spelled_as_real_rows_spell_it() {
    let tenant = Tenant::real().await;
    let mut adapters = HashSet::new();
    for row in tenant.full_rows().await {
        let detail = &row["hardwareDetail"];
        for squeezed in ["manufacturer", "model", "serialNumber"] {
            assert!(is_lower(text(detail, squeezed)), "{detail}");
        }
        let addresses: Vec<&str> = detail["macAddresses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|address| address.as_str().unwrap())
            .collect();
        if is_android(&row) {
            assert_eq!(detail["uniqueId"], detail["serialNumber"]);
            assert_eq!(addresses.len(), 1);
            assert!(is_hex(addresses[0].strip_prefix("ETHERNET:").unwrap(), 12), "{addresses:?}");
        } else {
            assert!(is_hex(text(detail, "uniqueId"), 64), "{detail}");
            let plain = addresses.iter().map(|address| address.strip_prefix("UNKNOWN:").unwrap());
            assert!(plain.clone().all(|plain| plain.len() == 17 && is_hex(&plain.replace(':', ""), 12)));
            assert_eq!(plain.collect::<HashSet<_>>().len(), addresses.len());
            adapters.insert(addresses.len());
        }
    }
    assert_eq!(adapters, HashSet::from([1, 2]));
}

#[tokio::test]
async fn a_row_of_the_list_is_the_device_and_can_be_filtered_for() {
    let tenant = Tenant::real().await;
    for row in tenant.full_rows().await {
        let mut device = tenant.get(&format!("{DEVICES}/{}", text(&row, "id"))).await.json();
        assert!(device.as_object_mut().unwrap().remove("@odata.context").is_some());
        assert_eq!(device, row);
        let unique = text(&row["hardwareDetail"], "uniqueId");
        assert_eq!(tenant.list(&format!("?$filter=hardwareDetail/uniqueId%20eq%20'{unique}'")).await, [row]);
    }
}

#[tokio::test]
async fn all_devices_of_a_room_share_its_account() {
    let tenant = Tenant::real().await;
    let rows = tenant.full_rows().await;
    let user = |id: &String| rows.iter().find(|row| row["id"] == json!(id)).map(|row| &row["currentUser"]);
    let mut shared = 0;
    for room in tenant.sim.rooms() {
        let users: Vec<&Value> =
            room.device_ids.iter().filter_map(user).filter(|it| it.is_object()).collect();
        assert!(users.iter().all(|user| user["id"] == json!(room.user_id) && *user == users[0]));
        shared += usize::from(users.len() > 1);
    }
    assert!(shared > 20, "{shared}");
}

#[tokio::test]
async fn times_are_whole_seconds_in_every_document() {
    let tenant = Tenant::real().await;
    let id = tenant.sim.devices().remove(0);
    tenant.sim.advance(Duration::from_millis(1_234));
    tenant.sim.edit(&id, json!({"health": {"@edited": true}, "device": {"@edited": true}}));
    let mut seen = 0;
    for id in tenant.sim.devices() {
        for document in ["", "health", "activity", "configuration", "operations"] {
            let body = tenant.document(&id, document).await;
            for (path, time) in times(&body).into_iter().filter(|(_, time)| !time.is_null()) {
                let time = time.as_str().unwrap();
                assert!(time.len() == 20 && time.ends_with('Z'), "{path} of {document}: {time}");
                seen += 1;
            }
        }
    }
    assert!(seen > 1_000, "{seen}");
}

#[tokio::test]
async fn an_administrator_is_the_author_of_some_documents_of_each_kind() {
    let tenant = Tenant::real().await;
    let rows = tenant.full_rows().await;
    let mut authors = vec![("row", rows.clone())];
    for name in DOCUMENTS {
        let mut documents = Vec::new();
        for row in &rows {
            documents.push(tenant.document(text(row, "id"), name).await);
        }
        authors.push((name, documents));
    }
    for (kind, documents) in authors {
        let named: Vec<&Value> =
            documents.iter().map(|document| &document["lastModifiedBy"]).filter(|by| !by.is_null()).collect();
        let share = documents.len() / 8..documents.len() / 2;
        assert!(share.contains(&named.len()), "{kind}: {} of {}", named.len(), documents.len());
        for by in named {
            assert_eq!((keys(by), &by["application"]), (vec!["application", "device", "user"], &Value::Null));
            let user = &by["user"];
            assert_eq!(keys(user), ["@odata.type", "displayName", "id", "userIdentityType"]);
            assert_eq!(text(user, "@odata.type"), "#microsoft.graph.teamworkUserIdentity");
            assert_eq!(text(user, "displayName"), tenant.sim.admin());
        }
    }
    let id = tenant.sim.rooms().remove(5).device_ids.remove(0);
    for operation in tenant.get(&format!("{DEVICES}/{id}/operations")).await.rows() {
        for by in ["createdBy", "lastActionBy"] {
            assert_eq!(operation[by]["user"]["displayName"], json!(tenant.sim.admin()), "{operation}");
        }
    }
}

#[tokio::test]
async fn connected_devices_have_heartbeats_each_at_its_own_pace() {
    let tenant = Tenant::real().await;
    let mut connected = HashSet::new();
    for id in tenant.modified().await.into_keys() {
        if tenant.is_connected(&id).await {
            connected.insert(id);
        }
    }
    assert!(connected.len() > 100, "{}", connected.len());
    let mut last = tenant.modified().await;
    let mut moved: HashMap<String, Vec<usize>> = HashMap::new();
    for minute in 0..60 {
        tenant.sim.advance(Duration::from_mins(1));
        let (now, modified) = (tenant.now_text(), tenant.modified().await);
        for (id, time) in &modified {
            assert!(*time >= last[id] && *time <= now, "{} became {time} at {now}", last[id]);
            if *time > last[id] {
                moved.entry(id.clone()).or_default().push(minute);
            }
        }
        last = modified;
    }
    // A few connections end within the hour.
    let beating = connected.iter().filter(|id| (12..=31).contains(&moved[*id].len())).count();
    assert!(beating * 10 > connected.len() * 9, "{beating} of {}: {moved:?}", connected.len());
    let rhythms: HashSet<&Vec<usize>> = moved.values().collect();
    assert!(rhythms.len() * 10 > connected.len() * 9, "{} rhythms", rhythms.len());
}

#[tokio::test]
async fn the_time_of_a_device_never_goes_back() {
    let tenant = Tenant::real().await;
    let mut last = tenant.modified().await;
    for _ in 0..250 {
        tenant.sim.advance(Duration::from_mins(17));
        let modified = tenant.modified().await;
        assert!(modified.iter().all(|(id, time)| *time >= last[id]));
        last = modified;
    }
}

#[tokio::test]
async fn the_same_seed_and_time_give_the_same_heartbeats() {
    let (one, two) = (Tenant::real().await, Tenant::real().await);
    let other = Tenant::with(Settings { seed: 2, ..real() }).await;
    one.sim.advance(Duration::from_mins(90));
    for _ in 0..9 {
        two.sim.advance(Duration::from_mins(10));
    }
    assert_eq!(one.full_rows().await, two.full_rows().await);
    let beats = |modified: BTreeMap<String, String>| modified.into_values().collect::<HashSet<_>>();
    other.sim.advance(Duration::from_mins(90));
    let (one, other) = (beats(one.modified().await), beats(other.modified().await));
    assert!(one.intersection(&other).count() < one.len() / 2);
}

#[tokio::test]
async fn the_heartbeat_of_a_lost_device_has_stopped() {
    let tenant = Tenant::real().await;
    let mut lost = 0;
    for id in tenant.modified().await.into_keys() {
        let connection = tenant.document(&id, "health").await["connection"].clone();
        if connection["connectionStatus"] == json!("disconnected") {
            let path = format!("{DEVICES}/{id}");
            assert_eq!(tenant.get(&path).await.json()[MODIFIED], connection[MODIFIED]);
            assert_eq!(tenant.document(&id, "health").await[MODIFIED], connection[MODIFIED]);
            tenant.sim.edit(&id, json!({"device": {"notes": "seen"}}));
            let edited = tenant.get(&path).await.json();
            assert_eq!(text(&edited, MODIFIED), tenant.now_text(), "an edit is a change all the same");
            lost += 1;
        }
    }
    assert!(lost >= 3, "{lost}");
}

#[tokio::test]
async fn an_edit_can_stop_and_start_the_heartbeat() {
    let tenant = Tenant::real().await;
    let room = tenant.sim.rooms().swap_remove(7);
    let path = format!("{DEVICES}/{}", room.device_ids[0]);
    let link = |status: &str| json!({"health": {"connection": {"connectionStatus": status}}});
    let offline = json!({"device": {"healthStatus": "offline"}});
    for (stop, start) in
        [(link("disconnected"), link("connected")), (offline, json!({"device": {"healthStatus": "healthy"}}))]
    {
        assert!(tenant.is_connected(&room.device_ids[0]).await);
        tenant.sim.edit(&room.device_ids[0], stop);
        let stopped = tenant.now_text();
        for _ in 0..30 {
            assert_eq!(text(&tenant.get(&path).await.json(), MODIFIED), stopped);
            tenant.sim.advance(Duration::from_mins(6));
        }
        tenant.sim.edit(&room.device_ids[0], start);
        assert_eq!(text(&tenant.get(&path).await.json(), MODIFIED), tenant.now_text());
        tenant.sim.advance(Duration::from_mins(6));
        let moved = tenant.get(&path).await.json();
        assert!(
            text(&moved, MODIFIED) > stopped.as_str() && text(&moved, MODIFIED) <= tenant.now_text().as_str()
        );
    }
}

/// A document without its authors, in whole seconds.
fn content(mut document: Value) -> Value {
    let members = document.as_object_mut().unwrap();
    for name in ["lastModifiedBy", "createdBy", "lastActionBy", "@odata.context"] {
        members.remove(name);
    }
    whole_seconds(&mut document);
    document
}

#[tokio::test]
async fn details_say_what_the_documented_ones_say_and_only_the_time_of_health_beats() {
    let (one, two) = (Tenant::real().await, Tenant::with(documented()).await);
    let mut beating = 0;
    for _ in 0..3 {
        for id in one.sim.devices() {
            for name in ["health", "health?$expand=peripheralsHealth", "activity", "configuration"] {
                let (mut real, mut plain) =
                    (content(one.document(&id, name).await), content(two.document(&id, name).await));
                if name.starts_with("health") && real[MODIFIED] != plain[MODIFIED] {
                    assert!(text(&real, MODIFIED) > text(&plain, MODIFIED));
                    beating += 1;
                    real[MODIFIED].take();
                    plain[MODIFIED].take();
                }
                assert_eq!(real, plain, "{name}");
            }
            let operations = one.document(&id, "operations").await["value"].clone();
            let plain = two.document(&id, "operations").await["value"].clone();
            let contents =
                |rows: &Value| rows.as_array().unwrap().iter().cloned().map(content).collect::<Vec<_>>();
            assert_eq!(contents(&operations), contents(&plain));
        }
        one.sim.advance(Duration::from_mins(71));
        two.sim.advance(Duration::from_mins(71));
    }
    assert!(beating > 500, "{beating}");
}

#[tokio::test]
async fn an_edit_stays_on_top_of_the_real_shape() {
    let tenant = Tenant::real().await;
    let id = tenant.sim.rooms().swap_remove(3).device_ids.swap_remove(0);
    let edits = json!({
        "device": {
            "notes": "edited",
            "activityState": "busy",
            MODIFIED: "2026-01-01T00:00:00.500Z",
            "currentUser": {"userPrincipalName": "edited@contoso.example"},
            "hardwareDetail": {"model": "Edited Model", "uniqueId": "Edited"},
            "lastModifiedBy": {"application": {"displayName": "Edited"}},
        },
        "health": {MODIFIED: "2026-01-01T00:00:00.500Z", "connection": {MODIFIED: "2026-01-02T00:00:00.500Z"}},
    });
    tenant.sim.edit(&id, edits.clone());
    tenant.set_faults(&["beating_connections"]);
    let found = tenant.list("?$filter=hardwareDetail/uniqueId%20eq%20'Edited'").await.remove(0);
    for pointer in [
        "/notes",
        "/activityState",
        "/lastModifiedDateTime",
        "/currentUser/userPrincipalName",
        "/hardwareDetail/model",
        "/lastModifiedBy/application",
    ] {
        assert_eq!(found.pointer(pointer), edits["device"].pointer(pointer), "{pointer}");
    }
    assert!(is_lower(text(&found["hardwareDetail"], "manufacturer")), "the rest stays");
    let health = tenant.document(&id, "health").await;
    assert_eq!(health[MODIFIED], edits["health"][MODIFIED]);
    assert_eq!(health["connection"][MODIFIED], edits["health"]["connection"][MODIFIED]);
}

#[tokio::test]
async fn a_person_in_a_room_has_a_name_and_no_user_principal_name() {
    let tenant = Tenant::real().await;
    tenant.set_faults(&["person_in_room"]);
    let rooms = tenant.sim.rooms();
    let is_of_room = |row: &Value| rooms.iter().any(|room| row["currentUser"]["id"] == json!(room.user_id));
    let of_rooms: HashSet<&String> = rooms.iter().flat_map(|room| &room.device_ids).collect();
    let mut rows = tenant.full_rows().await;
    rows.retain(|row| of_rooms.contains(&text(row, "id").to_owned()) && row["currentUser"].is_object());
    let people: Vec<&Value> = rows.iter().filter(|row| !is_of_room(row)).collect();
    assert_eq!(people.len(), 1);
    assert_eq!(keys(&people[0]["currentUser"]), ["displayName", "id", "userIdentityType"]);
}

#[tokio::test]
async fn connections_can_beat_while_their_states_stay() {
    for settings in [real(), documented()] {
        let tenant = Tenant::with(settings).await;
        let (mut moved, mut stood) = (0, 0);
        for id in tenant.sim.devices().into_iter().take(60) {
            tenant.set_faults(&[]);
            let plain = tenant.document(&id, "health").await;
            tenant.set_faults(&["beating_connections"]);
            let first = tenant.document(&id, "health").await;
            tenant.sim.advance(Duration::from_mins(6));
            let second = tenant.document(&id, "health").await;
            tenant.set_faults(&[]);
            let plain_again = tenant.document(&id, "health").await;
            let is_connected = plain["connection"]["connectionStatus"] == json!("connected");
            if times_of(&plain) != times_of(&plain_again) || plain["loginStatus"].is_null() {
                // Something happened within the six minutes, or the device is a bare one.
                continue;
            }
            assert_eq!(without_times(&plain), without_times(&first));
            assert_eq!(without_times(&plain), without_times(&second));
            let (first, second) = (times_of(&first), times_of(&second));
            assert!(!first.is_empty() && first.len() == second.len());
            assert!(first.iter().zip(&second).all(|((_, a), (_, b))| if is_connected {
                a < b
            } else {
                a == b
            }));
            moved += usize::from(is_connected);
            stood += usize::from(!is_connected);
        }
        assert!(moved > 40 && stood > 0, "{moved} {stood}");
    }
}

/// The times inside the document, without that of the document itself.
fn times_of(health: &Value) -> Vec<(String, String)> {
    let inside = times(health)
        .into_iter()
        .filter(|(path, _)| path.ends_with(MODIFIED) && *path != format!("/{MODIFIED}"));
    inside.map(|(path, time)| (path, time.as_str().unwrap_or_default().to_owned())).collect()
}

fn without_times(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_times).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != MODIFIED);
            kept.map(|(name, member)| (name.clone(), without_times(member))).collect()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn connections_of_a_share_of_devices_can_beat() {
    let tenant = Tenant::with(documented()).await;
    let ids = tenant.sim.devices();
    let beating = async |fault: &str| {
        let mut found = HashSet::new();
        for id in &ids {
            tenant.set_faults(&[]);
            let plain = tenant.document(id, "health").await;
            tenant.set_faults(&[fault]);
            if tenant.document(id, "health").await != plain {
                found.insert(id.clone());
            }
        }
        found
    };
    let (some, all) = (beating("beating_connections:0.3").await, beating("beating_connections").await);
    assert!(some.is_subset(&all) && (all.len() / 6..all.len() / 2).contains(&some.len()), "{}", some.len());
    assert!(all.len() * 10 > ids.len() * 8);
}
