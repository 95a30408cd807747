//! The overview: how things stand, what keeps writes from going, what waits for a person, and how the jobs go.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::forms::{self, Act, May};
use super::layout::{self, Place};
use super::parts::{Column, Moment, Tone, badge, nothing, outcome_tone, table, words};
use super::query::encoded;
use super::trouble::Trouble;
use super::{Console, Person, people, texts};
use crate::answers::jobs::{self, JobRow};
use crate::answers::status::verdict::{Verdict, Word};
use crate::answers::status::{COUNTED_AT_MOST, Status, gather};
use crate::answers::waiting;
use crate::domain::FindingKind;
use crate::domain::ids::JobName;
use crate::domain::run::Mode;
use crate::store::findings::{Finding, FindingCount};

/// So many are shown; the rest is a list of its own.
const WAITING: u32 = 20;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
) -> Result<Response, Trouble> {
    let sources = console.sources();
    let status = gather(&sources).await?;
    let waiting = waiting::oldest(&sources, WAITING).await?;
    let counts = sources.store.finding_counts().await?;
    let moment = Moment {
        as_of: status.as_of,
        zone: sources.zone,
    };
    let may = May::of(&person);
    let body = html! {
        (verdict(&status, moment))
        (stops(&status, moment, may))
        (waits(&status, &waiting, moment))
        (backlog(&counts, moment))
        (jobs_table(&status.jobs, moment, may))
        (hints(&status, moment))
    };
    Ok(layout::page(
        texts::OVERVIEW,
        Place::Overview,
        &person,
        moment,
        &body,
    ))
}

fn tone(word: Word) -> Tone {
    match word {
        Word::Blind => Tone::Bad,
        Word::Stopped | Word::WaitsForAPerson => Tone::Warn,
        Word::AllWell => Tone::Good,
    }
}

fn verdict(status: &Status, moment: Moment) -> Markup {
    let Verdict { word, causes } = &status.verdict;
    let mode = match status.mode {
        Mode::Observe => texts::OBSERVES,
        Mode::Enforce => texts::ENFORCES,
    };
    html! {
        section.verdict aria-label=(texts::VERDICT) {
            p.word { (badge(tone(*word), &word.to_string())) }
            @if !causes.is_empty() {
                ul { @for one in causes { li {
                    @if one.word != *word { (badge(tone(one.word), &one.word.to_string())) " " }
                    (moment.say(&one.cause))
                } } }
            }
            p { "Mode " (mode) "." }
        }
    }
}

/// One row each, with what it is, since when and why.
fn stops(status: &Status, moment: Moment, may: May) -> Markup {
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    let mut row =
        |what: Markup, scope: Markup, since: Option<DateTime<Utc>>, until, why: Markup| {
            rows.push(vec![what, scope, moment.maybe(since), until, why]);
        };
    if let Some(doubt) = &status.doubt {
        let what = badge(Tone::Bad, "store in doubt");
        row(
            what,
            html! { "everything" },
            None,
            nothing(),
            moment.say(doubt),
        );
    }
    for hold in &status.holds {
        let scope = html! { (hold.job_name) " in " (hold.org) };
        let until = html! { "until released" };
        let since = hold.since.timestamp_micros().to_string();
        let of = [
            ("job", hold.job_name.as_str()),
            ("org", hold.org.as_str()),
            ("since", since.as_str()),
        ];
        let act = may.form(Act::Release, texts::RELEASE, &of, &html! {});
        let why = html! { (moment.say(&hold.reason)) (act) };
        row(
            badge(Tone::Bad, "hold"),
            scope,
            Some(hold.since),
            until,
            why,
        );
    }
    for pause in &status.pauses {
        let scope = match &pause.job_name {
            Some(job) => html! { (job) },
            None => html! { "all jobs" },
        };
        let until = match pause.until {
            Some(until) => moment.at(until),
            None => html! { "until resumed" },
        };
        let job = pause.job_name.as_ref().map_or("", JobName::as_str);
        let act = may.form(Act::Resume, texts::RESUME, &[("job", job)], &html! {});
        let why = html! { (words(&pause.reason)) " (" (words(&pause.who)) ")" (act) };
        row(
            badge(Tone::Warn, "pause"),
            scope,
            Some(pause.since),
            until,
            why,
        );
    }
    for circuit in &status.circuits {
        let scope = html! { (circuit.org) };
        let why = moment.say(&jobs::circuit(circuit));
        let until = moment.maybe(circuit.probe_at);
        row(
            badge(Tone::Bad, "circuit"),
            scope,
            circuit.opened_at,
            until,
            why,
        );
    }
    for held in &status.held_back {
        let why = html! { "the upstream asked for patience (Retry-After)" };
        let until = moment.at(held.until);
        row(
            badge(Tone::Warn, "rate"),
            html! { (held.org) },
            None,
            until,
            why,
        );
    }
    for one in &status.distrusted {
        let scope = html! { "filter " (one.filter) " of " (one.org) };
        let why = moment.say(&one.why.join("; "));
        row(badge(Tone::Bad, "distrusted"), scope, None, nothing(), why);
    }
    for one in &status.capped {
        let scope = html! { (one.job_name) " in " (one.org) };
        let until = match one.room_from {
            Some(at) => moment.at(at),
            None => html! { "its next run" },
        };
        let why = html! { (one.writes) " writes wait for a cap" };
        row(badge(Tone::Warn, "cap"), scope, None, until, why);
    }
    html! {
        section {
            h2 { (texts::STOPS) }
            (may.form(Act::Pause, texts::PAUSE_ALL, &[("job", "")], &forms::until()))
            @if rows.is_empty() { p.empty { (texts::STOPS_NOTHING) } }
            @else {
                (table(texts::STOPS, &[
                    Column::Words("what"), Column::Words("of"), Column::Words("since"), Column::Words("until"), Column::Words("why"),
                ], &rows))
            }
        }
    }
}

fn waits(status: &Status, waiting: &[Finding], moment: Moment) -> Markup {
    let in_all: u64 = status.attention.values().sum();
    let is_cut = status
        .attention
        .values()
        .any(|count| *count >= u64::from(COUNTED_AT_MOST));
    let shown = waiting.len() as u64;
    let rows: Vec<Vec<Markup>> = waiting
        .iter()
        .map(|finding| people::row(finding, moment))
        .collect();
    html! {
        section {
            h2 { (texts::WAITS) }
            @if rows.is_empty() { p.empty { (texts::WAITS_NOTHING) } }
            @else {
                p { (counted(shown, in_all, is_cut)) }
                (people::waiting_table(&rows))
            }
        }
    }
}

/// How many are shown of how many: a number that is right, or "more than".
fn counted(shown: u64, in_all: u64, is_cut: bool) -> String {
    match (shown < in_all, is_cut) {
        (_, true) => format!("{shown} of more than {in_all}"),
        (true, false) => format!("{shown} of {in_all}"),
        (false, false) => format!("{in_all} in all"),
    }
}

/// A bar a status, longest first.
fn backlog(counts: &[FindingCount], moment: Moment) -> Markup {
    let mut by_status: Vec<(&str, u64, Option<DateTime<Utc>>)> = Vec::new();
    for one in counts
        .iter()
        .filter(|one| one.kind == FindingKind::StuckRequest)
    {
        match by_status
            .iter_mut()
            .find(|(status, ..)| *status == one.status)
        {
            Some((_, count, oldest)) => {
                *count += one.count;
                *oldest = oldest.iter().chain(&one.oldest).min().copied();
            }
            None => by_status.push((&one.status, one.count, one.oldest)),
        }
    }
    by_status.sort_by_key(|(status, count, _)| (std::cmp::Reverse(*count), *status));
    let most = by_status
        .iter()
        .map(|(_, count, _)| *count)
        .max()
        .unwrap_or(1);
    let rows: Vec<Vec<Markup>> = by_status
        .iter()
        .map(|(status, count, oldest)| {
            vec![
                backlog_name(status),
                html! { (count) },
                bar(*count, most),
                moment.maybe(*oldest),
            ]
        })
        .collect();
    html! {
        section {
            h2 { (texts::BACKLOG) }
            @if rows.is_empty() { p.empty { (texts::BACKLOG_NOTHING) } }
            @else {
                (table(texts::BACKLOG, &[
                    Column::Words("status"), Column::Figure("requests"), Column::Words("share"), Column::Words("oldest since"),
                ], &rows))
            }
        }
    }
}

/// A status, and the way to those who stand there.
fn backlog_name(status: &str) -> Markup {
    html! { a href={ "/orders?status=" (encoded(status)) } { (words(status)) } }
}

/// As long as its share of the longest; the figure stands beside it.
fn bar(count: u64, most: u64) -> Markup {
    // At least a line, so that one of a million is seen.
    let width = (count * 200).div_ceil(most.max(1)).max(1);
    html! {
        svg.bar width="200" height="12" viewBox="0 0 200 12" aria-hidden="true" { rect width=(width) height="12" rx="2" {} }
    }
}

fn jobs_table(rows: &[JobRow], moment: Moment, may: May) -> Markup {
    let rows: Vec<Vec<Markup>> = rows.iter().map(|row| job_row(row, moment, may)).collect();
    html! {
        section {
            h2 { (texts::JOBS) }
            (table(texts::JOBS, &[
                Column::Words("job"), Column::Words("org"), Column::Words("schedule"), Column::Words("last run"),
                Column::Words("outcome"), Column::Words("next run"), Column::Words("held by"),
            ], &rows))
        }
    }
}

fn job_row(row: &JobRow, moment: Moment, may: May) -> Vec<Markup> {
    let outcome = match (row.last_outcome, row.last_started) {
        (Some(outcome), _) => badge(outcome_tone(outcome), outcome.as_str()),
        (None, Some(_)) => badge(Tone::Quiet, "running"),
        (None, None) => nothing(),
    };
    let job = row.job_name.as_str();
    vec![
        html! { (row.job_name) },
        html! { (row.org) },
        html! { (row.schedule) },
        moment.maybe(row.last_started),
        outcome,
        moment.maybe(row.next),
        html! {
            (row.held_by().map_or_else(nothing, |why| moment.say(&why)))
            (may.form(Act::Trigger, texts::TRIGGER, &[("job", job), ("org", row.org.as_str())], &html! {}))
            (may.form(Act::Pause, texts::PAUSE, &[("job", job)], &forms::until()))
        },
    ]
}

fn hints(status: &Status, moment: Moment) -> Markup {
    html! {
        @if !status.hints.is_empty() {
            section {
                h2 { (texts::NEXT) }
                ul { @for hint in &status.hints { li { (moment.advise(hint)) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_right_or_says_more_than() {
        assert_eq!(counted(3, 3, false), "3 in all");
        assert_eq!(counted(20, 25, false), "20 of 25");
        assert_eq!(counted(20, 1_000, true), "20 of more than 1000");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_place_nor_nothing() {
        for (count, width) in [(1, "\"1\""), (500_000, "\"100\""), (1_000_000, "\"200\"")] {
            let shown = bar(count, 1_000_000).into_string();
            assert!(shown.contains(&format!("rect width={width}")), "{shown}");
        }
    }
}
