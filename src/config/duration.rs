//! Durations as Prometheus writes them: `30s`, `1h30m`, `7d`, `250ms`.

use std::time::Duration;

use super::error::quoted;

/// The units from the longest to the shortest, in milliseconds, as a duration must list them.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longer than any setting makes sense, and short enough that no sum of times overflows.
const MAX: Duration = Duration::from_hours(366 * 24);

/// Shorter than any setting makes sense against Graph; tests against the simulated tenant go down to it.
const MIN: Duration = Duration::from_millis(10);

/// Reads a duration; `0` needs no unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let malformed = || format!("{} is no duration; write it like 30s, 2m, 1h30m, 7d or 250ms", quoted(text));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // `find` goes on where it stopped: a unit that comes twice or too late is not found.
        let (_, size) = units.find(|(name, _)| *name == unit).ok_or_else(malformed)?;
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*size));
        millis = part.and_then(|part| millis.checked_add(part)).ok_or_else(malformed)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(malformed());
    }
    Ok(Duration::from_millis(millis))
}

/// Reads a duration that something waits for: from 10 ms to a year.
pub(super) fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration < MIN {
        return Err(format!("`{text}` is too short; the least is {}", show(MIN)));
    }
    if duration > MAX {
        return Err(format!("`{text}` is too long; the most is {}", show(MAX)));
    }
    Ok(duration)
}

/// The shortest spelling that [`parse`] reads back, to the millisecond.
pub(super) fn show(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // Weeks are left out: 30d is easier to read than 4w2d.
    for (unit, size) in UNITS.iter().skip(1) {
        if millis >= *size {
            text.push_str(&(millis / size).to_string());
            text.push_str(unit);
            millis %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64) {
        assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
    }

    #[test]
    fn what_reads_as_a_duration() {
        check("0", 0);
        check("0s", 0);
        check("250ms", 250);
        check("30s", 30_000);
        check("2m", 120_000);
        check("90m", 5_400_000);
        check("1h30m", 5_400_000);
        check("7d", 604_800_000);
        check("1w", 604_800_000);
        check("1d1h1m1s1ms", 90_061_001);
        check("1s1ms", 1_001);
    }

    #[test]
    fn what_does_not() {
        let malformed = [
            "",
            " ",
            "2",
            "m",
            "2 m",
            " 2m",
            "2m ",
            "-2m",
            "+2m",
            "1.5h",
            "2x",
            "2M",
            "1m1h",
            "1m1m",
            "1mm",
            "00",
            "٣s",
            "99999999999999999999s",
            "18446744073709551615w",
            "1h30",
            "1y",
            "2minutes",
            "PT2M",
        ];
        for text in malformed {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_waited_for_has_bounds() {
        assert_eq!(parse_positive("10ms"), Ok(MIN));
        assert_eq!(parse_positive("366d"), Ok(MAX));
        for text in ["0", "0s", "9ms", "366d1ms", "53w", "x"] {
            assert!(parse_positive(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["0s", "10ms", "30s", "2m", "1h30m", "366d", "1d1h1m1s1ms"] {
            assert_eq!(parse(text).map(show).as_deref(), Ok(text));
        }
    }
}
