//! `calendar/getSchedule`: free and busy of up to twenty mailboxes, asked through one of them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::chance::Chance;
use super::faults::Kind;
use super::pages;
use super::profile::Profile;
use super::reply::Reply;
use super::routes::{Call, Route};
use super::spoil;
use super::world::{Booking, BookingStatus, Episode, Mailbox, timestamp};

pub(super) const NOUN: &str = "calendar";

pub(super) const ROUTES: &[Route] = &[Route {
    method: "POST",
    template: "/v1.0/users/{mailbox}/calendar/getSchedule",
    options: &[],
    permissions: &["Calendars.ReadBasic.All", "Calendars.Read", "Calendars.ReadWrite"],
    noun: NOUN,
    answer,
}];

/// Microsoft's documented limits.
const MOST_SCHEDULES: usize = 20;
const WINDOW_DAYS: i64 = 62;
const INTERVALS: std::ops::RangeInclusive<i64> = 5..=1_440;
const DEFAULT_INTERVAL: i64 = 30;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// What was asked for.
struct Question {
    schedules: Vec<String>,
    window: Episode,
    /// Length of one digit of the view, in minutes.
    interval: i64,
}

/// Whom an address belongs to.
enum Whose {
    Room(Box<Mailbox>),
    Person,
    Nobody,
}

fn answer(call: &Call<'_>) -> Result<Reply, Reply> {
    through(call)?;
    let question = Question::read(call.request.body)?;
    let asked = if call.faults.strikes(Kind::Empty).is_some() { &[] } else { question.schedules.as_slice() };
    let lost = pages::lost_rows(call, asked.len()).unwrap_or_default();
    let schedules = asked
        .iter()
        .take(asked.len() - lost)
        .map(|address| spoil::row(call, address, schedule(call, &question, address)));
    let mut schedules: Vec<Value> = schedules.collect();
    // Graph promises no order; this one is the same each time.
    let draw = call.tenant.world.seed().named("schedules").named(&question.schedules.join(" "));
    fastrand::Rng::with_seed(draw.seed()).shuffle(&mut schedules);
    spoil::rows(call, &mut schedules);
    let context =
        format!("{}/v1.0/$metadata#Collection(microsoft.graph.scheduleInformation)", call.tenant.url);
    Ok(Reply::json(json!({"@odata.context": context, "value": schedules})))
}

/// The mailbox in the path must exist and be readable; what is asked about may be others.
fn through(call: &Call<'_>) -> Result<(), Reply> {
    let name = call.decoded(0);
    let by_id = Uuid::try_parse(&name).ok().and_then(|id| call.tenant.world.user_with_id(id));
    let upn = by_id.map(|entry| call.tenant.world.user(&entry).account.user_principal_name);
    match whose(call, upn.as_deref().unwrap_or(&name)) {
        Whose::Nobody => {
            let message = format!("The requested user '{name}' is invalid.");
            Err(Reply::error(404, "ErrorInvalidUser", message))
        }
        Whose::Room(mailbox) if is_struck(call, Kind::DeadMailbox, &mailbox) => {
            Err(Reply::error(503, "ErrorMailboxStoreUnavailable", "The mailbox server is not available."))
        }
        Whose::Room(mailbox) if is_struck(call, Kind::RestrictedMailbox, &mailbox) => {
            Err(Reply::error(403, "ErrorAccessDenied", "Access to OData is disabled."))
        }
        _ => Ok(()),
    }
}

fn whose(call: &Call<'_>, address: &str) -> Whose {
    if let Some(mailbox) = call.tenant.world.mailbox_at(address) {
        return Whose::Room(Box::new(mailbox));
    }
    let mut users = call.tenant.world.users().iter();
    let is_theirs = users.any(|entry| call.tenant.world.user(entry).mail.eq_ignore_ascii_case(address));
    if is_theirs { Whose::Person } else { Whose::Nobody }
}

/// The mailbox an address names, or the same share of rooms every time.
fn is_struck(call: &Call<'_>, kind: Kind, mailbox: &Mailbox) -> bool {
    let Some(fault) = call.faults.is_on(kind) else { return false };
    let account = &mailbox.room.account;
    if fault.value_or("").contains('@') {
        let address = fault.value_or("");
        return [&account.user_principal_name, &mailbox.address()]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(address));
    }
    let draw = call.tenant.world.seed().named("restricted").named(&account.id.to_string());
    draw.happens(fault.number_or(10.0) / 100.0)
}

impl Question {
    fn read(body: &[u8]) -> Result<Self, Reply> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| Reply::bad_request("Unable to read JSON request payload."))?;
        let schedules = body.get("schedules").and_then(Value::as_array).into_iter().flatten();
        let schedules: Vec<String> = schedules.filter_map(Value::as_str).map(str::to_owned).collect();
        match schedules.len() {
            0 => return Err(refuse("ErrorMailboxDataArrayEmpty", "No schedules were asked for.")),
            1..=MOST_SCHEDULES => {}
            _ => return Err(refuse("ErrorMailboxDataArrayTooBig", "Too many schedules, allowed size = 20.")),
        }
        let window = Episode { from: instant(&body, "startTime")?, until: instant(&body, "endTime")? };
        if window.from >= window.until {
            return Err(refuse("ErrorInvalidTimeInterval", "The end must lie behind the start."));
        }
        if window.until - window.from >= WINDOW_DAYS * DAY {
            return Err(refuse("ErrorTimeIntervalTooBig", "The window must be shorter than 62 days."));
        }
        let interval = body.get("availabilityViewInterval").map_or(Some(DEFAULT_INTERVAL), Value::as_i64);
        let interval = interval.filter(|minutes| INTERVALS.contains(minutes));
        let interval = interval.ok_or_else(|| {
            refuse("ErrorInvalidMergedFreeBusyInterval", "The interval must be 5 to 1440 minutes.")
        })?;
        Ok(Self { schedules, window, interval })
    }
}

fn refuse(code: &'static str, message: &str) -> Reply {
    Reply::error(400, code, message)
}

/// A `dateTimeTimeZone`; the simulation knows UTC only, which is all a client needs.
fn instant(body: &Value, name: &str) -> Result<i64, Reply> {
    let text = |member: &str| body.get(name)?.get(member)?.as_str();
    let zone = text("timeZone").unwrap_or_default();
    if !["UTC", "Etc/UTC", "Etc/GMT"].contains(&zone) {
        let message = format!(
            "A valid TimeZone value must be specified. The following TimeZone value is not supported: '{zone}'."
        );
        return Err(refuse("TimeZoneNotSupportedException", &message));
    }
    let civil: Option<DateTime> = text("dateTime").and_then(|text| text.trim_end_matches('Z').parse().ok());
    let at = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC).ok());
    at.map(|at| at.timestamp().as_millisecond())
        .ok_or_else(|| refuse("ErrorInvalidRequest", &format!("'{name}' has no valid dateTime.")))
}

fn schedule(call: &Call<'_>, question: &Question, address: &str) -> Value {
    match whose(call, address) {
        Whose::Nobody => {
            let message =
                format!("Unable to resolve e-mail address {address} to an Active Directory object.");
            failed(address, &message, "ErrorMailRecipientNotFound")
        }
        Whose::Room(mailbox) if is_struck(call, Kind::RestrictedMailbox, &mailbox) => {
            failed(address, "Access is denied. Check credentials and try again.", "ErrorAccessDenied")
        }
        Whose::Room(mailbox) => of_room(call, question, address, &mailbox),
        Whose::Person => readable(question, address, &[]),
    }
}

fn failed(address: &str, message: &str, code: &str) -> Value {
    json!({"scheduleId": address, "error": {"message": message, "responseCode": code}})
}

fn of_room(call: &Call<'_>, question: &Question, address: &str, mailbox: &Mailbox) -> Value {
    let mut edited = json!({"scheduleItems": items(call, question, mailbox)});
    if let Some(patch) = call.tenant.edits_of(mailbox.room.account.id) {
        patch.apply("schedule", &mut edited);
    }
    if let Some(error) = edited.get("error") {
        return json!({"scheduleId": address, "error": error});
    }
    let items = edited.get("scheduleItems").and_then(Value::as_array).cloned().unwrap_or_default();
    let in_window: Vec<Value> = items.into_iter().filter(|item| touches(item, question.window)).collect();
    let mut schedule = readable(question, address, &in_window);
    let lacks_hours = mailbox.room.chance.named("no working hours").happens(0.2);
    if let (Profile::Real, true, Some(members)) = (call.tenant.profile, lacks_hours, schedule.as_object_mut())
    {
        members.remove("workingHours");
    }
    schedule
}

fn items(call: &Call<'_>, question: &Question, mailbox: &Mailbox) -> Vec<Value> {
    let mut bookings = call.tenant.world.bookings(mailbox, question.window);
    if call.tenant.profile == Profile::Documented {
        return bookings.iter().map(|booking| item(booking, &mailbox.room.name)).collect();
    }
    bookings.extend(mailbox.elsewhere(question.window));
    bookings.sort_by_key(|booking| (booking.from, booking.until));
    let draw = mailbox.room.chance.named("flags");
    bookings.iter().map(|booking| real_item(booking, draw.number(booking.from))).collect()
}

/// An item with the flags that Learn does not name, and without a location.
fn real_item(booking: &Booking, draw: Chance) -> Value {
    let mut item = item(booking, "");
    let is_recurring = draw.named("recurring").happens(0.3);
    let flags = json!({
        "isMeeting": draw.named("meeting").happens(0.9),
        "isRecurring": is_recurring,
        "isException": is_recurring && draw.named("exception").happens(0.2),
        "isReminderSet": draw.named("reminder").happens(0.5),
    });
    if let (Some(members), Value::Object(flags)) = (item.as_object_mut(), flags) {
        members.extend(flags);
    }
    item
}

fn item(booking: &Booking, room: &str) -> Value {
    let status = match booking.status {
        BookingStatus::Tentative => "tentative",
        BookingStatus::Busy => "busy",
        BookingStatus::OutOfOffice => "oof",
        BookingStatus::WorkingElsewhere => "workingElsewhere",
    };
    json!({
        "isPrivate": booking.is_private,
        "status": status,
        // What Exchange makes of the subject of a room by default, trailing space included.
        "subject": format!("{} ", booking.organizer),
        "location": room,
        "start": zoned(booking.from),
        "end": zoned(booking.until),
    })
}

/// Seven decimals and no letter behind them: the zone is a member of its own.
fn zoned(at: i64) -> Value {
    let text = timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.0000000").to_string();
    json!({"dateTime": text, "timeZone": "UTC"})
}

fn touches(item: &Value, window: Episode) -> bool {
    let at = |name| instant(item, name).ok();
    match (at("start"), at("end")) {
        (Some(from), Some(until)) => from < window.until && until > window.from,
        // What an edit made unreadable is shown all the same.
        _ => true,
    }
}

fn readable(question: &Question, address: &str, items: &[Value]) -> Value {
    json!({
        "scheduleId": address,
        "availabilityView": view(question, items),
        "scheduleItems": items,
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": "UTC"},
        },
    })
}

/// One digit for each interval: the most binding entry that touches it.
fn view(question: &Question, items: &[Value]) -> String {
    let Question { window, interval, .. } = question;
    let taken: Vec<(Episode, char)> = items.iter().filter_map(taken).collect();
    let steps = (window.until - window.from).div_euclid(interval * MINUTE).max(1);
    let digit = |step: i64| {
        let from = window.from + step * interval * MINUTE;
        let until = from + interval * MINUTE;
        let touching = taken.iter().filter(|(slot, _)| slot.from < until && slot.until > from);
        touching.map(|(_, digit)| *digit).max().unwrap_or('0')
    };
    (0..steps).map(digit).collect()
}

fn taken(item: &Value) -> Option<(Episode, char)> {
    let digit = match item.get("status")?.as_str()? {
        "tentative" => '1',
        "busy" => '2',
        "oof" => '3',
        // Free and working elsewhere.
        _ => '0',
    };
    Some((Episode { from: instant(item, "start").ok()?, until: instant(item, "end").ok()? }, digit))
}
