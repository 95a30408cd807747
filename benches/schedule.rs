//! What a tick of the schedule costs: the decision about one job and org, quiet or after a long sleep.
#![expect(clippy::unwrap_used, reason = "a bench ends at the first fault")]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use divan::{Bencher, black_box};
use tesa_reconciler::domain::ids::JobName;
use tesa_reconciler::schedule::decide::{State, decide};
use tesa_reconciler::schedule::spec::{CatchUp, Overlap, Spec, When};

fn main() {
    divan::main();
}

/// How long since the last slot that was accounted for.
#[divan::bench(args = ["1m", "90d"])]
fn every_five_minutes(bencher: Bencher<'_, '_>, since: &str) {
    run(bencher, When::Every(Duration::from_secs(300)), since);
}

#[divan::bench(args = ["1m", "90d"])]
fn cron_every_five_minutes(bencher: Bencher<'_, '_>, since: &str) {
    run(bencher, cron("0 */5 * * * *"), since);
}

#[divan::bench(args = ["1m", "90d"])]
fn cron_on_mondays(bencher: Bencher<'_, '_>, since: &str) {
    run(bencher, cron("0 30 2 * * MON"), since);
}

fn cron(text: &str) -> When {
    let parser = croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Required)
        .build();
    When::Cron {
        cron: Box::new(parser.parse(text).unwrap()),
        text: text.to_owned(),
        zone: tesa_reconciler::zone::Zone::named("Europe/Madrid").unwrap(),
    }
}

fn run(bencher: Bencher<'_, '_>, when: When, since: &str) {
    let job = JobName::from("retry-stuck");
    let now = now();
    let last = now - TimeDelta::from_std(humantime::parse_duration(since).unwrap()).unwrap();
    let spec = Spec {
        when,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: Duration::from_secs(3_600),
        jitter: Duration::from_secs(30),
    };
    let state = State {
        since: now - TimeDelta::days(100),
        last_slot: Some(last),
        running: false,
        queued: None,
        paused: false,
    };
    bencher.bench(|| decide(&job, &spec, black_box(&state), now));
}

/// Not on a slot.
fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 2, 17).unwrap()
}
