//! Signs in a user, once: by a code that is entered on any device, or by a browser on this one.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow>

use std::borrow::Cow;
use std::time::Duration;

use oauth2::{
    AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    StandardDeviceAuthorizationResponse,
};
use url::Url;

use crate::graph::aadsts;
use crate::graph::auth::claims::Claims;
use crate::graph::auth::delegated;
use crate::graph::auth::endpoint::{Endpoint, Issued, claims, explain, issued};
use crate::graph::error::Error;
use crate::graph::http;
use crate::stats::TenantStats;

/// The application that a user signs in to.
pub struct Login {
    endpoint: Endpoint,
}

/// What the user is to enter, and where.
pub struct DeviceCode(StandardDeviceAuthorizationResponse);

/// A sign-in that a browser is to bring back.
pub struct Browser {
    /// What the browser opens.
    pub url: Url,
    redirect: RedirectUrl,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
}

/// A user who has signed in.
pub struct SignedIn {
    /// To be kept; it is a secret.
    pub refresh_token: String,
    /// What the access token says, where it can be read.
    pub claims: Option<Claims>,
}

/// Whatever the endpoint says, it is not asked more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl Login {
    /// `authority` and `graph` are the roots of the cloud.
    pub fn new(
        authority: &Url,
        tenant_id: &str,
        client_id: &str,
        graph: &Url,
        http: &http::Settings,
        stats: TenantStats,
    ) -> Result<Self, Error> {
        let http = http::client(http)?;
        Ok(Self { endpoint: Endpoint::new(authority, tenant_id, client_id, graph, http, stats)? })
    }

    /// Asks for a code.
    pub async fn device_code(&self) -> Result<DeviceCode, Error> {
        let request = self.endpoint.client.exchange_device_code();
        let request = request.add_scopes(delegated::scopes(&self.endpoint.resource));
        let answer = request.request_async(&|request| self.endpoint.send(request)).await;
        answer.map(DeviceCode).map_err(explain)
    }

    /// Waits until the code is entered, refused or expired.
    pub async fn wait_for(&self, code: &DeviceCode) -> Result<SignedIn, Error> {
        let request = self.endpoint.client.exchange_device_access_token(&code.0);
        let request = request.add_extra_param("claims", claims(None));
        let pause = |interval: Duration| tokio::time::sleep(interval.max(SHORTEST_INTERVAL));
        let answer = request.request_async(&|request| self.endpoint.send(request), pause, None).await;
        signed_in(issued(answer)?)
    }

    /// Begins a sign-in that ends with a request to `redirect`.
    pub fn browser(&self, redirect: String) -> Result<Browser, Error> {
        let redirect =
            RedirectUrl::new(redirect).map_err(|_| Error::malformed("the redirect is not a URL"))?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let request = self.endpoint.client.authorize_url(CsrfToken::new_random);
        let (url, state) = request
            .add_scopes(delegated::scopes(&self.endpoint.resource))
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Borrowed(&redirect))
            .add_extra_param("prompt", "select_account")
            .url();
        Ok(Browser { url, redirect, state, verifier })
    }

    /// Ends it: `query` is what the browser brought.
    pub async fn redeem(&self, browser: Browser, query: &str) -> Result<SignedIn, Error> {
        let code = browser.code(query)?;
        let request = self.endpoint.client.exchange_code(AuthorizationCode::new(code));
        let request = request
            .set_pkce_verifier(browser.verifier)
            .set_redirect_uri(Cow::Owned(browser.redirect))
            .add_extra_param("claims", claims(None));
        signed_in(issued(request.request_async(&|request| self.endpoint.send(request)).await)?)
    }
}

impl DeviceCode {
    pub fn user_code(&self) -> &str {
        self.0.user_code().secret()
    }

    pub fn page(&self) -> &str {
        self.0.verification_uri().as_str()
    }

    /// How long the code is good.
    pub fn lifetime(&self) -> Duration {
        self.0.expires_in()
    }
}

impl Browser {
    /// The code of a query, if it answers our request and no other.
    fn code(&self, query: &str) -> Result<String, Error> {
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let refused = |advice: String| Err(Error::Unauthorized { advice });
        if value("state").as_ref() != Some(self.state.secret()) {
            return refused("the browser's answer belongs to another sign-in (state); begin anew".to_owned());
        }
        match (value("code"), value("error")) {
            (Some(code), None) => Ok(code),
            (_, Some(error)) => {
                refused(aadsts::advice(&error, &value("error_description").unwrap_or_default()))
            }
            (None, None) => refused("the browser brought neither a code nor an error".to_owned()),
        }
    }
}

fn signed_in(issued: Issued) -> Result<SignedIn, Error> {
    let Some(refresh_token) = issued.refresh_token else {
        let advice = "no refresh token came; the application must allow offline_access".to_owned();
        return Err(Error::Unauthorized { advice });
    };
    let claims = Claims::read(issued.token.secret());
    Ok(SignedIn { refresh_token: refresh_token.secret().clone(), claims })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;

    fn login() -> Login {
        drop(rustls::crypto::ring::default_provider().install_default());
        let root = |text| Url::parse(text).expect("a URL");
        let http = http::Settings {
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            authorities: Vec::new(),
            proxies: crate::proxy::Proxies::default(),
        };
        let stats = Stats::new().tenant(&"contoso".into());
        let (authority, graph) = (root("https://login.example/"), root("https://graph.example/"));
        Login::new(&authority, "t", "c", &graph, &http, stats).expect("plain URLs")
    }

    #[test]
    fn a_browser_is_sent_with_a_challenge_and_its_answer_must_be_its_own() {
        let browser = login().browser("http://localhost:1".to_owned()).expect("a URL");
        let pairs: Vec<(String, String)> = browser.url.query_pairs().into_owned().collect();
        let value = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        assert!(browser.url.as_str().starts_with("https://login.example/t/oauth2/v2.0/authorize?"));
        assert_eq!((value("response_type"), value("code_challenge_method")), ("code", "S256"));
        assert_eq!(value("redirect_uri"), "http://localhost:1", "as it is registered: without a slash");
        assert_eq!(
            value("scope"),
            "openid profile email offline_access https://graph.example/User.Read https://graph.example/TeamworkDevice.Read.All"
        );
        assert_eq!(value("code_challenge").len(), 43);
        let state = value("state").to_owned();
        for (query, expected) in [
            (format!("code=a%2Bb&state={state}"), Ok("a+b")),
            (format!("code=x&state={state}x"), Err("another sign-in")),
            ("code=x".to_owned(), Err("another sign-in")),
            (format!("state={state}"), Err("neither a code nor an error")),
            (
                format!("error=access_denied&error_description=AADSTS65004%3A+no&state={state}"),
                Err("declined"),
            ),
            (format!("error=access_denied&code=x&state={state}"), Err("`access_denied`")),
        ] {
            match (browser.code(&query), expected) {
                (Ok(code), Ok(expected)) => assert_eq!(code, expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
                (found, _) => panic!("{query}: {found:?}"),
            }
        }
    }
}
