//! A fleet as large as a benchmark wants, all known of it: two devices in most rooms, some 98 series for each device.

use std::sync::Arc;
use std::time::Duration;

use teams_rooms_exporter::metrics::View;
use teams_rooms_exporter::metrics::catalogue::FAMILIES;
use teams_rooms_exporter::metrics::draw::Drawing;
use teams_rooms_exporter::metrics::exposition::Exposition;
use teams_rooms_exporter::model::account::{RoomAccount, Tier, User};
use teams_rooms_exporter::model::calendar::{Booking, Calendar};
use teams_rooms_exporter::model::collector::{Collector, CollectorState, Status};
use teams_rooms_exporter::model::detail::{
    Connection, Detail, Login, Peripheral, Product, Slot, Software, SoftwareKind,
};
use teams_rooms_exporter::model::device::{Account, Activity, Device, DeviceType, Health};
use teams_rooms_exporter::model::fleet::Fleet;
use teams_rooms_exporter::model::identity::Trust;
use teams_rooms_exporter::model::place::Place;
use teams_rooms_exporter::model::presence::{Availability, Presence};
use teams_rooms_exporter::model::sight::Sight;
use teams_rooms_exporter::model::{Snapshot, State, Timestamp};
use teams_rooms_exporter::store::Store;

pub(crate) const TENANT: &str = "contoso";
/// 2026-11-20T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_161_600);

/// Nine devices share five rooms, as in the simulated tenant.
fn room_of(device: usize) -> usize {
    device * 5 / 9
}

fn is_core(device: usize) -> bool {
    device == 0 || room_of(device) != room_of(device - 1)
}

/// A tenant with so many devices, looked at twice.
pub(crate) fn store(devices: usize) -> Store {
    let status = |one: &Collector| {
        let starting = Status::starting(Duration::from_mins(2), Duration::from_mins(30));
        (*one, Status { state: CollectorState::Ok, last_success: Some(NOW), ..starting })
    };
    let status = Arc::new(Collector::ALL.iter().map(status).collect());
    let store = Store::new(Snapshot { status, ..Snapshot::default() });
    let listed: Vec<_> = (0..devices).map(|n| device(n, Health::Healthy)).collect();
    store.take_devices(&listed, Trust::Always, NOW);
    store.take_details(
        listed.into_iter().enumerate().map(|(n, one)| (one, Some(detail(n, true)))).collect(),
        NOW,
    );
    take_rooms(&store, if devices == 0 { 0 } else { room_of(devices - 1) + 1 });
    look(&store, NOW);
    look(&store, NOW.plus(Duration::from_secs(15)));
    store
}

/// One device in a hundred loses its camera, and is known by list and detail to have.
pub(crate) fn change(store: &Store, devices: usize) {
    for n in (0..devices).step_by(100) {
        let changed = device(n, Health::Critical);
        store.take_devices(std::slice::from_ref(&changed), Trust::Always, NOW);
        store.take_details(vec![(changed, Some(detail(n, false)))], NOW);
    }
}

/// Looks at the rooms, as the exporter does now and then.
fn look(store: &Store, now: Timestamp) {
    let snapshot = store.snapshot();
    let fleet = Fleet::at(&snapshot, now);
    let sights = fleet.own_rooms().map(|room| (room.room.id.clone(), Sight::of(&fleet, room))).collect();
    store.observe_rooms(&sights, now);
}

pub(crate) fn exposition() -> Exposition {
    Exposition::new(FAMILIES, vec![TENANT.to_owned()])
}

/// Joins, judges and draws what is new, as the exporter does after a change.
pub(crate) fn draw(exposition: &Exposition, snapshot: &Snapshot) {
    let view = View::new(TENANT, snapshot, NOW);
    let mut drawing = Drawing::new(&view);
    for (index, family) in FAMILIES.iter().enumerate() {
        let previous = exposition.segment(index, TENANT).unwrap_or_default();
        if let Some(segment) = drawing.draw(family, &previous) {
            exposition.replace(index, TENANT, segment);
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "Graph may say nothing; this fleet tells everything")]
fn text(value: impl Into<String>) -> Option<Arc<str>> {
    Some(value.into().into())
}

fn email(room: usize) -> String {
    format!("room-{room:05}@contoso.example")
}

fn device(n: usize, health: Health) -> Arc<Device> {
    let room = room_of(n);
    let id = format!("{:08x}-1111-4222-8333-{n:012x}", n.wrapping_mul(0x9e37_79b1) & 0xffff_ffff);
    let account = Account {
        id: text(format!("{room:032x}")),
        name: text(format!("BER{} {room:05} Kepler", room % 20)),
        email: text(email(room)),
    };
    Arc::new(Device {
        id: id.into(),
        device_type: if is_core(n) { DeviceType::TeamsRoom } else { DeviceType::TouchConsole },
        manufacturer: text("Yealink"),
        model: text("MVC860"),
        serial_number: text(format!("SN{n:08}")),
        asset_tag: text(format!("AV-{n:06}")),
        health,
        activity: if n.is_multiple_of(3) { Activity::Busy } else { Activity::Idle },
        created: Some(NOW),
        last_modified: Some(NOW),
        account: Some(account),
    })
}

fn detail(n: usize, camera: bool) -> Arc<Detail> {
    let connected = |connected| Connection { connected: Some(connected), changed: Some(NOW) };
    let peripheral = |slot, is_connected| Peripheral {
        slot,
        connection: connected(is_connected),
        optional: Some(false),
        product: Some(Product {
            name: "UVC86 camera".into(),
            vendor_id: text("6993"),
            product_id: text("45074"),
        }),
    };
    let software = |kind| Software {
        kind,
        current: text(format!("4.19.{}.0", n % 3)),
        available: text("4.19.2.0"),
        update_available: Some(!n.is_multiple_of(3)),
    };
    let slots = [
        Slot::ContentCamera,
        Slot::Microphone,
        Slot::Speaker,
        Slot::CommunicationSpeaker,
        Slot::Display(1),
        Slot::HdmiIngest,
    ];
    let peripherals = std::iter::once(peripheral(Slot::RoomCamera, camera));
    Arc::new(Detail {
        connection: connected(true),
        logins: [Login::Exchange, Login::Teams].map(|login| (login, connected(true))).into(),
        peripherals: peripherals.chain(slots.map(|slot| peripheral(slot, true))).collect(),
        software: SoftwareKind::ALL.iter().map(|kind| software(*kind)).collect(),
    })
}

fn take_rooms(store: &Store, rooms: usize) {
    let place = |room: usize| Place {
        place_id: text(format!("{room:08x}-0000-4000-8000-000000000000")),
        email: email(room).into(),
        name: text(format!("BER{} {room:05} Kepler", room % 20)),
        building: text(format!("BER{}", room % 20)),
        floor: text((room % 9).to_string()),
        city: text("Berlin"),
        country: text("Germany"),
        capacity: Some(8),
        coordinates: Some((52.5, 13.4)),
    };
    store.take_places((0..rooms).map(place).collect(), false, true, NOW);
    let account = RoomAccount { enabled: Some(true), license: Some(Tier::Pro), ..RoomAccount::default() };
    let user = |room: usize| User {
        object_id: format!("{room:032x}").into(),
        email: text(email(room)),
        other_names: Vec::new(),
        name: text(format!("BER{} {room:05} Kepler", room % 20)),
        has_personal_name: false,
        account,
    };
    store.take_accounts(&(0..rooms).map(user).collect::<Vec<_>>(), true, NOW);
    let presence = Presence { availability: Availability::Available, in_call: Some(false) };
    store.take_presences((0..rooms).map(|room| (email(room).into(), presence)).collect(), NOW);
    let meeting = Booking::new(NOW.plus(Duration::from_mins(10)), NOW.plus(Duration::from_mins(40)), true);
    let calendar = Calendar::Readable(meeting.into_iter().collect());
    store.take_calendars((0..rooms).map(|room| (email(room).into(), calendar.clone())).collect(), NOW);
}
