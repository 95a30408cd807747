//! Which of a large class are the oldest: found by asking for higher and higher ages, not by reading them all.

use std::time::Duration;

use super::algebra;
use crate::reconcile::survey::{Survey, SurveyError};
use crate::rules::classes::{Ask, Class};

/// Questions that one search asks at most.
const QUESTIONS: u32 = 16;

/// The search for an age that so many have reached, as if by a person: twice the age until there are few, then halves.
/// Pure.
#[derive(Debug, Clone, Copy)]
pub struct Bisect {
    /// At this age there are too many.
    too_young: Duration,
    /// At this age there are too few.
    too_old: Option<Duration>,
    asked: u32,
    least: usize,
    most: usize,
}

/// What the search is told of a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// Enough of them, and not too many.
    Fits,
    /// Too many: look further among older ones.
    TooMany,
    /// Too few.
    TooFew,
}

impl Bisect {
    /// From an age at which there are more than `most`, for a band of `least` to `most`.
    pub fn new(age: Duration, least: usize, most: usize) -> Self {
        Self {
            too_young: age.max(Duration::from_secs(1)),
            too_old: None,
            asked: 0,
            least,
            most,
        }
    }

    /// The next age to ask for; none when asking on would tell no more.
    pub fn next(&self) -> Option<Duration> {
        if self.asked >= QUESTIONS {
            return None;
        }
        match self.too_old {
            None => self.too_young.checked_mul(2),
            Some(old) => {
                let between = old.saturating_sub(self.too_young) / 2;
                (between >= Duration::from_millis(500)).then(|| self.too_young + between)
            }
        }
    }

    /// So many have reached that age.
    pub fn tell(&mut self, age: Duration, count: usize) -> Band {
        self.asked += 1;
        if count > self.most {
            self.too_young = age;
            Band::TooMany
        } else if count < self.least {
            self.too_old = Some(age);
            Band::TooFew
        } else {
            Band::Fits
        }
    }
}

impl Survey<'_> {
    /// The oldest of `wanting` (some of a class), at least `least` where there are as many, in no order. They are at most
    /// `most`: where more of them have the same age, which ones is left to their ids.
    pub async fn oldest<'a>(
        &self,
        class: &Class,
        wanting: &[&'a str],
        least: usize,
        most: usize,
    ) -> Result<Vec<&'a str>, SurveyError> {
        let Some(age) = class.within.age.filter(|_| wanting.len() > most) else {
            return Ok(wanting.iter().take(most).copied().collect());
        };
        let mut search = Bisect::new(age, least, most);
        let (mut smallest, mut largest) = (None::<Vec<&str>>, Vec::new());
        while let Some(age) = search.next() {
            let ask = Ask {
                age: Some(age),
                ..class.within.clone()
            };
            let band = self.ask(&ask, self.max_list_ids).await?;
            let band = algebra::both(wanting, &band.sorted());
            match search.tell(age, band.len()) {
                Band::Fits => return Ok(band),
                Band::TooMany => smallest = Some(band),
                Band::TooFew => largest = band,
            }
        }
        // Many changed at one instant. Those before it first, and some of them.
        let of_one_age = smallest.as_deref().unwrap_or(wanting);
        let rest = algebra::minus(of_one_age, &largest);
        let room = most.saturating_sub(largest.len());
        largest.extend(rest.into_iter().take(room));
        Ok(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// How many of these ages have reached an age.
    fn search(ages: &[Duration], least: usize, most: usize) -> (Option<usize>, u32) {
        let mut search = Bisect::new(HOUR, least, most);
        while let Some(age) = search.next() {
            let count = ages.iter().filter(|reached| **reached >= age).count();
            if search.tell(age, count) == Band::Fits {
                return (Some(count), search.asked);
            }
        }
        (None, search.asked)
    }

    #[test]
    fn a_band_is_found_in_few_questions() {
        let spread: Vec<Duration> = (0..100_000)
            .map(|n| HOUR + Duration::from_secs(n))
            .collect();
        let (found, asked) = search(&spread, 25, 100);
        assert!(
            found.is_some_and(|count| (25..=100).contains(&count)),
            "{found:?}"
        );
        assert!(asked <= QUESTIONS, "{asked}");
    }

    #[test]
    fn what_changed_at_one_instant_ends_the_search() {
        let one = vec![HOUR * 5; 10_000];
        let (found, asked) = search(&one, 25, 100);
        assert_eq!(found, None);
        assert!(asked <= QUESTIONS, "{asked}");
    }

    #[test]
    fn the_end_of_time_ends_it_too() {
        let mut search = Bisect::new(Duration::MAX / 2 + HOUR, 1, 2);
        assert_eq!(search.next(), None);
        search.tell(HOUR, 9);
        assert!(search.next().is_some());
    }
}
