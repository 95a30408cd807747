//! `causes`: what the stuck requests have in common that the others have not, with the numbers that say so. Reads the store
//! only.
//!
//! No cause is an answer too: then they are stuck for reasons of their own, or too few to tell.

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::TypedValueParser;
use serde::Serialize;

use super::common::Session;
use super::exit::Failure;
use super::lists::{gather_findings, gather_newest, word};
use super::output::{self, Format, Row, instant, wrapped};
use super::time;
use crate::answers::groups::chosen;
use crate::domain::closed_set;
use crate::domain::ids::{JobName, Org, ReferenceId};
use crate::domain::{AttemptState, FindingKind, FindingState};
use crate::history::causes::{Beginnings, Cause, Dimension, Fact};
use crate::reconcile::causes::{Chosen, find};
use crate::store::attempts::{Attempt, AttemptFilter};
use crate::store::findings::FindingFilter;

closed_set! {
    /// Of which requests a cause is looked for.
    Of {
        /// What is stuck now.
        Stuck = "stuck",
        /// Attempts that failed.
        Failed = "failed",
        /// Those that wait for a write which the guard holds.
        Held = "held",
    }
}

/// Attempts that came to nothing, or of which nobody knows.
const FAILED: [AttemptState; 4] = [
    AttemptState::NotSent,
    AttemptState::Rejected,
    AttemptState::Ineffective,
    AttemptState::NeedsHuman,
];

/// `causes`.
#[derive(Debug, Args)]
pub struct CausesArgs {
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// Only found, or sent, by this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Of which requests: stuck, failed (their attempts), or held (by the guard)
    #[arg(long, value_name = "WHICH", value_parser = word!(Of), default_value = "stuck")]
    of: Of,
    /// Failed attempts since then: an age ("12h") or an instant [default: 7d]
    #[arg(long, value_name = "T")]
    since: Option<String>,
}

/// The answer in JSON: that there is none is one, too.
#[derive(Debug, Serialize)]
struct Answer {
    /// Of which requests.
    of: Of,
    /// How many they are.
    selected: u64,
    /// And how many of them have some cause.
    explained: u64,
    causes: Vec<CauseRow>,
}

/// A cause as printed.
#[derive(Debug, Serialize)]
struct CauseRow {
    /// Which place among them: the strongest is the first.
    cause: usize,
    /// What they have in common; several where they can't be told apart.
    facts: Vec<Fact>,
    selected: u64,
    of_selected: u64,
    open: u64,
    of_open: u64,
    share: f64,
    lift: f64,
    p: f64,
    began: Option<DateTime<Utc>>,
    burst: bool,
    requests: Vec<Reference>,
}

#[derive(Debug, Serialize)]
struct Reference {
    org: Org,
    reference_id: ReferenceId,
}

/// Finds them.
pub async fn run(session: &Session, args: &CausesArgs) -> Result<(), Failure> {
    let asked = Asked {
        org: session.known_org(args.org.as_deref()).await?,
        job: session.known_job(args.job.as_deref()).await?,
        of: args.of,
        since: args.since.as_deref().unwrap_or("7d"),
    };
    let orgs = match &asked.org {
        Some(org) => vec![org.clone()],
        None => session.config.tesamanager.orgs.clone(),
    };
    let (mut chosen, beginnings) = asked.choose(session).await?;
    chosen.retain(|one| orgs.contains(&one.org));
    let requests = count_requests(&chosen);
    let causes = find(&*session.store, &orgs, chosen, &beginnings).await?;
    let explained: u64 = causes.iter().map(|cause| cause.selected).sum();
    let rest = asked.rest(requests, explained);
    let rows: Vec<CauseRow> = causes.into_iter().enumerate().map(row).collect();
    match session.format {
        Format::Table => {
            for row in &rows {
                output::text(&asked.told(row))?;
            }
            output::text(&wrapped(&rest, 0))?;
        }
        Format::Json => output::json(&Answer {
            of: asked.of,
            selected: requests,
            explained,
            causes: rows,
        })?,
        Format::Csv => {
            output::note(&rest);
            output::list(Format::Csv, &rows)?;
        }
    }
    Ok(())
}

/// A request may have several findings, or attempts.
fn count_requests(chosen: &[Chosen]) -> u64 {
    let mut requests: Vec<_> = chosen
        .iter()
        .map(|one| (&one.org, &one.reference_id))
        .collect();
    requests.sort();
    requests.dedup();
    requests.len() as u64
}

struct Asked<'a> {
    org: Option<Org>,
    job: Option<JobName>,
    of: Of,
    since: &'a str,
}

impl Asked<'_> {
    /// Which requests, and when such things began in the last weeks.
    async fn choose(&self, session: &Session) -> Result<(Vec<Chosen>, Beginnings), Failure> {
        match self.of {
            Of::Stuck => {
                let filter = self.stuck();
                let found = gather_findings(session, None, &filter).await?;
                Ok((chosen(&found), standstills(session, filter).await?))
            }
            Of::Held => {
                let (mut held, mut beginnings) = (Vec::new(), Beginnings::default());
                for latch in session.store.latches().await? {
                    let is_other = |name: &JobName| *name != latch.job_name;
                    if self.job.as_ref().is_some_and(is_other)
                        || self.org.as_ref().is_some_and(|org| *org != latch.org)
                    {
                        continue;
                    }
                    let sends = senders(session, &latch.job_name);
                    let filter = FindingFilter {
                        org: Some(latch.org),
                        job_name: Some(latch.job_name),
                        state: Some(FindingState::Open),
                        ..FindingFilter::default()
                    };
                    let mut found = gather_findings(session, None, &filter).await?;
                    found.retain(|one| {
                        one.rule
                            .as_ref()
                            .is_some_and(|rule| sends.contains(&rule.as_str()))
                    });
                    for since in found.iter().filter_map(|one| one.since) {
                        beginnings.add(since);
                    }
                    held.extend(chosen(&found));
                }
                Ok((held, beginnings))
            }
            Of::Failed => self.failed(session).await,
        }
    }

    fn stuck(&self) -> FindingFilter {
        FindingFilter {
            org: self.org.clone(),
            job_name: self.job.clone(),
            kind: Some(FindingKind::StuckRequest),
            state: Some(FindingState::Open),
            ..FindingFilter::default()
        }
    }

    async fn failed(&self, session: &Session) -> Result<(Vec<Chosen>, Beginnings), Failure> {
        let now = session.now();
        let since = time::since(self.since, now)?;
        let (mut failed, mut beginnings) = (Vec::new(), Beginnings::default());
        for state in FAILED {
            let filter = AttemptFilter {
                org: self.org.clone(),
                state: Some(state),
                since: Some(since.min(now - Beginnings::REACH)),
                ..AttemptFilter::default()
            };
            let fetch = async |page| session.store.attempts(&filter, page).await;
            for attempt in gather_newest(None, None, |row: &Attempt| row.id.0, fetch).await? {
                if self
                    .job
                    .as_ref()
                    .is_some_and(|job| *job != attempt.job_name)
                {
                    continue;
                }
                beginnings.add(attempt.intended_at);
                if attempt.intended_at >= since {
                    failed.push(Chosen {
                        org: attempt.org,
                        reference_id: attempt.reference_id,
                        listed: None,
                        began: Some(attempt.intended_at),
                    });
                }
            }
        }
        // Of a request's several attempts the first one tells when it began.
        failed.sort_by_key(|one| one.began);
        Ok((failed, beginnings))
    }

    /// What those are called.
    fn named(&self) -> &'static str {
        match self.of {
            Of::Stuck => "stuck requests",
            Of::Failed => "requests with failed attempts",
            Of::Held => "requests that wait for a write",
        }
    }

    /// What is left open.
    fn rest(&self, requests: u64, explained: u64) -> String {
        let named = self.named();
        match (requests, explained) {
            (0, _) => format!("there are no {named}"),
            (_, 0) => format!(
                "no cause is seen: what the {requests} {named} have in common, the other open requests have too"
            ),
            _ if requests == explained => format!("that explains all {requests} {named}"),
            _ => format!(
                "the other {} of {requests} {named} have nothing in common that the other open requests have not",
                requests - explained
            ),
        }
    }

    /// A cause in words.
    fn told(&self, row: &CauseRow) -> String {
        let facts: Vec<String> = row.facts.iter().map(shown).collect();
        let mut lines = vec![format!("{}. {}", row.cause, facts[0])];
        if facts.len() > 1 {
            lines.push(format!(
                "   inseparable: the same requests have {}",
                facts[1..].join(" and ")
            ));
        }
        let (selected, of, named) = (row.selected, row.of_selected, self.named());
        let left = if row.cause > 1 { "other " } else { "" };
        lines.push(format!(
            "   {selected} of the {of} {left}{named} have it ({}); of all {} open requests {} have it ({}): {:.0} times as often",
            percent(row.share),
            row.of_open,
            row.open,
            percent(row.open as f64 / row.of_open as f64),
            row.lift
        ));
        let chance = if row.p > 0.0 {
            format!("by chance: {:.0e}", row.p)
        } else {
            "by chance: practically never".to_owned()
        };
        let began = row.began.map_or_else(String::new, |began| {
            let burst = if row.burst {
                ", in a burst: more at once than in that hour of any day in the four weeks before"
            } else {
                ""
            };
            format!("; the first stopped at {}{burst}", instant(began))
        });
        lines.push(format!("   {chance}{began}"));
        let lines: Vec<String> = lines.iter().map(|line| wrapped(line, 3)).collect();
        lines.join("\n")
    }
}

/// When requests stopped in the last weeks, those that go on by now too.
async fn standstills(session: &Session, live: FindingFilter) -> Result<Beginnings, Failure> {
    let mut beginnings = Beginnings::default();
    for state in [
        FindingState::Open,
        FindingState::Acknowledged,
        FindingState::Resolved,
    ] {
        let filter = FindingFilter {
            state: Some(state),
            since: (state == FindingState::Resolved).then(|| session.now() - Beginnings::REACH),
            ..live.clone()
        };
        for finding in gather_findings(session, None, &filter).await? {
            if let Some(since) = finding.since {
                beginnings.add(since);
            }
        }
    }
    Ok(beginnings)
}

/// The rules of a job that send something.
fn senders<'s>(session: &'s Session, job: &JobName) -> Vec<&'s str> {
    let job = session.config.jobs.iter().find(|one| one.name == *job);
    let rules = job.into_iter().flat_map(|job| &job.rules);
    let sends = rules.filter(|rule| matches!(rule.action, crate::rules::Action::Send(_)));
    sends.map(|rule| rule.name.as_str()).collect()
}

fn row((place, cause): (usize, Cause)) -> CauseRow {
    CauseRow {
        cause: place + 1,
        share: cause.share(),
        lift: cause.lift(),
        selected: cause.selected,
        of_selected: cause.of_selected,
        open: cause.open,
        of_open: cause.of_open,
        p: cause.p,
        began: cause.began,
        burst: cause.is_burst,
        requests: cause
            .requests
            .into_iter()
            .map(|(org, reference_id)| Reference { org, reference_id })
            .collect(),
        facts: cause.facts,
    }
}

/// A value as people read it: an hour in their zone.
fn shown(fact: &Fact) -> String {
    match (&fact.dimension, fact.value.parse::<DateTime<Utc>>()) {
        (Dimension::Began, Ok(hour)) => format!("began in the hour from {}", instant(hour)),
        _ => fact.to_string(),
    }
}

/// Two digits are enough to compare.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.2} %")
    }
}

impl Row for CauseRow {
    const COLUMNS: &'static [&'static str] = &["cause", "selected", "of", "open", "of"];
    const FIRST: &'static [&'static str] = &[
        "cause",
        "facts",
        "selected",
        "of_selected",
        "open",
        "of_open",
        "share",
        "lift",
        "p",
        "began",
        "burst",
    ];
    fn cells(&self) -> Vec<String> {
        let facts: Vec<String> = self.facts.iter().map(shown).collect();
        vec![
            facts.join(" = "),
            self.selected.to_string(),
            self.of_selected.to_string(),
            self.open.to_string(),
            self.of_open.to_string(),
        ]
    }
}
