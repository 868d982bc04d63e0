//! Segments: all series of one family and one tenant, and the cutter that makes the next generation of one.
//!
//! Only what changed is written. A block whose entities read as before is kept; in one that does not, the text of those
//! that did not change is copied.

use std::ops::Range;
use std::sync::Arc;

use crc32fast::Hasher;

use super::block::{Block, Deflater};
use super::roster::{Changes, MAX_PARTS, Roster};
use super::text::Lines;

/// A block may end from here on. Smaller ones compress worse, larger ones are compressed anew for one entity more often;
/// and these stay below the size from which allocators hand memory back at once and then fault it in again.
const MIN_BYTES: usize = 24 * 1024;

/// A block ends here whatever comes next.
const MAX_BYTES: usize = 48 * 1024;

/// One entity in eight may end a block: often enough to end soon after [`MIN_BYTES`], seldom enough that two ways
/// of cutting the same entities meet again after a few blocks.
const ENTITIES_PER_BOUNDARY: u64 = 8;

/// Length and checksum of a run of blocks, so that a response is announced without touching its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) plain: u64,
    pub(super) deflated: u64,
    pub(super) crc: u32,
    pub(super) series: u64,
}

impl Sums {
    /// Of this and what follows it. Combining checksums takes a microsecond.
    pub(super) fn then(self, next: Self) -> Self {
        let mut crc = Hasher::new_with_initial_len(self.crc, self.plain);
        crc.combine(&Hasher::new_with_initial_len(next.crc, next.plain));
        Self {
            plain: self.plain + next.plain,
            deflated: self.deflated + next.deflated,
            crc: crc.finalize(),
            series: self.series + next.series,
        }
    }

    pub(super) fn over(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().fold(Self::default(), Self::then)
    }

    /// Of bytes that travel uncompressed; their framing counts itself.
    pub(super) fn of_plain(bytes: &[u8]) -> Self {
        Self { plain: bytes.len() as u64, deflated: 0, crc: crc32fast::hash(bytes), series: 0 }
    }
}

impl From<&Block> for Sums {
    fn from(block: &Block) -> Self {
        Self {
            plain: block.plain.len() as u64,
            deflated: block.deflated.len() as u64,
            crc: block.crc,
            series: block.series,
        }
    }
}

/// All series of one family and one tenant.
#[derive(Debug, Default)]
pub struct Segment {
    roster: Arc<Roster>,
    blocks: Vec<Arc<Block>>,
    /// The place in the roster of the first entity of each block; between blocks may stand some without text.
    starts: Vec<usize>,
    buckets: Vec<Bucket>,
    sums: Sums,
    /// How many of the blocks were written for this segment, the others being those of the one before.
    written: u64,
}

/// The series of the entities of one bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Where its blocks end.
    end: usize,
    sums: Sums,
}

impl Segment {
    /// What it was made of.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The blocks of a part of the rooms, or of all; none of a part that has no whole bucket.
    pub(super) fn blocks_of(&self, part: Option<Part>) -> &[Arc<Block>] {
        let Some(buckets) = part.map(|part| part.of(self.buckets.len())) else { return &self.blocks };
        self.between(&buckets)
    }

    /// The series of a part that is less than a bucket. There are so few that they are copied, and travel uncompressed.
    pub(super) fn share_of(&self, part: Part) -> Option<Block> {
        let bucket = part.shares(self.buckets.len())?;
        let first = self.blocks_before(bucket);
        let blocks = self.between(&(bucket..bucket + 1)).iter().zip(self.starts.get(first..)?);
        let mut lines = Lines::default();
        for (block, start) in blocks {
            let here =
                |entity: &usize| self.roster.part(start + entity).is_some_and(|finest| part.has(finest));
            (0..block.entities()).filter(here).for_each(|entity| lines.copy(block.text_of(entity)));
        }
        let series = lines.series();
        (!lines.is_empty()).then(|| Block::stored(lines.into_bytes(), series))
    }

    fn between(&self, buckets: &Range<usize>) -> &[Arc<Block>] {
        let blocks = self.blocks_before(buckets.start)..self.blocks_before(buckets.end);
        self.blocks.get(blocks).unwrap_or_default()
    }

    fn blocks_before(&self, bucket: usize) -> usize {
        let last = bucket.checked_sub(1);
        last.map_or(0, |last| self.buckets.get(last).map_or(self.blocks.len(), |bucket| bucket.end))
    }

    pub(super) fn sums_of(&self, part: Option<Part>) -> Sums {
        let Some(buckets) = part.map(|part| part.of(self.buckets.len())) else { return self.sums };
        Sums::over(self.buckets.get(buckets).unwrap_or_default().iter().map(|bucket| bucket.sums))
    }

    /// The block that begins with an entity.
    fn beginning_at(&self, place: usize) -> Option<&Arc<Block>> {
        self.blocks.get(self.starts.binary_search(&place).ok()?)
    }

    /// The text of an entity.
    fn text_of(&self, place: usize) -> &[u8] {
        let block = self.starts.partition_point(|start| *start <= place).checked_sub(1);
        let block = block.and_then(|at| Some((self.blocks.get(at)?, self.starts.get(at)?)));
        let inside = block.filter(|(block, start)| place - *start < block.entities());
        inside.map_or(&[], |(block, start)| block.text_of(place - start))
    }
}

/// One of so many parts of the rooms; every room is in exactly one, with its devices. What is of no room is in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    index: usize,
    count: usize,
}

/// The numbers of parts that a tenant can have. Each is a power of two: a room stays in its part however the tenant grows.
pub const COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, MAX_PARTS];

impl Part {
    /// `index` counts from 0; `None` where there is no such part.
    pub fn new(index: usize, count: usize) -> Option<Self> {
        (index < count && COUNTS.contains(&count)).then_some(Self { index, count })
    }

    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// The buckets that are in it as a whole.
    fn of(self, buckets: usize) -> Range<usize> {
        let each = buckets / self.count;
        self.index * each..(self.index + 1) * each
    }

    /// The bucket that it has only a share of.
    fn shares(self, buckets: usize) -> Option<usize> {
        (buckets < self.count).then_some(self.index * buckets / self.count)
    }

    /// Returns true if one of the finest parts is in it.
    fn has(self, finest: usize) -> bool {
        finest * self.count / MAX_PARTS == self.index
    }
}

/// Makes segments. Keep one per rendering thread: it owns the buffers that all cuts reuse.
#[derive(Debug, Default)]
pub struct Cutter {
    deflater: Deflater,
    lines: Lines,
    ends: Vec<u32>,
}

impl Cutter {
    /// The next generation of a segment: `write` appends the text of the entity at a place of `roster`, and `changes` are
    /// those since the roster of `previous`.
    pub fn cut(
        &mut self,
        previous: &Segment,
        roster: &Arc<Roster>,
        changes: &Changes,
        write: &mut dyn FnMut(usize, &mut Lines),
    ) -> Segment {
        let mut cut = Cut { cutter: self, previous, changes, write, next: Segment::default() };
        for bucket in roster.buckets() {
            cut.bucket(roster, bucket);
        }
        cut.next.sums = Sums::over(cut.next.buckets.iter().map(|bucket| bucket.sums));
        cut.next.blocks.shrink_to_fit();
        cut.next.starts.shrink_to_fit();
        cut.next.roster = Arc::clone(roster);
        cut.next
    }
}

/// One generation being cut.
///
/// Blocks end where the *content* says so: behind an entity whose id has a certain print. If they ended at a
/// fixed size instead, one longer line would move every boundary behind it and each following block would be
/// compressed anew. This way the old and the new cut soon end a block behind the same entity, and from there on
/// are the same again.
struct Cut<'a> {
    cutter: &'a mut Cutter,
    previous: &'a Segment,
    changes: &'a Changes,
    write: &'a mut dyn FnMut(usize, &mut Lines),
    next: Segment,
}

impl Cut<'_> {
    fn bucket(&mut self, roster: &Roster, places: Range<usize>) {
        let first = self.next.blocks.len();
        let mut at = places.start;
        while at < places.end {
            let rest = at..places.end;
            at = match self.kept(roster, rest.clone()) {
                Some(block) => self.push(at, block),
                None => self.block(roster, rest),
            };
        }
        let blocks = self.next.blocks.get(first..).unwrap_or_default();
        let sums = Sums::over(blocks.iter().map(|block| block.as_ref().into()));
        self.next.buckets.push(Bucket { end: self.next.blocks.len(), sums });
    }

    /// Adds a block; says where the next one begins.
    fn push(&mut self, at: usize, block: Arc<Block>) -> usize {
        let next = at + block.entities();
        self.next.blocks.push(block);
        self.next.starts.push(at);
        next
    }

    /// The block of the generation before that begins here, if a new one would be the same.
    fn kept(&mut self, roster: &Roster, rest: Range<usize>) -> Option<Arc<Block>> {
        let block = self.previous.beginning_at(self.changes.old(rest.start)?)?;
        let places = rest.start..rest.start + block.entities();
        let ends = places.end == rest.end || may_end(roster, places.end - 1, block.plain.len());
        if places.end > rest.end || !ends || !self.changes.are_in_order(&places) {
            return None;
        }
        let mut from = places.start;
        while let Some(changed) = self.changes.first_changed(&(from..places.end)) {
            self.cutter.lines.clear();
            (self.write)(changed, &mut self.cutter.lines);
            if self.cutter.lines.as_bytes() != block.text_of(changed - places.start) {
                return None;
            }
            from = changed + 1;
        }
        Some(Arc::clone(block))
    }

    /// Writes a block; says where the next one begins.
    fn block(&mut self, roster: &Roster, rest: Range<usize>) -> usize {
        let Cutter { deflater, lines, ends } = &mut *self.cutter;
        lines.clear();
        ends.clear();
        let start = rest.start;
        for place in rest {
            match self.changes.old(place).filter(|_| self.changes.is_same(place)) {
                Some(old) => lines.copy(self.previous.text_of(old)),
                None => (self.write)(place, lines),
            }
            ends.push(u32::try_from(lines.len()).expect("a block ends long before"));
            if may_end(roster, place, lines.len()) {
                break;
            }
        }
        let next = start + ends.len();
        if !lines.is_empty() {
            let block = Arc::new(deflater.block(lines.as_bytes(), lines.series(), ends));
            self.next.written += 1;
            self.push(start, block);
        }
        next
    }
}

/// Whether a block of this size may end behind the entity at a place.
fn may_end(roster: &Roster, place: usize, size: usize) -> bool {
    let is_boundary =
        || roster.entities().get(place).is_some_and(|entity| entity.id % ENTITIES_PER_BOUNDARY == 0);
    size >= MAX_BYTES || (size >= MIN_BYTES && is_boundary())
}

#[cfg(test)]
pub(crate) mod example {
    //! Segments of entities that are a number and a value, for tests.

    use super::{Arc, Changes, Cutter, Lines, Roster, Segment};
    use crate::metrics::roster::{Entity, buckets};
    use crate::model::fleet::print;

    /// An id, and what its series are made of.
    pub(crate) type Fact = (u64, u64);

    fn placed(facts: &[Fact]) -> Vec<(u32, Fact)> {
        let place = |id: u64| u32::try_from(print(id) >> 32).unwrap();
        let mut placed: Vec<_> = facts.iter().map(|fact| (place(fact.0), *fact)).collect();
        placed.sort_unstable();
        placed
    }

    /// The next generation of a segment.
    pub(crate) fn cut(
        previous: &Segment,
        facts: &[Fact],
        mut write: impl FnMut(Fact, &mut Lines),
    ) -> Segment {
        let placed = placed(facts);
        let entity = |(place, (id, value)): &(u32, Fact)| {
            (*place, Entity { id: print(id), print: Some(print((id, value))) })
        };
        let roster = Arc::new(Roster::new(buckets(facts.len()), placed.iter().map(entity)));
        let changes = Changes::between(previous.roster(), &roster);
        Cutter::default().cut(previous, &roster, &changes, &mut |place, lines| write(placed[place].1, lines))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::example::Fact;
    use super::*;
    use crate::metrics::text::Labels;

    /// Cuts the next generation; says how many entities were written for it. Those of value 0 have no series.
    fn cut(previous: &Segment, facts: &[Fact]) -> (Segment, usize) {
        let mut written = 0;
        let segment = example::cut(previous, facts, |(id, value), lines| {
            written += 1;
            let labels = Labels::new(&[("tenant", "contoso"), ("device_id", &id.to_string())]);
            for state in
                ["healthy", "non_urgent", "critical", "offline", "unknown"].iter().filter(|_| value > 0)
            {
                lines.sample("teams_rooms_device_health_state", &labels, &[("state", state)], value);
            }
        });
        (segment, written)
    }

    fn fleet(size: u64) -> Vec<Fact> {
        (0..size).map(|id| (id, 1)).collect()
    }

    fn shared(old: &Segment, new: &Segment) -> usize {
        new.blocks.iter().filter(|block| old.blocks.iter().any(|other| Arc::ptr_eq(other, block))).count()
    }

    fn text(blocks: &[Arc<Block>]) -> Vec<u8> {
        blocks.iter().flat_map(|block| block.plain.iter().copied()).collect()
    }

    fn text_of(segment: &Segment, part: Part) -> Vec<u8> {
        let mut found = text(segment.blocks_of(Some(part)));
        found.extend(segment.share_of(part).into_iter().flat_map(|share| share.plain));
        found
    }

    /// The entities that have series in each part.
    fn members(segment: &Segment, count: usize) -> Vec<BTreeSet<String>> {
        let of = |index| {
            let text = text_of(segment, Part::new(index, count).expect("a part"));
            let lines = String::from_utf8(text).expect("text");
            let id = |line: &str| line.split("device_id=\"").nth(1)?.split('"').next().map(str::to_owned);
            lines.lines().filter_map(id).collect()
        };
        (0..count).map(of).collect()
    }

    #[track_caller]
    fn check_whole(segment: &Segment) {
        let sums = Sums::over(segment.blocks.iter().map(|block| block.as_ref().into()));
        assert_eq!(segment.sums, sums);
        assert_eq!(segment.sums.crc, crc32fast::hash(&text(&segment.blocks)));
        for count in COUNTS {
            let parts = || (0..count).map(|index| Part::new(index, count).expect("a part"));
            let joined: Vec<_> = parts().flat_map(|part| text_of(segment, part)).collect();
            assert_eq!(joined, text(&segment.blocks), "{count} parts");
            let series = |part| {
                let share = segment.share_of(part).map_or(0, |share| share.series);
                segment.sums_of(Some(part)).series + share
            };
            assert_eq!(parts().map(series).sum::<u64>(), sums.series);
        }
    }

    #[test]
    fn nothing_makes_no_block() {
        let (segment, _) = cut(&Segment::default(), &[]);
        assert_eq!((segment.blocks.len(), segment.sums.series), (0, 0));
        check_whole(&segment);
        check_whole(&Segment::default());
    }

    #[test]
    fn blocks_are_bounded() {
        let (segment, written) = cut(&Segment::default(), &fleet(3000));
        assert_eq!(
            (written, segment.sums.series, segment.written),
            (3000, 15_000, segment.blocks.len() as u64)
        );
        assert!(segment.blocks.len() > 10);
        for block in &segment.blocks {
            assert!(block.plain.len() < MAX_BYTES + 1024);
        }
        check_whole(&segment);
    }

    #[test]
    fn what_is_the_same_is_not_written() {
        let (old, _) = cut(&Segment::default(), &fleet(3000));
        let (new, written) = cut(&old, &fleet(3000));
        assert_eq!((written, new.written, shared(&old, &new)), (0, 0, old.blocks.len()));
    }

    #[test]
    fn a_change_costs_its_block_and_one_without_effect_nothing() {
        let (old, _) = cut(&Segment::default(), &fleet(3000));
        let mut facts = fleet(3000);
        facts[1234].1 = 2;
        let (new, _) = cut(&old, &facts);
        assert_eq!((new.written, shared(&old, &new)), (1, old.blocks.len() - 1));
        check_whole(&new);
        let silent = |_: Fact, lines: &mut Lines| lines.sample("m", &Labels::default(), &[], 1_u64);
        let old = example::cut(&Segment::default(), &fleet(3000), silent);
        let new = example::cut(&old, &facts, silent);
        assert_eq!((new.written, shared(&old, &new)), (0, old.blocks.len()));
    }

    #[test]
    fn an_entity_more_costs_a_few_blocks() {
        // Within the same number of buckets.
        let base = fleet(6000);
        let (old, _) = cut(&Segment::default(), &base);
        let (mut blocks, mut entities) = (0, 0);
        let edits = 30;
        for edit in 0..edits {
            let mut edited = base.clone();
            edited.push((100_000 + edit, 1));
            let (new, written) = cut(&old, &edited);
            assert_eq!(shared(&old, &new) as u64 + new.written, new.blocks.len() as u64);
            blocks += new.written;
            entities += written as u64;
        }
        assert!(blocks <= 3 * edits, "{blocks} blocks for {edits} entities");
        assert_eq!(entities, edits);
    }

    #[test]
    fn parts_are_whole_buckets_and_the_first_has_the_rest() {
        let part = |index, count, buckets| {
            let part = Part::new(index, count).unwrap();
            (part.of(buckets), part.shares(buckets))
        };
        assert_eq!([part(0, 2, 4), part(1, 2, 4)], [(0..2, None), (2..4, None)]);
        assert_eq!([part(0, 4, 1), part(3, 4, 1)], [(0..0, Some(0)), (0..0, Some(0))]);
        assert_eq!([part(3, 8, 2), part(4, 8, 2)], [(0..0, Some(0)), (0..0, Some(1))]);
        assert_eq!(Part::new(2, 2), None);
    }

    #[test]
    fn a_number_of_parts_that_would_move_rooms_is_no_number_of_parts() {
        let accepted: Vec<_> = (0..=2 * MAX_PARTS).filter(|count| Part::new(0, *count).is_some()).collect();
        assert_eq!(accepted, COUNTS);
    }

    #[test]
    fn a_tenant_that_grows_moves_no_entity_from_one_part_to_another() {
        // One bucket, then two, four, eight and sixteen.
        let sizes = [3, 300, 1000, 2000, 3000, 5000];
        let grown: Vec<_> = sizes.iter().map(|size| cut(&Segment::default(), &fleet(*size)).0).collect();
        for count in COUNTS {
            let parts: Vec<_> = grown.iter().map(|segment| members(segment, count)).collect();
            for (before, after) in parts.iter().zip(parts.iter().skip(1)) {
                let stay = before.iter().zip(after).all(|(before, after)| before.is_subset(after));
                assert!(stay, "{count} parts");
            }
            let last = parts.last().expect("the largest");
            assert!(last.iter().all(|part| part.len() > 5000 / count / 2), "each of {count} has its share");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_history_gives_the_same_text(
            edits in prop::collection::vec((0_usize..1500, 0_u64..1000), 0..12),
            size in prop::sample::select(vec![3_u64, 510, 1500, 2100]),
        ) {
            let mut facts = fleet(size);
            let (mut segment, _) = cut(&Segment::default(), &facts);
            for (at, value) in edits {
                let at = at % facts.len();
                match value % 4 {
                    0 if facts.len() > 1 => drop(facts.remove(at)),
                    1 => facts.push((10_000 + value, value)),
                    2 => facts[at].1 = 0,
                    _ => facts[at].1 = value,
                }
                facts.sort_unstable();
                facts.dedup_by_key(|fact| fact.0);
                segment = cut(&segment, &facts).0;
                let (fresh, _) = cut(&Segment::default(), &facts);
                prop_assert_eq!(text(&segment.blocks), text(&fresh.blocks));
                prop_assert_eq!(segment.blocks.len(), fresh.blocks.len());
                prop_assert_eq!(segment.sums, fresh.sums);
                check_whole(&segment);
            }
        }
    }
}
