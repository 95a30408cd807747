//! What a filter is held against, and what a check says of it.

use super::super::Verdict;
use super::*;

fn noon() -> DateTime<Utc> {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn seen() -> Observation {
    Observation {
        reference_id: ReferenceId::new("R-1"),
        external_reference: None,
        persistence_type: Some(PersistenceType::Termination),
        status: Status::NotSent,
        cancelling: true,
        auto_installation: Some(false),
        territory_owner: None,
        request_number: None,
        subrequest_number: None,
        attributes: Default::default(),
        created: None,
        last_updated: Some(noon()),
        observed_at: noon(),
    }
}

#[test]
fn of_each_filter_one_list_must_name_a_request_and_one_must_not() {
    for &filter in Filter::ALL {
        let ways = both_ways(filter, &seen(), Duration::from_secs(60)).unwrap();
        let fit = ways.map(|list| fits(&list, &seen()));
        assert_eq!(fit, [Some(true), Some(false)], "{filter}");
    }
}

#[test]
fn what_a_request_does_not_say_is_held_against_no_filter() {
    let silent = Observation {
        persistence_type: None,
        status: Status::parse("ON_THE_MOON"),
        auto_installation: None,
        last_updated: None,
        ..seen()
    };
    for &filter in Filter::ALL {
        let ways = both_ways(filter, &silent, Duration::ZERO);
        assert_eq!(ways.is_some(), filter == Filter::Cancelling, "{filter}");
    }
}

#[test]
fn at_the_border_nobody_can_tell_on_which_side_a_date_is() {
    for (ms, expected) in [
        (-2_000, Some(false)),
        (-1_999, None),
        (0, None),
        (1_999, None),
        (2_000, Some(true)),
    ] {
        let list = ListFilter {
            not_updated_since: Some(noon() + TimeDelta::milliseconds(ms)),
            ..ListFilter::default()
        };
        assert_eq!(fits(&list, &seen()), expected, "{ms}");
    }
}

#[test]
fn a_filter_that_does_not_hold_comes_with_the_way_out() {
    let org = Org::from("masmovil");
    let distrusted = [Filter::Statuses];
    let found = Found::ContradictedBy(ReferenceId::new("R-1"));
    let check = told(&org, Filter::Cancelling, &found, &distrusted);
    assert_eq!(check.result, Verdict::Fail);
    assert_eq!(check.detail, "masmovil: cancelling is contradicted by R-1");
    let mend = check.mend.unwrap();
    assert!(
        mend.contains(r#"unsupported_filters = ["statuses", "cancelling"]"#),
        "{mend}"
    );
    for (found, result) in [
        (Found::Kept, Verdict::Ok),
        (Found::NothingToCompare, Verdict::Skipped),
        (Found::Ignored, Verdict::Fail),
    ] {
        let check = told(&org, Filter::Cancelling, &found, &[]);
        assert_eq!(check.result, result);
    }
}
