//! Settles attempts by reading: the loop's body that looks at every attempt whose effect isn't proven yet.
//!
//! Also the sweep: an `intended` row that nobody is at work on becomes `unknown` first, at start and all the time.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::executor::references;
use super::guard::InFlight;
use super::looks::Looks;
use super::plan::sighting;
use super::verification::{Evidence, Judgement, judge};
use crate::clock::SharedClock;
use crate::domain::ids::{Org, ReferenceId, ReplicaId};
use crate::domain::{AttemptState, FindingKind, Observation, Operation, Version};
use crate::store::attempts::{Attempt, AttemptFilter, Step};
use crate::store::{Actor, Page, Store, StoreError};
use crate::telemetry::record;
use crate::tesamanager::{ReadError, Tesamanager};

/// At most so many attempts are looked at in one go; the next go follows at once if there are more.
const BATCH: u32 = 100;

/// Looks again after so long when the upstream could not be asked. Such a look counts for nothing.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);

/// Verifies attempts.
pub struct Verifier {
    api: Arc<dyn Tesamanager>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    in_flight: InFlight,
    looks: Looks,
}

/// In the log; a write that reading can't settle is a warning, for it waits for a person now.
fn tell_settled(attempt: &Attempt, state: AttemptState, detail: &str) {
    macro_rules! tell {
        ($level:expr) => {
            tracing::event!(
                $level,
                attempt = attempt.id.0,
                operation = %attempt.operation,
                org = %attempt.org,
                reference_id = attempt.reference_id.as_str(),
                external_reference = attempt.external_reference.as_str(),
                %state,
                detail,
                "a write is settled"
            )
        };
    }
    match state {
        AttemptState::NeedsHuman => tell!(tracing::Level::WARN),
        _ => tell!(tracing::Level::INFO),
    }
}

/// What one go came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Attempts looked at.
    pub looked_at: u64,
    /// Proven to have worked.
    pub confirmed: u64,
    /// Proven to have had no effect.
    pub ineffective: u64,
    /// Handed to a person.
    pub needs_human: u64,
    /// To be looked at again.
    pub open: u64,
}

impl Verifier {
    /// A verifier that shares `in_flight` with the guard.
    pub fn new(
        api: Arc<dyn Tesamanager>,
        store: Arc<dyn Store>,
        clock: SharedClock,
        in_flight: InFlight,
        looks: Looks,
    ) -> Self {
        Self {
            api,
            store,
            clock,
            in_flight,
            looks,
        }
    }

    /// Makes every `intended` attempt of this process that nobody is at work on `unknown`.
    pub async fn sweep(&self, own: &ReplicaId) -> Result<u64, StoreError> {
        let filter = AttemptFilter {
            state: Some(AttemptState::Intended),
            ..AttemptFilter::default()
        };
        let intended = self.store.attempts(&filter, Page::first(BATCH)).await?;
        let mut swept = 0;
        for attempt in intended {
            if attempt.replica != own.as_str() || self.in_flight.contains(attempt.correlation_id) {
                continue;
            }
            let now = self.clock.now();
            let step = Step {
                to: AttemptState::Unknown,
                detail: "its sender is gone".to_owned(),
                http_status: None,
                verify_at: Some(attempt.intended_at + self.looks.first_after_intent()),
                confirmed: None,
            };
            match self
                .store
                .advance(attempt.id, &step, &Actor::daemon("sweep"), now)
                .await
            {
                Ok(()) => {
                    swept += 1;
                    record::attempt(attempt.operation, AttemptState::Unknown);
                }
                // Its sender settled it between the listing and now.
                Err(StoreError::IllegalStep { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    /// Looks at every attempt that is due, of one org or of all.
    pub async fn verify_due(&self, org: Option<&Org>) -> Result<Settled, StoreError> {
        let mut settled = Settled::default();
        let due = self
            .store
            .due_for_verification(org, self.clock.now(), BATCH)
            .await?;
        for attempt in due {
            settled.looked_at += 1;
            match self.look(&attempt).await? {
                AttemptState::Confirmed => settled.confirmed += 1,
                AttemptState::Ineffective => settled.ineffective += 1,
                AttemptState::NeedsHuman => settled.needs_human += 1,
                _ => settled.open += 1,
            }
        }
        Ok(settled)
    }

    /// One look at one attempt; answers the state it is in afterwards.
    async fn look(&self, attempt: &Attempt) -> Result<AttemptState, StoreError> {
        let (look, now) = (self.looks.next(attempt), self.clock.now());
        if now < look.due {
            // The pauses were lengthened since it was told when it is due.
            let detail = "looked for too early: the pauses are longer now";
            let put_off = self
                .store
                .postpone_verification(attempt.id, detail, look.due, false, now)
                .await;
            settled_meanwhile(put_off)?;
            return Ok(attempt.state);
        }
        let (mut evidence, seen) = match self.evidence(attempt).await {
            Ok(found) => found,
            // An answer, but none that says anything, however often it is asked for: a look that proves nothing.
            Err(error @ ReadError::Contract { .. }) if look.last => {
                let to = AttemptState::NeedsHuman;
                self.settle(attempt, to, error.to_string(), None).await?;
                return Ok(to);
            }
            Err(error @ ReadError::Contract { .. }) => {
                return self.put_off(attempt, &error.to_string()).await;
            }
            Err(error) => {
                let now = self.clock.now();
                let again = now + UNREADABLE_PAUSE;
                let put_off = self
                    .store
                    .postpone_verification(attempt.id, &error.to_string(), again, false, now)
                    .await;
                settled_meanwhile(put_off)?;
                return Ok(attempt.state);
            }
        };
        if let Some(seen) = &seen {
            evidence.older_than_known = self.store.remember_verified(&attempt.org, seen).await?;
        }
        if let Some(found) = evidence.references.as_deref() {
            evidence.beside = self.known_beside(attempt, found).await?;
        }
        let (to, detail) = match judge(attempt, &evidence, look.last) {
            Judgement::NotYet(detail) => return self.put_off(attempt, &detail).await,
            Judgement::Confirmed(detail) => (AttemptState::Confirmed, detail),
            Judgement::Ineffective(detail) => (AttemptState::Ineffective, detail),
            Judgement::NeedsHuman(detail) => (AttemptState::NeedsHuman, detail),
        };
        let confirmed = evidence
            .version
            .clone()
            .filter(|_| to == AttemptState::Confirmed);
        self.settle(attempt, to, detail, confirmed).await?;
        if let (Some(references), Some(seen)) = (&evidence.references, &seen) {
            self.flag_duplicates(attempt, references.len(), seen)
                .await?;
        }
        Ok(to)
    }

    /// A look that settled nothing: until after the next pause.
    async fn put_off(&self, attempt: &Attempt, detail: &str) -> Result<AttemptState, StoreError> {
        let now = self.clock.now();
        let next = self.looks.after(attempt, attempt.verifications + 1);
        let put_off = self
            .store
            .postpone_verification(attempt.id, detail, next.due, true, now)
            .await;
        settled_meanwhile(put_off)?;
        Ok(attempt.state)
    }

    async fn settle(
        &self,
        attempt: &Attempt,
        to: AttemptState,
        detail: String,
        confirmed: Option<Version>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let step = Step {
            to,
            detail,
            http_status: attempt.http_status,
            verify_at: None,
            confirmed,
        };
        match self
            .store
            .advance(attempt.id, &step, &Actor::daemon("verified"), now)
            .await
        {
            // A person, or another replica, settled it while we looked.
            Err(StoreError::IllegalStep { .. }) => return Ok(()),
            other => other?,
        }
        record::attempt(attempt.operation, to);
        if let (AttemptState::Confirmed, Some(due)) = (to, attempt.due_since) {
            self.tell_time_to_repair(attempt, due, now).await;
        }
        tell_settled(attempt, to, &step.detail);
        Ok(())
    }

    /// What was due while its job might write nothing is late by nobody's fault until it might. The write is settled, so a
    /// store that does not say since when costs a figure and nothing else.
    async fn tell_time_to_repair(&self, attempt: &Attempt, due: DateTime<Utc>, now: DateTime<Utc>) {
        let (job, org) = (&attempt.job_name, &attempt.org);
        match self.store.writable_since(job, org, attempt.run_id).await {
            Ok(writable) => {
                let since = writable.map_or(due, |writable| writable.max(due));
                record::time_to_repair((now - since).to_std().unwrap_or_default());
            }
            Err(error) => tracing::warn!(%error, "the time that a repair took is not told"),
        }
    }

    /// Remembers that several requests answer to the order; answers those that a person let go before the write.
    async fn known_beside(
        &self,
        attempt: &Attempt,
        found: &[ReferenceId],
    ) -> Result<Vec<ReferenceId>, StoreError> {
        if found.len() < 2 {
            return Ok(vec![]);
        }
        let (org, order) = (&attempt.org, &attempt.external_reference);
        let now = self.clock.now();
        self.store.note_duplicates(org, order, found, now).await?;
        let marks = self
            .store
            .order_marks(org, std::slice::from_ref(order))
            .await?;
        let known = marks.into_iter().flat_map(|(_, marks)| marks.requests);
        let let_go = known.filter(|known| known.let_go);
        Ok(let_go.map(|known| known.reference_id).collect())
    }

    /// A repeated create may have made a second request beside the first: people must know at once.
    async fn flag_duplicates(
        &self,
        attempt: &Attempt,
        references: usize,
        seen: &Observation,
    ) -> Result<(), StoreError> {
        if references < 2 {
            return Ok(());
        }
        let evidence = format!(
            "{references} requests answer to the order after attempt {}",
            attempt.id
        );
        let seen = sighting(seen, FindingKind::DuplicateReference, "", evidence);
        let now = self.clock.now();
        self.store
            .flag_verified(&attempt.org, &attempt.job_name, &seen, now)
            .await?;
        record::findings_opened(FindingKind::DuplicateReference, 1);
        Ok(())
    }

    /// Reads what proves the operation's effect.
    async fn evidence(
        &self,
        attempt: &Attempt,
    ) -> Result<(Evidence, Option<Observation>), ReadError> {
        let seen = match self
            .api
            .get_request(&attempt.org, &attempt.reference_id)
            .await
        {
            Ok(request) => Some(request.seen),
            Err(ReadError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut evidence = Evidence {
            version: seen.as_ref().map(Observation::version),
            ..Evidence::default()
        };
        if attempt.operation.is_create_request() {
            let order = &attempt.external_reference;
            evidence.references = Some(references(&*self.api, &attempt.org, order).await?);
        }
        if let (Some(sequence), false) = (
            attempt.issue_sequence,
            attempt.operation == Operation::CreateStatusCto || seen.is_none(),
        ) {
            let issues = self
                .api
                .get_request_issues(&attempt.org, &attempt.reference_id)
                .await?;
            evidence.issue = issues
                .into_iter()
                .find(|issue| issue.issue_sequence == Some(sequence));
        }
        Ok((evidence, seen))
    }
}

/// A person, or another replica that looked at the same moment, settled it: that is no failure of this one's look.
fn settled_meanwhile(put_off: Result<(), StoreError>) -> Result<(), StoreError> {
    match put_off {
        Err(StoreError::IllegalStep { .. }) => Ok(()),
        other => other,
    }
}
