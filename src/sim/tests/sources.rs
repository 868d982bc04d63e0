//! What all sources have in common: roles, faults that are about one of them, `$batch`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, DEVICES, Tenant, documented};
use crate::sim::Settings;

const PRESENCE: &str = "/v1.0/communications/getPresencesByUserId";

/// One list of every source that is read with GET, its role, and the code of the refusal without it.
const LISTS: &[(&str, &str, &str, &str)] = &[
    ("devices", DEVICES, "TeamworkDevice.Read.All", "Forbidden"),
    ("places", "/v1.0/places/microsoft.graph.room", "Place.Read.All", "ErrorAccessDenied"),
    ("users", "/v1.0/users", "User.Read.All", "Authorization_RequestDenied"),
    ("licenses", "/v1.0/subscribedSkus", "LicenseAssignment.Read.All", "Authorization_RequestDenied"),
    (
        "intune",
        "/v1.0/deviceManagement/managedDevices",
        "DeviceManagementManagedDevices.Read.All",
        "Forbidden",
    ),
    (
        "service_health",
        "/v1.0/admin/serviceAnnouncement/healthOverviews",
        "ServiceHealth.Read.All",
        "UnknownError",
    ),
    ("applications", "/v1.0/applications", "Application.Read.All", "Authorization_RequestDenied"),
];

impl Tenant {
    async fn statuses(&self) -> HashMap<&'static str, u16> {
        let mut statuses = HashMap::new();
        for (noun, path, ..) in LISTS {
            statuses.insert(*noun, self.get(path).await.status);
        }
        statuses.insert("presence", self.ask_presence().await.status);
        statuses.insert("calendar", self.ask_schedule().await.status);
        statuses
    }

    async fn ask_schedule(&self) -> Answer {
        let upn = self.sim.rooms().remove(0).upn;
        let body = json!({
            "schedules": [upn],
            "startTime": {"dateTime": "2026-11-20T00:00:00", "timeZone": "UTC"},
            "endTime": {"dateTime": "2026-11-21T00:00:00", "timeZone": "UTC"},
        });
        self.request("POST", &format!("/v1.0/users/{upn}/calendar/getSchedule"), &body.to_string()).await
    }

    async fn ask_presence(&self) -> Answer {
        let ids: Vec<String> = self.sim.rooms().into_iter().take(3).map(|room| room.user_id).collect();
        self.request("POST", PRESENCE, &json!({"ids": ids}).to_string()).await
    }
}

/// All sources answer 200 but those named.
#[track_caller]
fn check(statuses: &HashMap<&str, u16>, exceptions: &[(&str, u16)]) {
    for (noun, status) in statuses {
        let expected = exceptions.iter().find(|(known, _)| known == noun).map_or(200, |(_, status)| *status);
        assert_eq!(*status, expected, "{noun} {exceptions:?}");
    }
}

#[tokio::test]
async fn each_source_needs_its_role_and_says_so_in_its_own_words() {
    let mut tenant = Tenant::new().await;
    check(&tenant.statuses().await, &[]);
    for (noun, path, role, code) in LISTS {
        // Whoever may read the organisation may read its licences, too.
        let opens =
            |known: &&str| known == role || (*noun == "licenses" && *known == "Organization.Read.All");
        let others: Vec<&str> = crate::sim::token::ROLES.into_iter().filter(|known| !opens(known)).collect();
        tenant.sim.set_roles(&others);
        check(&tenant.statuses().await, &[]);
        tenant.token = tenant.sign_in().await;
        check(&tenant.statuses().await, &[(noun, 403)]);
        let refusal = tenant.get(path).await;
        assert_eq!(refusal.error_code(), *code);
        tenant.sim.set_roles(&crate::sim::token::ROLES);
        assert_eq!(tenant.get(path).await.status, 403, "old tokens stay as they are");
        tenant.token = tenant.sign_in().await;
    }
    for (noun, role) in [("presence", "Presence.Read.All"), ("calendar", "Calendars.ReadBasic.All")] {
        let others: Vec<&str> = crate::sim::token::ROLES.into_iter().filter(|known| *known != role).collect();
        tenant.sim.set_roles(&others);
        tenant.token = tenant.sign_in().await;
        check(&tenant.statuses().await, &[(noun, 403)]);
    }
    tenant.set_faults(&["exchange_rbac"]);
    check(&tenant.statuses().await, &[]);
    tenant.set_faults(&[]);
    tenant.sim.set_roles(&[]);
    tenant.token = tenant.sign_in().await;
    assert!(tenant.statuses().await.values().all(|status| *status == 403));
}

#[tokio::test]
async fn the_settings_decide_what_was_consented_to() {
    let roles = Some(vec!["Presence.Read.All".to_owned(), "Organization.Read.All".to_owned()]);
    let tenant = Tenant::with(Settings { roles, ..documented() }).await;
    let refused = ["devices", "places", "users", "calendar", "intune", "service_health", "applications"];
    check(&tenant.statuses().await, &refused.map(|noun| (noun, 403)));
    let refusal = tenant.get(DEVICES).await.text();
    assert!(refusal.contains("Roles on the request 'Presence.Read.All,Organization.Read.All'."), "{refusal}");
}

#[tokio::test]
async fn faults_of_one_source_leave_the_others_alone() {
    let tenant = Tenant::new().await;
    let nouns: Vec<&str> = LISTS.iter().map(|(noun, ..)| *noun).chain(["presence", "calendar"]).collect();
    for noun in nouns {
        for (fault, status) in [
            (format!("no_source={noun}"), 404),
            (format!("forbidden_source={noun}"), 403),
            (format!("error500@{noun}"), 500),
            (format!("throttle@{noun}=7"), 429),
            (format!("unauthorized@{noun}"), 401),
        ] {
            tenant.set_faults(&[&fault]);
            check(&tenant.statuses().await, &[(noun, status)]);
        }
    }
    tenant.set_faults(&["no_source=places", "no_source=users", "forbidden_source=presence"]);
    check(&tenant.statuses().await, &[("places", 404), ("users", 404), ("presence", 403)]);
    tenant.set_faults(&["china"]);
    check(&tenant.statuses().await, &[("presence", 404)]);
    tenant.set_faults(&["empty@users"]);
    assert!(tenant.get("/v1.0/users").await.rows().is_empty());
    assert!(!tenant.get(DEVICES).await.rows().is_empty());
}

#[tokio::test]
async fn a_slow_source_is_slow_in_batches_too() {
    let tenant = Tenant::new().await;
    tenant.set_faults(&["slow_source=users=300"]);
    let took = async |path: &str| {
        let started = Instant::now();
        if path.ends_with("$batch") {
            let item = json!({"id": "1", "method": "GET", "url": "/users?$top=1"});
            tenant.request("POST", path, &json!({"requests": [item]}).to_string()).await;
        } else {
            tenant.get(path).await;
        }
        started.elapsed()
    };
    let limit = Duration::from_millis(300);
    assert!(took("/v1.0/users?$top=1").await >= limit && took("/v1.0/$batch").await >= limit);
    assert!(took("/v1.0/subscribedSkus").await < limit);
}

#[tokio::test]
async fn batches_of_v1_hold_items_of_all_sources() {
    let tenant = Tenant::new().await;
    let ids: Vec<String> = tenant.sim.rooms().into_iter().take(2).map(|room| room.user_id).collect();
    let json = json!({"Content-Type": "application/json"});
    let requests = json!({"requests": [
        {"id": "place", "method": "GET", "url": "/places/microsoft.graph.room?$top=3&$count=true"},
        {"id": "user", "method": "GET", "url": format!("/users/{}?$select=id", ids[0])},
        {"id": "nobody", "method": "GET", "url": "/users/nobody@contoso.example"},
        {"id": "presence", "method": "POST", "url": "/communications/getPresencesByUserId",
         "headers": json, "body": {"ids": ids}},
    ]});
    let answer = tenant.request("POST", "/v1.0/$batch", &requests.to_string()).await.json();
    let responses = answer["responses"].as_array().unwrap();
    let item = |id: &str| responses.iter().find(|item| item["id"] == json!(id)).unwrap();
    assert_eq!(item("place")["body"]["value"].as_array().unwrap().len(), 3);
    assert_eq!(item("user")["body"]["id"], json!(ids[0]));
    assert_eq!(item("nobody")["status"], json!(404));
    assert_eq!(item("presence")["body"]["value"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn faults_of_data_and_pages_reach_the_new_lists() {
    let tenant = Tenant::new().await;
    let users = "/v1.0/users?$select=id,displayName,accountEnabled";
    let first = async |fault: &str, path: &str| {
        tenant.set_faults(&[fault]);
        tenant.get(path).await
    };
    assert!(first("nulls=100", users).await.rows().iter().all(|row| row["displayName"].is_null()));
    assert!(
        first("missing_members=100", users).await.rows().iter().all(|row| row.get("displayName").is_none())
    );
    assert!(first("bad_record=types", users).await.rows()[0]["displayName"].is_i64());
    assert!(first("bad_record=no_id", users).await.rows()[0].get("id").is_none());
    let link = first("loop_link", users).await.next_link().unwrap();
    assert!(link.ends_with(users));
    let link = first("relative_link", "/v1.0/places/microsoft.graph.room").await.next_link().unwrap();
    assert!(link.starts_with("/places/microsoft.graph.room?"), "{link}");
    assert_eq!(
        first("new_enum=100", "/v1.0/subscribedSkus").await.rows()[0]["capabilityStatus"],
        json!("Dormant")
    );
    let page = first("empty_page", users).await;
    let second = tenant.follow(&page.next_link().unwrap()).await;
    assert!(second.rows().is_empty() && second.next_link().is_some());
    let id = tenant.sim.rooms()[0].user_id.clone();
    assert_eq!(first("wrapped", &format!("/v1.0/users/{id}")).await.json()["value"]["id"], json!(id));
    let presence: Value = {
        tenant.set_faults(&["new_enum@presence=100"]);
        tenant.ask_presence().await.json()
    };
    assert_eq!(presence["value"][0]["activity"], json!("InAHologram"));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answers() {
    let (one, two) = (Tenant::new().await, Tenant::new().await);
    let other = Tenant::with(Settings { seed: 2, ..documented() }).await;
    for (noun, path, ..) in LISTS {
        let answer = one.get(path).await.json()["value"].clone();
        assert_eq!(answer, two.get(path).await.json()["value"]);
        let is_microsofts = ["licenses", "service_health"].contains(noun);
        assert!(is_microsofts || answer != other.get(path).await.json()["value"], "{noun}");
    }
    assert_eq!(one.ask_presence().await.json()["value"], two.ask_presence().await.json()["value"]);
}
