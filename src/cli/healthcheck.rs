//! `healthcheck`: asks the daemon on this machine whether it lives; for an image that has no shell and no curl.
//!
//! One plain HTTP/1.0 request: the answer's first line is all that counts, and a client library would be the larger
//! part of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::common::Common;
use super::exit::{Exit, Failure};

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds if `/livez` on `[http].listen` answers 200.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let listen = common.load_for_steering()?.http.listen;
    let address = reachable(listen);
    let failed = |why: String| {
        Failure::new(
            Exit::Failed,
            format!("http://{address}/livez: {why}; the address is [http].listen"),
        )
    };
    let answer = tokio::time::timeout(PATIENCE, ask(address))
        .await
        .map_err(|_| failed(format!("no answer within {PATIENCE:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    if alive(&answer) {
        return Ok(());
    }
    Err(failed(first_line(&answer)))
}

/// Listening on every address means this machine's own among them.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /livez HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn alive(answer: &[u8]) -> bool {
    first_line(answer).split(' ').nth(1) == Some("200")
}

fn first_line(answer: &[u8]) -> String {
    let line = answer
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_is_life() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\n\r\nok", true),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n200", false),
            ("SSH-2.0-200", false),
            ("", false),
        ] {
            assert_eq!(alive(answer.as_bytes()), expected, "{answer:?}");
        }
    }

    #[test]
    fn every_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9464", "127.0.0.1:9464"),
            ("[::]:9464", "[::1]:9464"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
