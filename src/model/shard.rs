//! Which of the rooms one of several processes is about.

use crate::model::identity::Room;

/// One of `count` processes that share the rooms of a tenant; each room and device belongs to exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// More processes than this would spend more on listing the same devices than on reading their details.
pub const MAX_SHARDS: u32 = 256;

impl Default for Shard {
    /// The only one.
    fn default() -> Self {
        Self { index: 0, count: 1 }
    }
}

impl Shard {
    /// `index` counts from 0; `None` where there is no such shard, or too many.
    pub fn new(index: u32, count: u32) -> Option<Self> {
        (index < count && count <= MAX_SHARDS).then_some(Self { index, count })
    }

    pub fn index(self) -> u32 {
        self.index
    }

    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether it speaks for the tenant as a whole: what is of no room is told once.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether a device is its business: with its room, else by its id.
    pub fn owns_device(self, id: &str, room: Option<&Room>) -> bool {
        room.map_or_else(|| self.owns(id), |room| self.owns_room(room))
    }

    pub fn owns_room(self, room: &Room) -> bool {
        self.owns(name(room))
    }

    fn owns(self, name: &str) -> bool {
        if self.count == 1 {
            return true;
        }
        // The high half; the low one tells the place within a shard.
        let place = (hash(name) >> 32) * u64::from(self.count);
        place >> 32 == u64::from(self.index)
    }
}

/// Where a room stands among all, evenly spread, for whoever divides a shard further; its devices stand there, too.
pub fn place_of_room(room: &Room) -> u32 {
    low_half(name(room))
}

/// Where a device stands: with its room, else by its id.
pub fn place_of_device(id: &str, room: Option<&Room>) -> u32 {
    room.map_or_else(|| low_half(id), place_of_room)
}

#[expect(clippy::cast_possible_truncation, reason = "the high half is that of the shards")]
fn low_half(name: &str) -> u32 {
    hash(name) as u32
}

/// What all processes come to know alike, whichever source answered them first: the `room_id` may be an older name.
fn name(room: &Room) -> &str {
    room.email.as_ref().or(room.object_id.as_ref()).unwrap_or(&room.id)
}

/// The same in every version and on every machine: FNV-1a, with the end of `MurmurHash3` to spread short names.
fn hash(name: &str) -> u64 {
    let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u32) -> Vec<Shard> {
        (0..count).map(|index| Shard::new(index, count).expect("within bounds")).collect()
    }

    #[test]
    fn every_name_belongs_to_exactly_one_shard_and_each_has_its_share() {
        for count in [1, 2, 3, 7, 64, MAX_SHARDS] {
            let names: Vec<String> = (0..count * 200).map(|n| format!("room-{n}@contoso.example")).collect();
            for name in &names {
                assert_eq!(shards(count).iter().filter(|shard| shard.owns(name)).count(), 1, "{name}");
            }
            for shard in shards(count) {
                let owned = names.iter().filter(|name| shard.owns(name)).count();
                assert!((140..=260).contains(&owned), "{shard:?} has {owned} of {}", names.len());
            }
        }
    }

    #[test]
    fn a_room_stays_where_it_is_in_every_version() {
        assert_eq!(hash(""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash("room-1@contoso.example"), 0x34bb_488d_1b2d_1065);
    }

    #[test]
    fn a_device_goes_with_its_room_and_the_room_by_its_address() {
        let oslo = Some("oslo@contoso.example");
        for shard in shards(5) {
            let by_address = shard.owns_room(&Room::example("oslo@contoso.example", oslo));
            assert_eq!(shard.owns_room(&Room::example("4b1c", oslo)), by_address);
            assert_eq!(shard.owns_device("d1", Some(&Room::example("4b1c", oslo))), by_address);
            assert_eq!(shard.owns_device("d1", None), shard.owns("d1"));
        }
    }

    #[test]
    fn there_is_no_shard_beyond_the_last() {
        assert_eq!(Shard::new(0, 1), Some(Shard::default()));
        for (index, count) in [(0, 0), (1, 1), (3, 3), (0, MAX_SHARDS + 1)] {
            assert_eq!(Shard::new(index, count), None, "{index} of {count}");
        }
    }
}
