//! Impersonal facts of a request that the operator declared: a name for each, and where it stands in the upstream's answer.
//!
//! They are the one way from the part of a request that may not be kept into what is remembered, so they are narrow: only
//! what was declared, only single values, and short ones.

use std::collections::BTreeMap;

use serde_json::Value;

/// A value is cut after so many letters: a code is shorter, a sentence about somebody is not.
pub const LONGEST: usize = 64;

/// The facts of one request, by their names; a name without a value is not there.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As one text; none where there is nothing to keep.
    pub fn to_text(&self) -> Option<String> {
        // A map of texts is always JSON.
        (!self.is_empty()).then(|| serde_json::to_string(&self.0).unwrap_or_default())
    }

    /// Out of that text.
    ///
    /// # Errors
    /// It is none.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(facts: I) -> Self {
        let facts = facts.into_iter();
        Self(
            facts
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Where a fact stands: a JSON pointer (RFC 6901), step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/servicePoint/cto`; none where it is no pointer, or points at all of it.
    pub fn parse(text: &str) -> Option<Self> {
        let steps = text.strip_prefix('/')?.split('/');
        let steps = steps.map(|step| step.replace("~1", "/").replace("~0", "~"));
        Some(Self(steps.collect())).filter(|pointer| pointer.0.iter().all(|step| !step.is_empty()))
    }

    /// Its steps, as [`plain`] names them.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|step| plain(step))
    }

    fn find<'v>(&self, body: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(body, |value, step| match value {
            Value::Object(fields) => fields.get(step).or_else(|| {
                let mut fields = fields.iter();
                let found = fields.find(|(name, _)| plain(name) == plain(step));
                found.map(|(_, value)| value)
            }),
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// A field's name whichever way it is spelt: `servicePoint` and `service_point` are one, upstream too.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Which facts are kept, and where each stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared(pub BTreeMap<String, Pointer>);

impl Declared {
    /// Those of a request, from the upstream's answer. What isn't there, or is no single value, is not kept.
    pub fn read(&self, body: &[u8]) -> Attributes {
        if self.0.is_empty() {
            return Attributes::default();
        }
        // Whoever read the request has judged the answer; a part that only this would not read costs the facts.
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let facts = self.0.iter().filter_map(|(name, pointer)| {
            let value = match pointer.find(&body)? {
                Value::String(text) => text.trim().to_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                _ => return None,
            };
            let value: String = value
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST)
                .collect();
            (!value.is_empty()).then(|| (name.clone(), value))
        });
        facts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pointer: &str, body: &str) -> Option<String> {
        let pointer = Pointer::parse(pointer).unwrap();
        let declared = Declared(BTreeMap::from([("a".to_owned(), pointer)]));
        let read = declared.read(body.as_bytes());
        let value = read.iter().next().map(|(_, value)| value.to_owned());
        assert_eq!(read.is_empty(), value.is_none());
        value
    }

    #[test]
    fn single_values_are_read_whichever_way_their_names_are_spelt() {
        let body =
            r#"{"service_point": {"ctoId": " 28-1 ", "ports": [{"n": 7}], "ok": false, "a/b": 1}}"#;
        for (pointer, value) in [
            ("/servicePoint/cto_id", "28-1"),
            ("/service_point/ports/0/n", "7"),
            ("/servicePoint/ok", "false"),
            ("/servicePoint/a~1b", "1"),
        ] {
            assert_eq!(read(pointer, body).as_deref(), Some(value), "{pointer}");
        }
    }

    #[test]
    fn what_is_absent_or_no_single_value_is_not_kept() {
        let body = r#"{"servicePoint": {"cto": null, "list": [1], "empty": "  "}, "status": "X"}"#;
        for pointer in [
            "/servicePoint",
            "/servicePoint/cto",
            "/servicePoint/list",
            "/servicePoint/empty",
            "/servicePoint/no",
            "/status/no",
            "/servicePoint/list/1",
        ] {
            assert_eq!(read(pointer, body), None, "{pointer}");
        }
        assert_eq!(read("/a", "no JSON"), None);
    }

    #[test]
    fn long_values_are_cut() {
        let body = format!(r#"{{"a": "{}"}}"#, "é".repeat(100));
        assert_eq!(read("/a", &body), Some("é".repeat(LONGEST)));
    }

    #[test]
    fn what_is_stored_reads_back() {
        let kept = Attributes::from_iter([("cto", "28-\"1\""), ("zone", "ñ")]);
        let text = kept.to_text().unwrap();
        assert_eq!(Attributes::from_text(&text).unwrap(), kept);
        assert_eq!(Attributes::default().to_text(), None);
        assert!(Attributes::from_text("[]").is_err());
    }

    #[test]
    fn a_pointer_begins_with_a_slash_and_names_a_field() {
        for text in ["", "/", "cto", "servicePoint/cto", "/servicePoint//cto"] {
            assert_eq!(Pointer::parse(text), None, "{text:?}");
        }
    }
}
