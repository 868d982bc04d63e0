//! Settings: configuration file, environment and arguments, checked once at start, become plain data.
//!
//! Behind this module no setting is checked again. What is wrong is told in one message that names the place
//! and the cure; a secret is never part of it.

mod auth;
mod cloud;
mod collectors;
mod duration;
mod error;
mod excerpt;
mod file;
pub mod otlp;
mod print;
mod privacy;
mod rooms;
mod secret;
mod shard;
mod tenant;
mod web;
pub mod web_config;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use self::auth::{Auth, CertificateFiles, ManagedIdentity, read_authorities};
pub use self::error::Error;
use self::error::quoted;
use self::file::{Raw, RawMetrics, Source, Text};
pub use self::secret::{Credential, Secret, SecretFiles, check_intake};
pub use self::web::{Probe, Protection, Web};
use crate::input;
use crate::model::Timestamp;
use crate::model::account::Tier;
use crate::model::collector::Collector;
use crate::model::privacy::Privacy;
use crate::model::shard::Shard;
use crate::model::site::Site;
use crate::proxy::{Proxies, Wrong};
use crate::{cli, spelling};

/// Everything the exporter is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// At least one, with different names.
    pub tenants: Vec<Tenant>,
    pub web: Web,
    /// Where pushes are taken; each once. Some tenant has a secret for it where there is one.
    pub intake_addresses: Vec<SocketAddr>,
    /// Whose rooms are this process's business.
    pub shard: Shard,
    /// Where state is kept; nothing is written without.
    pub storage_path: Option<PathBuf>,
    /// How long a tenant is polled without being read; none is forever.
    pub idle_after: Option<Duration>,
    pub metrics: MetricsFilter,
}

/// Which families are exposed: those allowed, or all where none is named, without those denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsFilter {
    /// `allow` adds to it, unless it is [`Preset::Full`].
    pub preset: Preset,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// A named choice of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    #[default]
    Full,
    /// Only families that the shipped alerts and the Fleet dashboard read.
    Lean,
}

impl Preset {
    const ALL: [Self; 2] = [Self::Full, Self::Lean];

    /// As the configuration file spells it.
    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Lean => "lean",
        }
    }
}

/// One Entra tenant and how it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The label `tenant`: 1 to 63 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// A GUID or a domain, in lower case.
    pub tenant_id: String,
    /// A GUID in lower case; a managed identity has its own.
    pub client_id: Option<String>,
    pub auth: Auth,
    /// When its secret expires, as far as somebody wrote it down.
    pub client_secret_expires: Option<Timestamp>,
    /// What Microsoft's portals prove themselves with when they push.
    pub intake: Option<Credential>,
    /// Root of the sign-in endpoints; ends in `/`.
    pub authority: Url,
    /// Root of Graph, without a version; ends in `/`.
    pub graph: Url,
    /// Items per second that are asked of Graph at most; `None` is the usual.
    pub requests_per_second: Option<u32>,
    /// Devices, rooms and accounts that are held at most, each.
    pub max_items: usize,
    /// Authorities in PEM that are trusted beside the system's own; it was there and sound at start.
    pub ca_file: Option<PathBuf>,
    /// On the way to sign-in and Graph.
    pub proxies: Proxies,
    pub trust_device_accounts: Trust,
    pub collectors: Collectors,
    /// Age of the newest change in the tenant from which on its devices count as frozen.
    pub frozen_after: Duration,
    /// E-mail addresses in lower case; where there is one, only rooms of these lists are read.
    pub room_lists: Vec<String>,
    /// It was there and sound at start.
    pub rooms_file: Option<PathBuf>,
    /// With different names; the first that matches a room is its own.
    pub sites: Vec<Site>,
    pub privacy: Privacy,
}

impl Tenant {
    /// Whether and how often this collector runs: what may not be known is not asked for, nor what does not end.
    pub fn source(&self, collector: Collector) -> SourceSettings {
        let source = self.collectors.of(collector);
        // Azure itself renews what the others sign in with.
        let expires = matches!(self.auth, Auth::Secret(_) | Auth::Certificate(_));
        if collector == Collector::Credentials && !expires {
            return SourceSettings { enabled: Enabled::No, ..source };
        }
        let is_use = matches!(collector, Collector::Presence | Collector::Calendar);
        if is_use && !self.privacy.usage { SourceSettings { enabled: Enabled::No, ..source } } else { source }
    }
}

/// Whether accounts on devices count as rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Until another source has told which accounts are rooms.
    Auto,
    Yes,
    No,
}

/// Whether a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// If the permission is there.
    Auto,
    /// A missing permission is a fault.
    Yes,
    No,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collectors {
    pub devices: DevicesSettings,
    pub device_health: HealthSettings,
    pub presence: SourceSettings,
    pub places: SourceSettings,
    pub calendar: CalendarSettings,
    pub accounts: SourceSettings,
    /// What the licence of a product is for, by its id in lower case; adds to what is known, and wins over it.
    pub skus: BTreeMap<String, Tier>,
    pub intune: SourceSettings,
    pub service_health: SourceSettings,
    pub credentials: SourceSettings,
}

/// A source that is read as a whole at each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    pub enabled: Enabled,
    pub interval: Duration,
    /// How long what was read is served without being read again; more than the interval.
    pub expiry: Duration,
}

/// The calendars of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSettings {
    pub source: SourceSettings,
    /// The mailbox through which all are asked for, in lower case; without one those of the rooms take turns.
    pub mailbox: Option<String>,
}

/// The list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesSettings {
    pub enabled: Enabled,
    pub interval: Duration,
    /// How long a device is served without being seen again; more than the interval.
    pub expiry: Duration,
    /// Members of teamworkDeviceType as Graph spells them; at least one, each once.
    pub types: Vec<String>,
}

/// The detail of each device; its cycle is that of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSettings {
    pub enabled: Enabled,
    /// How long a detail is served without being read again; more than the rotation and the interval.
    pub expiry: Duration,
    /// Within this time each detail is read once, changed or not.
    pub rotation: Duration,
}

/// The environment, empty variables left out.
type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Of the demo, whose time may run as fast as anybody likes.
const FASTEST_INTERVAL: Duration = Duration::from_secs(1);

const DEFAULT_IDLE_AFTER: Duration = HOUR;
const DEFAULT_FROZEN_AFTER: Duration = DAY;

/// The members of teamworkDeviceType that can be asked for, and whether they are by default.
pub(crate) const DEVICE_TYPES: [(&str, bool); 10] = [
    ("teamsRoom", true),
    ("collaborationBar", true),
    ("surfaceHub", true),
    ("teamsPanel", true),
    ("touchConsole", true),
    ("ipPhone", false),
    ("teamsDisplay", false),
    ("lowCostPhone", false),
    ("sip", false),
    ("sipAnalog", false),
];

impl Default for Collectors {
    fn default() -> Self {
        Self {
            devices: DevicesSettings::default(),
            device_health: HealthSettings::default(),
            presence: Collector::Presence.into(),
            places: Collector::Places.into(),
            calendar: CalendarSettings { source: Collector::Calendar.into(), mailbox: None },
            accounts: Collector::Accounts.into(),
            skus: BTreeMap::new(),
            intune: Collector::Intune.into(),
            service_health: Collector::ServiceHealth.into(),
            credentials: Collector::Credentials.into(),
        }
    }
}

impl Collectors {
    /// What is configured of this collector; see [`Tenant::source`].
    fn of(&self, collector: Collector) -> SourceSettings {
        let (devices, detail) = (&self.devices, &self.device_health);
        match collector {
            Collector::Devices => SourceSettings {
                enabled: devices.enabled,
                interval: devices.interval,
                expiry: devices.expiry,
            },
            Collector::DeviceHealth => {
                SourceSettings { enabled: detail.enabled, interval: devices.interval, expiry: detail.expiry }
            }
            Collector::Presence => self.presence,
            Collector::Places => self.places,
            Collector::Calendar => self.calendar.source,
            Collector::Accounts => self.accounts,
            Collector::Intune => self.intune,
            Collector::ServiceHealth => self.service_health,
            Collector::Credentials => self.credentials,
        }
    }
}

impl From<Collector> for SourceSettings {
    /// The defaults of a collector.
    fn from(collector: Collector) -> Self {
        let facts = collector.facts();
        Self { enabled: Enabled::Auto, interval: facts.interval, expiry: facts.expiry }
    }
}

impl Default for DevicesSettings {
    fn default() -> Self {
        let types = DEVICE_TYPES.iter().filter(|(_, default)| *default).map(|(name, _)| (*name).to_owned());
        let SourceSettings { enabled, interval, expiry } = Collector::Devices.into();
        Self { enabled, interval, expiry, types: types.collect() }
    }
}

impl Default for HealthSettings {
    fn default() -> Self {
        let SourceSettings { enabled, expiry, .. } = Collector::DeviceHealth.into();
        Self { enabled, expiry, rotation: 30 * MINUTE }
    }
}

/// Reads and checks all settings. `known_metrics` are the families that `metrics:` may name.
///
/// Tenants come from the file, or, where it lists none, from the environment. The environment's secret
/// also serves a single tenant of the file that has no `auth`, so that the file can lie in a repository.
/// An empty environment variable counts as unset.
pub fn load(
    args: &cli::ServeArgs,
    env: &dyn Fn(&str) -> Option<String>,
    known_metrics: &[&str],
) -> Result<Config, Error> {
    load_with(args, env, known_metrics, SecretFiles::Read)
}

/// The same, on a machine that may not have the secrets.
pub fn load_with(
    args: &cli::ServeArgs,
    env: &dyn Fn(&str) -> Option<String>,
    known_metrics: &[&str],
    secret_files: SecretFiles,
) -> Result<Config, Error> {
    let env = |name: &str| cleaned(env(name));
    let mut source = match &args.config.file {
        Some(path) => Source::read(path)?,
        None => Source::new("", ""),
    };
    source.secret_files = secret_files;
    checked(args, &source, &env, known_metrics)
}

/// The value of a variable without a byte order mark; an empty one counts as unset.
fn cleaned(value: Option<String>) -> Option<String> {
    value.map(|value| input::without_mark(&value).to_owned()).filter(|value| !value.is_empty())
}

/// The proxies of the environment.
fn proxies(env: &Env<'_>) -> Result<Proxies, Error> {
    Proxies::read(env).map_err(|Wrong { variable, reason }| Error::Setting { setting: variable, reason })
}

/// What `healthcheck` asks, and where.
pub fn probe(args: &cli::HealthcheckArgs) -> Result<Probe, Error> {
    Probe::read(args)
}

impl Config {
    /// Warns of occupancy that strangers can read on these addresses.
    pub fn open_occupancy(&self, addresses: &[SocketAddr]) -> Option<String> {
        let tells_use = self.tenants.iter().any(|tenant| tenant.privacy.usage);
        tells_use.then(|| self.web.open_to(addresses)).flatten()
    }
}

/// How long `check --wait` goes on.
pub fn wait(text: &str) -> Result<Duration, Error> {
    duration::parse_positive(text).map_err(|reason| Error::Setting { setting: "--wait", reason })
}

fn checked(
    args: &cli::ServeArgs,
    source: &Source,
    env: &Env<'_>,
    known_metrics: &[&str],
) -> Result<Config, Error> {
    let raw: Raw = source.parse()?;
    let idle_after = match &raw.idle_after {
        Some(text) => source.check("idle_after", text, |text| match duration::parse(text)? {
            Duration::ZERO => Ok(None),
            _ => duration::parse_positive(text).map(Some),
        })?,
        None => Some(DEFAULT_IDLE_AFTER),
    };
    let metrics = metrics_filter(source, &raw.metrics.unwrap_or_default(), known_metrics)?;
    let tenants = match raw.tenants.unwrap_or_default() {
        listed if listed.is_empty() => {
            vec![
                tenant::of_environment(env, source.secret_files)?
                    .ok_or(Error::NoTenant { file: args.config.file.clone() })?,
            ]
        }
        listed => tenant::of_file(source, &listed, env)?,
    };
    let web = Web::read(&args.web)?;
    let intake_addresses = web::addresses("--intake.listen-address", &args.intake.listen_addresses)?;
    if !intake_addresses.is_empty() && tenants.iter().all(|tenant| tenant.intake.is_none()) {
        let reason = "no tenant has a secret for it; give one `intake: { secret_file: ... }` in the \
                      configuration file"
            .to_owned();
        return Err(Error::Setting { setting: "--intake.listen-address", reason });
    }
    Ok(Config {
        tenants,
        web,
        intake_addresses,
        shard: shard::read(&args.shard, env)?,
        storage_path: args.storage.path.clone(),
        idle_after,
        metrics,
    })
}

impl Config {
    /// As a configuration file, with defaults filled in and secrets hidden. Flags are comments before it.
    pub fn print(&self, otlp: &otlp::Otlp, log: &cli::LogArgs) -> String {
        print::flags(self, otlp, log) + &print::file(self)
    }
}

/// The address that `--simulator.listen-address` names.
pub fn simulator(args: &cli::DemoArgs) -> Result<Option<SocketAddr>, Error> {
    let addresses = web::addresses("--simulator.listen-address", args.simulator_address.as_slice())?;
    Ok(addresses.first().copied())
}

/// The configuration of `demo`: one tenant whose sign-in and Graph are both the simulated one at this root.
pub fn demo(
    args: &cli::DemoArgs,
    root: &str,
    tenant_id: &str,
    client_id: &str,
    secret: Secret,
    intake_secret: Secret,
) -> Result<Config, Error> {
    // Real Graph is spared; the simulated one shall show its next move while somebody watches.
    const INTERVAL: Duration = Duration::from_secs(10);
    const ROTATION: Duration = Duration::from_mins(5);
    const RATE: u32 = 200;

    // What is read ages by the clock of the tenant, which may run faster than the one by which it is read.
    let within = |usual: Duration, expiry: Duration| {
        usual.min((expiry / 3).div_f64(args.world.speed.max(1.0))).max(FASTEST_INTERVAL)
    };
    let root = cloud::root(root).map_err(|reason| Error::Setting { setting: "demo", reason })?;
    let default = Collectors::default();
    let each =
        |usual, source: SourceSettings| SourceSettings { interval: within(usual, source.expiry), ..source };
    let often = |source| each(MINUTE, source);
    let tenant = Tenant {
        name: "demo".to_owned(),
        tenant_id: tenant_id.to_owned(),
        client_id: Some(client_id.to_owned()),
        auth: Auth::Secret(Credential::Secret(secret)),
        client_secret_expires: None,
        intake: Some(Credential::Secret(intake_secret)),
        authority: root.clone(),
        graph: root,
        requests_per_second: Some(RATE),
        max_items: tenant::HIGHEST_MAX_ITEMS,
        ca_file: None,
        proxies: Proxies::default(), // sign-in and Graph are on this machine
        trust_device_accounts: Trust::Auto,
        collectors: Collectors {
            devices: DevicesSettings {
                interval: within(INTERVAL, default.devices.expiry),
                ..default.devices
            },
            device_health: HealthSettings {
                rotation: within(ROTATION, default.device_health.expiry),
                ..default.device_health
            },
            presence: each(INTERVAL, default.presence),
            places: often(default.places),
            calendar: CalendarSettings { source: often(default.calendar.source), ..default.calendar },
            accounts: often(default.accounts),
            skus: default.skus,
            intune: often(default.intune),
            service_health: often(default.service_health),
            credentials: often(default.credentials),
        },
        frozen_after: DEFAULT_FROZEN_AFTER,
        room_lists: Vec::new(),
        rooms_file: None,
        sites: rooms::of_demo(),
        privacy: Privacy::default(),
    };
    Ok(Config {
        tenants: vec![tenant],
        web: Web::read(&args.web)?,
        intake_addresses: web::addresses("--intake.listen-address", &args.intake.listen_addresses)?,
        shard: Shard::default(),
        storage_path: args.storage.path.clone(),
        idle_after: None, // nobody's quota is spared, and an hour may be over in a second
        metrics: MetricsFilter::default(),
    })
}

fn metrics_filter(source: &Source, raw: &RawMetrics, known: &[&str]) -> Result<MetricsFilter, Error> {
    let names = |key: &str, names: &Option<Vec<Text>>| {
        let check = |name: &Text| {
            source.check(key, name, |name| {
                if known.contains(&name.as_str()) {
                    return Ok(name.clone());
                }
                Err(format!("unknown metric {}{}", quoted(name), spelling::did_you_mean(name, known)))
            })
        };
        names.iter().flatten().map(check).collect::<Result<Vec<_>, _>>()
    };
    Ok(MetricsFilter {
        preset: raw.preset.as_ref().map_or(Ok(Preset::Full), |text| preset(source, text))?,
        allow: names("metrics.allow", &raw.allow)?,
        deny: names("metrics.deny", &raw.deny)?,
    })
}

fn preset(source: &Source, text: &Text) -> Result<Preset, Error> {
    source.check("metrics.preset", text, |text| {
        let found = Preset::ALL.iter().find(|preset| preset.label() == text);
        found.copied().ok_or_else(|| format!("{} is neither full nor lean", quoted(text)))
    })
}

#[cfg(test)]
mod tests;
