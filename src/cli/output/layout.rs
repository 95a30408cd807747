//! Tables and lines that fit the screen.
//!
//! A word is never split: who copies an id from a screen must get all of it. A table that is too wide wraps its last column,
//! which holds words; where that is not enough each row is stacked, a line a cell, and nothing is left out. In a pipe
//! there is no width, unless `$COLUMNS` says one.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};

use super::printable;
use crate::cli::time::told;

/// The last column is not made narrower than this.
const NARROWEST: usize = 24;

/// How wide a line may be; none: as wide as it is.
fn screen() -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok();
    let asked = asked
        .and_then(|text| text.parse().ok())
        .filter(|width| *width > 0);
    let terminal = || {
        let shown = std::io::stdout().is_terminal();
        shown
            .then(|| Table::new().width().map(usize::from))
            .flatten()
    };
    asked.or_else(terminal)
}

/// A plain table of any cells.
pub fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows
        .map(|row| {
            row.iter()
                .map(|cell| printable(&told(cell), "").into_owned())
                .collect()
        })
        .collect();
    fitted(columns, &rows, screen())
}

/// A line that goes on below itself, indented, where the screen ends.
pub fn wrapped(line: &str, indent: usize) -> String {
    let line = told(line);
    match screen() {
        Some(width) => wrap(&line, indent, width),
        None => line.into_owned(),
    }
}

fn fitted(columns: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let natural = plain(columns, rows, None);
    let Some(width) = width else {
        return natural;
    };
    if widest(&natural) <= width {
        return natural;
    }
    let last = columns.len().saturating_sub(1);
    let of_last = rows.iter().filter_map(|row| row.get(last));
    let words = of_last.flat_map(|cell| cell.split(' ')).map(length).max();
    let least = words.unwrap_or(0).max(NARROWEST);
    let without: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().take(last).cloned().collect())
        .collect();
    let taken = widest(&plain(&columns[..last], &without, None)) + 3;
    if last > 0 && taken + least <= width {
        return plain(columns, rows, Some(width - taken));
    }
    stacked(columns, rows, width)
}

/// As wide as it is, but for its last column.
fn plain(columns: &[&str], rows: &[Vec<String>], last: Option<usize>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|title| title.to_uppercase()));
    for row in rows {
        match (last, row.split_last()) {
            (Some(width), Some((cell, others))) => {
                let mut row: Vec<String> = others.to_vec();
                row.push(wrap(cell, 0, width));
                table.add_row(row);
            }
            _ => {
                table.add_row(row);
            }
        }
    }
    // The library pads every line to the table's width.
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// A block a row, a line a cell.
fn stacked(columns: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let titles = columns.iter().map(|title| length(title)).max().unwrap_or(0);
    let blocks = rows.iter().map(|row| {
        let cells = columns.iter().zip(row);
        let lines = cells.map(|(title, cell)| {
            let title = title.to_uppercase();
            wrap(&format!("{title:<titles$}  {cell}"), 2, width)
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// Breaks a line between words only, so one that is longer than the screen stands alone on a line that is too long.
fn wrap(line: &str, indent: usize, width: usize) -> String {
    let mut lines = Vec::new();
    let mut current = String::new();
    for (index, word) in line.split(' ').enumerate() {
        let begun = !current.trim().is_empty();
        if begun && !word.is_empty() && length(&current) + 1 + length(word) > width {
            lines.push(std::mem::replace(&mut current, " ".repeat(indent)));
        } else if index > 0 {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

fn widest(text: &str) -> usize {
    text.lines().map(length).max().unwrap_or(0)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 3] = ["id", "request", "evidence"];

    fn rows() -> Vec<Vec<String>> {
        let row = |id: &str, request: &str, evidence: &str| {
            vec![id.to_owned(), request.to_owned(), evidence.to_owned()]
        };
        vec![
            row(
                "17",
                "REF-00000077",
                "in VALIDATING for longer than its rule allows, 48h",
            ),
            row("18", "REF-00000078", "short"),
        ]
    }

    #[test]
    fn a_table_is_as_wide_as_it_is_where_there_is_room_or_no_screen() {
        let natural = fitted(&COLUMNS, &rows(), None);
        assert_eq!(fitted(&COLUMNS, &rows(), Some(200)), natural);
        assert_eq!(natural.lines().count(), 3, "{natural}");
    }

    #[test]
    fn the_last_column_wraps_between_words() {
        let shown = fitted(&COLUMNS, &rows(), Some(60));
        assert!(widest(&shown) <= 60, "{shown}");
        assert_eq!(shown.lines().count(), 4, "{shown}");
        assert!(
            shown.lines().nth(1).unwrap().contains("REF-00000077"),
            "{shown}"
        );
    }

    #[test]
    fn rows_are_stacked_where_the_screen_is_narrow_and_no_id_is_split() {
        let shown = fitted(&COLUMNS, &rows(), Some(40));
        let begins = "ID        17\nREQUEST   REF-00000077\nEVIDENCE  in VALIDATING for longer than\n  its rule allows, 48h";
        assert!(shown.starts_with(begins), "{shown}");
        for width in 1..60 {
            let shown = fitted(&COLUMNS, &rows(), Some(width));
            for id in ["REF-00000077", "REF-00000078"] {
                assert!(shown.contains(id), "{width}: {shown}");
            }
            let long = |line: &str| length(line.trim()) > width && line.trim().contains(' ');
            let long = shown.lines().filter(|line| long(line)).count();
            assert!(width < 24 || long == 0, "{width}: {shown}");
        }
    }

    #[test]
    fn a_line_goes_on_below_itself() {
        assert_eq!(
            wrap("label  one two three", 4, 11),
            "label  one\n    two\n    three"
        );
        assert_eq!(wrap("  a  b", 2, 80), "  a  b");
        assert_eq!(wrap("averylongword", 2, 5), "averylongword");
        assert_eq!(wrap("", 2, 5), "");
    }
}
