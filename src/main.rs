//! The binary: arguments, logging, configuration, then the app. Nothing is decided here.

use std::env::VarError;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use teams_rooms_exporter::app::{self, Listeners, Reload, Tuning};
use teams_rooms_exporter::cli::{self, Command};
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::commands::{capture, check, demo, healthcheck, login, manual, metrics, rooms};
use teams_rooms_exporter::config::{self, Config, Secret, SecretFiles};
use teams_rooms_exporter::input::shown::Terminal;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::otlp::Telemetry;
use teams_rooms_exporter::platform::{self, Sockets, Stops};
use teams_rooms_exporter::{logging, sim};
use tokio::net::TcpListener;

/// Wrong arguments or settings; nothing was started.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            drop(error.print()); // a closed pipe has nobody left to tell
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISUSE));
        }
    };
    rustls::crypto::ring::default_provider().install_default().expect("the first and only installation");
    match dispatch(command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let misuse = error.downcast_ref::<config::Error>().is_some() || error.is::<Misuse>();
            drop(writeln!(Terminal::new(io::stderr()), "error: {error:#}"));
            ExitCode::from(if misuse { MISUSE } else { 1 })
        }
    }
}

/// A setting that only showed itself to be wrong outside `config`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let sockets = Sockets::inherited();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let clock = Clock::system();
    let result = match command {
        Command::Serve(args) => {
            let config = load(&args)?;
            let telemetry = runtime.block_on(async { telemetry(&args.otlp) })?;
            start_logging(&args.log, telemetry.layers())?;
            runtime.block_on(interruptible(|stop| serve(args, config, telemetry, sockets, clock, stop)))
        }
        Command::Demo(cli::DemoArgs { action: Some(action), .. }) => {
            runtime.block_on(demo::run(&action, &mut io::stdout())).map(exit_code)
        }
        Command::Demo(args) => {
            let telemetry = runtime.block_on(async { telemetry(&args.otlp) })?;
            start_logging(&args.log, telemetry.layers())?;
            runtime.block_on(interruptible(|stop| run_demo(args, telemetry, sockets, stop)))
        }
        Command::Simulate(args) => {
            start_logging(&args.log, Vec::new())?;
            runtime.block_on(interruptible(|stop| simulate(args, stop)))
        }
        Command::Check(args) => {
            if args.print_config || args.config_only || args.no_secrets {
                io::stdout().write_all(check_settings(&args)?.as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            let config = load(&args.serve)?;
            let wait = args.wait.as_deref().map(config::wait).transpose()?;
            let waiting = wait.map(|at_most| check::Waiting { at_most, every: check::ASK_EVERY });
            start_logging(&quiet(&args.serve.log), Vec::new())?;
            match &args.capture {
                Some(directory) => {
                    let order = capture_order(directory, args.tenant.as_deref())?;
                    let captured = runtime.block_on(capture::run(
                        &config,
                        &clock,
                        order,
                        &mut Terminal::new(io::stdout()),
                    ));
                    captured.map(|capture| exit_code(capture.is_some()))
                }
                None => runtime
                    .block_on(check::run(&config, &clock, waiting, &mut Terminal::new(io::stdout())))
                    .map(exit_code),
            }
        }
        Command::Login(args) => {
            let config = load(&cli::ServeArgs { config: args.config, ..cli::ServeArgs::default() })?;
            let means = if args.browser { login::Means::Browser } else { login::Means::DeviceCode };
            start_logging(&quiet(&args.log), Vec::new())?;
            let tenant = args.tenant.as_deref();
            runtime
                .block_on(login::run(&config, tenant, means, &mut Terminal::new(io::stdout())))
                .map(exit_code)
        }
        Command::Rooms(args) => {
            let form = match (args.json, args.csv) {
                (true, _) => rooms::Form::Json,
                (_, true) => rooms::Form::Csv,
                _ => rooms::Form::Table,
            };
            let config = load(&cli::ServeArgs { config: args.config, ..cli::ServeArgs::default() })?;
            start_logging(&quiet(&args.log), Vec::new())?;
            runtime
                .block_on(rooms::run(&config, form, &clock, &mut Terminal::new(io::stdout())))
                .map(exit_code)
        }
        Command::Metrics(args) => {
            metrics::print(args.format, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions(args) => {
            manual::completions(args.shell, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => {
            let directory = args.directory.display();
            manual::pages(&args.directory).with_context(|| format!("cannot write to {directory}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Healthcheck(args) => {
            let probe = config::probe(&args)?;
            runtime.block_on(healthcheck::run(&probe, &mut Terminal::new(io::stdout()))).map(exit_code)
        }
    };
    runtime.shutdown_background(); // a second signal does not wait for anybody
    result
}

fn load(args: &cli::ServeArgs) -> Result<Config, config::Error> {
    load_with(args, SecretFiles::Read)
}

fn load_with(args: &cli::ServeArgs, files: SecretFiles) -> Result<Config, config::Error> {
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    config::load_with(args, &environment, &names, files)
}

/// `check` without a request: the settings, or only that they are valid.
fn check_settings(args: &cli::CheckArgs) -> Result<String, config::Error> {
    let files = if args.no_secrets { SecretFiles::Skip } else { SecretFiles::Read };
    let config = load_with(&args.serve, files)?;
    let otlp = config::otlp::load(&args.serve.otlp, &environment)?;
    let valid = || format!("the configuration is valid; tenants: {}\n", config.tenants.len());
    Ok(if args.print_config { config.print(&otlp, &args.serve.log) } else { valid() })
}

/// A variable of the environment. Bytes that are not UTF-8 show as U+FFFD, so that the setting is refused, not ignored.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        Err(VarError::NotPresent) => None,
    }
}

/// Starts the export by OTLP; to be called on the runtime.
fn telemetry(args: &cli::OtlpArgs) -> anyhow::Result<Telemetry> {
    let settings = config::otlp::load(args, &environment)?;
    Ok(Telemetry::start(settings, &Clock::system())?)
}

/// The logging of a command whose output tells it all: errors, unless more is asked for.
fn quiet(args: &cli::LogArgs) -> cli::LogArgs {
    cli::LogArgs { level: args.level.or(Some(cli::LogLevel::Error)), format: args.format }
}

#[expect(clippy::disallowed_methods, reason = "log lines carry the machine's time")]
fn start_logging(args: &cli::LogArgs, others: Vec<logging::BoxedLayer>) -> anyhow::Result<()> {
    let level = match args.level.unwrap_or_default() {
        cli::LogLevel::Debug => tracing::Level::DEBUG,
        cli::LogLevel::Info => tracing::Level::INFO,
        cli::LogLevel::Warn => tracing::Level::WARN,
        cli::LogLevel::Error => tracing::Level::ERROR,
    };
    let format = match args.format.unwrap_or_default() {
        cli::LogFormat::Logfmt => logging::Format::Logfmt,
        cli::LogFormat::Json => logging::Format::Json,
    };
    Ok(logging::init(level, format, jiff::Timestamp::now, io::stderr, others)?)
}

async fn serve(
    args: cli::ServeArgs,
    config: Config,
    telemetry: Telemetry,
    sockets: Sockets,
    clock: Clock,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listeners = listen(&config, sockets).await?;
    for listener in &listeners.web {
        tracing::info!(address = %listener.local_addr()?, path = config.web.telemetry_path, "listening");
    }
    for listener in &listeners.intake {
        tracing::info!(address = %listener.local_addr()?, path = "/intake/", "listening");
    }
    let addresses = listeners.web.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    if let Some(warning) = config.open_occupancy(&addresses) {
        tracing::warn!("{warning}");
    }
    notify();
    let reload = Reload::new(move || load(&args), platform::reload_requests()?);
    app::run(config, listeners, telemetry, clock, Tuning::default(), reload, stop).await
}

/// A capture that `simulate --replay` lets the exporter read.
fn capture_order<'o>(directory: &'o Path, tenant: Option<&'o str>) -> anyhow::Result<capture::Order<'o>> {
    Ok(capture::Order {
        directory,
        tenant,
        key: capture::draw_key()?,
        tenant_id: sim::TENANT_ID,
        client_id: sim::CLIENT_ID,
        secret: sim::CLIENT_SECRET,
    })
}

/// Tells systemd, if it is there, that requests are answered.
#[expect(clippy::disallowed_methods, reason = "how systemd says where it listens")]
fn notify() {
    let socket = std::env::var("NOTIFY_SOCKET").ok();
    if let Some(Err(error)) = socket.as_deref().map(platform::ready) {
        tracing::warn!(%error, "systemd was not told that the exporter is ready");
    }
}

/// The whole product on one machine: a simulated tenant, and the exporter that reads it.
async fn run_demo(
    args: cli::DemoArgs,
    telemetry: Telemetry,
    sockets: Sockets,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listener = match config::simulator(&args)? {
        Some(address) => bind_one("--simulator.listen-address", address).await?,
        None => bind_default(cli::DEFAULT_SIMULATE_PORT).await?,
    };
    let (tenant, world) = start_world(listener, &args.world, None)?;
    let world_clock = tenant.clone();
    let clock = Clock::new(move || Timestamp::from_seconds(world_clock.now().as_second()));
    let secret = Secret::new(tenant.secret());
    let intake_secret = uuid::Uuid::new_v4().simple().to_string();
    let pushed = Secret::new(intake_secret.as_str());
    let config = config::demo(&args, &tenant.url(), sim::TENANT_ID, sim::CLIENT_ID, secret, pushed)?;
    let mut listeners = listen(&config, sockets).await?;
    if listeners.intake.is_empty() {
        listeners.intake.push(bind_default(cli::DEFAULT_DEMO_INTAKE_PORT).await?);
    }
    let scheme = if config.web.protection.encrypts { "https" } else { "http" };
    let (port, intake_port) = (first_port(&listeners.web)?, first_port(&listeners.intake)?);
    // Where simulated time runs fast, it is looked at more often.
    let tuning = Tuning { observe: Duration::from_secs(1), ..Tuning::default() };
    let status_page = format!("{scheme}://localhost:{port}/");
    let intake = format!("http://localhost:{intake_port}/intake/pro-management/demo/{intake_secret}");
    let metrics = format!("{scheme}://localhost:{port}{}", config.web.telemetry_path);
    announce(tenant.room_accounts(), [&status_page, &metrics, &tenant.url(), &intake])?;
    let portal = demo::portal(tenant.attach(status_page), intake);
    tokio::select! {
        ended = app::run(config, listeners, telemetry, clock, tuning, Reload::never(), stop) => ended,
        () = world => Ok(()),
        ended = portal => ended,
    }
}

/// Prints where everything is, and what to do next.
fn announce(rooms: usize, [status_page, metrics, tenant, intake]: [&str; 4]) -> io::Result<()> {
    write!(
        io::stdout(),
        "{rooms} simulated rooms:  {status_page}\n\
         their metrics:       {metrics}\n\
         break something:     teams-rooms-exporter demo break camera{}\n\
         and more:            curl {tenant}/_sim/\n\
         incident webhook:    {intake}\n\
         open next:           {status_page}, then docs/getting-started.md\n\
         stop:                Ctrl-C\n",
        simulator_flag(tenant),
    )
}

/// The flag by which `demo break` finds this tenant; empty at the default address.
fn simulator_flag(url: &str) -> String {
    let default = format!("http://127.0.0.1:{}", cli::DEFAULT_SIMULATE_PORT);
    if url == default { String::new() } else { format!(" --simulator.url {url}") }
}

async fn simulate(args: cli::SimulateArgs, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let address: SocketAddr = args.listen_address.parse().map_err(|_| {
        Misuse(format!(
            "--listen-address: `{}` is not an address and port such as 127.0.0.1:10065",
            args.listen_address
        ))
    })?;
    let replay = args.replay.as_deref().map(load_capture).transpose()?;
    let served = match &replay {
        Some(replay) => format!("{} answers of a capture", replay.answers()),
        None => format!("{} simulated rooms", args.world.rooms),
    };
    let lists =
        replay.as_ref().map(|replay| replay.room_lists().join(", ")).filter(|lists| !lists.is_empty());
    let lists = lists.map_or_else(String::new, |lists| format!("    room_lists: [{lists}]\n"));
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let (tenant, world) = start_world(listener, &args.world, replay)?;
    write!(
        io::stdout(),
        "{served}; configuration for the exporter:\n\n\
         tenants:\n  - name: simulated\n    tenant_id: {}\n    client_id: {}\n    auth: {{ client_secret: {} }}\n    \
         cloud: {{ authority: {url}, graph: {url} }}\n{lists}\nbreak something: curl {url}/_sim/\n",
        sim::TENANT_ID,
        sim::CLIENT_ID,
        tenant.secret(),
        url = tenant.url(),
    )?;
    tokio::select! {
        () = world => {}
        () = stop => {}
    }
    Ok(())
}

fn load_capture(directory: &Path) -> anyhow::Result<Arc<sim::Replay>> {
    let replay = sim::Replay::load(directory);
    replay.map(Arc::new).with_context(|| format!("--replay: {} is not a capture", directory.display()))
}

/// A world that begins now unless told otherwise, so that its times make sense beside a real Prometheus.
#[expect(clippy::disallowed_methods, reason = "the world starts with the machine's time")]
fn start_world(
    listener: TcpListener,
    args: &cli::WorldArgs,
    replay: Option<Arc<sim::Replay>>,
) -> anyhow::Result<(sim::Sim, impl Future<Output = ()> + Send)> {
    let faults =
        args.faults.iter().map(|fault| fault.parse().map_err(|error| Misuse(format!("--fault: {error}"))));
    let settings = sim::Settings {
        rooms: usize::try_from(args.rooms)?,
        seed: args.seed,
        profile: args.profile,
        speed: args.speed,
        faults: faults.collect::<Result<_, _>>()?,
        start: args.start.unwrap_or_else(jiff::Timestamp::now),
        replay,
        ..sim::Settings::default()
    };
    Ok(sim::start(listener, settings)?)
}

async fn listen(config: &Config, mut sockets: Sockets) -> anyhow::Result<Listeners> {
    let web = if config.web.systemd_socket {
        let taken = sockets.listeners().and_then(|all| all.into_iter().map(TcpListener::from_std).collect());
        taken.context("--web.systemd-socket: cannot use the sockets of systemd")?
    } else {
        bind("--web.listen-address", &config.web.listen_addresses).await?
    };
    Ok(Listeners { web, intake: bind("--intake.listen-address", &config.intake_addresses).await? })
}

/// Binds all addresses; where the machine has no IPv6, `[::]` means every IPv4 address.
async fn bind(flag: &str, addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(bind_one(flag, *address).await?);
    }
    Ok(listeners)
}

async fn bind_one(flag: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let mut bound = TcpListener::bind(address).await;
    if bound.is_err() && address.is_ipv6() && address.ip().is_unspecified() {
        bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await;
    }
    let hint = || format!("is another exporter running? {flag} takes another port");
    bound.with_context(|| format!("cannot listen on {address}; {}", hint()))
}

/// A port of this machine alone: the usual one, or a free one if another demo has it.
async fn bind_default(port: u16) -> anyhow::Result<TcpListener> {
    let bound = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    };
    bound.context("no port of this machine is free")
}

fn first_port(listeners: &[TcpListener]) -> io::Result<u16> {
    listeners.first().map_or(Ok(0), |listener| listener.local_addr().map(|address| address.port()))
}

/// Runs until it ends by itself; the first signal asks it to end, the second one does not wait.
async fn interruptible<F>(
    run: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut first = Stops::new()?;
    let mut second = Stops::new()?;
    let stop = Box::pin(async move {
        first.next().await;
        tracing::info!("stopping; a second signal stops at once");
    });
    let twice = async {
        second.next().await;
        second.next().await;
    };
    tokio::select! {
        ended = run(stop) => ended.map(|()| ExitCode::SUCCESS),
        () = twice => Ok(ExitCode::FAILURE),
    }
}

fn exit_code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
