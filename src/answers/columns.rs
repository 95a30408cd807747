//! Which columns come first where rows go to a spreadsheet; the others follow by name. The same from a command and a page.

/// A stuck request.
pub const STUCK: &[&str] = &[
    "org",
    "reference_id",
    "external_reference",
    "status",
    "since",
    "age_seconds",
    "threshold_seconds",
    "issue_code",
    "party",
    "next",
];

/// A run.
pub const RUNS: &[&str] = &[
    "id",
    "job_name",
    "org",
    "started_at",
    "finished_at",
    "outcome",
];

/// An attempt.
pub const ATTEMPTS: &[&str] = &[
    "id",
    "org",
    "external_reference",
    "reference_id",
    "operation",
    "state",
    "intended_at",
];

/// A row of the audit.
pub const AUDIT: &[&str] = &["id", "at", "who", "action", "subject", "reason"];

/// A finding.
pub const FINDINGS: &[&str] = &[
    "id",
    "org",
    "reference_id",
    "external_reference",
    "kind",
    "detail",
    "state",
    "rule",
    "since",
    "first_seen",
    "evidence",
];
