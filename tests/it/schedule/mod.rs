//! The driver at work, on a store and a runner that can fail, and on paused time.

mod world;
mod zones;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use tesa_reconciler::clock::Clock;
use tesa_reconciler::domain::Trigger::{CatchUp, Manual, Schedule, Signal};
use tesa_reconciler::domain::ids::{JobName, Org, RunId};
use tesa_reconciler::domain::run::SlotResult::{Missed, SkippedOverlap, SkippedPaused};
use tesa_reconciler::schedule::{Overlap, Spec};

use world::{MINUTE, Mood, World, every, five, job, on, replica, world};

fn one_job() -> World {
    world(vec![job("retry", five(), &["masmovil"])])
}

fn queueing() -> World {
    let spec = Spec {
        overlap: Overlap::QueueOne,
        ..five()
    };
    world(vec![job("retry", spec, &["masmovil"])])
}

fn on_time(slots: &[&str]) -> Vec<(String, tesa_reconciler::domain::Trigger, i64)> {
    slots
        .iter()
        .map(|&slot| (slot.to_owned(), Schedule, 0))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn lost_tick_is_harmless() {
    // Nobody ever rings the bell here.
    let world = one_job();
    world.until("10:16:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00", "10:10:00", "10:15:00"]));
    assert_eq!(world.unrun(), []);
}

#[tokio::test(start_paused = true)]
async fn double_tick_is_one_run() {
    let world = one_job();
    let bell = Arc::clone(&world.bell);
    let _ringing = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            bell.notify_waiters();
            bell.notify_waiters();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }));
    for _ in 0..100 {
        world.activator.listen();
    }
    world.until("10:16:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00", "10:10:00", "10:15:00"]));
}

#[tokio::test(start_paused = true)]
async fn stall_then_one_run_not_many() {
    let world = one_job();
    world.until("10:01:00").await;
    world.clock.jump(TimeDelta::minutes(62)); // 11:03
    world
        .wait_for("one is caught up", |memory| !memory.runs.is_empty())
        .await;
    world.until("11:04:59").await;
    let [(slot, CatchUp, _)] = &world.ran()[..] else {
        panic!("one run, not {:?}", world.ran());
    };
    assert_eq!(slot, "11:00:00");
    assert_eq!(
        world.unrun(),
        [(
            Missed,
            "10:05:00".to_owned(),
            "10:55:00".to_owned(),
            Some(11)
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn a_memory_in_the_future_is_set_back_and_the_job_goes_on() {
    // The process was there when the clock was set right, or was started later.
    for restarted in [false, true] {
        let mut world = one_job();
        world.until("10:06:00").await;
        world.clock.jump(TimeDelta::days(1));
        tokio::time::sleep(10 * MINUTE).await;
        let ahead = world.ran().len();
        assert_eq!(ahead, 4, "{:?}", world.ran());
        if restarted {
            world.stop.cancel();
            tokio::time::sleep(MINUTE).await;
            world = replica(
                "two",
                Arc::clone(&world.shared),
                vec![job("retry", five(), &["masmovil"])],
            );
            world.clock.jump(on("10:17:00") - world.clock.now());
        } else {
            world.clock.jump(TimeDelta::days(-1));
        }
        let now = world.clock.now();
        assert!(now < on("10:20:00"), "{now}");
        world.until("10:31:00").await;
        let ran = world.ran();
        let slots: Vec<_> = ran[ahead..].iter().map(|run| run.0.as_str()).collect();
        assert_eq!(
            slots,
            ["10:15:00", "10:20:00", "10:25:00", "10:30:00"],
            "{restarted}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_a_little_repeats_nothing() {
    let world = one_job();
    world.until("10:10:30").await;
    assert_eq!(world.ran().len(), 2);
    world.clock.jump(TimeDelta::seconds(-50)); // 10:09:40
    world.until("10:16:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00", "10:10:00", "10:15:00"]));
    assert_eq!(world.unrun(), []);
}

#[tokio::test(start_paused = true)]
async fn lost_run_does_not_block_next_slot() {
    let world = one_job();
    let key = (JobName::new("retry"), Org::new("masmovil"));
    // A dead replica's run, until it is reaped.
    world.memory().running.insert(key.clone(), RunId(99));
    world.until("10:06:00").await;
    assert_eq!(world.ran(), []);
    assert_eq!(
        world.unrun(),
        [(
            SkippedOverlap,
            "10:05:00".to_owned(),
            "10:05:00".to_owned(),
            Some(1)
        )]
    );
    world.memory().running.remove(&key);
    world.until("10:11:00").await;
    assert_eq!(world.ran(), on_time(&["10:10:00"]));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_does_not_block_the_next_slot() {
    let world = one_job();
    world.memory().panic_next = true;
    world.until("10:11:00").await;
    assert_eq!(world.memory().panicked, [RunId(1)]);
    assert_eq!(world.ran(), on_time(&["10:05:00", "10:10:00"]));
}

#[tokio::test(start_paused = true)]
async fn triggers_while_a_run_goes_on_are_one_run_that_answers_them_all() {
    let world = one_job();
    world.hold_runs(true);
    world.until("10:05:01").await;
    for _ in 0..3 {
        world.trigger("retry", "masmovil");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(world.ran().len(), 1, "they wait for the run before");
    world.hold_runs(false);
    world.until("10:06:00").await;
    assert_eq!(
        world.ran()[1..],
        [("none".to_owned(), Manual, 0)],
        "one for all three"
    );
    let memory = world.memory();
    assert!(
        memory
            .triggers
            .iter()
            .all(|trigger| trigger.run_id == Some(RunId(2)))
    );
    assert_eq!(memory.runs[1].request.triggers.len(), 3);
    assert_eq!(memory.runs[1].request.actor.who, "cli:ops");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_begins_its_run_within_two_seconds() {
    let world = one_job();
    for offset in [0, 333, 999, 1_700] {
        tokio::time::sleep(Duration::from_millis(offset)).await;
        let runs = world.ran().len();
        world.trigger("retry", "masmovil");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(world.ran().len(), runs + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_the_store_can_not_note_is_not_run_again() {
    let world = one_job();
    world.memory().mood = Mood::AnswersLost;
    world.trigger("retry", "masmovil");
    world.until("10:02:00").await;
    assert_eq!(world.ran().len(), 1);
    assert_eq!(world.memory().triggers[0].run_id, None);
    world.memory().mood = Mood::Well;
    world.until("10:04:00").await;
    assert_eq!(world.memory().triggers[0].run_id, Some(RunId(1)));
    assert_eq!(world.ran().len(), 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn overlap_skips_by_default() {
    let world = one_job();
    world.hold_runs(true);
    world.until("10:12:00").await;
    world.hold_runs(false);
    world.until("10:16:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00", "10:15:00"]));
    assert_eq!(
        world.unrun(),
        [(
            SkippedOverlap,
            "10:10:00".to_owned(),
            "10:10:00".to_owned(),
            Some(1)
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn queue_one_runs_the_latest_right_after() {
    let world = queueing();
    world.hold_runs(true);
    world.until("10:17:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00"]));
    world.hold_runs(false);
    world.until("10:18:00").await;
    assert_eq!(
        world.ran()[1..],
        [("10:15:00".to_owned(), Schedule, 120)],
        "one, and the newest"
    );
    assert_eq!(
        world.unrun(),
        [(
            SkippedOverlap,
            "10:10:00".to_owned(),
            "10:10:00".to_owned(),
            Some(1)
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn pause_and_resume_reach_the_schedule_within_two_seconds() {
    let world = world(vec![
        job("retry", five(), &["masmovil"]),
        job("flag", five(), &["masmovil"]),
    ]);
    world.until("10:04:58").await;
    world.pause(Some("retry"));
    world.until("10:09:58").await;
    let ran: Vec<_> = world
        .memory()
        .runs
        .iter()
        .map(|run| run.request.job.to_string())
        .collect();
    assert_eq!(ran, ["flag"], "the other one is not paused");
    let skipped = (
        SkippedPaused,
        "10:05:00".to_owned(),
        "10:05:00".to_owned(),
        Some(1),
    );
    assert_eq!(world.unrun(), [skipped]);
    world.memory().pauses.clear();
    world.until("10:10:01").await;
    assert_eq!(world.ran().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_person_may_run_a_paused_job_and_a_signal_may_not() {
    let world = one_job();
    world.pause(None);
    world.until("10:01:00").await;
    world.activator.run_all();
    world.until("10:02:00").await;
    assert_eq!(world.ran(), []);
    world.trigger("retry", "masmovil");
    world.until("10:03:00").await;
    assert_eq!(world.ran(), [("none".to_owned(), Manual, 0)]);
    world.memory().pauses.clear();
    world.until("10:04:00").await;
    assert_eq!(
        world.ran().len(),
        1,
        "the signal was not kept for after the pause"
    );
}

#[tokio::test(start_paused = true)]
async fn unreadable_pause_state_means_paused() {
    let world = one_job();
    world.memory().mood = Mood::PausesDamaged;
    world.until("10:06:00").await;
    assert_eq!(world.ran(), []);
    world.memory().mood = Mood::Well;
    world.until("10:11:00").await;
    assert_eq!(world.ran(), on_time(&["10:10:00"]));
    assert_eq!(world.unrun()[0].0, SkippedPaused);
}

#[tokio::test(start_paused = true)]
async fn hung_store_call_times_out_and_the_loop_lives() {
    let world = one_job();
    world.until("10:04:30").await;
    world.memory().mood = Mood::Hung;
    let before = world.heartbeats.load(Ordering::Relaxed);
    world.until("10:05:45").await;
    assert!(
        world.heartbeats.load(Ordering::Relaxed) >= before + 5,
        "the loop comes around while the calls hang"
    );
    assert_eq!(world.ran(), []);
    world.memory().mood = Mood::Well;
    world.until("10:06:30").await;
    let [(slot, _, late)] = &world.ran()[..] else {
        panic!("the slot stayed due: {:?}", world.ran());
    };
    assert!(slot == "10:05:00" && *late <= 65, "{slot} {late}");
}

#[tokio::test(start_paused = true)]
async fn no_slot_is_lost_while_the_store_is_down() {
    let world = one_job();
    world.until("10:04:00").await;
    world.memory().mood = Mood::Down;
    world.until("10:22:00").await;
    world.memory().mood = Mood::Well;
    world.until("10:24:00").await;
    let [(slot, CatchUp, _)] = &world.ran()[..] else {
        panic!("one is caught up: {:?}", world.ran());
    };
    assert_eq!(slot, "10:20:00");
    assert_eq!(
        world.unrun(),
        [(
            Missed,
            "10:05:00".to_owned(),
            "10:15:00".to_owned(),
            Some(3)
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn one_bad_org_never_stops_another() {
    let world = world(vec![job("retry", five(), &["masmovil", "yoigo"])]);
    world.memory().broken_org = Some(Org::new("masmovil"));
    world.until("10:06:00").await;
    assert_eq!(world.ran(), on_time(&["10:05:00"]));
    world.memory().broken_org = None;
    world.until("10:07:00").await;
    let ran = world.ran();
    assert_eq!(ran.len(), 2, "its slot stayed due: {ran:?}");
    assert_eq!(ran[1].0, "10:05:00");
}

#[tokio::test(start_paused = true)]
async fn a_signal_runs_every_job_once() {
    let world = world(vec![
        job("retry", five(), &["masmovil", "yoigo"]),
        job("flag", every(60 * MINUTE), &["masmovil"]),
    ]);
    world.until("10:01:00").await;
    world.activator.run_all();
    world.activator.run_all();
    world.until("10:02:00").await;
    let ran = world.ran();
    assert_eq!(ran.len(), 3, "{ran:?}");
    assert!(ran.iter().all(|run| run.1 == Signal));
}

#[tokio::test(start_paused = true)]
async fn stopping_claims_nothing_more_and_waits_for_what_runs() {
    let world = one_job();
    world.hold_runs(true);
    world.until("10:05:01").await;
    world.stop.cancel();
    world.trigger("retry", "masmovil");
    world.until("10:21:00").await;
    assert!(!world.driver.is_finished(), "its run goes on");
    world.hold_runs(false);
    let World { driver, .. } = &world;
    tokio::time::timeout(MINUTE, async {
        while !driver.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it ends with its runs");
    assert_eq!(world.ran(), on_time(&["10:05:00"]));
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_schedule_without_inventing_missed_slots() {
    let world = one_job();
    world.until("10:06:00").await;
    world.jobs.send_replace(Arc::new(vec![
        job("retry", every(Duration::from_secs(10)), &["masmovil"]),
        job("flag", five(), &["yoigo"]),
    ]));
    world.until("10:06:31").await;
    let slots: Vec<_> = world.ran().into_iter().map(|run| run.0).collect();
    assert_eq!(
        slots,
        [
            "10:05:00", "10:05:00", // the new job's first slot is due at once
            "10:06:10", "10:06:20", "10:06:30"
        ]
    );
    world.jobs.send_replace(Arc::new(Vec::new()));
    world.until("10:30:00").await;
    assert_eq!(world.ran().len(), 5, "what is no longer configured is over");
    assert_eq!(world.unrun(), []);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_share_the_slots() {
    let one = one_job();
    let jobs = vec![job("retry", five(), &["masmovil"])];
    let two = replica("two", Arc::clone(&one.shared), jobs);
    one.until("10:31:00").await;
    // The store of this test asserts that no slot runs twice.
    assert_eq!(one.ran().len(), 6);
    assert_eq!(one.unrun(), []);
    one.driver.abort();
    two.until("10:41:00").await;
    assert_eq!(two.ran().len(), 8, "the other one goes on alone");
    let last = two.memory().runs.last().map(|run| run.by.to_string());
    assert_eq!(last.as_deref(), Some("two"));
    assert_eq!(
        two.memory().runs.last().and_then(|run| run.request.slot),
        Some(on("10:40:00"))
    );
}
