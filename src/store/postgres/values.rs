//! Values on their way into PostgreSQL.

use std::borrow::Cow;

use chrono::TimeDelta;
use serde::Serialize;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::store::fault::Fault;

/// A text as it is stored. PostgreSQL has no NUL inside a text and refuses the whole statement for one, so a single
/// such id from upstream would stop a batch of hundreds: it is stored as the sign for what can't be shown.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Texts as one array, so that a statement of fixed text takes any number of them.
pub(super) fn texts<'a>(list: impl IntoIterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
    list.into_iter().map(text).collect()
}

/// The same where each may be absent.
pub(super) fn texts_opt<'a>(
    list: impl IntoIterator<Item = Option<&'a str>>,
) -> Vec<Option<Cow<'a, str>>> {
    list.into_iter().map(|one| one.map(text)).collect()
}

/// A value as `jsonb`, which knows no NUL either.
pub(super) fn json(value: &impl Serialize) -> Json<serde_json::Value> {
    // What can't be encoded would be a fault of ours; null is refused by the column, so it is seen.
    let mut value = serde_json::to_value(value).unwrap_or_default();
    without_nul(&mut value);
    Json(value)
}

/// Rows, each a JSON text, as one `jsonb` array.
pub(in crate::store) fn json_rows(rows: &[String]) -> Result<Json<serde_json::Value>, Fault> {
    let mut list = Vec::with_capacity(rows.len());
    for row in rows {
        let mut row = serde_json::from_str(row)
            .map_err(|error| Fault::Row(format!("a row is no JSON: {error}")))?;
        without_nul(&mut row);
        list.push(row);
    }
    Ok(Json(serde_json::Value::Array(list)))
}

fn without_nul(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(held) => {
            if let Cow::Owned(clean) = text(held) {
                *held = clean;
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_nul),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(without_nul),
        _ => {}
    }
}

/// A stretch of time, to be counted from the database's own "now". Longer than anybody remembers is cut off, because an
/// instant before all time is an error.
pub(super) fn age(length: TimeDelta) -> PgInterval {
    let millennium = TimeDelta::days(1000 * 365);
    let length = length.clamp(-millennium, millennium);
    PgInterval {
        months: 0,
        days: 0,
        microseconds: length.num_microseconds().unwrap_or_default(),
    }
}

/// One column of many rows.
pub(super) fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_replaced_and_nothing_else_is_touched() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
        assert!(matches!(text("añb"), Cow::Borrowed("añb")));
    }
}
