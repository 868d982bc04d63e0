//! Changes inputs as a careless or a hostile sender would; the same seed makes the same changes.

use fastrand::Rng;

/// Inputs never grow beyond this: it is several times the largest of a corpus.
const LONGEST: usize = 256 * 1024;

/// What parsers stumble over: ends and separators, numbers at the edge, types in the place of others.
const TOKENS: [&str; 48] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n",
    "\0",
    "=",
    "&",
    ";",
    "%",
    "%00",
    "+",
    "#",
    "|",
    ">",
    "-",
    "*",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e999",
    "1e-9",
    "NaN",
    "9223372036854775807",
    "18446744073709551616",
    "0.0000001",
    "\u{feff}",
    "\u{202e}",
    "é",
    "\\ud800",
    "\u{10ffff}",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59Z",
    "-9999-01-01T00:00:00Z",
    "99999999999d",
    "q=0.0000000000000000001",
];

pub(crate) struct Mutator<'c> {
    corpus: &'c [Vec<u8>],
    random: Rng,
    input: Vec<u8>,
}

impl<'c> Mutator<'c> {
    pub(crate) fn new(corpus: &'c [Vec<u8>], seed: u64) -> Self {
        Self { corpus, random: Rng::with_seed(seed), input: Vec::new() }
    }

    /// One of the corpus with a few changes.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.input = self.pick().to_vec();
        for _ in 0..=self.random.u32(0..5) {
            self.change();
        }
        self.input.truncate(LONGEST);
        &self.input
    }

    fn pick(&mut self) -> &'c [u8] {
        &self.corpus[self.random.usize(0..self.corpus.len())]
    }

    fn change(&mut self) {
        let (from, to) = self.range();
        match self.random.u32(0..9) {
            0 => drop(self.input.drain(from..to)),
            1 => self.input.truncate(from),
            2 => {
                let again = self.input[from..to].repeat(self.random.usize(1..9));
                self.insert(to, &again);
            }
            3 => {
                let token = TOKENS[self.random.usize(0..TOKENS.len())];
                self.insert(from, token.as_bytes());
            }
            4 => {
                let token = TOKENS[self.random.usize(0..TOKENS.len())];
                drop(self.input.splice(from..to, token.bytes()));
            }
            5 => {
                let other = self.pick();
                let (start, end) = range(&mut self.random, other.len());
                self.insert(from, &other[start..end]);
            }
            6 => {
                let deep = ["[", "{\"a\":", "- ", "(", "\""][self.random.usize(0..5)].repeat(200);
                self.insert(from, deep.as_bytes());
            }
            7 => {
                // One value in the place of another: keys stay, so that parsers get far.
                let (here, there) = (self.word(), self.word());
                let word = self.input[there.0..there.1].to_vec();
                drop(self.input.splice(here.0..here.1, word));
            }
            _ => {
                let flipped = 1 << self.random.u32(0..8);
                if let Some(byte) = self.input.get_mut(from) {
                    *byte ^= flipped;
                }
            }
        }
    }

    fn insert(&mut self, at: usize, bytes: &[u8]) {
        drop(self.input.splice(at..at, bytes.iter().copied()));
    }

    fn range(&mut self) -> (usize, usize) {
        range(&mut self.random, self.input.len())
    }

    /// From one separator to the next, somewhere.
    fn word(&mut self) -> (usize, usize) {
        let separates = |byte: &u8| matches!(byte, b'"' | b',' | b':' | b' ' | b'\n' | b'=' | b'&' | b';');
        let at = self.range().0;
        let start = self.input[..at].iter().rposition(separates).map_or(0, |place| place + 1);
        let end = self.input[at..].iter().position(separates).map_or(self.input.len(), |length| at + length);
        (start, end)
    }
}

/// Mostly short.
fn range(random: &mut Rng, length: usize) -> (usize, usize) {
    let from = random.usize(0..=length);
    let longest = if random.bool() { 8 } else { length };
    (from, random.usize(from..=length.min(from + longest)))
}
