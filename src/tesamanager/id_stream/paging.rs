//! What an answer says beside its ids of how many there are and whether they go on elsewhere.
//!
//! The contract knows no pages. An upstream that begins to have them would answer the first one, which looks like a
//! list that lacks most requests: as if they were gone. So the usual words for it are heeded, wherever the usual places
//! are; any other field beside the ids means nothing to us.

use super::parser::Fault;

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// How many ids there are.
    Count,
    /// How many pages there are: this is one.
    PageCount,
    /// There is more, unless it says no. The name is the one to tell.
    More(&'static str),
    /// There is more if it says no.
    Last,
    /// An object with such fields.
    Pages,
}

impl Word {
    /// What the field of this name says; `hasMore`, `has_more` and `has-more` are one name.
    pub fn of(name: &[u8]) -> Option<Self> {
        // Longer than any of them.
        if name.len() > 24 {
            return None;
        }
        let plain = name.iter().filter(|byte| !b"_-".contains(byte));
        let plain: Vec<u8> = plain.map(u8::to_ascii_lowercase).collect();
        Some(match plain.as_slice() {
            b"total" | b"count" | b"totalcount" | b"totalelements" | b"totalitems"
            | b"totalresults" | b"totalrecords" => Self::Count,
            b"totalpages" | b"pagecount" => Self::PageCount,
            b"next" => Self::More("next"),
            b"nextpage" => Self::More("nextPage"),
            b"nextlink" | b"nexturl" => Self::More("nextLink"),
            b"nextcursor" => Self::More("nextCursor"),
            b"nexttoken" | b"nextpagetoken" | b"continuationtoken" => Self::More("nextToken"),
            b"nextoffset" => Self::More("nextOffset"),
            b"hasmore" => Self::More("hasMore"),
            b"hasnext" | b"hasnextpage" => Self::More("hasNext"),
            b"truncated" | b"istruncated" => Self::More("truncated"),
            b"last" | b"islast" | b"lastpage" | b"islastpage" => Self::Last,
            b"page" | b"paging" | b"pagination" | b"meta" | b"metadata" | b"links" => Self::Pages,
            _ => return None,
        })
    }
}

/// What was said so far.
#[derive(Debug, Default)]
pub struct Paging {
    count: u64,
    more: Option<&'static str>,
}

impl Paging {
    /// A field had this value: a text, a whole number as it denotes it, or a word.
    pub fn said(&mut self, word: Word, value: &str) {
        let more = match word {
            Word::Count => {
                self.count = self.count.max(value.parse().unwrap_or(0));
                None
            }
            Word::PageCount => value
                .parse()
                .is_ok_and(|pages: u64| pages > 1)
                .then_some("totalPages"),
            Word::More(name) => {
                (!matches!(value, "" | "null" | "false" | "0" | "-1")).then_some(name)
            }
            Word::Last => (value == "false").then_some("last"),
            Word::Pages => None,
        };
        self.more = self.more.or(more);
    }

    /// Is it all, if it holds so many?
    ///
    /// # Errors
    /// By its own words it isn't.
    pub fn check(&self, held: u64) -> Result<(), Fault> {
        match self.more {
            _ if self.count > held => Err(Fault::Fewer {
                said: self.count,
                held,
            }),
            Some(name) => Err(Fault::More(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
