//! What a list names against what is remembered of it: a merge of two ascending streams. Pure.
//!
//! The remembered side comes a page at a time, so that a million ids are compared in the room of one page.

use crate::domain::IdBatch;
use crate::domain::ids::ReferenceId;

/// See the module.
#[derive(Debug)]
pub struct Merge<'a> {
    listed: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
    /// Listed, and not remembered.
    pub new: Vec<ReferenceId>,
    /// Remembered, and not listed.
    pub gone: Vec<ReferenceId>,
}

impl<'a> Merge<'a> {
    /// Begins with all that is listed, in ascending order.
    pub fn new(listed: Vec<&'a str>) -> Self {
        Self {
            listed: listed.into_iter().peekable(),
            new: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The next page of what is remembered, which ascends too.
    pub fn page(&mut self, remembered: &IdBatch) {
        for id in remembered.iter() {
            while let Some(new) = self.listed.next_if(|listed| *listed < id) {
                self.new.push(ReferenceId::new(new));
            }
            if self.listed.next_if(|listed| *listed == id).is_none() {
                self.gone.push(ReferenceId::new(id));
            }
        }
    }

    /// Nothing more is remembered: what is left of the list is new.
    pub fn finish(&mut self) {
        for id in self.listed.by_ref() {
            self.new.push(ReferenceId::new(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(listed: &[&str], pages: &[&[&str]]) -> (Vec<String>, Vec<String>) {
        let mut merge = Merge::new(listed.to_vec());
        for page in pages {
            let mut batch = IdBatch::default();
            for id in *page {
                batch.push(id).unwrap();
            }
            merge.page(&batch);
        }
        merge.finish();
        let texts = |ids: &[ReferenceId]| ids.iter().map(ToString::to_string).collect();
        (texts(&merge.new), texts(&merge.gone))
    }

    #[test]
    fn what_is_on_one_side_only_is_told() {
        type Case<'a> = (
            &'a [&'a str],
            &'a [&'a [&'a str]],
            &'a [&'a str],
            &'a [&'a str],
        );
        let cases: &[Case<'_>] = &[
            (&[], &[], &[], &[]),
            (&["a", "b"], &[], &["a", "b"], &[]),
            (&[], &[&["a"], &["b"]], &[], &["a", "b"]),
            (&["a", "b", "c"], &[&["a", "b"], &["c"]], &[], &[]),
            (
                &["a", "c", "e"],
                &[&["b", "c"], &["d"]],
                &["a", "e"],
                &["b", "d"],
            ),
        ];
        for (listed, pages, new, gone) in cases {
            let (is_new, is_gone) = merged(listed, pages);
            assert_eq!(
                (is_new.as_slice(), is_gone.as_slice()),
                (
                    new.iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .as_slice(),
                    gone.iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .as_slice(),
                )
            );
        }
    }
}
