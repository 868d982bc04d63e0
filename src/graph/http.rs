//! The HTTP client below Graph and sign-in.

use std::time::Duration;

use crate::graph::error::Error;
use crate::proxy::Proxies;

/// How a client reaches the other side.
#[derive(Clone, Debug)]
pub struct Settings {
    pub connect_timeout: Duration,
    /// Of a whole request.
    pub request_timeout: Duration,
    /// Authorities in DER that are trusted beside the system's own.
    pub authorities: Vec<Vec<u8>>,
    pub proxies: Proxies,
}

/// Redirects are not followed: a token goes to no other host.
pub(super) fn client(settings: &Settings) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("teams-rooms-exporter/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout);
    let authorities: Result<Vec<_>, _> =
        settings.authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect();
    let authorities = authorities.map_err(|_| Error::malformed("an authority of ca_file cannot be read"))?;
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    let builder =
        settings.proxies.apply(builder).map_err(|_| Error::malformed("the proxy cannot be used"))?;
    builder.build().map_err(|_| {
        Error::malformed("the HTTP client does not start; is there a CA bundle (ca-certificates)?")
    })
}
