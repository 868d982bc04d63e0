//! Whether and when a failed request is sent again. Pure; the client waits and sends.

use std::time::Duration;

use crate::graph::error::Error;

/// One failed attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub error: Error,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// What Graph wants another token to say.
    pub challenge: Option<serde_json::Value>,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decision {
    After(Duration),
    Stop,
}

/// The longest wait inside an attempt of a collector. If Graph asks for more, the attempt ends, and the state of the
/// collector shows it; the next one comes when it is due.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// `attempt` counts from 1, up to `attempts`; `jitter` in 0..1 spreads the pauses of many requests.
pub(super) fn decide(
    failure: &Failure,
    attempt: u32,
    attempts: u32,
    first_pause: Duration,
    jitter: f64,
) -> Decision {
    let pause = failure.retry_after.unwrap_or_else(|| backoff(attempt, first_pause, jitter));
    let is_worth_it = failure.error.is_passing() && attempt < attempts && pause <= LONGEST_PAUSE;
    if is_worth_it { Decision::After(pause) } else { Decision::Stop }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None, challenge: None }
    }
}

/// The pause where Graph names none: it starts at `first_pause` and doubles with each attempt.
pub(super) fn backoff(attempt: u32, first_pause: Duration, jitter: f64) -> Duration {
    let full = first_pause.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// `Retry-After` as whole or fractional seconds or as an HTTP date. `now` in seconds since the epoch.
pub(super) fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0)
            .then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT)));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second();
    let wait = u32::try_from(until.saturating_sub(now)).unwrap_or(0);
    Some(Duration::from_secs_f64(f64::from(wait).min(LONGEST_WAIT)))
}

/// A wait of more than an hour is taken as an hour: a wrong clock must not stop collection for good.
const LONGEST_WAIT: f64 = 3600.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::error::Cause;

    #[track_caller]
    fn check_header(value: &str, expected: Option<f64>) {
        let now = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT
        assert_eq!(retry_after(value, now).map(|wait| wait.as_secs_f64()), expected, "{value}");
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        check_header("7", Some(7.0));
        check_header(" 2.128 ", Some(2.128));
        check_header("0", Some(0.0));
        check_header("Wed, 21 Oct 2015 07:28:09 GMT", Some(9.0));
        check_header("Wed, 21 Oct 2015 07:27:00 GMT", Some(0.0));
        check_header("99999999", Some(3600.0));
        check_header("-3", None);
        check_header("NaN", None);
        check_header("inf", None);
        check_header("soon", None);
        check_header("", None);
    }

    const ATTEMPTS: u32 = 5;

    #[track_caller]
    fn check_decision(
        error: Error,
        retry_after: Option<f64>,
        attempt: u32,
        jitter: f64,
        expected: Option<f64>,
    ) {
        let retry_after = retry_after.map(Duration::from_secs_f64);
        let failure = Failure { error, retry_after, challenge: None };
        let seconds = match decide(&failure, attempt, ATTEMPTS, Duration::from_millis(500), jitter) {
            Decision::After(wait) => Some(wait.as_secs_f64()),
            Decision::Stop => None,
        };
        assert_eq!(seconds, expected, "{failure:?} at attempt {attempt}");
    }

    #[test]
    fn only_passing_failures_are_tried_again() {
        let reset = || Error::unreachable(Cause::Reset);
        check_decision(reset(), None, 1, 0.0, Some(0.25));
        check_decision(reset(), None, 1, 1.0, Some(0.5));
        check_decision(reset(), None, 4, 1.0, Some(4.0));
        check_decision(reset(), None, ATTEMPTS, 0.0, None);
        check_decision(Error::unreachable(Cause::Status(503)), Some(3.0), 1, 0.0, Some(3.0));
        check_decision(Error::Throttled, Some(9.0), 1, 0.3, Some(9.0));
        check_decision(Error::Throttled, None, 2, 1.0, Some(1.0));
        check_decision(Error::Throttled, Some(30.0), 1, 0.0, Some(30.0));
        check_decision(Error::Throttled, Some(30.5), 1, 0.0, None);
        check_decision(Error::unreachable(Cause::Status(503)), Some(240.0), 1, 0.0, None);
        check_decision(Error::malformed("half"), None, 1, 1.0, Some(0.5));
        check_decision(Error::Forbidden { code: None }, Some(1.0), 1, 0.0, None);
        check_decision(Error::Unauthorized { advice: String::new() }, None, 1, 0.0, None);
        check_decision(Error::Absent { status: 404 }, None, 1, 0.0, None);
    }
}
