//! The bodies of the store's calls, one file a noun, written once and compiled for each back end.
//!
//! `sqlite/mod.rs` and `postgres/mod.rs` both load this folder as their module `sql`, so `super::super` is the back end
//! itself and every name that a body takes from there (`Backend`, `Connection`, `from_now`, `one_of!` …) is that back
//! end's own. Generic functions over the driver's traits would need a bound for each type that is ever bound or read;
//! this way the compiler checks plain code, twice.
//!
//! How a body is written:
//! - Parameters are `$1`, `$2` …, which both take. A cast is `CAST($2 AS text)`: SQLite would take `$2::text` for the
//!   parameter's name. PostgreSQL wants to be told a type only where nothing else in the statement gives it.
//! - What differs stands side by side: `dialect!(sqlite: …, postgres: …)`, and the words of `words.rs` that come again
//!   and again. What differs by more than a statement stays in a file of the noun's name in each back end, and the body
//!   calls it.
//! - A call's work is repeated when PostgreSQL rolled it back for another's sake: it takes nothing by value.
//! - Each instant that the database judges is bound, whether or not the back end looks at it.
//!
//! To add a column: both migrations, the row in `store/rows`, the statements here (and in the two files of the noun's
//! name, if there are any), and `copy/tables.rs`. To add a noun: its trait in `store/`, a file here with a line below.

#[macro_use]
mod words;

pub(in crate::store) mod acknowledgements;
pub(in crate::store) mod attempts;
pub(in crate::store) mod audit;
pub(in crate::store) mod claims;
pub(in crate::store) mod classes;
pub(in crate::store) mod controls;
pub(in crate::store) mod finding_lists;
pub(in crate::store) mod findings;
pub(in crate::store) mod history;
pub(in crate::store) mod hot_statements;
pub(in crate::store) mod housekeeping;
pub(in crate::store) mod intend;
pub(in crate::store) mod looks;
pub(in crate::store) mod notices;
pub(in crate::store) mod orders;
pub(in crate::store) mod rates;
pub(in crate::store) mod replicas;
pub(in crate::store) mod requests;
pub(in crate::store) mod run_lists;
pub(in crate::store) mod runs;

use super::dialect::{
    Backend, Connection, from_now, json, lock_job, lock_org, numbers, span, text, texts, uuid,
};

/// The parameter of `begins!`.
pub(super) fn begins(given: &str) -> String {
    text(&given.to_ascii_lowercase()).to_string()
}

/// The last of each key, in the order of the keys. One statement can't change a row twice; and transactions that take
/// their rows in one order don't get in each other's way.
pub(super) fn last_of_each<T, K: Ord>(
    rows: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut rows: Vec<T> = rows.into_iter().collect();
    // Stable, so that of one key the last stays last; and quick where they are nearly in order.
    rows.sort_by_key(&key);
    let mut last: Vec<T> = Vec::with_capacity(rows.len());
    for row in rows {
        match last.last_mut() {
            Some(before) if key(before) == key(&row) => *before = row,
            _ => last.push(row),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_key_stays_in_the_order_of_the_keys() {
        let rows = [(2, "a"), (1, "b"), (2, "c"), (0, "d"), (1, "e")];
        let last = last_of_each(rows, |row| row.0);
        assert_eq!(last, [(0, "d"), (1, "e"), (2, "c")]);
        assert!(last_of_each(Vec::<(i32, &str)>::new(), |row| row.0).is_empty());
    }
}
