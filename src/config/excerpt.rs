//! The line that a message points at, without anything that may be a secret.

use super::error::is_plain_key;

/// Keys whose values may be shown. Every other key, misspelled ones included, hides what follows it: it may be a
/// secret, or an identifier into whose place a secret was pasted.
const SHOWN: [&str; 36] = [
    "tenants",
    "name",
    "cloud",
    "send_certificate_chain",
    "collectors",
    "devices",
    "device_health",
    "enabled",
    "interval",
    "expiry",
    "rotation",
    "types",
    "skus",
    "frozen_after",
    "idle_after",
    "trust_device_accounts",
    "metrics",
    "allow",
    "deny",
    "room_lists",
    "rooms_file",
    "sites",
    "match",
    "building",
    "email",
    "owner",
    "time_zone",
    "service_hours",
    "maintenance",
    "presence",
    "places",
    "calendar",
    "accounts",
    "intune",
    "service_health",
    "credentials",
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
        excerpt.extend(["\n", &gutter, " | ", &" ".repeat(before), "^"]);
    }
    excerpt
}

/// The line up to the first value that may not be shown; none for a line that does not begin with a key, which
/// may be the rest of a value.
fn presentable(line: &str) -> Option<String> {
    let keys = keys(line);
    let (first, _) = keys.first()?;
    if !line.get(..*first)?.chars().all(|c| matches!(c, ' ' | '\t' | '-' | '{' | '[' | '"' | '\'')) {
        return None;
    }
    let hidden_from = keys.iter().find_map(|(start, end)| {
        let key = line.get(*start..*end).unwrap_or_default();
        if SHOWN.contains(&key) {
            None
        } else if is_plain_key(key) {
            Some(end + line.get(*end..)?.find(':')? + 1)
        } else {
            Some(*start)
        }
    });
    if hidden_from == Some(*first) {
        return None;
    }
    let comment = line.find(" #");
    let end = hidden_from.into_iter().chain(comment).min().unwrap_or(line.len());
    let (shown, hidden) = line.split_at_checked(end)?;
    let mut shown: String =
        shown.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_COLUMNS).collect();
    if hidden_from == Some(end) && !hidden.trim().is_empty() {
        shown.push_str(" ...");
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
            let is_key = rest.starts_with(':') && !rest.starts_with("://");
            if is_key && !is_time(line.get(from..at).unwrap_or_default(), rest) {
                keys.push((from, at));
            }
        }
    }
    keys
}

/// Whether a word and what follows it are of times of day, `07:00` or the middle of `07:00-20:00`, and no key.
fn is_time(word: &str, rest: &str) -> bool {
    let mut rest = rest.chars().skip(1); // the colon
    word.len() <= "00-00".len()
        && word.chars().all(|c| c.is_ascii_digit() || c == '-')
        && rest.by_ref().take(2).filter(char::is_ascii_digit).count() == 2
        && rest.next().is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(presentable(line).as_deref(), expected, "{line}");
    }

    #[test]
    fn what_is_shown_of_a_line() {
        check("    frozen_after: 2 hours", Some("    frozen_after: 2 hours"));
        check("  - name: contoso", Some("  - name: contoso"));
        check("\t- name: contoso", Some(" - name: contoso"));
        check("idle_after: 1h # hunter2", Some("idle_after: 1h"));
        check("collectors: { devices: { interval: 2m } }", Some("collectors: { devices: { interval: 2m } }"));
        check(r#"{"metrics": {"allow": ["x"]}}"#, Some(r#"{"metrics": {"allow": ["x"]}}"#));
        check("service_hours: \"Mon 07:00-20:00\"", Some("service_hours: \"Mon 07:00-20:00\""));
    }

    #[test]
    fn what_is_hidden() {
        check("    client_id: hunter2", Some("    client_id: ..."));
        check("    client_id:", Some("    client_id:"));
        check("    auth: { client_secret: hunter2 }", Some("    auth: ..."));
        check("    client_secert : hunter2", Some("    client_secert : ..."));
        check("  - { name: a, 'client_secret' : hunter2 }", Some("  - { name: a, 'client_secret' : ..."));
        check(r#"{"name":"a","auth":{"client_secret":"hunter2"}}"#, Some(r#"{"name":"a","auth": ..."#));
        check("cloud: { name: a, x8Q~hunter2: }", Some("cloud: { name: a, ..."));
        check("service_hours: 07:00hunter2", Some("service_hours: ..."));
        check("service_hours: 07:00~hunter2", Some("service_hours: ..."));
        check("      hunter2", None);
        check("      - hunter2", None);
        check("      8Qhunter2: x", None);
        check("    ? hunter2", None);
        check("    : hunter2", None);
        check("    hunter2 name: x", None);
        check("", None);
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        assert_eq!(excerpt("a\nname: x\n", 2, 7), "\n  |\n2 | name: x\n  |       ^");
        assert_eq!(excerpt("client_id: hunter2", 1, 18), "\n  |\n1 | client_id: ...");
        for (line, column) in [(0, 0), (0, 1), (3, 1), (u64::MAX, u64::MAX)] {
            assert_eq!(excerpt("a\nname: x\n", line, column), "");
        }
    }
}
