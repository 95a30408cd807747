//! How an org's rate is given away: the generic cell rate algorithm, pure.
//!
//! One instant says it all: up to `next` the rate is given away. Who asks for so many calls moves it on by as many
//! intervals and may spread its calls over them, unless `next` already lies further ahead than the asker may look. So
//! no second ever sees more than the rate and one reservation, however many ask; and who may look further ahead
//! overtakes those who may not.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// No upstream is obeyed for longer, whatever its `Retry-After` says.
pub const LONGEST_HOLD_BACK: Duration = Duration::from_secs(3600);

/// Nobody reserves further ahead than a person's horizon and a few calls: what lies beyond was written while the clock
/// was ahead, and is no reason to wait.
const FURTHEST_NEXT: Duration = Duration::from_secs(60);

/// What is rated apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKind {
    /// Lists, requests, events, issues.
    Reads,
    /// Everything that changes an order.
    Writes,
}

impl RateKind {
    /// Both of them.
    pub const ALL: &[Self] = &[Self::Reads, Self::Writes];

    /// As it stands in a row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// How far ahead a caller may reserve, and so who overtakes whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Haste {
    /// A scheduled run: much to ask, nobody waits.
    Sweep,
    /// A person's trigger, the verifier, the reads before a write: little to ask, somebody waits.
    Prompt,
}

impl Haste {
    /// The furthest instant from now that may already be given away when another call is reserved.
    pub const fn horizon(self) -> Duration {
        match self {
            Self::Sweep => Duration::from_millis(250),
            Self::Prompt => Duration::from_secs(1),
        }
    }
}

/// A question for some of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// So many calls.
    pub count: u32,
    /// One call takes this much of the rate.
    pub interval: Duration,
    /// See [`Haste::horizon`].
    pub horizon: Duration,
}

impl Ask {
    /// What all its calls take together.
    pub fn span(&self) -> Duration {
        self.interval.saturating_mul(self.count)
    }
}

/// The answer. Lengths of time and no instants, because whoever asks may have another clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The first call may go after this long, each further one an interval later.
    Granted(Duration),
    /// Nothing now; asking is worth it after this long.
    Refused(Duration),
}

/// What is remembered of one org's reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Given {
    /// Up to here it is given away.
    pub next: Option<DateTime<Utc>>,
    /// The upstream asked for patience until then.
    pub held_back_until: Option<DateTime<Utc>>,
}

impl Given {
    /// When the next call could go.
    fn free_at(&self, ask: &Ask, now: DateTime<Utc>) -> DateTime<Utc> {
        let sane = |at: &DateTime<Utc>, most: Duration| *at <= now + most;
        let next = self.next.filter(|at| sane(at, FURTHEST_NEXT + ask.span()));
        let until = self
            .held_back_until
            .filter(|at| sane(at, LONGEST_HOLD_BACK));
        now.max(next.unwrap_or(now)).max(until.unwrap_or(now))
    }

    /// Answers a question, and says what is remembered from then on.
    pub fn reserve(self, ask: &Ask, now: DateTime<Utc>) -> (Self, Grant) {
        let free_at = self.free_at(ask, now);
        let wait = (free_at - now).to_std().unwrap_or_default();
        if wait >= ask.horizon && !wait.is_zero() {
            return (self, Grant::Refused(wait - ask.horizon));
        }
        let given = Self {
            next: Some(free_at + ask.span()),
            ..self
        };
        (given, Grant::Granted(wait))
    }

    /// Gives nothing away for so long; the longer of two holds back.
    #[must_use]
    pub fn hold_back(self, pause: Duration, now: DateTime<Utc>) -> Self {
        let until = now + TimeDelta::from_std(pause.min(LONGEST_HOLD_BACK)).unwrap_or_default();
        let stands = self
            .held_back_until
            .filter(|at| *at <= now + LONGEST_HOLD_BACK);
        Self {
            held_back_until: stands.max(Some(until)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_A_SECOND: Duration = Duration::from_millis(100);

    fn ask(count: u32, haste: Haste) -> Ask {
        Ask {
            count,
            interval: TEN_A_SECOND,
            horizon: haste.horizon(),
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    #[test]
    fn who_comes_later_waits_for_what_was_given_away_before() {
        let (given, first) = Given::default().reserve(&ask(2, Haste::Sweep), at(0));
        assert_eq!(first, Grant::Granted(ms(0)));
        let (given, second) = given.reserve(&ask(2, Haste::Sweep), at(0));
        assert_eq!(second, Grant::Granted(ms(200)));
        let (same, third) = given.reserve(&ask(1, Haste::Sweep), at(0));
        assert_eq!(
            (same, third),
            (given, Grant::Refused(ms(150))),
            "400 ms ahead is too far"
        );
        let (_, prompt) = given.reserve(&ask(1, Haste::Prompt), at(0));
        assert_eq!(
            prompt,
            Grant::Granted(ms(400)),
            "who may look further overtakes"
        );
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let given = Given {
            next: Some(at(0)),
            ..Given::default()
        };
        let (given, grant) = given.reserve(&ask(1, Haste::Sweep), at(60_000));
        assert_eq!(grant, Grant::Granted(ms(0)));
        assert_eq!(given.next, Some(at(60_100)));
    }

    #[test]
    fn a_memory_from_a_clock_that_was_ahead_holds_nobody_up() {
        let day = 86_400_000;
        let given = Given {
            next: Some(at(day)),
            held_back_until: Some(at(day)),
        };
        let (given, grant) = given.reserve(&ask(1, Haste::Sweep), at(0));
        assert_eq!(grant, Grant::Granted(ms(0)));
        assert_eq!(given.next, Some(at(100)));
    }

    #[test]
    fn holding_back_lasts_as_long_as_the_longest_asks_and_an_hour_at_most() {
        let given = Given::default()
            .hold_back(ms(90_000), at(0))
            .hold_back(ms(20_000), at(0));
        let (_, grant) = given.reserve(&ask(1, Haste::Prompt), at(0));
        assert_eq!(grant, Grant::Refused(ms(89_000)));
        let (_, grant) = given.reserve(&ask(1, Haste::Sweep), at(90_000));
        assert_eq!(grant, Grant::Granted(ms(0)));
        let forever = Given::default().hold_back(Duration::MAX, at(0));
        assert_eq!(forever.held_back_until, Some(at(3_600_000)));
    }

    #[test]
    fn no_second_sees_more_than_the_rate_and_one_reservation() {
        let mut given = Given::default();
        let mut calls = Vec::new();
        let mut now = 0;
        while calls.len() < 1000 {
            let question = ask(3, Haste::Sweep);
            let (after, grant) = given.reserve(&question, at(now));
            given = after;
            match grant {
                Grant::Granted(wait) => {
                    let wait = i64::try_from(wait.as_millis()).unwrap();
                    calls.extend((0..3).map(|nth| now + wait + nth * 100));
                }
                Grant::Refused(wait) => now += i64::try_from(wait.as_millis()).unwrap().max(1),
            }
        }
        for (index, call) in calls.iter().enumerate() {
            let within = calls[index..]
                .iter()
                .take_while(|later| **later < call + 1000)
                .count();
            assert!(within <= 10 + 3, "{within} from {call}");
        }
    }
}
