//! `[safety]`: restraint.

use std::time::Duration;

use super::keys::{Key, Kind, Section};
use super::problem::Problems;
use super::tree::{Node, Table};
use super::value::{self, ONE_SECOND, Reader};
use crate::domain::run::Mode;

/// `[safety]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Safety {
    /// Observe or enforce.
    pub mode: Mode,
    /// Cap per run.
    pub max_writes_per_run: u32,
    /// Cap per hour and org.
    pub max_writes_per_hour: u32,
    /// Hold when more than so many requests …
    pub hold_above_count: u32,
    /// … and more than this share of the org's open ones want a write.
    pub hold_above_fraction: f64,
    /// Then a person.
    pub max_attempts: u32,
    /// Pause between attempts.
    pub backoff: Backoff,
    /// Pauses before each verification of a write.
    pub verify_after: Vec<Duration>,
}

/// Exponential pause between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) const SECTION: Section = Section {
    path: "safety",
    repeated: false,
    optional: false,
    doc: "Restraint: what the daemon may do, how much of it, and when it stops and asks.",
    keys: &[
        Key::preset(
            "mode",
            Kind::Text,
            "\"observe\"",
            "observe: decide and record, never write. enforce: also write.",
        ),
        Key::preset(
            "max_writes_per_run",
            Kind::Number,
            "20",
            "Writes in one run at most.",
        ),
        Key::preset(
            "max_writes_per_hour",
            Kind::Number,
            "100",
            "Writes per hour and org at most, all replicas together.",
        ),
        Key::preset(
            "hold_above_count",
            Kind::Number,
            "200",
            "Hold the job when more requests than this want a write at once ...",
        ),
        Key::preset(
            "hold_above_fraction",
            Kind::Number,
            "0.1",
            "... and they are more than this share of the org's open requests.",
        ),
        Key::preset(
            "max_attempts",
            Kind::Number,
            "3",
            "Attempts at one request; then a person must look.",
        ),
        Key::preset(
            "verify_after",
            Kind::List,
            "[\"1m\", \"5m\", \"15m\"]",
            "Pauses before each look whether a write had its effect.",
        ),
    ],
};

pub(super) const BACKOFF: Section = Section {
    path: "safety.backoff",
    repeated: false,
    optional: false,
    doc: "The pause between two attempts at one request: exponential, with jitter.",
    keys: &[
        Key::preset("initial", Kind::Text, "\"10m\"", "The first pause."),
        Key::preset("max", Kind::Text, "\"6h\"", "The longest pause."),
    ],
};

/// Reads the section and its backoff.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Safety> {
    let section = Reader::new(root, SECTION.path);
    let mode = value::word("a mode", Mode::ALL, |word| word.as_str());
    let mode = section.required(problems, "mode", mode);
    let per_run = section.required(problems, "max_writes_per_run", cap);
    let per_hour = section.required(problems, "max_writes_per_hour", cap);
    let any = value::number(0, u32::MAX);
    let hold_count = section.required(problems, "hold_above_count", any);
    let hold_fraction = section.required(problems, "hold_above_fraction", value::fraction);
    let attempts = section.required(problems, "max_attempts", value::number(1, 100));
    let backoff = backoff(root, problems);
    let verify_after = verify_after(&section, problems);
    Some(Safety {
        mode: mode?,
        max_writes_per_run: per_run?,
        max_writes_per_hour: per_hour?,
        hold_above_count: hold_count?,
        hold_above_fraction: hold_fraction?,
        max_attempts: attempts?,
        backoff: backoff?,
        verify_after: verify_after?,
    })
}

fn cap(node: &Node, problems: &mut Problems) -> Option<u32> {
    let cap = value::number(0, u32::MAX)(node, problems)?;
    if cap == 0 {
        problems.report_with_help(
            &node.place,
            "must be at least 1, not 0",
            "to send nothing at all, set mode = \"observe\"",
        );
        return None;
    }
    Some(cap)
}

fn backoff(root: &Table, problems: &mut Problems) -> Option<Backoff> {
    let section = Reader::new(root, BACKOFF.path);
    let pause = || value::duration(ONE_SECOND, MONTH);
    let initial = section.required(problems, "initial", pause());
    let max = section.required(problems, "max", pause());
    let (initial, max) = (initial?, max?);
    if max < initial {
        let place = section.place_of("max").unwrap_or(section.place());
        problems.report(
            place,
            "safety.backoff: `max` must not be shorter than `initial`",
        );
        return None;
    }
    Some(Backoff { initial, max })
}

/// Pauses may be equal, so this is no list in which nothing stands twice.
fn verify_after(section: &Reader<'_>, problems: &mut Problems) -> Option<Vec<Duration>> {
    let pause = value::duration(ONE_SECOND, MONTH);
    section.required(problems, "verify_after", |node, problems| {
        value::items(
            node,
            problems,
            "without a look at its effect no write could ever be settled",
        )?
        .iter()
        .map(|item| pause(item, problems))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
    })
}
