//! One run, many hands: what a run has to read and to write is done by all replicas that live.
//!
//! The rates of reads and writes are divided among the replicas, so a run that one of them carried out by itself would
//! go at that one's part of the rate. Instead the holder cuts its work into parts, posts these in the store
//! ([`desk`]), and every replica takes them one by one ([`hands`]), the holder too. Listing, judging the plan as a
//! whole and recording stay with the holder: what they cost does not grow with the rate.
//!
//! A replica that is configured otherwise than the holder leaves its parts alone (a digest tells); one that dies loses
//! its part to another. The holder never depends on anybody: it takes parts like the others, by itself when need be.
//! A run that begins while its replica is alone (as always on SQLite) posts nothing.

pub(super) mod acting;
pub(super) mod desk;
pub mod hands;
mod load;
mod part;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::runner::Reconciler;
use crate::config::Job;
use crate::store::Change;

/// How long a claim lasts without being renewed: the longest that a dead replica's part waits for another.
pub const HOLD: Duration = Duration::from_secs(10);

/// How often a claim is renewed, and so how soon a replica learns that the run is over.
const HOLD_EVERY: Duration = Duration::from_secs(1);

/// How often the store is asked although there was no word of a change.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the replicas of one store know of each other, in this process: how many they are, and that there is news.
#[derive(Debug, Clone)]
pub struct Sharing {
    replicas: Arc<AtomicU32>,
    posted: watch::Sender<()>,
    answered: watch::Sender<()>,
}

impl Sharing {
    /// `replicas` counts those that live, this one included; somebody else keeps it up to date.
    pub fn new(replicas: Arc<AtomicU32>) -> Self {
        Self {
            replicas,
            posted: watch::Sender::new(()),
            answered: watch::Sender::new(()),
        }
    }

    /// How many replicas live, this one included.
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    /// Passes on word of a change to whom it concerns.
    pub fn heed(&self, change: Change) {
        if matches!(change, Change::WorkPosted | Change::Missed) {
            self.posted.send_replace(());
        }
        if matches!(change, Change::WorkAnswered | Change::Missed) {
            self.answered.send_replace(());
        }
    }
}

impl Reconciler {
    /// Tells configurations apart that could decide differently about the same request, or speak to another upstream.
    /// Programs of different versions are never alike: they may not understand each other's parts.
    pub fn digest(&self, job: &Job) -> String {
        let mut hasher = DefaultHasher::new();
        let version = env!("CARGO_PKG_VERSION");
        // `Debug` shows every field, so one that is added can't be forgotten here.
        let safety = format!("{:?}", self.safety);
        (version, &self.upstream, format!("{job:?}"), safety).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
