//! Which store this is: the row, the mark in a large object, and the database that it lies in.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{PgStore, audit};
use crate::store::fault::Fault;
use crate::store::identity::{Doubt, Identity, Known};
use crate::store::rows::{Micros, instant};
use crate::store::{Actor, StoreError};

/// The server's own number, as far as one may ask for it, and that of the database within it.
macro_rules! here {
    () => {
        "(SELECT CASE WHEN has_function_privilege('pg_control_system()', 'execute')
              THEN (SELECT system_identifier::text FROM pg_control_system()) ELSE '' END
              || '/' || oid FROM pg_database WHERE datname = current_database())"
    };
}

macro_rules! mark {
    () => {
        "(('x' || left(md5('tesa-reconciler ' || current_schema()), 8))::bit(32)::bigint | 2147483648)::oid"
    };
}

const KNOWN: &str = concat!(
    "SELECT i.id, CASE WHEN m.oid IS NOT NULL THEN convert_from(lo_get(m.oid), 'UTF8') END, i.home, ",
    here!(),
    ", i.moved_to, i.moved_at
     FROM (SELECT) AS one LEFT JOIN identity AS i ON true
     LEFT JOIN pg_largeobject_metadata AS m ON m.oid = ",
    mark!()
);

const SETTLE: &str = concat!(
    "UPDATE identity SET home = ",
    here!(),
    " WHERE home IS NULL"
);

const ADOPT: [&str; 3] = [
    concat!(
        "INSERT INTO identity (only_row, id, mark) VALUES (1, gen_random_uuid()::text, ",
        mark!(),
        ") ON CONFLICT (only_row) DO NOTHING"
    ),
    concat!(
        "UPDATE identity SET moved_to = NULL, moved_at = NULL, mark = ",
        mark!(),
        ", home = ",
        here!()
    ),
    "SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid = (SELECT mark FROM identity)",
];

const MARK: &str = "SELECT lo_from_bytea(mark, convert_to(id, 'UTF8')) FROM identity";

type Row = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Micros>,
);

async fn known(connection: &mut PgConnection) -> Result<Known, Fault> {
    let (id, mark, home, here, moved_to, moved_at): Row =
        sqlx::query_as(KNOWN).fetch_one(connection).await?;
    let moved = match moved_to.zip(moved_at) {
        Some((to, at)) => Some((to, instant("identity.moved_at", at)?)),
        None => None,
    };
    Ok(Known {
        id,
        mark,
        home,
        here,
        moved,
        // A dump that was restored is told by its home.
        backup: None,
    })
}

#[async_trait]
impl Identity for PgStore {
    async fn doubt(&self) -> Result<Option<Doubt>, StoreError> {
        self.call("doubt", || async {
            let mut connection = self.pool.acquire().await?;
            Ok(known(&mut connection).await?.doubt())
        })
        .await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.call("settle", || async {
            let mut tx = self.begin().await?;
            sqlx::query(SETTLE).execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn adopt(&self, actor: &Actor, now: DateTime<Utc>) -> Result<Option<Doubt>, StoreError> {
        self.call("adopt", || async {
            let mut tx = self.begin().await?;
            sqlx::query("LOCK TABLE identity IN EXCLUSIVE MODE")
                .execute(&mut *tx)
                .await?;
            let Some(doubt) = known(&mut tx).await?.doubt() else {
                return Ok(None);
            };
            for statement in ADOPT {
                sqlx::query(statement).execute(&mut *tx).await?;
            }
            sqlx::query(MARK).execute(&mut *tx).await?;
            audit::append(&mut tx, "adopt", "store", actor, now).await?;
            tx.commit().await?;
            Ok(Some(doubt))
        })
        .await
    }
}
