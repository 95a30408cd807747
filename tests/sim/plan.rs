//! What happens in a world, as a value: made from a seed alone, before anything runs. So a failing world can be run again
//! with some of it left out.

use std::time::Duration;

use serde_json::Value;
use tesa_reconciler::sandbox::{Ages, Effect, Fault, RepeatedCreate};

use crate::memory;

pub const MINUTE: u64 = 60;

/// Trouble begins within so many seconds from the start; after them it ends.
pub const TROUBLE: u64 = 60 * MINUTE;

/// So much longer the world goes on in peace, for what is under way to come to its end.
pub const PEACE: u64 = 150 * MINUTE;

/// How slow the upstream is in a world, at most. An effect that comes as late as it may still shows at the last look at its
/// write, which is 135 s after it was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Slowness {
    /// From a write to its effect, in milliseconds.
    pub effect: u64,
    /// By which reads lag behind, in milliseconds.
    pub lag: u64,
}

/// A world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// Processes over one store.
    pub replicas: usize,
    /// What the upstream does with a second create.
    pub repeated_create: RepeatedCreate,
    /// How its lists compare dates.
    pub ages: Ages,
    /// How late every answer of the upstream is.
    pub latency: Duration,
    /// How late effects and reads may be.
    pub slowness: Slowness,
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
    /// The first pause between two attempts, in seconds.
    pub backoff: u64,
    /// The pause between two runs of `retry-stuck`, in seconds.
    pub every: u64,
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
    /// A process stands still when the answer to such a call to the store is on its way to it; a person does something
    /// meanwhile, and so much later it goes on.
    Freeze(usize, &'static str, Act, Duration),
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
        match self.has(|effect| matches!(effect, Effect::Stale { .. })) {
            true => Duration::from_millis(self.slowness.lag),
            false => Duration::ZERO,
        }
    }

    /// Lists always name all that there is, as it is.
    pub fn lists_are_true(&self) -> bool {
        !self.has(|effect| {
            matches!(
                effect,
                Effect::Stale { .. }
                    | Effect::FilterIgnored { .. }
                    | Effect::Omit { .. }
                    | Effect::ShortList { .. }
                    | Effect::OmitSecond { .. }
                    | Effect::EmptyObject
                    | Effect::NoDate
                    | Effect::UndatedEffect
            )
        })
    }

    /// Nothing that it answers contradicts anything else, so whoever says that it does raises a false alarm.
    pub fn upstream_is_honest(&self) -> bool {
        self.lists_are_true()
            && !self.has(|effect| matches!(effect, Effect::Error { status: 404, .. }))
    }

    fn has(&self, is_it: impl Fn(&Effect) -> bool) -> bool {
        self.happenings.iter().any(|(_, what)| match what {
            Happening::Upstream(faults, _) => faults.iter().any(|fault| is_it(&fault.what)),
            _ => false,
        })
    }
}

/// As a person reads it.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            replicas,
            repeated_create,
            ages,
            latency,
            slowness,
            limits,
            ..
        } = self;
        writeln!(
            f,
            "{replicas} processes, {repeated_create:?}, {ages:?}, latency {latency:?}, {slowness:?}, {limits:?}"
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
