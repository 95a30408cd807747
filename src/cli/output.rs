//! Data on stdout, as a table for people or JSON for programs; messages on stderr.
//!
//! Tables have no borders and no colour: they read the same on a terminal, in a pipe and in a mail. JSON is the
//! serialised row, so its keys are the fields' names and stay.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// A row type that can be listed.
pub trait Row: Serialize {
    /// The column titles.
    const COLUMNS: &'static [&'static str];
    /// The cells, in the columns' order.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows. An empty table says so on stderr, so that a pipe stays clean.
pub fn list<R: Row>(format: Format, rows: &[R]) -> io::Result<()> {
    match format {
        Format::Json => json(&rows),
        Format::Table if rows.is_empty() => {
            note("nothing to show");
            Ok(())
        }
        Format::Table => text(&table(R::COLUMNS, rows.iter().map(Row::cells))),
    }
}

/// A plain table of any cells.
pub fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(columns.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    // The library pads every line to the table's width.
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// Prints one value as JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&serde_json::to_string_pretty(value)?)
}

/// Prints a text and a line end on stdout. A reader that went away (`| head`) is no failure.
pub fn text(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says something on stderr.
pub fn note(message: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// An instant in a table.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What only a read tells, in the place of a value; in JSON it is null.
pub const NOT_YET_READ: &str = "not yet read";

/// What a read tells, in a table: absent it is either not known yet or not there.
pub fn or_not_read<T: ToString>(value: Option<&T>, is_read: bool) -> String {
    match value {
        None if !is_read => NOT_YET_READ.to_owned(),
        value => or_dash(value, ToString::to_string),
    }
}

/// Something that may be absent, in a table.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
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
