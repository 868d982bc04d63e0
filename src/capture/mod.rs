//! Captures: one answer of Graph to each request, without the tenant's data. Pure, except for [`files`].
//!
//! [`assemble`] scrubs the recorded answers and counts what it keeps; [`files::write`] writes the result. Ids, names,
//! addresses and texts become pseudonyms that are the same in each answer, so that a replay joins them as the tenant
//! does. Closed lists in [`words`] decide what stays verbatim.

mod bodies;
pub mod files;
mod forms;
mod json;
mod links;
pub mod names;
mod pseudonym;
mod scrub;
pub mod summary;
mod words;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use bodies::Form;
use names::Names;
pub use pseudonym::Key;
use scrub::Scrub;
use summary::Summary;

/// The form of the files; a replay reads no other.
pub const FORMAT: u32 = 1;

/// The list that has people's devices among those of rooms.
const LIST_OF_PEOPLE: &str = "/v1.0/deviceManagement/managedDevices";

/// An answer as it came.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub operation: &'a str,
    pub method: &'a str,
    /// From the API version on, with the query.
    pub path: &'a str,
    pub status: u16,
    pub body: &'a [u8],
}

/// Facts of the tenant that the scrubber needs in order to remove them.
pub struct Settings<'s> {
    /// Drawn for this capture, and used for nothing else.
    pub key: Key,
    /// When the answers came, in Unix seconds.
    pub moment: i64,
    /// The Graph root of the tenant.
    pub root: String,
    /// Own ids, and what is written instead of each.
    pub stand_ins: Vec<(String, String)>,
    /// Ids of Microsoft's products, in lower case.
    pub public_ids: HashSet<String>,
    pub secret: Secret<'s>,
}

/// The client secret, of which Graph shows the first characters.
pub struct Secret<'s> {
    pub begins_with: &'s dyn Fn(&str) -> bool,
    /// Its first characters are written instead.
    pub instead: String,
}

/// A capture before it is written.
pub struct Capture {
    pub index: Index,
    /// Name and content of each file but the index.
    pub files: Vec<(String, String)>,
    pub summary: Summary,
    /// The pseudonyms, for a comparison of a replay with its tenant.
    pub names: Names,
}

/// `capture.json`
#[derive(Debug, Serialize)]
pub struct Index {
    format: u32,
    exporter: &'static str,
    /// When the answers came, on the day that every capture is written as.
    moment: String,
    requests: Vec<Request>,
}

/// One answer in the index.
#[derive(Debug, Serialize)]
struct Request {
    operation: String,
    method: String,
    path: String,
    status: u16,
    body: Form,
    /// The file with the body; absent if the body is not JSON, because its form says enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Scrubs the recorded answers. If a request was repeated, its last answer counts.
pub fn assemble(answers: &[Answer<'_>], left_out: usize, settings: Settings<'_>) -> Capture {
    let Settings { key, moment, root, stand_ins, public_ids, secret } = settings;
    let (days, moment) = forms::day_of_capture(moment);
    let moment = jiff::Timestamp::from_second(moment).unwrap_or_default().to_string();
    let index = Index { format: FORMAT, exporter: env!("CARGO_PKG_VERSION"), moment, requests: Vec::new() };
    let names = Names::new(&key, &root, &stand_ins, public_ids);
    let summary = Summary { left_out, ..Summary::default() };
    let mut capture = Capture { index, files: Vec::new(), summary, names };
    let answers = in_order(answers);
    let mentioned = mentioned(&answers);
    for answer in &answers {
        capture.add(answer, days, &secret, &mentioned);
    }
    capture
}

impl Capture {
    /// Returns true if Graph answered nothing at all.
    pub fn is_empty(&self) -> bool {
        self.index.requests.is_empty()
    }

    fn add(&mut self, answer: &Answer<'_>, days: i32, secret: &Secret<'_>, mentioned: &HashSet<String>) {
        let path = self.names.path(answer.path);
        let source = self.summary.sources.entry(answer.operation.to_owned()).or_default();
        let is_good = (200..300).contains(&answer.status);
        source.requests += 1;
        source.refused += usize::from(!is_good);
        let (body, value) = bodies::sort(answer.body);
        let file = value.map(|(mark, value)| {
            let is_list_of_people = is_good && path.template == LIST_OF_PEOPLE;
            let reduced = is_list_of_people.then(|| bodies::without_people(value, mentioned)).flatten();
            source.unrelated += reduced.as_ref().map_or(0, |(_, gone)| *gone);
            let value = reduced.as_ref().map_or(value, |(rest, _)| rest);
            // The members of an error are not those of the resource.
            let template = if is_good { path.template.as_str() } else { "" };
            let mut scrub = Scrub { names: &mut self.names, secret, days, source, template };
            let name = format!("{:04}-{}.json", self.files.len() + 1, answer.operation);
            self.files.push((name.clone(), format!("{mark}{}\n", scrub.answer(value))));
            name
        });
        let (operation, method) = (answer.operation.to_owned(), answer.method.to_owned());
        let request = Request { operation, method, path: path.text, status: answer.status, body, file };
        self.index.requests.push(request);
    }
}

/// The answers by source and path, so that the same answers make the same capture; of each request the last.
fn in_order<'a>(answers: &[Answer<'a>]) -> Vec<Answer<'a>> {
    let mut last = BTreeMap::new();
    for (place, answer) in answers.iter().enumerate() {
        // Requests by POST with the same path differ in their bodies.
        let place = if answer.method == "GET" { 0 } else { place };
        last.insert((answer.operation, answer.path, answer.method, place), *answer);
    }
    last.into_values().collect()
}

/// Every text of the sources that know rooms.
fn mentioned(answers: &[Answer<'_>]) -> HashSet<String> {
    let mut found = HashSet::new();
    for answer in answers.iter().filter(|answer| !answer.path.starts_with(LIST_OF_PEOPLE)) {
        if let (_, Some((_, value))) = bodies::sort(answer.body) {
            bodies::texts(value, &mut found);
        }
    }
    found
}

#[cfg(test)]
mod tests;
