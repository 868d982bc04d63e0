//! One case per fault: what a client sees while it is on.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, DEVICES, Tenant, documented, real};
use crate::sim::fault_table;

const ROOMS: &str = "/beta/teamwork/devices?$top=50&$filter=deviceType%20eq%20'teamsRoom'";

/// What must be true of an answer.
type Holds = fn(&Answer) -> bool;

/// Faults that change one answer to the list, with what must be true of it.
const OF_THE_LIST: &[(&str, Holds)] = &[
    ("throttle", |it| {
        it.status == 429 && it.header("retry-after") == Some("1") && it.error_code() == "TooManyRequests"
    }),
    ("throttle=7", |it| it.status == 429 && it.header("retry-after") == Some("7")),
    ("throttle_fraction", |it| it.status == 429 && it.header("retry-after") == Some("0.3")),
    ("throttle_date", |it| {
        it.status == 429 && it.header("retry-after").is_some_and(|at| at.ends_with(" GMT"))
    }),
    ("throttle_bare", |it| it.status == 429 && it.header("retry-after").is_none()),
    ("error500", |it| it.status == 500 && it.error_code() == "InternalServerError"),
    ("error503", |it| it.status == 503),
    ("slow=50", |it| it.status == 200),
    ("truncated", |it| it.status == 200 && !it.complete && it.header("content-length").is_some()),
    ("truncated=chunked", |it| it.status == 200 && !it.complete && it.header("content-length").is_none()),
    ("html", |it| {
        it.status == 200 && it.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
    }),
    ("redirect=127.0.0.1:9", |it| {
        it.status == 302
            && it.header("location").is_some_and(|to| to.starts_with("http://127.0.0.1:9/beta/teamwork"))
    }),
    ("expired_token", |it| it.status == 401 && it.error_code() == "InvalidAuthenticationToken"),
    ("unauthorized", |it| it.status == 401),
    ("claims_challenge", |it| {
        it.status == 401
            && it.header("www-authenticate").is_some_and(|text| text.contains("insufficient_claims"))
    }),
    ("forbidden", |it| {
        it.status == 403
            && it.text().contains(
                "Missing role permissions on the request. API requires one of 'TeamworkDevice.Read.All",
            )
    }),
    ("forbidden_once_token", |it| it.status == 403 && it.text().contains("Roles on the request ''.")),
    ("retired", |it| it.status == 410),
    ("gone@device_list", |it| it.status == 410),
    ("short", |it| it.rows().len() == 35 && it.json()["@odata.count"] == json!(40)),
    ("short@devices=15", |it| it.rows().len() == 25 && it.json()["@odata.count"] == json!(40)),
    ("retired=404", |it| it.status == 404),
    ("retired=501", |it| it.status == 501),
    ("broken_type=teamsRoom", |it| it.status == 500),
    ("broken_type=sip", |it| it.status == 200),
    ("empty", |it| it.rows().is_empty() && it.next_link().is_none()),
    ("relative_link", |it| it.next_link().is_some_and(|link| link.starts_with("/teamwork/devices?$top=50&"))),
    ("relative_link=rooted", |it| {
        it.next_link().is_some_and(|link| link.starts_with("/beta/teamwork/devices?"))
    }),
    ("loop_link", |it| it.next_link().is_some_and(|link| link.ends_with(ROOMS))),
    ("foreign_link", |it| {
        it.next_link().is_some_and(|link| link.starts_with("http://elsewhere.example/beta/"))
    }),
    ("pascal_case", |it| all(it, "deviceType", "TeamsRoom") && it.text().contains("\"AadUser\"")),
    ("new_enum=100", |it| all(it, "activityState", "reserved") && all(it, "deviceType", "teamsRoom")),
    ("new_enum", |it| it.text().contains("needsAttention") && it.text().contains("healthy")),
    ("nulls=100", |it| all(it, "currentUser", Value::Null) && all(it, "deviceType", "teamsRoom")),
    ("nulls", |it| it.rows().iter().any(|row| row["healthStatus"].is_null() && row["id"].is_string())),
    ("missing_members", |it| it.rows().iter().any(|row| row.get("currentUser").is_none())),
    ("bad_time=100", |it| it.rows().iter().all(|row| !row["lastModifiedDateTime"].to_string().contains(':'))),
    ("bad_record=string", |it| it.rows()[0].is_string() && it.rows()[1].is_object()),
    ("bad_record=no_id", |it| it.rows()[0].get("id").is_none()),
    ("bad_record=types", |it| it.rows()[0]["healthStatus"] == json!(3)),
    ("deprecation", |it| {
        it.header("sunset") == Some("Mon, 08 Dec 2025 00:00:00 GMT") && it.header("deprecation").is_some()
    }),
    ("deprecation=2027-03-01", |it| it.header("sunset") == Some("Mon, 01 Mar 2027 00:00:00 GMT")),
    ("ignore_filter", |it| it.text().contains("teamsPanel")),
    ("shrink=100", |it| it.rows().is_empty()),
    ("shrink=30", |it| (18..36).contains(&it.rows().len())),
];

fn all(answer: &Answer, member: &str, value: impl Into<Value>) -> bool {
    let value = value.into();
    answer
        .rows()
        .iter()
        .filter(|row| row.get("notes").is_some() || value.is_null())
        .all(|row| row[member] == value)
}

#[tokio::test]
async fn each_fault_of_the_list_does_what_it_says_and_ends() {
    for settings in [documented(), real()] {
        let tenant = Tenant::with(settings).await;
        for (fault, holds) in OF_THE_LIST {
            tenant.set_faults(&[fault]);
            let answer = tenant.get(ROOMS).await;
            assert!(holds(&answer), "{fault}: {}\n{}", answer.head, answer.text());
            tenant.set_faults(&[]);
            assert_eq!(tenant.get(ROOMS).await.rows().len(), 40, "{fault} has ended");
        }
    }
}

/// The faults of the table that have a test of their own below.
const WITH_THEIR_OWN_TEST: &[&str] = &[
    "throttle_items",
    "stall",
    "reset",
    "broken_page",
    "empty_page",
    "frozen",
    "wrapped",
    "no_health",
    "beating_connections",
    "batch_missing_item",
    "token_error",
    "token_html",
    "token_slow",
    "drip",
    "page_count",
    "ignore_skip",
    "no_source",
    "forbidden_source",
    "slow_source",
    "china",
    "places_nextlink",
    "duplicate_places",
    "presence_camel",
    "presence_missing",
    "presence_masked",
    "exchange_rbac",
    "restricted_mailbox",
    "dead_mailbox",
    "person_in_room",
    "no_intune",
    "teams_incident",
    "teams_advisory",
];

#[test]
fn every_fault_is_tested() {
    let in_list = OF_THE_LIST.iter().map(|(fault, _)| fault.split(['=', '@']).next().unwrap());
    let tested: HashSet<&str> = in_list.chain(WITH_THEIR_OWN_TEST.iter().copied()).collect();
    assert_eq!(tested, fault_table().iter().map(|(name, _)| *name).collect());
}

#[tokio::test]
async fn a_rate_hits_a_share_of_requests() {
    let tenant = Tenant::new().await;
    tenant.set_faults(&["throttle:0.25"]);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(tenant.get(ROOMS).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200, 200, 200, 429]);
}

#[tokio::test]
async fn reset_and_stall_give_no_answer() {
    let tenant = Tenant::new().await;
    let headers = format!("Authorization: Bearer {}\r\n", tenant.token);
    tenant.set_faults(&["reset"]);
    assert!(tenant.send("GET", ROOMS, &headers, "").await.is_none());
    tenant.set_faults(&["stall"]);
    let waiting = tenant.send("GET", ROOMS, &headers, "");
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    assert!(tenant.sim.requests().iter().rev().take(2).all(|request| request.status == 0));
}

#[tokio::test]
async fn a_body_can_come_byte_by_byte() {
    let tenant = Tenant::new().await;
    tenant.set_faults(&["drip@devices=0"]);
    assert_eq!(tenant.get(&format!("{DEVICES}?$top=1")).await.rows().len(), 1);
    tenant.set_faults(&["drip@device_health=60000"]);
    assert_eq!(tenant.get(ROOMS).await.rows().len(), 40);
    let urls = [format!("/teamwork/devices/{}/health", tenant.sim.devices()[0])];
    assert!(tokio::time::timeout(Duration::from_millis(200), tenant.batch(&urls)).await.is_err());
}

/// Both are known of places.
#[tokio::test]
async fn places_can_count_a_page_and_ignore_skip() {
    let tenant = Tenant::new().await;
    let page = async |skip: usize| {
        let url = format!("/v1.0/places/microsoft.graph.room?$top=10&$count=true&$skip={skip}");
        let answer = tenant.get(&url).await;
        let count = answer.json()["@odata.count"].as_u64().expect("a count");
        (answer.rows()[0]["placeId"].clone(), count)
    };
    let (first, all) = page(0).await;
    let (eleventh, _) = page(10).await;
    assert!(first != eleventh && all > 20);
    tenant.set_faults(&["ignore_skip"]);
    assert_eq!(page(10).await, (first, all));
    tenant.set_faults(&["page_count"]);
    assert_eq!(page(10).await, (eleventh, 10));
}

/// A fault that names a source strikes the items of a batch that read from it, and no others.
#[tokio::test]
async fn an_item_has_the_faults_of_its_source() {
    let tenant = Tenant::new().await;
    let urls: Vec<String> =
        tenant.sim.devices().iter().take(4).map(|id| format!("/teamwork/devices/{id}/health")).collect();
    for (fault, status) in
        [("error500", 500), ("throttle_bare", 429), ("throttle=7", 429), ("html", 200), ("gone", 410)]
    {
        let (name, value) =
            fault.split_once('=').map_or((fault, String::new()), |(name, value)| (name, format!("={value}")));
        for (source, struck) in [("device_health", true), ("devices", true), ("device_list", false)] {
            tenant.set_faults(&[&format!("{name}@{source}{value}")]);
            let answer = tenant.batch(&urls).await;
            assert_eq!(answer.status, 200);
            for item in answer.json()["responses"].as_array().unwrap() {
                let is_struck = item["status"] == json!(status) && item["body"]["id"].is_null();
                assert_eq!(is_struck, struck, "{fault} of {source}: {item}");
            }
        }
    }
    tenant.set_faults(&["short@device_health"]);
    assert_eq!(tenant.batch(&urls).await.json()["responses"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_new_token_ends_what_ends_with_a_new_token() {
    for (fault, status) in [("expired_token", 401), ("forbidden_once_token", 403)] {
        let mut tenant = Tenant::new().await;
        tenant.set_faults(&[fault]);
        assert_eq!(tenant.get(ROOMS).await.status, status);
        assert_eq!(tenant.get(ROOMS).await.status, status);
        tenant.token = tenant.sign_in().await;
        assert_eq!(tenant.get(ROOMS).await.status, 200);
    }
}

#[tokio::test]
async fn a_batch_fails_in_its_items_and_not_as_a_whole() {
    let tenant = Tenant::new().await;
    let urls: Vec<String> =
        tenant.sim.devices().iter().take(4).map(|id| format!("/teamwork/devices/{id}/health")).collect();
    for (fault, status) in [("throttle_items", 429), ("forbidden", 403), ("retired", 410), ("no_health", 404)]
    {
        tenant.set_faults(&[fault]);
        let answer = tenant.batch(&urls).await;
        let responses = answer.json()["responses"].as_array().unwrap().clone();
        assert_eq!((answer.status, responses.len()), (200, 4));
        for item in responses {
            assert_eq!(item["status"], json!(status), "{fault}");
            assert_eq!(item["headers"].get("Retry-After").is_some(), status == 429);
            assert!(item["body"]["error"]["code"].is_string());
        }
    }
    for (fault, status) in [("throttle", 429), ("unauthorized", 401), ("error503", 503)] {
        tenant.set_faults(&[fault]);
        assert_eq!(tenant.batch(&urls).await.status, status, "{fault}");
    }
    tenant.set_faults(&["batch_missing_item"]);
    assert_eq!(tenant.batch(&urls).await.json()["responses"].as_array().unwrap().len(), 3);
    tenant.set_faults(&["throttle_items:0.5"]);
    let half = tenant.batch(&urls).await.json();
    let throttled = half["responses"].as_array().unwrap().iter().filter(|item| item["status"] == json!(429));
    assert_eq!(throttled.count(), 2);
}

#[tokio::test]
async fn later_pages_can_break_and_middle_pages_can_be_empty() {
    let tenant = Tenant::new().await;
    tenant.set_faults(&["broken_page"]);
    let first = tenant.get(ROOMS).await;
    assert!(!first.rows().is_empty());
    assert_eq!(tenant.follow(&first.next_link().unwrap()).await.status, 500);
    tenant.set_faults(&["empty_page"]);
    let first = tenant.get(ROOMS).await;
    let second = tenant.follow(&first.next_link().unwrap()).await;
    assert!(second.rows().is_empty());
    let third = tenant.follow(&second.next_link().unwrap()).await;
    assert!(!third.rows().is_empty());
    assert_eq!(first.rows().len() + third.rows().len(), 40);
}

#[tokio::test]
async fn frozen_data_do_not_move() {
    for settings in [documented(), real()] {
        let tenant = Tenant::with(settings).await;
        tenant.set_faults(&["frozen"]);
        let before = tenant.get(ROOMS).await.json();
        tenant.sim.advance(Duration::from_hours(30));
        assert_eq!(tenant.get(ROOMS).await.json(), before);
        tenant.set_faults(&[]);
        assert_ne!(tenant.get(ROOMS).await.json(), before);
    }
}

#[tokio::test]
async fn wrapped_entities_are_wrapped_and_lists_are_not() {
    let tenant = Tenant::new().await;
    let id = tenant.sim.devices().remove(0);
    tenant.set_faults(&["wrapped"]);
    for document in ["", "/health", "/activity", "/configuration"] {
        let body = tenant.get(&format!("{DEVICES}/{id}{document}")).await.json();
        assert_eq!(body["value"]["id"], json!(id));
        assert_eq!(body.as_object().unwrap().len(), 1);
    }
    assert_eq!(tenant.get(ROOMS).await.rows().len(), 40);
}

#[tokio::test]
async fn some_devices_can_lack_health() {
    let tenant = Tenant::new().await;
    tenant.set_faults(&["no_health:0.3"]);
    let mut missing = 0;
    let devices = tenant.sim.devices();
    for id in &devices {
        let first = tenant.get(&format!("{DEVICES}/{id}/health")).await.status;
        assert_eq!(
            tenant.get(&format!("{DEVICES}/{id}/health")).await.status,
            first,
            "always the same devices"
        );
        missing += usize::from(first == 404);
    }
    assert!((devices.len() / 6..devices.len() / 2).contains(&missing), "{missing}");
}

#[tokio::test]
async fn the_token_endpoint_has_faults_of_its_own() {
    let tenant = Tenant::new().await;
    for (fault, status, error) in [
        ("token_error", 401, "invalid_client"),
        ("token_error=7000222", 401, "invalid_client"),
        ("token_error=700016", 400, "unauthorized_client"),
        ("token_error=90033", 503, "temporarily_unavailable"),
        ("token_error=12345", 400, "invalid_request"),
    ] {
        tenant.set_faults(&[fault]);
        let answer = tenant.ask_for_token(&[]).await;
        assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{fault}");
        assert_eq!(tenant.get(ROOMS).await.status, 200, "Graph goes on");
    }
    tenant.set_faults(&["token_html"]);
    assert!(tenant.ask_for_token(&[]).await.text().starts_with("<!DOCTYPE html>"));
    tenant.set_faults(&["token_slow=300"]);
    assert!(tokio::time::timeout(Duration::from_millis(100), tenant.ask_for_token(&[])).await.is_err());
    tenant.set_faults(&["slow=300"]);
    assert!(tokio::time::timeout(Duration::from_millis(100), tenant.get(ROOMS)).await.is_err());
}
