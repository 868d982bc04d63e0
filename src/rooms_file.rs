//! Reads the rooms file, and again when it changed.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::input;
use crate::model::rooms_file::{self, Rooms};
use crate::platform::FileId;

/// A hundred thousand rooms with every column filled take some 15 MB; a larger file is another one.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Why there is nothing to use in the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the rooms file {} {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the rooms file {}, {error}", path.display())]
    Wrong { path: PathBuf, error: rooms_file::Error },
}

/// A rooms file and the state in which it was last read.
#[derive(Debug)]
pub struct RoomsFile {
    path: PathBuf,
    read: Option<Stamp>,
}

/// Identifies a version of the file: an editor changes time and size, a replaced or newly mounted file is another one.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    id: FileId,
}

impl RoomsFile {
    /// A file that was not read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read: None }
    }

    /// What the file says, if it is not as it was last read. After an error what was read before still counts, and
    /// the next call tries again.
    ///
    /// Blocks on the disk; a file that did not change costs one look at its directory entry.
    pub fn read_if_changed(&mut self) -> Result<Option<Rooms>, Error> {
        let stamp = Stamp::of(&metadata(&self.path)?);
        if self.read.as_ref() == Some(&stamp) {
            return Ok(None);
        }
        let rooms = read(&self.path)?;
        // Taken before the file was read: a change in the meantime is seen the next time.
        self.read = Some(stamp);
        Ok(Some(rooms))
    }
}

/// What the file says now.
pub fn read(path: &Path) -> Result<Rooms, Error> {
    let bytes = input::read(path, MAX_FILE_BYTES).map_err(|reason| unreadable(path, reason))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable(path, "is not UTF-8 text; save it as \"CSV UTF-8\"".to_owned()))?;
    rooms_file::parse(&text).map_err(|error| Error::Wrong { path: path.to_owned(), error })
}

fn metadata(path: &Path) -> Result<Metadata, Error> {
    fs::metadata(path).map_err(|error| unreadable(path, input::unusable(&error)))
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::Unreadable { path: path.to_owned(), reason }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self { modified: metadata.modified().ok(), size: metadata.len(), id: FileId::of(metadata) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn names(rooms: Option<Rooms>) -> Option<Vec<String>> {
        rooms.map(|rooms| rooms.keys().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_is_read_again_when_it_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rooms.csv");
        let mut file = RoomsFile::new(&path);
        assert!(file.read_if_changed().is_err());

        fs::write(&path, "email\na@x\n").expect("written");
        assert_eq!(names(file.read_if_changed().expect("sound")), Some(vec!["a@x".to_owned()]));
        assert_eq!(file.read_if_changed().expect("sound"), None);

        fs::write(&path, "email\nab@x\n").expect("written");
        assert_eq!(names(file.read_if_changed().expect("sound")), Some(vec!["ab@x".to_owned()]));

        // Another file of the same size and time.
        let modified = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
        let other = folder.path().join("other.csv");
        fs::write(&other, "email\ncd@x\n").expect("written");
        File::options().append(true).open(&other).and_then(|file| file.set_modified(modified)).expect("set");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(names(file.read_if_changed().expect("sound")), Some(vec!["cd@x".to_owned()]));
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_header() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rooms.csv");
        fs::write(&path, "\u{feff}email\na@x\n").expect("written");
        assert_eq!(names(read(&path).ok()), Some(vec!["a@x".to_owned()]));
    }

    #[test]
    fn a_bad_file_is_an_error_until_it_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rooms.csv");
        let mut file = RoomsFile::new(&path);
        fs::write(&path, "email\noslo\n").expect("written");
        let expected = format!(
            "the rooms file {}, line 2, column email: `oslo` is no e-mail address; write it like oslo@contoso.example",
            path.display()
        );
        for _ in 0..2 {
            assert_eq!(file.read_if_changed().expect_err("no address").to_string(), expected);
        }
        fs::write(&path, "email\noslo@x\n").expect("written");
        assert_eq!(names(file.read_if_changed().expect("sound")), Some(vec!["oslo@x".to_owned()]));
    }

    #[test]
    fn what_is_no_rooms_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let utf16 = folder.path().join("utf16.csv");
        fs::write(&utf16, b"\xff\xfee\0m\0").expect("written");
        let large = folder.path().join("large.csv");
        File::create(&large).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("made");
        for (path, reason) in [
            (folder.path().to_owned(), "is not a regular file".to_owned()),
            (folder.path().join("absent"), "does not exist".to_owned()),
            (utf16, "is not UTF-8 text; save it as \"CSV UTF-8\"".to_owned()),
            (large, format!("is larger than {MAX_FILE_BYTES} bytes")),
        ] {
            let error = read(&path).expect_err("unusable").to_string();
            assert_eq!(error, format!("the rooms file {} {reason}", path.display()));
        }
    }
}
