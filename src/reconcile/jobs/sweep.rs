//! Which requests changed since the last sweep: two list calls instead of a read for each request.
//!
//! *All* minus *not updated since the last sweep* is exactly what changed. The invariant is that every look in the
//! store was still true when the last sweep began. A sweep keeps it by forgetting the looks of all that changed
//! *before* it reads anything, and only then calling itself the last sweep: so it may break off anywhere (a
//! time-out, a drain, a crash), and the next one reads just what this one did not get to. A first sweep of a large
//! backlog that takes longer than a run may last gets through it in several runs.
//!
//! What did not change is not read, and mostly not even decided on: a look remembers when its decision is to be made
//! again although nothing changed (a rule's age is reached, a pause or a backoff may be over). After a change of the rules
//! every decision is.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::id_list;
use crate::domain::ids::ReferenceId;
use crate::domain::run::Mode;
use crate::domain::{Filter, IdList};
use crate::reconcile::claims::Checked;
use crate::reconcile::claims::gone::By;
use crate::reconcile::clocks;
use crate::reconcile::plan::Item;
use crate::reconcile::reads::Reads;
use crate::reconcile::select::algebra;
use crate::reconcile::select::merge::Merge;
use crate::reconcile::survey::{CHUNK, Survey, SurveyError};
use crate::rules::next_age;
use crate::store::findings::FindingChanges;
use crate::store::looks::{Look, LookMark};
use crate::store::runs::RunLease;
use crate::tesamanager::ListFilter;

/// Looks of a page.
const PAGE: u32 = 10_000;

/// Whom a sweep is about.
pub(super) struct Sweep {
    /// Every id that the job is about, as listed.
    all: IdList,
    /// Those to read.
    pub to_read: Vec<ReferenceId>,
    /// Those that did not change, and were looked at; in ascending order.
    standing: Vec<ReferenceId>,
    /// What a look at the list's claims brought.
    pub checked: Checked,
}

impl Sweep {
    /// How many the job is about.
    pub(super) fn selected(&self) -> usize {
        self.all.len()
    }

    /// What was looked at did not change, and the job is still about it.
    pub(super) fn stands(&self, look: &Look) -> bool {
        self.standing.binary_search(&look.reference_id).is_ok()
    }

    /// How many did not change, and were looked at.
    pub(super) fn unchanged(&self) -> u64 {
        self.standing.len() as u64
    }
}

impl Survey<'_> {
    /// Lists everything that `filter` selects, and tells what must be read. Final requests are not looked at again.
    pub(super) async fn sweep(
        &self,
        filter: ListFilter,
        finals: &[&str],
    ) -> Result<Sweep, SurveyError> {
        let last = self
            .store
            .last_sweep(self.context.org, &self.job.name)
            .await?;
        // First, because its answer tells how far the clocks are apart, which the second question must allow for.
        let mut all = IdList::default();
        self.list(&filter, |batch| all.push(batch)).await?;
        let mut unchanged = IdList::default();
        let mut checked = Checked::default();
        // Where that is not to be had, everything is read.
        let can_tell = !self.unsupported.contains(&Filter::NotUpdatedSince);
        if let Some(last) = last.as_ref().filter(|_| can_tell) {
            let since = last.began - self.clock_margin();
            let filter = ListFilter {
                not_updated_since: Some(since),
                ..filter.clone()
            };
            self.list(&filter, |batch| unchanged.push(batch)).await?;
            if self.lease.is_some() {
                let age = (self.context.now - since).to_std().unwrap_or_default();
                checked = self
                    .check_unchanged(age, &all.sorted(), &unchanged.sorted())
                    .await?;
            }
        }
        let (sorted, unchanged) = (all.sorted(), unchanged.sorted());
        let looked = self.looked_at(&sorted, &unchanged, finals).await?;
        let to_read: Vec<ReferenceId> = algebra::minus(&sorted, &as_texts(&looked))
            .into_iter()
            .map(ReferenceId::new)
            .collect();
        if let Some(lease) = self.lease {
            self.forget_changed(lease, &algebra::minus(&sorted, &unchanged))
                .await?;
        }
        Ok(Sweep {
            to_read,
            standing: looked,
            all,
            checked,
        })
    }

    /// Those that were looked at, did not change since, and are not due to be looked at again; in ascending order.
    async fn looked_at(
        &self,
        all: &[&str],
        unchanged: &[&str],
        finals: &[&str],
    ) -> Result<Vec<ReferenceId>, SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let mut looked = Vec::new();
        let mut after: Option<String> = None;
        loop {
            self.check_stop()?;
            let page = self
                .store
                .look_marks(org, job, after.as_deref(), PAGE)
                .await?;
            let full = page.len() == PAGE as usize;
            after = page.last().map(|mark| mark.reference_id.to_string());
            looked.extend(
                page.into_iter()
                    .filter(|mark| self.holds(mark, finals))
                    .map(|mark| mark.reference_id),
            );
            if !full {
                break;
            }
        }
        let known = algebra::both(&algebra::both(&as_texts(&looked), unchanged), all);
        Ok(known.into_iter().map(ReferenceId::new).collect())
    }

    fn holds(&self, mark: &LookMark, finals: &[&str]) -> bool {
        let id = mark.reference_id.as_str();
        let (every, now) = (self.job.reobserve_every, self.context.now);
        !is_due_again(id, mark.looked_at, every, now)
            || (mark.looked_at <= now && algebra::contains(finals, id))
    }

    /// See the module: what changed is forgotten first, then this sweep is the last one. What changes between the
    /// two list calls counts as changed, and once more in the next sweep, which asks from an instant before this one
    /// began.
    async fn forget_changed(&self, lease: &RunLease, changed: &[&str]) -> Result<(), SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        for ids in id_list::chunks(changed.iter().copied(), CHUNK) {
            self.store.forget_looks(lease, org, job, &ids).await?;
        }
        // What changes from now on is stamped by the upstream's clock, and may be asked for when that has been set
        // right: so its distance now is part of what is remembered.
        let began = self.context.now - clocks::apart(self.api.clocks_apart());
        let rules = self.fingerprint();
        Ok(self
            .store
            .begin_sweep(lease, org, job, began, &rules)
            .await?)
    }

    /// What tells one set of rules from another.
    fn fingerprint(&self) -> String {
        let mode: Mode = self.context.writes.mode;
        let said = format!(
            "{mode} {:?} {:?}",
            self.context.rules, self.job.event_checks
        );
        format!("{:016x}", fnv(&said))
    }

    /// Looks whose decisions are to be made again, a page at a time; of these only those that [stand](Sweep::stands). A plan tells every
    /// decision, so it makes all of them again.
    pub(super) async fn due(
        &self,
        sweep: &Sweep,
        after: Option<&ReferenceId>,
    ) -> Result<Vec<Look>, SurveyError> {
        let (org, job, now) = (self.context.org, &self.job.name, self.context.now);
        let after = after.map(ReferenceId::as_str);
        let limit = u32::try_from(CHUNK).unwrap_or(u32::MAX);
        if self.lease.is_none() {
            let from = sweep
                .standing
                .partition_point(|id| after.is_some_and(|after| id.as_str() <= after));
            let ids: Vec<ReferenceId> =
                sweep.standing[from..].iter().take(CHUNK).cloned().collect();
            let mut looks = self.store.looks(org, job, &ids).await?;
            looks.sort_by(|a, b| a.reference_id.cmp(&b.reference_id));
            return Ok(looks);
        }
        let due = self.store.looks_due(org, job, now, after, limit).await?;
        Ok(due)
    }

    /// What was in order and still is: a plan tells of it, a run need not.
    pub(super) fn told_anew(&self, in_order: Vec<ReferenceId>) -> Vec<ReferenceId> {
        match self.lease {
            Some(_) => vec![],
            None => in_order,
        }
    }

    /// When the decision about a request is to be made again although nothing changed.
    pub(super) fn again(&self, item: &Item) -> Option<DateTime<Utc>> {
        let request = item.request.as_ref().filter(|_| item.lasts);
        match request {
            Some(request) => next_age(self.context.rules, request, self.context.now),
            None => Some(self.context.now),
        }
    }

    /// Remembers the looks that were made, and that `failed` are to be looked at again.
    pub(in crate::reconcile) async fn remember_looks(
        &self,
        looks: &[Look],
        again: &[(ReferenceId, Option<DateTime<Utc>>)],
        failed: &[ReferenceId],
    ) -> Result<(), SurveyError> {
        let Some(lease) = self.lease else {
            return Ok(());
        };
        let (org, job) = (self.context.org, &self.job.name);
        if !looks.is_empty() {
            self.store.remember_looks(lease, org, job, looks).await?;
        }
        if !again.is_empty() {
            self.store.look_again(lease, org, job, again).await?;
        }
        if !failed.is_empty() {
            self.store.forget_looks(lease, org, job, failed).await?;
        }
        Ok(())
    }

    /// What becomes of the job's findings of requests that it is no longer about.
    pub(super) async fn settle_departed(
        &self,
        sweep: &Sweep,
        by: &By<'_>,
    ) -> Result<Reads, SurveyError> {
        let Some(lease) = self.lease else {
            return Ok(Reads::default());
        };
        let (org, job, now) = (self.context.org, &self.job.name, self.context.now);
        let mut merge = Merge::new(sweep.all.sorted());
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .classless_members(org, job, after.as_deref(), PAGE)
                .await?;
            merge.page(&page);
            after = page.iter().last().map(str::to_owned);
            if page.len() < PAGE as usize {
                break;
            }
        }
        let mut reads = Reads::default();
        if !merge.gone.is_empty() {
            let changes = self.settle_gone(&merge.gone, by, false, &mut reads).await?;
            self.store
                .apply_findings(lease, org, job, &changes, now)
                .await?;
        }
        let changes = FindingChanges {
            back: self.back(&merge.gone, false).await?,
            ..FindingChanges::default()
        };
        if !changes.back.is_empty() {
            self.store
                .apply_findings(lease, org, job, &changes, now)
                .await?;
        }
        Ok(reads)
    }
}

/// FNV-1a: the same in every process and version.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn as_texts(ids: &[ReferenceId]) -> Vec<&str> {
    ids.iter().map(ReferenceId::as_str).collect()
}

/// Requests are looked at again once in each interval, each at an instant of its own: so that what was first looked at in
/// one sweep is not looked at again in one. A look that lies in the future (a clock was ahead) is worth nothing.
fn is_due_again(id: &str, looked_at: DateTime<Utc>, every: Duration, now: DateTime<Utc>) -> bool {
    let every = i64::try_from(every.as_secs()).unwrap_or(i64::MAX).max(1);
    // Below `every`, so it fits.
    let offset = (fnv(id) % every.unsigned_abs()) as i64;
    let interval = |at: DateTime<Utc>| at.timestamp().saturating_add(offset).div_euclid(every);
    looked_at > now || interval(now) > interval(looked_at)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::reconcile::fixtures;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn each_request_is_looked_at_again_once_an_interval_and_not_all_at_once() {
        let first = fixtures::now();
        let ids: Vec<String> = (0..1_000).map(|n| format!("TS{n:08X}")).collect();
        let due = |hours: i64| {
            let now = first + TimeDelta::hours(hours);
            ids.iter()
                .filter(|id| is_due_again(id, first, DAY, now))
                .count()
        };
        assert_eq!(due(0), 0);
        assert!((300..700).contains(&due(12)), "{}", due(12));
        assert_eq!(due(24), 1_000);
    }

    #[test]
    fn a_look_from_the_future_is_worth_nothing() {
        let now = fixtures::now();
        assert!(is_due_again("R-1", now + TimeDelta::seconds(1), DAY, now));
        assert!(!is_due_again("R-1", now, DAY, now));
    }
}
