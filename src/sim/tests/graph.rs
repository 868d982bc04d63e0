//! The documented behaviour of token endpoint, list, entities and `$batch`.

use std::collections::HashSet;
use std::io::Read as _;

use serde_json::{Value, json};

use super::{DEVICES, Tenant};
use crate::sim::{CLIENT_ID, Settings, TENANT_ID};

#[tokio::test]
async fn a_token_has_the_shape_and_the_claims_of_entra() {
    let tenant = Tenant::new().await;
    let answer = tenant.ask_for_token(&[]).await;
    let token = answer.json();
    assert_eq!((answer.status, &token["token_type"]), (200, &json!("Bearer")));
    assert_eq!((&token["expires_in"], &token["ext_expires_in"]), (&json!(3599), &json!(3599)));
    let text = token["access_token"].as_str().unwrap();
    assert_eq!(text.split('.').count(), 3);
    assert_eq!(tenant.sim.tokens(), [tenant.token.clone(), text.to_owned()]);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_the_words_of_entra() {
    let tenant = Tenant::new().await;
    for (change, status, error, code) in [
        (("client_secret", "wrong"), 401, "invalid_client", 7_000_215),
        (("client_secret", ""), 401, "invalid_client", 7_000_218),
        (("client_id", TENANT_ID), 400, "unauthorized_client", 700_016),
        (("scope", "openid"), 400, "invalid_scope", 70_011),
        (("grant_type", "password"), 400, "unsupported_grant_type", 70_003),
    ] {
        let answer = tenant.ask_for_token(&[change]).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["error"], &body["error_codes"]),
            (status, &json!(error), &json!([code]))
        );
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        for member in ["timestamp", "trace_id", "correlation_id", "error_uri"] {
            assert!(body[member].is_string(), "{member}");
        }
    }
}

#[tokio::test]
async fn only_this_tenant_and_only_post_get_tokens() {
    let tenant = Tenant::new().await;
    let other = tenant.send("POST", &format!("/{CLIENT_ID}/oauth2/v2.0/token"), "", "").await.unwrap();
    assert_eq!(other.json()["error_codes"], json!([90_002]));
    let get = tenant.send("GET", &format!("/{TENANT_ID}/oauth2/v2.0/token"), "", "").await.unwrap();
    assert_eq!(get.status, 405);
}

#[tokio::test]
async fn nothing_is_told_without_a_token() {
    let tenant = Tenant::new().await;
    for headers in ["", "Authorization: Bearer nonsense\r\n", "Authorization: Basic abc\r\n"] {
        let answer = tenant.send("GET", DEVICES, headers, "").await.unwrap();
        assert_eq!((answer.status, answer.error_code().as_str()), (401, "InvalidAuthenticationToken"));
        assert!(answer.json()["error"]["innerError"]["request-id"].is_string());
    }
}

#[tokio::test]
async fn pages_follow_one_another_and_are_complete() {
    let tenant = Tenant::new().await;
    let first = tenant.get(DEVICES).await;
    assert_eq!(first.rows().len(), 20);
    assert_eq!(first.json()["@odata.count"], json!(20));
    let second = tenant.follow(&first.next_link().unwrap()).await;
    assert!(second.json().get("@odata.count").is_none());
    for query in ["", "?$top=1", "?$top=50", "?%24top=7"] {
        let rows = tenant.list(query).await;
        let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, tenant.sim.devices(), "{query}");
    }
}

#[tokio::test]
async fn a_filter_keeps_what_it_names() {
    let tenant = Tenant::new().await;
    let count =
        |rows: &[Value], kind: &str| rows.iter().filter(|row| row["deviceType"] == json!(kind)).count();
    let all = tenant.list("?$top=50").await;
    for (filter, kinds) in [
        ("deviceType eq 'teamsRoom'", vec!["teamsRoom"]),
        ("deviceType%20eq%20%27TeamsRoom%27", vec!["teamsRoom"]),
        ("deviceType+eq+'TEAMSPANEL'", vec!["teamsPanel"]),
        ("deviceType eq 'sip' or deviceType eq 'surfaceHub'", vec!["sip", "surfaceHub"]),
        ("deviceType eq 'sipAnalog'", vec![]),
    ] {
        let rows = tenant.list(&format!("?$top=3&$filter={}", filter.replace(' ', "%20"))).await;
        let expected: usize = kinds.iter().map(|kind| count(&all, kind)).sum();
        assert_eq!(rows.len(), expected, "{filter}");
        assert!(kinds.iter().all(|kind| count(&rows, kind) > 0), "{filter}");
    }
}

#[tokio::test]
async fn a_filter_finds_an_account_and_a_serial_device() {
    let tenant = Tenant::new().await;
    let all = tenant.list("?$top=50").await;
    let one = all.iter().find(|row| row["currentUser"]["id"].is_string()).unwrap();
    for (property, value) in [
        ("currentUser/id", &one["currentUser"]["id"]),
        ("hardwareDetail/uniqueId", &one["hardwareDetail"]["uniqueId"]),
    ] {
        let rows = tenant.list(&format!("?$filter={property}%20eq%20'{}'", value.as_str().unwrap())).await;
        assert!(rows.contains(one), "{property}");
    }
}

#[tokio::test]
async fn mistakes_in_the_query_are_400() {
    let tenant = Tenant::new().await;
    for query in [
        "?$top=51",
        "?$top=0",
        "?$top=x",
        "?$orderby=id",
        "?$expand=health",
        "?$skip=5",
        "?top=5",
        "?$search=a",
        "?$filter=deviceType%20ne%20'sip'",
        "?$filter=deviceType%20eq%20'bar'",
        "?$filter=notes%20eq%20'a'",
        "?$skiptoken=abc",
        "?$select=nonsense",
        "?$top=5&$top=5",
    ] {
        let answer = tenant.get(&format!("{DEVICES}{query}")).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (400, "BadRequest"), "{query}");
    }
    let answer = tenant.get(&format!("{DEVICES}?$top=51")).await;
    assert_eq!(
        answer.json()["error"]["message"],
        json!("The limit of '50' for Top query has been exceeded.")
    );
}

#[tokio::test]
async fn a_skiptoken_belongs_to_its_filter_and_must_stay_encoded() {
    let tenant = Tenant::new().await;
    let link =
        tenant.get(&format!("{DEVICES}?$filter=deviceType%20eq%20'teamsRoom'")).await.next_link().unwrap();
    assert_eq!(tenant.follow(&link).await.status, 200);
    assert_eq!(tenant.follow(&link.replace("teamsRoom", "teamsPanel")).await.status, 400);
    assert_eq!(tenant.follow(&link.replace("%2B", "+")).await.status, 400);
}

#[tokio::test]
async fn select_leaves_only_what_was_asked_for() {
    let tenant = Tenant::new().await;
    let row = tenant.get(&format!("{DEVICES}?$top=1&$select=id,healthStatus")).await.rows().remove(0);
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["healthStatus", "id"]);
}

#[tokio::test]
async fn every_document_of_every_device_is_served_bare() {
    let tenant = Tenant::new().await;
    for id in tenant.sim.devices() {
        for document in ["", "/health", "/activity", "/configuration"] {
            let answer = tenant.get(&format!("{DEVICES}/{id}{document}")).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["id"]), (200, &json!(id)), "{document}");
            assert!(body["@odata.context"].as_str().unwrap().contains("/beta/$metadata#teamwork/devices"));
        }
        let operations = tenant.get(&format!("{DEVICES}/{id}/operations")).await.rows();
        for operation in operations {
            let path = format!("{DEVICES}/{id}/operations/{}", operation["id"].as_str().unwrap());
            assert_eq!(tenant.get(&path).await.json(), operation);
        }
    }
}

#[tokio::test]
async fn peripherals_name_their_product_when_expanded() {
    let tenant = Tenant::new().await;
    let rooms = tenant.list("?$filter=deviceType%20eq%20'teamsRoom'").await;
    let mut inline = HashSet::new();
    for room in rooms.iter().filter(|room| room["activityState"].is_string()) {
        let path = format!("{DEVICES}/{}/health", room["id"].as_str().unwrap());
        let camera =
            |health: &Value| health["peripheralsHealth"]["roomCameraHealth"]["peripheral"].is_object();
        inline.insert(camera(&tenant.get(&path).await.json()));
        assert!(camera(&tenant.get(&format!("{path}?$expand=peripheralsHealth")).await.json()));
    }
    assert_eq!(inline.len(), 2, "some give it unasked, some do not");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_may_not_be_done_is_405() {
    let tenant = Tenant::new().await;
    let id = tenant.sim.devices().remove(0);
    for (method, path, status) in [
        ("GET", format!("{DEVICES}/{TENANT_ID}"), 404),
        ("GET", format!("{DEVICES}/nonsense/health"), 404),
        ("GET", format!("{DEVICES}/{id}/restart"), 405),
        ("GET", "/v1.0/teamwork/devices".to_owned(), 404),
        ("GET", "/teamwork/devices".to_owned(), 404),
        ("POST", format!("{DEVICES}/{id}/restart"), 405),
        ("POST", format!("{DEVICES}/{id}/updateSoftware"), 405),
        ("DELETE", format!("{DEVICES}/{id}"), 405),
        ("PATCH", format!("{DEVICES}/{id}"), 405),
        ("POST", DEVICES.to_owned(), 405),
        ("GET", "/beta/$batch".to_owned(), 405),
    ] {
        let answer = tenant.request(method, &path, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!answer.error_code().is_empty());
        let recorded = tenant.sim.requests().pop().unwrap();
        assert_eq!(
            (recorded.method.as_str(), recorded.status, recorded.authorization),
            (method, status, true)
        );
    }
    let unknown = tenant.get("/beta/me").await;
    assert_eq!(unknown.error_code(), "Request_ResourceNotFound");
}

#[tokio::test]
async fn a_batch_answers_each_item_and_keeps_no_order() {
    let tenant = Tenant::new().await;
    let mut urls: Vec<String> =
        tenant.sim.devices().iter().take(18).map(|id| format!("/teamwork/devices/{id}/health")).collect();
    urls.push(format!("/teamwork/devices/{TENANT_ID}/health"));
    urls.push("teamwork/devices?$top=3".to_owned());
    let answer = tenant.batch(&urls).await;
    let responses = answer.json()["responses"].as_array().unwrap().clone();
    assert_eq!((answer.status, responses.len()), (200, 20));
    let ids: Vec<usize> =
        responses.iter().map(|item| item["id"].as_str().unwrap().parse().unwrap()).collect();
    assert!(!ids.is_sorted() && ids.iter().collect::<HashSet<_>>().len() == 20);
    for item in &responses {
        let expected = if item["id"] == json!("18") { 404 } else { 200 };
        assert_eq!(item["status"], json!(expected));
        assert!(item["body"].is_object() && item["headers"]["Content-Type"].is_string());
    }
    let page = responses.iter().find(|item| item["id"] == json!("19")).unwrap();
    assert!(page["body"]["@odata.nextLink"].as_str().unwrap().starts_with(&tenant.sim.url()));
    let recorded = tenant.sim.requests();
    assert_eq!(recorded.iter().filter(|request| request.in_batch).count(), 20);
    let envelope = recorded.last().unwrap();
    assert_eq!(
        (envelope.operation.as_str(), envelope.status, envelope.in_batch),
        ("/beta/$batch", 200, false)
    );
    assert_eq!(recorded[1].operation, "/beta/teamwork/devices/{id}/health");
}

#[tokio::test]
async fn malformed_batches_are_400() {
    let tenant = Tenant::new().await;
    let item = |id: &str| json!({"id": id, "method": "GET", "url": "/teamwork/devices"});
    let many: Vec<Value> = (0..21).map(|at| item(&at.to_string())).collect();
    for body in [
        json!({"requests": many}),
        json!({"requests": [item("1"), item("1")]}),
        json!({"requests": [item("")]}),
        json!({"requests": [{"id": "1", "url": "/teamwork/devices"}]}),
        json!({"requests": [{"id": "1", "method": "GET", "url": "http://127.0.0.1/beta/teamwork/devices"}]}),
        json!({"requests": [{"id": "1", "method": "POST", "url": "/a", "body": {}}]}),
        json!([]),
    ] {
        let answer = tenant.request("POST", "/v1.0/$batch", &body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test]
async fn an_item_fails_with_what_it_depends_on_and_batches_do_not_nest() {
    let tenant = Tenant::new().await;
    let requests = json!({"requests": [
        {"id": "1", "method": "GET", "url": "/nothing"},
        {"id": "2", "method": "GET", "url": "/teamwork/devices", "dependsOn": ["1"]},
        {"id": "3", "method": "POST", "url": "/$batch", "headers": {"Content-Type": "application/json"}, "body": {}},
        {"id": "4", "method": "POST", "url": "/teamwork/devices"},
    ]});
    let responses = tenant.request("POST", "/beta/$batch", &requests.to_string()).await.json();
    for (id, status) in [("1", 404), ("2", 424), ("3", 400), ("4", 405)] {
        let item =
            responses["responses"].as_array().unwrap().iter().find(|item| item["id"] == json!(id)).unwrap();
        assert_eq!(item["status"], json!(status), "{id}");
    }
}

#[tokio::test]
async fn answers_carry_the_headers_of_graph_and_are_packed_when_wanted() {
    let tenant = Tenant::new().await;
    let headers = format!(
        "Authorization: Bearer {}\r\nclient-request-id: my-id\r\nAccept-Encoding: gzip\r\n",
        tenant.token
    );
    let answer = tenant.send("GET", DEVICES, &headers, "").await.unwrap();
    assert_eq!(answer.header("client-request-id"), Some("my-id"));
    assert!(answer.header("content-type").unwrap().starts_with("application/json;odata.metadata=minimal;"));
    assert!(answer.header("request-id").is_some() && answer.header("date").is_some());
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), tenant.get(DEVICES).await.json());
}

#[tokio::test]
async fn a_real_client_reads_page_after_page_over_one_connection() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tenant = Tenant::new().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut link = Some(format!("{}{DEVICES}?$top=50", tenant.sim.url()));
    let mut rows = 0;
    while let Some(url) = link {
        let answer = client.get(&url).bearer_auth(&tenant.token).send().await.unwrap();
        let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        rows += page["value"].as_array().unwrap().len();
        link = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(rows, tenant.sim.devices().len());
    for fault in ["truncated", "truncated=chunked", "reset"] {
        tenant.set_faults(&[fault]);
        let url = format!("{}{DEVICES}", tenant.sim.url());
        let answer = client.get(url).bearer_auth(&tenant.token).send().await;
        let broken = match answer {
            Ok(answer) => answer.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(broken, "{fault}");
    }
}

#[tokio::test]
async fn a_stopped_tenant_is_gone() {
    let tenant = Tenant::with(Settings { rooms: 1, ..Settings::default() }).await;
    let host = tenant.sim.url().replace("http://", "");
    tenant.sim.stop();
    while tokio::net::TcpStream::connect(&host).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
