//! The history of every request leads to what is remembered of it: asked by whatever test sweeps.

use tesa_reconciler::domain::Observation;
use tesa_reconciler::domain::ids::{Org, ReferenceId};
use tesa_reconciler::history::replay::replay;
use tesa_reconciler::store::Store;

/// Requests of a page.
const PAGE: u32 = 500;

/// Says which request's history leads elsewhere. Only the instant of the last look may differ.
pub async fn leads_to_what_is_remembered(store: &dyn Store, org: &Org) -> Result<(), String> {
    let mut after: Option<ReferenceId> = None;
    loop {
        let page = store.histories(org, after.as_ref(), PAGE).await;
        let page = page.map_err(|error| error.to_string())?;
        let ids: Vec<ReferenceId> = page.iter().map(|(id, _)| id.clone()).collect();
        let remembered = store.observations(org, &ids).await;
        let remembered = remembered.map_err(|error| error.to_string())?;
        for (id, happenings) in &page {
            let known = remembered.iter().find(|known| known.reference_id == *id);
            let played = replay(happenings).request;
            let first_look = played.as_ref().map(|played| played.observed_at);
            let known = known.map(|known| Observation {
                observed_at: first_look.unwrap_or(known.observed_at),
                ..known.clone()
            });
            // What is over and done with is forgotten sooner than its history.
            let is_pruned = known.is_none()
                && played
                    .as_ref()
                    .is_some_and(|played| played.status.is_final());
            if played != known && !is_pruned {
                return Err(format!(
                    "{id} leads to {played:?}, and {known:?} is remembered"
                ));
            }
        }
        match ids.last() {
            Some(last) if ids.len() == PAGE as usize => after = Some(last.clone()),
            _ => return Ok(()),
        }
    }
}
