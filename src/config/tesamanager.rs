//! `[tesamanager]`: where the upstream is, as whom we come, and how hard we may press.

use std::path::PathBuf;
use std::time::Duration;

use super::attributes;
use super::endpoints::{self, Endpoints};
use super::keys::{Key, Kind, Section};
use super::peer::{self, Peer};
use super::problem::Problems;
use super::schedule;
use super::tree::{Node, Table};
use super::value::{self, ONE_SECOND, Reader};
use crate::domain::Filter;
use crate::domain::attributes::Declared;
use crate::domain::ids::Org;
use crate::zone::Zone;

/// `[tesamanager]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tesamanager {
    /// Without a trailing slash.
    pub base_url: String,
    /// The tenants.
    pub orgs: Vec<Org>,
    /// Where the bearer token comes from.
    pub credentials: Credentials,
    /// For a connection.
    pub connect_timeout: Duration,
    /// For a whole call; a list may take a second more for every 64 KiB.
    pub request_timeout: Duration,
    /// Reads at once; none: what the rate needs at the measured latency.
    pub max_in_flight: Option<usize>,
    /// Reads per second and org.
    pub reads_per_second: u32,
    /// Writes per second and org.
    pub writes_per_second: u32,
    /// A private CA (PEM).
    pub ca_file: Option<PathBuf>,
    /// No list of ids has more.
    pub max_list_ids: u32,
    /// Nor more bytes, decoded.
    pub max_list_bytes: u32,
    /// What dates that say no zone are meant in.
    pub timezone: Zone,
    /// Until what the upstream stamped can be seen in its lists.
    pub settle_time: Duration,
    /// Filters of the list call that are not to be trusted: what they would tell is read instead.
    pub unsupported_filters: Vec<Filter>,
    /// Methods and paths of all sixteen operations.
    pub endpoints: Endpoints,
    /// Facts of a request that are kept beside what decisions need: `[attributes]`.
    pub attributes: Declared,
}

/// Where the bearer token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A file that holds the token; read again when it changes.
    TokenFile(PathBuf),
    /// A service account's JSON file.
    ServiceAccountFile(PathBuf),
}

const PEER: Peer = Peer {
    name: "Tesamanager",
    example: "for example \"https://provision.masstack.com/v1\"",
    secrets: "secrets come from files: service_account_file or token_file",
};

const LONGEST_CALL: Duration = Duration::from_secs(600);
const LONGEST_SETTLE_TIME: Duration = Duration::from_secs(3_600);

pub(super) const SECTION: Section = Section {
    path: "tesamanager",
    repeated: false,
    optional: false,
    doc: "The upstream: where it is, as whom we come, how hard we may press.",
    keys: &[
        Key::required(
            "base_url",
            Kind::Url,
            "\"https://provision.masstack.com/v1\"",
            "Where Tesamanager answers: https, or http on this machine only.",
        ),
        Key::required(
            "orgs",
            Kind::List,
            "[\"masmovil\", \"yoigo\"]",
            "The tenants to look after.",
        ),
        Key::optional(
            "service_account_file",
            Kind::File,
            "\"service-account.json\"",
            "The service account's JSON file; this or token_file, beside this file or in $CREDENTIALS_DIRECTORY.",
        ),
        Key::optional(
            "token_file",
            Kind::File,
            "\"token\"",
            "A file with a bearer token, read again when it changes; this or service_account_file.",
        ),
        Key::preset(
            "connect_timeout",
            Kind::Text,
            "\"3s\"",
            "How long making a connection may take.",
        ),
        Key::preset(
            "request_timeout",
            Kind::Text,
            "\"10s\"",
            "How long a call may take, from its first byte to the answer's last; a list of ids gets a second more for every 64 KiB.",
        ),
        Key::optional(
            "max_in_flight",
            Kind::Number,
            "64",
            "Reads at once; absent: what the rate needs at the measured latency, 16 to 128.",
        ),
        Key::preset(
            "reads_per_second",
            Kind::Number,
            "50",
            "Reads per second and org, all replicas together.",
        ),
        Key::preset(
            "writes_per_second",
            Kind::Number,
            "2",
            "Writes per second and org, all replicas together.",
        ),
        Key::optional(
            "ca_file",
            Kind::File,
            "\"ca.pem\"",
            "A private certificate authority (PEM) to trust beside the machine's own.",
        ),
        Key::preset(
            "max_list_ids",
            Kind::Number,
            "2000000",
            "A list of ids, and what a run looks at in all, has at most so many; beyond, the run fails.",
        ),
        Key::preset(
            "max_list_bytes",
            Kind::Number,
            "268435456",
            "A list of ids has at most so many bytes, unpacked; beyond, the run fails.",
        ),
        Key::preset(
            "timezone",
            Kind::Text,
            "\"UTC\"",
            "The zone in which dates of the upstream that say none are read.",
        ),
        Key::preset(
            "settle_time",
            Kind::Text,
            "\"60s\"",
            "How long it may take until a change that the upstream has dated shows in its lists.",
        ),
        Key::preset(
            "unsupported_filters",
            Kind::List,
            "[]",
            "Filters of the list call that this upstream gets wrong, for example \"autoInstallation\": requests are read instead.",
        ),
    ],
};

/// Reads the section and its endpoints.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Tesamanager> {
    let section = Reader::new(root, SECTION.path);
    let call = || value::duration(Duration::from_millis(1), LONGEST_CALL);
    let base_url = section.required(problems, "base_url", base_url);
    let orgs = orgs(&section, problems);
    let credentials = credentials(&section, problems);
    let connect_timeout = section.required(problems, "connect_timeout", call());
    let request_timeout = section.required(problems, "request_timeout", call());
    let max_in_flight = section.optional(problems, "max_in_flight", value::number(1, 1024));
    let reads = section.required(problems, "reads_per_second", value::number(1, 100_000));
    let writes = section.required(problems, "writes_per_second", value::number(1, 100_000));
    let ca_file = section.optional(problems, "ca_file", value::text);
    let list_ids = section.required(problems, "max_list_ids", value::number(1, 100_000_000));
    let list_bytes = value::number(1_024, u32::MAX);
    let list_bytes = section.required(problems, "max_list_bytes", list_bytes);
    let timezone = section.required(problems, "timezone", schedule::zone);
    let settle_time = value::duration(ONE_SECOND, LONGEST_SETTLE_TIME);
    let settle_time = section.required(problems, "settle_time", settle_time);
    let filter = value::word("a filter of the list call", Filter::ALL, |word| {
        word.as_str()
    });
    let unsupported = value::list_or_none(filter);
    let unsupported = section.required(problems, "unsupported_filters", unsupported);
    let endpoints = endpoints::read(root, problems);
    let attributes = attributes::read(root, problems);
    Some(Tesamanager {
        base_url: base_url?,
        orgs: orgs?,
        credentials: credentials?,
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        max_in_flight: max_in_flight?.and_then(|most| usize::try_from(most).ok()),
        reads_per_second: reads?,
        writes_per_second: writes?,
        ca_file: ca_file?.map(PathBuf::from),
        max_list_ids: list_ids?,
        max_list_bytes: list_bytes?,
        timezone: timezone?,
        settle_time: settle_time?,
        unsupported_filters: unsupported?,
        endpoints: endpoints?,
        attributes: attributes?,
    })
}

/// The tenants: a name stands in paths and labels, so it must be a plain one.
fn orgs(section: &Reader<'_>, problems: &mut Problems) -> Option<Vec<Org>> {
    let org = |node: &Node, problems: &mut Problems| value::name(node, problems).map(Org::from);
    let list = value::list("no org, nothing to do: name at least one", org);
    section.required(problems, "orgs", list)
}

fn credentials(section: &Reader<'_>, problems: &mut Problems) -> Option<Credentials> {
    let token = section.optional(problems, "token_file", value::text);
    let account = section.optional(problems, "service_account_file", value::text);
    match (token?, account?) {
        (Some(file), None) => Some(Credentials::TokenFile(file.into())),
        (None, Some(file)) => Some(Credentials::ServiceAccountFile(file.into())),
        (Some(_), Some(_)) => {
            let second = section.place_of("token_file").unwrap_or(section.place());
            problems.report_with_help(
                second,
                "both `service_account_file` and `token_file` are given",
                "the token comes from one of them: remove the other",
            );
            None
        }
        (None, None) => {
            problems.report_with_help(
                section.place(),
                "`service_account_file` is missing in [tesamanager]",
                "give it, or a `token_file`: the upstream wants a token",
            );
            None
        }
    }
}

fn base_url(node: &Node, problems: &mut Problems) -> Option<String> {
    let url = peer::url(&PEER, node, problems)?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}
