//! TLS with a private CA: trusted when it is configured, and a failure to connect when it is not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::support::{LEAST, client, client_with, id, org, permit};
use crate::tesamanager::{ReadError, Tesamanager, WriteError, install_crypto_provider};

const CA: &str = include_str!("test-only-ca.pem");
const SERVER: &[u8] = include_bytes!("test-only-server.pem");

fn identity() -> ServerConfig {
    install_crypto_provider();
    let chain = CertificateDer::pem_slice_iter(SERVER)
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(SERVER).unwrap();
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Answers `{}` to one request a connection, over TLS.
fn start() -> String {
    let config = Arc::new(identity());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, socket.unwrap()));
            // A client that distrusts us is gone by now.
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let length = LEAST.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{LEAST}"
            );
            drop(stream.get_mut().write_all(answer.as_bytes()));
            stream.get_mut().conn.send_close_notify();
            drop(stream.get_mut().flush());
        }
    });
    url
}

/// Offers these protocols; tells which was agreed on and the first words that it heard, and hangs up.
fn overhear(protocols: &[&str]) -> (String, Receiver<(String, String)>) {
    let mut config = identity();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (tell, heard) = channel();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        let mut words = [0; 14];
        stream.read_exact(&mut words).unwrap();
        let agreed = stream.conn.alpn_protocol().unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        tell.send((text(agreed), text(&words))).unwrap();
    });
    (url, heard)
}

#[tokio::test]
async fn http_2_is_spoken_where_tls_agrees_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, CA).unwrap();
    for (offered, agreed, begins) in [
        (&["h2", "http/1.1"][..], "h2", "PRI * HTTP/2.0"),
        (&["http/1.1"], "http/1.1", "GET /tesa/orgs"),
    ] {
        let (url, heard) = overhear(offered);
        let fixture = client_with(&url, |settings| settings.ca_file = Some(ca.clone()));
        while fixture.client.budget.withdraw() {}
        // It gets no answer.
        fixture.client.get_request(&org(), &id()).await.unwrap_err();
        assert_eq!(heard.recv().unwrap(), (agreed.into(), begins.into()));
    }
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_configured() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, CA).unwrap();
    let fixture = client_with(&start(), |settings| settings.ca_file = Some(ca));
    fixture.client.get_request(&org(), &id()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_nobody_we_trust_sends_nothing_and_says_so() {
    let fixture = client(&start());
    match fixture.write(permit()).await {
        Err(WriteError::NotSent { detail, .. }) => {
            assert!(detail.contains("certificate"), "{detail}")
        }
        other => panic!("{other:?}"),
    }
    while fixture.client.budget.withdraw() {}
    let error = fixture.client.get_request(&org(), &id()).await.unwrap_err();
    assert!(matches!(error, ReadError::Transient { .. }), "{error}");
}
