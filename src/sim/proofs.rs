//! What the tenant accepts beside the client secret: assertions signed by a registered certificate, tokens of another
//! issuer, and refresh tokens of one user.
//!
//! <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use x509_cert::der::Decode as _;

use super::CLIENT_ID;

/// Entra takes an assertion that lives longer, and advises against it.
const LONGEST_LIFE_SECONDS: i64 = 600;

#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<Registered>);

#[derive(Debug, Default)]
struct Registered {
    certificates: Vec<Vec<u8>>,
    federated: HashSet<String>,
    refresh_tokens: HashSet<String>,
    /// Ids of assertions: each is good once.
    seen: HashSet<String>,
}

impl Proofs {
    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the certificates of the application; in DER.
    pub(super) fn set_certificates(&self, certificates: Vec<Vec<u8>>) {
        self.lock().certificates = certificates;
    }

    /// Replaces the tokens that a federated credential matches.
    pub(super) fn set_federated(&self, tokens: &[&str]) {
        self.lock().federated = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    /// Replaces the refresh tokens that are good; none revokes them all.
    pub(super) fn set_refresh_tokens(&self, tokens: &[&str]) {
        self.lock().refresh_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    pub(super) fn refresh_tokens(&self) -> Vec<String> {
        self.lock().refresh_tokens.iter().cloned().collect()
    }

    /// Puts `next` in the place of a good refresh token; fails with the AADSTS code.
    pub(super) fn refresh(&self, token: &str, next: String) -> Result<(), u32> {
        let mut registered = self.lock();
        if !registered.refresh_tokens.remove(token) {
            return Err(700_082);
        }
        registered.refresh_tokens.insert(next);
        Ok(())
    }

    /// Fails with the AADSTS code. `audiences` are the token endpoint as it may be called.
    pub(super) fn check_assertion(&self, assertion: &str, audiences: &[String]) -> Result<(), u32> {
        let mut registered = self.lock();
        if registered.federated.contains(assertion) {
            return Ok(());
        }
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(50_013) };
        let (Some(header_read), Some(claims_read)) = (read(header), read(claims)) else { return Err(50_013) };
        let Some(thumbprint) = header_read.get("x5t#S256").and_then(Value::as_str) else {
            return Err(70_021);
        };
        let own = registered.certificates.iter().find(|der| thumbprint_of(der) == thumbprint);
        let key = own.and_then(|der| public_key(der)).ok_or(700_027_u32)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| 50_013_u32)?;
        let signed = format!("{header}.{claims}");
        let is_ps256 = header_read.get("alg").and_then(Value::as_str) == Some("PS256");
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key);
        if !is_ps256 || public.verify(signed.as_bytes(), &signature).is_err() {
            return Err(700_027);
        }
        let id = check_claims(&claims_read, audiences)?;
        if registered.seen.insert(id) { Ok(()) } else { Err(50_013) }
    }
}

/// The id of the assertion, if it is one of our application to this endpoint.
fn check_claims(claims: &Value, audiences: &[String]) -> Result<String, u32> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    let ours = text("iss") == CLIENT_ID && text("sub") == CLIENT_ID;
    let here = audiences.iter().any(|audience| audience == text("aud"));
    let life = time("exp") - time("nbf");
    let timely = (1..=LONGEST_LIFE_SECONDS).contains(&life) && time("iat") == time("nbf");
    let is_guid = uuid::Uuid::try_parse(text("jti")).is_ok();
    if ours && here && timely && is_guid { Ok(text("jti").to_owned()) } else { Err(50_013) }
}

fn read(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn thumbprint_of(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, der))
}

/// `RSAPublicKey` in DER.
fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let key = &certificate.tbs_certificate().subject_public_key_info().subject_public_key;
    Some(key.raw_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_registered_proves_nothing() {
        let proofs = Proofs::default();
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let by_nobody = format!("{}.{}.x", part(r#"{"alg":"PS256","x5t#S256":"a"}"#), part("{}"));
        let without = format!("{}.{}.x", part("{}"), part("{}"));
        for (assertion, code) in
            [("x", 50_013), ("a.b.c", 50_013), (&*by_nobody, 700_027), (&*without, 70_021)]
        {
            assert_eq!(proofs.check_assertion(assertion, &[]), Err(code), "{assertion}");
        }
        proofs.set_federated(&["x"]);
        assert_eq!(proofs.check_assertion("x", &[]), Ok(()));
    }

    #[test]
    fn a_refresh_token_is_good_once() {
        let proofs = Proofs::default();
        proofs.set_refresh_tokens(&["one"]);
        assert_eq!(proofs.refresh("one", "two".to_owned()), Ok(()));
        assert_eq!(proofs.refresh("one", "three".to_owned()), Err(700_082));
        assert_eq!(proofs.refresh_tokens(), ["two"]);
    }
}
