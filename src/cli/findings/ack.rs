//! `findings ack` and `findings unack`: a person's "hands off", of findings by their ids or by a filter.
//!
//! What a filter chooses is frozen first: its number is shown and must be confirmed, those very findings are meant however
//! the filter's answer changes meanwhile, and one row of the audit names them all.

use std::collections::HashSet;
use std::io::IsTerminal;

use clap::Args;
use serde_json::json;

use super::FilterArgs;
use crate::answers::findings::Said;
use crate::cli::common::Session;
use crate::cli::exit::{Exit, Failure};
use crate::cli::lists::gather_findings;
use crate::cli::output::{self, Format};
use crate::domain::FindingState;
use crate::domain::ids::FindingId;
use crate::store::acknowledgements::{Acknowledgement, frozen};
use crate::store::findings::{Finding, FindingFilter};

/// More than this at once is a matter for the configuration: a rule with `ignore`, or a paused job.
const AT_MOST: u32 = 10_000;

/// `findings ack` and `findings unack`.
#[derive(Debug, Args)]
pub struct AckArgs {
    /// The findings
    #[arg(conflicts_with = "confirm")]
    ids: Vec<FindingId>,
    #[command(flatten)]
    filter: FilterArgs,
    /// With filters: that so many are meant; without it, the number is shown and asked for
    #[arg(long, value_name = "N")]
    confirm: Option<u64>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// A person says hands off.
pub async fn acknowledge(session: &Session, args: &AckArgs) -> Result<(), Failure> {
    let actor = session.actor(&args.reason).await?;
    let ids = chosen(session, args, FindingState::Open, "acknowledge").await?;
    let store = &session.store;
    store
        .acknowledge_findings(&ids, &actor, session.now())
        .await?;
    let words = format!(
        "acknowledged {} finding(s): no job writes to their requests and orders until a request's status or cancellation \
         changes (of an issue's finding: the issue does), or you say `tesa-reconciler findings unack ID… --reason …`",
        ids.len()
    );
    let told =
        json!({"action": "acknowledge", "findings": ids, "who": actor.who, "reason": actor.reason});
    Ok(output::changed(session.format, &told, &words)?)
}

/// A person takes it back.
pub async fn unacknowledge(session: &Session, args: &AckArgs) -> Result<(), Failure> {
    let actor = session.actor(&args.reason).await?;
    let ids = chosen(session, args, FindingState::Acknowledged, "unacknowledge").await?;
    let store = &session.store;
    let taken = store
        .unacknowledge_findings(&ids, &actor, session.now())
        .await?;
    let left = what_is_left(session, &taken).await?;
    let words = format!("took back what was said of {} finding(s)", ids.len());
    let told = json!({"action": "unacknowledge", "findings": ids, "who": actor.who, "reason": actor.reason, "left": left});
    output::changed(session.format, &told, &words)?;
    if session.format == Format::Table {
        for one in left {
            let (id, kind) = (&one.key.reference_id, one.key.kind);
            let why = Said::new(one.clone(), None).show();
            output::note(&format!("still hands off of {id} ({kind}): {why}"));
        }
    }
    Ok(())
}

/// Something else may have been said of the same request, or of its order.
async fn what_is_left(
    session: &Session,
    taken: &[Acknowledgement],
) -> Result<Vec<Acknowledgement>, Failure> {
    let (mut left, mut told) = (Vec::new(), HashSet::new());
    for said in taken {
        let request = std::slice::from_ref(&said.key.reference_id);
        let order: Vec<_> = said.external_reference.clone().into_iter().collect();
        let store = &session.store;
        let about = store.acknowledgements_about(&said.org, request, &order);
        left.extend(about.await?.into_iter().filter(|one| told.insert(one.id)));
    }
    Ok(left)
}

/// The findings that are meant: those named, or those that a filter chooses now, if a person confirms their number.
async fn chosen(
    session: &Session,
    args: &AckArgs,
    state: FindingState,
    verb: &str,
) -> Result<Vec<FindingId>, Failure> {
    let usage = |message: String| Err(Failure::new(Exit::Usage, message));
    match (args.ids.is_empty(), args.filter.is_empty()) {
        (false, true) => return Ok(args.ids.clone()),
        (false, false) => return usage("either ids or filters, not both".to_owned()),
        (true, true) => {
            return usage(format!(
                "which findings? Their ids, or filters such as --kind, --rule, --search: see `tesa-reconciler findings {verb} --help`"
            ));
        }
        (true, false) => {}
    }
    let mut filter = args.filter.read(session).await?;
    filter.state = args.filter.state.or(Some(state));
    let found = frozen_now(session, &filter).await?;
    if found.is_empty() {
        return Err(Failure::new(Exit::Failed, "no finding is like that"));
    }
    let ids: Vec<FindingId> = found.iter().map(|finding| finding.id).collect();
    let count = ids.len() as u64;
    let confirmed = match args.confirm {
        Some(confirmed) => confirmed,
        None => asked(&found, verb).await?,
    };
    if confirmed != count {
        return usage(format!(
            "it is {count} findings, not {confirmed}: nothing was done ({})",
            frozen(&ids)
        ));
    }
    Ok(ids)
}

async fn frozen_now(session: &Session, filter: &FindingFilter) -> Result<Vec<Finding>, Failure> {
    let found = gather_findings(session, Some(AT_MOST + 1), filter).await?;
    if found.len() > AT_MOST as usize {
        let message = format!("that is more than {AT_MOST} findings: choose fewer");
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(found)
}

/// What the person at the terminal types; without a terminal the number must be given.
async fn asked(found: &[Finding], verb: &str) -> Result<u64, Failure> {
    let count = found.len();
    let some: Vec<&str> = found
        .iter()
        .take(3)
        .map(|finding| finding.key.reference_id.as_str())
        .collect();
    let more = if count > some.len() { ", …" } else { "" };
    let said = format!("{verb} {count} findings ({}{more})?", some.join(", "));
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let message = format!("{said} Then say --confirm={count}");
        return Err(Failure::new(Exit::Usage, message));
    }
    output::note(&format!("{said} Type their number to confirm:"));
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await.map_err(std::io::Error::other)??;
    let typed = line.trim();
    typed.parse().map_err(|_| {
        let message = format!("{typed:?} is not {count}: nothing was done");
        Failure::new(Exit::Usage, message)
    })
}
