//! Findings as people and metrics see them.

use tesa_reconciler::domain::Verdict;
use tesa_reconciler::domain::finding::{Attention, FindingKind, FindingState};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::findings::{Finding, FindingCount, FindingFilter, Live};

use super::classes::{class, open};
use super::findings::{resolve, see};
use super::harness::Fresh;
use super::values::*;

behaviours![
    findings_are_listed_newest_first_by_filter_and_page,
    findings_are_counted_by_org_kind_and_status,
    findings_are_found_by_the_beginning_of_either_reference_in_any_case,
    the_oldest_findings_come_first_and_undated_ones_last,
    a_finding_names_the_rule_of_its_class_or_of_the_last_decision,
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

async fn findings_are_found_by_the_beginning_of_either_reference_in_any_case(fresh: Fresh) {
    let store = &*fresh.store;
    let mut given: Vec<_> = ["SBX-0012", "sbx-0013", "Sbx-01", "ABC-1", "año-1"]
        .iter()
        .map(|id| sighting(id, "NOT_SENT"))
        .collect();
    given[3].external_reference = Some("SBX-99".into());
    given[4].external_reference = None;
    see(store, &given, 0).await;
    for (beginning, wanted) in [
        ("sbx-00", vec!["SBX-0012", "sbx-0013"]),
        ("SBX-", vec!["ABC-1", "SBX-0012", "Sbx-01", "sbx-0013"]),
        ("SBX-0012", vec!["SBX-0012"]),
        ("sbx-9", vec!["ABC-1"]),
        ("AÑO", vec![]),
        ("año", vec!["año-1"]),
        ("order-sbx", vec!["SBX-0012", "Sbx-01", "sbx-0013"]),
        ("%", vec![]),
        ("x", vec![]),
    ] {
        let filter = FindingFilter {
            search: Some(beginning.to_owned()),
            ..FindingFilter::default()
        };
        let rows = store.findings(&filter, Page::first(9)).await.unwrap();
        let mut found: Vec<_> = rows
            .iter()
            .map(|row| row.key.reference_id.as_str())
            .collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{beginning}");
        let count = store.count_findings(&filter).await.unwrap();
        assert_eq!(count, wanted.len() as u64, "{beginning}");
    }
}

async fn the_oldest_findings_come_first_and_undated_ones_last(fresh: Fresh) {
    let store = &*fresh.store;
    let mut given: Vec<_> = (0..5)
        .map(|n| sighting(&format!("r{n}"), "NOT_SENT"))
        .collect();
    let dates = [None, Some(-10), Some(-30), None, Some(-20)];
    for (one, since) in given.iter_mut().zip(dates) {
        one.since = since.map(at);
    }
    for (second, one) in given.iter().enumerate() {
        see(store, std::slice::from_ref(one), second as i64).await;
    }
    // Page by page: whatever the pages' size, nobody is left out and nobody told twice.
    let paged = async |filter: &FindingFilter, size: u32| {
        let mut all: Vec<Finding> = Vec::new();
        loop {
            let after = all.last().map(Finding::oldest_key);
            let page = store.oldest_findings(filter, after, size).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    };
    let oldest = async |filter: FindingFilter, size: u32| {
        let rows = paged(&filter, size).await;
        rows.iter()
            .map(|row| row.key.reference_id.to_string())
            .collect::<Vec<_>>()
    };
    let all = FindingFilter::default;
    for size in [9, 1, 2, 3] {
        assert_eq!(
            oldest(all(), size).await,
            ["r2", "r4", "r1", "r0", "r3"],
            "{size}"
        );
    }
    let late = FindingFilter {
        since: Some(at(1)),
        until: Some(at(4)),
        ..all()
    };
    assert_eq!(oldest(late.clone(), 9).await, ["r2", "r1", "r3"]);
    assert_eq!(store.count_findings(&late).await.unwrap(), 3);
    let elsewhere = FindingFilter {
        job_name: Some("another".into()),
        ..all()
    };
    assert_eq!(store.count_findings(&elsewhere).await.unwrap(), 0);
    let detail = FindingFilter {
        detail: Some("NOT_SENT".to_owned()),
        job_name: Some(job()),
        ..all()
    };
    assert_eq!(store.count_findings(&detail).await.unwrap(), 5);
}

async fn a_finding_names_the_rule_of_its_class_or_of_the_last_decision(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["listed"], 0).await;
    see(store, &[sighting("read", "NOT_SENT")], 1).await;
    see(store, &[sighting("alone", "NOT_SENT")], 2).await;
    let lease = a_run(store).await;
    let decided = [decision("read", Verdict::Flag)];
    store
        .remember_decisions(&lease, &org(), &job(), at(3), &decided)
        .await
        .unwrap();
    store
        .remember_observations(&lease, &org(), &[observation("read")])
        .await
        .unwrap();
    let all = FindingFilter::default;
    let rows = store.findings(&all(), Page::first(9)).await.unwrap();
    let known: Vec<_> = rows
        .iter()
        .map(|row| {
            let rule = row.rule.as_ref().map(ToString::to_string);
            (row.key.reference_id.as_str(), rule, row.status.clone())
        })
        .collect();
    let rule = Some("resend-unsent".to_owned());
    let status = Some(observation("read").status);
    let wanted = [
        ("alone", None, None),
        ("read", rule.clone(), status),
        ("listed", rule, None),
    ];
    assert_eq!(known, wanted);
    let by_rule = FindingFilter {
        rule: Some("resend-unsent".into()),
        ..all()
    };
    assert_eq!(store.count_findings(&by_rule).await.unwrap(), 2);
}
