//! `check`: does sign-in work, what does each source answer, and what is to be done, in words.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::collectors::{Outcome, device_health, devices};
use crate::commands::client;
use crate::config::{Config, Enabled, Tenant};
use crate::graph::{Client, Error, batch};
use crate::model::collector::{Collector, CollectorState};
use crate::model::device::{Device, Role};
use crate::model::{Span, State};

/// A person waits for the answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// Checks every tenant; true if all that is required works.
pub async fn run(config: &Config, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<bool> {
    let mut good = true;
    for tenant in &config.tenants {
        writeln!(out, "tenant {} ({})", tenant.name, tenant.tenant_id)?;
        good &= check_tenant(tenant, clock, out).await?;
    }
    writeln!(out, "{}", if good { "all is well" } else { "not all is well; see above" })?;
    Ok(good)
}

async fn check_tenant(tenant: &Tenant, clock: &Clock, out: &mut (dyn Write + Send)) -> anyhow::Result<bool> {
    let client = client(tenant, clock)?;
    match client.sign_in().await {
        Ok(lifetime) => {
            writeln!(out, "  sign-in         ok: app {}, token for {}", tenant.client_id, Span(lifetime))?;
        }
        Err(error) => {
            writeln!(out, "  sign-in         FAILED: {error}")?;
            writeln!(out, "                  to do: {}", cure_of_sign_in(&error))?;
            return Ok(false);
        }
    }
    let (list, found) = check_list(&client, tenant, out).await?;
    let detail = if found.is_empty() { true } else { check_detail(&client, tenant, &found, out).await? };
    Ok(list && detail)
}

async fn check_list(
    client: &Client,
    tenant: &Tenant,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<(bool, Vec<Arc<Device>>)> {
    let settings = &tenant.collectors.devices;
    if settings.enabled == Enabled::No {
        writeln!(out, "  devices         off by configuration")?;
        return Ok((true, Vec::new()));
    }
    let found = Mutex::new(Vec::new());
    let take =
        |page: &[Arc<Device>]| found.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(page);
    let types = crate::app::device_types(settings);
    let (outcome, _) = devices::collect(client, &types, Instant::now() + PATIENCE, &take).await;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = format!("{} devices, {} of them run meetings", found.len(), count(&found, Role::Core));
    let state = if outcome.state().is_success() && found.is_empty() {
        CollectorState::Empty
    } else {
        outcome.state()
    };
    Ok((tell(Collector::Devices, state, &summary, &outcome, settings.enabled, out)?, found))
}

/// One batch is enough to see whether the detail answers; the devices that run meetings have most of it.
async fn check_detail(
    client: &Client,
    tenant: &Tenant,
    found: &[Arc<Device>],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let settings = &tenant.collectors.device_health;
    if settings.enabled == Enabled::No {
        writeln!(out, "  device_health   off by configuration")?;
        return Ok(true);
    }
    let mut sample = found.to_vec();
    sample.sort_by_key(|device| device.device_type.role());
    sample.truncate(batch::MAX_ITEMS);
    let details = Mutex::new(0);
    let take = |read: Vec<device_health::Found>| {
        let reported = read.iter().filter(|(_, detail)| detail.is_some()).count();
        *details.lock().unwrap_or_else(PoisonError::into_inner) += reported;
    };
    let outcome = device_health::collect(client, &sample, Instant::now() + PATIENCE, &take).await;
    let details = details.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = format!("{details} of {} devices asked report their health", sample.len());
    tell(Collector::DeviceHealth, outcome.state(), &summary, &outcome, settings.enabled, out)
}

/// One source in words; true if it works or need not.
fn tell(
    collector: Collector,
    state: CollectorState,
    summary: &str,
    outcome: &Outcome,
    enabled: Enabled,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let facts = collector.facts();
    let label = collector.label();
    match state {
        CollectorState::Ok => writeln!(out, "  {label:<15} ok: {summary}")?,
        CollectorState::Partial => writeln!(out, "  {label:<15} in part: {summary}")?,
        _ => writeln!(out, "  {label:<15} FAILED ({}): {}", state.label(), facts.resource)?,
    }
    for (parts, error) in by_error(&outcome.failures) {
        writeln!(out, "                  {}: {error}", parts.join(", "))?;
    }
    if let Some(cure) = cure(state, facts.permission) {
        writeln!(out, "                  to do: {cure}")?;
    }
    if !outcome.skipped.is_empty() {
        writeln!(out, "                  {} records could not be read", outcome.skipped.len())?;
    }
    // The list of devices is the only source of room state: without it there is nothing to export.
    Ok(state.is_success() || (enabled == Enabled::Auto && collector != Collector::Devices))
}

/// The parts that failed alike, in one: a missing permission is one fault, not one for each type of device.
fn by_error(failures: &[(String, Error)]) -> Vec<(Vec<&str>, &Error)> {
    let mut grouped: Vec<(Vec<&str>, &Error)> = Vec::new();
    for (part, error) in failures {
        match grouped.iter_mut().find(|(_, known)| *known == error) {
            Some((parts, _)) => parts.push(part),
            None => grouped.push((vec![part.as_str()], error)),
        }
    }
    grouped
}

/// What an operator can do about a state.
fn cure(state: CollectorState, permission: &str) -> Option<String> {
    Some(match state {
        CollectorState::Forbidden => format!(
            "grant the application permission {permission} (not the delegated one) and have an admin consent; \
             after consent Graph may refuse for up to two hours"
        ),
        CollectorState::Unauthorized => {
            "check tenant, client id and secret; Graph does not accept the token".to_owned()
        }
        CollectorState::Retired => {
            "Microsoft has deprecated this API without a successor; this tenant no longer has it".to_owned()
        }
        CollectorState::Throttled => {
            "wait some minutes; other programs may use the same app registration".to_owned()
        }
        CollectorState::Unreachable => {
            "check name resolution, proxy (HTTPS_PROXY) and firewall towards Graph; if it answers 5xx, wait"
                .to_owned()
        }
        CollectorState::Malformed => {
            "something between here and Graph changes the answers, or Graph has changed".to_owned()
        }
        CollectorState::Empty => {
            "Graph lists no device: check the tenant, and whether rooms are in the Teams admin center"
                .to_owned()
        }
        CollectorState::Partial => {
            "the rest is used; a part that stays broken is Microsoft's to mend".to_owned()
        }
        _ => return None,
    })
}

fn cure_of_sign_in(error: &Error) -> &'static str {
    match error {
        Error::Unauthorized { .. } => "mend the credential named above; the secret is the value, not its ID",
        Error::Unreachable { .. } => {
            "check name resolution, proxy (HTTPS_PROXY) and firewall towards the sign-in host"
        }
        Error::Throttled => "wait some minutes",
        _ => "check the authority; it does not answer as Entra does",
    }
}

fn count(devices: &[Arc<Device>], role: Role) -> usize {
    devices.iter().filter(|device| device.device_type.role() == role).count()
}
