//! `[notify]`: whom to tell when something waits for a person.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::keys::{Key, Kind, Section};
use super::peer::{self, Peer};
use super::problem::Problems;
use super::tree::{Node, Table};
use super::value::{self, Reader};
use crate::domain::{AlertName, closed_set};

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Where notifications are posted, as given.
    pub url: String,
    /// Their form.
    pub format: NotifyFormat,
    /// What is told.
    pub alerts: Vec<AlertName>,
    /// A file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// A private CA (PEM).
    pub ca_file: Option<PathBuf>,
    /// For a whole delivery.
    pub timeout: Duration,
}

impl Notify {
    /// The receiver's host. In messages it stands for the url, whose path is a secret with many receivers.
    pub fn host(&self) -> String {
        let url = Url::parse(&self.url).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| "the receiver".to_owned())
    }
}

closed_set! {
    /// The form of a notification.
    NotifyFormat {
        /// One JSON object each.
        Json = "json",
        /// What Alertmanager's API (v2) takes.
        Alertmanager = "alertmanager",
    }
}

/// A slow receiver must not look like a loop that stands still.
const LONGEST_DELIVERY: Duration = Duration::from_secs(60);

const PEER: Peer = Peer {
    name: "a receiver",
    example: "for example \"https://alertmanager.example/api/v2/alerts\"",
    secrets: "secrets come from files: put a token into a file and name that in notify.token_file",
};

pub(super) const SECTION: Section = Section {
    path: "notify",
    repeated: false,
    optional: true,
    doc: "Whom to tell when something waits for a person. Without this section, nobody.",
    keys: &[
        Key::required(
            "url",
            Kind::Url,
            "\"https://alertmanager.example/api/v2/alerts\"",
            "Where notifications are posted: https, or http on this machine only.",
        ),
        Key::preset(
            "format",
            Kind::Text,
            "\"json\"",
            "json: one object each, told once; alertmanager: what its API v2 takes.",
        ),
        Key::preset(
            "alerts",
            Kind::List,
            "[\"guard_held\", \"needs_human\", \"given_up\", \"new_finding_kind\"]",
            "What is told, each when it begins and when it is over.",
        ),
        Key::optional(
            "token_file",
            Kind::File,
            "\"notify-token\"",
            "A file with a bearer token for the receiver, read for each delivery.",
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
            "How long a delivery may take.",
        ),
    ],
};

/// Reads the section; `Some(None)` if there is none.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Option<Notify>> {
    if super::tree::section(root, SECTION.path).is_none() {
        return Some(None);
    }
    let section = Reader::new(root, SECTION.path);
    let url = section.required(problems, "url", url);
    let format = value::word("a form of notifications", NotifyFormat::ALL, |word| {
        word.as_str()
    });
    let format = section.required(problems, "format", format);
    let alert = value::word("an alert", AlertName::ALL, |word| word.as_str());
    let alerts = value::list("nothing to tell: leave [notify] out instead", alert);
    let alerts = section.required(problems, "alerts", alerts);
    let token_file = section.optional(problems, "token_file", value::text);
    let ca_file = section.optional(problems, "ca_file", value::text);
    let timeout = value::duration(Duration::from_millis(1), LONGEST_DELIVERY);
    let timeout = section.required(problems, "timeout", timeout);
    Some(Some(Notify {
        url: url?,
        format: format?,
        alerts: alerts?,
        token_file: token_file?.map(PathBuf::from),
        ca_file: ca_file?.map(PathBuf::from),
        timeout: timeout?,
    }))
}

fn url(node: &Node, problems: &mut Problems) -> Option<String> {
    peer::url(&PEER, node, problems).map(String::from)
}
