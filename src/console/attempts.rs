//! Attempts: the ledger of writes, newest first, with the command's filters.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Place;
use super::list::{Asked, Field, Listing, choice, filters, last, text};
use super::parts::{Column, Moment, attempt_tone, badge, id, nothing};
use super::trouble::Trouble;
use super::{Console, Person, orders, texts};
use crate::answers::{Sources, columns};
use crate::domain::{AttemptState, Operation};
use crate::store::attempts::{Attempt, AttemptFilter};

const KEYS: &[&str] = &[
    "search",
    "org",
    "state",
    "operation",
    "run",
    "since",
    "until",
    "limit",
    "before",
    "format",
];

const COLUMNS: &[Column] = &[
    Column::Figure("attempt"),
    Column::Words("request"),
    Column::Words("order"),
    Column::Words("org"),
    Column::Words("operation"),
    Column::Words("state"),
    Column::Words("intended"),
    Column::Figure("HTTP"),
    Column::Words("read again at"),
    Column::Words("what was seen"),
];

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    uri: Uri,
) -> Result<Response, Trouble> {
    let asked = Asked::read(&console, &uri, KEYS)?;
    let (sources, query) = (&asked.sources, &asked.query);
    let filter = AttemptFilter {
        org: sources.known_org(query.get("org")).await?,
        reference: None,
        search: query.get("search").map(str::to_owned),
        state: query.word("state")?,
        operation: query.word("operation")?,
        run_id: query.word("run")?,
        since: query.instant("since", sources)?,
        until: query.instant("until", sources)?,
    };
    let page = asked.page()?;
    let rows = sources.store.attempts(&filter, page).await?;
    let next = last(&rows, page.limit).map(|attempt| query.with("before", Some(&attempt.id)));
    let listing = Listing {
        title: texts::ATTEMPTS,
        place: Place::Attempts,
        file: "attempts",
        first: columns::ATTEMPTS,
        columns: COLUMNS,
        above: html! {
            p.hint { (texts::ATTEMPTS_ARE) }
            (filters(query, &fields(sources)))
        },
        page_key: "before",
        next,
    };
    let count = sources.store.count_attempts(&filter);
    asked.answer(&person, &listing, &rows, count, cells).await
}

fn fields(sources: &Sources) -> Vec<Field> {
    vec![
        text("search", texts::SEARCH),
        choice("org", "org", &sources.config.tesamanager.orgs),
        choice("state", "state", AttemptState::ALL),
        choice("operation", "operation", Operation::ALL),
        text("run", "run"),
        text("since", texts::SINCE),
        text("until", texts::UNTIL),
    ]
}

fn cells(row: &Attempt, moment: Moment) -> Vec<Markup> {
    let page = format!(
        "{}#attempt-{}",
        orders::path(&row.org, &row.reference_id),
        row.id
    );
    vec![
        html! { a href=(page) { (row.id) } },
        id(row.reference_id.as_str()),
        id(row.external_reference.as_str()),
        html! { (row.org) },
        html! { (row.operation) },
        badge(attempt_tone(row.state), row.state.as_str()),
        moment.at(row.intended_at),
        row.http_status
            .map_or_else(nothing, |status| html! { (status) }),
        moment.maybe(row.verify_at),
        moment.say(&row.detail),
    ]
}
