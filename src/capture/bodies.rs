//! Bodies before they are scrubbed: which form each has, and which rows of people are of no use.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::capture::json::{self, Json};

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    Json,
    /// Text that begins like JSON and is none.
    Broken,
    Html,
    Text,
    Empty,
}

/// A byte order mark, which some gateways put before JSON.
const MARK: &str = "\u{feff}";

/// Rows of one answer that belong to no room: enough to see their form.
const MOST_UNRELATED: usize = 20;

/// Members that lead from an enrolment to a room.
const KEYS: [&str; 4] = ["userId", "userPrincipalName", "serialNumber", "azureADDeviceId"];

/// The form of a body; of JSON the byte order mark, if there is one, and the value.
pub(super) fn sort(body: &[u8]) -> (Form, Option<(&'static str, &RawValue)>) {
    let Ok(text) = std::str::from_utf8(body) else { return (Form::Text, None) };
    let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |text| (MARK, text));
    if let Ok(raw) = serde_json::from_str(text) {
        return (Form::Json, Some((mark, raw)));
    }
    let form = match text.trim_start().chars().next() {
        None => Form::Empty,
        Some('{' | '[') => Form::Broken,
        Some('<') => Form::Html,
        Some(_) => Form::Text,
    };
    (form, None)
}

/// Adds every text of a value, in lower case.
pub(super) fn texts(raw: &RawValue, found: &mut HashSet<String>) {
    match json::open(raw) {
        Json::Object(members) => members.iter().for_each(|(_, value)| texts(value, found)),
        Json::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Json::Text(text) if !text.trim().is_empty() => drop(found.insert(text.trim().to_lowercase())),
        _ => {}
    }
}

/// A list without most of the rows that share no key with another source, and how many are gone; `None` if none is.
pub(super) fn without_people(body: &RawValue, mentioned: &HashSet<String>) -> Option<(Box<RawValue>, usize)> {
    let Json::Object(members) = json::open(body) else { return None };
    let (mut gone, mut kept) = (0, Vec::new());
    for (name, value) in &members {
        let mut text = value.get().to_owned();
        if let (true, Json::Array(rows)) = (name == "value", json::open(value)) {
            let (related, others): (Vec<&RawValue>, Vec<&RawValue>) =
                rows.iter().partition(|row| is_mentioned(row, mentioned));
            gone += others.len().saturating_sub(MOST_UNRELATED);
            let rows = related.into_iter().chain(others.into_iter().take(MOST_UNRELATED));
            text = format!("[{}]", rows.map(RawValue::get).collect::<Vec<_>>().join(","));
        }
        kept.push(format!("{}:{text}", json::quoted(name)));
    }
    let rest = RawValue::from_string(format!("{{{}}}", kept.join(","))).ok()?;
    (gone > 0).then_some((rest, gone))
}

fn is_mentioned(row: &RawValue, mentioned: &HashSet<String>) -> bool {
    let Json::Object(members) = json::open(row) else { return false };
    let keys = members.iter().filter(|(name, _)| KEYS.iter().any(|key| key.eq_ignore_ascii_case(name)));
    keys.filter_map(|(_, value)| match json::open(value) {
        Json::Text(text) => Some(text.trim().to_lowercase()),
        _ => None,
    })
    .any(|text| mentioned.contains(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_sorted_by_their_form() {
        for (body, expected) in [
            (&b"{\"a\":1}"[..], Form::Json),
            (b"\xef\xbb\xbf{}", Form::Json),
            (b"\"plain\"", Form::Json),
            (b"{\"a\":", Form::Broken),
            (b" <html>", Form::Html),
            (b"gateway", Form::Text),
            (b"\xff{", Form::Text),
            (b"", Form::Empty),
            (b"\xef\xbb\xbf", Form::Empty),
        ] {
            assert_eq!(sort(body).0, expected, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(sort(b"\xef\xbb\xbf{}").1.map(|(mark, raw)| (mark, raw.get())), Some((MARK, "{}")));
    }

    #[test]
    fn of_peoples_devices_few_stay() {
        let row = |n: usize| format!(r#"{{"id":"{n}","userPrincipalName":"U{n}@contoso.example"}}"#);
        let rows: Vec<String> = (0..50).map(row).collect();
        let list = RawValue::from_string(format!(r#"{{"x":1,"value":[{}]}}"#, rows.join(","))).expect("JSON");
        let (rest, gone) =
            without_people(&list, &["u49@contoso.example".to_owned()].into()).expect("rows are gone");
        assert_eq!(gone, 29);
        assert!(
            rest.get().starts_with(&format!(r#"{{"x":1,"value":[{},{},"#, row(49), row(0))),
            "{}",
            rest.get()
        );
        assert!(!rest.get().contains(&row(20)));
        let all = (0..50).map(|n| format!("u{n}@contoso.example")).collect();
        assert!(without_people(&list, &all).is_none());
    }
}
