//! Service hours across daylight saving, and which site a room belongs to.

use std::time::Duration;

use super::*;

const HOUR: u64 = 3600;

fn site(zone: &str, service: &str, maintenance: Option<&str>) -> Site {
    let hours = |text| Hours::parse(text).expect("sound");
    let maintenance = maintenance.map(hours).unwrap_or_default();
    let zone = super::zone(zone).expect("a zone");
    Site::new("site", None, Match::default(), zone, hours(service), &maintenance)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// The moments at which a site goes into or out of service from one moment to another; each second between them
/// is checked against the clock on the wall as jiff shows it.
#[track_caller]
fn check(site: &Site, from: &str, to: &str, expected: &[(&str, bool)]) {
    let (mut now, to) = (at(from), at(to));
    let (start, mut service) = (now, 0);
    let mut found = Vec::new();
    while let Some(next) = site.next_change(now).filter(|next| *next <= to) {
        service += if site.in_service(now) { next.since(now).as_secs() } else { 0 };
        assert_ne!(site.in_service(next), site.in_service(now), "{now} {next}");
        let second_before = Timestamp::from_seconds(next.seconds() - 1);
        assert_eq!(site.in_service(second_before), site.in_service(now), "{now} {next}");
        assert_eq!(site.next_change(second_before), Some(next));
        let shown = instant(next.seconds()).to_zoned(site.zone.clone());
        found.push((shown.strftime("%a %d %H:%M %z").to_string(), site.in_service(next)));
        now = next;
    }
    service += if site.in_service(now) { to.since(now).as_secs() } else { 0 };
    let expected: Vec<_> = expected.iter().map(|(text, open)| ((*text).to_owned(), *open)).collect();
    assert_eq!(found, expected);
    assert_eq!(site.service_seconds(start, to), (service, to.since(start).as_secs() - service));
}

#[test]
fn a_plain_week() {
    let site = site("Europe/Berlin", "Mon-Fri 07:00-20:00", Some("12:00-12:30, Tue 00:00-24:00"));
    check(
        &site,
        "2026-11-20T12:00:00Z",
        "2026-11-25T00:00:00+01:00",
        &[
            ("Fri 20 20:00 +0100", false),
            ("Mon 23 07:00 +0100", true),
            ("Mon 23 12:00 +0100", false),
            ("Mon 23 12:30 +0100", true),
            ("Mon 23 20:00 +0100", false),
        ],
    );
}

#[test]
fn an_hour_that_spring_skips_does_not_come() {
    // 2026-03-29 in Berlin: 02:00 is 03:00.
    let nights = site("Europe/Berlin", "22:00-06:00", None);
    check(
        &nights,
        "2026-03-28T12:00:00+01:00",
        "2026-03-29T12:00:00+02:00",
        &[("Sat 28 22:00 +0100", true), ("Sun 29 06:00 +0200", false)],
    );
    assert_eq!(
        nights.service_seconds(at("2026-03-28T22:00:00+01:00"), at("2026-03-29T06:00:00+02:00")),
        (7 * HOUR, 0)
    );
    let maintained = site("Europe/Berlin", "24/7", Some("02:15-02:45"));
    check(
        &maintained,
        "2026-03-28T12:00:00+01:00",
        "2026-03-30T12:00:00+02:00",
        &[("Mon 30 02:15 +0200", false), ("Mon 30 02:45 +0200", true)],
    );
    // What begins inside the gap begins at its end.
    let early = site("Europe/Berlin", "Sun 02:30-09:00", None);
    check(
        &early,
        "2026-03-28T12:00:00+01:00",
        "2026-03-29T12:00:00+02:00",
        &[("Sun 29 03:00 +0200", true), ("Sun 29 09:00 +0200", false)],
    );
    // What ends inside the gap ends at its beginning.
    let late = site("Europe/Berlin", "Sun 01:00-02:30", None);
    check(
        &late,
        "2026-03-28T12:00:00+01:00",
        "2026-03-29T12:00:00+02:00",
        &[("Sun 29 01:00 +0100", true), ("Sun 29 03:00 +0200", false)],
    );
}

#[test]
fn an_hour_that_autumn_repeats_comes_twice() {
    // 2026-10-25 in Berlin: 03:00 is 02:00.
    let maintained = site("Europe/Berlin", "24/7", Some("02:15-02:45"));
    check(
        &maintained,
        "2026-10-24T12:00:00+02:00",
        "2026-10-25T12:00:00+01:00",
        &[
            ("Sun 25 02:15 +0200", false),
            ("Sun 25 02:45 +0200", true),
            ("Sun 25 02:15 +0100", false),
            ("Sun 25 02:45 +0100", true),
        ],
    );
    let whole_hour = site("Europe/Berlin", "24/7", Some("02:00-03:00"));
    check(
        &whole_hour,
        "2026-10-24T12:00:00+02:00",
        "2026-10-25T12:00:00+01:00",
        &[("Sun 25 02:00 +0200", false), ("Sun 25 03:00 +0100", true)],
    );
    let nights = site("Europe/Berlin", "22:00-06:00", None);
    assert_eq!(
        nights.service_seconds(at("2026-10-24T22:00:00+02:00"), at("2026-10-25T06:00:00+01:00")),
        (9 * HOUR, 0)
    );
    // The clock goes back out of the hours and comes into them again.
    let until_three = site("Europe/Berlin", "Sun 02:30-03:00", None);
    check(
        &until_three,
        "2026-10-24T12:00:00+02:00",
        "2026-10-25T12:00:00+01:00",
        &[
            ("Sun 25 02:30 +0200", true),
            ("Sun 25 02:00 +0100", false),
            ("Sun 25 02:30 +0100", true),
            ("Sun 25 03:00 +0100", false),
        ],
    );
}

#[test]
fn new_york_changes_on_other_days() {
    let site = site("America/New_York", "Sat,Sun 01:30-02:30", None);
    check(
        &site,
        "2026-03-07T12:00:00-05:00",
        "2026-03-08T12:00:00-04:00",
        &[("Sun 08 01:30 -0500", true), ("Sun 08 03:00 -0400", false)],
    );
    check(
        &site,
        "2026-10-31T12:00:00-04:00",
        "2026-11-01T12:00:00-05:00",
        &[
            ("Sun 01 01:30 -0400", true),
            ("Sun 01 01:00 -0500", false),
            ("Sun 01 01:30 -0500", true),
            ("Sun 01 02:30 -0500", false),
        ],
    );
}

#[test]
fn kolkata_is_half_an_hour_off_and_never_changes() {
    let site = site("Asia/Kolkata", "Mon-Fri 09:00-18:00", None);
    assert!(!site.in_service(at("2026-03-30T03:29:59Z")));
    assert!(site.in_service(at("2026-03-30T03:30:00Z")));
    assert_eq!(site.next_change(at("2026-03-27T12:30:00Z")), Some(at("2026-03-30T03:30:00Z")));
    assert_eq!(
        site.service_seconds(at("2026-01-05T00:00:00+05:30"), at("2026-12-28T00:00:00+05:30")),
        (51 * 5 * 9 * HOUR, 51 * (168 - 45) * HOUR)
    );
}

#[test]
fn lord_howe_saves_half_an_hour() {
    let site = site("Australia/Lord_Howe", "01:45-02:15", None);
    // 2026-10-04: 02:00 is 02:30.
    check(
        &site,
        "2026-10-03T12:00:00+10:30",
        "2026-10-04T12:00:00+11:00",
        &[("Sun 04 01:45 +1030", true), ("Sun 04 02:30 +1100", false)],
    );
    // 2026-04-05: 02:00 is 01:30.
    check(
        &site,
        "2026-04-04T12:00:00+11:00",
        "2026-04-05T12:00:00+10:30",
        &[
            ("Sun 05 01:45 +1100", true),
            ("Sun 05 01:30 +1030", false),
            ("Sun 05 01:45 +1030", true),
            ("Sun 05 02:15 +1030", false),
        ],
    );
}

#[test]
fn maintenance_over_midnight() {
    let site = site("Europe/Berlin", "24/7", Some("23:30-00:30, Sun 23:00-02:00"));
    check(
        &site,
        "2026-11-21T12:00:00+01:00",
        "2026-11-24T12:00:00+01:00",
        &[
            ("Sat 21 23:30 +0100", false),
            ("Sun 22 00:30 +0100", true),
            ("Sun 22 23:00 +0100", false),
            ("Mon 23 02:00 +0100", true),
            ("Mon 23 23:30 +0100", false),
            ("Tue 24 00:30 +0100", true),
        ],
    );
}

#[test]
fn a_change_is_found_although_a_gap_swallows_one() {
    let berlin = site("Europe/Berlin", "Sun 02:15-02:45", None);
    let change = berlin.next_change(at("2026-03-22T12:00:00+01:00"));
    assert_eq!(change, Some(at("2026-04-05T02:15:00+02:00")));
    // Samoa had no 30th of December in 2011.
    let samoa = site("Pacific/Apia", "Fri 00:00-24:00", None);
    assert_eq!(samoa.next_change(at("2011-12-24T12:00:00-10:00")), Some(at("2012-01-06T00:00:00+14:00")));
}

#[test]
fn hours_that_never_change() {
    let now = at("2026-11-21T12:00:00Z");
    let always = site("UTC", "24/7", None);
    assert_eq!((always.in_service(now), always.next_change(now)), (true, None));
    assert_eq!(always.service_seconds(now, now.plus(Duration::from_secs(5))), (5, 0));
    let never = site("UTC", "Mon 08:00-09:00", Some("24/7"));
    assert_eq!((never.in_service(now), never.next_change(now)), (false, None));
    assert_eq!(never.service_seconds(now.plus(Duration::from_secs(5)), now), (0, 0));
}

/// Each minute of a year is counted once, on the side that the clock on the wall says.
#[test]
fn a_year_adds_up() {
    for zone in
        ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]
    {
        let site = site(zone, "Mon-Fri 01:15-02:45, Sun 22:10-02:20", Some("02:00-02:30"));
        let start = at("2026-01-01T00:00:00Z");
        let minutes = 365 * 24 * 60;
        let minute = |n: i64| Timestamp::from_seconds(start.seconds() + n * 60);
        let open = (0..minutes).filter(|n| site.in_service(minute(*n))).count();
        let service = u64::try_from(open).expect("few") * 60;
        let all = u64::try_from(minutes).expect("few") * 60;
        assert_eq!(site.service_seconds(start, minute(minutes)), (service, all - service), "{zone}");
        let parts: u64 =
            (0..365).map(|day| site.service_seconds(minute(day * 1440), minute((day + 1) * 1440)).0).sum();
        assert_eq!(parts, service, "{zone}");
    }
}

#[test]
fn impossible_times_end() {
    let site = site("Europe/Berlin", "Mon-Fri 07:00-20:00", None);
    let (first, last) = (Timestamp::from_seconds(i64::MIN), Timestamp::from_seconds(i64::MAX));
    for now in [first, last, Timestamp::from_seconds(400_000_000_000)] {
        let _ = (site.in_service(now), site.next_change(now));
    }
    let (service, other) = site.service_seconds(first, last);
    assert_eq!(service + other, 366 * 24 * HOUR);
}

fn sites() -> Vec<Site> {
    let glob = |texts: &[&str]| texts.iter().map(|text| Glob::parse(text).expect("sound")).collect();
    let site = |name: &str, building: &[&str], email: &[&str], service: &str| {
        let matches = Match { building: glob(building), email: glob(email) };
        let service = Hours::parse(service).expect("sound");
        Site::new(name, None, matches, TimeZone::UTC, service, &Hours::default())
    };
    vec![
        site("both", &["BER*"], &["*-ber-*@*", "berlin*"], "Mon 07:00-20:00"),
        site("building", &["BER*", "MUC"], &[], "Tue 08:00-20:00"),
        site("email", &[], &["*@contoso.example"], "24/7"),
        site("named", &[], &[], "24/7"),
    ]
}

#[test]
fn the_first_site_that_matches_wins() {
    let sites = sites();
    let check = |building: Option<&str>, email: Option<&str>, expected: Option<&str>| {
        let found = first_match(&sites, building, email).map(|site| &*site.name);
        assert_eq!(found, expected, "{building:?} {email:?}");
    };
    check(Some("Ber 1"), Some("room-ber-1@contoso.example"), Some("both"));
    check(Some("BER"), Some("Berlin-2@contoso.example"), Some("both"));
    check(Some("BER"), Some("room@contoso.example"), Some("building"));
    check(Some("muc"), None, Some("building"));
    check(None, Some("room-ber-1@contoso.example"), Some("email"));
    check(Some("OSL"), Some("room-ber-1@contoso.example"), Some("email"));
    check(Some("OSL"), Some("room@fabrikam.example"), None);
    check(None, None, None);
}

#[test]
fn the_rooms_file_names_the_site() {
    let sites = sites();
    let site = |named| of_room(&sites, named, Some("MUC"), None).map(|site| &*site.name);
    assert_eq!(site(Some("named")), Some("named"));
    assert_eq!(site(Some("elsewhere")), None);
    assert_eq!(site(None), Some("building"));
}

#[test]
fn all_sites_at_one_moment() {
    let sites = sites();
    let monday = InService::at(&sites, at("2026-11-23T07:00:00Z"));
    let open: Vec<bool> = sites.iter().map(|site| monday.of(Some(site))).collect();
    assert_eq!(open, [true, false, true, true]);
    assert!(monday.of(None));
    assert_eq!(monday.next_change(), Some(at("2026-11-23T20:00:00Z")));
    assert_eq!(InService::at(&[], at("2026-11-23T07:00:00Z")).next_change(), None);
}

#[test]
fn zones_come_without_files() {
    assert!(zone("europe/berlin").is_some());
    assert!(zone("Europe/Bärlin").is_none());
    let names = zone_names();
    assert!(names.len() > 400 && names.iter().any(|name| name == "Europe/Berlin"), "{}", names.len());
}
