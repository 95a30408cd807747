//! The common case, cut in bulk: ids of one kind one after another, `"id","id",…` or `12,34,…`, as any list is for
//! most of its length.
//!
//! Only finds; the parser is the judge. A run is taken piece by piece: first the places are found where ids may
//! end, then the whole piece is searched for anything that contradicts them. Both look at many bytes in one
//! step, which a walk from id to id can't. A piece that is contradicted is walked through after all, because the run
//! ends somewhere in it.

mod kind;
mod places;

use std::ops::Range;

use kind::{Kind, Numbers, Texts};
use places::{LEAST, Places};

/// How much is looked at together: it stays in the processor's nearest cache while it is read several times.
pub const BLOCK: usize = 16 * 1024;

/// Until a run has so many ids, no more is looked at than these.
const SHORT: usize = 8;

/// No escape and no control character (which JSON forbids in texts, and which stand between them in lists made for
/// people to read): every quote then begins or ends a text.
pub fn is_plain(block: &[u8]) -> bool {
    // Without an early end, and in bytes rather than truths, so that many are looked at in one step.
    let odd = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'\\');
    block.iter().fold(0, |any, &byte| any | odd(byte)) == 0
}

/// Ids one after another.
#[derive(Debug)]
pub struct Run<'a> {
    /// As they stand there, without the first one's opening quote and the last one's closing one.
    pub text: &'a str,
    /// Where each of them ends in it.
    pub ends: &'a [u32],
    /// How many bytes they take, with these quotes.
    pub size: usize,
}

/// Finds runs. Keeps its memory from one to the next.
#[derive(Debug, Default)]
pub struct Runs {
    ends: Places,
    /// How much to take in one piece: twice as much after it went well, and little after it didn't, so that not
    /// much is looked at in vain.
    reach: usize,
}

impl Runs {
    /// The ids that `rest` begins with. None where it doesn't begin with ids, or where they are not UTF-8: whatever
    /// it is, someone else must look. `plain` tells whether all of `rest` is, and is asked only where texts are.
    #[inline]
    pub fn find<'a>(&'a mut self, rest: &'a [u8], plain: impl FnOnce() -> bool) -> Option<Run<'a>> {
        match rest.split_first()? {
            (b'"', texts) if plain() => self.run::<Texts>(texts),
            (b'0'..=b'9', _) => self.run::<Numbers>(rest),
            _ => None,
        }
    }

    fn run<'a, K: Kind>(&'a mut self, rest: &'a [u8]) -> Option<Run<'a>> {
        self.ends.clear();
        if let Some(start) = self.walk::<K>(rest, 0, SHORT) {
            let start = self.pieces::<K>(rest, start);
            self.walk::<K>(rest, start, usize::MAX);
        }
        let ends = self.ends.found();
        let end = *ends.last()? as usize;
        Some(Run {
            text: std::str::from_utf8(&rest[..end]).ok()?,
            ends,
            size: end + K::QUOTES,
        })
    }

    /// Goes from the id at `start` to the next, up to `most` times; answers where one more begins, if one does.
    fn walk<K: Kind>(&mut self, rest: &[u8], mut start: usize, most: usize) -> Option<usize> {
        for _ in 0..most {
            let end = start + K::id(&rest[start..])?;
            self.ends.push(end);
            if !rest[end..].starts_with(K::BETWEEN) {
                return None;
            }
            start = end + K::BETWEEN.len();
        }
        Some(start)
    }

    /// Takes piece after piece from the id at `start` on; answers where one begins that is not taken.
    fn pieces<K: Kind>(&mut self, rest: &[u8], mut start: usize) -> usize {
        while rest.len() - start >= LEAST {
            let size = self.reach.clamp(LEAST, rest.len() - start);
            let piece = start..start + size;
            let next = self
                .leap::<K>(rest, piece.clone())
                .or_else(|| self.scan::<K>(rest, piece));
            let Some(next) = next else {
                self.reach = 0;
                break;
            };
            start = next;
            self.reach = self.reach.max(2 * size).min(BLOCK);
        }
        start
    }

    /// Supposes that all ids of the piece are as long as the last one before it.
    fn leap<K: Kind>(&mut self, rest: &[u8], piece: Range<usize>) -> Option<usize> {
        let known = self.ends.found().len();
        let &[.., before, last] = self.ends.found() else {
            return None;
        };
        let mut ids = rest[piece.clone()].chunks_exact((last - before) as usize);
        let count = ids.len();
        if !ids.all(|id| id.ends_with(K::BETWEEN)) {
            return None;
        }
        self.ends.repeat(last, last - before, count);
        self.confirm::<K>(rest, piece.start, known)
    }

    /// Looks for everything in the piece that could stand between two ids.
    fn scan<K: Kind>(&mut self, rest: &[u8], piece: Range<usize>) -> Option<usize> {
        let known = self.ends.found().len();
        self.ends.find::<K>(rest, piece.clone());
        self.confirm::<K>(rest, piece.start, known)
    }

    /// Keeps what was found beyond the `known` ends if nothing contradicts that the ids from `start` on, which are
    /// not the run's first, end there; answers where the next one begins.
    fn confirm<K: Kind>(&mut self, rest: &[u8], start: usize, known: usize) -> Option<usize> {
        let ends = &self.ends.found()[known..];
        let is_sound = |last: u32| {
            let text = &rest[start - 1..=last as usize];
            are_apart::<K>(start, ends) && K::are_ids(text, ends.len())
        };
        match ends.last() {
            Some(&last) if is_sound(last) => Some(last as usize + K::BETWEEN.len()),
            _ => {
                self.ends.truncate(known);
                None
            }
        }
    }
}

/// None of the ids is empty, and nothing that stands between ids begins within another such thing (`","","`).
fn are_apart<K: Kind>(start: usize, ends: &[u32]) -> bool {
    let close = |pair: &[u32]| u32::from(pair[1] - pair[0] <= K::BETWEEN.len() as u32);
    ends.first().is_some_and(|&end| end as usize > start)
        && ends.windows(2).fold(0, |any, pair| any | close(pair)) == 0
}
