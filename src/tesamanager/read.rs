//! How a read is carried out: under the limits, with one new token after a 401, asked again within the budget.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::BackoffBuilder as _;
use bytes::Bytes;
use reqwest::{Response, StatusCode};

use super::auth::AuthError;
use super::carrier::Carrier;
use super::client::HttpTesamanager;
use super::error::{Problem, ReadError};
use super::limits::{NoLeave, Slot};
use super::transport::{self, Call, LARGEST_ANSWER};
use super::{redact, retry, wire};
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{IllHealth, ReadOperation};
use crate::telemetry::record;

/// One read's question.
pub struct Question<'a> {
    /// Which.
    pub operation: ReadOperation,
    /// Whose.
    pub org: &'a Org,
    /// About which request, except for the list.
    pub id: Option<&'a ReferenceId>,
    /// Encoded.
    pub query: String,
    /// How often it was asked by now.
    pub asked: AtomicU32,
}

impl Question<'_> {
    fn name(&self) -> &'static str {
        self.operation.as_str()
    }
}

/// A failed try.
struct Failure {
    error: ReadError,
    /// Another try may help.
    again: bool,
    /// Not before this.
    after: Option<Duration>,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self {
            again: error.is_ill_health(),
            error,
            after: None,
        }
    }
}

impl Failure {
    /// The connection ended before there was an answer.
    const fn broke_off(&self) -> bool {
        matches!(
            self.error,
            ReadError::Transient {
                cause: IllHealth::Reset,
                ..
            }
        )
    }

    /// The token endpoint was asked again already, as often as makes sense.
    fn without_token(question: &Question<'_>, error: &AuthError) -> Self {
        Self {
            error: no_token(question.name(), error),
            again: false,
            after: None,
        }
    }
}

/// The head of a good answer.
struct Head<'a> {
    response: Response,
    call: Call<'a>,
    slot: Slot,
}

impl HttpTesamanager {
    /// The whole answer to a question about one request.
    pub(super) async fn read_whole(&self, question: &Question<'_>) -> Result<Bytes, ReadError> {
        self.retrying(|| async {
            let head = self.head(question).await?;
            let within = self.request_timeout;
            let body = head.call.read(head.response, LARGEST_ANSWER, within).await;
            drop(head.slot);
            body.map_err(|failed| match failed.code {
                // Too large, or not what its encoding says: it would be so again.
                "other" => violation(question.operation, question.org, &failed.detail, b"").into(),
                _ => transient(question.name(), failed.ill_health(), failed.detail).into(),
            })
        })
        .await
    }

    /// The answer to the list question, with its body still to come. Its slot is given back here: the body comes at
    /// its reader's pace, and a reader that asks about each id while it reads must not wait for itself.
    pub(super) async fn read_head(&self, question: &Question<'_>) -> Result<Response, ReadError> {
        self.retrying(|| async {
            let head = self.head(question).await?;
            head.call.ended(head.response.status());
            Ok(head.response)
        })
        .await
    }

    async fn retrying<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.budget.deposit();
        let mut ceilings = retry::ceilings().build();
        loop {
            let failure = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let ceiling = ceilings.next().filter(|_| failure.again);
            let Some(ceiling) = ceiling.filter(|_| self.budget.withdraw()) else {
                return Err(failure.error);
            };
            let pause = retry::full_jitter(ceiling, self.clock.random());
            tokio::time::sleep(failure.after.unwrap_or_default() + pause).await;
        }
    }

    async fn head<'a>(&self, question: &Question<'a>) -> Result<Head<'a>, Failure> {
        let mut bearer = self.bearer(question).await?;
        let head = self.ask(question, &bearer).await?;
        if head.response.status() != StatusCode::UNAUTHORIZED {
            return self.judge(question, &bearer, head).await;
        }
        let problem = self.problem(head).await;
        match self.tokens.after_refusal(&bearer).await {
            Ok(Some(newer)) => bearer = newer,
            Ok(None) => return Err(self.unauthorised(question, &problem).into()),
            Err(error) => return Err(Failure::without_token(question, &error)),
        }
        let head = self.ask(question, &bearer).await?;
        if head.response.status() == StatusCode::UNAUTHORIZED {
            let problem = self.problem(head).await;
            return Err(self.unauthorised(question, &problem).into());
        }
        self.judge(question, &bearer, head).await
    }

    async fn bearer(&self, question: &Question<'_>) -> Result<super::auth::Bearer, Failure> {
        let bearer = self.tokens.bearer().await;
        bearer.map_err(|error| Failure::without_token(question, &error))
    }

    /// Asks; and once more on a fresh connection when a kept one was dead.
    async fn ask<'a>(
        &self,
        question: &Question<'a>,
        bearer: &super::auth::Bearer,
    ) -> Result<Head<'a>, Failure> {
        let asked = self.ask_by(&self.carrier, question, bearer).await;
        match (asked, self.reuse.fresh(&self.carrier)) {
            (Err(failure), Some(fresh)) if failure.broke_off() => {
                self.ask_by(fresh, question, bearer).await
            }
            (asked, _) => asked,
        }
    }

    async fn ask_by<'a>(
        &self,
        carrier: &Carrier,
        question: &Question<'a>,
        bearer: &super::auth::Bearer,
    ) -> Result<Head<'a>, Failure> {
        let Question {
            operation, org, id, ..
        } = *question;
        let nth = question.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (method, url) = self
            .routes
            .read(operation, org, id, &question.query)
            .map_err(|error| ReadError::Contract {
                operation: question.name(),
                detail: redact::text(&error.to_string(), 200),
            })?;
        let slot = self.limits.admit_read(org, self.haste).await;
        let slot = slot.map_err(|no| no_leave(question.name(), &no))?;
        let correlation_id = self.clock.uuid();
        let request = transport::request(method, url, bearer.header(), correlation_id, None);
        let call = Call::begin(question.name(), org, correlation_id, nth);
        let sent = call.send(carrier, request, self.request_timeout).await;
        let response =
            sent.map_err(|failed| transient(question.name(), failed.ill_health(), failed.detail))?;
        self.reuse.answered();
        self.note_skew(&response);
        Ok(Head {
            response,
            call,
            slot,
        })
    }

    /// What an answer's status means, apart from 401.
    async fn judge<'a>(
        &self,
        question: &Question<'a>,
        bearer: &super::auth::Bearer,
        head: Head<'a>,
    ) -> Result<Head<'a>, Failure> {
        let operation = question.name();
        let status = head.response.status();
        if status.is_success() {
            self.refusals.read_succeeded(question.org, bearer);
            return Ok(head);
        }
        let after = transport::retry_after(&head.response, self.clock.now());
        let patient = after.is_none_or(|after| after <= retry::PATIENCE);
        if let Some(pause) = after {
            self.limits.hold_back(question.org, pause).await;
        }
        let problem = self.problem(head).await;
        let http_status = status.as_u16();
        Err(match http_status {
            429 => Failure {
                error: ReadError::Throttled {
                    operation,
                    retry_after: after,
                },
                again: patient,
                after,
            },
            404 if question.id.is_some() => ReadError::NotFound { operation }.into(),
            408 | 500.. => Failure {
                error: transient(
                    operation,
                    IllHealth::Http5xx,
                    format!("{http_status}: {problem}"),
                ),
                again: patient,
                after,
            },
            300..400 => ReadError::Refused {
                operation,
                http_status,
                problem: Problem {
                    code: None,
                    hint: Some("a redirect, which is not followed: check base_url"),
                },
            }
            .into(),
            _ => ReadError::Refused {
                operation,
                http_status,
                problem,
            }
            .into(),
        })
    }

    /// Reads what an error says, and ends its call.
    async fn problem(&self, head: Head<'_>) -> Problem {
        let body = head
            .call
            .read_error(head.response, self.request_timeout)
            .await;
        wire::problem(&body)
    }

    fn unauthorised(&self, question: &Question<'_>, problem: &Problem) -> ReadError {
        let hint = self.tokens.hint();
        auth(
            question,
            format!("the upstream answered 401 ({problem}); {hint}"),
        )
    }
}

/// Tells, counts and logs an answer that can't be understood.
pub fn violation(operation: ReadOperation, org: &Org, detail: &str, body: &[u8]) -> ReadError {
    let operation = operation.as_str();
    record::contract_violation(operation);
    tracing::warn!(
        operation,
        org = %org,
        detail,
        answer = redact::shape(body),
        "the upstream's answer breaks the contract"
    );
    ReadError::Contract {
        operation,
        detail: detail.to_owned(),
    }
}

/// There is no token for a call: the credentials are to be mended, or those who make tokens are unwell.
pub fn no_token(operation: &'static str, error: &AuthError) -> ReadError {
    let detail = error.to_string();
    match error.ill_health() {
        Some(cause) => transient(operation, cause, detail),
        None => ReadError::Auth { operation, detail },
    }
}

/// A call that was not let out.
pub fn no_leave(operation: &'static str, no: &NoLeave) -> ReadError {
    ReadError::NoLeave {
        operation,
        detail: no.to_string(),
    }
}

fn transient(operation: &'static str, cause: IllHealth, detail: String) -> ReadError {
    ReadError::Transient {
        operation,
        cause,
        detail,
    }
}

fn auth(question: &Question<'_>, detail: String) -> ReadError {
    ReadError::Auth {
        operation: question.name(),
        detail,
    }
}
