//! Wiring and lifetime: builds the parts of each tenant, runs them, and drains them on shutdown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::collectors;
use crate::collectors::licenses::Skus;
use crate::config::{self, Auth, Config, Credential, Enabled, Trust};
use crate::graph::{Client, Limits, auth};
use crate::intake::{self, Intake, Recipient};
use crate::keep::{self, Keeper};
use crate::metrics::catalogue::{FAMILIES, Family};
use crate::metrics::exposition::Exposition;
use crate::metrics::{self, View, exporter};
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::shard::Shard;
use crate::model::{Snapshot, State, Timestamp, identity, record, report};
use crate::observe::{self, Observer};
use crate::otlp::metrics::Exposed;
use crate::otlp::{self, Telemetry};
use crate::poll;
use crate::poll::{Pace, Poller, Readers};
use crate::render::Renderer;
use crate::rooms_file;
use crate::serve::guard::{self, Guard};
use crate::serve::{self, page};
use crate::stats::{Stats, TenantStats};
use crate::store::Store;
use crate::store::storage::Storage;

/// What no user sets, and a test may: how long the outside world is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    pub graph: Limits,
    /// How often a source is looked for that is off or gone.
    pub probe: Duration,
    /// How often the rooms file is looked at for a change.
    pub rooms_file: Duration,
    pub save_interval: Duration,
    /// How often the secret files of the intake are read for a new secret.
    pub intake_secrets: Duration,
    /// How often the web configuration file, and those it names, are read for a change.
    pub web_config: Duration,
    /// How often the rooms are looked at.
    pub observe: Duration,
    pub serve: serve::Settings,
    pub intake: serve::Settings,
}

/// Bound listeners, by what they answer.
#[derive(Debug, Default)]
pub struct Listeners {
    pub web: Vec<TcpListener>,
    pub intake: Vec<TcpListener>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            graph: Limits::default(),
            probe: poll::PROBE,
            rooms_file: poll::ROOMS_FILE_EVERY,
            save_interval: keep::INTERVAL,
            intake_secrets: intake::SECRETS_EVERY,
            web_config: guard::FOLLOW_EVERY,
            observe: observe::INTERVAL,
            serve: serve::Settings::default(),
            intake: serve::Settings::of_intake(),
        }
    }
}

/// The parts of one tenant.
struct Tenant {
    name: Arc<str>,
    store: Arc<Store>,
    /// There was something to serve before the first attempt.
    restored: bool,
    keeper: Option<Arc<Keeper>>,
    readers: Arc<Readers>,
}

/// Runs the exporter on bound listeners until `shutdown` resolves.
pub async fn run(
    config: Config,
    listeners: Listeners,
    telemetry: Telemetry,
    clock: Clock,
    tuning: Tuning,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let stats = Stats::new();
    stats.config_loaded(clock.now());
    let names = config.tenants.iter().map(|tenant| tenant.name.clone()).collect();
    let exposition = Arc::new(Exposition::new(FAMILIES, names));
    let exposed: Arc<dyn Fn(&Family) -> bool + Send + Sync> =
        Arc::new(metrics::exposed(&config.metrics.allow, &config.metrics.deny));

    if config.storage_path.is_some() {
        stats.with_storage();
    }
    let mut tasks = JoinSet::new();
    let mut tenants = Vec::new();
    for settings in &config.tenants {
        let tenant = open(settings, config.shard, config.storage_path.as_deref(), &stats, &clock)
            .with_context(|| format!("tenant {}", settings.name))?;
        let poller = poller(settings, config.shard, config.idle_after, &tenant, &stats, &clock, &tuning)
            .with_context(|| format!("tenant {}", settings.name))?;
        tasks.spawn(async move { poller.run().await });
        let renderer = Renderer {
            tenant: tenant.name.clone(),
            store: tenant.store.clone(),
            exposition: exposition.clone(),
            clock: clock.clone(),
            exposed: exposed.clone(),
        };
        tasks.spawn(Arc::new(renderer).run());
        let observer = Observer { store: tenant.store.clone(), clock: clock.clone() };
        tasks.spawn(Arc::new(observer).run(tuning.observe));
        if let Some(keeper) = tenant.keeper.clone() {
            tasks.spawn(async move { keeper.run(tuning.save_interval).await });
        }
        tenants.push(tenant);
    }
    let tenants: Arc<[Tenant]> = tenants.into();
    let (gate, shutdown) = (open_intake(&config, &tenants, &listeners, &stats, &clock)?, shutdown.shared());
    let following = gate.clone();
    tasks.spawn(async move { following.follow_secrets(tuning.intake_secrets).await });
    let guard = Arc::new(config.web.config_file.as_deref().map_or_else(|| Ok(Guard::absent()), Guard::load)?);
    if let Some(path) = config.web.config_file.clone() {
        let guard = guard.clone();
        tasks.spawn(async move { guard.follow(path, tuning.web_config).await });
    }
    if let Some(otlp) = &telemetry.stats {
        stats.with_otlp(otlp);
    }
    let pushed = Arc::new(pushed(config.shard, &tenants, &exposition, &exposed, &stats, &clock));
    if let Some(pusher) = telemetry.metrics.clone() {
        tasks.spawn(pusher.run(pushed.clone()));
    }
    let pushes = intake_routes(gate, stats.clone());
    let routes = routes(&config, &tenants, exposition, exposed, stats, clock);
    tokio::join!(
        serve::run(listeners.web, serve::Service::Web(routes, guard), tuning.serve, shutdown.clone()),
        serve::run(listeners.intake, serve::Service::Intake(pushes), tuning.intake, shutdown),
    );

    tasks.shutdown().await;
    let flushed = telemetry.flush(&pushed);
    if tokio::time::timeout(otlp::FLUSH, flushed).await.is_err() {
        tracing::warn!("not everything was sent by OTLP before the end");
    }
    for keeper in tenants.iter().filter_map(|tenant| tenant.keeper.as_ref()) {
        keeper.save_now().await;
    }
    Ok(())
}

/// Makes a tenant's store, from what was kept where there is something.
fn open(
    settings: &config::Tenant,
    shard: Shard,
    storage_path: Option<&Path>,
    stats: &Arc<Stats>,
    clock: &Clock,
) -> anyhow::Result<Tenant> {
    let name: Arc<str> = settings.name.as_str().into();
    let storage = storage_path
        .map(|path| Storage::open(path, &settings.name, shard, &settings.tenant_id))
        .transpose()?;
    let mut snapshot =
        storage.as_ref().map(|storage| restore(&name, storage, settings, clock)).unwrap_or_default();
    let restored =
        !(snapshot.devices.rows.is_empty() && snapshot.places.is_empty() && snapshot.accounts.is_empty());
    snapshot.frozen_after = Some(settings.frozen_after);
    snapshot.sites = settings.sites.clone().into();
    let is_off = settings.collectors.credentials.enabled == Enabled::No;
    snapshot.secret_expires = settings.client_secret_expires.filter(|_| !is_off);
    snapshot.privacy = settings.privacy;
    snapshot.shard = shard;
    let sources = sources(settings, shard, poll::PROBE);
    let first = |collector| Status {
        last_success: last_read(&snapshot, collector),
        ..first_status(collector, &sources)
    };
    snapshot.status = Arc::new(Collector::ALL.iter().map(|one| (*one, first(*one))).collect());
    let store = Arc::new(Store::new(snapshot));
    // Whoever it excludes must not show for a moment.
    match settings.rooms_file.as_deref().map(rooms_file::read) {
        Some(Ok(rooms)) => store.take_rooms_file(rooms),
        Some(Err(error)) => tracing::error!(tenant = &*name, %error, "the rooms file is not read"),
        None => {}
    }
    let keeper = storage.map(|storage| {
        Arc::new(Keeper {
            tenant: name.clone(),
            store: store.clone(),
            storage,
            stats: stats.clone(),
            clock: clock.clone(),
        })
    });
    let readers = Arc::new(Readers::new(clock.now()));
    Ok(Tenant { name, store, restored, keeper, readers })
}

/// The parts that read a tenant, for a command that serves nothing and keeps nothing.
pub(crate) fn reader(
    settings: &config::Tenant,
    clock: &Clock,
    tuning: &Tuning,
) -> anyhow::Result<(Poller, Arc<Store>)> {
    let stats = Stats::new();
    let whole = Shard::default();
    let tenant = open(settings, whole, None, &stats, clock)?;
    Ok((poller(settings, whole, None, &tenant, &stats, clock, tuning)?, tenant.store))
}

/// The gates of the tenants that have a secret for it; none where nothing listens.
fn open_intake(
    config: &Config,
    tenants: &[Tenant],
    listeners: &Listeners,
    stats: &Arc<Stats>,
    clock: &Clock,
) -> anyhow::Result<Arc<Intake>> {
    let mut recipients = Vec::new();
    for (settings, tenant) in config.tenants.iter().zip(tenants) {
        let Some(secret) = settings.intake.clone() else { continue };
        let (tenant, store) = (tenant.name.clone(), tenant.store.clone());
        if listeners.intake.is_empty() {
            tracing::warn!(
                tenant = &*tenant,
                "has an intake secret, but nothing is taken: --intake.listen-address is not given"
            );
        } else {
            recipients.push(Recipient { tenant, secret, store });
        }
    }
    Ok(Arc::new(Intake::open(recipients, stats, clock).context("the intake")?))
}

fn intake_routes(gate: Arc<Intake>, stats: Arc<Stats>) -> serve::intake::Intake {
    serve::intake::Intake {
        receive: Box::new(move |push| gate.receive(push)),
        on_response: Box::new(move |handler, code| stats.http_request(handler, code)),
    }
}

fn restore(tenant: &str, storage: &Storage, settings: &config::Tenant, clock: &Clock) -> Snapshot {
    match storage.restore() {
        Ok(None) => Snapshot::default(),
        Ok(Some((mut snapshot, saved_at))) => {
            let age = clock.now().since(saved_at);
            if age > settings.collectors.devices.expiry {
                Arc::make_mut(&mut snapshot.memory).lose_track(clock.now());
            }
            not_after(&mut snapshot, clock.now());
            tracing::info!(tenant, devices = snapshot.devices.rows.len(), ?age, "restored");
            snapshot
        }
        Err(error) => {
            tracing::warn!(tenant, %error, "nothing restored");
            Snapshot::default()
        }
    }
}

/// When what was restored was last read.
fn last_read(snapshot: &Snapshot, collector: Collector) -> Option<Timestamp> {
    match collector {
        Collector::Devices => snapshot.devices.rows.values().map(|row| row.seen_at).max(),
        Collector::DeviceHealth => snapshot.details.values().map(|reading| reading.read_at).max(),
        Collector::Presence => record::last_read(&snapshot.presence),
        Collector::Places => record::last_read(&snapshot.places),
        Collector::Calendar => record::last_read(&snapshot.calendar),
        Collector::Accounts => record::last_read(&snapshot.accounts),
        Collector::Intune => record::last_read(&snapshot.intune),
        Collector::ServiceHealth => record::last_read(&snapshot.service_health),
        Collector::Credentials => record::last_read(&snapshot.credentials),
    }
}

/// A file from before the clock was set back must not keep its records for ever.
fn not_after(snapshot: &mut Snapshot, now: Timestamp) {
    for row in Arc::make_mut(&mut snapshot.devices).rows.values_mut() {
        row.seen_at = row.seen_at.min(now);
    }
    record::not_after(&mut snapshot.presence, now);
    record::not_after(&mut snapshot.places, now);
    record::not_after(&mut snapshot.accounts, now);
    record::not_after(&mut snapshot.licenses, now);
    record::not_after(&mut snapshot.intune, now);
    Arc::make_mut(&mut snapshot.incidents).not_after(now);
    for reading in Arc::make_mut(&mut snapshot.details).values_mut() {
        reading.read_at = reading.read_at.min(now);
    }
}

fn first_status(collector: Collector, sources: &poll::Sources) -> Status {
    let source = sources.of(collector);
    let status = Status::starting(source.pace.interval, source.pace.expiry);
    // The detail asks for the devices that the list found.
    let off = |one| sources.of(one).enabled == Enabled::No;
    let off = off(collector) || (collector == Collector::DeviceHealth && off(Collector::Devices));
    if off { Status { state: CollectorState::Disabled, ..status } } else { status }
}

/// Whether and how often each source is read; what is of no room, by the first shard only.
fn sources(settings: &config::Tenant, shard: Shard, probe: Duration) -> poll::Sources {
    poll::Sources::new(|collector| {
        let config::SourceSettings { enabled, interval, expiry } = settings.source(collector);
        let enabled = if collector.is_of_tenant() && !shard.is_first() { Enabled::No } else { enabled };
        poll::Source { enabled, pace: Pace { interval, expiry, probe } }
    })
}

fn poller(
    settings: &config::Tenant,
    shard: Shard,
    idle_after: Option<Duration>,
    tenant: &Tenant,
    stats: &Arc<Stats>,
    clock: &Clock,
    tuning: &Tuning,
) -> anyhow::Result<Poller> {
    let tenant_stats = stats.tenant(&tenant.name);
    let client = client(settings, tuning.graph, tenant_stats.clone(), clock)?;
    let settings = poll::Settings {
        sources: sources(settings, shard, tuning.probe),
        device_types: device_types(&settings.collectors.devices),
        skus: Skus::new(&settings.collectors.skus),
        room_lists: settings.room_lists.clone(),
        calendar_mailbox: settings.collectors.calendar.mailbox.as_deref().map(Into::into),
        rooms_file: settings.rooms_file.clone(),
        rooms_file_every: tuning.rooms_file,
        rotation: settings.collectors.device_health.rotation,
        trust_device_accounts: trust(settings),
        idle_after,
    };
    let (name, store) = (tenant.name.clone(), tenant.store.clone());
    Ok(Poller::new(name, client, store, settings, tenant_stats, clock.clone(), tenant.readers.clone()))
}

/// The connection of a tenant to Graph.
fn client(
    settings: &config::Tenant,
    limits: Limits,
    stats: TenantStats,
    clock: &Clock,
) -> anyhow::Result<Client> {
    let identity = auth::Identity {
        authority: settings.authority.clone(),
        tenant_id: settings.tenant_id.clone(),
        client_id: settings.client_id.clone().unwrap_or_default(),
        proof: proof(&settings.auth),
    };
    let top_rate = settings.requests_per_second.map_or(limits.top_rate, f64::from);
    let limits = Limits { top_rate, ..limits };
    let authorities = authorities(settings)?;
    Ok(Client::new(identity, settings.graph.clone(), authorities, limits, stats, clock.clone())?)
}

/// The authorities that are trusted for a tenant beside the system's own, in DER.
pub(crate) fn authorities(settings: &config::Tenant) -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(settings.ca_file.as_deref().map(config::read_authorities).transpose()?.unwrap_or_default())
}

/// What proves who we are; files are read anew at each sign-in.
fn proof(auth: &Auth) -> auth::Proof {
    match auth.clone() {
        Auth::Secret(credential) => auth::Proof::Secret(Arc::new(move || text_of(&credential))),
        Auth::Certificate(files) => auth::Proof::Certificate {
            send_chain: files.send_chain,
            read: Arc::new(move || files.read().map_err(|error| error.to_string())),
        },
        Auth::FederatedToken(path) => {
            let credential = Credential::SecretFile(path);
            auth::Proof::FederatedToken(Arc::new(move || text_of(&credential)))
        }
        Auth::ManagedIdentity(identity) => auth::Proof::ManagedIdentity(auth::managed_identity::Service {
            endpoint: identity.endpoint,
            client_id: identity.client_id,
            header: identity.header.map(|header| header.expose().to_owned()),
        }),
        Auth::Delegated(path) => auth::Proof::RefreshToken(auth::delegated::TokenFile::new(path)),
    }
}

fn text_of(credential: &Credential) -> Result<String, String> {
    match credential.read() {
        Ok(secret) => Ok(secret.expose().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The trust in accounts on room devices, as the model has it.
fn trust(settings: &config::Tenant) -> identity::Trust {
    match settings.trust_device_accounts {
        Trust::Auto => identity::Trust::UntilListed,
        Trust::Yes => identity::Trust::Always,
        Trust::No => identity::Trust::Never,
    }
}

/// The configured types as the model has them; the configuration knows the same names.
fn device_types(devices: &config::DevicesSettings) -> Vec<crate::model::device::DeviceType> {
    devices.types.iter().filter_map(|name| collectors::devices::by_graph_name(name)).collect()
}

fn routes(
    config: &Config,
    tenants: &Arc<[Tenant]>,
    exposition: Arc<Exposition>,
    exposed: Arc<dyn Fn(&Family) -> bool + Send + Sync>,
    stats: Arc<Stats>,
    clock: Clock,
) -> serve::routes::Routes {
    let (awaited, shown, read) = (tenants.clone(), tenants.clone(), tenants.clone());
    let (tail_stats, tail_exposition) = (stats.clone(), exposition.clone());
    let (page_cache, rooms_cache) = (page::Cache::default(), page::Cache::default());
    let (listed, rooms_clock) = (tenants.clone(), clock.clone());
    let shard = config.shard;
    let (page_clock, telemetry_path) = (clock.clone(), config.web.telemetry_path.clone());
    serve::routes::Routes {
        exposition,
        tail: Box::new(move |asked| {
            let about = exporter::About { exposition: tail_exposition.stats(), shard };
            exporter::lines(&tail_stats, &about, asked, &*exposed)
        }),
        ready: Box::new(move || awaited.iter().try_for_each(Tenant::ready)),
        rooms: Box::new(move || {
            rooms_cache.get(|| {
                let now = rooms_clock.now();
                let of = |tenant: &Tenant| report::rooms(&tenant.name, &tenant.store.snapshot(), now);
                listed.iter().flat_map(of).collect()
            })
        }),
        page: Box::new(move || {
            page_cache.get(|| {
                let tenants: Vec<_> =
                    shown.iter().map(|tenant| (&*tenant.name, tenant.store.snapshot())).collect();
                page::html(&tenants, page_clock.now(), &telemetry_path)
            })
        }),
        on_read: Box::new(move |name| {
            let now = clock.now();
            for tenant in read.iter().filter(|tenant| name.is_none_or(|name| name == &*tenant.name)) {
                tenant.readers.read(now);
            }
        }),
        on_response: Box::new(move |handler, code| stats.http_request(handler, code)),
        telemetry_path: config.web.telemetry_path.clone(),
    }
}

/// What is pushed by OTLP: the families of every tenant and the exporter's own, as a scrape has them.
fn pushed(
    shard: Shard,
    tenants: &Arc<[Tenant]>,
    exposition: &Arc<Exposition>,
    exposed: &Arc<dyn Fn(&Family) -> bool + Send + Sync>,
    stats: &Arc<Stats>,
    clock: &Clock,
) -> Exposed {
    let (shown, read, read_clock) = (tenants.clone(), tenants.clone(), clock.clone());
    let (exposition, exposed, stats, clock) =
        (exposition.clone(), exposed.clone(), stats.clone(), clock.clone());
    Exposed {
        observe: Box::new(move |points| {
            for tenant in shown.iter() {
                let snapshot = tenant.store.snapshot();
                let view = View::new(&tenant.name, &snapshot, clock.now());
                for family in FAMILIES.iter().filter(|family| exposed(family)) {
                    view.observe(family, points);
                }
            }
            let about = exporter::About { exposition: exposition.stats(), shard };
            exporter::observe(&stats, &about, &*exposed, points);
        }),
        on_read: Box::new(move || read.iter().for_each(|tenant| tenant.readers.read(read_clock.now()))),
    }
}

impl Tenant {
    /// Ready once every collector has ended its first attempt, good or bad, or something was restored.
    fn ready(&self) -> Result<(), String> {
        match self.store.snapshot().awaited() {
            Some(collector) if !self.restored => {
                Err(format!("waiting for the first attempt of collector {collector} of tenant {}", self.name))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_type_that_may_be_configured_is_one_that_the_model_knows() {
        for (name, _) in config::DEVICE_TYPES {
            assert!(collectors::devices::by_graph_name(name).is_some(), "{name}");
        }
    }
}
