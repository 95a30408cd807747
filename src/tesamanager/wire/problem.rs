//! The upstream's errors, in all the shapes they come in: of each, its code. Titles, details and messages are somebody's
//! words, and may hold anybody's name.

use serde_json::{Map, Value};

use crate::domain::code::Code;
use crate::tesamanager::error::Problem;

/// The code in an error's body. Never fails: a body that is no JSON, or has no code, says nothing.
pub fn problem(body: &[u8]) -> Problem {
    let read = serde_json::from_slice(body).ok();
    Problem {
        code: read.as_ref().and_then(find).and_then(code),
        hint: None,
    }
}

/// The object that speaks: the answer itself, or the first of its errors.
fn find(value: &Value) -> Option<&Map<String, Value>> {
    match value {
        Value::Object(fields) => match fields.get("errors").and_then(Value::as_array) {
            Some(errors) if !errors.is_empty() => errors.iter().find_map(Value::as_object),
            _ => Some(fields),
        },
        Value::Array(errors) => errors.iter().find_map(Value::as_object),
        _ => None,
    }
}

/// `error` is OAuth's name, which the token endpoint uses.
fn code(fields: &Map<String, Value>) -> Option<Code> {
    ["code", "error", "status"]
        .iter()
        .find_map(|name| match fields.get(*name)? {
            Value::String(text) if !text.trim().is_empty() => Some(Code::new(text.trim())),
            Value::Number(number) => Some(Code::new(&number.to_string())),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_in_any_shape_only_its_code_is_kept() {
        for (body, code) in [
            (
                r#"{"code":"E1","title":"Bad","ref":"r","details":"port"}"#,
                Some("E1"),
            ),
            (
                r#"[{"code":"E1","title":"Bad","ref":"r","details":null}]"#,
                Some("E1"),
            ),
            (
                r#"{"errors":[{"code":"E1","title":"Bad"},{"code":"E2"}]}"#,
                Some("E1"),
            ),
            (r#"{"code":"E1","title":"Bad"}"#, Some("E1")),
            (
                r#"{"code":401,"status":"UNAUTHORIZED","message":"No","detailMsg":"expired"}"#,
                Some("401"),
            ),
            (
                r#"{"error":"invalid_grant","error_description":"aud"}"#,
                Some("invalid_grant"),
            ),
            (r#"{"status":"UNAUTHORIZED"}"#, Some("UNAUTHORIZED")),
            (r#"{"errors":[],"code":"E1"}"#, Some("E1")),
            (r#"{"message":"Bad","detailMsg":"Bad"}"#, None),
            ("{}", None),
            ("[]", None),
            ("null", None),
            ("", None),
            ("Bad Gateway\n", None),
            ("<h1>502</h1>", None),
        ] {
            let read = problem(body.as_bytes());
            assert_eq!(read.code.as_ref().map(Code::as_str), code, "{body}");
        }
    }

    #[test]
    fn a_code_that_is_somebodys_words_is_known_by_its_hash() {
        let read = problem(r#"{"code":"Juan Pérez, 600123456"}"#.as_bytes());
        let code = read.code.unwrap();
        assert!(!code.is_plain() && !format!("{code}{code:?}").contains("Juan"));
    }
}
