//! `[console]`: where people look at the daemon with a browser, and who they are.
//!
//! Without authentication nobody can act, and nobody on another machine can look: an address that others reach without it
//! is refused here, before anything is opened.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use http::HeaderName;

use super::keys::{Key, Kind, Section};
use super::problem::{Problems, shown};
use super::tree::{Node, Table};
use super::value::{self, Reader};
use super::{http as metrics, schedule};
use crate::zone::Zone;

/// `[console]`, where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// Where it is served.
    pub listen: SocketAddr,
    /// Who may come by name and password.
    pub password_file: Option<PathBuf>,
    /// Who may say that somebody was let in already.
    pub proxy: Option<TrustedProxy>,
    /// Names by which people reach it, beside `localhost` and addresses.
    pub hosts: Vec<String>,
    /// In which zone instants are shown; none: the one of commands.
    pub timezone: Option<Zone>,
}

/// A proxy that has authenticated people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    /// The header in which it names them.
    pub header: HeaderName,
    /// Where it comes from. From elsewhere the header means nothing.
    pub from: Vec<Network>,
    /// Whom of those it names may act; the others look.
    pub operators: Vec<String>,
}

impl Console {
    /// Somebody must say who they are.
    pub const fn authenticates(&self) -> bool {
        self.password_file.is_some() || self.proxy.is_some()
    }
}

/// Addresses that begin with the same bits: `10.1.2.0/24`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The address is one of them. An IPv4 address is the same one written as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |ours: &[u8], theirs: &[u8]| {
            let whole = usize::from(self.bits / 8);
            let rest = self.bits % 8;
            let mask = !(u8::MAX >> rest);
            ours[..whole] == theirs[..whole]
                && (rest == 0 || ours[whole] & mask == theirs[whole] & mask)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => same(&ours.octets(), &theirs.octets()),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(&ours.octets(), &theirs.octets()),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| ())?,
            None => most,
        };
        (bits <= most).then_some(Self { address, bits }).ok_or(())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

pub(super) const SECTION: Section = Section {
    path: "console",
    repeated: false,
    optional: true,
    doc: "The console: pages for a browser. Without the section, none; without authentication they only show, and only on this machine.",
    keys: &[
        Key::preset(
            "listen",
            Kind::Text,
            "\"127.0.0.1:9465\"",
            "Where the pages are served. Another machine reaches them only with authentication.",
        ),
        Key::optional(
            "password_file",
            Kind::File,
            "\"console-passwords\"",
            "Who may come: `name:argon2id-hash:role` a line, made by `tesa-reconciler console password NAME`; read again when it changes.",
        ),
        Key::optional(
            "trusted_user_header",
            Kind::Text,
            "\"X-Forwarded-User\"",
            "The header in which a proxy names whom it has authenticated; with trusted_proxies.",
        ),
        Key::optional(
            "trusted_proxies",
            Kind::List,
            "[\"10.1.2.3/32\"]",
            "From which addresses that header is believed.",
        ),
        Key::optional(
            "trusted_operators",
            Kind::List,
            "[\"ana\"]",
            "Whom of those that the proxy names may act; all others only look.",
        ),
        Key::preset(
            "hosts",
            Kind::List,
            "[]",
            "Names by which browsers reach the pages, beside localhost and addresses; any other name is refused.",
        ),
        Key::optional(
            "timezone",
            Kind::Text,
            "\"Europe/Madrid\"",
            "In which zone the pages show instants; absent: as [daemon].timezone.",
        ),
    ],
};

/// Reads the section; `Some(None)` if there is none.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Option<Console>> {
    if super::tree::section(root, SECTION.path).is_none() {
        return Some(None);
    }
    let section = Reader::new(root, SECTION.path);
    let listen = section.required(problems, "listen", metrics::address);
    let password_file = section.optional(problems, "password_file", value::text);
    let proxy = proxy(&section, problems);
    let hosts = section.required(problems, "hosts", value::list_or_none(host));
    let timezone = section.optional(problems, "timezone", schedule::zone);
    let console = Console {
        listen: listen?,
        password_file: password_file?.map(PathBuf::from),
        proxy: proxy?,
        hosts: hosts?,
        timezone: timezone?,
    };
    if !console.listen.ip().to_canonical().is_loopback() && !console.authenticates() {
        let place = section
            .node("listen")
            .map_or(section.place(), |it| &it.place);
        problems.report_with_help(
            place,
            format!(
                "console.listen: {} can be reached from other machines, and nobody would be asked who they are",
                console.listen
            ),
            "set console.password_file, or trusted_user_header with trusted_proxies; or listen on 127.0.0.1",
        );
        return None;
    }
    Some(Some(console))
}

/// The keys about a proxy: the first two of them belong together, the third to both.
fn proxy(section: &Reader<'_>, problems: &mut Problems) -> Option<Option<TrustedProxy>> {
    let header = section.optional(problems, "trusted_user_header", header);
    let networks = value::list("name at least one address", network);
    let from = section.optional(problems, "trusted_proxies", networks);
    let names = value::list("name at least one person", value::text);
    let operators = section.optional(problems, "trusted_operators", names);
    let (header, from, operators) = (header?, from?, operators?);
    match (header, from) {
        (Some(header), Some(from)) => Some(Some(TrustedProxy {
            header,
            from,
            operators: operators.unwrap_or_default(),
        })),
        (None, None) => match section.place_of("trusted_operators") {
            None => Some(None),
            Some(place) => {
                let help = "they come with trusted_user_header and trusted_proxies";
                problems.report_with_help(place, "nobody names these operators", help);
                None
            }
        },
        (Some(_), None) => {
            let place = section.place_of("trusted_user_header");
            problems.report_with_help(
                place.unwrap_or(section.place()),
                "anybody could send this header: from whom is it believed?",
                "set console.trusted_proxies to the proxy's own address",
            );
            None
        }
        (None, Some(_)) => {
            let place = section.place_of("trusted_proxies");
            problems.report_with_help(
                place.unwrap_or(section.place()),
                "what would these proxies be believed?",
                "set console.trusted_user_header to the header in which they name people",
            );
            None
        }
    }
}

fn header(node: &Node, problems: &mut Problems) -> Option<HeaderName> {
    let text = value::text(node, problems)?;
    let header = HeaderName::from_str(&text).ok();
    if header.is_none() {
        let message = format!("{} is not a header's name", shown(&text));
        problems.report_with_help(&node.place, message, "for example \"X-Forwarded-User\"");
    }
    header
}

fn network(node: &Node, problems: &mut Problems) -> Option<Network> {
    let text = value::text(node, problems)?;
    let network = text.parse().ok();
    if network.is_none() {
        let message = format!("{} is neither an address nor a network", shown(&text));
        problems.report_with_help(&node.place, message, "for example \"10.1.2.3/32\"");
    }
    network
}

/// A host's name as a browser sends it: no scheme, no port, no path.
fn host(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = value::text(node, problems)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if text.chars().all(plain) {
        return Some(text.to_ascii_lowercase());
    }
    let message = format!("{} is not the name of a host", shown(&text));
    problems.report_with_help(
        &node.place,
        message,
        "the name alone, as \"console.example.com\": no scheme, no port",
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_within(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_the_addresses_that_begin_like_it() {
        for (network, address, expected) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3/32", "::ffff:10.1.2.3", true),
            ("10.1.2.0/24", "10.1.2.255", true),
            ("10.1.2.0/24", "10.1.3.0", false),
            ("10.1.2.128/25", "10.1.2.127", false),
            ("10.1.2.128/25", "10.1.2.200", true),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::1/128", "::1", true),
        ] {
            assert_eq!(is_within(network, address), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.1.2.3/33",
            "10.1.2",
            "proxy",
            "10.1.2.3/",
            "::1/129",
            "10.1.2.3/-1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(()), "{text}");
        }
    }
}
