//! What PostgreSQL's error codes mean to us (postgresql.org/docs/current/errcodes-appendix.html).

use sqlx::error::DatabaseError;

use crate::store::fault::Meaning;

/// By the five characters of SQLSTATE; the first two are the class.
pub(in crate::store) fn of(error: &dyn DatabaseError) -> Meaning {
    error
        .code()
        .map_or(Meaning::Internal, |code| of_code(&code))
}

fn of_code(code: &str) -> Meaning {
    match code {
        // lock_not_available (lock_timeout); or a deadlock that repetition did not solve
        "55P03" | "40001" | "40P01" => Meaning::Busy,
        // statement_timeout; idle_in_transaction_session_timeout, transaction_timeout
        "57014" | "25P03" | "25P04" => Meaning::Timeout,
        // invalid_sql_statement_name, duplicate_prepared_statement: nobody but us prepares statements in our sessions
        "26000" | "42P05" => Meaning::Pooled,
        // A standby, or one that was the primary until just now
        "25006" => Meaning::Unavailable,
        // undefined_table, undefined_column, undefined_function, undefined_object, invalid_schema_name
        "42P01" | "42703" | "42883" | "42704" | "3F000" => Meaning::Schema,
        // no such database, and whoever may not connect or touch a table
        "3D000" | "42501" => Meaning::Unavailable,
        _ => match code.get(..2) {
            // connection, authorization, resources (disk, memory, connections), the administrator's intervention
            // (restart, start, standby), the system's errors, corrupted data
            Some("08" | "28" | "53" | "57" | "58" | "XX") => Meaning::Unavailable,
            _ => Meaning::Internal,
        },
    }
}

/// The whole transaction was taken back by the database for another one's sake.
pub(super) fn rolled_back(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_being_away_stops_the_writes_and_no_fault_of_ours_looks_like_one() {
        for (codes, meaning) in [
            (
                "57P01 57P02 57P03 08006 08001 25006 53300 53100 28P01 3D000",
                Meaning::Unavailable,
            ),
            ("55P03 40001 40P01", Meaning::Busy),
            ("57014 25P03", Meaning::Timeout),
            ("26000 42P05", Meaning::Pooled),
            ("42P01 42703", Meaning::Schema),
            ("23505 23514 22021 42601 P0001 23001", Meaning::Internal),
        ] {
            for code in codes.split(' ') {
                assert_eq!(of_code(code), meaning, "{code}");
            }
        }
    }
}
