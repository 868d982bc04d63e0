//! Wiring and lifetime: builds the parts of each tenant, runs them, exchanges them when the configuration changes, and
//! drains them on shutdown.

mod reload;
mod routes;
mod tenant;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::{Config, Credential, MetricsFilter, Preset, Secret};
use crate::graph::Limits;
use crate::intake::{self, Intake, Recipient};
use crate::keep;
use crate::metrics;
use crate::metrics::catalogue::{FAMILIES, Family};
use crate::metrics::exposition::Exposition;
use crate::model::shard::Shard;
use crate::observe;
use crate::otlp::{self, Telemetry};
use crate::poll;
use crate::serve;
use crate::serve::guard::{self, Guard};
use crate::stats::{self, Stats};
pub use reload::Reload;
use tenant::{Prepared, Settings, Tenant};
pub(crate) use tenant::{authorities, reader};

/// What no user sets, and a test may: how long the outside world is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    pub graph: Limits,
    /// How often a source is looked for that is off or gone.
    pub probe: Duration,
    /// How often the rooms file is looked at for a change.
    pub rooms_file: Duration,
    pub save_interval: Duration,
    /// The time that sources of single rooms wait for sources that may name more rooms.
    pub first_wait: Duration,
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
            first_wait: poll::FIRST_WAIT,
            intake_secrets: intake::SECRETS_EVERY,
            web_config: guard::FOLLOW_EVERY,
            observe: observe::INTERVAL,
            serve: serve::Settings::default(),
            intake: serve::Settings::of_intake(),
        }
    }
}

impl Tuning {
    /// The servers' connections, within the file descriptors that the process may open.
    fn within_descriptors(self) -> Self {
        let Some(descriptors) = stats::max_descriptors() else { return self };
        Self { serve: self.serve.within(descriptors), intake: self.intake.within(descriptors), ..self }
    }
}

/// Which families are exposed at all.
type Exposed = Arc<dyn Fn(&Family) -> bool + Send + Sync>;

/// What lasts as long as the process.
struct App {
    stats: Arc<Stats>,
    exposition: Arc<Exposition>,
    clock: Clock,
    tuning: Tuning,
    shard: Shard,
    storage_path: Option<PathBuf>,
    /// Whether pushes are listened for.
    takes_pushes: bool,
    current: RwLock<Arc<Current>>,
}

/// What the configuration in force has brought about; exchanged as a whole.
struct Current {
    tenants: Vec<Arc<Tenant>>,
    exposed: Exposed,
    intake: Arc<Intake>,
}

/// Runs the exporter on bound listeners until `shutdown` resolves.
pub async fn run(
    config: Config,
    listeners: Listeners,
    telemetry: Telemetry,
    clock: Clock,
    tuning: Tuning,
    reload: Reload,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (stats, tuning) = (Stats::new(), tuning.within_descriptors());
    if config.storage_path.is_some() {
        stats.with_storage();
    }
    if let Some(otlp) = &telemetry.stats {
        stats.with_otlp(otlp);
    }
    let nobody = Current {
        tenants: Vec::new(),
        exposed: Arc::new(|_| true),
        intake: Arc::new(Intake::open(Vec::new(), &stats, &clock)),
    };
    let app = Arc::new(App {
        exposition: Arc::new(Exposition::new(FAMILIES, Vec::new())),
        stats,
        clock,
        tuning,
        shard: config.shard,
        storage_path: config.storage_path.clone(),
        takes_pushes: !listeners.intake.is_empty(),
        current: RwLock::new(Arc::new(nobody)),
    });
    let guard = Arc::new(config.web.config_file.as_deref().map_or_else(|| Ok(Guard::absent()), Guard::load)?);
    app.adopt(&config).await?;

    let mut tasks = JoinSet::new();
    let following = app.clone();
    tasks.spawn(async move { following.follow_intake_secrets().await });
    if let Some(path) = config.web.config_file.clone() {
        let (guard, stats) = (guard.clone(), app.stats.clone());
        stats.with_web_config();
        let on_read = move |is_active| stats.web_config_read(is_active);
        tasks.spawn(async move { guard.follow(path, tuning.web_config, on_read).await });
    }
    let told = Arc::new(routes::pushed(&app));
    if let Some(pusher) = telemetry.metrics.clone() {
        tasks.spawn(pusher.run(told.clone()));
    }
    let (asked, reloading) = reload::channel(config.web.lifecycle);
    let reloaded = app.clone();
    tasks.spawn(async move { reloaded.follow(reload, reloading).await });
    let (web, intake) = (routes::web(&app, &config.web, asked), routes::intake(&app));
    let shutdown = shutdown.shared();
    tokio::join!(
        serve::run(listeners.web, serve::Service::Web(Box::new(web), guard), tuning.serve, shutdown.clone()),
        serve::run(listeners.intake, serve::Service::Intake(intake), tuning.intake, shutdown),
    );

    tasks.shutdown().await;
    for tenant in &app.current().tenants {
        tenant.stop().await;
    }
    // Last: what is kept must not wait for a receiver.
    if tokio::time::timeout(otlp::FLUSH, telemetry.flush(&told)).await.is_err() {
        tracing::warn!("not everything was sent by OTLP before the end");
    }
    Ok(())
}

impl App {
    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a configuration in force, all of it or, where a part of it fails, nothing. Tenants that it leaves as they were
    /// run on; those that it changes go on with what is known of them.
    async fn adopt(&self, config: &Config) -> anyhow::Result<()> {
        let before = self.current();
        let mut planned = Vec::new();
        for tenant in &config.tenants {
            let settings = Settings {
                tenant: tenant.clone(),
                idle_after: config.idle_after,
                metrics: config.metrics.clone(),
            };
            let same = before.tenants.iter().find(|running| running.settings == settings);
            planned.push(if let Some(running) = same {
                Planned::Kept(running.clone())
            } else {
                let prepared = Prepared::new(self, settings);
                Planned::New(Box::new(prepared.with_context(|| format!("tenant {}", tenant.name))?))
            });
        }
        let secrets = self.intake_secrets(config)?;

        // From here on nothing fails.
        for running in &before.tenants {
            if !planned.iter().any(|planned| planned.keeps(running)) {
                running.stop().await;
            }
        }
        let MetricsFilter { preset, allow, deny } = &config.metrics;
        let exposed: Exposed = Arc::new(metrics::exposed(*preset == Preset::Lean, allow, deny));
        self.exposition.set_tenants(config.tenants.iter().map(|tenant| tenant.name.clone()).collect());
        self.exposition.retain(&*exposed);
        let tenants: Vec<_> =
            planned.into_iter().map(|planned| planned.start(self, &exposed, &before.tenants)).collect();
        for gone in before.tenants.iter().filter(|one| !tenants.iter().any(|tenant| tenant.name == one.name))
        {
            self.stats.forget(&gone.name, self.clock.now());
        }
        let intake = Arc::new(self.open_intake(secrets, &tenants));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Current { tenants, exposed, intake });
        self.stats.config_loaded(self.clock.now());
        Ok(())
    }
}

/// A tenant of a new configuration.
enum Planned {
    /// It runs already, as it is to be.
    Kept(Arc<Tenant>),
    New(Box<Prepared>),
}

impl Planned {
    fn keeps(&self, tenant: &Arc<Tenant>) -> bool {
        matches!(self, Self::Kept(kept) if Arc::ptr_eq(kept, tenant))
    }

    fn start(self, app: &App, exposed: &Exposed, before: &[Arc<Tenant>]) -> Arc<Tenant> {
        match self {
            Self::Kept(tenant) => tenant,
            Self::New(prepared) => {
                let before = before.iter().find(|tenant| prepared.continues(tenant));
                Arc::new(prepared.start(app, exposed.clone(), before.map(|tenant| &**tenant)))
            }
        }
    }
}

impl App {
    /// The secrets of the intake by tenant, where anything listens for pushes.
    fn intake_secrets(&self, config: &Config) -> anyhow::Result<Vec<(String, Credential, Secret)>> {
        let mut secrets = Vec::new();
        for tenant in &config.tenants {
            let Some(credential) = tenant.intake.clone() else { continue };
            if self.takes_pushes {
                let secret = credential.read().with_context(|| format!("the intake of {}", tenant.name))?;
                secrets.push((tenant.name.clone(), credential, secret));
            } else {
                tracing::warn!(
                    tenant = tenant.name,
                    "has an intake secret, but nothing is taken: --intake.listen-address is not given"
                );
            }
        }
        Ok(secrets)
    }

    fn open_intake(&self, secrets: Vec<(String, Credential, Secret)>, tenants: &[Arc<Tenant>]) -> Intake {
        let recipients = secrets.into_iter().filter_map(|(name, credential, secret)| {
            let tenant = tenants.iter().find(|tenant| *tenant.name == *name)?;
            Some(Recipient { tenant: tenant.name.clone(), credential, secret, store: tenant.store.clone() })
        });
        Intake::open(recipients.collect(), &self.stats, &self.clock)
    }

    /// Reads the secret files of the intake in force again and again, until it is dropped.
    async fn follow_intake_secrets(&self) {
        loop {
            tokio::time::sleep(self.tuning.intake_secrets).await;
            self.current().intake.follow_secrets().await;
        }
    }
}
