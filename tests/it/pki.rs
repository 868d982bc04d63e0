//! A certificate authority for the tests, and a folder with what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, ClientBuilder, Identity};

/// The names that every server certificate has, so that a client may verify it.
const SERVER: [&str; 2] = ["127.0.0.1", "localhost"];

/// An authority; every one of them has the same name, so that only its key tells it from another.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key.
    pub(crate) fn sign(&self, names: &[&str]) -> (String, String) {
        self.sign_as(names, |_| {})
    }

    /// The same, long ago.
    pub(crate) fn sign_expired(&self, names: &[&str]) -> (String, String) {
        self.sign_as(names, |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1))
    }

    fn sign_as(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// A client's certificate, as reqwest has it.
    pub(crate) fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.sign(&[name]);
        Identity::from_pem(format!("{certificate}{key}").as_bytes()).expect("an identity")
    }

    /// Trusts this authority alone.
    pub(crate) fn trusted_by(&self, client: ClientBuilder) -> ClientBuilder {
        client.tls_certs_only([Certificate::from_pem(self.pem.as_bytes()).expect("a certificate")])
    }
}

/// A folder with `web.yml`, and the files that it names: `cert.pem`, `key.pem` and `ca.pem`.
pub(crate) struct WebFolder {
    folder: tempfile::TempDir,
    pub(crate) authority: Authority,
}

/// The section for TLS with the files of [`WebFolder`].
pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

impl WebFolder {
    pub(crate) fn new(web: &str) -> Self {
        let authority = Authority::new();
        let this = Self { folder: tempfile::tempdir().expect("a folder"), authority };
        this.renew_certificate();
        this.write("ca.pem", &this.authority.pem);
        this.write("web.yml", web);
        this
    }

    /// Replaces a file at once, as whoever renews certificates does.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, content).expect("written");
        fs::rename(&new, self.folder.path().join(name)).expect("renamed");
    }

    pub(crate) fn renew_certificate(&self) {
        let (certificate, key) = self.authority.sign(&SERVER);
        self.write("cert.pem", &certificate);
        self.write("key.pem", &key);
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn web(&self) -> PathBuf {
        self.path().join("web.yml")
    }
}
