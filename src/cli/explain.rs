//! `explain`: everything about one request: what is known, decided, tried, and what comes next. Reads only.
//!
//! Says where each fact comes from, and prints what it can when a part can't be had: an upstream that is away must
//! not hide what the ledger knows.

mod blockers;
mod listed;
mod show;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use self::blockers::Blocker;
use self::listed::Listed;
use super::common::{Common, find_orgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use crate::answers::findings::Said;
use crate::answers::next::{self, Outlook, Prospect};
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::config::{Job, JobKind};
use crate::domain::code::Code;
use crate::domain::ids::{ExternalReference, Org, ReferenceId, RuleName};
use crate::domain::run::Mode;
use crate::domain::{Observation, Status, Trigger};
use crate::reconcile::executor::references;
use crate::reconcile::jobs::turn::Foreseen;
use crate::reconcile::runner::RunOrder;
use crate::reconcile::survey::SurveyError;
use crate::rules::says;
use crate::store::attempts::{Attempt, AttemptFilter, AttemptStep};
use crate::store::findings::{Finding, FindingFilter};
use crate::store::requests::RememberedDecision;
use crate::store::{Actor, Page, Store};
use crate::tesamanager::ReadError;

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A reference id or an external reference, in full or by its beginning
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
    /// As a run last read it; none: not yet read.
    remembered: Option<Observation>,
    /// The lists that name it, as far as findings rest on them.
    listed: Vec<Listed>,
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
    /// All that stands between it and a write, in the order in which it must be out of the way.
    blockers: Vec<Blocker>,
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
    /// What that rule asks of a request.
    conditions: Option<String>,
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
        let reference = &args.reference;
        return Err(if trouble.is_empty() {
            let nowhere = "no request answers to";
            let message = format!("{nowhere} {reference:?}, in the upstream or in the store");
            Failure::new(Exit::Failed, message)
        } else {
            // Whether there is one nobody knows.
            let message = format!(
                "the store knows nothing of {reference:?}, and the upstream could not be asked"
            );
            Failure::new(Exit::UpstreamUnreachable, message)
        });
    }
    match common.format {
        Format::Json => Ok(output::json(&explained)?),
        Format::Table | Format::Csv => {
            for explanation in &explained {
                output::text(&show::show(explanation))?;
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
    let mut ids = known(&*reader.store, org, reference, Page::first(100)).await?;
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
    if ids.is_empty() {
        ids = beginning(&*reader.store, org, reference).await?;
    }
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(id.clone()));
    Ok((ids, trouble))
}

/// The requests of which the store knows anything under this reference; one may stand there more than once. Of findings and
/// attempts only this page is looked at.
pub(super) async fn known(
    store: &dyn Store,
    org: &Org,
    reference: &str,
    page: Page,
) -> Result<Vec<ReferenceId>, Failure> {
    let observed = store.find_observations(Some(org), reference).await?;
    let mut ids: Vec<ReferenceId> = observed
        .into_iter()
        .map(|(_, seen)| seen.reference_id)
        .collect();
    let (org, reference) = (Some(org.clone()), Some(reference.to_owned()));
    // One that lists alone told of has no observation.
    let filter = FindingFilter {
        org: org.clone(),
        reference: reference.clone(),
        ..FindingFilter::default()
    };
    let findings = store.findings(&filter, page).await?;
    ids.extend(findings.into_iter().map(|found| found.key.reference_id));
    let filter = AttemptFilter {
        org,
        reference,
        ..AttemptFilter::default()
    };
    let attempts = store.attempts(&filter, page).await?;
    ids.extend(attempts.into_iter().map(|attempt| attempt.reference_id));
    Ok(ids)
}

/// What happens next to a request, in a sentence.
pub(super) async fn next_of(
    reader: &app::Reader,
    org: &Org,
    id: ReferenceId,
) -> Result<String, Failure> {
    Ok(explain(reader, org, id).await?.next)
}

/// More than so many requests that begin alike are not explained one by one.
const ALIKE: usize = 5;

/// The requests of which one reference begins so, as far as findings and attempts know them.
pub(super) async fn beginning(
    store: &dyn Store,
    org: &Org,
    reference: &str,
) -> Result<Vec<ReferenceId>, Failure> {
    let (org, search) = (Some(org.clone()), Some(reference.to_owned()));
    let filter = FindingFilter {
        org: org.clone(),
        search: search.clone(),
        ..FindingFilter::default()
    };
    let findings = store.findings(&filter, Page::first(100)).await?;
    let filter = AttemptFilter {
        org,
        search,
        ..AttemptFilter::default()
    };
    let attempts = store.attempts(&filter, Page::first(100)).await?;
    let ids = findings.into_iter().map(|finding| finding.key.reference_id);
    let ids: BTreeSet<ReferenceId> = ids
        .chain(attempts.into_iter().map(|attempt| attempt.reference_id))
        .collect();
    if ids.len() > ALIKE {
        let some: Vec<&str> = ids.iter().take(ALIKE).map(ReferenceId::as_str).collect();
        let message = format!(
            "{} requests begin with {reference:?}, such as {}: type more of it",
            ids.len(),
            some.join(", ")
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(ids.into_iter().collect())
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
    let mut foreseen = Vec::new();
    for job in &reader.jobs {
        if job.kind != JobKind::Housekeeping {
            foreseen.push((job, foresee(reader, org, job, request).await?));
        }
    }
    let decisions = foreseen.iter().filter_map(|(job, foreseen)| {
        let decision = &foreseen.as_ref()?.as_ref().ok()?.decision;
        Some(JobDecision {
            job_name: job.name.to_string(),
            verdict: decision.verdict.label().to_owned(),
            rule: decision.rule.as_ref().map(ToString::to_string),
            conditions: conditions(job, decision.rule.as_ref()),
            explanation: decision.explanation.clone(),
        })
    });
    let would_decide = decisions.collect();
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
    let acknowledgements: Vec<Said> = said
        .into_iter()
        .map(|one| Said::new(one, updated))
        .collect();
    let decided = reader.store.decisions_about(org, &id).await?;
    let words = match &upstream {
        Some(request) => words(reader, org, request).await,
        None => vec![],
    };
    let listed = listed::listed(&*reader.store, org, &id, &findings).await?;
    let of_order = match order.as_slice() {
        [] => vec![],
        order => reader.store.attempts_for(org, order).await?,
    };
    let of_request = attempts.iter().map(|explained| &explained.attempt);
    let open = of_request
        .chain(&of_order)
        .find(|attempt| attempt.state.is_open());
    let (next, blockers) = outlook(reader, org, open, foreseen, &acknowledgements).await?;
    Ok(Explanation {
        org: org.clone(),
        reference_id: id,
        upstream,
        upstream_trouble,
        remembered,
        listed,
        would_decide,
        decided,
        attempts,
        findings,
        acknowledgements,
        words,
        blockers,
        next,
    })
}

/// What the rule of a job asks, as configured now.
fn conditions(job: &Job, rule: Option<&RuleName>) -> Option<String> {
    let rule = job.rules.iter().find(|one| Some(&one.name) == rule)?;
    Some(says::conditions(&rule.matcher))
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

/// What a job would do; none where the request is not known.
async fn foresee(
    reader: &app::Reader,
    org: &Org,
    job: &Arc<Job>,
    request: Option<&Observation>,
) -> Result<Option<Result<Foreseen, String>>, Failure> {
    let Some(request) = request else {
        return Ok(None);
    };
    let order = RunOrder {
        job: Arc::clone(job),
        org: org.clone(),
        trigger: Trigger::Manual,
        slot: None,
        actor: Actor::daemon("explain"),
    };
    match reader.reconciler.foresee(&order, request).await {
        Ok(foreseen) => Ok(foreseen.map(Ok)),
        // An upstream that is away must not hide what the ledger knows.
        Err(error @ (SurveyError::Read(_) | SurveyError::Distrusted { .. })) => {
            output::note(&format!(
                "what {} would do can't be told: {error}",
                job.name
            ));
            Ok(Some(Err(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// A job, and what it would do, if it can be foreseen; an error says why not, in words.
type Foretold<'j> = (&'j Arc<Job>, Option<Result<Foreseen, String>>);

/// What happens next, by what the store says of everything that stands in the way.
async fn outlook(
    reader: &app::Reader,
    org: &Org,
    open: Option<&Attempt>,
    foreseen: Vec<Foretold<'_>>,
    said: &[Said],
) -> Result<(String, Vec<Blocker>), Failure> {
    let (store, now) = (&reader.store, SystemClock.now());
    let pauses = store.pauses(now).await?;
    let latches = store.latches().await?;
    let circuits = store.circuits(now).await?;
    let doubt = match reader.reconciler.safety.mode {
        Mode::Enforce => store.doubt().await?,
        Mode::Observe => None,
    };
    let prospects = foreseen.into_iter().map(|(job, foreseen)| Prospect {
        job: &job.name,
        schedule: &job.schedule,
        foreseen,
        pauses: pauses
            .iter()
            .filter(|pause| pause.job_name.as_ref().is_none_or(|name| *name == job.name))
            .collect(),
        latch: latches
            .iter()
            .find(|latch| latch.job_name == job.name && latch.org == *org),
    });
    let held_back = store.held_back(now).await?;
    let mut held_back = held_back.into_iter().filter(|held| held.org == *org);
    let outlook = Outlook {
        org,
        now,
        open,
        doubt: doubt.map(|doubt| doubt.to_string()),
        circuit: circuits
            .iter()
            .find(|circuit| circuit.org == *org && circuit.is_open()),
        jobs: prospects.collect(),
        alive: !store
            .live_replicas(now - app::ALIVE_WITHIN, now)
            .await?
            .is_empty(),
        observes: reader.reconciler.safety.mode == Mode::Observe,
        held_back: held_back.next().map(|held| held.until),
    };
    Ok((next::next(&outlook), blockers::blockers(&outlook, said)))
}
