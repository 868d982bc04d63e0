//! Sign-in with a certificate: an assertion that its key signs.
//!
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::certificate::Certificate;
use crate::model::Timestamp;

/// What `client_assertion_type` says of a JWT (RFC 7523).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good: as long as Microsoft advises at most, for clocks that are not the same.
const LIFETIME: Duration = Duration::from_mins(10);

/// Who asserts it, and to whom.
pub(super) struct Parties<'a> {
    pub(super) client_id: &'a str,
    pub(super) token_endpoint: &'a str,
}

/// The parameters that prove who we are, made for one request. With a certificate that has expired nobody is asked.
pub(super) fn proof(
    certificate: &Certificate,
    send_chain: bool,
    parties: &Parties<'_>,
    now: Timestamp,
) -> Result<Vec<(&'static str, String)>, String> {
    if certificate.not_after <= now {
        return Err(format!(
            "the certificate expired at {}; put a new one and its key in its place, and upload it to the application",
            certificate.not_after
        ));
    }
    let header = header(certificate, send_chain);
    let signed = format!("{}.{}", part(&header), part(&payload(parties, now, Uuid::new_v4())));
    let signature = URL_SAFE_NO_PAD.encode(certificate.sign(signed.as_bytes()));
    Ok(with_assertion(format!("{signed}.{signature}")))
}

pub(super) fn with_assertion(assertion: String) -> Vec<(&'static str, String)> {
    vec![("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", assertion)]
}

fn header(certificate: &Certificate, send_chain: bool) -> Value {
    let thumbprint = URL_SAFE_NO_PAD.encode(certificate.thumbprint());
    let mut header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
    if let (true, Some(header)) = (send_chain, header.as_object_mut()) {
        // RFC 7515 has the certificates in plain base64 here.
        let chain = certificate.chain().iter().map(|der| BASE64_STANDARD.encode(der)).collect();
        header.insert("x5c".to_owned(), chain);
    }
    header
}

fn payload(parties: &Parties<'_>, now: Timestamp, id: Uuid) -> Value {
    json!({
        "aud": parties.token_endpoint,
        "iss": parties.client_id,
        "sub": parties.client_id,
        "jti": id.to_string(),
        "nbf": now.seconds(),
        "iat": now.seconds(),
        "exp": now.plus(LIFETIME).seconds(),
    })
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_certificate_is_not_even_sent() {
        let read = |text: &[u8], key: &[u8]| Certificate::from_pem(text, key).expect("a fixture");
        let own = read(
            include_bytes!("../../../tests/config/certificate.pem"),
            include_bytes!("../../../tests/config/certificate.key"),
        );
        let parties = Parties { client_id: "c", token_endpoint: "https://login.example" };
        let before = Timestamp::from_seconds(own.not_after.seconds() - 1);
        assert_eq!(proof(&own, true, &parties, before).map(|fields| fields.len()), Ok(2));
        let error = proof(&own, true, &parties, own.not_after).expect_err("it has expired");
        assert!(error.starts_with("the certificate expired at 21"), "{error}");
        let header = header(&own, true);
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("PS256"), Some("JWT")));
        let own = BASE64_STANDARD.encode(&own.chain()[0]);
        assert_eq!(header["x5c"], json!([own]));
    }

    #[test]
    fn an_assertion_names_both_sides_and_lives_ten_minutes() {
        let parties = Parties { client_id: "c", token_endpoint: "https://login.example/t/oauth2/v2.0/token" };
        let payload = payload(&parties, Timestamp::from_seconds(1_000), Uuid::nil());
        assert_eq!(
            payload,
            json!({
                "aud": "https://login.example/t/oauth2/v2.0/token", "iss": "c", "sub": "c",
                "jti": "00000000-0000-0000-0000-000000000000", "nbf": 1_000, "iat": 1_000, "exp": 1_600,
            })
        );
    }
}
