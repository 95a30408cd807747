//! Open requests in numbers, and what is beside each.

use tesa_reconciler::domain::attributes::Attributes;
use tesa_reconciler::domain::{Beside, Event, Issue, Observation, Sight, Status, TerritoryOwner};
use tesa_reconciler::store::Store;
use tesa_reconciler::store::requests::Alike;

use super::harness::Fresh;
use super::values::*;

behaviours![
    open_requests_are_counted_by_what_they_are,
    attributes_are_counted_as_they_stand_together,
    codes_are_counted_by_how_they_stand_now_each_request_once,
    another_orgs_requests_are_not_counted,
    what_is_beside_requests_is_the_last_of_each_thing,
];

async fn remember(store: &dyn Store, org: &str, seen: &[Observation], sights: &[Sight]) {
    let lease = a_run(store).await;
    let told = store.remember_seen(&lease, &org.into(), seen, sights).await;
    told.unwrap();
}

/// How many are alike in such a thing, the most first.
async fn counted<T: Ord>(store: &dyn Store, of: impl Fn(&Alike) -> Option<T>) -> Vec<(T, u64)> {
    let counts = store.count_open(&org()).await.unwrap();
    let counts = counts
        .iter()
        .filter_map(|one| Some((of(&one.alike)?, one.requests)));
    let mut counts: Vec<(T, u64)> = counts.collect();
    counts.sort();
    counts
}

fn issue(id: &str, sequence: i64, code: &str, resolved: bool) -> Issue {
    Issue {
        id: None,
        reference_id: id.into(),
        issue_sequence: Some(sequence),
        issue_code: code.into(),
        resolved,
        repeated: false,
        last_updated: None,
    }
}

fn issues(id: &str, second: i64, issues: Vec<Issue>) -> Sight {
    Sight {
        reference_id: id.into(),
        at: at(second),
        beside: Beside::Issues(issues),
    }
}

fn last_event(id: &str, second: i64, message: &str) -> Sight {
    Sight {
        reference_id: id.into(),
        at: at(second),
        beside: Beside::LastEvent(Some(Event {
            id: None,
            reference_id: id.into(),
            message_type: Some(message.into()),
            request_number: None,
            subrequest_number: None,
            event_date: Some(at(second)),
            sequence_number: Some(second),
            inconsistent: false,
        })),
    }
}

async fn open_requests_are_counted_by_what_they_are(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = |id: &str, status: Status, owner, changed| Observation {
        status,
        territory_owner: owner,
        cancelling: false,
        last_updated: changed,
        ..observation(id)
    };
    let neba = Some(TerritoryOwner::Neba);
    remember(
        store,
        "masmovil",
        &[
            seen("R-1", Status::Processing, neba, Some(at(1))),
            seen("R-2", Status::Processing, neba, Some(at(2))),
            seen("R-3", Status::Processing, None, Some(at(7_300))),
            seen("R-4", Status::parse("ON_THE_MOON"), None, None),
            seen("R-5", Status::Finished, neba, Some(at(1))),
        ],
        &[],
    )
    .await;
    let alike = counted(store, |alike| match alike {
        Alike::Request {
            status,
            territory_owner,
            ..
        } => Some((status.clone(), *territory_owner)),
        _ => None,
    })
    .await;
    let moon = (Status::parse("ON_THE_MOON"), None);
    let expected = [
        ((Status::Processing, None), 1),
        ((Status::Processing, neba), 2),
        (moon, 1),
    ];
    assert_eq!(alike, expected);
    let changed = counted(store, |alike| match alike {
        Alike::Changed(at) => Some(*at),
        _ => None,
    })
    .await;
    let hour = |second| {
        let second = at(second).timestamp();
        chrono::DateTime::from_timestamp(second - second % 3_600, 0).unwrap()
    };
    assert_eq!(changed, [(hour(1), 2), (hour(7_300), 1)]);
}

async fn attributes_are_counted_as_they_stand_together(fresh: Fresh) {
    let store = &*fresh.store;
    let here = Attributes::from_iter([("cto", "28-1"), ("zone", "north")]);
    let there = Attributes::from_iter([("cto", "28-2")]);
    let seen = |id: &str, attributes: &Attributes| Observation {
        attributes: attributes.clone(),
        ..observation(id)
    };
    let nowhere = Attributes::default();
    let all = [
        seen("R-1", &here),
        seen("R-2", &here),
        seen("R-3", &there),
        seen("R-4", &nowhere),
    ];
    remember(store, "masmovil", &all, &[]).await;
    let kept = counted(store, |alike| match alike {
        Alike::Attributes(kept) => Some(kept.clone()),
        _ => None,
    })
    .await;
    assert_eq!(kept, [(here, 2), (there, 1)]);
}

async fn codes_are_counted_by_how_they_stand_now_each_request_once(fresh: Fresh) {
    let store = &*fresh.store;
    let open = |id: &str| Observation {
        status: Status::IncidenceOperator,
        ..observation(id)
    };
    let over = Observation {
        status: Status::Finished,
        ..observation("R-9")
    };
    let sights = [
        issues(
            "R-1",
            5,
            vec![
                issue("R-1", 1, "CLI-012", false),
                issue("R-1", 2, "CLI-012", false),
            ],
        ),
        issues("R-2", 5, vec![issue("R-2", 1, "CLI-012", false)]),
        issues("R-9", 5, vec![issue("R-9", 1, "CLI-012", false)]),
        last_event("R-1", 5, "ACK"),
        last_event("R-2", 5, "ACK"),
    ];
    remember(
        store,
        "masmovil",
        &[open("R-1"), open("R-2"), over],
        &sights,
    )
    .await;
    let codes = async || {
        counted(store, |alike| match alike {
            Alike::IssueCode(code) => Some(format!("issue {code}")),
            Alike::LastEvent(code) => Some(format!("event {code}")),
            _ => None,
        })
        .await
    };
    let both = [("event ACK".to_owned(), 2), ("issue CLI-012".to_owned(), 2)];
    assert_eq!(codes().await, both);
    let later = [
        issues("R-1", 9, vec![issue("R-1", 1, "CLI-012", true)]),
        last_event("R-2", 9, "FIN"),
    ];
    remember(store, "masmovil", &[], &later).await;
    let now = [
        ("event ACK".to_owned(), 1),
        ("event FIN".to_owned(), 1),
        ("issue CLI-012".to_owned(), 1),
    ];
    assert_eq!(
        codes().await,
        now,
        "one is resolved, one is gone, and one had another event"
    );
}

async fn another_orgs_requests_are_not_counted(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = [observation("R-1")];
    remember(store, "yoigo", &seen, &[last_event("R-1", 5, "ACK")]).await;
    assert_eq!(store.count_open(&org()).await.unwrap(), []);
    let asked = ["R-1".into()];
    assert_eq!(store.beside(&org(), &asked).await.unwrap(), []);
}

async fn what_is_beside_requests_is_the_last_of_each_thing(fresh: Fresh) {
    let store = &*fresh.store;
    let first = [
        last_event("R-2", 5, "ACK"),
        issues("R-1", 5, vec![issue("R-1", 1, "CLI-012", false)]),
    ];
    remember(
        store,
        "masmovil",
        &[observation("R-1"), observation("R-2")],
        &first,
    )
    .await;
    let second = [
        last_event("R-2", 9, "FIN"),
        issues("R-1", 9, vec![issue("R-1", 1, "CLI-012", true)]),
    ];
    remember(store, "masmovil", &[], &second).await;
    let asked = ["R-2", "R-1", "R-3"].map(Into::into);
    let beside = store.beside(&org(), &asked).await.unwrap();
    let told: Vec<_> = beside
        .iter()
        .map(|(id, rows)| (id.as_str(), rows.len(), rows[0].seen_at))
        .collect();
    assert_eq!(told, [("R-1", 1, at(9)), ("R-2", 1, at(9))]);
}
