//! Many reference ids in little room, as the list call answers them: a million stand in some 20 MB.
//!
//! An id of its own ([`ReferenceId`]) costs an allocation; it is made where a request is really acted on. Until
//! then ids are slices of one text ([`IdBatch`], [`IdList`]), or their hashes where only membership is asked
//! ([`IdSet`]).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::ids::ReferenceId;

/// A batch would be larger than its 32-bit positions can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch of ids is larger than 4 GiB")]
pub struct Full;

/// Some ids: one text, and where each of them ends in it.
#[derive(Clone, Default)]
pub struct IdBatch {
    text: String,
    ends: Vec<u32>,
}

impl IdBatch {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let end = end as usize;
            // Ends are ascending and lie on characters, so the slice is always there.
            let id = self.text.get(start..end).unwrap_or_default();
            start = end;
            id
        })
    }

    /// Adds one.
    pub fn push(&mut self, id: &str) -> Result<(), Full> {
        let end = u32::try_from(self.text.len() + id.len()).map_err(|_| Full)?;
        self.text.push_str(id);
        self.ends.push(end);
        Ok(())
    }

    /// Makes room for the ids in so many bytes of a list, supposing that they are not very short.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
        self.ends.reserve(bytes / 8);
    }
}

impl std::fmt::Debug for IdBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// As many ids as there are: the batches of a list, kept.
#[derive(Debug, Clone, Default)]
pub struct IdList {
    batches: Vec<IdBatch>,
    len: usize,
}

impl IdList {
    /// Keeps a batch, in no more room than it needs.
    pub fn push(&mut self, mut batch: IdBatch) {
        self.len += batch.len();
        batch.text.shrink_to_fit();
        batch.ends.shrink_to_fit();
        self.batches.push(batch);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ids, in the order of the batches.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.batches.iter().flat_map(IdBatch::iter)
    }

    /// The ids in ascending order, each once. The stores keep their rows in that order, so what is asked and written in it touches
    /// each of their pages once; in the upstream's order (none) a large sweep would go back to each again and again.
    pub fn sorted(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.iter().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// Makes [`ReferenceId`]s of texts, `size` at a time.
pub fn chunks<'a>(
    mut ids: impl Iterator<Item = &'a str>,
    size: usize,
) -> impl Iterator<Item = Vec<ReferenceId>> {
    std::iter::from_fn(move || {
        let chunk: Vec<_> = ids.by_ref().take(size).map(ReferenceId::new).collect();
        Some(chunk).filter(|chunk| !chunk.is_empty())
    })
}

/// A set of ids by their 64-bit hashes: a million of them in 18 MB instead of 100. Among a million, two share a
/// hash with a chance of one in 10^7; the hash is keyed anew for each set, so the next one tells them apart.
#[derive(Debug, Default)]
pub struct IdSet {
    key: RandomState,
    hashes: HashSet<u64>,
}

impl IdSet {
    /// Adds one; was it new?
    pub fn insert(&mut self, id: &str) -> bool {
        self.hashes.insert(self.key.hash_one(id))
    }

    /// It was added.
    pub fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&self.key.hash_one(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str]) -> IdBatch {
        let mut batch = IdBatch::default();
        ids.iter().for_each(|id| batch.push(id).unwrap());
        batch
    }

    #[test]
    fn ids_come_back_as_they_went_in() {
        let ids = ["A", "ñ€😀", "\",\"", "", "\"", "B"];
        assert_eq!(batch(&ids).iter().collect::<Vec<_>>(), ids);
        assert_eq!(batch(&[]).iter().count(), 0);
    }

    #[test]
    fn a_list_comes_sorted_and_cut_in_chunks_across_its_batches() {
        let mut list = IdList::default();
        assert!(list.is_empty() && list.sorted().is_empty());
        for ids in [&["C", "A", "E"][..], &[], &["D", "C", "B"]] {
            list.push(batch(ids));
        }
        assert_eq!(list.len(), 6);
        let sorted = list.sorted();
        assert_eq!(sorted, ["A", "B", "C", "D", "E"]);
        let cut: Vec<Vec<String>> = chunks(sorted.iter().copied(), 2)
            .map(|chunk| chunk.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(cut, [vec!["A", "B"], vec!["C", "D"], vec!["E"]]);
        assert_eq!(chunks(sorted.iter().copied(), 0).count(), 0);
    }

    #[test]
    fn a_set_knows_what_is_new() {
        let mut set = IdSet::default();
        assert!(set.insert("A") && !set.insert("A") && set.insert("B"));
        assert!(set.contains("B") && !set.contains("C"));
    }
}
