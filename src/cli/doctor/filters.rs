//! Whether the list call's filters do what they claim, each tried both ways: a list by the value that a request has must
//! name it, and a list by what it has not must leave it out.
//!
//! An upstream changes while it is looked at, and that is no contradiction. So a read counts only if its own date lies
//! before the list by the time that lists need to settle and by what the clocks are apart; and before a filter is accused,
//! the request is read again and a second list must still say the same.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;

use super::super::exit::Exit;
use super::Check;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::request::PersistenceType;
use crate::domain::{Filter, IdList, IdSet, Observation, Status};
use crate::reconcile::clocks;
use crate::tesamanager::{HttpTesamanager, ListFilter, ReadError, Tesamanager};

/// How many requests are read to find some that tell filters apart, and of how many tries.
const SAMPLES: usize = 3;
const TRIES: usize = 8;

/// A date as close as this to `notUpdatedSince` is on either side: who knows to what the upstream cuts dates off, and
/// whether it counts the instant itself.
const BLUR: TimeDelta = TimeDelta::seconds(2);

/// Tries every filter for every org.
pub(super) async fn check(
    config: &Config,
    client: &HttpTesamanager,
    clock: &SharedClock,
    checks: &mut Vec<Check>,
) {
    let distrusted = &config.tesamanager.unsupported_filters;
    for org in &config.tesamanager.orgs {
        let asking = Asking {
            client,
            clock,
            org,
            settle: config.tesamanager.settle_time,
        };
        match asking.survey().await {
            Err(error) => checks.push(unanswered(org, None, &error)),
            Ok(survey) => {
                for &filter in Filter::ALL {
                    checks.push(if distrusted.contains(&filter) {
                        let why = format!("{org}: {filter} is not used (unsupported_filters)");
                        Check::skipped("filter", why)
                    } else {
                        match asking.found(&survey, filter).await {
                            Ok(found) => told(org, filter, &found, distrusted),
                            Err(error) => unanswered(org, Some(filter), &error),
                        }
                    });
                }
            }
        }
    }
}

/// What a filter was found to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Kept,
    /// Lists with it name all that lists without it do.
    Ignored,
    ContradictedBy(ReferenceId),
    /// No request that was read tells anything about it.
    NothingToCompare,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("is kept"),
            Self::Ignored => f.write_str("is ignored: lists with it name what lists without it do"),
            Self::ContradictedBy(id) => write!(f, "is contradicted by {id}"),
            Self::NothingToCompare => f.write_str("can't be told (nothing to compare)"),
        }
    }
}

fn told(org: &Org, filter: Filter, found: &Found, distrusted: &[Filter]) -> Check {
    let detail = format!("{org}: {filter} {found}");
    match found {
        Found::Kept => Check::ok("filter", detail),
        Found::NothingToCompare => Check::skipped("filter", detail),
        Found::Ignored | Found::ContradictedBy(_) => {
            let all = distrusted.iter().chain([&filter]);
            let all: Vec<_> = all.map(|filter| format!("\"{filter}\"")).collect();
            let mend = format!(
                "set [tesamanager] unsupported_filters = [{}]: what it would tell is read instead",
                all.join(", ")
            );
            Check::fail("filter", Exit::Configuration, detail, mend)
        }
    }
}

fn unanswered(org: &Org, filter: Option<Filter>, error: &ReadError) -> Check {
    let detail = match filter {
        Some(filter) => format!("{org}: {filter}: {error}"),
        None => format!("{org}: {error}"),
    };
    let mend = "see the list call above; if that is well, ask the gateway's operators what this answer means";
    Check::fail("filter", Exit::UpstreamUnreachable, detail, mend)
}

/// What there is, and requests whose reads may be held against lists.
struct Survey {
    all: IdList,
    samples: Vec<Observation>,
}

/// A list that was asked for.
struct Listed {
    filter: ListFilter,
    began: DateTime<Utc>,
    ids: IdList,
    set: IdSet,
}

struct Asking<'a> {
    client: &'a HttpTesamanager,
    clock: &'a SharedClock,
    org: &'a Org,
    settle: Duration,
}

impl Asking<'_> {
    async fn survey(&self) -> Result<Survey, ReadError> {
        let list = self.list(ListFilter::default()).await?;
        let mut samples = Vec::new();
        // From all over the list: neighbours may be alike.
        let step = (list.ids.len() / TRIES).max(1);
        for id in list.ids.iter().step_by(step).take(TRIES) {
            if samples.len() == SAMPLES {
                break;
            }
            let read = self.read(id).await?;
            samples.extend(read.filter(|seen| self.is_settled(seen, list.began)));
        }
        Ok(Survey {
            all: list.ids,
            samples,
        })
    }

    async fn found(&self, survey: &Survey, filter: Filter) -> Result<Found, ReadError> {
        let pairs = survey
            .samples
            .iter()
            .map(|seen| Some((seen, both_ways(filter, seen, self.settle)?)));
        let Some((sample, [own, other])) = pairs.flatten().next() else {
            return Ok(Found::NothingToCompare);
        };
        let lists = [self.list(own).await?, self.list(other).await?];
        let mut reads = vec![sample.clone()];
        let [own, other] = &lists;
        let another = |id: &&str| *id != sample.reference_id.as_str();
        let listed = other.ids.iter().find(another);
        let left_out = survey.all.iter().filter(|id| !own.set.contains(id));
        let left_out = left_out.filter(|id| Some(*id) != listed).find(another);
        for id in [listed, left_out].into_iter().flatten() {
            reads.extend(self.read(id).await?);
        }
        for list in &lists {
            for seen in &reads {
                if self.contradicts(list, seen) && self.still(list, &seen.reference_id).await? {
                    let everything = survey.all.iter().all(|id| list.set.contains(id));
                    return Ok(match everything {
                        true => Found::Ignored,
                        false => Found::ContradictedBy(seen.reference_id.clone()),
                    });
                }
            }
        }
        Ok(Found::Kept)
    }

    /// Does a second list say so, of the request as it is by now?
    async fn still(&self, list: &Listed, id: &ReferenceId) -> Result<bool, ReadError> {
        let Some(again) = self.read(id.as_str()).await? else {
            return Ok(false);
        };
        if !self.contradicts(list, &again) {
            return Ok(false);
        }
        let second = self.list(list.filter.clone()).await?;
        Ok(self.contradicts(&second, &again))
    }

    fn contradicts(&self, list: &Listed, seen: &Observation) -> bool {
        let listed = list.set.contains(seen.reference_id.as_str());
        self.is_settled(seen, list.began) && fits(&list.filter, seen) == Some(!listed)
    }

    /// It has been as it is since before the list, as far as clocks can tell.
    fn is_settled(&self, seen: &Observation, began: DateTime<Utc>) -> bool {
        let margin = clocks::margin(self.client.clocks_apart(), self.settle);
        seen.last_updated.is_some_and(|at| at + margin < began)
    }

    async fn list(&self, filter: ListFilter) -> Result<Listed, ReadError> {
        let began = self.clock.now();
        let (mut ids, mut set) = (IdList::default(), IdSet::default());
        let mut batches = self.client.list_reference_ids(self.org, &filter).await?;
        while let Some(batch) = batches.try_next().await? {
            batch.iter().for_each(|id| _ = set.insert(id));
            ids.push(batch);
        }
        Ok(Listed {
            filter,
            began,
            ids,
            set,
        })
    }

    /// None if it is gone meanwhile, or can't be understood: then it tells nothing.
    async fn read(&self, id: &str) -> Result<Option<Observation>, ReadError> {
        let read = self
            .client
            .get_request(self.org, &ReferenceId::new(id))
            .await;
        match read {
            Ok(request) => Ok(Some(request.seen)),
            Err(ReadError::NotFound { .. } | ReadError::Contract { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A list that must name the request, and one that must not; none where it does not say what the filter asks.
fn both_ways(filter: Filter, seen: &Observation, settle: Duration) -> Option<[ListFilter; 2]> {
    let any = ListFilter::default;
    match filter {
        Filter::Statuses => {
            let own = Some(&seen.status).filter(|status| status.is_known())?;
            let others = Status::KNOWN.into_iter().filter(|status| status != own);
            let ways = [vec![own.clone()], others.collect()].map(Some);
            Some(ways.map(|statuses| ListFilter { statuses, ..any() }))
        }
        Filter::PersistenceType => {
            let ways = match seen.persistence_type? {
                own @ PersistenceType::Activation => [own, PersistenceType::Termination],
                own @ PersistenceType::Termination => [own, PersistenceType::Activation],
            };
            Some(ways.map(Some).map(|persistence_type| ListFilter {
                persistence_type,
                ..any()
            }))
        }
        Filter::Cancelling => {
            let ways = [seen.cancelling, !seen.cancelling].map(Some);
            Some(ways.map(|cancelling| ListFilter {
                cancelling,
                ..any()
            }))
        }
        Filter::AutoInstallation => {
            let own = seen.auto_installation?;
            Some([own, !own].map(Some).map(|auto_installation| ListFilter {
                auto_installation,
                ..any()
            }))
        }
        Filter::NotUpdatedSince => {
            let (at, apart) = (seen.last_updated?, BLUR + TimeDelta::from_std(settle).ok()?);
            let ways = [at + apart, at - apart].map(Some);
            Some(ways.map(|not_updated_since| ListFilter {
                not_updated_since,
                ..any()
            }))
        }
    }
}

/// Whether a list by this filter names a request that is so; none where that can't be told.
fn fits(filter: &ListFilter, seen: &Observation) -> Option<bool> {
    if let Some(statuses) = &filter.statuses {
        return Some(statuses.contains(&seen.status));
    }
    if let Some(kind) = filter.persistence_type {
        return Some(seen.persistence_type? == kind);
    }
    if let Some(cancelling) = filter.cancelling {
        return Some(seen.cancelling == cancelling);
    }
    if let Some(own) = filter.auto_installation {
        return Some(seen.auto_installation? == own);
    }
    let (since, at) = (filter.not_updated_since?, seen.last_updated?);
    ((since - at).abs() >= BLUR).then_some(at < since)
}

#[cfg(test)]
mod tests;
