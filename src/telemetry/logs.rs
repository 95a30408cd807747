//! The log: for people on a terminal, one JSON object a line otherwise; always to stderr, because stdout is for
//! data.
//!
//! Messages are constant and values stand in fields, so that logs can be searched. In JSON the fields of the
//! surrounding spans (`run_id`, `org`, `correlation_id`) stand beside those of the event, because whoever
//! searches for a run does not care which span said it. Within a span that goes to a trace collector each line names
//! it (`trace_id`, `span_id`). The filter can be changed while running, and is the log's alone: traces have their own.

mod journal;
mod json;
mod text;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::clock::SharedClock;
use crate::config::LogFormat;
use crate::telemetry::traces::{self, Traces};

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error(
        "the log filter {filter:?} can't be read: {error}; write a level (info) or directives (info,sqlx=warn)"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// Somebody else set up a log in this process.
    #[error("a log is already set up: {0}")]
    Taken(#[from] TryInitError),
    /// The log is gone.
    #[error("the log's filter can't be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// Changes the filter of a running log.
#[derive(Debug, Clone)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

impl LogHandle {
    /// Puts another filter in force; a wrong one changes nothing.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        Ok(self.0.reload(parse(filter)?)?)
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// JSON, or for people.
    pub json: bool,
    /// With colours.
    pub colour: bool,
}

impl Look {
    /// What `format` means for a stream that is a `terminal` or not; `no_color` is the variable `NO_COLOR`, which
    /// forbids colours by any value that isn't empty.
    pub fn new(format: LogFormat, terminal: bool, no_color: Option<&std::ffi::OsStr>) -> Self {
        let json = match format {
            LogFormat::Auto => !terminal,
            LogFormat::Human => false,
            LogFormat::Json => true,
        };
        let forbidden = no_color.is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: !json && terminal && !forbidden,
        }
    }
}

/// Sets up the process's log, and `traces` beside it; once, by `main`.
pub fn install(
    format: LogFormat,
    filter: &str,
    clock: SharedClock,
    traces: Option<&Traces>,
) -> Result<LogHandle, LogError> {
    let no_color = std::env::var_os("NO_COLOR");
    let look = Look::new(format, io::stderr().is_terminal(), no_color.as_deref());
    let stderr = journal::Stderr::look();
    let (subscriber, handle) = subscriber(look, filter, clock, stderr, traces)?;
    subscriber.try_init()?;
    Ok(handle)
}

/// A log that writes to `writer`; for tests, with `tracing::subscriber::with_default`.
pub fn subscriber<W>(
    look: Look,
    filter: &str,
    clock: SharedClock,
    writer: W,
    traces: Option<&Traces>,
) -> Result<(impl Subscriber + Send + Sync + use<W>, LogHandle), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(writer).with_ansi(look.colour);
    let lines = if look.json {
        lines
            .fmt_fields(JsonFields::new())
            .event_format(json::Lines(clock))
            .boxed()
    } else {
        lines.event_format(text::Lines::new(look, clock)).boxed()
    };
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces::layer(traces));
    Ok((subscriber, LogHandle(handle)))
}

/// A level alone is this program's own: what libraries say of their inner life is no news to people, and what concerns them
/// comes back as an error of ours. A filter that names a library hears it.
fn ours(directive: &str) -> String {
    let directive = directive.trim();
    match directive.parse::<LevelFilter>() {
        Ok(level) if !directive.is_empty() => format!("off,tesa_reconciler={level}"),
        _ => directive.to_owned(),
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let directives: Vec<String> = filter.split(',').map(ours).collect();
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|error| LogError::Filter {
            filter: filter.to_owned(),
            error,
        })
}

fn timestamp(clock: &SharedClock) -> String {
    clock
        .now()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests;
