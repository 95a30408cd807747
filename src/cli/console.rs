//! `console password`: makes a line for the console's password file. The password is typed and not shown, or read from stdin
//! where that is no terminal: on a command line everybody on the machine could read it.

use std::io::{self, IsTerminal};

use clap::builder::TypedValueParser;
use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::exit::{Exit, Failure};
use super::lists::word;
use super::output;
use crate::clock::SystemClock;
use crate::console::{self, Role};

/// A shorter one is guessed.
const SHORTEST: usize = 12;

/// `console …`.
#[derive(Debug, Subcommand)]
pub enum ConsoleCommand {
    /// Make a line for [console].password_file from a password that is typed, or read from stdin
    Password(PasswordArgs),
}

/// `console password`.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// By what name they are known
    name: String,
    /// What they may do
    #[arg(long, default_value = "viewer", value_parser = word!(Role))]
    role: Role,
}

/// Prints the line.
pub async fn run(command: &ConsoleCommand) -> Result<(), Failure> {
    let ConsoleCommand::Password(PasswordArgs { name, role }) = command;
    let read = tokio::task::spawn_blocking(password).await;
    let password = read.map_err(io::Error::other)??;
    let usage = |message: String| Err(Failure::new(Exit::Usage, message));
    if password.chars().count() < SHORTEST {
        return usage(format!("a password has {SHORTEST} characters at least"));
    }
    match console::line(name, &password, *role, &SystemClock) {
        Ok(line) => Ok(output::text(&line)?),
        Err(error) => usage(error.to_string()),
    }
}

/// A line from the terminal that does not show it, or from whatever stdin is.
fn password() -> io::Result<String> {
    let hidden = io::stdin().is_terminal().then(Hidden::begin).transpose()?;
    if hidden.is_some() {
        output::note("password (it is not shown):");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal shows nothing of what is typed.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
