//! The sandbox's service account: a key that everybody may know, and the file a client needs to use it.
//!
//! The key is embedded so that the sandbox works without a setup, and is worth nothing anywhere else.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};

/// PKCS#8, RSA 2048. For the sandbox only: it is published with the source and protects nothing.
const KEY_PEM: &str = include_str!("sandbox-only-key.pem");

/// `private_key_id`, and so the `kid` of assertions.
pub const KEY_ID: &str = "sandbox-only-key";

/// `client_email`, and so the `iss` of assertions.
pub const CLIENT_EMAIL: &str = "tesa-reconciler@sandbox.invalid";

/// The public half, as ring wants it to verify (PKCS#1 DER).
///
/// # Errors
/// If the embedded key were damaged, which a test rules out.
pub(super) fn public_key() -> Result<Vec<u8>, BadKey> {
    let text: String = KEY_PEM
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = STANDARD.decode(text).map_err(|_| BadKey)?;
    let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| BadKey)?;
    Ok(pair.public_key().as_ref().to_vec())
}

/// The embedded key can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's embedded key can't be read; the program was built from damaged sources")]
pub struct BadKey;

/// What belongs into a service account's file for a sandbox with this token endpoint.
pub fn service_account(token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "private_key_id": KEY_ID,
        "private_key": KEY_PEM,
        "client_email": CLIENT_EMAIL,
        "token_uri": token_uri,
    })
}

/// Writes that file.
///
/// # Errors
/// As [`std::fs::write`].
pub fn write_service_account(path: &Path, token_uri: &str) -> std::io::Result<()> {
    std::fs::write(path, format!("{:#}\n", service_account(token_uri)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_embedded_key_is_whole() {
        assert!(super::public_key().is_ok());
    }
}
