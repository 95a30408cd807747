//! The address of somebody whom we call: no secret in it, and with a token https, or http on this machine only.

use reqwest::Url;

use super::problem::{Problems, shown};
use super::tree::Node;
use super::value;

/// Whom we call, for the words of a refusal.
pub(super) struct Peer {
    /// Its name.
    pub(super) name: &'static str,
    /// How an address looks.
    pub(super) example: &'static str,
    /// Where secrets belong instead.
    pub(super) secrets: &'static str,
}

/// Reads an address.
pub(super) fn url(peer: &Peer, node: &Node, problems: &mut Problems) -> Option<Url> {
    let url = url_even_in_clear(peer, node, problems)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        problems.report_with_help(
            &node.place,
            "over http to another machine the token would travel in clear",
            "use https (http is for a server on this machine only)",
        );
        return None;
    }
    Some(url)
}

/// Reads the address of somebody who gets no token.
pub(super) fn url_even_in_clear(peer: &Peer, node: &Node, problems: &mut Problems) -> Option<Url> {
    let text = value::text(node, problems)?;
    let Ok(url) = Url::parse(&text) else {
        problems.conceal(node);
        problems.report_with_help(&node.place, "this is not a URL", peer.example);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        problems.conceal(node);
        problems.report_with_help(
            &node.place,
            "a URL must not carry a user or a password",
            peer.secrets,
        );
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        problems.conceal(node);
        problems.report_with_help(
            &node.place,
            "nothing may follow the path of the URL",
            peer.example,
        );
        return None;
    }
    if !matches!(url.scheme(), "https" | "http") {
        let scheme = shown(url.scheme());
        problems.report_with_help(
            &node.place,
            format!("{scheme} is not a scheme to reach {} by", peer.name),
            peer.example,
        );
        return None;
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}
