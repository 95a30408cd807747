//! `report stuck`: everything that is stuck now, oldest first, each with whose time it was: what goes into a spreadsheet on
//! Monday. `stuck` is the list for the terminal, with what comes next.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::StuckArgs;
use crate::cli::common::Session;
use crate::cli::exit::Failure;
use crate::cli::lists::gather_oldest_findings;
use crate::cli::output::{self, NOT_YET_READ, Row, or_dash};
use crate::domain::finding::Attention;
use crate::domain::ids::{ExternalReference, FindingId, JobName, Org, ReferenceId, RuleName};
use crate::domain::{FindingKind, FindingState, Party, PersistenceType, Status, TerritoryOwner};
use crate::history::parties::Account;
use crate::history::replay::replay;
use crate::history::timeline::span;
use crate::store::findings::FindingFilter;

/// A stuck request as evidence.
#[derive(Debug, Serialize)]
struct StuckOrder {
    id: FindingId,
    org: Org,
    reference_id: ReferenceId,
    external_reference: Option<ExternalReference>,
    persistence_type: Option<PersistenceType>,
    territory_owner: Option<TerritoryOwner>,
    /// Where it is stuck; `CANCELLING` if its cancellation is.
    status: String,
    /// The upstream's last change; none: not yet read.
    since: Option<DateTime<Utc>>,
    age_seconds: Option<i64>,
    job_name: JobName,
    rule: Option<RuleName>,
    state: FindingState,
    attention: Option<Attention>,
    /// Of its unresolved issues, as they were last seen.
    issue_codes: String,
    last_event: Option<String>,
    /// Whose turn it is, where that is known.
    party: Option<Party>,
    attempts: usize,
    opened: Option<DateTime<Utc>>,
    gross_seconds: Option<i64>,
    /// `PARTY_seconds` of each party; nothing where the request was not yet read.
    #[serde(flatten)]
    times: BTreeMap<String, i64>,
}

/// Lists all of them.
pub(super) async fn run(session: &Session, args: &StuckArgs) -> Result<(), Failure> {
    let config = &session.config;
    let whose = config.parties.whose(&config.jobs);
    let work = session.working_time()?;
    let filter = FindingFilter {
        org: session.known_org(args.org.as_deref()).await?,
        kind: Some(FindingKind::StuckRequest),
        ..FindingFilter::default()
    };
    let (now, mut rows) = (session.now(), Vec::new());
    for finding in gather_oldest_findings(session, None, &filter).await? {
        let (org, id) = (&finding.org, &finding.key.reference_id);
        let happenings = session.store.history(org, id).await?;
        let account = Account::of(org, &happenings, &whose, now);
        let standing = replay(&happenings);
        let orders = finding.external_reference.as_slice();
        let attempts = session.store.attempts_for(org, orders).await?.len();
        let figures = account.as_ref().map(|account| account.figures(&work));
        let times = figures.iter().flat_map(|figures| {
            Party::ALL.iter().map(|party| {
                let figure = figures.get(party).copied().unwrap_or_default();
                (format!("{party}_seconds"), figure.calendar.num_seconds())
            })
        });
        let turn = account
            .as_ref()
            .and_then(|account| account.turn_at(account.until()))
            .map(|turn| turn.party);
        // Of one that was not yet read, lists tell the status.
        let listed = Status::parse(&finding.key.detail);
        let party = turn.or_else(|| whose.by_status.get(&listed).copied());
        let open = standing.issues.values().filter(|issue| !issue.resolved);
        let codes: Vec<&str> = open.map(|issue| issue.issue_code.as_str()).collect();
        let message = standing.last_event.and_then(|event| event.message_type);
        rows.push(StuckOrder {
            times: times.collect(),
            issue_codes: codes.join(" "),
            last_event: message.map(|code| code.to_string()),
            party: party.filter(|party| *party != Party::Unknown),
            attempts,
            opened: account.as_ref().map(|account| account.opened),
            gross_seconds: account
                .as_ref()
                .map(|account| account.gross().num_seconds()),
            persistence_type: standing
                .request
                .as_ref()
                .and_then(|seen| seen.persistence_type),
            territory_owner: standing
                .request
                .as_ref()
                .and_then(|seen| seen.territory_owner),
            age_seconds: finding.since.map(|since| (now - since).num_seconds()),
            id: finding.id,
            org: finding.org,
            reference_id: finding.key.reference_id,
            external_reference: finding.external_reference,
            status: finding.key.detail,
            since: finding.since,
            job_name: finding.job_name,
            rule: finding.rule,
            state: finding.state,
            attention: finding.attention,
        });
    }
    Ok(output::list(session.format, &rows)?)
}

impl Row for StuckOrder {
    const COLUMNS: &'static [&'static str] = &[
        "org",
        "request",
        "order",
        "status",
        "stuck for",
        "party",
        "rule",
        "attempts",
    ];
    const FIRST: &'static [&'static str] = &[
        "org",
        "reference_id",
        "external_reference",
        "status",
        "since",
        "age_seconds",
        "party",
        "issue_codes",
        "rule",
        "state",
    ];

    fn cells(&self) -> Vec<String> {
        let age = self.age_seconds;
        let age = age.map_or_else(
            || NOT_YET_READ.to_owned(),
            |age| span(chrono::TimeDelta::seconds(age)),
        );
        vec![
            self.org.to_string(),
            self.reference_id.to_string(),
            or_dash(self.external_reference.as_ref(), ToString::to_string),
            self.status.clone(),
            age,
            or_dash(self.party, |party| party.to_string()),
            or_dash(self.rule.as_ref(), ToString::to_string),
            self.attempts.to_string(),
        ]
    }
}
