//! The words of a statement that SQLite and PostgreSQL spell differently, side by side.
//!
//! `dialect!(sqlite: …, postgres: …)` is each back end's own macro, and takes its half: a text, or any other expression.

/// A statement in pieces: texts, and words from here between them.
macro_rules! sql {
    ($($text:literal $($word:ident!$arguments:tt)*)*) => {
        concat!($($text, $($word!$arguments,)*)*)
    };
}

/// One of the list that is the parameter: see `texts` and `numbers`.
macro_rules! one_of {
    ($list:literal) => {
        dialect!(sqlite: sql!(" IN (SELECT value FROM json_each(" $list "))"), postgres: sql!(" = ANY(" $list ")"))
    };
}

/// None of the list that is the parameter.
macro_rules! none_of {
    ($list:literal) => {
        dialect!(sqlite: sql!(" NOT IN (SELECT value FROM json_each(" $list "))"), postgres: sql!(" <> ALL(" $list ")"))
    };
}

/// A text begins so, in any case: what it begins with is a parameter in small letters (see `begins`).
macro_rules! begins {
    ($column:literal, $beginning:literal) => {
        sql!("(lower(" $column ") >= " $beginning " AND lower(" $column ") < " $beginning " || '\u{10ffff}')")
    };
}

/// Now. SQLite goes by the caller's clock, which is the parameter; PostgreSQL by its own, and leaves the parameter alone.
macro_rules! now {
    ($now:literal) => {
        dialect!(sqlite: $now, postgres: "clock_timestamp()")
    };
}

/// An instant so long before or after now. The parameter comes from the function of this name.
macro_rules! from_now {
    ($at:literal) => {
        dialect!(sqlite: $at, postgres: sql!("clock_timestamp() + CAST(" $at " AS interval)"))
    };
}

/// The hour of an instant.
macro_rules! hour_of {
    ($at:literal) => {
        dialect!(sqlite: sql!($at " - " $at " % 3600000000"), postgres: sql!("date_trunc('hour', " $at ", 'UTC')"))
    };
}

/// Ends a subselect of rows that are to be changed: without those that another transaction has locked. On SQLite there is
/// none.
macro_rules! skip_locked {
    () => {
        dialect!(sqlite: "", postgres: " FOR UPDATE SKIP LOCKED")
    };
}

/// The larger of several, of which none is NULL.
macro_rules! greatest {
    () => {
        dialect!(sqlite: "max", postgres: "greatest")
    };
}

/// Rows that are handed over, as a table. `rows_of!(seen: "$2" id text, "$3" at timestamptz)` are the columns `id` and `at`
/// of `seen`, bound by `bind_rows!` after all else: PostgreSQL takes an array a column, SQLite all of it as the first.
macro_rules! rows_of {
    (@arrays $table:ident $array:literal $column:ident $kind:ident $(, $arrays:literal $columns:ident $kinds:ident)*) => {
        concat!(
            "unnest(", $array, "::", stringify!($kind), "[]" $(, ", ", $arrays, "::", stringify!($kinds), "[]")*,
            ") AS ", stringify!($table), " (", stringify!($column) $(, ", ", stringify!($columns))*, ")"
        )
    };
    // Column by column, with the text so far in the first brackets and the places that are left in the second.
    (@json $table:ident $rows:literal [$($text:tt)*] [$place:literal $($places:literal)*]
        $_array:literal $column:ident $_kind:ident, $($rest:tt)+) => {
        rows_of!(
            @json $table $rows [$($text)* "value ->> ", $place, " AS ", stringify!($column), ", ",] [$($places)*]
            $($rest)+
        )
    };
    (@json $table:ident $rows:literal [$($text:tt)*] [$place:literal $($places:literal)*]
        $_array:literal $column:ident $_kind:ident) => {
        concat!(
            "(SELECT ", $($text)* "value ->> ", $place, " AS ", stringify!($column),
            " FROM json_each(", $rows, ")) AS ", stringify!($table)
        )
    };
    ($table:ident: $first:literal $($rest:tt)+) => {
        dialect!(
            sqlite: rows_of!(@json $table $first [] [0 1 2 3 4 5 6] $first $($rest)+),
            postgres: rows_of!(@arrays $table $first $($rest)+),
        )
    };
}

/// Binds rows for `rows_of!`: `bind_rows!(query, rows, |row| [row.id, row.at])`.
macro_rules! bind_rows {
    ($query:expr, $rows:expr, |$row:ident| [$($value:expr),+ $(,)?]) => {
        dialect!(
            sqlite: $query.bind(sqlx::types::Json($rows.iter().map(|$row| ($($value,)+)).collect::<Vec<_>>())),
            postgres: $query$(.bind($rows.iter().map(|$row| $value).collect::<Vec<_>>()))+,
        )
    };
}
