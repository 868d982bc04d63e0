//! The OAuth2 endpoint and the tokens it issued: client credentials and refresh tokens as Entra ID documents them, managed
//! identities, and its errors.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::chance::Chance;
use super::faults::{Active, Kind};
use super::reply::{Body, Reply, Stamp};
use super::tenant::Tenant;
use super::{CLIENT_ID, CLIENT_SECRET, IDENTITY_HEADER, TENANT_ID};

/// What Entra ID says a token lives, in real seconds: simulated time may run a thousand times faster.
const LIFETIME_SECONDS: u64 = 3_599;

/// Tokens remembered; an exporter needs one an hour, so only a test that floods the endpoint loses any.
const KEPT: usize = 10_000;

/// The application permissions that were consented to, unless the settings name others: all that are read
/// with.
pub(super) const ROLES: [&str; 10] = [
    "TeamworkDevice.Read.All",
    "Presence.Read.All",
    "Place.Read.All",
    "Calendars.ReadBasic.All",
    "User.Read.All",
    "LicenseAssignment.Read.All",
    "Organization.Read.All",
    "DeviceManagementManagedDevices.Read.All",
    "ServiceHealth.Read.All",
    "Application.Read.All",
];

const HTML: &str = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>";

/// The form of one token request, and where it was sent.
pub(super) struct TokenRequest<'a> {
    pub(super) tenant_id: &'a str,
    pub(super) form: &'a [u8],
    /// Scheme and host the client used, which name the Graph root of the scope.
    pub(super) root: &'a str,
}

pub(super) fn answer(request: &TokenRequest<'_>, tenant: &Tenant, faults: &Active, stamp: &Stamp) -> Reply {
    if let Some(fault) = faults.strikes(Kind::TokenError) {
        return refuse(fault.number_or(WRONG_SECRET), stamp);
    }
    if faults.strikes(Kind::TokenHtml).is_some() {
        return Reply::text("text/html; charset=utf-8", HTML);
    }
    match check(request, tenant) {
        Err(code) => refuse(code, stamp),
        Ok(granted) => grant(tenant, &granted, stamp.wall),
    }
}

/// A token of the managed identity: of a machine's metadata service, or of App Service with its header.
///
/// <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
pub(super) fn of_managed_identity(
    path: &str,
    query: &str,
    header: impl Fn(&str) -> Option<String>,
    tenant: &Tenant,
    stamp: &Stamp,
) -> Reply {
    let asked: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let field = |name: &str| asked.get(name).map_or("", String::as_str);
    let (is_permitted, version) = if path == METADATA_PATH {
        (header("Metadata").as_deref() == Some("true"), "2018-02-01")
    } else {
        (header("X-IDENTITY-HEADER").as_deref() == Some(IDENTITY_HEADER), "2019-08-01")
    };
    let is_known = matches!(field("client_id"), "" | CLIENT_ID);
    if !is_permitted || !is_known || field("api-version") != version || field("resource").is_empty() {
        let body = json!({"error": "invalid_request", "error_description": "Identity not found"});
        return Reply::json(body).with_status(400);
    }
    let granted = Granted { audience: field("resource").to_owned(), ..Granted::default() };
    let Body::Json(Value::Object(mut answer)) = grant(tenant, &granted, stamp.wall).body else {
        return refuse(0, stamp);
    };
    // Here numbers are texts, and App Service tells the end alone.
    let end = stamp.wall.as_second() + i64::try_from(LIFETIME_SECONDS).unwrap_or(0);
    answer.insert("expires_on".to_owned(), json!(end.to_string()));
    answer.insert("resource".to_owned(), json!(granted.audience));
    answer.remove("ext_expires_in");
    if version == "2018-02-01" {
        answer.insert("expires_in".to_owned(), json!(LIFETIME_SECONDS.to_string()));
    } else {
        answer.remove("expires_in");
    }
    Reply::json(answer.into())
}

/// Where a machine's metadata service has tokens.
pub(super) const METADATA_PATH: &str = "/metadata/identity/oauth2/token";
/// Where App Service does, below an address of its own.
pub(super) const APP_SERVICE_PATH: &str = "/msi/token";

/// What a request gets.
#[derive(Debug, Default, PartialEq)]
struct Granted {
    audience: String,
    /// The user's new refresh token, and with it the delegated permissions.
    refresh_token: Option<String>,
    /// It was asked for with the claims of a challenge.
    answers_challenge: bool,
}

const WRONG_SECRET: u32 = 7_000_215;

/// The rules in the order Entra ID applies them; fails with the AADSTS code.
fn check(request: &TokenRequest<'_>, tenant: &Tenant) -> Result<Granted, u32> {
    let form: HashMap<String, String> = url::form_urlencoded::parse(request.form).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if matches!(request.tenant_id, "common" | "organizations" | "consumers") {
        return Err(9_001_023);
    }
    if !request.tenant_id.eq_ignore_ascii_case(TENANT_ID) {
        return Err(90_002);
    }
    let is_user = match field("grant_type") {
        Some("client_credentials") => false,
        Some("refresh_token") => true,
        Some(_) => return Err(70_003),
        None => return Err(900_144),
    };
    let client_id = field("client_id").ok_or(900_144_u32)?;
    if !client_id.eq_ignore_ascii_case(CLIENT_ID) {
        return Err(700_016);
    }
    if !is_user {
        check_client(field("client_secret"), field("client_assertion"), request, tenant)?;
    }
    let scopes = field("scope").ok_or(900_144_u32)?;
    let roots = [request.root, &tenant.url];
    let refresh_token = if is_user {
        let next = tenant.world.seed().named("refresh").number(tenant.count_sign_in()).guid().to_string();
        tenant.proofs.refresh(field("refresh_token").ok_or(900_144_u32)?, next.clone())?;
        Some(next)
    } else {
        None
    };
    let end = if is_user { USER_SCOPE } else { "/.default" };
    let scope = scopes.split(' ').find(|scope| scope.ends_with(end));
    let audience = check_scope(scope.ok_or(70_011_u32)?, end, roots)?.to_owned();
    let answers_challenge = field("claims").is_some_and(answers_challenge);
    Ok(Granted { audience, refresh_token, answers_challenge })
}

/// The delegated permission for devices, behind the Graph root.
const USER_SCOPE: &str = "/TeamworkDevice.Read.All";

fn check_client(
    secret: Option<&str>,
    assertion: Option<&str>,
    request: &TokenRequest<'_>,
    tenant: &Tenant,
) -> Result<(), u32> {
    match (secret, assertion) {
        (Some(CLIENT_SECRET), _) => Ok(()),
        (Some(_), _) => Err(WRONG_SECRET),
        (None, Some(assertion)) => {
            // Whatever ends TLS before us calls us https.
            let roots = [request.root.to_owned(), request.root.replacen("http:", "https:", 1)];
            let endpoints = roots.map(|root| format!("{root}/{}/oauth2/v2.0/token", request.tenant_id));
            tenant.proofs.check_assertion(assertion, &endpoints)
        }
        (None, None) => Err(7_000_218),
    }
}

/// Where each of Microsoft's clouds signs in, and its Graph roots.
///
/// <https://learn.microsoft.com/graph/deployments>
const CLOUDS: [(&str, &[&str]); 3] = [
    ("login.microsoftonline.com", &["graph.microsoft.com"]),
    ("login.microsoftonline.us", &["graph.microsoft.us", "dod-graph.microsoft.us"]),
    ("login.chinacloudapi.cn", &["microsoftgraph.chinacloudapi.cn"]),
];

/// The Graph root of a scope.
fn check_scope<'s>(scope: &'s str, end: &str, roots: [&str; 2]) -> Result<&'s str, u32> {
    let resource = scope.strip_suffix(end).ok_or(70_011_u32)?;
    let [here, own] = roots.map(host);
    let of_cloud = CLOUDS.iter().find(|(login, _)| *login == here).map_or(&[][..], |(_, graphs)| graphs);
    let is_ours = [here, own].contains(&host(resource)) || of_cloud.contains(&host(resource));
    if is_ours { Ok(resource) } else { Err(500_011) }
}

/// A root without its scheme.
fn host(root: &str) -> &str {
    root.split_once("://").map_or(root, |(_, host)| host)
}

/// What a claims challenge asks for, as Microsoft's page has it.
pub(super) const CHALLENGE: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;

fn answers_challenge(claims: &str) -> bool {
    let claims: Value = serde_json::from_str(claims).unwrap_or_default();
    let challenge: Value = serde_json::from_str(CHALLENGE).unwrap_or_default();
    let nbf = "/access_token/nbf";
    claims.pointer(nbf).is_some_and(|claim| Some(claim) == challenge.pointer(nbf))
        && claims.pointer("/access_token/xms_cc/values/0") == Some(&json!("cp1"))
}

fn grant(tenant: &Tenant, granted: &Granted, wall: Timestamp) -> Reply {
    let roles = if granted.refresh_token.is_some() {
        Arc::from(["User.Read".to_owned(), USER_SCOPE.trim_start_matches('/').to_owned()])
    } else {
        tenant.roles()
    };
    let is_user = granted.refresh_token.is_some();
    let about = Claims { audience: &granted.audience, wall, roles, is_user };
    let token =
        tenant.tokens.issue(about, granted.answers_challenge, tenant.clock.elapsed(), tenant.world.seed());
    let mut answer = json!({
        "token_type": "Bearer",
        "expires_in": LIFETIME_SECONDS,
        "ext_expires_in": LIFETIME_SECONDS,
        "access_token": token,
    });
    if let (Some(refresh_token), Some(answer)) = (&granted.refresh_token, answer.as_object_mut()) {
        answer.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    Reply::json(answer)
}

/// Status, `error` and text of every code the tenant can answer; any other is an
/// `invalid_request`.
const ERRORS: [(u32, u16, &str, &str); 20] = [
    (50_012, 401, "invalid_client", "Authentication failed."),
    (50_013, 401, "invalid_client", "Assertion failed signature validation."),
    (
        50_196,
        400,
        "invalid_grant",
        "The server terminated an operation because it encountered a client request loop.",
    ),
    (53_003, 400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    (70_003, 400, "unsupported_grant_type", "The app requested an unsupported grant type."),
    (70_011, 400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
    (70_021, 401, "invalid_client", "No matching federated identity record found for presented assertion."),
    (90_002, 400, "invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID."),
    (90_033, 503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
    (90_055, 429, "temporarily_unavailable", "The tenant is throttled because of too many requests."),
    (500_011, 400, "invalid_resource", "The resource principal was not found in the tenant."),
    (700_016, 400, "unauthorized_client", "Application was not found in the directory."),
    (
        700_027,
        401,
        "invalid_client",
        "The certificate with the presented identifier is not registered for the application.",
    ),
    (700_082, 400, "invalid_grant", "The refresh token has expired due to inactivity."),
    (900_144, 400, "invalid_request", "The request body must contain all required parameters."),
    (7_000_112, 400, "unauthorized_client", "Application is disabled."),
    (
        WRONG_SECRET,
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
    ),
    (
        7_000_218,
        401,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    ),
    (7_000_222, 401, "invalid_client", "The provided client secret keys are expired."),
    (
        9_001_023,
        400,
        "invalid_request",
        "The grant type is not supported over the /common or /consumers endpoints. Please use the /organizations or tenant-specific endpoint.",
    ),
];

fn refuse(code: u32, stamp: &Stamp) -> Reply {
    let known = ERRORS.iter().find(|(known, ..)| *known == code);
    let (_, status, error, text) = *known.unwrap_or(&(0, 400, "invalid_request", "The request failed."));
    let timestamp = stamp.wall.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let (trace, correlation) = (&stamp.request_id, &stamp.client_request_id);
    let described = format!(
        "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
    );
    let body = json!({
        "error": error,
        "error_description": described,
        "error_codes": [code],
        "timestamp": timestamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    Reply::json(body).with_status(status)
}

/// Every token issued, by its text.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Issued>);

#[derive(Debug, Default)]
struct Issued {
    by_text: HashMap<String, Token>,
    in_order: VecDeque<String>,
    count: u64,
}

/// The how manieth token it is, when (real time since start-up) it was issued, and the roles it was issued
/// with: a later consent does not change it.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) number: u64,
    pub(super) roles: Arc<[String]>,
    pub(super) answers_challenge: bool,
    audience: String,
    at: Duration,
}

/// What a token says.
struct Claims<'a> {
    audience: &'a str,
    wall: Timestamp,
    roles: Arc<[String]>,
    is_user: bool,
}

impl Tokens {
    fn issue(&self, claims: Claims<'_>, answers_challenge: bool, at: Duration, seed: Chance) -> String {
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        issued.count += 1;
        let number = issued.count;
        let text = jwt(&claims, seed.named("token").number(i64::try_from(number).unwrap_or(i64::MAX)));
        let audience = claims.audience.to_owned();
        let token = Token { number, roles: claims.roles, answers_challenge, audience, at };
        issued.by_text.insert(text.clone(), token);
        issued.in_order.push_back(text.clone());
        if issued.in_order.len() > KEPT {
            let oldest = issued.in_order.pop_front().unwrap_or_default();
            issued.by_text.remove(&oldest);
        }
        text
    }

    pub(super) fn count(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).in_order.iter().cloned().collect()
    }

    /// The token in an `Authorization` header, or 401 in the words of Graph.
    pub(super) fn check(&self, authorization: Option<&str>, now: Duration) -> Result<Token, Reply> {
        let Some(text) = authorization.and_then(bearer) else {
            return Err(unauthorized("Access token is empty."));
        };
        let issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = issued.by_text.get(text).ok_or_else(|| unauthorized("Invalid access token."))?;
        if now.saturating_sub(token.at) < Duration::from_secs(LIFETIME_SECONDS) {
            return Ok(token.clone());
        }
        Err(unauthorized("Access token has expired or is not yet valid."))
    }
}

impl Token {
    /// Whether it is for one of these roots.
    pub(super) fn is_for(&self, roots: [&str; 2]) -> bool {
        roots.map(host).contains(&host(&self.audience))
    }
}

/// The refusal that says what another token must have.
///
/// <https://learn.microsoft.com/entra/identity-platform/claims-challenge>
pub(super) fn challenge() -> Reply {
    let claims = base64url(CHALLENGE.as_bytes());
    let header = format!(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", \
         client_id=\"00000003-0000-0000-c000-000000000000\", error=\"insufficient_claims\", claims=\"{claims}\""
    );
    let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired";
    Reply::error(401, "InvalidAuthenticationToken", message).with_header("WWW-Authenticate", header)
}

pub(super) fn unauthorized(message: &str) -> Reply {
    Reply::error(401, "InvalidAuthenticationToken", message)
        .with_header("WWW-Authenticate", "Bearer realm=\"\", error=\"invalid_token\"")
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// A token with the claims of a real one; the signature is a draw, because nobody but us can check it.
fn jwt(Claims { audience, wall, roles, is_user }: &Claims<'_>, draw: Chance) -> String {
    let mut claims = json!({
        "aud": audience,
        "iss": format!("https://sts.windows.net/{TENANT_ID}/"),
        "iat": wall.as_second(),
        "nbf": wall.as_second(),
        "exp": wall.as_second() + i64::try_from(LIFETIME_SECONDS).unwrap_or(0),
        "appid": CLIENT_ID,
        "idtyp": if *is_user { "user" } else { "app" },
        "tid": TENANT_ID,
        "uti": draw.named("uti").guid().to_string(),
        "ver": "1.0",
    });
    // An application without any role gets a token all the same; the claim is missing then.
    if let (false, Some(claims)) = (roles.is_empty(), claims.as_object_mut()) {
        if *is_user {
            claims.insert("scp".to_owned(), json!(roles.join(" ")));
        } else {
            claims.insert("roles".to_owned(), json!(**roles));
        }
    }
    let header = json!({"typ": "JWT", "alg": "none"});
    format!("{}.{}.{}", part(&header), part(&claims), base64url(&draw.bytes()))
}

fn part(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let group =
            (0..3).fold(0_usize, |group, at| group << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        [18, 12, 6, 0].map(|shift| group >> shift & 63).into_iter().take(chunk.len() + 1)
    });
    digits.filter_map(|digit| ALPHABET.get(digit)).copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_follows_the_rfc() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64url(plain.as_bytes()), encoded);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    }

    #[track_caller]
    fn refused(tenant_id: &str, form: &str, expected: u32) {
        let request = TokenRequest { tenant_id, form: form.as_bytes(), root: "http://sim" };
        assert_eq!(check(&request, &tenant()), Err(expected), "{form}");
    }

    fn tenant() -> Tenant {
        Tenant::new("http://sim".to_owned(), super::super::Settings { rooms: 1, ..Default::default() })
    }

    #[test]
    fn every_mistake_has_its_code() {
        let secret = CLIENT_SECRET.replace('+', "%2B");
        let good = format!(
            "grant_type=client_credentials&client_id={CLIENT_ID}&client_secret={secret}&scope=http://sim/.default"
        );
        let request = TokenRequest { tenant_id: TENANT_ID, form: good.as_bytes(), root: "http://sim" };
        let granted = Granted { audience: "http://sim".to_owned(), ..Granted::default() };
        assert_eq!(check(&request, &tenant()), Ok(granted));
        refused("common", &good, 9_001_023);
        refused(CLIENT_ID, &good, 90_002);
        refused(TENANT_ID, "", 900_144);
        refused(TENANT_ID, &good.replace("client_credentials", "password"), 70_003);
        refused(TENANT_ID, &good.replace(CLIENT_ID, TENANT_ID), 700_016);
        refused(TENANT_ID, &good.replace(&secret, CLIENT_SECRET), 7_000_215);
        refused(TENANT_ID, &good.replace(&secret, "secret-id"), 7_000_215);
        refused(TENANT_ID, &good.replace("client_secret", "other"), 7_000_218);
        refused(TENANT_ID, &good.replace("client_secret", "client_assertion"), 50_013);
        refused(TENANT_ID, &good.replace("client_credentials", "refresh_token"), 900_144);
        refused(TENANT_ID, &good.replace("/.default", ""), 70_011);
        refused(TENANT_ID, &good.replace("//sim", "//graph.example"), 500_011);
    }

    #[test]
    fn a_token_dies_of_real_age() {
        let tokens = Tokens::default();
        let claims = Claims {
            audience: "http://sim",
            wall: Timestamp::UNIX_EPOCH,
            roles: Arc::new(["Role".to_owned()]),
            is_user: false,
        };
        let token = tokens.issue(claims, false, Duration::ZERO, Chance::seeded(1));
        let header = format!("Bearer {token}");
        assert_eq!(tokens.check(Some(&header), Duration::from_secs(3_598)).unwrap().number, 1);
        assert!(tokens.check(Some(&header), Duration::from_secs(3_599)).is_err());
        assert!(tokens.check(Some("Bearer x"), Duration::ZERO).is_err());
        assert!(tokens.check(Some(&token), Duration::ZERO).is_err());
        assert!(tokens.check(None, Duration::ZERO).is_err());
    }
}
