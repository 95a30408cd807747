//! `config show`: the configuration that holds, as TOML, with where each value comes from.

use std::fmt::Write as _;

use super::keys::{self, SECTIONS, Section};
use super::problem::Place;
use super::source::Source;
use super::tree::{self, Table, Value};

/// Prints the tree. What is printed reads back as the same configuration.
pub(super) fn render(root: &Table, source: &Source<'_>) -> String {
    let mut out = String::new();
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        if let Some((_, table)) = tree::section(root, section.path) {
            write_section(&mut out, section, table, source);
        }
    }
    let level = &super::service_level::SECTION;
    for (_, table) in tree::tables(root, level.path) {
        write_section(&mut out, level, &table, source);
    }
    let (job, rule) = (&super::job::SECTION, &super::rule::SECTION);
    for (_, table) in tree::tables(root, job.path) {
        write_section(&mut out, job, &table, source);
        for (_, table) in tree::tables(&table, "rule") {
            write_section(&mut out, rule, &table, source);
        }
    }
    out
}

fn write_section(out: &mut String, section: &Section, table: &Table, source: &Source<'_>) {
    if !out.is_empty() {
        out.push('\n');
    }
    // Writing to a String can't fail.
    let _ = writeln!(out, "{}", keys::header(section));
    for key in section.keys {
        if let Some(entry) = table.get(key.name) {
            let (value, origin) = (toml(&entry.node.value), origin(&entry.node.place, source));
            let _ = writeln!(out, "{} = {value} # {origin}", key.name);
        }
    }
}

fn origin(place: &Place, source: &Source<'_>) -> String {
    match place {
        Place::Default(origin) => (*origin).to_owned(),
        Place::File(span) => source.locate_line(span.start),
        Place::WholeFile => source.name.to_owned(),
        Place::Environment(name) => format!("environment {name}"),
        Place::Flag(flag) => format!("flag {flag}"),
    }
}

fn toml(value: &Value) -> String {
    match value {
        Value::Text(text) => toml::Value::String(text.clone()).to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => toml::Value::Float(*number).to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::List(nodes) => {
            let items: Vec<String> = nodes.iter().map(|node| toml(&node.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let items: Vec<String> = table
                .iter()
                .map(|(name, entry)| {
                    let name = toml::Value::String(name.clone());
                    format!("{name} = {}", toml(&entry.node.value))
                })
                .collect();
            format!("{{ {} }}", items.join(", "))
        }
        // A valid configuration has none here.
        Value::Other(_) => String::new(),
    }
}
