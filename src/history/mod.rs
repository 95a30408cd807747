//! The life of an order, told from the store's rows: pure.
//!
//! What was seen of a request is appended to its history as it happens ([`crate::store::history`]). Here stands what follows
//! from that: how the request stood at the end (`replay.rs`), what a person reads of it (`timeline.rs`), whose turn it was
//! (`parties.rs`), and what many have in common (`causes/`). Attempts, findings, acknowledgements and audit rows are told beside it
//! from their own tables, never copied.

pub mod causes;
pub mod level;
pub mod parties;
pub mod rehearse;
pub mod replay;
pub mod report;
pub mod timeline;
pub mod working;
