//! The audit: appended to, and listed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::store::audit::{Audit, AuditFilter, AuditRow};
use tesa_reconciler::store::{Actor, Page, StoreError};

use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    last: i64,
    pub(super) rows: BTreeMap<i64, AuditRow>,
}

impl State {
    /// Appends a row within the transaction.
    pub(super) fn note(&mut self, action: &str, subject: &str, actor: &Actor, at: DateTime<Utc>) {
        self.audit.last += 1;
        let row = AuditRow {
            id: self.audit.last,
            at,
            who: actor.who.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: actor.reason.clone(),
        };
        self.audit.rows.insert(row.id, row);
    }
}

/// The newest rows of a page: those below `before` that are wanted.
pub(super) fn page<'a, T: Clone + 'a>(
    rows: impl DoubleEndedIterator<Item = (i64, &'a T)>,
    page: Page,
    wanted: impl Fn(&T) -> bool,
) -> Vec<T> {
    let before = page.before.unwrap_or(i64::MAX);
    rows.rev()
        .filter(|(id, row)| *id < before && wanted(row))
        .take(page.limit as usize)
        .map(|(_, row)| row.clone())
        .collect()
}

#[async_trait]
impl Audit for MemoryStore {
    async fn note(
        &self,
        action: &str,
        subject: &str,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("note", |state, _| {
            state.note(action, subject, actor, now);
            Ok(())
        })
        .await
    }

    async fn audit(&self, filter: &AuditFilter, of: Page) -> Result<Vec<AuditRow>, StoreError> {
        self.read("audit", |state, _| {
            let rows = state.audit.rows.iter().map(|(&id, row)| (id, row));
            Ok(page(rows, of, |row| {
                filter.who.as_ref().is_none_or(|who| *who == row.who)
                    && filter
                        .action
                        .as_ref()
                        .is_none_or(|action| *action == row.action)
                    && filter.since.is_none_or(|since| row.at >= since)
            }))
        })
        .await
    }
}
