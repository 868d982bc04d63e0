//! Writes a capture to a new directory that only its user can read.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::capture::Capture;
use crate::platform;

/// The file that lists the others.
pub const INDEX: &str = "capture.json";

/// Fails if `write` cannot write there. The caller asks this before it queries Graph.
pub fn check(directory: &Path) -> io::Result<()> {
    let mut entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty; name a new directory"))
        }
    }
}

/// Writes all files of a capture into a directory that is new or empty; the index comes last.
pub fn write(capture: &Capture, directory: &Path) -> io::Result<()> {
    check(directory)?;
    match platform::create_directory(directory, false) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for (name, content) in &capture.files {
        write_new(&directory.join(name), content)?;
    }
    let index = serde_json::to_string_pretty(&capture.index).map_err(io::Error::other)?;
    write_new(&directory.join(INDEX), &format!("{index}\n"))
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut file = platform::create_file(path)?;
    file.write_all(content.as_bytes())
}
