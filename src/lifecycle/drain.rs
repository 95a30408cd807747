//! The end of the process: stop claiming, finish or park what is in flight, and be gone by the deadline.
//!
//! Two tokens. *Soft*: take nothing new, finish what you do. *Hard*: stop at the next await. Hard implies soft. A task
//! that heeds neither doesn't hold the process up: [`Lifecycle::shutdown`] returns all the same, and says who was left.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What tasks get after the hard stop, and what the last words to the store get after them: both within the drain's time.
pub const GRACE: Duration = Duration::from_secs(2);

/// A moment; of a short drain a quarter.
pub fn grace_of(drain_timeout: Duration) -> Duration {
    GRACE.min(drain_timeout / 4)
}

/// The process's tasks and the two ways to stop them. Clones share them.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    hard: CancellationToken,
    soft: CancellationToken,
    tracker: TaskTracker,
    names: Arc<Mutex<BTreeMap<u64, &'static str>>>,
    next: Arc<AtomicU64>,
}

/// What had not ended when the process did. Its tasks were not waited for any longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// So many tasks.
    pub tasks: usize,
    /// Those of them that have a name.
    pub names: Vec<&'static str>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        let hard = CancellationToken::new();
        Self {
            soft: hard.child_token(),
            hard,
            tracker: TaskTracker::new(),
            names: Arc::default(),
            next: Arc::default(),
        }
    }
}

impl Lifecycle {
    /// Cancelled when the process is to take nothing new.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when the process is to end now.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Everything that the end waits for.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Takes nothing new from here on.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Ends now.
    pub fn stop_now(&self) {
        self.hard.cancel();
    }

    /// Spawns a task that the end waits for; `name` is said of it should it not end.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, name);
        let named = Named {
            id,
            lifecycle: self.clone(),
        };
        self.tracker.spawn(async move {
            let _named = named;
            super::fault_injection::able(name, task).await
        })
    }

    /// Stops softly, waits for the tasks (or until the hard stop), stops hard, and waits a moment more: all of it so long
    /// before `drain_timeout` is over that the [last words](Self::last_words) fit in. None: all of them ended.
    ///
    /// What is left runs on until the runtime is dropped. Drop it with `shutdown_background` (or a time-out): a plain
    /// drop waits for blocking tasks without end.
    pub async fn shutdown(&self, drain_timeout: Duration) -> Option<Left> {
        let grace = grace_of(drain_timeout);
        self.soft.cancel();
        self.tracker.close();
        tokio::select! {
            biased;
            () = self.tracker.wait() => return None,
            () = self.hard.cancelled() => {}
            () = tokio::time::sleep(drain_timeout - 2 * grace) => {
                tracing::warn!(?drain_timeout, tasks = self.tracker.len(), "not drained in time: stopping now");
            }
        }
        self.hard.cancel();
        if timeout(grace, self.tracker.wait()).await.is_ok() {
            return None;
        }
        Some(Left {
            tasks: self.tracker.len(),
            names: self.lock().values().copied().collect(),
        })
    }

    /// What is to be said before the end, for as long as what is `left` of the drain's time; after a hard stop, and should
    /// one come meanwhile, for a moment only. False: it was cut.
    pub async fn last_words(&self, left: Duration, words: impl Future<Output = ()>) -> bool {
        let hard = self.hard.is_cancelled();
        let left = if hard { left.min(GRACE) } else { left };
        tokio::select! {
            biased;
            said = timeout(left, words) => said.is_ok(),
            () = self.hard.cancelled(), if !hard => false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, &'static str>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the name when its task ends, however it does.
struct Named {
    id: u64,
    lifecycle: Lifecycle,
}

impl Drop for Named {
    fn drop(&mut self) {
        self.lifecycle.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn drain_ends_by_its_deadline() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn("deaf", std::future::pending::<()>());
        lifecycle.tracker().spawn(std::future::pending::<()>());
        let begin = Instant::now();
        let left = lifecycle.shutdown(DRAIN).await;
        let drained = begin.elapsed();
        assert!(drained <= DRAIN - GRACE, "{drained:?}");
        let silent = std::future::pending();
        assert!(!lifecycle.last_words(DRAIN - drained, silent).await);
        assert!(begin.elapsed() <= DRAIN + Duration::from_millis(10));
        assert_eq!(
            left,
            Some(Left {
                tasks: 2,
                names: vec!["deaf"]
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_may_finish() {
        let lifecycle = Lifecycle::default();
        let (soft, hard) = (lifecycle.soft().clone(), lifecycle.hard().clone());
        let task = lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            hard.is_cancelled()
        });
        let begin = Instant::now();
        assert_eq!(lifecycle.shutdown(DRAIN).await, None);
        assert_eq!(begin.elapsed().as_secs(), 5, "not a second longer");
        assert!(!task.await.unwrap(), "nobody was stopped hard");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hard_stop_cuts_the_drain_short() {
        let lifecycle = Lifecycle::default();
        let hard = lifecycle.hard().clone();
        lifecycle.spawn("worker", async move { hard.cancelled().await });
        let impatient = lifecycle.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            impatient.stop_now();
        });
        let begin = Instant::now();
        assert_eq!(lifecycle.shutdown(DRAIN).await, None);
        assert_eq!(begin.elapsed().as_secs(), 3);
        assert!(lifecycle.soft().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panicked_is_not_waited_for() {
        let lifecycle = Lifecycle::default();
        let task = lifecycle.spawn("worker", async { panic!("as told") });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(lifecycle.shutdown(DRAIN).await, None);
    }
}
