//! Places, users, licences and presence: documented shapes and limits, and what is odd about them in life.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{DEVICES, Tenant, documented};
use crate::sim::{CLIENT_ID, Settings};

pub(super) const PLACES: &str = "/v1.0/places/microsoft.graph.room";
const SELECT: &str = "$select=id,userPrincipalName,mail,accountEnabled,assignedLicenses,proxyAddresses";
const PRO: &str = "4cde982a-ede4-4409-9ae6-b003453c8ea6";

pub(super) fn text<'a>(row: &'a Value, member: &str) -> &'a str {
    row[member].as_str().unwrap_or_else(|| panic!("{member} of {row}"))
}

impl Tenant {
    /// All rows of a list that has links.
    pub(super) async fn all(&self, path: &str) -> Vec<Value> {
        let mut page = self.get(path).await;
        let mut rows = page.rows();
        while let Some(link) = page.next_link() {
            page = self.follow(&link).await;
            rows.extend(page.rows());
        }
        rows
    }

    pub(super) async fn presences(&self, ids: &[String]) -> Vec<Value> {
        let body = json!({"ids": ids}).to_string();
        self.request("POST", "/v1.0/communications/getPresencesByUserId", &body).await.rows()
    }

    pub(super) async fn presence(&self, id: &str) -> Value {
        self.presences(&[id.to_owned()]).await.remove(0)
    }
}

#[tokio::test]
async fn places_have_no_link_and_are_read_with_skip() {
    let tenant = Tenant::with(Settings { rooms: 240, ..documented() }).await;
    let first = tenant.get(PLACES).await;
    assert_eq!((first.rows().len(), first.next_link()), (100, None));
    assert!(first.json().get("@odata.count").is_none());
    let counted = tenant.get(&format!("{PLACES}?$top=999&$count=true")).await;
    // 240 rooms and 12 without devices, of which 4 are hidden.
    assert_eq!((counted.rows().len(), counted.json()["@odata.count"].clone()), (248, json!(248)));
    let mut ids = HashSet::new();
    for skip in [0, 100, 200, 300] {
        let rows = tenant.get(&format!("{PLACES}?$skip={skip}&$top=100")).await.rows();
        assert_eq!(rows.len(), [100, 100, 48, 0][skip / 100]);
        ids.extend(rows.iter().map(|row| text(row, "placeId").to_owned()));
    }
    assert_eq!(ids.len(), 248);
    tenant.set_faults(&["places_nextlink"]);
    assert_eq!(tenant.all(&format!("{PLACES}?$top=50")).await.len(), 248);
    tenant.set_faults(&["places_nextlink", "duplicate_places"]);
    let twice = tenant.all(&format!("{PLACES}?$top=100")).await;
    assert_eq!((twice.len(), &twice[0]), (249, &twice[248]));
}

#[tokio::test]
async fn places_differ_from_the_directory_in_the_documented_ways() {
    let tenant = Tenant::new().await;
    let places = tenant.get(&format!("{PLACES}?$top=1000")).await.rows();
    let users = tenant.all(&format!("/v1.0/users?$top=999&{SELECT}")).await;
    let by_mail: HashMap<String, &Value> =
        users.iter().map(|user| (text(user, "mail").to_lowercase(), user)).collect();
    let ids: HashSet<&str> = users.iter().map(|user| text(user, "id")).collect();
    let mut joined = 0;
    for place in &places {
        let user = by_mail[&text(place, "emailAddress").to_lowercase()];
        assert!(!ids.contains(text(place, "id")) && text(place, "id") != text(place, "placeId"));
        joined += usize::from(text(place, "emailAddress") != text(user, "userPrincipalName"));
        assert!(place["capacity"].is_i64() && place["address"]["city"].is_string());
        assert!(place["floorNumber"].is_i64() && place["floorLabel"].is_string());
    }
    assert!(joined >= 8, "mixed case and other addresses");
    assert_eq!(places.iter().filter(|place| place["building"].is_null()).count(), 2);
    assert!(places.iter().any(|place| place["geoCoordinates"].is_null()));
    assert!(places.iter().any(|place| place["geoCoordinates"]["latitude"].is_f64()));
    let listed: HashSet<String> =
        places.iter().map(|place| text(place, "emailAddress").to_lowercase()).collect();
    let rooms = tenant.sim.rooms();
    let accounts: HashSet<String> = rooms.iter().map(|room| room.user_id.clone()).collect();
    let hidden = rooms.iter().filter(|room| !place_of(&users, &room.user_id, &listed)).count();
    assert_eq!(hidden, 1);
    let bare = places
        .iter()
        .filter(|place| !accounts.contains(text(by_mail[&text(place, "emailAddress").to_lowercase()], "id")));
    assert_eq!(bare.count(), 3, "rooms without devices");
}

fn place_of(users: &[Value], id: &str, listed: &HashSet<String>) -> bool {
    let user = users.iter().find(|user| text(user, "id") == id).unwrap();
    listed.contains(text(user, "mail"))
}

#[tokio::test]
async fn room_lists_are_found_by_address_and_distribution_lists_are_none() {
    let tenant = Tenant::new().await;
    let lists = tenant.get("/v1.0/places/microsoft.graph.roomlist").await.rows();
    assert_eq!(lists.len(), 5);
    let path = |address: &str| format!("/v1.0/places/{address}/microsoft.graph.roomlist/rooms");
    let mut seen = HashMap::new();
    for list in &lists {
        for address in
            [text(list, "emailAddress").to_uppercase(), text(list, "emailAddress").replace('@', "%40")]
        {
            for room in tenant.get(&path(&address)).await.rows() {
                *seen.entry(text(&room, "placeId").to_owned()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(seen.len(), 62, "every listed room is in a list");
    assert!(seen.values().any(|times| *times == 4), "and some in two");
    for nothing in ["all-staff@contoso.example", CLIENT_ID] {
        let answer = tenant.get(&path(nothing)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "UnknownError"));
    }
}

#[tokio::test]
async fn users_give_only_what_is_selected() {
    let tenant = Tenant::new().await;
    let row = tenant.get("/v1.0/users?$top=1&$select=id,assignedLicenses").await.rows().remove(0);
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["assignedLicenses", "id"]);
    let basic = tenant.get("/v1.0/users?$top=1").await.rows().remove(0);
    assert_eq!(basic.as_object().unwrap().len(), 11);
    assert!(basic.get("accountEnabled").is_none() && basic.get("userPrincipalName").is_some());
    let id = text(&basic, "id").to_owned();
    let one = tenant.get(&format!("/v1.0/users/{id}?{SELECT}")).await.json();
    assert!(one["accountEnabled"].is_boolean() && one.get("displayName").is_none());
    let upn = text(&one, "userPrincipalName").to_uppercase().replace('@', "%40");
    assert_eq!(tenant.get(&format!("/v1.0/users/{upn}?{SELECT}")).await.json(), one);
    for nobody in [CLIENT_ID, "nobody@contoso.example"] {
        let answer = tenant.get(&format!("/v1.0/users/{nobody}")).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (404, "Request_ResourceNotFound"));
    }
}

#[tokio::test]
async fn users_come_in_pages_and_by_product() {
    let tenant = Tenant::with(Settings { rooms: 300, ..documented() }).await;
    let first = tenant.get("/v1.0/users").await;
    assert_eq!(first.rows().len(), 100);
    let everybody = tenant.all(&format!("/v1.0/users?{SELECT}&$top=7")).await;
    let has = |user: &Value, sku: &str| user["assignedLicenses"].to_string().contains(sku);
    let filtered = |skus: &[&str]| {
        let clauses: Vec<String> =
            skus.iter().map(|sku| format!("assignedLicenses/any(s:s/skuId%20eq%20{sku})")).collect();
        format!("/v1.0/users?{SELECT}&$top=999&$filter={}", clauses.join("%20or%20"))
    };
    let shared = "295a8eb0-f78d-45c7-8b5b-1eed5ed02dff";
    for skus in [vec![PRO], vec![shared], vec![PRO, shared], vec![CLIENT_ID]] {
        let found = tenant.all(&filtered(&skus)).await;
        let expected: Vec<&Value> =
            everybody.iter().filter(|user| skus.iter().any(|sku| has(user, sku))).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{skus:?}");
    }
    assert_eq!(tenant.get(&filtered(&[PRO; 16])).await.status, 400, "more than fifteen alternatives");
    for query in [
        "$top=1000",
        "$skip=5",
        "$filter=assignedLicenses/any(s:s/skuId%20eq%20'x')",
        "$filter=city%20eq%20'a'",
    ] {
        assert_eq!(tenant.get(&format!("/v1.0/users?{query}")).await.status, 400, "{query}");
    }
    let mail = text(&everybody[0], "mail");
    assert_eq!(tenant.all(&format!("/v1.0/users?$filter=mail%20eq%20'{mail}'")).await.len(), 1);
}

#[tokio::test]
async fn the_accounts_of_rooms_are_those_of_their_devices_and_not_all_in_order() {
    let tenant = Tenant::new().await;
    let mut found: HashMap<&str, usize> = HashMap::new();
    for room in tenant.sim.rooms() {
        let user = tenant.get(&format!("/v1.0/users/{}?{SELECT}", room.user_id)).await.json();
        assert_eq!(text(&user, "userPrincipalName"), room.upn);
        let licences = user["assignedLicenses"].as_array().unwrap().len();
        let mut count = |what: &'static str, is: bool| *found.entry(what).or_default() += usize::from(is);
        count("disabled", user["accountEnabled"] == json!(false));
        count("unlicensed", licences == 0);
        count("two licences", licences == 2);
        count("other address", user["mail"] != user["userPrincipalName"]);
        count("Pro", user["assignedLicenses"].to_string().contains(PRO));
        count("two addresses", user["proxyAddresses"].to_string().contains("smtp:room"));
    }
    let expected = [
        ("disabled", 1),
        ("unlicensed", 1),
        ("two licences", 1),
        ("other address", 3),
        ("Pro", 52),
        ("two addresses", 3),
    ];
    assert_eq!(found, HashMap::from(expected));
    let device = tenant.list("?$top=50").await.into_iter().find(|row| row["currentUser"]["id"].is_string());
    let id = device.unwrap()["currentUser"]["id"].as_str().unwrap().to_owned();
    assert_eq!(tenant.get(&format!("/v1.0/users/{id}")).await.status, 200);
}

#[tokio::test]
async fn units_are_counted_and_have_a_state() {
    let tenant = Tenant::new().await;
    let skus = tenant.get("/v1.0/subscribedSkus").await.rows();
    let everybody = tenant.all(&format!("/v1.0/users?{SELECT}&$top=999")).await;
    let mut states = HashSet::new();
    for sku in &skus {
        let id = text(sku, "skuId");
        let used = everybody.iter().filter(|user| user["assignedLicenses"].to_string().contains(id)).count();
        assert_eq!(sku["consumedUnits"], json!(used), "{sku}");
        states.insert(text(sku, "capabilityStatus").to_owned());
    }
    assert_eq!(states, ["Enabled", "Warning", "Suspended"].map(str::to_owned).into());
    assert_eq!(tenant.get("/v1.0/subscribedSkus?$filter=skuPartNumber%20eq%20'MCOCAP'").await.status, 400);
    let subscriptions = tenant.get("/v1.0/directory/subscriptions").await.rows();
    assert_eq!(subscriptions.len(), skus.len());
    let renewed = subscriptions.iter().filter(|row| row["nextLifecycleDateTime"].is_string()).count();
    assert_eq!(renewed, skus.len() - 1);
}

#[tokio::test]
async fn presence_takes_650_ids_and_leaves_out_whom_it_does_not_know() {
    let tenant = Tenant::with(Settings { rooms: 660, ..documented() }).await;
    let ids: Vec<String> = tenant.sim.rooms().into_iter().map(|room| room.user_id).collect();
    let found = tenant.presences(&ids[..650]).await;
    let unlicensed = 650 - found.len();
    assert!((9..=12).contains(&unlicensed), "{unlicensed}");
    assert!(tenant.presences(&[CLIENT_ID.to_owned(), "nonsense".to_owned()]).await.is_empty());
    let first = &found[0];
    assert!(first["statusMessage"]["message"]["content"].is_string());
    assert!(first["outOfOfficeSettings"]["message"].is_string());
    let path = "/v1.0/communications/getPresencesByUserId";
    for body in [json!({"ids": ids[..651]}), json!({"ids": []}), json!({}), json!([])] {
        assert_eq!(tenant.request("POST", path, &body.to_string()).await.status, 400);
    }
    assert_eq!(tenant.get(path).await.status, 405);
    tenant.set_faults(&["presence_missing:0.3"]);
    let fewer = tenant.presences(&ids[..650]).await;
    assert!((380..520).contains(&fewer.len()), "{}", fewer.len());
    assert_eq!(tenant.presences(&ids[..650]).await, fewer);
}

#[tokio::test]
async fn presence_has_documented_values_in_either_case() {
    let tenant = Tenant::new().await;
    let ids: Vec<String> = tenant.sim.rooms().into_iter().map(|room| room.user_id).collect();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for _ in 0..8 {
        for row in tenant.presences(&ids).await {
            seen.insert((text(&row, "availability").to_owned(), text(&row, "activity").to_owned()));
        }
        tenant.sim.advance(Duration::from_mins(61));
    }
    for expected in [
        ("Offline", "Offline"),
        ("Available", "Available"),
        ("AvailableIdle", "Available"),
        ("Away", "Away"),
        ("Busy", "InAMeeting"),
        ("Busy", "InACall"),
        ("Busy", "InAConferenceCall"),
        ("DoNotDisturb", "Presenting"),
    ] {
        assert!(seen.remove(&(expected.0.to_owned(), expected.1.to_owned())), "{expected:?}");
    }
    assert!(seen.is_empty(), "{seen:?}");
    tenant.set_faults(&["presence_camel"]);
    let camel = tenant.presences(&ids).await;
    assert!(camel.iter().all(|row| text(row, "activity").starts_with(char::is_lowercase)));
}

/// The core device of a room that has only one and is fine.
async fn healthy(tenant: &Tenant) -> (String, String) {
    for room in tenant.sim.rooms() {
        let presence = tenant.presences(std::slice::from_ref(&room.user_id)).await;
        let device = tenant.get(&format!("{DEVICES}/{}", room.device_ids[0])).await.json();
        let shown = presence.first().is_some_and(|presence| presence["activity"] == json!("Available"));
        if shown && device["healthStatus"] == json!("healthy") && room.device_ids.len() == 1 {
            return (room.user_id, room.device_ids[0].clone());
        }
    }
    panic!("no room is fine");
}

#[tokio::test]
async fn presence_follows_the_truth_while_the_report_of_the_device_lags() {
    let lag = Duration::from_mins(15);
    let tenant = Tenant::with(Settings { device_lag: lag, ..documented() }).await;
    let (account, device) = healthy(&tenant).await;
    let offline = json!({
        "device": {"healthStatus": "offline"},
        "health": {"connection": {"connectionStatus": "disconnected"}},
    });
    tenant.sim.edit(&device, offline);
    assert_eq!(tenant.presence(&account).await["availability"], json!("Offline"));
    let path = format!("{DEVICES}/{device}");
    assert_eq!(tenant.get(&path).await.json()["healthStatus"], json!("healthy"));
    tenant.sim.advance(Duration::from_mins(14));
    assert_eq!(tenant.get(&path).await.json()["healthStatus"], json!("healthy"));
    tenant.sim.advance(Duration::from_mins(1));
    assert_eq!(tenant.get(&path).await.json()["healthStatus"], json!("offline"));
    let health = tenant.get(&format!("{path}/health")).await.json();
    assert_eq!(health["connection"]["connectionStatus"], json!("disconnected"));
    tenant.sim.edit(&device, json!(null));
    assert_eq!(tenant.presence(&account).await["availability"], json!("Available"));
}

#[tokio::test]
async fn without_a_lag_presence_and_devices_agree() {
    let tenant = Tenant::new().await;
    let (mut offline, mut in_use) = (0, 0);
    for _ in 0..6 {
        for room in tenant.sim.rooms().into_iter().filter(|room| room.device_ids.len() == 1) {
            let device = tenant.get(&format!("{DEVICES}/{}", room.device_ids[0])).await.json();
            let Some(presence) = tenant.presences(&[room.user_id]).await.pop() else { continue };
            let is_offline = device["healthStatus"] == json!("offline") || device["currentUser"].is_null();
            assert_eq!(presence["availability"] == json!("Offline"), is_offline, "{device}");
            let is_call =
                ["InACall", "InAConferenceCall", "Presenting"].contains(&text(&presence, "activity"));
            assert_eq!(is_call, device["activityState"] == json!("busy") && !is_offline);
            offline += usize::from(is_offline);
            in_use += usize::from(is_call);
        }
        tenant.sim.advance(Duration::from_mins(67));
    }
    assert!(offline > 0 && in_use > 0);
}

#[tokio::test]
async fn a_living_panel_can_hide_a_dead_room() {
    let tenant = Tenant::new().await;
    let rooms = tenant.sim.rooms().into_iter().filter(|room| room.device_ids.len() > 1);
    let ids: Vec<String> = rooms
        .map(|room| {
            tenant.sim.edit(&room.device_ids[0], json!({"device": {"healthStatus": "offline"}}));
            room.user_id
        })
        .collect();
    let offline = |rows: &[Value]| rows.iter().filter(|row| row["activity"] == json!("Offline")).count();
    let plain = offline(&tenant.presences(&ids).await);
    tenant.set_faults(&["presence_masked"]);
    let masked = offline(&tenant.presences(&ids).await);
    assert!(plain > 20 && masked < 10, "{plain} {masked}");
}

#[tokio::test]
async fn edits_of_a_room_show_until_taken_back() {
    let tenant = Tenant::new().await;
    let room = tenant.sim.rooms().remove(0);
    let user = format!("/v1.0/users/{}?$select=accountEnabled", room.user_id);
    let control = format!("/_sim/rooms/{}", room.upn);
    let body = json!({
        "user": {"accountEnabled": "perhaps"},
        "presence": {"activity": "Dancing"},
        "place": {"capacity": 777},
    });
    let edited = tenant.request("PATCH", &control, &body.to_string()).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
    assert_eq!(tenant.get(&user).await.json()["accountEnabled"], json!("perhaps"));
    assert_eq!(tenant.presence(&room.user_id).await["activity"], json!("Dancing"));
    assert!(tenant.get(PLACES).await.text().contains("777"));
    tenant.sim.edit_room(&room.upn.to_uppercase(), json!(null));
    assert!(tenant.get(&user).await.json()["accountEnabled"].is_boolean());
    assert_eq!(tenant.request("PATCH", "/_sim/rooms/nobody", "{}").await.status, 404);
    let shown = tenant.get("/_sim/rooms").await.json();
    assert_eq!(shown[0]["user_id"], json!(room.user_id));
    assert!(shown[0]["licenses"].is_array() && shown[0]["enabled"].is_boolean());
}
