//! Lists as people and spreadsheets use them: what is stuck, a page and its rest, filters that are mistakes, CSV.

use serde_json::json;

use super::world::{NEVER, ORG, Settings, World, run};

/// The default rules over six requests that nothing moves: three to be looked at, one unread yet.
async fn with_stuck() -> World {
    let job = |kind: &str| {
        let name = kind.replace('_', "-");
        format!("[[job]]\nname = \"{name}\"\nkind = \"{kind}\"\n{NEVER}\n")
    };
    let settings = Settings {
        mode: "observe",
        jobs: job("retry_stuck") + &job("resolve_issues"),
        ..Settings::default()
    };
    let world = World::new(settings).await;
    for (order, status, age) in [
        ("ORD-30", "VALIDATING", "30d"),
        ("ORD-90", "VALIDATING", "90d"),
        ("ORD-60", "PROCESSING", "60d"),
        ("XRD-10", "NOT_SENT", "10d"),
    ] {
        world.patch(json!({"external_reference": order, "status": status, "age": age}));
    }
    for job in ["retry-stuck", "resolve-issues"] {
        world.run(&["run", "--once", "--job", job]).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_tells_oldest_first_for_how_long_by_which_rule_and_what_comes_next() {
    let world = with_stuck().await;
    let rows = world.rows(&["stuck"]).await;
    let order = |row: &serde_json::Value| row["external_reference"].as_str().unwrap().to_owned();
    let orders: Vec<String> = rows.iter().map(order).collect();
    assert_eq!(orders, ["ORD-90", "ORD-60", "ORD-30", "XRD-10"]);
    let oldest = &rows[0];
    assert_eq!(oldest["status"], "VALIDATING");
    let age = oldest["age_seconds"].as_i64().unwrap();
    assert!(age >= 90 * 86_400, "{oldest}");
    let threshold = oldest["threshold_seconds"].as_i64().unwrap();
    assert!(threshold < age && threshold > 0, "{oldest}");
    assert_eq!(oldest["party"], "tesa", "{oldest}");
    let next = oldest["next"].as_str().unwrap();
    assert!(
        next.contains("retry-stuck looks at it again at 2"),
        "{next}"
    );
    assert!(next.contains("says flag"), "{next}");
    let unsent = rows[3]["next"].as_str().unwrap();
    assert!(unsent.contains("says resend"), "{unsent}");

    let found = world.rows(&["stuck", "--search", "ord-"]).await;
    assert_eq!(found.len(), 3, "{found:?}");
    let found = world.rows(&["stuck", "--status", "VALIDATING"]).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let groups = world.rows(&["stuck", "--group-by", "status"]).await;
    assert_eq!(groups[0]["group"], "VALIDATING");
    assert_eq!(groups[0]["count"], 2);
    assert_eq!(groups.len(), 3, "{groups:?}");
    let groups = world.rows(&["findings", "--group-by", "kind"]).await;
    assert_eq!(groups[0]["group"], "stuck_request");

    let ended = world.run(&["stuck", "--limit", "3"]).await;
    assert!(ended.stderr.contains("no daemon is alive"), "{ended:?}");
    assert!(
        ended.stdout.contains("ORD-90") && !ended.stdout.contains("XRD-10"),
        "{ended:?}"
    );
    let rest = "3 of 4 shown: --limit 4 shows all";
    assert!(ended.stderr.contains(rest), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_tells_the_rest_and_a_wrong_name_is_a_mistake_with_the_nearest_right_one() {
    let world = with_stuck().await;
    let ended = world.run(&["findings", "--limit", "2"]).await;
    let (shown, rest) = ended.stderr.split_once(", --before ").unwrap();
    assert_eq!(shown, "2 of 4 shown: --limit 4 shows all");
    let before = rest.split(' ').next().unwrap();
    let next = world
        .rows(&["findings", "--limit", "9", "--before", before])
        .await;
    assert_eq!(next.len(), 2, "{next:?}");
    assert_eq!(world.rows(&["findings", "--since", "1h"]).await.len(), 4);
    assert_eq!(
        world
            .rows(&["findings", "--until", "yesterday"])
            .await
            .len(),
        0
    );
    for (args, says) in [
        (
            &["runs", "--job", "retry-stuk"][..],
            "did you mean `retry-stuck`?",
        ),
        (
            &["findings", "--org", "masmobil"],
            "did you mean `masmovil`?",
        ),
        (&["attempts", "--org", "vodafone"], "one of: masmovil"),
        (&["stuck", "--rule", "resend-unsend"], "did you mean"),
        (&["findings", "--kind", "stuck_reqest"], "'stuck_request'"),
        (&["audit", "--action", "pauze"], "'pause'"),
        (&["trigger", "retrystuck"], "did you mean `retry-stuck`?"),
        (&["plan", "--org", "masmobil"], "did you mean `masmovil`?"),
        (&["status", "--output", "csv"], "csv is for lists"),
    ] {
        let ended = world.run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{args:?}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_csv_if_asked_with_the_names_of_json_and_no_formula() {
    let world = with_stuck().await;
    let acked = world.rows(&["findings"]).await;
    let id = acked[0]["id"].to_string();
    let reason = "=HYPERLINK(\"http://evil\")";
    world
        .run(&["findings", "ack", &id, "--reason", reason])
        .await;
    for list in [
        "stuck", "findings", "runs", "attempts", "audit", "jobs", "plan", "rates",
    ] {
        let rows = world.rows(&[list]).await;
        let ended = world.run(&[list, "--output", "csv"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut reader = csv::Reader::from_reader(ended.stdout.as_bytes());
        let header = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), rows.len(), "{list}");
        for key in rows
            .first()
            .and_then(|row| row.as_object())
            .into_iter()
            .flat_map(|row| row.keys())
        {
            let is_there = header
                .iter()
                .any(|name| name == key || name.starts_with(&format!("{key}.")));
            assert!(is_there, "{list} has no column {key}: {header:?}");
        }
        for cell in records.iter().flatten() {
            assert!(!cell.starts_with(['=', '@', '+']), "{list}: {cell}");
        }
    }
    let audit = world.run(&["audit", "--output", "csv"]).await.stdout;
    assert!(audit.contains("'=HYPERLINK"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_is_split_on_a_narrow_screen() {
    let world = with_stuck().await;
    let ids: Vec<String> = world
        .rows(&["findings"])
        .await
        .iter()
        .map(|row| row["reference_id"].as_str().unwrap().to_owned())
        .collect();
    for columns in ["20", "80", "132"] {
        for list in ["findings", "stuck", "runs", "jobs", "status", "plan"] {
            let mut command = world.program(&[list]);
            command.env("COLUMNS", columns);
            let ended = run(command).await;
            assert!(matches!(ended.code, Some(0 | 3)), "{list}: {ended:?}");
            let width: usize = columns.parse().unwrap();
            let is_long = |line: &&str| line.chars().count() > width && line.trim().contains(' ');
            let long: Vec<&str> = ended.stdout.lines().filter(is_long).collect();
            assert!(
                width < 80 || long.is_empty(),
                "{list} at {columns}: {long:#?}"
            );
            if ["findings", "stuck"].contains(&list) {
                for id in &ids {
                    assert!(
                        ended.stdout.contains(id),
                        "{list} at {columns}: {}",
                        ended.stdout
                    );
                }
            }
            assert!(
                list == "stuck" || ended.stdout.contains(ORG),
                "{list}: {ended:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_acknowledged_by_filter_once_their_number_is_confirmed() {
    let world = with_stuck().await;
    let ack = [
        "findings",
        "ack",
        "--detail",
        "VALIDATING",
        "--reason",
        "the carrier knows",
    ];
    let said = world.run(&ack).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("acknowledge 2 findings ("), "{said:?}");
    assert!(said.stderr.contains("--confirm=2"), "{said:?}");
    let wrong = world.run(&[&ack[..], &["--confirm=3"]].concat()).await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.stderr.contains("it is 2 findings, not 3"),
        "{wrong:?}"
    );
    assert_eq!(
        world
            .rows(&["findings", "--state", "acknowledged"])
            .await
            .len(),
        0
    );
    for mistake in [
        &["--reason", "x"][..],
        &["7", "--kind", "stuck_request", "--reason", "x"],
    ] {
        let ended = world
            .run(&[&["findings", "ack"][..], mistake].concat())
            .await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }

    let json = ["--confirm=2", "--output", "json"];
    let done = world.run(&[&ack[..], &json].concat()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let done: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(done["findings"].as_array().unwrap().len(), 2);
    assert_eq!(done["who"], "cli:tester");
    assert_eq!(
        world
            .rows(&["findings", "--state", "acknowledged"])
            .await
            .len(),
        2
    );
    assert_eq!(world.rows(&["stuck"]).await.len(), 2);
    assert_eq!(world.rows(&["stuck", "--acknowledged"]).await.len(), 4);
    let audit = world.rows(&["audit", "--action", "acknowledge"]).await;
    assert_eq!(audit.len(), 1, "{audit:?}");
    let subject = audit[0]["subject"].as_str().unwrap();
    for id in done["findings"].as_array().unwrap() {
        assert!(subject.contains(&id.to_string()), "{subject} names {id}");
    }

    let unack = [
        "findings",
        "unack",
        "--kind",
        "stuck_request",
        "--confirm=2",
        "--reason",
        "over",
    ];
    let done = world.run(&unack).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(world.rows(&["stuck"]).await.len(), 4);
    let none = world.run(&unack).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("no finding is like that"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_changes_something_gets_json_if_asked() {
    let world = with_stuck().await;
    let daemon = world.daemon().await;
    let reason = ["--reason", "a drill", "--output", "json"];
    for (args, action, key) in [
        (
            &["pause", "retry-stuck", "--until", "2h"][..],
            "pause",
            "until",
        ),
        (&["resume", "retry-stuck"], "resume", "left"),
        (&["trigger", "retry-stuck"], "trigger", "triggers"),
    ] {
        let ended = world.run(&[args, &reason].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(told["action"], action);
        assert_eq!(told["reason"], "a drill");
        assert_eq!(told["job_name"], "retry-stuck");
        assert!(!told[key].is_null(), "{told}");
    }
    let ended = world.run(&["migrate", "--output", "json"]).await;
    assert!(ended.stdout.contains("\"applied\": []"), "{ended:?}");
    daemon.stop().await;
}
