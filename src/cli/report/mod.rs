//! `report`: evidence for people who argue with numbers, on whole populations. Reads the store only.
//!
//! CSV has a row an order, so that anybody can compute the figures again; a table has the figures; JSON has both.

mod night;
mod population;
mod stuck;

use clap::Subcommand;

use super::common::Session;
use super::exit::Failure;
use super::lists::TimeArgs;

/// `report …`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Whose time it was, over all orders
    Parties(ReportArgs),
    /// How the contract's promises (`[[service_level]]`) were kept, over all orders
    Delivery(ReportArgs),
    /// Everything that is stuck now, with whose time it was, for a spreadsheet
    Stuck(StuckArgs),
    /// What was found, sent, confirmed and failed, and what waits for a person [default: the last 12 hours]
    Night(ReportArgs),
}

/// Which orders, and of which time.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    #[command(flatten)]
    time: TimeArgs,
}

/// Which orders.
#[derive(Debug, clap::Args)]
pub struct StuckArgs {
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
}

/// Prints one.
pub async fn run(session: &Session, command: &ReportCommand) -> Result<(), Failure> {
    match command {
        ReportCommand::Parties(args) => population::parties(session, args).await,
        ReportCommand::Delivery(args) => population::delivery(session, args).await,
        ReportCommand::Stuck(args) => stuck::run(session, args).await,
        ReportCommand::Night(args) => night::run(session, args).await,
    }
}
