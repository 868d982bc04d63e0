//! Tests through the real door: a tenant on a port of its own, and a client that hides nothing of the answer.
//! `graph` holds the documented behaviour, `faults` one case per fault, `fleet` what the world is like,
//! `control` the controls, `directory` places, users, licences and presence,
//! `surroundings` calendars, Intune,
//! service health and applications, `sources` what all have in common. All of these use the documented profile.
//! `real` holds the rows of real tenants, `profiles` compares the two.

mod control;
mod directory;
mod faults;
mod fleet;
mod graph;
mod profiles;
mod real;
mod sources;
mod surroundings;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{CLIENT_ID, CLIENT_SECRET, Profile, Settings, Sim, TENANT_ID};

const DEVICES: &str = "/beta/teamwork/devices";

/// A running tenant that stands still, and a token for it.
struct Tenant {
    sim: Sim,
    token: String,
    _server: JoinHandle<()>,
}

/// The settings of a tenant as Learn has it, whatever the default is. Its time moves only when pushed.
fn documented() -> Settings {
    Settings { speed: 0.0, profile: Profile::Documented, ..Settings::default() }
}

/// The same tenant as real ones are.
fn real() -> Settings {
    Settings { profile: Profile::Real, ..documented() }
}

/// An answer as it came, whole or not.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    complete: bool,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    fn rows(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["value"].as_array().unwrap().clone()
    }

    fn next_link(&self) -> Option<String> {
        self.json()["@odata.nextLink"].as_str().map(str::to_owned)
    }

    fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Tenant {
    async fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sim, server) = super::start(listener, settings).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the test ends with its runtime, nothing has to be drained"
        )]
        let server = tokio::spawn(server);
        let mut tenant = Self { sim, token: String::new(), _server: server };
        tenant.token = tenant.sign_in().await;
        tenant
    }

    async fn new() -> Self {
        Self::with(documented()).await
    }

    async fn sign_in(&self) -> String {
        self.ask_for_token(&[]).await.json()["access_token"].as_str().unwrap_or_default().to_owned()
    }

    /// A token request with some fields changed, or left out where the value is empty.
    async fn ask_for_token(&self, changes: &[(&str, &str)]) -> Answer {
        let scope = format!("{}/.default", self.sim.url());
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("scope", &scope),
        ];
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            form.push((name, value));
        }
        let form: Vec<_> = form.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let path = format!("/{TENANT_ID}/oauth2/v2.0/token");
        self.send("POST", &path, "Content-Type: application/x-www-form-urlencoded\r\n", &body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "").await
    }

    async fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.token);
        self.send(method, path, &headers, body).await.expect("an answer")
    }

    /// Follows an absolute link of this tenant.
    async fn follow(&self, link: &str) -> Answer {
        let path = link.strip_prefix(&self.sim.url()).unwrap_or_else(|| panic!("{link} is ours"));
        self.get(path).await
    }

    /// All rows of a list, page by page.
    async fn list(&self, query: &str) -> Vec<Value> {
        let mut page = self.get(&format!("{DEVICES}{query}")).await;
        let mut rows = page.rows();
        while let Some(link) = page.next_link() {
            page = self.follow(&link).await;
            rows.extend(page.rows());
        }
        rows
    }

    async fn batch(&self, urls: &[String]) -> Answer {
        let request =
            |(at, url): (usize, &String)| json!({"id": at.to_string(), "method": "GET", "url": url});
        let requests: Vec<Value> = urls.iter().enumerate().map(request).collect();
        self.request("POST", "/beta/$batch", &json!({"requests": requests}).to_string()).await
    }

    fn set_faults(&self, faults: &[&str]) {
        self.sim.set_faults(faults.iter().map(|fault| fault.parse().unwrap()).collect());
    }

    /// One request on a connection of its own; nothing if the connection was closed without an answer.
    async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<Answer> {
        let host = self.sim.url().replace("http://", "");
        let mut stream = TcpStream::connect(&host).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await.ok()?;
        parse(&bytes)
    }
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut answer = Answer { status, head, body: bytes[end + 4..].to_vec(), complete: true };
    if let Some(length) = answer.header("content-length") {
        answer.complete = length.parse() == Ok(answer.body.len());
    } else {
        answer.complete = answer.body.ends_with(b"0\r\n\r\n");
    }
    Some(answer)
}
