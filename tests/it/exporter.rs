//! The harness: a simulated tenant and the app that reads it, each on its own port, with small times.
//!
//! Nothing sleeps to be sure: a test waits until a scrape shows what it is about, and fails with that scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use teams_rooms_exporter::app::{self, Listeners, Reload, Tuning};
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::config::otlp::Otlp;
use teams_rooms_exporter::config::web_config::WebConfig;
use teams_rooms_exporter::config::{
    Auth, Collectors, Config, Credential, DevicesSettings, Enabled, HealthSettings, MetricsFilter,
    Protection, Secret, SourceSettings, Tenant, Trust, Web,
};
use teams_rooms_exporter::graph::Limits;
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::model::privacy::Privacy;
use teams_rooms_exporter::model::shard::Shard;
use teams_rooms_exporter::otlp::Telemetry;
use teams_rooms_exporter::proxy::Proxies;
use teams_rooms_exporter::sim::{self, Sim};
use teams_rooms_exporter::{logging, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for what it expects; far more than it takes, so that a busy machine is no failure.
const PATIENCE: Duration = Duration::from_mins(2);

/// Scrapes in a row that show what is expected. Families are drawn one after another, so the first scrape may show some that
/// are older. Drawing takes a tenth of the time at most, so the last scrape does not.
const SAME_SCRAPES: u32 = 3;

/// The intake's, where a test has one; and another one of the right length.
pub(crate) const INTAKE_SECRET: &str = "1ntake-Secret_that.is~long_enough-1";
pub(crate) const OTHER_SECRET: &str = "an0ther-Secret_that.is~long_enough-2";

/// The collectors, as the label has them.
pub(crate) const COLLECTORS: [&str; 2] = ["devices", "device_health"];

/// The sources beside the devices.
pub(crate) const SOURCES: [&str; 7] =
    ["presence", "places", "calendar", "accounts", "intune", "service_health", "credentials"];

/// What a test starts with. `Default` is a small healthy tenant in which time stands still.
pub(crate) struct Scenario {
    /// The configured name; a test that reads the log has one of its own.
    pub(crate) tenant: &'static str,
    pub(crate) rooms: usize,
    pub(crate) faults: &'static [&'static str],
    pub(crate) storage_path: Option<PathBuf>,
    /// Changes the configuration before the start.
    pub(crate) configure: Box<dyn FnOnce(&mut Config) + Send>,
    /// Changes paces and patience before the start.
    pub(crate) tune: fn(&mut Tuning),
    /// A web configuration file, and the client that gets through.
    pub(crate) web: Option<(PathBuf, reqwest::Client)>,
    /// What is sent by OTLP.
    pub(crate) otlp: Otlp,
    /// Uses this tenant, which another exporter has read before.
    pub(crate) sim: Option<Sim>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            tenant: "contoso",
            rooms: 12,
            faults: &[],
            storage_path: None,
            configure: Box::new(|_| {}),
            tune: |_| {},
            web: None,
            otlp: Otlp::default(),
            sim: None,
        }
    }
}

impl Scenario {
    /// A tenant that takes pushes.
    pub(crate) fn with_intake() -> Self {
        Self { configure: Box::new(with_intake), ..Self::default() }
    }

    /// All sources on, and each asked often.
    pub(crate) fn every_source() -> Self {
        Self { configure: Box::new(every_source), ..Self::default() }
    }
}

/// Every tenant takes pushes, with the same secret.
pub(crate) fn with_intake(config: &mut Config) {
    for tenant in &mut config.tenants {
        tenant.intake = Some(Credential::Secret(Secret::new(INTAKE_SECRET)));
    }
}

/// Switches all sources on, and has each asked many times a second.
pub(crate) fn every_source(config: &mut Config) {
    let often = |source: SourceSettings| SourceSettings {
        enabled: Enabled::Yes,
        interval: Duration::from_millis(100),
        ..source
    };
    for tenant in &mut config.tenants {
        for source in standing(&mut tenant.collectors) {
            *source = often(*source);
        }
    }
}

/// The sources beside the devices.
pub(crate) fn standing(of: &mut Collectors) -> [&mut SourceSettings; 7] {
    [
        &mut of.presence,
        &mut of.places,
        &mut of.calendar.source,
        &mut of.accounts,
        &mut of.intune,
        &mut of.service_health,
        &mut of.credentials,
    ]
}

/// A running exporter.
pub(crate) struct Exporter {
    pub(crate) url: String,
    /// Where pushes are taken, if a tenant has a secret for it.
    pub(crate) intake_url: String,
    pub(crate) tenant: &'static str,
    pub(crate) sim: Sim,
    /// What a reload reads.
    settings: Arc<Mutex<Config>>,
    /// Seconds by which the clock of the exporter's machine is ahead of the tenant's.
    ahead: Arc<AtomicI64>,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    app: JoinHandle<anyhow::Result<()>>,
}

/// One answer of `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) text: String,
    /// `name{labels}` to value, as text.
    pub(crate) series: BTreeMap<String, String>,
}

impl Exporter {
    pub(crate) async fn start(scenario: Scenario) -> Self {
        start_logging();
        drop(rustls::crypto::ring::default_provider().install_default());
        let sim = match scenario.sim {
            Some(sim) => sim,
            None => start_tenant(scenario.rooms, scenario.faults).await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (web_file, http) = match scenario.web {
            Some((file, client)) => (Some(file), client),
            None => (None, client().build().expect("a client")),
        };
        let web = web_file.as_deref().map(|file| WebConfig::load(file).expect("sound"));
        let scheme = if web.is_some_and(|web| web.tls.is_some()) { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("bound"));
        let mut config = config(tenant(scenario.tenant, &sim));
        config.web.config_file = web_file;
        config.storage_path = scenario.storage_path;
        (scenario.configure)(&mut config);
        let (world, ahead) = (sim.clone(), Arc::new(AtomicI64::new(0)));
        let of_machine = ahead.clone();
        let now = move || world.now().as_second() + of_machine.load(Ordering::SeqCst);
        let clock = Clock::new(move || Timestamp::from_seconds(now()));
        let (stop, stopped) = oneshot::channel();
        let mut tuning = tuning();
        (scenario.tune)(&mut tuning);
        let (intake, intake_url) = if config.tenants.iter().any(|tenant| tenant.intake.is_some()) {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let url = format!("http://{}/intake", listener.local_addr().expect("bound"));
            (vec![listener], url)
        } else {
            (Vec::new(), String::new())
        };
        let listeners = Listeners { web: vec![listener], intake };
        let settings = Arc::new(Mutex::new(config.clone()));
        let read = settings.clone();
        let load = move || Ok(read.lock().expect("nobody panicked").clone());
        let reload = Reload::new(load, futures_util::stream::empty());
        let telemetry = Telemetry::start(scenario.otlp, &Clock::system()).expect("sound settings");
        let stopped = async move { drop(stopped.await) };
        let app = app::run(config, listeners, telemetry, clock, tuning, reload, stopped);
        let app = spawn(app);
        Self { url, intake_url, tenant: scenario.tenant, sim, settings, ahead, http, stop: Some(stop), app }
    }

    /// Has a changed configuration read; gives the answer.
    pub(crate) async fn reload(&self, change: impl FnOnce(&mut Config)) -> (u16, String) {
        change(&mut self.settings.lock().expect("nobody panicked"));
        self.post(&format!("{}/-/reload", self.url), &[], "").await
    }

    /// Sets the clock of the exporter's machine so many seconds before the tenant's.
    pub(crate) fn set_clock(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::SeqCst);
    }

    /// By the clock of the exporter's machine.
    pub(crate) fn now(&self) -> i64 {
        self.sim.now().as_second() + self.ahead.load(Ordering::SeqCst)
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::parse(self.get("/metrics").await.1)
    }

    /// Status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("text"))
    }

    /// Pushes as a portal does, with the secret in the path; gives the status.
    pub(crate) async fn push(&self, reporter: &str, body: &serde_json::Value) -> u16 {
        let url = format!("{}/{reporter}/{}/{INTAKE_SECRET}", self.intake_url, self.tenant);
        self.post(&url, &[], body.to_string()).await.0
    }

    /// Status and body.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        let request =
            headers.iter().fold(self.http.post(url), |request, (name, value)| request.header(*name, *value));
        let response = request.body(body).send().await.expect("an answer");
        (response.status().as_u16(), response.text().await.expect("text"))
    }

    /// The body in the format that `accept` asks for.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.url)).header("accept", accept);
        request.send().await.expect("an answer").text().await.expect("text")
    }

    /// The body as it travels when gzip is accepted.
    pub(crate) async fn get_gzip(&self, path: &str) -> Vec<u8> {
        let request = self.http.get(format!("{}{path}", self.url)).header("accept-encoding", "gzip");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.headers()["content-encoding"], "gzip");
        response.bytes().await.expect("a body").to_vec()
    }

    /// Scrapes until `expected` holds, several times in a row.
    #[track_caller]
    pub(crate) fn wait_until(
        &self,
        what: impl Into<String>,
        expected: impl Fn(&Scrape) -> bool,
    ) -> impl Future<Output = Scrape> {
        let (place, what) = (std::panic::Location::caller(), what.into());
        async move {
            let began = Instant::now();
            let mut same = 0;
            loop {
                let scrape = self.scrape().await;
                same = if expected(&scrape) { same + 1 } else { 0 };
                if same == SAME_SCRAPES {
                    return scrape;
                }
                assert!(
                    began.elapsed() < PATIENCE,
                    "{place}: never {what}; the last scrape:\n{}",
                    scrape.summary()
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Scrapes until it is let in.
    pub(crate) async fn wait_until_scraped(&self) {
        let began = Instant::now();
        while self.get("/metrics").await.0 != 200 {
            assert!(began.elapsed() < PATIENCE, "no scrape is let in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Scrapes until a collector is in a state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, collector: &str, state: &str) -> impl Future<Output = Scrape> {
        let (collector, state) = (collector.to_owned(), state.to_owned());
        self.wait_until(format!("{collector} {state}"), move |scrape| {
            scrape.state(self.tenant, &collector) == state
        })
    }

    /// Scrapes until both collectors have read everything.
    #[track_caller]
    pub(crate) fn wait_for_everything(&self) -> impl Future<Output = Scrape> {
        self.wait_until("everything read", |scrape| {
            let read = scrape.count("teams_rooms_device_detail_timestamp_seconds");
            read > 0
                && read == scrape.count("teams_rooms_device_info")
                && scrape.is_looked_at()
                && COLLECTORS.iter().all(|collector| {
                    let gauges = ["last_success_timestamp_seconds", "duration_seconds"];
                    scrape.collector("success", self.tenant, collector) == Some(1.0)
                        && gauges
                            .iter()
                            .all(|gauge| scrape.collector(gauge, self.tenant, collector).is_some())
                })
        })
    }

    /// The same for a scenario with every source.
    #[track_caller]
    pub(crate) fn wait_for_every_source(&self) -> impl Future<Output = Scrape> {
        let everything = self.wait_for_everything();
        async move {
            everything.await;
            self.wait_until("every source read", |scrape| {
                SOURCES.iter().all(|source| scrape.collector("success", self.tenant, source) == Some(1.0))
                    && scrape.count("teams_rooms_room_presence_state") > 0
                    && scrape.is_looked_at()
            })
            .await
        }
    }

    /// Waits until all that is shown comes from attempts that began after this call: the first to end may have begun
    /// before, and a scrape may mix the families of two neighbouring moments.
    #[track_caller]
    pub(crate) fn wait_for_attempts(&self) -> impl Future<Output = Scrape> {
        let place = std::panic::Location::caller();
        async move {
            self.wait_for_attempt(place).await;
            self.wait_for_attempt(place).await;
            self.wait_for_attempt(place).await
        }
    }

    /// Waits until both collectors have ended an attempt.
    async fn wait_for_attempt(&self, place: &std::panic::Location<'_>) -> Scrape {
        self.sim.advance(Duration::from_secs(1));
        let now = self.now();
        self.wait_until(format!("an attempt of each collector, for {place}"), move |scrape| {
            COLLECTORS.iter().all(|collector| {
                let at = scrape.collector("last_attempt_timestamp_seconds", self.tenant, collector);
                at.is_some_and(|at| seconds(at) >= now)
            })
        })
        .await
    }

    /// Waits for a line of the log about this tenant: it comes a moment after what it is about shows.
    pub(crate) async fn wait_for_line(&self, parts: &[&str]) {
        let told = |line: &String| parts.iter().all(|part| line.contains(part));
        self.wait_until(format!("{parts:?} in the log"), |_| self.log().iter().any(told)).await;
    }

    /// What was logged about this tenant.
    pub(crate) fn log(&self) -> Vec<String> {
        let of_tenant = format!("tenant={}", self.tenant);
        let words = |line: &&str| line.split(' ').any(|word| word == of_tenant);
        log().lines().filter(words).map(str::to_owned).collect()
    }

    /// Neither a secret, a token nor a person is in anything that leaves the process.
    async fn check_secrets(&self) {
        let shown = [log(), self.get("/metrics").await.1, self.get("/").await.1];
        let tokens = [self.sim.tokens(), self.sim.refresh_tokens()].concat();
        let people = [self.sim.person(), self.sim.admin()];
        let secrets = [self.sim.secret(), sim::IDENTITY_HEADER, INTAKE_SECRET, OTHER_SECRET];
        let secrets = secrets.into_iter().chain(people);
        for secret in tokens.iter().map(String::as_str).chain(secrets) {
            assert!(!shown.iter().any(|text| text.contains(secret)), "a secret shows");
        }
    }

    /// Asks it to stop, and waits until it has. Every test ends with it, for what it checks of all of them.
    pub(crate) async fn stop(mut self) -> Sim {
        self.check_secrets().await;
        drop(self.stop.take());
        (&mut self.app).await.expect("the app does not panic").expect("the app ends well");
        self.sim.clone()
    }
}

impl Scrape {
    pub(crate) fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        Self { text, series }
    }

    pub(crate) fn value(&self, series: &str) -> Option<&str> {
        self.series.get(series).map(String::as_str)
    }

    /// Every series of a family, with its value.
    pub(crate) fn family<'s>(&'s self, name: &'s str) -> impl Iterator<Item = (&'s str, &'s str)> {
        let of_family = move |key: &str| {
            key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.series
            .iter()
            .filter(move |(key, _)| of_family(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The series of a family.
    pub(crate) fn keys<'s>(&'s self, name: &'s str) -> BTreeSet<&'s str> {
        self.family(name).map(|(key, _)| key).collect()
    }

    /// A gauge of a collector, by the end of its name.
    pub(crate) fn collector(&self, gauge: &str, tenant: &str, collector: &str) -> Option<f64> {
        let series =
            format!("teams_rooms_collector_{gauge}{{tenant=\"{tenant}\",collector=\"{collector}\"}}");
        self.value(&series)?.parse().ok()
    }

    /// Whether the time of every room is counted, as far as it is known.
    fn is_looked_at(&self) -> bool {
        let pairs = [
            ("teams_rooms_room_info", "teams_rooms_room_state_seconds_total", 8),
            ("teams_rooms_room_booked", "teams_rooms_room_booked_seconds_total", 2),
        ];
        pairs.iter().all(|(of, counted, series)| self.count(of) * series <= self.count(counted))
    }

    /// The state of a collector.
    pub(crate) fn state(&self, tenant: &str, collector: &str) -> &str {
        let (tenant, collector) = (format!("tenant=\"{tenant}\""), format!("collector=\"{collector}\""));
        let of_collector = |key: &str| key.contains(&tenant) && key.contains(&collector);
        let mut states = self.family("teams_rooms_collector_state");
        let state = states.find(|(key, value)| of_collector(key) && *value == "1");
        state.map_or("", |(key, _)| label(key, "state"))
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.family(name).count()
    }

    /// The sum over the series of a family whose labels contain all of `labels`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let wanted = self.family(name).filter(|(key, _)| labels.iter().all(|label| key.contains(label)));
        wanted.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
    }

    /// The same sum of whole numbers.
    pub(crate) fn total(&self, name: &str, labels: &[&str]) -> i64 {
        seconds(self.sum(name, labels))
    }

    /// What a failed test shows.
    fn summary(&self) -> String {
        let of_interest = |key: &&String| {
            key.starts_with("teams_rooms_collector") || key.starts_with("teams_rooms_graph_requests")
        };
        let lines = self.series.iter().filter(|(key, value)| of_interest(key) && *value != "0");
        lines.fold(String::new(), |text, (key, value)| text + key + " " + value + "\n")
    }
}

/// What asks an exporter: nothing stands between.
pub(crate) fn client() -> reqwest::ClientBuilder {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().no_gzip()
}

/// The value of a label; empty where there is none.
pub(crate) fn label<'s>(series: &'s str, name: &str) -> &'s str {
    let pair = series.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
    pair.split('"').next().unwrap_or_default()
}

/// A Unix time or another whole number that a sample shows.
#[expect(clippy::cast_possible_truncation, reason = "whole seconds of this century")]
pub(crate) fn seconds(value: f64) -> i64 {
    value as i64
}

/// A tenant on its own port; it ends with the test's runtime.
pub(crate) async fn start_tenant(rooms: usize, faults: &[&str]) -> Sim {
    start_world(sim::Settings { rooms, speed: 0.0, faults: parse(faults), ..sim::Settings::default() }).await
}

/// A tenant whose time runs as `settings` say.
pub(crate) async fn start_world(settings: sim::Settings) -> Sim {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (sim, world) = sim::start(listener, settings).expect("started");
    drop(spawn(world));
    sim
}

pub(crate) fn parse(faults: &[&str]) -> Vec<sim::Fault> {
    faults.iter().map(|fault| fault.parse().expect("a known fault")).collect()
}

/// The settings of an exporter that reads one tenant.
pub(crate) fn config(tenant: Tenant) -> Config {
    Config {
        tenants: vec![tenant],
        intake_addresses: Vec::new(),
        web: Web {
            listen_addresses: Vec::new(),
            systemd_socket: false,
            config_file: None,
            protection: Protection::default(),
            telemetry_path: "/metrics".to_owned(),
            external_url: None,
            lifecycle: true,
        },
        shard: Shard::default(),
        storage_path: None,
        idle_after: None,
        metrics: MetricsFilter::default(),
    }
}

/// One tenant, read many times a second.
pub(crate) fn tenant(name: &str, sim: &Sim) -> Tenant {
    let root: url::Url = sim.url().parse().expect("a URL");
    let mut collectors = Collectors {
        devices: DevicesSettings {
            enabled: Enabled::Yes,
            interval: Duration::from_millis(100),
            ..DevicesSettings::default()
        },
        device_health: HealthSettings { enabled: Enabled::Yes, ..HealthSettings::default() },
        ..Collectors::default()
    };
    for source in standing(&mut collectors) {
        source.enabled = Enabled::No; // tests of the devices are not to wait for other sources
    }
    Tenant {
        name: name.to_owned(),
        tenant_id: sim::TENANT_ID.to_owned(),
        client_id: Some(sim::CLIENT_ID.to_owned()),
        auth: Auth::Secret(Credential::Secret(Secret::new(sim.secret()))),
        client_secret_expires: None,
        intake: None,
        authority: root.clone(),
        graph: root,
        requests_per_second: None,
        max_items: 10_000,
        ca_file: None,
        proxies: Proxies::default(),
        trust_device_accounts: Trust::Auto,
        collectors,
        frozen_after: Duration::from_hours(24),
        room_lists: Vec::new(),
        rooms_file: None,
        sites: Vec::new(),
        privacy: Privacy::default(),
    }
}

/// The product's behaviour in a hundredth of its time.
fn tuning() -> Tuning {
    Tuning {
        graph: Limits {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            attempts: 5,
            first_pause: Duration::from_millis(5),
            top_rate: 2500.0,
        },
        probe: Duration::from_millis(300),
        rooms_file: Duration::from_millis(50),
        save_interval: Duration::from_millis(50),
        first_wait: Duration::from_secs(30),
        intake_secrets: Duration::from_millis(50),
        web_config: Duration::from_millis(50),
        observe: Duration::from_millis(50),
        serve: serve::Settings::default(),
        intake: serve::Settings::of_intake(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's runtime is its task set")]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    tokio::spawn(future)
}

/// Everything that was logged by any test of this binary.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

static LOG: std::sync::LazyLock<Log> = std::sync::LazyLock::new(Log::default);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panics while it logs").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All logs of all tests so far, at the finest level.
pub(crate) fn log() -> String {
    String::from_utf8_lossy(&LOG.0.lock().expect("no test panics while it logs")).into_owned()
}

fn start_logging() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let level = tracing::Level::DEBUG;
        let now = || jiff::Timestamp::UNIX_EPOCH;
        logging::init(level, logging::Format::Logfmt, now, || LOG.clone(), Vec::new())
            .expect("the first subscriber");
    });
}
