//! The configuration as a tree of values that know where they come from.
//!
//! File, environment, flags and defaults all end in one such tree; the sections are then read from it, and
//! `config show` prints it. It is our own type because values of three other sources must stand beside TOML's.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problems, looks_like_a_secret};
use super::source::Source;

/// Entries by key.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Place,
    /// Its value.
    pub(super) node: Node,
}

/// A value and where it comes from; of a table, its header.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// What.
    pub(super) value: Value,
    /// Where.
    pub(super) place: Place,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// What no key of ours takes: a date, a number beyond all bounds.
    Other(&'static str),
    /// A list; `[[tables]]` too.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

impl Value {
    /// What it is, for "… is needed, this is …".
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::Other(what) => what,
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Entry {
    /// An entry whose key and value come from the same place.
    pub(super) fn new(value: Value, place: Place) -> Self {
        Self {
            key: place.clone(),
            node: Node { value, place },
        }
    }
}

/// The section at a dotted path; none if it isn't there.
pub(super) fn section<'t>(root: &'t Table, path: &str) -> Option<(&'t Place, &'t Table)> {
    let mut steps = path.split('.');
    let mut entry = root.get(steps.next()?)?;
    loop {
        let Value::Table(table) = &entry.node.value else {
            return None;
        };
        match steps.next() {
            Some(step) => entry = table.get(step)?,
            None => return Some((&entry.node.place, table)),
        }
    }
}

/// The section at a dotted path, made (as if it stood at `place`) where it is missing. None if something that is no
/// table stands in the way.
pub(super) fn section_mut<'t>(
    root: &'t mut Table,
    path: &str,
    place: &Place,
) -> Option<&'t mut Table> {
    path.split('.').try_fold(root, |table, step| {
        let entry = table
            .entry(step.to_owned())
            .or_insert_with(|| Entry::new(Value::Table(Table::new()), place.clone()));
        match &mut entry.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    })
}

/// The tables of a list of tables.
pub(super) fn tables(list: &Table, key: &str) -> Vec<(Place, Table)> {
    let Some(Value::List(nodes)) = list.get(key).map(|entry| &entry.node.value) else {
        return Vec::new();
    };
    nodes
        .iter()
        .filter_map(|node| match &node.value {
            Value::Table(table) => Some((node.place.clone(), table.clone())),
            _ => None,
        })
        .collect()
}

/// Reads a file. Where it is no TOML, that is reported and nothing else is concluded from it.
pub(super) fn parse(source: &Source<'_>, problems: &mut Problems) -> Option<Table> {
    let (document, errors) = DeTable::parse_recoverable(source.text);
    for error in &errors {
        problems.report_syntax(error.span().unwrap_or_default(), error.message());
    }
    errors
        .is_empty()
        .then(|| table(document.get_ref(), &mut Places::File(problems)))
}

/// Reads a text that comes with the program.
pub(super) fn builtin(text: &str) -> Table {
    DeTable::parse(text).map_or_else(
        |_| Table::new(),
        |document| {
            table(
                document.get_ref(),
                &mut Places::One(Place::Default("default")),
            )
        },
    )
}

/// Reads a single value that comes from elsewhere than the file; none if it is no TOML value.
pub(super) fn value(text: &str, place: &Place) -> Option<Value> {
    let parsed = DeValue::parse(text).ok()?;
    Some(node(&parsed, &mut Places::One(place.clone())).value)
}

/// How values get their places.
enum Places<'p> {
    /// From their spans; what looks like a secret is masked on the way.
    File(&'p mut Problems),
    /// All the same.
    One(Place),
}

impl Places<'_> {
    fn of<T>(&self, spanned: &Spanned<T>) -> Place {
        match self {
            Self::File(_) => Place::File(spanned.span()),
            Self::One(place) => place.clone(),
        }
    }
}

fn table(table: &DeTable<'_>, places: &mut Places<'_>) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let entry = Entry {
                key: places.of(key),
                node: node(value, places),
            };
            (key.get_ref().clone().into_owned(), entry)
        })
        .collect()
}

fn node(spanned: &Spanned<DeValue<'_>>, places: &mut Places<'_>) -> Node {
    let place = places.of(spanned);
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(Value::Other("a number too large"), Value::Integer),
        DeValue::Float(digits) => digits
            .as_str()
            .parse()
            .map_or(Value::Other("a number too large"), Value::Float),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(array) => Value::List(array.iter().map(|item| node(item, places)).collect()),
        DeValue::Table(inner) => Value::Table(table(inner, places)),
    };
    let node = Node { value, place };
    if let (Value::Text(text), Places::File(problems)) = (&node.value, places)
        && looks_like_a_secret(text)
    {
        problems.conceal(&node);
    }
    node
}
