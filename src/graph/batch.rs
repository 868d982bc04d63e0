//! `$batch`: up to 20 reads in one HTTP request; each has its own status and its own throttling.
//!
//! <https://learn.microsoft.com/graph/json-batching>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::graph::error::Error;
use crate::graph::page::shape;
use crate::graph::retry::{self, Failure};

/// Graph refuses more in one request.
pub const MAX_ITEMS: usize = 20;

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

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    body: Option<Box<RawValue>>,
}

/// The status of one item and what became of it.
pub(crate) type Outcome = (Option<u16>, Result<Box<RawValue>, Failure>);

/// The body of the request; the id of an item is its place in `urls`.
pub(crate) fn encode(urls: &[&str]) -> Vec<u8> {
    let item = |(place, url): (usize, &&'_ str)| (place.to_string(), (*url).to_owned());
    let items: Vec<(String, String)> = urls.iter().enumerate().map(item).collect();
    let requests = items.iter().map(|(id, url)| Item { id: id.clone(), method: "GET", url }).collect();
    serde_json::to_vec(&Requests { requests }).expect("strings always serialise")
}

/// The outcome of each item, in the order of the request; answers come in any order, or not at all.
pub(crate) fn decode(body: &[u8], items: usize, now: i64) -> Result<Vec<Outcome>, Error> {
    let answers: Responses =
        serde_json::from_slice(body).map_err(|error| Error::malformed(shape(body, &error)))?;
    let missing = || (None, Err(Error::malformed("$batch left out an answer").into()));
    let mut outcomes: Vec<Outcome> = (0..items).map(|_| missing()).collect();
    for answer in answers.responses {
        let Some(place) = answer.place() else { continue };
        if let Some(outcome) = outcomes.get_mut(place) {
            *outcome = (Some(answer.status), answer.outcome(now));
        }
    }
    Ok(outcomes)
}

impl Answer {
    fn place(&self) -> Option<usize> {
        match &self.id {
            Value::String(id) => id.parse().ok(),
            Value::Number(id) => usize::try_from(id.as_u64()?).ok(),
            _ => None,
        }
    }

    fn outcome(self, now: i64) -> Result<Box<RawValue>, Failure> {
        if (200..300).contains(&self.status) {
            return self.body.ok_or_else(|| Error::malformed("an item of $batch without a body").into());
        }
        let header = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let header = header.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let body = self.body.as_deref().map_or("", RawValue::get);
        let error = Error::from_status(self.status, body.as_bytes());
        Err(Failure { error, retry_after: header.and_then(|value| retry::retry_after(&value, now)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn answers_find_their_questions_in_any_order() {
        let body = br#"{"responses":[
            {"id":"2","status":429,"headers":{"retry-after":"1.5"},"body":{"error":{"code":"TooManyRequests"}}},
            {"id":0,"status":200,"headers":null,"body":{"ok":1}},
            {"id":"77","status":200,"body":{}}]}"#;
        assert!(decode(body, 3, 0).is_err(), "headers must not be null");
        let body = String::from_utf8_lossy(body).replace("\"headers\":null,", "");
        let outcomes = decode(body.as_bytes(), 3, 0).expect("three answers");
        let [first, second, third] = &outcomes[..] else { panic!("three outcomes") };
        assert_eq!(first.1.as_ref().map(|body| body.get()), Ok(r#"{"ok":1}"#));
        assert!(matches!(second.1, Err(Failure { error: Error::Malformed { .. }, .. })));
        let wait = Some(Duration::from_millis(1500));
        assert_eq!(
            third.1.as_ref().map(|_| ()),
            Err(&Failure { error: Error::Throttled, retry_after: wait })
        );
    }

    #[test]
    fn items_are_numbered_by_place() {
        let body: Value = serde_json::from_slice(&encode(&["/a", "/b"])).expect("JSON");
        assert_eq!(body["requests"][1], serde_json::json!({"id": "1", "method": "GET", "url": "/b"}));
    }
}
