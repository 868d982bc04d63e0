//! Secrets that cannot be printed, and where they come from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use crate::input;
use crate::model::Timestamp;

/// A secret is a line of text; a file of more than this is a mistake that shall not fill the memory.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Text that shows as `<redacted>` wherever it is printed.
#[derive(Clone, Deserialize, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; for the sign-in request, and to tell which of the application's secrets it is.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text without the byte order mark and the line end that editors and `echo` leave, or why it cannot be a secret.
    fn checked(&self) -> Result<Self, String> {
        let text = input::without_mark(&self.0).trim_end_matches(['\r', '\n']);
        let wrong = |reason: &str| Err(reason.to_owned());
        if text.trim().is_empty() {
            return wrong("is empty");
        }
        if text.contains(['\r', '\n']) {
            return wrong("has more than one line; a secret is a single line");
        }
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return wrong("has quotes around it; leave them out");
        }
        match text.chars().position(|c| !c.is_ascii_graphic()) {
            Some(at) => Err(format!(
                "cannot be used: character {} is a blank, invisible or not plain ASCII; copy the value again",
                at + 1
            )),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// What proves who somebody is: the exporter at sign-in, a portal at the intake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Secret(Secret),
    /// Read anew again and again, so that a renewed secret needs no restart.
    SecretFile(PathBuf),
}

impl Credential {
    /// The secret as it is now, without a line end.
    pub fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::Secret(secret) => Ok(secret.clone()),
            Self::SecretFile(path) => {
                read_file(path).map_err(|reason| Error::File { path: path.clone(), reason })
            }
        }
    }
}

/// Checks a secret given as text.
pub(super) fn given(secret: &Secret) -> Result<Credential, String> {
    secret.checked().map(Credential::Secret).map_err(|reason| format!("the secret {reason}"))
}

pub(super) const NOT_A_PATH: &str = "looks like the secret itself; give the path of a file that holds it";

/// Selects whether the files with secrets must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretFiles {
    /// They exist, and their content is sound.
    Read,
    /// Only their names are checked, as on a machine that never has the secrets.
    Skip,
}

/// Checks that a file holds a secret, without keeping it; `folder` is what a relative path is relative to.
pub(super) fn in_file(text: &str, folder: &Path, files: SecretFiles) -> Result<Credential, String> {
    let path = folder.join(text);
    if files == SecretFiles::Skip {
        return if looks_like_a_secret(text) {
            Err(NOT_A_PATH.to_owned())
        } else {
            Ok(Credential::SecretFile(path))
        };
    }
    match read_file(&path) {
        Ok(_) => Ok(Credential::SecretFile(path)),
        Err(_) if looks_like_a_secret(text) => Err(NOT_A_PATH.to_owned()),
        Err(reason) => Err(format!("the secret file `{}` {reason}", path.display())),
    }
}

/// Reads a date, by which its first moment is meant, or a time. The text itself is not shown: the secret stands beside it.
pub(super) fn expiry(text: &str) -> Result<Timestamp, String> {
    let is_date = text.len() == "2027-01-31".len();
    let time = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&time).ok_or_else(|| {
        "is no date; write it like 2027-01-31, or with the time like 2027-01-31T12:00:00Z".to_owned()
    })
}

/// Characters of an intake secret. It faces the internet and is guessed at without a limit worth the name: 32 of them
/// are 128 bits even where all are hexadecimal digits.
const MIN_INTAKE_CHARACTERS: usize = 32;

/// Checks an intake secret: long enough, and the same in a path as in a header.
pub fn check_intake(secret: &Secret) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if !secret.expose().chars().all(plain) {
        return Err(
            "has characters other than a-z, A-Z, 0-9, `-`, `_`, `.` and `~`, which stand in a URL as they \
                    are; `openssl rand -hex 32` makes a good one"
                .to_owned(),
        );
    }
    if secret.expose().len() < MIN_INTAKE_CHARACTERS {
        return Err(format!(
            "has fewer than {MIN_INTAKE_CHARACTERS} characters, and anybody on the internet may guess; \
             `openssl rand -hex 32` makes a good one"
        ));
    }
    Ok(())
}

/// Checks that this secret, as given or in its file, may guard an intake.
pub(super) fn for_intake(credential: Credential, files: SecretFiles) -> Result<Credential, String> {
    if files == SecretFiles::Skip && matches!(credential, Credential::SecretFile(_)) {
        return Ok(credential);
    }
    let secret = credential.read().map_err(|error| error.to_string())?;
    match check_intake(&secret) {
        Ok(()) => Ok(credential),
        Err(reason) => Err(match &credential {
            Credential::Secret(_) => format!("the secret {reason}"),
            Credential::SecretFile(path) => format!("the secret in `{}` {reason}", path.display()),
        }),
    }
}

/// The secret in a file.
fn read_file(path: &Path) -> Result<Secret, String> {
    input::read_text(path, MAX_SECRET_BYTES).and_then(|text| Secret(text).checked())
}

/// Whether text given as a path is rather a secret that was pasted there, and must not be shown.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    let has = |test: fn(&char) -> bool| text.chars().any(|c| test(&c));
    text.len() >= 30
        && !text.contains(['/', '\\'])
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_never_shows() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "<redacted> <redacted> <redacted>");
        assert_eq!(format!("{:?}", Credential::Secret(secret.clone())), "Secret(<redacted>)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_secret_file_is_read_anew_each_time_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        let credential = Credential::SecretFile(path.clone());
        for (content, expected) in [
            ("hunter2", Some("hunter2")),
            ("hunter2\n", Some("hunter2")),
            ("hunter2\r\n", Some("hunter2")),
            ("\u{feff}hunter2\n", Some("hunter2")),
            ("hunter\"2", Some("hunter\"2")),
            ("", None),
            ("\n \n", None),
        ] {
            fs::write(&path, content).expect("written");
            let read = credential.read();
            assert_eq!(read.as_ref().ok().map(Secret::expose), expected, "{content:?}");
        }
    }

    #[test]
    fn why_a_secret_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("empty"), "\n").expect("written");
        fs::write(folder.path().join("binary"), b"\xff\xfb").expect("written");
        fs::write(folder.path().join("utf16"), b"\xff\xfex\0").expect("written");
        fs::write(folder.path().join("quoted"), "\"x~1\"\n").expect("written");
        fs::write(folder.path().join("lines"), "x~1\nx~2\n").expect("written");
        fs::write(folder.path().join("large"), "x".repeat(64 * 1024 + 1)).expect("written");
        fs::create_dir(folder.path().join("folder")).expect("made");
        for (name, reason) in [
            ("absent", "does not exist"),
            ("empty", "is empty"),
            ("binary", "is not UTF-8 text"),
            ("utf16", "is UTF-16 text, as PowerShell writes it; save it as UTF-8"),
            ("quoted", "has quotes around it; leave them out"),
            ("lines", "has more than one line; a secret is a single line"),
            ("large", "is larger than 65536 bytes"),
            ("folder", "is not a regular file"),
        ] {
            let error = in_file(name, folder.path(), SecretFiles::Read).expect_err(name);
            assert_eq!(error, format!("the secret file `{}` {reason}", folder.path().join(name).display()));
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_with_the_place_and_not_shown() {
        for (text, place) in
            [(" abc", 1), ("a bc", 2), ("ab\u{a0}c", 3), ("abc\t", 4), ("abc\u{200b}", 4), ("\u{fc}bc", 1)]
        {
            let expected = format!("the secret cannot be used: character {place} is a blank, invisible");
            let error = given(&Secret::new(text)).expect_err(text);
            assert!(error.starts_with(&expected) && !error.contains(text), "{error}");
        }
        let clean = given(&Secret::new("\u{feff}aB3~Q.0_-\r\n"));
        assert_eq!(clean, Ok(Credential::Secret(Secret::new("aB3~Q.0_-"))));
    }

    #[test]
    fn an_expiry_is_a_date_or_a_time() {
        for (text, expected) in [
            ("2027-01-31", Some(1_801_353_600)),
            ("2027-01-31T12:00:00Z", Some(1_801_396_800)),
            ("2027-01-31T12:00:00+01:00", Some(1_801_393_200)),
            ("2027-02-30", None),
            ("31.01.2027", None),
            ("2027-1-31", None),
            ("2027-01-31T12:00:00", None),
            ("0001-01-01", None),
            ("never", None),
            ("", None),
        ] {
            assert_eq!(expiry(text).ok().map(Timestamp::seconds), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_in_place_of_a_path_is_not_shown() {
        let error = in_file("aB3~Q.0123456789_abcdefghijklmnopqrstuv", Path::new(""), SecretFiles::Read)
            .expect_err("no file");
        assert_eq!(error, "looks like the secret itself; give the path of a file that holds it");
    }
}
