//! Looks and sweeps: what lets a job ask only for what changed.

use tesa_reconciler::domain::ids::{JobName, Org, ReferenceId};
use tesa_reconciler::store::Store;
use tesa_reconciler::store::looks::{Look, LookMark};

use super::harness::Fresh;
use super::values::*;

behaviours![
    a_look_reads_back_as_it_was,
    a_newer_look_replaces_an_older_and_not_the_other_way_round,
    looks_belong_to_one_job_and_org,
    a_forgotten_look_is_gone,
    no_looks_are_no_statement,
    hundreds_of_looks_go_in_one_call,
    a_sweep_never_goes_back,
    sweeps_belong_to_one_job_and_org,
    marks_come_in_the_order_of_their_bytes_page_by_page,
    looks_are_due_when_their_decision_must_be_made_anew,
    many_looks_are_due_page_by_page,
    other_rules_make_every_look_due,
    the_first_sweep_makes_every_look_due,
];

fn ids(references: &[&str]) -> Vec<ReferenceId> {
    references.iter().map(|&id| id.into()).collect()
}

fn sorted(mut looks: Vec<Look>) -> Vec<Look> {
    looks.sort_by(|a, b| a.reference_id.cmp(&b.reference_id));
    looks
}

async fn a_look_reads_back_as_it_was(fresh: Fresh) {
    let store = &*fresh.store;
    let bare = Look {
        issues: vec![],
        ..look("B", 5)
    };
    let looks = [look("A", 0), bare];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &looks)
        .await
        .unwrap();
    let asked = ids(&["A", "B", "unknown"]);
    let found = store.looks(&org(), &job(), &asked).await.unwrap();
    assert_eq!(sorted(found), looks);
    // Another process sees the same.
    let found = fresh.again().await.looks(&org(), &job(), &asked).await;
    assert_eq!(sorted(found.unwrap()), looks);
}

async fn a_newer_look_replaces_an_older_and_not_the_other_way_round(fresh: Fresh) {
    let store = &*fresh.store;
    let asked = ids(&["A"]);
    for (seconds, kept) in [(5, 5), (3, 5), (9, 9)] {
        let made = [look("A", seconds)];
        store
            .remember_looks(&a_run(store).await, &org(), &job(), &made)
            .await
            .unwrap();
        let found = store.looks(&org(), &job(), &asked).await.unwrap();
        assert_eq!(found, [look("A", kept)], "after one of {seconds}");
    }
    // As late as the last one, but with other issues: what was read last counts.
    let resolved = Look {
        issues: vec![],
        ..look("A", 9)
    };
    let made = [resolved.clone()];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &made)
        .await
        .unwrap();
    let found = store.looks(&org(), &job(), &asked).await.unwrap();
    assert_eq!(found, [resolved]);
}

async fn looks_belong_to_one_job_and_org(fresh: Fresh) {
    let store = &*fresh.store;
    let (other_org, other_job) = (Org::new("yoigo"), JobName::new("flag-events"));
    let made = [look("A", 0)];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &made)
        .await
        .unwrap();
    let asked = ids(&["A"]);
    for (org, job) in [(&other_org, &job()), (&org(), &other_job)] {
        assert_eq!(store.looks(org, job, &asked).await.unwrap(), []);
        store
            .forget_looks(&a_run(store).await, org, job, &asked)
            .await
            .unwrap();
        store
            .remember_looks(&a_run(store).await, org, job, &[look("A", 7)])
            .await
            .unwrap();
    }
    let found = store.looks(&org(), &job(), &asked).await.unwrap();
    assert_eq!(found, made);
}

async fn a_forgotten_look_is_gone(fresh: Fresh) {
    let store = &*fresh.store;
    let made = [look("A", 0), look("B", 0)];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &made)
        .await
        .unwrap();
    let forgotten = ids(&["A", "unknown"]);
    store
        .forget_looks(&a_run(store).await, &org(), &job(), &forgotten)
        .await
        .unwrap();
    let asked = ids(&["A", "B"]);
    let found = store.looks(&org(), &job(), &asked).await.unwrap();
    assert_eq!(found, made[1..]);
    // An older look may come after that: nothing newer is known.
    let older = [look("A", -5)];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &older)
        .await
        .unwrap();
    let found = store.looks(&org(), &job(), &ids(&["A"])).await.unwrap();
    assert_eq!(found, older);
}

async fn no_looks_are_no_statement(fresh: Fresh) {
    let store = &*fresh.store;
    let made = [look("A", 0)];
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &made)
        .await
        .unwrap();
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &[])
        .await
        .unwrap();
    store
        .forget_looks(&a_run(store).await, &org(), &job(), &[])
        .await
        .unwrap();
    assert_eq!(store.looks(&org(), &job(), &[]).await.unwrap(), []);
    let found = store.looks(&org(), &job(), &ids(&["A"])).await.unwrap();
    assert_eq!(found, made);
}

async fn hundreds_of_looks_go_in_one_call(fresh: Fresh) {
    let store = &*fresh.store;
    let made: Vec<Look> = (100..600).map(|n| look(&format!("R-{n}"), n)).collect();
    store
        .remember_looks(&a_run(store).await, &org(), &job(), &made)
        .await
        .unwrap();
    let asked: Vec<ReferenceId> = made.iter().map(|look| look.reference_id.clone()).collect();
    let found = store.looks(&org(), &job(), &asked).await.unwrap();
    assert_eq!(sorted(found), made);
    store
        .forget_looks(&a_run(store).await, &org(), &job(), &asked)
        .await
        .unwrap();
    assert_eq!(store.looks(&org(), &job(), &asked).await.unwrap(), []);
}

async fn a_sweep_never_goes_back(fresh: Fresh) {
    let store = &*fresh.store;
    assert_eq!(store.last_sweep(&org(), &job()).await.unwrap(), None);
    for (began, last) in [(5, 5), (3, 5), (9, 9)] {
        store
            .begin_sweep(&a_run(store).await, &org(), &job(), at(began), "rules")
            .await
            .unwrap();
        assert_eq!(store.last_sweep(&org(), &job()).await.unwrap(), swept(last));
    }
}

async fn sweeps_belong_to_one_job_and_org(fresh: Fresh) {
    let store = &*fresh.store;
    store
        .begin_sweep(&a_run(store).await, &org(), &job(), at(5), "rules")
        .await
        .unwrap();
    let (other_org, other_job) = (Org::new("yoigo"), JobName::new("flag-events"));
    assert_eq!(store.last_sweep(&other_org, &job()).await.unwrap(), None);
    assert_eq!(store.last_sweep(&org(), &other_job).await.unwrap(), None);
}

async fn remember(store: &dyn Store, looks: &[Look]) {
    let lease = a_run(store).await;
    store
        .remember_looks(&lease, &org(), &job(), looks)
        .await
        .unwrap();
}

async fn marks_come_in_the_order_of_their_bytes_page_by_page(fresh: Fresh) {
    let store = &*fresh.store;
    let names = ["9", "10", "B", "a", "ä", "a\"b", "", "a,b"];
    let looks: Vec<Look> = (0..).zip(names).map(|(n, id)| look(id, n)).collect();
    remember(store, &looks).await;
    let wanted: Vec<LookMark> = sorted(looks)
        .into_iter()
        .map(|look| LookMark {
            reference_id: look.reference_id,
            looked_at: look.looked_at,
        })
        .collect();
    for size in [1, 3, 8, 9] {
        let (mut paged, mut after) = (Vec::new(), None::<ReferenceId>);
        loop {
            let after_it = after.as_ref().map(ReferenceId::as_str);
            let page = store.look_marks(&org(), &job(), after_it, size).await;
            let page = page.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.reference_id.clone());
            paged.extend(page);
        }
        assert_eq!(paged, wanted, "pages of {size}");
    }
    for (org, job) in [(&"yoigo".into(), &job()), (&org(), &"other".into())] {
        let none = store.look_marks(org, job, None, 9).await.unwrap();
        assert_eq!(none, []);
    }
}

async fn due(store: &dyn Store, seconds: i64, after: Option<&str>, limit: u32) -> Vec<String> {
    let due = store
        .looks_due(&org(), &job(), at(seconds), after, limit)
        .await;
    let due = due.unwrap();
    due.iter()
        .map(|look| look.reference_id.to_string())
        .collect()
}

async fn looks_are_due_when_their_decision_must_be_made_anew(fresh: Fresh) {
    let store = &*fresh.store;
    let never = Look {
        again_at: None,
        ..look("never", 0)
    };
    let later = Look {
        again_at: Some(at(9_000)),
        ..look("B", 0)
    };
    remember(
        store,
        &[look("a", 0), later, look("9", 1), look("10", 0), never],
    )
    .await;
    assert_eq!(due(store, 3_599, None, 9).await, [] as [&str; 0]);
    assert_eq!(due(store, 3_600, None, 9).await, ["10", "a"]);
    assert_eq!(due(store, 3_601, None, 2).await, ["10", "9"]);
    assert_eq!(due(store, 3_601, Some("9"), 2).await, ["a"]);
    let whole = store
        .looks_due(&org(), &job(), at(3_600), Some("10"), 1)
        .await;
    assert_eq!(whole.unwrap(), [look("a", 0)]);
    let again = [
        ("a".into(), None),
        ("10".into(), Some(at(20_000))),
        ("never".into(), Some(at(1))),
        ("unknown".into(), Some(at(1))),
    ];
    let lease = a_run(store).await;
    store
        .look_again(&lease, &org(), &job(), &again)
        .await
        .unwrap();
    assert_eq!(due(store, 9_000, None, 9).await, ["9", "B", "never"]);
    let other = store
        .looks_due(&org(), &"other".into(), at(90_000), None, 9)
        .await;
    assert_eq!(other.unwrap(), []);
    // A newer look says anew when it is due.
    remember(store, &[look("9", 30_000)]).await;
    assert_eq!(due(store, 9_000, None, 9).await, ["B", "never"]);
}

async fn many_looks_are_due_page_by_page(fresh: Fresh) {
    let store = &*fresh.store;
    let looks: Vec<Look> = (100..130).map(|n| look(&n.to_string(), 0)).collect();
    remember(store, &looks).await;
    let (mut paged, mut after) = (Vec::new(), None::<String>);
    while paged.len() < 100 {
        let page = due(store, 9_000, after.as_deref(), 4).await;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        paged.extend(page);
    }
    let all: Vec<String> = (100..130).map(|n| n.to_string()).collect();
    assert_eq!(paged, all);
}

async fn other_rules_make_every_look_due(fresh: Fresh) {
    let store = &*fresh.store;
    let begin = async |job: &JobName, began, rules| {
        let lease = a_run(store).await;
        store
            .begin_sweep(&lease, &org(), job, at(began), rules)
            .await
            .unwrap();
    };
    begin(&job(), 0, "rules").await;
    let never = Look {
        again_at: None,
        ..look("never", 0)
    };
    remember(store, &[look("a", 0), never]).await;
    begin(&job(), 1, "rules").await;
    assert_eq!(due(store, 0, None, 9).await, [] as [&str; 0]);
    begin(&"other".into(), 1, "others").await;
    assert_eq!(due(store, 0, None, 9).await, [] as [&str; 0]);
    begin(&job(), 2, "others").await;
    let epoch = chrono::DateTime::UNIX_EPOCH;
    let all = store
        .looks_due(&org(), &job(), epoch, None, 9)
        .await
        .unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|look| look.again_at == Some(epoch)));
    let last = store.last_sweep(&org(), &job()).await.unwrap().unwrap();
    assert_eq!((last.began, last.rules.as_str()), (at(2), "others"));
    // The other way round, and from an earlier instant, they are others too.
    let lease = a_run(store).await;
    let again = [("a".into(), None)];
    store
        .look_again(&lease, &org(), &job(), &again)
        .await
        .unwrap();
    begin(&job(), 1, "rules").await;
    assert_eq!(due(store, 0, None, 9).await, ["a", "never"]);
    assert_eq!(store.last_sweep(&org(), &job()).await.unwrap(), swept(2));
}

async fn the_first_sweep_makes_every_look_due(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    store
        .remember_looks(&lease, &org(), &job(), &[look("r", 0)])
        .await
        .unwrap();
    let due = async || {
        let due = store.looks_due(&org(), &job(), at(1), None, 9).await;
        due.unwrap().len()
    };
    assert_eq!(due().await, 0);
    store
        .begin_sweep(&lease, &org(), &job(), at(1), "rules")
        .await
        .unwrap();
    assert_eq!(due().await, 1);
}
