//! The configuration file as it was written, and messages that point into it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_saphyr::{DefaultMessageFormatter, Location, MessageFormatter as _, Spanned};

use super::error::{Error, is_plain_key};
use super::excerpt::excerpt;
use super::secret::{Secret, SecretFiles};
use crate::{input, spelling};

/// A thousand tenants take some 300 KiB; a file of more than this is not a configuration.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

pub(super) type Text = Spanned<String>;

/// The file with unchecked values; unknown keys are errors.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    pub(super) tenants: Option<Vec<Spanned<RawTenant>>>,
    pub(super) idle_after: Option<Text>,
    pub(super) metrics: Option<RawMetrics>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTenant {
    pub(super) name: Option<Text>,
    pub(super) tenant_id: Option<Text>,
    pub(super) client_id: Option<Text>,
    pub(super) auth: Option<Spanned<RawAuth>>,
    pub(super) cloud: Option<Spanned<RawCloud>>,
    pub(super) ca_file: Option<Text>,
    pub(super) intake: Option<Spanned<RawIntake>>,
    pub(super) requests_per_second: Option<Text>,
    pub(super) max_items: Option<Text>,
    pub(super) trust_device_accounts: Option<Text>,
    pub(super) collectors: Option<RawCollectors>,
    pub(super) frozen_after: Option<Text>,
    pub(super) room_lists: Option<Vec<Text>>,
    pub(super) rooms_file: Option<Text>,
    pub(super) sites: Option<Vec<Spanned<RawSite>>>,
    pub(super) privacy: Option<RawPrivacy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub(super) client_secret: Option<Spanned<Secret>>,
    pub(super) client_secret_file: Option<Text>,
    pub(super) client_secret_expires: Option<Text>,
    pub(super) certificate_file: Option<Text>,
    pub(super) certificate_key_file: Option<Text>,
    pub(super) send_certificate_chain: Option<Text>,
    pub(super) federated_token_file: Option<Text>,
    pub(super) managed_identity: Option<Spanned<RawManagedIdentity>>,
    pub(super) delegated: Option<Spanned<RawDelegated>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManagedIdentity {
    pub(super) client_id: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDelegated {
    pub(super) refresh_token_file: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIntake {
    pub(super) secret: Option<Spanned<Secret>>,
    pub(super) secret_file: Option<Text>,
}

pub(super) enum RawCloud {
    Named(String),
    Roots(RawRoots),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoots {
    pub(super) authority: Option<Text>,
    pub(super) graph: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSite {
    pub(super) name: Option<Text>,
    #[serde(rename = "match")]
    pub(super) matches: Option<Spanned<RawMatch>>,
    pub(super) owner: Option<Text>,
    pub(super) time_zone: Option<Text>,
    pub(super) service_hours: Option<Text>,
    pub(super) maintenance: Option<Spanned<Vec<Text>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMatch {
    pub(super) building: Option<Spanned<Vec<Text>>>,
    pub(super) email: Option<Spanned<Vec<Text>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCollectors {
    pub(super) devices: Option<RawDevices>,
    pub(super) device_health: Option<RawHealth>,
    pub(super) presence: Option<RawSource>,
    pub(super) places: Option<RawSource>,
    pub(super) calendar: Option<RawCalendar>,
    pub(super) accounts: Option<RawAccounts>,
    pub(super) intune: Option<RawSource>,
    pub(super) service_health: Option<RawSource>,
    pub(super) credentials: Option<RawSource>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDevices {
    pub(super) enabled: Option<Text>,
    pub(super) interval: Option<Text>,
    pub(super) expiry: Option<Text>,
    pub(super) types: Option<Spanned<Vec<Text>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    pub(super) enabled: Option<Text>,
    pub(super) expiry: Option<Text>,
    pub(super) rotation: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) enabled: Option<Text>,
    pub(super) interval: Option<Text>,
    pub(super) expiry: Option<Text>,
}

/// A source with the licences that make a room.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccounts {
    enabled: Option<Text>,
    interval: Option<Text>,
    expiry: Option<Text>,
    /// By `skuId`.
    pub(super) skus: Option<BTreeMap<String, Text>>,
}

impl RawAccounts {
    pub(super) fn source(&self) -> RawSource {
        let (enabled, interval, expiry) = (&self.enabled, &self.interval, &self.expiry);
        RawSource { enabled: enabled.clone(), interval: interval.clone(), expiry: expiry.clone() }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCalendar {
    pub(super) enabled: Option<Text>,
    pub(super) interval: Option<Text>,
    pub(super) expiry: Option<Text>,
    pub(super) mailbox: Option<Text>,
}

impl RawCalendar {
    /// What it has in common with other sources.
    pub(super) fn source(&self) -> RawSource {
        let Self { enabled, interval, expiry, mailbox: _ } = self;
        RawSource { enabled: enabled.clone(), interval: interval.clone(), expiry: expiry.clone() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrivacy {
    pub(super) usage: Option<Text>,
    pub(super) min_capacity: Option<Text>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetrics {
    pub(super) preset: Option<Text>,
    pub(super) allow: Option<Vec<Text>>,
    pub(super) deny: Option<Vec<Text>>,
}

impl<'de> Deserialize<'de> for RawCloud {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CloudVisitor;

        impl<'de> Visitor<'de> for CloudVisitor {
            type Value = RawCloud;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a cloud, or { authority: https://.., graph: https://.. }")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<RawCloud, E> {
                Ok(RawCloud::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawCloud, A::Error> {
                RawRoots::deserialize(MapAccessDeserializer::new(map)).map(RawCloud::Roots)
            }
        }

        deserializer.deserialize_any(CloudVisitor)
    }
}

/// A configuration file that was read; makes the messages that point into it.
pub(super) struct Source {
    path: PathBuf,
    text: String,
    pub(super) secret_files: SecretFiles,
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |reason| Error::File { path: path.to_owned(), reason };
        let text = input::read_from(File::open(path), MAX_FILE_BYTES).and_then(input::text);
        Ok(Self::new(path, text.map_err(failed)?))
    }

    pub(super) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), secret_files: SecretFiles::Read }
    }

    /// What relative paths in the file are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn parse<T: Default + DeserializeOwned>(&self) -> Result<T, Error> {
        // The snippets of serde-saphyr show several lines around the place, and with them secrets.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options::<Option<T>>(&self.text, options)
            .map(Option::unwrap_or_default)
            .map_err(|error| self.unparsable(&error))
    }

    /// Checks a value of the file; `key` names it in the message.
    pub(super) fn check<T, U>(
        &self,
        key: &str,
        value: &Spanned<T>,
        check: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<U, Error> {
        check(&value.value).map_err(|reason| self.wrong(value.referenced, format!("{key}: {reason}")))
    }

    pub(super) fn wrong(&self, at: Location, reason: String) -> Error {
        Error::Content {
            path: self.path.clone(),
            line: at.line(),
            column: at.column(),
            reason,
            excerpt: excerpt(&self.text, at.line(), at.column()),
        }
    }

    fn unparsable(&self, error: &serde_saphyr::Error) -> Error {
        self.wrong(error.location().unwrap_or(Location::UNKNOWN), reason(error))
    }
}

/// What is wrong, in our words where serde-saphyr's would repeat a value or speak to programmers.
fn reason(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        E::DuplicateMappingKey { key, .. } => match key.as_deref().filter(|key| is_plain_key(key)) {
            Some(key) => format!("the key `{key}` is given twice"),
            None => "a key is given twice".to_owned(),
        },
        E::Unexpected { expected: "mapping start", .. } => "expected keys with values here".to_owned(),
        E::Unexpected { expected: "sequence start", .. } => "expected a list here".to_owned(),
        E::Unexpected { expected: "string scalar", .. } => "expected a single value here".to_owned(),
        E::SerdeInvalidType { expected, .. } => format!("expected {expected}"),
        E::NullIntoString { .. } => "a value is missing here".to_owned(),
        E::MultipleDocuments { .. } => "a second document begins here, only one is read".to_owned(),
        E::ExternalMessage { msg, .. } => format!("not valid YAML: {msg}"),
        error => format!("not valid YAML: {}", DefaultMessageFormatter.format_message(error)),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let allowed = known.join(", ");
    if let Some((key, _)) = key.split_once(':')
        && known.contains(&key)
    {
        return format!("a space is missing after `{key}:`");
    }
    let hint = spelling::did_you_mean(key, known);
    // In `auth: { hunter2 }` the unknown key is the secret itself.
    if hint.is_empty()
        && (!is_plain_key(key) || (known.contains(&"client_secret") || known.contains(&"secret")))
    {
        return format!("unknown key\nallowed here: {allowed}");
    }
    format!("unknown key `{key}`{hint}\nallowed here: {allowed}")
}
