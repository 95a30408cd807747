//! The two kinds of ids, texts and whole numbers: what they look like, one by one and many together.

use memchr::{memchr, memchr_iter, memmem};

use crate::domain::id_list::Between;

/// A kind of ids.
pub trait Kind {
    /// What stands between two of them.
    const BETWEEN: &'static [u8];
    /// How many quotes stand around one.
    const QUOTES: usize;

    /// How long the id is that `rest` begins with, if it begins with one that ends within it.
    fn id(rest: &[u8]) -> Option<usize>;

    /// Nothing in `text` contradicts that it is `count` ids, with the byte before the first and the one after the
    /// last. It is given that [`Self::BETWEEN`] stands around each of them (the ends of `text` have the nearest byte
    /// of it), and that none is empty.
    fn are_ids(text: &[u8], count: usize) -> bool;
}

/// Texts without escapes, in plain blocks.
#[derive(Debug)]
pub struct Texts;

impl Kind for Texts {
    const BETWEEN: &'static [u8] = Between::Texts.as_str().as_bytes();
    const QUOTES: usize = 2;

    fn id(rest: &[u8]) -> Option<usize> {
        memchr(b'"', rest).filter(|&length| length > 0)
    }

    /// A quote on either side of each, so none is left to stand within.
    fn are_ids(text: &[u8], count: usize) -> bool {
        memchr_iter(b'"', text).count() == 2 * count
    }
}

/// Whole numbers that a comma follows. Others (signed, the last of a list or of a block) are too rare to matter.
#[derive(Debug)]
pub struct Numbers;

impl Kind for Numbers {
    const BETWEEN: &'static [u8] = Between::Numbers.as_str().as_bytes();
    const QUOTES: usize = 0;

    fn id(rest: &[u8]) -> Option<usize> {
        let length = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        let by_the_grammar = length == 1 || rest[0] != b'0';
        (length > 0 && by_the_grammar && rest[length] == b',').then_some(length)
    }

    /// A comma on either side of each, and digits within; a zero comes first only if it is alone.
    fn are_ids(text: &[u8], count: usize) -> bool {
        let odd = |byte: u8| u8::from(!byte.is_ascii_digit()) & u8::from(byte != b',');
        memchr_iter(b',', text).count() == count + 1
            && text.iter().fold(0, |any, &byte| any | odd(byte)) == 0
            && memmem::find_iter(text, b",0").all(|at| text[at + 2] == b',')
    }
}
