//! Sign-in: the token is kept until shortly before it expires, and whoever needs one waits for the same sign-in.
//!
//! A file for each way: [`certificate`], [`managed_identity`], [`delegated`]; a secret and a federated token are sent as they
//! are. [`endpoint`] is what they send it to, [`login`] how a user signs in the first time.

pub mod answer;
mod certificate;
pub mod claims;
pub mod delegated;
mod endpoint;
pub mod login;
pub mod managed_identity;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;
use url::Url;

use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::graph::error::Error;
use crate::stats::TenantStats;
use certificate::Parties;
use claims::Claims;
use delegated::TokenFile;
use endpoint::{Endpoint, Issued};
use managed_identity::Service;

/// Gives what a sign-in needs, as it is now; the error says where it was looked for.
pub type Reads<T> = Arc<dyn Fn() -> Result<T, String> + Send + Sync>;

/// Whom to sign in as, and where.
pub struct Identity {
    /// The login root: `https://login.microsoftonline.com`.
    pub authority: Url,
    pub tenant_id: String,
    /// Empty for a managed identity, which has its own.
    pub client_id: String,
    pub proof: Proof,
}

/// What proves it, read anew for each sign-in.
pub enum Proof {
    Secret(Reads<String>),
    Certificate {
        read: Reads<Certificate>,
        /// Whether the chain goes along, for an application that trusts subject and issuer.
        send_chain: bool,
    },
    /// A token of another issuer.
    FederatedToken(Reads<String>),
    ManagedIdentity(Service),
    RefreshToken(TokenFile),
}

/// When what proves us expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Only Graph knows of a secret.
    AskGraph,
    /// Of a certificate, or why it cannot be read.
    Certificate(Result<crate::model::Timestamp, String>),
    Never,
}

/// The HTTP clients of a sign-in.
pub(super) struct Http {
    pub(super) client: reqwest::Client,
    /// For what is on this machine.
    pub(super) direct: reqwest::Client,
    /// Before the second attempt.
    pub(super) first_pause: Duration,
}

/// Signs in and holds the token.
pub struct Auth {
    endpoint: Endpoint,
    proof: Proof,
    http: Http,
    stats: TenantStats,
    clock: Clock,
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
    /// What Graph wants the next token to say.
    challenge: Option<Value>,
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
    pub(super) fn new(
        identity: Identity,
        graph: &Url,
        http: Http,
        stats: TenantStats,
        clock: Clock,
    ) -> Result<Self, Error> {
        let Identity { authority, tenant_id, client_id, proof } = identity;
        let (client, own) = (http.client.clone(), stats.clone());
        let endpoint = Endpoint::new(&authority, &tenant_id, &client_id, graph, client, own)?;
        Ok(Self { endpoint, proof, http, stats, clock, held: Mutex::default() })
    }

    pub fn client_id(&self) -> &str {
        self.endpoint.client_id()
    }

    /// Whether the secret, as it is now, begins so; of a secret that cannot be read nothing is known.
    pub fn secret_begins_with(&self, start: &str) -> bool {
        match &self.proof {
            Proof::Secret(secret) => secret().is_ok_and(|secret| secret.starts_with(start)),
            _ => false,
        }
    }

    /// When what is signed in with, as it is now, expires.
    pub fn expiry(&self) -> Expiry {
        match &self.proof {
            Proof::Secret(_) => Expiry::AskGraph,
            Proof::Certificate { read, .. } => Expiry::Certificate(read().map(|it| it.not_after)),
            _ => Expiry::Never,
        }
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
        match self.sign_in(held.issued + 1, held.challenge.as_ref()).await {
            Ok(token) => {
                held.challenge = None;
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

    /// Graph refused this token (401 or 403), and may have said what another must have. True if a new one is worth a try.
    pub async fn refused(&self, token: &Token, challenge: Option<Value>) -> bool {
        let mut held = self.held.lock().await;
        if held.token.as_ref().is_none_or(|token_held| token_held.number != token.number) {
            return true; // somebody else has already asked for a new one, or is about to
        }
        let drop = !held.refused || token.issued.elapsed() >= DROP_AGAIN_AFTER;
        held.refused = true;
        if drop {
            held.token = None;
            held.challenge = challenge;
        }
        drop
    }

    /// Graph accepted a token.
    pub async fn accepted(&self) {
        self.held.lock().await.refused = false;
    }

    async fn sign_in(&self, number: u64, challenge: Option<&Value>) -> Result<Token, Error> {
        let span = tracing::info_span!(target: "collection", "token");
        let issued = self.issue(challenge).instrument(span).await?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", issued.token.secret()))
            .map_err(|_| Error::malformed("the token endpoint sent a token that fits no header"))?;
        header.set_sensitive(true);
        let lifetime = issued.lifetime.max(SHORTEST_LIFETIME);
        Ok(Token { header, lifetime, fresh: true, number, issued: Instant::now() })
    }

    async fn issue(&self, challenge: Option<&Value>) -> Result<Issued, Error> {
        let (endpoint, unreadable) = (&self.endpoint, |advice| Error::Unauthorized { advice });
        let proof = match &self.proof {
            Proof::Secret(secret) => vec![("client_secret", secret().map_err(unreadable)?)],
            Proof::Certificate { read, send_chain } => {
                let parties = Parties { client_id: endpoint.client_id(), token_endpoint: &endpoint.url };
                let own = read().map_err(unreadable)?;
                certificate::proof(&own, *send_chain, &parties, self.clock.now()).map_err(unreadable)?
            }
            Proof::FederatedToken(token) => certificate::with_assertion(token().map_err(unreadable)?),
            Proof::ManagedIdentity(service) => {
                let Http { direct, first_pause, .. } = &self.http;
                let (now, resource) = (self.clock.now(), &endpoint.resource);
                return service.sign_in(direct, &self.stats, resource, *first_pause, now).await;
            }
            Proof::RefreshToken(file) => return delegated::sign_in(endpoint, file, challenge).await,
        };
        endpoint.as_application(proof, challenge).await
    }
}

impl Token {
    /// What it says, where that can be read.
    pub fn claims(&self) -> Option<Claims> {
        Claims::read(self.header.to_str().ok()?.strip_prefix("Bearer ")?)
    }

    fn is_due(&self) -> bool {
        let margin = RENEW_BEFORE.min(self.lifetime / 10);
        self.issued.elapsed() >= self.lifetime.saturating_sub(margin)
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
            proof: Proof::Secret(Arc::new(|| Err("not asked for".to_owned()))),
        };
        drop(rustls::crypto::ring::default_provider().install_default());
        let stats = Stats::new().tenant(&"contoso".into());
        let client = reqwest::Client::new();
        let http = Http { client: client.clone(), direct: client, first_pause: Duration::ZERO };
        let clock = Clock::new(|| crate::model::Timestamp::from_seconds(0));
        let mut auth = Auth::new(identity, &root, http, stats, clock).expect("plain URLs");
        *auth.held.get_mut() = Held { token: Some(token(number)), issued: number, ..Held::default() };
        auth
    }

    #[tokio::test]
    async fn requests_that_are_refused_together_all_get_the_new_token() {
        let auth = signed_in(1);
        assert!(auth.refused(&token(1), None).await);
        assert!(auth.refused(&token(1), None).await, "before anybody has signed in again");
    }

    #[tokio::test]
    async fn a_new_token_that_is_refused_is_kept_until_one_was_accepted() {
        let mut auth = signed_in(1);
        assert!(auth.refused(&token(1), None).await);
        auth.held.get_mut().token = Some(token(2));
        assert!(!auth.refused(&token(2), None).await);
        assert!(!auth.refused(&token(2), None).await);
        auth.accepted().await;
        assert!(auth.refused(&token(2), None).await);
    }
}
