//! The alarm clock: says when to look at the schedule again. The only user of tokio-cron-scheduler.
//!
//! That crate wakes us and does nothing more, because what it says about time can't be relied on (version 0.15.1,
//! measured): it polls the wall clock every 500 ms, so cron jobs fire some 300 ms late and one-shots up to a second
//! early; a repeat of 2.5 s comes every 2 s; ticks are lost when its channel is full, and may double; it keeps the
//! offset of the day it was started on, so after a DST change a 09:00 job fires at 08:00; its shutdown waits for
//! nothing. So it is set to the jobs' own schedules and its closures ring a bell, no instant is ever taken from it, and
//! beside the bell stands a sleep of our own. Whoever is woken looks at the wall clock: a lost, doubled, early or late ring
//! changes nothing.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobSchedulerError};
use uuid::Uuid;

use super::spec::When;
use crate::clock::SharedClock;

/// The longest sleep between two looks at the wall clock. A sleep is measured on the monotonic clock, which knows
/// nothing of a wall clock that was set, or of a machine that was suspended.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// Waits for instants of the wall clock.
pub struct Ticker {
    clock: SharedClock,
    bell: Arc<Notify>,
    #[expect(
        clippy::disallowed_types,
        reason = "this file is the alarm clock's one owner"
    )]
    alarm: Option<tokio_cron_scheduler::JobScheduler>,
    /// To what it is set.
    set: Vec<(When, Uuid)>,
}

/// The alarm clock can't be set up.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler's alarm clock does not start: {0}")]
pub struct AlarmError(#[from] JobSchedulerError);

impl Ticker {
    /// Begins with an alarm that is set to nothing yet, and goes on until [`Ticker::stop`].
    #[expect(
        clippy::disallowed_types,
        reason = "this file is the alarm clock's one owner"
    )]
    pub async fn start(clock: SharedClock) -> Result<Self, AlarmError> {
        let mut ticker = Self::without_alarm(clock);
        let alarm = tokio_cron_scheduler::JobScheduler::new().await?;
        alarm.start().await?;
        ticker.alarm = Some(alarm);
        Ok(ticker)
    }

    /// Only the sleep of our own: what is left when the alarm fails, and what tests use.
    pub fn without_alarm(clock: SharedClock) -> Self {
        Self {
            clock,
            bell: Arc::new(Notify::new()),
            alarm: None,
            set: Vec::new(),
        }
    }

    /// Sets the alarm to these schedules and to no others. What it does not take is said; our own sleep goes by it all the
    /// same.
    pub async fn set(&mut self, schedules: &[When]) {
        let Some(alarm) = &self.alarm else {
            return;
        };
        for (when, id) in std::mem::take(&mut self.set) {
            if schedules.contains(&when) {
                self.set.push((when, id));
            } else if let Err(error) = alarm.remove(&id).await {
                tracing::debug!(%error, schedule = %when, "the alarm clock keeps a schedule that is over");
            }
        }
        for when in schedules {
            if self.set.iter().any(|(set, _)| set == when) {
                continue;
            }
            let added = match self.ring(when) {
                Ok(ring) => alarm.add(ring).await,
                Err(error) => Err(error),
            };
            match added {
                Ok(id) => self.set.push((when.clone(), id)),
                Err(error) => {
                    tracing::warn!(%error, schedule = %when, "the alarm clock does not take the schedule: runs may begin late");
                }
            }
        }
    }

    fn ring(&self, when: &When) -> Result<Job, JobSchedulerError> {
        let bell = Arc::clone(&self.bell);
        match when {
            When::Cron { text, zone, .. } => {
                Job::new_tz(text, *zone, move |_, _| bell.notify_waiters())
            }
            When::Every(interval) => {
                Job::new_repeated(*interval, move |_, _| bell.notify_waiters())
            }
        }
    }

    /// The bell: ringing it makes a waiter look at the wall clock.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Returns once the wall clock shows `instant` or later; never, for None. Cancel safe.
    pub async fn wait_until(&self, instant: Option<DateTime<Utc>>) {
        loop {
            let rung = self.bell.notified();
            let left = match instant {
                None => LOOK_AT_LEAST_EVERY,
                Some(instant) => match (instant - self.clock.now()).to_std() {
                    Err(_) | Ok(Duration::ZERO) => return,
                    Ok(left) => left.min(LOOK_AT_LEAST_EVERY),
                },
            };
            tokio::select! {
                biased;
                () = rung => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Stops the alarm. Nothing is waited for: the alarm has nothing to lose.
    pub async fn stop(&mut self) {
        if let Some(mut alarm) = self.alarm.take()
            && let Err(error) = alarm.shutdown().await
        {
            tracing::debug!(%error, "the alarm clock did not stop");
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::clock::{Clock, ManualClock, SystemClock};

    fn noon() -> DateTime<Utc> {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_set_ahead_is_noticed_without_a_ring() {
        let clock = Arc::new(ManualClock::new(noon(), 1));
        let ticker = Ticker::without_alarm(clock.clone());
        let instant = noon() + TimeDelta::hours(5);
        let wait = ticker.wait_until(Some(instant));
        tokio::pin!(wait);
        assert!(
            tokio::time::timeout(Duration::from_secs(1), &mut wait)
                .await
                .is_err()
        );
        clock.set(instant);
        tokio::time::timeout(LOOK_AT_LEAST_EVERY, wait)
            .await
            .expect("noticed within one look");
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_before_the_instant_is_harmless_and_one_after_it_wakes() {
        let clock = Arc::new(ManualClock::new(noon(), 1));
        let ticker = Ticker::without_alarm(clock.clone());
        let instant = noon() + TimeDelta::seconds(20);
        let wait = ticker.wait_until(Some(instant));
        tokio::pin!(wait);
        let moment = Duration::from_millis(1);
        assert!(tokio::time::timeout(moment, &mut wait).await.is_err());
        ticker.bell().notify_waiters();
        ticker.bell().notify_waiters();
        assert!(tokio::time::timeout(moment, &mut wait).await.is_err());
        clock.set(instant);
        ticker.bell().notify_waiters();
        assert!(tokio::time::timeout(moment, &mut wait).await.is_ok());
    }

    // In real time: the alarm polls a wall clock that no test can pause.
    #[tokio::test]
    async fn the_alarm_rings_by_the_schedules_that_it_is_set_to() {
        let mut ticker = Ticker::start(Arc::new(SystemClock)).await.unwrap();
        let bell = ticker.bell();
        let every_second = When::Cron {
            cron: Box::new("* * * * * *".parse().unwrap()),
            text: "* * * * * *".to_owned(),
            zone: crate::zone::Zone::named("Europe/Madrid").unwrap(),
        };
        for schedule in [every_second, When::Every(Duration::from_secs(1))] {
            ticker.set(std::slice::from_ref(&schedule)).await;
            tokio::time::timeout(Duration::from_secs(10), bell.notified())
                .await
                .unwrap_or_else(|_| panic!("it rings by {schedule}"));
        }
        ticker.set(&[]).await;
        assert!(ticker.set.is_empty());
        let soon = SystemClock.now() + TimeDelta::milliseconds(20);
        ticker.wait_until(Some(soon)).await;
        assert!(SystemClock.now() >= soon);
        ticker.stop().await;
    }
}
