//! What people said: hands off. It stands by itself, whatever becomes of the finding that it was said of.

use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::ids::FindingId;
use tesa_reconciler::domain::{Observation, Status};
use tesa_reconciler::store::acknowledgements::{Acknowledgement, AcknowledgementChange, Given};
use tesa_reconciler::store::attempts::{IntentRefused, NewAttempt};
use tesa_reconciler::store::audit::AuditFilter;
use tesa_reconciler::store::findings::{Finding, FindingFilter, FindingKey, Sighting};
use tesa_reconciler::store::{Actor, Page, Store};

use super::findings::{only, resolve, see};
use super::harness::Fresh;
use super::values::*;

behaviours![
    an_acknowledgement_reads_back_with_what_was_known,
    acknowledging_is_all_or_nothing_and_audited,
    a_second_one_stands_beside_the_first,
    it_is_found_by_request_and_by_order_of_its_org,
    a_finding_follows_what_was_said_of_it,
    taking_it_back_is_all_or_nothing_and_audited,
    what_was_not_known_is_filled_in_once,
    what_is_over_ends_once_and_is_audited,
    an_acknowledged_request_or_order_gets_no_intent,
];

async fn acknowledge(store: &dyn Store, id: FindingId, now: i64) {
    store
        .acknowledge_findings(&[id], &person(), at(now))
        .await
        .unwrap();
}

async fn said(store: &dyn Store) -> Vec<Acknowledgement> {
    store.acknowledgements(Some(&org())).await.unwrap()
}

async fn all(store: &dyn Store) -> Vec<Finding> {
    let filter = FindingFilter::default();
    store.findings(&filter, Page::first(9)).await.unwrap()
}

async fn audited(store: &dyn Store) -> Vec<(String, String)> {
    let rows = store.audit(&AuditFilter::default(), Page::first(9)).await;
    let rows = rows.unwrap().into_iter();
    rows.map(|row| (row.action, row.subject)).collect()
}

/// A finding that is acknowledged, of a request that was never read.
async fn acknowledged(store: &dyn Store) -> Finding {
    see(store, &[sighting("r", "NOT_SENT")], 0).await;
    let finding = only(store).await;
    acknowledge(store, finding.id, 1).await;
    finding
}

async fn an_acknowledgement_reads_back_with_what_was_known(fresh: Fresh) {
    let store = &*fresh.store;
    let finding = acknowledged(store).await;
    let bare = said(store).await.remove(0);
    let wanted = Acknowledgement {
        id: bare.id,
        org: org(),
        key: finding.key.clone(),
        external_reference: finding.external_reference.clone(),
        given: Given {
            status: Some(Status::NotSent),
            cancelling: Some(false),
            last_updated: finding.since,
            repeated: None,
        },
        who: person().who,
        reason: person().reason,
        given_at: at(1),
        ended_at: None,
        ended_why: None,
    };
    assert_eq!(bare, wanted, "as the finding tells");
    let seen = observation("r");
    let seen_alone = std::slice::from_ref(&seen);
    store
        .remember_observations(&a_run(store).await, &org(), seen_alone)
        .await
        .unwrap();
    acknowledge(store, finding.id, 2).await;
    let full = said(store).await.remove(1);
    let given = Given {
        status: Some(seen.status),
        cancelling: Some(seen.cancelling),
        last_updated: seen.last_updated,
        repeated: None,
    };
    assert_eq!(full.given, given, "as it was read");
    let cancelling = sighting("s", "CANCELLING");
    see(store, std::slice::from_ref(&cancelling), 3).await;
    let violation = Sighting {
        key: FindingKey {
            kind: tesa_reconciler::domain::FindingKind::ContractViolation,
            ..sighting("t", "get_request").key
        },
        external_reference: None,
        ..sighting("t", "get_request")
    };
    see(store, std::slice::from_ref(&violation), 3).await;
    let rows = all(store).await;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    store
        .acknowledge_findings(&ids[..2], &person(), at(4))
        .await
        .unwrap();
    let rows = said(store).await;
    let given = |row: &Acknowledgement| (row.given.status.clone(), row.given.cancelling);
    assert_eq!(given(&rows[2]), (None, Some(true)));
    assert_eq!(rows[3].given, Given::default(), "nothing is known of it");
    assert_eq!(rows[3].external_reference, None);
    assert_eq!(
        store
            .acknowledgements_of(&org(), &"r".into())
            .await
            .unwrap(),
        [bare, full]
    );
}

async fn acknowledging_is_all_or_nothing_and_audited(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &["r", "s", "t"].map(|r| sighting(r, "NOT_SENT")), 0).await;
    let rows = all(store).await;
    let ids: Vec<_> = rows.iter().rev().map(|row| row.id).collect();
    resolve(store, ids[2], 1).await;
    let unknown = FindingId(4_711);
    let asked = [ids[0], ids[2], unknown];
    let error = store
        .acknowledge_findings(&asked, &person(), at(2))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "not_found");
    let names_both = format!("finding {}, {unknown} that isn't resolved", ids[2]);
    assert!(error.to_string().contains(&names_both), "{error}");
    assert!(said(store).await.is_empty() && audited(store).await.is_empty());
    store
        .acknowledge_findings(&ids[..2], &person(), at(3))
        .await
        .unwrap();
    store
        .acknowledge_findings(&[], &person(), at(3))
        .await
        .unwrap();
    let both = format!("{}, {}", ids[0], ids[1]);
    assert_eq!(audited(store).await, [("acknowledge".to_owned(), both)]);
}

async fn a_second_one_stands_beside_the_first(fresh: Fresh) {
    let store = &*fresh.store;
    let finding = acknowledged(store).await;
    let second = Actor {
        who: "cli:night".to_owned(),
        reason: "still so".to_owned(),
    };
    store
        .acknowledge_findings(&[finding.id], &second, at(2))
        .await
        .unwrap();
    let reasons: Vec<_> = said(store)
        .await
        .into_iter()
        .map(|one| one.reason)
        .collect();
    assert_eq!(reasons, [person().reason, "still so".to_owned()]);
}

async fn it_is_found_by_request_and_by_order_of_its_org(fresh: Fresh) {
    let store = &*fresh.store;
    acknowledged(store).await;
    let about = async |org: &str, request: &str, order: &str| {
        let (org, requests, orders) = (org.into(), [request.into()], [order.into()]);
        let found = store.acknowledgements_about(&org, &requests, &orders);
        found.await.unwrap().len()
    };
    assert_eq!(about("masmovil", "r", "order-r").await, 1, "once");
    assert_eq!(about("masmovil", "r", "another").await, 1);
    assert_eq!(about("masmovil", "another", "order-r").await, 1);
    assert_eq!(about("masmovil", "order-r", "r").await, 0);
    assert_eq!(about("yoigo", "r", "order-r").await, 0);
    assert!(said(store).await.len() == 1);
    let elsewhere = store.acknowledgements(Some(&"yoigo".into())).await;
    assert!(elsewhere.unwrap().is_empty());
    assert_eq!(store.acknowledgements(None).await.unwrap().len(), 1);
}

async fn a_finding_follows_what_was_said_of_it(fresh: Fresh) {
    let store = &*fresh.store;
    let finding = acknowledged(store).await;
    let state = async || only(store).await.state;
    let listed = async || {
        let filter = FindingFilter {
            state: Some(FindingState::Acknowledged),
            ..FindingFilter::default()
        };
        store.findings(&filter, Page::first(9)).await.unwrap().len()
    };
    assert_eq!(
        (state().await, listed().await),
        (FindingState::Acknowledged, 1)
    );
    let news = Sighting {
        evidence: "two hours ago".to_owned(),
        attention: Some(tesa_reconciler::domain::finding::Attention::GivenUp),
        ..sighting("r", "NOT_SENT")
    };
    see(store, std::slice::from_ref(&news), 3).await;
    assert_eq!(
        state().await,
        FindingState::Acknowledged,
        "other words are none"
    );
    resolve(store, finding.id, 4).await;
    assert_eq!((state().await, listed().await), (FindingState::Resolved, 1));
    see(store, &[news], 5).await;
    assert_eq!(state().await, FindingState::Acknowledged, "it still holds");
    assert_eq!(only(store).await.times_reopened, 1);
    // Another one of the same request is news.
    see(store, &[sighting("r", "VALIDATING")], 6).await;
    let open = FindingFilter {
        state: Some(FindingState::Open),
        ..FindingFilter::default()
    };
    assert_eq!(
        store.findings(&open, Page::first(9)).await.unwrap().len(),
        1
    );
}

async fn taking_it_back_is_all_or_nothing_and_audited(fresh: Fresh) {
    let store = &*fresh.store;
    let finding = acknowledged(store).await;
    acknowledge(store, finding.id, 2).await;
    resolve(store, finding.id, 3).await;
    let (unknown, now) = (FindingId(4_711), at(4));
    let error = store
        .unacknowledge_findings(&[finding.id, unknown], &person(), now)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "not_found");
    assert!(
        error.to_string().contains("4711 that is acknowledged"),
        "{error}"
    );
    assert_eq!(said(store).await.len(), 2);
    let taken = store
        .unacknowledge_findings(&[finding.id], &person(), now)
        .await
        .unwrap();
    let ends: Vec<_> = taken.iter().map(|one| one.ended_at).collect();
    assert_eq!(ends, [Some(now), Some(now)]);
    let why = format!("taken back by {}: {}", person().who, person().reason);
    assert_eq!(taken[0].ended_why, Some(why));
    assert!(said(store).await.is_empty());
    let audit = audited(store).await;
    assert_eq!(
        audit[0],
        ("unacknowledge".to_owned(), finding.id.to_string())
    );
    see(store, &[sighting("r", "NOT_SENT")], 5).await;
    assert_eq!(only(store).await.state, FindingState::Open);
    acknowledge(store, finding.id, 6).await;
    store
        .unacknowledge_findings(&[finding.id], &person(), at(7))
        .await
        .unwrap();
    assert_eq!(only(store).await.state, FindingState::Open);
}

fn change(of: &Acknowledgement) -> AcknowledgementChange {
    AcknowledgementChange {
        id: of.id,
        external_reference: None,
        given: Given::default(),
        ended_why: None,
    }
}

async fn what_was_not_known_is_filled_in_once(fresh: Fresh) {
    let store = &*fresh.store;
    let bare = Sighting {
        external_reference: None,
        since: None,
        ..sighting("r", "CANCELLING")
    };
    see(store, &[bare], 0).await;
    acknowledge(store, only(store).await.id, 1).await;
    let learned =
        |status: Status, order: &str, date: i64, id: &Acknowledgement| AcknowledgementChange {
            external_reference: Some(order.into()),
            given: Given {
                status: Some(status),
                cancelling: Some(false),
                last_updated: Some(at(date)),
                repeated: Some(date == 2),
            },
            ..change(id)
        };
    let one = said(store).await.remove(0);
    for (order, date) in [("first", 2), ("second", 3)] {
        let change = learned(Status::Processing, order, date, &one);
        store
            .keep_acknowledgements(&a_run(store).await, &[change], at(4))
            .await
            .unwrap();
    }
    let one = said(store).await.remove(0);
    assert_eq!(one.external_reference, Some("first".into()));
    let given = Given {
        status: Some(Status::Processing),
        cancelling: Some(true),
        last_updated: Some(at(2)),
        repeated: Some(true),
    };
    assert_eq!((one.given, one.ended_at), (given, None));
}

async fn what_is_over_ends_once_and_is_audited(fresh: Fresh) {
    let store = &*fresh.store;
    let finding = acknowledged(store).await;
    acknowledge(store, finding.id, 2).await;
    let ends: Vec<_> = said(store).await.iter().map(change).collect();
    let over = |place: usize, why: &str| AcknowledgementChange {
        ended_why: Some(why.to_owned()),
        ..ends[place].clone()
    };
    store
        .keep_acknowledgements(&a_run(store).await, &[over(0, "moved")], at(3))
        .await
        .unwrap();
    assert_eq!(
        only(store).await.state,
        FindingState::Acknowledged,
        "the second holds"
    );
    let both = [over(0, "again"), over(1, "moved")];
    store
        .keep_acknowledgements(&a_run(store).await, &both, at(4))
        .await
        .unwrap();
    assert_eq!(only(store).await.state, FindingState::Open);
    let all = store
        .acknowledgements_of(&org(), &"r".into())
        .await
        .unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|one| (one.ended_at, one.ended_why.as_deref()))
        .collect();
    assert_eq!(
        told,
        [(Some(at(3)), Some("moved")), (Some(at(4)), Some("moved"))]
    );
    let ended = audited(store).await;
    let ended: Vec<_> = ended
        .iter()
        .filter(|(action, _)| action == "acknowledgement_ended")
        .collect();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert_eq!(ended[0].1, "masmovil/r stuck_request");
    acknowledge(store, finding.id, 5).await;
    assert_eq!(said(store).await.len(), 1, "it can be said anew");
}

async fn an_acknowledged_request_or_order_gets_no_intent(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = started(store, &new_run(None), at(0)).await;
    let seen = Observation {
        external_reference: Some("A".into()),
        ..observation("ref-A")
    };
    store
        .remember_observations(&a_run(store).await, &org(), &[seen])
        .await
        .unwrap();
    see(store, &[sighting("ref-A", "NOT_SENT")], 0).await;
    let id = only(store).await.id;
    acknowledge(store, id, 1).await;
    resolve(store, id, 2).await;
    let by_request = NewAttempt {
        external_reference: "B".into(),
        ..new_attempt("A")
    };
    let by_order = NewAttempt {
        reference_id: "ref-C".into(),
        ..new_attempt("A")
    };
    for attempt in [new_attempt("A"), by_request, by_order.clone()] {
        let attempt = NewAttempt {
            job_name: "renamed".into(),
            ..attempt
        };
        let answer = store.intend(&lease, &attempt, NO_LIMITS, at(3)).await;
        assert_eq!(answer.unwrap(), Err(IntentRefused::Acknowledged));
    }
    intended(store, &lease, &new_attempt("D"), at(3)).await;
    let elsewhere = NewAttempt {
        org: "yoigo".into(),
        ..new_attempt("A")
    };
    intended(store, &lease, &elsewhere, at(3)).await;
    store
        .unacknowledge_findings(&[id], &person(), at(4))
        .await
        .unwrap();
    intended(store, &lease, &by_order, at(5)).await;
}
