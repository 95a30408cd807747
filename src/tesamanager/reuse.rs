//! What to do when a kept connection turns out to be dead.
//!
//! A server may close a connection right after an answer, or while it is idle, and say nothing of it. The next
//! request on it then breaks off before any answer, which says nothing of the server's health. Such a read is repeated at
//! once, on a connection that was not there before, and is no failure unless that breaks off as well. A write is never
//! repeated.
//!
//! The HTTP library does not tell whether a connection was kept from an earlier call. But one can only have been while
//! there was an answer within the time for which idle ones are kept: a server that breaks everything off is asked twice
//! for no longer than that.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::time::Instant;

use super::carrier::Carrier;
use super::tls;
use crate::config;

/// When the last answer came, and a client that keeps no connections.
#[derive(Debug)]
pub struct Reuse {
    settings: config::Tesamanager,
    fresh: OnceLock<Option<Carrier>>,
    answered: Mutex<Option<Instant>>,
}

impl Reuse {
    /// No answer came yet.
    pub fn new(settings: &config::Tesamanager) -> Self {
        Self {
            settings: settings.clone(),
            fresh: OnceLock::new(),
            answered: Mutex::default(),
        }
    }

    /// An answer came: its connection may be used again.
    pub fn answered(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Who carries the repetition of a read that broke off on what may have been a kept connection.
    pub fn fresh(&self, carrier: &Carrier) -> Option<&Carrier> {
        let may_be_kept = self.lock().is_some_and(|at| at.elapsed() <= tls::IDLE);
        if !may_be_kept || !matches!(carrier, Carrier::Network(_)) {
            return None;
        }
        // Made when it is first needed, which is never where all goes well. One that can't be made is done without.
        self.fresh
            .get_or_init(|| tls::fresh_client(&self.settings).ok().map(Carrier::Network))
            .as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
