//! Many rows a statement, each value bound.
//!
//! A sweep writes two rows for every request, and on SQLite nearly all of its time went into handing them over: as one
//! JSON text, which the database takes apart again for every column. Bound values cost a tenth of that. A statement of
//! one row each would cost a message to the connection's thread a row; so there is a text for many rows, one for some,
//! and one for the rest, each made once and prepared once a connection.

use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Sqlite, SqliteConnection, Type};

use crate::store::fault::Fault;

/// Rows a statement, the largest first. A row has some ten values, and a statement takes 32,766 of them
/// (sqlite.org/limits.html).
const SIZES: [usize; 3] = [250, 25, 1];

/// An `INSERT` of any number of rows.
pub(super) struct Bulk {
    texts: [String; SIZES.len()],
    columns: usize,
}

impl Bulk {
    /// `INSERT INTO {into} VALUES (…), (…) {then}` with so many values a row.
    pub(super) fn new(into: &str, columns: usize, then: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let text = |rows| {
            let rows = vec![row.as_str(); rows].join(",");
            format!("INSERT INTO {into} VALUES {rows} {then}")
        };
        Self {
            texts: SIZES.map(text),
            columns,
        }
    }

    /// Carries it out for `rows`, whose values `bind` hands over in their order; answers how many were written. To be
    /// called in a transaction: it is several statements.
    pub(super) async fn insert<R>(
        &'static self,
        rows: &[R],
        connection: &mut SqliteConnection,
        mut bind: impl FnMut(&R, &mut Values) + Send,
    ) -> Result<u64, Fault>
    where
        R: Sync,
    {
        let (mut left, mut written) = (rows, 0);
        for (size, text) in SIZES.into_iter().zip(&self.texts) {
            while left.len() >= size {
                let (now, later) = left.split_at(size);
                left = later;
                let mut values = Values::with_room_for(size * self.columns);
                now.iter().for_each(|row| bind(row, &mut values));
                let done = sqlx::query_with(text.as_str(), values.finish()?)
                    .execute(&mut *connection)
                    .await?;
                written += done.rows_affected();
            }
        }
        Ok(written)
    }
}

/// The values of a statement, in their order.
pub(super) struct Values {
    arguments: SqliteArguments,
    fault: Option<sqlx::error::BoxDynError>,
}

impl Values {
    fn with_room_for(values: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values, 0);
        Self {
            arguments,
            fault: None,
        }
    }

    /// The next one.
    pub(super) fn add<'v>(&mut self, value: impl Encode<'v, Sqlite> + Type<Sqlite>) {
        if let Err(fault) = self.arguments.add(value) {
            self.fault.get_or_insert(fault);
        }
    }

    fn finish(self) -> Result<SqliteArguments, Fault> {
        match self.fault {
            None => Ok(self.arguments),
            Some(fault) => Err(Fault::Sql(sqlx::Error::Encode(fault))),
        }
    }
}

/// A text that is mostly the same from row to row, kept once for all of them.
#[derive(Default)]
pub(super) struct Recurring(Option<Arc<str>>);

impl Recurring {
    /// `text`, to be bound without another copy of it.
    pub(super) fn shared(&mut self, text: &str) -> Arc<str> {
        match &self.0 {
            Some(kept) if **kept == *text => Arc::clone(kept),
            _ => Arc::clone(self.0.insert(Arc::from(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use sqlx::Connection as _;

    use super::*;

    static NUMBERS: LazyLock<Bulk> =
        LazyLock::new(|| Bulk::new("numbers (n, word)", 2, "ON CONFLICT (n) DO NOTHING"));

    #[tokio::test]
    async fn any_number_of_rows_arrives_once_and_in_order() {
        let mut connection = SqliteConnection::connect(":memory:").await.unwrap();
        for count in [0, 1, 24, 25, 26, 249, 250, 251, 777] {
            sqlx::query("DROP TABLE IF EXISTS numbers")
                .execute(&mut connection)
                .await
                .unwrap();
            sqlx::query(
                "CREATE TABLE numbers (place INTEGER PRIMARY KEY, n INTEGER UNIQUE, word TEXT) STRICT",
            )
            .execute(&mut connection)
            .await
            .unwrap();
            let rows: Vec<i64> = (0..count).chain(0..count / 2).collect();
            let written = NUMBERS
                .insert(&rows, &mut connection, |row, values| {
                    values.add(*row);
                    values.add(row.to_string());
                })
                .await
                .unwrap();
            assert_eq!(
                written, count as u64,
                "the second of the same is no row more"
            );
            let found: Vec<(i64, String)> =
                sqlx::query_as("SELECT n, word FROM numbers ORDER BY place")
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
            let expected: Vec<_> = (0..count).map(|n| (n, n.to_string())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_recurring_text_is_kept_once() {
        let mut word = Recurring::default();
        let first = word.shared("NOT_SENT");
        assert!(Arc::ptr_eq(&first, &word.shared("NOT_SENT")));
        assert_eq!(&*word.shared("VALIDATING"), "VALIDATING");
        assert_eq!(&*word.shared("NOT_SENT"), "NOT_SENT");
    }
}
