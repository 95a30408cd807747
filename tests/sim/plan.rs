//! What happens in a world, as a value: made from a seed alone, before anything runs. So a failing world can be run again
//! with some of it left out.

use std::time::Duration;

use serde_json::{Value, json};
use tesa_reconciler::domain::Filter;
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault, RepeatedCreate};

use crate::dice::Dice;
use crate::memory;

const MINUTE: u64 = 60;

/// Trouble begins within so many seconds from the start; after them it ends.
pub const TROUBLE: u64 = 60 * MINUTE;

/// So much longer the world goes on in peace, for what is under way to come to its end.
pub const PEACE: u64 = 150 * MINUTE;

/// An effect comes later by so many milliseconds at most: before the last look at its write, which is 135 s after it was
/// accepted.
const LATEST: u64 = 80_000;

/// Reads lag behind by so many milliseconds at most: an effect that came as late as it may still shows at the last look.
const LONGEST_LAG: u64 = 45_000;

/// A world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Processes over one store.
    pub replicas: usize,
    /// What the upstream does with a second create.
    pub repeated_create: RepeatedCreate,
    /// How late every answer of the upstream is.
    pub latency: Duration,
    /// The limits of `[safety]`.
    pub limits: Limits,
    /// The requests, each as a patch of the empty world.
    pub orders: Vec<Order>,
    /// What happens, and when.
    pub happenings: Vec<(Duration, Happening)>,
}

/// See `[safety]`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub per_run: u64,
    pub per_hour: u64,
    pub hold_above: u64,
    pub max_attempts: u64,
}

/// One order of the world.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its external reference.
    pub name: String,
    /// As the world is patched with it.
    pub patch: Value,
    /// The daemon can repair it.
    pub is_repairable: bool,
}

/// Something happens.
#[derive(Debug, Clone)]
pub enum Happening {
    /// The upstream misbehaves for so long.
    Upstream(Vec<Fault>, Duration),
    /// The store does, for one process or for all.
    Store(memory::Fault, Option<usize>, Duration),
    /// The next call of this name to the store does.
    StoreOnce(&'static str, memory::Fault, Option<usize>),
    /// A process is gone at once, and another one begins so much later.
    Kill(usize, Duration),
    /// A process is gone at such a call, should it make one meanwhile; another one begins when that time is over.
    Doom(usize, Doom, Duration),
    /// A process ends in good order, and another one begins at once.
    Roll(usize),
    /// A process stands still for so long.
    Stop(usize, Duration),
    /// A process's wall clock is set so many milliseconds ahead of the truth.
    Clock(usize, i64),
    /// The store's is.
    StoreClock(i64),
    /// A person does something.
    Person(Act),
    /// Something becomes of an order without us.
    Order(usize, Value),
}

/// At which call a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doom {
    pub call: DoomedCall,
    /// Only after it had its effect, but before its answer is known.
    pub after: bool,
}

/// See [`Doom`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoomedCall {
    /// The next of this name to the store.
    Store(&'static str),
    /// The next write to the upstream.
    Write,
}

/// What people do.
#[derive(Debug, Clone)]
pub enum Act {
    /// Of a job or of all, until so much later.
    Pause(Option<usize>, Duration),
    Resume(Option<usize>),
    Release(usize),
    Acknowledge(usize),
    Unacknowledge(usize),
    /// Settles an attempt of the order that needs a person, by what really became of it.
    Settle(usize),
    Retry(usize),
    Trigger(usize),
    /// Every process reads its configuration again, a second apart.
    Reload(Settings),
}

/// What a reload may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub enforce: bool,
    /// The stuck age, in minutes.
    pub stuck_after: u64,
}

impl Settings {
    /// In which every world begins and ends.
    pub const PLAIN: Self = Self {
        enforce: true,
        stuck_after: 30,
    };
}

/// The jobs, by place.
pub const JOBS: [&str; 3] = ["retry-stuck", "resolve-issues", "flag-events"];

impl Plan {
    /// How far reads lag behind at most.
    pub fn lag(&self) -> Duration {
        let lags = self.happenings.iter().any(|(_, what)| match what {
            Happening::Upstream(faults, _) => faults
                .iter()
                .any(|fault| matches!(fault.what, Effect::Stale { .. })),
            _ => false,
        });
        match lags {
            true => Duration::from_millis(LONGEST_LAG),
            false => Duration::ZERO,
        }
    }

    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 1);
        let replicas = usize::try_from(dice.pick(&[1, 1, 2, 2, 3])).unwrap();
        // Many are stuck already, or they become so in the course of the trouble.
        let oldest = dice.pick(&[30, 30, 240]);
        let orders: Vec<Order> = (0..dice.between(3, 12))
            .map(|n| order(&mut dice, n, oldest))
            .collect();
        let mut happenings: Vec<(Duration, Happening)> = (0..dice.between(0, 24))
            .map(|_| {
                let at = instant(&mut dice);
                (at, happening(&mut dice, replicas, orders.len()))
            })
            .collect();
        happenings.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            replicas,
            repeated_create: dice.pick(&[RepeatedCreate::TakesUp, RepeatedCreate::SecondBeside]),
            latency: Duration::from_millis(dice.pick(&[0, 5, 20, 200])),
            limits: Limits {
                per_run: dice.between(1, 8),
                per_hour: dice.pick(&[3, 6, 30, 30]),
                hold_above: dice.pick(&[2, 6, 50, 50, 50]),
                max_attempts: dice.between(1, 4),
            },
            orders,
            happenings,
        }
    }
}

/// As a person reads it.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            replicas,
            repeated_create,
            latency,
            limits,
            ..
        } = self;
        writeln!(
            f,
            "{replicas} processes, {repeated_create:?}, latency {latency:?}, {limits:?}"
        )?;
        for order in &self.orders {
            writeln!(f, "  {}", order.patch)?;
        }
        for (at, what) in &self.happenings {
            writeln!(f, "  after {at:?}: {what:?}")?;
        }
        Ok(())
    }
}

/// Mostly when a run is under way: they begin with the minute.
fn instant(dice: &mut Dice) -> Duration {
    match dice.percent(60) {
        true => {
            let minute = dice.between(0, TROUBLE / MINUTE);
            Duration::from_secs(minute * MINUTE) + dice.seconds(0, 8)
        }
        false => dice.seconds(0, TROUBLE),
    }
}

/// Its age is below `oldest` minutes.
fn order(dice: &mut Dice, n: u64, oldest: u64) -> Order {
    let name = format!("ORDER-{n}");
    let age = format!("{}s", dice.between(0, oldest * MINUTE));
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

fn happening(dice: &mut Dice, replicas: usize, orders: usize) -> Happening {
    let replica = usize::try_from(dice.between(0, replicas as u64)).unwrap();
    let order = usize::try_from(dice.between(0, orders as u64)).unwrap();
    match dice.between(0, 22) {
        0..7 => {
            let long = dice.seconds(5, 20 * MINUTE);
            let mut faults = vec![upstream(dice)];
            // One may concern the work, and the other its answer.
            if dice.percent(40) {
                faults.push(upstream(dice));
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
        11 => Happening::Kill(replica, dice.seconds(0, 2 * MINUTE)),
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

fn upstream(dice: &mut Dice) -> Fault {
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
            let ms = dice.between(1, LATEST);
            (Effect::LateEffect { ms }, &["writes"])
        }
        9 => (Effect::UndatedEffect, &["writes"]),
        10 => {
            let ms = dice.between(1, LONGEST_LAG);
            (Effect::Stale { ms }, &["reads"])
        }
        11 => (Effect::NoDate, &["gets"]),
        12 => (Effect::FilterIgnored { filter }, &["reads"]),
        13 => (Effect::Omit { share: 0.5 }, &["reads"]),
        14 => (
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
