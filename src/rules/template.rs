//! Texts with fields of the request in braces, for the parameters of a rule's write.
//!
//! Parsed when the configuration is loaded, so that a misspelt field is an error with a place, not a surprise at
//! three in the morning. A field that the request does not have makes the rule flag instead of send.

use std::fmt;

use crate::domain::closed_set;
use crate::rules::Subject;

closed_set! {
    /// The fields that a template may name.
    Field {
        /// The tenant.
        Org = "org",
        /// Tesamanager's id.
        ReferenceId = "reference_id",
        /// The operator's id.
        ExternalReference = "external_reference",
        /// The status.
        Status = "status",
        /// Activation or termination.
        PersistenceType = "persistence_type",
        /// Wholesale terms.
        TerritoryOwner = "territory_owner",
        /// NEBA or VULA.
        RequestType = "request_type",
        /// Telefónica's number.
        RequestNumber = "request_number",
        /// And of its part.
        SubrequestNumber = "subrequest_number",
        /// The issue's code.
        IssueCode = "issue_code",
        /// The issue's number.
        IssueSequence = "issue_sequence",
    }
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name in braces that is no field.
    #[error("{{{name}}} is not a field of a request")]
    UnknownField {
        /// The name.
        name: String,
    },
    /// An opening brace without its closing one, or the reverse. Braces themselves are written `{{` and `}}`.
    #[error("a brace stands alone (write {{{{ or }}}} for the brace itself)")]
    LoneBrace,
}

impl Template {
    /// Reads a template: `{field}` is a field, `{{` and `}}` are braces.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' | '}' if rest.peek() == Some(&c) => {
                    rest.next();
                    text.push(c);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(TemplateError::LoneBrace),
                            Some(c) => name.push(c),
                        }
                    }
                    let field = name
                        .parse()
                        .map_err(|_| TemplateError::UnknownField { name: name.clone() })?;
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(Part::Field(field));
                }
                '}' => return Err(TemplateError::LoneBrace),
                c => text.push(c),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self {
            parts,
            source: source.to_owned(),
        })
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(*field),
            Part::Text(_) => None,
        })
    }

    /// The text for a request, or the first field that it does not have.
    pub fn fill(&self, subject: Subject<'_>) -> Result<String, Field> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field(field) => filled.push_str(&value(*field, subject).ok_or(*field)?),
            }
        }
        Ok(filled)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn value(field: Field, subject: Subject<'_>) -> Option<String> {
    let request = subject.request;
    match field {
        Field::Org => Some(subject.org.to_string()),
        Field::ReferenceId => Some(request.reference_id.to_string()),
        Field::ExternalReference => request.external_reference.as_ref().map(ToString::to_string),
        Field::Status => Some(request.status.to_string()),
        Field::PersistenceType => request.persistence_type.map(|kind| kind.to_string()),
        Field::TerritoryOwner => request.territory_owner.map(|owner| owner.to_string()),
        Field::RequestType => request
            .territory_owner
            .map(|owner| owner.request_type().to_owned()),
        Field::RequestNumber => request.request_number.map(|number| number.to_string()),
        Field::SubrequestNumber => request.subrequest_number.map(|number| number.to_string()),
        // Anything else may be somebody's name, and a hash says nothing to the upstream.
        Field::IssueCode => subject
            .issue
            .filter(|issue| issue.issue_code.is_plain())
            .map(|issue| issue.issue_code.to_string()),
        Field::IssueSequence => subject
            .issue
            .and_then(|issue| issue.issue_sequence)
            .map(|number| number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    fn fill(text: &str) -> Result<String, Field> {
        let org = fixtures::org();
        let request = fixtures::unsent();
        let subject = Subject {
            org: &org,
            request: &request,
            issue: None,
        };
        Template::parse(text).unwrap().fill(subject)
    }

    #[test]
    fn fields_are_filled_and_doubled_braces_are_braces() {
        assert_eq!(fill("plain").unwrap(), "plain");
        assert_eq!(
            fill("{org}/{external_reference}!").unwrap(),
            "masmovil/E-1!"
        );
        assert_eq!(fill("{{{status}}}").unwrap(), "{NOT_SENT}");
        assert_eq!(fill("").unwrap(), "");
    }

    #[test]
    fn a_field_that_the_request_lacks_is_named() {
        assert_eq!(fill("n. {request_number}"), Err(Field::RequestNumber));
        assert_eq!(fill("{issue_code}"), Err(Field::IssueCode));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let unknown = TemplateError::UnknownField {
            name: "customer".to_owned(),
        };
        assert_eq!(Template::parse("{customer}"), Err(unknown));
        for text in ["{org", "org}", "{or{g}", "{"] {
            assert_eq!(
                Template::parse(text),
                Err(TemplateError::LoneBrace),
                "{text}"
            );
        }
    }
}
