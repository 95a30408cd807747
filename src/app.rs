//! The one place where live objects are built and wired.
