//! From a rule's action to the write it means: pure.
//!
//! Done twice: when deciding, from what is remembered, to know whether the rule's own parameters can be filled at
//! all; and right before sending, from the request as just read, because only that has a create's contents.

use crate::domain::ids::ExternalReference;
use crate::domain::request::PersistenceType;
use crate::domain::write::{
    ByReference, ChangeCto, CreateAccess, CreatePort, InstallationEnd, InstallationIncident,
    ResolveIncident, TerminateAccess,
};
use crate::domain::{Operation, Request, Write};
use crate::rules::{Subject, WriteKind, WriteSpec};

/// A field without which the write can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request has no {0}, which the action needs")]
pub struct Unfillable(pub String);

/// Which operation an action means for a request; none when its kind (activation or termination) isn't known.
pub fn operation(kind: WriteKind, persistence_type: Option<PersistenceType>) -> Option<Operation> {
    Some(match kind {
        WriteKind::Resend => match persistence_type? {
            PersistenceType::Activation => Operation::CreateActivation,
            PersistenceType::Termination => Operation::CreateTermination,
        },
        WriteKind::CancelRequest => Operation::CancelRequest,
        WriteKind::ResolveIncident => Operation::ResolveIncident,
        WriteKind::CreateStatusCto => Operation::CreateStatusCto,
        WriteKind::ChangeCto => Operation::ChangeCto,
        WriteKind::CreateAccess => Operation::CreateAccess,
        WriteKind::TerminateAccess => Operation::TerminateAccess,
        WriteKind::CreatePort => Operation::CreatePort,
        WriteKind::CreatePort2 => Operation::CreatePort2,
        WriteKind::CreateInstallationIncident => Operation::CreateInstallationIncident,
        WriteKind::CreateInstallationEnd => Operation::CreateInstallationEnd,
    })
}

/// The write as far as it can be known without the request's contents: the operation, or what is missing for it.
pub fn check(spec: &WriteSpec, subject: Subject<'_>) -> Result<Operation, Unfillable> {
    let missing = |field: &str| Unfillable(field.to_owned());
    let request = subject.request;
    if request.external_reference.is_none() {
        return Err(missing("external_reference"));
    }
    let operation = operation(spec.kind, request.persistence_type)
        .ok_or_else(|| missing("persistence_type"))?;
    if operation.is_create_request() {
        request
            .territory_owner
            .ok_or_else(|| missing("territory_owner"))?;
    } else {
        compose_by_reference(spec, subject)?;
    }
    Ok(operation)
}

/// The write, from the request as just read. `subject.request` is that request's own observation.
pub fn compose(
    spec: &WriteSpec,
    subject: Subject<'_>,
    request: &Request,
) -> Result<Write, Unfillable> {
    match spec.kind {
        WriteKind::Resend => {
            Write::resend(request).map_err(|missing| Unfillable(missing.field.to_owned()))
        }
        _ => compose_by_reference(spec, subject),
    }
}

/// Every write but the creates: named by the order's reference, filled from the rule and the observation.
fn compose_by_reference(spec: &WriteSpec, subject: Subject<'_>) -> Result<Write, Unfillable> {
    let fields = Fields { spec, subject };
    let external_reference = fields.external_reference()?;
    Ok(match spec.kind {
        WriteKind::Resend => return Err(Unfillable("contents".to_owned())),
        WriteKind::CancelRequest => Write::CancelRequest(ByReference { external_reference }),
        WriteKind::CreateStatusCto => Write::CreateStatusCto(ByReference { external_reference }),
        WriteKind::ResolveIncident => Write::ResolveIncident(ResolveIncident {
            observations: fields.optional("observations")?,
            external_reference,
        }),
        WriteKind::ChangeCto => Write::ChangeCto(ChangeCto {
            cto_identifier: fields.required("cto_identifier")?,
            cto_port: fields.optional("cto_port")?,
            reason: fields
                .required("reason")?
                .parse()
                .map_err(|_| Unfillable("reason (AV or OT)".to_owned()))?,
            external_reference,
        }),
        WriteKind::CreateAccess => Write::CreateAccess(CreateAccess {
            technician_code: fields.required("technician_code")?,
            reason: fields.optional("reason")?,
            external_reference,
        }),
        WriteKind::TerminateAccess => Write::TerminateAccess(TerminateAccess {
            observations: fields.required("observations")?,
            external_reference,
        }),
        WriteKind::CreatePort => Write::CreatePort(fields.port(external_reference)?),
        WriteKind::CreatePort2 => Write::CreatePort2(fields.port(external_reference)?),
        WriteKind::CreateInstallationIncident => {
            let (request_type, request_number, sub_request_number) = fields.numbers()?;
            Write::CreateInstallationIncident(InstallationIncident {
                request_type,
                request_number,
                sub_request_number,
                incidence: fields.required("incidence")?,
                cto: fields.required("cto")?,
                comments: fields.required("comments")?,
                external_reference,
            })
        }
        WriteKind::CreateInstallationEnd => {
            let (request_type, request_number, sub_request_number) = fields.numbers()?;
            Write::CreateInstallationEnd(InstallationEnd {
                request_type,
                request_number,
                sub_request_number,
                test: fields.required("test")?,
                indicator: fields.required("indicator")?,
                owner: fields.required("owner")?,
                external_reference,
            })
        }
    })
}

/// A rule's parameters over a request.
struct Fields<'a> {
    spec: &'a WriteSpec,
    subject: Subject<'a>,
}

impl Fields<'_> {
    fn external_reference(&self) -> Result<ExternalReference, Unfillable> {
        let reference = self.subject.request.external_reference.clone();
        reference.ok_or_else(|| Unfillable("external_reference".to_owned()))
    }

    fn optional(&self, key: &str) -> Result<Option<String>, Unfillable> {
        let template = self.spec.parameters.get(key);
        template
            .map(|template| template.fill(self.subject))
            .transpose()
            .map_err(|field| Unfillable(field.to_string()))
    }

    fn required(&self, key: &str) -> Result<String, Unfillable> {
        self.optional(key)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Unfillable(key.to_owned()))
    }

    fn port(&self, external_reference: ExternalReference) -> Result<CreatePort, Unfillable> {
        Ok(CreatePort {
            port: self.required("port")?,
            external_reference,
        })
    }

    fn numbers(&self) -> Result<(String, i64, i64), Unfillable> {
        let request = self.subject.request;
        let missing = |field: &str| Unfillable(field.to_owned());
        Ok((
            request
                .territory_owner
                .ok_or_else(|| missing("territory_owner"))?
                .request_type()
                .to_owned(),
            request
                .request_number
                .ok_or_else(|| missing("request_number"))?,
            request
                .subrequest_number
                .ok_or_else(|| missing("subrequest_number"))?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::Observation;
    use crate::reconcile::fixtures;
    use crate::rules::template::Template;

    fn spec(kind: WriteKind) -> WriteSpec {
        let parameters: BTreeMap<&'static str, Template> = kind
            .parameters()
            .iter()
            .map(|parameter| {
                let text = match parameter.key {
                    "reason" => "AV",
                    _ => "for {external_reference}",
                };
                (parameter.key, Template::parse(text).unwrap())
            })
            .collect();
        WriteSpec { kind, parameters }
    }

    fn numbered() -> Observation {
        Observation {
            request_number: Some(12),
            subrequest_number: Some(1),
            ..fixtures::unsent()
        }
    }

    #[test]
    fn every_action_finds_its_operation_and_its_body() {
        let org = fixtures::org();
        let request = numbered();
        let subject = Subject {
            org: &org,
            request: &request,
            issue: None,
        };
        for kind in WriteKind::ALL {
            let operation = check(&spec(*kind), subject).unwrap();
            if !operation.is_create_request() {
                let write = compose_by_reference(&spec(*kind), subject).unwrap();
                assert_eq!(write.operation(), operation);
                assert_eq!(write.external_reference().as_str(), "E-1");
            }
        }
    }

    #[test]
    fn a_missing_field_is_named() {
        let org = fixtures::org();
        let without = |change: fn(&mut Observation)| {
            let mut request = numbered();
            change(&mut request);
            request
        };
        let cases = [
            (
                WriteKind::CancelRequest,
                without(|r| r.external_reference = None),
                "external_reference",
            ),
            (
                WriteKind::Resend,
                without(|r| r.persistence_type = None),
                "persistence_type",
            ),
            (
                WriteKind::Resend,
                without(|r| r.territory_owner = None),
                "territory_owner",
            ),
            (
                WriteKind::CreateInstallationEnd,
                without(|r| r.request_number = None),
                "request_number",
            ),
        ];
        for (kind, request, field) in cases {
            let subject = Subject {
                org: &org,
                request: &request,
                issue: None,
            };
            assert_eq!(
                check(&spec(kind), subject),
                Err(Unfillable(field.to_owned()))
            );
        }
        // A parameter that names an issue's field, where there is no issue.
        let mut spec = spec(WriteKind::CreatePort);
        spec.parameters
            .insert("port", Template::parse("{issue_code}").unwrap());
        let request = numbered();
        let subject = Subject {
            org: &org,
            request: &request,
            issue: None,
        };
        assert_eq!(
            check(&spec, subject),
            Err(Unfillable("issue_code".to_owned()))
        );
    }
}
