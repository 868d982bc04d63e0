//! Hours of the week as people write them, on the wall clock: `Mon-Fri 07:00-20:00`.

use std::fmt;
use std::iter;
use std::ops::Range;

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// The seconds of a week.
pub(super) const WEEK: u32 = 7 * DAY;

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// What a message shows of a word; no day and no span of times is longer.
const MAX_SHOWN: usize = 12;

/// Spans of the week, in seconds since Monday 00:00: in order, none empty, none touching the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hours(Vec<Range<u32>>);

impl Hours {
    /// Every hour of the week.
    pub fn always() -> Self {
        Self(iter::once(0..WEEK).collect())
    }

    /// Reads `24/7`, or days with times: `Mon-Fri 07:00-20:00`, `Mon,Wed 08:00-12:00,13:00-17:00, Sat 22:00-06:00`.
    ///
    /// Days stand before their times; times without days are those of every day. A span over midnight belongs to
    /// the day on which it begins. The error says what is wrong and what can be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "24/7" {
            return Ok(Self::always());
        }
        let text = text.replace(" - ", "-");
        let mut spans = Vec::new();
        let mut days = Vec::new();
        let mut days_have_times = true;
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                let times = times(word)?;
                let on = |day: u32| day * DAY + times.start..day * DAY + times.end;
                if days.is_empty() {
                    spans.extend((0..7).map(on));
                } else {
                    spans.extend(days.iter().copied().map(on));
                }
                days_have_times = true;
            } else {
                if days_have_times {
                    days.clear();
                }
                days.extend(day_range(word)?);
                days_have_times = false;
            }
        }
        if !days_have_times {
            return Err("days without times; for whole days write 00:00-24:00 behind them".to_owned());
        }
        if spans.is_empty() {
            return Err("names no hours; write them like Mon-Fri 07:00-20:00, or 24/7".to_owned());
        }
        Ok(Self::of(spans))
    }

    /// The hours of either.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend_from_slice(&others.0);
        Self::of(self.0)
    }

    /// These hours without the others.
    #[must_use]
    pub fn without(self, others: &Self) -> Self {
        let cut = |spans: Vec<Range<u32>>, out: &Range<u32>| {
            let parts = |span: Range<u32>| {
                [span.start..span.end.min(out.start), span.start.max(out.end)..span.end]
                    .into_iter()
                    .filter(|part| !part.is_empty())
            };
            spans.into_iter().flat_map(parts).collect()
        };
        Self(others.0.iter().fold(self.0, cut))
    }

    /// Whether no hour is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they never begin and never end.
    pub(super) fn is_constant(&self) -> bool {
        self.is_empty() || *self == Self::always()
    }

    /// Whether a second of the week is one of these hours, and up to which second of the week this stays so.
    pub(super) fn at(&self, second: u32) -> (bool, u32) {
        let next = self.0.partition_point(|span| span.end <= second);
        match self.0.get(next) {
            Some(span) if span.start <= second => (true, span.end),
            Some(span) => (false, span.start),
            None => (false, WEEK),
        }
    }

    /// From spans in any order, which may overlap and run over the end of the week.
    fn of(spans: Vec<Range<u32>>) -> Self {
        let wrapped = spans.into_iter().flat_map(|span| {
            [span.start..span.end.min(WEEK), 0..span.end.saturating_sub(WEEK)]
                .into_iter()
                .filter(|part| !part.is_empty())
        });
        let mut wrapped: Vec<_> = wrapped.collect();
        wrapped.sort_by_key(|span| span.start);
        let mut spans: Vec<Range<u32>> = Vec::with_capacity(wrapped.len());
        for span in wrapped {
            match spans.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => spans.push(span),
            }
        }
        Self(spans)
    }
}

/// As [`Hours::parse`] reads it, day by day.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::always() {
            return f.write_str("24/7");
        }
        let of_days = self.0.iter().flat_map(|span| {
            (span.start / DAY..=(span.end - 1) / DAY)
                .map(|day| (day, span.start.max(day * DAY), span.end.min((day + 1) * DAY)))
        });
        for (place, (day, from, to)) in of_days.enumerate() {
            let name = DAYS.get(day as usize).map_or("", |name| name.get(..3).unwrap_or(name));
            let clock = |second: u32| format!("{:02}:{:02}", second / HOUR, second % HOUR / 60);
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{name} {}-{}", clock(from - day * DAY), clock(to - day * DAY))?;
        }
        Ok(())
    }
}

/// `Mon`, `Monday` or `Mon-Fri`, which may run over the end of the week; 0 is Monday.
fn day_range(word: &str) -> Result<impl Iterator<Item = u32>, String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Ok((first..=first + length).map(|day| day % 7))
}

fn day(word: &str) -> Result<u32, String> {
    let lower = word.to_lowercase();
    let found = (0..).zip(DAYS).find(|(_, name)| lower.len() >= 3 && name.starts_with(&lower));
    found
        .map(|(day, _)| day)
        .ok_or_else(|| format!("{} is no day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun", shown(word)))
}

/// `07:00-20:00` in seconds of the day; over midnight the end lies in the next one.
fn times(word: &str) -> Result<Range<u32>, String> {
    let read = || {
        let (start, end) = word.split_once('-')?;
        let (start, end) = (time(start)?, time(end)?);
        (start < DAY).then_some((start, end))
    };
    let (start, end) = read().ok_or_else(|| {
        format!("{} is no span of times; write it like 07:00-20:00, from 00:00 to 24:00", shown(word))
    })?;
    match end {
        end if end == start => {
            Err(format!("{} ends where it begins; for the whole day write 00:00-24:00", shown(word)))
        }
        end if end < start => Ok(start..end + DAY),
        end => Ok(start..end),
    }
}

/// `07:00` or `7:00` in seconds of the day; `24:00` is its end.
fn time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours * HOUR + minutes * 60;
    (minutes < 60 && seconds <= DAY).then_some(seconds)
}

/// A word in quotes for a message; a long one is not a slip in the hours but something else that came here.
fn shown(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ':' | '-' | '/' | '.');
    if word.chars().count() <= MAX_SHOWN && word.chars().all(plain) {
        format!("`{word}`")
    } else {
        "a word".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans as day and hour: `(day, from, to)`.
    #[track_caller]
    fn check(text: &str, expected: &[(u32, u32, u32)]) {
        let spans = expected.iter().map(|(day, from, to)| day * DAY + from * HOUR..day * DAY + to * HOUR);
        assert_eq!(Hours::parse(text), Ok(Hours(spans.collect())), "{text}");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["Mon-Fri 07:00-20:00", "24/7", "Sat 22:00-06:00, Sun 22:30-06:15", "Mon-Tue 00:00-24:00"]
        {
            let hours = Hours::parse(text).expect(text);
            assert_eq!(Hours::parse(&hours.to_string()), Ok(hours.clone()), "{hours}");
        }
        let hours = Hours::parse("Sun 22:30-06:15").expect("sound");
        assert_eq!(hours.to_string(), "mon 00:00-06:15, sun 22:30-24:00");
    }

    #[test]
    fn what_reads_as_hours() {
        let working_week = [(0, 7, 20), (1, 7, 20), (2, 7, 20), (3, 7, 20), (4, 7, 20)];
        check("Mon-Fri 07:00-20:00", &working_week);
        check("  monday - FRI 7:00 - 20:00 ", &working_week);
        check("Mon-Wed,Thu,Fri 07:00-12:00,12:00-20:00", &working_week);
        check("Mon,Wed 08:00-09:00", &[(0, 8, 9), (2, 8, 9)]);
        check("Mon 08:00-09:00,10:00-11:00, Tues 12:00-13:00", &[(0, 8, 9), (0, 10, 11), (1, 12, 13)]);
        check("Sat-Mon 08:00-09:00", &[(0, 8, 9), (5, 8, 9), (6, 8, 9)]);
        check("Mon 22:00-06:00", &[(0, 22, 30)]);
        check("Sun 22:00-06:00", &[(0, 0, 6), (6, 22, 24)]);
        check("Mon 22:00-00:00", &[(0, 22, 24)]);
        check("Mon 08:00-12:00, Mon 10:00-14:00", &[(0, 8, 14)]);
        check("24/7", &[(0, 0, 7 * 24)]);
        check("Mon-Sun 00:00-24:00", &[(0, 0, 7 * 24)]);
        check("00:00-24:00", &[(0, 0, 7 * 24)]);
        check(
            "20:00-19:00",
            &[
                (0, 0, 19),
                (0, 20, 43),
                (1, 20, 43),
                (2, 20, 43),
                (3, 20, 43),
                (4, 20, 43),
                (5, 20, 43),
                (6, 20, 24),
            ],
        );
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(Hours::parse(text), Err(expected.to_owned()), "{text}");
    }

    #[test]
    fn what_does_not() {
        check_error("", "names no hours; write them like Mon-Fri 07:00-20:00, or 24/7");
        check_error(" , ", "names no hours; write them like Mon-Fri 07:00-20:00, or 24/7");
        check_error("Mo-Fr 07:00-20:00", "`Mo` is no day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun");
        check_error("Mon-Fri", "days without times; for whole days write 00:00-24:00 behind them");
        check_error("07:00-20:00, Sat", "days without times; for whole days write 00:00-24:00 behind them");
        check_error(
            "Mon 07:00-07:00",
            "`07:00-07:00` ends where it begins; for the whole day write 00:00-24:00",
        );
        check_error("Mon hunter2hunter2", "a word is no day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun");
        for word in [
            "7-20",
            "07:00",
            "07:00-24:01",
            "24:00-06:00",
            "07:60-08:00",
            "0700-2000",
            "07:00-2x:00",
            "7:0-8:00",
            "8/7",
        ] {
            check_error(
                &format!("Mon {word}"),
                &format!("`{word}` is no span of times; write it like 07:00-20:00, from 00:00 to 24:00"),
            );
        }
    }

    #[track_caller]
    fn check_without(hours: &str, others: &str, expected: &str) {
        let parse = |text: &str| Hours::parse(text).expect("sound");
        assert_eq!(parse(hours).without(&parse(others)), parse(expected), "{hours} without {others}");
    }

    #[test]
    fn hours_are_cut_out_of_others() {
        check_without("Mon 07:00-20:00", "Tue 07:00-20:00", "Mon 07:00-20:00");
        check_without("Mon 07:00-20:00", "12:00-13:00", "Mon 07:00-12:00,13:00-20:00");
        check_without("Mon 07:00-20:00", "06:00-08:00, 19:00-21:00", "Mon 08:00-19:00");
        check_without("24/7", "22:00-06:00", "06:00-22:00");
        assert!(Hours::always().without(&Hours::always()).is_empty());
    }

    #[test]
    fn the_end_of_a_stretch() {
        let hours = Hours::parse("Mon 07:00-20:00, Sun 23:00-24:00").expect("sound");
        assert_eq!(hours.at(0), (false, 7 * HOUR));
        assert_eq!(hours.at(7 * HOUR), (true, 20 * HOUR));
        assert_eq!(hours.at(20 * HOUR - 1), (true, 20 * HOUR));
        assert_eq!(hours.at(20 * HOUR), (false, WEEK - HOUR));
        assert_eq!(hours.at(WEEK - 1), (true, WEEK));
        assert_eq!(Hours::default().at(5), (false, WEEK));
    }
}
