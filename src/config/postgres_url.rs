//! What may follow the `?` of a PostgreSQL URL. The driver passes over what it doesn't know, so a slip in `sslmode`
//! would connect in clear; here it is an error with the way out.

use std::net::IpAddr;

use reqwest::Url;

use super::nearest::nearest;
use super::problem::shown;

/// The values of `sslmode`, from none to all that TLS can give.
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// What the driver understands, under the names that are documented.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// The driver's other names of the same.
const ALIASES: [&str; 5] = ["ssl-mode", "ssl-root-cert", "ssl-ca", "ssl-cert", "ssl-key"];

/// What is wrong with a URL, and the way out. Holds nothing of the URL but names and what is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct UrlFault {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

fn fault(message: String, help: impl Into<String>) -> UrlFault {
    UrlFault {
        message,
        help: help.into(),
    }
}

/// Every parameter is known, stands once and means something. A password is not looked for.
pub fn check(url: &Url) -> Result<(), UrlFault> {
    if url.fragment().is_some() {
        return Err(fault(
            "what follows `#` in the url would be left out".to_owned(),
            "remove it, or write the sign as %23",
        ));
    }
    let hosts = url.host_str().unwrap_or_default();
    if hosts.contains(',') {
        return Err(one_host());
    }
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in url.query_pairs() {
        let same = plain(&name);
        if seen.contains(&same) {
            return Err(fault(
                format!("`{same}` stands twice in the url"),
                "remove one of them",
            ));
        }
        parameter(&name, &value)?;
        seen.push(same);
    }
    Ok(())
}

/// The documented name of a parameter.
fn plain(name: &str) -> String {
    match name {
        "ssl-mode" => "sslmode",
        "ssl-root-cert" | "ssl-ca" => "sslrootcert",
        "ssl-cert" => "sslcert",
        "ssl-key" => "sslkey",
        other => other,
    }
    .to_owned()
}

fn parameter(name: &str, value: &str) -> Result<(), UrlFault> {
    let known = plain(name);
    if let Some(setting) = name.strip_prefix("options[") {
        return match setting.strip_suffix(']') {
            Some(setting) if is_setting(setting) => Ok(()),
            _ => Err(fault(
                "an `options[…]` of the url names no setting".to_owned(),
                "for example options[search_path]=tesa",
            )),
        };
    }
    if !PARAMETERS.contains(&known.as_str()) {
        return Err(unknown(name));
    }
    if value.trim().is_empty() && known != "password" {
        return Err(fault(
            format!("`{name}` in the url is empty"),
            "give it a value, or remove it",
        ));
    }
    let good = match known.as_str() {
        "sslmode" => return ssl_mode(value),
        "host" if value.contains(',') => return Err(one_host()),
        "port" => value.parse::<u16>().is_ok_and(|port| port != 0),
        "hostaddr" => value.parse::<IpAddr>().is_ok(),
        "statement-cache-capacity" => value.parse::<usize>().is_ok(),
        _ => true,
    };
    if good {
        return Ok(());
    }
    let wanted = match known.as_str() {
        "hostaddr" => "an IP address is needed",
        "port" => "a number from 1 to 65535 is needed",
        _ => "a whole number is needed",
    };
    Err(fault(
        format!("`{name}` in the url can't be {}", shown(value)),
        wanted,
    ))
}

fn ssl_mode(value: &str) -> Result<(), UrlFault> {
    if SSL_MODES
        .iter()
        .any(|mode| mode.eq_ignore_ascii_case(value))
    {
        return Ok(());
    }
    let help = match nearest(value, SSL_MODES) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of: {}", SSL_MODES.join(", ")),
    };
    Err(fault(
        format!("{} is not a value of sslmode", shown(value)),
        help,
    ))
}

fn one_host() -> UrlFault {
    fault(
        "the url names several hosts".to_owned(),
        "name one, which leads to the primary (a virtual address, a service, or a DNS name that follows it)",
    )
}

/// The name of a setting goes into a command line of the server's: nothing may hide in it.
fn is_setting(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}

fn unknown(name: &str) -> UrlFault {
    let message = format!("{} is no parameter of the url that is known", shown(name));
    let help = match name {
        "search_path" | "currentSchema" | "schema" => {
            "write options[search_path]=SCHEMA".to_owned()
        }
        "target_session_attrs" | "targetServerType" | "load_balance_hosts" => {
            "remove it: one host is named, and a connection that leads to a standby is given up by itself".to_owned()
        }
        "connect_timeout" | "statement_timeout" | "lock_timeout" => {
            "remove it: each call of the store has its time-out already".to_owned()
        }
        "sslpassword" | "passfile" | "passwd" | "pwd" => {
            "remove it: secrets come from files; a password's file is named in state.password_file, and the file of sslkey is not encrypted"
                .to_owned()
        }
        _ => match nearest(name, PARAMETERS.into_iter().chain(ALIASES)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of: {}", documented()),
        },
    };
    fault(message, help)
}

/// A password has no place in a URL, so its name is not offered.
fn documented() -> String {
    let names = PARAMETERS.into_iter().filter(|&name| name != "password");
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parameters: &str) -> String {
        let url = Url::parse(&format!("postgres://u@h/d?{parameters}")).unwrap();
        check(&url).unwrap_err().to_string()
    }

    #[test]
    fn a_slip_in_a_name_is_refused_with_the_nearest_one() {
        for (parameters, way_out) in [
            ("sslmdoe=verify-full", "did you mean `sslmode`?"),
            ("SSLMODE=verify-full", "did you mean `sslmode`?"),
            ("sslrootcrt=/ca.pem", "did you mean `sslrootcert`?"),
            ("applicaton_name=x", "did you mean `application_name`?"),
            ("colour=red", "one of: sslmode, "),
            ("search_path=tesa", "options[search_path]"),
            ("target_session_attrs=read-write", "given up by itself"),
            ("connect_timeout=5", "time-out already"),
            ("sslpassword=CANARY", "secrets come from files"),
            ("options[]=1", "options[search_path]"),
            ("options[a b]=1", "options[search_path]"),
        ] {
            let said = said(parameters);
            assert!(said.contains(way_out), "{parameters}: {said}");
            assert!(!said.contains("CANARY"), "{said}");
        }
    }

    #[test]
    fn a_value_that_means_nothing_is_refused() {
        for (parameters, way_out) in [
            ("sslmode=verify_full", "did you mean `verify-full`?"),
            ("sslmode=on", "one of: disable, allow, prefer, require"),
            ("sslmode=", "give it a value"),
            ("sslmode=verify-full&sslmode=disable", "stands twice"),
            ("sslmode=verify-full&ssl-mode=disable", "stands twice"),
            ("port=0", "1 to 65535"),
            ("port=x", "1 to 65535"),
            ("hostaddr=db", "an IP address"),
            ("host=a,b", "name one"),
            ("statement-cache-capacity=-1", "a whole number"),
            ("sslmode=require#x", "%23"),
        ] {
            let said = said(parameters);
            assert!(said.contains(way_out), "{parameters}: {said}");
        }
    }

    #[test]
    fn what_the_driver_understands_passes() {
        for parameters in [
            "",
            "sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem",
            "ssl-mode=VERIFY-FULL&ssl-root-cert=/ca.pem",
            "host=/run/postgresql&port=5433&user=u&dbname=d",
            "hostaddr=::1&application_name=x&statement-cache-capacity=0",
            "options=-c%20search_path%3Dtesa&options[work_mem]=8MB",
        ] {
            let url = Url::parse(&format!("postgres://u@h/d?{parameters}")).unwrap();
            assert_eq!(check(&url), Ok(()), "{parameters}");
        }
    }
}
