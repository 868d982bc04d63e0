//! The half for Unix: modes of files, inodes, signals.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use futures_util::stream::{self, Stream};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Identifies a file as long as it exists, whatever its name and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Takes the identity from what the system reports about the file.
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// Creates a directory, and its parents if `recursive`, that only its owner can read.
pub fn create_directory(path: &Path, recursive: bool) -> io::Result<()> {
    DirBuilder::new().recursive(recursive).mode(0o700).create(path)
}

/// Creates a file that only its owner can read. Fails if something has that name.
pub fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Returns true if every user may write to the file or directory.
pub fn anyone_may_write(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o002 != 0
}

/// Makes new names in a directory survive a power failure.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The requests to end: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    /// Registers the signals. From then on they do not end the process.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next request.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Each SIGHUP. Several that arrive before the stream is read count as one.
pub fn reload_requests() -> io::Result<impl Stream<Item = ()> + Send> {
    let hangups = signal(SignalKind::hangup())?;
    Ok(stream::unfold(hangups, |mut hangups| async { hangups.recv().await.map(|()| ((), hangups)) }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_created_belongs_to_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inner, file) = (folder.path().join("a/b"), folder.path().join("a/b/file"));
        assert!(create_directory(&inner, false).is_err(), "its parent is missing");
        create_directory(&inner, true).expect("created");
        create_file(&file).expect("created");
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert!(create_file(&file).is_err(), "it exists");
        sync_directory(&inner).expect("synced");
        assert!(sync_directory(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn a_directory_for_everyone_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let writable = || anyone_may_write(&fs::metadata(folder.path()).expect("there"));
        assert!(!writable());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o702)).expect("set");
        assert!(writable());
    }

    #[test]
    fn two_files_have_two_identities() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = |name: &str| FileId::of(&fs::metadata(folder.path().join(name)).expect("there"));
        for name in ["a", "b"] {
            create_file(&folder.path().join(name)).expect("created");
        }
        let first = id("a");
        assert_ne!(first, id("b"));
        fs::rename(folder.path().join("a"), folder.path().join("c")).expect("renamed");
        assert_eq!(first, id("c"));
    }
}
