//! The faults that are planted in a copy of the kernel, to see that the simulation finds them.
//!
//! The kernel itself knows nothing of it: each mutation names an expression of the source, and in the copy that becomes a
//! choice between it and its fault. So one build has them all, and the source has none. That each still stands where it is
//! said to is tested with everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The copy's answer to which one is planted.
const PLANTED: &str = r#"//! Which fault is planted in this copy.

use std::sync::LazyLock;

static NAME: LazyLock<String> = LazyLock::new(|| std::env::var("SIM_MUTATION").unwrap_or_default());

/// Is it this one?
pub fn is(name: &str) -> bool {
    *NAME == name
}
"#;

/// The copy's.
const VERSION: &str = "0.0.0-planted";

#[derive(Debug, Deserialize)]
struct File {
    mutation: Vec<Mutation>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    pub name: String,
    file: PathBuf,
    within: Option<String>,
    find: String,
    instead: String,
    pub means: String,
}

/// All of them.
pub fn mutations() -> Vec<Mutation> {
    let text = fs::read_to_string(root().join("tests/sim/mutations.toml")).unwrap();
    let file: File = toml::from_str(&text).unwrap();
    file.mutation
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Mutation {
    /// The text with this one planted.
    fn plant(&self, text: &str) -> Result<String, String> {
        let Self {
            name,
            file,
            find,
            instead,
            ..
        } = self;
        let within = self.within.as_ref().unwrap_or(find);
        let places = text.matches(within.as_str()).count();
        if places != 1 {
            return Err(format!(
                "{name}: {within:?} stands {places} times in {}",
                file.display()
            ));
        }
        let choice = format!("(if crate::planted::is({name:?}) {{ {instead} }} else {{ {find} }})");
        Ok(text.replace(within.as_str(), &within.replace(find.as_str(), &choice)))
    }
}

/// Makes a copy of the package with all of them planted, each behind its name. What is there already stays untouched, so
/// that it need not be built again.
pub fn plant_all(copy: &Path) {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for part in ["src", "migrations", "tests/sim", "tests/support"] {
        read_all(Path::new(part), &mut files);
    }
    for part in ["Cargo.lock", "README.md"] {
        files.insert(part.into(), fs::read_to_string(root().join(part)).unwrap());
    }
    files.insert("Cargo.toml".into(), manifest());
    // Under another version, so that its programs are other files than the package's own.
    let lock = files.get_mut(Path::new("Cargo.lock")).unwrap();
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let own = format!("name = \"{name}\"\nversion = \"{version}\"");
    assert!(lock.contains(&own));
    *lock = lock.replace(&own, &format!("name = \"{name}\"\nversion = \"{VERSION}\""));
    for mutation in mutations() {
        let text = files.get_mut(&mutation.file).unwrap();
        *text = mutation.plant(text).unwrap();
    }
    files.insert("src/planted.rs".into(), PLANTED.to_owned());
    files
        .get_mut(Path::new("src/lib.rs"))
        .unwrap()
        .push_str("\npub mod planted;\n");
    for (path, text) in files {
        let path = copy.join(path);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The copy has this one test.
fn manifest() -> String {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut table: toml::Table = text.parse().unwrap();
    table.remove("bench");
    if let Some(toml::Value::Array(tests)) = table.get_mut("test") {
        tests.retain(|test| test["name"].as_str() == Some("sim"));
    }
    table["package"]["version"] = VERSION.into();
    table.insert("workspace".to_owned(), toml::Table::new().into());
    table.to_string()
}

fn read_all(part: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(root().join(part)).unwrap() {
        let entry = entry.unwrap();
        let path = part.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_all(&path, files);
        } else {
            files.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

#[test]
fn every_mutation_stands_where_it_is_said_to() {
    let all = mutations();
    let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert!(names.len() >= 25, "{} mutations", names.len());
    for mutation in &all {
        let text = fs::read_to_string(root().join(&mutation.file)).unwrap();
        mutation.plant(&text).unwrap();
        assert!(!mutation.means.is_empty(), "{}", mutation.name);
    }
}

/// Into a folder of tests/simulate's, if it calls this.
#[test]
fn a_copy_has_every_fault_planted() {
    let folder = tempfile::tempdir().unwrap();
    let named = std::env::var_os("PLANT_IN").map(PathBuf::from);
    let copy = named.as_deref().unwrap_or(folder.path());
    plant_all(copy);
    for mutation in mutations() {
        let text = fs::read_to_string(copy.join(&mutation.file)).unwrap();
        let choice = format!("crate::planted::is({:?})", mutation.name);
        assert!(
            text.contains(&choice),
            "{choice} in {}",
            mutation.file.display()
        );
    }
}
