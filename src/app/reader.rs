//! What `plan` and `explain` work with: the upstream's reads, the store as it is, and no way to write to either.

use std::sync::Arc;

use super::{Core, store_options};
use crate::clock::SharedClock;
use crate::config::{Config, Job, State};
use crate::reconcile::runner::Reconciler;
use crate::store::{self, Store, StoreOptions};
use crate::tesamanager::Tesamanager;

use super::StartError;

/// Reads the world and the store.
pub struct Reader {
    /// The upstream.
    pub api: Arc<dyn Tesamanager>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Decides.
    pub reconciler: Reconciler,
    /// The configured jobs.
    pub jobs: Vec<Arc<Job>>,
    /// At most so many reads a second and org: see [`tenth`].
    pub reads_per_second: u32,
    /// Holds the stand-in for a store that isn't there yet.
    _stand_in: Option<tempfile::TempDir>,
}

impl Reader {
    /// Opens the store that the configuration names. If SQLite's file isn't there yet, an empty store in a temporary
    /// directory stands in for it: looking at a plan before the first start must neither fail nor leave anything.
    pub async fn open(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        let (store, stand_in) = open_or_stand_in(&config.state).await?;
        let core = Core::over(Arc::clone(&store), clock).await?;
        let mut config = config.clone();
        config.tesamanager.reads_per_second = tenth(config.tesamanager.reads_per_second);
        let reads_per_second = config.tesamanager.reads_per_second;
        let live = core.live_for_reading(config)?;
        let mut jobs: Vec<Arc<Job>> = live.jobs.into_values().collect();
        jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            api: Arc::clone(&live.reconciler.api),
            store,
            reconciler: live.reconciler,
            jobs,
            reads_per_second,
            _stand_in: stand_in,
        })
    }
}

/// Whoever writes nothing can't reserve of the rate that the daemons share, so it takes little beside them.
pub fn tenth(per_second: u32) -> u32 {
    (per_second / 10).max(1)
}

async fn open_or_stand_in(
    state: &State,
) -> Result<(Arc<dyn Store>, Option<tempfile::TempDir>), StartError> {
    let url = &state.url;
    if !store::exists(url) {
        let dir = tempfile::tempdir().map_err(StartError::Io)?;
        let url = format!("sqlite:{}", dir.path().join("empty.db").display());
        let store = store::open(&url, &StoreOptions::default()).await?;
        store.migrate().await?;
        return Ok((store, Some(dir)));
    }
    let options = StoreOptions {
        create_if_missing: false,
        ..store_options(state)
    };
    let store = store::open(url, &options).await?;
    store::require_current(&*store, url).await?;
    Ok((store, None))
}
