//! What every list has: its filters as a form that writes them into the address, how many there are, the way to the next page,
//! and the same rows for a spreadsheet or a program. A page of a list says what is its own ([`Asked::answer`]).

use std::time::Duration;

use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Serialize;

use super::layout::{self, Place};
use super::parts::{Column, Moment, table};
use super::query::{Form, Query};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::Sources;
use crate::answers::csv::csv;
use crate::store::{Page, StoreError};

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

/// A field for a text.
pub(super) const fn text(name: &'static str, title: &'static str) -> Field {
    Field::Text { name, title }
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

/// What an address asks of a list.
pub(super) struct Asked {
    pub(super) sources: Sources,
    pub(super) query: Query,
    pub(super) moment: Moment,
}

/// What is a list's own.
pub(super) struct Listing<'a> {
    pub(super) title: &'a str,
    pub(super) place: Place,
    /// The name of its file.
    pub(super) file: &'a str,
    /// The first columns of its file, in their order.
    pub(super) first: &'a [&'a str],
    pub(super) columns: &'a [Column],
    /// Stands above the rows.
    pub(super) above: Markup,
    /// The key of the address that says where a page goes on.
    pub(super) page_key: &'static str,
    /// The address of the next page; none: this is the last.
    pub(super) next: Option<String>,
}

impl Asked {
    /// What this address says; a key that the list does not have is a mistake.
    pub(super) fn read(
        console: &Console,
        uri: &Uri,
        keys: &'static [&'static str],
    ) -> Result<Self, Trouble> {
        let sources = console.sources();
        let query = Query::read(uri, keys)?;
        let moment = Moment::now(&sources);
        Ok(Self {
            sources,
            query,
            moment,
        })
    }

    /// Which rows of a list that goes from the newest back, by their number.
    pub(super) fn page(&self) -> Result<Page, Trouble> {
        Ok(Page {
            limit: self.query.limit()?,
            before: self.query.word("before")?,
        })
    }

    /// The rows as a page, or as the file that was asked for. They are counted for a page only, unless that takes too long.
    pub(super) async fn answer<R: Serialize>(
        &self,
        person: &Person,
        listing: &Listing<'_>,
        rows: &[R],
        count: impl Future<Output = Result<u64, StoreError>>,
        cells: impl Fn(&R, Moment) -> Vec<Markup>,
    ) -> Result<Response, Trouble> {
        if let Some(file) = exported(self.query.form()?, listing.file, listing.first, rows)? {
            return Ok(file);
        }
        let counted = match tokio::time::timeout(COUNTED_WITHIN, count).await {
            Ok(counted) => Some(counted?),
            Err(_) => None,
        };
        let cells: Vec<Vec<Markup>> = rows.iter().map(|row| cells(row, self.moment)).collect();
        let body = html! {
            (listing.above)
            (self.rows(listing, &cells, counted))
        };
        let (title, place) = (listing.title, listing.place);
        Ok(layout::page(title, place, person, self.moment, &body))
    }

    fn rows(&self, listing: &Listing<'_>, rows: &[Vec<Markup>], counted: Option<u64>) -> Markup {
        let (query, key) = (&self.query, listing.page_key);
        let shown = rows.len();
        let is_first = query.get(key).is_none();
        let count = match counted {
            Some(total) if is_first && total <= shown as u64 => format!("{total} in all"),
            Some(total) => format!("{shown} of {total} in all"),
            None => format!("{shown} shown, more than {shown} in all"),
        };
        html! {
            p.count {
                (count)
                span.exports {
                    (texts::THESE_ROWS) " "
                    a href=(query.with("format", Some(&"csv"))) { "CSV" } " "
                    a href=(query.with("format", Some(&"json"))) { "JSON" }
                }
            }
            @if shown == 0 { p.empty { (texts::NO_ROWS) } }
            @else { (table(listing.title, listing.columns, rows)) }
            p.pages {
                @if !is_first { a href=(query.with(key, None)) { (texts::FIRST_PAGE) } " " }
                @if let Some(next) = &listing.next { a rel="next" href=(next) { (texts::NEXT_PAGE) } }
            }
        }
    }
}

/// The rows as a file; none where a page is wanted.
fn exported<R: Serialize>(
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
