//! `completions` and `man`: made from the command tree, so they can't fall behind it.

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, Args, Command, CommandFactory};

use super::common::Common;
use super::exit::{Exit, Failure};
use super::{Cli, manual, output};
use crate::config;

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Of which command, such as `run` or `findings ack`; left out, of the program as a whole
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

/// Prints a shell's completions. They offer the jobs and orgs of the configuration that holds here; without one that
/// can be read they offer the rest.
pub fn completions(common: &Common, args: &CompletionsArgs) -> io::Result<()> {
    let environment = config::process_environment();
    let loaded = config::load_for_steering(&common.config, environment, &common.overrides).ok();
    // A name can't hold what a shell would take for more than text: the configuration refuses it.
    let (mut jobs, mut orgs) = (Vec::new(), Vec::new());
    if let Some(config) = loaded {
        jobs.extend(config.jobs.iter().map(|job| lasting(&job.name)));
        orgs.extend(config.tesamanager.orgs.iter().map(|org| lasting(org)));
    }
    let offer = move |arg: Arg| {
        let names = match arg.get_id().as_str() {
            "job" | "jobs" => &jobs,
            "org" => &orgs,
            _ => return arg,
        };
        if names.is_empty() {
            return arg;
        }
        arg.value_parser(PossibleValuesParser::new(names))
    };
    let mut command = with_names(Cli::command(), &offer);
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tesa-reconciler", &mut out);
    output::text(String::from_utf8_lossy(&out).trim_end())
}

/// The command tree takes only names that live as long as the program, which ends right after.
fn lasting(name: &impl ToString) -> &'static str {
    Box::leak(name.to_string().into_boxed_str())
}

fn with_names(command: Command, offer: &impl Fn(Arg) -> Arg) -> Command {
    let inner: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    inner
        .into_iter()
        .fold(command.mut_args(offer), |command, name| {
            command.mut_subcommand(name, |command| with_names(command, offer))
        })
}

/// Prints a manual page, or writes all of them.
pub fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut tree = Cli::command().disable_help_subcommand(true);
    tree.build();
    if let Some(folder) = &args.dir {
        return write_all(&tree, &mut Vec::new(), folder).map_err(|error| {
            let message = format!(
                "the pages can't be written into {}: {error}",
                folder.display()
            );
            Failure::new(Exit::Failed, message)
        });
    }
    let mut command = &tree;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            let asked = args.command.join(" ");
            let message = format!("there is no command \"{asked}\": see tesa-reconciler --help");
            Failure::new(Exit::Usage, message)
        })?;
    }
    let path: Vec<&str> = args.command.iter().map(String::as_str).collect();
    let mut out = Vec::new();
    manual::page(command, &path, &mut out)?;
    Ok(output::text(String::from_utf8_lossy(&out).trim_end())?)
}

fn write_all<'a>(command: &'a Command, path: &mut Vec<&'a str>, folder: &Path) -> io::Result<()> {
    let name = std::iter::once("tesa-reconciler").chain(path.iter().copied());
    let name = name.collect::<Vec<_>>().join("-");
    let mut page = Vec::new();
    manual::page(command, path, &mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)?;
    for inner in command.get_subcommands() {
        path.push(inner.get_name());
        write_all(inner, path, folder)?;
        path.pop();
    }
    Ok(())
}
