//! A write leaves in time or not at all.
//!
//! Its permit is good for a second, and much may come between its making and the first byte: a connection that takes
//! long, a process that stood still. The HTTP library asks for a request's body when all of that is over, right before it
//! writes anything; so the permit's terms are asked then, by a body that fails where they don't hold. Who waits no longer
//! calls the write off, and knows by the answer whether it was still there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::clock::SharedClock;
use crate::reconcile::guard::WritePermit;

const WAITING: u8 = 0;
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

/// Why a write stayed: its permit's terms did not hold when it was to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stayed(&'static str);

/// One write on the point of leaving; its clones speak of the same one.
#[derive(Debug, Clone)]
pub struct Departure {
    clock: SharedClock,
    permit: Arc<WritePermit>,
    state: Arc<AtomicU8>,
}

impl Departure {
    /// Waits for its body to be asked for.
    pub fn new(clock: SharedClock, permit: WritePermit) -> Self {
        Self {
            clock,
            permit: Arc::new(permit),
            state: Arc::new(AtomicU8::new(WAITING)),
        }
    }

    /// What lets it go.
    pub fn permit(&self) -> &WritePermit {
        &self.permit
    }

    /// Could it leave now?
    pub fn check(&self) -> Result<(), Stayed> {
        self.permit.check(self.clock.uptime()).map_err(Stayed)
    }

    /// It leaves no more from now on. False if it has left.
    pub fn call_off(&self) -> bool {
        self.change(CALLED_OFF) != LEFT
    }

    /// Returns once its time is over without its having left; never if it has.
    pub async fn missed(&self) {
        tokio::time::sleep(self.permit.time_left(self.clock.uptime())).await;
        if !self.call_off() {
            std::future::pending::<()>().await;
        }
    }

    /// The body of its request.
    pub fn body(&self, bytes: Vec<u8>) -> reqwest::Body {
        reqwest::Body::wrap(Timely {
            bytes: Some(bytes.into()),
            departure: self.clone(),
        })
    }

    fn leave(&self) -> Result<(), Stayed> {
        if let Err(stayed) = self.check() {
            self.call_off();
            return Err(stayed);
        }
        match self.change(LEFT) {
            CALLED_OFF => Err(Stayed("it was called off")),
            _ => Ok(()),
        }
    }

    /// Out of waiting, once; answers the state it is in afterwards.
    fn change(&self, to: u8) -> u8 {
        let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
        match self.state.compare_exchange(WAITING, to, success, failure) {
            Ok(_) => to,
            Err(already) => already,
        }
    }
}

/// Bytes that are given out as one piece, as long as the terms hold.
struct Timely {
    bytes: Option<Bytes>,
    departure: Departure,
}

impl Body for Timely {
    type Data = Bytes;
    type Error = Stayed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Stayed>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(self.departure.leave().map(|()| Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::ManualClock;
    use crate::reconcile::guard::GOOD_FOR;
    use crate::tesamanager::tests::support::permit;
    use crate::tesamanager::{Connections, http_client};

    const MOMENT: Duration = Duration::from_millis(1);

    fn departure() -> (Arc<ManualClock>, Departure) {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH, 7));
        let departure = Departure::new(clock.clone(), permit());
        (clock, departure)
    }

    /// What a peer hears whom such a request is sent to.
    async fn heard(departure: &Departure) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            while socket.read_buf(&mut bytes).await.unwrap() > 0 && !bytes.ends_with(b"body") {}
            String::from_utf8(bytes).unwrap()
        });
        let client = http_client(&Connections {
            section: "tesamanager",
            url: &url,
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            idle: 1,
        })
        .unwrap();
        let request = client.post(url).body(departure.body(b"the body".to_vec()));
        let sent = request.send().await.map(drop);
        let sent = sent.map_err(|error| crate::tesamanager::describe(&error));
        (sent, peer.await.unwrap())
    }

    #[tokio::test]
    async fn in_time_it_leaves_in_one_piece_with_its_length() {
        let (clock, departure) = departure();
        clock.advance(GOOD_FOR);
        let (_, heard) = heard(&departure).await;
        assert!(heard.ends_with("\r\n\r\nthe body"), "{heard}");
        assert!(heard.contains("content-length: 8\r\n"), "{heard}");
        assert!(!departure.call_off(), "it has left");
    }

    #[tokio::test]
    async fn too_late_not_one_byte_leaves_although_the_connection_stands() {
        let (clock, departure) = departure();
        clock.advance(GOOD_FOR + MOMENT);
        let (sent, heard) = heard(&departure).await;
        assert!(sent.unwrap_err().contains("too much time"));
        assert_eq!(heard, "");
        assert!(departure.call_off());
    }

    #[tokio::test]
    async fn what_was_called_off_does_not_leave_any_more() {
        let (_, departure) = departure();
        assert!(departure.call_off());
        let (sent, heard) = heard(&departure).await;
        assert!(sent.is_err());
        assert_eq!(heard, "");
    }

    #[tokio::test]
    async fn a_configuration_that_is_over_keeps_it_here() {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH, 7));
        let departure = Departure::new(clock, permit().withdrawn());
        let (sent, heard) = heard(&departure).await;
        assert!(sent.unwrap_err().contains("reloaded"));
        assert_eq!(heard, "");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_missed_when_its_time_is_over_and_never_once_it_has_left() {
        let (_, waits) = departure();
        waits.missed().await;
        let (_, left) = departure();
        left.leave().unwrap();
        let missed = tokio::time::timeout(Duration::from_secs(60), left.missed()).await;
        assert!(missed.is_err());
    }
}
