//! A week in the life of the daemon, on a manual clock: all three jobs in `enforce`, requests that get stuck and
//! issues that open every hour, an upstream that fails in every way it can, and a process that is killed twice a day.
//!
//! What must hold is checked after every step, by the upstream's ledger. Everything follows from one seed, but for
//! where exactly a kill hits a run, which is up to the machine; what must hold, must hold wherever it hits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::json;
use tesa_reconciler::clock::{Clock, ManualClock};
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{AttemptState, Operation, RunOutcome, Status, Trigger};
use tesa_reconciler::sandbox::{Answered, Effect, Fault, SandboxConfig};
use tokio_util::sync::CancellationToken;

use super::{DAY, EVENTS, HOUR, ISSUES, MINUTE, ORG, RESEND, RETRY, World, seeded, tally};

const SEED: u64 = 20_260_115;
const STEP: Duration = Duration::from_secs(30 * 60);
const STEPS: u64 = 7 * 24 * 2;
/// The last hours are quiet, so that what is on its way can end.
const QUIET_FROM: u64 = STEPS - 12 * 2;

const PER_RUN: usize = 4;
const PER_HOUR: usize = 10;
const SAFETY: &str = "max_writes_per_run = 4\nmax_writes_per_hour = 10\nmax_attempts = 5";
/// Tokens live for an hour of the manual clock, so they expire all the week.
const ACCOUNT: &str = "service_account_file = \"DIR/service-account.json\"";

fn error(status: u16, applied: bool) -> Effect {
    Effect::Error {
        status,
        applied,
        shape: Default::default(),
    }
}

/// What goes wrong all the time, and what does in this hour.
fn troubles(hour: u64) -> Vec<Fault> {
    // A rule's dice follow from its place, so idle ones before it make every hour another one.
    let idle = Fault::new(Effect::Cut).rate(0.0);
    let mut troubles = vec![idle; hour as usize];
    troubles.extend([
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .rate(0.05),
        Fault::new(error(503, false)).on(&["writes"]).rate(0.03),
        Fault::new(error(502, true)).on(&["writes"]).rate(0.02),
        // A read is repeated after a pause of the machine's own time: that is what this test's two minutes are spent on.
        Fault::new(error(500, false)).on(&["reads"]).rate(0.05),
        Fault::new(Effect::Cut).on(&["writes"]).rate(0.02),
        Fault::new(Effect::Cut).on(&["reads"]).rate(0.02),
    ]);
    let throttle = Effect::Throttle { retry_after: None };
    if hour % 7 == 3 {
        troubles.insert(0, Fault::new(throttle.clone()).on(&["reads"]).times(4));
        troubles.insert(0, Fault::new(throttle).on(&["writes"]).times(2));
    }
    if hour % 24 == 11 {
        troubles.insert(0, Fault::new(Effect::RevokeToken).times(1));
    }
    troubles
}

/// Requests that this test put in, by what must become of them.
#[derive(Default)]
struct Planted {
    repairable: BTreeMap<String, Operation>,
    for_a_human: BTreeSet<ReferenceId>,
}

impl Planted {
    /// One hour's ill luck.
    fn plant(&mut self, world: &World, hour: u64) {
        let (unsent, absent) = (format!("UNSENT-{hour}"), format!("ABSENT-{hour}"));
        world.patch(json!({"external_reference": unsent, "status": "NOT_SENT"}));
        self.repairable.insert(unsent, Operation::CreateActivation);
        if hour.is_multiple_of(2) {
            world.patch(json!({
                "external_reference": absent, "status": "INCIDENCE_OPERATOR",
                "issues": [{"issue_code": "CLI-012"}],
            }));
            self.repairable.insert(absent, Operation::ResolveIncident);
        }
        let hopeless = match hour % 12 {
            3 => json!({"status": "INCIDENCE_OPERATOR", "issues": [{"issue_code": "CTO-003"}]}),
            6 => {
                json!({"status": "INCIDENCE_OPERATOR", "issues": [{"issue_code": "CLI-012", "repeated": true}]})
            }
            9 => json!({"status": "PROCESSING", "events": [
                {"sequence_number": 1}, {"sequence_number": 2, "inconsistent": true},
            ]}),
            11 => json!({"status": "ON_THE_MOON"}),
            _ => return,
        };
        let mut patch = hopeless;
        patch["external_reference"] = json!(format!("HOPELESS-{hour}"));
        let id = world.patch(patch).reference_id;
        self.for_a_human.insert(id.into());
    }
}

/// What happened, for the one line at the end.
#[derive(Debug, Default)]
struct Counts {
    runs: BTreeMap<&'static str, u64>,
    kills: u64,
    killed_in_flight: u64,
}

struct Week {
    world: World,
    dice: ManualClock,
    planted: Planted,
    counts: Counts,
}

impl Week {
    /// One run to its end, whatever that is; its writes are counted by the upstream.
    async fn run(&mut self, job: &'static str) {
        let before = self.world.ledger().len();
        let (outcome, _) = self.world.run(job).await;
        *self.counts.runs.entry(outcome.as_str()).or_default() += 1;
        assert_ne!(
            outcome,
            RunOutcome::Held,
            "nothing here is a correlated failure"
        );
        let sent = self.world.ledger().len() - before;
        assert!(sent <= PER_RUN, "{sent} writes in one run");
    }

    /// The process is killed somewhere in a run, and comes back.
    async fn kill_in_a_run(&mut self, job: &'static str) {
        let live = self.world.daemon.live();
        let order = self.world.daemon.order(job, Trigger::Schedule);
        let before = self.world.ledger().len();
        // Half of the kills hit a write that is on its way, the others come when they come.
        let on_its_way = self.dice.random().is_multiple_of(2);
        let patience = Duration::from_micros(self.dice.random() % 20_000);
        if on_its_way {
            let applied = self.dice.random().is_multiple_of(2);
            let hang = Fault::new(Effect::Hang { applied }).on(&["writes"]);
            self.world.faults([hang.times(1)]);
        }
        let run = tokio::spawn(async move {
            let stop = CancellationToken::new();
            live.reconciler.run(&order, &stop).await.map(drop)
        });
        let wait = async {
            while on_its_way && self.world.ledger().len() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if !on_its_way {
                tokio::time::sleep(patience).await;
            }
        };
        let abort = run.abort_handle();
        tokio::select! {
            () = wait => abort.abort(),
            () = async {
                while !abort.is_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
        }
        let _ = run.await;
        if on_its_way {
            self.world.faults(troubles(self.counts.kills));
        }
        self.counts.kills += 1;
        let in_flight = |states: &[AttemptState]| states.contains(&AttemptState::Intended);
        self.counts.killed_in_flight += u64::from(in_flight(&self.world.states().await));
        self.world.restart().await;
        assert!(
            !in_flight(&self.world.states().await),
            "a start leaves none"
        );
    }

    /// What must hold at every moment.
    async fn check(&self, seen: usize) {
        let ledger = self.world.ledger();
        tally::never_above_per_hour(&ledger, PER_HOUR);
        for entry in &ledger[seen..] {
            // The upstream refuses what was done already, so a second write for one decision would show here.
            assert!(
                !matches!(entry.answered, Answered::Status(400 | 404 | 406)),
                "sent what could not be: {entry:?}"
            );
        }
        let mut creates = tally::effects(&ledger);
        creates.retain(|order, _| order.starts_with("UNSENT-"));
        for (order, count) in creates {
            let asked = ledger.iter().filter(|entry| {
                entry.effect
                    && entry.operation == Operation::CreateActivation
                    && entry.external_reference.as_deref() == Some(order)
            });
            assert!(asked.count() <= 1, "{order}: {count} effects");
        }
    }

    /// An attempt is only ever made when the one before it, for the same order, was settled.
    async fn check_attempts(&self) {
        let mut last = HashMap::new();
        for attempt in self.world.attempts().await {
            let order = attempt.external_reference.clone();
            if let Some((state, settled)) = last.insert(order, (attempt.state, attempt.changed_at))
            {
                let state: AttemptState = state;
                assert!(!state.is_open(), "{attempt:?}");
                assert!(attempt.intended_at >= settled, "{attempt:?}");
            }
        }
        let sent = self.world.ledger();
        tally::every_write_has_its_own_correlation_id(&sent);
        let known: BTreeSet<String> = self
            .world
            .attempts()
            .await
            .iter()
            .map(|attempt| attempt.correlation_id.to_string())
            .collect();
        for entry in sent {
            let id = entry.correlation_id.clone().unwrap();
            assert!(known.contains(&id), "no ledger, no write: {entry:?}");
        }
    }

    /// Two hours in `observe`: nothing leaves.
    async fn observe(&mut self) {
        self.world.settle().await;
        let jobs = self.world.jobs.clone();
        self.world.reload("mode = \"observe\"", &jobs);
        let before = self.world.ledger().len();
        for _ in 0..4 {
            for job in [RETRY, "resolve-issues", "flag-events"] {
                self.world.run(job).await;
            }
            self.world.advance(STEP);
        }
        assert_eq!(self.world.ledger().len(), before, "a write in observe");
        self.world.reload(SAFETY, &jobs);
    }

    async fn step(&mut self, step: u64) {
        let seen = self.world.ledger().len();
        let busy = step < QUIET_FROM;
        if step.is_multiple_of(2) && busy {
            self.world.faults(troubles(step / 2));
            self.planted.plant(&self.world, step / 2);
        }
        if step == QUIET_FROM {
            self.world.faults([]);
        }
        if step == STEPS / 2 {
            self.observe().await;
        }
        self.world.verify().await;
        // Twice a day, at another time each day, when there is something to send.
        let (day, hour) = (step / 48, step % 48 / 2);
        let at_half_past = !step.is_multiple_of(2);
        if busy && at_half_past && hour == 1 + day {
            self.kill_in_a_run(RETRY).await;
        } else {
            self.run(RETRY).await;
        }
        if busy && !at_half_past && hour == 12 + day % 4 * 2 {
            self.kill_in_a_run("resolve-issues").await;
        }
        self.run("resolve-issues").await;
        self.run("flag-events").await;
        self.check(seen).await;
        self.world.advance(STEP);
    }

    /// Everything that could be repaired was; a person knows of the rest.
    async fn check_the_end(&self) -> (usize, usize) {
        let ledger = self.world.ledger();
        let effects = tally::effects(&ledger);
        let findings = self.world.findings().await;
        let flagged: BTreeMap<&str, bool> = findings
            .iter()
            .map(|finding| {
                (
                    finding.key.reference_id.as_str(),
                    finding.attention.is_some(),
                )
            })
            .collect();
        let mut repaired = 0;
        for (order, operation) in &self.planted.repairable {
            let done = effects.contains_key(order.as_str());
            let id = &self.world.sandbox().references(ORG, order)[0];
            let human = flagged.get(id.as_str()) == Some(&true);
            assert!(done || human, "{order} needs {operation} and nobody knows");
            repaired += usize::from(done);
        }
        for id in &self.planted.for_a_human {
            assert!(flagged.contains_key(id.as_str()), "nobody knows of {id}");
        }
        // Neither planted nor seeded: what the world itself got stuck.
        for n in 1..=10_000 {
            let order = format!("SBX-{n:07}");
            let ids = self.world.sandbox().references(ORG, &order);
            let Some(id) = ids.first() else { break };
            let request = self.world.sandbox().request(ORG, id).unwrap();
            let age = self.world.now() - request.last_updated;
            if request.status == Status::NotSent && age > chrono::TimeDelta::hours(2) {
                let human = flagged.get(id.as_str()) == Some(&true);
                assert!(human, "{order} is unsent and nobody knows");
            }
        }
        (repaired, self.planted.for_a_human.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_of_ill_luck_repairs_everything_once() {
    // Shown if the test fails, or with --no-capture.
    eprintln!("seed {SEED}");
    let sandbox = SandboxConfig {
        seed: SEED,
        speed: 0.5,
        stuck_unsent: Some(12),
        token_ttl: HOUR,
        ..seeded(100)
    };
    let jobs = format!("{RESEND}{ISSUES}{EVENTS}");
    let world = World::with(sandbox, SAFETY, &jobs, ACCOUNT).await;
    let begun = world.now();
    let dice = ManualClock::new(begun, SEED);
    let mut week = Week {
        world,
        dice,
        planted: Planted::default(),
        counts: Counts::default(),
    };
    for step in 0..STEPS {
        week.step(step).await;
    }
    week.world.advance(10 * MINUTE);
    week.world.settle().await;
    assert!(week.world.now() - begun >= chrono::TimeDelta::from_std(7 * DAY).unwrap());
    week.check_attempts().await;
    let (repaired, for_a_human) = week.check_the_end().await;
    let ledger = week.world.ledger();
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    for entry in &ledger {
        *answers.entry(format!("{:?}", entry.answered)).or_default() += 1;
    }
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for state in week.world.states().await {
        *states.entry(state.as_str()).or_default() += 1;
    }
    eprintln!(
        "{repaired} of {} repairable repaired, {for_a_human} for a human; {} writes, {} effects, answers {answers:?}, \
         attempts {states:?}, {:?}",
        week.planted.repairable.len(),
        ledger.len(),
        ledger.iter().filter(|entry| entry.effect).count(),
        week.counts,
    );
    assert!(
        repaired * 100 >= week.planted.repairable.len() * 98,
        "{repaired}"
    );
    assert!(week.counts.kills >= 12, "{:?}", week.counts);
    // The troubles were real.
    for expected in ["Lost", "Cut", "Status(503)", "Status(502)", "Status(429)"] {
        assert!(answers.contains_key(expected), "{expected}: {answers:?}");
    }
}
