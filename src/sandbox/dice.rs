//! Chance that can be repeated: every roll follows from the seed and from what it is rolled for.
//!
//! A million requests are not stored but made anew from these rolls whenever one is asked for, so the same
//! question must always get the same roll; a stateful generator could not do that.

/// Rolls for one thing, named by the seed and the parts handed to [`Dice::of`].
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

/// SplitMix64's finaliser: spreads every bit of the input over all of the output.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Folds a text into a number that is the same on every machine and in every version (`DefaultHasher` is not).
pub(super) fn fold(text: &str) -> u64 {
    text.bytes().fold(GOLDEN, |sum, byte| {
        mix(sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
    })
}

impl Dice {
    /// The dice for one thing.
    pub(super) fn of<const N: usize>(seed: u64, parts: [u64; N]) -> Self {
        Self(parts.iter().fold(mix(seed ^ GOLDEN), |sum, part| {
            mix(sum.wrapping_add(GOLDEN) ^ part.wrapping_mul(GOLDEN))
        }))
    }

    /// Sixty-four bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// At least 0, below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in this share of rolls.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.fraction() < share
    }

    /// At least `low`, below `high` (`low`, if that is no range).
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % high.saturating_sub(low).max(1)
    }

    /// One of them, by weight.
    pub(super) fn weighted<T: Clone>(&mut self, choices: &[(T, f64)]) -> Option<T> {
        let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
        let mut left = self.fraction() * total;
        choices
            .iter()
            .find(|(_, weight)| {
                left -= weight;
                left < 0.0
            })
            .or(choices.last())
            .map(|(choice, _)| choice.clone())
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.between(0, choices.len() as u64) as usize)
    }
}

/// A fixed shuffle of `0..len` that needs no table: `i → (a·i + b) mod len`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shuffle {
    len: u64,
    start: u64,
}

impl Shuffle {
    // A prime above any length we take, so it shares no factor with it and the map hits every number once.
    const STEP: u64 = 2_654_435_761;

    pub(super) fn new(len: u32, seed: u64) -> Self {
        let len = u64::from(len);
        Self {
            len,
            start: seed % len.max(1),
        }
    }

    pub(super) fn at(self, place: u32) -> u32 {
        let to = (u64::from(place) * Self::STEP + self.start) % self.len.max(1);
        // Below `len`, which came from a u32.
        to as u32
    }
}

/// Turns an index into the number in a reference id and back: looks random, collides never, needs no table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scramble(pub(super) u32);

const FIRST: u32 = 0x9E37_79B1;
const SECOND: u32 = 0x85EB_CA77;

/// The number that undoes multiplying by an odd one, by Newton's iteration (each step doubles the right bits).
const fn undo(odd: u32) -> u32 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

impl Scramble {
    pub(super) const fn forth(self, index: u32) -> u32 {
        let mut x = (index ^ self.0).wrapping_mul(FIRST);
        x ^= x >> 16;
        x = x.wrapping_mul(SECOND);
        x ^ (x >> 16)
    }

    pub(super) const fn back(self, number: u32) -> u32 {
        let mut x = number ^ (number >> 16);
        x = x.wrapping_mul(undo(SECOND));
        x ^= x >> 16;
        x.wrapping_mul(undo(FIRST)) ^ self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_shuffle_hits_every_number_once() {
        for len in [1, 2, 7, 1000, 4096] {
            let shuffle = Shuffle::new(len, 99);
            let hit: HashSet<u32> = (0..len).map(|place| shuffle.at(place)).collect();
            assert_eq!(hit.len(), len as usize);
            assert!(hit.iter().all(|index| *index < len));
        }
    }

    #[test]
    fn a_scramble_leads_back() {
        let scramble = Scramble(0xDEAD_BEEF);
        for index in [0, 1, 2, 77_777, 999_999, u32::MAX] {
            assert_eq!(scramble.back(scramble.forth(index)), index);
        }
    }

    #[test]
    fn the_same_question_gets_the_same_roll() {
        let roll = |part| Dice::of(7, [part, 3]).bits();
        assert_eq!(roll(1), roll(1));
        assert_ne!(roll(1), roll(2));
    }

    #[test]
    fn weights_are_kept_roughly() {
        let hits = (0..10_000)
            .filter(|n| Dice::of(7, [*n]).weighted(&[("a", 3.0), ("b", 1.0)]) == Some("a"))
            .count();
        assert!((7_200..7_800).contains(&hits), "{hits}");
    }
}
