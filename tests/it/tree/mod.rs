//! What a stranger expects of the tree: the files with the usual names, examples that work, pages and completions for each command, and a test command that
//! says what it lacks instead of changing the machine.

mod examples;
mod pages;
mod runner;
mod shell;

use std::path::{Path, PathBuf};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a file of the repository.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
