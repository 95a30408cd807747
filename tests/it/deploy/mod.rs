//! What stands in `deploy/`, `docs/` and `contract/`, held by the tools that will read it: systemd, Prometheus, Kubernetes,
//! schemathesis.
//!
//! A tool that is missing fails its test with a word on how to get it: `tests/run --install` gets them all.

mod contract;
mod daemon;
mod dashboards;
mod docs;
mod drill;
mod kubernetes;
mod live;
mod planted;
mod prometheus;
mod quiet;
mod release;
mod rules;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a file of the repository.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The files of a folder of the repository with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    files_in(&path(folder), ending)
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{shown} has no {ending}");
    files
}

/// Runs a tool to its end; a tool that isn't there fails the test with the way out.
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy();
        panic!("{program}: {error}: run tests/run --install, which gets it")
    })
}

/// The same; it must succeed. Answers what it printed.
fn run_well(command: &mut Command) -> String {
    let output = run(command);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out
}
