//! Alerts and what was told of them. What stands is read from the other tables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::finding::{Attention, FindingState};
use tesa_reconciler::domain::ids::Org;
use tesa_reconciler::domain::{Alert, AlertName, AlertState, AttemptState};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::notices::{Notice, Notices};

use super::{MemoryStore, State};

/// The alert's word, its org and subject.
type Key = (&'static str, Org, String);

#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<Key, Row>,
}

struct Row {
    notice: Notice,
    told: bool,
    next_try: DateTime<Utc>,
}

impl Row {
    fn stands(&self) -> bool {
        self.notice.state == AlertState::Open
    }

    fn is_due(&self, now: DateTime<Utc>) -> bool {
        !(self.stands() && self.told) && self.next_try <= now
    }
}

/// Since when, where that is known, and how many.
struct Standing {
    alert: Alert,
    since: Option<DateTime<Utc>>,
    count: u64,
}

fn key(alert: &Alert) -> Key {
    let (name, subject) = (alert.name().as_str(), alert.subject().to_owned());
    (name, alert.org().clone(), subject)
}

impl State {
    fn standing(&self, wanted: &[AlertName]) -> BTreeMap<Key, Standing> {
        let mut standing: BTreeMap<Key, Standing> = BTreeMap::new();
        let mut count = |alert: Alert, since| {
            let row = standing.entry(key(&alert)).or_insert(Standing {
                alert,
                since,
                count: 0,
            });
            row.count += 1;
        };
        for latch in self.controls.latches.values() {
            let (org, job_name) = (latch.org.clone(), latch.job_name.clone());
            count(Alert::GuardHeld { org, job_name }, Some(latch.since));
        }
        for row in self.attempts.rows.values() {
            if row.attempt.state == AttemptState::NeedsHuman {
                let org = row.attempt.org.clone();
                count(Alert::NeedsHuman { org }, None);
            }
        }
        let findings = self.findings.rows.values().map(|row| &row.finding);
        for finding in findings.filter(|finding| finding.state == FindingState::Open) {
            let (org, kind) = (finding.org.clone(), finding.key.kind);
            if finding.attention == Some(Attention::GivenUp) {
                count(Alert::GivenUp { org: org.clone() }, None);
            }
            count(Alert::NewFindingKind { org, kind }, None);
        }
        standing.retain(|_, row| wanted.contains(&row.alert.name()));
        standing
    }

    fn differs(&self, standing: &BTreeMap<Key, Standing>) -> bool {
        let is_told_so = |(key, now): (&Key, &Standing)| {
            let row = self.notices.rows.get(key).filter(|row| row.stands());
            row.is_some_and(|row| row.notice.count == now.count)
        };
        let mut rows = self.notices.rows.iter();
        !standing.iter().all(is_told_so)
            || rows.any(|(key, row)| row.stands() && !standing.contains_key(key))
    }

    fn keep_notices(&mut self, standing: BTreeMap<Key, Standing>, now: DateTime<Utc>) {
        let rows = &mut self.notices.rows;
        // Nobody was told of it and nobody tried, so there is no end to tell either.
        rows.retain(|key, row| {
            let is_unheard_of = row.stands() && !row.told && row.notice.tries == 0;
            !is_unheard_of || standing.contains_key(key)
        });
        // Not before a delivery that is under way is over: the end must not overtake the beginning.
        for (key, row) in rows.iter_mut() {
            if row.stands() && !standing.contains_key(key) {
                row.notice.state = AlertState::Resolved;
                row.notice.tries = 0;
                row.notice.changed_at = now;
                row.next_try = row.next_try.max(now);
            }
        }
        for (key, stands) in standing {
            let since = stands.since.unwrap_or(now);
            let count = stands.count;
            let Some(row) = rows.get_mut(&key) else {
                let notice = Notice {
                    alert: stands.alert,
                    state: AlertState::Open,
                    since,
                    count,
                    changed_at: now,
                    tries: 0,
                };
                let row = Row {
                    notice,
                    told: false,
                    next_try: now,
                };
                rows.insert(key, row);
                continue;
            };
            row.notice.count = count;
            if row.stands() {
                continue;
            }
            // One that comes back before its end was told, or tried to be told, has never been away for the receiver.
            if row.notice.tries > 0 || !row.told {
                row.notice.since = since;
            }
            row.told &= row.notice.tries == 0;
            row.notice.state = AlertState::Open;
            row.notice.tries = 0;
            row.notice.changed_at = now;
            row.next_try = row.next_try.max(now);
        }
    }
}

#[async_trait]
impl Notices for MemoryStore {
    async fn keep_notices(
        &self,
        wanted: &[AlertName],
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.call(
            "keep_notices",
            |state, _| state.differs(&state.standing(wanted)),
            |state, _| {
                let standing = state.standing(wanted);
                if state.differs(&standing) {
                    state.keep_notices(standing, at);
                }
                Ok(())
            },
        )
        .await
    }

    async fn take_notice(
        &self,
        at: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Notice>, StoreError> {
        self.call(
            "take_notice",
            |state, _| state.notices.rows.values().any(|row| row.is_due(at)),
            |state, _| {
                let due = state.notices.rows.values_mut().filter(|row| row.is_due(at));
                let next = due.min_by_key(|row| (row.next_try, row.notice.changed_at));
                Ok(next.map(|row| {
                    row.next_try = until;
                    row.notice.tries += 1;
                    row.notice.clone()
                }))
            },
        )
        .await
    }

    async fn notice_told(
        &self,
        alert: &Alert,
        state: AlertState,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("notice_told", |all, _| {
            let key = key(alert);
            let Some(row) = all.notices.rows.get_mut(&key) else {
                return Ok(());
            };
            if state == AlertState::Resolved && !row.stands() {
                all.notices.rows.remove(&key);
                return Ok(());
            }
            // It may have come back meanwhile: then the receiver has heard of an end that is none.
            row.told = state == AlertState::Open;
            row.notice.tries = 0;
            row.next_try = at;
            Ok(())
        })
        .await
    }

    async fn postpone_notice(&self, alert: &Alert, until: DateTime<Utc>) -> Result<(), StoreError> {
        self.write("postpone_notice", |state, _| {
            if let Some(row) = state.notices.rows.get_mut(&key(alert)) {
                row.next_try = until;
            }
            Ok(())
        })
        .await
    }

    async fn give_up_notice(&self, alert: &Alert) -> Result<(), StoreError> {
        self.write("give_up_notice", |state, _| {
            let key = key(alert);
            if state
                .notices
                .rows
                .get(&key)
                .is_some_and(|row| !row.stands())
            {
                state.notices.rows.remove(&key);
            }
            Ok(())
        })
        .await
    }

    async fn told_notices(&self) -> Result<Vec<Notice>, StoreError> {
        self.read("told_notices", |state, _| {
            let rows = state.notices.rows.values();
            let told = rows.filter(|row| row.stands() && row.told);
            Ok(told.map(|row| row.notice.clone()).collect())
        })
        .await
    }
}
