//! `check`: does sign-in work, what does each source answer, and what is to be done, in words.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::collectors::licenses::Skus;
use crate::collectors::{
    Outcome, accounts, device_health, devices, licenses, places, presence, service_health,
};
use crate::commands::client;
use crate::config::{Config, Enabled, Tenant};
use crate::graph::{Client, Error, batch};
use crate::model::account::User;
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
    let found = check_list(&client, tenant, out).await?;
    let mut sources = vec![found.checked];
    sources.push(check_detail(&client, tenant, &found.devices, out).await?);
    sources.push(check_places(&client, tenant, out).await?);
    let (checked, users) = check_accounts(&client, tenant, clock, out).await?;
    sources.push(checked);
    sources.push(check_presence(&client, tenant, &found.devices, &users, out).await?);
    sources.push(check_service_health(&client, tenant, out).await?);
    let required = sources.iter().all(|source| source.works != Some(false) || source.enabled != Enabled::Yes);
    let tells = |source: &Checked| source.collector.tells_room_state() && source.works == Some(true);
    if !sources.iter().any(tells) {
        writeln!(out, "  no source tells whether rooms are up: neither devices nor presence")?;
        return Ok(false);
    }
    Ok(required)
}

/// What became of one source; it does not work or fail where it is off or there was nothing to ask.
struct Checked {
    collector: Collector,
    enabled: Enabled,
    works: Option<bool>,
}

/// The list of devices, and how it went.
struct Found {
    checked: Checked,
    devices: Vec<Arc<Device>>,
}

async fn check_list(client: &Client, tenant: &Tenant, out: &mut (dyn Write + Send)) -> anyhow::Result<Found> {
    let settings = &tenant.collectors.devices;
    if settings.enabled == Enabled::No {
        let checked = tell_off(Collector::Devices, "off by configuration", settings.enabled, out)?;
        return Ok(Found { checked, devices: Vec::new() });
    }
    let found = Mutex::new(Vec::new());
    let take =
        |page: &[Arc<Device>]| found.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(page);
    let types = crate::app::device_types(settings);
    let (outcome, _) = devices::collect(client, &types, Instant::now() + PATIENCE, &take).await;
    let devices = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = format!("{} devices, {} of them run meetings", devices.len(), count(&devices, Role::Core));
    let checked = tell(Collector::Devices, devices.len(), &summary, &outcome, settings.enabled, out)?;
    Ok(Found { checked, devices })
}

/// One batch is enough to see whether the detail answers; the devices that run meetings have most of it.
async fn check_detail(
    client: &Client,
    tenant: &Tenant,
    found: &[Arc<Device>],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    let enabled = tenant.collectors.device_health.enabled;
    if enabled == Enabled::No || found.is_empty() {
        let why =
            if enabled == Enabled::No { "off by configuration" } else { "not asked: there is no device" };
        return tell_off(Collector::DeviceHealth, why, enabled, out);
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
    tell(Collector::DeviceHealth, details, &summary, &outcome, enabled, out)
}

async fn check_places(
    client: &Client,
    tenant: &Tenant,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    let enabled = tenant.collectors.places.enabled;
    if enabled == Enabled::No {
        return tell_off(Collector::Places, "off by configuration", enabled, out);
    }
    let (outcome, places) = places::collect(client, &tenant.room_lists, Instant::now() + PATIENCE).await;
    let homeless = places.iter().filter(|place| place.building.is_none()).count();
    let summary = format!("{} rooms, {homeless} of them without a building", places.len());
    tell(Collector::Places, places.len(), &summary, &outcome, enabled, out)
}

/// The licences, and the accounts that have one.
async fn check_accounts(
    client: &Client,
    tenant: &Tenant,
    clock: &Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<(Checked, Vec<User>)> {
    let enabled = tenant.collectors.accounts.enabled;
    if enabled == Enabled::No {
        return Ok((tell_off(Collector::Accounts, "off by configuration", enabled, out)?, Vec::new()));
    }
    let (skus, deadline) = (Skus::new(&tenant.collectors.skus), Instant::now() + PATIENCE);
    let (of_licenses, products) = licenses::collect(client, &skus, clock.now(), deadline).await;
    let ids: Vec<Arc<str>> = match &products {
        Some(products) => products.iter().map(|product| product.id.clone()).collect(),
        None => skus.for_rooms().cloned().collect(),
    };
    let (of_users, users) = accounts::licensed(client, &ids, &skus, deadline).await;
    let disabled = users.iter().filter(|user| user.account.enabled == Some(false)).count();
    let products = products.map_or(0, |products| products.len());
    let summary = format!(
        "{} accounts with a licence for rooms, {disabled} of them disabled; {products} products for rooms",
        users.len()
    );
    let outcome = of_licenses.and(of_users);
    let checked = tell(Collector::Accounts, users.len() + products, &summary, &outcome, enabled, out)?;
    Ok((checked, users))
}

/// Asks for the accounts that are signed in on the devices that run meetings, and those with a licence for rooms.
async fn check_presence(
    client: &Client,
    tenant: &Tenant,
    found: &[Arc<Device>],
    users: &[User],
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    let enabled = tenant.collectors.presence.enabled;
    let core = found.iter().filter(|device| device.device_type.role() == Role::Core);
    let signed_in =
        core.filter_map(|device| Some(device.account.as_ref()?.id.as_ref()?.to_lowercase().into()));
    let ids: BTreeSet<Arc<str>> = signed_in.chain(users.iter().map(|user| user.object_id.clone())).collect();
    let ids: Vec<Arc<str>> = ids.into_iter().collect();
    if enabled == Enabled::No || ids.is_empty() {
        let why = if enabled == Enabled::No {
            "off by configuration"
        } else {
            "not asked: no room account is known"
        };
        return tell_off(Collector::Presence, why, enabled, out);
    }
    let shown = Mutex::new(0);
    let take = |presences: Vec<_>| *shown.lock().unwrap_or_else(PoisonError::into_inner) += presences.len();
    let outcome = presence::collect(client, &ids, Instant::now() + PATIENCE, &take).await;
    let shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = format!("{shown} of {} room accounts show a presence", ids.len());
    tell(Collector::Presence, shown, &summary, &outcome, enabled, out)
}

async fn check_service_health(
    client: &Client,
    tenant: &Tenant,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    let enabled = tenant.collectors.service_health.enabled;
    if enabled == Enabled::No {
        return tell_off(Collector::ServiceHealth, "off by configuration", enabled, out);
    }
    let (outcome, products) = service_health::collect(client, Instant::now() + PATIENCE).await;
    let states = products.iter().map(|(product, health)| format!("{product} is {}", health.state.label()));
    let summary = states.collect::<Vec<_>>().join(", ");
    tell(Collector::ServiceHealth, products.len(), &summary, &outcome, enabled, out)
}

fn tell_off(
    collector: Collector,
    why: &str,
    enabled: Enabled,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    writeln!(out, "  {:<15} {why}", collector.label())?;
    Ok(Checked { collector, enabled, works: None })
}

/// One source in words.
fn tell(
    collector: Collector,
    items: usize,
    summary: &str,
    outcome: &Outcome,
    enabled: Enabled,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Checked> {
    let (facts, label) = (collector.facts(), collector.label());
    let state = match outcome.state() {
        state if state.is_success() && items == 0 && collector.must_have_items() => CollectorState::Empty,
        state => state,
    };
    match state {
        CollectorState::Ok => writeln!(out, "  {label:<15} ok: {summary}; Graph is {} behind", facts.lag)?,
        CollectorState::Partial => writeln!(out, "  {label:<15} in part: {summary}")?,
        _ => writeln!(out, "  {label:<15} FAILED ({}): {}", state.label(), facts.resource)?,
    }
    for (parts, error) in by_error(&outcome.failures) {
        writeln!(out, "                  {}: {error}", parts.join(", "))?;
    }
    let refused = outcome.failures.iter().any(|(_, error)| matches!(error, Error::Forbidden { .. }));
    let to_cure = if refused { CollectorState::Forbidden } else { state };
    if let Some(cure) = cure(collector, to_cure) {
        writeln!(out, "                  to do: {cure}")?;
    }
    if !outcome.skipped.is_empty() {
        writeln!(out, "                  {} records could not be read", outcome.skipped.len())?;
    }
    Ok(Checked { collector, enabled, works: Some(state.is_success()) })
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
fn cure(collector: Collector, state: CollectorState) -> Option<String> {
    let permission = collector.facts().permission;
    Some(match state {
        CollectorState::Forbidden => format!(
            "grant the application permission {permission} (not the delegated one) and have an admin consent; \
             after consent Graph may refuse for up to two hours"
        ),
        CollectorState::Unauthorized => {
            "check tenant, client id and secret; Graph does not accept the token".to_owned()
        }
        CollectorState::Retired if !matches!(collector, Collector::Devices | Collector::DeviceHealth) => {
            "this tenant or cloud does not offer it; set `enabled: false` for this source".to_owned()
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
            "Graph answers with nothing in it: check the tenant, and whether rooms are in the Teams admin center"
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
