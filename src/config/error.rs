//! What is wrong with the configuration, where, and how to cure it.

use std::path::PathBuf;

/// Why there is no configuration. The message is for the operator and never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file as a whole cannot be used.
    #[error("the file {} {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// One place in the configuration file is wrong.
    #[error("{}:{line}:{column}: {reason}{excerpt}", path.display())]
    Content { path: PathBuf, line: u64, column: u64, reason: String, excerpt: String },
    /// A flag or an environment variable is wrong.
    #[error("{setting}: {reason}")]
    Setting { setting: &'static str, reason: String },
    /// Neither the file nor the environment names a tenant.
    #[error(
        "no tenant is configured{}\n\
         Name one in the environment:\n\
         \x20   AZURE_TENANT_ID=11111111-2222-4333-8444-555555555555\n\
         \x20   AZURE_CLIENT_ID=22222222-3333-4444-8555-666666666666\n\
         \x20   AZURE_CLIENT_SECRET_FILE=/run/secrets/graph    (or AZURE_CLIENT_SECRET)\n\
         or one or more in a file given by --config.file:\n\
         \x20   tenants:\n\
         \x20     - name: contoso\n\
         \x20       tenant_id: 11111111-2222-4333-8444-555555555555\n\
         \x20       client_id: 22222222-3333-4444-8555-666666666666\n\
         \x20       auth: {{ client_secret_file: /run/secrets/graph }}\n\
         `teams-rooms-exporter demo` needs none.",
        file.as_ref().map(|file| format!(", {} lists none", file.display())).unwrap_or_default()
    )]
    NoTenant { file: Option<PathBuf> },
}

/// A value in quotes for a message; cut where it is long, or where a quote left open made it swallow what
/// follows it in the file, which may be a secret.
pub(super) fn quoted(value: &str) -> String {
    const MAX_CHARACTERS: usize = 64;
    let end = value.char_indices().enumerate().find(|(count, (_, c))| {
        *count >= MAX_CHARACTERS || c.is_control() || matches!(c, ':' | '{' | '[' | '"' | '\'')
    });
    match end.and_then(|(_, (at, _))| value.get(..at)) {
        Some(start) => format!("`{start}...`"),
        None => format!("`{value}`"),
    }
}

/// Whether this is a key, as far as its look tells, and not a secret that became one by a slip of syntax: the
/// secrets that Entra makes have digits and capital letters, keys have not.
pub(super) fn is_plain_key(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '-'))
}
