//! What a valid configuration says that may not be meant: pure. Nothing here stops the program; it is said by
//! `config check`, at each start, and when a reload changes anything.

use super::heard::{self, unnamed};
use super::job::{self, JobKind};
use super::problem::Problems;
use super::tree::Table;
use super::{Config, Job, layers};
use crate::domain::{Filter, Status};
use crate::rules::Rule;
use crate::rules::classes::{self, Class};
use crate::rules::coverage::{Coverage, Ground, coverage};

/// Each of them, as a sentence.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for job in &config.jobs {
        said.extend(dead_words(job, config));
    }
    said.extend(missing_kinds(&config.jobs));
    for filter in &config.tesamanager.unsupported_filters {
        said.extend(cost(*filter, config));
    }
    said
}

/// Words of rules that never count, because an earlier rule takes them.
fn dead_words(job: &Job, config: &Config) -> Vec<String> {
    let rules: Vec<&Rule> = job.rules.iter().collect();
    let unnamed = unnamed(job.kind, job.rules.iter());
    let ground = Ground {
        orgs: &config.tesamanager.orgs,
        unnamed: &unnamed,
    };
    let mut said = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let Coverage::Reached(dead) = coverage(&rules, index, ground) else {
            continue;
        };
        for dead in dead {
            said.push(format!(
                "job {}, rule {}: {} in `{}` never counts: {} before it takes it",
                job.name,
                rule.name,
                dead.word,
                dead.key,
                heard::names(&dead.by, &rules)
            ));
        }
    }
    said
}

/// Kinds of job that a file leaves out. The jobs of the program itself are left alone.
fn missing_kinds(jobs: &[Job]) -> Vec<String> {
    if built_in().is_some_and(|built_in| built_in == jobs) {
        return vec![];
    }
    JobKind::ALL
        .iter()
        .filter(|kind| jobs.iter().all(|job| job.kind != **kind))
        .map(|kind| format!("no job of kind {kind}: {}", without(*kind)))
        .collect()
}

const fn without(kind: JobKind) -> &'static str {
    match kind {
        JobKind::RetryStuck => "stuck requests are neither found nor sent again",
        JobKind::ResolveIssues => "open issues are neither flagged nor resolved",
        JobKind::FlagEvents => "inconsistent events are not flagged",
        JobKind::Housekeeping => "the store keeps everything and grows",
    }
}

fn built_in() -> Option<Vec<Job>> {
    let mut root = Table::new();
    layers::lay_defaults(&mut root, &layers::Environment::of(std::iter::empty()));
    job::read_all(&root, None, &mut Problems::default())
}

/// What it costs that a filter is not to be trusted: what it would tell is read, in every run.
fn cost(filter: Filter, config: &Config) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for job in &config.jobs {
        match job.kind {
            JobKind::RetryStuck => parts.extend(read_by_rules(filter, job, config)),
            JobKind::ResolveIssues | JobKind::FlagEvents if filter == Filter::NotUpdatedSince => {
                parts.push(format!(
                    "job {} can't tell what changed and reads every request that it lists",
                    job.name
                ));
            }
            JobKind::ResolveIssues if filter == Filter::Statuses => parts.push(format!(
                "job {} can't list by status, and is about every request",
                job.name
            )),
            JobKind::ResolveIssues | JobKind::FlagEvents | JobKind::Housekeeping => {}
        }
    }
    if parts.is_empty() {
        return None;
    }
    let parts = parts.join("; ");
    Some(format!(
        "unsupported_filters names {filter}, which costs reads in every run: {parts}"
    ))
}

/// Of which statuses a `retry_stuck` job reads every request because of this filter.
fn read_by_rules(filter: Filter, job: &Job, config: &Config) -> Option<String> {
    let orgs = config.tesamanager.orgs.iter();
    let because = |class: &Class| classes::relies_on(&job.rules[class.rule].matcher, filter);
    let mut statuses: Vec<Status> = orgs
        .flat_map(|org| classes::compile(&job.rules, org, &[filter]))
        .filter(because)
        .map(|class| class.status)
        .collect();
    statuses.sort();
    statuses.dedup();
    if statuses.is_empty() {
        return None;
    }
    let names: Vec<&str> = statuses.iter().map(Status::as_str).collect();
    let names = names.join(", ");
    Some(match filter {
        Filter::Statuses => format!("job {} reads requests of every status", job.name),
        Filter::NotUpdatedSince => {
            format!("job {} reads every request in {names}", job.name)
        }
        Filter::PersistenceType | Filter::Cancelling | Filter::AutoInstallation => {
            format!("job {} reads every aged request in {names}", job.name)
        }
    })
}
