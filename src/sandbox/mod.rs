//! The sandbox: a Tesamanager to try the daemon on.
//!
//! A stateful stand-in for the gateway, behind the same HTTP contract, all in memory: `demo` and rehearsals run on
//! it, and tests judge by it. **Its methods and paths are assumptions**, as are the effects of the writes and the
//! transitions of the requests: the vendor's page lost or never had them. They are the defaults of the
//! daemon's `[tesamanager.endpoints]`, under the base path [`BASE_PATH`]. What is documented (bodies, statuses, answers,
//! filters) is kept to the letter and held against `contract/openapi.yaml` by tests.
//!
//! How it is built, from the inside out: `dice` makes chance repeatable; `world` makes any of a million requests
//! from the seed and stores only what changed; `permits`, `effects` and `bodies` are the rules of the
//! writes; `api` puts them behind HTTP; `faults`, `late` and `wire` break that on demand; `ledger` keeps account.
//! Time comes only from the [`clock`](crate::clock) handed in; real time passes only in delays that faults ask for.

mod account;
mod api;
mod args;
mod bodies;
mod call;
mod config;
mod dice;
mod effects;
mod faults;
mod filter;
mod in_process;
mod late;
mod ledger;
mod permits;
mod running;
mod stats;
mod tokens;
mod wire;
mod world;

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;

use faults::Faults;
use late::Late;
use ledger::Ledger;
use tokens::Tokens;
use world::{AsOf, Movement, Plan, World};

pub use account::{BadKey, CLIENT_EMAIL, KEY_ID, service_account, write_service_account};
pub use args::{Args, run};
pub use call::Call;
pub use config::{Ages, Precision, RepeatedCreate, SandboxConfig};
pub use faults::{BadFault, Effect, ErrorShape, Fault, More};
pub use in_process::WithoutSockets;
pub use ledger::{Answered, Entry};
pub use permits::permits;
pub use running::Running;
pub use stats::Stats;
pub use world::{
    EXTERNAL_PREFIX, EventPatch, EventView, IssuePatch, IssueView, PERSONAL_MARKER, Patch, Patched,
    RequestView,
};

/// Stands before the operations' and the token endpoint's paths.
pub const BASE_PATH: &str = "/v1";

/// A sandbox, and the handle to steer it from within the process. Clones are the same sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SandboxConfig,
    clock: SharedClock,
    worlds: HashMap<String, World>,
    tokens: Tokens,
    faults: Faults,
    late: Late,
    ledger: Ledger,
    /// Ends waits that faults asked for, so that the server can stop.
    closing: CancellationToken,
}

/// Why a sandbox can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A fault of the configuration.
    #[error("a fault can't be: {0}")]
    Fault(#[from] BadFault),
    /// The program itself.
    #[error(transparent)]
    Key(#[from] BadKey),
    /// More requests than have numbers.
    #[error("{0} requests are too many; at most 100000000 an org")]
    TooMany(u32),
    /// Time that runs backwards or nowhere.
    #[error("the speed must be 0 or above, not {0}")]
    Speed(f64),
    /// The address can't be had.
    #[error("can't listen: {0}; name another address")]
    Listen(#[from] std::io::Error),
}

/// Why a [`Patch`] can't be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// No such tenant, or none named where there are several.
    #[error("name one of the sandbox's orgs")]
    Org,
    /// No request has this reference id.
    #[error("no request has this reference id")]
    Reference,
}

impl Sandbox {
    /// Counts a read as it comes in.
    fn count_read(&self, call: call::Call, org: &str) {
        self.0.ledger.count(call);
        if self.0.config.keep_reads {
            self.0.ledger.keep_read(org, self.0.clock.now());
        }
    }

    /// When an org's reads came in, in order; nothing unless [`SandboxConfig::keep_reads`].
    pub fn reads_of(&self, org: &str) -> Vec<chrono::DateTime<chrono::Utc>> {
        self.0.ledger.reads_of(org)
    }

    /// Makes the worlds; nothing is served yet. Ages count back from the clock's now.
    ///
    /// # Errors
    /// If the configuration can't be.
    pub fn new(config: SandboxConfig, clock: SharedClock) -> Result<Self, SetupError> {
        // Leaves most numbers to requests created later.
        if config.requests > 100_000_000 {
            return Err(SetupError::TooMany(config.requests));
        }
        if !config.speed.is_finite() || config.speed < 0.0 {
            return Err(SetupError::Speed(config.speed));
        }
        let start = clock.now();
        let world = |org: &String| {
            let plan = Plan::new(
                config.seed,
                org,
                config.requests,
                config.stuck_unsent,
                start,
            );
            let movement = Movement {
                seed: plan.seed,
                speed: config.speed,
            };
            (
                org.clone(),
                World::new(plan, movement, config.repeated_create),
            )
        };
        let faults = Faults::new(config.seed);
        faults.replace(config.faults.clone())?;
        let tokens = Tokens::new(clock.clone(), config.token_ttl, &config.tokens)?;
        if let Some(url) = &config.public_url {
            // Nobody else has it yet, so it can't be set already.
            let _ = tokens.audience.set(token_uri(url));
        }
        Ok(Self(Arc::new(Inner {
            worlds: config.orgs.iter().map(world).collect(),
            tokens,
            faults,
            late: Late::default(),
            ledger: Ledger::default(),
            closing: CancellationToken::new(),
            clock,
            config,
        })))
    }

    /// An org's world, with every effect that is due by now.
    fn world(&self, org: &str) -> Option<&World> {
        self.settle_late();
        self.0.worlds.get(org)
    }

    /// The faults in force take the place of all before.
    ///
    /// # Errors
    /// The first that can't be; nothing changes then.
    pub fn set_faults(&self, faults: Vec<Fault>) -> Result<(), BadFault> {
        self.0.faults.replace(faults)
    }

    /// The faults in force, with what is left of their counts.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.list()
    }

    /// Every write that came in, in order.
    pub fn ledger(&self) -> Vec<Entry> {
        self.settle_late();
        self.0.ledger.all()
    }

    /// Adds or changes a request.
    ///
    /// # Errors
    /// If the org or the reference id is not there.
    pub fn patch(&self, patch: &Patch) -> Result<Patched, PatchError> {
        self.settle_late();
        let mut worlds = self.0.worlds.values();
        let world = match (&patch.org, worlds.next(), worlds.next()) {
            (Some(org), ..) => self.world(org),
            (None, only, None) => only,
            (None, ..) => None,
        };
        let world = world.ok_or(PatchError::Org)?;
        world
            .patch(patch, self.0.clock.now())
            .ok_or(PatchError::Reference)
    }

    /// Forgets a request; false if it was not there.
    pub fn remove(&self, org: &str, reference_id: &str) -> bool {
        self.world(org)
            .is_some_and(|world| world.remove(reference_id))
    }

    /// A request as it stands now.
    pub fn request(&self, org: &str, reference_id: &str) -> Option<RequestView> {
        self.world(org)?.with_request(
            reference_id,
            AsOf::Now(self.0.clock.now()),
            RequestView::clone,
        )
    }

    /// The reference ids of an external reference, oldest first.
    pub fn references(&self, org: &str, external_reference: &str) -> Vec<String> {
        self.world(org)
            .map_or_else(Vec::new, |world| world.references(external_reference))
    }
}

/// The token endpoint behind this origin (`http://127.0.0.1:8081`).
fn token_uri(origin: &str) -> String {
    format!("{}{BASE_PATH}/oauth/token", origin.trim_end_matches('/'))
}
