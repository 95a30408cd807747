//! What comes next for a stuck request, by what the store alone says: its job's last decision about it, or what its rule
//! says of requests that were not read yet, and everything that stands in the way.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::answers::Sources;
use crate::answers::next::{self, Outlook, Prospect};
use crate::config::Job;
use crate::domain::finding::Attention;
use crate::domain::ids::Org;
use crate::domain::run::Mode;
use crate::domain::{Decision, FindingState, SkipReason, Verdict};
use crate::reconcile::jobs::turn::Foreseen;
use crate::rules::{Action, Rule};
use crate::store::StoreError;
use crate::store::attempts::Attempt;
use crate::store::controls::{CircuitRow, Latch, Pause};
use crate::store::findings::Finding;
use crate::store::replicas::ALIVE_WITHIN;
use crate::store::requests::RememberedDecision;

/// All that may stand in the way of a write.
pub(super) struct World {
    now: DateTime<Utc>,
    mode: Mode,
    /// A daemon has beaten lately.
    pub(super) alive: bool,
    doubt: Option<String>,
    pauses: Vec<Pause>,
    latches: Vec<Latch>,
    circuits: Vec<CircuitRow>,
    open: Vec<Attempt>,
    held_back: HashMap<Org, DateTime<Utc>>,
}

/// The rule that a finding's job goes by, as configured now.
pub(super) fn rule_of<'s>(sources: &'s Sources, finding: &Finding) -> Option<&'s Rule> {
    let job = job_of(sources, finding)?;
    let name = finding.rule.as_ref()?;
    job.rules.iter().find(|rule| rule.name == *name)
}

fn job_of<'s>(sources: &'s Sources, finding: &Finding) -> Option<&'s Job> {
    let mut jobs = sources.config.jobs.iter();
    jobs.find(|job| job.name == finding.job_name)
}

impl World {
    /// As it is now, for the orgs of these findings.
    pub(super) async fn look(sources: &Sources, findings: &[Finding]) -> Result<Self, StoreError> {
        let (store, now, mode) = (&sources.store, sources.now(), sources.config.safety.mode);
        let mut orgs: Vec<_> = findings.iter().map(|finding| &finding.org).collect();
        orgs.sort();
        orgs.dedup();
        let mut open = Vec::new();
        for org in orgs {
            let attempts = store.attempts_since(org, now).await?;
            open.extend(attempts.into_iter().filter(|one| one.state.is_open()));
        }
        let doubt = match mode {
            Mode::Enforce => store.doubt().await?,
            Mode::Observe => None,
        };
        let held_back = store.held_back(now).await?;
        Ok(Self {
            now,
            mode,
            alive: !store
                .live_replicas(now - ALIVE_WITHIN, now)
                .await?
                .is_empty(),
            doubt: doubt.map(|doubt| doubt.to_string()),
            pauses: store.pauses(now).await?,
            latches: store.latches().await?,
            circuits: store.circuits(now).await?,
            open,
            held_back: held_back
                .into_iter()
                .map(|held| (held.org, held.until))
                .collect(),
        })
    }

    /// What comes next for it.
    pub(super) fn next(
        &self,
        sources: &Sources,
        finding: &Finding,
        decided: &[RememberedDecision],
    ) -> String {
        let Some(job) = job_of(sources, finding) else {
            return format!("nothing: the job {} is not configured", finding.job_name);
        };
        let decided = decided.iter().find(|one| one.job_name == job.name);
        let decision = self.decision(finding, rule_of(sources, finding), decided);
        self.outlook(job, finding, decision)
    }

    fn outlook(&self, job: &Job, finding: &Finding, decision: Decision) -> String {
        let org = &finding.org;
        let is_its = |attempt: &&Attempt| {
            attempt.org == *org
                && (attempt.reference_id == finding.key.reference_id
                    || Some(&attempt.external_reference) == finding.external_reference.as_ref())
        };
        let pauses = self.pauses.iter();
        let circuit = self.circuits.iter().find(|one| one.org == *org);
        let prospect = Prospect {
            job: &job.name,
            schedule: &job.schedule,
            foreseen: Some(Ok(Foreseen {
                decision,
                not_before: None,
                turn: None,
            })),
            pauses: pauses
                .filter(|pause| pause.job_name.as_ref().is_none_or(|name| *name == job.name))
                .collect(),
            latch: self.latch(finding),
        };
        next::next(&Outlook {
            org,
            now: self.now,
            open: self.open.iter().find(is_its),
            doubt: self.doubt.clone(),
            circuit: circuit.filter(|circuit| circuit.is_open()),
            jobs: vec![prospect],
            // Said once of all rows, and not with each.
            alive: true,
            observes: self.mode == Mode::Observe,
            held_back: self.held_back.get(org).copied(),
        })
    }

    fn latch(&self, finding: &Finding) -> Option<&Latch> {
        let (job, org) = (&finding.job_name, &finding.org);
        let mut latches = self.latches.iter();
        latches.find(|latch| latch.job_name == *job && latch.org == *org)
    }

    /// What is decided about it, as far as that is known without a read: a wanted write by what stands in its way.
    fn decision(
        &self,
        finding: &Finding,
        rule: Option<&Rule>,
        decided: Option<&RememberedDecision>,
    ) -> Decision {
        let skip = |reason| Verdict::Skip {
            reason,
            instead_of: None,
        };
        let wants = rule.is_some_and(|rule| matches!(rule.action, Action::Send(_)));
        let said = match rule.map(|rule| (&rule.name, &rule.action)) {
            Some((name, Action::Send(spec))) => format!("rule {name} says {}", spec.kind),
            Some((name, Action::Flag)) => format!("rule {name} says flag"),
            Some((name, Action::Ignore)) => format!("rule {name} says ignore"),
            None => "no rule is known".to_owned(),
        };
        let skipped = decided.and_then(|one| {
            let reason = one.verdict.parse::<SkipReason>().ok()?;
            Some((reason, &one.explanation))
        });
        let reason = skipped.map(|(reason, _)| reason);
        let explanation = skipped.map_or_else(|| said.clone(), |(_, why)| why.clone());
        let stands = match finding.attention {
            Some(Attention::GivenUp) => Some(SkipReason::GivenUp),
            _ => reason.filter(|reason| is_lasting(*reason)),
        };
        let (verdict, explanation) = if finding.state == FindingState::Acknowledged {
            (skip(SkipReason::Acknowledged), said)
        } else if let Some(reason) = stands {
            (skip(reason), explanation)
        } else if !wants {
            (Verdict::Flag, said)
        } else if self.mode == Mode::Observe {
            (skip(SkipReason::ObserveMode), said)
        } else if self.latch(finding).is_some() {
            (skip(SkipReason::GuardHeld), said)
        } else {
            // Whether it is sent is seen by reading it; what a pause and the circuit do to that run is said by the outlook.
            (skip(SkipReason::NotStuck), explanation)
        };
        Decision {
            reference_id: finding.key.reference_id.clone(),
            external_reference: finding.external_reference.clone(),
            status: finding.status.clone(),
            rule: finding.rule.clone(),
            verdict,
            explanation,
        }
    }
}

/// Reasons that no run does away with by itself.
fn is_lasting(reason: SkipReason) -> bool {
    matches!(
        reason,
        SkipReason::GivenUp | SkipReason::DuplicateReference | SkipReason::MissingField
    )
}
