//! Pseudonyms of texts: of the same form, the same for the same text, and without a way back.
//!
//! Letters and digits change, everything else stays in place. A text is reduced to its letters and digits in lower case;
//! a keyed hash of these draws the new ones. Spellings of one text that differ in case, spaces or punctuation
//! therefore keep to differ in that alone: `MeetingBar A30` and `meetingbara30` still match each other. The key is
//! drawn for each capture and never stored, so that no dictionary of names reverses a pseudonym.

use std::collections::{HashMap, HashSet};

use ring::hmac;

/// The key of a capture.
pub type Key = [u8; 32];

pub(super) struct Pseudonyms {
    key: hmac::Key,
    /// From letters and digits to others, both in lower case.
    known: HashMap<String, String>,
    used: HashSet<String>,
}

/// Few texts of two characters exist; after this many draws two of them may share a pseudonym.
const MOST_DRAWS: u32 = 64;

/// Hexadecimal texts of this length are ids, MAC addresses and hashes, and stay hexadecimal.
const SHORTEST_HEX: usize = 12;

/// The version and the variant of a UUID, by their places among its 32 digits: they say how it was made.
const UUID_DIGITS: usize = 32;
const UUID_FORM: [usize; 2] = [12, 16];

/// Letters beyond ASCII, each with one capital.
const OTHER_SMALL: [char; 16] =
    ['ä', 'ö', 'å', 'é', 'è', 'ñ', 'ç', 'ø', 'ü', 'á', 'í', 'ó', 'ú', 'à', 'ê', 'ô'];

/// Letters without case.
const CASELESS: [char; 16] =
    ['一', '七', '三', '上', '下', '中', '九', '二', '五', '八', '六', '十', '口', '土', '大', '女'];

impl Pseudonyms {
    pub(super) fn new(key: &Key) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), known: HashMap::new(), used: HashSet::new() }
    }

    /// The text with other letters and digits, each of the class and case of the one in its place.
    pub(super) fn of(&mut self, text: &str) -> String {
        let squeezed = squeeze(text);
        if is_filler(&squeezed) {
            return text.to_owned();
        }
        let drawn = self.drawn(squeezed);
        let mut fresh = drawn.chars();
        text.chars().map(|old| dress(old, &mut fresh)).collect()
    }

    fn drawn(&mut self, squeezed: String) -> String {
        if let Some(known) = self.known.get(&squeezed) {
            return known.clone();
        }
        let mut drawn = String::new();
        for attempt in 0..MOST_DRAWS {
            drawn = self.draw(&squeezed, attempt);
            if drawn != squeezed && !self.used.contains(&drawn) {
                break;
            }
        }
        self.used.insert(drawn.clone());
        self.known.insert(squeezed, drawn.clone());
        drawn
    }

    fn draw(&self, squeezed: &str, attempt: u32) -> String {
        let is_hex = is_hex(squeezed);
        let is_uuid = is_hex && squeezed.len() == UUID_DIGITS;
        let letters = if is_hex { 6 } else { 26 };
        let mut numbers = self.numbers(squeezed, attempt);
        let fresh = |(place, old): (usize, char)| {
            let number = numbers.next().unwrap_or_default();
            if is_uuid && UUID_FORM.contains(&place) { old } else { substitute(old, letters, number) }
        };
        squeezed.chars().enumerate().map(fresh).collect()
    }

    /// Numbers that only the holder of the key can compute.
    fn numbers<'s>(&'s self, text: &'s str, attempt: u32) -> impl Iterator<Item = u16> + 's {
        let block = move |number: u32| {
            let mut context = hmac::Context::with_key(&self.key);
            context.update(&attempt.to_be_bytes());
            context.update(&number.to_be_bytes());
            context.update(text.as_bytes());
            let tag = context.sign();
            let pairs = tag
                .as_ref()
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte)));
            pairs.collect::<Vec<u16>>()
        };
        (0..).flat_map(block)
    }
}

/// The letters and digits of a text, in lower case.
pub(super) fn squeeze(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// Returns true for `0`, `00:00:00` and `XXXXXXX`, which devices send for "none".
fn is_filler(squeezed: &str) -> bool {
    const SHORTEST: usize = 4;
    let Some(first) = squeezed.chars().next() else { return true };
    let is_long = first == '0' || squeezed.chars().count() >= SHORTEST;
    is_long && squeezed.chars().all(|c| c == first)
}

fn is_hex(squeezed: &str) -> bool {
    squeezed.len() >= SHORTEST_HEX
        && squeezed.bytes().all(|b| b.is_ascii_hexdigit())
        && squeezed.bytes().any(|b| b.is_ascii_digit())
}

/// Another character of the class of this one, which is in lower case.
fn substitute(old: char, letters: u16, number: u16) -> char {
    let pick = |of: &[char]| of.get(usize::from(number) % of.len()).copied().unwrap_or(old);
    let ascii = |first: u8, count: u16| {
        u8::try_from(number % count).map_or(old, |offset| char::from(first.saturating_add(offset)))
    };
    match old {
        '0'..='9' => ascii(b'0', 10),
        'a'..='z' => ascii(b'a', letters),
        _ if old.is_lowercase() => pick(&OTHER_SMALL),
        _ => pick(&CASELESS),
    }
}

/// The next fresh character in the case of the old one. Punctuation and spaces stay; symbols beyond ASCII become one.
fn dress(old: char, fresh: &mut std::str::Chars<'_>) -> char {
    if !old.is_alphanumeric() {
        let is_plain = old.is_ascii() || old.is_whitespace() || old.is_control();
        return if is_plain { old } else { '\u{2022}' };
    }
    let fresh = fresh.next().unwrap_or('x');
    if old.is_uppercase() { fresh.to_uppercase().next().unwrap_or(fresh) } else { fresh }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms() -> Pseudonyms {
        Pseudonyms::new(&[7; 32])
    }

    /// The classes of the characters of a text.
    fn form(text: &str) -> String {
        let class = |c: char| match c {
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            '0'..='9' => '0',
            _ if c.is_uppercase() => 'Ä',
            _ if c.is_lowercase() => 'ä',
            _ if c.is_alphanumeric() => '一',
            _ => c,
        };
        text.chars().map(class).collect()
    }

    #[test]
    fn the_form_stays_and_the_text_does_not() {
        let mut pseudonyms = pseudonyms();
        for text in [
            "Anna Müller-Lüdenscheidt (Oslo, 3rd floor)",
            "PF4XYZ01",
            "ÅÄÖ 会议室 12",
            "249AD8-11:22.33",
            "+49 30 5550123",
            "A",
            " trailing \n",
        ] {
            let pseudonym = pseudonyms.of(text);
            assert_eq!(form(&pseudonym), form(text));
            assert_ne!(pseudonym, text);
            assert_eq!(pseudonyms.of(text), pseudonym);
        }
    }

    #[test]
    fn case_spaces_and_punctuation_make_no_other_pseudonym() {
        let mut pseudonyms = pseudonyms();
        let shop = pseudonyms.of("MeetingBar A30");
        assert_eq!(squeeze(&shop), pseudonyms.of("meetingbara30"));
        assert_eq!(shop.to_uppercase(), pseudonyms.of("MEETINGBAR A30"));
        assert_eq!(pseudonyms.of("Ärger").to_lowercase(), pseudonyms.of("ärger"));
        assert_eq!(pseudonyms.of("24-9A-D8-00-11-2F").replace('-', ""), pseudonyms.of("249AD800112F"));
    }

    #[test]
    fn ids_stay_ids() {
        let mut pseudonyms = pseudonyms();
        let id = "4c1d7b0a-9f3e-4a1b-8c2d-0123456789ab";
        let pseudonym = pseudonyms.of(id);
        assert_ne!(pseudonym, id);
        let parsed = uuid::Uuid::try_parse(&pseudonym).expect("a UUID");
        assert_eq!(parsed.get_version_num(), 4);
        assert_eq!(pseudonyms.of(&id.to_uppercase()), pseudonym.to_uppercase());
        assert!(pseudonyms.of("249ad8a1b2c3").bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[test]
    fn different_texts_stay_different_while_there_are_enough() {
        let mut pseudonyms = pseudonyms();
        let rooms: HashSet<String> = (0..200).map(|n| pseudonyms.of(&format!("R{n:02}"))).collect();
        assert_eq!(rooms.len(), 200);
        let floors: HashSet<String> = (1..=9).map(|n| pseudonyms.of(&n.to_string())).collect();
        assert!(floors.len() >= 8, "{floors:?}");
    }

    #[test]
    fn what_says_nothing_stays() {
        for text in ["", " ", "0", "00:00:00", "XXXXXXX", "-"] {
            assert_eq!(pseudonyms().of(text), text);
        }
    }

    #[test]
    fn another_key_makes_other_pseudonyms() {
        assert_ne!(pseudonyms().of("Anna Miller"), Pseudonyms::new(&[8; 32]).of("Anna Miller"));
    }
}
