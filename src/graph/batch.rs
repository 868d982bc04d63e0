//! `$batch`: up to 20 reads in one HTTP request; each has its own status and its own throttling.
//!
//! <https://learn.microsoft.com/graph/json-batching>

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::graph::Client;
use crate::graph::auth::Token;
use crate::graph::body;
use crate::graph::error::Error;
use crate::graph::json::{Items, Scalar};
use crate::graph::operation::Operation;
use crate::graph::page::shape;
use crate::graph::record::Answer as Recorded;
use crate::graph::retry::{self, Decision, Failure};
use crate::graph::send::{Outgoing, Reply};

/// Graph refuses more in one request.
pub const MAX_ITEMS: usize = 20;

/// The operation of an envelope.
pub(super) const OPERATION: &str = "batch";

/// What is asked, and what of it is settled.
struct Batch<'u> {
    version: &'static str,
    urls: &'u [String],
    results: Vec<Option<Result<Box<RawValue>, Error>>>,
}

impl Client {
    /// Reads up to [`MAX_ITEMS`] urls, relative to the root of an API `version` (`beta`, `v1.0`), in one request, in their
    /// order. Items that are throttled or fail for a moment are asked again.
    pub async fn batch(
        &self,
        operation: Operation,
        version: &'static str,
        urls: &[String],
        deadline: Instant,
    ) -> Vec<Result<Box<RawValue>, Error>> {
        let mut batch = Batch { version, urls, results: urls.iter().map(|_| None).collect() };
        for attempt in 1.. {
            let Some(wait) = self.ask_open(operation, &mut batch, attempt, deadline).await else { break };
            self.stats.retries.inc();
            tokio::time::sleep_until((Instant::now() + wait).min(deadline)).await;
        }
        batch.results.into_iter().map(|result| result.unwrap_or_else(|| Err(left_out()))).collect()
    }

    /// Asks the open items once; says how long to wait before those that are still open, `None` if there are none.
    async fn ask_open(
        &self,
        operation: Operation,
        batch: &mut Batch<'_>,
        attempt: u32,
        deadline: Instant,
    ) -> Option<Duration> {
        let open = batch.open();
        let (outcomes, token) = match self.exchange_batch(operation, batch, &open, deadline).await {
            Ok(exchanged) => exchanged,
            Err(error) => {
                // An envelope that is not there says nothing about what is in it.
                let error = error.of_part();
                for place in open {
                    batch.settle(place, Err(error.clone()));
                }
                return None;
            }
        };
        let renewed = attempt == 1 && self.renew(operation, &outcomes, &token).await;
        let mut wait: Option<Duration> = None;
        for (place, (status, outcome)) in open.into_iter().zip(outcomes) {
            let code = status.map_or_else(|| "missing".to_owned(), |status| status.to_string());
            self.stats.request(operation.name, &code);
            let mut failure = match outcome {
                Ok(body) => {
                    batch.settle(place, Ok(body));
                    continue;
                }
                Err(failure) => failure,
            };
            self.note(&mut failure, operation.workload, attempt);
            let pause = match self.decide(&failure, attempt) {
                _ if renewed && failure.error.is_refusal() => Some(Duration::ZERO),
                Decision::After(pause) if Instant::now() + pause < deadline => Some(pause),
                _ => None,
            };
            match pause {
                Some(pause) => wait = wait.max(Some(pause)),
                None => batch.settle(place, Err(failure.error)),
            }
        }
        wait
    }

    /// Whether items were refused and a new token may change that; a token that opened one item is good.
    async fn renew(&self, operation: Operation, outcomes: &[Outcome], token: &Token) -> bool {
        if outcomes.iter().any(|(_, outcome)| outcome.is_ok()) {
            self.accepted(operation).await;
            return false;
        }
        let refused =
            |(_, outcome): &Outcome| outcome.as_ref().is_err_and(|failure| failure.error.is_refusal());
        outcomes.iter().any(refused) && self.auth.refused(token, None).await
    }

    async fn exchange_batch(
        &self,
        operation: Operation,
        batch: &Batch<'_>,
        open: &[usize],
        deadline: Instant,
    ) -> Result<(Vec<Outcome>, Token), Error> {
        let urls: Vec<&str> =
            open.iter().filter_map(|place| batch.urls.get(*place)).map(String::as_str).collect();
        let body = encode(&urls);
        let url = self.url(&format!("/{}/$batch", batch.version))?;
        let outgoing = Outgoing {
            operation: Operation { name: OPERATION, ..operation },
            url,
            body: Some(&body),
            items: urls.len(),
            most: body::MAX_BATCH_BYTES,
        };
        let now = self.clock.now().seconds();
        let read = |reply: Reply| {
            self.note_items(operation.name, batch.version, &urls, &reply.body.bytes);
            Ok((decode(&reply.body.bytes, urls.len(), now)?, reply.token))
        };
        self.exchange(&outgoing, deadline, read).await
    }

    /// Records the items of a batch one by one, if answers are recorded.
    fn note_items(&self, operation: &'static str, version: &str, urls: &[&str], body: &[u8]) {
        let Some(recorder) = &self.recorder else { return };
        let answers = serde_json::from_slice::<Responses>(body).map(|answers| answers.responses.0);
        let answers = answers.unwrap_or_default();
        for answer in
            answers.iter().filter_map(|answer| serde_json::from_str::<Answer<'_>>(answer.get()).ok())
        {
            let url = answer.place().and_then(|place| urls.get(place));
            let (Some(url), Some(status)) = (url, answer.status()) else { continue };
            let body = answer.body.map_or_else(Vec::new, |body| body.get().into());
            recorder.note(Recorded {
                operation,
                method: "GET",
                path: format!("/{version}{url}"),
                status,
                body,
            });
        }
    }
}

impl Batch<'_> {
    fn open(&self) -> Vec<usize> {
        let unsettled = self.results.iter().enumerate().filter(|(_, result)| result.is_none());
        unsettled.map(|(place, _)| place).collect()
    }

    fn settle(&mut self, place: usize, result: Result<Box<RawValue>, Error>) {
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
    }
}

fn left_out() -> Error {
    Error::malformed("$batch left out an answer")
}

#[derive(Serialize)]
struct Requests<'a> {
    requests: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    id: String,
    method: &'static str,
    url: &'a str,
}

/// Each answer is read by itself: an odd one must not cost the others.
#[derive(Deserialize)]
struct Responses {
    responses: Items<MAX_ANSWERS>,
}

/// Answers in one envelope. Some may belong to no request.
const MAX_ANSWERS: usize = 2 * MAX_ITEMS;

#[derive(Deserialize)]
struct Answer<'b> {
    #[serde(default)]
    id: Scalar,
    #[serde(default)]
    status: Scalar,
    #[serde(default)]
    headers: Option<Headers>,
    #[serde(borrow)]
    body: Option<&'b RawValue>,
}

/// The header of an item that says how long to wait.
#[derive(Default)]
struct Headers {
    retry_after: Scalar,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut headers: A) -> Result<Headers, A::Error> {
        let mut found = Headers::default();
        while let Some(name) = headers.next_key::<Scalar>()? {
            let value = headers.next_value()?;
            if name.text().is_some_and(|name| name.eq_ignore_ascii_case("retry-after")) {
                found.retry_after = value;
            }
        }
        Ok(found)
    }
}

/// The status of one item and what became of it.
type Outcome = (Option<u16>, Result<Box<RawValue>, Failure>);

/// The body of the request; the id of an item is its place in `urls`.
fn encode(urls: &[&str]) -> Vec<u8> {
    let item = |(place, url): (usize, &&'_ str)| (place.to_string(), (*url).to_owned());
    let items: Vec<(String, String)> = urls.iter().enumerate().map(item).collect();
    let requests = items.iter().map(|(id, url)| Item { id: id.clone(), method: "GET", url }).collect();
    serde_json::to_vec(&Requests { requests }).expect("strings always serialise")
}

/// The outcome of each item, in the order of the request; answers come in any order, or not at all.
fn decode(body: &[u8], items: usize, now: i64) -> Result<Vec<Outcome>, Error> {
    let answers: Responses =
        serde_json::from_slice(body).map_err(|error| Error::malformed(shape(body, &error)))?;
    let missing = || (None, Err(left_out().into()));
    let mut outcomes: Vec<Outcome> = (0..items).map(|_| missing()).collect();
    for answer in answers.responses.0 {
        let Ok(answer) = serde_json::from_str::<Answer<'_>>(answer.get()) else { continue };
        let (Some(place), Some(status)) = (answer.place(), answer.status()) else { continue };
        if let Some(outcome) = outcomes.get_mut(place) {
            *outcome = (Some(status), answer.outcome(status, now));
        }
    }
    Ok(outcomes)
}

impl Answer<'_> {
    fn place(&self) -> Option<usize> {
        self.id.count().or_else(|| self.id.text()?.parse().ok())
    }

    /// An HTTP status; anything else would be a label value of a stranger's choice.
    fn status(&self) -> Option<u16> {
        let status = u16::try_from(self.status.count()?).ok()?;
        (100..600).contains(&status).then_some(status)
    }

    fn outcome(self, status: u16, now: i64) -> Result<Box<RawValue>, Failure> {
        if (200..300).contains(&status) {
            let without = || Error::malformed("an item of $batch without a body").into();
            return self.body.map(ToOwned::to_owned).ok_or_else(without);
        }
        let retry_after = match self.headers.unwrap_or_default().retry_after {
            Scalar::Text(value) => retry::retry_after(&value, now),
            Scalar::Number(seconds) => retry::retry_after(&seconds.to_string(), now),
            Scalar::Other => None,
        };
        let body = self.body.map_or("", RawValue::get);
        let error = Error::from_status(status, body.as_bytes());
        Err(Failure { error, retry_after, challenge: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_questions_in_any_order() {
        let body = br#"{"responses":[
            {"id":"2","status":429,"headers":{"retry-after":"1.5"},"body":{"error":{"code":"TooManyRequests"}}},
            {"id":0,"status":200,"headers":null,"body":{"ok":1}},
            {"id":"77","status":200,"body":{}}, {"id":"1","body":{}}, {"id":"1","status":70000}, 7, null]}"#;
        let outcomes = decode(body, 3, 0).expect("three answers");
        let [first, second, third] = &outcomes[..] else { panic!("three outcomes") };
        assert_eq!(first.1.as_ref().map(|body| body.get()), Ok(r#"{"ok":1}"#));
        assert!(matches!(second.1, Err(Failure { error: Error::Malformed { .. }, .. })));
        let wait = Some(Duration::from_millis(1500));
        assert_eq!(
            third.1.as_ref().map(|_| ()),
            Err(&Failure { error: Error::Throttled, retry_after: wait, challenge: None })
        );
    }

    #[test]
    fn items_are_numbered_by_place() {
        let body: serde_json::Value = serde_json::from_slice(&encode(&["/a", "/b"])).expect("JSON");
        assert_eq!(body["requests"][1], serde_json::json!({"id": "1", "method": "GET", "url": "/b"}));
    }
}
