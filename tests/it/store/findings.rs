//! Findings: their life from open to resolved and back.

use tesa_reconciler::domain::finding::{Attention, FindingKind, FindingState};
use tesa_reconciler::domain::ids::{FindingId, JobName, Org};
use tesa_reconciler::store::findings::{
    Finding, FindingChanges, FindingFilter, FindingKey, Live, LiveFinding, Sighting,
};
use tesa_reconciler::store::{Page, Store};

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_new_sighting_opens_a_finding,
    live_findings_can_be_asked_for_in_part,
    every_word_of_a_finding_can_be_stored,
    a_finding_seen_again_is_the_same_row,
    a_touched_finding_is_only_renewed,
    a_resolved_finding_comes_back_as_the_same_row,
    a_live_finding_belongs_to_the_first_configured_job_that_sees_it,
    what_a_job_left_behind_is_counted_and_resolved_by_request,
    what_opened_is_answered_one_entry_each,
    more_findings_than_one_transaction_takes_are_all_applied,
    what_a_job_left_behind_and_was_resolved_keeps_its_end,
];

pub async fn only(store: &dyn Store) -> Finding {
    let any = [None, Some(FindingState::Resolved)];
    let mut rows = Vec::new();
    for state in any {
        let filter = FindingFilter {
            state,
            ..FindingFilter::default()
        };
        rows.extend(store.findings(&filter, Page::first(9)).await.unwrap());
    }
    assert_eq!(rows.len(), 1, "{rows:#?}");
    rows.remove(0)
}

pub async fn see(store: &dyn Store, sightings: &[Sighting], now: i64) -> Vec<FindingKind> {
    let changes = seen(sightings);
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &changes, at(now))
        .await
        .unwrap()
}

pub async fn resolve(store: &dyn Store, id: FindingId, now: i64) {
    let changes = FindingChanges {
        resolved: vec![id],
        ..FindingChanges::default()
    };
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &changes, at(now))
        .await
        .unwrap();
}

async fn a_new_sighting_opens_a_finding(fresh: Fresh) {
    let store = &*fresh.store;
    let given = sighting("r", "NOT_SENT");
    assert_eq!(
        see(store, std::slice::from_ref(&given), 0).await,
        [FindingKind::StuckRequest]
    );
    let row = only(store).await;
    let wanted = Finding {
        id: row.id,
        org: org(),
        key: given.key.clone(),
        external_reference: given.external_reference.clone(),
        job_name: job(),
        state: FindingState::Open,
        attention: None,
        evidence: given.evidence.clone(),
        since: given.since,
        first_seen: at(0),
        last_seen: at(0),
        times_seen: 1,
        times_reopened: 0,
        resolved_at: None,
        read_at: Some(at(0)),
        rule: None,
        status: None,
    };
    assert_eq!(row, wanted);
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    let wanted = LiveFinding {
        id: row.id,
        key: given.key,
        state: FindingState::Open,
        attention: None,
        evidence: given.evidence,
        last_seen: at(0),
        class: None,
        missing_since: None,
    };
    assert_eq!(live, [wanted]);
}

async fn live_findings_can_be_asked_for_in_part(fresh: Fresh) {
    let store = &*fresh.store;
    let gap = |reference: &str| Sighting {
        key: FindingKey {
            kind: FindingKind::EventSequenceGap,
            ..sighting(reference, "1").key
        },
        ..sighting(reference, "1")
    };
    let given = [
        sighting("a", "NOT_SENT"),
        gap("a"),
        sighting("b", "NOT_SENT"),
        gap("c"),
        sighting("over", "NOT_SENT"),
    ];
    see(store, &given, 0).await;
    let live = async |which: Live<'_>| {
        let live = store.live_findings(&org(), &job(), which).await.unwrap();
        let mut keys: Vec<_> = live.into_iter().map(|live| live.key).collect();
        keys.sort();
        keys
    };
    let all = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    let id_of = |given: &Sighting| {
        let row = all.iter().find(|live| live.key == given.key);
        row.unwrap().id
    };
    resolve(store, id_of(&given[4]), 1).await;
    let keys = |places: &[usize]| -> Vec<FindingKey> {
        let mut keys: Vec<_> = places.iter().map(|&n| given[n].key.clone()).collect();
        keys.sort();
        keys
    };
    assert_eq!(live(Live::All).await, keys(&[0, 1, 2, 3]));
    let gaps = Live::OfKind(FindingKind::EventSequenceGap);
    assert_eq!(live(gaps).await, keys(&[1, 3]));
    let asked = ["a".into(), "over".into(), "nobody".into()];
    assert_eq!(live(Live::About(&asked)).await, keys(&[0, 1]));
    assert!(live(Live::About(&[])).await.is_empty());
    let other = JobName::new("another");
    for which in [Live::All, gaps, Live::About(&asked)] {
        let theirs = store.live_findings(&org(), &other, which).await.unwrap();
        assert!(theirs.is_empty(), "{which:?}");
    }
}

async fn every_word_of_a_finding_can_be_stored(fresh: Fresh) {
    let store = &*fresh.store;
    for &kind in FindingKind::ALL {
        for attention in [None, Some(Attention::GivenUp), Some(Attention::NeedsHuman)] {
            let given = Sighting {
                key: FindingKey {
                    reference_id: "r".into(),
                    kind,
                    detail: format!("{attention:?}"),
                },
                external_reference: None,
                since: None,
                attention,
                evidence: String::new(),
            };
            assert_eq!(see(store, std::slice::from_ref(&given), 0).await, [kind]);
            let live = store
                .live_findings(&org(), &job(), Live::All)
                .await
                .unwrap();
            let row = live.iter().find(|live| live.key == given.key).unwrap();
            assert_eq!(row.attention, attention);
        }
    }
}

async fn a_finding_seen_again_is_the_same_row(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &[sighting("r", "NOT_SENT")], 0).await;
    let first = only(store).await;
    let again = Sighting {
        attention: Some(Attention::GivenUp),
        evidence: "three attempts".to_owned(),
        since: None,
        external_reference: None,
        ..sighting("r", "NOT_SENT")
    };
    assert!(
        see(store, &[again], 10).await.is_empty(),
        "it was open already"
    );
    let row = only(store).await;
    assert_eq!((row.id, row.state), (first.id, FindingState::Open));
    assert_eq!(
        (row.first_seen, row.last_seen, row.times_seen),
        (at(0), at(10), 2)
    );
    assert_eq!(row.attention, Some(Attention::GivenUp));
    assert_eq!((row.evidence.as_str(), row.since), ("three attempts", None));
    assert_eq!((row.external_reference, row.times_reopened), (None, 0));
}

async fn a_touched_finding_is_only_renewed(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &[sighting("r", "NOT_SENT")], 0).await;
    let before = only(store).await;
    let touch = FindingChanges {
        touched: vec![before.id],
        ..FindingChanges::default()
    };
    let opened = store
        .apply_findings(&a_run(store).await, &org(), &job(), &touch, at(20))
        .await
        .unwrap();
    assert!(opened.is_empty());
    let wanted = Finding {
        last_seen: at(20),
        times_seen: 2,
        ..before.clone()
    };
    assert_eq!(only(store).await, wanted);
    resolve(store, before.id, 30).await;
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &touch, at(40))
        .await
        .unwrap();
    let row = only(store).await;
    assert_eq!((row.state, row.last_seen), (FindingState::Resolved, at(20)));
}

async fn a_resolved_finding_comes_back_as_the_same_row(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &[sighting("r", "NOT_SENT")], 0).await;
    let first = only(store).await;
    resolve(store, first.id, 10).await;
    let row = only(store).await;
    assert_eq!(
        (row.state, row.resolved_at),
        (FindingState::Resolved, Some(at(10)))
    );
    assert!(
        store
            .live_findings(&org(), &job(), Live::All)
            .await
            .unwrap()
            .is_empty()
    );
    resolve(store, first.id, 11).await;
    assert_eq!(
        only(store).await.resolved_at,
        Some(at(10)),
        "once is enough"
    );

    assert_eq!(
        see(store, &[sighting("r", "NOT_SENT")], 20).await,
        [FindingKind::StuckRequest]
    );
    let row = only(store).await;
    assert_eq!(
        (row.id, row.state, row.resolved_at),
        (first.id, FindingState::Open, None)
    );
    assert_eq!((row.times_reopened, row.times_seen), (1, 2));
    assert_eq!((row.first_seen, row.last_seen), (at(0), at(20)));
}

async fn a_live_finding_belongs_to_the_first_configured_job_that_sees_it(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &[sighting("r", "NOT_SENT")], 0).await;
    let before = only(store).await;
    let other = JobName::new("resend-again");
    let otherwise = |elders: &[JobName]| FindingChanges {
        elders: elders.to_vec(),
        ..seen(&[Sighting {
            evidence: "in other words".to_owned(),
            ..sighting("r", "NOT_SENT")
        }])
    };
    let later = otherwise(&[job()]);
    let opened = store
        .apply_findings(&a_run(store).await, &org(), &other, &later, at(2))
        .await
        .unwrap();
    assert!(opened.is_empty());
    let touched = Finding {
        last_seen: at(2),
        times_seen: 2,
        ..before.clone()
    };
    assert_eq!(only(store).await, touched);
    // The owner comes later now, or is configured no more.
    let first = otherwise(&["another".into()]);
    store
        .apply_findings(&a_run(store).await, &org(), &other, &first, at(3))
        .await
        .unwrap();
    let row = only(store).await;
    assert_eq!((row.id, row.job_name), (before.id, other));
    assert_eq!(row.evidence, "in other words");
}

async fn what_a_job_left_behind_is_counted_and_resolved_by_request(fresh: Fresh) {
    let store = &*fresh.store;
    see(store, &["r", "s"].map(|r| sighting(r, "NOT_SENT")), 0).await;
    let here: [JobName; 2] = ["another".into(), job()];
    assert!(store.left_behind(&here).await.unwrap().is_empty());
    let configured = &here[..1];
    let left = async || store.left_behind(configured).await.unwrap();
    assert_eq!(left().await, [(job(), 2)]);
    let lease = a_run(store).await;
    let asked = ["r".into(), "nobody".into()];
    let resolved = async |org: &Org, configured: &[JobName]| {
        store
            .resolve_left_behind(&lease, org, &asked, configured, at(1))
            .await
            .unwrap();
    };
    resolved(&org(), &here).await;
    resolved(&"yoigo".into(), configured).await;
    assert_eq!(left().await, [(job(), 2)]);
    resolved(&org(), configured).await;
    assert_eq!(left().await, [(job(), 1)]);
    assert_eq!(only_live(store).await, "s");
}

async fn only_live(store: &dyn Store) -> String {
    let all = FindingFilter::default();
    let rows = store.findings(&all, Page::first(9)).await.unwrap();
    assert_eq!(rows.len(), 1);
    rows[0].key.reference_id.to_string()
}

async fn what_opened_is_answered_one_entry_each(fresh: Fresh) {
    let store = &*fresh.store;
    let kind = |reference: &str, kind| Sighting {
        key: FindingKey {
            kind,
            ..sighting(reference, "").key
        },
        ..sighting(reference, "")
    };
    let (stuck, gap) = (FindingKind::StuckRequest, FindingKind::EventSequenceGap);
    let mut opened = see(
        store,
        &[kind("r", stuck), kind("s", stuck), kind("r", gap)],
        0,
    )
    .await;
    opened.sort();
    assert_eq!(opened, [stuck, stuck, gap]);
    let twice = [kind("t", gap), kind("t", gap), kind("r", stuck)];
    assert_eq!(
        see(store, &twice, 1).await,
        [gap],
        "twice in one batch is once"
    );
}

async fn more_findings_than_one_transaction_takes_are_all_applied(fresh: Fresh) {
    let store = &*fresh.store;
    let many: Vec<_> = (0..1_201)
        .map(|n| sighting(&format!("r{n}"), "NOT_SENT"))
        .collect();
    assert_eq!(see(store, &many, 0).await.len(), 1_201);
    let ids: Vec<_> = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap()
        .iter()
        .map(|live| live.id)
        .collect();
    assert_eq!(ids.len(), 1_201);
    let changes = FindingChanges {
        touched: ids[..600].to_vec(),
        resolved: ids[600..].to_vec(),
        ..FindingChanges::default()
    };
    store
        .apply_findings(&a_run(store).await, &org(), &job(), &changes, at(1))
        .await
        .unwrap();
    let live = store
        .live_findings(&org(), &job(), Live::All)
        .await
        .unwrap();
    assert_eq!(live.len(), 600);
    assert!(live.iter().all(|live| live.last_seen == at(1)));
}

async fn what_a_job_left_behind_and_was_resolved_keeps_its_end(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    for now in [1, 2] {
        let changes = match now {
            1 => seen(&[sighting("r", "NOT_SENT")]),
            _ => FindingChanges {
                resolved: vec![only(store).await.id],
                ..FindingChanges::default()
            },
        };
        store
            .apply_findings(&lease, &org(), &job(), &changes, at(now))
            .await
            .unwrap();
    }
    store
        .resolve_left_behind(&lease, &org(), &["r".into()], &[], at(3))
        .await
        .unwrap();
    assert_eq!(only(store).await.resolved_at, Some(at(2)));
}
