//! The algebra of id sets: pure.
//!
//! Every set is a slice of ids in ascending order, each once: so each operation is one walk over both, whatever the size,
//! and the result can be held against what the store remembers in the same order.

/// What is in `all` and not in `some`.
pub fn minus<'a>(all: &[&'a str], some: &[&str]) -> Vec<&'a str> {
    if some.is_empty() {
        return all.to_vec();
    }
    let mut left = Vec::with_capacity(all.len());
    let mut others = some.iter().peekable();
    for id in all {
        while others.next_if(|other| **other < *id).is_some() {}
        if others.peek().is_none_or(|other| *other != id) {
            left.push(*id);
        }
    }
    left
}

/// What is in both.
pub fn both<'a>(one: &[&'a str], other: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut others = other.iter().peekable();
    for id in one {
        while others.next_if(|other| **other < *id).is_some() {}
        if others.peek().is_some_and(|other| *other == id) {
            found.push(*id);
        }
    }
    found
}

/// What is in either.
pub fn union<'a>(one: Vec<&'a str>, other: &[&'a str]) -> Vec<&'a str> {
    if one.is_empty() {
        return other.to_vec();
    }
    if other.is_empty() {
        return one;
    }
    let mut all = Vec::with_capacity(one.len() + other.len());
    let (mut ones, mut others) = (one.into_iter().peekable(), other.iter().copied().peekable());
    loop {
        let next = match (ones.peek(), others.peek()) {
            (Some(a), Some(b)) if a == b => {
                others.next();
                ones.next()
            }
            (Some(a), Some(b)) if a > b => others.next(),
            (Some(_), _) => ones.next(),
            (None, _) => others.next(),
        };
        match next {
            Some(id) => all.push(id),
            None => break all,
        }
    }
}

/// It is in the set.
pub fn contains(set: &[&str], id: &str) -> bool {
    set.binary_search(&id).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;

    fn ascending(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    fn sets() -> impl Strategy<Value = (BTreeSet<String>, BTreeSet<String>)> {
        let set = || prop::collection::btree_set("[a-dé]{1,3}", 0..20);
        (set(), set())
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_sets((a, b) in sets()) {
            let (one, other) = (ascending(&a), ascending(&b));
            let expected: Vec<&str> = a.difference(&b).map(String::as_str).collect();
            prop_assert_eq!(minus(&one, &other), expected);
            let expected: Vec<&str> = a.intersection(&b).map(String::as_str).collect();
            prop_assert_eq!(both(&one, &other), expected);
            let expected: Vec<&str> = a.union(&b).map(String::as_str).collect();
            prop_assert_eq!(union(one.clone(), &other), expected);
            prop_assert!(a.iter().all(|id| contains(&one, id)));
        }
    }
}
