//! PEM files (RFC 7468) as operators have them: with comments in any encoding, a byte order mark, Windows line ends, or two
//! blocks on one line.
//!
//! A block is either read or named in an error. None is dropped in silence: of a bundle of authorities the one that is
//! missing would be the one that was needed.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::MARK;

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
/// The longest label is `ENCRYPTED PRIVATE KEY`.
const MAX_LABEL: usize = 64;

/// Padding is sometimes lost with a line end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// One block of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// `CERTIFICATE` or `PRIVATE KEY`, for example.
    pub label: String,
    pub der: Vec<u8>,
    /// The line of its BEGIN, counted from 1.
    pub line: usize,
}

/// Reads every block of a file. The error follows the name of the file, and shows nothing of its content.
pub fn blocks(bytes: &[u8]) -> Result<Vec<Block>, String> {
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    if bytes.trim_ascii().is_empty() {
        return Err("is empty".to_owned());
    }
    if let Some(reason) = not_pem(bytes) {
        return Err(reason.to_owned());
    }
    let (mut blocks, mut rest, mut line) = (Vec::new(), bytes, 1);
    while let Some(start) = find(rest, BEGIN) {
        let (comment, from) = rest.split_at(start);
        check_comment(comment, line)?;
        line += lines_in(comment);
        let (block, length) =
            block(from, line).map_err(|reason| format!("has a block in line {line} {reason}"))?;
        blocks.push(block);
        let (read, after) = from.split_at(length);
        (rest, line) = (after, line + lines_in(read));
    }
    check_comment(rest, line)?;
    Ok(blocks)
}

/// The blocks as a file that every reader of PEM takes.
pub fn encode<'b>(blocks: impl IntoIterator<Item = &'b Block>) -> String {
    let mut text = String::new();
    for Block { label, der, .. } in blocks {
        let body = base64::prelude::BASE64_STANDARD.encode(der);
        text.extend(["-----BEGIN ", label, "-----\n"]);
        for line in body.as_bytes().chunks(64) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.extend(["-----END ", label, "-----\n"]);
    }
    text
}

/// The block that these bytes begin with, and its length.
fn block(bytes: &[u8], line: usize) -> Result<(Block, usize), &'static str> {
    const UNSOUND: &str =
        "that is not sound PEM; its first line is -----BEGIN CERTIFICATE-----, or has another label";
    let rest = bytes.get(BEGIN.len()..).unwrap_or_default();
    let start = rest.get(..rest.len().min(MAX_LABEL + DASHES.len())).unwrap_or_default();
    let label = find(start, DASHES).and_then(|length| std::str::from_utf8(start.get(..length)?).ok());
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    let label = label.filter(|label| !label.is_empty() && label.bytes().all(plain)).ok_or(UNSOUND)?;
    let body = rest.get(label.len() + DASHES.len()..).unwrap_or_default();
    let end = format!("-----END {label}-----");
    let length = find(body, end.as_bytes()).ok_or("without an end; is the file cut off?")?;
    let content = body.get(..length).unwrap_or_default();
    if find(content, BEGIN).is_some() {
        return Err("without an end before the next one");
    }
    if content.contains(&b':') {
        return Err("that is encrypted; `openssl pkey -in key.pem -out plain.pem` decrypts it");
    }
    let digits: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let der = BASE64.decode(digits).map_err(|_| "that is not sound PEM; its content is not Base64")?;
    // The dashes at its end may be those before the next one.
    let length = BEGIN.len() + label.len() + DASHES.len() + length + end.len() - DASHES.len();
    Ok((Block { label: label.to_owned(), der, line }, length))
}

/// Rejects a line outside the blocks that was meant to begin or end one: `----BEGIN CERTIFICATE----`, for example.
fn check_comment(comment: &[u8], first_line: usize) -> Result<(), String> {
    let wrong = comment.split(|byte| *byte == b'\n').position(is_broken_border);
    wrong.map_or(Ok(()), |at| {
        let line = first_line + at;
        Err(format!("has a broken border in line {line}; write such lines as -----BEGIN CERTIFICATE-----"))
    })
}

fn is_broken_border(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line).to_uppercase();
    let is_dash = |c: char| matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    ["BEGIN ", "END "].iter().any(|word| {
        let Some((before, after)) = text.split_once(word) else { return false };
        let named = ["CERTIFICATE", "PRIVATE KEY"].iter().find_map(|kind| after.split_once(kind));
        before.trim_end().ends_with(is_dash)
            && named.is_some_and(|(_, rest)| rest.trim_start().starts_with(is_dash))
    })
}

/// The kind of a file that is not PEM but is often given as such, with the command that converts it.
fn not_pem(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("is UTF-16 text, as PowerShell writes it; save it as UTF-8");
    }
    // DER: a sequence whose length takes more than a byte, or follows the indefinite form of some exports.
    let header = match bytes {
        [0x30, 0x82, ..] => 4,
        [0x30, 0x81, ..] => 3,
        [0x30, 0x80, ..] => 2,
        _ => return None,
    };
    let inner = bytes.get(header..).unwrap_or_default();
    Some(match inner {
        [2, 1, 3, ..] => {
            "is a PFX (PKCS #12) file, not PEM; `openssl pkcs12 -in FILE -out certificate.pem -nodes` converts it"
        }
        [2, 1, 0 | 1, ..] => {
            "is a key in DER, not PEM; `openssl pkey -inform DER -in FILE -out key.pem` converts it"
        }
        _ => {
            "is in DER, not PEM; `openssl x509 -inform DER -in FILE -out certificate.pem` converts a certificate"
        }
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Label, content and line of a block.
    type Found<'f> = (&'f str, &'f [u8], usize);

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[Found<'_>], &str>) {
        let read = blocks(bytes);
        let found = read.as_ref().map(|blocks| {
            blocks.iter().map(|block| (&*block.label, &*block.der, block.line)).collect::<Vec<_>>()
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(reason), Err(expected)) => assert!(reason.starts_with(expected), "{reason}"),
            (found, _) => panic!("{found:?} of {}", String::from_utf8_lossy(bytes)),
        }
    }

    const ONE: &[u8] = b"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----";
    const TWO: &[u8] = b"-----BEGIN PRIVATE KEY-----\r\nBA==\r\n-----END PRIVATE KEY-----\r\n";

    #[test]
    fn every_block_is_read_whatever_is_around_it() {
        let (one, two) = (("CERTIFICATE", &[1, 2, 3][..]), ("PRIVATE KEY", &[4][..]));
        let at = |block: (&'static str, &'static [u8]), line| (block.0, block.1, line);
        check(b"no PEM", Ok(&[]));
        check(ONE, Ok(&[at(one, 1)]));
        check(&[MARK, ONE].concat(), Ok(&[at(one, 1)]));
        check(&[ONE, ONE].concat(), Ok(&[at(one, 1), at(one, 3)]));
        check(&[b"# Soci\xe9t\xe9\n", ONE, b" ", TWO].concat(), Ok(&[at(one, 2), at(two, 4)]));
        check(
            &[b"Bag Attributes: <None>\n# begins here --\n", ONE, b"\n-- the end --\n"].concat(),
            Ok(&[at(one, 3)]),
        );
        check(b"-----BEGIN X-----AQ ID-----END X-----", Ok(&[("X", &[1, 2, 3], 1)]));
        check(
            b"-----BEGIN X-----AQID-----END X-----BEGIN X-----BA==-----END X-----",
            Ok(&[("X", &[1, 2, 3], 1), ("X", &[4], 1)]),
        );
        check(b"-----BEGIN X-----\nBA\n-----END X-----", Ok(&[("X", &[4], 1)]));
    }

    #[test]
    fn a_block_that_cannot_be_read_is_named_by_its_line() {
        let after_one = |text: &[u8]| [ONE, b"\n\n", text].concat();
        check(
            &after_one(b"-----BEGIN CERTIFICATE-----\nAQID\n"),
            Err("has a block in line 5 without an end; is the file cut"),
        );
        check(
            &after_one(&[&ONE[..33], b"\n", ONE].concat()),
            Err("has a block in line 5 without an end before the next"),
        );
        check(
            &after_one(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"),
            Err("has a block in line 5 that is not sound PEM"),
        );
        check(
            &after_one(b"-----BEGIN certificate-----\nAQID\n-----END certificate-----"),
            Err("has a block in line 5 that is not sound"),
        );
        check(&after_one(b"-----BEGIN -----"), Err("has a block in line 5 that is not sound"));
        check(&after_one(b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END RSA PRIVATE KEY-----"), Err("has a block in line 5 that is encrypted"));
        for border in [
            "----BEGIN CERTIFICATE----",
            "\u{2014}BEGIN CERTIFICATE\u{2014}",
            "- begin rsa private key -",
            "-----END CERTIFICATE-----",
        ] {
            check(&after_one(border.as_bytes()), Err("has a broken border in line 5"));
        }
    }

    #[test]
    fn other_kinds_of_files_are_named_with_what_converts_them() {
        check(
            b"\x30\x82\x09\x00\x02\x01\x03\x30",
            Err("is a PFX (PKCS #12) file, not PEM; `openssl pkcs12 -in"),
        );
        check(b"\x30\x80\x02\x01\x03\x30", Err("is a PFX"));
        check(b"\x30\x82\x04\xbd\x02\x01\x00\x30", Err("is a key in DER, not PEM; `openssl pkey"));
        check(b"\x30\x82\x03\x00\x30\x82", Err("is in DER, not PEM; `openssl x509"));
        check(b"\xff\xfe-\0", Err("is UTF-16 text"));
        check(b"\xef\xbb\xbf\n", Err("is empty"));
    }

    #[test]
    fn blocks_are_written_as_they_were_read() {
        let der: Vec<u8> = (0..=255).collect();
        let block = Block { label: "CERTIFICATE".to_owned(), der, line: 1 };
        let text = encode([&block, &block]);
        assert!(text.lines().all(|line| line.len() <= 64));
        let read = blocks(text.as_bytes()).expect("sound");
        assert!(read.len() == 2 && read.iter().all(|one| one.der == block.der && one.label == block.label));
    }
}
