//! What the reading commands print: what happened, for people and, with keys that stay, for programs.

use std::collections::BTreeMap;

use serde_json::Value;
use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};

use super::world::{NEVER, Settings, World};

/// A world in which one order was repaired, one was refused, and one merely waits too long.
async fn with_a_past() -> World {
    let jobs = format!("[[job]]\nname = \"retry-stuck\"\nkind = \"retry_stuck\"\n{NEVER}\n");
    let settings = Settings {
        jobs,
        ..Settings::default()
    };
    let world = World::new(settings).await;
    world.stuck("ORD-GOOD");
    world.stuck("ORD-BAD");
    let slow =
        serde_json::json!({"external_reference": "ORD-SLOW", "status": "VALIDATING", "age": "72h"});
    world.patch(slow);
    let refused = Effect::Error {
        status: 406,
        applied: false,
        shape: ErrorShape::Object,
    };
    world.faults(vec![Fault::new(refused).on(&["writes"]).about("ORD-BAD")]);
    world
}

/// What a command prints on stdout for people.
async fn table(world: &World, args: &[&str]) -> String {
    let ended = world.run(args).await;
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended.stdout
}

fn assert_line(table: &str, words: &[&str]) {
    let fits = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(table.lines().any(fits), "no line with {words:?}:\n{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_explain_tell_what_happened() {
    let world = with_a_past().await;
    let daemon = world.daemon().await;
    let ended = world.run(&["trigger", "retry-stuck", "--wait"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_line(&ended.stdout, &["retry-stuck", "manual", "partial"]);
    world.await_states(2, &["confirmed", "rejected"]).await;

    let jobs = table(&world, &["jobs"]).await;
    assert_line(
        &jobs,
        &["retry-stuck", "masmovil", "retry_stuck", "partial"],
    );
    let runs = table(&world, &["runs", "--outcome", "partial"]).await;
    assert_line(&runs, &["retry-stuck", "masmovil", "enforce"]);
    let attempts = table(&world, &["attempts"]).await;
    assert_line(&attempts, &["ORD-GOOD", "create_activation", "confirmed"]);
    assert_line(&attempts, &["ORD-BAD", "rejected", "406"]);
    let rejected = table(&world, &["attempts", "--state", "rejected"]).await;
    assert!(!rejected.contains("ORD-GOOD"), "{rejected}");
    let findings = table(&world, &["findings"]).await;
    assert_line(
        &findings,
        &["ORD-SLOW", "stuck_request", "VALIDATING", "open"],
    );
    let good = table(&world, &["explain", "ORD-GOOD"]).await;
    assert_line(&good, &["create_activation", "confirmed"]);
    assert_line(&good, &["intended"]);
    assert_line(&good, &["accepted"]);
    let bad = table(&world, &["explain", "ORD-BAD"]).await;
    assert_line(&bad, &["rejected", "406"]);
    let slow = table(&world, &["explain", "ORD-SLOW"]).await;
    assert_line(&slow, &["stuck_request"]);
    assert_line(&slow, &["nothing yet"]);
    let ended = world.run(&["explain", "ORD-NONE"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("ORD-NONE"), "{}", ended.stderr);

    let findings = world.rows(&["findings", "ORD-SLOW"]).await;
    let id = findings[0]["id"].to_string();
    let ack = ["findings", "ack", &id, "--reason", "the carrier knows"];
    assert_eq!(world.run(&ack).await.code, Some(0));
    let findings = table(&world, &["findings", "--state", "acknowledged"]).await;
    assert_line(&findings, &["ORD-SLOW", "acknowledged"]);
    assert_line(&findings, &["ORD-SLOW", "cli:tester", "the carrier knows"]);
    let slow = table(&world, &["explain", "ORD-SLOW"]).await;
    assert_line(&slow, &["hands off", "cli:tester", "the carrier knows"]);
    let status = world.run(&["status"]).await.stdout;
    assert_line(&status, &["hands off", "1 acknowledgements hold"]);
    let audit = table(&world, &["audit"]).await;
    assert_line(&audit, &["cli:tester", "acknowledge", "the carrier knows"]);

    world.run(&ack).await;
    let unack = ["findings", "unack", &id, "--reason", "it moves again"];
    let ended = world.run(&unack).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = world.run(&unack).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("that is acknowledged"), "{ended:?}");
    let findings = table(&world, &["findings"]).await;
    assert_line(&findings, &["ORD-SLOW", "open"]);
    let slow = table(&world, &["explain", "ORD-SLOW"]).await;
    assert_line(
        &slow,
        &["hands off", "taken back by cli:tester: it moves again"],
    );
    let audit = table(&world, &["audit"]).await;
    assert_line(&audit, &["cli:tester", "unacknowledge", "it moves again"]);
    assert_line(&audit, &["cli:tester", "trigger", "retry-stuck/masmovil"]);
    assert_line(&audit, &["daemon", "start"]);
    daemon.stop().await;
}

/// The keys of the first row, as they are documented: programs rely on them.
fn keys(rows: &[Value]) -> String {
    let object = rows.first().and_then(Value::as_object).expect("a row");
    let names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_keys_stay() {
    let world = with_a_past().await;
    let daemon = world.daemon().await;
    world.run(&["trigger", "retry-stuck", "--wait"]).await;
    world.await_states(2, &["confirmed", "rejected"]).await;
    let mut all = Vec::new();
    for args in [
        &["jobs"][..],
        &["runs"],
        &["attempts"],
        &["findings"],
        &["stuck"],
        &["audit"],
        &["plan"],
        &["explain", "ORD-GOOD"],
        &["history", "ORD-GOOD"],
    ] {
        let rows = world.rows(args).await;
        all.push(format!("{}: {}", args[0], keys(&rows)));
    }
    for object in ["causes", "rehearse", "status"] {
        let printed = world.run(&[object, "--output", "json"]).await.stdout;
        let printed = serde_json::from_str(&printed).unwrap();
        all.push(format!("{object}: {}", keys(&[printed])));
    }
    let doctor = world.run(&["doctor", "--output", "json"]).await.stdout;
    let doctor: Vec<Value> = serde_json::from_str(&doctor).unwrap();
    all.push(format!("doctor: {}", keys(&doctor)));
    insta::assert_snapshot!(all.join("\n"));
    daemon.stop().await;
    is_as_documented(&page(&all));
}

/// The page that lists the names, from what the commands printed.
fn page(printed: &[String]) -> String {
    let commands: Vec<(&str, &str)> = printed
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (command, keys) in &commands {
        for key in keys.split(' ') {
            names.entry(key).or_default().push(format!("`{command}`"));
        }
    }
    let rows = commands.iter().map(|(command, keys)| {
        let keys: Vec<String> = keys.split(' ').map(|key| format!("`{key}`")).collect();
        format!("| `{command}` | {} |\n", keys.join(" "))
    });
    let rows: String = rows.collect();
    let names = names.iter().filter(|(_, of)| of.len() > 1);
    let names: String = names
        .map(|(name, of)| format!("| `{name}` | {} |\n", of.join(" ")))
        .collect();
    format!(
        "{PAGE_BEGINS}| command | names |\n|---|---|\n{rows}\n## Shared names\n\nNames that stand in more than one command. In `status` the name of a list holds how many there are of each sort.\n\n\
         | name | in |\n|---|---|\n{names}"
    )
}

const PAGE_BEGINS: &str = "# Output

What `--output json` and `--output csv` name things. Made from what the commands print, and a test holds the two equal; after a
change, `UPDATE_DOCS=1 cargo nextest run json_keys_stay` writes it anew. [Versions](versions.md) says when a name may change.

- A list is an array of rows, all of them unless `--limit` asks for less; `status`, `causes` and `rehearse` are one object,
  `explain` an array with one object a request. CSV is for lists: a column a name, `outer.inner` for what is nested, a list of things as JSON in its cell.
- Instants are in UTC (RFC 3339), lengths of time in seconds (`…_seconds`). What is not known, or not yet read, is `null`; in
  CSV an empty cell.
- `reference_id` is the upstream's number of the request, `external_reference` the order's, `who` and `reason` are a person's (or
  `daemon`), `since` when something began, `until` when it ends by itself.
- A command that changes something prints one object: `action` (as in the audit), what it was done to, `who` and `reason`.

";

fn is_as_documented(page: &str) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/output.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, page).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert!(
        written == page,
        "docs/output.md differs; `UPDATE_DOCS=1 cargo nextest run json_keys_stay` writes it anew"
    );
}
