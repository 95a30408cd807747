//! The reconciler as a whole: real HTTP to the sandbox, the real store on SQLite, one manual clock for both sides.
//!
//! What happened is judged by the *sandbox's* ledger, not by ours: a daemon that kept wrong books could not pass.
//! Only time is made up. It stands still unless a test moves it, so nothing here waits for anything but answers.

mod acknowledgements;
mod ahead;
mod answers;
mod backoff;
mod barrier;
mod between;
mod claims;
mod clocks;
mod daemon;
mod events;
mod guard;
mod housekeeping;
mod issues;
mod items;
mod lists;
mod main_job;
mod naive;
mod outage;
mod pauses;
mod refusals;
mod rehearsed;
mod repair_time;
mod rereads;
mod skipping;
mod standing;
mod tally;
mod unknown_outcome;
mod week;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tesa_reconciler::clock::{Clock, ManualClock};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::domain::{AttemptState, RunOutcome, Status};
use tesa_reconciler::reconcile::plan::Item;
use tesa_reconciler::reconcile::survey::{PlanSink, Tally};
use tesa_reconciler::sandbox::{Entry, Fault, Patch, Patched, Running, Sandbox, SandboxConfig};
use tesa_reconciler::store::attempts::{Attempt, AttemptFilter};
use tesa_reconciler::store::findings::{Finding, FindingFilter};
use tesa_reconciler::store::runs::RunSummary;
use tesa_reconciler::store::{Actor, Page, Store, StoreError};

use crate::replayed;

use ahead::Ahead;
use daemon::Daemon;

const ORG: &str = "masmovil";
const TOKEN: &str = "good-for-tests";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn org() -> Org {
    Org::new(ORG)
}

fn person(reason: &str) -> Actor {
    Actor {
        who: "cli:operator".to_owned(),
        reason: reason.to_owned(),
    }
}

/// The resending job alone, as most tests want it.
const RESEND: &str = r#"
[[job]]
name = "retry-stuck"
kind = "retry_stuck"
every = "5m"
[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SENT"]
not_updated_for = "30m"
action = "resend"
"#;

const RETRY: &str = "retry-stuck";

/// The job that follows event streams.
const EVENTS: &str = r#"
[[job]]
name = "flag-events"
kind = "flag_events"
every = "15m"
reobserve_every = "24h"
"#;

/// The job that resolves issues: one kind it acts on, one it flags, one it leaves alone.
const ISSUES: &str = r#"
[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "10m"
[[job.rule]]
name = "customer-was-absent"
statuses = ["INCIDENCE_OPERATOR"]
issue_codes = ["CLI-*"]
repeated = false
action = "resolve_incident"
observations = "Cita confirmada de nuevo ({issue_code})"
[[job.rule]]
name = "watch-boxes"
issue_codes = ["CTO-*"]
action = "flag"
[[job.rule]]
name = "leave-permits"
issue_codes = ["PER-*"]
action = "ignore"
"#;

/// A world that is empty (a test puts its requests in), and does not move by itself.
fn empty() -> SandboxConfig {
    seeded(0)
}

/// A seeded world that does not move by itself.
fn seeded(requests: u32) -> SandboxConfig {
    SandboxConfig {
        orgs: vec![ORG.to_owned()],
        requests,
        speed: 0.0,
        tokens: vec![TOKEN.to_owned()],
        ..SandboxConfig::default()
    }
}

/// A sandbox, a daemon's parts, and their common clock.
struct World {
    clock: Arc<ManualClock>,
    /// The sandbox's view of it.
    upstream: Arc<Ahead>,
    running: Running,
    daemon: Daemon,
    dir: TempDir,
    safety: String,
    jobs: String,
    tesamanager: String,
}

impl World {
    /// `safety` are lines of `[safety]` beside the mode, which is `enforce`.
    async fn new(sandbox: SandboxConfig, safety: &str, jobs: &str) -> Self {
        Self::with(sandbox, safety, jobs, "").await
    }

    /// As [`World::new`], with lines of `[tesamanager]` too.
    async fn with(sandbox: SandboxConfig, safety: &str, jobs: &str, tesamanager: &str) -> Self {
        let noon: DateTime<Utc> = "2026-01-15T12:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(noon, 7));
        let anywhere = ([127, 0, 0, 1], 0).into();
        let upstream = Arc::new(Ahead::of(clock.clone()));
        let running = Sandbox::start(sandbox, upstream.clone(), anywhere)
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        let account = dir.path().join("service-account.json");
        running.write_service_account(&account).unwrap();
        let text = daemon::configuration(&running, dir.path(), safety, jobs, tesamanager);
        let daemon = Daemon::start(&text, clock.clone()).await;
        Self {
            clock,
            upstream,
            running,
            daemon,
            dir,
            safety: safety.to_owned(),
            jobs: jobs.to_owned(),
            tesamanager: tesamanager.to_owned(),
        }
    }

    fn text(&self) -> String {
        daemon::configuration(
            &self.running,
            self.dir.path(),
            &self.safety,
            &self.jobs,
            &self.tesamanager,
        )
    }

    /// What a reload does.
    fn reload(&mut self, safety: &str, jobs: &str) {
        safety.clone_into(&mut self.safety);
        jobs.clone_into(&mut self.jobs);
        self.daemon.reload(&self.text());
    }

    /// The process ends without a word, and another one begins on the same file.
    async fn restart(&mut self) {
        let text = self.text();
        self.daemon.kill();
        self.daemon = Daemon::start(&text, self.clock.clone()).await;
    }

    fn sandbox(&self) -> &Sandbox {
        self.running.handle()
    }

    fn store(&self) -> &dyn Store {
        &**self.daemon.store()
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        self.sandbox().set_faults(faults).unwrap();
    }

    /// Every write that came in at the upstream.
    fn ledger(&self) -> Vec<Entry> {
        self.sandbox().ledger()
    }

    fn patch(&self, patch: Value) -> Patched {
        let patch: Patch = serde_json::from_value(patch).unwrap();
        self.sandbox().patch(&patch).unwrap()
    }

    /// An unsent request, last updated so long ago.
    fn unsent(&self, order: &str, age: &str) -> ReferenceId {
        let patch = json!({"external_reference": order, "status": "NOT_SENT", "age": age});
        self.patch(patch).reference_id.into()
    }

    fn status(&self, id: &ReferenceId) -> Status {
        self.sandbox().request(ORG, id.as_str()).unwrap().status
    }

    async fn run(&self, job: &str) -> (RunOutcome, RunSummary) {
        let ran = self.daemon.run(job).await.unwrap();
        replayed::leads_to_what_is_remembered(self.store(), &org())
            .await
            .unwrap();
        ran
    }

    /// A run that must end well.
    async fn run_well(&self, job: &str) -> RunSummary {
        let (outcome, summary) = self.run(job).await;
        assert_eq!(outcome, RunOutcome::Succeeded, "{summary:?}");
        summary
    }

    async fn verify(&self) {
        self.daemon.verify().await.unwrap();
    }

    /// Verifies again and again, a step of time apart, until no attempt awaits it.
    async fn settle(&self) {
        for _ in 0..60 {
            self.verify().await;
            let attempts = self.attempts().await;
            if !attempts
                .iter()
                .any(|attempt| attempt.state.awaits_verification())
            {
                return;
            }
            self.advance(MINUTE);
        }
        panic!("attempts never settle: {:?}", self.attempts().await);
    }

    /// Every attempt in our own ledger, oldest first.
    async fn attempts(&self) -> Vec<Attempt> {
        let page = Page::first(10_000);
        let mut all = self
            .store()
            .attempts(&AttemptFilter::default(), page)
            .await
            .unwrap();
        all.reverse();
        all
    }

    async fn states(&self) -> Vec<AttemptState> {
        let attempts = self.attempts().await;
        attempts.iter().map(|attempt| attempt.state).collect()
    }

    /// Findings that aren't resolved.
    async fn findings(&self) -> Vec<Finding> {
        self.findings_of(FindingFilter::default()).await
    }

    async fn findings_of(&self, filter: FindingFilter) -> Vec<Finding> {
        let page = Page::first(10_000);
        self.store().findings(&filter, page).await.unwrap()
    }

    /// The last verdict of `job` about a request.
    async fn verdict(&self, job: &str, id: &ReferenceId) -> String {
        let decisions = self.store().decisions_about(&org(), id).await.unwrap();
        let mine = decisions
            .into_iter()
            .find(|decision| decision.job_name.as_str() == job);
        mine.map_or_else(|| "none".to_owned(), |decision| decision.verdict)
    }

    /// Every decision that a run would make now.
    async fn plan(&self, job: &str) -> (Tally, Vec<Item>) {
        let mut items = Items::default();
        let tally = self.daemon.plan(job, &mut items).await.unwrap();
        (tally, items.0)
    }

    /// Calls by operation, without those that were never made.
    fn calls(&self) -> BTreeMap<String, u64> {
        let calls = self.sandbox().stats().calls;
        calls.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// Keeps a plan.
#[derive(Default)]
struct Items(Vec<Item>);

#[async_trait]
impl PlanSink for Items {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        self.0.extend(items);
        Ok(())
    }
}
