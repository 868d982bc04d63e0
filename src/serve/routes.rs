//! Which path gives which answer.
//!
//! | path                | methods   | answer                                                             |
//! |---------------------|-----------|--------------------------------------------------------------------|
//! | `/metrics` (or as set) | GET, HEAD | the exposition; `?tenant=x` one tenant, `?tenant=` the process alone, `?name[]=` some families, `?part=1/8` some rooms |
//! | `/`                 | GET, HEAD | the status page                                                    |
//! | `/api/v1/rooms`     | GET, HEAD | the rooms as JSON; `?tenant=` those of one tenant                  |
//! | `/api/v1/rooms/{id}`| GET, HEAD | one room                                                           |
//! | `/sd`               | GET, HEAD | one scrape target for each tenant, or with `?parts=8` eight        |
//! | `/-/healthy`        | GET, HEAD | 200 while the process lives, whatever the data                     |
//! | `/-/ready`          | GET, HEAD | 200, or 503 with what is awaited                                   |
//! | `/-/reload`         | POST, PUT | 200 when the configuration was read anew, 500 with why not         |
//!
//! Everything else is a 404. Errors are plain text for the person who reads them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::api::Rooms;
use super::sd::{self, Place};
use super::{api, negotiate, query};
use crate::metrics::exporter::Asked;
use crate::metrics::exposition::{self, Body, Exposition, Names, Selection};
use crate::metrics::segment::{COUNTS, Part};

const RELOAD: &str = "/-/reload";

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// The status page is one document with its style inside; nothing else may be loaded or run.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";

/// Answers up to this need no slot: with 512 connections they take 32 MiB.
const SMALL_BYTES: u64 = 64 * 1024;

/// Scrapes come every few seconds at most; whoever finds us busy may well try the next second.
const RETRY_AFTER_SECONDS: &str = "1";

/// Told which tenant is read, or all.
pub type OnRead = Box<dyn Fn(Option<&str>) + Send + Sync>;

/// Has the configuration read anew; the error says why it was refused.
pub type AskReload = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What the answers are made from. `serve` knows no more of the exporter than this.
pub struct Routes {
    pub exposition: Arc<Exposition>,
    /// Renders the exporter's own series on the spot: whole lines, no end marker.
    pub tail: Box<dyn Fn(Asked<'_>) -> Vec<u8> + Send + Sync>,
    /// The error says what is awaited.
    pub ready: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Every room of every tenant.
    pub rooms: Box<dyn Fn() -> Arc<Rooms> + Send + Sync>,
    /// The HTML of `/`.
    pub page: Box<dyn Fn() -> Bytes + Send + Sync>,
    /// Somebody reads the data, of one tenant or of all: a scrape or a page wakes paused collectors.
    pub on_read: OnRead,
    /// Called with handler and status of each response.
    pub on_response: Box<dyn Fn(&'static str, u16) + Send + Sync>,
    /// Nothing where the lifecycle API is not enabled.
    pub reload: Option<AskReload>,
    /// `--web.external-url`.
    pub external_url: Option<Url>,
    /// Whether the listeners speak TLS.
    pub is_https: bool,
    /// `--web.telemetry-path`; may be `/`, the page is then not served.
    pub telemetry_path: String,
}

/// A response, and the scrape slot it occupies until its last byte is sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    pub(super) slot: Option<OwnedSemaphorePermit>,
}

impl Routes {
    pub(super) fn answer<B>(&self, request: &Request<B>, slots: &Arc<Semaphore>) -> Answer {
        let method = request.method();
        let (handler, answer) = match request.uri().path() {
            path if path == self.telemetry_path => {
                ("metrics", get(method, || self.metrics(request.uri().query(), request.headers(), slots)))
            }
            "/" => ("page", get(method, || self.page())),
            path if path == api::PATH
                || path.strip_prefix(api::PATH).is_some_and(|id| id.starts_with('/')) =>
            {
                ("api", get(method, || self.api(path, request.uri().query())))
            }
            "/sd" => ("sd", get(method, || self.sd(request.uri().query(), request.headers()))),
            "/-/healthy" => ("healthy", get(method, healthy)),
            "/-/ready" => ("ready", get(method, || self.ready())),
            _ => ("other", text(StatusCode::NOT_FOUND, "There is nothing here; see / for what is.")),
        };
        let answer = with_slot(answer, slots);
        (self.on_response)(handler, answer.response.status().as_u16());
        answer
    }

    /// The answer to whoever asks for a reload, which is the one thing here that takes a while.
    pub(super) async fn reload<B>(&self, request: &Request<B>) -> Option<Answer> {
        if request.uri().path() != RELOAD {
            return None;
        }
        let is_write = [Method::POST, Method::PUT].contains(request.method());
        let answer = match &self.reload {
            None => text(
                StatusCode::FORBIDDEN,
                "Reloading over HTTP is off; --web.enable-lifecycle switches it on.",
            ),
            Some(_) if !is_write => not_allowed("POST, PUT"),
            Some(reload) => match reload().await {
                Ok(()) => text(StatusCode::OK, "The configuration was reloaded."),
                Err(reason) => text(StatusCode::INTERNAL_SERVER_ERROR, &reason),
            },
        };
        (self.on_response)("reload", answer.response.status().as_u16());
        Some(answer)
    }

    /// Counts an answer that was given before the path was looked at.
    pub(super) fn refused(&self, answer: Answer) -> Answer {
        (self.on_response)("refused", answer.response.status().as_u16());
        answer
    }

    fn metrics(&self, query: Option<&str>, headers: &HeaderMap, slots: &Arc<Semaphore>) -> Answer {
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            return busy();
        };
        let wanted = match self.wanted(query.unwrap_or_default()) {
            Ok(wanted) => wanted,
            Err(refusal) => return refusal.into(),
        };
        (self.on_read)(wanted.tenant.as_deref());

        let (tenant, names, part) = (wanted.tenant.as_deref(), wanted.names.as_ref(), wanted.part);
        let content = negotiate::content(values(headers, &ACCEPT));
        let gzip = negotiate::gzip(values(headers, &ACCEPT_ENCODING));
        let format = content.format();
        let process = self.tells_of_process(tenant);
        let tail = (self.tail)(Asked { tenant, process, names, part, format });
        let (nothing, tenant) = (Names::default(), tenant.filter(|name| !name.is_empty()));
        let names = if wanted.is_process_alone() { Some(&nothing) } else { names };
        match self.exposition.select(&Selection { tenant, names, part, format, gzip }, &tail) {
            Ok(body) => {
                let mut answer = of_type(StatusCode::OK, &content.content_type(), body);
                let headers = answer.response.headers_mut();
                headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
                if gzip {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                answer.slot = Some(slot);
                answer
            }
            Err(refusal) => Refusal::from(refusal).into(),
        }
    }

    /// The series of the process belong to no tenant. A scrape of one of several tenants leaves them out, or each target
    /// would have them again.
    fn tells_of_process(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(str::is_empty) || self.exposition.tenants().len() == 1
    }

    fn wanted(&self, query: &str) -> Result<Wanted, Refusal> {
        let mut tenant = None;
        let mut part = None;
        let mut names = Vec::new();
        for (name, value) in query::parse(query)? {
            let twice = match name.as_str() {
                "tenant" => tenant.replace(value).is_some(),
                "part" => part.replace(part_of(&value)?).is_some(),
                "name[]" => {
                    names.push(value);
                    false
                }
                _ => false,
            };
            if twice {
                return Err(Refusal::Twice(name));
            }
        }
        let is_unknown = |name: &&String| !name.is_empty() && !self.exposition.has_tenant(name);
        if let Some(unknown) = tenant.as_ref().filter(is_unknown) {
            return Err(exposition::Error::UnknownTenant(unknown.clone()).into());
        }
        let names = match names.as_slice() {
            [] => None,
            names => Some(self.exposition.names(names.iter().map(String::as_str))?),
        };
        Ok(Wanted { tenant, names, part })
    }

    fn api(&self, path: &str, query: Option<&str>) -> Answer {
        let body = || {
            let wanted = self.wanted(query.unwrap_or_default())?;
            if wanted.is_process_alone() {
                return Err(exposition::Error::UnknownTenant(String::new()).into());
            }
            let tenant = wanted.tenant;
            (self.on_read)(tenant.as_deref());
            let rooms = (self.rooms)();
            match path.strip_prefix(api::PATH).map_or("", |id| id.trim_matches('/')) {
                "" => Ok(rooms.listing(tenant.as_deref())),
                id => Ok(rooms.room(tenant.as_deref(), &query::segment(id)?)?.into()),
            }
        };
        body().map_or_else(|refusal: Refusal| refusal.into(), |json| of_type(StatusCode::OK, JSON, json))
    }

    fn sd(&self, query: Option<&str>, headers: &HeaderMap) -> Answer {
        let targets = || {
            let parts = parts_of(query.unwrap_or_default())?;
            let place = if let Some(url) = &self.external_url {
                Place::of_url(url, &self.telemetry_path)
            } else {
                let host = values(headers, &HOST).next().unwrap_or_default();
                Place::of_request(host, self.is_https, &self.telemetry_path)?
            };
            let tenants = self.exposition.tenants();
            Ok(sd::targets(&place, tenants.iter().map(String::as_str), parts))
        };
        targets()
            .map_or_else(|refusal: Refusal| refusal.into(), |json| of_type(StatusCode::OK, JSON, json.into()))
    }

    fn page(&self) -> Answer {
        (self.on_read)(None);
        let mut answer = of_type(StatusCode::OK, HTML, (self.page)().into());
        answer.response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        answer
    }

    fn ready(&self) -> Answer {
        match (self.ready)() {
            Ok(()) => text(StatusCode::OK, "teams-rooms-exporter is ready."),
            Err(awaited) => text(StatusCode::SERVICE_UNAVAILABLE, &awaited),
        }
    }
}

/// The query of a scrape.
#[derive(Debug)]
struct Wanted {
    /// Empty: what belongs to none, as Prometheus understands an empty label.
    tenant: Option<String>,
    names: Option<Names>,
    part: Option<Part>,
}

impl Wanted {
    fn is_process_alone(&self) -> bool {
        self.tenant.as_deref() == Some("")
    }
}

/// A part as it is written: `3/8` is the third of eight.
fn part_of(text: &str) -> Result<Part, Refusal> {
    let numbers = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
    let part = numbers.and_then(|(index, count)| Part::new(index.checked_sub(1)?, count));
    part.ok_or_else(|| Refusal::Part(text.to_owned()))
}

/// How many parts `/sd` is asked for; nothing where a tenant is to be one target.
fn parts_of(query: &str) -> Result<Option<usize>, Refusal> {
    let Some((_, text)) = query::parse(query)?.into_iter().find(|(name, _)| name == "parts") else {
        return Ok(None);
    };
    let parts = number(&text).filter(|parts| COUNTS.contains(parts));
    parts.map(Some).ok_or(Refusal::Parts(text))
}

/// Digits only: a sign would be another way to write the same part.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Why a query is not served.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Query(#[from] query::Malformed),
    #[error("{0} is given more than once; leave it out to get all")]
    Twice(String),
    #[error("part={0:?} is not like 1/8; the number of parts can be one of {COUNTS:?}")]
    Part(String),
    #[error("parts={0:?} is not a number of parts; use one of {COUNTS:?}")]
    Parts(String),
    #[error(transparent)]
    Host(#[from] sd::NoHost),
    #[error(transparent)]
    Selection(#[from] exposition::Error),
    #[error(transparent)]
    Room(#[from] api::Error),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Selection(exposition::Error::UnknownTenant(_))
            | Refusal::Room(api::Error::Unknown(_)) => StatusCode::NOT_FOUND,
            Refusal::Selection(exposition::Error::UnknownName(_))
            | Refusal::Query(_)
            | Refusal::Twice(_)
            | Refusal::Part(_)
            | Refusal::Parts(_)
            | Refusal::Host(_)
            | Refusal::Room(api::Error::Ambiguous(_)) => StatusCode::BAD_REQUEST,
        };
        text(status, &refusal.to_string())
    }
}

fn healthy() -> Answer {
    text(StatusCode::OK, "teams-rooms-exporter is healthy.")
}

fn busy() -> Answer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "Too many answers at once; try again.");
    answer.response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    answer
}

/// A long answer takes a slot, as a scrape does: each client that does not read keeps its bytes in memory.
fn with_slot(answer: Answer, slots: &Arc<Semaphore>) -> Answer {
    if answer.slot.is_some() || answer.response.body().length <= SMALL_BYTES {
        return answer;
    }
    match Arc::clone(slots).try_acquire_owned() {
        Ok(slot) => Answer { slot: Some(slot), ..answer },
        Err(_) => busy(),
    }
}

/// An answer for reading methods only. The body of a HEAD is left out when it is sent.
fn get(method: &Method, answer: impl FnOnce() -> Answer) -> Answer {
    if method == Method::GET || method == Method::HEAD {
        return answer();
    }
    not_allowed("GET, HEAD")
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, &format!("Only {methods} are answered here."));
    answer.response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

pub(super) fn text(status: StatusCode, message: &str) -> Answer {
    of_type(status, PLAIN, format!("{message}\n").into())
}

fn of_type(status: StatusCode, content_type: &str, body: Body) -> Answer {
    let length = body.length;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_str(content_type).expect("content types are ASCII");
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Answer { response, slot: None }
}

/// The values of a header, without those that are not ASCII.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::metrics::catalogue::{Family, Kind};
    use crate::metrics::segment::{Segment, example};
    use crate::metrics::text::Labels;

    static CATALOGUE: [Family; 1] = [Family::example("t_up", Kind::Gauge, &["tenant"], "Up.")];

    fn routes() -> (Routes, Arc<Mutex<Vec<String>>>) {
        let exposition = Exposition::new(&CATALOGUE, vec!["contoso".to_owned()]);
        let segment = example::cut(&Segment::default(), &[(0, 0)], |_, lines| {
            lines.sample("t_up", &Labels::new(&[("tenant", "contoso")]), &[], true);
        });
        exposition.replace(0, "contoso", segment);
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = |calls: &Arc<Mutex<Vec<String>>>| {
            let calls = Arc::clone(calls);
            move |call: String| calls.lock().unwrap().push(call)
        };
        let (read, response) = (log(&calls), log(&calls));
        let routes = Routes {
            exposition: Arc::new(exposition),
            tail: Box::new(|tail| {
                let process = if tail.process { " and the process" } else { "" };
                format!("# tail of {:?}{process}\n", tail.tenant).into()
            }),
            ready: Box::new(|| Err("waiting for devices of contoso".to_owned())),
            rooms: Box::new(Arc::default),
            page: Box::new(|| Bytes::from_static(b"<!doctype html>")),
            on_read: Box::new(move |_| read("read".to_owned())),
            on_response: Box::new(move |handler, code| response(format!("{handler} {code}"))),
            reload: None,
            external_url: None,
            is_https: false,
            telemetry_path: "/metrics".to_owned(),
        };
        (routes, calls)
    }

    fn ask(routes: &Routes, method: Method, target: &str, headers: &[(HeaderName, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        routes.answer(&request.body(()).unwrap(), &Arc::new(Semaphore::new(1)))
    }

    fn body(answer: &Answer) -> String {
        String::from_utf8(answer.response.body().chunks.concat()).unwrap()
    }

    #[track_caller]
    fn check(target: &str, status: u16, expected: &str, calls: &[&str]) {
        let (routes, called) = routes();
        let answer = ask(&routes, Method::GET, target, &[]);
        assert_eq!(
            (answer.response.status().as_u16(), body(&answer).as_str()),
            (status, expected),
            "{target}"
        );
        let length = answer.response.headers().get(CONTENT_LENGTH).unwrap().to_str().unwrap().to_owned();
        assert_eq!(length, expected.len().to_string());
        assert_eq!(*called.lock().unwrap(), calls);
    }

    #[test]
    fn each_path_has_its_answer() {
        check("/", 200, "<!doctype html>", &["read", "page 200"]);
        check("/-/healthy", 200, "teams-rooms-exporter is healthy.\n", &["healthy 200"]);
        check("/-/ready", 503, "waiting for devices of contoso\n", &["ready 503"]);
        check("/api/v1/rooms", 200, "{\"rooms\":[]}\n", &["read", "api 200"]);
        check("/api/v1/rooms?tenant=nope", 404, "there is no tenant \"nope\"\n", &["api 404"]);
        check("/api/v1/rooms?tenant=", 404, "there is no tenant \"\"\n", &["api 404"]);
        let unknown = "there is no room \"oslo@x\"; /api/v1/rooms lists them\n";
        check("/api/v1/rooms/oslo%40x", 404, unknown, &["read", "api 404"]);
        check("/api/v1/roomsx", 404, "There is nothing here; see / for what is.\n", &["other 404"]);
        check("/nope", 404, "There is nothing here; see / for what is.\n", &["other 404"]);
        check("/metrics/", 404, "There is nothing here; see / for what is.\n", &["other 404"]);
    }

    #[test]
    fn scrapes_are_selected_by_query() {
        let series = "# HELP t_up Up.\n# TYPE t_up gauge\nt_up{tenant=\"contoso\"} 1\n";
        let all = format!("{series}# tail of None and the process\n");
        let one = format!("{series}# tail of Some(\"contoso\") and the process\n");
        let process = "# tail of Some(\"\") and the process\n";
        check("/metrics", 200, &all, &["read", "metrics 200"]);
        check("/metrics?unknown=1&name[]=t_up", 200, &all, &["read", "metrics 200"]);
        check("/metrics?tenant=contos%6F", 200, &one, &["read", "metrics 200"]);
        check("/metrics?tenant=", 200, process, &["read", "metrics 200"]);
        check("/metrics?tenant=&name[]=t_up", 200, process, &["read", "metrics 200"]);
        check("/metrics?tenant=nope", 404, "there is no tenant \"nope\"\n", &["metrics 404"]);
        check("/metrics?name[]=t_up&name%5B%5D=nope", 400, "there is no metric \"nope\"\n", &["metrics 400"]);
        check("/metrics?x=%", 400, "malformed query: \"%\" does not decode to UTF-8\n", &["metrics 400"]);
        let twice = "tenant is given more than once; leave it out to get all\n";
        check("/metrics?tenant=a&tenant=b", 400, twice, &["metrics 400"]);
        check("/metrics?part=1/1", 200, &all, &["read", "metrics 200"]);
        check("/metrics?part=1/2", 200, "# tail of None and the process\n", &["read", "metrics 200"]);
        for part in ["", "1", "0/2", "3/2", "1/0", "-1/2", "1/3", "1/65", "1/128", "1/2/3", "a/b"] {
            let counts = "the number of parts can be one of [1, 2, 4, 8, 16, 32, 64]";
            let refusal = format!("part={part:?} is not like 1/8; {counts}\n");
            check(&format!("/metrics?part={part}"), 400, &refusal, &["metrics 400"]);
        }
        let twice = "part is given more than once; leave it out to get all\n";
        check("/metrics?part=1/2&part=2/2", 400, twice, &["metrics 400"]);
        for parts in ["0", "3", "12", "65", "-1", "all"] {
            let counts = "use one of [1, 2, 4, 8, 16, 32, 64]";
            let refusal = format!("parts={parts:?} is not a number of parts; {counts}\n");
            check(&format!("/sd?parts={parts}"), 400, &refusal, &["sd 400"]);
        }
    }

    #[test]
    fn one_of_several_tenants_does_not_tell_of_the_process() {
        let (routes, _) = routes();
        routes.exposition.set_tenants(vec!["contoso".to_owned(), "fabrikam".to_owned()]);
        let of = |target| body(&ask(&routes, Method::GET, target, &[]));
        assert!(of("/metrics?tenant=contoso").ends_with("# tail of Some(\"contoso\")\n"));
        assert!(of("/metrics?tenant=contoso&part=1/8").ends_with("# tail of Some(\"contoso\")\n"));
        assert!(of("/metrics").ends_with("# tail of None and the process\n"));
        assert_eq!(of("/metrics?tenant="), "# tail of Some(\"\") and the process\n");
    }

    #[test]
    fn headers_say_what_is_sent() {
        let (routes, _) = routes();
        let wishes = [(ACCEPT, "application/openmetrics-text"), (ACCEPT_ENCODING, "gzip")];
        let answer = ask(&routes, Method::GET, "/metrics", &wishes);
        let header = |name| answer.response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header(CONTENT_TYPE), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        assert_eq!(header(CONTENT_ENCODING), Some("gzip"));
        assert_eq!(header(VARY), Some("Accept, Accept-Encoding"));
        assert!(answer.slot.is_some());

        let page = ask(&routes, Method::GET, "/", &[]);
        let header = |name| page.response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header(CONTENT_TYPE), Some("text/html; charset=utf-8"));
        assert_eq!(header(X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        assert!(header(CONTENT_SECURITY_POLICY).unwrap().starts_with("default-src 'none'"));
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        let (routes, _) = routes();
        for path in ["/", "/metrics", "/-/healthy", "/-/ready"] {
            let answer = ask(&routes, Method::POST, path, &[]);
            assert_eq!(answer.response.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.response.headers().get(ALLOW).unwrap(), "GET, HEAD");
        }
        assert_eq!(ask(&routes, Method::POST, "/nope", &[]).response.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_telemetry_path_may_be_the_root() {
        let (mut routes, _) = routes();
        routes.telemetry_path = "/".to_owned();
        assert!(body(&ask(&routes, Method::GET, "/", &[])).starts_with("# HELP"));
    }
}
