//! Paths, queries and links: the parts that are Graph's stay, ids, addresses and tokens become pseudonyms.
//!
//! A link in an answer and the request that follows it come out alike, whatever is escaped in them, so that a replay
//! finds the next page.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::capture::{forms, words};

/// Stands for the Graph root of the tenant in each link.
pub(super) const ROOT: &str = "https://graph.example";

/// Stands for an id in a template.
const ID: &str = "{id}";

const IN_PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'\'')
    .remove(b',')
    .remove(b':')
    .remove(b'=')
    .remove(b'@');
const IN_QUERY: AsciiSet = IN_PATH.remove(b'/');

/// Query options of `OData`, and how their values are written.
const OPTIONS: [(&str, Value); 9] = [
    ("$count", Value::Number),
    ("$expand", Value::Names),
    ("$filter", Value::Expression),
    ("$orderby", Value::Names),
    ("$select", Value::Names),
    ("$skip", Value::Number),
    ("$skiptoken", Value::Opaque),
    ("$top", Value::Number),
    ("$deltatoken", Value::Opaque),
];

#[derive(Clone, Copy, PartialEq)]
enum Value {
    /// A number, `true` or `false`.
    Number,
    /// Names of members.
    Names,
    /// Words of `OData`, names of members, and texts in quotes.
    Expression,
    Opaque,
}

/// Replaces texts and host names.
pub(super) trait Mask {
    fn text(&mut self, text: &str) -> String;
    fn host(&mut self, name: &str) -> String;
}

/// A path with ids replaced, and what it is a path of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// With the query.
    pub(super) text: String,
    /// Without the query, `{id}` for each id.
    pub(super) template: String,
}

/// A path that starts with `/`, with or without a query.
pub(super) fn path(text: &str, mask: &mut dyn Mask) -> Path {
    let (segments, options) = text.split_once('?').unwrap_or((text, ""));
    let mut path = Path { text: String::new(), template: String::new() };
    for (place, part) in segments.split('/').enumerate() {
        let separator = if place > 0 { "/" } else { "" };
        let (text, template) = segment(&decoded(part), mask);
        path.text += separator;
        path.text.extend(utf8_percent_encode(&text, &IN_PATH));
        path.template += separator;
        path.template += &template;
    }
    if !options.is_empty() {
        path.text += "?";
        path.text += &query(options, mask);
    }
    path
}

/// A link: of this tenant's Graph, of another host, or relative.
pub(super) fn link(text: &str, root: &str, mask: &mut dyn Mask) -> String {
    let own = text.split_at_checked(root.len()).filter(|(start, _)| start.eq_ignore_ascii_case(root));
    match own {
        Some((_, rest)) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => {
            format!("{ROOT}{}", behind_host(rest, mask))
        }
        _ => match text.split_once("://") {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                let scheme = if scheme.eq_ignore_ascii_case("http") { "http" } else { "https" };
                format!("{scheme}://{}{}", mask.host(authority), behind_host(rest, mask))
            }
            None => behind_host(text, mask),
        },
    }
}

fn behind_host(text: &str, mask: &mut dyn Mask) -> String {
    match text.split_once('#') {
        Some((before, fragment)) => format!("{}#{}", path(before, mask).text, path(fragment, mask).text),
        None => path(text, mask).text,
    }
}

/// A segment and its template.
fn segment(text: &str, mask: &mut dyn Mask) -> (String, String) {
    let is_of_graph =
        matches!(text, "" | "v1.0" | "beta" | "$batch" | "$metadata" | "$entity" | "$count" | "$ref");
    if is_of_graph || is_word(text) {
        return (text.to_owned(), text.to_owned());
    }
    if text.contains('(') {
        return expression(text, mask, is_word);
    }
    (mask.text(text), ID.to_owned())
}

fn query(text: &str, mask: &mut dyn Mask) -> String {
    let option = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        let known = OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let name = if known.is_some() { name } else { segment(&name, mask).0 };
        let value = option_value(&value, known.map_or(Value::Opaque, |(_, kind)| *kind), mask);
        format!("{}={}", utf8_percent_encode(&name, &IN_QUERY), utf8_percent_encode(&value, &IN_QUERY))
    };
    text.split('&').map(option).collect::<Vec<_>>().join("&")
}

fn option_value(text: &str, kind: Value, mask: &mut dyn Mask) -> String {
    const MOST_DIGITS: usize = 6;
    let is_number = text.len() <= MOST_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    match kind {
        Value::Number if is_number || matches!(text, "true" | "false") => text.to_owned(),
        Value::Names => expression(text, mask, forms::is_identifier).0,
        Value::Expression => expression(text, mask, is_word).0,
        Value::Number | Value::Opaque => mask.text(text),
    }
}

/// Replaces the texts in quotes and the words that are not Graph's.
fn expression(text: &str, mask: &mut dyn Mask, is_of_graph: fn(&str) -> bool) -> (String, String) {
    const DELIMITERS: [char; 13] = [' ', '(', ')', '\'', ',', ';', ':', '=', '/', '&', '$', '!', '*'];
    let (mut masked, mut template, mut rest) = (String::new(), String::new(), text);
    let mut is_quoted = false;
    while !rest.is_empty() {
        let end = if is_quoted { rest.find('\'') } else { rest.find(DELIMITERS) };
        let (token, after) = rest.split_at(end.unwrap_or(rest.len()));
        if token.is_empty() || is_of_graph(token) || (!is_quoted && is_letter(token)) {
            masked += token;
            template += token;
        } else {
            masked += &mask.text(token);
            template += ID;
        }
        let mut following = after.chars();
        if let Some(delimiter) = following.next() {
            is_quoted ^= delimiter == '\'';
            masked.push(delimiter);
            template.push(delimiter);
        }
        rest = following.as_str();
    }
    (masked, template)
}

/// Returns true for words of Graph. A number could be an id.
fn is_word(text: &str) -> bool {
    words::is_known(text) && text.bytes().any(|b| b.is_ascii_alphabetic())
}

/// The variable of a lambda expression.
fn is_letter(text: &str) -> bool {
    text.len() == 1 && text.bytes().all(|b| b.is_ascii_lowercase())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces each text by the number of its characters, in angle brackets.
    struct Count;

    impl Mask for Count {
        fn text(&mut self, text: &str) -> String {
            format!("<{}>", text.chars().count())
        }

        fn host(&mut self, name: &str) -> String {
            self.text(name) + ".example"
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str, template: &str) {
        let found = path(text, &mut Count);
        let plain = percent_decode_str(&found.text).decode_utf8_lossy().into_owned();
        assert_eq!((plain.as_str(), found.template.as_str()), (expected, template), "{text}");
    }

    #[test]
    fn paths_keep_what_is_of_graph() {
        check(
            "/beta/teamwork/devices/4c1d/health",
            "/beta/teamwork/devices/<4>/health",
            "/beta/teamwork/devices/{id}/health",
        );
        check(
            "/v1.0/users/42?$select=id,proxyAddresses",
            "/v1.0/users/<2>?$select=id,proxyAddresses",
            "/v1.0/users/{id}",
        );
        check(
            "/v1.0/users/a%40b.example/calendar/getSchedule",
            "/v1.0/users/<11>/calendar/getSchedule",
            "/v1.0/users/{id}/calendar/getSchedule",
        );
        check(
            "/v1.0/applications(appId='42')",
            "/v1.0/applications(appId='<2>')",
            "/v1.0/applications(appId='{id}')",
        );
        check(
            "/v1.0/places/microsoft.graph.room?$top=100&$count=true&$skip=0",
            "/v1.0/places/microsoft.graph.room?$top=100&$count=true&$skip=0",
            "/v1.0/places/microsoft.graph.room",
        );
        check(
            "/v1.0/users?$filter=assignedLicenses/any(s:s/skuId%20eq%204cde)",
            "/v1.0/users?$filter=assignedLicenses/any(s:s/skuId eq <4>)",
            "/v1.0/users",
        );
        check(
            "/v1.0/deviceManagement/managedDevices?$filter=operatingSystem%20eq%20'Windows'",
            "/v1.0/deviceManagement/managedDevices?$filter=operatingSystem eq 'Windows'",
            "/v1.0/deviceManagement/managedDevices",
        );
        check("/x?$filter=city eq 'New Anna''s'&q=Anna", "/<1>?$filter=<4> eq '<8>''<1>'&<1>=<4>", "/{id}");
        check(
            "/beta/teamwork/devices?$skiptoken=a%23b%3d",
            "/beta/teamwork/devices?$skiptoken=<4>",
            "/beta/teamwork/devices",
        );
    }

    #[test]
    fn links_come_out_like_the_requests_that_follow_them() {
        let root = "https://graph.microsoft.com";
        let next = "https://graph.microsoft.com/beta/teamwork/devices?$filter=deviceType eq 'sip'&$skiptoken=%2BRID%3A1";
        let followed = "/beta/teamwork/devices?$filter=deviceType%20eq%20%27sip%27&$skiptoken=%2BRID:1";
        assert_eq!(link(next, root, &mut Count), format!("{ROOT}{}", path(followed, &mut Count).text));
    }

    #[test]
    fn hosts_of_others_are_replaced() {
        let check = |text: &str, expected: &str| {
            assert_eq!(link(text, "https://graph.microsoft.com", &mut Count), expected);
        };
        check(
            "https://GRAPH.microsoft.com/v1.0/$metadata#users('a@b')/$entity",
            "https://graph.example/v1.0/$metadata#users('%3C3%3E')/$entity",
        );
        check("https://graph.microsoft.com.evil/v1.0", "https://<24>.example/v1.0");
        check("http://anna@contoso.example:80/anna", "http://<23>.example/%3C4%3E");
        check("/devices?$skip=5", "/devices?$skip=5");
        check("?$skip=5", "?$skip=5");
    }
}
