//! The stages of a survey, running side by side in one task: a listing that feeds, batches that are read and decided
//! several at a time, and the sink.
//!
//! Side by side, because each waits for something else (the list for the upstream and the store, the reads for the
//! upstream, the sink for the store), and the reads must never wait for the others. Every stage hands on through a
//! queue of one, so a slow stage holds back those before it, up to the list. One batch's last answers come in while
//! the next batch's first questions go out; how many reads are in flight altogether is the client's to bound.

use futures::channel::mpsc::{self, Receiver, Sender};
use futures::future::{BoxFuture, FutureExt};
use futures::{SinkExt, StreamExt};

use super::{Desk, PlanSink, Portion, Survey, SurveyError, Tally};
use crate::domain::ids::ReferenceId;

/// Batches being read at a time: one that ends, one in full swing, one that begins.
const BATCHES: usize = 3;

/// What a listing hands on. Its own failure comes last: what it found before is worth taking.
enum Work {
    Decided(Portion),
    Read(Vec<ReferenceId>),
    Failed(SurveyError),
}

/// Takes what a listing found. Dropped with ids still pending, it takes them along: only a listing that came to its
/// end is [finished](Self::finish).
pub(in crate::reconcile) struct Feed {
    work: Sender<Work>,
    pending: Vec<ReferenceId>,
    batch: usize,
    selected: u64,
}

impl Feed {
    fn new(batch: usize) -> (Self, Receiver<Work>) {
        let (work, taken) = mpsc::channel(0);
        let feed = Self {
            work,
            pending: Vec::new(),
            batch,
            selected: 0,
        };
        (feed, taken)
    }

    /// So many more requests are what the job is about.
    pub(in crate::reconcile) fn selected(&mut self, count: usize) {
        self.selected += count as u64;
    }

    /// These need no read.
    pub(in crate::reconcile) async fn decided(
        &mut self,
        portion: Portion,
    ) -> Result<(), SurveyError> {
        self.send(Work::Decided(portion)).await
    }

    /// These must be read. Whatever the chunks they come in, they are read in full batches.
    pub(in crate::reconcile) async fn read(
        &mut self,
        ids: Vec<ReferenceId>,
    ) -> Result<(), SurveyError> {
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
        self.work.send(work).await.map_err(|_| SurveyError::Stopped)
    }
}

impl Survey<'_> {
    /// Looks at everything that the job is about.
    pub async fn look(&self, sink: &mut dyn PlanSink) -> Result<Tally, SurveyError> {
        let (feed, work) = Feed::new(self.desk.map_or(self.batch, Desk::batch));
        let (decided, portions) = mpsc::channel(0);
        let list = async move {
            let mut feed = feed;
            match self.list_all(&mut feed).await {
                Ok(()) => feed.finish().await,
                Err(error) => feed.send(Work::Failed(error)).await.map(|()| 0),
            }
        };
        let read = work.map(|work| self.carry_out(work));
        let read = match self.desk {
            None => read.buffered(BATCHES).left_stream(),
            // In no order: a batch that waits for somebody who died must not hold up the others.
            Some(desk) => read.buffer_unordered(desk.window()).right_stream(),
        };
        let read = read
            .map(Ok)
            .forward(decided.sink_map_err(|_| SurveyError::Stopped));
        let (selected, (), tally) = futures::try_join!(list, read, self.take(portions, sink))?;
        Ok(Tally { selected, ..tally })
    }

    fn carry_out(&self, work: Work) -> BoxFuture<'_, Result<Portion, SurveyError>> {
        match work {
            Work::Decided(portion) => std::future::ready(Ok(portion)).boxed(),
            Work::Read(ids) => match self.desk {
                None => self.read_and_decide(ids).boxed(),
                Some(desk) => desk.read(self, ids).boxed(),
            },
            Work::Failed(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    /// The last stage: portions in the order in which they were listed (or of a shared run in any), up to the first failure. A look is remembered
    /// once what it told is: a request that counted as looked at, with its findings lost, would not be read again.
    async fn take(
        &self,
        mut portions: Receiver<Result<Portion, SurveyError>>,
        sink: &mut dyn PlanSink,
    ) -> Result<Tally, SurveyError> {
        let (mut tally, mut cut_short) = (Tally::default(), false);
        while let Some(portion) = portions.next().await {
            let portion = portion?;
            tally.observed += portion.tally.observed;
            tally.unchanged += portion.tally.unchanged;
            tally.failed += portion.tally.failed;
            sink.unchanged(&portion.kept);
            if !portion.items.is_empty() {
                sink.accept(portion.items).await?;
            }
            self.remember_looks(&portion.looks, &portion.not_looked_at)
                .await?;
            cut_short |= portion.cut_short;
        }
        if cut_short {
            return Err(SurveyError::Stopped);
        }
        Ok(tally)
    }
}
