//! In which way the upstream is unwell, as far as a failed call tells.

use super::closed_set;

closed_set! {
    /// What opens a circuit.
    IllHealth {
        /// No answer in time.
        Timeouts = "timeouts",
        /// Not even a connection.
        Connect = "connect",
        /// The connection broke off.
        Reset = "reset",
        /// An answer that says so itself: 500 and above, or 408.
        Http5xx = "http_5xx",
        /// It asks for patience.
        Http429 = "http_429",
        /// A write whose outcome is not known.
        UnknownOutcome = "unknown_outcome",
        /// Anything else.
        Other = "other",
    }
}
