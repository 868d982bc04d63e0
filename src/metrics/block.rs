//! Blocks: pieces of sample lines, kept both as they are and compressed.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

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
    /// Where the text of each entity ends.
    ends: Box<[u32]>,
}

impl Block {
    /// How many entities it is the text of, those without any among them.
    pub fn entities(&self) -> usize {
        self.ends.len()
    }

    /// The text of one of its entities.
    pub fn text_of(&self, entity: usize) -> &[u8] {
        let start = entity.checked_sub(1).map_or(0, |before| self.end(before));
        self.plain.get(start..self.end(entity)).unwrap_or_default()
    }

    /// A block without compression: `deflated` holds the text as it is.
    pub fn stored(plain: Vec<u8>, series: u64) -> Self {
        let mut deflated = Vec::new();
        store(&plain, &mut deflated);
        Self {
            crc: crc32fast::hash(&plain),
            plain: plain.into(),
            deflated: deflated.into(),
            series,
            ends: Box::default(),
        }
    }

    fn end(&self, entity: usize) -> usize {
        self.ends.get(entity).map_or(self.plain.len(), |end| *end as usize)
    }
}

/// The longest text that a stored block of deflate can hold.
const MAX_STORED: usize = 65_535;

/// Bytes around the content of a stored block: its type, and the length twice.
const STORED_FRAME: usize = 5;

/// Appends text to a stream of deflate, as it is.
pub fn store(plain: &[u8], stream: &mut Vec<u8>) {
    stream.reserve(plain.len() + plain.len().div_ceil(MAX_STORED) * STORED_FRAME);
    for stored in plain.chunks(MAX_STORED) {
        let length = u16::try_from(stored.len()).expect("chunks are no longer than a stored block holds");
        stream.push(0);
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(stored);
    }
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
    /// `ends` is where the text of each entity ends.
    pub fn block(&mut self, plain: &[u8], series: u64, ends: &[u32]) -> Block {
        Block {
            plain: Bytes::copy_from_slice(plain),
            deflated: self.deflate(plain),
            crc: crc32fast::hash(plain),
            series,
            ends: ends.into(),
        }
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[track_caller]
    fn check(plain: &[u8]) {
        for block in [Deflater::default().block(plain, 1, &[]), Block::stored(plain.to_vec(), 1)] {
            assert_eq!((&*block.plain, block.crc), (plain, crc32fast::hash(plain)));
            let mut stream = block.deflated.to_vec();
            stream.extend([3, 0]);
            let mut inflated = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated, plain);
        }
    }

    #[test]
    fn any_text_comes_back_from_what_is_compressed() {
        check(b"");
        check(b"a 1\n");
        check(&b"teams_rooms_device_connected 1\n".repeat(3_000));
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
        check(&noise);
    }

    #[test]
    fn each_entity_has_its_text() {
        let block = Deflater::default().block(b"a 1\nb 1\nb 2\n", 3, &[4, 4, 12]);
        assert_eq!(block.entities(), 3);
        let texts: Vec<_> = (0..3).map(|entity| block.text_of(entity)).collect();
        assert_eq!(texts, [&b"a 1\n"[..], b"", b"b 1\nb 2\n"]);
    }
}
