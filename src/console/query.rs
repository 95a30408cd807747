//! What stands in an address behind the question mark: filters by the names that the commands have, so that a list can be sent
//! to somebody and is there again after Back.
//!
//! A key that a page doesn't know, or that stands twice, is a mistake and no filter that means everything.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::Query as Pairs;
use axum::http::Uri;
use chrono::{DateTime, Utc};

use super::trouble::Trouble;
use crate::answers::Sources;
use crate::answers::time::since;

/// How many rows a page has where nobody says so, and at most.
const SCREENFUL: u32 = 50;
const MOST: u32 = 500;

/// Keys with what they say; an empty one says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    path: String,
    pairs: Vec<(&'static str, String)>,
}

/// As what a list is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Page,
    Csv,
    Json,
}

impl Query {
    /// Reads an address whose page knows these keys.
    pub(super) fn read(uri: &Uri, keys: &[&'static str]) -> Result<Self, Trouble> {
        let pairs: Pairs<Vec<(String, String)>> = Pairs::try_from_uri(uri)
            .map_err(|_| Trouble::Mistaken("the address can't be read".to_owned()))?;
        let mut read = Self {
            path: uri.path().to_owned(),
            pairs: vec![],
        };
        for (name, value) in pairs.0 {
            let Some(key) = keys.iter().find(|key| **key == name) else {
                let known = keys.join(", ");
                return Err(Trouble::Mistaken(format!(
                    "{name:?} is not asked for here; there are {known}"
                )));
            };
            if read.get(key).is_some() {
                return Err(Trouble::Mistaken(format!("{key} stands twice")));
            }
            let value = value.trim();
            if !value.is_empty() {
                read.pairs.push((key, value.to_owned()));
            }
        }
        Ok(read)
    }

    /// The address without what it asks.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What a key says.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        let found = pairs.find(|(name, _)| *name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// A key that holds one word of a closed set, or a number.
    pub(super) fn word<T: FromStr>(&self, key: &str) -> Result<Option<T>, Trouble> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        let read = text.parse();
        read.map(Some)
            .map_err(|_| Trouble::Mistaken(format!("{text:?} is no {key}")))
    }

    /// A key that holds an age or an instant, in the reader's zone.
    pub(super) fn instant(
        &self,
        key: &str,
        sources: &Sources,
    ) -> Result<Option<DateTime<Utc>>, Trouble> {
        let read = self
            .get(key)
            .map(|text| since(text, sources.now(), sources.zone));
        Ok(read.transpose()?)
    }

    /// How many rows are wanted.
    pub(super) fn limit(&self) -> Result<u32, Trouble> {
        let limit = self.word("limit")?.unwrap_or(SCREENFUL);
        match limit {
            1..=MOST => Ok(limit),
            _ => Err(Trouble::Mistaken(format!("limit is 1 to {MOST}"))),
        }
    }

    /// As what.
    pub(super) fn form(&self) -> Result<Form, Trouble> {
        match self.get("format") {
            None => Ok(Form::Page),
            Some("csv") => Ok(Form::Csv),
            Some("json") => Ok(Form::Json),
            Some(other) => Err(Trouble::Mistaken(format!(
                "format is csv or json, not {other:?}"
            ))),
        }
    }

    /// Something narrows the list, beside its page and order.
    pub(super) fn is_filtered(&self) -> bool {
        let apart = ["after", "before", "limit", "sort", "format"];
        self.pairs.iter().any(|(key, _)| !apart.contains(key))
    }

    /// The same address with another value of a key; none takes it out.
    pub(super) fn with(&self, key: &'static str, value: Option<&dyn Display>) -> String {
        let kept = self.pairs.iter().filter(|(name, _)| *name != key);
        let kept = kept.map(|(name, value)| (*name, value.clone()));
        let new = value.map(|value| (key, value.to_string()));
        address(&self.path, kept.chain(new))
    }
}

/// An address out of its parts.
pub(super) fn address(path: &str, pairs: impl Iterator<Item = (&'static str, String)>) -> String {
    let mut address = path.to_owned();
    for (index, (key, value)) in pairs.enumerate() {
        address.push(if index == 0 { '?' } else { '&' });
        address.push_str(key);
        address.push('=');
        address.push_str(&encoded(&value));
    }
    address
}

/// A text as a part of an address: nothing in it is one of its signs.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Result<Query, Trouble> {
        Query::read(
            &address.parse().unwrap(),
            &["search", "org", "limit", "format", "after"],
        )
    }

    #[test]
    fn a_filter_is_read_as_it_is_written() {
        let query = read("/orders?search=SBX+1%26&org=&limit=7").unwrap();
        assert_eq!(query.get("search"), Some("SBX 1&"));
        assert_eq!(query.get("org"), None);
        assert_eq!(query.limit().unwrap(), 7);
        assert!(query.is_filtered() && !read("/orders?limit=7&after=x").unwrap().is_filtered());
        let next = query.with("after", Some(&"9-1"));
        assert_eq!(next, "/orders?search=SBX%201%26&limit=7&after=9-1");
        let again = read(&next).unwrap();
        assert_eq!(again.get("search"), Some("SBX 1&"));
        assert_eq!(
            again.with("after", None),
            "/orders?search=SBX%201%26&limit=7"
        );
    }

    #[test]
    fn what_is_not_asked_for_is_a_mistake() {
        for address in ["/orders?serach=x", "/orders?org=a&org=b", "/orders?=x"] {
            assert!(
                matches!(read(address), Err(Trouble::Mistaken(_))),
                "{address}"
            );
        }
        for address in ["/orders?limit=0", "/orders?limit=501", "/orders?limit=x"] {
            assert!(read(address).unwrap().limit().is_err(), "{address}");
        }
        assert!(read("/orders?format=xml").unwrap().form().is_err());
    }

    #[test]
    fn no_sign_of_an_address_is_left_in_a_part_of_it() {
        assert_eq!(
            encoded("a/b?c=d&e#f%g\"h ñ"),
            "a%2Fb%3Fc%3Dd%26e%23f%25g%22h%20%C3%B1"
        );
        assert_eq!(encoded(".."), "..");
    }
}
