//! Logs and metrics.

pub mod record;
