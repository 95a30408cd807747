//! Decides when what is told: brings the book up to date, tells what is due, one delivery after the other.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::time::Instant;

use super::body;
use super::pause::pause;
use super::webhook::{Undelivered, Webhook};
use crate::clock::SharedClock;
use crate::config::NotifyFormat;
use crate::domain::AlertState;
use crate::store::notices::Notice;
use crate::store::{Store, StoreError};
use crate::telemetry::record;

/// That something is over is of no interest for longer. (That it stands is told whenever the receiver is back.)
const RESOLVED_FOR: TimeDelta = TimeDelta::hours(24);

/// Added to a delivery's own time-out before another process may take its notice: for the store's calls around it.
const LEASE_MARGIN: TimeDelta = TimeDelta::seconds(15);

/// After so long, a round begins no further delivery.
const LONGEST_ROUND: Duration = Duration::from_secs(30);

/// How often Alertmanager is told what still stands.
const RENEW_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Alerts in one renewal, so that no body grows without bound.
const RENEWED_AT_ONCE: usize = 50;

/// Tells a receiver.
pub struct Sender {
    webhook: Arc<Webhook>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// The last delivery failed.
    failing: bool,
    renewed_at: Option<DateTime<Utc>>,
}

impl Sender {
    /// Tells `webhook` what `store` knows.
    pub fn new(webhook: Arc<Webhook>, store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self {
            webhook,
            store,
            clock,
            failing: false,
            renewed_at: None,
        }
    }

    /// It tells this very receiver.
    pub fn tells(&self, webhook: &Arc<Webhook>) -> bool {
        Arc::ptr_eq(&self.webhook, webhook)
    }

    /// Looks, and tells what is due; ends with the first delivery that fails. A receiver that fails is logged once
    /// and counted, and is no error here. Dropped midway, the delivery under way is repeated later.
    pub async fn round(&mut self) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.store
            .keep_notices(self.webhook.alerts(), self.clock.now())
            .await?;
        while begun.elapsed() < LONGEST_ROUND {
            let now = self.clock.now();
            let Some(notice) = self.store.take_notice(now, now + self.lease()).await? else {
                return self.renew().await;
            };
            if !self.tell(&notice).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn lease(&self) -> TimeDelta {
        let timeout = TimeDelta::from_std(self.webhook.timeout()).unwrap_or(TimeDelta::MAX);
        timeout + LEASE_MARGIN
    }

    async fn tell(&mut self, notice: &Notice) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let latches = self.store.latches().await?;
        let told = self
            .post(&body::single(self.webhook.format(), notice, &latches, now))
            .await;
        let now = self.clock.now();
        let alert = &notice.alert;
        if told {
            self.store.notice_told(alert, notice.state, now).await?;
        } else if notice.state == AlertState::Resolved && now - notice.changed_at > RESOLVED_FOR {
            record::notification("given_up");
            tracing::warn!(
                alert = %alert.name(),
                org = %alert.org(),
                subject = alert.subject(),
                "the receiver of notifications was away for too long: that this is over is not told any more"
            );
            self.store.give_up_notice(alert).await?;
        } else {
            let until = now + pause(notice.tries, self.clock.random());
            self.store.postpone_notice(alert, until).await?;
        }
        Ok(told)
    }

    /// Alertmanager forgets what is not renewed, by us or by another replica (the same alert again is no new one).
    async fn renew(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let fresh = |at: DateTime<Utc>| (TimeDelta::zero()..RENEW_EVERY).contains(&(now - at));
        if self.webhook.format() != NotifyFormat::Alertmanager || self.renewed_at.is_some_and(fresh)
        {
            return Ok(());
        }
        self.renewed_at = Some(now);
        let standing = self.store.told_notices().await?;
        let latches = self.store.latches().await?;
        for some in standing.chunks(RENEWED_AT_ONCE) {
            if !self.post(&body::renewal(some, &latches, now)).await {
                break;
            }
        }
        Ok(())
    }

    async fn post(&mut self, body: &Value) -> bool {
        let result = self.webhook.post(body).await;
        record::notification(if result.is_ok() {
            "delivered"
        } else {
            "failed"
        });
        self.note(&result);
        result.is_ok()
    }

    fn note(&mut self, result: &Result<(), Undelivered>) {
        let failed = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Err(error) if !failed => tracing::warn!(
                %error,
                "people can't be notified; runs go on, and it is tried again"
            ),
            Ok(()) if failed => tracing::info!("people can be notified again"),
            _ => {}
        }
    }
}
