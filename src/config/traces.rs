//! `[traces]`: where spans go, and how many.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{Key, Kind, Section};
use super::peer::{self, Peer};
use super::problem::Problems;
use super::tree::{Node, Table};
use super::value::{self, Reader};

/// `[traces]` with an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The collector's base URL, as given.
    pub endpoint: String,
    /// Of all runs, this share is traced; between 0 and 1.
    pub sample_ratio: f64,
    /// A file with further headers.
    pub headers_file: Option<PathBuf>,
    /// A private CA (PEM).
    pub ca_file: Option<PathBuf>,
    /// For a whole delivery.
    pub timeout: Duration,
}

/// What OTLP over HTTP appends to a collector's base URL for traces.
const SIGNAL: &str = "/v1/traces";

impl Traces {
    /// Where spans are posted: the base URL with `/v1/traces`, as OTLP/HTTP has it.
    pub fn url(&self) -> String {
        format!("{}{SIGNAL}", self.endpoint.trim_end_matches('/'))
    }
}

/// A slow collector must not hold more spans back than the queue takes.
const LONGEST_DELIVERY: Duration = Duration::from_secs(60);

const PEER: Peer = Peer {
    name: "a collector",
    example: "for example \"http://127.0.0.1:4318\"",
    secrets: "secrets come from files: put a header into a file and name that in traces.headers_file",
};

pub(super) const SECTION: Section = Section {
    path: "traces",
    repeated: false,
    optional: true,
    doc: "OpenTelemetry traces of runs, over OTLP (HTTP, protobuf). Without an endpoint, none.",
    keys: &[
        Key::optional(
            "endpoint",
            Kind::Url,
            "\"http://127.0.0.1:4318\"",
            "The collector's base URL, to which /v1/traces is added; https if headers_file is given, except on this machine.",
        ),
        Key::preset(
            "sample_ratio",
            Kind::Number,
            "1.0",
            "The share of runs that is traced, each as a whole.",
        ),
        Key::optional(
            "headers_file",
            Kind::File,
            "\"traces-headers\"",
            "A file with `Name: value` lines, such as a key that the collector wants, read for each delivery.",
        ),
        Key::optional(
            "ca_file",
            Kind::File,
            "\"ca.pem\"",
            "A private certificate authority (PEM) to trust beside the machine's own.",
        ),
        Key::preset(
            "timeout",
            Kind::Text,
            "\"10s\"",
            "How long a delivery may take. No run and no stop waits for it.",
        ),
    ],
};

/// Reads the section; `Some(None)` if there is no endpoint in it, or no section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Option<Traces>> {
    if super::tree::section(root, SECTION.path).is_none() {
        return Some(None);
    }
    let section = Reader::new(root, SECTION.path);
    let secret = section.node("headers_file").is_some();
    let endpoint = section.optional(problems, "endpoint", |node, problems| {
        endpoint(node, secret, problems)
    });
    let sample_ratio = section.required(problems, "sample_ratio", value::fraction);
    let headers_file = section.optional(problems, "headers_file", value::text);
    let ca_file = section.optional(problems, "ca_file", value::text);
    let timeout = value::duration(Duration::from_millis(1), LONGEST_DELIVERY);
    let timeout = section.required(problems, "timeout", timeout);
    let (sample_ratio, timeout) = (sample_ratio?, timeout?);
    let (headers_file, ca_file) = (headers_file?, ca_file?);
    Some(endpoint?.map(|endpoint| Traces {
        endpoint,
        sample_ratio,
        headers_file: headers_file.map(PathBuf::from),
        ca_file: ca_file.map(PathBuf::from),
        timeout,
    }))
}

/// Spans hold nothing secret, so a collector in the same network may be reached without TLS; but not with a key.
fn endpoint(node: &Node, secret: bool, problems: &mut Problems) -> Option<String> {
    let url = if secret {
        peer::url(&PEER, node, problems)?
    } else {
        peer::url_even_in_clear(&PEER, node, problems)?
    };
    if url.path().trim_end_matches('/').ends_with(SIGNAL) {
        problems.report_with_help(
            &node.place,
            "this is more than the collector's base URL",
            format!("leave {SIGNAL} out: it is added"),
        );
        return None;
    }
    Some(url.into())
}
