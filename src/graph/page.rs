//! Collections that come in pages: `@odata.nextLink` is followed within bounds, and never to another host.
//!
//! <https://learn.microsoft.com/graph/paging>

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;
use url::Url;

use crate::graph::Client;
use crate::graph::error::Error;

/// 100,000 devices in pages of 50: twice the largest fleet we mean to serve.
const MAX_PAGES: usize = 2000;

/// The largest page that Graph has is one of 999 users.
const MAX_ITEMS: usize = 5000;

/// One page of a collection, its items not yet read: one bad item must not cost the others.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<Box<RawValue>>,
    /// `@odata.count`: how many items the whole collection has, or only this page; Graph's examples have both.
    pub total: Option<usize>,
    next_link: Option<String>,
}

/// The pages of one collection, read one after another.
pub struct Pages<'c> {
    client: &'c Client,
    operation: &'static str,
    next: Option<Url>,
    visited: HashSet<Url>,
    deadline: Instant,
}

#[derive(Deserialize)]
struct Envelope {
    value: Option<Vec<Box<RawValue>>>,
    #[serde(rename = "@odata.nextLink", default)]
    next_link: Value,
    #[serde(rename = "@odata.count", default)]
    count: Value,
}

impl<'c> Pages<'c> {
    pub(crate) fn new(client: &'c Client, operation: &'static str, first: Url, deadline: Instant) -> Self {
        Self { client, operation, next: Some(first), visited: HashSet::new(), deadline }
    }

    /// The next page; `None` after the last. After an error there is none.
    pub async fn next(&mut self) -> Option<Result<Page, Error>> {
        let url = self.next.take()?;
        Some(self.read(url).await)
    }

    async fn read(&mut self, url: Url) -> Result<Page, Error> {
        if !self.visited.insert(url.clone()) {
            return Err(Error::malformed("the pages run in a circle"));
        }
        if self.visited.len() > MAX_PAGES {
            return Err(Error::malformed(format!("the collection has more than {MAX_PAGES} pages")));
        }
        let body = self.client.get(self.operation, url.clone(), self.deadline).await?;
        let page = decode(&body)?;
        if let Some(link) = &page.next_link {
            self.next = Some(follow(&url, link)?);
        }
        Ok(page)
    }
}

/// Reads the envelope of a collection.
pub(super) fn decode(body: &[u8]) -> Result<Page, Error> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| Error::malformed(shape(body, &error)))?;
    let items = envelope.value.ok_or_else(|| Error::malformed("a collection without `value`"))?;
    if items.len() > MAX_ITEMS {
        return Err(Error::malformed(format!("a page of more than {MAX_ITEMS} items")));
    }
    let total = envelope.count.as_u64().and_then(|count| usize::try_from(count).ok());
    Ok(Page { items, total, next_link: envelope.next_link.as_str().map(str::to_owned) })
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
