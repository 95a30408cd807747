//! What the upstream's list call can tell requests apart by.

use super::closed_set;

closed_set! {
    /// A filter of the list call, by its name on the wire. What each does is an assumption until it is seen to hold,
    /// so each can be held against what a read says, distrusted, and declared unsupported.
    Filter {
        /// Where a request stands.
        Statuses = "statuses",
        /// Activation or termination.
        PersistenceType = "persistence_type",
        /// A cancellation is under way.
        Cancelling = "cancelling",
        /// Our own technician installs.
        AutoInstallation = "autoInstallation",
        /// The upstream did not update it since an instant.
        NotUpdatedSince = "notUpdatedSince",
    }
}
