//! What is printed: errors as a whole, masks over secrets, `config check|show|example`, and files on disk.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tesa_reconciler::cli::config::{ConfigCommand, ConfigCommandError, run};
use tesa_reconciler::cli::output::Format;
use tesa_reconciler::config::{self, ConfigErrors, Credentials, Overrides};

use super::{LEAST, env, parse};

const SECRET: &str = "hunter2";

fn folder(config: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tesa-reconciler.toml");
    fs::write(&path, config).unwrap();
    (folder, path)
}

fn command(command: ConfigCommand, path: &Path) -> Result<String, ConfigErrors> {
    let mut out = Vec::new();
    match run(
        &command,
        path,
        std::iter::empty(),
        &Overrides::default(),
        Format::Table,
        "2026-11-28T18:30:00Z".parse().unwrap(),
        &mut out,
    ) {
        Ok(_) => Ok(String::from_utf8(out).unwrap()),
        Err(ConfigCommandError::Config(errors)) => Err(errors),
        Err(other) => panic!("{other}"),
    }
}

/// Removes the mark of a default's line.
fn uncommented(example: &str) -> String {
    example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(default) if !default.starts_with(' ') => format!("{default}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_in_their_order() {
    let text = r#"[tesamanager]
base_ulr = "https://provision.masstack.com/v1"
orgs = ["masmovil"]
token_file = "token"
connect_timeout = 3

[safety]
backoff = { initial = 10, password = "hunter2" } # was: token hunter2

[[job]]
name = "retry-stuck"
kind = "retry_stuck"
	schedule = "*/5 * * * *"

[[job.rule]]
name = "resend-unsent"
statuses = ["NOT_SEND"]
action = "resend"
"#;
    let errors = parse(text).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
t.toml:2:1: unknown key `base_ulr` in [tesamanager]
  |
2 | base_ulr = ***
  | ^^^^^^^^
  = help: did you mean `base_url`?

t.toml:5:19: tesamanager.connect_timeout: a duration needs its unit
  |
5 | connect_timeout = 3
  |                   ^
  = help: write "3s" for seconds, "3m" for minutes

t.toml:8:23: safety.backoff.initial: a duration needs its unit
  |
8 | backoff = { initial = 10, password = *** }
  |                       ^^
  = help: write "10s" for seconds, "10m" for minutes

t.toml:8:27: unknown key `password` in [safety.backoff]
  |
8 | backoff = { initial = 10, password = *** }
  |                           ^^^^^^^^
  = help: secrets come from files: state.password_file

t.toml:13:13: job retry-stuck, schedule: "*/5 * * * *" has five fields, six are needed: seconds come first
   |
13 | 	schedule = "*/5 * * * *"
   | 	           ^^^^^^^^^^^^^
  = help: did you mean "0 */5 * * * *"?

t.toml:15:1: job retry-stuck, rule resend-unsent: `not_updated_for` is missing: what is stuck must have an age
   |
15 | [[job.rule]]
   | ^^^^^^^^^^^^
  = help: for example not_updated_for = "48h"

t.toml:17:13: job retry-stuck, rule resend-unsent, statuses: "NOT_SEND" is not a status
   |
17 | statuses = ["NOT_SEND"]
   |             ^^^^^^^^^^
  = help: did you mean `NOT_SENT`?

7 errors in the configuration
"#);
}

#[test]
fn no_quoted_line_shows_a_secret() {
    let token = "eyJhbGciOiJSUzI1NiJ9.hunter2";
    for text in [
        "[tesamanager]\ntoken = \"hunter2\"\n".to_owned(),
        "[tesamanager]\nmy_thing = [\"hunter2\", { a = \"hunter2\" }]\n".to_owned(),
        "[secrets]\na = \"hunter2\"\n".to_owned(),
        "secrets = { a = \"hunter2\" }\n".to_owned(),
        "[safety]\nbackoff = { initial = 1, max = 1, key = \"hunter2\" }\n".to_owned(),
        "[safety]\nbackoff = \"hunter2\"\n".to_owned(),
        "[safety]\nmax_attempts = 0 # hunter2\n".to_owned(),
        "[tesamanager]\ntoken = \"\"\"\nhunter2\nhunter2\"\"\"\n".to_owned(),
        "[tesamanager]\nbase_url = \"https://u:hunter2@x/\"\n".to_owned(),
        "[tesamanager]\nbase_url = \"https://x/?key=hunter2\"\n".to_owned(),
        "[tesamanager]\nbase_url = \"//u:hunter2@x/\"\n".to_owned(),
        "[state]\nurl = \"postgres://u:hunter2@h/d\"\n".to_owned(),
        "[state]\nurl = \"mysql://u:hunter2@h/d\"\n".to_owned(),
        "[state]\nurl = \"postgres://u@h/d?password=hunter2\"\n".to_owned(),
        // No TOML, so nothing is known of the line but its text.
        "[state]\nurl = \"postgres://u:hunter2@h/d\n".to_owned(),
        "token = \"hunter2\n".to_owned(),
        "token = 'hunter2' x\n".to_owned(),
        "[safety]\nmax_attempts = 3x, token = \"hunter2\"\n".to_owned(),
        "[safety]\nmax_attempts = 3x # token hunter2\n".to_owned(),
        "hunter2\n".to_owned(),
        "token = \"\"\"\nhunter2\n".to_owned(),
        // A token where a file's name or a word is meant.
        format!("[safety]\nmode = \"{token}\"\n"),
        format!("[tesamanager]\norgs = [\"{token}\"]\n"),
        format!("[daemon]\nlog_level = \"{token}\"\n"),
        format!("[http]\nlisten = \"{token}\"\n"),
        format!("[tesamanager]\nconnect_timeout = \"{token}\"\n"),
        "[tesamanager]\nca_file = 1\nservice_account_file = \"-----BEGIN KEY----- hunter2\"\ntoken_file = \"a\"\n".to_owned(),
    ] {
        let errors = parse(&text).unwrap_err().to_string();
        assert!(!errors.contains(SECRET), "{text}\n{errors}");
    }
}

#[test]
fn a_secret_sounding_key_is_told_where_secrets_belong() {
    for (key, help) in [
        ("token", "tesamanager.token_file"),
        ("api_key", "tesamanager.token_file"),
        ("password", "state.password_file"),
    ] {
        let errors = parse(&format!("{LEAST}{key} = \"x\"\n")).unwrap_err();
        let problem = errors.iter().next().unwrap();
        let said = problem.help.as_deref().unwrap();
        assert!(
            said.starts_with("secrets come from files") && said.contains(help),
            "{errors}"
        );
    }
}

#[test]
fn the_example_is_the_defaults() {
    let example = config::example();
    let least = r#"[tesamanager]
base_url = "https://provision.masstack.com/v1"
orgs = ["masmovil", "yoigo"]
service_account_file = "service-account.json"
"#;
    let defaults = parse(least).unwrap();
    assert_eq!(parse(&example).unwrap(), defaults, "as printed");
    let all = uncommented(&example);
    assert_eq!(
        parse(&all).unwrap(),
        defaults,
        "with every default uncommented"
    );
    assert!(
        all.lines().count() == example.lines().count() && all.contains("\nmode = \"observe\"\n")
    );
}

#[test]
fn show_reads_back_as_the_same_configuration() {
    let text = format!(
        "{LEAST}max_in_flight = 3\n[safety]\nhold_above_fraction = 1\n\
         [[job]]\nname = \"a\"\nkind = \"resolve_issues\"\nschedule = \"0 0 9 * * MON-FRI\"\n\
         [[job.rule]]\nname = \"r\"\naction = \"create_port\"\nport = 4\nissue_codes = [\"CLI-*\"]\norgs = [\"yoigo\"]\n\
         [[job.rule]]\nname = \"s\"\naction = \"resolve_incident\"\nobservations = '''say \"{{issue_code}}\" \\ twice'''\n\
         [[job]]\nname = \"b\"\nkind = \"retry_stuck\"\nevery = \"1h 30m\"\n"
    );
    let (folder, path) = folder(&text);
    fs::write(folder.path().join("token"), "t").unwrap();
    let shown = command(ConfigCommand::Show, &path).unwrap();
    let original = config::load(&path, std::iter::empty(), &Overrides::default()).unwrap();
    assert_eq!(parse(&shown).unwrap(), original, "{shown}");
}

#[test]
fn show_tells_where_each_value_comes_from() {
    let (folder, path) = folder(&format!("{LEAST}max_in_flight = 3\n"));
    fs::write(folder.path().join("token"), "t").unwrap();
    let overrides = Overrides {
        mode: Some("enforce".to_owned()),
        ..Overrides::default()
    };
    let variables = env([
        ("TESA_RECONCILER__STATE__RETENTION", "30d"),
        ("STATE_DIRECTORY", "/var/lib/x"),
    ]);
    let shown = config::show(&path, variables, &overrides).unwrap();
    let file = path.display();
    for line in [
        format!("max_in_flight = 3 # {file}:5"),
        "reads_per_second = 50 # default".to_owned(),
        "retention = \"30d\" # environment TESA_RECONCILER__STATE__RETENTION".to_owned(),
        "mode = \"enforce\" # flag --mode".to_owned(),
        "url = \"sqlite:/var/lib/x/tesa-reconciler.db\" # default in $STATE_DIRECTORY".to_owned(),
        "name = \"watch-cancelling\" # default".to_owned(),
    ] {
        assert!(shown.lines().any(|row| row == line), "{line}\n{shown}");
    }
}

#[test]
fn check_says_who_is_touched_and_when_or_everything_that_is_wrong() {
    let (folder, path) = folder(LEAST);
    let errors = command(ConfigCommand::Check { explain: false }, &path).unwrap_err();
    assert!(
        errors.to_string().contains("there is no file \"token\""),
        "{errors}"
    );
    fs::write(folder.path().join("token"), "t").unwrap();
    let said = command(ConfigCommand::Check { explain: false }, &path).unwrap();
    for part in [
        "OK: ",
        "https://upstream.example/v1 (masmovil, yoigo)",
        "mode      observe",
        "retry-stuck (retry_stuck) at \"0 */5 * * * *\" Europe/Madrid, 10 rules",
        "            next: Sat 2026-11-28 19:35:00, Sat 2026-11-28 19:40:00, ",
        "flag-events (flag_events) every 15m, no rules: it only flags",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn a_relative_file_is_looked_for_beside_the_configuration_and_in_the_credentials() {
    let (folder, path) = folder(LEAST);
    let credentials = tempfile::tempdir().unwrap();
    let directory = credentials.path().to_str().unwrap();
    let load = || {
        let variables = env([("CREDENTIALS_DIRECTORY", directory)]);
        let config = config::load(&path, variables, &Overrides::default())?;
        Ok::<_, ConfigErrors>(config.tesamanager.credentials)
    };
    let errors = load().unwrap_err();
    let problem = errors.iter().next().unwrap();
    assert_eq!(problem.place, format!("{}:4:14", path.display()));
    assert!(
        problem.help.as_deref().unwrap().contains(directory),
        "{errors}"
    );

    let loaded = credentials.path().join("token");
    fs::write(&loaded, "t").unwrap();
    assert_eq!(load().unwrap(), Credentials::TokenFile(loaded));

    let beside = folder.path().join("token");
    fs::write(&beside, "t").unwrap();
    assert_eq!(load().unwrap(), Credentials::TokenFile(beside));
}

#[test]
fn a_relative_file_is_found_in_the_folder_from_which_the_unit_loads_it() {
    let (folder, path) = folder(LEAST);
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    let errors = command(ConfigCommand::Check { explain: false }, &path).unwrap_err();
    let help = errors.iter().next().unwrap().help.clone().unwrap();
    assert!(help.contains(secrets.to_str().unwrap()), "{help}");
    fs::write(secrets.join("token"), "t").unwrap();
    let config = config::load(&path, std::iter::empty(), &Overrides::default()).unwrap();
    let expected = Credentials::TokenFile(secrets.join("token"));
    assert_eq!(config.tesamanager.credentials, expected);
}

#[test]
fn steering_needs_no_credentials_of_the_upstream() {
    let (_folder, path) = folder(LEAST);
    let steering =
        config::load_for_steering(&path, std::iter::empty(), &Overrides::default()).unwrap();
    assert_eq!(
        steering.tesamanager.credentials,
        Credentials::TokenFile("token".into())
    );
}

#[test]
fn a_token_given_as_a_files_name_is_not_repeated() {
    let (_folder, path) = folder(&LEAST.replace("\"token\"", "\"eyJhunter2\""));
    let errors = command(ConfigCommand::Check { explain: false }, &path)
        .unwrap_err()
        .to_string();
    assert!(!errors.contains(SECRET), "{errors}");
    assert!(
        errors.contains("this looks like the secret itself"),
        "{errors}"
    );
}

#[test]
fn a_folder_in_place_of_a_file_is_told_so() {
    let (folder, path) = folder(LEAST);
    fs::create_dir(folder.path().join("token")).unwrap();
    let errors = command(ConfigCommand::Check { explain: false }, &path)
        .unwrap_err()
        .to_string();
    assert!(errors.contains("\"token\" is a folder"), "{errors}");
}

#[test]
fn a_configuration_that_is_not_there_or_not_text_is_told_so() {
    let (_folder, path) = folder("");
    let missing = path.with_file_name("none.toml");
    let errors = command(ConfigCommand::Check { explain: false }, &missing)
        .unwrap_err()
        .to_string();
    assert!(
        errors.contains("none.toml") && errors.contains("config example >"),
        "{errors}"
    );
    fs::write(&path, b"[safety]\nmode = \"\xff\"\n").unwrap();
    let errors = command(ConfigCommand::Check { explain: false }, &path)
        .unwrap_err()
        .to_string();
    assert!(errors.contains(".toml:2: this is not UTF-8"), "{errors}");
}
