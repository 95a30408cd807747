//! Manual pages and completions are whole, and what they show is what the program takes.

use std::path::Path;
use std::process::{Command, Output};

use clap::{CommandFactory, Parser};
use tesa_reconciler::cli::{Cli, manual};

fn tesa(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
        .args(args)
        .current_dir(folder)
        .env_remove("TESA_RECONCILER_CONFIG")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every command by its names, the program itself first.
fn commands(command: &clap::Command, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    all.push(path.clone());
    for inner in command.get_subcommands() {
        path.push(inner.get_name().to_owned());
        commands(inner, path, all);
        path.pop();
    }
}

fn all_commands() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    commands(&Cli::command(), &mut Vec::new(), &mut all);
    all
}

#[test]
fn every_command_has_a_page_with_all_its_sections() {
    let dir = tempfile::tempdir().unwrap();
    said(&tesa(&["man", "--dir", "."], dir.path()));
    let mut expected = 0;
    for path in all_commands() {
        let name = std::iter::once("tesa-reconciler".to_owned()).chain(path.iter().cloned());
        let name = name.collect::<Vec<_>>().join("-");
        let file = dir.path().join(format!("{name}.1"));
        let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        for section in [
            "NAME",
            "SYNOPSIS",
            "EXIT STATUS",
            "SIGNALS",
            "FILES",
            "EXAMPLES",
        ] {
            let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
            let has = heading.iter().any(|heading| page.contains(heading));
            assert!(has, "{name} has no {section}");
        }
        let examples = page.split(".SH EXAMPLES\n").nth(1).unwrap();
        assert!(
            examples.contains("tesa\\-reconciler"),
            "{name} has no example"
        );
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let printed = said(&tesa(&[&["man"], &words[..]].concat(), dir.path()));
        assert_eq!(printed.trim_end(), page.trim_end(), "{name}");
        expected += 1;
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), expected);
}

#[test]
fn pages_are_good_roff() {
    let dir = tempfile::tempdir().unwrap();
    said(&tesa(&["man", "--dir", "."], dir.path()));
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let checked = Command::new("mandoc")
            .args(["-T", "lint", "-W", "error"])
            .arg(entry.unwrap().path())
            .output()
            .unwrap_or_else(|error| {
                panic!("mandoc: {error}: run tests/run --install, which gets it")
            });
        let out = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{out}");
    }
}

/// The words of a line, as a shell would split it; only single quotes are known.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn examples_in_pages_are_what_the_command_line_takes() {
    let known: Vec<Vec<String>> = all_commands();
    for (path, lines) in manual::EXAMPLES {
        assert!(known.iter().any(|command| command == path), "{path:?}");
        for (line, _) in *lines {
            let words = words(line);
            assert!(
                words[1..].starts_with(&path.iter().map(ToString::to_string).collect::<Vec<_>>())
            );
            if let Err(error) = Cli::try_parse_from(&words) {
                let asked_for_help = error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(asked_for_help, "{line}: {error}");
            }
        }
    }
}

#[test]
fn a_page_of_no_command_is_a_wrong_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let output = tesa(&["man", "findings", "akc"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("findings akc"), "{err}");
}

#[test]
fn completions_offer_the_jobs_orgs_and_kinds_that_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[tesamanager]\nbase_url = \"https://upstream.example/v1\"\norgs = [\"yoigo\"]\ntoken_file = \"token\"\n\
                  [[job]]\nname = \"at-night\"\nkind = \"flag_events\"\nevery = \"1h\"\n";
    std::fs::write(dir.path().join("tesa-reconciler.toml"), config).unwrap();
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let script = said(&tesa(&["completions", shell], dir.path()));
        for word in ["at-night", "yoigo", "stuck_request", "needs_human"] {
            // Not every shell's script offers values of positional arguments.
            let offered = script.contains(word);
            assert!(offered || shell == "elvish", "{shell}: {word}");
        }
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let script = said(&tesa(&["completions", "bash"], elsewhere.path()));
    assert!(script.contains("stuck_request") && !script.contains("yoigo"));
}

#[test]
fn a_command_that_waits_ends_when_it_is_interrupted() {
    use std::io::{BufRead, BufReader, Write};
    // It takes the call for a token's sake and never answers.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[tesamanager]\nbase_url = \"http://{}/v1\"\norgs = [\"yoigo\"]\ntoken_file = \"token\"\nrequest_timeout = \"2m\"\n",
        deaf.local_addr().unwrap()
    );
    std::fs::write(dir.path().join("tesa-reconciler.toml"), config).unwrap();
    std::fs::write(dir.path().join("token"), "t").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
        .arg("plan")
        .current_dir(dir.path())
        .env_remove("TESA_RECONCILER_CONFIG")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = deaf.accept().unwrap();
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line).unwrap();
    let id = child.id().to_string();
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -INT {id}")])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let _ = connection.flush();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("interrupted"), "{err}");
}

#[test]
fn the_version_tells_the_revision() {
    let dir = tempfile::tempdir().unwrap();
    let version = said(&tesa(&["--version"], dir.path()));
    let revision = option_env!("TESA_RECONCILER_REVISION").unwrap_or("not a release");
    let expected = format!("tesa-reconciler {} ({revision})", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.trim(), expected);
    assert!(said(&tesa(&["run", "--version"], dir.path())).contains(revision));
}
