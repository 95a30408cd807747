//! *Gone* is a claim too: a list that no longer names a request, of which there are findings, is held against reads.
//!
//! Up to twenty are read, and a read that shows something else resolves at once. Of more, as many are read, and the rest
//! is resolved when those reads bear the list out and a list at least a minute before left them out as well. A 404 says
//! nothing by itself: only one that the upstream neither lists nor finds by its order, twice within a day, is gone.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::Suspicion;
use super::judge::{self, Judgement};
use super::sample::without;
use crate::domain::ids::{ClassId, ExternalReference, FindingId, ReferenceId};
use crate::domain::{FindingState, IdList, Observation};
use crate::reconcile::executor::references;
use crate::reconcile::reads::Reads;
use crate::reconcile::select::algebra;
use crate::reconcile::survey::{CHUNK, Survey, SurveyError};
use crate::rules::classes::{Ask, Class};
use crate::rules::{Rule, Subject};
use crate::store::findings::{FindingChanges, Live, LiveFinding};
use crate::tesamanager::ReadError;

/// So many are read.
pub const READ: usize = 20;

/// So many more, of which a person has said something.
const MORE_READ: usize = 200;

/// Two lists that leave a request out must lie so far apart.
const APART: TimeDelta = TimeDelta::seconds(60);

/// Two 404s of one request must not lie further apart.
const TOGETHER: TimeDelta = TimeDelta::hours(24);

/// What a read of a request that is no longer listed shows.
#[derive(Debug)]
enum Fate {
    /// Something else than the list named it for.
    Over,
    /// What the list should have named it for.
    Stands(Box<Suspicion>),
    /// The upstream does not know it.
    NotFound,
    /// What a list should have named it for, but none does.
    Unlisted,
    /// Nothing: it could not be read.
    Unread,
}

/// Whether those that were not read may be concluded from those that were: some bear the list out, and none contradicts.
fn bears_out(read: &[Fate]) -> bool {
    let over = |fate: &Fate| matches!(fate, Fate::Over);
    let stands = |fate: &Fate| matches!(fate, Fate::Stands(_) | Fate::Unlisted);
    read.iter().any(over) && !read.iter().any(stands)
}

/// Left out of a list long enough ago for the second time.
fn twice(missing_since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    missing_since.is_some_and(|since| since <= now - APART)
}

/// The upstream did not know it before either, and not too long ago.
fn twice_not_found(missing_since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    twice(missing_since, now) && missing_since.is_some_and(|since| since >= now - TOGETHER)
}

/// What the list that left them out should have named.
pub enum By<'q> {
    /// These classes as they are remembered, and as they are asked for.
    Classes(&'q [ClassId], Vec<&'q Class>),
    /// Whatever any of these questions names.
    Asks(Vec<&'q Ask>),
    /// Everything there is.
    Everything,
}

impl Survey<'_> {
    /// What becomes of the job's findings of `gone` requests. Those that another rule now says nothing of are `exempt` from
    /// looking: the configuration is another one, not the upstream.
    pub async fn settle_gone(
        &self,
        gone: &[ReferenceId],
        by: &By<'_>,
        exempt: bool,
        reads: &mut Reads,
    ) -> Result<FindingChanges, SurveyError> {
        let mut changes = FindingChanges::default();
        let mut live = self.live_about(gone, by).await?;
        if exempt {
            changes.resolved = live.into_values().flatten().map(|one| one.id).collect();
            return Ok(changes);
        }
        let step = gone.len().div_ceil(READ).max(1);
        // Whether what a person said is over too, only a read can tell.
        let said = live.iter().filter(|(_, findings)| {
            let mut states = findings.iter().map(|finding| finding.state);
            states.any(|state| state == FindingState::Acknowledged)
        });
        let said = said.map(|(id, _)| id).take(MORE_READ);
        let to_read: BTreeSet<&ReferenceId> = gone.iter().step_by(step).chain(said).collect();
        let to_read: Vec<ReferenceId> = to_read.into_iter().cloned().collect();
        let mut fates = Vec::new();
        let mut not_found = Vec::new();
        for id in &to_read {
            self.check_stop()?;
            let fate = self.fate(id, by, reads).await?;
            let findings = live.remove(id).unwrap_or_default();
            match &fate {
                Fate::Over => changes.resolved.extend(ids(&findings)),
                Fate::NotFound => not_found.push((id.clone(), findings)),
                Fate::Stands(_) | Fate::Unlisted | Fate::Unread => {}
            }
            fates.push(fate);
        }
        if !not_found.is_empty() {
            self.settle_not_found(not_found, &mut changes).await?;
        }
        if bears_out(&fates) {
            for finding in live.into_values().flatten() {
                match twice(finding.missing_since, self.context.now) {
                    true => changes.resolved.push(finding.id),
                    false => changes.missing.push(finding.id),
                }
            }
        }
        for fate in fates {
            if let Fate::Stands(suspicion) = fate {
                reads.suspicions.push(*suspicion);
            }
        }
        Ok(changes)
    }

    /// The job's findings of these that rest on lists: of a class where they were left out of classes, all of them where
    /// the upstream listed nothing of the kind any more.
    async fn live_about(
        &self,
        gone: &[ReferenceId],
        by: &By<'_>,
    ) -> Result<HashMap<ReferenceId, Vec<LiveFinding>>, SurveyError> {
        let mut live: HashMap<ReferenceId, Vec<LiveFinding>> = HashMap::new();
        let is_concerned = |finding: &LiveFinding| match by {
            By::Classes(ids, _) => finding.class.is_some_and(|class| ids.contains(&class)),
            By::Asks(_) | By::Everything => finding.class.is_none(),
        };
        for chunk in gone.chunks(CHUNK) {
            let about = Live::About(chunk);
            let found = self
                .store
                .live_findings(self.context.org, &self.job.name, about)
                .await?;
            for finding in found {
                if is_concerned(&finding) {
                    live.entry(finding.key.reference_id.clone())
                        .or_default()
                        .push(finding);
                }
            }
        }
        Ok(live)
    }

    async fn fate(
        &self,
        id: &ReferenceId,
        by: &By<'_>,
        reads: &mut Reads,
    ) -> Result<Fate, SurveyError> {
        let seen = match self.api.get_request(self.context.org, id).await {
            Ok(request) => request.seen,
            Err(error) if error.ends_the_run() => return Err(error.into()),
            Err(error) => {
                reads.fail(id, &error);
                return Ok(match error {
                    ReadError::NotFound { .. } => Fate::NotFound,
                    _ => Fate::Unread,
                });
            }
        };
        reads.ok(id);
        if let Some(lease) = self.lease {
            self.hear(std::slice::from_ref(&seen)).await?;
            let seen = std::slice::from_ref(&seen);
            let older = self
                .store
                .remember_observations(lease, self.context.org, seen)
                .await?;
            if !older.is_empty() {
                reads.contradicts(id);
                return Ok(Fate::Unread);
            }
        }
        Ok(match by {
            By::Classes(_, classes) => {
                let members = classes.iter().filter(|class| self.is_member(class, &seen));
                let asks: Vec<&Ask> = members.map(|class| &class.within).collect();
                self.left_out_by(&asks, seen, reads).await?
            }
            By::Asks(asks) => self.left_out_by(asks, seen, reads).await?,
            // It reads, so it is not gone: a list of everything that leaves it out is not to be believed.
            By::Everything => Fate::Unread,
        })
    }

    /// It belongs to the class by what was read, but for what the list itself asks: no earlier rule has it, it is not among
    /// those that the class leaves out, and where only a read tells, it is of the class's status and the rule matches it.
    fn is_member(&self, class: &Class, read: &Observation) -> bool {
        let is_left_out = class.without.iter().any(|ask| {
            (ask.cancelling && read.cancelling)
                || (ask.auto_installation && read.auto_installation == Some(true))
        });
        let subject = Subject {
            org: self.context.org,
            request: read,
            issue: None,
        };
        let matches = |rule: &Rule| rule.matcher.matches(subject, self.context.now);
        let (earlier, rule) = (
            &self.context.rules[..class.rule],
            &self.context.rules[class.rule],
        );
        let is_told_by_a_read = read.status == class.status && matches(rule);
        !is_left_out && !earlier.iter().any(matches) && (!class.is_residual || is_told_by_a_read)
    }

    /// Whether one of the questions should have named it, and the filter by which it did not.
    async fn left_out_by(
        &self,
        asks: &[&Ask],
        read: Observation,
        reads: &mut Reads,
    ) -> Result<Fate, SurveyError> {
        let mut fate = Fate::Over;
        for ask in asks {
            for filter in ask.filters() {
                match judge::left_out(ask, filter, &read, self.asked()) {
                    Judgement::Agrees => continue,
                    // It may have changed to what it is after the list.
                    Judgement::CantTell => {
                        if matches!(fate, Fate::Over) {
                            fate = Fate::Unread;
                        }
                        continue;
                    }
                    Judgement::Contradicts(_) => {}
                }
                let wider = self.ask(&without(ask, filter), self.max_list_ids).await?;
                if algebra::contains(&wider.sorted(), read.reference_id.as_str()) {
                    return Ok(Fate::Stands(Box::new(Suspicion {
                        ask: (*ask).clone(),
                        filter,
                        listed: false,
                        read,
                    })));
                }
                fate = Fate::Unlisted;
            }
        }
        if matches!(fate, Fate::Unlisted) {
            reads.contradicts(&read.reference_id);
        }
        Ok(fate)
    }

    /// See the module: unlisted, and not found by the order either, twice.
    async fn settle_not_found(
        &self,
        not_found: Vec<(ReferenceId, Vec<LiveFinding>)>,
        changes: &mut FindingChanges,
    ) -> Result<(), SurveyError> {
        let everything: IdList = self.ask(&Ask::default(), self.max_list_ids).await?;
        let everything = everything.sorted();
        let org = self.context.org;
        let known: Vec<ReferenceId> = not_found.iter().map(|(id, _)| id.clone()).collect();
        let known = self.store.observations(org, &known).await?;
        let orders: HashMap<&ReferenceId, &ExternalReference> = known
            .iter()
            .filter_map(|seen| Some((&seen.reference_id, seen.external_reference.as_ref()?)))
            .collect();
        for (id, findings) in &not_found {
            if algebra::contains(&everything, id.as_str()) {
                continue;
            }
            if let Some(order) = orders.get(id) {
                let found = references(&**self.api, org, order).await;
                if found.is_ok_and(|found| found.contains(id)) {
                    continue;
                }
            }
            for finding in findings {
                match twice_not_found(finding.missing_since, self.context.now) {
                    true => changes.resolved.push(finding.id),
                    false => changes.missing.push(finding.id),
                }
            }
            if let Some(lease) = self.lease
                && findings
                    .iter()
                    .all(|one| twice_not_found(one.missing_since, self.context.now))
            {
                tracing::info!(%org, reference_id = %id, "gone upstream: not listed, not found by its order, twice");
                let now = self.clock.now();
                self.store.forget_observation(lease, org, id, now).await?;
            }
        }
        Ok(())
    }

    /// Findings that were missing and are not any more: of classes, or those of none.
    pub async fn back(
        &self,
        gone: &[ReferenceId],
        of_classes: bool,
    ) -> Result<Vec<FindingId>, SurveyError> {
        let (org, job) = (self.context.org, &self.job.name);
        let missing = self.store.missing_findings(org, job).await?;
        let gone: BTreeSet<&ReferenceId> = gone.iter().collect();
        let back = missing.iter().filter(|one| {
            one.class.is_some() == of_classes && !gone.contains(&one.key.reference_id)
        });
        Ok(back.map(|one| one.id).collect())
    }
}

fn ids(findings: &[LiveFinding]) -> impl Iterator<Item = FindingId> + '_ {
    findings.iter().map(|finding| finding.id)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reconcile::fixtures;

    const MINUTE: Duration = Duration::from_secs(60);

    fn stands() -> Fate {
        Fate::Stands(Box::new(Suspicion {
            ask: Ask::default(),
            filter: crate::domain::Filter::Statuses,
            listed: false,
            read: fixtures::unsent(),
        }))
    }

    #[test]
    fn the_rest_follows_only_those_that_bear_the_list_out() {
        assert!(!bears_out(&[]));
        assert!(bears_out(&[Fate::Over, Fate::Unread, Fate::NotFound]));
        assert!(!bears_out(&[Fate::NotFound, Fate::Unread]));
        assert!(!bears_out(&[Fate::Over, stands()]));
        assert!(!bears_out(&[Fate::Over, Fate::Unlisted]));
    }

    #[test]
    fn twice_is_a_minute_apart_and_for_a_404_within_a_day() {
        let now = fixtures::now();
        let cases = [
            (None, false, false),
            (Some(MINUTE / 2), false, false),
            (Some(MINUTE), true, true),
            (Some(MINUTE * 60 * 24), true, true),
            (Some(MINUTE * 60 * 25), true, false),
        ];
        for (ago, listed, not_found) in cases {
            let since = ago.map(|ago| now - ago);
            assert_eq!(twice(since, now), listed, "{ago:?}");
            assert_eq!(twice_not_found(since, now), not_found, "{ago:?}");
        }
    }
}
