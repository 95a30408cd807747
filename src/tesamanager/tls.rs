//! Builds the one HTTP client: TLS roots, connections, and everything it must not do on its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Url};

use super::transport;
use crate::config;

/// Well below the idle time after which servers commonly close: a write on a connection that closes under it has
/// an unknown outcome.
const IDLE: Duration = Duration::from_secs(15);

/// Why there is no HTTP client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The private CA.
    #[error("tesamanager.ca_file {path}: {detail}", path = path.display())]
    CaFile {
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// No roots to trust.
    #[error(
        "no certificate authorities to trust ({detail}): install the package ca-certificates, or set tesamanager.ca_file"
    )]
    NoRoots {
        /// The library's word.
        detail: String,
    },
}

/// Makes *ring* the process's cryptography, unless that was done before. Called first thing in `main`; harmless
/// when repeated.
pub fn install_crypto_provider() {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client for the upstream and its token endpoint: HTTP/2 where TLS agrees on it, no redirects, no retries.
pub fn client(settings: &config::Tesamanager) -> Result<Client, TlsError> {
    install_crypto_provider();
    let extra = settings
        .ca_file
        .as_deref()
        .map_or(Ok(Vec::new()), read_ca)?;
    // The machine's roots and ours. On a machine without any, that fails, even if nothing needs them.
    let merged = builder(settings).tls_certs_merge(extra.clone()).build();
    let plain = settings.base_url.starts_with("http://");
    match merged {
        Err(_) if plain || !extra.is_empty() => builder(settings).tls_certs_only(extra).build(),
        built => built,
    }
    .map_err(|error| TlsError::NoRoots {
        detail: transport::describe(&error),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that builds HTTP clients"
)]
fn builder(settings: &config::Tesamanager) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("tesa-reconciler/", env!("CARGO_PKG_VERSION")))
        // Followed, a redirect would send a write twice, or the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // Repeating is decided by us: for reads under a budget, for writes never.
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(settings.max_in_flight.max(1))
        .tcp_nodelay(true)
        // The id list is large; fixed windows would make its speed a question of distance.
        .http2_adaptive_window(true);
    if is_loopback(&settings.base_url) {
        // A proxy is for the world outside.
        builder.no_proxy()
    } else {
        builder
    }
}

fn is_loopback(base_url: &str) -> bool {
    let host = Url::parse(base_url).ok().and_then(|url| {
        url.host_str()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
    });
    host.is_some_and(|host| {
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn read_ca(path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let fault = |detail: String| TlsError::CaFile {
        path: path.to_owned(),
        detail,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| fault(transport::describe(&error)))?;
    if certificates.is_empty() {
        return Err(fault("no certificate in it (PEM is wanted)".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_in_every_spelling() {
        for (url, expected) in [
            ("http://127.0.0.1:8081/v1", true),
            ("http://[::1]:8081", true),
            ("http://localhost", true),
            ("https://provision.example/v1", false),
            ("http://10.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }

    #[test]
    fn a_bad_ca_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(read_ca(&path).unwrap_err().to_string().contains("ca.pem"));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(read_ca(&path).unwrap_err().to_string().contains("PEM"));
    }
}
