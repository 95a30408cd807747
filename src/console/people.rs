//! What needs a person: writes that reading could not settle, each with its evidence beside it, and requests that were given
//! up.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use super::forms::May;
use super::layout::{self, Place};
use super::order::tried;
use super::parts::{Column, Moment, Tone, badge, id, nothing, table, words};
use super::trouble::Trouble;
use super::{Console, Person, orders, texts};
use crate::answers::waiting;
use crate::domain::AttemptState;
use crate::store::Page;
use crate::store::attempts::{Attempt, AttemptFilter, AttemptStep};
use crate::store::findings::Finding;

/// So many of each are shown; the lists have the rest.
const SHOWN: u32 = 20;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
) -> Result<Response, Trouble> {
    let sources = console.sources();
    let moment = Moment::now(&sources);
    let filter = AttemptFilter {
        state: Some(AttemptState::NeedsHuman),
        ..AttemptFilter::default()
    };
    let mut unsettled = Vec::new();
    for attempt in sources.store.attempts(&filter, Page::first(SHOWN)).await? {
        let steps = sources.store.attempt_steps(attempt.id).await?;
        unsettled.push((attempt, steps));
    }
    let waiting = waiting::oldest(&sources, SHOWN).await?;
    let body = html! {
        (writes(&unsettled, moment, May::of(&person)))
        (requests(&waiting, moment))
    };
    Ok(layout::page(
        texts::PEOPLE,
        Place::People,
        &person,
        moment,
        &body,
    ))
}

fn writes(unsettled: &[(Attempt, Vec<AttemptStep>)], moment: Moment, may: May) -> Markup {
    html! {
        section {
            h2 { (texts::UNSETTLED) }
            @if unsettled.is_empty() { p.empty { (texts::UNSETTLED_NONE) } }
            @else { p.hint { (texts::UNSETTLED_ARE) } }
            @for (attempt, steps) in unsettled {
                article.case {
                    p {
                        "request " a href=(orders::path(&attempt.org, &attempt.reference_id)) { (id(attempt.reference_id.as_str())) }
                        ", order " (id(attempt.external_reference.as_str())) ", " (attempt.org)
                    }
                    (tried(attempt, steps, moment, may))
                }
            }
            @if unsettled.len() >= SHOWN as usize {
                p { a href="/attempts?state=needs_human" { (texts::ALL_OF_THEM) } }
            }
        }
    }
}

fn requests(waiting: &[Finding], moment: Moment) -> Markup {
    let rows: Vec<Vec<Markup>> = waiting.iter().map(|finding| row(finding, moment)).collect();
    html! {
        section {
            h2 { (texts::WAITS) }
            @if rows.is_empty() { p.empty { (texts::WAITS_NOTHING) } }
            @else { (waiting_table(&rows)) }
            @if waiting.len() >= SHOWN as usize {
                p {
                    a href="/findings?attention=given_up" { (texts::ALL_GIVEN_UP) } " "
                    a href="/findings?attention=needs_human" { (texts::ALL_OF_THEM) }
                }
            }
        }
    }
}

/// Rows of findings that wait for a person.
pub(super) fn waiting_table(rows: &[Vec<Markup>]) -> Markup {
    table(
        texts::WAITS,
        &[
            Column::Words("request"),
            Column::Words("order"),
            Column::Words("org"),
            Column::Words("why"),
            Column::Words("kind"),
            Column::Words("since"),
            Column::Words("what was seen"),
        ],
        rows,
    )
}

/// One of them.
pub(super) fn row(finding: &Finding, moment: Moment) -> Vec<Markup> {
    let key = &finding.key;
    let why = finding.attention.map(|why| badge(Tone::Warn, why.as_str()));
    let order = finding.external_reference.as_ref();
    vec![
        html! { a href=(orders::path(&finding.org, &key.reference_id)) { (id(key.reference_id.as_str())) } },
        order.map_or_else(nothing, |order| id(order.as_str())),
        html! { (finding.org) },
        why.unwrap_or_else(nothing),
        html! { (key.kind) " " (words(&key.detail)) },
        moment.maybe(finding.since),
        moment.say(&finding.evidence),
    ]
}
