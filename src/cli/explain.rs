//! `explain`: everything about one request: what is known, decided, tried, and what comes next. Reads only.
//!
//! Says where each fact comes from, and prints what it can when a part can't be had: an upstream that is away must
//! not hide what the ledger knows.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::common::{Common, find_orgs};
use super::exit::{Exit, Failure};
use super::findings::Said;
use super::output::{self, Format, instant, or_dash};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::domain::code::Code;
use crate::domain::ids::{ExternalReference, Org, ReferenceId};
use crate::domain::{AttemptState, Observation, SkipReason, Status, Trigger};
use crate::reconcile::executor::references;
use crate::reconcile::runner::RunOrder;
use crate::reconcile::survey::SurveyError;
use crate::store::attempts::{Attempt, AttemptFilter, AttemptStep};
use crate::store::findings::{Finding, FindingFilter};
use crate::store::requests::RememberedDecision;
use crate::store::{Actor, Page};
use crate::tesamanager::ReadError;

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A reference id or an external reference
    reference: String,
    /// Only in this org (default: all)
    #[arg(long)]
    org: Option<String>,
}

/// All about one request.
#[derive(Debug, Serialize)]
struct Explanation {
    org: Org,
    reference_id: ReferenceId,
    /// As the upstream says now; none if it could not be asked.
    upstream: Option<Observation>,
    upstream_trouble: Option<String>,
    /// As remembered.
    remembered: Option<Observation>,
    /// What a run would decide now, one line a job.
    would_decide: Vec<JobDecision>,
    /// What runs decided last.
    decided: Vec<RememberedDecision>,
    attempts: Vec<ExplainedAttempt>,
    findings: Vec<Finding>,
    /// What people said of it, what has ended too; and what holds of its order.
    acknowledgements: Vec<Said>,
    /// What stands behind the hashes above, in the upstream's own words. Read now, and kept nowhere.
    words: Vec<Words>,
    next: String,
}

/// Words of the upstream that everything else knows by a hash, because they may be somebody's name.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Words {
    hash: String,
    said: String,
    what: &'static str,
}

impl Words {
    fn code(code: &Code, what: &'static str) -> Option<Self> {
        (code.said() != code.as_str()).then(|| Self {
            hash: code.to_string(),
            said: code.said().to_owned(),
            what,
        })
    }
}

#[derive(Debug, Serialize)]
struct JobDecision {
    job_name: String,
    verdict: String,
    rule: Option<String>,
    explanation: String,
}

#[derive(Debug, Serialize)]
struct ExplainedAttempt {
    #[serde(flatten)]
    attempt: Attempt,
    steps: Vec<AttemptStep>,
}

/// Explains every request that the reference means.
pub async fn run(common: &Common, args: &ExplainArgs) -> Result<(), Failure> {
    let config = common.load()?;
    let orgs = find_orgs(&config, args.org.as_deref())?;
    let clock = Arc::new(SystemClock);
    let reader = app::Reader::open(&config, clock).await?;
    let mut explained = Vec::new();
    let mut trouble = Vec::new();
    for org in &orgs {
        let (ids, upstream_trouble) = meant(&reader, org, &args.reference).await?;
        trouble.extend(upstream_trouble.map(|error| format!("{org}: {error}")));
        for id in ids {
            explained.push(explain(&reader, org, id).await?);
        }
    }
    for line in &trouble {
        output::note(&format!("the upstream could not be asked ({line})"));
    }
    if explained.is_empty() {
        return Err(Failure::new(
            if trouble.is_empty() {
                Exit::Failed
            } else {
                Exit::UpstreamUnreachable
            },
            format!(
                "no request answers to {:?}, in the upstream or in the store",
                args.reference
            ),
        ));
    }
    match common.format {
        Format::Json => Ok(output::json(&explained)?),
        Format::Table => {
            for explanation in &explained {
                output::text(&show(explanation))?;
            }
            Ok(())
        }
    }
}

/// The requests that a text means in an org: by reference id, and by external reference.
async fn meant(
    reader: &app::Reader,
    org: &Org,
    reference: &str,
) -> Result<(Vec<ReferenceId>, Option<ReadError>), Failure> {
    let mut ids: Vec<ReferenceId> = reader
        .store
        .find_observations(Some(org), reference)
        .await?
        .into_iter()
        .map(|(_, seen)| seen.reference_id)
        .collect();
    let filter = AttemptFilter {
        org: Some(org.clone()),
        reference: Some(reference.to_owned()),
        ..AttemptFilter::default()
    };
    let attempts = reader.store.attempts(&filter, Page::first(100)).await?;
    ids.extend(attempts.into_iter().map(|attempt| attempt.reference_id));
    let mut trouble = None;
    let order = ExternalReference::new(reference);
    match references(&*reader.api, org, &order).await {
        Ok(found) => ids.extend(found),
        Err(error) => trouble = Some(error),
    }
    if ids.is_empty() && trouble.is_none() {
        let id = ReferenceId::new(reference);
        match reader.api.get_request(org, &id).await {
            Ok(_) => ids.push(id),
            Err(ReadError::NotFound { .. }) => {}
            Err(error) => trouble = Some(error),
        }
    }
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(id.clone()));
    Ok((ids, trouble))
}

async fn explain(reader: &app::Reader, org: &Org, id: ReferenceId) -> Result<Explanation, Failure> {
    let (upstream, upstream_trouble) = match reader.api.get_request(org, &id).await {
        Ok(request) => (Some(request.seen), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let remembered = reader
        .store
        .observations(org, std::slice::from_ref(&id))
        .await?
        .into_iter()
        .next();
    let request = upstream.as_ref().or(remembered.as_ref());
    let mut would_decide = Vec::new();
    if let Some(request) = request {
        for job in &reader.jobs {
            let order = RunOrder {
                job: Arc::clone(job),
                org: org.clone(),
                trigger: Trigger::Manual,
                slot: None,
                actor: Actor::daemon("explain"),
            };
            let considered = match reader.reconciler.consider(&order, request).await {
                Ok(considered) => considered,
                // An upstream that is away must not hide what the ledger knows.
                Err(SurveyError::Read(error)) => {
                    output::note(&format!(
                        "what {} would decide can't be told: {error}",
                        job.name
                    ));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(decision) = considered {
                would_decide.push(JobDecision {
                    job_name: job.name.to_string(),
                    verdict: decision.verdict.label().to_owned(),
                    rule: decision.rule.map(|rule| rule.to_string()),
                    explanation: decision.explanation,
                });
            }
        }
    }
    let filter = AttemptFilter {
        org: Some(org.clone()),
        reference: Some(id.to_string()),
        ..AttemptFilter::default()
    };
    let mut attempts = Vec::new();
    for attempt in reader.store.attempts(&filter, Page::first(100)).await? {
        let steps = reader.store.attempt_steps(attempt.id).await?;
        attempts.push(ExplainedAttempt { attempt, steps });
    }
    let filter = FindingFilter {
        org: Some(org.clone()),
        reference: Some(id.to_string()),
        ..FindingFilter::default()
    };
    let findings = reader.store.findings(&filter, Page::first(100)).await?;
    let order: Vec<_> = request
        .and_then(|request| request.external_reference.clone())
        .into_iter()
        .collect();
    let ids = std::slice::from_ref(&id);
    let mut said = reader.store.acknowledgements_of(org, &id).await?;
    for one in reader
        .store
        .acknowledgements_about(org, ids, &order)
        .await?
    {
        if !said.contains(&one) {
            said.push(one);
        }
    }
    let updated = request.and_then(|request| request.last_updated);
    let acknowledgements = said
        .into_iter()
        .map(|one| Said::new(one, updated))
        .collect();
    let decided = reader.store.decisions_about(org, &id).await?;
    let words = match &upstream {
        Some(request) => words(reader, org, request).await,
        None => vec![],
    };
    let next = next(reader, &attempts, &would_decide, SystemClock.now());
    Ok(Explanation {
        org: org.clone(),
        reference_id: id,
        upstream,
        upstream_trouble,
        remembered,
        would_decide,
        decided,
        attempts,
        findings,
        acknowledgements,
        words,
        next,
    })
}

/// The words that are known by their hashes otherwise; those that can't be read now are left out.
async fn words(reader: &app::Reader, org: &Org, request: &Observation) -> Vec<Words> {
    let id = &request.reference_id;
    let mut words = Vec::new();
    if let Status::Unknown(code) = &request.status {
        words.extend(Words::code(code, "its status"));
    }
    for issue in reader
        .api
        .get_request_issues(org, id)
        .await
        .unwrap_or_default()
    {
        words.extend(Words::code(&issue.issue_code, "an issue's code"));
    }
    for event in reader
        .api
        .get_request_events(org, id)
        .await
        .unwrap_or_default()
    {
        let message = event.message_type.as_ref();
        words.extend(message.and_then(|code| Words::code(code, "an event's message type")));
    }
    let mut known = HashSet::new();
    words.retain(|word| known.insert((word.hash.clone(), word.what)));
    words
}

/// What happens next by itself, and when.
fn next(
    reader: &app::Reader,
    attempts: &[ExplainedAttempt],
    would_decide: &[JobDecision],
    now: DateTime<Utc>,
) -> String {
    let open = attempts
        .iter()
        .map(|explained| &explained.attempt)
        .find(|attempt| attempt.state.is_open());
    if let Some(attempt) = open {
        return match attempt.state {
            AttemptState::NeedsHuman => format!(
                "nothing by itself: a person must settle attempt {0} (`tesa-reconciler attempts settle {0} …`)",
                attempt.id
            ),
            _ => format!(
                "attempt {} is verified by reading{}",
                attempt.id,
                attempt
                    .verify_at
                    .map_or_else(String::new, |at| format!(" from {}", instant(at)))
            ),
        };
    }
    let waits = |decision: &&JobDecision| {
        let reasons = [SkipReason::GivenUp, SkipReason::DuplicateReference];
        reasons
            .iter()
            .any(|reason| reason.as_str() == decision.verdict)
    };
    if let Some(decision) = would_decide.iter().find(waits) {
        return format!("nothing by itself: {}", decision.explanation);
    }
    let soonest = reader
        .jobs
        .iter()
        .filter_map(|job| {
            let due = crate::schedule::next_due(&job.schedule, &job.name, now)?;
            Some((due, &job.name))
        })
        .min();
    soonest.map_or_else(
        || "no job is scheduled".to_owned(),
        |(due, job)| format!("{job} looks at it again at {}", instant(due)),
    )
}

fn show(explanation: &Explanation) -> String {
    let mut lines = vec![format!(
        "{} / {}",
        explanation.org, explanation.reference_id
    )];
    let mut line = |label: &str, text: String| lines.push(format!("  {label:<12} {text}"));
    match (&explanation.upstream, &explanation.upstream_trouble) {
        (Some(request), _) => line("upstream", describe(request)),
        (None, Some(trouble)) => line("upstream", format!("not known: {trouble}")),
        (None, None) => {}
    }
    if let Some(request) = &explanation.remembered {
        line(
            "remembered",
            format!(
                "{} (read {})",
                describe(request),
                instant(request.observed_at)
            ),
        );
    }
    for decision in &explanation.would_decide {
        line(
            "would decide",
            format!(
                "{} ({}, {}): {}",
                decision.verdict,
                decision.job_name,
                or_dash(decision.rule.as_ref(), |rule| format!("rule {rule}")),
                decision.explanation
            ),
        );
    }
    for decision in &explanation.decided {
        line(
            "decided",
            format!(
                "{} by {} since {} (run {}): {}",
                decision.verdict,
                decision.job_name,
                instant(decision.since),
                decision.run_id,
                decision.explanation
            ),
        );
    }
    for explained in &explanation.attempts {
        let attempt = &explained.attempt;
        line(
            "tried",
            format!(
                "attempt {}: {} is {}",
                attempt.id, attempt.operation, attempt.state
            ),
        );
        for step in &explained.steps {
            line(
                "",
                format!(
                    "{}  {:<12} {} ({})",
                    instant(step.at),
                    step.state,
                    step.detail,
                    step.who
                ),
            );
        }
    }
    if explanation.attempts.is_empty() {
        line("tried", "nothing yet".to_owned());
    }
    for finding in &explanation.findings {
        line(
            "finding",
            format!(
                "{} {} {} ({}) since {}",
                finding.id,
                finding.key.kind,
                finding.state,
                finding.evidence,
                instant(finding.first_seen)
            ),
        );
    }
    for said in &explanation.acknowledgements {
        line("hands off", said.show());
    }
    for Words { hash, said, what } in &explanation.words {
        line("words", format!("{hash} is {said:?} ({what})"));
    }
    line("next", explanation.next.clone());
    lines.join("\n")
}

fn describe(request: &Observation) -> String {
    format!(
        "{}{}, {}, order {}, last updated {}",
        request.status,
        if request.cancelling {
            " (cancelling)"
        } else {
            ""
        },
        or_dash(request.persistence_type, |kind| kind.to_string()),
        or_dash(request.external_reference.as_ref(), ToString::to_string),
        or_dash(request.last_updated, instant),
    )
}
