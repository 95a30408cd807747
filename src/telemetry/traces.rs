//! Traces: OpenTelemetry spans of runs, sent to a collector over OTLP (HTTP, protobuf). Off unless configured.
//!
//! Nothing waits for a collector. A span that ends goes into a bounded queue (a full one drops it), a thread hands the
//! queue on in batches, and the end of the process waits [`FLUSH`] for the rest at most. Which runs are traced is
//! decided when they begin, and holds for everything within them.
//!
//! The SDK reads the time and makes ids by itself: no decision of ours hangs on either.

mod collector;
mod exporter;
mod spans;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits,
};
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use self::collector::Collector;
use self::exporter::Exporter;
use crate::config;
use crate::domain::ids::ReplicaId;
use crate::tesamanager::TlsError;

pub use spans::{
    TARGET, act, acted, attempt, call, call_answered, call_failed, call_sent, here, run_ended,
    traceparent,
};

/// The end of the process waits so long for the last spans at most.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Spans that wait for the next delivery; what comes beyond is dropped.
const QUEUE: usize = 2048;

/// Spans of one delivery.
const BATCH: usize = 512;

/// A span waits so long at most for its delivery to begin.
const EVERY: Duration = Duration::from_secs(5);

/// Who we are, to a collector.
const SERVICE: &str = "tesa-reconciler";

/// Why spans can't be sent. All of these are faults of the configuration or the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TracesError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address, which the configuration has checked before.
    #[error("traces.endpoint is not a URL")]
    Address,
}

/// Traces that are on. Clones share them.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Switches them on, in the name of this replica, without calling anybody. Spans are delivered on the runtime
    /// that this is called in.
    ///
    /// # Errors
    /// Faults of the configuration or the machine.
    pub fn start(settings: &config::Traces, replica: &ReplicaId) -> Result<Self, TracesError> {
        let runtime = tokio::runtime::Handle::current();
        let exporter = Exporter::new(Collector::new(settings)?, runtime);
        // All of it is said, because what is left out comes from variables that the configuration does not show.
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(EVERY)
            .build();
        let runs = Sampler::TraceIdRatioBased(settings.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::new(exporter, batches))
            .with_sampler(Sampler::ParentBased(Box::new(runs)))
            .with_span_limits(SpanLimits::default())
            .with_resource(resource(replica))
            .build();
        Ok(Self { provider })
    }

    /// Delivers what waits, within this time at most, and ends: later spans go nowhere.
    pub async fn flush(&self, within: Duration) {
        let provider = self.provider.clone();
        let flushing =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within).is_ok());
        // The thread keeps to the time itself; should it not, nobody waits for it.
        let flushed = tokio::time::timeout(within, flushing).await;
        if !matches!(flushed, Ok(Ok(true))) {
            tracing::warn!(?within, "the last spans were not all delivered");
        }
    }
}

/// What makes traces of a log's spans. Its filter is its own: the log's has no say in it.
///
/// With traces off it is there all the same, and its filter refuses everything: a layer that is missing counts as one
/// that wants to see all, and then no span would be free any more.
pub fn layer<S>(traces: Option<&Traces>) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let on = traces.is_some();
    let highest = if on {
        LevelFilter::INFO
    } else {
        LevelFilter::OFF
    };
    let filter = FilterFn::new(move |metadata| on && spans::is_exported(metadata));
    let layer = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    });
    layer.with_filter(filter.with_max_level_hint(highest))
}

fn resource(replica: &ReplicaId) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes([
            KeyValue::new("service.name", SERVICE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", replica.to_string()),
        ])
        .build()
}

/// How long a stop may wait for the last spans: what the drain left of its time, and never longer than [`FLUSH`].
pub fn flush_within(drain_timeout: Duration, drained_for: Duration) -> Duration {
    drain_timeout.saturating_sub(drained_for).min(FLUSH)
}

#[cfg(test)]
mod tests;
