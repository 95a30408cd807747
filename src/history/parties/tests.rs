//! Whose time it was, by tables and by worlds that nobody thought of.

use proptest::prelude::*;

use super::*;
use crate::domain::Event;
use crate::reconcile::fixtures;
use crate::rules::{Action, Matcher};

fn at(minute: i64) -> DateTime<Utc> {
    fixtures::now() + TimeDelta::minutes(minute)
}

fn org() -> Org {
    Org::new("masmovil")
}

/// Seen at one minute, dated by the upstream at another.
fn request(status: Status, seen: i64, stamp: i64) -> Happening {
    Happening {
        id: seen,
        seen_at: at(seen),
        what: What::Request(Observation {
            status,
            created: Some(at(0)),
            last_updated: Some(at(stamp)),
            observed_at: at(seen),
            ..fixtures::unsent()
        }),
    }
}

fn issue(code: &str, resolved: bool, seen: i64, stamp: i64) -> Happening {
    Happening {
        id: seen,
        seen_at: at(seen),
        what: What::Issue(Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(1),
            issue_code: code.into(),
            resolved,
            repeated: false,
            last_updated: Some(at(stamp)),
        }),
    }
}

fn account(happenings: &[Happening], whose: &Whose) -> Account {
    Account::of(&org(), happenings, whose, at(1_000)).unwrap()
}

fn minutes(account: &Account) -> Vec<(Party, i64, i64)> {
    let stretches = account.stretches.iter();
    stretches
        .map(|one| {
            let length = (one.to - one.from).num_minutes();
            (one.turn.party, length, one.error.num_minutes())
        })
        .collect()
}

#[test]
fn each_change_of_turn_is_dated_by_the_upstream_and_its_error_is_told() {
    let life = [
        request(Status::Processing, 10, 5),
        request(Status::IncidenceOperator, 100, 70),
        request(Status::Processing, 200, 190),
        request(Status::Finished, 300, 280),
    ];
    let account = account(&life, &Whose::default());
    let expected = [
        (Party::Unknown, 10, 0),
        (Party::Tesa, 60, 0),
        (Party::Operator, 120, 30),
        (Party::Tesa, 90, 10),
    ];
    assert_eq!(minutes(&account), expected);
    assert_eq!(account.closed, Some(at(280)));
    assert_eq!(account.closed_error, TimeDelta::minutes(20));
    let figures = account.figures(&WorkingTime::default());
    let tesa = figures[&Party::Tesa];
    assert_eq!(tesa.calendar, TimeDelta::minutes(150));
    assert_eq!(tesa.error, TimeDelta::minutes(30 + 10 + 20));
    assert_eq!(tesa.times, 2);
    let stops: Vec<_> = account
        .stops(&[Party::Tesa])
        .map(|stop| stop.turn.party)
        .collect();
    assert_eq!(stops, [Party::Unknown, Party::Operator]);
}

#[test]
fn an_open_issue_overrides_the_status_and_a_rule_overrides_both() {
    let mut whose = Whose {
        issue_codes: vec![(WildMatch::new("CLI-*"), Party::Customer)],
        ..Whose::default()
    };
    let life = [
        request(Status::IncidenceTesa, 10, 5),
        issue("CLI-7", false, 30, 20),
        issue("CLI-7", true, 60, 50),
    ];
    let expected = [
        (Party::Unknown, 10, 0),
        (Party::Tesa, 10, 0),
        (Party::Customer, 30, 10),
        (Party::Tesa, 950, 10),
    ];
    assert_eq!(minutes(&account(&life, &whose)), expected);
    whose.rules.push(Rule {
        name: "late".into(),
        matcher: Matcher {
            statuses: Some(vec![Status::IncidenceTesa]),
            issue_codes: Some(vec![WildMatch::new("CLI-*")]),
            not_updated_for: Some(std::time::Duration::from_secs(86_400)),
            ..Matcher::default()
        },
        action: Action::Flag,
        party: Some(Party::Operator),
    });
    assert_eq!(minutes(&account(&life, &whose))[2].0, Party::Operator);
}

#[test]
fn what_was_over_at_first_sight_was_over_since_its_own_date() {
    let account = account(&[request(Status::Finished, 500, 300)], &Whose::default());
    assert_eq!(minutes(&account), [(Party::Unknown, 300, 0)]);
    assert_eq!(account.closed, Some(at(300)));
}

#[test]
fn a_request_that_is_gone_is_over_and_one_let_go_is_not() {
    let gone = |what, seen| Happening {
        id: seen,
        seen_at: at(seen),
        what,
    };
    let first = request(Status::Processing, 10, 5);
    let over = account(&[first.clone(), gone(What::Gone, 90)], &Whose::default());
    assert_eq!(over.closed, Some(at(90)));
    let goes_on = account(&[first, gone(What::LetGo, 90)], &Whose::default());
    assert_eq!(goes_on.closed, None);
    assert_eq!(goes_on.until(), at(1_000));
}

#[test]
fn nothing_is_told_of_a_request_that_was_never_read_itself() {
    let event = Event {
        id: None,
        reference_id: "R-1".into(),
        message_type: None,
        request_number: None,
        subrequest_number: None,
        event_date: None,
        sequence_number: None,
        inconsistent: false,
    };
    let only = Happening {
        id: 1,
        seen_at: at(1),
        what: What::Event(event),
    };
    assert_eq!(Account::of(&org(), &[only], &Whose::default(), at(2)), None);
}

fn happening() -> impl Strategy<Value = Happening> {
    let status = prop::sample::select(Status::KNOWN.to_vec());
    let dates = (-200..2_000_i64, prop::option::of(-500..2_500_i64));
    let kind = prop_oneof![
        8 => (status, any::<bool>()).prop_map(|(status, dated)| (Some(status), dated)),
        3 => any::<bool>().prop_map(|resolved| (None, resolved)),
    ];
    (dates, kind, any::<u8>()).prop_map(|((seen, stamp), (status, flag), rare)| {
        let mut told = match status {
            Some(status) => request(status, seen, stamp.unwrap_or_default()),
            None => issue("CLI-1", flag, seen, stamp.unwrap_or_default()),
        };
        match &mut told.what {
            What::Request(request) => {
                request.last_updated = stamp.map(at);
                request.created = request.created.filter(|_| flag);
            }
            What::Issue(issue) => issue.last_updated = stamp.map(at),
            _ => {}
        }
        match rare {
            0..8 => told.what = What::Gone,
            8..16 => told.what = What::LetGo,
            _ => {}
        }
        told
    })
}

proptest! {
    #[test]
    fn the_parties_times_add_up_to_the_gross_time(life in prop::collection::vec(happening(), 1..20)) {
        let whose = Whose {
            issue_codes: vec![(WildMatch::new("CLI-*"), Party::Customer)],
            ..Whose::default()
        };
        if let Some(account) = Account::of(&org(), &life, &whose, at(1_500)) {
            let work = WorkingTime::default();
            let figures = account.figures(&work);
            let calendar: TimeDelta = figures.values().map(|one| one.calendar).sum();
            prop_assert_eq!(calendar, account.gross());
            let working: TimeDelta = figures.values().map(|one| one.working).sum();
            prop_assert_eq!(working, work.between(account.opened, account.until()));
            for pair in account.stretches.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
            }
            for one in &account.stretches {
                prop_assert!(one.to >= one.from && one.error >= TimeDelta::zero());
            }
        }
    }
}
