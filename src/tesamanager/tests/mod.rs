//! The client against real sockets. Inside the crate, because a write needs a permit, and only this crate's tests
//! can make one without a ledger.

mod auth;
mod canaries;
mod contract;
mod fuzz;
mod reads;
pub mod support;
mod tls;
mod writes;
