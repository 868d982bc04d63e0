//! Forms that texts have: dates, addresses, versions, identifiers. Pure recognizers.

use jiff::civil::Date;

/// The day on which every capture seems to be made: dates keep their distance to it.
pub(super) const DAY_OF_CAPTURE: Date = jiff::civil::date(2025, 1, 1);

/// Years outside stand for "never": 0001, 1601, 9999.
const YEARS: std::ops::RangeInclusive<i16> = 1950..=2150;
/// The zero of Unix clocks.
const UNIX_ZERO: &str = "1970-01-01T00:00:00";
/// With seven digits of a second and an offset a time has 33 characters.
const LONGEST_DATE: usize = 40;
/// A longer member name than Graph's longest; it could be a text.
const LONGEST_NAME: usize = 56;
/// Digits in a member name, such as in `x509`; more of them are an id.
const MOST_DIGITS: usize = 3;
/// No English word of this length consists of the letters from a to f.
const SHORTEST_ID: usize = 8;
/// A dotted version has four numbers of at most ten digits, and a word.
const LONGEST_VERSION: usize = 40;
const LONGEST_NUMBER: usize = 12;

/// A date, or a time that begins with one, moved by whole days. `None` if the text is neither.
pub(super) fn moved(text: &str, days: i32) -> Option<String> {
    let (day, time) = text.split_at_checked(10)?;
    let of_time = |b: u8| b.is_ascii_digit() || b"TtZz:.,+- ".contains(&b);
    if text.len() > LONGEST_DATE || !time.bytes().all(of_time) || !is_digits_and_dashes(day) {
        return None;
    }
    let date: Date = day.parse().ok()?;
    if !YEARS.contains(&date.year()) || text.starts_with(UNIX_ZERO) {
        return Some(text.to_owned());
    }
    let moved = date.checked_add(jiff::Span::new().days(days)).ok()?;
    Some(format!("{moved}{time}"))
}

fn is_digits_and_dashes(day: &str) -> bool {
    day.bytes()
        .enumerate()
        .all(|(place, b)| if matches!(place, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
}

/// The days from a moment, in Unix seconds, to the day of every capture; the moment on that day.
pub(super) fn day_of_capture(moment: i64) -> (i32, i64) {
    const DAY: i64 = 86_400;
    let target =
        DAY_OF_CAPTURE.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |day| day.timestamp().as_second());
    let days = (target - moment).div_euclid(DAY) + i64::from((target - moment).rem_euclid(DAY) > 0);
    (i32::try_from(days).unwrap_or_default(), moment + days * DAY)
}

/// A time of day: `08:00:00.0000000`.
pub(super) fn is_time_of_day(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_of_form = |b: &u8| b.is_ascii_digit() || matches!(b, b':' | b'.');
    (5..=16).contains(&text.len()) && bytes.get(2) == Some(&b':') && bytes.iter().all(is_of_form)
}

/// Local part and domain of a mail address.
pub(super) fn address(text: &str) -> Option<(&str, &str)> {
    let (local, domain) = text.split_once('@')?;
    let of_domain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-') || !b.is_ascii();
    let is_address = !local.is_empty()
        && !local.contains(char::is_whitespace)
        && !domain.is_empty()
        && domain.bytes().all(of_domain)
        && domain.chars().any(char::is_alphanumeric);
    is_address.then_some((local, domain))
}

/// `10.0.22631.4460`, `1449/1.0.96.2026080102`, `1.0.0.product`: numbers with separators, and words that
/// `is_word` knows.
pub(super) fn is_version(text: &str, is_word: impl Fn(&str) -> bool) -> bool {
    let is_separator = |c: char| matches!(c, '.' | '-' | '_' | '/' | '+' | ' ');
    let mut parts = text.split(is_separator).filter(|part| !part.is_empty()).peekable();
    let is_number = |part: &str| part.len() <= LONGEST_NUMBER && part.bytes().all(|b| b.is_ascii_digit());
    let is_short = |part: &str| part.len() <= 4 && is_number(part);
    let has_form = text.contains('.') || is_short(text);
    text.len() <= LONGEST_VERSION
        && has_form
        && parts.peek().is_some()
        && parts
            .all(|part| is_number(part) || is_number(part.trim_start_matches(['v', 'V'])) || is_word(part))
}

/// A vendor or product of USB: `VID_046D`, `046d`.
pub(super) fn is_usb_id(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let digits =
        ["vid_", "pid_", "0x"].iter().find_map(|prefix| lower.strip_prefix(prefix)).unwrap_or(&lower);
    digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A view of free and busy time: a digit from 0 to 4 for each step.
pub(super) fn is_view(text: &str) -> bool {
    text.bytes().all(|b| (b'0'..=b'4').contains(&b))
}

/// Returns true if a member name has the form of an identifier: letters and few digits, annotations with the prefix of
/// their namespace.
pub(super) fn is_identifier(name: &str) -> bool {
    let is_plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && part.bytes().filter(u8::is_ascii_digit).count() <= MOST_DIGITS
            && !(part.len() >= SHORTEST_ID && part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let is_annotation = |rest: &str| {
        let names = rest.strip_prefix("odata.").or_else(|| rest.strip_prefix("microsoft.graph."));
        names.is_some_and(|names| names.split('.').all(is_plain))
    };
    let is_identifier = match name.split_once('@') {
        Some(("", annotation)) => is_annotation(annotation),
        Some((member, annotation)) => is_plain(member) && is_annotation(annotation),
        None => is_plain(name) || name.strip_prefix('#').is_some_and(is_annotation),
    };
    name.len() <= LONGEST_NAME && is_identifier
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::words;

    #[test]
    fn dates_keep_their_form_and_distance() {
        for (text, expected) in [
            ("2026-11-20T08:00:00Z", Some("2026-11-22T08:00:00Z")),
            ("2026-11-30T23:59:59.1234567", Some("2026-12-02T23:59:59.1234567")),
            ("2026-11-20T08:00:00.420+01:00", Some("2026-11-22T08:00:00.420+01:00")),
            ("2021-06-19T12-01-03.45Z", Some("2021-06-21T12-01-03.45Z")),
            ("2025-05-05", Some("2025-05-07")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("1601-01-01T00:00:00Z", Some("1601-01-01T00:00:00Z")),
            ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z")),
            ("2026-13-20T08:00:00Z", None),
            ("2026-11-20 Anna", None),
            ("11/20/2026", None),
            ("+2026-11-2", None),
            ("", None),
        ] {
            assert_eq!(moved(text, 2).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_day_of_capture_is_the_same_for_each_moment() {
        for moment in
            ["2026-11-30T00:00:00Z", "2026-11-30T23:59:59Z", "2024-02-29T12:00:00Z", "2025-01-01T00:00:00Z"]
        {
            let at: jiff::Timestamp = moment.parse().expect("a time");
            let (days, on_day) = day_of_capture(at.as_second());
            let on_day = jiff::Timestamp::from_second(on_day).expect("a time").to_string();
            assert_eq!(moved(moment, days).as_deref(), Some(on_day.as_str()));
            assert!(on_day.starts_with("2025-01-01T"), "{on_day}");
        }
    }

    #[test]
    fn versions_are_numbers_with_few_words() {
        let is_version = |text: &str| is_version(text, words::is_version_word);
        for text in [
            "10.0.22631.4317",
            "1449/1.0.96.2026080102",
            "1.0.0.202608050640.product",
            "4.5.0-447123",
            "12",
            "v1.2",
            "5.1 beta",
        ] {
            assert!(is_version(text), "{text}");
        }
        for text in ["", "Anna.Miller", "+49305550123", "055501234", "1.0 Oslo", "20261120", &"1.".repeat(21)]
        {
            assert!(!is_version(text), "{text}");
        }
    }

    #[test]
    fn member_names_are_identifiers() {
        for name in [
            "id",
            "@odata.nextLink",
            "devices@odata.count",
            "display_1",
            "#microsoft.graph.restart",
            "managementCertificateExpirationDate",
        ] {
            assert!(is_identifier(name), "{name}");
        }
        for name in [
            "",
            "Anna Miller",
            "anna@contoso.example",
            "anna.miller",
            "4c1d7b0a",
            "user12345",
            "facade00cafe",
            "@anna",
            "Müller",
            "@odata.anna miller",
            &"a".repeat(57),
        ] {
            assert!(!is_identifier(name), "{name}");
        }
    }

    #[test]
    fn addresses_usb_ids_and_times_of_day_are_found() {
        assert_eq!(address("oslo@contoso.example"), Some(("oslo", "contoso.example")));
        for text in ["oslo", "@contoso", "oslo@", "a b@c", "a@b@c", "a@."] {
            assert_eq!(address(text), None, "{text}");
        }
        for (text, expected) in
            [("VID_046D", true), ("046d", true), ("0x1234", true), ("SAM", false), ("46D", false)]
        {
            assert_eq!(is_usb_id(text), expected, "{text}");
        }
        assert!(is_time_of_day("08:00:00.0000000") && !is_time_of_day("0800") && !is_time_of_day("08:xx"));
        assert!(is_view("0002200") && !is_view("4711"));
    }
}
