//! What `explain` prints for people.

use super::{Explanation, JobDecision, Words};
use crate::cli::output::{self, NOT_YET_READ, instant, or_dash};
use crate::domain::Observation;

pub(super) fn show(explanation: &Explanation) -> String {
    let mut lines = vec![format!(
        "{} / {}",
        explanation.org, explanation.reference_id
    )];
    let mut line = |label: &str, text: String| {
        lines.push(output::wrapped(&format!("  {label:<12} {text}"), 15));
    };
    match (&explanation.upstream, &explanation.upstream_trouble) {
        (Some(request), _) => line("upstream", describe(request)),
        (None, Some(trouble)) => line("upstream", format!("not known: {trouble}")),
        (None, None) => {}
    }
    match &explanation.remembered {
        Some(request) => line(
            "remembered",
            format!(
                "{} (read {})",
                describe(request),
                instant(request.observed_at)
            ),
        ),
        None => line("remembered", NOT_YET_READ.to_owned()),
    }
    for listed in &explanation.listed {
        line("listed", listed.show());
    }
    for decision in &explanation.would_decide {
        line(
            "would decide",
            format!(
                "{} ({}, {}): {}",
                decision.verdict,
                decision.job_name,
                rule(decision),
                decision.explanation
            ),
        );
    }
    for decision in &explanation.decided {
        line(
            "decided",
            format!(
                "{} by {} since {} (run {}): {}",
                decision.verdict,
                decision.job_name,
                instant(decision.since),
                decision.run_id,
                decision.explanation
            ),
        );
    }
    for explained in &explanation.attempts {
        let attempt = &explained.attempt;
        line(
            "tried",
            format!(
                "attempt {}: {} is {}",
                attempt.id, attempt.operation, attempt.state
            ),
        );
        for step in &explained.steps {
            line(
                "",
                format!(
                    "{}  {:<12} {} ({})",
                    instant(step.at),
                    step.state,
                    step.detail,
                    step.who
                ),
            );
        }
    }
    if explanation.attempts.is_empty() {
        line("tried", "nothing yet".to_owned());
    }
    for finding in &explanation.findings {
        line(
            "finding",
            format!(
                "{} {} {} ({}) since {}",
                finding.id,
                finding.key.kind,
                finding.state,
                finding.evidence,
                instant(finding.first_seen)
            ),
        );
    }
    for said in &explanation.acknowledgements {
        line("hands off", said.show());
    }
    for Words { hash, said, what } in &explanation.words {
        line("words", format!("{hash} is {said:?} ({what})"));
    }
    for blocker in &explanation.blockers {
        line("in the way", blocker.show());
    }
    line("next", explanation.next.clone());
    lines.join("\n")
}

fn rule(decision: &JobDecision) -> String {
    match (&decision.rule, &decision.conditions) {
        (Some(rule), Some(conditions)) => format!("rule {rule} for those {conditions}"),
        (Some(rule), None) => format!("rule {rule}"),
        (None, _) => "no rule".to_owned(),
    }
}

fn describe(request: &Observation) -> String {
    format!(
        "{}{}, {}, order {}, last updated {}",
        request.status,
        if request.cancelling {
            " (cancelling)"
        } else {
            ""
        },
        or_dash(request.persistence_type, |kind| kind.to_string()),
        or_dash(request.external_reference.as_ref(), ToString::to_string),
        or_dash(request.last_updated, instant),
    )
}
