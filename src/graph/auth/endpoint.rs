//! Entra's token endpoint, by way of the oauth2 crate: our client, our bounds, and errors in words.

use std::fmt;
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, AuthUrl, ClientId, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet,
    ErrorResponseType, HttpRequest, HttpResponse, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse as _, TokenUrl,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::graph::auth::{USUAL_LIFETIME, answer};
use crate::graph::error::{Cause, Error, Whom};
use crate::graph::{aadsts, body};
use crate::stats::TenantStats;

pub(super) type Client = BasicClient<EndpointSet, EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// One application at the token endpoint of one tenant.
pub(super) struct Endpoint {
    pub(super) client: Client,
    /// Where it is, as an assertion names it.
    pub(super) url: String,
    /// Root of the Graph that the tokens are for, without a slash at its end.
    pub(super) resource: String,
    http: reqwest::Client,
    stats: TenantStats,
}

/// What a sign-in brings.
pub(super) struct Issued {
    pub(super) token: AccessToken,
    pub(super) lifetime: Duration,
    pub(super) refresh_token: Option<RefreshToken>,
}

impl Endpoint {
    /// `authority` is the login root. The scope follows from the Graph root: tokens of one cloud are worthless in another.
    pub(super) fn new(
        authority: &Url,
        tenant_id: &str,
        client_id: &str,
        graph: &Url,
        http: reqwest::Client,
        stats: TenantStats,
    ) -> Result<Self, Error> {
        let below = format!("{}/{tenant_id}/oauth2/v2.0", authority.as_str().trim_end_matches('/'));
        let no_url = |_| Error::malformed("the authority is not a URL");
        let url = format!("{below}/token");
        let devices = DeviceAuthorizationUrl::new(format!("{below}/devicecode")).map_err(no_url)?;
        let client = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::new(format!("{below}/authorize")).map_err(no_url)?)
            .set_device_authorization_url(devices)
            .set_token_uri(TokenUrl::new(url.clone()).map_err(no_url)?);
        let resource = graph.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, url, resource, http, stats })
    }

    pub(super) fn client_id(&self) -> &str {
        self.client.client_id()
    }

    /// Signs in as the application; `proof` are the parameters that prove it.
    ///
    /// <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>
    pub(super) async fn as_application(
        &self,
        proof: Vec<(&'static str, String)>,
        challenge: Option<&Value>,
    ) -> Result<Issued, Error> {
        let scope = Scope::new(format!("{}/.default", self.resource));
        let mut request = self.client.exchange_client_credentials().add_scope(scope);
        for (name, value) in proof {
            request = request.add_extra_param(name, value);
        }
        let request = request.add_extra_param("claims", claims(challenge));
        issued(request.request_async(&|request| self.send(request)).await)
    }

    /// One request of the oauth2 crate.
    pub(super) fn send(
        &self,
        request: HttpRequest,
    ) -> impl Future<Output = Result<HttpResponse, Error>> + use<> {
        send(self.http.clone(), self.stats.clone(), request)
    }
}

/// The parameter `claims`: what a challenge asked for, and that we understand challenges (`cp1`). Without that Graph never
/// challenges, and lets a token live that it has reason to doubt.
///
/// <https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation>
pub(super) fn claims(challenge: Option<&Value>) -> String {
    let mut claims = challenge.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut token = claims.get("access_token").and_then(Value::as_object).cloned().unwrap_or_default();
    token.insert("xms_cc".to_owned(), json!({ "values": ["cp1"] }));
    claims.insert("access_token".to_owned(), token.into());
    Value::Object(claims).to_string()
}

pub(super) fn issued<E>(
    answer: Result<BasicTokenResponse, RequestTokenError<Error, StandardErrorResponse<E>>>,
) -> Result<Issued, Error>
where
    E: ErrorResponseType + fmt::Display + 'static,
{
    let answer = answer.map_err(explain)?;
    Ok(Issued {
        token: answer.access_token().clone(),
        lifetime: answer.expires_in().unwrap_or(USUAL_LIFETIME),
        refresh_token: answer.refresh_token().cloned(),
    })
}

async fn send(
    http: reqwest::Client,
    stats: TenantStats,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let request = reqwest::Request::try_from(request).map_err(|error| Error::from_transport(&error))?;
    let mut response = match http.execute(request).await {
        Ok(response) => response,
        Err(error) => {
            let error = Error::from_transport(&error).of(Whom::SignIn);
            stats.request("token", &error.code());
            return Err(error);
        }
    };
    let code = response.status();
    stats.request("token", code.as_str());
    let body = body::read_small(&mut response).await.map_err(|error| error.of(Whom::SignIn))?;
    read(code, &body)
}

/// The answer as the oauth2 crate reads it, or what it means that it is none.
fn read(code: StatusCode, body: &[u8]) -> Result<HttpResponse, Error> {
    let answer = answer::normalized(body);
    let description = answer.as_ref().and_then(|answer| answer.get("error_description")?.as_str());
    if let Some(busy) = description.and_then(aadsts::busy).filter(|_| !code.is_success()) {
        return Err(Error::Unreachable { whom: Whom::SignIn, cause: Cause::Busy(busy) });
    }
    if code == StatusCode::TOO_MANY_REQUESTS {
        return Err(Error::Throttled);
    }
    if code.is_server_error() {
        return Err(Error::Unreachable { whom: Whom::SignIn, cause: Cause::Status(code.as_u16()) });
    }
    let Some(answer) = answer else {
        return Err(Error::malformed(format!(
            "the sign-in host answers {} without JSON, as a proxy or a sign-in page would",
            code.as_u16()
        )));
    };
    if code.is_success() && !["access_token", "device_code"].iter().any(|name| answer.contains_key(*name)) {
        return Err(Error::malformed("the answer of the sign-in host holds no token"));
    }
    let response = oauth2::http::Response::builder().status(code);
    let response = response.header(oauth2::http::header::CONTENT_TYPE, "application/json");
    let body = Value::Object(answer).to_string().into_bytes();
    response.body(body).map_err(|_| Error::malformed("the answer of the sign-in host cannot be read"))
}

/// Never repeats what the endpoint sent: it may hold a token, or names.
pub(super) fn explain<E>(error: RequestTokenError<Error, StandardErrorResponse<E>>) -> Error
where
    E: ErrorResponseType + fmt::Display + 'static,
{
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let description = answer.error_description().map_or("", String::as_str);
            Error::Unauthorized { advice: aadsts::advice(&answer.error().to_string(), description) }
        }
        RequestTokenError::Request(error) => error,
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Error::malformed("the answer of the sign-in host is not one of OAuth")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_challenge_asks_for_is_sent_with_what_we_understand() {
        for (challenge, expected) in [
            (json!(null), json!({"access_token": {"xms_cc": {"values": ["cp1"]}}})),
            (json!("text"), json!({"access_token": {"xms_cc": {"values": ["cp1"]}}})),
            (
                json!({"access_token": {"nbf": {"essential": true, "value": "1"}}, "id_token": {}}),
                json!({
                    "access_token": {"nbf": {"essential": true, "value": "1"}, "xms_cc": {"values": ["cp1"]}},
                    "id_token": {},
                }),
            ),
            (json!({"access_token": 7}), json!({"access_token": {"xms_cc": {"values": ["cp1"]}}})),
        ] {
            let sent: Value = serde_json::from_str(&claims(Some(&challenge))).expect("JSON");
            assert_eq!(sent, expected);
        }
    }
}
