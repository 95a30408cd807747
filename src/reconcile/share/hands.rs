//! Takes parts of runs and does them: the loop that a run has for its own parts, and a process for those of others.
//!
//! Taking and doing go side by side in one task. A part's claim is renewed while it is done; when it is lost (the run
//! is over, the store was away for too long), a read is dropped and no write is begun any more.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::load::Load;
use super::{HOLD, HOLD_EVERY, LOOK_EVERY, Sharing};
use crate::clock::Clock;
use crate::domain::ids::ReplicaId;
use crate::store::work::{Claim, Claimed, Scope};
use crate::store::{Store, StoreError};

pub use super::part::Undone;

/// How often an answer is tried to be given while the store is away, and the pause in between. After that the claim has
/// run out, and somebody else does the part.
const ANSWER_TRIES: u32 = 10;
const ANSWER_PAUSE: Duration = Duration::from_millis(500);

/// Whoever has parts in hand waits so long for each before it takes another: those who have none go first, and at the end
/// of a run all are done at about the same time.
const AFTER_YOU: Duration = Duration::from_millis(10);

/// What somebody is able to do.
#[async_trait]
pub trait Bench: Send + Sync {
    /// Which parts; none for now when there can't be any.
    fn scope(&self) -> Option<Scope>;

    /// Does one. Dropped only when it is a read.
    async fn do_part(&self, claimed: &Claimed, stop: &CancellationToken) -> Result<Value, Undone>;
}

/// Whose hands, and where the parts are.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// Where the parts are.
    pub store: &'a dyn Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Who takes them.
    pub replica: &'a ReplicaId,
    /// Wakes the hands.
    pub sharing: &'a Sharing,
}

impl Hands<'_> {
    /// Takes and does parts until `stop`, then finishes or gives back what is in hand. `turn` is told each time the loop
    /// has come around, with the store's error if it had one; what it answers as an error ends the loop at once.
    pub async fn work(
        &self,
        bench: &dyn Bench,
        stop: &CancellationToken,
        turn: impl FnMut(Result<(), StoreError>) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let (give, taken) = unbounded();
        let load = Load::default();
        let take = self.take(bench, &load, give, stop, turn);
        let carry_out = self.carry_out(bench, &load, taken, stop).map(Ok);
        futures::try_join!(take, carry_out)?;
        Ok(())
    }

    /// Does what was taken, until nothing more can come.
    async fn carry_out(
        &self,
        bench: &dyn Bench,
        load: &Load,
        mut taken: UnboundedReceiver<Claimed>,
        stop: &CancellationToken,
    ) {
        let (mut in_hand, mut more) = (FuturesUnordered::new(), true);
        while more || !in_hand.is_empty() {
            tokio::select! {
                next = taken.next(), if more => match next {
                    Some(claimed) => in_hand.push(self.see_to(bench, claimed, load, stop).boxed()),
                    None => more = false,
                },
                Some(()) = in_hand.next() => {}
            }
        }
    }

    async fn take(
        &self,
        bench: &dyn Bench,
        load: &Load,
        give: UnboundedSender<Claimed>,
        stop: &CancellationToken,
        mut turn: impl FnMut(Result<(), StoreError>) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let mut posted = self.sharing.posted.subscribe();
        while !stop.is_cancelled() {
            tokio::time::sleep(AFTER_YOU * load.in_hand()).await;
            // Before the look, so that what is posted after it is not missed.
            posted.mark_unchanged();
            match self.claim(bench, load).await {
                Ok(Some(claimed)) => {
                    load.begin(claimed.claim.lease.run_id, claimed.kind);
                    // The other end is taken from until this one is dropped.
                    let _ = give.unbounded_send(claimed);
                    turn(Ok(()))?;
                    continue;
                }
                Ok(None) => turn(Ok(()))?,
                Err(error) => turn(Err(error))?,
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = load.less.notified() => {}
                // The sender lives as long as `sharing` does.
                _ = posted.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        Ok(())
    }

    async fn claim(&self, bench: &dyn Bench, load: &Load) -> Result<Option<Claimed>, StoreError> {
        let Some(scope) = bench.scope() else {
            return Ok(None);
        };
        let busy = load.busy(Instant::now());
        self.store
            .claim_work(self.replica, &scope, &busy, HOLD, self.clock.now())
            .await
    }

    /// Does one part and answers it, or gives it back.
    async fn see_to(
        &self,
        bench: &dyn Bench,
        claimed: Claimed,
        load: &Load,
        stop: &CancellationToken,
    ) {
        let (claim, stop) = (&claimed.claim, stop.child_token());
        let doing = AssertUnwindSafe(bench.do_part(&claimed, &stop)).catch_unwind();
        let keeping = self.keep(claim, &stop);
        tokio::pin!(doing, keeping);
        let done = tokio::select! {
            done = &mut doing => done,
            // The claim is lost, so `stop` is cancelled: what can't be dropped is still finished.
            () = &mut keeping => doing.await,
        };
        let done = done.unwrap_or_else(|_| Err(Undone::Trouble("it broke off".to_owned())));
        let (run_id, part) = (claim.lease.run_id, claim.part);
        let troubled = matches!(done, Err(Undone::Trouble(_)));
        let told = match &done {
            Ok(result) => self.answer(claim, result).await,
            Err(Undone::Stopped) => self.store.return_work(claim, None).await,
            Err(Undone::Trouble(trouble)) => {
                tracing::warn!(
                    run_id = run_id.0,
                    part,
                    trouble,
                    "a part of a run did not go"
                );
                self.store.return_work(claim, Some(trouble)).await
            }
        };
        match told {
            Ok(()) if done.is_ok() => {
                self.sharing.answered.send_replace(());
            }
            // Over, or somebody else's by now.
            Ok(()) | Err(StoreError::Fenced { .. }) => {}
            Err(error) => {
                tracing::warn!(run_id = run_id.0, part, %error, "a part of a run is left to others");
            }
        }
        load.end(run_id, claimed.kind, troubled);
    }

    /// Renews the claim; returns when it is lost, with `stop` cancelled.
    async fn keep(&self, claim: &Claim, stop: &CancellationToken) {
        let mut held = Instant::now();
        loop {
            tokio::time::sleep(HOLD_EVERY).await;
            let asked = Instant::now();
            match self.store.hold_work(claim, HOLD, self.clock.now()).await {
                Ok(()) => held = asked,
                Err(StoreError::Fenced { .. }) => break,
                // Somebody else may have it by now.
                Err(_) if held.elapsed() >= HOLD => break,
                Err(_away) => {}
            }
        }
        stop.cancel();
    }

    async fn answer(&self, claim: &Claim, result: &Value) -> Result<(), StoreError> {
        let mut tries = 1;
        loop {
            match self.store.answer_work(claim, result).await {
                Err(error) if error.is_outage() && tries < ANSWER_TRIES => {
                    tokio::time::sleep(ANSWER_PAUSE).await;
                    tries += 1;
                }
                told => return told,
            }
        }
    }
}
