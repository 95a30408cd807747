//! What every list has: its filters as a form that writes them into the address, how many there are, the way to the next page,
//! and the same rows for a spreadsheet or a program.

use std::time::Duration;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Serialize;

use super::parts::{Column, table};
use super::query::{Form, Query};
use super::texts;
use super::trouble::Trouble;
use crate::answers::csv::csv;
use crate::store::StoreError;

/// Nobody waits longer for a number: then it is "more than".
const COUNTED_WITHIN: Duration = Duration::from_millis(100);

/// A field of the form.
pub(super) enum Field {
    /// A text.
    Text {
        name: &'static str,
        title: &'static str,
    },
    /// One of some words, or none.
    Choice {
        name: &'static str,
        title: &'static str,
        words: Vec<String>,
    },
}

/// Words of a closed set as the choices of a field.
pub(super) fn choice<T: ToString>(
    name: &'static str,
    title: &'static str,
    words: impl IntoIterator<Item = T>,
) -> Field {
    let words = words.into_iter().map(|word| word.to_string()).collect();
    Field::Choice { name, title, words }
}

/// The filters, filled in as the address says.
pub(super) fn filters(query: &Query, fields: &[Field]) -> Markup {
    html! {
        form.filters method="get" role="search" {
            @for field in fields { @match field {
                Field::Text { name, title } => {
                    label { span { (title) } input type="text" name=(name) value=(query.get(name).unwrap_or("")) maxlength="200"; }
                }
                Field::Choice { name, title, words } => {
                    label { span { (title) } select name=(name) {
                        option value="" { (texts::ANY) }
                        @for word in words { option value=(word) selected[query.get(name) == Some(word)] { (word) } }
                    } }
                }
            } }
            div.buttons {
                button type="submit" { (texts::FILTER) }
                @if query.is_filtered() { a href=(query.path()) { (texts::ALL) } }
            }
        }
    }
}

/// How many there are: a number that is right, or that there are more than those shown.
pub(super) enum Total {
    Exactly(u64),
    MoreThan(u64),
}

/// Counts, unless that takes too long; `shown` rows are there at least.
pub(super) async fn total(
    shown: usize,
    count: impl Future<Output = Result<u64, StoreError>>,
) -> Result<Total, StoreError> {
    match tokio::time::timeout(COUNTED_WITHIN, count).await {
        Ok(counted) => Ok(Total::Exactly(counted?)),
        Err(_) => Ok(Total::MoreThan(shown as u64)),
    }
}

/// A page of rows under its filters.
pub(super) struct List<'a> {
    pub(super) caption: &'a str,
    pub(super) query: &'a Query,
    pub(super) columns: &'a [Column],
    pub(super) rows: &'a [Vec<Markup>],
    pub(super) total: Total,
    /// The address of the next page; none: this is the last.
    pub(super) next: Option<String>,
    /// Which key says that this is not the first page.
    pub(super) page_key: &'static str,
}

impl List<'_> {
    pub(super) fn show(&self) -> Markup {
        let shown = self.rows.len();
        let is_first = self.query.get(self.page_key).is_none();
        let count = match self.total {
            Total::Exactly(total) if is_first && total <= shown as u64 => format!("{total} in all"),
            Total::Exactly(total) => format!("{shown} of {total} in all"),
            Total::MoreThan(least) => format!("{shown} shown, more than {least} in all"),
        };
        html! {
            p.count {
                (count)
                span.exports {
                    (texts::THESE_ROWS) " "
                    a href=(self.query.with("format", Some(&"csv"))) { "CSV" } " "
                    a href=(self.query.with("format", Some(&"json"))) { "JSON" }
                }
            }
            @if shown == 0 { p.empty { (texts::NO_ROWS) } }
            @else { (table(self.caption, self.columns, self.rows)) }
            p.pages {
                @if !is_first { a href=(self.query.with(self.page_key, None)) { (texts::FIRST_PAGE) } " " }
                @if let Some(next) = &self.next { a rel="next" href=(next) { (texts::NEXT_PAGE) } }
            }
        }
    }
}

/// The rows as a file; none where a page is wanted.
pub(super) fn exported<R: Serialize>(
    form: Form,
    name: &str,
    first: &[&str],
    rows: &[R],
) -> Result<Option<Response>, Trouble> {
    let made = |error: &dyn std::fmt::Display| {
        Trouble::Fault(format!("the rows can't be written: {error}"))
    };
    let (kind, ending, text) = match form {
        Form::Page => return Ok(None),
        Form::Csv => {
            let text = csv(first, rows).map_err(|error| made(&error))?;
            ("text/csv; charset=utf-8", "csv", text)
        }
        Form::Json => {
            let text = serde_json::to_string_pretty(rows).map_err(|error| made(&error))?;
            ("application/json", "json", text)
        }
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.{ending}\""),
        ),
    ];
    Ok(Some((headers, text).into_response()))
}

/// The last row's key, where there may be more rows behind it.
pub(super) fn last<R>(rows: &[R], limit: u32) -> Option<&R> {
    rows.last().filter(|_| rows.len() >= limit as usize)
}
