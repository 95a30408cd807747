//! One object's fields, taken out one by one under either spelling of their names.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::dates;

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
pub struct Fields(Map<String, Value>);

impl Fields {
    /// All fields of an object.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// What nobody took.
    pub fn rest(self) -> Map<String, Value> {
        self.0
    }

    /// The field under its `snake_case` name or the `camelCase` form of it; `null` is absent.
    pub fn value(&mut self, field: &str) -> Option<Value> {
        let snake = self.0.remove(field);
        let camel = self.0.remove(&camel_case(field));
        [snake, camel]
            .into_iter()
            .flatten()
            .find(|value| !value.is_null())
    }

    /// A text; numbers are texts too.
    pub fn text(&mut self, field: &'static str) -> Result<Option<String>, Undecodable> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Undecodable::Field {
                field,
                expected: "a text",
            }),
        }
    }

    /// A text that isn't empty, as an id must be.
    pub fn id(&mut self, field: &'static str) -> Result<Option<String>, Undecodable> {
        Ok(self.text(field)?.filter(|text| !text.is_empty()))
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
            Some(Value::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
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
            Some(Value::Bool(flag)) => Some(flag),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            Some(Value::Number(number)) => match number.as_i64() {
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

    /// An instant in any of the forms of [`dates::instant`].
    pub fn instant(&mut self, field: &'static str) -> Result<Option<DateTime<Utc>>, Undecodable> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(value) => dates::instant(&value).map(Some).ok_or(Undecodable::Field {
                field,
                expected: "a date",
            }),
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

fn camel_case(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut upper = false;
    for c in snake.chars() {
        if c == '_' {
            upper = true;
        } else {
            camel.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(value: Value) -> Fields {
        Fields::new(Map::from_iter([("the_field".to_owned(), value)]))
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
            let Value::Object(map) = object.clone() else {
                unreachable!()
            };
            let mut fields = Fields::new(map);
            assert_eq!(
                fields.text("the_field"),
                Ok(expected.map(str::to_owned)),
                "{object}"
            );
            assert!(fields.rest().is_empty(), "{object}");
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
