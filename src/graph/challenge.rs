//! Claims challenges: Graph refuses a token because of something that happened since it was issued, and says what
//! another must have.
//!
//! <https://learn.microsoft.com/entra/identity-platform/claims-challenge>

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::input::json;

/// A challenge takes some 100 characters; it goes back to Entra in a form.
const MAX_LENGTH: usize = 4 * 1024;

/// What a 401 wants the next token to say, if it says so.
pub(super) fn in_headers(headers: &HeaderMap) -> Option<Value> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    texts.filter(|text| text.len() <= 2 * MAX_LENGTH).find_map(in_header)
}

/// The claims of `Bearer ..., error="insufficient_claims", claims="<base64>"`.
fn in_header(text: &str) -> Option<Value> {
    let value = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let encoded = value("claims").filter(|encoded| encoded.len() <= MAX_LENGTH)?;
    if value("error") != Some("insufficient_claims") {
        return None;
    }
    // With padding or without, in either alphabet.
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let encoded = encoded.replace('-', "+").replace('_', "/");
    let decoded = GeneralPurpose::new(&alphabet::STANDARD, config).decode(encoded).ok()?;
    json::from_slice::<Value>(&decoded).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_challenge_is_read_however_it_is_padded() {
        // {"access_token":{"nbf":{"essential":true, "value":"1604106651"}}}, as Microsoft's page has it.
        let claims =
            "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwgInZhbHVlIjoiMTYwNDEwNjY1MSJ9fX0";
        let expected = json!({"access_token": {"nbf": {"essential": true, "value": "1604106651"}}});
        for padding in ["", "="] {
            let header = format!(
                "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
                 client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{claims}{padding}\""
            );
            assert_eq!(in_header(&header), Some(expected.clone()));
        }
        for header in [
            format!("Bearer error=\"invalid_token\", claims=\"{claims}\""),
            format!("Bearer error=\"insufficient_claims\", claims=\"{claims}"),
            "Bearer error=\"insufficient_claims\"".to_owned(),
            "Bearer error=\"insufficient_claims\", claims=\"!\"".to_owned(),
            "Bearer error=\"insufficient_claims\", claims=\"NQ==\"".to_owned(), // 5
            format!("Bearer error=\"insufficient_claims\", claims=\"{}\"", "e".repeat(MAX_LENGTH + 1)),
        ] {
            assert_eq!(in_header(&header), None, "{header}");
        }
    }
}
