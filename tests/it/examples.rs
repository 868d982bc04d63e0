//! The configuration on every page is one that the program, Prometheus or Kubernetes would take.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use teams_rooms_exporter::config::web_config::WebConfig;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;
use teams_rooms_exporter::{cli, config};

use crate::book::{Page, pages};
use crate::exporter::INTAKE_SECRET;

/// Files that examples name, and what stands in for them: a fixture of `tests/config`, or a text.
const FILES: [(&str, Content); 9] = [
    ("/run/secrets/graph", Content::Text("a-secret")),
    ("/run/secrets/intake", Content::Text(INTAKE_SECRET)),
    ("/etc/exporter/cert.pem", Content::Fixture("certificate.pem")),
    ("/etc/exporter/key.pem", Content::Fixture("certificate.key")),
    ("/etc/exporter/proxy-ca.pem", Content::Fixture("certificate.pem")),
    ("/etc/teams-rooms-exporter/cert.pem", Content::Fixture("certificate.pem")),
    ("/etc/teams-rooms-exporter/key.pem", Content::Fixture("certificate.key")),
    ("/var/run/secrets/azure/tokens/azure-identity-token", Content::Text("a.signed.token")),
    ("/var/lib/", Content::Missing),
];

enum Content {
    Text(&'static str),
    Fixture(&'static str),
    /// Written later by a command.
    Missing,
}

/// The reader of a block of YAML.
#[derive(Debug, PartialEq)]
enum Subject {
    Exporter,
    /// Some keys of one tenant.
    Tenant,
    Web,
    /// A part of the configuration without tenants.
    Process,
    Prometheus,
    Rules,
    Kubernetes,
    /// Alertmanager or an OpenTelemetry Collector; tests/proof/alertmanager and tests/proof/otlp try those of the pages.
    Receiver,
}

/// The keys at the top of a block, and their subject.
const SUBJECTS: [(&str, Subject); 16] = [
    ("tenants", Subject::Exporter),
    ("auth", Subject::Tenant),
    ("intake", Subject::Tenant),
    ("privacy", Subject::Tenant),
    ("collectors", Subject::Tenant),
    ("metrics", Subject::Process),
    ("tls_server_config", Subject::Web),
    ("basic_auth_users", Subject::Web),
    ("scrape_configs", Subject::Prometheus),
    ("rule_files", Subject::Prometheus),
    ("groups", Subject::Rules),
    ("record", Subject::Rules),
    ("alert", Subject::Rules),
    ("apiVersion", Subject::Kubernetes),
    ("receivers", Subject::Receiver),
    ("route", Subject::Receiver),
];

/// The first key of a block decides.
fn subject(yaml: &str) -> Option<&'static Subject> {
    let mut lines = yaml.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = lines.next()?.trim_start_matches("- ").split(':').next()?;
    SUBJECTS.iter().find(|(name, _)| *name == key).map(|(_, subject)| subject)
}

/// Every block of YAML on every page: what the exporter reads goes through its parser, the rest is YAML of a known kind.
#[test]
fn every_configuration_on_a_page_is_taken() {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["exporter", "teams-rooms-exporter"] {
        std::fs::create_dir(folder.path().join(name)).expect("made"); // below /var/lib in the examples
    }
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for page in pages() {
        if let Some(rooms) = page.blocks().into_iter().find(|block| block.language == "csv") {
            std::fs::write(folder.path().join("rooms.csv"), rooms.text).expect("written");
        }
        for block in page.blocks().into_iter().filter(|block| block.language == "yaml") {
            let Some(subject) = subject(&block.text) else {
                wrong.push(format!("{}: unknown configuration:\n{}", page.path, block.text));
                continue;
            };
            seen.insert(format!("{subject:?}"));
            if let Err(error) = check(subject, &block.text, folder.path()) {
                wrong.push(format!("{}: {error}:\n{}", page.path, block.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 5, "only {seen:?} are shown");
}

fn check(subject: &Subject, yaml: &str, folder: &Path) -> Result<(), String> {
    match subject {
        Subject::Exporter => load(yaml, folder),
        Subject::Process => load(&(tenant_of("") + yaml), folder),
        Subject::Tenant => one_tenant_each(yaml).iter().try_for_each(|yaml| load(yaml, folder)),
        Subject::Web => load_web(yaml, folder),
        Subject::Prometheus | Subject::Rules | Subject::Kubernetes | Subject::Receiver => {
            serde_saphyr::from_str::<Value>(yaml).map(drop).map_err(|error| error.to_string())
        }
    }
}

/// A tenant around the keys; each further example of `auth` makes another tenant.
fn one_tenant_each(yaml: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    for line in yaml.lines() {
        let is_next = line.starts_with("auth") && parts.last().is_some_and(|part| !part.is_empty());
        if is_next {
            parts.push(String::new());
        }
        let part = parts.last_mut().expect("there is always one");
        writeln!(part, "    {line}").expect("memory");
    }
    parts.iter().map(|keys| tenant_of(keys)).collect()
}

fn tenant_of(keys: &str) -> String {
    let id = "    client_id: 22222222-3333-4444-8555-666666666666\n";
    let id = if keys.contains("managed_identity") { "" } else { id };
    let auth = if keys.contains("    auth") { "" } else { "    auth: { client_secret: x }\n" };
    format!(
        "tenants:\n  - name: contoso\n    tenant_id: 11111111-2222-4333-8444-555555555555\n{id}{auth}{keys}"
    )
}

fn load(yaml: &str, folder: &Path) -> Result<(), String> {
    let path = folder.join("exporter.yaml");
    std::fs::write(&path, with_files(yaml, folder)).expect("written");
    let args = cli::ServeArgs { config: cli::ConfigArgs { file: Some(path) }, ..cli::ServeArgs::default() };
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    config::load(&args, &|_| None, &names).map(drop).map_err(|error| error.to_string())
}

/// The example with paths of files that are there.
fn with_files(yaml: &str, folder: &Path) -> String {
    FILES.iter().enumerate().fold(yaml.to_owned(), |yaml, (number, (path, content))| {
        let ours = match content {
            Content::Fixture(name) => format!("{}/tests/config/{name}", env!("CARGO_MANIFEST_DIR")),
            Content::Text(text) => {
                let file = folder.join(number.to_string());
                std::fs::write(&file, text).expect("written");
                file.display().to_string()
            }
            Content::Missing => format!("{}/", folder.display()),
        };
        yaml.replace(path, &ours)
    })
}

fn load_web(yaml: &str, folder: &Path) -> Result<(), String> {
    let fixture = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name))
            .expect("a fixture")
    };
    for (name, content) in [
        ("server.pem", "certificate.pem"),
        ("server.key", "certificate.key"),
        ("clients.pem", "certificate.pem"),
    ] {
        std::fs::write(folder.join(name), fixture(content)).expect("written");
    }
    let path = folder.join("web.yml");
    let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
    std::fs::write(&path, yaml.replace("$2y$10$...", hash)).expect("written");
    WebConfig::load(&path).map(drop).map_err(|error| error.to_string())
}

/// The configuration reference shows each key that there is.
#[test]
fn the_configuration_reference_shows_every_key() {
    let pages = pages();
    let reference: &Page = pages.iter().find(|page| page.path == "docs/configuration.md").expect("the page");
    let blocks = reference.blocks().into_iter().filter(|block| block.language == "yaml");
    let shown: BTreeSet<String> = blocks.flat_map(|block| keys(&block.text)).collect();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good.yaml");
    for key in keys(&std::fs::read_to_string(good).expect("a readable file")) {
        assert!(shown.contains(&key), "docs/configuration.md shows no use of the setting `{key}`");
    }
}

/// The keys of a YAML text, those in braces too.
fn keys(yaml: &str) -> Vec<String> {
    let lines = yaml.lines().map(|line| line.split_once('#').map_or(line, |(yaml, _)| yaml));
    let words = lines.flat_map(|line| line.split(['{', ',', ' '])).filter_map(|word| word.strip_suffix(':'));
    words.filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(str::to_owned).collect()
}

/// Rules, dashboards and pages know the exporter by one job.
#[test]
fn there_is_one_job_name() {
    let files =
        ["alerts/prometheus.yml", "deploy/compose/prometheus.yml"].map(|path| (path.to_owned(), read(path)));
    let all = pages().into_iter().map(|page| (page.path, page.text)).chain(files);
    let mut names = BTreeSet::new();
    for (path, text) in all {
        let jobs = text.split("job_name:").skip(1).filter_map(|rest| rest.split_whitespace().next());
        names.extend(jobs.map(|name| (name.trim_end_matches([',', '}']).to_owned(), path.clone())));
    }
    assert!(names.len() > 5, "{names:?}");
    // With several tenants, a second job scrapes the series of the process; its name has the same beginning.
    let other: Vec<_> = names.iter().filter(|(name, _)| !name.starts_with("teams-rooms")).collect();
    assert!(other.is_empty(), "{other:?}");
}

/// A demo, the container of the install page and Compose can run on one machine at the same time.
#[test]
fn demo_container_and_compose_take_different_ports() {
    // `127.0.0.1:10164:10064`, or with a variable `127.0.0.1:${PORT:-10074}:10064`.
    let published = |text: &str| -> BTreeSet<u16> {
        let parts = text.split("127.0.0.1:").skip(1).map(|rest| {
            rest.split_once(":-").filter(|_| rest.starts_with('$')).map_or(rest, |(_, rest)| rest)
        });
        parts.filter_map(|rest| rest.split([':', '}']).next()?.parse().ok()).collect()
    };
    let demo: BTreeSet<u16> =
        [cli::DEFAULT_PORT, cli::DEFAULT_SIMULATE_PORT, cli::DEFAULT_DEMO_INTAKE_PORT].into_iter().collect();
    let (container, compose) = (published(&read("docs/install.md")), published(&read("deploy/compose.yaml")));
    assert!(
        demo.len() == 3 && container.len() == 2 && compose.len() >= 4,
        "{demo:?} {container:?} {compose:?}"
    );
    for (one, other) in [(&demo, &container), (&demo, &compose), (&container, &compose)] {
        assert!(one.is_disjoint(other), "{one:?} and {other:?} collide");
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}
