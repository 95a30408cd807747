//! Whether the configuration by which a run acts is still the one in force.
//!
//! A run takes its mode, caps and rules from the configuration that holds when it begins, and may last for minutes. A
//! reload that would have it act otherwise ends its acting at once, or *hands off* said by `mode = "observe"` would be
//! heard only by the next run. What it has not got to is left to that one.

use tokio_util::sync::CancellationToken;

/// Shared by all that act by one configuration, down to each permit.
#[derive(Debug, Clone, Default)]
pub struct InForce(CancellationToken);

impl InForce {
    /// Nobody acts by it any more.
    pub fn end(&self) {
        self.0.cancel();
    }

    /// Another one has taken its place.
    pub fn has_ended(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until another one takes its place.
    pub async fn ended(&self) {
        self.0.cancelled().await;
    }
}
