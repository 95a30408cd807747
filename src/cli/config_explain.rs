//! `config check --explain`: what the rules come to, on a page of 80 columns. Everything is decided in
//! [`crate::config::explain`]; this only lays it out.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::config::{ExplainedClass, ExplainedJob, ExplainedRule};

/// Columns of a page.
const WIDTH: u16 = 80;
/// The longest status with its space on both sides: people search for the word, so it is never broken.
const STATUS: u16 = 22;

/// Each job and org: its rules, what has to be read for them, and its list calls by number.
pub fn page(jobs: &[ExplainedJob]) -> String {
    let parts: Vec<String> = jobs.iter().map(job).collect();
    parts.join("\n\n")
}

fn job(job: &ExplainedJob) -> String {
    let mut parts = vec![format!("{} ({}), {}", job.job, job.kind, job.org)];
    if job.rules.is_empty() {
        parts.push("  no rules: what it finds is flagged".to_owned());
    } else {
        let rows = job.rules.iter().flat_map(rows).collect();
        let mut rules = table(&["rule", "status", "matches", "lists", "does"], rows);
        if let Some(status) = rules.column_mut(1) {
            status.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(STATUS)));
        }
        parts.push(plain(&rules));
        let reads = job.rules.iter().filter(|rule| !rule.reads.is_empty());
        let reads: Vec<Vec<String>> = reads
            .map(|rule| vec![rule.rule.to_string(), rule.reads.join("\n")])
            .collect();
        if !reads.is_empty() {
            parts.push(plain(&table(&["rule", "reads"], reads)));
        }
    }
    let calls = job.lists.iter().map(|list| {
        let query = match list.query.as_str() {
            "" => "(every request)".to_owned(),
            query => broken(query),
        };
        let shared = match list.shared_by {
            0 => String::new(),
            1 => ", 1 class".to_owned(),
            many => format!(", {many} classes"),
        };
        let what = format!("{}{shared}", list.purpose);
        vec![list.number.to_string(), query, what]
    });
    parts.push(plain(&table(
        &["#", "list call", "is for"],
        calls.collect(),
    )));
    parts.join("\n")
}

/// The table breaks lines at spaces; a query has none, so it gets ends of lines where its parts join.
fn broken(query: &str) -> String {
    const LONGEST: usize = 40;
    let mut lines = vec![String::new()];
    for piece in query.split_inclusive(['&', ',']) {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + piece.len() <= LONGEST => {
                line.push_str(piece);
            }
            _ => lines.push(piece.to_owned()),
        }
    }
    lines.join("\n")
}

fn rows(rule: &ExplainedRule) -> Vec<Vec<String>> {
    let does = match rule.action {
        "flag" | "ignore" => rule.action.to_owned(),
        write => format!("{write}, {}", rule.effect),
    };
    let row = |(index, class): (usize, &ExplainedClass)| {
        // The rule is said once.
        let first = index == 0;
        let only_first = |text: &str| {
            if first {
                text.to_owned()
            } else {
                String::new()
            }
        };
        vec![
            only_first(&rule.rule.to_string()),
            class.status.to_string(),
            matches(class),
            lists(class),
            only_first(&does),
        ]
    };
    rule.classes.iter().enumerate().map(row).collect()
}

fn matches(class: &ExplainedClass) -> String {
    let age = class.age.as_ref().map(|age| format!("over {age}"));
    let after = class.after.iter().map(|rule| format!("not {rule}"));
    let all: Vec<String> = age
        .into_iter()
        .chain(class.flags.iter().cloned())
        .chain(after)
        .collect();
    if all.is_empty() {
        return "-".to_owned();
    }
    all.join(", ")
}

/// `1`, `1 - 3` where another list is subtracted, `1, read` where that is only a bound.
fn lists(class: &ExplainedClass) -> String {
    let all: Vec<String> = class
        .within
        .iter()
        .chain(&class.without)
        .map(ToString::to_string)
        .collect();
    let lists = all.join(" - ");
    match class.decided_by {
        "reading" => format!("{lists}, read"),
        _ => lists,
    }
}

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(columns.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Without the blanks that the library puts at the end of each line.
fn plain(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
