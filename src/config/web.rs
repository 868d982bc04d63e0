//! Where HTTP is answered.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::Error;
use super::web_config::WebConfig;
use crate::cli;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Each once, at least one unless systemd has them; `:port` is `[::]:port`, which takes IPv4 as well where the system has it so.
    pub listen_addresses: Vec<SocketAddr>,
    /// Whether systemd hands over the listeners; the addresses are not listened on then.
    pub systemd_socket: bool,
    /// TLS, users and more; it was there and sound at start.
    pub config_file: Option<PathBuf>,
    /// Path of the metrics, different from the other paths.
    pub telemetry_path: String,
}

const DEFAULT_TELEMETRY_PATH: &str = "/metrics";

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
        if let Some(path) = &args.config_file {
            WebConfig::load(path)?;
        }
        Ok(Self {
            listen_addresses,
            systemd_socket: args.systemd_socket,
            config_file: args.config_file.clone(),
            telemetry_path,
        })
    }
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
