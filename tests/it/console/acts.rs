//! What people do from the pages: the same deeds and audit rows as the commands', with a reason, and nothing by a slip.

use chrono::TimeDelta;
use reqwest::Method;
use tesa_reconciler::domain::{AttemptState, FindingState};
use tesa_reconciler::store::audit::{AuditFilter, AuditRow};
use tesa_reconciler::store::findings::FindingFilter;
use tesa_reconciler::store::{Actor, Page};

use super::{Answer, House, PASSWORD, answer};
use crate::store::values::{a_run, at, attempt_in, job, org, replica_row, seen, sighting};

const WHY: &str = "seen with the installer <b>&";

async fn act(house: &House, name: &str, fields: &[(&str, &str)]) -> Answer {
    let asked = house.as_ana(Method::POST, &format!("/acts/{name}"));
    answer(asked.header("sec-fetch-site", "same-origin").form(fields)).await
}

/// What Ana did, newest first.
async fn audited(house: &House) -> Vec<AuditRow> {
    let filter = AuditFilter {
        who: Some("console:ana".to_owned()),
        ..AuditFilter::default()
    };
    house.store.audit(&filter, Page::first(100)).await.unwrap()
}

/// It was done, the page says so and what it does not prove, and one row of the audit has the reason.
async fn assert_done(house: &House, done: &Answer, says: &str, action: &str) {
    assert_eq!(done.status, 200, "{done:?}");
    for told in [
        says,
        "Not yet proven:",
        "console:ana",
        "seen with the installer &lt;b&gt;&amp;",
    ] {
        assert!(done.text.contains(told), "{told}: {}", done.text);
    }
    assert!(!done.text.contains("data-live"), "it stays as it is");
    let rows = audited(house).await;
    let rows: Vec<&AuditRow> = rows.iter().filter(|row| row.action == action).collect();
    assert_eq!(rows.len(), 1, "{action}: {rows:?}");
    assert!(rows[0].reason.contains(WHY), "{rows:?}");
}

#[tokio::test]
async fn everything_is_paused_and_goes_on() {
    let house = House::asking().await;
    let done = act(
        &house,
        "pause",
        &[("job", ""), ("until", "2h"), ("reason", WHY)],
    )
    .await;
    assert_done(&house, &done, "Paused every job until 2026", "pause").await;
    let pauses = house.store.pauses(at(0)).await.unwrap();
    assert_eq!(
        pauses[0].until.map(|until| until.timestamp()),
        Some((at(0) + TimeDelta::hours(2)).timestamp())
    );
    // A shorter one would end it sooner.
    let shorter = act(
        &house,
        "pause",
        &[("job", ""), ("until", "1h"), ("reason", WHY)],
    )
    .await;
    assert_eq!(shorter.status, 409, "{shorter:?}");
    let done = act(&house, "resume", &[("job", ""), ("reason", WHY)]).await;
    assert_done(&house, &done, "Resumed every job", "resume").await;
    assert!(house.store.pauses(at(0)).await.unwrap().is_empty());
    let again = act(&house, "resume", &[("job", ""), ("reason", WHY)]).await;
    assert_eq!(
        (again.status, again.text.contains("was not paused")),
        (409, true)
    );
}

#[tokio::test]
async fn one_job_is_paused_and_asked_for() {
    let house = House::asking().await;
    let nobody = act(
        &house,
        "trigger",
        &[("job", "retry-stuck"), ("org", "masmovil"), ("reason", WHY)],
    )
    .await;
    assert_eq!(
        (nobody.status, nobody.text.contains("no daemon is running")),
        (409, true)
    );
    house
        .store
        .beat_replica(&replica_row("replica-1", -60), at(0))
        .await
        .unwrap();
    let done = act(
        &house,
        "pause",
        &[("job", "retry-stuck"), ("until", ""), ("reason", WHY)],
    )
    .await;
    assert_done(
        &house,
        &done,
        "Paused job retry-stuck until resumed",
        "pause",
    )
    .await;
    let done = act(
        &house,
        "trigger",
        &[("job", "retry-stuck"), ("org", "masmovil"), ("reason", WHY)],
    )
    .await;
    assert_done(
        &house,
        &done,
        "Asked for a run of retry-stuck in masmovil",
        "trigger",
    )
    .await;
    assert!(
        done.text.contains("It is paused") && done.text.contains("/runs?job=retry-stuck"),
        "{}",
        done.text
    );
}

#[tokio::test]
async fn the_hold_that_was_looked_at_is_released_and_no_other() {
    let house = House::asking().await;
    let lease = a_run(&*house.store).await;
    let guard = Actor::daemon("300 of 900 requests want a write at once");
    house
        .store
        .latch_guard(&lease, &job(), &org(), &guard, at(0))
        .await
        .unwrap();
    let since = |seconds: i64| at(seconds).timestamp_micros().to_string();
    let release = async |seconds| {
        let since = since(seconds);
        let fields = [
            ("job", "retry-stuck"),
            ("org", "masmovil"),
            ("since", since.as_str()),
            ("reason", WHY),
        ];
        act(&house, "release", &fields).await
    };
    let another = release(-60).await;
    assert_eq!(
        (another.status, another.text.contains("look again")),
        (409, true),
        "{another:?}"
    );
    assert_eq!(house.store.latches().await.unwrap().len(), 1);
    let page = answer(house.as_ana(Method::GET, "/")).await.text;
    assert!(
        page.contains(&format!("name=\"since\" value=\"{}\"", since(0))),
        "{page}"
    );
    assert_done(
        &house,
        &release(0).await,
        "released retry-stuck for masmovil",
        "release",
    )
    .await;
    assert!(house.store.latches().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_finding_is_acknowledged_and_that_is_taken_back() {
    let house = House::asking().await;
    let lease = a_run(&*house.store).await;
    let found = seen(&[sighting("ref-A", "NOT_SENT")]);
    house
        .store
        .apply_findings(&lease, &org(), &job(), &found, at(0))
        .await
        .unwrap();
    let state = async || {
        let found = house
            .store
            .findings(&FindingFilter::default(), Page::first(9))
            .await
            .unwrap();
        (found[0].id.to_string(), found[0].state)
    };
    let (id, _) = state().await;
    let fields = [
        ("finding", id.as_str()),
        ("org", "masmovil"),
        ("request", "ref-A"),
        ("reason", WHY),
    ];
    let done = act(&house, "ack", &fields).await;
    assert_done(
        &house,
        &done,
        "no job writes to their requests",
        "acknowledge",
    )
    .await;
    assert_eq!(state().await.1, FindingState::Acknowledged);
    let page = answer(house.as_ana(Method::GET, "/orders/masmovil/ref-A"))
        .await
        .text;
    assert!(
        page.contains("/acts/unack") && !page.contains("/acts/ack\""),
        "{page}"
    );
    let done = act(&house, "unack", &fields).await;
    assert_done(&house, &done, "Took back", "unacknowledge").await;
    assert_eq!(state().await.1, FindingState::Open);
    let again = act(&house, "unack", &fields).await;
    assert_eq!(again.status, 409, "{again:?}");
}

#[tokio::test]
async fn a_write_is_settled_by_a_word_that_is_called_one() {
    let house = House::asking().await;
    let lease = a_run(&*house.store).await;
    let id = attempt_in(&*house.store, &lease, "A", AttemptState::NeedsHuman).await;
    let open = attempt_in(&*house.store, &lease, "B", AttemptState::Unknown).await;
    let settle = async |id: &str, verdict| {
        act(
            &house,
            "settle",
            &[("attempt", id), ("verdict", verdict), ("reason", WHY)],
        )
        .await
    };
    for (id, verdict, status) in [
        (open.to_string(), "confirmed", 409),
        ("99".to_owned(), "confirmed", 409),
        (id.to_string(), "done", 400),
        ("x".to_owned(), "confirmed", 400),
    ] {
        assert_eq!(settle(&id, verdict).await.status, status, "{id} {verdict}");
    }
    let page = answer(house.as_ana(Method::GET, "/people")).await.text;
    assert!(
        page.contains("/acts/settle") && page.contains("required"),
        "{page}"
    );
    let done = settle(&id.to_string(), "ineffective").await;
    assert_done(&house, &done, "is ineffective, by your word", "settle").await;
    // What is still on its way is said beside it.
    assert!(
        done.text.contains("1 writes that left before"),
        "{}",
        done.text
    );
    let attempt = house.store.attempt(id).await.unwrap().unwrap();
    assert_eq!(attempt.state, AttemptState::Ineffective);
}

#[tokio::test]
async fn an_order_may_be_tried_again_unless_a_write_is_open() {
    let house = House::asking().await;
    let lease = a_run(&*house.store).await;
    attempt_in(&*house.store, &lease, "A", AttemptState::Rejected).await;
    attempt_in(&*house.store, &lease, "B", AttemptState::Accepted).await;
    let retry = async |request| {
        act(
            &house,
            "retry",
            &[("org", "masmovil"), ("request", request), ("reason", WHY)],
        )
        .await
    };
    let open = retry("ref-B").await;
    assert_eq!(
        (open.status, open.text.contains("not settled yet")),
        (409, true)
    );
    assert_eq!(retry("nothing").await.status, 409);
    assert_done(&house, &retry("ref-A").await, "may be tried again", "retry").await;
    let page = answer(house.as_ana(Method::GET, "/orders/masmovil/ref-B"))
        .await
        .text;
    assert!(!page.contains("/acts/retry"), "{page}");
}

#[tokio::test]
async fn without_a_reason_or_with_half_a_form_nothing_is_done() {
    let house = House::asking().await;
    let long = "x".repeat(501);
    for fields in [
        vec![("job", ""), ("until", ""), ("reason", "")],
        vec![("job", ""), ("until", ""), ("reason", "  ")],
        vec![("job", ""), ("until", ""), ("reason", &long)],
        vec![("job", ""), ("until", "")],
        vec![("reason", WHY)],
        vec![("job", "nothing"), ("until", ""), ("reason", WHY)],
        vec![("job", ""), ("until", "yesterday"), ("reason", WHY)],
    ] {
        let refused = act(&house, "pause", &fields).await;
        assert_eq!(refused.status, 400, "{fields:?}: {refused:?}");
    }
    let huge = act(
        &house,
        "pause",
        &[("job", ""), ("until", ""), ("reason", &"x".repeat(100_000))],
    )
    .await;
    assert!(matches!(huge.status, 400 | 413), "{}", huge.status);
    assert!(house.store.pauses(at(0)).await.unwrap().is_empty());
    assert!(audited(&house).await.is_empty());
}

#[tokio::test]
async fn to_look_changes_nothing_and_who_only_looks_sees_no_form() {
    let house = House::asking().await;
    house
        .store
        .pause(None, None, &Actor::daemon("a drill"), at(0))
        .await
        .unwrap();
    for name in [
        "pause", "resume", "trigger", "release", "ack", "unack", "settle", "retry",
    ] {
        let path = format!("/acts/{name}?job=&reason=x");
        assert_eq!(
            answer(house.as_ana(Method::GET, &path)).await.status,
            405,
            "{name}"
        );
        let eva = house
            .ask(Method::POST, &path)
            .basic_auth("eva", Some(PASSWORD));
        let eva = eva
            .header("sec-fetch-site", "same-origin")
            .form(&[("job", ""), ("reason", WHY)]);
        assert_eq!(answer(eva).await.status, 403, "{name}");
    }
    assert_eq!(house.store.pauses(at(0)).await.unwrap().len(), 1);
    let page = answer(
        house
            .ask(Method::GET, "/")
            .basic_auth("eva", Some(PASSWORD)),
    )
    .await
    .text;
    assert!(!page.contains("<form"), "{page}");
    let page = answer(house.as_ana(Method::GET, "/")).await.text;
    for form in ["/acts/pause", "/acts/resume", "/acts/trigger"] {
        assert!(
            page.contains(&format!("method=\"post\" action=\"{form}\"")),
            "{form}: {page}"
        );
    }
}
