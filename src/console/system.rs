//! The system: which daemons work on this store, what they go by, and what of their writes is not settled yet.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{self, Place};
use super::parts::{Column, Moment, Tone, badge, nothing, table, words};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::Sources;
use crate::domain::run::Mode;
use crate::store::SchemaState;
use crate::store::attempts::AttemptCount;
use crate::store::rates::HeldBack;
use crate::store::replicas::{ALIVE_WITHIN, ReplicaRow};
use crate::telemetry::record::REVISION;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
) -> Result<Response, Trouble> {
    let sources = console.sources();
    let (store, now) = (&sources.store, sources.now());
    let replicas = store.live_replicas(now - ALIVE_WITHIN, now).await?;
    let schema = store.check_schema().await?;
    let held_back = store.held_back(now).await?;
    let open = store.attempt_counts().await?;
    let moment = Moment {
        as_of: now,
        zone: sources.zone,
    };
    let body = html! {
        (replicas_table(&replicas, moment))
        (store_facts(&sources, &schema))
        (rates(&sources, &held_back, moment))
        (writes(&open, moment))
    };
    Ok(layout::page(
        texts::SYSTEM,
        Place::System,
        &person,
        moment,
        &body,
    ))
}

fn replicas_table(replicas: &[ReplicaRow], moment: Moment) -> Markup {
    let row = |one: &ReplicaRow| {
        let tone = match one.mode {
            Mode::Observe => Tone::Quiet,
            Mode::Enforce => Tone::Good,
        };
        vec![
            words(&one.host),
            html! { (one.pid) },
            words(&one.version),
            badge(tone, one.mode.as_str()),
            moment.at(one.started_at),
            moment.at(one.last_beat),
            words(one.id.as_str()),
        ]
    };
    let rows: Vec<Vec<Markup>> = replicas.iter().map(row).collect();
    html! {
        section {
            h2 { (texts::REPLICAS) }
            @if rows.is_empty() { p.empty { (texts::NO_REPLICAS) } }
            @else {
                (table(texts::REPLICAS, &[
                    Column::Words("host"), Column::Figure("process"), Column::Words("version"), Column::Words("mode"),
                    Column::Words("started"), Column::Words("last beat"), Column::Words("replica"),
                ], &rows))
            }
        }
    }
}

fn store_facts(sources: &Sources, schema: &SchemaState) -> Markup {
    let state = match schema {
        SchemaState::Current => badge(Tone::Good, "current"),
        SchemaState::Behind { pending } => {
            badge(Tone::Warn, &format!("{pending} migrations pending"))
        }
        SchemaState::Ahead => badge(Tone::Bad, "written by a newer version"),
    };
    let kind = if sources.store.is_shared() {
        "PostgreSQL, shared by replicas"
    } else {
        "SQLite, one daemon"
    };
    html! {
        section {
            h2 { (texts::STORE) }
            dl {
                dt { "address" } dd { (words(&sources.config.state.url)) }
                dt { "kind" } dd { (kind) }
                dt { "schema" } dd { (state) }
                dt { "this console" } dd { (env!("CARGO_PKG_VERSION")) " (" (REVISION.unwrap_or("not a release")) ")" }
            }
        }
    }
}

fn rates(sources: &Sources, held_back: &[HeldBack], moment: Moment) -> Markup {
    let settings = &sources.config.tesamanager;
    let row = |org: &crate::domain::Org| {
        let held = held_back.iter().find(|held| held.org == *org);
        vec![
            html! { (org) },
            html! { (settings.reads_per_second) },
            html! { (settings.writes_per_second) },
            held.map_or_else(nothing, |held| moment.at(held.until)),
        ]
    };
    let rows: Vec<Vec<Markup>> = settings.orgs.iter().map(row).collect();
    html! {
        section {
            h2 { (texts::RATES) }
            (table(texts::RATES, &[
                Column::Words("org"), Column::Figure("reads per second"), Column::Figure("writes per second"), Column::Words("held back until"),
            ], &rows))
        }
    }
}

fn writes(open: &[AttemptCount], moment: Moment) -> Markup {
    let row = |one: &AttemptCount| {
        vec![
            html! { (one.operation) },
            html! { (one.state) },
            html! { (one.count) },
            moment.at(one.oldest),
        ]
    };
    let rows: Vec<Vec<Markup>> = open.iter().map(row).collect();
    html! {
        section {
            h2 { (texts::WRITES) }
            @if rows.is_empty() { p.empty { (texts::WRITES_NONE) } }
            @else {
                (table(texts::WRITES, &[
                    Column::Words("operation"), Column::Words("state"), Column::Figure("writes"), Column::Words("oldest since"),
                ], &rows))
            }
        }
    }
}
