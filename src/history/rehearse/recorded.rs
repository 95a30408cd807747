//! Decisions that were recorded, made again from what was known then: the proof that a rehearsal decides as a run does.

use super::{Life, Rehearsed, Rules, Unreplayable};
use crate::domain::ids::RuleName;
use crate::domain::{Decided, Happening, SkipReason};
use crate::history::replay::Standing;

/// A recorded decision is made again, from what was known then.
pub(super) fn compare(
    rules: &dyn Rules,
    life: &Life<'_>,
    standing: &Standing,
    happening: &Happening,
    decided: &Decided,
    done: &mut Rehearsed,
) {
    let Some(was) = wish_of(decided) else {
        return done.cannot(Unreplayable::NotByRules);
    };
    let now = happening.seen_at;
    let has_tried = life
        .attempts
        .iter()
        .any(|attempt| attempt.intended_at < now);
    let open = standing.issues.values().filter(|issue| !issue.resolved);
    if has_tried && open.count() > 1 {
        return done.cannot(Unreplayable::SeveralIssues);
    }
    done.decisions += 1;
    match rules.wish(&decided.job_name, life.org, standing, now) {
        Err(reason) => done.cannot(reason),
        Ok(wish) => {
            let rule = wish.rule.as_ref().map(RuleName::as_str);
            if (rule, wish.wants.as_str()) == (decided.rule.as_deref(), was) {
                done.reproduced += 1;
            } else {
                done.differing += 1;
            }
        }
    }
}

/// What the rules wanted when this was decided; none where it was not theirs to say.
fn wish_of(decided: &Decided) -> Option<&'static str> {
    match decided.verdict.as_str() {
        "act" => return Some("write"),
        "flag" => return Some("flag"),
        "ignore" => return Some("leave"),
        _ => {}
    }
    match decided.verdict.parse::<SkipReason>().ok()? {
        SkipReason::ChangedMeanwhile
        | SkipReason::NotFound
        | SkipReason::ReadFailed
        | SkipReason::ContractViolation => None,
        SkipReason::NotStuck
        | SkipReason::NothingWrong
        | SkipReason::FinalStatus
        | SkipReason::UnknownStatus => Some("leave"),
        // Something else stood in its way.
        _ => Some("write"),
    }
}
