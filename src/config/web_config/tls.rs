//! `tls_server_config`: certificate and key, whom clients must prove to be, versions, ciphers and curves.

use std::sync::Arc;

use rustls::crypto::ring::{ALL_CIPHER_SUITES, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{Content, boolean};
use crate::config::error::{Error, quoted};
use crate::config::file::{Source, Text};
use crate::config::secret::Secret;
use crate::{certificate, input};

/// All roots of the web take some 250 KiB.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Everything a handshake needs.
#[derive(Debug)]
pub struct Tls {
    pub certificate: CertifiedKey,
    /// Nobody is asked for a certificate where there is none.
    pub clients: Option<Clients>,
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// With the cipher suites and curves that are left.
    pub provider: Arc<CryptoProvider>,
    pub own_order_first: bool,
}

/// Which certificates of clients do.
#[derive(Clone, Debug)]
pub struct Clients {
    pub required: bool,
    /// Whose certificates they must be; anybody's where there is none.
    pub roots: Option<Arc<RootCertStore>>,
    /// One of these names must be in the certificate, as it is written here; any name will do where there is none.
    pub allowed_sans: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    cert: Option<Text>,
    key: Option<Spanned<Secret>>,
    client_ca: Option<Text>,
    cert_file: Option<Text>,
    key_file: Option<Text>,
    client_auth_type: Option<Text>,
    client_ca_file: Option<Text>,
    client_allowed_sans: Option<Spanned<Vec<Text>>>,
    min_version: Option<Text>,
    max_version: Option<Text>,
    cipher_suites: Option<Vec<Text>>,
    prefer_server_cipher_suites: Option<Text>,
    curve_preferences: Option<Vec<Text>>,
}

/// The section; none where it is there but says nothing of certificates, as in the toolkit.
pub(super) fn read(
    source: &Source,
    raw: &Spanned<RawTls>,
    content: &mut Content,
) -> Result<Option<Tls>, Error> {
    let section = &raw.value;
    let key = section
        .key
        .as_ref()
        .map(|key| Spanned::new(key.value.expose().to_owned(), key.referenced, key.defined));
    let cert = either(("cert", section.cert.as_ref()), ("cert_file", section.cert_file.as_ref()));
    let key = either(("key", key.as_ref()), ("key_file", section.key_file.as_ref()));
    let ca = either(
        ("client_ca", section.client_ca.as_ref()),
        ("client_ca_file", section.client_ca_file.as_ref()),
    );
    let policy = given(section.client_auth_type.as_ref());
    let (cert, key) = match (cert, key) {
        (None, None) if ca.is_none() && policy.is_none() => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (None, _) => return Err(missing(source, raw, "cert_file")),
        (_, None) => return Err(missing(source, raw, "key_file")),
    };
    let provider = CryptoProvider {
        cipher_suites: cipher_suites(source, section.cipher_suites.as_deref().unwrap_or_default())?,
        kx_groups: curves(source, section.curve_preferences.as_deref().unwrap_or_default())?,
        ..default_provider()
    };
    let certificate = certificate(source, &cert, &key, &provider, content)?;
    Ok(Some(Tls {
        certificate,
        clients: clients(source, policy, ca.as_ref(), section.client_allowed_sans.as_ref(), content)?,
        versions: versions(source, section)?,
        provider: Arc::new(provider),
        own_order_first: match &section.prefer_server_cipher_suites {
            Some(text) => check(source, "prefer_server_cipher_suites", text, boolean)?,
            None => true,
        },
    }))
}

/// PEM that stands in the file itself or in one that it names.
struct Pem<'a> {
    key: &'static str,
    text: &'a Text,
    is_file: bool,
}

impl Pem<'_> {
    /// The text, and what `use_it` makes of it.
    fn read<T>(
        &self,
        source: &Source,
        content: &mut Content,
        use_it: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        check(source, self.key, self.text, |text| {
            if !self.is_file {
                return use_it(text.as_bytes());
            }
            let path = source.folder().join(text);
            let of_file = |reason| format!("the file `{}` {reason}", path.display());
            let pem = input::read(&path, MAX_PEM_BYTES).map_err(of_file)?;
            content.add(&pem);
            use_it(&pem).map_err(of_file)
        })
    }
}

/// A value that is given inline or as a file. The file wins over the inline value, as in the toolkit.
fn either<'a>(
    (key, inline): (&'static str, Option<&'a Text>),
    (file_key, file): (&'static str, Option<&'a Text>),
) -> Option<Pem<'a>> {
    match (given(inline), given(file)) {
        (_, Some(text)) => Some(Pem { key: file_key, text, is_file: true }),
        (Some(text), None) => Some(Pem { key, text, is_file: false }),
        (None, None) => None,
    }
}

/// An empty value counts as none, as in the toolkit.
fn given(text: Option<&Text>) -> Option<&Text> {
    text.filter(|text| !text.value.is_empty())
}

fn missing(source: &Source, raw: &Spanned<RawTls>, key: &str) -> Error {
    source.wrong(raw.referenced, format!("tls_server_config: `{key}` is missing"))
}

fn check<T>(
    source: &Source,
    key: &str,
    text: &Text,
    check: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Error> {
    source.check(&format!("tls_server_config.{key}"), text, |text| check(text))
}

/// The chain and its key; that they belong together is part of what is checked.
fn certificate(
    source: &Source,
    cert: &Pem<'_>,
    key: &Pem<'_>,
    provider: &CryptoProvider,
    content: &mut Content,
) -> Result<CertifiedKey, Error> {
    let chain = cert.read(source, content, certificates)?;
    key.read(source, content, |pem| {
        let key = certificate::private_key_block(pem)?;
        let key = certificate::key_for_tls(key).ok_or(UNSUPPORTED)?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                "is not the key of the certificate".to_owned()
            }
            rustls::Error::InvalidCertificate(error) => {
                format!("belongs to a certificate that cannot be used: {error}")
            }
            _ => UNSUPPORTED.to_owned(),
        })
    })
}

const UNSUPPORTED: &str =
    "is of no kind that is supported: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, Ed25519";

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let blocks = certificate::certificate_blocks(pem)?;
    Ok(blocks.into_iter().map(|block| CertificateDer::from(block.der)).collect())
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(pem)? {
        roots.add(root).map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    Ok(roots)
}

/// The policies of Go's `crypto/tls`, which the toolkit takes by their names.
fn clients(
    source: &Source,
    policy: Option<&Text>,
    ca: Option<&Pem<'_>>,
    sans: Option<&Spanned<Vec<Text>>>,
    content: &mut Content,
) -> Result<Option<Clients>, Error> {
    const POLICIES: [&str; 5] = [
        "NoClientCert",
        "RequestClientCert",
        "RequireAnyClientCert",
        "VerifyClientCertIfGiven",
        "RequireAndVerifyClientCert",
    ];
    let name = policy.map_or("NoClientCert", |policy| policy.value.as_str());
    let (required, verified) = match name {
        "NoClientCert" | "RequestClientCert" => (false, false),
        "RequireAnyClientCert" | "RequireClientCert" => (true, false),
        "VerifyClientCertIfGiven" => (false, true),
        "RequireAndVerifyClientCert" => (true, true),
        other => {
            let reason = format!("{} is no policy; one of {}", quoted(other), POLICIES.join(", "));
            return policy
                .map_or(Ok(None), |policy| check(source, "client_auth_type", policy, |_| Err(reason)));
        }
    };
    let wrong = |at, reason: &str| Err(source.wrong(at, format!("tls_server_config.{reason}")));
    match (sans, ca, policy) {
        (Some(sans), _, _) if !required => {
            return wrong(
                sans.referenced,
                "client_allowed_sans: a client may come without a certificate, and so without a name; set \
                 client_auth_type: RequireAndVerifyClientCert",
            );
        }
        (_, Some(ca), _) if name == "NoClientCert" => {
            return wrong(
                ca.text.referenced,
                "client_ca_file: nobody is asked for a certificate; set client_auth_type: RequireAndVerifyClientCert",
            );
        }
        // Go would trust the roots of the system, and with them everybody who has a certificate from any of them.
        (_, None, Some(policy)) if verified => {
            return wrong(
                policy.referenced,
                "client_auth_type: whose certificates are good? Name the CA in client_ca_file",
            );
        }
        _ => {}
    }
    let roots = ca.map(|ca| ca.read(source, content, roots)).transpose()?;
    Ok((name != "NoClientCert").then(|| Clients {
        required,
        roots: roots.filter(|_| verified).map(Arc::new),
        allowed_sans: sans.map(|sans| sans.value.iter().map(|san| san.value.clone()).collect()),
    }))
}

fn versions(source: &Source, section: &RawTls) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    let version = |key, text: &Text| {
        check(source, key, text, |text| match text {
            "TLS12" => Ok(12),
            "TLS13" => Ok(13),
            "TLS10" | "TLS11" => {
                Err(format!("{text} is broken and not spoken here; write TLS12, which is the least"))
            }
            other => Err(format!("{} is no version; TLS12 or TLS13", quoted(other))),
        })
    };
    let least = given(section.min_version.as_ref()).map(|text| version("min_version", text)).transpose()?;
    let most = given(section.max_version.as_ref()).map(|text| version("max_version", text)).transpose()?;
    match (least.unwrap_or(12), most.unwrap_or(13), &section.max_version) {
        (13, 12, Some(text)) => {
            check(source, "max_version", text, |_| Err("is below min_version".to_owned()))
        }
        (13, _, _) => Ok(vec![&TLS13]),
        (_, 12, _) => Ok(vec![&TLS12]),
        _ => Ok(vec![&TLS13, &TLS12]),
    }
}

/// Those of TLS 1.2 that are listed, in this order; those of TLS 1.3 stay, as in Go, which lets nobody choose there.
fn cipher_suites(source: &Source, names: &[Text]) -> Result<Vec<SupportedCipherSuite>, Error> {
    if names.is_empty() {
        return Ok(ALL_CIPHER_SUITES.to_vec());
    }
    let (modern, classic): (Vec<_>, Vec<_>) =
        ALL_CIPHER_SUITES.iter().copied().partition(|suite| suite.tls13().is_some());
    let mut chosen = modern;
    for name in names {
        let suite = check(source, "cipher_suites", name, |name| {
            if ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
                .contains(&name)
            {
                return Ok(None);
            }
            let found = classic.iter().find(|suite| suite.suite().as_str() == Some(name));
            found.copied().map(Some).ok_or_else(|| {
                let known = classic.iter().filter_map(|suite| suite.suite().as_str());
                let known = known.collect::<Vec<_>>().join(", ");
                format!("{} is unknown or too weak to be spoken here; one of {known}", quoted(name))
            })
        })?;
        chosen.extend(suite);
    }
    Ok(chosen)
}

/// Go's names of the curves.
fn curves(source: &Source, names: &[Text]) -> Result<Vec<&'static dyn SupportedKxGroup>, Error> {
    let curve = |name: &Text| {
        check(source, "curve_preferences", name, |name| match name {
            "X25519" => Ok(kx_group::X25519),
            "CurveP256" => Ok(kx_group::SECP256R1),
            "CurveP384" => Ok(kx_group::SECP384R1),
            other => {
                Err(format!("{} is not spoken here; one of X25519, CurveP256, CurveP384", quoted(other)))
            }
        })
    };
    if names.is_empty() {
        return Ok(default_provider().kx_groups);
    }
    names.iter().map(curve).collect()
}
