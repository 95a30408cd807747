//! How a URL is made of an operation's configured method and path. The assumed ones stand in the configuration's table.
//!
//! A sweep makes as many URLs as there are requests, so what is the same in all of them is parsed once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::{Method, Url};

use crate::config::{Endpoint, Endpoints, default_endpoints};
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Operation, ReadOperation};

/// Why the upstream's addresses make no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The base.
    #[error("tesamanager.base_url {url:?} is no http or https address with a host")]
    Base {
        /// As configured.
        url: String,
    },
    /// A method.
    #[error("tesamanager.endpoints.{operation}: {method:?} is no HTTP method")]
    Method {
        /// The operation.
        operation: &'static str,
        /// As configured.
        method: String,
    },
    /// A path.
    #[error(
        "tesamanager.endpoints.{operation}: {path:?} is no path (it begins with a slash and has no ? or #)"
    )]
    Path {
        /// The operation.
        operation: &'static str,
        /// As configured.
        path: String,
    },
    /// An id that would lead to another resource: empty, or one or two dots.
    #[error("{name:?} can't stand in an address")]
    Segment {
        /// The org or the reference id.
        name: String,
    },
}

#[derive(Debug)]
struct Route {
    method: Method,
    path: Vec<Part>,
}

/// A part of a route's path.
#[derive(Debug)]
enum Part {
    /// As it stands.
    Text(String),
    /// `{org}`
    Org,
    /// `{referenceId}`
    Id,
}

/// The configured addresses, checked.
#[derive(Debug)]
pub struct Routes {
    base: Url,
    /// The base's own path, without a slash at its end.
    prefix: String,
    writes: BTreeMap<Operation, Route>,
    reads: BTreeMap<ReadOperation, Route>,
}

impl Routes {
    /// Checks base, methods and paths. An operation that the table leaves out has its default.
    pub fn new(base_url: &str, endpoints: &Endpoints) -> Result<Self, AddressError> {
        let base = base_url.trim_end_matches('/');
        let valid = Url::parse(base).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        });
        let base = valid.ok_or_else(|| AddressError::Base {
            url: base_url.to_owned(),
        })?;
        let path = base.path();
        let defaults = default_endpoints();
        let mut routes = Self {
            prefix: path.strip_suffix('/').unwrap_or(path).to_owned(),
            base,
            writes: BTreeMap::new(),
            reads: BTreeMap::new(),
        };
        for (operation, endpoint) in defaults.writes.iter().chain(&endpoints.writes) {
            let route = route(operation.as_str(), endpoint)?;
            routes.writes.insert(*operation, route);
        }
        for (operation, endpoint) in defaults.reads.iter().chain(&endpoints.reads) {
            let route = route(operation.as_str(), endpoint)?;
            routes.reads.insert(*operation, route);
        }
        Ok(routes)
    }

    /// Method and URL of a write.
    pub fn write(&self, operation: Operation, org: &Org) -> Result<(Method, Url), AddressError> {
        self.fill(self.writes.get(&operation), org, None, "")
    }

    /// Method and URL of a read; `query` is already encoded.
    pub fn read(
        &self,
        operation: ReadOperation,
        org: &Org,
        id: Option<&ReferenceId>,
        query: &str,
    ) -> Result<(Method, Url), AddressError> {
        self.fill(self.reads.get(&operation), org, id, query)
    }

    fn fill(
        &self,
        route: Option<&Route>,
        org: &Org,
        id: Option<&ReferenceId>,
        query: &str,
    ) -> Result<(Method, Url), AddressError> {
        // Every operation has a route: `new` begins with the whole table.
        let route = route.ok_or_else(|| AddressError::Base {
            url: self.base.to_string(),
        })?;
        let org = segment(org.as_str())?;
        let id = id.map(|id| segment(id.as_str())).transpose()?;
        let mut path = String::with_capacity(128);
        path.push_str(&self.prefix);
        for part in &route.path {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Org => push_percent(&mut path, org),
                Part::Id => match id {
                    Some(id) => push_percent(&mut path, id),
                    None => path.push_str(ID),
                },
            }
        }
        let mut url = self.base.clone();
        url.set_path(&path);
        if !query.is_empty() {
            url.set_query(Some(query));
        }
        Ok((route.method.clone(), url))
    }
}

fn route(operation: &'static str, endpoint: &Endpoint) -> Result<Route, AddressError> {
    let method =
        Method::from_bytes(endpoint.method.as_bytes()).map_err(|_| AddressError::Method {
            operation,
            method: endpoint.method.clone(),
        })?;
    if !endpoint.path.starts_with('/') || endpoint.path.contains(['?', '#']) {
        return Err(AddressError::Path {
            operation,
            path: endpoint.path.clone(),
        });
    }
    Ok(Route {
        method,
        path: parts(&endpoint.path),
    })
}

const ORG: &str = "{org}";
const ID: &str = "{referenceId}";

fn parts(path: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for (n, between_orgs) in path.split(ORG).enumerate() {
        if n > 0 {
            parts.push(Part::Org);
        }
        for (n, text) in between_orgs.split(ID).enumerate() {
            if n > 0 {
                parts.push(Part::Id);
            }
            parts.push(Part::Text(text.to_owned()));
        }
    }
    parts
}

/// A name that may be one segment of a path. An empty one would turn "this request" into "all requests", and dots are
/// resolved by URL parsers even when they are percent-encoded.
fn segment(name: &str) -> Result<&str, AddressError> {
    if matches!(name, "" | "." | "..") {
        return Err(AddressError::Segment {
            name: name.to_owned(),
        });
    }
    Ok(name)
}

/// Percent-encodes everything but RFC 3986's unreserved characters, which is safe in any part of a URL.
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_percent(&mut out, text);
    out
}

fn push_percent(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests;
