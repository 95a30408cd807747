//! Which calls a rule hits.

use super::*;
use crate::domain::{Operation, ReadOperation};

const GET: Call = Call::Read(ReadOperation::GetRequest);
const CANCEL: Call = Call::Write(Operation::CancelRequest);

fn with(rules: Vec<Fault>) -> Faults {
    let faults = Faults::new(7);
    faults.replace(rules).unwrap();
    faults
}

fn hits(faults: &Faults, call: Call, calls: usize) -> usize {
    (0..calls)
        .filter(|_| faults.draw(call, Some("masmovil"), None).answer.is_some())
        .count()
}

#[test]
fn a_rule_hits_what_it_is_aimed_at() {
    let fault = Fault::new(Effect::Cut);
    let cases: &[(&[&str], [bool; 3])] = &[
        (&[], [true, true, false]),
        (&["all"], [true, true, false]),
        (&["reads"], [true, false, false]),
        (&["writes"], [false, true, false]),
        (&["gets"], [true, false, false]),
        (&["cancel_request", "token"], [false, true, true]),
    ];
    for (operations, expected) in cases {
        let faults = with(vec![fault.clone().on(operations)]);
        let got = [GET, CANCEL, Call::Token].map(|call| hits(&faults, call, 1) == 1);
        assert_eq!(got, *expected, "{operations:?}");
    }
}

#[test]
fn a_count_is_spent_by_hits_alone() {
    let faults = with(vec![Fault::new(Effect::Cut).on(&["reads"]).times(2)]);
    assert_eq!(hits(&faults, CANCEL, 5), 0);
    assert_eq!(hits(&faults, GET, 5), 2);
    assert_eq!(faults.list()[0].count, Some(0));
}

#[test]
fn a_rate_is_kept_and_repeats_with_the_seed() {
    let pattern = || {
        let faults = with(vec![Fault::new(Effect::Cut).rate(0.25)]);
        (0..1_000)
            .map(|_| faults.draw(GET, None, None).answer.is_some())
            .collect::<Vec<_>>()
    };
    let hits = pattern().iter().filter(|hit| **hit).count();
    assert!((200..300).contains(&hits), "{hits}");
    assert_eq!(pattern(), pattern());
}

#[test]
fn delays_add_up_and_one_fault_of_the_answer_counts() {
    let late = Fault::new(Effect::Latency {
        ms: 40,
        jitter_ms: 0,
    });
    let second = Fault::new(Effect::Drop { applied: true }).times(1);
    let faults = with(vec![
        late.clone(),
        Fault::new(Effect::Cut).times(1),
        second,
        late,
    ]);
    let hit = faults.draw(GET, None, None);
    assert_eq!(
        hit,
        Hit {
            delay: Duration::from_millis(80),
            answer: Some(Effect::Cut),
            ..Hit::default()
        }
    );
    // The second fault was not used up by a call that it could not hit.
    assert_eq!(
        faults.draw(GET, None, None).answer,
        Some(Effect::Drop { applied: true })
    );
    assert_eq!(faults.draw(GET, None, None).answer, None);
}

#[test]
fn the_work_and_the_answer_have_a_fault_each() {
    let faults = with(vec![
        Fault::new(Effect::LateEffect { ms: 5 }),
        Fault::new(Effect::NoEffect).times(1),
        Fault::new(Effect::Drop { applied: true }),
    ]);
    let hit = faults.draw(CANCEL, None, None);
    assert_eq!(hit.work, Some(Effect::LateEffect { ms: 5 }));
    assert_eq!(hit.answer, Some(Effect::Drop { applied: true }));
    assert_eq!(faults.list()[1].count, Some(1), "it was not used up");
}

#[test]
fn a_list_may_ignore_several_filters_and_lie_otherwise_too() {
    let ignored = |filter| Fault::new(Effect::FilterIgnored { filter });
    let faults = with(vec![
        ignored(Filter::Statuses),
        ignored(Filter::Cancelling),
        Fault::new(Effect::Omit { share: 0.5 }),
    ]);
    let hits = [0; 2].map(|_| faults.draw(GET, None, None));
    assert_eq!(hits[0].ignored, [Filter::Statuses, Filter::Cancelling]);
    assert_eq!(hits[0].work, Some(Effect::Omit { share: 0.5 }));
    assert_ne!(hits[0].roll, hits[1].roll, "each call its own chance");
}

#[test]
fn a_rule_may_name_a_request_and_an_org() {
    let mut fault = Fault::new(Effect::Undecodable).about("TS00000001");
    fault.org = Some("yoigo".to_owned());
    let faults = with(vec![fault]);
    assert!(
        faults
            .draw(GET, Some("yoigo"), Some("TS00000001"))
            .answer
            .is_some()
    );
    assert!(
        faults
            .draw(GET, Some("yoigo"), Some("TS00000002"))
            .answer
            .is_none()
    );
    assert!(
        faults
            .draw(GET, Some("masmovil"), Some("TS00000001"))
            .answer
            .is_none()
    );
    assert!(faults.draw(GET, Some("yoigo"), None).answer.is_none());
}

#[test]
fn an_impossible_rule_changes_nothing() {
    let faults = with(vec![Fault::new(Effect::Cut)]);
    let error = |status| Effect::Error {
        status,
        applied: false,
        shape: ErrorShape::Object,
    };
    for (bad, why) in [
        (
            Fault::new(Effect::Cut).on(&["get_reqest"]),
            BadFault::Operation("get_reqest".to_owned()),
        ),
        (Fault::new(Effect::Cut).rate(1.5), BadFault::Rate),
        (Fault::new(Effect::Cut).rate(f64::NAN), BadFault::Rate),
        (Fault::new(error(200)), BadFault::Status),
        (
            Fault::new(Effect::ShortList { share: 1.1 }),
            BadFault::Share,
        ),
        (Fault::new(Effect::Omit { share: -0.1 }), BadFault::Share),
    ] {
        assert_eq!(faults.replace(vec![bad]), Err(why));
    }
    assert_eq!(faults.list().len(), 1);
}

#[test]
fn rules_read_as_json() {
    let text = r#"[
        {"do": {"drop": {"applied": true}}, "operations": ["writes"], "rate": 0.1},
        {"do": "cut", "count": 3},
        {"do": {"error": {"status": 503, "shape": "text"}}},
        {"do": {"late_effect": {"ms": 1500}}},
        {"do": {"omit_second": {}}},
        {"do": {"drip": {}}}
    ]"#;
    let read: Vec<Fault> = serde_json::from_str(text).unwrap();
    assert_eq!(
        read[0],
        Fault::new(Effect::Drop { applied: true })
            .on(&["writes"])
            .rate(0.1)
    );
    assert_eq!(read[1], Fault::new(Effect::Cut).times(3));
    assert_eq!(read[3], Fault::new(Effect::LateEffect { ms: 1_500 }));
    assert_eq!(read[4], Fault::new(Effect::OmitSecond { after_ms: 0 }));
    assert_eq!(read[5], Fault::new(Effect::Drip { pause_ms: 1_000 }));
}
