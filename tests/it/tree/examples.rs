//! Each file in `examples/` is a whole configuration that passes the check, and is what its name says.

use std::process::Command;

const EXAMPLES: [&str; 3] = [
    "first-look.toml",
    "kubernetes-postgresql.toml",
    "systemd-sqlite.toml",
];

/// Keys whose file an example may name by an absolute path, and the variable that names one in the test's folder.
const FILES: [(&str, &str); 3] = [
    (
        "service_account_file",
        "TESA_RECONCILER__TESAMANAGER__SERVICE_ACCOUNT_FILE",
    ),
    ("password_file", "TESA_RECONCILER__STATE__PASSWORD_FILE"),
    ("token_file", "TESA_RECONCILER__NOTIFY__TOKEN_FILE"),
];

/// What `config check`, then `config show`, print for a text that lies in a folder with the secrets it names.
fn check_and_show(text: &str) -> toml::Table {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tesa-reconciler.toml");
    std::fs::write(&file, text).unwrap();
    let mut variables = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let Some((_, variable)) = FILES.iter().find(|(name, _)| *name == key) else {
            continue;
        };
        let name = value.trim_matches('"');
        let secret = dir.path().join(name.rsplit('/').next().unwrap());
        std::fs::write(&secret, "{}").unwrap();
        if name.starts_with('/') {
            variables.push((*variable, secret));
        }
    }
    let [_, shown] = ["check", "show"].map(|command| {
        let output = Command::new(env!("CARGO_BIN_EXE_tesa-reconciler"))
            .args(["config", command, "--config"])
            .arg(&file)
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
        String::from_utf8(output.stdout).unwrap()
    });
    shown.parse().unwrap()
}

fn example(name: &str) -> toml::Table {
    check_and_show(&super::text(&format!("examples/{name}")))
}

#[test]
fn every_example_passes_the_check_and_begins_by_watching() {
    let mut names: Vec<String> = std::fs::read_dir(super::path("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert_eq!(names, EXAMPLES);
    let index = super::text("examples/README.md");
    for name in EXAMPLES {
        let mode = &example(name)["safety"]["mode"];
        assert_eq!(mode.as_str(), Some("observe"), "{name}");
        assert!(index.contains(&format!("({name})")), "{name}");
    }
}

#[test]
fn the_first_look_takes_every_default_of_what_is_done() {
    let least = "[tesamanager]\nbase_url = \"https://provision.masstack.com/v1\"\norgs = [\"masmovil\"]\n\
                 service_account_file = \"service-account.json\"\n";
    let (first, defaults) = (example("first-look.toml"), check_and_show(least));
    for section in ["safety", "job", "http"] {
        assert_eq!(first[section], defaults[section], "{section}");
    }
    assert!(!first.contains_key("notify"));
}

#[test]
fn production_has_every_kind_of_job_a_store_in_full_and_somebody_to_tell() {
    for (name, store) in [
        ("systemd-sqlite.toml", "sqlite:/var/lib/tesa-reconciler/"),
        ("kubernetes-postgresql.toml", "postgres://"),
    ] {
        let config = example(name);
        let url = config["state"]["url"].as_str().unwrap();
        assert!(url.starts_with(store), "{name}: {url}");
        assert!(
            store.starts_with("sqlite") || url.contains("sslmode=verify-full"),
            "{name}: {url}"
        );
        assert!(config.contains_key("notify"), "{name}");
        let jobs = config["job"].as_array().unwrap();
        for kind in [
            "retry_stuck",
            "resolve_issues",
            "flag_events",
            "housekeeping",
        ] {
            let has = jobs.iter().any(|job| job["kind"].as_str() == Some(kind));
            assert!(has, "{name} has no {kind}");
        }
    }
}
