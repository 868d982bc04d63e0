//! Who has series, in the order in which they are written, and what of that changed since the last time.
//!
//! Entities stand in *buckets* by their place among all, so that a scrape can ask for a part of the rooms. A part is
//! some whole buckets, or a share of one. The devices of a room are in its bucket.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::quality::FixedState;

/// Something that has series: a device, a room, a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Print of its id.
    pub id: u64,
    /// Print of all that its series are made of; none where only writing them tells.
    pub print: Option<u64>,
}

/// The entities of one kind, bucket by bucket.
#[derive(Debug, PartialEq, Eq)]
pub struct Roster {
    entities: Vec<Entity>,
    /// The finest part that each entity is in.
    parts: Vec<u8>,
    /// Where each bucket ends.
    ends: Vec<usize>,
}

/// Some 50,000 devices in parts of 80,000 series; more targets cost more than they spare. A power of two.
pub const MAX_PARTS: usize = 64;

/// So many entities share a bucket: families with one series for each still fill blocks.
const ENTITIES_PER_BUCKET: usize = 512;

/// Enough for twice the largest fleet that one process holds.
const MAX_BUCKETS: usize = 256;

/// The number of buckets of a tenant, by the entities of its most numerous kind. It is a power of two, as the number of parts is:
/// growth halves buckets, and every part still ends where a bucket or a share of one ends.
pub fn buckets(entities: usize) -> usize {
    entities.div_ceil(ENTITIES_PER_BUCKET).next_power_of_two().min(MAX_BUCKETS)
}

/// The bucket of an entity at a place among all, which are spread over the 32 bits.
pub fn bucket_of(place: u32, buckets: usize) -> usize {
    let bucket = u64::from(place) * buckets as u64;
    usize::try_from(bucket >> 32).expect("below the number of buckets")
}

/// The finest part that a place among all is in.
fn part_of(place: u32) -> u8 {
    u8::try_from(bucket_of(place, MAX_PARTS)).expect("there are fewer parts")
}

impl Default for Roster {
    fn default() -> Self {
        Self::of_one_bucket(Vec::new())
    }
}

impl Roster {
    /// `entities` with their places among all, in the order of their buckets.
    pub fn new(buckets: usize, entities: impl Iterator<Item = (u32, Entity)>) -> Self {
        let (mut listed, mut parts, mut ends) = (Vec::new(), Vec::new(), Vec::with_capacity(buckets));
        for (place, entity) in entities {
            ends.resize(bucket_of(place, buckets).max(ends.len()), listed.len());
            listed.push(entity);
            parts.push(part_of(place));
        }
        ends.resize(buckets, listed.len());
        Self { entities: listed, parts, ends }
    }

    /// The roster of few entities, which belong to the first part.
    pub fn of_one_bucket(entities: Vec<Entity>) -> Self {
        Self { parts: vec![part_of(0); entities.len()], ends: vec![entities.len()], entities }
    }

    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The finest part that the entity at `place` is in.
    pub fn part(&self, place: usize) -> Option<usize> {
        self.parts.get(place).copied().map(usize::from)
    }

    /// The entities of each bucket.
    pub fn buckets(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }
}

/// Where each entity of a roster stood in an older one.
#[derive(Debug)]
pub struct Changes {
    steps: Vec<Step>,
    /// The older roster was the same.
    is_none: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    old: Option<u32>,
    is_same: bool,
    /// So many from here on follow each other as they did.
    in_order: u32,
    /// So many from here on follow each other as they did, and are the same.
    same: u32,
}

impl Changes {
    pub fn between(old: &Roster, new: &Roster) -> Self {
        let number = |place: usize| u32::try_from(place).expect("no fleet has so many entities");
        let mut places: Option<HashMap<u64, usize, FixedState>> = None;
        let mut find = |id| {
            let ids = || old.entities.iter().enumerate().map(|(place, entity)| (entity.id, place)).collect();
            places.get_or_insert_with(ids).get(&id).copied()
        };
        let mut next = 0;
        let mut step = |entity: &Entity| {
            let follows = old.entities.get(next).is_some_and(|old| old.id == entity.id);
            let place = if follows { Some(next) } else { find(entity.id) };
            next = place.map_or(next, |place| place + 1);
            let known = place.and_then(|place| old.entities.get(place)?.print);
            let is_same = entity.print.is_some() && entity.print == known;
            Step { old: place.map(number), is_same, ..Step::default() }
        };
        let mut steps: Vec<Step> = new.entities.iter().map(&mut step).collect();
        let mut following = Step::default();
        for step in steps.iter_mut().rev() {
            let follows = step.old.is_some() && following.old == step.old.map(|old| old + 1);
            let (in_order, same) = if follows { (following.in_order, following.same) } else { (0, 0) };
            step.in_order = if step.old.is_some() { in_order + 1 } else { 0 };
            step.same = if step.is_same { same + 1 } else { 0 };
            following = *step;
        }
        Self { is_none: old == new && steps.iter().all(|step| step.is_same), steps }
    }

    /// Nothing has to be written.
    pub fn is_none(&self) -> bool {
        self.is_none
    }

    /// The place that the entity at `place` had.
    pub fn old(&self, place: usize) -> Option<usize> {
        self.step(place).old.and_then(|old| usize::try_from(old).ok())
    }

    /// Whether the entity at `place` is as it was.
    pub fn is_same(&self, place: usize) -> bool {
        self.step(place).is_same
    }

    /// Whether those at `places` were all there, in this order.
    pub fn are_in_order(&self, places: &Range<usize>) -> bool {
        self.step(places.start).in_order as usize >= places.len()
    }

    /// The first of `places` whose entity is not as it was.
    pub fn first_changed(&self, places: &Range<usize>) -> Option<usize> {
        let mut place = places.start;
        while place < places.end && self.is_same(place) {
            place += self.step(place).same as usize;
        }
        (place < places.end).then_some(place)
    }

    fn step(&self, place: usize) -> Step {
        self.steps.get(place).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity((id, print): &(u64, u64)) -> Entity {
        Entity { id: *id, print: Some(*print) }
    }

    fn roster(entities: &[(u64, u64)]) -> Roster {
        Roster::of_one_bucket(entities.iter().map(entity).collect())
    }

    #[track_caller]
    fn check(old: &[(u64, u64)], new: &[(u64, u64)], places: &[Option<usize>], changed: &[usize]) {
        let steps = Changes::between(&roster(old), &roster(new));
        let found: Vec<_> = (0..new.len()).map(|place| steps.old(place)).collect();
        assert_eq!(found, places);
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(place) = steps.first_changed(&(from..new.len())) {
            found.push(place);
            from = place + 1;
        }
        assert_eq!(found, changed);
        assert_eq!(steps.is_none(), old == new);
    }

    #[test]
    fn what_came_went_moved_and_changed_is_found() {
        let old = [(1, 10), (2, 20), (3, 30), (4, 40)];
        check(&old, &old, &[Some(0), Some(1), Some(2), Some(3)], &[]);
        check(&[], &[(1, 10)], &[None], &[0]);
        check(&old, &[], &[], &[]);
        check(&old, &[(1, 10), (2, 21), (3, 30), (4, 41)], &[Some(0), Some(1), Some(2), Some(3)], &[1, 3]);
        check(&old, &[(1, 10), (3, 30), (4, 40)], &[Some(0), Some(2), Some(3)], &[]);
        check(&old, &[(1, 10), (9, 90), (2, 20)], &[Some(0), None, Some(1)], &[1]);
        check(&old, &[(4, 40), (1, 10)], &[Some(3), Some(0)], &[]);
    }

    #[test]
    fn order_is_that_of_the_older_roster() {
        let old = roster(&[(1, 10), (2, 20), (3, 30), (4, 40)]);
        let new = roster(&[(1, 10), (2, 99), (4, 40), (5, 50)]);
        let changes = Changes::between(&old, &new);
        assert!(changes.are_in_order(&(0..2)) && !changes.are_in_order(&(0..3)));
        assert!(changes.are_in_order(&(2..3)) && !changes.are_in_order(&(3..4)));
    }

    #[test]
    fn without_a_print_nothing_is_the_same() {
        let unknown = || Roster::of_one_bucket(vec![Entity { id: 1, print: None }]);
        let changes = Changes::between(&unknown(), &unknown());
        assert!(!changes.is_same(0) && !changes.is_none() && changes.are_in_order(&(0..1)));
    }

    #[test]
    fn buckets_hold_their_entities() {
        let entities =
            [(0, (1, 1)), (1 << 26, (2, 2)), (2 << 30, (3, 3))].map(|(place, facts)| (place, entity(&facts)));
        let roster = Roster::new(4, entities.into_iter());
        assert_eq!(roster.buckets().collect::<Vec<_>>(), [0..2, 2..2, 2..3, 3..3]);
        assert_eq!([0, 1, 2, 3].map(|place| roster.part(place)), [Some(0), Some(1), Some(32), None]);
        assert_eq!(Roster::default().buckets().next(), Some(0..0));
    }

    #[test]
    fn buckets_grow_with_the_fleet_and_are_halved() {
        let found = [0, 1, 512, 513, 1_000, 10_000, 50_000, 1_000_000].map(buckets);
        assert_eq!(found, [1, 1, 1, 2, 2, 32, 128, 256]);
        for place in [0, 1, u32::MAX / 3, u32::MAX] {
            for buckets in [1, 2, 4, 64] {
                assert_eq!(bucket_of(place, buckets), bucket_of(place, buckets * 2) / 2);
            }
        }
        assert_eq!(bucket_of(u32::MAX, 256), 255);
    }
}
