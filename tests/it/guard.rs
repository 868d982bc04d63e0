//! What stands before the answers: TLS, certificates of clients, users, headers, a rate limit, and their change.

use std::time::{Duration, Instant};

use reqwest::tls::{TlsInfo, Version};
use reqwest::{Client, Response};

use teams_rooms_exporter::config::web_config::WebConfig;

use crate::exporter::{Exporter, Scenario, client, log};
use crate::pki::{Authority, TLS, WebFolder};

const PATIENCE: Duration = Duration::from_secs(30);

const PASSWORD: &str = "correct horse";

/// 1 while the newest file is active.
const ACTIVE: &str = "teams_rooms_web_config_last_reload_successful";

/// Of the least cost, so that no test waits for it.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn users(password: &str) -> String {
    format!("basic_auth_users:\n  prometheus: {}\n", hash(password))
}

/// Gets through wherever TLS and the user are enough.
fn good_client(folder: &WebFolder) -> Client {
    let basic = reqwest::header::HeaderValue::from_static("Basic cHJvbWV0aGV1czpjb3JyZWN0IGhvcnNl");
    let headers = [(reqwest::header::AUTHORIZATION, basic)].into_iter().collect();
    folder.authority.trusted_by(client()).default_headers(headers).tls_info(true).build().expect("a client")
}

async fn start(folder: &WebFolder, client: Client) -> Exporter {
    Exporter::start(Scenario { rooms: 3, web: Some((folder.web(), client)), ..Scenario::default() }).await
}

/// Asks until the answer is the wanted one.
#[track_caller]
fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < PATIENCE, "{place}: never {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

/// What `docs/serving.md` shows is taken as it stands, but for names of files and the hash.
#[test]
fn the_file_in_the_documentation_works() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/serving.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    let shown = page.split("```yaml\n").nth(1).and_then(|text| text.split("```").next()).expect("an example");
    let web = shown
        .replace("server.pem", "cert.pem")
        .replace("server.key", "key.pem")
        .replace("clients.pem", "ca.pem");
    let folder = WebFolder::new(&web.replace("$2y$10$...", &hash(PASSWORD)));
    let loaded = WebConfig::load(&folder.web()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((loaded.headers.len(), loaded.users.len()), (5, 1));
    assert!(loaded.rate_limit.is_some() && loaded.tls.is_some_and(|tls| tls.clients.is_some()));
}

#[tokio::test]
async fn users_are_asked_on_every_path_and_told_apart_by_their_password() {
    let folder = WebFolder::new(&format!(
        "{TLS}{}http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    \
         Content-Security-Policy: default-src 'self'\n",
        users(PASSWORD)
    ));
    let exporter = start(&folder, good_client(&folder)).await;
    exporter.wait_for_everything().await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/api/v1/rooms"] {
        assert_eq!(exporter.get(path).await.0, 200, "{path}");
    }
    let stranger = folder.authority.trusted_by(client()).build().expect("a client");
    for path in ["/metrics", "/", "/-/healthy", "/nowhere"] {
        let url = format!("{}{path}", exporter.url);
        let refused = stranger.get(&url).send().await.expect("an answer");
        assert_eq!(refused.status(), 401, "{path}");
        assert_eq!(header(&refused, "www-authenticate"), Some("Basic"));
        assert_eq!(header(&refused, "strict-transport-security"), Some("max-age=60"), "also where refused");
        for (name, password) in [("prometheus", "wrong"), ("nobody", PASSWORD), ("", "")] {
            let refused =
                stranger.get(&url).basic_auth(name, Some(password)).send().await.expect("an answer");
            assert_eq!(refused.status(), 401, "{path} for {name}");
        }
    }
    let page =
        stranger.get(&exporter.url).basic_auth("prometheus", Some(PASSWORD)).send().await.expect("a page");
    assert_eq!(
        header(&page, "content-security-policy"),
        Some("default-src 'self'"),
        "the file's word counts"
    );
    let scrape = exporter.scrape().await;
    let refused =
        scrape.sum("teams_rooms_exporter_http_requests_total", &["handler=\"refused\"", "code=\"401\""]);
    assert!((refused - 16.0).abs() < f64::EPSILON, "{refused}");
    assert!(!log().contains(PASSWORD) && !log().contains("cHJvbWV0aGV1czpjb3JyZWN0IGhvcnNl"));
    exporter.stop().await;
}

#[tokio::test]
async fn only_the_versions_that_are_set_are_spoken() {
    for (setting, newest, expected) in [
        ("", Version::TLS_1_2, true),
        ("", Version::TLS_1_3, true),
        ("  min_version: TLS13\n", Version::TLS_1_2, false),
        ("  max_version: TLS12\n", Version::TLS_1_3, true),
        (
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n",
            Version::TLS_1_2,
            false,
        ),
    ] {
        let folder = WebFolder::new(&format!("{TLS}{setting}"));
        let exporter = start(&folder, good_client(&folder)).await;
        let other = folder.authority.trusted_by(client()).tls_version_max(newest).build().expect("a client");
        let answer = other.get(format!("{}/-/healthy", exporter.url)).send().await;
        assert_eq!(answer.is_ok(), expected, "{setting:?} {newest:?}: {answer:?}");
        // Else the last look of the test would fail, where the suite does not fit the key.
        folder.write("web.yml", TLS);
        let again = || async { exporter_answers(&exporter, &folder).await };
        until("a handshake", again).await;
        exporter.stop().await;
    }
}

async fn exporter_answers(exporter: &Exporter, folder: &WebFolder) -> bool {
    good_client(folder).get(format!("{}/-/healthy", exporter.url)).send().await.is_ok()
}

#[tokio::test]
async fn clients_prove_themselves_with_a_certificate_of_the_authority_and_a_name() {
    let folder = WebFolder::new(&format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         client_allowed_sans: [prometheus.example]\n"
    ));
    let trusting = || folder.authority.trusted_by(client());
    let good =
        trusting().identity(folder.authority.identity("prometheus.example")).build().expect("a client");
    let exporter = start(&folder, good).await;
    exporter.wait_for_everything().await;
    let url = format!("{}/metrics", exporter.url);
    for (whom, other) in [
        ("nobody", trusting()),
        ("another name", trusting().identity(folder.authority.identity("grafana.example"))),
        ("another authority", trusting().identity(Authority::new().identity("prometheus.example"))),
    ] {
        let answer = other.build().expect("a client").get(&url).send().await;
        assert!(answer.is_err(), "{whom}: {answer:?}");
    }
    exporter.stop().await;
}

#[tokio::test]
async fn a_certificate_may_be_asked_for_without_being_verified() {
    for (policy, ca, of_nobody, of_another) in [
        ("RequestClientCert", "", true, true),
        ("RequireAnyClientCert", "", false, true),
        ("VerifyClientCertIfGiven", "  client_ca_file: ca.pem\n", true, false),
    ] {
        let folder = WebFolder::new(&format!("{TLS}  client_auth_type: {policy}\n{ca}"));
        let good = folder.authority.trusted_by(client()).identity(folder.authority.identity("a.example"));
        let exporter = start(&folder, good.build().expect("a client")).await;
        let url = format!("{}/-/healthy", exporter.url);
        let nobody = folder.authority.trusted_by(client()).build().expect("a client");
        assert_eq!(nobody.get(&url).send().await.is_ok(), of_nobody, "{policy} of nobody");
        let another = folder.authority.trusted_by(client()).identity(Authority::new().identity("b.example"));
        let another = another.build().expect("a client");
        assert_eq!(another.get(&url).send().await.is_ok(), of_another, "{policy} of another authority");
        exporter.stop().await;
    }
}

#[tokio::test]
async fn files_are_followed_and_connections_stay() {
    let folder = WebFolder::new(&format!("{TLS}{}", users(PASSWORD)));
    let kept = good_client(&folder);
    let exporter = start(&folder, kept.clone()).await;
    let url = format!("{}/-/healthy", exporter.url);
    let first = served_certificate(&kept, &url).await;

    folder.renew_certificate();
    let renewed = || async { served_certificate(&good_client(&folder), &url).await != first };
    until("the new certificate", renewed).await;
    assert_eq!(served_certificate(&kept, &url).await, first, "the connection stays");

    // A bad file, bad in each way, keeps what was there.
    for (name, content, complaint) in [
        ("key.pem", "junk", "has no private key"),
        ("web.yml", "tls_server_config: [", "web.yml:1:"),
        ("web.yml", "basic_auth_users:\n  prometheus: hunter2\n", "this is no whole bcrypt hash"),
    ] {
        let before = std::fs::read_to_string(folder.path().join(name)).expect("it is there");
        folder.write(name, content);
        until(complaint, || async { log_of(&folder).contains(complaint) }).await;
        assert_eq!(good_client(&folder).get(&url).send().await.expect("an answer").status(), 200, "{name}");
        folder.write(name, &before);
    }
    assert!(!log().contains("hunter2"));

    folder.write("web.yml", &format!("{TLS}{}", users("another")));
    let refused = || async { kept.get(&url).send().await.expect("an answer").status() == 401 };
    until("the old password refused", refused).await;
    assert_eq!(served_certificate(&kept, &url).await, first, "and still on the same connection");
    let other = folder.authority.trusted_by(client()).build().expect("a client");
    let answer = other.get(&url).basic_auth("prometheus", Some("another")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    folder.write("web.yml", &format!("{TLS}{}", users(PASSWORD)));
    until("the user", || async { kept.get(&url).send().await.expect("an answer").status() == 200 }).await;
    exporter.stop().await;
}

/// No reload removes TLS, the users or the certificates of clients. A file that keeps all of them is taken afterwards.
#[tokio::test]
async fn a_reload_never_opens_what_is_closed() {
    let certificates = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
                        client_allowed_sans: [prometheus.example]\n";
    let closed = format!("{TLS}{certificates}{}", users(PASSWORD));
    let folder = WebFolder::new(&closed);
    let basic = reqwest::header::HeaderValue::from_static("Basic cHJvbWV0aGV1czpjb3JyZWN0IGhvcnNl");
    let good = || {
        let headers = [(reqwest::header::AUTHORIZATION, basic.clone())].into_iter().collect();
        let trusting = folder.authority.trusted_by(client()).default_headers(headers);
        trusting.identity(folder.authority.identity("prometheus.example")).build().expect("a client")
    };
    let exporter = start(&folder, good()).await;
    assert_eq!(exporter.scrape().await.value(ACTIVE), Some("1"));
    let plain = format!("{}/metrics", exporter.url.replace("https", "http"));
    let nobody = folder.authority.trusted_by(client()).build().expect("a client");
    let of_none = certificates.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    for (content, complaint) in [
        (String::new(), "removes TLS, the client certificates, the CA of the client certificates, the names"),
        (users(PASSWORD), "removes TLS, the client certificates"),
        (format!("{TLS}{certificates}"), "removes the last user;"),
        (format!("{TLS}{certificates}basic_auth_users: {{}}\n"), "removes the last user;"),
        (format!("{TLS}{}", users(PASSWORD)), "removes the client certificates, the CA"),
        (
            format!(
                "{TLS}{}{}",
                of_none.replace("  client_allowed_sans: [prometheus.example]\n", ""),
                users(PASSWORD)
            ),
            "removes the client certificates, the names of the client certificates;",
        ),
    ] {
        folder.write("web.yml", &content);
        until(complaint, || async { log_of(&folder).contains(complaint) }).await;
        let refused = || async { exporter.scrape().await.value(ACTIVE) == Some("0") };
        until("the metric", refused).await;
        let answer = client().build().expect("a client").get(&plain).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "no plain HTTP: {complaint}");
        assert!(nobody.get(format!("{}/metrics", exporter.url)).send().await.is_err(), "{complaint}");
        let stranger = good().get(format!("{}/metrics", exporter.url)).basic_auth("prometheus", Some("x"));
        assert_eq!(stranger.send().await.expect("an answer").status(), 401, "{complaint}");
    }
    folder.write("web.yml", &format!("{closed}http_server_config: {{ http2: false }}\n"));
    until("the new file", || async { log_of(&folder).contains("is new") }).await;
    until("the metric", || async { exporter.scrape().await.value(ACTIVE) == Some("1") }).await;
    exporter.stop().await;
}

async fn served_certificate(client: &Client, url: &str) -> Vec<u8> {
    let response = client.get(url).send().await.expect("an answer");
    let info = response.extensions().get::<TlsInfo>().expect("TLS");
    info.peer_certificate().expect("a certificate").to_vec()
}

/// What was logged about the files of this test.
fn log_of(folder: &WebFolder) -> String {
    let path = folder.path().display().to_string();
    log().lines().filter(|line| line.contains(&path)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_come_later() {
    let folder = WebFolder::new("rate_limit:\n  interval: 1m\n  burst: 5\n");
    let exporter = start(&folder, client().build().expect("a client")).await;
    let url = format!("{}/-/healthy", exporter.url);
    for _ in 0..5 {
        assert_eq!(exporter.get("/-/healthy").await.0, 200);
    }
    let refused = client().build().expect("a client").get(&url).send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, Some("1")));
    // What is changed beside it does not fill the bucket again.
    folder
        .write("web.yml", "rate_limit:\n  interval: 1m\n  burst: 5\nhttp_server_config: { http2: false }\n");
    until("the new file", || async { log_of(&folder).contains("is new") }).await;
    assert_eq!(exporter.get("/-/healthy").await.0, 429);
    folder.write("web.yml", "");
    until("no limit", || async { exporter.get("/-/healthy").await.0 == 200 }).await;
    exporter.stop().await;
}
