//! How long others wait for the writer while a hundred thousand old rows of every kind are pruned: not long, or an intent
//! would, and with it every write upstream.

use std::time::{Duration, Instant};

use tesa_reconciler::store::Pruned;

use super::harness::Fresh;
use super::values::*;

behaviours![; in a database: another_writer_waits_little_while_old_rows_go];

/// As housekeeping itself does it.
const BATCH: u32 = 200;

/// Batches that a test of every day sees; all there are take minutes.
const FEW: usize = 40;

/// Old and closed, a hundred thousand each. `{n}` is the number of the row, `{t}` an instant of its own long ago, `{uuid}`
/// one made of the number; `{rows}` yields them.
const OLD: &[&str] = &[
    "INSERT INTO runs (job_name, org, trigger, replica, mode, actor, reason, token, started_at, last_beat, finished_at,
         outcome)
     SELECT 'job', 'org', 'schedule', 'r', 'enforce', 'daemon', '', 1000 + {n}, {t}, {t}, {t}, 'succeeded' FROM {rows}",
    "INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id, replica,
         before_status, before_cancelling, correlation_id, intended_at, counted_at, changed_at, detail)
     SELECT 'org', 'r' || {n}, 'x' || {n}, 'create_activation', 'confirmed', 'job', 'rule', {n}, 'r', 'NOT_SENT', {no},
         {uuid}, {t}, {t}, {t}, '' FROM {rows}",
    "INSERT INTO attempt_steps (attempt_id, state, at, who, detail)
     SELECT {n}, 'intended', {t}, 'daemon', '' FROM {rows}",
    "INSERT INTO slots (job_name, org, scheduled_at, run_id) SELECT 'job', 'o' || {n}, {t}, {n} FROM {rows}",
    "INSERT INTO unrun_slots (job_name, org, result, first_at, last_at, recorded_at)
     SELECT 'job', 'o' || {n}, 'missed', {t}, {t}, {t} FROM {rows}",
    "INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, first_seen, last_seen,
         resolved_at)
     SELECT 'org', 'f' || {n}, 'stuck_request', 'NOT_SENT', 'job', 'resolved', '', {t}, {t}, {t} FROM {rows}",
    "INSERT INTO observations (org, reference_id, external_reference, status, cancelling, observed_at)
     SELECT 'org', 'o' || {n}, 'y' || {n}, 'FINISHED', {no}, {t} FROM {rows}",
    "INSERT INTO decisions (org, reference_id, job_name, run_id, since, verdict, explanation)
     SELECT 'org', 'd' || {n}, 'job', 1, {t}, 'act', '' FROM {rows}",
    "INSERT INTO looks (org, job_name, reference_id, looked_at, issues)
     SELECT 'org', 'job', 'l' || {n}, {t}, '[]' FROM {rows}",
    "INSERT INTO triggers (job_name, org, who, reason, requested_at, run_id)
     SELECT 'job', 'org', 'cli:x', '', {t}, 1 FROM {rows}",
    "INSERT INTO audit (at, who, action, subject, reason) SELECT {t}, 'daemon', 'start', '', '' FROM {rows}",
];

async fn fill(fresh: &Fresh) {
    let old = fresh.literal(at(0));
    let (rows, instant, uuid, no) = if fresh.url().starts_with("sqlite") {
        let rows = "(WITH RECURSIVE ns (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 100000) SELECT n FROM ns)";
        (rows, format!("({old} + n)"), "printf('%032x', n)", "0")
    } else {
        let instant = format!("(timestamptz {old} + n * interval '1 microsecond')");
        let uuid = "lpad(to_hex(n), 32, '0')::uuid";
        ("generate_series(1, 100000) AS n", instant, uuid, "false")
    };
    for statement in OLD {
        let statement = statement
            .replace("{t}", &instant)
            .replace("{uuid}", uuid)
            .replace("{no}", no)
            .replace("{rows}", rows)
            .replace("{n}", "n");
        fresh.past_the_store(&statement).await.unwrap();
    }
    // As either database does by itself in time.
    fresh.past_the_store("ANALYZE").await.unwrap();
}

/// What the waits of another writer were, shortest first, while so many batches at most were pruned.
async fn waits(fresh: &Fresh, batches: usize) -> (Vec<Duration>, u64) {
    fill(fresh).await;
    let other = fresh.again().await;
    let lease = a_run(&*fresh.store).await;
    let pruning = async {
        let mut rows = 0;
        for _ in 0..batches {
            let pruned: Pruned = fresh
                .store
                .prune(&lease, at(1_000_000), BATCH)
                .await
                .unwrap();
            rows += pruned.total();
            if pruned.total() == 0 {
                break;
            }
        }
        rows
    };
    tokio::pin!(pruning);
    let mut waits = Vec::new();
    let writing = async {
        loop {
            let begun = Instant::now();
            other
                .note("start", "x", &daemon(), at(2_000_000))
                .await
                .unwrap();
            waits.push(begun.elapsed());
            // Whoever asks without a pause would only wait for itself.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let rows = tokio::select! {
        rows = &mut pruning => rows,
        () = writing => unreachable!("it goes on for ever"),
    };
    waits.sort();
    (waits, rows)
}

async fn another_writer_waits_little_while_old_rows_go(fresh: Fresh) {
    let (waits, rows) = waits(&fresh, FEW).await;
    assert!(rows > 10_000, "{rows} were pruned");
    assert!(waits.len() > 10, "somebody else wrote meanwhile: {waits:?}");
    // Beside other tests, on a machine with little to spare. Nobody was refused, or it would not have come to this.
    let median = waits[waits.len() / 2];
    assert!(median < Duration::from_millis(100), "{median:?}");
}

/// For whoever wants figures: `cargo nextest run --run-ignored only --no-capture waits`.
#[expect(clippy::print_stderr, reason = "figures are what it is for")]
async fn measure(fresh: Fresh) {
    let begun = Instant::now();
    let (waits, rows) = waits(&fresh, usize::MAX).await;
    assert!(rows > 1_000_000, "{rows}");
    eprintln!(
        "{rows} rows, all in {:?}; of {} writes beside it the median took {:?}, 99 of 100 less than {:?}, the longest {:?}",
        begun.elapsed(),
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits[waits.len() - 1],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of minutes"]
async fn measured_on_sqlite() {
    measure(Fresh::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of minutes"]
async fn measured_on_postgresql() {
    measure(Fresh::postgres().await).await;
}
