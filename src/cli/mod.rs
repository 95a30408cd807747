//! The command line: one file a command, and what they share.
//!
//! Data goes to stdout, messages to stderr; how a command ends is an [`Exit`]. Commands that steer a running daemon
//! do so through the store.

pub mod causes;
pub mod common;
pub mod config;
mod config_explain;
mod console;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod findings;
pub mod healthcheck;
pub mod history;
pub mod jobs;
pub mod lists;
pub mod manual;
pub mod migrate;
pub mod output;
pub mod plan;
pub mod rates;
pub mod rehearse;
pub mod report;
mod retry;
mod run;
pub mod shell;
pub mod state;
pub mod status;
pub mod steer;
pub mod stuck;
pub mod time;
mod watched;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};

use self::common::{Common, Session};
use self::exit::{Exit, Failure};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Overrides;
use crate::lifecycle::{SignalEvent, Signals};
use crate::sandbox;
use crate::telemetry::record::REVISION;

/// Version and revision, as people quote them in a report.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let revision = REVISION.unwrap_or("not a release");
    format!("{} ({revision})", env!("CARGO_PKG_VERSION"))
});

/// Keeps the provisioning requests in Tesamanager from getting stuck.
///
/// Begins in `observe` mode: it reads, decides, records and flags, and sends no write until `[safety] mode =
/// "enforce"` says so.
#[derive(Debug, Parser)]
#[command(
    name = "tesa-reconciler",
    version = VERSION.as_str(),
    propagate_version = true,
    max_term_width = 120
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The configuration file [default: ./tesa-reconciler.toml, then /etc/tesa-reconciler/tesa-reconciler.toml]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TESA_RECONCILER_CONFIG",
        // An empty variable is an unset one, and no mistake.
        value_hint = clap::ValueHint::FilePath,
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    config: Option<PathBuf>,
    /// How data is printed
    #[arg(long, global = true, value_enum, default_value_t)]
    output: output::Format,
    /// Override state.url
    #[arg(long, global = true, value_name = "URL", help_heading = "Overrides")]
    state_url: Option<String>,
    /// Override http.listen
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        help_heading = "Overrides"
    )]
    listen_http: Option<String>,
    /// Override safety.mode: observe or enforce
    #[arg(long, global = true, help_heading = "Overrides")]
    mode: Option<String>,
    /// Override daemon.log_level
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Overrides")]
    log_level: Option<String>,
    /// Override daemon.log_format: auto, human or json
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Overrides")]
    log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon; with --once, each job once
    Run(run::RunArgs),
    /// Print every decision that a run would make now, with its reason; writes nothing
    Plan(plan::PlanArgs),
    /// Tell all about one request: known, decided, tried, next
    Explain(explain::ExplainArgs),
    /// Tell the whole life of an order, line by line, and whose time it was
    History(history::HistoryArgs),
    /// Find what the stuck requests have in common that the others have not, with the numbers
    Causes(causes::CausesArgs),
    /// Tell what the rules of --config would have done on recorded history; writes nothing
    Rehearse(rehearse::RehearseArgs),
    /// Make evidence: whose time it was, how promises were kept, what is stuck, what happened last night
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Ask the running daemon to run a job now
    Trigger(steer::TriggerArgs),
    /// Stop new writes and runs of a job, or of all, on every replica
    Pause(steer::PauseArgs),
    /// Let a paused job, or all, go on
    Resume(steer::ResumeArgs),
    /// Let a job go on that the guard holds
    Release(steer::ReleaseArgs),
    /// List the jobs: when they run, how it went, what holds them
    Jobs,
    /// List runs
    Runs(lists::RunsArgs),
    /// List what is stuck now, oldest first: age, threshold, issue, whose turn, next step
    Stuck(stuck::StuckArgs),
    /// List findings, acknowledge some, or take that back
    #[command(args_conflicts_with_subcommands = true)]
    Findings {
        #[command(flatten)]
        list: Box<findings::FindingsArgs>,
        #[command(subcommand)]
        act: Option<FindingsCommand>,
    },
    /// List the ledger of writes, settle one that waits for a person, or let an order be tried again
    #[command(args_conflicts_with_subcommands = true)]
    Attempts {
        #[command(flatten)]
        list: lists::AttemptsArgs,
        #[command(subcommand)]
        act: Option<AttemptsCommand>,
    },
    /// List who did what, when and why
    Audit(lists::AuditArgs),
    /// List the orgs with their rates and whether the upstream asked to be left alone (Retry-After), or ask one again
    #[command(args_conflicts_with_subcommands = true)]
    Rates {
        #[command(subcommand)]
        act: Option<rates::RatesCommand>,
    },
    /// Show on one screen how things stand, and what to do next; ends with 0 only if all is well, else 3
    Status,
    /// Check configuration, network, token, clock and store, and say how to mend what is wrong
    Doctor,
    /// Check, show or explain the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make a password line for the console
    #[command(subcommand)]
    Console(console::ConsoleCommand),
    /// Move the store to another database
    #[command(subcommand)]
    State(state::StateCommand),
    /// Bring the store's schema to this version
    Migrate,
    /// Ask the daemon on this machine whether it lives; for a container's health check
    Healthcheck,
    /// Print a shell's completions
    Completions(shell::CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(shell::ManArgs),
    /// Serve a Tesamanager to try it on; its paths are assumptions
    Sandbox(Box<sandbox::Args>),
    /// Show it at work: sandbox and daemon on loopback, in a temporary directory
    Demo(demo::DemoArgs),
}

#[derive(Debug, Subcommand)]
enum FindingsCommand {
    /// Say hands off: they stay quiet, and their orders untouched by every job, until the request or issue changes
    Ack(Box<findings::ack::AckArgs>),
    /// Take that back
    Unack(Box<findings::ack::AckArgs>),
}

#[derive(Debug, Subcommand)]
enum AttemptsCommand {
    /// Decide an attempt that reading could not settle
    Settle(steer::SettleArgs),
    /// Let an order that was given up, or is doubled, be tried again
    Retry(retry::RetryArgs),
}

impl Command {
    /// It prints rows of one form, so CSV can hold them.
    fn is_list(&self) -> bool {
        match self {
            Self::Findings { act, .. } => act.is_none(),
            Self::Attempts { act, .. } => act.is_none(),
            Self::Rates { act } => act.is_none(),
            Self::Jobs
            | Self::Runs(_)
            | Self::Audit(_)
            | Self::Stuck(_)
            | Self::Plan(_)
            | Self::History(_)
            | Self::Causes(_)
            | Self::Rehearse(_)
            | Self::Report(_) => true,
            _ => false,
        }
    }
}

/// Does what the command line asks for. `signals` were installed first thing.
pub async fn execute(cli: Cli, signals: Signals) -> Result<Exit, Failure> {
    let Global {
        config,
        output,
        state_url,
        listen_http,
        mode,
        log_level,
        log_format,
    } = cli.global;
    let common = Common {
        config: common::configuration(config, std::path::Path::exists),
        format: output,
        overrides: Overrides {
            state_url,
            http_listen: listen_http,
            mode,
            log_level,
            log_format,
        },
    };
    if output == output::Format::Csv && !cli.command.is_list() {
        let message = "--output csv is for lists; here it is table or json";
        return Err(Failure::new(Exit::Usage, message));
    }
    // The long ones are boxed, here and below: as one future they nest too deep for an optimised build.
    match cli.command {
        Command::Run(args) => Box::pin(run::run(&common, &args, signals)).await,
        Command::Sandbox(args) => {
            let stop = run::stop_on_signal(signals);
            let served = sandbox::run(*args, Arc::new(SystemClock), stop).await;
            served.map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))?;
            Ok(Exit::Done)
        }
        Command::Demo(args) => Box::pin(demo::run(&args, signals)).await,
        command => tokio::select! {
            ended = short(&common, command) => ended,
            () = interrupted(signals) => Err(Failure::new(Exit::Failed, "interrupted")),
        },
    }
}

/// The commands that end by themselves.
async fn short(common: &Common, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Plan(args) => Box::pin(plan::run(common, &args)).await?,
        Command::Explain(args) => Box::pin(explain::run(common, &args)).await?,
        Command::Doctor => return Box::pin(doctor::run(common)).await,
        Command::Config(command) => config_command(common, &command)?,
        Command::Console(command) => console::run(&command).await?,
        Command::State(command) => state::run(common, &command).await?,
        Command::Migrate => migrate::run(common).await?,
        Command::Healthcheck => healthcheck::run(common).await?,
        Command::Completions(args) => shell::completions(common, &args)?,
        Command::Man(args) => shell::man(&args)?,
        command => return Box::pin(with_store(common, command)).await,
    }
    Ok(Exit::Done)
}

/// The handlers are in place for the life of the process, so a command that has nothing to drain heeds them here.
async fn interrupted(mut signals: Signals) {
    while !matches!(
        signals.next().await,
        SignalEvent::Stop | SignalEvent::StopNow
    ) {}
}

/// The commands that work on the store alone.
async fn with_store(common: &Common, command: Command) -> Result<Exit, Failure> {
    let session = Session::open(common).await?;
    let result = match command {
        Command::Trigger(args) => steer::trigger(&session, &args).await,
        Command::Pause(args) => done(steer::pause(&session, &args).await),
        Command::Resume(args) => done(steer::resume(&session, &args).await),
        Command::Release(args) => done(steer::release(&session, &args).await),
        Command::Jobs => done(jobs::run(&session).await),
        Command::Status => status::run(&session).await,
        Command::Runs(args) => done(lists::runs(&session, &args).await),
        Command::Stuck(args) => done(stuck::run(&session, &args).await),
        Command::Findings { list, act } => done(match act {
            None => findings::list(&session, &list).await,
            Some(FindingsCommand::Ack(args)) => findings::ack::acknowledge(&session, &args).await,
            Some(FindingsCommand::Unack(args)) => {
                findings::ack::unacknowledge(&session, &args).await
            }
        }),
        Command::Attempts { list, act } => done(match act {
            None => lists::attempts(&session, &list).await,
            Some(AttemptsCommand::Settle(args)) => steer::settle(&session, &args).await,
            Some(AttemptsCommand::Retry(args)) => retry::run(&session, &args).await,
        }),
        Command::Rates { act } => done(rates::run(&session, act.as_ref()).await),
        Command::Audit(args) => done(lists::audit(&session, &args).await),
        Command::Rehearse(args) => done(Box::pin(rehearse::run(&session, &args)).await),
        Command::Causes(args) => done(Box::pin(causes::run(&session, &args)).await),
        Command::Report(command) => done(report::run(&session, &command).await),
        Command::History(args) => done(Box::pin(history::run(common, &session, &args)).await),
        other => Err(Failure::new(
            Exit::Internal,
            format!("{other:?} does not work on the store"),
        )),
    };
    session.store.close().await;
    result
}

fn done(result: Result<(), Failure>) -> Result<Exit, Failure> {
    result.map(|()| Exit::Done)
}

fn config_command(common: &Common, command: &config::ConfigCommand) -> Result<(), Failure> {
    let env = crate::config::process_environment();
    let mut out = Vec::new();
    let done = config::run(
        command,
        &common.config,
        env,
        &common.overrides,
        common.format,
        SystemClock.now(),
        &mut out,
    );
    let warnings = done.map_err(|error| match error {
        config::ConfigCommandError::Config(errors) => {
            Failure::new(Exit::Configuration, errors.to_string())
        }
        config::ConfigCommandError::Output(error) => error.into(),
    })?;
    for warning in &warnings {
        output::note(&format!("warning: {warning}"));
    }
    Ok(output::text(String::from_utf8_lossy(&out).trim_end())?)
}
