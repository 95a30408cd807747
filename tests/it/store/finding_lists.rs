//! Findings as people and metrics see them.

use tesa_reconciler::domain::finding::{Attention, FindingKind, FindingState};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::findings::{FindingCount, FindingFilter, Live};

use super::findings::{resolve, see};
use super::harness::Fresh;
use super::values::*;

behaviours![
    findings_are_listed_newest_first_by_filter_and_page,
    findings_are_counted_by_org_kind_and_status,
];

async fn findings_are_listed_newest_first_by_filter_and_page(fresh: Fresh) {
    let store = &*fresh.store;
    let mut given: Vec<_> = (0..4)
        .map(|n| sighting(&format!("r{n}"), "NOT_SENT"))
        .collect();
    given[1].key.kind = FindingKind::UnresolvedIssue;
    given[2].attention = Some(Attention::GivenUp);
    for one in &given {
        see(store, std::slice::from_ref(one), 0).await;
    }
    let elsewhere = seen(&[sighting("r4", "NOT_SENT")]);
    store
        .apply_findings(
            &a_run(store).await,
            &"yoigo".into(),
            &job(),
            &elsewhere,
            at(0),
        )
        .await
        .unwrap();
    let all = FindingFilter::default;
    let rows = store.findings(&all(), Page::first(9)).await.unwrap();
    let ids: Vec<_> = rows.iter().rev().map(|row| row.id).collect();
    store
        .acknowledge_findings(&[ids[3]], &person(), at(1))
        .await
        .unwrap();
    resolve(store, ids[0], 2).await;
    let list = async |filter: FindingFilter, page: Page| {
        let rows = store.findings(&filter, page).await.unwrap();
        rows.iter()
            .map(|row| ids.iter().position(|id| *id == row.id).unwrap())
            .collect::<Vec<_>>()
    };
    let nine = Page::first(9);
    assert_eq!(
        list(all(), nine).await,
        [4, 3, 2, 1],
        "all but the resolved"
    );
    let next = Page {
        limit: 2,
        before: Some(ids[4].0),
    };
    assert_eq!(list(all(), next).await, [3, 2]);
    let table = [
        (
            FindingFilter {
                org: Some("yoigo".into()),
                ..all()
            },
            vec![4],
        ),
        (
            FindingFilter {
                kind: Some(FindingKind::UnresolvedIssue),
                ..all()
            },
            vec![1],
        ),
        (
            FindingFilter {
                state: Some(FindingState::Acknowledged),
                ..all()
            },
            vec![3],
        ),
        (
            FindingFilter {
                state: Some(FindingState::Open),
                ..all()
            },
            vec![4, 2, 1],
        ),
        (
            FindingFilter {
                state: Some(FindingState::Resolved),
                ..all()
            },
            vec![0],
        ),
        (
            FindingFilter {
                attention: Some(Attention::GivenUp),
                ..all()
            },
            vec![2],
        ),
        (
            FindingFilter {
                reference: Some("r2".into()),
                ..all()
            },
            vec![2],
        ),
        (
            FindingFilter {
                reference: Some("order-r1".into()),
                ..all()
            },
            vec![1],
        ),
        (
            FindingFilter {
                reference: Some("r0".into()),
                ..all()
            },
            vec![],
        ),
        (
            FindingFilter {
                reference: Some("r0".into()),
                state: Some(FindingState::Resolved),
                ..all()
            },
            vec![0],
        ),
    ];
    for (filter, wanted) in table {
        assert_eq!(list(filter.clone(), nine).await, wanted, "{filter:?}");
    }
}

async fn findings_are_counted_by_org_kind_and_status(fresh: Fresh) {
    let store = &*fresh.store;
    let mut given = vec![
        sighting("r1", "NOT_SENT"),
        sighting("r2", "NOT_SENT"),
        sighting("r3", "PROCESSING"),
        sighting("r4", "7 CLI-01"),
        sighting("r5", "gone"),
    ];
    given[1].since = Some(at(-9_000));
    given[2].since = None;
    given[3].key.kind = FindingKind::UnresolvedIssue;
    see(store, &given, 0).await;
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    let gone = live.iter().find(|live| live.key.detail == "gone").unwrap();
    resolve(store, gone.id, 1).await;
    let count = |kind, status: &str, count, oldest| FindingCount {
        org: org(),
        kind,
        status: status.to_owned(),
        count,
        oldest,
    };
    let wanted = [
        count(FindingKind::StuckRequest, "NOT_SENT", 2, Some(at(-9_000))),
        count(FindingKind::StuckRequest, "PROCESSING", 1, None),
        count(FindingKind::UnresolvedIssue, "", 1, None),
    ];
    assert_eq!(store.finding_counts().await.unwrap(), wanted);
}
