//! The live page: clean for promtool, zeros from the start, and equal to what the ledger says.

use std::collections::BTreeMap;

use serde_json::Value;
use tesa_reconciler::domain::{AttemptState, RunOutcome};
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};

use super::daemon::sum;
use super::world::{Settings, World};
use crate::metrics::promtool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_page_is_clean_and_closed_label_sets_start_at_zero() {
    let world = World::new(Settings::default()).await;
    let daemon = world.daemon().await;
    let page = daemon.metrics().await;
    assert_eq!(promtool(&page), Ok(()));
    for outcome in RunOutcome::ALL {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(sum(&page, "job_runs_total", &[&label]), 0.0, "{label}");
    }
    for state in AttemptState::ALL {
        if *state != AttemptState::Intended {
            let label = format!("outcome=\"{state}\"");
            assert_eq!(sum(&page, "attempts_total", &[&label]), 0.0, "{label}");
        }
    }
    assert_eq!(
        sum(&page, "findings_open", &[r#"kind="stuck_request""#]),
        0.0
    );
    assert_eq!(sum(&page, "guard_held", &[r#"org="masmovil""#]), 0.0);
    assert!(sum(&page, "job_next_run_timestamp_seconds", &[]) > 0.0);
    daemon.stop().await;
}

fn count(rows: &[Value], key: &str) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts
            .entry(row[key].as_str().unwrap().to_owned())
            .or_default() += 1.0;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_equal_the_ledger() {
    let world = World::new(Settings::default()).await;
    for order in 0..5 {
        world.stuck(&format!("ORD-{order}"));
    }
    // One is refused, one loses its answer after the effect, one before; the others work.
    let refused = Effect::Error {
        status: 400,
        applied: false,
        shape: ErrorShape::Object,
    };
    world.faults(vec![
        Fault::new(refused).on(&["writes"]).about("ORD-0"),
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .about("ORD-1"),
        Fault::new(Effect::Drop { applied: false })
            .on(&["writes"])
            .about("ORD-2"),
    ]);
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "some failed: {ended:?}");
    world
        .await_states(5, &["rejected", "confirmed", "ineffective"])
        .await;
    world.faults(vec![]);
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let page = daemon.metrics().await;
    assert_eq!(promtool(&page), Ok(()));
    let attempts = world.attempts().await;
    let states = count(&attempts, "state");
    // Ends, one each; and one step out of the intent for each write.
    for state in ["rejected", "confirmed", "ineffective", "needs_human"] {
        let label = format!("outcome=\"{state}\"");
        let rows = states.get(state).copied().unwrap_or_default();
        assert_eq!(sum(&page, "attempts_total", &[&label]), rows, "{state}");
    }
    let first = ["accepted", "unknown", "rejected", "not_sent"];
    let first = first.iter().map(|state| {
        let label = format!("outcome=\"{state}\"");
        sum(&page, "attempts_total", &[&label])
    });
    assert_eq!(first.sum::<f64>(), attempts.len() as f64);
    assert_eq!(states["rejected"], 1.0);
    assert!(states["ineffective"] >= 1.0, "{states:?}");

    let runs = world.rows(&["runs"]).await;
    let outcomes = count(&runs, "outcome");
    for outcome in RunOutcome::ALL {
        let label = format!("outcome=\"{outcome}\"");
        let rows = outcomes.get(outcome.as_str()).copied().unwrap_or_default();
        assert_eq!(sum(&page, "job_runs_total", &[&label]), rows, "{outcome}");
    }
    assert_eq!(
        sum(&page, "job_runs_total", &[r#"trigger="manual""#]),
        runs.len() as f64
    );
    let code = [r#"operation="create_activation""#, r#"code="400""#];
    assert_eq!(sum(&page, "upstream_requests_total", &code), 1.0);
    daemon.stop().await;
}
