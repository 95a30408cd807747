//! `findings`: what diverges, who said hands off of it, and whether the job that saw it is still configured; `ack` and
//! `unack`.

pub mod ack;
pub mod groups;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::TypedValueParser;
use serde::Serialize;

use self::groups::GroupBy;
use super::common::Session;
use super::exit::Failure;
use super::lists::{PageArgs, TimeArgs, newest_findings, word};
use super::output::{self, Row, instant, or_dash, or_not_read};
use crate::domain::finding::{Attention, FindingKind, FindingState};
use crate::domain::ids::{Org, ReferenceId};
use crate::store::acknowledgements::Acknowledgement;
use crate::store::findings::{Finding, FindingFilter, FindingKey};

/// How many requests are looked up together.
const CHUNK: usize = 500;

/// `findings`.
#[derive(Debug, Args)]
pub struct FindingsArgs {
    /// Only of this reference id or external reference
    reference: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many there are of each, instead of which
    #[arg(long, value_name = "WHAT", value_parser = word!(GroupBy), conflicts_with_all = ["before", "limit"])]
    group_by: Option<GroupBy>,
    #[command(flatten)]
    page: PageArgs,
}

/// Which findings: the same for looking and for acting.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Only where either reference begins so, in any case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only of this org
    #[arg(long)]
    org: Option<String>,
    /// Only of this kind
    #[arg(long, value_parser = word!(FindingKind))]
    kind: Option<FindingKind>,
    /// Only in this state (default: all but resolved; with --attention: open). `acknowledged`: all of which a person's
    /// word holds, no longer seen ones too
    #[arg(long, value_parser = word!(FindingState))]
    state: Option<FindingState>,
    /// Only those that wait for a person
    #[arg(long, value_parser = word!(Attention))]
    attention: Option<Attention>,
    /// Only of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only by this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only with this detail: of a stuck request the status in which it is stuck, of an issue its number and code
    #[arg(long, value_name = "TEXT")]
    detail: Option<String>,
    #[command(flatten)]
    time: TimeArgs,
}

impl FilterArgs {
    /// Nothing is asked for, so everything would be meant.
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            search,
            org,
            kind,
            state,
            attention,
            job,
            rule,
            detail,
            time,
        } = self;
        let texts = [search, org, job, rule, detail, &time.since, &time.until];
        texts.iter().all(|text| text.is_none())
            && kind.is_none()
            && state.is_none()
            && attention.is_none()
    }

    /// As the store takes it. What names nothing is a mistake.
    pub(super) async fn read(&self, session: &Session) -> Result<FindingFilter, Failure> {
        let (since, until) = self.time.read(session.now())?;
        Ok(FindingFilter {
            org: session.known_org(self.org.as_deref()).await?,
            kind: self.kind,
            // Who said hands off of one does not need to be told of it.
            state: self.state.or(self.attention.map(|_| FindingState::Open)),
            attention: self.attention,
            reference: None,
            search: self.search.clone(),
            since,
            until,
            job_name: session.known_job(self.job.as_deref()).await?,
            rule: session.known_rule(self.rule.as_deref())?,
            detail: self.detail.clone(),
        })
    }
}

/// A finding as listed.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    finding: Finding,
    /// Some job of this name is configured.
    job_configured: bool,
    acknowledgements: Vec<Said>,
}

/// A person's word as listed.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    who: String,
    reason: String,
    given_at: DateTime<Utc>,
    /// The request's date is a later one than it was then.
    changed_since: bool,
    ended_at: Option<DateTime<Utc>>,
    ended_why: Option<String>,
}

impl Said {
    /// `last_updated` is the request's, as far as it is known.
    pub(super) fn new(said: Acknowledgement, last_updated: Option<DateTime<Utc>>) -> Self {
        let then = said.given.last_updated;
        Self {
            who: said.who,
            reason: said.reason,
            given_at: said.given_at,
            changed_since: then.is_some_and(|then| last_updated.is_some_and(|now| now > then)),
            ended_at: said.ended_at,
            ended_why: said.ended_why,
        }
    }

    /// Neither taken back nor over.
    pub(super) fn holds(&self) -> bool {
        self.ended_at.is_none()
    }

    pub(super) fn show(&self) -> String {
        let mut text = format!(
            "{} at {}: {}",
            self.who,
            instant(self.given_at),
            self.reason
        );
        if self.changed_since {
            text.push_str(" (changed since)");
        }
        if let (Some(at), Some(why)) = (self.ended_at, &self.ended_why) {
            text.push_str(&format!("; ended at {}: {why}", instant(at)));
        }
        text
    }
}

/// Lists them, or counts them by something.
pub async fn list(session: &Session, args: &FindingsArgs) -> Result<(), Failure> {
    let filter = FindingFilter {
        reference: args.reference.clone(),
        ..args.filter.read(session).await?
    };
    if let Some(by) = args.group_by {
        return groups::show(session, by, &filter).await;
    }
    let found = newest_findings(session, &args.page, &filter).await?;
    let mut said = what_holds(session, filter.org.as_ref()).await?;
    let jobs: HashSet<&str> = session
        .config
        .jobs
        .iter()
        .map(|job| job.name.as_str())
        .collect();
    let rows: Vec<Listed> = found
        .into_iter()
        .map(|finding| Listed {
            job_configured: jobs.contains(finding.job_name.as_str()),
            acknowledgements: said
                .remove(&(finding.org.clone(), finding.key.clone()))
                .unwrap_or_default(),
            finding,
        })
        .collect();
    Ok(output::list(session.format, &rows)?)
}

/// What people said that holds, by what they said it of.
async fn what_holds(
    session: &Session,
    org: Option<&Org>,
) -> Result<HashMap<(Org, FindingKey), Vec<Said>>, Failure> {
    let said = session.store.acknowledgements(org).await?;
    let mut requests: BTreeMap<Org, Vec<ReferenceId>> = BTreeMap::new();
    for one in &said {
        let id = one.key.reference_id.clone();
        requests.entry(one.org.clone()).or_default().push(id);
    }
    let mut dates = HashMap::new();
    for (org, ids) in requests {
        for ids in ids.chunks(CHUNK) {
            for request in session.store.observations(&org, ids).await? {
                let updated = request.last_updated;
                dates.insert((org.clone(), request.reference_id), updated);
            }
        }
    }
    let mut by_finding: HashMap<_, Vec<Said>> = HashMap::new();
    for one in said {
        let (org, key) = (one.org.clone(), one.key.clone());
        let date = dates.get(&(org.clone(), key.reference_id.clone()));
        let said = Said::new(one, date.copied().flatten());
        by_finding.entry((org, key)).or_default().push(said);
    }
    Ok(by_finding)
}

impl Row for Listed {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "org",
        "request",
        "order",
        "kind",
        "detail",
        "state",
        "job",
        "waits for a person",
        "first seen",
        "evidence",
        "acknowledged by",
    ];
    const FIRST: &'static [&'static str] = &[
        "id",
        "org",
        "reference_id",
        "external_reference",
        "kind",
        "detail",
        "state",
        "rule",
        "since",
        "first_seen",
        "evidence",
    ];
    fn cells(&self) -> Vec<String> {
        let finding = &self.finding;
        let gone = if self.job_configured {
            ""
        } else {
            " (not configured)"
        };
        let said: Vec<String> = self.acknowledgements.iter().map(Said::show).collect();
        vec![
            finding.id.to_string(),
            finding.org.to_string(),
            finding.key.reference_id.to_string(),
            or_not_read(
                finding.external_reference.as_ref(),
                finding.read_at.is_some(),
            ),
            finding.key.kind.to_string(),
            finding.key.detail.clone(),
            finding.state.to_string(),
            format!("{}{gone}", finding.job_name),
            or_dash(finding.attention, |attention| attention.to_string()),
            instant(finding.first_seen),
            finding.evidence.clone(),
            or_dash((!said.is_empty()).then(|| said.join("; ")), |said| said),
        ]
    }
}
