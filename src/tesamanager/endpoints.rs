//! How a URL is made of an operation's configured method and path. The assumed ones stand in the configuration's table.

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
    path: String,
}

/// The configured addresses, checked.
#[derive(Debug)]
pub struct Routes {
    base: String,
    writes: BTreeMap<Operation, Route>,
    reads: BTreeMap<ReadOperation, Route>,
}

impl Routes {
    /// Checks base, methods and paths. An operation that the table leaves out has its default.
    pub fn new(base_url: &str, endpoints: &Endpoints) -> Result<Self, AddressError> {
        let base = base_url.trim_end_matches('/');
        let valid = Url::parse(base).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        });
        if !valid {
            return Err(AddressError::Base {
                url: base_url.to_owned(),
            });
        }
        let defaults = default_endpoints();
        let mut routes = Self {
            base: base.to_owned(),
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
        let base = || AddressError::Base {
            url: self.base.clone(),
        };
        // Every operation has a route: `new` begins with the whole table.
        let route = route.ok_or_else(base)?;
        let mut path = route.path.replace("{org}", &segment(org.as_str())?);
        if let Some(id) = id {
            path = path.replace("{referenceId}", &segment(id.as_str())?);
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{}{path}{mark}{query}", self.base)).map_err(|_| base())?;
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
        path: endpoint.path.clone(),
    })
}

/// A name as one segment of a path. An empty one would turn "this request" into "all requests", and dots are
/// resolved by URL parsers even when they are percent-encoded.
fn segment(name: &str) -> Result<String, AddressError> {
    if matches!(name, "" | "." | "..") {
        return Err(AddressError::Segment {
            name: name.to_owned(),
        });
    }
    Ok(percent(name))
}

/// Percent-encodes everything but RFC 3986's unreserved characters, which is safe in any part of a URL.
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
