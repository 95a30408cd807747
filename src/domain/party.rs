//! Whose turn it is with an order: the party that must act before it goes on.

use super::closed_set;

closed_set! {
    /// A party to an order.
    Party {
        /// Telefónica, the wholesale provider.
        Tesa = "tesa",
        /// The operator that sells the line.
        Operator = "operator",
        /// Who installs it.
        Installer = "installer",
        /// Who ordered it.
        Customer = "customer",
        /// Whoever runs the provisioning, and this daemon.
        Us = "us",
        /// Nobody: it is over.
        Nobody = "nobody",
        /// Nobody can tell: it was not seen, or stands where no party is named for.
        Unknown = "unknown",
    }
}

impl Party {
    /// In a sentence: "waiting for …".
    pub const fn named(self) -> &'static str {
        match self {
            Self::Tesa => "Telefónica",
            Self::Operator => "the operator",
            Self::Installer => "the installer",
            Self::Customer => "the customer",
            Self::Us => "us",
            Self::Nobody => "nobody",
            Self::Unknown => "nobody that is known",
        }
    }
}
