//! What `status` prints for people: the verdict, then each fact on a line of its own.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::answers::jobs;
use crate::answers::status::{COUNTED_AT_MOST, Capped, Distrusted, Status};
use crate::cli::output::{self, instant, or_dash};
use crate::store::replicas::ReplicaRow;

pub(super) fn show(status: &Status) -> String {
    let verdict = status.verdict.lines().into_iter();
    let mut lines: Vec<String> = verdict.map(|line| output::wrapped(&line, 2)).collect();
    lines.push(String::new());
    let mut line = |name: &str, text: String| {
        lines.push(output::wrapped(&format!("{name:<10}{text}"), 10));
    };
    let zones = |replica: &ReplicaRow| match status.replicas.first() {
        Some(first)
            if status
                .replicas
                .iter()
                .any(|other| other.zones != first.zones) =>
        {
            format!(", zone data {}", replica.zones)
        }
        _ => String::new(),
    };
    for replica in &status.replicas {
        line(
            "daemon",
            format!(
                "alive: {} in {} (process {}, version {}{}), up {}, last beat {} ago",
                replica.host,
                replica.mode,
                replica.pid,
                replica.version,
                zones(replica),
                span(status.as_of - replica.started_at),
                span(status.as_of - replica.last_beat),
            ),
        );
    }
    if !status.alive {
        line("daemon", "not running".to_owned());
    }
    line("mode", status.mode.to_string());
    for circuit in &status.circuits {
        let since = or_dash(circuit.opened_at, instant);
        let why = jobs::circuit(circuit);
        line(
            "circuit",
            format!("of {} since {since}: {why}", circuit.org),
        );
    }
    for held in &status.held_back {
        let until = instant(held.until);
        line(
            "rate",
            format!("{} is asked nothing until {until} (Retry-After)", held.org),
        );
    }
    for Distrusted { org, filter, why } in &status.distrusted {
        let first = why.first().map_or("", String::as_str);
        line(
            "lists",
            format!("the filter {filter} of {org} is not trusted: {first}"),
        );
    }
    for Capped {
        job_name,
        org,
        writes,
        room_from,
    } in &status.capped
    {
        let until = match room_from {
            Some(at) => format!(
                "the hour (max_writes_per_hour), which has room from {}",
                instant(*at)
            ),
            None => "its next run (max_writes_per_run)".to_owned(),
        };
        line(
            "capped",
            format!("{writes} writes of {job_name} in {org} wait for {until}"),
        );
    }
    line(
        "writes",
        counts(&status.open_attempts, u64::MAX, "none open"),
    );
    line("findings", counts(&status.findings, u64::MAX, "none"));
    line(
        "people",
        counts(
            &status.attention,
            u64::from(COUNTED_AT_MOST),
            "nothing waits for one",
        ),
    );
    for (job, count) in &status.left_behind {
        line(
            "left",
            format!("{count} findings of {job}, which is not configured"),
        );
    }
    if status.acknowledgements > 0 {
        let what = "acknowledgements hold: `tesa-reconciler findings --state acknowledged`";
        line("hands off", format!("{} {what}", status.acknowledgements));
    }
    let rows = status.jobs.iter().map(|job| {
        vec![
            job.job_name.to_string(),
            job.org.to_string(),
            or_dash(job.last_outcome, |outcome| outcome.to_string()),
            or_dash(job.last_started, |at| {
                format!("{} ago", span(status.as_of - at))
            }),
            or_dash(job.next, |at| format!("in {}", span(at - status.as_of))),
            or_dash(job.held_by(), |why| why),
        ]
    });
    let columns = ["job", "org", "last run", "when", "next", "held by"];
    let table = output::table(&columns, rows);
    lines.push(String::new());
    lines.push(table);
    if !status.hints.is_empty() {
        lines.push(String::new());
        let hints = status.hints.iter();
        lines.extend(hints.map(|hint| output::wrapped(&format!("→ {hint}"), 2)));
    }
    lines.join("\n")
}

/// `3 unknown, 1 needs_human`; what was counted only up to `at_most` may be more.
fn counts<K: std::fmt::Display>(counts: &BTreeMap<K, u64>, at_most: u64, none: &str) -> String {
    if counts.is_empty() {
        return none.to_owned();
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(key, count)| {
            let more = if *count >= at_most { "+" } else { "" };
            format!("{count}{more} {key}")
        })
        .collect();
    parts.join(", ")
}

/// A span to the second; a clock that was set back is no reason for a negative one.
fn span(span: TimeDelta) -> String {
    let seconds = u64::try_from(span.num_seconds()).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
