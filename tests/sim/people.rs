//! What people do, by the calls that the commands make, and by what they can know.

use chrono::{DateTime, Utc};
use tesa_reconciler::domain::AttemptState;
use tesa_reconciler::domain::ids::{ExternalReference, JobName, Org};
use tesa_reconciler::rules::classes;
use tesa_reconciler::sandbox::{Entry, Sandbox};
use tesa_reconciler::store::attempts::{Attempt, AttemptFilter, Step};
use tesa_reconciler::store::findings::{Finding, FindingFilter};
use tesa_reconciler::store::{
    Acknowledgements as _, Actor, Attempts as _, Controls as _, Findings as _, Orders as _, Page,
    Requests as _, StoreError,
};

use crate::judge::{HandsOff, Judge, delta};
use crate::memory::MemoryStore;
use crate::plan::{Act, JOBS, Order};
use crate::replica::ORG;

/// Whoever steers.
pub struct Person<'w> {
    pub store: &'w MemoryStore,
    pub orders: &'w [Order],
    /// The truth, which people don't know.
    pub upstream: &'w Sandbox,
    pub ledger: Vec<Entry>,
    pub now: DateTime<Utc>,
}

impl Person<'_> {
    /// Does it, and tells the judge what was said; in words, for the story.
    pub async fn does(
        &self,
        act: &Act,
        judge: &mut Judge,
        settled: &mut Vec<i64>,
    ) -> Result<String, StoreError> {
        let (actor, now) = (&person(), self.now);
        let (store, org) = (self.store, &Org::new(ORG));
        let named = |place: &usize| JobName::new(JOBS[*place]);
        Ok(match act {
            Act::Pause(of, long) => {
                let until = now + delta(*long);
                let scope = of.as_ref().map(named);
                store
                    .replace_pause(scope.as_ref(), Some(until), actor, now)
                    .await?;
                let word = HandsOff::Paused(of.map(|of| JOBS[of]));
                judge.hands_on(&word, now);
                judge.hands_off(word, now, Some(until));
                format!("pauses {scope:?} until {until}")
            }
            Act::Resume(of) => {
                let scope = of.as_ref().map(named);
                judge.hands_on(&HandsOff::Paused(of.map(|of| JOBS[of])), now);
                let was = store.resume(scope.as_ref(), actor, now).await?;
                format!("resumes {scope:?}: {was}")
            }
            Act::Release(of) => {
                judge.released(JOBS[*of], now);
                let was = store.release_guard(&named(of), org, actor, now).await?;
                format!("releases {}: {was}", JOBS[*of])
            }
            Act::Acknowledge(of) => self.acknowledge(*of, judge).await?,
            Act::Unacknowledge(of) => self.unacknowledge(*of, judge).await?,
            Act::Settle(of) => self.settle(*of, settled).await?,
            Act::Retry(of) => {
                let order = ExternalReference::new(&self.orders[*of].name);
                let done = store.retry_order(org, &order, actor, now).await?;
                // Whatever becomes of it then is that person's wish.
                judge.errand(order.as_str(), now);
                format!("lets {order} be tried again: {done:?}")
            }
            Act::Trigger(of) => {
                store.request_trigger(&named(of), org, actor, now).await?;
                format!("asks for {}", JOBS[*of])
            }
            Act::Reload(_) => String::new(),
        })
    }

    async fn acknowledge(&self, of: usize, judge: &mut Judge) -> Result<String, StoreError> {
        let order = &self.orders[of].name;
        let filter = FindingFilter {
            reference: Some(order.clone()),
            ..FindingFilter::default()
        };
        let found = self.store.findings(&filter, Page::first(10)).await?;
        let Some(first) = found.first() else {
            return Ok(format!("finds nothing of {order} to acknowledge"));
        };
        self.store
            .acknowledge_findings(&[first.id], &person(), self.now)
            .await?;
        // A word is about the order as it was shown. If it had moved on, unseen, the word ends when that is seen.
        let is_as_shown = self.is_as_shown(first).await?;
        if is_as_shown {
            judge.hands_off(HandsOff::Acknowledged(order.clone()), self.now, None);
        }
        let shown = if is_as_shown {
            ""
        } else {
            ", which has moved on"
        };
        Ok(format!("acknowledges {order}{shown}: {}", first.key.kind))
    }

    /// What a finding's request was last seen as, or listed as, is what it is.
    async fn is_as_shown(&self, finding: &Finding) -> Result<bool, StoreError> {
        let (org, id) = (Org::new(ORG), &finding.key.reference_id);
        let seen = self
            .store
            .observations(&org, std::slice::from_ref(id))
            .await?;
        let Some(is) = self.upstream.request(ORG, id.as_str()) else {
            return Ok(true);
        };
        Ok(match seen.first() {
            Some(seen) => seen.status == is.status && seen.cancelling == is.cancelling,
            None => finding.key.detail == classes::detail(is.cancelling, &is.status),
        })
    }

    async fn unacknowledge(&self, of: usize, judge: &mut Judge) -> Result<String, StoreError> {
        let order = &self.orders[of].name;
        let filter = FindingFilter {
            reference: Some(order.clone()),
            ..FindingFilter::default()
        };
        let found = self.store.findings(&filter, Page::first(10)).await?;
        let mut ended = 0;
        for one in found {
            judge.hands_on(&HandsOff::Acknowledged(order.clone()), self.now);
            let back = self
                .store
                .unacknowledge_findings(&[one.id], &person(), self.now)
                .await;
            ended += usize::from(back.is_ok());
        }
        Ok(format!("takes back {ended} words about {order}"))
    }

    async fn settle(&self, of: usize, settled: &mut Vec<i64>) -> Result<String, StoreError> {
        let order = &self.orders[of].name;
        let waits = |attempt: &&Attempt| attempt.state == AttemptState::NeedsHuman;
        let attempts = attempts(self.store).await?;
        let mut of_order = attempts
            .iter()
            .filter(|attempt| attempt.external_reference.as_str() == order);
        let Some(attempt) = of_order.find(waits) else {
            return Ok(format!("finds nothing of {order} to settle"));
        };
        let id = attempt.correlation_id.to_string();
        let had_effect = self
            .ledger
            .iter()
            .any(|entry| entry.correlation_id.as_deref() == Some(&id) && entry.effect);
        let to = match had_effect {
            true => AttemptState::Confirmed,
            false => AttemptState::Ineffective,
        };
        let step = Step {
            to,
            detail: "settled by a person".to_owned(),
            http_status: attempt.http_status,
            verify_at: None,
            confirmed: None,
        };
        settled.push(attempt.id.0);
        self.store
            .advance(attempt.id, &step, &person(), self.now)
            .await?;
        Ok(format!("settles attempt {}: {to}", attempt.id))
    }
}

fn person() -> Actor {
    Actor {
        who: "cli:operator".to_owned(),
        reason: "simulated".to_owned(),
    }
}

/// Our whole ledger, oldest first.
pub async fn attempts(store: &MemoryStore) -> Result<Vec<Attempt>, StoreError> {
    let mut all = store
        .attempts(&AttemptFilter::default(), Page::first(10_000))
        .await?;
    all.reverse();
    Ok(all)
}
