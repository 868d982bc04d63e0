//! Until a release exists, no page has a command that fetches one: it would end in "not found".

use std::fs;
use std::path::{Path, PathBuf};

/// Addresses of a release, and the commands that fetch one.
const OF_A_RELEASE: [&str; 10] = [
    "releases/download",
    "releases/latest",
    "oci://ghcr.io",
    "docker pull ghcr.io",
    "docker run ghcr.io",
    "?ref=v",
    "apt install teams-rooms-exporter",
    "apt-get install teams-rooms-exporter",
    "dnf install teams-rooms-exporter",
    "cargo install teams-rooms-exporter",
];

#[test]
fn pages_tell_to_build_from_source_until_there_is_a_release() {
    if is_released(&read(&root().join("CHANGELOG.md"))) {
        return;
    }
    let pages = pages();
    assert!(pages.iter().any(|page| page.ends_with("deploy/README.md")), "{pages:?}");
    let wrong: Vec<String> = pages.iter().flat_map(|page| fetches(page, &read(page))).collect();
    assert!(wrong.is_empty(), "there is no release yet:\n{}", wrong.join("\n"));
    assert!(read(&root().join("deploy/README.md")).contains("from source"));
}

#[test]
fn a_command_that_fetches_a_release_is_found() {
    let page = Path::new("page.md");
    let text =
        "Build it.\n    helm install rooms oci://ghcr.io/teams-rooms-exporter/charts/teams-rooms-exporter\n";
    assert_eq!(fetches(page, text).len(), 1);
    assert_eq!(fetches(page, "docker build -t teams-rooms-exporter .").len(), 0);
    assert!(is_released("# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-12-01\n"));
    assert!(!is_released("# Changelog\n\n## Unreleased\n"));
}

/// A version has a date in the changelog when it is tagged (`deploy/release` demands it).
fn is_released(changelog: &str) -> bool {
    let versions = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    versions.filter_map(|title| title.split_once(" - ")).any(|(_, date)| date.starts_with("20"))
}

fn fetches(page: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().zip(1..);
    let wrong = lines.filter(|(line, _)| OF_A_RELEASE.iter().any(|part| line.contains(part)));
    wrong.map(|(line, number)| format!("{}:{number}: {line}", page.display())).collect()
}

/// Every page for users, in the root, docs/ and deploy/. The changelog and the page for contributors describe releases to come.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut directories = vec![root().join("docs"), root().join("deploy"), root().join("dashboards")];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("readable"));
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type().expect("known"));
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|it| it == "md" || it == "txt") {
                pages.push(path);
            }
        }
    }
    pages
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a page")
}
