//! `check --capture`: reads each source once, and writes the answers of Graph without the tenant's data.
//!
//! It prints no name, id or address either: what it prints may stand next to the capture in a public issue.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::capture::{self, Answer, Capture, Key, Secret, Settings, files};
use crate::clock::Clock;
use crate::collectors::{evidence, licenses};
use crate::commands::{Reader, reader};
use crate::config::{Config, Tenant};
use crate::graph::record::{Recorded, Recorder};
use crate::model::State;
use crate::model::Timestamp;
use crate::model::device::Device;
use crate::poll::Poller;

/// The capture that the user asks for. Its ids and secret replace those of the tenant, so that a replay accepts them.
#[derive(Clone, Copy)]
pub struct Order<'o> {
    /// A new or empty directory.
    pub directory: &'o Path,
    /// The name of the tenant, if several are configured.
    pub tenant: Option<&'o str>,
    pub key: Key,
    pub tenant_id: &'o str,
    pub client_id: &'o str,
    pub secret: &'o str,
}

/// Devices whose detail is read. A thousand show all forms there are, and take a minute.
const MOST_DETAILS: usize = 1000;

/// The page where users share captures.
const ISSUES: &str = "https://github.com/teams-rooms-exporter/teams-rooms-exporter/issues";

/// Draws the key of a capture.
pub fn draw_key() -> anyhow::Result<Key> {
    let key = ring::rand::generate(&ring::rand::SystemRandom::new());
    Ok(key.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?.expose())
}

/// Captures one tenant; `None` if there is nothing to write.
pub async fn run(
    config: &Config,
    clock: &Clock,
    order: Order<'_>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Option<Capture>> {
    let place = || format!("--capture {}", order.directory.display());
    files::check(order.directory).with_context(place)?;
    let tenant = choose(&config.tenants, order.tenant)?;
    let Reader { mut poller, store } = reader(tenant, clock)?;
    let (recorder, moment) = (Arc::new(Recorder::default()), clock.now());
    poller.client.record(recorder.clone());
    if let Err(error) = poller.client.sign_in().await {
        writeln!(
            out,
            "sign-in FAILED: {error}\nnothing is captured; `check` without --capture says what to do"
        )?;
        return Ok(None);
    }
    poller.once(first_details).await;
    for (collector, status) in store.snapshot().status.iter() {
        writeln!(out, "{:<15} {}", collector.label(), status.state.label())?;
    }
    let capture = scrubbed(&recorder.take(), moment, tenant, &poller, order);
    if capture.is_empty() {
        writeln!(out, "\nGraph answered nothing; nothing is written")?;
        return Ok(None);
    }
    write!(out, "\nthis is kept, everything else is replaced:\n\n{}", capture.summary)?;
    out.flush()?;
    files::write(&capture, order.directory).with_context(place)?;
    report(&capture, order.directory, out)?;
    Ok(Some(capture))
}

fn choose<'t>(tenants: &'t [Tenant], name: Option<&str>) -> anyhow::Result<&'t Tenant> {
    match (tenants, name) {
        ([tenant], None) => Ok(tenant),
        (_, None) => {
            anyhow::bail!("several tenants are configured; --tenant NAME chooses the one to capture")
        }
        (_, Some(name)) => tenants
            .iter()
            .find(|tenant| tenant.name == name)
            .with_context(|| format!("--tenant: `{name}` is not a configured tenant")),
    }
}

/// The devices that run meetings first.
fn first_details(mut devices: Vec<Arc<Device>>) -> Vec<Arc<Device>> {
    devices.sort_by_key(|device| device.device_type.role());
    devices.truncate(MOST_DETAILS);
    devices
}

fn scrubbed(
    recorded: &Recorded,
    moment: Timestamp,
    tenant: &Tenant,
    poller: &Poller,
    order: Order<'_>,
) -> Capture {
    let answers: Vec<Answer<'_>> = recorded.answers.iter().map(answer).collect();
    let own = [(poller.client.client_id(), order.client_id), (&tenant.tenant_id, order.tenant_id)];
    let begins_with = |start: &str| poller.client.secret_begins_with(start);
    let settings = Settings {
        key: order.key,
        moment: moment.seconds(),
        root: tenant.graph.to_string(),
        stand_ins: own.map(|(own, instead)| (own.to_owned(), instead.to_owned())).into(),
        public_ids: licenses::known_ids().map(str::to_owned).collect(),
        secret: Secret { begins_with: &begins_with, instead: order.secret.to_owned() },
    };
    capture::assemble(&answers, recorded.left_out, settings)
}

fn answer(recorded: &crate::graph::record::Answer) -> Answer<'_> {
    Answer {
        operation: recorded.operation,
        method: recorded.method,
        path: &recorded.path,
        status: recorded.status,
        body: &recorded.body,
    }
}

/// Prints the directory, and the members that no capture showed before.
fn report(capture: &Capture, directory: &Path, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let (files, directory) = (capture.files.len() + 1, directory.display());
    writeln!(out, "written: {files} files in {directory}; look through them, then pack the directory")?;
    let sources = capture.summary.sources.values();
    let seen = sources.flat_map(|source| &source.members);
    let first = evidence::first_seen(seen.map(|(path, member)| (path.as_str(), member.as_str())));
    if !first.is_empty() {
        writeln!(out, "\nseen for the first time in a tenant, so far known from documentation alone:")?;
    }
    for (resource, member) in &first {
        writeln!(out, "  {resource}.{member}")?;
    }
    writeln!(out, "\nplease share the capture: {ISSUES}")?;
    Ok(())
}
