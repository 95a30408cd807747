//! Observations and decisions.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tesa_reconciler::domain::ids::{JobName, Org, ReferenceId, RuleName};
use tesa_reconciler::domain::{Decided, Decision, Happening, Observation, Sight, Status, What};
use tesa_reconciler::store::StoreError;
use tesa_reconciler::store::requests::{Alike, OpenCount, RememberedDecision, Requests};
use tesa_reconciler::store::runs::RunLease;

use super::{MemoryStore, State};

#[derive(Default)]
pub(super) struct Table {
    pub(super) observations: BTreeMap<(Org, ReferenceId), Observation>,
    pub(super) decisions: BTreeMap<(Org, ReferenceId, JobName), RememberedDecision>,
}

/// The newest wins, by the upstream's date where both have one that differs.
fn replaces(seen: &Observation, known: &Observation) -> bool {
    match (seen.last_updated, known.last_updated) {
        (Some(now), Some(then)) if now != then => now > then,
        _ => seen.observed_at >= known.observed_at,
    }
}

/// Read later and dated earlier than what is known.
fn contradicts(seen: &Observation, known: &Observation) -> bool {
    let dates = seen.last_updated.zip(known.last_updated);
    dates.is_some_and(|(now, then)| now < then) && seen.observed_at >= known.observed_at
}

/// Nothing but the instant of the look differs.
fn says_the_same(seen: &Observation, known: &Observation) -> bool {
    let observed_at = known.observed_at;
    *known
        == Observation {
            observed_at,
            ..seen.clone()
        }
}

/// All that a request is counted by, each once.
fn alike(seen: &Observation, beside: &[Happening]) -> BTreeSet<Alike> {
    let itself = Alike::Request {
        status: seen.status.clone(),
        cancelling: seen.cancelling,
        auto_installation: seen.auto_installation,
        territory_owner: seen.territory_owner,
    };
    let changed = seen.last_updated.map(|at| {
        let hour = at.timestamp().div_euclid(3_600) * 3_600;
        Alike::Changed(DateTime::from_timestamp(hour, 0).unwrap())
    });
    let beside = beside.iter().filter_map(|happening| match &happening.what {
        What::Event(event) => event
            .message_type
            .as_ref()
            .map(|code| Alike::LastEvent(code.to_string())),
        What::Issue(issue) if !issue.resolved => {
            Some(Alike::IssueCode(issue.issue_code.to_string()))
        }
        _ => None,
    });
    let kept = (!seen.attributes.is_empty()).then(|| Alike::Attributes(seen.attributes.clone()));
    changed
        .into_iter()
        .chain(kept)
        .chain([itself])
        .chain(beside)
        .collect()
}

impl State {
    fn remember(&mut self, org: &Org, seen: &[Observation]) -> Vec<ReferenceId> {
        let observations = &mut self.requests.observations;
        for one in seen {
            let key = (org.clone(), one.reference_id.clone());
            let known = observations.get(&key);
            if known.is_some_and(|known| !replaces(one, known)) {
                continue;
            }
            if known.is_none_or(|known| !says_the_same(one, known)) {
                let what = What::Request(one.clone());
                self.history
                    .tell(org, &one.reference_id, one.observed_at, what);
            }
            observations.insert(key, one.clone());
        }
        let key = |one: &Observation| (org.clone(), one.reference_id.clone());
        seen.iter()
            .filter(|one| contradicts(one, &observations[&key(one)]))
            .map(|one| one.reference_id.clone())
            .collect()
    }

    /// What was decided and looked at rests on the observation, and goes with it.
    pub(super) fn forget(&mut self, org: &Org, id: &ReferenceId, at: DateTime<Utc>, why: What) {
        let key = (org.clone(), id.clone());
        if self.requests.observations.remove(&key).is_some() {
            self.history.tell(org, id, at, why);
        }
        self.forget_decisions(org, id);
        self.forget_swept_looks(org, id);
    }

    /// The rule of a job's last decision about a request.
    pub(super) fn rule_decided(
        &self,
        org: &Org,
        id: &ReferenceId,
        job: &JobName,
    ) -> Option<RuleName> {
        let key = (org.clone(), id.clone(), job.clone());
        let rule = self.requests.decisions.get(&key)?.rule.clone();
        rule.map(Into::into)
    }

    pub(super) fn status_of(&self, org: &Org, id: &ReferenceId) -> Option<Status> {
        let key = (org.clone(), id.clone());
        let seen = self.requests.observations.get(&key);
        seen.map(|seen| seen.status.clone())
    }

    pub(super) fn forget_decisions(&mut self, org: &Org, id: &ReferenceId) -> u64 {
        let decisions = &mut self.requests.decisions;
        let first = (org.clone(), id.clone(), JobName::new(""));
        let of_request = decisions
            .range(first..)
            .take_while(|((of_org, of, _), _)| of_org == org && of == id);
        let keys: Vec<_> = of_request.map(|(key, _)| key.clone()).collect();
        for key in &keys {
            decisions.remove(key);
        }
        keys.len() as u64
    }
}

#[async_trait]
impl Requests for MemoryStore {
    async fn remember_seen(
        &self,
        lease: &RunLease,
        org: &Org,
        observations: &[Observation],
        beside: &[Sight],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        self.write("remember_observations", |state, _| {
            state.hold("remember_observations", lease)?;
            let older = state.remember(org, observations);
            state.history.tell_beside(org, beside);
            Ok(older)
        })
        .await
    }

    async fn remember_verified(&self, org: &Org, seen: &Observation) -> Result<bool, StoreError> {
        self.write("remember_verified", |state, _| {
            let older = state.remember(org, std::slice::from_ref(seen));
            Ok(!older.is_empty())
        })
        .await
    }

    async fn observations(
        &self,
        org: &Org,
        ids: &[ReferenceId],
    ) -> Result<Vec<Observation>, StoreError> {
        self.read("observations", |state, _| {
            let asked: BTreeSet<&ReferenceId> = ids.iter().collect();
            let known = asked.into_iter().filter_map(|id| {
                let key = (org.clone(), id.clone());
                state.requests.observations.get(&key)
            });
            Ok(known.cloned().collect())
        })
        .await
    }

    async fn find_observations(
        &self,
        org: Option<&Org>,
        reference: &str,
    ) -> Result<Vec<(Org, Observation)>, StoreError> {
        self.read("find_observations", |state, _| {
            let rows = state.requests.observations.iter();
            let found = rows.filter(|((of, id), seen)| {
                let order = seen.external_reference.as_ref();
                let is_named =
                    id.as_str() == reference || order.is_some_and(|of| of.as_str() == reference);
                is_named && org.is_none_or(|org| org == of)
            });
            Ok(found
                .map(|((org, _), seen)| (org.clone(), seen.clone()))
                .collect())
        })
        .await
    }

    async fn count_open(&self, org: &Org) -> Result<Vec<OpenCount>, StoreError> {
        self.read("count_open", |state, _| {
            let mut counts: BTreeMap<(Option<&str>, Alike), OpenCount> = BTreeMap::new();
            for ((of, id), seen) in &state.requests.observations {
                if of != org || seen.status.is_final() {
                    continue;
                }
                let kind = seen.persistence_type;
                for alike in alike(seen, &state.history.last_beside(org, id)) {
                    let key = (kind.map(|kind| kind.as_str()), alike.clone());
                    let counted = counts.entry(key).or_insert(OpenCount {
                        persistence_type: kind,
                        alike,
                        requests: 0,
                    });
                    counted.requests += 1;
                }
            }
            Ok(counts.into_values().collect())
        })
        .await
    }

    async fn forget_observation(
        &self,
        lease: &RunLease,
        org: &Org,
        id: &ReferenceId,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.write("forget_observation", |state, _| {
            state.hold("forget_observation", lease)?;
            state.forget(org, id, at, What::Gone);
            Ok(())
        })
        .await
    }

    async fn remember_decisions(
        &self,
        lease: &RunLease,
        org: &Org,
        job: &JobName,
        at: DateTime<Utc>,
        decisions: &[Decision],
    ) -> Result<u64, StoreError> {
        self.write("remember_decisions", |state, _| {
            state.hold("remember_decisions", lease)?;
            let mut written = 0;
            for decision in decisions {
                let key = (org.clone(), decision.reference_id.clone(), job.clone());
                let new = RememberedDecision {
                    job_name: job.clone(),
                    run_id: lease.run_id,
                    since: at,
                    reference_id: decision.reference_id.clone(),
                    verdict: decision.verdict.label().to_owned(),
                    rule: decision.rule.as_ref().map(|rule| rule.as_str().to_owned()),
                    explanation: decision.explanation.clone(),
                };
                let is_same = |known: &RememberedDecision| {
                    (&known.verdict, &known.rule, &known.explanation)
                        == (&new.verdict, &new.rule, &new.explanation)
                };
                let known = state.requests.decisions.get(&key);
                let told = known.map(|known| (&known.verdict, &known.rule));
                if told != Some((&new.verdict, &new.rule)) {
                    let what = What::Decision(Decided {
                        job_name: job.clone(),
                        verdict: new.verdict.clone(),
                        rule: new.rule.clone(),
                    });
                    state.history.tell(org, &new.reference_id, at, what);
                }
                if !known.is_some_and(is_same) {
                    state.requests.decisions.insert(key, new);
                    written += 1;
                }
            }
            Ok(written)
        })
        .await
    }

    async fn decisions_about(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<RememberedDecision>, StoreError> {
        self.read("decisions_about", |state, _| {
            let first = (org.clone(), id.clone(), JobName::new(""));
            let rows = state.requests.decisions.range(first..);
            let of_request = rows.take_while(|((of_org, of, _), _)| of_org == org && of == id);
            Ok(of_request.map(|(_, row)| row.clone()).collect())
        })
        .await
    }
}
