//! What the integration tests share.

pub mod cluster;
pub mod contract;
pub mod gate;
pub mod http;
pub mod postgres;
pub mod proxy;
pub mod silence;
pub mod statements;
