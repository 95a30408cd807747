//! A store after years: a million requests, five million attempts. No statement that runs for each request, write, beat
//! or page may walk through that, and a scrape may not notice.
//!
//! Filling it is most of the time this takes; so it is filled past the store, without logging, with the indexes built
//! afterwards, and everything is asked of the same one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::domain::FindingKind;
use tesa_reconciler::store::{self, Store, StoreOptions};
use tesa_reconciler::telemetry::{Scope, StoreGauges};
use tokio::sync::watch;

use super::harness::Fresh;
use super::postgres_plans;
use super::values::*;
use crate::support::postgres::Database;

/// What a scrape may take.
const SCRAPE: Duration = Duration::from_millis(50);

/// The ledger: five attempts a request, one in five thousand of them open.
const LEDGER: &str = "
    ALTER TABLE attempts SET UNLOGGED;
    INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id, replica,
        before_status, before_cancelling, correlation_id, intended_at, counted_at, changed_at, detail, verify_at)
    SELECT 'org', 'r' || n % 1000000, 'x' || n % 1000000, 'create_activation',
        CASE WHEN n <= 1000 THEN 'unknown' ELSE 'confirmed' END, 'job', 'rule', 1 + n % 50000, 'r', 'NOT_SENT', false,
        lpad(to_hex(n), 32, '0')::uuid, now() - n * interval '1 second', now() - n * interval '1 second',
        now() - n * interval '1 second', '',
        CASE WHEN n <= 1000 THEN now() END
    FROM generate_series(1, 5000000) AS n";

/// Everything else; of the findings a quarter is live, of those half belong to classes, and some are missing or wait for
/// a person.
const THE_REST: &str = "
    ALTER TABLE attempt_steps SET UNLOGGED; ALTER TABLE runs SET UNLOGGED; ALTER TABLE observations SET UNLOGGED;
    ALTER TABLE decisions SET UNLOGGED; ALTER TABLE findings SET UNLOGGED; ALTER TABLE looks SET UNLOGGED;
    ALTER TABLE history SET UNLOGGED;
    INSERT INTO runs (job_name, org, trigger, replica, mode, actor, reason, token, started_at, last_beat, finished_at,
        outcome)
    SELECT 'job', 'org', 'schedule', 'r', 'enforce', 'daemon', '', n, now(), now(), now() - n * interval '1 minute',
        'succeeded'
    FROM generate_series(1, 50000) AS n;
    INSERT INTO observations (org, reference_id, external_reference, status, cancelling, observed_at)
    SELECT 'org', 'r' || n, 'x' || n, CASE n % 4 WHEN 0 THEN 'NOT_SENT' ELSE 'FINISHED' END, false,
        now() - n * interval '1 second'
    FROM generate_series(1, 1000000) AS n;
    INSERT INTO history (org, reference_id, subject, happening, seen_at, code, inconsistent)
    SELECT 'org', 'r' || n, 'event', 'event', now() - n * interval '1 second', 'ACK', false
    FROM generate_series(1, 1000000) AS n;
    INSERT INTO decisions (org, reference_id, job_name, run_id, since, verdict, explanation)
    SELECT 'org', 'r' || n, 'job', 1, now() - n * interval '1 second', 'act', '' FROM generate_series(1, 1000000) AS n;
    INSERT INTO looks (org, job_name, reference_id, looked_at, issues, again_at)
    SELECT 'org', 'job', 'r' || n, now() - n * interval '1 second', '[]',
        CASE n % 4 WHEN 0 THEN now() + n * interval '1 second' END FROM generate_series(1, 1000000) AS n;
    INSERT INTO classes (org, job_name, rule, detail, evidence, size, listed_at)
    SELECT 'org', 'job', 'rule' || n, 'NOT_SENT', '', 6250, now() FROM generate_series(1, 20) AS n;
    INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, since, first_seen, last_seen,
        resolved_at, class_id, missing_since, attention)
    SELECT 'org', 'r' || n, 'stuck_request', 'NOT_SENT', 'job', CASE n % 4 WHEN 0 THEN 'open' ELSE 'resolved' END, '',
        CASE n % 32 WHEN 0 THEN NULL ELSE now() END, now(), now(),
        CASE n % 4 WHEN 0 THEN NULL ELSE now() - n * interval '1 second' END,
        CASE n % 8 WHEN 0 THEN 1 + n % 20 END, CASE n % 400 WHEN 0 THEN now() END,
        CASE n % 400 WHEN 0 THEN 'given_up' END
    FROM generate_series(1, 1000000) AS n;
    INSERT INTO contradictions (org, filter, reference_id, what, seen_at)
    SELECT 'org' || n % 10, 'statuses', 'r' || n, '', now() - n * interval '1 minute'
    FROM generate_series(1, 100000) AS n;
    INSERT INTO attempt_steps (attempt_id, state, at, who, detail)
    SELECT n, 'intended', now(), 'daemon', '' FROM generate_series(1, 1000000) AS n;
    INSERT INTO acknowledgements (org, reference_id, external_reference, kind, detail, who, reason, given_at, ended_at,
        ended_why)
    SELECT 'org', 'r' || n, 'x' || n, 'stuck_request', '', 'cli:x', '', now(),
        CASE n % 4 WHEN 0 THEN NULL ELSE now() - n * interval '1 minute' END, CASE n % 4 WHEN 0 THEN NULL ELSE 'x' END
    FROM generate_series(1, 100000) AS n;
    INSERT INTO duplicates (org, external_reference, reference_id, seen_at, let_go)
    SELECT 'org', 'x' || n, 'r' || n, now() - n * interval '1 minute', false FROM generate_series(1, 100000) AS n;
    INSERT INTO retries (org, external_reference, at, who, reason, last_attempt)
    SELECT 'org', 'x' || n, now() - n * interval '1 minute', 'cli:x', '', 0 FROM generate_series(1, 100000) AS n;
    INSERT INTO slots (job_name, org, scheduled_at, run_id)
    SELECT 'job', 'org', now() - n * interval '1 minute', 1 + n % 50000 FROM generate_series(1, 100000) AS n;
    INSERT INTO unrun_slots (job_name, org, result, first_at, last_at, recorded_at)
    SELECT 'job' || n % 20, 'org', 'missed', at, at, at FROM (
        SELECT n, now() - n * interval '1 minute' AS at FROM generate_series(1, 100000) AS n) AS ats;
    INSERT INTO triggers (job_name, org, who, reason, requested_at, run_id)
    SELECT 'job', 'org', 'cli:x', '', now() - n * interval '1 minute', CASE n % 3000 WHEN 0 THEN NULL ELSE 1 END
    FROM generate_series(1, 100000) AS n;
    INSERT INTO audit (at, who, action, subject, reason)
    SELECT now() - n * interval '1 minute', 'daemon', 'start', '', '' FROM generate_series(1, 100000) AS n";

/// What a fill need not keep up row by row: how it goes, how it comes back, and whether it is the ledger's.
const BURDENS: &str = "
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
        NULL::boolean
    FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::text::regnamespace
    UNION ALL
    SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid),
        indrelid = 'attempts'::regclass
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relnamespace = current_schema()::text::regnamespace
        AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)";

async fn raw(connection: &mut PgConnection, statement: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection);
    done.await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn fill_postgres(database: &Database) {
    let mut one = database.connect().await;
    let mut other = database.connect().await;
    let burdens: Vec<(String, String, Option<bool>)> =
        sqlx::query_as(BURDENS).fetch_all(&mut one).await.unwrap();
    for (drop, _, _) in &burdens {
        raw(&mut one, drop).await;
    }
    let half = async |connection: &mut PgConnection, rows: &str, ledger: bool| {
        raw(connection, "SET maintenance_work_mem = '256MB'").await;
        raw(connection, rows).await;
        for (_, create, _) in burdens.iter().filter(|burden| burden.2 == Some(ledger)) {
            raw(connection, create).await;
        }
    };
    tokio::join!(
        half(&mut one, LEDGER, true),
        half(&mut other, THE_REST, false)
    );
    for (_, create, _) in burdens.iter().filter(|burden| burden.2.is_none()) {
        raw(&mut one, create).await;
    }
    // As autovacuum does by itself in time.
    raw(&mut one, "VACUUM ANALYZE").await;
}

/// The same for SQLite, whose plans don't depend on how much there is; so there is an attempt a request.
const SQLITE: &str = "
    INSERT INTO runs (job_name, org, trigger, replica, mode, actor, reason, token, started_at, last_beat, finished_at,
        outcome)
    VALUES ('job', 'org', 'schedule', 'r', 'enforce', 'daemon', '', 1, 0, 0, 0, 'succeeded');
    WITH RECURSIVE ns (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 1000000)
    INSERT INTO observations (org, reference_id, external_reference, status, cancelling, observed_at)
    SELECT 'org', printf('r%07d', n), printf('x%07d', n), iif(n % 4, 'FINISHED', 'NOT_SENT'), 0, n FROM ns;
    WITH RECURSIVE ns (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 1000000)
    INSERT INTO findings (org, reference_id, kind, detail, job_name, state, evidence, since, first_seen, last_seen,
        resolved_at)
    SELECT 'org', printf('r%07d', n), 'stuck_request', 'NOT_SENT', 'job', iif(n % 4, 'resolved', 'open'), '', n, n, n,
        iif(n % 4, n, NULL)
    FROM ns;
    WITH RECURSIVE ns (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 1000000)
    INSERT INTO attempts (org, reference_id, external_reference, operation, state, job_name, rule, run_id, replica,
        before_status, before_cancelling, correlation_id, intended_at, counted_at, changed_at, detail, verify_at)
    SELECT 'org', printf('r%07d', n), printf('x%07d', n), 'create_activation', iif(n <= 1000, 'unknown', 'confirmed'),
        'job', 'rule', 1, 'r', 'NOT_SENT', 0, printf('%032x', n), n, n, n, '', iif(n <= 1000, n, NULL)
    FROM ns";

async fn fill_sqlite(url: &str) {
    let mut connection = SqliteConnection::connect(url).await.unwrap();
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT 'DROP INDEX ' || name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let fast = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000"
        .to_owned();
    let drops = indexes.iter().map(|(drop, _)| drop.clone());
    let creates = indexes.iter().map(|(_, create)| create.clone());
    let again = "PRAGMA journal_mode = WAL".to_owned();
    for statement in std::iter::once(fast)
        .chain(drops)
        .chain([SQLITE.to_owned()])
        .chain(creates)
        .chain([again])
    {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
            .execute(&mut connection)
            .await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// The quickest of some scrapes, none of them answered from a cache: what else the machine does is not the store's cost.
async fn quickest_scrape(store: &Arc<dyn Store>) -> Duration {
    let scope = Scope {
        jobs: vec![job()],
        orgs: vec!["org".into()],
    };
    let (_held, scope) = watch::channel(scope);
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        let clock = Arc::new(SystemClock);
        let gauges = StoreGauges::new(
            Arc::clone(store),
            scope.clone(),
            clock,
            Duration::from_secs(60),
        );
        let begun = Instant::now();
        gauges.refresh().await;
        quickest = quickest.min(begun.elapsed());
    }
    quickest
}

async fn a_scrape_is_exact_and_quick(store: &Arc<dyn Store>) {
    let findings = store.finding_counts().await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(
        (findings[0].kind, findings[0].count),
        (FindingKind::StuckRequest, 250_000)
    );
    assert!(findings[0].oldest.is_some());
    let attempts = store.attempt_counts().await.unwrap();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!(attempts[0].count, 1_000);
    let took = quickest_scrape(store).await;
    assert!(took < SCRAPE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_walks_through_nothing_large_and_a_scrape_is_quick() {
    let database = Database::migrated().await;
    let begun = Instant::now();
    fill_postgres(&database).await;
    let filled_in = begun.elapsed();
    let mut connection = database.connect().await;
    let walkers = postgres_plans::walkers(&mut connection).await;
    assert!(walkers.is_empty(), "{walkers:#?}");
    let found = postgres_plans::walks_of_an_unindexed_one(&mut connection).await;
    assert!(found > 0, "the test can tell");
    let store = store::open(&database.url(), &StoreOptions::default())
        .await
        .unwrap();
    a_scrape_is_exact_and_quick(&store).await;
    // Only to be seen with what failed, or by who asks for the output.
    eprintln!("filled in {filled_in:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_of_a_large_sqlite_store_is_quick() {
    let fresh = Fresh::sqlite().await;
    // To be filled without a journal it must be nobody else's.
    fresh.store.close().await;
    fill_sqlite(&fresh.url()).await;
    a_scrape_is_exact_and_quick(&fresh.again().await).await;
}
