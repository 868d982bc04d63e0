//! The scrubber: an answer of Graph goes in, the same answer without the tenant comes out.
//!
//! Structure, order, types, nulls, enumeration values, sizes, forms of dates and their distance to the capture stay.
//! Every other text becomes a pseudonym ([`crate::capture::names`]), consistent over all answers of a capture.

use serde_json::value::RawValue;

use crate::capture::json::{self, Json};
use crate::capture::names::Names;
use crate::capture::pseudonym::squeeze;
use crate::capture::summary::Source;
use crate::capture::{Secret, forms, words};

/// Objects in objects; Graph nests six deep. Deeper values become null.
const DEEPEST: usize = 32;

/// Stands for a text that is not Unicode: the exporter has to cope with one.
const HALF_A_PAIR: &str = r#""\ud800""#;

/// The state of the scrubber for one answer.
pub(super) struct Scrub<'s> {
    pub(super) names: &'s mut Names,
    pub(super) secret: &'s Secret<'s>,
    /// Number of days that dates move by.
    pub(super) days: i32,
    /// Counts the values of the source.
    pub(super) source: &'s mut Source,
    /// The path of the resource with `{id}` for ids; empty for an error, whose members belong to no resource.
    pub(super) template: &'s str,
}

/// The place of a value.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The name of the member that holds it, or that holds the list with it.
    member: &'a str,
    /// The name of the member around that one.
    parent: &'a str,
    /// The members from the item down to it, with dots; empty for the item itself.
    path: &'a str,
    depth: usize,
}

/// The result for one text.
enum Scrubbed {
    /// A word of Microsoft.
    Word,
    /// A value of an enumeration that is not made of Microsoft's words.
    UnknownWord(String),
    /// A version, a maker or another text of public form.
    Public,
    Date(String),
    Pseudonym(String),
}

impl Scrub<'_> {
    /// A whole answer.
    pub(super) fn answer(&mut self, raw: &RawValue) -> String {
        let mut out = String::with_capacity(raw.get().len());
        let at = At { member: "", parent: "", path: "", depth: 0 };
        match json::open(raw) {
            Json::Object(members) => {
                let items = members.iter().find(|(name, value)| is_items(name, value));
                self.source.documents += match items.map(|(_, value)| json::open(value)) {
                    Some(Json::Array(items)) => items.len(),
                    _ => 1,
                };
                self.object(&members, at, &mut out);
            }
            _ => self.value(raw, at, &mut out),
        }
        out
    }

    fn value(&mut self, raw: &RawValue, at: At<'_>, out: &mut String) {
        match json::open(raw) {
            Json::Object(_) | Json::Array(_) if at.depth > DEEPEST => out.push_str("null"),
            Json::Object(members) => self.object(&members, at, out),
            Json::Array(items) => self.array(&items, at, out),
            Json::Text(text) => out.push_str(&json::quoted(&self.text(&text, at))),
            Json::Number(written) => out.push_str(&self.number(written, at)),
            Json::Word(word) => out.push_str(word),
            Json::Undecodable => out.push_str(HALF_A_PAIR),
        }
    }

    fn object(&mut self, members: &[(String, &RawValue)], at: At<'_>, out: &mut String) {
        out.push('{');
        for (place, (name, value)) in members.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            let name = self.member_name(name);
            out.push_str(&json::quoted(&name));
            out.push(':');
            let path = match at.path {
                "" if at.depth == 0 && is_items(&name, value) => String::new(),
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            if !self.template.is_empty() && !path.is_empty() && value.get() != "null" {
                self.source.note_member(self.template, &path);
            }
            let at = At { member: &name, parent: at.member, path: &path, depth: at.depth + 1 };
            self.value(value, at, out);
        }
        out.push('}');
    }

    fn array(&mut self, items: &[&RawValue], at: At<'_>, out: &mut String) {
        out.push('[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            self.value(item, At { depth: at.depth + 1, ..at }, out);
        }
        out.push(']');
    }

    /// A name that has not the form of an identifier could be a text.
    fn member_name(&mut self, name: &str) -> String {
        if forms::is_identifier(name) { name.to_owned() } else { self.names.text(name) }
    }

    fn text(&mut self, text: &str, at: At<'_>) -> String {
        match self.judge(text, at) {
            Scrubbed::Word => {
                self.source.note_word(at.member, text);
                text.to_owned()
            }
            Scrubbed::Public => {
                self.source.note_public(at.member);
                text.to_owned()
            }
            Scrubbed::Date(moved) => {
                self.source.dates += 1;
                moved
            }
            Scrubbed::UnknownWord(pseudonym) => {
                self.source.note_unknown_word(at.member);
                pseudonym
            }
            Scrubbed::Pseudonym(pseudonym) => {
                self.source.pseudonyms += u64::from(pseudonym != text);
                pseudonym
            }
        }
    }

    fn judge(&mut self, text: &str, at: At<'_>) -> Scrubbed {
        let member = at.member.to_ascii_lowercase();
        if text.is_empty() {
            return Scrubbed::Pseudonym(String::new());
        }
        if let Some(annotation) = member.rsplit_once("@odata.").map(|(_, annotation)| annotation) {
            return self.annotation(annotation, text);
        }
        if words::is_enum(&member) {
            let is_known = words::is_known(text);
            return if is_known { Scrubbed::Word } else { Scrubbed::UnknownWord(self.names.text(text)) };
        }
        if words::is_date(&member)
            && let Some(moved) = forms::moved(text, self.days)
        {
            return Scrubbed::Date(moved);
        }
        if is_public(text, &member, at.parent) {
            return Scrubbed::Public;
        }
        if member == "hint" {
            return Scrubbed::Pseudonym(self.hint(text));
        }
        Scrubbed::Pseudonym(self.names.text(text))
    }

    fn annotation(&mut self, annotation: &str, text: &str) -> Scrubbed {
        match annotation {
            "type" if text.strip_prefix("#microsoft.graph.").is_some_and(words::is_known) => Scrubbed::Public,
            "type" => Scrubbed::Pseudonym(self.names.text(text)),
            _ => Scrubbed::Pseudonym(self.names.link(text)),
        }
    }

    /// The first characters of a secret. Those of our own become those of the secret that opens a replay.
    fn hint(&self, text: &str) -> String {
        let length = text.chars().count();
        if (self.secret.begins_with)(text) {
            self.secret.instead.chars().take(length).collect()
        } else {
            "?".repeat(length)
        }
    }

    fn number(&mut self, written: &str, at: At<'_>) -> String {
        let digits = written.bytes().filter(u8::is_ascii_digit).count();
        if digits < 2 || words::is_exact_number(at.member) {
            self.source.numbers += 1;
            return written.to_owned();
        }
        self.source.masked_numbers += 1;
        let masked = self.names.number(written);
        let is_angle =
            at.member.eq_ignore_ascii_case("latitude") || at.member.eq_ignore_ascii_case("longitude");
        if is_angle { within_a_circle(&masked) } else { masked }
    }
}

/// The items of a list, or the entity that some answers wrap.
fn is_items(name: &str, value: &RawValue) -> bool {
    name.eq_ignore_ascii_case("value") && value.get().starts_with(['[', '{'])
}

/// Texts that are the same in many tenants: versions, makers, models, USB ids, views of busy time, times of day.
fn is_public(text: &str, member: &str, parent: &str) -> bool {
    let is_product = parent.eq_ignore_ascii_case("peripheral") && member == "displayname";
    match member {
        "manufacturer" => words::is_maker(&squeeze(text)),
        "model" => words::is_model(&squeeze(text)),
        _ if is_product => words::is_model(&squeeze(text)),
        "vendorid" | "productid" => forms::is_usb_id(text),
        "availabilityview" => forms::is_view(text),
        _ if member.ends_with("version") => forms::is_version(text, words::is_version_word),
        _ => member.ends_with("time") && forms::is_time_of_day(text),
    }
}

/// A latitude or longitude must stay one: of two digits it is at most 89, of three 109.
fn within_a_circle(written: &str) -> String {
    let (sign, rest) = written.split_at(usize::from(written.starts_with('-')));
    let whole = rest.find(['.', 'e', 'E']).unwrap_or(rest.len());
    let (whole, fraction) = rest.split_at(whole);
    let whole = match whole.as_bytes() {
        [b'9', last] => format!("8{}", char::from(*last)),
        [_, _, last] => format!("10{}", char::from(*last)),
        _ => whole.to_owned(),
    };
    format!("{sign}{whole}{fraction}")
}
