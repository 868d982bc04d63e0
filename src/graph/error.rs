//! How a request to Graph can fail. Each case is a decision for the caller, not the library that reported it.

use serde::Deserialize;

use crate::input::json::Scalar;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("Graph throttles this application")]
    Throttled,
    /// Sign-in failed, or Graph refused a fresh token. The text says what to do.
    #[error("sign-in is refused: {advice}")]
    Unauthorized { advice: String },
    #[error("Graph refuses access (403{}): the permission is missing, is of the other kind (application, delegated), or was consented less than two hours ago", .code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Forbidden { code: Option<String> },
    /// 404, 410 or 501: of a collection it means that Graph no longer offers it, of an item that it is not there.
    #[error("Graph has no such resource ({status})")]
    Absent { status: u16 },
    #[error("{whom} cannot be reached: {cause}")]
    Unreachable { whom: Whom, cause: Cause },
    /// Graph understands, and says no: 400 and the like, or a redirect, which is never followed.
    #[error("Graph refuses the request ({status}{}): this tenant or cloud does not take it", .code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Rejected { status: u16, code: Option<String> },
    /// There is more than may be held. The exporter uses the part that came first.
    #[error("there are more than {most}; max_items of the tenant raises that")]
    TooMany { most: usize },
    /// An answer that is not what Microsoft documents.
    #[error("the answer cannot be used: {what}")]
    Malformed { what: String },
}

/// The party that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Whom {
    #[error("Graph")]
    Graph,
    #[error("the sign-in host")]
    SignIn,
    #[error("the endpoint of the managed identity")]
    ManagedIdentity,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("timeout")]
    Timeout,
    #[error("the connection was refused or reset")]
    Reset,
    #[error("its name does not resolve; does DNS work here, or is a proxy needed (HTTPS_PROXY)?")]
    Dns,
    #[error("TLS fails: {0}")]
    Tls(Tls),
    #[error("it answers {0}")]
    Status(u16),
    /// Entra's code says that it has no time.
    #[error("it is busy (AADSTS{0}); the exporter tries again")]
    Busy(u32),
    #[error("the proxy {0}")]
    Proxy(Proxy),
}

/// The reason why a proxy opens no tunnel. The HTTP library does not say with which status it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Proxy {
    #[error(
        "wants a user and password (407); write them into HTTPS_PROXY as http://user:password@proxy:3128"
    )]
    Credentials,
    #[error(
        "opens no way: it forbids this host (403) or cannot reach it (502, 503); have the host allowed there"
    )]
    Refused,
    #[error("breaks off; is HTTPS_PROXY the address of an HTTP proxy?")]
    BrokeOff,
    #[error("cannot be reached; is HTTPS_PROXY right?")]
    Absent,
}

/// What is wrong with TLS, as far as it tells what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tls {
    #[error("the certificate is out of date; is the clock of this machine right?")]
    OutOfDate,
    #[error("the certificate is of another name; a proxy may be in between")]
    OtherName,
    #[error(
        "nobody who is trusted signed the certificate; of a proxy or a private CA, ca_file takes the authority"
    )]
    UnknownAuthority,
    #[error("the other side does not speak it; is it the right port, or a proxy in between?")]
    NotSpoken,
    #[error("a proxy or a private CA may be in between")]
    Other,
}

impl Error {
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    /// Graph does not answer.
    pub fn unreachable(cause: Cause) -> Self {
        Self::Unreachable { whom: Whom::Graph, cause }
    }

    /// The same error of another party than Graph.
    pub(super) fn of(self, whom: Whom) -> Self {
        match self {
            Self::Unreachable { cause, .. } => Self::Unreachable { whom, cause },
            error => error,
        }
    }

    /// Whether Graph refused the token, or what it allows.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Forbidden { .. })
    }

    /// Whether the same request may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable { .. } | Self::Malformed { .. })
    }

    /// The same error where only a part was asked for: a later page, or the envelope of a batch. A 404 then says that this
    /// answer failed, and nothing of the resource.
    pub(super) fn of_part(self) -> Self {
        match self {
            Self::Absent { status } => Self::unreachable(Cause::Status(status)),
            error => error,
        }
    }

    /// The case of an answer that is not 2xx.
    pub(super) fn from_status(status: u16, body: &[u8]) -> Self {
        match status {
            // Graph itself names the fault of a token. The service behind it refuses the application: Intune says 401
            // where others say 403 (microsoft-graph-explorer-v4#706).
            401 if code_of(body).as_deref() == Some("UnknownError") => {
                Self::Forbidden { code: code_of(body) }
            }
            401 => Self::Unauthorized { advice: "Graph does not accept the token (401)".to_owned() },
            403 => Self::Forbidden { code: code_of(body) },
            404 | 410 | 501 => Self::Absent { status },
            429 => Self::Throttled,
            500..=599 => Self::unreachable(Cause::Status(status)),
            _ => Self::Rejected { status, code: code_of(body) },
        }
    }

    /// The label `code` of a request that brought no status.
    pub(super) fn code(&self) -> String {
        match self {
            Self::Unreachable { cause, .. } => cause.label().to_owned(),
            _ => "broken".to_owned(),
        }
    }

    /// Sorts out why no response came.
    pub(crate) fn from_transport(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::unreachable(Cause::Timeout);
        }
        if error.is_body() || error.is_decode() {
            return Self::malformed("the body broke off");
        }
        Self::unreachable(cause_of(error))
    }
}

impl Cause {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::Tls(_) => "tls",
            Self::Status(_) | Self::Busy(_) => "status",
            Self::Proxy(_) => "proxy",
        }
    }
}

/// The libraries below report a name that does not resolve, and a proxy that refuses, in their texts only.
fn cause_of(error: &reqwest::Error) -> Cause {
    let (mut source, mut otherwise) = (std::error::Error::source(error), Cause::Reset);
    while let Some(inner) = source {
        if let Some(error) = tls_error(inner) {
            return Cause::Tls(error.into());
        }
        let text = inner.to_string().to_lowercase();
        if text.contains("dns error") || text.contains("lookup address") {
            return if matches!(otherwise, Cause::Proxy(_)) { otherwise } else { Cause::Dns };
        }
        if let Some(fault) = text.strip_prefix("tunnel error: ") {
            otherwise = Cause::Proxy(proxy_fault(fault));
        }
        source = inner.source();
    }
    otherwise
}

/// `text` is what `hyper_util` says of a tunnel.
fn proxy_fault(text: &str) -> Proxy {
    match text {
        "proxy authorization required" => Proxy::Credentials,
        "unsuccessful" => Proxy::Refused,
        "failed to create underlying connection" => Proxy::Absent,
        _ => Proxy::BrokeOff,
    }
}

/// What an I/O error was made of is not among its sources.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(error) => tls_error(error.get_ref()?),
        None => error.downcast_ref(),
    }
}

impl From<&rustls::Error> for Tls {
    fn from(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        use rustls::Error::{InvalidCertificate, InvalidMessage};
        match error {
            InvalidCertificate(
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. },
            ) => Self::OutOfDate,
            InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
                Self::OtherName
            }
            InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
                Self::UnknownAuthority
            }
            InvalidMessage(_) => Self::NotSpoken,
            _ => Self::Other,
        }
    }
}

/// Graph's own error code, where it is a plain word; messages may hold names and are not repeated.
fn code_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        code: Scalar,
    }
    let Body { error: Inner { code } } = serde_json::from_slice(body).ok()?;
    let code = code.text()?;
    let plain = !code.is_empty() && code.len() <= 64;
    let plain = plain && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    plain.then(|| code.to_owned())
}
