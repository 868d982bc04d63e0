//! Deterministic draws: the same seed and the same names always give the same outcome, in any order of
//! asking. The world is built on them so that it needs no history and no background task.

use uuid::{Builder, Uuid};

/// One draw, addressed by the seed and everything mixed into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(scramble(seed))
    }

    /// The draw for one member of a numbered set: a slot, a day, a room.
    pub(super) fn number(self, number: i64) -> Self {
        Self(scramble(self.0 ^ scramble(number.cast_unsigned().wrapping_add(GOLDEN))))
    }

    /// The draw for one named thing: a signal, a member, a property of a device.
    pub(super) fn named(self, name: &str) -> Self {
        let hash =
            name.bytes().fold(FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
        Self(scramble(self.0 ^ hash))
    }

    /// A number from 0 up to but not including 1.
    pub(super) fn unit(self) -> f64 {
        f64::from((self.0 >> 32) as u32) / 4_294_967_296.0
    }

    pub(super) fn happens(self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number from `low` up to and including `high`.
    pub(super) fn between(self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.0 % width).unwrap_or(0)
    }

    pub(super) fn pick<T, const N: usize>(self, items: &[T; N]) -> &T {
        let at = usize::try_from(self.0 % u64::try_from(N).unwrap_or(1)).unwrap_or(0);
        items.get(at).expect("a remainder is below its divisor, and no table is empty")
    }

    pub(super) fn guid(self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// `digits` upper-case characters of a serial number.
    pub(super) fn serial(self, digits: usize) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRSTVWXY";
        (0_i64..).take(digits).map(|at| char::from(*self.number(at).pick(ALPHABET))).collect()
    }

    pub(super) fn bytes(self) -> [u8; 16] {
        let halves = u128::from(self.0) << 64 | u128::from(self.named("second half").0);
        halves.to_be_bytes()
    }

    /// The bare number, for generators that want a seed of their own.
    pub(super) fn seed(self) -> u64 {
        self.0
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The finaliser of splitmix64: every input bit reaches every output bit.
fn scramble(input: u64) -> u64 {
    let mut mixed = input.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_gives_the_same_draw() {
        let one = Chance::seeded(1).named("camera").number(7);
        let two = Chance::seeded(1).named("camera").number(7);
        assert_eq!(one.guid(), two.guid());
        assert_ne!(one.guid(), Chance::seeded(2).named("camera").number(7).guid());
        assert_ne!(one.guid(), Chance::seeded(1).named("camera").number(8).guid());
    }

    #[test]
    fn draws_are_spread_evenly() {
        let hits = (0..10_000).filter(|&at| Chance::seeded(3).number(at).happens(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        let sum: i64 = (0..10_000).map(|at| Chance::seeded(3).number(at).between(1, 9)).sum();
        assert!((48_000..52_000).contains(&sum), "{sum}");
    }
}
