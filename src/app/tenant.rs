//! One tenant: its parts are made from its settings, begin with what was kept of it, run, and are stopped.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{App, Exposed, Tuning};
use crate::clock::Clock;
use crate::collectors;
use crate::collectors::licenses::Skus;
use crate::config::{self, Auth, Credential, Enabled, Trust};
use crate::graph::{Client, Limits, auth};
use crate::keep::Keeper;
use crate::model::collector::{Collector, CollectorState, Status};
use crate::model::identity::{self, Registry};
use crate::model::rooms_file::Rooms;
use crate::model::shard::Shard;
use crate::model::{Snapshot, State, Timestamp, record};
use crate::observe::Observer;
use crate::poll::{self, Pace, Poller, Readers};
use crate::render::Renderer;
use crate::rooms_file;
use crate::stats::{Stats, TenantStats};
use crate::store::Store;
use crate::store::storage::Storage;

/// What a tenant is made from; two that are the same make the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) tenant: config::Tenant,
    pub(super) idle_after: Option<Duration>,
    pub(super) metrics: config::MetricsFilter,
}

/// All of a tenant that may fail to come about, before anything of it runs.
pub(super) struct Prepared {
    settings: Settings,
    client: Client,
    storage: Option<Storage>,
    stats: TenantStats,
}

/// A tenant that runs until it is stopped.
pub(super) struct Tenant {
    pub(super) name: Arc<str>,
    pub(super) settings: Settings,
    pub(super) store: Arc<Store>,
    pub(super) readers: Arc<Readers>,
    /// There was something to serve before the first attempt.
    restored: bool,
    renderer: Arc<Renderer>,
    keeper: Option<Arc<Keeper>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Prepared {
    /// Fails where the storage directory cannot be used or the client does not start.
    pub(super) fn new(app: &App, settings: Settings) -> anyhow::Result<Self> {
        let (tenant, name) = (&settings.tenant, settings.tenant.name.as_str().into());
        let open =
            |path: &Path| Storage::open(path, &tenant.name, app.shard, &tenant.tenant_id, tenant.max_items);
        let storage = app.storage_path.as_deref().map(open).transpose()?;
        let stats = app.stats.tenant(&name);
        let client = client(tenant, app.tuning.graph, stats.clone(), &app.clock)?;
        Ok(Self { settings, client, storage, stats })
    }

    /// Whether it is the tenant that ran before, under other settings: what is known of that is known of it.
    pub(super) fn continues(&self, tenant: &Tenant) -> bool {
        let (own, other) = (&self.settings.tenant, &tenant.settings.tenant);
        own.name == other.name && own.tenant_id == other.tenant_id
    }

    /// Begins where the one before it ended, else with what was kept on disk, else from nothing.
    pub(super) fn start(self, app: &App, exposed: Exposed, before: Option<&Tenant>) -> Tenant {
        let Self { settings, client, storage, stats } = self;
        let name: Arc<str> = settings.tenant.name.as_str().into();
        let known = match (before, &storage) {
            (Some(tenant), _) => tenant.store.snapshot(),
            (None, Some(storage)) => restore(&name, storage, &settings.tenant, &app.clock),
            (None, None) => Snapshot::default(),
        };
        let readers =
            before.map_or_else(|| Arc::new(Readers::new(app.clock.now())), |one| one.readers.clone());
        let restored = before.map_or_else(|| has_content(&known), Tenant::is_ready);
        let store = store(known, &settings.tenant, app.shard);
        let mut tasks = JoinSet::new();
        let poller = Poller::new(
            name.clone(),
            client,
            store.clone(),
            poll_settings(&settings, app.shard, &app.tuning),
            stats,
            app.clock.clone(),
            readers.clone(),
        );
        tasks.spawn(async move { poller.run().await });
        let renderer = Arc::new(Renderer {
            tenant: name.clone(),
            store: store.clone(),
            exposition: app.exposition.clone(),
            clock: app.clock.clone(),
            exposed,
            stopped: Mutex::default(),
        });
        tasks.spawn(renderer.clone().run());
        let observer = Observer { store: store.clone(), clock: app.clock.clone() };
        tasks.spawn(Arc::new(observer).run(app.tuning.observe));
        let keeper = storage.map(|storage| {
            Arc::new(Keeper {
                tenant: name.clone(),
                store: store.clone(),
                storage,
                stats: app.stats.clone(),
                clock: app.clock.clone(),
            })
        });
        if let Some(keeper) = keeper.clone() {
            let interval = app.tuning.save_interval;
            tasks.spawn(async move { keeper.run(interval).await });
        }
        Tenant { name, settings, store, readers, restored, renderer, keeper, tasks: Mutex::new(tasks) }
    }
}

impl Tenant {
    /// Ready once every collector has ended its first attempt, good or bad, or something was restored.
    pub(super) fn ready(&self) -> Result<(), String> {
        match self.store.snapshot().awaited() {
            Some(collector) if !self.restored => {
                Err(format!("waiting for the first attempt of collector {collector} of tenant {}", self.name))
            }
            _ => Ok(()),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready().is_ok()
    }

    /// Ends what runs of it, and keeps what it knows on disk.
    pub(super) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.renderer.clone().stop().await;
        if let Some(keeper) = &self.keeper {
            keeper.save_now().await;
        }
    }
}

/// The parts that read a tenant, for a command that serves nothing and keeps nothing.
pub(crate) fn reader(
    settings: &config::Tenant,
    clock: &Clock,
    tuning: &Tuning,
) -> anyhow::Result<(Poller, Arc<Store>)> {
    let (stats, name): (_, Arc<str>) = (Stats::new(), settings.name.as_str().into());
    let (stats, whole) = (stats.tenant(&name), Shard::default());
    let client = client(settings, tuning.graph, stats.clone(), clock)?;
    let store = store(Snapshot::default(), settings, whole);
    let settings =
        Settings { tenant: settings.clone(), idle_after: None, metrics: config::MetricsFilter::default() };
    let (settings, readers) = (poll_settings(&settings, whole, tuning), Arc::new(Readers::new(clock.now())));
    Ok((Poller::new(name, client, store.clone(), settings, stats, clock.clone(), readers), store))
}

/// Holds what is known already, as the settings have it.
fn store(mut snapshot: Snapshot, settings: &config::Tenant, shard: Shard) -> Arc<Store> {
    snapshot.frozen_after = Some(settings.frozen_after);
    snapshot.sites = settings.sites.clone().into();
    let is_off = settings.collectors.credentials.enabled == Enabled::No;
    snapshot.secret_expires = settings.client_secret_expires.filter(|_| !is_off);
    snapshot.privacy = settings.privacy;
    snapshot.shard = shard;
    if !settings.privacy.usage {
        // What may not be known is not kept either.
        snapshot.presence = Arc::default();
        snapshot.calendar = Arc::default();
    }
    let sources = sources(settings, shard, poll::PROBE);
    let first = |collector| first_status(collector, &snapshot, &sources);
    snapshot.status = Arc::new(Collector::ALL.iter().map(|one| (*one, first(*one))).collect());
    snapshot.set_rooms_file(Rooms::default());
    if settings.room_lists.is_empty() {
        Registry::narrow(&mut Arc::make_mut(&mut snapshot.memory).rooms, false);
    }
    let store = Arc::new(Store::new(snapshot).bounded(settings.max_items));
    // Whoever it excludes must not show for a moment.
    match settings.rooms_file.as_deref().map(rooms_file::read) {
        Some(Ok(rooms)) => store.take_rooms_file(rooms),
        Some(Err(error)) => tracing::error!(tenant = settings.name, %error, "the rooms file is not read"),
        None => {}
    }
    store
}

fn has_content(snapshot: &Snapshot) -> bool {
    !(snapshot.devices.rows.is_empty() && snapshot.places.is_empty() && snapshot.accounts.is_empty())
}

/// As it was, where it ran before and still does; else as one that was last read when its records were.
fn first_status(collector: Collector, snapshot: &Snapshot, sources: &poll::Sources) -> Status {
    let pace = &sources.of(collector).pace;
    let starting = Status::starting(pace.interval, pace.expiry);
    // The detail asks for the devices that the list found.
    let off = |one| sources.of(one).enabled == Enabled::No;
    if off(collector) || (collector == Collector::DeviceHealth && off(Collector::Devices)) {
        return Status { state: CollectorState::Disabled, ..starting };
    }
    match snapshot.status(collector) {
        Some(status) if !matches!(status.state, CollectorState::Disabled | CollectorState::Paused) => {
            Status { interval: starting.interval, expiry: starting.expiry, ..status.clone() }
        }
        _ => Status { last_success: last_read(snapshot, collector), ..starting },
    }
}

fn restore(tenant: &str, storage: &Storage, settings: &config::Tenant, clock: &Clock) -> Snapshot {
    match storage.restore() {
        Ok(None) => Snapshot::default(),
        Ok(Some((mut snapshot, saved_at))) => {
            let age = clock.now().since(saved_at);
            if age > settings.collectors.devices.expiry {
                snapshot.lose_track(clock.now());
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

/// Whether and how often each source is read; what is of no room, by the first shard only.
fn sources(settings: &config::Tenant, shard: Shard, probe: Duration) -> poll::Sources {
    poll::Sources::new(|collector| {
        let config::SourceSettings { enabled, interval, expiry } = settings.source(collector);
        let enabled = if collector.is_of_tenant() && !shard.is_first() { Enabled::No } else { enabled };
        poll::Source { enabled, pace: Pace { interval, expiry, probe } }
    })
}

fn poll_settings(settings: &Settings, shard: Shard, tuning: &Tuning) -> poll::Settings {
    let tenant = &settings.tenant;
    poll::Settings {
        sources: sources(tenant, shard, tuning.probe),
        device_types: device_types(&tenant.collectors.devices),
        max_items: tenant.max_items,
        skus: Skus::new(&tenant.collectors.skus),
        room_lists: tenant.room_lists.clone(),
        calendar_mailbox: tenant.collectors.calendar.mailbox.as_deref().map(Into::into),
        rooms_file: tenant.rooms_file.clone(),
        rooms_file_every: tuning.rooms_file,
        rotation: tenant.collectors.device_health.rotation,
        trust_device_accounts: trust(tenant),
        first_wait: tuning.first_wait,
        idle_after: settings.idle_after,
    }
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
    let http = limits.http(authorities(settings)?, settings.proxies.clone());
    Ok(Client::new(identity, settings.graph.clone(), &http, limits, stats, clock.clone())?)
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
        Trust::Auto => identity::Trust::UnlessPerson,
        Trust::Yes => identity::Trust::Always,
        Trust::No => identity::Trust::Never,
    }
}

/// The configured types as the model has them; the configuration knows the same names.
fn device_types(devices: &config::DevicesSettings) -> Vec<crate::model::device::DeviceType> {
    devices.types.iter().filter_map(|name| collectors::devices::by_graph_name(name)).collect()
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
