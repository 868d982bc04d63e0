//! Buildings, their rooms and the accounts of rooms and people. All names are invented.

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::sim::chance::Chance;

/// Rooms in one building at most: larger tenants get more buildings, not towers.
const ROOMS_PER_BUILDING: usize = 120;
const ROOMS_PER_FLOOR: usize = 6;

/// City, code, time zone in POSIX form (no zone database is needed for four cities), its IANA name.
const CITIES: [(&str, &str, &str, &str); 4] = [
    ("Berlin", "BER", "CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"),
    ("Oslo", "OSL", "CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Oslo"),
    ("London", "LON", "GMT0BST,M3.5.0/1,M10.5.0", "Europe/London"),
    ("New York", "NYC", "EST5EDT,M3.2.0,M11.1.0", "America/New_York"),
];

const ROOM_NAMES: [&str; 32] = [
    "Humboldt", "Curie", "Nansen", "Turing", "Lovelace", "Hopper", "Noether", "Abel", "Kepler", "Meitner",
    "Faraday", "Franklin", "Hertz", "Planck", "Ohm", "Volta", "Ampere", "Galilei", "Darwin", "Mendel",
    "Euler", "Gauss", "Leibniz", "Bohr", "Tesla", "Hubble", "Sagan", "Goodall", "Carson", "Amundsen",
    "Herschel", "Wegener",
];

const PEOPLE: [&str; 8] = [
    "Alex Beispiel",
    "Kim Mustermann",
    "Robin Example",
    "Sam Placeholder",
    "Toni Ola Nordmann",
    "Jo Public",
    "Chris Sample",
    "Uli Platzhalter",
];

#[derive(Clone, Debug)]
pub(in crate::sim) struct Building {
    pub(in crate::sim) code: String,
    pub(in crate::sim) city: &'static str,
    pub(in crate::sim) zone: TimeZone,
    pub(in crate::sim) zone_name: &'static str,
}

#[derive(Clone, Debug)]
pub(in crate::sim) struct Room {
    pub(in crate::sim) name: String,
    pub(in crate::sim) account: Account,
    pub(in crate::sim) building: Building,
    pub(in crate::sim) floor: usize,
    pub(in crate::sim) chance: Chance,
}

/// Who is signed in: a room's resource account, or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Account {
    pub(in crate::sim) id: Uuid,
    pub(in crate::sim) display_name: String,
    pub(in crate::sim) user_principal_name: String,
}

pub(in crate::sim) fn buildings(rooms: usize) -> Vec<Building> {
    let count = rooms.div_ceil(ROOMS_PER_BUILDING).max(CITIES.len());
    CITIES.iter().cycle().take(count).zip(1..).map(|(city, number)| building(city, number)).collect()
}

fn building(
    (city, code, zone, zone_name): &(&'static str, &str, &str, &'static str),
    number: usize,
) -> Building {
    let zone = TimeZone::posix(zone).expect("the table of cities holds valid POSIX zones, see the test");
    Building { code: format!("{code}{number}"), city, zone, zone_name }
}

/// The room of a number, counted over the whole tenant.
pub(in crate::sim) fn room(buildings: &[Building], seed: Chance, number: usize) -> Room {
    let count = buildings.len().max(1);
    let building = buildings.get(number % count).expect("a remainder is below its divisor").clone();
    let draw = seed.named("room").number(i64::try_from(number).unwrap_or(i64::MAX));
    let (floor, door) = door(number / count, draw);
    let name = format!("{} {floor}.{door:02} {}", building.code, draw.named("name").pick(&ROOM_NAMES));
    let user = format!("room-{}-{floor}{door:02}@contoso.example", building.code.to_lowercase());
    let account =
        Account { id: draw.named("account").guid(), display_name: name.clone(), user_principal_name: user };
    Room { name, account, building, floor, chance: draw }
}

/// Floor and door number; doors are spread so that numbers are unique but not in a row.
fn door(within: usize, draw: Chance) -> (usize, i64) {
    let place = i64::try_from(within % ROOMS_PER_FLOOR).unwrap_or(0);
    (within / ROOMS_PER_FLOOR + 1, place * 4 + draw.named("door").between(1, 4))
}

/// The name of somebody who does not exist.
pub(in crate::sim) fn somebody(draw: Chance) -> &'static str {
    draw.pick::<&'static str, 8>(&PEOPLE)
}

pub(in crate::sim) fn person(seed: Chance, number: usize) -> Account {
    let draw = seed.named("person").number(i64::try_from(number).unwrap_or(i64::MAX));
    let display_name = (*draw.pick(&PEOPLE)).to_owned();
    let user_principal_name =
        format!("{}{number}@contoso.example", display_name.to_lowercase().replace(' ', "."));
    Account { id: draw.named("account").guid(), display_name, user_principal_name }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_accounts_are_unique_at_any_size() {
        for rooms in [1, 60, 5_000] {
            let buildings = buildings(rooms);
            let all = |what: fn(Room) -> String| {
                (0..rooms)
                    .map(|at| what(room(&buildings, Chance::seeded(1), at)))
                    .collect::<HashSet<_>>()
                    .len()
            };
            assert_eq!(all(|room| room.name), rooms);
            assert_eq!(all(|room| room.account.user_principal_name), rooms);
            assert_eq!(all(|room| room.account.id.to_string()), rooms);
        }
    }

    #[test]
    fn the_first_four_buildings_are_the_four_cities() {
        let codes: Vec<String> = buildings(60).into_iter().map(|building| building.code).collect();
        assert_eq!(codes, ["BER1", "OSL2", "LON3", "NYC4"]);
    }
}
