//! `LISTEN` and `NOTIFY`: word of a change within milliseconds.
//!
//! The notification is part of the transaction that changes something, so it arrives when the change can be seen and
//! not before. The listener has a connection of its own, made when the stream is first polled and made anew when it
//! breaks; each new one yields an item, because what was notified in between went to nobody.

use std::time::Duration;

use futures::StreamExt;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::store::changes::{Change, Changes};
use crate::store::fault::Fault;

/// Channels are the database's; schemas beside each other hear each other's, which does no harm.
const CHANNEL: &str = "tesa_reconciler_changes";

/// How long to wait before a lost connection is made again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The longest that a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A connection that died without a word is found out by a question at least this often.
const ASK_EVERY: Duration = Duration::from_secs(20);

/// Tells all listeners that somebody steered, once the caller's transaction commits; many in one transaction are one.
pub(super) async fn tell(tx: &mut PgConnection) -> Result<(), Fault> {
    sqlx::query("SELECT pg_notify($1, '')")
        .bind(CHANNEL)
        .execute(tx)
        .await?;
    Ok(())
}

/// See [`crate::store::Store::changes`].
pub(super) fn listen(options: PgConnectOptions) -> Changes {
    futures::stream::unfold(
        (options, None::<PgListener>),
        |(options, mut listener)| async move {
            loop {
                let Some(mut listening) = listener.take() else {
                    match connect(&options).await {
                        Ok(made) => return Some((Change::Missed, (options, Some(made)))),
                        // Readiness and the loops that poll say that the store is away; nothing to add here.
                        Err(_away) => tokio::time::sleep(AGAIN_AFTER).await,
                    }
                    continue;
                };
                match tokio::time::timeout(ASK_EVERY, listening.try_recv()).await {
                    Ok(Ok(Some(_told))) => {
                        return Some((Change::Steered, (options, Some(listening))));
                    }
                    // Lost: made anew in the next turn.
                    Ok(Ok(None) | Err(_)) => {}
                    Err(_quiet) => {
                        let asked = tokio::time::timeout(CONNECT_WITHIN, listening.listen(CHANNEL));
                        if matches!(asked.await, Ok(Ok(()))) {
                            listener = Some(listening);
                        }
                    }
                }
            }
        },
    )
    .boxed()
}

async fn connect(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_WITHIN)
        .connect_lazy_with(options.clone());
    let making = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    tokio::time::timeout(CONNECT_WITHIN, making)
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
