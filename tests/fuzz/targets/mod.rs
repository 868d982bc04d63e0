//! One target for each door that strangers or careless hands reach. Each goes through what the product itself calls.

/// Answers of Graph, written without the tenant's data.
pub(crate) mod capture;
/// The configuration file.
pub(crate) mod configuration;
/// What Graph and sign-in answer, read by every collector.
pub(crate) mod graph;
/// What Microsoft's portals push.
pub(crate) mod intake;
/// Headers and proxies, out of the environment.
pub(crate) mod otlp_headers;
/// Certificates and keys.
pub(crate) mod pem;
/// Paths, queries and what scrapers accept.
pub(crate) mod requests;
/// The table of rooms.
pub(crate) mod rooms_file;
/// Answers of sign-in.
pub(crate) mod token;
/// The web configuration file.
pub(crate) mod web_configuration;

use std::path::{Path, PathBuf};

/// A folder with the files that configurations name, and one that is written anew for each input.
struct Folder(tempfile::TempDir);

impl Folder {
    /// With the files of `tests/config` beside.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in NAMED {
            std::fs::copy(configurations().join(name), folder.path().join(name)).expect("copied");
        }
        Self(folder)
    }

    fn write(&self, content: &[u8]) -> PathBuf {
        let file = self.0.path().join("file.yaml");
        std::fs::write(&file, content).expect("written");
        file
    }
}

/// The folder of the configurations, for whoever drives the targets: this package, or `fuzz/` in it.
fn configurations() -> PathBuf {
    let mut folders =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("tests/config"));
    folders.find(|folder| folder.is_dir()).expect("the folder of the cases")
}

const NAMED: [&str; 5] = ["rooms.csv", "secret", "intake_secret", "certificate.pem", "certificate.key"];

/// A refusal is told in words of bounded length, and never with a secret that stood nowhere but in these places.
#[track_caller]
fn check_refusal(input: &[u8], told: &str, secret: &str, places: &[&str]) {
    assert!(!told.is_empty() && told.len() < 8 * 1024, "{} bytes of message", told.len());
    let elsewhere = |text: String, place: &&str| text.replace(place, "");
    let rest = places.iter().fold(String::from_utf8_lossy(input).into_owned(), elsewhere);
    assert!(rest.contains(secret) || !told.contains(secret), "a secret shows: {told}");
}
