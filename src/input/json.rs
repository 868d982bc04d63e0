//! Reading JSON within bounds: whatever the other side sends, the memory that it costs is known before.
//!
//! `serde_json::Value` takes up to two hundred bytes for each byte of text. So envelopes are read into structs, numbers and
//! short texts into [`Scalar`], and of one record no more than [`MAX_VALUES`] values are built.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::repair;

/// Bytes of one record. The largest that Graph sends is a mailbox with a busy week, some 50 KiB.
pub const MAX_ITEM_BYTES: usize = 256 * 1024;

/// Values in one record: a busy week has 3,000. At worst each takes 700 bytes.
const MAX_VALUES: usize = 16 * 1024;

/// Objects and lists inside each other; Graph's go six deep.
const MAX_DEPTH: usize = 32;

/// One record, within all bounds.
pub fn record(text: &str) -> Result<Value, serde_json::Error> {
    if text.len() > MAX_ITEM_BYTES {
        return Err(serde_json::Error::custom("the record is too large"));
    }
    let left = Cell::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Bounded { left: &left, depth: MAX_DEPTH }.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Reads an object into a struct. Without this check a list would do: serde takes its items for the fields in their order.
pub fn object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, serde_json::Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(serde_json::Error::custom("a list in place of an object"));
    }
    serde_json::from_slice(body)
}

/// Reads a small body that was not repaired on its way.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&repair(body.to_vec()))
}

/// A value of which `left` counts the values that may still come.
#[derive(Clone, Copy)]
struct Bounded<'c> {
    left: &'c Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("the record is nested too deeply"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom("the record has too many values"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            members.insert(name, object.next_value_seed(inner)?);
        }
        Ok(members.into())
    }
}

/// A number or a short text; anything else is read over and builds nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar {
    Number(f64),
    Text(String),
    #[default]
    Other,
}

/// Links of Graph have up to 4 KiB; a URL that is longer is refused by its own servers.
const MAX_TEXT: usize = 16 * 1024;

impl Scalar {
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A whole number that is not negative.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked right before")]
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Number(number) if number.fract() == 0.0 && (0.0..1e15).contains(number) => {
                Some(*number as usize)
            }
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    #[expect(clippy::cast_precision_loss, reason = "a number that is not exact is not a count")]
    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a number that is not exact is not a count")]
    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(if text.len() > MAX_TEXT { Scalar::Other } else { Scalar::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Scalar, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// The records of a list, at most `MOST`. In place of one that is too large stands `null`, which no collector can use.
#[derive(Debug, Default)]
pub struct Items<const MOST: usize>(pub Vec<Box<RawValue>>);

impl<'de, const MOST: usize> Deserialize<'de> for Items<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor::<MOST>).map(Self)
    }
}

struct ItemsVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for ItemsVisitor<MOST> {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<&'de RawValue>()? {
            if items.len() == MOST {
                return Err(A::Error::custom(format_args!("more than {MOST} records")));
            }
            let is_usable = item.get().len() <= MAX_ITEM_BYTES;
            items.push(if is_usable { item } else { RawValue::NULL }.to_owned());
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x\n"],"b":{"c":{}}}"#;
        assert_eq!(
            record(text).expect("JSON"),
            json!({"a": [1, -2, 3.5, true, null, "x\n"], "b": {"c": {}}})
        );
        for text in ["", "{", "{} {}", "[1,]"] {
            assert!(record(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_has_bounds_in_size_number_and_depth() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(record(&list(MAX_VALUES - 1)).is_ok());
        assert!(record(&list(MAX_VALUES)).is_err(), "the list itself is a value, too");
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(record(&nested(MAX_DEPTH)).is_ok());
        assert!(record(&nested(MAX_DEPTH + 1)).is_err());
        assert!(record(&nested(MAX_ITEM_BYTES)).is_err());
        let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
        assert!(record(&text(MAX_ITEM_BYTES)).is_ok());
        assert!(record(&text(MAX_ITEM_BYTES + 1)).is_err());
    }

    #[test]
    fn a_scalar_is_a_number_a_text_or_nothing() {
        let read = |text: &str| serde_json::from_str::<Scalar>(text).expect("JSON");
        assert_eq!(read("7").count(), Some(7));
        for text in ["-7", "7.5", "1e99", "\"7\"", "true", "null", "[7]", "{\"a\":7}"] {
            assert_eq!(read(text).count(), None, "{text}");
        }
        assert_eq!(read("\"x\"").text(), Some("x"));
        assert_eq!(read(&format!("\"{}\"", "x".repeat(MAX_TEXT + 1))), Scalar::Other);
        assert_eq!(read(&format!("{}1{}", "[{\"a\":".repeat(50), "}]".repeat(50))), Scalar::Other);
    }

    #[test]
    fn a_list_ends_at_its_bound_and_lacks_records_that_are_too_large() {
        let read = |text: &str| serde_json::from_str::<Items<3>>(text).map(|items| items.0);
        let large = format!("[1,\"{}\",{{}}]", "x".repeat(MAX_ITEM_BYTES));
        let items = read(&large).expect("JSON");
        assert_eq!(items.iter().map(|item| item.get()).collect::<Vec<_>>(), ["1", "null", "{}"]);
        assert!(read("[1,2,3,4]").is_err());
        assert!(read("{}").is_err());
    }
}
