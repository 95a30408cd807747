//! Which store this is: its id, and the mark that survives what empties the rest.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::store::identity::{Doubt, Identity};
use tesa_reconciler::store::{Actor, StoreError};

use super::MemoryStore;

#[derive(Default)]
pub(super) struct Table {
    id: Option<String>,
    mark: Option<String>,
}

impl Table {
    /// Of a new store.
    pub(super) fn marked(id: String) -> Self {
        Self {
            mark: Some(id.clone()),
            id: Some(id),
        }
    }

    /// What is left when all rows are gone.
    pub(super) fn emptied(&self) -> Self {
        Self {
            id: None,
            mark: self.mark.clone(),
        }
    }

    fn doubt(&self) -> Option<Doubt> {
        if self.mark.is_none() {
            Some(Doubt::Unmarked)
        } else {
            (self.id != self.mark).then_some(Doubt::Emptied)
        }
    }
}

#[async_trait]
impl Identity for MemoryStore {
    async fn doubt(&self) -> Result<Option<Doubt>, StoreError> {
        self.read("doubt", |state, _| Ok(state.identity.doubt()))
            .await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        // Memory is at home where it is.
        Ok(())
    }

    async fn adopt(&self, actor: &Actor, now: DateTime<Utc>) -> Result<Option<Doubt>, StoreError> {
        let made = self.server.clock.uuid().to_string();
        self.write("adopt", |state, _| {
            let Some(doubt) = state.identity.doubt() else {
                return Ok(None);
            };
            let id = state.identity.id.clone().unwrap_or(made);
            state.identity = Table::marked(id);
            state.note("adopt", "store", actor, now);
            Ok(Some(doubt))
        })
        .await
    }
}
