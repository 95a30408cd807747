//! Where the bearer token comes from: a file that somebody else keeps fresh, or a service account of ours.
//!
//! Both know *generations*: a caller whose token was refused says which one it was, so that a hundred refused
//! calls lead to one new token, and a token that was replaced meanwhile is simply tried.

mod account;
mod given;
mod jwt;
mod refusals;
mod service_account;
mod token_file;

use std::path::PathBuf;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::error::Problem;
use crate::clock::SharedClock;
use crate::config;
use crate::domain::IllHealth;
use given::Given;
pub use refusals::Refusals;
use service_account::ServiceAccount;
use token_file::TokenFile;
pub use token_file::token as token_in;

/// A token as a header, and which one it is.
#[derive(Clone)]
pub struct Bearer {
    header: HeaderValue,
    generation: u64,
}

impl Bearer {
    /// None if the token can't stand in a header.
    fn new(token: &SecretString, generation: u64) -> Option<Self> {
        let text = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let mut header = HeaderValue::from_str(text.expose_secret()).ok()?;
        header.set_sensitive(true);
        Some(Self { header, generation })
    }

    /// The value of `Authorization`.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bearer")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Why there is no token. Says what to mend; never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The file can't be read.
    #[error("{what} {path} can't be read: {detail}", path = path.display())]
    Unreadable {
        /// "the token file" or "the service account file".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's word.
        detail: String,
    },
    /// The file's content is of no use.
    #[error("{what} {path} {fault}", path = path.display())]
    Unusable {
        /// "the token file" or "the service account file".
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// "is empty", "lacks private_key", …
        fault: &'static str,
    },
    /// The token endpoint can't be reached.
    #[error("the token endpoint {host} can't be reached: {detail}")]
    Unreachable {
        /// Its host.
        host: String,
        /// In which way.
        cause: IllHealth,
        /// What happened.
        detail: String,
    },
    /// The token endpoint answers, but is unwell: that is nothing to mend here.
    #[error("the token endpoint {host} is unwell: it answered {http_status}")]
    Unwell {
        /// Its host.
        host: String,
        /// The status code: 408, 429, or 500 and above.
        http_status: u16,
    },
    /// The token endpoint refuses the service account.
    #[error(
        "the token endpoint {host} answered {http_status} ({problem}) for the service account file {path}: it checks the key, the audience (token_uri) and this machine's clock",
        path = path.display()
    )]
    Refused {
        /// Its host.
        host: String,
        /// The status code.
        http_status: u16,
        /// What it says.
        problem: Problem,
        /// Whose key it was.
        path: PathBuf,
    },
    /// The token endpoint's answer is of no use.
    #[error("the token endpoint {host} gave no token: {fault}")]
    NoToken {
        /// Its host.
        host: String,
        /// What is wrong with the answer.
        fault: &'static str,
    },
}

impl AuthError {
    /// In which way the token endpoint is unwell; none where the credentials are wrong.
    pub const fn ill_health(&self) -> Option<IllHealth> {
        match self {
            Self::Unreachable { cause, .. } => Some(*cause),
            Self::Unwell {
                http_status: 429, ..
            } => Some(IllHealth::Http429),
            Self::Unwell { .. } => Some(IllHealth::Http5xx),
            _ => None,
        }
    }
}

/// The source of tokens.
#[derive(Debug)]
pub enum Tokens {
    /// See [`TokenFile`].
    File(TokenFile),
    /// See [`ServiceAccount`].
    Account(Box<ServiceAccount>),
    /// See [`Given`].
    Given(Given),
}

impl Tokens {
    /// Reads nothing yet: a file that is missing now may be there when it is needed.
    pub fn new(settings: &config::Tesamanager, http: reqwest::Client, clock: SharedClock) -> Self {
        match &settings.credentials {
            config::Credentials::TokenFile(path) => Self::File(TokenFile::new(path.clone())),
            config::Credentials::ServiceAccountFile(path) => {
                let within = settings.connect_timeout + settings.request_timeout;
                let account = ServiceAccount::new(path.clone(), http, clock, within);
                Self::Account(Box::new(account))
            }
        }
    }

    /// This token, for an upstream in this process.
    pub fn given(token: SecretString) -> Self {
        Self::Given(Given::new(token))
    }

    /// A token that should be good. Cancel safe.
    pub async fn bearer(&self) -> Result<Bearer, AuthError> {
        match self {
            Self::File(file) => file.bearer().await,
            Self::Account(account) => account.bearer().await,
            Self::Given(given) => given.bearer(),
        }
    }

    /// `refused` got a 401: is there a newer token? At most one is asked for, whoever asks. Cancel safe.
    pub async fn after_refusal(&self, refused: &Bearer) -> Result<Option<Bearer>, AuthError> {
        match self {
            Self::File(file) => file.after_refusal(refused).await,
            Self::Account(account) => account.after_refusal(refused).await,
            Self::Given(given) => {
                given.renew(refused);
                given.bearer().map(Some)
            }
        }
    }

    /// `refused` got a 401 and its call is over: the next one shall begin with another token. Calls nobody.
    pub fn forget(&self, refused: &Bearer) {
        match self {
            // Looked at before every call anyway.
            Self::File(_) => {}
            Self::Account(account) => account.forget(refused),
            Self::Given(given) => given.renew(refused),
        }
    }

    /// What to look at when a fresh token is refused.
    pub fn hint(&self) -> String {
        match self {
            Self::File(file) => format!(
                "renew the token in {}; a token for another audience is refused in the same way",
                file.path().display()
            ),
            Self::Account(account) => format!(
                "check the service account in {}: a token for another audience or environment \
                 (token_uri) is refused in the same way",
                account.path().display()
            ),
            Self::Given(_) => "the upstream in this process refuses its own token".to_owned(),
        }
    }
}
