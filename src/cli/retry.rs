//! `attempts retry`: a person's word that an order may be tried again.
//!
//! It sends nothing. What was given up, refused or confirmed, and the requests that are known beside each other, stand in
//! the order's way no longer; the next run decides on it afresh, under the guard and the caps like any other.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::json;

use super::common::{Session, person};
use super::exit::{Exit, Failure};
use super::output;
use crate::domain::ids::{ExternalReference, Org};
use crate::store::Page;
use crate::store::attempts::AttemptFilter;

/// See the module.
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// A reference id or an external reference
    reference: String,
    /// Only in this org (default: all)
    #[arg(long)]
    org: Option<String>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// Lets the order that is meant be tried again.
pub async fn run(session: &Session, args: &RetryArgs) -> Result<(), Failure> {
    let actor = person(&args.reason)?;
    let mut meant = BTreeSet::new();
    for org in session.orgs(args.org.as_deref())? {
        for order in orders(session, &org, &args.reference).await? {
            meant.insert((org.clone(), order));
        }
    }
    let failed = |words: String| Err(Failure::new(Exit::Failed, words));
    if meant.len() > 1 {
        let shown: Vec<String> = meant
            .iter()
            .map(|(org, order)| format!("order {order} of {org}"))
            .collect();
        let shown = shown.join(", ");
        return failed(format!(
            "{:?} means several: {shown}; name the order, and its --org",
            args.reference
        ));
    }
    let Some((org, order)) = meant.pop_first() else {
        return failed(format!(
            "nothing is known of {:?}: no request that was read, and no attempt",
            args.reference
        ));
    };
    if let Err(open) = session
        .store
        .retry_order(&org, &order, &actor, session.now())
        .await?
    {
        return failed(format!(
            "attempt {open} for order {order} is not settled yet, and nothing is sent beside it: see `tesa-reconciler \
             explain {order}`; one that needs_human is settled by `tesa-reconciler attempts settle {open} …`"
        ));
    }
    let words = format!(
        "order {order} of {org} may be tried again: the next run decides on it afresh, within guard and caps"
    );
    let told = json!({"action": "retry", "org": org, "external_reference": order, "who": actor.who, "reason": actor.reason});
    Ok(output::changed(session.format, &told, &words)?)
}

/// The orders that a text means in an org.
async fn orders(
    session: &Session,
    org: &Org,
    reference: &str,
) -> Result<BTreeSet<ExternalReference>, Failure> {
    let store = &session.store;
    let filter = AttemptFilter {
        org: Some(org.clone()),
        reference: Some(reference.to_owned()),
        ..AttemptFilter::default()
    };
    let attempts = store.attempts(&filter, Page::first(100)).await?;
    let mut orders: BTreeSet<ExternalReference> = attempts
        .into_iter()
        .map(|attempt| attempt.external_reference)
        .collect();
    let seen = store.find_observations(Some(org), reference).await?;
    orders.extend(
        seen.into_iter()
            .filter_map(|(_, seen)| seen.external_reference),
    );
    let named = ExternalReference::new(reference);
    let marked = store.order_marks(org, std::slice::from_ref(&named)).await?;
    orders.extend(marked.into_iter().map(|(order, _)| order));
    Ok(orders)
}
