//! `attempts retry`: a person's word that an order may be tried again.
//!
//! It sends nothing. What was given up, refused or confirmed, and the requests that are known beside each other, stand in
//! the order's way no longer; the next run decides on it afresh, under the guard and the caps like any other.

use clap::Args;
use serde_json::json;

use super::common::{Session, person};
use super::exit::Failure;
use super::output;
use crate::answers::acts;

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
    let orgs = session.orgs(args.org.as_deref())?;
    let (org, order) = acts::retry(session, &orgs, &args.reference, &actor).await?;
    let words = format!(
        "order {order} of {org} may be tried again: the next run decides on it afresh, within guard and caps"
    );
    let told = json!({"action": "retry", "org": org, "external_reference": order, "who": actor.who, "reason": actor.reason});
    Ok(output::changed(session.format, &told, &words)?)
}
