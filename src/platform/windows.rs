//! The half for Windows: access lists come from the parent directory, requests to end from the console.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::windows::fs::MetadataExt as _;
use std::path::Path;

use futures_util::stream::{self, Stream};
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_logoff,
    ctrl_shutdown,
};

/// Identifies a file by its time of creation: the standard library does not report the index of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    created: u64,
}

impl FileId {
    /// Takes the identity from what the system reports about the file.
    pub fn of(metadata: &Metadata) -> Self {
        Self { created: metadata.creation_time() }
    }
}

/// Creates a directory, and its parents if `recursive`. It inherits the access list of its parent.
pub fn create_directory(path: &Path, recursive: bool) -> io::Result<()> {
    DirBuilder::new().recursive(recursive).create(path)
}

/// Creates a file, which inherits the access list of its directory. Fails if something has that name.
pub fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Returns false: the access list is not read.
pub fn anyone_may_write(_: &Metadata) -> bool {
    false
}

/// Does nothing: NTFS logs new names itself, and a directory cannot be synced.
pub fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The requests to end: Ctrl-C, Ctrl-Break, a closed console, the end of the session and of Windows.
#[derive(Debug)]
pub struct Stops {
    interrupt: CtrlC,
    break_key: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Stops {
    /// Registers the requests. From then on Ctrl-C and Ctrl-Break do not end the process.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            break_key: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Waits for the next request.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.break_key.recv() => {}
            _ = self.close.recv() => {}
            _ = self.logoff.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// Never yields: Windows has no SIGHUP, `/-/reload` takes its place.
pub fn reload_requests() -> io::Result<impl Stream<Item = ()> + Send> {
    Ok(stream::pending())
}

/// The sockets of systemd, which Windows does not have.
#[derive(Debug)]
pub struct Sockets;

impl Sockets {
    /// Takes nothing.
    pub fn inherited() -> Self {
        Self
    }

    /// Fails.
    pub fn listeners(&mut self) -> io::Result<Vec<TcpListener>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no systemd"))
    }
}

/// Fails: no service manager waits for it.
pub fn ready(_: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no systemd"))
}
