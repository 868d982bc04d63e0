//! Every way to sign in, through the door: what is sent, that files are read anew, and what a refusal says.
//!
//! A real OAuth server checks the same in `tests/proof/sign_in`; here it is the simulated tenant, which can be told to refuse.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use teams_rooms_exporter::config::{Auth, CertificateFiles, Config, Enabled, ManagedIdentity, Secret};
use teams_rooms_exporter::sim::{CLIENT_ID, CLIENT_SECRET, IDENTITY_HEADER, Sim, TENANT_ID};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::command_line::{Program, Settings, contains, run};
use crate::exporter::{Exporter, Scenario, parse, spawn, start_tenant};

/// A tenant that is signed in to this way.
fn scenario(tenant: &'static str, auth: Auth, sim: Sim) -> Scenario {
    let configure = move |config: &mut Config| {
        for tenant in &mut config.tenants {
            tenant.client_id = tenant.client_id.take().filter(|_| !matches!(auth, Auth::ManagedIdentity(_)));
            tenant.auth = auth.clone();
            tenant.collectors.credentials.enabled = Enabled::Auto;
        }
    };
    Scenario { tenant, sim: Some(sim), configure: Box::new(configure), ..Scenario::default() }
}

/// Runs OpenSSL, whose files are what an operator has.
fn openssl(folder: &Path, line: &str) {
    let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
    let output = output.expect("openssl is installed");
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate for so many days with its key, and itself in DER. It must outlive the simulated time, which is not the
/// machine's.
fn make_certificate(folder: &Path, name: &str, days: u32) -> Vec<u8> {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days {days} -subj /CN={name}"
        ),
    );
    CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).expect("PEM").to_vec()
}

/// Has every token refused that was issued so far, and waits until there is a new one that is accepted.
async fn sign_in_again(exporter: &Exporter) {
    let before = exporter.sim.tokens().len();
    exporter.sim.set_faults(parse(&["expired_token"]));
    let scrape = exporter.wait_for_attempts().await;
    assert_eq!(scrape.state(exporter.tenant, "devices"), "ok");
    assert_eq!(exporter.sim.tokens().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_signs_in_and_is_replaced_while_running() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sim = start_tenant(3, &[]).await;
    let (own, next) = (make_certificate(folder, "own", 7_300), make_certificate(folder, "next", 7_400));
    sim.set_certificates(vec![own]);
    let auth = Auth::Certificate(CertificateFiles {
        certificate: folder.join("own.pem"),
        key: Some(folder.join("own.key")),
        send_chain: true,
    });
    let exporter = Exporter::start(scenario("certified", auth, sim)).await;
    exporter.wait_for_everything().await;
    let series =
        "teams_rooms_credential_expiry_timestamp_seconds{tenant=\"certified\",credential=\"certificate\"}";
    let scrape = exporter.wait_until("the certificate's end", |scrape| scrape.value(series).is_some()).await;
    let end: i64 = scrape.value(series).and_then(|value| value.parse().ok()).expect("a time");
    let days = (end - now()) / 86_400;
    assert!((7_299..=7_300).contains(&days), "{days} days");
    assert!(!exporter.sim.requests().iter().any(|request| request.path.contains("applications")));

    exporter.sim.set_certificates(vec![next]);
    for end in ["pem", "key"] {
        fs::rename(folder.join(format!("next.{end}")), folder.join(format!("own.{end}"))).expect("renamed");
    }
    sign_in_again(&exporter).await;

    exporter.sim.set_certificates(Vec::new());
    exporter.sim.set_faults(parse(&["expired_token"]));
    exporter.wait_for_state("devices", "unauthorized").await;
    exporter.wait_for_line(&["AADSTS700027", "the certificate is not uploaded"]).await;
    let told = exporter.log().join("\n");
    let key = fs::read_to_string(folder.join("own.key")).expect("there");
    assert!(!told.contains(key.lines().nth(1).expect("PEM")), "the key shows");
    exporter.stop().await;
}

/// The machine's time; the certificates of OpenSSL begin with it.
#[expect(clippy::disallowed_methods, reason = "OpenSSL reads the machine's clock, too")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_federated_token_is_read_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let sim = start_tenant(3, &[]).await;
    let (first, second) = ("first.federated.Never-Log_This", "second.federated.Never-Log_This");
    fs::write(&path, format!("{first}\n")).expect("written");
    sim.set_federated_tokens(&[first]);
    let exporter = Exporter::start(scenario("federated", Auth::FederatedToken(path.clone()), sim)).await;
    let scrape = exporter.wait_for_everything().await;
    assert_eq!(scrape.state("federated", "credentials"), "disabled", "its owner renews it");
    fs::write(&path, second).expect("written");
    exporter.sim.set_federated_tokens(&[second]);
    sign_in_again(&exporter).await;
    fs::write(&path, first).expect("written");
    exporter.sim.set_faults(parse(&["expired_token"]));
    exporter.wait_for_state("devices", "unauthorized").await;
    let told = exporter.log().join("\n") + &exporter.get("/").await.1;
    assert!(!told.contains(first) && !told.contains(second));
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_identity_signs_in_on_a_machine_and_in_app_service() {
    for (path, header, client_id) in [
        ("metadata/identity/oauth2/token", None, Some(CLIENT_ID)),
        ("msi/token", Some(IDENTITY_HEADER), None),
    ] {
        let sim = start_tenant(3, &[]).await;
        let auth = Auth::ManagedIdentity(ManagedIdentity {
            client_id: client_id.map(str::to_owned),
            endpoint: format!("{}/{path}", sim.url()).parse().expect("a URL"),
            header: header.map(Secret::new),
        });
        let exporter = Exporter::start(scenario("managed", auth, sim)).await;
        let scrape = exporter.wait_for_everything().await;
        assert_eq!(scrape.state("managed", "credentials"), "disabled", "it does not expire");
        exporter.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_is_replaced_at_each_use_and_a_lost_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("refresh");
    let sim = start_tenant(3, &[]).await;
    let exporter = Exporter::start(scenario("delegated", Auth::Delegated(path.clone()), sim)).await;
    exporter.wait_for_state("devices", "unauthorized").await;
    exporter.wait_for_line(&["does not exist; run `teams-rooms-exporter login`"]).await;

    let mut used = vec!["refresh-One.Never-Log_This".to_owned()];
    exporter.sim.set_refresh_tokens(&[&used[0]]);
    fs::write(&path, &used[0]).expect("written");
    exporter.wait_for_everything().await;
    used.push(fs::read_to_string(&path).expect("there"));
    assert_eq!(exporter.sim.refresh_tokens(), used[1..], "the file has the newest");
    sign_in_again(&exporter).await;
    used.push(fs::read_to_string(&path).expect("there"));
    assert_eq!(exporter.sim.refresh_tokens(), used[2..]);

    exporter.sim.set_refresh_tokens(&[]); // an administrator revokes the sessions of the user
    exporter.sim.set_faults(parse(&["expired_token"]));
    exporter.wait_for_state("devices", "unauthorized").await;
    let words =
        ["AADSTS700082: the refresh token is no longer valid", "run `teams-rooms-exporter login` again"];
    exporter.wait_for_line(&words).await;
    let told = exporter.log().join("\n") + &exporter.get("/").await.1;
    assert!(used.iter().all(|token| !told.contains(token)), "a refresh token shows");

    exporter.sim.set_refresh_tokens(&["refresh-Again.Never-Log_This"]);
    fs::write(&path, "refresh-Again.Never-Log_This").expect("written");
    exporter.wait_for_state("devices", "ok").await;
    exporter.stop().await;
}

/// The simulated Graph takes no token again that was not asked for with the claims of its challenge, and with `cp1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claims_challenge_is_answered_once() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    assert_eq!(exporter.sim.tokens().len(), 1);
    exporter.sim.set_faults(parse(&["claims_challenge"]));
    exporter.wait_for_attempts().await;
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.state("contoso", "devices"), exporter.sim.tokens().len()), ("ok", 2));
    exporter.stop().await;
}

/// Ends TLS before the tenant, with a certificate of an authority that no system knows.
async fn start_tls(sim: &Sim, folder: &Path, names: &str) -> (SocketAddr, PathBuf) {
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority \
         -addext basicConstraints=critical,CA:TRUE",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 2 -extfile server.ext -out server.pem",
    ] {
        fs::write(folder.join("server.ext"), format!("subjectAltName={names}\n")).expect("written");
        openssl(folder, &line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem")).expect("PEM")];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("PEM");
    let server = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(server.expect("a key and its certificate")));
    let inner = sim.url().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, inner) = (acceptor.clone(), inner.clone());
            drop(spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(inner).await.expect("the tenant listens");
                drop(copy_bidirectional(&mut outside, &mut inside).await);
            }));
        }
    }));
    (address, folder.join("ca.pem"))
}

/// A proxy that leads everything to one address, and what it was asked for.
async fn start_proxy(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let noted = asked.clone();
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(spawn(pass_on(stream, to, noted.clone())));
        }
    }));
    (address, asked)
}

async fn pass_on(mut outside: TcpStream, to: SocketAddr, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = outside.read_u8().await else { return };
        head.push(byte);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let first = text.lines().next().unwrap_or_default().to_owned();
    let is_tunnel = first.starts_with("CONNECT ");
    asked.lock().expect("no test panics here").push(first);
    let mut inside = TcpStream::connect(to).await.expect("it listens");
    let begun = if is_tunnel {
        outside.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await
    } else {
        inside.write_all(&head).await
    };
    if begun.is_ok() {
        drop(copy_bidirectional(&mut outside, &mut inside).await);
    }
}

/// A file of one tenant in a cloud, with an authority of its own.
fn settings(cloud: &str, ca_file: &Path) -> Settings {
    Settings::new(&format!(
        "tenants:\n  - name: contoso\n    tenant_id: {TENANT_ID}\n    client_id: {CLIENT_ID}\n    \
         auth: {{ client_secret: {CLIENT_SECRET} }}\n    cloud: {cloud}\n    ca_file: {}\n    \
         collectors: {{ places: {{ enabled: false }}, accounts: {{ enabled: false }} }}\n",
        ca_file.display()
    ))
}

/// Nobody here resolves Microsoft's names: they are reached through the proxy alone, and believed by `ca_file` alone. The
/// tenant grants each cloud tokens for its own Graph, and that takes no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_cloud_is_signed_in_to_through_a_proxy_with_a_private_authority() {
    let folder = tempfile::tempdir().expect("a folder");
    let sim = start_tenant(3, &[]).await;
    let clouds = [
        ("global", "login.microsoftonline.com", "graph.microsoft.com"),
        ("us_l4", "login.microsoftonline.us", "graph.microsoft.us"),
        ("us_l5", "login.microsoftonline.us", "dod-graph.microsoft.us"),
        ("china", "login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"),
    ];
    let names = clouds.map(|(_, login, graph)| format!("DNS:{login},DNS:{graph}")).join(",");
    let (tls, ca_file) = start_tls(&sim, folder.path(), &names).await;
    let (proxy, asked) = start_proxy(tls).await;
    let proxy = format!("http://{proxy}");
    for (cloud, login, graph) in clouds {
        asked.lock().expect("no test panics here").clear();
        let file = settings(cloud, &ca_file);
        let ended = Program::start_in(&file.line("check"), &[("HTTPS_PROXY", &proxy)]).end();
        assert_eq!(ended.code, Some(0), "{cloud}: {}{}", ended.out, ended.err);
        contains(&ended.out, &["sign-in ok", "TeamworkDevice.Read.All", "all is well"]);
        let asked = asked.lock().expect("no test panics here").clone();
        for host in [login, graph] {
            assert!(asked.iter().any(|line| line.starts_with(&format!("CONNECT {host}:443 "))), "{asked:?}");
        }
    }
    let file = settings("global", &ca_file);
    for (settings, environment) in [
        // Another authority, and no proxy for these names.
        (Settings::new(&without_ca(&file)), vec![("HTTPS_PROXY", &*proxy)]),
        (file, vec![("HTTPS_PROXY", &*proxy), ("NO_PROXY", "login.microsoftonline.com")]),
    ] {
        let count = || asked.lock().expect("no test panics here").len();
        let (ended, expects_tls) =
            (Program::start_in(&settings.line("check"), &environment), environment.len() == 1);
        let before = count();
        let ended = ended.end();
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        contains(&ended.out, &["sign-in FAILED", "ca_file"]);
        assert_eq!(ended.out.contains("TLS fails"), expects_tls, "{}", ended.out);
        assert_eq!(count() > before, expects_tls, "NO_PROXY counts");
    }
}

fn without_ca(settings: &Settings) -> String {
    let text = fs::read_to_string(settings.path()).expect("there");
    text.lines().filter(|line| !line.contains("ca_file")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn a_bad_authority_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    for (content, expected) in [("", "is empty"), ("no PEM", "has no certificate in PEM")] {
        fs::write(&path, content).expect("written");
        let ended = run(&settings("global", &path).line("check"), 2);
        contains(&ended.err, &["ca_file", "ca.pem", expected]);
    }
}

/// The token comes from this machine, whatever proxy there is; Graph goes through it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_identity_is_never_asked_for_by_proxy() {
    let sim = start_tenant(3, &[]).await;
    let (proxy, asked) =
        start_proxy(sim.url().trim_start_matches("http://").parse().expect("an address")).await;
    let (proxy, endpoint, root) = (format!("http://{proxy}"), format!("{}/msi/token", sim.url()), sim.url());
    let file = Settings::new(&format!(
        "tenants:\n  - name: contoso\n    tenant_id: {TENANT_ID}\n    auth: {{ managed_identity: {{}} }}\n    \
         cloud: {{ authority: {root}, graph: {root} }}\n"
    ));
    let environment =
        [("HTTP_PROXY", &*proxy), ("IDENTITY_ENDPOINT", &*endpoint), ("IDENTITY_HEADER", IDENTITY_HEADER)];
    let ended = Program::start_in(&file.line("check --log.level debug"), &environment).end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    contains(&ended.out, &["sign-in ok: by managed identity", CLIENT_ID, "sources are healthy"]);
    let asked = asked.lock().expect("no test panics here").clone();
    assert!(asked.iter().any(|line| line.contains("/beta/teamwork/devices")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("/msi/token")), "{asked:?}");
}

#[test]
fn login_says_for_whom_it_is() {
    let tenant = |name: &str, auth: &str| {
        format!("  - {{ name: {name}, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}, auth: {auth} }}\n")
    };
    let (secret, user) = ("{ client_secret: hunter2 }", "{ delegated: { refresh_token_file: refresh } }");
    let one = Settings::new(&format!("tenants:\n{}", tenant("a", secret)));
    contains(&run(&one.line("login"), 1).err, &["no tenant signs in for a user", "refresh_token_file"]);
    let several = format!("tenants:\n{}{}{}", tenant("a", user), tenant("b", user), tenant("c", secret));
    let several = Settings::new(&several);
    contains(&run(&several.line("login"), 1).err, &["choose one with --tenant"]);
    contains(&run(&several.line("login --tenant c"), 1).err, &["the tenant c signs in another way"]);
    contains(&run(&several.line("login --tenant d"), 1).err, &["no tenant d"]);
}

/// No one can be reached: each means says so, and what may help.
#[test]
fn login_says_what_fails() {
    let root = "http://127.0.0.1:1";
    let file = Settings::new(&format!(
        "tenants:\n  - name: contoso\n    tenant_id: {TENANT_ID}\n    client_id: {CLIENT_ID}\n    \
         auth: {{ delegated: {{ refresh_token_file: refresh }} }}\n    cloud: {{ authority: {root}, graph: {root} }}\n"
    ));
    contains(&run(&file.line("login"), 1).out, &["sign-in FAILED", "refused or reset", "HTTPS_PROXY"]);
}
