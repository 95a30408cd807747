//! Metrics to a Pushgateway, by which a run in a pod of its own is watched: its files go with the pod.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};

use crate::tesamanager::{Connections, TlsError, describe, http_client};

/// So long for the whole of it: a run's end must not wait for a Pushgateway.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why they did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum Unpushed {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No answer.
    #[error("{host} did not answer: {detail}")]
    NoAnswer {
        /// The Pushgateway's name, without the rest of its address.
        host: String,
        /// What happened.
        detail: String,
    },
    /// An answer that is no yes.
    #[error("{host} answered {status}")]
    Refused {
        /// The Pushgateway's name, without the rest of its address.
        host: String,
        /// The status code.
        status: u16,
    },
}

/// Posts a page: that replaces the metrics that stand on it, and leaves the others of the group as they are.
pub async fn push(url: &str, page: String) -> Result<(), Unpushed> {
    let http = http_client(&Connections {
        section: "--push",
        url,
        ca_file: None,
        connect_timeout: PATIENCE,
        idle: 0,
    })?;
    let host = || {
        let url = reqwest::Url::parse(url).ok();
        let host = url.as_ref().and_then(|url| url.host_str());
        host.unwrap_or("the Pushgateway").to_owned()
    };
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    let request = http.post(url).timeout(PATIENCE).header(CONTENT_TYPE, text);
    let answer = request
        .body(page)
        .send()
        .await
        .map_err(|error| Unpushed::NoAnswer {
            host: host(),
            detail: describe(&error),
        })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Unpushed::Refused {
        host: host(),
        status: status.as_u16(),
    })
}
