//! Collections that come in pages: `@odata.nextLink` is followed within bounds, and never to another host.
//!
//! <https://learn.microsoft.com/graph/paging>

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::Url;

use crate::graph::Client;
use crate::graph::error::Error;
use crate::graph::operation::Operation;
use crate::input::json::{self, Items, Scalar};
use crate::worker;

/// 100,000 devices in pages of 50: twice the largest fleet we mean to serve.
const MAX_PAGES: usize = 2000;

/// The largest page that Graph has is one of 999 users.
const MAX_ITEMS: usize = 5000;

/// One page of a collection, its items not yet read: one bad item must not cost the others.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<Box<RawValue>>,
    /// `@odata.count`: how many items the whole collection has, or only this page; Graph's examples have both.
    pub count: Option<usize>,
    next_link: Option<String>,
}

/// The number of items that came, and the largest number that Graph gave for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    came: usize,
    counted: Option<usize>,
}

impl Tally {
    pub fn new(came: usize, counted: Option<usize>) -> Self {
        Self { came, counted }
    }

    pub fn add(&mut self, came: usize, counted: Option<usize>) {
        self.came += came;
        self.counted = self.counted.max(counted);
    }

    /// The number of items that there are; `None` if Graph gives none, or that of a page: then more came.
    pub fn total(self) -> Option<usize> {
        self.counted.filter(|counted| *counted >= self.came)
    }

    /// The number of items that Graph counts and did not give.
    pub fn missing(self) -> usize {
        self.counted.unwrap_or_default().saturating_sub(self.came)
    }
}

/// The pages of one collection, read one after another.
pub struct Pages<'c> {
    client: &'c Client,
    operation: Operation,
    /// The URL of the next page, or the reason why it is not asked for.
    next: Option<Result<Url, Error>>,
    visited: HashSet<Url>,
    /// The items that came, by the hash of their id: a page may overlap the one before, or be the same.
    seen: HashSet<u64>,
    hasher: RandomState,
    tally: Tally,
    deadline: Instant,
}

#[derive(Deserialize)]
struct Envelope {
    value: Option<Items<MAX_ITEMS>>,
    #[serde(rename = "@odata.nextLink", default)]
    next_link: Scalar,
    #[serde(rename = "@odata.count", default)]
    count: Scalar,
}

impl Page {
    /// Reads each item. Those of a large page leave the workers of the runtime to other tasks meanwhile.
    pub fn read<T>(&self, read: impl FnMut(&RawValue) -> T) -> Vec<T> {
        read_all(&self.items, read)
    }
}

/// Reads each of these records, as [`Page::read`] does.
pub fn read_all<T>(items: &[Box<RawValue>], mut read: impl FnMut(&RawValue) -> T) -> Vec<T> {
    let bytes = items.iter().map(|item| item.get().len()).sum();
    worker::read(bytes, || items.iter().map(|item| read(item)).collect())
}

impl<'c> Pages<'c> {
    pub(crate) fn new(client: &'c Client, operation: Operation, first: Url, deadline: Instant) -> Self {
        let (visited, tally, hasher) = (HashSet::new(), Tally::default(), RandomState::new());
        let seen = HashSet::new();
        Self { client, operation, next: Some(Ok(first)), visited, seen, hasher, tally, deadline }
    }

    /// The items that came so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The next page; `None` after the last. After an error there is none.
    pub async fn next(&mut self) -> Option<Result<Page, Error>> {
        match self.next.take()? {
            Ok(url) => Some(self.read(url).await),
            Err(error) => Some(Err(error)),
        }
    }

    async fn read(&mut self, url: Url) -> Result<Page, Error> {
        if !self.visited.insert(url.clone()) {
            return Err(Error::malformed("the pages run in a circle"));
        }
        if self.visited.len() > MAX_PAGES {
            return Err(Error::malformed(format!("the collection has more than {MAX_PAGES} pages")));
        }
        let page = self.client.get(self.operation, url.clone(), self.deadline).await;
        let is_first = self.visited.len() == 1;
        let mut page = page.map_err(|error| if is_first { error } else { error.of_part() })?;
        page.items.retain(|item| self.is_new(item));
        self.tally.add(page.items.len(), page.count);
        // A link that is refused costs what is behind it, and not the page it came with.
        self.next = page.next_link.as_deref().map(|link| follow(&url, link));
        Ok(page)
    }

    /// Returns false if an item with the same id came before. An item without an id is always new.
    fn is_new(&mut self, item: &RawValue) -> bool {
        let keyed: Keyed = json::object(item.get().as_bytes()).unwrap_or_default();
        keyed
            .id
            .text()
            .filter(|id| !id.is_empty())
            .is_none_or(|id| self.seen.insert(self.hasher.hash_one(id)))
    }
}

/// Every entity is identified by its `id`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Keyed {
    id: Scalar,
}

/// Reads the envelope of a collection.
pub(super) fn decode(body: &[u8]) -> Result<Page, Error> {
    let envelope: Envelope = json::object(body).map_err(|error| Error::malformed(shape(body, &error)))?;
    let items = envelope.value.ok_or_else(|| Error::malformed("a collection without `value`"))?;
    // Some services end a list with an empty link.
    let next_link = envelope.next_link.text().map(str::trim).filter(|link| !link.is_empty());
    Ok(Page { items: items.0, count: envelope.count.count(), next_link: next_link.map(str::to_owned) })
}

impl Drop for Pages<'_> {
    fn drop(&mut self) {
        self.client.note_page(None);
    }
}

/// The URL of the next page: relative links are allowed, other hosts are not, for the token goes with the request.
fn follow(current: &Url, link: &str) -> Result<Url, Error> {
    let next = current.join(&versioned(current, link));
    let next = next.map_err(|_| Error::malformed("the link to the next page is not a URL"))?;
    if next.origin() != current.origin() {
        return Err(Error::malformed("the next page is on another host, which is refused"));
    }
    Ok(next)
}

/// Microsoft's own example of a relative link starts behind the API version, which must be put back.
fn versioned<'l>(current: &Url, link: &'l str) -> Cow<'l, str> {
    let version = current.path_segments().and_then(|mut segments| segments.next()).unwrap_or_default();
    let rooted = link.starts_with('/') && !link.starts_with("//");
    if rooted && !link.trim_start_matches('/').starts_with(&format!("{version}/")) {
        return Cow::Owned(format!("/{version}{link}"));
    }
    Cow::Borrowed(link)
}

/// What a body is that is not the expected JSON; none of its text is repeated.
pub(crate) fn shape(body: &[u8], error: &serde_json::Error) -> String {
    let start = body.trim_ascii_start();
    let kind = match start.first() {
        None => "an empty body",
        Some(b'<') => "HTML or XML, as a proxy or a sign-in page would answer",
        Some(b'{' | b'[') if error.is_eof() => "JSON that breaks off",
        Some(b'{' | b'[') => "JSON of another shape",
        Some(_) => "no JSON",
    };
    format!("{kind} (line {} column {})", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_tally(pages: &[(usize, Option<usize>)], total: Option<usize>, missing: usize) {
        let mut tally = Tally::default();
        for (came, counted) in pages {
            tally.add(*came, *counted);
        }
        assert_eq!((tally.total(), tally.missing()), (total, missing), "{pages:?}");
    }

    #[test]
    fn a_total_is_told_from_the_count_of_a_page() {
        check_tally(&[], None, 0);
        check_tally(&[(0, Some(0))], Some(0), 0);
        check_tally(&[(50, None), (20, None)], None, 0);
        check_tally(&[(50, Some(70)), (20, None)], Some(70), 0);
        check_tally(&[(50, Some(50)), (20, None)], None, 0);
        check_tally(&[(50, Some(50)), (50, Some(50)), (20, Some(20))], None, 0);
        check_tally(&[(50, Some(70)), (15, Some(70))], Some(70), 5);
        check_tally(&[(50, Some(120))], Some(120), 70);
        check_tally(&[(0, Some(12))], Some(12), 12);
    }

    #[track_caller]
    fn check(link: &str, expected: Option<&str>) {
        let current = Url::parse("https://graph.microsoft.com/beta/teamwork/devices?$top=50").expect("a URL");
        assert_eq!(follow(&current, link).ok().as_ref().map(Url::as_str), expected, "{link}");
    }

    #[test]
    fn next_links_stay_on_the_host() {
        let next = Some("https://graph.microsoft.com/beta/teamwork/devices?$skiptoken=a%23b");
        check("https://graph.microsoft.com/beta/teamwork/devices?$skiptoken=a%23b", next);
        check("https://graph.microsoft.com:443/beta/teamwork/devices?$skiptoken=a%23b", next);
        check("/beta/teamwork/devices?$skiptoken=a%23b", next);
        check("/teamwork/devices?$skiptoken=a%23b", next);
        check("?$skiptoken=a%23b", next);
        check("https://graph.microsoft.com.evil.example/beta/teamwork/devices", None);
        check("https://evil.example/beta/teamwork/devices", None);
        check("//evil.example/beta/teamwork/devices", None);
        check("http://graph.microsoft.com/beta/teamwork/devices", None);
        check("https://graph.microsoft.com:8443/beta/teamwork/devices", None);
        check("https://graph.microsoft.com@evil.example/", None);
        check("https://[broken", None);
    }
}
