//! What people do to a running daemon, through its store: each deed once, for the command and for the page. It checks what it is
//! asked, does it, and says what was done; who did it and why goes into the audit with the deed itself.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::Sources;
use super::names::NameError;
use super::time::written;
use crate::domain::AttemptState;
use crate::domain::ids::{AttemptId, ExternalReference, JobName, Org, TriggerId};
use crate::store::attempts::{AttemptFilter, Step};
use crate::store::controls::{Latch, Pause};
use crate::store::replicas::ALIVE_WITHIN;
use crate::store::{Actor, Doubt, Page, StoreError};

/// Why a deed was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Things are not so that it could be done.
    #[error("{0}")]
    Refused(String),
    /// The store moved elsewhere: the word would not arrive.
    #[error("{0}")]
    Moved(String),
    /// Of a name that means nothing.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn refused<T>(why: String) -> Result<T, NotDone> {
    Err(NotDone::Refused(why))
}

impl Sources {
    /// From a store that moved elsewhere nobody steers.
    pub async fn may_steer(&self) -> Result<(), NotDone> {
        match self.store.doubt().await? {
            Some(moved @ Doubt::Moved { .. }) => Err(NotDone::Moved(moved.to_string())),
            _ => Ok(()),
        }
    }
}

/// Runs that were asked for.
#[derive(Debug)]
pub struct Triggered {
    /// One for each org.
    pub asked: Vec<(Org, TriggerId)>,
    /// What keeps the job from writing meanwhile.
    pub paused: Option<Pause>,
}

/// Asks the daemon for a run of a job in each of these orgs.
pub async fn trigger(
    sources: &Sources,
    job: &JobName,
    orgs: &[Org],
    actor: &Actor,
) -> Result<Triggered, NotDone> {
    let (store, now) = (&sources.store, sources.now());
    let alive = store.live_replicas(now - ALIVE_WITHIN, now).await?;
    if alive.is_empty() {
        return refused(format!(
            "no daemon is running on this store; start one, or use `tesa-reconciler run --once --job {job}`"
        ));
    }
    let paused = pause_of(sources, job).await?;
    let mut asked = Vec::new();
    for org in orgs {
        let id = store.request_trigger(job, org, actor, now).await?;
        asked.push((org.clone(), id));
    }
    Ok(Triggered { asked, paused })
}

/// What keeps a job from writing, if it or everything is paused.
pub async fn pause_of(sources: &Sources, job: &JobName) -> Result<Option<Pause>, StoreError> {
    let pauses = sources.store.pauses(sources.now()).await?;
    let mut pauses = pauses.into_iter();
    Ok(pauses.find(|pause| pause.job_name.as_ref().is_none_or(|name| name == job)))
}

/// Stops new writes of a job, or of all, on every replica. One that is in force for longer stays, unless it shall be replaced.
pub async fn pause(
    sources: &Sources,
    job: Option<&JobName>,
    until: Option<DateTime<Utc>>,
    replace: bool,
    actor: &Actor,
) -> Result<(), NotDone> {
    let (store, now) = (&sources.store, sources.now());
    if replace {
        store.replace_pause(job, until, actor, now).await?;
    } else {
        store.pause(job, until, actor, now).await?;
    }
    Ok(())
}

/// Lets a job, or all, go on; answers what is still paused.
pub async fn resume(
    sources: &Sources,
    job: Option<&JobName>,
    actor: &Actor,
) -> Result<Vec<Pause>, NotDone> {
    let (store, now) = (&sources.store, sources.now());
    if !store.resume(job, actor, now).await? {
        return refused(format!(
            "{} was not paused; see `tesa-reconciler jobs`",
            named(job)
        ));
    }
    Ok(store.pauses(now).await?)
}

/// A job, or all of them, in a sentence.
pub fn named(job: Option<&JobName>) -> String {
    job.map_or_else(|| "every job".to_owned(), |job| format!("job {job}"))
}

/// Lets a held job go on.
pub async fn release(
    sources: &Sources,
    job: &JobName,
    org: &Org,
    actor: &Actor,
) -> Result<(), NotDone> {
    let (store, now) = (&sources.store, sources.now());
    if !store.release_guard(job, org, actor, now).await? {
        return refused(format!(
            "the guard does not hold {job} for {org}; see `tesa-reconciler jobs`"
        ));
    }
    Ok(())
}

/// What a release means, in words.
pub fn released(job: &JobName, org: &Org) -> String {
    format!(
        "released {job} for {org}: what was due by now goes from the next run on, within the caps, whenever it is first seen; \
         what becomes due later can be held again"
    )
}

/// The hold of a job and org that began then, if it still stands: one that was latched anew is another.
pub async fn hold_since(
    sources: &Sources,
    job: &JobName,
    org: &Org,
    since: DateTime<Utc>,
) -> Result<Latch, NotDone> {
    let latches = sources.store.latches().await?;
    let mut latches = latches.into_iter();
    let stands =
        latches.find(|hold| hold.job_name == *job && hold.org == *org && hold.since == since);
    match stands {
        Some(hold) => Ok(hold),
        None => refused(format!(
            "the hold of {job} for {org} since {} is over: look again",
            written(since)
        )),
    }
}

/// A person settles what reading could not.
pub async fn settle(
    sources: &Sources,
    id: AttemptId,
    to: AttemptState,
    actor: &Actor,
) -> Result<(), NotDone> {
    let store = &sources.store;
    let Some(attempt) = store.attempt(id).await? else {
        return refused(format!("there is no attempt {id}"));
    };
    if attempt.state != AttemptState::NeedsHuman {
        return refused(format!(
            "attempt {id} is {}; only one that is needs_human waits for a person",
            attempt.state
        ));
    }
    let step = Step {
        to,
        detail: format!("settled by a person: {}", actor.reason),
        http_status: attempt.http_status,
        verify_at: None,
        confirmed: None,
    };
    store.advance(id, &step, actor, sources.now()).await?;
    Ok(())
}

/// What it means that findings are acknowledged, in words.
pub const ACKNOWLEDGED: &str = "no job writes to their requests and orders until a request's status or cancellation changes (of an issue's \
     finding: the issue does), or you take it back";

/// Lets the order be tried again that a text means in these orgs.
pub async fn retry(
    sources: &Sources,
    orgs: &[Org],
    reference: &str,
    actor: &Actor,
) -> Result<(Org, ExternalReference), NotDone> {
    let mut meant = BTreeSet::new();
    for org in orgs {
        for order in orders(sources, org, reference).await? {
            meant.insert((org.clone(), order));
        }
    }
    if meant.len() > 1 {
        let shown: Vec<String> = meant
            .iter()
            .map(|(org, order)| format!("order {order} of {org}"))
            .collect();
        let shown = shown.join(", ");
        return refused(format!(
            "{reference:?} means several: {shown}; name the order, and its --org"
        ));
    }
    let Some((org, order)) = meant.pop_first() else {
        return refused(format!(
            "nothing is known of {reference:?}: no request that was read, and no attempt"
        ));
    };
    let done = sources
        .store
        .retry_order(&org, &order, actor, sources.now());
    if let Err(open) = done.await? {
        return refused(format!(
            "attempt {open} for order {order} is not settled yet, and nothing is sent beside it: see `tesa-reconciler \
             explain {order}`; one that needs_human is settled by `tesa-reconciler attempts settle {open} …`"
        ));
    }
    Ok((org, order))
}

/// The orders that a text means in an org.
async fn orders(
    sources: &Sources,
    org: &Org,
    reference: &str,
) -> Result<BTreeSet<ExternalReference>, StoreError> {
    let store = &sources.store;
    let filter = AttemptFilter {
        org: Some(org.clone()),
        reference: Some(reference.to_owned()),
        ..AttemptFilter::default()
    };
    let attempts = store.attempts(&filter, Page::first(100)).await?;
    let mut orders: BTreeSet<ExternalReference> = attempts
        .into_iter()
        .map(|attempt| attempt.external_reference)
        .collect();
    let seen = store.find_observations(Some(org), reference).await?;
    orders.extend(
        seen.into_iter()
            .filter_map(|(_, seen)| seen.external_reference),
    );
    let named = ExternalReference::new(reference);
    let marked = store.order_marks(org, std::slice::from_ref(&named)).await?;
    orders.extend(marked.into_iter().map(|(order, _)| order));
    Ok(orders)
}
