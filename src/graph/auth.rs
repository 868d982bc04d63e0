//! Sign-in: OAuth2 client credentials; the token is kept until shortly before it expires.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use oauth2::basic::{BasicClient, BasicErrorResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse,
    RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::graph::aadsts;
use crate::graph::body;
use crate::graph::error::{Cause, Error};
use crate::stats::TenantStats;

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Gives the client secret, read anew for each sign-in; the error says where it was looked for.
pub type SecretSource = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Whom to sign in as, and where.
pub struct Identity {
    /// The login root: `https://login.microsoftonline.com`.
    pub authority: Url,
    pub tenant_id: String,
    pub client_id: String,
    pub secret: SecretSource,
}

/// Signs in and holds the token.
pub struct Auth {
    client: Client,
    secret: SecretSource,
    scope: String,
    http: reqwest::Client,
    stats: TenantStats,
    held: Mutex<Held>,
}

/// A token to send.
#[derive(Clone, Debug)]
pub struct Token {
    /// Marked sensitive, so that it prints as nothing.
    pub header: HeaderValue,
    /// Seconds until it expires, when it was issued.
    pub lifetime: Duration,
    /// True when this call signed in, and did not find the token.
    pub fresh: bool,
    number: u64,
    issued: Instant,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    issued: u64,
    /// Graph refused a token and none has been accepted since.
    refused: bool,
    failure: Option<(Instant, Error)>,
}

/// A token is renewed this long before it expires: longer than any request takes.
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// Lifetime where the answer names none; Entra's tokens live 60 to 90 minutes.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
/// A shorter lifetime would be a sign-in for each request.
const SHORTEST_LIFETIME: Duration = Duration::from_mins(1);
/// A token that Graph refuses again is not dropped before this age, or a missing permission would become a loop of sign-ins (AADSTS50196).
const DROP_AGAIN_AFTER: Duration = Duration::from_mins(5);
/// Requests that wait for the same failed sign-in share its answer for this long.
const SHARE_FAILURE: Duration = Duration::from_secs(1);

impl Auth {
    /// The scope follows from the Graph root: tokens of one cloud are worthless in another.
    pub fn new(
        identity: Identity,
        graph: &Url,
        http: reqwest::Client,
        stats: TenantStats,
    ) -> Result<Self, Error> {
        let authority = identity.authority.as_str().trim_end_matches('/');
        let endpoint = format!("{authority}/{}/oauth2/v2.0/token", identity.tenant_id);
        let endpoint = TokenUrl::new(endpoint).map_err(|_| Error::malformed("the authority is not a URL"))?;
        let client = BasicClient::new(ClientId::new(identity.client_id))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(endpoint);
        let scope = format!("{}/.default", graph.as_str().trim_end_matches('/'));
        Ok(Self { client, secret: identity.secret, scope, http, stats, held: Mutex::default() })
    }

    pub fn client_id(&self) -> &str {
        self.client.client_id()
    }

    /// Whether the secret, as it is now, begins so; of a secret that cannot be read nothing is known.
    pub fn secret_begins_with(&self, start: &str) -> bool {
        (self.secret)().is_ok_and(|secret| secret.starts_with(start))
    }

    /// The token, signing in if there is none; others that need it meanwhile wait for the same sign-in.
    pub async fn token(&self) -> Result<Token, Error> {
        let mut held = self.held.lock().await;
        if let Some(token) = held.token.as_ref().filter(|token| !token.is_due()) {
            return Ok(Token { fresh: false, ..token.clone() });
        }
        if let Some((_, failure)) = held.failure.as_ref().filter(|(at, _)| at.elapsed() < SHARE_FAILURE) {
            return Err(failure.clone());
        }
        match self.sign_in(held.issued + 1).await {
            Ok(token) => {
                held.issued = token.number;
                held.token = Some(token.clone());
                Ok(token)
            }
            Err(failure) => {
                held.failure = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Graph refused this token (401 or 403). True if a new one is worth a try.
    pub async fn refused(&self, token: &Token) -> bool {
        let mut held = self.held.lock().await;
        if held.token.as_ref().is_none_or(|token_held| token_held.number != token.number) {
            return true; // somebody else has already asked for a new one, or is about to
        }
        let drop = !held.refused || token.issued.elapsed() >= DROP_AGAIN_AFTER;
        held.refused = true;
        if drop {
            held.token = None;
        }
        drop
    }

    /// Graph accepted a token.
    pub async fn accepted(&self) {
        self.held.lock().await.refused = false;
    }

    async fn sign_in(&self, number: u64) -> Result<Token, Error> {
        let secret = (self.secret)().map_err(|advice| Error::Unauthorized { advice })?;
        let client = self.client.clone().set_client_secret(ClientSecret::new(secret));
        let http = |request: HttpRequest| send(self.http.clone(), self.stats.clone(), request);
        let request = client.exchange_client_credentials().add_scope(Scope::new(self.scope.clone()));
        let answer = request.request_async(&http).await.map_err(explain)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", answer.access_token().secret()))
            .map_err(|_| Error::malformed("the token endpoint sent a token that fits no header"))?;
        header.set_sensitive(true);
        let lifetime = answer.expires_in().unwrap_or(USUAL_LIFETIME).max(SHORTEST_LIFETIME);
        Ok(Token { header, lifetime, fresh: true, number, issued: Instant::now() })
    }
}

impl Token {
    /// The application permissions in it; `None` where the token cannot be read, which only Graph has a right to.
    ///
    /// <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>
    pub fn roles(&self) -> Option<Vec<String>> {
        let claims = self.header.to_str().ok()?.split('.').nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        Some(claims.roles)
    }

    fn is_due(&self) -> bool {
        let margin = RENEW_BEFORE.min(self.lifetime / 10);
        self.issued.elapsed() >= self.lifetime.saturating_sub(margin)
    }
}

/// Of an access token, what concerns us; one without permissions has no roles at all.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    roles: Vec<String>,
}

/// One request of the oauth2 crate, over our client and with our bounds.
async fn send(
    http: reqwest::Client,
    stats: TenantStats,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let request = reqwest::Request::try_from(request).map_err(|error| Error::from_transport(&error))?;
    let mut response = match http.execute(request).await {
        Ok(response) => response,
        Err(error) => {
            let error = Error::from_transport(&error);
            stats.request("token", &error.code());
            return Err(error);
        }
    };
    let code = response.status();
    stats.request("token", code.as_str());
    if code.is_server_error() {
        return Err(Error::Unreachable { cause: Cause::Status(code.as_u16()) });
    }
    if code == reqwest::StatusCode::TOO_MANY_REQUESTS {
        return Err(Error::Throttled);
    }
    let mut answer = oauth2::http::Response::builder().status(code);
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    let body = body::read(&mut response).await?;
    answer.body(body).map_err(|_| Error::malformed("the token endpoint's headers cannot be read"))
}

/// Never repeats what the endpoint sent: it may hold a token, or names.
fn explain(error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let description = answer.error_description().map_or("", String::as_str);
            if aadsts::is_passing(description) {
                return Error::Unreachable { cause: Cause::Status(400) };
            }
            Error::Unauthorized { advice: aadsts::advice(answer.error().as_ref(), description) }
        }
        RequestTokenError::Request(error) => error,
        RequestTokenError::Parse(..) => Error::malformed("the token endpoint does not answer in JSON"),
        RequestTokenError::Other(_) => Error::malformed("the token endpoint's answer has no meaning"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;

    fn token(number: u64) -> Token {
        let header = HeaderValue::from_static("Bearer x");
        Token { header, lifetime: USUAL_LIFETIME, fresh: true, number, issued: Instant::now() }
    }

    fn signed_in(number: u64) -> Auth {
        let root = Url::parse("https://graph.example").expect("a URL");
        let identity = Identity {
            authority: root.clone(),
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
            secret: Arc::new(|| Err("not asked for".to_owned())),
        };
        drop(rustls::crypto::ring::default_provider().install_default());
        let stats = Stats::new().tenant(&"contoso".into());
        let mut auth = Auth::new(identity, &root, reqwest::Client::new(), stats).expect("plain URLs");
        *auth.held.get_mut() = Held { token: Some(token(number)), issued: number, ..Held::default() };
        auth
    }

    #[test]
    fn the_permissions_of_a_token_are_read_where_it_can_be_read() {
        let roles = |text: &'static str| Token { header: HeaderValue::from_static(text), ..token(1) }.roles();
        // {"aud":"x","roles":["Place.Read.All"]} and {"aud":"x"}
        let some = roles("Bearer e30.eyJhdWQiOiJ4Iiwicm9sZXMiOlsiUGxhY2UuUmVhZC5BbGwiXX0.c2ln");
        assert_eq!(some, Some(vec!["Place.Read.All".to_owned()]));
        assert_eq!(roles("Bearer e30.eyJhdWQiOiJ4In0.c2ln"), Some(vec![]));
        assert_eq!(roles("Bearer opaque"), None);
        assert_eq!(roles("Bearer a.!!!.b"), None);
    }

    #[tokio::test]
    async fn requests_that_are_refused_together_all_get_the_new_token() {
        let auth = signed_in(1);
        assert!(auth.refused(&token(1)).await);
        assert!(auth.refused(&token(1)).await, "before anybody has signed in again");
    }

    #[tokio::test]
    async fn a_new_token_that_is_refused_is_kept_until_one_was_accepted() {
        let mut auth = signed_in(1);
        assert!(auth.refused(&token(1)).await);
        auth.held.get_mut().token = Some(token(2));
        assert!(!auth.refused(&token(2)).await);
        assert!(!auth.refused(&token(2)).await);
        auth.accepted().await;
        assert!(auth.refused(&token(2)).await);
    }
}
