//! Classes and contradictions as rows, and ids as one text.
//!
//! A page of ids comes as a JSON array in a single value: a row of its own for each would cost more than all else that is
//! done with it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use sqlx::FromRow;

use super::{Micros, instant, number, word};
use crate::domain::IdBatch;
use crate::domain::ids::ClassId;
use crate::rules::classes::ClassKey;
use crate::store::claims::Contradiction;
use crate::store::classes::StoredClass;
use crate::store::fault::Fault;

/// The ids of a JSON array of texts.
pub(in crate::store) fn id_batch(text: &str) -> Result<IdBatch, Fault> {
    let mut batch = IdBatch::default();
    batch.reserve(text.len());
    serde_json::Deserializer::from_str(text)
        .deserialize_seq(Ids(&mut batch))
        .map_err(|error| Fault::Row(format!("a page of ids: {error}")))?;
    Ok(batch)
}

/// Takes the array's texts over one by one, without a copy of its own for each.
struct Ids<'b>(&'b mut IdBatch);

impl<'de> Visitor<'de> for Ids<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut ids: A) -> Result<(), A::Error> {
        while ids.next_element_seed(Id(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct Id<'b>(&'b mut IdBatch);

impl<'de> DeserializeSeed<'de> for Id<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Id<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<(), E> {
        self.0.push(id).map_err(E::custom)
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct ClassRow {
    id: i64,
    rule: String,
    detail: String,
    evidence: String,
    size: i64,
    listed_at: Micros,
}

impl TryFrom<ClassRow> for StoredClass {
    type Error = Fault;

    fn try_from(row: ClassRow) -> Result<Self, Fault> {
        Ok(Self {
            id: ClassId(row.id),
            key: ClassKey {
                rule: row.rule.into(),
                detail: row.detail,
                evidence: row.evidence,
            },
            size: number("classes.size", row.size)?,
            listed_at: instant("classes.listed_at", row.listed_at)?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(in crate::store) struct ContradictionRow {
    filter: String,
    reference_id: String,
    what: String,
    seen_at: Micros,
}

impl TryFrom<ContradictionRow> for Contradiction {
    type Error = Fault;

    fn try_from(row: ContradictionRow) -> Result<Self, Fault> {
        Ok(Self {
            filter: word("contradictions.filter", &row.filter)?,
            reference_id: row.reference_id.into(),
            what: row.what,
            seen_at: instant("contradictions.seen_at", row.seen_at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_ids_comes_as_it_stands() {
        let ids = |text| id_batch(text).map(|ids| ids.iter().map(str::to_owned).collect());
        let of = |text| -> Vec<String> { ids(text).unwrap() };
        assert_eq!(of("[]"), [] as [&str; 0]);
        assert_eq!(
            of(r#"["A","","ñ€😀", "\",\"","\u0000"]"#),
            ["A", "", "ñ€😀", "\",\"", "\0"]
        );
        for wrong in ["", "[1]", "[null]", "[\"A\"", "{}"] {
            let fault: Result<Vec<String>, Fault> = ids(wrong);
            assert!(matches!(fault, Err(Fault::Row(_))), "{wrong}");
        }
    }
}
