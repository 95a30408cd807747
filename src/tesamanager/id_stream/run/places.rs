//! Finds what stands between ids, wherever it does, many bytes at a time.
//!
//! A processor compares sixteen bytes and more at once, if nothing is to be decided after each. So a step compares
//! 64 bytes, makes one word of the 64 answers, and only then goes from hit to hit.

use std::ops::Range;

use super::kind::Kind;

/// How many places are tried in one step.
const STEP: usize = 64;

/// The least that a step can look at: what stands between ids is not longer than three bytes.
pub const LEAST: usize = STEP + 2;

/// How many hits a step mostly has at most.
const MOSTLY: usize = 8;

/// Places, in ascending order.
#[derive(Debug, Default)]
pub struct Places {
    /// Those found, and room for more.
    room: Vec<u32>,
    found: usize,
}

impl Places {
    pub fn found(&self) -> &[u32] {
        &self.room[..self.found]
    }

    /// Forgets all, but not the room for them.
    pub fn clear(&mut self) {
        self.found = 0;
    }

    /// Forgets all but the first.
    pub fn truncate(&mut self, first: usize) {
        self.found = self.found.min(first);
    }

    pub fn push(&mut self, place: usize) {
        self.room(1)[0] = place as u32;
        self.found += 1;
    }

    /// Adds `count` places, the first of them `pitch` after `place`, and so on.
    pub fn repeat(&mut self, mut place: u32, pitch: u32, count: usize) {
        for free in &mut self.room(count)[..count] {
            place += pitch;
            *free = place;
        }
        self.found += count;
    }

    /// Adds where in a part of `text` [`Kind::BETWEEN`] stands, overlapping or not. Less than [`LEAST`] bytes at the
    /// part's end are not looked at.
    pub fn find<K: Kind>(&mut self, text: &[u8], part: Range<usize>) {
        let mut place = part.start as u32;
        let mut rest = &text[part];
        while let Some(window) = rest.first_chunk() {
            self.add(place, Hits::of::<K>(window));
            place += STEP as u32;
            rest = &rest[STEP..];
        }
    }

    /// Adds a place for each hit of a step that began at `place`.
    fn add(&mut self, place: u32, Hits { count, mut bits }: Hits) {
        let mut next = || {
            let at = place + bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            at
        };
        // Some are written whether there are so many or not: cheaper than to guess each time how many there are.
        let (some, more) = self.room(STEP).split_at_mut(MOSTLY);
        some.fill_with(&mut next);
        let more = more.iter_mut().take(count.saturating_sub(MOSTLY));
        more.for_each(|free| *free = next());
        self.found += count;
    }

    /// At least so much, behind what was found.
    fn room(&mut self, least: usize) -> &mut [u32] {
        if self.room.len() - self.found < least {
            self.room.resize(2 * self.found + least, 0);
        }
        &mut self.room[self.found..]
    }
}

/// What a step found.
struct Hits {
    /// How many.
    count: usize,
    /// A bit for each place, the lowest for the first.
    bits: u64,
}

impl Hits {
    /// The first places in `text` where [`Kind::BETWEEN`] stands.
    fn of<K: Kind>(text: &[u8; LEAST]) -> Self {
        let mut hits = [1; STEP];
        for (offset, &byte) in K::BETWEEN.iter().enumerate() {
            for (at, hit) in hits.iter_mut().enumerate() {
                *hit &= u8::from(text[at + offset] == byte);
            }
        }
        let (eights, _) = hits.as_chunks();
        let eights = eights.iter().zip((0..STEP).step_by(8));
        Self {
            count: hits.iter().sum::<u8>().into(),
            bits: eights.fold(0, |bits, (&eight, shift)| bits | gather(eight) << shift),
        }
    }
}

/// The lowest bit of each byte, in one byte.
fn gather(bytes: [u8; 8]) -> u64 {
    // Multiplying moves each of them to where it shall be in the highest byte; none meet, there or below.
    u64::from_le_bytes(bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Numbers, Texts};
    use super::*;
    use proptest::prelude::*;

    /// The same, place by place.
    fn one_by_one<K: Kind>(text: &[u8], part: Range<usize>) -> Vec<u32> {
        let steps = (part.len() + STEP).saturating_sub(LEAST) / STEP;
        (part.start..part.start + steps * STEP)
            .filter(|&place| text[place..].starts_with(K::BETWEEN))
            .map(|place| place as u32)
            .collect()
    }

    fn found<K: Kind>(text: &[u8], part: Range<usize>) -> Vec<u32> {
        let mut places = Places::default();
        places.push(7);
        places.find::<K>(text, part);
        assert_eq!(places.found()[0], 7);
        places.found()[1..].to_vec()
    }

    #[test]
    fn places_are_kept_until_they_are_forgotten() {
        let mut places = Places::default();
        places.push(3);
        places.repeat(3, 4, 3);
        assert_eq!(places.found(), [3, 7, 11, 15]);
        places.truncate(2);
        places.truncate(9);
        assert_eq!(places.found(), [3, 7]);
        places.clear();
        assert!(places.found().is_empty());
    }

    proptest! {
        #[test]
        fn all_places_are_found_wherever_they_are(
            text in "[\",]{0,300}|[\",A-Z]{0,300}|([A-Z]{0,20}\",\"){0,20}",
            start in any::<prop::sample::Index>(),
        ) {
            let part = start.index(text.len() + 1)..text.len();
            let text = text.as_bytes();
            prop_assert_eq!(found::<Texts>(text, part.clone()), one_by_one::<Texts>(text, part.clone()));
            prop_assert_eq!(found::<Numbers>(text, part.clone()), one_by_one::<Numbers>(text, part));
        }
    }
}
