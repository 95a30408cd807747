//! Which facts make which verdict.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone, Utc};

use super::super::{Capped, Distrusted};
use super::*;
use crate::answers::jobs::JobRow;
use crate::domain::run::Mode;
use crate::domain::{Filter, IllHealth};
use crate::store::controls::{CircuitRow, Latch, Pause};
use crate::store::rates::HeldBack;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap()
}

/// A daemon that lives, and a job whose last run succeeded.
fn well() -> Status {
    Status {
        verdict: Verdict::default(),
        as_of: noon(),
        alive: true,
        replicas: vec![],
        mode: Mode::Enforce,
        last_run_mode: None,
        jobs: vec![JobRow {
            job_name: "retry-stuck".into(),
            org: "masmovil".into(),
            kind: "retry_stuck",
            schedule: "every 5m".to_owned(),
            next: None,
            last_started: Some(noon()),
            last_outcome: Some(RunOutcome::Succeeded),
            last_success: Some(noon()),
            paused: None,
            held: None,
            set_back: None,
            circuit: None,
            silent_since: None,
        }],
        doubt: None,
        holds: vec![],
        pauses: vec![],
        circuits: vec![],
        held_back: vec![],
        distrusted: vec![],
        capped: vec![],
        open_attempts: BTreeMap::new(),
        findings: BTreeMap::new(),
        acknowledgements: 0,
        attention: BTreeMap::new(),
        left_behind: BTreeMap::new(),
        hints: vec![],
    }
}

fn hold(org: &str) -> Latch {
    Latch {
        job_name: "retry-stuck".into(),
        org: org.into(),
        since: noon(),
        reason: "43 of 120 want a write".to_owned(),
    }
}

fn pause(job: Option<&str>, until: Option<DateTime<Utc>>) -> Pause {
    Pause {
        job_name: job.map(Into::into),
        who: "cli:ana".to_owned(),
        reason: "a change".to_owned(),
        since: noon(),
        until,
    }
}

/// What is so, how it comes about, and the lines that say it.
type Case = (&'static str, fn(&mut Status), &'static [&'static str]);

#[test]
fn the_verdict_is_the_gravest_word_with_every_cause() {
    let cases: Vec<Case> = vec![
        ("nothing is wrong", |_| {}, &["all well"]),
        (
            "what is merely open is nobody's trouble",
            |status| {
                status.open_attempts.insert(AttemptState::Unknown, 3);
                status.acknowledgements = 2;
                status.jobs[0].last_outcome = Some(RunOutcome::Aborted);
            },
            &["all well"],
        ),
        (
            "nobody is there",
            |status| status.alive = false,
            &["blind: no daemon is running"],
        ),
        (
            "the upstream is left alone",
            |status| {
                status.circuits.push(CircuitRow {
                    org: "masmovil".into(),
                    state: "open".to_owned(),
                    cause: Some(IllHealth::Timeouts),
                    failures: 5,
                    opened_at: Some(noon()),
                    probe_at: None,
                    due: true,
                });
                status.held_back.push(HeldBack {
                    org: "yoigo".into(),
                    until: noon(),
                });
            },
            &[
                "blind: the circuit of masmovil is open since 2026-03-02T12:00:00Z (timeouts); yoigo is asked nothing until \
               2026-03-02T12:00:00Z",
            ],
        ),
        (
            "a list is not believed",
            |status| {
                status.distrusted.push(Distrusted {
                    org: "yoigo".into(),
                    filter: Filter::Cancelling,
                    why: vec![],
                });
            },
            &["blind: the filter cancelling of yoigo is not trusted"],
        ),
        (
            "a run failed",
            |status| status.jobs[0].last_outcome = Some(RunOutcome::Lost),
            &["blind: the last run of retry-stuck in masmovil is lost"],
        ),
        (
            "no run begins",
            |status| status.jobs[0].silent_since = Some(noon()),
            &["blind: retry-stuck in masmovil has not run since 2026-03-02T12:00:00Z"],
        ),
        (
            "the guard holds twice",
            |status| status.holds = vec![hold("masmovil"), hold("yoigo")],
            &[
                "stopped: 2 holds: retry-stuck in masmovil since 2026-03-02T12:00:00Z (43 of 120 want a write); retry-stuck in \
               yoigo since 2026-03-02T12:00:00Z (43 of 120 want a write)",
            ],
        ),
        (
            "people paused",
            |status| status.pauses = vec![pause(None, None), pause(Some("flag"), Some(noon()))],
            &[
                "stopped: 2 pauses: all jobs until resumed (a change, cli:ana); flag until 2026-03-02T12:00:00Z (a change, \
               cli:ana)",
            ],
        ),
        (
            "a cap withholds",
            |status| {
                status.capped.push(Capped {
                    job_name: "retry-stuck".into(),
                    org: "yoigo".into(),
                    writes: 3,
                    room_from: None,
                });
            },
            &["stopped: 1 cap: 3 writes of retry-stuck in yoigo wait"],
        ),
        (
            "the store is in doubt",
            |status| status.doubt = Some("the store is a copy".to_owned()),
            &["stopped: the store is a copy"],
        ),
        (
            "a person is needed",
            |status| {
                status.open_attempts.insert(AttemptState::NeedsHuman, 2);
                status.attention.insert(Attention::GivenUp, 1000);
                status.jobs[0].last_outcome = Some(RunOutcome::Partial);
            },
            &[
                "waits for a person: 2 writes are needs_human; 1000+ findings are given_up; some requests failed in the last run \
               of retry-stuck in masmovil",
            ],
        ),
        (
            "all at once, the gravest first",
            |status| {
                status.alive = false;
                status.holds = vec![hold("yoigo")];
                status.open_attempts.insert(AttemptState::NeedsHuman, 1);
            },
            &[
                "blind: no daemon is running",
                "stopped: 1 hold: retry-stuck in yoigo since 2026-03-02T12:00:00Z (43 of 120 want a write)",
                "waits for a person: 1 writes are needs_human",
            ],
        ),
    ];
    for (case, change, lines) in cases {
        let mut status = well();
        change(&mut status);
        let verdict = verdict(&status);
        assert_eq!(verdict.lines(), lines, "{case}");
        let is_well = verdict.word == Word::AllWell;
        assert_eq!(is_well, lines == ["all well"], "{case}");
        assert!(
            lines[0].starts_with(&verdict.word.to_string()),
            "{case}: {verdict:?}"
        );
    }
}
