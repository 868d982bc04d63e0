//! The documentation: pages, links, anchors, commands, flags and names lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use teams_rooms_exporter::cli;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;

use crate::exporter::{Exporter, Scenario};
use crate::golden;

/// Dotted flags on our pages that belong to other programs.
const FOREIGN_FLAGS: [&str; 4] =
    ["--alertmanager.url", "--data.retention", "--storage.tsdb.path", "--storage.tsdb.retention.time"];

/// Directories whose files a page can name as a command.
const COMMAND_DIRECTORIES: [&str; 5] = ["tests/", ".ci/", "benches/", "deploy/", "target/tools/"];

/// One page of the documentation.
pub(crate) struct Page {
    /// Path from the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A fenced block of code.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Page {
    /// The fenced blocks of the page, without their indentation.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open): (Vec<Block>, Option<usize>) = (Vec::new(), None);
        for line in self.text.lines() {
            let indent = line.len() - line.trim_start().len();
            match (line.trim_start().strip_prefix("```"), open) {
                (Some(language), None) => {
                    blocks.push(Block { language: language.to_owned(), text: String::new() });
                    open = Some(indent);
                }
                (Some(_), Some(_)) => open = None,
                (None, Some(margin)) => {
                    let block = blocks.last_mut().expect("a block is open");
                    block.text.push_str(line.get(margin.min(indent)..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a code block has no end", self.path);
        blocks
    }

    /// The lines outside of code blocks.
    fn prose(&self) -> Vec<&str> {
        let mut in_block = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.trim_start().starts_with("```");
            in_block ^= fence;
            !fence && !in_block
        });
        lines.collect()
    }

    /// The texts between backticks.
    pub(crate) fn spans(&self) -> Vec<String> {
        let prose = self.prose().join("\n");
        let spans = prose.split('`').skip(1).step_by(2);
        spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The targets of all links and images.
    fn targets(&self) -> Vec<String> {
        let mut targets = Vec::new();
        for line in self.prose() {
            let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            let inline = plain.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            targets.extend(inline.map(str::to_owned));
            if let Some((_, target)) = plain.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
                targets.push(target.trim().to_owned());
            }
        }
        targets
    }

    /// The anchors of the headings, as GitHub and mdBook make them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose().into_iter().filter(|line| line.starts_with('#'));
        let numbered = headings.map(|heading| {
            let slug = slug(heading.trim_start_matches('#').trim());
            let earlier = counts.entry(slug.clone()).or_default();
            *earlier += 1;
            if *earlier == 1 { slug } else { format!("{slug}-{}", *earlier - 1) }
        });
        numbered.collect()
    }
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Every page that users read: the book, and the pages at the root and in `deploy`.
pub(crate) fn pages() -> Vec<Page> {
    let root_pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/README.md"];
    let mut paths: Vec<String> = root_pages.map(str::to_owned).into();
    for directory in ["docs", "docs/receivers"] {
        let entries = std::fs::read_dir(root().join(directory)).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        paths.extend(names.filter(|name| is_page(name)).map(|name| format!("{directory}/{name}")));
    }
    paths.sort();
    paths.into_iter().map(|path| Page { text: read(&path), path }).collect()
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}

fn page(path: &str) -> Page {
    Page { path: path.to_owned(), text: read(path) }
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for page in pages() {
        for target in page.targets() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(&page.path).parent().expect("a directory");
            let path = if file.is_empty() { PathBuf::from(&page.path) } else { folder.join(file) };
            if !root().join(&path).exists() {
                wrong.push(format!("{}: {target}: there is no {}", page.path, path.display()));
            } else if !anchor.is_empty() && !self::page(&path.to_string_lossy()).anchors().contains(anchor) {
                wrong.push(format!("{}: {target}: {} lacks this heading", page.path, path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn headings_become_anchors() {
    let text = "# A `for:`, and 2\n```sh\n# no heading\n```\n## The file\n## The file\n".to_owned();
    let anchors = Page { path: String::new(), text }.anchors();
    assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["a-for-and-2", "the-file", "the-file-1"]);
}

#[test]
fn the_summary_and_the_readme_list_every_page_of_the_book() {
    let listed = |path: &str, prefix: &str| -> BTreeSet<String> {
        let targets = page(path).targets().into_iter();
        targets
            .filter_map(|target| target.split('#').next()?.strip_prefix(prefix).map(str::to_owned))
            .filter(|target| is_page(target) && !target.starts_with(['.', '/']) && !target.contains(':'))
            .collect()
    };
    let book = pages().into_iter().filter_map(|page| page.path.strip_prefix("docs/").map(str::to_owned));
    let mut book: BTreeSet<String> = book.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed("docs/SUMMARY.md", ""), book, "left: docs/SUMMARY.md, right: docs/");
    // One row for the receivers.
    book.retain(|name| {
        name != "README.md" && (!name.starts_with("receivers/") || name == "receivers/README.md")
    });
    assert_eq!(listed("README.md", "docs/"), book, "left: README.md, right: docs/");
}

/// The first page of the book has the table of README.md.
#[test]
fn the_book_begins_with_the_table_of_documents() {
    let is_row = |line: &&str| line.starts_with('|');
    let readme = page("README.md").text;
    let (_, documents) = readme.split_once("## Documents\n").expect("the section");
    let rows = documents.lines().skip_while(|line| !is_row(line)).take_while(is_row);
    let table: Vec<String> = rows.map(|row| row.replace("](docs/", "](")).collect();
    let start = page("docs/README.md").text;
    let head = start.lines().take_while(|line| !is_row(line));
    let tail = start.lines().skip_while(|line| !is_row(line)).skip_while(is_row);
    let lines: Vec<&str> = head.chain(table.iter().map(String::as_str)).chain(tail).collect();
    golden::compare_text("docs/README.md", &(lines.join("\n") + "\n"));
}

#[test]
fn the_readme_is_short_and_begins_with_two_commands() {
    let readme = page("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; move what is longer to docs/");
    let first = readme.blocks().into_iter().next().expect("README.md has a block");
    let commands: Vec<&str> =
        first.text.lines().filter_map(|line| line.split(" #").next()).map(str::trim).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "tests/run"]);
}

/// Each command of ours in a block or between backticks is one that the program takes.
#[test]
fn every_command_on_a_page_is_one_that_works() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages() {
        let blocks = page.blocks().into_iter().filter(|block| ["sh", "text", ""].contains(&&*block.language));
        let joined = blocks.map(|block| block.text.replace("\\\n", " "));
        let lines: Vec<String> =
            joined.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        for line in lines.into_iter().chain(page.spans()) {
            let Some(arguments) = arguments(&line) else { continue };
            seen += 1;
            if let Err(error) = cli::parse(&arguments)
                && error.exit_code() != 0
            {
                wrong.push(format!("{}: {line}: {error}", page.path));
            }
        }
    }
    assert!(seen >= 25, "{seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The arguments of a call of the exporter, with the name of the program.
fn arguments(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next()?.trim().trim_end_matches('&').trim();
    let line = ["docker exec rooms ", "target/release/", "/usr/bin/"]
        .into_iter()
        .fold(line, |line, prefix| line.strip_prefix(prefix).unwrap_or(line));
    let line = line.replacen("cargo run --release -- ", "teams-rooms-exporter ", 1);
    let rest = line.strip_prefix("teams-rooms-exporter ")?;
    let is_placeholder = rest.contains("COMMAND") || rest.contains("...") || rest.contains('|');
    let word = |word: &str| word.trim_matches('"').to_owned();
    (!is_placeholder).then(|| {
        ["teams-rooms-exporter".to_owned()].into_iter().chain(rest.split_whitespace().map(word)).collect()
    })
}

#[test]
fn every_script_that_a_page_names_is_there() {
    let mut wrong = Vec::new();
    for page in pages() {
        let blocks = page.blocks().into_iter().filter(|block| block.language == "sh");
        let lines = blocks.flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>());
        for line in lines.chain(page.spans()) {
            let Some(command) = line.split_whitespace().next() else { continue };
            let file = command.split("::").next().unwrap_or(command);
            let is_ours = COMMAND_DIRECTORIES.iter().any(|directory| file.starts_with(directory));
            let is_made = file.starts_with("target/")
                || file.contains(['*', '<', '{'])
                || file.chars().any(|c| c.is_ascii_uppercase());
            if is_ours && !is_made && !root().join(file).exists() {
                wrong.push(format!("{}: there is no {file}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pages_name_no_metric_and_no_flag_that_is_not_there() {
    let (mut wrong, known) = (Vec::new(), flags());
    for page in pages() {
        for name in words(&page.text, "teams_rooms_", |c| c.is_ascii_lowercase() || c == '_') {
            // `teams_rooms_collector_*` and the like name a group, a recording rule has another ending.
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_known = FAMILIES.iter().any(|family| {
                family.name.starts_with(name) || Some(family.name) == base || name.starts_with(family.name)
            });
            let is_recorded =
                page.text.contains(&format!(":{name}")) || page.text.contains(&format!("{name}:"));
            if !is_known && !is_recorded && name != "teams_rooms_exporter" {
                wrong.push(format!("{}: the catalogue has no {name}", page.path));
            }
        }
        for flag in words(&page.text, "--", |c| c.is_ascii_lowercase() || c == '-' || c == '.') {
            let flag = flag.trim_end_matches(['.', '-']);
            if flag.contains('.') && !known.contains(flag) && !FOREIGN_FLAGS.contains(&flag) {
                wrong.push(format!("{}: no command has {flag}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The flags of `serve`; docs/command-line.md, which the program writes, has those of all commands.
#[test]
fn the_configuration_reference_has_every_flag_of_the_exporter_and_no_unknown_one() {
    let reference = page("docs/configuration.md").text;
    let known = flags();
    let named = words(&reference, "--", |c| c.is_ascii_lowercase() || c == '-' || c == '.');
    for flag in named.into_iter().map(|flag| flag.trim_end_matches(['.', '-'])) {
        assert!(
            flag.is_empty() || known.contains(flag),
            "docs/configuration.md names {flag}, no command has it"
        );
    }
    let of_serve = flags_of("serve");
    for flag in of_serve.iter().filter(|flag| !["--help", "--version"].contains(&flag.as_str())) {
        assert!(reference.contains(&format!("{flag}`")), "docs/configuration.md does not list {flag}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_in_the_configuration_reference_answers() {
    let exporter = Exporter::start(Scenario::default()).await;
    exporter.wait_for_everything().await;
    let reference = page("docs/configuration.md").text;
    let rows = reference.lines().filter_map(|line| line.strip_prefix("| `/")?.split_once('`'));
    let paths: Vec<String> = rows.map(|(path, _)| format!("/{path}")).collect();
    assert!(paths.len() >= 4, "docs/configuration.md has no table of paths");
    for path in paths {
        assert_eq!(exporter.get(&path).await.0, 200, "{path}");
    }
}

/// Each run of allowed characters that begins with `prefix`.
fn words<'t>(text: &'t str, prefix: &str, allowed: fn(char) -> bool) -> Vec<&'t str> {
    let word = |(at, _)| {
        let tail = text.get(at..)?;
        tail.get(..tail.find(|c| !allowed(c)).unwrap_or(tail.len()))
    };
    text.match_indices(prefix).filter_map(word).collect()
}

/// The flags of all commands, as their help shows them.
fn flags() -> BTreeSet<String> {
    let definition = cli::definition();
    let names = definition.get_subcommands().map(clap::Command::get_name).chain(["demo break"]);
    names.flat_map(flags_of).chain(["--version".to_owned()]).collect()
}

fn flags_of(command: &str) -> BTreeSet<String> {
    let arguments = ["teams-rooms-exporter"].into_iter().chain(command.split(' ')).chain(["--help"]);
    let help = cli::parse(arguments).expect_err("help ends here").to_string();
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-' || c == '.';
    words(&help, "--", is_flag).into_iter().map(|flag| flag.trim_end_matches('.').to_owned()).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}
