//! One request from its place in the queue to its answer: token, pace, slot, and trying again.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use url::Url;

use crate::graph::auth::Token;
use crate::graph::body::Body;
use crate::graph::error::{Cause, Error};
use crate::graph::operation::{Operation, Workload};
use crate::graph::record::{self, Answer};
use crate::graph::retry::{self, Decision, Failure, LONGEST_PAUSE};
use crate::graph::{Client, batch, body, challenge};
use crate::model::Timestamp;
use crate::worker;

/// A request before it is sent.
pub(super) struct Outgoing<'a> {
    pub(super) operation: Operation,
    pub(super) url: Url,
    /// A JSON body makes it a POST.
    pub(super) body: Option<&'a [u8]>,
    /// What it counts for Graph: a batch as many as it holds.
    pub(super) items: usize,
    /// Bytes that its answer may have.
    pub(super) most: usize,
}

/// A good answer, and the token that brought it.
pub(super) struct Reply {
    pub(super) body: Body,
    pub(super) token: Token,
}

/// The outcome of one attempt that did not fail.
enum Attempted {
    Answered(Reply),
    /// The token was refused, and another one is worth an attempt at once.
    Renewed,
    /// Graph has asked this workload for more patience than there is.
    Closed,
}

/// Graph's are UUIDs, of 36 characters.
const MAX_REQUEST_ID: usize = 64;

impl Client {
    /// Sends until there is an answer that `read` accepts, patience ends or the deadline comes.
    pub(super) async fn exchange<T>(
        &self,
        outgoing: &Outgoing<'_>,
        deadline: Instant,
        read: impl Fn(Reply) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut renewed = false;
        let mut attempt = 1;
        let mut last = Error::unreachable(Cause::Timeout);
        loop {
            let attempted = self.attempt(outgoing, attempt, deadline, &mut renewed);
            let failure = match tokio::time::timeout_at(deadline, attempted).await {
                Ok(Ok(Attempted::Answered(reply))) => {
                    match worker::read(reply.body.bytes.len(), || read(reply)) {
                        Ok(value) => return Ok(value),
                        Err(error) => error.into(),
                    }
                }
                Ok(Ok(Attempted::Renewed)) => continue,
                Ok(Ok(Attempted::Closed)) => return Err(Error::Throttled),
                Ok(Err(failure)) => failure,
                Err(_) => return Err(last),
            };
            match self.decide(&failure, attempt) {
                Decision::After(pause) if Instant::now() + pause < deadline => {
                    let (operation, error) = (outgoing.operation.name, &failure.error);
                    tracing::debug!(operation, attempt, ?pause, %error, "trying again");
                    self.stats.retries.inc();
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(failure.error),
            }
            last = failure.error;
            attempt += 1;
        }
    }

    /// One request.
    async fn attempt(
        &self,
        outgoing: &Outgoing<'_>,
        attempt: u32,
        deadline: Instant,
        renewed: &mut bool,
    ) -> Result<Attempted, Failure> {
        let token = self.token().await?;
        let Some(slot) = self.admit(outgoing, deadline).await else { return Ok(Attempted::Closed) };
        let kind = if outgoing.items > 1 { "batch" } else { "page" };
        let span = tracing::info_span!(
            target: "collection",
            "request",
            otel.name = kind,
            operation = outgoing.operation.name,
            items = outgoing.items,
            http.response.status_code = Empty,
            graph.request_id = Empty,
            error = Empty,
        );
        let outcome = self.send(outgoing, &token, attempt).instrument(span).await;
        drop(slot);
        if let Err(failure) = &outcome
            && failure.error.is_refusal()
            && !*renewed
            && self.auth.refused(&token, failure.challenge.clone()).await
        {
            *renewed = true;
            return Ok(Attempted::Renewed);
        }
        outcome.map(|body| Attempted::Answered(Reply { body, token }))
    }

    /// Waits for the workload, then for the pace, then for a free slot. While its workload waits it holds nothing, so that
    /// others pass. `None` if Graph has asked for more patience than there is.
    async fn admit(&self, outgoing: &Outgoing<'_>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let workload = outgoing.operation.workload;
        loop {
            self.wait_for(workload, deadline).await?;
            let turn = if outgoing.items > 1 { Some(self.batch_turn().await) } else { None };
            let start = self.with_rate(|rate, now| rate.reserve(outgoing.items, now, deadline))?;
            tokio::time::sleep_until(start).await;
            drop(turn);
            let slot = self.slots(outgoing.operation).acquire_owned().await.ok()?;
            if self.with_rate(|rate, now| rate.waits_until(workload, now)).is_none() {
                return Some(slot);
            }
        }
    }

    /// Waits until Graph takes requests of this workload again.
    async fn wait_for(&self, workload: Workload, deadline: Instant) -> Option<()> {
        while let Some(until) = self.with_rate(|rate, now| rate.waits_until(workload, now)) {
            if until >= deadline || until > Instant::now() + LONGEST_PAUSE {
                return None;
            }
            tokio::time::sleep_until(until).await;
        }
        Some(())
    }

    async fn send(&self, outgoing: &Outgoing<'_>, token: &Token, attempt: u32) -> Result<Body, Failure> {
        let (began, Operation { name, workload }) = (Instant::now(), outgoing.operation);
        let (status, mut outcome) = match self.request(outgoing, token).send().await {
            Ok(response) => self.receive(response, outgoing).await,
            Err(error) => (None, Err(Error::from_transport(&error).into())),
        };
        self.stats.observe(name, began.elapsed());
        let code = match (&outcome, status) {
            (Err(failure), None) => failure.error.code(),
            (_, status) => status.unwrap_or_default().to_string(),
        };
        self.stats.request(name, &code);
        let span = Span::current();
        span.record("http.response.status_code", status.map(i64::from)); // unsigned it would become text
        if outcome.is_err() {
            span.record("error", code.as_str());
        }
        if let Err(failure) = &mut outcome {
            self.note(failure, workload, attempt);
        }
        outcome
    }

    fn request(&self, outgoing: &Outgoing<'_>, token: &Token) -> reqwest::RequestBuilder {
        let url = outgoing.url.clone();
        let request = match outgoing.body {
            None => self.http.get(url),
            Some(body) => self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_vec()),
        };
        request
            .header(AUTHORIZATION, token.header.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header("client-request-id", uuid::Uuid::new_v4().to_string())
    }

    /// The status of a response, and its body if that is good.
    async fn receive(
        &self,
        mut response: reqwest::Response,
        outgoing: &Outgoing<'_>,
    ) -> (Option<u16>, Result<Body, Failure>) {
        let status = response.status().as_u16();
        self.note_headers(response.headers());
        if let Some(id) = header(response.headers(), "request-id").filter(|id| id.len() <= MAX_REQUEST_ID) {
            Span::current().record("graph.request_id", id);
        }
        let retry_after = header(response.headers(), "retry-after")
            .and_then(|value| retry::retry_after(value, self.clock.now().seconds()));
        let challenge = if status == 401 { challenge::in_headers(response.headers()) } else { None };
        if !(200..300).contains(&status) {
            let start = body::start(&mut response).await;
            self.note_answer(outgoing, status, &start);
            let error = Error::from_status(status, &start);
            return (Some(status), Err(Failure { error, retry_after, challenge }));
        }
        let workload = outgoing.operation.workload;
        let body = body::read(&mut response, outgoing.most, &self.large_bodies, workload).await;
        self.note_answer(outgoing, status, body.as_ref().map_or(&[], |body| &body.bytes));
        (Some(status), body.map_err(Failure::from))
    }

    /// Records an answer, if answers are recorded; a batch records its items.
    fn note_answer(&self, outgoing: &Outgoing<'_>, status: u16, body: &[u8]) {
        let Some(recorder) = self.recorder.as_ref().filter(|_| outgoing.operation.name != batch::OPERATION)
        else {
            return;
        };
        recorder.note(Answer {
            operation: outgoing.operation.name,
            method: if outgoing.body.is_some() { "POST" } else { "GET" },
            path: record::path_below(&self.root, &outgoing.url),
            status,
            body: body.to_vec(),
        });
    }

    /// `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) say when Graph withdraws what was read.
    fn note_headers(&self, headers: &HeaderMap) {
        if let Some(date) = header(headers, "sunset").and_then(http_date) {
            self.stats.sunset(date);
        }
        if let Some(date) = header(headers, "deprecation").and_then(http_date) {
            self.stats.deprecation(date);
        }
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// An HTTP date, or `@` and Unix seconds.
fn http_date(value: &str) -> Option<Timestamp> {
    let value = value.trim();
    let seconds = match value.strip_prefix('@') {
        Some(seconds) => seconds.parse().ok()?,
        None => jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second(),
    };
    Some(Timestamp::from_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_withdrawal_are_read_in_both_forms() {
        for (value, expected) in [
            ("Mon, 08 Dec 2025 00:00:00 GMT", Some(1_765_152_000)),
            ("@1765152000", Some(1_765_152_000)),
            ("true", None),
            ("", None),
        ] {
            assert_eq!(http_date(value).map(Timestamp::seconds), expected, "{value}");
        }
    }
}
