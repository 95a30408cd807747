//! SQLPage#131: behind a pooler in transaction mode a statement was prepared in another's session, and the program ended
//! with "sqlx_s_1 already exists". Sessions are needed, so the right value is a word that says so.
//!
//! Two poolers, as far as it takes: one refuses the settings that a session begins with, the other takes them and mixes up
//! sessions.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tesa_reconciler::store::{self, StoreOptions};

/// A message of PostgreSQL's protocol.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn error(code: &str, words: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0");
    message(b'E', body.as_bytes())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// The next length and what it counts, without itself.
fn body(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length).checked_sub(4)? as usize];
    client.read_exact(&mut body).ok()?;
    Some(body)
}

fn serve(client: &mut TcpStream, takes_settings: bool) -> Option<()> {
    const TLS: [u8; 4] = 80_877_103_u32.to_be_bytes();
    if body(client)? == TLS {
        client.write_all(b"N").ok()?;
        body(client)?;
    }
    if !takes_settings {
        let refused = error(
            "08P01",
            "unsupported startup parameter in options: search_path",
        );
        return client.write_all(&refused).ok();
    }
    let hello = [message(b'R', &[0; 4]), ready()].concat();
    client.write_all(&hello).ok()?;
    loop {
        let mut kind = [0];
        client.read_exact(&mut kind).ok()?;
        body(client)?;
        let answer = match kind[0] {
            b'Q' => [message(b'C', b"SET\0"), ready()].concat(),
            // Sync: what was prepared before it is somebody else's.
            b'S' => [
                error("42P05", "prepared statement \"sqlx_s_1\" already exists"),
                ready(),
            ]
            .concat(),
            b'X' => return None,
            _ => continue,
        };
        client.write_all(&answer).ok()?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_has_no_sessions_is_named_as_what_is_in_the_way() {
    for takes_settings in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                serve(&mut client.unwrap(), takes_settings);
            }
        });
        let url = format!("postgres://u@{address}/d");
        let said = match store::open(&url, &StoreOptions::default()).await {
            Err(error) => error.to_string(),
            Ok(store) => store
                .check_schema()
                .await
                .map(|_| ())
                .unwrap_err()
                .to_string(),
        };
        assert!(said.contains("a pooler"), "{takes_settings}: {said}");
        assert!(
            said.contains("sessions are needed"),
            "{takes_settings}: {said}"
        );
    }
}
