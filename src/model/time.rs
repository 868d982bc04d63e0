//! A moment, in whole seconds: the precision that Graph's events, Prometheus' queries and people need; and a span
//! of time as people read it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// 2000-01-01. Services write year 1 or 1601 where they mean "never"; nothing here is older than Teams.
const OLDEST: i64 = 946_684_800;

/// 9999-01-01. Services write the last year of their calendar for "never", too.
const LATEST: i64 = 253_370_764_800;

impl Timestamp {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Parses RFC 3339 as Graph writes it. `None` for anything else, and for the "never" of .NET and Windows.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.trim().parse().ok()?;
        (OLDEST..LATEST).contains(&parsed.as_second()).then(|| Self(parsed.as_second()))
    }

    /// Parses a date, as midnight UTC. `None` for anything else, and for "never".
    pub fn parse_date(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.trim().parse().ok()?;
        Self::parse(&format!("{date}T00:00:00Z"))
    }

    pub const fn seconds(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero when it lies in the future (another machine's clock).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `2026-11-21T07:03:11Z`
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

/// The two largest units of a time span: `2d 3h`, `5m 10s`, `250ms`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        if seconds == 0 && !self.0.is_zero() {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let parts = [
            (seconds / 86_400, "d"),
            (seconds / 3600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
        ];
        let mut written = 0;
        for (count, unit) in
            parts.into_iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0)
        {
            write!(f, "{}{count}{unit}", if written == 0 { "" } else { " " })?;
            written += 1;
        }
        if written == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(Timestamp::parse(text).map(Timestamp::seconds), expected, "{text}");
    }

    #[test]
    fn graph_times_are_read_and_impossible_ones_are_absent() {
        check("2026-11-21T07:03:11.420Z", Some(1_795_244_591));
        check("2026-11-21T08:03:11+01:00", Some(1_795_244_591));
        check(" 2026-11-21T07:03:11Z ", Some(1_795_244_591));
        check("2021-06-19T12-01-03.45Z", None);
        check("0001-01-01T00:00:00Z", None);
        check("1601-01-01T00:00:00Z", None);
        check("9999-01-01T00:00:00Z", None);
        check("9999-12-31T23:59:59.9999999Z", None);
        check("2026-11-21", None);
        check("", None);
        check("yesterday", None);
    }

    #[track_caller]
    fn check_date(text: &str, expected: Option<i64>) {
        assert_eq!(Timestamp::parse_date(text).map(Timestamp::seconds), expected, "{text}");
    }

    #[test]
    fn a_date_is_its_midnight() {
        check_date("2025-05-05", Some(1_746_403_200));
        check_date(" 2025-05-05 ", Some(1_746_403_200));
        for text in ["", "2025-05", "2025-02-30", "May 5, 2025", "5/5/2025", "0001-01-01", "9999-12-31"] {
            check_date(text, None);
        }
    }

    #[test]
    fn ages_never_run_backwards() {
        let early = Timestamp::from_seconds(100);
        let late = early.plus(Duration::from_mins(1));
        assert_eq!(late.since(early), Duration::from_mins(1));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[track_caller]
    fn check_span(seconds: u64, expected: &str) {
        assert_eq!(Span(Duration::from_secs(seconds)).to_string(), expected);
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        check_span(0, "0s");
        check_span(59, "59s");
        check_span(600, "10m");
        check_span(3661, "1h 1m");
        check_span(86_400 * 3 + 59, "3d");
        assert_eq!(Span(Duration::from_millis(250)).to_string(), "250ms");
    }
}
