//! Between the daemon and its upstream: doors that can be shut, so that a connect takes as long as a test wants.
//!
//! While the doors are shut the listener's queue is full and the kernel drops whoever knocks: nothing is refused, the
//! connect just goes on, as towards a peer behind a firewall. Each connection carries one request, because one that is
//! kept open would need no connect.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doors {
    Open,
    Closing,
    Shut,
}

struct Inner {
    address: SocketAddr,
    upstream: SocketAddr,
    doors: watch::Sender<Doors>,
    /// The doors shut when a request's first line holds this.
    shut_at: Mutex<Option<&'static str>>,
    /// The first lines of all requests that came through.
    passed: Mutex<Vec<String>>,
}

/// Passes on while its doors are open. Ends with the test's runtime.
pub struct Gate(Arc<Inner>);

impl Gate {
    /// Before the server at this address.
    pub fn before(upstream: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // The shortest queue there is.
        let listener = socket.listen(0).unwrap();
        let inner = Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            upstream,
            doors: watch::Sender::new(Doors::Open),
            shut_at: Mutex::default(),
            passed: Mutex::default(),
        });
        tokio::spawn(keep(listener, Arc::clone(&inner)));
        Self(inner)
    }

    /// Where clients knock.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Shuts the doors behind the next request whose first line holds this text: it is still answered.
    pub fn shut_behind(&self, text: &'static str) {
        *self.0.shut_at.lock().unwrap() = Some(text);
    }

    /// Who knocks from now on, or knocks again, comes in.
    pub fn open(&self) {
        self.0.doors.send_replace(Doors::Open);
    }

    /// How many requests came through whose first line holds this text.
    pub fn passed(&self, text: &str) -> usize {
        let passed = self.0.passed.lock().unwrap();
        passed.iter().filter(|line| line.contains(text)).count()
    }

    /// How many connects are under way. The kernel knows; our own, while the doors are being shut, is not meant.
    pub fn knocking(&self) -> usize {
        if *self.0.doors.borrow() == Doors::Closing {
            return 0;
        }
        self.sockets("02")
    }

    /// How many connections stand, seen from the clients.
    pub fn standing(&self) -> usize {
        self.sockets("01")
    }

    fn sockets(&self, state: &str) -> usize {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", self.0.address.port());
        let ours = |line: &&str| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|peer| peer.ends_with(&port)) && fields.next() == Some(state)
        };
        table.lines().filter(ours).count()
    }
}

async fn keep(listener: TcpListener, gate: Arc<Inner>) {
    let mut doors = gate.doors.subscribe();
    loop {
        let now = *doors.borrow_and_update();
        match now {
            Doors::Open => tokio::select! {
                accepted = listener.accept() => {
                    let (client, _) = accepted.unwrap();
                    tokio::spawn(carry(client, Arc::clone(&gate)));
                }
                _ = doors.changed() => {}
            },
            Doors::Closing => {
                let full = fill(gate.address).await;
                gate.doors.send_if_modified(|doors| {
                    let closing = *doors == Doors::Closing;
                    if closing {
                        *doors = Doors::Shut;
                    }
                    closing
                });
                let _open = doors.wait_for(|doors| *doors == Doors::Open).await;
                drop(full);
            }
            Doors::Shut => unreachable!("only this task shuts them"),
        }
    }
}

/// Fills the queue: until one more does not come in.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut full = Vec::new();
    while let Ok(standing) =
        tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await
    {
        full.push(standing.unwrap());
        assert!(full.len() < 100, "the queue has no end");
    }
    full
}

async fn carry(mut client: TcpStream, gate: Arc<Inner>) {
    let mut request = Vec::new();
    let end = loop {
        match client.read_buf(&mut request).await {
            Ok(1..) => {}
            _ => return,
        }
        if let Some(end) = request.windows(2).position(|two| two == b"\r\n") {
            break end;
        }
    };
    let line = String::from_utf8_lossy(&request[..end]).into_owned();
    let shuts = {
        let mut shut_at = gate.shut_at.lock().unwrap();
        let shuts = shut_at.is_some_and(|text| line.contains(text));
        if shuts {
            *shut_at = None;
        }
        shuts
    };
    gate.passed.lock().unwrap().push(line);
    if shuts {
        gate.doors.send_replace(Doors::Closing);
        let mut doors = gate.doors.subscribe();
        let _shut = doors.wait_for(|doors| *doors != Doors::Closing).await;
    }
    request.splice(end..end, *b"\r\nConnection: close");
    let Ok(mut upstream) = TcpStream::connect(gate.upstream).await else {
        return;
    };
    if upstream.write_all(&request).await.is_ok() {
        let _ended = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
    }
}
