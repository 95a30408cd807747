//! `tests/run` without `--install` names what is missing and how to get it, and touches nothing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

/// What a bare machine has.
const BASICS: [&str; 5] = ["bash", "env", "dirname", "cat", "sort"];

/// A copy of the script in a tree of its own, on a machine with nothing but the basics and `traps`, programs that
/// leave a mark when they are called.
fn machine(traps: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    let tree = dir.path().join("tree/tests");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::copy(super::path("tests/run"), tree.join("run")).unwrap();
    for name in BASICS {
        let real = ["/usr/bin", "/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(name))
            .find(|file| file.exists());
        symlink(real.unwrap(), bin.join(name)).unwrap();
    }
    for name in traps {
        let file = bin.join(name);
        let mark = dir.path().join("called");
        let text = format!("#!/bin/sh\necho {name} >>{}\n", mark.display());
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    dir
}

fn run(machine: &tempfile::TempDir, args: &[&str]) -> Output {
    Command::new(machine.path().join("tree/tests/run"))
        .args(args)
        .env_clear()
        .env("PATH", machine.path().join("bin"))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_is_missing_is_named_and_nothing_is_touched() {
    let machine = machine(&["apt-get", "sudo", "npm", "python3", "curl", "rustup"]);
    let output = run(&machine, &[]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in [
        "cargo",
        "https://rustup.rs",
        "build-essential",
        "prometheus",
        "apt-get install",
        "kubectl",
        "kubernetes-validate",
        "schemathesis",
        "tests/run --install",
    ] {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
    // Asking python3 whether it can make an environment is all that may be called.
    let called = std::fs::read_to_string(machine.path().join("called")).unwrap_or_default();
    let others: Vec<&str> = called.lines().filter(|name| *name != "python3").collect();
    assert!(others.is_empty(), "called: {others:?}");
    let left: Vec<_> = std::fs::read_dir(machine.path().join("tree"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["tests"], "it made something");
}

#[test]
fn the_quick_run_asks_for_no_server_and_no_judge_of_manifests() {
    let machine = machine(&[]);
    let output = run(&machine, &["--quick"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cargo"), "{said}");
    for word in ["postgresql", "prometheus", "kubectl"] {
        assert!(!said.contains(word), "{word:?} in:\n{said}");
    }
}

#[test]
fn an_unknown_flag_is_a_wrong_command_line() {
    let output = run(&machine(&[]), &["--instal"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("tests/run [--install] [--quick]"));
}

#[test]
fn each_change_is_tested_by_the_documented_command() {
    assert!(super::text("README.md").contains("\ntests/run --install\n"));
    assert!(super::text(".ci/run").contains("\nexec tests/run --install\n"));
}
