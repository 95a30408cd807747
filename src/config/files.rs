//! The files that the configuration names: where a relative name is looked for, and that they are there.
//!
//! A relative name means a file beside the configuration file. If there is none, it is looked for in
//! `$CREDENTIALS_DIRECTORY`, where systemd puts what a unit loads with `LoadCredential=`, and then in the folder
//! `secrets` beside the configuration, from where the unit loads it; so the same file serves in a container, under
//! systemd, and for a command that root types. A file that is missing is found here, at load, rather than at the first call.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::keys::{Kind, SECTIONS};
use super::problem::{Place, Problems, looks_like_a_secret, shown};
use super::tree::{self, Table, Value};

/// The folder beside the configuration from which the unit loads its credentials.
const SECRETS: &str = "secrets";

/// Where the state is of a daemon whose configuration is in `/etc`.
const MACHINES_STATE: &str = "/var/lib/tesa-reconciler";

/// Where relative names are looked for.
pub(super) struct Folders<'a> {
    /// The configuration file's folder.
    pub(super) beside: &'a Path,
    /// `$CREDENTIALS_DIRECTORY`.
    pub(super) credentials: Option<&'a Path>,
}

/// Which files must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// All.
    All,
    /// Those of the store: what a command that only steers a daemon opens. It must work for a person who may not
    /// read the daemon's credentials, in an emergency most of all.
    Store,
}

/// Turns the names of files into paths, and reports those that can't be opened.
pub(super) fn resolve(
    root: &mut Table,
    folders: &Folders<'_>,
    need: Need,
    problems: &mut Problems,
) {
    place_store(root, folders.beside);
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        for key in section.keys.iter().filter(|key| key.kind == Kind::File) {
            let Some((_, table)) = tree::section(root, section.path) else {
                continue;
            };
            let Some(Value::Text(name)) = table.get(key.name).map(|entry| &entry.node.value) else {
                continue;
            };
            if name.trim().is_empty() {
                continue;
            }
            let found = find(Path::new(name), folders);
            let needed = need == Need::All || section.path == "state";
            let place = table.get(key.name).map(|entry| entry.node.place.clone());
            match (found, place) {
                (Ok(path), Some(place)) => {
                    if let Some(table) = tree::section_mut(root, section.path, &place)
                        && let Some(entry) = table.get_mut(key.name)
                    {
                        entry.node.value = Value::Text(path.to_string_lossy().into_owned());
                    }
                }
                (Err(error), Some(place)) if needed => {
                    let message = format!("{}.{}: {}", section.path, key.name, tell(name, &error));
                    problems.report_with_help(&place, message, way_out(name, folders));
                }
                _ => {}
            }
        }
    }
}

/// Says where SQLite's file is, whatever folder a command is started in.
fn place_store(root: &mut Table, beside: &Path) {
    let Some(entry) = tree::section(root, "state").and_then(|(_, table)| table.get("url")) else {
        return;
    };
    let (place, Value::Text(url)) = (entry.node.place.clone(), &entry.node.value) else {
        return;
    };
    let placed = store_file(url, &place, beside).and_then(|path| std::path::absolute(path).ok());
    if let Some(path) = placed
        && let Some(table) = tree::section_mut(root, "state", &place)
        && let Some(entry) = table.get_mut("url")
    {
        entry.node.value = Value::Text(format!("sqlite:{}", path.display()));
    }
}

/// A relative file of SQLite's by what its name is relative to: the configuration that names it, or the folder that a
/// person is in who names it. One that nobody names is beside the configuration too, unless that is the machine's.
fn store_file(url: &str, place: &Place, beside: &Path) -> Option<PathBuf> {
    let name = url.strip_prefix("sqlite:")?;
    let name = Path::new(name.strip_prefix("//").unwrap_or(name));
    if name.is_absolute() || name.as_os_str().is_empty() || url.contains(":memory:") {
        return None;
    }
    Some(match place {
        Place::Environment(_) | Place::Flag(_) => name.to_owned(),
        Place::Default(_) if beside.starts_with("/etc") => Path::new(MACHINES_STATE).join(name),
        _ => beside.join(name),
    })
}

fn find(name: &Path, folders: &Folders<'_>) -> io::Result<PathBuf> {
    let beside = folders.beside.join(name);
    let outcome = open(&beside);
    let missing = |outcome: &io::Result<()>| matches!(outcome, Err(error) if error.kind() == io::ErrorKind::NotFound);
    if !missing(&outcome) || !name.is_relative() {
        return outcome.map(|()| beside);
    }
    let loaded = folders.credentials.map(Path::to_owned);
    for folder in loaded.into_iter().chain([folders.beside.join(SECRETS)]) {
        let place = folder.join(name);
        let outcome = open(&place);
        if !missing(&outcome) {
            return outcome.map(|()| place);
        }
    }
    outcome.map(|()| beside)
}

/// Can it be read? A pipe is taken at its word: opening one would take from it, or wait.
fn open(path: &Path) -> io::Result<()> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if kind.is_file() {
        File::open(path)?;
    }
    Ok(())
}

fn tell(name: &str, error: &io::Error) -> String {
    let name = shown(name);
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file {name}"),
        io::ErrorKind::PermissionDenied => format!("the file {name} may not be read"),
        io::ErrorKind::IsADirectory => format!("{name} is a folder"),
        _ => format!("the file {name} can't be opened: {error}"),
    }
}

fn way_out(name: &str, folders: &Folders<'_>) -> String {
    if looks_like_a_secret(name) {
        return "this looks like the secret itself: put it into a file, and name that file here"
            .to_owned();
    }
    if Path::new(name).is_absolute() {
        return "mend the name, or make the file readable for the user that runs this".to_owned();
    }
    let beside = match folders.beside.as_os_str() {
        empty if empty.is_empty() => Path::new("."),
        _ => folders.beside,
    };
    let credentials = folders.credentials.map_or_else(
        || "$CREDENTIALS_DIRECTORY (not set)".to_owned(),
        |path| path.display().to_string(),
    );
    let secrets = beside.join(SECRETS);
    format!(
        "looked for in {}, in {credentials} and in {}",
        beside.display(),
        secrets.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_store_is_where_its_name_was_written() {
        let (default, file) = (Place::Default("default"), Place::File(0..1));
        let shell = Place::Flag("--state-url");
        for (url, place, beside, expected) in [
            ("sqlite:x.db", &file, "/srv/t", Some("/srv/t/x.db")),
            ("sqlite://x.db", &file, "/srv/t", Some("/srv/t/x.db")),
            ("sqlite:x.db", &default, "/srv/t", Some("/srv/t/x.db")),
            (
                "sqlite:x.db",
                &default,
                "/etc/tesa-reconciler",
                Some("/var/lib/tesa-reconciler/x.db"),
            ),
            (
                "sqlite:x.db",
                &file,
                "/etc/tesa-reconciler",
                Some("/etc/tesa-reconciler/x.db"),
            ),
            ("sqlite:x.db", &shell, "/srv/t", Some("x.db")),
            ("sqlite:///x.db", &file, "/srv/t", None),
            ("sqlite::memory:", &file, "/srv/t", None),
            ("postgres://u@h/d", &file, "/srv/t", None),
        ] {
            let found = store_file(url, place, Path::new(beside));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{url} {place:?}");
        }
    }
}
