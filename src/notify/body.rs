//! What a notification says, in both forms. Pure.
//!
//! Everything in it is a word of ours, a name from the configuration, a number, an instant, or a code or an impersonal
//! attribute that a guard's reason names.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::config::NotifyFormat;
use crate::domain::{Alert, AlertState};
use crate::store::controls::Latch;
use crate::store::notices::Notice;

/// The version of the JSON form; it grows when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Alertmanager forgets an alert that nobody renews, so that one whose sender died does not stand for ever. Longer
/// than a restart takes; the renewal comes every minute.
const VALID_FOR: TimeDelta = TimeDelta::minutes(15);

/// The body that tells of one notice. What the guard holds is told with its reason, out of the `latches` that stand.
pub fn single(
    format: NotifyFormat,
    notice: &Notice,
    latches: &[Latch],
    now: DateTime<Utc>,
) -> Value {
    match format {
        NotifyFormat::Json => plain(notice, latches),
        NotifyFormat::Alertmanager => Value::Array(vec![alertmanager(notice, latches, now)]),
    }
}

/// The body that renews what Alertmanager knows already.
pub fn renewal(notices: &[Notice], latches: &[Latch], now: DateTime<Utc>) -> Value {
    let alerts = notices
        .iter()
        .map(|notice| alertmanager(notice, latches, now));
    Value::Array(alerts.collect())
}

fn plain(notice: &Notice, latches: &[Latch]) -> Value {
    json!({
        "version": VERSION,
        "state": notice.state,
        "alert": notice.alert.name(),
        "labels": labels(&notice.alert),
        "summary": summary(notice, latches),
        "since": instant(notice.since),
        "at": instant(notice.changed_at),
        "count": notice.count,
        "hint": hint(&notice.alert),
    })
}

// Labels are an alert's identity there, so nothing that changes may be among them.
fn alertmanager(notice: &Notice, latches: &[Latch], now: DateTime<Utc>) -> Value {
    let (name, severity) = match notice.alert {
        Alert::GuardHeld { .. } => ("TesaReconcilerGuardHeld", "critical"),
        Alert::NeedsHuman { .. } => ("TesaReconcilerNeedsHuman", "warning"),
        Alert::GivenUp { .. } => ("TesaReconcilerGivenUp", "warning"),
        Alert::NewFindingKind { .. } => ("TesaReconcilerNewFindingKind", "info"),
    };
    let mut labels = labels(&notice.alert);
    labels.insert("alertname".to_owned(), name.into());
    labels.insert("severity".to_owned(), severity.into());
    let ends = match notice.state {
        AlertState::Open => now + VALID_FOR,
        // An end before the beginning (two machines, two clocks) would be refused.
        AlertState::Resolved => notice.changed_at.max(notice.since),
    };
    json!({
        "labels": labels,
        "annotations": { "summary": summary(notice, latches), "description": hint(&notice.alert) },
        "startsAt": instant(notice.since),
        "endsAt": instant(ends),
    })
}

fn labels(alert: &Alert) -> Map<String, Value> {
    let mut labels = Map::new();
    labels.insert("org".to_owned(), alert.org().as_str().into());
    match alert {
        Alert::GuardHeld { job_name, .. } => {
            labels.insert("job_name".to_owned(), job_name.as_str().into());
        }
        Alert::NewFindingKind { kind, .. } => {
            labels.insert("kind".to_owned(), kind.as_str().into());
        }
        Alert::NeedsHuman { .. } | Alert::GivenUp { .. } => {}
    }
    labels
}

fn summary(notice: &Notice, latches: &[Latch]) -> String {
    let n = notice.count;
    match (&notice.alert, notice.state) {
        (Alert::GuardHeld { org, job_name }, AlertState::Open) => {
            let mut latches = latches.iter();
            let latch = latches.find(|one| one.job_name == *job_name && one.org == *org);
            // It may have been released since the notice was made.
            let why = latch.map_or("too many requests want a write at once", |latch| {
                &latch.reason
            });
            format!("{job_name} is held for {org}: {why}; none is sent until a person releases it")
        }
        (Alert::GuardHeld { org, job_name }, AlertState::Resolved) => {
            format!("{job_name} is no longer held for {org}")
        }
        (Alert::NeedsHuman { org }, AlertState::Open) => {
            format!("{org}: the outcome of writes can't be settled by reading: {n}")
        }
        (Alert::NeedsHuman { org }, AlertState::Resolved) => {
            format!("{org}: no write waits for a person any more")
        }
        (Alert::GivenUp { org }, AlertState::Open) => {
            format!("{org}: requests given up after all attempts: {n}")
        }
        (Alert::GivenUp { org }, AlertState::Resolved) => {
            format!("{org}: no given-up request waits for a person any more")
        }
        (Alert::NewFindingKind { org, kind }, AlertState::Open) => {
            format!("{org}: there are open findings of the kind {kind}: {n}")
        }
        (Alert::NewFindingKind { org, kind }, AlertState::Resolved) => {
            format!("{org}: no open finding of the kind {kind} is left")
        }
    }
}

/// The command to run next.
fn hint(alert: &Alert) -> String {
    match alert {
        Alert::GuardHeld { org, job_name } => format!(
            "tesa-reconciler plan --job {job_name} --org {org}; when it is right: tesa-reconciler release {job_name} \
             --org {org} --reason WHY"
        ),
        Alert::NeedsHuman { org } => format!(
            "tesa-reconciler attempts --org {org} --state needs_human; then: tesa-reconciler attempts settle ID \
             (--confirmed|--ineffective) --reason WHY"
        ),
        Alert::GivenUp { org } => {
            format!("tesa-reconciler findings --org {org} --attention given_up")
        }
        Alert::NewFindingKind { org, kind } => {
            format!("tesa-reconciler findings --org {org} --kind {kind}")
        }
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
