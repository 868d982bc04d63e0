//! Patterns over names: `*` is any text, `?` any character, letters match in any case.

use std::fmt::{self, Write as _};

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Folded);

/// Text in lower case, letter by letter.
pub(super) type Folded = Vec<char>;

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| f.write_char(*letter))
    }
}

impl Glob {
    /// Reads a pattern over names; the error says why none could match.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty and matches nothing; `*` matches everything".to_owned());
        }
        if text.contains(char::is_control) {
            return Err("has a line break or another control character, which no name has".to_owned());
        }
        Ok(Self(folded(text)))
    }

    /// Reads a pattern over e-mail addresses; the error says why no address could match.
    pub fn parse_email(text: &str) -> Result<Self, String> {
        let glob = Self::parse(text)?;
        if text.contains(char::is_whitespace) {
            return Err("matches nothing: no e-mail address has a space".to_owned());
        }
        match text.matches('@').count() {
            0 if !text.contains(['*', '?']) => {
                Err("matches nothing: every e-mail address has an @; write it like *-ber-*@*".to_owned())
            }
            0 | 1 => Ok(glob),
            _ => Err("matches nothing: no e-mail address has two @".to_owned()),
        }
    }

    pub fn matches(&self, text: &str) -> bool {
        self.matches_folded(&folded(text))
    }

    pub(super) fn matches_folded(&self, text: &[char]) -> bool {
        let (mut pattern, mut text) = (self.0.as_slice(), text);
        // What follows the last star, and the text that is left when the star takes one more character.
        let mut retry: Option<(&[char], &[char])> = None;
        loop {
            match (pattern, text) {
                (['*', after @ ..], _) => {
                    retry = Some((after, text));
                    pattern = after;
                }
                ([], []) => return true,
                ([expected, after @ ..], [found, rest @ ..]) if *expected == '?' || expected == found => {
                    (pattern, text) = (after, rest);
                }
                _ => {
                    let Some((after, [_, rest @ ..])) = retry else { return false };
                    retry = Some((after, rest));
                    (pattern, text) = (after, rest);
                }
            }
        }
    }
}

pub(super) fn folded(text: &str) -> Folded {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], other: &[&str]) {
        let glob = Glob::parse(pattern).expect("sound");
        for text in matching {
            assert!(glob.matches(text), "{pattern} {text}");
        }
        for text in other {
            assert!(!glob.matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_a_pattern_matches() {
        check("BER*", &["BER", "ber 1", "Berlin"], &["BE", "xBER", ""]);
        check("*-ber-*@*", &["room-BER-1@contoso.example", "-ber-@"], &["room-ber@contoso.example", "-ber-"]);
        check("b?r", &["ber", "BÄR"], &["br", "beer"]);
        check("*", &["", "x"], &[]);
        check("a*b*c", &["abc", "aXbXbXc", "abcbc"], &["ab", "abcd", "acb"]);
        check("münchen", &["MÜNCHEN"], &["munchen"]);
        check("**x", &["x", "xx"], &["y"]);
    }

    #[test]
    fn a_long_text_takes_no_long_time() {
        let glob = Glob::parse(&"*a".repeat(100)).expect("sound");
        assert!(!glob.matches(&format!("{}b", "a".repeat(10_000))));
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for text in ["", "  ", "a\nb"] {
            assert!(Glob::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "a b@*", "a@b@c", "*@*@*", "berlin"] {
            assert!(Glob::parse_email(text).is_err(), "{text:?}");
        }
        for text in ["*", "berlin*", "berlin@*", "?ber?", "a@b"] {
            assert!(Glob::parse_email(text).is_ok(), "{text:?}");
        }
    }
}
