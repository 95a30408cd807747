//! Tables of what the ledger says, and what follows from it.

use uuid::Uuid;

use super::*;
use crate::domain::AttemptId;
use crate::reconcile::fixtures;
use crate::store::orders::{Marks, Retry};

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    initial: Duration::from_secs(600),
    max: Duration::from_secs(21_600),
};
const OPERATION: Operation = Operation::CreateActivation;

fn ledger(states: &[(AttemptState, Option<u16>)]) -> Vec<Attempt> {
    states
        .iter()
        .enumerate()
        .map(|(index, (state, http_status))| Attempt {
            state: *state,
            http_status: *http_status,
            ..fixtures::attempt(index as i64 + 1)
        })
        .collect()
}

fn judge(attempts: &[Attempt], after: Duration) -> &'static str {
    word(&verdict_at(&facts(attempts), &untouched(), after))
}

fn word(verdict: &RetryVerdict) -> &'static str {
    verdict
        .refusal()
        .map_or("clear", |(reason, _)| reason.as_str())
}

fn facts(attempts: &[Attempt]) -> OrderFacts {
    OrderFacts {
        attempts: attempts.to_vec(),
        marks: Marks::default(),
    }
}

fn errand<'a>(
    operation: Operation,
    reference_id: &'a ReferenceId,
    version: &'a Version,
    issue: Option<&'a Issue>,
) -> Errand<'a> {
    Errand {
        operation,
        reference_id,
        version,
        issue,
    }
}

fn verdict_at(facts: &OrderFacts, version: &Version, after: Duration) -> RetryVerdict {
    let id = "R-1".into();
    let errand = errand(OPERATION, &id, version, None);
    retry_verdict(facts, &errand, POLICY, fixtures::now() + after)
}

/// As the fixture's request was before its attempt.
fn untouched() -> Version {
    fixtures::attempt(1).before
}

/// The same with another date, so many seconds after the fixture's instant.
fn dated(seconds: i64) -> Version {
    Version {
        last_updated: Some(fixtures::now() + chrono::TimeDelta::seconds(seconds)),
        ..untouched()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn the_ledger_decides() {
    use AttemptState::*;
    let long = Duration::from_secs(86_400);
    type Case<'a> = (
        &'a str,
        &'a [(AttemptState, Option<u16>)],
        Duration,
        &'a str,
    );
    let cases: &[Case<'_>] = &[
        ("no attempt", &[], Duration::ZERO, "clear"),
        ("just intended", &[(Intended, None)], long, "in_doubt"),
        (
            "accepted, not verified",
            &[(Accepted, Some(201))],
            long,
            "in_doubt",
        ),
        ("unknown", &[(Unknown, None)], long, "in_doubt"),
        (
            "a person must settle",
            &[(NeedsHuman, None)],
            long,
            "in_doubt",
        ),
        (
            "ineffective, too early",
            &[(Ineffective, None)],
            Duration::ZERO,
            "backing_off",
        ),
        (
            "ineffective, pause over",
            &[(Ineffective, None)],
            long,
            "clear",
        ),
        (
            "stuck after success, by a read that shows no later date",
            &[(Confirmed, Some(201))],
            long,
            "given_up",
        ),
        (
            "refused, unchanged",
            &[(Rejected, Some(406))],
            long,
            "given_up",
        ),
        (
            "turned away for pace",
            &[(Rejected, Some(429))],
            long,
            "clear",
        ),
        (
            "turned away for the token",
            &[(Rejected, Some(401))],
            Duration::ZERO,
            "backing_off",
        ),
        (
            "never left, four times",
            &[(NotSent, None); 4],
            Duration::ZERO,
            "clear",
        ),
        (
            "what never left takes no pause from what did",
            &[(Ineffective, None), (NotSent, None)],
            Duration::ZERO,
            "backing_off",
        ),
        (
            "what never left lengthens no pause",
            &[(Ineffective, None), (NotSent, None), (NotSent, None)],
            Duration::from_secs(600),
            "clear",
        ),
        (
            "three without effect",
            &[(Ineffective, None); 3],
            long,
            "given_up",
        ),
        (
            "an old doubt counts too",
            &[(Unknown, None), (Ineffective, None)],
            long,
            "in_doubt",
        ),
    ];
    for (name, states, after, expected) in cases {
        assert_eq!(judge(&ledger(states), *after), *expected, "{name}");
    }
}

#[test]
fn gives_up_after_max_attempts() {
    use AttemptState::*;
    let long = Duration::from_secs(86_400);
    assert_eq!(judge(&ledger(&[(Ineffective, None); 2]), long), "clear");
    assert_eq!(judge(&ledger(&[(Ineffective, None); 3]), long), "given_up");
    assert_eq!(judge(&ledger(&[(Ineffective, None); 9]), long), "given_up");
}

#[test]
fn a_refusal_is_judged_afresh_once_the_request_changed() {
    let attempts = ledger(&[(AttemptState::Rejected, Some(406))]);
    let mut version = attempts[0].before.clone();
    version.last_updated = Some(fixtures::now());
    let later = fixtures::now() + Duration::from_secs(86_400);
    let judge = |version: &Version| {
        let id = "R-1".into();
        let errand = errand(OPERATION, &id, version, None);
        retry_verdict(&facts(&attempts), &errand, POLICY, later)
    };
    assert_eq!(judge(&version), RetryVerdict::Clear);
    let RetryVerdict::GivenUp(why) = judge(&untouched()) else {
        panic!("not given up");
    };
    assert!(why.contains("406"), "its code is said: {why}");
}

#[test]
fn another_operation_has_its_own_count_but_shares_the_doubt() {
    let version = fixtures::attempt(1).before;
    let judge = |attempts: &[Attempt]| {
        let id = "R-1".into();
        let errand = errand(Operation::CancelRequest, &id, &version, None);
        retry_verdict(&facts(attempts), &errand, POLICY, fixtures::now())
    };
    assert_eq!(
        judge(&ledger(&[(AttemptState::Ineffective, None); 3])),
        RetryVerdict::Clear
    );
    assert!(matches!(
        judge(&ledger(&[(AttemptState::Unknown, None)])),
        RetryVerdict::InDoubt { .. }
    ));
}

#[test]
fn each_issue_has_its_own_count_unless_it_came_back() {
    let tried = |issue_sequence| Attempt {
        operation: Operation::ResolveIncident,
        state: AttemptState::Confirmed,
        issue_sequence: Some(issue_sequence),
        ..fixtures::attempt(issue_sequence)
    };
    let attempts: Vec<Attempt> = (1..=3).map(tried).collect();
    let version = fixtures::attempt(1).before;
    let judge = |repeated| {
        let issue = Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(4),
            issue_code: "CLI-012".into(),
            resolved: false,
            repeated,
            last_updated: None,
        };
        let operation = Operation::ResolveIncident;
        let id = "R-1".into();
        let errand = errand(operation, &id, &version, Some(&issue));
        retry_verdict(&facts(&attempts), &errand, POLICY, fixtures::now())
    };
    assert_eq!(judge(false), RetryVerdict::Clear);
    assert!(matches!(judge(true), RetryVerdict::GivenUp(_)));
}

#[test]
fn pauses_double_up_to_the_cap_and_keep_at_least_half() {
    for (nth, full) in [(1, 600), (2, 1_200), (3, 2_400), (7, 21_600), (500, 21_600)] {
        let shortest = pause(POLICY, nth, 0);
        let longest = pause(POLICY, nth, u128::from(u32::MAX));
        assert_eq!(
            (shortest.as_secs(), longest.as_secs()),
            (full / 2, full),
            "{nth}"
        );
    }
}

#[test]
fn the_same_attempt_always_pauses_the_same() {
    let seed = Uuid::from_u64_pair(1, 2).as_u128();
    assert_eq!(pause(POLICY, 2, seed), pause(POLICY, 2, seed));
}

#[test]
fn confirmed_is_a_barrier_until_the_upstream_dates_a_later_change() {
    let confirmed = |operation, seen: Option<Version>| Attempt {
        operation,
        state: AttemptState::Confirmed,
        confirmed: seen,
        changed_at: fixtures::now() + Duration::from_secs(100),
        ..fixtures::attempt(1)
    };
    let undated = Version {
        last_updated: None,
        ..untouched()
    };
    let create = Operation::CreateActivation;
    // (what confirmed it, the request now, what follows)
    let cases = [
        (Some(dated(60)), untouched(), "given_up"),
        (Some(dated(60)), dated(59), "given_up"),
        (Some(dated(60)), dated(60), "given_up"),
        (Some(dated(60)), dated(61), "clear"),
        (Some(dated(60)), undated.clone(), "given_up"),
        (Some(undated.clone()), dated(61), "given_up"),
        // By a person, at 100 s.
        (None, dated(100), "given_up"),
        (None, dated(101), "clear"),
    ];
    for (seen, version, expected) in cases {
        let name = format!("{seen:?}, {version:?}");
        let facts = facts(&[confirmed(create, seen)]);
        assert_eq!(word(&verdict_at(&facts, &version, DAY)), expected, "{name}");
    }
    // What the upstream refuses when it does not apply may be repeated.
    let id = "R-1".into();
    let version = untouched();
    let cancel = errand(Operation::CancelRequest, &id, &version, None);
    let facts = facts(&[confirmed(Operation::CancelRequest, Some(dated(60)))]);
    let judged = retry_verdict(&facts, &cancel, POLICY, fixtures::now() + DAY);
    assert_eq!(judged, RetryVerdict::Clear);
}

#[test]
fn a_refusal_counts_as_an_attempt_whatever_came_after_it() {
    use AttemptState::{Ineffective, Rejected};
    let at = |seconds, state, http_status| Attempt {
        before: dated(seconds),
        state,
        http_status,
        ..fixtures::attempt(seconds)
    };
    let attempts = [
        at(1, Rejected, Some(409)),
        at(2, Ineffective, None),
        at(3, Rejected, Some(400)),
    ];
    let judge = |attempts: &[Attempt], version| word(&verdict_at(&facts(attempts), &version, DAY));
    assert_eq!(judge(&attempts[..2], dated(3)), "clear");
    assert_eq!(
        judge(&attempts[..2], dated(1)),
        "given_up",
        "refused at that version"
    );
    assert_eq!(judge(&attempts, dated(4)), "given_up", "three attempts");
    let at_the_door = [401, 429, 401, 429].map(|status| at(1, Rejected, Some(status)));
    assert_eq!(
        judge(&at_the_door, dated(1)),
        "clear",
        "they say nothing of it"
    );
}

#[test]
fn a_persons_word_brings_back_what_was_given_up_and_nothing_that_is_in_doubt() {
    use AttemptState::{Confirmed, Ineffective, Rejected, Unknown};
    let retried = |attempts: &[Attempt], last| OrderFacts {
        marks: Marks {
            retry: Some(Retry {
                at: fixtures::now(),
                last_attempt: AttemptId(last),
            }),
            requests: vec![],
        },
        ..facts(attempts)
    };
    type Case<'a> = (&'a [(AttemptState, Option<u16>)], i64, &'a str);
    let cases: [Case<'_>; 6] = [
        (&[(Ineffective, None); 3], 3, "clear"),
        (&[(Rejected, Some(406))], 1, "clear"),
        (&[(Confirmed, None)], 1, "clear"),
        (&[(Unknown, None)], 1, "in_doubt"),
        // From then on it counts anew.
        (&[(Ineffective, None); 5], 3, "backing_off"),
        (&[(Ineffective, None); 6], 3, "given_up"),
    ];
    for (states, last, expected) in cases {
        let facts = retried(&ledger(states), last);
        let judged = verdict_at(&facts, &untouched(), Duration::ZERO);
        assert_eq!(word(&judged), expected, "{states:?}");
    }
}

#[test]
fn no_create_for_an_order_that_was_once_seen_doubled() {
    use PersistenceType::{Activation, Termination};
    let known = |status: Option<Status>, persistence_type, let_go| KnownRequest {
        reference_id: "R-2".into(),
        status,
        persistence_type,
        let_go,
    };
    let cases = [
        (
            known(Some(Status::Validating), Some(Activation), false),
            "duplicate_reference",
        ),
        (
            known(Some(Status::NotSent), Some(Activation), false),
            "duplicate_reference",
        ),
        (
            known(Some(Status::parse("MOON")), Some(Activation), false),
            "duplicate_reference",
        ),
        (known(None, None, false), "duplicate_reference"),
        (
            known(Some(Status::Validating), None, false),
            "duplicate_reference",
        ),
        (
            known(Some(Status::Canceled), Some(Activation), false),
            "clear",
        ),
        (
            known(Some(Status::Validating), Some(Termination), false),
            "clear",
        ),
        (
            known(Some(Status::Validating), Some(Activation), true),
            "clear",
        ),
    ];
    let itself = KnownRequest {
        reference_id: "R-1".into(),
        ..known(Some(Status::NotSent), Some(Activation), false)
    };
    for (other, expected) in cases {
        let facts = OrderFacts {
            marks: Marks {
                retry: None,
                requests: vec![itself.clone(), other.clone()],
            },
            ..OrderFacts::default()
        };
        let judged = verdict_at(&facts, &untouched(), DAY);
        assert_eq!(word(&judged), expected, "{other:?}");
        // Only a create can make another one.
        let (id, version) = ("R-1".into(), untouched());
        let cancel = errand(Operation::CancelRequest, &id, &version, None);
        assert_eq!(
            retry_verdict(&facts, &cancel, POLICY, fixtures::now()),
            RetryVerdict::Clear
        );
    }
}
