//! Reading requests, and whatever else of them the job decides on.
//!
//! A survey's batches are read by two tasks of their own: so answers are taken in and decoded on any core, and the next
//! questions go out at once, whatever the survey itself is busy with. They share the reads at once between them, so that
//! neither waits for the other's place. A task a request would cost more than it brings.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::channel::mpsc::Receiver;
use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::pipeline::{Room, Work};
use super::{Portion, SurveyError};
use crate::config::JobKind;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Beside, Event, EventCheck, Issue, Observation, Sight};
use crate::reconcile::events;
use crate::tesamanager::{ReadError, Tesamanager};

/// That read one batch.
const TASKS: usize = 2;

/// What reading one request brought.
pub(in crate::reconcile) struct Reading {
    /// Which.
    pub id: ReferenceId,
    /// As it stands now; none where what was read beside it shows that nothing is wrong.
    pub request: Option<Result<Observation, ReadError>>,
    /// What the job decides on beside it.
    pub rest: Rest,
}

/// A request to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::reconcile) struct ToRead {
    /// Which.
    pub id: ReferenceId,
    /// The request itself too, whatever is beside it.
    pub whole: bool,
}

/// See [`Reading::rest`].
pub(in crate::reconcile) enum Rest {
    /// Nothing, or the request itself could not be read.
    NotAsked,
    /// Its issues.
    Issues(Result<Vec<Issue>, ReadError>),
    /// Its events.
    Events(Result<Vec<Event>, ReadError>),
}

impl Rest {
    /// For the request's history; none where nothing was read.
    pub(super) fn sight(&self, id: &ReferenceId, at: DateTime<Utc>) -> Option<Sight> {
        let mut beside = match self {
            Self::Issues(Ok(issues)) => Beside::Issues(issues.clone()),
            Self::Events(Ok(events)) => Beside::last_of(events),
            _ => return None,
        };
        beside.belongs_to(id);
        Some(Sight {
            reference_id: id.clone(),
            at,
            beside,
        })
    }
}

/// What a listing found, read.
pub(super) enum Found {
    /// It needed no read.
    Decided(Portion),
    /// Of so many requests.
    Read(usize, Vec<Reading>),
    /// The listing's end, or the reads'.
    Failed(SurveyError),
}

/// Reads for a survey.
pub(super) struct Reader {
    pub api: Arc<dyn Tesamanager>,
    pub org: Org,
    pub kind: JobKind,
    pub event_checks: Vec<EventCheck>,
    /// Reads at once.
    pub at_once: usize,
    /// Told to stop, it asks no more.
    pub stop: CancellationToken,
}

impl Reader {
    /// A batch, in no order. Told to stop in the middle of it, it drops its reads and answers what it has. An answer that ends the run ends it
    /// at once.
    pub(super) async fn batch(
        &self,
        ids: Vec<ToRead>,
        at_once: usize,
    ) -> Result<Vec<Reading>, SurveyError> {
        if self.stop.is_cancelled() {
            return Err(SurveyError::Stopped);
        }
        let mut readings = Vec::with_capacity(ids.len());
        let asked = stream::iter(ids)
            .map(|one| self.one(one))
            .buffer_unordered(at_once);
        tokio::pin!(asked);
        loop {
            let next = tokio::select! {
                biased;
                next = asked.next() => next,
                () = self.stop.cancelled() => break,
            };
            let Some(reading) = next else { break };
            readings.push(reading?);
        }
        Ok(readings)
    }

    /// What is beside the request first: mostly nothing is wrong with it, and then the request need not be read.
    async fn one(&self, ToRead { id, whole }: ToRead) -> Result<Reading, ReadError> {
        let (api, org) = (&*self.api, &self.org);
        let (rest, is_enough) = match self.kind {
            JobKind::ResolveIssues => {
                let issues = unless_it_ends_the_run(api.get_request_issues(org, &id).await)?;
                let solved = |issues: &Vec<Issue>| issues.iter().all(|issue| issue.resolved);
                let enough = issues.as_ref().is_ok_and(solved);
                (Rest::Issues(issues), enough)
            }
            JobKind::FlagEvents => {
                let events = unless_it_ends_the_run(api.get_request_events(org, &id).await)?;
                let in_order =
                    |events: &Vec<Event>| events::are_in_order(events, &self.event_checks);
                let enough = events.as_ref().is_ok_and(in_order);
                (Rest::Events(events), enough)
            }
            JobKind::RetryStuck | JobKind::Housekeeping => (Rest::NotAsked, false),
        };
        let request = if is_enough && !whole {
            None
        } else {
            let request = unless_it_ends_the_run(api.get_request(org, &id).await)?;
            Some(request.map(|request| request.seen))
        };
        Ok(Reading { id, request, rest })
    }

    /// Reads all that a listing feeds, in its order, up to the first failure. Dropped, it leaves the rest.
    pub(super) fn ahead(self, work: Receiver<(Work, Room)>) -> impl Stream<Item = (Found, Room)> {
        let reader = Arc::new(self);
        let found = work.then(move |(work, room)| {
            let reader = Arc::clone(&reader);
            async move {
                let found = match work {
                    Work::Decided(portion) => Found::Decided(portion),
                    Work::Failed(error) => Found::Failed(error),
                    Work::Read(ids) => reader.apart(ids).await,
                };
                (found, room)
            }
        });
        // Nothing more is asked after a failure.
        found.scan(false, |failed, found| {
            let over = std::mem::replace(failed, matches!(found.0, Found::Failed(_)));
            std::future::ready((!over).then_some(found))
        })
    }

    /// A batch, in tasks of its own.
    async fn apart(self: Arc<Self>, mut ids: Vec<ToRead>) -> Found {
        let asked = ids.len();
        let rest = ids.split_off(asked.div_ceil(TASKS));
        let tasks = [ids, rest].map(|part| Arc::clone(&self).task(part));
        match futures::future::try_join_all(tasks).await {
            Ok(parts) => Found::Read(asked, parts.into_iter().flatten().collect()),
            Err(error) => Found::Failed(error),
        }
    }

    async fn task(self: Arc<Self>, ids: Vec<ToRead>) -> Result<Vec<Reading>, SurveyError> {
        let at_once = self.at_once.div_ceil(TASKS);
        let read = async move { self.batch(ids, at_once).await };
        match AbortOnDropHandle::new(tokio::spawn(read.in_current_span())).await {
            Ok(read) => read,
            Err(ended) => match ended.try_into_panic() {
                // The run's own, as if there were no task.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(SurveyError::Stopped),
            },
        }
    }
}

/// Most errors concern one request only.
fn unless_it_ends_the_run<T>(
    read: Result<T, ReadError>,
) -> Result<Result<T, ReadError>, ReadError> {
    match read {
        Err(error) if error.ends_the_run() => Err(error),
        read => Ok(read),
    }
}
