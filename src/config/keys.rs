//! The table of all keys: one row is a key's name, its default and one line on it.
//!
//! Everything that must agree about keys is driven by it: which ones are known, which default they have, how a
//! variable of the environment is read, what `config example` and `config show` print. Each section's rows stand
//! with the code that reads them.

use super::nearest::nearest;
use super::{
    attributes, console, daemon, endpoints, http, job, notify, parties, rule, safety,
    service_level, state, tesamanager, traces,
};

/// A section of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Its dotted path.
    pub(super) path: &'static str,
    /// It is a list of tables: `[[path]]`.
    pub(super) repeated: bool,
    /// Without it, what it is about does not exist: its defaults hold only where somebody begins it.
    pub(super) optional: bool,
    /// What it is about.
    pub(super) doc: &'static str,
    /// Its keys.
    pub(super) keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// What holds without it.
    pub(super) preset: Preset,
    /// One line on it.
    pub(super) doc: &'static str,
}

/// What a key takes; a variable of the environment is read accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, a word, a duration.
    Text,
    /// A text that may hold more than it should (a URL with a password): not quoted when in doubt.
    Url,
    /// The name of a file that must exist.
    File,
    /// A number.
    Number,
    /// True or false.
    Switch,
    /// A list of texts.
    List,
    /// Texts by names of somebody's own.
    Map,
}

/// What holds where a key isn't given. Values are written as in the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Preset {
    /// It must be given; an example.
    Required(&'static str),
    /// Its default.
    Default(&'static str),
    /// Nothing; an example.
    Nothing(&'static str),
}

impl Key {
    /// A key that must be given.
    pub(super) const fn required(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            preset: Preset::Required(example),
            doc,
        }
    }

    /// A key with a default.
    pub(super) const fn preset(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            preset: Preset::Default(default),
            doc,
        }
    }

    /// A key that may be left out, and then means nothing.
    pub(super) const fn optional(
        name: &'static str,
        kind: Kind,
        example: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            preset: Preset::Nothing(example),
            doc,
        }
    }

    /// Its default, its example otherwise, as written in the file.
    pub(super) const fn sample(&self) -> &'static str {
        match self.preset {
            Preset::Required(text) | Preset::Default(text) | Preset::Nothing(text) => text,
        }
    }
}

/// All sections, in the order in which they are printed.
pub(super) const SECTIONS: &[Section] = &[
    tesamanager::SECTION,
    endpoints::SECTION,
    state::SECTION,
    http::SECTION,
    console::SECTION,
    daemon::SECTION,
    safety::SECTION,
    safety::BACKOFF,
    notify::SECTION,
    traces::SECTION,
    attributes::SECTION,
    parties::SECTION,
    service_level::SECTION,
    job::SECTION,
    rule::SECTION,
];

/// The section with a path.
pub(super) fn section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path)
}

/// A key of a section.
pub(super) fn key(path: &str, name: &str) -> Option<&'static Key> {
    section(path)?.keys.iter().find(|key| key.name == name)
}

/// A key of a section as a variable of the environment names it: whatever its case.
pub(super) fn key_of_variable(path: &str, name: &str) -> Option<&'static Key> {
    let mut keys = section(path)?.keys.iter();
    keys.find(|key| key.name.eq_ignore_ascii_case(name))
}

/// What may stand in a section: its keys and the sections within it; `""` is the top of the file.
pub(super) fn names_in(path: &str) -> Vec<&'static str> {
    let keys = section(path).into_iter().flat_map(|section| section.keys);
    let inner = SECTIONS.iter().filter_map(|section| {
        let inner = match path {
            "" => section.path,
            _ => section.path.strip_prefix(path)?.strip_prefix('.')?,
        };
        (!inner.contains('.')).then_some(inner)
    });
    keys.map(|key| key.name).chain(inner).collect()
}

/// Where an unknown key may have been meant: the nearest name in its own section, or the section that has a key of
/// exactly this name.
pub(super) fn suggest(path: &str, name: &str) -> Option<String> {
    if let Some(near) = nearest(name, names_in(path)) {
        return Some(format!("did you mean `{near}`?"));
    }
    let elsewhere = SECTIONS.iter().find(|section| {
        section.keys.iter().any(|key| key.name == name)
            || section
                .path
                .rsplit_once('.')
                .is_some_and(|(_, last)| last == name)
    })?;
    Some(format!("`{name}` belongs to {}", header(elsewhere)))
}

/// A section's header as written in the file.
pub(super) fn header(section: &Section) -> String {
    if section.repeated {
        format!("[[{}]]", section.path)
    } else {
        format!("[{}]", section.path)
    }
}

/// No value of a key with this name is ever worth hiding.
pub(super) fn is_harmless(name: &str) -> bool {
    let mut named = SECTIONS
        .iter()
        .flat_map(|section| section.keys)
        .filter(|key| key.name == name)
        .peekable();
    named.peek().is_some() && named.all(|key| !matches!(key.kind, Kind::Url | Kind::File))
}

/// The name of a key that somebody puts a secret under.
pub(super) fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "token",
        "secret",
        "passw",
        "pwd",
        "credential",
        "private",
        "bearer",
        "auth",
        "api_key",
        "apikey",
    ]
    .iter()
    .any(|word| name.contains(word))
}
