//! Data on stdout, as a table for people, JSON for programs or CSV for spreadsheets; messages on stderr.
//!
//! Tables have no borders and no colour: they read the same on a terminal, in a pipe and in a mail. JSON is the
//! serialised row, so its keys are the fields' names and stay; CSV's columns are the same names.

mod csv;
mod layout;

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

pub use self::layout::{table, wrapped};
pub use super::time::instant;

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

/// `text` with nothing in it that a terminal obeys: what the upstream or a person wrote may hold escape sequences, or
/// letters that turn the line's direction. They are shown as they are spelt in most languages, but for those `allowed`.
pub fn printable<'t>(text: &'t str, allowed: &str) -> Cow<'t, str> {
    let obeyed = |c: char| {
        (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            && !allowed.contains(c)
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match u32::from(c) {
            code @ ..0x7f if obeyed(c) => shown.push_str(&format!("\\x{code:02x}")),
            // As JSON spells them, so that what is JSON stays so.
            code if obeyed(c) => shown.push_str(&format!("\\u{code:04x}")),
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
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
    fn nothing_that_a_terminal_obeys_is_printed_raw() {
        for (text, shown) in [
            ("CLI-7\u{1b}]0;x\u{7}", "CLI-7\\x1b]0;x\\x07"),
            ("two\nlines\r", "two\\x0alines\\x0d"),
            ("\u{9b}31m\u{202e}cod", "\\u009b31m\\u202ecod"),
            ("\u{7f}", "\\u007f"),
            ("año €", "año €"),
        ] {
            assert_eq!(printable(text, ""), shown);
        }
        assert_eq!(printable("a\n\tb\u{1b}", "\n\t"), "a\n\tb\\x1b");
        let rows = [vec!["a\u{1b}[31m".to_owned()]];
        assert!(!table(&["code"], rows.into_iter()).contains('\u{1b}'));
    }

    #[test]
    fn what_was_not_read_yet_is_told_from_what_is_not_there() {
        assert_eq!(or_not_read(Some(&"ORD-1"), false), "ORD-1");
        assert_eq!(or_not_read(None::<&String>, false), NOT_YET_READ);
        assert_eq!(or_not_read(None::<&String>, true), "-");
    }
}
