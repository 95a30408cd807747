//! The stages of a survey, running side by side: a listing that feeds, batches that are read, what was read decided on,
//! and the sink.
//!
//! Side by side, because each waits for something else (the list for the upstream and the store, the reads for the
//! upstream, the sink for the store), and the reads must never wait for the others.
//!
//! A batch begins only when there is room for what it will come to, up to the sink: so a slow sink holds back the
//! stages before it, up to the list. But what has begun is never held back: it may be in the middle of a transaction,
//! and the sink waiting for just that.

use std::sync::Arc;

use futures::channel::mpsc::{self, Receiver, Sender, UnboundedReceiver};
use futures::future::{BoxFuture, FutureExt};
use futures::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reading::{Found, ToRead};
use super::{PlanSink, Portion, Survey, SurveyError, Tally};
use crate::domain::ReadOperation;
use crate::reconcile::claims::Checked;
use crate::reconcile::reads::Reads;
use crate::store::findings::Sighting;
use crate::tesamanager::ReadError;

/// Batches under way: one that is being read, one that was read, two that are being decided on.
const BATCHES: usize = 4;

/// Batches being decided on at a time: while one waits for the store, the other goes on.
const DECIDED_AT_ONCE: usize = 2;

/// Portions that may wait for the sink, beside those under way.
const WAITING: usize = 2;

/// What a listing hands on. Its own failure comes last: what it found before is worth taking.
pub(super) enum Work {
    /// Needs no read.
    Decided(Portion),
    /// To be read.
    Read(Vec<ToRead>),
    /// The end.
    Failed(SurveyError),
}

/// Given back on drop.
pub(super) type Room = Option<OwnedSemaphorePermit>;

/// What a batch came to, and the room that it takes until the sink has it.
struct Ready {
    portion: Result<Portion, SurveyError>,
    _room: Room,
}

/// Takes what a listing found. Dropped with ids still pending, it takes them along: only a listing that came to its
/// end is [finished](Self::finish).
pub(in crate::reconcile) struct Feed {
    work: Sender<(Work, Room)>,
    room: Arc<Semaphore>,
    pending: Vec<ToRead>,
    batch: usize,
    selected: u64,
    /// No run is about more.
    most: u64,
}

impl Feed {
    fn new(batch: usize, room: usize, most: u64) -> (Self, Receiver<(Work, Room)>) {
        let (work, taken) = mpsc::channel(0);
        let feed = Self {
            work,
            room: Arc::new(Semaphore::new(room)),
            pending: Vec::new(),
            batch,
            selected: 0,
            most,
        };
        (feed, taken)
    }

    /// So many more requests are what the job is about.
    pub(in crate::reconcile) fn selected(&mut self, count: usize) -> Result<(), SurveyError> {
        self.selected += count as u64;
        if self.selected > self.most {
            let operation = ReadOperation::ListReferenceIds.as_str();
            return Err(ReadError::too_many_ids(operation, self.most).into());
        }
        Ok(())
    }

    /// These need no read.
    pub(in crate::reconcile) async fn decided(
        &mut self,
        portion: Portion,
    ) -> Result<(), SurveyError> {
        self.send(Work::Decided(portion)).await
    }

    /// So many did not change.
    pub(in crate::reconcile) async fn unchanged(&mut self, count: u64) -> Result<(), SurveyError> {
        let tally = Tally {
            unchanged: count,
            ..Tally::default()
        };
        self.decided(Portion {
            tally,
            ..Portion::default()
        })
        .await
    }

    /// A look at what lists claim brought this.
    pub(in crate::reconcile) async fn checked(
        &mut self,
        checked: Checked,
    ) -> Result<(), SurveyError> {
        // Samples are no part of what the job is about.
        let tally = Tally {
            failed: checked.reads.failures(),
            not_found: checked.reads.unknown(),
            ..Tally::default()
        };
        self.decided(Portion {
            tally,
            ..Portion::default()
        })
        .await?;
        self.contradicted(checked.sightings).await
    }

    /// A read contradicts these lists.
    pub(in crate::reconcile) async fn contradicted(
        &mut self,
        sightings: Vec<Sighting>,
    ) -> Result<(), SurveyError> {
        self.decided(Portion {
            contradicted: sightings,
            ..Portion::default()
        })
        .await
    }

    /// So much was read to find out what is over.
    pub(in crate::reconcile) async fn read_beside(
        &mut self,
        reads: &Reads,
    ) -> Result<(), SurveyError> {
        let tally = Tally {
            observed: reads.count(),
            failed: reads.failures(),
            not_found: reads.unknown(),
            ..Tally::default()
        };
        self.decided(Portion {
            tally,
            ..Portion::default()
        })
        .await
    }

    /// These must be read. Whatever the chunks they come in, they are read in full batches.
    pub(in crate::reconcile) async fn read(&mut self, ids: Vec<ToRead>) -> Result<(), SurveyError> {
        self.pending.extend(ids);
        while self.pending.len() >= self.batch {
            let rest = self.pending.split_off(self.batch);
            let batch = std::mem::replace(&mut self.pending, rest);
            self.send(Work::Read(batch)).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, SurveyError> {
        if !self.pending.is_empty() {
            let batch = std::mem::take(&mut self.pending);
            self.send(Work::Read(batch)).await?;
        }
        Ok(self.selected)
    }

    /// The next stage ends before its feed only when the whole survey does.
    async fn send(&mut self, work: Work) -> Result<(), SurveyError> {
        // Nobody closes the semaphore.
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        let sent = self.work.send((work, room)).await;
        sent.map_err(|_| SurveyError::Stopped)
    }
}

impl Survey<'_> {
    /// Looks at everything that the job is about.
    pub async fn look(&self, sink: &mut dyn PlanSink) -> Result<Tally, SurveyError> {
        let (feed, work) = Feed::new(self.batch, BATCHES + WAITING, self.max_list_ids);
        let (decided, portions) = mpsc::unbounded();
        let list = async move {
            let mut feed = feed;
            match self.list_all(&mut feed).await {
                Ok(()) => feed.finish().await,
                Err(error) => feed.send(Work::Failed(error)).await.map(|()| 0),
            }
        };
        let read = self.reader().ahead(work);
        let read = read
            .map(|(found, room)| self.decide_on(found, room))
            .buffered(DECIDED_AT_ONCE)
            .map(Ok)
            .forward(decided.sink_map_err(|_| SurveyError::Stopped));
        let (selected, (), tally) = futures::try_join!(list, read, self.take(portions, sink))?;
        Ok(Tally { selected, ..tally })
    }

    fn decide_on(&self, found: Found, room: Room) -> BoxFuture<'_, Ready> {
        async move {
            let portion = match found {
                Found::Decided(portion) => Ok(portion),
                Found::Read(asked, read) => self.decide(asked, read).await,
                Found::Failed(error) => Err(error),
            };
            Ready {
                portion,
                _room: room,
            }
        }
        .boxed()
    }

    /// The last stage: portions in the order in which they were listed, up to the first
    /// failure. A look is remembered once what it told is: a request that counted as looked at, with its findings lost,
    /// would not be read again.
    async fn take(
        &self,
        mut portions: UnboundedReceiver<Ready>,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let (mut tally, mut cut_short) = (Tally::default(), false);
        while let Some(ready) = portions.next().await {
            let portion = ready.portion?;
            tally.observed += portion.tally.observed;
            tally.unchanged += portion.tally.unchanged;
            tally.failed += portion.tally.failed;
            tally.not_found += portion.tally.not_found;
            if !portion.healthy.is_empty() {
                sink.healthy(portion.healthy).await?;
            }
            if !portion.contradicted.is_empty() {
                sink.contradicted(portion.contradicted).await?;
            }
            if !portion.items.is_empty() {
                sink.accept(portion.items).await?;
            }
            self.remember_looks(&portion.looks, &portion.again, &portion.not_looked_at)
                .await?;
            cut_short |= portion.cut_short;
        }
        if cut_short {
            return Err(SurveyError::Stopped);
        }
        Ok(tally)
    }
}
