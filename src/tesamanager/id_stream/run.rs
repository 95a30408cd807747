//! The common case, cut in bulk: plain ids one after another, `"id","id",…`, as any list is for most of its length.
//!
//! Only finds; the parser is the judge. Ids of one list are mostly of one length, so each is first looked for where
//! the one before would end, and all quotes are counted afterwards: were one passed over, the count tells, and the
//! run is searched quote by quote.

use memchr::{memchr, memchr_iter};

use crate::domain::id_list::BETWEEN;

/// How much is looked at together: it stays in the processor's nearest cache while it is read several times.
pub const BLOCK: usize = 8 * 1024;

/// No escape and no control character (which JSON forbids in texts, and which stand between them in lists made for
/// people to read): every quote then begins or ends a text.
pub fn is_plain(block: &[u8]) -> bool {
    // Without an early end, and in bytes rather than truths, so that many are looked at in one step.
    let odd = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'\\');
    block.iter().fold(0, |any, &byte| any | odd(byte)) == 0
}

/// How long the whole number is that `rest` begins with and a comma ends. Others (signed, the last of a list or of
/// a piece) are too rare to matter.
pub fn number(rest: &[u8]) -> Option<usize> {
    let length = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let by_the_grammar = length == 1 || rest[0] != b'0';
    (length > 0 && by_the_grammar && rest[length] == b',').then_some(length)
}

/// Finds runs. Keeps its memory from one to the next.
#[derive(Debug, Default)]
pub struct Runs {
    /// Of the last id.
    length: usize,
    ends: Vec<u32>,
}

impl Runs {
    /// The ids that `plain`, a part of a plain block, begins with: one text with [`BETWEEN`] between them, and where
    /// each ends. After the text comes the last one's closing quote. Answers none where it doesn't begin with
    /// ids, or where they are not UTF-8: whatever it is, someone else must look.
    pub fn find<'a>(&mut self, plain: &'a [u8]) -> Option<(&'a str, &[u32])> {
        let rest = plain.strip_prefix(b"\"")?;
        self.ends.clear();
        self.leap(rest);
        let end = *self.ends.last()? as usize;
        // Two quotes between each, and none within.
        if memchr_iter(b'"', &rest[..end]).count() != 2 * (self.ends.len() - 1) {
            self.ends.clear();
            self.walk(rest);
        }
        let end = *self.ends.last()? as usize;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        Some((text, &self.ends))
    }

    /// Guesses that each id is as long as the one before. May pass over quotes.
    fn leap(&mut self, rest: &[u8]) {
        let mut start = 0;
        loop {
            let mut end = start + self.length;
            let guessed = self.length > 0 && goes_on(rest, end);
            if !guessed {
                match memchr(b'"', &rest[start..]) {
                    Some(length) if length > 0 => self.length = length,
                    _ => return,
                }
                end = start + self.length;
            }
            self.ends.push(end as u32);
            if !guessed && !goes_on(rest, end) {
                return;
            }
            start = end + BETWEEN.len();
        }
    }

    /// Goes from quote to quote.
    fn walk(&mut self, rest: &[u8]) {
        let mut start = 0;
        while let Some(length) = memchr(b'"', &rest[start..]).filter(|&length| length > 0) {
            let end = start + length;
            self.ends.push(end as u32);
            if !goes_on(rest, end) {
                return;
            }
            start = end + BETWEEN.len();
        }
    }
}

/// An id ends here, and another one begins.
fn goes_on(rest: &[u8], end: usize) -> bool {
    rest.get(end..end + BETWEEN.len()) == Some(BETWEEN.as_bytes())
}
