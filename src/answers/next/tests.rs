//! What is said for every way in which a decision and a write can be kept apart, as a table.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::domain::{Decision, IllHealth, Status};
use crate::reconcile::fixtures;
use crate::schedule::{CatchUp, Overlap, When};

/// At this minute after the hour, or so long before it.
fn at(minute: i64) -> DateTime<Utc> {
    fixtures::now() + TimeDelta::minutes(minute)
}

fn every(minutes: u64) -> Spec {
    Spec {
        when: When::Every(Duration::from_secs(60 * minutes)),
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: Duration::ZERO,
        jitter: Duration::ZERO,
    }
}

fn decided(verdict: Verdict, explanation: &str) -> Foreseen {
    Foreseen {
        decision: Decision {
            reference_id: "R-1".into(),
            external_reference: Some("E-1".into()),
            status: Some(Status::NotSent),
            rule: Some("resend-unsent".into()),
            verdict,
            explanation: explanation.to_owned(),
        },
        not_before: None,
        turn: None,
    }
}

fn acts(turn: Turn) -> Foreseen {
    let operation = Operation::CreateActivation;
    Foreseen {
        turn: Some(turn),
        ..decided(Verdict::Act { operation }, "send it")
    }
}

fn leaves(reason: SkipReason) -> Foreseen {
    let instead_of = Some(Operation::CreateActivation);
    decided(Verdict::Skip { reason, instead_of }, "the why")
}

fn backs_off(until: i64) -> Foreseen {
    Foreseen {
        not_before: Some(at(until)),
        ..leaves(SkipReason::BackingOff)
    }
}

fn pause(job: Option<&str>, until: Option<i64>) -> Pause {
    Pause {
        job_name: job.map(JobName::new),
        who: "cli:maria".to_owned(),
        reason: "a drill".to_owned(),
        since: at(-5),
        until: until.map(at),
    }
}

fn latch() -> Latch {
    Latch {
        job_name: "retry-stuck".into(),
        org: fixtures::org(),
        since: at(-5),
        reason: "300 of 900".to_owned(),
    }
}

fn circuit() -> CircuitRow {
    CircuitRow {
        org: fixtures::org(),
        state: "open".to_owned(),
        cause: Some(IllHealth::Timeouts),
        failures: 5,
        opened_at: Some(at(-1)),
        probe_at: Some(at(12)),
        due: false,
    }
}

/// What stands in the way, beside the decision.
#[derive(Default)]
struct Way {
    pauses: Vec<Pause>,
    latch: Option<Latch>,
    circuit: Option<CircuitRow>,
}

/// What is said of one job that runs every ten minutes.
fn said(foreseen: Foreseen, way: &Way) -> String {
    let (org, job, schedule) = (fixtures::org(), "retry-stuck".into(), every(10));
    next(&Outlook {
        org: &org,
        now: at(1),
        open: None,
        doubt: None,
        circuit: way.circuit.as_ref(),
        jobs: vec![Prospect {
            job: &job,
            schedule: &schedule,
            foreseen: Some(Ok(foreseen)),
            pauses: way.pauses.iter().collect(),
            latch: way.latch.as_ref(),
        }],
        alive: true,
        observes: false,
        held_back: None,
    })
}

#[test]
fn it_says_what_will_happen_and_who_can_change_it() {
    let clear = Way::default;
    let paused = |job, until| Way {
        pauses: vec![pause(job, until)],
        ..Way::default()
    };
    let held = Way {
        latch: Some(latch()),
        ..Way::default()
    };
    let broken = Way {
        circuit: Some(circuit()),
        ..Way::default()
    };
    let cases = [
        (
            acts(Turn::Sent),
            clear(),
            "retry-stuck at 2026-03-02T12:10:00Z: create_activation is sent",
        ),
        (
            acts(Turn::SentUnlessStopped),
            clear(),
            "retry-stuck at 2026-03-02T12:10:00Z: create_activation is sent, as far as guard and caps let that run",
        ),
        (
            acts(Turn::Unlisted),
            clear(),
            "retry-stuck at 2026-03-02T12:10:00Z: nothing, as long as the upstream's lists do not name it; \
             create_activation is sent once they do",
        ),
        (
            acts(Turn::Held),
            clear(),
            "retry-stuck at 2026-03-02T12:10:00Z: nothing is sent, the guard will hold the run because too many want a \
             write at once; then it waits for `tesa-reconciler release retry-stuck --org masmovil --reason …`",
        ),
        (
            acts(Turn::Waits {
                older: 30,
                room: 20,
            }),
            clear(),
            "create_activation is sent by retry-stuck when its turn comes: 30 older ones want a write too, and the caps \
             (max_writes_per_run, max_writes_per_hour) leave 20 to the run at 2026-03-02T12:10:00Z",
        ),
        (
            acts(Turn::NoRoom { from: Some(at(33)) }),
            clear(),
            "the cap (max_writes_per_hour) has no room before 2026-03-02T12:33:00Z; then retry-stuck at \
             2026-03-02T12:40:00Z",
        ),
        (
            acts(Turn::NoRoom { from: None }),
            clear(),
            "nothing: retry-stuck would send create_activation, but max_writes_per_run or max_writes_per_hour is 0",
        ),
        (
            backs_off(25),
            clear(),
            "nothing before: the why; then retry-stuck at 2026-03-02T12:30:00Z",
        ),
        (
            backs_off(25),
            paused(None, Some(55)),
            "nothing before: the why; then retry-stuck at 2026-03-02T13:00:00Z; paused until 2026-03-02T12:55:00Z by \
             cli:maria: a drill",
        ),
        (
            leaves(SkipReason::Paused),
            paused(Some("retry-stuck"), Some(22)),
            "the why; then retry-stuck at 2026-03-02T12:30:00Z; paused until 2026-03-02T12:22:00Z by cli:maria: a drill",
        ),
        (
            leaves(SkipReason::Paused),
            paused(Some("retry-stuck"), None),
            "nothing until `tesa-reconciler resume retry-stuck --reason …`: retry-stuck is paused by cli:maria (a drill); \
             the why",
        ),
        (
            leaves(SkipReason::Paused),
            paused(None, None),
            "nothing until `tesa-reconciler resume --all --reason …`: retry-stuck is paused by cli:maria (a drill); the why",
        ),
        (
            leaves(SkipReason::GuardHeld),
            held,
            "nothing until `tesa-reconciler release retry-stuck --org masmovil --reason …`: the guard has held since \
             2026-03-02T11:55:00Z (300 of 900)",
        ),
        (
            leaves(SkipReason::CircuitOpen),
            broken,
            "the why (timeouts) until 2026-03-02T12:12:00Z; then retry-stuck at 2026-03-02T12:20:00Z",
        ),
        (
            leaves(SkipReason::GivenUp),
            clear(),
            "nothing by itself: the why",
        ),
        (
            leaves(SkipReason::DuplicateReference),
            clear(),
            "nothing by itself: the why",
        ),
        (
            leaves(SkipReason::InDoubt),
            clear(),
            "nothing before that is settled: the why",
        ),
        (
            leaves(SkipReason::Acknowledged),
            clear(),
            "nothing until its status or cancellation changes, or the word is taken back (`tesa-reconciler findings unack \
             ID… --reason …`): the why",
        ),
        (
            leaves(SkipReason::ObserveMode),
            clear(),
            "retry-stuck looks at it again at 2026-03-02T12:10:00Z (the why)",
        ),
        (
            leaves(SkipReason::NotStuck),
            clear(),
            "retry-stuck looks at it again at 2026-03-02T12:10:00Z (the why)",
        ),
        (
            decided(Verdict::Flag, "the rule flags it"),
            clear(),
            "retry-stuck looks at it again at 2026-03-02T12:10:00Z (it is flagged, and nothing is sent: the rule flags it)",
        ),
        (
            decided(Verdict::Ignore, "the rule says to leave it alone"),
            clear(),
            "retry-stuck looks at it again at 2026-03-02T12:10:00Z (the rule says to leave it alone)",
        ),
    ];
    for (foreseen, way, expected) in cases {
        let verdict = format!("{:?}", foreseen.decision.verdict);
        assert_eq!(said(foreseen, &way), expected, "{verdict}");
    }
}

#[test]
fn an_open_attempt_comes_before_all_else() {
    let (org, broken) = (fixtures::org(), circuit());
    let attempt = Attempt {
        verify_at: Some(at(7)),
        ..fixtures::attempt(4)
    };
    let outlook = |open, circuit| Outlook {
        org: &org,
        now: at(1),
        open: Some(open),
        doubt: Some("the store is a copy".to_owned()),
        circuit,
        jobs: vec![],
        alive: true,
        observes: false,
        held_back: None,
    };
    assert_eq!(
        next(&outlook(&attempt, None)),
        "attempt 4 is verified by reading from 2026-03-02T12:07:00Z"
    );
    assert_eq!(
        next(&outlook(&attempt, Some(&broken))),
        "attempt 4 is verified by reading from 2026-03-02T12:12:00Z"
    );
    let waits = Attempt {
        state: AttemptState::NeedsHuman,
        ..attempt.clone()
    };
    assert_eq!(
        next(&outlook(&waits, None)),
        "nothing by itself: a person must settle attempt 4 (`tesa-reconciler attempts settle 4 …`)"
    );
}

#[test]
fn of_several_jobs_the_one_speaks_that_acts_first() {
    let (org, names) = (fixtures::org(), ["a", "b", "c"].map(JobName::new));
    let (soon, late) = (every(10), every(60));
    let outlook = |foreseen: [(&'static str, Option<Result<Foreseen, String>>); 3], alive| {
        let schedule = |word| if word == "soon" { &soon } else { &late };
        let jobs = names.iter().zip(foreseen);
        next(&Outlook {
            org: &org,
            now: at(1),
            open: None,
            doubt: None,
            circuit: None,
            jobs: jobs
                .map(|(job, (when, foreseen))| Prospect {
                    job,
                    schedule: schedule(when),
                    foreseen,
                    pauses: vec![],
                    latch: None,
                })
                .collect(),
            alive,
            observes: false,
            held_back: None,
        })
    };
    let looks = || Some(Ok(leaves(SkipReason::NotStuck)));
    let late_act = outlook(
        [
            ("soon", looks()),
            ("late", Some(Ok(acts(Turn::Sent)))),
            ("soon", Some(Ok(leaves(SkipReason::GivenUp)))),
        ],
        true,
    );
    assert_eq!(
        late_act,
        "b at 2026-03-02T13:00:00Z: create_activation is sent"
    );
    let given_up = outlook(
        [
            ("soon", looks()),
            ("late", looks()),
            ("soon", Some(Ok(leaves(SkipReason::GivenUp)))),
        ],
        true,
    );
    assert_eq!(given_up, "nothing by itself: the why");
    let untold = outlook(
        [
            ("late", looks()),
            ("soon", Some(Err("the list is not trusted".to_owned()))),
            ("soon", looks()),
        ],
        true,
    );
    assert_eq!(untold, "what b does can't be told: the list is not trusted");
    let unknown = outlook([("late", None), ("soon", None), ("soon", None)], false);
    assert_eq!(
        unknown,
        "b looks at it again at 2026-03-02T12:10:00Z (the request is not known) (no daemon is alive just now: that is \
         what the schedule says)"
    );
}

#[test]
fn from_a_store_in_doubt_nothing_is_sent() {
    let (org, job, schedule) = (fixtures::org(), "retry-stuck".into(), every(10));
    let outlook = Outlook {
        org: &org,
        now: at(1),
        open: None,
        doubt: Some("the store is a copy".to_owned()),
        circuit: None,
        jobs: vec![Prospect {
            job: &job,
            schedule: &schedule,
            foreseen: Some(Ok(acts(Turn::Sent))),
            pauses: vec![],
            latch: None,
        }],
        alive: true,
        observes: false,
        held_back: None,
    };
    assert_eq!(next(&outlook), "nothing: the store is a copy");
}
