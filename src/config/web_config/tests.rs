//! Every key, and each way to get it wrong.

use std::fs;

use tempfile::TempDir;

use super::*;

/// `password` at cost 4.
const HASH: &str = "$2y$04$abcdefghijklmnopqrstuuL6Z4Ed8DZ9FqqA1TL5mBRrcIl3wqSNK";

/// A folder with `cert.pem`, its `key.pem`, the `ca.pem` of clients, and things that are none of these.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = pair();
    for (name, content) in [
        ("cert.pem", cert.as_str()),
        ("key.pem", &key),
        ("ca.pem", &pair().0),
        ("other.pem", &pair().1),
        ("junk.pem", "-----BEGIN hunter2"),
    ] {
        fs::write(folder.path().join(name), content).expect("written");
    }
    folder
}

fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["exporter.example".to_owned()]).expect("made");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn load(folder: &TempDir, text: &str) -> Result<WebConfig, Error> {
    let path = folder.path().join("web.yml");
    fs::write(&path, text).expect("written");
    WebConfig::load(&path)
}

#[track_caller]
fn sound(text: &str) -> WebConfig {
    load(&folder(), text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The first line of the message, without the folder.
#[track_caller]
fn refused(text: &str, expected: &str) {
    let folder = folder();
    let error = load(&folder, text).map(|_| ()).expect_err(text).to_string();
    assert!(!error.contains("hunter2"), "a secret shows: {error}");
    let error = error.replace(&format!("{}/", folder.path().display()), "");
    assert_eq!(error.lines().next(), Some(expected), "{text}");
}

/// The same for what stands below `tls_server_config`, beside a certificate and its key.
#[track_caller]
fn refused_tls(line: &str, expected: &str) {
    refused(&format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  {line}\n"), expected);
}

fn sound_tls(lines: &str) -> Tls {
    sound(&format!("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{lines}"))
        .tls
        .expect("TLS")
}

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in
        ["", "tls_server_config: {}\n", "tls_server_config: { min_version: TLS13 }\n", "# only a remark\n"]
    {
        let config = sound(text);
        assert!(config.tls.is_none() && config.rate_limit.is_none(), "{text}");
        assert!(config.users.is_empty() && config.headers.is_empty(), "{text}");
    }
}

/// As in the toolkit.
#[test]
fn a_file_wins_over_what_stands_beside_it() {
    assert_eq!(sound_tls("  cert: hunter2\n  key: hunter2\n").certificate.cert.len(), 1);
    let lines =
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: hunter2\n  client_ca_file: ca.pem\n";
    assert!(sound_tls(lines).clients.is_some_and(|clients| clients.roots.is_some()));
}

#[test]
fn every_key_is_read() {
    let config = sound(&format!(
        "tls_server_config:
  cert_file: cert.pem
  key_file: key.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example, 10.1.2.3]
  min_version: TLS12
  max_version: TLS12
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384, X25519]
http_server_config:
  http2: true
  headers:
    Strict-Transport-Security: max-age=31536000
    X-Frame-Options: deny
    X-XSS-Protection: \"\"
basic_auth_users:
  prometheus: {HASH}
rate_limit:
  interval: 100ms
  burst: 20
"
    ));
    let tls = config.tls.expect("TLS");
    assert_eq!(tls.versions, [&rustls::version::TLS12]);
    assert!(!tls.own_order_first);
    let curves: Vec<_> = tls.provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(curves, [rustls::NamedGroup::secp384r1, rustls::NamedGroup::X25519]);
    let classic = tls.provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none());
    let classic: Vec<_> = classic.filter_map(|suite| suite.suite().as_str()).collect();
    assert_eq!(classic, ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]);
    let clients = tls.clients.expect("clients are asked");
    assert!(clients.required && clients.roots.is_some());
    assert_eq!(clients.allowed_sans, Some(vec!["prometheus.example".to_owned(), "10.1.2.3".to_owned()]));
    let headers: Vec<_> = config.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(headers, ["strict-transport-security", "x-frame-options"]);
    assert_eq!(config.users.keys().collect::<Vec<_>>(), ["prometheus"]);
    assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_millis(100), burst: 20 }));
}

#[test]
fn certificates_may_stand_in_the_file() {
    let (cert, key) = pair();
    let indented = |pem: &str| pem.replace("-----BEGIN", "    -----BEGIN").replace('\n', "\n    ") + "\n";
    let config =
        sound(&format!("tls_server_config:\n  cert: |\n{}  key: |\n{}", indented(&cert), indented(&key)));
    assert!(config.tls.is_some());
}

#[test]
fn each_policy_for_clients() {
    for (policy, ca, expected) in [
        ("NoClientCert", false, None),
        ("RequestClientCert", false, Some((false, false))),
        ("RequestClientCert", true, Some((false, false))),
        ("RequireAnyClientCert", false, Some((true, false))),
        ("RequireClientCert", false, Some((true, false))),
        ("VerifyClientCertIfGiven", true, Some((false, true))),
        ("RequireAndVerifyClientCert", true, Some((true, true))),
    ] {
        let ca = if ca { "  client_ca_file: ca.pem\n" } else { "" };
        let clients = sound_tls(&format!("  client_auth_type: {policy}\n{ca}")).clients;
        let found = clients.map(|clients| (clients.required, clients.roots.is_some()));
        assert_eq!(found, expected, "{policy}");
    }
}

#[test]
fn the_fingerprint_changes_with_every_file() {
    let folder = folder();
    let text = "tls_server_config: { cert_file: cert.pem, key_file: key.pem, client_ca_file: ca.pem, \
                client_auth_type: RequireAndVerifyClientCert }\n";
    let mut before = load(&folder, text).expect("sound").fingerprint;
    assert!(before == load(&folder, text).expect("sound").fingerprint, "nothing is new");
    let mut check = |text: &str| {
        let now = load(&folder, text).expect("sound").fingerprint;
        assert!(now != before);
        before = now;
    };
    fs::write(folder.path().join("ca.pem"), pair().0).expect("written");
    check(text);
    let (cert, key) = pair();
    fs::write(folder.path().join("cert.pem"), cert).expect("written");
    fs::write(folder.path().join("key.pem"), key).expect("written");
    check(text);
    check(&format!("{text}# a remark\n"));
}

#[test]
fn what_is_wrong_with_tls() {
    refused(
        "tls_server_config: { key_file: key.pem }",
        "web.yml:1:20: tls_server_config: `cert_file` is missing",
    );
    refused(
        "tls_server_config: { cert_file: cert.pem }",
        "web.yml:1:20: tls_server_config: `key_file` is missing",
    );
    refused(
        "tls_server_config: { client_auth_type: NoClientCert }",
        "web.yml:1:20: tls_server_config: `cert_file` is missing",
    );
    refused(
        "tls_server_config:\n  cert_file: absent.pem\n  key_file: key.pem\n",
        "web.yml:2:14: tls_server_config.cert_file: the file `absent.pem` does not exist",
    );
    refused(
        "tls_server_config:\n  cert_file: key.pem\n  key_file: key.pem\n",
        "web.yml:2:14: tls_server_config.cert_file: the file `key.pem` has no certificate in PEM (-----BEGIN CERTIFICATE-----)",
    );
    refused(
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: junk.pem\n",
        "web.yml:3:13: tls_server_config.key_file: the file `junk.pem` has a block in line 1 that is not \
         sound PEM; its first line is -----BEGIN CERTIFICATE-----, or has another label",
    );
    refused(
        "tls_server_config:\n  cert_file: cert.pem\n  key_file: other.pem\n",
        "web.yml:3:13: tls_server_config.key_file: the file `other.pem` is not the key of the certificate",
    );
    refused(
        "tls_server_config:\n  cert_file: cert.pem\n  key: hunter2\n",
        "web.yml:3:8: tls_server_config.key: has no private key in PEM (-----BEGIN PRIVATE KEY----- or \
         -----BEGIN RSA PRIVATE KEY-----)",
    );
    refused_tls(
        "client_auth_type: Require",
        "web.yml:4:21: tls_server_config.client_auth_type: `Require` is no policy; one of NoClientCert, \
         RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert",
    );
    refused_tls(
        "client_auth_type: RequireAndVerifyClientCert",
        "web.yml:4:21: tls_server_config.client_auth_type: whose certificates are good? Name the CA in client_ca_file",
    );
    refused_tls(
        "client_ca_file: ca.pem",
        "web.yml:4:19: tls_server_config.client_ca_file: nobody is asked for a certificate; set client_auth_type: \
         RequireAndVerifyClientCert",
    );
    refused_tls(
        "client_ca_file: key.pem\n  client_auth_type: RequireAndVerifyClientCert",
        "web.yml:4:19: tls_server_config.client_ca_file: the file `key.pem` has no certificate in PEM (-----BEGIN CERTIFICATE-----)",
    );
    for policy in ["NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven"] {
        refused_tls(
            &format!("client_auth_type: {policy}\n  client_allowed_sans: [a]"),
            "web.yml:5:24: tls_server_config.client_allowed_sans: a client may come without a certificate, and so \
             without a name; set client_auth_type: RequireAndVerifyClientCert",
        );
    }
}

#[test]
fn what_is_wrong_with_versions_ciphers_and_curves() {
    for version in ["TLS10", "TLS11"] {
        refused_tls(
            &format!("min_version: {version}"),
            &format!(
                "web.yml:4:16: tls_server_config.min_version: {version} is broken and not spoken here; write TLS12, \
                 which is the least"
            ),
        );
    }
    refused_tls(
        "max_version: 1.3",
        "web.yml:4:16: tls_server_config.max_version: `1.3` is no version; TLS12 or TLS13",
    );
    refused_tls(
        "min_version: TLS13\n  max_version: TLS12",
        "web.yml:5:16: tls_server_config.max_version: is below min_version",
    );
    refused_tls(
        "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
        "web.yml:4:19: tls_server_config.cipher_suites: `TLS_RSA_WITH_AES_128_CBC_SHA` is unknown or too weak to be \
         spoken here; one of TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, \
         TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, \
         TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    );
    refused_tls(
        "curve_preferences: [CurveP521]",
        "web.yml:4:23: tls_server_config.curve_preferences: `CurveP521` is not spoken here; one of X25519, CurveP256, \
         CurveP384",
    );
    refused_tls(
        "prefer_server_cipher_suites: perhaps",
        "web.yml:4:32: tls_server_config.prefer_server_cipher_suites: `perhaps` is neither true nor false",
    );
}

#[test]
fn what_is_wrong_with_the_rest() {
    refused("tls_config: {}", "web.yml:1:1: unknown key `tls_config`");
    refused("auth_excluded_paths: [/-/healthy]", "web.yml:1:1: unknown key `auth_excluded_paths`");
    refused(
        "http_server_config:\n  http2: 2\n",
        "web.yml:2:10: http_server_config.http2: `2` is neither true nor false",
    );
    refused(
        "http_server_config:\n  headers:\n    Server: me\n",
        "web.yml:3:13: http_server_config.headers: `Server` may not be set; only Content-Security-Policy, \
         Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
    );
    refused(
        "http_server_config:\n  headers:\n    X-Frame-Options: never\n",
        "web.yml:3:22: http_server_config.headers: X-Frame-Options is deny or sameorigin",
    );
    refused(
        "basic_auth_users:\n  a: hunter2\n",
        "web.yml:2:6: basic_auth_users: this is no whole bcrypt hash, which begins with $2; `htpasswd -nBC 10 NAME` makes \
         one of a password",
    );
    refused(
        "basic_auth_users:\n  a: $2y$10$short\n",
        "web.yml:2:6: basic_auth_users: this is no whole bcrypt hash, which begins with $2; `htpasswd -nBC 10 NAME` makes \
         one of a password",
    );
    refused(
        &format!("basic_auth_users:\n  a: {}\n", HASH.replace("$04$", "$17$")),
        "web.yml:2:6: basic_auth_users: a hash of cost 17 takes longer to verify than a scrape waits; the most is 16, 10 \
         is usual",
    );
    refused(
        &format!("basic_auth_users:\n  a: {}\n", HASH.replace("$04$", "$03$")),
        "web.yml:2:6: basic_auth_users: a hash of cost 3 is not a bcrypt hash; the least is 4",
    );
    refused(
        &format!("basic_auth_users:\n  \"a:b\": {HASH}\n"),
        "web.yml:2:10: basic_auth_users: a user's name has no colon and no control characters",
    );
    refused("rate_limit:\n  burst: 1\n", "web.yml:2:3: rate_limit: `interval` is missing, as in 100ms");
    refused("rate_limit:\n  interval: 1s\n", "web.yml:2:3: rate_limit: `burst` is missing, as in 20");
    refused(
        "rate_limit:\n  interval: 1s\n  burst: 0\n",
        "web.yml:3:10: rate_limit.burst: `0` is no number of requests, 1 or more",
    );
    refused(
        "rate_limit:\n  interval: 5\n  burst: 1\n",
        "web.yml:2:13: rate_limit.interval: `5` is no duration; write it like 30s, 2m, 1h30m, 7d or 250ms",
    );
    assert!(sound("rate_limit: { interval: 0, burst: 0 }\n").rate_limit.is_none());
}
