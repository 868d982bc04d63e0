//! When rooms are booked: `POST /v1.0/users/{mailbox}/calendar/getSchedule`.
//!
//! Permission `Calendars.ReadBasic.All`, or a role given in Exchange for some mailboxes only. Only mailboxes of rooms are
//! ever asked for, and of a meeting only its time and status are read: Exchange writes the organiser's name into subjects.
//! <https://learn.microsoft.com/graph/api/calendar-getschedule>

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::collectors::Outcome;
use crate::collectors::wire::{self, Node, UnknownValue, escape};
use crate::graph::{CONCURRENCY, Cause, Client, Error, Operation, Whom, Workload};
use crate::input;
use crate::model::Timestamp;
use crate::model::calendar::{Booking, Calendar};

const OPERATION: Operation = Operation { name: "calendar", workload: Workload::Outlook };

/// Microsoft's documented limit of one request.
const MAX_SCHEDULES: usize = 20;
/// So many different mailboxes that will not be asked through, before any was, mean that the application may ask through
/// none; another answer may be found at the next attempt, which begins with others.
const MAX_REFUSALS: usize = 5;
/// Each mailbox has a server. If two servers fail before any has answered, Exchange itself fails, and each costs a time limit.
const MAX_FAILURES: usize = 2;
/// Graph itself fails where there are more in the window.
const MAX_BOOKINGS: usize = 1000;

/// What has been running for longer than a meeting is then known to be none, though the view shows no start before the
/// window.
const WINDOW_BACK: Duration = Duration::from_hours(12);
/// The next booking of a working day, and the first of the next. Graph allows 62 days; each more is asked for and answered
/// every five minutes.
const WINDOW_AHEAD: Duration = Duration::from_hours(24);
/// One digit of the view; meetings begin at whole quarters.
const STEP: Duration = Duration::from_mins(15);

/// Codes of a mailbox that this application may not read; every other code says nothing about that.
const REFUSALS: [&str; 2] = ["ErrorAccessDenied", "ErrorNoFreeBusyAccess"];

/// Asks for the calendars of these mailboxes, lower-case addresses; `take` gets what came, by address. Each request is
/// charged to one of `billed`: Exchange throttles by the mailbox in the path.
pub async fn collect(
    client: &Client,
    mailboxes: &[Arc<str>],
    billed: &[Arc<str>],
    now: Timestamp,
    deadline: Instant,
    take: &(dyn Fn(Vec<(Arc<str>, Calendar)>) + Send + Sync),
) -> Outcome {
    let (window, billed) = (Window::around(now), Billed::new(billed));
    let mut requests = Vec::with_capacity(mailboxes.len() / MAX_SCHEDULES + 1);
    for (turn, asked) in mailboxes.chunks(MAX_SCHEDULES).enumerate() {
        requests.push(ask(client, &billed, turn, asked, window, deadline));
    }
    // No more than Exchange lets one application have under way in one mailbox.
    let mut answers = stream::iter(requests).buffer_unordered(CONCURRENCY);
    let idle = mailboxes.is_empty().then_some("no room is known by its mail address");
    let mut outcome = Outcome { expected: Some(mailboxes.len()), idle, ..Outcome::default() };
    while let Some((asked, answer)) = answers.next().await {
        match answer {
            Ok(schedules) => {
                let reading = Reading { asked, window, now };
                take(schedules.iter().filter_map(|schedule| reading.read(schedule, &mut outcome)).collect());
                // Exchange answers for every mailbox that it is asked for, if only to refuse it.
                outcome.missing += asked.len().saturating_sub(schedules.len());
                outcome.parts_read += 1;
            }
            Err(error) => {
                // Exchange throttles by mailbox: a few may be busy, but not one after another.
                let throttled = error == Error::Throttled && outcome.failures.len() >= MAX_REFUSALS;
                let hopeless = throttled || billed.is_hopeless(&error);
                outcome.failures.push((format!("{} calendars", asked.len()), error));
                if hopeless {
                    break; // the others would end the same way, one after another
                }
            }
        }
    }
    outcome
}

/// The mailboxes to charge for a reading of all these: each but those that were refused, beginning anywhere. Where all
/// were, all: a right may have been given since.
pub fn rotated(mailboxes: &[Arc<str>], is_refused: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
    let mut billed: Vec<Arc<str>> =
        mailboxes.iter().filter(|mailbox| !is_refused(mailbox)).cloned().collect();
    if billed.is_empty() {
        billed = mailboxes.to_vec();
    }
    let first = fastrand::usize(..billed.len().max(1));
    billed.rotate_left(first);
    billed
}

/// Asks for one request's worth of mailboxes. A mailbox in the path that is refused, or whose server fails, gives way to
/// another.
async fn ask<'m>(
    client: &Client,
    billed: &Billed<'_>,
    turn: usize,
    asked: &'m [Arc<str>],
    window: Window,
    deadline: Instant,
) -> (&'m [Arc<str>], Result<Vec<Box<RawValue>>, Error>) {
    let body = window.question(asked);
    loop {
        let through = match billed.next(turn) {
            Ok(through) => through,
            Err(error) => return (asked, Err(error)),
        };
        let path = format!("/v1.0/users/{}/calendar/getSchedule", escape(through));
        match client.ask(OPERATION, &path, &body, deadline).await {
            Err(error) if is_of_mailbox(&error) && Instant::now() < deadline => billed.failed(through, error),
            Err(error) => return (asked, Err(error)),
            Ok(schedules) => {
                billed.worked(through);
                return (asked, Ok(schedules));
            }
        }
    }
}

/// Returns true if another mailbox in the path can bring an answer: this one is refused, or only its server fails.
fn is_of_mailbox(error: &Error) -> bool {
    match error {
        Error::Forbidden { .. } | Error::Absent { .. } => true,
        Error::Unreachable { whom: Whom::Graph, cause } => matches!(cause, Cause::Status(_) | Cause::Timeout),
        _ => false,
    }
}

/// The mailboxes that requests are charged to, and what became of it.
struct Billed<'b> {
    mailboxes: &'b [Arc<str>],
    seen: Mutex<Seen<'b>>,
}

#[derive(Default)]
struct Seen<'b> {
    /// Those that were refused, and those whose server failed.
    failed: HashSet<&'b str>,
    servers_failed: usize,
    failure: Option<Error>,
    works: Option<&'b str>,
}

impl Seen<'_> {
    /// Returns true if the others would fail, too.
    fn gives_up(&self) -> bool {
        let many = self.failed.len() >= MAX_REFUSALS || self.servers_failed >= MAX_FAILURES;
        self.works.is_none() && many
    }
}

impl<'b> Billed<'b> {
    fn new(mailboxes: &'b [Arc<str>]) -> Self {
        Self { mailboxes, seen: Mutex::default() }
    }

    /// The mailbox whose turn it is, or one that works, or any that has not been tried.
    fn next(&self, turn: usize) -> Result<&'b str, Error> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let own = turn.checked_rem(self.mailboxes.len()).unwrap_or_default();
        let mut ring =
            self.mailboxes.iter().cycle().skip(own).take(self.mailboxes.len()).map(|mailbox| &**mailbox);
        let untried = |mailbox: &&str| !seen.failed.contains(mailbox);
        let first = ring.next().filter(untried).or(seen.works);
        let gives_up = seen.gives_up();
        let another = || ring.find(untried).filter(|_| !gives_up);
        let nobody =
            || seen.failure.clone().unwrap_or_else(|| Error::malformed("there is no mailbox to ask through"));
        first.filter(|_| !gives_up).or_else(another).ok_or_else(nobody)
    }

    fn failed(&self, mailbox: &'b str, error: Error) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = seen.failed.insert(mailbox);
        seen.servers_failed += usize::from(is_new && matches!(error, Error::Unreachable { .. }));
        seen.failure = Some(error);
        seen.works = seen.works.filter(|works| *works != mailbox);
    }

    fn worked(&self, mailbox: &'b str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).works = Some(mailbox);
    }

    /// Whether an error of one request is that of all.
    fn is_hopeless(&self, error: &Error) -> bool {
        match error {
            error if is_of_mailbox(error) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).works.is_none()
            }
            Error::Unauthorized { .. } | Error::Unreachable { .. } => true,
            _ => false,
        }
    }
}

/// The time that is asked about, in whole steps.
#[derive(Clone, Copy)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    fn around(now: Timestamp) -> Self {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or_default();
        let start = now.seconds() - seconds(WINDOW_BACK);
        let start = Timestamp::from_seconds(start - start.rem_euclid(seconds(STEP)));
        Self { start, end: start.plus(WINDOW_BACK + WINDOW_AHEAD + STEP) }
    }

    /// How many digits a view of it has.
    fn steps(self) -> u64 {
        self.end.since(self.start).as_secs() / STEP.as_secs()
    }

    fn question(self, mailboxes: &[Arc<str>]) -> Value {
        let utc =
            |at: Timestamp| json!({ "dateTime": at.to_string().trim_end_matches('Z'), "timeZone": "UTC" });
        json!({
            "schedules": mailboxes,
            "startTime": utc(self.start),
            "endTime": utc(self.end),
            "availabilityViewInterval": STEP.as_secs() / 60,
        })
    }
}

/// What was asked, and so may be in the answer.
struct Reading<'r> {
    asked: &'r [Arc<str>],
    window: Window,
    now: Timestamp,
}

impl Reading<'_> {
    fn read(&self, schedule: &RawValue, outcome: &mut Outcome) -> Option<(Arc<str>, Calendar)> {
        let value = input::json::record(schedule.get()).ok();
        let Some((node, id)) =
            value.as_ref().and_then(Node::new).and_then(|node| Some((node, node.id("scheduleId")?)))
        else {
            outcome.skipped.push("a schedule without an address".to_owned());
            return None;
        };
        let address: Arc<str> = id.to_lowercase().into();
        if !self.asked.contains(&address) {
            outcome.skipped.push("a schedule that nobody asked for".to_owned());
            return None;
        }
        match self.calendar(node, &mut outcome.unknown_values) {
            Ok(calendar) => Some((address, calendar)),
            Err(reason) => {
                outcome.skipped.push(format!("the schedule of {address}: {reason}"));
                None
            }
        }
    }

    /// `scheduleInformation`; the error is why nothing can be said of this calendar.
    fn calendar(&self, node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Result<Calendar, String> {
        if node.has("error") {
            let code = node.node("error").and_then(|error| error.text("responseCode")).unwrap_or_default();
            if REFUSALS.iter().any(|refusal| refusal.eq_ignore_ascii_case(&code)) {
                return Ok(Calendar::Refused);
            }
            let plain = code.bytes().all(|b| b.is_ascii_alphanumeric());
            return Err(if plain { format!("error {code}") } else { "an error".to_owned() });
        }
        let items = node.has("scheduleItems").then(|| bookings(node, unknown)).flatten();
        let viewed = node.text("availabilityView").and_then(|view| self.viewed(&view));
        // A caller with little access may be shown the view alone.
        let mut bookings = match items {
            Some(items) if !items.is_empty() => items,
            items => viewed.or(items).ok_or("it shows neither items nor a view")?,
        };
        bookings.retain(|booking| booking.end > self.now);
        bookings.sort_by_key(|booking| (booking.start, booking.end));
        bookings.truncate(MAX_BOOKINGS);
        Ok(Calendar::Readable(bookings))
    }

    /// What a view shows: a digit for each step, neighbours of a kind as one. It must be as long as was asked for.
    fn viewed(&self, view: &str) -> Option<Vec<Booking>> {
        if u64::try_from(view.len()).ok()? != self.window.steps() {
            return None;
        }
        let (mut bookings, mut start) = (Vec::new(), self.window.start);
        for run in view.as_bytes().chunk_by(|before, after| before == after) {
            let end = start.plus(STEP * u32::try_from(run.len()).ok()?);
            let hold = match run.first()? {
                b'0' | b'4' => Hold::Free, // 4: working elsewhere
                b'2' => Hold::Meeting,
                _ => Hold::Other,
            };
            bookings.extend(hold.booking(start, end));
            start = end;
        }
        Some(bookings)
    }
}

/// What an entry is to the room.
#[derive(Clone, Copy)]
enum Hold {
    Free,
    Meeting,
    /// It keeps the room, and is no meeting that anybody could fail to come to.
    Other,
}

/// `freeBusyStatus`. A tentative entry of a room is a request that waits for its delegate: others cannot book, and nobody
/// is expected yet.
const STATUSES: [(&str, Hold); 6] = [
    ("free", Hold::Free),
    ("working_elsewhere", Hold::Free),
    ("tentative", Hold::Other),
    ("busy", Hold::Meeting),
    ("oof", Hold::Other),
    ("unknown", Hold::Other),
];

impl Hold {
    fn booking(self, start: Timestamp, end: Timestamp) -> Option<Booking> {
        match self {
            Self::Free => None,
            Self::Meeting => Booking::new(start, end, true),
            Self::Other => Booking::new(start, end, false),
        }
    }
}

/// The `scheduleItem`s that keep the room; `None` if one cannot be read, which might be the one that runs now.
fn bookings(node: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Option<Vec<Booking>> {
    let mut bookings = Vec::new();
    for item in node.nodes("scheduleItems") {
        let item = item?;
        let (start, end) = (instant(item.node("start")?)?, instant(item.node("end")?)?);
        bookings.extend(hold(item, unknown).booking(start, end));
    }
    Some(bookings)
}

fn hold(item: Node<'_>, unknown: &mut Vec<UnknownValue>) -> Hold {
    let Some(status) = item.text("status") else { return Hold::Other };
    let known = STATUSES.iter().find(|(name, _)| wire::same_name(name, &status));
    if known.is_none() {
        wire::note(unknown, "scheduleItem.status", &status);
    }
    known.map_or(Hold::Other, |(_, hold)| *hold)
}

/// `dateTimeTimeZone`: Graph answers in UTC, as it was asked; another zone would be another time.
fn instant(node: Node<'_>) -> Option<Timestamp> {
    let zone = node.text("timeZone");
    let is_utc = |zone: &str| ["utc", "etc/utc", "gmt", "etc/gmt"].contains(&zone.to_lowercase().as_str());
    if !zone.is_none_or(|zone| is_utc(&zone)) {
        return None;
    }
    let text = node.text("dateTime")?;
    Timestamp::parse(&text).or_else(|| Timestamp::parse(&format!("{text}Z")))
}

#[cfg(test)]
mod tests;
