//! Builds the HTTP clients, the upstream's and the notifications': TLS roots, connections, and everything they must
//! not do on their own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, ClientBuilder, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::limits::LARGEST;
use super::transport;
use crate::config;

/// Well below the idle time after which servers commonly close: a write on a connection that closes under it has
/// an unknown outcome.
pub(super) const IDLE: Duration = Duration::from_secs(15);

/// Why there is no HTTP client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The private CA.
    #[error("{section}.ca_file {path}: {detail}", path = path.display())]
    CaFile {
        /// The section of the configuration that names it.
        section: &'static str,
        /// As configured.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// No roots to trust.
    #[error(
        "no certificate authorities to trust ({detail}): install the package ca-certificates, or set {section}.ca_file"
    )]
    NoRoots {
        /// The section of the configuration that could name some.
        section: &'static str,
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

/// What a client is for.
#[derive(Debug, Clone, Copy)]
pub struct Connections<'a> {
    /// The section of the configuration that says so.
    pub section: &'static str,
    /// Whom it calls.
    pub url: &'a str,
    /// A private CA.
    pub ca_file: Option<&'a Path>,
    /// For a connection.
    pub connect_timeout: Duration,
    /// Connections kept while idle.
    pub idle: usize,
}

/// The client for the upstream and its token endpoint.
pub fn client(settings: &config::Tesamanager) -> Result<Client, TlsError> {
    http_client(&upstream(settings))
}

fn upstream(settings: &config::Tesamanager) -> Connections<'_> {
    Connections {
        section: "tesamanager",
        url: &settings.base_url,
        ca_file: settings.ca_file.as_deref(),
        connect_timeout: settings.connect_timeout,
        idle: settings.max_in_flight.unwrap_or(LARGEST),
    }
}

/// The same client, but for one thing: it keeps no connection, so each call is made on a new one.
pub fn fresh_client(settings: &config::Tesamanager) -> Result<Client, TlsError> {
    http_client(&Connections {
        idle: 0,
        ..upstream(settings)
    })
}

/// A client: HTTP/2 where TLS agrees on it, no redirects, no retries.
pub fn http_client(wanted: &Connections<'_>) -> Result<Client, TlsError> {
    install_crypto_provider();
    let extra = wanted
        .ca_file
        .map_or(Ok(Vec::new()), |path| read_ca(wanted.section, path))?;
    // The machine's roots and ours. On a machine without any, that fails, even if nothing needs them.
    let merged = builder(wanted).tls_certs_merge(extra.clone()).build();
    let plain = wanted.url.starts_with("http://");
    match merged {
        Err(_) if plain || !extra.is_empty() => builder(wanted).tls_certs_only(extra).build(),
        built => built,
    }
    .map_err(|error| TlsError::NoRoots {
        section: wanted.section,
        detail: transport::describe(&error),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that builds HTTP clients"
)]
fn builder(wanted: &Connections<'_>) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("tesa-reconciler/", env!("CARGO_PKG_VERSION")))
        // Followed, a redirect would send a write twice, or the token elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // Repeating is decided by us: for reads under a budget, for writes never.
        .retry(reqwest::retry::never())
        .connect_timeout(wanted.connect_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(wanted.idle)
        .tcp_nodelay(true)
        // The id list is large; fixed windows would make its speed a question of distance.
        .http2_adaptive_window(true);
    if is_loopback(wanted.url) {
        // A proxy is for the world outside.
        builder.no_proxy()
    } else {
        builder
    }
}

/// The proxy through which a client calls `url`, without credentials; none where it goes there by itself. The same
/// matcher is asked that the client asks: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case.
pub fn proxy_to(url: &str) -> Option<String> {
    if is_loopback(url) {
        return None;
    }
    let through = Matcher::from_system().intercept(&url.parse().ok()?)?;
    let (scheme, host) = (through.uri().scheme_str()?, through.uri().host()?);
    let port = through.uri().port_u16();
    Some(port.map_or_else(
        || format!("{scheme}://{host}"),
        |port| format!("{scheme}://{host}:{port}"),
    ))
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

fn read_ca(section: &'static str, path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let fault = |detail: String| TlsError::CaFile {
        section,
        path: path.to_owned(),
        detail,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| fault(transport::describe(&error)))?;
    if certificates.is_empty() {
        return Err(fault("no certificate in it (PEM is wanted)".to_owned()));
    }
    usable(&pem).map_err(fault)?;
    Ok(certificates)
}

/// Each of them can be trusted; else the first that can't. The client's builder would only say that there is one.
fn usable(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
        added.map_err(|error| {
            let nth = index + 1;
            format!("its certificate no. {nth} can't be used ({error}): replace it, or take it out")
        })?;
    }
    Ok(())
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
    fn an_entry_of_a_ca_file_that_can_not_be_used_is_counted_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let good = include_str!("tests/test-only-ca.pem");
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, format!("{good}{broken}")).unwrap();
        let error = read_ca("tesamanager", &path).unwrap_err().to_string();
        assert!(
            error.contains("ca.pem") && error.contains("no. 2"),
            "{error}"
        );
        std::fs::write(&path, format!("{good}{good}")).unwrap();
        assert_eq!(read_ca("tesamanager", &path).unwrap().len(), 2);
    }

    #[test]
    fn a_bad_ca_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = read_ca("notify", &path).unwrap_err().to_string();
        assert!(error.starts_with("notify.ca_file ") && error.contains("ca.pem"));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(
            read_ca("notify", &path)
                .unwrap_err()
                .to_string()
                .contains("PEM")
        );
    }
}
