//! The status page: is the exporter reading, how fresh is each source, and which rooms are not well.

use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::api;
use crate::model::collector::Status;
use crate::model::fleet::Fleet;
use crate::model::report;
use crate::model::room::{Judgement, RoomState};
use crate::model::{Snapshot, Span, State, Timestamp};

/// Rooms in the table of each tenant; `/metrics` and `teams-rooms-exporter rooms` have them all.
const MAX_ROOMS: usize = 200;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --warn: #b26a00; --good: #2e7d32 }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --warn: #ffca60; --good: #81c995 } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2rem } h3 { font-size: 1rem; margin-bottom: .3rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 600; font-size: .85rem } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: var(--bad); font-weight: 600 } .warn { color: var(--warn); font-weight: 600 } .good { color: var(--good) }
small { display: block; font-weight: 400; max-width: 28rem }
.wrap { overflow-x: auto } p.sum b { margin-right: 1.2rem } a { color: inherit }
";

/// Something as last made: it looks at every room, and nobody may make that happen many times a second.
pub struct Cache<T>(Mutex<Option<(Instant, T)>>);

/// A person does not see the difference.
const CACHE_FOR: Duration = Duration::from_secs(1);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Cache<T> {
    pub fn get(&self, make: impl FnOnce() -> T) -> T {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some((at, cached)) if at.elapsed() < CACHE_FOR => cached.clone(),
            _ => {
                let fresh = make();
                *cached = Some((Instant::now(), fresh.clone()));
                fresh
            }
        }
    }
}

/// The paths that the page links to, as a browser reaches them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The path of `--web.external-url`, without a slash at its end: a proxy takes it off again.
    pub prefix: String,
    pub telemetry_path: String,
}

/// The page for the tenants, by name, at `now`.
pub fn html(tenants: &[(&str, Snapshot)], now: Timestamp, links: &Links) -> String {
    let mut page = String::new();
    write(&mut page, tenants, now, links).expect("a String takes everything");
    page
}

fn write(page: &mut String, tenants: &[(&str, Snapshot)], now: Timestamp, links: &Links) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Teams Rooms exporter</title><style>{STYLE}</style></head><body>\
         <h1>Teams Rooms exporter {version}</h1><p><a href=\"{prefix}{path}\">{path}</a> for Prometheus · \
         <a href=\"{prefix}{api}\">{api}</a> for scripts · \
         <a href=\"{prefix}/-/healthy\">/-/healthy</a> · <a href=\"{prefix}/-/ready\">/-/ready</a> · {now}</p>",
        prefix = Escaped(&links.prefix),
        path = Escaped(&links.telemetry_path),
        api = api::PATH,
    )?;
    for (name, snapshot) in tenants {
        write!(page, "<h2>Tenant {}</h2>", Escaped(name))?;
        sources(page, snapshot, now)?;
        rooms(page, snapshot, now)?;
    }
    page.push_str("</body></html>\n");
    Ok(())
}

fn sources(page: &mut String, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    page.push_str(
        "<div class=\"wrap\"><table><tr><th>Source</th><th>State</th><th>Last success</th><th class=\"n\">Records</th>\
         <th class=\"n\">Took</th><th>Read every</th><th>Kept for</th><th>Permission</th></tr>",
    );
    for (collector, status) in snapshot.status.iter() {
        let took = status.duration.map_or_else(String::new, |took| format!("{:.1} s", took.as_secs_f64()));
        write!(
            page,
            "<tr><td>{}</td><td class=\"{}\">{}{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{took}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            collector.label(),
            source_class(status),
            status.state.label(),
            Because(status.reason.as_deref()),
            Ago(now, status.last_success),
            status.items,
            Span(status.interval),
            Span(status.expiry),
            collector.facts().permission(),
        )?;
    }
    page.push_str("</table></div>");
    Ok(())
}

fn source_class(status: &Status) -> &'static str {
    use crate::model::collector::CollectorState::{Disabled, Ok, Partial, Paused, Starting};
    match status.state {
        Ok => "good",
        Starting | Paused | Disabled => "",
        Partial => "warn",
        _ => "bad",
    }
}

fn rooms(page: &mut String, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    let fleet = Fleet::at(snapshot, now);
    let judged = report::judged(&fleet);
    let count = |state| judged.iter().filter(|(_, judgement)| judgement.state == state).count();
    write!(
        page,
        "<h3>Rooms</h3><p class=\"sum\"><b>{} rooms</b> <b class=\"bad\">{} down</b> <b class=\"warn\">{} degraded</b> \
         <b>{} unknown</b> <b class=\"good\">{} ok</b></p>",
        judged.len(),
        count(RoomState::Down),
        count(RoomState::Degraded),
        count(RoomState::Unknown),
        count(RoomState::Ok),
    )?;
    let unwell: Vec<_> = judged.iter().filter(|(_, judgement)| judgement.state != RoomState::Ok).collect();
    if judged.is_empty() {
        page.push_str("<p>No room is known yet.</p>");
    } else if unwell.is_empty() {
        page.push_str("<p>Nothing is wrong.</p>");
    } else {
        page.push_str("<div class=\"wrap\"><table><tr><th>Room</th><th>State</th><th>Problems</th></tr>");
        for (room, judgement) in unwell.iter().take(MAX_ROOMS) {
            let class = if judgement.state == RoomState::Down { "bad" } else { "warn" };
            write!(
                page,
                "<tr><td>{}</td><td class=\"{class}\">{}</td><td>{}</td></tr>",
                Escaped(&room.room.name),
                judgement.state.label(),
                Problems(now, judgement)
            )?;
        }
        page.push_str("</table></div>");
        if unwell.len() > MAX_ROOMS {
            write!(page, "<p>... and {} more.</p>", unwell.len() - MAX_ROOMS)?;
        }
    }
    Ok(())
}

/// `room_camera for 2h 5m, exchange_login`
struct Problems<'a>(Timestamp, &'a Judgement);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.1.problems.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", Escaped(&problem.name))?;
            if let Some(since) = problem.since {
                write!(f, " for {}", Span(self.0.since(since)))?;
            }
        }
        Ok(())
    }
}

/// Why a source fails, under its state.
struct Because<'a>(Option<&'a str>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(f, "<small>{}</small>", Escaped(reason)))
    }
}

struct Ago(Timestamp, Option<Timestamp>);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(then) => write!(f, "{} ago", Span(self.0.since(then))),
            None => f.write_str("never"),
        }
    }
}

/// Names come from strangers.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_the_page() {
        assert_eq!(Escaped("<b>\"R&D\"'s</b>").to_string(), "&lt;b&gt;&quot;R&amp;D&quot;&#39;s&lt;/b&gt;");
    }

    #[test]
    fn an_empty_tenant_says_so() {
        let page = html(&[("contoso", Snapshot::default())], Timestamp::from_seconds(0), &Links::default());
        assert!(page.contains("Tenant contoso") && page.contains("No room is known yet."), "{page}");
    }
}
