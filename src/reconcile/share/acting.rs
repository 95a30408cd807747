//! The writes of a shared run: offered one by one, oldest first, a few at a time.
//!
//! One write a part, because a write costs the store a handful of statements anyway, and what became of a part is then
//! what became of its write. Every check is made where it always is, by the guard in the intent's own transaction, so
//! caps and pauses hold however many replicas send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::desk::{Acted, Desk};
use crate::config::Job;
use crate::domain::SkipReason;
use crate::reconcile::recorder::{Candidate, Recorder, oldest_first};
use crate::reconcile::runner::Reconciler;
use crate::reconcile::survey::SurveyError;
use crate::store::runs::RunSummary;

/// Once told to stop, how often to look whether those that have begun a write still live.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Acts on the candidates, until a cap is reached or something forbids the rest.
    pub(in crate::reconcile) async fn act_together(
        &self,
        desk: &Desk<'_>,
        job: &Arc<Job>,
        candidates: Vec<Candidate>,
        recorder: &mut Recorder<'_>,
        stop: &CancellationToken,
        summary: &mut RunSummary,
    ) -> Result<(), SurveyError> {
        let mut left = VecDeque::from(candidates);
        let mut begun = FuturesUnordered::new();
        let mut over: Option<(SkipReason, String)> = None;
        loop {
            let stopping = stop.is_cancelled();
            if stopping && over.is_none() {
                over = Some((SkipReason::Draining, "the run is stopping".to_owned()));
                desk.withdraw(false).await?;
            }
            while over.is_none()
                && begun.len() < desk.window()
                && let Some(candidate) = left.pop_front()
            {
                // Posted here and not by what waits: that is not looked after while an answer is dealt with below,
                // and must hold nothing of the store's meanwhile.
                let answer = desk.offer(&candidate).await?;
                begun.push(async move { (candidate, answer.await) }.boxed());
            }
            let (candidate, acted) = tokio::select! {
                acted = begun.next() => match acted {
                    Some(acted) => acted,
                    None => break,
                },
                () = stop.cancelled(), if !stopping => continue,
                () = tokio::time::sleep(LOOK_AGAIN), if stopping => {
                    desk.withdraw(true).await?;
                    continue;
                }
            };
            match acted? {
                Acted::Withdrawn => left.push_back(candidate),
                Acted::Done(done) => {
                    let ends = self
                        .settled(job, &candidate, done, recorder, summary)
                        .await?;
                    if ends.is_some() && over.is_none() {
                        over = ends;
                        desk.withdraw(false).await?;
                    }
                }
            }
        }
        if let Some((reason, why)) = over {
            let mut rest = Vec::from(left);
            oldest_first(&mut rest);
            self.leave_all(job, recorder, rest, reason, &why).await?;
        }
        Ok(())
    }
}
