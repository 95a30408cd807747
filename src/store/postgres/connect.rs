//! From a URL and options to connections that are set as we need them.

use std::time::Duration;

use reqwest::Url;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::Pool;
use crate::config::postgres_url;
use crate::store::fault::Fault;
use crate::store::{StoreError, StoreOptions};

/// How people find us in `pg_stat_activity`, unless the URL says otherwise.
const NAME: &str = "tesa-reconciler";

/// How long an idle connection is kept: a quiet daemon should be a small guest.
const IDLE: Duration = Duration::from_secs(60);

/// Each connection is made anew now and then, so that a moved address or a changed setting is noticed.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long to wait for a connection: a bit less than the call may take, so that the error says what was missing.
pub(super) fn patience(options: &StoreOptions) -> Duration {
    options.call_timeout * 4 / 5
}

/// Reads the URL and the password. The URL is in no error: it may hold what nobody should see.
pub(super) fn options(url: &str, options: &StoreOptions) -> Result<PgConnectOptions, Fault> {
    let unreadable = |why: &dyn std::fmt::Display| {
        refuse(format!(
            "the store's url can't be read ({why}); write `postgres://USER@HOST/DATABASE`"
        ))
    };
    let parsed = Url::parse(url).map_err(|error| unreadable(&error))?;
    // The configuration asked the same; a URL of the command line comes here first.
    postgres_url::check(&parsed).map_err(|fault| refuse(format!("the store's url: {fault}")))?;
    let mut connect: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| unreadable(&error))?;
    let named = |name: &str| parsed.query_pairs().any(|(key, _)| key == name);
    if parsed.password().is_none() && !named("password") {
        // Secrets come from the file that is named, so neither PGPASSWORD nor ~/.pgpass is asked. To the driver an
        // empty password is none.
        connect = connect.password("");
    }
    if !named("sslmode") && !named("ssl-mode") {
        // Nor does PGSSLMODE weaken what nobody can see in the configuration.
        connect = connect.ssl_mode(PgSslMode::Prefer);
    }
    if connect.get_application_name().is_none() {
        connect = connect.application_name(NAME);
    }
    if let Some(file) = &options.password_file {
        let password = std::fs::read_to_string(file).map_err(|error| {
            refuse(format!(
                "state.password_file {} can't be read: {error}",
                file.display()
            ))
        })?;
        // Editors and `echo` end a file with a newline, which no password does; some begin it with a mark.
        let password = password.trim_end_matches(['\r', '\n']);
        let password = password.trim_start_matches('\u{feff}');
        if password.is_empty() {
            return Err(refuse(format!(
                "state.password_file {} is empty",
                file.display()
            )));
        }
        connect = connect.password(password);
    }
    let connect = with_timeouts(connect, options.call_timeout, options.busy_timeout);
    Ok(connect.disable_statement_logging())
}

/// Where the server is, as errors name it.
pub(super) fn place(connect: &PgConnectOptions) -> String {
    match connect.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    }
}

/// The same connection with other time-outs; zero would mean none to PostgreSQL, so it is never said.
pub(super) fn with_timeouts(
    connect: PgConnectOptions,
    statement: Duration,
    lock: Duration,
) -> PgConnectOptions {
    let millis = |time: Duration| format!("{}ms", time.as_millis().max(1));
    connect.options([
        ("statement_timeout", millis(statement)),
        ("lock_timeout", millis(lock)),
        // A transaction whose process hangs holds its locks no longer than two calls last.
        ("idle_in_transaction_session_timeout", millis(statement * 2)),
        // A database may be set to another level; what is written here is written for this one.
        ("default_transaction_isolation", "read committed".to_owned()),
        // Nor may a server, database or role be set to forget in a crash what it said was committed: the ledger's row
        // comes before the write.
        ("synchronous_commit", "on".to_owned()),
    ])
}

/// The pool. It connects when first asked.
pub(super) fn pool(connect: PgConnectOptions, options: &StoreOptions) -> Pool {
    // Below the patience, so that the call that met a dead connection still has the time to make a new one.
    let look = patience(options) / 2;
    // The database itself ends every statement by then, so whoever is silent for longer is gone.
    let settle = options.call_timeout;
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(patience(options))
        .idle_timeout(IDLE)
        .max_lifetime(LIFETIME)
        // The look below is a round trip anyway.
        .test_before_acquire(false)
        .before_acquire(move |connection, _| Box::pin(within(look, is_writable(connection))))
        .after_release(move |connection, _| Box::pin(within(settle, is_alive(connection))))
        .connect_lazy_with(connect)
}

/// Whether a connection is alive and leads to a primary. One to a server that became a standby would answer reads
/// and refuse writes for as long as it is kept: thrown away, the next one goes where the name leads to now.
async fn is_writable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let read_only: String = sqlx::query_scalar("SHOW transaction_read_only")
        .fetch_one(connection)
        .await?;
    Ok(read_only == "off")
}

/// Whether a connection whose call ended, in good order or not, answers and is in no transaction. The pool asks that by itself, but waits for the
/// answer for ever: a peer that went away without a word would keep the connection's place in the pool until TCP gives
/// up, a quarter of an hour later, and a few of those are the whole pool.
async fn is_alive(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// No answer in time is an error, and a connection with an error is closed without ceremony.
async fn within(
    limit: Duration,
    look: impl Future<Output = Result<bool, sqlx::Error>>,
) -> Result<bool, sqlx::Error> {
    let looked = tokio::time::timeout(limit, look).await;
    looked.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

/// A connection outside the pool, for what takes long.
pub(super) async fn alone(
    connect: &PgConnectOptions,
    limit: Duration,
) -> Result<PgConnection, Fault> {
    let connect = with_timeouts(connect.clone(), limit, limit);
    Ok(PgConnection::connect_with(&connect).await?)
}

fn refuse(detail: String) -> Fault {
    Fault::Refused(StoreError::Unavailable {
        operation: "open",
        detail,
    })
}
