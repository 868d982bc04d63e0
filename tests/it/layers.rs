//! Imports run one way, some words stay out of some modules, every file says what it is for.
//!
//! The source is read as text: comments and test modules do not count, `use` trees are spelled out, `super` is
//! resolved. The map in `src/lib.rs` says why each rule is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module with what it may import of ours: whole modules, or one item of one. Every entry stands on earlier
/// rows, so the imports cannot form a circle.
const LAYERS: [(&str, &[&str]); 30] = [
    ("spelling", &[]),
    ("input", &[]),
    ("worker", &[]),
    ("platform", &[]),
    ("proxy", &[]),
    ("capture", &["platform"]),
    ("model", &["spelling"]),
    ("sim", &[]),
    ("cli", &["sim::Profile"]),
    ("logging", &["input"]),
    ("clock", &["model::Timestamp"]),
    ("stats", &["model::Timestamp"]),
    ("store", &["model", "platform"]),
    ("rooms_file", &["input", "model::rooms_file", "platform"]),
    ("certificate", &["input", "model::Timestamp"]),
    ("config", &["certificate", "cli", "input", "model", "proxy", "rooms_file", "spelling"]),
    ("graph", &["certificate", "clock", "input", "platform", "proxy", "stats", "worker", "model::Timestamp"]),
    ("collectors", &["graph", "input", "model"]),
    ("metrics", &["model", "stats"]),
    ("serve", &["config::Error", "config::Secret", "config::web_config", "metrics", "model"]),
    ("poll", &["clock", "collectors", "config::Enabled", "graph", "model", "rooms_file", "stats", "store"]),
    (
        "intake",
        &[
            "clock",
            "collectors::incidents",
            "config::Credential",
            "config::Secret",
            "config::check_intake",
            "model",
            "poll::UnknownValues",
            "serve::bucket",
            "serve::intake::Push",
            "stats",
            "store",
        ],
    ),
    ("keep", &["clock", "model", "stats", "store"]),
    ("observe", &["clock", "model", "store"]),
    ("render", &["clock", "metrics", "model", "store"]),
    (
        "otlp",
        &[
            "clock",
            "config::Secret",
            "config::otlp",
            "logging",
            "metrics",
            "model::Timestamp",
            "model::memory",
            "stats",
        ],
    ),
    (
        "app",
        &[
            "clock",
            "collectors",
            "config",
            "graph",
            "intake",
            "keep",
            "metrics",
            "model",
            "observe",
            "otlp",
            "poll",
            "render",
            "rooms_file",
            "serve",
            "stats",
            "store",
            "worker",
        ],
    ),
    (
        "commands",
        &[
            "app",
            "capture",
            "cli",
            "clock",
            "collectors",
            "config",
            "graph",
            "input",
            "metrics",
            "model",
            "poll",
            "stats",
            "store",
        ],
    ),
    (
        "main",
        &[
            "app", "cli", "clock", "commands", "config", "input", "logging", "metrics", "model", "otlp",
            "platform", "sim",
        ],
    ),
    ("lib", &[]),
];

/// What does I/O, reads a clock or starts something.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::io::stdout",
    "std::io::stderr",
    "std::process",
    "std::thread",
    "tokio",
    "reqwest",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
];

/// One file of ours, without comments and test modules.
struct File {
    /// From the root of the repository.
    path: String,
    /// The module path below the crate: `["graph", "batch"]`.
    module: Vec<String>,
    code: String,
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for file in product() {
        let own = file.module.first().expect("a file is in a module").as_str();
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == own) else {
            wrong.push(format!(
                "{}: the module `{own}` is new here: give it a row in LAYERS, above every module that imports it",
                file.path
            ));
            continue;
        };
        for path in ours(&file) {
            let is_own = path.split("::").next() == Some(own);
            if !is_own && !allowed.iter().any(|prefix| is_below(&path, prefix)) {
                wrong.push(format!(
                    "{}: `{own}` imports `{path}`, but may know only [{}]. Move what it needs below both, or hand \
                     it in as an argument; if the edge is right, add it to LAYERS and say why in the commit",
                    file.path,
                    allowed.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    for (row, (module, allowed)) in LAYERS.iter().enumerate() {
        for entry in *allowed {
            let name = entry.split("::").next().unwrap_or_default();
            let below = LAYERS.iter().take(row).any(|(earlier, _)| *earlier == name);
            assert!(
                below,
                "LAYERS: `{module}` may import `{entry}` only if `{name}` stands in an earlier row"
            );
        }
    }
}

#[test]
fn model_and_metrics_are_pure() {
    let pure = |file: &File| ["model", "metrics"].contains(&file.module.first().map_or("", String::as_str));
    let mut wrong = Vec::new();
    for file in product().into_iter().filter(pure) {
        for path in paths(&file.code) {
            if IMPURE.iter().any(|word| is_below(&path, word) || path.ends_with(&format!("::{word}"))) {
                wrong.push(format!(
                    "{}: `{path}` does I/O or reads a clock. `model` and `metrics` are pure, so that a test needs \
                     only data: take what it gives as an argument",
                    file.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Test modules count here: a shared constant in a test hides a misreading just as well.
#[test]
fn the_simulated_tenant_shares_nothing_with_the_product() {
    let mut wrong = Vec::new();
    for path in files("src").into_iter().filter(|path| path.starts_with("src/sim/")) {
        let module = module(&path);
        let file = File { code: uncommented(&read(&path)), path, module };
        for found in ours(&file).iter().filter(|found| !is_below(found, "sim")) {
            wrong.push(format!(
                "{}: `{found}`. The simulated tenant is written from Microsoft's documentation alone: if it shared \
                 code with the product, a field misread there would be wrong on both sides and every test would \
                 still pass. Write it anew in src/sim",
                file.path
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tests may: they run on Linux.
#[test]
fn one_module_knows_the_operating_system() {
    let words = ["std::os::", "cfg(unix", "cfg(windows", "target_os", "tokio::signal"];
    let mut wrong = Vec::new();
    for file in product().iter().filter(|file| !file.path.starts_with("src/platform/")) {
        for word in words.iter().filter(|word| file.code.contains(**word)) {
            wrong.push(format!(
                "{}: `{word}`. What differs between Unix and Windows has a function in both halves of src/platform",
                file.path
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in files("src").into_iter().chain(files("tests")) {
        let first = read(&path).lines().next().unwrap_or_default().to_owned();
        let says = first.strip_prefix("//! ").is_some_and(|text| text.len() > 10);
        assert!(
            says,
            "{path} opens with {first:?}. Let its first line be `//! ` and a sentence: what the file is for"
        );
    }
}

#[test]
fn paths_are_found_as_rust_means_them() {
    #[track_caller]
    fn check(module: &[&str], code: &str, expected: &[&str]) {
        let module = module.iter().map(|&part| part.to_owned()).collect();
        let code = without_tests(&uncommented(code));
        let file = File { path: String::new(), module, code };
        assert_eq!(ours(&file), expected, "{}", file.code);
    }
    check(
        &["app"],
        "use crate::graph::{self, Client, page::{Page, shape}};",
        &["graph", "graph::Client", "graph::page::Page", "graph::page::shape"],
    );
    check(&["app"], "use crate::{\n    model::State,\n    poll as asking,\n};", &["model::State", "poll"]);
    check(
        &["app"],
        "fn f() -> crate::model::Timestamp { crate::clock::now::<u8>() }",
        &["model::Timestamp", "clock::now"],
    );
    check(&["app"], "use super::poll;\nuse self::inner;", &["poll"]);
    check(&["graph", "batch"], "use super::Client;\nuse super::super::poll;", &["graph::Client", "poll"]);
    check(&["main"], "use teams_rooms_exporter::{logging, sim};", &["logging", "sim"]);
    check(&["sim"], "pub(in crate::sim) fn f() {} // crate::graph\n/// [`crate::poll`]", &["sim"]);
    check(
        &["sim"],
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::app;\n}\nuse crate::poll;",
        &["poll"],
    );
}

/// Every source file of the product, without files of tests.
fn product() -> Vec<File> {
    let is_test = |path: &String| path.ends_with("/tests.rs") || path.contains("/tests/");
    let file = |path: String| {
        let code = without_tests(&uncommented(&read(&path)));
        File { module: module(&path), code, path }
    };
    files("src").into_iter().filter(|path| !is_test(path)).map(file).collect()
}

/// The Rust files below a folder, from the root of the repository.
fn files(folder: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root).expect("below the root").display().to_string());
            }
        }
    }
    assert!(!found.is_empty(), "no Rust file below {folder}");
    found.sort();
    found
}

fn read(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).expect("a readable file")
}

/// `src/graph/batch.rs` is `graph::batch`, `src/graph/mod.rs` is `graph`.
fn module(path: &str) -> Vec<String> {
    let parts = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    parts.split('/').map(str::to_owned).collect()
}

fn uncommented(text: &str) -> String {
    let code = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.collect::<Vec<_>>().join("\n")
}

/// Leaves test modules out. They end at the first brace in the first column, as rustfmt has it.
fn without_tests(code: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{'));
        if opens_tests {
            lines.find(|line| *line == "}");
        } else {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// The paths that lead into our crate, from its root.
fn ours(file: &File) -> Vec<String> {
    paths(&file.code).iter().filter_map(|path| from_root(&file.module, path)).collect()
}

fn from_root(module: &[String], path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("teams_rooms_exporter::")) {
        return Some(rest.to_owned());
    }
    let mut rest = path;
    let mut up = 0;
    while let Some(above) = rest.strip_prefix("super::") {
        (rest, up) = (above, up + 1);
    }
    let depth = module.len().checked_sub(up).filter(|_| up > 0)?;
    let parts = module.iter().take(depth).map(String::as_str).chain([rest]);
    Some(parts.collect::<Vec<_>>().join("::"))
}

/// Whether a path is this one or leads on from it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path of at least two parts, with the trees of `use` spelled out.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(is_word) {
        let tail = rest.get(start..).unwrap_or_default();
        rest = tree(tail, "", &mut found);
    }
    found.retain(|path| path.contains("::"));
    found
}

/// Reads one path or `use` tree at the start of `code`; gives what follows it.
fn tree<'c>(code: &'c str, before: &str, found: &mut Vec<String>) -> &'c str {
    let (word, rest) = code.split_at(code.find(|c| !is_word(c)).unwrap_or(code.len()));
    let path = match (before, word) {
        ("", word) => word.to_owned(),
        (before, "self") => before.to_owned(),
        (before, word) => format!("{before}::{word}"),
    };
    let Some(below) = rest.strip_prefix("::") else {
        found.push(path);
        return rest;
    };
    if below.starts_with(is_word) {
        return tree(below, &path, found);
    }
    let Some(mut group) = below.strip_prefix('{') else {
        found.push(path); // `::<T>` and `::*`
        return below;
    };
    loop {
        group = group.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = group.strip_prefix('}') {
            return after;
        }
        if !group.starts_with(is_word) {
            return group;
        }
        group = tree(group, &path, found);
        if let Some(renamed) = group.strip_prefix(" as ") {
            group = renamed.trim_start_matches(is_word);
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
