//! One process: the daemon's own loops over the world's store, upstream and clock.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tesa_reconciler::app::{
    Core, Kernel, Live, Reload, StartError, Upstream, new_replica, scheduled, scope,
};
use tesa_reconciler::clock::SharedClock;
use tesa_reconciler::config::{self, Config, Overrides};
use tesa_reconciler::domain::ids::ReplicaId;
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::lifecycle::{Heartbeats, Lifecycle, Notifier};
use tesa_reconciler::sandbox::Sandbox;
use tesa_reconciler::schedule::{ScheduledJob, Ticker};
use tokio::sync::watch;

use crate::clock::SimClock;
use crate::memory::MemoryStore;
use crate::plan::{Doom, DoomedCall, Limits, Settings};
use crate::wire::{Life, Pulse, Wire};

/// The one tenant.
pub const ORG: &str = "masmovil";

/// What the upstream takes.
pub const TOKEN: &str = "good-in-simulations";

/// How long a process may take to end in good order.
pub const DRAIN: Duration = Duration::from_secs(25);

/// The configuration of every process.
pub fn configuration(limits: Limits, settings: Settings) -> Config {
    let mode = if settings.enforce {
        "enforce"
    } else {
        "observe"
    };
    let Limits {
        per_run,
        per_hour,
        hold_above,
        max_attempts,
        backoff,
        every,
    } = limits;
    let stuck_after = settings.stuck_after;
    let text = format!(
        r#"
[tesamanager]
base_url = "https://upstream.invalid/v1"
orgs = ["{ORG}"]
token_file = "token"
settle_time = "5s"
writes_per_second = 1
[state]
url = "postgres://simulated.invalid/state"
[safety]
mode = "{mode}"
max_writes_per_run = {per_run}
max_writes_per_hour = {per_hour}
hold_above_count = {hold_above}
max_attempts = {max_attempts}
verify_after = ["25s", "50s", "1m"]
backoff = {{ initial = "{backoff}s", max = "6h" }}
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "{every}s"
[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "{stuck_after}m"
action = "resend"
[[job.rule]]
name = "watch"
statuses = ["VALIDATING"]
not_updated_for = "1h"
action = "flag"
[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "3m"
[[job.rule]]
name = "customer-was-absent"
statuses = ["INCIDENCE_OPERATOR"]
issue_codes = ["CLI-*"]
repeated = false
action = "resolve_incident"
observations = "Cita confirmada de nuevo"
[[job.rule]]
name = "came-back"
issue_codes = ["CLI-*"]
action = "flag"
[[job]]
name = "flag-events"
kind = "flag_events"
every = "5m"
"#
    );
    parsed(&text)
}

/// It must be right.
pub fn parsed(text: &str) -> Config {
    match config::parse(
        text,
        "simulated.toml",
        std::iter::empty(),
        &Overrides::default(),
    ) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}\n{text}"),
    }
}

/// A process that is up.
pub struct Replica {
    pub id: ReplicaId,
    pub pulse: Pulse,
    pub store: Arc<MemoryStore>,
    kernel: Kernel,
    reload: Reload,
}

/// Of what a process is made.
pub struct Parts<'a> {
    pub sandbox: &'a Sandbox,
    pub clock: Arc<SimClock>,
    pub config: Config,
}

impl Replica {
    /// Starts one over a connection of its own; fails where a real one would, and is tried again by who started it.
    pub async fn start(
        parts: Parts<'_>,
        store: MemoryStore,
        pulse: Pulse,
    ) -> Result<Self, StartError> {
        let Parts {
            sandbox,
            clock,
            config,
        } = parts;
        let clock: SharedClock = clock;
        let wire = Wire {
            upstream: sandbox.without_sockets(),
            pulse: pulse.clone(),
        };
        let upstream = Upstream::InProcess(Arc::new(wire), SecretString::from(TOKEN));
        let id = new_replica(&clock);
        // The very same connection: what goes wrong on it is the process's.
        let store = Arc::new(store);
        let shared = Arc::<MemoryStore>::clone(&store);
        let core = Core::take_up(&config, shared, upstream, Arc::clone(&clock), id.clone()).await?;
        let scope = watch::channel(scope(&config)).0;
        let (jobs, jobs_seen) =
            watch::channel::<Arc<Vec<ScheduledJob>>>(Arc::new(scheduled(&config)));
        let (live, live_seen) = watch::channel::<Arc<Live>>(Arc::new(core.live(config)?));
        let kernel = Kernel {
            core: core.clone(),
            live: live_seen,
            jobs: jobs_seen,
            heartbeats: Heartbeats::default(),
            lifecycle: Lifecycle::default(),
        };
        kernel.spawn(Ticker::without_alarm(clock));
        let reload = Reload {
            core,
            live,
            jobs,
            scope,
            log: None,
            notifier: Notifier::from_env(),
            read_again: Arc::new(|| Err("simulations read nothing".to_owned())),
        };
        Ok(Self {
            id,
            pulse,
            store,
            kernel,
            reload,
        })
    }

    /// Reads another configuration.
    pub async fn reload(&self, config: Config) {
        self.reload.adopt(Ok(config)).await;
    }

    /// Gone, at whatever it was waiting for: nothing that it does from now on reaches anybody.
    pub fn kill(&self) {
        self.pulse.set(Life::Gone);
        self.store.faults().cut();
        self.kernel.lifecycle.stop_now();
    }

    /// It will be gone at such a call.
    pub fn doom(&self, doom: Doom) {
        let (pulse, faults) = (self.pulse.clone(), self.store.faults());
        let lifecycle = self.kernel.lifecycle.clone();
        let end = move || {
            pulse.set(Life::Gone);
            faults.cut();
            lifecycle.stop_now();
        };
        match doom.call {
            DoomedCall::Store(name) => self.store.faults().doom(name, doom.after, end),
            DoomedCall::Write => self.pulse.doom(doom.after, end),
        }
    }

    /// It will stand still before it hears the answer to such a call to the store.
    pub fn freeze(&self, call: &'static str) {
        let (pulse, faults) = (self.pulse.clone(), self.store.faults());
        let end = move || {
            pulse.set(Life::StandsStill);
            faults.hold(true);
        };
        self.store.faults().doom(call, true, end);
    }

    /// It stands still.
    pub fn is_still(&self) -> bool {
        self.pulse.is(Life::StandsStill)
    }

    /// It will not.
    pub fn doom_is_off(&self) {
        self.store.faults().doom_is_off();
        self.pulse.doom_is_off();
    }

    /// It is gone.
    pub fn is_gone(&self) -> bool {
        self.pulse.is(Life::Gone)
    }

    /// Whether it enforces.
    pub fn enforces(&self) -> bool {
        self.reload.live.borrow().config.safety.mode == Mode::Enforce
    }

    /// Stands still, or goes on.
    pub fn stand_still(&self, still: bool) {
        let life = if still { Life::StandsStill } else { Life::Goes };
        self.pulse.set(life);
        self.store.faults().hold(still);
    }

    /// Ends in good order, if it can: whoever stands still is killed when its time is over.
    pub async fn drain(&self) {
        let patience = DRAIN + Duration::from_secs(10);
        let _ = tokio::time::timeout(patience, self.kernel.drain(DRAIN, async |_| {})).await;
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::in_made_up_time;

    /// Its faults, its doom and its end are those of the connection that its loops use.
    #[test]
    fn what_befalls_a_process_befalls_its_loops() {
        in_made_up_time(async {
            let clock = Arc::new(SimClock::new(tokio::time::Instant::now(), 1));
            let sandbox = tesa_reconciler::sandbox::SandboxConfig {
                orgs: vec![ORG.to_owned()],
                requests: 0,
                tokens: vec![TOKEN.to_owned()],
                ..Default::default()
            };
            let sandbox = Sandbox::new(sandbox, clock.clone()).unwrap();
            let limits = Limits {
                per_run: 1,
                per_hour: 1,
                hold_above: 1,
                max_attempts: 1,
                backoff: 600,
                every: 30,
            };
            let parts = Parts {
                sandbox: &sandbox,
                clock: clock.clone(),
                config: configuration(limits, Settings::PLAIN),
            };
            let store = MemoryStore::new(clock);
            let replica = Replica::start(parts, store, Pulse::default())
                .await
                .unwrap();
            replica.doom(Doom {
                call: DoomedCall::Store("start"),
                after: false,
            });
            tokio::time::sleep(Duration::from_secs(90)).await;
            assert!(replica.is_gone(), "no run has begun on this connection");
        });
    }
}
