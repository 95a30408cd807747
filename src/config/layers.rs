//! Lays the sources over each other: file, then environment, then flags, and defaults below all of them.
//!
//! Unknown names are refused on every layer: a misspelt key that is silently ignored is a setting that silently
//! does not hold.

use super::keys::{self, Kind, Preset, SECTIONS};
use super::nearest::nearest;
use super::problem::{Place, Problems};
use super::tree::{self, Entry, Node, Table, Value};
use super::{attributes, defaults, state};

/// How the variables of the environment that set a key begin.
pub(super) const PREFIX: &str = "TESA_RECONCILER__";

/// What the command line says over everything else, in the words of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--state-url`.
    pub state_url: Option<String>,
    /// `--listen`.
    pub http_listen: Option<String>,
    /// `--mode`.
    pub mode: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
}

impl Overrides {
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, &String)> {
        [
            ("--state-url", "state", "url", &self.state_url),
            ("--listen-http", "http", "listen", &self.http_listen),
            ("--mode", "safety", "mode", &self.mode),
            ("--log-level", "daemon", "log_level", &self.log_level),
            ("--log-format", "daemon", "log_format", &self.log_format),
        ]
        .into_iter()
        .filter_map(|(flag, path, key, value)| Some((flag, path, key, value.as_ref()?)))
    }
}

/// What of the environment concerns us.
#[derive(Debug, Default)]
pub(super) struct Environment {
    settings: Vec<(String, String)>,
    /// `$STATE_DIRECTORY`, made by systemd.
    state_directory: Option<String>,
    /// `$CREDENTIALS_DIRECTORY`, filled by systemd.
    pub(super) credentials_directory: Option<String>,
}

impl Environment {
    /// Picks it out of all variables.
    pub(super) fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            match name.as_str() {
                // A list, if the unit asks for several; the first is ours.
                "STATE_DIRECTORY" => {
                    let first = value.split(':').next().unwrap_or_default();
                    environment.state_directory =
                        Some(first.to_owned()).filter(|path| !path.is_empty());
                }
                "CREDENTIALS_DIRECTORY" => {
                    environment.credentials_directory = Some(value).filter(|path| !path.is_empty());
                }
                // An empty variable is an unset one.
                _ if name.starts_with(PREFIX) && !value.is_empty() => {
                    environment.settings.push((name, value));
                }
                _ => {}
            }
        }
        environment.settings.sort();
        environment
    }
}

/// Refuses (and removes) what the file may not hold.
pub(super) fn check_names(table: &mut Table, path: &str, header: &Place, problems: &mut Problems) {
    let known = keys::names_in(path);
    let names: Vec<String> = table.keys().cloned().collect();
    for name in names {
        let inner = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let Some(entry) = table.get_mut(&name) else {
            continue;
        };
        let keep = if let Some(section) = keys::section(&inner) {
            check_section(entry, section, problems)
        } else if known.contains(&name.as_str()) || path == attributes::SECTION.path {
            true
        } else {
            refuse_key(entry, path, &name, problems);
            if let Some(meant) = nearest(&name, known.iter().copied()) {
                problems.excuse(header, meant);
            }
            false
        };
        if !keep {
            table.remove(&name);
        }
    }
}

fn check_section(
    entry: &mut Entry,
    section: &'static keys::Section,
    problems: &mut Problems,
) -> bool {
    let header = keys::header(section);
    match &mut entry.node.value {
        Value::Table(inner) if !section.repeated => {
            check_names(inner, section.path, &entry.node.place, problems);
            return true;
        }
        Value::List(nodes) if section.repeated => {
            if nodes.is_empty() {
                problems.report_with_help(
                    &entry.key,
                    format!("an empty list of {header} says nothing"),
                    "leave the key out to have the defaults",
                );
                return false;
            }
            let mut sound = true;
            for node in nodes {
                if let Value::Table(inner) = &mut node.value {
                    check_names(inner, section.path, &node.place, problems);
                } else {
                    let what = node.value.what();
                    problems.report(&node.place, format!("{header} is a table, this is {what}"));
                    sound = false;
                }
            }
            return sound;
        }
        other => {
            let what = other.what();
            problems.conceal(&entry.node);
            problems.report_with_help(
                &entry.key,
                format!("{header} is needed here, this is {what}"),
                format!("write {header} on a line, and its keys below it"),
            );
        }
    }
    false
}

fn refuse_key(entry: &Entry, path: &str, name: &str, problems: &mut Problems) {
    problems.conceal(&entry.node);
    let message = match keys::section(path) {
        Some(section) => format!("unknown key `{name}` in {}", keys::header(section)),
        None if matches!(entry.node.value, Value::Table(_) | Value::List(_)) => {
            format!("unknown section `{name}`")
        }
        None => format!("unknown key `{name}` outside of any section"),
    };
    match help_for(path, name) {
        Some(help) => problems.report_with_help(&entry.key, message, help),
        None => problems.report(&entry.key, message),
    }
}

fn help_for(path: &str, name: &str) -> Option<String> {
    if name.to_lowercase().contains("passw") {
        let section = if path == "console" { path } else { "state" };
        return Some(format!("secrets come from files: {section}.password_file"));
    }
    if keys::sounds_secret(name) {
        return Some(
            "secrets come from files: tesamanager.token_file or tesamanager.service_account_file"
                .to_owned(),
        );
    }
    keys::suggest(path, name)
}

/// Lays the environment over the tree.
pub(super) fn lay_environment(
    root: &mut Table,
    environment: &Environment,
    problems: &mut Problems,
) {
    for (name, text) in &environment.settings {
        let place = Place::Environment(name.clone());
        let dotted = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        let (path, key) = dotted.rsplit_once('.').unwrap_or(("", &dotted));
        let first = dotted.split('.').next();
        if first == Some(super::service_level::SECTION.path) {
            problems.report_with_help(
                &place,
                "service levels can't be set through the environment",
                "write them into the file",
            );
            continue;
        }
        if first == Some("job") {
            problems.report_with_help(
                &place,
                "jobs can't be set through the environment",
                "write them into the file",
            );
            continue;
        }
        let Some(row) = keys::key_of_variable(path, key) else {
            refuse_variable(&place, path, key, &dotted, problems);
            continue;
        };
        let value = from_text(text, row.kind, &place);
        set(root, path, row.name, Entry::new(value, place), problems);
    }
}

fn refuse_variable(place: &Place, path: &str, key: &str, dotted: &str, problems: &mut Problems) {
    let help = if keys::section(dotted).is_some() {
        Some(format!(
            "it is a section: set its keys, {PREFIX}{}__KEY",
            variable(dotted)
        ))
    } else if keys::sounds_secret(key) {
        help_for(path, key)
    } else {
        let all: Vec<String> = SECTIONS
            .iter()
            .filter(|section| !section.repeated)
            .flat_map(|section| {
                let keys = section.keys.iter();
                keys.map(|key| format!("{}.{}", section.path, key.name))
            })
            .collect();
        nearest(dotted, all.iter().map(String::as_str))
            .map(|near| format!("did you mean `{PREFIX}{}`?", variable(near)))
    };
    let message = format!("no key is called `{dotted}`");
    match help {
        Some(help) => problems.report_with_help(place, message, help),
        None => problems.report(place, message),
    }
}

fn variable(dotted: &str) -> String {
    dotted.replace('.', "__").to_uppercase()
}

/// A variable's text as the kind of value that its key takes. What does not fit stays a text, so that the key's own
/// check finds the words for it.
fn from_text(text: &str, kind: Kind, place: &Place) -> Value {
    match kind {
        Kind::Text | Kind::Url | Kind::File => Value::Text(text.to_owned()),
        Kind::Number | Kind::Switch => match tree::value(text.trim(), place) {
            Some(value @ (Value::Integer(_) | Value::Float(_) | Value::Bool(_))) => value,
            _ => Value::Text(text.to_owned()),
        },
        Kind::Map => {
            tree::value(text.trim(), place).unwrap_or_else(|| Value::Text(text.to_owned()))
        }
        Kind::List if text.trim_start().starts_with('[') => {
            tree::value(text.trim(), place).unwrap_or_else(|| Value::Text(text.to_owned()))
        }
        Kind::List => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            let node = |item: &str| Node {
                value: Value::Text(item.to_owned()),
                place: place.clone(),
            };
            Value::List(items.map(node).collect())
        }
    }
}

/// Lays the flags over the tree.
pub(super) fn lay_flags(root: &mut Table, overrides: &Overrides, problems: &mut Problems) {
    for (flag, path, key, text) in overrides.given() {
        let entry = Entry::new(Value::Text(text.clone()), Place::Flag(flag));
        set(root, path, key, entry, problems);
    }
}

fn set(root: &mut Table, path: &str, key: &str, entry: Entry, problems: &mut Problems) {
    let place = entry.key.clone();
    match tree::section_mut(root, path, &Place::WholeFile) {
        Some(section) => {
            section.insert(key.to_owned(), entry);
        }
        None => problems.report(&place, format!("`{path}` is no section in the file")),
    }
}

/// Fills in what nobody set.
pub(super) fn lay_defaults(root: &mut Table, environment: &Environment) {
    if let Some(directory) = &environment.state_directory {
        let url = format!(
            "sqlite:{}/{}",
            directory.trim_end_matches('/'),
            state::DATABASE
        );
        let place = Place::Default("default in $STATE_DIRECTORY");
        if let Some(section) = tree::section_mut(root, state::SECTION.path, &Place::WholeFile) {
            section
                .entry("url".to_owned())
                .or_insert_with(|| Entry::new(Value::Text(url), place));
        }
    }
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        if section.optional && tree::section(root, section.path).is_none() {
            continue;
        }
        if let Some(table) = tree::section_mut(root, section.path, &Place::WholeFile) {
            fill(table, section, |_| true);
        }
    }
    for level in tables_mut(root, "service_level") {
        fill(level, &super::service_level::SECTION, |_| true);
    }
    if !root.contains_key("job") {
        root.extend(defaults::jobs());
    }
    for job in tables_mut(root, "job") {
        // A zone says how a cron schedule is meant, and nothing without one.
        let cron = job.contains_key("schedule");
        fill(job, &super::job::SECTION, |key| key != "timezone" || cron);
        let stuck = job.get("kind").is_some_and(
            |kind| matches!(&kind.node.value, Value::Text(kind) if kind == "retry_stuck"),
        );
        if stuck && !job.contains_key("rule") {
            job.extend(defaults::stuck_rules());
        }
        for rule in tables_mut(job, "rule") {
            fill(rule, &super::rule::SECTION, |_| true);
        }
    }
}

fn fill(table: &mut Table, section: &keys::Section, wanted: impl Fn(&str) -> bool) {
    for key in section.keys.iter().filter(|key| wanted(key.name)) {
        let place = Place::Default("default");
        if let Preset::Default(text) = key.preset
            && !table.contains_key(key.name)
            && let Some(value) = tree::value(text, &place)
        {
            table.insert(key.name.to_owned(), Entry::new(value, place));
        }
    }
}

fn tables_mut<'t>(table: &'t mut Table, key: &str) -> impl Iterator<Item = &'t mut Table> {
    let nodes = match table.get_mut(key).map(|entry| &mut entry.node.value) {
        Some(Value::List(nodes)) => nodes.as_mut_slice(),
        _ => &mut [],
    };
    nodes.iter_mut().filter_map(|node| match &mut node.value {
        Value::Table(table) => Some(table),
        _ => None,
    })
}
