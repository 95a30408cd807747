//! Names of things, each a type of its own, so that a reference can't be passed where an external reference is
//! meant: writes go by `externalReference`, reads by `referenceId`, and mixing them up repairs the wrong order.

use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text as it stands.
            pub fn new(text: impl AsRef<str>) -> Self { Self(Arc::from(text.as_ref())) }
            /// The text.
            pub fn as_str(&self) -> &str { &self.0 }
            /// The text, shared rather than copied.
            pub fn shared(&self) -> Arc<str> { Arc::clone(&self.0) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self { Self::new(text) }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self { Self::new(text) }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
    };
}

macro_rules! row_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map(Self) }
        }
    };
}

text_id!(
    /// A tenant of Tesamanager (`masmovil`, `yoigo`, …).
    Org
);
text_id!(
    /// Tesamanager's own id of a request; reads are addressed by it.
    ReferenceId
);
text_id!(
    /// The operator's id of an order; writes are addressed by it. Several requests may carry the same one.
    ExternalReference
);
text_id!(
    /// A configured job's name.
    JobName
);
text_id!(
    /// A rule's name within its job.
    RuleName
);
text_id!(
    /// One process's identity among the replicas: made anew at every start, never the host's name (replicas may
    /// share that).
    ReplicaId
);

row_id!(
    /// A run's row in the store.
    RunId
);
row_id!(
    /// An attempt's row in the ledger.
    AttemptId
);
row_id!(
    /// A finding's row in the store.
    FindingId
);
row_id!(
    /// A class's row in the store.
    ClassId
);
row_id!(
    /// A person's "hands off" in the store.
    AcknowledgementId
);
row_id!(
    /// A person's request to run a job now.
    TriggerId
);
