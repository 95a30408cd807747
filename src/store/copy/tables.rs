//! Every table that is copied, column by column, and the two statements that come of it. A test holds the list
//! against the database's own catalogue, so that a later migration can't be forgotten here.

use self::Kind::{Instant, Json, Number, Text, Truth, Uuid};

/// How a column is kept on either side.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    /// Microseconds since 1970; `timestamptz`.
    Instant,
    /// 0 or 1; `boolean`.
    Truth,
    /// Text; `jsonb`.
    Json,
    /// Text; `uuid`.
    Uuid,
}

/// One table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// `id` is handed out by the database.
    pub(super) has_identity: bool,
    pub(super) columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// Each row of the source as one JSON text.
    pub(super) fn select(&self) -> String {
        let fields = self.each(|name, kind| match kind {
            Json => format!("'{name}', json({name})"),
            _ => format!("'{name}', {name}"),
        });
        format!("SELECT json_object({fields}) FROM {}", self.name)
    }

    /// Rows in a JSON array (`$1`) into the target. An instant is put together of hours and the rest, because a
    /// single number of microseconds since 1970 is more than the arithmetic of intervals holds exactly.
    pub(super) fn insert(&self) -> String {
        let names = self.each(|name, _| name.to_owned());
        let values = self.each(|name, kind| match kind {
            Instant => format!(
                "timestamptz '1970-01-01 00:00:00Z' + (r.{name} / 3600000000) * interval '1 hour' \
                 + (r.{name} % 3600000000) * interval '1 microsecond'"
            ),
            Truth => format!("r.{name} <> 0"),
            _ => format!("r.{name}"),
        });
        let types = self.each(|name, kind| {
            let of = match kind {
                Text => "text",
                Number | Instant | Truth => "bigint",
                Json => "jsonb",
                Uuid => "uuid",
            };
            format!("{name} {of}")
        });
        format!(
            "INSERT INTO {} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM jsonb_to_recordset($1) AS r ({types})",
            self.name
        )
    }

    fn each(&self, show: impl Fn(&str, Kind) -> String) -> String {
        let shown: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| show(name, *kind))
            .collect();
        shown.join(", ")
    }
}

/// In an order in which every row comes after those it refers to.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "runs",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("job_name", Text),
            ("org", Text),
            ("trigger", Text),
            ("slot", Instant),
            ("replica", Text),
            ("mode", Text),
            ("actor", Text),
            ("reason", Text),
            ("token", Number),
            ("started_at", Instant),
            ("last_beat", Instant),
            ("finished_at", Instant),
            ("outcome", Text),
            ("selected", Number),
            ("observed", Number),
            ("unchanged", Number),
            ("to_act", Number),
            ("sent", Number),
            ("flagged", Number),
            ("skipped", Number),
            ("capped", Number),
            ("failed", Number),
            ("trouble", Text),
        ],
    },
    Table {
        name: "slots",
        has_identity: false,
        columns: &[
            ("job_name", Text),
            ("org", Text),
            ("scheduled_at", Instant),
            ("run_id", Number),
        ],
    },
    Table {
        name: "unrun_slots",
        has_identity: false,
        columns: &[
            ("job_name", Text),
            ("org", Text),
            ("result", Text),
            ("first_at", Instant),
            ("last_at", Instant),
            ("count", Number),
            ("recorded_at", Instant),
        ],
    },
    Table {
        name: "job_memory",
        has_identity: false,
        columns: &[
            ("job_name", Text),
            ("org", Text),
            ("last_slot", Instant),
            ("last_started", Instant),
            ("last_outcome", Text),
            ("last_success", Instant),
        ],
    },
    Table {
        name: "observations",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("reference_id", Text),
            ("external_reference", Text),
            ("persistence_type", Text),
            ("status", Text),
            ("cancelling", Truth),
            ("auto_installation", Truth),
            ("territory_owner", Text),
            ("request_number", Number),
            ("subrequest_number", Number),
            ("attributes", Text),
            ("created", Instant),
            ("last_updated", Instant),
            ("observed_at", Instant),
        ],
    },
    Table {
        name: "history",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("org", Text),
            ("reference_id", Text),
            ("subject", Text),
            ("happening", Text),
            ("seen_at", Instant),
            ("stamp", Instant),
            ("external_reference", Text),
            ("persistence_type", Text),
            ("status", Text),
            ("cancelling", Truth),
            ("auto_installation", Truth),
            ("territory_owner", Text),
            ("request_number", Number),
            ("subrequest_number", Number),
            ("attributes", Text),
            ("created", Instant),
            ("upstream_id", Number),
            ("sequence", Number),
            ("code", Text),
            ("resolved", Truth),
            ("repeated", Truth),
            ("inconsistent", Truth),
            ("job_name", Text),
            ("rule", Text),
        ],
    },
    Table {
        name: "decisions",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("reference_id", Text),
            ("job_name", Text),
            ("run_id", Number),
            ("since", Instant),
            ("verdict", Text),
            ("rule", Text),
            ("explanation", Text),
        ],
    },
    Table {
        name: "attempts",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("org", Text),
            ("reference_id", Text),
            ("external_reference", Text),
            ("operation", Text),
            ("state", Text),
            ("job_name", Text),
            ("rule", Text),
            ("run_id", Number),
            ("replica", Text),
            ("before_status", Text),
            ("before_cancelling", Truth),
            ("before_last_updated", Instant),
            ("issue_sequence", Number),
            ("before_issue_resolved", Truth),
            ("before_issue_last_updated", Instant),
            ("due_since", Instant),
            ("correlation_id", Uuid),
            ("intended_at", Instant),
            ("counted_at", Instant),
            ("changed_at", Instant),
            ("http_status", Number),
            ("detail", Text),
            ("verifications", Number),
            ("verify_at", Instant),
            ("confirmed_status", Text),
            ("confirmed_cancelling", Truth),
            ("confirmed_last_updated", Instant),
        ],
    },
    Table {
        name: "retries",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("external_reference", Text),
            ("at", Instant),
            ("who", Text),
            ("reason", Text),
            ("last_attempt", Number),
        ],
    },
    Table {
        name: "duplicates",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("external_reference", Text),
            ("reference_id", Text),
            ("seen_at", Instant),
            ("let_go", Truth),
        ],
    },
    Table {
        name: "attempt_steps",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("attempt_id", Number),
            ("state", Text),
            ("at", Instant),
            ("who", Text),
            ("detail", Text),
            ("http_status", Number),
        ],
    },
    Table {
        name: "classes",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("org", Text),
            ("job_name", Text),
            ("rule", Text),
            ("detail", Text),
            ("evidence", Text),
            ("size", Number),
            ("listed_at", Instant),
        ],
    },
    Table {
        name: "findings",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("org", Text),
            ("reference_id", Text),
            ("kind", Text),
            ("detail", Text),
            ("external_reference", Text),
            ("job_name", Text),
            ("state", Text),
            ("attention", Text),
            ("evidence", Text),
            ("since", Instant),
            ("first_seen", Instant),
            ("last_seen", Instant),
            ("times_seen", Number),
            ("times_reopened", Number),
            ("resolved_at", Instant),
            ("class_id", Number),
            ("missing_since", Instant),
            ("read_at", Instant),
        ],
    },
    Table {
        name: "acknowledgements",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("org", Text),
            ("reference_id", Text),
            ("external_reference", Text),
            ("kind", Text),
            ("detail", Text),
            ("status", Text),
            ("cancelling", Truth),
            ("last_updated", Instant),
            ("repeated", Truth),
            ("who", Text),
            ("reason", Text),
            ("given_at", Instant),
            ("ended_at", Instant),
            ("ended_why", Text),
        ],
    },
    Table {
        name: "pauses",
        has_identity: false,
        columns: &[
            ("job_name", Text),
            ("who", Text),
            ("reason", Text),
            ("since", Instant),
            ("until", Instant),
        ],
    },
    Table {
        name: "latches",
        has_identity: false,
        columns: &[
            ("job_name", Text),
            ("org", Text),
            ("since", Instant),
            ("reason", Text),
        ],
    },
    Table {
        name: "releases",
        has_identity: false,
        columns: &[("job_name", Text), ("org", Text), ("released_at", Instant)],
    },
    Table {
        name: "triggers",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("job_name", Text),
            ("org", Text),
            ("who", Text),
            ("reason", Text),
            ("requested_at", Instant),
            ("taken_by", Text),
            ("run_id", Number),
        ],
    },
    Table {
        name: "circuits",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("state", Text),
            ("cause", Text),
            ("failures", Number),
            ("opened_at", Instant),
            ("probe_at", Instant),
        ],
    },
    Table {
        name: "audit",
        has_identity: true,
        columns: &[
            ("id", Number),
            ("at", Instant),
            ("who", Text),
            ("action", Text),
            ("subject", Text),
            ("reason", Text),
        ],
    },
    Table {
        name: "looks",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("job_name", Text),
            ("reference_id", Text),
            ("looked_at", Instant),
            ("issues", Json),
            ("again_at", Instant),
        ],
    },
    Table {
        name: "sweeps",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("job_name", Text),
            ("began", Instant),
            ("rules", Text),
        ],
    },
    Table {
        name: "contradictions",
        has_identity: false,
        columns: &[
            ("org", Text),
            ("filter", Text),
            ("reference_id", Text),
            ("what", Text),
            ("seen_at", Instant),
        ],
    },
    Table {
        name: "notices",
        has_identity: false,
        columns: &[
            ("alert", Text),
            ("org", Text),
            ("subject", Text),
            ("since", Instant),
            ("count", Number),
            ("standing", Truth),
            ("told", Truth),
            ("tries", Number),
            ("next_try", Instant),
            ("changed_at", Instant),
        ],
    },
];
