//! Reading Graph's JSON with suspicion: members may be missing, null, of another case or another type.
//!
//! Every reader answers `None` for what cannot be used; nothing here fails a record.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{MAX_ID_CHARS, State, Timestamp, shared};

/// A value that Graph's documentation does not name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownValue {
    pub field: &'static str,
    /// Cut to [`MAX_TEXT`] characters.
    pub value: String,
}

/// One JSON object.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a serde_json::Map<String, Value>);

/// Longer texts are cut, and a cut text is too long for an id. Labels have 128 characters.
const MAX_TEXT: usize = 256;

impl<'a> Node<'a> {
    /// The object itself, or the one that Microsoft's documentation shows wrapped in `value`.
    pub(super) fn entity(value: &'a Value) -> Option<Self> {
        let node = Self::new(value)?;
        Some(node.node("value").unwrap_or(node))
    }

    pub(super) fn new(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(super) fn node(self, name: &str) -> Option<Self> {
        Self::new(self.value(name)?)
    }

    pub(super) fn nodes(self, name: &str) -> impl Iterator<Item = Option<Self>> {
        let list = self.value(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().map(Self::new)
    }

    /// A text with something in it.
    pub(super) fn text(self, name: &str) -> Option<Arc<str>> {
        self.shown_text(name).map(Into::into)
    }

    /// A text that many entities have in common.
    pub(super) fn word(self, name: &str) -> Option<Arc<str>> {
        self.shown_text(name).map(shared::word)
    }

    fn shown_text(self, name: &str) -> Option<&'a str> {
        let text = self.value(name)?.as_str()?.trim();
        (!text.is_empty()).then(|| cut(text))
    }

    /// A text as it is, also one that is too long to show.
    pub(super) fn whole_text(self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    pub(super) fn is_list(self, name: &str) -> bool {
        self.value(name).is_some_and(Value::is_array)
    }

    /// The texts of a list that are ids.
    pub(super) fn texts(self, name: &str) -> impl Iterator<Item = &'a str> {
        let list = self.value(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(Value::as_str).map(str::trim).filter(|text| is_id(text))
    }

    /// A text that tells one entity from another: whole, and the same as a label. Graph's are GUIDs and addresses.
    pub(super) fn id(self, name: &str) -> Option<Arc<str>> {
        self.text(name).filter(|id| is_id(id))
    }

    pub(super) fn flag(self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    pub(super) fn number(self, name: &str) -> Option<f64> {
        self.value(name)?.as_f64()
    }

    pub(super) fn count(self, name: &str) -> Option<u32> {
        u32::try_from(self.value(name)?.as_u64()?).ok()
    }

    /// A number of bytes.
    pub(super) fn size(self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    pub(super) fn time(self, name: &str) -> Option<Timestamp> {
        Timestamp::parse(self.value(name)?.as_str()?)
    }

    pub(super) fn date(self, name: &str) -> Option<Timestamp> {
        Timestamp::parse_date(self.value(name)?.as_str()?)
    }

    /// The state that a member names, in any case; a name that is not documented is noted under `field`.
    pub(super) fn state<S: State>(
        self,
        name: &str,
        field: &'static str,
        unknown: &mut Vec<UnknownValue>,
    ) -> Option<S> {
        let text = self.value(name)?.as_str()?;
        let known = S::ALL.iter().find(|state| same_name(state.label(), text)).copied();
        if known.is_none() && !same_name("unknown", text) {
            note(unknown, field, text);
        }
        known
    }

    fn value(self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        let found =
            exact.or_else(|| self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
        found.filter(|value| !value.is_null())
    }
}

/// Values of one attempt that are noted; of a fleet in which each record has a new one, these are enough to see it.
const MAX_UNKNOWN: usize = 10_000;

/// Notes a value that is not documented.
pub(super) fn note(unknown: &mut Vec<UnknownValue>, field: &'static str, value: &str) {
    if unknown.len() < MAX_UNKNOWN {
        unknown.push(UnknownValue { field, value: cut(value).to_owned() });
    }
}

/// Whether Graph's `nonUrgent`, `NonUrgent` or `NONURGENT` is our `non_urgent`.
pub(super) fn same_name(label: &str, text: &str) -> bool {
    let letters = label.bytes().filter(|b| *b != b'_');
    letters.eq(text.bytes().map(|b| b.to_ascii_lowercase()))
}

/// A text as one path segment, whatever it holds.
pub(super) fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'@');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn is_id(text: &str) -> bool {
    let is_short = text.chars().flat_map(char::to_lowercase).count() <= MAX_ID_CHARS;
    !text.is_empty() && is_short && !text.chars().any(char::is_control)
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT).map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::device::Health;
    use serde_json::json;

    fn health(value: &Value) -> (Option<Health>, Vec<UnknownValue>) {
        let mut unknown = Vec::new();
        let object = json!({ "healthStatus": value });
        let node = Node::entity(&object).expect("an object");
        (node.state("healthStatus", "device.healthStatus", &mut unknown), unknown)
    }

    #[test]
    fn states_are_found_in_any_case_and_strangers_are_noted() {
        for text in ["nonUrgent", "NonUrgent", "NONURGENT", "nonurgent"] {
            assert_eq!(health(&json!(text)), (Some(Health::NonUrgent), vec![]), "{text}");
        }
        assert_eq!(health(&json!("unknown")), (Some(Health::Unknown), vec![]));
        for value in [json!(null), json!(4), json!(["healthy"])] {
            assert_eq!(health(&value), (None, vec![]), "{value}");
        }
        for text in ["unknownFutureValue", "onFire"] {
            let noted = UnknownValue { field: "device.healthStatus", value: text.to_owned() };
            assert_eq!(health(&json!(text)), (None, vec![noted]), "{text}");
        }
    }

    #[test]
    fn members_are_read_whatever_they_look_like() {
        let object = json!({ "Value": { "NAME": "  Oslo ", "empty": " ", "on": "True", "off": false, "when": "later", "list": [1, {}] } });
        let node = Node::entity(&object).expect("an object");
        assert_eq!(node.text("name").as_deref(), Some("Oslo"));
        assert_eq!(node.text("empty"), None);
        assert_eq!((node.flag("on"), node.flag("off"), node.flag("name")), (Some(true), Some(false), None));
        assert_eq!(node.time("when"), None);
        assert_eq!(node.nodes("list").flatten().count(), 1);
        assert!(Node::entity(&json!([1])).is_none());
    }

    #[test]
    fn texts_cannot_leave_their_path_segment() {
        assert_eq!(escape("4c1d-7b0a"), "4c1d-7b0a");
        assert_eq!(escape("rooms@contoso.example"), "rooms@contoso.example");
        assert_eq!(escape("../x?y#ü"), "..%2Fx%3Fy%23%C3%BC");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let object = json!({ "notes": "ü".repeat(MAX_TEXT + 1) });
        let text = Node::new(&object).and_then(|node| node.text("notes")).expect("a text");
        assert_eq!(text.chars().count(), MAX_TEXT);
    }
}
