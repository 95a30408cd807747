//! The tests' own HTTP client: plain reqwest, so that what they see is not the daemon's view of it.

use std::time::Duration;

/// A client that neither asks the environment for a proxy nor the machine for certificates, and waits for nothing
/// longer than a test may take.
#[expect(
    clippy::disallowed_methods,
    reason = "tests look at servers with a client of their own"
)]
pub fn client() -> reqwest::Client {
    // Fails only where another test has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a plain client")
}
