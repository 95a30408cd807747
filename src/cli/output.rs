//! Data on stdout, as a table for people, JSON for programs or CSV for spreadsheets; messages on stderr.
//!
//! Tables have no borders and no colour: they read the same on a terminal, in a pipe and in a mail. JSON is the
//! serialised row, so its keys are the fields' names and stay; CSV's columns are the same names.

mod layout;

use std::io::{self, Write};

use serde::Serialize;

use crate::answers::csv;

pub use self::layout::{table, wrapped};
pub use super::time::instant;
pub use crate::answers::or_dash;
pub use crate::answers::words::{NOT_YET_READ, printable};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For spreadsheets; lists only.
    Csv,
}

/// A row type that can be listed.
pub trait Row: Serialize {
    /// The column titles.
    const COLUMNS: &'static [&'static str];
    /// Which keys come first in CSV; the others follow by name.
    const FIRST: &'static [&'static str];
    /// The cells, in the columns' order.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows. An empty table says so on stderr, so that a pipe stays clean.
pub fn list<R: Row>(format: Format, rows: &[R]) -> io::Result<()> {
    match format {
        Format::Json => json(&rows),
        Format::Csv => written(&csv::csv(R::FIRST, rows)?),
        Format::Table if rows.is_empty() => {
            note("nothing to show");
            Ok(())
        }
        Format::Table => text(&table(R::COLUMNS, rows.iter().map(Row::cells))),
    }
}

/// Says what a command changed: in words on stderr, or as JSON on stdout.
pub fn changed(format: Format, what: &impl Serialize, words: &str) -> io::Result<()> {
    match format {
        Format::Json => json(what),
        Format::Table | Format::Csv => {
            note(words);
            Ok(())
        }
    }
}

/// Prints one value as JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Prints a text and a line end on stdout.
pub fn text(text: &str) -> io::Result<()> {
    written(&format!("{}\n", printable(text, "\n\t")))
}

/// A reader that went away (`| head`) is no failure.
fn written(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something on stderr.
pub fn note(message: &str) {
    // Nobody can be told that stderr is closed.
    let message = super::time::told(message);
    let _ = writeln!(io::stderr().lock(), "{}", printable(&message, "\n\t"));
}

/// What a read tells, in a table: absent it is either not known yet or not there.
pub fn or_not_read<T: ToString>(value: Option<&T>, is_read: bool) -> String {
    match value {
        None if !is_read => NOT_YET_READ.to_owned(),
        value => or_dash(value, ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_yet_is_told_from_what_is_not_there() {
        assert_eq!(or_not_read(Some(&"ORD-1"), false), "ORD-1");
        assert_eq!(or_not_read(None::<&String>, false), NOT_YET_READ);
        assert_eq!(or_not_read(None::<&String>, true), "-");
    }
}
