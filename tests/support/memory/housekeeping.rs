//! Pruning: which rows go is one function a table, each in a transaction of its own.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::housekeeping::{Housekeeping, Pruned};
use tesa_reconciler::store::runs::RunLease;

use super::{MemoryStore, State};

/// What goes of a table: those older than this, at most so many. `now` is the store's own instant.
struct Cut {
    older_than: DateTime<Utc>,
    batch: usize,
    now: DateTime<Utc>,
}

impl Cut {
    /// Of these, by age, the keys of those that go.
    fn oldest<'a, K: Ord + Clone + 'a>(
        &self,
        rows: impl Iterator<Item = (&'a K, DateTime<Utc>)>,
    ) -> Vec<K> {
        let old = rows.filter(|(_, at)| *at < self.older_than);
        let mut old: Vec<(DateTime<Utc>, &K)> = old.map(|(key, at)| (at, key)).collect();
        old.sort();
        let old = old.into_iter().take(self.batch);
        old.map(|(_, key)| key.clone()).collect()
    }
}

/// Removes them and says how many they were.
fn remove<K: Ord, V>(rows: &mut BTreeMap<K, V>, keys: &[K]) -> u64 {
    for key in keys {
        rows.remove(key);
    }
    keys.len() as u64
}

type Table = fn(&mut State, &Cut, &mut Pruned);

const TABLES: &[Table] = &[
    State::prune_attempts,
    State::prune_runs,
    State::prune_slots,
    State::prune_unrun,
    State::prune_findings,
    State::prune_classes,
    State::prune_contradictions,
    State::prune_acknowledgements,
    State::prune_retries,
    State::prune_duplicates,
    State::prune_observations,
    State::prune_decisions_on_nothing,
    State::prune_looks,
    State::prune_sweeps,
    State::prune_triggers,
    State::prune_audit,
    State::prune_replicas,
];

impl State {
    fn has_live_finding(&self, org: &Org, id: &ReferenceId) -> bool {
        self.findings.about(org, id).any(|row| row.is_live())
    }

    fn prune_attempts(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.attempts.rows.iter().filter(|(_, row)| {
            let attempt = &row.attempt;
            let is_closed = !attempt.state.is_open();
            is_closed && !self.has_live_finding(&attempt.org, &attempt.reference_id)
        });
        let old = cut.oldest(rows.map(|(id, row)| (id, row.attempt.changed_at)));
        pruned.attempts += remove(&mut self.attempts.rows, &old);
    }

    fn prune_runs(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let attempts = self.attempts.rows.values();
        let needed: BTreeSet<_> = attempts.map(|row| row.attempt.run_id).collect();
        let rows = self.runs.rows.iter().filter(|(id, _)| !needed.contains(id));
        let old = cut.oldest(rows.filter_map(|(id, run)| Some((id, run.row.finished_at?))));
        pruned.runs += remove(&mut self.runs.rows, &old);
    }

    fn prune_slots(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.runs.slots.iter().filter(|(_, run)| {
            let run = self.runs.rows.get(run);
            run.is_none_or(|run| run.row.outcome.is_some())
        });
        let old = cut.oldest(rows.map(|(key, _)| (key, key.1)));
        pruned.slots += remove(&mut self.runs.slots, &old);
    }

    fn prune_unrun(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.runs.unrun.iter();
        let old = cut.oldest(rows.map(|(key, &last)| (key, last)));
        pruned.slots += remove(&mut self.runs.unrun, &old);
    }

    /// One that was acknowledged stays as long as that holds: it is by its id that a person takes it back.
    fn prune_findings(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.findings.rows.iter().filter(|(_, row)| {
            let finding = &row.finding;
            !self.acknowledgements.holds_of(&finding.org, &finding.key)
        });
        let resolved = rows.filter_map(|(id, row)| Some((id, row.finding.resolved_at?)));
        let old = cut.oldest(resolved);
        for &id in &old {
            self.findings.remove(id);
        }
        pruned.findings += old.len() as u64;
    }

    fn prune_classes(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let findings = self.findings.rows.values();
        let needed: BTreeSet<_> = findings.filter_map(|row| row.class).collect();
        let rows = self
            .classes
            .rows
            .iter()
            .filter(|(id, _)| !needed.contains(id));
        let old = cut.oldest(rows.map(|(id, class)| (id, class.stored.listed_at)));
        pruned.classes += remove(&mut self.classes.rows, &old);
    }

    fn prune_contradictions(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.claims.rows.iter();
        let old = cut.oldest(rows.map(|(key, row)| (key, row.seen_at)));
        pruned.contradictions += remove(&mut self.claims.rows, &old);
    }

    fn prune_acknowledgements(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.acknowledgements.rows.iter();
        let old = cut.oldest(rows.filter_map(|(id, row)| Some((id, row.ended_at?))));
        pruned.acknowledgements += remove(&mut self.acknowledgements.rows, &old);
    }

    /// Of no use without the attempts that it is about.
    fn prune_retries(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let attempts = self.attempts.rows.values().map(|row| &row.attempt);
        let tried: BTreeSet<_> = attempts
            .map(|row| (row.org.clone(), row.external_reference.clone()))
            .collect();
        let rows = self.orders.retries.keys();
        let rows = rows.filter(|(order, _)| !tried.contains(order));
        let old = cut.oldest(rows.map(|key| (key, key.1)));
        pruned.orders += remove(&mut self.orders.retries, &old);
    }

    /// One stands in the way of its order only until it is final. Before its observation goes, which says so.
    fn prune_duplicates(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let observations = &self.requests.observations;
        let rows = self.orders.duplicates.iter().filter(|(((org, _), id), _)| {
            let seen = observations.get(&(org.clone(), id.clone()));
            seen.is_some_and(|seen| seen.status.is_final() && seen.observed_at < cut.older_than)
        });
        let old = cut.oldest(rows.map(|(key, row)| (key, row.seen_at)));
        pruned.orders += remove(&mut self.orders.duplicates, &old);
    }

    fn prune_observations(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let attempts = self.attempts.rows.values().map(|row| &row.attempt);
        let open: BTreeSet<_> = attempts
            .filter(|row| row.state.is_open())
            .map(|row| (row.org.clone(), row.reference_id.clone()))
            .collect();
        let rows = self.requests.observations.iter().filter(|(key, seen)| {
            let (org, id) = key;
            let is_doubled = seen.external_reference.as_ref().is_some_and(|order| {
                let order = (org.clone(), order.clone());
                self.orders.duplicates.contains_key(&(order, id.clone()))
            });
            let is_done = seen.status.is_final() && !is_doubled && !open.contains(key);
            is_done && !self.has_live_finding(org, id)
        });
        let old = cut.oldest(rows.map(|(key, seen)| (key, seen.observed_at)));
        for (org, id) in &old {
            pruned.decisions += self.forget_decisions(org, id);
        }
        pruned.observations += remove(&mut self.requests.observations, &old);
    }

    /// About requests that could not be read, so that there may be no observation for them to go with.
    fn prune_decisions_on_nothing(&mut self, cut: &Cut, pruned: &mut Pruned) {
        const UNREAD: [&str; 3] = ["not_found", "read_failed", "contract_violation"];
        let requests = &mut self.requests;
        let rows = requests.decisions.iter().filter(|((org, id, _), row)| {
            let key = (org.clone(), id.clone());
            UNREAD.contains(&&*row.verdict) && !requests.observations.contains_key(&key)
        });
        let old = cut.oldest(rows.map(|(key, row)| (key, row.since)));
        pruned.decisions += remove(&mut requests.decisions, &old);
    }

    /// Without its observation a look is of no use: such a request is read again whatever the look says.
    fn prune_looks(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let observations = &self.requests.observations;
        let rows = self.looks.rows.iter().filter(|((org, _, id), _)| {
            let key = (org.clone(), id.clone());
            !observations.contains_key(&key)
        });
        let old = cut.oldest(rows.map(|(key, look)| (key, look.looked_at)));
        pruned.looks += remove(&mut self.looks.rows, &old);
    }

    fn prune_sweeps(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.looks.sweeps.iter();
        let old = cut.oldest(rows.map(|(key, sweep)| (key, sweep.began)));
        pruned.looks += remove(&mut self.looks.sweeps, &old);
    }

    fn prune_triggers(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let rows = self.controls.triggers.iter();
        let answered = rows.filter(|(_, asked)| asked.row.run_id.is_some());
        let old = cut.oldest(answered.map(|(id, asked)| (id, asked.row.requested_at)));
        pruned.triggers += remove(&mut self.controls.triggers, &old);
    }

    fn prune_audit(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let old = cut.oldest(self.audit.rows.iter().map(|(id, row)| (id, row.at)));
        pruned.audit += remove(&mut self.audit.rows, &old);
    }

    /// By the store's clock, as all that is said of heartbeats; a day without one is no pause for breath.
    fn prune_replicas(&mut self, cut: &Cut, pruned: &mut Pruned) {
        let by_own_clock = Cut {
            older_than: cut.now - TimeDelta::days(1),
            ..*cut
        };
        let rows = self.replicas.rows.iter();
        let old = by_own_clock.oldest(rows.map(|(id, row)| (id, row.last_beat)));
        pruned.replicas += remove(&mut self.replicas.rows, &old);
    }
}

#[async_trait]
impl Housekeeping for MemoryStore {
    async fn prune(
        &self,
        lease: &RunLease,
        older_than: DateTime<Utc>,
        batch: u32,
    ) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for table in TABLES {
            self.write("prune", |state, now| {
                state.hold("prune", lease)?;
                let cut = Cut {
                    older_than,
                    batch: batch as usize,
                    now,
                };
                table(state, &cut, &mut pruned);
                Ok(())
            })
            .await?;
        }
        Ok(pruned)
    }

    async fn optimize(&self) -> Result<(), StoreError> {
        self.read("optimize", |_, _| Ok(())).await
    }
}
