//! Reads untrusted text files, JSON and PEM with tolerance and within bounds, and shows them without harm.
//!
//! Each kind has one reader, which every module uses. Editors, proxies and PowerShell put a byte order mark in front of a
//! text; it is never part of the text.

pub mod json;
pub mod pem;
mod repair;
pub mod shown;

pub use repair::repair;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The byte order mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a byte order mark.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a regular file of at most `max_bytes`, without a byte order mark. The error follows the name of the file.
///
/// Blocks on the disk.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| unusable(&error))?;
    // Opening a named pipe would wait for its writer.
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    read_from(File::open(path), max_bytes)
}

/// Reads an open file like [`read`], whatever its kind is.
pub fn read_from(file: io::Result<File>, max_bytes: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let limited = file.map(|file| file.take(max_bytes + 1));
    limited.and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|error| unusable(&error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("is larger than {max_bytes} bytes"));
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(bytes)
}

/// Reads a regular file like [`read`], as text.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<String, String> {
    text(read(path, max_bytes)?)
}

/// The text of a file. The error follows the name of the file.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16 text, as PowerShell writes it; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// The reason why a file cannot be read. It follows the name of the file.
pub fn unusable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_within_its_bound_and_without_its_mark() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for (content, expected) in [
            (&b"four"[..], Ok("four")),
            (b"\xef\xbb\xbffour", Ok("four")),
            (b"\xef\xbb\xbf", Ok("")),
            (b"", Ok("")),
            (b"\xef\xbb\xbf\xef\xbb\xbfx", Ok("\u{feff}x")),
            (b"eight or more", Err("is larger than 8 bytes")),
            (b"\xff\xfef\0", Err("is UTF-16 text, as PowerShell writes it; save it as UTF-8")),
            (b"\xfe\xff\0f", Err("is UTF-16 text, as PowerShell writes it; save it as UTF-8")),
            (b"caf\xe9", Err("is not UTF-8 text")),
        ] {
            fs::write(&path, content).expect("written");
            let read = read_text(&path, 8);
            assert_eq!(read.as_deref().map_err(String::as_str), expected, "{content:?}");
        }
        assert_eq!(read(folder.path(), 8), Err("is not a regular file".to_owned()));
        assert_eq!(read(&folder.path().join("absent"), 8), Err("does not exist".to_owned()));
    }
}
