//! What is wrong with a configuration: every problem with its place, the line it stands on, and the way out.
//!
//! Problems are collected, never thrown: a person who mends a file wants to see all of them at once. A quoted line
//! could show a secret that somebody wrote where none belongs, so quotes go through masks that are gathered over the
//! whole file before the first line is rendered.

use std::fmt;
use std::ops::Range;

use super::source::Source;
use super::tree::{Node, Value};

/// Where a value comes from; also where a problem points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Built into the program, or derived from what the service manager says (the word names it).
    Default(&'static str),
    /// Bytes of the file.
    File(Range<usize>),
    /// The file as a whole: something is missing from it.
    WholeFile,
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

/// Everything wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct ConfigErrors(Vec<Problem>);

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// `FILE:LINE:COLUMN`, a variable's or a flag's name.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line with a caret, without secrets.
    #[serde(skip)]
    quote: Option<String>,
}

impl ConfigErrors {
    /// A single problem that has no line: the file can't be read.
    pub(super) fn of_file(name: &str, message: String, help: String) -> Self {
        Self(vec![Problem {
            place: name.to_owned(),
            message,
            help: Some(help),
            quote: None,
        }])
    }

    /// Each of them, in the order of the file; those of environment and flags last.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 error in the configuration"),
            count => write!(f, "{count} errors in the configuration"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.place, self.message)?;
        if let Some(quote) = &self.quote {
            f.write_str(quote)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "  = help: {help}")?;
        }
        Ok(())
    }
}

/// Gathers problems while the configuration is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    drafts: Vec<Draft>,
    masks: Vec<Range<usize>>,
    context: Vec<String>,
    excused: Vec<(Place, String)>,
}

#[derive(Debug)]
struct Draft {
    place: Place,
    message: String,
    help: Option<String>,
    syntax: bool,
}

impl Problems {
    /// Notes a problem at `place`.
    pub(super) fn report(&mut self, place: &Place, message: impl fmt::Display) {
        self.push(place, message, None, false);
    }

    /// Notes a problem and the way out of it.
    pub(super) fn report_with_help(
        &mut self,
        place: &Place,
        message: impl fmt::Display,
        help: impl Into<String>,
    ) {
        self.push(place, message, Some(help.into()), false);
    }

    /// Notes that the file isn't TOML at `span`.
    pub(super) fn report_syntax(&mut self, span: Range<usize>, message: &str) {
        self.push(&Place::File(span), message, None, true);
    }

    /// A value may be a secret: no quote shows it. Of tables, what stands in them.
    pub(super) fn conceal(&mut self, node: &Node) {
        match &node.value {
            Value::Table(table) => table.values().for_each(|entry| self.conceal(&entry.node)),
            Value::List(nodes) => nodes.iter().for_each(|node| self.conceal(node)),
            _ => {
                if let Place::File(span) = &node.place {
                    self.masks.push(span.clone());
                }
            }
        }
    }

    /// The key is missing from the section that begins at `header` because it is misspelt: that is told already.
    pub(super) fn excuse(&mut self, header: &Place, key: &str) {
        self.excused.push((header.clone(), key.to_owned()));
    }

    /// That the key is missing needs no telling.
    pub(super) fn is_excused(&self, header: &Place, key: &str) -> bool {
        self.excused
            .iter()
            .any(|(place, name)| place == header && name == key)
    }

    /// Reads something whose problems are all about `subject`.
    pub(super) fn within<T>(
        &mut self,
        subject: impl Into<String>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.context.push(subject.into());
        let outcome = read(self);
        self.context.pop();
        outcome
    }

    /// The errors with their lines, or none.
    pub(super) fn finish(mut self, source: &Source<'_>) -> Option<ConfigErrors> {
        if self.drafts.is_empty() {
            return None;
        }
        self.drafts.sort_by_key(|draft| match &draft.place {
            Place::File(span) => (0, span.start),
            Place::WholeFile | Place::Default(_) => (1, 0),
            Place::Environment(_) => (2, 0),
            Place::Flag(_) => (3, 0),
        });
        let masks = &self.masks;
        let problems = self
            .drafts
            .into_iter()
            .map(|draft| {
                let (place, quote) = match draft.place {
                    Place::File(span) if draft.syntax => {
                        (source.locate(span.start), source.quote_unparsed(span))
                    }
                    Place::File(span) => (source.locate(span.start), source.quote(span, masks)),
                    Place::WholeFile => (source.name.to_owned(), None),
                    Place::Default(origin) => (origin.to_owned(), None),
                    Place::Environment(name) => (name, None),
                    Place::Flag(name) => (name.to_owned(), None),
                };
                Problem {
                    place,
                    message: draft.message,
                    help: draft.help,
                    quote,
                }
            })
            .collect();
        Some(ConfigErrors(problems))
    }

    fn push(
        &mut self,
        place: &Place,
        message: impl fmt::Display,
        help: Option<String>,
        syntax: bool,
    ) {
        let subject = self.context.join(", ");
        self.drafts.push(Draft {
            place: place.clone(),
            message: if subject.is_empty() {
                message.to_string()
            } else {
                format!("{subject}: {message}")
            },
            help,
            syntax,
        });
    }
}

/// A value for a message: in quotes, unless it looks like a secret that strayed in.
pub(super) fn shown(text: &str) -> String {
    if looks_like_a_secret(text) {
        "\"***\"".to_owned()
    } else {
        format!("{text:?}")
    }
}

/// A token or a key where a file's name or another plain word is meant: a JWT begins with `eyJ` (it is base64 of
/// `{"`), a key in PEM form with dashes. Nothing of ours is that long without a break or goes over several lines.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    text.starts_with("eyJ") || text.contains("-----BEGIN") || text.contains('\n')
}
