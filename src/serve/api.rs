//! `/api/v1/rooms`: the rooms as JSON, for scripts and displays without a query language.

use serde::Serialize;

use crate::model::report::RoomReport;

/// The path of all rooms; below it each room has its own, by its id.
pub const PATH: &str = "/api/v1/rooms";

/// Why there is no such room.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("there is no room {0:?}; {PATH} lists them")]
    Unknown(String),
    #[error("several tenants have a room {0:?}; name one with ?tenant=")]
    Ambiguous(String),
}

/// The rooms of one tenant, or of all.
pub fn rooms(rooms: &[RoomReport], tenant: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Rooms<'a> {
        rooms: Vec<&'a RoomReport>,
    }
    json(&Rooms { rooms: of_tenant(rooms, tenant).collect() })
}

/// One room.
pub fn room(rooms: &[RoomReport], tenant: Option<&str>, room_id: &str) -> Result<Vec<u8>, Error> {
    let mut found = of_tenant(rooms, tenant).filter(|room| room.room_id.eq_ignore_ascii_case(room_id));
    match (found.next(), found.next()) {
        (Some(room), None) => Ok(json(room)),
        (Some(_), Some(_)) => Err(Error::Ambiguous(room_id.to_owned())),
        (None, _) => Err(Error::Unknown(room_id.to_owned())),
    }
}

fn of_tenant<'a>(rooms: &'a [RoomReport], tenant: Option<&str>) -> impl Iterator<Item = &'a RoomReport> {
    rooms.iter().filter(move |room| tenant.is_none_or(|tenant| *room.tenant == *tenant))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec(value).expect("texts, numbers and lists always serialise");
    json.push(b'\n');
    json
}
