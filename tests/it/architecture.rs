//! The arrows between modules, the single owners and the sizes of files, read from the source.
//!
//! The compiler keeps types apart, but nothing else keeps a module from reaching for another one, and each reach
//! looks harmless. So every path in `src/` is read (whole paths too, not only `use` lines) and held against a
//! table. Code under `#[cfg(test)]` and files of tests are free: tests may wire up the real parts.

mod source;

use std::collections::BTreeSet;

use source::{File, files};

/// One rule: why it is so, whom it binds, and what those may not name.
struct Rule {
    why: &'static str,
    binds: fn(&File) -> bool,
    forbids: fn(&str) -> bool,
}

/// The path is `prefix` or something within it.
fn within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A path of this crate outside these modules.
fn ours_outside(path: &str, allowed: &[&str]) -> bool {
    within(path, "crate") && !allowed.iter().any(|module| within(path, module))
}

fn any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| within(path, prefix))
}

/// The one thing that the upstream knows of the reconciler: the type of the leave to write, which must live where
/// only the guard can make one.
const PERMIT: &str = "crate::reconcile::guard::WritePermit";

/// What brings effects: none of it in a pure module.
const EFFECTS: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures",
    "sqlx",
    "reqwest",
    "axum",
    "hyper",
    "metrics",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
];

const RULES: &[Rule] = &[
    Rule {
        why: "domain is pure, and knows nobody",
        binds: |file| file.is_in("domain"),
        forbids: |path| any(path, EFFECTS) || ours_outside(path, &["crate::domain"]),
    },
    Rule {
        why: "rules are pure: what a rule says is a value",
        binds: |file| file.is_in("rules"),
        forbids: |path| {
            any(path, EFFECTS) || ours_outside(path, &["crate::domain", "crate::rules"])
        },
    },
    Rule {
        why: "history is pure: it tells what the store's rows mean",
        binds: |file| file.is_in("history"),
        forbids: |path| {
            let known = [
                "crate::domain",
                "crate::history",
                "crate::rules",
                "crate::store",
                "crate::zone",
            ];
            any(path, EFFECTS) || ours_outside(path, &known)
        },
    },
    Rule {
        why: "the reconciler goes by the configuration, and not the other way round",
        binds: |file| file.is_in("config"),
        forbids: |path| within(path, "crate::reconcile"),
    },
    Rule {
        why: "clock knows nobody",
        binds: |file| file.is_in("clock"),
        forbids: |path| any(path, EFFECTS) || ours_outside(path, &["crate::clock"]),
    },
    Rule {
        why: "a zone is a value, which knows nobody; where its rules are read is one file",
        binds: |file| file.is_in("zone") && file.path != "zone/data.rs",
        forbids: |path| any(path, EFFECTS) || ours_outside(path, &["crate::zone"]),
    },
    Rule {
        why: "the upstream and the store don't know each other",
        binds: |file| file.is_in("tesamanager"),
        forbids: |path| within(path, "crate::store"),
    },
    Rule {
        why: "the upstream and the store don't know each other",
        binds: |file| file.is_in("store"),
        forbids: |path| within(path, "crate::tesamanager"),
    },
    Rule {
        why: "the upstream knows of the reconciler only the write permit",
        binds: |file| file.is_in("tesamanager"),
        forbids: |path| within(path, "crate::reconcile") && path != PERMIT,
    },
    Rule {
        why: "the store serves the reconciler and the schedule, and knows neither",
        binds: |file| file.is_in("store"),
        forbids: |path| any(path, &["crate::reconcile", "crate::schedule"]),
    },
    Rule {
        why: "the reconciler knows only the traits of upstream and store",
        binds: |file| file.is_in("reconcile"),
        forbids: |path| {
            any(path, &["crate::store::sqlite", "crate::store::postgres"])
                || (within(path, "crate::tesamanager") && path.ends_with("HttpTesamanager"))
        },
    },
    Rule {
        why: "the schedule says when, and never knows the upstream",
        binds: |file| file.is_in("schedule"),
        forbids: |path| within(path, "crate::tesamanager"),
    },
    Rule {
        why: "an answer is made from the store, and no page asks the upstream",
        binds: |file| file.is_in("answers") || file.is_in("console"),
        forbids: |path| within(path, "crate::tesamanager"),
    },
    Rule {
        why: "pages are one way to show an answer: nobody but app and the commands that make a password knows them",
        binds: |file| {
            !file.is_in("console")
                && !file.is_in("app")
                && !["cli/console.rs", "cli/demo.rs"].contains(&file.path.as_str())
        },
        forbids: |path| any(path, &["crate::console", "maud", "argon2"]),
    },
    Rule {
        why: "only app wires; nobody but the command line and main asks it to",
        binds: |file| {
            !["app", "cli", "main"]
                .iter()
                .any(|module| file.is_in(module))
        },
        forbids: |path| any(path, &["crate::app", "crate::cli"]),
    },
    Rule {
        why: "SQL lives in store/",
        binds: |file| !file.is_in("store"),
        forbids: |path| within(path, "sqlx"),
    },
    Rule {
        why: "a body of the store is written once, so it names neither database: its words come from the dialect",
        binds: |file| file.path.starts_with("store/sql/"),
        forbids: |path| {
            any(
                path,
                &[
                    "sqlx::sqlite",
                    "sqlx::Sqlite",
                    "sqlx::postgres",
                    "sqlx::Postgres",
                    "crate::store::sqlite",
                    "crate::store::postgres",
                ],
            )
        },
    },
    Rule {
        why: "HTTP to the upstream lives in tesamanager/; to the receiver of notifications, the trace collector and a Pushgateway in a file each",
        binds: |file| {
            !file.is_in("tesamanager")
                && ![
                    "notify/webhook.rs",
                    "telemetry/push.rs",
                    "telemetry/traces/collector.rs",
                ]
                .contains(&file.path.as_str())
        },
        // `reqwest::Url` is the `url` crate's: a value, which speaks to nobody.
        forbids: |path| within(path, "reqwest") && !within(path, "reqwest::Url"),
    },
    Rule {
        why: "nobody waits for a notification: only app knows that there are any",
        binds: |file| !file.is_in("notify") && !file.is_in("app"),
        forbids: |path| within(path, "crate::notify"),
    },
    Rule {
        why: "notifications are made from the book in the store, and from nothing else",
        binds: |file| file.is_in("notify"),
        forbids: |path| any(path, &["crate::reconcile", "crate::schedule"]),
    },
    Rule {
        why: "the alarm clock has one owner",
        binds: |file| file.path != "schedule/ticker.rs",
        forbids: |path| within(path, "tokio_cron_scheduler"),
    },
    Rule {
        why: "spans are spelt in telemetry/traces, as metrics in telemetry/record",
        binds: |file| !file.path.starts_with("telemetry/traces"),
        forbids: |path| {
            any(
                path,
                &[
                    "opentelemetry",
                    "opentelemetry_sdk",
                    "opentelemetry_proto",
                    "tracing_opentelemetry",
                ],
            )
        },
    },
    Rule {
        why: "time and randomness come from clock::Clock",
        binds: |file| file.path != "clock.rs",
        forbids: |path| {
            let calls = ["Utc::now", "Local::now", "SystemTime::now", "Uuid::new_v4"];
            within(path, "rand") || calls.iter().any(|call| path.ends_with(call))
        },
    },
    Rule {
        why: "only main ends the process, so that a drain can't be skipped",
        binds: |file| file.path != "main.rs",
        forbids: |path| path.ends_with("process::exit") || path.ends_with("process::abort"),
    },
];

/// Everything that breaks a rule of paths.
fn wrong_paths(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        for rule in RULES.iter().filter(|rule| (rule.binds)(file)) {
            for path in file.paths().iter().filter(|path| (rule.forbids)(path)) {
                wrong.push(format!("src/{} names {path}: {}", file.path, rule.why));
            }
        }
    }
    wrong
}

/// Every file that breaks a rule of form.
fn wrong_forms(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        if !file.text.starts_with("//! ") {
            wrong.push(format!(
                "src/{} does not open with what it is for (//!)",
                file.path
            ));
        }
        let lines = file.text.lines().count();
        if lines > 500 {
            wrong.push(format!(
                "src/{} has {lines} lines; 500 is the most",
                file.path
            ));
        }
    }
    wrong
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn modules_know_only_whom_they_may_know() {
    assert_none(&wrong_paths(&files()));
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    assert_none(&wrong_forms(&files()));
}

/// The checks find what they are for: each rule is broken once, in the spellings that source code has.
#[test]
fn every_rule_can_be_broken() {
    let mut broken = BTreeSet::new();
    for (path, code, expected) in [
        (
            "domain/status.rs",
            "use tokio::sync::Mutex;",
            "tokio::sync::Mutex",
        ),
        (
            "domain/status.rs",
            "fn f() { crate::store::ping() }",
            "crate::store::ping",
        ),
        (
            "domain/deep/er.rs",
            "use super::super::super::store::Page;",
            "crate::store::Page",
        ),
        (
            "rules/classes.rs",
            "use crate::store::Page;",
            "crate::store::Page",
        ),
        (
            "history/parties.rs",
            "use crate::config::Job;",
            "crate::config::Job",
        ),
        (
            "config/job.rs",
            "use crate::reconcile::events;",
            "crate::reconcile::events",
        ),
        ("clock.rs", "use crate::domain::Org;", "crate::domain::Org"),
        (
            "zone/mod.rs",
            "fn f() { std::fs::read(x) }",
            "std::fs::read",
        ),
        (
            "tesamanager/http.rs",
            "use crate::{clock::Clock, store::{Page, Store}};",
            "crate::store::Store",
        ),
        (
            "store/sqlite/mod.rs",
            "use crate::tesamanager::error as e;",
            "crate::tesamanager::error",
        ),
        (
            "tesamanager/mod.rs",
            "use crate::reconcile::rules::Rule;",
            "crate::reconcile::rules::Rule",
        ),
        (
            "tesamanager/mod.rs",
            "use crate::reconcile::guard::*;",
            "crate::reconcile::guard::*",
        ),
        (
            "store/mod.rs",
            "use super::schedule::Spec;",
            "crate::schedule::Spec",
        ),
        (
            "reconcile/plan.rs",
            "fn f(c: &crate::tesamanager::HttpTesamanager) {}",
            "crate::tesamanager::HttpTesamanager",
        ),
        (
            "reconcile/plan.rs",
            "use crate::store::sqlite::Sqlite;",
            "crate::store::sqlite::Sqlite",
        ),
        (
            "schedule/driver.rs",
            "use crate::tesamanager;",
            "crate::tesamanager",
        ),
        (
            "console/orders.rs",
            "use crate::tesamanager::Tesamanager;",
            "crate::tesamanager::Tesamanager",
        ),
        ("answers/mod.rs", "use maud::html;", "maud::html"),
        ("telemetry/mod.rs", "use crate::app;", "crate::app"),
        (
            "cli/doctor.rs",
            "let pool: sqlx::SqlitePool = x;",
            "sqlx::SqlitePool",
        ),
        ("cli/doctor.rs", "use sqlx as innocent;", "sqlx"),
        (
            "store/sql/runs.rs",
            "use sqlx::postgres::PgArguments;",
            "sqlx::postgres::PgArguments",
        ),
        (
            "store/sql/runs.rs",
            "use super::super::super::sqlite::SqliteStore;",
            "crate::store::sqlite::SqliteStore",
        ),
        (
            "cli/doctor.rs",
            "let _ = ::reqwest::get(url);",
            "reqwest::get",
        ),
        (
            "reconcile/runner.rs",
            "use crate::notify::Sender;",
            "crate::notify::Sender",
        ),
        (
            "notify/sender.rs",
            "use crate::reconcile::runner::RunResult;",
            "crate::reconcile::runner::RunResult",
        ),
        (
            "schedule/driver.rs",
            "use tokio_cron_scheduler::Job;",
            "tokio_cron_scheduler::Job",
        ),
        (
            "reconcile/runner.rs",
            "use opentelemetry::Context;",
            "opentelemetry::Context",
        ),
        (
            "lifecycle/mod.rs",
            "let now = chrono::Utc::now();",
            "chrono::Utc::now",
        ),
        ("lifecycle/mod.rs", "use rand::RngExt;", "rand::RngExt"),
        ("cli/run.rs", "std::process::exit(1)", "std::process::exit"),
    ] {
        let text = format!("//! A sample.\n{code}\n");
        let file = File::new(path, &text);
        for (at, rule) in RULES.iter().enumerate() {
            if (rule.binds)(&file) && (rule.forbids)(expected) {
                broken.insert(at);
            }
        }
        let wrong = wrong_paths(&[file]);
        let named = format!("src/{path} names {expected}:");
        assert!(
            wrong.iter().any(|line| line.starts_with(&named)),
            "{code}: {wrong:?}"
        );
    }
    let unbroken = RULES
        .iter()
        .enumerate()
        .filter(|(at, _)| !broken.contains(at));
    let unbroken: Vec<&str> = unbroken.map(|(_, rule)| rule.why).collect();
    assert_eq!(unbroken, [""; 0], "each rule needs a sample above");
}

#[test]
fn forms_can_be_broken_too() {
    let long = format!("//! Long.\n{}", "\n".repeat(500));
    assert_eq!(
        wrong_forms(&[File::new("a.rs", "use std::fmt;\n")]).len(),
        1
    );
    assert_eq!(wrong_forms(&[File::new("a.rs", &long)]).len(), 1);
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    for (path, code) in [
        (
            "domain/a.rs",
            "// use tokio::sync::Mutex;\n/* sqlx::query /* nested */ reqwest::get */ fn f() {}",
        ),
        (
            "domain/a.rs",
            "const A: &str = \"tokio::spawn\"; const B: &str = r#\"a \" sqlx::x\"#; const C: char = '\"';",
        ),
        (
            "domain/a.rs",
            "fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests { use tokio::time; fn g() { { } } }\n",
        ),
        ("domain/a.rs", "#[cfg(test)]\nuse tokio::time;\nfn f() {}"),
        ("domain/a/tests.rs", "use tokio::time;"),
        (
            "tesamanager/mod.rs",
            "use crate::reconcile::guard::WritePermit;",
        ),
        ("clock.rs", "let now = Utc::now();"),
        ("cli/run.rs", "use crate::app;\nmy_rand::x();"),
        ("config/state.rs", "use reqwest::Url;"),
        ("notify/webhook.rs", "use reqwest::Client;"),
        ("telemetry/traces/collector.rs", "use reqwest::Client;"),
        ("telemetry/traces/spans.rs", "use opentelemetry::Context;"),
    ] {
        let text = format!("//! A sample.\n{code}\n");
        assert_eq!(wrong_paths(&[File::new(path, &text)]), [""; 0], "{code}");
    }
}
