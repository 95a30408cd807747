//! A token that needs no file and no endpoint, for an upstream in this process. A refused one is renewed at once.

use std::sync::atomic::{AtomicU64, Ordering};

use secrecy::SecretString;

use super::{AuthError, Bearer};

/// The token, and how often it was renewed.
#[derive(Debug)]
pub struct Given {
    token: SecretString,
    generation: AtomicU64,
}

impl Given {
    /// This token, whatever its generation.
    pub fn new(token: SecretString) -> Self {
        Self {
            token,
            generation: AtomicU64::new(0),
        }
    }

    /// The token of today.
    pub fn bearer(&self) -> Result<Bearer, AuthError> {
        let generation = self.generation.load(Ordering::Relaxed);
        Bearer::new(&self.token, generation).ok_or_else(|| AuthError::NoToken {
            host: "in this process".to_owned(),
            fault: "it can't stand in a header",
        })
    }

    /// The one after `refused`.
    pub fn renew(&self, refused: &Bearer) {
        let next = refused.generation + 1;
        self.generation.fetch_max(next, Ordering::Relaxed);
    }
}
