//! Sign-in for a user, whose refresh token lies in a file: it is replaced at each use, and `login` brings the first.
//!
//! <https://learn.microsoft.com/entra/identity-platform/refresh-tokens>

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use oauth2::{RefreshToken, Scope};
use serde_json::Value;

use crate::graph::auth::endpoint::{Endpoint, Issued, claims, issued};
use crate::graph::error::Error;
use crate::input;
use crate::platform;

/// What is always asked for; `offline_access` is what brings a refresh token.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
/// The delegated permissions of Graph.
const PERMISSIONS: [&str; 2] = ["User.Read", "TeamworkDevice.Read.All"];
/// A refresh token takes one to two kilobytes.
const MAX_BYTES: u64 = 64 * 1024;

pub(super) const CURE: &str = "run `teams-rooms-exporter login`";

/// The file with the refresh token.
pub struct TokenFile {
    path: PathBuf,
    last: Mutex<Option<Used>>,
}

/// What was read, and what came instead: if that could not be written, it is still the one to use.
struct Used {
    read: String,
    newest: String,
}

/// The permissions of Graph at this root, which has no slash at its end.
pub(super) fn scopes(resource: &str) -> Vec<Scope> {
    let openid = OPENID.iter().map(|scope| (*scope).to_owned());
    openid.chain(PERMISSIONS.iter().map(|scope| format!("{resource}/{scope}"))).map(Scope::new).collect()
}

pub(super) async fn sign_in(
    endpoint: &Endpoint,
    file: &TokenFile,
    challenge: Option<&Value>,
) -> Result<Issued, Error> {
    let used = file.read().map_err(|reason| Error::Unauthorized {
        advice: format!("the refresh token file {} {reason}; {CURE}", file.path.display()),
    })?;
    let token = RefreshToken::new(used.newest.clone());
    let request = endpoint.client.exchange_refresh_token(&token).add_scopes(scopes(&endpoint.resource));
    let request = request.add_extra_param("claims", claims(challenge));
    let answer = request.request_async(&|request| endpoint.send(request)).await;
    let fresh = issued(answer).map_err(|error| match error {
        Error::Unauthorized { advice } => Error::Unauthorized { advice: format!("{advice}; {CURE} again") },
        error => error,
    })?;
    if let Some(newest) = &fresh.refresh_token {
        file.keep(Used { newest: newest.secret().clone(), ..used });
    }
    Ok(fresh)
}

impl TokenFile {
    pub fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a token in place of the old one: at no moment is there a half one, and nobody else may read it.
    pub fn replace(&self, token: &str) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let replaced = write(&new, token).and_then(|()| fs::rename(&new, &self.path));
        if replaced.is_err() {
            drop(fs::remove_file(&new));
        }
        replaced?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        platform::sync_directory(folder.unwrap_or(Path::new(".")))
    }

    /// The token to use: that of the file, unless it is the one that has been used already. The error stands behind the
    /// name of the file.
    fn read(&self) -> Result<Used, String> {
        let read = input::read_text(&self.path, MAX_BYTES)?.trim().to_owned();
        if read.is_empty() {
            return Err("is empty".to_owned());
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = last.as_ref().filter(|used| used.read == read).map(|used| used.newest.clone());
        Ok(Used { newest: newest.unwrap_or_else(|| read.clone()), read })
    }

    fn keep(&self, used: Used) {
        if let Err(error) = self.replace(&used.newest) {
            let path = self.path.display();
            tracing::error!(%path, %error, "the new refresh token cannot be written; it is lost at the next restart");
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(used);
    }
}

/// One that a crash left behind may have other rights, and goes first.
fn write(path: &Path, token: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = platform::create_file(path)?;
    file.write_all(token.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn newest(file: &TokenFile) -> Result<String, String> {
        file.read().map(|used| used.newest)
    }

    #[test]
    fn a_token_is_replaced_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("refresh");
        let file = TokenFile::new(path.clone());
        assert_eq!(newest(&file), Err("does not exist".to_owned()));
        fs::write(&path, " one\n").expect("written");
        fs::write(folder.path().join("refresh.new"), "left by a crash").expect("written");
        assert_eq!(newest(&file).as_deref(), Ok("one"));
        file.replace("two").expect("written");
        assert_eq!(newest(&file).as_deref(), Ok("two"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        fs::write(&path, "\n").expect("written");
        assert_eq!(newest(&file), Err("is empty".to_owned()));
    }

    #[test]
    fn a_token_that_could_not_be_written_is_used_until_the_file_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("refresh");
        fs::write(&path, "one").expect("written");
        let file = TokenFile::new(path.clone());
        let used = file.read().expect("there");
        fs::create_dir(folder.path().join("refresh.new")).expect("made"); // no rights can be taken from root
        file.keep(Used { newest: "two".to_owned(), ..used });
        assert_eq!(fs::read_to_string(&path).expect("there"), "one");
        assert_eq!(newest(&file).as_deref(), Ok("two"));
        fs::write(&path, "from login").expect("written");
        assert_eq!(newest(&file).as_deref(), Ok("from login"));
    }
}
