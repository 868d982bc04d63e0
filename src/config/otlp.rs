//! Where and how OTLP is sent: `--otlp.*` and the standard variables `OTEL_*`.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/> has the variables; a variable of one signal
//! (`OTEL_EXPORTER_OTLP_METRICS_...`) goes before the general one. What is wrong is an error here, not a warning as
//! in most SDKs: nobody looks for metrics that silently go nowhere.

use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::error::quoted;
use super::secret::{self, Secret};
use super::{Env, Error, cleaned, proxies};
use crate::input::{self, pem};
use crate::proxy::Proxies;
use crate::{certificate, cli};

/// What is sent to receivers of OTLP; nothing unless told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Otlp {
    pub metrics: Option<Metrics>,
    pub logs: Option<Endpoint>,
    pub traces: Option<Traces>,
    /// Attributes of the process, each once; `service.name` and `service.instance.id` are among them.
    pub resource: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    pub endpoint: Endpoint,
    pub interval: Duration,
    pub temporality: Temporality,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    pub endpoint: Endpoint,
    pub sampler: Sampler,
}

/// A receiver of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With the path of the signal for HTTP, without a path for gRPC.
    pub url: Url,
    pub protocol: Protocol,
    /// Sent with each request; the names are in lower case.
    pub headers: Vec<(String, Secret)>,
    pub gzip: bool,
    /// Of one request.
    pub timeout: Duration,
    /// Authorities in PEM, trusted beside the system's own.
    pub authorities: Option<String>,
    /// Certificate and key in PEM that the receiver may ask for.
    pub identity: Option<Identity>,
    /// Used over HTTP; over gRPC there are none.
    pub proxies: Proxies,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificates: String,
    pub key: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Grpc,
}

/// Whether counters tell their whole count or what was added since the push before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    #[default]
    Cumulative,
    Delta,
    /// Histograms as deltas, counters, which are read when they are pushed, as whole counts.
    LowMemory,
}

/// Which traces are kept; all spans of a cycle, or none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    On,
    Off,
    /// From 0 to 1.
    Ratio(f64),
}

/// The variables of one signal.
struct Names {
    endpoint: &'static str,
    protocol: &'static str,
    headers: &'static str,
    timeout: &'static str,
    compression: &'static str,
    certificate: &'static str,
    client_certificate: &'static str,
    client_key: &'static str,
}

macro_rules! names {
    ($signal:literal) => {
        Names {
            endpoint: concat!("OTEL_EXPORTER_OTLP", $signal, "_ENDPOINT"),
            protocol: concat!("OTEL_EXPORTER_OTLP", $signal, "_PROTOCOL"),
            headers: concat!("OTEL_EXPORTER_OTLP", $signal, "_HEADERS"),
            timeout: concat!("OTEL_EXPORTER_OTLP", $signal, "_TIMEOUT"),
            compression: concat!("OTEL_EXPORTER_OTLP", $signal, "_COMPRESSION"),
            certificate: concat!("OTEL_EXPORTER_OTLP", $signal, "_CERTIFICATE"),
            client_certificate: concat!("OTEL_EXPORTER_OTLP", $signal, "_CLIENT_CERTIFICATE"),
            client_key: concat!("OTEL_EXPORTER_OTLP", $signal, "_CLIENT_KEY"),
        }
    };
}

const OF_ALL: Names = names!("");
const OF_METRICS: Names = names!("_METRICS");
const OF_LOGS: Names = names!("_LOGS");
const OF_TRACES: Names = names!("_TRACES");

const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const FLAG: &str = "--otlp.endpoint";

const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
/// Points carry whole seconds, and each push should be of another one.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Nobody means to wait for longer, and a shutdown may have to.
const LONGEST: Duration = Duration::from_hours(1);
/// A chain of certificates is some 10 KB.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Reads and checks all that is told of OTLP.
pub fn load(args: &cli::OtlpArgs, env: &dyn Fn(&str) -> Option<String>) -> Result<Otlp, Error> {
    let env = &|name: &str| cleaned(env(name));
    if flag("OTEL_SDK_DISABLED", env)? {
        return Ok(Otlp::default());
    }
    let common = match &args.endpoint {
        Some(text) => Some((FLAG, text.clone())),
        None => env(OF_ALL.endpoint).map(|text| (OF_ALL.endpoint, text)),
    };
    let endpoint = |names, exporter, path| endpoint(names, exporter, path, common.as_ref(), env);
    let metrics = endpoint(&OF_METRICS, "OTEL_METRICS_EXPORTER", "v1/metrics")?;
    let logs = endpoint(&OF_LOGS, "OTEL_LOGS_EXPORTER", "v1/logs")?;
    let asked = args.traces || env("OTEL_TRACES_EXPORTER").is_some() || env(OF_TRACES.endpoint).is_some();
    let traces = if asked { endpoint(&OF_TRACES, "OTEL_TRACES_EXPORTER", "v1/traces")? } else { None };
    if args.traces && traces.is_none() {
        let reason = format!("says nothing without {FLAG} or {}", OF_ALL.endpoint);
        return Err(Error::Setting { setting: "--otlp.traces", reason });
    }
    if metrics.is_none() && logs.is_none() && traces.is_none() {
        return Ok(Otlp::default());
    }
    Ok(Otlp {
        metrics: metrics.map(|endpoint| of_metrics(endpoint, env)).transpose()?,
        logs,
        traces: traces.map(|endpoint| Ok(Traces { endpoint, sampler: sampler(env)? })).transpose()?,
        resource: resource(env)?,
    })
}

fn of_metrics(endpoint: Endpoint, env: &Env<'_>) -> Result<Metrics, Error> {
    let interval = match env(INTERVAL) {
        None => DEFAULT_INTERVAL,
        Some(text) => milliseconds(INTERVAL, &text, SHORTEST_INTERVAL)?,
    };
    let temporality = match env(TEMPORALITY).map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("cumulative") => Temporality::Cumulative,
        Some("delta") => Temporality::Delta,
        Some("lowmemory") => Temporality::LowMemory,
        Some(other) => return Err(unknown(TEMPORALITY, other, "`cumulative`, `delta` or `lowmemory`")),
    };
    Ok(Metrics { endpoint, interval, temporality })
}

/// The receiver of a signal, if there is one and it is not switched off.
fn endpoint(
    names: &Names,
    exporter: &'static str,
    path: &str,
    common: Option<&(&'static str, String)>,
    env: &Env<'_>,
) -> Result<Option<Endpoint>, Error> {
    match env(exporter).map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(unknown(exporter, other, "`otlp` or `none`")),
    }
    let own = env(names.endpoint).map(|text| (names.endpoint, text));
    let is_own = own.is_some();
    let Some((setting, text)) = own.as_ref().or(common) else { return Ok(None) };
    let of = |pick: fn(&Names) -> &'static str| {
        [pick(names), pick(&OF_ALL)].into_iter().find_map(|name| Some((name, env(name)?)))
    };
    let protocol = match of(|names| names.protocol) {
        None => Protocol::Http,
        Some((name, text)) => match text.as_str() {
            "http/protobuf" => Protocol::Http,
            "grpc" => Protocol::Grpc,
            other => return Err(unknown(name, other, "`http/protobuf` or `grpc`")),
        },
    };
    let gzip = match of(|names| names.compression) {
        None => false,
        Some((name, text)) => match text.as_str() {
            "gzip" => true,
            "none" => false,
            other => return Err(unknown(name, other, "`gzip` or `none`")),
        },
    };
    let timeout = match of(|names| names.timeout) {
        None => DEFAULT_TIMEOUT,
        Some((name, text)) => milliseconds(name, &text, Duration::from_millis(1))?,
    };
    let headers = match of(|names| names.headers) {
        None => Vec::new(),
        Some((name, text)) => headers(name, &text)?,
    };
    let authorities = match of(|names| names.certificate) {
        None => None,
        Some((name, path)) => Some(certificates(name, &path)?),
    };
    let identity = identity(of(|names| names.client_certificate), of(|names| names.client_key))?;
    let url = url(text, protocol, (!is_own).then_some(path))
        .map_err(|reason| Error::Setting { setting, reason })?;
    let proxies = proxies(env)?;
    Ok(Some(Endpoint { url, protocol, headers, gzip, timeout, authorities, identity, proxies }))
}

/// `path` is what is appended for the signal to a root that all signals share.
fn url(text: &str, protocol: Protocol, path: Option<&str>) -> Result<Url, String> {
    const EXAMPLE: &str = "write it like http://localhost:4318, for gRPC http://localhost:4317";
    let mut url = Url::parse(text).map_err(|error| format!("is no URL ({error}); {EXAMPLE}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("begins with neither http:// nor https://; {EXAMPLE}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user or a password in it; send those by {}", OF_ALL.headers));
    }
    if protocol == Protocol::Grpc {
        return match url.path() {
            "/" if url.query().is_none() => Ok(url),
            _ => Err(format!("has a path, which gRPC has not; {EXAMPLE}")),
        };
    }
    if let Some(path) = path {
        let root = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{root}/{path}"));
    }
    Ok(url)
}

/// `key=value` pairs, the values percent-encoded. No part is shown: it is what lets us in.
fn headers(setting: &'static str, text: &str) -> Result<Vec<(String, Secret)>, Error> {
    let wrong = |reason: &str| {
        let cure = "write it like authorization=Bearer%20TOKEN,x-tenant=rooms";
        Error::Setting { setting, reason: format!("{reason}; {cure}") }
    };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong("has a part without `=`"))?;
        let name = reqwest::header::HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| wrong("has a name that no header may have"))?;
        let value = percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| wrong("has a value that is no text"))?;
        if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(wrong("has a value that is not plain ASCII"));
        }
        Ok((name.as_str().to_owned(), Secret::new(value.into_owned())))
    };
    pairs.map(pair).collect()
}

type Given = Option<(&'static str, String)>;

fn identity(certificate: Given, key: Given) -> Result<Option<Identity>, Error> {
    let ((certificate_name, certificate), (key_name, key)) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some((setting, _)), None) => {
            let reason = format!("needs its key, in {}", setting.replace("CERTIFICATE", "KEY"));
            return Err(Error::Setting { setting, reason });
        }
        (None, Some((setting, _))) => {
            let reason = format!("needs its certificate, in {}", setting.replace("KEY", "CERTIFICATE"));
            return Err(Error::Setting { setting, reason });
        }
    };
    let certificates = certificates(certificate_name, &certificate)?;
    let block = read(key_name, &key, certificate::private_key_block)?;
    Ok(Some(Identity { certificates, key: Secret::new(pem::encode([&block])) }))
}

/// The certificates of a file, written again as every library reads them.
fn certificates(setting: &'static str, path: &str) -> Result<String, Error> {
    read(setting, path, |bytes| {
        certificate::certificates_of(bytes)?;
        Ok(pem::encode(&certificate::certificate_blocks(bytes)?))
    })
}

fn read<T>(
    setting: &'static str,
    path: &str,
    use_it: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, Error> {
    let read = input::read(Path::new(path), MAX_PEM_BYTES).and_then(|bytes| use_it(&bytes));
    read.map_err(|reason| in_file(setting, path, &reason))
}

fn in_file(setting: &'static str, path: &str, reason: &str) -> Error {
    if secret::looks_like_a_secret(path) || path.contains("-----BEGIN") {
        return Error::Setting { setting, reason: secret::NOT_A_PATH.to_owned() };
    }
    Error::Setting { setting, reason: format!("the file {} {reason}", quoted(path)) }
}

fn sampler(env: &Env<'_>) -> Result<Sampler, Error> {
    let ratio = || match env(SAMPLER_ARG) {
        None => Ok(1.0),
        Some(text) => match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
            _ => Err(unknown(SAMPLER_ARG, &text, "a number from 0 to 1")),
        },
    };
    // A cycle is nobody's child: what a parent says does not come into it.
    match env(SAMPLER).as_deref() {
        None | Some("always_on" | "parentbased_always_on") => Ok(Sampler::On),
        Some("always_off" | "parentbased_always_off") => Ok(Sampler::Off),
        Some("traceidratio" | "parentbased_traceidratio") => ratio().map(Sampler::Ratio),
        Some(other) => Err(unknown(
            SAMPLER,
            other,
            "`always_on`, `always_off` or `traceidratio`, each also with `parentbased_`",
        )),
    }
}

fn resource(env: &Env<'_>) -> Result<Vec<(String, String)>, Error> {
    const NAME: &str = "service.name";
    const INSTANCE: &str = "service.instance.id";
    let mut attributes = vec![
        (NAME.to_owned(), "teams-rooms-exporter".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (INSTANCE.to_owned(), host(env).unwrap_or_else(|| uuid::Uuid::new_v4().to_string())),
    ];
    let mut set = |name: &str, value: String| match attributes.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => attributes.push((name.to_owned(), value)),
    };
    let text = env(RESOURCE).unwrap_or_default();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let read = pair.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let value = read.and_then(|(_, value)| percent_decode_str(value.trim()).decode_utf8().ok());
        let (Some((name, _)), Some(value)) = (read, value) else {
            return Err(unknown(RESOURCE, pair, "pairs like deployment.environment.name=production,team=av"));
        };
        set(name.trim(), value.into_owned());
    }
    if let Some(name) = env("OTEL_SERVICE_NAME") {
        set(NAME, name);
    }
    Ok(attributes)
}

/// The name of this machine or pod, by the variable of shells, that of Windows, or the kernel. It stays over a restart: a new
/// instance would be new series.
fn host(env: &Env<'_>) -> Option<String> {
    let told = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = env("HOSTNAME").or_else(|| env("COMPUTERNAME")).or_else(told)?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

fn flag(setting: &'static str, env: &Env<'_>) -> Result<bool, Error> {
    match env(setting).map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(unknown(setting, other, "`true` or `false`")),
    }
}

fn milliseconds(setting: &'static str, text: &str, at_least: Duration) -> Result<Duration, Error> {
    match text.parse().map(Duration::from_millis) {
        Ok(time) if time >= at_least && time <= LONGEST => Ok(time),
        _ => {
            let (least, most) = (at_least.as_millis(), LONGEST.as_millis());
            let expected = format!("whole milliseconds from {least} to {most}");
            Err(unknown(setting, text, &expected))
        }
    }
}

fn unknown(setting: &'static str, found: &str, expected: &str) -> Error {
    Error::Setting { setting, reason: format!("is {}; it should be {expected}", quoted(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(flags: &cli::OtlpArgs, variables: &[(&str, &str)]) -> Result<Otlp, String> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        load(flags, &find).map_err(|error| error.to_string())
    }

    fn of(variables: &[(&str, &str)]) -> Otlp {
        loaded(&cli::OtlpArgs::default(), variables).expect("accepted")
    }

    const ROOT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    #[test]
    fn nothing_is_sent_unless_told() {
        assert_eq!(of(&[]), Otlp::default());
        assert_eq!(of(&[ROOT, ("OTEL_SDK_DISABLED", "true")]), Otlp::default());
        assert_eq!(of(&[("OTEL_METRIC_EXPORT_INTERVAL", "0")]), Otlp::default());
    }

    #[test]
    fn one_endpoint_is_for_metrics_and_logs_and_traces_are_asked_for() {
        let otlp = of(&[ROOT]);
        let metrics = otlp.metrics.expect("sent");
        assert_eq!(metrics.endpoint.url.as_str(), "http://collector:4318/v1/metrics");
        assert_eq!((metrics.interval, metrics.temporality), (DEFAULT_INTERVAL, Temporality::Cumulative));
        assert_eq!(metrics.endpoint.timeout, DEFAULT_TIMEOUT);
        assert_eq!(otlp.logs.expect("sent").url.as_str(), "http://collector:4318/v1/logs");
        assert_eq!(otlp.traces, None);

        let flags = cli::OtlpArgs { endpoint: Some("https://other/base".to_owned()), traces: true };
        let otlp = loaded(&flags, &[ROOT, ("OTEL_LOGS_EXPORTER", "none")]).expect("accepted");
        assert_eq!(otlp.traces.expect("asked for").endpoint.url.as_str(), "https://other/base/v1/traces");
        assert_eq!(otlp.logs, None);
    }

    #[test]
    fn a_signal_has_its_own_variables_first() {
        let otlp = of(&[
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/api/otlp"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:2"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20a=b, x=y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "15000"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let (metrics, traces) = (otlp.metrics.expect("sent"), otlp.traces.expect("sent"));
        assert_eq!(metrics.endpoint.url.as_str(), "http://m:1/api/otlp", "used as it is");
        assert_eq!((metrics.endpoint.gzip, traces.endpoint.gzip), (false, true));
        assert_eq!((metrics.endpoint.protocol, traces.endpoint.protocol), (Protocol::Http, Protocol::Grpc));
        assert_eq!(metrics.endpoint.timeout, Duration::from_millis(2500));
        assert_eq!((metrics.interval, metrics.temporality), (Duration::from_secs(15), Temporality::Delta));
        assert_eq!(traces.sampler, Sampler::Ratio(0.25));
        let shown: Vec<_> =
            metrics.endpoint.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(shown, [("authorization", "Bearer a=b"), ("x", "y")]);
        assert!(!format!("{metrics:?}").contains("Bearer"));
        assert_eq!(otlp.logs, None);
    }

    #[test]
    fn the_resource_is_who_we_are_and_what_the_operator_says() {
        let resource =
            |variables: &[(&str, &str)]| of(&[&[ROOT, ("HOSTNAME", "pod-0")], variables].concat()).resource;
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let version = of("service.version", env!("CARGO_PKG_VERSION"));
        let expected =
            [of("service.name", "teams-rooms-exporter"), version.clone(), of("service.instance.id", "pod-0")];
        assert_eq!(resource(&[]), expected);
        let told = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,service.instance.id=a%2Cb, team=av"),
            ("OTEL_SERVICE_NAME", "rooms"),
        ];
        let expected =
            [of("service.name", "rooms"), version, of("service.instance.id", "a,b"), of("team", "av")];
        assert_eq!(resource(&told), expected);
    }

    #[test]
    fn what_is_wrong_names_the_variable_and_the_cure() {
        let fixture = |name: &str| format!("{}/tests/config/{name}", env!("CARGO_MANIFEST_DIR"));
        let (certificate, key) = (fixture("certificate.pem"), fixture("certificate.key"));
        let all =
            |name: &'static str, value: &str| vec![(ROOT.0, ROOT.1.to_owned()), (name, value.to_owned())];
        for (variables, told) in [
            (vec![(ROOT.0, "collector:4317".to_owned())], "OTEL_EXPORTER_OTLP_ENDPOINT: begins with neither"),
            (vec![(ROOT.0, "collector".to_owned())], "OTEL_EXPORTER_OTLP_ENDPOINT: is no URL"),
            (
                vec![(ROOT.0, "http://me:pw@c".to_owned())],
                "has a user or a password in it; send those by OTEL_",
            ),
            (
                all("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
                "_PROTOCOL: is `http/json`; it should be `http/p",
            ),
            (
                all("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10s"),
                "OTLP_LOGS_TIMEOUT: is `10s`; it should be whole milli",
            ),
            (all("OTEL_METRIC_EXPORT_INTERVAL", "999"), "from 1000 to 3600000"),
            (all("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"), "it should be `gzip` or `none`"),
            (all("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"), "has a part without `=`; write it like"),
            (all("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"), "has a name that no header may have"),
            (all("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such"), "the file `/no/such` does not exist"),
            (all("OTEL_EXPORTER_OTLP_CERTIFICATE", &key), "has no certificate in PEM"),
            (
                all("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
                "needs its certificate, in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            ),
            (
                all("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
                "needs its key, in OTEL_EXPORTER_OTLP_CLIENT_KEY",
            ),
            (
                all("OTEL_METRICS_EXPORTER", "prometheus"),
                "OTEL_METRICS_EXPORTER: is `prometheus`; it should be `otlp`",
            ),
            (all("OTEL_SDK_DISABLED", "yes"), "it should be `true` or `false`"),
            (
                all("OTEL_RESOURCE_ATTRIBUTES", "team"),
                "OTEL_RESOURCE_ATTRIBUTES: is `team`; it should be pairs",
            ),
            (
                all("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
                "is `both`; it should be `cumulative`",
            ),
        ] {
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let error = loaded(&cli::OtlpArgs::default(), &variables).expect_err(told);
            assert!(error.contains(told), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let flags = cli::OtlpArgs { endpoint: Some("http://c:4317/x".to_owned()), traces: false };
        let error = loaded(&flags, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect_err("a path");
        assert!(error.starts_with("--otlp.endpoint: has a path, which gRPC has not"), "{error}");
        let flags = cli::OtlpArgs { endpoint: None, traces: true };
        let error = loaded(&flags, &[]).expect_err("no endpoint");
        assert!(error.starts_with("--otlp.traces: says nothing without --otlp.endpoint"), "{error}");
        let variables = [ROOT, ("OTEL_TRACES_SAMPLER", "jaeger_remote"), ("OTEL_TRACES_EXPORTER", "otlp")];
        let error = loaded(&cli::OtlpArgs::default(), &variables).expect_err("a sampler");
        assert!(error.starts_with("OTEL_TRACES_SAMPLER: is `jaeger_remote`"), "{error}");
    }
}
