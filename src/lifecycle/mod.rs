//! How the process lives and ends: signals, the drain, the word to systemd, and the proof that its loops beat.
//!
//! In order of use: [`Signals::install`] first thing, before the configuration is read; a [`Lifecycle`] and
//! [`steer`] right after, so that a SIGTERM during a slow start already counts; everything else spawned on the
//! lifecycle; [`Notifier::ready`] once it serves; [`Lifecycle::shutdown`] last.

pub mod drain;
pub mod fault_injection;
pub mod heartbeats;
pub mod signals;
pub mod systemd;
pub mod watchdog;

pub use drain::{Left, Lifecycle, grace_of};
pub use heartbeats::Heartbeats;
pub use signals::{Requests, SignalEvent, Signals, serve_requests, steer};
pub use systemd::Notifier;
