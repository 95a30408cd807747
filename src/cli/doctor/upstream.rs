//! From a name to an answer: DNS, TCP, TLS, token, one list call for each org, its filters, and whose clock is right.

use std::net::SocketAddr;

use chrono::TimeDelta;
use futures::TryStreamExt;
use reqwest::Url;

use super::super::exit::Exit;
use super::{Check, filters};
use crate::app::tenth;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::ids::ExternalReference;
use crate::tesamanager::{HttpTesamanager, ListFilter, Tesamanager, proxy_to};

const DOWN: Exit = Exit::UpstreamUnreachable;

/// The upstream's `Date` has whole seconds and travels: less than this is no skew.
const SKEW_NOTED: TimeDelta = TimeDelta::seconds(5);

/// Token endpoints allow about a minute.
const SKEW_REFUSED: TimeDelta = TimeDelta::seconds(60);

/// No order is called so: the list call answers nothing, as fast as it can.
const NOBODY: &str = "tesa-reconciler-doctor";

/// Checks everything up to the first answers.
pub(super) async fn check(config: &Config, clock: SharedClock, checks: &mut Vec<Check>) {
    let mut settings = config.tesamanager.clone();
    settings.reads_per_second = tenth(settings.reads_per_second);
    let client = match HttpTesamanager::new(&settings, clock.clone()) {
        Ok(client) => client,
        Err(error) => {
            checks.push(Check::fail(
                "client",
                Exit::Configuration,
                error.to_string(),
                "mend this first: no call can be made without it",
            ));
            return;
        }
    };
    let reached = match Url::parse(&config.tesamanager.base_url) {
        Ok(url) => reach(&url, config, &client, checks).await,
        // The configuration's own checks let none through.
        Err(_) => false,
    };
    if !reached {
        for check in ["token", "list call", "filter", "clock"] {
            checks.push(Check::skipped(check, "the upstream can't be reached"));
        }
        return;
    }
    let (mut listed, mut why) = (false, "there is no token");
    if token(&client, checks).await {
        listed = list(config, &client, checks).await;
        why = "the list call fails";
    } else {
        checks.push(Check::skipped("list call", why));
    }
    if listed {
        filters::check(config, &client, &clock, checks).await;
    } else {
        checks.push(Check::skipped("filter", why));
    }
    checks.push(skew(client.clock_skew()));
}

/// Something answers there, over TLS that we trust.
async fn reach(
    url: &Url,
    config: &Config,
    client: &HttpTesamanager,
    checks: &mut Vec<Check>,
) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let base_url = &config.tesamanager.base_url;
    let proxy = proxy_to(base_url);
    if let Some(proxy) = &proxy {
        let why = format!("calls go through the proxy {proxy}");
        checks.push(Check::skipped("dns", &*why));
        checks.push(Check::skipped("tcp", why));
    } else {
        let Some(addresses) = resolve(host, port, checks).await else {
            return false;
        };
        if !connect(&addresses, config, checks).await {
            return false;
        }
    }
    let (name, answers) = match url.scheme() {
        "https" => ("tls", "its certificate is trusted, and it answers"),
        _ => ("http", "it answers (in clear: this machine only)"),
    };
    match client.check_reachable(base_url).await {
        Ok(()) => {
            checks.push(Check::ok(name, answers));
            true
        }
        Err(detail) => {
            let detail = match &proxy {
                Some(proxy) => format!("{detail} (through the proxy {proxy})"),
                None => detail,
            };
            let mend = "if the certificate is not trusted, set tesamanager.ca_file to the CA that issued it, or install ca-certificates; otherwise check that tesamanager.base_url is the gateway's";
            checks.push(Check::fail(name, DOWN, detail, mend));
            false
        }
    }
}

async fn resolve(host: &str, port: u16, checks: &mut Vec<Check>) -> Option<Vec<SocketAddr>> {
    let mend =
        "check the host in tesamanager.base_url, and this machine's resolver (/etc/resolv.conf)";
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => {
            let addresses: Vec<SocketAddr> = found.collect();
            let count = addresses.len();
            checks.push(Check::ok("dns", format!("{host} has {count} address(es)")));
            Some(addresses)
        }
        Err(error) => {
            let detail = format!("{host} can't be resolved: {error}");
            checks.push(Check::fail("dns", DOWN, detail, mend));
            None
        }
    }
}

/// One address that takes a connection is enough, as it is for the client.
async fn connect(addresses: &[SocketAddr], config: &Config, checks: &mut Vec<Check>) -> bool {
    let within = config.tesamanager.connect_timeout;
    let mut last = "there is no address".to_owned();
    for address in addresses {
        let tried = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(within, tried).await {
            Ok(Ok(_)) => {
                checks.push(Check::ok("tcp", format!("{address} takes connections")));
                return true;
            }
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no connection within {within:?}"),
        }
    }
    let mend = "check the port in tesamanager.base_url, and the firewalls in between";
    checks.push(Check::fail("tcp", DOWN, last, mend));
    false
}

async fn token(client: &HttpTesamanager, checks: &mut Vec<Check>) -> bool {
    let done = client.check_token().await;
    let good = done.is_ok();
    checks.push(match done {
        Ok(()) => Check::ok("token", "there is one"),
        Err(error) => {
            let mend = "renew the credentials named in [tesamanager], for this environment";
            Check::fail("token", DOWN, error.to_string(), mend)
        }
    });
    good
}

/// The cheapest call that proves that the token opens an org; does it open all?
async fn list(config: &Config, client: &HttpTesamanager, checks: &mut Vec<Check>) -> bool {
    let mut all = true;
    let filter = ListFilter::by_external_reference(&ExternalReference::new(NOBODY));
    for org in &config.tesamanager.orgs {
        let answered = async {
            let mut ids = client.list_reference_ids(org, &filter).await?;
            while ids.try_next().await?.is_some() {}
            Ok::<(), crate::tesamanager::ReadError>(())
        };
        let answered = answered.await;
        all &= answered.is_ok();
        checks.push(match answered {
            Ok(()) => Check::ok("list call", format!("{org} is open to us")),
            Err(error) => {
                let mend = format!(
                    "check that the token is for this environment, that {org} is an org of it (tesamanager.orgs), and the path in [tesamanager.endpoints]"
                );
                Check::fail("list call", DOWN, format!("{org}: {error}"), mend)
            }
        });
    }
    all
}

fn skew(skew: Option<TimeDelta>) -> Check {
    let mend = "let this machine's clock be set by NTP (systemd-timesyncd, chrony): ages are counted with it, and a token's signature is refused when it is off";
    match skew {
        None => Check::warn(
            "clock",
            "the upstream does not tell the time (its answers have no Date header): its clock is taken to be up to an \
             hour off, so each run reads again what changed within an hour before the last one",
            "have the gateway, or the proxy before it, send the Date header that HTTP asks for",
        ),
        Some(skew) => {
            let seconds = skew.num_seconds();
            let detail = format!("the upstream's clock is {seconds} s ahead of this machine's");
            match skew.abs() {
                off if off >= SKEW_REFUSED => Check::fail("clock", DOWN, detail, mend),
                off if off >= SKEW_NOTED => Check::warn("clock", detail, mend),
                _ => Check::ok("clock", "within seconds of the upstream's"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_either_way() {
        for (seconds, expected) in [
            (0, Verdict::Ok),
            (-4, Verdict::Ok),
            (5, Verdict::Warn),
            (-59, Verdict::Warn),
            (60, Verdict::Fail),
            (-3600, Verdict::Fail),
        ] {
            let check = skew(Some(TimeDelta::seconds(seconds)));
            assert_eq!(check.result, expected, "{seconds}");
        }
        assert_eq!(skew(None).result, Verdict::Warn);
    }
}
