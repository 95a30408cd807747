//! What the batch processor hands its spans to.
//!
//! It runs in a thread of the processor's own, so that nobody who ends a span waits for the collector; the delivery
//! itself is a task of the process's runtime. What the collector does not take is given up and counted: traces are
//! worth no memory that grows. An outage is told once when it begins and once when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;
use tokio::runtime::Handle;

use super::collector::{Collector, Undelivered};
use crate::telemetry::record;

/// See the module.
#[derive(Debug)]
pub(super) struct Exporter {
    collector: Arc<Collector>,
    runtime: Handle,
    resource: ResourceAttributesWithSchema,
    failing: AtomicBool,
}

impl Exporter {
    /// Delivers on `runtime`.
    pub(super) fn new(collector: Collector, runtime: Handle) -> Self {
        Self {
            collector: Arc::new(collector),
            runtime,
            resource: ResourceAttributesWithSchema::default(),
            failing: AtomicBool::new(false),
        }
    }

    pub(super) fn note(&self, spans: u64, delivered: &Result<(), Undelivered>) {
        let lost = match delivered {
            Ok(()) => 0,
            Err(Undelivered::InPart(rejected)) => spans.min(*rejected),
            Err(_) => spans,
        };
        record::trace_spans("exported", spans - lost);
        record::trace_spans("failed", lost);
        let endpoint = self.collector.endpoint();
        let failed_before = self.failing.swap(delivered.is_err(), Ordering::Relaxed);
        match delivered {
            Err(error) if !failed_before => tracing::warn!(
                endpoint,
                %error,
                "the trace collector does not take spans; they are given up until it does"
            ),
            Ok(()) if failed_before => {
                tracing::info!(endpoint, "the trace collector takes spans again");
            }
            _ => {}
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let (collector, body) = (Arc::clone(&self.collector), request.encode_to_vec());
        // The thread that asks is not the runtime's, and the HTTP client wants to be.
        let delivery = self
            .runtime
            .spawn(async move { collector.post(body).await });
        let delivered = delivery.await.unwrap_or(Err(Undelivered::Ending));
        self.note(spans, &delivered);
        delivered.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
