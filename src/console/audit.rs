//! The audit: who did what, when and why, newest first, with the command's filters.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Place;
use super::list::{Asked, Listing, choice, filters, last, text};
use super::parts::{Column, Moment, words};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::columns;
use crate::store::audit::{ACTIONS, AuditFilter, AuditRow};

const KEYS: &[&str] = &[
    "who", "action", "since", "until", "limit", "before", "format",
];

const COLUMNS: &[Column] = &[
    Column::Figure("row"),
    Column::Words("at"),
    Column::Words("who"),
    Column::Words("action"),
    Column::Words("of"),
    Column::Words("why"),
];

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    uri: Uri,
) -> Result<Response, Trouble> {
    let asked = Asked::read(&console, &uri, KEYS)?;
    let (sources, query) = (&asked.sources, &asked.query);
    let action = query.get("action");
    if let Some(action) = action.filter(|action| !ACTIONS.contains(action)) {
        return Err(Trouble::Mistaken(format!("{action:?} is no action")));
    }
    let filter = AuditFilter {
        who: query.get("who").map(str::to_owned),
        action: action.map(str::to_owned),
        since: query.instant("since", sources)?,
        until: query.instant("until", sources)?,
    };
    let page = asked.page()?;
    let rows = sources.store.audit(&filter, page).await?;
    let next = last(&rows, page.limit).map(|row| query.with("before", Some(&row.id)));
    let fields = [
        text("who", "who"),
        choice("action", "action", ACTIONS),
        text("since", texts::SINCE),
        text("until", texts::UNTIL),
    ];
    let listing = Listing {
        title: texts::AUDIT,
        place: Place::Audit,
        file: "audit",
        first: columns::AUDIT,
        columns: COLUMNS,
        above: filters(query, &fields),
        page_key: "before",
        next,
    };
    let count = sources.store.count_audit(&filter);
    asked.answer(&person, &listing, &rows, count, cells).await
}

fn cells(row: &AuditRow, moment: Moment) -> Vec<Markup> {
    vec![
        html! { (row.id) },
        moment.at(row.at),
        words(&row.who),
        html! { (row.action) },
        words(&row.subject),
        moment.say(&row.reason),
    ]
}
