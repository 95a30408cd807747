//! One life at a time: what would have been done, and what became of it.

use super::*;
use crate::domain::{Decided, Status};
use crate::reconcile::fixtures;

/// Resends what is unsent for half an hour, flags what is validated for an hour.
struct Two;

const JOB: &str = "retry-stuck";

fn age(status: &Status) -> Option<(&'static str, i64)> {
    match status {
        Status::NotSent => Some(("resend-unsent", 30)),
        Status::Validating => Some(("watch", 60)),
        _ => None,
    }
}

impl Rules for Two {
    fn jobs(&self) -> Vec<JobName> {
        vec![JOB.into()]
    }

    fn wish(
        &self,
        job: &JobName,
        _: &Org,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<Wish, Unreplayable> {
        if job.as_str() != JOB {
            return Err(Unreplayable::JobNotConfigured);
        }
        let request = standing.request.as_ref().ok_or(Unreplayable::NeverRead)?;
        let old = now - request.last_updated.unwrap();
        let rule = age(&request.status).filter(|(_, minutes)| old.num_minutes() >= *minutes);
        Ok(Wish {
            rule: rule.map(|(name, _)| name.into()),
            wants: match rule {
                Some(("resend-unsent", _)) => Wants::Write(Operation::CreateActivation),
                Some(_) => Wants::Flag,
                None => Wants::Leave,
            },
        })
    }

    fn next_age(
        &self,
        _: &JobName,
        request: &Observation,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let (_, minutes) = age(&request.status)?;
        let at = request.last_updated? + TimeDelta::minutes(minutes);
        (at > now).then_some(at)
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    fixtures::now() + TimeDelta::minutes(minute)
}

/// It stands like this since then, by the upstream; seen so many minutes later.
fn seen(status: Status, since: i64, later: i64) -> What {
    What::Request(Observation {
        status,
        last_updated: Some(at(since)),
        observed_at: at(since + later),
        ..fixtures::unsent()
    })
}

fn decided(verdict: &str, rule: Option<&str>) -> What {
    What::Decision(Decided {
        job_name: JOB.into(),
        verdict: verdict.to_owned(),
        rule: rule.map(str::to_owned),
    })
}

/// Each was seen at its minute.
fn happenings(rows: Vec<(i64, What)>) -> Vec<Happening> {
    let rows = rows.into_iter().enumerate();
    let happening = |(place, (minute, what))| Happening {
        id: place as i64,
        seen_at: at(minute),
        what,
    };
    rows.map(happening).collect()
}

/// Sent then, to what stood like that since the beginning.
fn attempt(status: Status, minute: i64) -> Attempt {
    let What::Request(before) = seen(status, 0, 0) else {
        unreachable!("it is one")
    };
    Attempt {
        intended_at: at(minute),
        before: before.version(),
        ..fixtures::attempt(1)
    }
}

fn rehearsed(rows: Vec<(i64, What)>, attempts: &[Attempt], said: &[Acknowledgement]) -> Rehearsed {
    let happenings = happenings(rows);
    let life = Life {
        org: &fixtures::org(),
        reference_id: &"R-1".into(),
        happenings: &happenings,
        attempts,
        acknowledgements: said,
    };
    let window = Window {
        since: at(0),
        until: at(1_000),
    };
    rehearse(&Two, &life, window)
}

fn outcomes(rehearsed: &Rehearsed) -> Vec<(Outcome, i64, Option<i64>)> {
    let minutes = |act: &Act| (act.at - at(0)).num_minutes();
    let told = |act: &Act| (act.outcome, minutes(act), act.changed_after_seconds);
    rehearsed.acts.iter().map(told).collect()
}

#[test]
fn a_write_is_wanted_when_the_age_is_reached_and_was_sent() {
    let rows = vec![
        (5, seen(Status::NotSent, 0, 5)),
        (41, seen(Status::Validating, 40, 1)),
    ];
    let told = rehearsed(rows, &[attempt(Status::NotSent, 33)], &[]);
    assert_eq!(outcomes(&told), [(Outcome::AsDone, 30, Some(600))]);
    assert_eq!(told.unused, 0);
    let wanted: Vec<_> = told
        .wanted
        .keys()
        .map(|(_, rule, wants)| (rule.as_ref().map_or("-", RuleName::as_str), *wants))
        .collect();
    assert_eq!(
        wanted,
        [
            ("-", "leave"),
            ("resend-unsent", "write"),
            ("watch", "flag")
        ]
    );
}

#[test]
fn a_write_that_was_not_sent_is_told_by_what_became_of_the_request() {
    let unsent = || (5, seen(Status::NotSent, 0, 5));
    let cured = rehearsed(
        vec![unsent(), (90, seen(Status::Validating, 80, 10))],
        &[],
        &[],
    );
    assert_eq!(outcomes(&cured), [(Outcome::CuredItself, 30, Some(3_000))]);
    let over = rehearsed(
        vec![unsent(), (90, seen(Status::Finished, 20, 70))],
        &[],
        &[],
    );
    assert_eq!(outcomes(&over), [(Outcome::WasFinal, 30, None)]);
    let stands = rehearsed(vec![unsent()], &[], &[]);
    assert_eq!(outcomes(&stands), [(Outcome::StillStands, 30, None)]);
    let said = |given: i64, ended: Option<i64>| Acknowledgement {
        given_at: at(given),
        ended_at: ended.map(at),
        ..fixtures::acknowledgement()
    };
    for (given, ended, outcome) in [
        (10, None, Outcome::HandsOff),
        (10, Some(20), Outcome::StillStands),
        (60, None, Outcome::PersonDid),
    ] {
        let told = rehearsed(vec![unsent()], &[], &[said(given, ended)]);
        assert_eq!(told.acts[0].outcome, outcome, "{given} {ended:?}");
    }
}

#[test]
fn what_follows_an_action_that_differs_is_not_used_and_counted() {
    let rows = vec![
        (5, seen(Status::NotSent, 0, 5)),
        (90, seen(Status::Validating, 80, 10)),
        (100, decided("flag", Some("watch"))),
        (500, seen(Status::NotSent, 450, 50)),
    ];
    let told = rehearsed(rows, &[], &[]);
    assert_eq!(told.acts.len(), 1, "{:?}", told.acts);
    assert_eq!((told.rows, told.unused, told.reproduced), (4, 3, 0));
}

#[test]
fn a_write_that_was_sent_and_is_not_wanted_is_told() {
    let rows = vec![(5, seen(Status::NotSent, 0, 5))];
    let told = rehearsed(rows, &[attempt(Status::NotSent, 10)], &[]);
    // It is wanted later in that stance, so it is done; and too early, so these rules would not have.
    assert_eq!(
        outcomes(&told),
        [(Outcome::AsDone, 30, None), (Outcome::WouldNot, 10, None)]
    );
    let installing = vec![(5, seen(Status::Installing, 0, 5))];
    let told = rehearsed(installing, &[attempt(Status::Installing, 10)], &[]);
    assert_eq!(outcomes(&told), [(Outcome::WouldNot, 10, None)]);
}

#[test]
fn a_wish_for_one_version_is_one_write_however_often_it_is_looked_at() {
    let mut rows = vec![(5, seen(Status::NotSent, 0, 5))];
    let same = |place: i64| Observation {
        request_number: Some(place),
        last_updated: Some(at(0)),
        ..fixtures::unsent()
    };
    rows.extend((1..5).map(|place| (100 * place, What::Request(same(place)))));
    let told = rehearsed(rows, &[attempt(Status::NotSent, 40)], &[]);
    assert_eq!(outcomes(&told).len(), 1, "{:?}", told.acts);
}

#[test]
fn recorded_decisions_are_made_again_and_what_withheld_them_is_not_the_rules_doing() {
    let unsent = || (5, seen(Status::NotSent, 0, 5));
    for (verdict, rule, reproduced, differing) in [
        ("act", Some("resend-unsent"), 1, 0),
        ("paused", Some("resend-unsent"), 1, 0),
        ("backing_off", Some("resend-unsent"), 1, 0),
        ("act", Some("another"), 0, 1),
        ("flag", Some("resend-unsent"), 0, 1),
        ("not_stuck", None, 0, 1),
    ] {
        let rows = vec![unsent(), (40, decided(verdict, rule))];
        let told = rehearsed(rows, &[attempt(Status::NotSent, 40)], &[]);
        let counts = (told.reproduced, told.differing);
        assert_eq!(counts, (reproduced, differing), "{verdict} {rule:?}");
    }
    let early = vec![unsent(), (6, decided("not_stuck", None))];
    assert_eq!(rehearsed(early, &[], &[]).reproduced, 1);
}

#[test]
fn what_can_not_be_replayed_is_counted_by_its_reason() {
    let rows = vec![
        (1, decided("flag", Some("watch"))),
        (5, seen(Status::Validating, 0, 5)),
        (6, decided("read_failed", None)),
        (
            7,
            What::Decision(Decided {
                job_name: "another".into(),
                verdict: "flag".to_owned(),
                rule: None,
            }),
        ),
    ];
    let told = rehearsed(rows, &[], &[]);
    let reasons: Vec<_> = told
        .unreplayable
        .iter()
        .map(|(reason, count)| (*reason, *count))
        .collect();
    assert_eq!(
        reasons,
        [
            ("job_not_configured", 1),
            ("never_read", 1),
            ("not_by_rules", 1)
        ]
    );
}

#[test]
fn what_stood_before_the_time_asked_about_is_there_to_begin_with() {
    let rows = vec![(-500, seen(Status::NotSent, -600, 100))];
    let told = rehearsed(rows, &[], &[]);
    assert_eq!(outcomes(&told), [(Outcome::StillStands, 0, None)]);
    assert_eq!(told.rows, 0);
}

fn caps(hold_above_count: u32, per_run: u32, per_hour: u32) -> Caps {
    Caps {
        hold_above_count,
        hold_above_fraction: 0.1,
        per_run,
        per_hour,
        every: BTreeMap::from([(JOB.into(), std::time::Duration::from_secs(300))]),
        open: BTreeMap::from([(fixtures::org(), 50)]),
    }
}

/// So many wanted at each of these minutes.
fn acts(minutes: &[i64], each: usize) -> Vec<Act> {
    let act = |(place, minute): (usize, &i64)| Act {
        org: fixtures::org(),
        reference_id: format!("R-{minute}-{place}").into(),
        job_name: JOB.into(),
        rule: None,
        operation: Operation::CreateActivation,
        at: at(*minute),
        outcome: Outcome::StillStands,
        changed_after_seconds: None,
        put_off: false,
    };
    let minutes = minutes
        .iter()
        .flat_map(|minute| std::iter::repeat_n(minute, each));
    minutes.enumerate().map(act).collect()
}

#[test]
fn the_guard_holds_those_that_come_together_and_no_others() {
    let mut many = acts(&[0, 60], 8);
    many.extend(acts(&[120], 3));
    apply(&mut many, &caps(5, 20, 100));
    let held = many
        .iter()
        .filter(|act| act.outcome == Outcome::GuardWouldHold);
    assert_eq!(held.count(), 16);
    let mut spread = acts(&[0, 10, 20, 30, 40], 3);
    apply(&mut spread, &caps(5, 20, 100));
    assert!(spread.iter().all(|act| act.outcome == Outcome::StillStands));
}

#[test]
fn caps_put_off_what_is_too_much_for_a_run_or_an_hour() {
    let put_off = |acts: &[Act]| acts.iter().filter(|act| act.put_off).count();
    let mut of_run = acts(&[0], 8);
    apply(&mut of_run, &caps(100, 3, 100));
    assert_eq!(put_off(&of_run), 5);
    let mut of_hour = acts(&[0, 10, 20, 70], 3);
    apply(&mut of_hour, &caps(100, 20, 4));
    // Three and one go in the first hour, and with the fourth ten minutes later three of the next.
    assert_eq!(put_off(&of_hour), 5);
}

#[test]
fn what_a_write_changed_may_be_seen_at_the_instant_of_the_write() {
    let rows = vec![
        (40, seen(Status::NotSent, 0, 40)),
        (40, seen(Status::Validating, 40, 0)),
    ];
    let told = rehearsed(rows, &[attempt(Status::NotSent, 40)], &[]);
    assert_eq!(outcomes(&told), [(Outcome::AsDone, 40, Some(0))]);
}
