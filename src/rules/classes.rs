//! What a job's rules ask of the upstream's lists: pure.
//!
//! A list call answers in one go which of a million requests stand where, and since when. So a rule is compiled to
//! *classes*, one for each of its statuses, and a class is list calls and the algebra of sets: the ids of one list,
//! without those of others, without those of the classes before it (the first rule that matches wins). Which requests a
//! rule matches is then known without reading any of them.
//!
//! Where a rule asks for what no list tells (the territory owner, or a filter that this upstream does not support), the
//! lists only bound the class, and each request within has to be read.

use std::collections::HashMap;
use std::time::Duration;

use super::{Matcher, Rule};
use crate::domain::ids::{Org, RuleName};
use crate::domain::{Filter, PersistenceType, Status};

/// One list call, as a value: equal questions are asked once. A filter that is absent is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ask {
    /// Only `true` is ever asked for: whether a request without the flag answers to `false` is not documented.
    pub cancelling: bool,
    /// Only `true` is ever asked for, for the same reason.
    pub auto_installation: bool,
    /// One status.
    pub status: Option<Status>,
    /// Activations or terminations.
    pub persistence_type: Option<PersistenceType>,
    /// Not updated for so long.
    pub age: Option<Duration>,
}

impl Ask {
    /// The filters that it rests on.
    pub fn filters(&self) -> impl Iterator<Item = Filter> {
        [
            (self.status.is_some(), Filter::Statuses),
            (self.persistence_type.is_some(), Filter::PersistenceType),
            (self.cancelling, Filter::Cancelling),
            (self.auto_installation, Filter::AutoInstallation),
            (self.age.is_some(), Filter::NotUpdatedSince),
        ]
        .into_iter()
        .filter_map(|(asked, filter)| asked.then_some(filter))
    }
}

/// The requests of one rule in one status, as the upstream's lists answer them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The rule's place.
    pub rule: usize,
    /// Where its requests stand.
    pub status: Status,
    /// A cancellation is under way.
    pub cancelling: bool,
    /// Its requests are among these …
    pub within: Ask,
    /// … and not among those.
    pub without: Vec<Ask>,
    /// The lists only bound it: whether the rule matches a request is seen by reading it.
    pub is_residual: bool,
}

impl Class {
    /// The filters that say what is in it.
    pub fn filters(&self) -> Vec<Filter> {
        let mut filters: Vec<Filter> = std::iter::once(&self.within)
            .chain(&self.without)
            .flat_map(Ask::filters)
            .collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }
}

/// The classes of the rules that concern this org, in the rules' order.
pub fn compile(rules: &[Rule], org: &Org, unsupported: &[Filter]) -> Vec<Class> {
    let concerns = |rule: &Rule| {
        let orgs = rule.matcher.orgs.as_ref();
        orgs.is_none_or(|orgs| orgs.contains(org))
    };
    let mut classes = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        if !concerns(rule) {
            continue;
        }
        for status in statuses(&rule.matcher) {
            classes.push(class(index, status, &rule.matcher, unsupported));
        }
    }
    classes
}

/// What a rule without statuses matches is every request that something may still happen to: one that has ended is
/// matched only by a rule that names its status.
fn statuses(matcher: &Matcher) -> Vec<Status> {
    let mut statuses = match &matcher.statuses {
        Some(statuses) => statuses.clone(),
        None => Status::open().collect(),
    };
    statuses.sort();
    statuses.dedup();
    statuses
}

fn class(rule: usize, status: Status, matcher: &Matcher, unsupported: &[Filter]) -> Class {
    let asks = |filter: Filter, needed: bool| needed && !unsupported.contains(&filter);
    let in_status = asks(Filter::Statuses, true).then(|| status.clone());
    let ours = matcher.auto_installation;
    let within = Ask {
        cancelling: asks(Filter::Cancelling, matcher.cancelling),
        auto_installation: asks(Filter::AutoInstallation, ours == Some(true)),
        status: in_status.clone(),
        persistence_type: matcher
            .persistence_type
            .filter(|_| asks(Filter::PersistenceType, true)),
        age: matcher
            .not_updated_for
            .filter(|_| asks(Filter::NotUpdatedSince, true)),
    };
    let mut without = Vec::new();
    if asks(Filter::AutoInstallation, ours == Some(false)) {
        without.push(Ask {
            auto_installation: true,
            status: in_status,
            ..Ask::default()
        });
    }
    if asks(Filter::Cancelling, !matcher.cancelling) {
        without.push(Ask {
            cancelling: true,
            ..Ask::default()
        });
    }
    let relied_on = |filter: &Filter| relies_on(matcher, *filter);
    let is_residual = matcher.territory_owners.is_some() || unsupported.iter().any(relied_on);
    Class {
        rule,
        status,
        cancelling: matcher.cancelling,
        within,
        without,
        is_residual,
    }
}

/// The list call tells which requests the matcher matches only if this filter is right. Whatever a rule says, it says
/// something of statuses and of cancellations.
pub fn relies_on(matcher: &Matcher, filter: Filter) -> bool {
    match filter {
        Filter::Statuses | Filter::Cancelling => true,
        Filter::PersistenceType => matcher.persistence_type.is_some(),
        Filter::AutoInstallation => matcher.auto_installation.is_some(),
        Filter::NotUpdatedSince => matcher.not_updated_for.is_some(),
    }
}

/// Every question of these classes, each once, those about cancellations last.
pub fn asks(classes: &[Class]) -> Vec<&Ask> {
    let mut asks: Vec<&Ask> = classes
        .iter()
        .flat_map(|class| std::iter::once(&class.within).chain(&class.without))
        .collect();
    // `cancelling` is the first field, and false comes before true.
    asks.sort();
    asks.dedup();
    asks
}

/// The same questions in the order in which a run asks them, some of them twice: a request may move between two lists, and
/// a run must not put together what never was.
///
/// What is subtracted is asked first, then the rules' lists in their order. A request that an aged list names has not changed
/// since before all of these, so all that was asked earlier is true of it: that it is in no list that is subtracted, that no
/// earlier rule matches it. Hence a list that an earlier rule has in common with this one is asked anew where others came in
/// between. At the end it is asked once more who is being cancelled. Whom two answers to one question don't agree on moves
/// just now, and is in no class.
pub fn in_turn(classes: &[Class]) -> Vec<&Ask> {
    let mut turns: Vec<&Ask> = Vec::new();
    for ask in classes.iter().flat_map(|class| &class.without) {
        if !turns.contains(&ask) {
            turns.push(ask);
        }
    }
    let cancelling: Vec<&Ask> = turns.iter().copied().filter(|ask| ask.cancelling).collect();
    // Lists of other statuses name nobody of these, and come not in between.
    let mut last: HashMap<_, &Ask> = HashMap::new();
    for Class { within, .. } in classes {
        let among = (within.cancelling, within.status.as_ref());
        if last.insert(among, within) != Some(within) {
            turns.push(within);
        }
    }
    turns.extend(cancelling);
    turns
}

/// What a class is called where it is remembered: what its findings say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassKey {
    /// By which rule.
    pub rule: RuleName,
    /// The findings' detail: the status, or [`CANCELLING`].
    pub detail: String,
    /// The findings' evidence. It names no request, so it changes only with the rule.
    pub evidence: String,
}

/// The detail of a finding about a stuck cancellation, in the place of the status.
pub const CANCELLING: &str = "CANCELLING";

/// What its findings say.
pub fn key(class: &Class, rule: &Rule) -> ClassKey {
    let (name, status) = (&rule.name, &class.status);
    let mut evidence = match rule.matcher.not_updated_for {
        Some(age) => format!("{status} for over {}", age_words(age)),
        None => status.to_string(),
    };
    if class.cancelling {
        evidence.push_str(", being cancelled");
    }
    evidence.push_str(&format!("; rule {name}"));
    if let Some(party) = &rule.party {
        evidence.push_str(&format!("; party {party}"));
    }
    ClassKey {
        rule: name.clone(),
        detail: detail(class.cancelling, status).to_owned(),
        evidence,
    }
}

/// The finding's detail for a request that stands there.
pub fn detail(cancelling: bool, status: &Status) -> &str {
    if cancelling {
        CANCELLING
    } else {
        status.as_str()
    }
}

/// An age as people say it: `30 min`, `36 h`, `5 d`.
pub fn age_words(age: Duration) -> String {
    let seconds = age.as_secs();
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        if seconds > 0 && seconds.is_multiple_of(unit) {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests;
