//! A web configuration is taken or refused in words; no refusal shows a hash.

use std::sync::OnceLock;

use teams_rooms_exporter::config::web_config::WebConfig;

use super::{Folder, check_refusal};

/// The guide of Prometheus has it: of `test`.
const HASH: &str = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay";

pub(crate) fn corpus() -> Vec<Vec<u8>> {
    let tls = "tls_server_config:\n  cert_file: certificate.pem\n  key_file: certificate.key\n";
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: certificate.pem\n  \
                   client_allowed_sans: [prometheus.example]\n  min_version: TLS12\n  max_version: TLS13\n  \
                   cipher_suites: [TLS_AES_128_GCM_SHA256]\n  curve_preferences: [X25519]\n";
    let headers = "http_server_config:\n  http2: true\n  headers:\n    X-Frame-Options: deny\n    \
                   Strict-Transport-Security: max-age=1\n";
    let users = format!("basic_auth_users:\n  ann: {HASH}\n  bob: {HASH}\n");
    let limit = "rate_limit:\n  interval: 100ms\n  burst: 20\n";
    let whole = format!("{tls}{clients}{headers}{users}{limit}");
    [tls, headers, &users, limit, &whole].map(|text| text.as_bytes().to_vec()).to_vec()
}

pub(crate) fn run(input: &[u8]) {
    static FOLDER: OnceLock<Folder> = OnceLock::new();
    let file = FOLDER.get_or_init(Folder::new).write(input);
    if let Err(error) = WebConfig::load(&file) {
        let places = ["ann", "bob"].map(|user| format!("\n  {user}: {HASH}\n"));
        check_refusal(input, &error.to_string(), HASH, &[&places[0], &places[1]]);
    }
}
