//! `completions` and `man`: made from the command tree, so they can't fall behind it.

use std::io;

use clap::{Args, CommandFactory};

use super::Cli;
use super::output;

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints a shell's completions.
pub fn completions(args: &CompletionsArgs) -> io::Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tesa-reconciler", &mut out);
    output::text(String::from_utf8_lossy(&out).trim_end())
}

/// Prints the manual page.
pub fn man() -> io::Result<()> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out)?;
    output::text(String::from_utf8_lossy(&out).trim_end())
}
