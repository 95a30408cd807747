//! `rates`: which orgs the upstream asked to be left alone (`Retry-After`), and a person's word that it is over.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::common::Session;
use super::exit::{Exit, Failure};
use super::output::{self, instant};
use crate::store::rates::HeldBack;

/// What a person may do about a pause.
#[derive(Debug, Subcommand)]
pub enum RatesCommand {
    /// End the pause of an org that the upstream asked for
    Reset(ResetArgs),
}

/// `rates reset`.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// The org
    #[arg(long)]
    org: String,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Line(HeldBack);

impl output::Row for Line {
    const COLUMNS: &'static [&'static str] = &["org", "held back until"];
    const FIRST: &'static [&'static str] = &["org", "until"];
    fn cells(&self) -> Vec<String> {
        vec![self.0.org.to_string(), instant(self.0.until)]
    }
}

/// Lists the orgs that are held back, or lets one go on.
pub async fn run(session: &Session, command: Option<&RatesCommand>) -> Result<(), Failure> {
    match command {
        None => {
            let held = session.store.held_back(session.now()).await?;
            let lines: Vec<Line> = held.into_iter().map(Line).collect();
            Ok(output::list(session.format, &lines)?)
        }
        Some(RatesCommand::Reset(args)) => reset(session, args).await,
    }
}

async fn reset(session: &Session, args: &ResetArgs) -> Result<(), Failure> {
    let actor = session.actor(&args.reason).await?;
    for org in session.orgs(Some(&args.org))? {
        if !session
            .store
            .reset_rate(&org, &actor, session.now())
            .await?
        {
            return Err(Failure::new(
                Exit::Failed,
                format!("the upstream asked for no pause of {org}; see `tesa-reconciler rates`"),
            ));
        }
        let words = format!(
            "{org} is asked again within two seconds; if the upstream says Retry-After once more, it is heeded"
        );
        let told =
            json!({"action": "reset_rate", "org": org, "who": actor.who, "reason": actor.reason});
        output::changed(session.format, &told, &words)?;
    }
    Ok(())
}
