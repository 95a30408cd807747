//! The decision as tables of cases, and as properties over long and bumpy lives.

use std::time::Instant;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::zone::Zone;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// On 2026-06-01, at this time of the day (UTC).
fn on(time: &str) -> DateTime<Utc> {
    let text = match time.len() {
        5 => format!("2026-06-01T{time}:00Z"),
        _ => format!("2026-06-01T{time}Z"),
    };
    text.parse().unwrap()
}

fn job() -> JobName {
    JobName::new("retry-stuck")
}

fn spec(when: When) -> Spec {
    Spec {
        when,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: HOUR,
        jitter: Duration::ZERO,
    }
}

fn every(interval: Duration) -> Spec {
    spec(When::Every(interval))
}

fn cron(text: &str) -> Spec {
    spec(When::Cron {
        cron: Box::new(text.parse().unwrap()),
        text: text.to_owned(),
        zone: Zone::UTC,
    })
}

fn five() -> Spec {
    every(5 * MINUTE)
}

fn queueing() -> Spec {
    Spec {
        overlap: Overlap::QueueOne,
        ..five()
    }
}

fn no_catch_up() -> Spec {
    Spec {
        catch_up: CatchUp::Skip,
        ..five()
    }
}

/// Started at 08:00, all accounted for up to and with 10:00.
fn state() -> State {
    State {
        since: on("08:00"),
        last_slot: Some(on("10:00")),
        running: false,
        queued: None,
        paused: false,
    }
}

fn running() -> State {
    State {
        running: true,
        ..state()
    }
}

fn paused() -> State {
    State {
        paused: true,
        ..state()
    }
}

fn fresh(since: &str) -> State {
    State {
        since: on(since),
        last_slot: None,
        ..state()
    }
}

fn due(slot: &str, trigger: Trigger, late: u64) -> Option<Due> {
    Some(Due {
        slot: on(slot),
        trigger,
        late: Duration::from_secs(late),
    })
}

fn unrun(result: SlotResult, first: &str, last: &str, count: u64) -> Unrun {
    Unrun {
        result,
        first: on(first),
        last: on(last),
        count: Some(count),
    }
}

fn quiet(wake: &str) -> Decision {
    Decision {
        wake: Some(on(wake)),
        ..Decision::default()
    }
}

#[test]
fn each_slot_gets_its_fate() {
    use SlotResult::{Missed, SkippedOverlap, SkippedPaused};
    use Trigger::{CatchUp as Caught, Schedule};

    let narrow = Spec {
        catch_up_window: 2 * MINUTE,
        ..five()
    };
    let queued = |slot: &str, state: State| State {
        queued: Some(on(slot)),
        ..state
    };
    #[rustfmt::skip]
    let cases: Vec<(&str, Spec, State, &str, Decision)> = vec![
        ("before the next slot", five(), state(), "10:04:59", quiet("10:05")),
        ("at the slot", five(), state(), "10:05",
            Decision { due: due("10:05", Schedule, 0), ..quiet("10:10") }),
        ("a little late is on time", five(), state(), "10:06",
            Decision { due: due("10:05", Schedule, 60), ..quiet("10:10") }),
        ("later than that is caught up", five(), state(), "10:06:01",
            Decision { due: due("10:05", Caught, 61), ..quiet("10:10") }),
        ("too late without catch-up is missed", no_catch_up(), state(), "10:06:01",
            Decision { unrun: vec![unrun(Missed, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("outside the window is missed", narrow.clone(), state(), "10:07:01",
            Decision { unrun: vec![unrun(Missed, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("several: the latest runs, the others are missed", five(), state(), "10:21",
            Decision {
                unrun: vec![unrun(Missed, "10:05", "10:15", 3)],
                due: due("10:20", Schedule, 60), ..quiet("10:25")
            }),
        ("several and none may run: one stretch", narrow, state(), "10:23",
            Decision { unrun: vec![unrun(Missed, "10:05", "10:20", 4)], ..quiet("10:25") }),
        ("paused", five(), paused(), "10:05",
            Decision { unrun: vec![unrun(SkippedPaused, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("paused after a gap", five(), paused(), "10:16",
            Decision {
                unrun: vec![
                    unrun(Missed, "10:05", "10:10", 2),
                    unrun(SkippedPaused, "10:15", "10:15", 1),
                ], ..quiet("10:20")
            }),
        ("overlap", five(), running(), "10:05",
            Decision { unrun: vec![unrun(SkippedOverlap, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("paused and overlapping is paused", five(), State { paused: true, ..running() }, "10:05",
            Decision { unrun: vec![unrun(SkippedPaused, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("overlap, kept", queueing(), running(), "10:05",
            Decision { queue: Some(on("10:05")), ..quiet("10:10") }),
        ("kept already", queueing(), queued("10:05", running()), "10:06", quiet("10:10")),
        ("a newer one takes the kept one's place", queueing(), queued("10:05", running()), "10:10",
            Decision {
                unrun: vec![unrun(SkippedOverlap, "10:05", "10:05", 1)],
                queue: Some(on("10:10")), ..quiet("10:15")
            }),
        ("the run has ended: the kept one is next, late as it is", queueing(), queued("10:05", state()), "10:09",
            Decision { due: due("10:05", Schedule, 240), ..quiet("10:10") }),
        ("kept is not caught up, so its policy says nothing",
            Spec { catch_up: CatchUp::Skip, ..queueing() }, queued("10:05", state()), "10:09",
            Decision { due: due("10:05", Schedule, 240), ..quiet("10:10") }),
        ("kept, then paused", queueing(), queued("10:05", paused()), "10:09",
            Decision { unrun: vec![unrun(SkippedPaused, "10:05", "10:05", 1)], ..quiet("10:10") }),
        ("what was kept has been accounted for elsewhere", queueing(), queued("10:00", state()), "10:04",
            quiet("10:05")),
        ("very first start: an interval's current slot, however late", five(), fresh("10:03"), "10:03",
            Decision { due: due("10:00", Schedule, 0), ..quiet("10:05") }),
        ("very first start: cron waits", cron("0 */5 * * * *"), fresh("10:03"), "10:03", quiet("10:05")),
        ("very first slot of a cron", cron("0 */5 * * * *"), fresh("10:03"), "10:05",
            Decision { due: due("10:05", Schedule, 0), ..quiet("10:10") }),
        ("the clock jumped back", five(), state(), "09:32:30", quiet("10:05")),
        ("the clock jumped back before the start", cron("0 */5 * * * *"), fresh("10:03"), "09:00", quiet("10:05")),
        ("the clock jumped ahead", five(), state(), "15:00:30",
            Decision {
                unrun: vec![unrun(Missed, "10:05", "14:55", 59)],
                due: due("15:00", Schedule, 30), ..quiet("15:05")
            }),
        ("a tight interval is on time within the alarm's coarseness", every(Duration::from_secs(2)), state(), "10:00:03.900",
            Decision { due: Some(Due { slot: on("10:00:02"), trigger: Schedule, late: Duration::from_millis(1_900) }),
                ..quiet("10:00:04") }),
    ];
    for (name, spec, state, now, want) in cases {
        assert_eq!(decide(&job(), &spec, &state, on(now)), want, "{name}");
    }
}

#[test]
fn dst_change_leaves_a_daily_job_one_run_a_day() {
    let spec = spec(When::Cron {
        cron: Box::new("0 30 2 * * *".parse().unwrap()),
        text: "0 30 2 * * *".to_owned(),
        zone: Zone::named("Europe/Madrid").unwrap(),
    });
    for (first, last, days) in [
        ("2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z", 4),
        ("2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z", 4),
    ] {
        let (mut now, end): (DateTime<Utc>, DateTime<Utc>) =
            (first.parse().unwrap(), last.parse().unwrap());
        let mut state = State {
            since: now,
            last_slot: None,
            ..state()
        };
        let mut runs = 0;
        while now < end {
            let decision = decide(&job(), &spec, &state, now);
            assert_eq!(decision.unrun, []);
            if let Some(due) = decision.due {
                assert_eq!(due.trigger, Trigger::Schedule);
                state.last_slot = Some(due.slot);
                runs += 1;
            }
            now += TimeDelta::minutes(10);
        }
        assert_eq!(runs, days);
    }
}

#[test]
fn year_long_gap_decides_in_constant_time() {
    let now = on("10:00:30") + TimeDelta::days(365);
    for spec in [cron("* * * * * *"), cron("0 * * * * *"), every(MINUTE)] {
        let begin = Instant::now();
        let decision = decide(&job(), &spec, &state(), now);
        let took = begin.elapsed();
        assert!(decision.due.is_some());
        let [missed] = decision.unrun[..] else {
            panic!("one stretch, not {:?}", decision.unrun);
        };
        match &spec.when {
            When::Cron { .. } => assert_eq!(missed.count, None, "not enumerated"),
            When::Every(_) => assert_eq!(missed.count, Some(365 * 24 * 60 - 1)),
        }
        // Thirty million slots one by one would take minutes; a thousand take some milliseconds.
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn catch_up_is_bounded() {
    for (gap, caught) in [(59, true), (60, true), (61, false), (100_000, false)] {
        let spec = Spec {
            catch_up_window: HOUR,
            ..every(24 * HOUR)
        };
        let midnight = on("00:00") + TimeDelta::days(80);
        let state = State {
            last_slot: Some(on("00:00")),
            ..state()
        };
        let decision = decide(&job(), &spec, &state, midnight + TimeDelta::minutes(gap));
        let runs = decision.due.map(|due| due.trigger);
        assert_eq!(
            runs,
            caught.then_some(Trigger::CatchUp),
            "{gap} minutes after"
        );
        assert_eq!(decision.unrun.len(), 1, "all others in one stretch");
    }
}

#[test]
fn jitter_delays_the_firing_and_not_the_slot() {
    let spec = Spec {
        jitter: 2 * MINUTE,
        ..five()
    };
    let slot = on("10:05");
    let wait = delay(&job(), &spec, slot);
    assert!(wait > Duration::ZERO && wait < 2 * MINUTE, "{wait:?}");
    let before = decide(
        &job(),
        &spec,
        &state(),
        slot + wait - TimeDelta::microseconds(1),
    );
    assert!(before.is_quiet());
    assert_eq!(before.wake, Some(slot + wait));
    let decision = decide(&job(), &spec, &state(), slot + wait);
    let due = decision.due.unwrap();
    assert_eq!(
        (due.slot, due.trigger, due.late),
        (slot, Trigger::Schedule, Duration::ZERO)
    );
}

#[test]
fn jitter_is_stable_spread_and_never_reaches_the_next_slot() {
    let wide = Spec {
        jitter: HOUR,
        ..five()
    };
    let delays: Vec<_> = (0..600)
        .map(|n| delay(&job(), &wide, on("10:00") + TimeDelta::minutes(5 * n)))
        .collect();
    assert!(delays.iter().all(|&delay| delay < 5 * MINUTE));
    for minute in 0..5 {
        let within = (minute * MINUTE)..((minute + 1) * MINUTE);
        let share = delays.iter().filter(|delay| within.contains(delay)).count();
        assert!((80..160).contains(&share), "minute {minute}: {share}");
    }
    // What replicas of different builds agree on.
    assert_eq!(
        delay(&job(), &wide, on("10:05")),
        Duration::from_micros(127_215_707)
    );
    assert_ne!(
        delay(&JobName::new("other"), &wide, on("10:05")),
        delay(&job(), &wide, on("10:05"))
    );
}

#[test]
fn catching_up_after_a_start_is_staggered() {
    let spec = Spec {
        jitter: 2 * MINUTE,
        ..five()
    };
    let started = State {
        since: on("10:38"),
        ..state()
    };
    let wait = delay(&job(), &spec, on("10:35"));
    let fires = on("10:38") + wait.min(2 * MINUTE);
    let before = decide(&job(), &spec, &started, on("10:38"));
    assert!(before.is_quiet());
    assert_eq!(before.wake, Some(fires));
    let decision = decide(&job(), &spec, &started, fires);
    assert_eq!(decision.due.unwrap().slot, on("10:35"));
    assert_eq!(
        decision.unrun,
        [unrun(SlotResult::Missed, "10:05", "10:30", 6)]
    );
}

proptest! {
    /// However the clock moves and whenever anybody looks: no slot runs twice, none is forgotten, and what is
    /// accounted for only ever moves forward.
    #[test]
    fn every_slot_has_exactly_one_fate(
        steps in prop::collection::vec((-400_i64..1_500, any::<bool>(), prop::bool::weighted(0.2)), 1..60),
        overlap in prop::sample::select(Overlap::ALL),
        catch_up in prop::sample::select(CatchUp::ALL),
        jitter in prop::sample::select(vec![0_u64, 30, 200, 900]),
        as_cron in any::<bool>(),
    ) {
        let spec = Spec {
            overlap,
            catch_up,
            jitter: Duration::from_secs(jitter),
            ..if as_cron { cron("0 */5 * * * *") } else { five() }
        };
        let mut now = on("10:00:01");
        let mut state = state();
        let mut next = on("10:05");
        for (step, running, paused) in steps {
            now += TimeDelta::seconds(step);
            state.running = running;
            state.paused = paused;
            let decision = decide(&job(), &spec, &state, now);
            for unrun in &decision.unrun {
                prop_assert_eq!(unrun.first, next, "in order and without a hole");
                prop_assert_eq!(unrun.count, spec.when.count(unrun.first, unrun.last));
                next = unrun.last + TimeDelta::minutes(5);
                state.last_slot = Some(unrun.last);
            }
            if let Some(slot) = decision.queue {
                prop_assert_eq!(slot, next);
                prop_assert!(running && overlap == Overlap::QueueOne);
                state.queued = Some(slot);
            }
            if let Some(due) = decision.due {
                prop_assert_eq!(due.slot, next);
                prop_assert!(due.slot <= now && !running && !paused);
                next = due.slot + TimeDelta::minutes(5);
                state.last_slot = Some(due.slot);
                state.queued = None;
            }
            prop_assert!(decision.wake.is_some_and(|wake| wake > now));
            let mut again = state;
            again.running = running || decision.due.is_some();
            prop_assert!(
                decide(&job(), &spec, &again, now).is_quiet(),
                "looking twice changes nothing"
            );
        }
    }
}
