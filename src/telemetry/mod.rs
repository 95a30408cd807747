//! What the daemon tells about itself: logs for one event, metrics for many, traces for how things hang together.
//!
//! [`catalogue`] is the one table of all metrics; [`record`] are the only functions that touch them, so that no
//! other module spells a metric's name or a label. What the store knows better than this process (findings,
//! pauses, latches) is read from it at scrape, by [`store_gauges`].

pub mod catalogue;
mod initialise;
pub mod logs;
pub mod metrics;
mod page;
pub mod process;
pub mod push;
pub mod record;
pub mod store_gauges;
pub mod textfile;
pub mod traces;

pub use initialise::initialise;
pub use page::markdown;
pub use store_gauges::StoreGauges;

use crate::domain::ids::{JobName, Org};

/// The label values that come from the configuration: with them, every label set is known before the first event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The configured jobs.
    pub jobs: Vec<JobName>,
    /// The configured tenants.
    pub orgs: Vec<Org>,
}
