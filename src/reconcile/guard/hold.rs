//! When many are sick at once, the fault is elsewhere: act on none. Pure.

/// When the guard holds a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HoldLimits {
    /// More requests than this …
    pub count: u32,
    /// … and more than this share of the org's open ones.
    pub fraction: f64,
}

impl HoldLimits {
    /// So few can't be a correlated failure, whatever their share; the open ones need not be counted.
    pub fn count_is_harmless(&self, wanted: u64) -> bool {
        wanted <= u64::from(self.count)
    }

    /// Both limits are exceeded: nothing may be sent.
    pub fn holds(&self, wanted: u64, open: u64) -> bool {
        // As a product, so that an org without open requests (they were counted an instant later) holds too.
        !self.count_is_harmless(wanted) && wanted as f64 > self.fraction * open as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_count_and_share_must_be_exceeded() {
        let limits = HoldLimits {
            count: 200,
            fraction: 0.1,
        };
        let cases = [
            (0, 0, false),
            (200, 200, false),
            (201, 200, true),
            (201, 2_010, false),
            (201, 2_009, true),
            (300, 10_000, false),
            (5_000, 10_000, true),
            (201, 0, true),
        ];
        for (wanted, open, expected) in cases {
            assert_eq!(limits.holds(wanted, open), expected, "{wanted} of {open}");
        }
    }
}
