//! x
/// k
pub const TEST_KEY: &str = include_str!("test-only-key.pem");
