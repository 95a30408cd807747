//! Cases whose right value is held where the thing itself is tested: which one, and by what.

use std::path::Path;

/// The case, the file, the test.
const CASES: &[(&str, &str, &str)] = &[
    (
        "robfig/cron#480, sidekiq-scheduler#283: the clock was a day ahead for a moment",
        "tests/it/process/outage.rs",
        "a_memory_that_lies_in_the_future_is_said_counted_shown_and_set_back",
    ),
    (
        "google-auth-library-java#682: the token endpoint's clock is two seconds behind",
        "src/tesamanager/auth/jwt.rs",
        "an_assertion_says_what_is_documented_and_its_signature_holds",
    ),
    (
        "hyperium/hyper#2136: the server closes after each answer without a word",
        "src/tesamanager/tests/reads.rs",
        "a_kept_connection_that_is_dead_costs_no_retry",
    ),
    (
        "windmill#9722: the database became read-only, and the probe was good",
        "tests/it/store/outage.rs",
        "a_store_that_can_only_be_read_is_not_ready",
    ),
    (
        "sqlite-net#604, bun#33748: the disk was full, and there is room again",
        "tests/it/process/outage.rs",
        "a_store_without_room_is_not_ready_and_the_runs_go_on_when_there_is_some",
    ),
    (
        "wp-cli#5922: an id was split at the screen's edge",
        "src/cli/output/layout.rs",
        "rows_are_stacked_where_the_screen_is_narrow_and_no_id_is_split",
    ),
    (
        "own: a certificate outside its dates was told in seconds since 1970",
        "src/certificates.rs",
        "a_certificate_outside_its_dates_says_which_and_what_to_do",
    ),
];

#[test]
fn each_case_has_the_test_that_is_said_to_hold_it() {
    for (case, file, test) in CASES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            text.contains(&format!("fn {test}(")),
            "{case}: {file} has no {test}"
        );
    }
}
