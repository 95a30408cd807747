//! The audit: appended to, and listed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::store::audit::{ACTIONS, Audit, AuditFilter, AuditRow};
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
        assert!(ACTIONS.contains(&action), "nobody can ask for {action}");
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

fn is_wanted(filter: &AuditFilter, row: &AuditRow) -> bool {
    let action = filter.action.as_ref();
    filter.who.as_ref().is_none_or(|who| *who == row.who)
        && action.is_none_or(|action| *action == row.action)
        && filter.since.is_none_or(|since| row.at >= since)
        && filter.until.is_none_or(|until| row.at < until)
}

/// One of the references begins so, in any case.
pub(super) fn begins(beginning: &str, id: &str, order: Option<&str>) -> bool {
    let beginning = beginning.to_ascii_lowercase();
    let begins = |text: &str| text.to_ascii_lowercase().starts_with(&beginning);
    begins(id) || order.is_some_and(begins)
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
            Ok(page(rows, of, |row| is_wanted(filter, row)))
        })
        .await
    }

    async fn count_audit(&self, filter: &AuditFilter) -> Result<u64, StoreError> {
        self.read("count_audit", |state, _| {
            let rows = state.audit.rows.values();
            Ok(rows.filter(|row| is_wanted(filter, row)).count() as u64)
        })
        .await
    }
}
