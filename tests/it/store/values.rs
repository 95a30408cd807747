//! Values for the suite: plausible, short to write, every field set to something that would be missed.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tesa_reconciler::clock::{Clock, SystemClock};
use tesa_reconciler::domain::attributes::Attributes;
use tesa_reconciler::domain::finding::FindingKind;
use tesa_reconciler::domain::ids::{JobName, Org, ReplicaId};
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{
    AttemptId, AttemptState, Decision, Filter, Issue, IssueVersion, Observation, Operation,
    PersistenceType, Status, TerritoryOwner, Trigger, Verdict, Version,
};
use tesa_reconciler::rules::classes::ClassKey;
use tesa_reconciler::store::attempts::{IntentLimits, NewAttempt, Step};
use tesa_reconciler::store::claims::Contradiction;
use tesa_reconciler::store::findings::{FindingChanges, FindingKey, Sighting};
use tesa_reconciler::store::looks::{Look, Sweep};
use tesa_reconciler::store::orders::Recheck;
use tesa_reconciler::store::replicas::ReplicaRow;
use tesa_reconciler::store::runs::{NewRun, RunLease, Started};
use tesa_reconciler::store::{Actor, Store};
use uuid::Uuid;

/// So long after an intent that nobody answers for, its write is first looked at.
pub const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(60);

/// An instant with microseconds, `seconds` after a fixed one.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_795_000_000_123_457).unwrap() + TimeDelta::seconds(seconds)
}

/// The machine's own time, which PostgreSQL goes by; to the microsecond.
pub fn real_now() -> DateTime<Utc> {
    SystemClock.now().trunc_subsecs(6)
}

pub fn org() -> Org {
    Org::new("masmovil")
}

pub fn job() -> JobName {
    JobName::new("retry-stuck")
}

pub fn replica() -> ReplicaId {
    ReplicaId::new("replica-1")
}

pub fn daemon() -> Actor {
    Actor::daemon("as configured")
}

pub fn person() -> Actor {
    Actor {
        who: "cli:operator".to_owned(),
        reason: "seen with the installer".to_owned(),
    }
}

pub const NO_LIMITS: IntentLimits = IntentLimits {
    per_run: u32::MAX,
    per_hour: u32::MAX,
};

pub fn new_run(slot: Option<DateTime<Utc>>) -> NewRun {
    NewRun {
        job_name: job(),
        org: org(),
        trigger: Trigger::Schedule,
        slot,
        replica: replica(),
        mode: Mode::Enforce,
        actor: daemon(),
    }
}

/// Starts a run that must start.
pub async fn started(store: &dyn Store, run: &NewRun, now: DateTime<Utc>) -> RunLease {
    match store.start(run, now).await.unwrap() {
        Started::Yes(lease) => lease,
        other => panic!("the run did not start: {other:?}"),
    }
}

/// A write for the order `order`, each call with a correlation id of its own.
/// The lease of a run of its own, of no concern but that what is written is written in a run.
pub async fn a_run(store: &dyn Store) -> RunLease {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let run = NewRun {
        job_name: format!("holder-{number}").as_str().into(),
        ..new_run(None)
    };
    started(store, &run, at(0)).await
}

pub fn new_attempt(order: &str) -> NewAttempt {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    NewAttempt {
        org: org(),
        reference_id: format!("ref-{order}").into(),
        external_reference: order.into(),
        operation: Operation::CreateActivation,
        job_name: job(),
        rule: "resend-unsent".into(),
        before: Version {
            status: Status::NotSent,
            cancelling: false,
            last_updated: Some(at(-3_600)),
        },
        issue_sequence: Some(3),
        before_issue: Some(IssueVersion {
            resolved: false,
            last_updated: Some(at(-3_000)),
        }),
        due_since: Some(at(-1_800)),
        correlation_id: Uuid::from_u64_pair(7, next),
        replica: replica(),
        recheck: Recheck::new(|_| Ok(())),
    }
}

/// Intends a write that must be allowed.
pub async fn intended(
    store: &dyn Store,
    lease: &RunLease,
    attempt: &NewAttempt,
    now: DateTime<Utc>,
) -> AttemptId {
    let answer = store.intend(lease, attempt, NO_LIMITS, now).await.unwrap();
    answer.unwrap_or_else(|refused| panic!("the intent was refused: {refused:?}"))
}

pub fn step(to: AttemptState) -> Step {
    Step {
        to,
        detail: format!("became {to}"),
        http_status: None,
        verify_at: to.awaits_verification().then(|| at(60)),
        confirmed: None,
    }
}

/// The shortest way from `intended` to `state`.
pub fn way_to(state: AttemptState) -> &'static [AttemptState] {
    use AttemptState as S;
    match state {
        S::Intended => &[],
        S::NotSent => &[S::NotSent],
        S::Rejected => &[S::Rejected],
        S::Accepted => &[S::Accepted],
        S::Unknown => &[S::Unknown],
        S::Confirmed => &[S::Accepted, S::Confirmed],
        S::Ineffective => &[S::Unknown, S::Ineffective],
        S::NeedsHuman => &[S::Unknown, S::NeedsHuman],
    }
}

/// An attempt for `order` brought to `state`.
pub async fn attempt_in(
    store: &dyn Store,
    lease: &RunLease,
    order: &str,
    state: AttemptState,
) -> AttemptId {
    let id = intended(store, lease, &new_attempt(order), at(0)).await;
    for &to in way_to(state) {
        store
            .advance(id, &step(to), &daemon(), at(1))
            .await
            .unwrap();
    }
    id
}

pub fn observation(reference: &str) -> Observation {
    Observation {
        reference_id: reference.into(),
        external_reference: Some(format!("order-{reference}").into()),
        persistence_type: Some(PersistenceType::Activation),
        status: Status::Processing,
        cancelling: true,
        auto_installation: Some(false),
        territory_owner: Some(TerritoryOwner::VulaRegulated),
        request_number: Some(i64::MAX),
        subrequest_number: Some(1),
        attributes: Attributes::from_iter([("cto", "28-\"7\"")]),
        created: Some(at(-7_200)),
        last_updated: Some(at(-3_600)),
        observed_at: at(0),
    }
}

pub fn decision(reference: &str, verdict: Verdict) -> Decision {
    Decision {
        reference_id: reference.into(),
        external_reference: None,
        status: Some(Status::NotSent),
        rule: Some("resend-unsent".into()),
        verdict,
        explanation: "NOT_SENT for 40 min, the rule asks for 30 min".to_owned(),
    }
}

pub fn sighting(reference: &str, detail: &str) -> Sighting {
    Sighting {
        key: FindingKey {
            reference_id: reference.into(),
            kind: FindingKind::StuckRequest,
            detail: detail.to_owned(),
        },
        external_reference: Some(format!("order-{reference}").into()),
        since: Some(at(-3_600)),
        attention: None,
        evidence: "last updated an hour ago".to_owned(),
    }
}

/// A look at `reference`, with an issue whose every field is set.
pub fn look(reference: &str, seconds: i64) -> Look {
    Look {
        reference_id: reference.into(),
        looked_at: at(seconds),
        issues: vec![Issue {
            id: Some(i64::MAX),
            reference_id: reference.into(),
            issue_sequence: Some(2),
            issue_code: "CLI-012 \"ñ\"".into(),
            resolved: true,
            repeated: true,
            last_updated: Some(at(-60)),
        }],
        again_at: Some(at(seconds + 3_600)),
    }
}

/// The class of the requests that stand there.
pub fn class_key(status: &str) -> ClassKey {
    ClassKey {
        rule: "resend-unsent".into(),
        detail: status.to_owned(),
        evidence: format!("{status} for over 30 min; rule resend-unsent"),
    }
}

pub fn contradiction(reference: &str, seconds: i64) -> Contradiction {
    Contradiction {
        filter: Filter::Statuses,
        reference_id: reference.into(),
        what: "listed as NOT_SENT, read as PROCESSING".to_owned(),
        seen_at: at(seconds),
    }
}

/// A sweep that began then, under the `"rules"`.
pub fn swept(seconds: i64) -> Option<Sweep> {
    Some(Sweep {
        began: at(seconds),
        rules: "rules".to_owned(),
    })
}

pub fn seen(sightings: &[Sighting]) -> FindingChanges {
    FindingChanges {
        seen: sightings.to_vec(),
        ..FindingChanges::default()
    }
}

pub fn replica_row(id: &str, started: i64) -> ReplicaRow {
    ReplicaRow {
        id: id.into(),
        host: "provisioning-1".to_owned(),
        pid: 4_242,
        version: "0.1.0".to_owned(),
        zones: "2026f".to_owned(),
        mode: Mode::Enforce,
        started_at: at(started),
        last_beat: at(started),
    }
}
