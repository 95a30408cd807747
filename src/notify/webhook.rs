//! One delivery over HTTP: a bounded body out, a status back, nothing else.
//!
//! The answer's body is not read, a redirect is not followed (it would carry the token elsewhere), and nothing is
//! repeated here: the next try is the [`super::sender`]'s, from the book. Messages name the receiver's host only,
//! because the path of such an address is a secret with many receivers.

use std::path::{Path, PathBuf};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::config::{Notify, NotifyFormat};
use crate::domain::AlertName;
use crate::tesamanager::{Connections, TlsError, describe, http_client, token_in};

/// Why nobody can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address, which the configuration has checked before.
    #[error("notify.url is not a URL")]
    Address,
}

/// Why a delivery failed. It may have arrived all the same. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// There is no token to come with.
    #[error("the file {path} in notify.token_file {fault}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// No answer.
    #[error("{host} did not answer: {detail}")]
    NoAnswer {
        /// The receiver.
        host: String,
        /// What happened.
        detail: String,
    },
    /// An answer that is no yes.
    #[error("{host} answered {status}{hint}")]
    Refused {
        /// The receiver.
        host: String,
        /// The status code.
        status: u16,
        /// What to look at.
        hint: &'static str,
    },
}

/// A receiver of notifications.
#[derive(Debug)]
pub struct Webhook {
    settings: Notify,
    url: Url,
    http: Client,
}

impl Webhook {
    /// Builds it without calling anybody.
    ///
    /// # Errors
    /// Faults of the configuration or the machine.
    pub fn new(settings: &Notify) -> Result<Self, WebhookError> {
        let http = http_client(&Connections {
            section: "notify",
            url: &settings.url,
            ca_file: settings.ca_file.as_deref(),
            connect_timeout: settings.timeout,
            idle: 1,
        })?;
        Ok(Self {
            settings: settings.clone(),
            url: Url::parse(&settings.url).map_err(|_| WebhookError::Address)?,
            http,
        })
    }

    /// What is told.
    pub fn alerts(&self) -> &[AlertName] {
        &self.settings.alerts
    }

    /// In which form.
    pub const fn format(&self) -> NotifyFormat {
        self.settings.format
    }

    /// How long a delivery may take.
    pub const fn timeout(&self) -> std::time::Duration {
        self.settings.timeout
    }

    /// Posts `body` once. Ends within the configured time-out. Dropped midway, it may have arrived.
    ///
    /// # Errors
    /// Everything but a 2xx.
    pub async fn post(&self, body: &Value) -> Result<(), Undelivered> {
        let delivery = self.deliver(body);
        tokio::time::timeout(self.settings.timeout, delivery)
            .await
            .unwrap_or_else(|_elapsed| {
                let limit = self.settings.timeout.as_secs_f64();
                Err(self.no_answer(format!("no answer within {limit} s")))
            })
    }

    async fn deliver(&self, body: &Value) -> Result<(), Undelivered> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_string());
        if let Some(path) = &self.settings.token_file {
            request = request.header(AUTHORIZATION, bearer(path).await?);
        }
        let answer = request.send().await;
        let status = answer
            .map_err(|error| self.no_answer(describe(&error)))?
            .status();
        if status.is_success() {
            return Ok(());
        }
        Err(Undelivered::Refused {
            host: self.settings.host(),
            status: status.as_u16(),
            hint: match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ": check notify.token_file",
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => ": check notify.url",
                StatusCode::BAD_REQUEST => ": check notify.format",
                status if status.is_redirection() => {
                    ": redirects are not followed, check notify.url"
                }
                _ => "",
            },
        })
    }

    fn no_answer(&self, detail: String) -> Undelivered {
        Undelivered::NoAnswer {
            host: self.settings.host(),
            detail,
        }
    }
}

/// The token as it stands in the file now: deliveries are rare enough to read it for each.
async fn bearer(path: &Path) -> Result<HeaderValue, Undelivered> {
    let fault = |fault: String| Undelivered::Token {
        path: path.to_owned(),
        fault,
    };
    let text = tokio::fs::read_to_string(path).await;
    let text = SecretString::from(text.map_err(|error| fault(format!("can't be read: {error}")))?);
    let token = token_in(text.expose_secret()).map_err(|why| fault(why.to_owned()))?;
    let header = SecretString::from(format!("Bearer {}", token.expose_secret()));
    let mut value = HeaderValue::from_str(header.expose_secret())
        .map_err(|_| fault("holds more than one line, or no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
