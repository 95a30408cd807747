//! Where each of the sixteen operations is: the default table, and how a URL is made of one.
//!
//! The vendor's page lost methods and paths, so all of them are assumptions that the configuration may replace.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::{Method, Url};

use crate::config::{Endpoint, Endpoints};
use crate::domain::ids::{Org, ReferenceId};
use crate::domain::{Operation, ReadOperation};

/// The assumed methods and paths.
pub fn defaults() -> Endpoints {
    let under_org = |method: &str, path: &str| Endpoint {
        method: method.to_owned(),
        path: format!("/tesa/orgs/{{org}}/{path}"),
    };
    let write = |operation: &Operation| (*operation, under_org("POST", write_path(*operation)));
    let read = |operation: &ReadOperation| (*operation, under_org("GET", read_path(*operation)));
    Endpoints {
        writes: Operation::ALL.iter().map(write).collect(),
        reads: ReadOperation::ALL.iter().map(read).collect(),
    }
}

const fn write_path(operation: Operation) -> &'static str {
    match operation {
        Operation::CreateActivation => "activations",
        Operation::CreateTermination => "terminations",
        Operation::CancelRequest => "cancellations",
        Operation::ResolveIncident => "incidents/resolutions",
        Operation::CreateAccess => "accesses",
        Operation::TerminateAccess => "accesses/terminations",
        Operation::CreateStatusCto => "cto/status",
        Operation::ChangeCto => "cto/changes",
        Operation::CreatePort => "ports",
        Operation::CreatePort2 => "ports2",
        Operation::CreateInstallationIncident => "installations/incidents",
        Operation::CreateInstallationEnd => "installations/ends",
    }
}

const fn read_path(operation: ReadOperation) -> &'static str {
    match operation {
        ReadOperation::ListReferenceIds => "requests",
        ReadOperation::GetRequest => "requests/{referenceId}",
        ReadOperation::GetRequestEvents => "requests/{referenceId}/events",
        ReadOperation::GetRequestIssues => "requests/{referenceId}/issues",
    }
}

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
        let defaults = defaults();
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
