//! What the rules of a configuration come to: for each job and org the classes of each rule, the list calls that
//! they cost, and what has to be read. Pure: `config check --explain` prints it, as a table or as JSON.
//!
//! The fields' names are what `--output json` prints, so they stay.

use serde::Serialize;

use super::heard::unnamed;
use super::{Config, Job, JobKind};
use crate::domain::ids::{JobName, Org, RuleName};
use crate::domain::run::Mode;
use crate::domain::{Filter, Status};
use crate::rules::classes::{self, Ask, Class};
use crate::rules::{Action, Rule};

/// One job for one org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedJob {
    /// Its name.
    pub job: JobName,
    /// Its kind.
    pub kind: &'static str,
    /// The org.
    pub org: Org,
    /// Its rules that concern the org, in their order.
    pub rules: Vec<ExplainedRule>,
    /// The list calls of a run, in the order in which they are asked.
    pub lists: Vec<ListCall>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedRule {
    /// Its name.
    pub rule: RuleName,
    /// The word of its action.
    pub action: &'static str,
    /// What the action does in the present mode.
    pub effect: &'static str,
    /// It sends writes in the present mode.
    pub acts: bool,
    /// What has to be read to know whether it matches, and why; empty where the lists tell.
    pub reads: Vec<String>,
    /// The requests that it is about, before those of earlier rules are taken away.
    pub classes: Vec<ExplainedClass>,
}

/// The requests of one rule in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedClass {
    /// The status.
    pub status: Status,
    /// The flags and the type that it asks for.
    pub flags: Vec<String>,
    /// How old, in words; none: any age.
    pub age: Option<String>,
    /// What tells whether a request is in it: `lists`, or `reading` where they only bound it.
    pub decided_by: &'static str,
    /// The numbers of the list calls that it is among. More than one only where nothing but change is listed.
    pub within: Vec<usize>,
    /// The numbers of the list calls that are subtracted.
    pub without: Vec<usize>,
    /// The earlier rules whose classes of this status are subtracted.
    pub after: Vec<RuleName>,
}

/// One list call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListCall {
    /// What classes name it by; from 1.
    pub number: usize,
    /// Its query, with instants as `<now-30m>`; empty: every request.
    pub query: String,
    /// How many classes share it.
    pub shared_by: usize,
    /// What it is for.
    pub purpose: &'static str,
}

/// Every job of the configuration for every org. Housekeeping asks the upstream nothing, so it is left out.
pub fn explain(config: &Config) -> Vec<ExplainedJob> {
    let jobs = config.jobs.iter();
    jobs.filter(|job| job.kind != JobKind::Housekeeping)
        .flat_map(|job| {
            let orgs = config.tesamanager.orgs.iter();
            orgs.map(move |org| explain_job(config, job, org))
        })
        .collect()
}

fn explain_job(config: &Config, job: &Job, org: &Org) -> ExplainedJob {
    let unsupported = &config.tesamanager.unsupported_filters;
    let by_lists = job.kind == JobKind::RetryStuck;
    let classes = if by_lists {
        classes::compile(&job.rules, org, unsupported)
    } else {
        by_reading(job, org)
    };
    let asks: Vec<&Ask> = if by_lists {
        classes::asks(&classes)
    } else {
        vec![]
    };
    let lists = if by_lists {
        let call = |(index, ask): (usize, &&Ask)| list_call(index + 1, ask, &classes);
        asks.iter().enumerate().map(call).collect()
    } else {
        lists_of_change(job, unsupported)
    };
    let numbers = |ask: &Ask| -> Vec<usize> {
        let at = asks.iter().position(|one| *one == ask);
        at.into_iter().map(|index| index + 1).collect()
    };
    let of_change: Vec<usize> = lists.iter().map(|list: &ListCall| list.number).collect();
    let concerned = job.rules.iter().enumerate().filter(|(_, rule)| {
        let orgs = rule.matcher.orgs.as_ref();
        orgs.is_none_or(|orgs| orgs.contains(org))
    });
    let rules = concerned.map(|(index, rule)| {
        let own = classes.iter().filter(|class| class.rule == index);
        let classes = own.map(|class| ExplainedClass {
            status: class.status.clone(),
            flags: flags(rule),
            age: rule.matcher.not_updated_for.map(classes::age_words),
            decided_by: match by_lists && !class.is_residual {
                true => "lists",
                false => "reading",
            },
            within: if by_lists {
                numbers(&class.within)
            } else {
                of_change.clone()
            },
            without: class.without.iter().flat_map(&numbers).collect(),
            after: after(class, &classes, &job.rules),
        });
        let (effect, acts) = effect(&rule.action, config.safety.mode);
        ExplainedRule {
            rule: rule.name.clone(),
            action: word(&rule.action),
            effect,
            acts,
            reads: reads(job.kind, rule, unsupported),
            classes: classes.collect(),
        }
    });
    ExplainedJob {
        rules: rules.collect(),
        job: job.name.clone(),
        kind: job.kind.as_str(),
        org: org.clone(),
        lists,
    }
}

/// The classes of a job that follows change: what it reads is matched, so no list bounds them.
fn by_reading(job: &Job, org: &Org) -> Vec<Class> {
    let unnamed = unnamed(job.kind, job.rules.iter());
    let mut classes = classes::compile(&job.rules, org, &[]);
    classes.retain(|class| {
        job.rules[class.rule].matcher.statuses.is_some() || unnamed.contains(&class.status)
    });
    for class in &mut classes {
        class.without.clear();
    }
    classes
}

/// All that the job is about, without what did not change since its last look.
fn lists_of_change(job: &Job, unsupported: &[Filter]) -> Vec<ListCall> {
    let mut query = Vec::new();
    if job.kind == JobKind::ResolveIssues && !unsupported.contains(&Filter::Statuses) {
        let statuses = super::heard::listed(job.rules.iter());
        let words: Vec<&str> = statuses.iter().map(Status::as_str).collect();
        query.push(format!("{}={}", Filter::Statuses, words.join(",")));
    }
    let call = |number, query: &[String], purpose| ListCall {
        number,
        query: query.join("&"),
        shared_by: 0,
        purpose,
    };
    let mut calls = vec![call(1, &query, "all that the job is about")];
    if !unsupported.contains(&Filter::NotUpdatedSince) {
        let since = Filter::NotUpdatedSince;
        query.push(format!("{since}=<last look-settle_time>"));
        calls.push(call(2, &query, "subtracted: what did not change"));
    }
    calls
}

fn list_call(number: usize, ask: &Ask, classes: &[Class]) -> ListCall {
    let among = classes.iter().filter(|class| class.within == *ask).count();
    let subtracted = classes.iter().filter(|class| class.without.contains(ask));
    let subtracted = subtracted.count();
    ListCall {
        number,
        query: query(ask),
        shared_by: among + subtracted,
        purpose: match (among, subtracted) {
            (_, 0) => "matches",
            (0, _) => "subtracted",
            _ => "matches, and subtracted",
        },
    }
}

fn query(ask: &Ask) -> String {
    let parts: Vec<String> = ask
        .filters()
        .map(|filter| {
            let value = match filter {
                Filter::Statuses => ask.status.as_ref().map(ToString::to_string),
                Filter::PersistenceType => ask.persistence_type.map(|kind| kind.to_string()),
                Filter::Cancelling | Filter::AutoInstallation => None,
                Filter::NotUpdatedSince => ask.age.map(|age| {
                    let age = classes::age_words(age).replace("min", "m");
                    format!("<now-{}>", age.replace(' ', ""))
                }),
            };
            format!("{filter}={}", value.as_deref().unwrap_or("true"))
        })
        .collect();
    parts.join("&")
}

fn flags(rule: &Rule) -> Vec<String> {
    let matcher = &rule.matcher;
    let kind = matcher.persistence_type.map(|kind| kind.to_string());
    let installer = matcher.auto_installation.map(|ours| match ours {
        true => "auto_installation".to_owned(),
        false => "no auto_installation".to_owned(),
    });
    let cancelling = matcher.cancelling.then(|| "cancelling".to_owned());
    kind.into_iter()
        .chain(installer)
        .chain(cancelling)
        .collect()
}

/// The earlier rules that may share requests with the class, each once.
fn after(class: &Class, classes: &[Class], rules: &[Rule]) -> Vec<RuleName> {
    let mut earlier: Vec<usize> = classes
        .iter()
        .filter(|one| {
            one.rule < class.rule
                && one.status == class.status
                && one.cancelling == class.cancelling
                && meet(&rules[one.rule], &rules[class.rule])
        })
        .map(|one| one.rule)
        .collect();
    earlier.dedup();
    let name = |index: usize| rules[index].name.clone();
    earlier.into_iter().map(name).collect()
}

/// Neither asks for the opposite of what the other does.
fn meet(one: &Rule, other: &Rule) -> bool {
    fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
        one.is_none() || other.is_none() || one == other
    }
    let (one, other) = (&one.matcher, &other.matcher);
    agree(one.persistence_type, other.persistence_type)
        && agree(one.auto_installation, other.auto_installation)
        && agree(one.repeated, other.repeated)
}

const fn word(action: &Action) -> &'static str {
    match action {
        Action::Send(write) => write.kind.as_str(),
        Action::Flag => "flag",
        Action::Ignore => "ignore",
    }
}

/// What the action does in this mode, and whether it sends writes.
const fn effect(action: &Action, mode: Mode) -> (&'static str, bool) {
    match (action, mode) {
        (Action::Send(_), Mode::Enforce) => ("sent", true),
        (Action::Send(_), Mode::Observe) => ("withheld in observe", false),
        (Action::Flag, _) => ("opens findings", false),
        (Action::Ignore, _) => ("leaves alone", false),
    }
}

fn reads(kind: JobKind, rule: &Rule, unsupported: &[Filter]) -> Vec<String> {
    let mut reads = Vec::new();
    match kind {
        JobKind::ResolveIssues => reads.push("the issues of each request that changed".to_owned()),
        JobKind::FlagEvents => reads.push("the events of each request that changed".to_owned()),
        JobKind::RetryStuck | JobKind::Housekeeping => {
            if rule.matcher.territory_owners.is_some() {
                reads.push("each request: no list tells territory_owners".to_owned());
            }
            let untrusted = unsupported
                .iter()
                .filter(|filter| classes::relies_on(&rule.matcher, **filter));
            for filter in untrusted {
                reads.push(format!(
                    "each request: {filter} is among unsupported_filters"
                ));
            }
        }
    }
    if let Action::Send(_) = rule.action {
        reads.push("each request to write to, right before the write".to_owned());
    }
    reads
}

#[cfg(test)]
mod tests;
