//! Which command comes next, by what `status` shows. Pure.

use super::Status;
use crate::domain::finding::Attention;
use crate::domain::run::Mode;
use crate::domain::{AttemptState, RunOutcome};

/// What to do next, most pressing first.
pub(super) fn hints(status: &Status) -> Vec<String> {
    let mut hints = Vec::new();
    let mut hint = |when: bool, text: &str| {
        if when {
            hints.push(text.to_owned());
        }
    };
    hint(
        !status.alive,
        "no daemon is running: start it with `tesa-reconciler run`",
    );
    hint(
        status.jobs.iter().any(|job| job.held.is_some()),
        "the guard holds a job: look at `tesa-reconciler plan`, then `tesa-reconciler release JOB --org ORG --reason …`",
    );
    hint(
        !status.circuits.is_empty(),
        "an org's circuit is open: `tesa-reconciler doctor` says whether the upstream can be reached",
    );
    hint(
        !status.distrusted.is_empty(),
        "a list's filter is not trusted: `tesa-reconciler doctor` tries each; what is not supported is declared as `unsupported_filters`",
    );
    hint(
        !status.held_back.is_empty(),
        "the upstream asked for patience (Retry-After): `tesa-reconciler rates reset --org ORG --reason …` ends that, if you know better",
    );
    hint(
        !status.capped.is_empty(),
        "caps withhold writes, the oldest go first: if they shall go faster, raise `max_writes_per_run` or `max_writes_per_hour` in `[safety]`",
    );
    hint(
        status.open_attempts.contains_key(&AttemptState::NeedsHuman),
        "writes wait for a person: `tesa-reconciler attempts --state needs_human`, then `tesa-reconciler attempts settle`",
    );
    hint(
        status.attention.contains_key(&Attention::GivenUp),
        "requests were given up: `tesa-reconciler findings --attention given_up`",
    );
    hint(
        status
            .jobs
            .iter()
            .any(|job| job.last_outcome.is_some_and(is_bad)),
        "a job's last run went wrong: `tesa-reconciler runs` says why",
    );
    hint(
        status.jobs.iter().any(|job| job.paused.is_some()),
        "jobs are paused: `tesa-reconciler resume JOB --reason …` (or --all) lets them go on",
    );
    let other = status
        .replicas
        .iter()
        .find(|replica| replica.mode != status.mode);
    if let Some(other) = other {
        let text = format!(
            "the daemon goes by {}, this configuration says {}: reload the daemon (SIGHUP) if it was changed",
            other.mode, status.mode
        );
        hint(true, &text);
    }
    let watches = status
        .replicas
        .iter()
        .all(|replica| replica.mode == Mode::Observe);
    hint(
        status.jobs.iter().any(|job| job.set_back.is_some()),
        "a clock was ahead within the last day: check the clocks (`tesa-reconciler audit --action set_back`)",
    );
    hint(
        watches && (status.alive || status.mode == Mode::Observe),
        "nothing is written in observe: `tesa-reconciler plan` shows what would be; `[safety] mode = \"enforce\"` allows it",
    );
    hints
}

fn is_bad(outcome: RunOutcome) -> bool {
    matches!(
        outcome,
        RunOutcome::Failed | RunOutcome::Partial | RunOutcome::Lost
    )
}
