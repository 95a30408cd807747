//! Whether globs together match all that another one matches: pure.
//!
//! A glob is a small automaton: `*` stays where it is, `?` and a letter go one on. So the question is whether some text leads
//! the one to its end and none of the others to theirs. It is answered by walking through all states that any text can lead
//! to; texts differ only in the letters that some glob names, for all others are alike to all of them.

use std::collections::{BTreeSet, HashSet};

use wildmatch::WildMatch;

/// Beyond so many states nothing is claimed: people write globs of a few letters, which have a few dozen.
const MOST_STATES: usize = 10_000;

/// Where a text may have led a glob: places in its pattern, in ascending order.
type Places = Vec<usize>;

/// Every text that `glob` matches is matched by one of the others. Where that would take too long to tell: no.
pub fn covered(glob: &WildMatch, by: &[&WildMatch]) -> bool {
    let patterns: Vec<&[char]> = std::iter::once(glob)
        .chain(by.iter().copied())
        .map(WildMatch::pattern_chars)
        .collect();
    let mut letters: BTreeSet<Option<char>> = patterns
        .iter()
        .flat_map(|pattern| pattern.iter())
        .filter(|letter| !matches!(letter, '*' | '?'))
        .map(|letter| Some(*letter))
        .collect();
    // Any letter that none of them names.
    letters.insert(None);
    let begin: Vec<Places> = patterns
        .iter()
        .map(|pattern| rested(pattern, [0].into()))
        .collect();
    let mut known = HashSet::from([begin.clone()]);
    let mut left = vec![begin];
    while let Some(state) = left.pop() {
        let mut ends = patterns
            .iter()
            .zip(&state)
            .map(|(pattern, places)| places.contains(&pattern.len()));
        let ends_here = ends.next().unwrap_or(false);
        if ends_here && !ends.any(|ends| ends) {
            return false;
        }
        for letter in &letters {
            let next: Vec<Places> = patterns
                .iter()
                .zip(&state)
                .map(|(pattern, places)| after(pattern, places, *letter))
                .collect();
            let is_dead = next.first().is_none_or(Vec::is_empty);
            if !is_dead && known.insert(next.clone()) {
                left.push(next);
            }
        }
        if known.len() > MOST_STATES {
            return false;
        }
    }
    true
}

/// Where a letter leads from these places; none is a letter that no glob names.
fn after(pattern: &[char], places: &[usize], letter: Option<char>) -> Places {
    let mut next = BTreeSet::new();
    for &place in places {
        match pattern.get(place) {
            Some('*') => {
                next.insert(place);
            }
            Some('?') => {
                next.insert(place + 1);
            }
            Some(named) if Some(*named) == letter => {
                next.insert(place + 1);
            }
            _ => {}
        }
    }
    rested(pattern, next)
}

/// With where no letter at all leads: a `*` may match nothing.
fn rested(pattern: &[char], mut places: BTreeSet<usize>) -> Places {
    for (place, letter) in pattern.iter().enumerate() {
        if *letter == '*' && places.contains(&place) {
            places.insert(place + 1);
        }
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_covered(glob: &str, by: &[&str]) -> bool {
        let by: Vec<WildMatch> = by.iter().map(|glob| WildMatch::new(glob)).collect();
        covered(&WildMatch::new(glob), &by.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_glob_is_covered_where_every_text_of_it_is() {
        let cases: [(&str, &[&str], bool); 16] = [
            ("CLI-012", &["CLI-*"], true),
            ("CLI-1*", &["CLI-*"], true),
            ("CLI-*", &["CLI-1*"], false),
            ("CLI-?", &["CLI-*"], true),
            ("CLI-?", &["CLI-??"], false),
            ("CLI-*", &["CLI-?*", "CLI-"], true),
            ("CLI-*", &["CLI-?*"], false),
            ("*-1", &["*1"], true),
            ("*1*", &["*", "x"], true),
            ("*", &["?*"], false),
            ("*", &["?*", ""], true),
            ("a*b", &["a*", "*b"], true),
            ("a*", &["a*b"], false),
            ("??", &["?", "??*"], true),
            ("", &["*"], true),
            ("CLI-1", &[], false),
        ];
        for (glob, by, expected) in cases {
            assert_eq!(is_covered(glob, by), expected, "{glob} by {by:?}");
        }
    }

    #[test]
    fn what_would_take_too_long_to_tell_is_not_claimed() {
        let hard = format!("*a{}", "?".repeat(40));
        assert!(!is_covered(&format!("*b{}", "?".repeat(40)), &[&hard]));
    }

    proptest! {
        /// Held against the matcher itself, over all short texts.
        #[test]
        fn it_is_what_the_matcher_does(
            glob in "[ab*?]{0,4}",
            by in proptest::collection::vec("[ab*?]{0,4}", 0..3),
        ) {
            let (one, others) = (WildMatch::new(&glob), by.iter().map(|glob| WildMatch::new(glob)));
            let others: Vec<WildMatch> = others.collect();
            let covered = covered(&one, &others.iter().collect::<Vec<_>>());
            let mut texts = vec![String::new()];
            for length in 0..6 {
                let longest: Vec<String> = texts.iter().filter(|text| text.len() == length).cloned().collect();
                texts.extend(longest.iter().flat_map(|text| ["a", "b", "c"].map(|letter| format!("{text}{letter}"))));
            }
            let escapes = texts.iter().any(|text| {
                one.matches(text) && !others.iter().any(|other| other.matches(text))
            });
            prop_assert_eq!(covered, !escapes, "{} by {:?}", glob, by);
        }
    }
}
