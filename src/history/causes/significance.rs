//! How likely chance alone is: one value, and many values at once.

use statrs::distribution::{DiscreteCDF, Hypergeometric};

/// How likely at least `drawn` of `draws` have what `having` of `population` have, if they were drawn blindly (Fisher's
/// test, one-sided). What can't be is certain, so that it never passes for a cause.
pub(super) fn by_chance(drawn: u64, draws: u64, having: u64, population: u64) -> f64 {
    // As frequent as among all, or less: no test is needed to know that it is nothing. Wide numbers, so nothing overflows.
    let is_usual =
        u128::from(drawn) * u128::from(population) <= u128::from(draws) * u128::from(having);
    if drawn == 0 || is_usual {
        return 1.0;
    }
    match Hypergeometric::new(population, having, draws) {
        Ok(blind) => blind.sf(drawn - 1),
        Err(_) => 1.0,
    }
}

/// Up to which of these an answer is taken for none of chance's: of all that are taken, at most the share `rate` is
/// expected to be (Benjamini and Hochberg). None: not one.
pub(super) fn limit(values: &[f64], rate: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let tested = sorted.len() as f64;
    let mut passing = sorted.iter().enumerate().rev();
    let last = passing.find(|(place, value)| **value <= rate * (*place as f64 + 1.0) / tested);
    last.map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binomial(n: u64, k: u64) -> f64 {
        (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
    }

    #[test]
    fn chance_is_what_counting_all_draws_says() {
        for (drawn, draws, having, population) in [(3, 5, 4, 20), (4, 4, 6, 30), (5, 9, 7, 25)] {
            let ways = |k: u64| binomial(having, k) * binomial(population - having, draws - k);
            let ways: f64 = (drawn..=draws.min(having)).map(ways).sum();
            let counted = ways / binomial(population, draws);
            let said = by_chance(drawn, draws, having, population);
            assert!((said / counted - 1.0).abs() < 1e-9, "{said} {counted}");
        }
    }

    #[test]
    fn what_is_no_more_frequent_than_among_all_is_chance() {
        for (drawn, draws, having, population) in [
            (0, 9, 0, 100),
            (1, 10, 10, 100),
            (9, 9, 100, 100),
            (3, 2, 5, 4),
        ] {
            assert_eq!(by_chance(drawn, draws, having, population), 1.0);
        }
    }

    #[test]
    fn a_million_requests_are_counted_as_exactly() {
        let said = by_chance(40, 43, 50, 1_000_000);
        assert!(said > 0.0 && said < 1e-100, "{said}");
    }

    #[test]
    fn the_more_are_tested_the_less_passes() {
        assert_eq!(limit(&[0.004, 0.9], 0.01), Some(0.004));
        assert_eq!(limit(&[0.004, 0.9, 0.8], 0.01), None);
        assert_eq!(limit(&[0.9, 0.006, 0.004, 0.005], 0.01), Some(0.006));
        assert_eq!(limit(&[], 0.01), None);
    }
}
