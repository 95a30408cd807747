//! One object's fields, taken out one by one under either spelling of their names.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::dates::Dates;
use super::json::{Json, Name, Object};

/// Why an answer can't be understood. Names the place, never quotes the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Not JSON at all, or cut.
    #[error("no valid JSON at line {line}, column {column}")]
    Syntax {
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
    },
    /// JSON of another shape.
    #[error("{found}")]
    Shape {
        /// What was found instead.
        found: &'static str,
    },
    /// A field without which nothing can be decided.
    #[error("the field {field} is missing, without which nothing can be decided")]
    Missing {
        /// Its name in the contract.
        field: &'static str,
    },
    /// A field that is there, but not in any form that it may have.
    #[error("the field {field} is not {expected}")]
    Field {
        /// Its name in the contract.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
}

impl Undecodable {
    /// JSON of another shape.
    pub const fn shape(found: &'static str) -> Self {
        Self::Shape { found }
    }
}

// serde_json's own message may quote the input.
impl From<serde_json::Error> for Undecodable {
    fn from(error: serde_json::Error) -> Self {
        Self::Syntax {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// An object's fields; what is taken is gone, what is left is unknown to the contract.
pub struct Fields<'a>(Vec<(Name<'a>, Option<Json<'a>>)>);

impl<'a> Fields<'a> {
    /// All fields of an object.
    pub fn new(fields: Object<'a>) -> Self {
        let fields = fields.into_iter();
        Self(fields.map(|(name, value)| (name, Some(value))).collect())
    }

    /// What nobody took.
    pub fn rest(self) -> Map<String, Value> {
        let left = self.0.into_iter().filter_map(|(Name(name), value)| {
            let value = value?.into_value();
            Some((name.into_owned(), value))
        });
        left.collect()
    }

    /// The field under its `snake_case` name or the `camelCase` form of it; `null` is absent. Of several fields of
    /// one name the last counts.
    pub fn value(&mut self, field: &str) -> Option<Json<'a>> {
        let camel_length = field.len() - field.bytes().filter(|byte| *byte == b'_').count();
        let (mut snake, mut camel) = (None, None);
        // What is taken is passed over at once: fields are mostly asked for in the order in which they stand.
        for (Name(name), value) in self.0.iter_mut().filter(|(_, value)| value.is_some()) {
            if name == field {
                snake = value.take().or(snake);
            } else if name.len() == camel_length && is_camel_case(name, field) {
                camel = value.take().or(camel);
            }
        }
        [snake, camel]
            .into_iter()
            .flatten()
            .find(|value| !matches!(value, Json::Null))
    }

    /// A text; numbers are texts too.
    pub fn text(&mut self, field: &'static str) -> Result<Option<Cow<'a, str>>, Undecodable> {
        match self.value(field) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(Json::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Some(_) => Err(Undecodable::Field {
                field,
                expected: "a text",
            }),
        }
    }

    /// A text that isn't empty, as an id must be. A number is the text that it denotes, `168.0` as well as `168`; one
    /// that JSON's numbers can't hold exactly is no id.
    pub fn id(&mut self, field: &'static str) -> Result<Option<Cow<'a, str>>, Undecodable> {
        let id = match self.value(field) {
            None => return Ok(None),
            Some(Json::Text(text)) => return Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Json::Number(number)) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => Some(number.to_string()),
                (None, number) => number.and_then(whole).map(|number| number.to_string()),
            },
            Some(_) => None,
        };
        let id = id.map(|id| Some(Cow::Owned(id)));
        id.ok_or(Undecodable::Field {
            field,
            expected: "an id",
        })
    }

    /// What must be there for anything to be decided.
    pub fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, Undecodable> {
        value.ok_or(Undecodable::Missing { field })
    }

    /// A word of a closed set; one outside of it is as good as absent.
    pub fn word<T: std::str::FromStr>(
        &mut self,
        field: &'static str,
    ) -> Result<Option<T>, Undecodable> {
        Ok(self.text(field)?.and_then(|text| text.parse().ok()))
    }

    /// A whole number, possibly written as a text or with a zero fraction.
    pub fn number(&mut self, field: &'static str) -> Result<Option<i64>, Undecodable> {
        let number = match self.value(field) {
            None => return Ok(None),
            Some(Json::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Some(Json::Text(text)) if text.trim().is_empty() => return Ok(None),
            Some(Json::Text(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or(Undecodable::Field {
            field,
            expected: "a whole number",
        })
    }

    /// Yes or no, possibly written as a text or as 0 and 1.
    pub fn flag(&mut self, field: &'static str) -> Result<Option<bool>, Undecodable> {
        let flag = match self.value(field) {
            None => return Ok(None),
            Some(Json::Bool(flag)) => Some(flag),
            Some(Json::Text(text)) if text.trim().is_empty() => return Ok(None),
            Some(Json::Text(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Some(Json::Number(number)) => match number.as_i64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            Some(_) => None,
        };
        flag.map(Some).ok_or(Undecodable::Field {
            field,
            expected: "true or false",
        })
    }

    /// An instant in any of the forms of [`Dates::instant`].
    pub fn instant(
        &mut self,
        field: &'static str,
        dates: &Dates,
    ) -> Result<Option<DateTime<Utc>>, Undecodable> {
        match self.value(field) {
            None => Ok(None),
            Some(Json::Text(text)) if text.trim().is_empty() => Ok(None),
            Some(value) => dates
                .instant(&value)
                .map(Some)
                .map_err(|expected| Undecodable::Field { field, expected }),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only whole numbers that a double holds exactly get through"
)]
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Is `name` the `camelCase` form of this `snake_case` one?
fn is_camel_case(name: &str, snake: &str) -> bool {
    let mut name = name.bytes();
    let mut upper = false;
    for byte in snake.bytes() {
        if byte == b'_' {
            upper = true;
            continue;
        }
        let expected = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        if name.next() != Some(expected) {
            return false;
        }
        upper = false;
    }
    name.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Of an object's JSON, for as long as the test runs.
    fn fields(object: &str) -> Fields<'_> {
        match serde_json::from_str(object).unwrap() {
            Json::Object(fields) => Fields::new(fields),
            _ => unreachable!("{object}"),
        }
    }

    fn field(value: Value) -> Fields<'static> {
        fields(json!({ "the_field": value }).to_string().leak())
    }

    #[test]
    fn both_spellings_are_read_and_null_is_absent() {
        for (object, expected) in [
            (json!({"the_field": "a"}), Some("a")),
            (json!({"theField": "a"}), Some("a")),
            (json!({"the_field": "a", "theField": "b"}), Some("a")),
            (json!({"the_field": null, "theField": "b"}), Some("b")),
            (json!({"the_field": null}), None),
            (json!({}), None),
        ] {
            let object = object.to_string();
            let mut fields = fields(&object);
            assert_eq!(
                fields.text("the_field"),
                Ok(expected.map(Cow::Borrowed)),
                "{object}"
            );
            assert!(fields.rest().is_empty(), "{object}");
        }
    }

    #[test]
    fn names_that_repeat_or_hide_are_told_apart() {
        for (object, expected, rest) in [
            (r#"{"the_field":"a","the_field":"b"}"#, Some("b"), json!({})),
            (r#"{"theField":"a","theField":"b"}"#, Some("b"), json!({})),
            (r#"{"the_field":"a","the_field":null}"#, None, json!({})),
            (
                r#"{"the_field":"a","the_field":null,"theField":"c"}"#,
                Some("c"),
                json!({}),
            ),
            (r#"{"theField":"c","the_field":"a"}"#, Some("a"), json!({})),
            (r#"{"the\u005ffield":"a"}"#, Some("a"), json!({})),
            (r#"{"the\u0046ield":"a"}"#, Some("a"), json!({})),
            (
                r#"{"The_field":1,"thefield":2,"theField_":3,"TheField":4,"the_Field":5,"theFields":6,"":7}"#,
                None,
                json!({"The_field":1,"thefield":2,"theField_":3,"TheField":4,"the_Field":5,"theFields":6,"":7}),
            ),
            (
                r#"{"x":{"the_field":"a","y":[{"z":null}]},"x":{"y":1,"y":2}}"#,
                None,
                json!({"x":{"y":2}}),
            ),
        ] {
            let mut fields = fields(object);
            assert_eq!(
                fields.text("the_field"),
                Ok(expected.map(Cow::Borrowed)),
                "{object}"
            );
            assert_eq!(fields.text("the_field"), Ok(None), "{object}");
            assert_eq!(Value::Object(fields.rest()), rest, "{object}");
        }
    }

    #[test]
    fn numbers_are_texts_as_they_would_be_written() {
        for (object, expected) in [
            (
                r#"{"the_field":18446744073709551615}"#,
                "18446744073709551615",
            ),
            (
                r#"{"the_field":18446744073709551616}"#,
                "1.8446744073709552e+19",
            ),
            (r#"{"the_field":-0}"#, "-0.0"),
            (r#"{"the_field":1.50}"#, "1.5"),
            (r#"{"the_field":12}"#, "12"),
        ] {
            assert_eq!(
                fields(object).text("the_field"),
                Ok(Some(Cow::Borrowed(expected))),
                "{object}"
            );
        }
    }

    #[test]
    fn an_id_is_what_it_denotes_however_it_is_written() {
        for (id, expected) in [
            ("168", Some(Some("168"))),
            ("168.0", Some(Some("168"))),
            ("1.68e2", Some(Some("168"))),
            (r#""168""#, Some(Some("168"))),
            (r#""0168""#, Some(Some("0168"))),
            ("-7", Some(Some("-7"))),
            ("-0", Some(Some("0"))),
            ("18446744073709551615", Some(Some("18446744073709551615"))),
            (
                r#""18446744073709551616""#,
                Some(Some("18446744073709551616")),
            ),
            (r#""""#, Some(None)),
            ("null", Some(None)),
            ("18446744073709551616", None),
            ("1.5", None),
            ("true", None),
            ("[]", None),
        ] {
            let object = format!(r#"{{"the_field":{id}}}"#);
            let mut fields = fields(&object);
            let read = fields.id("the_field").ok();
            assert_eq!(read, expected.map(|id| id.map(Cow::Borrowed)), "{id}");
        }
    }

    #[test]
    fn numbers_are_read_in_every_form() {
        for (value, expected) in [
            (json!(7), Some(Some(7))),
            (json!(-7), Some(Some(-7))),
            (json!("7"), Some(Some(7))),
            (json!(" 7 "), Some(Some(7))),
            (json!(7.0), Some(Some(7))),
            (json!(""), Some(None)),
            (json!(7.5), None),
            (json!(1e300), None),
            (json!(u64::MAX), None),
            (json!("seven"), None),
            (json!(true), None),
            (json!([7]), None),
        ] {
            assert_eq!(
                field(value.clone()).number("the_field").ok(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn flags_are_read_in_every_form_and_garbage_is_no_flag() {
        for (value, expected) in [
            (json!(true), Some(Some(true))),
            (json!("true"), Some(Some(true))),
            (json!("FALSE"), Some(Some(false))),
            (json!(1), Some(Some(true))),
            (json!("0"), Some(Some(false))),
            (json!(""), Some(None)),
            (json!("maybe"), None),
            (json!(2), None),
            (json!({}), None),
        ] {
            assert_eq!(
                field(value.clone()).flag("the_field").ok(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn an_error_names_the_field_but_not_its_value() {
        let error = field(json!("CANARY")).number("the_field").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the field the_field is not a whole number"
        );
        let error = Undecodable::from(serde_json::from_str::<bool>("\"CANARY\"").unwrap_err());
        assert!(!error.to_string().contains("CANARY"), "{error}");
    }
}
