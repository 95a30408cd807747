//! The address of somebody whom we call with a token: https, or http on this machine only, and no secret in it.

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
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            problems.report_with_help(
                &node.place,
                "over http to another machine the token would travel in clear",
                "use https (http is for a server on this machine only)",
            );
            return None;
        }
        other => {
            problems.report_with_help(
                &node.place,
                format!("{} is not a scheme to reach {} by", shown(other), peer.name),
                peer.example,
            );
            return None;
        }
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
