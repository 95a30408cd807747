//! Commands that steer a running daemon: through the store, so they reach every replica and need no port.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::common::Session;
use super::exit::{Exit, Failure};
use super::output;
use super::time::until;
use crate::app::ALIVE_WITHIN;
use crate::domain::ids::{AttemptId, JobName, Org, TriggerId};
use crate::domain::{AttemptState, RunOutcome};
use crate::store::StoreError;
use crate::store::attempts::Step;
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

fn shown(job: Option<&JobName>) -> String {
    job.map_or_else(|| "every job".to_owned(), |job| format!("job {job}"))
}

/// Asks the daemon for a run; waits for it if told to.
pub async fn trigger(session: &Session, args: &TriggerArgs) -> Result<Exit, Failure> {
    let job = session.job(&args.job)?.name.clone();
    let orgs = session.orgs(args.org.as_deref())?;
    let actor = session.actor(&args.reason).await?;
    let now = session.now();
    if session
        .store
        .live_replicas(now - ALIVE_WITHIN, now)
        .await?
        .is_empty()
    {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "no daemon is running on this store; start one, or use `tesa-reconciler run --once --job {job}`"
            ),
        ));
    }
    let mut paused = pause_of(session, &job).await?;
    let mut asked = Vec::new();
    for org in orgs {
        let id = session
            .store
            .request_trigger(&job, &org, &actor, now)
            .await?;
        asked.push((org, id));
    }
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
        paused = pause_of(session, &job).await?;
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

/// What keeps the job from writing, if it or everything is paused.
async fn pause_of(session: &Session, job: &JobName) -> Result<Option<Pause>, Failure> {
    let pauses = session.store.pauses(session.now()).await?;
    let mut pauses = pauses.into_iter();
    Ok(pauses.find(|pause| pause.job_name.as_ref().is_none_or(|name| name == job)))
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
    let (store, actor) = (&session.store, session.actor(&args.reason).await?);
    if args.replace {
        store.replace_pause(job.as_ref(), end, &actor, now).await?;
    } else {
        let paused = store.pause(job.as_ref(), end, &actor, now).await;
        paused.map_err(|error| match error {
            StoreError::Refused { .. } => {
                let message = format!("{error}; with `--replace` it ends as you say");
                Failure::new(Exit::Failed, message)
            }
            error => error.into(),
        })?;
    }
    let told = json!({"action": "pause", "job_name": job, "until": end, "who": actor.who, "reason": actor.reason});
    let end = end.map_or_else(
        || "until resumed".to_owned(),
        |end| format!("until {}", output::instant(end)),
    );
    let scope = args.scope.job.as_deref().unwrap_or("--all");
    let words = format!(
        "paused {} {end}; go on with `tesa-reconciler resume {scope} --reason …`",
        shown(job.as_ref())
    );
    Ok(output::changed(session.format, &told, &words)?)
}

/// Lets a job, or all, go on.
pub async fn resume(session: &Session, args: &ResumeArgs) -> Result<(), Failure> {
    let job = args.scope.job(session)?;
    let actor = session.actor(&args.reason).await?;
    let resumed = session
        .store
        .resume(job.as_ref(), &actor, session.now())
        .await?;
    if !resumed {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} was not paused; see `tesa-reconciler jobs`",
                shown(job.as_ref())
            ),
        ));
    }
    let left = session.store.pauses(session.now()).await?;
    let told = json!({"action": "resume", "job_name": job, "who": actor.who, "reason": actor.reason, "left": left});
    let words = format!("resumed {}", shown(job.as_ref()));
    output::changed(session.format, &told, &words)?;
    if !left.is_empty() {
        let scopes: Vec<String> = left
            .iter()
            .map(|pause| shown(pause.job_name.as_ref()))
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
        if !session
            .store
            .release_guard(&job, &org, &actor, session.now())
            .await?
        {
            return Err(Failure::new(
                Exit::Failed,
                format!("the guard does not hold {job} for {org}; see `tesa-reconciler jobs`"),
            ));
        }
        let words = format!(
            "released {job} for {org}: what was due by now goes from the next run on, within the caps, whenever it is first seen; \
             what becomes due later can be held again"
        );
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
    let attempt =
        session.store.attempt(args.id).await?.ok_or_else(|| {
            Failure::new(Exit::Failed, format!("there is no attempt {}", args.id))
        })?;
    if attempt.state != AttemptState::NeedsHuman {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "attempt {} is {}; only one that is needs_human waits for a person",
                attempt.id, attempt.state
            ),
        ));
    }
    let actor = session.actor(&args.reason).await?;
    let step = Step {
        to,
        detail: format!("settled by a person: {}", actor.reason),
        http_status: attempt.http_status,
        verify_at: None,
        confirmed: None,
    };
    session
        .store
        .advance(args.id, &step, &actor, session.now())
        .await?;
    let words = format!("attempt {} is {to}", args.id);
    let told = json!({"action": "settle", "id": args.id, "state": to, "who": actor.who, "reason": actor.reason});
    Ok(output::changed(session.format, &told, &words)?)
}
