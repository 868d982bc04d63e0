//! Token answers as gateways, proxies and older endpoints send them, made into what the oauth2 crate reads.
//!
//! RFC 6749 has `expires_in` as a number and asks for `token_type`. Answers have it as text, as `3599.0`, or leave the
//! type out; and one member that sign-in does not need must not cost a sign-in.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// The texts that sign-in needs. All other members are left out.
const TEXTS: [&str; 9] = [
    "access_token",
    "device_code",
    "error",
    "error_description",
    "refresh_token",
    "token_type",
    "user_code",
    "verification_uri",
    "verification_url",
];

/// Longer than any token of Entra lives (28 hours); a larger number would overflow the times that are computed from it.
pub const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Entra's own, for a device code that names no time.
const CODE_LIFETIME: Duration = Duration::from_mins(15);

/// The members of an answer that sign-in needs, in the form of RFC 6749 and RFC 8628; `None` if it is not a JSON object.
pub fn normalized(body: &[u8]) -> Option<Map<String, Value>> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
    let mut normal: Map<_, _> = TEXTS
        .iter()
        .filter_map(|name| {
            Some(((*name).to_owned(), answer.get(*name).filter(|value| value.is_string())?.clone()))
        })
        .collect();
    for name in ["expires_in", "interval"] {
        if let Some(seconds) = answer.get(name).and_then(seconds) {
            normal.insert(name.to_owned(), json!(seconds.min(LONGEST.as_secs())));
        }
    }
    if normal.contains_key("access_token") && !normal.contains_key("token_type") {
        normal.insert("token_type".to_owned(), json!("bearer"));
    }
    if normal.contains_key("device_code") && !normal.contains_key("expires_in") {
        normal.insert("expires_in".to_owned(), json!(CODE_LIFETIME.as_secs()));
    }
    Some(normal)
}

/// Whole seconds, written as a number, a text or a fraction.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    let number: f64 = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    Duration::try_from_secs_f64(number).ok().map(|duration| duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_however_they_are_written() {
        for (value, expected) in [
            (json!(3599), Some(3599)),
            (json!("3599"), Some(3599)),
            (json!(3599.0), Some(3599)),
            (json!("3599.9"), Some(3599)),
            (json!(" 5 "), Some(5)),
            (json!(1_795_244_590_u64), Some(1_795_244_590)),
            (json!("1795244590"), Some(1_795_244_590)),
            (json!(0), Some(0)),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!(1e300), None),
            (json!("09/14/2017 00:00:00 PM +00:00"), None),
            (json!(true), None),
            (json!(null), None),
        ] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[track_caller]
    fn check(body: &str, expected: &Value) {
        assert_eq!(normalized(body.as_bytes()).map(Value::Object).as_ref(), Some(expected), "{body}");
    }

    #[test]
    fn what_sign_in_needs_is_left_in_the_form_of_the_standard() {
        check(
            r#"{"access_token": "T", "expires_in": "3599", "ext_expires_in": [], "scope": null, "id_token": 7}"#,
            &json!({"access_token": "T", "expires_in": 3599, "token_type": "bearer"}),
        );
        check(
            r#"{"access_token": "T", "token_type": "Bearer", "expires_in": "soon", "refresh_token": null}"#,
            &json!({"access_token": "T", "token_type": "Bearer"}),
        );
        check(
            r#"{"access_token": "T", "expires_in": 1e17}"#,
            &json!({"access_token": "T", "expires_in": 604_800, "token_type": "bearer"}),
        );
        check(
            r#"{"device_code": "d", "interval": "5.0", "verification_url": "https://x"}"#,
            &json!({"device_code": "d", "interval": 5, "expires_in": 900, "verification_url": "https://x"}),
        );
        check(r#"{"error": "invalid_grant", "error_description": 7}"#, &json!({"error": "invalid_grant"}));
        for body in ["", "[]", "7", "<html>", "{"] {
            assert_eq!(normalized(body.as_bytes()), None, "{body}");
        }
    }
}
