//! What people ask, answered from the store: how things stand, what is stuck and why, what comes next.
//!
//! The command line and the console show the same answers, so these are made here, as plain values; how they look is each
//! one's own matter. Sentences are words for people, with instants in UTC ([`time::told`] shows them in the reader's zone).

pub mod acts;
pub mod columns;
pub mod csv;
pub mod findings;
pub mod groups;
pub mod jobs;
pub mod life;
pub mod names;
pub mod next;
pub mod status;
pub mod stuck;
pub mod time;
pub mod waiting;
pub mod words;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::clock::SharedClock;
use crate::config::Config;
use crate::store::Store;
use crate::zone::Zone;

/// What answers are made from.
#[derive(Clone)]
pub struct Sources {
    /// The configuration.
    pub config: Arc<Config>,
    /// The store, at this program's schema.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: SharedClock,
    /// The zone of whoever asks.
    pub zone: Zone,
}

impl Sources {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// Something that may be absent, in a table or a sentence.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}
