//! `[[job]]`: the duties.

use std::time::Duration;

use super::keys::{Key, Kind, Section};
use super::problem::{Place, Problems};
use super::rule;
use super::tree::{self, Node, Table, Value};
use super::value::{self, ONE_SECOND, Reader, TEN_YEARS};
use super::{heard, nearest, schedule};
use crate::domain::ids::{JobName, Org};
use crate::domain::{EventCheck, closed_set};
use crate::rules::Rule;
use crate::schedule::Spec;

/// `[[job]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Unique.
    pub name: JobName,
    /// What it does.
    pub kind: JobKind,
    /// When.
    pub schedule: Spec,
    /// A run's longest time.
    pub timeout: Duration,
    /// How long an observation may be trusted without reading again.
    pub reobserve_every: Duration,
    /// What to do about what it finds.
    pub rules: Vec<Rule>,
    /// Which checks of event streams `flag_events` makes.
    pub event_checks: Vec<EventCheck>,
}

closed_set! {
    /// The kinds of job.
    JobKind {
        /// Finds requests that aged beyond their rule and acts on them.
        RetryStuck = "retry_stuck",
        /// Resolves issues.
        ResolveIssues = "resolve_issues",
        /// Flags inconsistent events.
        FlagEvents = "flag_events",
        /// Keeps the store small.
        Housekeeping = "housekeeping",
    }
}

pub(super) const SECTION: Section = Section {
    path: "job",
    repeated: true,
    optional: false,
    doc: "A duty. With no [[job]] at all the three below exist; with one, only those that the file names.",
    keys: &[
        Key::required(
            "name",
            Kind::Text,
            "\"retry-stuck\"",
            "What it is called, in commands, metrics and logs.",
        ),
        Key::required(
            "kind",
            Kind::Text,
            "\"retry_stuck\"",
            "retry_stuck, resolve_issues, flag_events or housekeeping.",
        ),
        Key::optional(
            "schedule",
            Kind::Text,
            "\"0 */5 * * * *\"",
            "When, as cron: second, minute, hour, day of month, month, weekday; this or every. Where both days are given, either is enough.",
        ),
        Key::preset(
            "timezone",
            Kind::Text,
            "\"UTC\"",
            "The zone that schedule is meant in; not with every.",
        ),
        Key::optional(
            "every",
            Kind::Text,
            "\"5m\"",
            "When, as an interval; this or schedule.",
        ),
        Key::preset(
            "overlap",
            Kind::Text,
            "\"skip\"",
            "If the run before is still going: skip, or queue_one to run right after it.",
        ),
        Key::preset(
            "catch_up",
            Kind::Text,
            "\"latest\"",
            "After a downtime: run the latest missed time, or skip all of them.",
        ),
        Key::preset(
            "catch_up_window",
            Kind::Text,
            "\"1h\"",
            "How long ago a missed time may be to be caught up.",
        ),
        Key::preset(
            "jitter",
            Kind::Text,
            "\"0s\"",
            "At most so much is added to each time, the same on every replica.",
        ),
        Key::preset("timeout", Kind::Text, "\"10m\"", "How long a run may take."),
        Key::preset(
            "reobserve_every",
            Kind::Text,
            "\"24h\"",
            "How long what was read is trusted while the upstream names no change.",
        ),
        Key::preset(
            "event_checks",
            Kind::List,
            "[\"inconsistent\", \"sequence_gap\", \"sequence_duplicate\", \"out_of_order\", \"after_final_status\", \"mixed_request_numbers\"]",
            "What flag_events looks for in a request's events.",
        ),
    ],
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads all jobs. `orgs` are the configured tenants, if those could be read.
pub(super) fn read_all(
    root: &Table,
    orgs: Option<&[Org]>,
    problems: &mut Problems,
) -> Option<Vec<Job>> {
    let mut names: Vec<String> = Vec::new();
    let jobs: Vec<Option<Job>> = tree::tables(root, SECTION.path)
        .iter()
        .map(|(place, table)| {
            let reader = Reader::repeated(SECTION.path, place, table);
            problems.within(subject("job", &reader), |problems| {
                let job = read(&reader, table, orgs, problems);
                refuse_repeated_name(&reader, "job", &mut names, problems);
                job
            })
        })
        .collect();
    jobs.into_iter().collect()
}

fn read(
    job: &Reader<'_>,
    table: &Table,
    orgs: Option<&[Org]>,
    problems: &mut Problems,
) -> Option<Job> {
    let name = job.required(problems, "name", value::name);
    let kind = job.required(problems, "kind", kind);
    let schedule = schedule::read(job, problems);
    let timeout = job.required(problems, "timeout", value::duration(ONE_SECOND, DAY));
    let reobserve = value::duration(ONE_SECOND, TEN_YEARS);
    let reobserve_every = job.required(problems, "reobserve_every", reobserve);
    let rules = rules(table, kind, orgs, problems);
    let check = value::word("a check of events", EventCheck::ALL, |check| check.as_str());
    let event_checks = job.required(
        problems,
        "event_checks",
        value::list(
            "an empty list would check nothing: leave the job out instead",
            check,
        ),
    );
    Some(Job {
        name: name?.into(),
        kind: kind?,
        schedule: schedule?,
        timeout: timeout?,
        reobserve_every: reobserve_every?,
        rules: rules?,
        event_checks: event_checks?,
    })
}

fn kind(node: &Node, problems: &mut Problems) -> Option<JobKind> {
    value::word("a kind of job", JobKind::ALL, |word| word.as_str())(node, problems)
}

fn rules(
    job: &Table,
    kind: Option<JobKind>,
    orgs: Option<&[Org]>,
    problems: &mut Problems,
) -> Option<Vec<Rule>> {
    if let (Some(JobKind::Housekeeping), Some(entry)) = (kind, job.get("rule")) {
        problems.report_with_help(
            &entry.key,
            "housekeeping has no rules",
            "remove them: [state] retention says what is kept",
        );
        return None;
    }
    let mut names = Vec::new();
    let tables = tree::tables(job, "rule");
    let rules: Vec<Option<Rule>> = tables
        .iter()
        .map(|(place, table)| {
            let reader = Reader::repeated(rule::SECTION.path, place, table);
            problems.within(subject("rule", &reader), |problems| {
                let rule = rule::read(&reader, kind, orgs, problems);
                refuse_repeated_name(&reader, "rule", &mut names, problems);
                rule
            })
        })
        .collect();
    if let (Some(kind), Some(orgs)) = (kind, orgs) {
        let places = tables.iter().map(|(place, _)| place);
        let read: Vec<(&Place, &Rule)> = places
            .zip(&rules)
            .filter_map(|(place, rule)| Some((place, rule.as_ref()?)))
            .collect();
        heard::refuse_unheard(&read, kind, orgs, problems);
    }
    rules.into_iter().collect()
}

/// What a problem within it is about.
pub(super) fn subject(what: &str, reader: &Reader<'_>) -> String {
    match reader.node("name").map(|node| &node.value) {
        Some(Value::Text(name)) if name.chars().all(|c| c.is_ascii_graphic()) => {
            format!("{what} {name}")
        }
        _ => what.to_owned(),
    }
}

pub(super) fn refuse_repeated_name(
    reader: &Reader<'_>,
    what: &str,
    names: &mut Vec<String>,
    problems: &mut Problems,
) {
    let Some(node) = reader.node("name") else {
        return;
    };
    let Value::Text(name) = &node.value else {
        return;
    };
    if names.contains(name) {
        problems.report_with_help(
            &node.place,
            format!("another {what} has this name"),
            "names tell them apart in commands and metrics: choose another",
        );
    }
    names.push(name.clone());
}

/// An org of a rule must be one of those that are looked after.
pub(super) fn known_org(
    org: Org,
    orgs: Option<&[Org]>,
    node: &Node,
    problems: &mut Problems,
) -> Option<Org> {
    let Some(orgs) = orgs else {
        return Some(org);
    };
    if orgs.contains(&org) {
        return Some(org);
    }
    let known: Vec<&str> = orgs.iter().map(Org::as_str).collect();
    let message = format!("\"{org}\" is not among tesamanager.orgs");
    match nearest::hint(org.as_str(), &known) {
        Some(hint) => problems.report_with_help(&node.place, message, hint),
        None => problems.report(&node.place, message),
    }
    None
}
