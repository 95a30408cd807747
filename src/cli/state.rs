//! `state copy`: moving house, from SQLite to PostgreSQL. `state adopt`: a person vouches for a store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{Common, person};
use super::exit::Failure;
use super::output;
use crate::app::store_options;
use crate::clock::{Clock, SystemClock};
use crate::store::{self, Copied, SchemaState, StoreOptions};

/// What can be done with a store as a whole.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Copy a SQLite store into an empty PostgreSQL database; stop the daemon first
    Copy(CopyArgs),
    /// Let the daemon act from a store that was lost, emptied, copied or restored; see docs/operations.md first
    Adopt(AdoptArgs),
}

/// Arguments of `state adopt`.
#[derive(Debug, Args)]
pub struct AdoptArgs {
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// Arguments of `state copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The store to leave: sqlite:FILE
    #[arg(long, value_name = "URL")]
    from: String,
    /// The empty database to move to: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    /// A file with the target's password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// Does it.
pub async fn run(common: &Common, command: &StateCommand) -> Result<(), Failure> {
    match command {
        StateCommand::Copy(args) => copy(common, args).await,
        StateCommand::Adopt(args) => adopt(common, args).await,
    }
}

/// A store that was emptied has no schema either, so that is brought up to date first, as at a start.
async fn adopt(common: &Common, args: &AdoptArgs) -> Result<(), Failure> {
    let actor = person(&args.reason)?;
    let config = common.load_for_steering()?;
    let url = &config.state.url;
    let store = store::open(url, &store_options(&config.state)).await?;
    if store.check_schema().await? != SchemaState::Ahead {
        store.migrate().await?;
    }
    store::require_current(&*store, url).await?;
    let doubt = store.adopt(&actor, SystemClock.now()).await?;
    store.close().await;
    output::note(&match doubt {
        None => format!("{url} was in no doubt: nothing is changed"),
        Some(_) => format!("{url} is adopted: a daemon in enforce may act from it now"),
    });
    Ok(())
}

async fn copy(common: &Common, args: &CopyArgs) -> Result<(), Failure> {
    let options = StoreOptions {
        password_file: args.password_file.clone(),
        ..StoreOptions::default()
    };
    let now = SystemClock.now();
    let copied = store::copy(&args.from, &args.to, &options, &person(&args.reason)?, now).await?;
    match common.format {
        output::Format::Json => output::json(&copied)?,
        output::Format::Table | output::Format::Csv => {
            let line = |one: &Copied| vec![one.table.to_owned(), one.rows.to_string()];
            output::text(&output::table(&["table", "rows"], copied.iter().map(line)))?;
        }
    }
    output::note(
        "all rows arrived; now set state.url to the new store and start the daemon: on the old one it would not enforce any more",
    );
    Ok(())
}
