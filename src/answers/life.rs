//! The whole life of an order: all that the store knows of it, as a timeline, and whose time it was.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{FindingState, Party, What};
use crate::history::parties::{Account, Turn};
use crate::history::timeline::{Line, Material};
use crate::history::working::WorkingTime;
use crate::store::attempts::AttemptFilter;
use crate::store::audit::AuditFilter;
use crate::store::findings::FindingFilter;
use crate::store::{Page, Store, StoreError};

/// Of each table, for one request.
const MOST: Page = Page::first(10_000);

/// A request's life.
#[derive(Debug, Serialize)]
pub struct Life {
    /// The tenant that its reference belongs to.
    pub org: Org,
    /// Unique within the org.
    pub reference_id: ReferenceId,
    /// Whose turn it is now, and by what; none when it is over, or not known.
    pub turn: Option<Turn>,
    /// When it began, as far as is known.
    pub opened: Option<DateTime<Utc>>,
    /// When it was over.
    pub closed: Option<DateTime<Utc>>,
    /// From the one to the other, or to now.
    pub gross_seconds: Option<i64>,
    /// Whose time that was.
    pub parties: Vec<PartyTime>,
    /// Its timeline.
    pub lines: Vec<Line>,
    /// What comes next; none when it is over, or can't be told.
    pub next: Option<String>,
}

/// How long it was a party's turn.
#[derive(Debug, Serialize)]
pub struct PartyTime {
    /// Whose time it was.
    pub party: Party,
    /// In all.
    pub calendar_seconds: i64,
    /// In working days.
    pub working_seconds: i64,
    /// How far either may be off.
    pub error_seconds: i64,
    /// How often its turn came.
    pub times: u32,
}

/// All that the store knows of a request.
pub async fn material(
    store: &dyn Store,
    org: &Org,
    id: &ReferenceId,
) -> Result<Material, StoreError> {
    let happenings = store.history(org, id).await?;
    let (of, reference) = (Some(org.clone()), Some(id.to_string()));
    let filter = AttemptFilter {
        org: of.clone(),
        reference: reference.clone(),
        ..AttemptFilter::default()
    };
    let mut attempts = Vec::new();
    for attempt in store.attempts(&filter, MOST).await? {
        let steps = store.attempt_steps(attempt.id).await?;
        attempts.push((attempt, steps));
    }
    let filter = FindingFilter {
        org: of,
        reference,
        ..FindingFilter::default()
    };
    let mut findings = store.findings(&filter, MOST).await?;
    let over = FindingFilter {
        state: Some(FindingState::Resolved),
        ..filter
    };
    findings.extend(store.findings(&over, MOST).await?);
    let mut audit = Vec::new();
    // Only then has a person said anything of the order; the audit has no index of what it is about.
    let let_go = happenings.iter().find(|one| one.what == What::LetGo);
    if let Some(first) = let_go {
        let orders: BTreeSet<String> = happenings
            .iter()
            .filter_map(|one| match &one.what {
                What::Request(request) => request.external_reference.as_ref(),
                _ => None,
            })
            .map(|order| format!("{org}/{order}"))
            .collect();
        let filter = AuditFilter {
            action: Some("retry".to_owned()),
            since: Some(first.seen_at),
            ..AuditFilter::default()
        };
        audit = store.audit(&filter, MOST).await?;
        audit.retain(|row| orders.contains(&row.subject));
    }
    Ok(Material {
        findings,
        acknowledgements: store.acknowledgements_of(org, id).await?,
        decisions: store.decisions_about(org, id).await?,
        happenings,
        attempts,
        audit,
    })
}

/// A request's life out of its timeline.
pub fn life(
    org: Org,
    reference_id: ReferenceId,
    lines: Vec<Line>,
    account: Option<&Account>,
    work: &WorkingTime,
) -> Life {
    let figures = account.map(|account| account.figures(work));
    let parties = figures
        .into_iter()
        .flatten()
        .map(|(party, figure)| PartyTime {
            party,
            calendar_seconds: figure.calendar.num_seconds(),
            working_seconds: figure.working.num_seconds(),
            error_seconds: figure.error.num_seconds(),
            times: figure.times,
        });
    Life {
        org,
        reference_id,
        turn: account.and_then(|account| account.turn_at(account.until()).cloned()),
        opened: account.map(|account| account.opened),
        closed: account.and_then(|account| account.closed),
        gross_seconds: account.map(|account| account.gross().num_seconds()),
        parties: parties.collect(),
        lines,
        next: None,
    }
}
