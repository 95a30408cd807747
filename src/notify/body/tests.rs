//! What is said in each form, for each alert.

use super::*;
use crate::domain::FindingKind;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn notice(alert: Alert, state: AlertState) -> Notice {
    Notice {
        alert,
        state,
        since: at(0),
        count: 7,
        changed_at: at(90),
        tries: 1,
    }
}

fn all() -> [Alert; 4] {
    let org = || "yoigo".into();
    [
        Alert::GuardHeld {
            org: org(),
            job_name: "retry-stuck".into(),
        },
        Alert::NeedsHuman { org: org() },
        Alert::GivenUp { org: org() },
        Alert::NewFindingKind {
            org: org(),
            kind: FindingKind::EventSequenceGap,
        },
    ]
}

#[test]
fn the_json_form_has_these_fields() {
    let [held, ..] = all();
    let body = single(
        NotifyFormat::Json,
        &notice(held, AlertState::Open),
        &[],
        at(99),
    );
    insta::assert_json_snapshot!(body, @r#"
    {
      "alert": "guard_held",
      "at": "1970-01-01T00:01:30.000Z",
      "count": 7,
      "hint": "tesa-reconciler plan --job retry-stuck --org yoigo; when it is right: tesa-reconciler release retry-stuck --org yoigo --reason WHY",
      "labels": {
        "job_name": "retry-stuck",
        "org": "yoigo"
      },
      "since": "1970-01-01T00:00:00.000Z",
      "state": "open",
      "summary": "retry-stuck is held for yoigo: too many requests want a write at once; none is sent until a person releases it",
      "version": 1
    }
    "#);
}

#[test]
fn the_alertmanager_form_has_these_fields() {
    let [.., kind] = all();
    let notice = notice(kind, AlertState::Resolved);
    let body = single(NotifyFormat::Alertmanager, &notice, &[], at(99));
    insta::assert_json_snapshot!(body, @r#"
    [
      {
        "annotations": {
          "description": "tesa-reconciler findings --org yoigo --kind event_sequence_gap",
          "summary": "yoigo: no open finding of the kind event_sequence_gap is left"
        },
        "endsAt": "1970-01-01T00:01:30.000Z",
        "labels": {
          "alertname": "TesaReconcilerNewFindingKind",
          "kind": "event_sequence_gap",
          "org": "yoigo",
          "severity": "info"
        },
        "startsAt": "1970-01-01T00:00:00.000Z"
      }
    ]
    "#);
}

#[test]
fn what_stands_is_valid_beyond_its_renewal_and_nothing_ends_before_it_began() {
    for alert in all() {
        let open = notice(alert.clone(), AlertState::Open);
        let body = renewal(std::slice::from_ref(&open), &[], at(60));
        assert_eq!(body[0]["endsAt"], "1970-01-01T00:16:00.000Z");
        let skewed = Notice {
            changed_at: at(-5),
            ..notice(alert, AlertState::Resolved)
        };
        let body = single(NotifyFormat::Alertmanager, &skewed, &[], at(60));
        assert_eq!(body[0]["endsAt"], body[0]["startsAt"]);
    }
}

#[test]
fn what_identifies_an_alert_is_the_same_when_it_ends_and_whatever_it_counts() {
    for alert in all() {
        let open = notice(alert.clone(), AlertState::Open);
        let end = Notice {
            count: 900,
            ..notice(alert, AlertState::Resolved)
        };
        for (format, path) in [
            (NotifyFormat::Json, "/labels"),
            (NotifyFormat::Alertmanager, "/0/labels"),
        ] {
            let labels = |notice| single(format, notice, &[], at(99)).pointer(path).cloned();
            assert!(labels(&open).is_some());
            assert_eq!(labels(&open), labels(&end));
        }
    }
}

#[test]
fn every_alert_says_how_much_it_is_about_and_names_a_command_that_exists() {
    use clap::CommandFactory as _;
    for alert in all() {
        let body = single(
            NotifyFormat::Json,
            &notice(alert, AlertState::Open),
            &[],
            at(99),
        );
        let (summary, hint) = (&body["summary"], body["hint"].as_str().unwrap());
        let held = body["alert"] == "guard_held";
        assert!(
            held || summary.as_str().unwrap().ends_with(": 7"),
            "{summary}"
        );
        for line in hint.split("; ") {
            let command = &line[line.find("tesa-reconciler").unwrap()..];
            let command = command.replace("(--confirmed|--ineffective)", "--confirmed");
            let words = command.replace(" ID ", " 1 ");
            let parsed = crate::cli::Cli::command().try_get_matches_from(words.split(' '));
            assert!(parsed.is_ok(), "{words}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn what_is_held_is_told_with_the_guards_reason() {
    let [held, ..] = all();
    let latch = |org: &str, reason: &str| Latch {
        job_name: "retry-stuck".into(),
        org: org.into(),
        since: at(0),
        reason: reason.to_owned(),
    };
    let latches = [
        latch("masmovil", "another"),
        latch(
            "yoigo",
            "300 of 900 open requests want a write at once: 280 of these 300 have issue_code CLI-012",
        ),
    ];
    let notice = notice(held, AlertState::Open);
    let body = single(NotifyFormat::Json, &notice, &latches, at(99));
    let summary = body["summary"].as_str().unwrap();
    assert!(
        summary.contains("280 of these 300 have issue_code CLI-012; none is sent"),
        "{summary}"
    );
}
