//! How a write is carried out: once. What can't be known of its outcome is said to be unknown.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::client::HttpTesamanager;
use super::error::{Problem, WriteError};
use super::transport::{self, Call, LARGEST_ERROR};
use super::{Accepted, redact, wire};
use crate::domain::ids::Org;
use crate::reconcile::guard::WritePermit;
use crate::telemetry::record;

impl HttpTesamanager {
    pub(super) async fn write_once(&self, permit: WritePermit) -> Result<Accepted, WriteError> {
        let operation = permit.operation();
        let org = permit.org();
        let not_sent = |detail: String| WriteError::NotSent { detail };
        let (method, url) = self
            .routes
            .write(operation, org)
            .map_err(|error| not_sent(redact::text(&error.to_string(), 200)))?;
        // The library's message may quote a value, so it is left out.
        let body = serde_json::to_vec(permit.write())
            .map_err(|_| not_sent("the write can't be put into JSON".to_owned()))?;
        let bearer = self
            .tokens
            .bearer()
            .await
            .map_err(|error| not_sent(error.to_string()))?;
        let correlation_id = permit.correlation_id();
        let request = transport::request(method, url, bearer.header(), correlation_id, Some(body));
        if permit.is_withdrawn() {
            return Err(not_sent(
                "the configuration was reloaded after its row was written".to_owned(),
            ));
        }
        if permit.has_expired() {
            return Err(not_sent(
                "too much time went by since its row was written: others may take it for lost"
                    .to_owned(),
            ));
        }
        let call = Call::begin(operation.as_str(), org, correlation_id, 1);
        let within = self.write_within();
        let response = call
            .send(&self.http, request, within)
            .await
            .map_err(|failed| {
                let detail = failed.detail.clone();
                if failed.nothing_was_sent() {
                    WriteError::NotSent { detail }
                } else {
                    WriteError::Unknown {
                        detail,
                        http_status: None,
                    }
                }
            })?;
        self.note_skew(&response);
        if response.status() == StatusCode::UNAUTHORIZED {
            self.tokens.forget(&bearer);
            self.refusals.write_refused(org, &bearer);
        }
        self.outcome(operation.as_str(), org, &call, response).await
    }

    /// From the first byte of the request to the last of the answer. Connecting has a time-out of its own, which must be
    /// the one that strikes while connecting, because nothing was sent then.
    fn write_within(&self) -> Duration {
        self.request_timeout
            .max(self.connect_timeout + Duration::from_millis(100))
    }

    async fn outcome(
        &self,
        operation: &'static str,
        org: &Org,
        call: &Call<'_>,
        response: Response,
    ) -> Result<Accepted, WriteError> {
        let within = self.write_within();
        let status = response.status();
        let http_status = status.as_u16();
        let unknown = |detail: String| WriteError::Unknown {
            detail,
            http_status: Some(http_status),
        };
        if status.is_success() {
            let body = call
                .read(response, LARGEST_ERROR, within)
                .await
                .map_err(|failed| unknown(format!("the answer was cut: {}", failed.detail)))?;
            return match wire::write_result(&body) {
                Ok(result) => Ok(Accepted {
                    http_status,
                    code: result.code,
                    reference_id: result.reference_id,
                }),
                Err(undecodable) => {
                    let detail = undecodable.to_string();
                    record::contract_violation(operation);
                    tracing::warn!(
                        operation,
                        detail,
                        answer = redact::shape(&body),
                        "the upstream's answer breaks the contract"
                    );
                    Err(unknown(format!(
                        "a {http_status} that can't be understood: {detail}"
                    )))
                }
            };
        }
        let retry_after = transport::retry_after(&response, self.clock.now());
        if let Some(pause) = retry_after {
            self.limits.hold_back(org, pause).await;
        }
        let body = call.read_error(response, within).await;
        let problem = wire::problem(&body);
        if is_definite_refusal(http_status) {
            return Err(WriteError::Rejected {
                http_status,
                problem,
                retry_after,
            });
        }
        Err(unknown(describe(http_status, &problem)))
    }
}

/// A 4xx says that the write had no effect. Except for two that a proxy sends when it lost patience with either
/// side: the write may have gone through behind it.
fn is_definite_refusal(http_status: u16) -> bool {
    (400..500).contains(&http_status) && !matches!(http_status, 408 | 499)
}

fn describe(http_status: u16, problem: &Problem) -> String {
    if (300..400).contains(&http_status) {
        return format!("{http_status}: a redirect, which is not followed: check base_url");
    }
    format!("{http_status}: {problem}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_definite_4xx_is_a_refusal() {
        for status in [400, 401, 403, 404, 406, 409, 422, 429] {
            assert!(is_definite_refusal(status), "{status}");
        }
        for status in [302, 307, 408, 499, 500, 502, 503, 504] {
            assert!(!is_definite_refusal(status), "{status}");
        }
    }
}
