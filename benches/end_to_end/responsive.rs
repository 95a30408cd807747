//! Whether a daemon in the middle of a large sweep still listens: to a prober, and to people.
//!
//! People reach it through the store. A pause and a trigger are in force from their commit on, for a pause: every
//! write asks for pauses within the transaction of its intent. A trigger's run begins when the daemon has had word of
//! it and claimed the run; the time is compared with that of a daemon at rest.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tesa_reconciler::clock::{Clock as _, SystemClock};
use tesa_reconciler::domain::ids::{JobName, Org};
use tesa_reconciler::store::{Actor, Store};
use tokio_util::sync::CancellationToken;

use super::daemon::{Daemon, Sweep, flag_events, housekeeping};
use super::figures::Target::{AtMost, None as NoTarget};
use super::figures::{Table, millis, percentile};
use super::postgres::Postgres;
use super::sandbox::{ORG, Sandbox};
use super::{Options, floor};

const LIVEZ_EVERY: Duration = Duration::from_millis(20);
const STEER_EVERY: Duration = Duration::from_millis(200);
/// How long a daemon at rest is steered, for comparison.
const AT_REST: Duration = Duration::from_secs(10);

/// What people and probers waited.
#[derive(Default)]
struct Waited {
    livez: Vec<Duration>,
    pause: Vec<Duration>,
    trigger: Vec<Duration>,
    claim: Vec<Duration>,
}

/// Steers each store's daemon while it sweeps.
pub async fn during_a_sweep(
    options: &Options,
    postgres: Option<&Postgres>,
    table: &mut Table,
) -> Result<()> {
    let sandbox = Sandbox::start(&options.program, options.ids).await?;
    for store in &options.stores {
        let url = match postgres.filter(|_| store == "postgres") {
            Some(server) => Some(server.database().await?),
            None => None,
        };
        let jobs = format!("{}{}", flag_events(), housekeeping());
        let mut daemon = Daemon::start(&options.program, &sandbox, url.as_deref(), &jobs).await?;
        let rest = CancellationToken::new();
        let (at_rest, ()) = tokio::join!(steer(&daemon, &rest), async {
            tokio::time::sleep(AT_REST).await;
            rest.cancel();
        });
        let at_rest = at_rest?;
        let name = JobName::new("flag-events");
        ask(&*daemon.store, &name).await?;
        let (swept, busy) = sweep_and_steer(&mut daemon).await?;
        eprintln!(
            "{store}: steered while {} were read",
            swept.run.summary.observed
        );
        let mut row = |what: &str, values: &[Duration], target| {
            let figure = format!("99th percentile during a sweep, {store}: {what}");
            let value = percentile(&millis(values), 99);
            table.add(&figure, value, " ms", target);
        };
        row("/livez", &busy.livez, AtMost(100.0));
        row("pause in force", &busy.pause, AtMost(100.0));
        row("trigger accepted", &busy.trigger, AtMost(100.0));
        row("trigger to its run", &busy.claim, NoTarget);
        row("trigger to its run, at rest", &at_rest.claim, NoTarget);
        let claim = |waited: &Waited| percentile(&millis(&waited.claim), 99);
        let figure = format!("99th percentile during a sweep, {store}: added to a trigger");
        table.add(
            &figure,
            claim(&busy) - claim(&at_rest),
            " ms",
            AtMost(100.0),
        );
        daemon.stop().await?;
    }
    Ok(())
}

/// Steers until the large run ends, and waits for that by asking for the run's row.
async fn sweep_and_steer(daemon: &mut Daemon) -> Result<(Sweep, Waited)> {
    let done = CancellationToken::new();
    let steering = {
        let (store, pages) = (daemon.store.clone(), daemon.pages.clone());
        let done = done.clone();
        tokio::spawn(async move { steer_at(&*store, &pages, &done).await })
    };
    let before = daemon.process.cpu()?;
    let swept = daemon.ended(Some("retry-stuck"), before).await;
    done.cancel();
    Ok((swept?, steering.await??))
}

async fn steer(daemon: &Daemon, until: &CancellationToken) -> Result<Waited> {
    steer_at(&*daemon.store, &daemon.pages, until).await
}

async fn steer_at(store: &dyn Store, pages: &str, until: &CancellationToken) -> Result<Waited> {
    let (livez, steered) = tokio::join!(probe(pages, until), people(store, until));
    Ok(Waited {
        livez: livez?,
        ..steered?
    })
}

async fn probe(pages: &str, until: &CancellationToken) -> Result<Vec<Duration>> {
    let (client, url) = (floor::client(pages, 1)?, format!("{pages}/livez"));
    let mut waited = Vec::new();
    while !until.is_cancelled() {
        let begun = Instant::now();
        client
            .get(&url)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        waited.push(begun.elapsed());
        tokio::time::sleep(LIVEZ_EVERY).await;
    }
    Ok(waited)
}

async fn people(store: &dyn Store, until: &CancellationToken) -> Result<Waited> {
    let (job, mut waited) = (JobName::new("housekeeping"), Waited::default());
    let mut triggers = Vec::new();
    let other = JobName::new("another");
    while !until.is_cancelled() {
        let begun = Instant::now();
        store
            .pause(Some(&other), None, &actor(), SystemClock.now())
            .await?;
        waited.pause.push(begun.elapsed());
        let begun = Instant::now();
        triggers.push(ask(store, &job).await?);
        waited.trigger.push(begun.elapsed());
        tokio::time::sleep(STEER_EVERY).await;
    }
    // The last ones' runs begin within a second or two.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for id in triggers {
        let row = store.trigger(id).await?.context("the trigger is gone")?;
        if let Some(run) = row.run_id {
            let run = store.run(run).await?.context("the run is gone")?;
            let claimed = run.started_at - row.requested_at;
            waited.claim.push(claimed.to_std().unwrap_or_default());
        }
    }
    Ok(waited)
}

async fn ask(store: &dyn Store, job: &JobName) -> Result<tesa_reconciler::domain::ids::TriggerId> {
    let now = SystemClock.now();
    Ok(store
        .request_trigger(job, &Org::new(ORG), &actor(), now)
        .await?)
}

fn actor() -> Actor {
    Actor {
        who: "cli:bench".to_owned(),
        reason: "to see how long it takes".to_owned(),
    }
}
