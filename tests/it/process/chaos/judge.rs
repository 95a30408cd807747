//! What must hold in the end, by the upstream's own ledger held against ours.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::fleet::{EVERY, Entry, Fleet, ORGS, PER_HOUR, PER_RUN, count};
use crate::process::books::{self, Slots};

/// A row of our ledger.
#[derive(Debug, sqlx::FromRow)]
struct Attempt {
    org: String,
    operation: String,
    external_reference: String,
    correlation_id: Uuid,
    run_id: i64,
    state: String,
    intended_at: DateTime<Utc>,
    /// When it was settled.
    settled_at: Option<DateTime<Utc>>,
}

impl Attempt {
    fn had_no_effect(&self) -> bool {
        matches!(self.state.as_str(), "not_sent" | "ineffective" | "rejected")
    }
}

/// In figures, for the one line at the end.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
pub struct Tally {
    lives: usize,
    writes: usize,
    effects: usize,
    sent_again: usize,
    attempts: BTreeMap<String, usize>,
    runs: Vec<(String, i64)>,
    slots: Slots,
}

pub async fn judge(fleet: &Fleet) -> Tally {
    let ledger = fleet.ledger().await;
    let mut connection = fleet.cluster.connect().await;
    let settled = "
        SELECT org, operation, external_reference, correlation_id, run_id, state, intended_at,
               (SELECT min(at) FROM attempt_steps AS step WHERE step.attempt_id = attempts.id
                AND step.state IN ('not_sent', 'rejected', 'confirmed', 'ineffective')) AS settled_at
        FROM attempts ORDER BY id";
    let attempts: Vec<Attempt> = sqlx::query_as(settled)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    every_write_has_its_row(&ledger, &attempts);
    let sent_again = one_unverified_write_at_a_time(&attempts);
    no_second_effect(&ledger);
    caps_held(&ledger, &attempts);
    let runs = books::outcomes(&mut connection).await;
    assert!(
        runs.iter().all(|(outcome, _)| outcome != "none"),
        "{runs:?}"
    );
    // Whoever lost his run, and woke up, was refused.
    let late = "FROM attempts JOIN runs ON runs.id = run_id WHERE intended_at > finished_at";
    assert_eq!(count(&mut connection, late).await, 0, "rows of ended runs");
    let slots = books::slots(&mut connection, "retry-stuck", EVERY).await;
    books::slots(&mut connection, "housekeeping", 5).await;
    let mut states = BTreeMap::new();
    for attempt in &attempts {
        *states.entry(attempt.state.clone()).or_default() += 1;
    }
    let effects = ledger.iter().filter(|entry| entry.effect).count();
    // A test that saw nothing has proven nothing.
    assert!(effects > 50, "only {effects} effects");
    assert!(slots.ran > 10, "{slots:?}");
    Tally {
        lives: fleet.lives,
        writes: ledger.len(),
        effects,
        sent_again,
        attempts: states,
        runs,
        slots,
    }
}

/// No write but after its row was written, none but once, none after its row was settled, and none that we deny.
fn every_write_has_its_row(ledger: &[Entry], attempts: &[Attempt]) {
    let rows: HashMap<Uuid, &Attempt> = attempts
        .iter()
        .map(|attempt| (attempt.correlation_id, attempt))
        .collect();
    let mut seen = HashMap::new();
    for entry in ledger {
        let id = entry.correlation_id.expect("a correlation id");
        let Some(row) = rows.get(&id) else {
            panic!("a write without a row: {entry:?}");
        };
        if let Some(before) = seen.insert(id, entry) {
            panic!("one row, two writes: {before:?} {entry:?}");
        }
        assert_eq!(entry.operation, row.operation);
        assert_eq!(entry.org, row.org);
        assert_eq!(
            entry.external_reference.as_ref(),
            Some(&row.external_reference)
        );
        assert!(row.intended_at <= entry.time, "{row:?} {entry:?}");
        assert!(
            row.settled_at.is_none_or(|settled| entry.time <= settled),
            "written after its row was settled: {row:?} {entry:?}"
        );
        assert_ne!(row.state, "not_sent", "{entry:?}");
        assert!(!(entry.effect && row.had_no_effect()), "{row:?} {entry:?}");
    }
    for row in attempts.iter().filter(|row| row.state == "confirmed") {
        let entry = seen.get(&row.correlation_id);
        assert!(entry.is_some_and(|entry| entry.effect), "{row:?} {entry:?}");
    }
}

/// The next attempt for an order begins after the one before was proven to have had no effect. Answers how many there
/// were that did.
fn one_unverified_write_at_a_time(attempts: &[Attempt]) -> usize {
    let mut last: HashMap<(&str, &str), &Attempt> = HashMap::new();
    let mut again = 0;
    for attempt in attempts {
        let order = (attempt.org.as_str(), attempt.external_reference.as_str());
        if let Some(before) = last.insert(order, attempt) {
            again += 1;
            assert!(before.had_no_effect(), "{before:?} {attempt:?}");
            assert!(
                before
                    .settled_at
                    .is_some_and(|at| at <= attempt.intended_at),
                "{before:?} {attempt:?}"
            );
        }
    }
    again
}

/// A create that was done already is refused here, so a second write for one decision would show as a refusal.
fn no_second_effect(ledger: &[Entry]) {
    let mut effects: HashMap<(&str, &str), usize> = HashMap::new();
    for entry in ledger {
        let refused = entry.answered["status"].as_u64();
        assert!(
            !matches!(refused, Some(400 | 404 | 406)),
            "sent what could not be: {entry:?}"
        );
        if entry.effect {
            let order = entry.external_reference.as_deref().unwrap_or_default();
            *effects.entry((&entry.org, order)).or_default() += 1;
        }
    }
    let twice = effects.iter().find(|(_, count)| **count > 1);
    assert!(twice.is_none(), "{twice:?}");
}

/// Over all replicas together. All of this takes less than an hour.
fn caps_held(ledger: &[Entry], attempts: &[Attempt]) {
    for org in ORGS {
        let writes = ledger.iter().filter(|entry| entry.org == org).count() as i64;
        assert!(writes <= PER_HOUR, "{org}: {writes} writes in an hour");
    }
    let mut of_run: HashMap<i64, i64> = HashMap::new();
    for attempt in attempts.iter().filter(|row| row.state != "not_sent") {
        *of_run.entry(attempt.run_id).or_default() += 1;
    }
    for (run, writes) in of_run {
        assert!(writes <= PER_RUN, "run {run}: {writes} writes");
    }
}
