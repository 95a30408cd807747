//! `[http]`: where metrics and health are served.

use std::net::SocketAddr;

use super::keys::{Key, Kind, Section};
use super::problem::{Problems, shown};
use super::tree::{Node, Table};
use super::value::{self, Reader};

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub listen: SocketAddr,
}

pub(super) const SECTION: Section = Section {
    path: "http",
    repeated: false,
    optional: false,
    doc: "Metrics and health.",
    keys: &[Key::preset(
        "listen",
        Kind::Text,
        "\"127.0.0.1:9464\"",
        "Where /metrics, /livez and /readyz are served.",
    )],
};

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Http> {
    let section = Reader::new(root, SECTION.path);
    let listen = section.required(problems, "listen", address)?;
    Some(Http { listen })
}

/// Where to listen.
pub(super) fn address(node: &Node, problems: &mut Problems) -> Option<SocketAddr> {
    let text = value::text(node, problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let port = text
            .rsplit(':')
            .next()
            .and_then(|port| port.parse::<u16>().ok());
        let port = port.unwrap_or(9464);
        problems.report_with_help(
            &node.place,
            format!("{} is not an address and a port", shown(&text)),
            format!("\"127.0.0.1:{port}\" for this machine only, \"0.0.0.0:{port}\" for all"),
        );
    }
    parsed
}
