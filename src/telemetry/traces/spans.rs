//! The spans: their names, their attributes, and what of them goes upstream and into the log.
//!
//! A run, within it each request acted on, within either each upstream call. The span `run` is the log's as well; the
//! others stand under a target of their own that the log's filter switches off, so that a line of the log looks the
//! same with traces and without. Attributes are what the log may say: names, numbers, closed sets. No reference, no
//! text of the upstream, no address with a path.
//!
//! With traces off nobody is interested in that target, so a span costs a look at a flag.

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status, TraceContextExt as _, TraceId};
use tracing::field::Empty;
use tracing::{Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use crate::domain::ids::Org;
use crate::domain::{AttemptId, AttemptState, Operation, RunOutcome, Trigger, Verdict};
use crate::store::runs::RunSummary;

/// The target of spans that are for traces only.
pub const TARGET: &str = "tesa_traces";

/// Is it one of ours? Events are not: their texts stay in the log.
pub(super) fn is_exported(metadata: &Metadata<'_>) -> bool {
    let run = metadata.name() == "run" && metadata.target().starts_with("tesa_reconciler");
    metadata.is_span() && (run || metadata.target() == TARGET)
}

/// The run that is the current span ended so.
pub fn run_ended(trigger: Trigger, outcome: RunOutcome, summary: &RunSummary) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.set_attribute("trigger", trigger.as_str());
    span.set_attribute("outcome", outcome.as_str());
    for (name, number) in [
        ("selected", summary.selected),
        ("observed", summary.observed),
        ("unchanged", summary.unchanged),
        ("to_act", summary.to_act),
        ("sent", summary.sent),
        ("flagged", summary.flagged),
        ("skipped", summary.skipped),
        ("capped", summary.capped),
        ("failed", summary.failed),
    ] {
        span.set_attribute(name, i64::try_from(number).unwrap_or(i64::MAX));
    }
    if matches!(outcome, RunOutcome::Failed | RunOutcome::Lost) {
        // The reason may quote somebody: it is in the log, under the same trace id.
        span.set_status(Status::error(outcome.as_str()));
    }
}

/// One request is acted on.
pub fn act(operation: Operation, org: &Org) -> Span {
    tracing::info_span!(
        target: TARGET,
        "act",
        operation = operation.as_str(),
        %org,
        attempt = Empty,
        state = Empty,
        verdict = Empty,
        otel.status_code = Empty,
    )
}

/// It came to this; without a verdict it broke off.
pub fn acted(span: &Span, verdict: Option<&Verdict>, failed: bool) {
    span.record("verdict", verdict.map(Verdict::label));
    if failed {
        span.record("otel.status_code", "ERROR");
    }
}

/// The request that is the current span has a row in the ledger, which is in this state.
pub fn attempt(attempt: AttemptId, state: AttemptState) {
    let span = Span::current();
    span.record("attempt", attempt.0);
    span.record("state", state.as_str());
}

/// A call to the upstream; `nth` counts the tries of one question from 1.
pub fn call(operation: &'static str, org: &Org, correlation_id: Uuid, nth: u32) -> Span {
    tracing::info_span!(
        target: TARGET,
        "upstream_call",
        otel.name = operation,
        otel.kind = "client",
        otel.status_code = Empty,
        operation,
        %org,
        %correlation_id,
        "try" = i64::from(nth),
        http.request.method = Empty,
        server.address = Empty,
        server.port = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// What is sent, and to whom.
pub fn call_sent(span: &Span, method: &str, host: Option<&str>, port: Option<u16>) {
    span.record("http.request.method", method);
    span.record("server.address", host);
    span.record("server.port", port.map(i64::from));
}

/// An answer came.
pub fn call_answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 400 {
        span.record("error.type", i64::from(status));
        span.record("otel.status_code", "ERROR");
    }
}

/// None came; `code` is one of our own words.
pub fn call_failed(span: &Span, code: &'static str) {
    span.record("error.type", code);
    span.record("otel.status_code", "ERROR");
}

/// The W3C `traceparent` for a call that is this span; none while traces are off.
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let ids = span.span_context();
    // Of the flags only `sampled` is ours to say; the rest of the byte belongs to later versions.
    let sampled = u8::from(ids.is_sampled());
    ids.is_valid()
        .then(|| format!("00-{}-{}-{sampled:02x}", ids.trace_id(), ids.span_id()))
}

/// Where this thread is in a trace that a collector will get; for the log.
pub fn here() -> Option<(TraceId, SpanId)> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        let ids = span.span_context();
        (ids.is_valid() && ids.is_sampled()).then(|| (ids.trace_id(), ids.span_id()))
    })
}
