//! The operator's table of rooms: `email,object_id,building,floor,city,country,site,owner,tier,exclude`.
//!
//! Text in, facts out; `crate::rooms_file` reads the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use uuid::Uuid;

use crate::model::MAX_ID_CHARS;
use crate::spelling;

/// What the table says, by e-mail in lower case.
pub type Rooms = BTreeMap<Arc<str>, RoomFacts>;

/// What the table says of one room; what it leaves empty is left to other sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoomFacts {
    /// Entra object id of the account, lower case: joins devices whose rows name no mail address.
    pub object_id: Option<Arc<str>>,
    pub building: Option<Arc<str>>,
    pub floor: Option<Arc<str>>,
    pub city: Option<Arc<str>>,
    pub country: Option<Arc<str>>,
    pub site: Option<Arc<str>>,
    pub owner: Option<Arc<str>>,
    pub tier: Option<Arc<str>>,
    /// Not a room, whatever other sources say.
    pub exclude: bool,
}

/// Where the table is wrong, and the cure.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {reason}", column.map(|name| format!(", column {name}")).unwrap_or_default())]
pub struct Error {
    /// Counted from 1.
    pub line: u64,
    pub column: Option<&'static str>,
    pub reason: String,
}

/// Twice the rooms of the largest fleet that one process holds; a longer table is not one of rooms.
pub const MAX_ROWS: usize = 100_000;

/// What a message shows of a cell.
const MAX_SHOWN: usize = 64;

const COLUMNS: [&str; 10] =
    ["email", "object_id", "building", "floor", "city", "country", "site", "owner", "tier", "exclude"];

/// Reads the table. Its first line names the columns in any order; only `email` must be there.
///
/// Cells are separated by commas, or as spreadsheets of some countries have it by semicolons or tabs.
pub fn parse(text: &str) -> Result<Rooms, Error> {
    let (delimiter, separator_line) = delimiter(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true) // the messages of the library name no cure
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns = None;
    let mut rooms = Rooms::new();
    let mut lines = Lines::default();
    for record in reader.records() {
        let record = record.map_err(|error| Error { line: 1, column: None, reason: error.to_string() })?;
        let line = line(text, &record);
        if separator_line == Some(line) {
            continue;
        }
        let Some(columns) = &columns else {
            columns = Some(header(&record, line)?);
            continue;
        };
        if record.iter().all(str::is_empty) {
            continue; // spreadsheets leave such rows where a room was deleted
        }
        let (email, facts) = row(&record, columns, line)?;
        if rooms.len() == MAX_ROWS {
            let reason = format!("more than {MAX_ROWS} rooms; split the tenant's rooms over several tenants");
            return Err(Error { line, column: None, reason });
        }
        lines.note("email", &email, line)?;
        if let Some(object_id) = &facts.object_id {
            lines.note("object_id", object_id, line)?;
        }
        rooms.insert(email, facts);
    }
    if columns.is_none() {
        let reason = format!("is empty; the first line names the columns: {}", COLUMNS.join(","));
        return Err(Error { line: 1, column: None, reason });
    }
    Ok(rooms)
}

/// The line of each name that was read.
#[derive(Default)]
struct Lines(BTreeMap<Arc<str>, u64>);

impl Lines {
    fn note(&mut self, column: &'static str, name: &Arc<str>, line: u64) -> Result<(), Error> {
        let Some(first) = self.0.insert(name.clone(), line) else { return Ok(()) };
        let reason = format!("{} is in line {first} already; keep one of them", shown(name));
        Err(Error { line, column: Some(column), reason })
    }
}

/// The separator of the cells, and the line that names it if there is one. Excel writes `sep=;` in a line before the header.
/// Without such a line, the first separator of the header counts.
fn delimiter(text: &str) -> (u8, Option<u64>) {
    let lines = (1..).zip(text.lines());
    let (number, first) = lines.into_iter().find(|(_, line)| !line.trim().is_empty()).unwrap_or((1, ""));
    let known = |byte: &u8| b",;\t".contains(byte);
    let named = first.trim_start().get(..4).filter(|start| start.eq_ignore_ascii_case("sep="));
    if let Some(byte) = named.and_then(|_| first.trim_start().as_bytes().get(4).copied()).filter(known) {
        return (byte, Some(number));
    }
    (first.bytes().find(|byte| known(byte)).unwrap_or(b','), None)
}

/// The line of a record, counted from 1; the library counts from the empty lines before it.
fn line(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let rest = usize::try_from(position.byte()).ok().and_then(|at| text.as_bytes().get(at..));
    let empty = rest.unwrap_or_default().iter().take_while(|byte| b"\r\n".contains(byte));
    let empty = empty.filter(|byte| **byte == b'\n').count();
    position.line() + u64::try_from(empty).unwrap_or_default()
}

/// The columns in their order in the table.
fn header(record: &StringRecord, line: u64) -> Result<Vec<&'static str>, Error> {
    let wrong = |reason| Error { line, column: None, reason };
    let mut columns = Vec::new();
    for cell in filled(record) {
        let known = COLUMNS.into_iter().find(|known| known.eq_ignore_ascii_case(cell)).ok_or_else(|| {
            let hint = spelling::did_you_mean(cell, &COLUMNS);
            let the = if hint.is_empty() { "; the" } else { " The" };
            wrong(format!("unknown column {}{hint}{the} columns are {}", shown(cell), COLUMNS.join(",")))
        })?;
        if columns.contains(&known) {
            return Err(wrong(format!("the column {known} is there twice; keep one of them")));
        }
        columns.push(known);
    }
    if columns.contains(&"email") {
        return Ok(columns);
    }
    Err(wrong("the column email is missing; it says which room a line is about".to_owned()))
}

/// The cells of a record without the empty ones at its end: spreadsheets add some, and leave others out.
fn filled(record: &StringRecord) -> impl Iterator<Item = &str> {
    let last = record.iter().enumerate().filter(|(_, cell)| !cell.is_empty()).last();
    let count = last.map_or(0, |(index, _)| index + 1);
    record.iter().take(count)
}

fn row(record: &StringRecord, columns: &[&'static str], line: u64) -> Result<(Arc<str>, RoomFacts), Error> {
    if filled(record).count() > columns.len() {
        let (cells, columns) = (filled(record).count(), columns.len());
        let reason = format!(
            "{cells} cells under {columns} columns; put a cell that has the separator in it into double quotes"
        );
        return Err(Error { line, column: None, reason });
    }
    let mut email = Err("is empty; every line needs the e-mail address of its room".to_owned());
    let mut facts = RoomFacts::default();
    for (column, cell) in columns.iter().zip(filled(record)) {
        let wrong = |reason| Error { line, column: Some(column), reason };
        if cell.contains(char::is_control) {
            let reason = "a line break or another control character in a cell; is a double quote left open?";
            return Err(wrong(reason.to_owned()));
        }
        let text = Some(cell).filter(|cell| !cell.is_empty()).map(Arc::from);
        match *column {
            "email" if !cell.is_empty() => email = check_email(cell),
            "object_id" if !cell.is_empty() => facts.object_id = Some(check_object_id(cell).map_err(wrong)?),
            "building" => facts.building = text,
            "floor" => facts.floor = text,
            "city" => facts.city = text,
            "country" => facts.country = text,
            "site" => facts.site = text,
            "owner" => facts.owner = text,
            "tier" => facts.tier = text,
            "exclude" => facts.exclude = check_exclude(cell).map_err(wrong)?,
            _ => {}
        }
    }
    let email = email.map_err(|reason| Error { line, column: Some("email"), reason })?;
    Ok((email, facts))
}

/// The address without what spreadsheets and address books put around it: `'`, `mailto:`, `SMTP:` and invisible marks.
fn check_email(cell: &str) -> Result<Arc<str>, String> {
    let visible: String = cell.chars().filter(|c| !is_invisible(*c)).collect();
    let text = visible.trim();
    let text = text.strip_prefix('\'').unwrap_or(text).trim_start();
    let prefix = ["mailto:", "smtp:"]
        .into_iter()
        .find(|prefix| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    let email = text.get(prefix.map_or(0, str::len)..).unwrap_or(text).trim_start();
    if is_email(email) {
        return Ok(email.to_lowercase().into());
    }
    Err(format!("{} is no e-mail address; write it like oslo@contoso.example", shown(cell)))
}

fn check_object_id(cell: &str) -> Result<Arc<str>, String> {
    if let Ok(id) = Uuid::try_parse(cell) {
        return Ok(id.to_string().into());
    }
    let example = "11111111-2222-4333-8444-555555555555";
    Err(format!("{} is not the object id of an account in Entra; write it like {example}", shown(cell)))
}

/// Whether this looks like an e-mail address; only Exchange knows whether it is one.
pub fn is_email(text: &str) -> bool {
    text.chars().flat_map(char::to_lowercase).count() <= MAX_ID_CHARS
        && text
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && !text.contains(|c: char| {
            c.is_whitespace()
                || c.is_control()
                || is_invisible(c)
                || matches!(c, ':' | ',' | ';' | '<' | '>' | '"')
        })
}

/// Returns true for invisible marks, which no address has: two addresses that look the same would be two rooms.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn check_exclude(cell: &str) -> Result<bool, String> {
    match cell.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "" | "false" | "no" | "0" => Ok(false),
        _ => Err(format!("{} is neither yes nor no; write true or leave it empty", shown(cell))),
    }
}

fn shown(cell: &str) -> String {
    let start: String = cell.chars().take(MAX_SHOWN).collect();
    if start.len() < cell.len() { format!("`{start}...`") } else { format!("`{start}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OSLO: &str = "oslo@contoso.example";

    fn facts(building: &str, owner: &str) -> RoomFacts {
        let said = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Arc::from);
        RoomFacts { building: said(building), owner: said(owner), ..RoomFacts::default() }
    }

    #[test]
    fn a_full_table() {
        let text = "email,object_id,building,floor,city,country,site,owner,tier,exclude\n\
                    Oslo@contoso.example,11111111-2222-4333-8444-55555555555A,\"Main, \"\"A\"\"\",3,Oslo,NO,oslo,av-emea,gold,\n\
                    bergen@contoso.example,,,,,,,,,YES\n";
        let said = |text: &str| Some(Arc::from(text));
        let oslo = RoomFacts {
            object_id: said("11111111-2222-4333-8444-55555555555a"),
            building: said("Main, \"A\""),
            floor: said("3"),
            city: said("Oslo"),
            country: said("NO"),
            site: said("oslo"),
            owner: said("av-emea"),
            tier: said("gold"),
            exclude: false,
        };
        let bergen = RoomFacts { exclude: true, ..RoomFacts::default() };
        let expected = Rooms::from([(OSLO.into(), oslo), ("bergen@contoso.example".into(), bergen)]);
        assert_eq!(parse(text), Ok(expected));
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, RoomFacts)]) {
        let expected = expected.iter().map(|(email, facts)| (Arc::from(*email), facts.clone())).collect();
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }

    #[test]
    fn tables_as_people_and_spreadsheets_write_them() {
        check("email", &[]);
        check("email\n\n", &[]);
        check("email,owner\r\noslo@contoso.example,av\r\n", &[(OSLO, facts("", "av"))]);
        check("owner;Email;BUILDING\nav;OSLO@contoso.example;A, B", &[(OSLO, facts("A, B", "av"))]);
        check("email\towner\noslo@contoso.example\tav\n", &[(OSLO, facts("", "av"))]);
        check("\n\nemail , owner\n\n oslo@contoso.example , av \n,\n", &[(OSLO, facts("", "av"))]);
        check("email,exclude\noslo@contoso.example,False\n", &[(OSLO, facts("", ""))]);
        check("\nSEP=;\r\nemail;owner\noslo@contoso.example;A, B\n", &[(OSLO, facts("", "A, B"))]);
        check("sep=\t\nemail\towner\noslo@contoso.example\tav\n", &[(OSLO, facts("", "av"))]);
        check("email,building,owner,,\noslo@contoso.example,Main,,,,\n", &[(OSLO, facts("Main", ""))]);
        check("building,email,owner\nMain,oslo@contoso.example\n", &[(OSLO, facts("Main", ""))]);
    }

    #[test]
    fn an_address_is_cleaned_where_its_meaning_is_certain() {
        for cell in [
            "mailto:Oslo@contoso.example",
            "MailTo: oslo@contoso.example",
            "SMTP:oslo@contoso.example",
            "smtp:oslo@contoso.example",
            "'oslo@contoso.example",
            "'mailto:oslo@contoso.example",
            "oslo@contoso.example\u{200b}",
            "\u{200e}oslo@\u{ad}contoso.example",
            "\u{feff} oslo@contoso.example",
        ] {
            check(&format!("email\n{cell}\n"), &[(OSLO, facts("", ""))]);
        }
        for cell in [
            "sip:oslo@contoso.example",
            "smtp:mailto:oslo@contoso.example",
            "<oslo@contoso.example>",
            "a@x;b",
        ] {
            let error = parse(&format!("email\towner\n\"{cell}\"\tav\n")).expect_err(cell);
            assert_eq!((error.line, error.column), (2, Some("email")), "{error}");
        }
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_line_column_and_cure() {
        const ALL: &str = "email,object_id,building,floor,city,country,site,owner,tier,exclude";
        check_error("", &format!("line 1: is empty; the first line names the columns: {ALL}"));
        check_error("\n", &format!("line 1: is empty; the first line names the columns: {ALL}"));
        check_error(
            "email,bulding\n",
            &format!("line 1: unknown column `bulding`, did you mean `building`? The columns are {ALL}"),
        );
        check_error("\nemail,colour\n", &format!("line 2: unknown column `colour`; the columns are {ALL}"));
        check_error("email,email\n", "line 1: the column email is there twice; keep one of them");
        check_error(
            "building,owner\n",
            "line 1: the column email is missing; it says which room a line is about",
        );
        check_error(
            "email,owner\n\r\n\noslo@contoso.example,A,B\n",
            "line 4: 3 cells under 2 columns; put a cell that has the separator in it into double quotes",
        );
        check_error(
            "email,owner\n,av\n",
            "line 2, column email: is empty; every line needs the e-mail address of its room",
        );
        for email in ["oslo", "@contoso.example", "oslo@", "os lo@contoso.example", "a@b@c"] {
            check_error(
                &format!("email\n{email}\n"),
                &format!(
                    "line 2, column email: `{email}` is no e-mail address; write it like oslo@contoso.example"
                ),
            );
        }
        check_error(
            "email,exclude\noslo@contoso.example,maybe\n",
            "line 2, column exclude: `maybe` is neither yes nor no; write true or leave it empty",
        );
        check_error(
            "email\noslo@contoso.example\nx@contoso.example\n\nOSLO@contoso.example\n",
            "line 5, column email: `oslo@contoso.example` is in line 2 already; keep one of them",
        );
        let id = "11111111-2222-4333-8444-555555555555";
        check_error(
            &format!("email,object_id\noslo@contoso.example,{id}\nx@contoso.example,{{{id}}}\n"),
            &format!("line 3, column object_id: `{id}` is in line 2 already; keep one of them"),
        );
        check_error(
            "email,object_id\noslo@contoso.example,oslo\n",
            "line 2, column object_id: `oslo` is not the object id of an account in Entra; \
             write it like 11111111-2222-4333-8444-555555555555",
        );
        check_error(
            "email,owner\noslo@contoso.example,\"av\nbergen@contoso.example,av\n",
            "line 2, column owner: a line break or another control character in a cell; \
             is a double quote left open?",
        );
    }

    #[test]
    fn a_table_has_bounds() {
        let rows = |count: usize| (0..count).fold("email\n".to_owned(), |text, n| text + &format!("{n}@x\n"));
        assert_eq!(parse(&rows(MAX_ROWS)).map(|rooms| rooms.len()), Ok(MAX_ROWS));
        check_error(
            &rows(MAX_ROWS + 1),
            "line 100002: more than 100000 rooms; split the tenant's rooms over several tenants",
        );
        let long = "x".repeat(100);
        let message = parse(&format!("email\n{long}\n")).expect_err("no address").to_string();
        assert!(message.len() < 200, "{message}");
    }
}
