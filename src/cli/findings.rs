//! `findings`: what diverges, who said hands off of it, and whether the job that saw it is still configured; `ack` and
//! `unack`.

pub mod ack;
pub mod groups;

use clap::Args;
use clap::builder::TypedValueParser;

use super::common::Session;
use super::exit::Failure;
use super::lists::{PageArgs, TimeArgs, newest_findings, word};
use super::output::{self, Row, instant, or_dash, or_not_read};
use crate::answers::columns;
use crate::answers::findings::{Listed, Said, listed};
use crate::answers::groups::GroupBy;
use crate::domain::finding::{Attention, FindingKind, FindingState};
use crate::store::findings::FindingFilter;

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
    let rows = listed(session, filter.org.as_ref(), found).await?;
    Ok(output::list(session.format, &rows)?)
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
    const FIRST: &'static [&'static str] = columns::FINDINGS;
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
