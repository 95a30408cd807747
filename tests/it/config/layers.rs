//! File, environment, flags: what wins, and what each of them may not say.

use std::time::Duration;

use tesa_reconciler::config::{
    self, Credentials, JobKind, Overrides, changed_sections, restart_needed,
};
use tesa_reconciler::domain::run::Mode;
use tesa_reconciler::domain::{Party, Status};
use tesa_reconciler::rules::{Action, WriteKind};
use tesa_reconciler::schedule::{CatchUp, Overlap, When};

use super::{LEAST, env, parse, parse_with};

#[test]
fn the_least_file_gives_the_defaults_of_the_design() {
    let config = parse(LEAST).unwrap();
    let upstream = &config.tesamanager;
    assert_eq!(upstream.base_url, "https://upstream.example/v1");
    assert_eq!(upstream.connect_timeout, Duration::from_secs(3));
    assert_eq!(upstream.request_timeout, Duration::from_secs(10));
    assert_eq!(
        (
            upstream.max_in_flight,
            upstream.reads_per_second,
            upstream.writes_per_second
        ),
        (None, 50, 2)
    );
    assert_eq!(config.state.url, "sqlite:tesa-reconciler.db");
    assert_eq!(config.state.retention, Duration::from_secs(90 * 86_400));
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:9464");
    let safety = &config.safety;
    assert_eq!(safety.mode, Mode::Observe);
    assert_eq!(
        (safety.max_writes_per_run, safety.max_writes_per_hour),
        (20, 100)
    );
    assert_eq!(
        (safety.hold_above_count, safety.hold_above_fraction),
        (200, 0.1)
    );
    assert_eq!(safety.max_attempts, 3);
    assert_eq!(safety.verify_after, [60, 300, 900].map(Duration::from_secs));
    assert_eq!(safety.backoff.initial, Duration::from_secs(600));
    assert_eq!(safety.backoff.max, Duration::from_secs(6 * 3600));
}

#[test]
fn without_jobs_there_are_those_of_the_design_and_the_store_is_kept_small() {
    let config = parse(LEAST).unwrap();
    let names: Vec<_> = config
        .jobs
        .iter()
        .map(|job| (job.name.as_str(), job.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("retry-stuck", JobKind::RetryStuck),
            ("resolve-issues", JobKind::ResolveIssues),
            ("flag-events", JobKind::FlagEvents),
            ("housekeeping", JobKind::Housekeeping),
        ]
    );
    let stuck = &config.jobs[0];
    assert!(matches!(&stuck.schedule.when, When::Cron { text, zone, .. }
        if text == "0 */5 * * * *" && zone.name() == "Europe/Madrid"));
    assert_eq!(stuck.schedule.overlap, Overlap::Skip);
    assert_eq!(stuck.schedule.catch_up, CatchUp::Latest);
    assert_eq!(stuck.schedule.catch_up_window, Duration::from_secs(3600));
    assert_eq!(stuck.timeout, Duration::from_secs(600));
    assert_eq!(stuck.reobserve_every, Duration::from_secs(86_400));
    assert_eq!(
        config.jobs[1].schedule.when,
        When::Every(Duration::from_secs(600))
    );
    assert_eq!(
        config.jobs[2].schedule.when,
        When::Every(Duration::from_secs(900))
    );
    assert!(config.jobs[1].rules.is_empty() && config.jobs[2].rules.is_empty());

    let hours = |rule: &tesa_reconciler::rules::Rule| {
        rule.matcher.not_updated_for.unwrap().as_secs_f64() / 3600.0
    };
    let ages: Vec<_> = stuck
        .rules
        .iter()
        .map(|rule| {
            (
                rule.matcher.statuses.clone().map(|all| all[0].clone()),
                hours(rule),
            )
        })
        .collect();
    assert_eq!(
        ages,
        [
            (Some(Status::NotSent), 0.5),
            (Some(Status::Validating), 48.0),
            (Some(Status::Processing), 120.0),
            (Some(Status::Processed), 72.0),
            (Some(Status::IncidenceOperator), 48.0),
            (Some(Status::IncidenceTesa), 168.0),
            (Some(Status::Installing), 288.0),
            (Some(Status::IncidenceInstalling), 120.0),
            (Some(Status::Installed), 24.0),
            (None, 48.0),
        ]
    );
    assert!(
        matches!(&stuck.rules[0].action, Action::Send(write) if write.kind == WriteKind::Resend)
    );
    assert!(
        stuck.rules[1..]
            .iter()
            .all(|rule| rule.action == Action::Flag)
    );
    assert!(stuck.rules[9].matcher.cancelling);
}

#[test]
fn a_stuck_job_without_rules_gets_the_default_ones_and_one_with_rules_only_its_own() {
    let job = format!("{LEAST}[[job]]\nname = \"mine\"\nkind = \"retry_stuck\"\nevery = \"5m\"\n");
    assert_eq!(parse(&job).unwrap().jobs.len(), 1);
    assert_eq!(
        parse(&job).unwrap().jobs[0].rules,
        parse(LEAST).unwrap().jobs[0].rules
    );
    let ruled =
        format!("{job}[[job.rule]]\nname = \"r\"\naction = \"ignore\"\nnot_updated_for = \"1h\"\n");
    let rules = &parse(&ruled).unwrap().jobs[0].rules;
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].action, Action::Ignore);
}

#[test]
fn environment_wins_over_file_and_flags_win_over_both() {
    let file = format!("{LEAST}[safety]\nmode = \"observe\"\n");
    let variables = || env([("TESA_RECONCILER__SAFETY__MODE", "enforce")]);
    let of = |overrides: &Overrides| config::parse(&file, "t", variables(), overrides).unwrap();
    assert_eq!(parse(&file).unwrap().safety.mode, Mode::Observe);
    assert_eq!(of(&Overrides::default()).safety.mode, Mode::Enforce);
    let overrides = Overrides {
        mode: Some("observe".to_owned()),
        state_url: Some("sqlite:other.db".to_owned()),
        http_listen: Some("127.0.0.1:0".to_owned()),
        log_level: Some("debug".to_owned()),
        log_format: Some("json".to_owned()),
    };
    let config = of(&overrides);
    assert_eq!(config.safety.mode, Mode::Observe);
    assert_eq!(config.state.url, "sqlite:other.db");
    assert_eq!(config.http.listen.port(), 0);
    assert_eq!(config.daemon.log_level, "debug");
    assert_eq!(config.daemon.log_format, config::LogFormat::Json);
}

#[test]
fn a_whole_configuration_can_come_from_the_environment() {
    let config = parse_with(
        "",
        [
            (
                "TESA_RECONCILER__TESAMANAGER__BASE_URL",
                "http://127.0.0.1:8080/v1/",
            ),
            ("TESA_RECONCILER__TESAMANAGER__ORGS", "masmovil, yoigo"),
            (
                "TESA_RECONCILER__TESAMANAGER__SERVICE_ACCOUNT_FILE",
                "/run/account.json",
            ),
            ("TESA_RECONCILER__TESAMANAGER__MAX_IN_FLIGHT", "4"),
            (
                "TESA_RECONCILER__TESAMANAGER__ENDPOINTS__CREATE_PORT",
                "PUT /{org}/ports",
            ),
            ("TESA_RECONCILER__SAFETY__VERIFY_AFTER", "[\"2m\", \"4m\"]"),
            ("TESA_RECONCILER__SAFETY__BACKOFF__INITIAL", "20m"),
            ("TESA_RECONCILER__SAFETY__HOLD_ABOVE_FRACTION", "0.25"),
            ("TESA_RECONCILER_CONFIG", "not a setting"),
            ("STATE_DIRECTORY", "/var/lib/tesa-reconciler:/var/lib/other"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.tesamanager.base_url, "http://127.0.0.1:8080/v1");
    assert_eq!(config.tesamanager.orgs, ["masmovil".into(), "yoigo".into()]);
    assert_eq!(
        config.tesamanager.credentials,
        Credentials::ServiceAccountFile("/run/account.json".into())
    );
    assert_eq!(config.tesamanager.max_in_flight, Some(4));
    let port =
        &config.tesamanager.endpoints.writes[&tesa_reconciler::domain::Operation::CreatePort];
    assert_eq!(
        (port.method.as_str(), port.path.as_str()),
        ("PUT", "/{org}/ports")
    );
    assert_eq!(
        config.safety.verify_after,
        [120, 240].map(Duration::from_secs)
    );
    assert_eq!(config.safety.backoff.initial, Duration::from_secs(1200));
    assert_eq!(config.safety.hold_above_fraction, 0.25);
    assert_eq!(
        config.state.url,
        "sqlite:/var/lib/tesa-reconciler/tesa-reconciler.db"
    );
}

#[test]
fn a_variable_that_sets_nothing_is_refused_by_its_name() {
    for (name, value, message, help) in [
        (
            "SAFETY__MODUS",
            "enforce",
            "no key is called `safety.modus`",
            Some("did you mean `TESA_RECONCILER__SAFETY__MODE`?"),
        ),
        (
            "SAFETY__BACKOFF",
            "10m",
            "no key is called `safety.backoff`",
            Some("TESA_RECONCILER__SAFETY__BACKOFF__KEY"),
        ),
        (
            "JOB__0__NAME",
            "x",
            "jobs can't be set through the environment",
            Some("into the file"),
        ),
        (
            "TESAMANAGER__TOKEN",
            "s3cret",
            "no key is called `tesamanager.token`",
            Some("secrets come from files"),
        ),
        (
            "SAFETY__MODE",
            "enforced",
            "safety.mode: \"enforced\" is not a mode",
            Some("did you mean `enforce`?"),
        ),
        (
            "SAFETY__MAX_ATTEMPTS",
            "three",
            "safety.max_attempts: a whole number is needed here",
            None,
        ),
        (
            "TESAMANAGER__CONNECT_TIMEOUT",
            "30",
            "a duration needs its unit",
            Some("30s"),
        ),
        ("TESAMANAGER__ORGS", "[]", "no org, nothing to do", None),
        (
            "TESAMANAGER__ORGS",
            "[\"a\"",
            "a list in square brackets is needed",
            None,
        ),
    ] {
        let name = format!("TESA_RECONCILER__{name}");
        let errors = parse_with(LEAST, [(&name, value)]).unwrap_err();
        let problems: Vec<_> = errors.iter().collect();
        assert_eq!(problems.len(), 1, "{errors}");
        assert_eq!(problems[0].place, name);
        assert!(problems[0].message.contains(message), "{errors}");
        let said = problems[0].help.as_deref();
        assert_eq!(said.is_some(), help.is_some(), "{errors}");
        assert!(
            help.is_none_or(|help| said.unwrap().contains(help)),
            "{errors}"
        );
        assert!(!errors.to_string().contains("s3cret"), "{errors}");
    }
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let empty = [("TESA_RECONCILER__TESAMANAGER__ORGS", "")];
    let expected = parse(LEAST).unwrap();
    assert_eq!(parse_with(LEAST, empty).unwrap(), expected);
}

#[test]
fn a_wrong_flag_is_named() {
    let overrides = Overrides {
        http_listen: Some("everywhere".to_owned()),
        ..Overrides::default()
    };
    let errors = config::parse(LEAST, "t", std::iter::empty(), &overrides).unwrap_err();
    let problem = errors.iter().next().unwrap();
    assert_eq!(problem.place, "--listen-http");
    assert!(
        problem
            .message
            .contains("\"everywhere\" is not an address and a port")
    );
}

#[test]
fn a_reload_knows_what_changed_and_what_needs_a_restart() {
    let old = parse(LEAST).unwrap();
    let enforcing = parse(&format!("{LEAST}[safety]\nmode = \"enforce\"\n")).unwrap();
    assert_eq!(changed_sections(&old, &old), [""; 0]);
    assert_eq!(changed_sections(&old, &enforcing), ["safety"]);
    assert_eq!(restart_needed(&old, &enforcing), [""; 0]);
    let moved = parse(&format!(
        "{LEAST}[state]\nurl = \"sqlite:b.db\"\n[http]\nlisten = \"127.0.0.1:1\"\n[daemon]\nlog_level = \"debug\"\n"
    ))
    .unwrap();
    assert_eq!(changed_sections(&old, &moved), ["state", "http", "daemon"]);
    assert_eq!(restart_needed(&old, &moved), ["state.url", "http.listen"]);
}

#[test]
fn a_file_with_every_section_is_taken_as_written() {
    let config = parse(
        r#"
[tesamanager]
base_url = "https://provision.masstack.com/v1"
orgs = ["masmovil", "yoigo"]
service_account_file = "/etc/tesa-reconciler/service-account.json"
ca_file = "/etc/ca.pem"

[tesamanager.endpoints]
get_request = "GET /other/{org}/{referenceId}"

[state]
url = "postgres://reconciler@db.example/tesa?sslmode=verify-full"
password_file = "/etc/password"

[safety]
mode = "enforce"
backoff = { initial = "10m", max = "6h" }

[[job]]
name = "resolve-issues"
kind = "resolve_issues"
every = "10m"
overlap = "queue_one"
catch_up = "skip"
jitter = "30s"

[[job.rule]]
name = "customer-was-absent"
statuses = ["INCIDENCE_OPERATOR"]
issue_codes = ["CLI-*"]
repeated = false
action = "resolve_incident"
observations = "Cita confirmada de nuevo con el cliente ({issue_code})"
party = "operator"
"#,
    )
    .unwrap();
    assert_eq!(config.tesamanager.ca_file, Some("/etc/ca.pem".into()));
    let reads = &config.tesamanager.endpoints.reads;
    let endpoint = &reads[&tesa_reconciler::domain::ReadOperation::GetRequest];
    assert_eq!(endpoint.path, "/other/{org}/{referenceId}");
    assert_eq!(config.state.password_file, Some("/etc/password".into()));
    let job = &config.jobs[0];
    assert_eq!(job.schedule.overlap, Overlap::QueueOne);
    assert_eq!(job.schedule.catch_up, CatchUp::Skip);
    assert_eq!(job.schedule.jitter, Duration::from_secs(30));
    let rule = &job.rules[0];
    assert_eq!(rule.matcher.statuses, Some(vec![Status::IncidenceOperator]));
    assert_eq!(rule.matcher.repeated, Some(false));
    assert!(rule.matcher.issue_codes.as_ref().unwrap()[0].matches("CLI-7"));
    assert_eq!(rule.party, Some(Party::Operator));
    let Action::Send(write) = &rule.action else {
        panic!("{:?}", rule.action);
    };
    assert_eq!(write.kind, WriteKind::ResolveIncident);
    assert!(
        write.parameters["observations"]
            .to_string()
            .contains("{issue_code}")
    );
}
