//! Members of classes: opened, moved, missing, come back.

use tesa_reconciler::domain::finding::{Attention, FindingKind, FindingState};
use tesa_reconciler::domain::ids::{FindingId, JobName};
use tesa_reconciler::rules::classes::ClassKey;
use tesa_reconciler::store::classes::ClassSize;
use tesa_reconciler::store::findings::{FindingChanges, FindingKey, LiveFinding, Sighting};

use super::classes::{apply, class, class_of, finding, ids, live, members, open, resolve_all};
use super::harness::Fresh;
use super::values::*;

behaviours! {
    what_is_opened_says_what_its_class_says,
    opening_again_opens_nothing_new,
    a_request_that_moves_to_another_class_keeps_what_is_known_of_it,
    a_resolved_member_comes_back_without_its_date_and_attention,
    an_acknowledgement_is_carried_into_the_class,
    what_an_elder_job_holds_stays_as_it_is,
    what_a_younger_job_holds_is_taken,
    a_finding_that_an_elder_takes_leaves_its_class,
    an_elder_s_member_stays_in_its_class_and_missing_whoever_else_sees_it,
    a_seen_member_stays_in_its_class_and_a_reopened_one_has_none,
    a_finding_is_missing_from_its_first_list_on_until_it_is_named_again,
    a_member_was_last_seen_when_its_class_was_last_listed,
    attention_is_set_and_nothing_else,
}

async fn what_is_opened_says_what_its_class_says(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["r"], 3).await;
    let kept = &live(store).await[0];
    let wanted = LiveFinding {
        id: kept.id,
        key: FindingKey {
            reference_id: "r".into(),
            kind: FindingKind::StuckRequest,
            detail: "NOT_SENT".to_owned(),
        },
        state: FindingState::Open,
        attention: None,
        evidence: class_key("NOT_SENT").evidence,
        last_seen: at(3),
        class: Some(class),
        missing_since: None,
    };
    assert_eq!(kept, &wanted);
    let listed = finding(store, "r").await;
    assert_eq!(
        (
            listed.since,
            listed.external_reference,
            listed.first_seen,
            listed.times_seen
        ),
        (None, None, at(3), 1)
    );
}

async fn opening_again_opens_nothing_new(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    assert_eq!(open(store, class, &["a", "b", "a"], 0).await, 2);
    assert_eq!(open(store, class, &["b", "c"], 1).await, 1);
    assert_eq!(open(store, class, &[], 2).await, 0);
    assert_eq!(members(store, class).await, ["a", "b", "c"]);
    let listed = finding(store, "b").await;
    assert_eq!(
        (listed.first_seen, listed.last_seen, listed.times_reopened),
        (at(0), at(1), 0)
    );
}

async fn a_request_that_moves_to_another_class_keeps_what_is_known_of_it(fresh: Fresh) {
    let store = &*fresh.store;
    let first = class(store, "NOT_SENT").await;
    open(store, first, &["r"], 0).await;
    let lease = a_run(store).await;
    let read = [observation("r")];
    store
        .fill_details(&lease, &org(), &job(), &read)
        .await
        .unwrap();
    let id = live(store).await[0].id;
    let changes = FindingChanges {
        missing: vec![id],
        attention: vec![(live(store).await[0].key.clone(), Some(Attention::GivenUp))],
        ..FindingChanges::default()
    };
    apply(store, changes, 1).await;
    store
        .acknowledge_findings(&[id], &person(), at(2))
        .await
        .unwrap();
    // The rule has another age now, so its class says something else.
    let keys = [ClassKey {
        evidence: "NOT_SENT for over 5 d; rule resend-unsent".to_owned(),
        ..class_key("NOT_SENT")
    }];
    let made = store
        .ensure_classes(&lease, &org(), &job(), &keys, at(3))
        .await;
    let second = made.unwrap()[0];
    assert_eq!(open(store, second, &["r"], 3).await, 0);
    assert_eq!(members(store, first).await, [] as [&str; 0]);
    assert_eq!(members(store, second).await, ["r"]);
    let [moved] = &live(store).await[..] else {
        panic!()
    };
    assert_eq!(
        (moved.id, moved.class, moved.missing_since),
        (id, Some(second), None)
    );
    assert_eq!(moved.evidence, keys[0].evidence);
    assert_eq!(moved.attention, Some(Attention::GivenUp));
    assert_eq!(moved.state, FindingState::Acknowledged);
    let listed = finding(store, "r").await;
    assert_eq!(listed.since, observation("r").last_updated);
    assert_eq!(listed.external_reference, Some("order-r".into()));
    assert_eq!(listed.first_seen, at(0));
}

async fn a_resolved_member_comes_back_without_its_date_and_attention(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    let before = Sighting {
        attention: Some(Attention::GivenUp),
        ..sighting("r", "NOT_SENT")
    };
    apply(store, seen(&[before]), 0).await;
    resolve_all(store, 1).await;
    assert_eq!(open(store, class, &["r", "new"], 2).await, 2);
    let back = finding(store, "r").await;
    assert_eq!(
        (back.state, back.times_reopened, back.resolved_at),
        (FindingState::Open, 1, None)
    );
    assert_eq!((back.since, back.attention), (None, None));
    assert_eq!(back.external_reference, Some("order-r".into()));
    assert_eq!((back.first_seen, back.last_seen), (at(0), at(2)));
    assert_eq!(back.evidence, class_key("NOT_SENT").evidence);
    assert_eq!(members(store, class).await, ["new", "r"]);
}

async fn an_acknowledgement_is_carried_into_the_class(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["r", "s"], 0).await;
    let said = finding(store, "r").await.id;
    store
        .acknowledge_findings(&[said], &person(), at(1))
        .await
        .unwrap();
    resolve_all(store, 2).await;
    assert_eq!(store.acknowledged_ids(&org()).await.unwrap(), ids(&["r"]));
    assert_eq!(open(store, class, &["r", "s"], 3).await, 2);
    assert_eq!(finding(store, "r").await.state, FindingState::Acknowledged);
    assert_eq!(finding(store, "s").await.state, FindingState::Open);
    assert_eq!(store.acknowledged_ids(&"yoigo".into()).await.unwrap(), []);
    store
        .unacknowledge_findings(&[said], &person(), at(4))
        .await
        .unwrap();
    assert_eq!(store.acknowledged_ids(&org()).await.unwrap(), []);
}

async fn what_an_elder_job_holds_stays_as_it_is(fresh: Fresh) {
    let store = &*fresh.store;
    let elder: JobName = "elder".into();
    let lease = a_run(store).await;
    let held = seen(&[sighting("held", "NOT_SENT"), sighting("over", "NOT_SENT")]);
    store
        .apply_findings(&lease, &org(), &elder, &held, at(0))
        .await
        .unwrap();
    let over = FindingChanges {
        resolved: vec![finding(store, "over").await.id],
        ..FindingChanges::default()
    };
    store
        .apply_findings(&lease, &org(), &elder, &over, at(0))
        .await
        .unwrap();
    let before = finding(store, "held").await;
    let class = class(store, "NOT_SENT").await;
    let asked = ids(&["free", "held", "over"]);
    let elders = [elder];
    let opened = store
        .open_members(&lease, &org(), &job(), class, &asked, &elders, at(1))
        .await;
    assert_eq!(opened.unwrap(), 2);
    assert_eq!(finding(store, "held").await, before);
    assert_eq!(members(store, class).await, ["free", "over"]);
}

async fn what_a_younger_job_holds_is_taken(fresh: Fresh) {
    let store = &*fresh.store;
    let younger: JobName = "younger".into();
    let lease = a_run(store).await;
    let held = seen(&[sighting("r", "NOT_SENT")]);
    store
        .apply_findings(&lease, &org(), &younger, &held, at(0))
        .await
        .unwrap();
    let class = class(store, "NOT_SENT").await;
    assert_eq!(open(store, class, &["r"], 1).await, 0);
    let taken = finding(store, "r").await;
    assert_eq!(
        (taken.job_name, taken.since),
        (job(), sighting("r", "").since)
    );
    assert_eq!(members(store, class).await, ["r"]);
}

async fn a_finding_that_an_elder_takes_leaves_its_class(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["r"], 0).await;
    let lease = a_run(store).await;
    let held = seen(&[sighting("r", "NOT_SENT")]);
    let elder: JobName = "elder".into();
    store
        .apply_findings(&lease, &org(), &elder, &held, at(1))
        .await
        .unwrap();
    assert!(members(store, class).await.is_empty());
    assert_eq!(finding(store, "r").await.job_name, elder);
    // The younger one sees it too, in its own words: that changes nothing.
    let again = FindingChanges {
        elders: vec![elder.clone()],
        ..seen(&[sighting("r", "NOT_SENT")])
    };
    apply(store, again, 2).await;
    assert_eq!(finding(store, "r").await.job_name, elder);
}

async fn an_elder_s_member_stays_in_its_class_and_missing_whoever_else_sees_it(fresh: Fresh) {
    let store = &*fresh.store;
    let elder: JobName = "elder".into();
    let class = class_of(store, &elder, "NOT_SENT").await;
    let lease = a_run(store).await;
    store
        .open_members(&lease, &org(), &elder, class, &ids(&["r"]), &[], at(0))
        .await
        .unwrap();
    let missing = FindingChanges {
        missing: vec![finding(store, "r").await.id],
        ..FindingChanges::default()
    };
    store
        .apply_findings(&lease, &org(), &elder, &missing, at(1))
        .await
        .unwrap();
    let before = store.missing_findings(&org(), &elder).await.unwrap();
    let again = FindingChanges {
        elders: vec![elder.clone()],
        ..seen(&[sighting("r", "NOT_SENT")])
    };
    apply(store, again, 2).await;
    let [kept] = &store.missing_findings(&org(), &elder).await.unwrap()[..] else {
        panic!()
    };
    let renewed = LiveFinding {
        last_seen: at(2),
        ..before[0].clone()
    };
    assert_eq!(kept, &renewed);
    assert_eq!((kept.class, kept.missing_since), (Some(class), Some(at(1))));
    assert_eq!(members(store, class).await, ["r"]);
}

async fn a_seen_member_stays_in_its_class_and_a_reopened_one_has_none(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["r"], 0).await;
    apply(store, seen(&[sighting("r", "NOT_SENT")]), 1).await;
    let [kept] = &live(store).await[..] else {
        panic!()
    };
    assert_eq!(
        (kept.class, &kept.evidence),
        (Some(class), &sighting("r", "").evidence)
    );
    resolve_all(store, 2).await;
    apply(store, seen(&[sighting("r", "NOT_SENT")]), 3).await;
    assert_eq!(live(store).await[0].class, None);
}

async fn a_finding_is_missing_from_its_first_list_on_until_it_is_named_again(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["a", "b"], 0).await;
    apply(store, seen(&[sighting("c", "NOT_SENT")]), 0).await;
    let all: Vec<_> = live(store).await.iter().map(|live| live.id).collect();
    let missing = |which: &[FindingId]| FindingChanges {
        missing: which.to_vec(),
        ..FindingChanges::default()
    };
    let since = async || -> Vec<(String, i64)> {
        let missing = store.missing_findings(&org(), &job()).await.unwrap();
        let since = |live: &LiveFinding| (live.missing_since.unwrap() - at(0)).num_seconds();
        let told = missing.iter();
        told.map(|live| (live.key.reference_id.to_string(), since(live)))
            .collect()
    };
    let told = |told: &[(&str, i64)]| -> Vec<(String, i64)> {
        told.iter()
            .map(|(id, at)| ((*id).to_owned(), *at))
            .collect()
    };
    assert!(since().await.is_empty());
    apply(store, missing(&all[..1]), 10).await;
    apply(store, missing(&[all[0], all[2]]), 70).await;
    assert_eq!(since().await, told(&[("a", 10), ("c", 70)]));
    assert_eq!(
        members(store, class).await,
        ["a", "b"],
        "it belongs to it all the same"
    );
    let other = store.missing_findings(&org(), &"other".into()).await;
    assert!(other.unwrap().is_empty());
    // A day later that proves nothing any more.
    let day = 86_400;
    apply(store, missing(&all[..1]), 10 + day).await;
    assert_eq!(since().await, told(&[("a", 10), ("c", 70)]));
    apply(store, missing(&[all[0], all[2]]), 11 + day).await;
    assert_eq!(since().await, told(&[("a", 11 + day), ("c", 70)]));
    let back = FindingChanges {
        back: all.clone(),
        ..FindingChanges::default()
    };
    apply(store, back, 12 + day).await;
    assert!(since().await.is_empty());
    // Seen again, opened again, or over: then it is not missing either.
    apply(store, missing(&all), 13 + day).await;
    apply(store, seen(&[sighting("c", "NOT_SENT")]), 14 + day).await;
    open(store, class, &["a"], 14 + day).await;
    assert_eq!(since().await, told(&[("b", 13 + day)]));
    resolve_all(store, 15 + day).await;
    apply(store, missing(&all), 16 + day).await;
    assert!(since().await.is_empty());
}

async fn a_member_was_last_seen_when_its_class_was_last_listed(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["gone", "over", "there"], 0).await;
    apply(store, seen(&[sighting("none", "NOT_SENT")]), 0).await;
    let lease = a_run(store).await;
    let listed = async |seconds| {
        let sizes = [ClassSize { id: class, size: 3 }];
        store
            .note_listed(&lease, &sizes, at(seconds))
            .await
            .unwrap();
    };
    let last_seen = async |id| finding(store, id).await.last_seen;
    listed(10).await;
    for (id, seconds) in [("gone", 10), ("over", 10), ("there", 10), ("none", 0)] {
        assert_eq!(last_seen(id).await, at(seconds), "{id}");
    }
    // The next list names one of them only.
    let (gone, over) = (
        finding(store, "gone").await.id,
        finding(store, "over").await.id,
    );
    let changes = FindingChanges {
        missing: vec![gone],
        resolved: vec![over],
        ..FindingChanges::default()
    };
    apply(store, changes, 20).await;
    listed(20).await;
    assert_eq!(last_seen("there").await, at(20));
    assert_eq!(last_seen("gone").await, at(10));
    assert_eq!(last_seen("over").await, at(10));
    listed(30).await;
    let resolved = FindingChanges {
        resolved: vec![gone],
        ..FindingChanges::default()
    };
    apply(store, resolved, 40).await;
    assert_eq!(last_seen("gone").await, at(10), "it was missing since");
    // An order of the daemon's own: noted first, at the same instant.
    listed(50).await;
    let there = FindingChanges {
        missing: vec![finding(store, "there").await.id],
        ..FindingChanges::default()
    };
    apply(store, there, 50).await;
    assert!(
        last_seen("there").await < at(50),
        "that list did not name it"
    );
}

async fn attention_is_set_and_nothing_else(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["b", "a", "over"], 0).await;
    let over = FindingChanges {
        resolved: vec![finding(store, "over").await.id],
        ..FindingChanges::default()
    };
    apply(store, over, 0).await;
    apply(store, seen(&[sighting("a", "another")]), 0).await;
    let lease = a_run(store).await;
    let elsewhere = seen(&[sighting("other", "NOT_SENT")]);
    let other: JobName = "other".into();
    store
        .apply_findings(&lease, &org(), &other, &elsewhere, at(0))
        .await
        .unwrap();
    let before = live(store).await;
    let key = |id: &str, detail: &str| sighting(id, detail).key;
    let attention = |list: &[(FindingKey, Option<Attention>)]| FindingChanges {
        attention: list.to_vec(),
        ..FindingChanges::default()
    };
    let given_up = Some(Attention::GivenUp);
    let set = attention(&[
        (key("b", "NOT_SENT"), given_up),
        (key("a", "NOT_SENT"), Some(Attention::NeedsHuman)),
        (key("a", "another"), given_up),
        (key("over", "NOT_SENT"), given_up),
        (key("other", "NOT_SENT"), given_up),
        (key("unknown", "NOT_SENT"), given_up),
    ]);
    apply(store, set, 1).await;
    let waiting = async || store.attention_ids(&org(), &job()).await.unwrap();
    assert_eq!(waiting().await, ids(&["a", "b"]));
    assert_eq!(store.attention_ids(&org(), &other).await.unwrap(), []);
    let after = live(store).await;
    let is = |id: &str, detail: &str| {
        let one = after.iter().find(|live| live.key == key(id, detail));
        one.unwrap().attention
    };
    assert_eq!(is("a", "NOT_SENT"), Some(Attention::NeedsHuman));
    assert_eq!(
        (is("b", "NOT_SENT"), is("a", "another")),
        (given_up, given_up)
    );
    for (before, after) in before.into_iter().zip(after) {
        let attention = after.attention;
        assert_eq!(
            after,
            LiveFinding {
                attention,
                ..before
            }
        );
    }
    let known = fresh.again().await.finding_counts().await.unwrap();
    assert_eq!(known.iter().map(|count| count.count).sum::<u64>(), 4);
    let cleared = attention(&[(key("b", "NOT_SENT"), None), (key("a", "NOT_SENT"), None)]);
    apply(store, cleared, 2).await;
    assert_eq!(waiting().await, ids(&["a"]), "of another finding");
    resolve_all(store, 3).await;
    assert_eq!(waiting().await, []);
}
