//! `TesaResult`: what a write's 2xx answers.

use super::fields::{Fields, Undecodable};
use super::json::Json;
use crate::domain::code::Code;
use crate::domain::ids::ReferenceId;

/// What a 2xx says of the write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteResult {
    /// The answer's `code`, if any.
    pub code: Option<Code>,
    /// The request it speaks of, if any.
    pub reference_id: Option<ReferenceId>,
}

/// Reads a write's 2xx. An empty body, one that is no object, and one that carries errors beside its 2xx all say
/// nothing about the outcome.
pub fn write_result(body: &[u8]) -> Result<WriteResult, Undecodable> {
    let Json::Object(fields) = serde_json::from_slice(body)? else {
        return Err(Undecodable::shape("no object"));
    };
    let mut fields = Fields::new(fields);
    if matches!(fields.value("errors"), Some(Json::List(errors)) if !errors.is_empty()) {
        return Err(Undecodable::shape("a success that carries errors"));
    }
    Ok(WriteResult {
        code: fields.id("code")?.map(|code| Code::new(&code)),
        reference_id: fields.id("reference_id")?.map(|id| ReferenceId::from(&*id)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_may_say_much_or_nothing_but_must_be_an_object() {
        let said = |code: Option<&str>, id: Option<&str>| WriteResult {
            code: code.map(Code::new),
            reference_id: id.map(ReferenceId::from),
        };
        for (body, expected) in [
            ("{}", Some(said(None, None))),
            (
                r#"{"code":"OK","reference_id":"7"}"#,
                Some(said(Some("OK"), Some("7"))),
            ),
            (
                r#"{"code":0,"referenceId":7,"x":[]}"#,
                Some(said(Some("0"), Some("7"))),
            ),
            (r#"{"code":null,"errors":[]}"#, Some(said(None, None))),
            (r#"{"errors":[{"code":"E"}]}"#, None),
            (r#"{"code":{}}"#, None),
            ("[]", None),
            ("\"OK\"", None),
            ("", None),
            ("<html>", None),
            (r#"{"code":"#, None),
        ] {
            assert_eq!(write_result(body.as_bytes()).ok(), expected, "{body}");
        }
    }
}
