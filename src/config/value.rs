//! Reads single values: each function takes a value with its place, and gives back what it means or notes what is
//! wrong with it. `None` always says that a problem has been noted.

use std::time::Duration;

use super::keys::{self, Preset};
use super::nearest;
use super::problem::{Place, Problems, shown};
use super::tree::{Node, Table, Value};

/// No duration is longer: arithmetic on instants stays far from its limits.
pub(super) const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// For durations of which zero makes no sense.
pub(super) const ONE_SECOND: Duration = Duration::from_secs(1);

/// Reads the keys of one section.
#[derive(Debug, Clone)]
pub(super) struct Reader<'t> {
    path: &'static str,
    place: Place,
    table: Option<&'t Table>,
}

impl<'t> Reader<'t> {
    /// Of a section that stands once.
    pub(super) fn new(root: &'t Table, path: &'static str) -> Self {
        let section = super::tree::section(root, path);
        Self {
            path,
            place: section.map_or(Place::WholeFile, |(place, _)| place.clone()),
            table: section.map(|(_, table)| table),
        }
    }

    /// Of one table of a list of tables.
    pub(super) fn repeated(path: &'static str, place: &Place, table: &'t Table) -> Self {
        Self {
            path,
            place: place.clone(),
            table: Some(table),
        }
    }

    /// Where the section begins.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Where a key of it stands, if it does.
    pub(super) fn place_of(&self, key: &str) -> Option<&'t Place> {
        self.table?.get(key).map(|entry| &entry.key)
    }

    /// The value of a key, if given.
    pub(super) fn node(&self, key: &str) -> Option<&'t Node> {
        self.table?.get(key).map(|entry| &entry.node)
    }

    /// A key that must be there.
    pub(super) fn required<T>(
        &self,
        problems: &mut Problems,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        if let Some(value) = self.optional(problems, key, read)? {
            return Some(value);
        }
        if problems.is_excused(&self.place, key) {
            return None;
        }
        let message = format!("`{key}` is missing");
        match keys::key(self.path, key).map(|key| key.preset) {
            Some(Preset::Required(example)) => problems.report_with_help(
                &self.place,
                format!("{message} in {}", self.header()),
                format!("for example {key} = {example}"),
            ),
            _ => problems.report(&self.place, message),
        }
        None
    }

    /// A key that may be left out: `Some(None)` if it is.
    pub(super) fn optional<T>(
        &self,
        problems: &mut Problems,
        key: &'static str,
        read: impl FnOnce(&Node, &mut Problems) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some(node) = self.node(key) else {
            return Some(None);
        };
        let subject = match keys::section(self.path) {
            Some(section) if !section.repeated => format!("{}.{key}", self.path),
            _ => key.to_owned(),
        };
        problems
            .within(subject, |problems| read(node, problems))
            .map(Some)
    }

    fn header(&self) -> String {
        keys::section(self.path).map_or_else(String::new, keys::header)
    }
}

/// A text that says something.
pub(super) fn text(node: &Node, problems: &mut Problems) -> Option<String> {
    match &node.value {
        Value::Text(text) if text.trim().is_empty() => {
            problems.report(&node.place, "an empty text says nothing");
            None
        }
        Value::Text(text) => Some(text.clone()),
        other => wrong(node, problems, "a text in quotes", other),
    }
}

/// True or false.
pub(super) fn switch(node: &Node, problems: &mut Problems) -> Option<bool> {
    match &node.value {
        Value::Bool(truth) => Some(*truth),
        other => wrong(node, problems, "true or false", other),
    }
}

/// A whole number within bounds.
pub(super) fn number(least: u32, most: u32) -> impl Fn(&Node, &mut Problems) -> Option<u32> {
    move |node, problems| match &node.value {
        Value::Integer(number) => match u32::try_from(*number) {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let bound = if *number < i64::from(least) {
                    format!("at least {least}")
                } else {
                    format!("at most {most}")
                };
                problems.report(&node.place, format!("must be {bound}, not {number}"));
                None
            }
        },
        other => wrong(node, problems, "a whole number", other),
    }
}

/// A share between 0 and 1.
pub(super) fn fraction(node: &Node, problems: &mut Problems) -> Option<f64> {
    let share = match &node.value {
        Value::Float(share) => *share,
        Value::Integer(0) => 0.0,
        Value::Integer(1) => 1.0,
        Value::Integer(_) => f64::NAN,
        other => return wrong(node, problems, "a number between 0 and 1", other),
    };
    if (0.0..=1.0).contains(&share) {
        return Some(share);
    }
    problems.report_with_help(
        &node.place,
        "must lie between 0 and 1",
        "it is a share: 0.1 is a tenth",
    );
    None
}

/// A duration within bounds.
pub(super) fn duration(
    least: Duration,
    most: Duration,
) -> impl Fn(&Node, &mut Problems) -> Option<Duration> {
    move |node, problems| {
        let text = match &node.value {
            Value::Text(text) => text.trim(),
            Value::Integer(number) => {
                bare_number(node, problems, number.unsigned_abs());
                return None;
            }
            other => return wrong(node, problems, "a duration such as \"30s\"", other),
        };
        if let Ok(number) = text.parse::<u64>()
            && number > 0
        {
            bare_number(node, problems, number);
            return None;
        }
        if text.starts_with('-') {
            problems.report(&node.place, "a duration can't be negative");
            return None;
        }
        let length = match humantime::parse_duration(text) {
            Ok(length) => length,
            Err(error) => {
                problems.report_with_help(
                    &node.place,
                    format!("{} is not a duration: {error}", shown(text)),
                    "write a number with its unit: \"30s\", \"5m\", \"2h 30m\", \"7d\"",
                );
                return None;
            }
        };
        let spelt = humantime::format_duration;
        if length < least {
            problems.report(&node.place, format!("must be at least {}", spelt(least)));
            return None;
        }
        if length > most {
            problems.report(&node.place, format!("must be at most {}", spelt(most)));
            return None;
        }
        Some(length)
    }
}

fn bare_number(node: &Node, problems: &mut Problems, number: u64) {
    problems.report_with_help(
        &node.place,
        "a duration needs its unit",
        format!("write \"{number}s\" for seconds, \"{number}m\" for minutes"),
    );
}

/// One word of a closed set.
pub(super) fn word<T: Clone>(
    what: &'static str,
    all: &[T],
    spelt: impl Fn(&T) -> &str,
) -> impl Fn(&Node, &mut Problems) -> Option<T> {
    move |node, problems| {
        let word = text(node, problems)?;
        if let Some(found) = all.iter().find(|candidate| spelt(candidate) == word) {
            return Some(found.clone());
        }
        let words: Vec<&str> = all.iter().map(&spelt).collect();
        let message = format!("{} is not {what}", shown(&word));
        match nearest::hint(&word, &words) {
            Some(hint) => problems.report_with_help(&node.place, message, hint),
            None => problems.report(&node.place, message),
        }
        None
    }
}

/// A list in which nothing stands twice. An empty one is refused, with `empty` as the reason.
pub(super) fn list<T: PartialEq>(
    empty: &'static str,
    item: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> impl Fn(&Node, &mut Problems) -> Option<Vec<T>> {
    move |node, problems| each(items(node, problems, empty)?, problems, &item)
}

/// As [`list`], of which an empty one means none.
pub(super) fn list_or_none<T: PartialEq>(
    item: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> impl Fn(&Node, &mut Problems) -> Option<Vec<T>> {
    move |node, problems| match &node.value {
        Value::List(nodes) => each(nodes, problems, &item),
        other => wrong(node, problems, "a list in square brackets", other),
    }
}

fn each<T: PartialEq>(
    nodes: &[Node],
    problems: &mut Problems,
    item: &impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = nodes.iter().map(|node| item(node, problems)).collect();
    for (index, value) in read.iter().enumerate() {
        if value.is_some() && read[..index].contains(value) {
            problems.report(&nodes[index].place, "stands twice in the list");
            return None;
        }
    }
    read.into_iter().collect()
}

/// The items of a list; an empty one is refused, with `empty` as the reason.
pub(super) fn items<'n>(
    node: &'n Node,
    problems: &mut Problems,
    empty: &str,
) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(nodes) if nodes.is_empty() => {
            problems.report(&node.place, empty);
            None
        }
        Value::List(nodes) => Some(nodes),
        other => wrong(node, problems, "a list in square brackets", other),
    }
}

/// A name: what a metric's label, a command line and a database can carry without quoting.
pub(super) fn name(node: &Node, problems: &mut Problems) -> Option<String> {
    const LONGEST: usize = 63;
    let name = text(node, problems)?;
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if plain && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= LONGEST {
        return Some(name);
    }
    problems.report_with_help(
        &node.place,
        format!("{} is no name", shown(&name)),
        format!(
            "letters, digits, '-', '_' and '.', a letter or digit first, at most {LONGEST} of them"
        ),
    );
    None
}

fn wrong<T>(node: &Node, problems: &mut Problems, needed: &str, found: &Value) -> Option<T> {
    problems.report(
        &node.place,
        format!("{needed} is needed here, this is {}", found.what()),
    );
    None
}
