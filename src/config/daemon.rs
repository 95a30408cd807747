//! `[daemon]`: the process itself.

use std::time::Duration;

use tracing_subscriber::filter::EnvFilter;

use super::keys::{Key, Kind, Section};
use super::nearest::nearest;
use super::problem::{Problems, shown};
use super::schedule;
use super::tree::{Node, Table};
use super::value::{self, ONE_SECOND, Reader};
use crate::domain::closed_set;
use crate::zone::Zone;

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// How long a stop may wait for what is in flight.
    pub drain_timeout: Duration,
    /// Filter of the log, in the `tracing` directive syntax.
    pub log_level: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// In which zone people are told instants; none: the system's.
    pub timezone: Option<Zone>,
}

closed_set! {
    /// The form of the log.
    LogFormat {
        /// For people on a terminal, JSON otherwise.
        Auto = "auto",
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}

const LONGEST_DRAIN: Duration = Duration::from_secs(3600);

pub(super) const SECTION: Section = Section {
    path: "daemon",
    repeated: false,
    optional: false,
    doc: "The process.",
    keys: &[
        Key::preset(
            "drain_timeout",
            Kind::Text,
            "\"30s\"",
            "How long a stop waits for what is in flight.",
        ),
        Key::preset(
            "log_level",
            Kind::Text,
            "\"info\"",
            "off, error, warn, info, debug or trace, of this program; libraries are heard when named: \"info,sqlx=warn\".",
        ),
        Key::preset(
            "log_format",
            Kind::Text,
            "\"auto\"",
            "human, json, or auto: human on a terminal, json otherwise.",
        ),
        Key::optional(
            "timezone",
            Kind::Text,
            "\"Europe/Madrid\"",
            "In which zone commands print and read instants; absent: the system's.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Daemon> {
    let section = Reader::new(root, SECTION.path);
    let drain = value::duration(ONE_SECOND, LONGEST_DRAIN);
    let drain_timeout = section.required(problems, "drain_timeout", drain);
    let log_level = section.required(problems, "log_level", log_level);
    let format = value::word("a form of the log", LogFormat::ALL, |word| word.as_str());
    let log_format = section.required(problems, "log_format", format);
    let timezone = section.optional(problems, "timezone", schedule::zone);
    Some(Daemon {
        drain_timeout: drain_timeout?,
        log_level: log_level?,
        log_format: log_format?,
        timezone: timezone?,
    })
}

/// A bare word that is no level would be taken for a module's name and switch everything else off; so a misspelt
/// level must not get that far.
fn log_level(node: &Node, problems: &mut Problems) -> Option<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = value::text(node, problems)?;
    for directive in text.split(',').map(str::trim) {
        let bare = !directive.contains(['=', '[']);
        if bare && !LEVELS.contains(&directive.to_lowercase().as_str()) {
            let help = nearest(directive, LEVELS).map_or_else(
                || format!("one of: {}; or TARGET=LEVEL", LEVELS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("{} is not a level", shown(directive));
            problems.report_with_help(&node.place, message, help);
            return None;
        }
    }
    if let Err(error) = EnvFilter::builder().parse(&text) {
        problems.report(&node.place, format!("{}: {error}", shown(&text)));
        return None;
    }
    Some(text)
}
