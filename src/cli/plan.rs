//! `plan`: every decision that a run would make now, with its reason. Reads only.

use std::io::IsTerminal;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::common::{Common, find_jobs, find_orgs};
use super::exit::Failure;
use super::output::{self, Format, or_dash, or_not_read};
use crate::app;
use crate::clock::SystemClock;
use crate::domain::ids::{JobName, Org};
use crate::domain::{Decision, Trigger};
use crate::reconcile::plan::Item;
use crate::reconcile::runner::RunOrder;
use crate::reconcile::survey::PlanSink;
use crate::store::{Actor, StoreError};

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Only this job (may be given several times)
    #[arg(long = "job", value_name = "NAME")]
    jobs: Vec<String>,
    /// Only this org
    #[arg(long)]
    org: Option<String>,
    /// Show what is left alone too, not only what is acted on or flagged
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    job_name: JobName,
    org: Org,
    /// The request itself was read, now or before: where it wasn't, a number that is null is not known yet.
    read: bool,
    #[serde(flatten)]
    decision: Decision,
}

impl output::Row for Line {
    const COLUMNS: &'static [&'static str] = &[
        "job", "org", "request", "order", "status", "rule", "decision", "why",
    ];
    const FIRST: &'static [&'static str] = &[
        "job_name",
        "org",
        "reference_id",
        "external_reference",
        "status",
        "rule",
        "verdict",
        "explanation",
    ];
    fn cells(&self) -> Vec<String> {
        let decision = &self.decision;
        vec![
            self.job_name.to_string(),
            self.org.to_string(),
            decision.reference_id.to_string(),
            or_not_read(decision.external_reference.as_ref(), self.read),
            or_dash(decision.status.as_ref(), ToString::to_string),
            or_dash(decision.rule.as_ref(), ToString::to_string),
            decision.verdict.label().to_owned(),
            decision.explanation.clone(),
        ]
    }
}

struct Collector {
    lines: Vec<Line>,
    job_name: JobName,
    org: Org,
    /// Reading many requests takes its time under the rate limit; a person at a terminal is told.
    shows_progress: bool,
}

#[async_trait]
impl PlanSink for Collector {
    async fn accept(&mut self, items: Vec<Item>) -> Result<(), StoreError> {
        let (job_name, org) = (&self.job_name, &self.org);
        if self.shows_progress {
            let so_far = self.lines.len() + items.len();
            output::note(&format!("  {job_name} {org}: {so_far} looked at"));
        }
        self.lines.extend(items.into_iter().map(|item| Line {
            job_name: job_name.clone(),
            org: org.clone(),
            read: item.request.is_some(),
            decision: item.decision,
        }));
        Ok(())
    }
}

/// Prints the plan.
pub async fn run(common: &Common, args: &PlanArgs) -> Result<(), Failure> {
    let config = common.load()?;
    let jobs = find_jobs(&config, &args.jobs)?;
    let orgs = find_orgs(&config, args.org.as_deref())?;
    let reader = app::Reader::open(&config, Arc::new(SystemClock)).await?;
    output::note(&format!(
        "asking at most {} requests a second and org: a tenth of the rate, to leave the rest to the daemon",
        reader.reads_per_second
    ));
    let mut lines = Vec::new();
    for job in jobs {
        for org in &orgs {
            let order = RunOrder {
                job: Arc::new(job.clone()),
                org: org.clone(),
                trigger: Trigger::Manual,
                slot: None,
                actor: Actor::daemon("plan"),
            };
            let mut sink = Collector {
                lines: Vec::new(),
                job_name: job.name.clone(),
                org: org.clone(),
                shows_progress: std::io::stderr().is_terminal(),
            };
            let stop = CancellationToken::new();
            reader.reconciler.plan(&order, &stop, &mut sink).await?;
            lines.append(&mut sink.lines);
        }
    }
    lines.sort_by(|a, b| {
        let key = |line: &Line| {
            (
                line.job_name.clone(),
                line.org.clone(),
                line.decision.reference_id.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    summary(&lines);
    if !args.all && common.format != Format::Json {
        lines.retain(|line| {
            !matches!(
                line.decision.verdict.label(),
                "not_stuck" | "nothing_wrong" | "final_status" | "ignore"
            )
        });
    }
    Ok(output::list(common.format, &lines)?)
}

fn summary(lines: &[Line]) {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for line in lines {
        *counts.entry(line.decision.verdict.label()).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(label, count)| format!("{count} {label}"))
        .collect();
    let counts = if counts.is_empty() {
        "nothing is stuck".to_owned()
    } else {
        counts.join(", ")
    };
    output::note(&format!(
        "{} requests looked at: {counts}. Nothing was written.",
        lines.len()
    ));
}
