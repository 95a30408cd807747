//! Findings: all that diverges, newest first, with the command's filters; or how many there are of each.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::Place;
use super::list::{Asked, Field, Listing, choice, filters, last, text};
use super::parts::{Column, Moment, Tone, badge, id, nothing, words};
use super::query::Query;
use super::trouble::Trouble;
use super::{Console, Person, orders, texts};
use crate::answers::findings::{Listed, Said, listed};
use crate::answers::{Sources, columns};
use crate::domain::finding::Attention;
use crate::domain::{FindingKind, FindingState};
use crate::store::findings::FindingFilter;

const KEYS: &[&str] = &[
    "search",
    "org",
    "kind",
    "state",
    "attention",
    "job",
    "rule",
    "detail",
    "since",
    "until",
    "limit",
    "before",
    "format",
];

const COLUMNS: &[Column] = &[
    Column::Words("request"),
    Column::Words("order"),
    Column::Words("org"),
    Column::Words("kind"),
    Column::Words("detail"),
    Column::Words("state"),
    Column::Words("waits for a person"),
    Column::Words("job"),
    Column::Words("first seen"),
    Column::Words("what was seen"),
];

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    uri: Uri,
) -> Result<Response, Trouble> {
    let asked = Asked::read(&console, &uri, KEYS)?;
    let (sources, query) = (&asked.sources, &asked.query);
    let filter = filter(query, sources).await?;
    let page = asked.page()?;
    let found = sources.store.findings(&filter, page).await?;
    let next = last(&found, page.limit).map(|finding| query.with("before", Some(&finding.id)));
    let rows = listed(sources, filter.org.as_ref(), found).await?;
    let listing = Listing {
        title: texts::FINDINGS,
        place: Place::Findings,
        file: "findings",
        first: columns::FINDINGS,
        columns: COLUMNS,
        above: filters(query, &fields(sources)),
        page_key: "before",
        next,
    };
    let count = sources.store.count_findings(&filter);
    asked.answer(&person, &listing, &rows, count, cells).await
}

async fn filter(query: &Query, sources: &Sources) -> Result<FindingFilter, Trouble> {
    let attention: Option<Attention> = query.word("attention")?;
    let state: Option<FindingState> = query.word("state")?;
    Ok(FindingFilter {
        org: sources.known_org(query.get("org")).await?,
        kind: query.word("kind")?,
        // Who said hands off of one does not need to be told of it.
        state: state.or(attention.map(|_| FindingState::Open)),
        attention,
        reference: None,
        search: query.get("search").map(str::to_owned),
        since: query.instant("since", sources)?,
        until: query.instant("until", sources)?,
        job_name: sources.known_job(query.get("job")).await?,
        rule: sources.known_rule(query.get("rule"))?,
        detail: query.get("detail").map(str::to_owned),
    })
}

fn fields(sources: &Sources) -> Vec<Field> {
    let config = &sources.config;
    vec![
        text("search", texts::SEARCH),
        choice("org", "org", &config.tesamanager.orgs),
        choice("kind", "kind", FindingKind::ALL),
        choice("state", "state", FindingState::ALL),
        choice("attention", "waits for a person", Attention::ALL),
        choice("job", "job", config.jobs.iter().map(|job| &job.name)),
        text("detail", "detail"),
        text("since", texts::SINCE),
        text("until", texts::UNTIL),
    ]
}

fn cells(row: &Listed, moment: Moment) -> Vec<Markup> {
    let finding = &row.finding;
    let key = &finding.key;
    let tone = match finding.state {
        FindingState::Open => Tone::Warn,
        FindingState::Acknowledged | FindingState::Resolved => Tone::Quiet,
    };
    let order = finding.external_reference.as_ref();
    vec![
        html! { a href=(orders::path(&finding.org, &key.reference_id)) { (id(key.reference_id.as_str())) } },
        order.map_or_else(nothing, |order| id(order.as_str())),
        html! { (finding.org) },
        html! { (key.kind) },
        words(&key.detail),
        html! {
            (badge(tone, finding.state.as_str()))
            @for said in row.acknowledgements.iter().filter(|said| said.holds()) { " " (moment.say(&Said::show(said))) }
        },
        finding
            .attention
            .map_or_else(nothing, |why| badge(Tone::Warn, why.as_str())),
        html! { (finding.job_name) @if !row.job_configured { " (not configured)" } },
        moment.at(finding.first_seen),
        moment.say(&finding.evidence),
    ]
}
