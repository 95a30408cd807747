//! How far apart a schedule's slots lie: what an alert on staleness must wait for, so that it scales with the
//! configuration. A job that runs on working days only is not late on a Sunday.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::spec::When;

/// A working week repeats within this.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(8);
/// Rarer slots (monthly, quarterly) are looked at this often, whatever time that spans.
const AT_LEAST: usize = 5;
/// A slot each second of eight days is not worth enumerating: pauses of such jobs show early.
const AT_MOST: usize = 5_000;

impl When {
    /// The longest pause between two of the slots that follow `from`, over a week or more. None if there are no two.
    pub fn longest_pause(&self, from: DateTime<Utc>) -> Option<Duration> {
        if let Self::Every(interval) = self {
            return Some(*interval);
        }
        let mut slot = self.next_after(from)?;
        let mut longest = None;
        for seen in 0..AT_MOST {
            let Some(next) = self.next_after(slot) else {
                break;
            };
            longest = longest.max((next - slot).to_std().ok());
            if seen + 1 >= AT_LEAST && next - from > LOOK_AHEAD {
                break;
            }
            slot = next;
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use croner::parser::{CronParser, Seconds};

    use super::*;

    fn cron(text: &str) -> When {
        let parser = CronParser::builder().seconds(Seconds::Required).build();
        When::Cron {
            cron: Box::new(parser.parse(text).unwrap()),
            text: text.to_owned(),
            zone: crate::zone::Zone::UTC,
        }
    }

    #[test]
    fn the_longest_pause_is_the_night_or_the_week_end_if_there_is_one() {
        const HOUR: u64 = 3600;
        let from = "2026-03-02T10:17:00Z".parse().unwrap();
        for (when, expected) in [
            (When::Every(Duration::from_secs(300)), 300),
            (cron("0 */5 * * * *"), 300),
            (cron("0 0 3 * * *"), 24 * HOUR),
            (cron("0 0 8-20 * * *"), 12 * HOUR),
            (cron("0 0 9 * * 1-5"), 72 * HOUR),
            (cron("0 0 0 1 * *"), 31 * 24 * HOUR),
        ] {
            let longest = when.longest_pause(from);
            assert_eq!(longest, Some(Duration::from_secs(expected)), "{when}");
        }
    }
}
