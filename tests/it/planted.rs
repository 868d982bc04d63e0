//! A gateway before a simulated tenant that plants personal data in each text of each answer; none may be in a capture.
//!
//! The gateway replaces each text by another one of its kind. In requests it restores the original, so that the exporter
//! reads every source to the end: it asks for devices, mailboxes and users by planted names.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use teams_rooms_exporter::sim::{self, Sim};
use tokio::net::TcpListener;

use crate::capture::{captured, with_every_source};
use crate::exporter::{client, spawn, start_tenant, tenant};

/// Parts of planted texts: a person, an employer, an id, a telephone number. No word list has them.
const PARTS: [&str; 6] =
    ["quixotberg", "zanzibarova", "facade00cafe4bad", "97314026", "kwyjibo", "xyzzyplugh"];

#[derive(Default)]
struct Planted {
    /// From the original to what is planted, and in lower case back.
    instead: HashMap<String, String>,
    originals: HashMap<String, String>,
    /// Number of planted texts.
    texts: usize,
    /// The members that held one.
    members: BTreeSet<String>,
}

struct Gateway {
    url: String,
    upstream: String,
    http: reqwest::Client,
    planted: Mutex<Planted>,
}

impl Planted {
    /// A unique replacement of the same kind.
    fn plant(&mut self, text: &str, member: &str) -> String {
        if is_needed(text, member) {
            return text.to_owned();
        }
        self.texts += 1;
        self.members.insert(member.to_owned());
        if let Some(known) = self.instead.get(text) {
            return known.clone();
        }
        let number = self.instead.len();
        let planted = match kind(text) {
            Kind::Id => format!("facade00-cafe-4bad-8bad-{number:012x}"),
            Kind::Address => format!("Quixotberg.{}@kwyjibo{number}.Zanzibarova.example", letters(number)),
            Kind::Digits => format!("97314026{number:06}"),
            Kind::Word => format!("xyzzyPlugh{}", letters(number)),
            Kind::Text => format!("Quixotberg {} (Zanzibarova), +47 9731 4026 {number}", letters(number)),
        };
        self.instead.insert(text.to_owned(), planted.clone());
        self.originals.insert(planted.to_lowercase(), text.to_owned());
        planted
    }

    fn original(&self, text: &str) -> Option<&String> {
        self.originals.get(&text.to_lowercase())
    }
}

enum Kind {
    Id,
    Address,
    Digits,
    Word,
    Text,
}

fn kind(text: &str) -> Kind {
    if uuid::Uuid::try_parse(text).is_ok() {
        Kind::Id
    } else if text.contains('@') {
        Kind::Address
    } else if text.bytes().all(|b| b.is_ascii_digit()) {
        Kind::Digits
    } else if text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        Kind::Word // enumerations, serial numbers
    } else {
        Kind::Text
    }
}

/// Without known products nothing is asked about users; without an own application its secrets are not read.
fn is_needed(text: &str, member: &str) -> bool {
    text.is_empty() || member == "skuId" || text.eq_ignore_ascii_case(sim::CLIENT_ID)
}

/// A number as letters, so that it makes no digits.
fn letters(mut number: usize) -> String {
    let mut text = String::new();
    for _ in 0..4 {
        text.insert(0, char::from(b'a' + u8::try_from(number % 26).expect("small")));
        number /= 26;
    }
    text
}

impl Gateway {
    async fn start(sim: &Sim) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let gateway = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().expect("bound")),
            upstream: sim.url(),
            http: client().build().expect("a client"),
            planted: Mutex::default(),
        });
        let own = gateway.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                let answer = service_fn(move |request| {
                    let own = own.clone();
                    async move { Ok::<_, Infallible>(own.answer(request).await) }
                });
                spawn(async move {
                    let served = hyper::server::conn::http1::Builder::new();
                    drop(served.serve_connection(TokioIo::new(stream), answer).await);
                });
            }
        });
        gateway
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let target = head.uri.path_and_query().expect("a path").as_str();
        if target.contains("kwyjibo-page") {
            return response(200, Value::from_iter([("value", Value::Array(Vec::new()))]).to_string());
        }
        let is_sign_in = target.ends_with("/token");
        let target = if is_sign_in { target.to_owned() } else { self.turn_back_path(target) };
        let body = if is_sign_in { body.to_vec() } else { self.turn_back_body(&body) };
        let mut asked = self.http.request(head.method, format!("{}{target}", self.upstream)).body(body);
        for name in ["authorization", "content-type", "host"] {
            asked = head.headers.get(name).into_iter().fold(asked, |asked, value| asked.header(name, value));
        }
        let answer = asked.send().await.expect("the tenant answers");
        let (status, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
        match serde_json::from_str(&text) {
            Ok(mut value) if !is_sign_in => {
                self.plant(&mut value, "");
                self.add(&mut value, &target);
                response(status, value.to_string())
            }
            _ => response(status, text),
        }
    }

    /// Plants in each text below, `$batch` items and errors included; what makes a batch a batch stays.
    fn plant(&self, value: &mut Value, member: &str) {
        match value {
            Value::String(_) if member == "batch id" => {}
            Value::String(text) => *text = self.planted().plant(text, member),
            Value::Array(items) => items.iter_mut().for_each(|item| self.plant(item, member)),
            Value::Object(members) => {
                let is_item = members.contains_key("headers") && members.contains_key("status");
                for (name, value) in members.iter_mut().filter(|(name, _)| !(is_item && *name == "headers")) {
                    self.plant(value, if is_item && name == "id" { "batch id" } else { name });
                }
                if !members.contains_key("responses") && !is_item {
                    self.plant_members(members);
                }
            }
            _ => {}
        }
    }

    /// Members that no schema knows, named after people, and a number.
    fn plant_members(&self, members: &mut Map<String, Value>) {
        let mut planted = self.planted();
        for name in ["Quixotberg Zanzibarova", "quixotberg@zanzibarova.example", "facade00cafe4bad"] {
            members.insert(name.to_owned(), planted.plant("a text of a person", name).into());
        }
        members.insert("telephone".to_owned(), 97_314_026_i64.into());
    }

    /// A list goes on where a person is in the link; its context names one, too.
    fn add(&self, body: &mut Value, target: &str) {
        let Some(members) = body.as_object_mut() else { return };
        if members.get("value").is_some_and(Value::is_array) {
            let path = target.split('?').next().unwrap_or_default();
            let link = format!("{}{path}?$skiptoken=kwyjibo-page-Quixotberg%20Zanzibarova", self.url);
            members.insert("@odata.nextLink".to_owned(), link.into());
            let context =
                format!("{}/v1.0/$metadata#users('Quixotberg@Zanzibarova.example')/kwyjibo", self.url);
            members.insert("@odata.context".to_owned(), context.into());
        }
    }

    fn turn_back_path(&self, target: &str) -> String {
        let (path, query) = target.split_once('?').map_or((target, ""), |(path, query)| (path, query));
        let segment = |segment: &str| {
            let plain = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
            self.planted().original(&plain).cloned().unwrap_or_else(|| segment.to_owned())
        };
        let path = path.split('/').map(segment).collect::<Vec<_>>().join("/");
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    fn turn_back_body(&self, body: &[u8]) -> Vec<u8> {
        let Ok(mut value) = serde_json::from_slice(body) else { return body.to_vec() };
        self.turn_back(&mut value);
        value.to_string().into_bytes()
    }

    fn turn_back(&self, value: &mut Value) {
        match value {
            Value::String(text) if text.starts_with('/') => *text = self.turn_back_path(text),
            Value::String(text) => {
                if let Some(original) = self.planted().original(text).cloned() {
                    *text = original;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.turn_back(item)),
            Value::Object(members) => members.values_mut().for_each(|value| self.turn_back(value)),
            _ => {}
        }
    }

    fn planted(&self) -> std::sync::MutexGuard<'_, Planted> {
        self.planted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn response(status: u16, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::from(body)).expect("a response")
}

/// All files of a capture, by name.
fn files(directory: &Path) -> Vec<(String, String)> {
    let entries =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("readable").path());
    entries.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("UTF-8"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_in_a_capture() {
    let sim = start_tenant(12, &["restricted_mailbox=20"]).await;
    let gateway = Gateway::start(&sim).await;
    let mut tenant = tenant("quixotberg-zanzibarova", &sim);
    with_every_source(&mut tenant);
    (tenant.graph, tenant.authority) =
        (gateway.url.parse().expect("a URL"), gateway.url.parse().expect("a URL"));
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("capture");
    let (capture, told) = captured(tenant, &sim, &directory, [3; 32]).await;
    assert!(capture.is_some(), "{told}");

    // It has read all there is, down to single devices, mailboxes and users.
    let asked: BTreeSet<String> = sim
        .requests()
        .into_iter()
        .filter(|request| request.status == 200)
        .map(|request| request.operation)
        .collect();
    for operation in [
        "/beta/teamwork/devices",
        "/beta/teamwork/devices/{id}/health",
        "/v1.0/communications/getPresencesByUserId",
        "/v1.0/places/microsoft.graph.room",
        "/v1.0/users/{mailbox}/calendar/getSchedule",
        "/v1.0/users",
        "/v1.0/subscribedSkus",
        "/v1.0/directory/subscriptions",
        "/v1.0/deviceManagement/managedDevices",
        "/v1.0/admin/serviceAnnouncement/healthOverviews",
        "/v1.0/admin/serviceAnnouncement/issues",
        "/v1.0/applications(appId='{id}')",
    ] {
        assert!(asked.contains(operation), "{operation} is not asked with success: {asked:?}");
    }
    let Planted { texts, members, .. } = std::mem::take(&mut *gateway.planted());
    let members = members.len();
    assert!(texts > 3000 && members > 60, "{texts} texts in {members} members are planted");
    println!("{texts} texts in {members} members are planted");

    let mut shown = files(&directory);
    assert!(shown.len() > 40, "{} files", shown.len());
    shown.push(("what is printed".to_owned(), told.replace(&directory.display().to_string(), "")));
    let squeeze =
        |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let secrets = [
        sim.secret(),
        sim::IDENTITY_HEADER,
        gateway.url.trim_start_matches("http://"),
        "Bearer",
        "authorization",
    ];
    for (name, text) in &shown {
        let squeezed = squeeze(text);
        for part in PARTS {
            let found =
                squeezed.match_indices(part).map(|(at, _)| squeezed.get(at.saturating_sub(80)..at + 20));
            assert_eq!(found.collect::<Vec<_>>(), [], "{part} is in {name}");
        }
        let lower = text.to_lowercase();
        for secret in sim.tokens().iter().map(String::as_str).chain(secrets) {
            assert!(!lower.contains(&secret.to_lowercase()), "{secret} is in {name}");
        }
    }
}
