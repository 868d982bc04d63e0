//! Schedules as Graph answers them, and which mailbox each request is charged to.

use super::*;

const ROOM: &str = "oslo@contoso.example";
/// Friday 2026-11-20, 08:07:00 UTC.
const NOW: Timestamp = Timestamp::from_seconds(1_795_162_020);

/// A time of that Friday as Graph writes it.
fn utc(time: &str) -> Value {
    json!({ "dateTime": format!("2026-11-20T{time}:00.0000000"), "timeZone": "UTC" })
}

fn item(status: &Value, start: &str, end: &str) -> Value {
    json!({
        "isPrivate": false, "status": status, "subject": "Kari Nordmann ", "location": "Oslo",
        "start": utc(start), "end": utc(end),
    })
}

fn busy(start: &str, end: &str) -> Value {
    item(&json!("busy"), start, end)
}

/// What is read of one schedule, and the outcome of that.
fn read(schedule: &Value) -> (Option<Calendar>, Outcome) {
    let asked = [Arc::from(ROOM)];
    let reading = Reading { asked: &asked, window: Window::around(NOW), now: NOW };
    let mut outcome = Outcome::default();
    let schedule = RawValue::from_string(schedule.to_string()).expect("JSON");
    let read = reading.read(&schedule, &mut outcome);
    assert!(read.iter().all(|(address, _)| &**address == ROOM));
    (read.map(|(_, calendar)| calendar), outcome)
}

/// The bookings in minutes from [`NOW`], `!` before those that are no meeting.
fn shown(calendar: Option<Calendar>) -> Option<Vec<String>> {
    let Calendar::Readable(bookings) = calendar? else { return Some(vec!["refused".to_owned()]) };
    let minutes = |at: Timestamp| (at.seconds() - NOW.seconds()).div_euclid(60);
    let show = |booking: &Booking| {
        let mark = if booking.is_meeting { "" } else { "!" };
        format!("{mark}{}..{}", minutes(booking.start), minutes(booking.end))
    };
    Some(bookings.iter().map(show).collect())
}

#[track_caller]
fn check(schedule: &Value, expected: Option<&[&str]>) {
    let (calendar, outcome) = read(schedule);
    let expected = expected.map(|bookings| bookings.iter().map(ToString::to_string).collect());
    assert_eq!(shown(calendar), expected, "{schedule}");
    assert_eq!(outcome.skipped.len(), usize::from(expected.is_none()), "{:?}", outcome.skipped);
}

fn with_items(items: &[Value]) -> Value {
    json!({ "scheduleId": ROOM, "scheduleItems": items })
}

#[test]
fn bookings_are_read_in_order_and_what_is_over_is_left_out() {
    let items = [busy("09:00", "10:00"), busy("08:00", "09:00"), busy("07:00", "08:07")];
    check(&with_items(&items), Some(&["-7..53", "53..113"]));
    check(&with_items(&[busy("08:30", "08:30"), busy("09:00", "08:30")]), Some(&[]));
    check(&with_items(&[]), Some(&[]));
    check(&json!({ "ScheduleId": "OSLO@Contoso.Example", "ScheduleItems": [] }), Some(&[]));
}

#[test]
fn each_status_is_a_meeting_a_block_or_nothing() {
    for (status, expected) in [
        (json!("busy"), "23..53"),
        (json!("BUSY"), "23..53"),
        (json!("tentative"), "!23..53"),
        (json!("oof"), "!23..53"),
        (json!("Oof"), "!23..53"),
        (json!("unknown"), "!23..53"),
        (json!(null), "!23..53"),
        (json!("sabbatical"), "!23..53"),
    ] {
        check(&with_items(&[item(&status, "08:30", "09:00")]), Some(&[expected]));
    }
    for status in ["free", "workingElsewhere", "WorkingElsewhere"] {
        check(&with_items(&[item(&json!(status), "08:30", "09:00")]), Some(&[]));
    }
    let (_, outcome) = read(&with_items(&[item(&json!("sabbatical"), "08:30", "09:00")]));
    let noted = UnknownValue { field: "scheduleItem.status", value: "sabbatical".to_owned() };
    assert_eq!(outcome.unknown_values, [noted]);
}

#[test]
fn a_day_is_no_meeting() {
    check(&with_items(&[busy("00:00", "23:59")]), Some(&["!-487..952"]));
    check(&with_items(&[busy("08:00", "18:00")]), Some(&["-7..593"]));
}

#[test]
fn a_mailbox_that_is_refused_is_told_from_one_that_fails() {
    let error = |error: Value| json!({ "scheduleId": ROOM, "error": error });
    for code in ["ErrorAccessDenied", "erroraccessdenied", "ErrorNoFreeBusyAccess"] {
        check(&error(json!({ "responseCode": code, "message": "Kari Nordmann" })), Some(&["refused"]));
    }
    for code in [json!("ErrorMailRecipientNotFound"), json!("Kari Nordmann"), json!(null), json!(5)] {
        check(&error(json!({ "responseCode": code, "message": "Kari Nordmann" })), None);
        let (_, outcome) = read(&error(json!({ "responseCode": code })));
        assert!(!outcome.skipped.reasons()[0].contains("Kari"), "{:?}", outcome.skipped);
    }
    check(&error(json!("no")), None);
    check(&error(json!(null)), None);
}

/// Digits of a view, `from` and `to` in steps of a quarter from the window's start, 12 hours ago.
fn view(digits: &[(usize, usize, char)]) -> String {
    let steps = usize::try_from(Window::around(NOW).steps()).expect("few");
    let digit = |step| {
        let found = digits.iter().find(|(from, to, _)| (*from..*to).contains(&step));
        found.map_or('0', |(.., digit)| *digit)
    };
    (0..steps).map(digit).collect()
}

#[test]
fn the_view_serves_where_there_are_no_items() {
    let viewed = |view: &str| json!({ "scheduleId": ROOM, "availabilityView": view });
    check(&viewed(&view(&[(48, 50, '2')])), Some(&["-7..23"]));
    check(
        &viewed(&view(&[(0, 4, '2'), (49, 50, '1'), (50, 52, '3'), (52, 60, '4')])),
        Some(&["!8..23", "!23..53"]),
    );
    check(&viewed(&view(&[(0, 60, '2')])), Some(&["!-727..173"]));
    check(&viewed(&view(&[])), Some(&[]));
    check(&viewed("222"), None);
    check(&viewed(""), None);
    check(&json!({ "scheduleId": ROOM }), None);
    check(&json!({ "scheduleId": ROOM, "scheduleItems": null, "availabilityView": null }), None);
}

#[test]
fn items_come_before_the_view_unless_they_cannot_be_read() {
    let both = |items: &[Value]| json!({ "scheduleId": ROOM, "scheduleItems": items, "availabilityView": view(&[(49, 51, '2')]) });
    check(&both(&[busy("08:30", "09:00")]), Some(&["23..53"]));
    check(&both(&[]), Some(&["8..38"]));
    for hostile in [
        json!(null),
        json!("busy"),
        json!({ "status": "busy" }),
        json!({ "status": "busy", "start": utc("08:30"), "end": null }),
        json!({ "status": "busy", "start": utc("08:30"), "end": { "dateTime": "soon", "timeZone": "UTC" } }),
        json!({ "status": "busy", "start": { "dateTime": "2026-11-20T08:30:00", "timeZone": "W. Europe Standard Time" }, "end": utc("09:00") }),
        json!({ "status": "busy", "start": { "dateTime": "0001-01-01T00:00:00", "timeZone": "UTC" }, "end": utc("09:00") }),
    ] {
        check(&with_items(std::slice::from_ref(&hostile)), None);
        check(&both(&[busy("10:00", "11:00"), hostile]), Some(&["8..38"]));
    }
}

#[test]
fn times_are_utc_in_each_spelling() {
    for (time, zone) in [
        ("2026-11-20T09:00:00.0000000", json!("UTC")),
        ("2026-11-20T09:00:00", json!("Etc/GMT")),
        ("2026-11-20T09:00:00Z", json!("utc")),
        ("2026-11-20T10:00:00+01:00", json!(null)),
    ] {
        let value = json!({ "dateTime": time, "timeZone": zone });
        assert_eq!(
            instant(Node::new(&value).expect("an object")),
            Some(Timestamp::from_seconds(1_795_165_200))
        );
    }
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    for hostile in [
        json!({ "scheduleId": "kari@contoso.example", "scheduleItems": [] }),
        json!({ "scheduleId": null, "scheduleItems": [] }),
        json!({ "scheduleItems": [] }),
        json!([]),
        json!(null),
    ] {
        check(&hostile, None);
    }
}

#[test]
fn there_is_a_bound_to_the_bookings_of_a_room() {
    let items = vec![busy("09:00", "10:00"); MAX_BOOKINGS + 5];
    assert_eq!(shown(read(&with_items(&items)).0).map(|bookings| bookings.len()), Some(MAX_BOOKINGS));
}

#[test]
fn the_window_is_in_whole_steps_and_shorter_than_graph_allows() {
    let window = Window::around(NOW);
    assert_eq!(window.start.to_string(), "2026-11-19T20:00:00Z");
    assert_eq!(window.end.to_string(), "2026-11-21T08:15:00Z");
    assert_eq!(window.steps(), 145);
    let question = window.question(&[ROOM.into()]);
    assert_eq!(question["startTime"], json!({ "dateTime": "2026-11-19T20:00:00", "timeZone": "UTC" }));
    assert_eq!((&question["availabilityViewInterval"], &question["schedules"]), (&json!(15), &json!([ROOM])));
}

fn mailboxes(count: usize) -> Vec<Arc<str>> {
    (0..count).map(|number| format!("room-{number}@contoso.example").into()).collect()
}

fn forbidden() -> Error {
    Error::Forbidden { code: None }
}

#[test]
fn a_mailbox_that_is_refused_gives_way_to_one_that_works() {
    let mailboxes = mailboxes(40);
    let billed = Billed::new(&mailboxes);
    let next = |turn| billed.next(turn).expect("a mailbox");
    assert_eq!((next(0), next(1), next(41)), (&*mailboxes[0], &*mailboxes[1], &*mailboxes[1]));
    billed.failed(next(0), forbidden());
    assert_eq!(next(0), &*mailboxes[1], "another that was not tried");
    billed.worked(next(7));
    assert_eq!(next(0), &*mailboxes[7], "one that works");
    assert_eq!(next(1), &*mailboxes[1], "every turn begins with its own");
    for turn in 8..30 {
        billed.failed(next(turn), forbidden());
        assert_eq!(next(turn), &*mailboxes[7], "while one works, others may refuse");
    }
    billed.failed(next(7), forbidden());
    assert_eq!(billed.next(7), Err(forbidden()), "none works, and too many have refused");
    assert!(billed.is_hopeless(&forbidden()));
}

#[test]
fn what_several_mailboxes_refuse_is_refused_to_the_application() {
    let mailboxes = mailboxes(40);
    let billed = Billed::new(&mailboxes);
    for turn in 0..MAX_REFUSALS {
        billed.failed(billed.next(turn).expect("another"), forbidden());
    }
    assert_eq!(billed.next(30), Err(forbidden()));
    let alone = [mailboxes[0].clone()];
    let billed = Billed::new(&alone);
    billed.failed(billed.next(3).expect("the one"), forbidden());
    assert_eq!(billed.next(4), Err(forbidden()));
    assert!(Billed::new(&[]).next(0).is_err());
}

#[test]
fn a_mailbox_whose_server_fails_gives_way_and_two_of_them_are_exchange() {
    let unreachable = Error::unreachable;
    let mailboxes = mailboxes(40);
    for failure in [unreachable(Cause::Status(503)), unreachable(Cause::Timeout)] {
        let billed = Billed::new(&mailboxes);
        billed.failed(&mailboxes[0], failure.clone());
        billed.failed(&mailboxes[0], failure.clone());
        assert_eq!(billed.next(0), Ok(&*mailboxes[1]), "one fails, however often");
        billed.failed(&mailboxes[1], failure.clone());
        assert_eq!(billed.next(0), Err(failure.clone()), "{MAX_FAILURES} fail and none works");
        assert!(billed.is_hopeless(&failure));
        billed.worked(&mailboxes[7]);
        assert_eq!(billed.next(0), Ok(&*mailboxes[7]));
        assert!(!billed.is_hopeless(&failure), "one works, so that the others go on");
    }
    let billed = Billed::new(&mailboxes);
    billed.worked(&mailboxes[7]);
    for general in
        [unreachable(Cause::Reset), unreachable(Cause::Dns), Error::Unauthorized { advice: String::new() }]
    {
        assert!(billed.is_hopeless(&general) && !is_of_mailbox(&general), "{general}");
    }
    for of_one in [Error::Throttled, Error::malformed("a body")] {
        assert!(!billed.is_hopeless(&of_one) && !is_of_mailbox(&of_one), "{of_one}");
    }
}

#[test]
fn refused_mailboxes_are_not_charged_while_there_are_others() {
    let mailboxes = mailboxes(10);
    let is_refused = |mailbox: &str| mailbox.starts_with("room-3");
    let mut billed = rotated(&mailboxes, is_refused);
    billed.sort();
    assert_eq!(billed.len(), 9);
    assert!(!billed.iter().any(|mailbox| is_refused(mailbox)));
    assert_eq!(rotated(&mailboxes, |_| true).len(), 10);
    assert!(rotated(&[], is_refused).is_empty());
}
