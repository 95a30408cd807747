//! `resolve_issues` as the upstream gets to see it.

use serde_json::{Value, json};
use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::ids::ReferenceId;
use tesa_reconciler::domain::{AttemptState, FindingKind, Operation, RunOutcome, Status};
use tesa_reconciler::sandbox::{Effect, Fault};
use tesa_reconciler::store::attempts::Step;

use super::{HOUR, ISSUES, MINUTE, World, empty, person, tally};

const JOB: &str = "resolve-issues";
const SAFETY: &str = "max_attempts = 6\nbackoff = { initial = \"1m\", max = \"1m\" }";

/// A request in an operator's incident with these issues; `+` before a code: resolved, `*`: repeated.
fn incident(world: &World, order: &str, codes: &[&str]) -> ReferenceId {
    let issues: Vec<Value> = codes
        .iter()
        .map(|code| {
            json!({
                "issue_code": code.trim_start_matches(['+', '*']),
                "resolved": code.starts_with('+'),
                "repeated": code.starts_with('*'),
            })
        })
        .collect();
    let patch = json!({
        "external_reference": order, "status": "INCIDENCE_OPERATOR", "age": "0s", "issues": issues,
    });
    world.patch(patch).reference_id.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_on_issue_codes_act_flag_or_ignore() {
    let world = World::new(empty(), SAFETY, ISSUES).await;
    let solved = incident(&world, "SOLVED", &["CLI-012"]);
    let flagged = incident(&world, "FLAGGED", &["CTO-003"]);
    let ignored = incident(&world, "IGNORED", &["PER-001"]);
    let unknown = incident(&world, "UNKNOWN", &["NEW-9"]);
    let repeated = incident(&world, "REPEATED", &["*CLI-012"]);
    world.run_well(JOB).await;
    assert_eq!(tally::orders(&world.ledger()), ["SOLVED"]);
    assert_eq!(world.ledger()[0].operation, Operation::ResolveIncident);
    for (id, verdict) in [
        (&solved, "act"),
        (&flagged, "flag"),
        (&ignored, "ignore"),
        (&unknown, "flag"),
        (&repeated, "flag"),
    ] {
        assert_eq!(world.verdict(JOB, id).await, verdict, "{id}");
    }
    world.settle().await;
    assert_eq!(world.states().await, [AttemptState::Confirmed]);
    world.advance(10 * MINUTE);
    world.run_well(JOB).await;
    let findings = world.findings().await;
    let mut about: Vec<&ReferenceId> = findings
        .iter()
        .inspect(|finding| assert_eq!(finding.key.kind, FindingKind::UnresolvedIssue))
        .map(|finding| &finding.key.reference_id)
        .collect();
    let mut wanted = vec![&flagged, &unknown, &repeated];
    about.sort();
    wanted.sort();
    assert_eq!(about, wanted, "the solved one's finding is over");
    assert_eq!(world.ledger().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_open_issues_get_one_write_at_a_time() {
    let world = World::new(empty(), SAFETY, ISSUES).await;
    let codes = ["CLI-001", "CLI-002", "CLI-003", "CLI-004", "CLI-005"];
    for solved in 0..5 {
        let codes: Vec<String> = (0..5)
            .map(|n| format!("{}{}", if n < solved { "+" } else { "" }, codes[n]))
            .collect();
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        // An upstream that solves one issue a call.
        incident(&world, "ORDER-1", &codes);
        world.advance(5 * MINUTE);
        for _ in 0..3 {
            world.run_well(JOB).await;
            assert_eq!(world.ledger().len(), solved + 1);
        }
        let sequence = world.attempts().await[solved].issue_sequence;
        assert_eq!(sequence, Some(solved as i64 + 1), "the lowest first");
        world.settle().await;
        assert_eq!(
            world.states().await,
            vec![AttemptState::Confirmed; solved + 1]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_counts_as_repaired_only_when_it_reads_resolved() {
    let world = World::new(empty(), SAFETY, ISSUES).await;
    let id = incident(&world, "ORDER-1", &["CLI-012"]);
    world.run_well(JOB).await;
    assert_eq!(world.states().await, [AttemptState::Accepted]);
    // The upstream said 200, and did not do it.
    incident(&world, "ORDER-1", &["CLI-012"]);
    world.settle().await;
    assert_eq!(world.states().await, [AttemptState::NeedsHuman]);
    assert!(!world.findings().await.is_empty());
    // Nothing more is sent until a person has found out.
    world.advance(HOUR);
    world.run_well(JOB).await;
    assert_eq!(world.ledger().len(), 1);
    let step = Step {
        to: AttemptState::Ineffective,
        detail: "it did nothing".to_owned(),
        http_status: None,
        verify_at: None,
        confirmed: None,
    };
    let (attempt, now) = (world.attempts().await[0].id, world.now());
    let who = person("asked");
    let settled = world.store().advance(attempt, &step, &who, now);
    settled.await.unwrap();
    world.advance(10 * MINUTE);
    world.run_well(JOB).await;
    world.settle().await;
    let states = world.states().await;
    assert_eq!(states, [AttemptState::Ineffective, AttemptState::Confirmed]);
    assert_eq!(world.status(&id), Status::Processing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issue_that_comes_back_goes_to_a_human_after_max_attempts() {
    let safety = "max_attempts = 2\nbackoff = { initial = \"1m\", max = \"1m\" }";
    let jobs = ISSUES.replace("repeated = false\n", "");
    let world = World::new(empty(), safety, &jobs).await;
    let mut id = incident(&world, "ORDER-1", &["CLI-012"]);
    for _ in 0..6 {
        world.run_well(JOB).await;
        world.settle().await;
        world.advance(HOUR);
        id = incident(&world, "ORDER-1", &["+CLI-012", "*CLI-012"]);
    }
    assert_eq!(world.ledger().len(), 2, "no loop");
    assert_eq!(world.verdict(JOB, &id).await, "given_up");
    let findings = world.findings().await;
    assert!(
        findings
            .iter()
            .any(|finding| finding.attention == Some(Attention::GivenUp)),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_resolution_is_verified_by_the_issue() {
    for applied in [true, false] {
        let world = World::new(empty(), SAFETY, ISSUES).await;
        incident(&world, "ORDER-1", &["CLI-012"]);
        let lost = Effect::Drop { applied };
        world.faults([Fault::new(lost).on(&["writes"]).times(1)]);
        for _ in 0..4 {
            world.run(JOB).await;
            world.settle().await;
            world.advance(10 * MINUTE);
        }
        assert_eq!(world.ledger().len(), if applied { 1 } else { 2 });
        tally::no_order_twice(&world.ledger());
        assert_eq!(world.states().await.last(), Some(&AttemptState::Confirmed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rule_change_decisions_are_made_afresh_without_reading() {
    let mut world = World::new(empty(), SAFETY, ISSUES).await;
    for n in 0..20 {
        incident(&world, &format!("ORDER-{n}"), &["CTO-003"]);
    }
    world.advance(10 * MINUTE);
    world.run_well(JOB).await;
    assert_eq!(world.findings().await.len(), 20);
    world.advance(10 * MINUTE);
    let reads = |world: &World| {
        let calls = world.calls();
        calls["get_request"] + calls["get_request_issues"]
    };
    let before = reads(&world);
    let ignoring = ISSUES
        .replace("\"PER-*\"", "\"CTO-*\"")
        .replacen("\"CTO-*\"", "\"X-*\"", 1);
    world.reload(SAFETY, &ignoring);
    let summary = world.run_well(JOB).await;
    assert_eq!((summary.observed, summary.unchanged), (0, 20));
    assert!(world.findings().await.is_empty());
    assert!(reads(&world) <= before + 2, "only samples");
}

/// In a code's place.
const NAME: &str = "Juana Ibarra, 600123456";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_somebodys_name_is_matched_but_neither_kept_nor_sent() {
    let rules = |code: &str, observations: &str| {
        format!(
            "[[job]]\nname = {JOB:?}\nkind = \"resolve_issues\"\nevery = \"10m\"\n[[job.rule]]\nname = \"r\"\n\
             issue_codes = [{code:?}]\naction = \"resolve_incident\"\nobservations = {observations:?}\n"
        )
    };
    // (the rule, what goes out, the verdict)
    for (jobs, sent, verdict) in [
        (rules("*", "({issue_code})"), 0, "flag"),
        (rules("Juana *", "again"), 1, "act"),
        (rules("CLI-*", "again"), 0, "flag"),
    ] {
        let world = World::new(empty(), "", &jobs).await;
        let id = incident(&world, "ORDER-1", &[NAME]);
        let other = json!({"external_reference": "ORDER-2", "status": NAME, "events": [{"message_type": NAME, "inconsistent": true}]});
        world.patch(other);
        world.run(JOB).await;
        assert_eq!(world.ledger().len(), sent, "{jobs}");
        assert_eq!(world.verdict(JOB, &id).await, verdict, "{jobs}");
        if sent == 0 {
            // Nothing changed, and it is decided on as before: by what the issue says, not by its hash.
            world.advance(10 * MINUTE);
            world.run(JOB).await;
            assert_eq!(world.verdict(JOB, &id).await, verdict, "{jobs}");
        }
        let findings = format!("{:?}", world.findings().await);
        assert!(findings.contains('~'), "{findings}");
        for file in std::fs::read_dir(world.dir.path()).unwrap() {
            let file = file.unwrap().path();
            let bytes = std::fs::read(&file).unwrap_or_default();
            let name = bytes.windows(12).any(|window| window == b"Juana Ibarra");
            assert!(!name, "{}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_many_at_once_is_named_by_the_guard() {
    let safety = "hold_above_count = 10\nhold_above_fraction = 0.1";
    let world = World::new(empty(), safety, ISSUES).await;
    for n in 0..60 {
        incident(
            &world,
            &format!("OTHER-{n}"),
            &[&format!("CTO-{:03}", n % 20)],
        );
    }
    for n in 0..15 {
        incident(&world, &format!("ABSENT-{n}"), &["CLI-012"]);
    }
    let (outcome, _) = world.run(JOB).await;
    assert_eq!(outcome, RunOutcome::Held);
    let latches = world.store().latches().await.unwrap();
    assert_eq!(
        latches[0].reason,
        "15 of 75 open requests want a write at once: 15 of these 15 have issue_code CLI-012; of all 75 open requests 15 \
         have it"
    );
}
