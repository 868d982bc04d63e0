//! The differences between operating systems: rights of files, signals and the service manager.
//!
//! Each half has the same functions, so that no other module asks where it runs. `tests/it/layers.rs` holds that.

#[cfg(unix)]
mod systemd;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use systemd::{Sockets, ready};
#[cfg(unix)]
pub use unix::{
    FileId, Stops, anyone_may_write, create_directory, create_file, reload_requests, sync_directory,
};
#[cfg(windows)]
pub use windows::{
    FileId, Sockets, Stops, anyone_may_write, create_directory, create_file, ready, reload_requests,
    sync_directory,
};
