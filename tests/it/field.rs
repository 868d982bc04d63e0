//! Inputs of public reports, as `tests/field` has them, through the interfaces by which they arrive: HTTP, files, the environment.
//!
//! The table in `tests/field/README.md` names the report and the test of each.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use teams_rooms_exporter::cli::{ConfigArgs, OtlpArgs, ServeArgs};
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::collectors::{
    Outcome, devices, incidents, intune, places, presence, service_health,
};
use teams_rooms_exporter::config::web_config::WebConfig;
use teams_rooms_exporter::config::{self, Auth, CertificateFiles, Config};
use teams_rooms_exporter::graph::auth::login::Login;
use teams_rooms_exporter::graph::{Client, Error, Limits, Operation, Workload, auth};
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::model::collector::CollectorState;
use teams_rooms_exporter::model::device::{Device, DeviceType};
use teams_rooms_exporter::model::incident::Reporter;
use teams_rooms_exporter::model::managed_device::Os;
use teams_rooms_exporter::proxy::Proxies;
use teams_rooms_exporter::rooms_file;
use teams_rooms_exporter::sim::{CLIENT_ID, TENANT_ID};
use teams_rooms_exporter::stats::Stats;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::command_line::{Program, Settings, contains};
use crate::exporter::{Exporter, Scenario, spawn};
use crate::pki::{Authority, WebFolder};

/// An input, by its name in `tests/field`.
fn input(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(name)).expect(name)
}

/// The byte order mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Status and body for what was asked (path and query), and how often that was asked before.
type Script = fn(&str, usize) -> (u16, Vec<u8>);

/// A script, or a closure that knows more.
trait Answers: Fn(&str, usize) -> (u16, Vec<u8>) + Send + Sync {}

impl<F: Fn(&str, usize) -> (u16, Vec<u8>) + Send + Sync> Answers for F {}

/// A sign-in host and a Graph that answer by a script.
#[derive(Clone)]
struct Host {
    url: String,
    script: Arc<dyn Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn start(script: impl Answers + 'static) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let host = Self { url, script: Arc::new(script), asked: Arc::default() };
        let serving = host.clone();
        drop(spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let host = serving.clone();
                let service = service_fn(move |request| host.clone().answer(request));
                let connection = hyper::server::conn::http1::Builder::new();
                drop(spawn(
                    async move { drop(connection.serve_connection(TokioIo::new(stream), service).await) },
                ));
            }
        }));
        host
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        body.collect().await?;
        let path = head.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
        let before = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(path.clone());
            asked.iter().filter(|other| **other == path).count() - 1
        };
        let (status, body) = (self.script)(&path, before);
        let response = Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(Full::new(body.into())).expect("a response"))
    }

    fn root(&self) -> url::Url {
        self.url.parse().expect("a URL")
    }

    fn client(&self) -> Client {
        self.client_by(auth::Proof::Secret(Arc::new(|| Ok("s".to_owned()))))
    }

    fn client_by(&self, proof: auth::Proof) -> Client {
        client(&self.root(), proof, Proxies::default())
    }
}

fn client(root: &url::Url, proof: auth::Proof, proxies: Proxies) -> Client {
    let identity = auth::Identity {
        authority: root.clone(),
        tenant_id: "t".to_owned(),
        client_id: "c".to_owned(),
        proof,
    };
    let limits = Limits { first_pause: Duration::from_millis(1), attempts: 2, ..Limits::default() };
    let (stats, clock) =
        (Stats::new().tenant(&"contoso".into()), Clock::new(|| Timestamp::from_seconds(1_000)));
    let http = limits.http(Vec::new(), proxies);
    Client::new(identity, root.clone(), &http, limits, stats, clock).expect("a client")
}

const TOKEN: &[u8] = br#"{"token_type": "Bearer", "expires_in": 3599, "access_token": "T"}"#;

/// A good token for sign-in, `body` for all else.
fn with_token(path: &str, body: impl FnOnce() -> Vec<u8>) -> (u16, Vec<u8>) {
    (200, if path.contains("/oauth2/") { TOKEN.to_vec() } else { body() })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// The devices of a list, and how its reading went.
async fn read_devices(script: Script) -> (Vec<Arc<Device>>, Outcome) {
    let client = Host::start(script).await.client();
    let found = Mutex::new(Vec::new());
    let take = |page: &[Arc<Device>]| found.lock().expect("no test panics here").extend_from_slice(page);
    let (outcome, _) = devices::collect(&client, &[DeviceType::TeamsRoom], 1000, soon(), &take).await;
    (found.into_inner().expect("no test panics here"), outcome)
}

// 1 and 2: token answers, with and without a byte order mark.

#[tokio::test]
async fn a_token_answer_is_read_however_its_numbers_are_written() {
    for (script, lifetime) in [
        ((|_, _| (200, input("token-expires-in-string.json"))) as Script, 3599),
        (|_, _| (200, [MARK, &input("token-expires-in-string.json")].concat()), 3599),
        (
            |_, _| (200, br#"{"token_type": "bearer", "expires_in": 3598.0, "access_token": "T"}"#.to_vec()),
            3598,
        ),
        (|_, _| (200, br#"{"expires_in": "3597.5", "access_token": "T", "scope": 7}"#.to_vec()), 3597),
        (|_, _| (200, br#"{"access_token": "T"}"#.to_vec()), 3600),
    ] {
        let signed_in = Host::start(script).await.client().sign_in().await;
        assert_eq!(signed_in.map(|(lifetime, _)| lifetime.as_secs()), Ok(lifetime));
    }
}

#[tokio::test]
async fn a_device_code_is_read_however_its_numbers_are_written() {
    for script in [(|_, _| (200, input("devicecode-strings.json"))) as Script, |_, _| {
        (200, [MARK, &input("devicecode-strings.json")].concat())
    }] {
        let host = Host::start(script).await;
        let http = Limits::default().http(Vec::new(), Proxies::default());
        let stats = Stats::new().tenant(&"contoso".into());
        let login = Login::new(&host.root(), "t", "c", &host.root(), &http, stats).expect("plain URLs");
        let code = login.device_code().await.expect("a code");
        assert_eq!((code.user_code(), code.lifetime().as_secs()), ("ABC", 900));
        assert_eq!(code.page(), "https://microsoft.com/devicelogin");
    }
}

/// Returns the message of a refused sign-in.
async fn refusal(script: Script) -> String {
    Host::start(script).await.client().sign_in().await.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_refusal_of_sign_in_keeps_its_code_behind_a_mark() {
    let told = refusal(|_, _| {
        let body =
            json!({"error": "invalid_client", "error_description": "AADSTS7000222: expired"}).to_string();
        (401, [MARK, body.as_bytes()].concat())
    })
    .await;
    assert_eq!(told, "sign-in is refused: AADSTS7000222: the client secret has expired; create a new one");
}

#[tokio::test]
async fn a_page_of_graph_is_read_behind_a_mark() {
    let host = Host::start(|path, _| with_token(path, || input("graph-places-bom.json"))).await;
    let (outcome, places) = places::collect(&host.client(), &[], 1000, soon()).await;
    assert_eq!((outcome.state(), outcome.reason()), (CollectorState::Ok, None));
    assert_eq!(places.len(), 3);
    assert_eq!(&*places[0].email, "room-oslo@contoso.example");
}

// 2: files and variables.

/// Loads a configuration of one tenant that signs in with `auth`, in this environment.
fn load(auth: &str, environment: &[(&str, &str)]) -> Result<Config, config::Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    let text = format!(
        "\u{feff}tenants:\n  - {{ name: a, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}{auth} }}\n"
    );
    fs::write(&file, text).expect("written");
    let args = ServeArgs { config: ConfigArgs { file: Some(file) }, ..ServeArgs::default() };
    let value =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    config::load(&args, &value, &[])
}

fn secret(config: &Config) -> String {
    match config.tenants.first().map(|tenant| &tenant.auth) {
        Some(Auth::Secret(credential)) => credential.read().expect("readable").expose().to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_mark_is_no_part_of_a_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    fs::write(&path, input("secret-bom.txt")).expect("written");
    let path = path.display().to_string();
    let text = String::from_utf8(input("secret-bom.txt")).expect("text");
    assert!(text.starts_with('\u{feff}'));
    for (auth, environment) in [
        (format!(", auth: {{ client_secret_file: {path} }}"), vec![]),
        (format!(", auth: {{ client_secret: \"{}\" }}", text.trim()), vec![]),
        (String::new(), vec![("AZURE_CLIENT_SECRET", &*text)]),
        (String::new(), vec![("AZURE_CLIENT_SECRET_FILE", &*path)]),
    ] {
        let config = load(&auth, &environment).expect("sound");
        assert_eq!(secret(&config), "s3cr3t", "{auth}{environment:?}");
    }
    let federated = load(&format!(", auth: {{ federated_token_file: {path} }}"), &[]).expect("sound");
    assert!(matches!(federated.tenants[0].auth, Auth::FederatedToken(_)));
}

// 2 and 3: PEM.

/// A bundle as the sketch has it, with these certificates in it.
fn bundle(name: &str, authorities: &[&Authority; 2]) -> Vec<u8> {
    let mut sketch = input(name);
    for (place, authority) in [("(first authority)", authorities[0]), ("(second authority)", authorities[1])]
    {
        let content =
            authority.pem.lines().filter(|line| !line.contains("-----")).collect::<Vec<_>>().join("\n");
        let at = sketch.windows(place.len()).position(|window| window == place.as_bytes()).expect("a place");
        sketch.splice(at..at + place.len(), content.bytes());
    }
    sketch
}

const BUNDLES: [&str; 3] =
    ["ca-bundle-bom.sketch.pem", "ca-bundle-joined.sketch.pem", "ca-bundle-latin1-comment.sketch.pem"];

#[test]
fn every_certificate_of_a_bundle_is_read() {
    let (folder, authorities) =
        (tempfile::tempdir().expect("a folder"), [&Authority::new(), &Authority::new()]);
    let path = folder.path().join("ca.pem");
    for name in BUNDLES {
        fs::write(&path, bundle(name, &authorities)).expect("written");
        assert_eq!(config::read_authorities(&path).map(|read| read.len()).ok(), Some(2), "{name}");
        let endpoint = otlp_with(&path);
        assert_eq!(endpoint.matches("BEGIN CERTIFICATE").count(), 2, "{name}");
    }
}

/// The authorities for OTLP, as every library reads them.
fn otlp_with(authorities: &Path) -> String {
    let path = authorities.display().to_string();
    let value = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("https://otlp.example:4318".to_owned()),
        "OTEL_EXPORTER_OTLP_CERTIFICATE" => Some(path.clone()),
        _ => None,
    };
    let otlp = config::otlp::load(&OtlpArgs::default(), &value).expect("sound");
    otlp.logs.and_then(|endpoint| endpoint.authorities).expect("authorities")
}

#[test]
fn a_chain_of_the_server_keeps_every_certificate() {
    let web = WebFolder::new("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n");
    let (own, key) = web.authority.sign(&["localhost"]);
    let chains = [
        [MARK, own.as_bytes(), web.authority.pem.as_bytes()].concat(),
        format!("{}{}", own.trim_end(), web.authority.pem).into_bytes(),
        [b"# Soci\xe9t\xe9\n", own.as_bytes(), web.authority.pem.as_bytes()].concat(),
    ];
    for chain in chains {
        fs::write(web.path().join("cert.pem"), &chain).expect("written");
        fs::write(web.path().join("key.pem"), [MARK, key.as_bytes()].concat()).expect("written");
        let read = WebConfig::load(&web.web()).expect("sound").tls.expect("TLS");
        assert_eq!(read.certificate.cert.len(), 2, "{}", String::from_utf8_lossy(&chain));
    }
}

/// Runs OpenSSL, whose files are what an operator has.
fn openssl(folder: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_certificate_that_signs_in_is_read_in_every_form_of_pem_and_other_forms_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.pem -days 2 -subj /CN=own");
    openssl(folder, "pkcs12 -export -in own.pem -inkey own.key -out own.pfx -passout pass:hunter2");
    openssl(folder, "x509 -in own.pem -outform DER -out own.der");
    openssl(folder, "pkey -in own.key -outform DER -out key.der");
    let read = |name: &str| fs::read(folder.join(name)).expect("written");
    let (certificate, key) = (read("own.pem"), read("own.key"));
    fs::write(folder.join("joined.pem"), [MARK, certificate.trim_ascii_end(), &certificate].concat())
        .expect("written");
    fs::write(folder.join("bom.key"), [MARK, &key].concat()).expect("written");
    let files = |certificate: &str, key: &str| CertificateFiles {
        certificate: folder.join(certificate),
        key: Some(folder.join(key)),
        send_chain: true,
    };
    let sound = files("joined.pem", "bom.key").read().expect("sound");
    assert_eq!(sound.chain().len(), 2, "both go into x5c");
    for (certificate, key, expected) in [
        (
            "own.pfx",
            "own.key",
            "is a PFX (PKCS #12) file, not PEM; `openssl pkcs12 -in FILE -out certificate.pem -nodes`",
        ),
        ("own.der", "own.key", "is in DER, not PEM; `openssl x509 -inform DER"),
        ("own.pem", "key.der", "is a key in DER, not PEM; `openssl pkey -inform DER"),
    ] {
        let error = files(certificate, key).read().expect_err("not PEM").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

// 4: Intune.

#[tokio::test]
async fn android_of_intune_is_found_under_each_of_its_names() {
    let host = Host::start(|path, _| {
        with_token(path, || {
            // As Intune filters: by the exact name.
            if path.contains("eq%20") {
                br#"{"value": []}"#.to_vec()
            } else {
                input("intune-android-names.json")
            }
        })
    })
    .await;
    let found = Mutex::new(Vec::new());
    let take = |enrolled: Vec<intune::Enrolled>| found.lock().expect("no test panics here").extend(enrolled);
    let outcome = intune::collect(&host.client(), Duration::from_secs(20), &take).await;
    assert_eq!(outcome.reason(), None);
    let systems: Vec<_> =
        found.lock().expect("no test panics here").iter().map(|enrolled| enrolled.device.os).collect();
    assert_eq!(systems, [Some(Os::Android); 3]);
}

// 5, 6 and 12: lists.

/// `tests/field/places-skip-ignored.txt`
#[tokio::test]
async fn rooms_that_skip_leaves_out_are_missing() {
    for count in [180, 250] {
        let room = |n: i32| json!({"id": n.to_string(), "emailAddress": format!("room{n}@contoso.example")});
        let rooms: Vec<_> = (0..100).map(room).collect();
        let page = json!({"@odata.count": count, "value": rooms}).to_string().into_bytes();
        let host = Host::start(move |path, _| with_token(path, || page.clone())).await;
        let (outcome, places) = places::collect(&host.client(), &[], 1000, soon()).await;
        assert_eq!((outcome.state(), outcome.expected), (CollectorState::Partial, Some(count)));
        assert!(places.len() == 100 && !outcome.is_complete(), "nothing is removed on its word");
    }
}

#[tokio::test]
async fn an_empty_link_ends_a_list() {
    let (devices, outcome) =
        read_devices(|path, _| with_token(path, || input("page-empty-nextlink.json"))).await;
    assert_eq!((outcome.state(), outcome.reason()), (CollectorState::Ok, None));
    assert_eq!(devices.len(), 1);
}

/// The open incidents of Teams.
async fn incidents_of(script: Script) -> u32 {
    let (outcome, products) = service_health::collect(&Host::start(script).await.client(), soon()).await;
    assert_eq!(outcome.reason(), None);
    products.values().map(|product| product.incidents).sum()
}

fn overviews() -> Vec<u8> {
    br#"{"value": [{"id": "Teams", "service": "Microsoft Teams", "status": "serviceOperational"}]}"#.to_vec()
}

#[tokio::test]
async fn an_issue_that_comes_twice_is_one() {
    let on_one_page: Script = |path, _| {
        with_token(path, || {
            if path.contains("issues") { input("issues-same-id-twice.json") } else { overviews() }
        })
    };
    let on_two_pages: Script = |path, before| {
        with_token(path, || match path.contains("issues") {
            true if before == 0 && !path.contains("page2") => {
                let text = String::from_utf8(input("issues-same-id-twice.json")).expect("text");
                text.replacen('{', r#"{"@odata.nextLink": "?page2", "#, 1).into_bytes()
            }
            true => input("issues-same-id-twice.json"),
            false => overviews(),
        })
    };
    assert_eq!((incidents_of(on_one_page).await, incidents_of(on_two_pages).await), (1, 1));
}

// 7: `$batch`.

const OPERATION: Operation = Operation { name: "device_health", workload: Workload::Teamwork };

#[tokio::test]
async fn an_item_of_a_batch_that_is_plain_text_costs_no_other_and_is_named() {
    let host = Host::start(|path, before| {
        with_token(path, || match before {
            0 => input("batch-plain-text-body.txt"),
            // The item is asked for again, alone.
            _ => br#"{"responses":[{"id":"0","status":200,"body":Service is warming up}]}"#.to_vec(),
        })
    })
    .await;
    let urls = ["/a".to_owned(), "/b".to_owned()];
    let answers =
        host.client().batch(OPERATION, "beta", &urls, Instant::now() + Duration::from_millis(300)).await;
    assert!(answers[0].as_ref().is_ok_and(|body| body.get().contains("connected")), "{answers:?}");
    let named = Err(Error::malformed("an item of $batch whose body is not JSON"));
    assert_eq!(answers[1].as_ref().map(|body| body.get()), named.as_ref().copied());
}

// 8 and 9: the table of rooms.

#[test]
fn tables_of_spreadsheets_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    for name in [
        "rooms-sep-line.csv",
        "rooms-trailing-empty-cells.csv",
        "rooms-trailing-empty-columns.csv",
        "rooms-missing-trailing-cells.csv",
        "rooms-mailto.csv",
        "rooms-zero-width-space.csv",
    ] {
        let rooms = rooms_file::read(&folder.join(name)).expect(name);
        let read: Vec<_> = rooms.iter().map(|(email, facts)| (&**email, facts.building.as_deref())).collect();
        assert_eq!(read, [("room-oslo@contoso.example", Some("Main"))], "{name}");
    }
}

// 10: proxies.

#[test]
fn a_proxy_that_cannot_be_meant_is_refused_at_the_start_with_the_place() {
    // The third line of the input is in Latin-1, as a shell of Windows sets it.
    let lines = String::from_utf8_lossy(&input("proxy-env.txt")).into_owned();
    let values: Vec<_> = lines.lines().filter_map(|line| line.strip_prefix("HTTPS_PROXY=")).collect();
    let expected = ["character 13 is `#`; write it as %23", "has quotes around it", "is not plain ASCII"];
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        let value = value.split("   ").next().unwrap_or_default();
        let auth = ", auth: { client_secret: s3cr3t }";
        let error = load(auth, &[("HTTPS_PROXY", value)]).expect_err(value).to_string();
        assert!(error.starts_with("HTTPS_PROXY: ") && error.contains(expected), "{error}");
        assert!(!error.contains("ss@") && !error.contains("geh"), "{error}");
        let file = Settings::new(&format!(
            "tenants:\n  - {{ name: a, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}, auth: {{ client_secret: s3cr3t }} }}\n"
        ));
        let ended = Program::start_in(&file.line("check"), &[("HTTPS_PROXY", value)]).end();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        contains(&ended.err, &["HTTPS_PROXY: ", expected]);
    }
}

#[tokio::test]
async fn a_star_in_no_proxy_counts() {
    let proxy = Host::start(|path, _| with_token(path, || input("page-empty-nextlink.json"))).await;
    for (bypass, is_asked) in [("", true), ("*.other.invalid", true), ("*.corp.invalid", false), ("*", false)]
    {
        let value = |name: &str| match name {
            "ALL_PROXY" => Some(proxy.url.clone()),
            "NO_PROXY" => Some(bypass.to_owned()),
            _ => None,
        };
        // Behind TLS the proxy is only asked for the way, and this one does not open it.
        for scheme in ["http", "https"] {
            proxy.asked.lock().expect("no test panics here").clear();
            let root = format!("{scheme}://graph.corp.invalid/").parse().expect("a URL");
            let proof = auth::Proof::Secret(Arc::new(|| Ok("s".to_owned())));
            let signed_in = client(&root, proof, Proxies::read(&value).expect("sound")).sign_in().await;
            let asked = !proxy.asked.lock().expect("no test panics here").is_empty();
            assert_eq!(asked, is_asked, "{scheme} {bypass}");
            assert_eq!(signed_in.is_ok(), is_asked && scheme == "http", "{scheme} {bypass}");
        }
    }
}

// 11: half a character.

#[tokio::test]
async fn half_a_character_costs_no_record() {
    let (devices, outcome) =
        read_devices(|path, _| with_token(path, || input("device-lone-surrogate.json"))).await;
    assert_eq!((devices.len(), outcome.skipped.len()), (1, 0));
    let name = devices[0].account.as_ref().and_then(|account| account.name.as_deref());
    assert_eq!(name, Some("Oslo \u{fffd}"));
}

#[tokio::test]
async fn half_a_character_costs_no_record_of_other_sources() {
    let host = Host::start(|path, _| {
        with_token(path, || {
            if path.contains("$batch") {
                let body = r#"{"id": "d", "hardwareHealth": null, "note": "\udc00"}"#;
                format!(r#"{{"responses": [{{"id": "0", "status": 200, "body": {body}}}], "x": "\ud83d"}}"#)
                    .into_bytes()
            } else {
                br#"{"value": [{"id": "00000000-52f7-4be9-9b7e-0c2f51a6d101", "availability": "Available",
                    "activity": "Available", "statusMessage": {"note": "\ud83d"}}]}"#
                    .to_vec()
            }
        })
    })
    .await;
    let client = host.client();
    let ids = [Arc::from("00000000-52f7-4be9-9b7e-0c2f51a6d101")];
    let found = Mutex::new(Vec::new());
    let take = |read: Vec<_>| found.lock().expect("no test panics here").extend(read);
    let outcome = presence::collect(&client, &ids, soon(), &take).await;
    assert_eq!((outcome.reason(), found.lock().expect("no test panics here").len()), (None, 1));
    let answers = client.batch(OPERATION, "beta", &["/d".to_owned()], soon()).await;
    assert!(answers[0].is_ok(), "{answers:?}");
}

#[test]
fn half_a_character_costs_no_push() {
    let incident = r#"{"ID": "7", "state": "New", "title": "Oslo \ud83d"}"#;
    let inner = serde_json::to_string(incident).expect("a text");
    for data in [incident, &inner] {
        let body = format!("\u{feff}{{\"eventType\": \"Incident\", \"data\": {data}}}");
        let push = incidents::read(Reporter::ProManagement, body.as_bytes()).expect(&body);
        assert_eq!(push.event.map(|event| event.id.to_string()).as_deref(), Some("7"));
    }
}

// 13: managed identities.

fn managed(host: &Host) -> Client {
    let endpoint = format!("{}/msi/token", host.url).parse().expect("a URL");
    let service = auth::managed_identity::Service { endpoint, client_id: None, header: Some("s".to_owned()) };
    host.client_by(auth::Proof::ManagedIdentity(service))
}

#[tokio::test]
async fn a_managed_identity_is_asked_again_after_a_timeout_and_named_where_it_fails() {
    let host = Host::start(|_, before| match before {
        0 => (408, Vec::new()),
        _ => (
            200,
            [MARK, br#"{"access_token": "T", "expires_in": "3599.0", "token_type": "Bearer"}"#].concat(),
        ),
    })
    .await;
    assert_eq!(managed(&host).sign_in().await.map(|(lifetime, _)| lifetime.as_secs()), Ok(3599));
    let host = Host::start(|_, _| (500, Vec::new())).await;
    let error = managed(&host).sign_in().await.expect_err("it fails").to_string();
    assert_eq!(error, "the endpoint of the managed identity cannot be reached: it answers 500");
}

#[test]
fn a_managed_identity_of_arc_is_told_to_be_unsupported() {
    let text =
        format!("tenants:\n  - {{ name: a, tenant_id: {TENANT_ID}, auth: {{ managed_identity: {{}} }} }}\n");
    let endpoint = "http://localhost:40342/metadata/identity/oauth2/token";
    let file = Settings::new(&text);
    let ended = Program::start_in(&file.line("check"), &[("IDENTITY_ENDPOINT", endpoint)]).end();
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    contains(&ended.err, &["IDENTITY_ENDPOINT: ", "Azure Arc", "not supported"]);
}

// 14: behind a proxy that adds a path.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_the_page_stay_below_the_external_url() {
    for (url, prefix) in [
        (None, ""),
        (Some("http://proxy.example/"), ""),
        (Some("http://proxy.example/teams/"), "/teams"),
        (Some("https://proxy.example/a/b"), "/a/b"),
    ] {
        let configure = move |config: &mut Config| {
            config.web.external_url = url.map(|url| url.parse().expect("a URL"));
        };
        let exporter =
            Exporter::start(Scenario { configure: Box::new(configure), ..Scenario::default() }).await;
        let page = exporter.get("/").await.1;
        let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        // Filters are anchors of the page itself, and there are more of them the more is known.
        let leads_elsewhere =
            |link: &&str| !link.starts_with('#') && !link.starts_with("https://github.com/");
        let links: Vec<&str> = links.filter(leads_elsewhere).collect();
        let expected =
            ["/metrics", "/api/v1/rooms", "/-/healthy", "/-/ready"].map(|path| format!("{prefix}{path}"));
        assert_eq!(links, expected, "{url:?}");
        exporter.stop().await;
    }
}

// 15: messages.

#[tokio::test]
async fn entra_that_is_busy_is_told_from_a_network_that_fails() {
    for (status, code) in [(400, 90_033), (503, 90_033), (429, 90_055), (400, 90_006)] {
        let told = {
            let host = Host::start(move |_, _| {
                let text = String::from_utf8(input("token-aadsts90033.json")).expect("text");
                (status, text.replace("90033", &code.to_string()).into_bytes())
            })
            .await;
            host.client().sign_in().await.expect_err("busy").to_string()
        };
        let expected = format!(
            "the sign-in host cannot be reached: it is busy (AADSTS{code}); the exporter tries again"
        );
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn each_code_of_entra_is_told_with_what_helps() {
    for (code, expected) in [
        (900_023, "the tenant id is neither an id nor a domain"),
        (1_000_502, "the certificate is outside its validity"),
        (5_000_225, "the tenant is blocked because it was not used"),
        (700_021, "the assertion is one for another application"),
        (50_059, "the request names no tenant"),
        (500_014, "the service principal of Microsoft Graph is disabled"),
        (70_018, "a wrong code was entered"),
        (12_345, "see https://login.microsoftonline.com/error?code=12345"),
    ] {
        let host = Host::start(move |_, _| {
            let description = format!("AADSTS{code}: a text with names. Trace ID: 1");
            (
                400,
                json!({"error": "invalid_request", "error_description": description})
                    .to_string()
                    .into_bytes(),
            )
        })
        .await;
        let told = host.client().sign_in().await.expect_err("refused").to_string();
        assert!(told.starts_with(&format!("sign-in is refused: AADSTS{code}: {expected}")), "{told}");
    }
}

#[tokio::test]
async fn a_sign_in_page_of_a_network_is_told_with_its_status() {
    let told = refusal(|_, _| (403, b"<html>blocked</html>".to_vec())).await;
    assert_eq!(
        told,
        "the answer cannot be used: the sign-in host answers 403 without JSON, as a proxy or a sign-in page would"
    );
    let told = refusal(|_, _| (200, b"{}".to_vec())).await;
    assert_eq!(told, "the answer cannot be used: the answer of the sign-in host holds no token");
}

/// A proxy that answers each request for a tunnel with this, and closes.
async fn start_refusing_proxy(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            drop(stream.write_all(answer.as_bytes()).await);
        }
    }));
    format!("http://{address}")
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_with_what_helps() {
    drop(rustls::crypto::ring::default_provider().install_default());
    for (answer, expected) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants a user and password (407)"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "opens no way: it forbids this host (403)"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "or cannot reach it (502, 503)"),
        ("", "breaks off; is HTTPS_PROXY the address of an HTTP proxy?"),
    ] {
        let proxy = start_refusing_proxy(answer).await;
        let told = through(&proxy).await;
        assert!(
            told.starts_with("the sign-in host cannot be reached: the proxy ") && told.contains(expected),
            "{told}"
        );
    }
    let told = through("http://127.0.0.1:1").await;
    assert_eq!(
        told,
        "the sign-in host cannot be reached: the proxy cannot be reached; is HTTPS_PROXY right?"
    );
}

/// Returns the error of a sign-in through this proxy.
async fn through(proxy: &str) -> String {
    let value = |name: &str| (name == "HTTPS_PROXY").then(|| proxy.to_owned());
    let proof = auth::Proof::Secret(Arc::new(|| Ok("s".to_owned())));
    let root = "https://login.corp.invalid/".parse().expect("a URL");
    let client = client(&root, proof, Proxies::read(&value).expect("sound"));
    client.sign_in().await.expect_err("refused").to_string()
}

#[tokio::test]
async fn a_request_that_graph_refuses_is_not_blamed_on_a_proxy() {
    let host = Host::start(|path, _| {
        let refusal = br#"{"error": {"code": "BadRequest", "message": "x"}}"#;
        if path.contains("/oauth2/") { (200, TOKEN.to_vec()) } else { (400, refusal.to_vec()) }
    })
    .await;
    let outcome = presence::collect(&host.client(), &[Arc::from("id")], soon(), &|_| {}).await;
    assert_eq!(
        outcome.reason().as_deref(),
        Some("1 accounts: Graph refuses the request (400 BadRequest): this tenant or cloud does not take it")
    );
}

#[test]
fn what_cannot_be_a_secret_is_refused_at_the_start() {
    for (value, expected) in [
        ("\"s3cr3t\"", "has quotes around it"),
        ("s3cr3t ", "character 7 is a blank"),
        ("s3 cr3t", "character 3 is a blank"),
        ("s3cr3t\u{a0}", "character 7 is a blank, invisible or not plain ASCII"),
        ("s3cr3t\nother", "has more than one line"),
    ] {
        let error = load("", &[("AZURE_CLIENT_SECRET", value)]).expect_err(value).to_string();
        assert!(error.contains("AZURE_CLIENT_SECRET") && error.contains(expected), "{error}");
        assert!(!error.contains("s3cr") && !error.contains("s3 cr"), "{error}");
    }
}

// What is no collection.

#[tokio::test]
async fn a_list_is_no_collection() {
    let (devices, outcome) = read_devices(|path, _| with_token(path, || b"[[],null,null]".to_vec())).await;
    assert_eq!((devices.len(), outcome.state()), (0, CollectorState::Malformed));
    let host =
        Host::start(|path, _| with_token(path, || br#"[[{"id":"0","status":200,"body":{}}]]"#.to_vec()))
            .await;
    let answers = host
        .client()
        .batch(OPERATION, "beta", &["/d".to_owned()], Instant::now() + Duration::from_millis(300))
        .await;
    assert!(matches!(answers[0], Err(Error::Malformed { .. })), "{answers:?}");
}
