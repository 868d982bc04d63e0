//! The line that a message points at, without anything that may be a secret.

/// Keys whose values may be shown. Every other key, misspelled ones included, hides what follows it: it may be a
/// secret, or an identifier into whose place a secret was pasted.
const SHOWN: [&str; 17] = [
    "tenants",
    "name",
    "cloud",
    "collectors",
    "devices",
    "device_health",
    "enabled",
    "interval",
    "expiry",
    "rotation",
    "types",
    "frozen_after",
    "idle_after",
    "trust_device_accounts",
    "metrics",
    "allow",
    "deny",
];

/// A longer line is cut; the message before it has the column.
const MAX_COLUMNS: usize = 120;

/// The line with a caret under the column, both counted from 1, beginning with a line break; empty where
/// nothing of the line may be shown.
pub(super) fn excerpt(text: &str, line: u64, column: u64) -> String {
    let Some(content) = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?))
    else {
        return String::new();
    };
    let Some(shown) = presentable(content) else { return String::new() };
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let mut excerpt = format!("\n{gutter} |\n{number} | {shown}");
    let before = usize::try_from(column).unwrap_or_default().saturating_sub(1);
    if before < shown.chars().count() {
        excerpt += &format!("\n{gutter} | {}^", " ".repeat(before));
    }
    excerpt
}

/// The line up to the first value that may not be shown; none for a line that does not begin with a key, which
/// may be the rest of a value.
fn presentable(line: &str) -> Option<String> {
    let keys = keys(line);
    let (first, _) = keys.first()?;
    if !line.get(..*first)?.chars().all(|c| matches!(c, ' ' | '-' | '{' | '[' | '"' | '\'')) {
        return None;
    }
    let hidden_from = keys
        .iter()
        .find(|(start, end)| line.get(*start..*end).is_none_or(|key| !SHOWN.contains(&key)))
        .and_then(|(_, end)| Some(end + line.get(*end..)?.find(':')? + 1));
    let comment = line.find(" #");
    let end = [hidden_from, comment].into_iter().flatten().min().unwrap_or(line.len()).min(line.len());
    let mut shown: String = line
        .get(..end)?
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_COLUMNS)
        .collect();
    if hidden_from == Some(end) && line.get(end..).is_some_and(|rest| !rest.trim().is_empty()) {
        shown += " ...";
    }
    Some(shown)
}

/// Start and end of every word that stands like a key: `word:`, `word :`, `"word":`.
fn keys(line: &str) -> Vec<(usize, usize)> {
    let mut keys = Vec::new();
    let mut start = None;
    for (at, c) in line.char_indices() {
        if c.is_alphanumeric() || (start.is_some() && matches!(c, '_' | '.' | '-' | '~')) {
            start.get_or_insert(at);
        } else if let Some(from) = start.take() {
            let rest = line.get(at..).unwrap_or_default().trim_start_matches([' ', '\t', '"', '\'']);
            if rest.starts_with(':') && !rest.starts_with("://") {
                keys.push((from, at));
            }
        }
    }
    keys
}
