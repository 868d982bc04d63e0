//! Where HTTP is answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::web_config::WebConfig;
use super::{Error, duration};
use crate::cli;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Each once, at least one unless systemd has them; `:port` is `[::]:port`, which takes IPv4 as well where the system has it so.
    pub listen_addresses: Vec<SocketAddr>,
    /// Whether systemd hands over the listeners; the addresses are not listened on then.
    pub systemd_socket: bool,
    /// TLS, users and more; it was there and sound at start.
    pub config_file: Option<PathBuf>,
    /// What that file protected at start.
    pub protection: Protection,
    /// Path of the metrics, different from the other paths.
    pub telemetry_path: String,
    /// Where it is reached, `http` or `https`; nothing is as it is asked.
    pub external_url: Option<Url>,
    /// Whether a reload may be asked for over HTTP.
    pub lifecycle: bool,
}

/// How far strangers are kept from what is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Nobody reads along.
    pub encrypts: bool,
    /// Nobody asks without a password or a certificate.
    pub knows_everybody: bool,
}

/// What `healthcheck` asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where the exporter may be; the first that answers is it.
    pub addresses: Vec<SocketAddr>,
    pub tls: bool,
    /// The exporter demands a certificate, which the probe has not.
    pub demands_certificate: bool,
    /// Whether there is something to serve, instead of whether it is alive.
    pub ready: bool,
    pub timeout: Duration,
}

const DEFAULT_TELEMETRY_PATH: &str = "/metrics";

/// Below the five seconds that the image grants its health check.
const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Paths that answer something else.
const OTHER_PATHS: [&str; 2] = ["/", "/sd"];
const OTHER_FOLDERS: [&str; 3] = ["/-/", "/api/", "/intake/"];

impl Web {
    pub(super) fn read(args: &cli::WebArgs) -> Result<Self, Error> {
        let mut listen_addresses = addresses("--web.listen-address", &args.listen_addresses)?;
        if args.systemd_socket && !listen_addresses.is_empty() {
            let reason = "systemd says where to listen; leave --web.listen-address out".to_owned();
            return Err(Error::Setting { setting: "--web.systemd-socket", reason });
        }
        if listen_addresses.is_empty() && !args.systemd_socket {
            listen_addresses.push(SocketAddr::from((Ipv6Addr::UNSPECIFIED, cli::DEFAULT_PORT)));
        }
        let telemetry_path = match &args.telemetry_path {
            Some(path) => check_path(path)
                .map_err(|reason| Error::Setting { setting: "--web.telemetry-path", reason })?,
            None => DEFAULT_TELEMETRY_PATH.to_owned(),
        };
        let protection = match &args.config_file {
            Some(path) => {
                let file = WebConfig::load(path)?;
                Protection { encrypts: file.tls.is_some(), knows_everybody: file.knows_everybody() }
            }
            None => Protection::default(),
        };
        Ok(Self {
            listen_addresses,
            systemd_socket: args.systemd_socket,
            config_file: args.config_file.clone(),
            protection,
            telemetry_path,
            external_url: args.external_url.as_deref().map(external_url).transpose()?,
            lifecycle: args.enable_lifecycle,
        })
    }

    /// Warns of occupancy that whoever reaches one of these addresses can read, or read along.
    pub(super) fn open_to(&self, addresses: &[SocketAddr]) -> Option<String> {
        let address = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())?;
        let without = match (self.protection.knows_everybody, self.protection.encrypts) {
            (true, true) => return None,
            (true, false) => "TLS",
            (false, true) => "users",
            (false, false) => "users and TLS",
        };
        Some(format!(
            "when rooms are occupied is served on {address} without {without}: give --web.config.file, listen on \
             loopback, or set privacy: {{ usage: off }}; docs/serving.md tells more"
        ))
    }
}

impl Probe {
    pub(super) fn read(args: &cli::HealthcheckArgs) -> Result<Self, Error> {
        let setting = "--web.listen-address";
        let given = args.listen_address.iter().cloned().collect::<Vec<_>>();
        let address = addresses(setting, &given)?.pop();
        let address = address.unwrap_or(SocketAddr::from((Ipv6Addr::UNSPECIFIED, cli::DEFAULT_PORT)));
        if address.port() == 0 {
            let reason = "which port it is, only the exporter knows; give the one it listens on".to_owned();
            return Err(Error::Setting { setting, reason });
        }
        let file = args.config_file.as_deref().map(WebConfig::load).transpose()?;
        let tls = file.as_ref().and_then(|file| file.tls.as_ref());
        let timeout = args.timeout.as_deref().map(duration::parse_positive).transpose();
        Ok(Self {
            addresses: reachable(address),
            tls: tls.is_some(),
            demands_certificate: tls
                .and_then(|tls| tls.clients.as_ref())
                .is_some_and(|clients| clients.required),
            ready: args.ready,
            timeout: timeout
                .map_err(|reason| Error::Setting { setting: "--timeout", reason })?
                .unwrap_or(DEFAULT_PROBE_TIMEOUT),
        })
    }
}

/// Where somebody on the same machine finds who listens on an address; `[::]` may have been either family.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    let (four, six) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
    let hosts = match address.ip() {
        ip if !ip.is_unspecified() => vec![ip],
        IpAddr::V4(_) => vec![four],
        IpAddr::V6(_) => vec![four, six],
    };
    hosts.into_iter().map(|host| SocketAddr::from((host, address.port()))).collect()
}

fn external_url(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    let plain = url.filter(|url| url.username().is_empty() && url.password().is_none());
    let plain = plain.filter(|url| url.query().is_none() && url.fragment().is_none());
    plain.ok_or_else(|| Error::Setting {
        setting: "--web.external-url",
        reason: "is not a plain URL like https://rooms.contoso.example/exporter".to_owned(),
    })
}

/// The addresses that a flag names, each once.
pub(super) fn addresses(setting: &'static str, texts: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let mut addresses = Vec::new();
    for text in texts {
        let address = address(text).map_err(|reason| Error::Setting { setting, reason })?;
        if !addresses.contains(&address) || address.port() == 0 {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let address = match text.rsplit_once(':') {
        Some(("", text)) => port(text).map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
        Some(("localhost", text)) => port(text).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        _ => text.parse().ok(),
    };
    address.ok_or_else(|| {
        format!("`{text}` is no address to listen on; write it like :10064, 127.0.0.1:10064 or [::1]:10064")
    })
}

fn check_path(path: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%');
    if !path.starts_with('/') || !path.chars().all(allowed) {
        return Err(format!("`{path}` is no path; write it like {DEFAULT_TELEMETRY_PATH}"));
    }
    if OTHER_PATHS.contains(&path) || OTHER_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return Err(format!("`{path}` answers something else; write it like {DEFAULT_TELEMETRY_PATH}"));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            (":10064", "[::]:10064"),
            (":0", "[::]:0"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:9", "0.0.0.0:9"),
            ("[::1]:9", "[::1]:9"),
            ("localhost:9", "127.0.0.1:9"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in
            ["", ":", "9", ":65536", ":+9", "::1:9", "host.example:9", "127.0.0.1", "127.0.0.1:x", " :9"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths() {
        for path in ["/metrics", "/m", "/a/b", "/apis", "/sdx", "/-"] {
            assert_eq!(check_path(path).as_deref(), Ok(path));
        }
        for path in
            ["", "metrics", "/", "/sd", "/-/healthy", "/api/v1/rooms", "/intake/x", "/a b", "/a?b", "/é"]
        {
            assert!(check_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn who_may_read_occupancy() {
        let warning = |encrypts, knows_everybody, addresses: &[&str]| {
            let protection = Protection { encrypts, knows_everybody };
            let web = Web { protection, ..Web::read(&cli::WebArgs::default()).expect("sound") };
            let addresses: Vec<SocketAddr> =
                addresses.iter().map(|text| text.parse().expect("one")).collect();
            web.open_to(&addresses)
        };
        let everywhere = ["127.0.0.1:9", "[::]:9"];
        for loopback in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(warning(false, false, &[loopback]), None, "{loopback}");
        }
        assert_eq!(warning(true, true, &everywhere), None);
        for (encrypts, knows_everybody, missing) in
            [(false, false, "users and TLS"), (true, false, "users"), (false, true, "TLS")]
        {
            let warning = warning(encrypts, knows_everybody, &everywhere).expect("a warning");
            assert!(warning.contains(&format!("on [::]:9 without {missing}: give")), "{warning}");
        }
    }

    #[test]
    fn what_a_probe_asks() {
        let read = |address: Option<&str>| {
            let listen_address = address.map(str::to_owned);
            Probe::read(&cli::HealthcheckArgs { listen_address, ..cli::HealthcheckArgs::default() })
        };
        let addresses = |address| {
            let probe = read(address).expect("sound");
            probe.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses(None), ["127.0.0.1:10064", "[::1]:10064"]);
        assert_eq!(addresses(Some(":9")), ["127.0.0.1:9", "[::1]:9"]);
        assert_eq!(addresses(Some("0.0.0.0:9")), ["127.0.0.1:9"]);
        assert_eq!(addresses(Some("10.1.2.3:9")), ["10.1.2.3:9"]);
        assert!(read(Some(":0")).is_err() && read(Some("x")).is_err());
        let timeout = |text: &str| {
            let timeout = Some(text.to_owned());
            Probe::read(&cli::HealthcheckArgs { timeout, ..cli::HealthcheckArgs::default() })
        };
        assert_eq!(timeout("2s").expect("sound").timeout, Duration::from_secs(2));
        assert!(timeout("0").is_err());
    }

    #[test]
    fn systemd_or_addresses() {
        let socket = cli::WebArgs { systemd_socket: true, ..cli::WebArgs::default() };
        assert!(Web::read(&socket).expect("sound").listen_addresses.is_empty());
        assert!(Web::read(&cli::WebArgs { listen_addresses: vec![":9".to_owned()], ..socket }).is_err());
    }

    #[test]
    fn defaults_and_repeats() {
        let read = |addresses: &[&str]| {
            let listen_addresses = addresses.iter().map(|&text| text.to_owned()).collect();
            let web =
                Web::read(&cli::WebArgs { listen_addresses, ..cli::WebArgs::default() }).expect("sound");
            web.listen_addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(read(&[]), ["[::]:10064"]);
        assert_eq!(read(&[":9", "127.0.0.1:9", ":9"]), ["[::]:9", "127.0.0.1:9"]);
        assert_eq!(read(&["127.0.0.1:0", "127.0.0.1:0"]), ["127.0.0.1:0", "127.0.0.1:0"]);
    }
}
