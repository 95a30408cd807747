//! The recorder behind [`super::record`]: its buckets and descriptions come from the catalogue.
//!
//! Only `main` installs one for the process. Tests build their own and use it with
//! `metrics::with_local_recorder`, as often as they like.

use std::time::Duration;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio_util::sync::CancellationToken;

use super::catalogue::{self, Kind};
use super::record;

/// How often the recorder sorts its samples into buckets. Without it, they pile up while nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Why the metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be set up: {0}")]
pub struct InstallError(#[from] BuildError);

/// A recorder with every metric described.
pub fn recorder() -> Result<PrometheusRecorder, InstallError> {
    // Recommended naming adds `_total` only where it is missing, so the catalogue's names stay as they are; and
    // no unit is given, because the names carry it.
    let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
    for metric in catalogue::ALL {
        if let Kind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }
    let recorder = builder.build_recorder();
    metrics::with_local_recorder(&recorder, describe);
    Ok(recorder)
}

fn describe() {
    for metric in catalogue::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Makes a recorder that of the process; fails if there is one already. Needs [`upkeep`] to run beside it.
pub fn install() -> Result<PrometheusHandle, InstallError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(BuildError::from)?;
    record::recorder_is_final();
    Ok(handle)
}

/// Keeps the recorder small until `stop`. Cancel safe.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    every(UPKEEP_EVERY, stop, || handle.run_upkeep()).await;
}

async fn every(period: Duration, stop: CancellationToken, mut work: impl FnMut()) {
    while stop
        .run_until_cancelled(tokio::time::sleep(period))
        .await
        .is_some()
    {
        work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn upkeep_runs() {
        let (done, mut times) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let task = tokio::spawn(every(Duration::from_millis(1), stop.clone(), move || {
            done.send(()).unwrap();
        }));
        for _ in 0..3 {
            times.recv().await.unwrap();
        }
        stop.cancel();
        task.await.unwrap();
    }

    #[test]
    fn there_may_be_many_recorders_beside_each_other() {
        let (first, second) = (recorder().unwrap(), recorder().unwrap());
        metrics::with_local_recorder(&first, super::super::record::panicked);
        let counted = |recorder: &PrometheusRecorder| {
            let page = recorder.handle().render();
            page.contains("\ntesa_reconciler_panics_total 1\n")
        };
        assert!(counted(&first) && !counted(&second));
    }
}
