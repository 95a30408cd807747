//! When the upstream is unwell, leave it alone: a circuit breaker, pure.
//!
//! Closed, calls go. After `threshold` failures in a row it opens: nothing goes until the pause is over. Then one
//! *read* probes; its success closes the circuit, its failure opens it again for twice as long.
//!
//! Every write has reads before it, so an upstream whose reads are well and whose writes are not would never fail
//! often enough in a row. Failed writes are therefore counted by themselves too, and only a write that is answered
//! ends that count: after each pause one write goes, until one is.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::IllHealth;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// The first pause.
    pub pause: Duration,
    /// The longest.
    pub max_pause: Duration,
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self {
            threshold: 5,
            pause: Duration::from_secs(30),
            max_pause: Duration::from_secs(600),
        }
    }
}

impl CircuitPolicy {
    /// Doubles with each opening, up to the longest.
    fn pause_after(self, failures: u32) -> Duration {
        let openings = failures.saturating_sub(self.threshold).min(20);
        self.pause.saturating_mul(1 << openings).min(self.max_pause)
    }
}

/// A breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circuit {
    /// Failures in a row, over openings too.
    pub failures: u32,
    /// Failed writes since the last one that was answered.
    pub failed_writes: u32,
    /// Set while it is not closed.
    pub open: Option<Open>,
}

/// An open breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Since when.
    pub since: DateTime<Utc>,
    /// When a probe may go.
    pub probe_at: DateTime<Utc>,
    /// A probe of this process is on its way.
    pub probing: bool,
    /// What opened it.
    pub cause: IllHealth,
}

impl Circuit {
    /// A read was answered: the upstream is well, as far as reads can tell.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self {
            failed_writes: self.failed_writes,
            ..Self::default()
        }
    }

    /// A write was answered: all is well.
    #[must_use]
    pub fn wrote(self) -> Self {
        Self::default()
    }

    /// A write failed for the upstream's ill health.
    #[must_use]
    pub fn failed_write(self, policy: CircuitPolicy, cause: IllHealth, now: DateTime<Utc>) -> Self {
        let failed_writes = self.failed_writes.saturating_add(1);
        let failed = self.failed(policy, cause, now);
        let open = failed.open.or_else(|| {
            (failed_writes >= policy.threshold).then(|| Open {
                since: now,
                probe_at: now + policy.pause_after(failed_writes),
                probing: false,
                cause,
            })
        });
        Self {
            failed_writes,
            open,
            ..failed
        }
    }

    /// A call failed for the upstream's ill health.
    #[must_use]
    pub fn failed(self, policy: CircuitPolicy, cause: IllHealth, now: DateTime<Utc>) -> Self {
        let failures = self.failures.saturating_add(1);
        let open = match self.open {
            // Calls that were on their way when it opened say nothing new.
            Some(open) if !open.probing => Some(open),
            None if failures < policy.threshold => None,
            _ => Some(Open {
                since: self.open.map_or(now, |open| open.since),
                probe_at: now + policy.pause_after(failures),
                probing: false,
                cause,
            }),
        };
        // Late failures of an open circuit must not lengthen its next pause.
        let counted = open != self.open || self.open.is_none();
        Self {
            failures: if counted { failures } else { self.failures },
            open,
            ..self
        }
    }

    /// `closed`, `open` or `half_open`.
    pub fn word(&self) -> &'static str {
        match self.open {
            None => "closed",
            Some(Open { probing: true, .. }) => "half_open",
            Some(_) => "open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    const POLICY: CircuitPolicy = CircuitPolicy {
        threshold: 3,
        pause: Duration::from_secs(30),
        max_pause: Duration::from_secs(100),
    };

    fn failed(circuit: Circuit) -> Circuit {
        circuit.failed(POLICY, IllHealth::Timeouts, fixtures::now())
    }

    fn after(failures: usize) -> Circuit {
        (0..failures).fold(Circuit::default(), |circuit, _| failed(circuit))
    }

    fn seconds(circuit: Circuit) -> i64 {
        (circuit.open.unwrap().probe_at - fixtures::now()).num_seconds()
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        assert_eq!(after(2).word(), "closed");
        assert_eq!(failed(after(2).succeeded()).word(), "closed");
        let open = after(3);
        assert_eq!(open.word(), "open");
        assert_eq!(seconds(open), 30);
        assert_eq!(open.open.unwrap().cause, IllHealth::Timeouts);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_pause_and_one_that_succeeds_closes_it() {
        let probing = |circuit: Circuit| Circuit {
            open: circuit.open.map(|open| Open {
                probing: true,
                ..open
            }),
            ..circuit
        };
        let first = probing(after(3));
        assert_eq!(
            (first.word(), first.succeeded().word()),
            ("half_open", "closed")
        );
        let second = failed(first);
        assert_eq!((second.word(), seconds(second)), ("open", 60));
        let third = failed(probing(second));
        assert_eq!(seconds(third), 100, "capped");
    }

    #[test]
    fn failures_of_calls_that_were_on_their_way_do_not_lengthen_the_pause() {
        assert_eq!(after(9), after(3));
    }

    #[test]
    fn failed_writes_open_it_although_reads_succeed_in_between() {
        let now = fixtures::now();
        let write = |circuit: Circuit| {
            circuit
                .succeeded()
                .failed_write(POLICY, IllHealth::Http5xx, now)
        };
        let two = write(write(Circuit::default()));
        assert_eq!(two.word(), "closed");
        assert_eq!(two.wrote(), Circuit::default());
        let open = write(two);
        assert_eq!(open.word(), "open");
        // A read closes it; then the first write that fails opens it again, for longer.
        let again = write(open);
        let pause = again.open.unwrap().probe_at - now;
        assert_eq!(pause, chrono::TimeDelta::seconds(60));
        assert_eq!(write(open.succeeded().wrote()).word(), "closed");
    }
}
