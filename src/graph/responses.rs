//! The answers in a `$batch`, also in one that is not JSON because of a single answer: some services put plain text where a
//! JSON body belongs (msgraph-sdk-java#2472).

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::graph::batch::MAX_ITEMS;
use crate::input::json::{self, Items, Scalar};

/// One answer, its members not yet trusted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    id: Scalar,
    status: Scalar,
    pub(super) headers: Option<Headers>,
    pub(super) body: Option<Box<RawValue>>,
    /// Its body is not JSON.
    #[serde(skip)]
    pub(super) is_broken: bool,
}

/// Each answer is read by itself: an odd one must not cost the others.
#[derive(Deserialize)]
struct Responses {
    responses: Items<MAX_ANSWERS>,
}

/// Answers in one envelope. Some may belong to no request.
const MAX_ANSWERS: usize = 2 * MAX_ITEMS;

/// The header of an item that says how long to wait.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) retry_after: Scalar,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
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

/// Places after a broken answer that are tried as the start of the next one: each may cost a look at the whole rest.
const MAX_TRIES: usize = 100;

/// The answers that can be distinguished. The error is that of the body as a whole.
pub(super) fn read(body: &[u8]) -> Result<Vec<Answer>, serde_json::Error> {
    match json::object::<Responses>(body) {
        Ok(Responses { responses }) => {
            Ok(responses.0.iter().filter_map(|answer| json::object(answer.get().as_bytes()).ok()).collect())
        }
        Err(error) => {
            let salvaged = salvage(body);
            if salvaged.is_empty() { Err(error) } else { Ok(salvaged) }
        }
    }
}

impl Answer {
    /// The place of its request.
    pub(super) fn place(&self) -> Option<usize> {
        self.id.count().or_else(|| self.id.text()?.parse().ok())
    }

    /// An HTTP status; anything else would let untrusted input choose a label value.
    pub(super) fn status(&self) -> Option<u16> {
        let status = u16::try_from(self.status.count()?).ok()?;
        (100..600).contains(&status).then_some(status)
    }

    fn is_whole(&self) -> bool {
        self.place().is_some() && self.status().is_some()
    }
}

/// The answers of a body that is broken somewhere. If two claim the same request, one of them may be text that only looks like
/// an answer: neither counts.
fn salvage(body: &[u8]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut rest = list(body).unwrap_or_default();
    let mut tries = 0..MAX_TRIES;
    while let Some((answer, after)) = next(rest, &mut tries).filter(|_| answers.len() < MAX_ANSWERS) {
        answers.push(answer);
        rest = after;
    }
    let mut times: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for answer in &answers {
        *times.entry(answer.place()).or_default() += 1;
    }
    answers.retain(|answer| times.get(&answer.place()) == Some(&1));
    answers
}

/// Returns the bytes after the bracket of the list.
fn list(body: &[u8]) -> Option<&[u8]> {
    let name = b"\"responses\"";
    let at = body.windows(name.len()).position(|window| window == name)?;
    let rest = body.get(at + name.len()..)?.trim_ascii_start().strip_prefix(b":")?;
    rest.trim_ascii_start().strip_prefix(b"[")
}

/// The next answer and what follows it.
fn next<'b>(rest: &'b [u8], tries: &mut impl Iterator) -> Option<(Answer, &'b [u8])> {
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    if let Some((value, after)) = value(rest) {
        return Some((json::object(value.get().as_bytes()).unwrap_or_default(), after));
    }
    let broken = Answer { is_broken: true, body: None, ..begun(rest)? };
    let mut after = rest.get(1..)?;
    while let Some(at) = boundary(after) {
        tries.next()?;
        after = after.get(at..)?;
        if begun(after).is_some_and(|answer| answer.is_whole()) {
            return Some((broken, after));
        }
        after = after.get(1..)?;
    }
    Some((broken, b""))
}

/// The place of the next brace that follows the end of another object.
fn boundary(bytes: &[u8]) -> Option<usize> {
    let follows = |at: &usize| {
        let before = bytes.get(..*at).unwrap_or_default().trim_ascii_end();
        before.strip_suffix(b",").is_some_and(|before| before.trim_ascii_end().ends_with(b"}"))
    };
    let braces = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(at, _)| at);
    braces.filter(|at| *at > 0).find(follows)
}

/// The members of an object up to the first that is broken.
fn begun(object: &[u8]) -> Option<Answer> {
    let mut rest = object.strip_prefix(b"{")?;
    let mut answer = Answer::default();
    while let Some((name, after)) = value(rest.trim_ascii_start()) {
        let Some(after) = after.trim_ascii_start().strip_prefix(b":") else { break };
        let Some((member, after)) = value(after.trim_ascii_start()) else { break };
        match name.get() {
            "\"id\"" => answer.id = serde_json::from_str(member.get()).unwrap_or_default(),
            "\"status\"" => answer.status = serde_json::from_str(member.get()).unwrap_or_default(),
            "\"headers\"" => answer.headers = serde_json::from_str(member.get()).unwrap_or_default(),
            _ => {}
        }
        let Some(after) = after.trim_ascii_start().strip_prefix(b",") else { break };
        rest = after;
    }
    Some(answer)
}

/// The JSON value that these bytes begin with, and what follows it.
fn value(bytes: &[u8]) -> Option<(&RawValue, &[u8])> {
    let mut values = Deserializer::from_slice(bytes).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    Some((value, bytes.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Place and status of an answer, and if its body is broken.
    type Found = (Option<usize>, Option<u16>, bool);

    #[track_caller]
    fn check(body: &str, expected: Option<&[Found]>) {
        let answers = read(body.as_bytes()).ok();
        let found = answers.map(|answers| {
            answers
                .iter()
                .map(|answer| (answer.place(), answer.status(), answer.is_broken))
                .collect::<Vec<_>>()
        });
        assert_eq!(found.as_deref(), expected, "{body}");
    }

    #[test]
    fn one_broken_answer_costs_no_other() {
        let (good, other) = (r#"{"id":"0","status":200,"body":{}}"#, r#"{"id":"2","status":404,"body":{}}"#);
        let broken =
            r#"{"id":"1","status":503,"headers":{"Retry-After":"7"},"body":Service is {warming}, up}"#;
        let (zero, one, two) =
            ((Some(0), Some(200), false), (Some(1), Some(503), true), (Some(2), Some(404), false));
        check(&format!(r#"{{"responses":[{good},{broken},{other}]}}"#), Some(&[zero, one, two]));
        check(&format!(r#"{{"responses" : [ {broken} , {good} ]}}"#), Some(&[one, zero]));
        check(&format!(r#"{{"responses":[{good},{broken}]}}"#), Some(&[zero, one]));
        let second = broken.replace(r#""1""#, r#""3""#);
        check(
            &format!(r#"{{"responses":[{broken},{second},{other}]}}"#),
            Some(&[one, (Some(3), Some(503), true), two]),
        );
        let read = read(format!(r#"{{"responses":[{broken}]}}"#).as_bytes()).expect("one answer");
        assert!(
            read[0]
                .headers
                .as_ref()
                .is_some_and(|headers| headers.retry_after == Scalar::Text("7".to_owned()))
        );
    }

    #[test]
    fn text_that_pretends_to_be_an_answer_counts_for_nothing() {
        let body = r#"{"responses":[{"id":"0","status":200,"body":{}},{"id":"1","status":200,"body":a},{"id":"0","status":404},b}]}"#;
        check(body, Some(&[(Some(1), Some(200), true)]));
    }

    #[test]
    fn what_holds_no_answers_is_an_error() {
        for body in ["", "<html>", "[[]]", "{}", r#"{"responses":[}"#, r#"{"responses":7}"#] {
            check(body, None);
        }
        check(r#"{"responses":[]}"#, Some(&[]));
        let many = format!(r#"{{"responses":[{{"id":"0","status":200,"body":x{}"#, "},{".repeat(100_000));
        check(&many, None);
    }
}
