//! One tenant, out of the file or the environment: each setting checked, defaults filled in.

use std::collections::HashSet;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::auth;
use super::cloud::{self, Cloud};
use super::error::{Error, quoted};
use super::file::{RawCloud, RawIntake, RawTenant, Source, Text};
use super::secret::{self, Credential, SecretFiles};
use super::{Collectors, DEFAULT_FROZEN_AFTER, Env, Tenant, Trust, duration, proxies};
use crate::model::Timestamp;
use crate::model::privacy::Privacy;

/// Name of the tenant that the environment describes.
const DEFAULT_TENANT_NAME: &str = "default";

/// A label value that also goes into paths and host names.
const MAX_NAME_LENGTH: usize = 63;

/// Items per second that may be asked for: far beyond what Graph allows, and what a simulated tenant still answers.
const HIGHEST_RATE: u32 = 1_000;

/// Devices, rooms and accounts of a tenant, each: as many as fit 300 MiB. A Graph that sends more is more likely broken.
const DEFAULT_MAX_ITEMS: usize = 10_000;

/// Twice the largest fleet that is tested.
pub(super) const HIGHEST_MAX_ITEMS: usize = 100_000;

/// The tenant that the environment describes; none where it names nothing of one.
pub(super) fn of_environment(env: &Env<'_>, files: SecretFiles) -> Result<Option<Tenant>, Error> {
    let (tenant_id, client_id) = (env("AZURE_TENANT_ID"), env("AZURE_CLIENT_ID"));
    let auth = auth::of_environment(env, files)?;
    if tenant_id.is_none() && client_id.is_none() && auth.is_none() {
        return Ok(None);
    }
    let missing =
        |setting, others| Error::Setting { setting, reason: format!("is not set, though {others} is") };
    let checked =
        |setting, check: Result<_, String>| check.map_err(|reason| Error::Setting { setting, reason });

    let tenant_id = tenant_id.ok_or_else(|| missing("AZURE_TENANT_ID", "another setting of the tenant"))?;
    let client_id = client_id.ok_or_else(|| missing("AZURE_CLIENT_ID", "AZURE_TENANT_ID"))?;
    let auth = auth.ok_or_else(|| {
        missing(
            "AZURE_CLIENT_SECRET or AZURE_CLIENT_SECRET_FILE, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_TENANT_ID",
        )
    })?;
    let Cloud { authority, graph } = match env("AZURE_AUTHORITY_HOST") {
        Some(authority) => cloud::of_authority(&authority)
            .map_err(|reason| Error::Setting { setting: "AZURE_AUTHORITY_HOST", reason })?,
        None => cloud::global(),
    };
    Ok(Some(Tenant {
        name: DEFAULT_TENANT_NAME.to_owned(),
        tenant_id: checked("AZURE_TENANT_ID", check_tenant_id(&tenant_id))?,
        client_id: Some(checked("AZURE_CLIENT_ID", check_guid(&client_id))?),
        auth,
        client_secret_expires: None,
        intake: None,
        authority,
        graph,
        requests_per_second: None,
        max_items: DEFAULT_MAX_ITEMS,
        ca_file: None,
        proxies: proxies(env)?,
        trust_device_accounts: Trust::Auto,
        collectors: Collectors::default(),
        frozen_after: DEFAULT_FROZEN_AFTER,
        room_lists: Vec::new(),
        rooms_file: None,
        sites: Vec::new(),
        privacy: Privacy::default(),
    }))
}

/// The tenants that the file lists.
pub(super) fn of_file(
    source: &Source,
    listed: &[Spanned<RawTenant>],
    env: &Env<'_>,
) -> Result<Vec<Tenant>, Error> {
    let mut names = HashSet::new();
    let mut tenants = Vec::with_capacity(listed.len());
    for (index, raw) in listed.iter().enumerate() {
        let reader = TenantReader { source, raw, place: format!("tenants[{index}]") };
        // A secret in the environment cannot tell for which of several tenants it is.
        let spare = if listed.len() == 1 { Some(env) } else { None };
        let tenant = reader.read(env, spare)?;
        if let (false, Some(name)) = (names.insert(tenant.name.clone()), &raw.value.name) {
            reader.check("name", name, |name| {
                Err::<(), _>(format!(
                    "another tenant is called `{name}` already; the label `tenant` must differ"
                ))
            })?;
        }
        tenants.push(tenant);
    }
    Ok(tenants)
}

/// One entry of `tenants`, and what is needed to say where in the file it is wrong.
pub(super) struct TenantReader<'a> {
    pub(super) source: &'a Source,
    pub(super) raw: &'a Spanned<RawTenant>,
    place: String,
}

impl TenantReader<'_> {
    fn read(&self, env: &Env<'_>, spare: Option<&Env<'_>>) -> Result<Tenant, Error> {
        let raw = &self.raw.value;
        let name = self.required("name", raw.name.as_ref(), check_name)?;
        let tenant_id = self.required("tenant_id", raw.tenant_id.as_ref(), check_tenant_id)?;
        self.check_one_way()?;
        let client_id = self.client_id()?;
        let auth = self.auth(env, spare)?;
        let Cloud { authority, graph } = self.cloud()?;
        let trust_device_accounts = self.optional(
            "trust_device_accounts",
            raw.trust_device_accounts.as_ref(),
            Trust::Auto,
            |text| choice(text, [Trust::Auto, Trust::Yes, Trust::No]),
        )?;
        let frozen_after = self.duration("frozen_after", raw.frozen_after.as_ref(), DEFAULT_FROZEN_AFTER)?;
        let collectors = self.collectors()?;
        let privacy = self.privacy()?;
        let rooms_file = self.rooms_file()?;
        Ok(Tenant {
            name,
            tenant_id,
            client_id,
            auth,
            client_secret_expires: self.client_secret_expires()?,
            intake: self.intake()?,
            authority,
            graph,
            requests_per_second: self.requests_per_second()?,
            max_items: self.optional(
                "max_items",
                raw.max_items.as_ref(),
                DEFAULT_MAX_ITEMS,
                check_max_items,
            )?,
            ca_file: self.ca_file()?,
            proxies: proxies(env)?,
            trust_device_accounts,
            collectors,
            frozen_after,
            room_lists: self.room_lists()?,
            sites: self.sites(rooms_file.is_some())?,
            rooms_file,
            privacy,
        })
    }

    /// A managed identity has its own, which Azure knows.
    fn client_id(&self) -> Result<Option<String>, Error> {
        let raw = &self.raw.value;
        let is_managed = raw.auth.as_ref().is_some_and(|auth| auth.value.managed_identity.is_some());
        match &raw.client_id {
            Some(id) if is_managed => Err(self.wrong(
                id,
                "client_id",
                "belongs into `auth: { managed_identity: { client_id: .. } }`",
            )),
            None if is_managed => Ok(None),
            id => self.required("client_id", id.as_ref(), check_guid).map(Some),
        }
    }

    fn client_secret_expires(&self) -> Result<Option<Timestamp>, Error> {
        let text = self.raw.value.auth.as_ref().and_then(|auth| auth.value.client_secret_expires.as_ref());
        text.map(|text| self.check("auth.client_secret_expires", text, |text| secret::expiry(text)))
            .transpose()
    }

    fn intake(&self) -> Result<Option<Credential>, Error> {
        let Some(intake) = &self.raw.value.intake else { return Ok(None) };
        match &intake.value {
            RawIntake { secret: Some(secret), secret_file: None } => self
                .check("intake.secret", secret, |secret| {
                    secret::given(secret).and_then(|secret| secret::for_intake(secret, SecretFiles::Read))
                })
                .map(Some),
            RawIntake { secret: None, secret_file: Some(path) } => self
                .check("intake.secret_file", path, |path| {
                    let files = self.source.secret_files;
                    let secret = secret::in_file(path, self.source.folder(), files);
                    secret.and_then(|secret| secret::for_intake(secret, files))
                })
                .map(Some),
            RawIntake { secret: Some(_), secret_file: Some(path) } => {
                Err(self.wrong(path, "intake", "has both secret and secret_file; keep one of them"))
            }
            RawIntake { secret: None, secret_file: None } => {
                Err(self.wrong(intake, "intake", "needs secret_file or secret; without them leave it out"))
            }
        }
    }

    fn cloud(&self) -> Result<Cloud, Error> {
        let Some(cloud) = &self.raw.value.cloud else { return Ok(cloud::global()) };
        match &cloud.value {
            RawCloud::Named(name) => self.check("cloud", cloud, |_| cloud::named(name)),
            RawCloud::Roots(roots) => match (&roots.authority, &roots.graph) {
                (Some(authority), Some(graph)) => Ok(Cloud {
                    authority: self.check("cloud.authority", authority, |text| cloud::root(text))?,
                    graph: self.check("cloud.graph", graph, |text| cloud::root(text))?,
                }),
                _ => Err(self.wrong(cloud, "cloud", "needs both authority and graph")),
            },
        }
    }

    fn requests_per_second(&self) -> Result<Option<u32>, Error> {
        let text = self.raw.value.requests_per_second.as_ref();
        text.map(|text| self.check("requests_per_second", text, |text| check_rate(text))).transpose()
    }

    pub(super) fn required<T>(
        &self,
        key: &str,
        text: Option<&Text>,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let text = text.ok_or_else(|| self.missing(key, "every tenant needs it"))?;
        self.check(key, text, |text| check(text))
    }

    pub(super) fn optional<T>(
        &self,
        key: &str,
        text: Option<&Text>,
        default: T,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        text.map_or(Ok(default), |text| self.check(key, text, |text| check(text)))
    }

    /// Checks each entry of a list; one that comes twice is kept once.
    pub(super) fn each(
        &self,
        key: &str,
        listed: Option<&Vec<Text>>,
        check: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Vec<String>, Error> {
        let mut kept = Vec::new();
        for text in listed.into_iter().flatten() {
            let entry = self.check(key, text, |text| check(text))?;
            if !kept.contains(&entry) {
                kept.push(entry);
            }
        }
        Ok(kept)
    }

    pub(super) fn duration(
        &self,
        key: &str,
        text: Option<&Text>,
        default: Duration,
    ) -> Result<Duration, Error> {
        self.optional(key, text, default, duration::parse_positive)
    }

    pub(super) fn check<T, U>(
        &self,
        key: &str,
        value: &Spanned<T>,
        check: impl FnOnce(&T) -> Result<U, String>,
    ) -> Result<U, Error> {
        self.source.check(&format!("{}.{key}", self.place), value, check)
    }

    pub(super) fn wrong<T>(&self, value: &Spanned<T>, key: &str, reason: &str) -> Error {
        self.source.wrong(value.referenced, format!("{}.{key}: {reason}", self.place))
    }

    pub(super) fn missing(&self, key: &str, cure: &str) -> Error {
        self.wrong(self.raw, key, &format!("is missing; {cure}"))
    }
}

fn check_name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(name.to_owned());
    }
    Err(format!("{} cannot be the label; write 1 to {MAX_NAME_LENGTH} of a-z, 0-9, _ and -", quoted(name)))
}

/// Tells what is wrong without the text itself: a secret pasted into the wrong place is a common mistake.
pub(super) fn check_guid(text: &str) -> Result<String, String> {
    let is_guid = text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        });
    if is_guid {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!(
        "is not a GUID like 22222222-3333-4444-8555-666666666666 (it has {} characters)",
        text.chars().count()
    ))
}

fn check_tenant_id(text: &str) -> Result<String, String> {
    if ["common", "organizations", "consumers"].contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "`{text}` stands for many tenants, and an application signs in to one; write its GUID or domain"
        ));
    }
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if text.len() <= 253 && text.contains('.') && text.split('.').all(part) {
        return Ok(text.to_ascii_lowercase());
    }
    check_guid(text).map_err(|reason| format!("{reason}, nor a domain like contoso.onmicrosoft.com"))
}

fn check_max_items(text: &str) -> Result<usize, String> {
    let most = text.parse().ok().filter(|most| (1..=HIGHEST_MAX_ITEMS).contains(most));
    most.ok_or_else(|| {
        format!(
            "{} is no number from 1 to {HIGHEST_MAX_ITEMS}; write it like {DEFAULT_MAX_ITEMS}",
            quoted(text)
        )
    })
}

fn check_rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|rate| (1..=HIGHEST_RATE).contains(rate));
    rate.ok_or_else(|| format!("{} is no number from 1 to {HIGHEST_RATE}; write it like 25", quoted(text)))
}

/// Reads `auto`, `true` or `false` as one of three values.
pub(super) fn choice<T>(text: &str, [auto, yes, no]: [T; 3]) -> Result<T, String> {
    match text {
        "auto" => Ok(auto),
        "true" => Ok(yes),
        "false" => Ok(no),
        _ => Err(format!("{} is none of auto, true and false", quoted(text))),
    }
}
