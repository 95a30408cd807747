//! One order: where it stands and why, whose time it was, its whole life line by line, and every write with its proof.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use chrono::TimeDelta;
use maud::{Markup, html};

use super::forms::{self, Act, May};
use super::layout::{self, Place};
use super::parts::{Column, Moment, Tone, attempt_tone, badge, id, nothing, table, words};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::Sources;
use crate::answers::findings::Said;
use crate::answers::life::{Life, life, material};
use crate::answers::stuck::stuck;
use crate::answers::time::rough;
use crate::domain::ids::ReferenceId;
use crate::domain::{AttemptState, FindingKind, FindingState, Version};
use crate::history::parties::{Account, Stretch};
use crate::history::timeline::{Line, Material, timeline};
use crate::store::attempts::{Attempt, AttemptStep};
use crate::store::findings::Finding;

/// The picture's width, in its own units.
const WIDTH: f64 = 1_000.0;

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    Path((org, id)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let sources = console.sources();
    let org = sources
        .known_org(Some(&org))
        .await?
        .ok_or_else(|| unknown(&id))?;
    let reference = ReferenceId::new(&id);
    let moment = Moment::now(&sources);
    let material = material(&*sources.store, &org, &reference).await?;
    if is_unknown(&material) {
        return Err(unknown(&id));
    }
    let config = &sources.config;
    let whose = config.parties.whose(&config.jobs);
    let (lines, account) = timeline(&org, &material, &whose, moment.as_of);
    let work = config.parties.working_time(sources.zone);
    let work = work.map_err(|error| Trouble::Fault(error.to_string()))?;
    let life = life(org.clone(), reference, lines, account.as_ref(), &work);
    let next = next(&sources, &material).await?;
    let may = May::of(&person);
    let body = html! {
        (head(&life, &material, next.as_deref(), moment))
        (why(&material, moment))
        (times(&life, account.as_ref()))
        (timeline_table(&life.lines, moment))
        (attempts(&material, moment, may))
        (findings(&material.findings, moment, may))
        (said(&material, moment))
    };
    let title = format!("{} {id}", texts::REQUEST);
    Ok(layout::page(&title, Place::Orders, &person, moment, &body))
}

fn unknown(id: &str) -> Trouble {
    Trouble::NotFound(format!("nothing is known of {id:?}"))
}

fn is_unknown(material: &Material) -> bool {
    material.happenings.is_empty() && material.attempts.is_empty() && material.findings.is_empty()
}

/// What comes next, where it is stuck.
async fn next(sources: &Sources, material: &Material) -> Result<Option<String>, Trouble> {
    let mut live = material.findings.iter();
    let finding = live.find(|one| {
        one.key.kind == FindingKind::StuckRequest && one.state != FindingState::Resolved
    });
    let Some(finding) = finding else {
        return Ok(None);
    };
    let (rows, _) = stuck(sources, vec![finding.clone()]).await?;
    Ok(rows.into_iter().next().map(|row| row.next))
}

fn head(life: &Life, material: &Material, next: Option<&str>, moment: Moment) -> Markup {
    let seen = crate::history::replay::replay(&material.happenings);
    let request = seen.request.as_ref();
    let order = request.and_then(|request| request.external_reference.as_ref());
    let kind = request.and_then(|request| request.persistence_type);
    html! {
        section aria-label=(texts::STANDS) {
            dl {
                dt { "org" } dd { (life.org) }
                dt { "order" } dd { @match order { Some(order) => (id(order.as_str())), None => (nothing()) } }
                dt { "status" } dd {
                    @match request {
                        Some(request) => {
                            strong { (words(request.status.as_str())) }
                            @if request.cancelling { " (cancelling)" }
                            @if let Some(kind) = kind { ", " (kind) }
                        }
                        None => { (texts::NOT_READ) }
                    }
                }
                dt { "last changed upstream" } dd { (moment.maybe(request.and_then(|request| request.last_updated))) }
                dt { "read" } dd { (moment.maybe(request.map(|request| request.observed_at))) }
                dt { "whose turn" } dd {
                    @match (&life.turn, life.closed) {
                        (_, Some(closed)) => { "nobody's: over since " (moment.at(closed)) }
                        (Some(turn), None) => { (turn.party.named()) " (" (moment.say(&turn.why)) ")" }
                        (None, None) => { (nothing()) }
                    }
                }
                dt { "what comes next" } dd {
                    @match next { Some(next) => (moment.advise(next)), None => (texts::NOTHING_DUE) }
                }
            }
        }
    }
}

/// The last decision of each job.
fn why(material: &Material, moment: Moment) -> Markup {
    let rows: Vec<Vec<Markup>> = material
        .decisions
        .iter()
        .map(|decision| {
            vec![
                html! { (decision.job_name) },
                html! { (decision.verdict) },
                decision.rule.as_deref().map_or_else(nothing, words),
                moment.at(decision.since),
                moment.say(&decision.explanation),
            ]
        })
        .collect();
    html! {
        section {
            h2 { (texts::WHY) }
            @if rows.is_empty() { p.empty { (texts::UNDECIDED) } }
            @else {
                (table(texts::WHY, &[
                    Column::Words("job"), Column::Words("decision"), Column::Words("rule"), Column::Words("since"), Column::Words("why"),
                ], &rows))
            }
        }
    }
}

/// Whose time it was: the stretches as a picture, the figures as a table.
fn times(life: &Life, account: Option<&Account>) -> Markup {
    let length = |seconds: i64| html! { (rough(TimeDelta::seconds(seconds))) };
    let rows: Vec<Vec<Markup>> = life
        .parties
        .iter()
        .map(|one| {
            vec![
                html! { svg.key width="14" height="14" aria-hidden="true" { rect class=(one.party) width="14" height="14" rx="3" {} } " " (one.party) },
                length(one.calendar_seconds),
                length(one.working_seconds),
                html! { "± " (length(one.error_seconds)) },
                html! { (one.times) },
            ]
        })
        .collect();
    html! {
        @if let Some(account) = account {
            section {
                h2 { (texts::WHOSE_TIME) }
                (picture(&account.stretches))
                p.hint { (texts::COMPRESSED) }
                (table(texts::WHOSE_TIME, &[
                    Column::Words("whose"), Column::Figure("in all"), Column::Figure("on working days"), Column::Figure("error"), Column::Figure("times"),
                ], &rows))
            }
        }
    }
}

/// A bar a stretch. A day of nothing must not hide an hour in which everything happened, so lengths are drawn by their
/// logarithm.
fn picture(stretches: &[Stretch]) -> Markup {
    let weight = |stretch: &Stretch| {
        let minutes = (stretch.to - stretch.from).num_seconds().max(0) as f64 / 60.0;
        (1.0 + minutes).ln().max(0.5)
    };
    let whole: f64 = stretches.iter().map(weight).sum();
    let mut x = 0.0;
    let bars: Vec<(f64, f64, &Stretch)> = stretches
        .iter()
        .map(|stretch| {
            let width = weight(stretch) / whole * WIDTH;
            let bar = (x, width, stretch);
            x += width;
            bar
        })
        .collect();
    let said: Vec<String> = stretches
        .iter()
        .map(|stretch| {
            format!(
                "{} {}",
                stretch.turn.party,
                rough(stretch.to - stretch.from)
            )
        })
        .collect();
    html! {
        svg.stretches viewBox={ "0 0 " (WIDTH) " 46" } preserveAspectRatio="none" role="img" aria-label=(said.join(", ")) {
            @for (x, width, stretch) in bars {
                g {
                    title { (stretch.turn.party) ", " (rough(stretch.to - stretch.from)) ": " (stretch.turn.why) }
                    rect class=(stretch.turn.party) x=(format!("{x:.1}")) y="0" width=(format!("{:.1}", (width - 1.5).max(0.5))) height="46" {}
                }
            }
        }
    }
}

fn timeline_table(lines: &[Line], moment: Moment) -> Markup {
    let rows: Vec<Vec<Markup>> = lines
        .iter()
        .map(|line| {
            let late = line.seen_later_seconds.filter(|seconds| *seconds > 0);
            let late = late.map(|seconds| rough(TimeDelta::seconds(seconds)));
            let idle = line.idle_seconds.is_some();
            vec![
                if idle { nothing() } else { moment.at(line.at) },
                html! { @if idle { em { "idle" } } @else { (line.kind) } },
                line.turn.map_or_else(nothing, |party| html! { (party) }),
                html! { (moment.say(&line.what)) @if let Some(late) = late { " " span.age { "(seen " (late) " later)" } } },
            ]
        })
        .collect();
    html! {
        section {
            h2 { (texts::TIMELINE) }
            @if rows.is_empty() { p.empty { (texts::NO_ROWS) } }
            @else {
                (table(texts::TIMELINE, &[
                    Column::Words("at"), Column::Words("kind"), Column::Words("turn"), Column::Words("what"),
                ], &rows))
            }
        }
    }
}

fn attempts(material: &Material, moment: Moment, may: May) -> Markup {
    html! {
        section {
            h2 { (texts::ATTEMPTS) }
            @if material.attempts.is_empty() { p.empty { (texts::NEVER_TRIED) } }
            @if let Some((attempt, _)) = material.attempts.first().filter(|(attempt, _)| !attempt.state.is_open()) {
                (may.form(Act::Retry, texts::RETRY, &[("org", attempt.org.as_str()), ("request", attempt.reference_id.as_str())], &html! {}))
            }
            @for (attempt, steps) in &material.attempts { (tried(attempt, steps, moment, may)) }
        }
    }
}

/// A write, with what was read before it and what has proven it since.
pub(super) fn tried(attempt: &Attempt, steps: &[AttemptStep], moment: Moment, may: May) -> Markup {
    let rows: Vec<Vec<Markup>> = steps
        .iter()
        .map(|step| {
            vec![
                moment.at(step.at),
                badge(attempt_tone(step.state), step.state.as_str()),
                words(&step.who),
                moment.say(&step.detail),
            ]
        })
        .collect();
    let caption = format!("attempt {}: {}", attempt.id, attempt.operation);
    html! {
        h3 id={ "attempt-" (attempt.id) } { (caption) " " (badge(attempt_tone(attempt.state), attempt.state.as_str())) }
        dl {
            dt { "by" } dd { (attempt.job_name) ", rule " (attempt.rule) ", run " (attempt.run_id) }
            dt { "read right before" } dd { (version(&attempt.before, moment)) }
            dt { "proof" } dd { (proof(attempt, moment)) }
        }
        @if attempt.state == AttemptState::NeedsHuman {
            (may.form(Act::Settle, texts::SETTLE, &[("attempt", &attempt.id.to_string())], &forms::verdict()))
        }
        (table(&caption, &[
            Column::Words("at"), Column::Words("state"), Column::Words("by"), Column::Words("what was seen"),
        ], &rows))
    }
}

fn version(version: &Version, moment: Moment) -> Markup {
    html! {
        (words(version.status.as_str()))
        @if version.cancelling { " (cancelling)" }
        ", dated "
        (moment.maybe(version.last_updated))
    }
}

/// Never more than what a read showed, or a person said.
fn proof(attempt: &Attempt, moment: Moment) -> Markup {
    match (attempt.state, &attempt.confirmed) {
        (AttemptState::Confirmed, Some(seen)) => html! { "read since: " (version(seen, moment)) },
        (AttemptState::Confirmed, None) => html! { "a person's word" },
        (AttemptState::Ineffective, _) => html! { "proven to have had no effect" },
        (AttemptState::NotSent, _) => html! { "none needed: no byte left" },
        (AttemptState::Rejected, _) => html! { "none needed: it was refused" },
        (AttemptState::NeedsHuman, _) => html! { strong { "none: reading could not settle it" } },
        (AttemptState::Intended | AttemptState::Accepted | AttemptState::Unknown, _) => html! {
            strong { "not yet proven" }
            @if let Some(at) = attempt.verify_at { ": it is read again at " (moment.at(at)) }
        },
    }
}

fn findings(found: &[Finding], moment: Moment, may: May) -> Markup {
    let rows: Vec<Vec<Markup>> = found
        .iter()
        .map(|finding| {
            let tone = match finding.state {
                FindingState::Open => Tone::Warn,
                FindingState::Acknowledged | FindingState::Resolved => Tone::Quiet,
            };
            vec![
                html! { (finding.key.kind) },
                words(&finding.key.detail),
                badge(tone, finding.state.as_str()),
                html! { (finding.job_name) },
                moment.at(finding.first_seen),
                moment.maybe(finding.resolved_at),
                html! { (moment.say(&finding.evidence)) (hands_off(finding, may)) },
            ]
        })
        .collect();
    html! {
        section {
            h2 { (texts::FINDINGS) }
            @if rows.is_empty() { p.empty { (texts::NO_ROWS) } }
            @else {
                (table(texts::FINDINGS, &[
                    Column::Words("kind"), Column::Words("detail"), Column::Words("state"), Column::Words("job"),
                    Column::Words("first seen"), Column::Words("resolved"), Column::Words("what was seen"),
                ], &rows))
            }
        }
    }
}

/// A person's word about a finding, or that it is taken back.
fn hands_off(finding: &Finding, may: May) -> Markup {
    let id = finding.id.to_string();
    let of = [
        ("finding", id.as_str()),
        ("org", finding.org.as_str()),
        ("request", finding.key.reference_id.as_str()),
    ];
    match finding.state {
        FindingState::Open => may.form(Act::Acknowledge, texts::ACKNOWLEDGE, &of, &html! {}),
        FindingState::Acknowledged => may.form(Act::TakeBack, texts::TAKE_BACK, &of, &html! {}),
        FindingState::Resolved => html! {},
    }
}

fn said(material: &Material, moment: Moment) -> Markup {
    html! {
        @if !material.acknowledgements.is_empty() {
            section {
                h2 { (texts::HANDS_OFF) }
                ul { @for one in &material.acknowledgements {
                    li { (moment.say(&Said::new(one.clone(), None).show())) }
                } }
            }
        }
    }
}
