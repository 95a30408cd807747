//! Makes a world from its seed. What must coincide to break a promise is made likely here: many orders become due in one
//! minute, and most of what happens happens while a run deals with them.

use std::time::Duration;

use serde_json::{Value, json};
use tesa_reconciler::domain::Filter;
use tesa_reconciler::sandbox::{Ages, Effect, ErrorShape, Fault, Precision, RepeatedCreate};

use crate::dice::Dice;
use crate::memory;
use crate::plan::{
    Act, Doom, DoomedCall, Happening, JOBS, Limits, MINUTE, Order, Plan, Settings, Slowness,
    TROUBLE,
};

/// The world of a seed.
pub fn world(seed: u64) -> Plan {
    let mut dice = Dice::new(seed, 1);
    let replicas = usize::try_from(dice.pick(&[1, 1, 2, 2, 3])).unwrap();
    // Many are stuck already, or they become so in the course of the trouble.
    let oldest = dice.pick(&[30, 30, 240]);
    let times = Times {
        busy: dice.percent(60).then(|| 2 * dice.between(1, 14)),
    };
    let slowness = dice.pick(&[
        Slowness {
            effect: 80_000,
            lag: 45_000,
        },
        Slowness {
            effect: 5_000,
            lag: 120_000,
        },
    ]);
    let repeated_create = dice.pick(&[RepeatedCreate::TakesUp, RepeatedCreate::SecondBeside]);
    let upstream = Upstream {
        slowness,
        makes_seconds: repeated_create == RepeatedCreate::SecondBeside,
    };
    let orders: Vec<Order> = (0..dice.between(3, 12))
        .map(|n| {
            let age = times.age(&mut dice, oldest);
            order(&mut dice, n, age)
        })
        .collect();
    let mut happenings: Vec<(Duration, Happening)> = (0..dice.between(0, 24))
        .map(|_| {
            let at = times.instant(&mut dice);
            (at, happening(&mut dice, replicas, orders.len(), upstream))
        })
        .collect();
    happenings.extend(times.coincidences(&mut dice, orders.len(), slowness));
    happenings.sort_by_key(|(at, _)| *at);
    Plan {
        seed,
        replicas,
        repeated_create,
        latency: Duration::from_millis(dice.pick(&[0, 5, 20, 200, 600])),
        ages: Ages {
            inclusive: dice.percent(50),
            to: dice.pick(&[Precision::Exact, Precision::Millisecond, Precision::Second]),
        },
        slowness,
        limits: Limits {
            per_run: dice.between(1, 10),
            per_hour: dice.pick(&[3, 6, 30, 30]),
            hold_above: dice.pick(&[2, 6, 50, 50, 50]),
            max_attempts: dice.between(1, 4),
            backoff: dice.pick(&[60, 60, 600]),
            every: dice.pick(&[30, 30, 120, 120]),
        },
        orders,
        happenings,
    }
}

/// What the upstream is like.
#[derive(Debug, Clone, Copy)]
struct Upstream {
    slowness: Slowness,
    /// A repeated create makes another request.
    makes_seconds: bool,
}

/// When things happen.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// In this minute most of the orders become due, in a world that has one: so a run has much to do, and much happens
    /// meanwhile.
    busy: Option<u64>,
}

impl Times {
    /// Mostly when a run is under way: they begin with the minute.
    fn instant(self, dice: &mut Dice) -> Duration {
        let minute = match self.busy {
            Some(minute) if dice.percent(60) => minute + dice.between(0, 3),
            _ if dice.percent(60) => dice.between(0, TROUBLE / MINUTE),
            _ => return dice.seconds(0, TROUBLE),
        };
        Duration::from_secs(minute * MINUTE) + dice.seconds(0, 14)
    }

    /// What hardly ever coincides by itself with a run that has much to do: orders that move on while they wait for their
    /// write, and old news of those whose write was just confirmed.
    fn coincidences(
        self,
        dice: &mut Dice,
        orders: usize,
        slowness: Slowness,
    ) -> Vec<(Duration, Happening)> {
        let mut all = Vec::new();
        let Some(minute) = self.busy else {
            return all;
        };
        let busy = Duration::from_secs(minute * MINUTE);
        if dice.percent(30) {
            for _ in 0..dice.between(1, 4) {
                let order = usize::try_from(dice.between(0, orders as u64)).unwrap();
                let change =
                    dice.pick(&[json!({"status": "PROCESSING"}), json!({"cancelling": true})]);
                all.push((busy + dice.seconds(0, 12), Happening::Order(order, change)));
            }
        }
        if dice.percent(20) {
            let ms = dice.between(slowness.lag / 2, slowness.lag);
            let old_news = Fault::new(Effect::Stale { ms }).on(&["reads"]);
            let long = dice.seconds(30, 5 * MINUTE);
            all.push((
                busy + dice.seconds(10, 2 * MINUTE),
                Happening::Upstream(vec![old_news], long),
            ));
        }
        all
    }

    /// How old an order is at the start, in seconds.
    fn age(self, dice: &mut Dice, oldest: u64) -> u64 {
        match self.busy {
            Some(minute) if dice.percent(80) => {
                Settings::PLAIN.stuck_after * MINUTE - minute * MINUTE + dice.between(5, 60)
            }
            _ => dice.between(0, oldest * MINUTE),
        }
    }
}

fn order(dice: &mut Dice, n: u64, age: u64) -> Order {
    let name = format!("ORDER-{n}");
    let age = format!("{age}s");
    let (patch, is_repairable) = match dice.between(0, 10) {
        0..5 => (json!({"status": "NOT_SENT"}), true),
        5 | 6 => (
            json!({"status": "INCIDENCE_OPERATOR", "issues": [{"issue_code": "CLI-012"}]}),
            true,
        ),
        7 => (
            json!({"status": "INCIDENCE_OPERATOR", "issues": [{"issue_code": "CLI-012", "repeated": true}]}),
            false,
        ),
        8 => (
            json!({"status": "PROCESSING", "events": [{"sequence_number": 1}, {"sequence_number": 3}]}),
            false,
        ),
        _ => (json!({"status": "VALIDATING"}), false),
    };
    let mut patch = patch;
    patch["external_reference"] = json!(name);
    patch["age"] = json!(age);
    Order {
        name,
        patch,
        is_repairable,
    }
}

fn happening(dice: &mut Dice, replicas: usize, orders: usize, of: Upstream) -> Happening {
    let replica = usize::try_from(dice.between(0, replicas as u64)).unwrap();
    let order = usize::try_from(dice.between(0, orders as u64)).unwrap();
    match dice.between(0, 23) {
        0..7 => {
            let long = dice.seconds(5, 20 * MINUTE);
            let mut faults = vec![fault(dice, of)];
            // One may concern the work, and the other its answer.
            if dice.percent(40) {
                faults.push(fault(dice, of));
            }
            Happening::Upstream(faults, long)
        }
        7 | 8 => {
            let on = dice.pick(&[None, Some(replica)]);
            let long = dice.seconds(1, 3 * MINUTE);
            Happening::Store(store(dice), on, long)
        }
        9 | 10 => {
            let name = dice.pick(&[
                "intend",
                "intend",
                "intend",
                "answer",
                "advance",
                "finish",
                "start",
                "beat",
                "reserve",
                "live_findings",
            ]);
            let fault = dice.pick(&[memory::Fault::AnswerLost, memory::Fault::Hangs]);
            Happening::StoreOnce(name, fault, dice.pick(&[None, Some(replica)]))
        }
        11 => {
            let longest = dice.pick(&[15, 2 * MINUTE, 90 * MINUTE]);
            Happening::Kill(replica, dice.seconds(0, longest))
        }
        12 => {
            let calls = [
                "intend",
                "answer",
                "advance",
                "finish",
                "start",
                "apply_findings",
                "open_members",
                "remember_observations",
                "recover_intended",
                "latch_guard",
            ];
            let call = match dice.percent(40) {
                true => DoomedCall::Write,
                false => DoomedCall::Store(dice.pick(&calls)),
            };
            let after = dice.percent(50);
            Happening::Doom(replica, Doom { call, after }, dice.seconds(30, 10 * MINUTE))
        }
        13 => Happening::Roll(replica),
        14 => Happening::Stop(replica, dice.seconds(1, 2 * MINUTE)),
        22 => {
            let call = dice.pick(&["intend", "intend", "advance", "reserve", "start"]);
            let act = match dice.between(0, 4) {
                0 => Act::Acknowledge(order),
                1 => act(dice, order),
                _ => Act::Pause(None, dice.seconds(10 * MINUTE, 20 * MINUTE)),
            };
            Happening::Freeze(replica, call, act, dice.seconds(5, 2 * MINUTE))
        }
        15 => match dice.percent(70) {
            true => Happening::Clock(replica, clock(dice)),
            false => Happening::StoreClock(clock(dice)),
        },
        16 | 17 => Happening::Order(order, change(dice)),
        _ => Happening::Person(act(dice, order)),
    }
}

/// Mostly a moment, sometimes much.
fn clock(dice: &mut Dice) -> i64 {
    let most = dice.pick(&[500, 3_000, 3_000, 40_000]);
    let by = dice.between(0, 2 * most);
    i64::try_from(by).unwrap() - i64::try_from(most).unwrap()
}

fn store(dice: &mut Dice) -> memory::Fault {
    use memory::Fault::{AnswerLost, Away, Full, Hangs, ReadOnly, Slow};
    let slow = Slow(dice.seconds(0, 7));
    dice.pick(&[slow, Away, Full, ReadOnly, AnswerLost, Hangs])
}

fn fault(dice: &mut Dice, of: Upstream) -> Fault {
    let error = |status, applied| Effect::Error {
        status,
        applied,
        shape: ErrorShape::Object,
    };
    let applied = dice.percent(60);
    let filter = dice.pick(Filter::ALL);
    let (what, on): (Effect, &[&str]) = match dice.between(0, 21) {
        0 => (Effect::Drop { applied }, &["writes"]),
        1 => (Effect::Hang { applied }, &["writes"]),
        2 => (error(502, applied), &["writes"]),
        3 => (error(dice.pick(&[400, 404, 409, 422]), false), &["writes"]),
        4 => (Effect::Cut, &["writes"]),
        5 => (Effect::Undecodable, &["writes"]),
        6 => (Effect::EmptyObject, &["all"]),
        7 => (Effect::NoEffect, &["writes"]),
        8 => {
            let ms = dice.between(1, of.slowness.effect);
            (Effect::LateEffect { ms }, &["writes"])
        }
        9 => (Effect::UndatedEffect, &["writes"]),
        10 => {
            let ms = dice.between(1, of.slowness.lag);
            (Effect::Stale { ms }, &["reads"])
        }
        11 => (Effect::NoDate, &["gets"]),
        12 => (Effect::FilterIgnored { filter }, &["reads"]),
        // Where a create makes a second request, one that no look-up names can't be known of.
        13 if !of.makes_seconds => (Effect::Omit { share: 0.5 }, &["reads"]),
        14 if !of.makes_seconds => (
            Effect::ShortList {
                share: dice.pick(&[0.0, 0.5]),
            },
            &["reads"],
        ),
        15 => (error(404, false), &["gets"]),
        16 => {
            let retry_after = dice.pick(&[None, Some(1), Some(30)]);
            (Effect::Throttle { retry_after }, &["all"])
        }
        17 => (error(401, false), &["all"]),
        18 => (error(503, false), &["all"]),
        // Later than the last look: one that no list ever named, nobody can know of.
        19 => (Effect::OmitSecond { after_ms: 200_000 }, &["reads"]),
        _ => {
            let ms = dice.between(1, 15_000);
            (Effect::Latency { ms, jitter_ms: 0 }, &["all"])
        }
    };
    let fault = Fault::new(what).on(on);
    match dice.between(0, 3) {
        0 => fault.rate(0.3),
        1 => fault.times(dice.between(1, 4)),
        _ => fault,
    }
}

/// What becomes of an order without us.
fn change(dice: &mut Dice) -> Value {
    match dice.between(0, 6) {
        0..3 => json!({"status": "NOT_SENT"}),
        3 => json!({"status": "PROCESSING"}),
        4 => json!({"status": "INSTALLED"}),
        _ => json!({"cancelling": true}),
    }
}

fn act(dice: &mut Dice, order: usize) -> Act {
    let job = usize::try_from(dice.between(0, JOBS.len() as u64)).unwrap();
    match dice.between(0, 10) {
        0 => {
            let until = dice.seconds(30, 20 * MINUTE);
            Act::Pause(dice.pick(&[None, Some(job)]), until)
        }
        1 => Act::Resume(dice.pick(&[None, Some(job)])),
        2 => Act::Release(job),
        3 | 4 => Act::Acknowledge(order),
        5 => Act::Unacknowledge(order),
        6 => Act::Settle(order),
        7 => Act::Retry(order),
        8 => Act::Trigger(job),
        _ => Act::Reload(Settings {
            enforce: dice.percent(50),
            stuck_after: dice.pick(&[30, 30, 60]),
        }),
    }
}
