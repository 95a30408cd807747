//! The seeded world has the shares it promises.

use std::collections::HashSet;

use super::*;

fn plan(requests: u32, stuck_unsent: Option<usize>) -> Plan {
    Plan::new(
        7,
        "masmovil",
        requests,
        stuck_unsent,
        DateTime::UNIX_EPOCH + Duration::days(20_000),
    )
}

fn heads(plan: &Plan) -> Vec<Head> {
    (0..plan.requests).map(|index| plan.head(index)).collect()
}

fn stuck_unsent(plan: &Plan) -> usize {
    let limit = plan.start - Duration::minutes(30);
    heads(plan)
        .iter()
        .filter(|head| head.status == Status::NotSent && head.last_updated < limit)
        .count()
}

#[test]
fn the_number_of_stuck_unsent_requests_is_exact() {
    for (requests, wanted, got) in [
        (10_000, 0, 0),
        (10_000, 37, 37),
        (5_000, 5_000, 5_000),
        (10, 99, 10),
    ] {
        let plan = plan(requests, Some(wanted));
        assert_eq!(stuck_unsent(&plan), got);
        let unsent = heads(&plan)
            .iter()
            .filter(|head| head.status == Status::NotSent)
            .count();
        assert_eq!(unsent, got, "no fresh ones that would become stuck later");
    }
    assert_eq!(stuck_unsent(&plan(10_000, None)), 300);
}

#[test]
fn most_requests_are_final_and_all_twelve_statuses_occur() {
    let heads = heads(&plan(10_000, None));
    let last = heads.iter().filter(|head| head.status.is_final()).count();
    assert!((5_100..5_700).contains(&last), "{last}");
    let statuses: HashSet<_> = heads.iter().map(|head| head.status.clone()).collect();
    assert_eq!(statuses.len(), 12);
    assert!(
        heads
            .iter()
            .any(|head| head.cancelling && !head.status.is_final())
    );
}

#[test]
fn event_streams_have_every_fault_and_are_mostly_in_order() {
    let plan = plan(10_000, None);
    let (mut inconsistent, mut gap, mut twice, mut backwards) = (0, 0, 0, 0);
    for index in 0..plan.requests {
        let events = plan.item(index).events;
        assert!(!events.is_empty());
        inconsistent += usize::from(events.iter().any(|event| event.inconsistent));
        let pairs = || events.windows(2);
        gap += usize::from(pairs().any(|pair| pair[1].sequence > pair[0].sequence + 1));
        twice += usize::from(pairs().any(|pair| pair[1].sequence == pair[0].sequence));
        backwards += usize::from(pairs().any(|pair| pair[1].at < pair[0].at));
    }
    for (what, count) in [
        ("inconsistent", inconsistent),
        ("gap", gap),
        ("twice", twice),
        ("backwards", backwards),
    ] {
        assert!((10..500).contains(&count), "{what}: {count}");
    }
}

#[test]
fn incidents_have_an_open_issue_and_some_are_repeated() {
    let plan = plan(10_000, None);
    let mut repeated = 0;
    for item in (0..plan.requests).map(|index| plan.item(index)) {
        let incident = item.head.status.as_str().starts_with("INCIDENCE_");
        assert_eq!(item.has_open_issue(), incident, "{:?}", item.head);
        repeated += usize::from(item.issues.iter().any(|issue| issue.repeated));
    }
    assert!(repeated > 50, "{repeated}");
}

#[test]
fn reference_ids_lead_back_and_differ_between_orgs() {
    let (ours, theirs) = (
        plan(1_000, None),
        Plan::new(7, "yoigo", 1_000, None, DateTime::UNIX_EPOCH),
    );
    for index in 0..1_000 {
        let id = ours.reference_id(index);
        assert_eq!(ours.index(&id), Some(index));
        assert_ne!(theirs.index(&id), Some(index));
    }
    for wrong in ["", "TS", "TS1", "ts00000000", "TS+0000000", "SBX-0000001"] {
        assert_eq!(ours.index(wrong), None, "{wrong}");
    }
}

#[test]
fn everything_personal_is_marked() {
    let head = plan(10, None).head(3);
    let parts = story::personal(&head);
    for part in [
        parts.customer,
        parts.service_point,
        parts.technical_coordinators,
    ] {
        for value in part.as_object().unwrap().values() {
            assert!(value.as_str().unwrap().contains(story::PERSONAL_MARKER));
        }
    }
}
