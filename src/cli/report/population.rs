//! `report parties` and `report delivery`: every order that lived in a time, counted or left out with the reason.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::ReportArgs;
use crate::cli::common::Session;
use crate::cli::exit::{Exit, Failure};
use crate::cli::lists::gather_findings;
use crate::cli::output::{self, Format, Row, or_dash, table};
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{FindingKind, Observation};
use crate::history::parties::Account;
use crate::history::report::{
    self, DeliveryRow, DeliverySummary, Group, ONLY_LISTED, OrderRow, PartySummary, Question,
};
use crate::history::timeline::span;
use crate::history::working::WorkingTime;
use crate::store::findings::{Finding, FindingFilter};

/// Requests of a page.
const PAGE: u32 = 1_000;

/// A report in JSON.
#[derive(Debug, Serialize)]
struct Report<'r, S, R> {
    since: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
    /// Orders that lived in that time.
    selected: usize,
    /// Those that the figures are about.
    counted: usize,
    /// The others, by the reason; each is a row, too.
    left_out: BTreeMap<&'static str, usize>,
    summary: &'r [S],
    orders: &'r [R],
}

/// Whose time it was.
pub(super) async fn parties(session: &Session, args: &ReportArgs) -> Result<(), Failure> {
    let asked = Asked::read(session, args)?;
    let mut orders = Vec::new();
    asked.each(session, |order, _| orders.push(order)).await?;
    let summary = report::party_summaries(&orders);
    let reasons = orders.iter().map(|order| order.left_out);
    asked.print(session, reasons, &summary, &orders)
}

/// How promises were kept.
pub(super) async fn delivery(session: &Session, args: &ReportArgs) -> Result<(), Failure> {
    let levels = &session.config.service_levels;
    if levels.is_empty() {
        let message = "no [[service_level]] is configured, so nothing was promised: see `tesa-reconciler config example`";
        return Err(Failure::new(Exit::Configuration, message));
    }
    let asked = Asked::read(session, args)?;
    let (mut rows, mut reasons) = (Vec::new(), Vec::new());
    asked
        .each(session, |order, told| {
            let of_order = report::deliveries(order, told.as_ref(), levels, &asked.work);
            // Once an order, whatever the number of promises about it.
            reasons.push(of_order.first().and_then(|row| row.order.left_out));
            rows.extend(of_order);
        })
        .await?;
    let summary = report::delivery_summaries(&rows);
    asked.print(session, reasons.into_iter(), &summary, &rows)
}

struct Asked {
    orgs: Vec<Org>,
    work: WorkingTime,
    since: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
}

impl Asked {
    fn read(session: &Session, args: &ReportArgs) -> Result<Self, Failure> {
        let now = session.now();
        let (since, until) = args.time.read(now)?;
        Ok(Self {
            orgs: session.orgs(args.org.as_deref())?,
            work: session.working_time()?,
            since,
            until: until.map_or(now, |until| until.min(now)),
        })
    }

    /// Every order that lived in the time asked about, in the order of their references.
    async fn each(
        &self,
        session: &Session,
        mut take: impl FnMut(OrderRow, Option<(Account, Observation)>),
    ) -> Result<(), Failure> {
        let whose = session.config.parties.whose(&session.config.jobs);
        let question = Question {
            whose: &whose,
            work: &self.work,
            since: self.since,
            until: self.until,
        };
        let mut progress = Progress::default();
        for org in &self.orgs {
            let only_listed = self.only_listed(session, org).await?;
            let mut known: HashSet<ReferenceId> = HashSet::new();
            let mut after: Option<ReferenceId> = None;
            loop {
                let page = session.store.histories(org, after.as_ref(), PAGE).await?;
                for (id, happenings) in &page {
                    if only_listed.contains_key(id) {
                        known.insert(id.clone());
                    }
                    if let Some((row, told)) = report::order(org, id, happenings, &question) {
                        take(row, told);
                    }
                }
                progress.by(page.len());
                after = page.last().map(|(id, _)| id.clone());
                if page.len() < PAGE as usize {
                    break;
                }
            }
            for (id, finding) in only_listed {
                if !known.contains(&id) {
                    let row = OrderRow {
                        external_reference: finding.external_reference,
                        ..report::unread(org, &id, ONLY_LISTED)
                    };
                    take(row, None);
                }
            }
        }
        progress.end();
        Ok(())
    }

    /// Stuck orders that lists named in that time, and of which no request was ever read.
    async fn only_listed(
        &self,
        session: &Session,
        org: &Org,
    ) -> Result<BTreeMap<ReferenceId, Finding>, Failure> {
        let filter = FindingFilter {
            org: Some(org.clone()),
            kind: Some(FindingKind::StuckRequest),
            until: Some(self.until),
            ..FindingFilter::default()
        };
        let found = gather_findings(session, None, &filter).await?;
        let unread = found.into_iter();
        let unread = unread.filter(|finding| finding.read_at.is_none());
        Ok(unread
            .map(|finding| (finding.key.reference_id.clone(), finding))
            .collect())
    }

    fn print<S: Row, R: Row>(
        &self,
        session: &Session,
        reasons: impl Iterator<Item = Option<&'static str>>,
        summary: &[S],
        orders: &[R],
    ) -> Result<(), Failure> {
        let (mut selected, mut left_out) = (0, BTreeMap::new());
        for reason in reasons {
            selected += 1;
            if let Some(reason) = reason {
                *left_out.entry(reason).or_default() += 1;
            }
        }
        let counted = selected - left_out.values().sum::<usize>();
        let mut said = format!("{selected} orders selected, {counted} counted");
        for (reason, count) in &left_out {
            said.push_str(&format!(", {count} left out ({reason})"));
        }
        match session.format {
            Format::Json => output::json(&Report {
                since: self.since,
                until: self.until,
                selected,
                counted,
                left_out,
                summary,
                orders,
            })?,
            Format::Csv => {
                output::note(&said);
                output::list(Format::Csv, orders)?;
            }
            Format::Table => {
                output::text(&table(S::COLUMNS, summary.iter().map(Row::cells)))?;
                output::text(&said)?;
            }
        }
        Ok(())
    }
}

/// How far it is, on a terminal.
#[derive(Default)]
struct Progress(usize);

impl Progress {
    fn by(&mut self, requests: usize) {
        self.0 += requests;
        if io::stderr().is_terminal() {
            // Whether anybody sees it is of no concern.
            let _ = write!(io::stderr(), "\r{} requests read", self.0);
        }
    }

    fn end(&self) {
        if io::stderr().is_terminal() {
            let _ = writeln!(io::stderr());
        }
    }
}

fn group(group: &Group) -> Vec<String> {
    vec![
        or_dash(group.persistence_type, |kind| kind.to_string()),
        or_dash(group.territory_owner, |owner| owner.to_string()),
        or_dash(group.month.as_ref(), ToString::to_string),
    ]
}

fn shown(seconds: i64) -> String {
    span(TimeDelta::seconds(seconds))
}

impl Row for OrderRow {
    const COLUMNS: &'static [&'static str] = &["org", "request", "order", "status"];
    const FIRST: &'static [&'static str] = &[
        "org",
        "reference_id",
        "external_reference",
        "persistence_type",
        "territory_owner",
        "month",
        "status",
        "opened",
        "closed",
        "gross_seconds",
        "left_out",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.org.to_string(),
            self.reference_id.to_string(),
            or_dash(self.external_reference.as_ref(), ToString::to_string),
            or_dash(self.status.as_ref(), ToString::to_string),
        ]
    }
}

impl Row for DeliveryRow {
    const COLUMNS: &'static [&'static str] = &["org", "request", "order", "status"];
    const FIRST: &'static [&'static str] = &[
        "org",
        "reference_id",
        "external_reference",
        "level",
        "verdict",
        "allowed_seconds",
        "taken_seconds",
        "error_seconds",
        "late_seconds",
    ];

    fn cells(&self) -> Vec<String> {
        self.order.cells()
    }
}

impl Row for PartySummary {
    const COLUMNS: &'static [&'static str] = &[
        "kind", "owner", "month", "party", "orders", "P50", "P95", "total", "working", "error",
    ];
    const FIRST: &'static [&'static str] = &["persistence_type", "territory_owner", "month"];

    fn cells(&self) -> Vec<String> {
        let mut cells = group(&self.group);
        cells.extend([self.party.to_string(), self.orders.to_string()]);
        cells.extend([self.p50_seconds, self.p95_seconds].map(shown));
        cells.extend([self.total_seconds, self.working_seconds].map(shown));
        cells.push(format!("± {}", shown(self.error_seconds)));
        cells
    }
}

impl Row for DeliverySummary {
    const COLUMNS: &'static [&'static str] = &[
        "level",
        "kind",
        "owner",
        "month",
        "orders",
        "met",
        "late",
        "open",
        "open, late",
        "share met",
        "P50",
        "P95",
        "latest by",
    ];
    const FIRST: &'static [&'static str] = &["level"];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.level.clone()];
        cells.extend(group(&self.group));
        let counts = [self.orders, self.met, self.late, self.open, self.open_late];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(or_dash(self.share_met, |share| {
            format!("{:.1} %", share * 100.0)
        }));
        cells.extend([self.p50_seconds, self.p95_seconds].map(|seconds| or_dash(seconds, shown)));
        cells.push(shown(self.worst_late_seconds));
        cells
    }
}
