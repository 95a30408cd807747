//! Backing off after failures, and saying so once.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Short, because a person's pause or trigger waits for it too.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A streak of failures. Measured on the monotonic clock: a wall clock that is set must not prolong it.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    streak: Option<(Instant, Duration)>,
}

impl Backoff {
    /// It is too early to try again.
    pub(super) fn waits(&self) -> bool {
        self.streak
            .is_some_and(|(retry_at, _)| Instant::now() < retry_at)
    }

    /// It failed. True for the first failure of a streak: the one to log.
    pub(super) fn failed(&mut self) -> bool {
        let (first, pause) = match self.streak {
            None => (true, FIRST_PAUSE),
            Some((_, pause)) => (false, (pause * 2).min(LONGEST_PAUSE)),
        };
        self.streak = Some((Instant::now() + pause, pause));
        first
    }

    /// It worked. True if it ends a streak.
    pub(super) fn succeeded(&mut self) -> bool {
        self.streak.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_limit_and_only_the_first_failure_is_news() {
        let mut backoff = Backoff::default();
        assert!(!backoff.waits());
        for (n, seconds) in [1, 2, 4, 8, 10, 10].into_iter().enumerate() {
            assert_eq!(backoff.failed(), n == 0);
            tokio::time::advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(backoff.waits(), "pause {n}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(!backoff.waits(), "pause {n}");
        }
        assert!(backoff.succeeded());
        assert!(!backoff.succeeded());
    }
}
