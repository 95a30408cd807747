//! What an hour of the default jobs asks of the upstream, where nothing is wrong: lists as often as the rules say, one read
//! for each request that changed and job that follows change, and samples. What `reobserve_every` asks is left out: each
//! request once in so long, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use tesa_reconciler::clock::Clock as _;
use tesa_reconciler::config::Config;
use tesa_reconciler::domain::ReadOperation;
use tesa_reconciler::sandbox::{Call, Sandbox, SandboxConfig};
use tokio::time::Instant;

use crate::clock::{SimClock, in_made_up_time};
use crate::memory::MemoryStore;
use crate::replica::{ORG, Parts, Replica, TOKEN, parsed};
use crate::wire::Pulse;
use crate::world::patch;

const OPEN: usize = 10_000;

/// Of these so many change in an hour: one in a hundred.
const CHANGED: usize = 100;

/// Three samples a run, twelve runs an hour at most.
const SAMPLES: u64 = 36;

/// The default jobs.
const CONFIGURATION: &str = r#"
[tesamanager]
base_url = "https://upstream.invalid/v1"
orgs = ["masmovil"]
token_file = "token"
[state]
url = "postgres://simulated.invalid/state"
"#;

/// Those that ask the upstream. One of them reads whatever changes.
const JOBS: u64 = 3;

/// Calls of the upstream, so far.
#[derive(Debug, Clone, Copy)]
struct Calls {
    lists: u64,
    reads: u64,
}

impl Calls {
    fn of(sandbox: &Sandbox) -> Self {
        let lists = sandbox.calls(Call::Read(ReadOperation::ListReferenceIds));
        Self {
            lists,
            reads: sandbox.stats().reads - lists,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            lists: self.lists - before.lists,
            reads: self.reads - before.reads,
        }
    }
}

/// Touches requests one after the other, so many in an hour, and says what that hour cost.
async fn an_hour(sandbox: &Sandbox, orders: &[String], changed: usize) -> Calls {
    let before = Calls::of(sandbox);
    let hour = Duration::from_secs(3_600);
    if changed == 0 {
        tokio::time::sleep(hour).await;
    }
    for nth in 0..changed {
        tokio::time::sleep(hour / u32::try_from(changed).unwrap()).await;
        let id = &orders[nth * 97 % orders.len()];
        patch(
            sandbox,
            &serde_json::json!({"reference_id": id, "age": "0s"}),
        );
    }
    Calls::of(sandbox).since(before)
}

fn default_jobs() -> Config {
    let mut config = parsed(CONFIGURATION);
    for job in &mut config.jobs {
        job.reobserve_every = Duration::from_secs(365 * 86_400);
    }
    config
}

#[test]
fn an_hour_costs_the_rules_lists_and_a_read_for_each_change() {
    in_made_up_time(async {
        let clock = Arc::new(SimClock::new(Instant::now(), 1));
        let config = SandboxConfig {
            orgs: vec![ORG.to_owned()],
            requests: 0,
            speed: 0.0,
            tokens: vec![TOKEN.to_owned()],
            latency: Duration::from_millis(20),
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::new(config, clock.clone()).unwrap();
        let statuses = ["VALIDATING", "PROCESSING", "PROCESSING", "PROCESSING"];
        let orders: Vec<String> = (0..OPEN)
            .map(|nth| {
                let status = statuses[nth % statuses.len()];
                patch(
                    &sandbox,
                    &serde_json::json!({"status": status, "age": "3h"}),
                )
            })
            .collect();
        let store = MemoryStore::new(clock.clone());
        let parts = Parts {
            sandbox: &sandbox,
            clock: clock.clone(),
            config: default_jobs(),
        };
        let replica = Replica::start(parts, store, Pulse::default())
            .await
            .unwrap();
        // What is there at the start is read once.
        an_hour(&sandbox, &orders, 0).await;
        let at_rest = an_hour(&sandbox, &orders, 0).await;
        // What changed last in the hour before is read in this one.
        an_hour(&sandbox, &orders, CHANGED).await;
        let busy = an_hour(&sandbox, &orders, CHANGED).await;
        eprintln!(
            "an hour at {}: at rest {at_rest:?}, with {CHANGED} changes {busy:?}",
            clock.now()
        );
        replica.drain().await;
        assert_eq!(
            busy.lists, at_rest.lists,
            "lists don't depend on what changes"
        );
        assert!(at_rest.reads <= JOBS * SAMPLES, "{at_rest:?}");
        let changed = CHANGED as u64;
        assert!(busy.reads >= changed, "{busy:?}");
        let most = changed * 13 / 10 + JOBS * SAMPLES;
        assert!(busy.reads <= most, "{busy:?}: {most} at most");
    });
}
