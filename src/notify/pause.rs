//! How long a delivery that failed waits for its next try: twice as long each time, spread by chance, never beyond a
//! quarter of an hour. An alert that stands is worth telling when the receiver is back, be it after a weekend.

use chrono::TimeDelta;

const FIRST: i64 = 5_000;
const LONGEST: i64 = 15 * 60 * 1_000;

/// The pause after so many tries; `random` spreads it over its second half, so that replicas don't come in step.
pub fn pause(tries: u32, random: u64) -> TimeDelta {
    let doublings = tries.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let half = full / 2;
    let spread = i64::try_from(random % half.unsigned_abs()).unwrap_or(0);
    TimeDelta::milliseconds(half + spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_seconds_to_a_quarter_of_an_hour() {
        for (tries, least, most) in [
            (0, 2_500, 5_000),
            (1, 2_500, 5_000),
            (2, 5_000, 10_000),
            (3, 10_000, 20_000),
            (8, 320_000, 640_000),
            (9, 450_000, 900_000),
            (u32::MAX, 450_000, 900_000),
        ] {
            for random in [0, 1, 2_499, u64::MAX] {
                let pause = pause(tries, random).num_milliseconds();
                assert!((least..most).contains(&pause), "{tries}: {pause}");
            }
        }
    }
}
