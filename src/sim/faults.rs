//! What the tenant can be told to do wrong: one table of names and meanings, how a fault is written, and when
//! an active one strikes. What a fault does to an answer is decided where that answer is made.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares [`Kind`] and the table of names from one list, so that they cannot drift apart.
macro_rules! faults {
    ($($kind:ident $name:literal $about:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind { $($kind),* }

        const KINDS: &[Kind] = &[$(Kind::$kind),*];
        const TABLE: &[(&str, &str)] = &[$(($name, $about)),*];
    };
}

faults! {
    Throttle "throttle" "429 with Retry-After in whole seconds; =seconds, 1 if not given"
    ThrottleFraction "throttle_fraction" "429 with a fractional Retry-After; =seconds, 0.3 if not given"
    ThrottleDate "throttle_date" "429 with Retry-After as an HTTP date; =seconds from now, 2 if not given"
    ThrottleBare "throttle_bare" "429 without Retry-After"
    ThrottleItems "throttle_items" "429 only for items inside $batch, the envelope is 200; =seconds, 1 if not given"
    Error500 "error500" "500 InternalServerError"
    Error503 "error503" "503 serviceNotAvailable"
    Slow "slow" "answers late; =milliseconds, 2000 if not given"
    Stall "stall" "never answers, the connection stays open"
    Truncated "truncated" "the body ends early; =chunked cuts a chunked body instead of one with a Content-Length"
    Html "html" "200 with an HTML page instead of JSON"
    Reset "reset" "closes the connection before an answer"
    ExpiredToken "expired_token" "401 for every token issued before the fault was set"
    Unauthorized "unauthorized" "401 for every token"
    Forbidden "forbidden" "403, the application has no role"
    ForbiddenOnceToken "forbidden_once_token" "403 for tokens issued before the fault was set, as right after consent"
    Retired "retired" "the teamwork resources are gone; =404, 410 or 501, 410 if not given"
    BrokenType "broken_type" "500 for every list that holds devices of a type; =teamsPanel, sip if not given"
    BrokenPage "broken_page" "500 for the second and every later page"
    Empty "empty" "lists answer 200 without rows"
    EmptyPage "empty_page" "an empty page with a nextLink stands in the middle of every list"
    Frozen "frozen" "the data stand still from the moment the fault is set"
    LoopLink "loop_link" "the nextLink of a page points to that page"
    ForeignLink "foreign_link" "the nextLink points to another host; =host, elsewhere.example if not given"
    RelativeLink "relative_link" "the nextLink is relative, as Learn shows it; =rooted begins it with the version"
    Wrapped "wrapped" "single entities come inside {\"value\": {...}}, as Learn shows them"
    PascalCase "pascal_case" "enum values in Pascal case, as Learn shows them"
    NewEnum "new_enum" "enum values nobody has heard of; =percent of the members, 50 if not given"
    Nulls "nulls" "nullable members are null; =percent of the members, 20 if not given"
    MissingMembers "missing_members" "nullable members are missing; =percent of the members, 20 if not given"
    BadTime "bad_time" "times as 2021-06-19T12-01-03.45Z; =percent of the members, 50 if not given"
    BadRecord "bad_record" "the first row of a list is damaged; =string, no_id or types, in turn if not given"
    NoHealth "no_health" "404 for the health of a device; the rate is the share of devices"
    BatchMissingItem "batch_missing_item" "one answer is left out of every $batch reply"
    TokenError "token_error" "the token endpoint refuses; =AADSTS code, 7000215 if not given"
    TokenHtml "token_html" "the token endpoint answers 200 with an HTML page"
    TokenSlow "token_slow" "the token endpoint answers late; =milliseconds, 2000 if not given"
    Deprecation "deprecation" "adds Deprecation and Sunset headers; =date of the sunset, 2025-12-08 if not given"
    IgnoreFilter "ignore_filter" "$filter is ignored, all devices come back"
    Shrink "shrink" "lists leave out a share of the devices; =percent, 50 if not given"
    Redirect "redirect" "302 to another host; =host, elsewhere.example if not given"
}

/// Every fault by name, with what it does, in the order of the documentation.
pub fn fault_table() -> &'static [(&'static str, &'static str)] {
    TABLE
}

/// One fault as it is written: `name`, `name:rate`, `name=value` or `name=value:rate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: Kind,
    rate: f64,
    value: Option<String>,
}

/// Why a text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (rest, rate) = split_rate(text)?;
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (rest, None),
        };
        let at = TABLE.iter().position(|(known, _)| *known == name);
        let kind = at.and_then(|at| KINDS.get(at)).ok_or_else(|| unknown(name))?;
        Ok(Self { kind: *kind, rate, value })
    }
}

/// A rate follows the last colon; after `=` a colon may also belong to the value, as in a host and port.
fn split_rate(text: &str) -> Result<(&str, f64), FaultError> {
    let Some((before, after)) = text.rsplit_once(':') else { return Ok((text, 1.0)) };
    match after.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok((before, rate)),
        _ if before.contains('=') => Ok((text, 1.0)),
        _ => Err(FaultError(format!("{after:?} is not a rate from 0 to 1 in fault {text:?}"))),
    }
}

fn unknown(name: &str) -> FaultError {
    let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    FaultError(format!("unknown fault {name:?}; known are {}", names.join(", ")))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = KINDS.iter().position(|kind| *kind == self.kind);
        let name = at.and_then(|at| TABLE.get(at)).map_or("", |(name, _)| name);
        f.write_str(name)?;
        if let Some(value) = &self.value {
            write!(f, "={value}")?;
        }
        if self.rate < 1.0 { write!(f, ":{}", self.rate) } else { Ok(()) }
    }
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

impl Fault {
    /// The text after `=`, or what the table promises without one.
    pub(super) fn value_or<'a>(&'a self, default: &'a str) -> &'a str {
        self.value.as_deref().unwrap_or(default)
    }

    /// The number after `=`; anything that is not one counts as not given.
    pub(super) fn number_or<T: FromStr>(&self, default: T) -> T {
        self.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The share of things hit, for faults that are about a share of devices.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn has_value(&self) -> bool {
        self.value.is_some()
    }
}

/// The faults that are on, since when, and how often each was asked for.
#[derive(Debug, Default)]
pub(super) struct Active {
    faults: Vec<(Fault, AtomicU64)>,
    /// Simulated milliseconds at the moment they were set.
    pub(super) since: i64,
    /// How many tokens had been issued by then.
    pub(super) tokens_before: u64,
}

impl Active {
    pub(super) fn new(faults: Vec<Fault>, since: i64, tokens_before: u64) -> Self {
        let faults = faults.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect();
        Self { faults, since, tokens_before }
    }

    /// The fault, if it is on and strikes this time. Strikes are spread evenly: a rate of 0.2 is every fifth
    /// time.
    pub(super) fn strikes(&self, kind: Kind) -> Option<&Fault> {
        let (fault, asked) = self.faults.iter().find(|(fault, _)| fault.kind == kind)?;
        let before = asked.fetch_add(1, Ordering::Relaxed);
        (times(before + 1, fault.rate) > times(before, fault.rate)).then_some(fault)
    }

    /// The fault, if it is on at all.
    pub(super) fn is_on(&self, kind: Kind) -> Option<&Fault> {
        self.faults.iter().map(|(fault, _)| fault).find(|fault| fault.kind == kind)
    }

    /// How often the fault had struck before, to vary what it does.
    pub(super) fn turn(&self, kind: Kind) -> u64 {
        let found = self.faults.iter().find(|(fault, _)| fault.kind == kind);
        found.map_or(0, |(_, asked)| asked.load(Ordering::Relaxed))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.faults.iter().map(|(fault, _)| fault.to_string()).collect()
    }
}

/// How often a fault has struck after it was asked for `asked` times. The small addition keeps 5 * 0.2 at 1.
fn times(asked: u64, rate: f64) -> f64 {
    let asked = f64::from(u32::try_from(asked).unwrap_or(u32::MAX));
    (asked * rate + 1e-9).floor()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[track_caller]
    fn check(text: &str, kind: Kind, rate: f64, value: Option<&str>) {
        let fault: Fault = text.parse().unwrap();
        assert_eq!(fault, Fault { kind, rate, value: value.map(str::to_owned) });
        assert_eq!(fault.to_string(), text);
    }

    #[test]
    fn faults_are_read_as_they_are_written() {
        check("throttle", Kind::Throttle, 1.0, None);
        check("throttle:0.2", Kind::Throttle, 0.2, None);
        check("throttle=7:0.2", Kind::Throttle, 0.2, Some("7"));
        check("broken_type=sip", Kind::BrokenType, 1.0, Some("sip"));
        check("foreign_link=127.0.0.1:8080", Kind::ForeignLink, 1.0, Some("127.0.0.1:8080"));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["", "throtle", "throttle:2", "throttle:often", "throttle:-0.1"] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("fault"), "{error}");
        }
    }

    #[test]
    fn every_fault_of_the_table_can_be_asked_for() {
        let names: HashSet<&str> = fault_table().iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert!(names.iter().all(|name| name.parse::<Fault>().is_ok()));
    }

    #[test]
    fn a_rate_strikes_evenly() {
        let active = Active::new(vec!["slow:0.2".parse().unwrap()], 0, 0);
        let struck: Vec<bool> = (0..10).map(|_| active.strikes(Kind::Slow).is_some()).collect();
        assert_eq!(struck.iter().filter(|struck| **struck).count(), 2);
        assert!(struck[4] && struck[9]);
        assert!(active.strikes(Kind::Stall).is_none());
    }
}
