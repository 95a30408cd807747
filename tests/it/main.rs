//! The integration tests, in one binary (fewer and larger ones link faster), a module an area.

mod architecture;
mod client;
mod config;
mod metrics;
mod process;
mod sandbox;
mod schedule;
mod store;
mod support;
