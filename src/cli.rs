//! The command line as it was typed: subcommands and flags, spelled as Prometheus spells them.
//!
//! Nothing is decided here: defaults that depend on the file or the environment, and every check
//! beyond the form of a number, belong to `config`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::sim::Profile;

/// The port of `/metrics` where no `--web.listen-address` is given.
pub const DEFAULT_PORT: u16 = 10_064;

/// The port of the simulated tenant of `simulate` and `demo`.
pub const DEFAULT_SIMULATE_PORT: u16 = 10_065;

/// The port at which `demo` receives incidents.
pub const DEFAULT_DEMO_INTAKE_PORT: u16 = 10_066;

/// Reads the command line; the first item is the program's name.
///
/// The flags of `serve` count before and after the word, the later one wins. `--help` and `--version`
/// arrive as an error too, as clap has it: print it and end with its exit code.
pub fn parse(arguments: impl IntoIterator<Item: Into<OsString> + Clone>) -> Result<Command, clap::Error> {
    let Cli { command, serve: before } = Cli::try_parse_from(arguments)?;
    match command {
        None => Ok(Command::Serve(before)),
        Some(Command::Serve(after)) => Ok(Command::Serve(after.over(before))),
        Some(command) if before == ServeArgs::default() => Ok(command),
        Some(_) => Err(Cli::command().error(
            ErrorKind::ArgumentConflict,
            "flags before a subcommand are those of `serve`; write them after the subcommand",
        )),
    }
}

/// All commands and flags, for completions and manuals.
pub fn definition() -> clap::Command {
    Cli::command()
}

const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (revision ", env!("TEAMS_ROOMS_EXPORTER_REVISION"), ")");

const EXAMPLES: &str = "\
Examples:
  Try it on a simulated tenant:
      teams-rooms-exporter demo
  Check sign-in and the permission of each source:
      teams-rooms-exporter check --config.file=exporter.yaml
  Check a configuration in a pipeline, without its secrets:
      teams-rooms-exporter check --no-secrets --config.file=exporter.yaml
  Print each room, the worst first:
      teams-rooms-exporter rooms --config.file=exporter.yaml
  Run the exporter:
      teams-rooms-exporter --config.file=exporter.yaml --storage.path=data

Documentation: https://github.com/teams-rooms-exporter/teams-rooms-exporter";

#[derive(Debug, Parser)]
#[command(
    name = "teams-rooms-exporter",
    version = VERSION,
    about = "Prometheus exporter for Microsoft Teams Rooms",
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Run the exporter (the default)
    Serve(ServeArgs),
    /// Run the exporter against an embedded simulated tenant; needs no account, network or file
    Demo(DemoArgs),
    /// Run only the simulated tenant, for tests and load
    Simulate(SimulateArgs),
    /// Check configuration, sign-in and the permission of each source
    Check(CheckArgs),
    /// Sign in a user for whom the exporter reads, where applications get no permission
    Login(LoginArgs),
    /// Print one table of rooms
    Rooms(RoomsArgs),
    /// Print the metric catalogue
    Metrics(MetricsArgs),
    /// Ask the exporter on this machine whether it is healthy; exit code 0 or 1
    Healthcheck(HealthcheckArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// `serve`.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub web: WebArgs,
    #[command(flatten)]
    pub intake: IntakeArgs,
    #[command(flatten)]
    pub storage: StorageArgs,
    #[command(flatten)]
    pub shard: ShardArgs,
    #[command(flatten)]
    pub otlp: OtlpArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

impl ServeArgs {
    fn over(self, before: Self) -> Self {
        let listen_addresses = [before.web.listen_addresses, self.web.listen_addresses].concat();
        let intake_addresses = [before.intake.listen_addresses, self.intake.listen_addresses].concat();
        Self {
            config: ConfigArgs { file: self.config.file.or(before.config.file) },
            web: WebArgs {
                listen_addresses,
                systemd_socket: self.web.systemd_socket || before.web.systemd_socket,
                config_file: self.web.config_file.or(before.web.config_file),
                telemetry_path: self.web.telemetry_path.or(before.web.telemetry_path),
                external_url: self.web.external_url.or(before.web.external_url),
                enable_lifecycle: self.web.enable_lifecycle || before.web.enable_lifecycle,
            },
            intake: IntakeArgs { listen_addresses: intake_addresses },
            storage: StorageArgs { path: self.storage.path.or(before.storage.path) },
            shard: ShardArgs {
                index: self.shard.index.or(before.shard.index),
                count: self.shard.count.or(before.shard.count),
            },
            otlp: OtlpArgs {
                endpoint: self.otlp.endpoint.or(before.otlp.endpoint),
                traces: self.otlp.traces || before.otlp.traces,
            },
            log: LogArgs {
                level: self.log.level.or(before.log.level),
                format: self.log.format.or(before.log.format),
            },
        }
    }
}

/// `demo`.
#[derive(Args, Clone, Debug, PartialEq)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DemoArgs {
    #[command(subcommand)]
    pub action: Option<DemoAction>,
    #[command(flatten)]
    pub world: WorldArgs,
    #[arg(
        long = "simulator.listen-address",
        value_name = "[ADDRESS]:PORT",
        help = format!("Address of the simulated tenant [default: 127.0.0.1:{DEFAULT_SIMULATE_PORT}, or a free port]")
    )]
    pub simulator_address: Option<String>,
    #[command(flatten)]
    pub web: WebArgs,
    #[command(flatten)]
    pub intake: IntakeArgs,
    #[command(flatten)]
    pub storage: StorageArgs,
    #[command(flatten)]
    pub otlp: OtlpArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// A change of a running demo.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum DemoAction {
    /// Break something in a running demo
    Break(BreakArgs),
    /// Repair everything that was broken in a running demo
    Repair(SimulatorArgs),
}

/// `demo break`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct BreakArgs {
    /// The part to break
    #[arg(value_enum)]
    pub what: Breakage,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Breakage {
    /// One room loses its camera
    Camera,
    /// All rooms of a building lose their power
    Building,
    /// Graph revokes the permission to read the presence
    Permission,
    /// The Pro Management portal sends an incident
    Incident,
    /// All of these
    Everything,
}

/// The simulated tenant of a running demo.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct SimulatorArgs {
    /// URL of the simulated tenant, as `demo` prints it
    #[arg(
        long = "simulator.url",
        value_name = "URL",
        default_value_t = format!("http://127.0.0.1:{DEFAULT_SIMULATE_PORT}")
    )]
    pub url: String,
}

/// `simulate`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct SimulateArgs {
    /// Address and port of the simulated sign-in and Graph
    #[arg(
        long = "listen-address",
        value_name = "ADDRESS:PORT",
        default_value_t = format!("127.0.0.1:{DEFAULT_SIMULATE_PORT}")
    )]
    pub listen_address: String,
    /// Answer from this capture of `check --capture`, instead of from a simulated world
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["rooms", "seed"])]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub world: WorldArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// `check`.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct CheckArgs {
    /// While a consent has not spread yet, ask again for so long: 2h
    #[arg(long, value_name = "DURATION")]
    pub wait: Option<String>,
    /// Check configuration and flags only; Graph is not queried
    #[arg(long)]
    pub config_only: bool,
    /// The same, and print every setting with its default and without secrets
    #[arg(long)]
    pub print_config: bool,
    /// The same as --config-only, without the files of secrets: for a machine that never has them
    #[arg(long, conflicts_with_all = ["wait", "capture"])]
    pub no_secrets: bool,
    /// Read each granted source once and write the answers of Graph to this new directory, without names, ids, addresses
    /// and texts: safe to attach to a public issue
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["wait", "config_only", "print_config"])]
    pub capture: Option<PathBuf>,
    /// Tenant to capture, where several are configured
    #[arg(long, value_name = "NAME", requires = "capture")]
    pub tenant: Option<String>,
    /// The flags of `serve`, so that they can be checked, too
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// `login`.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct LoginArgs {
    /// Sign in by a browser on this machine, not by a code that is entered anywhere
    #[arg(long)]
    pub browser: bool,
    /// Tenant to sign in to, where several sign in for a user
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// `rooms`.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct RoomsArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV
    #[arg(long)]
    pub csv: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// `metrics`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct MetricsArgs {
    /// Form of the catalogue
    #[arg(long, value_enum, default_value_t = CatalogueFormat::Table)]
    pub format: CatalogueFormat,
}

/// `completions`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct CompletionsArgs {
    /// Shell to print them for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `man`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ManArgs {
    /// Existing directory for the pages, one for each command
    pub directory: PathBuf,
}

/// `healthcheck`.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct HealthcheckArgs {
    /// Ask whether it is ready, instead of whether it is alive
    #[arg(long)]
    pub ready: bool,
    /// Time for the answer [default: 3s]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    #[arg(
        long = "web.listen-address",
        value_name = "[ADDRESS]:PORT",
        help = format!("Address that the exporter listens on [default: :{DEFAULT_PORT}]")
    )]
    pub listen_address: Option<String>,
    /// The file that the exporter has, which tells whether it speaks TLS
    #[arg(id = "web.config.file", long = "web.config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
}

/// Where the configuration is.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct ConfigArgs {
    #[arg(
        long = "config.file",
        value_name = "FILE",
        help = "Configuration file (YAML); without it one tenant is read from AZURE_TENANT_ID, \
                AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, AZURE_CLIENT_SECRET_FILE, \
                AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE"
    )]
    pub file: Option<PathBuf>,
}

/// Where HTTP is answered.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct WebArgs {
    #[arg(
        long = "web.listen-address",
        value_name = "[ADDRESS]:PORT",
        help = format!("Address to listen on; may be repeated [default: :{DEFAULT_PORT}]")
    )]
    pub listen_addresses: Vec<String>,
    /// Listen on the sockets that systemd hands over, and on no address
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,
    /// TLS, users, headers and a rate limit, in the format that the exporters of Prometheus share
    #[arg(id = "web.config.file", long = "web.config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// URL under which the exporter is reached, where a proxy stands before it; for /sd
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,
    /// Have the configuration read anew by POST or PUT on /-/reload; SIGHUP does it in any case
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Path of the metrics [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH")]
    pub telemetry_path: Option<String>,
}

/// Where Microsoft's portals push incidents.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct IntakeArgs {
    /// Address on which incidents are taken from Microsoft's webhooks; may be repeated; off without it
    #[arg(id = "intake.listen-address", long = "intake.listen-address", value_name = "[ADDRESS]:PORT")]
    pub listen_addresses: Vec<String>,
}

/// Where state is kept between starts.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct StorageArgs {
    /// Directory that keeps snapshot, identities and since-times over a restart; without it nothing is written
    #[arg(long = "storage.path", value_name = "DIRECTORY")]
    pub path: Option<PathBuf>,
}

/// Which of several processes this is.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq)]
pub struct ShardArgs {
    /// Which of the processes this is, from 0 [default: the number at the end of HOSTNAME, as pods of a `StatefulSet` have it]
    #[arg(long = "shard.index", value_name = "N")]
    pub index: Option<u32>,
    /// How many processes share the rooms
    #[arg(long = "shard.count", value_name = "N")]
    pub count: Option<u32>,
}

/// What is sent to a receiver of OpenTelemetry.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct OtlpArgs {
    #[arg(
        id = "otlp.endpoint",
        long = "otlp.endpoint",
        value_name = "URL",
        help = "Send metrics and logs by OTLP to this receiver, such as http://localhost:4318 \
                [default: OTEL_EXPORTER_OTLP_ENDPOINT]"
    )]
    pub endpoint: Option<String>,
    /// Send traces of the collection, too
    #[arg(id = "otlp.traces", long = "otlp.traces")]
    pub traces: bool,
}

/// How the program logs to standard error.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct LogArgs {
    /// Least severe level to log [default: info]
    #[arg(long = "log.level", value_enum, value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// Format of the log [default: logfmt]
    #[arg(long = "log.format", value_enum, value_name = "FORMAT")]
    pub format: Option<LogFormat>,
}

/// The simulated tenant.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct WorldArgs {
    /// Number of rooms
    #[arg(long, default_value_t = 60)]
    pub rooms: u32,
    /// Seed of the simulated world; the same seed gives the same rooms and events
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Shape of the answers: as real tenants send them, or as Microsoft documents them
    #[arg(long, value_name = "real|documented", default_value_t = Profile::DEFAULT)]
    pub profile: Profile,
    /// Simulated seconds per second; at 0 nothing changes
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Simulated time at the start, such as 2026-11-24T09:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub start: Option<jiff::Timestamp>,
    /// Fault of the simulated Graph; may be repeated
    #[arg(long = "fault", value_name = "NAME[:RATE][=VALUE]")]
    pub faults: Vec<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed >= 0.0 => Ok(speed),
        _ => Err("expected a number, 0 or more".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Logfmt,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CatalogueFormat {
    Table,
    Markdown,
    /// As a registry of OpenTelemetry's `weaver`
    Weaver,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Command {
        parse_line(line).unwrap_or_else(|error| panic!("`{line}` is refused: {error}"))
    }

    fn parse_line(line: &str) -> Result<Command, clap::Error> {
        parse(std::iter::once("teams-rooms-exporter").chain(line.split_whitespace()))
    }

    #[track_caller]
    fn refused(line: &str, kind: ErrorKind, exit_code: i32) {
        let error = parse_line(line).expect_err(line);
        assert_eq!((error.kind(), error.exit_code()), (kind, exit_code), "{line}: {error}");
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default_and_its_flags_work_before_after_and_without_the_word() {
        let expected = Command::Serve(ServeArgs {
            config: ConfigArgs { file: Some("x".into()) },
            web: WebArgs {
                listen_addresses: vec![":9".into(), "[::1]:9".into()],
                systemd_socket: true,
                config_file: Some("w".into()),
                telemetry_path: Some("/m".into()),
                external_url: Some("https://u".into()),
                enable_lifecycle: true,
            },
            intake: IntakeArgs { listen_addresses: vec![":8".into()] },
            storage: StorageArgs { path: Some("s".into()) },
            shard: ShardArgs { index: Some(1), count: Some(3) },
            otlp: OtlpArgs { endpoint: Some("http://o".into()), traces: true },
            log: LogArgs { level: Some(LogLevel::Debug), format: Some(LogFormat::Json) },
        });
        let flags = "--config.file=x --web.listen-address=:9 --web.listen-address [::1]:9 --web.systemd-socket --web.config.file w --web.enable-lifecycle --web.external-url https://u \
                     --web.telemetry-path /m --intake.listen-address=:8 --storage.path=s --shard.index=1 --shard.count 3 \
                     --otlp.endpoint=http://o --otlp.traces --log.level debug --log.format=json";
        assert_eq!(parsed(flags), expected);
        assert_eq!(parsed(&format!("serve {flags}")), expected);
        assert_eq!(parsed(&format!("{flags} serve")), expected);
        assert_eq!(parsed(""), Command::Serve(ServeArgs::default()));
    }

    #[test]
    fn after_the_word_wins_and_addresses_add_up() {
        let Command::Serve(args) = parsed(
            "--config.file=a --web.listen-address=:1 --log.level=warn \
             serve --config.file=b --web.listen-address=:2",
        ) else {
            panic!("not serve")
        };
        assert_eq!(args.config.file, Some("b".into()));
        assert_eq!(args.web.listen_addresses, [":1", ":2"]);
        assert_eq!(args.log.level, Some(LogLevel::Warn));
    }

    #[test]
    fn the_simulated_tenant_has_defaults() {
        let Command::Demo(demo) = parsed("demo --fault throttle:0.1=5s --fault slow --web.listen-address=:0")
        else {
            panic!("not demo")
        };
        let faults = vec!["throttle:0.1=5s".to_owned(), "slow".to_owned()];
        let usual =
            WorldArgs { rooms: 60, seed: 1, profile: Profile::DEFAULT, speed: 1.0, start: None, faults };
        assert_eq!(demo.world, usual);
        assert_eq!(demo.web.listen_addresses, [":0"]);

        let Command::Simulate(simulate) = parsed("simulate --rooms 5 --seed=7 --speed 60 --profile real")
        else {
            panic!("not simulate")
        };
        assert_eq!(simulate.listen_address, "127.0.0.1:10065");
        assert_eq!(simulate.replay, None);
        let changed =
            WorldArgs { rooms: 5, seed: 7, profile: Profile::Real, speed: 60.0, start: None, faults: vec![] };
        assert_eq!(simulate.world, changed);
        assert!(
            matches!(parsed("demo --profile=documented"), Command::Demo(demo) if demo.world.profile == Profile::Documented)
        );
        assert!(
            matches!(parsed("demo --speed 0"), Command::Demo(demo) if demo.world.speed.abs() < f64::EPSILON)
        );
    }

    #[test]
    fn the_other_subcommands() {
        let config = ConfigArgs { file: Some("x".into()) };
        let serve = ServeArgs { config: config.clone(), ..ServeArgs::default() };
        assert_eq!(
            parsed("check --config.file x"),
            Command::Check(CheckArgs { serve, ..CheckArgs::default() })
        );
        let Command::Check(check) = parsed("check --capture d --tenant contoso") else { panic!("not check") };
        assert_eq!((check.capture, check.tenant), (Some("d".into()), Some("contoso".to_owned())));
        assert!(
            matches!(parsed("simulate --replay d"), Command::Simulate(args) if args.replay == Some("d".into()))
        );
        assert_eq!(
            parsed("login --browser --tenant contoso --config.file=x"),
            Command::Login(LoginArgs {
                browser: true,
                tenant: Some("contoso".into()),
                config: config.clone(),
                log: LogArgs::default()
            })
        );
        assert_eq!(
            parsed("rooms --json --config.file=x"),
            Command::Rooms(RoomsArgs { json: true, csv: false, config, log: LogArgs::default() })
        );
        assert_eq!(
            parsed("healthcheck --ready --timeout=1s --web.listen-address :9 --web.config.file=w"),
            Command::Healthcheck(HealthcheckArgs {
                ready: true,
                timeout: Some("1s".to_owned()),
                listen_address: Some(":9".to_owned()),
                config_file: Some("w".into()),
            })
        );
        assert_eq!(parsed("metrics"), Command::Metrics(MetricsArgs { format: CatalogueFormat::Table }));
        assert_eq!(
            parsed("metrics --format=markdown"),
            Command::Metrics(MetricsArgs { format: CatalogueFormat::Markdown })
        );
    }

    #[test]
    fn what_is_refused() {
        refused("--no.such-flag", ErrorKind::UnknownArgument, 2);
        refused("frobnicate", ErrorKind::InvalidSubcommand, 2);
        refused("--log.level=trace", ErrorKind::InvalidValue, 2);
        refused("--storage.path=", ErrorKind::InvalidValue, 2);
        refused("rooms --json --csv", ErrorKind::ArgumentConflict, 2);
        refused("demo --config.file=x", ErrorKind::UnknownArgument, 2);
        refused("demo --profile=Real", ErrorKind::ValueValidation, 2);
        refused("simulate --web.listen-address=:1", ErrorKind::UnknownArgument, 2);
        refused("simulate --intake.listen-address=:1", ErrorKind::UnknownArgument, 2);
        refused("--config.file=x demo", ErrorKind::ArgumentConflict, 2);
        refused("check --capture=x --wait=1h", ErrorKind::ArgumentConflict, 2);
        refused("check --tenant=contoso", ErrorKind::MissingRequiredArgument, 2);
        refused("simulate --replay=x --rooms=5", ErrorKind::ArgumentConflict, 2);
        for speed in ["-1", "nan", "inf", "fast"] {
            refused(&format!("demo --speed={speed}"), ErrorKind::ValueValidation, 2);
        }
    }

    #[test]
    fn help_and_version_end_well() {
        refused("--help", ErrorKind::DisplayHelp, 0);
        refused("serve --help", ErrorKind::DisplayHelp, 0);
        refused("--version", ErrorKind::DisplayVersion, 0);
        let version = parse_line("--version").expect_err("clap ends here").to_string();
        let revision = env!("TEAMS_ROOMS_EXPORTER_REVISION");
        assert_eq!(
            version,
            format!("teams-rooms-exporter {} (revision {revision})\n", env!("CARGO_PKG_VERSION"))
        );
        let help = parse_line("--help").expect_err("clap ends here").to_string();
        for told in ["[default: :10064]", "teams-rooms-exporter demo\n", "Documentation: https://"] {
            assert!(help.contains(told), "{help}");
        }
    }

    #[test]
    fn the_examples_of_the_help_are_commands() {
        let commands = EXAMPLES.lines().filter_map(|line| line.strip_prefix("      teams-rooms-exporter "));
        let commands: Vec<&str> = commands.collect();
        assert_eq!(commands.len(), 5);
        for command in commands {
            parsed(command);
        }
    }
}
