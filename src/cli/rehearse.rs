//! `rehearse`: what the rules of this configuration would have done on recorded history, and how that differs from what was done.
//! Reads the store only; nobody asks the upstream, and nothing is written anywhere.
//!
//! The rules are those of `--config`; the store is the one that it names. Give it a copy of the daemon's file with the new rules.

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal as _;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;

use super::common::Session;
use super::exit::Failure;
use super::lists::{gather_newest, tell_the_rest};
use super::output::{self, Format, Row, instant, or_dash, table, wrapped};
use super::time;
use crate::domain::ids::{JobName, Org, ReferenceId, RuleName};
use crate::history::rehearse::{Act, Caps, Life, Outcome, Rehearsed, Window, apply, rehearse};
use crate::history::report::percentile;
use crate::history::timeline::span;
use crate::reconcile::rehearse::Configured;
use crate::reconcile::retry_verdict::RetryPolicy;
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::requests::Alike;

/// Requests of a page.
const PAGE: u32 = 1_000;

/// Rows of the list in a table.
const SCREENFUL: usize = 50;

/// `rehearse`.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// History since then: an age ("30d") or an instant
    #[arg(long, value_name = "T", default_value = "30d")]
    since: String,
}

/// What one rule wanted of how many requests.
#[derive(Debug, Serialize)]
struct Wanted {
    job_name: JobName,
    rule: Option<RuleName>,
    wants: &'static str,
    requests: u64,
}

/// The rehearsal in JSON.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    requests: u64,
    /// Recorded decisions that these rules make too, and otherwise.
    reproduced: u64,
    differing: u64,
    not_replayable: BTreeMap<&'static str, u64>,
    rules: Vec<Wanted>,
    outcomes: BTreeMap<&'static str, u64>,
    put_off: u64,
    rows: u64,
    rows_unused: u64,
    differences: &'a [Act],
}

/// Rehearses.
pub async fn run(session: &Session, args: &RehearseArgs) -> Result<(), Failure> {
    let now = session.now();
    let window = Window {
        since: time::since(&args.since, now)?,
        until: now,
    };
    let config = &session.config;
    let retry = RetryPolicy {
        max_attempts: config.safety.max_attempts,
        initial: config.safety.backoff.initial,
        max: config.safety.backoff.max,
    };
    let rules = Configured::new(&config.jobs, retry);
    let (mut done, mut requests) = (Rehearsed::default(), 0);
    let mut open = BTreeMap::new();
    for org in session.orgs(args.org.as_deref())? {
        let attempts = attempts(session, &org).await?;
        open.insert(org.clone(), count_open(session, &org).await?);
        let mut after: Option<ReferenceId> = None;
        loop {
            let page = session.store.histories(&org, after.as_ref(), PAGE).await?;
            for (id, happenings) in &page {
                let life = Life {
                    org: &org,
                    reference_id: id,
                    happenings,
                    attempts: attempts.get(id).map_or(&[], Vec::as_slice),
                    acknowledgements: &[],
                };
                let mut one = rehearse(&rules, &life, window);
                // What people said matters only where something would have been sent, and is asked for only there.
                if one.acts.iter().any(|act| act.outcome != Outcome::AsDone) {
                    let said = session.store.acknowledgements_of(&org, id).await?;
                    if !said.is_empty() {
                        let life = Life {
                            acknowledgements: &said,
                            ..life
                        };
                        one = rehearse(&rules, &life, window);
                    }
                }
                done.add(one);
            }
            requests += page.len() as u64;
            progress(requests);
            after = page.last().map(|(id, _)| id.clone());
            if page.len() < PAGE as usize {
                break;
            }
        }
    }
    apply(&mut done.acts, &caps(session, open));
    print(session, window, requests, &done)
}

/// On a terminal; else nobody reads it.
fn progress(requests: u64) {
    if requests >= u64::from(PAGE) && std::io::stderr().is_terminal() {
        output::note(&format!("{requests} requests rehearsed"));
    }
}

/// What was sent, by the request, oldest first.
async fn attempts(
    session: &Session,
    org: &Org,
) -> Result<HashMap<ReferenceId, Vec<Attempt>>, Failure> {
    let filter = AttemptFilter {
        org: Some(org.clone()),
        ..AttemptFilter::default()
    };
    let fetch = async |page| session.store.attempts(&filter, page).await;
    let sent = gather_newest(None, None, |row: &Attempt| row.id.0, fetch).await?;
    let mut by_request: HashMap<ReferenceId, Vec<Attempt>> = HashMap::new();
    for attempt in sent.into_iter().rev() {
        let of_request = by_request.entry(attempt.reference_id.clone()).or_default();
        of_request.push(attempt);
    }
    Ok(by_request)
}

async fn count_open(session: &Session, org: &Org) -> Result<u64, Failure> {
    let counts = session.store.count_open(org).await?;
    let each = counts
        .iter()
        .filter(|one| matches!(one.alike, Alike::Request { .. }));
    Ok(each.map(|one| one.requests).sum())
}

fn caps(session: &Session, open: BTreeMap<Org, u64>) -> Caps {
    let (config, now) = (&session.config, session.now());
    let every = config.jobs.iter().filter_map(|job| {
        let first = job.schedule.when.next_after(now)?;
        let second = job.schedule.when.next_after(first)?;
        Some((job.name.clone(), (second - first).to_std().ok()?))
    });
    Caps {
        hold_above_count: config.safety.hold_above_count,
        hold_above_fraction: config.safety.hold_above_fraction,
        per_run: config.safety.max_writes_per_run,
        per_hour: config.safety.max_writes_per_hour,
        every: every.collect(),
        open,
    }
}

fn print(
    session: &Session,
    window: Window,
    requests: u64,
    done: &Rehearsed,
) -> Result<(), Failure> {
    let differences: Vec<Act> = done
        .acts
        .iter()
        .filter(|act| !matches!(act.outcome, Outcome::AsDone | Outcome::HandsOff))
        .cloned()
        .collect();
    let mut outcomes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for act in &done.acts {
        *outcomes.entry(act.outcome.as_str()).or_default() += 1;
    }
    let rules = done
        .wanted
        .iter()
        .map(|((job, rule, wants), requests)| Wanted {
            job_name: job.clone(),
            rule: rule.clone(),
            wants,
            requests: *requests,
        });
    let answer = Answer {
        since: window.since,
        until: window.until,
        requests,
        reproduced: done.reproduced,
        differing: done.differing,
        not_replayable: done.unreplayable.clone(),
        rules: rules.collect(),
        outcomes,
        put_off: done.acts.iter().filter(|act| act.put_off).count() as u64,
        rows: done.rows,
        rows_unused: done.unused,
        differences: &differences,
    };
    match session.format {
        Format::Json => output::json(&answer)?,
        Format::Csv => output::list(Format::Csv, &differences)?,
        Format::Table => {
            output::text(&told(&answer, &done.acts))?;
            let shown = &differences[..differences.len().min(SCREENFUL)];
            if !shown.is_empty() {
                output::text("")?;
                output::list(Format::Table, shown)?;
            }
            if shown.len() < differences.len() {
                tell_the_rest(
                    shown.len(),
                    differences.len() as u64,
                    " (--output csv, too)",
                );
            }
        }
    }
    Ok(())
}

/// The figures, for people.
fn told(answer: &Answer<'_>, acts: &[Act]) -> String {
    let mut said = vec![format!(
        "{} requests, history from {} to {}",
        answer.requests,
        instant(answer.since),
        instant(answer.until)
    )];
    said.push(format!(
        "of the recorded decisions these rules make {} too and {} otherwise",
        answer.reproduced, answer.differing
    ));
    if !answer.not_replayable.is_empty() {
        let reasons = answer.not_replayable.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{reason}: {count}"))
            .collect();
        said.push(format!("can't be replayed: {}", reasons.join(", ")));
    }
    if answer.rows_unused > 0 {
        let share = answer.rows_unused as f64 / answer.rows.max(1) as f64 * 100.0;
        said.push(format!(
            "{} of {} rows of history ({share:.1} %) are not used: they follow an action that differs",
            answer.rows_unused, answer.rows
        ));
    }
    let mut said: Vec<String> = said.iter().map(|line| wrapped(line, 2)).collect();
    said.push(String::new());
    said.push(table(
        &["job", "rule", "wants", "requests"],
        answer.rules.iter().map(|one| {
            vec![
                one.job_name.to_string(),
                or_dash(one.rule.as_ref(), ToString::to_string),
                one.wants.to_owned(),
                one.requests.to_string(),
            ]
        }),
    ));
    said.push(String::new());
    said.push(table(
        &["what became of writes", "writes", "half within"],
        answer.outcomes.iter().map(|(outcome, count)| {
            let of_outcome = acts.iter().filter(|act| act.outcome.as_str() == *outcome);
            let within = percentile(
                of_outcome
                    .filter_map(|act| act.changed_after_seconds)
                    .collect(),
                50,
            );
            vec![
                (*outcome).to_owned(),
                count.to_string(),
                or_dash(within, |seconds| span(TimeDelta::seconds(seconds))),
            ]
        }),
    ));
    if answer.put_off > 0 {
        said.push(format!(
            "the caps would have put off {} of them",
            answer.put_off
        ));
    }
    said.join("\n")
}

impl Row for Act {
    const COLUMNS: &'static [&'static str] = &[
        "at",
        "org",
        "request",
        "job",
        "rule",
        "write",
        "outcome",
        "changed after",
    ];
    const FIRST: &'static [&'static str] = &[
        "at",
        "org",
        "reference_id",
        "job_name",
        "rule",
        "operation",
        "outcome",
        "changed_after_seconds",
        "put_off",
    ];
    fn cells(&self) -> Vec<String> {
        vec![
            instant(self.at),
            self.org.to_string(),
            self.reference_id.to_string(),
            self.job_name.to_string(),
            or_dash(self.rule.as_ref(), ToString::to_string),
            self.operation.to_string(),
            self.outcome.to_string(),
            or_dash(self.changed_after_seconds, |seconds| {
                span(TimeDelta::seconds(seconds))
            }),
        ]
    }
}
