//! An upstream that has one answer, ready in memory, so that its own work is as little as can be.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// How the answer's body is framed.
#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// By its length.
    Length,
    /// In chunks of this many bytes.
    Chunked(usize),
}

/// Serves `body` to whoever asks, on a thread that lives as long as the process; answers the base URL.
pub fn start(body: &[u8], framing: Framing) -> String {
    let answer: Arc<[u8]> = answer(body, framing).into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(socket, &answer));
        }
    });
    url
}

fn answer(body: &[u8], framing: Framing) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n".to_vec();
    match framing {
        Framing::Length => {
            write!(answer, "Content-Length: {}\r\n\r\n", body.len()).unwrap();
            answer.extend_from_slice(body);
        }
        Framing::Chunked(size) => {
            answer.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(size) {
                write!(answer, "{:x}\r\n", chunk.len()).unwrap();
                answer.extend_from_slice(chunk);
                answer.extend_from_slice(b"\r\n");
            }
            answer.extend_from_slice(b"0\r\n\r\n");
        }
    }
    answer
}

/// Until the client goes away.
fn serve(socket: TcpStream, answer: &[u8]) {
    let mut writer = socket.try_clone().unwrap();
    for line in BufReader::new(socket).lines().map_while(Result::ok) {
        if line.is_empty() && writer.write_all(answer).is_err() {
            return;
        }
    }
}
