//! `state copy`: moving house, from SQLite to PostgreSQL. `state adopt`: a person vouches for a store. `state backup` and
//! `state sent`: before and after one is lost.

mod log;

use std::io::{BufRead, BufReader, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::log::writes_in;
use super::common::{Common, Session, person};
use super::exit::{Exit, Failure};
use super::output;
use crate::app::{self, store_options};
use crate::clock::{Clock, SystemClock};
use crate::store::attempts::Attempt;
use crate::store::{self, Copied, SchemaState, StoreOptions};

/// What can be done with a store as a whole.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Copy a SQLite store into an empty PostgreSQL database; stop the daemon first
    Copy(CopyArgs),
    /// Let the daemon act from a store that was lost, emptied, copied or restored; see docs/operations.md first
    Adopt(AdoptArgs),
    /// Copy a SQLite store to a file while the daemon works on it; for PostgreSQL, say how
    Backup(BackupArgs),
    /// List the writes that the daemon's log tells of and the store does not know, as after a restore
    Sent(SentArgs),
}

/// Arguments of `state backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A file that is not there yet; `-` for stdout
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
}

/// Arguments of `state sent`.
#[derive(Debug, Args)]
pub struct SentArgs {
    /// The log in JSON, as `journalctl -u tesa-reconciler -o cat` prints it; `-` for stdin
    #[arg(value_name = "LOG", value_hint = clap::ValueHint::FilePath)]
    log: PathBuf,
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
        StateCommand::Backup(args) => backup(common, args).await,
        StateCommand::Sent(args) => sent(common, args).await,
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
    let adopted = app::adopt(&*store, &actor, SystemClock.now()).await?;
    store.close().await;
    output::note(&if adopted {
        format!("{url} is adopted: a daemon in enforce may act from it now")
    } else {
        format!("{url} was in no doubt: nothing is changed")
    });
    Ok(())
}

/// While the daemon works on it. To stdout by way of a file beside the store: SQLite writes no other way.
async fn backup(common: &Common, args: &BackupArgs) -> Result<(), Failure> {
    let config = common.load_for_steering()?;
    let (url, now) = (&config.state.url, SystemClock.now());
    if args.file.as_os_str() != "-" {
        store::backup(url, &args.file, now).await?;
        let shown = args.file.display();
        output::note(&format!(
            "{url} is backed up to {shown}; restored, it is acted from after `tesa-reconciler state adopt`"
        ));
        return Ok(());
    }
    if std::io::stdout().is_terminal() {
        let message = "a backup is no text: send it to a file, as in `state backup - > FILE`";
        return Err(Failure::new(Exit::Usage, message));
    }
    let (mut file, _aside) = store::backup_aside(url, now).await?;
    std::io::copy(&mut file, &mut std::io::stdout().lock())?;
    Ok(())
}

/// Looks each of the log's writes up in the ledger.
async fn sent(common: &Common, args: &SentArgs) -> Result<(), Failure> {
    let session = Session::open(common).await?;
    let lines: Box<dyn BufRead> = if args.log.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(&args.log)?))
    };
    let told = writes_in(lines)?;
    let mut unknown = Vec::new();
    for write in &told {
        let order = [write.external_reference.as_str().into()];
        let attempts = session.store.attempts_for(&write.org, &order).await?;
        let is_it = |attempt: &Attempt| attempt.correlation_id == write.correlation_id;
        if !attempts.iter().any(is_it) {
            unknown.push(write.clone());
        }
    }
    session.store.close().await;
    output::note(&format!(
        "{} writes in the log, {} of them unknown to the store",
        told.len(),
        unknown.len()
    ));
    Ok(output::list(common.format, &unknown)?)
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
