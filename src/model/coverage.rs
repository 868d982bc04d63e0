//! Knowledge of all sources together, the gaps that an operator can close, and how.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Snapshot;
use crate::model::account::Tier;
use crate::model::collector::{Collector, CollectorState};
use crate::model::fleet::{Fleet, FleetRoom};

/// Something that is missing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub what: &'static str,
    /// Rooms by name, devices by id.
    pub of: Vec<String>,
    /// Something is wrong in the tenant, not only unknown here.
    pub is_finding: bool,
}

/// The size of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub rooms: usize,
    pub buildings: usize,
    pub devices: usize,
    /// Rooms that are said to be up or down.
    pub with_verdict: usize,
}

impl Coverage {
    pub fn of(fleet: &Fleet<'_>) -> Self {
        let buildings: BTreeSet<&str> = fleet.own_rooms().filter_map(FleetRoom::building).collect();
        let judgements = fleet.judgements();
        Self {
            rooms: fleet.own_rooms().count(),
            buildings: buildings.len(),
            devices: fleet.own_devices().count(),
            with_verdict: judgements.iter().flatten().filter(|judgement| judgement.up().is_some()).count(),
        }
    }
}

/// Sentences about what is missing for the rest, and the permission or setting that adds it.
pub fn advice(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<String> {
    [
        without_verdict(snapshot, fleet),
        without_building(snapshot, fleet),
        without_partner(snapshot, fleet),
        people(snapshot),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn without_verdict(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let Coverage { rooms, with_verdict, .. } = Coverage::of(fleet);
    let count = counted(rooms - with_verdict, "room")?;
    let has_ids = fleet.own_rooms().any(|room| room.room.object_id.is_some());
    // Presence is asked for by object id, which devices and accounts have.
    let other = if has_ids { Collector::Presence } else { Collector::Accounts };
    let missing: Vec<String> =
        [Collector::Devices, other].into_iter().filter_map(|one| missing(snapshot, one)).collect();
    Some(match missing.as_slice() {
        [] => format!("{count} without a verdict: no source reports on them."),
        missing => format!("{count} without a verdict: {} adds more.", missing.join(" or ")),
    })
}

fn without_building(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let count = counted(fleet.own_rooms().filter(|room| room.building().is_none()).count(), "room")?;
    Some(match missing(snapshot, Collector::Places) {
        Some(permission) => format!("{count} without a building: {permission} or `rooms_file` adds it."),
        None => format!("{count} without a building: set it in Exchange (Set-Place) or in `rooms_file`."),
    })
}

/// Device rows carry no mail address and places no object id: without the directory, equal names alone join them.
fn without_partner(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Option<String> {
    let is_account =
        |room: &&FleetRoom<'_>| room.room.email.is_none() && fleet.members(room).next().is_some();
    let is_place = |room: &&FleetRoom<'_>| room.room.object_id.is_none() && room.place.is_some();
    let accounts = counted(fleet.own_rooms().filter(is_account).count(), "account")?;
    let places = counted(fleet.own_rooms().filter(is_place).count(), "place")?;
    let adds = missing(snapshot, Collector::Accounts).map(|permission| format!("{permission} or "));
    Some(format!(
        "{accounts} of devices and {places} may be the same rooms, but their names differ or are not unique: \
         {}the column `object_id` of `rooms_file` joins them.",
        adds.unwrap_or_default()
    ))
}

/// The one thing that a permission can still cost: the directory shows that an account belongs to a person.
fn people(snapshot: &Snapshot) -> Option<String> {
    let count = counted(snapshot.memory.rooms.people().count(), "account")?;
    Some(format!(
        "{count} on room devices with the name and the license of a person: not a room; a Teams Rooms license, \
         a place or `rooms_file` makes it one."
    ))
}

/// `1 room`, `2 rooms`; `None` for none.
fn counted(count: usize, what: &str) -> Option<String> {
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| format!("{count} {what}{plural}"))
}

/// The permission of a source that is off or refused without it.
fn missing(snapshot: &Snapshot, collector: Collector) -> Option<String> {
    let status = snapshot.status(collector)?;
    let is_off = matches!(status.state, CollectorState::Disabled | CollectorState::Forbidden);
    (is_off || status.refused).then(|| collector.facts().permission())
}

/// Every gap there is; what no source was asked for is none.
pub fn gaps(snapshot: &Snapshot, fleet: &Fleet<'_>) -> Vec<Gap> {
    let rooms = |lacks: &dyn Fn(&FleetRoom<'_>) -> bool| {
        let lacking = fleet.own_rooms().filter(|room| lacks(room));
        lacking.map(|room| room.room.name.to_string()).collect()
    };
    let mut gaps = Vec::new();
    let mut note = |what, is_finding, of: Vec<String>| {
        if !of.is_empty() {
            gaps.push(Gap { what, of, is_finding });
        }
    };
    if !fleet.devices.is_empty() {
        note("rooms without a device", false, rooms(&|room| fleet.members(room).next().is_none()));
        let homeless = fleet.own_devices().filter(|device| device.room.is_none());
        note("devices without a room", false, homeless.map(|device| device.device.id.to_string()).collect());
    }
    if !snapshot.places.is_empty() || !snapshot.rooms_file.is_empty() {
        note("rooms without a building", false, rooms(&|room| room.building().is_none()));
    }
    note("serial numbers on several devices", true, duplicate_serials(fleet));
    let unlicensed = |tier| matches!(tier, Some(Tier::Other | Tier::None));
    note(
        "rooms without a license for rooms",
        true,
        rooms(&|room| room.account.is_some_and(|account| unlicensed(account.license))),
    );
    note(
        "rooms whose account is disabled",
        true,
        rooms(&|room| room.account.is_some_and(|account| account.enabled == Some(false))),
    );
    gaps
}

fn duplicate_serials(fleet: &Fleet<'_>) -> Vec<String> {
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    for serial in fleet.devices.iter().filter_map(|device| device.device.serial_number.as_deref()) {
        *devices.entry(serial).or_default() += 1;
    }
    devices.into_iter().filter(|(_, count)| *count > 1).map(|(serial, _)| serial.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::State;
    use crate::model::Timestamp;
    use crate::model::account::{RoomAccount, User};
    use crate::model::collector::Status;
    use crate::model::device::{Account, Device, DeviceType, Health};
    use crate::model::identity::Trust;
    use crate::model::listing::tests::device;
    use crate::model::place::Place;
    use crate::store::Store;
    use CollectorState::{Disabled, Empty, Forbidden, Ok as Fine, Partial};

    const NOW: Timestamp = Timestamp::from_seconds(0);
    const OSLO: &str = "oslo@contoso.example";

    fn store() -> Store {
        let status = |one: &Collector| {
            let facts = one.facts();
            (*one, Status { state: Fine, ..Status::starting(facts.interval, facts.expiry) })
        };
        let status = Arc::new(Collector::ALL.iter().map(status).collect());
        Store::new(Snapshot { status, ..Snapshot::default() })
    }

    /// A device of a room, by the object id and the mail address of the account on it.
    fn core(id: &str, object_id: Option<&str>, email: Option<&str>, health: Health) -> Arc<Device> {
        let of = |text: Option<&str>| text.map(Arc::from);
        let account = Account { id: of(object_id), name: Some("Oslo".into()), email: of(email) };
        Arc::new(Device { health, account: Some(account), ..(*device(id, DeviceType::TeamsRoom)).clone() })
    }

    fn list(store: &Store, devices: &[Arc<Device>]) {
        store.take_devices(devices, Trust::UnlessPerson, NOW);
    }

    fn place(email: &str, building: Option<&str>) -> Place {
        let (name, building) = (Some("Room".into()), building.map(Into::into));
        Place { email: email.into(), name, building, ..Place::default() }
    }

    fn user(id: &str, email: &str, license: Tier, enabled: bool) -> User {
        let account =
            RoomAccount { enabled: Some(enabled), license: Some(license), ..RoomAccount::default() };
        User {
            object_id: id.into(),
            email: Some(email.into()),
            other_names: Vec::new(),
            name: None,
            has_personal_name: true,
            account,
        }
    }

    fn advice_of(store: &Store) -> Vec<String> {
        let snapshot = store.snapshot();
        advice(&snapshot, &Fleet::at(&snapshot, NOW))
    }

    /// Checks the explanation of rooms without a verdict, by the states of collectors and what part of them was refused.
    #[track_caller]
    fn check_verdict(object_id: Option<&str>, states: &[(Collector, CollectorState, bool)], expected: &str) {
        let store = store();
        list(&store, &[core("a", object_id, Some(OSLO), Health::Unknown)]);
        for (collector, state, refused) in states {
            store.update_status(*collector, |status| (status.state, status.refused) = (*state, *refused));
        }
        let first = advice_of(&store).into_iter().next().unwrap_or_default();
        assert_eq!(first, format!("1 room without a verdict: {expected}"), "{states:?}");
    }

    #[test]
    fn a_room_without_a_verdict_names_the_permission_that_is_missing() {
        use Collector::{Accounts, Devices, Presence};
        let id = Some("id-1");
        check_verdict(id, &[], "no source reports on them.");
        check_verdict(
            id,
            &[(Devices, Empty, false), (Presence, Partial, false)],
            "no source reports on them.",
        );
        check_verdict(id, &[(Presence, Disabled, false)], "Presence.Read.All adds more.");
        check_verdict(id, &[(Presence, Forbidden, false)], "Presence.Read.All adds more.");
        check_verdict(id, &[(Presence, Partial, true)], "Presence.Read.All adds more.");
        check_verdict(id, &[(Devices, Forbidden, true)], "TeamworkDevice.Read.All adds more.");
        let both = "TeamworkDevice.Read.All or Presence.Read.All adds more.";
        check_verdict(id, &[(Devices, Disabled, false), (Presence, Forbidden, false)], both);
        // Presence needs an object id.
        check_verdict(None, &[(Presence, Disabled, false)], "no source reports on them.");
        let directory = "User.Read.All, LicenseAssignment.Read.All adds more.";
        check_verdict(None, &[(Accounts, Forbidden, false)], directory);
    }

    #[test]
    fn a_room_with_a_verdict_and_a_building_needs_nothing() {
        let store = store();
        list(&store, &[core("a", Some("id-1"), Some(OSLO), Health::Healthy)]);
        let building = "1 room without a building: set it in Exchange (Set-Place) or in `rooms_file`.";
        assert_eq!(advice_of(&store), [building]);
        store.take_places(
            vec![place(OSLO, Some("B1")), place("b@x", None), place("c@x", None)],
            false,
            true,
            NOW,
        );
        store.update_status(Collector::Places, |status| status.state = Forbidden);
        let expected = [
            "2 rooms without a verdict: no source reports on them.",
            "2 rooms without a building: Place.Read.All or `rooms_file` adds it.",
        ];
        assert_eq!(advice_of(&store), expected);
        let snapshot = store.snapshot();
        let coverage = Coverage { rooms: 3, buildings: 1, devices: 1, with_verdict: 1 };
        assert_eq!(Coverage::of(&Fleet::at(&snapshot, NOW)), coverage);
    }

    #[test]
    fn halves_of_rooms_and_people_are_told() {
        let store = store();
        list(&store, &[core("a", Some("id-1"), None, Health::Healthy)]);
        let partner =
            |store: &Store| advice_of(store).into_iter().find(|line| line.contains("may be the same"));
        assert_eq!(partner(&store), None, "no place may be its room");
        store.take_places(vec![place(OSLO, None), place("b@x", None)], false, true, NOW);
        let joins = "the column `object_id` of `rooms_file` joins them.";
        let told = "1 account of devices and 2 places may be the same rooms, but their names differ or are not unique: ";
        assert_eq!(partner(&store), Some(format!("{told}{joins}")));
        store.update_status(Collector::Accounts, |status| status.state = Disabled);
        let permission = "User.Read.All, LicenseAssignment.Read.All or ";
        assert_eq!(partner(&store), Some(format!("{told}{permission}{joins}")));
        store.take_accounts(&[user("id-1", "person@contoso.example", Tier::Other, true)], false, NOW);
        assert_eq!(partner(&store), None, "it was a person");
        let people = "1 account on room devices with the name and the license of a person: not a room; a Teams Rooms \
                      license, a place or `rooms_file` makes it one.";
        assert!(advice_of(&store).iter().any(|line| line == people), "{:?}", advice_of(&store));
    }

    /// The gaps, and of what; a finding is marked.
    fn gaps_of(store: &Store) -> Vec<String> {
        let snapshot = store.snapshot();
        let gaps = gaps(&snapshot, &Fleet::at(&snapshot, NOW));
        let told = |gap: &Gap| {
            format!("{}{}: {}", if gap.is_finding { "! " } else { "" }, gap.what, gap.of.join(" "))
        };
        gaps.iter().map(told).collect()
    }

    #[test]
    fn gaps_are_told_where_a_source_was_asked() {
        let store = store();
        assert!(gaps_of(&store).is_empty());
        let homeless = Arc::new(Device {
            serial_number: Some("S1".into()),
            ..(*device("b", DeviceType::TeamsRoom)).clone()
        });
        let serial = |serial: &str, device: Arc<Device>| {
            Arc::new(Device { serial_number: Some(serial.into()), ..(*device).clone() })
        };
        let listed = core("a", Some("id-1"), Some(OSLO), Health::Healthy);
        list(&store, &[serial("S1", listed), homeless]);
        let expected = ["devices without a room: b", "! serial numbers on several devices: S1"];
        assert_eq!(gaps_of(&store), expected, "no source of buildings was asked");
        store.take_places(vec![place(OSLO, Some("B1")), place("b@x", None)], false, true, NOW);
        let accounts = [user("id-1", OSLO, Tier::Pro, true), user("id-2", "b@x", Tier::Other, false)];
        store.take_accounts(&accounts, true, NOW);
        list(&store, &[serial("S2", device("b", DeviceType::TeamsRoom))]);
        let expected = [
            "rooms without a device: Room",
            "devices without a room: b",
            "rooms without a building: Room",
            "! rooms without a license for rooms: Room",
            "! rooms whose account is disabled: Room",
        ];
        assert_eq!(gaps_of(&store), expected);
    }

    #[test]
    fn buildings_are_missing_where_the_rooms_file_was_read() {
        let store = store();
        store.take_rooms_file([(OSLO.into(), crate::model::rooms_file::RoomFacts::default())].into());
        assert_eq!(gaps_of(&store), [format!("rooms without a building: {OSLO}")]);
    }
}
