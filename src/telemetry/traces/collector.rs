//! One delivery of spans over HTTP: protobuf out, a status back.
//!
//! As with notifications, nothing is repeated and no redirect is followed. The headers' file is read for each
//! delivery, so that a key can be changed while running; messages never hold what stands in it.

use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::TracesError;
use crate::config::Traces;
use crate::tesamanager::{Connections, describe, http_client};

/// Of an answer, this much is read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why spans were not taken. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The headers can't be had.
    #[error("the file {path} in traces.headers_file {fault}", path = path.display())]
    Headers {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer that is no yes.
    #[error("it answered {status}{hint}")]
    Refused {
        /// The status code.
        status: u16,
        /// What to look at.
        hint: &'static str,
    },
    /// It took the rest.
    #[error("it rejected {0} spans")]
    InPart(u64),
    /// The process ends.
    #[error("the process is ending")]
    Ending,
}

/// The collector.
#[derive(Debug)]
pub struct Collector {
    settings: Traces,
    url: Url,
    http: Client,
}

impl Collector {
    /// Builds it without calling anybody.
    ///
    /// # Errors
    /// Faults of the configuration or the machine.
    pub fn new(settings: &Traces) -> Result<Self, TracesError> {
        let url = settings.url();
        let http = http_client(&Connections {
            section: "traces",
            url: &url,
            ca_file: settings.ca_file.as_deref(),
            connect_timeout: settings.timeout,
            idle: 1,
        })?;
        Ok(Self {
            settings: settings.clone(),
            url: Url::parse(&url).map_err(|_| TracesError::Address)?,
            http,
        })
    }

    /// As configured; it holds no secret.
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// Posts an `ExportTraceServiceRequest` once. Ends within the configured time-out. Dropped midway, it may have
    /// arrived.
    ///
    /// # Errors
    /// Everything but a 2xx that took all of it.
    pub async fn post(&self, body: Vec<u8>) -> Result<(), Undelivered> {
        let limit = self.settings.timeout;
        tokio::time::timeout(limit, self.deliver(body))
            .await
            .unwrap_or_else(|_elapsed| {
                let limit = limit.as_secs_f64();
                Err(Undelivered::NoAnswer(format!("nothing within {limit} s")))
            })
    }

    async fn deliver(&self, body: Vec<u8>) -> Result<(), Undelivered> {
        let mut headers = match &self.settings.headers_file {
            Some(path) => headers(path).await?,
            None => HeaderMap::new(),
        };
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        let request = self.http.post(self.url.clone()).headers(headers).body(body);
        let answer = request.send().await;
        let answer = answer.map_err(|error| Undelivered::NoAnswer(describe(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Undelivered::Refused {
                status: status.as_u16(),
                hint: match status.as_u16() {
                    401 | 403 => ": check traces.headers_file",
                    300..=399 => ": redirects are not followed, check traces.endpoint",
                    404 | 405 | 415 => {
                        ": check traces.endpoint (OTLP over HTTP, commonly port 4318)"
                    }
                    _ => "",
                },
            });
        }
        match rejected(answer).await {
            0 => Ok(()),
            spans => Err(Undelivered::InPart(spans)),
        }
    }
}

/// How many spans a yes rejects all the same. An answer that can't be understood rejects none.
async fn rejected(mut answer: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return 0;
        }
        body.extend_from_slice(&chunk);
    }
    ExportTraceServiceResponse::decode(&*body)
        .ok()
        .and_then(|answer| answer.partial_success)
        .and_then(|part| u64::try_from(part.rejected_spans).ok())
        .unwrap_or(0)
}

/// The headers as they stand in the file now: deliveries are rare enough to read it for each.
async fn headers(path: &Path) -> Result<HeaderMap, Undelivered> {
    let fault = |fault: String| Undelivered::Headers {
        path: path.to_owned(),
        fault,
    };
    let text = tokio::fs::read_to_string(path).await;
    let text = SecretString::from(text.map_err(|error| fault(format!("can't be read: {error}")))?);
    parse(text.expose_secret())
        .map_err(|line| fault(format!("holds no `Name: value` in line {line}")))
}

/// `Name: value` a line; empty lines and those that begin with `#` say nothing. Else the number of the bad line.
fn parse(text: &str) -> Result<HeaderMap, usize> {
    let mut headers = HeaderMap::new();
    // Editors of another system put the first character in front.
    let text = text.trim_start_matches('\u{feff}');
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let mut value = HeaderValue::from_str(value.trim()).ok()?;
            value.set_sensitive(true);
            Some((name.trim().parse::<HeaderName>().ok()?, value))
        });
        let (name, value) = header.ok_or(index + 1)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
