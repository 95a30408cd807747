//! Lives through a plan: one store, one upstream, one to three processes, people; and the judge after every step.

mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tesa_reconciler::clock::Clock as _;
use tesa_reconciler::sandbox::{Fault, Patch, Sandbox, SandboxConfig};
use tesa_reconciler::store::runs::RunFilter;
use tesa_reconciler::store::{Controls as _, Page, Runs as _, StoreError};
use tokio::time::Instant;

use crate::clock::{SimClock, in_made_up_time};
use crate::dice::mix;
use crate::end;
use crate::judge::{Evidence, HandsOff, Judge, delta};
use crate::memory::MemoryStore;
use crate::people;
use crate::plan::{Act, JOBS, PEACE, Plan, Settings, TROUBLE};
use crate::replica::{ORG, Parts, Replica, TOKEN, configuration};
use crate::story::Story;
use crate::wire::Pulse;

/// The judge looks at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A process that could not start is started again so much later, as a service manager does.
const START_AGAIN: Duration = Duration::from_secs(5);

/// A process reads its configuration within this, or stands still.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// How a world ended.
#[derive(Debug)]
pub struct Ending {
    pub story: Story,
    /// What promise was broken, if any.
    pub broken: Option<String>,
    /// Writes that the upstream saw.
    pub writes: usize,
    /// Runs in which nothing that the upstream answered contradicted anything else.
    pub honest_runs: usize,
}

/// What is to be done at an instant.
#[derive(Debug, Clone)]
enum Step {
    Begin(usize),
    End(usize),
    Start(usize),
    /// The trouble is over.
    Peace,
    /// In peace, people release what was held.
    Release,
    Reload(usize),
    /// Does a process stand still by now that was to be frozen?
    Watch(usize),
    Look,
}

pub struct World {
    plan: Plan,
    clock: Arc<SimClock>,
    pub sandbox: Sandbox,
    store_clock: Arc<SimClock>,
    /// A person's connection.
    pub store: MemoryStore,
    replicas: Vec<Option<Replica>>,
    /// How far each place's wall clock is wrong.
    clocks: Vec<Arc<SimClock>>,
    lives: u64,
    settings: Settings,
    faults: BTreeMap<usize, Vec<Fault>>,
    judge: Judge,
    settled: Vec<i64>,
    /// Orders that are being cancelled.
    cancelled: BTreeSet<usize>,
    agenda: BTreeMap<(Duration, u64), Step>,
    entered: u64,
    told: usize,
    states: BTreeMap<i64, String>,
    story: Story,
}

/// Lives through it.
pub fn live(plan: &Plan) -> Ending {
    in_made_up_time(async {
        let mut world = World::new(plan.clone()).await;
        let broken = world.live().await.err();
        let honest_runs = match plan.upstream_is_honest() {
            true => world.runs().await.map_or(0, |runs| runs.len()),
            false => 0,
        };
        Ending {
            broken,
            writes: world.sandbox.ledger().len(),
            honest_runs,
            story: world.story,
        }
    })
}

impl World {
    async fn new(plan: Plan) -> Self {
        let began = Instant::now();
        let seed = plan.seed;
        let clock = Arc::new(SimClock::new(began, mix(seed ^ 1)));
        let store_clock = Arc::new(SimClock::new(began, mix(seed ^ 2)));
        let sandbox = SandboxConfig {
            orgs: vec![ORG.to_owned()],
            requests: 0,
            seed,
            speed: 0.0,
            tokens: vec![TOKEN.to_owned()],
            repeated_create: plan.repeated_create,
            latency: plan.latency,
            ages: plan.ages,
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::new(sandbox, clock.clone()).unwrap();
        let mut judge = Judge::new(&plan);
        for order in &plan.orders {
            let id = patch(&sandbox, &order.patch);
            match order.patch["status"] == "NOT_SENT" {
                true => judge.broke(&order.name, clock.now(), due(&sandbox, &id)),
                false => judge.errand(&order.name, clock.now()),
            }
        }
        let mut world = Self {
            clocks: (0..plan.replicas)
                .map(|_| Arc::new(SimClock::new(began, 0)))
                .collect(),
            replicas: (0..plan.replicas).map(|_| None).collect(),
            store: MemoryStore::new(store_clock.clone()),
            clock,
            sandbox,
            store_clock,
            lives: 0,
            settings: Settings::PLAIN,
            faults: BTreeMap::new(),
            judge,
            settled: Vec::new(),
            cancelled: BTreeSet::new(),
            agenda: BTreeMap::new(),
            entered: 0,
            told: 0,
            states: BTreeMap::new(),
            story: Story::default(),
            plan,
        };
        world.make_agenda();
        world
    }

    fn make_agenda(&mut self) {
        for place in 0..self.plan.replicas {
            let at = Duration::from_millis(300 * place as u64);
            self.enter(at, Step::Start(place));
        }
        for (place, (at, _)) in self.plan.happenings.clone().iter().enumerate() {
            self.enter(*at, Step::Begin(place));
        }
        self.enter(Duration::from_secs(TROUBLE), Step::Peace);
        let minutes = (TROUBLE + 60..TROUBLE + PEACE).step_by(300);
        for at in minutes {
            self.enter(Duration::from_secs(at), Step::Release);
        }
        self.enter(LOOK_EVERY, Step::Look);
    }

    fn enter(&mut self, at: Duration, step: Step) {
        self.entered += 1;
        self.agenda.insert((at, self.entered), step);
    }

    fn tell(&mut self, what: &str) {
        self.story.tell(self.clock.elapsed(), what);
    }

    /// The truth.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn live(&mut self) -> Result<(), String> {
        let end = Duration::from_secs(TROUBLE + PEACE);
        while let Some(((at, _), step)) = self.agenda.pop_first() {
            if at >= end {
                break;
            }
            tokio::time::sleep(at.saturating_sub(self.clock.elapsed())).await;
            self.step(step).await?;
        }
        self.look().await?;
        end::everything_is_settled(self, &self.plan).await
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        // What came in before is judged by what was so before.
        self.look().await?;
        match step {
            Step::Look => {
                let next = self.clock.elapsed() + LOOK_EVERY;
                self.enter(next, Step::Look);
            }
            Step::Start(place) => self.start(place).await,
            Step::Begin(place) => self.begin(place).await,
            Step::End(place) => self.end(place),
            Step::Peace => self.peace().await,
            Step::Release => {
                for job in 0..JOBS.len() {
                    self.person(&Act::Release(job)).await;
                }
            }
            Step::Reload(place) => self.reload(place).await,
            Step::Watch(happening) => self.watch(happening).await,
        }
        self.look().await
    }

    /// Asks the judge.
    async fn look(&mut self) -> Result<(), String> {
        let attempts = people::attempts(&self.store).await;
        let attempts = attempts.map_err(|error| error.to_string())?;
        let ledger = self.sandbox.ledger();
        for entry in ledger.iter().skip(self.told) {
            let (order, effect) = (&entry.external_reference, entry.effect);
            let order = order.as_deref().unwrap_or("none");
            let at = entry.time.format("%H:%M:%S%.3f");
            let line = format!(
                "upstream got {} for {order} at {at}: {:?}, effect {effect}",
                entry.operation, entry.answered
            );
            self.story.tell(self.clock.elapsed(), &line);
        }
        let runs = match ledger.len() > self.told {
            true => self.runs().await.map_err(|error| error.to_string())?,
            false => BTreeMap::new(),
        };
        self.told = ledger.len();
        for attempt in &attempts {
            let state = format!("{} ({})", attempt.state, attempt.detail);
            if self.states.get(&attempt.id.0) != Some(&state) {
                let line = format!(
                    "attempt {} of {} for {}: {state}",
                    attempt.id, attempt.job_name, attempt.external_reference
                );
                self.story.tell(self.clock.elapsed(), &line);
                self.states.insert(attempt.id.0, state);
            }
        }
        let latches = self.store.latches().await;
        let evidence = Evidence {
            now: self.now(),
            runs,
            ledger,
            attempts,
            settled: self.settled.clone(),
            latches: latches.map_err(|error| error.to_string())?,
        };
        self.judge.look(&evidence)
    }

    /// When each run of ours began, by its own clock.
    async fn runs(&self) -> Result<BTreeMap<i64, DateTime<Utc>>, StoreError> {
        let runs = self
            .store
            .runs(&RunFilter::default(), Page::first(1_000))
            .await?;
        Ok(runs
            .into_iter()
            .map(|run| (run.id.0, run.started_at))
            .collect())
    }

    async fn start(&mut self, place: usize) {
        self.lives += 1;
        let pulse = Pulse::default();
        // Each life has dice of its own, and its machine's clock.
        let clock = Arc::clone(&self.clocks[place]);
        clock.reseed(mix(self.plan.seed ^ (1_000 + self.lives)));
        let parts = Parts {
            sandbox: &self.sandbox,
            clock,
            config: configuration(self.plan.limits, self.settings),
        };
        let connection = self.store.another();
        match Replica::start(parts, connection, pulse).await {
            Ok(replica) => {
                self.tell(&format!("process {place} is up as {}", replica.id));
                self.replicas[place] = Some(replica);
                if !self.settings.enforce {
                    self.note_observe(place);
                }
            }
            Err(error) => {
                self.tell(&format!("process {place} can't start: {error}"));
                let again = self.clock.elapsed() + START_AGAIN;
                self.enter(again, Step::Start(place));
            }
        }
    }

    fn note_observe(&mut self, place: usize) {
        if let Some(replica) = &self.replicas[place] {
            let word = HandsOff::Observe(replica.id.to_string());
            let now = self.clock.now();
            match self.settings.enforce {
                true => self.judge.hands_on(&word, now),
                false => self.judge.hands_off(word, now, None),
            }
        }
    }

    async fn reload(&mut self, place: usize) {
        let settings = self.settings;
        let Some(replica) = &self.replicas[place] else {
            return;
        };
        // Without its store a process keeps what it has. One that stands still reads nothing, and is told again.
        let has_read = !replica.is_still() && {
            let reload = replica.reload(configuration(self.plan.limits, settings));
            tokio::time::timeout(READS_WITHIN, reload).await.is_ok()
        };
        if !has_read {
            let again = self.clock.elapsed() + START_AGAIN;
            return self.enter(again, Step::Reload(place));
        }
        if replica.enforces() == settings.enforce {
            self.note_observe(place);
        }
        self.tell(&format!("process {place} has reloaded: {settings:?}"));
    }
}

/// Answers the request's id.
pub fn patch(sandbox: &Sandbox, patch: &serde_json::Value) -> String {
    let patch: Patch = serde_json::from_value(patch.clone()).unwrap();
    sandbox.patch(&patch).unwrap().reference_id
}

/// When an unsent request is due by its rule, at the earliest that any reload allows.
fn due(sandbox: &Sandbox, id: &str) -> DateTime<Utc> {
    let request = sandbox.request(ORG, id).unwrap();
    request.last_updated + delta(Duration::from_secs(Settings::PLAIN.stuck_after * 60))
}
