//! Finds the causes of a selection, the strongest first.
//!
//! A round tests every value that is left, and takes the best of those that pass. Its requests are set aside, from the
//! selection and from all, so that the next round asks only what the first cause leaves open. Work and memory grow with the
//! selection and its values; the open requests are numbers.

use std::collections::BTreeMap;

use super::significance::{by_chance, limit};
use super::{AT_LEAST, BY_CHANCE, Beginnings, Cause, Fact, LIFT, Population, SHARE, Selected};

/// A value of the selection: who has it, and how many of those not set aside.
struct Value<'s> {
    fact: &'s Fact,
    who: Vec<usize>,
    selected: u64,
    open: u64,
}

/// A value that passes every test.
struct Passing {
    value: usize,
    p: f64,
}

/// What the selected ones have in common, the strongest first; nothing where chance would do the same.
pub fn causes(
    selected: &[Selected],
    population: &Population,
    beginnings: &Beginnings,
) -> Vec<Cause> {
    let mut values = values(selected, population);
    let mut is_left = vec![true; selected.len()];
    let mut of_selected = selected.len() as u64;
    // They were counted at another instant than the selection was made.
    let most = values.iter().map(|value| value.open).max();
    let mut of_open = population.len().max(of_selected).max(most.unwrap_or(0));
    let mut found = Vec::new();
    while let Some(best) = best(&values, of_selected, of_open) {
        let taken: Vec<usize> = values[best.value]
            .who
            .iter()
            .copied()
            .filter(|one| is_left[*one])
            .collect();
        let same = inseparable(&values, &best, &taken, &is_left, of_selected, of_open);
        let facts = std::iter::once(best.value).chain(same);
        let facts = facts.map(|value| values[value].fact.clone()).collect();
        let began = taken.iter().filter_map(|one| selected[*one].began);
        let first = began.clone().min();
        found.push(Cause {
            facts,
            selected: taken.len() as u64,
            of_selected,
            open: values[best.value].open,
            of_open,
            p: best.p,
            began: first,
            is_burst: first.is_some_and(|first| beginnings.is_burst(first, began)),
            requests: taken
                .iter()
                .map(|one| {
                    (
                        selected[*one].org.clone(),
                        selected[*one].reference_id.clone(),
                    )
                })
                .collect(),
        });
        for one in &taken {
            is_left[*one] = false;
        }
        set_aside(&mut values, &is_left);
        of_selected -= taken.len() as u64;
        of_open -= taken.len() as u64;
    }
    found
}

/// Every value of the selection.
fn values<'s>(selected: &'s [Selected], population: &Population) -> Vec<Value<'s>> {
    let mut who: BTreeMap<&Fact, Vec<usize>> = BTreeMap::new();
    for (place, one) in selected.iter().enumerate() {
        for fact in &one.facts {
            who.entry(fact).or_default().push(place);
        }
    }
    let value = |(fact, who): (&'s Fact, Vec<usize>)| {
        let number = who.len() as u64;
        let open = population.having.get(fact).copied().unwrap_or_default();
        Value {
            fact,
            selected: number,
            open: open.max(number),
            who,
        }
    };
    who.into_iter().map(value).collect()
}

/// Takes those that are no longer left out of every value's numbers.
fn set_aside(values: &mut [Value<'_>], is_left: &[bool]) {
    for value in values {
        let left = value.who.iter().filter(|one| is_left[**one]).count() as u64;
        value.open -= value.selected - left;
        value.selected = left;
    }
}

/// The strongest of those that pass: first what rules don't ask for themselves, then the least likely by chance, then the
/// one that explains most.
fn best(values: &[Value<'_>], of_selected: u64, of_open: u64) -> Option<Passing> {
    let tested = values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.selected > 0);
    let tested: Vec<Passing> = tested
        .map(|(place, value)| Passing {
            value: place,
            p: by_chance(value.selected, of_selected, value.open, of_open),
        })
        .collect();
    let p: Vec<f64> = tested.iter().map(|one| one.p).collect();
    let limit = limit(&p, BY_CHANCE)?;
    let passing = tested
        .into_iter()
        .filter(|one| one.p <= limit && is_much(&values[one.value], of_selected, of_open));
    passing.min_by(|one, other| {
        let (a, b) = (&values[one.value], &values[other.value]);
        let asked = |value: &Value<'_>| value.fact.dimension.is_asked_for();
        asked(a)
            .cmp(&asked(b))
            .then(one.p.total_cmp(&other.p))
            .then(b.selected.cmp(&a.selected))
            .then(a.open.cmp(&b.open))
    })
}

/// Enough of them, in themselves and against all.
fn is_much(value: &Value<'_>, of_selected: u64, of_open: u64) -> bool {
    let (k, n) = (value.selected as f64, of_selected as f64);
    let (open, all) = (value.open as f64, of_open as f64);
    value.selected >= AT_LEAST && k >= SHARE * n && k * all >= LIFT * open * n
}

/// Other values that are much too, and of exactly the same requests.
fn inseparable(
    values: &[Value<'_>],
    best: &Passing,
    taken: &[usize],
    is_left: &[bool],
    of_selected: u64,
    of_open: u64,
) -> Vec<usize> {
    let same = values.iter().enumerate().filter(|(place, value)| {
        let left = value.who.iter().filter(|one| is_left[**one]);
        *place != best.value
            && value.selected == taken.len() as u64
            && is_much(value, of_selected, of_open)
            && left.eq(taken.iter())
    });
    same.map(|(place, _)| place).collect()
}
