//! The history of each request, and that it leads to what is remembered.

use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{
    Beside, Decision, Event, Happening, Issue, Observation, Sight, Status, Verdict, What,
};
use tesa_reconciler::history::replay::replay;
use tesa_reconciler::store::Store;

use super::harness::Fresh;
use super::values::*;

behaviours![
    every_change_of_an_observation_is_told_once,
    an_older_observation_is_not_told,
    what_is_forgotten_is_told_as_gone_and_what_is_let_go_as_let_go,
    the_last_event_and_the_issues_are_told_when_they_change,
    a_decision_is_told_when_its_verdict_or_its_rule_is_another,
    what_comes_together_is_told_in_one_go,
    whole_histories_come_in_the_order_of_their_requests,
    pruning_leaves_the_last_row_of_each_thing,
    pruning_goes_through_what_is_old_step_by_step;
    in a database:
    a_row_is_never_rewritten,
];

async fn remember(store: &dyn Store, seen: &[Observation]) {
    let lease = a_run(store).await;
    let older = store.remember_observations(&lease, &org(), seen).await;
    older.unwrap();
}

async fn tell(store: &dyn Store, sights: &[Sight]) {
    let lease = a_run(store).await;
    let told = store.remember_seen(&lease, &org(), &[], sights).await;
    told.unwrap();
}

async fn history(store: &dyn Store, id: &str) -> Vec<Happening> {
    store.history(&org(), &id.into()).await.unwrap()
}

async fn names(store: &dyn Store, id: &str) -> Vec<&'static str> {
    let rows = history(store, id).await;
    rows.iter().map(|row| row.what.name()).collect()
}

fn seen(id: &str, status: Status, second: i64) -> Observation {
    Observation {
        status,
        last_updated: Some(at(second - 5)),
        observed_at: at(second),
        ..observation(id)
    }
}

fn issue(id: &str, sequence: i64, resolved: bool) -> Issue {
    Issue {
        id: Some(70 + sequence),
        reference_id: id.into(),
        issue_sequence: Some(sequence),
        issue_code: "CLI-012".into(),
        resolved,
        repeated: true,
        last_updated: Some(at(sequence)),
    }
}

fn event(id: &str, sequence: i64) -> Event {
    Event {
        id: Some(sequence),
        reference_id: id.into(),
        message_type: Some("ACK".into()),
        request_number: Some(8),
        subrequest_number: Some(1),
        event_date: Some(at(sequence)),
        sequence_number: Some(sequence),
        inconsistent: true,
    }
}

fn issues(id: &str, second: i64, issues: Vec<Issue>) -> Sight {
    Sight {
        reference_id: id.into(),
        at: at(second),
        beside: Beside::Issues(issues),
    }
}

fn last_event(id: &str, second: i64, event: Event) -> Sight {
    Sight {
        reference_id: id.into(),
        at: at(second),
        beside: Beside::LastEvent(Some(event)),
    }
}

/// The history leads to what is remembered, but for the instant of the last look.
async fn leads_to_what_is_remembered(store: &dyn Store, id: &str) {
    let ids = [ReferenceId::from(id)];
    let known = store.observations(&org(), &ids).await.unwrap().pop();
    let played = replay(&history(store, id).await).request;
    let first_look = played.as_ref().map(|played| played.observed_at);
    let known = known.map(|known| Observation {
        observed_at: first_look.unwrap_or(known.observed_at),
        ..known
    });
    assert_eq!(played, known);
}

async fn every_change_of_an_observation_is_told_once(fresh: Fresh) {
    let store = &*fresh.store;
    let first = seen("r", Status::NotSent, 10);
    let again = Observation {
        observed_at: at(20),
        ..first.clone()
    };
    let later = seen("r", Status::Processing, 30);
    for one in [&first, &again, &later] {
        remember(store, std::slice::from_ref(one)).await;
        leads_to_what_is_remembered(store, "r").await;
    }
    let told = history(store, "r").await;
    let what: Vec<_> = told.iter().map(|row| row.what.clone()).collect();
    assert_eq!(what, [What::Request(first), What::Request(later)]);
    assert_eq!((told[0].seen_at, told[1].seen_at), (at(10), at(30)));
    assert_eq!(told[1].what.stamp(), Some(at(25)));
    // Whatever it is that changes, be it a single field, and also when it becomes absent.
    let full = seen("r", Status::Processing, 40);
    let nothing = Observation {
        external_reference: None,
        persistence_type: None,
        cancelling: !full.cancelling,
        auto_installation: None,
        territory_owner: None,
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: None,
        ..full.clone()
    };
    remember(store, std::slice::from_ref(&full)).await;
    let changes = [
        Observation {
            external_reference: None,
            ..full.clone()
        },
        Observation {
            persistence_type: None,
            ..full.clone()
        },
        Observation {
            cancelling: !full.cancelling,
            ..full.clone()
        },
        Observation {
            auto_installation: None,
            ..full.clone()
        },
        Observation {
            territory_owner: None,
            ..full.clone()
        },
        Observation {
            request_number: None,
            ..full.clone()
        },
        Observation {
            subrequest_number: None,
            ..full.clone()
        },
        Observation {
            attributes: Default::default(),
            ..full.clone()
        },
        Observation {
            created: None,
            ..full.clone()
        },
        nothing,
    ];
    for changed in changes {
        let before = history(store, "r").await.len();
        remember(store, &[changed]).await;
        leads_to_what_is_remembered(store, "r").await;
        assert_eq!(history(store, "r").await.len(), before + 1);
    }
}

async fn an_older_observation_is_not_told(fresh: Fresh) {
    let store = &*fresh.store;
    remember(store, &[seen("r", Status::Processing, 30)]).await;
    remember(store, &[seen("r", Status::NotSent, 10)]).await;
    assert_eq!(names(store, "r").await, ["request"]);
    leads_to_what_is_remembered(store, "r").await;
}

async fn what_is_forgotten_is_told_as_gone_and_what_is_let_go_as_let_go(fresh: Fresh) {
    let store = &*fresh.store;
    let first = seen("r", Status::NotSent, 10);
    remember(store, std::slice::from_ref(&first)).await;
    for id in ["r", "r", "never"] {
        let lease = a_run(store).await;
        let id = id.into();
        let forgotten = store.forget_observation(&lease, &org(), &id, at(20)).await;
        forgotten.unwrap();
    }
    assert_eq!(names(store, "r").await, ["request", "gone"]);
    assert_eq!(history(store, "r").await[1].seen_at, at(20));
    assert_eq!(names(store, "never").await, [""; 0]);
    leads_to_what_is_remembered(store, "r").await;
    // It comes back as it was, and is told anew.
    remember(store, std::slice::from_ref(&first)).await;
    let order = first.external_reference.clone().unwrap();
    let let_go = store.retry_order(&org(), &order, &person(), at(30)).await;
    let_go.unwrap().unwrap();
    let told = names(store, "r").await;
    assert_eq!(told, ["request", "gone", "request", "let_go"]);
    leads_to_what_is_remembered(store, "r").await;
}

async fn the_last_event_and_the_issues_are_told_when_they_change(fresh: Fresh) {
    let store = &*fresh.store;
    let (open, solved) = (issue("r", 1, false), issue("r", 1, true));
    let other = issue("r", 2, false);
    let told = [
        last_event("r", 1, event("r", 1)),
        last_event("r", 2, event("r", 1)),
        issues("r", 3, vec![open.clone(), other.clone()]),
        issues("r", 4, vec![open.clone(), other.clone()]),
        issues("r", 5, vec![solved.clone(), other.clone()]),
        last_event("r", 6, event("r", 2)),
        issues("r", 7, vec![solved.clone()]),
        issues("r", 8, vec![solved.clone()]),
    ];
    for sight in told {
        tell(store, &[sight]).await;
    }
    let told = history(store, "r").await;
    let what: Vec<_> = told.iter().map(|row| row.what.clone()).collect();
    let expected = [
        What::Event(event("r", 1)),
        What::Issue(open),
        What::Issue(other.clone()),
        What::Issue(solved.clone()),
        What::Event(event("r", 2)),
        What::IssueGone(other),
    ];
    assert_eq!(what, expected);
    let seconds: Vec<_> = told
        .iter()
        .map(|row| (row.seen_at - at(0)).num_seconds())
        .collect();
    assert_eq!(seconds, [1, 3, 3, 5, 6, 7]);
    let standing = replay(&told);
    assert_eq!(standing.last_event, Some(event("r", 2)));
    assert_eq!(standing.issues.into_values().collect::<Vec<_>>(), [solved]);
    assert_eq!(standing.request, None);
}

async fn a_decision_is_told_when_its_verdict_or_its_rule_is_another(fresh: Fresh) {
    let store = &*fresh.store;
    let flag = decision("r", Verdict::Flag);
    let other_words = Decision {
        explanation: "NOT_SENT for 45 min".to_owned(),
        ..flag.clone()
    };
    let other_rule = Decision {
        rule: Some("watch".into()),
        ..flag.clone()
    };
    let no_rule = Decision {
        rule: None,
        ..flag.clone()
    };
    let ignored = decision("r", Verdict::Ignore);
    let lease = a_run(store).await;
    for (second, decided) in [
        &flag,
        &other_words,
        &other_rule,
        &no_rule,
        &ignored,
        &ignored,
    ]
    .into_iter()
    .enumerate()
    {
        let decided = std::slice::from_ref(decided);
        let at = at(second as i64);
        let done = store
            .remember_decisions(&lease, &org(), &job(), at, decided)
            .await;
        done.unwrap();
    }
    let told = history(store, "r").await;
    let told: Vec<_> = told
        .iter()
        .map(|row| match &row.what {
            What::Decision(decided) => (
                (row.seen_at - at(0)).num_seconds(),
                decided.verdict.as_str(),
                decided.rule.as_deref(),
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (0, "flag", Some("resend-unsent")),
        (2, "flag", Some("watch")),
        (3, "flag", None),
        (4, "ignore", Some("resend-unsent")),
    ];
    assert_eq!(told, expected);
}

async fn what_comes_together_is_told_in_one_go(fresh: Fresh) {
    let store = &*fresh.store;
    let seen: Vec<_> = (0..600)
        .map(|n| seen(&format!("r{n:03}"), Status::Processing, 1))
        .collect();
    let beside = |second| -> Vec<Sight> {
        seen.iter()
            .map(|seen| {
                let id = seen.reference_id.as_str();
                last_event(id, second, event(id, second))
            })
            .collect()
    };
    let lease = a_run(store).await;
    for second in [1, 1, 2] {
        let done = store
            .remember_seen(&lease, &org(), &seen, &beside(second))
            .await;
        assert_eq!(done.unwrap(), []);
    }
    for id in ["r000", "r250", "r599"] {
        assert_eq!(names(store, id).await, ["request", "event", "event"]);
    }
}

async fn whole_histories_come_in_the_order_of_their_requests(fresh: Fresh) {
    let store = &*fresh.store;
    for (id, second) in [("b", 1), ("a", 2), ("ñ", 3), ("c", 4)] {
        remember(store, &[seen(id, Status::NotSent, second)]).await;
    }
    tell(store, &[last_event("b", 5, event("b", 1))]).await;
    remember(store, &[seen("b", Status::Processing, 6)]).await;
    let lease = a_run(store).await;
    let elsewhere = [observation("a"), observation("d")];
    let other = "yoigo".into();
    let done = store
        .remember_observations(&lease, &other, &elsewhere)
        .await;
    done.unwrap();
    let mut found = Vec::new();
    let mut after: Option<ReferenceId> = None;
    loop {
        let page = store.histories(&org(), after.as_ref(), 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page);
    }
    let ids: Vec<_> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "ñ"]);
    assert_eq!(found[1].1, history(store, "b").await);
    let names: Vec<_> = found[1].1.iter().map(|row| row.what.name()).collect();
    assert_eq!(names, ["request", "event", "request"]);
    let orgs = store.orgs_of_history(&"a".into()).await.unwrap();
    assert_eq!(orgs, [org(), other]);
}

async fn pruning_leaves_the_last_row_of_each_thing(fresh: Fresh) {
    let store = &*fresh.store;
    remember(store, &[seen("r", Status::NotSent, 10)]).await;
    remember(store, &[seen("r", Status::Processing, 20)]).await;
    remember(store, &[seen("r", Status::Processed, 2_000)]).await;
    tell(
        store,
        &[
            last_event("r", 30, event("r", 1)),
            issues("r", 30, vec![issue("r", 1, false)]),
        ],
    )
    .await;
    tell(
        store,
        &[issues(
            "r",
            40,
            vec![issue("r", 1, true), issue("r", 2, false)],
        )],
    )
    .await;
    remember(store, &[seen("quiet", Status::NotSent, 10)]).await;
    let before = (
        replay(&history(store, "r").await),
        replay(&history(store, "quiet").await),
    );
    let lease = a_run(store).await;
    let pruned = store
        .prune_history(&lease, at(1_000), 0, 100)
        .await
        .unwrap();
    assert_eq!((pruned.removed, pruned.next), (3, None));
    let after = (
        replay(&history(store, "r").await),
        replay(&history(store, "quiet").await),
    );
    assert_eq!(after, before);
    let kept = names(store, "r").await;
    assert_eq!(kept, ["request", "event", "issue", "issue"]);
    assert_eq!(names(store, "quiet").await, ["request"]);
}

async fn pruning_goes_through_what_is_old_step_by_step(fresh: Fresh) {
    let store = &*fresh.store;
    for second in 0..10 {
        remember(store, &[seen("r", Status::NotSent, second)]).await;
        remember(
            store,
            &[seen(&format!("quiet{second}"), Status::NotSent, second)],
        )
        .await;
    }
    let lease = a_run(store).await;
    let (mut after, mut steps, mut removed) = (Some(0), 0, 0);
    while let Some(from) = after {
        let step = store.prune_history(&lease, at(6), from, 4).await.unwrap();
        steps += 1;
        removed += step.removed;
        after = step.next;
    }
    // Of twenty rows twelve are old; the step that reaches a younger one is the last.
    assert_eq!((steps, removed), (4, 6));
    assert_eq!(names(store, "r").await.len(), 4);
}

async fn a_row_is_never_rewritten(fresh: Fresh) {
    remember(&*fresh.store, &[seen("r", Status::NotSent, 10)]).await;
    let rewritten = fresh
        .past_the_store("UPDATE history SET status = 'FINISHED'")
        .await;
    let refused = rewritten.unwrap_err();
    assert!(refused.contains("append-only"), "{refused}");
}
