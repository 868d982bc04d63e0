//! Token answers: whatever comes, the result is what the standard has, within bounds, and the standard's reader takes it.

use oauth2::basic::BasicTokenResponse;
use serde_json::Value;
use teams_rooms_exporter::graph::auth::answer::{LONGEST, normalized};
use teams_rooms_exporter::input;

/// Answers that sign-in hosts were seen to send.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    [
        r#"{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "T"}"#,
        r#"{"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "access_token": "T"}"#,
        r#"{"access_token": "T", "expires_in": 3599.0, "refresh_token": "R", "scope": "a b", "id_token": "x.y.z"}"#,
        r#"{"access_token": "T", "expires_on": "1795244590", "not_before": "1", "resource": "https://graph"}"#,
        r#"{"user_code": "ABC", "device_code": "dc", "verification_uri": "https://x", "expires_in": "900", "interval": "5"}"#,
        r#"{"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error."}"#,
        "\u{feff}{\"error\": \"invalid_client\", \"error_codes\": [7000215], \"x\": \"\\ud83d\"}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn run(input: &[u8]) {
    let body = input::repair(input.to_vec());
    let Some(answer) = normalized(&body) else { return };
    let again = Value::Object(answer.clone()).to_string();
    assert_eq!(normalized(again.as_bytes()).as_ref(), Some(&answer), "it is not settled");
    for name in ["expires_in", "interval"] {
        let number = answer.get(name).map(|value| value.as_u64().expect("a whole number"));
        assert!(number.is_none_or(|number| number <= LONGEST.as_secs()), "{name}: {number:?}");
    }
    if answer.contains_key("access_token") {
        let read: Result<BasicTokenResponse, _> = serde_json::from_str(&again);
        assert!(read.is_ok(), "{read:?}");
    }
}
