//! The integration tests, in one binary (fewer and larger ones link faster), a module an area.

// Clippy knows only functions marked as tests as tests; here everything is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod architecture;
mod client;
mod config;
mod console;
mod deploy;
mod e2e;
mod field;
// The simulation uses the rest of it.
#[allow(dead_code)]
#[path = "../support/memory/mod.rs"]
mod memory;
mod metrics;
mod notify;
mod process;
#[path = "../support/replayed.rs"]
mod replayed;
mod sandbox;
mod schedule;
mod store;
mod support;
mod tree;
