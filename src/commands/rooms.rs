//! `rooms`: every room with its state and what is wrong, once, in the terminal.

use std::io::{self, Write};
use std::sync::Arc;

use crate::clock::Clock;
use crate::commands::{Reader, reader};
use crate::config::{Config, Tenant};
use crate::input::shown;
use crate::model::collector::CollectorState;
use crate::model::device::{Device, Health};
use crate::model::report::{self, ProblemReport, RoomReport};
use crate::model::{Snapshot, Span, State, Timestamp};

/// How the rooms are printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Table,
    Json,
    Csv,
}

/// Reads all tenants once and prints their rooms, the worst first; false if a tenant could not be read.
pub async fn run(
    config: &Config,
    form: Form,
    clock: &Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<bool> {
    let mut rooms = Vec::new();
    let mut good = true;
    for tenant in &config.tenants {
        let Reader { poller, store } = reader(tenant, clock)?;
        poller.once(unwell).await;
        let snapshot = store.snapshot();
        good &= report_sources(tenant, &snapshot);
        rooms.extend(report::rooms(&tenant.name, &snapshot, clock.now()));
    }
    print(&rooms, form, clock.now(), out)?;
    Ok(good)
}

/// The detail of a healthy device has nothing to tell here.
fn unwell(devices: Vec<Arc<Device>>) -> Vec<Arc<Device>> {
    devices.into_iter().filter(|device| device.health != Health::Healthy).collect()
}

/// Logs each source that could not be read, because its part of the table is missing. False if no source shows whether rooms
/// are up.
fn report_sources(tenant: &Tenant, snapshot: &Snapshot) -> bool {
    let mut all = snapshot.status.iter();
    let tells = all.any(|(collector, status)| collector.tells_room_state() && status.state.is_success());
    for (collector, status) in snapshot.status.iter() {
        let is_missed = could_not_be_read(status.state) || (!tells && collector.tells_room_state());
        if is_missed && !status.state.is_success() {
            let (state, reason) = (status.state.label(), status.reason.as_deref());
            tracing::error!(tenant = tenant.name, collector = collector.label(), state, reason, "not read");
        }
    }
    tells
}

/// A source without permission is disabled, one without rooms to ask for has not started, and one may have nothing to report.
fn could_not_be_read(state: CollectorState) -> bool {
    use CollectorState::{Disabled, Empty, Frozen, Paused, Starting};
    !(state.is_success() || matches!(state, Disabled | Starting | Empty | Frozen | Paused))
}

fn print(rooms: &[RoomReport], form: Form, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Json => {
            writeln!(out, "{}", shown::escaped_json(&serde_json::to_string_pretty(rooms)?))
        }
        Form::Csv => {
            writeln!(out, "tenant,room,room_id,state,in_use,devices,problems")?;
            rooms.iter().try_for_each(|room| {
                let cells = cells(room, now).map(|cell| quoted(&cell));
                writeln!(out, "{}", cells.join(","))
            })
        }
        Form::Table => table(rooms, now, out),
    }
}

fn table(rooms: &[RoomReport], now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let head = ["TENANT", "ROOM", "ROOM ID", "STATE", "IN USE", "DEVICES", "PROBLEMS"].map(str::to_owned);
    let rows = rooms.iter().map(|room| cells(room, now));
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
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

fn cells(room: &RoomReport, now: Timestamp) -> [String; 7] {
    let in_use = room.in_use.map_or("", |in_use| if in_use { "yes" } else { "no" });
    let problem = |one: &ProblemReport| match one.since {
        Some(since) => format!("{} for {}", one.problem, Span(now.since(since))),
        None => one.problem.clone(),
    };
    [
        room.tenant.to_string(),
        shown::Line(&room.room).to_string(),
        shown::Line(&room.room_id).to_string(),
        room.state.to_owned(),
        in_use.to_owned(),
        room.devices.len().to_string(),
        room.problems.iter().map(problem).collect::<Vec<_>>().join(", "),
    ]
}

/// A CSV cell (RFC 4180). One that a spreadsheet would take for a formula is made a text; some take the wide signs, too.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        "'"
    } else {
        ""
    };
    let special = cell.contains(['"', ',', '\n', '\r']);
    if special { format!("\"{guard}{}\"", cell.replace('"', "\"\"")) } else { format!("{guard}{cell}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: Form) -> String {
        printed_as(form, "Oslo \"3\", big")
    }

    fn printed_as(form: Form, name: &str) -> String {
        let now = Timestamp::from_seconds(1_795_244_591);
        let problem = |name: &str, since| ProblemReport { problem: name.to_owned(), area: "room", since };
        let two_hours_ago = Some(Timestamp::from_seconds(now.seconds() - 7200));
        let room = |name: &str, problems| RoomReport {
            tenant: "contoso".into(),
            room: name.into(),
            room_id: "oslo@contoso.example".into(),
            state: "degraded",
            in_use: Some(true),
            problems,
            ..RoomReport::default()
        };
        let problems = vec![problem("room_camera", two_hours_ago), problem("panel", None)];
        let rooms = [room(name, problems), room("=cmd()", vec![])];
        let mut out = Vec::new();
        print(&rooms, form, now, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn tables_line_up() {
        assert_eq!(
            printed(Form::Table),
            "TENANT   ROOM           ROOM ID               STATE     IN USE  DEVICES  PROBLEMS\n\
             contoso  Oslo \"3\", big  oslo@contoso.example  degraded  yes     0        room_camera for 2h, panel\n\
             contoso  =cmd()         oslo@contoso.example  degraded  yes     0\n"
        );
    }

    #[test]
    fn csv_survives_commas_quotes_and_spreadsheets() {
        assert_eq!(
            printed(Form::Csv),
            "tenant,room,room_id,state,in_use,devices,problems\n\
             contoso,\"Oslo \"\"3\"\", big\",oslo@contoso.example,degraded,yes,0,\"room_camera for 2h, panel\"\n\
             contoso,'=cmd(),oslo@contoso.example,degraded,yes,0,\n"
        );
    }

    #[test]
    fn no_form_lets_names_act_on_a_terminal() {
        for form in [Form::Table, Form::Csv, Form::Json] {
            let plain = printed(form).matches('\n').count();
            let hostile = printed_as(form, "Oslo\u{1b}[2J\n\r\u{9b}31m\u{202e}\u{7f}");
            assert_eq!(hostile.matches(shown::acts).count(), plain, "{hostile:?}");
        }
    }

    #[test]
    fn json_is_json() {
        let rows: serde_json::Value = serde_json::from_str(&printed(Form::Json)).expect("JSON");
        let problem = &rows[0]["problems"][0];
        assert_eq!(problem["problem"], "room_camera");
        assert_eq!(problem["since"], "2026-11-21T05:03:11Z");
    }
}
