//! Runs, their leases, and the slots. Beats are told by the store's clock, and so is what lies ahead of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::RunOutcome;
use tesa_reconciler::domain::ids::{JobName, Org, RunId};
use tesa_reconciler::domain::run::{Mode, SlotResult};
use tesa_reconciler::store::controls::subject;
use tesa_reconciler::store::runs::{
    CLOCKS_DIFFER_BY, LastRuns, NewRun, RunFilter, RunLease, RunRow, RunSummary, Runs, SET_BACK,
    Started, UnrunSlots, memory_was_ahead,
};
use tesa_reconciler::store::{Page, StoreError};

use super::audit::page;
use super::{MemoryStore, State};

type JobOfOrg = (JobName, Org);

#[derive(Default)]
pub(super) struct Table {
    last: i64,
    /// Fencing tokens only ever grow.
    token: i64,
    pub(super) rows: BTreeMap<RunId, Run>,
    pub(super) slots: BTreeMap<(JobOfOrg, DateTime<Utc>), RunId>,
    /// By job and org, why, and the first of the stretch.
    pub(super) unrun: BTreeMap<(JobOfOrg, SlotResult, DateTime<Utc>), DateTime<Utc>>,
    /// What is known of a job and org however much is pruned.
    memory: BTreeMap<JobOfOrg, Memory>,
}

pub(super) struct Run {
    pub(super) row: RunRow,
    token: i64,
    last_beat: DateTime<Utc>,
}

#[derive(Default)]
struct Memory {
    last_slot: Option<DateTime<Utc>>,
    last_started: Option<DateTime<Utc>>,
    last_outcome: Option<RunOutcome>,
    last_success: Option<DateTime<Utc>>,
}

fn fenced(operation: &'static str, lease: &RunLease) -> StoreError {
    StoreError::Fenced {
        operation,
        token: lease.token,
    }
}

impl Table {
    /// The run, if it goes on under this lease.
    fn held(&mut self, lease: &RunLease) -> Option<&mut Run> {
        let run = self.rows.get_mut(&lease.run_id)?;
        (run.token == lease.token && run.row.outcome.is_none()).then_some(run)
    }

    /// The slot is accounted for. Deduplicated says only that another had it, so it accounts for nothing by itself.
    fn is_taken(&self, job: &JobOfOrg, slot: DateTime<Utc>) -> bool {
        let unrun = self.unrun.iter().any(|((of, result, first), last)| {
            of == job && *result != SlotResult::Deduplicated && *first <= slot && *last >= slot
        });
        unrun || self.slots.contains_key(&(job.clone(), slot))
    }

    fn advance_last_slot(&mut self, job: JobOfOrg, slot: DateTime<Utc>) {
        let memory = self.memory.entry(job).or_default();
        memory.last_slot = memory.last_slot.max(Some(slot));
    }

    fn end(&mut self, id: RunId, outcome: RunOutcome, now: DateTime<Utc>) {
        let Some(run) = self.rows.get_mut(&id) else {
            return;
        };
        run.row.outcome = Some(outcome);
        run.row.finished_at = Some(now);
        let job = (run.row.job_name.clone(), run.row.org.clone());
        if let Some(memory) = self.memory.get_mut(&job) {
            memory.last_outcome = Some(outcome);
            if outcome.did_its_duty() {
                memory.last_success = Some(now);
            }
        }
    }
}

impl State {
    /// First in every transaction in which a run writes: refuses it when the run was taken away.
    pub(super) fn hold(
        &mut self,
        operation: &'static str,
        lease: &RunLease,
    ) -> Result<(), StoreError> {
        let held = self.runs.held(lease);
        held.map(drop).ok_or_else(|| fenced(operation, lease))
    }
}

fn is_wanted(filter: &RunFilter, row: &RunRow) -> bool {
    let (job, outcome) = (filter.job_name.as_ref(), filter.outcome);
    job.is_none_or(|job| *job == row.job_name)
        && filter.org.as_ref().is_none_or(|org| *org == row.org)
        && outcome.is_none_or(|outcome| Some(outcome) == row.outcome)
        && filter.since.is_none_or(|since| row.started_at >= since)
        && filter.until.is_none_or(|until| row.started_at < until)
}

#[async_trait]
impl Runs for MemoryStore {
    async fn start(&self, run: &NewRun, at: DateTime<Utc>) -> Result<Started, StoreError> {
        self.write("start", |state, now| {
            let runs = &mut state.runs;
            let job = (run.job_name.clone(), run.org.clone());
            if run.slot.is_some_and(|slot| runs.is_taken(&job, slot)) {
                return Ok(Started::SlotTaken);
            }
            let same = |of: &RunRow| of.job_name == run.job_name && of.org == run.org;
            let going_on = |of: &&Run| of.row.outcome.is_none() && same(&of.row);
            if let Some(running) = runs.rows.values().find(going_on) {
                return Ok(Started::AlreadyRunning(running.row.id));
            }
            runs.last += 1;
            runs.token += 1;
            let lease = RunLease {
                run_id: RunId(runs.last),
                token: runs.token,
            };
            let row = RunRow {
                id: lease.run_id,
                job_name: run.job_name.clone(),
                org: run.org.clone(),
                trigger: run.trigger,
                slot: run.slot,
                replica: run.replica.as_str().to_owned(),
                mode: run.mode,
                actor: run.actor.who.clone(),
                started_at: at,
                finished_at: None,
                outcome: None,
                summary: RunSummary::default(),
            };
            let started = Run {
                row,
                token: lease.token,
                last_beat: now,
            };
            runs.rows.insert(lease.run_id, started);
            runs.memory.entry(job.clone()).or_default().last_started = Some(at);
            if let Some(slot) = run.slot {
                runs.slots.insert((job.clone(), slot), lease.run_id);
                runs.advance_last_slot(job, slot);
            }
            Ok(Started::Yes(lease))
        })
        .await
    }

    async fn beat(&self, lease: &RunLease, _now: DateTime<Utc>) -> Result<(), StoreError> {
        self.write("beat", |state, now| {
            let run = state.runs.held(lease);
            run.ok_or_else(|| fenced("beat", lease))?.last_beat = now;
            Ok(())
        })
        .await
    }

    async fn finish(
        &self,
        lease: &RunLease,
        outcome: RunOutcome,
        summary: &RunSummary,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("finish", |state, _| {
            let runs = &mut state.runs;
            if let Some(run) = runs.held(lease) {
                run.row.summary = summary.clone();
                runs.end(lease.run_id, outcome, at);
                return Ok(());
            }
            // This very end may have been committed by an earlier call whose answer was lost.
            let before = runs.rows.get(&lease.run_id);
            let before = before.filter(|run| run.token == lease.token);
            let is_same = before.and_then(|run| run.row.outcome) == Some(outcome);
            is_same.then_some(()).ok_or_else(|| fenced("finish", lease))
        })
        .await
    }

    async fn reap_lost(
        &self,
        beat_before: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    ) -> Result<Vec<RunRow>, StoreError> {
        let age = beat_before.map(|before| at - before);
        self.write("reap_lost", |state, now| {
            let runs = &mut state.runs;
            let is_lost = |run: &&Run| {
                let is_silent = age.is_none_or(|age| run.last_beat < now - age);
                run.row.outcome.is_none() && is_silent
            };
            let lost = runs.rows.values().filter(is_lost);
            let lost: Vec<RunId> = lost.map(|run| run.row.id).collect();
            for &id in &lost {
                runs.end(id, RunOutcome::Lost, at);
            }
            Ok(lost.iter().map(|id| runs.rows[id].row.clone()).collect())
        })
        .await
    }

    async fn record_unrun(
        &self,
        slots: &UnrunSlots,
        _now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("record_unrun", |state, _| {
            let runs = &mut state.runs;
            let job = (slots.job_name.clone(), slots.org.clone());
            // A single slot that did run, after all, is not also skipped; a longer stretch stays a stretch.
            let ran = runs.slots.contains_key(&(job.clone(), slots.first));
            if slots.first < slots.last || slots.result == SlotResult::Deduplicated || !ran {
                let stretch = (job.clone(), slots.result, slots.first);
                let last = runs.unrun.entry(stretch).or_insert(slots.last);
                *last = slots.last.max(*last);
            }
            runs.advance_last_slot(job, slots.last);
            Ok(())
        })
        .await
    }

    async fn last_slot(
        &self,
        job: &JobName,
        org: &Org,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read("last_slot", |state, _| {
            let memory = state.runs.memory.get(&(job.clone(), org.clone()));
            Ok(memory.and_then(|memory| memory.last_slot))
        })
        .await
    }

    async fn set_back(
        &self,
        job: &JobName,
        org: &Org,
        at: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.write("set_back", |state, now| {
            let of = (job.clone(), org.clone());
            let runs = &mut state.runs;
            let Some(memory) = runs.memory.get_mut(&of) else {
                return Ok(None);
            };
            let reached = memory.last_slot;
            let Some(reached) = reached.filter(|&slot| slot > now + CLOCKS_DIFFER_BY) else {
                return Ok(None);
            };
            runs.slots
                .retain(|(job, slot), _| *job != of || *slot <= now);
            runs.unrun
                .retain(|(job, ..), last| *job != of || *last <= now);
            let ran = runs.slots.keys().filter(|(job, _)| *job == of);
            let unrun = runs
                .unrun
                .iter()
                .filter(|((job, result, _), _)| *job == of && *result != SlotResult::Deduplicated);
            let left = ran.map(|&(_, slot)| slot);
            memory.last_slot = left.chain(unrun.map(|(_, &last)| last)).max();
            let why = memory_was_ahead(reached);
            state.note(SET_BACK, &subject(job, org), &why, at);
            Ok(Some(reached))
        })
        .await
    }

    async fn runs(&self, filter: &RunFilter, of: Page) -> Result<Vec<RunRow>, StoreError> {
        self.read("runs", |state, _| {
            let rows = state.runs.rows.iter().map(|(id, run)| (id.0, &run.row));
            Ok(page(rows, of, |row| is_wanted(filter, row)))
        })
        .await
    }

    async fn count_runs(&self, filter: &RunFilter) -> Result<u64, StoreError> {
        self.read("count_runs", |state, _| {
            let rows = state.runs.rows.values().map(|run| &run.row);
            Ok(rows.filter(|row| is_wanted(filter, row)).count() as u64)
        })
        .await
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError> {
        self.read("run", |state, _| {
            Ok(state.runs.rows.get(&id).map(|run| run.row.clone()))
        })
        .await
    }

    async fn writable_since(
        &self,
        job: &JobName,
        org: &Org,
        run: RunId,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read("writable_since", |state, _| {
            let rows = state.runs.rows.range(..=run).map(|(_, run)| &run.row);
            let mut own = rows.filter(|row| row.job_name == *job && row.org == *org);
            let first = own.clone().next();
            let observing = |row: &&RunRow| row.mode == Mode::Observe && row.id < run;
            Ok(own.rfind(observing).or(first).map(|row| row.started_at))
        })
        .await
    }

    async fn last_runs(&self) -> Result<Vec<LastRuns>, StoreError> {
        self.read("last_runs", |state, _| {
            let memory = state.runs.memory.iter();
            let last = memory.filter_map(|((job, org), memory)| {
                Some(LastRuns {
                    job_name: job.clone(),
                    org: org.clone(),
                    last_started: memory.last_started?,
                    last_outcome: memory.last_outcome,
                    last_success: memory.last_success,
                })
            });
            Ok(last.collect())
        })
        .await
    }
}
