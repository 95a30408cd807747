//! The configuration that decided, rehearsed on what it left behind, decides the same.

use serde_json::json;
use tesa_reconciler::config::Job;
use tesa_reconciler::domain::{Operation, Trigger};
use tesa_reconciler::history::rehearse::{Life, Outcome, Rehearsed, Window, rehearse};
use tesa_reconciler::reconcile::rehearse::Configured;
use tesa_reconciler::reconcile::retry_verdict::RetryPolicy;
use tesa_reconciler::sandbox::{Effect, Fault};

use super::{EVENTS, HOUR, ISSUES, MINUTE, RESEND, RETRY, World, org, seeded};

/// A day and a half of ill luck.
async fn lived(world: &World) {
    for hour in 0..36 {
        world.patch(json!({"external_reference": format!("UNSENT-{hour}"), "status": "NOT_SENT"}));
        let codes = match hour % 4 {
            0 => json!([{"issue_code": "CLI-012"}]),
            1 => json!([{"issue_code": "CTO-003"}, {"issue_code": "CLI-001"}]),
            2 => json!([{"issue_code": "PER-001"}]),
            _ => json!([{"issue_code": "CLI-012", "repeated": true}]),
        };
        world.patch(json!({
            "external_reference": format!("ISSUE-{hour}"), "status": "INCIDENCE_OPERATOR", "issues": codes,
        }));
        if hour % 6 == 5 {
            let lost = Fault::new(Effect::Drop { applied: true });
            world.faults([lost.on(&["writes"]).times(1)]);
        }
        for _ in 0..2 {
            for job in [RETRY, "resolve-issues", "flag-events"] {
                world.run(job).await;
            }
            world.verify().await;
            // Not the rule's very age, so that it is reached before the run.
            world.advance(31 * MINUTE);
        }
    }
}

fn jobs(world: &World) -> Vec<Job> {
    let names = [RETRY, "resolve-issues", "flag-events"];
    let jobs = names.map(|name| world.daemon.order(name, Trigger::Manual).job);
    jobs.iter().map(|job| Job::clone(job)).collect()
}

async fn rehearsed(world: &World, jobs: &[Job]) -> Rehearsed {
    let retry = RetryPolicy {
        max_attempts: 3,
        initial: 10 * MINUTE,
        max: 6 * HOUR,
    };
    let rules = Configured::new(jobs, retry);
    let attempts = world.attempts().await;
    let window = Window {
        since: world.now() - chrono::TimeDelta::days(30),
        until: world.now(),
    };
    let mut all = Rehearsed::default();
    for (id, happenings) in world
        .store()
        .histories(&org(), None, 100_000)
        .await
        .unwrap()
    {
        let life = Life {
            org: &org(),
            reference_id: &id,
            happenings: &happenings,
            attempts: &attempts,
            acknowledgements: &[],
        };
        let one = rehearse(&rules, &life, window);
        assert_eq!(one.differing, 0, "{one:#?} {happenings:#?}");
        all.add(one);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_that_decided_decides_the_same_again() {
    let all = format!("{RESEND}{ISSUES}{EVENTS}");
    let world = World::new(seeded(200), "", &all).await;
    lived(&world).await;
    let jobs = jobs(&world);
    let again = rehearsed(&world, &jobs).await;
    assert!(again.reproduced > 80, "{again:?}");
    let resent = again
        .acts
        .iter()
        .filter(|act| act.operation == Operation::CreateActivation);
    assert!(resent.count() > 20, "{again:?}");
    let count = |outcome| {
        again
            .acts
            .iter()
            .filter(|act| act.outcome == outcome)
            .count()
    };
    assert!(count(Outcome::AsDone) > 20, "{:?}", again.acts);
    assert_eq!(count(Outcome::WouldNot), 0, "{:?}", again.acts);
    assert_eq!(count(Outcome::AnotherWrite), 0, "{:?}", again.acts);
    assert!(
        again.unreplayable.contains_key("events_not_kept"),
        "{again:?}"
    );
}
