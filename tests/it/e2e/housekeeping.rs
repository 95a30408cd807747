//! Housekeeping: the store stays small, nothing that is needed goes, and nobody waits long for the writer.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tesa_reconciler::domain::{RunOutcome, Trigger};
use tokio_util::sync::CancellationToken;

use super::{DAY, RESEND, RETRY, World, empty};

const JOB: &str = "keep-house";
const HOUSE: &str = "\n[[job]]\nname = \"keep-house\"\nkind = \"housekeeping\"\nevery = \"24h\"\n";

/// Rows of each kind.
const ROWS: u32 = 10_000;

/// An intent must not wait longer than this for the writer.
const PATIENCE: Duration = Duration::from_millis(50);

/// `rows` closed rows of every kind, all from the beginning of 2025.
async fn fill(world: &World, rows: u32) {
    let at = 1_735_700_000_000_000_i64;
    let statements = format!(
        "CREATE TEMP TABLE n AS
             WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows}) SELECT i FROM c;
         INSERT INTO runs (job_name, org, trigger, replica, mode, actor, reason, token, started_at, last_beat,
                           finished_at, outcome)
             SELECT 'old', 'masmovil', 'schedule', 'r', 'enforce', 'daemon', '', 1000000 + i, {at} + i, {at}, {at} + i,
                    'succeeded' FROM n;
         INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id,
                               replica, before_status, before_cancelling, correlation_id, intended_at, counted_at,
                               changed_at, detail)
             SELECT 'masmovil', 'old-' || i, 'order-' || i, 'create_activation', 'confirmed', 'old', 'r',
                    (SELECT max(id) FROM runs), 'r', 'NOT_SENT', 0, 'c-' || i, {at} + i, {at} + i, {at} + i, '' FROM n;
         INSERT INTO attempt_steps (attempt_id, state, at, who, detail)
             SELECT id, 'intended', {at}, 'daemon', '' FROM attempts WHERE job_name = 'old'
             UNION ALL SELECT id, 'confirmed', {at}, 'daemon', '' FROM attempts WHERE job_name = 'old';
         INSERT INTO observations (org, reference_id, status, cancelling, observed_at)
             SELECT 'masmovil', 'old-' || i, 'FINISHED', 0, {at} + i FROM n;
         INSERT INTO decisions (org, reference_id, job_name, run_id, since, verdict, explanation)
             SELECT 'masmovil', 'old-' || i, 'old', 1, {at} + i, 'flag', '' FROM n;
         INSERT INTO looks (org, job_name, reference_id, looked_at, issues)
             SELECT 'masmovil', 'old', 'old-' || i, {at} + i, '[]' FROM n;
         INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, first_seen, last_seen,
                               resolved_at)
             SELECT 'masmovil', 'old-' || i, 'stuck_request', '', 'old', 'resolved', '', {at}, {at}, {at} + i FROM n;
         INSERT INTO audit (at, who, action, subject, reason) SELECT {at} + i, 'daemon', 'old', '', '' FROM n;"
    );
    let url = &world.daemon.live().config.state.url;
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(statements)).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_while_all_that_is_old_goes() {
    let world = World::new(empty(), "", &format!("{RESEND}{HOUSE}")).await;
    world.unsent("ORDER-1", "2h");
    world.run_well(RETRY).await;
    world.settle().await;
    fill(&world, ROWS).await;
    let live = world.daemon.live();
    let order = world.daemon.order(JOB, Trigger::Schedule);
    let run = tokio::spawn(async move {
        let stop = CancellationToken::new();
        live.reconciler.run(&order, &stop).await.unwrap()
    });
    let mut waits = Vec::new();
    while !run.is_finished() {
        let begun = Instant::now();
        let actor = super::person("at work");
        let now = world.now();
        world.store().note("start", "x", &actor, now).await.unwrap();
        waits.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let result = run.await.unwrap();
    let tesa_reconciler::reconcile::runner::RunResult::Done {
        outcome, summary, ..
    } = result
    else {
        panic!("{result:?}");
    };
    assert_eq!(outcome, RunOutcome::Succeeded);
    assert_eq!(summary.selected, 7 * u64::from(ROWS), "{summary:?}");
    waits.sort();
    let [median, longest] = [waits[waits.len() / 2], waits[waits.len() - 1]];
    eprintln!(
        "{} waits for the writer: median {median:?}, longest {longest:?}",
        waits.len()
    );
    // The machine may be busy with something else once; not most of the time.
    assert!(median < PATIENCE, "{median:?}");
    // What is young stays.
    assert_eq!(world.attempts().await.len(), 1);
    assert_eq!(world.run_well(JOB).await.selected, 0);
    assert_eq!(
        world.sandbox().stats().writes,
        1,
        "it asks the upstream nothing"
    );
    world.advance(100 * DAY);
    assert!(world.run_well(JOB).await.selected > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn housekeeping_stops_between_batches_and_goes_on_later() {
    let world = World::new(empty(), "", HOUSE).await;
    fill(&world, 1_000).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let order = world.daemon.order(JOB, Trigger::Schedule);
    let (outcome, summary) = world.daemon.run_as(&order, &stop).await.unwrap();
    assert_eq!((outcome, summary.selected), (RunOutcome::Aborted, 0));
    assert_eq!(world.run_well(JOB).await.selected, 7_000);
    assert!(world.calls().is_empty());
}
