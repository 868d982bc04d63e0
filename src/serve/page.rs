//! The status page: is the exporter reading, how fresh is each source, and which rooms are not well.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::api;
use crate::model::collector::Status;
use crate::model::fleet::{Fleet, FleetRoom};
use crate::model::report;
use crate::model::room::{Judgement, RoomState};
use crate::model::{Snapshot, Span, State, Timestamp};

/// Rooms in the table of each tenant; `/metrics` and `teams-rooms-exporter rooms` have them all.
const MAX_ROOMS: usize = 200;

/// Links of one kind above the table; more would hide it.
const MAX_FILTERS: usize = 40;

/// Between two readings of the page by itself. The filter stays, since it is a part of the address.
const REFRESH_SECONDS: u32 = 30;

const DOCUMENTATION: &str = "https://github.com/teams-rooms-exporter/teams-rooms-exporter/tree/main/docs";

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
nav a { display: inline-block; margin-right: .8rem }
@media (max-width: 40rem) {
  body { margin: 1rem auto; overflow-wrap: anywhere } tr.h { display: none }
  tr, td { display: block } tr { border-bottom: 1px solid var(--line); padding: .4rem 0 }
  td, td.n { border: 0; padding: .05rem 0; text-align: left } td:empty, td.wide { display: none }
  td:first-child, td:first-child + td { display: inline; margin-right: .6rem } p.sum b { display: inline-block }
  td[data-name]::before { content: attr(data-name) ': '; font-weight: 600 }
}
";

/// Something as last made: making it reads every room, and no client may cause that many times a second.
pub struct Cache<T> {
    last: Mutex<Option<(Instant, T)>>,
    /// Held by the one who makes it.
    making: Mutex<()>,
}

/// A person does not see the difference.
const CACHE_FOR: Duration = Duration::from_secs(1);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { last: Mutex::default(), making: Mutex::default() }
    }
}

impl<T: Clone> Cache<T> {
    /// The last result, if it is recent or another thread makes a new one; else a new one that `make` derives from it.
    pub fn get(&self, make: impl FnOnce(Option<T>) -> T) -> T {
        let last = self.last();
        if let Some((at, last)) = &last
            && at.elapsed() < CACHE_FOR
        {
            return last.clone();
        }
        let turn = match (self.making.try_lock(), last) {
            (Ok(turn), _) => turn,
            (Err(TryLockError::WouldBlock), Some((_, last))) => return last,
            (Err(_), _) => self.making.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let before = self.last().filter(|(at, _)| at.elapsed() < CACHE_FOR);
        let (at, fresh) = before.unwrap_or_else(|| {
            let fresh = make(self.last().map(|(_, last)| last));
            (Instant::now(), fresh)
        });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, fresh.clone()));
        drop(turn);
        fresh
    }

    fn last(&self) -> Option<(Instant, T)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
         content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\
         <title>Teams Rooms exporter</title><style>{STYLE}</style></head><body>\
         <h1>Teams Rooms exporter {version}</h1><p><a href=\"{prefix}{path}\">{path}</a> for Prometheus · \
         <a href=\"{prefix}{api}\">{api}</a> for scripts · \
         <a href=\"{prefix}/-/healthy\">/-/healthy</a> · <a href=\"{prefix}/-/ready\">/-/ready</a> · \
         <a href=\"{DOCUMENTATION}\" rel=\"noreferrer\">documentation</a> · {now}</p>",
        prefix = Escaped(&links.prefix),
        path = Escaped(&links.telemetry_path),
        api = api::PATH,
    )?;
    for (number, (name, snapshot)) in tenants.iter().enumerate() {
        write!(page, "<h2>Tenant {}</h2>", Escaped(name))?;
        sources(page, snapshot, now)?;
        rooms(page, number, snapshot, now)?;
    }
    page.push_str("</body></html>\n");
    Ok(())
}

fn sources(page: &mut String, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    page.push_str(
        "<div class=\"wrap\"><table><tr class=\"h\"><th>Source</th><th>State</th><th>Last success</th><th class=\"n\">Records</th>\
         <th class=\"n\">Took</th><th>Read every</th><th>Kept for</th><th>Permission</th></tr>",
    );
    for (collector, status) in snapshot.status.iter() {
        let took = status.duration.map_or_else(String::new, |took| format!("{:.1} s", took.as_secs_f64()));
        write!(
            page,
            "<tr><td>{}</td><td class=\"{}\">{}{}</td><td data-name=\"Last success\">{}</td>\
             <td class=\"n\" data-name=\"Records\">{}</td><td class=\"n wide\">{took}</td>\
             <td class=\"wide\">{}</td><td class=\"wide\">{}</td><td class=\"wide\">{}</td></tr>",
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

fn rooms(page: &mut String, tenant: usize, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
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
        let shown = unwell.get(..MAX_ROOMS).unwrap_or(&unwell);
        let filters = Filters::of(tenant, judged.iter().flat_map(|(room, judgement)| keys(room, judgement)));
        filters.write(page)?;
        page.push_str(
            "<div class=\"wrap\"><table><tr class=\"h\"><th>Room</th><th>State</th><th>Building</th><th>Owner</th>\
             <th>Problems</th></tr>",
        );
        for (room, judgement) in shown {
            row(page, &filters, room, judgement, now)?;
        }
        page.push_str("</table></div>");
        if unwell.len() > MAX_ROOMS {
            write!(page, "<p>... and {} more.</p>", unwell.len() - MAX_ROOMS)?;
        }
    }
    Ok(())
}

fn row(
    page: &mut String,
    filters: &Filters<'_>,
    room: &FleetRoom<'_>,
    judgement: &Judgement,
    now: Timestamp,
) -> fmt::Result {
    let class = if judgement.state == RoomState::Down { "bad" } else { "warn" };
    write!(
        page,
        "<tr class=\"{}\"><td>{}</td><td class=\"{class}\">{}</td><td data-name=\"Building\">{}</td>\
         <td data-name=\"Owner\">{}</td><td>{}</td></tr>",
        filters.classes(keys(room, judgement)),
        Escaped(&room.room.name),
        judgement.state.label(),
        Escaped(room.building().unwrap_or_default()),
        Escaped(room.owner().unwrap_or_default()),
        Problems(now, judgement)
    )
}

/// The filters that a room matches: kind and value.
fn keys<'a>(room: &FleetRoom<'a>, judgement: &Judgement) -> impl Iterator<Item = (&'static str, &'a str)> {
    // The table has no room that is ok.
    let state = Some(("State", judgement.state.label())).filter(|_| judgement.state != RoomState::Ok);
    let building = room.building().map(|building| ("Building", building));
    let owner = room.owner().map(|owner| ("Owner", owner));
    [state, building, owner].into_iter().flatten()
}

/// Links that leave the rows of one value in the table. They work by `:target`, since the page may run no script; untrusted
/// names are in no selector, only their numbers.
struct Filters<'a> {
    tenant: usize,
    values: BTreeMap<(&'static str, &'a str), usize>,
}

impl<'a> Filters<'a> {
    fn of(tenant: usize, keys: impl Iterator<Item = (&'static str, &'a str)>) -> Self {
        let mut values: BTreeMap<_, usize> = keys.map(|key| (key, 0)).collect();
        for (number, of_value) in values.values_mut().enumerate() {
            *of_value = number;
        }
        Self { tenant, values }
    }

    fn write(&self, page: &mut String) -> fmt::Result {
        let tenant = self.tenant;
        for kind in ["State", "Building", "Owner"] {
            let of_kind: Vec<_> =
                self.values.iter().filter(|((of, _), _)| *of == kind).take(MAX_FILTERS).collect();
            if of_kind.len() < 2 {
                continue;
            }
            write!(page, "<nav>{kind}: <a href=\"#all\">all</a>")?;
            for ((_, value), number) in of_kind {
                let id = format!("f{tenant}-{number}");
                write!(
                    page,
                    "<style>body:has(#{id}:target) tr[class^=\"t{tenant} \"]:not(.{id}) {{ display: none }} \
                     #{id}:target {{ font-weight: 600 }}</style><a id=\"{id}\" href=\"#{id}\">{}</a>",
                    Escaped(value)
                )?;
            }
            page.push_str("</nav>");
        }
        Ok(())
    }

    /// `t0 f0-2 f0-7`: the tenant, and the filters that leave the row.
    fn classes(&self, keys: impl Iterator<Item = (&'static str, &'a str)>) -> String {
        let numbers = keys.filter_map(|key| self.values.get(&key));
        numbers.fold(format!("t{}", self.tenant), |classes, number| {
            format!("{classes} f{}-{number}", self.tenant)
        })
    }
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
    fn a_filter_leaves_the_rows_of_its_value() {
        let rows =
            [[("State", "down"), ("Building", "<HQ>")], [("State", "degraded"), ("Building", "Annex")]];
        let filters = Filters::of(1, rows.iter().flatten().copied());
        let mut page = String::new();
        filters.write(&mut page).expect("a String takes everything");
        // Building: Annex, <HQ>; State: degraded, down. Owners there are none.
        for link in ["href=\"#f1-0\">&lt;HQ&gt;<", "href=\"#f1-1\">Annex<", "href=\"#f1-3\">down<"] {
            assert!(page.contains(link), "{link} is not in {page}");
        }
        assert!(page.contains("#f1-3:target) tr[class^=\"t1 \"]:not(.f1-3) { display: none }"), "{page}");
        assert!(!page.contains("Owner") && !page.contains("<HQ>"), "{page}");
        let classes = rows.map(|row| filters.classes(row.into_iter()));
        assert_eq!(classes, ["t1 f1-3 f1-0", "t1 f1-2 f1-1"]);
    }

    #[test]
    fn an_empty_tenant_says_so() {
        let page = html(&[("contoso", Snapshot::default())], Timestamp::from_seconds(0), &Links::default());
        assert!(page.contains("Tenant contoso") && page.contains("No room is known yet."), "{page}");
        assert!(
            page.contains("http-equiv=\"refresh\" content=\"30\"") && page.contains(DOCUMENTATION),
            "{page}"
        );
    }
}
