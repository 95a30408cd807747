//! Commands that steer a running daemon: through the store, so they reach every replica and need no port.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::common::Session;
use super::exit::{Exit, Failure};
use super::output;
use super::time::until;
use crate::answers::acts::{self, NotDone, Triggered};
use crate::domain::ids::{AttemptId, JobName, Org, TriggerId};
use crate::domain::{AttemptState, RunOutcome};
use crate::store::StoreError;
use crate::store::controls::Pause;
use crate::store::runs::RunRow;

/// How often `--wait` looks.
const POLL: Duration = Duration::from_millis(250);

/// `trigger`.
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// The job to run now
    job: String,
    /// Only for this org (default: all)
    #[arg(long)]
    org: Option<String>,
    /// Wait for the run and end with its outcome (0 succeeded; 3 partial, held or paused; 1 otherwise)
    #[arg(long)]
    wait: bool,
    /// Give up waiting after so long
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    wait_timeout: Duration,
    /// Why, for the audit
    #[arg(long, default_value = "triggered by hand")]
    reason: String,
}

/// Which job, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Scope {
    /// The job
    job: Option<String>,
    /// Every job
    #[arg(long)]
    all: bool,
}

/// `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    scope: Scope,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
    /// When it ends by itself: a time from now ("2h") or an instant ("2026-11-27 22:00", tomorrow, 22:00; local time, or RFC 3339); default: when resumed
    #[arg(long, value_name = "T")]
    until: Option<String>,
    /// Also end a pause sooner that is in force for longer
    #[arg(long)]
    replace: bool,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    scope: Scope,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The job that the guard holds
    job: String,
    /// For this org
    #[arg(long)]
    org: String,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// `attempts settle`.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// The attempt
    id: AttemptId,
    #[command(flatten)]
    verdict: SettleVerdict,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// What a person found out.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SettleVerdict {
    /// The write had its effect
    #[arg(long)]
    confirmed: bool,
    /// The write had no effect: it may be tried again
    #[arg(long)]
    ineffective: bool,
}

impl Scope {
    fn job(&self, session: &Session) -> Result<Option<JobName>, Failure> {
        match &self.job {
            Some(name) => Ok(Some(session.job(name)?.name.clone())),
            None => Ok(None),
        }
    }
}

/// Asks the daemon for a run; waits for it if told to.
pub async fn trigger(session: &Session, args: &TriggerArgs) -> Result<Exit, Failure> {
    let job = session.job(&args.job)?.name.clone();
    let orgs = session.orgs(args.org.as_deref())?;
    let actor = session.actor(&args.reason).await?;
    let Triggered { asked, mut paused } = acts::trigger(session, &job, &orgs, &actor).await?;
    if !args.wait {
        let words = format!(
            "asked for {} run(s) of {job}; see `tesa-reconciler runs --job {job}`",
            asked.len()
        );
        let triggers: Vec<_> = asked
            .iter()
            .map(|(org, id)| json!({"org": org, "trigger_id": id}))
            .collect();
        let told = json!({"action": "trigger", "job_name": job, "triggers": triggers, "who": actor.who, "reason": actor.reason});
        output::changed(session.format, &told, &words)?;
        if let Some(pause) = paused {
            output::note(&format!(
                "{}: it looks, and withholds its writes",
                show_pause(&job, &pause)
            ));
        }
        return Ok(Exit::Done);
    }
    let waiting = wait_for_all(session, &asked);
    let runs = tokio::time::timeout(args.wait_timeout, waiting)
        .await
        .map_err(|_| {
            Failure::new(
                Exit::Failed,
                format!(
                    "no outcome within {:?}; the runs go on, see `runs`",
                    args.wait_timeout
                ),
            )
        })??;
    output::list(session.format, &runs)?;
    let exit = runs
        .iter()
        .map(|run| Exit::from(run.outcome.unwrap_or(RunOutcome::Failed)))
        .fold(Exit::Done, Exit::worse);
    // Paused before it, or while it ran.
    if paused.is_none() {
        paused = acts::pause_of(session, &job).await?;
    }
    let Some(pause) = paused else {
        return Ok(exit);
    };
    for run in &runs {
        let withheld = match run.summary.trouble.as_str() {
            "" => "nothing wanted a write",
            trouble => trouble,
        };
        output::note(&format!(
            "{} for {}: {withheld}",
            show_pause(&job, &pause),
            run.org
        ));
    }
    Ok(exit.worse(Exit::PartialOrHeld))
}

fn show_pause(job: &JobName, pause: &Pause) -> String {
    format!("{job} is paused ({}, {})", pause.reason, pause.who)
}

async fn wait_for_all(
    session: &Session,
    asked: &[(Org, TriggerId)],
) -> Result<Vec<RunRow>, Failure> {
    let mut runs = Vec::new();
    for (_, id) in asked {
        loop {
            let run = match session
                .store
                .trigger(*id)
                .await?
                .and_then(|trigger| trigger.run_id)
            {
                Some(run) => session.store.run(run).await?,
                None => None,
            };
            if let Some(run) = run.filter(|run| run.outcome.is_some()) {
                runs.push(run);
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(runs)
}

/// Stops new writes of a job, or of all, on every replica.
pub async fn pause(session: &Session, args: &PauseArgs) -> Result<(), Failure> {
    let job = args.scope.job(session)?;
    let now = session.now();
    let end = args
        .until
        .as_deref()
        .map(|text| until(text, now))
        .transpose()?;
    let actor = session.actor(&args.reason).await?;
    let paused = acts::pause(session, job.as_ref(), end, args.replace, &actor).await;
    paused.map_err(|error| match error {
        NotDone::Store(error @ StoreError::Refused { .. }) => {
            let message = format!("{error}; with `--replace` it ends as you say");
            Failure::new(Exit::Failed, message)
        }
        error => error.into(),
    })?;
    let told = json!({"action": "pause", "job_name": job, "until": end, "who": actor.who, "reason": actor.reason});
    let end = end.map_or_else(
        || "until resumed".to_owned(),
        |end| format!("until {}", output::instant(end)),
    );
    let scope = args.scope.job.as_deref().unwrap_or("--all");
    let words = format!(
        "paused {} {end}; go on with `tesa-reconciler resume {scope} --reason …`",
        acts::named(job.as_ref())
    );
    Ok(output::changed(session.format, &told, &words)?)
}

/// Lets a job, or all, go on.
pub async fn resume(session: &Session, args: &ResumeArgs) -> Result<(), Failure> {
    let job = args.scope.job(session)?;
    let actor = session.actor(&args.reason).await?;
    let left = acts::resume(session, job.as_ref(), &actor).await?;
    let told = json!({"action": "resume", "job_name": job, "who": actor.who, "reason": actor.reason, "left": left});
    let words = format!("resumed {}", acts::named(job.as_ref()));
    output::changed(session.format, &told, &words)?;
    if !left.is_empty() {
        let scopes: Vec<String> = left
            .iter()
            .map(|pause| acts::named(pause.job_name.as_ref()))
            .collect();
        output::note(&format!("still paused: {}", scopes.join(", ")));
    }
    Ok(())
}

/// Lets a held job go on.
pub async fn release(session: &Session, args: &ReleaseArgs) -> Result<(), Failure> {
    let job = session.job(&args.job)?.name.clone();
    let orgs = session.orgs(Some(&args.org))?;
    for org in orgs {
        let actor = session.actor(&args.reason).await?;
        acts::release(session, &job, &org, &actor).await?;
        let words = acts::released(&job, &org);
        let told = json!({"action": "release", "job_name": job, "org": org, "who": actor.who, "reason": actor.reason});
        output::changed(session.format, &told, &words)?;
    }
    Ok(())
}

/// A person settles what reading could not.
pub async fn settle(session: &Session, args: &SettleArgs) -> Result<(), Failure> {
    let to = if args.verdict.confirmed {
        AttemptState::Confirmed
    } else {
        AttemptState::Ineffective
    };
    let actor = session.actor(&args.reason).await?;
    acts::settle(session, args.id, to, &actor).await?;
    let words = format!("attempt {} is {to}", args.id);
    let told = json!({"action": "settle", "id": args.id, "state": to, "who": actor.who, "reason": actor.reason});
    Ok(output::changed(session.format, &told, &words)?)
}
