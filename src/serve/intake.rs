//! Where Microsoft's portals push, on listeners of its own: this faces the internet, and the metrics must not.
//!
//! | path                                        | methods | answer                                            |
//! |---------------------------------------------|---------|---------------------------------------------------|
//! | `/intake/pro-management/{tenant}[/{secret}]` | POST    | 204 when it was taken, else why not               |
//! | `/intake/admin-center/{tenant}[/{secret}]`   | POST    | the same                                          |
//!
//! A secret that is not in the path stands in `Authorization: Bearer` or `X-Intake-Secret`. Whether the tenant is unknown
//! or the secret wrong is not told. What the body says it is (`Content-Type`) does not matter, only what it is.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};

use super::routes::{Answer, text};
use crate::metrics::exposition;
use crate::model::State;
use crate::model::incident::{Receipt, Reporter};

/// An incident takes about 1 KiB, and one that names fifty devices 16.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// A burst that is too large is over after this.
const RETRY_AFTER_SECONDS: &str = "10";

const SECRET_HEADER: HeaderName = HeaderName::from_static("x-intake-secret");

/// Refuses a push, or has its body read.
pub type Admit = Box<dyn Fn(Push<'_>) -> Result<(), Receipt> + Send + Sync>;

/// What the answers are made from.
pub struct Intake {
    /// Asked before the body of a push is read; the push has none yet.
    pub admit: Admit,
    /// Takes a push that was admitted.
    pub receive: Box<dyn Fn(Push<'_>) -> Receipt + Send + Sync>,
    /// Called with handler and status of each response.
    pub on_response: Box<dyn Fn(&'static str, u16) + Send + Sync>,
}

/// A request as it came; nothing of it is believed yet. Not `Debug`: the secret must not be printed.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    pub reporter: Reporter,
    pub tenant: &'a str,
    pub secret: Option<&'a [u8]>,
    /// `None` where it is not read yet, or larger than [`MAX_BODY_BYTES`].
    pub body: Option<&'a [u8]>,
}

impl Intake {
    /// Takes the body only within the time that a request head has, too.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let (handler, answer) = match Place::parse(head.uri.path()) {
            None => ("other", refusal(StatusCode::NOT_FOUND, "There is nothing here.")),
            Some(_) if head.method != Method::POST => ("intake", not_post()),
            Some(place) => ("intake", self.take(place, &head.headers, body).await),
        };
        (self.on_response)(handler, answer.response.status().as_u16());
        answer
    }

    /// Counts an answer that was given before the path was read.
    pub(super) fn refused(&self, answer: Answer) -> Answer {
        (self.on_response)("refused", answer.response.status().as_u16());
        answer
    }

    async fn take(&self, place: Place<'_>, headers: &HeaderMap, body: Incoming) -> Answer {
        let secret = place.secret.map(str::as_bytes).or_else(|| secret_in(headers));
        let push = Push { reporter: place.reporter, tenant: place.tenant, secret, body: None };
        if let Err(receipt) = (self.admit)(push) {
            return respond(receipt);
        }
        let body = match whole(body).await {
            Ok(body) => Some(body),
            Err(Unread::TooLarge) => None,
            Err(Unread::Broken) => return refusal(StatusCode::BAD_REQUEST, "The body breaks off."),
        };
        respond((self.receive)(Push { body: body.as_deref(), ..push }))
    }
}

/// What a path names.
#[derive(Clone, Copy)]
struct Place<'a> {
    reporter: Reporter,
    tenant: &'a str,
    secret: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix("/intake/")?.split('/');
        let (name, tenant, secret) = (parts.next()?, parts.next()?, parts.next());
        let is_named = |reporter: &&Reporter| reporter.label().replace('_', "-") == name;
        let reporter = *Reporter::ALL.iter().find(is_named)?;
        (parts.next().is_none() && !tenant.is_empty()).then_some(Self { reporter, tenant, secret })
    }
}

fn secret_in(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, secret) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(secret.trim_ascii())
    });
    bearer.or_else(|| headers.get(SECRET_HEADER).map(HeaderValue::as_bytes))
}

enum Unread {
    TooLarge,
    Broken,
}

async fn whole(body: Incoming) -> Result<Bytes, Unread> {
    // One that announces too much is not even begun.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(Unread::TooLarge);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

fn respond(receipt: Receipt) -> Answer {
    match receipt {
        Receipt::Accepted | Receipt::Duplicate | Receipt::Outdated | Receipt::Ignored => taken(),
        Receipt::Malformed => refusal(StatusCode::BAD_REQUEST, "This is not what the webhook sends."),
        Receipt::Oversized => refusal(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        Receipt::Throttled => {
            let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, "Too many at once; try again.");
            let headers = answer.response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
            answer
        }
        Receipt::Unauthorized => {
            let mut answer = refusal(StatusCode::UNAUTHORIZED, "No such tenant, or another secret.");
            let headers = answer.response.headers_mut();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
    }
}

fn taken() -> Answer {
    let mut response = Response::new(exposition::Body::from(String::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    Answer { response, slot: None }
}

fn not_post() -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "Only POST is answered here.");
    answer.response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}

/// Who is refused has no use for the connection; strangers are not to hold them.
fn refusal(status: StatusCode, message: &str) -> Answer {
    let mut answer = text(status, message);
    answer.response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(Reporter, &str, Option<&str>)>) {
        let place = Place::parse(path).map(|place| (place.reporter, place.tenant, place.secret));
        assert_eq!(place, expected, "{path}");
    }

    #[test]
    fn paths_name_reporter_tenant_and_perhaps_the_secret() {
        use Reporter::{AdminCenter, ProManagement};
        check("/intake/pro-management/contoso/s", Some((ProManagement, "contoso", Some("s"))));
        check("/intake/admin-center/contoso", Some((AdminCenter, "contoso", None)));
        check("/intake/admin-center/contoso/", Some((AdminCenter, "contoso", Some(""))));
        for path in [
            "/",
            "/metrics",
            "/intake",
            "/intake/",
            "/intake/pro-management",
            "/intake/pro-management/",
            "/intake/pro_management/contoso",
            "/intake/else/contoso/s",
            "/intake/admin-center/contoso/s/more",
            "/x/intake/admin-center/contoso/s",
        ] {
            check(path, None);
        }
    }

    #[test]
    fn a_header_may_hold_the_secret() {
        let found = |name: HeaderName, value: &'static str| {
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            secret_in(&headers).map(|secret| String::from_utf8_lossy(secret).into_owned())
        };
        assert_eq!(found(AUTHORIZATION, "Bearer abc").as_deref(), Some("abc"));
        assert_eq!(found(AUTHORIZATION, "bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(found(AUTHORIZATION, "Basic abc"), None);
        assert_eq!(found(AUTHORIZATION, "x"), None);
        assert_eq!(found(SECRET_HEADER, "abc").as_deref(), Some("abc"));
    }
}
