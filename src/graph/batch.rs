//! `$batch`: up to 20 reads in one HTTP request; each has its own status and its own throttling.
//!
//! <https://learn.microsoft.com/graph/json-batching>

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::graph::Client;
use crate::graph::auth::Token;
use crate::graph::body;
use crate::graph::error::Error;
use crate::graph::operation::Operation;
use crate::graph::page::shape;
use crate::graph::record::Answer as Recorded;
use crate::graph::responses::{self, Answer};
use crate::graph::retry::{self, Decision, Failure};
use crate::graph::send::{Outgoing, Reply};
use crate::input::json::Scalar;

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
        for answer in responses::read(body).unwrap_or_default() {
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
    let answers = responses::read(body).map_err(|error| Error::malformed(shape(body, &error)))?;
    let missing = || (None, Err(left_out().into()));
    let mut outcomes: Vec<Outcome> = (0..items).map(|_| missing()).collect();
    for answer in answers {
        let (Some(place), Some(status)) = (answer.place(), answer.status()) else { continue };
        if let Some(outcome) = outcomes.get_mut(place) {
            *outcome = (Some(status), answer.outcome(status, now));
        }
    }
    Ok(outcomes)
}

impl Answer {
    fn outcome(self, status: u16, now: i64) -> Result<Box<RawValue>, Failure> {
        if (200..300).contains(&status) {
            if self.is_broken {
                return Err(Error::malformed("an item of $batch whose body is not JSON").into());
            }
            return self.body.ok_or_else(|| Error::malformed("an item of $batch without a body").into());
        }
        let retry_after = match self.headers.unwrap_or_default().retry_after {
            Scalar::Text(value) => retry::retry_after(&value, now),
            Scalar::Number(seconds) => retry::retry_after(&seconds.to_string(), now),
            Scalar::Other => None,
        };
        let body = self.body.as_deref().map_or("", RawValue::get);
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
