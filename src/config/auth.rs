//! How a tenant is signed in to: exactly one way, out of the file or the environment.

use std::path::{Path, PathBuf};

use serde_saphyr::Spanned;
use url::{Host, Url};

use super::error::Error;
use super::file::{RawAuth, RawDelegated, RawManagedIdentity, Text};
use super::secret::{self, Credential, Secret, SecretFiles};
use super::tenant::{TenantReader, check_guid};
use super::{Env, cloud};
use crate::certificate::{Certificate, certificates_of};
use crate::input;

/// What proves to Entra who we are. All files are read anew at each sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    Secret(Credential),
    Certificate(CertificateFiles),
    /// A token of another issuer that Entra trusts, in a file that its owner keeps fresh: the workload identity of
    /// Kubernetes, for one.
    FederatedToken(PathBuf),
    ManagedIdentity(ManagedIdentity),
    /// A user who has signed in by `login`: the file with the refresh token, which may not be there yet.
    Delegated(PathBuf),
}

/// A certificate and its private key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    /// Where the key is not in the same file.
    pub key: Option<PathBuf>,
    /// Whether each assertion carries the chain, for an application that trusts subject and issuer.
    pub send_chain: bool,
}

/// The identity that Azure gives a machine or an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// Of a user-assigned identity; a GUID in lower case.
    pub client_id: Option<String>,
    /// Where tokens are.
    pub endpoint: Url,
    /// What App Service and Container Apps want to see; without one it is the metadata service of a machine.
    pub header: Option<Secret>,
}

/// The metadata service of a virtual machine.
const METADATA_SERVICE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// A certificate with its chain and key takes some 10 KiB, all authorities of a system some 250.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

impl Auth {
    /// The way in words.
    pub const fn way(&self) -> &'static str {
        match self {
            Self::Secret(_) => "by secret",
            Self::Certificate(_) => "by certificate",
            Self::FederatedToken(_) => "by federated token",
            Self::ManagedIdentity(_) => "by managed identity",
            Self::Delegated(_) => "for a user",
        }
    }
}

impl CertificateFiles {
    /// The certificate as it is now.
    pub fn read(&self) -> Result<Certificate, Error> {
        let bytes = |path: &Path| {
            input::read(path, MAX_PEM_BYTES).map_err(|reason| Error::File { path: path.to_owned(), reason })
        };
        let certificates = bytes(&self.certificate)?;
        let key = self.key.as_deref().map(bytes).transpose()?;
        Certificate::from_pem(&certificates, key.as_ref().unwrap_or(&certificates))
            .map_err(|reason| Error::File { path: self.certificate.clone(), reason: self.about(&reason) })
    }

    /// Tells of the key's file, where that is another one.
    fn about(&self, reason: &str) -> String {
        match &self.key {
            Some(key) => format!("with the key in {}: {reason}", key.display()),
            None => reason.to_owned(),
        }
    }
}

/// The authorities of a `ca_file` in DER, as they are now.
pub fn read_authorities(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    input::read(path, MAX_PEM_BYTES)
        .and_then(|bytes| certificates_of(&bytes))
        .map_err(|reason| Error::File { path: path.to_owned(), reason })
}

/// What the environment signs in with; none where it names nothing.
pub(super) fn of_environment(env: &Env<'_>, files: SecretFiles) -> Result<Option<Auth>, Error> {
    const WAYS: [&str; 4] = [
        "AZURE_CLIENT_SECRET",
        "AZURE_CLIENT_SECRET_FILE",
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_FEDERATED_TOKEN_FILE",
    ];
    let given: Vec<_> = WAYS.iter().filter_map(|way| Some((*way, env(way)?))).collect();
    let (setting, value) = match &given[..] {
        [] => return Ok(None),
        [(setting, value)] => (*setting, value.as_str()),
        [(setting, _), (other, _), ..] => {
            let reason = format!("is set beside {other}; keep one of them");
            return Err(Error::Setting { setting, reason });
        }
    };
    let here = Path::new("");
    let auth = match setting {
        "AZURE_CLIENT_SECRET" => secret::given(&Secret::new(value)).map(Auth::Secret),
        "AZURE_CLIENT_SECRET_FILE" => secret::in_file(value, here, files).map(Auth::Secret),
        "AZURE_FEDERATED_TOKEN_FILE" => {
            secret::in_file(value, here, files).map(|_| Auth::FederatedToken(value.into()))
        }
        _ => {
            let send_chain = flag(env, "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")?;
            certificate(CertificateFiles { certificate: value.into(), key: None, send_chain }, files)
        }
    };
    auth.map(Some).map_err(|reason| Error::Setting { setting, reason })
}

/// Azure's own tools take `1` and `true`.
fn flag(env: &Env<'_>, setting: &'static str) -> Result<bool, Error> {
    let Some(text) = env(setting) else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::Setting { setting, reason: "is none of true, false, 1 and 0".to_owned() }),
    }
}

fn certificate(certificate: CertificateFiles, files: SecretFiles) -> Result<Auth, String> {
    if files == SecretFiles::Read {
        certificate.read().map_err(|error| error.to_string())?;
    }
    Ok(Auth::Certificate(certificate))
}

impl TenantReader<'_> {
    /// The one way that is given. `spare` is the environment, where it may speak for this tenant.
    pub(super) fn auth(&self, env: &Env<'_>, spare: Option<&Env<'_>>) -> Result<Auth, Error> {
        if let Some(auth) = &self.raw.value.auth
            && let Some(auth) = self.way_of(&auth.value, env)?
        {
            return Ok(auth);
        }
        let found = spare.map(|env| of_environment(env, self.source.secret_files)).transpose()?.flatten();
        found.ok_or_else(|| {
            let others = match spare {
                Some(_) => ", or set AZURE_CLIENT_SECRET or AZURE_CLIENT_SECRET_FILE",
                None => " (AZURE_CLIENT_SECRET serves a single tenant only)",
            };
            let ways = "certificate_file, federated_token_file, managed_identity or delegated";
            self.missing("auth", &format!("give client_secret_file or client_secret{others}; or {ways}"))
        })
    }

    /// Names the two ways if there are two, before other errors: those depend on the way.
    pub(super) fn check_one_way(&self) -> Result<(), Error> {
        let Some(auth) = &self.raw.value.auth else { return Ok(()) };
        let raw = &auth.value;
        let ways = [
            ("client_secret", raw.client_secret.is_some()),
            ("client_secret_file", raw.client_secret_file.is_some()),
            ("certificate_file", raw.certificate_file.is_some()),
            ("federated_token_file", raw.federated_token_file.is_some()),
            ("managed_identity", raw.managed_identity.is_some()),
            ("delegated", raw.delegated.is_some()),
        ];
        let given: Vec<_> = ways.iter().filter(|(_, given)| *given).map(|(way, _)| *way).collect();
        if let [first, second, ..] = given[..] {
            return Err(self.wrong(
                auth,
                "auth",
                &format!("has both {first} and {second}; keep one of them"),
            ));
        }
        let of_certificate = raw.certificate_key_file.is_some() || raw.send_certificate_chain.is_some();
        if of_certificate && raw.certificate_file.is_none() {
            let reason = "certificate_key_file and send_certificate_chain need a certificate_file";
            return Err(self.wrong(auth, "auth", reason));
        }
        if let (Some(expires), [way]) = (&raw.client_secret_expires, &given[..])
            && !way.starts_with("client_secret")
        {
            return Err(self.wrong(
                expires,
                "auth.client_secret_expires",
                &format!("there is no secret beside {way}"),
            ));
        }
        Ok(())
    }

    fn way_of(&self, raw: &RawAuth, env: &Env<'_>) -> Result<Option<Auth>, Error> {
        let (folder, files) = (self.source.folder(), self.source.secret_files);
        if let Some(secret) = &raw.client_secret {
            return self.check("auth.client_secret", secret, secret::given).map(|it| Some(Auth::Secret(it)));
        }
        if let Some(path) = &raw.client_secret_file {
            let read = |path: &String| secret::in_file(path, folder, files);
            return self.check("auth.client_secret_file", path, read).map(|it| Some(Auth::Secret(it)));
        }
        if let Some(path) = &raw.federated_token_file {
            let read = |path: &String| secret::in_file(path, folder, files).map(|_| folder.join(path));
            return self
                .check("auth.federated_token_file", path, read)
                .map(|it| Some(Auth::FederatedToken(it)));
        }
        if let Some(path) = &raw.certificate_file {
            return self.certificate(raw, path).map(Some);
        }
        if let Some(raw) = &raw.managed_identity {
            return self.managed_identity(&raw.value, env).map(Some);
        }
        raw.delegated.as_ref().map(|raw| self.delegated(raw)).transpose()
    }

    fn certificate(&self, raw: &RawAuth, path: &Text) -> Result<Auth, Error> {
        let key = raw.certificate_key_file.as_ref();
        let send_chain = match raw.send_certificate_chain.as_ref() {
            None => false,
            Some(text) => self.check("auth.send_certificate_chain", text, |text| match text.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err("is neither true nor false".to_owned()),
            })?,
        };
        let folder = self.source.folder();
        for text in [Some(path), key].into_iter().flatten() {
            let is_path = |text: &String| {
                if secret::looks_like_a_secret(text) { Err(secret::NOT_A_PATH.to_owned()) } else { Ok(()) }
            };
            self.check("auth", text, is_path)?;
        }
        self.check("auth.certificate_file", path, |path| {
            let key = key.map(|key| folder.join(&key.value));
            let certificate_files = CertificateFiles { certificate: folder.join(path), key, send_chain };
            certificate(certificate_files, self.source.secret_files)
        })
    }

    fn managed_identity(&self, raw: &RawManagedIdentity, env: &Env<'_>) -> Result<Auth, Error> {
        let client_id = raw.client_id.as_ref();
        let client_id = client_id
            .map(|id| self.check("auth.managed_identity.client_id", id, |id| check_guid(id)))
            .transpose()?;
        let setting = "IDENTITY_ENDPOINT";
        let of_app = env(setting).zip(env("IDENTITY_HEADER"));
        if of_app.is_none() && env(setting).is_some() {
            let reason =
                "is set without IDENTITY_HEADER, as Azure Arc sets it; managed identities of Arc are not \
                          supported: sign in with certificate_file, or take the variable away"
                    .to_owned();
            return Err(Error::Setting { setting, reason });
        }
        let identity = if let Some((endpoint, header)) = of_app {
            let endpoint = local(&endpoint).map_err(|reason| Error::Setting { setting, reason })?;
            ManagedIdentity { client_id, endpoint, header: Some(Secret::new(header)) }
        } else {
            let endpoint = Url::parse(METADATA_SERVICE).expect("a constant");
            ManagedIdentity { client_id, endpoint, header: None }
        };
        Ok(Auth::ManagedIdentity(identity))
    }

    /// Only the folder must be there: `login` makes the file.
    fn delegated(&self, raw: &Spanned<RawDelegated>) -> Result<Auth, Error> {
        let Some(path) = &raw.value.refresh_token_file else {
            return Err(self.wrong(raw, "auth.delegated", "needs refresh_token_file, which `login` writes"));
        };
        self.check("auth.delegated.refresh_token_file", path, |text| {
            let path = self.source.folder().join(text);
            if secret::looks_like_a_secret(text) {
                return Err(secret::NOT_A_PATH.to_owned());
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let must_exist = self.source.secret_files == SecretFiles::Read;
            if must_exist && folder.is_some_and(|folder| !folder.is_dir()) {
                return Err(format!("the folder of `{}` does not exist", path.display()));
            }
            Ok(Auth::Delegated(path))
        })
    }

    /// The authorities that are trusted for this tenant beside the system's own.
    pub(super) fn ca_file(&self) -> Result<Option<PathBuf>, Error> {
        let check = |text: &String| {
            let path = self.source.folder().join(text);
            read_authorities(&path).map(|_| path).map_err(|error| error.to_string())
        };
        self.raw.value.ca_file.as_ref().map(|text| self.check("ca_file", text, check)).transpose()
    }
}

/// Azure's endpoints answer plain http on this machine, or on the link to its host.
fn local(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("this is no URL: {error}"))?;
    match url.host() {
        Some(Host::Ipv4(address)) if url.scheme() == "http" && address.is_link_local() => Ok(url),
        _ => cloud::root(text).map(|_| url),
    }
}
