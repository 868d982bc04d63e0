//! Lists in pages: `$top`, `$skip`, `$count` and `$skiptoken` as the operations of v1.0 have in common, and
//! what faults make of lists.

use std::fmt::Display;

use serde_json::{Value, json};

use super::faults::Kind;
use super::odata;
use super::reply::Reply;
use super::routes::Call;
use super::spoil;

/// What a list is like before anybody asks for a part of it.
pub(super) struct List<'a> {
    /// What stands behind `$metadata#`.
    pub(super) context: &'a str,
    /// The properties `$select` may name.
    pub(super) properties: &'static [&'static str],
    pub(super) default_top: usize,
    pub(super) most_top: MostTop,
    /// Whether a page says where the next one is.
    pub(super) is_linked: bool,
    /// What `@odata.count` says, where the operation has it.
    pub(super) count: Option<usize>,
}

/// What becomes of a `$top` above the limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum MostTop {
    Refused(usize),
    Cut(usize),
}

/// Where a page begins: its number from 0, and the place in the order of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    page: usize,
    from: usize,
}

/// One page of the list. `key` tells an item apart for faults that always hit the same ones.
pub(super) fn answer<T, K: Display>(
    call: &Call<'_>,
    list: &List<'_>,
    mut items: Vec<T>,
    key: impl Fn(&T) -> K,
    write: impl Fn(&T) -> Value,
) -> Result<Reply, Reply> {
    if call.faults.strikes(Kind::Empty).is_some() {
        items.clear();
    }
    items.retain(|item| !is_shrunk(call, &key(item)));
    let short_by = lost_rows(call, items.len());
    let count = if short_by.is_some() { Some(items.len()) } else { counted(call, list) };
    items.truncate(items.len() - short_by.unwrap_or_default());
    let position = position(call)?;
    if position.page > 0 && call.faults.strikes(Kind::BrokenPage).is_some() {
        return Err(Reply::error(500, "InternalServerError", "Failed to execute backend request."));
    }
    let size = size(call, top(call, list)?, items.len());
    let is_gap = position.page == 1 && call.faults.strikes(Kind::EmptyPage).is_some();
    let size = if is_gap { 0 } else { size };
    let mut rows = Vec::new();
    for item in items.iter().skip(position.from).take(size) {
        let mut row = write(item);
        odata::select(&mut row, call.query.get("$select"), list.properties)?;
        rows.push(spoil::row(call, key(item), row));
    }
    spoil::rows(call, &mut rows);
    let next = Position { page: position.page + 1, from: position.from + size };
    let next = (next.from < items.len() && list.is_linked).then(|| link(call, &skiptoken(call, next)));
    let count = count.filter(|_| position.page == 0); // given on the first page only
    let is_of_page = call.faults.strikes(Kind::PageCount).is_some();
    let count = count.map(|count| if is_of_page { rows.len() } else { count });
    Ok(Reply::json(body(call, list, count, next, rows)))
}

/// The value of `@odata.count`, for a client that asks.
fn counted(call: &Call<'_>, list: &List<'_>) -> Option<usize> {
    list.count.filter(|_| call.query.get("$count") == Some("true"))
}

/// The number of rows that a short list loses at its end; one stays.
pub(super) fn lost_rows(call: &Call<'_>, rows: usize) -> Option<usize> {
    let fault = call.faults.strikes(Kind::Short)?;
    Some(fault.number_or(5).min(rows.saturating_sub(1)))
}

fn top(call: &Call<'_>, list: &List<'_>) -> Result<usize, Reply> {
    let Some(text) = call.query.get("$top") else { return Ok(list.default_top) };
    let invalid = || Reply::bad_request(format!("Invalid value '{text}' for $top query option found."));
    let top: usize = text.parse().ok().filter(|top| *top > 0).ok_or_else(invalid)?;
    match list.most_top {
        MostTop::Refused(most) if top > most => Err(Reply::error(
            400,
            "Request_BadRequest",
            format!("Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive."),
        )),
        MostTop::Refused(_) => Ok(top),
        MostTop::Cut(most) => Ok(top.min(most)),
    }
}

/// A token is bound to the path and filter it was given for.
fn position(call: &Call<'_>) -> Result<Position, Reply> {
    if let Some(token) = call.query.get("$skiptoken") {
        return read(call, token).ok_or_else(|| Reply::bad_request("The skip token is invalid."));
    }
    let Some(text) = call.query.get("$skip") else { return Ok(Position { page: 0, from: 0 }) };
    if call.faults.strikes(Kind::IgnoreSkip).is_some() {
        return Ok(Position { page: 0, from: 0 });
    }
    let from = text.parse();
    let from =
        from.map_err(|_| Reply::bad_request(format!("Invalid value '{text}' for $skip query option found.")));
    Ok(Position { page: 0, from: from? })
}

fn read(call: &Call<'_>, token: &str) -> Option<Position> {
    let (_, rest) = token.split_once('.')?;
    let (page, from) = rest.split_once('.')?;
    let position = Position { page: page.parse().ok()?, from: from.parse().ok()? };
    (skiptoken(call, position) == token).then_some(position)
}

fn skiptoken(call: &Call<'_>, Position { page, from }: Position) -> String {
    let draw = call.tenant.world.seed().named("skip token").named(call.request.path);
    let draw = draw.named(call.query.get("$filter").unwrap_or_default());
    format!("{}.{page}.{from}", draw.named(&format!("{page} {from}")).serial(16))
}

/// Faults of links and later pages need a second page, so there they come when everything would fit in one.
fn size(call: &Call<'_>, top: usize, all: usize) -> usize {
    const ABOUT_PAGES: [Kind; 5] =
        [Kind::EmptyPage, Kind::BrokenPage, Kind::LoopLink, Kind::ForeignLink, Kind::RelativeLink];
    let is_about_pages = ABOUT_PAGES.iter().any(|kind| call.faults.is_on(*kind).is_some());
    if is_about_pages { top.min(all.div_ceil(2)).max(1) } else { top }
}

/// The same items every time.
fn is_shrunk(call: &Call<'_>, key: &impl Display) -> bool {
    let Some(fault) = call.faults.is_on(Kind::Shrink) else { return false };
    let draw = call.tenant.world.seed().named("shrink").named(&key.to_string());
    draw.happens(fault.number_or(50.0) / 100.0)
}

/// The link to the page of a token, as far as the active faults leave it alone.
pub(super) fn link(call: &Call<'_>, skiptoken: &str) -> String {
    let query = call.query.with_skiptoken(skiptoken);
    let (root, path) = (call.request.root, call.request.path);
    if call.faults.strikes(Kind::LoopLink).is_some() {
        return format!("{root}{path}?{}", call.request.query);
    }
    if let Some(fault) = call.faults.strikes(Kind::ForeignLink) {
        return format!("http://{}{path}?{query}", fault.value_or("elsewhere.example"));
    }
    match call.faults.strikes(Kind::RelativeLink) {
        // As in Learn, where the version is not part of it.
        Some(fault) if !fault.has_value() => format!("{}?{query}", without_version(path)),
        Some(_) => format!("{path}?{query}"),
        None => format!("{root}{path}?{query}"),
    }
}

fn without_version(path: &str) -> &str {
    let versions = ["/beta", "/v1.0"];
    versions.iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path)
}

fn body(
    call: &Call<'_>,
    list: &List<'_>,
    count: Option<usize>,
    next: Option<String>,
    rows: Vec<Value>,
) -> Value {
    let mut body = json!({"@odata.context": format!("{}/v1.0/$metadata#{}", call.tenant.url, list.context)});
    if let Some(members) = body.as_object_mut() {
        if let Some(count) = count {
            members.insert("@odata.count".to_owned(), count.into());
        }
        if let Some(link) = next {
            members.insert("@odata.nextLink".to_owned(), link.into());
        }
        members.insert("value".to_owned(), rows.into());
    }
    body
}
