//! All that is in the way is told, in order, and nothing where no write is wanted.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::domain::ids::{JobName, Org};
use crate::domain::{Decision, IllHealth, Operation};
use crate::reconcile::fixtures;
use crate::schedule::{CatchUp, Overlap, Spec, When};
use crate::store::controls::{CircuitRow, Latch, Pause};

fn at(minute: i64) -> DateTime<Utc> {
    fixtures::now() + TimeDelta::minutes(minute)
}

fn foreseen(verdict: Verdict, turn: Option<Turn>) -> Foreseen {
    Foreseen {
        decision: Decision {
            reference_id: "R-1".into(),
            external_reference: None,
            status: None,
            rule: None,
            verdict,
            explanation: "the why".to_owned(),
        },
        not_before: Some(at(30)),
        turn,
    }
}

fn leaves(reason: SkipReason) -> Verdict {
    let instead_of = Some(Operation::CreateActivation);
    Verdict::Skip { reason, instead_of }
}

fn acts() -> Verdict {
    let operation = Operation::CreateActivation;
    Verdict::Act { operation }
}

/// What is told where everything stands in the way at once, or nothing does.
fn told(foreseen: Foreseen, all: bool) -> Vec<String> {
    let (org, job): (Org, JobName) = (fixtures::org(), "retry-stuck".into());
    let schedule = Spec {
        when: When::Every(Duration::from_secs(600)),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: Duration::ZERO,
        jitter: Duration::ZERO,
    };
    let pause = Pause {
        job_name: None,
        who: "cli:maria".to_owned(),
        reason: "a drill".to_owned(),
        since: at(-5),
        until: Some(at(20)),
    };
    let latch = Latch {
        job_name: job.clone(),
        org: org.clone(),
        since: at(-5),
        reason: "300 of 900".to_owned(),
    };
    let circuit = CircuitRow {
        org: org.clone(),
        state: "open".to_owned(),
        cause: Some(IllHealth::Timeouts),
        failures: 5,
        opened_at: Some(at(-1)),
        probe_at: Some(at(12)),
        due: false,
    };
    let said: Vec<Said> = std::iter::repeat_with(|| Said::new(fixtures::acknowledgement(), None))
        .take(usize::from(all))
        .collect();
    let outlook = Outlook {
        org: &org,
        now: at(1),
        open: None,
        doubt: all.then(|| "the store is a copy".to_owned()),
        circuit: Some(&circuit).filter(|_| all),
        jobs: vec![Prospect {
            job: &job,
            schedule: &schedule,
            foreseen: Some(Ok(foreseen)),
            pauses: Some(&pause).filter(|_| all).into_iter().collect(),
            latch: Some(&latch).filter(|_| all),
        }],
        alive: true,
        observes: all,
        held_back: Some(at(40)).filter(|_| all),
    };
    let blockers = blockers(&outlook, &said);
    for blocker in &blockers {
        assert!(!blocker.show().is_empty());
    }
    blockers.iter().map(|one| one.what.to_owned()).collect()
}

#[test]
fn all_that_is_in_the_way_is_told_at_once_and_in_order() {
    let room = Some(Turn::NoRoom { from: None });
    let always = ["store", "acknowledged"];
    let ways = [
        "observe_mode",
        "paused",
        "guard_held",
        "circuit_open",
        "held_back",
    ];
    assert_eq!(
        told(foreseen(acts(), None), true),
        [&always[..], &ways].concat()
    );
    let with_room = [&always[..], &ways, &["cap_reached"]].concat();
    assert_eq!(told(foreseen(acts(), room), true), with_room);
    let given_up = [&always[..], &["given_up"], &ways].concat();
    assert_eq!(
        told(foreseen(leaves(SkipReason::GivenUp), None), true),
        given_up
    );
    // A reason that is told by its own cause is told once.
    let paused = told(foreseen(leaves(SkipReason::Paused), None), true);
    assert_eq!(paused, [&always[..], &ways].concat());
}

#[test]
fn nothing_is_in_the_way_of_what_nobody_wants_to_write() {
    assert_eq!(
        told(foreseen(Verdict::Flag, None), true),
        ["store", "acknowledged"]
    );
    assert!(told(foreseen(acts(), None), false).is_empty());
    assert_eq!(
        told(foreseen(leaves(SkipReason::BackingOff), None), false),
        ["backing_off"]
    );
}
