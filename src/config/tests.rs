//! Unit tests of what stands between the sections.
