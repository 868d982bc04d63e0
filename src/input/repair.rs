//! Repairs JSON that a strict reader rejects for one bad text: a byte order mark, half a character, bytes that are not
//! UTF-8.
//!
//! JavaScript and .NET cut texts between the two halves of a character and send the half as `\ud83d`. No reader of
//! Rust takes it, wherever it is in the body. U+FFFD takes its place, and the record stays.

use std::borrow::Cow;

use super::MARK;

/// U+FFFD as JSON escapes it. It is as long as what it replaces, so that the repair needs no second buffer.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// The body, so that its texts are sound. A body that is sound already is not copied.
pub fn repair(mut body: Vec<u8>) -> Vec<u8> {
    if body.starts_with(MARK) {
        body.drain(..MARK.len());
    }
    replace_lone_surrogates(&mut body);
    match String::from_utf8_lossy(&body) {
        Cow::Borrowed(_) => body,
        Cow::Owned(text) => text.into_bytes(),
    }
}

/// A backslash is in JSON in a text alone, so that the scan need not know where texts begin and end.
fn replace_lone_surrogates(body: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        let unit = unit_at(body, at);
        let next = unit_at(body, at + REPLACEMENT.len());
        at += match unit {
            None => 2, // another escape, such as the backslash itself
            Some(0xd800..=0xdbff) if matches!(next, Some(0xdc00..=0xdfff)) => 2 * REPLACEMENT.len(),
            Some(0xd800..=0xdfff) => {
                if let Some(place) = body.get_mut(at..at + REPLACEMENT.len()) {
                    place.copy_from_slice(REPLACEMENT);
                }
                REPLACEMENT.len()
            }
            Some(_) => REPLACEMENT.len(),
        };
    }
}

/// The UTF-16 unit that is escaped here, as in `\ud83d`.
fn unit_at(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + REPLACEMENT.len())?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::input::json::from_slice;

    use super::*;

    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(repair(body.to_vec())).as_deref(), Ok(expected));
    }

    #[test]
    fn half_a_character_becomes_a_replacement_wherever_it_is() {
        check(br#"["Oslo \ud83d"]"#, r#"["Oslo \ufffd"]"#);
        check(br#"["\uD83D\uDE00"]"#, r#"["\uD83D\uDE00"]"#);
        check(br#"["\ude00\ud83d"]"#, r#"["\ufffd\ufffd"]"#);
        check(br#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#);
        check(br#"["\ud83d\n"]"#, r#"["\ufffd\n"]"#);
        check(br#"{"\udfff": 1}"#, r#"{"\ufffd": 1}"#);
        check(br#"["\\ud83d"]"#, r#"["\\ud83d"]"#);
        check(br#"["\\\ud83d"]"#, r#"["\\\ufffd"]"#);
        check(br#"["\u+d83"]"#, r#"["\u+d83"]"#);
        check(br#"["\ud8"#, r#"["\ud8"#);
        check(br"\", r"\");
    }

    #[test]
    fn a_mark_and_broken_bytes_cost_nothing_else() {
        check(b"\xef\xbb\xbf[1]", "[1]");
        check(b"", "");
        check(b"[\"caf\xe9\"]", "[\"caf\u{fffd}\"]");
        check(b"[\"\xed\xa0\xbd\"]", "[\"\u{fffd}\u{fffd}\u{fffd}\"]");
        assert_eq!(
            from_slice::<Value>(b"\xef\xbb\xbf[\"\\ud83d\"]").ok(),
            Some("\u{fffd}".into()).map(|text: Value| vec![text].into())
        );
    }

    proptest! {
        #[test]
        fn sound_json_stays_as_it_is(text in "\\PC*") {
            let body = serde_json::to_vec(&text).expect("a text");
            prop_assert_eq!(repair(body.clone()), body);
        }

        #[test]
        fn any_units_become_readable(units in proptest::collection::vec(any::<u16>(), 0..20)) {
            let escaped = units.iter().fold(String::new(), |text, unit| format!("{text}\\u{unit:04x}"));
            let read: String = from_slice(format!("\"{escaped}\"").as_bytes()).expect("repaired");
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }
    }
}
