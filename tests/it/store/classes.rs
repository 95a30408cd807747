//! Classes: what lists tell is remembered once, and compared in the order of the bytes.

use tesa_reconciler::domain::ids::{ClassId, JobName, ReferenceId};
use tesa_reconciler::domain::{FindingState, IdBatch, Observation};
use tesa_reconciler::store::classes::ClassSize;
use tesa_reconciler::store::findings::{Finding, FindingChanges, FindingFilter, Live, LiveFinding};
use tesa_reconciler::store::{Page, Store};

use super::harness::Fresh;
use super::values::*;

behaviours! {
    a_class_is_made_once_and_kept_in_the_order_of_its_keys,
    a_class_knows_how_many_were_listed_and_when,
    members_come_in_the_order_of_their_bytes_page_by_page,
    a_resolved_finding_belongs_to_no_class,
    those_of_no_class_come_each_once,
    details_are_filled_in_from_what_was_read,
    one_read_without_a_date_comes_after_those_not_read_yet,
    a_member_is_counted_like_any_finding,
    many_are_opened_in_one_call,
    an_old_class_goes_when_nothing_belongs_to_it,
}

pub async fn class(store: &dyn Store, status: &str) -> ClassId {
    class_of(store, &job(), status).await
}

pub async fn class_of(store: &dyn Store, job: &JobName, status: &str) -> ClassId {
    let keys = [class_key(status)];
    let lease = a_run(store).await;
    let ids = store
        .ensure_classes(&lease, &org(), job, &keys, at(0))
        .await;
    ids.unwrap()[0]
}

pub fn ids(names: &[&str]) -> Vec<ReferenceId> {
    names.iter().map(|name| ReferenceId::from(*name)).collect()
}

pub async fn open(store: &dyn Store, class: ClassId, names: &[&str], seconds: i64) -> u64 {
    let lease = a_run(store).await;
    let opened = store
        .open_members(&lease, &org(), &job(), class, &ids(names), &[], at(seconds))
        .await;
    opened.unwrap()
}

pub fn names(batch: &IdBatch) -> Vec<String> {
    batch.iter().map(str::to_owned).collect()
}

pub async fn members(store: &dyn Store, class: ClassId) -> Vec<String> {
    names(&store.class_members(class, None, 1_000).await.unwrap())
}

pub async fn live(store: &dyn Store) -> Vec<LiveFinding> {
    let live = store.live_findings(&org(), &job(), Live::All).await;
    live.unwrap()
}

pub async fn apply(store: &dyn Store, changes: FindingChanges, seconds: i64) {
    let lease = a_run(store).await;
    let done = store
        .apply_findings(&lease, &org(), &job(), &changes, at(seconds))
        .await;
    done.unwrap();
}

pub async fn resolve_all(store: &dyn Store, seconds: i64) {
    let resolved = live(store).await.into_iter().map(|live| live.id).collect();
    let changes = FindingChanges {
        resolved,
        ..FindingChanges::default()
    };
    apply(store, changes, seconds).await;
}

/// The only one of this request, resolved or not.
pub async fn finding(store: &dyn Store, reference: &str) -> Finding {
    let mut found = Vec::new();
    for state in [None, Some(FindingState::Resolved)] {
        let filter = FindingFilter {
            reference: Some(reference.to_owned()),
            state,
            ..FindingFilter::default()
        };
        found.extend(store.findings(&filter, Page::first(2)).await.unwrap());
    }
    let [only] = &found[..] else {
        panic!("{found:?}");
    };
    only.clone()
}

async fn a_class_is_made_once_and_kept_in_the_order_of_its_keys(fresh: Fresh) {
    let store = &*fresh.store;
    let lease = a_run(store).await;
    let (org, job) = (org(), job());
    let make = async |keys: &[_], seconds| {
        let made = store.ensure_classes(&lease, &org, &job, keys, at(seconds));
        made.await.unwrap()
    };
    let (a, b, c) = (class_key("A"), class_key("B"), class_key("C"));
    let first = make(&[b.clone(), a.clone()], 0).await;
    let second = make(&[a.clone(), c.clone(), b.clone(), a.clone()], 5).await;
    assert_eq!(second[0], first[1]);
    assert_eq!(second[2..], [first[0], first[1]]);
    assert!(make(&[], 6).await.is_empty());
    let kept = store.classes(&org, &job).await.unwrap();
    let seen: Vec<_> = kept
        .iter()
        .map(|class| (class.id, class.key.clone(), class.size, class.listed_at))
        .collect();
    assert_eq!(
        seen,
        [
            (first[0], b, 0, at(0)),
            (first[1], a, 0, at(0)),
            (second[1], c, 0, at(5))
        ]
    );
    // One that differs in anything is another one, and another job's are its own.
    let other = tesa_reconciler::rules::classes::ClassKey {
        rule: "another".into(),
        ..class_key("A")
    };
    assert!(!second.contains(&make(&[other], 7).await[0]));
    let elsewhere = class_of(store, &"flag-events".into(), "A").await;
    assert!(!second.contains(&elsewhere));
    assert_eq!(store.classes(&org, &job).await.unwrap().len(), 4);
}

async fn a_class_knows_how_many_were_listed_and_when(fresh: Fresh) {
    let store = &*fresh.store;
    let (a, b) = (class(store, "A").await, class(store, "B").await);
    let sizes = [ClassSize { id: a, size: 7 }, ClassSize { id: b, size: 0 }];
    let lease = a_run(store).await;
    store.note_listed(&lease, &sizes, at(9)).await.unwrap();
    let kept = store.classes(&org(), &job()).await.unwrap();
    let told: Vec<_> = kept
        .iter()
        .map(|kept| (kept.size, kept.listed_at))
        .collect();
    assert_eq!(told, [(7, at(9)), (0, at(9))]);
}

async fn members_come_in_the_order_of_their_bytes_page_by_page(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    let mixed = [
        "a", "ä", "10", "B", "9", "", "a b", "a\"b", "a,b", "😀", "aa",
    ];
    assert_eq!(open(store, class, &mixed, 0).await, 11);
    let mut sorted: Vec<String> = mixed.iter().map(|id| (*id).to_owned()).collect();
    sorted.sort_unstable();
    assert_eq!(members(store, class).await, sorted);
    for size in [1, 2, 3, 10, 11] {
        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = store.class_members(class, after.as_deref(), size).await;
            let page = names(&page.unwrap());
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            paged.extend(page);
        }
        assert_eq!(paged, sorted, "pages of {size}");
    }
    let after = store.class_members(class, Some("a!"), 2).await.unwrap();
    assert_eq!(names(&after), ["a\"b", "a,b"], "of one that is not there");
    assert!(members(store, ClassId(class.0 + 1)).await.is_empty());
}

async fn a_resolved_finding_belongs_to_no_class(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["a", "b"], 0).await;
    let lease = a_run(store).await;
    let finished = ids(&["a"]);
    let left = store
        .resolve_left_behind(&lease, &org(), &finished, &["other".into()], at(1))
        .await;
    left.unwrap();
    assert_eq!(members(store, class).await, ["b"]);
    resolve_all(store, 2).await;
    assert!(members(store, class).await.is_empty());
    assert!(
        store
            .without_details(&org(), &job(), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn those_of_no_class_come_each_once(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["a", "b"], 0).await;
    let other = sighting("b", "another");
    let seen = seen(&[
        other,
        sighting("ä", "1"),
        sighting("ä", "2"),
        sighting("9", "1"),
        sighting("10", "1"),
    ]);
    apply(store, seen, 1).await;
    let page = async |after, limit| {
        let page = store.classless_members(&org(), &job(), after, limit).await;
        names(&page.unwrap())
    };
    assert_eq!(page(None, 100).await, ["10", "9", "b", "ä"]);
    assert_eq!(page(None, 2).await, ["10", "9"]);
    assert_eq!(page(Some("9"), 2).await, ["b", "ä"]);
    assert!(page(Some("ä"), 2).await.is_empty());
    let other_job = store
        .classless_members(&org(), &"other".into(), None, 9)
        .await;
    assert!(other_job.unwrap().is_empty());
    resolve_all(store, 2).await;
    assert!(page(None, 100).await.is_empty());
}

async fn details_are_filled_in_from_what_was_read(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    // The oldest finding first, whatever its name.
    open(store, class, &["z"], 0).await;
    open(store, class, &["a", "b"], 1).await;
    apply(store, seen(&[sighting("none", "NOT_SENT")]), 1).await;
    let unknown = async |limit| store.without_details(&org(), &job(), limit).await.unwrap();
    assert_eq!(unknown(2).await, ids(&["z", "a"]));
    let undated = Observation {
        last_updated: None,
        ..observation("a")
    };
    let fill = async |read: &[Observation]| {
        let lease = a_run(store).await;
        store
            .fill_details(&lease, &org(), &job(), read)
            .await
            .unwrap();
    };
    let other = Observation {
        external_reference: Some("else".into()),
        last_updated: Some(at(-1)),
        ..observation("none")
    };
    fill(&[observation("z"), undated, other, observation("unknown")]).await;
    assert_eq!(unknown(9).await, ids(&["b", "a"]));
    let listed = finding(store, "z").await;
    assert_eq!(
        (listed.since, listed.external_reference, listed.evidence),
        (
            Some(at(-3_600)),
            Some("order-z".into()),
            class_key("NOT_SENT").evidence
        )
    );
    assert_eq!(
        finding(store, "a").await.external_reference,
        Some("order-a".into())
    );
    let no_member = finding(store, "none").await;
    assert_eq!(no_member.external_reference, Some("order-none".into()));
    // Newer is better; older, or nothing, is no news.
    for (date, known) in [(Some(-60), -60), (Some(-90), -60), (None, -60)] {
        let read = Observation {
            external_reference: None,
            last_updated: date.map(at),
            ..observation("z")
        };
        fill(&[read]).await;
        let listed = finding(store, "z").await;
        assert_eq!(
            (listed.since, listed.external_reference),
            (Some(at(known)), Some("order-z".into()))
        );
    }
    let oldest = store.finding_counts().await.unwrap();
    assert_eq!(oldest[0].oldest, Some(at(-3_600)), "of what is known");
}

async fn one_read_without_a_date_comes_after_those_not_read_yet(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    open(store, class, &["a", "b", "c"], 0).await;
    let unknown = async || store.without_details(&org(), &job(), 9).await.unwrap();
    let read = async |id: &str, second| {
        let undated = Observation {
            last_updated: None,
            observed_at: at(second),
            ..observation(id)
        };
        let lease = a_run(store).await;
        store
            .fill_details(&lease, &org(), &job(), &[undated])
            .await
            .unwrap();
    };
    assert_eq!(finding(store, "a").await.read_at, None);
    read("b", 20).await;
    read("a", 30).await;
    assert_eq!(unknown().await, ids(&["c", "b", "a"]));
    assert_eq!(finding(store, "a").await.read_at, Some(at(30)));
    // An older read is no news, and a list that names it again makes nothing unread.
    read("a", 10).await;
    open(store, class, &["a"], 40).await;
    assert_eq!(finding(store, "a").await.read_at, Some(at(30)));
    resolve_all(store, 50).await;
    open(store, class, &["a"], 60).await;
    assert_eq!(
        finding(store, "a").await.read_at,
        None,
        "what comes back is to be read anew"
    );
}

async fn a_member_is_counted_like_any_finding(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    let counted = async || {
        let counts = store.finding_counts().await.unwrap();
        counts.iter().map(|count| count.count).sum::<u64>()
    };
    open(store, class, &["a", "b", "c"], 0).await;
    open(store, class, &["a", "d"], 1).await;
    assert_eq!(counted().await, 4);
    let counts = store.finding_counts().await.unwrap();
    assert_eq!(
        (counts[0].status.as_str(), counts[0].oldest),
        ("NOT_SENT", None)
    );
    resolve_all(store, 2).await;
    assert_eq!(counted().await, 0);
    open(store, class, &["a"], 3).await;
    assert_eq!(counted().await, 1);
}

async fn many_are_opened_in_one_call(fresh: Fresh) {
    let store = &*fresh.store;
    let class = class(store, "NOT_SENT").await;
    let many: Vec<String> = (0..5_003).map(|n| format!("r-{n:05}")).collect();
    let asked: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(open(store, class, &asked[..3_000], 0).await, 3_000);
    assert_eq!(open(store, class, &asked, 1).await, 2_003);
    let first = store.class_members(class, None, 5_000).await.unwrap();
    let rest = store
        .class_members(class, Some("r-04999"), 5_000)
        .await
        .unwrap();
    assert_eq!((first.len(), names(&rest)), (5_000, many[5_000..].to_vec()));
}

async fn an_old_class_goes_when_nothing_belongs_to_it(fresh: Fresh) {
    let store = &*fresh.store;
    let (used, unused) = (class(store, "A").await, class(store, "B").await);
    let fresh_one = class(store, "C").await;
    open(store, used, &["r"], 0).await;
    let listed = [ClassSize {
        id: fresh_one,
        size: 0,
    }];
    let lease = a_run(store).await;
    store.note_listed(&lease, &listed, at(50)).await.unwrap();
    let left = async |older_than| {
        let pruned = store.prune(&lease, older_than, 10).await.unwrap().classes;
        let kept = store.classes(&org(), &job()).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|class| class.id).collect();
        (pruned, kept)
    };
    assert_eq!(left(at(0)).await, (0, vec![used, unused, fresh_one]));
    assert_eq!(left(at(10)).await, (1, vec![used, fresh_one]));
    resolve_all(store, 20).await;
    assert_eq!(left(at(10)).await, (1, vec![fresh_one]));
    assert!(
        class(store, "A").await > fresh_one,
        "an id is never given twice"
    );
}
