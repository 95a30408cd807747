//! Tells a receiver of people's choice when something waits for them, and when it is over: held guards, writes that
//! need a person, requests given up, kinds of findings that were not there before.
//!
//! It looks at the store ([`crate::store::Notices`]) and at nothing else, so no run waits for it or knows of it, and a
//! receiver that is away costs nothing but the news. What is told is named by job, org and kind; no request's id or
//! reference can get into a notification, because none gets into the book.
//!
//! [`body`] says what is sent, [`webhook`] sends it, [`sender`] decides when.

pub mod body;
mod pause;
pub mod sender;
pub mod webhook;

pub use sender::Sender;
pub use webhook::Webhook;
