//! Several replicas at one run, on a real PostgreSQL: each with its own parts, clients and loop, in one process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::json;
use tempfile::TempDir;
use tesa_reconciler::app::{self, Core, Live, new_replica};
use tesa_reconciler::clock::{Clock, ManualClock, SharedClock};
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::domain::{AttemptState, Event, Issue, Request, RunOutcome, Trigger};
use tesa_reconciler::lifecycle::Beats;
use tesa_reconciler::reconcile::guard::WritePermit;
use tesa_reconciler::reconcile::runner::{RunOrder, RunResult};
use tesa_reconciler::reconcile::share::HOLD;
use tesa_reconciler::sandbox::{Effect, Fault, Patch, Running, Sandbox, SandboxConfig};
use tesa_reconciler::store::runs::RunSummary;
use tesa_reconciler::store::{Actor, Page};
use tesa_reconciler::tesamanager::{
    Accepted, HttpTesamanager, IdStream, ListFilter, ReadError, Tesamanager, WriteError,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{EVENTS, MINUTE, ORG, RESEND, RETRY, TOKEN, daemon, empty, seeded, tally};
use crate::support::postgres::Database;

const EVENTS_JOB: &str = "flag-events";
const OBSERVE: &str = "mode = \"observe\"";
const PATIENCE: Duration = Duration::from_secs(40);

/// A replica's upstream: counts its reads, and may never answer them.
struct Watched {
    inner: HttpTesamanager,
    reads: AtomicU64,
    hangs: bool,
}

impl Watched {
    async fn read(&self) {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Tesamanager for Watched {
    async fn list_reference_ids(
        &self,
        org: &Org,
        filter: &ListFilter,
    ) -> Result<IdStream, ReadError> {
        self.inner.list_reference_ids(org, filter).await
    }

    async fn get_request(&self, org: &Org, id: &ReferenceId) -> Result<Request, ReadError> {
        self.read().await;
        self.inner.get_request(org, id).await
    }

    async fn get_request_events(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Event>, ReadError> {
        self.inner.get_request_events(org, id).await
    }

    async fn get_request_issues(
        &self,
        org: &Org,
        id: &ReferenceId,
    ) -> Result<Vec<Issue>, ReadError> {
        self.inner.get_request_issues(org, id).await
    }

    fn clocks_apart(&self) -> Option<Duration> {
        self.inner.clocks_apart()
    }

    async fn await_write_quota(&self, org: &Org) {
        self.inner.await_write_quota(org).await;
    }

    async fn write(&self, permit: WritePermit) -> Result<Accepted, WriteError> {
        self.inner.write(permit).await
    }
}

struct Replica {
    core: Core,
    live: Arc<Live>,
    upstream: Arc<Watched>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _told: watch::Sender<Arc<Live>>,
}

impl Replica {
    /// One of `replicas`, with the loops that help others.
    async fn start(text: &str, clock: Arc<ManualClock>, replicas: u32, hangs: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = daemon::parse(text);
        let shared: SharedClock = clock.clone();
        let core = Core::start(&config, clock.clone(), new_replica(&shared))
            .await
            .unwrap();
        core.set_replicas(replicas as usize);
        let inner = HttpTesamanager::new(&config.tesamanager, clock).unwrap();
        inner.set_share(replicas);
        let upstream = Arc::new(Watched {
            inner,
            reads: AtomicU64::new(0),
            hangs,
        });
        let live = Arc::new(core.live_over(config, upstream.clone()));
        let (told, live_seen) = watch::channel(Arc::clone(&live));
        let stop = CancellationToken::new();
        let help = app::help(core.clone(), live_seen, Beats::default(), stop.clone());
        let (mut changes, sharing) = (core.store.changes(), core.sharing.clone());
        let heed = async move {
            while let Some(change) = changes.next().await {
                sharing.heed(change);
            }
        };
        Self {
            tasks: vec![tokio::spawn(help), tokio::spawn(heed)],
            core,
            live,
            upstream,
            stop,
            _told: told,
        }
    }

    /// The process is gone, wherever it was.
    fn kill(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }

    fn reads(&self) -> u64 {
        self.upstream.reads.load(Ordering::SeqCst)
    }

    async fn run(&self, job: &str) -> (RunOutcome, RunSummary) {
        self.run_until(job, &CancellationToken::new()).await
    }

    async fn run_until(&self, job: &str, stop: &CancellationToken) -> (RunOutcome, RunSummary) {
        let order = RunOrder {
            job: Arc::clone(&self.live.jobs[job]),
            org: Org::new(ORG),
            trigger: Trigger::Manual,
            slot: None,
            actor: Actor::daemon("test"),
        };
        match self.live.reconciler.run(&order, stop).await.unwrap() {
            RunResult::Done {
                outcome, summary, ..
            } => (outcome, summary),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop.cancel();
        self.kill();
    }
}

/// A sandbox and a database, around which replicas come and go.
struct Ground {
    clock: Arc<ManualClock>,
    running: Running,
    dir: TempDir,
    database: Database,
}

impl Ground {
    async fn new(sandbox: SandboxConfig) -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-15T12:00:00Z".parse().unwrap(), 7));
        let anywhere = ([127, 0, 0, 1], 0).into();
        let running = Sandbox::start(sandbox, clock.clone(), anywhere)
            .await
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), TOKEN).unwrap();
        Self {
            clock,
            running,
            dir,
            database: Database::migrated().await,
        }
    }

    /// The configuration, with these reads a second.
    fn text(&self, reads: u32, safety: &str, jobs: &str, tesamanager: &str) -> String {
        let text = daemon::configuration(&self.running, self.dir.path(), safety, jobs, tesamanager);
        let sqlite = format!("sqlite:{}", self.dir.path().join("t.db").display());
        text.replace(&sqlite, &self.database.url()).replace(
            "reads_per_second = 100000",
            &format!("reads_per_second = {reads}"),
        )
    }

    async fn fleet(&self, text: &str, replicas: u32) -> Vec<Replica> {
        let mut fleet = Vec::new();
        for _ in 0..replicas {
            fleet.push(Replica::start(text, self.clock.clone(), replicas, false).await);
        }
        fleet
    }

    fn unsent(&self, order: &str, age: &str) {
        let patch = json!({"external_reference": order, "status": "NOT_SENT", "age": age});
        let patch: Patch = serde_json::from_value(patch).unwrap();
        self.running.handle().patch(&patch).unwrap();
    }

    fn calls(&self, operation: &str) -> u64 {
        self.running.handle().stats().calls[operation]
    }

    /// What a query answers, a text a row.
    async fn rows(&self, query: &'static str) -> Vec<String> {
        let mut connection = self.database.connect().await;
        sqlx::query_scalar(query)
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    async fn decisions(&self) -> Vec<String> {
        self.rows(
            "SELECT concat_ws('|', reference_id, verdict, rule, explanation) FROM decisions ORDER BY 1",
        )
        .await
    }

    async fn findings(&self) -> Vec<String> {
        self.rows(
            "SELECT concat_ws('|', reference_id, kind, detail, state, evidence) FROM findings ORDER BY 1",
        )
        .await
    }

    async fn parts(&self) -> usize {
        self.rows("SELECT part::text FROM work").await.len()
    }

    /// As if those who hold claims had not renewed them for long.
    async fn claims_run_out(&self) {
        self.rows(
            "UPDATE work SET taken_until = now() - interval '1 hour' WHERE taken_until IS NOT NULL RETURNING ''",
        )
        .await;
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Stuck requests and nothing else.
fn stuck(requests: u32) -> SandboxConfig {
    SandboxConfig {
        stuck_unsent: Some(requests as usize),
        ..seeded(requests)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_read_once_and_decided_on_as_if_by_one() {
    let alone = Ground::new(seeded(600)).await;
    let one = alone.fleet(&alone.text(600, "", EVENTS, ""), 1).await;
    let (outcome, by_one) = one[0].run(EVENTS_JOB).await;
    assert_eq!(outcome, RunOutcome::Succeeded);
    let together = Ground::new(seeded(600)).await;
    let three = together.fleet(&together.text(600, "", EVENTS, ""), 3).await;
    let (outcome, by_three) = three[0].run(EVENTS_JOB).await;
    assert_eq!(outcome, RunOutcome::Succeeded);
    assert_eq!(by_three, by_one);
    assert_eq!(together.calls("get_request"), 600);
    let reads: Vec<u64> = three.iter().map(Replica::reads).collect();
    assert!(reads.iter().all(|reads| *reads > 0), "{reads:?}");
    assert_eq!(together.decisions().await, alone.decisions().await);
    assert!(!alone.findings().await.is_empty());
    assert_eq!(together.findings().await, alone.findings().await);
    assert_eq!(together.parts().await, 0);
    // What was read by whomever is known to the next run, whoever holds it.
    let (_, again) = three[1].run(EVENTS_JOB).await;
    assert_eq!((again.observed, again.unchanged), (0, 600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_are_not_slower_than_one() {
    let mut took = Vec::new();
    for replicas in [1, 3] {
        let ground = Ground::new(stuck(900)).await;
        let fleet = ground
            .fleet(&ground.text(300, OBSERVE, RESEND, ""), replicas)
            .await;
        let begun = Instant::now();
        let (outcome, summary) = fleet[0].run(RETRY).await;
        took.push(begun.elapsed());
        assert_eq!((outcome, summary.observed), (RunOutcome::Succeeded, 900));
    }
    println!("one: {:?}, three: {:?}", took[0], took[1]);
    // By itself the holder would have a third of the rate, and take three times as long.
    assert!(took[1] < took[0].mul_f64(1.35), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_helper_was_reading_is_read_by_another() {
    let ground = Ground::new(stuck(200)).await;
    let text = ground.text(200, OBSERVE, RESEND, "");
    let holder = Replica::start(&text, ground.clock.clone(), 2, false).await;
    let mut helper = Replica::start(&text, ground.clock.clone(), 2, true).await;
    let die = async {
        until("the helper reads", async || helper.reads() > 0).await;
        helper.kill();
        until("only its parts are left", async || {
            holder.reads() > 100 && ground.parts().await <= 3
        })
        .await;
        ground.claims_run_out().await;
    };
    let ((outcome, summary), ()) = tokio::join!(holder.run(RETRY), die);
    assert_eq!((outcome, summary.observed), (RunOutcome::Succeeded, 200));
    assert_eq!(ground.decisions().await.len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_that_is_told_to_stop_gives_its_parts_back() {
    let ground = Ground::new(stuck(200)).await;
    let text = ground.text(200, OBSERVE, RESEND, "");
    let holder = Replica::start(&text, ground.clock.clone(), 2, false).await;
    let helper = Replica::start(&text, ground.clock.clone(), 2, true).await;
    let leave = async {
        until("the helper reads", async || helper.reads() > 0).await;
        helper.stop.cancel();
    };
    let begun = Instant::now();
    let ((outcome, summary), ()) = tokio::join!(holder.run(RETRY), leave);
    assert_eq!((outcome, summary.observed), (RunOutcome::Succeeded, 200));
    // Nobody had to wait for a claim to run out.
    assert!(begun.elapsed() < HOLD, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_killed_between_ledger_and_answer_costs_no_second_write() {
    let ground = Ground::new(empty()).await;
    for n in 1..=6 {
        ground.unsent(&format!("ORDER-{n}"), "2h");
    }
    let hang = Fault::new(Effect::Hang { applied: true })
        .on(&["create_activation"])
        .times(2);
    ground.running.handle().set_faults(vec![hang]).unwrap();
    let impatient = "request_timeout = \"3s\"";
    let text = ground.text(1_000, "", RESEND, impatient);
    let mut fleet = ground.fleet(&text, 2).await;
    let mut helper = fleet.pop().unwrap();
    let holder = fleet.pop().unwrap();
    let helper_s = helper.core.replica.id.clone();
    let ledger = || ground.running.handle().ledger();
    let die = async {
        until("both are sending", async || ledger().len() == 2).await;
        helper.kill();
        until("only its part is left", async || {
            ledger().len() == 6 && ground.parts().await == 1
        })
        .await;
        ground.claims_run_out().await;
    };
    let ((outcome, summary), ()) = tokio::join!(holder.run(RETRY), die);
    assert_eq!((outcome, summary.sent), (RunOutcome::Partial, 6));
    tally::no_order_twice(&ledger());
    let store = &holder.core.store;
    let of_helper = async || {
        let page = Page::first(10);
        let all = store.attempts(&Default::default(), page).await.unwrap();
        let its = all.into_iter().find(|one| one.replica == helper_s.as_str());
        its.unwrap().state
    };
    assert_eq!(of_helper().await, AttemptState::Intended);
    store.retire_replica(&helper_s).await.unwrap();
    let (now, alive) = (ground.clock.now(), [holder.core.replica.id.clone()]);
    store.recover_intended(&alive, now, now).await.unwrap();
    for _ in 0..20 {
        holder.live.verifier.verify_due(None).await.unwrap();
        ground.clock.advance(MINUTE);
    }
    assert_eq!(of_helper().await, AttemptState::Confirmed);
    holder.run(RETRY).await;
    assert_eq!(ledger().len(), 6);
    tally::no_order_twice(&ledger());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_hold_however_many_send_and_the_oldest_go_first() {
    let ground = Ground::new(empty()).await;
    for n in 0..20 {
        ground.unsent(&format!("ORDER-{n:02}"), &format!("{}h", 40 - n));
    }
    let text = ground.text(1_000, "max_writes_per_run = 5", RESEND, "");
    let fleet = ground.fleet(&text, 3).await;
    let (outcome, summary) = fleet[0].run(RETRY).await;
    assert_eq!((outcome, summary.sent), (RunOutcome::Succeeded, 5));
    let ledger = ground.running.handle().ledger();
    tally::no_order_twice(&ledger);
    let mut orders = tally::orders(&ledger);
    orders.sort();
    assert_eq!(orders.len(), 5);
    // Three at a time: so many may have overtaken each other.
    assert!(orders.iter().all(|order| *order < "ORDER-07"), "{orders:?}");
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for row in ground.rows("SELECT verdict FROM decisions").await {
        *verdicts.entry(row).or_default() += 1;
    }
    let expected = [("act".to_owned(), 5), ("cap_reached".to_owned(), 15)];
    assert_eq!(verdicts, BTreeMap::from(expected));
    assert_eq!(ground.parts().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_configured_otherwise_takes_no_part() {
    let ground = Ground::new(stuck(100)).await;
    let text = ground.text(200, OBSERVE, RESEND, "");
    let otherwise = text.replace("\"30m\"", "\"45m\"");
    let holder = Replica::start(&text, ground.clock.clone(), 2, false).await;
    let helper = Replica::start(&otherwise, ground.clock.clone(), 2, false).await;
    let (outcome, summary) = holder.run(RETRY).await;
    assert_eq!((outcome, summary.observed), (RunOutcome::Succeeded, 100));
    assert_eq!((holder.reads(), helper.reads()), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_stopped_takes_its_parts_away_and_the_next_run_goes_on() {
    let ground = Ground::new(stuck(150)).await;
    let fleet = ground.fleet(&ground.text(60, OBSERVE, RESEND, ""), 2).await;
    let stop = CancellationToken::new();
    let order = async {
        until("the helper reads", async || fleet[1].reads() > 0).await;
        stop.cancel();
    };
    let begun = Instant::now();
    let ((outcome, _), ()) = tokio::join!(fleet[0].run_until(RETRY, &stop), order);
    assert_eq!(outcome, RunOutcome::Aborted);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ground.parts().await, 0);
    let (outcome, summary) = fleet[1].run(RETRY).await;
    assert_eq!(outcome, RunOutcome::Succeeded);
    assert_eq!(summary.selected, 150);
    assert_eq!(ground.decisions().await.len(), 150);
}
