//! The loop that helps with other replicas' runs: takes parts of those whose job is configured alike here. Lives through
//! any outage of the store, and has nothing to do while this replica is alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::{Core, Live};
use crate::config::Job;
use crate::lifecycle::Beats;
use crate::reconcile::share::hands::{Bench, Hands, Undone};
use crate::store::work::{Claimed, Scope};
use crate::telemetry::record;

const WORKER: &str = "worker";

/// It comes around every two seconds; a hung store holds it for a few calls' time-outs.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Helps until `stop`, then finishes or gives back what it has in hand.
pub async fn help(
    core: Core,
    live: watch::Receiver<Arc<Live>>,
    beats: Beats,
    stop: CancellationToken,
) {
    if !core.store.is_shared() {
        return;
    }
    beats.register(WORKER, MAX_AGE);
    let bench = Helper {
        core: core.clone(),
        live,
    };
    let hands = Hands {
        store: &*core.store,
        clock: &*core.clock,
        replica: &core.replica.id,
        sharing: &core.sharing,
    };
    let mut outage = Outage::new("others' runs can't be helped with");
    let turn = |result| {
        outage.note(result);
        beats.beat(WORKER);
        record::beat(WORKER, core.clock.now());
        Ok(())
    };
    // `turn` never makes an error of one, so it ends only by `stop`.
    let _ = hands.work(&bench, &stop, turn).await;
    beats.retire(WORKER);
}

struct Helper {
    core: Core,
    live: watch::Receiver<Arc<Live>>,
}

impl Helper {
    /// The jobs by their digest, as configured now.
    fn jobs(live: &Live) -> BTreeMap<String, &Arc<Job>> {
        let jobs = live.jobs.values();
        jobs.map(|job| (live.reconciler.digest(job), job)).collect()
    }
}

#[async_trait]
impl Bench for Helper {
    fn scope(&self) -> Option<Scope> {
        let live = self.live.borrow().clone();
        let alone = self.core.replicas() <= 1;
        (!alone).then(|| Scope::Others(Self::jobs(&live).into_keys().collect()))
    }

    async fn do_part(&self, claimed: &Claimed, stop: &CancellationToken) -> Result<Value, Undone> {
        let live = self.live.borrow().clone();
        let jobs = Self::jobs(&live);
        match jobs.get(&claimed.digest) {
            Some(job) => live.reconciler.do_part(job, claimed, stop).await,
            // A reload came in between the claim and now.
            None => Err(Undone::Stopped),
        }
    }
}
