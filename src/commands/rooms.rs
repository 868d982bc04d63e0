//! `rooms`: every room with its state and what is wrong, once, in the terminal.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::collectors::{device_health, devices};
use crate::commands::{client, once};
use crate::config::{Config, Tenant};
use crate::model::collector::Collector;
use crate::model::device::Health;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::privacy::Privacy;
use crate::model::room::Judgement;
use crate::model::{Snapshot, Span, State};
use crate::store::Store;

/// How the rooms are printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Table,
    Json,
    Csv,
}

/// One room, as printed.
#[derive(Serialize)]
struct Row {
    tenant: String,
    room: String,
    room_id: String,
    state: &'static str,
    in_use: Option<bool>,
    /// Each with its age, where that is known.
    problems: Vec<String>,
    devices: usize,
}

/// 10,000 devices are listed in some 10 s; a throttled tenant takes longer.
const PATIENCE: Duration = Duration::from_mins(10);

/// Reads all tenants once and prints their rooms, the worst first; false if a tenant could not be read.
pub async fn run(
    config: &Config,
    form: Form,
    clock: &Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    let mut good = true;
    for tenant in &config.tenants {
        match read(tenant, clock).await? {
            Some(snapshot) => rows.extend(rows_of(tenant, &snapshot, clock)),
            None => good = false,
        }
    }
    print(&rows, form, out)?;
    Ok(good)
}

/// The list of devices, and the detail of those that are not healthy; the log says why there is none.
async fn read(tenant: &Tenant, clock: &Clock) -> anyhow::Result<Option<Snapshot>> {
    let client = client(tenant, clock)?;
    let status = Arc::new([once(Collector::Devices), once(Collector::DeviceHealth)].into_iter().collect());
    let store = Store::new(Snapshot { status, privacy: privacy(tenant), ..Snapshot::default() });
    let take = |page: &[_]| {
        store.take_devices(page, crate::app::trust(tenant), clock.now());
    };
    let deadline = Instant::now() + PATIENCE;
    let types = crate::app::device_types(&tenant.collectors.devices);
    let (outcome, _) = devices::collect(&client, &types, deadline, &take).await;
    for (part, error) in &outcome.failures {
        tracing::error!(tenant = tenant.name, part, %error, "not read");
    }
    if !outcome.state().is_success() {
        return Ok(None);
    }
    let listing = store.snapshot().devices;
    let unwell =
        listing.rows.values().map(|row| &row.device).filter(|device| device.health != Health::Healthy);
    let unwell: Vec<_> = unwell.cloned().collect();
    let take = |found| {
        store.take_details(found, clock.now());
    };
    let outcome = device_health::collect(&client, &unwell, deadline, &take).await;
    if let Some((_, error)) = outcome.failures.first() {
        tracing::warn!(tenant = tenant.name, %error, failed = outcome.failures.len(), "some details are missing");
    }
    Ok(Some(store.snapshot()))
}

/// Places are not read here, so that small rooms are not known: where their use is private, that of all is.
fn privacy(tenant: &Tenant) -> Privacy {
    let Privacy { usage, min_capacity } = tenant.privacy;
    Privacy { usage: usage && min_capacity == 0, min_capacity }
}

fn rows_of(tenant: &Tenant, snapshot: &Snapshot, clock: &Clock) -> Vec<Row> {
    let now = clock.now();
    let fleet = Fleet::at(snapshot, now);
    let mut judged: Vec<(&FleetRoom<'_>, Judgement)> =
        fleet.rooms.iter().map(|room| (room, Judgement::of(&fleet, room))).collect();
    judged.sort_by_key(|(room, judgement)| (judgement.state.rank(), room.room.name.clone()));
    let row = |(room, judgement): (&FleetRoom<'_>, Judgement)| Row {
        tenant: tenant.name.clone(),
        room: room.room.name.to_string(),
        room_id: room.room.id.to_string(),
        state: judgement.state.label(),
        in_use: fleet.in_use(room),
        problems: judgement
            .problems
            .iter()
            .map(|problem| match problem.since {
                Some(since) => format!("{} for {}", problem.name, Span(now.since(since))),
                None => problem.name.clone(),
            })
            .collect(),
        devices: fleet.members(room).count(),
    };
    judged.into_iter().map(row).collect()
}

fn print(rows: &[Row], form: Form, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, rows)?;
            writeln!(out)
        }
        Form::Csv => {
            writeln!(out, "tenant,room,room_id,state,in_use,devices,problems")?;
            rows.iter().try_for_each(|row| {
                let cells = cells(row).map(|cell| quoted(&cell));
                writeln!(out, "{}", cells.join(","))
            })
        }
        Form::Table => table(rows, out),
    }
}

fn table(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let head = ["TENANT", "ROOM", "ROOM ID", "STATE", "IN USE", "DEVICES", "PROBLEMS"].map(str::to_owned);
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or_default()).collect();
    for line in &lines {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn cells(row: &Row) -> [String; 7] {
    let in_use = row.in_use.map_or("", |in_use| if in_use { "yes" } else { "no" });
    [
        row.tenant.clone(),
        row.room.clone(),
        row.room_id.clone(),
        row.state.to_owned(),
        in_use.to_owned(),
        row.devices.to_string(),
        row.problems.join(", "),
    ]
}

/// A CSV cell (RFC 4180). One that a spreadsheet would take for a formula is made a text.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    let special = cell.contains(['"', ',', '\n', '\r']);
    if special { format!("\"{guard}{}\"", cell.replace('"', "\"\"")) } else { format!("{guard}{cell}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: Form) -> String {
        let row = |room: &str, problems: &[&str]| Row {
            tenant: "contoso".to_owned(),
            room: room.to_owned(),
            room_id: "oslo@contoso.example".to_owned(),
            state: "degraded",
            in_use: Some(true),
            problems: problems.iter().map(ToString::to_string).collect(),
            devices: 2,
        };
        let rows = [row("Oslo \"3\", big", &["room_camera for 2h", "panel"]), row("=cmd()", &[])];
        let mut out = Vec::new();
        print(&rows, form, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tables_line_up() {
        assert_eq!(
            printed(Form::Table),
            "TENANT   ROOM           ROOM ID               STATE     IN USE  DEVICES  PROBLEMS\n\
             contoso  Oslo \"3\", big  oslo@contoso.example  degraded  yes     2        room_camera for 2h, panel\n\
             contoso  =cmd()         oslo@contoso.example  degraded  yes     2\n"
        );
    }

    #[test]
    fn csv_survives_commas_quotes_and_spreadsheets() {
        assert_eq!(
            printed(Form::Csv),
            "tenant,room,room_id,state,in_use,devices,problems\n\
             contoso,\"Oslo \"\"3\"\", big\",oslo@contoso.example,degraded,yes,2,\"room_camera for 2h, panel\"\n\
             contoso,'=cmd(),oslo@contoso.example,degraded,yes,2,\n"
        );
    }

    #[test]
    fn json_is_json() {
        let rows: serde_json::Value = serde_json::from_str(&printed(Form::Json)).expect("JSON");
        assert_eq!(rows[0]["problems"][0], "room_camera for 2h");
    }
}
