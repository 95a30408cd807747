//! What rules come to, told of small configurations.

use super::*;
use crate::config::{Overrides, parse};

const UPSTREAM: &str =
    "[tesamanager]\nbase_url = \"https://x\"\norgs = [\"one\", \"two\"]\ntoken_file = \"t\"\n";

fn jobs(text: &str) -> Vec<ExplainedJob> {
    let text = format!("{UPSTREAM}{text}");
    explain(&parse(&text, "f", std::iter::empty(), &Overrides::default()).unwrap())
}

fn stuck(unsupported: &str, rules: &str) -> ExplainedJob {
    let text = format!(
        "unsupported_filters = [{unsupported}]\n[[job]]\nname = \"j\"\nkind = \"retry_stuck\"\nevery = \"5m\"\n{rules}"
    );
    jobs(&text).remove(0)
}

fn rule(name: &str, keys: &str) -> String {
    format!("[[job.rule]]\nname = \"{name}\"\nnot_updated_for = \"30m\"\n{keys}\n")
}

fn queries(job: &ExplainedJob) -> Vec<&str> {
    job.lists.iter().map(|list| list.query.as_str()).collect()
}

#[test]
fn a_rule_is_its_list_calls_and_what_is_subtracted() {
    let rules = rule(
        "resend",
        "statuses = [\"NOT_SENT\"]\npersistence_type = \"ACTIVATION\"\naction = \"resend\"",
    ) + &rule(
        "rest",
        "statuses = [\"NOT_SENT\"]\nauto_installation = false\naction = \"flag\"",
    );
    let job = stuck("", &rules);
    assert_eq!(
        queries(&job),
        [
            "statuses=NOT_SENT&notUpdatedSince=<now-30m>",
            "statuses=NOT_SENT&persistence_type=ACTIVATION&notUpdatedSince=<now-30m>",
            "statuses=NOT_SENT&autoInstallation=true",
            "cancelling=true",
        ]
    );
    let (resend, rest) = (&job.rules[0].classes[0], &job.rules[1].classes[0]);
    assert_eq!(
        (&resend.within[..], &resend.without[..]),
        (&[2][..], &[4][..])
    );
    assert_eq!(
        (&rest.within[..], &rest.without[..]),
        (&[1][..], &[3, 4][..])
    );
    assert_eq!(rest.after, [RuleName::from("resend")]);
    assert!(resend.after.is_empty());
    assert_eq!(
        (job.lists[3].shared_by, job.lists[3].purpose),
        (2, "subtracted")
    );
    assert_eq!(rest.age.as_deref(), Some("30 min"));
    assert_eq!(rest.flags, ["no auto_installation"]);
}

#[test]
fn what_no_list_tells_is_read_and_the_reason_is_said() {
    let owned = rule(
        "owned",
        "statuses = [\"INSTALLED\"]\nterritory_owners = [\"NEBA\"]\naction = \"flag\"",
    );
    let job = stuck("", &owned);
    assert_eq!(
        job.rules[0].reads,
        ["each request: no list tells territory_owners"]
    );
    assert_eq!(job.rules[0].classes[0].decided_by, "reading");
    let plain = rule("plain", "statuses = [\"INSTALLED\"]\naction = \"flag\"");
    let job = stuck("", &plain);
    assert!(job.rules[0].reads.is_empty());
    assert_eq!(job.rules[0].classes[0].decided_by, "lists");
    let job = stuck("\"notUpdatedSince\"", &plain);
    assert_eq!(queries(&job), ["statuses=INSTALLED", "cancelling=true"]);
    assert_eq!(
        job.rules[0].reads,
        ["each request: notUpdatedSince is among unsupported_filters"]
    );
    // A filter that the rule does not rest on costs nothing.
    let job = stuck("\"autoInstallation\"", &plain);
    assert!(job.rules[0].reads.is_empty());
}

#[test]
fn a_write_acts_only_in_enforce_and_is_preceded_by_a_read() {
    let resend = rule("resend", "statuses = [\"NOT_SENT\"]\naction = \"resend\"");
    let observed = stuck("", &resend);
    assert!(!observed.rules[0].acts);
    assert_eq!(observed.rules[0].reads.len(), 1);
    let enforced = stuck("", &format!("{resend}[safety]\nmode = \"enforce\"\n"));
    assert!(enforced.rules[0].acts);
}

#[test]
fn a_rule_for_one_org_is_explained_for_that_org_alone() {
    let text = format!(
        "[[job]]\nname = \"j\"\nkind = \"retry_stuck\"\nevery = \"5m\"\n{}",
        rule(
            "r",
            "orgs = [\"two\"]\nstatuses = [\"NOT_SENT\"]\naction = \"flag\""
        )
    );
    let of: Vec<(String, usize)> = jobs(&text)
        .iter()
        .map(|job| (job.org.to_string(), job.rules.len()))
        .collect();
    assert_eq!(of, [("one".to_owned(), 0), ("two".to_owned(), 1)]);
}

#[test]
fn jobs_that_follow_change_say_their_two_lists() {
    let job = |kind: &str, rules: &str| {
        let text = format!("[[job]]\nname = \"j\"\nkind = \"{kind}\"\nevery = \"5m\"\n{rules}");
        jobs(&text).remove(0)
    };
    let since = "notUpdatedSince=<last look-settle_time>";
    assert_eq!(queries(&job("flag_events", "")), ["", since]);
    let issues = job(
        "resolve_issues",
        "[[job.rule]]\nname = \"r\"\naction = \"flag\"\n",
    );
    let statuses = "statuses=INCIDENCE_TESA,INCIDENCE_OPERATOR,INCIDENCE_INSTALLING";
    assert_eq!(
        queries(&issues),
        [statuses.to_owned(), format!("{statuses}&{since}")]
    );
    assert_eq!(issues.rules[0].classes.len(), 3);
    assert_eq!(issues.rules[0].classes[0].decided_by, "reading");
    assert!(jobs("[[job]]\nname = \"h\"\nkind = \"housekeeping\"\nevery = \"5m\"\n").is_empty());
}
