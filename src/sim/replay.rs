//! A capture of `check --capture`, served as Graph: the same answers, with dates of today.
//!
//! The replay finds the answer to a request, or to an item of a batch, by its path and query. It composes the answer to a POST
//! from all captured answers, because each client asks for other accounts in one request. All dates move by the time
//! between the capture and the start of the replay, so that ages are those of the capture. The data then age as
//! usual: dates that move with the clock would differ at each reading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::reply::Reply;
use super::routes::{self, GraphRequest};

/// The form of captures that is understood.
const FORMAT: u32 = 1;

/// Stands for the Graph root in the links of a capture.
const ROOT: &str = "https://graph.example";

/// Query options that change how much comes, and not what: another version of the exporter may send others.
const WITHOUT_MEANING: [&str; 3] = ["$select", "$top", "$count"];

/// The questions that are asked by POST: the end of their path, the list of keys in the question, the key of an item.
const QUESTIONS: [(&str, &str, &str); 2] = [
    ("/communications/getPresencesByUserId", "ids", "id"),
    ("/calendar/getSchedule", "schedules", "scheduleId"),
];

/// The end of the path of the rooms in a list.
const ROOMS_OF_LIST: &str = "/microsoft.graph.roomlist/rooms";

/// `capture.json`
#[derive(Deserialize)]
struct Index {
    format: u32,
    moment: String,
    requests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    method: String,
    path: String,
    status: u16,
    /// `json`, or a form that says enough.
    body: String,
    file: Option<String>,
}

/// A capture in memory.
#[derive(Debug)]
pub struct Replay {
    moment: Timestamp,
    /// By method, path and query in one spelling.
    answers: HashMap<String, Answer>,
    /// The items of all answers to a question, by the end of its path and their key in lower case.
    items: HashMap<(&'static str, String), String>,
    /// The sources that were captured.
    sources: HashSet<&'static str>,
    /// Addresses of the room lists that were read instead of all rooms.
    room_lists: Vec<String>,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Json(String),
    /// A stand-in for a body of this form.
    Other(&'static str, &'static str),
}

impl Replay {
    /// Reads a capture from its directory.
    pub fn load(directory: &Path) -> io::Result<Self> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
        let index = fs::read(directory.join("capture.json"))?;
        let index: Index =
            serde_json::from_slice(&index).map_err(|error| invalid(format!("capture.json: {error}")))?;
        if index.format != FORMAT {
            return Err(invalid(format!(
                "its format is {}, and {FORMAT} is the one that is known",
                index.format
            )));
        }
        let moment =
            index.moment.parse().map_err(|error| invalid(format!("capture.json: moment: {error}")))?;
        let (answers, items, sources) = (HashMap::new(), HashMap::new(), HashSet::new());
        let mut replay = Self { moment, answers, items, sources, room_lists: Vec::new() };
        for entry in &index.requests {
            let body = match &entry.file {
                // A name with a separator would lead out of the directory.
                Some(file) if file.contains(['/', '\\']) => {
                    return Err(invalid(format!("`{file}` is no file name")));
                }
                Some(file) => Body::Json(fs::read_to_string(directory.join(file))?.trim_end().to_owned()),
                None => stand_in(&entry.body),
            };
            replay.add(entry, body);
        }
        Ok(replay)
    }

    /// The number of answers.
    pub fn answers(&self) -> usize {
        self.answers.len()
    }

    /// The room lists that an exporter has to read to find its answers.
    pub fn room_lists(&self) -> &[String] {
        &self.room_lists
    }

    fn add(&mut self, entry: &Entry, body: Body) {
        let path = entry.path.split('?').next().unwrap_or_default();
        self.sources.insert(routes::noun(path));
        let list = path.strip_prefix("/v1.0/places/").and_then(|rest| rest.strip_suffix(ROOMS_OF_LIST));
        self.room_lists.extend(list.map(plain).filter(|list| !self.room_lists.contains(list)));
        let question = QUESTIONS.iter().find(|(end, ..)| path.ends_with(end));
        if let (Some((end, _, key)), Body::Json(text), 200..300) = (question, &body, entry.status) {
            self.add_items(end, key, text);
        }
        let (method, query) = (&entry.method, entry.path.split_once('?').map_or("", |(_, query)| query));
        self.answers.insert(spelled(method, path, query), Answer { status: entry.status, body });
    }

    fn add_items(&mut self, end: &'static str, key: &str, text: &str) {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            value: Vec<&'a RawValue>,
        }
        let items = serde_json::from_str::<List<'_>>(text.trim_start_matches('\u{feff}'))
            .map(|list| list.value)
            .unwrap_or_default();
        for item in items {
            let value: Value = serde_json::from_str(item.get()).unwrap_or_default();
            if let Some(key) = value.get(key).and_then(Value::as_str) {
                self.items.insert((end, key.to_lowercase()), item.get().to_owned());
            }
        }
    }

    /// The answer to a request of Graph, with dates as if the capture had been made at `start`.
    pub(super) fn answer(&self, request: &GraphRequest<'_>, start: Timestamp) -> Reply {
        let question =
            QUESTIONS.iter().find(|(end, ..)| request.method == "POST" && request.path.ends_with(end));
        let found = match question {
            Some(question) => self.put_together(question, request),
            None => self.answers.get(&spelled(request.method, request.path, request.query)).cloned(),
        };
        let Some(Answer { status, body }) = found else { return self.missing(request) };
        match body {
            Body::Json(text) => {
                Reply::raw(moved(&text.replace(ROOT, request.root), self.shift(start))).with_status(status)
            }
            Body::Other(content_type, text) => Reply::text(content_type, text).with_status(status),
        }
    }

    fn shift(&self, start: Timestamp) -> i64 {
        start.as_second() - self.moment.as_second()
    }

    /// The items that are asked for. A mailbox that refused to be asked through refuses again.
    fn put_together(
        &self,
        (end, list, _): &(&'static str, &str, &str),
        request: &GraphRequest<'_>,
    ) -> Option<Answer> {
        let captured = self.answers.get(&spelled(request.method, request.path, ""));
        if let Some(refusal) = captured.filter(|answer| answer.status >= 400) {
            return Some(refusal.clone());
        }
        if !self.sources.contains(routes::noun(request.path)) {
            return None;
        }
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let keys = body.get(*list).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let items = keys.filter_map(|key| self.items.get(&(*end, key.to_lowercase())));
        let items = items.map(String::as_str).collect::<Vec<_>>().join(",");
        Some(Answer { status: 200, body: Body::Json(format!(r#"{{"value":[{items}]}}"#)) })
    }

    /// A source that was not captured is one without permission; of a source that was, the item does not exist.
    fn missing(&self, request: &GraphRequest<'_>) -> Reply {
        let operation = routes::operation(request.path);
        let is_captured = self.sources.contains(routes::noun(request.path));
        let (status, code) = if is_captured { (404, "ResourceNotFound") } else { (403, "Forbidden") };
        tracing::warn!(
            method = request.method,
            path = request.path,
            query = request.query,
            status,
            "not in the capture"
        );
        Reply::error(status, code, format!("The capture has no answer to {} {operation}.", request.method))
    }
}

fn stand_in(form: &str) -> Body {
    const JSON: &str = "application/json";
    match form {
        "html" => Body::Other("text/html; charset=utf-8", "<!DOCTYPE html><html></html>"),
        "broken" => Body::Other(JSON, "{\"value\":["),
        "text" => Body::Other("text/plain", "not JSON"),
        _ => Body::Other(JSON, ""),
    }
}

/// Method, path and query in one spelling: nothing escaped, options in order and without those that mean nothing.
fn spelled(method: &str, path: &str, query: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| (plain(name).to_lowercase(), plain(value)));
    let options: BTreeMap<String, String> =
        pairs.filter(|(name, _)| !WITHOUT_MEANING.contains(&name.as_str())).collect();
    let mut spelled = format!("{method} {}", plain(path).to_lowercase());
    for (name, value) in options {
        let _ = write!(spelled, " {name}={value}");
    }
    spelled
}

fn plain(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// JSON with each date moved by this number of seconds. Only texts change: order and numbers stay as they are.
fn moved(json: &str, seconds: i64) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let (before, quoted) = rest.split_at(start + 1);
        let end = end_of_text(quoted);
        let (text, after) = quoted.split_at(end);
        out.push_str(before);
        match moved_date(text, seconds) {
            Some(date) => out.push_str(&date),
            None => out.push_str(text),
        }
        let (quote, after) = after.split_at(after.len().min(1));
        out.push_str(quote);
        rest = after;
    }
    out + rest
}

/// The end of the text that begins here: the first quote without a backslash.
fn end_of_text(quoted: &str) -> usize {
    let mut is_escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.unwrap_or(quoted.len())
}

/// A date or a time, in the form that it has; none if the text is something else, or stands for "never".
fn moved_date(text: &str, seconds: i64) -> Option<String> {
    const DAY: i64 = 86_400;
    let (day, rest) = text.split_at_checked(10)?;
    let date: Date = day.parse().ok().filter(|_| day.as_bytes().get(4) == Some(&b'-'))?;
    if !(1950..=2150).contains(&date.year()) || text.starts_with("1970-01-01T00:00:00") {
        return None;
    }
    let (time, suffix) = rest.split_at(rest.len().min(9));
    let is_suffix = suffix.bytes().all(|b| b.is_ascii_digit() || b"Z.+-:".contains(&b));
    let whole: Option<DateTime> = format!("{day}{time}").parse().ok().filter(|_| time.len() == 9);
    if let Some(moment) = whole.filter(|_| is_suffix) {
        let moved =
            moment.to_zoned(TimeZone::UTC).ok()?.checked_add(jiff::Span::new().seconds(seconds)).ok()?;
        return Some(format!("{}{suffix}", moved.strftime("%Y-%m-%dT%H:%M:%S")));
    }
    // A day alone, or a time that is written in no common way: whole days must do.
    let of_time = |b: u8| b.is_ascii_digit() || b"TtZz:.,+- ".contains(&b);
    let days = (seconds + DAY / 2).div_euclid(DAY);
    let moved = date.checked_add(jiff::Span::new().days(days)).ok().filter(|_| rest.bytes().all(of_time))?;
    Some(format!("{moved}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_move_and_nothing_else_does() {
        let json = r#"{"a":"2025-01-01T23:59:50Z","b":"2025-01-01T08:00:00.0000000","c":"2024-12-31","d":1.50,"e":"say \"2025-01-01\"","f":"0001-01-01T00:00:00Z","g":"2025-01-01T08-00-00.45Z","h":"2025-01-01T08:00:00.420+01:00"}"#;
        let expected = r#"{"a":"2025-01-03T00:00:10Z","b":"2025-01-02T08:00:20.0000000","c":"2025-01-01","d":1.50,"e":"say \"2025-01-01\"","f":"0001-01-01T00:00:00Z","g":"2025-01-02T08-00-00.45Z","h":"2025-01-02T08:00:20.420+01:00"}"#;
        assert_eq!(moved(json, 86_420), expected);
        assert_eq!(moved(json, 0), json);
        for odd in ["", "\"", "{\"a\":\"2025-01-0", "\"a\\"] {
            assert_eq!(moved(odd, 5), odd);
        }
    }

    #[test]
    fn requests_are_found_however_they_are_written() {
        let check = |one: (&str, &str), other: (&str, &str), is_same: bool| {
            assert_eq!(
                spelled("GET", one.0, one.1) == spelled("GET", other.0, other.1),
                is_same,
                "{one:?} {other:?}"
            );
        };
        let list = "/beta/teamwork/devices";
        check(
            (list, "$filter=deviceType%20eq%20'sip'&$top=50"),
            (list, "$top=20&$filter=deviceType eq %27sip%27"),
            true,
        );
        check(("/v1.0/users/a%40b", ""), ("/v1.0/users/A@b", "$select=id"), true);
        check((list, "$skiptoken=a%2Bb"), (list, "$skiptoken=a+b"), true);
        check((list, "$skiptoken=a"), (list, "$skiptoken=A"), false);
        check((list, "$skip=0"), (list, "$skip=100"), false);
    }
}
