//! `state copy`: moving house, from SQLite to PostgreSQL.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::{Common, person};
use super::exit::Failure;
use super::output;
use crate::clock::{Clock, SystemClock};
use crate::store::{self, Copied, StoreOptions};

/// What can be done with a store as a whole.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Copy a SQLite store into an empty PostgreSQL database; stop the daemon first
    Copy(CopyArgs),
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
    let StateCommand::Copy(args) = command;
    let options = StoreOptions {
        password_file: args.password_file.clone(),
        ..StoreOptions::default()
    };
    let now = SystemClock.now();
    let copied = store::copy(&args.from, &args.to, &options, &person(&args.reason)?, now).await?;
    match common.format {
        output::Format::Json => output::json(&copied)?,
        output::Format::Table => {
            let line = |one: &Copied| vec![one.table.to_owned(), one.rows.to_string()];
            output::text(&output::table(&["table", "rows"], copied.iter().map(line)))?;
        }
    }
    output::note(
        "all rows arrived; now set state.url to the new store, and start the daemon on that one only",
    );
    Ok(())
}
