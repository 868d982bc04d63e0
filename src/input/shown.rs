//! Text of others on a terminal and in a log: no character of it moves the cursor, colors, hides or turns round what an
//! operator reads.

use std::fmt::{self, Write as _};
use std::io;

/// Returns true if a character does something other than show itself: controls (C0 and C1), ends of lines, marks and
/// overrides of direction, and invisible characters that no script needs.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A text for one line of a terminal; each character that acts becomes U+FFFD.
pub struct Line<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if acts(c) { char::REPLACEMENT_CHARACTER } else { c }))
    }
}

/// JSON in which each character that acts is escaped, but for the ends of lines. It reads back as it was.
pub fn escaped_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && acts(c) {
            _ = write!(escaped, "\\u{:04x}", u32::from(c)); // a String takes everything
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// A writer for terminals: characters that act become U+FFFD, but for the ends of lines.
pub struct Terminal<W> {
    inner: W,
    /// The start of a character whose rest has not come yet.
    begun: Vec<u8>,
}

impl<W: io::Write> Terminal<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new() }
    }
}

impl<W: io::Write> io::Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let rest = self.begun.split_off(whole);
        let text = std::mem::replace(&mut self.begun, rest);
        let plain = |c: char| if c != '\n' && acts(c) { char::REPLACEMENT_CHARACTER } else { c };
        let shown: String = String::from_utf8_lossy(&text).chars().map(plain).collect();
        self.inner.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        for steers in [
            "\u{1b}[2J",
            "\r",
            "\u{8}",
            "\u{9b}31m",
            "\u{85}",
            "\u{2028}",
            "\u{202e}",
            "\u{200b}",
            "\u{2066}",
            "\u{61c}",
            "\u{feff}",
        ] {
            let shown = Line(&format!("a{steers}b")).to_string();
            assert!(
                !shown.contains(acts) && shown.starts_with("a\u{fffd}") && shown.ends_with('b'),
                "{shown:?}"
            );
        }
        assert_eq!(Line("Zürich 東京 🎥 -").to_string(), "Zürich 東京 🎥 -");
    }

    #[test]
    fn json_reads_back_as_it_was() {
        let text = "a\u{7f}\u{9b}31m\u{202e}\u{200b}Zürich";
        let escaped = escaped_json(&serde_json::json!({ "name": text }).to_string());
        assert!(!escaped.contains(acts) && escaped.contains("Zürich"), "{escaped}");
        let read: serde_json::Value = serde_json::from_str(&escaped).expect("JSON");
        assert_eq!(read["name"], text);
    }

    #[test]
    fn a_terminal_gets_lines_and_nothing_that_acts_however_they_are_cut() {
        let text = "Oslo \u{1b}[2J\u{202e}東\n京\r\n";
        for size in 1..text.len() {
            let mut out = Vec::new();
            let mut terminal = Terminal::new(&mut out);
            text.as_bytes().chunks(size).for_each(|chunk| terminal.write_all(chunk).expect("memory"));
            assert_eq!(
                String::from_utf8(out).as_deref(),
                Ok("Oslo \u{fffd}[2J\u{fffd}東\n京\u{fffd}\n"),
                "{size}"
            );
        }
    }
}
