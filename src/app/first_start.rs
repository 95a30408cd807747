//! A first start, and a store that was lost together with all that lay beside it, look alike: there is nothing. A daemon that
//! observes may begin on nothing. One that enforces could send once more what the lost ledger knew of, so it begins on a
//! store in which somebody has been before: a daemon that observed, or a person who said that it may be acted from.

use chrono::{DateTime, Utc};

use crate::store::audit::AuditFilter;
use crate::store::{Actor, Page, Store, StoreError};

/// What is in the audit of a store that daemons have worked on, or that a person has vouched for. Pruned after a while,
/// unlike what is known of the jobs' last runs.
const TRACES: [&str; 3] = ["start", ADOPT, "copy"];

const ADOPT: &str = "adopt";

/// Nobody has worked on it, or vouched for it.
pub async fn is_new(store: &dyn Store) -> Result<bool, StoreError> {
    if !store.last_runs().await?.is_empty() {
        return Ok(false);
    }
    for action in TRACES {
        let filter = AuditFilter {
            action: Some(action.to_owned()),
            ..AuditFilter::default()
        };
        if !store.audit(&filter, Page::first(1)).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A person's word that it may be acted from. Answers whether that was in doubt, or it was new.
pub async fn adopt(
    store: &dyn Store,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    if store.adopt(actor, now).await?.is_some() {
        return Ok(true);
    }
    let is_new = is_new(store).await?;
    if is_new {
        store.note(ADOPT, "store", actor, now).await?;
    }
    Ok(is_new)
}
