//! The upstream's errors, in all the shapes they come in.

use serde_json::{Map, Value};

use crate::tesamanager::error::Problem;
use crate::tesamanager::redact;

const CODE_LENGTH: usize = 64;
const TITLE_LENGTH: usize = 200;

/// What an error's body says went wrong. Never fails: a body that is no JSON is shown as it is, a body that says
/// nothing is an empty [`Problem`]. All texts are bounded and redacted.
pub fn problem(body: &[u8]) -> Problem {
    match serde_json::from_slice(body) {
        Ok(value) => find(&value).map(from_object).unwrap_or_default(),
        Err(_) => Problem {
            code: None,
            title: Some(redact::body(body.trim_ascii())).filter(|text| !text.is_empty()),
        },
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

fn from_object(fields: &Map<String, Value>) -> Problem {
    let text = |names: &[&str]| {
        names.iter().find_map(|name| match fields.get(*name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    // `error` and `error_description` are OAuth's names, which the token endpoint uses.
    let title = text(&["title", "message", "error_description"]);
    let details =
        text(&["details", "detailMsg", "detail"]).filter(|text| Some(text) != title.as_ref());
    let title = match (title, details) {
        (Some(title), Some(details)) => Some(format!("{title}: {details}")),
        (title, details) => title.or(details),
    };
    Problem {
        code: text(&["code", "error", "status"]).map(|code| redact::text(&code, CODE_LENGTH)),
        title: title.map(|title| redact::text(&title, TITLE_LENGTH)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_is_read() {
        for (body, code, title) in [
            (
                r#"{"code":"E1","title":"Bad","ref":"r","details":"port"}"#,
                Some("E1"),
                Some("Bad: port"),
            ),
            (
                r#"[{"code":"E1","title":"Bad","ref":"r","details":null}]"#,
                Some("E1"),
                Some("Bad"),
            ),
            (
                r#"{"errors":[{"code":"E1","title":"Bad"},{"code":"E2"}]}"#,
                Some("E1"),
                Some("Bad"),
            ),
            (r#"{"code":"E1","title":"Bad"}"#, Some("E1"), Some("Bad")),
            (
                r#"{"code":401,"status":"UNAUTHORIZED","message":"No","detailMsg":"expired"}"#,
                Some("401"),
                Some("No: expired"),
            ),
            (
                r#"{"error":"invalid_grant","error_description":"aud"}"#,
                Some("invalid_grant"),
                Some("aud"),
            ),
            (r#"{"status":"UNAUTHORIZED"}"#, Some("UNAUTHORIZED"), None),
            (r#"{"errors":[],"code":"E1"}"#, Some("E1"), None),
            (r#"{"message":"Bad","detailMsg":"Bad"}"#, None, Some("Bad")),
            ("{}", None, None),
            ("[]", None, None),
            ("null", None, None),
            ("", None, None),
            ("Bad Gateway\n", None, Some("Bad Gateway")),
            ("<h1>502</h1>", None, Some("<h1>502</h1>")),
        ] {
            let read = problem(body.as_bytes());
            assert_eq!(
                (read.code.as_deref(), read.title.as_deref()),
                (code, title),
                "{body}"
            );
        }
    }

    #[test]
    fn texts_are_bounded_and_redacted() {
        let body = serde_json::json!({
            "code": "C".repeat(500),
            "title": format!("customer 600123456 {}", "x ".repeat(500)),
        });
        let read = problem(body.to_string().as_bytes());
        assert!(
            read.code
                .is_some_and(|code| code.chars().count() <= CODE_LENGTH + 1)
        );
        let title = read.title.unwrap_or_default();
        assert!(
            title.chars().count() <= TITLE_LENGTH + 1 && !title.contains("600123456"),
            "{title}"
        );
    }
}
