//! How a write is carried out: once. What can't be known of its outcome is said to be unknown.

use std::sync::Arc;

use reqwest::{Response, StatusCode};

use super::client::HttpTesamanager;
use super::departure::Departure;
use super::error::{Problem, WriteError};
use super::transport::{self, Call, Failed, LARGEST_ERROR};
use super::{Accepted, Ready, redact, wire};
use crate::domain::IllHealth;
use crate::domain::ids::Org;
use crate::reconcile::guard::WritePermit;
use crate::telemetry::record;

impl HttpTesamanager {
    pub(super) async fn write_once(
        &self,
        permit: WritePermit,
        ready: Ready,
    ) -> Result<Accepted, WriteError> {
        let departure = Departure::new(Arc::clone(&self.clock), permit);
        let permit = departure.permit();
        let operation = permit.operation();
        let org = permit.org();
        let not_sent = |detail: String| WriteError::NotSent {
            detail,
            unreached: None,
        };
        let (method, url) = self
            .routes
            .write(operation, org)
            .map_err(|error| not_sent(redact::text(&error.to_string(), 200)))?;
        // The library's message may quote a value, so it is left out.
        let body = serde_json::to_vec(permit.write())
            .map_err(|_| not_sent("the write can't be put into JSON".to_owned()))?;
        // Known already, so that nobody is called for nothing; asked again when the first byte is about to leave.
        departure
            .check()
            .map_err(|stayed| not_sent(stayed.to_string()))?;
        let correlation_id = permit.correlation_id();
        let bearer = ready.bearer;
        let body = Some(departure.body(body));
        let request = transport::request(method, url, bearer.header(), correlation_id, body);
        let call = Call::begin(operation.as_str(), org, correlation_id, 1);
        let sent = tokio::select! {
            biased;
            sent = call.send(&self.carrier, request, self.request_timeout) => sent,
            () = departure.missed() => Err(call.failed(missed())),
        };
        let response = sent.map_err(|failed| {
            let detail = failed.detail;
            // Asked this way, it can't leave between the question and its answer.
            if departure.call_off() {
                // Without even a connection it is as ill as it gets. A body that was not to leave any more is our own doing.
                let unreached = matches!(failed.code, "connect" | "timeout");
                WriteError::NotSent {
                    detail,
                    unreached: unreached.then_some(IllHealth::Connect),
                }
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

    async fn outcome(
        &self,
        operation: &'static str,
        org: &Org,
        call: &Call<'_>,
        response: Response,
    ) -> Result<Accepted, WriteError> {
        let within = self.request_timeout;
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

/// Most likely while connecting.
fn missed() -> Failed {
    Failed {
        code: "connect",
        detail: "no connection stood within the time for which its row in the ledger is good"
            .to_owned(),
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
