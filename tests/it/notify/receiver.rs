//! A receiver that keeps what it gets and answers as told. What it is told about comes in whole, whatever it answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// See the module. Clones are the same receiver.
#[derive(Clone)]
pub struct Receiver {
    address: std::net::SocketAddr,
    book: Arc<Mutex<Book>>,
    count: watch::Sender<usize>,
}

struct Book {
    status: u16,
    delay: Duration,
    got: Vec<(Value, Option<String>)>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            book: Arc::new(Mutex::new(Book {
                status: 200,
                delay: Duration::ZERO,
                got: Vec::new(),
            })),
            count: watch::Sender::new(0),
        };
        let router = axum::Router::new()
            .fallback(receive)
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn answer(&self, status: u16) {
        self.book.lock().unwrap().status = status;
    }

    pub fn answer_after(&self, delay: Duration) {
        self.book.lock().unwrap().delay = delay;
    }

    pub fn count(&self) -> usize {
        self.book.lock().unwrap().got.len()
    }

    pub fn bodies(&self) -> Vec<Value> {
        let book = self.book.lock().unwrap();
        book.got.iter().map(|(body, _)| body.clone()).collect()
    }

    pub fn last_authorization(&self) -> Option<String> {
        self.book.lock().unwrap().got.last()?.1.clone()
    }

    /// Waits until it got so many.
    pub async fn got(&self, count: usize) {
        let enough = async {
            self.count
                .subscribe()
                .wait_for(|got| *got >= count)
                .await
                .unwrap();
        };
        tokio::time::timeout(Duration::from_secs(30), enough)
            .await
            .unwrap_or_else(|_| panic!("only {} of {count} arrived", self.count()));
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> Response {
    let authorization = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    let (status, delay) = {
        let mut book = receiver.book.lock().unwrap();
        let body = serde_json::from_str(&body).unwrap();
        book.got.push((body, authorization));
        (book.status, book.delay)
    };
    receiver.count.send_modify(|count| *count += 1);
    tokio::time::sleep(delay).await;
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::LOCATION, receiver.url())]).into_response()
}
