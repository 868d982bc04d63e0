//! `/api/v1/rooms`: the rooms as JSON, for scripts and displays without a query language.

use std::sync::Arc;

use bytes::Bytes;

use crate::metrics::exposition::Body;
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

/// Rooms in one block of the listing, some 30 KiB.
const BLOCK: usize = 32;

/// Every room of every tenant, with the listing as it is sent: blocks of some rooms, shared by all responses.
#[derive(Debug, Default)]
pub struct Rooms {
    reports: Vec<RoomReport>,
    blocks: Vec<(Arc<str>, Bytes)>,
}

impl Rooms {
    /// Blocks that are as they were are those of `before`, so that slow readers of several listings hold one.
    pub fn new(reports: Vec<RoomReport>, before: Option<&Self>) -> Self {
        let mut before = before.into_iter().flat_map(|rooms| &rooms.blocks);
        let mut blocks = Vec::with_capacity(reports.len() / BLOCK + 1);
        for of_tenant in reports.chunk_by(|one, next| one.tenant == next.tenant) {
            for rooms in of_tenant.chunks(BLOCK) {
                let text = rooms.iter().map(text_of).collect::<Vec<_>>().join(",");
                let same = before.next().filter(|(_, block)| *block == text.as_bytes());
                let block = same.map_or_else(|| text.into(), |(_, block)| block.clone());
                blocks.extend(rooms.first().map(|room| (room.tenant.clone(), block)));
            }
        }
        Self { reports, blocks }
    }

    /// The rooms of one tenant, or of all.
    pub fn listing(&self, tenant: Option<&str>) -> Body {
        let mut body = Body::default();
        body.push(Bytes::from_static(b"{\"rooms\":["));
        let blocks = self.blocks.iter().filter(|(of, _)| tenant.is_none_or(|tenant| **of == *tenant));
        for (index, (_, block)) in blocks.enumerate() {
            if index > 0 {
                body.push(Bytes::from_static(b","));
            }
            body.push(block.clone());
        }
        body.push(Bytes::from_static(b"]}\n"));
        body
    }

    /// One room.
    pub fn room(&self, tenant: Option<&str>, room_id: &str) -> Result<Vec<u8>, Error> {
        let of_tenant = |room: &&RoomReport| tenant.is_none_or(|tenant| *room.tenant == *tenant);
        let mut found = self.reports.iter().filter(of_tenant);
        let mut found = found.by_ref().filter(|room| room.room_id.eq_ignore_ascii_case(room_id));
        match (found.next(), found.next()) {
            (Some(room), None) => Ok(format!("{}\n", text_of(room)).into()),
            (Some(_), Some(_)) => Err(Error::Ambiguous(room_id.to_owned())),
            (None, _) => Err(Error::Unknown(room_id.to_owned())),
        }
    }
}

fn text_of(room: &RoomReport) -> String {
    serde_json::to_string(room).expect("texts, numbers and lists always serialise")
}
