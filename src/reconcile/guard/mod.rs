//! The guard: the only way to a write.

mod permit;

pub use permit::WritePermit;
