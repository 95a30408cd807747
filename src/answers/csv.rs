//! Rows as CSV (RFC 4180) for spreadsheets: a column a key of their JSON, `outer.inner` where that is an object.
//!
//! A cell that a spreadsheet would take for a formula begins with an apostrophe: what the upstream or a person wrote must
//! not be computed by whoever opens the file. Instants are in UTC, as in JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::Serialize;
use serde_json::Value;

use super::words::printable;

/// What makes a formula of a text, in one spreadsheet or another.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The rows with a header: the columns `first`, then all others by name.
pub fn csv<R: Serialize>(first: &[&str], rows: &[R]) -> io::Result<String> {
    let mut flat = Vec::with_capacity(rows.len());
    for row in rows {
        let mut cells = BTreeMap::new();
        flatten("", serde_json::to_value(row)?, &mut cells);
        flat.push(cells);
    }
    let keys: BTreeSet<&str> = flat
        .iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
        .collect();
    let others = keys.into_iter().filter(|key| !first.contains(key));
    let columns: Vec<&str> = first.iter().copied().chain(others).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for row in &flat {
        let cells = columns
            .iter()
            .map(|column| row.get(*column).map_or("", String::as_str));
        writer.write_record(cells)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// An object's keys become columns of their own; a list stays one cell of JSON.
fn flatten(name: &str, value: Value, cells: &mut BTreeMap<String, String>) {
    let cell = match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = if name.is_empty() {
                    key
                } else {
                    format!("{name}.{key}")
                };
                flatten(&key, value, cells);
            }
            return;
        }
        Value::Null => String::new(),
        Value::String(text) => harmless(&text),
        Value::Array(list) if list.is_empty() => String::new(),
        other => other.to_string(),
    };
    cells.insert(name.to_owned(), cell);
}

fn harmless(text: &str) -> String {
    let shown = printable(text, "\n");
    if text.starts_with(FORMULA) {
        format!("'{shown}")
    } else {
        shown.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_column_is_a_key_and_chosen_ones_come_first() {
        let rows = [
            json!({"org": "yoigo", "id": 7, "summary": {"sent": 1}, "said": [], "ends": null}),
            json!({"org": "a, \"b\"\nc", "id": 8, "summary": {"sent": 2}, "said": [{"who": "ana"}]}),
        ];
        let expected = "id,org,ends,said,summary.sent\n7,yoigo,,,1\n\
             8,\"a, \"\"b\"\"\nc\",,\"[{\"\"who\"\":\"\"ana\"\"}]\",2\n";
        assert_eq!(csv(&["id", "org"], &rows).unwrap(), expected);
        assert_eq!(csv::<Value>(&["id", "org"], &[]).unwrap(), "id,org\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+34 600", "'+34 600"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\x09=1"),
            ("\r=1", "'\\x0d=1"),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), cell);
        }
        // A number is one.
        let rows = [json!({"n": -1})];
        assert_eq!(csv(&["n"], &rows).unwrap(), "n\n-1\n");
    }
}
