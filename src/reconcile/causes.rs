//! What the store knows for [`crate::history::causes`]: of a selection everything, of all open requests their numbers.
//!
//! People ask for causes by a command, and a guard that holds asks for its own reason: one path serves both. It reads the
//! store only; who was never read is known by what a list said of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Observation, PersistenceType, What};
use crate::history::causes::{Beginnings, Cause, Dimension, Fact, Population, Selected, causes};
use crate::store::requests::{Alike, OpenCount};
use crate::store::{Store, StoreError};

/// How many requests are looked up together.
const CHUNK: usize = 500;

/// One of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The tenant that its reference belongs to.
    pub org: Org,
    /// Unique within the org.
    pub reference_id: ReferenceId,
    /// Where a list said that it stands, for one that was never read.
    pub listed: Option<String>,
    /// When its trouble began, where that is known better than by the request's last change.
    pub began: Option<DateTime<Utc>>,
}

/// What these have in common that the other open requests of their kinds, in these orgs, have not.
pub async fn find(
    store: &dyn Store,
    orgs: &[Org],
    chosen: Vec<Chosen>,
    beginnings: &Beginnings,
) -> Result<Vec<Cause>, StoreError> {
    let known = look_up(store, chosen).await?;
    // Of those that were never read the kind isn't known, so any may be theirs.
    let any_kind = known.iter().any(|one| one.request.is_none());
    let kinds: BTreeSet<Option<&str>> = known.iter().map(Known::kind).collect();
    let mut population = Population::default();
    for org in orgs {
        for count in store.count_open(org).await? {
            let kind = count.persistence_type.map(PersistenceType::as_str);
            if any_kind || kinds.contains(&kind) {
                add(&mut population, org, count);
            }
        }
    }
    // Those that were never read, or are over by now, are not among them.
    for one in known.iter().filter(|one| !one.is_open()) {
        population.add(one.selected.facts.iter().cloned());
    }
    let selected: Vec<Selected> = known.into_iter().map(|one| one.selected).collect();
    Ok(causes(&selected, &population, beginnings))
}

/// One of the selection, with what it was last observed as.
struct Known {
    selected: Selected,
    request: Option<Observation>,
}

impl Known {
    fn kind(&self) -> Option<&'static str> {
        let kind = self.request.as_ref()?.persistence_type?;
        Some(kind.as_str())
    }

    fn is_open(&self) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| !request.status.is_final())
    }
}

/// All that is remembered of these, each once.
async fn look_up(store: &dyn Store, chosen: Vec<Chosen>) -> Result<Vec<Known>, StoreError> {
    let mut by_org: BTreeMap<Org, BTreeMap<ReferenceId, Chosen>> = BTreeMap::new();
    for one in chosen {
        let of_org = by_org.entry(one.org.clone()).or_default();
        of_org.entry(one.reference_id.clone()).or_insert(one);
    }
    let mut known = Vec::new();
    for (org, chosen) in by_org {
        let ids: Vec<ReferenceId> = chosen.keys().cloned().collect();
        let mut requests = HashMap::new();
        let mut beside = HashMap::new();
        for ids in ids.chunks(CHUNK) {
            let seen = store.observations(&org, ids).await?;
            requests.extend(
                seen.into_iter()
                    .map(|seen| (seen.reference_id.clone(), seen)),
            );
            beside.extend(store.beside(&org, ids).await?);
        }
        for (id, one) in chosen {
            let request = requests.remove(&id);
            let mut facts: BTreeSet<Fact> = match &request {
                Some(request) => Fact::of_request(&org, request).collect(),
                None => listed(&org, &one).collect(),
            };
            for happening in beside.remove(&id).into_iter().flatten() {
                facts.extend(match &happening.what {
                    What::Event(event) => Fact::of_event(event),
                    What::Issue(issue) => Fact::of_issue(issue),
                    _ => None,
                });
            }
            let changed = request.as_ref().and_then(|request| request.last_updated);
            known.push(Known {
                selected: Selected {
                    org: one.org,
                    reference_id: id,
                    facts,
                    began: one.began.or(changed),
                },
                request,
            });
        }
    }
    Ok(known)
}

/// What a list alone tells.
fn listed(org: &Org, one: &Chosen) -> impl Iterator<Item = Fact> {
    let status = one.listed.as_ref();
    let status = status.map(|status| Fact::new(Dimension::Status, status.as_str()));
    [Fact::org(org)].into_iter().chain(status)
}

fn add(population: &mut Population, org: &Org, count: OpenCount) {
    let requests = count.requests;
    match count.alike {
        Alike::Request {
            status,
            cancelling,
            auto_installation,
            territory_owner,
        } => {
            population.requests(requests);
            let kind = count.persistence_type;
            let facts = [
                Some(Fact::org(org)),
                Some(Fact::status(status.as_str(), cancelling)),
                kind.map(Fact::persistence_type),
                territory_owner.map(Fact::territory_owner),
                auto_installation.map(Fact::auto_installation),
            ];
            for fact in facts.into_iter().flatten() {
                population.having(fact, requests);
            }
        }
        Alike::Changed(at) => population.having(Fact::began(at), requests),
        Alike::Attributes(kept) => {
            for fact in Fact::of_attributes(&kept) {
                population.having(fact, requests);
            }
        }
        Alike::IssueCode(code) => {
            population.having(Fact::new(Dimension::IssueCode, code), requests)
        }
        Alike::LastEvent(code) => {
            population.having(Fact::new(Dimension::LastEvent, code), requests)
        }
    }
}
