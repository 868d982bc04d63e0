//! The identity that Azure gives a machine, or an app in App Service or Container Apps: tokens come from a service on the
//! same host, which no proxy reaches.
//!
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>

use std::time::Duration;

use oauth2::AccessToken;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::graph::auth::endpoint::Issued;
use crate::graph::auth::{USUAL_LIFETIME, answer};
use crate::graph::body;
use crate::graph::error::{Cause, Error, Whom};
use crate::model::Timestamp;
use crate::stats::TenantStats;

/// Where tokens are, and for which identity.
pub struct Service {
    pub endpoint: Url,
    /// Of a user-assigned identity; the machine's own without.
    pub client_id: Option<String>,
    /// What App Service and Container Apps want to see; without one it is the metadata service of a machine.
    pub header: Option<String>,
}

/// The metadata service restarts now and then, and asks for up to 70 s of patience.
const ATTEMPTS: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

impl Service {
    /// A token for `resource`, the Graph root without a slash at its end.
    pub(super) async fn sign_in(
        &self,
        http: &reqwest::Client,
        stats: &TenantStats,
        resource: &str,
        first_pause: Duration,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let mut pause = first_pause;
        for _ in 1..ATTEMPTS {
            match self.ask(http, stats, resource, now).await {
                Err(error) if is_passing(&error) => {}
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3).min(LONGEST_PAUSE);
        }
        self.ask(http, stats, resource, now).await
    }

    async fn ask(
        &self,
        http: &reqwest::Client,
        stats: &TenantStats,
        resource: &str,
        now: Timestamp,
    ) -> Result<Issued, Error> {
        let (name, value) = self.header()?;
        let request = http.get(self.url(resource)).header(name, value);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let error = Error::from_transport(&error).of(Whom::ManagedIdentity);
                stats.request("token", &error.code());
                return Err(error);
            }
        };
        let code = response.status().as_u16();
        stats.request("token", &code.to_string());
        let body = body::read_small(&mut response).await.map_err(|error| error.of(Whom::ManagedIdentity))?;
        match code {
            200..=299 => read(&body, now),
            400 | 401 | 403 => Err(Error::Unauthorized {
                advice: format!(
                    "the managed identity is refused ({code}): is it assigned to this machine or app?"
                ),
            }),
            429 => Err(Error::Throttled),
            _ => Err(Error::unreachable(Cause::Status(code)).of(Whom::ManagedIdentity)),
        }
    }

    fn url(&self, resource: &str) -> Url {
        let version = if self.header.is_some() { "2019-08-01" } else { "2018-02-01" };
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        url
    }

    fn header(&self) -> Result<(HeaderName, HeaderValue), Error> {
        let Some(text) = &self.header else {
            return Ok((HeaderName::from_static("metadata"), HeaderValue::from_static("true")));
        };
        let mut value =
            HeaderValue::from_str(text).map_err(|_| Error::malformed("IDENTITY_HEADER fits no header"))?;
        value.set_sensitive(true);
        Ok((HeaderName::from_static("x-identity-header"), value))
    }
}

/// The service restarts, or has no answer yet: 404, 408, 410 and 5xx. Other errors of a connection do not pass by themselves.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Throttled | Error::Unreachable { cause: Cause::Status(_), .. })
}

/// Numbers come as texts here, and the end of a token as Unix time or as seconds from now.
fn read(body: &[u8], now: Timestamp) -> Result<Issued, Error> {
    let broken = || Error::malformed("the managed identity's answer holds no token");
    let body: Value = serde_json::from_slice(body).map_err(|_| broken())?;
    let number = |name: &str| body.get(name).and_then(answer::seconds);
    let token = body.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let until = number("expires_on").and_then(|at| at.checked_sub(u64::try_from(now.seconds()).ok()?));
    let lifetime = until.or_else(|| number("expires_in")).map_or(USUAL_LIFETIME, Duration::from_secs);
    let lifetime = lifetime.min(answer::LONGEST);
    Ok(Issued {
        token: AccessToken::new(token.ok_or_else(broken)?.to_owned()),
        lifetime,
        refresh_token: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_services_are_asked_as_they_are_documented() {
        let service = |header: Option<&str>, client_id: Option<&str>| Service {
            endpoint: Url::parse("http://169.254.169.254/metadata/identity/oauth2/token").expect("a URL"),
            client_id: client_id.map(str::to_owned),
            header: header.map(str::to_owned),
        };
        let resource = "resource=https%3A%2F%2Fgraph.microsoft.com";
        for (service, query, header) in [
            (service(None, None), format!("api-version=2018-02-01&{resource}"), ("metadata", "true")),
            (
                service(Some("s3cr3t"), Some("c")),
                format!("api-version=2019-08-01&{resource}&client_id=c"),
                ("x-identity-header", "s3cr3t"),
            ),
        ] {
            assert_eq!(service.url("https://graph.microsoft.com").query(), Some(&*query));
            let (name, value) = service.header().expect("plain");
            assert_eq!((name.as_str(), value.to_str().expect("plain")), header);
            assert!(!format!("{value:?}").contains("s3cr3t"));
        }
        assert!(service(Some("\n"), None).header().is_err());
    }

    #[test]
    fn an_answer_has_numbers_in_texts() {
        let now = Timestamp::from_seconds(1_000);
        for (body, expected) in [
            (r#"{"access_token":"t","expires_on":"4600","expires_in":"9"}"#, Some(3_600)),
            (r#"{"access_token":"t","expires_on":4600}"#, Some(3_600)),
            (r#"{"access_token":"t","expires_on":"4600.0"}"#, Some(3_600)),
            (r#"{"access_token":"t","expires_in":3599.5}"#, Some(3_599)),
            (r#"{"access_token":"t","expires_in":"99999999999"}"#, Some(604_800)),
            (r#"{"access_token":"t","expires_on":"999","expires_in":"86399"}"#, Some(86_399)),
            (r#"{"access_token":"t","expires_on":"09/14/2017 00:00:00 PM +00:00"}"#, Some(3_600)),
            (r#"{"access_token":""}"#, None),
            (r#"{"access_token":7}"#, None),
            ("<html>", None),
        ] {
            let lifetime = read(body.as_bytes(), now).ok().map(|issued| issued.lifetime.as_secs());
            assert_eq!(lifetime, expected, "{body}");
        }
    }
}
