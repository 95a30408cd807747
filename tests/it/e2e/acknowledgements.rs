//! Hands off means hands off: what a person acknowledged is not written to, whatever the upstream answers in between,
//! however the jobs are called, until the request itself is another one or the person says so.

use serde_json::json;
use tesa_reconciler::domain::ids::{FindingId, ReferenceId};
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::audit::AuditFilter;

use super::{EVENTS, HOUR, ISSUES, MINUTE, RESEND, RETRY, World, empty, person};

impl World {
    /// A person says hands off, of everything that is found.
    async fn acknowledge_all(&self) -> Vec<FindingId> {
        let ids: Vec<FindingId> = self.findings().await.iter().map(|one| one.id).collect();
        assert!(!ids.is_empty(), "nothing is found");
        let (why, now) = (person("the carrier knows"), self.now());
        let store = self.store();
        store.acknowledge_findings(&ids, &why, now).await.unwrap();
        ids
    }

    /// A request that was found and acknowledged while the daemon was watching; from here on it may act.
    async fn acknowledged(jobs: &str, job: &str) -> (Self, ReferenceId) {
        let mut world = Self::new(empty(), "mode = \"observe\"", jobs).await;
        let id = world.unsent("ORDER-1", "2h");
        world.run_well(job).await;
        world.acknowledge_all().await;
        world.reload("", jobs);
        (world, id)
    }

    async fn nothing_is_written(&self, jobs: &[&str]) {
        for _ in 0..3 {
            for job in jobs {
                self.advance(5 * MINUTE);
                self.run(job).await;
            }
        }
        assert!(self.ledger().is_empty(), "{:?}", self.ledger());
    }
}

fn list(what: Effect) -> Fault {
    Fault::new(what).on(&["list_reference_ids"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_survives_an_empty_list() {
    let (world, id) = World::acknowledged(RESEND, RETRY).await;
    world.faults([list(Effect::ShortList { share: 0.0 })]);
    world.run(RETRY).await;
    world.faults([]);
    world.nothing_is_written(&[RETRY]).await;
    assert_eq!(world.verdict(RETRY, &id).await, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_survives_a_stray_404() {
    let (world, id) = World::acknowledged(RESEND, RETRY).await;
    let (status, applied, shape) = (404, false, ErrorShape::Object);
    let not_found = Effect::Error {
        status,
        applied,
        shape,
    };
    world.faults([Fault::new(not_found).on(&["get_request"])]);
    // Old enough for the daemon to read it again.
    world.advance(25 * 60 * MINUTE);
    world.run(RETRY).await;
    world.faults([]);
    world.nothing_is_written(&[RETRY]).await;
    assert_eq!(world.verdict(RETRY, &id).await, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_survives_the_renaming_of_the_job() {
    let (mut world, id) = World::acknowledged(RESEND, RETRY).await;
    world.reload(
        "",
        &RESEND.replace("name = \"retry-stuck\"", "name = \"resend\""),
    );
    world.nothing_is_written(&["resend"]).await;
    assert_eq!(world.verdict("resend", &id).await, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_holds_for_every_job() {
    let second = RESEND.replace("name = \"retry-stuck\"", "name = \"again\"");
    let both = format!("{RESEND}{second}");
    let (world, id) = World::acknowledged(&both, RETRY).await;
    world.nothing_is_written(&["again", RETRY]).await;
    assert_eq!(world.verdict("again", &id).await, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_holds_for_every_request_of_the_order() {
    let (world, _) = World::acknowledged(RESEND, RETRY).await;
    let another = json!({
        "external_reference": "ORDER-1", "status": "NOT_SENT", "age": "2h", "another": true
    });
    let another: ReferenceId = world.patch(another).reference_id.into();
    world.nothing_is_written(&[RETRY]).await;
    assert_eq!(world.verdict(RETRY, &another).await, "acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_date_alone_ends_nothing_and_another_status_ends_it() {
    let (world, id) = World::acknowledged(RESEND, RETRY).await;
    world.patch(json!({"reference_id": id.as_str(), "age": "40m"}));
    world.nothing_is_written(&[RETRY]).await;
    assert_eq!(world.verdict(RETRY, &id).await, "acknowledged");
    // Somebody else's job sees it elsewhere, and it comes back.
    let mut world = world;
    world.reload("", &format!("{RESEND}{EVENTS}"));
    world.patch(json!({"reference_id": id.as_str(), "status": "VALIDATING", "age": "1m"}));
    world.run_well("flag-events").await;
    world.advance(MINUTE);
    world.patch(json!({"reference_id": id.as_str(), "status": "NOT_SENT", "age": "31s"}));
    world.advance(HOUR);
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 1);
    let all = AuditFilter::default();
    let audit = world.store().audit(&all, Page::first(20)).await;
    let ended = audit.unwrap().into_iter();
    let ended: Vec<_> = ended
        .filter(|row| row.action == "acknowledgement_ended")
        .map(|row| (row.who, row.reason))
        .collect();
    let why = "it was NOT_SENT and is VALIDATING".to_owned();
    assert_eq!(ended, [("daemon".to_owned(), why)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_written_to_again() {
    let (world, _) = World::acknowledged(RESEND, RETRY).await;
    let ids: Vec<FindingId> = world.findings().await.iter().map(|one| one.id).collect();
    world.nothing_is_written(&[RETRY]).await;
    let (why, now) = (person("they were wrong"), world.now());
    let taken = world.store().unacknowledge_findings(&ids, &why, now);
    assert_eq!(taken.await.unwrap().len(), 1);
    world.run(RETRY).await;
    assert_eq!(world.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_ends_nothing() {
    let (world, id) = World::acknowledged(RESEND, RETRY).await;
    world.patch(json!({"reference_id": id.as_str(), "cancelling": true, "age": "0s"}));
    world.plan(RETRY).await;
    assert_eq!(world.store().acknowledgements(None).await.unwrap().len(), 1);
}

/// Two issues for which the job acts, at a request that `retry_stuck` is about too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_an_issue_holds_for_the_whole_order_until_the_issue_is_another() {
    const JOB: &str = "resolve-issues";
    let mut world = World::new(empty(), "mode = \"observe\"", ISSUES).await;
    let issues = |first_resolved: bool| {
        json!({
            "external_reference": "ORDER-1", "status": "INCIDENCE_OPERATOR", "age": "2h",
            "issues": [{"issue_code": "CLI-001", "resolved": first_resolved}, {"issue_code": "CLI-002"}],
        })
    };
    let id: ReferenceId = world.patch(issues(false)).reference_id.into();
    world.run_well(JOB).await;
    let first = world.findings().await;
    let first = first.iter().find(|one| one.key.detail.contains("CLI-001"));
    let (why, now) = (person("the customer calls back"), world.now());
    let store = world.store();
    store
        .acknowledge_findings(&[first.unwrap().id], &why, now)
        .await
        .unwrap();
    world.reload("", ISSUES);
    world.nothing_is_written(&[JOB]).await;
    // An empty list of issues says nothing of them, nor does another status of the request.
    world.patch(json!({"reference_id": id.as_str(), "issues": [], "age": "0s"}));
    world.run(JOB).await;
    world.advance(MINUTE);
    world.patch(issues(false));
    world.patch(json!({"reference_id": id.as_str(), "status": "INCIDENCE_TESA", "age": "0s"}));
    world.run(JOB).await;
    world.advance(MINUTE);
    world.patch(json!({"reference_id": id.as_str(), "status": "INCIDENCE_OPERATOR", "age": "0s"}));
    world.nothing_is_written(&[JOB]).await;
    assert_eq!(world.verdict(JOB, &id).await, "acknowledged");
    world.patch(json!({
        "reference_id": id.as_str(), "age": "0s",
        "issues": [{"issue_code": "CLI-001", "resolved": true}, {"issue_code": "CLI-002"}],
    }));
    world.run(JOB).await;
    assert_eq!(world.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_left_that_is_configured_no_more_is_taken_over_or_ends_with_the_request() {
    let watch = RESEND.replace("\"resend\"", "\"flag\"");
    let mut world = World::new(empty(), "", &watch).await;
    let (stays, ends) = (world.unsent("STAYS", "2h"), world.unsent("ENDS", "2h"));
    world.run_well(RETRY).await;
    let owners = async |world: &World| {
        let rows = world.findings().await.into_iter();
        let mut rows: Vec<_> = rows
            .map(|row| (row.key.reference_id, row.job_name.to_string()))
            .collect();
        rows.sort();
        rows
    };
    let renamed = watch.replace("name = \"retry-stuck\"", "name = \"watch\"");
    let jobs = format!("{EVENTS}{renamed}");
    world.reload("", &jobs);
    world.patch(json!({"reference_id": ends.as_str(), "status": "CANCELED", "age": "0s"}));
    world.run_well("watch").await;
    let mut wanted = vec![
        (stays.clone(), "watch".to_owned()),
        (ends, RETRY.to_owned()),
    ];
    wanted.sort();
    assert_eq!(owners(&world).await, wanted);
    let left = world.store().left_behind(&["watch".into()]).await.unwrap();
    assert_eq!(left, [(RETRY.into(), 1)]);
    world.run_well("flag-events").await;
    assert_eq!(owners(&world).await, [(stays, "watch".to_owned())]);
}
