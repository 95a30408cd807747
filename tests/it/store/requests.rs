//! Observations and decisions.

use tesa_reconciler::domain::ids::{JobName, Org, ReferenceId};
use tesa_reconciler::domain::{
    Decision, Observation, Operation, PersistenceType, SkipReason, Status, TerritoryOwner, Verdict,
};
use tesa_reconciler::store::requests::RememberedDecision;
use tesa_reconciler::store::runs::RunLease;

use super::harness::Fresh;
use super::values::*;

behaviours![
    an_observation_reads_back_as_it_was_remembered,
    every_word_of_an_observation_can_be_stored,
    the_newest_observation_wins,
    an_older_version_never_overwrites_a_newer,
    an_older_date_never_overwrites_a_newer_one,
    ids_are_exact_texts,
    unknown_ids_are_absent,
    an_observation_is_found_by_either_reference,
    a_forgotten_observation_is_gone,
    a_decision_is_written_only_when_it_changed,
    every_verdict_can_be_stored,
    what_sweeps_looked_at_is_forgotten_with_the_observation,
];

fn bare(reference: &str) -> Observation {
    Observation {
        reference_id: reference.into(),
        external_reference: None,
        persistence_type: None,
        status: Status::parse("ON_THE_MOON"),
        cancelling: false,
        auto_installation: None,
        territory_owner: None,
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: None,
        last_updated: None,
        observed_at: at(1),
    }
}

async fn an_observation_reads_back_as_it_was_remembered(fresh: Fresh) {
    let store = &*fresh.store;
    let given = [observation("full"), bare("bare")];
    store
        .remember_observations(&a_run(store).await, &org(), &given)
        .await
        .unwrap();
    let asked = ["full", "bare"].map(Into::into);
    let mut read = store.observations(&org(), &asked).await.unwrap();
    read.sort_by_key(|seen| seen.observed_at);
    assert_eq!(read, given);
    store
        .remember_observations(&a_run(store).await, &org(), &[])
        .await
        .unwrap();
}

async fn every_word_of_an_observation_can_be_stored(fresh: Fresh) {
    let store = &*fresh.store;
    for status in Status::KNOWN {
        for &kind in PersistenceType::ALL {
            for &owner in TerritoryOwner::ALL {
                let given = Observation {
                    status: status.clone(),
                    persistence_type: Some(kind),
                    territory_owner: Some(owner),
                    auto_installation: Some(true),
                    ..observation("r")
                };
                let given = std::slice::from_ref(&given);
                store
                    .remember_observations(&a_run(store).await, &org(), given)
                    .await
                    .unwrap();
                let read = store.observations(&org(), &["r".into()]).await.unwrap();
                assert_eq!(read, given);
            }
        }
    }
}

async fn the_newest_observation_wins(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = |status: Status, observed| Observation {
        status,
        observed_at: at(observed),
        ..observation("r")
    };
    let status = async || {
        let read = store.observations(&org(), &["r".into()]).await.unwrap();
        assert_eq!(read.len(), 1);
        read[0].status.clone()
    };
    let newer = [seen(Status::Processed, 10)];
    store
        .remember_observations(&a_run(store).await, &org(), &newer)
        .await
        .unwrap();
    let older = [seen(Status::NotSent, 9)];
    store
        .remember_observations(&a_run(store).await, &org(), &older)
        .await
        .unwrap();
    assert_eq!(status().await, Status::Processed);
    let both = [seen(Status::Installed, 30), seen(Status::Installing, 20)];
    store
        .remember_observations(&a_run(store).await, &org(), &both)
        .await
        .unwrap();
    assert_eq!(status().await, Status::Installed, "in one batch too");
}

/// A list or a read that lags behind tells later of what was earlier.
async fn an_older_version_never_overwrites_a_newer(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = |status: Status, updated: Option<i64>, observed| Observation {
        status,
        last_updated: updated.map(at),
        observed_at: at(observed),
        ..observation("r")
    };
    for (given, stands) in [
        (seen(Status::Installing, Some(50), 60), Status::Installing),
        // Read later, dated earlier.
        (seen(Status::NotSent, Some(40), 70), Status::Installing),
        (seen(Status::NotSent, Some(40), 50), Status::Installing),
        // Read earlier, by a clock that is behind, dated later.
        (seen(Status::Installed, Some(55), 10), Status::Installed),
        // Of one date, or of none, the later look counts.
        (seen(Status::Processed, Some(55), 9), Status::Installed),
        (seen(Status::Processed, Some(55), 80), Status::Processed),
        (seen(Status::Finished, None, 79), Status::Processed),
        (seen(Status::Finished, None, 81), Status::Finished),
    ] {
        let given = [given];
        let run = a_run(store).await;
        store
            .remember_observations(&run, &org(), &given)
            .await
            .unwrap();
        let read = store.observations(&org(), &["r".into()]).await.unwrap();
        assert_eq!(read[0].status, stands, "{given:?}");
    }
    let both = [
        seen(Status::Installed, Some(200), 300),
        seen(Status::NotSent, Some(190), 310),
    ];
    let run = a_run(store).await;
    store
        .remember_observations(&run, &org(), &both)
        .await
        .unwrap();
    let read = store.observations(&org(), &["r".into()]).await.unwrap();
    assert_eq!(read[0].status, Status::Installed, "in one batch too");
}

async fn an_older_date_never_overwrites_a_newer_one(fresh: Fresh) {
    let store = &*fresh.store;
    let seen = |status: Status, dated: Option<i64>, observed| Observation {
        status,
        last_updated: dated.map(at),
        observed_at: at(observed),
        ..observation("r")
    };
    let remember = async |seen: Observation| {
        let given = [seen, observation("other")];
        let older = store
            .remember_observations(&a_run(store).await, &org(), &given)
            .await
            .unwrap();
        let read = store.observations(&org(), &["r".into()]).await.unwrap();
        (older.len(), read[0].status.clone())
    };
    use Status::{Installed, NotSent, Validating};
    assert_eq!(
        remember(seen(Validating, Some(50), 100)).await,
        (0, Validating)
    );
    // A read that lags behind: later by our clock, older by the upstream's.
    assert_eq!(
        remember(seen(NotSent, Some(49), 200)).await,
        (1, Validating)
    );
    // One that was under way meanwhile is older by both, and contradicts nothing.
    assert_eq!(remember(seen(NotSent, Some(49), 99)).await, (0, Validating));
    assert_eq!(
        remember(seen(Installed, Some(50), 300)).await,
        (0, Installed)
    );
    assert_eq!(
        remember(seen(Validating, Some(51), 400)).await,
        (0, Validating)
    );
}

async fn ids_are_exact_texts(fresh: Fresh) {
    let store = &*fresh.store;
    let ids = [
        "a",
        "A",
        " a",
        "1",
        "01",
        "1.0",
        "ñ",
        "ñ",
        "\"'\\{}%_",
        "💡",
    ];
    let given: Vec<_> = ids.iter().map(|id| observation(id)).collect();
    store
        .remember_observations(&a_run(store).await, &org(), &given)
        .await
        .unwrap();
    for id in ids {
        let read = store.observations(&org(), &[id.into()]).await.unwrap();
        assert_eq!(read, [observation(id)], "{id}");
        let found = store.find_observations(None, id).await.unwrap();
        assert_eq!(found.len(), 1, "{id}");
    }
}

async fn unknown_ids_are_absent(fresh: Fresh) {
    let store = &*fresh.store;
    store
        .remember_observations(&a_run(store).await, &org(), &[observation("r")])
        .await
        .unwrap();
    let asked = ["r", "never"].map(Into::into);
    assert_eq!(store.observations(&org(), &asked).await.unwrap().len(), 1);
    assert!(
        store
            .observations(&"yoigo".into(), &asked)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.observations(&org(), &[]).await.unwrap().is_empty());
}

async fn an_observation_is_found_by_either_reference(fresh: Fresh) {
    let store = &*fresh.store;
    let twin = Observation {
        external_reference: Some("order-r1".into()),
        ..observation("r2")
    };
    store
        .remember_observations(&a_run(store).await, &org(), &[observation("r1"), twin])
        .await
        .unwrap();
    store
        .remember_observations(&a_run(store).await, &"yoigo".into(), &[observation("r1")])
        .await
        .unwrap();
    let find = async |org: Option<&str>, text| {
        let org = org.map(Into::into);
        let rows = store.find_observations(org.as_ref(), text).await.unwrap();
        rows.iter()
            .map(|(org, seen)| format!("{org}/{}", seen.reference_id))
            .collect::<Vec<_>>()
    };
    assert_eq!(find(None, "r1").await, ["masmovil/r1", "yoigo/r1"]);
    assert_eq!(find(Some("yoigo"), "r1").await, ["yoigo/r1"]);
    assert_eq!(
        find(None, "order-r1").await,
        ["masmovil/r1", "masmovil/r2", "yoigo/r1"]
    );
    assert!(find(None, "ORDER-R1").await.is_empty());
}

async fn a_forgotten_observation_is_gone(fresh: Fresh) {
    let store = &*fresh.store;
    let both = [observation("r1"), observation("r2")];
    store
        .remember_observations(&a_run(store).await, &org(), &both)
        .await
        .unwrap();
    store
        .forget_observation(&a_run(store).await, &org(), &"r1".into(), at(9))
        .await
        .unwrap();
    store
        .forget_observation(&a_run(store).await, &org(), &"never".into(), at(9))
        .await
        .unwrap();
    let asked = ["r1", "r2"].map(Into::into);
    let read = store.observations(&org(), &asked).await.unwrap();
    assert_eq!(read, [observation("r2")]);
}

async fn a_decision_is_written_only_when_it_changed(fresh: Fresh) {
    let store = &*fresh.store;
    let remember = async |lease: &RunLease, second, decisions: &[Decision]| {
        store
            .remember_decisions(lease, &org(), &job(), at(second), decisions)
            .await
            .unwrap()
    };
    let flag = decision("r", Verdict::Flag);
    let both = [flag.clone(), decision("s", Verdict::Ignore)];
    let (first, second) = (a_run(store).await, a_run(store).await);
    assert_eq!(remember(&first, 10, &both).await, 2);
    assert_eq!(remember(&second, 20, &both).await, 0);
    let wanted = RememberedDecision {
        job_name: job(),
        run_id: first.run_id,
        since: at(10),
        reference_id: "r".into(),
        verdict: "flag".to_owned(),
        rule: Some("resend-unsent".to_owned()),
        explanation: flag.explanation.clone(),
    };
    assert_eq!(
        store.decisions_about(&org(), &"r".into()).await.unwrap(),
        [wanted]
    );

    let no_rule = Decision {
        rule: None,
        ..flag.clone()
    };
    let reworded = Decision {
        explanation: "for 45 min".to_owned(),
        ..no_rule.clone()
    };
    let ignored = Decision {
        verdict: Verdict::Ignore,
        ..reworded.clone()
    };
    for changed in [&no_rule, &reworded, &ignored] {
        let (run, changed) = (a_run(store).await, std::slice::from_ref(changed));
        assert_eq!(remember(&run, 30, changed).await, 1);
        assert_eq!(remember(&second, 31, changed).await, 0);
        let read = store.decisions_about(&org(), &"r".into()).await.unwrap();
        assert_eq!((read[0].run_id, read[0].since), (run.run_id, at(30)));
        assert_eq!(read[0].rule, None);
    }
    let other = "flag-events".into();
    store
        .remember_decisions(&a_run(store).await, &org(), &other, at(40), &[flag])
        .await
        .unwrap();
    let read = store.decisions_about(&org(), &"r".into()).await.unwrap();
    let jobs: Vec<_> = read.iter().map(|row| row.job_name.as_str()).collect();
    assert_eq!(jobs, ["flag-events", "retry-stuck"], "one a job");
    assert!(
        store
            .decisions_about(&"yoigo".into(), &"r".into())
            .await
            .unwrap()
            .is_empty()
    );
}

async fn every_verdict_can_be_stored(fresh: Fresh) {
    let store = &*fresh.store;
    let operation = Operation::ResolveIncident;
    let skips = SkipReason::ALL.iter().map(|&reason| Verdict::Skip {
        reason,
        instead_of: Some(operation),
    });
    let others = [Verdict::Act { operation }, Verdict::Flag, Verdict::Ignore];
    for verdict in skips.chain(others) {
        let label = verdict.label();
        let given = [decision("r", verdict)];
        store
            .remember_decisions(&a_run(store).await, &org(), &job(), at(0), &given)
            .await
            .unwrap();
        let read = store.decisions_about(&org(), &"r".into()).await.unwrap();
        assert_eq!(read[0].verdict, label);
    }
}

async fn what_sweeps_looked_at_is_forgotten_with_the_observation(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let (id, elsewhere): ([ReferenceId; 1], Org) = (["r".into()], "yoigo".into());
    let no_sweep = JobName::new("sweeps-elsewhere");
    for (org, job) in [
        (&org(), &job()),
        (&org(), &no_sweep),
        (&elsewhere, &no_sweep),
    ] {
        let seen = [observation("r")];
        let remembered = store.remember_observations(&lease, org, &seen).await;
        remembered.unwrap();
        let looks = [look("r", 0)];
        let remembered = store.remember_looks(&lease, org, job, &looks).await;
        remembered.unwrap();
        if (org, job) != (&super::values::org(), &no_sweep) {
            let began = store.begin_sweep(&lease, org, job, at(0), "rules").await;
            began.unwrap();
        }
    }
    store
        .forget_observation(&lease, &org(), &id[0], at(9))
        .await
        .unwrap();
    let known = async |org: &Org, job: &JobName| {
        let looks = store.looks(org, job, &id).await.unwrap();
        (
            store.observations(org, &id).await.unwrap().len(),
            looks.len(),
        )
    };
    assert_eq!(known(&org(), &job()).await, (0, 0));
    assert_eq!(
        known(&org(), &no_sweep).await,
        (0, 1),
        "what no sweep rests on"
    );
    assert_eq!(
        known(&elsewhere, &no_sweep).await,
        (1, 1),
        "another tenant's"
    );
}
