//! tesa-reconciler: keeps the provisioning requests in Tesamanager from getting stuck.
//!
//! Read `app.rs` for how it is wired, `domain/` for what it is about, `reconcile/` for what it does.

pub mod answers;
pub mod app;
mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod domain;
pub mod history;
pub mod http;
pub mod lifecycle;
pub mod notify;
pub mod reconcile;
pub mod rules;
pub mod sandbox;
pub mod schedule;
pub mod store;
pub mod telemetry;
pub mod tesamanager;
pub mod zone;
