//! Blocks: pieces of sample lines kept both as they are and compressed, and the cutter that makes them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::text::Lines;

/// A block may end from here on. Blocks of about 64 KiB cost 3 % of the compression and stay below the size from
/// which allocators hand memory back at once and then fault it in again.
const MIN_BYTES: usize = 48 * 1024;

/// A block ends here whatever comes next.
const MAX_BYTES: usize = 96 * 1024;

/// One entity in eight may end a block: often enough to end soon after [`MIN_BYTES`], seldom enough that two ways
/// of cutting the same entities meet again after a few blocks.
const ENTITIES_PER_BOUNDARY: u32 = 8;

/// zlib-rs at 2: level 1 makes a third more bytes and saves a quarter of the time, higher levels save few bytes.
const LEVEL: Compression = Compression::new(2);

/// Room beyond the input for what deflate adds to bytes it cannot compress.
const INCOMPRESSIBLE_SLACK: usize = 1024;

/// A piece of sample lines, immutable and shared by the generations in which its text is the same.
#[derive(Debug)]
pub struct Block {
    pub plain: Bytes,
    /// Raw deflate of `plain`: no final block, ends on a byte boundary and refers to nothing before it, so that
    /// blocks can be joined in any order.
    pub deflated: Bytes,
    /// CRC-32 of `plain`.
    pub crc: u32,
    pub series: u64,
}

/// Compresses pieces of text with one state and one buffer for all of them.
#[derive(Debug)]
pub struct Deflater {
    state: Compress,
    buffer: Vec<u8>,
}

impl Default for Deflater {
    fn default() -> Self {
        Self { state: Compress::new(LEVEL, false), buffer: Vec::new() }
    }
}

impl Deflater {
    pub fn block(&mut self, plain: &[u8], crc: u32, series: u64) -> Block {
        Block { plain: Bytes::copy_from_slice(plain), deflated: self.deflate(plain), crc, series }
    }

    fn deflate(&mut self, plain: &[u8]) -> Bytes {
        self.state.reset();
        self.buffer.clear();
        self.buffer.reserve(plain.len() + INCOMPRESSIBLE_SLACK);
        loop {
            let consumed = usize::try_from(self.state.total_in()).unwrap_or(usize::MAX);
            let rest = plain.get(consumed..).unwrap_or_default();
            self.state
                .compress_vec(rest, &mut self.buffer, FlushCompress::Full)
                .expect("deflate only fails when its state is broken");
            // Spare room is deflate's word that nothing is left to write.
            if self.buffer.len() < self.buffer.capacity() {
                return Bytes::copy_from_slice(&self.buffer);
            }
            self.buffer.reserve(INCOMPRESSIBLE_SLACK);
        }
    }
}

/// Makes blocks. Keep one per rendering thread: it owns the buffers that all cuts reuse.
#[derive(Debug, Default)]
pub struct Cutter {
    deflater: Deflater,
    lines: Lines,
}

impl Cutter {
    /// Starts the next generation of a list of blocks.
    pub fn cut<'a>(&'a mut self, previous: &'a [Arc<Block>]) -> Cut<'a> {
        self.lines.clear();
        let known = previous.iter().map(|block| ((block.crc, block.plain.len()), block)).collect();
        Cut { cutter: self, known, blocks: Vec::with_capacity(previous.len()), deflated: 0 }
    }
}

/// One generation being cut.
///
/// Blocks end where the *content* says so: behind an entity whose key has a certain hash. If they ended at a
/// fixed size instead, one longer line would move every boundary behind it and each following block would be
/// compressed anew. This way the old and the new cut soon end a block behind the same entity, and from there on
/// are the same again.
#[derive(Debug)]
pub struct Cut<'a> {
    cutter: &'a mut Cutter,
    known: HashMap<(u32, usize), &'a Arc<Block>>,
    blocks: Vec<Arc<Block>>,
    deflated: u64,
}

impl Cut<'_> {
    /// Adds the lines of one entity. `key` identifies it and stays the same for its life.
    pub fn entity(&mut self, key: &str, render: impl FnOnce(&mut Lines)) {
        render(&mut self.cutter.lines);
        let size = self.cutter.lines.len();
        if size >= MAX_BYTES || (size >= MIN_BYTES && may_end_block(key)) {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let Cutter { deflater, lines } = &mut *self.cutter;
        let text = lines.as_bytes();
        let crc = crc32fast::hash(text);
        let block = match self.known.get(&(crc, text.len())) {
            Some(&same) if same.plain == text => Arc::clone(same),
            _ => {
                self.deflated += 1;
                Arc::new(deflater.block(text, crc, lines.series()))
            }
        };
        self.blocks.push(block);
        lines.clear();
    }

    /// The blocks, and how many of them are new text that had to be compressed.
    pub fn finish(mut self) -> (Vec<Arc<Block>>, u64) {
        if !self.cutter.lines.is_empty() {
            self.end_block();
        }
        self.blocks.shrink_to_fit();
        (self.blocks, self.deflated)
    }
}

/// CRC-32 alone is linear: over numbered rooms its bits repeat with a short period, and cuts that are apart would
/// stay apart. The multiplication by an odd constant breaks the pattern in the upper bits.
fn may_end_block(key: &str) -> bool {
    let mixed = crc32fast::hash(key.as_bytes()).wrapping_mul(0x9e37_79b1);
    mixed < u32::MAX / ENTITIES_PER_BOUNDARY
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;
    use crate::metrics::text::Labels;

    /// Entities as (key, value): the value decides the length of the text.
    fn cut(
        cutter: &mut Cutter,
        previous: &[Arc<Block>],
        entities: &[(String, u64)],
    ) -> (Vec<Arc<Block>>, u64) {
        let mut cut = cutter.cut(previous);
        for (key, value) in entities {
            let labels = Labels::new(&[("tenant", "contoso"), ("device_id", key), ("room", "Meeting room")]);
            cut.entity(key, |lines| {
                for state in ["healthy", "non_urgent", "critical", "offline", "unknown"] {
                    lines.sample("teams_rooms_device_health_state", &labels, &[("state", state)], *value);
                }
            });
        }
        cut.finish()
    }

    fn fleet(size: u64) -> Vec<(String, u64)> {
        (0..size).map(|n| (format!("room-{n}@contoso.example"), 1)).collect()
    }

    fn shared(old: &[Arc<Block>], new: &[Arc<Block>]) -> usize {
        new.iter().filter(|block| old.iter().any(|other| Arc::ptr_eq(other, block))).count()
    }

    fn text(blocks: &[Arc<Block>]) -> Vec<u8> {
        blocks.iter().flat_map(|block| block.plain.iter().copied()).collect()
    }

    #[test]
    fn nothing_makes_no_block() {
        assert_eq!(Cutter::default().cut(&[]).finish().0.len(), 0);
    }

    #[test]
    fn blocks_are_bounded_and_stand_alone() {
        let mut cutter = Cutter::default();
        let (blocks, deflated) = cut(&mut cutter, &[], &fleet(3000));
        assert_eq!(deflated, blocks.len() as u64);
        assert_eq!(blocks.iter().map(|block| block.series).sum::<u64>(), 15_000);
        for (position, block) in blocks.iter().enumerate() {
            assert!(block.plain.len() >= MIN_BYTES || position + 1 == blocks.len());
            assert!(block.plain.len() < MAX_BYTES + 1024);
            assert_eq!(block.crc, crc32fast::hash(&block.plain));
            let mut stream = block.deflated.to_vec();
            stream.extend([3, 0]);
            let mut inflated = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated, block.plain);
        }
    }

    #[test]
    fn the_same_text_keeps_its_blocks() {
        let mut cutter = Cutter::default();
        let (old, _) = cut(&mut cutter, &[], &fleet(3000));
        let (new, deflated) = cut(&mut cutter, &old, &fleet(3000));
        assert_eq!(deflated, 0);
        assert_eq!(shared(&old, &new), old.len());
        assert_eq!(new.len(), old.len());
    }

    #[test]
    fn incompressible_text_still_fits() {
        let noise: Vec<u8> = std::iter::repeat_with({
            let mut random = fastrand::Rng::with_seed(7);
            move || random.u8(..)
        })
        .take(300_000)
        .collect();
        let mut stream = Deflater::default().deflate(&noise).to_vec();
        stream.extend([3, 0]);
        let mut inflated = Vec::new();
        flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, noise);
    }

    #[test]
    fn an_entity_more_costs_a_few_blocks() {
        let mut cutter = Cutter::default();
        let base = fleet(6000);
        let (old, _) = cut(&mut cutter, &[], &base);
        assert!(old.len() > 50);
        let mut total = 0;
        let edits = 30;
        for edit in 0..edits {
            let mut edited = base.clone();
            edited.insert(edit * 197, (format!("new-{edit}"), 1));
            let (new, deflated) = cut(&mut cutter, &old, &edited);
            assert!(deflated <= 12, "{deflated} blocks for one entity at {edit}");
            assert_eq!(shared(&old, &new) as u64 + deflated, new.len() as u64);
            total += deflated;
        }
        assert!(total <= 3 * edits as u64, "{total} blocks for {edits} entities");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_history_gives_the_same_text(edits in prop::collection::vec((0_usize..1500, 0_u64..1000), 0..12)) {
            let mut cutter = Cutter::default();
            let mut entities = fleet(1500);
            let (mut blocks, _) = cut(&mut cutter, &[], &entities);
            for (at, value) in edits {
                if value % 3 == 0 {
                    entities.remove(at % entities.len());
                } else if let Some(entity) = entities.get_mut(at) {
                    entity.1 = value;
                }
                blocks = cut(&mut cutter, &blocks, &entities).0;
                let (fresh, _) = cut(&mut Cutter::default(), &[], &entities);
                prop_assert_eq!(text(&blocks), text(&fresh));
                prop_assert_eq!(blocks.len(), fresh.len());
            }
        }
    }
}
