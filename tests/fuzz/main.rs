//! Hostile input at every door: each target gets a corpus, mutated by seed, and must neither panic, hang nor lie.
//!
//! `cargo test --test fuzz` takes some seconds. `FUZZ_SECONDS=3600 FUZZ_SEED=7 cargo test --test fuzz graph` goes on.
//! What fails is written to a file; put into `found/<target>` it is tried first from then on. `fuzz/` in the root drives
//! the same targets by coverage. `docs/hardening.md` tells more.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail, and says what it did"
)]

/// Changes a corpus by seed.
mod mutate;
/// What is fuzzed.
mod targets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mutate::Mutator;
use targets::{
    capture, configuration, graph, intake, otlp_headers, pem, requests, rooms_file, token, web_configuration,
};

/// Of each target, where nobody says how long.
const USUAL_SECONDS: u64 = 2;

#[test]
fn graph_answers() {
    fuzz("graph", &graph::corpus(), graph::run);
}

#[test]
fn captures() {
    fuzz("capture", &capture::corpus(), capture::run);
}

#[test]
fn configurations() {
    fuzz("configuration", &configuration::corpus(), configuration::run);
}

#[test]
fn web_configurations() {
    fuzz("web_configuration", &web_configuration::corpus(), web_configuration::run);
}

#[test]
fn request_lines_and_headers() {
    fuzz("requests", &requests::corpus(), requests::run);
}

#[test]
fn pushes() {
    fuzz("intake", &intake::corpus(), intake::run);
}

#[test]
fn pem_files() {
    fuzz("pem", &pem::corpus(), pem::run);
}

#[test]
fn token_answers() {
    fuzz("token", &token::corpus(), token::run);
}

#[test]
fn rooms_files() {
    fuzz("rooms_file", &rooms_file::corpus(), rooms_file::run);
}

#[test]
fn otlp_headers_and_proxies() {
    fuzz("otlp_headers", &otlp_headers::corpus(), otlp_headers::run);
}

/// What once failed, then the corpus as it is, then what the mutator makes of both until the time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: fn(&[u8])) {
    let (seconds, seed) = (setting("FUZZ_SECONDS", USUAL_SECONDS), setting("FUZZ_SEED", 1));
    let corpus = [found(name), corpus.to_vec()].concat();
    assert!(corpus.len() > 2, "{name}: there is a corpus");
    let mut mutator = Mutator::new(&corpus, seed);
    let (began, mut tried) = (Instant::now(), 0_u64);
    for input in &corpus {
        attempt(name, input, target);
    }
    while began.elapsed() < Duration::from_secs(seconds) {
        attempt(name, mutator.next(), target);
        tried += 1;
    }
    println!("{name}: {} inputs and {tried} mutations of seed {seed} in {:?}", corpus.len(), began.elapsed());
}

/// Longer than any input takes, on a busy machine, too: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn attempt(name: &str, input: &[u8], target: fn(&[u8])) {
    let began = Instant::now();
    let outcome = std::panic::catch_unwind(|| target(input));
    if outcome.is_ok() && began.elapsed() < PATIENCE {
        return;
    }
    let file = std::env::temp_dir().join(format!("fuzz-{name}-{}", crc32fast::hash(input)));
    std::fs::write(&file, input).expect("written");
    let took = began.elapsed();
    panic!("{name} fails on {} after {took:?}; copy it to tests/fuzz/found/{name}/", file.display());
}

fn found(name: &str) -> Vec<Vec<u8>> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found").join(name))
        .into_iter()
        .map(|file| std::fs::read(file).expect("readable"))
        .collect()
}

/// The files of a folder in their order; none where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is said on the command line of a test")]
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().expect("a whole number"))
}
