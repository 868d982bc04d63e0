//! JSON one level at a time, with its members in their order and its numbers as they are written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value; what it contains is not parsed yet.
pub(super) enum Json<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Text(String),
    /// A number as it is written.
    Number(&'a str),
    /// `null`, `true` or `false`.
    Word(&'a str),
    /// A text that is not Unicode, such as half a surrogate pair, or an object with such a name.
    Undecodable,
}

pub(super) fn open(raw: &RawValue) -> Json<'_> {
    let text = raw.get();
    let opened = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Members<'_>>(text).map(|members| Json::Object(members.0)),
        Some(b'[') => serde_json::from_str(text).map(Json::Array),
        Some(b'"') => serde_json::from_str(text).map(Json::Text),
        Some(b'n' | b't' | b'f') => Ok(Json::Word(text)),
        _ => Ok(Json::Number(text)),
    };
    opened.unwrap_or(Json::Undecodable)
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object in their order, doubled ones included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}
