//! `rates`: how hard each org may be pressed, which ones the upstream asked to be left alone (`Retry-After`), and a person's word that it is over.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::common::Session;
use super::exit::{Exit, Failure};
use super::output::{self, instant, or_dash};
use crate::domain::ids::Org;

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

/// An org's rates, over all replicas.
#[derive(Debug, Serialize)]
struct Line {
    org: Org,
    reads_per_second: u32,
    writes_per_second: u32,
    /// Until when the upstream asked to be asked nothing.
    held_back_until: Option<DateTime<Utc>>,
}

impl output::Row for Line {
    const COLUMNS: &'static [&'static str] = &["org", "reads/s", "writes/s", "held back until"];
    const FIRST: &'static [&'static str] = &[
        "org",
        "reads_per_second",
        "writes_per_second",
        "held_back_until",
    ];
    fn cells(&self) -> Vec<String> {
        vec![
            self.org.to_string(),
            self.reads_per_second.to_string(),
            self.writes_per_second.to_string(),
            or_dash(self.held_back_until, instant),
        ]
    }
}

/// Lists the orgs with their rates and what holds them back, or lets one go on.
pub async fn run(session: &Session, command: Option<&RatesCommand>) -> Result<(), Failure> {
    let Some(RatesCommand::Reset(args)) = command else {
        let held = session.store.held_back(session.now()).await?;
        let config = &session.config.tesamanager;
        let mut orgs = config.orgs.clone();
        orgs.extend(held.iter().map(|held| held.org.clone()));
        orgs.sort();
        orgs.dedup();
        let lines = orgs.into_iter().map(|org| Line {
            reads_per_second: config.reads_per_second,
            writes_per_second: config.writes_per_second,
            held_back_until: held
                .iter()
                .find(|held| held.org == org)
                .map(|held| held.until),
            org,
        });
        let lines: Vec<Line> = lines.collect();
        return Ok(output::list(session.format, &lines)?);
    };
    reset(session, args).await
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
