//! Replicas that know different things of time zones: one slot must not run twice, under two instants.

use tesa_reconciler::schedule::{Spec, When};
use tesa_reconciler::zone::Zone;

use super::world::{ZONES, five, job, world};

#[tokio::test(start_paused = true)]
async fn slots_in_local_time_are_left_to_whoever_knows_more_of_zones() {
    let local = |zone: &str| Spec {
        when: When::Cron {
            cron: Box::new("0 */5 * * * *".parse().unwrap()),
            text: String::new(),
            zone: Zone::named(zone).unwrap(),
        },
        ..five()
    };
    let madrid = local("Europe/Madrid");
    let jobs = vec![
        job("local", madrid, &["o"]),
        job("utc", local("UTC"), &["o"]),
        job("every", five(), &["o"]),
    ];
    let world = world(jobs);
    let ran = |name: &str| {
        let memory = world.memory();
        let runs = memory.runs.iter();
        let of_job = runs.filter(|run| run.request.job.as_str() == name);
        of_job
            .map(|run| run.request.slot.is_some())
            .collect::<Vec<_>>()
    };
    world.memory().zones = "2026b".to_owned();
    world.until("10:12:00").await;
    assert_eq!(ran("local"), [false; 0]);
    assert_eq!(
        world.unrun(),
        [],
        "their slots are the other's to account for"
    );
    assert_eq!((ran("utc"), ran("every")), (vec![true; 2], vec![true; 2]));
    // A person's word is no slot.
    world.trigger("local", "o");
    world.until("10:13:00").await;
    assert_eq!(ran("local"), [false]);
    // The other is gone, or this one is as new.
    world.memory().zones = ZONES.to_owned();
    world.until("10:16:00").await;
    assert_eq!(ran("local").len(), 3, "one caught up, one on time");
}
