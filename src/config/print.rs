//! The configuration in force as a configuration file: defaults filled in, secrets hidden.

use serde_json::{Map, Value, json};

use super::otlp::Otlp;
use super::{Auth, Collectors, Config, Credential, Enabled, Secret, SourceSettings, Tenant, Trust, duration};
use crate::cli;
use crate::model::State;
use crate::model::site::Site;

/// The settings that are flags or `OTEL_*` variables, each on a line of comment. An address of OTLP is without its headers.
pub(super) fn flags(config: &Config, otlp: &Otlp, log: &cli::LogArgs) -> String {
    let web = &config.web;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let on = |set: bool| set.then(|| "true".to_owned());
    let url = |endpoint: Option<&super::otlp::Endpoint>| endpoint.map(|endpoint| endpoint.url.to_string());
    let addresses =
        |all: &[std::net::SocketAddr]| all.iter().map(|one| Some(one.to_string())).collect::<Vec<_>>();
    let one = |name: &'static str, value: Option<String>| (name, vec![value]);
    let settings = [
        ("--web.listen-address", addresses(&web.listen_addresses)),
        one("--web.systemd-socket", on(web.systemd_socket)),
        one("--web.config.file", path(&web.config_file)),
        one("--web.telemetry-path", Some(web.telemetry_path.clone())),
        one("--web.external-url", web.external_url.as_ref().map(ToString::to_string)),
        one("--web.enable-lifecycle", on(web.lifecycle)),
        ("--intake.listen-address", addresses(&config.intake_addresses)),
        one("--storage.path", path(&config.storage_path)),
        one("--shard.index", Some(config.shard.index().to_string())),
        one("--shard.count", Some(config.shard.count().to_string())),
        one("otlp metrics", url(otlp.metrics.as_ref().map(|metrics| &metrics.endpoint))),
        one("otlp logs", url(otlp.logs.as_ref())),
        one("otlp traces", url(otlp.traces.as_ref().map(|traces| &traces.endpoint))),
        one("--log.level", Some(format!("{:?}", log.level.unwrap_or_default()).to_lowercase())),
        one("--log.format", Some(format!("{:?}", log.format.unwrap_or_default()).to_lowercase())),
    ];
    let lines = settings.into_iter().flat_map(|(name, values)| {
        values.into_iter().flatten().map(move |value| format!("# {name}={value}\n"))
    });
    lines.collect()
}

/// What it prints can be read again, as JSON is YAML: it makes the same configuration where secrets are in files.
pub(super) fn file(config: &Config) -> String {
    let tenants: Vec<Value> = config.tenants.iter().map(tenant).collect();
    let idle_after = config.idle_after.map_or_else(|| "0".to_owned(), duration::show);
    let preset = config.metrics.preset.label();
    let metrics = json!({"preset": preset, "allow": config.metrics.allow, "deny": config.metrics.deny});
    let file = json!({"tenants": tenants, "idle_after": idle_after, "metrics": metrics});
    let mut text = serde_json::to_string_pretty(&file).expect("JSON always serialises");
    text.push('\n');
    text
}

fn tenant(tenant: &Tenant) -> Value {
    let mut file = json!({
        "name": tenant.name,
        "tenant_id": tenant.tenant_id,
        "client_id": tenant.client_id,
        "auth": auth(tenant),
        "cloud": {"authority": tenant.authority.as_str(), "graph": tenant.graph.as_str()},
        "ca_file": tenant.ca_file,
        "intake": tenant.intake.as_ref().map(|intake| credential("secret", intake)),
        "requests_per_second": tenant.requests_per_second,
        "max_items": tenant.max_items,
        "trust_device_accounts": match tenant.trust_device_accounts {
            Trust::Auto => "auto",
            Trust::Yes => "true",
            Trust::No => "false",
        },
        "frozen_after": duration::show(tenant.frozen_after),
        "collectors": of_collectors(&tenant.collectors),
        "room_lists": tenant.room_lists,
        "rooms_file": tenant.rooms_file,
        "sites": tenant.sites.iter().map(site).collect::<Vec<_>>(),
        "privacy": {
            "usage": if tenant.privacy.usage { "room" } else { "off" },
            "min_capacity": tenant.privacy.min_capacity,
        },
    });
    // What is not given is left out, as in a file.
    if let Value::Object(keys) = &mut file {
        keys.retain(|_, value| !value.is_null());
    }
    file
}

fn auth(tenant: &Tenant) -> Value {
    match &tenant.auth {
        Auth::Secret(secret) => {
            let mut keys = credential("client_secret", secret);
            if let (Some(expires), Value::Object(keys)) = (tenant.client_secret_expires, &mut keys) {
                keys.insert("client_secret_expires".to_owned(), expires.to_string().into());
            }
            keys
        }
        Auth::Certificate(files) => {
            let mut keys = Map::new();
            keys.insert("certificate_file".to_owned(), json!(files.certificate));
            if let Some(key) = &files.key {
                keys.insert("certificate_key_file".to_owned(), json!(key));
            }
            keys.insert("send_certificate_chain".to_owned(), files.send_chain.into());
            keys.into()
        }
        Auth::FederatedToken(path) => json!({"federated_token_file": path}),
        Auth::ManagedIdentity(identity) => match &identity.client_id {
            Some(id) => json!({"managed_identity": {"client_id": id}}),
            None => json!({"managed_identity": {}}),
        },
        Auth::Delegated(path) => json!({"delegated": {"refresh_token_file": path}}),
    }
}

fn credential(key: &str, credential: &Credential) -> Value {
    match credential {
        Credential::Secret(secret) => json!({key: Secret::to_string(secret)}),
        Credential::SecretFile(path) => json!({format!("{key}_file"): path}),
    }
}

fn of_collectors(of: &Collectors) -> Value {
    let mut calendar = source(&of.calendar.source);
    if let (Some(mailbox), Value::Object(keys)) = (&of.calendar.mailbox, &mut calendar) {
        keys.insert("mailbox".to_owned(), mailbox.as_str().into());
    }
    let mut accounts = source(&of.accounts);
    if let Value::Object(keys) = &mut accounts {
        let skus: Map<String, Value> =
            of.skus.iter().map(|(id, tier)| (id.clone(), tier.label().into())).collect();
        keys.insert("skus".to_owned(), skus.into());
    }
    json!({
        "devices": {
            "enabled": enabled(of.devices.enabled),
            "interval": duration::show(of.devices.interval),
            "expiry": duration::show(of.devices.expiry),
            "types": of.devices.types,
        },
        "device_health": {
            "enabled": enabled(of.device_health.enabled),
            "expiry": duration::show(of.device_health.expiry),
            "rotation": duration::show(of.device_health.rotation),
        },
        "presence": source(&of.presence),
        "places": source(&of.places),
        "calendar": calendar,
        "accounts": accounts,
        "intune": source(&of.intune),
        "service_health": source(&of.service_health),
        "credentials": source(&of.credentials),
    })
}

fn source(source: &SourceSettings) -> Value {
    json!({
        "enabled": enabled(source.enabled),
        "interval": duration::show(source.interval),
        "expiry": duration::show(source.expiry),
    })
}

fn enabled(enabled: Enabled) -> &'static str {
    match enabled {
        Enabled::Auto => "auto",
        Enabled::Yes => "true",
        Enabled::No => "false",
    }
}

/// Service hours and maintenance as what is left of both.
fn site(site: &Site) -> Value {
    let globs =
        |globs: &[crate::model::site::Glob]| globs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (building, email) = (globs(&site.matches.building), globs(&site.matches.email));
    let mut keys = Map::new();
    keys.insert("name".to_owned(), (*site.name).into());
    if let Some(owner) = &site.owner {
        keys.insert("owner".to_owned(), (**owner).into());
    }
    let given = [("building", building), ("email", email)].into_iter().filter(|(_, globs)| !globs.is_empty());
    let given: Map<String, Value> = given.map(|(key, globs)| (key.to_owned(), json!(globs))).collect();
    if !given.is_empty() {
        keys.insert("match".to_owned(), given.into());
    }
    keys.insert("time_zone".to_owned(), site.zone_name().into());
    keys.insert("service_hours".to_owned(), site.open_hours().to_string().into());
    keys.into()
}
