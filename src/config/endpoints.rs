//! `[tesamanager.endpoints]`: method and path of each operation.
//!
//! The vendor's page lost them, so they are assumptions, and assumptions belong into configuration.

use std::collections::BTreeMap;

use super::keys::{Key, Kind, Preset, Section};
use super::nearest::nearest;
use super::problem::{Problems, shown};
use super::tree::{Node, Table};
use super::value::{self, Reader};
use crate::domain::{Operation, ReadOperation};

/// Method and path templates of the operations; `{org}` and `{referenceId}` are filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Of the writes.
    pub writes: BTreeMap<Operation, Endpoint>,
    /// Of the reads.
    pub reads: BTreeMap<ReadOperation, Endpoint>,
}

/// One operation's method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET`, `POST`, `PUT`, …
    pub method: String,
    /// Begins with a slash.
    pub path: String,
}

const fn endpoint(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key::preset(name, Kind::Text, default, doc)
}

pub(super) const SECTION: Section = Section {
    path: "tesamanager.endpoints",
    repeated: false,
    optional: false,
    doc: "Method and path of each operation, below base_url.",
    keys: &[
        endpoint(
            "create_activation",
            "\"POST /tesa/orgs/{org}/activations\"",
            "Asks for a line.",
        ),
        endpoint(
            "create_termination",
            "\"POST /tesa/orgs/{org}/terminations\"",
            "Asks for a line's end.",
        ),
        endpoint(
            "cancel_request",
            "\"POST /tesa/orgs/{org}/cancellations\"",
            "Cancels a request.",
        ),
        endpoint(
            "resolve_incident",
            "\"POST /tesa/orgs/{org}/incidents/resolutions\"",
            "Resolves an incident.",
        ),
        endpoint(
            "create_access",
            "\"POST /tesa/orgs/{org}/accesses\"",
            "Creates a technician's access.",
        ),
        endpoint(
            "terminate_access",
            "\"POST /tesa/orgs/{org}/accesses/terminations\"",
            "Ends a technician's access.",
        ),
        endpoint(
            "create_status_cto",
            "\"POST /tesa/orgs/{org}/cto/status\"",
            "Asks for the state of an optical terminal box.",
        ),
        endpoint(
            "change_cto",
            "\"POST /tesa/orgs/{org}/cto/changes\"",
            "Changes the optical terminal box.",
        ),
        endpoint(
            "create_port",
            "\"POST /tesa/orgs/{org}/ports\"",
            "Creates a port.",
        ),
        endpoint(
            "create_port2",
            "\"POST /tesa/orgs/{org}/ports2\"",
            "The other port operation.",
        ),
        endpoint(
            "create_installation_incident",
            "\"POST /tesa/orgs/{org}/installations/incidents\"",
            "Reports an incident during an installation.",
        ),
        endpoint(
            "create_installation_end",
            "\"POST /tesa/orgs/{org}/installations/ends\"",
            "Reports the end of an installation.",
        ),
        endpoint(
            "list_reference_ids",
            "\"GET /tesa/orgs/{org}/requests\"",
            "Lists the ids of requests.",
        ),
        endpoint(
            "get_request",
            "\"GET /tesa/orgs/{org}/requests/{referenceId}\"",
            "Reads a request.",
        ),
        endpoint(
            "get_request_events",
            "\"GET /tesa/orgs/{org}/requests/{referenceId}/events\"",
            "Reads a request's events.",
        ),
        endpoint(
            "get_request_issues",
            "\"GET /tesa/orgs/{org}/requests/{referenceId}/issues\"",
            "Reads a request's issues.",
        ),
    ],
};

/// The table of defaults as values.
pub fn default_endpoints() -> Endpoints {
    let default = |name: &str| {
        let key = SECTION.keys.iter().find(|key| key.name == name)?;
        let Preset::Default(text) = key.preset else {
            return None;
        };
        let (method, path) = text.trim_matches('"').split_once(' ')?;
        Some(Endpoint {
            method: method.to_owned(),
            path: path.to_owned(),
        })
    };
    Endpoints {
        writes: Operation::ALL
            .iter()
            .filter_map(|operation| Some((*operation, default(operation.as_str())?)))
            .collect(),
        reads: ReadOperation::ALL
            .iter()
            .filter_map(|operation| Some((*operation, default(operation.as_str())?)))
            .collect(),
    }
}

/// What an operation's endpoint must be like.
struct Shape {
    methods: &'static [&'static str],
    why: &'static str,
    placeholders: &'static [&'static str],
}

const WRITE: Shape = Shape {
    methods: &["POST", "PUT", "PATCH", "DELETE"],
    why: "this operation writes",
    placeholders: &["{org}"],
};
const LIST: Shape = Shape {
    methods: &["GET"],
    // Reads are sent in observe mode too, and repeated freely: only GET promises to change nothing.
    why: "this operation reads, and reads change nothing",
    placeholders: &["{org}"],
};
const READ_ONE: Shape = Shape {
    placeholders: &["{org}", "{referenceId}"],
    ..LIST
};

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Endpoints> {
    let section = Reader::new(root, SECTION.path);
    let writes: Vec<_> = Operation::ALL
        .iter()
        .map(|operation| {
            let endpoint = section.required(problems, operation.as_str(), shaped(&WRITE));
            Some((*operation, endpoint?))
        })
        .collect();
    let reads: Vec<_> = ReadOperation::ALL
        .iter()
        .map(|operation| {
            let shape = match operation {
                ReadOperation::ListReferenceIds => &LIST,
                _ => &READ_ONE,
            };
            let endpoint = section.required(problems, operation.as_str(), shaped(shape));
            Some((*operation, endpoint?))
        })
        .collect();
    Some(Endpoints {
        writes: writes.into_iter().collect::<Option<_>>()?,
        reads: reads.into_iter().collect::<Option<_>>()?,
    })
}

fn shaped(shape: &Shape) -> impl FnOnce(&Node, &mut Problems) -> Option<Endpoint> {
    move |node, problems| {
        let text = value::text(node, problems)?;
        match endpoint_of(&text, shape) {
            Ok(endpoint) => Some(endpoint),
            Err((message, help)) => {
                problems.report_with_help(&node.place, message, help);
                None
            }
        }
    }
}

fn endpoint_of(text: &str, shape: &Shape) -> Result<Endpoint, (String, String)> {
    let form = || {
        format!(
            "a method, a space and a path: \"{} /path/{}\"",
            shape.methods[0],
            shape.placeholders.join("/")
        )
    };
    let Some((method, path)) = text.split_once(' ') else {
        return Err((format!("{} is no endpoint", shown(text)), form()));
    };
    if !shape.methods.contains(&method) {
        let message = format!("{} does not fit: {}", shown(method), shape.why);
        let help = nearest(method, shape.methods.iter().copied()).map_or_else(
            || format!("one of: {}", shape.methods.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err((message, help));
    }
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '"' | '<' | '>');
    if !path.starts_with('/') || !path.chars().all(plain) {
        return Err((
            format!("{} is not a path", shown(path)),
            "a path begins with '/', has no query and no blanks".to_owned(),
        ));
    }
    for placeholder in shape.placeholders {
        if !path.contains(placeholder) {
            return Err((format!("the path lacks {placeholder}"), form()));
        }
    }
    let rest = shape
        .placeholders
        .iter()
        .fold(path.to_owned(), |path, known| path.replace(known, ""));
    if rest.contains(['{', '}']) {
        return Err((
            format!(
                "only {} can be filled in here",
                shape.placeholders.join(" and ")
            ),
            form(),
        ));
    }
    Ok(Endpoint {
        method: method.to_owned(),
        path: path.to_owned(),
    })
}
