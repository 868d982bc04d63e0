//! The sources: each file knows one Graph resource and turns its JSON into the model. They know no metric.
//!
//! A collector hands over what it reads while it reads, and returns an [`Outcome`]: what it could not use counts
//! there and costs nothing else.

pub mod accounts;
pub mod calendar;
pub mod credentials;
pub mod device_health;
pub mod devices;
pub mod evidence;
pub mod incidents;
pub mod intune;
pub mod licenses;
pub mod places;
pub mod presence;
pub mod service_health;
mod wire;

use crate::graph::Error;
use crate::graph::page::Tally;
use crate::model::collector::CollectorState;
pub use wire::UnknownValue;

/// How an attempt went, apart from what it brought.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Parts of the answer (a device type, an item) that came through.
    pub parts_read: usize,
    /// Why other parts did not, and which.
    pub failures: Vec<(String, Error)>,
    /// How many items Graph says there are.
    pub expected: Option<usize>,
    /// Number of items that Graph counts, or was asked for, and did not give.
    pub missing: usize,
    /// Records that could not be used, with the reason of each.
    pub skipped: Skipped,
    pub unknown_values: Vec<UnknownValue>,
    /// The fact that is missing for a request; Graph was not asked.
    pub idle: Option<&'static str>,
}

/// The records that could not be used: each is counted, and the first keep their reason.
#[derive(Debug, Default)]
pub struct Skipped {
    count: usize,
    reasons: Vec<String>,
}

/// Reasons that are kept; a Graph that sends nothing usable sends millions of them.
const MAX_REASONS: usize = 100;

impl Skipped {
    pub(crate) fn push(&mut self, reason: String) {
        self.count += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason);
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.reasons.extend(other.reasons);
        self.reasons.truncate(MAX_REASONS);
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The reasons of the first.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl Outcome {
    /// Two halves of one attempt.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts_read += other.parts_read;
        self.failures.extend(other.failures);
        self.expected = self.expected.or(other.expected);
        self.missing += other.missing;
        self.skipped.add(other.skipped);
        self.unknown_values.extend(other.unknown_values);
        self.idle = self.idle.or(other.idle);
        self
    }

    /// Compares what came with what Graph counts, list by list; one that broke off has no tally.
    fn count(&mut self, lists: &[Option<Tally>]) {
        self.missing = lists.iter().flatten().map(|tally| tally.missing()).sum();
        let total = lists.iter().map(|tally| tally.and_then(Tally::total)).sum();
        self.expected = if lists.is_empty() { None } else { total };
    }

    /// The state this outcome means for the collector.
    pub fn state(&self) -> CollectorState {
        let worst = self.failures.iter().map(|(_, error)| state_of(error)).max_by_key(|state| rank(*state));
        match worst {
            None if self.parts_read == 0 && !self.skipped.is_empty() => CollectorState::Malformed,
            None if self.missing > 0 => CollectorState::Partial,
            None => CollectorState::Ok,
            Some(_) if self.parts_read > 0 => CollectorState::Partial,
            Some(state) => state,
        }
    }

    /// Returns true if all that Graph has came, readable or not: then it has nothing else.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty() && self.missing == 0
    }

    /// Returns true if the outcome is whole and every record could be read: then what is not among them is gone.
    pub fn is_complete(&self) -> bool {
        self.is_whole() && self.skipped.is_empty()
    }

    /// Whether a permission is missing, for a part of it at least.
    pub fn is_refused(&self) -> bool {
        self.failures.iter().any(|(_, error)| matches!(error, Error::Forbidden { .. }))
    }

    /// What went wrong, in words: a missing permission is one fault, not one for each type of device.
    pub fn reason(&self) -> Option<String> {
        let mut grouped: Vec<(Vec<&str>, &Error)> = Vec::new();
        for (part, error) in &self.failures {
            match grouped.iter_mut().find(|(_, known)| *known == error) {
                Some((parts, _)) => parts.push(part),
                None => grouped.push((vec![part], error)),
            }
        }
        let told = grouped.iter().take(MAX_TOLD).map(|(parts, error)| format!("{}: {error}", named(parts)));
        let short = (self.missing > 0).then(|| format!("{} records are missing", self.missing));
        let told: Vec<String> = told.chain(short).collect();
        if told.is_empty() { self.idle.map(str::to_owned) } else { Some(told.join("; ")) }
    }
}

/// Different errors, and parts with the same error, that are told; more help nobody.
const MAX_TOLD: usize = 5;

/// `teamsRoom, teamsPanel`, and how many more.
fn named(parts: &[&str]) -> String {
    let first = parts.iter().take(MAX_TOLD).copied().collect::<Vec<_>>().join(", ");
    match parts.len().saturating_sub(MAX_TOLD) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// What an error means where it stands for the whole source.
pub fn state_of(error: &Error) -> CollectorState {
    match error {
        Error::Throttled => CollectorState::Throttled,
        Error::Unauthorized { .. } => CollectorState::Unauthorized,
        Error::Forbidden { .. } => CollectorState::Forbidden,
        Error::Absent { .. } => CollectorState::Retired,
        Error::Unreachable { .. } => CollectorState::Unreachable,
        Error::Rejected { .. } | Error::Malformed { .. } => CollectorState::Malformed,
        Error::TooMany { .. } => CollectorState::Partial,
    }
}

/// Of several failures the one that an operator must see to first.
fn rank(state: CollectorState) -> u8 {
    match state {
        CollectorState::Unauthorized => 5,
        CollectorState::Forbidden => 4,
        CollectorState::Throttled => 3,
        CollectorState::Retired => 2,
        CollectorState::Unreachable => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Cause;

    #[track_caller]
    fn check(parts_read: usize, failures: &[Error], expected: CollectorState) {
        let failures = failures.iter().map(|error| ("teamsRoom".to_owned(), error.clone())).collect();
        assert_eq!(Outcome { parts_read, failures, ..Outcome::default() }.state(), expected);
    }

    #[test]
    fn parts_that_fail_alike_are_told_together() {
        let mut outcome = Outcome::default();
        assert_eq!(outcome.reason(), None);
        outcome.failures = (0..7).map(|n| (n.to_string(), Error::Throttled)).collect();
        outcome.failures.push(("x".to_owned(), Error::Absent { status: 410 }));
        assert_eq!(
            outcome.reason().as_deref(),
            Some(
                "0, 1, 2, 3, 4 and 2 more: Graph throttles this application; x: Graph has no such resource (410)"
            )
        );
    }

    #[test]
    fn every_failure_has_its_state_and_the_gravest_shows() {
        let forbidden = || Error::Forbidden { code: None };
        let reset = || Error::unreachable(Cause::Reset);
        check(5, &[], CollectorState::Ok);
        check(4, &[reset()], CollectorState::Partial);
        check(0, &[reset()], CollectorState::Unreachable);
        check(0, &[reset(), forbidden(), reset()], CollectorState::Forbidden);
        check(0, &[Error::Unauthorized { advice: String::new() }, forbidden()], CollectorState::Unauthorized);
        let short = Outcome { parts_read: 1, missing: 5, ..Outcome::default() };
        assert_eq!(short.state(), CollectorState::Partial);
        assert_eq!(short.reason().as_deref(), Some("5 records are missing"));
        let mut unreadable = Outcome::default();
        unreadable.skipped.push("no known member".to_owned());
        assert_eq!(unreadable.state(), CollectorState::Malformed);
        check(0, &[Error::Absent { status: 410 }], CollectorState::Retired);
        check(0, &[Error::Throttled], CollectorState::Throttled);
        check(0, &[Error::malformed("x")], CollectorState::Malformed);
        check(0, &[Error::Rejected { status: 400, code: None }], CollectorState::Malformed);
    }
}
