//! What the tenant can be told to do wrong: one table of names and meanings, how a fault is written, and when
//! an active one strikes. What a fault does to an answer is decided where that answer is made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
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
    ClaimsChallenge "claims_challenge" "401 with a claims challenge for every token that was not asked for with those claims"
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
    BeatingConnections "beating_connections" "every lastModifiedDateTime of a health document moves like a heartbeat; the rate is the share of devices"
    BatchMissingItem "batch_missing_item" "one answer is left out of every $batch reply"
    TokenError "token_error" "the token endpoint refuses; =AADSTS code, 7000215 if not given"
    TokenHtml "token_html" "the token endpoint answers 200 with an HTML page"
    TokenSlow "token_slow" "the token endpoint answers late; =milliseconds, 2000 if not given"
    Deprecation "deprecation" "adds Deprecation and Sunset headers; =date of the sunset, 2025-12-08 if not given"
    IgnoreFilter "ignore_filter" "$filter is ignored, everything comes back"
    Shrink "shrink" "lists leave out a share of their rows; =percent, 50 if not given"
    Redirect "redirect" "302 to another host; =host, elsewhere.example if not given"
    NoSource "no_source" "404 for everything of one source; =source, such as places"
    ForbiddenSource "forbidden_source" "403 for everything of one source; =source, such as places"
    SlowSource "slow_source" "one source answers late, in $batch too; =source=milliseconds, 2000 if not given"
    China "china" "404 for what the Chinese cloud lacks, which is presence"
    PlacesNextLink "places_nextlink" "lists of places have a nextLink, which in life they often lack"
    DuplicatePlaces "duplicate_places" "the first place of a list comes again at its end"
    PresenceCamel "presence_camel" "presence in camel case, as a newer copy of Learn shows it"
    PresenceMissing "presence_missing" "presences are missing from the answer; the rate is the share of accounts"
    ExchangeRbac "exchange_rbac" "calendars can be read by a right given in Exchange, without a role in the token"
    RestrictedMailbox "restricted_mailbox" "calendars that may not be read; =address, or percent of the rooms, 10 if not given"
    DeadMailbox "dead_mailbox" "503 for what is asked through some mailboxes; =address, or percent of the rooms, 10 if not given"
    PersonInRoom "person_in_room" "a person is signed in on the device of one Windows room in sixty"
    TeamsIncident "teams_incident" "Microsoft Teams has an open incident"
    TeamsAdvisory "teams_advisory" "Microsoft Teams has an open advisory"
    NoIntune "no_intune" "what Intune answers where the tenant has no licence for it; =400 or 401, 400 if not given"
    Gone "gone" "410 for everything of a source; name it as in gone@places"
    Drip "drip" "the body comes byte by byte; =milliseconds between two, 100 if not given"
    Short "short" "lists count more rows than they bring, and an answer is left out of a $batch; =rows, 5 if not given"
    PageCount "page_count" "@odata.count is the number of rows of the page"
    IgnoreSkip "ignore_skip" "$skip is ignored, every page is the first"
    PresenceMasked "presence_masked" "a living console or panel keeps the account of a dead room online"
}

/// The sources that a fault can be kept to, by the names of their files, and the parts of one.
pub(super) const SOURCES: [&str; 11] = [
    "devices",
    "device_list",
    "device_health",
    "applications",
    "calendar",
    "intune",
    "licenses",
    "places",
    "presence",
    "service_health",
    "users",
];

/// The source that a part belongs to.
const PARTS: [(&str, &str); 2] = [("device_list", "devices"), ("device_health", "devices")];

/// Every fault by name, with what it does, in the order of the documentation.
pub fn fault_table() -> &'static [(&'static str, &'static str)] {
    TABLE
}

/// One fault as it is written: `name`, `name:rate`, `name=value` or `name=value:rate`. Behind the name,
/// `@source` keeps it to one source: `empty@places`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: Kind,
    source: Option<String>,
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
        let (name, source) = match name.split_once('@') {
            Some((name, source)) => (name, Some(source.to_owned())),
            None => (name, None),
        };
        let at = TABLE.iter().position(|(known, _)| *known == name);
        let kind = at.and_then(|at| KINDS.get(at)).ok_or_else(|| unknown(name))?;
        let fault = Self { kind: *kind, source, rate, value };
        if let Some(source) = fault.sources().find(|source| !SOURCES.contains(source)) {
            return Err(unknown_source(source));
        }
        Ok(fault)
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

fn unknown_source(source: &str) -> FaultError {
    FaultError(format!("unknown source {source:?} in a fault; known are {}", SOURCES.join(", ")))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = KINDS.iter().position(|kind| *kind == self.kind);
        let name = at.and_then(|at| TABLE.get(at)).map_or("", |(name, _)| name);
        f.write_str(name)?;
        if let Some(source) = &self.source {
            write!(f, "@{source}")?;
        }
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

    /// What follows the source in the value, as in `slow_source=places=500`.
    pub(super) fn number_of_source_or<T: FromStr>(&self, default: T) -> T {
        let number = self.value.as_deref().and_then(|value| value.split_once('='));
        number.and_then(|(_, number)| number.parse().ok()).unwrap_or(default)
    }

    /// Faults that name a source are about that one only.
    fn concerns(&self, noun: &str) -> bool {
        self.sources().all(|source| source == noun || PARTS.contains(&(noun, source)))
    }

    /// The sources it names, behind `@` or in its value.
    fn sources(&self) -> impl Iterator<Item = &str> {
        let about_one = matches!(self.kind, Kind::NoSource | Kind::ForbiddenSource | Kind::SlowSource);
        let named = self.value.as_deref().filter(|_| about_one).and_then(|value| value.split('=').next());
        named.into_iter().chain(self.source.as_deref())
    }
}

/// The faults that are on, since when, and how often each was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    faults: Vec<Arc<(Fault, AtomicU64)>>,
    /// Simulated milliseconds at the moment they were set.
    pub(super) since: i64,
    /// How many tokens had been issued by then.
    pub(super) tokens_before: u64,
}

impl Active {
    pub(super) fn new(faults: Vec<Fault>, since: i64, tokens_before: u64) -> Self {
        let faults = faults.into_iter().map(|fault| Arc::new((fault, AtomicU64::new(0)))).collect();
        Self { faults, since, tokens_before }
    }

    /// The faults as they are for one source, counted together with all others.
    pub(super) fn of(&self, noun: &str) -> Self {
        let faults = self.faults.iter().filter(|active| active.0.concerns(noun)).cloned().collect();
        Self { faults, ..*self }
    }

    /// Those that name a source.
    pub(super) fn of_a_source(&self) -> Self {
        let faults =
            self.faults.iter().filter(|active| active.0.sources().next().is_some()).cloned().collect();
        Self { faults, ..*self }
    }

    /// The fault, if it is on and strikes this time. Strikes are spread evenly: a rate of 0.2 is every fifth
    /// time.
    pub(super) fn strikes(&self, kind: Kind) -> Option<&Fault> {
        let (fault, asked) = &**self.faults.iter().find(|active| active.0.kind == kind)?;
        let before = asked.fetch_add(1, Ordering::Relaxed);
        (times(before + 1, fault.rate) > times(before, fault.rate)).then_some(fault)
    }

    /// The fault, if it is on at all.
    pub(super) fn is_on(&self, kind: Kind) -> Option<&Fault> {
        self.faults.iter().map(|active| &active.0).find(|fault| fault.kind == kind)
    }

    /// How often the fault had struck before, to vary what it does.
    pub(super) fn turn(&self, kind: Kind) -> u64 {
        let found = self.faults.iter().find(|active| active.0.kind == kind);
        found.map_or(0, |active| active.1.load(Ordering::Relaxed))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.faults.iter().map(|active| active.0.to_string()).collect()
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
        assert_eq!(fault, Fault { kind, source: None, rate, value: value.map(str::to_owned) });
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
    fn a_fault_can_be_kept_to_one_source() {
        for (fault, noun, concerned) in [
            ("empty", "places", true),
            ("empty@places", "places", true),
            ("empty@places", "users", false),
            ("slow_source=places=500:0.5", "places", true),
            ("slow_source=places=500", "users", false),
            ("no_source=users", "users", true),
            ("no_source=users", "presence", false),
            ("empty@devices", "device_health", true),
            ("empty@device_health", "device_health", true),
            ("empty@device_list", "device_health", false),
        ] {
            let parsed: Fault = fault.parse().unwrap();
            assert_eq!(parsed.to_string(), fault);
            assert_eq!(parsed.concerns(noun), concerned, "{fault} {noun}");
        }
        assert_eq!("slow_source=users=7".parse::<Fault>().unwrap().number_of_source_or(1), 7);
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["", "throtle", "throttle:2", "throttle:often", "throttle:-0.1", "empty@x", "no_source=x"]
        {
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
