//! The manual pages: one for the program and one for each command.
//!
//! What clap knows (synopsis, options) is rendered from the command tree; what it doesn't know (how a command ends,
//! what signals do, which files there are, how it is used) stands here.

mod examples;

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::Exit;

pub use examples::{EXAMPLES, Examples};

/// How a command ends.
const ENDS: &[(Exit, &str)] = &[
    (Exit::Done, "Done."),
    (Exit::Failed, "It failed."),
    (Exit::Usage, "The command line is wrong."),
    (
        Exit::PartialOrHeld,
        "Some items failed, or the guard held the job. Of status: not all is well.",
    ),
    (
        Exit::UpstreamUnreachable,
        "Tesamanager can't be reached, or refuses us.",
    ),
    (Exit::Internal, "A fault of the program: please report it."),
    (
        Exit::StoreUnavailable,
        "The store is busy or can't be reached.",
    ),
    (Exit::Configuration, "The configuration is wrong."),
];

/// What signals do to the daemon.
const DAEMON_SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Nothing new is begun; what is in flight is finished within [daemon].drain_timeout. A second one ends it now.",
    ),
    (
        "SIGHUP",
        "Reads the configuration again. A wrong one changes nothing.",
    ),
    ("SIGUSR1", "Runs every job now."),
    ("SIGUSR2", "Logs the full state."),
];

/// What signals do to commands that serve for a while.
const SERVING_SIGNALS: &[(&str, &str)] = &[("SIGTERM, SIGINT", "It ends in good order.")];

/// What signals do to commands that end by themselves.
const COMMAND_SIGNALS: &[(&str, &str)] = &[(
    "SIGTERM, SIGINT",
    "It breaks off. What it had asked for in the store by then stays.",
)];

const FILES: &[(&str, &str)] = &[
    (
        "tesa-reconciler.toml",
        "The configuration, in the folder where the command is typed, unless --config or $TESA_RECONCILER_CONFIG names another.",
    ),
    (
        "/etc/tesa-reconciler/tesa-reconciler.toml",
        "The configuration, where there is none in that folder.",
    ),
    (
        "/etc/tesa-reconciler/secrets/",
        "What the unit hands to the daemon as credentials; readable by root only.",
    ),
    (
        "/var/lib/tesa-reconciler/tesa-reconciler.db",
        "The store under systemd, with -wal, -shm, .lock and .bell beside it while the daemon runs.",
    ),
];

/// Writes the page of `command`, which comes out of the built tree. `path` holds its names without the program's.
pub fn page(command: &Command, path: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let root = path.is_empty();
    let man = Man::new(command.clone());
    // Without a date: the same source makes the same page. (What clap_mangen makes of an empty one is no title.)
    let names = std::iter::once("tesa-reconciler").chain(path.iter().copied());
    let title = names.collect::<Vec<_>>().join("-").to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        ".TH \"{title}\" \"1\" \"\" \"tesa-reconciler {version}\" \"tesa-reconciler\""
    )?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if root || command.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in ENDS {
        entry(&mut rest, &(*exit as u8).to_string(), meaning);
    }
    rest.control("SH", ["SIGNALS"]);
    for (signal, effect) in signals(path) {
        entry(&mut rest, signal, effect);
    }
    rest.control("SH", ["FILES"]);
    for (file, meaning) in FILES {
        entry(&mut rest, file, meaning);
    }
    rest.control("SH", ["EXAMPLES"]);
    let examples = EXAMPLES.iter().find(|(names, _)| *names == path);
    for (line, meaning) in examples.into_iter().flat_map(|(_, lines)| *lines) {
        entry(&mut rest, line, meaning);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(see_also(path))]);
    rest.to_writer(out)
}

fn signals(path: &[&str]) -> &'static [(&'static str, &'static str)] {
    match path {
        [] | ["run"] => DAEMON_SIGNALS,
        ["sandbox" | "demo"] => SERVING_SIGNALS,
        _ => COMMAND_SIGNALS,
    }
}

fn see_also(path: &[&str]) -> String {
    match path {
        [] => "systemctl(1), journalctl(1)".to_owned(),
        [_] => "tesa-reconciler(1)".to_owned(),
        [group, ..] => format!("tesa-reconciler(1), tesa-reconciler-{group}(1)"),
    }
}

fn entry(page: &mut Roff, term: &str, meaning: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(meaning)]);
}
