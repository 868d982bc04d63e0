//! The list of devices: filter, pages and links.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Document, record, write};
use crate::sim::faults::Kind;
use crate::sim::odata::{self, Filter};
use crate::sim::pages;
use crate::sim::reply::Reply;
use crate::sim::routes::Call;
use crate::sim::spoil;
use crate::sim::world::{DEVICE_TYPES, Entry};

/// Microsoft's default and limit of `$top`.
const DEFAULT_TOP: usize = 20;
const MOST_TOP: usize = 50;

/// The properties Microsoft documents for `$filter`.
const FILTERABLE: [&str; 3] = ["deviceType", "hardwareDetail/uniqueId", "currentUser/id"];

/// Where a page begins: its number from 0, and the place in the order of all devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    page: usize,
    from: usize,
}

/// One page and where the next one begins.
struct Page {
    entries: Vec<Entry>,
    next: Option<Position>,
}

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, Reply> {
    let top = top(call)?;
    let filter = filter(call)?;
    let position = position(call)?;
    break_down(call, filter.as_ref(), position)?;
    let mut page = page(call, filter.as_ref(), position, top);
    let count = lose_rows(call, filter.as_ref(), &mut page);
    let mut rows = Vec::new();
    for entry in &page.entries {
        let mut row = write(call, entry, Document::Device);
        odata::select(&mut row, call.query.get("$select"), record::PROPERTIES)?;
        rows.push(spoil::row(call, entry.id, row));
    }
    spoil::rows(call, &mut rows);
    Ok(Reply::json(body(call, position, page.next, count, rows)))
}

/// Takes away the rows at the end, and the link; gives the count of all, which a short list still has.
fn lose_rows(call: &Call<'_>, filter: Option<&Filter>, page: &mut Page) -> Option<usize> {
    let lost = pages::lost_rows(call, page.entries.len())?;
    page.entries.truncate(page.entries.len() - lost);
    page.next = None;
    Some(matching(call, filter))
}

fn matching(call: &Call<'_>, filter: Option<&Filter>) -> usize {
    call.tenant.world.entries().iter().filter(|entry| is_listed(call, filter, entry)).count()
}

fn top(call: &Call<'_>) -> Result<usize, Reply> {
    let Some(text) = call.query.get("$top") else { return Ok(DEFAULT_TOP) };
    match text.parse() {
        Ok(1..=MOST_TOP) => Ok(text.parse().unwrap_or(DEFAULT_TOP)),
        Ok(0) | Err(_) => {
            Err(Reply::bad_request(format!("Invalid value '{text}' for $top query option found.")))
        }
        Ok(_) => Err(Reply::bad_request("The limit of '50' for Top query has been exceeded.")),
    }
}

fn filter(call: &Call<'_>) -> Result<Option<Filter>, Reply> {
    let Some(text) = call.query.get("$filter") else { return Ok(None) };
    let filter = Filter::parse(text)?;
    for (property, value) in filter.comparisons() {
        if !FILTERABLE.contains(&property) {
            return Err(Reply::bad_request(format!("Filter on property '{property}' is not supported.")));
        }
        let known = DEVICE_TYPES.iter().any(|known| known.eq_ignore_ascii_case(value));
        if property == "deviceType" && !known {
            return Err(Reply::bad_request(format!(
                "Invalid filter clause: '{value}' is no teamworkDeviceType."
            )));
        }
    }
    Ok(Some(filter).filter(|_| call.faults.strikes(Kind::IgnoreFilter).is_none()))
}

/// A token is bound to its filter: it must be sent back as it came, with the link it came in.
fn position(call: &Call<'_>) -> Result<Position, Reply> {
    let Some(token) = call.query.get("$skiptoken") else { return Ok(Position { page: 0, from: 0 }) };
    let read = || {
        let (_, rest) = token.split_once("#RT:")?;
        let (page, from) = rest.split_once("#TRC:")?;
        let position = Position { page: page.parse().ok()?, from: from.parse().ok()? };
        (skiptoken(call, position) == token).then_some(position)
    };
    read().ok_or_else(|| Reply::bad_request("The skip token is invalid."))
}

fn skiptoken(call: &Call<'_>, position: Position) -> String {
    let draw =
        call.tenant.world.seed().named("skip token").named(call.query.get("$filter").unwrap_or_default());
    let Position { page, from } = position;
    let seal = draw.named(&format!("{page} {from}")).serial(12);
    format!("+RID:~{seal}==#RT:{page}#TRC:{from}")
}

/// The failures that hit a list as a whole.
fn break_down(call: &Call<'_>, filter: Option<&Filter>, position: Position) -> Result<(), Reply> {
    let failure = || Reply::error(500, "InternalServerError", "Failed to execute backend request.");
    let broken = call.faults.is_on(Kind::BrokenType).map(|fault| fault.value_or("sip").to_owned());
    let holds = |kind: String| filter.is_none_or(|filter| admits(filter, &kind));
    if broken.is_some_and(holds) && call.faults.strikes(Kind::BrokenType).is_some() {
        return Err(failure());
    }
    if position.page > 0 && call.faults.strikes(Kind::BrokenPage).is_some() {
        return Err(failure());
    }
    Ok(())
}

/// Whether devices of a type can be among the rows.
fn admits(filter: &Filter, kind: &str) -> bool {
    let of_type = |property: &str| (property == "deviceType").then(|| kind.to_owned());
    filter.matches(&of_type) || !filter.comparisons().iter().any(|(property, _)| *property == "deviceType")
}

fn page(call: &Call<'_>, filter: Option<&Filter>, position: Position, top: usize) -> Page {
    if call.faults.strikes(Kind::Empty).is_some() {
        return Page { entries: Vec::new(), next: None };
    }
    let next = |from: usize| Position { page: position.page + 1, from };
    if position.page == 1 && call.faults.strikes(Kind::EmptyPage).is_some() {
        return Page { entries: Vec::new(), next: Some(next(position.from)) };
    }
    let size = size(call, filter, top);
    let all = call.tenant.world.entries().iter().enumerate().skip(position.from);
    let mut matching = all.filter(|(_, entry)| is_listed(call, filter, entry));
    let entries = matching.by_ref().take(size).map(|(_, entry)| *entry).collect();
    Page { entries, next: matching.next().map(|(at, _)| next(at)) }
}

/// Faults of links and later pages need a second page, so there they come when everything would fit in one.
fn size(call: &Call<'_>, filter: Option<&Filter>, top: usize) -> usize {
    const ABOUT_PAGES: [Kind; 5] =
        [Kind::EmptyPage, Kind::BrokenPage, Kind::LoopLink, Kind::ForeignLink, Kind::RelativeLink];
    if !ABOUT_PAGES.iter().any(|kind| call.faults.is_on(*kind).is_some()) {
        return top;
    }
    top.min(matching(call, filter).div_ceil(2)).max(1)
}

fn is_listed(call: &Call<'_>, filter: Option<&Filter>, entry: &Entry) -> bool {
    let matches = |filter: &Filter| filter.matches(&|property: &str| value_of(call, entry, property));
    filter.is_none_or(matches) && !call.tenant.edits.is_removed(entry.id) && !is_shrunk(call, entry.id)
}

/// The type is known without computing the device, unless it was edited.
fn value_of(call: &Call<'_>, entry: &Entry, property: &str) -> Option<String> {
    if property == "deviceType" && call.tenant.reported_edits(entry.id).is_none() {
        return Some(entry.kind.graph_name().to_owned());
    }
    let device = write(call, entry, Document::Device);
    device.pointer(&format!("/{property}")).and_then(Value::as_str).map(str::to_owned)
}

/// The same devices every time.
fn is_shrunk(call: &Call<'_>, id: Uuid) -> bool {
    let Some(fault) = call.faults.is_on(Kind::Shrink) else { return false };
    let draw = call.tenant.world.seed().named("shrink").named(&id.to_string());
    draw.happens(fault.number_or(50.0) / 100.0)
}

fn body(
    call: &Call<'_>,
    position: Position,
    next: Option<Position>,
    count: Option<usize>,
    rows: Vec<Value>,
) -> Value {
    let mut body = json!({"@odata.context": format!("{}/beta/$metadata#teamwork/devices", call.tenant.url)});
    if let Some(members) = body.as_object_mut() {
        // Documented on the first page only, where it is the number of its rows, whatever follows.
        if position.page == 0 {
            members.insert("@odata.count".to_owned(), count.unwrap_or(rows.len()).into());
        }
        if let Some(link) = next.map(|next| pages::link(call, &skiptoken(call, next))) {
            members.insert("@odata.nextLink".to_owned(), link.into());
        }
        members.insert("value".to_owned(), rows.into());
    }
    body
}
