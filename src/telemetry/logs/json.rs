//! One event as one JSON object, with the fields of its spans beside its own.
//!
//! The library's own JSON nests them (`span`, `spans`, `fields`); searching for a run in nested lists is a chore
//! in every log tool. If a name occurs twice, the innermost wins, and the log's own names always win.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::timestamp;
use crate::clock::SharedClock;
use crate::telemetry::traces;

/// Writes events as JSON; spans must be formatted by `JsonFields`.
pub(super) struct Lines(pub(super) SharedClock);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        let spans = context.event_scope().into_iter();
        for span in spans.flat_map(|scope| scope.from_root()) {
            if let Some(text) = span.extensions().get::<FormattedFields<N>>() {
                fields.0.extend(object(text));
            }
        }
        event.record(&mut fields);
        if let Some((trace_id, span_id)) = traces::here() {
            for (name, id) in [
                ("trace_id", trace_id.to_string()),
                ("span_id", span_id.to_string()),
            ] {
                fields.0.insert(name.to_owned(), id.into());
            }
        }

        let message = fields.0.remove("message").unwrap_or_default();
        let metadata = event.metadata();
        let target = fields.take_target_of_log();
        let target = target.unwrap_or_else(|| Value::from(metadata.target()));
        // The log's own names first, for people who read raw lines.
        let own = [
            ("timestamp", Value::from(timestamp(&self.0))),
            ("level", Value::from(metadata.level().as_str())),
            ("message", message),
            ("target", target),
        ];
        writer.write_char('{')?;
        for (name, value) in &own {
            fields.0.remove(*name);
            let comma = if *name == "timestamp" { "" } else { "," };
            write!(writer, "{comma}{}:{value}", Value::from(*name))?;
        }
        for (name, value) in fields.0 {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        writeln!(writer, "}}")
    }
}

/// A span's fields as `JsonFields` wrote them. What isn't an object is nothing.
fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    /// A record that came through the `log` crate carries its metadata in fields. Its target takes the place of
    /// the event's own, which is only `log`; the rest is noise.
    fn take_target_of_log(&mut self) -> Option<Value> {
        let target = self.0.remove("log.target");
        self.0.retain(|name, _| !name.starts_with("log."));
        target
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // A raw identifier is written without its prefix.
        let name = field.name().trim_start_matches("r#");
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}
