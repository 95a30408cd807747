//! One event as one line for people: the library's own line, and at its end where in a trace it was said.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{Look, timestamp};
use crate::clock::SharedClock;
use crate::telemetry::traces;

/// Writes events for people.
pub(super) struct Lines(Format<Full, Timer>);

impl Lines {
    /// With colours or without; the target is left out.
    pub(super) fn new(look: Look, clock: SharedClock) -> Self {
        let format = Format::default().with_timer(Timer(clock));
        Self(format.with_target(false).with_ansi(look.colour))
    }
}

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
        let Some((trace_id, span_id)) = traces::here() else {
            return self.0.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end_matches('\n');
        writeln!(writer, "{line} trace_id={trace_id} span_id={span_id}")
    }
}

pub(super) struct Timer(SharedClock);

impl FormatTime for Timer {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&timestamp(&self.0))
    }
}
