//! Every set of permissions, in both profiles of the tenant: one more never takes away a room, a verdict, or the room of a
//! device.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use teams_rooms_exporter::config::{Config, Enabled};
use teams_rooms_exporter::sim::{self, Profile, RoomFacts, Sim};

use crate::exporter::{Exporter, Scenario, Scrape, every_source, label, spawn, standing, start_world};
use crate::golden::compare_text;
use crate::sources::{ROOM_INFO, pass};

/// The permissions that can bring a room, a verdict or the room of a device.
const PERMISSIONS: [&str; 6] = [
    "TeamworkDevice.Read.All",
    "Presence.Read.All",
    "Place.Read.All",
    "User.Read.All",
    "LicenseAssignment.Read.All",
    "DeviceManagementManagedDevices.Read.All",
];

/// A set of permissions, a bit each.
type Granted = usize;

const fn has(granted: Granted, permission: usize) -> bool {
    granted & (1 << permission) != 0
}

/// The tenant that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct World {
    profile: Profile,
    licenses_readable: bool,
}

/// Knowledge with some permissions, by the ids of the tenant.
#[derive(Clone, Debug, Default)]
struct Known {
    /// A room that is shown twice, because no source knows that the two are one, is one room.
    rooms: BTreeSet<String>,
    with_verdict: BTreeSet<String>,
    devices_with_room: BTreeSet<String>,
    shown: usize,
}

/// Names that lead astray: two rooms with one name, a place with another name than its account, and two places whose names
/// are exchanged.
fn confuse(sim: &Sim) {
    let rooms = sim.rooms();
    let [one, other, renamed, left, right, ..] = rooms.as_slice() else { unreachable!("twelve rooms") };
    let place = |room: &RoomFacts, name: &str| {
        sim.edit_room(&room.upn, json!({"place": {"displayName": name}}));
    };
    for room in [one, other] {
        place(room, "Focus");
        sim.edit_room(&room.upn, json!({"user": {"displayName": "Focus"}}));
        for device in &room.device_ids {
            sim.edit(device, json!({"device": {"currentUser": {"displayName": "Focus"}}}));
        }
    }
    place(renamed, "Renamed");
    place(left, &right.name);
    place(right, &left.name);
}

async fn start(world: World, granted: Granted) -> Exporter {
    let roles = held(granted).into_iter().map(str::to_owned);
    let settings = sim::Settings {
        rooms: 12,
        speed: 0.0,
        profile: world.profile,
        roles: Some(roles.collect()),
        ..sim::Settings::default()
    };
    let sim = start_world(settings).await;
    confuse(&sim);
    if !world.licenses_readable {
        for room in sim.rooms() {
            sim.edit_room(&room.upn, json!({"user": {"assignedLicenses": null}}));
        }
    }
    let configure = |config: &mut Config| {
        every_source(config);
        for collectors in config.tenants.iter_mut().map(|tenant| &mut tenant.collectors) {
            (collectors.devices.enabled, collectors.device_health.enabled) = (Enabled::Auto, Enabled::Auto);
            for source in standing(collectors) {
                source.enabled = Enabled::Auto;
            }
        }
    };
    Exporter::start(Scenario { sim: Some(sim), configure: Box::new(configure), ..Scenario::default() }).await
}

/// Starts an exporter with these permissions, and reads every granted source several times.
async fn known(world: World, granted: Granted) -> Known {
    let exporter = start(world, granted).await;
    let [devices, presence, places, users, licenses, intune] = [0, 1, 2, 3, 4, 5].map(|at| has(granted, at));
    let granted = [
        (devices, "devices"),
        (devices, "device_health"),
        (presence && (devices || users), "presence"), // without an object id nobody can be asked for
        (places, "places"),
        (users || licenses, "accounts"),
        (intune, "intune"),
    ];
    let sources: Vec<&str> = granted.into_iter().filter_map(|(on, source)| on.then_some(source)).collect();
    exporter.wait_until("ready", |scrape| !scrape.text.contains("state=\"starting\"} 1")).await;
    let scrape = pass(&exporter, Duration::from_secs(1), &sources).await;
    let known = Known::of(&scrape, &exporter.sim);
    exporter.stop().await;
    known
}

impl Known {
    fn of(scrape: &Scrape, sim: &Sim) -> Self {
        let rooms = sim.rooms();
        let ids = |family: &'static str| scrape.family(family).map(|(key, _)| label(key, "room_id"));
        let devices = scrape.family("teams_rooms_device_info").map(|(key, _)| key);
        let with_room = devices.filter(|key| !label(key, "room_id").is_empty());
        Self {
            rooms: ids(ROOM_INFO).map(|id| real(&rooms, id)).collect(),
            with_verdict: ids("teams_rooms_room_up").map(|id| real(&rooms, id)).collect(),
            devices_with_room: with_room.map(|key| label(key, "device_id").to_owned()).collect(),
            shown: scrape.count(ROOM_INFO),
        }
    }

    fn lost_by(&self, more: &Self) -> Vec<String> {
        let lost = |before: &BTreeSet<String>, after: &BTreeSet<String>| {
            before.difference(after).cloned().collect::<Vec<_>>()
        };
        let devices = lost(&self.devices_with_room, &more.devices_with_room);
        [lost(&self.rooms, &more.rooms), lost(&self.with_verdict, &more.with_verdict), devices].concat()
    }
}

/// The room that an id leads to: an object id, the name it signs in with, or its mail address.
fn real(rooms: &[RoomFacts], room_id: &str) -> String {
    let mail = |room: &RoomFacts| room.upn.replace('@', "@meet.");
    let found = rooms.iter().find(|room| {
        room.user_id == room_id || room.upn.eq_ignore_ascii_case(room_id) || mail(room) == room_id
    });
    found.map_or(room_id, |room| &room.upn).to_owned()
}

/// Reads a tenant with every set of permissions.
async fn read_all(world: World) -> Vec<Known> {
    let reads = stream::iter(0..1 << PERMISSIONS.len()).map(|granted| spawn(known(world, granted)));
    // Each is an exporter with its own tenant, started when one before it has ended: more at a time only wait for each other.
    reads.buffered(4).map(|known| known.expect("read")).collect().await
}

#[track_caller]
fn check_monotonic(world: World, known: &[Known]) {
    for (granted, before) in known.iter().enumerate() {
        for (at, permission) in PERMISSIONS.iter().enumerate().filter(|(at, _)| !has(granted, *at)) {
            let after = known.get(granted | 1 << at).expect("every set was read");
            let lost = before.lost_by(after);
            assert!(lost.is_empty(), "{world:?}: {permission} takes away {lost:?} of {}", names(granted));
        }
    }
}

fn held(granted: Granted) -> Vec<&'static str> {
    PERMISSIONS.iter().enumerate().filter(|(at, _)| has(granted, *at)).map(|(_, name)| *name).collect()
}

fn names(granted: Granted) -> String {
    let held = held(granted);
    if held.is_empty() { "no permission".to_owned() } else { held.join(", ") }
}

/// A line for each set of permissions.
fn table(worlds: &[(World, Vec<Known>)]) -> String {
    let mut table = String::from("rooms / rooms shown / rooms with a verdict / devices with a room\n");
    for (world, known) in worlds {
        let readable = if world.licenses_readable { "" } else { ", licenses not readable" };
        writeln!(table, "\nprofile {}{readable}", world.profile).expect("memory");
        for (granted, Known { rooms, with_verdict, devices_with_room, shown }) in known.iter().enumerate() {
            let (rooms, up, devices) = (rooms.len(), with_verdict.len(), devices_with_room.len());
            let names = names(granted);
            writeln!(table, "{rooms:>3} {shown:>3} {up:>3} {devices:>3}  {names}").expect("memory");
        }
    }
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_more_permission_takes_nothing_away() {
    let mut worlds = Vec::new();
    for profile in [Profile::Real, Profile::Documented] {
        for licenses_readable in [true, false] {
            let world = World { profile, licenses_readable };
            worlds.push((world, read_all(world).await));
        }
    }
    compare_text("tests/golden/permissions.txt", &table(&worlds));
    for (world, known) in &worlds {
        check_monotonic(*world, known);
    }
}
