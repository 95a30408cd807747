//! Contradictions between reads and lists.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tesa_reconciler::domain::Filter;
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::claims::{Claims, Contradiction};
use tesa_reconciler::store::runs::RunLease;

use super::MemoryStore;

#[derive(Default)]
pub(super) struct Table {
    /// By org, the filter's word and request.
    pub(super) rows: BTreeMap<(Org, &'static str, ReferenceId), Contradiction>,
}

#[async_trait]
impl Claims for MemoryStore {
    async fn contradictions(&self, org: &Org) -> Result<Vec<Contradiction>, StoreError> {
        self.read("contradictions", |state, _| {
            let rows = state.claims.rows.iter();
            let of_org = rows.filter(|((of, ..), _)| of == org);
            Ok(of_org.map(|(_, row)| row.clone()).collect())
        })
        .await
    }

    async fn note_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        found: &[Contradiction],
    ) -> Result<(), StoreError> {
        self.write("note_contradictions", |state, _| {
            state.hold("note_contradictions", lease)?;
            for one in found {
                let key = (org.clone(), one.filter.as_str(), one.reference_id.clone());
                let row = state.claims.rows.entry(key).or_insert_with(|| one.clone());
                if one.seen_at >= row.seen_at {
                    *row = one.clone();
                }
            }
            Ok(())
        })
        .await
    }

    async fn forget_contradictions(
        &self,
        lease: &RunLease,
        org: &Org,
        filter: Filter,
        ids: &[ReferenceId],
    ) -> Result<(), StoreError> {
        self.write("forget_contradictions", |state, _| {
            state.hold("forget_contradictions", lease)?;
            for id in ids {
                let key = (org.clone(), filter.as_str(), id.clone());
                state.claims.rows.remove(&key);
            }
            Ok(())
        })
        .await
    }
}
