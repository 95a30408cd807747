//! Which rules can never match, because rules before them take all that they are for: pure.
//!
//! The first rule that matches wins, so a rule behind a wider one says something that is never heard. A rule is cut
//! into cells (one status, one org, one issue code, …), and a cell is taken where some earlier rule asks for nothing
//! more than the cell does. That is decided for several earlier rules together, and errs on one side only: what is
//! called taken is taken.

use wildmatch::WildMatch;

use super::{Matcher, Rule, glob};
use crate::domain::Status;
use crate::domain::ids::Org;

/// What earlier rules leave of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// It can match; these of its words never count.
    Reached(Vec<DeadWord>),
    /// It can't: these take everything.
    Never(Vec<usize>),
}

/// A word in a rule's list that never counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadWord {
    /// The key of the list.
    pub key: &'static str,
    /// The word.
    pub word: String,
    /// The rules that take it.
    pub by: Vec<usize>,
}

/// Where rules are to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The tenants that are looked after.
    pub orgs: &'a [Org],
    /// What a rule matches that names no status.
    pub unnamed: &'a [Status],
}

/// A rule's matcher cut to single values, and who takes it.
type Cell = (Matcher, Option<Vec<usize>>);

/// What the rules before `rules[index]` leave of it.
pub fn coverage(rules: &[&Rule], index: usize, ground: Ground<'_>) -> Coverage {
    let (earlier, matcher) = (&rules[..index], &rules[index].matcher);
    let cells: Vec<Cell> = cells(matcher, ground)
        .into_iter()
        .map(|cell| {
            let by = taken_by(&cell, earlier, ground);
            (cell, by)
        })
        .collect();
    if let Some(by) = all_taken(cells.iter()) {
        return Coverage::Never(by);
    }
    let mut dead = Vec::new();
    let mut bury = |key, word: String, holds: &dyn Fn(&Matcher) -> bool| {
        if let Some(by) = all_taken(cells.iter().filter(|(cell, _)| holds(cell))) {
            dead.push(DeadWord { key, word, by });
        }
    };
    for status in matcher.statuses.iter().flatten() {
        bury("statuses", status.to_string(), &|cell| {
            one_of(&cell.statuses, status)
        });
    }
    for owner in matcher.territory_owners.iter().flatten() {
        bury("territory_owners", owner.to_string(), &|cell| {
            one_of(&cell.territory_owners, owner)
        });
    }
    for glob in matcher.issue_codes.iter().flatten() {
        bury("issue_codes", glob.to_string(), &|cell| {
            one_of(&cell.issue_codes, glob)
        });
    }
    for org in matcher.orgs.iter().flatten() {
        bury("orgs", org.to_string(), &|cell| one_of(&cell.orgs, org));
    }
    Coverage::Reached(dead)
}

/// The rules that take a cell: the first that does by itself, or several whose issue codes do together.
fn taken_by(cell: &Matcher, earlier: &[&Rule], ground: Ground<'_>) -> Option<Vec<usize>> {
    let takes = |rule: &&Rule| takes_but_for_codes(&rule.matcher, cell, ground);
    let takers: Vec<usize> = (0..earlier.len())
        .filter(|index| takes(&earlier[*index]))
        .collect();
    let covered = |rules: &[usize]| codes_are_covered(cell, earlier, rules);
    if let Some(one) = takers.iter().find(|one| covered(&[**one])) {
        return Some(vec![*one]);
    }
    if !covered(&takers) {
        return None;
    }
    let mut needed = takers;
    for index in needed.clone() {
        let others: Vec<usize> = needed.iter().copied().filter(|one| *one != index).collect();
        if covered(&others) {
            needed = others;
        }
    }
    Some(needed)
}

/// Whatever code the cell's issue has, one of these rules asks for it. A rule that asks for none asks for all: only jobs that
/// look at issues ask for codes, so there is an issue.
fn codes_are_covered(cell: &Matcher, rules: &[&Rule], these: &[usize]) -> bool {
    let any = WildMatch::new("*");
    let asked = |matcher: &Matcher| match &matcher.issue_codes {
        Some(globs) => globs.clone(),
        None => vec![any.clone()],
    };
    let by: Vec<WildMatch> = these
        .iter()
        .flat_map(|index| asked(&rules[*index].matcher))
        .collect();
    let by: Vec<&WildMatch> = by.iter().collect();
    asked(cell).iter().all(|glob| glob::covered(glob, &by))
}

/// The rules that take these cells, if all of them are taken. No cell at all is not taken.
fn all_taken<'c>(cells: impl Iterator<Item = &'c Cell>) -> Option<Vec<usize>> {
    let by: Vec<&[usize]> = cells.map(|(_, by)| by.as_deref()).collect::<Option<_>>()?;
    let mut by = by.concat();
    by.sort_unstable();
    by.dedup();
    (!by.is_empty()).then_some(by)
}

/// The matcher cut to single values. What may be absent from a request (its type, its territory owner) is cut only
/// where the matcher names values: no two values together say "any".
fn cells(matcher: &Matcher, ground: Ground<'_>) -> Vec<Matcher> {
    let statuses = matcher.statuses.as_deref().unwrap_or(ground.unnamed);
    let orgs = matcher.orgs.as_deref().unwrap_or(ground.orgs);
    let both = |given: Option<bool>| given.map_or_else(|| vec![false, true], |one| vec![one]);
    let mut cells = vec![matcher.clone()];
    cells = cut(&cells, statuses, |cell, one| {
        cell.statuses = Some(vec![one])
    });
    cells = cut(&cells, orgs, |cell, one| cell.orgs = Some(vec![one]));
    if let Some(owners) = &matcher.territory_owners {
        cells = cut(&cells, owners, |cell, one| {
            cell.territory_owners = Some(vec![one]);
        });
    }
    if let Some(globs) = &matcher.issue_codes {
        cells = cut(&cells, globs, |cell, one| {
            cell.issue_codes = Some(vec![one])
        });
    }
    cells = cut(&cells, &both(matcher.auto_installation), |cell, one| {
        cell.auto_installation = Some(one);
    });
    cut(&cells, &both(matcher.repeated), |cell, one| {
        cell.repeated = Some(one);
    })
}

fn cut<T: Clone>(cells: &[Matcher], values: &[T], set: impl Fn(&mut Matcher, T)) -> Vec<Matcher> {
    let one = |cell: &Matcher, value: &T| {
        let mut cell = cell.clone();
        set(&mut cell, value.clone());
        cell
    };
    cells
        .iter()
        .flat_map(|cell| values.iter().map(move |value| (cell, value)))
        .map(|(cell, value)| one(cell, value))
        .collect()
}

/// Whatever `cell` matches, `earlier` matches, if it asks for its code: it asks for nothing else that the cell doesn't.
fn takes_but_for_codes(earlier: &Matcher, cell: &Matcher, ground: Ground<'_>) -> bool {
    let statuses = earlier.statuses.as_deref().unwrap_or(ground.unnamed);
    earlier.cancelling == cell.cancelling
        && within(cell.statuses.as_deref(), statuses)
        && asks_no_more(earlier.persistence_type, cell.persistence_type)
        && asks_no_more(earlier.auto_installation, cell.auto_installation)
        && asks_no_more(earlier.repeated, cell.repeated)
        && earlier
            .territory_owners
            .as_deref()
            .is_none_or(|owners| within(cell.territory_owners.as_deref(), owners))
        && earlier
            .orgs
            .as_deref()
            .is_none_or(|orgs| within(cell.orgs.as_deref(), orgs))
        && earlier
            .not_updated_for
            .is_none_or(|age| cell.not_updated_for.is_some_and(|older| age <= older))
}

fn asks_no_more<T: PartialEq>(earlier: Option<T>, cell: Option<T>) -> bool {
    earlier.is_none() || earlier == cell
}

fn within<T: PartialEq>(named: Option<&[T]>, allowed: &[T]) -> bool {
    named.is_some_and(|named| named.iter().all(|one| allowed.contains(one)))
}

fn one_of<T: PartialEq>(named: &Option<Vec<T>>, value: &T) -> bool {
    named.as_ref().is_some_and(|named| named.contains(value))
}

#[cfg(test)]
mod tests;
