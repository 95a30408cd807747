//! The upstream's JSON and our values: decoded leniently, encoded strictly.
//!
//! The bodies that we send are `Serialize` of [`crate::domain::Write`]: exactly the documented fields. What comes
//! back is read by hand from a JSON object rather than by derived code, because leniency means more here than
//! optional fields: two spellings of each name (possibly both at once), numbers as texts, texts as numbers. What
//! is *there but can't be understood* is an error all the same: a garbled `cancelling` read as "no" would get a
//! request acted upon that must be left alone.

mod dates;
mod event;
mod fields;
mod filter;
mod issue;
mod json;
mod problem;
mod request;
mod result;

pub use dates::Dates;
pub use event::events;
pub use fields::Undecodable;
pub use filter::query;
pub use issue::issues;
pub use problem::problem;
pub use request::request;
pub use result::write_result;

use std::collections::BTreeMap;

use json::{Json, Object};

/// The objects of an answer that holds a list: a bare array, or an object with exactly one array among its fields.
fn objects(body: &[u8]) -> Result<Vec<Object<'_>>, Undecodable> {
    let list = match json::read(body)? {
        Json::List(list) => list,
        Json::Object(fields) => {
            // Of fields that have the same name, the last one counts.
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let mut lists = fields.into_values().filter_map(|value| match value {
                Json::List(list) => Some(list),
                _ => None,
            });
            match (lists.next(), lists.next()) {
                (Some(list), None) => list,
                (None, _) => return Err(Undecodable::shape("an object without a list")),
                (Some(_), Some(_)) => {
                    return Err(Undecodable::shape("an object with several lists"));
                }
            }
        }
        _ => return Err(Undecodable::shape("neither a list nor an object")),
    };
    list.into_iter()
        .map(|item| match item {
            Json::Object(fields) => Ok(fields),
            _ => Err(Undecodable::shape("a list whose items are not objects")),
        })
        .collect()
}
