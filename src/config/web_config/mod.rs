//! The web configuration file, in the format that the exporters of Prometheus share: TLS, headers, users, a limit.
//!
//! The format is that of <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>. It is read
//! as a whole, with the files that it names; what is not supported is refused with a message that names the line.

mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ring::digest::{Context, Digest, SHA256};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::duration;
use super::error::{Error, quoted};
use super::file::{Source, Text};
use super::secret::Secret;
use crate::spelling;

pub use self::tls::{Clients, Tls};

/// What stands between a request and its answer.
#[derive(Debug)]
pub struct WebConfig {
    /// HTTP without encryption where there is none.
    pub tls: Option<Tls>,
    /// Set in every answer.
    pub headers: HeaderMap,
    /// The bcrypt hash of each user's password; where there is none, nobody is asked.
    pub users: BTreeMap<String, Secret>,
    pub rate_limit: Option<RateLimit>,
    pub fingerprint: Fingerprint,
}

/// The checks that a client must pass. A reload may add some and never removes one: a truncated file must not let clients in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locks([bool; LOCKS.len()]);

/// The names of the checks, in the order of [`Locks`].
const LOCKS: [&str; 5] = [
    "TLS",
    "the client certificates",
    "the CA of the client certificates",
    "the names of the client certificates",
    "the last user",
];

/// A bucket of `burst` requests, into which one falls each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub interval: Duration,
    pub burst: u32,
}

/// Tells whether anything of the file, or of those it names, is new. Of the content nothing shows.
#[derive(Clone, Copy)]
pub struct Fingerprint(Digest);

/// The least that bcrypt has, as in Go.
const MIN_COST: u32 = 4;

/// Above it one verification takes longer than a scrape waits: each step doubles the 60 ms of cost 10.
const MAX_COST: u32 = 16;

/// The headers that may be set, and the values that some are confined to.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    tls_server_config: Option<Spanned<tls::RawTls>>,
    http_server_config: Option<RawHttp>,
    basic_auth_users: Option<BTreeMap<String, Spanned<Secret>>>,
    rate_limit: Option<Spanned<RawLimit>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    http2: Option<Text>,
    headers: Option<BTreeMap<String, Text>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    interval: Option<Text>,
    burst: Option<Text>,
}

impl WebConfig {
    /// Reads the file and those it names; relative names are relative to its folder.
    ///
    /// Blocks on the disk.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::read(&Source::read(path)?)
    }

    /// Whether nobody comes through without a password or a certificate of the right CA.
    pub(super) fn knows_everybody(&self) -> bool {
        let clients = self.tls.as_ref().and_then(|tls| tls.clients.as_ref());
        !self.users.is_empty() || clients.is_some_and(|clients| clients.required && clients.roots.is_some())
    }

    /// The checks that a client must pass.
    pub fn locks(&self) -> Locks {
        let clients = self.tls.as_ref().and_then(|tls| tls.clients.as_ref());
        let asks = |check: fn(&Clients) -> bool| clients.is_some_and(check);
        Locks([
            self.tls.is_some(),
            asks(|clients| clients.required),
            asks(|clients| clients.roots.is_some()),
            asks(|clients| clients.allowed_sans.is_some()),
            !self.users.is_empty(),
        ])
    }

    fn read(source: &Source) -> Result<Self, Error> {
        let raw: Raw = source.parse()?;
        let mut content = Content(Context::new(&SHA256));
        content.add(source.text().as_bytes());
        let tls = raw.tls_server_config.as_ref().map(|raw| tls::read(source, raw, &mut content));
        let http = raw.http_server_config.as_ref();
        if let Some(http2) = http.and_then(|http| http.http2.as_ref()) {
            // Either value is kept by speaking HTTP/1.1 alone: which one is spoken, the client hears in the handshake.
            source.check("http_server_config.http2", http2, |text| boolean(text))?;
        }
        Ok(Self {
            tls: tls.transpose()?.flatten(),
            headers: headers(source, http.and_then(|http| http.headers.as_ref()))?,
            users: users(source, raw.basic_auth_users.unwrap_or_default())?,
            rate_limit: raw.rate_limit.map(|raw| rate_limit(source, &raw)).transpose()?.flatten(),
            fingerprint: Fingerprint(content.0.finish()),
        })
    }
}

impl Locks {
    /// The names of the checks that `new` no longer makes.
    pub fn lost_in(self, new: Self) -> Vec<&'static str> {
        let pairs = LOCKS.iter().zip(self.0.iter().zip(new.0));
        pairs.filter(|(_, (before, after))| **before && !after).map(|(name, _)| *name).collect()
    }
}

/// What was read, on its way to the fingerprint.
struct Content(Context);

impl Content {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&bytes.len().to_le_bytes());
        self.0.update(bytes);
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref() == other.0.as_ref()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

fn headers(source: &Source, raw: Option<&BTreeMap<String, Text>>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in raw.into_iter().flatten().filter(|(_, value)| !value.value.is_empty()) {
        let (name, value) = source.check("http_server_config.headers", value, |value| header(name, value))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
        let known = HEADERS.map(|(known, _)| known);
        let hint = spelling::did_you_mean(name, &known);
        return Err(format!("{} may not be set{hint}; only {}", quoted(name), known.join(", ")));
    };
    if !values.is_empty() && !values.contains(&value) {
        return Err(format!("{name} is {}", values.join(" or ")));
    }
    let value =
        HeaderValue::from_str(value).map_err(|_| format!("{name} has characters that no header has"))?;
    Ok((HeaderName::try_from(name).map_err(|error| error.to_string())?, value))
}

fn users(source: &Source, raw: BTreeMap<String, Spanned<Secret>>) -> Result<BTreeMap<String, Secret>, Error> {
    let user = |(name, hash): (String, Spanned<Secret>)| {
        if name.contains(':') || name.chars().any(char::is_control) {
            let reason = "basic_auth_users: a user's name has no colon and no control characters".to_owned();
            return Err(source.wrong(hash.referenced, reason));
        }
        source.check("basic_auth_users", &hash, check_hash)?;
        Ok((name, hash.value))
    };
    raw.into_iter().map(user).collect()
}

/// Neither the hash nor what stands in its place is shown: it may be the password.
fn check_hash(hash: &Secret) -> Result<(), String> {
    let parts: bcrypt::HashParts = hash.expose().parse().map_err(|_| {
        "this is no whole bcrypt hash, which begins with $2; `htpasswd -nBC 10 NAME` makes one of a password".to_owned()
    })?;
    if parts.get_cost() < MIN_COST {
        return Err(format!(
            "a hash of cost {} is not a bcrypt hash; the least is {MIN_COST}",
            parts.get_cost()
        ));
    }
    if parts.get_cost() > MAX_COST {
        return Err(format!(
            "a hash of cost {} takes longer to verify than a scrape waits; the most is {MAX_COST}, 10 is usual",
            parts.get_cost()
        ));
    }
    Ok(())
}

fn rate_limit(source: &Source, raw: &Spanned<RawLimit>) -> Result<Option<RateLimit>, Error> {
    let Some(interval) = &raw.value.interval else {
        return Err(source.wrong(raw.referenced, "rate_limit: `interval` is missing, as in 100ms".to_owned()));
    };
    let interval = source.check("rate_limit.interval", interval, |text| duration::parse(text))?;
    if interval.is_zero() {
        return Ok(None);
    }
    let Some(burst) = &raw.value.burst else {
        return Err(source.wrong(raw.referenced, "rate_limit: `burst` is missing, as in 20".to_owned()));
    };
    let burst = source.check("rate_limit.burst", burst, |text| match text.parse::<u32>() {
        Ok(burst) if burst > 0 => Ok(burst),
        _ => Err(format!("{} is no number of requests, 1 or more", quoted(text))),
    })?;
    Ok(Some(RateLimit { interval, burst }))
}

/// The booleans of YAML 1.1, which the toolkit reads.
fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(format!("{} is neither true nor false", quoted(text))),
    }
}

#[cfg(test)]
mod tests;
