//! The table of evidence has every member that the collectors read, and no other; `docs/evidence.md` is written from it.
//!
//! The collectors' sources are read as text: names that a reader of `Node` gets, names of camel case in any other place,
//! and lists of `$select`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use teams_rooms_exporter::collectors::evidence::{Evidence, RESOURCES};

use crate::golden::compare_text;

/// The readers of a `Node` that take the name of a member.
const READERS: [&str; 15] = [
    "has",
    "node",
    "nodes",
    "text",
    "word",
    "whole_text",
    "is_list",
    "texts",
    "id",
    "flag",
    "number",
    "count",
    "size",
    "time",
    "state",
];

/// Other names in camel case: values, members of requests, codes.
const NOT_MEMBERS: [&str; 17] = [
    "LockedOut",
    "availabilityViewInterval",
    "ErrorAccessDenied",
    "ErrorNoFreeBusyAccess",
    "collaborationBar",
    "healthOverviews",
    "ipPhone",
    "lowCostPhone",
    "sipAnalog",
    "subscribedSkus",
    "startTime",
    "endTime",
    "surfaceHub",
    "teamsDisplay",
    "teamsPanel",
    "teamsRoom",
    "touchConsole",
];

#[test]
fn the_table_has_every_member_that_is_read_and_no_other() {
    let mut wrong = Vec::new();
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for resource in RESOURCES {
        let parts = resource.members.iter().flat_map(|(member, _)| member.split('.'));
        files.entry(resource.file).or_default().extend(parts);
    }
    for path in sources() {
        let code = code(&path);
        let (read, literals) = (read_names(&code), literals(&code));
        let known = files.remove(path.as_str()).unwrap_or_default();
        for name in read.iter().filter(|name| !known.contains(name.as_str())) {
            wrong.push(format!("{path} reads `{name}`: give it a row in src/collectors/evidence.rs"));
        }
        let selected: BTreeSet<String> = literals.iter().flat_map(|literal| selected(literal)).collect();
        let is_there =
            |name: &&&str| literals.iter().any(|literal| literal == **name) || selected.contains(**name);
        for name in known.iter().filter(|name| !is_there(name)) {
            wrong.push(format!(
                "{path} does not read `{name}`: its row in src/collectors/evidence.rs is stale"
            ));
        }
    }
    wrong.extend(files.keys().map(|file| format!("{file}: there is no such file in src/collectors")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_way_to_read_a_member_is_found() {
    let code = r#"
        const FIELDS: &str = "id,osVersion,\
                              userId";
        const TABLE: [(&str, Kind); 1] = [("roomCameraHealth", Kind::Camera)];
        fn f(node: Node<'_>) {
            let degrees = |name| coordinates.and_then(|coordinates| coordinates.number(name));
            let mut word = |name, field| node.text(name);
            node.node("hardwareDetail").and_then(|detail| detail.word("model"));
            node.state(
                "healthStatus", "device.healthStatus", unknown);
            degrees("latitude"); word("activity", "presence.activity");
            let path = "/v1.0/subscribedSkus?$select=skuId,status&$top=5";
            client.pages("devices", "teamsRoom");
        }
    "#;
    let expected = [
        "activity",
        "hardwareDetail",
        "healthStatus",
        "id",
        "latitude",
        "model",
        "osVersion",
        "roomCameraHealth",
        "skuId",
        "status",
        "userId",
    ];
    assert_eq!(read_names(code).iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn the_page_of_evidence_is_that_of_the_table() {
    let mut page = String::from(HEAD);
    for resource in RESOURCES {
        let paths: Vec<String> = resource.paths.iter().map(|path| format!("`{path}`")).collect();
        let paths = if paths.is_empty() { "pushed to the exporter".to_owned() } else { paths.join(", ") };
        write!(page, "\n## {}\n\n{paths}\n\n| member | evidence |\n|---|---|\n", resource.name)
            .expect("memory");
        for (member, evidence) in resource.members {
            let evidence = match evidence {
                Evidence::SeenLive(which) => format!("seen live: {which}"),
                Evidence::PublicCapture(source) => format!("public capture: <{source}>"),
                Evidence::Documentation => "documentation only".to_owned(),
            };
            writeln!(page, "| `{member}` | {evidence} |").expect("memory");
        }
    }
    let count = |is: fn(&Evidence) -> bool| {
        RESOURCES.iter().flat_map(|resource| resource.members).filter(|(_, evidence)| is(evidence)).count()
    };
    let counted = format!(
        "{} members are seen live, {} are in a public capture, {} are known from documentation only.",
        count(|evidence| matches!(evidence, Evidence::SeenLive(_))),
        count(|evidence| matches!(evidence, Evidence::PublicCapture(_))),
        count(|evidence| matches!(evidence, Evidence::Documentation)),
    );
    compare_text("docs/evidence.md", &page.replace("COUNTED", &counted));
}

const HEAD: &str = "# Evidence

<!-- evidence: written by tests/it/evidence.rs -->
Each member of Microsoft Graph that the exporter reads, and how well it is known:

* *seen live*: in a capture that a user of the exporter shared
* *public capture*: in answers that others published, at the address in the table
* *documentation only*: on Microsoft's pages

COUNTED
To improve this page, [share a capture](sources.md#share-a-capture).
Members that all lists have (`value`, `@odata.nextLink`, `@odata.count`) and those of a batch are not listed.
";

/// The files of the collectors that read answers, from `src/collectors` on.
fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collectors");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.strip_prefix(&root).expect("below the root").display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if !["mod.rs", "wire.rs", "evidence.rs"].contains(&name.as_str())
                && !name.ends_with("tests.rs")
            {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 10, "{found:?}");
    found
}

/// A file without comments and tests.
fn code(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collectors").join(path);
    let text = std::fs::read_to_string(path).expect("a readable file");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The names of members that code reads.
fn read_names(code: &str) -> BTreeSet<String> {
    let readers: Vec<String> = READERS.iter().map(|name| format!(".{name}")).chain(closures(code)).collect();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (start, _) in code.match_indices('(') {
        let is_read = readers.iter().any(|reader| is_call(&code[..start], reader));
        let argument = code[start + 1..].trim_start().strip_prefix('"').filter(|_| is_read);
        names.extend(argument.and_then(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
    }
    let literals = literals(code);
    names.extend(literals.iter().filter(|literal| is_camel_case(literal)).cloned());
    names.extend(literals.iter().flat_map(|literal| selected(literal)));
    names.retain(|name| !NOT_MEMBERS.contains(&name.as_str()));
    names
}

/// Returns true if this reader is called; the name of a closure must not be the end of another name.
fn is_call(before: &str, reader: &str) -> bool {
    before.strip_suffix(reader).is_some_and(|rest| {
        reader.starts_with('.') || !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
    })
}

/// Closures that take the name of a member.
fn closures(code: &str) -> Vec<String> {
    let found = code.match_indices(" = |name").filter_map(|(at, _)| code[..at].split_whitespace().last());
    found.map(str::to_owned).collect()
}

/// The texts in quotes, lines that go on joined.
fn literals(code: &str) -> Vec<String> {
    let parts: Vec<&str> = code.split('"').collect();
    let joined = |text: &&str| text.split("\\\n").map(str::trim_start).collect::<String>();
    parts.iter().skip(1).step_by(2).map(joined).collect()
}

/// The names in a list of `$select`, alone or in a path.
fn selected(literal: &str) -> Vec<String> {
    let list = match literal.split_once("$select=") {
        Some((_, rest)) => rest.split('&').next().unwrap_or_default(),
        None if literal.contains(',') => literal,
        None => "",
    };
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
    let names: Vec<&str> = list.split(',').collect();
    if names.iter().all(|name| is_name(name)) {
        names.into_iter().map(str::to_owned).collect()
    } else {
        Vec::new()
    }
}

fn is_camel_case(literal: &str) -> bool {
    let is_inner_capital = |pair: &[u8]| matches!(pair, [before, after] if before.is_ascii_lowercase() && after.is_ascii_uppercase());
    literal.bytes().all(|b| b.is_ascii_alphabetic()) && literal.as_bytes().windows(2).any(is_inner_capital)
}
