//! Runs: what each did, newest first, with the command's filters.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Place;
use super::list::{Asked, Listing, choice, filters, last, text};
use super::parts::{Column, Moment, Tone, badge, nothing, outcome_tone};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::columns;
use crate::domain::RunOutcome;
use crate::store::runs::{RunFilter, RunRow};

const KEYS: &[&str] = &[
    "job", "org", "outcome", "since", "until", "limit", "before", "format",
];

const COLUMNS: &[Column] = &[
    Column::Figure("run"),
    Column::Words("job"),
    Column::Words("org"),
    Column::Words("started"),
    Column::Figure("took"),
    Column::Words("trigger"),
    Column::Words("mode"),
    Column::Words("outcome"),
    Column::Figure("selected"),
    Column::Figure("read"),
    Column::Figure("sent"),
    Column::Figure("flagged"),
    Column::Figure("capped"),
    Column::Figure("failed"),
    Column::Words("trouble"),
];

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    uri: Uri,
) -> Result<Response, Trouble> {
    let asked = Asked::read(&console, &uri, KEYS)?;
    let (sources, query) = (&asked.sources, &asked.query);
    let filter = RunFilter {
        job_name: sources.known_job(query.get("job")).await?,
        org: sources.known_org(query.get("org")).await?,
        outcome: query.word("outcome")?,
        since: query.instant("since", sources)?,
        until: query.instant("until", sources)?,
    };
    let page = asked.page()?;
    let rows = sources.store.runs(&filter, page).await?;
    let next = last(&rows, page.limit).map(|run| query.with("before", Some(&run.id)));
    let config = &sources.config;
    let fields = [
        choice("job", "job", config.jobs.iter().map(|job| &job.name)),
        choice("org", "org", &config.tesamanager.orgs),
        choice("outcome", "outcome", RunOutcome::ALL),
        text("since", texts::SINCE),
        text("until", texts::UNTIL),
    ];
    let listing = Listing {
        title: texts::RUNS,
        place: Place::Runs,
        file: "runs",
        first: columns::RUNS,
        columns: COLUMNS,
        above: filters(query, &fields),
        page_key: "before",
        next,
    };
    let count = sources.store.count_runs(&filter);
    asked.answer(&person, &listing, &rows, count, cells).await
}

fn cells(row: &RunRow, moment: Moment) -> Vec<Markup> {
    let took = row
        .finished_at
        .and_then(|end| (end - row.started_at).to_std().ok());
    let outcome = match row.outcome {
        Some(outcome) => badge(outcome_tone(outcome), outcome.as_str()),
        None => badge(Tone::Quiet, "running"),
    };
    let summary = &row.summary;
    let mut cells = vec![
        html! { a href={ "/attempts?run=" (row.id) } { (row.id) } },
        html! { (row.job_name) },
        html! { (row.org) },
        moment.at(row.started_at),
        took.map_or_else(
            nothing,
            |took| html! { (format!("{:.1} s", took.as_secs_f64())) },
        ),
        html! { (row.trigger) },
        html! { (row.mode) },
        outcome,
    ];
    let figures = [
        summary.selected,
        summary.observed,
        summary.sent,
        summary.flagged,
        summary.capped,
        summary.failed,
    ];
    cells.extend(figures.map(|figure| html! { (figure) }));
    cells.push(if summary.trouble.is_empty() {
        nothing()
    } else {
        moment.say(&summary.trouble)
    });
    cells
}
