//! What holds of the exposition whatever Graph says: snapshots of any names, states and gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use teams_rooms_exporter::metrics::View;
use teams_rooms_exporter::metrics::catalogue::{FAMILIES, Family};
use teams_rooms_exporter::metrics::draw::Drawing;
use teams_rooms_exporter::metrics::exposition::{Exposition, Selection};
use teams_rooms_exporter::metrics::segment::Segment;
use teams_rooms_exporter::metrics::text::Format;
use teams_rooms_exporter::model::calendar::{Booking, Calendar};
use teams_rooms_exporter::model::collector::{Collector, CollectorState, Status};
use teams_rooms_exporter::model::detail::{
    Connection, Detail, Login, Peripheral, Product, Slot, Software, SoftwareKind,
};
use teams_rooms_exporter::model::device::{Account, Activity, Device, DeviceType, Health};
use teams_rooms_exporter::model::fleet::Fleet;
use teams_rooms_exporter::model::identity::Trust;
use teams_rooms_exporter::model::sight::Sight;
use teams_rooms_exporter::model::{Snapshot, State, Timestamp};
use teams_rooms_exporter::store::Store;

const NOW: i64 = 1_795_244_591;

/// Texts that break a careless exposition, and any others.
fn name() -> impl Strategy<Value = Arc<str>> {
    let nasty =
        ["", "\"", "\\", "\n", "\0", "a\",state=\"b", "{} 1\n", "# EOF", "\u{1f4f7}", "\u{2028}", "état"];
    let nasty =
        nasty.map(str::to_owned).into_iter().chain(["é".repeat(127), "é".repeat(128), "é".repeat(300)]);
    prop_oneof![1 => select(nasty.collect::<Vec<_>>()), 2 => any::<String>(), 2 => "[a-z ]{0,12}"]
        .prop_map(Arc::from)
}

fn state<S: State + std::fmt::Debug + 'static>() -> impl Strategy<Value = S> {
    select(S::ALL)
}

/// Around now, on both sides of every expiry.
fn time() -> impl Strategy<Value = Timestamp> {
    (-20_000_i64..1000).prop_map(|offset| Timestamp::from_seconds(NOW + offset))
}

/// Few, so that devices share rooms; ids are Graph's, and pass the collector only when they are plain.
fn account() -> impl Strategy<Value = Account> {
    let id = of("[a-c]{1,2}").prop_map(|id| id.map(Arc::from));
    let email = of("[a-c]{1,2}@[xü]").prop_map(|email| email.map(Arc::from));
    (id, of(name()), email).prop_map(|(id, name, email)| Account { id, name, email })
}

fn device() -> impl Strategy<Value = Device> {
    let texts = (of(name()), of(name()), of(name()), of(name()));
    let states = (state::<DeviceType>(), state::<Health>(), state::<Activity>());
    let id = prop_oneof!["[a-e]", "[ -~é]{1,20}"]; // some are met again
    (id, texts, states, of(time()), of(time()), of(account())).prop_map(
        |(id, (manufacturer, model, serial_number, asset_tag), states, created, last_modified, account)| {
            let (device_type, health, activity) = states;
            let id = id.as_str().into();
            Device {
                id,
                device_type,
                manufacturer,
                model,
                serial_number,
                asset_tag,
                health,
                activity,
                created,
                last_modified,
                account,
            }
        },
    )
}

fn connection() -> impl Strategy<Value = Connection> {
    (of(any::<bool>()), of(time())).prop_map(|(connected, changed)| Connection { connected, changed })
}

fn peripheral(slot: Slot) -> impl Strategy<Value = Peripheral> {
    let product = (name(), of(name()), of(name()));
    let product = product.prop_map(|(name, vendor_id, product_id)| Product { name, vendor_id, product_id });
    (connection(), of(any::<bool>()), of(product))
        .prop_map(move |(connection, optional, product)| Peripheral { slot, connection, optional, product })
}

fn software(kind: SoftwareKind) -> impl Strategy<Value = Software> {
    (of(name()), of(name()), of(any::<bool>())).prop_map(move |(current, available, update_available)| {
        Software { kind, current, available, update_available }
    })
}

/// Some of what there can be, each at most once.
fn some_of<T: std::fmt::Debug + Clone + 'static>(
    all: impl IntoIterator<Item = BoxedStrategy<T>>,
) -> impl Strategy<Value = Vec<T>> {
    let all: Vec<_> = all.into_iter().map(|one| of(one).boxed()).collect();
    all.prop_map(|some| some.into_iter().flatten().collect())
}

fn detail() -> impl Strategy<Value = Detail> {
    let slots = [
        Slot::RoomCamera,
        Slot::ContentCamera,
        Slot::Microphone,
        Slot::Speaker,
        Slot::CommunicationSpeaker,
        Slot::Display(1),
        Slot::Display(2),
        Slot::Display(32),
        Slot::HdmiIngest,
        Slot::Compute,
    ];
    let logins = Login::ALL.iter().map(|login| connection().prop_map(|c| (*login, c)).boxed());
    (
        connection(),
        some_of(logins),
        some_of(slots.map(|slot| peripheral(slot).boxed())),
        some_of(SoftwareKind::ALL.iter().map(|kind| software(*kind).boxed())),
    )
        .prop_map(|(connection, logins, peripherals, software)| Detail {
            connection,
            logins: logins.into(),
            peripherals: peripherals.into(),
            software: software.into(),
        })
}

fn status() -> impl Strategy<Value = Status> {
    let times = (of(time()), of(time()), of(0_u64..9000));
    let counts = (any::<u64>(), any::<u32>(), of(any::<u32>()), any::<u32>(), any::<u32>(), any::<u32>());
    (state::<CollectorState>(), times, 1_u64..9000, 1_u64..9000, counts).prop_map(
        |(state, (last_success, last_attempt, duration), interval, expiry, counts)| Status {
            refused: false,
            reason: None,
            state,
            last_success,
            last_attempt,
            interval: Duration::from_millis(interval),
            expiry: Duration::from_secs(expiry),
            duration: duration.map(Duration::from_millis),
            consecutive_failures: counts.0,
            items: counts.1 as usize,
            gone_since: None,
            expected_items: counts.2.map(|count| count as usize),
            missing_items: counts.5 as usize,
            held_items: counts.3 as usize,
            skipped_items: counts.4 as usize,
        },
    )
}

const TRUST: [Trust; 3] = [Trust::Always, Trust::UnlessPerson, Trust::Never];

/// What came of some polls.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    history().prop_map(|snapshots| snapshots.into_iter().last().unwrap_or_default())
}

/// Some polls: each lists some devices and reads some details; and what is known after each of them.
fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    type Read = (Device, Option<Option<Detail>>, Timestamp, bool);
    let device = (device(), of(of(detail())), time(), any::<bool>());
    let poll = (vec(device, 0..8), vec(status(), Collector::ALL.len()));
    (vec(poll, 1..5), select(&TRUST[..])).prop_map(|(polls, trust)| {
        let store = Store::new(Snapshot::default());
        let take = |(devices, statuses): (Vec<Read>, Vec<Status>)| {
            for (device, detail, now, paused) in devices {
                let device = Arc::new(device);
                if paused {
                    store.lose_track(now);
                }
                store.take_devices(std::slice::from_ref(&device), trust, now);
                look(&store, paused, now);
                if let Some(detail) = detail {
                    store.take_details(vec![(device, detail.map(Arc::new))], now);
                }
            }
            let mut snapshot = store.snapshot();
            snapshot.status = Arc::new(Collector::ALL.iter().copied().zip(statuses).collect());
            snapshot
        };
        polls.into_iter().map(take).collect()
    })
}

/// The calendars of all rooms are read, and the rooms looked at.
fn look(store: &Store, refused: bool, now: Timestamp) {
    let booking = Booking::new(now, now.plus(Duration::from_mins(30)), true);
    let readable = Calendar::Readable(booking.into_iter().collect());
    let calendar = if refused { Calendar::Refused } else { readable };
    let rooms = store.snapshot().memory.rooms.clone();
    store.take_calendars(rooms.rooms().map(|room| (room.id.clone(), calendar.clone())).collect(), now);
    let snapshot = store.snapshot();
    let fleet = Fleet::at(&snapshot, now);
    let sights = fleet.rooms.iter().map(|room| (room.room.id.clone(), Sight::of(&fleet, room)));
    store.observe_rooms(&sights.collect(), now);
}

/// The exposition of two tenants.
fn expose(snapshots: &[(&str, &Snapshot)]) -> Exposition {
    let exposition =
        Exposition::new(FAMILIES, snapshots.iter().map(|(name, _)| (*name).to_owned()).collect());
    for (name, snapshot) in snapshots {
        draw(&exposition, name, snapshot, Timestamp::from_seconds(NOW));
    }
    exposition
}

/// Draws a snapshot beside what was drawn before.
fn draw(exposition: &Exposition, tenant: &str, snapshot: &Snapshot, now: Timestamp) {
    let view = View::new(tenant, snapshot, now);
    let mut drawing = Drawing::new(&view);
    for (index, family) in FAMILIES.iter().enumerate() {
        let previous = exposition.segment(index, tenant).unwrap_or_else(|| Arc::new(Segment::default()));
        if let Some(segment) = drawing.draw(family, &previous) {
            exposition.replace(index, tenant, segment);
        }
    }
}

fn select_all(exposition: &Exposition, format: Format, gzip: bool) -> Vec<u8> {
    let selection = Selection { tenant: None, names: None, part: None, format, gzip };
    let body = exposition.select(&selection, b"").expect("all is always there");
    let bytes = body.chunks.concat();
    assert_eq!(bytes.len() as u64, body.length);
    bytes
}

/// A sample line, read by the rules of the format and not by ours.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Panics on anything that is not exactly one sample.
    fn parse(line: &str) -> Self {
        let end = line.find(['{', ' ']).expect("a name ends");
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, behind) = rest.split_once("=\"").expect("a label");
                let (value, behind) = quoted(behind);
                let label = label.trim_start_matches(',').to_owned();
                assert_eq!(labels.insert(label, value), None, "a label twice: {line}");
                rest = behind;
            }
            rest = rest.strip_prefix('}').expect("the end of the labels");
        }
        let value = rest.strip_prefix(' ').expect("one space").parse().expect("a number");
        Self { name: name.to_owned(), labels, value }
    }

    /// Empty where there is none.
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn without(&self, label: &str) -> (String, BTreeMap<String, String>) {
        let mut labels = self.labels.clone();
        labels.remove(label);
        (self.name.clone(), labels)
    }
}

/// The value in front of the closing quote, and what is behind it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                other => assert_eq!(other, Some('n'), "no escape"),
            },
            other => value.push(other),
        }
    }
    unreachable!("no closing quote in {text:?}");
}

fn sample_lines(text: &str) -> Vec<&str> {
    // Not `lines()`, which takes \r\n for one end.
    text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

const FORBIDDEN: [&str; 11] = [
    "job",
    "instance",
    "service",
    "endpoint",
    "namespace",
    "pod",
    "container",
    "node",
    "cluster",
    "region",
    "zone",
];

fn family(name: &str) -> &'static Family {
    Family::find(name).expect("it is in the catalogue")
}

fn check(contoso: &Snapshot, fabrikam: &Snapshot) {
    let exposition = expose(&[("contoso", contoso), ("fabrikam", fabrikam)]);
    let text = select_all(&exposition, Format::Text, false);
    let open_metrics = select_all(&exposition, Format::OpenMetrics, false);
    for (plain, format) in [(&text, Format::Text), (&open_metrics, Format::OpenMetrics)] {
        let mut inflated = Vec::new();
        let packed = select_all(&exposition, format, true);
        let mut member = flate2::bufread::GzDecoder::new(packed.as_slice());
        member.read_to_end(&mut inflated).expect("one whole gzip member");
        assert!(member.into_inner().is_empty());
        assert!(inflated == *plain, "gzip holds another text");
    }
    let (text, open_metrics) =
        (String::from_utf8(text).expect("UTF-8"), String::from_utf8(open_metrics).expect("UTF-8"));
    assert_eq!(sample_lines(&text), sample_lines(&open_metrics));
    assert!(open_metrics.ends_with("# EOF\n") && open_metrics.matches("\n# EOF\n").count() == 1);

    let samples: Vec<Sample> = sample_lines(&text).into_iter().map(Sample::parse).collect();
    let mut series = BTreeSet::new();
    let mut sets: BTreeMap<_, f64> = BTreeMap::new();
    for sample in &samples {
        assert!(series.insert((&sample.name, &sample.labels)), "twice: {sample:?}");
        let labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, family(&sample.name).labels.iter().copied().collect(), "{}", sample.name);
        assert!(labels.iter().all(|label| !FORBIDDEN.contains(label) && *label != "env"), "{labels:?}");
        assert!(sample.labels.values().all(|value| value.chars().count() <= 128), "{sample:?}");
        if labels.contains("state") && !sample.name.ends_with("_total") {
            *sets.entry(sample.without("state")).or_default() += sample.value;
        }
    }
    assert!(sets.len() >= 4, "each collector has a state");
    assert!(sets.values().all(|sum| (sum - 1.0).abs() < 0.1), "{sets:?}");
    for (tenant, snapshot) in [("contoso", contoso), ("fabrikam", fabrikam)] {
        check_infos(&samples, tenant, snapshot);
    }
}

/// Each entity that has any series has exactly one info; what has expired has none.
fn check_infos(samples: &[Sample], tenant: &str, snapshot: &Snapshot) {
    let of_tenant = || samples.iter().filter(|sample| sample.label("tenant") == tenant);
    for (info, id) in [("teams_rooms_device_info", "device_id"), ("teams_rooms_room_info", "room_id")] {
        let infos: Vec<&str> = of_tenant().filter(|s| s.name == info).map(|s| s.label(id)).collect();
        let distinct: BTreeSet<&str> = infos.iter().copied().collect();
        assert_eq!(infos.len(), distinct.len(), "{info}");
        let mentioned: BTreeSet<&str> =
            of_tenant().map(|sample| sample.label(id)).filter(|id| !id.is_empty()).collect();
        assert_eq!(mentioned, distinct, "{info}");
    }
    let expiry = snapshot.status(Collector::Devices).expect("always there").expiry;
    let fresh = |seen: Timestamp| Timestamp::from_seconds(NOW).since(seen) <= expiry;
    let held = snapshot.devices.rows.values().filter(|row| fresh(row.seen_at)).count();
    assert_eq!(of_tenant().filter(|sample| sample.name == "teams_rooms_device_info").count(), held);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_snapshot_is_exposed_well(contoso in snapshot(), fabrikam in snapshot()) {
        check(&contoso, &fabrikam);
    }

    #[test]
    fn what_is_drawn_beside_an_older_picture_is_what_is_drawn_afresh(snapshots in history(), ages in vec(0_i64..4000, 4)) {
        let kept = Exposition::new(FAMILIES, vec!["contoso".to_owned()]);
        let mut now = NOW;
        for (snapshot, age) in snapshots.iter().zip(ages) {
            draw(&kept, "contoso", snapshot, Timestamp::from_seconds(now));
            now += age;
            draw(&kept, "contoso", snapshot, Timestamp::from_seconds(now));
            let fresh = Exposition::new(FAMILIES, vec!["contoso".to_owned()]);
            draw(&fresh, "contoso", snapshot, Timestamp::from_seconds(now));
            prop_assert_eq!(select_all(&kept, Format::Text, false), select_all(&fresh, Format::Text, false));
            prop_assert_eq!(select_all(&kept, Format::OpenMetrics, true), select_all(&fresh, Format::OpenMetrics, true));
        }
    }
}
