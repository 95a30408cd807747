//! Everything that stands between a request and a write, in the order in which it must be out of the way. Pure.
//!
//! A decision names the first thing that forbids a write. Who clears that away would find the next one only then; so all are
//! told at once, each with its cause, its end where it has one, and the way out.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::answers::findings::Said;
use crate::answers::next::{Outlook, Prospect, release, settles};
use crate::cli::output::instant;
use crate::domain::{SkipReason, Verdict};
use crate::reconcile::jobs::turn::{Foreseen, Turn};

/// One thing in the way.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Blocker {
    /// `attempt`, `store`, `acknowledged`, a reason of the decision, `observe_mode`, `paused`, `guard_held`, `circuit_open`,
    /// `held_back`, `cap_reached`.
    what: &'static str,
    /// Of which job; none: whatever job.
    job_name: Option<String>,
    /// In words.
    why: String,
    /// When it ends by itself, where that is known.
    until: Option<DateTime<Utc>>,
    /// What a person can do.
    way_out: Option<String>,
}

impl Blocker {
    fn new(what: &'static str, why: String) -> Self {
        Self {
            what,
            job_name: None,
            why,
            until: None,
            way_out: None,
        }
    }

    pub(super) fn show(&self) -> String {
        let mut said = match &self.job_name {
            Some(job) => format!("{} ({job}): {}", self.what, self.why),
            None => format!("{}: {}", self.what, self.why),
        };
        if let Some(until) = self.until {
            said.push_str(&format!(", until {}", instant(until)));
        }
        if let Some(way_out) = &self.way_out {
            said.push_str(&format!("; {way_out}"));
        }
        said
    }
}

/// All of them. `said` is what people said of it that holds.
pub(super) fn blockers(outlook: &Outlook<'_>, said: &[Said]) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    if let Some(attempt) = outlook.open {
        blockers.push(Blocker {
            until: attempt.verify_at,
            ..Blocker::new("attempt", settles(outlook, attempt))
        });
    }
    if let Some(doubt) = &outlook.doubt {
        blockers.push(Blocker::new("store", doubt.clone()));
    }
    for one in said.iter().filter(|one| one.holds()) {
        blockers.push(Blocker {
            way_out: Some("`tesa-reconciler findings unack ID… --reason …`".to_owned()),
            ..Blocker::new("acknowledged", one.show())
        });
    }
    for prospect in &outlook.jobs {
        if let Some(Ok(foreseen)) = &prospect.foreseen
            && wants(foreseen)
        {
            let of_job = of_job(outlook, prospect, foreseen);
            blockers.extend(of_job.into_iter().map(|blocker| Blocker {
                job_name: Some(prospect.job.to_string()),
                ..blocker
            }));
        }
    }
    blockers
}

/// The job would write, if nothing stood in the way.
fn wants(foreseen: &Foreseen) -> bool {
    match &foreseen.decision.verdict {
        Verdict::Act { .. } => true,
        Verdict::Skip { instead_of, .. } => instead_of.is_some(),
        Verdict::Flag | Verdict::Ignore => false,
    }
}

fn of_job(outlook: &Outlook<'_>, prospect: &Prospect<'_>, foreseen: &Foreseen) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    if let Verdict::Skip { reason, .. } = &foreseen.decision.verdict
        && !is_told_apart(*reason)
    {
        blockers.push(Blocker {
            until: foreseen.not_before,
            ..Blocker::new(reason.as_str(), foreseen.decision.explanation.clone())
        });
    }
    if outlook.observes {
        blockers.push(Blocker {
            way_out: Some("`[safety] mode = \"enforce\"` allows writes".to_owned()),
            ..Blocker::new("observe_mode", "the mode is observe".to_owned())
        });
    }
    for pause in &prospect.pauses {
        let scope = pause.job_name.as_ref().map_or("--all", |job| job.as_str());
        blockers.push(Blocker {
            until: pause.until,
            way_out: Some(format!("`tesa-reconciler resume {scope} --reason …`")),
            ..Blocker::new("paused", format!("by {}: {}", pause.who, pause.reason))
        });
    }
    if let Some(latch) = prospect.latch {
        blockers.push(Blocker {
            way_out: Some(release(prospect.job, outlook.org)),
            ..Blocker::new(
                "guard_held",
                format!("since {}: {}", instant(latch.since), latch.reason),
            )
        });
    }
    if let Some(circuit) = outlook.circuit {
        let cause = circuit
            .cause
            .map_or_else(String::new, |cause| cause.to_string());
        blockers.push(Blocker {
            until: circuit.probe_at.filter(|_| !circuit.due),
            ..Blocker::new("circuit_open", cause)
        });
    }
    if let Some(until) = outlook.held_back {
        blockers.push(Blocker {
            until: Some(until),
            way_out: Some(format!(
                "`tesa-reconciler rates reset --org {} --reason …`",
                outlook.org
            )),
            ..Blocker::new(
                "held_back",
                "the upstream asked for patience (Retry-After)".to_owned(),
            )
        });
    }
    match foreseen.turn {
        Some(Turn::NoRoom { from }) => blockers.push(Blocker {
            until: from,
            ..Blocker::new("cap_reached", "no room in max_writes_per_hour".to_owned())
        }),
        Some(Turn::Waits { older, room }) => blockers.push(Blocker::new(
            "cap_reached",
            format!("{older} older ones come first, and the caps leave {room} writes to a run"),
        )),
        Some(Turn::Held) => blockers.push(Blocker::new(
            "guard_held",
            "the guard will hold the next run: too many want a write at once".to_owned(),
        )),
        _ => {}
    }
    blockers
}

/// What is told by its own cause, whatever came first.
fn is_told_apart(reason: SkipReason) -> bool {
    matches!(
        reason,
        SkipReason::Acknowledged
            | SkipReason::InDoubt
            | SkipReason::ObserveMode
            | SkipReason::Paused
            | SkipReason::GuardHeld
            | SkipReason::CircuitOpen
    )
}

#[cfg(test)]
mod tests;
