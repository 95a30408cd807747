//! `jobs`: what is configured, when it runs next, how it went, and what holds it.

use super::common::Session;
use super::exit::Failure;
use super::output::{self, Row, instant, or_dash};
use crate::answers::jobs::{JobRow, rows};

impl Row for JobRow {
    const COLUMNS: &'static [&'static str] = &[
        "job",
        "org",
        "kind",
        "schedule",
        "next",
        "last run",
        "outcome",
        "last success",
        "held by",
    ];
    const FIRST: &'static [&'static str] = &["job_name", "org", "kind", "schedule", "next"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.job_name.to_string(),
            self.org.to_string(),
            self.kind.to_owned(),
            self.schedule.clone(),
            or_dash(self.next, instant),
            or_dash(self.last_started, instant),
            or_dash(self.last_outcome, |outcome| outcome.to_string()),
            or_dash(self.last_success, instant),
            or_dash(self.held_by(), |why| why),
        ]
    }
}

/// Lists the jobs, a line for each org.
pub async fn run(session: &Session) -> Result<(), Failure> {
    Ok(output::list(session.format, &rows(session).await?)?)
}
