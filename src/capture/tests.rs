//! Whole answers through the scrubber.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// 2026-11-30T09:30:00Z.
const MOMENT: i64 = 1_796_031_000;

fn settings() -> Settings<'static> {
    Settings {
        key: [7; 32],
        moment: MOMENT,
        root: "https://graph.microsoft.com/".to_owned(),
        stand_ins: vec![("own-client".to_owned(), "other-client".to_owned())],
        public_ids: ["4cde982a-ede4-4409-9ae6-b003453c8ea6".to_owned()].into(),
        secret: Secret {
            begins_with: &|start| "own~secret".starts_with(start),
            instead: "sim~secret".to_owned(),
        },
    }
}

fn good<'a>(path: &'a str, body: &'a str) -> Answer<'a> {
    Answer { operation: "devices", method: "GET", path, status: 200, body: body.as_bytes() }
}

/// One answer, scrubbed.
fn scrubbed(path: &str, body: &str) -> (String, Capture) {
    let capture = assemble(&[good(path, body)], 0, settings());
    (capture.files[0].1.trim_end().to_owned(), capture)
}

fn scrubbed_value(body: &Value) -> Value {
    serde_json::from_str(&scrubbed("/beta/teamwork/devices", &body.to_string()).0).expect("JSON")
}

#[test]
fn structure_order_types_and_public_words_stay() {
    let body = r#"{"zebra":1,"id":null,"deviceType":"teamsRoom","on":true,"list":[{"b":{},"a":[]}],"half":1.50e0,"deviceType":"sip"}"#;
    assert_eq!(
        scrubbed("/beta/teamwork/devices", body).0,
        body.replace("1.50e0", &scrubbed_number("1.50e0"))
    );
    let row = json!({
        "healthStatus": "NonUrgent",
        "@odata.type": "#microsoft.graph.teamworkDevice",
        "hardwareDetail": { "manufacturer": "Yealink", "model": "meetingbara30" },
        "currentVersion": "1449/1.0.96.2026080102",
        "peripheral": { "displayName": "Logi Rally Camera", "vendorId": "VID_046D", "productId": "PID_0881" },
        "availabilityView": "0022001",
        "totalStorageSpaceInBytes": 255_550_554_112_i64,
        "startTime": "08:00:00.0000000",
        "skuId": "4cde982a-ede4-4409-9ae6-b003453c8ea6",
        "serialNumber": "To be filled by O.E.M.",
        "complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z",
    });
    assert_eq!(scrubbed_value(&row), row);
}

fn scrubbed_number(written: &str) -> String {
    Names::new(&[7; 32], "x", &[], HashSet::new()).number(written)
}

#[test]
fn everything_of_a_tenant_is_replaced() {
    let row = json!({
        "id": "4c1d7b0a-9f3e-4a1b-8c2d-0123456789ab",
        "displayName": "Anna Miller",
        "healthStatus": "Anna",
        "activityState": "anna miller",
        "manufacturer": "Anna Electronics",
        "model": "Anna 5",
        "currentVersion": "anna.5",
        "osVersion": "+47 912 34 567",
        "peripheral": { "displayName": "Anna's webcam", "vendorId": "ANN" },
        "availabilityView": "4711",
        "birthDate": "1975-03-14",
        "startTime": "with Anna",
        "@odata.type": "#microsoft.graph.anna",
        "@odata.id": "https://graph.microsoft.com/v1.0/users('anna')/anna",
        "employeeId": 471_147,
        "latitude": 59.9107,
        "4c1d7b0a-9f3e-4a1b-8c2d-0123456789ab": "anna",
        "Anna Miller": { "anna@contoso.example": ["Anna", 47.5, { "note": "x500:/o=anna" }] },
    });
    let text = scrubbed_value(&row).to_string().to_lowercase();
    for part in
        ["anna", "miller", "contoso", "4c1d7b0a", "912 34 567", "4711", "1975", "03-14", "59.9107", "47.5"]
    {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

#[test]
fn one_text_is_the_same_pseudonym_in_each_answer() {
    let list = r#"{"value":[{"id":"Dev-1","user":"Oslo@Contoso.example"}],"@odata.nextLink":"https://graph.microsoft.com/beta/teamwork/devices?$skiptoken=a%2Bb"}"#;
    let answers = [
        good("/beta/teamwork/devices", list),
        good("/beta/teamwork/devices/Dev-1/health", r#"{"id":"dev-1"}"#),
        good("/beta/teamwork/devices?$skiptoken=a%2Bb", r#"{"value":[]}"#),
        good("/v1.0/users/oslo@contoso.example", r#"{"mail":"OSLO@CONTOSO.EXAMPLE"}"#),
    ];
    let capture = assemble(&answers, 0, settings());
    let parsed: Vec<Value> =
        capture.files.iter().map(|(_, text)| serde_json::from_str(text).expect("JSON")).collect();
    let paths: Vec<&str> = capture.index.requests.iter().map(|request| request.path.as_str()).collect();
    let id = parsed[0]["value"][0]["id"].as_str().expect("an id");
    assert_eq!(paths[1], format!("/beta/teamwork/devices/{id}/health"));
    assert_eq!(parsed[1]["id"], id.to_lowercase());
    let mail = parsed[0]["value"][0]["user"].as_str().expect("an address").to_lowercase();
    assert_eq!(paths[3], format!("/v1.0/users/{mail}"));
    assert_eq!(parsed[3]["mail"], mail.to_uppercase().replace(".EXAMPLE", ".example"));
    let next = parsed[0]["@odata.nextLink"].as_str().expect("a link");
    assert_eq!(next.strip_prefix(links::ROOT), Some(paths[2]));
}

#[test]
fn dates_keep_their_distance_to_the_moment() {
    let (text, capture) =
        scrubbed("/beta/x", r#"{"lastModifiedDateTime":"2026-11-28T09:29:59.5Z","date":"2026-12-01"}"#);
    assert_eq!(text, r#"{"lastModifiedDateTime":"2024-12-30T09:29:59.5Z","date":"2025-01-02"}"#);
    assert_eq!(capture.index.moment, "2025-01-01T09:30:00Z");
}

#[test]
fn own_ids_and_the_secret_get_stand_ins() {
    let row = json!({ "appId": "own-client", "passwordCredentials": [{ "hint": "own" }, { "hint": "abc" }] });
    let scrubbed = scrubbed_value(&row);
    let hints = &scrubbed["passwordCredentials"];
    assert_eq!((&scrubbed["appId"], &hints[0]["hint"]), (&json!("other-client"), &json!("sim")));
    assert_eq!(hints[1]["hint"], "???", "nothing of the secrets of others");
}

#[test]
fn what_is_no_json_leaves_its_form_alone() {
    let bodies: [&[u8]; 6] = [
        b"{\"a\":",
        b"<h1>Anna</h1>",
        b"Anna",
        b"",
        b"\xef\xbb\xbf{\"a\":\"Anna\"}",
        br#"{"a":"\ud800 Anna"}"#,
    ];
    let paths: Vec<String> = (0..bodies.len()).map(|n| format!("/beta/{n}")).collect();
    let answers: Vec<Answer<'_>> =
        paths.iter().zip(bodies).map(|(path, body)| Answer { body, ..good(path, "") }).collect();
    let capture = assemble(&answers, 0, settings());
    let forms: Vec<Form> = capture.index.requests.iter().map(|request| request.body).collect();
    assert_eq!(forms, [Form::Broken, Form::Html, Form::Text, Form::Empty, Form::Json, Form::Json]);
    let texts: Vec<&str> = capture.files.iter().map(|(_, text)| text.as_str()).collect();
    assert!(texts[0].starts_with("\u{feff}{\"a\":\"") && !texts[0].contains("Anna"), "{texts:?}");
    assert_eq!(texts[1..], ["{\"a\":\"\\ud800\"}\n"]);
}

#[test]
fn the_last_answer_to_a_request_counts_and_questions_by_post_are_all_kept() {
    let of = |method, path, status| Answer { method, status, ..good(path, "{}") };
    let answers = [
        of("GET", "/beta/a", 429),
        of("POST", "/beta/b", 200),
        of("GET", "/beta/a", 200),
        of("POST", "/beta/b", 200),
    ];
    let capture = assemble(&answers, 0, settings());
    let kept: Vec<(&str, u16)> =
        capture.index.requests.iter().map(|request| (request.method.as_str(), request.status)).collect();
    assert_eq!(kept, [("GET", 200), ("POST", 200), ("POST", 200)]);
    let again = assemble(&answers, 0, settings());
    assert_eq!(capture.files, again.files, "the same answers make the same capture");
}

#[test]
fn the_summary_counts_what_stays_and_what_does_not() {
    let list = r#"{"value":[{"id":"x1","healthStatus":"healthy","notes":null},{"id":"x2","healthStatus":"haywire","createdDateTime":"2026-11-28T09:29:59Z"}]}"#;
    let (_, capture) = scrubbed("/beta/teamwork/devices", list);
    let source = &capture.summary.sources["devices"];
    assert_eq!((source.requests, source.refused, source.documents), (1, 0, 2));
    let members: Vec<&str> = source.members.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(members, ["createdDateTime", "healthStatus", "id"]);
    assert_eq!((source.pseudonyms, source.dates), (2, 1));
    let text = capture.summary.to_string();
    for part in [
        "devices: 1 requests, 0 refused, 2 documents, 3 members",
        "healthStatus: healthy 1",
        "healthStatus: 1 values with",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("haywire"), "{text}");
}

#[test]
fn the_members_of_an_error_are_those_of_no_resource() {
    let body = r#"{"error":{"code":"ErrorAccessDenied","message":"Anna may not"}}"#;
    let answer = Answer { status: 403, ..good("/v1.0/users", body) };
    let capture = assemble(&[answer], 0, settings());
    let source = &capture.summary.sources["devices"];
    assert_eq!((source.refused, source.members.len()), (1, 0));
    assert!(capture.files[0].1.contains("ErrorAccessDenied") && !capture.files[0].1.contains("Anna"));
}

/// JSON with texts of at least six characters that no list knows.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (10_000_000_i64..).prop_map(Value::from),
        "[qxzj]{3}[A-Za-zäöü0-9@:/. -]{6,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let members = prop::collection::btree_map(
            "[a-zA-Z@. ]{1,12}|deviceType|osVersion|lastModifiedDateTime|hint|value|model",
            inner.clone(),
            0..6,
        );
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            members.prop_map(|members| members.into_iter().collect())
        ]
    })
}

fn leaves<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(members) => members.values().for_each(|item| leaves(item, found)),
        leaf => found.push(leaf),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_survives_and_types_do(value in any_value()) {
        let (text, _) = scrubbed("/v1.0/users", &value.to_string());
        let scrubbed: Value = serde_json::from_str(&text).expect("JSON");
        let (mut before, mut after) = (Vec::new(), Vec::new());
        leaves(&value, &mut before);
        leaves(&scrubbed, &mut after);
        prop_assert_eq!(before.len(), after.len());
        for leaf in before {
            match leaf {
                Value::String(secret) => prop_assert!(!text.contains(secret.as_str()), "{} in {}", secret, text),
                Value::Number(number) => prop_assert!(!text.contains(&number.to_string()), "{} in {}", number, text),
                _ => {}
            }
        }
    }
}
