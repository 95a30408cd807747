//! What a refused certificate means, in words that say what to do: the upstream's, the notifications' receiver's and
//! PostgreSQL's alike.
//!
//! The TLS library tells instants as seconds since 1970, which nobody reads, and wraps what it says in other libraries'
//! errors.

use std::error::Error;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// What the TLS library said, wherever it is packed.
pub fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        cause = match inner.downcast_ref::<std::io::Error>() {
            // Its source is its inner error's source: the inner one itself would be missed.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => inner.source(),
        };
    }
    None
}

/// A certificate outside its dates: which date, what time it is here, and the way out.
pub fn outside_its_dates(error: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(why) = error else {
        return None;
    };
    Some(match why {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "its certificate ended at {}, and it is {} here: it must be renewed, unless this machine's clock is ahead",
            instant(*not_after),
            instant(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate begins at {}, and it is {} here: check this machine's clock",
            instant(*not_before),
            instant(*time)
        ),
        CertificateError::Expired => {
            "its certificate has ended: it must be renewed, unless this machine's clock is ahead"
                .to_owned()
        }
        CertificateError::NotValidYet => {
            "its certificate has not begun yet: check this machine's clock".to_owned()
        }
        _ => return None,
    })
}

fn instant(at: UnixTime) -> String {
    let at = DateTime::<Utc>::UNIX_EPOCH.checked_add_signed(
        chrono::TimeDelta::from_std(Duration::from_secs(at.as_secs())).unwrap_or_default(),
    );
    at.map_or_else(
        || "a date beyond the calendar".to_owned(),
        |at| at.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_certificate_outside_its_dates_says_which_and_what_to_do() {
        let (time, other) = (at(1_774_747_800), at(1_774_000_000));
        for (why, parts) in [
            (
                CertificateError::ExpiredContext {
                    time,
                    not_after: other,
                },
                [
                    "ended at 2026-03-20T09:46:40Z",
                    "it is 2026-03-29T01:30:00Z",
                    "renewed",
                ],
            ),
            (
                CertificateError::NotValidYetContext {
                    time: other,
                    not_before: time,
                },
                [
                    "begins at 2026-03-29T01:30:00Z",
                    "it is 2026-03-20T09:46:40Z",
                    "check this machine's clock",
                ],
            ),
        ] {
            let said = rustls::Error::InvalidCertificate(why);
            let wrapped = std::io::Error::other(std::io::Error::other(said));
            let words = outside_its_dates(tls_error(&wrapped).unwrap()).unwrap();
            for part in parts {
                assert!(words.contains(part), "{words}");
            }
        }
    }

    #[test]
    fn other_faults_have_no_dates() {
        let other = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(outside_its_dates(&other), None);
        assert!(tls_error(&std::io::Error::other("plain")).is_none());
    }
}
