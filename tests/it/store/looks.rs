//! Looks and sweeps: what lets a job ask only for what changed.

use tesa_reconciler::domain::ids::{JobName, Org, ReferenceId};
use tesa_reconciler::store::looks::Look;

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
