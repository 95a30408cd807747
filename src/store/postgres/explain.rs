//! Why the first connection could not be made, in words that say what to change: that is when somebody reads along.
//!
//! Later the same errors mean that something changed at the server's side, and count as an outage like any other.

use std::borrow::Cow;

use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::certificates;
use crate::store::fault::Fault;

/// Completes a refusal with who refused and the way out. What is no refusal (nobody answers, time is up) stays as it is.
pub(super) fn unreached(error: sqlx::Error, asked: &PgConnectOptions) -> Fault {
    let Some(way_out) = way_out(&error, asked.get_ssl_mode()) else {
        return Fault::Sql(error);
    };
    Fault::Unavailable(format!(
        "PostgreSQL at {}:{}, asked as user {}: {error}; {way_out}",
        asked.get_host(),
        asked.get_port(),
        asked.get_username()
    ))
}

fn way_out(error: &sqlx::Error, mode: PgSslMode) -> Option<Cow<'static, str>> {
    match error {
        sqlx::Error::Database(told) => of_code(told.code()?.as_ref(), mode).map(Cow::from),
        sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Some(
            "it is what state.url names: a socket's folder as `host`, or a file as `sslrootcert`, `sslcert` or `sslkey`"
                .into(),
        ),
        sqlx::Error::Tls(_) | sqlx::Error::Io(_) => of_tls(tls(error)?),
        _ => None,
    }
}

fn of_code(code: &str, mode: PgSslMode) -> Option<&'static str> {
    match code {
        "28P01" => Some("put the right password into the file that state.password_file names"),
        // Its rules (pg_hba.conf) have none for us; without TLS that is usually why.
        "28000" if matches!(mode, PgSslMode::Disable | PgSslMode::Allow) => Some(
            "it may take connections with TLS only: say `sslmode=verify-full` in state.url instead of going without",
        ),
        "28000" => Some("its pg_hba.conf must allow this user, database and address"),
        // What a pooler says to the settings that each connection begins with.
        "08P01" => Some(
            "a pooler seems to stand before it: name the server itself, because sessions are needed, with their settings and locks",
        ),
        "3D000" => Some("create the database, or correct its name in state.url"),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> Option<Cow<'static, str>> {
    if let Some(dates) = certificates::outside_its_dates(error) {
        return Some(dates.into());
    }
    let rustls::Error::InvalidCertificate(why) = error else {
        return Some("it and this program agree on no way to speak TLS".into());
    };
    let words = match why {
        UnknownIssuer => {
            "its certificate is signed by no authority that is known here: name the right one in state.url \
             (`sslrootcert=FILE`)"
        }
        NotValidForName | NotValidForNameContext { .. } => {
            "its certificate is for another name: use that name in state.url, or give the server a certificate for \
             this one"
        }
        _ => "its certificate can't be trusted: give the server a valid one",
    };
    Some(words.into())
}

/// What the TLS library said, wherever the driver packed it.
fn tls(error: &sqlx::Error) -> Option<&rustls::Error> {
    match error {
        sqlx::Error::Io(io) => certificates::tls_error(io),
        sqlx::Error::Tls(inner) => certificates::tls_error(&**inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_nobody_answers_for_is_no_refusal() {
        let away = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(way_out(&away, PgSslMode::Prefer), None);
        assert_eq!(way_out(&sqlx::Error::PoolTimedOut, PgSslMode::Prefer), None);
    }

    #[test]
    fn what_the_tls_library_says_is_found_in_any_wrapping() {
        let said = || rustls::Error::InvalidCertificate(UnknownIssuer);
        let io = || std::io::Error::new(std::io::ErrorKind::InvalidData, said());
        for error in [
            sqlx::Error::Tls(Box::new(said())),
            sqlx::Error::Tls(Box::new(io())),
            sqlx::Error::Io(io()),
        ] {
            let way_out = way_out(&error, PgSslMode::VerifyFull).unwrap();
            assert!(way_out.contains("sslrootcert"), "{error}: {way_out}");
        }
    }

    #[test]
    fn a_refusal_without_tls_says_how_to_have_it() {
        let without = of_code("28000", PgSslMode::Disable).unwrap();
        assert!(without.contains("sslmode=verify-full"), "{without}");
        let with = of_code("28000", PgSslMode::Require).unwrap();
        assert!(with.contains("pg_hba.conf"), "{with}");
    }
}
