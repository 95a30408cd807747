//! The audit: who did what, when and why, newest first, with the command's filters.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, Place};
use super::list::{Field, List, choice, exported, filters, last, total};
use super::parts::{Column, Moment, words};
use super::query::Query;
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::columns;
use crate::store::Page;
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
    let sources = console.sources();
    let query = Query::read(&uri, KEYS)?;
    let action = query.get("action");
    if let Some(action) = action.filter(|action| !ACTIONS.contains(action)) {
        return Err(Trouble::Mistaken(format!("{action:?} is no action")));
    }
    let filter = AuditFilter {
        who: query.get("who").map(str::to_owned),
        action: action.map(str::to_owned),
        since: query.instant("since", &sources)?,
        until: query.instant("until", &sources)?,
    };
    let moment = Moment {
        as_of: sources.now(),
        zone: sources.zone,
    };
    let limit = query.limit()?;
    let before = query.word("before")?;
    let rows = sources.store.audit(&filter, Page { limit, before }).await?;
    if let Some(file) = exported(query.form()?, "audit", columns::AUDIT, &rows)? {
        return Ok(file);
    }
    let next = last(&rows, limit).map(|row| query.with("before", Some(&row.id)));
    let total = total(rows.len(), sources.store.count_audit(&filter)).await?;
    let cells: Vec<Vec<Markup>> = rows.iter().map(|row| cells(row, moment)).collect();
    let list = List {
        caption: texts::AUDIT,
        query: &query,
        columns: COLUMNS,
        rows: &cells,
        total,
        next,
        page_key: "before",
    };
    let fields = [
        Field::Text {
            name: "who",
            title: "who",
        },
        choice("action", "action", ACTIONS),
        Field::Text {
            name: "since",
            title: texts::SINCE,
        },
        Field::Text {
            name: "until",
            title: texts::UNTIL,
        },
    ];
    let body = html! {
        (filters(&query, &fields))
        (list.show())
    };
    Ok(layout::page(
        texts::AUDIT,
        Place::Audit,
        &person,
        moment,
        &body,
    ))
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
