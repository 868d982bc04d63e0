//! The two profiles side by side: `documented` stays as it is, and `real` differs from it in Intune, places and
//! calendars as captures do.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::directory::{PLACES, text};
use super::surroundings::{FRIDAY, MANAGED, items, question};
use super::{DEVICES, Tenant, documented, real};
use crate::sim::Settings;
use crate::sim::chance::Chance;

/// Each source with a digest of its answers at the start, and after a night and a morning. A failure shows the
/// digests of a change that is meant.
const DOCUMENTED: [(&str, [&str; 2]); 6] = [
    ("list of devices", ["843c39ef1cdfe850", "4a18a89f9c6bbed0"]),
    ("documents of devices", ["16f466d69ceab07a", "68f4d7c0ee3c1f74"]),
    ("Intune", ["deab3f004fc516e8", "7024148ef6d56683"]),
    ("places", ["9eea2993af3f0f5e", "9eea2993af3f0f5e"]),
    ("users", ["b59d28b5674ad3e6", "b59d28b5674ad3e6"]),
    ("calendars and presence", ["2091e7724f76d28c", "1029a92069e9f53a"]),
];

impl Tenant {
    /// The answers of every source in the order of [`DOCUMENTED`].
    async fn answers(&self) -> [String; 6] {
        let ids: Vec<String> = self.sim.rooms().into_iter().map(|room| room.user_id).collect();
        let mut schedules: Vec<_> = self.schedules(&self.upns(), FRIDAY).await.into_values().collect();
        schedules.sort_by_key(|schedule| schedule["scheduleId"].to_string());
        [
            json!(self.list("?$top=50").await).to_string(),
            self.documents().await,
            json!(self.all(&format!("{MANAGED}?$top=50")).await).to_string(),
            self.places().await,
            json!(self.all("/v1.0/users?$top=999").await).to_string(),
            json!([schedules, self.presences(&ids).await]).to_string(),
        ]
    }

    async fn documents(&self) -> String {
        let mut text = String::new();
        for id in self.sim.devices() {
            for document in ["", "/health", "/health?$expand=a", "/activity", "/configuration", "/operations"]
            {
                text += &self.get(&format!("{DEVICES}/{id}{document}")).await.text();
            }
        }
        text
    }

    async fn places(&self) -> String {
        let mut text = String::new();
        for path in ["room", "room?$top=1000&$count=true", "room?$top=10&$skip=20", "roomlist"] {
            text += &self.get(&format!("/v1.0/places/microsoft.graph.{path}")).await.text();
        }
        text
    }

    fn digest(&self, answer: &str) -> String {
        format!("{:016x}", Chance::seeded(0).named(&answer.replace(&self.sim.url(), "")).seed())
    }
}

#[tokio::test]
async fn the_documented_profile_stays_as_it_is() {
    let tenant = Tenant::with(documented()).await;
    let first = tenant.answers().await;
    tenant.sim.advance(Duration::from_mins(26 * 60 + 17));
    let second = tenant.answers().await;
    for ((name, expected), found) in DOCUMENTED.iter().zip(first.iter().zip(&second)) {
        assert_eq!([tenant.digest(found.0), tenant.digest(found.1)], *expected, "{name}");
    }
}

#[tokio::test]
async fn rooms_users_and_presence_are_the_same_in_both_profiles() {
    let (one, two) = (Tenant::with(real()).await, Tenant::with(documented()).await);
    assert_eq!(one.sim.rooms(), two.sim.rooms());
    assert_eq!(one.sim.devices(), two.sim.devices());
    assert_ne!(one.sim.admin(), one.sim.person());
    let ids: Vec<String> = one.sim.rooms().into_iter().map(|room| room.user_id).collect();
    for _ in 0..4 {
        assert_eq!(one.presences(&ids).await, two.presences(&ids).await);
        one.sim.advance(Duration::from_mins(50));
        two.sim.advance(Duration::from_mins(50));
    }
    let users = one.all("/v1.0/users?$top=999").await;
    assert_eq!(users, two.all("/v1.0/users?$top=999").await);
    let rooms: HashSet<String> = ids.into_iter().collect();
    let is_room = |user: &&Value| rooms.contains(text(user, "id"));
    assert!(
        users.iter().filter(is_room).all(|user| user["givenName"].is_null() && user["surname"].is_null())
    );
    let people: Vec<&Value> = users.iter().filter(|user| !user["jobTitle"].is_null()).collect();
    assert!(people.len() > 10);
    assert!(people.iter().all(|user| user["givenName"].is_string() && user["surname"].is_string()));
}

#[tokio::test]
async fn the_manual_names_the_profile() {
    for (settings, name) in [(real(), "real"), (documented(), "documented")] {
        let manual = Tenant::with(settings).await.get("/_sim/").await.text();
        assert!(manual.contains(&format!("\nprofile              {name}\n")), "{manual}");
    }
}

/// The records of Intune by id.
async fn managed(tenant: &Tenant) -> HashMap<String, Value> {
    let rows = tenant.all(MANAGED).await;
    rows.into_iter().map(|row| (text(&row, "id").to_owned(), row)).collect()
}

#[tokio::test]
async fn intune_describes_android_rooms_as_in_real_tenants_and_windows_as_before() {
    let start = documented().start + Duration::from_millis(420);
    let one = Tenant::with(Settings { start, ..real() }).await;
    let two = Tenant::with(Settings { start, ..documented() }).await;
    let (now, plain) = (one.sim.now(), managed(&two).await);
    let mut android = 0;
    for (id, row) in managed(&one).await {
        if text(&row, "operatingSystem") == "Windows" {
            assert_eq!(row, plain[&id]);
            continue;
        }
        android += 1;
        assert_eq!(text(&row, "operatingSystem"), "Android");
        for (member, value) in [
            ("managementAgent", json!("intuneAosp")),
            ("deviceEnrollmentType", json!("androidAOSPUserOwnedDeviceEnrollment")),
            ("freeStorageSpaceInBytes", json!(0)),
            ("physicalMemoryInBytes", json!(0)),
            ("wiFiMacAddress", json!("")),
            ("ethernetMacAddress", Value::Null),
            ("easActivationDateTime", json!("0001-01-01T00:00:00Z")),
            ("complianceGracePeriodExpirationDateTime", json!("9999-12-31T23:59:59Z")),
            ("jailBroken", json!("Unknown")),
        ] {
            assert_eq!(row.get(member), Some(&value), "{member}");
        }
        assert!(row["totalStorageSpaceInBytes"].as_i64() > Some(0));
        assert_eq!(text(&row, "androidSecurityPatchLevel").len(), 10);
        for time in ["managementCertificateExpirationDate", "enrolledDateTime", "lastSyncDateTime"] {
            let time: jiff::Timestamp = text(&row, time).parse().unwrap();
            assert_eq!(time.subsec_nanosecond(), 0);
            assert!(now.duration_since(time).as_hours() < 24 * 1_300);
        }
        let (room, enrolled) = text(&row, "deviceName").split_once("_AndroidAOSP_").unwrap();
        assert!(room.contains(' '), "{room}");
        let enrolled: Vec<&str> = enrolled.split(['/', '_', ':', ' ']).collect();
        assert!(matches!(enrolled[..], [_, _, year, _, _, "AM" | "PM"] if year.starts_with("20")), "{row}");
    }
    assert!(android > 40, "{android}");
    let fields = format!("{MANAGED}?$select=id,jailBroken,physicalMemoryInBytes,easActivationDateTime");
    assert!(one.get(&fields).await.rows().iter().any(|row| row["jailBroken"] == json!("Unknown")));
}

#[tokio::test]
async fn intune_and_devices_spell_the_same_hardware_in_two_ways() {
    let tenant = Tenant::with(real()).await;
    let squeezed = |text: &str| text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let records = managed(&tenant).await;
    let devices = tenant.list("?$top=50").await;
    let (mut joined, mut spelled) = (0, HashSet::new());
    for id in tenant.sim.rooms().into_iter().flat_map(|room| room.device_ids) {
        let row = devices.iter().find(|row| row["id"] == json!(id)).unwrap();
        let detail = &row["hardwareDetail"];
        let serial = text(detail, "serialNumber").to_uppercase();
        let record = records.values().find(|record| record["serialNumber"] == json!(serial)).unwrap();
        for member in ["manufacturer", "model"] {
            assert_eq!(squeezed(text(record, member)), text(detail, member));
        }
        spelled.insert(text(record, "model").to_owned());
        joined += usize::from(text(detail, "serialNumber") != serial);
    }
    assert!(joined > 60, "{joined}");
    assert!(spelled.contains("MeetingBar A30") && spelled.contains("ThinkSmart Core"), "{spelled:?}");
}

#[tokio::test]
async fn an_edit_of_a_managed_device_stays_on_top() {
    let tenant = Tenant::with(real()).await;
    let android = tenant.list("?$filter=deviceType%20eq%20'collaborationBar'").await;
    let room = tenant
        .sim
        .rooms()
        .into_iter()
        .find(|room| room.device_ids.iter().any(|id| android[0]["id"] == json!(id)));
    assert!(room.is_some(), "the bar is in a room");
    let edit =
        json!({"operatingSystem": "AndroidForWork", "freeStorageSpaceInBytes": 7, "jailBroken": "False"});
    tenant.sim.edit(text(&android[0], "id"), json!({"managedDevice": edit}));
    let records = managed(&tenant).await;
    let edited: Vec<&Value> =
        records.values().filter(|record| record["operatingSystem"] == json!("AndroidForWork")).collect();
    assert_eq!((edited.len(), &edited[0]["freeStorageSpaceInBytes"]), (1, &json!(7)));
    assert_eq!(edited[0]["jailBroken"], json!("False"));
}

#[tokio::test]
async fn places_come_by_the_hundred_and_some_lack_a_capacity() {
    let tenant = Tenant::with(Settings { rooms: 240, ..real() }).await;
    let mut places = Vec::new();
    for skip in [0, 100, 200] {
        let page = tenant.get(&format!("{PLACES}?$top=1000&$skip={skip}")).await;
        assert_eq!(page.next_link(), None);
        places.extend(page.rows());
        assert_eq!(
            places.len(),
            (skip + 100).min(248),
            "240 rooms and 12 without devices, of which 4 are hidden"
        );
    }
    let lacking = places.iter().filter(|place| place.get("capacity").is_none()).count();
    assert!((15..70).contains(&lacking), "{lacking}");
    assert!(places.iter().all(|place| place.get("capacity").is_none_or(Value::is_i64)));
    let place = places.iter().find(|place| place.get("capacity").is_none()).unwrap();
    tenant.sim.edit_room(text(place, "emailAddress"), json!({"place": {"capacity": 777}}));
    let filter =
        format!("{PLACES}?$filter=displayName%20eq%20'{}'", text(place, "displayName").replace(' ', "%20"));
    assert_eq!(tenant.get(&filter).await.rows()[0]["capacity"], json!(777));
}

/// The digit of a status in `availabilityView`.
fn digit(item: &Value) -> char {
    match text(item, "status") {
        "workingElsewhere" => '0',
        "tentative" => '1',
        "busy" => '2',
        "oof" => '3',
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn items_of_schedules_have_the_flags_of_exchange_and_no_location() {
    let tenant = Tenant::with(real()).await;
    let schedules = tenant.schedules(&tenant.upns(), FRIDAY).await;
    let mut flags: HashMap<&str, HashSet<bool>> = HashMap::new();
    let mut statuses = HashSet::new();
    for item in schedules.values().flat_map(items) {
        assert_eq!((item.as_object().unwrap().len(), text(item, "location")), (10, ""));
        for flag in ["isMeeting", "isRecurring", "isException", "isReminderSet", "isPrivate"] {
            flags.entry(flag).or_default().insert(item[flag].as_bool().unwrap());
        }
        assert!(item["isException"] != json!(true) || item["isRecurring"] == json!(true));
        statuses.insert(text(item, "status"));
    }
    assert!(flags.values().all(|seen| seen.len() == 2), "{flags:?}");
    assert_eq!(statuses, HashSet::from(["tentative", "busy", "oof", "workingElsewhere"]));
    let without_hours = schedules.values().filter(|schedule| schedule.get("workingHours").is_none()).count();
    assert!((3..30).contains(&without_hours), "{without_hours}");
}

#[tokio::test]
async fn working_elsewhere_is_free_in_the_view_of_availability() {
    let tenant = Tenant::with(real()).await;
    let schedules = tenant.schedules(&tenant.upns(), FRIDAY).await;
    let is_elsewhere = |item: &&Value| text(item, "status") == "workingElsewhere";
    let mut free = 0;
    for schedule in
        schedules.values().filter(|schedule| items(schedule).iter().any(|item| is_elsewhere(&item)))
    {
        for (half_hour, shown) in text(schedule, "availabilityView").chars().enumerate() {
            let at =
                |minutes: usize| format!("2026-11-20T{:02}:{:02}:00.0000000", minutes / 60, minutes % 60);
            let (from, until) = (at(half_hour * 30), at(half_hour * 30 + 30));
            let touching: Vec<&Value> = items(schedule)
                .iter()
                .filter(|item| text(&item["start"], "dateTime") < until.as_str())
                .filter(|item| text(&item["end"], "dateTime") > from.as_str())
                .collect();
            assert_eq!(touching.iter().map(|item| digit(item)).max().unwrap_or('0'), shown);
            free += usize::from(shown == '0' && touching.iter().any(is_elsewhere));
        }
    }
    assert!(free > 0, "an hour with nothing else");
}

#[tokio::test]
async fn a_schedule_that_fails_carries_a_response_code() {
    let tenant = Tenant::with(real()).await;
    let upns = tenant.upns();
    let asked = [upns[0].clone(), "nobody@contoso.example".to_owned()];
    let path = format!("/v1.0/users/{}/calendar/getSchedule", upns[0]);
    let rows = tenant.request("POST", &path, &question(&asked, FRIDAY).to_string()).await.rows();
    let failed = rows.iter().find(|row| text(row, "scheduleId").starts_with("nobody")).unwrap();
    assert_eq!(failed["error"]["responseCode"], json!("ErrorMailRecipientNotFound"));
}
